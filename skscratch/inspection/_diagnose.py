"""The diagnosis: why a network does not learn, and what to change."""

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import nan, sqrt
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import resample

from .._base import BaseScratchMLP
from .._lbfgs import LBFGS
from .._range_test import RangeTest, learning_rate_range_test
from .._run import Run
from .._settings import Settings, resolve
from ..nn.blocks import BLOCK
from ..nn.layers import Activate
from ..nn.losses import Loss
from ..nn.training import DivergenceError, Training
from ._diagnosis import Diagnosis, Finding
from ._layers import EXPLODING, VANISHING, layer_statistics
from ._passes import Passes, check_estimator_is_ours, clone_for_all_rows, run_passes

MOST_ROWS = 1_000
"""Rows that gradients and activations are computed on."""

# Each threshold lies well between what was seen in sick networks and in healthy ones.
UNEVEN = 1e-3
"""Mean |gradient| of a layer, in relation to the layer with the largest one: below, vanishing."""
IDLE = 0.5
"""Share of a layer's units that are dead, or saturated."""
LEARNED = 0.5
"""Share of the loss of a constant prediction that a network has got rid of, if it has learned."""
NOTHING = 0.1
"""The same share, for a network that has learned nothing."""
NEGLIGIBLE = 0.005
"""A fall of the loss, in relation to that of a constant, that is not worth any steps."""
LARGE_RATE, SMALL_RATE = 10.0, 30.0
"""Factors between the learning rate and the range test's suggestion, which is rather low."""
LARGE_RATE_TO_DIE = 3.0
"""The former, where units died and nothing was learned."""
PEAK = 2.0
"""Training loss, in relation to that at the start and that of a constant: above, it exploded."""
RELAPSE = 0.1
"""Rise of the training loss above its minimum, in relation to the same."""
STILL_FALLING = 0.075
"""Share of the loss's whole fall that the last tenth of the epochs brought; 0.1 is a straight line,
and noise that is learned by heart was seen to bring up to 0.07."""
FEW_STEPS = 100
SCALE = 30.0
"""Root mean square of a feature: above it, and below its inverse, a network learns badly."""
RARE, RARE_AMONG_MANY, RECALLED = 0.1, 1 / 3, 0.2
"""Share of the rows that makes a class rare, the same in relation to that of classes of equal size,
and the share of its rows that are recognized."""
ONE_ANSWER = 0.8
"""Share of the most frequent answer from which on to give it always is no illness."""
FLAT = 0.05
"""Standard deviation of a regressor's predictions, in relation to that of the targets."""
GAP = {"accuracy": 0.15, "R2": 0.3}
"""Distance between the scores on training and on validation rows, on top of its uncertainty."""


