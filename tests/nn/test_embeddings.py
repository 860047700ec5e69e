"""Embeddings of numerical features: the layers by themselves, and in networks."""

import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from skscratch.nn import (
    EMBEDDINGS,
    NORMALIZATIONS,
    Adam,
    Batches,
    Dense,
    GlorotUniform,
    HeNormal,
    Identity,
    Periodic,
    PiecewiseLinear,
    ReLU,
    ScaledDense,
    SquaredError,
    Tanh,
    Workspace,
    fit,
    train_step,
)

from . import reference
from .checks import (
    Float32Only,
    assert_predicts_concurrently,
    batch_of,
    bound,
    directional_error,
    duplicates,
    gradient_errors,
    learner_of,
    network_of,
    peak_of,
    randomized,
    room_for,
    value_and_gradient,
)

embeddings = pytest.mark.parametrize("name", EMBEDDINGS)
STACKS = pytest.mark.parametrize("stack", [(), (3,)])
N_ROWS = 5
EDGES = [np.array([-1.0, -0.5, 0.25, 1.0]), np.array([]), np.array([-2.0, 0.0, 0.1])]
"""Of three features, the second of which is left alone."""


def a_layer(option, rng, edges=EDGES, stack=(), dtype=np.float64):
    return bound(option.layer(edges), rng, stack, dtype)


def a_network(name, hidden=(5, 4), stack=(), dtype=np.float64, edges=EDGES, **settings):
    """Make a network of random parameters behind an embedding."""
    activations = [Tanh(), ReLU()][: len(hidden)]
    sizes = [len(edges), *hidden, 2]
    settings = {"embedding": EMBEDDINGS[name](), "edges": edges, **settings}
    return randomized(network_of(sizes, activations, stack=stack, dtype=dtype, **settings))


# The layers -----------------------------------------------------------------------------------


def test_periodic_of_the_textbook():
    layer = Periodic(n_frequencies=2, n_outputs=1).layer([np.array([0, 1, 2])])
    layer.bind([np.array([[1.0], [10]]), np.array([[0.5, 0.25]]), np.array([[0, math.pi]])], [])
    Y = layer.forward(np.array([[0.0], [1], [2]]), layer.prepare(room_for(n_rows=3), None, None))
    # cos(pi x) + 10 cos(pi x / 2 + pi)
    np.testing.assert_allclose(Y, [[0, -9], [1, -1], [2, 11]], atol=1e-14)


def test_piecewise_linear_of_the_textbook():
    layer = PiecewiseLinear(n_outputs=2).layer([np.array([0.0, 1, 3])])
    layer.bind([np.eye(2)], [])
    X = np.array([[-5.0], [0], [0.25], [1], [2], [3], [7]])
    Y = layer.forward(X, layer.prepare(room_for(n_rows=7), None, None))
    ramps = np.array([[0, 0], [0, 0], [0.25, 0], [1, 0], [1, 0.5], [1, 1], [1, 1]]) - 0.5
    np.testing.assert_array_equal(Y, np.hstack([X, ramps]))


def test_periodic_matches_the_loops():
    rng = np.random.default_rng(0)
    layer, (a, w, b), gradients = a_layer(Periodic(n_frequencies=4, n_outputs=2), rng)
    a = a.reshape(2, 4, 2)
    X, dY = rng.standard_normal((N_ROWS, 3)), rng.standard_normal((N_ROWS, 7))
    cache = layer.prepare(room_for(), gradients, None)
    Y = layer.forward(X, cache)
    first, last = ([reference.wave(w[j][k], b[j][k]) for k in range(4)] for j in range(2))
    functions = [first, [], last]
    np.testing.assert_allclose(Y, reference.embedding(X, functions, a), rtol=1e-10)
    assert layer.backward(dY.copy(), cache) is None
    da = reference.embedding_backward(X, functions, a, dY)
    np.testing.assert_allclose(gradients[0], np.reshape(da, (8, 2)), rtol=1e-9)


