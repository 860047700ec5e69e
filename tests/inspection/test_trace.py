import copy
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPRegressor

from skscratch import Periodic, PiecewiseLinear, ScratchMLPClassifier, from_sklearn
from skscratch.inspection import trace
from skscratch.inspection._passes import one_network, run_passes
from skscratch.inspection._trace import _LOSSES
from skscratch.nn import (
    OPTIMIZERS,
    SGD,
    Adam,
    AdamW,
    Architecture,
    Batch,
    HeNormal,
    Learner,
    Network,
    SoftmaxLogLoss,
    train_step,
)
from skscratch.nn.activations import Tanh
from skscratch.nn.losses import LOSSES
from skscratch.nn.optimizers import Optimizer
from skscratch.nn.scaled_dense import ScaledDense

from ..conftest import BOTH, cancer, classifier, diabetes, iris, multilabel, regressor, state

SMALL = {"hidden_layer_sizes": (6, 5), "max_iter": 3}
FULL = {"feature_scaling": "learned"}


def names(traced):
    return [step.name for step in traced.steps]


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_the_numbers_obey_the_equations(normalization, as_sparse):
    X, y = iris()
    params = {"activation": "leaky_relu", "normalization": normalization, "label_smoothing": 0.3}
    weights = {0: 1.0, 1: 2.0, 2: 0.5}
    clf = classifier(**SMALL, **FULL, **params, class_weight=weights).fit(X, y)
    rows = slice(48, 54)
    t = trace(clf, sparse.csr_matrix(X)[rows] if as_sparse else X[rows], y[rows])

    def equal(symbol, value):
        np.testing.assert_allclose(t[symbol], value, rtol=1e-9, atol=1e-15)

    scaled = t["a"] * (X[rows] - t["m"])
    equal("X0", scaled / np.sqrt(1 + (scaled / 3) ** 2))
    s = 1 + ScaledDense.pace * t["t1"]
    equal("Z1", (t["X0"] * s.T) @ t["W1"] + t["b1"])
    last = "Z1"
    if normalization is not None:
        last = "N1"
        Z = t["Z1"]
        axis = 0 if normalization == "batch" else 1
        w = t["w"][:, 0] if axis == 0 else None
        mean = np.average(Z, axis=axis, weights=w, keepdims=True)
        variance = np.average((Z - mean) ** 2, axis=axis, weights=w, keepdims=True)
        if axis == 0:
            equal("mu1", mean[0])
            equal("v1", variance[0])
        sigma = np.sqrt(variance + 1e-5)
        U = (Z - mean) / sigma
        equal("N1", t["gamma1"] * U + t["beta1"])
        equal("dgamma1", np.sum(t["dN1"] * U, axis=0, keepdims=True))
        equal("dbeta1", np.sum(t["dN1"], axis=0, keepdims=True))
        if axis == 0:
            through = np.outer(w / w.sum(), np.ones(6)) * (t["dbeta1"] + U * t["dgamma1"])
            equal("dZ1", t["gamma1"] / sigma * (t["dN1"] - through))
        else:
            dU = t["dN1"] * t["gamma1"]
            over = [np.mean(v, axis=1, keepdims=True) for v in (dU, dU * U)]
            equal("dZ1", (dU - over[0] - U * over[1]) / sigma)
    equal("A1", np.where(t[last] > 0, t[last], 0.01 * t[last]))
    equal(f"d{last}", np.where(t[last] > 0, 1, 0.01) * t["dA1"])
    equal("Z3", t["A2"] @ t["W3"] + t["b3"])
    exponentials = np.exp(t["Z3"])
    equal("p", exponentials / exponentials.sum(axis=1, keepdims=True))
    equal("Y", y[rows, np.newaxis] == np.arange(3))
    equal("Ys", 0.7 * t["Y"] + 0.1)
    w = np.array([[weights[label]] for label in y[rows]])
    equal("w", w / w.mean())
    equal("L", np.mean(t["w"][:, 0] * -np.sum(t["Ys"] * np.log(t["p"]), axis=1)))
    equal("dZ3", t["w"] * (t["p"] - t["Ys"]) / 6)
    equal("dW3", t["A2"].T @ t["dZ3"])
    equal("db3", t["dZ3"].sum(axis=0, keepdims=True))
    equal("dA2", t["dZ3"] @ t["W3"].T)
    D = t["X0"].T @ t["dZ1"]
    equal("dW1", s * D)
    equal("dt1", ScaledDense.pace * np.sum(t["W1"] * D, axis=1, keepdims=True))


