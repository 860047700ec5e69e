"""What fails leaves the estimator as it was; a file as it was, or whole.

Callbacks that raise and failing writes are in tests/callbacks/ as well.
"""

import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import make_scorer

from skscratch.callbacks import Checkpoint

from ..conftest import BOTH, state

both = pytest.mark.parametrize(("make", "data"), BOTH)

# A scorer that raises -------------------------------------------------------------------------


@both
@pytest.mark.parametrize("call", [1, 3])
@pytest.mark.parametrize("error", [RuntimeError, ValueError, MemoryError, SystemExit])
def test_a_scorer_that_raises_leaves_no_trace(make, data, call, error):
    X, y = data()
    calls = []

    def metric(y, predicted):
        calls.append(1)
        if len(calls) == call:
            raise error("no score")
        return 0.0

    estimator = make(max_iter=4).fit(X, y)
    estimator.set_params(early_stopping=True, scoring=make_scorer(metric))
    before, predicted = state(estimator.network_), estimator.predict(X)
    with pytest.raises(error, match="no score"):
        estimator.fit(X, y)
    assert state(estimator.network_) == before
    np.testing.assert_array_equal(estimator.predict(X), predicted)


# A full disk and a killed process -------------------------------------------------------------


@both
@pytest.mark.parametrize("method", ["write", "flush"])
def test_a_disk_that_fills_up_leaves_the_last_checkpoint_whole(
    make, data, method, tmp_path, monkeypatch
):
    X, y = data()
    path, written = tmp_path / "checkpoint", []
    original = Path.open

    def opened(*args):
        file = original(*args)
        written.append(file)
        if len(written) < 4:
            return file

        class Full:
            def __enter__(self):
                return self

            def __exit__(self, *error):
                file.close()

            def write(self, data):
                file.write(data[: len(data) // 2])
                if method == "write":
                    raise OSError(28, "No space left on device")

            def flush(self):
                raise OSError(28, "No space left on device")

            fileno = file.fileno

        return Full()

    monkeypatch.setattr(Path, "open", opened)
    estimator = make(max_iter=6).set_callbacks(Checkpoint(path))
    with pytest.raises(OSError, match="No space left"):
        estimator.fit(X, y)
    monkeypatch.undo()
    assert not hasattr(estimator, "network_")
    assert list(tmp_path.iterdir()) == [path]
    assert pickle.loads(path.read_bytes())["trained"].progress.epochs == 3
    resumed = make(max_iter=6).set_callbacks(Checkpoint(path, resume=True)).fit(X, y)
    np.testing.assert_array_equal(resumed.predict(X), make(max_iter=6).fit(X, y).predict(X))


KILLED = """
import os, pickle, random, signal, sys, time, warnings
from sklearn.datasets import load_breast_cancer
from skscratch import ScratchMLPClassifier
from skscratch.callbacks import Checkpoint

warnings.simplefilter("ignore")
X, y = load_breast_cancer(return_X_y=True)

def make():
    return ScratchMLPClassifier((16, 8), dropout=0.2, normalization="batch", batch_size=32,
                                early_stopping=True, n_iter_no_change=10**6, lr_schedule="cosine",
                                max_iter=80, n_networks=2, random_state=0)

folder, n_kills = sys.argv[1], int(sys.argv[2])
expected = make().fit(X, y)
rng = random.Random(n_kills)
kills = runs = 0
began = time.monotonic()
make().fit(X, y)
duration = time.monotonic() - began
while kills < n_kills:
    runs += 1
    path = os.path.join(folder, f"run {runs}")
    while True:
        child = os.fork()
        if child == 0:
            try:
                estimator = make().set_callbacks(Checkpoint(path, resume=True)).fit(X, y)
                with open(path + ".result", "wb") as file:
                    pickle.dump((estimator.network_.snapshot(), estimator.history_), file)
            finally:
                os._exit(0)
        if kills < n_kills:
            time.sleep(rng.uniform(0, 0.5 * duration))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            kills += 1
            continue
        break
    with open(path + ".result", "rb") as file:
        (vector, statistics), history = pickle.load(file)
    wanted = expected.network_.snapshot()
    assert (vector == wanted[0]).all() and (statistics == wanted[1]).all()
    for name in set(history) - {"seconds"}:
        assert repr(history[name]) == repr(expected.history_[name]), name
left = {name for name in os.listdir(folder) if not name.endswith(".result")}
known = {f"run {i + 1}" for i in range(runs)}
assert left <= known | {f".{name}.part" for name in known}, left
print(kills, runs)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no SIGKILL")
@pytest.mark.parametrize("n_kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_a_process_that_is_killed_resumes_to_the_uninterrupted_result(n_kills, tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path), str(n_kills)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert int(process.stdout.split()[0]) == n_kills
