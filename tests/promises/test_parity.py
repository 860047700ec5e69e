"""Parity with scikit-learn: step by step with its MLP, at the optimum with its linear models.

From the same weights, without shuffling, both MLPs make the same steps: the weights agree after 20
epochs of mini-batches, the last of which is shorter. Without hidden layers our network is a linear
model, and a convex loss has one optimum.
"""

from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import (
    GammaRegressor,
    HuberRegressor,
    LogisticRegression,
    PoissonRegressor,
    QuantileRegressor,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

import skscratch
from skscratch import LBFGS, SGD, Adam, Huber, Pinball, from_sklearn
from skscratch.nn import Initializer

# What scikit-learn has nothing like is off.
PLAIN = {
    "n_networks": 1,
    "activation": "relu",
    "init": "glorot_uniform",
    "lr_schedule": "constant",
    "feature_scaling": None,
    "early_stopping": False,
}
ScratchMLPClassifier = partial(
    skscratch.ScratchMLPClassifier, **PLAIN, label_smoothing=0.0, calibrate=False
)
ScratchMLPRegressor = partial(skscratch.ScratchMLPRegressor, **PLAIN)

HIDDEN = (7, 5)
L2 = 0.3
RATE = 0.01


@dataclass
class Given(Initializer):
    """Hands out matrices made beforehand, by their shape."""

    matrices: dict = field(default_factory=dict)

    def sample(self, rng, n_in, n_out):
        return self.matrices[n_in, n_out]


def starting_from(sklearn_class, matrices):
    """Derive from scikit-learn's class one that starts from these weights and biases of 0."""

    class SameStart(sklearn_class):
        def _init_coef(self, fan_in, fan_out, dtype):
            return matrices[fan_in, fan_out].astype(dtype), np.zeros(fan_out, dtype)

    return SameStart


def draw(sizes):
    rng = np.random.default_rng(0)
    return {pair: rng.normal(scale=0.5, size=pair) for pair in pairwise(sizes)}


def data(target):
    if target == "binary":
        X, y = load_breast_cancer(return_X_y=True)
    elif target == "regression":
        X, y = load_diabetes(return_X_y=True)
        y = (y - y.mean()) / y.std()
    else:
        X, y = load_iris(return_X_y=True)
    if target == "multilabel":
        y = np.column_stack([y == 0, y == 2, X[:, 0] > 5.8, X[:, 1] > 3]).astype(int)
    if target == "multioutput":
        X, y = X[:, :2], X[:, 2:]
    # 150 rows in batches of 16 leave 6 for the last one.
    return StandardScaler().fit_transform(X)[:150], y[:150]


OPTIMIZERS = {
    "sgd": (SGD(), {"solver": "sgd", "momentum": 0.0}),
    "momentum": (
        SGD(momentum=0.9),
        {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": False},
    ),
    "nesterov": (
        SGD(momentum=0.9, nesterov=True),
        {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": True},
    ),
    # scikit-learn leaves epsilon uncorrected; with an epsilon of next to nothing that is the same.
    "adam_uncorrected": (Adam(epsilon=1e-8, correct_epsilon=False), {"epsilon": 1e-8}),
    "adam": (Adam(epsilon=1e-16), {"epsilon": 1e-16}),
}


def both(target, optimizer, activation="tanh", **ours):
    """Fit our estimator and scikit-learn's from the same start."""
    X, y = data(target)
    n_outputs = {"binary": 1, "multiclass": 3, "multilabel": 4, "regression": 1}.get(target, 2)
    matrices = draw([X.shape[1], *HIDDEN, n_outputs])
    is_regression = target in ("regression", "multioutput")
    mine, its = OPTIMIZERS[optimizer]
    params = {
        "hidden_layer_sizes": HIDDEN,
        "activation": activation,
        "batch_size": 16,
        "max_iter": 20,
        "shuffle": False,
        "tol": 0.0,
        "n_iter_no_change": 1000,
        "early_stopping": False,
        "warm_start": False,
        "random_state": 0,
    }
    theirs = starting_from(MLPRegressor if is_regression else MLPClassifier, matrices)(
        **params,
        alpha=L2,
        learning_rate="constant",
        learning_rate_init=RATE,
        **{"solver": "adam", "beta_1": 0.9, "beta_2": 0.999, **its},
    )
    scratch = ScratchMLPRegressor if is_regression else ScratchMLPClassifier
    if is_regression:
        ours = {"standardize_target": False, **ours}
    ours = scratch(
        **params,
        **{
            "init": Given(matrices),
            "optimizer": mine,
            "l2": L2,
            "learning_rate": RATE,
            "lr_schedule": "constant",
            "dropout": 0.0,
            "feature_scaling": None,
            "dtype": "float64",
            **ours,
        },
    )
    return ours.fit(X, y), theirs.fit(X, y)


def assert_same_weights(ours, theirs):
    assert ours.n_iter_ == theirs.n_iter_ == 20
    for mine, its in zip(
        ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True
    ):
        assert_allclose(mine, its, rtol=0, atol=1e-8)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel", "regression"])
def test_weights_agree_after_20_epochs(target, optimizer):
    ours, theirs = both(target, optimizer)
    assert_same_weights(ours, theirs)
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    assert ours.t_ == theirs.t_
    assert ours.out_activation_ == theirs.out_activation_
    assert ours.n_layers_ == theirs.n_layers_
    assert ours.n_outputs_ == theirs.n_outputs_
    assert ours.best_loss_ == pytest.approx(theirs.best_loss_, rel=1e-9)


@pytest.mark.parametrize("activation", ["identity", "logistic", "relu"])
@pytest.mark.parametrize("target", ["multiclass", "regression"])
def test_weights_agree_with_every_activation_that_both_have(target, activation):
    assert_same_weights(*both(target, "nesterov", activation=activation))


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov"])
def test_multioutput_agrees_once_its_factor_is_accounted_for(optimizer):
    # scikit-learn averages the loss over the outputs but not its gradient, which is n_outputs = 2
    # times too long; its penalty is not. A rate of 2 r with half the penalty makes up for both.
    ours, theirs = both("multioutput", optimizer, learning_rate=2 * RATE, l2=L2 / 2)
    assert_same_weights(ours, theirs)


def test_multioutput_agrees_with_adam_which_ignores_the_factor():
    ours, theirs = both("multioutput", "adam", l2=L2 / 2)
    assert_same_weights(ours, theirs)


@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel", "regression"])
def test_outputs_agree(target):
    ours, theirs = both(target, "sgd")
    X, y = data(target)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-8)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), rel=1e-8)
    if target != "regression":
        assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-8)
        assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), atol=1e-8)


