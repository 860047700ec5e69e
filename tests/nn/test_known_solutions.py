"""Whole runs with known ends: closed forms, other libraries' solutions, and reference runs."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skscratch.nn import (
    SGD,
    Batches,
    GlorotUniform,
    HeNormal,
    LogisticLogLoss,
    ReLU,
    SoftmaxLogLoss,
    SquaredError,
    fit,
)

from .checks import learner_of, network_of, problem

# --- Closed forms -----------------------------------------------------------------------------


def trained_linear_model(X, Y, loss, *, l2, weights=None, mean_weight=1.0, rate=0.1, epochs=3000):
    network = network_of([X.shape[1], Y.shape[1]])
    learner = learner_of(
        network,
        loss=loss,
        optimizer=SGD(momentum=0.9, nesterov=True),
        learning_rate=rate,
        l2=l2,
        mean_weight=mean_weight,
    )
    fit(learner, Batches(X, Y, weights), epochs)
    return network


def test_linear_network_finds_the_least_squares_solution():
    X, Y, _ = problem(n_rows=40)
    network = trained_linear_model(X, Y, SquaredError(), l2=0.0)
    expected = LinearRegression().fit(X, Y)
    np.testing.assert_allclose(network.dense[0].W.T, expected.coef_, rtol=1e-9)
    np.testing.assert_allclose(network.dense[0].b[0], expected.intercept_, rtol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_linear_network_with_l2_finds_the_ridge_solution(weighted, n_outputs):
    """Our loss times n * n_outputs is Ridge's halved, if its alpha is l2 * n_outputs."""
    X, Y, weights = problem(n_rows=40, n_outputs=n_outputs)
    sample_weight = 2.5 * weights[:, 0] if weighted else None
    network = trained_linear_model(
        X, Y, SquaredError(), l2=7.0, weights=weights if weighted else None,
        mean_weight=2.5 if weighted else 1.0,
    )  # fmt: skip
    ridge = Ridge(alpha=7.0 * n_outputs, solver="cholesky").fit(X, Y, sample_weight)
    np.testing.assert_allclose(network.dense[0].W.T, np.atleast_2d(ridge.coef_), rtol=1e-8)
    np.testing.assert_allclose(network.dense[0].b[0], ridge.intercept_, rtol=1e-8)
    # And the normal equations themselves, on weighted centered data.
    s = np.ones(40) if sample_weight is None else sample_weight
    X_c, Y_c = X - np.average(X, axis=0, weights=s), Y - np.average(Y, axis=0, weights=s)
    gram = X_c.T @ (s[:, np.newaxis] * X_c) + 7.0 * n_outputs * np.eye(3)
    np.testing.assert_allclose(
        network.dense[0].W, np.linalg.solve(gram, X_c.T @ (s[:, np.newaxis] * Y_c)), rtol=1e-8
    )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_linear_classifier_finds_the_solution_of_logistic_regression(n_classes):
    rng = np.random.default_rng(5)
    X, labels = rng.standard_normal((60, 3)), rng.integers(n_classes, size=60)
    labels[X[:, 0] > 0.5] = 0
    if n_classes == 2:
        loss, Y = LogisticLogLoss(), labels[:, np.newaxis].astype(float)
    else:
        loss, Y = SoftmaxLogLoss(), np.eye(n_classes)[labels]
    network = trained_linear_model(X, Y, loss, l2=2.0, rate=0.3)
    P = loss.inverse_link(network.predict(X))
    expected = LogisticRegression(C=1 / 2.0, solver="newton-cholesky", tol=1e-10).fit(X, labels)
    expected = expected.predict_proba(X)
    np.testing.assert_allclose(P, expected[:, -1:] if n_classes == 2 else expected, atol=1e-6)


# --- Reference runs -------------------------------------------------------------------------


def accuracy(network, X, labels):
    return np.mean(network.predict(X).argmax(axis=1) == labels)


def test_iris_run_reaches_the_known_accuracy():
    X, labels = load_iris(return_X_y=True)
    X, X_test, labels, labels_test = train_test_split(X, labels, test_size=0.2, random_state=42)
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    init, shuffle = np.random.default_rng(42).spawn(2)
    network = network_of([4, 16, 8, 3], [ReLU(), ReLU()])
    network.initialize([HeNormal(), HeNormal(), GlorotUniform()], [init])
    batches = Batches(X, np.eye(3)[labels], batch_size=16, streams=[shuffle])
    fit(learner_of(network, loss=SoftmaxLogLoss()), batches, 1000)
    assert accuracy(network, X, labels) >= 0.983
    assert accuracy(network, X_test, labels_test) >= 0.966


def test_circle_is_learned_by_hidden_layers_and_not_without():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 2))
    labels = (X[:, 0] ** 2 + X[:, 1] ** 2 < 1).astype(int)
    Y = np.eye(2)[labels]
    accuracies = []
    for sizes in ([2, 16, 8, 2], [2, 2]):
        network = network_of(sizes, [ReLU()] * (len(sizes) - 2))
        network.initialize([HeNormal()] * (len(sizes) - 1), [rng])
        fit(learner_of(network, loss=SoftmaxLogLoss()), Batches(X, Y), 1000)
        accuracies.append(accuracy(network, X, labels))
    assert accuracies[0] > 0.95
    assert accuracies[1] < 0.7
