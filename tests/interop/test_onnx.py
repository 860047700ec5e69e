import sys
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skscratch import ELU, LeakyReLU, Periodic, PiecewiseLinear, ScratchMLPClassifier
from skscratch import ScratchMLPRegressor as Regressor
from skscratch._fitting.settings import REGRESSOR_LOSSES
from skscratch._interop.onnx import register_onnx
from skscratch.inspection import HiddenLayerTransformer
from skscratch.nn.activations import ACTIVATIONS, Activation
from skscratch.nn.losses import SoftmaxLogLoss

from ..conftest import cancer, classifier, diabetes, iris, multilabel, regressor

onnxruntime = pytest.importorskip("onnxruntime")
skl2onnx = pytest.importorskip("skl2onnx")
types = pytest.importorskip("skl2onnx.common.data_types")

KINDS = {"binary": cancer, "multiclass": iris, "multilabel": multilabel}
kinds = pytest.mark.parametrize("data", KINDS.values(), ids=KINDS)
precisions = pytest.mark.parametrize(
    ("precision", "dtype", "tolerance"),
    [("float32", "float32", 1e-5), ("float32", "float64", 1e-5), ("float64", "float64", 1e-12)],
    ids=["single", "single-double", "double"],
)
"""Of the network and of X."""
inputs = pytest.mark.parametrize("dtype", ["float32", "float64"])


@pytest.fixture(autouse=True, scope="module")
def registered():
    register_onnx()


def convert(model, X, **options):
    graph = skl2onnx.to_onnx(model, X[:1], **options)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )

    def run(X):
        names = [item.name for item in session.get_inputs()]
        if isinstance(X, pd.DataFrame):
            columns = {name: X[[name]].to_numpy() for name in names}
            return session.run(None, columns)
        return session.run(None, {names[0]: X})

    return graph, run


def assert_same(model, X, tolerance=1e-5, **options):
    """Compare the outputs of ONNX Runtime with the model's own, and return its graph."""
    if hasattr(model, "classes_"):
        graph, run = convert(model, X, options={"zipmap": False}, **options)
        labels, P = run(X)
        wanted = model.predict_proba(X)
        assert_array_equal(labels, model.predict(X))
        assert_allclose(P, wanted, rtol=0, atol=tolerance)
    else:
        graph, run = convert(model, X, **options)
        (P,) = run(X)
        wanted = model.predict(X)
        assert P.shape == (len(X), 1 if wanted.ndim == 1 else wanted.shape[1])
        scale = np.abs(wanted).max()
        assert_allclose(P.reshape(wanted.shape), wanted, rtol=0, atol=tolerance * scale)
    assert P.dtype == (np.float64 if getattr(X, "dtype", None) == np.float64 else np.float32)
    return graph


def nodes(graph):
    return [node.op_type for node in graph.graph.node]


# --- Options ---------------------------------------------------------------------------------


@precisions
@pytest.mark.parametrize(
    "activation", [*ACTIVATIONS, ELU(alpha=0.3), LeakyReLU(0.2), LeakyReLU(1.5)], ids=str
)
def test_activations(activation, precision, dtype, tolerance):
    X, y = diabetes()
    X = (3 * X).astype(dtype)
    settings = {"hidden_layer_sizes": (8, 8), "activation": activation, "dtype": precision}
    model = regressor(**settings, max_iter=2).fit(X, y)
    assert_same(model, X, tolerance)
    X[::2] *= 100
    assert_same(model, X, tolerance)


def test_an_activation_for_each_layer():
    X, y = iris()
    model = classifier(hidden_layer_sizes=(8, 6, 4), activation=("relu", "mish", "gelu"))
    assert_same(model.fit(X, y), X)


@precisions
@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_normalizations(normalization, precision, dtype, tolerance):
    X, y = iris()
    X = X.astype(dtype)
    model = classifier(normalization=normalization, dtype=precision, max_iter=20).fit(X, y)
    assert_same(model, X, tolerance)