@pytest.mark.parametrize("tol", [1e-2, 3e-2])
def test_training_stops_in_the_same_epoch(tol):
    X, y = data("multiclass")
    matrices = draw([4, *HIDDEN, 3])
    params = {
        "hidden_layer_sizes": HIDDEN,
        "activation": "relu",
        "batch_size": 16,
        "max_iter": 500,
        "shuffle": False,
        "tol": tol,
        "n_iter_no_change": 3,
        "random_state": 0,
    }
    theirs = starting_from(MLPClassifier, matrices)(
        **params, solver="sgd", momentum=0.0, alpha=L2, learning_rate_init=RATE
    ).fit(X, y)
    ours = ScratchMLPClassifier(
        **params,
        optimizer="sgd",
        init=Given(matrices),
        l2=L2,
        learning_rate=RATE,
        lr_schedule="constant",
        dropout=0.0,
        feature_scaling=None,
        dtype="float64",
    ).fit(X, y)
    assert 5 < ours.n_iter_ < 500
    assert ours.n_iter_ == theirs.n_iter_
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("schedule", ["invscaling", "adaptive"])
def test_schedules_make_the_same_losses(schedule):
    X, y = data("multiclass")
    matrices = draw([4, *HIDDEN, 3])
    params = {
        "hidden_layer_sizes": HIDDEN,
        "activation": "tanh",
        "batch_size": 16,
        "max_iter": 60,
        "shuffle": False,
        "tol": 1e-2,
        "n_iter_no_change": 2,
        "random_state": 0,
    }
    theirs = starting_from(MLPClassifier, matrices)(
        **params,
        solver="sgd",
        momentum=0.0,
        alpha=L2,
        learning_rate=schedule,
        learning_rate_init=RATE,
        power_t=0.5,
    ).fit(X, y)
    ours = ScratchMLPClassifier(
        **params,
        optimizer="sgd",
        init=Given(matrices),
        l2=L2,
        learning_rate=RATE,
        lr_schedule=schedule,
        dropout=0.0,
        feature_scaling=None,
        dtype="float64",
    ).fit(X, y)
    assert len(set(ours.history_["learning_rate"])) > 2
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel"])
def test_lbfgs_reaches_the_same_optimum_of_a_convex_problem(target):
    X, y = data(target)
    params = {"hidden_layer_sizes": (), "max_iter": 5000, "tol": 1e-7, "random_state": 0}
    ours = ScratchMLPClassifier(
        **params, optimizer="lbfgs", l2=1.0, feature_scaling=None, dtype="float64"
    ).fit(X, y)
    theirs = MLPClassifier(**params, solver="lbfgs", alpha=1.0).fit(X, y)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-7)
    # SciPy ends both when the loss changes by less than 2e-9 of itself, short of the optimum.
    assert_allclose(ours.coefs_[0], theirs.coefs_[0], atol=1e-3)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)


def fitted_from_the_same_start(theirs, X, y, max_iter):
    """Fit both from the weights of theirs after an iteration, and return them."""
    theirs.set_params(max_iter=1, warm_start=True).fit(X, y)
    ours = from_sklearn(theirs.set_params(max_iter=max_iter))
    return ours.fit(X, y), theirs.fit(X, y)


@pytest.mark.parametrize("target", ["binary", "multiclass"])
def test_lbfgs_stops_where_scikit_learn_does(target):
    X, y = data(target)
    # The gradient does not get that small, so that the change of the loss decides.
    mlp = MLPClassifier((), solver="lbfgs", alpha=1.0, tol=1e-14, random_state=0)
    ours, theirs = fitted_from_the_same_start(mlp, X, y, max_iter=2000)
    assert 10 < theirs.n_iter_ < 2000
    assert ours.n_iter_ == pytest.approx(theirs.n_iter_, rel=0.2)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-7)


