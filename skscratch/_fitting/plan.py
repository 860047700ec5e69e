"""The plan of a call: what each automatic choice becomes, and why.

Every rule behind an "auto" is here. Few rows are trained on all together, since each of them is
needed; many are shared out in mini-batches, and some of them are held out. What that leads to for
a classifier:

>>> from skscratch import ScratchMLPClassifier, ScratchMLPRegressor
>>> from skscratch._fitting.settings import resolve
>>> def show(estimator):
...     settings = resolve(estimator.get_params(deep=False))
...     print("  rows held out   batch epochs  refit calibrated on")
...     for n in (60, 150, 900, 5_000, 100_000):
...         plan = make_plan(settings, n)
...         print(f"{n:6} {plan.n_held_out:8} {plan.batch_size:7} {plan.max_iter:6}"
...               f" {plan.refit!s:>6} {plan.calibrate or '-'}")
>>> show(ScratchMLPClassifier())
  rows held out   batch epochs  refit calibrated on
    60        0      60    100  False -
   150        0     150    100  False two halves
   900        0     900    100  False two halves
  5000     1000     256     64   True rows held out
100000    10000     256     64  False rows held out

And for a regressor:

>>> show(ScratchMLPRegressor())
  rows held out   batch epochs  refit calibrated on
    60        0      60    100  False -
   150        0     150    100  False -
   900      180     256    334  False -
  5000     1000     256     64   True -
100000    10000     256     64  False -
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any, Self

from ..nn.batches import batch_starts
from ..nn.initializers import Initializer
from ..nn.optimizers import Adam, Nadam
from ..nn.schedules import Adaptive, Constant, Cosine, Schedule
from .precision import fits_float32
from .settings import OPTION_TABLES, Settings
from .warn import warn

FEW_ROWS = {True: 1_000, False: 300}
"""Below, "auto" means full batches and no rows held out; for a classifier, and for a regressor,
whose rows tell more each."""
FLOAT32_FROM = 1_000
REFIT_FROM, REFIT_TO = 1_000, 50_000
"""Numbers of rows between which a training on all rows follows that on a part."""
AUTO_VALIDATION_FRACTION, MOST_VALIDATION_ROWS = 0.2, 10_000
AUTO_BATCH_SIZE = 256
AUTO_EPOCHS, LEAST_STEPS = 64, 1_000
EPOCHS_ON_FEW_ROWS = 100
EPOCHS_WITHOUT_HORIZON = 200
CALIBRATE_FROM = 20
"""Rows held out that are enough to calibrate on."""
CROSS_FIT_FROM = 100
"""Rows that are enough to calibrate on two halves of them."""
OUTPUT_INIT = "glorot_uniform"


@dataclass(frozen=True)
class Plan:
    """What a call of fit does. Prints as a table, in a notebook, too.

    Attributes have the names of the parameters that they come from.

    Attributes
    ----------
    n_samples : int
        Number of rows of X.
    n_held_out : int
        Number of rows of X that validate, and are not trained on.
    batch_size : int
        Rows of a batch.
    max_iter : int
        The most epochs.
    lr_schedule : Schedule
        The learning rate over the epochs.
    init : tuple of Initializer or None
        What draws the weights of each layer; None lets them start at 0.
    feature_scaling : {"robust", "learned"} or None
        How features are scaled.
    early_stopping : bool
        Whether the validation score decides which epoch's weights are kept.
    to_the_end : bool
        Whether all epochs are made, however long the score has not improved.
    refit : bool
        Whether a training on all rows follows, for as many epochs as were best.
    calibrate : {"", "rows held out", "two halves"}
        What the temperature is found on, if at all.
    dtype : {"float32", "float64"}
        The precision of the network.
    why : dict of str to str
        The reason for each choice.
    seconds : dict of str to float
        The time that each part of the call took.
    """

    n_samples: int
    n_held_out: int
    batch_size: int
    max_iter: int
    lr_schedule: Schedule
    init: tuple[Initializer | None, ...]
    feature_scaling: str | None
    early_stopping: bool
    to_the_end: bool
    refit: bool
    calibrate: str
    dtype: str
    why: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def n_training(self) -> int:
        """Number of rows that are trained on."""
        return self.n_samples - self.n_held_out

    def but(self, name: str, value: Any, why: str) -> Self:
        """Return the plan with another choice."""
        return replace(self, why={**self.why, name: why}, **{name: value})

    def timed(self, **seconds: float) -> Self:
        """Return the plan with the time that parts of the call took."""
        return replace(self, seconds={**self.seconds, **seconds})

    def table(self) -> list[tuple[str, str, str]]:
        """Return a row for each choice: its name, what it became, and why."""
        return [(name, _show(getattr(self, name)), why) for name, why in self.why.items()]

    def __str__(self) -> str:
        rows = [("choice", "became", "because"), *self.table()]
        widths = [max(len(row[i]) for row in rows) for i in range(2)]
        lines = [f"{a:{widths[0]}}  {b:{widths[1]}}  {c}".rstrip() for a, b, c in rows]
        if self.seconds:
            times = ", ".join(f"{name} {value:.3g} s" for name, value in self.seconds.items())
            lines.append(f"time: {times}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("choice", "became", "because"))
        cells = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in self.table())
        times = "".join(
            f"<tr><td>time</td><td>{value:.3g} s</td><td>{escape(name)}</td></tr>"
            for name, value in self.seconds.items()
        )
        rows = "".join(f"<tr>{row}</tr>" for row in cells)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}{times}</tbody></table>"


def _show(value: Any) -> str:
    if isinstance(value, tuple):
        names = list(dict.fromkeys("zeros" if item is None else repr(item) for item in value))
        return ", ".join(names)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return (value or "no") if isinstance(value, str) else str(value)


def make_plan(
    settings: Settings,
    n_samples: int,
    *,
    has_validation_data: bool = False,
    incremental: bool = False,
    continuing: bool = False,
    refitted: bool = False,
) -> Plan:
    """Decide what a call does.

    Parameters
    ----------
    settings : Settings
        The parameters.
    n_samples : int
        Number of rows of X.
    has_validation_data : bool, default=False
        Whether the caller gives validation data.
    incremental : bool, default=False
        Whether the call is one of `partial_fit`.
    continuing : bool, default=False
        Whether it goes on from what an earlier call has learned.
    refitted : bool, default=False
        Whether the call goes on from a training on all rows, which leaves none to hold out.

    Returns
    -------
    plan : Plan
        What it does, as far as that follows from the number of rows.
    """
    why: dict[str, str] = {}

    def choose(name: str, choice: tuple[Any, str]) -> Any:
        value, why[name] = choice
        return value

    early_stopping = choose(
        "early_stopping",
        _early_stopping(settings, n_samples, has_validation_data, incremental, refitted),
    )
    n_held_out = 0
    if early_stopping and not has_validation_data:
        n_held_out = choose("n_held_out", _n_held_out(settings, n_samples))
    schedule, why["lr_schedule"] = schedule_of(settings)
    to_the_end = settings.early_stopping == "auto" and schedule.finite_horizon
    if incremental and schedule.finite_horizon:
        schedule, why["lr_schedule"] = Constant(), "a call of partial_fit does not end the run"
    max_iter = (1, "a call of partial_fit makes one epoch")
    if not incremental:
        max_iter = epochs(settings, n_samples, n_samples - n_held_out)
    plan = Plan(
        n_samples=n_samples,
        n_held_out=n_held_out,
        batch_size=choose("batch_size", rows_per_batch(settings, n_samples)),
        max_iter=choose("max_iter", max_iter),
        lr_schedule=schedule,
        init=choose("init", _initializers(settings)),
        feature_scaling=choose("feature_scaling", scaling_of(settings)),
        early_stopping=early_stopping,
        to_the_end=to_the_end,
        refit=choose("refit", _refit(settings, schedule, n_samples, n_held_out, incremental)),
        calibrate="",
        dtype=choose("dtype", _dtype(settings, n_samples)),
        why=why,
    )
    if not settings.is_classifier:
        return plan
    if continuing:
        return plan.but("calibrate", "", "the first call has fixed the temperature")
    n_judging = CALIBRATE_FROM if has_validation_data else n_held_out
    return plan.but("calibrate", *_calibration(settings, n_samples, n_judging, incremental))


SET = "set"


def is_few(settings: Settings, n_samples: int) -> bool:
    """Say whether all rows are trained on together."""
    return n_samples < FEW_ROWS[settings.is_classifier]


def _range(settings: Settings, n_samples: int) -> str:
    limit = FEW_ROWS[settings.is_classifier]
    return f"{n_samples:,} rows, {'below' if n_samples < limit else 'not below'} {limit:,}"


def _early_stopping(
    settings: Settings,
    n_samples: int,
    has_validation_data: bool,
    incremental: bool,
    refitted: bool,
) -> tuple[bool, str]:
    wanted = settings.early_stopping
    if settings.optimizer.full_batch:
        return False, "L-BFGS minimizes one loss to its end"
    if not wanted:
        return False, SET
    if has_validation_data:
        return True, "X_val is given"
    if wanted == "auto" and (incremental or is_few(settings, n_samples)):
        return False, "partial_fit holds no rows out" if incremental else _range(
            settings, n_samples
        )
    if incremental:
        warn(
            "early_stopping=True has no effect in partial_fit without X_val and y_val: a call "
            "makes one epoch and holds no rows out."
        )
        return False, "partial_fit holds no rows out"
    if refitted:
        if wanted is True:
            raise ValueError(
                "early_stopping=True has no rows to hold out: the fit that warm_start=True "
                "would go on from has ended on all of them. Set early_stopping=False, pass "
                "X_val and y_val, or start anew with refit=False."
            )
        return False, "the fit before has ended on all rows"
    return True, SET if wanted is True else _range(settings, n_samples)


def _n_held_out(settings: Settings, n_samples: int) -> tuple[int, str]:
    """Round up, and hold out 2 at least: R2 is not defined for a single row."""
    fraction = settings.validation_fraction
    if fraction is not None:
        return max(math.ceil(fraction * n_samples), 2), f"a share of {fraction:g}, as set"
    share = math.ceil(AUTO_VALIDATION_FRACTION * n_samples)
    if share > MOST_VALIDATION_ROWS:
        return MOST_VALIDATION_ROWS, "more tell little more"
    return max(share, 2), f"a share of {AUTO_VALIDATION_FRACTION:g}"


def rows_per_batch(settings: Settings, n_samples: int) -> tuple[int, str]:
    """Return the rows of a batch, given the number of rows before any are held out."""
    if settings.optimizer.full_batch:
        return n_samples, "L-BFGS needs all rows"
    if settings.batch_size is None:
        return n_samples, SET
    if settings.batch_size != "auto":
        return int(settings.batch_size), SET
    few = is_few(settings, n_samples)
    return n_samples if few else AUTO_BATCH_SIZE, _range(settings, n_samples)


def epochs(settings: Settings, n_samples: int, n_training: int) -> tuple[int, str]:
    """Return the most epochs to make, given the rows in all and those to train on."""
    if settings.max_iter != "auto":
        return int(settings.max_iter), SET
    if settings.optimizer.full_batch:
        return EPOCHS_WITHOUT_HORIZON, "L-BFGS stops by itself"
    if not schedule_of(settings)[0].finite_horizon:
        return EPOCHS_WITHOUT_HORIZON, "the schedule has no end"
    if is_few(settings, n_samples):
        return EPOCHS_ON_FEW_ROWS, _range(settings, n_samples)
    batch_size, _ = rows_per_batch(settings, n_samples)
    n_steps = len(batch_starts(n_training, batch_size, settings.normalization == "batch"))
    enough = math.ceil(LEAST_STEPS / n_steps)
    if enough > AUTO_EPOCHS:
        return enough, f"{LEAST_STEPS:,} steps at least"
    return AUTO_EPOCHS, f"{AUTO_EPOCHS} are {AUTO_EPOCHS * n_steps:,} steps"


def schedule_of(settings: Settings) -> tuple[Schedule, str]:
    """Return the learning rate's schedule."""
    if isinstance(settings.lr_schedule, Schedule):
        return settings.lr_schedule, SET
    if settings.optimizer.full_batch:
        return Constant(), "L-BFGS has no learning rate"
    # One that ends with the run has no meaning where something else decides when that is.
    if settings.early_stopping is True and settings.n_iter_no_change != math.inf:
        return Constant(), "patience decides when the run ends"
    return Cosine(), "the run has a planned end"


