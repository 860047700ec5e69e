"""Interchange with scikit-learn: same predictions, same further steps, same hyperparameters."""

import math
import pickle
import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform, uniform
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.validation import check_is_fitted

from skscratch import (
    LBFGS,
    SGD,
    Adam,
    Adaptive,
    InverseScaling,
    LeakyReLU,
    ScratchMLPClassifier,
    ScratchMLPRegressor,
    from_sklearn,
)
from skscratch._interop.containers import contained
from skscratch.nn import Constant, SquaredError, Tanh

from .conftest import cancer, classifier, diabetes, iris, multilabel, regressor, state

INF = float("inf")
HAS_POISSON = "loss" in MLPRegressor().get_params()
needs_poisson = pytest.mark.skipif(not HAS_POISSON, reason="scikit-learn 1.7 brought the loss")

# scikit-learn 1.6 with a recent SciPy.
pytestmark = pytest.mark.filterwarnings("ignore:.*iprint.*:DeprecationWarning")

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


# From scikit-learn: what it has learned ---------------------------------------------------------


@each_target
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_predicts_what_scikit_learn_does(target, activation):
    X, y = DATA[target]()
    mlp = theirs(target, activation=activation).fit(X, y)
    before = state(mlp)
    estimator = from_sklearn(mlp)
    assert type(estimator) is type(ours(target))
    assert_same_predictions(estimator, mlp, X)
    assert estimator.score(X, y) == pytest.approx(mlp.score(X, y), rel=1e-12)
    assert state(mlp) == before


@each_target
def test_what_was_learned_carries_over(target):
    X, y = DATA[target]()
    frame = pd.DataFrame(X).rename(columns="feature {}".format)
    mlp = theirs(target, max_iter=4).fit(frame, y)
    estimator = from_sklearn(mlp)
    assert_same_weights(estimator, mlp, atol=0)
    names = ["n_features_in_", "n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_"]
    names += ["loss_", "loss_curve_", "best_loss_"]
    names += ["validation_scores_", "best_validation_score_"]
    for name in names:
        assert getattr(estimator, name) == getattr(mlp, name), name
    assert list(estimator.feature_names_in_) == list(frame)
    assert estimator.history_["epoch"] == [1, 2, 3, 4]
    assert all(map(math.isnan, estimator.history_["gradient_norm"]))
    assert len({len(column) for column in estimator.history_.values()}) == 1
    if is_classifier(mlp):
        assert_array_equal(estimator.classes_, mlp.classes_)
        assert estimator.classes_.dtype == mlp.classes_.dtype


@each_target
def test_early_stopping_carries_over(target):
    # scikit-learn 1.6 cannot stop early with classes that are strings.
    X, y = iris() if target == "multiclass" else DATA[target]()
    mlp = theirs(target, early_stopping=True, validation_fraction=0.3, max_iter=6).fit(X, y)
    estimator = from_sklearn(mlp)
    assert estimator.validation_scores_ == mlp.validation_scores_
    assert estimator.best_validation_score_ == mlp.best_validation_score_
    assert estimator.best_loss_ is mlp.best_loss_ is None
    assert_same_predictions(estimator, mlp, X)


def test_interrupted_before_the_epoch_was_scored():
    X, y = iris()
    mlp = theirs("multiclass", early_stopping=True).fit(X, y)
    del mlp.validation_scores_[-1]
    scores = from_sklearn(mlp).history_["validation_score"]
    assert scores[:2] == mlp.validation_scores_
    assert math.isnan(scores[2])


@each_target
def test_after_lbfgs(target):
    X, y = DATA[target]()
    mlp = theirs(target, solver="lbfgs", max_iter=20).fit(X, y)
    estimator = from_sklearn(mlp)
    assert_same_predictions(estimator, mlp, X)
    assert estimator.n_iter_ == mlp.n_iter_ == len(estimator.loss_curve_)
    assert estimator.loss_ == mlp.loss_
    assert all(map(math.isnan, estimator.loss_curve_[:-1]))
    assert not hasattr(estimator, "partial_fit")
    if target == "multioutput":
        return  # scikit-learn's gradient is not that of its loss there
    estimator.set_params(warm_start=True, max_iter=5).fit(X, y)
    assert estimator.loss_ < mlp.loss_


CLASSES = {
    "bool": [False, True],
    "float": [0.0, 2.0, 5.0],
    "negative": [-1, 1],
    "object": np.array(["b", "a", "c"], dtype=object),
    "many": range(40),
}


@pytest.mark.parametrize("classes", CLASSES.values(), ids=CLASSES)
def test_classes_of_any_kind(classes):
    X, _ = diabetes()
    y = np.asarray(classes)[np.arange(len(X)) % len(classes)]
    mlp = theirs("multiclass").fit(X, y)
    estimator = from_sklearn(mlp)
    assert_array_equal(estimator.classes_, mlp.classes_)
    assert_same_predictions(estimator, mlp, X)
    back = estimator.to_sklearn()
    assert_array_equal(back.classes_, mlp.classes_)
    assert_same_predictions(back, mlp, X)
    assert_same_weights(back.partial_fit(X, y), mlp.partial_fit(X, y))


def test_two_labels_are_not_two_classes():
    X, Y = multilabel()
    mlp = theirs("multilabel").fit(X, Y[:, :2])
    estimator = from_sklearn(mlp)
    assert estimator.predict(X).shape == (len(X), 2)
    assert_same_predictions(estimator, mlp, X)
    assert_same_predictions(estimator.to_sklearn(), mlp, X)


def test_without_hidden_layers():
    X, y = iris()
    mlp = theirs("multiclass", hidden_layer_sizes=(), activation="logistic").fit(X, y)
    estimator = from_sklearn(mlp)
    assert_same_predictions(estimator, mlp, X)
    assert estimator.to_sklearn().activation == "logistic"
    assert classifier(hidden_layer_sizes=(), activation="gelu").to_sklearn().activation == "relu"


