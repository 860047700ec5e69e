"""What fails leaves the estimator as it was, or fitted and whole; a file as it was, or whole.

Callbacks that raise and failing writes are in tests/callbacks/.
"""

import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import make_scorer

import skscratch
from skscratch import (
    ScratchMLPClassifier,
    ScratchMLPRegressor,
    _threads,
    learning_rate_range_test,
)
from skscratch.callbacks import Callback, Checkpoint
from skscratch.nn import (
    SGD,
    Architecture,
    Batches,
    DivergenceError,
    Learner,
    Network,
    Normal,
    ReLU,
    SquaredError,
    fit,
)

from ..conftest import BOTH, cancer, classifier, diabetes, iris, regressor, state

both = pytest.mark.parametrize(("make", "data"), BOTH)
HUGE = {"feature_scaling": None, "dtype": "float64"}


# A loss that is not finite ----------------------------------------------------------------------


def steps_of(monkeypatch):
    """Count the steps that are begun."""
    steps = []

    def counted(*args):
        steps.append(1)
        return original(*args)

    original = fit.__globals__["train_step"]
    monkeypatch.setitem(fit.__globals__, "train_step", counted)
    return steps


def test_divergence_ends_training_at_once_and_says_where(monkeypatch):
    X, y = diabetes()
    steps = steps_of(monkeypatch)
    estimator = regressor(**HUGE, optimizer="sgd", activation="relu", batch_size=10)
    with pytest.raises(DivergenceError) as caught:
        estimator.fit(X * 1e200, y)
    message = str(caught.value)
    assert "in epoch 1, at learning rate 0.01, first in the loss" in message
    assert message.endswith(
        " Try feature_scaling='robust' (X has values up to 4.5e+200), learning_rate=0.001 in place "
        "of 0.01, clip_norm=1 or normalization='batch'."
    )
    assert len(steps) == 1  # of 15 in the epoch
    assert not hasattr(estimator, "network_")


def spoiled(place, what, dropout=0.0):
    """Train a network in which a layer has a parameter, or an output, that is not finite."""
    network = Network(Architecture([2, 3, 3, 1], [ReLU(), ReLU()], [dropout] * 2))
    network.parameters.vector[...] = 1.0
    with np.errstate(over="ignore"):
        network.dense[place].W[0, 0] = np.nan if what == "parameters" else 1e308
    streams = (np.random.default_rng(0),)
    learner = Learner(network, SquaredError(), SGD(), 0.1, streams=streams)
    with pytest.raises(DivergenceError) as caught:
        fit(learner, Batches(np.full((4, 2), 9.0), np.zeros((4, 1))), epochs=3)
    return str(caught.value)


@pytest.mark.parametrize(
    ("place", "name"), [(0, "hidden layer 1 of 2"), (1, "hidden layer 2 of 2"), (2, "the output")]
)
@pytest.mark.parametrize("what", ["parameters", "outputs"])
def test_divergence_names_the_layer(place, name, what):
    assert f"in epoch 1, at learning rate 0.1, first in the {what} of {name}" in spoiled(
        place, what
    )


def test_divergence_names_the_layer_with_dropout_too():
    assert "the parameters of hidden layer 2 of 2" in spoiled(1, "parameters", dropout=0.5)


def test_the_last_step_of_an_epoch_may_spoil_the_parameters():
    X = np.array([[1e150, 0.0]])
    network = Network(Architecture([2, 1], []))
    learner = Learner(network, SquaredError(), SGD(), 1e200)
    with pytest.raises(DivergenceError, match="first in the parameters of the output layer"):
        fit(learner, Batches(X, np.array([[1e30]])), epochs=3)


def test_the_last_step_of_a_fit_may_make_the_outputs_overflow():
    settings = HUGE | {"hidden_layer_sizes": (4,), "activation": "identity", "optimizer": "sgd"}
    settings |= {"max_iter": 2, "l2": 0, "init": "auto", "standardize_target": False}
    reg = regressor(**settings)
    with pytest.raises(
        DivergenceError, match="first in the outputs of the network after the last step"
    ):
        reg.fit([[1.25730221e29]], [-0.13210486])
    assert not reg._is_fitted()


def test_large_parameters_alone_are_no_divergence():
    network = Network(Architecture([1, 1], []))
    network.dense[0].W[...] = 1e100
    learner = Learner(network, SquaredError(), SGD(), 0.1)
    X = np.array([[1e-100], [-2e-100], [3e-100]])
    assert fit(learner, Batches(X, 2e100 * X), epochs=5).ended == "exhausted"
    assert network.dense[0].W.item() == pytest.approx(1e100)


