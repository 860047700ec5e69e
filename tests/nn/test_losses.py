import math
import warnings

import numpy as np
import pytest
from scipy import special
from sklearn.metrics import log_loss, mean_squared_error

from skscratch.nn import LOSSES

from . import reference
from .checks import Float32Only, directional_error, mean_one_weights, targets

BOTH_DTYPES = pytest.mark.parametrize(
    ("dtype", "rtol", "atol"), [(np.float64, 1e-12, 1e-14), (np.float32, 1e-5, 1e-6)]
)


@pytest.fixture(params=LOSSES)
def loss(request):
    return LOSSES[request.param]()


def run(loss, Z, Y, weights=None, subclass=np.ndarray):
    """Return value and gradient; Z is spared, and the gradient's room holds NaN at first."""
    gradient = np.full_like(Z, np.nan).view(subclass)
    Z = Z.copy().view(subclass)
    value = loss.value_and_gradient(Z, Y.view(subclass), weights, gradient)
    return value, np.array(gradient)


@BOTH_DTYPES
@pytest.mark.parametrize("weighted", [False, True])
def test_value_gradient_and_prediction_match_the_reference(loss, weighted, dtype, rtol, atol):
    rng = np.random.default_rng(0)
    Z = (rng.standard_normal((7, 4)) * 3).astype(dtype)
    Y = targets(loss, rng, 7, 4).astype(dtype)
    weights = mean_one_weights(rng, 7).astype(dtype) if weighted else None
    value, gradient = run(loss, Z, Y, weights)
    P, expected_value, expected_gradient = reference.loss(loss, Z, Y, weights)
    assert gradient.dtype == np.asarray(value).dtype == dtype
    assert float(value) == pytest.approx(expected_value, rel=rtol)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=rtol, atol=atol)
    np.testing.assert_allclose(loss.inverse_link(Z), P, rtol=rtol, atol=atol)


