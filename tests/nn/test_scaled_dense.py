"""A first layer that learns how much each feature counts: by itself, and in networks."""

import numpy as np
import pytest
import scipy.sparse

from skscratch.nn import (
    GELU,
    LOSSES,
    NORMALIZATIONS,
    Adam,
    Dense,
    HeNormal,
    ReLU,
    ScaledDense,
    SparseBlock,
    SparseRows,
    Tanh,
    train_step,
)

from . import reference
from .checks import (
    Float32Only,
    assert_predicts_concurrently,
    batch_of,
    bound,
    context_of,
    directional_error,
    duplicates,
    gradient_errors,
    half_sparse,
    learner_of,
    network_of,
    problem,
    randomized,
    room_for,
    streams_of,
    value_and_gradient,
)

normalizations = pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])
N_ROWS, N_IN, N_OUT = 5, 4, 3


def a_scaled_dense(rng, stack=(), dtype=np.float64, **settings):
    layer = ScaledDense(N_IN, N_OUT, **{"input_gradient": False, **settings})
    return bound(layer, rng, stack, dtype)


def as_given(X, form, shift=None):
    """Give X itself, or as a sparse block with a shift."""
    if form == "dense":
        return X if shift is None else X + shift
    sparse = getattr(scipy.sparse, form)(X.reshape(-1, N_IN))
    return SparseBlock(sparse, shift).reshape(*X.shape)


# --- The layer --------------------------------------------------------------------------------


def test_scaled_dense_of_the_textbook():
    layer = ScaledDense(3, 2)
    W, s = np.array([[1.0, 2, 3], [2, 3, 4]]).T, np.array([[1.0], [2], [-2]])
    layer.bind([W, np.full((1, 2), 5.0), (s - 1) / ScaledDense.pace], [])
    X = np.array([[1.0, 1, 1], [2, 2, 2]])
    Z = layer.forward(X, layer.prepare(room_for(n_rows=2), None, context_of()))
    np.testing.assert_allclose(layer.s, s, rtol=1e-15)
    np.testing.assert_allclose(Z, [[4, 5], [3, 5]], rtol=1e-14)
    np.testing.assert_allclose(layer.coefficients, [[1, 2], [4, 6], [-6, -8]], rtol=1e-15)


def test_scales_are_free_of_the_penalty_and_1_at_first():
    layer = ScaledDense(N_IN, N_OUT)
    shapes = layer.shapes()
    assert shapes == [(N_IN, N_OUT, True), (1, N_OUT, False), (N_IN, 1, False)]
    views = [np.zeros((shape.rows, shape.columns)) for shape in shapes]
    layer.bind(views, [])
    layer.reset()
    for view in views:
        np.testing.assert_array_equal(view, 0)
    assert layer.t is views[2]
    np.testing.assert_array_equal(layer.s, 1)


@pytest.mark.parametrize("form", ["dense", "csr_array", "csr_matrix"])
@pytest.mark.parametrize("shifted", [False, True])
def test_matches_the_loops(form, shifted):
    rng = np.random.default_rng(40)
    layer, _, gradients = a_scaled_dense(rng)
    shift = rng.standard_normal((1, N_IN)) if shifted else None
    X, dZ = half_sparse(rng, N_ROWS, N_IN), rng.standard_normal((N_ROWS, N_OUT))
    cache = layer.prepare(room_for(), gradients, context_of())
    Z = layer.forward(as_given(X, form, shift), cache)
    X = X if shift is None else X + shift
    scaled = [[x * s for x, s in zip(row, layer.s[:, 0], strict=True)] for row in X]
    np.testing.assert_allclose(Z, reference.dense(scaled, layer.W, layer.b[0]), rtol=1e-11)
    layer.backward(dZ.copy(), cache)
    dW, db, d_scaled = reference.dense_backward(scaled, layer.W, dZ)
    ds = [[sum(d_scaled[i][j] * X[i][j] for i in range(N_ROWS))] for j in range(N_IN)]
    for gradient, expected in zip(
        gradients, (dW, [db], ScaledDense.pace * np.array(ds)), strict=True
    ):
        np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("form", ["dense", "csr_array"])
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize(("stack", "own"), [((), False), ((2,), False), ((2,), True)])
def test_gradients_are_directional_derivatives(form, shifted, stack, own):
    rng = np.random.default_rng(41)
    layer, views, gradients = a_scaled_dense(rng, stack)
    shift = rng.standard_normal((1, N_IN)) if shifted else None
    X = as_given(half_sparse(rng, *(stack if own else ()), N_ROWS, N_IN), form, shift)
    dZ = rng.standard_normal((*stack, N_ROWS, N_OUT))
    cache = layer.prepare(room_for(stack), gradients, context_of())
    layer.forward(X, cache)
    assert layer.backward(dZ.copy(), cache) is None
    views = [view.copy() for view in views]

    def output(i, at):
        layer.bind([*views[:i], at, *views[i + 1 :]], [])
        cache = layer.prepare(room_for(stack), None, context_of())
        return float(np.sum(dZ * layer.forward(X, cache)))

    for i, gradient in enumerate(gradients):
        for _ in range(3):
            error = directional_error(lambda at, i=i: output(i, at), gradient, views[i], rng)
            assert error < 1e-6


