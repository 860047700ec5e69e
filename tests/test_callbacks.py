"""Callbacks: when hooks are called and with what, scikit-learn's callbacks, and ours."""

import copy
import importlib.util
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.base import clone, is_classifier
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skscratch import LBFGS, SGD
from skscratch._run import Run
from skscratch.callbacks import (
    Callback,
    Checkpoint,
    HistoryCSV,
    StopOnPlateau,
    TimeBudget,
    _checkpoint,
    _plain,
)
from skscratch.nn.stopping import Patience

from .conftest import BOTH, classifier, diabetes, iris, regressor, state

both = pytest.mark.parametrize(("make", "data"), BOTH)
from_1_9 = pytest.mark.skipif(
    importlib.util.find_spec("sklearn.callback") is None, reason="scikit-learn has no callbacks"
)


def weights_of(estimator):
    return np.concatenate([w.ravel() for w in estimator.coefs_ + estimator.intercepts_])


def assert_same_weights(estimator, other):
    np.testing.assert_array_equal(weights_of(estimator), weights_of(other))


def classes_for(estimator, y):
    return {"classes": np.unique(y)} if is_classifier(estimator) else {}


def state_without_callbacks(estimator):
    """Return a hash of everything that the estimator holds but its callbacks, which change."""
    return joblib.hash({k: v for k, v in vars(estimator).items() if k != "_skl_callbacks"})


class Recorder(Callback):
    """Writes down what happens, and does something in it if asked to.

    ``react`` is called with the name of each event, such as "end epoch 3"; its answer is returned.
    """

    def __init__(self, react=None):
        self.events, self.react, self.epoch = [], react, 0

    def _happens(self, event, context=None):
        if context is not None:
            event = f"{event} {context.task_name}"
            if context.task_name == "epoch":
                self.epoch += event.startswith("begin")
                event = f"{event} {self.epoch}"
        self.events.append(event)
        return self.react(event) if self.react else None

    def setup(self, estimator, context):
        self._happens("setup")

    def teardown(self, estimator, context):
        self._happens("teardown")

    def on_fit_task_begin(self, estimator, context):
        self._happens("begin", context)

    def on_fit_task_end(self, estimator, context):
        return self._happens("end", context)

    def __getstate__(self):
        return {}  # what it has seen is no part of an estimator's state


class Snapshots(Callback):
    """Keeps the fitted estimator of each epoch, and the one after fit."""

    def __init__(self):
        self.epochs, self.last = [], None

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            self.epochs.append(fitted_estimator)
        else:
            self.last = fitted_estimator


def events(n_epochs):
    within = [f"{what} epoch {k}" for k in range(1, n_epochs + 1) for what in ("begin", "end")]
    return ["setup", "begin fit", *within, "end fit", "teardown"]


def raising(at, error):
    """Return a reaction that raises an error in one event."""

    def react(event):
        if event == at:
            raise error(f"in {event}")

    return react


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
    original = Run._snapshot

    def counting(self):
        made.append(self)
        return original(self)

    monkeypatch.setattr(Run, "_snapshot", counting)
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


# Stopping, failing, interrupting --------------------------------------------------------------


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


# Setting, cloning, storing --------------------------------------------------------------------


@both
def test_callbacks_are_set_and_removed(make, data):
    recorder = Recorder()
    estimator = make(max_iter=1)
    assert estimator.set_callbacks(recorder) is estimator
    estimator.set_callbacks().fit(*data())
    assert recorder.events == []
    others = Recorder(), Recorder()
    estimator.set_callbacks(recorder).set_callbacks(*others).fit(*data())
    assert recorder.events == []
    assert [other.events for other in others] == [events(1)] * 2


class NoTeardown:
    setup = on_fit_task_begin = on_fit_task_end = print


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize(
    "junk", [None, "TimeBudget", TimeBudget, print, object(), NoTeardown(), [TimeBudget(1)]]
)
def test_junk_is_no_callback(make, junk):
    estimator = make()
    before = state(estimator)
    with pytest.raises(TypeError, match=r"[Cc]allbacks must be"):
        estimator.set_callbacks(TimeBudget(1), junk)
    assert state(estimator) == before


@both
def test_callbacks_need_no_base_class(make, data):
    calls = []

    class Own:
        def setup(self, estimator, context):
            calls.append("setup")

        def teardown(self, estimator, context):
            calls.append("teardown")

        def on_fit_task_begin(self, estimator, context):
            calls.append("begin")

        def on_fit_task_end(self, estimator, context):
            calls.append("end")

    make(max_iter=1).set_callbacks(Own()).fit(*data())
    assert calls == ["setup", "begin", "begin", "end", "end", "teardown"]


