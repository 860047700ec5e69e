"""What a diagnosis finds in the data."""

import warnings
from collections.abc import Iterator
from math import isclose
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_classifier

from .._fitting.precision import column_range
from .._fitting.ranges import FAR, out_of_range_columns
from .._fitting.scaling import BOUND
from ._case import LEARNED, MOST_ROWS, NOTHING, Case
from ._diagnosis import Finding

SCALE = 30.0
"""Root mean square of a feature: above it, and below its inverse, a network learns badly."""
SAME = 1e-12
"""A column's range, in relation to its values: below, rounding alone makes them differ."""
NEAR_BOUND = 0.9
"""Share of the clip's bound: beyond, it has flattened a column to less than a tenth."""
SQUEEZED, SQUEEZED_OF_ALL = 0.3, 0.05
"""Shares of rows beyond that: of those that differ from the column's median, and of all. In 50 real
tables the former was at most 0.29 but for columns of 72 to 74 % zeros, which had 0.56 to 0.79."""
FEWEST_ROWS = 10
"""Rows without which there is nothing to say of a column, or of exclusive labels."""
SHOWN = 5
RARE, RARE_AMONG_MANY, RECALLED = 0.1, 1 / 3, 0.2
"""Share of the rows that makes a class rare, the same in relation to that of classes of equal size,
and the share of its rows that are recognized."""


def unscaled(case: Case) -> Iterator[Finding]:
    """Find columns of the inputs, or targets of a linear output, far from size 1 (`SCALE`).

    A largest root mean square of 30, or of 1/30, is what plain gradient descent still copes with.
    """
    if case.start.feature_scaler_ is None:
        n_rows = case.inputs.shape[0]
        some = np.linspace(0, n_rows - 1, min(n_rows, MOST_ROWS)).astype(int)
        sizes = _root_mean_squares(case.inputs[some].astype(np.float64))
        names = getattr(case.start, "feature_names_in_", [f"number {i}" for i in range(len(sizes))])
        yield from _scale_finding(
            case,
            "unscaled inputs",
            sizes,
            f"feature {names[int(np.argmax(sizes))]}",
            "set feature_scaling='robust', or put a StandardScaler before the network",
        )
    start = case.start
    linear = start.out_activation_ == "identity"
    if linear and not is_classifier(start) and start._target.scaler is None:
        sizes = _root_mean_squares(case.start_passes.targets)
        remedy = "set standardize_target=True"
        yield from _scale_finding(case, "unscaled targets", sizes, "the target", remedy)


def _root_mean_squares(A: Any) -> np.ndarray:
    """Return those of the columns of a dense or sparse A; the squares do not overflow."""
    largest = float(abs(A).max()) or 1.0
    A = A / largest
    squares = A.multiply(A) if issparse(A) else np.square(A)
    return largest * np.sqrt(np.asarray(squares.mean(axis=0)).ravel())


def _scale_finding(
    case: Case, name: str, sizes: np.ndarray, largest: str, remedy: str
) -> Iterator[Finding]:
    size = float(sizes.max())
    if size > SCALE or 0 < size < 1 / SCALE:
        yield Finding(
            name,
            "warning" if case.gained > LEARNED else "error",
            f"the largest root mean square is {size:.2g}, of {largest}",
            f"between {1 / SCALE:.2g} and {SCALE:g}",
            remedy,
        )


def scaled_to_nothing(case: Case) -> Iterator[Finding]:
    """Find columns that vary in X and are constant in what the network gets.

    The evidence is what the estimator's own scaler makes of each column's extremes. It happens
    where the column did not vary in any of the rows that the network was trained on. There is no
    threshold.
    """
    scaler = case.network.feature_scaler_
    if scaler is None:
        return
    weights = case.sample_weight
    rows = None if weights is None or np.ndim(weights) == 0 else np.flatnonzero(weights)
    low, high = column_range(case.inputs, rows)
    scaled_low, scaled_high = scaler.transform(np.array([low, high]))
    varying = high - low > SAME * np.maximum(np.abs(low), np.abs(high))
    lost = varying & (scaled_low == scaled_high)
    if lost.any():
        yield Finding(
            "columns scaled to nothing",
            "error" if not case.gained > NOTHING or lost.sum() == varying.sum() else "warning",
            f"{lost.sum()} of {len(lost)} columns vary in the rows and are constant after scaling: "
            f"{_column_list(case, lost)}",
            "what varies keeps varying",
            "train on rows in which they vary, by fit or by partial_fit, which scales a column "
            "from when it first varies",
        )


