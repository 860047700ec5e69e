"""Going on from where the last call ended: warm_start, partial_fit, and both together.

`test_parts_of_a_run.py` has what one long run and several short ones have in common. Here is where
the two ways of going on differ: `fit` with ``warm_start`` begins a new run from the old one's
weights, `partial_fit` is one more epoch of the same run.
"""

import copy
import itertools
import math
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import is_classifier

from skscratch import SGD, Adaptive, InverseScaling
from skscratch.callbacks import Callback

from ..conftest import BOTH, assert_same_weights, classifier, iris, state, weights_of

both = pytest.mark.parametrize(("make", "data"), BOTH)


def partial_fit(estimator, X, y, times=1, **given):
    """Call partial_fit several times, and return the estimator."""
    if is_classifier(estimator):
        given["classes"] = np.unique(y)
    for _ in range(times):
        estimator.partial_fit(X, y, **given)
    return estimator


def scripted(values):
    """Return a scorer that gives one value after the other."""
    rest = iter(values)
    return lambda estimator, X, y: next(rest)


# What both keep -------------------------------------------------------------------------------

KEPT = [
    {"optimizer": "adam"},
    {"optimizer": SGD(momentum=0.9, nesterov=True)},
    {"optimizer": "rmsprop", "dropout": 0.2},
    {"normalization": "batch", "batch_size": 7},
    {"clip_norm": 0.1, "dtype": "float32"},
    {"optimizer": "adamw", "feature_scaling": "learned"},
    {"numerical_embedding": "periodic"},
    {"numerical_embedding": "piecewise_linear"},
]


@both
@pytest.mark.parametrize("params", KEPT, ids=repr)
def test_warm_start_and_partial_fit_go_on_alike(make, data, params):
    X, y = data()
    warm = make(max_iter=2, warm_start=True, **params).fit(X, y).fit(X, y)
    partial = partial_fit(make(max_iter=2, **params), X, y, times=4)
    whole = make(max_iter=4, **params).fit(X, y)
    for estimator in (warm, partial):
        for array, wanted in zip(
            estimator.network_.snapshot(), whole.network_.snapshot(), strict=True
        ):
            np.testing.assert_array_equal(array, wanted)
        assert estimator.loss_curve_ == whole.loss_curve_
        assert estimator.t_ == whole.t_
    assert (warm.n_iter_, partial.n_iter_, whole.n_iter_) == (2, 1, 4)


@both
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_moments_are_kept(make, data, method):
    X, y = data()
    estimator = make(optimizer=SGD(momentum=0.9), warm_start=True, max_iter=3).fit(X, y)
    fresh = copy.deepcopy(estimator)
    fresh._fitted.learners[0].state = fresh._fitted.learners[0].optimizer.init(
        fresh.network_.parameters.vector
    )
    getattr(estimator.set_params(max_iter=1), method)(X, y)
    getattr(fresh.set_params(max_iter=1), method)(X, y)
    assert not np.array_equal(weights_of(estimator), weights_of(fresh))
    assert_same_weights(estimator, make(optimizer=SGD(momentum=0.9), max_iter=4).fit(X, y))


@both
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_invscaling_goes_on_from_the_rows_seen(make, data, method):
    X, y = data()
    estimator = make(
        lr_schedule=InverseScaling(power=0.3), warm_start=True, learning_rate=0.1, max_iter=1
    )
    for rows in (slice(None), slice(100), slice(50)):
        if method == "fit":
            estimator.fit(X[rows], y[rows])
        elif is_classifier(estimator):
            estimator.partial_fit(X[rows], y[rows], classes=np.unique(y))
        else:
            estimator.partial_fit(X[rows], y[rows])
    expected = [0.1 / (seen + 1) ** 0.3 for seen in (0, 150, 250)]
    np.testing.assert_allclose(estimator.history_["learning_rate"], expected)
    assert estimator.t_ == 300


