"""An interrupt leaves the estimator as it was, or fitted and whole."""

import os
import pickle
import random
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import skscratch
from skscratch._fitting import threads
from skscratch.callbacks import Callback

from ..conftest import BOTH, regressor, state

both = pytest.mark.parametrize(("make", "data"), BOTH)

PACKAGE = str(Path(skscratch.__file__).parent)

INTERRUPTED = [
    {},
    {"early_stopping": True, "scoring": "loss", "dropout": 0.2, "normalization": "batch"},
    {"n_networks": 2, "feature_scaling": "robust"},
    {"optimizer": "lbfgs"},
    {
        "feature_scaling": "robust",
        "numerical_embedding": "periodic",
        "n_networks": 2,
        "early_stopping": True,
    },
]


class Interrupt:
    """Raise KeyboardInterrupt at a line that is run in the package, or count the lines.

    Not in ``threads.py``, which `test_threads.py` interrupts: a tracer can do so even on the way
    out of a lock, as no signal can, and other tests' threads would wait for that lock for ever.
    """

    def __init__(self, at=None):
        self.n_lines, self._at = 0, at

    def __call__(self, frame, event, argument):
        path = frame.f_code.co_filename
        if not path.startswith(PACKAGE) or path == threads.__file__:
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
