"""What is measured of an estimator for its diagnosis."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import nan, sqrt
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import resample

from .._fitting.inputs import check_data
from .._fitting.lbfgs import LBFGS
from .._fitting.plan import rows_per_batch
from .._fitting.settings import Settings, resolve
from .._range_test import RangeTest, learning_rate_range_test
from ..nn.divergence import DivergenceError
from ..nn.layers import Activate
from ..nn.losses import Loss
from ..nn.step import Learner
from ._layers import layer_statistics
from ._passes import Passes, clone_for_all_rows, one_network, run_passes

MOST_ROWS = 1_000
"""Rows that gradients and activations are computed on."""
IDLE = 0.5
"""Share of a layer's units that are dead, or saturated."""
LEARNED = 0.5
"""Share of the loss of a constant prediction that a network has got rid of, if it has learned."""
NOTHING = 0.1
"""The same share, for a network that has learned nothing."""


DOUBTFUL_ABOVE, DOUBTFUL_BELOW = 3.0, 30.0
"""Factors between the learning rate and a range test's suggestion, beyond which it is repeated: the
least ones that any finding goes by."""


@dataclass
class Case:
    """Everything that was measured of an estimator, for the checks to judge.

    Attributes
    ----------
    start : BaseScratchMLP
        An estimator with the first weights, of a single network.
    trained : BaseScratchMLP or None
        A trained one, with all of its networks; None if training failed.
    failure : str
        The error that it failed with.
    X, y, sample_weight, X_val, y_val
        The arguments of `diagnose`, X and X_val as the steps of a pipeline make them.
    given_X_val
        X_val as it was given, if the estimator is the last step of a pipeline; otherwise None.
    inputs : {ndarray, sparse CSR matrix} of shape (n_samples, n_features)
        X as numbers.
    targets : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        y in its plain form.
    settings : Settings
        The estimator's parameters.
    range_test : RangeTest or None
        The range test, if it was made.
    start_passes : Passes
        Some rows' way through the first network.
    start_statistics, statistics : dict of list
        Those of the layers of one network, at first and in the end.
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
    given_X_val: Any
    inputs: Any
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
    def network(self) -> Any:
        """The trained estimator, or that with the first weights if training failed."""
        return self.start if self.trained is None else self.trained

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


def examine(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    X_val: Any,
    y_val: Any,
    given_X_val: Any,
    range_test: bool,
    member: int,
) -> Case:
    """Measure an estimator, which is trained for it if it is not fitted."""
    trained, failure = estimator, ""
    if not estimator.__sklearn_is_fitted__():
        trained, failure = _train(estimator, X, y, sample_weight)
    alone = None if trained is None else one_network(trained, member)
    start = _untrained(estimator, X, y, sample_weight)
    settings = resolve(estimator.get_params(deep=False))
    notes: list[str] = []
    if trained is not None and X_val is None and not has_held_out(trained):
        notes.append("overfitting, as no rows were held out: pass X_val and y_val.")
    rows = _some_rows(X, y, sample_weight)
    with np.errstate(all="ignore"):
        start_passes = run_passes(start, *rows)
        start_statistics = _statistics(start, rows)
        statistics = start_statistics if alone is None else _statistics(alone, rows)
        constant_loss = _constant_loss(start_passes, start._fitted.learners[0].loss)
        start_loss = start_passes.loss + _penalty(start, settings, len(start_passes.targets))
    inputs, targets, _ = check_data(start, X, y, None, start._clean_target, reset=False)
    return Case(
        start=start,
        trained=trained,
        failure=failure,
        X=X,
        y=y,
        sample_weight=sample_weight,
        X_val=X_val,
        y_val=y_val,
        given_X_val=given_X_val,
        inputs=inputs,
        targets=targets,
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
            warnings.filterwarnings("ignore", ".* networks diverged and")  # which is a finding
            return trained.fit(X, y, sample_weight), ""
    except DivergenceError as error:
        return None, str(error)


def _untrained(estimator: Any, X: Any, y: Any, sample_weight: Any) -> Any:
    """Return a clone with the first weights, those of the last layer being none of them 0."""
    start = clone_for_all_rows(estimator)
    run = start._make_run(X, y, sample_weight)
    run.begin()
    start._trained = run.trained
    last = start.network_.dense[-1]
    if not last.W.any():
        std = sqrt(2 / (last.n_in + last.n_out))
        last.W[...] = std * np.random.default_rng(0).standard_normal(last.W.shape)
    return start


def has_held_out(trained: Any) -> bool:
    """Say whether there is a score, of the kind `score` gives, on rows that were held out."""
    found = trained._fitted
    judged = found.progress.goes_back or found.out_of_fold is not None
    return judged and trained.scoring is None


def _some_rows(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    if n_rows <= MOST_ROWS:
        return X, y, sample_weight
    arrays = (X, y) if sample_weight is None else (X, y, sample_weight)
    X, y, *rest = resample(*arrays, replace=False, n_samples=MOST_ROWS, random_state=0)
    return X, y, rest[0] if rest else None


def _statistics(estimator: Any, rows: tuple[Any, Any, Any]) -> dict[str, list[Any]]:
    """Measure the layers, as for a step at the base rate: a schedule may have ended at 0."""
    statistics = layer_statistics(estimator, *rows, learning_rate=estimator.learning_rate)
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
    weights = None
    if passes.weights is not None and passes.weights.shape[1] == 1:
        weights = passes.weights[:, 0]
    mean = np.average(Y, axis=0, weights=weights)
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
    learner: Learner = start._fitted.learners[0]
    n_rows = min(n_rows, rows_per_batch(settings, n_rows)[0])
    W = learner.network.parameters.penalized
    return float(learner.l2 / (2 * n_rows * learner.mean_weight) * (W @ W)) * learner.is_penalized


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
    plain, rate = clone_for_all_rows(estimator), settings.learning_rate
    try:
        first = learning_rate_range_test(plain, X, y, sample_weight=sample_weight)
        if first.suggestion and rate / DOUBTFUL_ABOVE < first.suggestion < rate * DOUBTFUL_BELOW:
            return first
        # From some first weights a test is off by a hundred times: what is advised is a median.
        seed = plain.random_state if isinstance(plain.random_state, int) else 0
        tests = [first]
        for other in (seed + 1, seed + 2):
            plain.set_params(random_state=other)
            tests.append(learning_rate_range_test(plain, X, y, sample_weight=sample_weight))
        found = sorted((t for t in tests if t.suggestion), key=lambda t: t.suggestion or 0.0)
        return found[len(found) // 2] if found else first
    except DivergenceError:
        notes.append("the range of learning rates: the loss is not finite from the start.")
        return None
