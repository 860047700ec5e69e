"""Ending by time and on a plateau."""

import warnings
from itertools import count
from types import SimpleNamespace

import pytest

from skscratch.callbacks import Checkpoint, StopOnPlateau, TimeBudget, _plain
from skscratch.nn.stopping import Patience

from ..conftest import BOTH, assert_same_weights, classifier, iris
from .checks import state_without_callbacks

both = pytest.mark.parametrize(("make", "data"), BOTH)


def fake_clock(monkeypatch, seconds):
    """Let each look at the clock find it so many seconds later."""
    ticks = count(1000, seconds)
    monkeypatch.setattr(_plain, "time", SimpleNamespace(monotonic=lambda: next(ticks)))


@both
@pytest.mark.parametrize(("seconds", "n_epochs"), [(0.5, 1), (1, 1), (2.5, 3), (7, 7), (99, 20)])
def test_a_time_budget_ends_training(make, data, seconds, n_epochs, monkeypatch):
    X, y = data()
    fake_clock(monkeypatch, 1)
    estimator = make(max_iter=20).set_callbacks(TimeBudget(seconds)).fit(X, y)
    assert estimator.n_iter_ == n_epochs
    assert_same_weights(estimator, make(max_iter=n_epochs).fit(X, y))
    # The next fit has its whole budget.
    assert estimator.fit(X, y).n_iter_ == n_epochs


def test_a_time_budget_with_lbfgs(monkeypatch):
    fake_clock(monkeypatch, 1)
    estimator = classifier(optimizer="lbfgs", tol=1e-12, max_iter=20)
    assert estimator.set_callbacks(TimeBudget(4)).fit(*iris()).n_iter_ == 4


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: TimeBudget(0), ValueError, "seconds must be .* got 0"),
        (lambda: TimeBudget("1 h"), TypeError, "seconds must be .* got '1 h'"),
        (lambda: StopOnPlateau(n_epochs=0), ValueError, "n_epochs must be .* got 0"),
        (lambda: StopOnPlateau(tol=-1), ValueError, "tol must be .* got -1"),
        (lambda: Checkpoint("x", every=0), ValueError, "every must be .* got 0"),
        (lambda: Checkpoint("x", every=1.5), TypeError, "every must be .* got 1.5"),
    ],
)
def test_arguments_are_checked(make, error, message):
    with pytest.raises(error, match=message):
        make()


def scripted(values):
    """Return a scorer that gives one value after the other."""
    rest = iter(values)
    return lambda estimator, X, y: next(rest)


RISING = [0.5, 0.6, 0.6, 0.62, 0.5, 0.9, 0.9, 0.9, 0.9, 0.9]

FALLING = [-value for value in RISING]


@both
@pytest.mark.parametrize(
    ("values", "greater_is_better", "n_iter"),
    [
        (RISING, None, 5),
        (RISING, True, 5),
        (RISING, False, 4),
        (FALLING, None, 4),
        (FALLING, False, 5),
    ],
)
def test_stop_on_a_plateau_of_the_score(make, data, values, greater_is_better, n_iter):
    X, y = data()
    stop = StopOnPlateau("validation_score", 2, 0.05, greater_is_better)
    estimator = make(max_iter=10, scoring=scripted(values)).set_callbacks(stop)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.fit(X, y, X_val=X, y_val=y)
    assert estimator.n_iter_ == n_iter
    # The last weights are kept, not the best.
    assert_same_weights(estimator, make(max_iter=n_iter).fit(X, y))


@both
@pytest.mark.parametrize("column", ["loss", "validation_loss", "gradient_norm"])
def test_stop_on_a_plateau_of_any_column(make, data, column):
    X, y = data()
    params = {"learning_rate": 0.1, "max_iter": 60}
    given = {"X_val": X[::3], "y_val": y[::3]}
    history = make(**params).fit(X, y, **given).history_[column]
    patience, expected = Patience(0.01, 2), 0
    while not patience.spent:
        patience.update(-history[expected])
        expected += 1
    stop = StopOnPlateau(column, n_epochs=2, tol=0.01)
    estimator = make(**params).set_callbacks(stop).fit(X, y, **given)
    assert 3 < estimator.n_iter_ == expected < 60
    assert estimator.fit(X, y, **given).n_iter_ == expected  # it begins to count anew


@both
@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("accuracy", "has no column 'accuracy'; it has epoch, loss, validation_loss"),
        ("validation_loss", "'validation_loss' of history_ is NaN.* needs X_val"),
    ],
)
def test_a_column_that_there_is_not(make, data, column, message):
    estimator = make().set_callbacks(StopOnPlateau(column))
    before = state_without_callbacks(estimator)
    with pytest.raises(ValueError, match=message):
        estimator.fit(*data())
    assert state_without_callbacks(estimator) == before
