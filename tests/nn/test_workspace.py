"""The workspace: the arrays that passes compute in, and what they share."""

import gc
import weakref

import numpy as np
import pytest

from skscratch.nn import (
    ACTIVATIONS,
    GELU,
    NORMALIZATIONS,
    Dropout,
    ReLU,
    SquaredError,
    Tanh,
    Workspace,
)

from .checks import context_of, network_of, randomized, streams_of

normalizations = pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])


@normalizations
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_array_of_a_workspace_has_the_dtype_of_the_network(name, dtype, normalization):
    network = randomized(
        network_of(
            [3, 5, 2], [ACTIVATIONS[name]()], [0.5], normalization=normalization, dtype=dtype
        )
    )
    workspace = Workspace(network, 4, training=True, streams=streams_of(0))
    X = np.ones((4, 3), dtype)
    Z = network.forward(X, workspace)
    SquaredError().value_and_gradient(Z, X[:, :2], None, workspace.dZ)
    network.backward(workspace.dZ, workspace)
    arrays = [Z, workspace.dZ, workspace.scratch, workspace.gradient.vector]
    for cache in workspace.caches:
        for value in vars(cache).values():
            arrays += value if isinstance(value, tuple) else [value]
    arrays = [array for array in arrays if isinstance(array, np.ndarray)]
    assert len(arrays) > 10
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    unused = [workspace.scratch]
    unused += [cache.own_shares for cache in workspace.caches if hasattr(cache, "own_shares")]
    assert all(
        np.isfinite(array).all() for array in arrays if not any(array is other for other in unused)
    )


@normalizations
def test_workspace_for_fewer_rows_shares_memory_and_gives_the_same_numbers(normalization):
    rng = np.random.default_rng(14)
    network = randomized(
        network_of([3, 5, 4, 2], [GELU(), ReLU()], [0.5, 0], normalization=normalization)
    )
    loss, X, Y = SquaredError(), rng.standard_normal((7, 3)), rng.standard_normal((7, 2))

    def run(workspace, X, Y):
        Z = network.forward(X, workspace)
        value = loss.value_and_gradient(Z, Y, None, workspace.dZ)
        network.backward(workspace.dZ, workspace)
        return value, workspace.gradient.vector.copy()

    stream = np.random.default_rng(15)
    full = Workspace(network, 7, training=True, streams=[stream])
    short = full.for_rows(3)
    run(full, X, Y)  # leaves other numbers behind
    stream.bit_generator.state = np.random.default_rng(16).bit_generator.state
    results = run(short, X[:3], Y[:3])
    fresh = Workspace(network, 3, training=True, streams=streams_of(16))
    for shared, own in zip(results, run(fresh, X[:3], Y[:3]), strict=True):
        np.testing.assert_allclose(shared, own, rtol=1e-11, atol=1e-14)
    for name in ("Z", "M", "Y", "A"):
        pairs = [
            (getattr(small, name), getattr(large, name))
            for small, large in zip(short.caches, full.caches, strict=True)
            if isinstance(getattr(small, name, None), np.ndarray)
        ]
        assert pairs
        for small, large in pairs:
            assert np.shares_memory(small, large)
    assert np.shares_memory(short.dZ, full.dZ)
    assert short.gradient is full.gradient
    assert short.scratch is full.scratch
    assert short.context is full.context  # the training step sets the weights there


def test_workspace_of_each_size_is_made_once():
    workspace = Workspace(network_of([3, 2], []), 7, training=True)
    assert workspace.for_rows(7) is workspace
    assert workspace.for_rows(3) is workspace.for_rows(3)
    assert workspace.for_rows(3) is not workspace.for_rows(2)


def test_prediction_workspace_has_no_gradients():
    workspace = Workspace(network_of([3, 4, 2], [Tanh()]), 5)
    assert workspace.gradient is workspace.dZ is workspace.scratch is None


def test_a_stack_has_arrays_for_all_its_networks():
    network = network_of([3, 4, 2], [Tanh()], stack=(2, 3))
    workspace = Workspace(network, 7, training=True)
    assert workspace.dZ.shape == (2, 3, 7, 2)
    assert workspace.gradient.vector.shape == network.parameters.vector.shape
    assert workspace.scratch.shape == network.parameters.penalized.shape
    assert workspace.for_rows(4).dZ.shape == (2, 3, 4, 2)
    assert np.shares_memory(workspace.for_rows(4).dZ, workspace.dZ)


def test_the_gradient_of_an_embedding_less_network_is_laid_out_like_its_parameters():
    network = network_of([3, 4, 2], [Tanh()])
    workspace = Workspace(network, 7, training=True)
    for cache, layer in zip(workspace.caches[::2], network.dense, strict=True):
        assert cache.dW.shape == layer.W.shape
        assert np.shares_memory(cache.dW, workspace.gradient.vector)
        assert np.shares_memory(cache.db, workspace.gradient.vector)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_context_draws_for_each_network_from_its_own_stream(dtype):
    M = np.full((2, 2, 5, 3), 7, dtype)
    context_of(1, 2, 1, 3).draw(M)
    for index, seed in zip(np.ndindex(2, 2), (1, 2, 1, 3), strict=True):
        expected = np.random.default_rng(seed).random((5, 3), dtype)
        np.testing.assert_array_equal(M[index], expected)


def test_a_context_draws_for_the_rows_that_count():
    M = np.full((3, 5, 2), 7.0)
    context_of(1, 2, 3, counts=np.array([[5], [2], [1]])).draw(M)
    for k, n_rows in enumerate((5, 2, 1)):
        expected = np.random.default_rng(k + 1).random((n_rows, 2))
        np.testing.assert_array_equal(M[k, :n_rows], expected)
        np.testing.assert_array_equal(M[k, n_rows:], 7)


def test_dropout_is_part_of_a_training_workspace_alone():
    network = randomized(network_of([3, 8, 2], [Tanh()], [0.5]))
    assert any(isinstance(layer, Dropout) for layer in network.layers)
    streams, X = streams_of(0), np.ones((4, 3))
    Z = network.forward(X, Workspace(network, 4, streams=streams)).copy()
    np.testing.assert_array_equal(Z, network.predict(X))
    assert streams[0].bit_generator.state == np.random.default_rng(0).bit_generator.state


def test_the_memory_of_a_workspace_is_free_as_soon_as_it_is_dropped():
    network = network_of([3, 8, 2], [Tanh()])
    workspace = Workspace(network, 4)
    kept = [weakref.ref(each) for each in (workspace, workspace.for_rows(3))]
    gc.disable()
    try:
        del workspace
        assert [each() for each in kept] == [None, None]
    finally:
        gc.enable()