def test_float32_stays_float32():
    X, y = iris()
    mlp = theirs("multiclass").fit(X.astype(np.float32), y)
    estimator = from_sklearn(mlp)
    assert estimator.dtype == "float32"
    assert estimator.network_.dtype == np.float32
    assert_allclose(estimator.predict_proba(X), mlp.predict_proba(X), atol=1e-5)
    back = estimator.to_sklearn()
    assert {W.dtype for W in back.coefs_ + back.intercepts_} == {np.dtype("float32")}
    assert_array_equal(back.predict_proba(X), mlp.predict_proba(X))


def test_parameters_changed_since_fit_do_not_matter():
    X, y = iris()
    mlp = theirs("multiclass").fit(X, y)
    mlp.set_params(hidden_layer_sizes=(3,), solver="sgd")
    estimator = from_sklearn(mlp)
    assert estimator.hidden_layer_sizes == (7, 5)
    assert_same_predictions(estimator, mlp, X)
    # Adam's moments are of no use to SGD, which begins with none.
    assert not np.any(estimator._learner.state.moments)


# From scikit-learn: training further ------------------------------------------------------------


@each_target
@each_solver
def test_goes_on_step_by_step(target, solver):
    X, y = DATA[target]()
    if target == "multioutput" and solver["solver"] == "adam":
        solver = {**solver, "epsilon": 1e-16}
    mlp = theirs(target, **solver).fit(X, y)
    estimator = from_sklearn(mlp)
    if target == "multioutput":
        # The documented difference: scikit-learn's gradient is 3 times ours.
        factor = 1 if solver["solver"] == "adam" else 3
        estimator.set_params(l2=estimator.l2 / 3, learning_rate=estimator.learning_rate * factor)
    for _ in range(4):
        estimator.partial_fit(X, y)
        mlp.partial_fit(X, y)
    assert_same_weights(estimator, mlp, atol=1e-10)
    assert estimator.t_ == mlp.t_ == 7 * len(X)
    if target != "multioutput":
        assert_allclose(estimator.loss_curve_, mlp.loss_curve_, rtol=1e-9)
        assert estimator.history_["epoch"] == list(range(1, 8))


def test_goes_on_at_the_adaptive_rate():
    X, y = iris()
    mlp = theirs(
        "multiclass",
        solver="sgd",
        learning_rate="adaptive",
        learning_rate_init=0.5,
        tol=10.0,
        n_iter_no_change=2,
        max_iter=8,
    ).fit(X, y)
    assert mlp._optimizer.learning_rate == pytest.approx(0.5 / 25)
    mlp.set_params(n_iter_no_change=1000)
    estimator = from_sklearn(mlp)
    back = estimator.to_sklearn()
    assert back._optimizer.learning_rate == pytest.approx(0.5 / 25)
    for each in (estimator, mlp, back):
        each.partial_fit(X, y)
    assert estimator.history_["learning_rate"][-1] == pytest.approx(0.5 / 25)
    assert_same_weights(estimator, mlp)
    assert_same_weights(back, mlp)


def test_warm_start_goes_on():
    X, y = iris()
    mlp = theirs("multiclass", **SOLVERS["plain"], warm_start=True).fit(X, y)
    estimator = from_sklearn(mlp).fit(X, y)
    assert_same_weights(estimator, mlp.fit(X, y))
    assert estimator.n_iter_ == mlp.n_iter_ == 3
    assert_allclose(estimator.loss_curve_, mlp.loss_curve_, rtol=1e-12)


def test_the_moments_matter():
    # Or else the tests above would not tell whether they are carried over.
    X, y = iris()
    mlp = theirs("multiclass").fit(X, y)
    estimator = from_sklearn(mlp)
    del mlp._optimizer
    estimator.partial_fit(X, y)
    mlp.partial_fit(X, y)
    assert np.abs(estimator.coefs_[0] - mlp.coefs_[0]).max() > 1e-3


def test_nothing_is_shared():
    X, y = iris()
    mlp = theirs("multiclass", random_state=np.random.RandomState(0)).fit(X, y)
    before = state(mlp)
    estimator = from_sklearn(mlp)
    learned = state(estimator)
    back = estimator.to_sklearn()
    assert state(estimator) == learned
    back.partial_fit(X, y)
    assert state(estimator) == learned
    estimator.set_params(warm_start=True).fit(X, y)
    assert state(mlp) == before