def test_gives_the_input_gradient_if_somebody_needs_it():
    rng = np.random.default_rng(9)
    layer, _, gradients = a_scaled_dense(rng, input_gradient=True)
    X, dZ = rng.standard_normal((N_ROWS, N_IN)), rng.standard_normal((N_ROWS, N_OUT))
    cache = layer.prepare(room_for(), gradients, context_of())
    layer.forward(X, cache)
    dX = layer.backward(dZ, cache)
    np.testing.assert_allclose(dX, dZ @ layer.coefficients.T, rtol=1e-12)


def test_a_prediction_cache_has_no_gradients():
    layer, _, gradients = a_scaled_dense(np.random.default_rng(42))
    cache = vars(layer.prepare(room_for(), None, context_of()))
    assert not {"dW", "db", "dt", "dX"} & set(cache)
    cache = vars(layer.prepare(room_for(), gradients, context_of()))
    for name, array in zip(("dW", "db", "dt"), gradients, strict=True):
        assert cache[name] is array


@pytest.mark.parametrize("sparse", [False, True])
def test_float32_is_never_computed_in_double(sparse):
    rng = np.random.default_rng(43)
    layer, views, gradients = a_scaled_dense(rng, dtype=np.float32)
    layer.bind([view.view(Float32Only) for view in views], [])
    gradients = [array.view(Float32Only) for array in gradients]
    X = half_sparse(rng, N_ROWS, N_IN).astype(np.float32)
    shift = rng.standard_normal((1, N_IN)).astype(np.float32)
    X = as_given(X, "csr_array", shift) if sparse else X.view(Float32Only)

    def room(width):
        return np.empty((N_ROWS, width), np.float32).view(Float32Only)

    for arrays in (gradients, None):
        cache = layer.prepare(room, arrays, context_of())
        results = [layer.forward(X, cache), layer.coefficients, cache.W, cache.s, *gradients]
        if arrays:
            layer.backward(np.ones((N_ROWS, N_OUT), np.float32).view(Float32Only), cache)
        assert {array.dtype for array in results} == {np.dtype(np.float32)}


# --- In a network -----------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[7, 2], [7, 4, 2], [7, 4, 5, 2]])
def test_only_the_first_layer_learns_scales(sizes):
    activations = [Tanh()] * (len(sizes) - 2)
    for scales in (False, True):
        network = network_of(sizes, activations, learned_scales=scales)
        kinds = [type(layer) for layer in network.dense]
        assert kinds == [ScaledDense if scales else Dense] + [Dense] * len(activations)
        assert not network.dense[0].input_gradient
        # Scales are no weights: the penalty spares them.
        n_weights = sum(layer.W.size for layer in network.dense)
        assert network.parameters.penalized.size == n_weights
        n_scales = 7 if scales else 0
        n_biases = sum(sizes[1:])
        assert network.parameters.vector.size == n_weights + n_biases + n_scales


