import copy
import math
import pickle
import threading
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import sklearn
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from skscratch import (
    SGD,
    Adam,
    ExponentialDecay,
    LeakyReLU,
    Normal,
    ScratchMLPClassifier,
    StepDecay,
)
from skscratch._settings import AUTO_FROM, AUTO_FROM_IN_REGRESSION
from skscratch.nn import SCHEDULES, Network, Tanh

from ..conftest import BOTH, cancer, classifier, diabetes, iris, multilabel, regressor, state

both = pytest.mark.parametrize(("make", "data"), BOTH)


def weights_of(estimator):
    """Return all parameters of the network as one vector."""
    return np.concatenate([w.ravel() for w in estimator.coefs_ + estimator.intercepts_])


def assert_same_weights(estimator, other):
    np.testing.assert_array_equal(weights_of(estimator), weights_of(other))


def classes_for(estimator, y):
    """Return what partial_fit needs besides X and y."""
    return {"classes": np.unique(y)} if is_classifier(estimator) else {}


def output(estimator, X):
    """Return a prediction that shows every change of the weights."""
    return estimator.decision_function(X) if is_classifier(estimator) else estimator.predict(X)


# Input ----------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_equal_arrays_and_lend_their_names(make, data, library):
    X, y = data()
    names = [f"feature {i}" for i in range(X.shape[1])]
    if library == "pandas":
        frame, target = pd.DataFrame(X, columns=names), pd.Series(y)
    else:
        frame, target = pl.DataFrame(X, schema=names), pl.Series(y)
    plain, estimator = make().fit(X, y), make().fit(frame, target)
    assert_same_weights(estimator, plain)
    np.testing.assert_allclose(output(estimator, frame), output(plain, X), rtol=1e-9)
    assert not hasattr(plain, "feature_names_in_")
    assert estimator.n_features_in_ == plain.n_features_in_ == X.shape[1]
    if not hasattr(StandardScaler().fit(frame), "feature_names_in_"):
        return  # scikit-learn 1.6 does not know the names of recent polars
    assert list(estimator.feature_names_in_) == names
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.predict(frame[names[::-1]])


@both
def test_frames_of_mixed_and_nullable_columns(make, data):
    X, y = data()
    X = np.round(X * 4)
    frame = pd.DataFrame(X).rename(columns=str)
    kinds = dict(zip(frame, ["Int64", "int8", "float32", "Float64"], strict=False))
    assert_same_weights(make().fit(frame.astype(kinds), y), make().fit(X, y))


SPARSE = {
    "CSR": scipy.sparse.csr_matrix,
    "CSC": scipy.sparse.csc_matrix,
    "CSR array": scipy.sparse.csr_array,
    "COO": scipy.sparse.coo_matrix,
    "integer CSR": lambda X: scipy.sparse.csr_matrix(X.astype(int)),
}


