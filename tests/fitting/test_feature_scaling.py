"""Feature scaling in the estimators."""

import copy
import itertools
import pickle
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from skscratch import (
    ScratchMLPClassifier,
    ScratchMLPRegressor,
    from_sklearn,
    learning_rate_range_test,
)
from skscratch._fitting.scaling import RobustSmoothClip
from skscratch.callbacks import Checkpoint

from ..conftest import BOTH, classifier, diabetes, iris, regressor, state
from .checks import assert_same_scaler

both = pytest.mark.parametrize(("make", "data"), BOTH)


def parameters(estimator):
    return estimator.network_.parameters.vector


def output(estimator, X):
    return (
        estimator.decision_function(X) if hasattr(estimator, "classes_") else estimator.predict(X)
    )


def mapped(path, X):
    on_disk = np.memmap(path, dtype=X.dtype, mode="w+", shape=X.shape)
    on_disk[...] = X
    return np.memmap(path, dtype=X.dtype, mode="r", shape=X.shape)


@both
def test_trains_on_what_the_scaler_returns(make, data):
    X, y = data()
    X = X * 100 + 5
    scaler = RobustSmoothClip().fit(X)
    estimator = make(feature_scaling="robust").fit(X, y)
    assert_same_scaler(estimator.feature_scaler_, scaler)
    plain = make().fit(scaler.transform(X), y)
    assert plain.feature_scaler_ is None
    assert_array_equal(parameters(estimator), parameters(plain))
    assert_array_equal(output(estimator, X), output(plain, scaler.transform(X)))
    assert estimator.history_["loss"] == plain.history_["loss"]


VARIANTS = {
    "plain": {},
    "held out": {"early_stopping": True},
    "scored": {"early_stopping": True, "scoring": "neg_median_absolute_error"},
    "full": {"batch_size": None},
    "in order": {"shuffle": False},
    "lbfgs": {"optimizer": "lbfgs"},
    "perceptron": {"hidden_layer_sizes": ()},
    "normalized": {"normalization": "batch", "optimizer": "momentum"},
}

each_variant = pytest.mark.parametrize("params", VARIANTS.values(), ids=VARIANTS)


def with_scoring(make, params):
    if make is classifier and params.get("scoring"):
        params = {**params, "scoring": "neg_log_loss"}
    return make(feature_scaling="robust", **params)


@both
@each_variant
@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_trains_like_dense(make, data, params, form):
    X, y = data()
    X = np.round(X)  # zeros, and medians other than 0
    X[:, 0] += 1
    weights = np.arange(len(y)) % 3
    dense = with_scoring(make, params).fit(X, y, weights)
    thin = with_scoring(make, params).fit(form(X), y, weights)
    assert dense.feature_scaler_.shift_.any()
    assert_allclose(parameters(thin), parameters(dense), rtol=1e-10, atol=1e-10)
    for column in ("loss", "validation_score"):
        assert_allclose(thin.history_[column], dense.history_[column], rtol=1e-10)
    for estimator in (dense, thin):
        assert_allclose(output(estimator, form(X)), output(dense, X), rtol=1e-10, atol=1e-10)
    if params.get("optimizer") == "lbfgs":
        return
    for inputs in (X, form(X)):
        other = form(X) if isinstance(inputs, np.ndarray) else X
        dense.set_params(early_stopping=False).partial_fit(inputs, y)
        thin.set_params(early_stopping=False).partial_fit(other, y)
    assert_allclose(parameters(thin), parameters(dense), rtol=1e-10, atol=1e-10)