@pytest.mark.parametrize(
    ("stack", "sparse"), [((), False), ((2,), False), ((), True), ((2,), True)]
)
def test_scaling_the_features_is_scaling_the_rows_of_the_first_weights(stack, sparse):
    settings = {"normalization": "layer", "stack": stack}
    scaled = randomized(network_of([3, 5, 2], [GELU()], learned_scales=True, **settings))
    plain = network_of([3, 5, 2], [GELU()], **settings)
    first, *rest = scaled.per_layer(scaled.parameters)
    views = [[first[0] * (1 + ScaledDense.pace * first[2]), first[1]], *rest]
    for own, other in zip(plain.per_layer(plain.parameters), views, strict=True):
        for view, values in zip(own, other, strict=True):
            view[...] = values
    np.testing.assert_array_equal(plain.dense[0].coefficients, scaled.dense[0].coefficients)
    X = np.random.default_rng(50).standard_normal((6, 3))
    if sparse:
        shift = np.array([[1.0, 0.0, -2.0]])
        X = SparseRows(scipy.sparse.csr_array(X), np.float64, shift)
    np.testing.assert_allclose(scaled.predict(X), plain.predict(X), rtol=1e-12)


@normalizations
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("sizes", [[3, 2], [3, 5, 4, 2]])
def test_gradient_of_a_network(sizes, loss, normalization):
    activations = [Tanh(), GELU()][: len(sizes) - 2]
    network = network_of(sizes, activations, normalization=normalization, learned_scales=True)
    randomized(network).dense[0].t[...] /= ScaledDense.pace  # scales near 1
    assert max(gradient_errors(network, LOSSES[loss]())) < 1e-6


def test_scales_move_20_times_as_far_as_other_parameters():
    """Adam's first step is as long as the learning rate, whatever the gradient."""
    X, Y, _ = problem()
    network = randomized(network_of([3, 4, 2], [Tanh()], learned_scales=True))
    network.dense[0].t[...] = 0
    W = network.dense[0].W.copy()
    learner = learner_of(network, optimizer=Adam(), learning_rate=1e-3)
    train_step(learner, batch_of(X, Y), learner.workspace(len(X)), 1e-3)
    np.testing.assert_allclose(np.abs(network.dense[0].W - W), 1e-3, rtol=1e-3)
    np.testing.assert_allclose(np.abs(network.dense[0].s - 1), 20e-3, rtol=1e-3)


def test_scales_are_1_again_at_initialize():
    network = randomized(network_of([3, 4, 2], [Tanh()], learned_scales=True))
    network.initialize([HeNormal(), None], streams_of(0))
    np.testing.assert_array_equal(network.dense[0].s, 1)
    assert network.dense[0].W.all()


def test_workspace_for_fewer_rows_gives_the_same_numbers():
    rng = np.random.default_rng(52)
    network = randomized(network_of([3, 5, 2], [Tanh()], learned_scales=True))
    X, Y = rng.standard_normal((7, 3)), rng.standard_normal((7, 2))
    full = learner_of(network).workspace(7)
    value_and_gradient(network, X, Y, workspace=full)  # leaves other numbers behind
    _, shared = value_and_gradient(network, X[:3], Y[:3], workspace=full.for_rows(3))
    _, fresh = value_and_gradient(network, X[:3], Y[:3])
    np.testing.assert_allclose(shared, fresh, rtol=1e-12)


@duplicates
@pytest.mark.parametrize("stack", [(), (3,)])
def test_a_duplicate_keeps_its_scales(duplicate, stack):
    network = randomized(network_of([3, 5, 2], [Tanh()], stack=stack, learned_scales=True))
    X = np.random.default_rng(53).standard_normal((6, 3))
    before = network.predict(X)
    other = duplicate(network)
    assert other.architecture.learned_scales
    assert [type(layer) for layer in other.layers] == [type(layer) for layer in network.layers]
    np.testing.assert_array_equal(other.predict(X), before)
    assert np.shares_memory(other.dense[0].t, other.parameters.vector)
    other.dense[0].t[...] = -1 / ScaledDense.pace  # the features no longer count
    np.testing.assert_allclose(np.ptp(other.predict(X), axis=-2), 0, atol=1e-12)
    other.parameters.vector[...] = 0
    np.testing.assert_array_equal(other.predict(X), 0)
    np.testing.assert_array_equal(network.predict(X), before)


def test_concurrent_predictions_do_not_disturb_each_other():
    network = randomized(network_of([20, 64, 3], [ReLU()], learned_scales=True))
    assert_predicts_concurrently(network)
