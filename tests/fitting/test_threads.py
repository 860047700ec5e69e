"""How many threads the BLAS gets while training."""

import contextlib
import os
import subprocess
import sys

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skscratch._fitting import threads
from skscratch._fitting.threads import SMALL_PRODUCT, few_threads
from skscratch.callbacks import TimeBudget
from skscratch.nn import Architecture, Network, ReLU

from ..conftest import classifier, iris

SMALL = Network(Architecture([20, 16, 3], [ReLU()]))
WIDE = Network(Architecture([1000, 100, 3], [ReLU()]))
ENOUGH_ROWS = SMALL_PRODUCT // 100_000 + 1


def n_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads():
    with threadpool_limits(limits=2, user_api="blas"):
        if n_threads() != {2}:
            pytest.skip("this BLAS has no second thread")
        yield


def test_small_products_get_one_thread_and_others_all():
    with few_threads(SMALL, 200):
        assert n_threads() == {1}
    assert n_threads() == {2}
    with few_threads(WIDE, ENOUGH_ROWS):
        assert n_threads() == {2}
    with few_threads(WIDE, ENOUGH_ROWS - 1):
        assert n_threads() == {1}


def test_threads_come_back_after_an_error():
    with pytest.raises(ZeroDivisionError), few_threads(SMALL, 200):
        raise ZeroDivisionError
    assert n_threads() == {2}


def test_fit_takes_one_thread_for_small_products_and_leaves_no_trace():
    seen = []

    class Spy(TimeBudget):
        def on_fit_task_end(self, *args, **kwargs):
            seen.append(n_threads())
            return super().on_fit_task_end(*args, **kwargs)

    X, y = iris()
    classifier(max_iter=2).set_callbacks(Spy(60)).fit(X, y)
    assert {1} in seen
    assert n_threads() == {2}


def test_an_interrupt_at_any_line_leaves_nobody_holding(monkeypatch):
    def use(at):
        """Hold the threads, being interrupted at a line, and return how many lines were run."""
        n_lines = 0

        def trace(frame, event, argument):
            nonlocal n_lines
            if frame.f_code.co_filename != threads.__file__:
                return None
            if event == "line":
                n_lines += 1
                if n_lines == at:
                    sys.settrace(None)
                    raise KeyboardInterrupt
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            with contextlib.suppress(KeyboardInterrupt), few_threads(SMALL, 200):
                pass
        finally:
            sys.settrace(before)
        return n_lines

    n_lines = use(None)
    assert n_lines > 20
    for at in range(1, n_lines + 1):
        # Of its own, since a tracer can interrupt even the exit from the lock, as no signal can.
        monkeypatch.setattr(threads, "_one_thread", threads._OneThread())
        use(at)
        with few_threads(SMALL, 200):
            assert n_threads() == {1}, at
        assert n_threads() == {2}, at


FORKED = """
import os, signal, threading
from sklearn.datasets import load_iris
from threadpoolctl import threadpool_info
from skscratch import ScratchMLPClassifier
from skscratch._fitting.threads import _Holder, _one_thread

def n_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

assert n_threads() == {2}
inside, done = threading.Event(), threading.Event()

def train():
    holder = _Holder()
    _one_thread.hold(holder)
    with _one_thread._lock:
        inside.set()
        done.wait()

thread = threading.Thread(target=train)
thread.start()
inside.wait()
assert n_threads() == {1}
child = os.fork()
if child == 0:
    signal.alarm(60)
    assert n_threads() == {2}
    X, y = load_iris(return_X_y=True)
    ScratchMLPClassifier((4,), max_iter=2).fit(X, y)
    os._exit(0 if n_threads() == {2} else 1)
done.set()
thread.join()
assert os.waitpid(child, 0)[1] == 0
assert n_threads() == {1}
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing can be forked")
def test_a_fork_is_not_bound_by_what_threads_of_its_parent_hold():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment |= {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    process = subprocess.run(
        [sys.executable, "-c", FORKED],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == 0, process.stderr