def _initializers(settings: Settings) -> tuple[tuple[Initializer | None, ...], str]:
    """Return an initializer for each affine map."""
    n_layers = len(settings.activations) + 1
    if isinstance(settings.init, Initializer):
        return (settings.init,) * n_layers, SET
    table, _ = OPTION_TABLES["init"]
    hidden = [table[activation.init]() for activation in settings.activations]
    # From an output of 0, where no gradient reaches the layers below, Adam's first step is as
    # long as any; those of others would be short.
    first = isinstance(settings.optimizer, Adam | Nadam)
    last = None if first else table[OUTPUT_INIT]()
    why = "by activation; Adam's first step is long enough" if first else "by activation"
    return (*hidden, last), why


def scaling_of(settings: Settings) -> tuple[str | None, str]:
    """Return how features are scaled."""
    if settings.feature_scaling != "auto":
        return settings.feature_scaling, SET
    # Scales learn at 60 times the rate of weights, which suits steps that have the rate's size.
    if isinstance(settings.optimizer, Adam | Nadam):
        return "learned", "the optimizer's steps have the size of the learning rate"
    return "robust", "the optimizer's steps have the size of the gradient"


def _refit(
    settings: Settings, schedule: Schedule, n_samples: int, n_held_out: int, incremental: bool
) -> tuple[bool, str]:
    if settings.refit == "auto":
        if not n_held_out:
            return False, "no rows are held out"
        if settings.early_stopping is True:
            return False, "early_stopping=True keeps the network of the best epoch"
        if settings.warm_start or isinstance(schedule, Adaptive):
            return False, "a warm start" if settings.warm_start else "the schedule needs a score"
        pays = REFIT_FROM <= n_samples <= REFIT_TO
        return pays, f"it pays for {REFIT_FROM:,} to {REFIT_TO:,} rows"
    if not settings.refit or incremental:
        return False, SET
    if not n_held_out:
        raise ValueError(
            "refit=True trains again on all rows, and none are held out. Set "
            "early_stopping=True without X_val and y_val, or set refit=False."
        )
    return True, SET