def test_piecewise_linear_matches_the_loops():
    rng = np.random.default_rng(1)
    layer, (a,), gradients = a_layer(PiecewiseLinear(n_outputs=2), rng)
    X, dY = rng.standard_normal((50, 3)), rng.standard_normal((50, 7))
    cache = layer.prepare(room_for(n_rows=50), gradients, None)
    Y = layer.forward(X, cache)
    functions = [[reference.ramp(*ends) for ends in pairwise(edges)] for edges in EDGES]
    functions[2].append(lambda x: 0.0)  # the first feature has a bin more
    a = a.reshape(2, 3, 2)
    np.testing.assert_allclose(Y, reference.embedding(X, functions, a), rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(Y[:, :3], X)
    assert layer.backward(dY.copy(), cache) is None
    da = reference.embedding_backward(X, functions, a, dY)
    np.testing.assert_allclose(gradients[0], np.reshape(da, (6, 2)), rtol=1e-10, atol=1e-13)


@embeddings
@STACKS
@pytest.mark.parametrize("shared_input", [True, False])
def test_gradients_are_directional_derivatives(name, stack, shared_input):
    rng = np.random.default_rng(2)
    layer, views, gradients = a_layer(EMBEDDINGS[name](), rng, stack=stack)
    X = rng.standard_normal((N_ROWS, 3) if shared_input else (*stack, N_ROWS, 3))
    dY = rng.standard_normal((*stack, N_ROWS, layer.n_out))
    cache = layer.prepare(room_for(stack), gradients, None)
    layer.forward(X, cache)
    layer.backward(dY.copy(), cache)
    views = [view.copy() for view in views]

    def output(i, at):
        layer.bind([*views[:i], at, *views[i + 1 :]], [])
        return float(np.sum(dY * layer.forward(X, layer.prepare(room_for(stack), None, None))))

    for i, gradient in enumerate(gradients):
        for _ in range(3):
            error = directional_error(lambda at, i=i: output(i, at), gradient, views[i], rng)
            assert error < 1e-6


@embeddings
@pytest.mark.parametrize("shared_input", [True, False])
def test_a_stack_computes_what_its_members_do(name, shared_input):
    rng = np.random.default_rng(3)
    layer, views, _ = a_layer(EMBEDDINGS[name](), rng, stack=(2,))
    X = rng.standard_normal((N_ROWS, 3) if shared_input else (2, N_ROWS, 3))
    Y = layer.forward(X, layer.prepare(room_for((2,)), None, None))
    for member in range(2):
        layer.bind([view[member] for view in views], [])
        own = X if shared_input else X[member]
        alone = layer.forward(own, layer.prepare(room_for(), None, None))
        np.testing.assert_allclose(Y[member], alone, rtol=1e-12, atol=1e-14)


@embeddings
def test_features_without_edges_are_all_passed_on(name):
    layer, _, gradients = a_layer(
        EMBEDDINGS[name](), np.random.default_rng(4), edges=[np.array([])] * 3
    )
    X = np.random.default_rng(5).standard_normal((N_ROWS, 3))
    cache = layer.prepare(room_for(), gradients, None)
    np.testing.assert_array_equal(layer.forward(X, cache), X)
    assert layer.n_out == 3
    assert layer.backward(X, cache) is None


@embeddings
@pytest.mark.parametrize("training", [False, True])
def test_float32_never_computes_in_double(name, training):
    rng = np.random.default_rng(6)
    layer, views, gradients = a_layer(EMBEDDINGS[name](), rng, dtype=np.float32)
    layer.bind([view.view(Float32Only) for view in views], [])
    gradients = [array.view(Float32Only) for array in gradients]

    def room(width):
        return np.empty((N_ROWS, width), np.float32).view(Float32Only)

    X = rng.standard_normal((N_ROWS, 3)).astype(np.float32).view(Float32Only)
    cache = layer.prepare(room, gradients if training else None, None)
    Y = layer.forward(X, cache)
    if training:
        layer.backward(np.ones_like(Y), cache)
    arrays = [value for value in vars(cache).values() if isinstance(value, np.ndarray)]
    assert {array.dtype for array in [Y, *arrays, *gradients]} == {np.dtype(np.float32)}


def test_parameters_are_free_of_the_penalty():
    weights, *waves = Periodic(n_frequencies=4, n_outputs=3).layer(EDGES).shapes()
    assert weights == (8, 3, False)
    assert waves == [(2, 4, False)] * 2
    assert PiecewiseLinear(n_outputs=2).layer(EDGES).shapes() == [(6, 2, False)]


@pytest.mark.parametrize("stack", [(), (2,)])
def test_with_ramps_a_network_starts_as_the_one_without(stack):
    X = np.random.default_rng(17).standard_normal((6, 3))
    network = a_network("piecewise_linear", stack=stack)
    streams = [np.random.default_rng(seed) for seed in (0, 1)]
    network.initialize([HeNormal(), GlorotUniform(), HeNormal()], streams[: len(stack) + 1])
    plain = network_of([3, 5, 4, 2], [Tanh(), ReLU()], stack=stack)
    for own, other in zip(plain.dense, network.dense, strict=True):
        own.W[...] = other.W[..., : own.n_in, :]
    np.testing.assert_allclose(network.predict(X), plain.predict(X), rtol=1e-12)
    assert np.all(network.layers[0].a == 0)


def test_waves_start_as_documented():
    edges = [np.array([0.0, 1, 2])] * 200
    network = network_of(
        [200, 1], [], embedding=Periodic(50, 20, scale=0.3), edges=edges, stack=(2,)
    )
    network.initialize([None], [np.random.default_rng(seed) for seed in (0, 1)])
    layer = network.layers[0]
    # 10,000 draws: four standard errors.
    assert layer.w[0].mean() == pytest.approx(0, abs=4 * 0.3 / 100)
    assert layer.w[0].std() == pytest.approx(0.3, rel=0.03)
    assert -math.pi <= layer.b.min() < -3.1 < 3.1 < layer.b.max() <= math.pi
    assert layer.b[0].std() == pytest.approx(math.pi / math.sqrt(3), rel=0.03)
    assert np.abs(layer.a).max() == pytest.approx(1 / math.sqrt(50), rel=1e-3)
    for array in (layer.w, layer.b, layer.a):
        assert not np.any(array[0] == array[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_edges_that_hardly_differ_count_as_one(dtype):
    edges = np.array([0.0, 1.0, np.nextafter(1.0, 2), 1.0 + 1e-9, 3.0, 3.0 + 1e-300])
    layer = PiecewiseLinear(n_outputs=2).layer([edges])
    assert layer.n_functions == 2
    layer.bind([np.eye(2, dtype=dtype)], [])
    X = np.array([[0.5], [2.0], [1e9], [-1e9]], dtype)
    Y = layer.forward(X, layer.prepare(room_for(n_rows=4, dtype=dtype), None, None))
    ramps = np.array([[0.5, 0], [1, 0.5], [1, 1], [0, 0]]) - 0.5
    np.testing.assert_array_equal(Y[:, 1:], ramps)


# In a network ---------------------------------------------------------------------------------


@embeddings
@pytest.mark.parametrize("hidden", [(), (5,), (5, 4)])
@pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])
@pytest.mark.parametrize("learned_scales", [False, True])
def test_gradient_of_a_network(name, hidden, normalization, learned_scales):
    network = a_network(name, hidden, normalization=normalization, learned_scales=learned_scales)
    if learned_scales:
        network.dense[0].t[...] /= 60  # scales near 1
    assert max(gradient_errors(network, SquaredError())) < 1e-6


@embeddings
def test_embedding_then_layers_is_the_network(name):
    network = a_network(name, learned_scales=True)
    X = np.random.default_rng(8).standard_normal((N_ROWS, 3))
    layer, (first, *rest) = network.layers[0], network.dense
    Y = layer.forward(X, layer.prepare(room_for(), None, None)).copy()
    plain = network_of([layer.n_out, 5, 4, 2], [Tanh(), ReLU()])
    for own, other in zip(plain.dense, [first, *rest], strict=True):
        own.W[...], own.b[...] = other.coefficients, other.b
    np.testing.assert_allclose(network.predict(X), plain.predict(Y), rtol=1e-12)


@embeddings
@pytest.mark.parametrize("learned_scales", [False, True])
def test_the_first_affine_map_takes_the_outputs_and_passes_a_gradient_back(name, learned_scales):
    network = a_network(name, learned_scales=learned_scales)
    first, *rest = network.dense
    assert type(first) is (ScaledDense if learned_scales else Dense)
    assert first.n_in == network.layers[0].n_out
    assert all(type(layer) is Dense for layer in rest)
    assert all(layer.input_gradient for layer in network.dense)


@embeddings
@duplicates
@STACKS
def test_a_duplicate_lives_apart(name, duplicate, stack):
    network = a_network(name, stack=stack, learned_scales=True)
    X = np.random.default_rng(10).standard_normal((6, 3))
    before = network.predict(X)
    other = duplicate(network)
    assert other.architecture.embedding == network.architecture.embedding
    np.testing.assert_array_equal(other.predict(X), before)
    other.parameters.vector[...] = 0
    np.testing.assert_array_equal(other.predict(X), 0)
    np.testing.assert_array_equal(network.predict(X), before)


@embeddings
@STACKS
def test_a_workspace_for_fewer_rows_shares_memory_and_gives_the_same_numbers(name, stack):
    rng = np.random.default_rng(11)
    network = a_network(name, stack=stack)
    X, Y = rng.standard_normal((7, 3)), rng.standard_normal((7, 2))
    full = learner_of(network).workspace(7)
    value_and_gradient(network, X, Y, workspace=full)  # leaves other numbers behind
    short = full.for_rows(3)
    _, gradient = value_and_gradient(network, X[:3], Y[:3], workspace=short)
    _, fresh = value_and_gradient(network, X[:3], Y[:3])
    np.testing.assert_allclose(gradient, fresh, rtol=1e-12)
    caches = zip(vars(short.caches[0]).items(), vars(full.caches[0]).values(), strict=True)
    shared = [
        np.shares_memory(small, large)
        for (key, small), large in caches
        if isinstance(small, np.ndarray) and key in ("x", "columns", "P", "H", "Y", "E")
    ]
    assert shared
    assert all(shared)


@embeddings
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_prediction_goes_block_by_block(name, dtype):
    edges = [np.linspace(-2, 2, 17)] * 40
    network = a_network(name, edges=edges, dtype=dtype)
    X = np.random.default_rng(12).standard_normal((3000, 40)).astype(dtype)
    whole = network.forward(X, Workspace(network, 3000)).copy()
    tolerance = 1e-3 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(network.predict(X), whole, rtol=tolerance, atol=tolerance)
    rows = np.arange(2999, -1, -2)
    np.testing.assert_allclose(
        network.predict(X, rows), whole[rows], rtol=tolerance, atol=tolerance
    )
    assert peak_of(lambda: network.predict(X)) < 6e6  # at once it would be up to 23 and 46 MB


@embeddings
def test_concurrent_predictions_do_not_disturb_each_other(name):
    network = a_network(name, edges=[np.linspace(-2, 2, 17)] * 6)
    assert_predicts_concurrently(network, 2000, 6)


@embeddings
def test_allocation_of_a_step_does_not_grow_with_the_embedding(name):
    peaks = []
    for n_features in (20, 80):
        edges = [np.linspace(-2, 2, 17)] * n_features
        network = a_network(name, (16,), edges=edges, learned_scales=True)
        rng = np.random.default_rng(14)
        X, Y = rng.standard_normal((256, n_features)), rng.standard_normal((256, 2))
        learner, batch = learner_of(network, optimizer=Adam()), batch_of(X, Y)
        step = partial(train_step, learner, batch, learner.workspace(256), 1e-4)
        step()
        step()
        peaks.append(peak_of(step))
    # The waves of 80 features take 2.6 MB.
    assert max(peaks) < 250_000
    assert peaks[1] < peaks[0] + 150_000


def test_combined_ramps_are_any_function_that_bends_at_the_edges():
    rng = np.random.default_rng(15)
    edges, heights = np.sort(rng.uniform(-2, 2, 6)), rng.standard_normal(6)
    x = rng.uniform(edges[0], edges[-1], (200, 1))
    layer = PiecewiseLinear(n_outputs=1).layer([edges])
    layer.bind([np.diff(heights)[:, np.newaxis]], [])
    found = layer.forward(x, layer.prepare(room_for(n_rows=200), None, None))[:, 1]
    found += (heights[0] + heights[-1]) / 2
    np.testing.assert_allclose(found, np.interp(x[:, 0], edges, heights), atol=1e-12)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("offset", [-3.0, 0.0, 5.0])
def test_edges_a_millionth_of_the_range_apart_are_one(scale, offset):
    edges = np.array([1.0, 1 + 4e-7, 1.3, 1.3 + 2e-6, 1.6, 2.0])
    layer = PiecewiseLinear().layer([scale * (edges - 1 + offset)])
    np.testing.assert_allclose(1 / layer.slope.ravel() / scale, [0.3, 2e-6, 0.3, 0.4], rtol=1e-3)
    middle = np.array([0.15, 0.300001, 0.45, 0.8]) + offset
    np.testing.assert_allclose(layer.middle.ravel() / scale, middle, rtol=1e-5)


def test_waves_learn_a_frequency():
    """One wave near the right frequency finds frequency, phase and height of a sine."""
    x = np.random.default_rng(16).uniform(-1, 1, (400, 1))
    y = 2 * np.sin(2 * math.pi * 1.5 * x)
    embedding = Periodic(n_frequencies=1, n_outputs=1)
    network = network_of([1, 1], [], embedding=embedding, edges=[np.array([-1.0, 0, 1])])
    waves, dense = network.layers
    waves.w[...], waves.b[...], waves.a[...], dense.W[...] = 1.3, -1.0, 1.0, [[0], [1]]
    progress = fit(learner_of(network, optimizer=Adam(), learning_rate=0.02), Batches(x, y), 1000)
    assert progress.history["loss"][-1] < 1e-6
    assert abs(waves.w.item()) == pytest.approx(1.5, abs=1e-3)
    assert abs(waves.a.item() * dense.W[1].item()) == pytest.approx(2, abs=1e-2)


def test_an_embedding_is_no_part_of_a_network_without_one():
    network = network_of([3, 4, 2], [Identity()])
    assert network.architecture.embedding is None
    assert isinstance(network.layers[0], Dense)
    assert not network.layers[0].input_gradient
