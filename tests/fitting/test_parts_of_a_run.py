"""What one long run and several short ones have in common."""

import copy

import numpy as np
import pytest
from sklearn.base import is_classifier

from skscratch import SGD, Adam, LeakyReLU, StepDecay
from skscratch.nn import SCHEDULES

from ..conftest import BOTH, assert_same_weights, classes_for, output, weights_of

both = pytest.mark.parametrize(("make", "data"), BOTH)

# Continuing -----------------------------------------------------------------------------------


CONTINUED = [
    {"optimizer": "adam"},
    {"optimizer": "nadam", "dropout": 0.3},
    {"optimizer": SGD(momentum=0.9)},
    {"lr_schedule": StepDecay(every=3)},
    {"lr_schedule": "exponential"},
    {"lr_schedule": "invscaling", "learning_rate": 1.0},
    {"batch_size": "full", "dtype": "float32"},
    {"shuffle": False},
    {"clip_norm": 0.1},
]


@both
@pytest.mark.parametrize("params", CONTINUED, ids=repr)
def test_five_epochs_and_five_more_are_ten(make, data, params):
    X, y = data()
    continued = make(max_iter=5, warm_start=True, **params).fit(X, y).fit(X, y)
    whole = make(max_iter=10, **params).fit(X, y)
    assert_same_weights(continued, whole)
    for name in ("epoch", "loss", "learning_rate", "gradient_norm"):
        assert continued.history_[name] == whole.history_[name]
    assert continued.t_ == whole.t_
    assert continued.n_iter_ == 5


@both
@pytest.mark.parametrize("params", CONTINUED, ids=repr)
def test_partial_fit_is_an_epoch_of_fit(make, data, params):
    X, y = data()
    estimator = make(max_iter=99, **params)
    for _ in range(6):
        estimator.partial_fit(X, y, **classes_for(estimator, y))
    whole = make(max_iter=6, **params).fit(X, y)
    assert_same_weights(estimator, whole)
    assert estimator.loss_curve_ == whole.loss_curve_
    assert estimator.n_iter_ == 1
    assert estimator.t_ == 6 * len(y)


@both
@pytest.mark.parametrize("name", SCHEDULES)
def test_history_shows_the_rates_that_the_schedule_simulates(make, data, name):
    """The mean over an epoch's steps, of which there are 3; the horizon is max_iter epochs."""
    X, y = data()
    estimator = make(lr_schedule=name, batch_size=50, max_iter=6).fit(X, y)
    rates = SCHEDULES[name]().simulate(18, base=0.01, steps_per_epoch=3, batch_size=50)
    expected = rates.reshape(6, 3).mean(axis=1)
    np.testing.assert_allclose(estimator.history_["learning_rate"], expected, rtol=1e-12)


with_an_end = pytest.mark.parametrize("name", ["cosine", "one_cycle", "warmup_cosine"])


@both
@with_an_end
def test_a_schedule_with_an_end_starts_anew(make, data, name):
    X, y = data()
    estimator = make(max_iter=4, lr_schedule=name, batch_size=50, warm_start=True)
    rates = estimator.fit(X, y).fit(X, y).history_["learning_rate"]
    simulated = SCHEDULES[name]().simulate(12, base=0.01, steps_per_epoch=3)
    expected = simulated.reshape(4, 3).mean(axis=1).tolist()
    np.testing.assert_allclose(rates, expected * 2)
    assert estimator.history_["epoch"] == list(range(1, 9))


@both
@with_an_end
def test_partial_fit_uses_a_constant_rate_where_the_schedule_has_an_end(make, data, name):
    X, y = data()
    estimator = make(lr_schedule=SCHEDULES[name]())
    for _ in range(3):
        estimator.partial_fit(X, y, **classes_for(estimator, y))
    assert estimator.history_["learning_rate"] == [0.01] * 3


@both
def test_without_warm_start_fit_starts_anew(make, data):
    X, y = data()
    estimator = make().fit(X, y)
    estimator.fit(X[:, :3], y)
    assert estimator.n_features_in_ == 3
    assert len(estimator.loss_curve_) == 5
    assert_same_weights(estimator, make().fit(X[:, :3], y))


@both
def test_a_new_activation_takes_effect(make, data):
    X, y = data()
    estimator = make(activation="tanh", warm_start=True).fit(X, y)
    estimator.set_params(activation="identity", learning_rate=1e-12, max_iter=1).fit(X, y)
    W1, W2 = estimator.coefs_
    b1, b2 = estimator.intercepts_
    Z = (X @ W1 + b1) @ W2 + b2
    expected = Z if is_classifier(estimator) else Z[:, 0] * y.std() + y.mean()
    np.testing.assert_allclose(output(estimator, X), expected, rtol=1e-9)