@pytest.mark.parametrize("data", [iris, cancer, multilabel])
def test_the_prediction_is_predicts(data):
    X, y = data()
    params = {"early_stopping": True, "calibrate": True, "normalization": "batch"}
    clf = classifier(**SMALL, **FULL, **params).fit(X, y)
    t = trace(clf, X[:4])
    assert t["T"] == clf.temperature_ != 1
    np.testing.assert_allclose(t["P"], clf.predict_proba(X[:4]), rtol=1e-10)
    np.testing.assert_array_equal(t["prediction"].reshape(y[:4].shape), clf.predict(X[:4]))
    assert "loss" not in {step.part for step in t.steps}


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_a_regressors_prediction_is_predicts(loss):
    X, y = diabetes()
    reg = regressor(**SMALL, **FULL, loss=loss).fit(X, y)
    t = trace(reg, X[:4], y[:4])
    np.testing.assert_allclose(t["prediction"][:, 0], reg.predict(X[:4]), rtol=1e-10)
    assert ("target units" in names(t)) == (loss == "squared_error")


def test_the_loss_is_scikit_learns():
    X, y = iris()
    clf = classifier(**SMALL).fit(X, y)
    rows = [0, 70, 140]
    assert trace(clf, X[rows], y[rows])["L"] == pytest.approx(
        log_loss(y[rows], clf.predict_proba(X[rows]))
    )
    assert "label smoothing" not in names(trace(clf, X[rows], y[rows]))


def test_gradients_are_scikit_learns_own():
    X, y = diabetes()
    params = {"hidden_layer_sizes": (5,), "alpha": 0}
    mlp = MLPRegressor(**params, max_iter=5, random_state=0).fit(X, y)
    t = trace(from_sklearn(mlp), X[:9], y[:9])
    # A step of gradient descent at rate 1 from the same weights moves them by the gradient.
    other = MLPRegressor(**params, solver="sgd", learning_rate_init=1.0, momentum=0)
    other.partial_fit(X[:9], y[:9])
    for mine, its in ((other.coefs_, mlp.coefs_), (other.intercepts_, mlp.intercepts_)):
        for a, b in zip(mine, its, strict=True):
            a[...] = b
    other.partial_fit(X[:9], y[:9])
    for i in (0, 1):
        np.testing.assert_allclose(t[f"dW{i + 1}"], mlp.coefs_[i] - other.coefs_[i], rtol=1e-8)


@pytest.mark.parametrize(("make", "data"), BOTH)
def test_the_numbers_are_those_of_the_passes_and_the_estimator_stays(make, data):
    X, y = data()
    est = make(**SMALL, **FULL, dropout=0.4, normalization="batch").fit(X, y)
    before = state(est)
    t, passes = trace(est, X[:3], y[:3]), run_passes(est, X[:3], y[:3])
    assert state(est) == before
    assert names(t)[2:9] == passes.names[:7]
    symbols = ["Z1", "N1", "A1", "Z2", "N2", "A2", "Z3"]
    for symbol, output in zip(symbols, passes.outputs, strict=True):
        np.testing.assert_array_equal(t[symbol], output)
    assert t["L"] == passes.loss


@pytest.mark.parametrize("embedding", [Periodic(n_frequencies=2, n_outputs=3), PiecewiseLinear()])
def test_an_embedding_comes_first(embedding):
    X, y = iris()
    clf = classifier(**SMALL, **FULL, numerical_embedding=embedding).fit(X, y)
    t = trace(clf, X[:5], y[:5])
    assert t.steps[2].equation.startswith("E = [X0, ")
    assert t["E"].shape == (5, 4 * 4)  # the features, and three functions of each
    if isinstance(embedding, Periodic):
        waves = np.cos(2 * np.pi * t["wE"] * t["X0"][:, :, None] + t["bE"])
        functions = np.einsum("njk,jko->njo", waves, t["aE"].reshape(4, 2, 3))
        together = np.hstack([t["X0"], functions.reshape(5, 12)])
        np.testing.assert_allclose(t["E"], together, rtol=1e-12)
    s = 1 + ScaledDense.pace * t["t1"]
    np.testing.assert_allclose(t["Z1"], (t["E"] * s.T) @ t["W1"] + t["b1"], rtol=1e-12)
    np.testing.assert_allclose(t["dE"], t["dZ1"] @ (s * t["W1"]).T, rtol=1e-12)
    assert t["daE"].shape == t["aE"].shape
    (last,) = [step for step in t.steps if step.part == "backward" and step.name == "embedding"]
    assert "daE = dL/daE" in last.equation


