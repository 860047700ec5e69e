"""The plan of a call: what each automatic choice becomes, and why.

Every rule behind an "auto" is here. What they lead to:

>>> from skscratch import ScratchMLPClassifier
>>> from skscratch._fitting.settings import resolve
>>> settings = resolve(ScratchMLPClassifier().get_params(deep=False))
>>> print("  rows networks judged by         batch epochs    dtype")
  rows networks judged by         batch epochs    dtype
>>> for n in (30, 60, 150, 900, 5_000, 100_000):
...     plan = make_plan(settings, n)
...     print(f"{n:6} {plan.n_networks:8} {plan.judge or '-':15} {plan.batch_size:6}"
...           f" {plan.max_iter:6} {plan.dtype:>8}")
    30        8 -                   30    250  float64
    60        8 folds               53    250  float64
   150        8 folds               44     84  float32
   900        8 folds               61     24  float32
  5000        8 folds               64     24  float32
100000        8 folds               64     24  float32
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any, Self

from ..nn.batches import batch_starts
from ..nn.initializers import Initializer
from ..nn.optimizers import Adam, Nadam
from ..nn.schedules import Constant, Schedule
from .precision import fits_float32
from .settings import OPTION_TABLES, Settings
from .warn import warn

N_NETWORKS = 8
FOLDS_FROM = 40
"""Rows that are enough for folds: scikit-learn's checks, which want weights to be as good as
repeated rows to seven digits, have fewer."""
AUTO_BATCH_SIZE = 64
AUTO_EPOCHS = {"classifier": 24, "regressor": 32}
LEAST_STEPS = {"classifier": 250, "regressor": 500}
"""A regressor gains from more of both, most of all where rows are few; a classifier does not."""
EPOCHS_OF_LBFGS = 200
FLOAT32_FROM = 1_000
"""Rows times networks from which the time that float32 saves is worth it."""
CALIBRATE_FROM = 20
"""Rows that were not trained on, enough to calibrate on."""
OUTPUT_INIT = "glorot_uniform"
SET = "set"


@dataclass(frozen=True)
class Plan:
    """What a call of fit does. Prints as a table, in a notebook, too.

    Attributes have the names of the parameters that they come from.

    Attributes
    ----------
    n_samples : int
        Number of rows of X.
    n_networks : int
        Number of networks.
    judge : {"", "folds", "held-out rows", "X_val"}
        What validates: each network its own fold, or all networks the same rows.
    n_held_out : int
        Number of rows of X that no network trains on.
    goes_back : bool
        Whether the networks of the best epoch come back in the end.
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
    calibrate : bool
        Whether a temperature is found.
    dtype : {"float32", "float64"}
        The precision of the networks.
    why : dict of str to str
        The reason for each choice.
    seconds : dict of str to float
        The time that each part of the call took.
    """

    n_samples: int
    n_networks: int
    judge: str
    n_held_out: int
    goes_back: bool
    batch_size: int
    max_iter: int
    lr_schedule: Schedule
    init: tuple[Initializer | None, ...]
    feature_scaling: str | None
    calibrate: bool
    dtype: str
    why: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def n_training(self) -> int:
        """Number of rows that a network is trained on, more or less one."""
        if self.judge == "folds":
            return self.n_samples - self.n_samples // self.n_networks
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
    n_splits: int | None = None,
    has_validation_data: bool = False,
    incremental: bool = False,
    n_before: int | None = None,
    n_begun: int | None = None,
    n_training: int | None = None,
) -> Plan:
    """Decide what a call does.

    Parameters
    ----------
    settings : Settings
        The parameters.
    n_samples : int
        Number of rows of X.
    n_splits : int, optional
        Number of splits that ``cv`` makes.
    has_validation_data : bool, default=False
        Whether the caller gives validation data.
    incremental : bool, default=False
        Whether the call is one of `partial_fit`.
    n_before : int, optional
        Number of networks that the call goes on with.
    n_begun : int, optional
        Number of networks that there were before some of them diverged.
    n_training : int, optional
        The most rows that a split of ``cv`` trains on.

    Returns
    -------
    plan : Plan
        What it does.
    """
    why: dict[str, str] = {}

    def choose(name: str, choice: tuple[Any, str]) -> Any:
        value, why[name] = choice
        return value

    n_networks = choose(
        "n_networks", _n_networks(settings, n_samples, n_splits, incremental, n_before, n_begun)
    )
    n_folds = n_begun or n_networks
    judge = choose("judge", _judge(settings, n_samples, n_folds, has_validation_data, incremental))
    n_held_out = 0
    if judge == "held-out rows":
        n_held_out = choose("n_held_out", _n_held_out(settings, n_samples))
    n_rows = n_training or n_samples - (n_samples // n_networks if judge == "folds" else n_held_out)
    plan = Plan(
        n_samples=n_samples,
        n_networks=n_networks,
        judge=judge,
        n_held_out=n_held_out,
        goes_back=choose("goes_back", _goes_back(settings, judge, incremental)),
        batch_size=choose("batch_size", rows_per_batch(settings, n_samples, n_rows)),
        max_iter=1,
        lr_schedule=choose("lr_schedule", schedule_of(settings, incremental)),
        init=choose("init", _initializers(settings)),
        feature_scaling=settings.feature_scaling,
        calibrate=False,
        dtype=choose("dtype", _dtype(settings, n_samples * n_networks)),
        why=why,
    )
    plan = plan.but("max_iter", *_epochs(settings, plan, incremental, n_training))
    if settings.is_classifier:
        n_judging = {"": 0, "X_val": CALIBRATE_FROM, "folds": n_samples}.get(judge, n_held_out)
        continuing = n_before is not None
        plan = plan.but("calibrate", *_calibrate(settings, n_judging, incremental, continuing))
    return plan


def _n_networks(
    settings: Settings,
    n_samples: int,
    n_splits: int | None,
    incremental: bool,
    n_before: int | None,
    n_begun: int | None,
) -> tuple[int, str]:
    if n_before is not None and settings.n_networks in ("auto", n_before, n_begun):
        if n_splits not in (None, n_begun):
            raise ValueError(
                f"cv makes {n_splits} splits, one for each network, and training would continue "
                f"with {n_begun} networks. Have as many splits, or set warm_start=False to start "
                "anew."
            )
        return n_before, "those of the call before"
    if settings.n_networks != "auto":
        n_networks = int(settings.n_networks)
        if n_splits is not None and n_splits != n_networks:
            raise ValueError(
                f"cv makes {n_splits} splits, one for each network, and n_networks={n_networks}. "
                "Set n_networks='auto', or have as many splits."
            )
        return n_networks, SET
    if n_splits is not None:
        return n_splits, "one for each split of cv"
    if incremental:
        return 1, "partial_fit has no folds"
    return N_NETWORKS, f"{N_NETWORKS} with any number of rows"


def _judge(
    settings: Settings,
    n_samples: int,
    n_networks: int,
    has_validation_data: bool,
    incremental: bool,
) -> tuple[str, str]:
    early_stopping = settings.early_stopping and not settings.optimizer.full_batch
    has_folds = settings.cv is not None and settings.n_networks != 1
    if has_folds and (early_stopping or has_validation_data) and not incremental:
        given = "X_val" if has_validation_data else "early_stopping=True"
        raise ValueError(
            f"cv={settings.cv!r} cuts folds that judge the networks, and so do the rows of "
            f"{given}. Set cv=None, or do without {given}."
        )
    if has_validation_data:
        return "X_val", "it is given"
    if incremental:
        if early_stopping:
            warn(
                "early_stopping=True has no effect in partial_fit without X_val and y_val: a call "
                "makes one epoch and holds no rows out."
            )
        return "", "partial_fit holds no rows out"
    if early_stopping:
        return "held-out rows", "early_stopping=True"
    if has_folds:
        return "folds", "those of cv"
    if n_networks == 1:
        return "", "one network trains on all rows"
    if n_samples < max(FOLDS_FROM, 2 * n_networks):
        return "", f"{n_samples:,} rows are too few for folds"
    return "folds", "each network leaves out another one"


def _n_held_out(settings: Settings, n_samples: int) -> tuple[int, str]:
    """Round up, and hold out 2 at least: R2 is not defined for a single row."""
    share = math.ceil(settings.validation_fraction * n_samples)
    return max(share, 2), f"validation_fraction={settings.validation_fraction:g}"


def _goes_back(settings: Settings, judge: str, incremental: bool) -> tuple[bool, str]:
    if settings.optimizer.full_batch:
        return False, "L-BFGS minimizes one loss to its end"
    if not judge:
        return False, "nothing judges the epochs"
    if settings.early_stopping:
        return True, "early_stopping=True"
    if judge == "X_val" and (settings.n_networks == 1 or incremental):
        return False, "X_val is monitored only"
    return True, f"the best epoch is known by the {judge}"


def rows_per_batch(
    settings: Settings, n_samples: int, n_training: int | None = None
) -> tuple[int, str]:
    """Return the rows of a batch, given the number of rows, and of those that are trained on.

    Batches are even: after 64 rows one with a single row would be a step as long as any other.
    """
    if settings.optimizer.full_batch:
        return n_samples, "L-BFGS needs all rows"
    if settings.batch_size is None:
        return n_samples, SET
    if settings.batch_size != "auto":
        return int(settings.batch_size), SET
    n_rows = max(1, n_training or n_samples)
    n_batches = math.ceil(n_rows / AUTO_BATCH_SIZE)
    return math.ceil(n_rows / n_batches), f"even batches of {AUTO_BATCH_SIZE} at most"


def _epochs(
    settings: Settings, plan: Plan, incremental: bool, n_training: int | None
) -> tuple[int, str]:
    if incremental:
        return 1, "a call of partial_fit makes one epoch"
    if settings.max_iter != "auto":
        return int(settings.max_iter), SET
    if settings.optimizer.full_batch:
        return EPOCHS_OF_LBFGS, "L-BFGS stops by itself"
    join_single = settings.normalization == "batch"
    n_rows = n_training or max(1, plan.n_training)
    n_steps = len(batch_starts(n_rows, plan.batch_size, join_single))
    kind = "classifier" if settings.is_classifier else "regressor"
    n_epochs, least = AUTO_EPOCHS[kind], LEAST_STEPS[kind]
    if n_epochs * n_steps < least:
        return math.ceil(least / n_steps), f"{least:,} steps at least"
    return n_epochs, f"{n_epochs} are {n_epochs * n_steps:,} steps"


def schedule_of(settings: Settings, incremental: bool = False) -> tuple[Schedule, str]:
    """Return the learning rate's schedule."""
    if settings.optimizer.full_batch:
        return Constant(), "L-BFGS has no learning rate"
    if incremental and settings.lr_schedule.finite_horizon:
        return Constant(), "a call of partial_fit does not end the run"
    return settings.lr_schedule, SET


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


