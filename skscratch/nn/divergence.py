"""Divergence: which number first stopped being finite, in words.

A step's loss is looked at before the parameters move, as one bad step would make all of them NaN:
what is not finite yet tells where it began.
"""

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .layers import Dense, Layer
from .network import Network
from .workspace import Workspace

UNWARNED: Any = {"over": "ignore", "under": "ignore", "invalid": "ignore", "divide": "ignore"}
"""NumPy's error state where overflow is no warning of NumPy's but an error of ours."""

SUSPICIOUS = 1e6
"""Parameters of healthy networks are smaller; of others the outputs are looked at."""


class DivergenceError(ValueError):
    """Training has come to numbers that are not finite; the message says where, and what to try.

    The arguments are what happened and, if known, what to try, a sentence each.
    """

    def __str__(self) -> str:
        return " ".join(map(str, self.args))


def is_finite(value: Any) -> bool:
    """Say whether a loss, or all losses of a stack, are finite."""
    return bool(np.isfinite(value).all()) if np.ndim(value) else math.isfinite(value)


def members(network: Network, which: Any) -> list[tuple[int, ...]]:
    """List the indices of those networks of a stack for which ``which`` is true."""
    return [index for index in np.ndindex(network.stack) if np.asarray(which)[index]]


def explain_loss(network: Network, index: tuple[int, ...], X: Any, workspace: Workspace) -> str:
    """Say where the infinite loss of one network began.

    Parameters
    ----------
    network : Network
        One network, or a stack.
    index : tuple of int
        Which one of them; ``()`` if there is one.
    X : ndarray or SparseBlock of shape (..., batch, n_in)
        The inputs of the step. They pass through the network once more; dropout draws anew for
        that, and may have spoiled another layer in the step itself.
    workspace : Workspace
        What the step was computed in.
    """
    # Other networks of the stack go on: their streams and running averages must not move.
    context, running = workspace.context, network.statistics.vector.copy()
    streams, context.streams = context.streams, copy.deepcopy(context.streams)
    try:
        for (name, layer, views), cache in zip(_layers(network), workspace.caches, strict=True):
            if not all(np.isfinite(view[index]).all() for view in views):
                return f"the parameters of {name}"
            X = layer.forward(X, cache)
            if not np.isfinite(X[index]).all():
                return f"the outputs of {name}"
        return f"the loss, penalty included, of outputs up to {np.abs(X[index]).max():.2g}"
    finally:
        context.streams = streams
        np.copyto(network.statistics.vector, running)


def explain_parameters(network: Network, index: tuple[int, ...]) -> str:
    """Say which numbers of one network are not finite after a step, or return ''."""
    for name, _, views in _layers(network):
        if not all(np.isfinite(view[index]).all() for view in views):
            return f"the parameters of {name}"
    return "" if np.isfinite(network.statistics.vector[index]).all() else "the running averages"


def has_finite_numbers(network: Network) -> Any:
    """Say whether all numbers of a network, or of each in a stack, are finite."""
    # NaN is both the smallest and the largest of what it is in.
    extremes = [
        extreme
        for vector in network.vectors
        for extreme in (vector.min(axis=-1, initial=0), vector.max(axis=-1, initial=0))
    ]
    return np.isfinite(extremes).all(axis=0)


def has_finite_outputs(network: Network, X: Any) -> Any:
    """Say whether finite parameters are so large that the outputs for X overflow."""
    w = network.parameters.vector
    if max(-w.min(initial=0), w.max(initial=0)) < SUSPICIOUS:
        return True
    n_rows = X.shape[-2]
    Z = network.forward(X, Workspace(network, n_rows))
    return np.isfinite(Z).all(axis=(-2, -1))


def _layers(network: Network) -> Iterator[tuple[str, Layer, list[np.ndarray]]]:
    """Yield each layer with its place in words, and its parameters."""
    n_hidden, place = len(network.dense) - 1, 0
    for layer, views in zip(network.layers, network.per_layer(network.parameters), strict=True):
        place += isinstance(layer, Dense)
        name = f"hidden layer {place} of {n_hidden}"
        if place == 0:
            name = "the embedding"
        elif place > n_hidden:
            name = "the output layer"
        yield name, layer, views
