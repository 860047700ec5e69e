"""Batches: the training rows, in mini-batches, in a new order each epoch."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

Batch = tuple[Any, np.ndarray, np.ndarray | None]

# Small batches are gathered several at a time, as many as stay in a processor's fastest cache: the
# calls take longer than the copying.
_GATHERED_ELEMENTS = 2**13


class OneHot:
    """The targets of exclusive classes: labels that become rows of 0s and a 1 when needed.

    With many classes the table of all rows is far larger than the labels, and no more than a
    batch's part of it is ever in use. Rows are taken by indexing, as from the table;
    ``numpy.asarray`` makes the table of those taken.

    Parameters
    ----------
    labels : ndarray of int of shape (n_samples,)
        Each row's class, from 0 on.
    n_classes : int
        Number of classes.
    values : ndarray of shape (2,)
        What stands for the other classes and for the row's own, in the table's dtype: 0 and 1, or
        with label smoothing numbers between.

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
        self._starts = np.empty(0, np.intp)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.labels), self.n_classes

    @property
    def dtype(self) -> np.dtype:
        return self.values.dtype

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    def __getitem__(self, rows: Any) -> "OneHot":
        return OneHot(self.labels[rows], self.n_classes, self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("A OneHot holds labels; its table is always made anew.")
        table = self.write(slice(None), np.empty(self.shape, self.dtype))
        return table if dtype is None else table.astype(dtype, copy=False)

    def astype(self, dtype: Any) -> "OneHot":
        """Return the same targets, whose table has another dtype."""
        return OneHot(self.labels, self.n_classes, self.values.astype(dtype))

    @classmethod
    def join(cls, parts: Sequence["OneHot"]) -> "OneHot":
        """Return the rows of several, one after another."""
        labels = np.concatenate([part.labels for part in parts])
        return cls(labels, parts[0].n_classes, parts[0].values)

    def write(self, rows: Any, room: np.ndarray) -> np.ndarray:
        """Write the chosen rows (a slice or indices) to the first of ``room``, and return these."""
        labels = self.labels[rows]
        n_rows = len(labels)
        if n_rows > len(self._starts):
            self._starts = np.arange(0, n_rows * self.n_classes, self.n_classes)
        room = room[:n_rows]
        room.fill(self.values[0])
        room.reshape(-1)[self._starts[:n_rows] + labels] = self.values[1]
        return room


class Batches:
    """An epoch's batches, each time it is iterated over.

    Rows are gathered into buffers that are overwritten by the next batch; nothing is copied when
    the batch is everything, or when rows are taken in order.

    Parameters
    ----------
    X : ndarray or sparse CSR matrix of shape (n_samples, n_features)
        The inputs.
    Y : ndarray or OneHot of shape (n_samples, n_outputs)
        The targets, of the network's dtype.
    weights : ndarray of shape (n_samples,) or (n_samples, n_outputs), or None
        Weights of the rows, or of each output in each row, of the network's dtype and with mean 1
        over the rows used.
    batch_size : int or None, default=None
        Rows of a batch; the last one may have fewer. None, or more than there are: all rows.
    rng : numpy.random.Generator or None, default=None
        The source of each epoch's order; None keeps the rows in theirs.
    rows : ndarray of int, optional
        Indices of the rows to use, all by default. It spares a copy of a training part.
    join_single : bool, default=False
        Whether a last batch of a single row joins the one before it, as batch normalization
        needs: a single row has no variance.
    prepare : callable, optional
        ``prepare(rows, out=room)`` writes the network's inputs for rows of X, an array, to where
        the batch is gathered; by default they are its inputs already, up to the dtype.

    Attributes
    ----------
    n_samples : int
        Number of rows of an epoch.
    batch_size : int
        Number of rows of a full batch.
    largest : int
        Number of rows of the largest batch.
    """

    def __init__(
        self,
        X: Any,
        Y: np.ndarray | OneHot,
        weights: np.ndarray | None = None,
        *,
        batch_size: int | None = None,
        rng: np.random.Generator | None = None,
        rows: np.ndarray | None = None,
        join_single: bool = False,
        prepare: Callable[..., Any] | None = None,
    ):
        self.n_samples = len(Y) if rows is None else len(rows)
        self.batch_size = min(batch_size or self.n_samples, self.n_samples)
        if isinstance(Y, OneHot) and self.batch_size == self.n_samples:
            Y = np.asarray(Y)  # the batch is everything, and its table is made once
        self._X, self._Y, self._weights, self._rng, self._rows = X, Y, weights, rng, rows
        # The order within a batch does not matter: with a single one there is nothing to shuffle.
        if self.batch_size == self.n_samples:
            self._rng = None
        self._starts = list(range(0, self.n_samples, self.batch_size))
        self.largest = self.batch_size
        if join_single and len(self._starts) > 1 and self._starts[-1] == self.n_samples - 1:
            self._starts.pop()
            self.largest += 1
        # What has to be gathered, or comes in another dtype (as a memory map may), needs room.
        gathered = self._rng is not None or rows is not None
        self._at_once = 1
        if gathered and isinstance(X, np.ndarray):
            widest = max(1, X.shape[1], Y.shape[1])
            self._at_once = max(1, _GATHERED_ELEMENTS // (self.batch_size * widest))
            self._at_once = min(self._at_once, len(self._starts))
        n_rows = (self._at_once - 1) * self.batch_size + self.largest
        self._room = [
            np.empty((n_rows, *array.shape[1:]), Y.dtype)
            if isinstance(array, OneHot)
            or (isinstance(array, np.ndarray) and (gathered or how or array.dtype != Y.dtype))
            else None
            for array, how in ((X, prepare), (Y, None), (weights, None))
        ]
        self._prepare = prepare

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return len(self._starts)

    def __iter__(self) -> Iterator[Batch]:
        order = self._rows
        if self._rng is not None:
            order = self._rng.permutation(self.n_samples if order is None else order)
        bounds = [*self._starts, self.n_samples]
        for first in range(0, len(self), self._at_once):
            several = bounds[first : first + self._at_once + 1]
            chosen: Any = slice(several[0], several[-1])
            if order is not None:
                chosen = order[chosen]
            room = self._room
            X = _pick(self._X, chosen, room[0], self._prepare)
            Y, weights = _pick(self._Y, chosen, room[1]), _pick(self._weights, chosen, room[2])
            if self._at_once == 1:
                yield X, Y, weights
                continue
            for start, stop in pairwise(several):
                one = slice(start - several[0], stop - several[0])
                yield X[one], Y[one], None if weights is None else weights[one]


def _pick(
    array: Any,
    chosen: Any,
    room: np.ndarray | None,
    prepare: Callable[..., Any] | None = None,
) -> Any:
    """Return the chosen rows (a slice or indices), in ``room`` if they need any."""
    if array is None or room is None:
        return None if array is None else array[chosen]
    if isinstance(array, OneHot):
        return array.write(chosen, room)
    if prepare is not None:
        picked = array[chosen]
        return prepare(picked, out=room[: len(picked)])
    if isinstance(chosen, slice) or array.dtype != room.dtype or not array.flags.c_contiguous:
        picked = array[chosen]
        room = room[: len(picked)]
        room[...] = picked
        return room
    # np.take would first copy the whole of an array in another order, and with another mode it
    # would buffer its result and copy it to ``out`` afterwards.
    return array.take(chosen, axis=0, out=room[: len(chosen)], mode="clip")
