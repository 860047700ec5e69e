"""Batches: the training rows in mini-batches, in a new order each epoch.

Explained in the course: optimization, committee.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from .rows import DenseRows, as_rows

# Several small batches are gathered at once, since the calls take longer than the copying: as many
# as fit into the processor's fastest cache.
_GATHERED_ELEMENTS = 2**13


class Batch(NamedTuple):
    """The rows of one step.

    The networks of a stack share them; if each has its own, X, Y and weights have leading axes.

    Attributes
    ----------
    X : ndarray or SparseBlock of shape (..., batch, n_in)
        Inputs.
    Y : ndarray of shape (..., batch, n_out)
        Targets.
    weights : ndarray of shape (..., batch, 1) or (..., batch, n_out), or None, default=None
        Weights of the rows, or of each output in each row.
    counts : ndarray of int of shape (K, 1), or None, default=None
        For each of K networks, how many of its rows count, the first ones; None if all do.
    """

    X: Any
    Y: np.ndarray
    weights: np.ndarray | None = None
    counts: np.ndarray | None = None

    @property
    def n_rows(self) -> Any:
        """The number of rows that count, or one number for each network."""
        return self.Y.shape[-2] if self.counts is None else self.counts


class Batches:
    """The batches of an epoch; iterate again for the next epoch.

    A batch lives in buffers that the next one overwrites. Batches in the original order, and a
    single batch of everything, are not copied.

    Parameters
    ----------
    X : ndarray, sparse CSR matrix or Rows, of shape (n_samples, n_features)
        The inputs.
    Y : ndarray or Rows, of shape (n_samples, n_outputs)
        The targets, of the network's dtype.
    weights : ndarray of shape (..., n_samples, 1) or (..., n_samples, n_outputs), or None
        Weights of the rows, or of each output in each row, in the network's dtype and with mean 1
        over the rows used. With a leading axis, each network has its own.
    batch_size : int, optional
        Rows in a batch; the last may have fewer. By default, all rows.
    streams : sequence of numpy.random.Generator, default=()
        Sources of each epoch's order: one draws an order that all networks share, and K draw one
        for each of K networks. Without any, rows keep their original order.
    rows : ndarray of int, or sequence of such, optional
        Indices of the rows to use, by default all: one array for all networks, or one for each.
        Networks side by side make their steps together, so each must have the same number of
        batches, and only the last may differ in size.
    join_single : bool, default=False
        Whether a last batch of a single row joins the one before it. Batch normalization needs
        that, as a single row has no variance.

    Attributes
    ----------
    n_samples : int
        Rows in an epoch, of the network with the most.
    batch_size : int
        Rows in a full batch.
    largest : int
        Rows in the largest batch.

    Raises
    ------
    ValueError
        If networks side by side have different numbers of batches.
    """

    def __init__(
        self,
        X: Any,
        Y: Any,
        weights: np.ndarray | None = None,
        *,
        batch_size: int | None = None,
        streams: Sequence[np.random.Generator] = (),
        rows: Any = None,
        join_single: bool = False,
    ):
        dtype = Y.dtype
        self._X, self._Y, self._streams = as_rows(X, dtype), as_rows(Y, dtype), streams
        parts = _parts(rows, self._Y.shape[0], len(streams))
        counts = [len(part) for part in parts]
        self.n_samples = max(counts)
        self.batch_size = min(batch_size or self.n_samples, self.n_samples)
        starts = [batch_starts(count, self.batch_size, join_single) for count in counts]
        if any(found != starts[0] for found in starts):
            raise ValueError(
                f"Networks side by side need as many batches each, got {sorted(set(counts))} rows "
                f"in batches of {self.batch_size}."
            )
        self._bounds = [*starts[0], self.n_samples]
        self.largest = max(stop - start for start, stop in pairwise(self._bounds))
        # The order within a batch does not matter, so a single batch needs no shuffling.
        if len(self) == 1:
            self._streams = ()
        in_order = rows is None and not self._streams
        self._parts, self._weights = parts, weights
        self._stack = (len(parts),) if len(parts) > 1 and not in_order else ()
        self._order: np.ndarray | None = None if in_order else self._pad(parts)
        self._make_last(counts)
        self._make_room(dtype)

    def _pad(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Return row indices of shape (..., n_samples), filled up with each network's last row."""
        if not self._stack:
            return parts[0]
        order = np.empty((len(parts), self.n_samples), np.intp)
        for own, part in zip(order, parts, strict=True):
            own[: len(part)], own[len(part) :] = part, part[-1]
        return order

    def _make_last(self, counts: Sequence[int]) -> None:
        """Set the last batch's weights: 0 for rows that fill it up, and more for the others."""
        self._last_counts: np.ndarray | None = None
        if min(counts) < self.n_samples:
            start, stop = self._bounds[-2:]
            self._last_counts = np.array(counts)[:, np.newaxis] - start
            counted = np.arange(stop - start) < self._last_counts
            factors = np.where(counted, (stop - start) / self._last_counts, 0)
            self._last_weights = factors[..., np.newaxis].astype(self._Y.dtype)

    def _make_room(self, dtype: np.dtype) -> None:
        """Make the buffers for rows that are gathered or converted."""
        gathered = self._order is not None
        n_networks, widest = math.prod(self._stack), max(1, self._X.shape[1], self._Y.shape[1])
        self._at_once = 1
        if gathered and isinstance(self._X, DenseRows):
            numbers = n_networks * self.batch_size * widest
            self._at_once = min(max(1, _GATHERED_ELEMENTS // numbers), len(self))
        n_rows = n_networks * ((self._at_once - 1) * self.batch_size + self.largest)

        def room(rows: Any) -> np.ndarray | None:
            needed = rows is not None and rows.needs_room(gathered)
            return np.empty((n_rows, rows.shape[1]), dtype) if needed else None

        shared = None
        if self._weights is not None and self._weights.ndim == 2:
            shared = as_rows(self._weights, dtype)
        self._shared_weights = shared
        self._rooms = room(self._X), room(self._Y), room(shared)

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return len(self._bounds) - 1

    def __iter__(self) -> Iterator[Batch]:
        order = self._shuffled()
        last = self._bounds[-2]
        for first in range(0, len(self), self._at_once):
            bounds = self._bounds[first : first + self._at_once + 1]
            X, Y, weights = self._gather(order, bounds[0], bounds[-1])
            for start, stop in pairwise(bounds):
                batch_X, batch_Y, own, counts = X, Y, weights, None
                if self._at_once > 1:
                    rows: Any = slice(start - bounds[0], stop - bounds[0])
                    part = (..., rows, slice(None)) if self._stack else rows
                    batch_X, batch_Y = X[part], Y[part]
                    own = None if weights is None else weights[..., rows, :]
                if start == last and self._last_counts is not None:
                    own = self._last_weights if own is None else own * self._last_weights
                    counts = self._last_counts
                yield Batch(batch_X, batch_Y, own, counts)

    def _shuffled(self) -> np.ndarray | None:
        """Return the epoch's row indices of shape (..., n_samples), or None for 0, 1, 2, ..."""
        if not self._streams:
            return self._order
        if not self._stack:
            (part,), (stream,) = self._parts, self._streams
            return stream.permutation(part)
        streams = list(self._streams) * (len(self._parts) if len(self._streams) == 1 else 1)
        return self._pad(
            [stream.permutation(part) for part, stream in zip(self._parts, streams, strict=True)]
        )

    def _gather(
        self, order: np.ndarray | None, start: int, stop: int
    ) -> tuple[Any, np.ndarray, np.ndarray | None]:
        """Return inputs, targets and weights from ``start`` to ``stop`` in the epoch's order."""
        chosen: Any = slice(start, stop) if order is None else order[..., start:stop]
        flat = chosen.ravel() if self._stack else chosen
        rooms = self._rooms
        weights: Any = self._weights
        X: Any = self._X.take(flat, rooms[0])
        Y: Any = self._Y.take(flat, rooms[1])
        if self._shared_weights is not None:
            weights = self._shared_weights.take(flat, rooms[2])
        elif weights is not None and self._stack:  # each network has its own weights and rows
            weights = np.take_along_axis(weights, chosen[..., np.newaxis], axis=-2)
        elif weights is not None:  # each network has its own weights, and all share the rows
            weights = weights[..., chosen, :]
        if self._stack:
            shape = (*self._stack, stop - start)
            X, Y = X.reshape(*shape, X.shape[-1]), Y.reshape(*shape, Y.shape[-1])
            if self._shared_weights is not None:
                weights = weights.reshape(*shape, weights.shape[-1])
        return X, Y, weights


def _parts(rows: Any, n_samples: int, n_streams: int) -> list[np.ndarray]:
    """Return a list of row indices: one array that all networks share, or one for each."""
    if rows is None:
        rows = np.arange(n_samples)
    several = np.ndim(rows[0]) > 0
    parts = [np.asarray(part) for part in rows] if several else [np.asarray(rows)]
    return parts * n_streams if n_streams > 1 and not several else parts


def batch_starts(n_rows: int, batch_size: int, join_single: bool = False) -> list[int]:
    """Return the first row of each batch of an epoch."""
    starts = list(range(0, n_rows, batch_size))
    if join_single and len(starts) > 1 and starts[-1] == n_rows - 1:
        starts.pop()
    return starts
