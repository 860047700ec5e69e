"""The same random_state gives the same weights, bit for bit, as far as the BLAS does."""

import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from skscratch import ScratchMLPClassifier, ScratchMLPRegressor

from ..conftest import BOTH, classifier, diabetes, iris, regressor

both = pytest.mark.parametrize(("make", "data"), BOTH)

# Each draws from a stream: weights, order, dropout, rows held out, frequencies.
STOCHASTIC = {
    "dropout": 0.3,
    "early_stopping": True,
    "n_networks": 2,
    "normalization": "batch",
    "numerical_embedding": "periodic",
}


def weights(estimator):
    return np.concatenate([np.ravel(array) for array in estimator.network_.snapshot()])


def assert_same(one, other):
    np.testing.assert_array_equal(weights(one), weights(other))
    columns = {name: column for name, column in one.history_.items() if name != "seconds"}
    for name, column in columns.items():
        np.testing.assert_array_equal(other.history_[name], column, err_msg=name)


@both
@pytest.mark.parametrize("params", [{}, STOCHASTIC, {"optimizer": "lbfgs"}], ids=str)
def test_an_integer_gives_the_same_each_time(make, data, params):
    X, y = data()
    estimator = make(**params, random_state=3).fit(X, y)
    assert_same(make(**params, random_state=3).fit(X, y), estimator)
    assert_same(estimator.fit(X, y), clone(estimator).fit(X, y))
    other = make(**params, random_state=4).fit(X, y)
    assert not np.array_equal(weights(other), weights(estimator))


@pytest.mark.parametrize("kind", [ScratchMLPClassifier, ScratchMLPRegressor])
def test_the_defaults_are_deterministic(kind):
    X, y = iris()
    fits = [kind((16, 8), max_iter=5, random_state=0).fit(X, y) for _ in range(2)]
    assert_same(*fits)
    if kind is ScratchMLPClassifier:
        assert fits[0].temperature_ == fits[1].temperature_ != 1


@both
def test_any_integer_type_will_do(make, data):
    X, y = data()
    expected = make(random_state=3).fit(X, y)
    for seed in (np.int64(3), np.uint8(3), np.random.RandomState(3)):
        assert_same(make(random_state=seed).fit(X, y), expected)


@both
def test_a_random_state_object_goes_on_from_fit_to_fit(make, data):
    X, y = data()
    stream = np.random.RandomState(0)
    estimator = make(**STOCHASTIC, random_state=stream)
    first, second = (weights(estimator.fit(X, y)) for _ in range(2))
    assert not np.array_equal(first, second)
    stream.seed(0)
    np.testing.assert_array_equal(weights(estimator.fit(X, y)), first)
    np.testing.assert_array_equal(weights(estimator.fit(X, y)), second)


@both
def test_no_random_state_draws_from_numpys_own(make, data):
    X, y = data()
    estimator, before = make(random_state=None), np.random.get_state()  # noqa: NPY002
    try:
        first, second = (weights(estimator.fit(X, y)) for _ in range(2))
        assert not np.array_equal(first, second)
        np.random.seed(0)  # noqa: NPY002
        seeded = weights(estimator.fit(X, y))
        np.testing.assert_array_equal(seeded, weights(make(random_state=0).fit(X, y)))
    finally:
        np.random.set_state(before)  # noqa: NPY002


@both
@pytest.mark.parametrize(
    "seed",
    [np.random.default_rng(0), np.random.SeedSequence(0), -1, 2**32, 0.5, "0"],
    ids=lambda seed: type(seed).__name__,
)
def test_what_scikit_learn_does_not_take_for_a_random_state(make, data, seed):
    estimator = make(random_state=seed)
    with pytest.raises(ValueError, match=r"random_state must be None, an integer from 0 to 2"):
        estimator.fit(*data())
    assert not hasattr(estimator, "network_")


