"""Searches in the processes of a cluster, and training on data that come in pieces."""

import os
import signal
import sys
from contextlib import suppress

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from ..conftest import classifier, iris

# What these packages warn about is theirs.
pytestmark = pytest.mark.filterwarnings("default")

GRID = {"l2": [0.0, 1.0], "learning_rate": [1e-3, 1e-1]}


@pytest.fixture(scope="module")
def client():
    """The client of a cluster of two processes on this machine."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def recorder(folder):
    """Return a scorer that leaves a file named after the process that it runs in."""

    # Not a function of the module, which the workers cannot import: it travels by value.
    def score(estimator, X, y):
        (folder / str(os.getpid())).touch()
        return estimator.score(X, y)

    return score


def search(scoring=None):
    return GridSearchCV(classifier(), GRID, cv=3, scoring=scoring, error_score="raise")


def assert_same_search(result, expected):
    scores = [name for name in expected.cv_results_ if name.endswith("_test_score")]
    assert len(scores) == 3 + 3  # the folds; their mean, deviation and rank
    for name in scores:
        np.testing.assert_array_equal(result.cv_results_[name], expected.cv_results_[name])
    assert len(set(expected.cv_results_["mean_test_score"])) > 1
    assert_same_network(result.best_estimator_, expected.best_estimator_)


def assert_same_network(estimator, other):
    for w, expected in zip(
        estimator.coefs_ + estimator.intercepts_, other.coefs_ + other.intercepts_, strict=True
    ):
        np.testing.assert_array_equal(w, expected)


# Searches -------------------------------------------------------------------------------------


def test_a_search_on_a_cluster_is_the_local_one(client, tmp_path):
    with joblib.parallel_config(backend="dask"):
        result = search(recorder(tmp_path)).fit(*iris())
    assert_same_search(result, search().fit(*iris()))
    ran_in = {int(path.name) for path in tmp_path.iterdir()}
    assert ran_in
    assert ran_in <= set(client.run(os.getpid).values())


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_search_outlives_a_worker_that_is_killed(client, tmp_path):
    score = recorder(tmp_path)
    killed = tmp_path / "killed"

    def kill_once(estimator, X, y):
        # After the first result, and only one of the two: "x" fails if the file is there.
        if any(tmp_path.iterdir()):
            with suppress(FileExistsError), killed.open("x") as file:
                print(os.getpid(), file=file, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
        return score(estimator, X, y)

    before = set(client.run(os.getpid).values())
    X, y = iris()
    # All workers get the data, and keep them: else the only copy may be lost with one of them.
    client.amm.stop()
    with joblib.parallel_config(backend="dask", scatter=[X, y]):
        result = search(kill_once).fit(X, y)
    assert int(killed.read_text()) in before
    assert_same_search(result, search().fit(*iris()))


@pytest.mark.slow
def test_a_search_on_ray_is_the_local_one():
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    register_ray()
    ray.init(num_cpus=2, include_dashboard=False)
    try:
        with joblib.parallel_config(backend="ray"):
            result = search().fit(*iris())
    finally:
        ray.shutdown()
    assert_same_search(result, search().fit(*iris()))


# Data in pieces -------------------------------------------------------------------------------


def test_a_loop_over_the_blocks_of_an_array_is_one_over_slices():
    da = pytest.importorskip("dask.array")
    X, y = iris()
    lazy, expected = classifier(), classifier()
    lazy_X, lazy_y = da.from_array(X, chunks=(60, 4)), da.from_array(y, chunks=60)
    for _ in range(3):
        for X_block, y_block in zip(lazy_X.blocks, lazy_y.blocks, strict=True):
            lazy.partial_fit(X_block.compute(), y_block.compute(), classes=np.arange(3))
        for start in (0, 60, 120):
            rows = slice(start, start + 60)
            expected.partial_fit(X[rows], y[rows], classes=np.arange(3))
    assert_same_network(lazy, expected)
    assert lazy.t_ == 3 * 150
    labels = lazy_X.map_blocks(lazy.predict, dtype=int, drop_axis=1)
    np.testing.assert_array_equal(labels.compute(), expected.predict(X))


def test_a_loop_over_the_partitions_of_a_frame_is_one_over_slices():
    dd = pytest.importorskip("dask.dataframe")
    import pandas as pd

    X, y = iris()
    frame = pd.DataFrame(X, columns=list("abcd")).assign(target=y)
    lazy, expected = classifier(), classifier()
    for delayed in dd.from_pandas(frame, npartitions=3).to_delayed():
        part = delayed.compute()
        lazy.partial_fit(part[list("abcd")], part["target"], classes=np.arange(3))
    for start in (0, 50, 100):
        expected.partial_fit(X[start : start + 50], y[start : start + 50], classes=np.arange(3))
    assert_same_network(lazy, expected)
    assert list(lazy.feature_names_in_) == list("abcd")


def test_incremental_of_dask_ml_is_the_loop():
    wrappers = pytest.importorskip("dask_ml.wrappers")
    import dask.array as da

    X, y = iris()
    lazy = da.from_array(X, chunks=(60, 4)), da.from_array(y, chunks=60)
    model = wrappers.Incremental(classifier(), shuffle_blocks=False)
    model.fit(*lazy, classes=np.arange(3))
    expected = classifier()
    for start in (0, 60, 120):
        rows = slice(start, start + 60)
        expected.partial_fit(X[rows], y[rows], classes=np.arange(3))
    assert_same_network(model.estimator_, expected)
    np.testing.assert_array_equal(model.predict(lazy[0]).compute(), expected.predict(X))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")
def test_an_array_larger_than_the_memory_of_all_workers():
    distributed = pytest.importorskip("distributed")
    import resource

    import dask
    import dask.array as da

    n_rows, n_features, limit = 1_600_000, 100, 300_000_000
    X = da.random.default_rng(0).normal(size=(n_rows, n_features), chunks=(25_000, n_features))
    X = X.astype(np.float32)
    y = X[:, 0] > X[:, 1]
    assert X.nbytes > 2 * limit

    def most_memory():
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    clf = classifier(batch_size=512, dtype="float32")
    with (
        distributed.LocalCluster(
            2, threads_per_worker=1, dashboard_address=":0", memory_limit=limit
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        workers, before = client.run(os.getpid), most_memory()
        for X_block, y_block in zip(X.blocks, y.blocks, strict=True):
            clf.partial_fit(*dask.compute(X_block, y_block), classes=[False, True])
        grown = most_memory() - before
        # One that had outgrown its limit would have been killed.
        assert client.run(os.getpid) == workers
    assert clf.t_ == n_rows
    assert grown < X.nbytes / 4
    fresh = np.random.default_rng(1).normal(size=(1000, n_features))
    assert clf.score(fresh, fresh[:, 0] > fresh[:, 1]) > 0.95