def squeezed(case: Case) -> Iterator[Finding]:
    """Find columns whose varying part the clip of ``feature_scaling="robust"`` presses together.

    The evidence is the share of rows beyond 0.9 of the clip's bound, where it has less than a tenth
    of its slope, among the rows that differ from the column's median: of a column that is mostly
    zeros, those are the ones that tell anything.
    """
    scaler = case.network.feature_scaler_
    if scaler is None:
        return
    n_rows = case.inputs.shape[0]
    X = case.inputs
    if n_rows > MOST_ROWS:
        X = X[np.random.default_rng(0).permutation(n_rows)[:MOST_ROWS]]
    n_rows = X.shape[0]
    scaled, near = scaler.transform(X), NEAR_BOUND * BOUND
    if issparse(scaled):
        n_columns, shift = scaled.shape[1], scaler.shift_[0]
        values = np.abs(scaled.data + shift[scaled.indices])
        empty = n_rows - np.bincount(scaled.indices, minlength=n_columns)
        beyond = np.bincount(scaled.indices, values > near, n_columns)
        beyond += empty * (np.abs(shift) > near)
        differing = np.bincount(scaled.indices, values != 0, n_columns) + empty * (shift != 0)
    else:
        beyond = np.sum(np.abs(scaled) > near, axis=0)
        differing = np.sum(scaled != 0, axis=0)
    shares = beyond / np.maximum(differing, 1)
    found = (shares > SQUEEZED) & (beyond > SQUEEZED_OF_ALL * n_rows) & (beyond >= FEWEST_ROWS)
    if found.any():
        yield Finding(
            "columns squeezed",
            "warning",
            f"in {found.sum()} of {len(found)} columns scaling presses many of the rows together: "
            f"{_column_list(case, found)}; up to {shares[found].max():.0%} of those off the median "
            f"lie beyond {near:.2g}, and {BOUND:g} is the end",
            f"{SQUEEZED:.0%} of those off the median, and {SQUEEZED_OF_ALL:.0%} of all",
            "set feature_scaling=None and put a StandardScaler before the network",
        )


def one_hot_targets(case: Case) -> Iterator[Finding]:
    """Find one-hot targets of a classifier, which takes them for labels that do not exclude others.

    The evidence is exactly one 1 in each row. Real labels of several at a time have some row with
    none or two.
    """
    Y = case.targets
    if not is_classifier(case.start) or Y.ndim != 2 or Y.shape[1] < 2 or len(Y) < FEWEST_ROWS:
        return
    if not np.all(Y.sum(axis=1) == 1):
        return
    evidence = f"each of the {len(Y)} rows of y has exactly one 1, in {Y.shape[1]} columns"
    if case.trained is not None:
        unclear = np.asarray(case.trained.predict(case.X)).sum(axis=1) != 1
        evidence += f"; of the predictions {unclear.sum()} have none or several"
    yield Finding(
        "one-hot targets",
        "warning",
        evidence,
        "labels that may occur together do so, or none of them does, in some row",
        "pass the classes in place of one-hot rows, as numpy.asarray(y).argmax(axis=1)",
    )