@both
def test_clones_share_callbacks_and_nothing_else(make, data):
    X, y = data()
    recorder, optimizer = Recorder(), SGD(momentum=0.5)
    estimator = make(max_iter=1, optimizer=optimizer).set_callbacks(recorder).fit(X, y)
    cloned = clone(estimator)
    assert not hasattr(cloned, "network_")
    assert cloned.optimizer == optimizer
    assert cloned.optimizer is not optimizer
    recorder.events.clear()
    recorder.epoch = 0
    cloned.fit(X, y)
    assert recorder.events == events(1)
    cloned.set_callbacks()
    estimator.fit(X, y)
    assert len(recorder.events) == 2 * len(events(1))


@both
def test_an_estimator_with_callbacks_can_be_stored(make, data, tmp_path):
    X, y = data()
    ours = [
        TimeBudget(1e9),
        StopOnPlateau("loss"),
        HistoryCSV(tmp_path / "history.csv"),
        Checkpoint(tmp_path / "checkpoint"),
    ]
    estimator = make(max_iter=3, warm_start=True).set_callbacks(*ours).fit(X, y)
    other = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(other.predict(X), estimator.predict(X))
    (tmp_path / "history.csv").unlink()
    other.fit(X, y)
    assert len(pd.read_csv(tmp_path / "history.csv")) == 6
    assert_same_weights(other, estimator.fit(X, y))


def test_a_callback_in_a_pipeline_and_a_search():
    X, y = iris()
    recorder = Recorder()
    pipeline = Pipeline(
        [("scale", StandardScaler()), ("mlp", classifier(max_iter=2).set_callbacks(recorder))]
    )
    pipeline.fit(X, y)
    assert recorder.events == events(2)
    recorder.events.clear()
    GridSearchCV(pipeline, {"mlp__l2": [0.1, 1.0]}, cv=2, error_score="raise").fit(X, y)
    assert recorder.events.count("begin fit") == 2 * 2 + 1


# scikit-learn's callbacks ---------------------------------------------------------------------


@from_1_9
@pytest.mark.parametrize(
    "callback", [TimeBudget(1), StopOnPlateau(), HistoryCSV("x"), Checkpoint("x"), Callback()]
)
def test_ours_follow_the_protocol(callback):
    from sklearn.callback import FitCallback

    assert isinstance(callback, FitCallback)


@from_1_9
@both
def test_progress_bar_of_a_bare_estimator(make, data, capsys):
    from sklearn.callback import ProgressBar

    estimator = make(max_iter=3).set_callbacks(ProgressBar()).fit(*data())
    shown = capsys.readouterr().out
    assert type(estimator).__name__ in shown
    assert "100%" in shown


