import math
import re
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import special
from sklearn.metrics import (
    log_loss,
    mean_absolute_error,
    mean_gamma_deviance,
    mean_pinball_loss,
    mean_poisson_deviance,
    mean_squared_error,
)

from skscratch.nn import (
    LOSSES,
    Focal,
    Gamma,
    Huber,
    LogisticFocal,
    Loss,
    Pinball,
    Poisson,
    SoftmaxLogLoss,
    lookup,
)

from . import reference
from .checks import Float32Only, directional_error, mean_one_weights, targets

BOTH_DTYPES = pytest.mark.parametrize(
    ("dtype", "rtol", "atol"), [(np.float64, 1e-12, 1e-14), (np.float32, 1e-5, 1e-6)]
)


OTHER_PARAMETERS = [Huber(0.1), Huber(3.0), Pinball(0.05), Pinball(0.9)]
OTHER_PARAMETERS += [kind(gamma) for kind in (Focal, LogisticFocal) for gamma in (0.0, 0.5, 3.5)]


@pytest.fixture(params=[*(make() for make in LOSSES.values()), *OTHER_PARAMETERS], ids=repr)
def loss(request):
    return request.param


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
    if loss.out_activation == "exp":  # the other side is beyond the range of exp
        Z = np.abs(Z) if isinstance(loss, Gamma) else -np.abs(Z)
        Y += isinstance(loss, Gamma)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, gradient = run(loss, Z, Y)
        P = loss.inverse_link(Z)
    expected_P, expected_value, expected_gradient = reference.loss(loss, Z, Y)
    assert np.isfinite(expected_value)
    assert float(value) == pytest.approx(expected_value, rel=1e-6)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=rtol, atol=atol)
    if not isinstance(loss, Gamma):
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


@BOTH_DTYPES
def test_weights_of_outputs_match_the_reference(loss, dtype, rtol, atol):
    rng = np.random.default_rng(11)
    Z, Y = rng.standard_normal((7, 4)).astype(dtype), targets(loss, rng, 7, 4).astype(dtype)
    weights = mean_one_weights(rng, 7, 4).astype(dtype)
    if isinstance(loss, SoftmaxLogLoss):
        message = "The outputs of a softmax share one loss; give weights of rows."
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            run(loss, Z, Y, weights)
        return
    value, gradient = run(loss, Z, Y, weights)
    expected_value, expected_gradient = reference.loss_of_weighted_outputs(loss, Z, Y, weights)
    assert gradient.dtype == np.asarray(value).dtype == dtype
    assert float(value) == pytest.approx(expected_value, rel=rtol)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=rtol, atol=atol)
    stacked_value, stacked_gradient = run(loss, np.stack([Z, 2 * Z]), Y, weights)
    assert stacked_value[0] == pytest.approx(value)
    np.testing.assert_allclose(stacked_gradient[0], gradient, rtol=rtol, atol=atol)


def test_equal_weights_of_outputs_are_weights_of_rows(loss):
    if isinstance(loss, SoftmaxLogLoss):
        return
    rng = np.random.default_rng(12)
    Z, Y, weights = rng.standard_normal((5, 3)), targets(loss, rng, 5, 3), mean_one_weights(rng, 5)
    # As in training, the batch is a part of a larger buffer.
    gradient = np.full((9, 3), np.nan)
    of_outputs = loss.value_and_gradient(Z.copy(), Y, np.repeat(weights, 3, axis=1), gradient[:5])
    value, expected = run(loss, Z, Y, weights)
    assert of_outputs == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(gradient[:5], expected, rtol=1e-13)


