"""Centers and scales of columns, estimated from the rows of several calls."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from scipy import sparse

ENOUGH_ROWS = 100
"""A sample of so many rows is enough. More improve nothing that a network would notice."""

_OFF_CENTER = ENOUGH_ROWS // 4
_MOST_COUNTED = 1000

Estimate = Callable[[Any, np.ndarray | None], tuple[np.ndarray, np.ndarray]]
"""Returns center and scale of each column from rows and their weights, scale 0 for a constant."""


class Found(NamedTuple):
    """New centers and scales, and the columns that they are of."""

    columns: np.ndarray
    center: np.ndarray
    scale: np.ndarray


class Running:
    """What several calls know of their columns, and the rows to estimate more from.

    A sample of rows grows from call to call. When it has doubled, and when a column varies for the
    first time, center and scale are estimated from it anew. A sample of `ENOUGH_ROWS` is full: the
    columns of which a quarter of so many rows were off the center are settled. For the others,
    those that are constant or nearly so, another sample begins once one of them varies, with a row
    of the centers as all that it knows of the rows before, until it is full. What it finds
    replaces what was found in an earlier one if more of its rows are off the center: a sensor that
    is switched on late is scaled by what it shows then, and a rare word does not lose its scale.

    An object never changes: `add` returns another one.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_samples, n_columns)
        The rows of the first call.
    sample_weight : ndarray of shape (n_samples,) or None
        Their weights; those of weight 0 do not count.
    center : ndarray of shape (n_columns,)
        The centers that were estimated from them.
    """

    def __init__(self, X: Any, sample_weight: np.ndarray | None, center: np.ndarray):
        self._columns = np.arange(X.shape[1])
        self._off_center = np.zeros(X.shape[1], int)  # of the full sample that found the most
        self._chunks: tuple[tuple[Any, np.ndarray | None], ...] = ()
        self._n_rows = self._n_estimated = self._n_standing = 0
        X, sample_weight = _of_weight(X, sample_weight)
        if X.shape[0] < ENOUGH_ROWS:
            self._chunks = ((X.copy(), sample_weight),)
            self._n_rows = self._n_estimated = X.shape[0]
        else:
            self._settle(_count_off(X[_counted(X)], center))

    def add(
        self,
        X: Any,
        sample_weight: np.ndarray | None,
        center: np.ndarray,
        is_constant: np.ndarray,
        estimate: Estimate,
    ) -> tuple[Self, Found | None]:
        """Learn from the rows of another call.

        Parameters
        ----------
        X : {ndarray, sparse matrix} of shape (n_samples, n_columns)
            The rows.
        sample_weight : ndarray of shape (n_samples,) or None
            Their weights.
        center : ndarray of shape (n_columns,)
            The centers so far.
        is_constant : ndarray of bool of shape (n_columns,)
            The columns that have been constant so far.
        estimate : callable
            Estimates center and scale.

        Returns
        -------
        running : Running
            What is known then, the same object if nothing was learned.
        found : Found or None
            New estimates.
        """
        columns = self._columns
        if not len(columns):
            return self, None
        X, sample_weight = _of_weight(X, sample_weight)
        is_sample = X.shape[0] >= ENOUGH_ROWS
        if len(columns) < X.shape[1]:
            if is_sample:
                counted = _counted(X)
                X, sample_weight = (
                    X[counted],
                    None if sample_weight is None else sample_weight[counted],
                )
            X = X[:, columns]
        elif not is_sample:
            X = X.copy()
        center = center[columns]
        off = _count_off(X[_counted(X)], center)
        if not (self._chunks or off.any()):
            return self, None
        other = copy.copy(self)
        if is_sample:
            other._chunks, other._n_rows, other._n_standing = (), 0, 0
        elif not self._chunks:
            weight = None if sample_weight is None else sample_weight.mean(keepdims=True)
            other._chunks, other._n_rows, other._n_standing = ((center[np.newaxis], weight),), 1, 1
        other._chunks += ((X, sample_weight),)
        other._n_rows += X.shape[0]
        is_full = other._n_rows >= ENOUGH_ROWS
        if is_full or other._n_rows >= 2 * other._n_estimated:
            due, other._n_estimated = np.arange(len(columns)), other._n_rows
        else:
            due = np.flatnonzero(is_constant[columns] & (off > 0))
        if not len(due):
            return other, None
        X, sample_weight = _stack(other._chunks)
        other._chunks = ((X, sample_weight),)
        if is_full:  # the row that stands for those before would be an outlier now
            X = X[other._n_standing :]
            sample_weight = None if sample_weight is None else sample_weight[other._n_standing :]
        if len(due) < len(columns):
            X = X[:, due]
        centers, scales = estimate(X, sample_weight)
        off = np.where(scales > 0, np.maximum(_count_off(X[_counted(X)], centers), 1), 0)
        better = np.flatnonzero(off > self._off_center[columns[due]])
        if is_full:
            other._settle(off)
        return other, Found(columns[due][better], centers[better], scales[better])

    def _settle(self, off: np.ndarray) -> None:
        """End a full sample, and go on with the columns that it does not settle."""
        columns = self._columns
        self._off_center = self._off_center.copy()
        self._off_center[columns] = np.maximum(self._off_center[columns], off)
        self._columns = columns[self._off_center[columns] < _OFF_CENTER]
        self._chunks, self._n_rows, self._n_estimated, self._n_standing = (), 0, 0, 0

    def without(self, columns: Sequence[int]) -> Self:
        """Return a copy for which these columns are settled."""
        other = copy.copy(self)
        kept = ~np.isin(self._columns, columns)
        other._columns = self._columns[kept]
        other._chunks = tuple((X[:, np.flatnonzero(kept)], w) for X, w in self._chunks)
        return other

    def without_rows(self, center: np.ndarray) -> Self:
        """Return a copy that holds no rows, to be stored for prediction."""
        other = copy.copy(self)
        if self._chunks:
            other._chunks, other._n_rows, other._n_estimated, other._n_standing = (), 0, 0, 0
            off = _count_off(_stack(self._chunks)[0], center[self._columns])
            other._off_center = self._off_center.copy()
            other._off_center[self._columns] = np.maximum(off, self._off_center[self._columns])
        return other


def _of_weight(X: Any, sample_weight: np.ndarray | None) -> tuple[Any, np.ndarray | None]:
    """Return the rows that have a weight, of sparse X with no element stored in parts."""
    if sparse.issparse(X):
        X = canonical(X.tocsr())
    if sample_weight is None or sample_weight.all():
        return X, sample_weight
    rows = np.flatnonzero(sample_weight)
    return X[rows], sample_weight[rows]


def canonical(X: Any) -> Any:
    """Return sparse X with no element stored in parts; the caller's matrix stays as it is."""
    if X.has_canonical_format:
        return X
    X = X.copy()
    X.sum_duplicates()
    return X


