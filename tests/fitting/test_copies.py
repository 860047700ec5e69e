"""Stored, copied and cloned estimators; threads that share one."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from sklearn.base import clone, is_classifier

from skscratch import SGD, ScratchMLPClassifier, StepDecay

from ..conftest import BOTH, assert_same_weights, iris, output, weights_of

both = pytest.mark.parametrize(("make", "data"), BOTH)

# Round trips ----------------------------------------------------------------------------------


def through_joblib(estimator, path):
    joblib.dump(estimator, path)
    return joblib.load(path)


ROUND_TRIPS = {
    "pickle": lambda estimator, path: pickle.loads(pickle.dumps(estimator)),
    "deepcopy": lambda estimator, path: copy.deepcopy(estimator),
    "joblib": through_joblib,
}

round_trips = pytest.mark.parametrize("round_trip", ROUND_TRIPS.values(), ids=ROUND_TRIPS)


@both
@round_trips
def test_round_trips_predict_and_go_on_identically(make, data, round_trip, tmp_path):
    X, y = data()
    estimator = make(warm_start=True, dropout=0.3, optimizer="nadam", lr_schedule="exponential")
    estimator.fit(X, y)
    other = round_trip(estimator, tmp_path / "estimator")
    np.testing.assert_array_equal(output(other, X), output(estimator, X))
    for each in (estimator, other):
        each.fit(X, y).partial_fit(X, y)
    assert_same_weights(other, estimator)
    assert other.loss_curve_ == estimator.loss_curve_
    assert len(other.loss_curve_) == 11


@both
@round_trips
def test_a_copy_is_independent(make, data, round_trip, tmp_path):
    X, y = data()
    estimator = make(warm_start=True).fit(X, y)
    other = round_trip(estimator, tmp_path / "estimator")
    before, n_rows = output(estimator, X), len(estimator.loss_curve_)
    other.fit(X, y)
    other.coefs_[0][...] = 0
    np.testing.assert_array_equal(output(estimator, X), before)
    assert len(estimator.loss_curve_) == n_rows


@both
def test_clone_is_unfitted_and_trains_alike(make, data):
    X, y = data()
    estimator = make(optimizer=SGD(momentum=0.5), lr_schedule=StepDecay(every=2)).fit(X, y)
    cloned = clone(estimator)
    assert not hasattr(cloned, "network_")
    assert cloned.optimizer == estimator.optimizer
    assert cloned.optimizer is not estimator.optimizer
    assert_same_weights(cloned.fit(X, y), estimator)


@both
@pytest.mark.parametrize(
    "prepare",
    [lambda est: est, lambda est: pickle.loads(pickle.dumps(est)), copy.deepcopy],
    ids=["as fitted", "pickled", "copied"],
)
def test_writing_to_the_weights_takes_effect(make, data, prepare):
    X, y = data()
    estimator = prepare(make().fit(X, y))
    before = output(estimator, X)
    estimator.intercepts_[0][...] += 1
    moved = output(estimator, X)
    assert not np.allclose(moved, before)
    estimator.coefs_[0][...] = 0
    constant = output(estimator, X)
    np.testing.assert_allclose(constant, np.broadcast_to(constant[0], constant.shape))
    estimator.coefs_[-1][...] = 0
    estimator.intercepts_[-1][...] = 2
    expected = 2 if is_classifier(estimator) else 2 * y.std() + y.mean()
    np.testing.assert_allclose(output(estimator, X), expected)
    # What is stored, and gone on with, is what was written.
    np.testing.assert_allclose(output(copy.deepcopy(estimator), X), expected)
    estimator.set_params(warm_start=True, learning_rate=1e-12, max_iter=1).fit(X, y)
    np.testing.assert_allclose(output(estimator, X), expected, rtol=1e-6)


# Threads --------------------------------------------------------------------------------------


@both
def test_threads_may_predict_at_once(make, data):
    X, y = data()
    estimator = make(hidden_layer_sizes=(64, 64), dropout=0.2, max_iter=2).fit(X, y)
    parts = [np.tile(X, (8, 1)) * factor for factor in np.linspace(0.5, 2, 16)]
    expected = [output(estimator, part) for part in parts]
    together = threading.Barrier(4)

    def predict(part):
        together.wait()
        return output(estimator, part)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for result, wanted in zip(pool.map(predict, parts), expected, strict=True):
                np.testing.assert_array_equal(result, wanted)


@both
def test_threads_may_fit_at_once_with_one_optimizer_object(make, data):
    X, y = data()
    optimizer = SGD(momentum=0.9)
    expected = weights_of(make(optimizer=optimizer).fit(X, y))
    with ThreadPoolExecutor(4) as pool:
        fits = [pool.submit(lambda: make(optimizer=optimizer).fit(X, y)) for _ in range(8)]
    for each in fits:
        np.testing.assert_array_equal(weights_of(each.result()), expected)


def test_a_subclass_may_have_fewer_parameters():
    class Small(ScratchMLPClassifier):
        def __init__(self, hidden_layer_sizes=(3,), *, max_iter=4, random_state=None):
            super().__init__(hidden_layer_sizes, max_iter=max_iter, random_state=random_state)

    X, y = iris()
    assert clone(Small(random_state=0)).fit(X, y).n_iter_ == 4
