"""What the estimators learn of the features: how to scale them, and the bins of embeddings."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse

from ._precision import column_range
from ._running import Running, canonical

MOST_ROWS = 10_000
"""Quartiles of more rows are those of so many, drawn at random. Their ranks, 1/4, 1/2 and 3/4 of
the rows, are then off by half a percent of the rows."""

BOUND = 3.0

# A block should stay in the processor's cache for all passes over it.
_BLOCK_ELEMENTS = 2**15
# Quartiles are taken of columns, of which a block should have several.
_QUARTILE_ELEMENTS = 2**17
# Farther out the clip rounds to its bound, and nearer in the square does not overflow in float32.
_FAR = 1e9
_LARGEST = np.finfo(np.float64).max
# Sums of weights in another order may differ by so much.
_ROUNDING = 1e-9


class RobustSmoothClip:
    r"""Robust scaling with a smooth clip, column by column.

    A column is centered on its median, divided by the distance of its quartiles, and its tails are
    squeezed into (-3, 3)::

        x' = a (x - median)      a = 1 / (q75 - q25)      f(x) = x' / sqrt(1 + (x' / 3)^2)

    Where the quartiles are equal, as those of a rare indicator are, ``a = 2 / (max - min)``, and
    where the column is constant, ``a = 0``. Outliers hardly move median and quartiles, and the clip
    bounds what they do to the network. Shifting and stretching a column does not change f, so that
    it makes no difference whether X has been standardized before.

    A quantile is the smallest value that has its share of the rows at or below it, the rows being
    counted by their weights: an integer weight is as good as a repeated row. There is no
    interpolation. All this is computed in float64, before the values are rounded to the network's
    precision, so that neither a large offset nor a large scale costs digits. What was learned of
    few rows, or of a column that was constant in them, later rows improve, see `Running`.

    Attributes
    ----------
    center_ : ndarray of shape (n_features,)
        The medians.
    scale_ : ndarray of shape (n_features,)
        The factors a, >= 0.
    shift_ : ndarray of shape (1, n_features)
        f(0), what a row of zeros becomes.

    References
    ----------
    Holzmueller, Grinsztajn and Steinwart (2024), "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", NeurIPS, arXiv:2407.04491, section 3.
    """

    center_: np.ndarray
    scale_: np.ndarray
    shift_: np.ndarray
    _running: Running | None = None  # scalers of older files have none

    def fit(self, X: Any, sample_weight: np.ndarray | None = None) -> Self:
        """Learn the center and the scale of each column.

        Of more than `MOST_ROWS` rows (of positive weight) the quartiles are those of so many, drawn
        at random, the same in each fit; extremes are those of all rows. X is read in blocks.

        Parameters
        ----------
        X : {ndarray, sparse matrix} of shape (n_samples, n_features)
            Finite inputs of any real dtype.
        sample_weight : ndarray of shape (n_samples,), optional
            Weights of the rows, >= 0 and not all 0; 1 by default.

        Returns
        -------
        self : RobustSmoothClip
            The scaler.
        """
        self.center_, self.scale_ = _center_and_scale(X, sample_weight)
        self.shift_ = self.transform(np.zeros((1, X.shape[1])))
        self._running = Running(X, sample_weight, self.center_)
        return self

    def update(self, X: Any, sample_weight: np.ndarray | None = None) -> Self:
        """Return the scaler that has seen the rows of another call too, itself if nothing changes.

        Parameters are those of `fit`.
        """
        if self._running is None:
            return self
        running, found = self._running.add(
            X, sample_weight, self.center_, self.scale_ == 0, _center_and_scale
        )
        if running is self._running:
            return self
        other = self._with(running)
        if found is not None:
            other.center_, other.scale_ = self.center_.copy(), self.scale_.copy()
            other.center_[found.columns], other.scale_[found.columns] = found.center, found.scale
            other.shift_ = other.transform(np.zeros((1, len(self.center_))))
        return other

    def settled(self, columns: Sequence[int]) -> Self:
        """Return a copy that keeps center and scale of some columns, whatever rows come."""
        return self._with(self._running and self._running.without(columns))

    def without_rows(self) -> Self:
        """Return a copy that holds no rows, to be stored for prediction."""
        return self._with(self._running and self._running.without_rows(self.center_))

    def _with(self, running: Running | None) -> Self:
        other = copy.copy(self)
        other._running = running
        return other

    def transform(self, X: Any, dtype: Any = np.float64, out: np.ndarray | None = None) -> Any:
        """Return f(X), or for sparse X what is left of it without `shift_`.

        Parameters
        ----------
        X : {ndarray, sparse matrix} of shape (n_samples, n_features)
            Finite inputs of any real dtype.
        dtype : numpy.dtype, default=float64
            The dtype to return.
        out : ndarray of shape (n_samples, n_features), optional
            Where to write f(X); new by default. Not for sparse X.

        Returns
        -------
        scaled : {ndarray, sparse CSR matrix} of shape (n_samples, n_features)
            f(X) for dense X. For sparse X ``f(X) - f(0)``, which is 0 where X is; ``shift_`` is to
            be added to each row.
        """
        if issparse(X):
            return self._transform_sparse(canonical(X.tocsr()), dtype)
        if out is None:
            out = np.empty(X.shape, dtype)
        n_rows = max(1, _BLOCK_ELEMENTS // X.shape[1])
        for start in range(0, len(X), n_rows):
            part = slice(start, start + n_rows)
            _scale_and_clip(X[part], self.center_, self.scale_, out[part])
        return out

    def _transform_sparse(self, X: Any, dtype: Any) -> Any:
        data, shift = np.empty(X.nnz, dtype), self.shift_[0]
        for start in range(0, X.nnz, _BLOCK_ELEMENTS):
            part = slice(start, start + _BLOCK_ELEMENTS)
            columns = X.indices[part]
            scaled = np.empty(len(columns))
            _scale_and_clip(X.data[part], self.center_[columns], self.scale_[columns], scaled)
            with np.errstate(under="ignore"):
                data[part] = scaled - shift[columns]
        return type(X)((data, X.indices, X.indptr), shape=X.shape)


def _center_and_scale(X: Any, sample_weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the center and the scale of each column, scale 0 for a constant."""
    X = canonical(X) if issparse(X) else X
    counted = _rows_of_weight(sample_weight)
    rows, weights = _draw_rows(X.shape[0], counted, sample_weight)
    quartiles = np.zeros((3, X.shape[1]))
    for columns, values in _columns(X, rows, weights):
        quartiles[:, columns] = _quantiles(values, weights, (0.25, 0.5, 0.75))
    lower, center, upper = quartiles
    with np.errstate(over="ignore", under="ignore"):
        spread = np.minimum(upper - lower, _LARGEST)
        spread[_is_rounding(spread, lower, upper)] = 0
        if not spread.all():
            low, high = column_range(X, counted)
            half = high / 2 - low / 2
            half[_is_rounding(half, low, high)] = 0
            spread = np.where(spread == 0, half, spread)
        scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    return center.copy(), np.minimum(scale, _LARGEST)


def _scale_and_clip(
    X: np.ndarray, center: np.ndarray, scale: np.ndarray, out: np.ndarray
) -> np.ndarray:
    """Write f(X) to ``out``; values of any size overflow to the clip's bound."""
    with np.errstate(over="ignore", under="ignore"):
        centered = np.subtract(X, center, dtype=np.float64)
        # An infinite distance times the scale 0 of a constant column would be NaN.
        np.clip(centered, -_LARGEST, _LARGEST, out=centered)
        centered *= scale
        np.clip(centered, -_FAR, _FAR, out=out)
        root = out * (1 / BOUND)
        root *= root
        root += 1
        np.sqrt(root, out=root)
        out /= root
    return out


def find_bins(
    X: Any,
    sample_weight: np.ndarray | None,
    n_bins: int,
    prepare: Callable[[Any], np.ndarray] | None = None,
) -> list[np.ndarray]:
    """Part the values of each feature into bins of equal shares of the rows.

    Of more than `MOST_ROWS` rows (of positive weight) as many count, drawn at random, the same as
    for `RobustSmoothClip`. Quantiles are weighted and not interpolated, as there.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite inputs of any real dtype.
    sample_weight : ndarray of shape (n_samples,) or None
        Weights of the rows, >= 0 and not all 0.
    n_bins : int
        The most bins of a feature.
    prepare : callable, optional
        Turns rows of X into the network's inputs; by default they are its inputs already.

    Returns
    -------
    edges : list of ndarray
        For each feature the edges of its bins in ascending order, smallest and largest value
        included; all values where there are no more than ``n_bins + 1``; and none at all for a
        feature of one or two values, which has no bends to learn.
    """
    rows, weights = _draw_rows(len(X), _rows_of_weight(sample_weight), sample_weight)
    X = X if rows is None else X[rows]
    X = np.asarray(X, np.float64) if prepare is None else prepare(X)
    shares = [k / n_bins for k in range(1, n_bins)]
    edges = []
    for column in X.T:
        distinct = np.unique(column)
        if len(distinct) <= 2:
            edges.append(distinct[:0])
        elif len(distinct) <= n_bins + 1:
            edges.append(distinct)
        else:
            inner = _quantiles(column[np.newaxis].copy(), weights, shares)[:, 0]
            edges.append(np.unique([distinct[0], *inner, distinct[-1]]))
    return edges


def _rows_of_weight(sample_weight: np.ndarray | None) -> np.ndarray | None:
    """Return the indices of the rows with a weight, None if all have one."""
    if sample_weight is None or np.all(sample_weight):
        return None
    return np.flatnonzero(sample_weight)


def _draw_rows(
    n_samples: int, counted: np.ndarray | None, sample_weight: np.ndarray | None
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the rows whose quantiles to take, None for all, and their weights."""
    n_rows = n_samples if counted is None else len(counted)
    rows = counted
    if n_rows > MOST_ROWS:
        # Evenly spaced rows might all fall on the same hour of the day.
        rows = np.random.default_rng(0).choice(n_rows, MOST_ROWS, replace=False, shuffle=False)
        rows.sort()
        rows = rows if counted is None else counted[rows]
    if sample_weight is None or rows is None:
        return rows, sample_weight
    return rows, sample_weight[rows]


def _is_rounding(spread: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    # Rounding may have made different numbers of what was meant to be one.
    return spread <= 8 * np.finfo(np.float64).eps * np.maximum(np.abs(low), np.abs(high))


def _columns(
    X: Any, rows: np.ndarray | None, weights: np.ndarray | None
) -> Iterator[tuple[Any, np.ndarray]]:
    """Yield blocks of columns: which ones, and their values of shape (n_columns, n_rows)."""
    if issparse(X):
        yield from _filled_columns((X if rows is None else X.tocsr()[rows]).tocsc(), weights)
        return
    chosen = slice(None) if rows is None else rows
    step = max(1, _QUARTILE_ELEMENTS // (len(X) if rows is None else len(rows)))
    for start in range(0, X.shape[1], step):
        columns = slice(start, start + step)
        yield columns, np.array(X[chosen, columns].T, order="C")


def _filled_columns(X: Any, weights: np.ndarray | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield a few columns of a CSC matrix at a time.

    Those are left out where less than a quarter of the weight is on numbers other than 0, so that
    all quartiles are 0.
    """
    of_column = np.repeat(np.arange(X.shape[1]), np.diff(X.indptr))
    shares = np.bincount(
        of_column, None if weights is None else weights[X.indices], minlength=X.shape[1]
    )
    total = X.shape[0] if weights is None else weights.sum()
    filled = np.flatnonzero(shares >= (0.25 - _ROUNDING) * total)
    step = max(1, _QUARTILE_ELEMENTS // X.shape[0])
    for start in range(0, len(filled), step):
        columns = filled[start : start + step]
        block = X[:, columns]
        row = np.repeat(np.arange(len(columns)), np.diff(block.indptr))
        values = np.zeros((len(columns), X.shape[0]), X.dtype)
        values[row, block.indices] = block.data
        yield columns, values


def _quantiles(
    values: np.ndarray, weights: np.ndarray | None, shares: Sequence[float]
) -> np.ndarray:
    """Return quantiles of each row of ``values``, which come back in another order."""
    if weights is None:
        ranks = [math.ceil((share - _ROUNDING) * values.shape[1]) - 1 for share in shares]
        values.partition(sorted(set(ranks)), axis=1)
        return values[:, ranks].T
    order = np.argsort(values, axis=1)
    below = np.cumsum(weights[order], axis=1)
    quantiles = []
    for share in shares:
        rank = np.sum(below < (share - _ROUNDING) * below[:, -1:], axis=1, keepdims=True)
        quantiles.append(np.take_along_axis(values, np.take_along_axis(order, rank, 1), 1)[:, 0])
    return np.array(quantiles)
