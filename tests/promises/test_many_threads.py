"""Estimators in many threads do what they do alone, and leave the process as it was."""

import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from sklearn.base import clone

from skscratch import ScratchMLPClassifier, ScratchMLPRegressor
from skscratch.nn import (
    DivergenceError,
)

from ..conftest import BOTH, cancer, classifier, iris, regressor

both = pytest.mark.parametrize(("make", "data"), BOTH)

HUGE = {"feature_scaling": None, "dtype": "float64"}


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
