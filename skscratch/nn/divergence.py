"""Divergence: which number first stopped being finite, in words.

A step checks its loss before it moves the parameters. After the move all of them could be NaN;
before it, the first layer with a number that is not finite shows where the trouble began.

Explained in the course: diagnosis.
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
"""NumPy's error state while overflow is reported as a `DivergenceError`, not as a warning."""

SUSPICIOUS = 1e6
"""A parameter above any in a healthy network: from here on, check the outputs for overflow."""


class DivergenceError(ValueError):
    """Numbers are no longer finite in training; the message says where, and what to try.

    The arguments are sentences: the event and, if known, a remedy.
    """

    def __str__(self) -> str:
        return " ".join(map(str, self.args))


def is_finite(value: Any) -> bool:
    """Tell whether a loss, or each loss of a stack, is finite."""
    if isinstance(value, np.ndarray):
        return bool(np.isfinite(value).all())
    return math.isfinite(value)


def members(network: Network, which: Any) -> list[tuple[int, ...]]:
    """List the indices of those networks of a stack for which ``which`` is true."""
    return [index for index in np.ndindex(network.stack) if np.asarray(which)[index]]


def notice_divergence(learner: Any, value: Any, X: Any, workspace: Workspace) -> None:
    """Give up each network whose loss ``value`` is not finite, see `explain_loss` and `give_up`."""
    for index in members(learner.network, ~np.isfinite(value)):
        if index not in learner.diverged:
            give_up(learner, index, explain_loss(learner.network, index, X, workspace))


def give_up(learner: Any, index: tuple[int, ...], where: str) -> None:
    """Note where a network diverged, and set it to NaN, which touches no other network.

    Even a network with finite parameters is given up: by itself, it would have ended the run.

    Raises
    ------
    DivergenceError
        If no network is left.
    """
    learner.diverged.setdefault(index, where)
    if learner.is_lost:
        raise DivergenceError(next(iter(learner.diverged.values())))
    learner.network.parameters.vector[index] = np.nan


def explain_loss(network: Network, index: tuple[int, ...], X: Any, workspace: Workspace) -> str:
    """Tell which layer's numbers first stopped being finite in one network of a stack.

    X, of shape (..., batch, n_in), passes through the step's workspace again. Dropout draws anew,
    so in the step itself the trouble may have begun in another layer.
    """
    # The stack's other networks go on, so their streams and running averages must not change.
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
    """Tell which numbers of one network are not finite after a step, or return ''."""
    for name, _, views in _layers(network):
        if not all(np.isfinite(view[index]).all() for view in views):
            return f"the parameters of {name}"
    return "" if np.isfinite(network.statistics.vector[index]).all() else "the running averages"


def has_finite_numbers(network: Network) -> Any:
    """Tell whether all numbers of a network, or of each in a stack, are finite."""
    # If an array holds NaN, both its minimum and its maximum are NaN.
    extremes = [
        extreme
        for vector in network.vectors
        if vector.size
        for extreme in (vector.min(axis=-1, initial=0), vector.max(axis=-1, initial=0))
    ]
    return np.isfinite(extremes).all(axis=0)


def has_finite_outputs(network: Network, X: Any) -> Any:
    """Tell whether the outputs for X are finite, which huge parameters may prevent."""
    w = network.parameters.vector
    if max(-w.min(initial=0), w.max(initial=0)) < SUSPICIOUS:
        return True
    n_rows = X.shape[-2]
    Z = network.forward(X, Workspace(network, n_rows))
    return np.isfinite(Z).all(axis=(-2, -1))


def _layers(network: Network) -> Iterator[tuple[str, Layer, list[np.ndarray]]]:
    """Yield each layer's name in words, the layer, and its parameters."""
    n_hidden, place = len(network.dense) - 1, 0
    for layer, views in zip(network.layers, network.per_layer(network.parameters), strict=True):
        place += isinstance(layer, Dense)
        name = f"hidden layer {place} of {n_hidden}"
        if place == 0:
            name = "the embedding"
        elif place > n_hidden:
            name = "the output layer"
        yield name, layer, views
