"""Embeddings of numerical features in the estimators: their bins, and what the fit does with them.

`tests/nn/test_embeddings.py` has the layers.
"""

import copy
import pickle
import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils import get_tags

from skscratch import Periodic, PiecewiseLinear
from skscratch._fitting.scaling import MOST_ROWS, RobustSmoothClip, find_bins
from skscratch.callbacks import Checkpoint
from skscratch.nn import EMBEDDINGS

from ..conftest import BOTH, classifier, diabetes, iris, regressor

both = pytest.mark.parametrize(("make", "data"), BOTH)
embeddings = pytest.mark.parametrize("name", EMBEDDINGS)


def output(estimator, X):
    return (
        estimator.decision_function(X) if hasattr(estimator, "classes_") else estimator.predict(X)
    )


def mapped(path, X):
    on_disk = np.memmap(path, dtype=X.dtype, mode="w+", shape=X.shape)
    on_disk[...] = X
    return np.memmap(path, dtype=X.dtype, mode="r", shape=X.shape)


# Bins -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_bins", [2, 3, 16])
def test_bins_hold_equal_shares(weighted, n_bins):
    rng = np.random.default_rng(0)
    X = np.exp(rng.standard_normal((301, 2)))
    weights = rng.integers(0, 4, 301).astype(float) if weighted else None
    counted = X if weights is None else X[weights > 0]
    shares = np.arange(n_bins + 1) / n_bins
    for column, edges in enumerate(find_bins(X, weights, n_bins)):
        wanted = np.quantile(X[:, column], shares, weights=weights, method="inverted_cdf")
        wanted[0] = counted[:, column].min()
        assert_array_equal(edges, wanted)


def test_few_values_are_edges_each_and_fewer_than_three_are_none():
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.integers(0, n, 200) ** 2 for n in (1, 2, 3, 5, 6, 9)])
    found = find_bins(X, None, 5)
    assert [edges.tolist() for edges in found[:5]] == [
        [], [], [0, 1, 4], [0, 1, 4, 9, 16], [0, 1, 4, 9, 16, 25],
    ]  # fmt: skip
    assert len(found[5]) <= 6


def test_a_value_that_most_rows_have_is_one_edge():
    column = np.concatenate([np.zeros(900), np.arange(1, 101)])[:, np.newaxis]
    assert find_bins(column, None, 10)[0].tolist() == [0, 100]
    assert find_bins(column, None, 20)[0].tolist() == [0, 50, 100]


@pytest.mark.parametrize("n_bins", [7, 10, 25])  # 7 / 25 * 100 is more than 28 in floating point
def test_integer_weights_are_repetitions_and_the_order_of_rows_does_not_matter(n_bins):
    rng = np.random.default_rng(2)
    X, counts = rng.standard_normal((70, 3)), np.repeat([0, 1, 2, 3], [10, 30, 20, 10])
    weighted = find_bins(X, counts.astype(float), n_bins)
    shuffled = rng.permutation(np.repeat(X, counts, axis=0))
    assert len(shuffled) == 100
    for edges, others in zip(weighted, find_bins(shuffled, None, n_bins), strict=True):
        assert_array_equal(edges, others)


def test_bins_are_of_the_networks_inputs():
    X = np.random.default_rng(3).standard_normal((90, 2)) * 1000
    scaler = RobustSmoothClip().fit(X)
    scaled = find_bins(X, None, 6, scaler.transform)
    for column, edges in enumerate(find_bins(X, None, 6)):
        matrix = np.zeros((len(edges), 2))
        matrix[:, column] = edges
        assert_allclose(scaled[column], scaler.transform(matrix)[:, column], rtol=1e-14)


@pytest.mark.parametrize("weighted", [False, True])
def test_of_many_rows_some_are_drawn(weighted, tmp_path):
    rng = np.random.default_rng(4)
    X = rng.standard_normal((3 * MOST_ROWS, 2)).astype(np.float32)
    weights = rng.uniform(0.5, 1.5, len(X)) if weighted else None
    read = []

    def prepare(rows):
        read.append(len(rows))
        return np.asarray(rows, np.float64)

    found = find_bins(mapped(tmp_path / "X", X), weights, 4, prepare)
    assert read == [MOST_ROWS]
    for edges in found:  # four standard errors of a quartile of a normal sample
        assert_allclose(edges[1:-1], [-0.674, 0, 0.674], atol=4 * 1.4 / np.sqrt(MOST_ROWS))


# In the estimators ----------------------------------------------------------------------------