def test_weights_of_each_label_are_averaged_for_the_statistics_of_a_batch():
    X, Y = multilabel()
    weights = [{0: 1, 1: 3}, {0: 2, 1: 1}, {0: 1, 1: 1}]
    clf = classifier(**SMALL, normalization="batch", class_weight=weights).fit(X, Y)
    t = trace(clf, X[:9], Y[:9])
    w = np.where(Y[:9] == 1, [3, 1, 1], [1, 2, 1]).mean(axis=1)
    np.testing.assert_allclose(t["mu1"].ravel(), np.average(t["Z1"], axis=0, weights=w))
    assert next(step for step in t.steps if step.name == "targets").equation == "Y = y"


def test_every_loss_of_the_table_has_its_equation():
    without = {type(make()).__name__ for make in LOSSES.values()} - set(_LOSSES)
    assert without == {"Focal", "LogisticFocal"}  # too long for a line
    X, y = iris()
    clf = classifier(**SMALL, loss="focal").fit(X, y)
    assert "Focal(gamma=2.0)" in names(trace(clf, X[:2], y[:2]))


@dataclass
class Odd(Tanh):
    """<b>Bold</b> & odd."""

    note: str = "<script>"


def test_text_and_html_elide_what_is_wide_and_escape_what_is_not_ours():
    X, y = iris()
    y = np.array(["<i>", "&b", '"c"'])[y]
    clf = ScratchMLPClassifier((100,), activation=Odd(), max_iter=1, random_state=0).fit(X, y)
    t = trace(clf, X[:2], y[:2])
    assert max(map(len, repr(t).splitlines())) < 200
    assert "..." in repr(t)
    assert "W1 (4, 100)" in repr(t)
    html = t._repr_html_()
    assert "<script>" not in html
    assert "<i>" not in html
    assert "&lt;script&gt;" in html
    assert html.count("<details>") == len(t.steps)


def test_what_is_refused():
    X, y = iris()
    with pytest.raises(NotFittedError):
        trace(classifier(), X)
    with pytest.raises(TypeError, match="must be a ScratchMLPClassifier"):
        trace("clf", X)
    clf = classifier(**SMALL).fit(X, y)
    with pytest.raises(KeyError, match="There is no 'W9'; there are X, W1"):
        trace(clf, X[:2])["W9"]
    with pytest.raises(ValueError, match="Expected 2D array"):
        trace(clf, X[0])


# The update -----------------------------------------------------------------------------------


@dataclass
class Halving(Optimizer):
    """An optimizer of one's own."""

    def _move(self, w, g, learning_rate, state, scratch):
        w -= 0.5 * g


OPTIMIZERS_TO_TRACE = {name: make() for name, make in OPTIMIZERS.items()} | {
    "scikit-learn's": Adam(correct_epsilon=False),
    "own": Halving(),
}


def a_learner(optimizer, **settings):
    structure = {"normalization": "batch", "learned_scales": True}
    network = Network(Architecture([4, 5, 3], [Tanh()], **structure))
    network.initialize([HeNormal()] * 2, [np.random.default_rng(0)])
    return Learner(network, SoftmaxLogLoss(), optimizer, 0.02, **settings)


def new_parameters(traced, network):
    """Return the new parameters of a trace, in the order of the network's."""
    new = traced.steps[-1].results
    per_layer = network.per_layer(network.parameters)
    assert [array.shape for array in new.values()] == [v.shape for own in per_layer for v in own]
    return list(new.values())