def test_the_validation_loss_may_be_the_first_to_diverge():
    X, y = diabetes()
    with (
        pytest.raises(DivergenceError, match="first in the validation loss"),
        pytest.warns(UserWarning, match="X_val is on another scale than X"),
    ):
        regressor(**HUGE, activation="relu").fit(X, y, X_val=X * 1e200, y_val=y)


def test_lbfgs_diverges_with_the_same_error():
    X, y = diabetes()
    with pytest.raises(DivergenceError, match="in epoch 1, first in the loss"):
        regressor(**HUGE, optimizer="lbfgs", activation="relu").fit(X * 1e200, y)


def test_a_range_test_without_a_first_step_has_the_same_error():
    X, y = diabetes()
    with pytest.raises(DivergenceError, match="not finite before the first step"):
        learning_rate_range_test(regressor(**HUGE, activation="relu"), X * 1e200, y)


# Settings that diverge on standardized data, and what the error then advises.
EXPLOSIVE = {"activation": "relu", "optimizer": "sgd", "learning_rate": 1e100}
ADVICE = {
    "nothing is done yet": (
        {"standardize_target": False},
        ["learning_rate=1e+99 in place of 1e+100", "standardize_target=True (y has values up to "],
        ["scal"],
    ),
    "scaled outside": ({}, ["learning_rate=", "clip_norm=1", "normalization='batch'"], ["scal"]),
    "scaled here": ({"feature_scaling": "robust"}, ["learning_rate="], ["scal"]),
    "single rows": ({"batch_size": 1}, ["normalization='layer'"], ["batch"]),
    "no hidden layer": ({"hidden_layer_sizes": ()}, ["clip_norm=1"], ["normalization"]),
    "normalized": (
        {"normalization": "layer", "clip_norm": 1e300},
        ["Try learning_rate=1e+99 in place of 1e+100."],
        ["normalization", "clip_norm"],
    ),
    "another link": (
        {"loss": "poisson", "standardize_target": False},
        ["learning_rate="],
        ["standardize_target"],
    ),
    "lbfgs": (
        {"optimizer": "lbfgs", "init": Normal(std=1e200)},
        ["in epoch 1, first in the ", ". Try l2=0.1 in place of 0.01 or another optimizer."],
        ["scal", "learning_rate"],
    ),
}


@pytest.mark.parametrize(("params", "advised", "silent"), ADVICE.values(), ids=ADVICE)
def test_divergence_advises_what_is_not_done_yet(params, advised, silent):
    X, y = diabetes()
    with pytest.raises(DivergenceError) as caught:
        regressor(**{**EXPLOSIVE, "dtype": "float64", **params}).fit(X, y)
    happened, advice = caught.value.args
    assert all(text in str(caught.value) for text in advised), str(caught.value)
    assert not any(text in advice for text in silent), advice
    assert str(caught.value) == f"{happened} {advice}"


@pytest.mark.parametrize("sparse", [False, True])
def test_a_run_that_has_not_converged_advises_scaling_only_where_it_is_not_done(sparse):
    X, y = iris()
    for optimizer in ("adam", "lbfgs"):
        params = {"optimizer": optimizer, "max_iter": 2, "n_iter_no_change": 10}
        for factor, feature_scaling, advised in (
            (1, None, False),
            (1e3, None, True),
            (1e3, "robust", False),
        ):
            inputs = scipy.sparse.csr_matrix(factor * X) if sparse else factor * X
            with pytest.warns(ConvergenceWarning, match="converged. ?.*Raise max_iter") as caught:
                classifier(**params, feature_scaling=feature_scaling).fit(inputs, y)
            message = str(caught[0].message)
            assert (
                "set feature_scaling='robust' (X has values up to 3.1e+03)" in message
            ) is advised
            assert ("scal" in message) is advised


def test_divergence_crosses_processes():
    for args in (["Training diverged: ..."], ["Training diverged: ...", "Try another."]):
        error = pickle.loads(pickle.dumps(DivergenceError(*args)))
        assert isinstance(error, ValueError)
        assert str(error) == " ".join(args)


