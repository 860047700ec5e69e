"""feature_scaling="learned": robust scaling, and a scale for each feature that is learned."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import softmax
from sklearn.base import clone, is_classifier
from sklearn.metrics import get_scorer

from ..conftest import BOTH, classifier, diabetes, iris, regressor, state

both = pytest.mark.parametrize(("make", "data"), BOTH)


def output(estimator, X):
    return estimator.predict_proba(X) if is_classifier(estimator) else estimator.predict(X)


def weights_of(estimator):
    return estimator.network_.parameters.vector


@both
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "nadam", "sgd", "rmsprop", "lbfgs"])
def test_scales_are_learned_from_the_same_start(make, data, optimizer):
    X, y = data()
    params = {"max_iter": 2, "optimizer": optimizer, "learning_rate": 1e-4}
    learned = make(**params, feature_scaling="learned").fit(X, y)
    robust = make(**params, feature_scaling="robust").fit(X, y)
    assert learned.network_.architecture.learned_scales
    assert not robust.network_.architecture.learned_scales
    assert_array_equal(learned.feature_scaler_.center_, robust.feature_scaler_.center_)
    assert not np.array_equal(output(learned, X), output(robust, X))


@both
def test_what_is_not_scaled_has_no_learned_scales(make, data):
    X, y = data()
    assert not make(feature_scaling=None).fit(X, y).network_.architecture.learned_scales


@both
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_predictions_can_be_recomputed_from_the_coefficients(make, data, optimizer, form):
    X, y = data()
    params = {} if make is classifier else {"standardize_target": False}
    rate = {"adam": 0.003, "sgd": 1e-6 if make is regressor else 1e-3, "lbfgs": 1.0}[optimizer]
    estimator = make(
        hidden_layer_sizes=(6, 4), feature_scaling="learned", optimizer=optimizer,
        learning_rate=rate, max_iter=20, **params,
    ).fit(form(X), y)  # fmt: skip
    first = estimator.network_.dense[0]
    assert np.ptp(first.s) > 1e-3
    assert_array_equal(estimator.coefs_[0], first.W * first.s)
    A = estimator.feature_scaler_.transform(X)
    for W, b in zip(estimator.coefs_[:-1], estimator.intercepts_[:-1], strict=True):
        A = np.tanh(A @ W + b)
    Z = A @ estimator.coefs_[-1] + estimator.intercepts_[-1]
    expected = softmax(Z, axis=1) if make is classifier else Z[:, 0]
    assert_allclose(output(estimator, form(X)), expected, rtol=1e-10, atol=1e-14)


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
@pytest.mark.parametrize(
    ("first", "other"), [("learned", "robust"), ("robust", "learned"), (None, "learned")]
)
def test_going_on_with_or_without_scales_is_as_it_began(make, data, method, first, other):
    X, y = data()
    estimator = make(feature_scaling=first, warm_start=True).fit(X, y)
    estimator.set_params(feature_scaling=other)
    before, predicted = state(estimator), output(estimator, X)
    with pytest.raises(ValueError, match=f"feature_scaling={other!r} differs from the {first!r}"):
        getattr(estimator, method)(X, y)
    assert state(estimator) == before
    assert_array_equal(output(estimator, X), predicted)
    for optimizer in ("sgd", "adam"):
        estimator.set_params(feature_scaling=first, optimizer=optimizer, learning_rate=1e-4)
        getattr(estimator, method)(X, y)
        assert estimator.network_.architecture.learned_scales is (first == "learned")
    estimator.set_params(feature_scaling=other, warm_start=False).fit(X, y)
    assert estimator.network_.architecture.learned_scales is (other == "learned")


@both
@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda estimator: pickle.loads(pickle.dumps(estimator))]
)
def test_duplicates_predict_and_go_on_the_same(make, data, duplicate):
    X, y = data()
    estimator = make(warm_start=True, dropout=0.2, feature_scaling="learned").fit(X, y)
    other = duplicate(estimator)
    assert_array_equal(output(other, X), output(estimator, X))
    assert_array_equal(weights_of(other.fit(X, y)), weights_of(estimator.fit(X, y)))
    assert_array_equal(weights_of(clone(other).fit(X, y)), weights_of(clone(estimator).fit(X, y)))


@both
def test_early_stopping_restores_the_scales_too(make, data, splits):
    X, y = data()
    scoring = "neg_log_loss" if make is classifier else "r2"
    estimator = make(
        feature_scaling="learned",
        early_stopping=True,
        learning_rate=0.05,
        max_iter=40,
        batch_size=8,
        scoring=scoring,
    ).fit(X, y)
    ((_, held_out),) = splits
    scores = estimator.validation_scores_
    assert scores[-1] < max(scores)  # there is something to restore
    restored = get_scorer(scoring)(estimator, X[held_out], y[held_out])
    assert restored == pytest.approx(max(scores), rel=1e-12)


def test_features_that_say_nothing_come_to_count_less():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 10))
    y = np.tanh(X[:, 0]) + np.tanh(X[:, 1])
    estimator = regressor(
        hidden_layer_sizes=(32,), feature_scaling="learned", learning_rate=0.003, max_iter=20
    ).fit(X, y)
    scales = np.abs(estimator.network_.dense[0].s[:, 0])
    assert scales[:2].min() > 5 * scales[2:].max()


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