@kinds
@inputs
@pytest.mark.parametrize("loss", ["log_loss", "focal"])
def test_targets_and_losses_of_the_classifier(data, loss, dtype):
    X, y = data()
    X = X.astype(dtype)
    assert_same(classifier(loss=loss, label_smoothing=0.1).fit(X, y), X)


@kinds
def test_the_temperature_is_part_of_the_last_layer(data):
    X, y = data()
    model = classifier(calibrate=True, early_stopping=True, max_iter=30).fit(X, y)
    assert model.temperature_ != 1
    graph = assert_same(model, X, tolerance=1e-12)
    plain = assert_same(classifier().fit(X, y), X, tolerance=1e-12)
    assert nodes(graph) == nodes(plain)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("loss", REGRESSOR_LOSSES)
def test_losses_of_the_regressor(loss, standardize):
    X, y = diabetes()
    X = X.astype("f4")
    model = regressor(loss=loss, standardize_target=standardize).fit(X, y)
    graph = assert_same(model, X)
    assert ("Exp" in nodes(graph)) is (model.out_activation_ == "exp")


@inputs
def test_several_outputs(dtype):
    X, y = diabetes()
    X = X.astype(dtype)
    Y = np.column_stack([y, 1e4 + 100 * X[:, 0], -y])
    assert_same(regressor().fit(X, Y), X)


def test_a_far_target_keeps_its_digits_in_double():
    X, y = diabetes()
    model = regressor(dtype="float32").fit(X, 1e6 + y)
    _, run = convert(model, X)
    assert_allclose(run(X)[0][:, 0], model.predict(X), rtol=0, atol=1e-5 * y.std())


@precisions
def test_scaling_of_features(precision, dtype, tolerance):
    X, y = cancer()
    X = X.copy()
    X[:, 0] = X[:, 0] * 1e-3 + 50  # far from 0
    X[:, 1] = np.exp(5 * X[:, 1])  # outliers
    X[:, 2] = 7  # constant
    X = X.astype(dtype)
    model = classifier(feature_scaling="robust", dtype=precision).fit(X, y)
    assert_same(model, X, tolerance)
    X[:20] *= 1e30
    assert_same(model, X, tolerance)


@pytest.mark.parametrize("hidden", [(), (8,)])
def test_learned_scales_are_part_of_the_first_layer(hidden):
    X, y = iris()
    settings = {"hidden_layer_sizes": hidden, "learning_rate": 0.05}
    model = classifier(feature_scaling="learned", **settings).fit(X, y)
    assert np.abs(model.network_.dense[0].s - 1).max() > 0.1
    graph = assert_same(model, X, tolerance=1e-12)
    plain = classifier(feature_scaling="robust", **settings).fit(X, y)
    assert nodes(graph) == nodes(assert_same(plain, X))


@precisions
@pytest.mark.parametrize(("scaling", "hidden"), [("robust", (8,)), (None, ())])
@pytest.mark.parametrize(
    "embedding",
    [
        Periodic(n_frequencies=5, n_outputs=2, scale=0.1),
        PiecewiseLinear(n_bins=6, n_outputs=2),
    ],
    ids=["periodic", "piecewise_linear"],
)
def test_embeddings(embedding, hidden, scaling, precision, dtype, tolerance):
    X, y = diabetes()  # the second feature, the sex, has two values
    X = X.astype(dtype)
    model = regressor(
        hidden_layer_sizes=hidden,
        numerical_embedding=embedding,
        feature_scaling=scaling,
        dtype=precision,
        learning_rate=0.05,
    ).fit(X, y)
    assert_same(model, X, tolerance)


def test_an_embedding_of_indicators_alone_is_nothing():
    X, y = diabetes()
    X = (X > 0).astype(float)
    assert "Sin" not in nodes(assert_same(regressor(numerical_embedding="periodic").fit(X, y), X))


def test_dropout_is_absent():
    X, y = iris()
    graph = assert_same(classifier(dropout=0.5).fit(X, y), X, tolerance=1e-12)
    assert "Dropout" not in nodes(graph)


