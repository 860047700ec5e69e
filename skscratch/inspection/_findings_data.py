"""What a diagnosis finds in the data."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_classifier

from ._case import LEARNED, Case
from ._diagnosis import Finding

SCALE = 30.0
"""Root mean square of a feature: above it, and below its inverse, a network learns badly."""
RARE, RARE_AMONG_MANY, RECALLED = 0.1, 1 / 3, 0.2
"""Share of the rows that makes a class rare, the same in relation to that of classes of equal size,
and the share of its rows that are recognized."""


def unscaled(case: Case) -> Iterator[Finding]:
    if case.start.feature_scaler_ is None:
        sizes = _root_mean_squares(case.start_passes.inputs)
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
    if linear and not is_classifier(start) and start._target_scaler is None:
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


def imbalance(case: Case) -> Iterator[Finding]:
    trained = case.trained
    if trained is None or not is_classifier(trained) or trained._multilabel:
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
