from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse

from skscratch.nn import ACTIVATIONS, NORMALIZATIONS, Activate, BatchNorm, Dense, Dropout, LayerNorm
from skscratch.nn.layers import ScaledDense

from . import reference
from .checks import Float32Only, directional_error, mean_one_weights

STACKS = pytest.mark.parametrize("stack", [(), (3,)])
N_ROWS, N_IN, N_OUT = 5, 4, 3


def room_for(stack=(), n_rows=N_ROWS, dtype=np.float64):
    """Give out arrays full of NaN, which shows if one is read before it is written."""
    return lambda width: np.full((*stack, n_rows, width), np.nan, dtype)


def context_of(*seeds, weights=None):
    """What the layers of a workspace share: a stream for each seed, and row weights."""
    streams = [np.random.default_rng(seed) for seed in seeds]
    return SimpleNamespace(streams=streams, weights=weights)


def a_dense(rng, stack=(), **settings):
    """Make a Dense with random parameters, and the arrays for its gradients."""
    layer = Dense(N_IN, N_OUT, **settings)
    views = [rng.standard_normal((*stack, *shape[:2])) for shape in layer.shapes()]
    layer.bind(views, [])
    return layer, [np.full_like(view, np.nan) for view in views]


def test_dense_of_the_textbook():
    layer = Dense(3, 2)
    layer.bind([np.array([[1.0, 2, 3], [2, 3, 4]]).T, np.zeros((1, 2))], [])
    X = np.array([[1.0, 1, 1], [2, 2, 2]])
    Z = layer.forward(X, layer.prepare(room_for(n_rows=2), None, context_of()))
    np.testing.assert_array_equal(Z, [[6, 9], [12, 18]])


def test_dense_asks_for_penalized_weights_and_free_biases():
    weights, biases = Dense(N_IN, N_OUT).shapes()
    assert weights == (N_IN, N_OUT, True, 1.0)
    assert biases == (1, N_OUT, False, 1.0)


def test_dense_matches_the_loops():
    rng = np.random.default_rng(0)
    layer, gradients = a_dense(rng)
    X, dZ = rng.standard_normal((N_ROWS, N_IN)), rng.standard_normal((N_ROWS, N_OUT))
    cache = layer.prepare(room_for(), gradients, context_of())
    Z = layer.forward(X, cache)
    np.testing.assert_allclose(Z, reference.dense(X, layer.W, layer.b[0]), rtol=1e-13)
    dX = layer.backward(dZ.copy(), cache)
    dW, db, expected_dX = reference.dense_backward(X, layer.W, dZ)
    np.testing.assert_allclose(gradients[0], dW, rtol=1e-12)
    np.testing.assert_allclose(gradients[1], [db], rtol=1e-12)
    np.testing.assert_allclose(dX, expected_dX, rtol=1e-12)


@STACKS
@pytest.mark.parametrize("shared_input", [True, False])
def test_dense_gradients_are_directional_derivatives(stack, shared_input):
    rng = np.random.default_rng(1)
    layer, gradients = a_dense(rng, stack)
    X = rng.standard_normal((N_ROWS, N_IN) if shared_input else (*stack, N_ROWS, N_IN))
    dZ = rng.standard_normal((*stack, N_ROWS, N_OUT))
    cache = layer.prepare(room_for(stack), gradients, context_of())
    layer.forward(X, cache)
    dX = layer.backward(dZ.copy(), cache).copy()
    if shared_input and stack:
        dX = dX.sum(axis=0)

    W, b = layer.W.copy(), layer.b.copy()

    def output(W=W, b=b, X=X):
        layer.bind([W, b], [])
        cache = layer.prepare(room_for(stack), None, context_of())
        return float(np.sum(dZ * layer.forward(X, cache)))

    dW, db = gradients
    assert directional_error(lambda W: output(W=W), dW, W, rng) < 1e-6
    assert directional_error(lambda b: output(b=b), db, b, rng) < 1e-6
    assert directional_error(lambda at: output(X=at), dX, X, rng) < 1e-6


