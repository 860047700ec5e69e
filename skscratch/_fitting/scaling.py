"""What the estimators learn of the features: how to scale them, and the bins of embeddings."""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse

from .precision import column_range
from .running import Running, canonical

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

    A column is centered on its median, divided by its spread, and its tails are squeezed into
    (-3, 3)::

        x' = (x - median) / spread      f(x) = x' / sqrt(1 + (x' / 3)^2)

    The spread is the distance of the quartiles, q75 - q25. A long tail would then lie far outside
    the bounds, and all of it become 3 or -3. It is therefore (q99 - q01) / 4 where that is more,
    but 4 (q75 - q25) at most, so that outliers hardly move it, however many and far. Where most
    rows have the same value, as zeros of rain or sales, those quantiles would tell nothing of the
    others: for the spread, the most frequent value counts half as much as all others together at
    most. A rare indicator so has a spread of 1. A constant becomes 0.

    Shifting and stretching a column does not change f, so that it makes no difference whether X has
    been standardized before.

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
        The factors, 1 / spread, or 0 for a constant.
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

        Of more than `MOST_ROWS` rows (of positive weight) the quantiles are those of so many, drawn
        at random, the same in each fit. Where these are all equal and others are not, the spread is
        the range of all rows. X is read in blocks.

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
    center, spread = np.zeros((2, X.shape[1]))
    for columns, values, of_values in _columns(X, rows, weights):
        center[columns] = _quantiles(values, of_values, [0.5])
        spread[columns] = _spread(values, of_values)
    with np.errstate(over="ignore", under="ignore"):
        if not spread.all():
            extent = _distance(*column_range(X, counted))
            spread = np.where(spread == 0, extent, spread)
        scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    return center, np.minimum(scale, _LARGEST)


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
            values, of_values = _sort(column[np.newaxis].copy(), weights)
            inner = _quantiles(values, of_values, shares)[:, 0]
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


def _distance(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return high - low, 0 where rounding may have made two numbers of what was meant to be one."""
    distance = np.minimum(high - low, _LARGEST)
    rounding = 8 * np.finfo(np.float64).eps * np.maximum(np.abs(low), np.abs(high))
    return np.where(distance <= rounding, 0.0, distance)


def _columns(
    X: Any, rows: np.ndarray | None, weights: np.ndarray | None
) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
    """Yield blocks of columns: which ones, their values in ascending order, and the weights.

    Values are of shape (n_columns, n_values), weights of the same, or one row for all columns.
    """
    if issparse(X):
        yield from _filled_columns((X if rows is None else X.tocsr()[rows]).tocsc(), weights)
        return
    chosen = slice(None) if rows is None else rows
    step = max(1, _QUARTILE_ELEMENTS // (len(X) if rows is None else len(rows)))
    for start in range(0, X.shape[1], step):
        columns = slice(start, start + step)
        yield columns, *_sort(np.array(X[chosen, columns].T, np.float64, order="C"), weights)


def _filled_columns(
    X: Any, weights: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the columns of a CSC matrix that store numbers, in blocks of about as many each.

    What a column does not store is one 0, with the weight of all of them.
    """
    n_stored = np.diff(X.indptr)
    total = X.shape[0] if weights is None else weights.sum()
    for size in range(int(n_stored.max(initial=0)).bit_length()):
        alike = np.flatnonzero((n_stored >= 2**size) & (n_stored < 2 ** (size + 1)))
        step = max(1, _QUARTILE_ELEMENTS // 2 ** (size + 1))
        for start in range(0, len(alike), step):
            columns = alike[start : start + step]
            block, count = X[:, columns], n_stored[columns]
            place = np.repeat(np.arange(len(columns)), count), _count_up(count)
            values, of_values = np.zeros((2, len(columns), count.max() + 1))
            values[place] = block.data
            of_values[place] = 1 if weights is None else weights[block.indices]
            rest = total - of_values.sum(axis=1)
            of_values[:, -1] = np.where(rest > _ROUNDING * total, rest, 0)
            order = np.argsort(values, axis=1)
            yield (
                columns,
                np.take_along_axis(values, order, axis=1),
                np.take_along_axis(of_values, order, axis=1),
            )


def _count_up(lengths: np.ndarray) -> np.ndarray:
    """Return 0, 1, ... up to each length in turn."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)


def _sort(values: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return each row of ``values`` in ascending order, and the weights that go with them."""
    if weights is None:
        values.sort(axis=1)
        return values, np.ones((1, values.shape[1]))
    order = np.argsort(values, axis=1)
    return np.take_along_axis(values, order, axis=1), weights[order]


def _quantiles(values: np.ndarray, weights: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Return quantiles of each row of ``values``, which ascend, as `_columns` yields them."""
    below = np.cumsum(weights, axis=1)
    ranks = [np.sum(below < (share - _ROUNDING) * below[:, -1:], axis=1) for share in shares]
    return np.array([values[np.arange(len(values)), rank] for rank in ranks])


def _spread(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the spread of each row of ``values``, see `RobustSmoothClip`."""
    # A value with more than a third of the weight is a quantile of one or two thirds.
    first, second = _quantiles(values, weights, [1 / 3, 2 / 3])[:, :, np.newaxis]
    of_first, of_second = (
        np.sum((values == value) * weights, axis=1, keepdims=True) for value in (first, second)
    )
    mode = np.where(of_first >= of_second, first, second)
    of_mode = np.maximum(of_first, of_second)
    of_others = weights.sum(axis=1, keepdims=True) - of_mode
    if np.any(of_mode > of_others / 2):
        most = np.minimum(1, of_others / (2 * of_mode))
        weights = np.where(values == mode, most * weights, weights)
    q01, q25, q75, q99 = _quantiles(values, weights, [0.01, 0.25, 0.75, 0.99])
    with np.errstate(over="ignore", under="ignore"):
        inner = _distance(q25, q75)
        return np.minimum(np.clip(_distance(q01, q99) / 4, inner, 4 * inner), _LARGEST)