@both
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_divergence_in_a_continued_training_rolls_back(make, data, method):
    X, y = data()
    params = {"optimizer": "sgd", "activation": "relu", "warm_start": True, "loss": "log_loss"}
    if make is regressor:
        params["loss"] = "squared_error"
    estimator = make(**params).fit(X, y)
    before, predicted = state(estimator), estimator.predict(X)
    with pytest.raises(DivergenceError):
        getattr(estimator, method)(X * 1e200, y)
    assert state(estimator) == before
    np.testing.assert_array_equal(estimator.predict(X), predicted)
    getattr(estimator, method)(X, y)


# A scorer that raises ---------------------------------------------------------------------------


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


# An interrupt -----------------------------------------------------------------------------------

PACKAGE = str(Path(skscratch.__file__).parent)
INTERRUPTED = [
    {},
    {"early_stopping": True, "scoring": "loss", "dropout": 0.2, "normalization": "batch"},
    {"early_stopping": True, "refit": True, "feature_scaling": "robust"},
    {"optimizer": "lbfgs"},
    {"feature_scaling": "robust", "numerical_embedding": "periodic", "calibrate": True},
]


class Interrupt:
    """Raise KeyboardInterrupt at a line that is run in the package, or count the lines.

    Not in ``_threads.py``, which `test_threads.py` interrupts: a tracer can do so even on the way
    out of a lock, as no signal can, and other tests' threads would wait for that lock for ever.
    """

    def __init__(self, at=None):
        self.n_lines, self._at = 0, at

    def __call__(self, frame, event, argument):
        path = frame.f_code.co_filename
        if not path.startswith(PACKAGE) or path == _threads.__file__:
            return None
        if event == "line":
            self.n_lines += 1
            if self.n_lines == self._at:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self

    def __enter__(self):
        self._before = sys.gettrace()
        sys.settrace(self)
        return self

    def __exit__(self, *error):
        sys.settrace(self._before)


def assert_whole(estimator, X, y):
    """The estimator is fitted, its parts go together, and it can be used and trained on."""
    lengths = {name: len(column) for name, column in estimator.history_.items()}
    assert len(set(lengths.values())) == 1, lengths
    assert estimator.n_iter_ <= lengths["epoch"]
    assert all(np.isfinite(vector).all() for vector in estimator.network_.snapshot())
    predicted = estimator.predict(X)
    restored = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(restored.predict(X), predicted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clone(estimator).fit(X, y)
        if hasattr(estimator, "partial_fit"):
            estimator.partial_fit(X, y)
            lengths = {name: len(column) for name, column in estimator.history_.items()}
            assert len(set(lengths.values())) == 1, lengths
        assert np.isfinite(estimator.score(X, y))


def interrupt_fit(estimator, X, y, at):
    """Interrupt fit at a line: it keeps what it has, or leaves everything as it was."""
    before = state(estimator)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with Interrupt(at) as interrupt:
                estimator.fit(X, y)
        except KeyboardInterrupt:
            if state(estimator) != before:  # it came when all was done
                assert_whole(estimator, X, y)
            return
    # The first fit of a process runs more lines than later ones.
    if interrupt.n_lines >= at:
        assert any("interrupted" in str(warning.message) for warning in caught)
    assert_whole(estimator, X, y)


def count_lines(estimator, X, y):
    with warnings.catch_warnings(), Interrupt() as counter:
        warnings.simplefilter("ignore")
        clone(estimator).fit(X, y)
    return counter.n_lines


@both
@pytest.mark.parametrize("params", INTERRUPTED, ids=str)
@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
def test_an_interrupt_at_any_line(make, data, params, fitted):
    X, y = data()
    X, y = X[::3], y[::3]
    params = {"max_iter": 3, "batch_size": 20, **params}
    if make is regressor:
        params.pop("calibrate", None)
    estimator = make(**params)
    n_lines, rng = count_lines(estimator, X, y), random.Random(str(params))
    for _ in range(6):
        each = clone(estimator)
        if fitted:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                each.fit(X, y)
        interrupt_fit(each, X, y, rng.randrange(1, n_lines + 1))


@pytest.mark.slow
@both
@pytest.mark.parametrize("params", INTERRUPTED, ids=str)
def test_an_interrupt_at_every_line(make, data, params):
    X, y = data()
    X, y = X[::6], y[::6]
    params = {"max_iter": 2, "batch_size": 20, **params}
    if make is regressor:
        params.pop("calibrate", None)
    for at in range(1, count_lines(make(**params), X, y) + 1):
        interrupt_fit(make(**params), X, y, at)


class InterruptAt(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch" and fitted_estimator.n_iter_ == self.epoch:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to oneself")
@both
def test_a_real_interrupt_keeps_the_epochs_made(make, data):
    X, y = data()
    estimator = make(max_iter=50).set_callbacks(InterruptAt(3))
    # A shell starts background jobs with interrupts ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.warns(UserWarning, match="interrupted after 3 epochs"):
            estimator.fit(X, y)
    finally:
        signal.signal(signal.SIGINT, before)
    assert estimator.n_iter_ == len(estimator.history_["epoch"]) == 3
    np.testing.assert_array_equal(estimator.predict(X), make(max_iter=3).fit(X, y).predict(X))


# A full disk and a killed process ---------------------------------------------------------------


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
    assert pickle.loads(path.read_bytes())["progress"].epochs == 3
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
                                max_iter=80, refit=True, random_state=0)

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