def test_dense_without_input_gradient_skips_it():
    rng = np.random.default_rng(2)
    layer, gradients = a_dense(rng, input_gradient=False)
    asked = []

    def room(width):
        asked.append(width)
        return np.empty((N_ROWS, width))

    cache = layer.prepare(room, gradients, context_of())
    layer.forward(rng.standard_normal((N_ROWS, N_IN)), cache)
    assert layer.backward(np.ones((N_ROWS, N_OUT)), cache) is None
    assert asked == [N_OUT]
    assert np.isfinite(gradients[0]).all()


@pytest.mark.parametrize("kind", ["csr_array", "csr_matrix", "csc_array"])
def test_dense_takes_sparse_input(kind):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((N_ROWS, N_IN)) * (rng.random((N_ROWS, N_IN)) < 0.5)
    results = []
    for inputs in (X, getattr(scipy.sparse, kind)(X)):
        layer, gradients = a_dense(np.random.default_rng(4), input_gradient=False)
        cache = layer.prepare(room_for(), gradients, context_of())
        Z = layer.forward(inputs, cache).copy()
        layer.backward(Z.copy(), cache)
        results.append([Z, *gradients])
    for dense, sparse in zip(*results, strict=True):
        assert type(sparse) is np.ndarray
        np.testing.assert_allclose(sparse, dense, rtol=1e-13)


@pytest.mark.parametrize("kind", ["csr_array", "csr_matrix", "csc_array"])
def test_dense_adds_the_shift_to_sparse_input(kind):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((N_ROWS, N_IN)) * (rng.random((N_ROWS, N_IN)) < 0.5)
    shift = rng.standard_normal((1, N_IN))
    results = []
    for inputs in (X + shift, getattr(scipy.sparse, kind)(X)):
        layer, gradients = a_dense(np.random.default_rng(4), input_gradient=False)
        layer.shift = shift
        cache = layer.prepare(room_for(), gradients, context_of())
        Z = layer.forward(inputs, cache).copy()
        layer.backward(Z.copy(), cache)
        results.append([Z, *gradients])
    for dense, sparse in zip(*results, strict=True):
        np.testing.assert_allclose(sparse, dense, rtol=1e-12)


# --- Learned scales -------------------------------------------------------------------------


def a_scaled_dense(rng, stack=(), dtype=np.float64, **settings):
    """Make a ScaledDense with random parameters, and the arrays for its gradients."""
    layer = ScaledDense(N_IN, N_OUT, input_gradient=False, **settings)
    views = [rng.standard_normal((*stack, *shape[:2])).astype(dtype) for shape in layer.shapes()]
    layer.bind(views, [])
    return layer, [np.full_like(view, np.nan) for view in views]


def half_sparse(rng):
    return rng.standard_normal((N_ROWS, N_IN)) * (rng.random((N_ROWS, N_IN)) < 0.5)


def test_scaled_dense_of_the_textbook():
    layer = ScaledDense(3, 2)
    W, s = np.array([[1.0, 2, 3], [2, 3, 4]]).T, np.array([[1.0], [2], [-3]])
    layer.bind([W, np.full((1, 2), 5.0), s], [])
    X = np.array([[1.0, 1, 1], [2, 2, 2]])
    Z = layer.forward(X, layer.prepare(room_for(n_rows=2), None, context_of()))
    np.testing.assert_array_equal(Z, [[1, 1], [-3, -3]])
    np.testing.assert_array_equal(layer.coefficients, [[1, 2], [4, 6], [-9, -12]])


def test_scaled_dense_asks_for_scales_that_are_free_fast_and_1_at_first():
    layer = ScaledDense(N_IN, N_OUT, rate=0.5)
    weights, biases, scales = layer.shapes()
    assert weights == (N_IN, N_OUT, True, 0.5)
    assert biases == (1, N_OUT, False, 1.0)
    assert scales == (N_IN, 1, False, 60.0)
    views = [np.zeros(shape[:2]) for shape in (weights, biases, scales)]
    layer.bind(views, [])
    layer.reset()
    for view, start in zip(views, (0, 0, 1), strict=True):
        np.testing.assert_array_equal(view, start)
    assert layer.s is views[2]


