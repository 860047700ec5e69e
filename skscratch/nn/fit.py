"""Fitting: steps make epochs, and epochs make a run.

What a run has to remember is in its `Progress`, and nowhere else. Whoever keeps a copy of it, and
of the learner, can go on from there: after an interrupt, from a file, or one epoch at a time.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from .batches import Batches
from .divergence import (
    UNWARNED,
    DivergenceError,
    explain_parameters,
    give_up,
    has_finite_numbers,
    has_finite_outputs,
    members,
)
from .schedules import Clock, Schedule
from .stacks import in_dtype, per_network
from .step import Learner, train_step
from .stopping import Best, Patience
from .workspace import Workspace

HISTORY = (
    "epoch",
    "loss",
    "validation_loss",
    "validation_score",
    "learning_rate",
    "gradient_norm",
    "seconds",
)
"""What a row of the history tells of an epoch.

- ``epoch``: its number, from 1, over all runs.
- ``loss``: mean training loss over the epoch's batches, penalty included.
- ``validation_loss``: loss on data held out, without penalty; NaN without any.
- ``validation_score``: score on data held out; NaN without any.
- ``learning_rate``: the learning rate, its mean over the steps if they differ.
- ``gradient_norm``: mean over the steps of the Euclidean norm of the gradient, penalty included,
  before clipping.
- ``seconds``: duration of the epoch, validation included.

For networks side by side they are arrays with a number for each, but for ``epoch`` and ``seconds``.
"""

Group = tuple[Learner, Batches]
"""A network, or several side by side, and its training data."""

Validate = Callable[..., tuple[Any, Any]]
"""Gets the networks, and returns loss and score on data held out, greater scores being better: for
networks side by side a number for all of them together, or an array with one for each."""


@dataclass
class Progress:
    """Where a run stands.

    Attributes
    ----------
    clock : Clock
        What the schedule goes by.
    rows : list of dict
        The history: a row for each epoch, of the runs before this one, too. See ``HISTORY``.
    epochs_before : int
        The number of rows of runs before this one.
    patience : Patience or None
        What watches the run: the validation score if ``watches_score``, else the training loss.
    watches_score : bool
        Whether the networks of the epoch with the best score are to be brought back in the end.
    best : Best
        The networks of the best epochs; by the training loss, those of their last epoch.
    ended : {"", "exhausted", "stalled", "stopped", "interrupted"}
        How the run ended; empty as long as it may go on. A full-batch optimizer that has converged
        has stalled.
    endless : bool
        Whether the run has no end but its patience's: each call makes an epoch of it.
    reason : str
        Why a full-batch optimizer ended before it converged.
    """

    clock: Clock = field(default_factory=Clock)
    rows: list[dict[str, Any]] = field(default_factory=list)
    epochs_before: int = 0
    patience: Patience | None = None
    watches_score: bool = False
    best: Best = field(default_factory=Best)
    ended: str = ""
    endless: bool = False
    reason: str = ""

    def copy(self) -> Self:
        """Return a copy to go on with, which leaves this one as it is."""
        parts = {name: copy.copy(getattr(self, name)) for name in ("clock", "patience", "best")}
        return replace(self, rows=list(self.rows), **parts)

    def begin_again(self, schedule: Schedule) -> None:
        """Begin a new run after the last one; only history and clock go on.

        A schedule with a finite horizon starts anew, and so does one whose rate has run out on
        plateaus.
        """
        if schedule.finite_horizon:
            self.clock.epoch = 0
        if self.ended == "stalled":
            self.clock.plateaus = 0
        self.epochs_before = len(self.rows)
        self.patience, self.best = None, Best()
        self.ended, self.endless, self.reason = "", False, ""

    @property
    def epochs(self) -> int:
        """Number of epochs that the run has made."""
        return len(self.rows) - self.epochs_before

    @property
    def history(self) -> dict[str, list[Any]]:
        """The history, a list for each of ``HISTORY``."""
        return {name: [row[name] for row in self.rows] for name in HISTORY}

    def record(self, row: dict[str, Any], groups: Sequence[Group]) -> None:
        """Take an epoch's row, and let patience judge it."""
        self.rows.append(row)
        self.clock.epoch += 1
        self.clock.samples += groups[0][1].n_samples
        if self.patience is None or (
            self.watches_score and np.isnan(row["validation_loss"]).all()  # nothing was held out
        ):
            return
        networks = [learner.network for learner, _ in groups]
        running = np.logical_not(self.patience.spent)
        if self.watches_score:
            is_best = self.patience.update(row["validation_score"])
            self.best.keep(networks, row["epoch"], is_best)
        else:
            self.patience.update(-(row["loss"] if len(groups) == 1 else np.mean(row["loss"])))
        spent = running & self.patience.spent
        if np.any(spent):
            learner, _ = groups[0]
            goes_on = learner.schedule.continues_after_plateau(learner.learning_rate, self.clock)
            goes_on = spent & per_network(goes_on)
            self.patience.renew(goes_on)
            self.clock.plateaus = self.clock.plateaus + _column(goes_on)
            if not self.watches_score:  # while others go on, this is what comes back in the end
                self.best.keep(networks, row["epoch"], spent & ~goes_on)
        if np.all(self.patience.spent):
            self.ended = "stalled"