def _calibration(
    settings: Settings, n_samples: int, n_judging: int, incremental: bool
) -> tuple[str, str]:
    wanted = settings.calibrate
    if wanted is False:
        return "", SET
    if incremental:
        if wanted is True:
            warn(
                "calibrate=True has no effect in partial_fit: the temperature is fixed by the "
                "first call, and after one epoch it would be that of an untrained network."
            )
        return "", "after one epoch it would be that of an untrained network"
    if n_judging:
        if wanted is True:
            return "rows held out", SET
        if n_judging < CALIBRATE_FROM:
            return "", f"{n_judging} rows held out, fewer than {CALIBRATE_FROM}"
        return "rows held out", f"{CALIBRATE_FROM} or more"
    if wanted is True:
        return "two halves", SET
    if settings.early_stopping != "auto":
        return "", "no rows are held out"
    if n_samples >= CROSS_FIT_FROM and is_few(settings, n_samples):
        return "two halves", _range(settings, n_samples)
    return "", f"{n_samples:,} rows, fewer than {CROSS_FIT_FROM}"


def _dtype(settings: Settings, n_samples: int) -> tuple[str, str]:
    if settings.dtype != "auto":
        return settings.dtype, SET
    if settings.optimizer.full_batch:
        return "float64", "L-BFGS converges further"
    if n_samples < FLOAT32_FROM:
        return "float64", f"{n_samples:,} rows take little time"
    return "float32", "twice as fast, and accurate enough for these values"