@pytest.mark.parametrize("n_rows", [0, 1, 3])
def test_any_number_of_rows(n_rows):
    X, y = diabetes()
    model = regressor(
        numerical_embedding="periodic", normalization="layer", feature_scaling="robust"
    ).fit(X, y)
    _, run = convert(model, X)
    (predicted,) = run(X[:n_rows])
    assert predicted.shape == (n_rows, 1)
    if n_rows:
        assert_allclose(predicted[:, 0], model.predict(X[:n_rows]), rtol=1e-9)


def test_integer_input():
    X, y = load_digits(return_X_y=True)
    X = X[:200].astype(np.int64)
    assert_same(classifier(feature_scaling="robust", dtype="float32").fit(X, y[:200]), X)


# --- Labels ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["setosa", "versicolor", "virginica"]),
        np.array(["a", "ü", "c"], dtype=object),
        np.array([-5, 2**40, 2**40 + 1]),
        np.array([1.0, 2.0, 5.0]),
        np.array([3, 4, 200], dtype=np.uint8),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_labels(labels):
    X, y = iris()
    assert_same(classifier(max_iter=20).fit(X, labels[y]), X)


def test_boolean_labels_become_integers():
    X, y = cancer()
    model = classifier().fit(X, y == 1)
    _, run = convert(model, X, options={"zipmap": False})
    labels, _ = run(X)
    assert labels.dtype == np.int64
    assert_array_equal(labels, model.predict(X))


def test_other_labels_are_refused():
    X, y = iris()
    model = classifier().fit(X, y)
    classes = np.array([0.5, 1.5, 2.5])
    model._trained.target = replace(model._trained.target, classes=classes)
    with pytest.raises(ValueError, match=r"integers or strings for ONNX, got \[0.5, 1.5, 2.5\]"):
        convert(model, X, options={"zipmap": False})


@inputs
def test_zipmap(dtype):
    X, y = iris()
    X = X.astype(dtype)
    model = classifier().fit(X, np.array(["a", "b", "c"])[y])
    graph, run = convert(model, X)
    assert [output.name for output in graph.graph.output] == ["output_label", "output_probability"]
    labels, rows = run(X)
    assert_array_equal(labels, model.predict(X))
    assert_allclose(pd.DataFrame(rows), model.predict_proba(X), rtol=0, atol=1e-5)
    assert list(rows[0]) == ["a", "b", "c"]


def test_the_other_options_of_classifiers():
    X, y = iris()
    model = classifier().fit(X, np.array(["a", "b", "c"])[y])
    P = model.predict_proba(X)
    _, run = convert(model, X, options={"zipmap": "columns"})
    labels, *columns = run(X)
    assert_array_equal(labels, model.predict(X))
    assert_allclose(np.stack(columns, axis=1), P, atol=1e-12)
    _, run = convert(model, X, options={"zipmap": False, "output_class_labels": True})
    assert_array_equal(run(X)[2], model.classes_)
    _, run = convert(model, X, options={"zipmap": False, "nocl": True})
    assert_array_equal(run(X)[0], P.argmax(axis=1))


# --- Inside other estimators -------------------------------------------------------------------


@inputs
def test_a_pipeline_with_our_defaults_on_digits(dtype):
    X, y = load_digits(return_X_y=True)
    X = X.astype(dtype)
    model = make_pipeline(StandardScaler(), ScratchMLPClassifier((32,), max_iter=3, random_state=0))
    assert_same(model.fit(X, y), X)


@inputs
def test_a_pipeline_with_our_defaults_on_diabetes(dtype):
    X, y = load_diabetes(return_X_y=True)
    X = X.astype(dtype)
    model = make_pipeline(StandardScaler(), Regressor((32,), max_iter=3, random_state=0))
    assert_same(model.fit(X, y), X)


def test_a_column_transformer_of_strings_and_numbers():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "color": rng.choice(["red", "green", "blue"], 120),
            "size": rng.normal(size=120).astype("f4"),
            "weight": rng.lognormal(size=120).astype("f4"),
        }
    )
    y = np.where(X["color"] == "red", "hot", np.where(X["size"] > 0, "big", "small"))
    prepare = ColumnTransformer(
        [
            ("category", OneHotEncoder(sparse_output=False), ["color"]),
            ("number", StandardScaler(), ["size", "weight"]),
        ]
    )
    model = make_pipeline(prepare, classifier(feature_scaling="robust", max_iter=20)).fit(X, y)
    assert_same(model, X)


