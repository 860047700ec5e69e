"""Checkpoints: a run that was interrupted resumes to the same end."""

import copy
import pickle
import shutil

import numpy as np
import pytest

from skscratch import SGD
from skscratch.callbacks import Callback, Checkpoint, _checkpoint

from ..conftest import BOTH, assert_same_weights, classes_for, classifier, iris
from .checks import PLATEAU, Recorder, assert_same_run, interrupted, plateau, raising, resume

both = pytest.mark.parametrize(("make", "data"), BOTH)

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
    assert estimator._fitted.progress.ended == "stalled"
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
        written.append(pickle.loads(content)["trained"].progress.epochs)
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


def test_a_file_is_written_as_any_other_is(tmp_path):
    (tmp_path / "other").write_bytes(b"")
    classifier(max_iter=1).set_callbacks(Checkpoint(tmp_path / "run.ckpt")).fit(*iris())
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1
