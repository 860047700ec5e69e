import math
import warnings

import numpy as np
import pytest
from scipy import special

from skscratch.nn import ACTIVATIONS, ELU, GELU, LeakyReLU, Softplus, lookup
from skscratch.nn.activations import Activation
from skscratch.nn.initializers import INITIALIZERS

from . import reference
from .checks import Float32Only, directional_error

OTHER_PARAMETERS = [LeakyReLU(slope=0.3), LeakyReLU(slope=0.0), LeakyReLU(slope=1.5), ELU(2.5)]
EVERY = [pytest.param(lookup("activation", name, ACTIVATIONS, Activation), id=name)
         for name in ACTIVATIONS] + [pytest.param(option, id=repr(option))
                                     for option in OTHER_PARAMETERS]  # fmt: skip

POINTS = [-1e4, -700.0, -50.0, -20.5, -3.0, -1.0, -0.1, -1e-3, 0.0, 1e-3, 0.1, 1.0, 3.0, 19.5]
POINTS += [20.5, 50.0, 700.0, 1e4]


def run(activation, Z, dA=None, subclass=np.ndarray):
    """Call the activation as the contract asks and return f(Z), and dZ if dA is given.

    Buffers hold NaN at first, which shows in the result if they are read before written.
    """
    Z = Z.copy().view(subclass)

    def room():
        return np.full_like(Z, np.nan)

    A = Z if activation.in_place else room()
    saved = [room() for _ in range(activation.n_saved)]
    activation.forward(Z, A, *saved)
    value = np.array(A)
    if dA is None:
        return value
    dZ = dA.copy().view(subclass)
    activation.backward(dZ, Z, A, *saved)
    return value, np.array(dZ)


def points(dtype=np.float64):
    return np.array(POINTS, dtype).reshape(3, 6)


@pytest.mark.parametrize("activation", EVERY)
@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"), [(np.float64, 1e-11, 1e-14), (np.float32, 3e-5, 1e-6)]
)
def test_forward_and_backward_match_the_textbook_up_to_1e4(activation, dtype, rtol, atol):
    Z, dA = points(dtype), np.full((3, 6), 2, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        A, dZ = run(activation, Z, dA)
    f, derivative = reference.activation(activation)
    assert A.dtype == dZ.dtype == dtype
    np.testing.assert_allclose(A, np.vectorize(f)(Z.astype(float)), rtol=rtol, atol=atol)
    expected = 2 * np.vectorize(derivative)(Z.astype(float))
    np.testing.assert_allclose(dZ, expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("activation", EVERY)
def test_backward_is_the_directional_derivative_of_forward(activation):
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((6, 5)) * 2
    Z[np.abs(Z) < 1e-2] = 0.5  # off the kinks
    dA = rng.standard_normal(Z.shape)
    _, dZ = run(activation, Z, dA)
    for _ in range(3):
        error = directional_error(lambda at: float(np.sum(dA * run(activation, at))), dZ, Z, rng)
        assert error < 1e-6


@pytest.mark.parametrize("activation", EVERY)
def test_leading_axes_and_row_slices_give_the_same_numbers(activation):
    """A stack's arrays have more axes, and a short batch's are slices of larger ones."""
    rng = np.random.default_rng(1)
    Z, dA = rng.standard_normal((2, 3, 4, 5))
    stacked = run(activation, Z, dA)
    for member in range(3):
        for together, alone in zip(stacked, run(activation, Z[member], dA[member]), strict=True):
            np.testing.assert_array_equal(together[member], alone)
    larger = np.full((9, 5), np.nan)
    view = larger[:4]
    view[...] = Z[0]
    A = view if activation.in_place else np.empty_like(larger)[:4]
    activation.forward(view, A, *(np.empty_like(larger)[:4] for _ in range(activation.n_saved)))
    np.testing.assert_array_equal(A, run(activation, Z[0]))
    assert np.isnan(larger[4:]).all()


@pytest.mark.parametrize("activation", EVERY)
def test_float32_is_never_computed_in_double(activation):
    rng = np.random.default_rng(2)
    Z, dA = rng.standard_normal((2, 4, 5)).astype(np.float32)
    run(activation, Z, dA, subclass=Float32Only)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_automatic_initializer_exists(name):
    assert ACTIVATIONS[name]().init in INITIALIZERS


@pytest.mark.parametrize(
    ("family", "init"),
    [
        (["relu", "leaky_relu", "elu", "gelu", "silu", "mish"], "he_normal"),
        (["selu"], "lecun_normal"),
        (["identity", "logistic", "tanh", "softplus"], "glorot_uniform"),
    ],
)
def test_each_family_has_its_initializer(family, init):
    assert {ACTIVATIONS[name]().init for name in family} == {init}


@pytest.mark.parametrize(("alias", "name"), [("sigmoid", "logistic"), ("swish", "silu")])
def test_aliases_name_the_same_function(alias, name):
    assert ACTIVATIONS[alias]() == ACTIVATIONS[name]()


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("logistic", special.expit),
        ("softplus", lambda z: -special.log_expit(-z)),
        ("silu", lambda z: z * special.expit(z)),
        ("elu", lambda z: np.where(z > 0, z, special.expm1(z))),
    ],
)
def test_agrees_with_scipy(name, function):
    Z = np.linspace(-30, 30, 601).reshape(1, -1)
    np.testing.assert_allclose(run(ACTIVATIONS[name](), Z), function(Z), rtol=1e-12, atol=1e-14)


def test_gelu_is_within_the_stated_distance_of_the_exact_one():
    Z = np.linspace(-8, 8, 2001).reshape(1, -1)
    distance = np.abs(run(GELU(), Z) - Z * special.ndtr(Z)).max()
    assert 1e-4 < distance < 5e-4


def test_selu_keeps_mean_0_and_variance_1_of_normal_inputs():
    """The fixed point that its two constants are made for, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    values = run(ACTIVATIONS["selu"](), nodes.reshape(1, -1))[0]
    weights = weights / math.sqrt(2 * math.pi)
    assert np.sum(weights * values) == pytest.approx(0, abs=2e-3)
    assert np.sum(weights * values**2) == pytest.approx(1, abs=2e-3)


def test_softplus_at_0_is_log_2():
    assert run(Softplus(), np.zeros((1, 1)))[0, 0] == pytest.approx(math.log(2), rel=1e-15)
