"""What the random state decides, and what it leaves alone."""

import copy

import joblib
import numpy as np
import pytest

from skscratch._fitting.streams import copy_streams, spawn_streams

from ..conftest import BOTH, weights_of

both = pytest.mark.parametrize(("make", "data"), BOTH)


@both
def test_random_state_decides_everything(make, data):
    X, y = data()

    def fitted(random_state):
        params = {"dropout": 0.2, "early_stopping": True, "random_state": random_state}
        return weights_of(make(**params).fit(X, y))

    np.testing.assert_array_equal(fitted(1), fitted(1))
    assert not np.array_equal(fitted(1), fitted(2))
    np.testing.assert_array_equal(
        fitted(np.random.RandomState(1)), fitted(np.random.RandomState(1))
    )
    instance = np.random.RandomState(1)
    assert not np.array_equal(fitted(instance), fitted(instance))
    assert not np.array_equal(fitted(None), fitted(None))


@both
def test_fitting_twice_gives_the_same(make, data):
    X, y = data()
    estimator = make(dropout=0.2).fit(X, y)
    first = weights_of(estimator)
    np.testing.assert_array_equal(weights_of(estimator.fit(X, y)), first)


@both
def test_streams_are_independent(make, data):
    # Neither dropout nor the order of rows may change where the weights start.
    X, y = data()
    params = {"max_iter": 1, "learning_rate": 1e-12, "optimizer": "sgd"}
    plain = weights_of(make(**params).fit(X, y))
    for change in ({"dropout": 0.5}, {"shuffle": False}, {"early_stopping": True}):
        np.testing.assert_allclose(weights_of(make(**params, **change).fit(X, y)), plain, atol=1e-9)


@both
def test_global_random_state_is_left_alone(make, data):
    np.random.seed(0)  # noqa: NPY002  # it is what the test is about
    before = joblib.hash(np.random.get_state())  # noqa: NPY002
    make(dropout=0.2, early_stopping=True).fit(*data())
    assert joblib.hash(np.random.get_state()) == before  # noqa: NPY002


def test_a_copied_stream_draws_the_same_and_leaves_the_original_as_it_is():
    streams = spawn_streams(0, 2)
    streams["init"][1].random(3)
    copied, expected = copy_streams(streams), copy.deepcopy(streams)
    for name in streams:
        for stream, other in zip(copied[name], expected[name], strict=True):
            assert stream.permutation(50).tolist() == other.permutation(50).tolist()
    assert streams["init"][1].random() != copied["init"][1].random()