@BOTH_DTYPES
@pytest.mark.parametrize("n_outputs", [64, 65, 90])
def test_many_classes_match_the_reference(n_outputs, dtype, rtol, atol):
    rng = np.random.default_rng(3)
    Z = (rng.standard_normal((2, 5, n_outputs)) * 300).astype(dtype)
    Y = np.eye(n_outputs, dtype=dtype)[rng.integers(n_outputs, size=5)]
    loss = SoftmaxLogLoss()
    value, gradient = run(loss, Z, Y)
    for member in range(2):
        P, expected_value, expected_gradient = reference.loss(loss, Z[member], Y)
        assert float(value[member]) == pytest.approx(expected_value, rel=rtol)
        np.testing.assert_allclose(gradient[member], expected_gradient, rtol=rtol, atol=atol)
        tiny = np.finfo(dtype).tiny
        np.testing.assert_allclose(
            loss.inverse_link(Z)[member], np.maximum(P, tiny), rtol=10 * rtol
        )


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


def test_networks_side_by_side_may_have_targets_and_weights_of_their_own(loss):
    rng = np.random.default_rng(20)
    Z = rng.standard_normal((3, 5, 4))
    Y = np.stack([targets(loss, rng, 5, 4) for _ in range(3)])
    for n_columns in (1, 4):
        if n_columns > 1 and isinstance(loss, SoftmaxLogLoss):
            continue
        weights = np.stack([mean_one_weights(rng, 5, n_columns) for _ in range(3)])
        value, gradient = run(loss, Z, Y, weights)
        for k in range(3):
            alone_value, alone_gradient = run(loss, Z[k], Y[k], weights[k])
            assert value[k] == pytest.approx(alone_value, rel=1e-14)
            np.testing.assert_allclose(gradient[k], alone_gradient, rtol=1e-13)


def test_integer_weights_are_repetition(loss):
    rng = np.random.default_rng(3)
    Z, Y, counts = rng.standard_normal((4, 3)), targets(loss, rng, 4, 3), np.array([1, 3, 0, 2])
    repeated, _ = run(loss, np.repeat(Z, counts, axis=0), np.repeat(Y, counts, axis=0))
    weighted, _ = run(loss, Z, Y, counts[:, np.newaxis] / counts.mean())
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
    for n_columns in (1, 3):
        weights = mean_one_weights(rng, 5, n_columns).astype(np.float32).view(Float32Only)
        if n_columns == 1 or not isinstance(loss, SoftmaxLogLoss):
            run(loss, Z, Y, weights, subclass=Float32Only)


def test_log_loss_agrees_with_scipy_and_scikit_learn():
    rng = np.random.default_rng(7)
    Z, labels = rng.standard_normal((30, 4)) * 2, rng.integers(4, size=30)
    weights = mean_one_weights(rng, 30)
    loss = LOSSES["log_loss"]()
    np.testing.assert_allclose(loss.inverse_link(Z), special.softmax(Z, axis=1), rtol=1e-13)
    value, _ = run(loss, Z, np.eye(4)[labels], weights)
    P = special.softmax(Z, axis=1)
    expected = log_loss(labels, P, sample_weight=weights[:, 0], labels=range(4))
    assert value == pytest.approx(expected)


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
            "exp": np.exp,
        }[loss.out_activation]
        Z = np.array([[z, 1.0, -2.0]])
        np.testing.assert_allclose(loss.inverse_link(Z), link(Z), rtol=1e-12)


# Name: (scikit-learn's metric of targets and predictions, its factor)
METRICS = {
    "squared_error": (mean_squared_error, 0.5),
    "absolute_error": (mean_absolute_error, 1),
    "quantile": (lambda *args, **weights: mean_pinball_loss(*args, alpha=0.5, **weights), 1),
    "poisson": (mean_poisson_deviance, 0.5),
    "gamma": (mean_gamma_deviance, 0.5),
}


@pytest.mark.parametrize("name", METRICS)
def test_regression_losses_agree_with_scikit_learns_metrics(name):
    rng = np.random.default_rng(13)
    loss, (metric, factor) = LOSSES[name](), METRICS[name]
    Z, Y = rng.standard_normal((30, 1)), targets(loss, rng, 30, 1)
    weights = mean_one_weights(rng, 30)
    expected = factor * metric(Y, loss.inverse_link(Z), sample_weight=weights[:, 0])
    assert run(loss, Z, Y, weights)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["absolute_error", "huber", "quantile", "poisson", "gamma"])