def test_a_search():
    X, y = iris()
    search = GridSearchCV(classifier(), {"activation": ["relu", "selu"]}, cv=2).fit(X, y)
    assert_same(search, X)


@inputs
@pytest.mark.parametrize("data", [iris, cancer], ids=["multiclass", "binary"])
@pytest.mark.parametrize(
    "outer",
    [
        BaggingClassifier(n_estimators=2, random_state=0),
        BaggingClassifier(n_estimators=2, max_features=0.5, random_state=0),
        CalibratedClassifierCV(cv=2),
        OneVsRestClassifier(classifier()),
    ],
    ids=["bagging", "bagging of subsets", "calibrated", "one-vs-rest"],
)
def test_ensembles(outer, data, dtype):
    X, y = data()
    model = clone(outer).set_params(estimator=classifier(max_iter=10))
    assert_same(model.fit(X, y), X.astype(dtype), tolerance=1e-5 if dtype == "float32" else 1e-12)


def some_columns(make, outer=BaggingClassifier):
    """Return an ensemble whose members see some of the columns, or all in another order."""
    settings = {"max_features": 0.75, "bootstrap_features": True, "random_state": 0}
    return outer(make(max_iter=10), 2, **settings)


@inputs
@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(SelectKBest(k=2), classifier(max_iter=10)),
        make_pipeline(StandardScaler(), some_columns(classifier)),
        CalibratedClassifierCV(some_columns(classifier), cv=2),
        VotingClassifier(
            [("mlp", classifier(max_iter=10)), ("bag", some_columns(classifier))],
            voting="soft",
            flatten_transform=False,
        ),
        StackingClassifier(
            [("mlp", some_columns(classifier)), ("linear", LogisticRegression())],
            classifier(max_iter=10),
            cv=2,
            passthrough=True,
        ),
        GridSearchCV(some_columns(classifier), {"n_estimators": [2]}, cv=2),
    ],
    ids=["selection", "pipeline", "calibrated", "voting", "stacking", "search"],
)
def test_classifiers_of_some_columns(model, dtype):
    X, y = iris()
    X = X.astype(dtype)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    assert_same(clone(model).fit(X, y), X, tolerance)


@inputs
@pytest.mark.parametrize(
    "model",
    [
        some_columns(regressor, BaggingRegressor),
        VotingRegressor([("mlp", regressor()), ("bag", some_columns(regressor, BaggingRegressor))]),
        StackingRegressor(
            [("bag", some_columns(regressor, BaggingRegressor)), ("linear", Ridge())],
            regressor(),
            cv=2,
            passthrough=True,
        ),
    ],
    ids=["bagging", "voting", "stacking"],
)
def test_regressors_of_some_columns(model, dtype):
    X, y = diabetes()
    X = X.astype(dtype)
    assert_same(clone(model).fit(X, y), X, tolerance=1e-5 if dtype == "float32" else 1e-12)


def test_an_ensemble_for_each_target():
    X, y = diabetes()
    Y = np.column_stack([y, X[:, 0]])
    model = MultiOutputRegressor(some_columns(regressor, BaggingRegressor)).fit(X, Y)
    assert_same(model, X, tolerance=1e-12)
    upper = (np.median(Y, axis=0) < Y).astype(int)
    model = MultiOutputClassifier(some_columns(classifier)).fit(X, upper)
    _, run = convert(model, X, options={"zipmap": False})
    labels, P = run(X)
    assert_array_equal(labels, model.predict(X))
    assert_allclose(P, np.stack(model.predict_proba(X)), rtol=0, atol=1e-12)


# --- Hidden layers as features -----------------------------------------------------------------