@both
def test_new_dropout_takes_effect(make, data):
    X, y = data()
    estimator = make(dropout=0.0, warm_start=True, batch_size="full", max_iter=1).fit(X, y)
    same, dropped = copy.deepcopy(estimator), copy.deepcopy(estimator)
    same.fit(X, y)
    dropped.set_params(dropout=0.5).fit(X, y)
    assert dropped.loss_ != same.loss_
    dropped.set_params(dropout=0.0).fit(X, y)
    P = output(dropped, X)
    np.testing.assert_array_equal(P, output(dropped, X))


@both
@pytest.mark.parametrize(
    ("first", "change"),
    [
        (Adam(), {"optimizer": SGD(momentum=0.8)}),
        (SGD(momentum=0.9), {"optimizer__momentum": 0.8}),
        (SGD(momentum=0.0), {"optimizer__momentum": 0.8}),
    ],
    ids=repr,
)
def test_a_new_optimizer_starts_with_fresh_moments(make, data, first, change):
    X, y = data()
    estimator = make(
        optimizer=copy.copy(first), warm_start=True, batch_size="full", learning_rate=0.01
    ).fit(X, y)
    w = [weights_of(estimator)]
    estimator.set_params(max_iter=1, **change)
    w += [weights_of(estimator.fit(X, y)) for _ in range(2)]
    norms = estimator.history_["gradient_norm"][-2:]
    # v_1 = -lr g_1 and v_2 = 0.8 v_1 - lr g_2: nothing is left of what was before.
    assert np.linalg.norm(w[1] - w[0]) == pytest.approx(0.01 * norms[0], rel=1e-6)
    left = w[2] - w[1] - 0.8 * (w[1] - w[0])
    assert np.linalg.norm(left) == pytest.approx(0.01 * norms[1], rel=1e-6)


@both
def test_changing_an_object_in_place_leaves_a_fitted_network_alone(make, data):
    X, y = data()
    estimator = make(activation=LeakyReLU(slope=0.1)).fit(X, y)
    before = output(estimator, X)
    estimator.set_params(activation__slope=0.9)
    np.testing.assert_array_equal(output(estimator, X), before)


@both
def test_warm_start_may_get_other_rows(make, data):
    X, y = data()
    estimator = make(warm_start=True).fit(X, y)
    estimator.fit(X[::2], y[::2])
    assert estimator.t_ == 5 * (len(y) + len(y[::2]))
    assert len(estimator.loss_curve_) == 10


# Continuing, honestly -------------------------------------------------------------------------


@both
def test_a_warm_start_validates_on_the_same_rows(make, data, splits):
    X, y = data()
    estimator = make(early_stopping=True, warm_start=True).fit(X, y).fit(X, y)
    (first_rows, first_held_out), (rows, held_out) = splits
    np.testing.assert_array_equal(rows, first_rows)
    np.testing.assert_array_equal(held_out, first_held_out)
    assert len(estimator.validation_scores_) == 2 * estimator.max_iter


@both
def test_the_best_validation_score_is_that_of_the_weights_kept(make, data):
    X, y = data()
    estimator = make(warm_start=True, max_iter=3).fit(X, y)
    estimator.set_params(early_stopping=True, learning_rate=0.5).fit(X, y)
    scores = estimator.history_["validation_score"]
    assert np.isnan(scores[:3]).all()
    assert estimator.best_validation_score_ == max(scores[3:])


@both
def test_an_adaptive_rate_that_ran_out_starts_anew(make, data):
    X, y = data()
    estimator = make(
        lr_schedule="adaptive", tol=1e9, n_iter_no_change=1, warm_start=True, max_iter=100
    ).fit(X, y)
    n_iter = estimator.n_iter_
    assert n_iter < 100
    assert estimator.history_["learning_rate"][-1] < 1e-5
    estimator.fit(X, y)
    assert estimator.history_["learning_rate"][n_iter] == estimator.learning_rate


@both
def test_an_adaptive_rate_falls_over_calls_of_partial_fit(make, data):
    X, y = data()
    estimator = make(lr_schedule="adaptive", tol=1e9, n_iter_no_change=1)
    first = {"classes": np.unique(y)} if is_classifier(estimator) else {}
    for _ in range(30):
        estimator.partial_fit(X, y, **first)
    rates = estimator.history_["learning_rate"]
    assert rates[0] == estimator.learning_rate
    assert rates[5] < rates[0]
    assert len(rates) == 30  # the caller decides when to stop
