"""Several networks: as one of scikit-learn's, as a graph of ONNX, and in files."""

import copy
import io
import pickle
from itertools import pairwise

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skscratch import LBFGS, ScratchMLPClassifier, ScratchMLPRegressor, from_sklearn
from skscratch._interop.onnx import register_onnx
from skscratch._interop.skops import trusted_types
from skscratch.inspection import HiddenLayerTransformer

from ..conftest import BOTH, classifier, iris, output, regressor, state
from .checks import DATA, assert_same_predictions, counts, each_target, needs_poisson, ours

K = 3
both = pytest.mark.parametrize(("make", "data"), BOTH)


def fitted(target, **params):
    return ours(target, n_networks=K, **params).fit(*DATA[target]())


# To scikit-learn ------------------------------------------------------------------------------


@each_target
@pytest.mark.parametrize("hidden", [(), (7,), (7, 5), (7, 5, 6)], ids=str)
def test_scikit_learn_has_them_as_one(target, hidden):
    X, y = DATA[target]()
    est = fitted(target, hidden_layer_sizes=hidden)
    before = state(est)
    mlp = est.to_sklearn()
    assert mlp.hidden_layer_sizes == tuple(K * n for n in hidden)
    sizes = [X.shape[1], *mlp.hidden_layer_sizes, est.n_outputs_]
    assert [W.shape for W in mlp.coefs_] == list(pairwise(sizes))
    assert [b.shape for b in mlp.intercepts_] == [(n,) for n in sizes[1:]]
    assert_same_predictions(mlp, est, X)
    assert_same_predictions(from_sklearn(mlp), est, X)
    assert_same_predictions(pickle.loads(pickle.dumps(mlp)), est, X)
    mlp.partial_fit(X, y)
    mlp.set_params(warm_start=True, max_iter=2).fit(X, y)
    assert state(est) == before


def test_between_the_networks_there_are_zeros():
    est = fitted("multiclass", hidden_layer_sizes=(4, 2))
    W = est.to_sklearn().coefs_
    for k in range(K):
        block = (slice(4 * k, 4 * k + 4), slice(2 * k, 2 * k + 2))
        assert_array_equal(W[0][:, 4 * k : 4 * k + 4], est.coefs_[0][k])
        assert_array_equal(W[1][block], est.coefs_[1][k])
        W[1][block] = 0
        assert_allclose(W[2][2 * k : 2 * k + 2], est.coefs_[2][k] / K)
    assert not W[1].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel"])
def test_a_temperature_goes_along(target, dtype):
    X, _ = DATA[target]()
    est = fitted(target, calibrate=True, dtype=dtype)
    assert est.temperature_ != 1
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    assert_same_predictions(est.to_sklearn(), est, X, atol=tolerance)


@needs_poisson
def test_a_log_link_goes_along():
    X, y = counts()
    est = regressor(n_networks=K, loss="poisson").fit(X, y)
    mlp = est.to_sklearn()
    assert mlp.loss == "poisson"
    assert_allclose(mlp.predict(X), est.predict(X), rtol=1e-12)


@each_target
def test_lbfgs_goes_along(target):
    X, _ = DATA[target]()
    est = fitted(target, optimizer=LBFGS(), max_iter=10)
    assert_same_predictions(est.to_sklearn(), est, X)


def test_moments_do_not_go_along():
    X, y = DATA["multiclass"]()
    est = fitted("multiclass")
    mlp = est.to_sklearn()
    assert not hasattr(mlp, "_optimizer")
    assert est.loss_curve_ == mlp.loss_curve_
    assert est.validation_scores_ == mlp.validation_scores_
    mlp.partial_fit(X, y)
    assert mlp.loss_curve_[-1] < mlp.loss_curve_[0]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"feature_scaling": "robust"}, "feature_scaling='robust'"),
        ({"feature_scaling": "learned"}, "feature_scaling='learned'"),
        ({"normalization": "layer"}, "normalization='layer'"),
        ({"numerical_embedding": "periodic"}, "numerical_embedding="),
        ({"activation": "gelu"}, "activation='gelu'"),
    ],
    ids=str,
)
def test_what_stands_in_the_way_of_one_does_of_several(params, words):
    with pytest.raises(ValueError, match=f"has nothing like {words}") as caught:
        fitted("multiclass", **params).to_sklearn()
    assert "n_networks" not in str(caught.value)


