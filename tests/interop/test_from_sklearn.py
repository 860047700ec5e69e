"""From scikit-learn: what it has learned, and training further."""

import math

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier

from skscratch import (
    from_sklearn,
)

from ..conftest import classifier, diabetes, iris, multilabel, state
from .checks import (
    DATA,
    SOLVERS,
    assert_same_predictions,
    assert_same_weights,
    each_solver,
    each_target,
    ours,
    theirs,
)

# scikit-learn 1.6 with a recent SciPy.
pytestmark = pytest.mark.filterwarnings("ignore:.*iprint.*:DeprecationWarning")

# From scikit-learn: what it has learned -------------------------------------------------------


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
    assert not np.any(estimator._fitted.learners[0].state.moments)


# From scikit-learn: training further ----------------------------------------------------------


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