def fit(
    learner: Learner | Sequence[Learner],
    batches: Batches | Sequence[Batches],
    epochs: int | None,
    progress: Progress | None = None,
    *,
    validate: Validate | None = None,
    begin: Callable[[], Any] = lambda: None,
    report: Callable[[dict[str, Any]], Any] = lambda row: False,
) -> Progress:
    """Train until a run has made its epochs, patience is spent, or ``report`` says so.

    A KeyboardInterrupt ends the run, too, and leaves the networks as they are then.

    Parameters
    ----------
    learner : Learner, or sequence of Learner
        What learns: a network, or networks side by side. Networks that do not fit into one stack
        take turns, epoch by epoch, and have one patience together.
    batches : Batches, or sequence of Batches
        The data of each learner.
    epochs : int or None
        The most epochs of the run, those made before a call that goes on with it included. None
        makes one epoch of a run without an end, which each further call goes on with.
    progress : Progress, optional
        Where the run stands; by default it begins.
    validate : callable, optional
        Gets each learner's network, and gives loss and score on data held out, the score
        greater-is-better: one for all networks, or for a stack an array.
    begin : callable, optional
        Called before each epoch.
    report : callable, optional
        Called after each epoch with its row of the history; a true answer ends the run.

    Returns
    -------
    progress : Progress
        How it went.

    Raises
    ------
    DivergenceError
        If a loss or parameters are no longer finite, and no network is left. They are of no use
        then.
    """
    groups = _groups(learner, batches)
    progress = Progress() if progress is None else progress
    progress.endless = epochs is None
    if progress.endless and not (progress.ended == "stalled" and progress.watches_score):
        progress.ended = ""  # who makes the calls decides when to stop
    last = progress.epochs + 1 if epochs is None else epochs
    progress.clock.horizon = last
    networks = [learner.network for learner, _ in groups]

    def end_epoch(row: dict[str, Any], started: float) -> bool:
        loss = score = math.nan
        if validate is not None:
            with np.errstate(**UNWARNED):
                loss, score = validate(*networks)
            if not np.isfinite(loss).any():
                raise divergence("the validation loss", progress, row["learning_rate"])
        row = {
            **row,
            "epoch": len(progress.rows) + 1,
            "validation_loss": loss,
            "validation_score": score,
            "seconds": time.perf_counter() - started,
        }
        row = {name: _plain(row[name]) for name in HISTORY}
        progress.record(row, groups)
        if report(row):
            progress.ended = progress.ended or "stopped"
        return bool(progress.ended)

    try:
        if groups[0][0].optimizer.full_batch:
            search(groups, last, progress, begin, end_epoch)
        else:
            workspaces = [learner.workspace(batches.largest) for learner, batches in groups]
            while progress.epochs < last and not progress.ended:
                begin()
                started = time.perf_counter()
                end_epoch(take_turns(groups, workspaces, progress), started)
    except KeyboardInterrupt:
        progress.ended = "interrupted"
    if not progress.endless or progress.ended == "stalled":
        progress.ended = progress.ended or "exhausted"
        progress.best.restore(networks)
    if progress.ended == "interrupted":  # nobody has looked at the last steps
        for learner, _ in groups:
            try:
                check(learner)
            except DivergenceError as error:
                raise divergence(str(error), progress, per_network(learner.learning_rate)) from None
    return progress


def search(
    groups: Sequence[Group],
    epochs: int,
    progress: Progress,
    begin: Callable[[], Any],
    end_epoch: Callable[[dict[str, Any], float], bool],
) -> None:
    """Let a full-batch optimizer search, one learner after the other, and end its iterations."""
    for learner, batches in groups:
        if progress.epochs >= epochs or progress.ended:
            return
        try:
            progress.reason = learner.optimizer.minimize(
                learner, batches, epochs - progress.epochs, begin, end_epoch
            )
        except DivergenceError as error:
            raise divergence(str(error), progress, math.nan) from None  # a search has no rate
        if not progress.reason:
            progress.ended = progress.ended or "stalled"