@pytest.mark.parametrize("n_networks", [3, "auto"])
@pytest.mark.parametrize("target", ["multiclass", "regression"])
def test_unfitted_there_has_to_be_one(target, n_networks):
    plain = {"standardize_target": False} if target == "regression" else {}
    with pytest.raises(ValueError, match=f"has nothing like n_networks={n_networks!r}"):
        ours(target, n_networks=n_networks, **plain).to_sklearn()
    ours(target, n_networks=1, n_jobs=2, **plain).to_sklearn()


def test_from_scikit_learn_comes_one():
    X, y = iris()
    mlp = MLPClassifier((8,), max_iter=3, random_state=0)
    assert from_sklearn(mlp).n_networks == 1
    with pytest.warns(ConvergenceWarning):
        mlp.fit(X, y)
    assert from_sklearn(mlp).network_.stack == ()


def test_defaults_are_converted():
    X, y = iris()
    params = {"feature_scaling": None, "activation": "relu", "dtype": "float64"}
    est = ScratchMLPClassifier(**params, random_state=0).fit(X, y)
    assert est.network_.stack == (est.plan_.n_networks,)
    assert_same_predictions(est.to_sklearn(), est, X)


# ONNX -----------------------------------------------------------------------------------------


@pytest.fixture
def run():
    onnxruntime = pytest.importorskip("onnxruntime")
    skl2onnx = pytest.importorskip("skl2onnx")
    register_onnx()

    def convert_and_run(model, X, **options):
        graph = skl2onnx.to_onnx(model, X[:1], **options).SerializeToString()
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: X})

    return convert_and_run


FEATURES = {
    "plain": {},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "deep": {"hidden_layer_sizes": (7, 5, 6), "activation": ["selu", "gelu", "mish"]},
    "robust": {"feature_scaling": "robust"},
    "learned scales": {"feature_scaling": "learned"},
    "batch norm": {"normalization": "batch"},
    "layer norm": {"normalization": "layer"},
    "periodic": {"numerical_embedding": "periodic"},
    "piecewise linear": {"numerical_embedding": "piecewise_linear"},
    "everything": {
        "hidden_layer_sizes": (7, 5),
        "feature_scaling": "learned",
        "normalization": "layer",
        "numerical_embedding": "periodic",
        "dropout": 0.1,
    },
}
features = pytest.mark.parametrize("params", FEATURES.values(), ids=FEATURES)
precisions = pytest.mark.parametrize(
    ("precision", "dtype", "tolerance"),
    [("float32", "float32", 1e-5), ("float32", "float64", 1e-5), ("float64", "float64", 1e-12)],
    ids=["single", "single-double", "double"],
)


@features
@precisions
@pytest.mark.parametrize("target", ["multiclass", "multioutput"])
def test_onnx_computes_the_same(run, target, params, precision, dtype, tolerance):
    X, y = DATA[target]()
    X = X.astype(dtype)
    est = ours(target, n_networks=K, dtype=precision, max_iter=10, **params).fit(X, y)
    for rows in (X, X[:1]):
        if target == "multioutput":
            (found,) = run(est, rows)
            wanted = est.predict(rows)
            assert_allclose(found, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())
        else:
            labels, P = run(est, rows, options={"zipmap": False})
            assert_array_equal(labels, est.predict(rows))
            assert_allclose(P, est.predict_proba(rows), rtol=0, atol=tolerance)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel"])
def test_onnx_of_classes_and_temperatures(run, target, raw):
    X, _ = DATA[target]()
    est = fitted(target, calibrate=True)
    assert est.temperature_ != 1
    labels, found = run(est, X, options={"zipmap": False, "raw_scores": raw})
    assert_array_equal(labels, est.predict(X))
    if not raw:
        assert_allclose(found, est.predict_proba(X), atol=1e-12)
        return
    Z = est.decision_function(X)
    assert_allclose(found, np.column_stack([-Z, Z]) if Z.ndim == 1 else Z, atol=1e-11)


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "quantile"])
def test_onnx_of_links(run, loss):
    X, y = DATA["regression"]()
    est = regressor(n_networks=K, loss=loss).fit(X, y)
    (found,) = run(est, X)
    assert_allclose(found[:, 0], est.predict(X), rtol=1e-11)