def pace_of(settings: Settings) -> float:
    """Return how many times as far as other parameters learned scales move in a step of Adam.

    In steps that have the gradient's size it is the square of that, so that the pace is 1 there.
    """
    return 20.0 if isinstance(settings.optimizer, Adam | Nadam) else 1.0


def _calibrate(
    settings: Settings, n_judging: int, incremental: bool, continuing: bool
) -> tuple[bool, str]:
    wanted = settings.calibrate
    if wanted is False:
        return False, SET
    if continuing:
        return False, "the first call has fixed the temperature"
    if incremental:
        if wanted is True:
            warn(
                "calibrate=True has no effect in partial_fit: the temperature is fixed by the "
                "first call, and after one epoch it would be that of an untrained network."
            )
        return False, "after one epoch it would be that of an untrained network"
    if not n_judging:
        if wanted is True:
            raise ValueError(
                "calibrate=True needs rows that were not trained on, and there are none. Set "
                f"n_networks to 2 or more with {FOLDS_FROM} rows or more, early_stopping=True, or "
                "pass X_val and y_val."
            )
        return False, "all rows were trained on"
    if wanted is True:
        return True, SET
    return n_judging >= CALIBRATE_FROM, f"{CALIBRATE_FROM} rows not trained on are enough"


def _dtype(settings: Settings, n_passed: int) -> tuple[str, str]:
    if settings.dtype != "auto":
        return settings.dtype, SET
    if settings.optimizer.full_batch:
        return "float64", "L-BFGS converges further"
    if n_passed < FLOAT32_FROM:
        return "float64", f"{n_passed:,} rows, all networks together, take little time"
    return "float32", "twice as fast, and accurate enough for these values"


