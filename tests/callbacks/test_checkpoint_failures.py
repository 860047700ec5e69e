"""Checkpoints whose write fails, or whose process is killed."""

import os
import pickle
import subprocess
import sys
import textwrap
from itertools import count

import numpy as np
import pytest

from skscratch.callbacks import Checkpoint

from ..conftest import BOTH
from .checks import assert_same_run, resume, state_without_callbacks

both = pytest.mark.parametrize(("make", "data"), BOTH)


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
    assert pickle.loads(content[0])["trained"].progress.epochs == 3
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
    assert pickle.loads(path.read_bytes())["trained"].progress.epochs == 50
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