def diagnose(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    X_val: Any = None,
    y_val: Any = None,
    range_test: bool = True,
) -> Diagnosis:
    """Find out why a network does not learn, or not well.

    Looks for a loss that diverged, unscaled inputs or targets, a learning rate that is too large or
    too small, vanishing and exploding gradients, dead and saturated units, too few steps,
    overfitting, a class imbalance that is ignored, and constant predictions. Each finding comes
    with its evidence, the threshold, and a remedy.

    The estimator is left as it is. Of one that is not fitted, say because `fit` failed, a clone is
    trained. The first weights are examined too, and the range test trains another clone for up to
    100 steps.

    Parameters
    ----------
    estimator : ScratchMLPClassifier or ScratchMLPRegressor
        The estimator, fitted or not. Of a pipeline pass the last step, and X as the steps before it
        make it.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The inputs it was trained on.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, >= 0; None means 1 everywhere.
    X_val, y_val : array-like, default=None
        Rows that it was not trained on, to judge overfitting by. Without them the rows serve that
        ``early_stopping`` held out, if it did.
    range_test : bool, default=True
        Whether to make a `learning_rate_range_test`. Without one there are no findings of too small
        a learning rate, and no rate is suggested.

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
    Thresholds are constants of the module ``skscratch.inspection._diagnose``. That for vanishing
    gradients is a mean absolute value below 1e-7 in a layer, and less than a thousandth of another
    layer's; that for exploding ones a largest absolute value above 1000. A diagnosis is made from
    symptoms: a network without findings may still be the wrong one for the data.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skscratch import ScratchMLPClassifier
    >>> from skscratch.inspection import diagnose
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = ScratchMLPClassifier((16, 8), optimizer="sgd", learning_rate=100, random_state=0)
    >>> for finding in diagnose(clf, X, y).findings:
    ...     print(f"{finding.name}: {finding.remedy}")
    non-finite loss: lower learning_rate, to 0.021 say
    learning rate too large: set learning_rate=0.021 in place of 100
    >>> diagnose(ScratchMLPClassifier((16, 8), random_state=0).fit(X, y), X, y).findings
    []
    """
    if not isinstance(estimator, BaseScratchMLP):
        check_estimator_is_ours(estimator)
    if (X_val is None) is not (y_val is None):
        raise ValueError("X_val and y_val go together: one of them was given without the other.")
    case = _examine(estimator, X, y, sample_weight, X_val, y_val, range_test)
    findings = [finding for check in _CHECKS for finding in check(case)]
    how = "as fitted" if estimator._is_fitted() else "trained for this, as it is not fitted"
    sizes = list(map(str, case.start.network_.sizes))
    if len(sizes) > 8:
        sizes = [*sizes[:3], "...", sizes[-1]]
    title = f"Diagnosis of {type(estimator).__name__} ({' → '.join(sizes)}), {how}"
    return Diagnosis(title, findings, case.notes, case.range_test, case.statistics)


@dataclass
class _Case:
    """Everything that was measured of an estimator, for the checks to judge.

    Attributes
    ----------
    start : BaseScratchMLP
        An estimator with the first weights.
    trained : BaseScratchMLP or None
        A trained one; None if training failed.
    failure : str
        The error that it failed with.
    X, y, sample_weight, X_val, y_val
        The arguments of `diagnose`.
    targets : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        y in its plain form.
    settings : Settings
        The estimator's parameters.
    range_test : RangeTest or None
        The range test, if it was made.
    start_passes : Passes
        Some rows' way through the first network.
    start_statistics, statistics : dict of list
        Those of the layers, at first and in the end.
    reference_loss : float
        The larger of the losses at the start and of a constant prediction, penalty included.
    constant_loss : float
        The loss of a constant prediction.
    losses : ndarray of shape (n_epochs,)
        The training loss.
    notes : list of str
        What could not be examined.
    """

    start: Any
    trained: Any
    failure: str
    X: Any
    y: Any
    sample_weight: Any
    X_val: Any
    y_val: Any
    targets: np.ndarray
    settings: Settings
    range_test: RangeTest | None
    start_passes: Passes
    start_statistics: dict[str, list[Any]]
    statistics: dict[str, list[Any]]
    reference_loss: float
    constant_loss: float
    losses: np.ndarray
    notes: list[str]

    @property
    def rate(self) -> float:
        return self.settings.learning_rate

    @property
    def suggestion(self) -> float | None:
        return None if self.range_test is None else self.range_test.suggestion

    @property
    def gained(self) -> float:
        """Share of a constant prediction's loss that training got rid of."""
        if len(self.losses) == 0 or self.constant_loss <= 0:
            return nan
        return 1 - float(self.losses[-1]) / self.constant_loss