# From scikit-learn: hyperparameters -------------------------------------------------------------


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
    "refit": False,
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
TRANSLATIONS = {
    "sgd": (
        {"solver": "sgd", "momentum": 0.7, "nesterovs_momentum": False},
        {"optimizer": SGD(momentum=0.7), "lr_schedule": Constant()},
    ),
    "nesterov": (
        {"solver": "sgd", "momentum": 0.7, "nesterovs_momentum": True},
        {"optimizer": SGD(momentum=0.7, nesterov=True), "lr_schedule": Constant()},
    ),
    "nesterov without momentum": (
        {"solver": "sgd", "momentum": 0.0, "nesterovs_momentum": True},
        {"optimizer": SGD(), "lr_schedule": Constant()},
    ),
    "adam": (
        {"solver": "adam", "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-5},
        {"optimizer": Adam(0.8, 0.9, 1e-5, correct_epsilon=False), "lr_schedule": Constant()},
    ),
    "adam, which has no schedule": (
        {"solver": "adam", "learning_rate": "adaptive"},
        {"optimizer": Adam(correct_epsilon=False), "lr_schedule": Constant()},
    ),
    "lbfgs, which has no schedule": (
        {"solver": "lbfgs", "max_fun": 99, "learning_rate": "invscaling"},
        {
            "optimizer": LBFGS(memory=10, max_fun=99),
            "lr_schedule": Constant(),
        },
    ),
    "invscaling": (
        {"solver": "sgd", "momentum": 0.0, "learning_rate": "invscaling", "power_t": 0.2},
        {"optimizer": SGD(), "lr_schedule": InverseScaling(0.2)},
    ),
    "invscaling by nothing": (
        {"solver": "sgd", "momentum": 0.0, "learning_rate": "invscaling", "power_t": 0.0},
        {"optimizer": SGD(), "lr_schedule": Constant()},
    ),
    "adaptive": (
        {"solver": "sgd", "momentum": 0.0, "learning_rate": "adaptive"},
        {"optimizer": SGD(), "lr_schedule": Adaptive(factor=5.0, minimum=1e-6)},
    ),
    "automatic batches": (
        {"solver": "sgd", "momentum": 0.0, "batch_size": "auto"},
        {"optimizer": SGD(), "lr_schedule": Constant(), "batch_size": 200},
    ),
    "unused fraction, unlimited patience, no hidden layer": (
        {
            "early_stopping": False,
            "validation_fraction": 0.0,
            "n_iter_no_change": INF,
            "hidden_layer_sizes": (),
        },
        {
            "optimizer": Adam(correct_epsilon=False),
            "lr_schedule": Constant(),
            "early_stopping": False,
            "validation_fraction": 0.1,
            "n_iter_no_change": INF,
            "hidden_layer_sizes": (),
        },
    ),
}


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(("given", "expected"), TRANSLATIONS.values(), ids=TRANSLATIONS)
def test_hyperparameters(kind, given, expected):
    estimator = from_sklearn(kind(**{**THEIR_COMMON, **given}))
    assert not hasattr(estimator, "network_")
    params = estimator.get_params(deep=False)
    expected = {**COMMON, **expected}
    if kind is MLPClassifier:
        expected |= {"loss": "log_loss", "label_smoothing": 0.0, "class_weight": None}
        expected |= {"calibrate": False}
    else:
        expected |= {"loss": "squared_error", "standardize_target": False}
    assert params == expected


@pytest.mark.parametrize("ours", [ScratchMLPClassifier, ScratchMLPRegressor])
def test_our_defaults_play_no_part(ours, monkeypatch):
    kind = MLPClassifier if ours is ScratchMLPClassifier else MLPRegressor
    expected = from_sklearn(kind()).get_params()
    nonsense = dict.fromkeys(ours.__init__.__kwdefaults__, "nonsense")
    monkeypatch.setattr(ours.__init__, "__kwdefaults__", nonsense)
    monkeypatch.setattr(ours.__init__, "__defaults__", ("nonsense", "nonsense"))
    estimator = from_sklearn(kind())
    assert "nonsense" in ours().get_params().values()
    assert estimator.get_params() == expected


@each_target
@each_solver
def test_unfitted_can_be_fitted_and_converted_back(target, solver):
    X, y = DATA[target]()
    mlp = theirs(target, **solver)
    estimator = from_sklearn(mlp)
    # Parameters that the solver does not use are not kept.
    assert estimator.to_sklearn().get_params() == {**type(mlp)().get_params(), **mlp.get_params()}
    assert_same_predictions(estimator.fit(X, y).to_sklearn(), estimator, X)


@needs_poisson
def test_poisson_from_scikit_learn():
    X, y = counts()
    mlp = theirs("counts", loss="poisson").fit(X, y)
    estimator = from_sklearn(mlp)
    assert estimator.loss == "poisson"
    assert_same_predictions(estimator, mlp, X)
    for each in (mlp, estimator):
        each.partial_fit(X, y)
    assert_same_weights(estimator, mlp)
    assert_allclose(estimator.loss_curve_, mlp.loss_curve_, rtol=1e-9)
    assert from_sklearn(theirs("counts", loss="poisson")).loss == "poisson"


class Derived(MLPClassifier):
    pass


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (MLPClassifier, ["the class MLPClassifier", "object"]),
        (Derived(), ["derived class Derived"]),
        (classifier(), ["type ScratchMLPClassifier"]),
        (None, ["NoneType"]),
        ("MLPClassifier", ["type str"]),
        (make_pipeline(StandardScaler(), LogisticRegression()), ["type Pipeline"]),
        (make_pipeline(StandardScaler(), Derived()), ["derived class Derived"]),
    ],
)
def test_takes_nothing_else(wrong, words):
    with pytest.raises(TypeError, match="from_sklearn takes") as caught:
        from_sklearn(wrong)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"solver": "newton"}, "solver must be .* got 'newton'"),
        ({"solver": "sgd", "learning_rate": "cosine"}, "learning_rate must be .* got 'cosine'"),
        ({"alpha": -1.0}, "l2 must be .* got -1.0"),
        ({"activation": "rleu"}, "Unknown activation 'rleu'"),
        ({"solver": "sgd", "momentum": 1.0}, "momentum.* got 1.0"),
        ({"early_stopping": True, "validation_fraction": 0.0}, "validation_fraction.* got 0.0"),
    ],
)
def test_bad_hyperparameters(params, message):
    with pytest.raises(ValueError, match=message):
        from_sklearn(MLPClassifier(**params))


def test_unknown_loss():
    mlp = MLPRegressor()
    mlp.loss = "hinge"
    with pytest.raises(ValueError, match="loss='hinge'"):
        from_sklearn(mlp)