@pytest.mark.parametrize("kind", ["dense", "csr_array", "csr_matrix", "csc_array"])
@pytest.mark.parametrize("shifted", [False, True])
def test_scaled_dense_matches_the_loops(kind, shifted):
    rng = np.random.default_rng(40)
    layer, gradients = a_scaled_dense(
        rng, shift=rng.standard_normal((1, N_IN)) if shifted else None
    )
    X, dZ = half_sparse(rng), rng.standard_normal((N_ROWS, N_OUT))
    inputs = X if kind == "dense" else getattr(scipy.sparse, kind)(X)
    if shifted and kind != "dense":  # dense inputs are complete
        X = X + layer.shift
    cache = layer.prepare(room_for(), gradients, context_of())
    Z = layer.forward(inputs, cache)
    scaled = [[x * s for x, s in zip(row, layer.s[:, 0], strict=True)] for row in X]
    np.testing.assert_allclose(Z, reference.dense(scaled, layer.W, layer.b[0]), rtol=1e-12)
    layer.backward(dZ.copy(), cache)
    dW, db, d_scaled = reference.dense_backward(scaled, layer.W, dZ)
    ds = [[sum(d_scaled[i][j] * X[i][j] for i in range(N_ROWS))] for j in range(N_IN)]
    for gradient, expected in zip(gradients, (dW, [db], ds), strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(
    ("stack", "form"),
    [((), "dense"), ((2,), "dense"), ((2,), "own"), ((), "sparse"), ((), "shifted")],
)
def test_scaled_dense_gradients_are_directional_derivatives(stack, form):
    rng = np.random.default_rng(41)
    shift = rng.standard_normal((1, N_IN)) if form == "shifted" else None
    layer, gradients = a_scaled_dense(rng, stack, shift=shift)
    X = rng.standard_normal((*stack, N_ROWS, N_IN)) if form == "own" else half_sparse(rng)
    X = scipy.sparse.csr_array(X) if form in ("sparse", "shifted") else X
    dZ = rng.standard_normal((*stack, N_ROWS, N_OUT))
    cache = layer.prepare(room_for(stack), gradients, context_of())
    layer.forward(X, cache)
    assert layer.backward(dZ.copy(), cache) is None
    views = [layer.W.copy(), layer.b.copy(), layer.s.copy()]

    def output(i, at):
        layer.bind([*views[:i], at, *views[i + 1 :]], [])
        cache = layer.prepare(room_for(stack), None, context_of())
        return float(np.sum(dZ * layer.forward(X, cache)))

    for i, gradient in enumerate(gradients):
        for _ in range(3):
            error = directional_error(lambda at, i=i: output(i, at), gradient, views[i], rng)
            assert error < 1e-6


def test_a_prediction_cache_of_scaled_dense_has_no_gradients():
    layer, gradients = a_scaled_dense(np.random.default_rng(42))
    cache = vars(layer.prepare(room_for(), None, context_of()))
    assert not {"dW", "db", "ds", "dX"} & set(cache)
    cache = vars(layer.prepare(room_for(), gradients, context_of()))
    assert all(
        cache[name] is array for name, array in zip(("dW", "db", "ds"), gradients, strict=True)
    )


@pytest.mark.parametrize("sparse", [False, True])
def test_scaled_dense_in_float32_never_computes_in_double(sparse):
    rng = np.random.default_rng(43)
    layer, gradients = a_scaled_dense(rng, dtype=np.float32)
    layer.shift = rng.standard_normal((1, N_IN)).astype(np.float32)
    layer.bind([view.view(Float32Only) for view in (layer.W, layer.b, layer.s)], [])
    gradients = [array.view(Float32Only) for array in gradients]
    X = half_sparse(rng).astype(np.float32)
    X = scipy.sparse.csr_array(X) if sparse else X.view(Float32Only)

    def room(width):
        return np.empty((N_ROWS, width), np.float32).view(Float32Only)

    for arrays in (gradients, None):
        cache = layer.prepare(room, arrays, context_of())
        results = [layer.forward(X, cache), layer.coefficients, cache.Ws, *gradients]
        if arrays:
            layer.backward(np.ones((N_ROWS, N_OUT), np.float32).view(Float32Only), cache)
        assert {array.dtype for array in results} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", ACTIVATIONS)
@STACKS
def test_activate_matches_the_loops_and_finite_differences(name, stack):
    rng = np.random.default_rng(5)
    activation = ACTIVATIONS[name]()
    layer = Activate(activation, N_OUT)
    Z, dA = rng.standard_normal((2, *stack, N_ROWS, N_OUT))
    Z[np.abs(Z) < 1e-2] = 0.5  # off the kinks
    assert layer.shapes() == []

    def forward(Z):
        cache = layer.prepare(room_for(stack), (), context_of())
        return layer.forward(Z.copy(), cache), cache

    A, cache = forward(Z)
    f, derivative = reference.activation(activation)
    np.testing.assert_allclose(A, np.vectorize(f)(Z), rtol=1e-11, atol=1e-14)
    dZ = layer.backward(dA.copy(), cache)
    np.testing.assert_allclose(dZ, dA * np.vectorize(derivative)(Z), rtol=1e-11, atol=1e-14)
    error = directional_error(lambda at: float(np.sum(dA * forward(at)[0])), dZ, Z, rng)
    assert error < 1e-6


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activate_takes_no_more_room_than_its_activation_declares(name):
    asked = []

    def room(width):
        asked.append(width)
        return np.empty((N_ROWS, width))

    activation = ACTIVATIONS[name]()
    cache = Activate(activation, N_OUT).prepare(room, (), context_of())
    assert asked == [N_OUT] * (activation.n_saved + (not activation.in_place))
    Z = np.ones((N_ROWS, N_OUT))
    A = Activate(activation, N_OUT).forward(Z, cache)
    assert (A is Z) == activation.in_place


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.9])
def test_dropout_matches_the_loops_given_its_random_numbers(rate):
    rng = np.random.default_rng(6)
    X, dY = rng.standard_normal((2, N_ROWS, N_OUT))
    layer = Dropout(rate, N_OUT)
    cache = layer.prepare(room_for(), (), context_of(7))
    uniform = np.random.default_rng(7).random((2, N_ROWS, N_OUT))
    for draw in uniform:  # a new mask for each batch
        kept = X.copy()
        Y = layer.forward(X, cache)
        np.testing.assert_allclose(Y, reference.inverted_dropout(X, draw, rate), rtol=1e-14)
        dX = layer.backward(dY.copy(), cache)
        np.testing.assert_allclose(dX, reference.inverted_dropout(dY, draw, rate), rtol=1e-14)
        # The activation before it computes its derivative from X afterwards.
        np.testing.assert_array_equal(X, kept)


