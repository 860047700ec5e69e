"""The tools on networks of `skscratch.nn`, and on pipelines."""

import copy

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skscratch.inspection import NetworkDisplay, activations, gradient_check, summary, trace
from skscratch.nn import (
    Adam,
    Architecture,
    Batch,
    Learner,
    Network,
    Periodic,
    SoftmaxLogLoss,
    SquaredError,
    Tanh,
    loss_and_gradient,
    train_step,
)

from ..conftest import classifier, diabetes, iris, regressor, state

mpl.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def texts(display):
    return [text.get_text() for text in display.ax_.texts]


# What each tool tells of a model, in a form that can be compared.
TOOLS = {
    "trace": lambda model, X, y, **k: repr(trace(model, X, y, **k)),
    "gradient check": lambda model, X, y, **k: repr(gradient_check(model, X, y, **k)),
    "summary": lambda model, X, y: repr(summary(model)),
    "activations": lambda model, X, y: {
        name: output.tolist() for name, output in activations(model, X).items()
    },
    "network": lambda model, X, y: texts(NetworkDisplay.from_estimator(model)),
}
WITH_LOSS = ("trace", "gradient check")
each_tool = pytest.mark.parametrize("tool", TOOLS)


def a_network(stack=(), dtype=np.float64, **structure):
    network = Network(Architecture([4, 5, 3], [Tanh()], **structure), stack, dtype)
    vector = network.parameters.vector
    vector[...] = np.random.default_rng(0).normal(0, 0.5, vector.shape)
    return network


def one_hot_iris():
    X, y = iris()
    return X, np.eye(3)[y]


# Networks -------------------------------------------------------------------------------------


@each_tool
def test_each_tool_takes_a_network_and_leaves_it(tool):
    X, Y = one_hot_iris()
    network = a_network(dropout=[0.5], normalization="batch", dtype=np.float32)
    before = [vector.copy() for vector in network.vectors]
    loss = {"loss": SoftmaxLogLoss()} if tool in WITH_LOSS else {}
    assert TOOLS[tool](network, X[:5], Y[:5], **loss)
    for vector, kept in zip(network.vectors, before, strict=True):
        np.testing.assert_array_equal(vector, kept)


@each_tool
def test_each_tool_takes_a_learner_and_leaves_it(tool):
    X, Y = one_hot_iris()
    learner = Learner(a_network(), SoftmaxLogLoss(), Adam(), 0.01, l2=0.5)
    workspace = learner.workspace(20)
    for _ in range(3):
        train_step(learner, Batch(X[:20], Y[:20]), workspace, 0.01)
    kept = copy.deepcopy(learner)
    assert TOOLS[tool](learner, X[:5], Y[:5])
    for mine, its in zip(learner.network.vectors, kept.network.vectors, strict=True):
        np.testing.assert_array_equal(mine, its)
    for mine, its in zip(learner.state.moments, kept.state.moments, strict=True):
        np.testing.assert_array_equal(mine, its)
    assert learner.state.t == 3


@pytest.mark.parametrize("form", [np.asarray, sparse.csc_matrix, pd.DataFrame])
def test_the_numbers_are_those_of_the_networks_own_passes(form):
    X, Y = (array[::10] for array in one_hot_iris())
    network = a_network()
    found = trace(network, form(X), Y, loss=SoftmaxLogLoss())
    learner = Learner(network, SoftmaxLogLoss(), Adam(), 0.01)
    workspace = learner.workspace(len(X))
    assert found["L"] == pytest.approx(loss_and_gradient(learner, Batch(X, Y), workspace))
    gradients = [views for views in network.per_layer(workspace.gradient) if views]
    for k, (dW, db) in enumerate(gradients, start=1):
        np.testing.assert_allclose(found[f"dW{k}"], dW, rtol=1e-10)
        np.testing.assert_allclose(found[f"db{k}"], db, rtol=1e-10)
    np.testing.assert_allclose(activations(network, form(X))["dense 2"], network.predict(X))
    assert "update" not in {step.part for step in found.steps}
    np.testing.assert_allclose(trace(network, form(X))["Z2"], network.predict(X))


def test_one_of_several_networks():
    X, _ = iris()
    stack = a_network((2, 3))
    for number, index in enumerate(np.ndindex(2, 3)):
        logits = activations(stack, X, member=number)["dense 2"]
        np.testing.assert_allclose(logits, stack.predict(X)[index], rtol=1e-12)
    assert summary(stack, member=5).title.endswith("in float64, member=5 of 6 networks")
    with pytest.raises(ValueError, match="member must be from 0 to 5, got 6"):
        activations(stack, X, member=6)