@from_1_9
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar_of_a_search_over_a_pipeline(n_jobs, capsys):
    from sklearn.callback import ProgressBar

    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", classifier(max_iter=2))])
    search = GridSearchCV(pipeline, {"mlp__l2": [0.1, 1.0]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(*iris())
    shown = capsys.readouterr().out
    assert "GridSearchCV" in shown
    assert shown.count("ScratchMLPClassifier") >= 5
    assert search.best_estimator_[-1].n_iter_ == 2


@from_1_9
@both
def test_scoring_monitor_of_a_bare_estimator(make, data):
    from sklearn.callback import ScoringMonitor

    X, y = data()
    weights = np.linspace(0, 2, len(y))
    scoring = "neg_log_loss" if make is classifier else "neg_mean_absolute_error"
    monitor = ScoringMonitor(scoring=[scoring])
    make(max_iter=4).set_callbacks(monitor).fit(X, y, weights)
    log = monitor.get_logs().data_as_pandas
    logged = log.loc[log["task_name"] == "epoch", scoring].tolist()
    assert len(logged) == 4
    from sklearn.metrics import get_scorer

    for epoch in (1, 4):
        fitted = make(max_iter=epoch).fit(X, y, weights)
        expected = get_scorer(scoring)(fitted, X, y, sample_weight=weights)
        assert logged[epoch - 1] == pytest.approx(expected, rel=1e-9)


@from_1_9
def test_scoring_monitor_in_a_search_over_a_pipeline():
    from sklearn.callback import ScoringMonitor

    X, y = iris()
    monitor = ScoringMonitor(scoring="neg_log_loss")
    mlp = classifier(max_iter=3, learning_rate=0.05).set_callbacks(monitor)
    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", mlp)])
    cv = KFold(2, shuffle=True, random_state=0)
    search = GridSearchCV(pipeline, {"mlp__l2": [0.1, 50.0]}, cv=cv, n_jobs=2)
    search.fit(X, y)
    log = pd.concat(run.data_as_pandas for run in monitor.get_logs(select="all"))
    logged = np.sort(log.loc[log["task_name"] == "epoch", "neg_log_loss"])
    expected = []
    for l2 in (0.1, 50.0):
        for train, _ in cv.split(X):
            scaled = StandardScaler().fit_transform(X[train])
            for epoch in (1, 2, 3):
                fitted = classifier(max_iter=epoch, learning_rate=0.05, l2=l2)
                fitted.fit(scaled, y[train])
                expected.append(-log_loss(y[train], fitted.predict_proba(scaled)))
    scaled = StandardScaler().fit_transform(X)
    for epoch in (1, 2, 3):
        fitted = classifier(max_iter=epoch, learning_rate=0.05, l2=search.best_params_["mlp__l2"])
        expected.append(-log_loss(y, fitted.fit(scaled, y).predict_proba(scaled)))
    np.testing.assert_allclose(logged, np.sort(expected), rtol=1e-7)


# Checkpoint -----------------------------------------------------------------------------------

RESUMED = [
    {"optimizer": "adam"},
    {"optimizer": SGD(momentum=0.9)},
    {"optimizer": "nadam", "dropout": 0.3},
    {"normalization": "batch", "dropout": 0.2, "batch_size": 7},
    {"normalization": "layer", "dtype": "float32", "clip_norm": 0.5},
    {"early_stopping": True, "learning_rate": 0.1},
    {"early_stopping": True, "learning_rate": 0.1, "n_iter_no_change": 1, "scoring": "loss"},
    {"early_stopping": True, "normalization": "batch", "learning_rate": 0.1},
    {"lr_schedule": "cosine"},
    {"lr_schedule": "one_cycle", "optimizer": "momentum"},
    {"lr_schedule": "warmup_cosine", "early_stopping": True},
    {"lr_schedule": "adaptive", "tol": 0.05, "n_iter_no_change": 1},
    {"lr_schedule": "adaptive", "tol": 0.05, "n_iter_no_change": 1, "early_stopping": True},
    {"lr_schedule": "invscaling", "learning_rate": 0.5},
    {"n_iter_no_change": 20},
    {"tol": 0.05, "n_iter_no_change": 3},
    {"shuffle": False, "batch_size": "full"},
]


def assert_same_run(estimator, other):
    """Compare everything that a run leaves behind, but how long it took."""
    for array, wanted in zip(estimator.network_.snapshot(), other.network_.snapshot(), strict=True):
        np.testing.assert_array_equal(array, wanted)
    for name, column in other.history_.items():
        if name != "seconds":
            np.testing.assert_array_equal(estimator.history_[name], column, err_msg=name)
    for name in ("n_iter_", "t_", "loss_", "best_loss_", "best_validation_score_"):
        assert getattr(estimator, name) == getattr(other, name), name
    assert estimator._progress.clock == other._progress.clock
    # Moments and random streams, too.
    streams = [
        {name: stream.bit_generator.state for name, stream in each._streams.items()}
        for each in (estimator, other)
    ]
    assert streams[0] == streams[1]
    moments = [joblib.hash(each._learner.state) for each in (estimator, other)]
    assert moments[0] == moments[1]


def interrupted(estimator, path, epoch, *data, every=1, **more):
    """Let a fit with a checkpoint fail in an epoch."""
    failing = Recorder(raising(f"end epoch {epoch}", RuntimeError))
    estimator.set_callbacks(Checkpoint(path, every=every), failing)
    before = state_without_callbacks(estimator)
    with pytest.raises(RuntimeError, match="in end epoch"):
        estimator.fit(*data, **more)
    assert state_without_callbacks(estimator) == before


def resume(estimator, path, *data, **more):
    """Resume from a checkpoint, and say how many epochs were made."""
    recorder = Recorder()
    estimator.set_callbacks(Checkpoint(path, resume=True), recorder).fit(*data, **more)
    return recorder.epoch


@both
@pytest.mark.parametrize("params", RESUMED, ids=repr)
def test_an_interrupted_run_resumes_to_the_same_end(make, data, params, tmp_path):
    X, y = data()
    params = {"max_iter": 12, **params}
    plain = make(**params).fit(X, y)
    path = tmp_path / "checkpoint"
    for epoch in (1, 3, plain.n_iter_):
        interrupted(make(**params), path, epoch, X, y)
        estimator = make(**params)
        assert resume(estimator, path, X, y) == plain.n_iter_ - epoch
        assert_same_run(estimator, plain)


@both
def test_a_run_may_be_interrupted_again_and_again(make, data, tmp_path):
    X, y = data()
    params = {"max_iter": 8, "dropout": 0.2, "early_stopping": True}
    plain = make(**params).fit(X, y)
    for _ in range(3):
        estimator = make(**params)
        failing = Recorder(raising("end epoch 2", RuntimeError))
        checkpoint = Checkpoint(tmp_path / "checkpoint", resume=True)
        with pytest.raises(RuntimeError):
            estimator.set_callbacks(checkpoint, failing).fit(X, y)
    assert resume(estimator, tmp_path / "checkpoint", X, y) == 2
    assert_same_run(estimator, plain)


@both
def test_an_epoch_that_was_not_written_is_made_again(make, data, tmp_path):
    X, y = data()
    params = {"max_iter": 7, "dropout": 0.2}
    estimator = make(**params)
    failing = Recorder(raising("end epoch 4", RuntimeError))
    estimator.set_callbacks(failing, Checkpoint(tmp_path / "checkpoint"))  # the failure comes first
    with pytest.raises(RuntimeError):
        estimator.fit(X, y)
    assert resume(estimator, tmp_path / "checkpoint", X, y) == 4
    assert_same_run(estimator, make(**params).fit(X, y))


@both
def test_an_interrupted_run_with_weights_and_validation_data(make, data, tmp_path):
    X, y = data()
    weights = np.random.default_rng(0).uniform(0, 3, len(y))
    given = {"sample_weight": weights, "X_val": X[::3], "y_val": y[::3]}
    for early_stopping in (False, True):
        params = {"early_stopping": early_stopping, "learning_rate": 0.1, "max_iter": 8}
        path = tmp_path / f"{early_stopping}"
        interrupted(make(**params), path, 5, X, y, **given)
        estimator = make(**params)
        assert resume(estimator, path, X, y, **given) == 3
        assert_same_run(estimator, make(**params).fit(X, y, **given))


@both
def test_random_numbers_go_on_without_a_seed_too(make, data, tmp_path):
    X, y = data()
    params = {"random_state": None, "dropout": 0.2, "early_stopping": True, "max_iter": 7}

    def keep(event):
        if event == "end epoch 3":
            shutil.copy(tmp_path / "checkpoint", tmp_path / "kept")

    uninterrupted = make(**params)
    uninterrupted.set_callbacks(Checkpoint(tmp_path / "checkpoint"), Recorder(keep)).fit(X, y)
    estimator = make(**params)
    assert resume(estimator, tmp_path / "kept", X, y) == 4
    assert_same_run(estimator, uninterrupted)


@both
@pytest.mark.parametrize("params", [{}, {"lr_schedule": "cosine"}, {"early_stopping": True}])
def test_the_second_call_of_a_warm_start_resumes(make, data, params, tmp_path):
    X, y = data()
    params = {"warm_start": True, "dropout": 0.2, "n_iter_no_change": 20, **params}
    plain = make(**params).fit(X, y)
    estimator = copy.deepcopy(plain)
    plain.fit(X, y)
    interrupted(estimator, tmp_path / "checkpoint", 2, X, y)
    assert resume(estimator, tmp_path / "checkpoint", X, y) == 3
    assert_same_run(estimator, plain)
    assert len(estimator.loss_curve_) == 10


@both
def test_a_finished_run_makes_no_more_epochs(make, data, tmp_path):
    X, y = data()
    for params in ({}, {"early_stopping": True, "learning_rate": 0.1}, {"n_iter_no_change": 20}):
        path = tmp_path / "checkpoint"
        path.unlink(missing_ok=True)
        plain = make(max_iter=6, **params).set_callbacks(Checkpoint(path)).fit(X, y)
        estimator = make(max_iter=6, **params)
        assert resume(estimator, path, X, y) == 0
        assert_same_run(estimator, plain)
        np.testing.assert_array_equal(estimator.predict(X), plain.predict(X))


@both
def test_without_resume_a_run_starts_anew(make, data, tmp_path):
    X, y = data()
    interrupted(make(), tmp_path / "checkpoint", 3, X, y)
    recorder = Recorder()
    make().set_callbacks(Checkpoint(tmp_path / "checkpoint"), recorder).fit(X, y)
    assert recorder.epoch == 5


@both
def test_a_call_of_partial_fit_that_was_written_makes_no_second_epoch(make, data, tmp_path):
    X, y = data()
    path, known = tmp_path / "run.ckpt", classes_for(make(), y)
    estimator = make().partial_fit(X, y, **known)
    again = copy.deepcopy(estimator)
    estimator.set_callbacks(Checkpoint(path)).partial_fit(X, y)
    again.set_callbacks(Checkpoint(path, resume=True)).partial_fit(X, y)
    assert_same_run(again, estimator)
    assert (again.n_iter_, len(again.loss_curve_)) == (1, 2)
    assert_same_weights(again.set_callbacks().partial_fit(X, y), make(max_iter=3).fit(X, y))
    # Where the call was the one that spent the patience, the best network comes back.
    held_out = {"X_val": X[:40], "y_val": y[:40]}
    estimator = make(early_stopping=True, tol=1e9, n_iter_no_change=1, learning_rate=0.5)
    estimator.partial_fit(X, y, **known, **held_out).partial_fit(X, y, **held_out)
    again, path = copy.deepcopy(estimator), tmp_path / "last.ckpt"
    estimator.set_callbacks(Checkpoint(path)).partial_fit(X, y, **held_out)
    again.set_callbacks(Checkpoint(path, resume=True)).partial_fit(X, y, **held_out)
    assert estimator._progress.ended == "stalled"
    assert_same_run(again, estimator)


@both
def test_without_a_file_a_run_starts_anew(make, data, tmp_path):
    X, y = data()
    estimator = make()
    assert resume(estimator, tmp_path / "checkpoint", X, y) == 5
    assert_same_run(estimator, make().fit(X, y))
    assert (tmp_path / "checkpoint").exists()


@both
def test_every_few_epochs(make, data, tmp_path, monkeypatch):
    X, y = data()
    path, written = tmp_path / "checkpoint", []
    original = _checkpoint.write_atomically

    def recording(path, content):
        written.append(pickle.loads(content)["progress"].epochs)
        original(path, content)

    monkeypatch.setattr(_checkpoint, "write_atomically", recording)
    make(max_iter=10).set_callbacks(Checkpoint(path, every=3)).fit(X, y)
    assert written == [3, 6, 9]
    written.clear()
    # The end by lack of improvement is written too.
    params = {"tol": 1e9, "n_iter_no_change": 3, "max_iter": 10}
    assert make(**params).set_callbacks(Checkpoint(path, every=3)).fit(X, y).n_iter_ == 5
    assert written == [3, 5]
    interrupted(make(max_iter=10), path, 8, X, y, every=3)
    estimator = make(max_iter=10)
    assert resume(estimator, path, X, y) == 4
    assert_same_run(estimator, make(max_iter=10).fit(X, y))


CHANGES = {
    "X": lambda X, y: ({}, (X + 1e-9, y), {}),
    "fewer rows": lambda X, y: ({}, (X[:-1], y[:-1]), {}),
    "order": lambda X, y: ({}, (X[::-1], y[::-1]), {}),
    "y": lambda X, y: ({}, (X, y[::-1].copy()), {}),
    "weights": lambda X, y: ({}, (X, y, np.linspace(1, 2, len(y))), {}),
    "validation data": lambda X, y: ({}, (X, y), {"X_val": X, "y_val": y}),
    "learning rate": lambda X, y: ({"learning_rate": 0.02}, (X, y), {}),
    "max_iter": lambda X, y: ({"max_iter": 6}, (X, y), {}),
    "optimizer": lambda X, y: ({"optimizer": SGD(momentum=0.5)}, (X, y), {}),
    "dtype": lambda X, y: ({"dtype": "float32"}, (X, y), {}),
}


@both
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_other_data_or_parameters_are_refused(make, data, change, tmp_path):
    X, y = data()
    interrupted(make(), tmp_path / "checkpoint", 3, X, y)
    content = (tmp_path / "checkpoint").read_bytes()
    params, other, given = change(X, y)
    estimator = make(**params).set_callbacks(Checkpoint(tmp_path / "checkpoint", resume=True))
    before = state_without_callbacks(estimator)
    with pytest.raises(ValueError, match="written by a fit with other data or parameters"):
        estimator.fit(*other, **given)
    assert state_without_callbacks(estimator) == before
    assert (tmp_path / "checkpoint").read_bytes() == content


@both
def test_other_validation_data_are_refused(make, data, tmp_path):
    X, y = data()
    estimator = make(early_stopping=True)
    interrupted(estimator, tmp_path / "checkpoint", 3, X, y, X_val=X[::2], y_val=y[::2])
    estimator.set_callbacks(Checkpoint(tmp_path / "checkpoint", resume=True))
    with pytest.raises(ValueError, match="other data"):
        estimator.fit(X, y, X_val=X[1::2], y_val=y[1::2])


@both
def test_another_call_of_the_same_run_is_refused(make, data, tmp_path):
    # It would take the finished first call for its own, and make no epoch.
    X, y = data()
    checkpoint = Checkpoint(tmp_path / "checkpoint", resume=True)
    estimator = make(warm_start=True).set_callbacks(checkpoint).fit(X, y)
    before = state_without_callbacks(estimator)
    for method in (estimator.fit, estimator.partial_fit):
        with pytest.raises(ValueError, match="earlier call of the same run"):
            method(X, y)
    assert state_without_callbacks(estimator) == before


FRAMES = {
    "pandas": lambda X: pd.DataFrame(X).rename(columns=str),
    "polars": pl.DataFrame,
    "sparse": scipy.sparse.csr_matrix,
    "Fortran order": np.asfortranarray,
}


@pytest.mark.parametrize("form", FRAMES.values(), ids=FRAMES)
def test_equal_data_are_recognized(form, tmp_path):
    X, y = iris()
    X = np.round(X)
    interrupted(classifier(), tmp_path / "checkpoint", 3, form(X), y)
    for _ in range(2):
        assert resume(classifier(), tmp_path / "checkpoint", form(X), y) in (2, 0)


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("optimizer", ["lbfgs", LBFGS()], ids=repr)
def test_lbfgs_has_no_checkpoints(make, optimizer, tmp_path):
    estimator = make(optimizer=optimizer).set_callbacks(Checkpoint(tmp_path / "checkpoint"))
    before = state_without_callbacks(estimator)
    with pytest.raises(ValueError, match="Checkpoint needs a stochastic optimizer"):
        estimator.fit(*iris())
    assert state_without_callbacks(estimator) == before
    assert list(tmp_path.iterdir()) == []


@both
@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_failing_write_leaves_the_last_checkpoint_whole(
    make, data, function, tmp_path, monkeypatch
):
    X, y = data()
    path, calls, content = tmp_path / "checkpoint", count(1), []
    original = getattr(os, function)

    def failing(*args):
        if next(calls) == 4:
            content.append(path.read_bytes())
            raise OSError(28, "No space left on device")
        return original(*args)

    monkeypatch.setattr(os, function, failing)
    estimator = make().set_callbacks(Checkpoint(path))
    before = state_without_callbacks(estimator)
    with pytest.raises(OSError, match="No space left"):
        estimator.fit(X, y)
    assert state_without_callbacks(estimator) == before
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == content[0]
    assert pickle.loads(content[0])["progress"].epochs == 3
    monkeypatch.undo()
    assert resume(estimator, path, X, y) == 2
    assert_same_run(estimator, make().fit(X, y))


@both
def test_a_checkpoint_that_cannot_be_written_ends_the_fit(make, data, tmp_path):
    estimator = make().set_callbacks(Checkpoint(tmp_path / "missing" / "checkpoint"))
    with pytest.raises(FileNotFoundError):
        estimator.fit(*data())
    assert not hasattr(estimator, "network_")


PARAMS_OF_KILLED = """
    {
        "hidden_layer_sizes": (8,), "activation": "tanh", "optimizer": "adam", "batch_size": 16,
        "learning_rate": 0.01, "dropout": 0.2, "normalization": "batch", "max_iter": 60,
        "early_stopping": True, "n_iter_no_change": 1000, "random_state": 0, "dtype": "float64",
        "scoring": lambda estimator, X, y: estimator.score(X, y),
    }
"""
KILLED = f"""
    import os, pickle, random, signal, sys, time, warnings
    from sklearn.datasets import load_iris
    from skscratch import ScratchMLPClassifier
    from skscratch.callbacks import Callback, Checkpoint

    warnings.simplefilter("ignore")
    params = {PARAMS_OF_KILLED.strip()}
    mode, path = sys.argv[1:3]
    X, y = load_iris(return_X_y=True)

    def train(*others):
        estimator = ScratchMLPClassifier(**params)
        estimator.set_callbacks(Checkpoint(path, resume=True), *others).fit(X, y)
        content = estimator.network_.snapshot(), estimator.history_, estimator.n_iter_
        with open(path + ".result", "wb") as file:
            pickle.dump(content, file)

    class Suicide(Callback):
        epochs = 0
        def on_fit_task_end(self, estimator, context):
            self.epochs += 1
            if self.epochs == 25:
                os.kill(os.getpid(), signal.SIGKILL)

    if mode == "itself":
        train(Suicide())
    rng, pause = random.Random(0), 0.002
    while True:
        pause *= 1.2  # however slow the machine is, there is progress at some time
        child = os.fork()
        if child == 0:
            train()
            os._exit(0)
        time.sleep(pause * rng.uniform(0.5, 1.5))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.path.exists(path + ".result") and os.WIFEXITED(status):
            break
        print("killed", flush=True)
"""


@pytest.fixture(scope="module")
def uninterrupted():
    from sklearn.datasets import load_iris

    from skscratch import ScratchMLPClassifier

    return ScratchMLPClassifier(**eval(PARAMS_OF_KILLED.strip())).fit(*load_iris(return_X_y=True))


def run_killed(mode, path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), mode, str(path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def assert_result_is(path, uninterrupted):
    (vector, statistics), history, n_iter = pickle.loads(path.read_bytes())
    np.testing.assert_array_equal(vector, uninterrupted.network_.snapshot()[0])
    np.testing.assert_array_equal(statistics, uninterrupted.network_.snapshot()[1])
    assert n_iter == uninterrupted.n_iter_ == 60
    for name in set(history) - {"seconds"}:
        np.testing.assert_array_equal(history[name], uninterrupted.history_[name])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no SIGKILL")
def test_a_process_that_is_killed_at_the_end_of_an_epoch_resumes_to_the_same_end(
    uninterrupted, tmp_path
):
    path = tmp_path / "checkpoint"
    for _ in range(2):  # after 25 and 50 of 60 epochs
        assert run_killed("itself", path).returncode == -9
        assert not path.with_suffix(".result").exists()
    assert pickle.loads(path.read_bytes())["progress"].epochs == 50
    process = run_killed("itself", path)
    assert process.returncode == 0, process.stderr
    assert_result_is(tmp_path / "checkpoint.result", uninterrupted)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no SIGKILL")
def test_a_process_that_is_killed_at_any_time_resumes_to_the_same_end(uninterrupted, tmp_path):
    path = tmp_path / "checkpoint"
    process = run_killed("from outside", path)
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("killed") >= 3
    assert_result_is(tmp_path / "checkpoint.result", uninterrupted)


# Time, plateau, table -------------------------------------------------------------------------


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


def assert_table_is(path, history):
    # The reader's own conversion is exact in recent versions of pandas only.
    table = pd.read_csv(path, converters={name: float for name in history if name != "epoch"})
    pd.testing.assert_frame_equal(table, pd.DataFrame(history), check_exact=True)


@both
@pytest.mark.parametrize(
    "params", [{}, {"early_stopping": True}, {"optimizer": "lbfgs", "tol": 1e-12}], ids=repr
)
def test_the_history_as_a_file(make, data, params, tmp_path):
    X, y = data()
    path = tmp_path / "history.csv"
    estimator = make(warm_start=True, **params).set_callbacks(HistoryCSV(path)).fit(X, y)
    assert_table_is(path, estimator.history_)
    assert len(estimator.history_["epoch"]) == 5
    assert_table_is(path, estimator.fit(X, y).history_)
    assert len(estimator.history_["epoch"]) == 10
    assert_table_is(path, estimator.set_params(warm_start=False).fit(X, y).history_)
    assert len(estimator.history_["epoch"]) == 5


@both
def test_the_file_grows_with_each_epoch(make, data, tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("something old")
    lengths = []
    recorder = Recorder(
        lambda event: lengths.append(len(path.read_text().splitlines())) if "end" in event else 0
    )
    make(max_iter=3).set_callbacks(HistoryCSV(str(path)), recorder).fit(*data())
    assert lengths == [2, 3, 4, 4]


@both
def test_the_history_of_partial_fit_and_of_a_resumed_run(make, data, tmp_path):
    X, y = data()
    path = tmp_path / "history.csv"
    estimator = make().set_callbacks(HistoryCSV(path))
    for _ in range(3):
        estimator.partial_fit(X, y, **classes_for(estimator, y))
        assert_table_is(path, estimator.history_)
    interrupted(make(), tmp_path / "checkpoint", 3, X, y)
    for _ in range(2):  # the second one has nothing left to do
        estimator = make()
        checkpoint = Checkpoint(tmp_path / "checkpoint", resume=True)
        estimator.set_callbacks(checkpoint, HistoryCSV(path)).fit(X, y)
        assert len(estimator.history_["epoch"]) == 5
        assert_table_is(path, estimator.history_)


def test_callbacks_work_together(tmp_path):
    X, y = diabetes()
    ours = [
        StopOnPlateau("loss", n_epochs=1, tol=1e9),
        HistoryCSV(tmp_path / "history.csv"),
        Checkpoint(tmp_path / "checkpoint"),
        TimeBudget(1e9),
    ]
    estimator = regressor(max_iter=50).set_callbacks(*ours).fit(X, y)
    assert estimator.n_iter_ == 3
    assert_table_is(tmp_path / "history.csv", estimator.history_)
    assert pickle.loads((tmp_path / "checkpoint").read_bytes())["progress"].epochs == 3


# Shared and resumed ---------------------------------------------------------------------------

PLATEAU = {"max_iter": 60, "learning_rate": 0.02, "tol": 0.0, "n_iter_no_change": float("inf")}


def plateau():
    return StopOnPlateau("loss", n_epochs=2, tol=0.02)


@both
def test_a_run_that_a_callback_ends_resumes_to_the_same_end(make, data, tmp_path):
    X, y = data()
    whole = make(**PLATEAU).set_callbacks(plateau()).fit(X, y)
    assert 5 < whole.n_iter_ < 60
    path = tmp_path / "run.ckpt"
    interrupted = make(**PLATEAU).set_callbacks(Checkpoint(path), plateau(), Raising(5))
    with pytest.raises(RuntimeError):
        interrupted.fit(X, y)
    for _ in range(2):  # the second time there is nothing left to do
        resumed = make(**PLATEAU).set_callbacks(Checkpoint(path, resume=True), plateau())
        assert_same_run(resumed.fit(X, y), whole)


class Raising(Callback):
    """Fail after an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if fitted_estimator.n_iter_ == self.epoch and context.task_name == "epoch":
            raise RuntimeError


def test_clones_in_threads_do_not_disturb_each_other(tmp_path):
    X, y = iris()
    shared = [plateau(), TimeBudget(60)]
    estimators = [
        classifier(**{**PLATEAU, "random_state": seed}).set_callbacks(*shared) for seed in range(4)
    ]
    alone = [clone(estimator).fit(X, y).n_iter_ for estimator in estimators]
    assert len(set(alone)) > 1
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda estimator: estimator.fit(X, y).n_iter_, estimators))
    assert together == alone


def test_a_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "run.ckpt"
    path.write_bytes(b"not a pickle")
    with pytest.raises(ValueError, match=r"run\.ckpt is no checkpoint"):
        classifier().set_callbacks(Checkpoint(path, resume=True)).fit(*iris())


def test_a_checkpoint_of_another_version_is_named(tmp_path, monkeypatch):
    path = tmp_path / "run.ckpt"
    with monkeypatch.context() as patch:
        patch.setattr("skscratch.callbacks._checkpoint.CHECKPOINT_FORMAT", 7)
        classifier().set_callbacks(Checkpoint(path)).fit(*iris())
    before = path.read_bytes()
    clf = classifier().set_callbacks(Checkpoint(path, resume=True))
    with pytest.raises(ValueError, match="another version of skscratch: its format is 7, and"):
        clf.fit(*iris())
    assert path.read_bytes() == before
    assert not clf._is_fitted()
    path.write_bytes(pickle.dumps({"fingerprint": "one of the time before there were formats"}))
    with pytest.raises(ValueError, match="one of another version of skscratch"):
        clf.fit(*iris())


def scores(*args):
    return 1.0


def other_scores(*args):
    return 2.0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"random_state": np.random.RandomState(3)}, {"random_state": np.random.RandomState(4)}),
        ({"scoring": lambda *args: 1.0}, {"scoring": lambda *args: 2.0}),
        ({"scoring": scores}, {"scoring": other_scores}),
        ({"optimizer": SGD(momentum=0.5)}, {"optimizer": SGD(momentum=0.6)}),
    ],
    ids=["RandomState", "lambda", "function", "object"],
)
def test_other_parameters_are_refused(before, after, tmp_path):
    path = tmp_path / "run.ckpt"
    before = copy.deepcopy(before) | {"early_stopping": True, "n_iter_no_change": 99}
    again = copy.deepcopy(before)
    whole = classifier(**before, max_iter=4).set_callbacks(Checkpoint(path)).fit(*iris())
    resumed = classifier(**again, max_iter=4).set_callbacks(Checkpoint(path, resume=True))
    assert_same_run(resumed.fit(*iris()), whole)
    other = classifier(**(again | after), max_iter=4).set_callbacks(Checkpoint(path, resume=True))
    with pytest.raises(ValueError, match="other data or parameters"):
        other.fit(*iris())


FINGERPRINT = """
import sys
from sklearn.datasets import load_iris
from skscratch import ScratchMLPClassifier
from skscratch.callbacks import Checkpoint

source = '''
def score(estimator, X, y, known=frozenset({"setosa", "versicolor"})):
    kinds = [name for name in ("a", "b") if name in {"setosa", "versicolor", "virginica"}]
    return float(len(kinds) + all(label in known for label in ("setosa",)))
'''
names = {}
exec(compile(source, sys.argv[2], "exec"), names)
clf = ScratchMLPClassifier((4,), early_stopping=True, scoring=names["score"], max_iter=2,
                           lr_schedule="constant", random_state=0)
clf.set_callbacks(Checkpoint(sys.argv[1], resume=True)).fit(*load_iris(return_X_y=True))
"""


def test_a_function_is_recognized_in_another_process(tmp_path):
    for seed in ("1", "2"):
        process = subprocess.run(
            [sys.executable, "-c", FINGERPRINT, str(tmp_path / "run.ckpt"), f"cell {seed}"],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert process.returncode == 0, process.stderr


def test_functions_are_told_apart():
    def enclosing(value):
        return lambda *args: value

    functions = [
        lambda *args: np.mean(args),
        lambda *args: np.max(args),
        lambda *args, power=1: power,
        lambda *args, power=2: power,
        enclosing(1),
        enclosing(2),
        lambda *args: [x for x in args if x in {1, 2}],
        lambda *args: [x for x in args if x in {1, 3}],
    ]
    found = [repr(_checkpoint._recognize(function)) for function in functions]
    assert len(set(found)) == len(found)


def test_a_file_is_written_as_any_other_is(tmp_path):
    (tmp_path / "other").write_bytes(b"")
    classifier(max_iter=1).set_callbacks(Checkpoint(tmp_path / "run.ckpt")).fit(*iris())
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_verbose_is_not_part_of_the_fingerprint(tmp_path):
    path = tmp_path / "run.ckpt"
    classifier().set_callbacks(Checkpoint(path)).fit(*iris())
    again = classifier(verbose=True).set_callbacks(Checkpoint(path, resume=True)).fit(*iris())
    assert again.n_iter_ == classifier().max_iter


@from_1_9
@pytest.mark.parametrize("kind", [TimeBudget, StopOnPlateau, HistoryCSV, Checkpoint])
def test_ours_belong_on_the_network_itself(kind, tmp_path):
    callback = {TimeBudget: lambda: kind(1), StopOnPlateau: kind}.get(
        kind, lambda: kind(tmp_path / "file")
    )()
    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", classifier())])
    with pytest.raises(TypeError, match=f"{kind.__name__} belongs on .*not on the Pipeline"):
        pipeline.set_callbacks(callback).fit(*iris())