@precisions
@pytest.mark.parametrize("layer", [0, 1])
def test_a_hidden_layer(layer, precision, dtype, tolerance):
    X, y = iris()
    X = X.astype(dtype)
    clf = classifier(
        hidden_layer_sizes=(6, 3),
        activation=("tanh", "selu"),
        normalization="batch",
        feature_scaling="robust",
        dropout=0.2,
        dtype=precision,
    )
    for estimator in (clf, FrozenEstimator(clone(clf).fit(X, y))):
        hidden = HiddenLayerTransformer(estimator, layer=layer).fit(X, y)
        _, run = convert(hidden, X)
        (A,) = run(X)
        wanted = hidden.transform(X)
        assert A.dtype == dtype
        assert A.shape == wanted.shape
        assert_allclose(A, wanted, rtol=0, atol=10 * tolerance * np.abs(wanted).max())


@inputs
def test_a_hidden_layer_in_pipelines(dtype):
    X, y = cancer()
    X = X.astype(dtype)
    hidden = HiddenLayerTransformer(classifier(max_iter=10))
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for first in (hidden, make_union(StandardScaler(), hidden)):
        for last in (LogisticRegression(), some_columns(classifier)):
            assert_same(make_pipeline(first, last).fit(X, y), X, tolerance)


def test_a_hidden_layer_is_refused_what_its_network_is():
    X, y = iris()
    hidden = HiddenLayerTransformer(classifier(max_iter=1))
    with pytest.raises(NotFittedError, match="HiddenLayerTransformer"):
        convert(hidden, X)
    hidden.fit(X, y)
    with pytest.raises(ValueError, match=r"from 4 features, and .* Give .* the shape \[None, 4\]"):
        convert(hidden, X[:, :3])
    with pytest.raises(ValueError, match="too low for this HiddenLayerTransformer"):
        convert(hidden, X, target_opset=12)


@kinds
def test_raw_scores_are_the_logits(data):
    X, y = data()
    model = classifier(calibrate=True, early_stopping=True, max_iter=10).fit(X, y)
    _, run = convert(model, X, options={"zipmap": False, "raw_scores": True})
    Z = model.decision_function(X)
    wanted = np.column_stack([-Z, Z]) if Z.ndim == 1 else Z
    assert_allclose(run(X)[1], wanted, rtol=1e-10, atol=1e-12)


# --- What cannot be converted ------------------------------------------------------------------


@dataclass
class Cube(Activation):
    def forward(self, Z, A):
        np.power(Z, 3, out=A)

    def backward(self, dA, Z, A):
        dA *= 3 * Z**2


@dataclass
class Sparsemax(SoftmaxLogLoss):
    out_activation = "sparsemax"


def test_an_activation_of_your_own_is_refused():
    X, y = iris()
    model = classifier(activation=Cube()).fit(X, y)
    with pytest.raises(ValueError, match=r"activation Cube\(\) has no ONNX form here.*ELU, GELU"):
        convert(model, X)


def test_a_link_of_your_own_is_refused():
    X, y = iris()
    model = classifier(loss=Sparsemax()).fit(X, y)
    with pytest.raises(ValueError, match=r"'sparsemax' of loss=Sparsemax\(\) has no ONNX form"):
        convert(model, X)


@pytest.mark.parametrize(("normalization", "needed"), [(None, 13), ("batch", 13), ("layer", 17)])
def test_the_lowest_opset(normalization, needed):
    X, y = diabetes()
    model = regressor(
        normalization=normalization,
        feature_scaling="robust",
        numerical_embedding="piecewise_linear",
    ).fit(X, y)
    assert_same(model, X, target_opset=needed)
    with pytest.raises(ValueError, match=f"target_opset={needed - 1} is too low .* {needed}"):
        convert(model, X, target_opset=needed - 1)


@pytest.mark.parametrize("shape", [[None, 5], [None, 3], [None]])
def test_another_number_of_columns_is_refused(shape):
    clf = classifier(max_iter=1).fit(*iris())
    with pytest.raises(ValueError, match=r"from 4 features, and .* Give .* the shape \[None, 4\]"):
        skl2onnx.to_onnx(clf, initial_types=[("input", types.FloatTensorType(shape))])


def test_what_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError, match="ScratchMLPRegressor"):
        convert(regressor(), diabetes()[0])


def test_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r'pip install "skscratch\[onnx\]"'):
        register_onnx()
