"""Settings: an estimator's parameters, checked and turned into objects.

`resolve` judges them at the start of each fit, before any state changes. What depends on the
targets, too (``loss``, ``class_weight``), `Target` judges. What "auto" becomes is up to `Plan`.
"""

import difflib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer_names

from ..nn.activations import ACTIVATIONS, Activation
from ..nn.embeddings import EMBEDDINGS, Embedding
from ..nn.initializers import INITIALIZERS, Initializer
from ..nn.losses import LOSSES, Loss
from ..nn.normalization import NORMALIZATIONS
from ..nn.optimizers import OPTIMIZERS, Optimizer
from ..nn.options import (
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    Interval,
    check_integer,
    check_real,
    lookup,
)
from ..nn.schedules import SCHEDULES, Constant, Cosine, Schedule
from .lbfgs import LBFGS

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
    "numerical_embedding": (EMBEDDINGS, Embedding),
}
"""For each parameter that takes a name or an object: the names, and the objects' base."""

NAMES_OF_SKLEARN = {
    "solver": "optimizer",
    "alpha": "l2",
    "learning_rate_init": "learning_rate",
    "power_t": "lr_schedule=InverseScaling(power=...)",
    "momentum": "optimizer=SGD(momentum=...)",
    "nesterovs_momentum": "optimizer=SGD(momentum=..., nesterov=...)",
    "beta_1": "optimizer=Adam(beta1=...)",
    "beta_2": "optimizer=Adam(beta2=...)",
    "epsilon": "optimizer=Adam(epsilon=...)",
    "max_fun": "optimizer=LBFGS(max_fun=...)",
}
"""What the parameters of scikit-learn's MLP that have other names there are here."""


def is_full_batch(optimizer: Any) -> bool:
    """Say whether an optimizer's name, or an object, is one that trains on all rows at once."""
    made = ALL_OPTIMIZERS.get(optimizer) if isinstance(optimizer, str) else optimizer
    return bool(getattr(made, "full_batch", False))


MOST_UNITS = 2**31 - 1
"""The most units of a layer: one float64 weight for each takes 16 GB already."""


@dataclass(frozen=True)
class Settings:
    """Checked parameters: names have become objects, and one value for all layers a list.

    Attributes have the parameters' names. What one estimator lacks has the value that does nothing.
    ``is_classifier`` says which one it is.
    """

    is_classifier: bool
    hidden_layer_sizes: tuple[int, ...]
    activations: list[Activation]
    n_networks: int | str
    cv: Any
    n_jobs: int | None
    init: Initializer | str
    optimizer: Optimizer
    l2: float
    dropout: list[float]
    normalization: str | None
    batch_size: int | str | None
    learning_rate: float
    lr_schedule: Schedule
    clip_norm: float | None
    loss: Any
    label_smoothing: float
    class_weight: Any
    standardize_target: bool
    max_iter: int | str
    shuffle: bool
    tol: float
    n_iter_no_change: float
    early_stopping: bool
    feature_scaling: str | None
    numerical_embedding: Embedding | None
    calibrate: bool | str
    scoring: Any
    validation_fraction: float
    verbose: bool
    warm_start: bool
    dtype: str


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
    optimizer = _option("optimizer", params["optimizer"])
    settings = Settings(
        is_classifier="class_weight" in params,
        hidden_layer_sizes=sizes,
        activations=activations,
        n_networks=_auto_or_integer("n_networks", params["n_networks"]),
        cv=_cv(params["cv"]),
        n_jobs=_n_jobs(params["n_jobs"]),
        init=_unless_auto("init", params["init"]),
        optimizer=optimizer,
        l2=check_real("l2", params["l2"], NON_NEGATIVE),
        dropout=dropout,
        normalization=_choice("normalization", params["normalization"], (None, *NORMALIZATIONS)),
        batch_size=_batch_size(params["batch_size"]),
        learning_rate=_learning_rate(params["learning_rate"]),
        lr_schedule=_option("lr_schedule", params["lr_schedule"]),
        clip_norm=None
        if params["clip_norm"] is None
        else check_real("clip_norm", params["clip_norm"], POSITIVE),
        loss=params["loss"],
        label_smoothing=check_real("label_smoothing", params.get("label_smoothing", 0), FRACTION),
        class_weight=params.get("class_weight"),
        standardize_target=_choice(
            "standardize_target", params.get("standardize_target", False), (True, False)
        ),
        max_iter=_auto_or_integer("max_iter", params["max_iter"]),
        shuffle=_choice("shuffle", params["shuffle"], (True, False)),
        tol=check_real("tol", params["tol"], NON_NEGATIVE),
        n_iter_no_change=_patience(params["n_iter_no_change"]),
        early_stopping=_choice("early_stopping", params["early_stopping"], (True, False)),
        feature_scaling=_choice(
            "feature_scaling", params["feature_scaling"], (None, "robust", "learned")
        ),
        numerical_embedding=None
        if params["numerical_embedding"] is None
        else _option("numerical_embedding", params["numerical_embedding"]),
        calibrate=_choice("calibrate", params.get("calibrate", False), (True, False, "auto")),
        scoring=_scoring(params["scoring"]),
        validation_fraction=check_real(
            "validation_fraction",
            params["validation_fraction"],
            Interval(0, 1, closed="neither"),
        ),
        verbose=_verbose(params["verbose"]),
        warm_start=_choice("warm_start", params["warm_start"], (True, False)),
        dtype=_choice("dtype", params["dtype"], ("auto", "float32", "float64")),
    )
    if settings.optimizer.full_batch:
        _check_lbfgs(settings)
    if settings.normalization == "batch" and settings.batch_size == 1:
        raise ValueError(
            "batch_size=1 does not go with normalization='batch': a single row has no variance. "
            "Take larger batches, or normalization='layer'."
        )
    return settings


