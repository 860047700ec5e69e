"""The robust scaler by itself, against its formula."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.stats import norm

from skscratch import ScratchMLPRegressor
from skscratch._fitting.scaling import BOUND, MOST_ROWS, RobustSmoothClip

from .checks import assert_same_scaler


def mixed(n_rows=60, seed=0):
    """Columns of many kinds: dense, skewed, rare, constant, integer, far from 0."""
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [
            rng.standard_normal(n_rows),
            np.exp(3 * rng.standard_normal(n_rows)),
            rng.random(n_rows) < 0.1,
            rng.random(n_rows) < 0.5,
            np.full(n_rows, 7.0),
            np.zeros(n_rows),
            rng.integers(-3, 4, n_rows),
            rng.integers(0, 4, n_rows) * (rng.random(n_rows) < 0.4),
            1e9 + rng.standard_normal(n_rows),
        ]
    )


def quantile(values, share, weights):
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) >= (share - 1e-9) * weights.sum()
    return values[order][reached.argmax()]


def naive(X, weights=None):
    """Median and factor of each column, one by one."""
    weights = np.ones(len(X)) if weights is None else weights
    center, scale = [], []
    for column in X.T:
        center.append(quantile(column, 0.5, weights))
        values = np.unique(column[weights > 0])
        mass = np.array([weights[column == value].sum() for value in values])
        mode = mass.argmax()
        mass[mode] = min(mass[mode], (mass.sum() - mass[mode]) / 2)
        spread = 0
        if len(values) > 1:
            inner = quantile(values, 0.75, mass) - quantile(values, 0.25, mass)
            outer = quantile(values, 0.99, mass) - quantile(values, 0.01, mass)
            spread = min(max(inner, outer / 4), 4 * inner)
        scale.append(1 / spread if spread else 0)
    return np.array(center), np.array(scale)


@pytest.mark.parametrize("n_rows", [1, 2, 3, 4, 5, 59, 60])
@pytest.mark.parametrize("weighted", [False, True])
def test_learns_what_the_formula_says(n_rows, weighted):
    X = mixed(n_rows)
    weights = np.random.default_rng(1).integers(0, 4, n_rows).astype(float) if weighted else None
    if weighted:
        weights[0] = 1.0
    scaler = RobustSmoothClip().fit(X, weights)
    center, scale = naive(X, weights)
    assert_array_equal(scaler.center_, center)
    assert_allclose(scaler.scale_, scale, rtol=1e-15)
    T = (X - center) * scale
    assert_allclose(scaler.transform(X), T / np.sqrt(1 + (T / 3) ** 2), rtol=1e-14, atol=1e-15)
    assert scaler.transform(X).dtype == np.float64


def test_a_known_column():
    # Quartiles 1, 2 and 4; the 98 % in the middle extend over 12, so that 3 is enough.
    X = np.array([[1.0], [2.0], [4.0], [13.0]])
    scaler = RobustSmoothClip().fit(X)
    assert scaler.center_ == 2
    assert scaler.scale_ == 1 / 3
    assert_allclose(scaler.shift_, -2 / 3 / np.sqrt(1 + (2 / 9) ** 2))
    assert_allclose(scaler.transform(X)[-1], (11 / 3) / np.sqrt(1 + (11 / 9) ** 2))
    # They extend over 20, then over far more than four times the distance of the quartiles.
    assert RobustSmoothClip().fit(np.array([[1.0], [2.0], [4.0], [21.0]])).scale_ == 1 / 5
    assert RobustSmoothClip().fit(np.array([[1.0], [2.0], [4.0], [1e9]])).scale_ == 1 / 12


FORMS = [np.asarray, sparse.csr_array, sparse.csc_matrix, np.asfortranarray]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n_rows", [60, MOST_ROWS + 500])
def test_weights_are_repetitions(form, n_rows):
    X = mixed(n_rows)
    weights = np.zeros(n_rows)
    weights[:100] = np.random.default_rng(2).integers(0, 4, len(weights[:100]))
    repeated = np.repeat(X, weights.astype(int), axis=0)
    scaler = RobustSmoothClip().fit(form(X), weights)
    assert_same_scaler(scaler, RobustSmoothClip().fit(form(repeated)))
    assert_same_scaler(scaler, RobustSmoothClip().fit(form(X[weights > 0]), weights[weights > 0]))
    order = np.random.default_rng(3).permutation(n_rows)
    assert_same_scaler(scaler, RobustSmoothClip().fit(form(X[order]), weights[order]))


def test_weights_need_not_be_integers():
    X = mixed()
    assert_same_scaler(RobustSmoothClip().fit(X), RobustSmoothClip().fit(X, np.full(len(X), 1 / 7)))
    weights = np.random.default_rng(4).random(len(X))
    scaler = RobustSmoothClip().fit(X, weights)
    assert_array_equal(scaler.center_, naive(X, weights)[0])
    assert_same_scaler(scaler, RobustSmoothClip().fit(sparse.csc_array(X), weights))


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array, sparse.csr_matrix])
@pytest.mark.parametrize("n_rows", [60, MOST_ROWS + 500])
@pytest.mark.parametrize("weighted", [False, True])
def test_sparse_is_dense_without_the_shift(form, n_rows, weighted):
    X = mixed(n_rows)
    weights = np.random.default_rng(5).integers(0, 3, n_rows) * 1.0 if weighted else None
    scaler = RobustSmoothClip().fit(X, weights)
    assert_same_scaler(scaler, RobustSmoothClip().fit(form(X), weights))
    scaled = scaler.transform(form(X))
    assert scaled.format == "csr"
    assert scaled.nnz == form(X).nnz
    assert_allclose(scaled.toarray() + scaler.shift_, scaler.transform(X), atol=1e-14)


def test_elements_stored_in_parts_are_added_up_and_the_matrix_left_alone():
    parts = sparse.csr_array(
        (np.array([1.0, 2.0, 5.0, 0.0]), np.array([0, 0, 0, 0]), np.array([0, 2, 3, 4])),
        shape=(3, 1),
    )
    whole = np.array([[3.0], [5.0], [0.0]])
    scaler = RobustSmoothClip().fit(parts)
    assert_same_scaler(scaler, RobustSmoothClip().fit(whole))
    scaled = scaler.transform(parts).toarray() + scaler.shift_
    assert_allclose(scaled, scaler.transform(whole), atol=1e-15)
    assert parts.nnz == 4
    assert not parts.has_canonical_format


def test_columns_are_scaled_alike_whatever_their_unit():
    X = mixed()
    plain = RobustSmoothClip().fit(X).transform(X)
    assert np.abs(plain).max() < BOUND
    for stretch, shift in ((1e-3, 5.0), (1e150, 0), (1e-150, 0), (1e4, -1e4)):
        moved = X[:, :8] * stretch + shift
        scaled = RobustSmoothClip().fit(moved).transform(moved)
        assert_allclose(scaled, plain[:, :8], rtol=1e-7, atol=1e-9)


def test_a_large_offset_costs_no_digits_in_float32():
    X = np.random.default_rng(6).integers(-8, 9, (100, 1)) / 8
    expected = RobustSmoothClip().fit(X).transform(X, np.float32)
    scaled = RobustSmoothClip().fit(X + 1e9).transform(X + 1e9, np.float32)
    assert scaled.dtype == np.float32
    assert_array_equal(scaled, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_values_of_any_size_stay_within_the_bound(dtype, form):
    X = np.array(
        [
            [1e300, 1.7e308, 0.0, 1e-310, 5.0, 1e300],
            [-1e300, -1.7e308, 1e-320, 0.0, 5.0, 1.0],
            [1.0, -1.7e308, 0.0, 1e-310, 5.0, 2.0],
            [2.0, 1.7e308, 1.0, 2e-310, 5.0, 3.0],
        ]
    )
    far = np.array([[1.7e308] * 6, [-1.7e308] * 6, [0.0] * 6])
    with np.errstate(all="raise"):
        scaler = RobustSmoothClip().fit(form(X))
        scaled = [scaler.transform(form(rows), dtype) for rows in (X, far)]
    for each in scaled:
        values = each + scaler.shift_ if sparse.issparse(each) else each
        values = np.asarray(values)
        assert np.isfinite(values).all()
        assert np.abs(values).max() <= BOUND * (1 + 1e-6)
        assert_allclose(values[:, 4], 0, atol=1e-7)


def inflated(zeros, tail, n_rows=2000, seed=0):
    """A column with a share of zeros, the others being evenly spaced quantiles of a tail."""
    n_zeros = round(zeros * n_rows)
    others = tail((np.arange(n_rows - n_zeros) + 0.5) / (n_rows - n_zeros))
    X = np.r_[np.zeros(n_zeros), others][:, np.newaxis]
    return np.random.default_rng(seed).permutation(X)


TAILS = {
    "exponential": lambda share: -5 * np.log1p(-share),
    "lognormal": lambda share: np.exp(3 + 1.5 * norm.ppf(share)),
    "two-sided": lambda share: 5 * norm.ppf(share),
    "indicator": np.ones_like,
}


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
def test_the_scale_is_continuous_in_the_share_of_zeros(tail):
    shares = np.arange(0.02, 0.965, 0.01)  # beyond, a step takes away a third of the tail
    scales = [RobustSmoothClip().fit(inflated(share, tail)).scale_[0] for share in shares]
    steps = np.exp(np.abs(np.diff(np.log(scales))))
    assert steps.max() < 1.25
    assert max(scales) < 4 * min(scales)


@pytest.mark.parametrize("zeros", [0.05, 0.3, 0.5, 0.7, 0.74, 0.76, 0.9, 0.99])
@pytest.mark.parametrize("tail", ["exponential", "lognormal", "two-sided"])
def test_most_of_a_tail_stays_where_the_clip_is_nearly_linear(zeros, tail):
    X = inflated(zeros, TAILS[tail])
    scaled = RobustSmoothClip().fit(X).transform(X)[X != 0]
    assert np.quantile(np.abs(scaled), 0.9) < 0.9 * BOUND
    q25, q75 = np.quantile(scaled, [0.25, 0.75])
    assert q75 - q25 > 0.2  # nor are they all next to 0


@pytest.mark.parametrize("zeros", [0.0, 0.9])
def test_outliers_hardly_move_the_scale(zeros):
    X = inflated(zeros, TAILS["two-sided"])
    scale = RobustSmoothClip().fit(X).scale_[0]
    others = np.flatnonzero(X[:, 0])
    for share, factor in ((0.005, 1.2), (0.1, 6)):
        spoiled = X.copy()
        spoiled[others[: round(share * len(others))]] = 1e12
        assert scale / factor < RobustSmoothClip().fit(spoiled).scale_[0] < scale * factor


@pytest.mark.parametrize("zeros", [0.3, 0.7, 0.76])
def test_a_zero_inflated_feature_is_learned(zeros):
    # With quartiles alone, R2 is 0.97, 0.90 and 0.63 there.
    rng = np.random.default_rng(1)
    rain = np.where(rng.random(1500) < zeros, 0, rng.lognormal(3, 1.5, 1500))
    X = np.c_[rain, rng.normal(size=(1500, 2))]
    y = np.sqrt(rain) + X[:, 1] + 0.1 * rng.normal(size=1500)
    reg = ScratchMLPRegressor((32, 32), max_iter=40, random_state=0).fit(X[:1000], y[:1000])
    assert reg.score(X[1000:], y[1000:]) > 0.98


def test_constants_up_to_rounding_are_constants():
    X = np.array([[0.1 + 0.2, 7.0], [0.3, 7.0], [0.3, 7.0], [0.1 + 0.2, 7.0]])
    assert_array_equal(RobustSmoothClip().fit(X).scale_, 0)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "int64", "float16", "float32"])
def test_any_real_dtype(dtype):
    X = mixed()[:, :8].clip(0, 100).astype(dtype)
    scaler = RobustSmoothClip().fit(X)
    assert_same_scaler(scaler, RobustSmoothClip().fit(X.astype(float)))
    assert_array_equal(scaler.transform(X), scaler.transform(X.astype(float)))


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_quartiles_of_many_rows_are_those_of_a_sample(form):
    X = np.random.default_rng(7).standard_normal((5 * MOST_ROWS, 3))
    X[:, 2] = 0
    X[-1, 2] = 4.0  # in no sample for sure, yet in the range
    scaler = RobustSmoothClip().fit(form(X))
    center, scale = naive(X)
    assert_allclose(scaler.center_, center, atol=0.05)
    assert_allclose(scaler.scale_, scale, rtol=0.05)
    assert scaler.scale_[2] == 0.25
    assert_same_scaler(scaler, RobustSmoothClip().fit(form(X)))


def test_writes_to_where_it_is_told():
    X, out = mixed(), np.empty((60, 9), np.float32)
    scaler = RobustSmoothClip().fit(X)
    assert scaler.transform(X, out=out) is out
    assert_array_equal(out, scaler.transform(X, np.float32))
    assert_allclose(out, scaler.transform(X), rtol=1e-5, atol=1e-6)


def test_many_sparse_columns_take_little_memory():
    X = sparse.random_array((20_000, 100_000), density=1e-5, format="csr", rng=0)
    tracemalloc.start()
    scaler = RobustSmoothClip().fit(X)
    scaler.transform(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6
    assert not scaler.shift_.any()
