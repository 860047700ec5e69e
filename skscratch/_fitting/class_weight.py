"""Class weights: from the weights of classes, and of rows, to those of a loss's terms."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..nn.options import NON_NEGATIVE, check_real


def weigh_classes(
    class_weight: Any, classes: np.ndarray, index: np.ndarray, sample_weight: np.ndarray | None
) -> np.ndarray:
    """Return each row's weight: that of its class times its own.

    Parameters
    ----------
    class_weight : dict or "balanced"
        From classes to weights >= 0, 1 where a class is missing; other keys, of classes that these
        rows lack, have no effect. "balanced" gives all classes the same total, and leaves that over
        all rows as it is.
    classes : ndarray of shape (n_classes,)
        The classes.
    index : ndarray of int of shape (n_samples,)
        Each row's class, as an index into ``classes``.
    sample_weight : ndarray of shape (n_samples,) or None
        Row weights; None means 1 everywhere.

    Returns
    -------
    weights : ndarray of shape (n_samples,)
        Row weights.
    """
    if isinstance(class_weight, str) and class_weight == "balanced":
        totals = np.bincount(index, sample_weight, minlength=len(classes))
        present = totals > 0
        by_class = totals.sum() / (present.sum() * np.where(present, totals, 1))
    elif isinstance(class_weight, Mapping):
        by_class = _from_mapping(class_weight, classes)
    else:
        raise ValueError(
            "class_weight must be None, 'balanced' or a dict from classes to weights, got "
            f"{class_weight!r}."
        )
    return by_class[index] if sample_weight is None else by_class[index] * sample_weight


def weigh_labels(class_weight: Any, Y: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    """Return a weight for each label of each row, label by label as `weigh_classes` does.

    Parameters
    ----------
    class_weight : list of dict, or "balanced"
        For each label the weights of 0 and 1.
    Y : ndarray of shape (n_samples, n_labels)
        The labels, 0 and 1.
    sample_weight : ndarray of shape (n_samples,) or None
        Row weights; None means 1 everywhere.

    Returns
    -------
    weights : ndarray of shape (n_samples, n_labels)
        The weights.
    """
    n_labels = Y.shape[1]
    if isinstance(class_weight, str) and class_weight == "balanced":
        class_weight = [class_weight] * n_labels
    elif not isinstance(class_weight, list | tuple) or not all(
        isinstance(item, Mapping) for item in class_weight
    ):
        raise ValueError(
            "class_weight of a multilabel target must be None, 'balanced' or a list with a dict "
            f"{{0: weight, 1: weight}} for each label, got {class_weight!r}."
        )
    if len(class_weight) != n_labels:
        raise ValueError(
            f"class_weight must have a dict for each label: y has {n_labels}, class_weight has "
            f"{len(class_weight)}."
        )
    others = {key for item in class_weight if isinstance(item, Mapping) for key in item} - {0, 1}
    if others:
        raise ValueError(
            f"class_weight of a label has the keys 0 and 1, got {sorted(others, key=repr)}."
        )
    columns = zip(class_weight, Y.T.astype(int), strict=True)
    classes = np.arange(2)
    return np.column_stack(
        [weigh_classes(item, classes, column, sample_weight) for item, column in columns]
    )


def _from_mapping(class_weight: Mapping, classes: np.ndarray) -> np.ndarray:
    place = {label: index for index, label in enumerate(classes.tolist())}
    weights = np.ones(len(classes))
    for label, weight in class_weight.items():
        checked = check_real(f"class_weight[{label!r}]", weight, NON_NEGATIVE)
        if label in place:  # a fold may lack a class
            weights[place[label]] = checked
    if class_weight and place.keys().isdisjoint(class_weight):
        raise ValueError(
            f"class_weight has weights of the classes {list(class_weight)!r}, none of which is "
            f"among the classes of y, {classes.tolist()}."
        )
    return weights