def test_dropout_gradient_is_the_directional_derivative_for_a_fixed_stream():
    rng = np.random.default_rng(8)
    X, dY = rng.standard_normal((2, N_ROWS, N_OUT))
    layer = Dropout(0.4, N_OUT)

    def forward(X):
        cache = layer.prepare(room_for(), (), context_of(9))
        return layer.forward(X, cache), cache

    _, cache = forward(X)
    dX = layer.backward(dY.copy(), cache)
    assert directional_error(lambda at: float(np.sum(dY * forward(at)[0])), dX, X, rng) < 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dropout_keeps_the_mean_and_drops_the_stated_share(dtype):
    layer = Dropout(0.3, 100)
    room = room_for(n_rows=1000, dtype=dtype)
    Y = layer.forward(np.ones((1000, 100), dtype), layer.prepare(room, (), context_of(10)))
    assert Y.dtype == dtype
    # Four standard deviations of a mean of 100,000 draws.
    assert np.mean(Y == 0) == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / 1e5))
    np.testing.assert_allclose(np.unique(Y), [0, 1 / 0.7], rtol=1e-6)
    assert Y.mean() == pytest.approx(1, abs=0.01)


def test_dropout_members_of_a_stack_have_streams_of_their_own():
    layer, X = Dropout(0.5, N_OUT), np.ones((3, N_ROWS, N_OUT))
    Y = layer.forward(X, layer.prepare(room_for((3,)), (), context_of(1, 2, 1)))
    np.testing.assert_array_equal(Y[0], Y[2])
    assert not np.array_equal(Y[0], Y[1])
    alone = layer.prepare(room_for(), (), context_of(2))
    np.testing.assert_array_equal(Y[1], layer.forward(X[1], alone))


