"""What "auto" comes to in a whole run, and runs where all else is left at its default."""

import ast
import inspect
import math
import re
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skscratch import Cosine, ScratchMLPClassifier, ScratchMLPRegressor
from skscratch._fitting.plan import AUTO_BATCH_SIZE, AUTO_EPOCHS, EPOCHS_OF_LBFGS, LEAST_STEPS

from ..conftest import BOTH, classifier, regressor

both = pytest.mark.parametrize(("make", "data"), BOTH)
each = pytest.mark.parametrize("make", [classifier, regressor])

AUTO = {
    "hidden_layer_sizes": (2,),
    "batch_size": "auto",
    "lr_schedule": "cosine",
    "max_iter": "auto",
    "n_iter_no_change": 10,
    "learning_rate": 1e-3,
}


def kind(make):
    return "classifier" if is_classifier(make()) else "regressor"


def rows(n_samples, make):
    """Draw rows of two features for the estimator that ``make`` makes."""
    X = np.random.default_rng(0).standard_normal((n_samples, 2))
    y = X[:, 0] * X[:, 1]
    return X, y > 0 if is_classifier(make()) else y


# Epochs ---------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize(
    ("n_samples", "params", "n_training"),
    [
        (20, {}, 20),
        (20, {"n_networks": 3}, 20),
        (500, {}, 500),
        (500, {"batch_size": None}, 500),
        (500, {"batch_size": 100, "early_stopping": True, "n_iter_no_change": np.inf}, 400),
        (500, {"batch_size": 100, "n_networks": 5}, 400),
    ],
)
def test_epochs_make_the_least_steps_at_least(make, n_samples, params, n_training):
    X, y = rows(n_samples, make)
    estimator = make(**{**AUTO, **params}).fit(X, y)
    n_epochs = estimator.n_iter_
    assert n_epochs == len(estimator.loss_curve_) == estimator.plan_.max_iter
    assert estimator.t_ == n_epochs * n_training
    assert estimator._fitted.progress.clock.horizon == n_epochs
    batch_size = params.get("batch_size", min(AUTO_BATCH_SIZE, n_samples)) or n_samples
    n_steps = math.ceil(n_training / batch_size)
    assert all(learner.state.t == n_steps * n_epochs for learner in estimator._fitted.learners)
    assert (n_epochs - 1) * n_steps < LEAST_STEPS[kind(make)] <= n_epochs * n_steps


@each
def test_many_rows_have_a_number_of_epochs(make):
    X, y = rows(2 * math.ceil(LEAST_STEPS[kind(make)] / AUTO_EPOCHS[kind(make)]), make)
    estimator = make(**{**AUTO, "batch_size": 1}).fit(X, y)
    assert estimator.n_iter_ == AUTO_EPOCHS[kind(make)]


@each
def test_validation_data_leave_all_rows_to_the_epochs(make):
    X, y = rows(1100, make)
    estimator = make(**{**AUTO, "batch_size": 1000}).fit(X, y, X_val=X[:50], y_val=y[:50])
    assert estimator.n_iter_ == math.ceil(LEAST_STEPS[kind(make)] / 2)
    assert estimator.t_ == estimator.n_iter_ * 1100


@each
def test_the_least_steps_with_batches_that_are_joined(make):
    X, y = rows(201, make)  # two batches, since the single row that is left joins one
    estimator = make(**{**AUTO, "batch_size": 100}, normalization="batch").fit(X, y)
    assert estimator.n_iter_ == math.ceil(LEAST_STEPS[kind(make)] / 2)
    assert estimator._fitted.learners[0].state.t >= LEAST_STEPS[kind(make)]


@both
def test_a_constant_rate_has_as_many_epochs_and_may_stop_before(make, data):
    X, y = data()
    constant = {**AUTO, "lr_schedule": "constant", "batch_size": None}
    n_epochs = LEAST_STEPS[kind(make)]
    with pytest.warns(ConvergenceWarning, match=f"max_iter={n_epochs} before it converged"):
        estimator = make(**{**constant, "tol": 0.0}).fit(X, y)
    assert estimator.n_iter_ == n_epochs
    assert set(estimator.history_["learning_rate"]) == {1e-3}
    stopped = make(**{**constant, "tol": 1e9, "n_iter_no_change": 4}).fit(X, y)
    assert stopped.n_iter_ == 1 + 4 + 1


@both
def test_iterations_of_lbfgs(make, data, monkeypatch):
    X, y = data()
    params = {**AUTO, "optimizer": "lbfgs", "tol": 1e-9}
    automatic = make(**params).fit(X, y)
    given = make(**{**params, "max_iter": EPOCHS_OF_LBFGS}).fit(X, y)
    assert 1 < automatic.n_iter_ == given.n_iter_ <= EPOCHS_OF_LBFGS
    assert_array_equal(automatic.coefs_[0], given.coefs_[0])
    monkeypatch.setattr("skscratch._fitting.plan.EPOCHS_OF_LBFGS", 7)
    assert make(**params).fit(X, y).n_iter_ == 7