def test_regression_losses_average_over_outputs(name):
    rng = np.random.default_rng(14)
    loss = LOSSES[name]()
    Z, Y = rng.standard_normal((8, 3)), targets(loss, rng, 8, 3)
    columns = [run(loss, Z[:, [k]], Y[:, [k]])[0] for k in range(3)]
    assert run(loss, Z, Y)[0] == pytest.approx(np.mean(columns), rel=1e-13)


@pytest.mark.parametrize(("quantile", "share"), [(0.1, 0.1), (0.5, 0.5), (0.9, 0.9)])
def test_the_pinball_loss_is_smallest_at_the_quantile(quantile, share):
    Y = np.random.default_rng(15).standard_normal((999, 1))
    loss, candidates = Pinball(quantile), np.sort(Y[:, 0])
    values = [run(loss, np.full_like(Y, z), Y)[0] for z in candidates]
    assert candidates[np.argmin(values)] == pytest.approx(np.quantile(Y, share), abs=0.01)


@pytest.mark.parametrize("loss", [Poisson(), Gamma()], ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predictions_of_the_log_link_stay_positive_and_finite(loss, dtype):
    Z = np.array([[-1e4, -800, 0, 800, 1e4]], dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        P = loss.inverse_link(Z)
    assert P.dtype == dtype
    assert np.isfinite(P).all()
    assert P.min() > 0
    assert P[0, 2] == 1


@pytest.mark.parametrize(("loss", "z"), [(Poisson(), 1e4), (Gamma(), -1e4)], ids=repr)
def test_log_link_losses_are_infinite_beyond_the_range_of_exp(loss, z):
    with np.errstate(over="ignore"):
        value, gradient = run(loss, np.array([[z], [0.0]]), np.ones((2, 1)))
    assert value == np.inf
    assert abs(gradient[0, 0]) == np.inf
    assert gradient[1, 0] == 0


@pytest.mark.parametrize("loss", [Poisson(), Gamma()], ids=repr)
def test_initial_bias_is_the_logarithm_of_the_weighted_mean(loss):
    Y, weights = np.array([[1.0, 4], [3, 8], [8, 1]]), np.array([[1.0], [1], [0]])
    np.testing.assert_allclose(loss.initial_bias(Y, None), np.log(Y.mean(axis=0)))
    np.testing.assert_allclose(loss.initial_bias(Y, weights), np.log([2, 6]))


def test_initial_bias_of_counts_that_are_all_zero_is_that_of_half_a_count():
    Y = np.array([[0.0, 1], [0, 3]])
    np.testing.assert_allclose(Poisson().initial_bias(Y, None), np.log([0.25, 2]))
    np.testing.assert_allclose(
        Poisson().initial_bias(Y, np.array([[3.0], [1]])), np.log([0.125, 1.5])
    )


def test_other_losses_start_at_0(loss):
    if loss.out_activation != "exp":
        np.testing.assert_array_equal(
            loss.initial_bias(np.ones((4, 3)), np.ones((4, 1))), np.zeros(3)
        )


@pytest.mark.parametrize("form", ["softmax", "logistic"])
def test_focal_loss_with_gamma_0_is_the_log_loss_also_of_soft_targets(form):
    rng = np.random.default_rng(16)
    Z, Y = rng.standard_normal((9, 3)) * 3, rng.dirichlet(np.ones(3), size=9)
    plain = LOSSES["log_loss"]()
    focal = Focal(gamma=0.0)
    if form == "logistic":
        plain, focal = plain.for_labels(), focal.for_labels()
    value, gradient = run(focal, Z, Y)
    expected_value, expected_gradient = run(plain, Z, Y)
    assert value == pytest.approx(expected_value, rel=1e-13)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("form", [Focal, LogisticFocal])
def test_gradient_of_the_focal_loss_of_soft_targets(form, gamma):
    rng = np.random.default_rng(17)
    Z, Y = rng.standard_normal((6, 3)), rng.dirichlet(np.ones(3), size=6)
    loss = form(gamma)
    _, gradient = run(loss, Z, Y)
    for _ in range(3):
        error = directional_error(lambda at: float(run(loss, at, Y)[0]), gradient, Z, rng)
        assert error < 1e-6


def test_binary_focal_loss_is_the_softmax_form_of_the_difference():
    rng = np.random.default_rng(18)
    Z, Y = rng.standard_normal((9, 2)), np.eye(2)[rng.integers(2, size=9)]
    softmax, _ = run(Focal(1.5), Z, Y)
    logistic, _ = run(LogisticFocal(1.5), Z[:, 1:] - Z[:, :1], Y[:, 1:])
    assert logistic == pytest.approx(softmax, rel=1e-13)


def test_forms_for_labels():
    assert LOSSES["log_loss"]().for_labels() == LOSSES["binary_log_loss"]()
    assert Focal(3.0).for_labels() == LogisticFocal(3.0)
    assert Huber(3.0).for_labels() == Huber(3.0)


class Cubic(Loss):
    """A loss of a user who left the decorator out, as it has no parameters."""

    out_activation = "identity"

    def row_losses(self, Z, Y, gradient_out):
        R = np.abs(Z - Y)
        gradient_out[...] = R**2 * np.sign(Z - Y)
        return (R**3 / 3).sum(axis=-1)

    def inverse_link(self, Z):
        return Z


def test_a_custom_loss_needs_row_losses_alone_for_weights_stacks_and_outputs():
    rng = np.random.default_rng(19)
    Z, Y = rng.standard_normal((2, 6, 3)), rng.standard_normal((6, 3))
    loss = Cubic()
    loss.validate()
    assert loss == Cubic()
    for weights in (None, mean_one_weights(rng, 6), mean_one_weights(rng, 6, 3)):
        value, gradient = run(loss, Z, Y, weights)
        assert value.shape == (2,)
        error = directional_error(
            lambda at, w=weights: float(run(loss, at, Y, w)[0].sum()), gradient, Z, rng
        )
        assert error < 1e-6


@dataclass
class Careless(Cubic):
    """Returns something else than a loss for each row."""

    returned: object = None

    def row_losses(self, Z, Y, gradient_out):
        super().row_losses(Z, Y, gradient_out)
        return self.returned


@pytest.mark.parametrize("returned", [None, 0.5, np.zeros(3), np.zeros((4, 2)), np.zeros((1, 4))])
def test_a_loss_that_returns_no_value_per_row_is_named(returned):
    shapes = rf"in the shape \(4,\); got the shape {re.escape(str(np.shape(returned)))}\.$"
    message = rf"(?s)^Careless\(.*\)\.row_losses has to return a loss for each row, {shapes}"
    with pytest.raises(ValueError, match=message):
        run(Careless(returned=returned), np.ones((4, 2)), np.ones((4, 2)))


def test_a_loss_without_a_name_of_its_link_is_refused():
    class Nameless(Loss):
        def row_losses(self, Z, Y, gradient_out):
            return np.zeros(Z.shape[:-1])

    message = (
        "Nameless() has no out_activation, the name of its inverse link: 'identity', 'exp', "
        "'softmax', 'logistic', or another."
    )
    with pytest.raises(TypeError, match=rf"{re.escape(message)}$"):
        lookup("loss", Nameless(), LOSSES, Loss)


@pytest.mark.parametrize("loss", [Poisson(), Gamma()])
@pytest.mark.parametrize("mean", [0.4, 1.0, 7.0])
def test_a_log_link_starts_at_the_logarithm_of_the_mean(loss, mean):
    Y = mean * np.array([[0.5, 1.0], [1.5, 1.0]])
    np.testing.assert_allclose(loss.initial_bias(Y, None), np.log([mean, mean]), rtol=1e-14)