@both
def test_adaptive_goes_on_at_the_lowered_rate(make, data):
    X, y = data()
    schedule = Adaptive(factor=10.0, minimum=1e-9)
    params = {"lr_schedule": schedule, "learning_rate": 0.01, "warm_start": True}
    estimator = make(tol=1e9, n_iter_no_change=1, max_iter=5, **params).fit(X, y)
    # Each plateau is three epochs long at first (the first one always improves), then two.
    rates = estimator.history_["learning_rate"]
    np.testing.assert_allclose(rates, [0.01] * 3 + [0.001] * 2)
    estimator.fit(X, y)
    first = estimator.history_["learning_rate"][5]
    assert first == pytest.approx(1e-4)
    low = 0.01 / 10**estimator._fitted.progress.clock.plateaus
    partial_fit(estimator, X, y, times=6)
    # There, too, patience with the loss lowers the rate, and it is that of partial_fit alone.
    np.testing.assert_allclose(
        estimator.history_["learning_rate"][10:], [low] * 3 + [low / 10] * 2 + [low / 100]
    )


@both
def test_partial_fit_goes_on_at_the_lowest_rate_of_adaptive(make, data):
    X, y = data()
    schedule = Adaptive(factor=10.0, minimum=1e-3)
    estimator = make(lr_schedule=schedule, learning_rate=0.1, tol=1e9, n_iter_no_change=1)
    seen = [weights_of(partial_fit(estimator, X, y)) for _ in range(12)]
    rates = estimator.history_["learning_rate"]
    np.testing.assert_allclose(rates, [0.1] * 3 + [0.01] * 2 + [0.001] * 7)
    assert not any(np.array_equal(*pair) for pair in itertools.pairwise(seen))


@both
def test_step_schedules_go_on_where_they_were(make, data):
    X, y = data()
    params = {"lr_schedule": "exponential", "warm_start": True}
    estimator = partial_fit(make(max_iter=3, **params).fit(X, y), X, y, times=2).fit(X, y)
    expected = [0.01 * 0.96**epoch for epoch in range(8)]
    np.testing.assert_allclose(estimator.history_["learning_rate"], expected)


# Where they differ ----------------------------------------------------------------------------

FINITE = ["cosine", "one_cycle", "warmup_cosine"]


@both
@pytest.mark.parametrize("schedule", FINITE)
def test_a_schedule_with_an_end_begins_again_with_fit(make, data, schedule):
    X, y = data()
    estimator = make(max_iter=4, lr_schedule=schedule, warm_start=True).fit(X, y)
    first = list(estimator.history_["learning_rate"])
    assert len(set(first)) == 4
    assert estimator.fit(X, y).history_["learning_rate"] == first * 2
    # It is stretched to the run's length.
    estimator.set_params(max_iter=8).fit(X, y)
    fresh = make(max_iter=8, lr_schedule=schedule).fit(X, y)
    assert estimator.history_["learning_rate"][8:] == fresh.history_["learning_rate"]


@both
@pytest.mark.parametrize("schedule", FINITE)
def test_a_schedule_with_an_end_is_constant_in_partial_fit(make, data, schedule):
    X, y = data()
    estimator = make(max_iter=4, lr_schedule=schedule, warm_start=True)
    partial_fit(estimator, X, y, times=3)
    assert estimator.history_["learning_rate"] == [0.01] * 3
    assert_same_weights(estimator, make(max_iter=3).fit(X, y))
    estimator.fit(X, y)
    fresh = make(max_iter=4, lr_schedule=schedule).fit(X, y)
    assert estimator.history_["learning_rate"][3:] == fresh.history_["learning_rate"]
    partial_fit(estimator, X, y)
    assert estimator.history_["learning_rate"][-1] == 0.01


