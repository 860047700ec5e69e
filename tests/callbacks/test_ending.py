"""Callbacks that end, fail or interrupt training."""

import copy
import warnings

import numpy as np
import pytest

from ..conftest import BOTH, assert_same_weights, classes_for, classifier, iris, state
from .checks import Recorder, events, raising

both = pytest.mark.parametrize(("make", "data"), BOTH)


@both
@pytest.mark.parametrize("answer", [True, np.True_, 1])
@pytest.mark.parametrize(
    "params",
    [{"n_iter_no_change": 10}, {"optimizer": "lbfgs", "tol": 1e-12}, {"lr_schedule": "adaptive"}],
    ids=repr,
)
def test_a_true_answer_ends_training_without_a_warning(make, data, params, answer):
    X, y = data()
    recorder = Recorder(lambda event: answer if event == "end epoch 3" else None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator = make(max_iter=50, **params).set_callbacks(recorder).fit(X, y)
    assert recorder.events == events(3)
    assert estimator.n_iter_ == 3
    assert_same_weights(estimator, make(max_iter=3, **params).fit(X, y))


@both
def test_the_first_callback_to_stop_does_not_silence_the_others(make, data):
    first = Recorder(lambda event: event == "end epoch 2")
    second = Recorder()
    make(max_iter=50).set_callbacks(first, second).fit(*data())
    assert first.events == second.events == events(2)


@both
def test_other_answers_do_not_end_training(make, data):
    recorder = Recorder(lambda event: not event.startswith("end epoch") or 0)
    assert make(max_iter=3).set_callbacks(recorder).fit(*data()).n_iter_ == 3


def test_stopping_at_a_minimum_of_lbfgs():
    X, y = iris()
    params = {"hidden_layer_sizes": (), "l2": 1.0, "tol": 1e-4, "max_iter": 1000}
    estimator = classifier(optimizer="lbfgs", warm_start=True, **params).fit(X, y)
    estimator.set_callbacks(Recorder(lambda event: True)).fit(X, y)
    assert estimator.n_iter_ == 1


@both
def test_stopped_by_a_callback_the_best_weights_are_restored_too(make, data):
    X, y = data()
    params = {"early_stopping": True, "learning_rate": 0.1, "batch_size": 8}
    scores = make(max_iter=20, **params).fit(X, y).validation_scores_
    end = int(np.argmax(np.diff(scores) < 0)) + 2  # the first epoch that made it worse
    recorder = Recorder(lambda event: event == f"end epoch {end}")
    estimator = make(max_iter=20, **params).set_callbacks(recorder).fit(X, y)
    assert estimator.n_iter_ == end
    assert estimator.validation_scores_ == scores[:end]
    assert_same_weights(estimator, make(max_iter=end - 1, **params).fit(X, y))


EVENTS = ["setup", "begin fit", "begin epoch 2", "end epoch 2", "end fit", "teardown"]


@both
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("at", EVENTS)
def test_a_callback_that_raises_leaves_no_trace(make, data, at, fitted, optimizer):
    X, y = data()
    estimator = make(warm_start=True, optimizer=optimizer, tol=1e-12, max_iter=3)
    if fitted:
        estimator.fit(X, y)
    recorder = Recorder(raising(at, RuntimeError))
    other = Recorder()
    estimator.set_callbacks(other, recorder)
    before = state(estimator)
    with pytest.raises(RuntimeError, match=f"in {at}"):
        estimator.fit(X, y)
    assert state(estimator) == before
    # Every callback whose setup began is torn down, and once.
    assert [each.events.count("teardown") for each in (recorder, other)] == [1, 1]
    recorder.react = None
    recorder.events.clear()
    recorder.epoch = 0
    estimator.fit(X, y)
    assert recorder.events == events(3)


@both
def test_a_callback_that_raises_in_partial_fit_leaves_no_trace(make, data):
    X, y = data()
    estimator = make(dropout=0.2)
    estimator.partial_fit(X, y, **classes_for(estimator, y))
    untouched = copy.deepcopy(estimator)
    estimator.set_callbacks(Recorder(raising("end epoch 1", RuntimeError)))
    before = state(estimator)
    with pytest.raises(RuntimeError, match="in end epoch 1"):
        estimator.partial_fit(X, y)
    assert state(estimator) == before
    assert_same_weights(estimator.set_callbacks().partial_fit(X, y), untouched.partial_fit(X, y))


@both
def test_a_failing_fit_tears_callbacks_down(make, data):
    X, y = data()
    recorder = Recorder()
    estimator = make(optimizer="sgd", activation="relu", learning_rate=1e200)
    with pytest.raises(ValueError, match="diverged"):
        estimator.set_callbacks(recorder).fit(X, y)
    assert recorder.events[-1] == "teardown"
    assert "end fit" not in recorder.events


@both
@pytest.mark.parametrize("params", [{}, {"optimizer": "lbfgs", "tol": 1e-12}], ids=repr)
def test_a_keyboard_interrupt_in_a_callback_keeps_what_was_trained(make, data, params):
    X, y = data()
    recorder = Recorder(raising("end epoch 3", KeyboardInterrupt))
    estimator = make(max_iter=20, **params).set_callbacks(recorder)
    with pytest.warns(UserWarning, match="interrupted after 3") as caught:
        estimator.fit(X, y)
    assert len(caught) == 1
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 3
    assert_same_weights(estimator, make(max_iter=3, **params).fit(X, y))
    assert recorder.events == events(3)