@both
def test_partial_fit_makes_an_epoch_at_a_constant_rate(make, data):
    X, y = data()
    estimator = make(**AUTO)
    classes = {"classes": np.unique(y)} if is_classifier(estimator) else {}
    for call in (1, 2, 3):
        estimator.partial_fit(X, y, **classes)
        assert (estimator.n_iter_, len(estimator.loss_curve_)) == (1, call)
    assert estimator.history_["learning_rate"] == [1e-3] * 3


# Rows held out --------------------------------------------------------------------------------


class Script:
    """A scorer that gives one value after the other and remembers the network of each epoch."""

    def __init__(self, scores):
        self.scores, self.snapshots = scores, []

    def __call__(self, estimator, X, y):
        k = len(self.snapshots)
        self.snapshots.append(np.concatenate([np.ravel(a) for a in estimator.network_.snapshot()]))
        return self.scores[min(k, len(self.scores) - 1)]


def numbers_of(estimator):
    return np.concatenate([np.ravel(array) for array in estimator.network_.snapshot()])


SCORES = [0.5, 0.6, 0.55, 0.6, 0.4, 0.3, 0.3, 0.2]
IMPATIENT = {"tol": 1e9, "n_iter_no_change": 1, "max_iter": 8, "batch_size": 40}


@each
def test_without_early_stopping_the_end_comes_and_the_last_of_the_best_is_taken(make, splits):
    X, y = rows(200, make)
    script = Script(SCORES)
    settings = {**AUTO, **IMPATIENT, "n_networks": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator = make(**settings, scoring=script).fit(X, y, X_val=X[:50], y_val=y[:50])
    assert estimator.plan_.judge == "X_val"
    assert splits == []
    assert estimator.n_iter_ == 8
    assert estimator.validation_scores_ == SCORES
    assert (estimator.best_epoch_, estimator.best_validation_score_) == (4, 0.6)
    assert_array_equal(numbers_of(estimator), script.snapshots[3])
    # Half a wave: each epoch's rate is the mean of its steps.
    n_steps = 5
    rates = Cosine().simulate(8 * n_steps, base=1e-3, steps_per_epoch=n_steps)
    rates = rates.reshape(8, n_steps).mean(axis=1)
    assert_allclose(estimator.history_["learning_rate"], rates, rtol=1e-12)


@each
def test_early_stopping_stops_and_takes_the_first_of_the_best(make, splits):
    X, y = rows(100, make)
    script = Script(SCORES)
    settings = {**AUTO, **IMPATIENT, "tol": 0.06, "n_iter_no_change": 2}
    estimator = make(**{**settings, "early_stopping": True}, scoring=script).fit(X, y)
    assert [len(part) for part in splits[0]] == [80, 20]
    assert estimator.validation_scores_ == SCORES[: estimator.n_iter_]
    assert estimator.n_iter_ == 5  # neither the fourth score nor the third gains 0.06
    assert_array_equal(numbers_of(estimator), script.snapshots[1])


@each
def test_one_network_holds_nothing_out_unless_asked_to(make, splits):
    X, y = rows(300, make)
    estimator = make(**{**AUTO, "max_iter": 3}).fit(X, y)
    assert splits == []
    assert estimator.validation_scores_ is None
    assert estimator.t_ == 3 * 300


@pytest.mark.parametrize("estimator_class", [ScratchMLPClassifier, ScratchMLPRegressor])
def test_defaults_are_the_ones_documented(estimator_class):
    section = inspect.getdoc(estimator_class).split("Parameters\n----------\n")[1]
    section = re.split(r"^\w+\n-+$", section, maxsplit=1, flags=re.MULTILINE)[0]
    headings = [line for line in section.splitlines() if line and not line[0].isspace()]
    documented = [re.fullmatch(r"(\w+) : .+, default=(.+)", line).groups() for line in headings]
    parameters = inspect.signature(estimator_class).parameters.values()
    # With their types, so that 1, 1.0 and True are not the same.
    assert [(name, repr(ast.literal_eval(text))) for name, text in documented] == [
        (parameter.name, repr(parameter.default)) for parameter in parameters
    ]


# Reference runs -------------------------------------------------------------------------------

# Of the plain network of a textbook; what is not set here is left at its default.
REFERENCE = {
    "n_networks": 1,
    "activation": "relu",
    "feature_scaling": None,
    "hidden_layer_sizes": (16, 8),
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "max_iter": 1000,
}


@pytest.mark.parametrize("random_state", range(3))
def test_iris_reaches_the_known_accuracy(random_state):
    X, y = load_iris(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.2, random_state=42)
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    clf = ScratchMLPClassifier(**REFERENCE, batch_size=16, random_state=random_state).fit(X, y)
    assert clf.n_iter_ == 1000
    assert clf.score(X, y) >= 0.983
    assert clf.score(X_test, y_test) >= 0.966


@pytest.mark.parametrize("random_state", range(3))
def test_a_circle_is_learned_by_hidden_layers_and_not_without(random_state):
    X = np.random.default_rng(random_state).standard_normal((1000, 2))
    y = (X[:, 0] ** 2 + X[:, 1] ** 2 < 1).astype(int)
    settings = {**REFERENCE, "batch_size": None, "random_state": random_state}
    assert ScratchMLPClassifier(**settings).fit(X, y).score(X, y) > 0.95
    linear = ScratchMLPClassifier(**{**settings, "hidden_layer_sizes": ()}).fit(X, y)
    assert linear.score(X, y) < 0.7