def test_dropout_needs_a_stream_for_each_member():
    with pytest.raises(ValueError, match="zip"):
        Dropout(0.5, N_OUT).prepare(room_for((3,)), (), context_of(0))


def test_dropout_passes_everything_on_in_prediction():
    layer, X = Dropout(0.5, N_OUT), np.ones((N_ROWS, N_OUT))
    assert layer.forward(X, layer.prepare(room_for(), None, context_of())) is X


# --- Normalization --------------------------------------------------------------------------

normalizations = pytest.mark.parametrize("name", NORMALIZATIONS)
N_UNITS = 4


def a_normalization(name, rng, stack=(), dtype=np.float64):
    """Make a layer with random parameters and running averages; return these three."""
    layer = NORMALIZATIONS[name](N_UNITS)
    parameters = [
        rng.standard_normal((*stack, *shape[:2])).astype(dtype) for shape in layer.shapes()
    ]
    statistics = [
        rng.uniform(0.5, 2, (*stack, *shape[:2])).astype(dtype)
        for shape in layer.statistic_shapes()
    ]
    layer.bind(parameters, statistics)
    return layer, parameters, statistics


def gradients_like(parameters):
    return [np.full_like(array, np.nan) for array in parameters]


def some_rows(rng, stack=(), n_rows=6):
    """Rows of different means and scales, column by column."""
    X = rng.standard_normal((*stack, n_rows, N_UNITS))
    return X * [0.1, 1, 3, 20] + [5, 0, -2, 100]


WEIGHTS = {
    "unweighted": lambda rng: None,
    "weights": lambda rng: mean_one_weights(rng, 6),
    "mostly zero": lambda rng: np.array([0, 3.0, 0, 0, 2.0, 1.0]),
    "all zero": lambda rng: np.zeros(6),
    "each output": lambda rng: mean_one_weights(rng, 6)[:, np.newaxis] * [0.5, 3.0, 1.0],
}
weightings = pytest.mark.parametrize("weighting", WEIGHTS)


@normalizations
def test_a_normalization_asks_for_free_scale_and_shift_and_resets_to_1_and_0(name):
    layer, (gamma, beta), statistics = a_normalization(name, np.random.default_rng(20))
    assert layer.shapes() == [(1, N_UNITS, False, 1.0)] * 2
    layer.reset()
    layer.beta[...] = 0  # the network zeroes its whole vector before
    np.testing.assert_array_equal(gamma, np.ones((1, N_UNITS)))
    np.testing.assert_array_equal(beta, np.zeros((1, N_UNITS)))
    assert len(statistics) == (2 if name == "batch" else 0)
    if statistics:
        np.testing.assert_array_equal(layer.variance, np.ones((1, N_UNITS)))


@weightings
def test_batch_norm_in_training_matches_the_loops(weighting):
    rng = np.random.default_rng(21)
    layer, (gamma, beta), (mean, variance) = a_normalization("batch", rng)
    before = [mean[0].tolist(), variance[0].tolist()]
    X, weights = some_rows(rng), WEIGHTS[weighting](rng)
    cache = layer.prepare(room_for(n_rows=6), gradients_like((gamma, beta)), context_of())
    cache.context.weights = weights  # they come with each batch, after the cache is made
    Y = layer.forward(X.copy(), cache)
    row_weights = weights.mean(axis=1) if weighting == "each output" else weights
    expected, means, variances = reference.batch_norm(X.tolist(), gamma[0], beta[0], row_weights)
    np.testing.assert_allclose(Y, expected, rtol=1e-9, atol=1e-10)
    for running, start, current in zip((mean, variance), before, (means, variances), strict=True):
        if weighting == "all zero":  # rows that count for nothing leave no trace
            current = start
        np.testing.assert_allclose(running[0], reference.moved(start, current), rtol=1e-12)