def test_indicators_are_left_alone():
    rng = np.random.default_rng(5)
    X = np.column_stack([rng.standard_normal((60, 2)), rng.integers(0, 2, 60), np.ones(60)])
    y = X[:, 0] + X[:, 2]
    reg = regressor(numerical_embedding=Periodic(n_outputs=5), feature_scaling="robust").fit(X, y)
    assert reg.coefs_[0].shape == (4 + 2 * 5, 8)
    assert [len(edges) > 0 for edges in reg.network_.architecture.edges] == [
        True,
        True,
        False,
        False,
    ]
    assert reg.n_features_in_ == 4
    reg = regressor(numerical_embedding=PiecewiseLinear(n_bins=5)).fit(X, y)
    assert reg.coefs_[0].shape == (4 + 2 * 3, 8)


@pytest.mark.parametrize(
    ("name", "function"),
    [("piecewise_linear", lambda x: np.abs(x - 0.3)), ("periodic", lambda x: np.sin(3 * x))],
)
def test_a_linear_model_learns_what_bends(name, function):
    X = np.random.default_rng(6).uniform(-2, 2, (500, 2))
    y = function(X[:, 0]) + X[:, 1]
    settings = {"hidden_layer_sizes": (), "optimizer": "lbfgs", "l2": 1e-4, "max_iter": 500}
    plain = regressor(**settings).fit(X, y)
    bent = regressor(**settings, numerical_embedding=name).fit(X, y)
    assert plain.score(X, y) < 0.9
    assert bent.score(X, y) > 0.99


@both
@embeddings
def test_a_copy_predicts_the_same(make, data, name):
    X, y = data()
    estimator = make(numerical_embedding=name, feature_scaling="robust").fit(X, y)
    wanted = output(estimator, X)
    for duplicate in (copy.deepcopy(estimator), pickle.loads(pickle.dumps(estimator))):
        assert_array_equal(output(duplicate, X), wanted)
    assert_array_equal(output(clone(estimator).fit(X, y), X), wanted)
    assert_allclose(output(estimator, X[7:9]), wanted[7:9], rtol=1e-10, atol=1e-12)


@both
@embeddings
def test_integer_weights_are_repetitions(make, data, name):
    X, y = data()
    X, y = X[:, :4], y
    counts = np.random.default_rng(7).integers(0, 3, len(X))
    make_full = {"numerical_embedding": name, "batch_size": "full", "feature_scaling": "robust"}
    weighted = make(**make_full).fit(X, y, sample_weight=counts)
    repeated = make(**make_full).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    assert_allclose(output(weighted, X), output(repeated, X), rtol=1e-7, atol=1e-9)


@both
@embeddings
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_memory_map_trains_to_the_same(make, data, name, dtype, tmp_path):
    X, y = data()
    estimator = make(numerical_embedding=name, feature_scaling="robust", dtype=dtype)
    wanted = output(clone(estimator).fit(X, y), X)
    X_on_disk = mapped(tmp_path / "X", X)
    assert_allclose(output(estimator.fit(X_on_disk, y), X_on_disk), wanted, rtol=1e-5, atol=1e-6)


@both
@embeddings
@pytest.mark.parametrize(
    "params", [{}, {"feature_scaling": "learned"}, {"feature_scaling": "robust"}]
)
def test_going_on_keeps_the_bins(make, data, name, params):
    X, y = data()
    warm = make(numerical_embedding=name, max_iter=2, warm_start=True, **params).fit(X, y)
    edges = [found.copy() for found in warm.network_.architecture.edges]
    warm.fit(X, y)
    whole = make(numerical_embedding=name, max_iter=4, **params).fit(X, y)
    assert_array_equal(warm.network_.parameters.vector, whole.network_.parameters.vector)
    warm.fit(X + 1, y)
    warm.partial_fit(X * 2, y)
    for found, before in zip(warm.network_.architecture.edges, edges, strict=True):
        assert_array_equal(found, before)


@both
@pytest.mark.parametrize(
    ("first", "then"),
    [
        (None, "periodic"),
        ("periodic", None),
        ("periodic", "piecewise_linear"),
        ("periodic", Periodic(scale=0.2)),
    ],
)
def test_another_embedding_cannot_go_on(make, data, first, then):
    X, y = data()
    estimator = make(numerical_embedding=first, warm_start=True).fit(X, y)
    before = output(estimator, X)
    estimator.set_params(numerical_embedding=then)
    for method in (estimator.fit, estimator.partial_fit):
        with pytest.raises(ValueError, match=r"numerical_embedding=.* differs .*warm_start"):
            method(X, y)
    assert_array_equal(output(estimator, X), before)
    estimator.set_params(warm_start=False).fit(X, y)