def validation_inputs(case: Case) -> Iterator[Finding]:
    """Find validation inputs that were not transformed as the training inputs were.

    The evidence is the columns that lie elsewhere than in X, see `out_of_range_columns`. Of a
    pipeline X_val has been transformed for the diagnosis; what `fit` got was not, if the network
    has on X_val as it was given the very score that it got in training.
    """
    if case.X_val is None:
        return
    threshold = f"{FAR:g} of the range in X, for half of the values; or all are narrow heaps"
    remedy = "transform X_val as X was"
    X_val = case.start._validate_input(case.X_val)
    found, evidence = out_of_range_columns(case.inputs, X_val), ""
    if case.given_X_val is not None:
        remedy = (
            "pass pipeline[:-1].transform(X_val) to fit, or make the pipeline with "
            "transform_input=['X_val'] under sklearn.set_config(enable_metadata_routing=True)"
        )
        given = _unscaled_validation(case)
        if given is not None:
            X_val, found = given, out_of_range_columns(case.inputs, given)
            evidence = f"training scored {_kept_score(case):.2f} on X_val without the steps before "
            evidence += "the network, and with them it has "
            evidence += f"{case.trained.score(case.X_val, case.y_val):.2f}; "
    if len(found):
        (low, high), (val_low, val_high) = (
            (float(ends[found[0]]) for ends in column_range(rows)) for rows in (case.inputs, X_val)
        )
        elsewhere = np.isin(np.arange(X_val.shape[1]), found)
        yield Finding(
            "validation inputs out of range",
            "error",
            f"{evidence}{len(found)} of {X_val.shape[1]} columns of X_val lie elsewhere than in X: "
            f"{_column_list(case, elsewhere)}; the first is {low:.3g} to {high:.3g} in X and "
            f"{val_low:.3g} to {val_high:.3g} in X_val",
            threshold,
            remedy,
        )


def _unscaled_validation(case: Case) -> np.ndarray | None:
    """Return X_val as it was given, if the network has its score of training on that alone."""
    kept = _kept_score(case)
    if kept is None or issparse(case.given_X_val):
        return None
    try:
        X_val = np.asarray(case.given_X_val, np.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it has no names of features
            scores = [case.trained.score(X, case.y_val) for X in (X_val, case.X_val)]
    except (ValueError, TypeError):  # text, other columns, overflow
        return None
    without, after_steps = (isclose(s, kept, rel_tol=1e-3, abs_tol=1e-3) for s in scores)
    return X_val if without and not after_steps else None


def _kept_score(case: Case) -> float | None:
    """Return the validation score of the epoch that was kept, if it is one that `score` gives."""
    trained = case.trained
    if trained is None or trained.scoring is not None:
        return None
    scores = trained.history_["validation_score"]
    epoch = len(scores) if trained.best_epoch_ is None else trained.best_epoch_
    return scores[epoch - 1] if 0 < epoch <= len(scores) else None


def _column_list(case: Case, chosen: np.ndarray) -> str:
    """Name the columns that are chosen, such as "number 0, number 3"."""
    named = getattr(case.start, "feature_names_in_", None)
    numbers = np.flatnonzero(chosen)
    shown = [f"number {j}" if named is None else str(named[j]) for j in numbers[:SHOWN]]
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return ", ".join(shown) + more


def imbalance(case: Case) -> Iterator[Finding]:
    """Find rare classes (`RARE`) of which few rows are recognized (`RECALLED`).

    Classes are as rare in healthy sets, too; those are recognized.
    """
    trained = case.trained
    if trained is None or not is_classifier(trained) or trained._target.multilabel:
        return
    if trained.class_weight is not None or case.sample_weight is not None:
        return
    predicted = trained.predict(case.X)
    rare = min(RARE, RARE_AMONG_MANY / len(trained.classes_))
    for label in trained.classes_.tolist():
        true = case.targets == label
        recall = float(np.mean(predicted[true] == label)) if true.any() else 1.0
        if true.mean() < rare and recall < RECALLED:
            yield Finding(
                "class imbalance ignored",
                "warning",
                f"class {label!r} has {true.mean():.1%} of the rows, and {recall:.0%} of them are "
                "recognized",
                f"less than {rare:.0%} of the rows, and {RECALLED:.0%} of them",
                "set class_weight='balanced', or move the threshold of decision with "
                "sklearn.model_selection.TunedThresholdClassifierCV",
            )
