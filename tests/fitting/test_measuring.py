"""What is measured after each epoch: the scores' definitions, and passes over the same rows."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import StandardScaler

from skscratch._fitting import measure
from skscratch._fitting.measure import Pass
from skscratch._fitting.settings import resolve
from skscratch._fitting.targets import Labels, Quantities, r2
from skscratch.nn import Architecture, Network, ReLU
from skscratch.nn.initializers import HeNormal

from ..conftest import BOTH, classifier, regressor

# Scores ---------------------------------------------------------------------------------------

weighted = pytest.mark.parametrize("weighted", [False, True])


def weights_of(weighted, n):
    return np.arange(n) % 4 / 2.0 if weighted else None  # some are 0


@weighted
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_r2_is_scikit_learns(n_outputs, weighted):
    rng = np.random.default_rng(0)
    Y = rng.normal(5, 3, (40, n_outputs))
    predicted = Y + rng.normal(0, 1, Y.shape)
    weights = weights_of(weighted, 40)
    expected = r2_score(Y, predicted, sample_weight=weights)
    assert r2(Y, predicted, weights) == pytest.approx(expected, rel=1e-13)
    assert r2(Y, Y.copy(), weights) == 1


@weighted
@pytest.mark.parametrize("error", [0.0, 0.25])
def test_r2_of_a_constant_is_scikit_learns(error, weighted):
    Y = np.column_stack([np.full(12, 2.0), np.arange(12.0)])
    predicted = Y + error
    weights = weights_of(weighted, 12)
    for columns in ([0], [0, 1]):
        found = r2(Y[:, columns], predicted[:, columns], weights)
        expected = r2_score(Y[:, columns], predicted[:, columns], sample_weight=weights)
        assert found == pytest.approx(expected, rel=1e-13)
    assert r2(Y[:, :1], predicted[:, :1], weights) == (error == 0)


def test_r2_of_a_single_row_is_undefined():
    assert np.isnan(r2(np.ones((1, 1)), np.ones((1, 1)), None))


@weighted
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_numbers_are_scored_by_their_predictions_r2(loss, weighted):
    rng = np.random.default_rng(1)
    y = rng.gamma(2, 3, (30, 2))
    target = Quantities.learn(y, None, resolve(regressor(loss=loss).__dict__))
    Z = rng.normal(0, 1, y.shape).astype(np.float32)
    weights = weights_of(weighted, 30)
    expected = r2_score(y, target.decode(Z.astype(float)), sample_weight=weights)
    assert target.score(Z, target.encode(y, float), weights) == pytest.approx(expected, rel=1e-9)


@weighted
@pytest.mark.parametrize(
    "y",
    [
        np.array(["b", "a"])[np.arange(30) % 2],
        np.arange(30) % 3 * 10,
        (np.arange(90).reshape(30, 3) % 4 > 1).astype(int),
    ],
    ids=["binary", "multiclass", "multilabel"],
)
def test_classes_are_scored_by_scikit_learns_accuracy(y, weighted):
    target = Labels.learn(y, resolve(classifier().__dict__))
    Z = np.random.default_rng(2).normal(0, 1, (30, target.n_outputs))
    labels = target.labels(Z)
    weights = weights_of(weighted, 30)
    expected = accuracy_score(
        y, labels if target.multilabel else labels[:, 0], sample_weight=weights
    )
    assert 0 < expected < 1
    found = target.score(Z, target.encode(y, float), weights)
    assert found == pytest.approx(expected, rel=1e-13)


# Passes over the same rows --------------------------------------------------------------------


def network_of(stack=()):
    network = Network(Architecture([5, 7, 2], [ReLU()]), stack, np.float32)
    streams = [np.random.default_rng(k) for k in range(max(1, *stack) if stack else 1)]
    network.initialize([HeNormal()] * 2, streams)
    return network


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
@pytest.mark.parametrize("is_small", [True, False])
def test_a_pass_predicts_as_its_network_does(is_small, form, monkeypatch):
    if not is_small:
        monkeypatch.setattr(measure, "ELEMENTS", 0)
    X = form(np.random.default_rng(0).normal(size=(20, 5)))
    shared, own = np.array([3, 1, 4, 19]), np.array([[0, 2, 5], [7, 7, 1]])
    for stack, rows in (((), None), ((), shared), ((2,), None), ((2,), shared), ((2,), own)):
        network = network_of(stack)
        each = Pass(network, X, rows)
        first = each.predict()
        assert first.dtype == np.float64
        np.testing.assert_array_equal(first, network.predict(X, rows))
        before = first.copy()
        network.parameters.vector[...] *= 2  # as a step changes them
        np.testing.assert_array_equal(each.predict(np.exp), network.predict(X, rows, np.exp))
        np.testing.assert_array_equal(first, before)


@pytest.mark.parametrize("params", [{"n_networks": 4}, {"n_networks": 1, "early_stopping": True}])
@pytest.mark.parametrize(("make", "data"), BOTH)
def test_epochs_of_few_rows_share_the_memory_of_validation(make, data, params, monkeypatch):
    made = []

    class Counted(measure.Workspace):
        def __init__(self, *args, **kwargs):
            made.append(self)
            super().__init__(*args, **kwargs)

    for module in ("_fitting.measure", "nn.prediction"):
        monkeypatch.setattr(f"skscratch.{module}.Workspace", Counted)
    X, y = data()
    estimator = make(max_iter=5, **params).fit(X, y)
    assert len(estimator.history_["validation_loss"]) == 5
    assert len(made) == len(estimator._trained.learners)


# The scale of the targets ---------------------------------------------------------------------


@weighted
def test_targets_are_standardized_as_scikit_learn_does(weighted):
    rng = np.random.default_rng(3)
    y = rng.normal(100, 7, (60, 3)) * [1, 1e6, 1e-6]
    y[:, 1] = 5.0
    weights = weights_of(weighted, 60)
    target = Quantities.learn(y, weights, resolve(regressor().__dict__))
    expected = StandardScaler().fit(y, sample_weight=weights)
    for name in ("mean_", "scale_"):
        found = getattr(target.scaler, name)
        np.testing.assert_allclose(found, getattr(expected, name), rtol=1e-13)
