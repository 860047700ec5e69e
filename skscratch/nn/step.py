"""The step: forward, loss, backward, penalty, optimizer. The whole idea is here.

Each number that a `Learner` learns by is a float or, for networks side by side, an array of shape
``(..., 1)`` with one for each: NumPy's broadcasting makes the code the same.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np

from .batches import Batch
from .blocks import blocks
from .divergence import DivergenceError, explain_loss, is_finite, members
from .losses import Loss
from .network import Network
from .optimizers import Optimizer, State
from .parameters import Parameters
from .schedules import Constant, Schedule
from .workspace import Workspace

Number = Any
"""A float, or an ndarray of shape (..., 1)."""


def train_step(
    learner: "Learner", batch: Batch, workspace: Workspace, learning_rate: Number
) -> tuple[Any, Any]:
    """Move the network's parameters down the gradient of one batch's loss.

    Parameters
    ----------
    learner : Learner
        The network and how it learns.
    batch : Batch
        The rows to learn from.
    workspace : Workspace
        A training workspace for as many rows; its ``gradient`` comes back filled.
    learning_rate : float or ndarray of shape (..., 1)
        The rate of this step.

    Returns
    -------
    value : float or ndarray of shape (...)
        The batch's loss before the move, penalty included.
    norm : float or ndarray of shape (...)
        Euclidean norm of its gradient, before clipping.

    Raises
    ------
    DivergenceError
        If the loss is not finite; nothing has moved then.
    """
    value = loss_and_gradient(learner, batch, workspace)
    if not is_finite(value):
        learner.notice_divergence(value, batch.X, workspace)
    norm = clip(workspace.gradient.vector, learner.clip_norm)
    learner.move(workspace.gradient, learning_rate)
    return value, norm


def loss_and_gradient(learner: "Learner", batch: Batch, workspace: Workspace) -> Any:
    """Compute a batch's loss, penalty included, and write its gradient to the workspace."""
    X, Y, weights, counts = batch
    workspace.context.weights, workspace.context.counts = weights, counts
    Z = learner.network.forward(X, workspace)
    value = learner.loss.value_and_gradient(Z, Y, weights, workspace.dZ)
    learner.network.backward(workspace.dZ, workspace)
    if learner.is_penalized:
        strength = in_dtype(learner.l2 / (batch.n_rows * learner.mean_weight), workspace.dZ.dtype)
        value += penalize(learner.network.parameters, workspace, strength)
    return value


def penalize(parameters: Parameters, workspace: Workspace, strength: Number) -> Any:
    """Add the gradient of ``strength/2 * sum(W^2)`` to the workspace's, and return that penalty."""
    sum_of_squares: Any = 0.0
    vectors = (parameters.penalized, workspace.gradient.penalized)
    for W, dW, room in blocks(vectors, (workspace.scratch,)):
        dW += np.multiply(W, strength, out=room)
        sum_of_squares += np.vecdot(W, W)
    return 0.5 * per_network(strength) * sum_of_squares


def clip(gradient: np.ndarray, bound: Number | None) -> Any:
    """Shorten the gradient to ``bound`` if it is longer, and return the norm it had."""
    norm = np.sqrt(np.vecdot(gradient, gradient))
    if bound is not None:
        bound = per_network(bound)
        gradient *= (bound / np.maximum(norm, bound))[..., np.newaxis]
    return norm


def per_network(number: Number) -> Any:
    """Turn an array of shape (..., 1) into one of shape (...); a float stays as it is."""
    return number[..., 0] if isinstance(number, np.ndarray) else number


def in_dtype(number: Number, dtype: np.dtype) -> Number:
    """Return an array in the network's dtype: float64 would drag float32 loops through double."""
    return number.astype(dtype) if isinstance(number, np.ndarray) else number


