"""Training: the step, the epochs, and what is written down about them."""

import math
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .batches import Batches
from .losses import Loss
from .network import Network, Workspace
from .optimizers import Optimizer, State
from .parameters import Parameters
from .schedules import Clock, Schedule
from .stopping import Patience

Validate = Callable[[Network], tuple[float, float]]
"""Returns the loss and the score of a network on data held out, the score greater-is-better."""

HISTORY = (
    "epoch",
    "loss",
    "validation_loss",
    "validation_score",
    "learning_rate",
    "gradient_norm",
    "seconds",
)


def train_step(
    training: "Training", X: Any, Y: np.ndarray, weights: np.ndarray | None, workspace: Workspace
) -> np.ndarray:
    """Move the network's parameters down the gradient of one batch's loss.

    Parameters
    ----------
    training : Training
        The network and how it is trained.
    X : ndarray or sparse matrix of shape (batch, n_in)
        Inputs.
    Y : ndarray of shape (batch, n_out)
        Targets.
    weights : ndarray of shape (batch,) or None
        Row weights.
    workspace : Workspace
        A training workspace for as many rows; its ``gradient`` comes back filled.

    Returns
    -------
    value : ndarray of shape (...)
        The batch's loss before the move, penalty included.
    """
    value = loss_and_gradient(training, X, Y, weights, workspace)
    training.move(workspace.gradient)
    return value


def loss_and_gradient(
    training: "Training", X: Any, Y: np.ndarray, weights: np.ndarray | None, workspace: Workspace
) -> np.ndarray:
    """Compute a batch's loss and write its gradient to ``workspace.gradient``.

    Parameters and return value are `train_step`'s.
    """
    Z = training.network.forward(X, workspace)
    value = training.loss.value_and_gradient(Z, Y, weights, workspace.dZ)
    training.network.backward(workspace.dZ, workspace)
    return value + training.penalize(workspace.gradient, X.shape[0], workspace.scratch)