@both
@each_variant
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stored", ["float32", "float64", "int8"])
def test_memory_maps_train_like_arrays(make, data, params, dtype, stored, tmp_path):
    X, y = data()
    X = (X * 20).astype(stored)
    on_disk = mapped(tmp_path / "X", X)
    plain = with_scoring(make, params).set_params(dtype=dtype).fit(X, y)
    estimator = with_scoring(make, params).set_params(dtype=dtype).fit(on_disk, y)
    assert_array_equal(parameters(estimator), parameters(plain))
    for column in ("validation_loss", "validation_score"):
        assert_array_equal(estimator.history_[column], plain.history_[column])
    assert_array_equal(output(estimator, on_disk), output(plain, X))


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("stored", ["float64", "int8"])
def test_memory_maps_are_never_read_whole(make, stored, tmp_path):
    rng = np.random.default_rng(0)
    n_features = 1600 // np.dtype(stored).itemsize
    X = mapped(tmp_path / "X", rng.integers(-9, 9, (12_000, n_features)).astype(stored))
    y = np.arange(12_000) % 2
    params = {"hidden_layer_sizes": (2,), "max_iter": 1, "batch_size": 100, "dtype": "float32"}
    make(feature_scaling="robust", **params).fit(X[:100], y[:100])
    for early_stopping in (False, True):
        estimator = make(feature_scaling="robust", early_stopping=early_stopping, **params)
        tracemalloc.start()
        estimator.fit(X, y)
        estimator.set_params(early_stopping=False).partial_fit(X, y, X_val=X, y_val=y)
        estimator.score(X, y)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < X.nbytes / 3


def test_training_needs_one_array_in_the_networks_precision():
    X = np.random.default_rng(0).standard_normal((20_000, 100))
    y = X[:, 0]
    estimator = regressor(
        feature_scaling="robust", max_iter=1, batch_size=100, dtype="float32", learning_rate=1e-3
    )
    estimator.fit(X[:100], y[:100])
    tracemalloc.start()
    estimator.fit(X, y)
    _, peak = tracemalloc.get_traced_memory()
    assert peak < 0.8 * X.nbytes
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    estimator.predict(X)
    assert tracemalloc.get_traced_memory()[1] - before < X.nbytes / 4
    tracemalloc.stop()


