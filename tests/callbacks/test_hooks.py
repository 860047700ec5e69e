"""When hooks are called, and with what."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from skscratch import SGD
from skscratch._fitting.run import Run
from skscratch.callbacks import Callback, TimeBudget

from ..conftest import BOTH, assert_same_weights, classes_for, state, weights_of
from .checks import Recorder, events

both = pytest.mark.parametrize(("make", "data"), BOTH)


class Snapshots(Callback):
    """Keeps the fitted estimator of each epoch, and the one after fit."""

    def __init__(self):
        self.epochs, self.last = [], None

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            self.epochs.append(fitted_estimator)
        else:
            self.last = fitted_estimator


# When hooks are called ------------------------------------------------------------------------


@both
@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"optimizer": "lbfgs"}], ids=repr)
def test_hooks_are_called_in_order(make, data, params):
    recorder = Recorder()
    estimator = make(max_iter=4, tol=1e-12, **params).set_callbacks(recorder).fit(*data())
    assert estimator.n_iter_ == 4
    assert recorder.events == events(4)


@both
def test_each_callback_is_called_in_turn(make, data):
    seen = []
    first, second = (Recorder(lambda event, k=k: seen.append((k, event))) for k in (1, 2))
    make(max_iter=2).set_callbacks(first, second).fit(*data())
    assert [event for k, event in seen if k == 1] == events(2)
    middle = [pair for pair in seen if pair[1] not in ("setup", "teardown")]
    assert [k for k, _ in middle] == [1, 2] * (len(middle) // 2)


@both
def test_contexts_tell_the_place_among_the_tasks(make, data):
    places = []

    class Place(Callback):
        def on_fit_task_end(self, estimator, context):
            parent = context.parent and context.parent.task_name
            places.append((context.estimator_name, context.task_name, context.task_id, parent))

    estimator = make(max_iter=2).set_callbacks(Place()).fit(*data())
    name = type(estimator).__name__
    assert places == [
        (name, "epoch", 0, "fit"),
        (name, "epoch", 1, "fit"),
        (name, "fit", 0, None),
    ]


@both
def test_partial_fit_is_a_fit_of_one_epoch(make, data):
    X, y = data()
    recorder = Recorder()
    estimator = make().set_callbacks(recorder)
    for _ in range(2):
        estimator.partial_fit(X, y, **classes_for(estimator, y))
    second = [event.replace("1", "2") for event in events(1)]
    assert recorder.events == events(1) + second


@both
def test_warm_start_calls_them_again(make, data):
    X, y = data()
    snapshots = Snapshots()
    estimator = make(max_iter=3, warm_start=True).set_callbacks(snapshots).fit(X, y).fit(X, y)
    assert [len(each.history_["epoch"]) for each in snapshots.epochs] == [1, 2, 3, 4, 5, 6]
    assert [each.n_iter_ for each in snapshots.epochs] == [1, 2, 3, 1, 2, 3]
    assert_same_weights(snapshots.epochs[2], make(max_iter=3).fit(X, y))
    assert_same_weights(snapshots.last, estimator)


@both
def test_partial_fit_that_makes_no_update_calls_none(make, data):
    X, y = data()
    recorder = Recorder()
    estimator = make(early_stopping=True, tol=1e9, n_iter_no_change=1).set_callbacks(recorder)
    for _ in range(3):
        estimator.partial_fit(X, y, **classes_for(estimator, y), X_val=X, y_val=y)
    n_events = len(recorder.events)
    with pytest.warns(UserWarning, match="made no update"):
        estimator.partial_fit(X, y, X_val=X, y_val=y)
    assert len(recorder.events) == n_events == 3 * len(events(1))


@both
def test_callbacks_do_not_change_the_result(make, data):
    X, y = data()
    params = {"dropout": 0.2, "early_stopping": True, "normalization": "batch"}
    watched = make(**params).set_callbacks(Recorder(), Snapshots()).fit(X, y)
    assert_same_weights(watched, make(**params).fit(X, y))
    watched.set_callbacks()
    assert state(watched) != state(make(**params))  # it is fitted
    assert not [name for name in vars(watched) if "callback" in name or "resume" in name]


# What hooks get -------------------------------------------------------------------------------


GIVEN = {
    "arrays": lambda X, y: (X, y),
    "lists": lambda X, y: (X.tolist(), y.tolist()),
    "pandas": lambda X, y: (pd.DataFrame(X).rename(columns=str), pd.Series(y)),
    "sparse": lambda X, y: (scipy.sparse.csc_matrix(X), y),
}


@both
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_hooks_get_the_callers_own_data(make, data, given, weighted):
    X, y = given(*data())
    weights = np.linspace(1, 2, 150) if weighted else None
    seen = []

    class Data(Callback):
        def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
            seen.append((X, y, metadata))

        def on_fit_task_end(self, estimator, context, *, metadata=None, y=None, X=None):
            seen.append((X, y, metadata))

    estimator = make(max_iter=2, early_stopping=True).set_callbacks(Data())
    estimator.fit(X, y, weights, X_val=X, y_val=y)
    assert len(seen) == 6
    for X_seen, y_seen, metadata in seen:
        assert X_seen is X
        assert y_seen is y
        if weighted:
            assert list(metadata) == ["sample_weight"]
            assert metadata["sample_weight"] is weights
        else:
            assert metadata is None


@both
def test_nothing_is_made_when_nobody_asks(make, data, monkeypatch):
    X, y = data()
    made = []
    original = Run.snapshot

    def counting(self):
        made.append(self)
        return original(self)

    monkeypatch.setattr(Run, "snapshot", counting)
    make(max_iter=3).set_callbacks(Recorder(), TimeBudget(1e9)).fit(X, y)
    assert made == []
    make(max_iter=3).set_callbacks(Snapshots(), Snapshots()).fit(X, y)
    assert len(made) == 3 + 1  # once for each task, however many ask


@both
def test_without_callbacks_there_is_no_context(make, data, monkeypatch):
    estimator = make()
    monkeypatch.setattr(type(estimator), "_init_callback_context", None)
    estimator.fit(*data()).set_callbacks(Recorder()).set_callbacks().fit(*data())
    with pytest.raises(TypeError):
        estimator.set_callbacks(Recorder()).fit(*data())


PREDICTORS = [
    {},
    {"dropout": 0.3, "optimizer": "nadam"},
    {"normalization": "batch", "batch_size": 50},
    {"lr_schedule": "exponential", "dtype": "float32"},
    {"optimizer": "lbfgs", "tol": 1e-12},
    {"optimizer": "lbfgs", "tol": 1e-12, "dtype": "float32"},
]


@both
@pytest.mark.parametrize("params", PREDICTORS, ids=repr)
def test_the_fitted_estimator_is_what_a_shorter_fit_would_return(make, data, params):
    X, y = data()
    snapshots = Snapshots()
    estimator = make(max_iter=6, **params).set_callbacks(snapshots).fit(X, y)
    # Compared afterwards, so that a snapshot which goes on training is found out.
    assert len(snapshots.epochs) == 6
    for epoch, snapshot in enumerate(snapshots.epochs, start=1):
        shorter = make(max_iter=epoch, **params).fit(X, y)
        assert_same_weights(snapshot, shorter)
        np.testing.assert_array_equal(snapshot.predict(X), shorter.predict(X))
        assert snapshot.score(X, y) == shorter.score(X, y)
        assert snapshot.n_iter_ == epoch
        assert snapshot.loss_curve_ == shorter.loss_curve_ == estimator.loss_curve_[:epoch]
        assert snapshot.t_ == shorter.t_
    assert_same_weights(snapshots.last, estimator)


@both
def test_the_fitted_estimator_is_a_copy(make, data):
    X, y = data()

    class Vandal(Callback):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            fitted_estimator.coefs_[0][...] = 0
            fitted_estimator.history_["loss"].clear()
            fitted_estimator.set_callbacks().set_params(warm_start=True).fit(X, y)

    params = {"dropout": 0.2, "optimizer": SGD(momentum=0.9)}
    estimator = make(**params).set_callbacks(Vandal()).fit(X, y)
    plain = make(**params).fit(X, y)
    assert_same_weights(estimator, plain)
    assert estimator.loss_curve_ == plain.loss_curve_
    assert estimator.warm_start is False


@both
def test_validation_results_are_in_the_fitted_estimators_history(make, data):
    X, y = data()
    snapshots = Snapshots()
    estimator = make(early_stopping=True, max_iter=8, learning_rate=0.1).set_callbacks(snapshots)
    estimator.fit(X, y)
    scores = [snapshot.history_["validation_score"][-1] for snapshot in snapshots.epochs]
    assert scores == estimator.validation_scores_
    assert snapshots.epochs[2].validation_scores_ == scores[:3]
    assert snapshots.epochs[2].best_validation_score_ == max(scores[:3])
    # After an epoch the weights are that epoch's, after fit those that fit returns.
    assert np.argmax(scores) < 7
    assert not np.array_equal(weights_of(snapshots.epochs[-1]), weights_of(estimator))
    assert_same_weights(snapshots.last, estimator)


@both
def test_before_an_epoch_there_is_no_fitted_estimator(make, data):
    seen = []

    class Early(Callback):
        def on_fit_task_begin(self, estimator, context, *, fitted_estimator=None):
            seen.append(fitted_estimator)

    make(max_iter=2).set_callbacks(Early()).fit(*data())
    assert seen == [None, None, None]