def test_the_name_and_its_object_go_on_alike():
    X, y = iris()
    estimator = classifier(numerical_embedding="periodic", warm_start=True).fit(X, y)
    estimator.set_params(numerical_embedding=Periodic()).fit(X, y)
    assert len(estimator.loss_curve_) == 10


@both
@embeddings
def test_a_checkpoint_resumes_to_the_same_weights(make, data, name, tmp_path):
    X, y = data()

    class Killed(Checkpoint):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            super().on_fit_task_end(estimator, context, fitted_estimator=fitted_estimator)
            if context.task_name == "epoch" and context.task_id == 2:
                raise RuntimeError("killed")

    whole = make(numerical_embedding=name).fit(X, y)
    path = tmp_path / "run"
    with pytest.raises(RuntimeError, match="killed"):
        make(numerical_embedding=name).set_callbacks(Killed(path)).fit(X, y)
    resumed = make(numerical_embedding=name).set_callbacks(Checkpoint(path, resume=True)).fit(X, y)
    assert_array_equal(resumed.network_.parameters.vector, whole.network_.parameters.vector)


@both
@embeddings
def test_sparse_data_are_refused(make, data, name):
    X, y = data()
    estimator = make(numerical_embedding=name)
    assert not get_tags(estimator).input_tags.sparse
    assert get_tags(make()).input_tags.sparse
    words = "numerical_embedding=.*does not go with sparse X.*toarray"
    with pytest.raises(TypeError, match=words):
        estimator.fit(sparse.csr_array(X), y)
    with pytest.raises(NotFittedError):
        estimator.predict(X)
    with pytest.raises(ValueError, match=words):
        estimator.fit(X, y, X_val=sparse.csr_matrix(X), y_val=y)
    estimator.fit(X, y).set_params(numerical_embedding=None)  # too late
    with pytest.raises(TypeError, match=words):
        estimator.predict(sparse.csc_array(X))


def test_parameters_can_be_searched():
    X, y = diabetes()
    grid = {"numerical_embedding__n_bins": [2, 5], "numerical_embedding": [PiecewiseLinear()]}
    search = GridSearchCV(regressor(), grid, cv=2).fit(X, y)
    n_bins = search.best_params_["numerical_embedding__n_bins"]
    assert search.best_estimator_.network_.architecture.embedding == PiecewiseLinear(n_bins=n_bins)
    grid = {"numerical_embedding": [None, *EMBEDDINGS]}
    assert len(GridSearchCV(regressor(), grid, cv=2).fit(X, y).cv_results_["params"]) == 3


@pytest.mark.parametrize("value", [None, "periodic"])
def test_a_name_has_no_parameters_and_the_error_says_what_has(value):
    with pytest.raises(ValueError, match=re.escape("Periodic(scale=...)")):
        classifier(numerical_embedding=value).set_params(numerical_embedding__scale=1.0)


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ("periodc", ValueError, "Unknown numerical_embedding 'periodc'. Did you mean 'periodic'"),
        (True, TypeError, "numerical_embedding must be a name"),
        (Periodic, TypeError, "got the class Periodic; call it"),
        (Periodic(n_frequencies=0), ValueError, "Periodic(n_frequencies=...)"),
        (Periodic(n_outputs=1.5), TypeError, "Periodic(n_outputs=...)"),
        (Periodic(scale=0), ValueError, "Periodic(scale=...)"),
        (PiecewiseLinear(n_bins=1), ValueError, "must be an integer >= 2, got 1"),
        (PiecewiseLinear(n_outputs=0), ValueError, "PiecewiseLinear(n_outputs=...)"),
    ],
)
def test_bad_values(value, error, words):
    X, y = iris()
    with pytest.raises(error, match=re.escape(words)):
        classifier(numerical_embedding=value).fit(X, y)


@embeddings
def test_other_settings_go_with_it(name):
    X, y = iris()
    for params in (
        {"normalization": "batch", "dropout": 0.2},
        {"optimizer": "lbfgs"},
        {"optimizer": "sgd", "hidden_layer_sizes": (6, 4)},
        {"feature_scaling": "learned", "dtype": "float32"},
        {"early_stopping": True, "calibrate": True, "feature_scaling": "robust"},
    ):
        clf = classifier(numerical_embedding=name, **{"max_iter": 30, **params}).fit(X, y)
        assert clf.score(X, y) > 0.8, params
