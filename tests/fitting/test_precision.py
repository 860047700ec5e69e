import math
import tracemalloc
from functools import partial

import numpy as np
import pytest
from scipy import sparse

from skscratch import ScratchMLPClassifier, ScratchMLPRegressor
from skscratch._fitting.plan import FLOAT32_FROM
from skscratch._fitting.precision import LARGEST, LARGEST_OFFSET, SMALLEST, fits_float32

N = FLOAT32_FROM
RAMP = np.linspace(0, 1, 50)


def column(*values):
    return np.array(values)[:, np.newaxis]


# What a column holds, and whether float32 will do.
COLUMNS = {
    "standardized": (RAMP * 4 - 2, True),
    "large": (RAMP * LARGEST, True),
    "too large": (RAMP * LARGEST * 1.01, False),
    "too large, negative": (-RAMP * LARGEST * 1.01, False),
    "too large, constant": (np.full(50, 1e7), False),
    "beyond float32": (np.r_[1e300, RAMP], False),
    "the whole of float64": (np.r_[-1.7e308, 1.7e308], False),
    "small": (RAMP * SMALLEST * 1.01, True),
    "too small": (RAMP * SMALLEST * 0.99, False),
    "zero in float32": (RAMP * 1e-60, False),
    "a small value among others": (np.r_[1e-60, RAMP], True),
    "offset": (RAMP + LARGEST_OFFSET - 1, True),
    "too much offset": (RAMP + LARGEST_OFFSET, False),
    "too much offset, negative": (-RAMP - LARGEST_OFFSET, False),
    "small, with too much offset": ((RAMP + LARGEST_OFFSET) * 1e-8, False),
    "all zero": (np.zeros(50), True),
    "constant": (np.full(50, 3000.0), True),
    "constant up to rounding": (np.r_[0.1 + 0.2, 0.3], True),
    "rare": (np.r_[np.zeros(10_000), 1], True),
    "one outlier": (np.r_[RAMP, 9e4], True),
    "integers": (np.arange(50), True),
    "years": (np.arange(1980, 2025), True),
    "times": (1_700_000_000 + np.arange(50), False),
    "bytes": (np.arange(256, dtype=np.uint8), True),
    "the least integer": (np.r_[np.iinfo(np.int64).min, 0], False),
    "truth values": (np.array([True, False]), True),
    "float32": (RAMP.astype(np.float32), True),
    # Where the data are float32 already, the sums over them still would be inexact.
    "float32, too much offset": ((RAMP + 1000).astype(np.float32), False),
}


@pytest.mark.parametrize(("values", "fits"), COLUMNS.values(), ids=COLUMNS)
def test_a_column_decides(values, fits):
    values = values[:, np.newaxis]
    assert fits_float32(values) is fits
    others = np.resize(RAMP, (len(values), 2)) - 0.5
    beside = np.hstack([others, values])
    for X in (beside, np.asfortranarray(beside), beside[::-1], beside[:, ::-1]):
        assert fits_float32(X) is fits
    for layout in (sparse.csr_array, sparse.csc_array, sparse.csr_matrix):
        assert fits_float32(layout(values)) is fits
        assert fits_float32(layout(beside)) is fits


def test_zeros_of_a_sparse_matrix_count():
    X = sparse.csr_array(column(1000.0, 1001.0, 0.0))
    assert X.nnz == 2
    assert fits_float32(X)
    assert not fits_float32(X[:2])
    assert fits_float32(sparse.csr_array((50, 3)))


def test_a_late_row_decides():
    X = np.ones((100_000, 3))
    assert fits_float32(X)
    X[-1, 1] = 1e7
    assert not fits_float32(X)


