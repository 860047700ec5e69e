import numpy as np
import pytest
from scipy import stats

from skscratch.nn import INITIALIZERS, GlorotNormal, HeNormal, Normal, Orthogonal

from . import reference

OPTIONS = [pytest.param(make(), id=name) for name, make in INITIALIZERS.items()]
OPTIONS += [pytest.param(option, id=repr(option)) for option in (Normal(0.3), Orthogonal(1.4))]


@pytest.mark.parametrize("initializer", OPTIONS)
@pytest.mark.parametrize(("n_in", "n_out"), [(300, 200), (200, 300), (1, 3), (3, 1), (1, 1)])
def test_shape_dtype_and_standard_deviation(initializer, n_in, n_out):
    W = initializer.sample(np.random.default_rng(0), n_in, n_out)
    assert W.shape == (n_in, n_out)
    assert W.dtype == np.float64
    assert np.isfinite(W).all()
    if W.size > 1000:
        assert W.std() == pytest.approx(
            reference.initializer_std(initializer, n_in, n_out), rel=0.02
        )
        assert abs(W.mean()) < 0.02 * W.std()


@pytest.mark.parametrize("initializer", OPTIONS)
def test_the_stream_decides_and_moves_on(initializer):
    rng = np.random.default_rng(1)
    first, second = (initializer.sample(rng, 6, 4) for _ in range(2))
    assert not np.array_equal(first, second)
    again = initializer.sample(np.random.default_rng(1), 6, 4)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    "initializer", [option for option in OPTIONS if not isinstance(option.values[0], Orthogonal)]
)
def test_follows_its_distribution(initializer):
    n_in, n_out = 120, 80
    W = initializer.sample(np.random.default_rng(2), n_in, n_out).ravel()
    std = reference.initializer_std(initializer, n_in, n_out)
    if "Uniform" in type(initializer).__name__:
        limit = np.sqrt(3) * std
        assert np.abs(W).max() <= limit
        expected = stats.uniform(-limit, 2 * limit)
    else:
        expected = stats.norm(scale=std)
    assert stats.kstest(W, expected.cdf).pvalue > 1e-3


@pytest.mark.parametrize("gain", [1.0, 2**0.5])
@pytest.mark.parametrize(("n_in", "n_out"), [(7, 4), (4, 7), (5, 5)])
def test_orthogonal_has_orthonormal_rows_or_columns(gain, n_in, n_out):
    W = Orthogonal(gain).sample(np.random.default_rng(3), n_in, n_out)
    product = W.T @ W if n_in >= n_out else W @ W.T
    np.testing.assert_allclose(product, gain**2 * np.eye(min(n_in, n_out)), atol=1e-13)


def test_orthogonal_is_uniform_and_not_biased_by_the_signs_of_qr():
    """LAPACK's Q has a first column of one sign in its first entry."""
    rng = np.random.default_rng(4)
    first_entries = np.array([Orthogonal().sample(rng, 3, 3)[0, 0] for _ in range(400)])
    # An entry of a uniformly distributed 3 x 3 orthogonal matrix is uniform on [-1, 1].
    assert stats.kstest(first_entries, stats.uniform(-1, 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("alias", "kind"), [("he", HeNormal), ("xavier", GlorotNormal)])
def test_aliases(alias, kind):
    assert INITIALIZERS[alias]() == kind()


def test_small_normal_has_standard_deviation_one_hundredth():
    assert INITIALIZERS["normal"]() == Normal(std=0.01)