def _counted(X: Any) -> slice:
    """Return the rows to look at, which are not all if there are many."""
    return slice(None, None, max(1, X.shape[0] // _MOST_COUNTED))


def _count_off(X: Any, center: np.ndarray) -> np.ndarray:
    """Count each column's values that are not its center."""
    if not sparse.issparse(X):
        return np.count_nonzero(center != X, axis=0)
    # Zeros are not stored, or may be all the same.
    others = np.bincount(X.indices[X.data != 0], minlength=X.shape[1])
    centered = X.data == center[X.indices]
    same = np.bincount(X.indices[centered], minlength=X.shape[1])
    return np.where(center == 0, others, X.shape[0] - same)


def _stack(chunks: tuple[tuple[Any, np.ndarray | None], ...]) -> tuple[Any, np.ndarray | None]:
    """Return the rows of all chunks one below the other, and their weights."""
    if len(chunks) == 1:
        return chunks[0]
    rows, weights = zip(*chunks, strict=True)
    if any(map(sparse.issparse, rows)):
        X = sparse.vstack([sparse.csr_array(part) for part in rows], format="csr")
    else:
        X = np.concatenate(rows)
    if all(w is None for w in weights):
        return X, None
    return X, np.concatenate([np.ones(part.shape[0]) if w is None else w for part, w in chunks])
