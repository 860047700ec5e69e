"""The workspace: the memory that forward and backward passes compute in.

A pass writes to arrays that were made beforehand, so training allocates nothing from step to step.
Each layer asks for its arrays once, in its cache; the last, shorter batch gets the first rows of
the same memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from .blocks import BLOCK


@dataclass
class Context:
    """What all layers know of the current batch.

    Attributes
    ----------
    streams : sequence of numpy.random.Generator
        The dropout streams, one for each network of the stack.
    weights : ndarray of shape (..., batch, 1) or (..., batch, n_out), or None
        Weights of the rows, or of each output in each row.
    counts : ndarray of int of shape (K, 1), or None
        For each network the number of rows that count; None if all do.
    """

    streams: Sequence[np.random.Generator]
    weights: np.ndarray | None = None
    counts: np.ndarray | None = None

    def draw(self, M: np.ndarray) -> None:
        """Fill M, of shape (..., batch, units), with uniform numbers from 0 to 1.

        A network draws for the rows that count, as many as if it were alone.
        """
        counts: list[Any] = [None] * len(self.streams)
        if self.counts is not None:
            counts = self.counts.ravel().tolist()
        members = np.ndindex(M.shape[:-2])
        for stream, member, n_rows in zip(self.streams, members, counts, strict=True):
            stream.random(out=M[member][:n_rows], dtype=M.dtype)


class Workspace:
    """Everything that forward and backward passes of one batch size write to.

    Parameters
    ----------
    network : Network
        The network to compute.
    n_rows : int
        Rows of a batch.
    training : bool, default=False
        Whether there will be backward passes.
    streams : sequence of numpy.random.Generator, default=()
        The dropout streams, one for each network of the stack.

    Attributes
    ----------
    context : Context
        What the layers know of the current batch; the training step sets it.
    caches : list of SimpleNamespace
        Each layer's arrays.
    gradient : Parameters or None
        dL/dparameters, shaped like the network's.
    dZ : ndarray of shape (..., n_rows, n_out) or None
        Room for dL/dlogits.
    scratch : ndarray of shape (..., n) or None
        Room for one result for a block of the weights.
    """

    def __init__(
        self,
        network: Any,
        n_rows: int,
        *,
        training: bool = False,
        streams: Sequence[np.random.Generator] = (),
    ):
        self._network, self._n_rows = network, n_rows
        self.context = Context(streams)
        self._smaller: dict[int, Workspace] = {}
        self._arrays: list[np.ndarray] = []
        # Any, since whoever trains may rely on them.
        self.gradient: Any = network.parameters.like() if training else None
        weights = network.parameters.penalized
        self.scratch: Any = np.empty_like(weights[..., :BLOCK]) if training else None
        self._prepare(self._allocate)

    def _allocate(self, width: int) -> np.ndarray:
        shape = (*self._network.stack, self._n_rows, width)
        self._arrays.append(np.empty(shape, self._network.dtype))
        return self._arrays[-1]

    def _prepare(self, room) -> None:
        network, layers = self._network, self._network.layers
        gradients: Sequence[Sequence[np.ndarray] | None] = [None] * len(layers)
        if self.gradient is not None:
            gradients = network.per_layer(self.gradient)
        self.caches: list[SimpleNamespace] = [
            layer.prepare(room, views, self.context)
            for layer, views in zip(layers, gradients, strict=True)
        ]
        self.forward_order = list(zip(layers, self.caches, strict=True))
        self.backward_order = self.forward_order[::-1]
        self.dZ: Any = room(layers[-1].n_out) if self.gradient is not None else None

    def for_rows(self, n_rows: int) -> "Workspace":
        """Return this workspace, or one for fewer rows that shares its memory.

        The layers ask for the same arrays in the same order, so that each gets the first rows
        of the one it got here. A run meets two sizes, full batches and the last one; both are
        made once.
        """
        if n_rows == self._n_rows:
            return self
        if n_rows not in self._smaller:
            smaller = object.__new__(Workspace)
            smaller.__dict__.update(self.__dict__)
            # With itself among its own, all this memory would wait for the garbage collector.
            smaller._n_rows, smaller._smaller = n_rows, {}
            arrays = iter(self._arrays)
            smaller._prepare(lambda width: next(arrays)[..., :n_rows, :])
            self._smaller[n_rows] = smaller
        return self._smaller[n_rows]