def test_a_single_class():
    X, _ = iris()
    mlp = theirs("binary").fit(X, np.full(len(X), "a"))
    estimator = from_sklearn(mlp)
    for one in (mlp, estimator, estimator.to_sklearn()):
        assert_array_equal(one.predict(X), np.full(len(X), "a"))
    assert_array_equal(estimator.predict_proba(X), np.ones((len(X), 1)))
    assert_same_weights(estimator, mlp)
    assert_same_weights(estimator.to_sklearn(), mlp)


@pytest.mark.parametrize("n_rows", [100, 1100])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_precision_of_an_unfitted_one_is_found_in_fit(dtype, n_rows):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 3)).astype(dtype)
    mlp = MLPClassifier((4,), max_iter=1)
    clf = from_sklearn(mlp)
    assert clf.dtype == "auto"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf.fit(X, X[:, 0] > 0)
        fitted = from_sklearn(mlp.fit(X, X[:, 0] > 0))
    # Few rows take no longer in double precision.
    assert clf.network_.dtype == ("float32" if n_rows > 1000 else "float64")
    assert fitted.dtype == fitted.network_.dtype == dtype


# From scikit-learn: what contains an MLP --------------------------------------------------------


def small(kind=MLPClassifier, **params):
    return kind(**{"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0, **params})


def scaled(**params):
    return make_pipeline(StandardScaler(), small(**params))


CONTAINERS = {
    "pipeline": (scaled(), named_classes),
    "bagging": (BaggingClassifier(small(), 2, max_features=0.5, random_state=0), named_classes),
    "voting": (VotingClassifier([("a", small()), ("b", scaled())], voting="soft"), iris),
    "stacking": (StackingClassifier([("a", small())], small(), cv=2), iris),
    "one-vs-rest": (OneVsRestClassifier(small()), iris),
    "calibrated stack": (
        CalibratedClassifierCV(
            StackingClassifier([("a", small())], LogisticRegression(), cv=2), cv=2
        ),
        iris,
    ),
    "several targets": (MultiOutputClassifier(small()), multilabel),
    "with a lambda": (make_pipeline(FunctionTransformer(lambda X: 2 * X), small()), iris),
    "transformed target": (
        TransformedTargetRegressor(small(MLPRegressor), transformer=StandardScaler()),
        diabetes,
    ),
    "bagging of searches": (
        BaggingClassifier(GridSearchCV(small(), {"alpha": [0.1, 1.0]}, cv=2), 2, random_state=0),
        iris,
    ),
}


def mlps_in(model):
    return [part for part in contained(model) if isinstance(part, MLPClassifier | MLPRegressor)]


@pytest.mark.parametrize(("model", "data"), CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_contains_an_mlp(model, data):
    X, y = data()
    model = clone(model)
    unfitted = from_sklearn(model)
    assert type(unfitted) is type(model)
    assert mlps_in(model)
    assert not mlps_in(unfitted)
    unfitted.fit(X, y).predict(X)
    number = len(mlps_in(model.fit(X, y)))
    converted = from_sklearn(model)
    assert not mlps_in(converted)
    assert len(mlps_in(model)) == number
    if hasattr(model, "predict_proba"):
        assert_array_equal(converted.predict(X), model.predict(X))
        assert_allclose(converted.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-12)
    else:
        assert_allclose(converted.predict(X), model.predict(X))


def test_one_that_is_referred_to_twice_stays_one():
    X, y = iris()
    model = VotingClassifier([("a", small(tol=1.0, n_iter_no_change=1))]).fit(X, y)
    converted = from_sklearn(model)
    assert converted.named_estimators_["a"] is converted.estimators_[0]


@pytest.mark.parametrize(
    "outer",
    [CalibratedClassifierCV(cv=2), OneVsOneClassifier(small()), OutputCodeClassifier(small())],
    ids=lambda outer: type(outer).__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_was_fitted_to_probabilities_does_not_get_logits(outer):
    X, y = iris()
    model = clone(outer).set_params(estimator=scaled()).fit(X, y)
    with pytest.raises(ValueError, match=r"fitted \w+ has learned from probabilities.*clone"):
        from_sklearn(model)
    assert from_sklearn(clone(model)).fit(X, y).score(X, y) > 0.3


def test_requests_of_metadata_carry_over():
    with config_context(enable_metadata_routing=True):
        mlp = small()
        if not hasattr(mlp, "set_fit_request"):
            pytest.skip("scikit-learn 1.6's MLP takes no weights")
        mlp.set_fit_request(sample_weight=True)
        requests = from_sklearn(make_pipeline(mlp))[-1].get_metadata_routing().fit.requests
    assert requests["sample_weight"] is True


# From scikit-learn: searches --------------------------------------------------------------------

ADAM = Adam(correct_epsilon=False)
NESTEROV = SGD(momentum=0.9, nesterov=True)
GRIDS = {
    "names and values": (
        {"mlp__alpha": [0.1, 1.0], "mlp__batch_size": ["auto", 16], "scale__with_mean": [True]},
        {"mlp__l2": [0.1, 1.0], "mlp__batch_size": [200, 16], "scale__with_mean": [True]},
    ),
    "rates": (
        {"mlp__learning_rate_init": np.array([0.1, 1.0])},
        {"mlp__learning_rate": [0.1, 1.0]},
    ),
    "an optimizer": (
        {"mlp__momentum": [0.0, 0.9]},
        {"mlp__optimizer": [SGD(), NESTEROV]},
    ),
    "a schedule": (
        {"mlp__learning_rate": ["constant", "adaptive"]},
        {"mlp__lr_schedule": [Constant(), Adaptive(factor=5.0, minimum=1e-6)]},
    ),
    "both, any with any": (
        {"mlp__momentum": [0.0, 0.9], "mlp__learning_rate": ["constant", "adaptive"]},
        {
            "mlp__optimizer": [SGD(), NESTEROV],
            "mlp__lr_schedule": [Constant(), Adaptive(factor=5.0, minimum=1e-6)],
        },
    ),
    "a solver that has no schedule": (
        {"mlp__solver": ["adam", "sgd"], "mlp__learning_rate": ["constant", "adaptive"]},
        [
            {"mlp__optimizer": [optimizer], "mlp__lr_schedule": [schedule]}
            for optimizer, schedule in (
                (ADAM, Constant()),
                (NESTEROV, Constant()),
                (NESTEROV, Adaptive(factor=5.0, minimum=1e-6)),
            )
        ],
    ),
    "early stopping, which no solver changes": (
        {"mlp__solver": ["lbfgs", "adam"], "mlp__early_stopping": [True, False]},
        {
            "mlp__optimizer": [LBFGS(), ADAM],
            "mlp__lr_schedule": [Constant()],
            "mlp__early_stopping": [True, False],
        },
    ),
    "several": (
        [{"mlp__alpha": [1.0]}, {"scale": ["passthrough"]}],
        [{"mlp__l2": [1.0]}, {"scale": ["passthrough"]}],
    ),
    "in place of the MLP": (
        [{"mlp": [LogisticRegression()], "mlp__C": [1.0]}],
        [{"mlp": [LogisticRegression()], "mlp__C": [1.0]}],
    ),
}


def steps(**params):
    return Pipeline([("scale", StandardScaler()), ("mlp", small(**params))])


@pytest.mark.parametrize(("given", "expected"), GRIDS.values(), ids=GRIDS)
def test_grids(given, expected):
    search = GridSearchCV(steps(solver="sgd"), given, cv=2)
    before = repr(search.param_grid)
    converted = from_sklearn(search).param_grid
    assert repr(search.param_grid) == before
    assert repr(converted) == repr(expected) or converted == expected


def test_a_grid_may_hold_mlps():
    X, y = iris()
    grid = {"mlp": [small(alpha=1.0), small(alpha=2.0)], "mlp__tol": [1.0]}
    search = GridSearchCV(Pipeline([("mlp", LogisticRegression())]), grid, cv=2)
    converted = from_sklearn(search)
    assert [mlp.l2 for mlp in converted.param_grid["mlp"]] == [1.0, 2.0]
    converted.fit(X, y)


def test_distributions():
    alpha, beta = loguniform(1e-4, 1), uniform(0.5, 0.4)
    search = RandomizedSearchCV(
        steps(), {"mlp__alpha": alpha, "mlp__beta_1": beta}, n_iter=2, cv=2, random_state=0
    )
    converted = from_sklearn(search)
    assert list(converted.param_distributions) == ["mlp__l2", "mlp__optimizer__beta1"]
    converted.fit(*iris())
    assert 1e-4 <= converted.best_estimator_[-1].l2 <= 1
    assert 0.5 <= converted.best_estimator_[-1].optimizer.beta1 <= 0.9


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"mlp__momentum": uniform()}, "'mlp__momentum' .* no use of it with solver='adam'"),
        (
            {"mlp__beta_1": uniform(), "mlp__solver": ["adam"]},
            "'mlp__beta_1' .* of mlp__beta_1, mlp__solver only lists",
        ),
        ({"mlp__alpha": 0.1}, "'mlp__alpha' .* 0.1 is neither a list nor a distribution"),
        (
            {"mlp": [small(), LogisticRegression()], "mlp__tol": [0.1]},
            "'mlp__tol' .* to MLPs and to other estimators",
        ),
        (
            {"mlp": [small(), small(solver="sgd")], "mlp__learning_rate": ["constant"]},
            "'mlp__learning_rate' .* to several MLPs",
        ),
        (
            [
                {"mlp__solver": ["sgd", "adam"], "mlp__learning_rate": ["constant", "adaptive"]},
                {"mlp__alpha": [1.0]},
            ],
            "one of its dicts becomes several",
        ),
    ],
)
def test_grids_that_cannot_be_translated(grid, message):
    with pytest.raises(ValueError, match=message):
        from_sklearn(RandomizedSearchCV(steps(), grid))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fitted_search():
    X, y = iris()
    grid = [
        {"mlp__alpha": [0.1, 1.0], "mlp__solver": ["sgd", "adam"]},
        {"scale": ["passthrough"]},
    ]
    search = GridSearchCV(steps(), grid, cv=2).fit(X, y)
    converted = from_sklearn(search)
    assert_same_predictions(converted, search, X)
    assert isinstance(converted.best_estimator_[-1], ScratchMLPClassifier)
    results, its = converted.cv_results_, search.cv_results_
    assert_array_equal(results["mean_test_score"], its["mean_test_score"])
    assert [params.get("mlp__l2") for params in results["params"]] == [0.1, 0.1, 1.0, 1.0, None]
    assert results["param_mlp__l2"].tolist() == [0.1, 0.1, 1.0, 1.0, None]
    assert results["param_mlp__optimizer"][:2].tolist() == [NESTEROV, ADAM]
    assert not any("alpha" in key or "solver" in key for key in results)
    assert converted.best_params_ == results["params"][converted.best_index_]
    assert "mlp__alpha" in its["params"][0]
    steps_now = converted.best_estimator_.get_params()
    assert all(steps_now[name] == value for name, value in converted.best_params_.items())
    clone(converted).fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_halving():
    X, y = iris()
    search = HalvingGridSearchCV(
        small(), {"alpha": [0.1, 1.0]}, cv=2, resource="max_iter", min_resources=2, max_resources=4
    )
    converted = from_sklearn(search)
    assert converted.param_grid == {"l2": [0.1, 1.0]}
    converted.fit(X, y)
    search.fit(X, y)
    assert_same_predictions(from_sklearn(search), search, X)


