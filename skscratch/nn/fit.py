"""Fitting: steps make epochs, and epochs make a run.

A run keeps its memory in its `Progress`. With a copy of that, the learner and the batches, `fit`
can resume it: after an interrupt, from a file, or one epoch at a time.

Explained in the course: regularization, diagnosis, committee.
"""

import copy
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
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
"""The columns of the history, which has a row for each epoch.

- ``epoch``: number of the epoch, from 1, over all runs.
- ``loss``: mean training loss over the epoch's batches, with penalty.
- ``validation_loss``: loss on held-out data, without penalty; NaN if nothing is held out.
- ``validation_score``: score on held-out data; NaN if nothing is held out.
- ``learning_rate``: mean learning rate over the steps.
- ``gradient_norm``: mean Euclidean norm of the gradient over the steps, with penalty, before
  clipping.
- ``seconds``: duration of the epoch, with validation.

For networks side by side, all but ``epoch`` and ``seconds`` are arrays with a number for each.
"""

UNTRAINED = "a network whose turn to be trained did not come"
"""Why a network is lost where a run of a full-batch optimizer ends early."""

Group = tuple[Learner, Batches]
"""A network or stack that learns, and its training data."""

Validate = Callable[..., tuple[Any, Any]]
"""Maps the networks to loss and score on held-out data, see `fit`."""


@dataclass
class Progress:
    """Where a run stands.

    Attributes
    ----------
    clock : Clock
        Counts epochs, steps, rows and plateaus, for the schedule.
    rows : list of dict
        The history, with a row for each epoch, those of earlier runs too; see ``HISTORY``.
    epochs_before : int
        Number of rows from earlier runs.
    patience : Patience or None
        Ends the run early; None lets it make all its epochs.
    watches : {"loss", "validation_loss", "validation_score"}
        What patience watches. If it is measured on held-out data, `fit` brings back the networks
        of the best epoch.
    best : Best
        The networks to bring back. If patience watches the training loss, these are networks of a
        stack that stopped early, as of their last epoch.
    ended : {"", "exhausted", "stalled", "stopped", "interrupted"}
        How the run ended: empty while it may go on; "exhausted" after all epochs; "stalled" if
        patience ran out or a full-batch optimizer converged; "stopped" by ``report``.
    endless : bool
        Whether each call of `fit` adds one epoch, until patience runs out.
    reason : str
        Why a full-batch optimizer ended before it converged.
    """

    clock: Clock = field(default_factory=Clock)
    rows: list[dict[str, Any]] = field(default_factory=list)
    epochs_before: int = 0
    patience: Patience | None = None
    watches: str = "loss"
    best: Best = field(default_factory=Best)
    ended: str = ""
    endless: bool = False
    reason: str = ""

    def copy(self) -> Self:
        """Return a copy that can go on while this one stays as it is."""
        parts = {name: copy.copy(getattr(self, name)) for name in ("clock", "patience", "best")}
        return replace(self, rows=list(self.rows), **parts)

    def begin_again(self, schedule: Schedule) -> None:
        """Begin another run, with the history and the clock of this one.

        A schedule with a finite horizon starts again, as does one whose learning rate reached its
        minimum on plateaus.
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
        """Number of epochs in this run so far."""
        return len(self.rows) - self.epochs_before

    @property
    def history(self) -> dict[str, list[Any]]:
        """The history, with a list for each of ``HISTORY``."""
        return {name: [row[name] for row in self.rows] for name in HISTORY}

    @property
    def goes_back(self) -> bool:
        """Whether the networks of the best epoch come back in the end."""
        return self.watches != "loss"

    def record(self, row: dict[str, Any], groups: Sequence[Group]) -> None:
        """Add an epoch's row, and let patience judge it."""
        self.rows.append(row)
        self.clock.epoch += 1
        self.clock.samples += groups[0][1].n_samples
        if self.patience is None or (
            self.goes_back and np.isnan(row["validation_loss"]).all()  # nothing was held out
        ):
            return
        networks = [learner.network for learner, _ in groups]
        running = np.logical_not(self.patience.spent)
        value = row[self.watches]
        is_best = self.patience.update(value if self.watches == "validation_score" else -value)
        if self.goes_back:
            self.best.keep(networks, row["epoch"], is_best)
        spent = running & self.patience.spent
        if spent.any():
            learner, _ = groups[0]
            goes_on = learner.schedule.continues_after_plateau(learner.learning_rate, self.clock)
            goes_on = spent & per_network(goes_on)
            self.patience.renew(goes_on)
            self.clock.plateaus = self.clock.plateaus + _column(goes_on)
            if not self.goes_back:  # in a stack, stopped networks move on with the others
                self.best.keep(networks, row["epoch"], spent & ~goes_on)
        if self.patience.spent.all():
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
    run_all: Callable[..., Iterable[Any]] = map,
) -> Progress:
    """Train until all epochs are made, patience is spent, or ``report`` returns True.

    A KeyboardInterrupt also ends the run, without an error. If patience watches held-out data, the
    networks of the best epoch come back at the end.

    Parameters
    ----------
    learner : Learner, or sequence of Learner
        The learner of a network or of a stack. Learners in a sequence take turns, epoch by epoch,
        and share one patience: their history has a number for all of them, the mean.
    batches : Batches, or sequence of Batches
        The training data of each learner.
    epochs : int or None
        The most epochs of the run, with those of earlier calls. None adds a single epoch to a run
        without end.
    progress : Progress, optional
        The run to continue; by default a new one.
    validate : callable, optional
        Maps each learner's network to loss and score (greater is better) on held-out data: one
        number each for all networks, or arrays of shape (...) for a stack.
    begin : callable, optional
        Called before each epoch.
    report : callable, optional
        Called after each epoch with its row of the history; returns True to end the run.
    run_all : callable, default=map
        Lets each learner make its epoch; that of a pool of threads has several do so at a time.

    Returns
    -------
    progress : Progress
        Where the run stands now.

    Raises
    ------
    DivergenceError
        If no network is left whose loss and parameters are finite.
    """
    groups = _groups(learner, batches)
    progress = Progress() if progress is None else progress
    progress.endless = epochs is None
    if progress.endless and not (progress.ended == "stalled" and progress.goes_back):
        progress.ended = ""  # another call means that the caller wants another epoch
    last = progress.epochs + 1 if epochs is None else epochs
    progress.clock.horizon = last
    networks = [learner.network for learner, _ in groups]
    together = not isinstance(learner, Learner)

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
        if together:
            row |= {name: _mean(row[name]) for name in ("loss", "learning_rate", "gradient_norm")}
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
                end_epoch(take_turns(groups, workspaces, progress, run_all), started)
    except KeyboardInterrupt:
        progress.ended = "interrupted"
    if not progress.endless or progress.ended == "stalled":
        progress.ended = progress.ended or "exhausted"
        progress.best.restore(networks)
    if progress.ended == "interrupted":  # the last steps have not been checked yet
        for learner, _ in groups:
            try:
                check(learner)
            except DivergenceError as error:
                rate = per_network(learner.learning_rate)
                lose(learner, groups, divergence(str(error), progress, rate))
    return progress