def test_lbfgs_makes_no_more_iterations_than_scikit_learn_between_the_kinks_of_relu():
    X, y = data("binary")
    n_iter = np.zeros(2)
    for seed in range(5):
        mlp = MLPClassifier((20,), solver="lbfgs", alpha=0.1, random_state=seed)
        fitted = fitted_from_the_same_start(mlp, X[:, :2], y, max_iter=2000)
        n_iter += [estimator.n_iter_ for estimator in fitted]
    assert n_iter[0] < 2 * n_iter[1], n_iter


# --- Linear models --------------------------------------------------------------------------

LINEAR = {
    "hidden_layer_sizes": (),
    "feature_scaling": None,
    "dtype": "float64",
    "random_state": 0,
}
CONVEX = {**LINEAR, "optimizer": LBFGS(), "max_iter": 5000, "tol": 1e-9}
WEIGHTED = pytest.mark.parametrize("weighted", [False, True])


def amounts(weighted):
    """Return X, a positive y and, if asked for, weights, some of them 0."""
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X[:, :5])
    return X, y, np.random.default_rng(0).integers(0, 4, len(y)) * 1.0 if weighted else None


def assert_same_line(ours, theirs, atol=1e-3):
    assert_allclose(ours.coefs_[0][:, 0], theirs.coef_.ravel(), rtol=0, atol=atol)
    assert_allclose(ours.intercepts_[0], theirs.intercept_, rtol=0, atol=atol)


@WEIGHTED
@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize(
    ("loss", "theirs"), [("poisson", PoissonRegressor), ("gamma", GammaRegressor)]
)
def test_generalized_linear_models_agree(loss, theirs, alpha, weighted):
    X, y, weights = amounts(weighted)
    if loss == "poisson":
        y = np.round(y / 40)
        assert y.min() == 1
        y -= 1
    # Theirs is mean loss + alpha/2 |w|^2, ours mean loss + l2/2 |w|^2 / sum of weights.
    total = len(y) if weights is None else weights.sum()
    ours = ScratchMLPRegressor(**CONVEX, loss=loss, l2=alpha * total).fit(X, y, weights)
    theirs = theirs(alpha=alpha, tol=1e-10, max_iter=10_000).fit(X, y, weights)
    assert_same_line(ours, theirs, atol=2e-4)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-3)


@WEIGHTED
@pytest.mark.parametrize("quantile", [0.2, 0.5, 0.9])
def test_quantile_regression_agrees(quantile, weighted):
    X, y, weights = amounts(weighted)
    y = y / y.std()
    ours = ScratchMLPRegressor(
        **LINEAR,
        loss=Pinball(quantile),
        l2=0.0,
        standardize_target=False,
        optimizer="adam",
        learning_rate=0.005,
        lr_schedule="cosine",
        batch_size="full",
        max_iter=6000,
    ).fit(X, y, weights)
    assert_same_line(ours, QuantileRegressor(quantile=quantile, alpha=0).fit(X, y, weights))


@WEIGHTED
@pytest.mark.parametrize("epsilon", [1.05, 1.35])
def test_huber_regression_agrees_at_the_scale_that_scikit_learn_finds(epsilon, weighted):
    X, y, weights = amounts(weighted)
    y = y / y.std()
    theirs = HuberRegressor(epsilon=epsilon, alpha=0, tol=1e-8, max_iter=10_000).fit(X, y, weights)
    # For a fixed scale its objective is the Huber loss with delta = epsilon * scale.
    loss = Huber(delta=epsilon * theirs.scale_)
    ours = ScratchMLPRegressor(**CONVEX, loss=loss, l2=0.0, standardize_target=False)
    assert_same_line(ours.fit(X, y, weights), theirs)


@WEIGHTED
@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0, 1: 0.5}], ids=["balanced", "dict"])
@pytest.mark.parametrize("target", ["binary", "multiclass"])
def test_class_weights_agree_with_logistic_regression(target, class_weight, weighted):
    X, y = data(target)
    if target == "multiclass":
        X, y = X[:120], y[:120]  # 50, 50 and 20
    weights = np.random.default_rng(1).uniform(0.2, 3, len(y)) if weighted else None
    # Theirs is C * sum of losses + |w|^2 / 2.
    ours = ScratchMLPClassifier(**CONVEX, l2=2.0, class_weight=class_weight).fit(X, y, weights)
    theirs = LogisticRegression(C=1 / 2.0, class_weight=class_weight, tol=1e-8, max_iter=10_000)
    if weighted and class_weight == "balanced":
        # scikit-learn 1.6 counts rows here, whatever their weight.
        totals = np.bincount(y, weights)
        theirs.class_weight = dict(enumerate(totals.sum() / (len(totals) * totals)))
    theirs.fit(X, y, weights)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)
    if target == "binary":
        assert_same_line(ours, theirs)
