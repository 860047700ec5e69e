"""The workspace: the memory of forward and backward passes.

Each layer makes its arrays once, in its cache, so a step allocates no memory. The last, shorter
batch of an epoch uses the first rows of the same arrays.

Explained in the course: backpropagation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from .blocks import BLOCK


@dataclass
class Context:
    """The part of a batch that layers need, and the sources of dropout.

    Attributes
    ----------
    streams : sequence of numpy.random.Generator
        The dropout streams, one for each network of the stack.
    weights, counts : ndarray or None
        As in `Batch`.
    """

    streams: Sequence[np.random.Generator]
    weights: np.ndarray | None = None
    counts: np.ndarray | None = None

    def draw(self, M: np.ndarray) -> None:
        """Fill M, of shape (..., batch, units), with uniform numbers in [0, 1).

        Rows that do not count draw nothing, so each network draws the same numbers as if alone.
        """
        counts: list[Any] = [None] * len(self.streams)
        if self.counts is not None:
            counts = self.counts.ravel().tolist()
        members = np.ndindex(M.shape[:-2])
        for stream, member, n_rows in zip(self.streams, members, counts, strict=True):
            stream.random(out=M[member][:n_rows], dtype=M.dtype)


class Workspace:
    """All arrays that forward and backward passes write to, for one batch size.

    Parameters
    ----------
    network : Network
        The network.
    n_rows : int
        Rows in a batch.
    training : bool, default=False
        Whether to make room for gradients; without it, the attributes below are None.
    streams : sequence of numpy.random.Generator, default=()
        The sources of dropout, one for each network of the stack.

    Attributes
    ----------
    context : Context
        Shared by all layers; each training step updates it.
    caches : list of SimpleNamespace
        Each layer's arrays.
    gradient : Parameters or None
        The gradient of the loss, laid out like the network's parameters.
    dZ : ndarray of shape (..., n_rows, n_out) or None
        The gradient with respect to the logits.
    scratch : ndarray of shape (..., block) or None
        Room for an intermediate result, for a block of the weights.
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
        # Typed as Any, since code that trains need not check for None.
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

        The layers ask for the same arrays in the same order, so each gets the first rows of its
        array here. Every size is made once.
        """
        if n_rows == self._n_rows:
            return self
        if n_rows not in self._smaller:
            smaller = object.__new__(Workspace)
            smaller.__dict__.update(self.__dict__)
            # With the same dict it would refer to itself, a cycle that delays freeing its memory.
            smaller._n_rows, smaller._smaller = n_rows, {}
            arrays = iter(self._arrays)
            smaller._prepare(lambda width: next(arrays)[..., :n_rows, :])
            self._smaller[n_rows] = smaller
        return self._smaller[n_rows]