def _examine(
    estimator: Any, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, range_test: bool
) -> _Case:
    trained, failure = estimator, ""
    if not estimator._is_fitted():
        trained, failure = _train(estimator, X, y, sample_weight)
    start = _untrained(estimator, X, y, sample_weight)
    settings = resolve(estimator.get_params(deep=False))
    notes: list[str] = []
    if trained is not None and X_val is None and not _has_held_out(trained):
        notes.append("overfitting, as no rows were held out: pass X_val and y_val.")
    rows = _some_rows(X, y, sample_weight)
    with np.errstate(all="ignore"):
        start_passes = run_passes(start, *rows)
        start_statistics = _statistics(start, rows)
        statistics = start_statistics if trained is None else _statistics(trained, rows)
        constant_loss = _constant_loss(start_passes, start._training.loss)
        start_loss = start_passes.loss + _penalty(start, settings, len(start_passes.targets))
    return _Case(
        start=start,
        trained=trained,
        failure=failure,
        X=X,
        y=y,
        sample_weight=sample_weight,
        X_val=X_val,
        y_val=y_val,
        targets=start._validate(X, y, None, reset=False)[1],
        settings=settings,
        range_test=_test_range(estimator, X, y, sample_weight, settings, notes, range_test),
        start_passes=start_passes,
        start_statistics=start_statistics,
        statistics=statistics,
        reference_loss=max(start_loss, constant_loss),
        constant_loss=constant_loss,
        losses=np.array(trained.history_["loss"] if trained is not None else [], float),
        notes=notes,
    )


