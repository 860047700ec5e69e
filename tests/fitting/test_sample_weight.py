"""Weights are repetitions of rows."""

import numpy as np
import pytest

from ..conftest import (
    BOTH,
    assert_same_weights,
    cancer,
    classes_for,
    classifier,
    multilabel,
    weights_of,
)

both = pytest.mark.parametrize(("make", "data"), BOTH)

FULL_BATCH = {"batch_size": "full", "optimizer": "sgd", "learning_rate": 0.3, "max_iter": 30}

WEIGHTED = [
    *BOTH,
    pytest.param(classifier, cancer, id="binary"),
    pytest.param(classifier, multilabel, id="multilabel"),
]


@pytest.mark.parametrize(("make", "data"), WEIGHTED)
@pytest.mark.parametrize("params", [{}, {"optimizer": "adam"}, {"optimizer": "adamw"}], ids=repr)
def test_whole_weights_equal_repetition(make, data, params):
    X, y = data()
    weights = np.random.default_rng(0).integers(0, 4, len(y))
    repeated = np.repeat(X, weights, axis=0), np.repeat(y, weights, axis=0)
    settings = {**FULL_BATCH, "learning_rate": 0.1, "l2": 0.5, **params}
    weighted, plain = make(**settings).fit(X, y, weights), make(**settings).fit(*repeated)
    np.testing.assert_allclose(weights_of(weighted), weights_of(plain), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(weighted.loss_curve_, plain.loss_curve_, rtol=1e-9)
    assert weighted.score(X, y, weights) == pytest.approx(plain.score(*repeated), abs=1e-9)


@both
def test_without_a_penalty_the_scale_of_weights_is_irrelevant(make, data):
    X, y = data()
    weights = np.random.default_rng(0).uniform(0, 3, len(y))
    plain = make(l2=0.0).fit(X, y, weights)
    for factor in (1e-6, 1e6):
        estimator = make(l2=0.0).fit(X, y, factor * weights)
        np.testing.assert_allclose(weights_of(estimator), weights_of(plain), rtol=1e-6, atol=1e-9)
        assert estimator.loss_ == pytest.approx(plain.loss_, rel=1e-9)


@both
def test_the_scale_of_weights_is_that_of_the_data_against_the_penalty(make, data):
    # n in l2 / n is the sum of the weights.
    X, y = data()
    weights = np.random.default_rng(0).uniform(0, 3, len(y))
    scaled, plain = make(l2=5.0).fit(X, y, 10 * weights), make(l2=0.5).fit(X, y, weights)
    np.testing.assert_allclose(weights_of(scaled), weights_of(plain), rtol=1e-6, atol=1e-9)
    assert not np.allclose(weights_of(make(l2=5.0).fit(X, y, weights)), weights_of(plain))


@both
def test_weight_one_is_no_weight(make, data):
    X, y = data()
    plain = make().fit(X, y)
    for weights in (np.ones(len(y)), np.ones(len(y), int), [1.0] * len(y), 1):
        estimator = make().fit(X, y, weights)
        np.testing.assert_allclose(weights_of(estimator), weights_of(plain), rtol=1e-9, atol=1e-12)


@both
def test_rows_without_weight_do_not_matter(make, data):
    X, y = data()
    weights = (np.arange(len(y)) % 3 > 0).astype(float)
    other = X.copy()
    other[weights == 0] = 1e3
    settings = {**FULL_BATCH, "learning_rate": 0.01}
    estimator, plain = make(**settings).fit(other, y, weights), make(**settings).fit(X, y, weights)
    np.testing.assert_allclose(weights_of(estimator), weights_of(plain), rtol=1e-6, atol=1e-9)


@both
def test_partial_fit_takes_weights(make, data):
    X, y = data()
    weights = np.random.default_rng(0).uniform(0, 3, len(y))
    estimator = make()
    for _ in range(5):
        estimator.partial_fit(X, y, sample_weight=weights, **classes_for(estimator, y))
    assert_same_weights(estimator, make(max_iter=5).fit(X, y, weights))