def test_batch_norm_in_prediction_matches_the_loops_and_learns_nothing():
    rng = np.random.default_rng(22)
    layer, (gamma, beta), (mean, variance) = a_normalization("batch", rng)
    X, before = some_rows(rng), (mean.copy(), variance.copy())
    # Weights are the training's affair.
    context = context_of(weights=mean_one_weights(rng, 6))
    Y = layer.forward(X.copy(), layer.prepare(room_for(n_rows=6), None, context))
    expected = reference.batch_norm_prediction(X, gamma[0], beta[0], mean[0], variance[0])
    np.testing.assert_allclose(Y, expected, rtol=1e-12)
    np.testing.assert_array_equal((mean, variance), before)


@pytest.mark.parametrize("training", [False, True])
def test_layer_norm_matches_the_loops_whatever_the_weights(training):
    rng = np.random.default_rng(23)
    layer, (gamma, beta), _ = a_normalization("layer", rng)
    X = some_rows(rng)
    gradients = gradients_like((gamma, beta)) if training else None
    context = context_of(weights=mean_one_weights(rng, 6))
    Y = layer.forward(X.copy(), layer.prepare(room_for(n_rows=6), gradients, context))
    np.testing.assert_allclose(Y, reference.layer_norm(X, gamma[0], beta[0]), rtol=1e-11)


@normalizations
def test_what_is_normalized_has_mean_0_and_variance_1(name):
    """Batch norm over the rows, layer norm over the features."""
    rng = np.random.default_rng(24)
    layer, parameters, _ = a_normalization(name, rng)
    layer.gamma[...], layer.beta[...] = 1, 0
    cache = layer.prepare(room_for(n_rows=6), gradients_like(parameters), context_of())
    Y = layer.forward(some_rows(rng), cache)
    axis = {"batch": 0, "layer": 1}[name]
    np.testing.assert_allclose(Y.mean(axis=axis), 0, atol=1e-13)
    # Short of 1 by epsilon's share: the smallest variance here is near 0.01.
    np.testing.assert_allclose(Y.var(axis=axis), 1, atol=5e-3)
    assert np.abs(Y.mean(axis=1 - axis)).max() > 0.1


@normalizations
@STACKS
@weightings
def test_normalization_gradients_are_directional_derivatives(name, stack, weighting):
    rng = np.random.default_rng(25)
    layer, (gamma, beta), statistics = a_normalization(name, rng, stack)
    X, dY = rng.standard_normal((2, *stack, 6, N_UNITS))
    X = 2 * X + [5, 0, -2, 1]
    weights = WEIGHTS[weighting](rng)
    gradients = gradients_like((gamma, beta))

    def forward(X=X, gamma=gamma, beta=beta):
        layer.bind([gamma, beta], statistics)
        cache = layer.prepare(room_for(stack, n_rows=6), gradients, context_of(weights=weights))
        return layer.forward(X.copy(), cache), cache

    def value(**changed):
        return float(np.sum(dY * forward(**changed)[0]))

    _, cache = forward()
    dX = layer.backward(dY.copy(), cache).copy()
    dgamma, dbeta = (array.copy() for array in gradients)
    assert directional_error(lambda at: value(gamma=at), dgamma, gamma, rng) < 1e-6
    assert directional_error(lambda at: value(beta=at), dbeta, beta, rng) < 1e-6
    for _ in range(3):
        assert directional_error(lambda at: value(X=at), dX, X, rng) < 1e-6