def _train(estimator: Any, X: Any, y: Any, sample_weight: Any) -> tuple[Any, str]:
    """Train a clone, and return it, or None and the error if the loss did not stay finite."""
    trained = clone(estimator).set_callbacks().set_params(verbose=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return trained.fit(X, y, sample_weight), ""
    except DivergenceError as error:
        return None, str(error)


def _untrained(estimator: Any, X: Any, y: Any, sample_weight: Any) -> Any:
    """Return a clone with the first weights, those of the last layer being none of them 0."""
    start = clone_for_all_rows(estimator)
    run = Run(start, X, y, sample_weight)
    run.begin()
    run.finish()
    last = start.network_.dense[-1]
    if not last.W.any():
        std = sqrt(2 / (last.n_in + last.n_out))
        last.W[...] = std * np.random.default_rng(0).standard_normal(last.W.shape)
    return start


def _has_held_out(trained: Any) -> bool:
    """Say whether there is a score, of the kind `score` gives, on rows that were held out."""
    return trained._stops_early and trained.scoring is None


def _some_rows(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    if n_rows <= MOST_ROWS:
        return X, y, sample_weight
    arrays = (X, y) if sample_weight is None else (X, y, sample_weight)
    X, y, *rest = resample(*arrays, replace=False, n_samples=MOST_ROWS, random_state=0)
    return X, y, rest[0] if rest else None


def _statistics(estimator: Any, rows: tuple) -> dict[str, list[Any]]:
    """Measure the layers, as for a step at the base rate: a schedule may have ended at 0."""
    at_base_rate = copy.copy(estimator)
    at_base_rate._training = copy.copy(estimator._training)
    at_base_rate._training.rate = estimator._training.learning_rate
    statistics = layer_statistics(at_base_rate, *rows)
    passes = run_passes(estimator, rows[0])
    activations = [
        A
        for A, layer in zip(passes.outputs, passes.network.layers, strict=True)
        if isinstance(layer, Activate)
    ]
    statistics["activation_mean"] = [*(float(A.mean()) for A in activations), nan]
    statistics["activation_std"] = [*(float(A.std()) for A in activations), nan]
    return statistics


def _constant_loss(passes: Passes, loss: Loss) -> float:
    """Return the loss of predicting the targets' mean for every row."""
    Y = passes.targets
    one_each = passes.weights is not None and passes.weights.ndim == 1
    mean = np.average(Y, axis=0, weights=passes.weights if one_each else None)
    links: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "identity": lambda p: p,
        "exp": np.log,
        "softmax": np.log,
        "logistic": lambda p: np.log(p) - np.log1p(-p),
    }
    if loss.out_activation not in links:
        return passes.loss
    tiny = 1e-12 if loss.out_activation != "identity" else -np.inf
    p = np.clip(mean, tiny, 1 - tiny if loss.out_activation == "logistic" else np.inf)
    Z = np.tile(links[loss.out_activation](p), (len(Y), 1))
    return float(loss.value_and_gradient(Z, Y, passes.weights, np.empty_like(Z)))


def _penalty(start: Any, settings: Settings, n_rows: int) -> float:
    """Return the L2 penalty of the first weights, as a batch's loss has it."""
    training: Training = start._training
    gradient = training.network.parameters.like()
    n_rows = min(n_rows, settings.rows_per_batch(n_rows))
    return float(training.penalize(gradient, n_rows, np.empty_like(gradient.penalized[:BLOCK])))


def _test_range(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    settings: Settings,
    notes: list[str],
    wanted: bool,
) -> RangeTest | None:
    if isinstance(settings.optimizer, LBFGS):
        return None
    if not wanted:
        notes.append("whether the learning rate is too small, as range_test=False.")
        return None
    try:
        plain = clone_for_all_rows(estimator)
        return learning_rate_range_test(plain, X, y, sample_weight=sample_weight)
    except DivergenceError:
        notes.append("the range of learning rates: the loss is not finite from the start.")
        return None


# The checks, causes before effects --------------------------------------------------------------


def _unscaled(case: _Case) -> Iterator[Finding]:
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
    case: _Case, name: str, sizes: np.ndarray, largest: str, remedy: str
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


def _diverged(case: _Case) -> Iterator[Finding]:
    if case.failure:
        remedy = "lower learning_rate, or set clip_norm=1"
        if case.suggestion is not None and case.suggestion < case.rate:
            remedy = f"lower learning_rate, to {case.suggestion:.2g} say"
        elif isinstance(case.settings.optimizer, LBFGS):
            remedy = "take another optimizer, or a larger l2"
        if any(_unscaled(case)):
            remedy = "scale the data, see above"
        yield Finding(
            "non-finite loss",
            "error",
            case.failure.split(". ")[0].split(": ", 1)[-1],
            "the loss and the parameters stay finite",
            remedy,
        )


def _large_rate(case: _Case) -> Iterator[Finding]:
    if isinstance(case.settings.optimizer, LBFGS) or any(_unscaled(case)):
        return
    suggestion = case.suggestion
    died = case.gained < NOTHING and (
        np.fmax.reduce(case.start_statistics["dead_share"], initial=0.0) <= IDLE
        and np.fmax.reduce(case.statistics["dead_share"], initial=0.0) > IDLE
    )
    factor = LARGE_RATE_TO_DIE if died else LARGE_RATE
    too_large = suggestion is None or case.rate > factor * suggestion
    evidence, threshold = "", f"{PEAK:g} times {case.reference_loss:.2g}, the loss at the start"
    if case.failure:
        evidence, threshold = "the loss did not stay finite", "it stays finite"
    elif len(case.losses) == 0:
        return
    elif case.losses.max() > PEAK * case.reference_loss:
        evidence = f"the training loss rose to {case.losses.max():.2g}"
    elif suggestion is not None:
        rise = case.losses[-1] - case.losses.min()
        if rise > RELAPSE * case.reference_loss:
            evidence = f"the training loss fell to {case.losses.min():.2g} and rose again to "
            evidence += f"{case.losses[-1]:.2g}"
            threshold = f"a rise by {RELAPSE * case.reference_loss:.2g}"
        elif died:
            evidence = "most units of a layer died in training"
            threshold = f"{IDLE:.0%} of them"
    if not evidence or not too_large:
        return
    remedy = f"lower learning_rate, which is {case.rate:g}"
    if suggestion is not None:
        evidence += f", and the range test suggests {suggestion:.2g}"
        threshold += f"; {factor:g} times the suggestion"
        remedy = f"set learning_rate={suggestion:.2g} in place of {case.rate:g}"
    yield Finding("learning rate too large", "error", evidence, threshold, remedy)


def _small_rate(case: _Case) -> Iterator[Finding]:
    suggestion = case.suggestion
    if suggestion is None or case.trained is None or any(_unscaled(case)):
        return
    if suggestion > SMALL_RATE * case.rate and case.gained < LEARNED:
        yield Finding(
            "learning rate too small",
            "error",
            f"the range test suggests {suggestion:.2g}, and the training loss went from "
            f"{case.losses[0]:.3g} to {case.losses[-1]:.3g}",
            f"a suggestion of {SMALL_RATE:g} times the learning rate, {case.rate:g}",
            f"set learning_rate={suggestion:.2g}",
        )


def _gradients(case: _Case) -> Iterator[Finding]:
    states = [("before training", case.start_statistics)]
    if case.trained is not None:
        states.append(("after training", case.statistics))
    vanishing = exploding = False
    for when, statistics in states:
        means, largest = statistics["mean_gradient"], statistics["max_gradient"]
        low = [m < min(VANISHING, UNEVEN * max(means)) for m in means]
        if any(low) and not vanishing and (when == "before training" or case.gained < NOTHING):
            vanishing = True
            yield Finding(
                "vanishing gradients",
                "error",
                f"the mean |gradient| {when} is {min(means):.1e} in one layer, {max(means):.1e} in "
                "another",
                f"{VANISHING:g}, and {UNEVEN:g} of the other layer's",
                "take fewer layers, activation='selu' with init='auto', or normalization='batch'",
                _layer_list(low),
            )
        high = [not m <= EXPLODING for m in largest]
        if any(high) and not exploding:
            exploding = True
            yield Finding(
                "exploding gradients",
                "error",
                f"the largest |gradient| {when} is {max(largest):.1e}",
                f"{EXPLODING:g}",
                "scale the data or lower learning_rate, if these are findings too; otherwise set "
                "init='auto', clip_norm=1, or normalization='layer'",
                _layer_list(high),
            )


def _idle_units(case: _Case) -> Iterator[Finding]:
    dead = case.statistics["dead_share"]
    most = np.fmax.reduce(dead, initial=0.0)  # NaN stands for layers without such units
    if most > IDLE:
        yield Finding(
            "dead units",
            "warning",
            f"up to {most:.0%} of a layer's units are flat on all rows and do not learn",
            f"{IDLE:.0%}",
            "lower learning_rate, scale the data, or take activation='leaky_relu' with init='auto'",
            _layer_list([share > IDLE for share in dead]),
        )
    for when, statistics in (
        ("before training", case.start_statistics),
        ("after training", case.statistics),
    ):
        saturated = statistics["saturated_share"]
        most = np.fmax.reduce(saturated, initial=0.0)
        if most > IDLE and (when == "before training" or case.gained < NOTHING):
            yield Finding(
                "saturated units",
                "warning",
                f"up to {most:.0%} of a layer's units are nearly flat on most rows {when}",
                f"{IDLE:.0%}",
                "draw smaller weights with init='auto', scale the data, or take another activation",
                _layer_list([share > IDLE for share in saturated]),
            )
            return


def _few_steps(case: _Case) -> Iterator[Finding]:
    losses, which, n = case.losses, "training", len(case.losses)
    # What is learned by heart makes the training loss fall, too.
    if n == 0 or case.trained._training.outcome == "stalled" or any(_overfitting(case)):
        return
    validation_losses = np.array(case.trained.history_["validation_loss"], float)
    if np.isfinite(validation_losses).all():
        losses, which = validation_losses, "validation"
    evidence = ""
    if n == 1:
        steps = case.trained._training.optimizer_state.t
        if 0 < steps < FEW_STEPS:
            evidence, threshold = f"training made {steps} steps", f"{FEW_STEPS} steps"
    else:
        last = max(1, n // 10)
        before, after = losses[-2 * last : -last], losses[-last:]
        fall = before.mean() - after.mean()
        # By chance a loss goes up and down, by dropout above all.
        steady = np.all(np.diff(losses[-4:]) < 0)
        if last > 1:
            steady = fall > 5 * sqrt((before.var() + after.var()) / last)
        share = fall / (losses[0] - losses[-1]) if losses[0] > losses[-1] else 0.0
        if steady and share > STILL_FALLING and fall > NEGLIGIBLE * case.constant_loss:
            evidence = (
                f"the last {last} of {n} epochs brought {share:.0%} of the whole fall of the "
            )
            evidence += f"{which} loss"
            threshold = f"{STILL_FALLING:.0%}"
    if evidence:
        yield Finding(
            "too few steps", "warning", evidence, threshold, f"raise max_iter, to {10 * n} say"
        )


def _overfitting(case: _Case) -> Iterator[Finding]:
    trained = case.trained
    if trained is None:
        return
    if case.X_val is not None:
        held_out = float(trained.score(case.X_val, case.y_val))
        n_rows = case.X_val.shape[0] if hasattr(case.X_val, "shape") else len(case.X_val)
    elif _has_held_out(trained):
        held_out, n_rows = (
            trained.best_validation_score_,
            case.settings.n_validation(len(case.targets)),
        )
    else:
        return  # the notes say so
    score = float(trained.score(case.X, case.y, case.sample_weight))
    if is_classifier(trained):
        metric, uncertainty = "accuracy", sqrt(held_out * (1 - held_out) / n_rows)
    else:
        metric, uncertainty = "R2", (1 - held_out) * sqrt(2 / n_rows)
    gap = GAP[metric] + 2 * uncertainty
    if score - held_out > gap:
        yield Finding(
            "overfitting",
            "warning",
            f"{metric} is {score:.2f} on the training rows and {held_out:.2f} on {n_rows} others",
            f"a difference of {gap:.2f}",
            "raise l2 or dropout, take fewer units, set early_stopping=True, or get more rows",
        )


def _imbalance(case: _Case) -> Iterator[Finding]:
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


def _constant_predictions(case: _Case) -> Iterator[Finding]:
    if case.trained is None:
        return
    predicted = np.asarray(case.trained.predict(case.X))
    if is_classifier(case.trained):
        # Multilabel answers are rows, others may be objects.
        axis = 0 if predicted.ndim == 2 else None
        share = np.unique(case.targets, axis=axis, return_counts=True)[1].max() / len(predicted)
        found = bool(np.all(predicted == predicted[:1])) and share < ONE_ANSWER
        evidence = f"the prediction is {predicted[:1].tolist()[0]!r} on all rows"
        threshold = f"no answer has {ONE_ANSWER:.0%} of the rows, the most frequent {share:.0%}"
    else:
        spread, wanted = (float(np.max(np.std(y, axis=0))) for y in (predicted, case.targets))
        found = spread < FLAT * wanted
        evidence = f"the predictions' standard deviation is {spread:.2g}"
        threshold = f"{FLAT:g} of the targets', {wanted:.2g}"
    if found:
        yield Finding(
            "constant predictions",
            "error",
            evidence,
            threshold,
            "see to the other findings first; without any, lower l2, or see whether X tells "
            "anything of y",
        )


_CHECKS: tuple[Callable[[_Case], Iterator[Finding]], ...] = (
    _unscaled,
    _diverged,
    _large_rate,
    _small_rate,
    _gradients,
    _idle_units,
    _few_steps,
    _overfitting,
    _imbalance,
    _constant_predictions,
)


def _layer_list(chosen: list[bool]) -> str:
    """Write which layers are chosen, such as "layers 1 to 3, 5"."""
    numbers = [i for i, c in enumerate(chosen, start=1) if c]
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    text = ", ".join(f"{r[0]} to {r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in runs)
    return f"layer{'s' if len(numbers) > 1 else ''} {text}"