def search(
    groups: Sequence[Group],
    epochs: int,
    progress: Progress,
    begin: Callable[[], Any],
    end_epoch: Callable[[dict[str, Any], float], bool],
) -> None:
    """Let a full-batch optimizer minimize each learner's loss, one after the other.

    If a new run ends early, networks whose turn did not come are lost, unless all are.
    """
    remaining, reason = epochs - progress.epochs, ""
    trained: set[int] = set()

    def end(number: int, row: dict[str, Any], started: float) -> bool:
        trained.add(number)
        return end_epoch(row, started)

    try:
        for number, (learner, batches) in enumerate(groups):
            if remaining <= 0 or progress.ended:
                return
            try:
                found = learner.optimizer.minimize(
                    learner, batches, remaining, begin, partial(end, number)
                )
            except DivergenceError as error:
                no_learning_rate = math.nan
                lose(learner, groups, divergence(str(error), progress, no_learning_rate))
                continue
            reason = reason or found
    finally:
        if progress.epochs_before == 0 and any(not groups[k][0].is_lost for k in trained):
            for number, (learner, _) in enumerate(groups):
                if number not in trained:
                    lose(learner, groups, DivergenceError(UNTRAINED))
    progress.reason = reason
    if not reason:
        progress.ended = progress.ended or "stalled"


def _groups(learner: Any, batches: Any) -> list[Group]:
    if isinstance(learner, Learner):
        return [(learner, batches)]
    return list(zip(learner, batches, strict=True))