def _unless_auto(name: str, value: Any) -> Any:
    return value if isinstance(value, str) and value == "auto" else _option(name, value)


def _layer_sizes(value: Any) -> tuple[int, ...]:
    if not (isinstance(value, Integral) or _is_sequence(value)):
        raise TypeError(
            "hidden_layer_sizes must be an integer or a sequence of integers such as (100, 50), "
            f"got {value!r} of type {type(value).__name__}."
        )
    given = [value] if isinstance(value, Integral) else value
    sizes = tuple(check_integer("each of hidden_layer_sizes", size, 1) for size in given)
    if sizes and max(sizes) > MOST_UNITS:
        raise ValueError(
            f"each of hidden_layer_sizes must be an integer from 1 to {MOST_UNITS}, "
            f"got {max(sizes)}."
        )
    return sizes


def _is_sequence(value: Any) -> bool:
    """Tell what has an order and can be read again from generators, sets and dicts."""
    if hasattr(value, "__array__"):  # of NumPy, pandas, polars
        return np.ndim(value) == 1
    is_text = isinstance(value, str | bytes | bytearray | memoryview)
    return isinstance(value, Sequence) and not is_text


def _per_layer(name: str, value: Any, n_layers: int, check: Callable[[Any], Any]) -> list[Any]:
    """Return a checked value per hidden layer, from one for all of them or from a sequence."""
    if isinstance(value, str) or not np.iterable(value):
        return [check(value)] * n_layers
    if not _is_sequence(value):
        raise TypeError(
            f"{name} must be one value or a sequence (a list, tuple or array) of one per hidden "
            f"layer, got {value!r} of type {type(value).__name__}."
        )
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


def _learning_rate(value: Any) -> float:
    if isinstance(value, str) and value in SCHEDULES:  # scikit-learn's learning_rate takes such
        raise TypeError(
            f"learning_rate must be a number in {POSITIVE}, got {value!r}, the name of a schedule. "
            f"Set lr_schedule={value!r} instead; learning_rate is scikit-learn's "
            "learning_rate_init."
        )
    return check_real("learning_rate", value, POSITIVE)


def _auto_or_integer(name: str, value: Any) -> int | str:
    if isinstance(value, str):
        if value == "auto":
            return value
        raise ValueError(f"{name} must be 'auto' or an integer >= 1, got {value!r}.")
    return check_integer(name, value, 1)


def _cv(value: Any) -> Any:
    """Check what cuts the folds, which is asked for them once the rows are there."""
    if value is None:
        return None
    if isinstance(value, str | bytes | bool) or not (
        isinstance(value, Integral) or hasattr(value, "split") or np.iterable(value)
    ):
        raise TypeError(
            "cv must be None, an integer, a splitter of scikit-learn or an iterable of "
            f"(train, test) indices, got {value!r}."
        )
    return value


def _n_jobs(value: Any) -> int | None:
    if value is None:
        return None
    n_jobs = check_integer("n_jobs", value, -(2**31))
    if n_jobs == 0:
        raise ValueError("n_jobs must be None or an integer other than 0, got 0.")
    return n_jobs


def _batch_size(value: Any) -> int | str | None:
    if value is None or (isinstance(value, str) and value == "full"):
        return None
    if isinstance(value, str):
        if value == "auto":
            return value
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
        near = difflib.get_close_matches(value.lower(), [*names, "loss"])
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(
            f"Unknown scoring {value!r}.{hint} It may be None, 'loss', a callable, or a name that "
            "sklearn.metrics.get_scorer_names() lists."
        )
    return value


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
        "lr_schedule": settings.lr_schedule not in (Constant(), Cosine()),
    }
    for name, is_set in refused.items():
        if is_set:
            raise ValueError(
                f"{name} does not go with optimizer='lbfgs', which minimizes one fixed loss over "
                f"all rows; leave {name} at its default or take another optimizer."
            )