def test_the_gradient_check_finds_a_wrong_loss_and_takes_weights():
    class Wrong(SquaredError):
        def row_losses(self, Z, Y, gradient_out):
            losses = super().row_losses(Z, Y, gradient_out)
            gradient_out *= 1.001
            return losses

    X, Y = one_hot_iris()
    assert not gradient_check(a_network(), X, Y, loss=Wrong()).passed
    weights = np.random.default_rng(1).uniform(0, 2, len(X))
    learner = Learner(a_network(normalization="batch"), SoftmaxLogLoss(), Adam(), 0.1, l2=3.0)
    check = gradient_check(learner, X, Y, sample_weight=weights)
    assert check.passed
    assert check.loss != pytest.approx(gradient_check(learner, X, Y).loss)


def test_what_is_known_of_a_network_is_shown():
    network = a_network()
    assert texts(NetworkDisplay.from_estimator(network))[-1].startswith("outputs\n3 units\nlogits")
    learner = Learner(network, SoftmaxLogLoss(), Adam(), 0.1)
    assert "softmax" in texts(NetworkDisplay.from_estimator(learner))[-1]
    assert "optimizer" not in repr(summary(network))
    memory = summary(learner).memory
    assert memory["optimizer"] == 2 * memory["parameters"]


def test_what_a_network_does_not_take():
    X, Y = one_hot_iris()
    network, loss = a_network(), SoftmaxLogLoss()
    with pytest.raises(TypeError, match=r"A Network has no loss .* pass loss, such as loss="):
        gradient_check(network, X, Y)
    with pytest.raises(TypeError, match=r"loss must be a Loss of skscratch.nn, .* got 'log_loss'"):
        trace(network, X, Y, loss="log_loss")
    with pytest.raises(TypeError, match="loss goes with a Network alone; a Learner has its own"):
        trace(Learner(network, loss, Adam(), 0.1), X, Y, loss=loss)
    with pytest.raises(ValueError, match=r"y must have the shape \(150, 3\), .* got .* \(150,\)"):
        trace(network, X, Y.argmax(axis=1), loss=loss)
    with pytest.raises(ValueError, match=r"X must have 4 columns, .* got 2"):
        activations(network, X[:, :2])
    embedded = a_network(embedding=Periodic(), edges=[np.array([-1.0, 1.0])] * 4)
    with pytest.raises(TypeError, match="dense data is required"):
        activations(embedded, sparse.csr_matrix(X))


# Pipelines ------------------------------------------------------------------------------------


@each_tool
@pytest.mark.parametrize(("make", "data"), [(classifier, iris), (regressor, diabetes)])
def test_a_pipeline_shows_what_its_last_step_does(tool, make, data):
    X, y = data()
    pipeline = make_pipeline(StandardScaler(), FunctionTransformer(np.tanh), make()).fit(X, y)
    before = state(pipeline)
    of_the_pipeline = TOOLS[tool](pipeline, X[:5], y[:5])
    assert of_the_pipeline == TOOLS[tool](pipeline[-1], pipeline[:-1].transform(X[:5]), y[:5])
    assert state(pipeline) == before


def test_the_names_of_the_features_pass_a_pipeline():
    X, y = iris()
    frame = pd.DataFrame(X, columns=list("abcd"))
    pipeline = make_pipeline(StandardScaler(), classifier())
    shown = NetworkDisplay.from_estimator(pipeline.fit(frame, y))
    assert list(shown.input_names) == list("abcd")
    alone = make_pipeline(classifier()).fit(frame, y)
    assert list(NetworkDisplay.from_estimator(alone).input_names) == list("abcd")
    nameless = make_pipeline(FunctionTransformer(np.tanh), classifier()).fit(X, y)
    assert NetworkDisplay.from_estimator(nameless).input_names is None


def test_a_pipeline_that_is_not_fitted():
    X, y = iris()
    pipeline = make_pipeline(StandardScaler(), classifier())
    before = state(pipeline)
    assert gradient_check(pipeline, 100 * X, y).passed
    assert state(pipeline) == before
    for tool in ("trace", "summary", "activations", "network"):
        with pytest.raises(NotFittedError):
            TOOLS[tool](pipeline, X, y)


@each_tool
def test_what_is_refused(tool):
    X, y = iris()
    other = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    for model in (other, LogisticRegression(), "clf"):
        with pytest.raises(TypeError, match="must be a ScratchMLPClassifier"):
            TOOLS[tool](model, X, y)