@both
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("form", SPARSE.values(), ids=SPARSE)
def test_sparse_equals_dense(make, data, form, early_stopping):
    X, y = data()
    X = np.round(X)
    plain = make(early_stopping=early_stopping).fit(X, y)
    estimator = make(early_stopping=early_stopping).fit(form(X), y)
    np.testing.assert_allclose(weights_of(estimator), weights_of(plain), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(output(plain, form(X)), output(plain, X), rtol=1e-9, atol=1e-9)
    for each, inputs in ((plain, X), (estimator, form(X))):
        each.set_params(early_stopping=False).partial_fit(inputs, y)
    np.testing.assert_allclose(weights_of(estimator), weights_of(plain), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("form", ["csr", "csc"])
def test_sparse_input_is_never_densified(make, form, monkeypatch):
    # 16 GB as an array.
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(2_000, size=10_000), rng.integers(1_000_000, size=10_000)
    X = scipy.sparse.coo_matrix((rng.random(10_000), (rows, columns)), (2_000, 1_000_000))
    X = X.asformat(form)
    y = np.arange(2_000) % 2
    for cls in (scipy.sparse.csr_matrix, scipy.sparse.csc_matrix):
        for name in ("toarray", "todense"):
            monkeypatch.setattr(cls, name, None)
    for early_stopping in (False, True):
        estimator = make(
            hidden_layer_sizes=(2,),
            batch_size=1_000,
            max_iter=1,
            dtype="float32",
            optimizer="sgd",
            early_stopping=early_stopping,
        ).fit(X, y)
    estimator.set_params(early_stopping=False).partial_fit(X, y)
    assert estimator.predict(X).shape == (2_000,)
    assert np.isfinite(estimator.score(X, y))


def test_sparse_rows_are_predicted_in_blocks(monkeypatch):
    # However wide X is: the network computes with the hidden layers' few columns only.
    X = scipy.sparse.eye(1_000, 200_000, format="csr")
    estimator = classifier(
        hidden_layer_sizes=(4,), max_iter=1, batch_size="full", optimizer="sgd"
    ).fit(X, np.arange(1_000) % 2)
    blocks = []
    forward = Network.forward

    def counting(self, X, workspace):
        blocks.append(X.shape[0])
        return forward(self, X, workspace)

    monkeypatch.setattr(Network, "forward", counting)
    estimator.predict(X)
    assert sum(blocks) == 1_000
    assert len(blocks) < 20


def mapped(path, X):
    """Write X to a file and return a memory map of it."""
    on_disk = np.memmap(path, dtype=X.dtype, mode="w+", shape=X.shape)
    on_disk[...] = X
    on_disk.flush()
    return np.memmap(path, dtype=X.dtype, mode="r", shape=X.shape)


@both
@pytest.mark.parametrize("stored", ["float32", "float64", "int8"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"shuffle": False}], ids=repr)
def test_memory_maps_equal_arrays(make, data, stored, dtype, params, tmp_path):
    X, y = data()
    X = (X * 20).astype(stored)
    plain = make(dtype=dtype, **params).fit(X, y)
    on_disk = mapped(tmp_path / "X", X)
    estimator = make(dtype=dtype, **params).fit(on_disk, y)
    assert_same_weights(estimator, plain)
    np.testing.assert_array_equal(output(estimator, on_disk), output(plain, X))
    for each, inputs in ((plain, X), (estimator, on_disk)):
        each.set_params(early_stopping=False).partial_fit(inputs, y)
    assert_same_weights(estimator, plain)


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("stored", ["float32", "float64", "int8"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_memory_maps_are_never_read_whole(make, stored, dtype, tmp_path):
    rng = np.random.default_rng(0)
    n_features = 1600 // np.dtype(stored).itemsize
    X = mapped(tmp_path / "X", rng.integers(-9, 9, (10_000, n_features)).astype(stored))
    y = np.arange(10_000) % 2
    make(max_iter=1).fit(X[:100], y[:100])  # loads what is imported on first use
    for params in ({}, {"early_stopping": True}, {"shuffle": False}):
        estimator = make(hidden_layer_sizes=(2,), dtype=dtype, max_iter=1, batch_size=100, **params)
        tracemalloc.start()
        estimator.fit(X, y)
        estimator.set_params(early_stopping=False).partial_fit(X, y)
        estimator.predict(X)
        estimator.score(X, y)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < X.nbytes / 3


FORMS = {
    "Fortran order": np.asfortranarray,
    "strided view": lambda X: np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3],
    "reversed view": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "big-endian": lambda X: X.astype(X.dtype.newbyteorder(">")),
    "list": lambda X: X.tolist(),
    "float16": lambda X: X.astype(np.float16),
    "float32": lambda X: X.astype(np.float32),
    "integer": lambda X: X.astype(int),
    "uint8 of shifted": lambda X: X.astype(np.int8),
    "object": lambda X: X.astype(object),
}


@both
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_layout_and_dtype_make_no_difference(make, data, form):
    X, y = data()
    X = np.round(X * 4)  # whole numbers, so that every form holds them exactly
    plain, estimator = make().fit(X, y), make().fit(form(X), y)
    assert_same_weights(estimator, plain)
    np.testing.assert_allclose(output(estimator, form(X)), output(plain, X), rtol=1e-10)


@both
def test_boolean_and_read_only_input(make, data):
    X, y = data()
    X, y = X > 0, y.astype(float)
    plain = make().fit(X.astype(float), y)
    assert_same_weights(make().fit(X, y), plain)
    frozen, weights = X.astype(float), np.ones(len(y))
    for array in (frozen, y, weights):
        array.setflags(write=False)
    estimator = make().fit(frozen, y, weights)
    np.testing.assert_allclose(weights_of(estimator), weights_of(plain), rtol=1e-9)
    output(estimator, frozen)


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fit_leaves_the_data_as_they_are(make, data, dtype):
    X, y = data()
    X, weights = np.ascontiguousarray(X, dtype), np.ones(len(y), dtype)
    before = X.copy(), y.copy(), weights.copy()
    make(dtype=dtype, batch_size="full", shuffle=False).fit(X, y, weights).predict(X)
    make(dtype=dtype).fit(X, y, weights)
    for array, copied in zip((X, y, weights), before, strict=True):
        np.testing.assert_array_equal(array, copied)


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


# Searching and routing ------------------------------------------------------------------------


def test_grid_search_over_a_pipeline():
    X, y = iris()
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    grid = {
        "mlp__hidden_layer_sizes": [(8,), (4, 4)],
        "mlp__activation": ["tanh", LeakyReLU(slope=0.1)],
        "mlp__init": ["auto"],
        "mlp__optimizer": [SGD(), SGD(nesterov=True)],
        "mlp__optimizer__momentum": [0.1, 0.9],
        "mlp__l2": [1e-4],
        "mlp__dropout": [0.1],
        "mlp__batch_size": [16],
    }
    others = {
        "mlp__init": ["he_normal", Normal(std=0.1)],
        "mlp__l2": [0.0, 1.0],
        "mlp__batch_size": ["full"],
        "mlp__lr_schedule": [StepDecay()],
        "mlp__lr_schedule__every": [1, 100],
    }
    before = joblib.hash((grid, others))
    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", classifier(learning_rate=0.05))])
    search = GridSearchCV(pipeline, [grid, others], n_jobs=2, cv=2, error_score="raise")
    search.fit(frame, y)
    assert len(search.cv_results_["params"]) == 16 + 8
    assert search.best_score_ > 0.8
    assert list(search.best_estimator_[-1].network_.sizes[:1]) == [4]
    assert search.predict(frame).shape == (150,)
    assert joblib.hash((grid, others)) == before
    # The nested parameters made a difference.
    results = pd.DataFrame(search.cv_results_)
    by_momentum = results.groupby("param_mlp__optimizer__momentum")["mean_test_score"].mean()
    assert by_momentum[0.9] > by_momentum[0.1]


@both
def test_nested_parameters_are_listed_and_set(make, data):
    estimator = make(
        optimizer=SGD(), activation=LeakyReLU(), init=Normal(), lr_schedule=StepDecay()
    )
    params = estimator.get_params()
    for name in ("optimizer__momentum", "activation__slope", "init__std", "lr_schedule__every"):
        assert name in params
    estimator.set_params(optimizer__momentum=0.5, lr_schedule__every=3)
    assert estimator.optimizer == SGD(momentum=0.5)
    assert estimator.lr_schedule == StepDecay(every=3)
    estimator.set_params(optimizer=Adam(), optimizer__beta1=0.5)
    assert estimator.optimizer == Adam(beta1=0.5)


def route(estimator):
    return Pipeline(
        [
            ("scale", StandardScaler().set_fit_request(sample_weight=False)),
            (
                "mlp",
                estimator.set_fit_request(sample_weight=True).set_score_request(sample_weight=True),
            ),
        ]
    )


@both
def test_sample_weight_is_routed_through_a_search(make, data):
    X, y = data()
    weights = np.random.default_rng(0).uniform(0, 3, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = route(make(l2=0.5))
        scorer = get_scorer("accuracy" if make is classifier else "r2")
        common = {
            "cv": 2,
            "error_score": "raise",
            "scoring": scorer.set_score_request(sample_weight=True),
        }
        search = GridSearchCV(pipeline, {"mlp__l2": [0.5]}, **common)
        search.fit(X, y, sample_weight=weights)
        scores = cross_validate(pipeline, X, y, params={"sample_weight": weights}, **common)
        score = clone(pipeline).fit(X, y, sample_weight=weights).score(X, y, sample_weight=weights)
    scaled = StandardScaler().fit_transform(X)
    assert_same_weights(search.best_estimator_[-1], make(l2=0.5).fit(scaled, y, weights))
    assert not np.array_equal(
        weights_of(search.best_estimator_[-1]), weights_of(make(l2=0.5).fit(scaled, y))
    )
    assert scores["test_score"].mean() == pytest.approx(search.best_score_)
    assert score == pytest.approx(search.best_estimator_[-1].score(scaled, y, weights))


# Randomness -----------------------------------------------------------------------------------


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


# Sample weights -------------------------------------------------------------------------------

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


# What fit leaves behind -----------------------------------------------------------------------


@both
def test_history_is_a_table(make, data):
    X, y = data()
    estimator = make(max_iter=4, warm_start=True, lr_schedule=ExponentialDecay(0.5)).fit(X, y)
    table = pd.DataFrame(estimator.history_)
    assert len(table) == 4
    assert list(table["epoch"]) == [1, 2, 3, 4]
    np.testing.assert_allclose(table["learning_rate"], [0.01, 0.005, 0.0025, 0.00125])
    assert table[["validation_loss", "validation_score"]].isna().all(axis=None)
    assert (table[["loss", "gradient_norm", "seconds"]] > 0).all(axis=None)
    assert all(
        type(value) in (int, float) for column in estimator.history_.values() for value in column
    )
    estimator.set_params(early_stopping=True).fit(X, y)
    table = pd.DataFrame(estimator.history_)
    assert list(table["epoch"]) == list(range(1, 9))
    assert table["validation_score"].notna().tolist() == [False] * 4 + [True] * 4
    estimator.set_params(early_stopping=False).partial_fit(X, y)
    assert len(pd.DataFrame(estimator.history_)) == 9


def test_gradient_norm_is_that_of_the_whole_gradient():
    X, y = diabetes()
    estimator = regressor(
        hidden_layer_sizes=(),
        standardize_target=False,
        batch_size="full",
        max_iter=1,
        learning_rate=1e-12,
        l2=100.0,
    ).fit(X, y)
    residual = (X @ estimator.coefs_[0] + estimator.intercepts_[0])[:, 0] - y
    gradient = np.append(
        (X.T @ residual + 100 * estimator.coefs_[0][:, 0]) / len(y), residual.mean()
    )
    assert estimator.history_["gradient_norm"] == [pytest.approx(np.linalg.norm(gradient))]


def test_validation_loss_is_that_of_the_rows_held_out_without_penalty(splits):
    X, y = iris()
    estimator = classifier(
        early_stopping=True, max_iter=1, l2=5.0, learning_rate=0.05, hidden_layer_sizes=(16,)
    ).fit(X, y)
    ((_, held_out),) = splits
    log_P = estimator.predict_log_proba(X[held_out])
    expected = -log_P[np.arange(len(held_out)), y[held_out]].mean()
    assert estimator.history_["validation_loss"] == [pytest.approx(expected, rel=1e-9)]


COUNTERPARTS = {
    "binary": (classifier, MLPClassifier, cancer),
    "multiclass": (classifier, MLPClassifier, iris),
    "multilabel": (classifier, MLPClassifier, multilabel),
    "regression": (regressor, MLPRegressor, diabetes),
}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("case", COUNTERPARTS.values(), ids=COUNTERPARTS)
def test_fitted_attributes_mean_what_scikit_learn_means(case, early_stopping):
    make, counterpart, data = case
    X, y = data()
    common = {
        "hidden_layer_sizes": (6, 5),
        "activation": "tanh",
        "max_iter": 7,
        "batch_size": 32,
        "tol": 0.0,
        "n_iter_no_change": 100,
        "early_stopping": early_stopping,
        "validation_fraction": 0.2,
        "warm_start": True,
        "random_state": 0,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = counterpart(**common).fit(X, y).fit(X, y)
    ours = make(**common).fit(X, y).fit(X, y)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
        assert type(getattr(ours, name)) is type(getattr(theirs, name)), name
    assert [W.shape for W in ours.coefs_] == [W.shape for W in theirs.coefs_]
    assert [b.shape for b in ours.intercepts_] == [b.shape for b in theirs.intercepts_]
    assert len(ours.loss_curve_) == len(theirs.loss_curve_) == 14
    assert ours.loss_ == ours.loss_curve_[-1]
    assert theirs.loss_ == theirs.loss_curve_[-1]
    if early_stopping:
        assert ours.best_loss_ is theirs.best_loss_ is None
        # Ours has a row for each epoch of the history.
        assert len(ours.validation_scores_) == 14
        assert ours.best_validation_score_ == max(ours.validation_scores_)
        assert theirs.best_validation_score_ == max(theirs.validation_scores_)
    else:
        assert ours.best_loss_ == min(ours.loss_curve_)
        assert theirs.best_loss_ == min(theirs.loss_curve_)
        assert ours.validation_scores_ is theirs.validation_scores_ is None
        assert ours.best_validation_score_ is theirs.best_validation_score_ is None


@both
def test_fit_changes_no_parameter(make, data):
    X, y = data()
    estimator = make(
        optimizer=SGD(momentum=0.9),
        activation=[LeakyReLU()],
        init=Normal(std=0.1),
        lr_schedule=StepDecay(every=2),
        dropout=[0.1],
        hidden_layer_sizes=[4],
        warm_start=True,
    )
    params = estimator.get_params(deep=False)
    before = joblib.hash(params)
    estimator.fit(X, y).fit(X, y).partial_fit(X, y)
    after = estimator.get_params(deep=False)
    assert joblib.hash(after) == before
    assert all(after[name] is value for name, value in params.items())


@both
def test_representations(make, data):
    estimator = make(optimizer=SGD(momentum=0.7))
    assert "SGD(momentum=0.7" in repr(estimator)
    for each in (estimator, estimator.fit(*data())):
        html = estimator_html_repr(Pipeline([("scale", StandardScaler()), ("mlp", each)]))
        assert type(estimator).__name__ in html
        assert "momentum=0.7" in html


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize(
    ("params", "n_samples", "expected"),
    [
        ({"dtype": "auto"}, AUTO_FROM - 1, "float64"),
        ({"dtype": "auto"}, AUTO_FROM, "float32"),
        ({"dtype": "auto", "optimizer": "lbfgs"}, AUTO_FROM, "float64"),
        ({"dtype": "float32"}, 10, "float32"),
        ({"dtype": "float64"}, AUTO_FROM, "float64"),
    ],
)
def test_dtype_rule(make, params, n_samples, expected):
    X = np.random.default_rng(0).standard_normal((n_samples, 2)).astype("float32")
    y = np.arange(n_samples) % 2
    estimator = make(max_iter=1, batch_size="full", **params).fit(X, y)
    assert {array.dtype for array in estimator.coefs_ + estimator.intercepts_} == {
        np.dtype(expected)
    }
    assert output(estimator, X).dtype == np.float64


@both
def test_the_first_call_fixes_the_automatic_dtype(make, data):
    X, y = data()
    estimator = make(dtype="auto", warm_start=True, max_iter=1).fit(X, y)
    many = (
        np.tile(X, (AUTO_FROM // len(y) + 1, 1)),
        np.resize(y, (AUTO_FROM // len(y) + 1) * len(y)),
    )
    estimator.fit(*many).partial_fit(*many)
    assert estimator.coefs_[0].dtype == np.float64


@both
def test_float32_is_close_to_float64(make, data):
    X, y = data()
    single, double = make(dtype="float32").fit(X, y), make(dtype="float64").fit(X, y)
    np.testing.assert_allclose(weights_of(single), weights_of(double), atol=1e-3)
    assert single.loss_ == pytest.approx(double.loss_, rel=1e-4)


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("n_samples", [1, 2, 3])
def test_the_fewest_rows(make, n_samples):
    if make is classifier and n_samples == 1:
        n_samples = 2
    X, y = np.arange(n_samples * 2.0).reshape(n_samples, 2), np.arange(n_samples)
    for batch_size in (1, 2, "full", 1000):
        estimator = make(batch_size=batch_size).fit(X, y)
        assert np.isfinite(estimator.predict(X)).all()
        assert estimator.t_ == 5 * n_samples


@both
@pytest.mark.parametrize("sizes", [(), 3, (3,), [4, 3], np.array([4, 3, 2])], ids=repr)
def test_any_depth(make, data, sizes):
    X, y = data()
    estimator = make(hidden_layer_sizes=sizes, dropout=0.1).fit(X, y)
    hidden = [int(size) for size in np.atleast_1d(sizes)]
    assert [W.shape[0] for W in estimator.coefs_] == [X.shape[1], *hidden]
    assert estimator.n_layers_ == len(hidden) + 2


# Stopping -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "data"), [*BOTH, pytest.param(classifier, multilabel, id="multilabel")]
)
def test_early_stopping_restores_the_best_weights(make, data, splits):
    X, y = data()
    estimator = make(early_stopping=True, learning_rate=0.1, max_iter=40, batch_size=8, l2=0.0).fit(
        X, y
    )
    ((training, held_out),) = splits
    scores = estimator.validation_scores_
    assert scores[-1] < max(scores)  # there is something to restore
    assert estimator.score(X[held_out], y[held_out]) == pytest.approx(max(scores), rel=1e-12)
    assert estimator.t_ == 40 * len(training)
    # The best epoch's weights are those that a run as long as that would end with.
    best = 1 + int(np.argmax(scores))
    shorter = clone(estimator).set_params(max_iter=best).fit(X, y)
    assert_same_weights(shorter, estimator)


@both
def test_early_stopping_ends_when_patience_is_spent(make, data):
    X, y = data()
    estimator = make(early_stopping=True, tol=1e9, n_iter_no_change=3, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.fit(X, y)
    # The first epoch always counts as better than none.
    assert estimator.n_iter_ == 1 + 3 + 1


@both
def test_rows_held_out_are_never_trained_on(make, data, splits):
    X, y = data()
    params = {"early_stopping": True, "max_iter": 6, "dropout": 0.2}
    plain = make(**params).fit(X, y)
    held_out = splits[0][1]
    other = X.copy()
    other[held_out] = 1e6
    estimator = make(**params).fit(other, y)
    np.testing.assert_array_equal(splits[1][1], held_out)
    assert estimator.loss_curve_ == plain.loss_curve_
    assert estimator.history_["gradient_norm"] == plain.history_["gradient_norm"]
    assert estimator.validation_scores_ != plain.validation_scores_
    other = X.copy()
    other[splits[0][0][0]] = 1e6
    assert make(**params).fit(other, y).loss_curve_ != plain.loss_curve_


@both
def test_weights_of_rows_held_out_do_not_matter_in_training(make, data, splits):
    X, y = data()
    target = {"standardize_target": False} if make is regressor else {}
    params = {"early_stopping": True, "max_iter": 6, "l2": 5.0, **target}
    weights = np.random.default_rng(0).uniform(0.1, 3, len(y))
    plain = make(**params).fit(X, y, weights)
    for rows, matters in zip(splits[0], (True, False), strict=True):
        other = weights.copy()
        other[rows] *= np.linspace(1, 10, len(rows))
        estimator = make(**params).fit(X, y, other)
        assert (estimator.loss_curve_ != plain.loss_curve_) is matters


@both
def test_validation_fraction_is_the_share_held_out(make, data, splits):
    X, y = data()
    for fraction, n_rows in ((0.1, 15), (0.5, 75), ("auto", 30)):
        estimator = make(early_stopping=True, validation_fraction=fraction).fit(X, y)
        assert len(splits[-1][1]) == n_rows
        assert estimator.t_ == 5 * (150 - n_rows)


def test_the_validation_part_is_stratified(splits):
    X, y = cancer()
    classifier(early_stopping=True, max_iter=1, validation_fraction=0.25).fit(X, y)
    ((_, held_out),) = splits
    np.testing.assert_allclose(np.bincount(y[held_out]), np.bincount(y) / 4, atol=1)


@pytest.mark.parametrize(
    ("make", "limit"), [(classifier, AUTO_FROM), (regressor, AUTO_FROM_IN_REGRESSION)]
)
def test_automatic_early_stopping_goes_by_the_number_of_rows(make, limit):
    rng = np.random.default_rng(0)
    for n_samples, holds_out in ((limit - 1, False), (limit, True)):
        X, y = rng.standard_normal((n_samples, 1)), np.arange(n_samples) % 2
        estimator = make(
            early_stopping="auto", hidden_layer_sizes=(), max_iter=1, batch_size=2000
        ).fit(X, y)
        assert (estimator.validation_scores_ is not None) is holds_out
        assert (estimator.t_ < n_samples) is holds_out


@both
def test_training_ends_when_the_loss_stalls(make, data):
    X, y = data()
    estimator = make(tol=1e9, n_iter_no_change=4, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.fit(X, y)
    assert estimator.n_iter_ == 1 + 4 + 1


@both
def test_patience_is_renewed_by_warm_start(make, data):
    X, y = data()
    estimator = make(tol=1e9, n_iter_no_change=4, max_iter=100, warm_start=True).fit(X, y)
    assert estimator.fit(X, y).n_iter_ == 6


@both
def test_adaptive_schedule_lowers_the_rate_at_each_plateau(make, data):
    X, y = data()
    estimator = make(
        lr_schedule="adaptive", tol=1e9, n_iter_no_change=1, max_iter=1000, learning_rate=0.01
    )
    estimator.fit(X, y)
    rates = estimator.history_["learning_rate"]
    assert rates[0] == 0.01
    assert all(after <= before for before, after in pairwise(rates))
    assert len(set(rates)) > 3
    assert rates[-1] <= 5e-6
    assert len(rates) < 1000


@both
def test_convergence_warning_at_max_iter(make, data):
    X, y = data()
    with pytest.warns(ConvergenceWarning, match="max_iter=5 before it converged"):
        make(max_iter=5, n_iter_no_change=10).fit(X, y)
    with pytest.warns(ConvergenceWarning):
        make(max_iter=5, n_iter_no_change=10, early_stopping=True).fit(X, y)


@both
def test_no_convergence_warning_where_the_user_fixed_the_epochs(make, data):
    X, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make(max_iter=5, n_iter_no_change=np.inf).fit(X, y).n_iter_ == 5


@both
@with_an_end
@pytest.mark.parametrize("early_stopping", [False, True])
def test_no_convergence_warning_where_the_schedule_has_an_end(make, data, name, early_stopping):
    X, y = data()
    estimator = make(lr_schedule=name, tol=1e9, n_iter_no_change=1, early_stopping=early_stopping)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.fit(X, y)
    # The stop by tol is switched off on the training loss, not on the validation score.
    assert estimator.n_iter_ == (3 if early_stopping else 5)


@both
def test_partial_fit_warns_of_nothing(make, data):
    X, y = data()
    estimator = make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            estimator.partial_fit(X, y, **classes_for(estimator, y))


@both
def test_verbose_prints_a_line_per_epoch(make, data, capsys):
    X, y = data()
    make(verbose=False).fit(X, y)
    assert capsys.readouterr().out == ""
    estimator = make(verbose=True, max_iter=3).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Epoch 1", "Epoch 2", "Epoch 3"]
    assert f"{estimator.loss_:.6f}" in lines[2]
    assert "validation" not in lines[0]
    estimator.partial_fit(X, y)
    assert capsys.readouterr().out.startswith("Epoch 4: loss ")
    make(verbose=1, max_iter=2, early_stopping=True).fit(X, y)
    assert "validation score" in capsys.readouterr().out.splitlines()[1]


# Interruption and failure ---------------------------------------------------------------------


@dataclass
class InterruptedSGD(SGD):
    """Raises a KeyboardInterrupt in a step; 10 steps make an epoch of 150 rows in batches of 16."""

    at_step: int = 1

    def _move(self, w, g, lr, state, *arrays):
        super()._move(w, g, lr, state, *arrays)
        if state.t == self.at_step:
            raise KeyboardInterrupt


@both
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("epochs_before", [0, 1, 3])
def test_keyboard_interrupt_keeps_what_was_trained(make, data, early_stopping, epochs_before):
    X, y = data()
    steps_per_epoch = 8 if early_stopping else 10
    interrupted = InterruptedSGD(momentum=0.5, at_step=epochs_before * steps_per_epoch + 3)
    estimator = make(
        optimizer=interrupted, early_stopping=early_stopping, max_iter=20, warm_start=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)  # the one warning is enough
        with pytest.warns(UserWarning, match=f"interrupted after {epochs_before} epochs") as caught:
            estimator.fit(X, y)
    assert [each.filename for each in caught] == [__file__]
    assert estimator.predict(X).shape == y.shape
    assert np.isfinite(estimator.score(X, y))
    assert len(pd.DataFrame(estimator.history_)) == estimator.n_iter_ == epochs_before
    assert math.isnan(estimator.loss_) == (epochs_before == 0)
    if early_stopping:
        assert len(estimator.validation_scores_) == epochs_before
        assert math.isnan(estimator.best_validation_score_) == (epochs_before == 0)
    # The steps made within the epoch count, unless better weights are restored.
    start = make(optimizer="sgd", learning_rate=1e-12, max_iter=1).fit(X, y)
    assert not np.allclose(weights_of(estimator), weights_of(start), atol=1e-9)
    assert pickle.loads(pickle.dumps(estimator)).predict(X).shape == y.shape
    estimator.set_params(optimizer="sgd", max_iter=2).fit(X, y)
    assert len(estimator.loss_curve_) == epochs_before + 2
    assert not math.isnan(estimator.loss_)


@both
def test_keyboard_interrupt_in_partial_fit(make, data):
    X, y = data()
    estimator = make(optimizer=InterruptedSGD(momentum=0.5, at_step=13))
    estimator.partial_fit(X, y, **classes_for(estimator, y))
    before = weights_of(estimator)
    with pytest.warns(UserWarning, match="interrupted") as caught:
        estimator.partial_fit(X, y)
    assert caught[0].filename == __file__
    assert not np.array_equal(weights_of(estimator), before)
    assert len(estimator.loss_curve_) == 1
    estimator.partial_fit(X, y)
    assert len(estimator.loss_curve_) == 2


@dataclass
class InterruptedTanh(Tanh):
    """Raises a KeyboardInterrupt in the n-th forward pass over all instances."""

    calls = 0
    at_call = 7

    def forward(self, Z, A):
        type(self).calls += 1
        if self.calls == self.at_call:
            raise KeyboardInterrupt
        super().forward(Z, A)


@both
def test_keyboard_interrupt_in_lbfgs(make, data, monkeypatch):
    X, y = data()
    monkeypatch.setattr(InterruptedTanh, "calls", 0)
    estimator = make(optimizer="lbfgs", activation=InterruptedTanh(), max_iter=50, tol=1e-12)
    with pytest.warns(UserWarning, match="interrupted after [1-6] epochs") as caught:
        estimator.fit(X, y)
    assert len(caught) == 1
    assert 1 <= estimator.n_iter_ <= 6
    # The weights are those of the last complete iteration, not of a line search's trial.
    plain = make(optimizer="lbfgs", max_iter=estimator.n_iter_, tol=1e-12).fit(X, y)
    np.testing.assert_allclose(weights_of(estimator), weights_of(plain), rtol=1e-9)


DIVERGING = {"optimizer": "sgd", "activation": "relu", "learning_rate": 1e200, "max_iter": 20}
DIVERGED = r"non-finite in epoch \d+.*learning rate 1e\+200.*Try learning_rate=1e\+199 "


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("batch_size", [16, "full"])
def test_divergence_is_explained_and_leaves_no_trace(make, data, dtype, early_stopping, batch_size):
    X, y = data()
    estimator = make(**DIVERGING, dtype=dtype, early_stopping=early_stopping, batch_size=batch_size)
    before = state(estimator)
    with pytest.raises(ValueError, match=DIVERGED):
        estimator.fit(X, y)
    assert state(estimator) == before
    assert not hasattr(estimator, "network_")
    assert not hasattr(estimator, "n_features_in_")


@both
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("warm_start", [False, True])
def test_divergence_rolls_back_to_the_state_before_the_call(make, data, method, warm_start):
    X, y = data()
    settings = {"optimizer": SGD(momentum=0.9), "activation": "relu", "dropout": 0.2}
    estimator = make(**settings, warm_start=True).fit(X, y)
    untouched = copy.deepcopy(estimator)
    predicted = output(estimator, X)
    estimator.set_params(learning_rate=1e200, warm_start=warm_start)
    before = state(estimator)
    with pytest.raises(ValueError, match=DIVERGED):
        getattr(estimator, method)(X, y)
    assert state(estimator) == before
    np.testing.assert_array_equal(output(estimator, X), predicted)
    # Moments and random streams, too: training goes on as if nothing had happened.
    estimator.set_params(learning_rate=0.01, warm_start=True).fit(X, y)
    assert_same_weights(estimator, untouched.fit(X, y))
    assert estimator.loss_curve_ == untouched.loss_curve_


@both
def test_divergence_tells_the_epoch_over_all_calls(make, data):
    X, y = data()
    estimator = make(activation="relu", optimizer="sgd", max_iter=3, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="in epoch 4"):
        estimator.set_params(learning_rate=1e200).fit(X, y)


@dataclass
class FailingSGD(SGD):
    def _move(self, w, g, lr, state, *arrays):
        if state.t == 25:
            raise RuntimeError("failed in step 25")
        super()._move(w, g, lr, state, *arrays)


@both
def test_any_failure_leaves_no_trace(make, data):
    X, y = data()
    estimator = make(warm_start=True).fit(X, y)
    for optimizer in (FailingSGD(), FailingSGD(momentum=0.9)):
        estimator.set_params(optimizer=optimizer, max_iter=20)
        before = state(estimator)
        with pytest.raises(RuntimeError, match="failed in step 25"):
            estimator.fit(X, y)
        assert state(estimator) == before


@both
def test_a_warning_turned_into_an_error_leaves_no_trace(make, data):
    X, y = data()
    estimator = make(n_iter_no_change=10)
    before = state(estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(ConvergenceWarning):
            estimator.fit(X, y)
    assert state(estimator) == before


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


def test_a_subclass_may_have_fewer_parameters():
    class Small(ScratchMLPClassifier):
        def __init__(self, hidden_layer_sizes=(3,), *, max_iter=4, random_state=None):
            super().__init__(hidden_layer_sizes, max_iter=max_iter, random_state=random_state)

    X, y = iris()
    assert clone(Small(random_state=0)).fit(X, y).n_iter_ == 4


def test_history_is_not_shared_between_calls():
    X, y = iris()
    estimator = classifier(max_iter=2, warm_start=True).fit(X, y)
    before = estimator.history_
    estimator.fit(X, y)
    assert len(before["loss"]) == 2
    assert len(estimator.history_["loss"]) == 4


@both
def test_numpy_booleans_are_booleans(make, data):
    X, y = data()
    estimator = make(warm_start=np.True_, max_iter=2).fit(X, y).fit(X, y)
    assert len(estimator.loss_curve_) == 4