@both
def test_patience_is_of_one_fit_but_of_many_partial_fits(make, data):
    X, y = data()
    params = {"early_stopping": True, "tol": 1e9, "n_iter_no_change": 2, "max_iter": 50}
    warm = make(warm_start=True, **params).fit(X, y, X_val=X, y_val=y)
    assert warm.n_iter_ == 1 + 2 + 1
    assert warm.fit(X, y, X_val=X, y_val=y).n_iter_ == 1 + 2 + 1
    partial = partial_fit(make(**params), X, y, times=4, X_val=X, y_val=y)
    before = state(partial)
    with pytest.warns(UserWarning, match="made no update"):
        partial.partial_fit(X, y, X_val=X, y_val=y)
    assert state(partial) == before


@both
def test_only_fit_holds_rows_out(make, data, splits):
    X, y = data()
    estimator = make(early_stopping=True, warm_start=True).fit(X, y)
    assert estimator.t_ == 5 * 120
    with pytest.warns(UserWarning, match="no effect in partial_fit without X_val and y_val"):
        estimator.partial_fit(X, y)
    assert estimator.t_ == 5 * 120 + 150
    assert len(splits) == 1
    assert math.isnan(estimator.history_["validation_score"][-1])
    estimator.fit(X, y)
    # The split is the same, so that no row is validated on that was trained on before.
    np.testing.assert_array_equal(splits[0][1], splits[1][1])


@both
def test_without_early_stopping_partial_fit_monitors_and_does_not_warn(make, data):
    X, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator = partial_fit(make(), X, y, times=2)
        partial_fit(estimator, X, y, X_val=X, y_val=y)
    assert estimator.validation_scores_ is None
    assert np.isnan(estimator.history_["validation_score"]).tolist() == [True, True, False]


# partial_fit with early stopping --------------------------------------------------------------

SCORES = [0.5, 0.6, 0.6, 0.55, 0.5, 0.4, 0.3]
SPENT = 5  # with a patience of two epochs and a tolerance of 0.05
WATCHED = {"early_stopping": True, "tol": 0.05, "n_iter_no_change": 2}


@both
@pytest.mark.parametrize("params", [{}, {"normalization": "batch", "dropout": 0.2}], ids=repr)
def test_spent_patience_restores_the_best_weights(make, data, params):
    X, y = data()
    estimator = make(scoring=scripted(SCORES), **WATCHED, **params)
    seen = []
    for _ in range(SPENT):
        partial_fit(estimator, X, y, X_val=X, y_val=y)
        seen.append(np.concatenate(estimator.network_.snapshot()))
    plain = make(max_iter=SPENT - 1, **params).fit(X, y)
    np.testing.assert_array_equal(seen[3], np.concatenate(plain.network_.snapshot()))
    np.testing.assert_array_equal(seen[4], seen[1])  # the second call had the best score
    assert estimator.validation_scores_ == SCORES[:SPENT]
    assert estimator.best_validation_score_ == 0.6
    assert len(estimator.loss_curve_) == SPENT


@both
def test_further_calls_warn_and_change_nothing(make, data):
    X, y = data()
    estimator = make(scoring=scripted(SCORES), **WATCHED)
    partial_fit(estimator, X, y, times=SPENT, X_val=X, y_val=y)
    contents = {name: copy.deepcopy(value) for name, value in vars(estimator).items()}
    history = copy.deepcopy(estimator.history_)
    weights = weights_of(estimator)
    for _ in range(3):
        with pytest.warns(UserWarning, match="n_iter_no_change=2 calls.*Call fit") as caught:
            estimator.partial_fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
        assert len(caught) == 1
        assert caught[0].filename == __file__
    np.testing.assert_array_equal(weights_of(estimator), weights)
    assert estimator.history_ == history
    assert estimator.n_iter_ == 1
    for name, (stream,) in estimator._fitted.streams.items():
        (before,) = contents["_trained"].streams[name]
        assert stream.bit_generator.state == before.bit_generator.state