def settle_dtype(settings: Settings, plan: Plan, numbers: Iterable[Any]) -> Plan:
    """Return the plan with float64 where the numbers to compute with are beyond float32."""
    if settings.dtype != "auto" or plan.dtype == "float64" or all(map(fits_float32, numbers)):
        return plan
    return plan.but("dtype", "float64", "float32 would lose digits of these values")


def settle_calibration(settings: Settings, plan: Plan, target: Any, n_judging: int) -> Plan:
    """Return the plan without calibration where the target or the judging rows do not allow it.

    Parameters
    ----------
    settings : Settings
        The parameters.
    plan : Plan
        The plan.
    target : Labels
        The target.
    n_judging : int
        Number of rows that were not trained on, and have a weight.

    Raises
    ------
    ValueError
        If ``calibrate=True``, and the loss has no temperature.
    """
    if not plan.calibrate:
        return plan
    if target.has_one_class:
        return plan.but("calibrate", False, "there is one class")
    link = target.loss.out_activation
    if link in ("softmax", "logistic"):
        if settings.calibrate is True or n_judging >= CALIBRATE_FROM:
            return plan
        return plan.but("calibrate", False, f"{n_judging} rows not trained on are too few")
    if settings.calibrate is True:
        raise ValueError(
            f"calibrate=True does not go with loss={settings.loss!r}: its output activation is "
            f"{link!r}, and a temperature is that of 'softmax' or 'logistic'. Take another "
            "loss, or calibrate=False."
        )
    return plan.but("calibrate", False, f"the output activation {link!r} has no temperature")
