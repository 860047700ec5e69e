"""Learned scales, layer-wise rates and initial biases, as parameters of the estimators."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import softmax
from sklearn.base import clone, is_classifier

from skscratch import SGD, Adam, AdamW

from .conftest import BOTH, classifier, diabetes, iris, regressor, state

both = pytest.mark.parametrize(("make", "data"), BOTH)
flags = pytest.mark.parametrize("flag", ["learned_scales", "layerwise_rates"])


def output(estimator, X):
    return estimator.predict_proba(X) if is_classifier(estimator) else estimator.predict(X)


def weights_of(estimator):
    return estimator.network_.parameters.vector


@both
@flags
@pytest.mark.parametrize(
    ("optimizer", "switched_on"),
    [
        *((name, True) for name in ("auto", "adam", "adamw", "nadam")),
        *((name, False) for name in ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "lbfgs")),
        (Adam(beta1=0.5), True),
        (AdamW(), True),
        (SGD(momentum=0.5), False),
    ],
    ids=repr,
)
def test_auto_goes_by_the_optimizer(make, data, flag, optimizer, switched_on):
    X, y = data()
    params = {"max_iter": 2, "optimizer": optimizer, "learning_rate": 1e-4}
    automatic = make(**params, **{flag: "auto"}).fit(X, y)
    assert getattr(automatic.network_, flag) is switched_on
    for value in (True, False):
        given = make(**params, **{flag: value}).fit(X, y)
        assert getattr(given.network_, flag) is value
        same = np.array_equal(output(given, X), output(automatic, X))
        # L-BFGS has no use of rates.
        assert same is (value is switched_on or (optimizer, flag) == ("lbfgs", "layerwise_rates"))


@both
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_predictions_can_be_recomputed_from_the_coefficients(make, data, optimizer, form):
    X, y = data()
    params = {} if make is classifier else {"standardize_target": False}
    rate = {"adam": 0.003, "sgd": 1e-6 if make is regressor else 1e-3, "lbfgs": 1.0}[optimizer]
    estimator = make(
        hidden_layer_sizes=(6, 4), feature_scaling="learned", optimizer=optimizer, learning_rate=rate,
        max_iter=20, **params,
    ).fit(form(X), y)  # fmt: skip
    first = estimator.network_.dense[0]
    assert np.ptp(first.s) > 1e-3
    assert_array_equal(estimator.coefs_[0], first.W * first.s)
    A = X
    for W, b in zip(estimator.coefs_[:-1], estimator.intercepts_[:-1], strict=True):
        A = np.tanh(A @ W + b)
    Z = A @ estimator.coefs_[-1] + estimator.intercepts_[-1]
    expected = softmax(Z, axis=1) if make is classifier else Z[:, 0]
    assert_allclose(output(estimator, form(X)), expected, rtol=1e-10, atol=1e-14)
    mlp = estimator.to_sklearn()
    assert_allclose(output(mlp, X), expected, rtol=1e-10, atol=1e-14)


@both
def test_the_first_coefficients_are_a_copy_and_the_others_are_views(make, data):
    X, y = data()
    estimator = make(hidden_layer_sizes=(6, 4), feature_scaling="learned").fit(X, y)
    vector = weights_of(estimator)
    shared = [np.shares_memory(W, vector) for W in estimator.coefs_]
    assert shared == [False, True, True]
    assert all(np.shares_memory(b, vector) for b in estimator.intercepts_)
    before = output(estimator, X)
    estimator.coefs_[0][...] = 0
    assert_array_equal(output(estimator, X), before)


@both
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("first", [True, False])
def test_going_on_with_or_without_scales_is_as_it_began(make, data, method, first):
    X, y = data()
    estimator = make(learned_scales=first, warm_start=True).fit(X, y)
    estimator.set_params(learned_scales=not first)
    before, predicted = state(estimator), output(estimator, X)
    with pytest.raises(ValueError, match=f"learned_scales={not first} differs from the {first}"):
        getattr(estimator, method)(X, y)
    assert state(estimator) == before
    assert_array_equal(output(estimator, X), predicted)
    # "auto" goes on with what there is, whatever the optimizer.
    for optimizer in ("sgd", "adam"):
        estimator.set_params(learned_scales="auto", optimizer=optimizer, learning_rate=1e-4)
        getattr(estimator, method)(X, y)
        assert estimator.network_.learned_scales is first
    estimator.set_params(learned_scales=not first, warm_start=False).fit(X, y)
    assert estimator.network_.learned_scales is not first


@both
def test_layerwise_rates_may_change_when_training_goes_on(make, data):
    X, y = data()
    start = make(warm_start=True, feature_scaling="learned", optimizer="adamw").fit(X, y)
    ends = []
    for value in (False, True):
        estimator = copy.deepcopy(start).set_params(layerwise_rates=value).fit(X, y)
        assert estimator.network_.layerwise_rates is value
        ends.append(weights_of(estimator))
    assert not np.allclose(*ends)
    whole = make(max_iter=10, feature_scaling="learned", optimizer="adamw").fit(X, y)
    assert_array_equal(ends[0], weights_of(whole))


@both
@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda estimator: pickle.loads(pickle.dumps(estimator))]
)
def test_duplicates_predict_and_go_on_the_same(make, data, duplicate):
    X, y = data()
    params = {
        "feature_scaling": "learned",
    }
    estimator = make(warm_start=True, dropout=0.2, **params).fit(X, y)
    other = duplicate(estimator)
    assert_array_equal(output(other, X), output(estimator, X))
    assert_array_equal(weights_of(other.fit(X, y)), weights_of(estimator.fit(X, y)))
    assert_array_equal(weights_of(clone(other).fit(X, y)), weights_of(clone(estimator).fit(X, y)))


@both
def test_early_stopping_restores_the_scales_too(make, data, splits):
    X, y = data()
    estimator = make(
        feature_scaling="learned",
        early_stopping=True,
        learning_rate=0.05,
        max_iter=40,
        batch_size=8,
    ).fit(X, y)
    ((_, held_out),) = splits
    scores = estimator.validation_scores_
    assert scores[-1] < max(scores)  # there is something to restore
    assert estimator.score(X[held_out], y[held_out]) == pytest.approx(max(scores), rel=1e-12)


def test_features_that_say_nothing_come_to_count_less():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 10))
    y = X[:, 0] * X[:, 1]
    estimator = regressor(
        hidden_layer_sizes=(32,), feature_scaling="learned", learning_rate=0.003, max_iter=40
    ).fit(X, y)
    scales = np.abs(estimator.network_.dense[0].s[:, 0])
    assert scales[:2].min() > 1.5 * scales[2:].max()


@both
def test_initial_biases(make, data):
    X, y = data()
    params = {"hidden_layer_sizes": (2000, 1000), "max_iter": 1, "learning_rate": 1e-12}
    params |= {"batch_size": "full", "init": "auto"}
    # Those of the last layer start where the loss has them, and its weights at 0.
    starts = {}
    for value in ("zeros", "normal"):
        estimator = make(bias_init=value, **params).fit(X, y)
        *hidden, last = estimator.intercepts_
        starts[value] = last
        assert_allclose(estimator.coefs_[-1], 0, atol=1e-10)
        for b in hidden:
            if value == "zeros":
                assert_allclose(b, 0, atol=1e-10)
            else:
                assert b.std() == pytest.approx(1, rel=0.12)
                assert abs(b.mean()) < 0.15
    assert_allclose(starts["zeros"], starts["normal"], atol=1e-10)
    again = make(**params).fit(X, y)
    assert_array_equal(weights_of(again), weights_of(estimator))
    other = make(**{**params, "random_state": 1}).fit(X, y)
    assert not np.allclose(other.intercepts_[0], estimator.intercepts_[0])


def test_l2_goes_by_the_weights_and_not_by_the_scales():
    # At a rate of nearly 0 the loss is that of the start, penalty included.
    for make, data in ((classifier, iris), (regressor, diabetes)):
        X, y = data()
        losses = []
        for l2 in (0.0, 3.0):
            params = {"feature_scaling": "learned", "learning_rate": 1e-12, "batch_size": "full"}
            estimator = make(l2=l2, max_iter=1, **params).fit(X, y)
            losses.append(estimator.loss_)
        squares = sum(np.sum(layer.W**2) for layer in estimator.network_.dense)
        assert losses[1] - losses[0] == pytest.approx(1.5 * squares / len(X), rel=1e-6)