@both
@pytest.mark.parametrize("store", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_patience_survives_storage(make, data, store):
    X, y = data()
    params = {"learning_rate": 0.3, "batch_size": 8, **WATCHED, "tol": 1e9}
    estimator = partial_fit(make(**params), X, y, times=3, X_val=X, y_val=y)
    other = store(estimator)
    for each in (estimator, other):
        partial_fit(each, X, y, X_val=X, y_val=y)
    assert_same_weights(other, estimator)
    for each in (estimator, other):
        with pytest.warns(UserWarning, match="made no update"):
            each.partial_fit(X, y, X_val=X, y_val=y)


@both
def test_an_improvement_renews_patience(make, data):
    X, y = data()
    scores = [0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.3, 0.0, 0.0, 0.0, 0.9]
    estimator = make(scoring=scripted(scores), **WATCHED)
    partial_fit(estimator, X, y, times=10, X_val=X, y_val=y)
    assert estimator.validation_scores_ == scores[:10]
    with pytest.warns(UserWarning, match="made no update"):
        estimator.partial_fit(X, y, X_val=X, y_val=y)
    assert_same_weights(estimator, make(max_iter=7).fit(X, y))


@both
def test_calls_without_validation_data_do_not_count(make, data):
    # A stream of batches may be validated now and then only.
    X, y = data()
    estimator = make(scoring=scripted(SCORES), **WATCHED)
    for call in range(SPENT):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            partial_fit(estimator, X, y, times=4)
        partial_fit(estimator, X, y, X_val=X, y_val=y)
        assert len(estimator.loss_curve_) == 5 * (call + 1)
    # The best score was measured in the tenth call.
    assert_same_weights(estimator, make(max_iter=10).fit(X, y))
    with pytest.warns(UserWarning, match="made no update"):
        estimator.partial_fit(X, y, X_val=X, y_val=y)


@both
def test_without_validation_data_a_spent_run_goes_on(make, data):
    X, y = data()
    estimator = make(scoring=scripted(SCORES), **WATCHED)
    partial_fit(estimator, X, y, times=SPENT, X_val=X, y_val=y)
    before = weights_of(estimator)
    estimator.set_params(early_stopping=False, scoring=None)
    for given in ({}, {"X_val": X, "y_val": y}):
        partial_fit(estimator, X, y, **given)
        assert not np.array_equal(weights_of(estimator), before)
        before = weights_of(estimator)
    assert len(estimator.loss_curve_) == SPENT + 2


@both
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_new_fit_starts_anew(make, data, warm_start):
    X, y = data()
    estimator = make(scoring=scripted(SCORES), warm_start=warm_start, **WATCHED)
    partial_fit(estimator, X, y, times=SPENT, X_val=X, y_val=y)
    scores = itertools.chain([0.1, 0.05, 0.05, 0.05], itertools.repeat(0.0))
    estimator.set_params(scoring=scripted(scores), max_iter=50)
    estimator.fit(X, y, X_val=X, y_val=y)
    assert estimator.n_iter_ == 4
    assert len(estimator.loss_curve_) == 4 + SPENT * warm_start
    if not warm_start:
        assert_same_weights(estimator, make(max_iter=1).fit(X, y))
    # And so does a series of partial_fit after it.
    partial_fit(estimator, X, y, times=3, X_val=X, y_val=y)
    assert len(estimator.loss_curve_) == 4 + SPENT * warm_start + 3


@both
def test_monitoring_in_partial_fit_never_stops(make, data):
    X, y = data()
    params = {**WATCHED, "early_stopping": False}
    estimator = partial_fit(make(**params), X, y, times=8, X_val=X, y_val=y)
    assert_same_weights(estimator, make(max_iter=8).fit(X, y))
    assert not np.isnan(estimator.history_["validation_score"]).any()
    assert estimator.validation_scores_ is None


@both
def test_each_call_may_bring_other_validation_data(make, data):
    X, y = data()
    estimator = partial_fit(make(early_stopping=True), X, y, X_val=X, y_val=y)
    partial_fit(estimator, X, y, X_val=X[::2], y_val=y[::2])
    expected = estimator.score(X[::2], y[::2])
    assert estimator.validation_scores_[-1] == pytest.approx(expected, rel=1e-12)


# Both together --------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("early_stopping", [False, True])
def test_partial_fit_goes_on_after_a_fit_that_has_converged(make, data, early_stopping):
    X, y = data()
    estimator = make(
        tol=1e9, n_iter_no_change=1, max_iter=50, early_stopping=early_stopping, warm_start=True
    )
    estimator.fit(X, y, X_val=X, y_val=y)
    assert estimator.n_iter_ == 3
    seen = [weights_of(estimator)]
    for _ in range(2):
        partial_fit(estimator, X, y, X_val=X, y_val=y)
        assert not any(np.array_equal(weights_of(estimator), before) for before in seen)
        seen.append(weights_of(estimator))
    assert len(estimator.loss_curve_) == 5
    if early_stopping:
        # The patience of partial_fit is its own: the third call in a row spends it.
        partial_fit(estimator, X, y, X_val=X, y_val=y)
        assert estimator.n_iter_ == 1
        best = int(np.argmax(estimator.validation_scores_[3:]))
        last = make(max_iter=4 + best).fit(X, y)
        np.testing.assert_array_equal(weights_of(estimator), weights_of(last))
        with pytest.warns(UserWarning, match="made no update"):
            estimator.partial_fit(X, y, X_val=X, y_val=y)


@both
def test_patience_with_a_loss_is_not_taken_for_one_with_a_score(make, data):
    X, y = data()
    estimator = make(tol=0.0, n_iter_no_change=1, max_iter=5, warm_start=True).fit(X, y)
    # Far below minus the training loss, which that fit watched.
    scores = [-1e6, -2e6, -3e6]
    estimator.set_params(early_stopping=True, scoring=scripted(scores))
    partial_fit(estimator, X, y, X_val=X, y_val=y)
    first = weights_of(estimator)
    partial_fit(estimator, X, y, times=2, X_val=X, y_val=y)
    np.testing.assert_array_equal(weights_of(estimator), first)
    assert estimator.validation_scores_[-3:] == scores


@both
def test_fit_and_partial_fit_in_turn_are_one_history(make, data):
    X, y = data()
    estimator = make(warm_start=True, max_iter=2, dropout=0.2)
    partial_fit(estimator, X, y, times=2).fit(X, y)
    partial_fit(estimator, X, y).fit(X, y)
    whole = make(max_iter=7, dropout=0.2).fit(X, y)
    assert_same_weights(estimator, whole)
    assert estimator.loss_curve_ == whole.loss_curve_
    assert estimator.history_["epoch"] == list(range(1, 8))
    assert estimator.n_iter_ == 2
    assert estimator.t_ == whole.t_


@both
def test_fit_without_warm_start_forgets_partial_fit(make, data):
    X, y = data()
    estimator = partial_fit(make(dropout=0.2), X, y, times=3).fit(X, y)
    plain = make(dropout=0.2).fit(X, y)
    assert_same_weights(estimator, plain)
    assert estimator.loss_curve_ == plain.loss_curve_


def test_scaling_and_classes_are_those_of_the_first_call():
    X, y = iris()
    estimator = classifier(warm_start=True).fit(X, y)
    estimator.fit(X[y < 2], y[y < 2])
    assert estimator.classes_.tolist() == [0, 1, 2]
    assert estimator.predict_proba(X).shape == (150, 3)
    with pytest.raises(ValueError, match="classes"):
        estimator.fit(X, y + 1)


@both
def test_a_failing_call_does_not_use_up_patience(make, data):
    X, y = data()
    estimator = partial_fit(make(**{**WATCHED, "tol": 1e9}), X, y, times=3, X_val=X, y_val=y)

    class Fails(Callback):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("failed")

    for _ in range(4):
        with pytest.raises(RuntimeError, match="failed"):
            estimator.set_callbacks(Fails()).partial_fit(X, y, X_val=X, y_val=y)
    estimator.set_callbacks()
    partial_fit(estimator, X, y, X_val=X, y_val=y)
    assert len(estimator.loss_curve_) == 4
