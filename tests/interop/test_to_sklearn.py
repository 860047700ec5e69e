"""To scikit-learn: what was learned, and hyperparameters."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from skscratch import (
    LBFGS,
    SGD,
    Adam,
    InverseScaling,
    ScratchMLPClassifier,
    ScratchMLPRegressor,
    from_sklearn,
)
from skscratch.nn import SquaredError, Tanh

from ..conftest import classifier, diabetes, iris, regressor
from .checks import (
    DATA,
    HAS_POISSON,
    REGRESSION,
    THEIR_COMMON,
    assert_same_predictions,
    assert_same_weights,
    counts,
    each_target,
    needs_poisson,
    ours,
    several_outputs,
    theirs,
)

INF = float("inf")

# scikit-learn 1.6 with a recent SciPy.
pytestmark = pytest.mark.filterwarnings("ignore:.*iprint.*:DeprecationWarning")

# To scikit-learn: what was learned ------------------------------------------------------------


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


def test_early_stopping_goes_on():
    X, y = iris()
    estimator = classifier(early_stopping=True, max_iter=30).fit(X, y)
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


# To scikit-learn: hyperparameters -------------------------------------------------------------


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
        "validation_fraction": 0.25,
        "warm_start": True,
        "verbose": True,
    }
    if make is regressor:
        params |= {"standardize_target": False, "loss": SquaredError()}
    mlp = make(**params).to_sklearn()
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