def take_turns(
    groups: Sequence[Group],
    workspaces: Sequence[Workspace],
    progress: Progress,
    run_all: Callable[..., Iterable[Any]] = map,
) -> dict[str, Any]:
    """Let each group make an epoch, and return its numbers for all networks together."""

    def turn(group: Group, workspace: Workspace) -> dict[str, Any]:
        try:
            with np.errstate(**UNWARNED):
                return epoch(*group, workspace, progress)
        except DivergenceError as error:
            learner, _ = group
            lost = np.full(learner.network.stack, math.nan)
            return {"loss": lost, "learning_rate": lost, "gradient_norm": lost, "error": error}

    parts = list(run_all(turn, groups, workspaces))
    for (learner, _), part in zip(groups, parts, strict=True):
        if "error" in part:
            lose(learner, groups, part.pop("error"))
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([np.ravel(part[name]) for part in parts]) for name in parts[0]}


def lose(learner: Learner, groups: Sequence[Group], error: DivergenceError) -> None:
    """Let all networks of a learner go on as NaN; raise the error if no other learner is left."""
    for index in np.ndindex(learner.network.stack):
        learner.diverged.setdefault(index, str(error))
    if all(each.is_lost for each, _ in groups):
        raise error
    learner.network.parameters.vector[...] = math.nan


def epoch(
    learner: Learner, batches: Batches, workspace: Workspace, progress: Progress
) -> dict[str, Any]:
    """Make a step on each batch, and return loss, learning rate and gradient norm."""
    clock, schedule = progress.clock, learner.schedule
    n_steps = len(batches)
    clock = replace(clock, step=clock.epoch * n_steps, last_step=clock.horizon * n_steps)
    # With an array of plateaus, the schedule returns float64.
    learning_rate = in_dtype(schedule.rate(learner.learning_rate, clock), learner.network.dtype)
    loss: Any = 0.0
    norm: Any = 0.0
    sum_of_learning_rates: Any = 0.0
    n_rows: Any = 0
    try:
        for batch in batches:
            if schedule.per_step:
                learning_rate = schedule.rate(learner.learning_rate, clock)
            sized = workspace.for_rows(batch.Y.shape[-2])
            step_loss, step_norm = train_step(learner, batch, sized, learning_rate)
            counted = per_network(batch.n_rows)
            loss += counted * step_loss
            norm += step_norm
            sum_of_learning_rates += learning_rate
            n_rows += counted
            clock.step += 1
        loss = loss / n_rows
        check(learner, loss, batch.X)
    except DivergenceError as error:
        raise divergence(str(error), progress, per_network(learning_rate)) from None
    if schedule.per_step:
        learning_rate = sum_of_learning_rates / n_steps
    return {
        "loss": loss,
        "learning_rate": per_network(learning_rate),
        "gradient_norm": norm / n_steps,
    }


def check(learner: Learner, loss: Any = 0.0, X: Any = None) -> None:
    """Give up networks whose numbers the last step made infinite or NaN.

    The step checked its loss before it moved the parameters. ``loss``, of shape (...), is the
    epoch's: even finite losses may have an infinite sum. The outputs for X, of shape
    (..., batch, n_in), must be finite too. If no network is left, raises a `DivergenceError`.
    """
    network = learner.network
    finite = np.isfinite(loss) & has_finite_numbers(network)
    if X is not None:
        finite = finite & has_finite_outputs(network, X)
    if finite.all():
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
    """Make the error for a run whose numbers are no longer finite."""
    known = [f"{each:g}" for each in np.ravel(learning_rate) if not np.isnan(each)]
    at = f", at learning rate {' '.join(known)}" if known else ""
    return DivergenceError(
        "Training diverged: the loss or the parameters became non-finite in epoch "
        f"{len(progress.rows) + 1}{at}, first in {where}.",
        "Try a smaller learning_rate, scaled inputs, or another optimizer or initializer.",
    )


def _column(number: Any) -> Any:
    """Append an axis to an array of shape (...); turn a bool into an int."""
    return number[..., np.newaxis] if np.ndim(number) else int(number)


def _mean(values: Any) -> float:
    """Return the mean over the networks that have not diverged."""
    if np.ndim(values) == 0:
        return float(values)
    known = values[~np.isnan(values)]
    return float(known.sum() / len(known)) if len(known) else math.nan


def _plain(value: Any) -> Any:
    """Turn a NumPy scalar into a Python number; return an array as it is."""
    return value.item() if isinstance(value, np.generic) else value
