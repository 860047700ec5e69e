"""Measuring: each estimator fitted and scored on a fold."""

import pickle
import time
import warnings
from collections.abc import Callable, Mapping
from math import nan
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

Scorers = dict[str, tuple[Callable, bool]]
"""By the metrics' names: a scorer, and whether greater values are better as they are shown."""
COLUMNS = ("fold", "estimator", "fit_time", "predict_time", "size", "converged", "failure")
"""The columns of the scores besides the metrics."""


def measure_fold(
    fold: int,
    estimators: Mapping[str, Any],
    X: Any,
    y: Any,
    train: np.ndarray,
    test: np.ndarray,
    scorers: Scorers,
    seed: int,
    error_score: Any,
) -> tuple[list[dict[str, Any]], list[tuple[str, type[Warning], str]]]:
    """Fit and measure each estimator on a fold; return a row for each, and their warnings."""
    rows, warned = [], []
    X_train, y_train, X_test, y_test = (
        _take(data, part) for part in (train, test) for data in (X, y)
    )
    names = list(estimators)
    first = fold % len(names)  # they take turns at it
    for name in names[first:] + names[:first]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                row = _measure(
                    _seeded(estimators[name], seed), X_train, y_train, X_test, y_test, scorers
                )
            except Exception as error:
                message = f"{type(error).__name__}: {error}"
                if error_score == "raise":
                    raise ValueError(
                        f"The estimator {name!r} failed on fold {fold}: {message} Pass "
                        "error_score=np.nan to go on without its scores."
                    ) from error
                row = dict.fromkeys(scorers, float(error_score))
                row |= {"fit_time": nan, "predict_time": nan, "size": nan, "failure": message}
        others = [w for w in caught if not issubclass(w.category, ConvergenceWarning)]
        row["converged"] = len(others) == len(caught)
        rows.append({"fold": fold, "estimator": name} | row)
        warned += [(name, w.category, str(w.message)) for w in others]
    return rows, warned


def _measure(
    estimator: Any,
    X_train: Any,
    y_train: Any,
    X_test: Any,
    y_test: Any,
    scorers: Scorers,
) -> dict[str, Any]:
    started = time.perf_counter()
    estimator.fit(X_train, y_train)
    fitted = time.perf_counter()
    estimator.predict(X_test)
    predicted = time.perf_counter()
    row: dict[str, Any] = {}
    for metric, (scorer, upwards) in scorers.items():
        value = scorer(estimator, X_test, y_test)
        row[metric] = float(value if upwards else -value)
    return row | {
        "fit_time": fitted - started,
        "predict_time": predicted - fitted,
        "size": _pickled_size(estimator),
        "failure": "",
    }


def _seeded(estimator: Any, seed: int) -> Any:
    """Return a clone in which what has no random state yet has this one."""
    estimator = clone(estimator)
    unset = (name for name, value in estimator.get_params().items() if value is None)
    names = [name for name in unset if name.rpartition("__")[2] == "random_state"]
    return estimator.set_params(**dict.fromkeys(names, seed))


def _pickled_size(estimator: Any) -> float:
    try:
        return len(pickle.dumps(estimator))
    except (pickle.PicklingError, AttributeError, TypeError):  # a lambda, an open file, ...
        return nan


def _take(data: Any, rows: np.ndarray) -> Any:
    return data.iloc[rows] if hasattr(data, "iloc") else data[rows]
