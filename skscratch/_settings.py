"""Settings: an estimator's parameters, checked and turned into objects.

`resolve` judges the parameters that both estimators share, at the start of each fit and before any
state changes. What concerns the targets (``loss``, ``class_weight``, ...) each estimator judges
itself.
"""

import difflib
import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer_names

from ._lbfgs import LBFGS
from ._precision import fits_float32
from .nn.activations import ACTIVATIONS, Activation
from .nn.initializers import INITIALIZERS, Initializer
from .nn.layers import NORMALIZATIONS
from .nn.losses import LOSSES, Loss
from .nn.optimizers import OPTIMIZERS, Optimizer
from .nn.options import (
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    Interval,
    check_integer,
    check_real,
    lookup,
)
from .nn.schedules import SCHEDULES, Constant, Schedule

ALL_OPTIMIZERS = {**OPTIMIZERS, "lbfgs": LBFGS}
CLASSIFIER_LOSSES = {name: LOSSES[name] for name in ("log_loss", "focal")}
REGRESSOR_LOSSES = {
    name: make
    for name, make in LOSSES.items()
    if name not in (*CLASSIFIER_LOSSES, "binary_log_loss", "binary_focal")
}
OPTION_TABLES: dict[str, tuple[dict, type]] = {
    "activation": (ACTIVATIONS, Activation),
    "init": ({"auto": None, **INITIALIZERS}, Initializer),
    "optimizer": (ALL_OPTIMIZERS, Optimizer),
    "lr_schedule": (SCHEDULES, Schedule),
    "loss": ({**CLASSIFIER_LOSSES, **REGRESSOR_LOSSES}, Loss),
}
"""For each parameter that takes a name or an object: the names, and the objects' base."""

OUTPUT_INIT = "glorot_uniform"
AUTO_BATCH_SIZE = 200
AUTO_FLOAT32_FROM = 1_000
AUTO_EARLY_STOPPING_FROM = 10_000
AUTO_VALIDATION_FRACTION = 0.1
AUTO_VALIDATION_ROWS = 10_000


@dataclass(frozen=True)
class Settings:
    """Checked parameters; each attribute is the constructor parameter's resolved form."""

    hidden_layer_sizes: tuple[int, ...]
    activations: list[Activation]
    initializers: list[Initializer]
    optimizer: Optimizer
    l2: float
    dropout: list[float]
    normalization: str | None
    batch_size: int | None
    learning_rate: float
    schedule: Schedule
    clip_norm: float | None
    max_iter: int
    shuffle: bool
    tol: float
    n_iter_no_change: float
    early_stopping: bool | str
    scoring: Any
    train_score: bool
    validation_fraction: float | None
    verbose: bool
    warm_start: bool
    dtype: str

    @property
    def rows_per_batch(self) -> int | None:
        """Rows of a batch; None for all of them."""
        return None if isinstance(self.optimizer, LBFGS) else self.batch_size

    def stops_early(self, n_samples: int, has_validation_data: bool, incremental: bool) -> bool:
        """Say whether the validation score decides when to stop."""
        if isinstance(self.optimizer, LBFGS) or not self.early_stopping:
            return False
        if has_validation_data:
            return True
        if self.early_stopping == "auto":
            return n_samples >= AUTO_EARLY_STOPPING_FROM and not incremental
        if incremental:
            warnings.warn(
                "early_stopping=True has no effect in partial_fit without X_val and y_val: a call "
                "makes one epoch and holds no rows out.",
                UserWarning,
                stacklevel=6,
            )
        return not incremental

    def n_validation(self, n_samples: int) -> int:
        """Return how many of so many rows to hold out: rounded up, and at least 2.

        R2 is not defined for a single row.
        """
        if self.validation_fraction is None:
            n_rows = min(math.ceil(AUTO_VALIDATION_FRACTION * n_samples), AUTO_VALIDATION_ROWS)
        else:
            n_rows = math.ceil(self.validation_fraction * n_samples)
        return max(n_rows, 2)

    def float_type(self, n_samples: int, arrays: Iterable[Any]) -> np.dtype:
        """Return the dtype to train so many rows in, looking at the arrays only if it has to."""
        if self.dtype != "auto":
            return np.dtype(self.dtype)
        pays = n_samples >= AUTO_FLOAT32_FROM and not isinstance(self.optimizer, LBFGS)
        return np.dtype("float32" if pays and all(map(fits_float32, arrays)) else "float64")