def settle_dtype(settings: Settings, plan: Plan, numbers: Iterable[Any]) -> Plan:
    """Return the plan with float64 where the numbers to compute with are beyond float32."""
    if settings.dtype != "auto" or plan.dtype == "float64" or all(map(fits_float32, numbers)):
        return plan
    return plan.but("dtype", "float64", "float32 would lose digits of these values")


def settle_calibration(settings: Settings, plan: Plan, target: Any, n_judging: int) -> Plan:
    """Return the plan without calibration where the target or the rows held out do not allow it.

    Parameters
    ----------
    settings : Settings
        The parameters.
    plan : Plan
        The plan.
    target : Labels
        The target.
    n_judging : int
        Number of rows held out that have a weight.

    Raises
    ------
    ValueError
        If ``calibrate=True``, and the loss has no temperature.
    """
    if not plan.calibrate:
        return plan
    if target.has_one_class:
        return plan.but("calibrate", "", "there is one class")
    link = target.loss.out_activation
    if link in ("softmax", "logistic"):
        return plan.but(
            "calibrate", *_calibration(settings, plan.n_samples, n_judging, incremental=False)
        )
    if settings.calibrate is True:
        raise ValueError(
            f"calibrate=True does not go with loss={settings.loss!r}: its output activation is "
            f"{link!r}, and a temperature is that of 'softmax' or 'logistic'. Take another "
            "loss, or calibrate=False."
        )
    return plan.but("calibrate", "", f"the output activation {link!r} has no temperature")