# To scikit-learn: what was learned --------------------------------------------------------------


@each_target
@pytest.mark.parametrize("activation", ["identity", "sigmoid", "tanh", ["relu", "relu"]])
def test_scikit_learn_predicts_what_ours_does(target, activation):
    X, y = DATA[target]()
    estimator = ours(target, hidden_layer_sizes=(7, 5), activation=activation).fit(X, y)
    mlp = estimator.to_sklearn()
    assert type(mlp) is type(theirs(target))
    check_is_fitted(mlp)
    assert_same_predictions(mlp, estimator, X)
    assert mlp.score(X, y) == pytest.approx(estimator.score(X, y), rel=1e-12)
    assert_same_predictions(from_sklearn(mlp), estimator, X)
    restored = pickle.loads(pickle.dumps(mlp))
    assert_same_predictions(restored, estimator, X)
    assert b"skscratch" not in pickle.dumps(mlp)


@each_target
@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [
        (SGD(), "constant"),
        (SGD(momentum=0.8), "constant"),
        (SGD(momentum=0.8, nesterov=True), "invscaling"),
        (Adam(epsilon=1e-16), "constant"),
    ],
)
def test_scikit_learn_goes_on_step_by_step(target, optimizer, schedule):
    X, y = DATA[target]()
    settings = {"standardize_target": False} if target in REGRESSION else {}
    if target in REGRESSION and isinstance(optimizer, SGD):
        settings["learning_rate"] = 1e-6
    estimator = ours(
        target, optimizer=optimizer, lr_schedule=schedule, shuffle=False, l2=0.0, **settings
    ).fit(X, y)
    mlp = estimator.to_sklearn()
    if target == "multioutput" and isinstance(optimizer, SGD):
        estimator.set_params(learning_rate=3 * estimator.learning_rate)
    for each in (estimator, mlp):
        each.partial_fit(X, y).partial_fit(X, y)
    assert_same_weights(mlp, estimator, atol=1e-10)
    assert mlp.t_ == estimator.t_


