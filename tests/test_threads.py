import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skscratch._threads import SMALL_PRODUCT, few_threads
from skscratch.callbacks import TimeBudget
from skscratch.nn import Network, ReLU

from .conftest import classifier, iris

SMALL = Network([20, 16, 3], [ReLU()])
WIDE = Network([1000, 100, 3], [ReLU()])
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
