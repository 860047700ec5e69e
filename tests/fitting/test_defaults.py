"""What "auto" comes to in a whole run, and runs where all else is left at its default."""

import ast
import inspect
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

from ..conftest import BOTH, classifier, regressor

both = pytest.mark.parametrize(("make", "data"), BOTH)
each = pytest.mark.parametrize("make", [classifier, regressor])

AUTO = {
    "hidden_layer_sizes": (2,),
    "batch_size": "auto",
    "lr_schedule": "auto",
    "max_iter": "auto",
    "early_stopping": "auto",
    "validation_fraction": "auto",
    "n_iter_no_change": 10,
    "learning_rate": 1e-3,
}


MANY = 1000
"""From so many rows on there are mini-batches, and rows held out."""


def rows(n_samples, make):
    """Draw rows of two features for the estimator that ``make`` makes."""
    X = np.random.default_rng(0).standard_normal((n_samples, 2))
    y = X[:, 0] * X[:, 1]
    return X, y > 0 if is_classifier(make()) else y


# Epochs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "n_samples"),
    [(classifier, 20), (classifier, MANY - 1), (regressor, 20), (regressor, 299)],
)
@pytest.mark.parametrize("params", [{}, {"batch_size": 64}, {"early_stopping": False}], ids=repr)
def test_epochs_on_few_rows(make, params, n_samples):
    X, y = rows(n_samples, make)
    estimator = make(**{**AUTO, **params}).fit(X, y)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 100
    assert estimator.t_ == 100 * n_samples


@each
@pytest.mark.parametrize(
    ("n_samples", "params", "n_epochs"),
    [
        (MANY, {}, 250),  # four batches of 800 rows
        (MANY, {"batch_size": 100}, 125),
        (MANY, {"batch_size": None}, 1000),
        (MANY, {"early_stopping": False}, 250),
        (MANY, {"validation_fraction": 0.5}, 500),
        (5000, {}, 64),  # 16 batches of 4000 rows
    ],
)
def test_epochs_on_more_rows_make_a_thousand_steps(make, n_samples, params, n_epochs):
    X, y = rows(n_samples, make)
    estimator = make(**{**AUTO, **params}).fit(X, y)
    assert estimator.n_iter_ == n_epochs
    n_steps = estimator._fitted.learner.state.t
    assert estimator._fitted.progress.clock.horizon == n_epochs
    assert 1000 <= n_steps < 1000 + n_steps / n_epochs or n_epochs == 64


@each
def test_validation_data_leave_all_rows_to_the_epochs(make):
    X, y = rows(1100, make)  # four batches without a fifth of them, five with it
    estimator = make(**AUTO).fit(X, y, X_val=X[:50], y_val=y[:50])
    assert (estimator.n_iter_, estimator.t_) == (200, 200 * 1100)


@each
def test_a_thousand_steps_with_batches_that_are_joined(make):
    # Of 1282 rows 1025 are trained on: four batches, since the single row that is left joins one.
    X, y = rows(1282, make)
    estimator = make(**AUTO, normalization="batch").fit(X, y)
    assert estimator._fitted.learner.state.t >= 1000


@both
def test_epochs_without_a_horizon(make, data):
    X, y = data()
    constant = {**AUTO, "lr_schedule": "constant"}
    with pytest.warns(ConvergenceWarning, match="max_iter=200"):
        estimator = make(**constant).fit(X, y)
    assert estimator.n_iter_ == 200
    assert set(estimator.history_["learning_rate"]) == {1e-3}
    stopped = make(**{**constant, "tol": 1e9, "n_iter_no_change": 4}).fit(X, y)
    assert stopped.n_iter_ == 1 + 4 + 1


@both
def test_iterations_of_lbfgs(make, data, monkeypatch):
    X, y = data()
    params = {**AUTO, "optimizer": "lbfgs", "tol": 1e-9}
    automatic, given = make(**params).fit(X, y), make(**{**params, "max_iter": 200}).fit(X, y)
    assert 1 < automatic.n_iter_ == given.n_iter_ <= 200
    assert_array_equal(automatic.coefs_[0], given.coefs_[0])
    monkeypatch.setattr("skscratch._fitting.plan.EPOCHS_WITHOUT_HORIZON", 7)
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
        self.snapshots.append(np.concatenate(estimator.network_.snapshot()))
        return self.scores[len(self.snapshots) - 1]


SCORES = [0.5, 0.6, 0.55, 0.6, 0.4, 0.3, 0.3, 0.2]
IMPATIENT = {"tol": 1e9, "n_iter_no_change": 1, "max_iter": 8}


@each
def test_automatic_early_stopping_comes_to_the_end_and_takes_the_last_of_the_best(make, splits):
    X, y = rows(MANY, make)
    script = Script(SCORES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator = make(**{**AUTO, **IMPATIENT}, scoring=script).fit(X, y)
    ((training, held_out),) = splits
    assert (len(training), len(held_out)) == (800, 200)
    assert estimator.n_iter_ == 8
    assert estimator.validation_scores_ == SCORES
    assert estimator.best_validation_score_ == 0.6
    assert_array_equal(np.concatenate(estimator.network_.snapshot()), script.snapshots[3])
    # Half a wave: each epoch's rate is the mean of its four steps.
    rates = Cosine().simulate(32, base=1e-3, steps_per_epoch=4).reshape(8, 4).mean(axis=1)
    assert_allclose(estimator.history_["learning_rate"], rates, rtol=1e-12)


@each
def test_early_stopping_stops_at_a_constant_rate_and_takes_the_first_of_the_best(make, splits):
    X, y = rows(100, make)
    script = Script(SCORES)
    settings = {**AUTO, **IMPATIENT, "tol": 0.06, "n_iter_no_change": 2}
    estimator = make(**{**settings, "early_stopping": True}, scoring=script).fit(X, y)
    assert [len(part) for part in splits[0]] == [80, 20]
    assert estimator.validation_scores_ == SCORES[: estimator.n_iter_]
    assert estimator.n_iter_ == 5  # neither the fourth score nor the third gains 0.06
    assert_array_equal(np.concatenate(estimator.network_.snapshot()), script.snapshots[1])
    assert set(estimator.history_["learning_rate"]) == {1e-3}


@each
def test_nothing_is_held_out_of_fewer_rows(make, splits):
    n_samples = MANY - 1 if make is classifier else 299
    X, y = rows(n_samples, make)
    estimator = make(**{**AUTO, "max_iter": 3}).fit(X, y)
    assert splits == []
    assert estimator.validation_scores_ is None
    assert estimator.t_ == 3 * n_samples


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

REFERENCE = {
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