@each_target
def test_attributes_of_scikit_learn(target):
    X, y = DATA[target]()
    frame = pd.DataFrame(X).rename(columns="feature {}".format)
    unit = {"standardize_target": False} if target in REGRESSION else {}
    estimator = ours(target, **unit).fit(frame, y)
    mlp = estimator.to_sklearn()
    expected = set(vars(theirs(target).fit(frame, y)))
    assert expected <= set(vars(mlp))
    names = ["n_features_in_", "n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_"]
    names += ["loss_", "loss_curve_", "best_loss_"]
    names += ["validation_scores_", "best_validation_score_"]
    for name in names:
        assert getattr(mlp, name) == getattr(estimator, name), name
    assert list(mlp.feature_names_in_) == list(frame)
    if is_classifier(mlp):
        assert_array_equal(mlp.classes_, estimator.classes_)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_a_standardized_target_goes_into_the_last_layer(n_outputs):
    X, y = several_outputs()
    y = y[:, :n_outputs].squeeze() + 1e4
    estimator = regressor(standardize_target=True).fit(X, y)
    mlp = estimator.to_sklearn()
    assert_same_predictions(mlp, estimator, X)
    assert_array_equal(mlp.coefs_[0], estimator.coefs_[0])
    assert not hasattr(mlp, "_optimizer")  # moments would be in other units
    mlp.partial_fit(X, y)
    estimator = regressor(standardize_target=True, dtype="float32").fit(X, y)
    assert_same_predictions(estimator.to_sklearn(), estimator, X, atol=0, rtol=1e-6)


@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_temperature_goes_into_the_last_layer(target, dtype):
    X, y = DATA[target]()
    held_out = {"X_val": X[::2], "y_val": y[::2]}
    estimator = classifier(calibrate=True, dtype=dtype).fit(X[1::2], y[1::2], **held_out)
    assert estimator.temperature_ != 1
    mlp = estimator.to_sklearn()
    assert_same_predictions(mlp, estimator, X, atol=1e-6 if dtype == "float32" else 1e-12)
    assert_array_equal(mlp.coefs_[0], estimator.coefs_[0])
    assert {W.dtype for W in mlp.coefs_ + mlp.intercepts_} == {np.dtype(dtype)}
    assert not hasattr(mlp, "_optimizer")  # moments would be of other weights
    mlp.partial_fit(X, y)
    back = from_sklearn(estimator.to_sklearn())
    assert (back.calibrate, back.temperature_) == (False, 1.0)
    assert_same_predictions(back, estimator, X, atol=1e-6 if dtype == "float32" else 1e-12)


def test_moments_of_another_optimizer_are_left_behind():
    X, y = iris()
    estimator = classifier(optimizer="adam").fit(X, y).set_params(optimizer=SGD(momentum=0.5))
    mlp = estimator.to_sklearn()
    assert not hasattr(mlp, "_optimizer")
    for each in (mlp, estimator):
        each.set_params(shuffle=False).partial_fit(X, y)
    assert_same_weights(mlp, estimator)


def test_conversion_is_silent(capsys):
    X, y = iris()
    mlp = theirs("multiclass", verbose=True).fit(X, y)
    capsys.readouterr()
    estimator = from_sklearn(mlp)
    back = estimator.to_sklearn()
    assert capsys.readouterr().out == ""
    assert estimator.verbose is back.verbose is True


@pytest.mark.parametrize("early_stopping", [True, "auto"])
def test_early_stopping_goes_on(early_stopping, monkeypatch):
    monkeypatch.setattr("skscratch._settings.AUTO_FROM", 100)
    X, y = iris()
    estimator = classifier(early_stopping=early_stopping, max_iter=30).fit(X, y)
    mlp = estimator.to_sklearn()
    assert mlp.early_stopping is True
    assert mlp.validation_scores_ == estimator.validation_scores_
    assert mlp.best_validation_score_ == estimator.best_validation_score_
    assert mlp.best_loss_ is None
    # No score is better, so that scikit-learn returns to the best weights so far: these.
    mlp.best_validation_score_ = 2.0
    mlp.set_params(warm_start=True, max_iter=2).fit(X, y)
    assert_same_weights(mlp, estimator, atol=0)


