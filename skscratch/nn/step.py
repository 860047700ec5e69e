"""The step: forward, loss, backward, penalty, optimizer. The whole idea is here.

Explained in the course: forty_lines, backpropagation, optimization, regularization, diagnosis.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from .batches import Batch
from .blocks import blocks
from .divergence import is_finite, notice_divergence
from .losses import Loss
from .network import Network
from .optimizers import Optimizer, State
from .parameters import Parameters
from .schedules import Constant, Schedule
from .stacks import Number, in_dtype, per_network
from .workspace import Workspace


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
        A training workspace for batches of this size; its ``gradient`` is overwritten.
    learning_rate : float or ndarray of shape (..., 1)
        The learning rate of this step.

    Returns
    -------
    value : float or ndarray of shape (...)
        The batch's loss before the move, including the penalty.
    norm : float or ndarray of shape (...)
        Euclidean norm of the gradient, before clipping.

    Raises
    ------
    DivergenceError
        If no network has a finite loss. The parameters have not moved.
    """
    value = loss_and_gradient(learner, batch, workspace)
    if not is_finite(value):
        notice_divergence(learner, value, batch.X, workspace)
    norm = clip(workspace.gradient.vector, learner.clip_norm)
    learner.move(workspace.gradient, learning_rate)
    return value, norm


def loss_and_gradient(learner: "Learner", batch: Batch, workspace: Workspace) -> Any:
    """Compute a batch's loss, including the penalty, and write its gradient to the workspace.

    Parameters as in `train_step`. Returns the loss, a float or an ndarray of shape (...).
    """
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
    """Return ``strength/2 * sum(W^2)``, and add its gradient to the workspace's."""
    sum_of_squares: Any = 0.0
    vectors = (parameters.penalized, workspace.gradient.penalized)
    for W, dW, room in blocks(vectors, (workspace.scratch,)):
        dW += np.multiply(W, strength, out=room)
        sum_of_squares += np.vecdot(W, W)
    return 0.5 * per_network(strength) * sum_of_squares


def clip(gradient: np.ndarray, bound: Number | None) -> Any:
    """Shorten the gradient to ``bound`` if it is longer, and return its norm before."""
    norm = np.sqrt(np.vecdot(gradient, gradient))
    if bound is not None:
        bound = per_network(bound)
        gradient *= (bound / np.maximum(norm, bound))[..., np.newaxis]
    return norm


@dataclass
class Learner:
    """A network, or a stack of them, and how it learns from a batch.

    Each hyperparameter is a float, or an array of shape (..., 1) with a number for each network.

    Parameters
    ----------
    network : Network
        The network; steps change its parameters.
    loss : Loss
        The loss to minimize.
    optimizer : Optimizer
        How the gradient moves the parameters.
    learning_rate : float or ndarray
        The base learning rate, which the schedule varies.
    schedule : Schedule, default=Constant()
        The learning rate over the epochs.
    l2 : float or ndarray, default=0.0
        Strength of the penalty ``l2/2 * sum(W^2) / n``, where n is the batch's number of rows times
        ``mean_weight``. With decoupled decay, each step shrinks W by ``learning_rate * l2 * W``
        instead.
    clip_norm : float or ndarray, optional
        Largest Euclidean norm of the gradient, including the penalty's; by default none.
    mean_weight : float or ndarray, default=1.0
        Mean of the sample weights before they were scaled to mean 1.
    tol : float, default=0.0
        A full-batch optimizer stops when no component of the gradient is larger.
    streams : sequence of numpy.random.Generator, default=()
        The sources of dropout, one for each network; none without dropout.

    Attributes
    ----------
    diverged : dict of tuple to str
        For each network that diverged, by its index in the stack: where, in words.
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

    def member(self, index: tuple[int, ...]) -> "Learner":
        """Return how one network of the stack learns, with views of its arrays."""
        numbers = ("learning_rate", "l2", "clip_norm", "mean_weight")
        own: dict[str, Any] = {name: getattr(self, name) for name in numbers}
        own = {k: float(v[index][0]) if isinstance(v, np.ndarray) else v for k, v in own.items()}
        number = list(np.ndindex(self.network.stack)).index(index)
        own["network"], own["streams"] = self.network.member(index), self.streams[number:][:1]
        alone = replace(self, **own, diverged={})
        if "state" in vars(self):
            alone.state = replace(
                self.state,
                moments=tuple(moment[index] for moment in self.state.moments),
                scratch=tuple(room[index] for room in self.state.scratch),
            )
        return alone

    @property
    def is_lost(self) -> bool:
        """Whether all networks have diverged."""
        return len(self.diverged) == math.prod(self.network.stack)

    @cached_property
    def state(self) -> State:
        """The optimizer's state, made when first needed."""
        return self.optimizer.init(self.network.parameters.vector)

    def without_state(self) -> Self:
        """Return a copy without the optimizer's state, for a file that serves prediction alone."""
        other = copy.copy(self)
        other.__dict__.pop("state", None)
        return other

    @cached_property
    def is_penalized(self) -> bool:
        """Whether the L2 penalty is part of the loss."""
        return not self.optimizer.decoupled_decay and bool(np.any(self.l2))

    def workspace(self, n_rows: int) -> Workspace:
        """Make the memory for steps on batches of up to ``n_rows`` rows."""
        return Workspace(self.network, n_rows, training=True, streams=self.streams)

    def move(self, gradient: Parameters, learning_rate: Number) -> None:
        """Let the optimizer make a step, after decoupled weight decay if it asks for that."""
        parameters = self.network.parameters
        if self.optimizer.decoupled_decay:
            W = parameters.penalized
            W *= 1 - learning_rate * self.l2
        self.optimizer.step(parameters.vector, gradient.vector, learning_rate, self.state)
