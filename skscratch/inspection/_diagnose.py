"""The diagnosis: why a network does not learn, and what to change."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from .._base import BaseScratchMLP
from ._case import Case, examine
from ._diagnosis import Diagnosis, Finding
from ._findings_data import (
    imbalance,
    one_hot_targets,
    scaled_to_nothing,
    squeezed,
    unscaled,
    validation_inputs,
)
from ._findings_network import constant_predictions, gradients, idle_units
from ._findings_training import diverged, few_steps, large_rate, overfitting, small_rate
from ._passes import check_estimator_is_ours, name_member
from ._subject import last_step

CHECKS: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    unscaled,
    scaled_to_nothing,
    squeezed,
    one_hot_targets,
    validation_inputs,
    diverged,
    large_rate,
    small_rate,
    gradients,
    idle_units,
    few_steps,
    overfitting,
    imbalance,
    constant_predictions,
)
"""Causes before their effects."""


def diagnose(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    X_val: Any = None,
    y_val: Any = None,
    range_test: bool = True,
    member: int = 0,
) -> Diagnosis:
    """Find out why a network does not learn, or not well.

    Looks for unscaled inputs or targets, columns that scaling has lost or squeezed, one-hot targets
    of a classifier, validation inputs that lie elsewhere than X, a loss that diverged, a learning
    rate that is too large or too small, vanishing and exploding gradients, dead and saturated
    units, too few steps, overfitting, a class imbalance that is ignored, and constant predictions.
    Each finding comes with its evidence, the threshold, and a remedy.

    The estimator is left as it is. Of one that is not fitted, say because `fit` failed, a clone is
    trained, without the validation rows. The first weights are examined too; the range test trains
    another clone for up to 100 steps, or three clones where it is far from the learning rate; and
    if training made 200 steps or fewer, two more are trained on a part of the rows, to see what
    four times as many would bring. These clones have one network.

    Of several networks one is looked into, for its gradients and units. All else is found in what
    they predict together, and in the history, the mean over all of them.

    Parameters
    ----------
    estimator : ScratchMLPClassifier, ScratchMLPRegressor or Pipeline
        The estimator, fitted or not, or a pipeline with it as the last step. The steps before it
        transform X and X_val; of a pipeline that is not fitted, clones of them do.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The rows it was trained on.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, >= 0; None means 1 everywhere.
    X_val, y_val : array-like, default=None
        Rows that it was not trained on, to judge overfitting by, in the form in which `fit` got
        them if it did. Without them the score on rows left out of training serves, if any.
    range_test : bool, default=True
        Whether to make a `learning_rate_range_test`. Without one there are no findings of too small
        a learning rate, and no rate is suggested.
    member : int, default=0
        The number of the network to look into, if there are several. They differ by chance alone,
        so the first is as typical as any.

    Returns
    -------
    diagnosis : Diagnosis
        A report that prints as text, shows as HTML in a notebook, and holds data frames.

    Raises
    ------
    ValueError, TypeError
        If the arguments are not what they may be, or if `fit` refuses the parameters or the data.

    See Also
    --------
    skscratch.learning_rate_range_test : The loss over a rising learning rate.
    LayerMonitor : The statistics of the layers, epoch by epoch.

    Notes
    -----
    Thresholds are constants of the modules ``skscratch.inspection._findings_*``. That for vanishing
    gradients is a mean absolute value below 1e-7 in a layer, and less than a thousandth of another
    layer's; that for exploding ones a largest absolute value above 1000. A diagnosis is made from
    symptoms: a network without findings may still be the wrong one for the data.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skscratch import ScratchMLPClassifier
    >>> from skscratch.inspection import diagnose
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = ScratchMLPClassifier((16, 8), optimizer="sgd", learning_rate=100, n_networks=1,
    ...                            feature_scaling="robust", random_state=0)
    >>> finding = diagnose(clf, X, y).findings[0]
    >>> print(f"{finding.name}: {finding.remedy}")
    learning rate too large: set learning_rate=0... in place of 100
    >>> diagnose(ScratchMLPClassifier(random_state=0).fit(X, y), X, y).findings
    []
    """
    if (X_val is None) is not (y_val is None):
        raise ValueError("X_val and y_val go together: one of them was given without the other.")
    given_X_val = None
    if isinstance(estimator, Pipeline):
        given_X_val = X_val
        estimator, X, X_val = last_step(estimator, X, y, X_val)
    if not isinstance(estimator, BaseScratchMLP):
        check_estimator_is_ours(estimator)
    case = examine(estimator, X, y, sample_weight, X_val, y_val, given_X_val, range_test, member)
    with np.errstate(over="ignore", invalid="ignore"):  # losses of networks that exploded
        findings = [finding for check in CHECKS for finding in check(case)]
    how = (
        "as fitted"
        if estimator.__sklearn_is_fitted__()
        else "trained for this, as it is not fitted"
    )
    sizes = list(map(str, case.start.network_.sizes))
    if len(sizes) > 8:
        sizes = [*sizes[:3], "...", sizes[-1]]
    title = f"Diagnosis of {type(estimator).__name__} ({' → '.join(sizes)}), {how}"
    title += name_member(case.network.network_, member)
    return Diagnosis(title, findings, case.notes, case.range_test, case.statistics)