def test_the_scan_takes_no_room_that_grows_with_x(tmp_path):
    X = np.memmap(tmp_path / "X", np.float64, mode="w+", shape=(100_000, 20))
    for data in (X, X.astype(np.float32), np.asfortranarray(X)):
        tracemalloc.start()
        fits_float32(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < X.nbytes / 50


def test_the_scan_leaves_a_sparse_matrix_as_it_is():
    X = sparse.csc_array((np.ones(3), np.array([1, 0, 0]), np.array([0, 3])), shape=(2, 1))
    fits_float32(X)
    assert X.nnz == 3
    assert not X.has_canonical_format


# With the estimators ----------------------------------------------------------------------------


# Scaled features are of order 1, whatever they were.
PLAIN = {
    "n_networks": 1,
    "activation": "relu",
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "lr_schedule": "constant",
    "batch_size": 200,
    "max_iter": 200,
    "early_stopping": False,
}
unscaled = partial(ScratchMLPRegressor, feature_scaling=None, **PLAIN)


@pytest.fixture(scope="module")
def table():
    """Columns of scale 1, and targets that depend on them."""
    X = np.random.default_rng(0).standard_normal((2 * N, 6))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + X[:, 3]


def test_targets_count_as_they_are_trained_on(table):
    X, y = table
    for unit, offset in ((1e8, 0), (1e-8, 0), (1, 1e6), (1e-8, 1e-3), (1e-60, 0), (1e60, 0)):
        estimator = unscaled((2,), max_iter=1).fit(X, y * unit + offset)
        assert estimator.network_.dtype == np.float32
        estimator.set_params(standardize_target=False)
        if unit < 1e60:
            expected = np.float32 if (unit, offset) == (1e-8, 0) else np.float64
            assert estimator.fit(X, y * unit + offset).network_.dtype == expected
    unscaled((2,), max_iter=1, loss="gamma").fit(X, np.exp(y) * 1e-60)
    for labels in (np.where(y > 0, 10**9, 10**9 + 1), np.column_stack([y > 0, y > 1]).astype(int)):
        estimator = ScratchMLPClassifier((2,), max_iter=1, feature_scaling=None).fit(X, labels)
        assert estimator.network_.dtype == np.float32


def test_what_float32_cannot_hold_trains_without_being_told(table):
    X, y = table
    X = X * [1e50, 1, 1, 1, 1, 1]
    params = {"hidden_layer_sizes": (2,), "max_iter": 1, "normalization": "layer"}
    assert unscaled(**params).fit(X, y).network_.dtype == np.float64
    with pytest.raises(ValueError, match="beyond the range of float32"):
        unscaled(**params, dtype="float32").fit(X, y)


def test_only_the_automatic_dtype_looks_at_the_data(table, monkeypatch):
    def refuse(X):
        raise AssertionError("X was looked at")

    monkeypatch.setattr("skscratch._fitting.plan.fits_float32", refuse)
    X, y = table
    for params in ({"dtype": "float32"}, {"dtype": "float64"}, {"optimizer": "lbfgs"}):
        unscaled((2,), max_iter=1, **params).fit(X, y)
    unscaled((2,), max_iter=1).fit(X[: N - 1], y[: N - 1])
    with pytest.raises(AssertionError):
        unscaled((2,), max_iter=1).fit(X, y)


@pytest.mark.parametrize(("first", "second"), [(0, 1e3), (1e3, 0)])
def test_the_first_call_decides(table, first, second):
    X, y = table
    estimator = unscaled((2,), max_iter=1, warm_start=True)
    dtype = estimator.partial_fit(X + first, y).network_.dtype
    assert dtype == (np.float64 if first else np.float32)
    assert estimator.partial_fit(X + second, y).network_.dtype == dtype
    assert estimator.fit(X + second, y).network_.dtype == dtype
    assert estimator.set_params(warm_start=False).fit(X + second, y).network_.dtype != dtype


def test_memory_maps_and_sparse_input_decide_alike(table, tmp_path):
    X, y = table
    for offset in (0, 1e3):
        on_disk = np.memmap(tmp_path / "X", X.dtype, mode="w+", shape=X.shape)
        on_disk[:] = X + offset
        estimators = [
            unscaled((2,), max_iter=1).fit(data, y)
            for data in (X + offset, on_disk, sparse.csc_array(X + offset))
        ]
        assert len({estimator.network_.dtype for estimator in estimators}) == 1


# With batch normalization and a decaying rate float64 learns in spite of an offset.
NORMALIZED = {
    "normalization": "batch",
    "learning_rate": 0.01,
    "lr_schedule": "cosine",
    "max_iter": 80,
    "n_iter_no_change": math.inf,
}
SCALES = {
    "features up to 1e4": (np.r_[np.ones(4), 1e-8, 1e4], 0, 1, {}),
    "features up to 1e8": (np.r_[np.ones(4), 1e-8, 1e8], 0, 1, {}),
    "features on a scale up to 1e4": (10.0 ** np.linspace(-8, 4, 6), 0, 1, {}),
    "features on a scale up to 1e8": (10.0 ** np.linspace(-8, 8, 6), 0, 1, {}),
    "a feature of 1e7": (np.r_[1e7, np.ones(5)], 0, 1, {}),
    # Above that scale a change of X by 1e-10 changes the scores as much as float32 does.
    "features up to 1e2, normalized": (np.r_[np.ones(4), 1e-8, 1e2], 0, 1, NORMALIZED),
    "features up to 1e8, normalized": (np.r_[np.ones(4), 1e-8, 1e8], 0, 1, NORMALIZED),
    "offset of 500": (1, 500, 1, NORMALIZED),
    "offset of 3000": (1, 3000, 1, NORMALIZED),
    "offset of a time": (1e3, 1.7e9, 1, NORMALIZED),
    "targets of 1e8": (1, 0, 1e8, {}),
    "targets of 1e-8": (1, 0, 1e-8, {}),
    "targets of 1e8 as they are": (1, 0, 1e8, {"standardize_target": False}),
    "targets of 1e-8 as they are": (1, 0, 1e-8, {"standardize_target": False}),
}


def scores_of(dtype, X, y, params):
    """Return the scores on the second half of the rows for a few random states."""
    params = {"max_iter": 20, "dtype": dtype, **params}
    return np.array(
        [
            unscaled((20,), random_state=seed, **params).fit(X[:N], y[:N]).score(X[N:], y[N:])
            for seed in range(4)
        ]
    )


@pytest.mark.parametrize(("scale", "offset", "unit", "params"), SCALES.values(), ids=SCALES)
def test_scores_match_those_of_float64(table, scale, offset, unit, params):
    X, y = table
    X, y = X * scale + offset, y * unit
    automatic, double = (scores_of(dtype, X, y, params) for dtype in ("auto", "float64"))
    # As far apart as two random states are, at the most.
    assert np.sqrt(np.mean((automatic - double) ** 2)) <= math.sqrt(2) * double.std()


def test_float32_would_not_do_with_a_large_offset(table):
    # Else the rule could go. Rounding decides what float32 learns: it moves the predictions by half
    # of the targets' deviation, for the better or the worse. Float64's stay as they are.
    X, y = table
    for seed in range(2):
        single, double, nudged = (
            unscaled((20,), random_state=seed, dtype=dtype, **NORMALIZED)
            .fit(data[:N], y[:N])
            .predict(data[N:])
            for dtype, data in (
                ("float32", X + 3000),
                ("float64", X + 3000),
                ("float64", (X + 3000) * (1 + 1e-10)),
            )
        )
        assert np.std(single - double) > 0.1 * y.std()
        assert np.std(nudged - double) < 1e-4 * y.std()