@both
def test_a_standard_scaler_before_makes_no_difference(make, data):
    X, y = data()
    X = X * np.logspace(-3, 3, X.shape[1]) + 1
    standardized = StandardScaler().fit_transform(X)
    one, other = (
        make(feature_scaling="robust", max_iter=20).fit(data, y) for data in (X, standardized)
    )
    assert_allclose(output(one, X), output(other, standardized), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("offset", [0.0, 1e9])
@pytest.mark.parametrize("stretch", [1.0, 2.0**-80, 2.0**900])
def test_the_automatic_dtype_needs_no_look_at_the_features(offset, stretch):
    rng = np.random.default_rng(0)
    X = rng.integers(-64, 65, (1_000, 3)) / 64
    y = X[:, 0] - X[:, 1]
    moved = (X + offset) * stretch
    params = {"hidden_layer_sizes": (4,), "max_iter": 3, "feature_scaling": "robust"}
    params["n_networks"] = 1  # several would go back to the best epoch by X_val
    plain = ScratchMLPRegressor(random_state=0, **params).fit(X, y)
    estimator = ScratchMLPRegressor(random_state=0, **params).fit(moved, y, X_val=moved, y_val=y)
    assert plain.network_.dtype == estimator.network_.dtype == np.float32
    assert_array_equal(estimator.predict(moved), plain.predict(X))
    assert_array_equal(estimator.predict(sparse.csr_array(moved)).shape, (1_000,))
    assert ScratchMLPRegressor((4,), max_iter=1, feature_scaling=None).fit(
        X + 1e9, y
    ).network_.dtype == (np.float64)


def test_float32_takes_what_it_cannot_hold():
    X, y = iris()
    X = X * 1e300
    estimator = classifier(feature_scaling="robust", dtype="float32", max_iter=30).fit(X, y)
    assert estimator.score(X, y) > 0.9
    assert estimator.score(sparse.csr_array(X), y) > 0.9
    assert np.isfinite(estimator.decision_function(np.full((2, 4), -1.7e308))).all()


@both
def test_integer_weights_are_repetitions(make, data):
    X, y = data()
    weights = np.arange(len(y)) % 3
    params = {"feature_scaling": "robust", "batch_size": None, "max_iter": 30}
    one = make(**params).fit(X, y, weights)
    other = make(**params).fit(np.repeat(X, weights, axis=0), np.repeat(y, weights, axis=0))
    assert_allclose(output(one, X), output(other, X), rtol=1e-8, atol=1e-8)


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("scoring", ["loss", None, "accuracy"])
def test_validation_data_are_scaled_once(make, data, dtype, form, scoring, tmp_path):
    if make is regressor and scoring == "accuracy":
        scoring = "r2"
    X, y = data()
    X = 50 * X + 3
    params = {"feature_scaling": "robust", "early_stopping": True, "dtype": dtype}
    estimator = make(scoring=scoring, **params).fit(form(X), y, X_val=form(X[::2]), y_val=y[::2])
    best = np.argmax(estimator.history_["validation_score"])
    expected = (
        -estimator.history_["validation_loss"][best]
        if scoring == "loss"
        else estimator.score(X[::2], y[::2])
    )
    assert estimator.best_validation_score_ == pytest.approx(expected, rel=1e-6)
    on_disk = mapped(tmp_path / "X", X[::2])
    other = make(scoring=scoring, **params).fit(form(X), y, X_val=on_disk, y_val=y[::2])
    assert_allclose(other.history_["validation_loss"], estimator.history_["validation_loss"])


def test_a_scorer_sees_the_rows_as_they_came(splits):
    X, y = iris()
    X = X * 7 + 1
    seen = []

    def scorer(estimator, rows, labels):
        seen.append(rows)
        return estimator.score(rows, labels) - estimator.score(X, y)

    estimator = classifier(
        feature_scaling="robust", early_stopping=True, scoring=scorer, dtype="float32"
    ).fit(X, y)
    assert_array_equal(seen[0], X[splits[0][1]])
    held_out = splits[0][1]
    expected = estimator.score(X[held_out], y[held_out]) - estimator.score(X, y)
    assert estimator.best_validation_score_ == pytest.approx(expected)


@both
def test_later_calls_keep_the_first_ones_scale(make, data):
    X, y = data()
    estimator = make(feature_scaling="robust", warm_start=True).fit(X, y)
    scaler = estimator.feature_scaler_
    estimator.partial_fit(10 * X, y)
    estimator.fit(10 * X, y)
    assert estimator.feature_scaler_ is scaler
    estimator.set_params(warm_start=False).fit(10 * X, y)
    assert_allclose(estimator.feature_scaler_.scale_, scaler.scale_ / 10)


@both
@pytest.mark.parametrize(("first", "other"), itertools.permutations((None, "robust", "learned"), 2))
def test_going_on_with_other_scaling_is_refused(make, data, first, other):
    X, y = data()
    estimator = make(feature_scaling=first, warm_start=True).fit(X, y)
    estimator.set_params(feature_scaling=other)
    before = state(estimator)
    for go_on in (estimator.fit, estimator.partial_fit):
        with pytest.raises(ValueError, match=f"feature_scaling={other!r} differs from.*{first!r}"):
            go_on(X, y)
    assert state(estimator) == before
    estimator.set_params(warm_start=False).fit(X, y)
    assert (estimator.feature_scaler_ is None) is (other is None)


@both
def test_a_failed_fit_changes_nothing(make, data):
    X, y = data()
    estimator = make(feature_scaling="robust", optimizer="sgd", learning_rate=1e-3).fit(X, y)
    before, predicted = state(estimator), output(estimator, X)
    estimator.set_params(learning_rate=1e300)
    with pytest.raises(ValueError, match="diverged"):
        estimator.fit(10 * X, y)
    assert state(estimator.set_params(learning_rate=1e-3)) == before
    assert_array_equal(output(estimator, X), predicted)


@both
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_duplicates_predict_and_go_on_the_same(make, data, duplicate):
    X, y = data()
    X = X + 2.0
    # A pickle keeps the optimizer's moments of an estimator that is to go on.
    estimator = make(feature_scaling="robust", warm_start=True).fit(sparse.csr_array(X), y)
    other = duplicate(estimator)
    for inputs in (X, sparse.csr_array(X)):
        assert_array_equal(output(other, inputs), output(estimator, inputs))
        other.partial_fit(inputs, y)
        estimator.partial_fit(inputs, y)
        assert_array_equal(parameters(other), parameters(estimator))


@both
def test_resumes_from_a_checkpoint(make, data, tmp_path):
    X, y = data()
    X = 30 * X + 1
    whole = make(feature_scaling="robust").fit(X, y)

    class Killed(Checkpoint):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            super().on_fit_task_end(estimator, context, fitted_estimator=fitted_estimator)
            fitted_estimator.predict(X)
            if context.task_name == "epoch" and fitted_estimator.n_iter_ == 2:
                raise RuntimeError("killed")

    path = tmp_path / "run"
    with pytest.raises(RuntimeError, match="killed"):
        make(feature_scaling="robust").set_callbacks(Killed(path)).fit(X, y)
    estimator = make(feature_scaling="robust").set_callbacks(Checkpoint(path, resume=True))
    assert_array_equal(parameters(estimator.fit(X, y)), parameters(whole))
    assert_array_equal(output(estimator, X), output(whole, X))


@both
@pytest.mark.parametrize("value", ["standard", "Robust", "auto", True, False, 1])
def test_bad_values(make, data, value):
    with pytest.raises(ValueError, match="feature_scaling must be None or 'robust' or"):
        make(feature_scaling=value).fit(*data())


def test_one_row():
    # There is no scale to be had of it, and nothing to learn but the target.
    estimator = regressor(feature_scaling="robust").fit([[1.0, 2.0]], [3.0])
    assert_array_equal(estimator.feature_scaler_.scale_, 0)
    assert_allclose(
        estimator.predict([[1.0, 2.0], [9.0, -9.0]]), estimator.predict([[0.0, 0.0]])[0]
    )


@pytest.mark.parametrize("dtype", [bool, int, np.uint8])
def test_features_that_are_no_floats(dtype):
    X = (np.random.default_rng(0).random((80, 5)) > 0.4).astype(dtype)
    y = X[:, 0].astype(float) - X[:, 1]
    estimator = regressor(feature_scaling="robust", max_iter=50).fit(X, y)
    assert estimator.score(X, y) > 0.9
    assert_array_equal(estimator.predict(X), estimator.predict(X.astype(float)))


def test_learns_where_raw_features_defeat_it():
    X, y = diabetes()
    X = X * np.logspace(-6, 6, X.shape[1]) + np.logspace(-6, 9, X.shape[1])
    params = {"max_iter": 60, "random_state": 0, "learning_rate": 0.01}
    raw, scaled = (
        ScratchMLPRegressor((8,), feature_scaling=scaling, **params).fit(X, y).score(X, y)
        for scaling in (None, "robust")
    )
    assert scaled > max(0.5, raw + 0.2)


def test_searches_over_it():
    X, y = iris()
    grid = {"feature_scaling": [None, "robust"]}
    search = GridSearchCV(classifier(max_iter=20), grid, cv=3, error_score="raise").fit(X, y)
    assert search.best_params_["feature_scaling"] in (None, "robust")
    assert clone(search.best_estimator_).feature_scaling == search.best_params_["feature_scaling"]


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_learning_rate_range_test_scales(form):
    X, y = iris()
    scaled = RobustSmoothClip().fit(1e6 * X).transform(1e6 * X)
    result = learning_rate_range_test(classifier(feature_scaling="robust"), form(1e6 * X), y)
    expected = learning_rate_range_test(classifier(), scaled, y)
    assert_allclose(result.losses, expected.losses, rtol=1e-6)


@both
def test_scikit_learn_has_nothing_like_it(make, data):
    X, y = data()
    plain = {"standardize_target": False} if make is regressor else {}
    estimator = make(feature_scaling="robust", **plain)
    with pytest.raises(ValueError, match="has nothing like feature_scaling='robust'"):
        estimator.to_sklearn()
    estimator.fit(X, y).set_params(feature_scaling=None)
    with pytest.raises(ValueError, match="has nothing like feature_scaling='robust'"):
        estimator.to_sklearn()
    estimator.fit(X, y).set_params(feature_scaling="robust")
    back = from_sklearn(estimator.to_sklearn())
    assert back.feature_scaling is None
    assert back.feature_scaler_ is None
    assert_allclose(back.predict(X), estimator.predict(X))


@pytest.mark.parametrize("estimator_class", [ScratchMLPClassifier, ScratchMLPRegressor])
def test_is_keyword_only(estimator_class):
    with pytest.raises(TypeError):
        estimator_class((8,), "relu", "robust")
