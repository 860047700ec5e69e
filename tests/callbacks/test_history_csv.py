"""The history as a file that grows with each epoch."""

import pickle

import pandas as pd
import pytest

from skscratch.callbacks import Checkpoint, HistoryCSV, StopOnPlateau, TimeBudget

from ..conftest import BOTH, classes_for, diabetes, regressor
from .checks import Recorder, interrupted

both = pytest.mark.parametrize(("make", "data"), BOTH)


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
    assert pickle.loads((tmp_path / "checkpoint").read_bytes())["trained"].progress.epochs == 3