def _groups(learner: Any, batches: Any) -> list[Group]:
    if isinstance(learner, Learner):
        return [(learner, batches)]
    return list(zip(learner, batches, strict=True))


@np.errstate(**UNWARNED)
def take_turns(
    groups: Sequence[Group], workspaces: Sequence[Workspace], progress: Progress
) -> dict[str, Any]:
    """Let each group make an epoch, and return the numbers of all networks."""
    parts = []
    for (learner, batches), workspace in zip(groups, workspaces, strict=True):
        try:
            parts.append(epoch(learner, batches, workspace, progress))
        except DivergenceError:
            if all(other.is_lost for other, _ in groups if other is not learner):
                raise
            learner.network.parameters.vector[...] = math.nan
            lost = np.full(learner.network.stack, math.nan)
            parts.append({"loss": lost, "learning_rate": lost, "gradient_norm": lost})
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([np.ravel(part[name]) for part in parts]) for name in parts[0]}


def epoch(
    learner: Learner, batches: Batches, workspace: Workspace, progress: Progress
) -> dict[str, Any]:
    """Make a step on each batch, and return loss, learning rate and gradient norm."""
    clock, schedule = progress.clock, learner.schedule
    n_steps = len(batches)
    clock = replace(clock, step=clock.epoch * n_steps, last_step=clock.horizon * n_steps)
    # Plateaus, of which each network has its own number, would make it float64.
    rate = in_dtype(schedule.rate(learner.learning_rate, clock), learner.network.dtype)
    loss: Any = 0.0
    norm: Any = 0.0
    total_rate: Any = 0.0
    n_rows: Any = 0
    try:
        for batch in batches:
            if schedule.per_step:
                rate = schedule.rate(learner.learning_rate, clock)
            one = train_step(learner, batch, workspace.for_rows(batch.Y.shape[-2]), rate)
            counted = per_network(batch.n_rows)
            loss += counted * one[0]
            norm += one[1]
            total_rate += rate
            n_rows += counted
            clock.step += 1
        loss = loss / n_rows
        check(learner, loss, batch.X)
    except DivergenceError as error:
        raise divergence(str(error), progress, per_network(rate)) from None
    mean_rate = total_rate / n_steps if schedule.per_step else rate
    return {
        "loss": loss,
        "learning_rate": per_network(mean_rate),
        "gradient_norm": norm / n_steps,
    }


def check(learner: Learner, loss: Any = 0.0, X: Any = None) -> None:
    """Look for what the last step may have spoiled after its loss was computed.

    Parameters
    ----------
    learner : Learner
        What has learned.
    loss : float or ndarray of shape (...), default=0.0
        The epoch's loss, in which finite ones may have added up to an infinite one.
    X : ndarray or SparseBlock, optional
        Inputs whose outputs must not overflow.

    Raises
    ------
    DivergenceError
        If no network is left whose numbers are finite.
    """
    network = learner.network
    finite = np.isfinite(loss) & has_finite_numbers(network)
    if X is not None:
        finite = finite & has_finite_outputs(network, X)
    if np.all(finite):
        return
    finite = np.broadcast_to(finite, network.stack)
    for index in members(network, ~finite):
        where = explain_parameters(network, index)
        if not where:
            is_sum = not np.isfinite(np.broadcast_to(loss, network.stack)[index])
            end = "the outputs of the network after the last step"
            where = "the sum of the losses" if is_sum else end
        give_up(learner, index, where)


def divergence(where: str, progress: Progress, learning_rate: Any) -> DivergenceError:
    """Say in words that a run has come to numbers that are not finite."""
    rates = " ".join(f"{rate:g}" for rate in np.ravel(learning_rate) if not np.isnan(rate))
    return DivergenceError(
        "Training diverged: the loss or the parameters became non-finite in epoch "
        f"{len(progress.rows) + 1}{rates and f', at learning rate {rates}'}, first in {where}.",
        "Try a smaller learning_rate, scaled inputs, or another optimizer or initializer.",
    )


def _column(number: Any) -> Any:
    """Turn what is said of each network, of shape (...), into shape (..., 1)."""
    return number[..., np.newaxis] if np.ndim(number) else int(number)


def _plain(value: Any) -> Any:
    """Turn NumPy scalars into Python numbers; what each network has its own of stays an array."""
    return value.item() if isinstance(value, np.generic) else value
