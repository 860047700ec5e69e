"""What several test modules share: estimators with every setting explicit, and small data."""

from dataclasses import dataclass
from typing import ClassVar

import joblib
import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_iris,
    make_multilabel_classification,
)
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_limits

from skscratch import ScratchMLPClassifier, ScratchMLPRegressor
from skscratch.nn import Loss

# The workers of pytest-xdist have a core each; BLAS threads besides would fight over it.
threadpool_limits(limits=1, user_api="blas")

# Nothing is left to the defaults, so that a better default neither breaks nor weakens a test.
SETTINGS = {
    "feature_scaling": None,
    "numerical_embedding": None,
    "hidden_layer_sizes": (8,),
    "n_networks": 1,
    "cv": None,
    "n_jobs": None,
    "activation": "tanh",
    "init": "glorot_uniform",
    "optimizer": "adam",
    "l2": 0.01,
    "dropout": 0.0,
    "batch_size": 16,
    "learning_rate": 0.01,
    "lr_schedule": "constant",
    "max_iter": 5,
    "shuffle": True,
    "random_state": 0,
    "tol": 0.0,
    "n_iter_no_change": float("inf"),
    "early_stopping": False,
    "validation_fraction": 0.2,
    "warm_start": False,
    "dtype": "float64",
    "verbose": False,
}


def classifier(**params):
    settings = {**SETTINGS, "loss": "log_loss", "label_smoothing": 0.0, "calibrate": False}
    return ScratchMLPClassifier(**{**settings, **params})


def regressor(**params):
    settings = {**SETTINGS, "loss": "squared_error", "standardize_target": True}
    return ScratchMLPRegressor(**{**settings, **params})


def iris():
    X, y = load_iris(return_X_y=True)
    return scale(X), y


def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X[:200, :6]), y[:200]


def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return scale(X[:150]), y[:150]


def multilabel():
    X, Y = make_multilabel_classification(120, 5, n_classes=3, random_state=0)
    return scale(X), Y


@dataclass
class Cauchit(Loss):
    """The log loss of another link."""

    out_activation: ClassVar[str] = "cauchit"

    def inverse_link(self, Z):
        return np.arctan(Z) / np.pi + 0.5

    def row_losses(self, Z, Y, gradient_out):
        P = self.inverse_link(Z)
        gradient_out[...] = (P - Y) / (P * (1 - P)) / (np.pi * (1 + Z**2))
        return -np.sum(Y * np.log(P) + (1 - Y) * np.log(1 - P), axis=-1)


BOTH = [
    pytest.param(classifier, iris, id="classifier"),
    pytest.param(regressor, diabetes, id="regressor"),
]
"""Each estimator with data for it."""


def state(estimator):
    """Return a hash of everything that the estimator holds."""
    return joblib.hash(vars(estimator))


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


@pytest.fixture
def splits(monkeypatch):
    """Record the (training, validation) rows of each fit that holds some out."""
    from skscratch._fitting import run

    recorded = []

    def recording(*args):
        recorded.append(original(*args))
        return recorded[-1]

    original = run.split_rows
    monkeypatch.setattr(run, "split_rows", recording)
    return recorded