@both
@pytest.mark.parametrize("seed", [0, "object"])
def test_a_warm_start_is_as_deterministic(make, data, seed):
    X, y = data()
    runs = []
    for _ in range(2):
        state = np.random.RandomState(5) if seed == "object" else seed
        estimator = make(warm_start=True, dropout=0.2, max_iter=2, random_state=state)
        runs.append(estimator.fit(X, y).fit(X, y).partial_fit(X, y))
    assert_same(*runs)


@both
def test_a_warm_start_goes_on_with_the_streams_of_the_first_call(make, data):
    X, y = data()
    expected = make(max_iter=4, dropout=0.2).fit(X, y)
    estimator = make(max_iter=2, dropout=0.2, warm_start=True).fit(X, y)
    estimator.set_params(random_state=99)  # counts when training starts anew
    np.testing.assert_array_equal(weights(estimator.fit(X, y)), weights(expected))


@both
def test_a_search_finds_the_same_however_many_jobs(make, data):
    X, y = data()
    params = {name: value for name, value in STOCHASTIC.items() if name != "numerical_embedding"}
    grid = {"l2": [1e-4, 1.0], "dropout": [0.0, 0.3]}
    results = []
    for backend, n_jobs in (("loky", 1), ("loky", 2), ("threading", 4)):
        search = GridSearchCV(make(**params), grid, cv=KFold(2, shuffle=True, random_state=0))
        with parallel_config(backend, n_jobs=n_jobs):
            results.append(search.fit(X, y))
    for search in results[1:]:
        for name in ("split0_test_score", "split1_test_score"):
            np.testing.assert_array_equal(search.cv_results_[name], results[0].cv_results_[name])
        assert_same(search.best_estimator_, results[0].best_estimator_)


ELSEWHERE = """
import pickle, sys, warnings
import numpy as np
from skscratch import ScratchMLPClassifier, ScratchMLPRegressor

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X = rng.normal(size=(600, 200))
y = X[:, 0] * X[:, 1] + X[:, 2]
results = {}
for dtype in ("float32", "float64"):
    common = {"max_iter": 3, "dtype": dtype, "random_state": 0, "dropout": 0.1}
    common["early_stopping"] = False
    small = ScratchMLPClassifier((16, 8), class_weight={False: 1, True: 2}, **common)
    wide = ScratchMLPRegressor((200,), batch_size=256, **common)  # 256 * 200 * 200 > 2**23
    results[dtype] = [
        small.fit(X, y > 0).network_.snapshot()[0],
        wide.fit(X, y).network_.snapshot()[0],
        wide.predict(X),
    ]
sys.stdout.buffer.write(pickle.dumps(results))
"""


def elsewhere(n_threads, hash_seed):
    """Fit in another process, which may use so many threads."""
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(variables, str(n_threads))}
    environment |= {"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", textwrap.dedent(ELSEWHERE)]
    return pickle.loads(subprocess.run(command, env=environment, stdout=-1, check=True).stdout)


def test_processes_and_numbers_of_threads():
    one, two = elsewhere(1, 0), elsewhere(2, 1)
    for dtype, tolerance in (("float64", 1e-9), ("float32", 1e-3)):
        small, wide, predicted = one[dtype]
        np.testing.assert_array_equal(two[dtype][0], small)
        # Products this wide are shared out, and summed up in another order.
        np.testing.assert_allclose(two[dtype][1], wide, rtol=0, atol=tolerance)
        np.testing.assert_allclose(two[dtype][2], predicted, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("make", "data"), [(classifier, iris), (regressor, diabetes)])
def test_what_was_done_before_does_not_matter(make, data):
    X, y = data()
    expected = make(**STOCHASTIC).fit(X, y)
    estimator = make(**STOCHASTIC).fit(X[::3], y[::3])
    estimator.predict(X)
    estimator.partial_fit(X, y, X_val=X, y_val=y)
    assert_same(estimator.fit(X, y), expected)
