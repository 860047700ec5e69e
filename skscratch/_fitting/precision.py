"""Precision: whether float32 is enough for the data, or float64 is needed.

Weights start near 1 and targets are of order 1, whatever the features' scale. A column of large
values, or of values with a large offset, therefore swamps the others in the sums that a layer
makes, and float32 rounds the rest away. The limits were found by training in both precisions over
ranges of scale and offset, with and without batch normalization: within them the scores differ by
less than those of two random states do, or by as much as after a change of X by 1e-10; at ten times
the first or four times the last limit by several times that.
"""

from typing import Any

import numpy as np
from scipy.sparse import issparse

LARGEST = 1e5
"""Above this, float32 rounds to more than a hundredth: as much as matters in a logit."""
SMALLEST = 1e-19
"""Below this, the square, which Adam and others average, is below float32's smallest number."""
LARGEST_OFFSET = 100
"""The most times its range that a column's largest value may be."""

# A block should stay in the processor's cache for both of its passes.
_BLOCK_ELEMENTS = 2**17


def fits_float32(X: Any) -> bool:
    """Say whether training on X in float32 is as accurate as it need be.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_columns)
        Finite inputs or encoded targets, of any real dtype. What is float32 already counts as well:
        it is the computation that loses digits, far more than the conversion.

    Returns
    -------
    fits : bool
        Whether each column that is not 0 throughout has a largest absolute value between
        `SMALLEST` and `LARGEST`, and a range of a share of that which is not too small. A constant
        column has no range to lose.
    """
    low, high = column_range(X)
    largest = np.maximum(-low, high)
    if np.any(largest > LARGEST) or np.any((largest > 0) & (largest < SMALLEST)):
        return False
    spread = high - low
    # Rounding may have made different numbers of what was meant to be constant.
    varies = spread > 8 * np.finfo(np.float64).eps * largest
    return not np.any(varies & (spread * LARGEST_OFFSET < largest))


def column_range(X: Any, rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return each column's smallest and largest value, reading X (maybe from a disk) once.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_columns)
        Finite numbers of any real dtype.
    rows : ndarray of int, optional
        Indices of the rows that count, all by default.

    Returns
    -------
    low, high : ndarray of shape (n_columns,)
        The extremes, in float64.
    """
    if issparse(X):
        return _sparse_range(X.tocsr() if rows is None else X.tocsr()[rows])
    low, high = _nothing(X.shape[1])
    n_rows = max(1, _BLOCK_ELEMENTS // X.shape[1])
    for start in range(0, X.shape[0] if rows is None else len(rows), n_rows):
        part = slice(start, start + n_rows)
        block = X[part if rows is None else rows[part]]
        np.minimum(low, block.min(axis=0), out=low)
        np.maximum(high, block.max(axis=0), out=high)
    return low, high


def _sparse_range(X: Any) -> tuple[np.ndarray, np.ndarray]:
    low, high = _nothing(X.shape[1])
    np.minimum.at(low, X.indices, X.data)
    np.maximum.at(high, X.indices, X.data)
    has_zeros = np.bincount(X.indices, minlength=X.shape[1]) < X.shape[0]
    np.minimum(low, 0, out=low, where=has_zeros)
    np.maximum(high, 0, out=high, where=has_zeros)
    return low, high


def _nothing(n_columns: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full(n_columns, np.inf), np.full(n_columns, -np.inf)