@dataclass
class Training:
    """A network in training: how it is trained, and what the run remembers.

    Parameters
    ----------
    network : Network
        The network; `run` changes its parameters.
    loss : Loss
        What is minimized.
    optimizer : Optimizer
        How the gradient moves the parameters.
    schedule : Schedule
        The learning rate over the epochs.
    learning_rate : float
        The schedule's base rate.
    l2 : float, default=0.0
        Strength of the penalty ``l2/2 * sum(W^2) / n``, n being the batch's rows times the mean
        weight. With an optimizer that decouples decay, the share ``learning_rate * l2`` of W that
        each step takes away.
    mean_weight : float, default=1.0
        Mean of the sample weights before they were scaled to mean 1.
    dropout_streams : sequence of numpy.random.Generator, default=()
        One for each network of the stack.

    Attributes
    ----------
    rate : float
        The learning rate of the current epoch.
    optimizer_state : State
        The optimizer's moments.
    clock : Clock
        Where the run stands.
    history : dict of list
        A value per epoch for each of `HISTORY`; see `record`.
    """

    network: Network
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    learning_rate: float
    l2: float = 0.0
    mean_weight: float = 1.0
    dropout_streams: tuple[np.random.Generator, ...] = ()
    rate: float = field(init=False)
    optimizer_state: State = field(init=False)
    clock: Clock = field(default_factory=Clock)
    history: dict[str, list] = field(default_factory=lambda: {name: [] for name in HISTORY})

    def __post_init__(self) -> None:
        self.rate = self.learning_rate
        self.optimizer_state = self.optimizer.init(self.network.parameters.vector)

    def penalize(self, gradient: Parameters, n_rows: int, scratch: np.ndarray) -> Any:
        """Add the gradient of the L2 penalty to ``gradient`` and return the penalty."""
        if self.optimizer.decoupled_decay:
            return 0.0
        W = self.network.parameters.penalized
        strength = self.l2 / (n_rows * self.mean_weight)
        gradient.penalized += np.multiply(W, strength, out=scratch)
        return 0.5 * strength * np.vecdot(W, W)

    def move(self, gradient: Parameters) -> None:
        """Let the optimizer make a step, after decoupled weight decay if that is its way."""
        parameters = self.network.parameters
        if self.optimizer.decoupled_decay:
            parameters.penalized *= 1 - self.rate * self.l2
        self.optimizer.step(parameters.vector, gradient.vector, self.rate, self.optimizer_state)

    def run(
        self,
        batches: Batches,
        epochs: int,
        *,
        patience: Patience | None = None,
        validate: Validate | None = None,
        report: Callable[[dict[str, Any]], None] | None = None,
    ) -> str:
        """Train for a number of epochs, or until patience is spent.

        With ``validate``, patience watches the validation score and the parameters with the best
        score are restored at the end; otherwise it watches the training loss. A stack is
        trained without either. A KeyboardInterrupt ends training with a warning and keeps what
        was trained.

        Parameters
        ----------
        batches : Batches
            The data of each epoch.
        epochs : int
            The most epochs to make.
        patience : Patience, optional
            When to stop; never by default.
        validate : callable, optional
            Gives the loss and the score on data held out.
        report : callable, optional
            Called with each epoch's row of the history.

        Returns
        -------
        outcome : {"exhausted", "stalled", "interrupted"}
            Whether the epochs were all made, patience was spent, or the user interrupted.

        Raises
        ------
        ValueError
            If the loss or the parameters are no longer finite. They are then of no use.
        """
        vector = self.network.parameters.vector
        best = vector.copy() if validate else None
        workspace = Workspace(
            self.network, batches.batch_size, training=True, streams=self.dropout_streams
        )
        outcome = "exhausted"
        try:
            for _ in range(epochs):
                row = self._epoch(batches, workspace, validate)
                if report:
                    report(row)
                if patience is None:
                    continue
                is_best = patience.update(row["validation_score"] if validate else -row["loss"])
                if is_best and best is not None:
                    np.copyto(best, vector)
                if patience.spent:
                    if not self.schedule.continues_after_plateau(self.learning_rate, self.clock):
                        outcome = "stalled"
                        break
                    self.clock.plateaus += 1
                    patience.renew()
        except KeyboardInterrupt:
            warnings.warn(
                f"Training was interrupted after {len(self.history['epoch'])} epochs; "
                "the estimator keeps what it learned so far.",
                stacklevel=2,
            )
            outcome = "interrupted"
        if best is not None and patience is not None and math.isfinite(patience.best):
            np.copyto(vector, best)
        if outcome == "interrupted":
            self._check_finite(0.0)
        return outcome

    def _epoch(
        self, batches: Iterable, workspace: Workspace, validate: Validate | None
    ) -> dict[str, Any]:
        """Train on each batch once and return the epoch's row of the history."""
        started = time.perf_counter()
        self.rate = self.schedule.rate(self.learning_rate, self.clock)
        gradient = workspace.gradient.vector
        loss, norm, n_rows, n_steps = 0.0, 0.0, 0, 0
        validation_loss = score = math.nan
        # Overflow is no warning of NumPy's here but an error of ours.
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            for X, Y, weights in batches:
                rows = X.shape[0]
                loss += rows * train_step(self, X, Y, weights, workspace.for_rows(rows))
                norm += np.sqrt(np.vecdot(gradient, gradient))
                n_rows += rows
                n_steps += 1
            loss, norm = loss / n_rows, norm / n_steps
            self._check_finite(loss)
            if validate:
                validation_loss, score = validate(self.network)
                self._check_finite(validation_loss)
        self.clock.epoch += 1
        self.clock.samples += n_rows
        seconds = time.perf_counter() - started
        epoch = len(self.history["epoch"]) + 1
        return self.record(epoch, loss, validation_loss, score, self.rate, norm, seconds)

    def _check_finite(self, loss: Any) -> None:
        # The last step may have spoiled the parameters after its loss was computed. NaN is both
        # minimum and maximum of what it is in.
        vector = self.network.parameters.vector
        if np.isfinite(loss).all() and np.isfinite([vector.min(), vector.max()]).all():
            return
        raise ValueError(
            "Training diverged: the loss or the parameters became non-finite in epoch "
            f"{len(self.history['epoch']) + 1}, at learning rate {self.rate:g}. Try a smaller "
            "learning_rate, scaled features (sklearn.preprocessing.StandardScaler), or another "
            "optimizer or init."
        )

    def record(self, *values: Any) -> dict[str, Any]:
        """Append a row to the history, its values in the order of `HISTORY`, and return it.

        - ``epoch``: number of the epoch, from 1, over all calls.
        - ``loss``: mean training loss over the epoch's batches, penalty included.
        - ``validation_loss``: loss on the validation part, without penalty; NaN without one.
        - ``validation_score``: score on the validation part; NaN without one.
        - ``learning_rate``: the epoch's learning rate.
        - ``gradient_norm``: mean over the epoch's steps of the Euclidean norm of the gradient,
          penalty included.
        - ``seconds``: duration of the epoch, validation included.
        """
        row = dict(zip(HISTORY, map(_plain, values), strict=True))
        for name, value in row.items():
            self.history[name].append(value)
        return row


def _plain(value: Any) -> Any:
    """Turn NumPy scalars into Python numbers; a stack's values stay an array."""
    return value.item() if np.ndim(value) == 0 and isinstance(value, np.generic) else value