def resolve(params: dict[str, Any]) -> Settings:
    """Check an estimator's parameters and resolve them.

    Parameters
    ----------
    params : dict
        What ``estimator.get_params(deep=False)`` returns.

    Returns
    -------
    settings : Settings
        The resolved parameters.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not what it may be; the message names it, its value, and what would be
        right.
    """
    sizes = _layer_sizes(params["hidden_layer_sizes"])
    activations = _per_layer(
        "activation",
        params["activation"],
        len(sizes),
        lambda value: _option("activation", value),
    )
    dropout = _per_layer(
        "dropout",
        params["dropout"],
        len(sizes),
        lambda value: check_real("dropout", value, FRACTION),
    )
    settings = Settings(
        hidden_layer_sizes=sizes,
        activations=activations,
        initializers=_initializers(params["init"], activations),
        optimizer=_option("optimizer", params["optimizer"]),
        l2=check_real("l2", params["l2"], NON_NEGATIVE),
        dropout=dropout,
        normalization=_choice("normalization", params["normalization"], (None, *NORMALIZATIONS)),
        batch_size=_batch_size(params["batch_size"]),
        learning_rate=check_real("learning_rate", params["learning_rate"], POSITIVE),
        schedule=_option("lr_schedule", params["lr_schedule"]),
        clip_norm=None
        if params["clip_norm"] is None
        else check_real("clip_norm", params["clip_norm"], POSITIVE),
        max_iter=check_integer("max_iter", params["max_iter"], 1),
        shuffle=_choice("shuffle", params["shuffle"], (True, False)),
        tol=check_real("tol", params["tol"], NON_NEGATIVE),
        n_iter_no_change=_patience(params["n_iter_no_change"]),
        early_stopping=_choice("early_stopping", params["early_stopping"], (True, False, "auto")),
        scoring=_scoring(params["scoring"]),
        train_score=_choice("train_score", params["train_score"], (True, False)),
        validation_fraction=_validation_fraction(params["validation_fraction"]),
        verbose=_verbose(params["verbose"]),
        warm_start=_choice("warm_start", params["warm_start"], (True, False)),
        dtype=_choice("dtype", params["dtype"], ("auto", "float32", "float64")),
    )
    if isinstance(settings.optimizer, LBFGS):
        _check_lbfgs(settings)
    if settings.normalization == "batch" and settings.rows_per_batch == 1:
        raise ValueError(
            "batch_size=1 does not go with normalization='batch': a single row has no variance. "
            "Take larger batches, or normalization='layer'."
        )
    return settings


def _layer_sizes(value: Any) -> tuple[int, ...]:
    if isinstance(value, str) or not (isinstance(value, Integral) or np.iterable(value)):
        raise TypeError(
            "hidden_layer_sizes must be an integer or a sequence of integers such as (100, 50), "
            f"got {value!r}."
        )
    sizes = [value] if isinstance(value, Integral) else value
    return tuple(check_integer("each of hidden_layer_sizes", size, 1) for size in sizes)


def _per_layer(name: str, value: Any, n_layers: int, check: Callable[[Any], Any]) -> list[Any]:
    """Return a checked value per hidden layer, from one for all of them or from a sequence."""
    if isinstance(value, str) or not np.iterable(value):
        return [check(value)] * n_layers
    values = [check(item) for item in value]
    if len(values) != n_layers:
        raise ValueError(
            f"{name} must be one value or one per hidden layer: hidden_layer_sizes has {n_layers}, "
            f"{name} has {len(values)}: {value!r}."
        )
    return values


def _option(name: str, value: Any) -> Any:
    table, base = OPTION_TABLES[name]
    return lookup(name, value, table, base)


def _initializers(init: Any, activations: list[Activation]) -> list[Initializer]:
    """Return an initializer for each affine map; the last one has no activation."""
    if isinstance(init, str) and init == "auto":
        return [_option("init", name) for name in (*(f.init for f in activations), OUTPUT_INIT)]
    return [_option("init", init)] * (len(activations) + 1)


def _batch_size(value: Any) -> int | None:
    if value is None or (isinstance(value, str) and value == "full"):
        return None
    if isinstance(value, str):
        if value == "auto":
            return AUTO_BATCH_SIZE
        raise ValueError(
            f"batch_size must be 'auto', 'full', None or an integer >= 1, got {value!r}."
        )
    return check_integer("batch_size", value, 1)


def _scoring(value: Any) -> Any:
    if value is None or callable(value) or (isinstance(value, str) and value == "loss"):
        return value
    if not isinstance(value, str):
        raise TypeError(
            f"scoring must be None, 'loss', a scorer's name or a callable, got {value!r}."
        )
    names = get_scorer_names()
    if value not in names:
        near = difflib.get_close_matches(value, [*names, "loss"])
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(
            f"Unknown scoring {value!r}.{hint} It may be None, 'loss', a callable, or a name that "
            "sklearn.metrics.get_scorer_names() lists."
        )
    return value


def _validation_fraction(value: Any) -> float | None:
    if isinstance(value, str) and value == "auto":
        return None
    return check_real("validation_fraction", value, Interval(0, 1, closed="neither"))


def _patience(value: Any) -> float:
    if isinstance(value, float) and value == math.inf:
        return value
    return check_integer("n_iter_no_change", value, 1)


def _verbose(value: Any) -> bool:
    return value if isinstance(value, bool) else check_integer("verbose", value, 0) > 0


def _choice(name: str, value: Any, choices: tuple) -> Any:
    # `in` alone would take 1 for True.
    if not any(value == choice for choice in choices if isinstance(value, type(choice) | np.bool_)):
        raise ValueError(f"{name} must be {' or '.join(map(repr, choices))}, got {value!r}.")
    return value


def _check_lbfgs(settings: Settings) -> None:
    """L-BFGS needs the same loss at each evaluation, over all rows; refuse what prevents it."""
    refused = {
        "dropout": any(settings.dropout),
        "normalization": settings.normalization == "batch",
        "clip_norm": settings.clip_norm is not None,
        "lr_schedule": not isinstance(settings.schedule, Constant),
        "early_stopping": settings.early_stopping is True,
    }
    for name, is_set in refused.items():
        if is_set:
            raise ValueError(
                f"{name} does not go with optimizer='lbfgs', which minimizes one fixed loss over "
                f"all rows; leave {name} at its default or take another optimizer."
            )