@pytest.mark.parametrize(("first", "then"), [(True, False), (False, True)])
def test_early_stopping_can_be_changed_before(first, then):
    X, y = iris()
    estimator = classifier(early_stopping=first).fit(X, y)
    mlp = estimator.set_params(early_stopping=then, warm_start=True).to_sklearn()
    assert_same_predictions(mlp, estimator, X)
    mlp.fit(X, y)
    assert mlp.n_iter_ == 5


@each_target
def test_lbfgs_to_scikit_learn(target):
    X, y = DATA[target]()
    estimator = ours(target, optimizer=LBFGS(max_fun=88), max_iter=10).fit(X, y)
    mlp = estimator.to_sklearn()
    assert (mlp.solver, mlp.max_fun) == ("lbfgs", 88)
    assert_same_predictions(mlp, estimator, X)
    assert mlp.loss_ == estimator.loss_
    assert mlp.n_iter_ == 10
    if is_classifier(mlp):
        mlp.set_params(warm_start=True).fit(X, y)
        assert mlp.loss_ < estimator.loss_


@needs_poisson
@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_log_link_to_scikit_learn(loss):
    X, y = counts()
    estimator = regressor(loss=loss).fit(X, y + 1)
    mlp = estimator.to_sklearn()
    assert mlp.loss == "poisson"
    assert_same_predictions(mlp, estimator, X)


@pytest.mark.skipif(HAS_POISSON, reason="for scikit-learn 1.6")
def test_log_link_needs_a_later_scikit_learn():
    X, y = counts()
    for estimator in (regressor(loss="poisson").fit(X, y), regressor(loss="poisson")):
        with pytest.raises(ValueError, match=r"scikit-learn 1\.6.* has nothing like loss='poiss"):
            estimator.to_sklearn()


# To scikit-learn: what it lacks -----------------------------------------------------------------

TRAINING_ONLY = [
    ({"dropout": 0.2}, "dropout=0.2"),
    ({"dropout": [0.2]}, "dropout=[0.2]"),
    ({"optimizer": "nadam"}, "optimizer='nadam'"),
    ({"optimizer": "adamw"}, "optimizer='adamw'"),
    ({"optimizer": LBFGS(memory=5)}, "optimizer=LBFGS(memory=5"),
    ({"lr_schedule": "cosine"}, "lr_schedule='cosine'"),
    ({"lr_schedule": "invscaling"}, "lr_schedule='invscaling'"),
    ({"optimizer": "sgd", "lr_schedule": Adaptive(factor=2.0)}, "lr_schedule=Adaptive(factor=2"),
    ({"batch_size": "full"}, "batch_size='full'"),
    ({"batch_size": "auto"}, "batch_size='auto'"),
    ({"max_iter": "auto"}, "max_iter='auto'"),
    ({"lr_schedule": "auto"}, "lr_schedule='auto'"),
    ({"clip_norm": 1.0}, "clip_norm=1.0"),
    ({"early_stopping": "auto"}, "early_stopping='auto'"),
    ({"scoring": "loss"}, "scoring='loss'"),
]
CLASSIFIER_ONLY = [
    ({"label_smoothing": 0.1}, "label_smoothing=0.1"),
    ({"class_weight": "balanced"}, "class_weight='balanced'"),
]
REGRESSOR_ONLY = [
    ({"standardize_target": True}, "standardize_target=True"),
    ({"loss": "huber"}, "loss='huber'"),
]
LACKING = [
    pytest.param(target, params, words, id=f"{target}-{words}")
    for target, cases in {
        "multiclass": TRAINING_ONLY + CLASSIFIER_ONLY,
        "regression": TRAINING_ONLY + REGRESSOR_ONLY,
    }.items()
    for params, words in cases
]


@pytest.mark.parametrize(("target", "params", "words"), LACKING)
def test_what_only_training_needs_stands_in_the_way_of_an_unfitted_one(target, params, words):
    X, y = DATA[target]()
    plain = {"standardize_target": False} if target == "regression" else {}
    ours(target, **plain).to_sklearn()
    estimator = ours(target, **{**plain, **params})
    with pytest.raises(ValueError, match="has nothing like") as caught:
        estimator.to_sklearn()
    assert words in str(caught.value)
    assert "Once fitted" in str(caught.value)
    mlp = estimator.fit(X, y).to_sklearn()
    assert_same_predictions(mlp, estimator, X)
    clone(mlp).fit(X, y)
    if mlp.solver != "lbfgs":
        mlp.partial_fit(X, y)


@pytest.mark.parametrize("calibrate", [True, "auto"])
def test_calibration_stands_in_the_way_of_an_unfitted_one(calibrate):
    estimator = classifier(calibrate=calibrate, early_stopping=True)
    with pytest.raises(ValueError, match=f"has nothing like calibrate={calibrate!r}"):
        estimator.to_sklearn()


PREDICTION = [
    ({"activation": "gelu"}, "activation='gelu'"),
    ({"activation": ("relu", "tanh")}, "activation=('relu', 'tanh')"),
    ({"activation": LeakyReLU(slope=0.0)}, "activation=LeakyReLU(slope=0.0)"),
    ({"normalization": "batch"}, "normalization='batch'"),
    ({"normalization": "layer"}, "normalization='layer'"),
    ({"feature_scaling": "robust"}, "feature_scaling='robust'"),
    ({"feature_scaling": "learned"}, "feature_scaling='learned'"),
    ({"numerical_embedding": "periodic"}, "numerical_embedding="),
]