@pytest.mark.parametrize("name", [name for name in FEATURES if name != "no hidden layer"])
@both
def test_onnx_of_a_hidden_layer(run, make, data, name):
    X, y = data()
    est = make(n_networks=K, **FEATURES[name]).fit(X, y)
    for k in (0, 2):
        hidden = HiddenLayerTransformer(FrozenEstimator(est), member=k).fit(X)
        (found,) = run(hidden, X)
        assert_allclose(found, hidden.transform(X), rtol=0, atol=1e-11)


def test_onnx_of_a_pipeline_at_defaults(run):
    X, y = iris()
    X = X.astype(np.float32)
    model = make_pipeline(StandardScaler(), ScratchMLPClassifier(random_state=0)).fit(X, y)
    _, P = run(model, X, options={"zipmap": False})
    assert_allclose(P, model.predict_proba(X), atol=1e-5)


# Files and copies -----------------------------------------------------------------------------


def through_pickle(model):
    return pickle.loads(pickle.dumps(model))


def through_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    return joblib.load(io.BytesIO(file.getvalue()))


def through_skops(model):
    skops = pytest.importorskip("skops.io")
    return skops.loads(skops.dumps(model), trusted=trusted_types())


WAYS = [through_pickle, through_joblib, through_skops, copy.copy, copy.deepcopy]
ways = pytest.mark.parametrize("way", WAYS)
VARIETIES = {
    "plain": {},
    "groups": {"batch_size": 100},  # folds of 37 and 38 rows, of which 100 or more are left
    "batch norm": {"normalization": "batch", "feature_scaling": "learned"},
    "piecewise": {"numerical_embedding": "piecewise_linear", "optimizer": "nadam"},
    "early stopping": {"early_stopping": True, "dropout": 0.2, "dtype": "float32"},
    "lbfgs": {"optimizer": "lbfgs"},
}
varieties = pytest.mark.parametrize("params", VARIETIES.values(), ids=VARIETIES)


def assert_alike(model, other, X):
    assert_array_equal(output(other, X), output(model, X))
    assert other.network_.stack == model.network_.stack
    assert other.history_["loss"] == model.history_["loss"]
    assert str(other.plan_.why) == str(model.plan_.why)
    for k in range(K):
        assert_array_equal(other._fitted.member(k).network.predict(X), model.network_.predict(X)[k])
    learners = other._fitted.learners
    assert all(
        np.shares_memory(each.network.vectors[0], other.network_.vectors[0]) for each in learners
    )


@ways
@varieties
@both
def test_several_come_back(make, data, params, way):
    X, y = data()
    model = make(n_networks=K, **params).fit(X, y)
    before = state(model)
    other = way(model)
    assert_alike(model, other, X)
    assert other.oof_score_ == model.oof_score_
    name = "oof_decision_function_" if make is classifier else "oof_prediction_"
    assert_array_equal(getattr(other, name), getattr(model, name))
    assert state(model) == before


@ways
@varieties
@both
def test_several_go_on_bitwise(make, data, params, way):
    X, y = data()
    model = make(n_networks=K, warm_start=True, **params).fit(X, y)
    other = way(model)
    model.fit(X, y)
    other.fit(X, y)
    assert_alike(model, other, X)


@ways
@both
def test_a_series_of_several_goes_on_bitwise(make, data, way):
    X, y = data()
    model = make(n_networks=K)
    known = {"classes": np.unique(y)} if make is classifier else {}
    model.partial_fit(X, y, **known).partial_fit(X, y)
    other = way(model)
    model.partial_fit(X, y)
    other.partial_fit(X, y)
    assert_alike(model, other, X)


@pytest.mark.parametrize("estimator", [ScratchMLPClassifier, ScratchMLPRegressor])
def test_all_types_of_a_default_fit_are_trusted(estimator):
    skops = pytest.importorskip("skops.io")
    X, y = iris()
    data = skops.dumps(estimator(random_state=0, max_iter=3).fit(X, y))
    assert set(skops.get_untrusted_types(data=data)) <= set(trusted_types())


@both
def test_a_file_takes_what_the_parameters_take(make, data):
    X, y = data()
    model = make(n_networks=K, hidden_layer_sizes=(100, 100)).fit(X, y)
    parameters = model.network_.parameters.vector.nbytes
    assert parameters < len(pickle.dumps(model)) < parameters + 25_000
