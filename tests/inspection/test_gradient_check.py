from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from skscratch.inspection import gradient_check
from skscratch.nn.activations import ACTIVATIONS, Tanh
from skscratch.nn.losses import LOSSES, SquaredError

from ..conftest import BOTH, cancer, classifier, diabetes, iris, multilabel, regressor, state

SMALL = {"hidden_layer_sizes": (6, 5), "max_iter": 3}
REGRESSION = ["squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma"]


@dataclass
class SlightlyWrongTanh(Tanh):
    def backward(self, dA, Z, A):
        super().backward(dA, Z, A)
        dA *= 1.001


@dataclass
class SlightlyWrongError(SquaredError):
    def row_losses(self, Z, Y, gradient_out):
        losses = super().row_losses(Z, Y, gradient_out)
        gradient_out *= 1 + 1e-4
        return losses


@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_and_normalization_passes(activation, normalization):
    X, y = iris()
    params = {"activation": activation, "normalization": normalization, "dropout": 0.3}
    check = gradient_check(classifier(**SMALL, **params), X, y)
    assert check.passed
    assert check.largest_error < 1e-6


@pytest.mark.parametrize("loss", REGRESSION)
def test_every_loss_passes(loss):
    assert {*REGRESSION} == {
        name for name, make in LOSSES.items() if make().out_activation in ("identity", "exp")
    }
    X, y = diabetes()
    assert gradient_check(regressor(**SMALL, loss=loss, activation="relu"), X, y).passed


@pytest.mark.parametrize("data", [iris, cancer, multilabel])
@pytest.mark.parametrize("loss", ["log_loss", "focal"])
def test_classification_passes_fitted_weighted_smoothed_and_sparse(data, loss):
    X, y = data()
    params = {"label_smoothing": 0.2, "class_weight": "balanced", "feature_scaling": "learned"}
    clf = classifier(**SMALL, loss=loss, normalization="batch", **params)
    weights = np.random.default_rng(0).uniform(0, 2, len(X))
    check = gradient_check(
        clf.fit(X, y, weights), sparse.csr_matrix(X), y, sample_weight=weights, tolerance=1e-6
    )
    assert check.passed


def test_a_wrong_derivative_fails_in_the_layers_below_it():
    X, y = iris()
    check = gradient_check(classifier(**SMALL, activation=SlightlyWrongTanh(), l2=0), X, y)
    assert not check.passed
    # Two activations lie between the first layer and the loss, one above the second layer.
    errors = check.to_frame().set_index("parameters")["error by direction"]
    assert errors["dense 1: W"] == pytest.approx(2e-3, rel=0.3)
    assert errors["dense 2: W"] == pytest.approx(1e-3, rel=0.3)
    assert errors["dense 3: W"] < 1e-6
    assert "FAILED" in repr(check)


def test_a_wrong_loss_gradient_fails():
    X, y = diabetes()
    check = gradient_check(regressor(**SMALL, loss=SlightlyWrongError(), l2=0), X, y)
    assert check.largest_error == pytest.approx(1e-4, rel=0.2)
    assert not check.passed


def test_the_penalty_is_part_of_the_loss():
    X, y = iris()
    plain, penalized = (classifier(hidden_layer_sizes=(6, 5), l2=l2) for l2 in (0.0, 50.0))
    plain.fit(X, y)
    penalized.fit(X, y)
    # The same weights, so that the losses differ by the penalty, l2/2 sum(W^2) / n.
    penalized.network_.restore(plain.network_.snapshot())
    rows = slice(0, 40)
    checks = [gradient_check(est, X[rows], y[rows]) for est in (plain, penalized)]
    penalty = 50 / 2 * sum(np.sum(W**2) for W in plain.coefs_) / 40
    assert checks[1].loss - checks[0].loss == pytest.approx(penalty, rel=1e-2)
    assert checks[1].passed


@pytest.mark.parametrize(("make", "data"), BOTH)
@pytest.mark.parametrize("fitted", [False, True])
def test_the_estimator_stays_as_it_is(make, data, fitted):
    X, y = data()
    est = make(**SMALL, optimizer="lbfgs", batch_size="auto")
    if fitted:
        est.fit(X, y)
    before = state(est)
    assert gradient_check(est, X, y).passed
    assert state(est) == before


def test_the_report():
    X, y = iris()
    check = gradient_check(classifier(**SMALL), X, y, n_coordinates=3)
    assert "passed" in repr(check)
    assert "<table>" in check._repr_html_()
    frame = check.to_frame()
    assert isinstance(frame, pd.DataFrame)
    names = [f"dense {i}: {p}" for i in (1, 2, 3) for p in ("W", "b")]
    assert list(frame["parameters"]) == [*names, "all"]
    assert frame["shape"][0] == "(4, 6)"
    assert check.largest_error == np.nanmax(frame.iloc[:, 3:].to_numpy(float))


def test_what_is_refused():
    X, y = iris()
    with pytest.raises(ValueError, match="n_coordinates must be an integer >= 1"):
        gradient_check(classifier(), X, y, n_coordinates=0)
    with pytest.raises(ValueError, match="tolerance"):
        gradient_check(classifier(), X, y, tolerance=0)
    with pytest.raises(TypeError, match="must be a ScratchMLPClassifier"):
        gradient_check("clf", X, y)