@pytest.mark.parametrize("settings", [{}, {"l2": 3.0, "clip_norm": 0.1, "mean_weight": 2.0}])
@pytest.mark.parametrize("name", OPTIMIZERS_TO_TRACE)
def test_the_update_is_the_next_step_of_training(name, settings):
    X, y = iris()
    X, Y = X[::5], np.eye(3)[y[::5]]
    learner = a_learner(OPTIMIZERS_TO_TRACE[name], **settings)
    workspace = learner.workspace(len(X))
    for _ in range(3):
        train_step(learner, Batch(X, Y), workspace, 0.02)
    t = trace(learner, X, Y)
    old = learner.network.parameters.vector.copy()
    value, norm = train_step(learner, Batch(X, Y), workspace, 0.02)
    views = learner.network.parameters.views
    for mine, its in zip(new_parameters(t, learner.network), views, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-12, atol=1e-15)
    assert not np.allclose(learner.network.parameters.vector, old, atol=1e-6)
    np.testing.assert_allclose(t["W1"] + t["sW1"], t["W1'"], rtol=1e-12)
    penalized = learner.is_penalized
    assert ("penalty" in names(t)) == penalized
    assert t["L"] + (t["R"] if penalized else 0) == pytest.approx(value, rel=1e-12)
    if settings:
        assert t["norm"] == pytest.approx(norm, rel=1e-12)
    assert t["t"] == 4
    assert ("s by the optimizer" in t.steps[-2].equation) == (name == "own")


def test_the_numbers_of_the_update_obey_the_equations():
    X, y = iris()
    X, Y = X[::5], np.eye(3)[y[::5]]
    t = trace(a_learner(SGD(), l2=3.0, clip_norm=0.1), X, Y)
    c = 3.0 / 30
    assert t["R"] == pytest.approx(c / 2 * (np.sum(t["W1"] ** 2) + np.sum(t["W2"] ** 2)))
    symbols = ["W1", "b1", "t1", "gamma1", "beta1", "W2", "b2"]
    for symbol in symbols:
        penalty = c * t[symbol] if symbol[0] == "W" else 0
        np.testing.assert_allclose(t[f"g{symbol}"], t[f"d{symbol}"] + penalty, atol=1e-15)
    assert t["norm"] == pytest.approx(np.sqrt(sum(np.sum(t[f"g{s}"] ** 2) for s in symbols)))
    assert t["norm"] > 0.1
    for symbol in symbols:
        np.testing.assert_allclose(t[f"h{symbol}"], t[f"g{symbol}"] * 0.1 / t["norm"], atol=1e-15)
        np.testing.assert_allclose(t[f"s{symbol}"], -0.02 * t[f"h{symbol}"], atol=1e-14)
    t = trace(a_learner(AdamW(), l2=3.0), X, Y)
    first = -0.02 * t["dW1"] / (np.abs(t["dW1"]) + 1e-8) - 0.02 * 3 * t["W1"]
    np.testing.assert_allclose(t["sW1"], first, rtol=1e-9, atol=1e-14)
    assert t.steps[-2].equation.endswith("and for each W besides -eta l2 W")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_networks", [1, 3])
def test_the_update_of_an_estimator_is_a_step_of_its_own(n_networks, dtype):
    X, y = iris()
    params = {"class_weight": {0: 1, 1: 2, 2: 3}, "lr_schedule": "cosine", "label_smoothing": 0.1}
    clf = classifier(**SMALL, **FULL, **params, n_networks=n_networks, dtype=dtype).fit(X, y)
    before = state(clf)
    t = trace(clf, X[::9], y[::9], member=n_networks - 1)
    assert state(clf) == before
    assert t["eta"] == clf.history_["learning_rate"][-1] < 0.01
    alone = one_network(clf, n_networks - 1)
    passes = run_passes(alone, X[::9], y[::9])
    learner = copy.deepcopy(alone._fitted.learners[0])
    cast = [array.astype(dtype) for array in (passes.inputs, passes.targets, passes.weights)]
    train_step(learner, Batch(*cast), learner.workspace(len(cast[0])), float(t["eta"]))
    views = learner.network.parameters.views
    atol = 1e-12 if dtype == "float64" else 1e-4
    for mine, its in zip(new_parameters(t, learner.network), views, strict=True):
        np.testing.assert_allclose(mine, its, atol=atol)


def test_an_optimizer_of_all_rows_makes_no_step_on_a_few():
    X, y = iris()
    clf = classifier(**SMALL, optimizer="lbfgs", batch_size="auto").fit(X, y)
    assert trace(clf, X[:3], y[:3]).steps[-1].part == "backward"