@BOTH_DTYPES
def test_finite_and_right_at_logits_of_1e4(loss, dtype, rtol, atol):
    corners = [[1e4, -1e4, 0], [-1e4, 1e4, 1e4], [1e4, 1e4, 1e4], [-1e4, -1e4, -1e4], [1e4, 0, -3]]
    Z = np.repeat(np.array(corners, dtype), 3, axis=0)
    Y = np.tile(np.eye(3, dtype=dtype), (5, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, gradient = run(loss, Z, Y)
        P = loss.inverse_link(Z)
    expected_P, expected_value, expected_gradient = reference.loss(loss, Z, Y)
    assert float(value) == pytest.approx(expected_value, rel=1e-6)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=rtol, atol=atol)
    np.testing.assert_allclose(P, expected_P, rtol=rtol, atol=atol)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_outputs", [2, 4])
def test_gradient_is_the_directional_derivative_of_the_value(loss, weighted, n_outputs):
    rng = np.random.default_rng(1)
    Z, Y = rng.standard_normal((6, n_outputs)), targets(loss, rng, 6, n_outputs)
    weights = mean_one_weights(rng, 6) if weighted else None
    _, gradient = run(loss, Z, Y, weights)
    for _ in range(3):
        error = directional_error(
            lambda at: float(run(loss, at, Y, weights)[0]), gradient, Z, rng, step=1e-4
        )
        assert error < 1e-6


def test_stack_shares_targets_and_weights(loss):
    rng = np.random.default_rng(2)
    Z, Y = rng.standard_normal((2, 3, 5, 4)), targets(loss, rng, 5, 4)
    weights = mean_one_weights(rng, 5)
    value, gradient = run(loss, Z, Y, weights)
    assert value.shape == (2, 3)
    for index in np.ndindex(2, 3):
        alone_value, alone_gradient = run(loss, Z[index], Y, weights)
        assert value[index] == pytest.approx(alone_value, rel=1e-14)
        np.testing.assert_allclose(gradient[index], alone_gradient, rtol=1e-14)


def test_integer_weights_are_repetition(loss):
    rng = np.random.default_rng(3)
    Z, Y, counts = rng.standard_normal((4, 3)), targets(loss, rng, 4, 3), np.array([1, 3, 0, 2])
    repeated, _ = run(loss, np.repeat(Z, counts, axis=0), np.repeat(Y, counts, axis=0))
    weighted, _ = run(loss, Z, Y, counts / counts.mean())
    assert weighted == pytest.approx(repeated, rel=1e-14)


def test_targets_and_weights_are_left_alone(loss):
    rng = np.random.default_rng(4)
    Y, weights = targets(loss, rng, 5, 3), mean_one_weights(rng, 5)
    kept = Y.copy(), weights.copy()
    run(loss, rng.standard_normal((5, 3)), Y, weights)
    np.testing.assert_array_equal(Y, kept[0])
    np.testing.assert_array_equal(weights, kept[1])


def test_inverse_link_leaves_its_argument_alone(loss):
    """Prediction hands logits out as the decision function, too."""
    Z = np.random.default_rng(5).standard_normal((5, 3))
    kept = Z.copy()
    loss.inverse_link(Z)
    np.testing.assert_array_equal(Z, kept)


def test_float32_is_never_computed_in_double(loss):
    rng = np.random.default_rng(6)
    Z = rng.standard_normal((5, 3)).astype(np.float32)
    Y = targets(loss, rng, 5, 3).astype(np.float32)
    weights = mean_one_weights(rng, 5).astype(np.float32).view(Float32Only)
    run(loss, Z, Y, weights, subclass=Float32Only)


def test_log_loss_agrees_with_scipy_and_scikit_learn():
    rng = np.random.default_rng(7)
    Z, labels = rng.standard_normal((30, 4)) * 2, rng.integers(4, size=30)
    weights = mean_one_weights(rng, 30)
    loss = LOSSES["log_loss"]()
    np.testing.assert_allclose(loss.inverse_link(Z), special.softmax(Z, axis=1), rtol=1e-13)
    value, _ = run(loss, Z, np.eye(4)[labels], weights)
    P = special.softmax(Z, axis=1)
    assert value == pytest.approx(log_loss(labels, P, sample_weight=weights, labels=range(4)))


def test_binary_log_loss_agrees_with_scipy_and_scikit_learn():
    rng = np.random.default_rng(8)
    Z, labels = rng.standard_normal((30, 1)) * 2, rng.integers(2, size=30)
    loss = LOSSES["binary_log_loss"]()
    np.testing.assert_allclose(loss.inverse_link(Z), special.expit(Z), rtol=1e-13)
    value, _ = run(loss, Z, labels[:, np.newaxis].astype(float))
    assert value == pytest.approx(log_loss(labels, special.expit(Z[:, 0])))


def test_binary_log_loss_is_the_softmax_loss_of_the_difference():
    rng = np.random.default_rng(9)
    Z, Y = rng.standard_normal((9, 2)), np.eye(2)[rng.integers(2, size=9)]
    softmax, _ = run(LOSSES["log_loss"](), Z, Y)
    logistic, _ = run(LOSSES["binary_log_loss"](), Z[:, 1:] - Z[:, :1], Y[:, 1:])
    assert logistic == pytest.approx(softmax, rel=1e-13)


def test_multilabel_loss_sums_over_labels():
    Z, Y = np.zeros((2, 5)), np.ones((2, 5))
    value, _ = run(LOSSES["binary_log_loss"](), Z, Y)
    assert value == pytest.approx(5 * math.log(2), rel=1e-14)


def test_squared_error_averages_over_outputs():
    rng = np.random.default_rng(10)
    Z, Y = rng.standard_normal((2, 8, 3))
    value, _ = run(LOSSES["squared_error"](), Z, Y)
    assert value == pytest.approx(mean_squared_error(Y, Z) / 2, rel=1e-13)


@pytest.mark.parametrize("name", ["log_loss", "binary_log_loss"])
def test_probabilities_keep_their_relative_accuracy_where_they_are_tiny(name):
    Z = np.array([[-40.0, 0.0]])
    expected = special.softmax(Z, axis=1) if name == "log_loss" else special.expit(Z)
    np.testing.assert_allclose(LOSSES[name]().inverse_link(Z), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["log_loss", "binary_log_loss"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_are_never_0_so_that_their_logarithm_is_finite(name, dtype):
    Z = np.array([[1e4, -1e4, 0], [-800, 800, 100], [40, -40, 0]], dtype)
    P = LOSSES[name]().inverse_link(Z)
    assert P.dtype == dtype
    assert P.min() > 0
    if name == "binary_log_loss":
        assert P.max() < 1
    else:
        np.testing.assert_allclose(P.sum(axis=-1), 1, rtol=1e-6)


@pytest.mark.parametrize("z", [-30.0, -5.0, 0.0, 5.0, 30.0])
def test_out_activations_are_what_their_names_say(z):
    for loss_type in LOSSES.values():
        loss = loss_type()
        link = {
            "softmax": lambda Z: special.softmax(Z, axis=-1),
            "logistic": special.expit,
            "identity": lambda Z: Z,
        }[loss.out_activation]
        Z = np.array([[z, 1.0, -2.0]])
        np.testing.assert_allclose(loss.inverse_link(Z), link(Z), rtol=1e-12)