@dataclass
class Learner:
    """A network, or several side by side, and how it learns.

    It makes steps, and knows nothing of epochs.

    Parameters
    ----------
    network : Network
        The network, whose parameters steps change.
    loss : Loss
        What is minimized.
    optimizer : Optimizer
        How the gradient moves the parameters.
    learning_rate : float or ndarray of shape (..., 1)
        The schedule's base rate.
    schedule : Schedule, default=Constant()
        The learning rate over the epochs.
    l2 : float or ndarray of shape (..., 1), default=0.0
        Strength of the penalty ``l2/2 * sum(W^2) / n``, n being the batch's rows times the mean
        weight. With an optimizer that decouples decay, the share ``learning_rate * l2`` of W that
        each step takes away.
    clip_norm : float or ndarray of shape (..., 1), optional
        Bound on the Euclidean norm of the gradient, penalty included: a longer one is shortened.
    mean_weight : float or ndarray of shape (..., 1), default=1.0
        Mean of the sample weights before they were scaled to mean 1.
    tol : float, default=0.0
        Where a full-batch optimizer stops: the largest gradient component of a minimum.
    streams : sequence of numpy.random.Generator, default=()
        The sources of dropout, one for each network; none without dropout.

    Attributes
    ----------
    diverged : dict of tuple to str
        Where, in words, the numbers of a network of the stack stopped being finite, by its index.
    """

    network: Network
    loss: Loss
    optimizer: Optimizer
    learning_rate: Number
    schedule: Schedule = field(default_factory=Constant)
    l2: Number = 0.0
    clip_norm: Number | None = None
    mean_weight: Number = 1.0
    tol: float = 0.0
    streams: Sequence[np.random.Generator] = ()
    diverged: dict[tuple[int, ...], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("learning_rate", "l2", "clip_norm", "mean_weight"):
            setattr(self, name, in_dtype(getattr(self, name), self.network.dtype))

    @property
    def is_lost(self) -> bool:
        """Whether each of its networks has diverged."""
        return len(self.diverged) == math.prod(self.network.stack)

    @cached_property
    def state(self) -> State:
        """The optimizer's moments, 0 at first."""
        return self.optimizer.init(self.network.parameters.vector)

    def without_state(self) -> Self:
        """Return a copy without moments, for a file that is for prediction."""
        other = copy.copy(self)
        other.__dict__.pop("state", None)
        return other

    @cached_property
    def is_penalized(self) -> bool:
        """Whether the L2 penalty is part of the loss."""
        return not self.optimizer.decoupled_decay and bool(np.any(self.l2))

    def workspace(self, n_rows: int) -> Workspace:
        """Make what steps on batches of up to so many rows are computed in."""
        return Workspace(self.network, n_rows, training=True, streams=self.streams)

    def move(self, gradient: Parameters, learning_rate: Number) -> None:
        """Let the optimizer make a step, after decoupled weight decay if that is its way."""
        parameters = self.network.parameters
        if self.optimizer.decoupled_decay:
            W = parameters.penalized
            W *= 1 - learning_rate * self.l2
        self.optimizer.step(parameters.vector, gradient.vector, learning_rate, self.state)

    def notice_divergence(self, value: Any, X: Any, workspace: Workspace) -> None:
        """Write down which networks' losses are not finite, and where that began.

        Raises
        ------
        DivergenceError
            If no network is left.
        """
        for index in members(self.network, ~np.isfinite(value)):
            if index not in self.diverged:
                self.give_up(index, explain_loss(self.network, index, X, workspace))

    def give_up(self, index: tuple[int, ...], where: str) -> None:
        """Write down where a network diverged. It goes on as NaN, which touches no other.

        Whether its numbers are finite or not, it is of no use: alone, it would have ended the run.

        Raises
        ------
        DivergenceError
            If no network is left.
        """
        self.diverged.setdefault(index, where)
        if self.is_lost:
            raise DivergenceError(next(iter(self.diverged.values())))
        self.network.parameters.vector[index] = np.nan
