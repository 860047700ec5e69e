"""Training: the step, the epochs, and what is written down about them."""

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np

from .batches import Batches
from .blocks import blocks
from .layers import Dense, Layer
from .losses import Loss
from .network import Network, Workspace
from .optimizers import Optimizer, State
from .parameters import Parameters
from .schedules import Clock, Schedule
from .stopping import Patience

Validate = Callable[[Network], tuple[float, float]]
"""Returns the loss and the score of a network on data held out, the score greater-is-better."""

SUSPICIOUS = 1e6
"""Parameters of healthy networks are smaller; of others the outputs are looked at."""

HISTORY = (
    "epoch",
    "loss",
    "validation_loss",
    "validation_score",
    "learning_rate",
    "gradient_norm",
    "seconds",
    "train_score",
)


class DivergenceError(ValueError):
    """Training has come to numbers that are not finite; the message says where, and what to try.

    The arguments are what happened and, if known, what to try, a sentence each.
    """

    def __str__(self) -> str:
        return " ".join(map(str, self.args))


def train_step(
    training: "Training", X: Any, Y: np.ndarray, weights: np.ndarray | None, workspace: Workspace
) -> tuple[np.ndarray, np.ndarray]:
    """Move the network's parameters down the gradient of one batch's loss.

    Parameters
    ----------
    training : Training
        The network and how it is trained.
    X : ndarray or sparse matrix of shape (batch, n_in)
        Inputs.
    Y : ndarray of shape (batch, n_out)
        Targets.
    weights : ndarray of shape (batch,) or (batch, n_out), or None
        Weights of the rows, or of each output in each row.
    workspace : Workspace
        A training workspace for as many rows; its ``gradient`` comes back filled.

    Returns
    -------
    value : ndarray of shape (...)
        The batch's loss before the move, penalty included.
    norm : ndarray of shape (...)
        Euclidean norm of its gradient, before clipping.

    Raises
    ------
    DivergenceError
        If the loss is not finite; nothing has moved then.
    """
    value = loss_and_gradient(training, X, Y, weights, workspace)
    training.check_loss(value, X, workspace)
    norm = training.clip(workspace.gradient)
    training.move(workspace.gradient)
    return value, norm


