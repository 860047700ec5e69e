"""Callbacks are set, cloned, shared and stored."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skscratch import SGD
from skscratch.callbacks import Checkpoint, HistoryCSV, StopOnPlateau, TimeBudget

from ..conftest import BOTH, assert_same_weights, classifier, iris, regressor, state
from .checks import PLATEAU, Recorder, events, plateau

both = pytest.mark.parametrize(("make", "data"), BOTH)


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