@pytest.mark.parametrize(("params", "words"), PREDICTION, ids=[words for _, words in PREDICTION])
@pytest.mark.parametrize("target", ["multiclass", "regression"])
def test_what_predictions_need_stands_in_the_way_of_any(target, params, words):
    X, y = DATA[target]()
    estimator = ours(target, hidden_layer_sizes=(4, 4), dropout=0.1, **params)
    with pytest.raises(ValueError, match="has nothing like") as caught:
        estimator.to_sklearn()
    assert words in str(caught.value)
    assert "dropout=0.1" in str(caught.value)
    with pytest.raises(ValueError, match="has nothing like") as caught:
        estimator.fit(X, y).to_sklearn()
    assert words in str(caught.value)
    assert "dropout" not in str(caught.value)


@dataclass
class Softplus(SquaredError):
    """A loss with a link that scikit-learn does not know."""

    out_activation: ClassVar[str] = "softplus"

    def inverse_link(self, Z):
        return np.logaddexp(Z, 0)


@pytest.mark.parametrize("fitted", [False, True])
def test_another_link_stands_in_the_way(fitted):
    X, y = diabetes()
    estimator = regressor(loss=Softplus(), standardize_target=False)
    if fitted:
        estimator.fit(X, y)
    with pytest.raises(ValueError, match=r"has nothing like loss=Softplus\(\)"):
        estimator.to_sklearn()


def test_the_network_counts_and_not_parameters_changed_since():
    X, y = iris()
    estimator = classifier(activation="tanh").fit(X, y)
    estimator.set_params(activation="gelu", hidden_layer_sizes=(3, 3))
    mlp = estimator.to_sklearn()
    assert (mlp.activation, mlp.hidden_layer_sizes) == ("tanh", (8,))
    assert_same_predictions(mlp, estimator, X)
    estimator = classifier(activation="gelu").fit(X, y).set_params(activation="tanh")
    with pytest.raises(ValueError, match=r"activation=\[GELU\(\)\]"):
        estimator.to_sklearn()


def test_bad_parameters_are_named():
    with pytest.raises(ValueError, match="l2 must be"):
        classifier(l2=-1.0).to_sklearn()


# To scikit-learn: hyperparameters ---------------------------------------------------------------


@pytest.mark.parametrize("make", [classifier, regressor])
def test_hyperparameters_of_scikit_learn(make):
    params = {
        "hidden_layer_sizes": [9, 4],
        "activation": ["logistic", "sigmoid"],
        "optimizer": SGD(momentum=0.3, nesterov=True),
        "lr_schedule": InverseScaling(power=0.2),
        "l2": 0.5,
        "learning_rate": 0.02,
        "batch_size": 32,
        "max_iter": 77,
        "shuffle": False,
        "random_state": 5,
        "tol": 1e-3,
        "n_iter_no_change": 4,
        "early_stopping": True,
        "validation_fraction": "auto",
        "warm_start": True,
        "verbose": True,
    }
    if make is regressor:
        params |= {"standardize_target": False, "loss": SquaredError()}
    with pytest.raises(ValueError, match="has nothing like validation_fraction='auto'"):
        make(**params).to_sklearn()
    mlp = make(**{**params, "validation_fraction": 0.25}).to_sklearn()
    expected = {
        **THEIR_COMMON,
        "solver": "sgd",
        "momentum": 0.3,
        "nesterovs_momentum": True,
        "learning_rate": "invscaling",
        "power_t": 0.2,
    }
    assert mlp.get_params() == {**type(mlp)().get_params(), **expected}
    assert not hasattr(mlp, "coefs_")


def test_what_an_unfitted_one_may_leave_to_scikit_learn():
    # Initial weights, the precision, and where exactly Adam adds its epsilon.
    mlp = classifier(init="he_normal", dtype="float32", optimizer="adam").to_sklearn()
    assert (mlp.solver, mlp.beta_1, mlp.beta_2, mlp.epsilon) == ("adam", 0.9, 0.999, 1e-8)
    assert classifier(activation=Tanh()).to_sklearn().activation == "tanh"
    assert classifier(validation_fraction="auto").to_sklearn().validation_fraction == 0.1
    assert classifier(n_iter_no_change=INF).to_sklearn().n_iter_no_change == INF
    # Nothing is held out that could calibrate.
    assert classifier(calibrate="auto").to_sklearn().early_stopping is False


@needs_poisson
def test_poisson_needs_no_target_in_its_own_unit():
    # Its link leaves standardize_target without effect.
    assert regressor(loss="poisson", standardize_target=True).to_sklearn().loss == "poisson"


def test_automatic_batches_do_not_warn():
    X, y = iris()
    mlp = classifier(batch_size=200).to_sklearn()
    assert mlp.batch_size == "auto"
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        mlp.set_params(n_iter_no_change=1, max_iter=500, tol=1.0).fit(X, y)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_the_rate_after_a_schedule_that_scikit_learn_lacks_is_constant(schedule):
    X, y = iris()
    mlp = classifier(optimizer="sgd", lr_schedule=schedule).fit(X, y).to_sklearn()
    assert mlp.learning_rate == "constant"
    assert mlp._optimizer.learning_rate == 0.01


def test_defaults_can_be_converted_once_fitted():
    X, y = iris()
    params = {"max_iter": 3, "random_state": 0, "feature_scaling": None, "activation": "tanh"}
    classification = ScratchMLPClassifier(**params).fit(X, y)
    assert_array_equal(classification.to_sklearn().predict(X), classification.predict(X))
    X, y = diabetes()
    regression = ScratchMLPRegressor(**params).fit(X, y)
    assert_allclose(regression.to_sklearn().predict(X), regression.predict(X), rtol=1e-4)
