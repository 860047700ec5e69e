"""From scikit-learn: hyperparameters."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skscratch import (
    LBFGS,
    SGD,
    Adam,
    Adaptive,
    InverseScaling,
    ScratchMLPClassifier,
    ScratchMLPRegressor,
    from_sklearn,
)
from skscratch.nn import Constant

from ..conftest import classifier, iris
from .checks import (
    COMMON,
    DATA,
    THEIR_COMMON,
    assert_same_predictions,
    assert_same_weights,
    counts,
    each_solver,
    each_target,
    needs_poisson,
    theirs,
)

INF = float("inf")

# scikit-learn 1.6 with a recent SciPy.
pytestmark = pytest.mark.filterwarnings("ignore:.*iprint.*:DeprecationWarning")

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