# Threads ----------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("feature_scaling", [None, "robust"])
def test_one_estimator_predicts_in_many_threads(make, data, feature_scaling):
    X, y = data()
    estimator = make(feature_scaling=feature_scaling).fit(X, y)
    blocks = [np.vstack([X[k:], X[:k]]) for k in range(8)] * 4
    expected = [estimator.predict(block) for block in blocks]
    with ThreadPoolExecutor(8) as pool:
        for predicted, wanted in zip(pool.map(estimator.predict, blocks), expected, strict=True):
            np.testing.assert_array_equal(predicted, wanted)


@both
def test_clones_are_fitted_in_many_threads_as_alone(make, data):
    X, y = data()
    kinds = [
        {"dropout": 0.2},
        {"early_stopping": True},
        {"optimizer": "lbfgs"},
        {"dtype": "float32"},
    ]
    estimators = [make(**params, random_state=seed) for params in kinds for seed in range(2)]
    expected = [clone(estimator).fit(X, y).predict(X) for estimator in estimators]
    at_once = Barrier(len(estimators))

    def fit(estimator):
        at_once.wait()
        return estimator.fit(X, y).predict(X)

    with ThreadPoolExecutor(len(estimators)) as pool:
        for predicted, wanted in zip(pool.map(fit, estimators), expected, strict=True):
            np.testing.assert_array_equal(predicted, wanted)


THREADS = """
import threading
from concurrent.futures import ThreadPoolExecutor
from sklearn.datasets import load_iris
from threadpoolctl import threadpool_info
from skscratch import ScratchMLPClassifier
from skscratch.callbacks import Callback

X, y = load_iris(return_X_y=True)
n_threads = lambda: {i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"}
if n_threads() == {2}:
    at_once, during = threading.Barrier(4), []

    class Spy(Callback):
        def on_fit_task_end(self, estimator, context):
            during.append(n_threads())

    def fit(seed):
        at_once.wait()
        params = {"max_iter": 5 * seed + 1, "calibrate": False, "random_state": seed}
        ScratchMLPClassifier((8,), **params).set_callbacks(Spy()).fit(X, y)

    with ThreadPoolExecutor(4) as pool:  # whose threads live on
        for _ in range(5):
            list(pool.map(fit, range(4)))
            assert n_threads() == {2}, n_threads()
    assert {1} in during
    assert {2} in during  # on_fit_task_end of fit comes when its products are done
"""


def test_threads_that_fit_give_the_blas_its_threads_back():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "2")
    process = subprocess.run(
        [sys.executable, "-c", THREADS],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == 0, process.stderr


def test_a_fit_in_a_thread_warns_and_fails_as_alone():
    X, y = cancer()
    diverging = regressor(**HUGE, optimizer="sgd", activation="relu")
    with ThreadPoolExecutor(4) as pool:
        failing = [pool.submit(clone(diverging).fit, X * 1e200, y) for _ in range(4)]
        fine = [pool.submit(classifier().fit, X, y) for _ in range(4)]
        for future in failing:
            with pytest.raises(DivergenceError):
                future.result()
        for future in fine:
            assert future.result().score(X, y) > 0.5


@pytest.mark.parametrize("kind", [ScratchMLPClassifier, ScratchMLPRegressor])
def test_nothing_of_the_process_is_left_changed(kind):
    def process_state():
        legacy = np.random.get_state()  # noqa: NPY002  # nobody shall have drawn from it
        return np.geterr(), legacy[1].tolist(), list(warnings.filters)

    X, y = iris()
    before = process_state()
    kind((4,), max_iter=2, random_state=0).fit(X, y).predict(X)
    assert process_state() == before