def loss_and_gradient(
    training: "Training", X: Any, Y: np.ndarray, weights: np.ndarray | None, workspace: Workspace
) -> np.ndarray:
    """Compute a batch's loss and write its gradient to ``workspace.gradient``.

    Parameters and the value returned are `train_step`'s.
    """
    workspace.context.weights = weights
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
    clip_norm : float, optional
        Bound on the Euclidean norm of the gradient, penalty included: a longer one is shortened.
    mean_weight : float, default=1.0
        Mean of the sample weights before they were scaled to mean 1.
    dropout_streams : sequence of numpy.random.Generator, default=()
        One for each network of the stack.

    Attributes
    ----------
    rate : float
        The learning rate of the current epoch.
    rates : ndarray of shape (P,) or None
        Each parameter's factor of the learning rate; None if all are 1.
    optimizer_state : State
        The optimizer's moments.
    clock : Clock
        Where the run stands.
    history : dict of list
        A value per epoch for each of `HISTORY`; see `record`.
    epochs_made : int
        Epochs that this run has made.
    resumed : bool
        Whether `run` shall go on with the run that `resume` took over.
    series : bool
        Whether the last call of `run` was one of a series.
    outcome : str
        What the last call of `run` returned.
    patience : Patience or None
        What watches this run.
    stalled : bool
        Whether patience is spent for good.
    best : tuple of ndarray or None
        `Network.snapshot` after the epoch with the best validation score, until `run` restores it
        at the end of a run.
    best_epoch : int or None
        That epoch's number in the history.
    """

    network: Network
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    learning_rate: float
    l2: float = 0.0
    clip_norm: float | None = None
    mean_weight: float = 1.0
    dropout_streams: tuple[np.random.Generator, ...] = ()
    rate: float = field(init=False)
    optimizer_state: State = field(init=False)
    clock: Clock = field(default_factory=Clock)
    history: dict[str, list] = field(default_factory=lambda: {name: [] for name in HISTORY})
    epochs_made: int = 0
    resumed: bool = False
    series: bool = False
    outcome: str = ""
    patience: Patience | None = None
    stalled: bool = False
    best: tuple[np.ndarray, np.ndarray] | None = None
    best_epoch: int | None = None

    def __post_init__(self) -> None:
        self.rate = self.learning_rate
        self.optimizer_state = self.optimizer.init(self.network.parameters.vector)

    @cached_property
    def rates(self) -> np.ndarray | None:
        return self.network.parameters.rates()

    def without_moments(self) -> Self:
        """Return a copy to be pickled for prediction; with what comes back, moments start at 0.

        It shares everything with this training, and is of no other use.
        """
        other = object.__new__(type(self))
        other.__dict__.update(self.__getstate__(), optimizer_state=None)
        return other

    def __getstate__(self) -> dict[str, Any]:
        # The rates follow from the network.
        return {name: value for name, value in self.__dict__.items() if name != "rates"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.optimizer_state is None:
            self.optimizer_state = self.optimizer.init(self.network.parameters.vector)

    def penalize(self, gradient: Parameters, n_rows: int, scratch: np.ndarray) -> Any:
        """Add the gradient of the L2 penalty to ``gradient`` and return the penalty."""
        if self.optimizer.decoupled_decay or self.l2 == 0:
            return 0.0
        strength = self.l2 / (n_rows * self.mean_weight)
        sum_of_squares: Any = 0.0
        vectors = (self.network.parameters.penalized, gradient.penalized)
        for W, dW, room in blocks(vectors, (scratch,)):
            dW += np.multiply(W, strength, out=room)
            sum_of_squares += np.vecdot(W, W)
        return 0.5 * strength * sum_of_squares

    def clip(self, gradient: Parameters) -> np.ndarray:
        """Shorten the gradient to ``clip_norm`` if it is longer, and return the norm it had."""
        norm = np.sqrt(np.vecdot(gradient.vector, gradient.vector))
        if self.clip_norm is not None:
            factor = self.clip_norm / np.maximum(norm, self.clip_norm)
            gradient.vector *= factor[..., np.newaxis]
        return norm

    def move(self, gradient: Parameters) -> None:
        """Let the optimizer make a step, after decoupled weight decay if that is its way."""
        parameters = self.network.parameters
        if self.optimizer.decoupled_decay:
            self._decay(parameters.penalized, self.rate * self.l2)
        self.optimizer.step(
            parameters.vector, gradient.vector, self.rate, self.optimizer_state, self.rates
        )

    def _decay(self, W: np.ndarray, share: float) -> None:
        """Take a share of the weights away, more of it where they learn faster."""
        if self.rates is None:
            W *= 1 - share
            return
        scratch = self.optimizer_state.scratch[:1]
        for weights, rates, room in blocks((W, self.rates[: W.shape[-1]]), scratch):
            kept = np.multiply(rates, -share, out=room[..., : rates.shape[-1]])
            kept += 1
            weights *= kept

    def run(
        self,
        batches: Batches,
        epochs: int,
        *,
        patience: Patience | None = None,
        validate: Validate | None = None,
        watch_validation: bool = True,
        series: bool = False,
        begin: Callable[[], None] | None = None,
        report: Callable[[dict[str, Any]], Any] | None = None,
        score_training: Validate | None = None,
        kept: str = "the estimator keeps what it learned so far",
    ) -> str:
        """Train for a number of epochs, or until patience is spent.

        Patience watches the validation score if there is one to watch, and the network of the best
        epoch is restored at the end; otherwise it watches the training loss. A stack is trained
        without patience. A KeyboardInterrupt ends training with a warning and keeps what was
        trained.

        Parameters
        ----------
        batches : Batches
            The data of each epoch.
        epochs : int
            The most epochs to make; those that a resumed run made before count.
        patience : Patience, optional
            When to stop; never by default.
        validate : callable, optional
            Gives the loss and the score on data held out.
        watch_validation : bool, default=True
            Whether patience watches the validation score; otherwise that is recorded only.
        series : bool, default=False
            Whether this call is one of several that make up a run: patience and the best epoch are
            then those of the calls before, and the best epoch is restored once patience is spent.
        begin : callable, optional
            Called before each epoch.
        report : callable, optional
            Called after each epoch with its row of the history; a true answer ends training.
        score_training : callable, optional
            Gives the loss and the score on the training data, for the history.
        kept : str, default="the estimator keeps what it learned so far"
            What the warning says about an interrupt.

        Returns
        -------
        outcome : {"exhausted", "stalled", "stopped", "interrupted"}
            Whether the epochs were all made, patience was spent, ``report`` said so, or the user
            interrupted.

        Raises
        ------
        DivergenceError
            If the loss or the parameters are no longer finite. They are then of no use.
        """
        watched = None
        if patience is not None:
            watched = "validation_score" if validate and watch_validation else "loss"
        if series and (watched == "loss" or patience is None):
            self.stalled = False  # whoever makes the calls decides when to stop
        if not (series or self.resumed):
            self.patience, self.stalled, self.epochs_made = None, False, 0
            self.best = self.best_epoch = None
        self.patience = self.patience or patience
        was_resumed, self.resumed, self.series = self.resumed, False, series
        seen = self.patience is not None and self.patience.best > -math.inf
        if seen and self.best is None and watched == "validation_score":
            self.best = self.network.snapshot()  # patience has seen it, in a run before this one
        self.clock.horizon, self.clock.last_step = epochs, epochs * len(batches)
        workspace = Workspace(
            self.network, batches.largest, training=True, streams=self.dropout_streams
        )
        outcome, epochs_before = "exhausted", len(self.history["epoch"]) - self.epochs_made
        stopped_before = was_resumed and self.outcome == "stopped"
        try:
            while self.epochs_made < epochs and not self.stalled and outcome == "exhausted":
                if begin:
                    begin()
                row = self._epoch(batches, workspace, validate, score_training)
                self.epochs_made += 1
                self.stalled = self._judge(row, watched)
                if report and report(row):
                    outcome = "stopped"
        except KeyboardInterrupt:
            self.settle(epochs_before)
            warnings.warn(
                f"Training was interrupted after {len(self.history['epoch'])} epochs; {kept}.",
                stacklevel=2,
            )
            outcome = "interrupted"
        if self.best is not None and (self.stalled or not series):
            self.network.restore(self.best)
            if not series:
                self.best = None  # the parameters are the same now
        elif outcome == "interrupted":
            self._check_finite()
        self.outcome = "stalled" if self.stalled else outcome
        if stopped_before:
            self.outcome = "stopped"
        return self.outcome

    def _judge(self, row: dict[str, Any], watched: str | None) -> bool:
        """Let patience judge an epoch, and return whether it is spent for good."""
        if self.patience is None or watched is None:
            return False
        value = -row["loss"] if watched == "loss" else row[watched]
        if self.patience.update(value) and watched != "loss":
            self.best, self.best_epoch = self.network.snapshot(), row["epoch"]
        if not self.patience.spent:
            return False
        if not self.schedule.continues_after_plateau(self.learning_rate, self.clock):
            return True
        self.clock.plateaus += 1
        self.patience.renew()
        return False

    def settle(self, epochs_before: int) -> None:
        """Bring into line what an interrupt may have left half done: history and epochs made.

        Parameters
        ----------
        epochs_before : int
            Epochs in the history that this run has not made.
        """
        n_epochs = min(map(len, self.history.values()))
        for column in self.history.values():
            del column[n_epochs:]
        self.epochs_made = n_epochs - epochs_before

    def resume(self, interrupted: "Training") -> None:
        """Become an interrupted training, so that `run` makes its remaining epochs."""
        self.follow(interrupted, same_run=True)
        self.network.restore(interrupted.network.snapshot())
        self.epochs_made, self.resumed = interrupted.epochs_made, True
        self.outcome = interrupted.outcome

    def follow(self, previous: "Training", same_run: bool) -> None:
        """Go on where another training ended.

        History, clock and the optimizer's moments are taken over, these if the optimizer is the
        same; within one run also patience and the best epoch. In a new run a schedule with a
        finite horizon begins again, and so does one whose rate has run out on plateaus.

        Parameters
        ----------
        previous : Training
            The other training, which is left as it is.
        same_run : bool
            Whether this is the same run, and not a new one that starts from its result.
        """
        self.history = {name: list(values) for name, values in previous.history.items()}
        self.clock = copy.copy(previous.clock)
        if self.optimizer == previous.optimizer:
            self.optimizer_state = copy.deepcopy(previous.optimizer_state)
        if same_run:
            self.patience = copy.copy(previous.patience)
            self.stalled = previous.stalled
            self.best, self.best_epoch = previous.best, previous.best_epoch
        else:
            if self.schedule.finite_horizon:
                self.clock.epoch = self.clock.step = 0
            if previous.stalled:
                self.clock.plateaus = 0

    def _epoch(
        self,
        batches: Iterable,
        workspace: Workspace,
        validate: Validate | None,
        score_training: Validate | None = None,
    ) -> dict[str, Any]:
        """Train on each batch once and return the epoch's row of the history."""
        started = time.perf_counter()
        clock, schedule = self.clock, self.schedule
        self.rate = schedule.rate(self.learning_rate, clock)
        total_loss: Any = 0.0
        total_norm: Any = 0.0
        total_rate = 0.0
        n_rows = n_steps = 0
        validation_loss = score = train_score = math.nan
        # Overflow is no warning of NumPy's here but an error of ours.
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            for X, Y, weights in batches:
                rows = X.shape[0]
                if schedule.per_step:
                    self.rate = schedule.rate(self.learning_rate, clock)
                value, norm = train_step(self, X, Y, weights, workspace.for_rows(rows))
                total_loss += rows * value
                total_norm += norm
                total_rate += self.rate
                n_rows += rows
                n_steps += 1
                clock.step += 1
            loss = total_loss / n_rows
            self._check_finite(loss, "the sum of the losses")
            self._check_outputs(X)
            if validate:
                validation_loss, score = validate(self.network)
                self._check_finite(validation_loss, "the validation loss")
            if score_training:
                _, train_score = score_training(self.network)
        clock.epoch += 1
        clock.samples += n_rows
        seconds = time.perf_counter() - started
        epoch = len(self.history["epoch"]) + 1
        rate = total_rate / n_steps if schedule.per_step else self.rate
        norm = total_norm / n_steps
        return self.record(epoch, loss, validation_loss, score, rate, norm, seconds, train_score)

    def check_loss(self, value: Any, X: Any, workspace: Workspace) -> None:
        """Raise a `DivergenceError` if a step's loss is not finite.

        It is looked at before the step, which would make all parameters NaN: what is not finite
        yet tells where it began. Dropout draws anew for that, and may have begun elsewhere.

        Parameters
        ----------
        value : ndarray of shape (...)
            The loss.
        X : ndarray or sparse matrix of shape (batch, n_in)
            The inputs that it is of.
        workspace : Workspace
            What it was computed in.
        """
        if np.isfinite(value).all() if self.network.stack else math.isfinite(value):
            return
        for (name, layer, views), cache in zip(self._layers(), workspace.caches, strict=True):
            if not all(np.isfinite(view).all() for view in views):
                raise self._divergence(f"the parameters of {name}")
            X = layer.forward(X, cache)
            if not np.isfinite(X).all():
                raise self._divergence(f"the outputs of {name}")
        largest = np.abs(X).max()
        raise self._divergence(f"the loss, penalty included, of outputs up to {largest:.2g}")

    def _check_finite(self, loss: Any = 0.0, name_of_loss: str = "") -> None:
        # The last step may have spoiled the parameters after its loss was computed. NaN is both
        # minimum and maximum of what it is in.
        vectors = [self.network.parameters.vector, self.network.statistics.vector]
        extremes = [(v.min(initial=0), v.max(initial=0)) for v in vectors]
        if np.isfinite(loss).all() and np.isfinite(extremes).all():
            return
        for name, _, views in self._layers():
            if not all(np.isfinite(view).all() for view in views):
                raise self._divergence(f"the parameters of {name}")
        is_loss = np.isfinite(extremes).all()
        raise self._divergence(name_of_loss if is_loss else "the running averages")

    def _check_outputs(self, X: Any) -> None:
        # Finite parameters may be so large, after the last step, that the outputs overflow.
        w = self.network.parameters.vector
        if max(-w.min(initial=0), w.max(initial=0)) < SUSPICIOUS:
            return
        if not np.isfinite(self.network.predict(X)).all():
            raise self._divergence("the outputs of the network after the last step")

    def _layers(self) -> Iterator[tuple[str, Layer, list[np.ndarray]]]:
        """Yield each layer with its place in words, and its parameters."""
        network = self.network
        n_hidden, place = len(network.dense) - 1, 0
        for layer, views in zip(network.layers, network.per_layer(network.parameters), strict=True):
            place += isinstance(layer, Dense)
            name = f"hidden layer {place} of {n_hidden}"
            if place == 0:
                name = "the embedding"
            elif place > n_hidden:
                name = "the output layer"
            yield name, layer, views

    def _divergence(self, where: str) -> DivergenceError:
        return DivergenceError(
            "Training diverged: the loss or the parameters became non-finite in epoch "
            f"{len(self.history['epoch']) + 1}, at learning rate {self.rate:g}, first in {where}.",
            "Try a smaller learning_rate, scaled inputs, or another optimizer or initializer.",
        )

    def record(self, *values: Any) -> dict[str, Any]:
        """Append a row to the history, its values in the order of `HISTORY`, and return it.

        - ``epoch``: number of the epoch, from 1, over all calls.
        - ``loss``: mean training loss over the epoch's batches, penalty included.
        - ``validation_loss``: loss on the validation part, without penalty; NaN without one.
        - ``validation_score``: score on the validation part; NaN without one.
        - ``learning_rate``: the learning rate, its mean over the steps if they differ.
        - ``gradient_norm``: mean over the epoch's steps of the Euclidean norm of the gradient,
          penalty included, before clipping.
        - ``seconds``: duration of the epoch, validation included.
        - ``train_score``: score on the training rows after the epoch; NaN unless asked for.
        """
        row = dict(zip(HISTORY, map(_plain, values), strict=True))
        for name, value in row.items():
            self.history[name].append(value)
        return row


def _plain(value: Any) -> Any:
    """Turn NumPy scalars into Python numbers; a stack's values stay an array."""
    return value.item() if isinstance(value, np.generic) else value
