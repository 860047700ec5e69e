"""Rows: the source of a network's inputs and targets, a few rows at a time.

Batches and prediction ask for rows by number. The source may be an array in memory, a memory map
whose rows are converted when read, or a sparse matrix. A layer sees none of that: it receives an
array, or a `SparseBlock` that can multiply.

Explained in the course: neuron.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class DenseRows:
    """Rows of an array in memory, or of a memory map.

    Parameters
    ----------
    array : ndarray of shape (n_samples, n_columns)
        The rows, of any real dtype.
    dtype : numpy.dtype
        The dtype to return them in.
    convert : callable, optional
        ``convert(rows, out=room)`` writes the network's view of some rows, such as scaled features;
        by default that is the rows themselves.

    Attributes
    ----------
    shape : tuple of int
        Numbers of rows and columns.
    source : ndarray
        The array.
    """

    def __init__(
        self, array: np.ndarray, dtype: np.dtype, convert: Callable[..., Any] | None = None
    ):
        self.source, self.dtype, self._convert = array, np.dtype(dtype), convert
        self.shape = array.shape
        self._as_is = convert is None and array.dtype == self.dtype

    def needs_room(self, gathered: bool) -> bool:
        """Tell whether `take` writes to ``out``, to gather rows by indices or to convert them."""
        return gathered or not self._as_is

    def take(self, chosen: Any, out: np.ndarray | None) -> np.ndarray:
        """Return some rows.

        Parameters
        ----------
        chosen : slice or ndarray of int
            Which ones.
        out : ndarray of shape (n_chosen or more, n_columns), or None
            Room for them; None unless `needs_room`.

        Returns
        -------
        rows : ndarray of shape (n_chosen, n_columns)
            A view of ``out``, or of the array.

        Raises
        ------
        ValueError
            If a value is too large for the dtype.
        """
        if out is None:
            return self.source[chosen]
        if self._as_is and not isinstance(chosen, slice) and self.source.flags.c_contiguous:
            # In another memory order, take would first copy the whole array; in another mode, it
            # would buffer the result and then copy it to ``out``.
            return self.source.take(chosen, axis=0, out=out[: len(chosen)], mode="clip")
        rows = self.source[chosen]
        out = out[: len(rows)]
        if self._convert is not None:
            return self._convert(rows, out=out)
        return cast(rows, self.dtype, out)


class SparseRows:
    """Rows of a sparse matrix X, or of ``X + 1 s``, where 1 is a column of ones.

    Scaling may shift a feature, which turns its zeros into other numbers. X stays sparse, and the
    shift s is kept apart.

    Parameters
    ----------
    matrix : sparse CSR matrix of shape (n_samples, n_columns)
        X.
    dtype : numpy.dtype
        The dtype to return rows in.
    shift : ndarray of shape (1, n_columns), optional
        s; nothing by default.
    convert : callable, optional
        Returns the network's view of some rows, without the shift; by default that is the rows
        themselves.

    Attributes
    ----------
    shape, source
        As `DenseRows`'.
    """

    def __init__(
        self,
        matrix: Any,
        dtype: np.dtype,
        shift: np.ndarray | None = None,
        convert: Callable[[Any], Any] | None = None,
    ):
        self.dtype, self.shape = np.dtype(dtype), matrix.shape
        self.source, self._convert = matrix, convert
        self._shift = None if shift is None else shift.astype(self.dtype)

    def needs_room(self, gathered: bool) -> bool:
        """Return False: sparse rows need no room."""
        return False

    def take(self, chosen: Any, out: Any = None) -> "SparseBlock":
        """Return some rows, by a slice or by indices."""
        rows = self.source[chosen]
        if self._convert is not None:
            rows = self._convert(rows)
        return SparseBlock(cast(rows, self.dtype), self._shift)


class OneHot:
    """One-hot targets, made from labels when needed.

    With many classes, the table of all one-hot rows is far larger than the labels, while training
    needs a batch of it at a time.

    Parameters
    ----------
    labels : ndarray of int of shape (n_samples,)
        Each row's class, from 0 on.
    n_classes : int
        Number of classes.
    values : ndarray of shape (2,)
        The targets of a row's other classes and of its own class, in the dtype of the rows: 0 and
        1, or numbers in between with label smoothing.

    Examples
    --------
    >>> import numpy as np
    >>> from skscratch.nn import OneHot
    >>> Y = OneHot(np.array([2, 0, 1]), 3, np.array([0.0, 1.0]))
    >>> np.asarray(Y[1:])
    array([[1., 0., 0.],
           [0., 1., 0.]])
    """

    def __init__(self, labels: np.ndarray, n_classes: int, values: np.ndarray):
        self.labels, self.n_classes, self.values = labels, n_classes, values
        self.shape, self.dtype = (len(labels), n_classes), values.dtype
        self._starts = np.empty(0, np.intp)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    def __getitem__(self, rows: Any) -> "OneHot":
        return OneHot(self.labels[rows], self.n_classes, self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("A OneHot holds labels; its table is always made anew.")
        table = self.take(slice(None), np.empty(self.shape, self.dtype))
        return table if dtype is None else table.astype(dtype, copy=False)

    def astype(self, dtype: Any) -> "OneHot":
        """Return the same targets in another dtype."""
        return OneHot(self.labels, self.n_classes, self.values.astype(dtype))

    @classmethod
    def join(cls, parts: Sequence["OneHot"]) -> "OneHot":
        """Concatenate several, which have the same classes and values."""
        labels = np.concatenate([part.labels for part in parts])
        return cls(labels, parts[0].n_classes, parts[0].values)

    def needs_room(self, gathered: bool) -> bool:
        """Return True: the rows are always made in ``out``."""
        return True

    def take(self, chosen: Any, out: Any) -> np.ndarray:
        """Write some rows, by a slice or by indices, to the start of ``out``, and return them."""
        labels = self.labels[chosen]
        n_rows, starts = len(labels), self._starts
        if n_rows > len(starts):  # other threads may be about it, too, for fewer rows
            self._starts = starts = np.arange(0, n_rows * self.n_classes, self.n_classes)
        out = out[:n_rows]
        out.fill(self.values[0])
        out.reshape(-1)[starts[:n_rows] + labels] = self.values[1]
        return out


class SparseBlock:
    """A batch of sparse rows ``X + 1 s``, the input of a first layer.

    X stays sparse, and the products account for the shift s::

        (X + 1 s) W = X W + s W            (X + 1 s)^T dZ = X^T dZ + s^T (1^T dZ)

    Parameters
    ----------
    matrix : sparse CSR matrix of shape (batch, n_in) or (K * batch, n_in)
        X. All networks of a stack share one batch, or each has its own: then the K batches follow
        one another.
    shift : ndarray of shape (1, n_in) or None
        s.
    stack : tuple of int, default=()
        The leading axes if each network has its own rows.
    """

    def __init__(self, matrix: Any, shift: np.ndarray | None = None, stack: tuple[int, ...] = ()):
        self._matrix, self._shift, self._stack = matrix, shift, stack

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, (..., batch, n_in)."""
        n_rows, n_columns = self._matrix.shape
        for length in self._stack:
            n_rows //= length
        return (*self._stack, n_rows, n_columns)

    def reshape(self, *shape: int) -> "SparseBlock":
        """Return the rows with leading axes, one for each axis of a stack."""
        return SparseBlock(self._matrix, self._shift, shape[:-2])

    def times(self, W: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Write the product with W of shape (..., n_in, n_out) to ``out``."""
        for member, X in self._members(out.shape[:-2]):
            out[member] = X @ W[member]
        if self._shift is not None:
            out += np.matmul(self._shift, W)
        return out

    def transposed_times(self, dZ: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Write the transposed rows' product with dZ of shape (..., batch, n_out) to ``out``."""
        for member, X in self._members(out.shape[:-2]):
            out[member] = X.T @ dZ[member]
        if self._shift is not None:
            out += self._shift.T * dZ.sum(axis=-2, keepdims=True)
        return out

    def _members(self, stack: tuple[int, ...]) -> Any:
        """Yield each network's index and rows."""
        n_rows = self.shape[-2]
        for k, member in enumerate(np.ndindex(stack)):
            own = slice(k * n_rows, (k + 1) * n_rows)
            yield member, self._matrix[own] if self._stack else self._matrix


Rows = DenseRows | SparseRows | OneHot


def as_rows(X: Any, dtype: Any) -> Rows:
    """Wrap an array or a sparse matrix; return `Rows` as they are."""
    if isinstance(X, np.ndarray):
        return DenseRows(X, dtype)
    return SparseRows(X, dtype) if hasattr(X, "tocsr") else X


def cast(X: Any, dtype: np.dtype, out: np.ndarray | None = None) -> Any:
    """Write X to ``out`` in another dtype, or return a copy, or X itself if it has the dtype.

    Raises
    ------
    ValueError
        If a value is too large for the dtype.
    """
    try:
        with np.errstate(over="raise"):
            if out is None:
                return X.astype(dtype, copy=False)
            np.copyto(out, X, casting="same_kind" if X.dtype.kind == "f" else "unsafe")
            return out
    except FloatingPointError as error:
        raise ValueError(
            f"There are values beyond the range of {dtype}, which ends at "
            f"{np.finfo(dtype).max:.2g}. Scale the data, or train with dtype='float64'."
        ) from error