@normalizations
def test_input_that_is_constant_gets_the_shift_alone(name):
    """One row has no variance over the batch, equal features none over the row."""
    rng = np.random.default_rng(26)
    layer, parameters, _ = a_normalization(name, rng)
    n_rows = {"batch": 1, "layer": 3}[name]
    X = np.full((n_rows, N_UNITS), 7.0)
    gradients = gradients_like(parameters)
    cache = layer.prepare(room_for(n_rows=n_rows), gradients, context_of())
    Y = layer.forward(X, cache)
    np.testing.assert_allclose(Y, np.broadcast_to(layer.beta, Y.shape), rtol=1e-12)
    dX = layer.backward(np.ones_like(Y), cache)
    assert all(np.isfinite(array).all() for array in (dX, *gradients))


def test_batch_norm_scales_away_what_the_rows_share():
    """Adding to a column, or scaling it, changes nothing but the running averages."""
    rng = np.random.default_rng(27)
    layer, parameters, _ = a_normalization("batch", rng)
    X = rng.standard_normal((6, N_UNITS))
    cache = layer.prepare(room_for(n_rows=6), gradients_like(parameters), context_of())
    Y = layer.forward(X.copy(), cache).copy()
    again = layer.forward(1e3 * X + 5, cache)
    np.testing.assert_allclose(again, Y, rtol=1e-4, atol=1e-4)  # but for epsilon


@normalizations
def test_members_of_a_stack_are_normalized_like_single_layers(name):
    rng = np.random.default_rng(28)
    stacked, parameters, statistics = a_normalization(name, rng, (3,))
    X, dY = some_rows(rng, (3,)), rng.standard_normal((3, 6, N_UNITS))
    weights = mean_one_weights(rng, 6)
    starts = [array.copy() for array in statistics]
    gradients = gradients_like(parameters)
    cache = stacked.prepare(room_for((3,), 6), gradients, context_of(weights=weights))
    Y = stacked.forward(X.copy(), cache).copy()
    dX = stacked.backward(dY.copy(), cache)
    for member in range(3):
        alone = NORMALIZATIONS[name](N_UNITS)
        own_statistics = [array[member] for array in starts]
        alone.bind([array[member] for array in parameters], own_statistics)
        own_gradients = [np.empty((1, N_UNITS)) for _ in range(2)]
        cache = alone.prepare(room_for(n_rows=6), own_gradients, context_of(weights=weights))
        np.testing.assert_allclose(alone.forward(X[member].copy(), cache), Y[member], rtol=1e-12)
        np.testing.assert_allclose(
            alone.backward(dY[member].copy(), cache), dX[member], rtol=1e-9, atol=1e-13
        )
        for ours, its in zip((*gradients, *statistics), (*own_gradients, *own_statistics),
                             strict=True):  # fmt: skip
            np.testing.assert_allclose(ours[member], its, rtol=1e-11, atol=1e-13)


@normalizations
@pytest.mark.parametrize("weighted", [False, True])
def test_normalization_in_float32_never_computes_in_double(name, weighted):
    rng = np.random.default_rng(29)
    layer, parameters, statistics = a_normalization(name, rng, dtype=np.float32)
    layer.bind(
        [array.view(Float32Only) for array in parameters],
        [array.view(Float32Only) for array in statistics],
    )

    def room(width):
        return np.empty((6, width), np.float32).view(Float32Only)

    weights = mean_one_weights(rng, 6).astype(np.float32) if weighted else None
    X, dY = (some_rows(rng).astype(np.float32).view(Float32Only) for _ in range(2))
    gradients = [np.empty_like(array).view(Float32Only) for array in parameters]
    cache = layer.prepare(room, gradients, context_of(weights=weights))
    results = [layer.forward(X, cache), layer.backward(dY, cache), *gradients, *statistics]
    results += [layer.forward(X, layer.prepare(room, None, context_of()))]
    assert {array.dtype for array in results} == {np.dtype(np.float32)}


def test_the_table_of_normalizations_holds_all_there_are():
    assert dict(NORMALIZATIONS) == {"batch": BatchNorm, "layer": LayerNorm}
