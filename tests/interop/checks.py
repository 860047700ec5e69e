"""What several test modules share: data, MLPs of scikit-learn and ours alike, comparisons."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier
from sklearn.neural_network import MLPClassifier, MLPRegressor

from ..conftest import cancer, classifier, diabetes, iris, multilabel, regressor

HAS_POISSON = "loss" in MLPRegressor().get_params()
needs_poisson = pytest.mark.skipif(not HAS_POISSON, reason="scikit-learn 1.7 brought the loss")

THEIR_SETTINGS = {
    "hidden_layer_sizes": (7, 5),
    "activation": "tanh",
    "solver": "adam",
    "alpha": 0.3,
    "batch_size": 16,
    "learning_rate": "constant",
    "learning_rate_init": 0.01,
    "max_iter": 3,
    "shuffle": False,
    "random_state": 0,
    "tol": 0.0,
    "n_iter_no_change": 1000,
}


def several_outputs():
    X, y = diabetes()
    return X, np.column_stack([y, y**2 / 100, -y])


def named_classes():
    X, y = iris()
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


def counts():
    X, y = diabetes()
    return X, np.floor(y / 20)


DATA = {
    "binary": cancer,
    "multiclass": named_classes,
    "multilabel": multilabel,
    "regression": diabetes,
    "multioutput": several_outputs,
}
each_target = pytest.mark.parametrize("target", DATA)
REGRESSION = ("regression", "multioutput", "counts")

SOLVERS = {
    "plain": {"solver": "sgd", "momentum": 0.0},
    "momentum": {"solver": "sgd", "momentum": 0.8, "nesterovs_momentum": False},
    "nesterov": {"solver": "sgd", "momentum": 0.8},
    "adam": {"solver": "adam", "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-5},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3},
}
each_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)


def theirs(target, **params):
    kind = MLPRegressor if target in REGRESSION else MLPClassifier
    # Targets in the hundreds would make plain gradient descent diverge.
    slow = {"learning_rate_init": 1e-6} if params.get("solver") == "sgd" else {}
    return kind(**{**THEIR_SETTINGS, **(slow if target in REGRESSION else {}), **params})


def ours(target, **params):
    return (regressor if target in REGRESSION else classifier)(**params)


def assert_same_predictions(one, other, X, atol=1e-12, rtol=1e-12):
    predicted, expected = one.predict(X), other.predict(X)
    assert predicted.shape == expected.shape
    if is_classifier(one):
        assert_array_equal(predicted, expected)
        assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=0, atol=atol)
        # scikit-learn takes the logarithm of probabilities, which costs digits.
        assert_allclose(one.predict_log_proba(X), other.predict_log_proba(X), atol=1e4 * atol)
    else:
        assert_allclose(predicted, expected, rtol=rtol, atol=atol)


def assert_same_weights(one, other, atol=1e-12):
    for mine, its in zip(
        one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True
    ):
        assert_allclose(mine, its, rtol=0, atol=atol)


COMMON = {
    "feature_scaling": None,
    "numerical_embedding": None,
    "hidden_layer_sizes": (9, 4),
    "activation": "logistic",
    "learning_rate": 0.02,
    "init": "glorot_uniform",
    "l2": 0.5,
    "dropout": 0.0,
    "normalization": None,
    "batch_size": 32,
    "clip_norm": None,
    "scoring": None,
    "n_networks": 1,
    "cv": None,
    "n_jobs": None,
    "max_iter": 77,
    "shuffle": False,
    "random_state": 5,
    "tol": 1e-3,
    "n_iter_no_change": 4,
    "early_stopping": True,
    "validation_fraction": 0.25,
    "warm_start": True,
    "dtype": "auto",
    "verbose": True,
}

THEIR_COMMON = {
    **{name: value for name, value in COMMON.items() if name in MLPClassifier().get_params()},
    "learning_rate": "constant",
    "learning_rate_init": 0.02,
    "alpha": 0.5,
}
