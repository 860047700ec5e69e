import copy
import math
import pickle
import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse

from skscratch.nn import (
    ACTIVATIONS,
    ELU,
    GELU,
    LOSSES,
    NORMALIZATIONS,
    Batches,
    Dropout,
    GlorotUniform,
    HeNormal,
    Identity,
    LeakyReLU,
    Mish,
    Network,
    Normal,
    ReLU,
    SoftmaxLogLoss,
    SquaredError,
    Tanh,
    Workspace,
    loss_and_gradient,
)
from skscratch.nn.layers import ScaledDense
from skscratch.nn.network import cast

from . import reference
from .checks import directional_error, mean_one_weights, randomized, targets, training_of

duplicates = pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))],
    ids=["deepcopy", "pickle"],
)

normalizations = pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])

# --- Numbers that any correct build reproduces ----------------------------------------------


def drawn_with_the_legacy_generator(sizes, activations):
    """Weights 0.10 * randn layer after layer from RandomState(0), biases 0."""
    network, rng = Network(sizes, activations), np.random.RandomState(0)
    for layer in network.dense:
        layer.W[...] = 0.10 * rng.randn(layer.n_in, layer.n_out)
    return network


def test_two_affine_layers_give_the_known_numbers():
    network = drawn_with_the_legacy_generator([4, 5, 2], [Identity()])
    X = np.array([[1, 2, 3, 4], [2.4, 1.5, -4, 2], [6, -5.3, 4.8, 1.1]])
    first = [
        [0.15763246, 1.26394709, 0.21385037, 0.36517514, 0.06039617],
        [0.28589832, -0.0443426, -0.13325321, 0.53627507, 0.16143925],
        [1.68223377, 0.59894745, 1.01019281, 1.49208337, 1.02202141],
    ]
    second = [[0.12848393, -0.11256537], [-0.0798689, 0.0550407], [0.01507247, 0.04082539]]
    workspace = Workspace(network, 3)
    np.testing.assert_allclose(network.forward(X, workspace), second, rtol=0, atol=5.1e-9)
    np.testing.assert_allclose(workspace.caches[0].Z, first, rtol=0, atol=5.1e-9)
    np.testing.assert_allclose(network.predict(X), second, rtol=0, atol=5.1e-9)


def test_relu_and_softmax_give_the_known_probabilities_and_loss():
    network = drawn_with_the_legacy_generator([2, 3, 3], [ReLU()])
    X, Y = np.array([[1, 2], [0.5, -1.5], [-1, 2.5]]), np.eye(3)[[0, 1, 1]]
    probabilities = [
        [0.34471941, 0.31827426, 0.33700633],
        [0.33541357, 0.33124654, 0.33333988],
        [0.33876574, 0.3210686, 0.34016566],
    ]
    loss, Z = SoftmaxLogLoss(), network.predict(X)
    np.testing.assert_allclose(loss.inverse_link(Z), probabilities, rtol=0, atol=5.1e-9)
    value = loss.value_and_gradient(Z, Y, None, np.empty((3, 3)))
    assert value == pytest.approx(1.1020057676784323, rel=0, abs=5e-16)


def test_known_affine_map():
    network = Network([3, 2], [])
    network.dense[0].W[...] = np.array([[1, 2, 3], [2, 3, 4]]).T
    X = np.array([[1, 1, 1], [2, 2, 2]])
    np.testing.assert_array_equal(network.predict(X), [[6, 9], [12, 18]])


# --- Forward and backward -------------------------------------------------------------------


def value_and_gradient(network, loss, X, Y, weights=None, l2=0.0, mean_weight=1.0, streams=()):
    """Compute what a training step does before it moves the parameters."""
    training = training_of(network, loss=loss, l2=l2, mean_weight=mean_weight)
    workspace = Workspace(network, len(X), training=True, streams=streams)
    return loss_and_gradient(training, X, Y, weights, workspace), workspace.gradient


def gradient_errors(network, loss, *, dropout=False):
    """Directional errors of the whole gradient with L2 and weights, in three directions."""
    rng = np.random.default_rng(10)
    n_in, n_out = network.sizes[0], network.sizes[-1]
    X, Y = rng.standard_normal((6, n_in)), targets(loss, rng, 6, n_out)
    weights = mean_one_weights(rng, 6)
    vector = network.parameters.vector
    start = vector.copy()

    def at(point):
        vector[...] = point
        streams = [np.random.default_rng(11)] if dropout else ()
        value, gradient = value_and_gradient(network, loss, X, Y, weights, 0.3, 1.7, streams)
        return float(value), gradient.vector

    _, gradient = at(start)
    # A longer step would meet a kink of ReLU or of the absolute error now and then.
    return [
        directional_error(lambda point: at(point)[0], gradient, start, rng, step=1e-6)
        for _ in range(3)
    ]


@normalizations
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradient_of_each_activation_and_loss_with_l2_and_weights(name, loss, normalization):
    activations = [ACTIVATIONS[name](), ACTIVATIONS[name]()]
    network = randomized(Network([3, 5, 4, 2], activations, normalization=normalization))
    assert max(gradient_errors(network, LOSSES[loss]())) < 1e-6


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("sizes", "activations", "rates"),
    [
        ([4, 3], [], []),
        ([4, 2], [], []),
        ([3, 1, 2], [Tanh()], [0]),
        ([3, 5, 4, 6, 2], [LeakyReLU(0.2), Mish(), ELU(0.5)], [0, 0, 0]),
        ([3, 5, 4, 6, 2], [Tanh(), ReLU(), GELU()], [0.5, 0, 0.3]),
    ],
    ids=["no hidden", "no hidden, two outputs", "one unit", "mixed", "mixed with dropout"],
)
@normalizations
def test_gradient_of_other_architectures(sizes, activations, rates, loss, normalization):
    network = randomized(Network(sizes, activations, rates, normalization=normalization))
    assert max(gradient_errors(network, LOSSES[loss](), dropout=any(rates))) < 1e-6


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rates", [None, [0.4, 0.0], [0.4, 0.6]])
@pytest.mark.parametrize("names", [("relu", "tanh"), ("gelu", "logistic"), ("selu", "mish")])
def test_value_and_gradients_match_the_loops(names, rates, loss):
    rng = np.random.default_rng(12)
    loss = LOSSES[loss]()
    activations = [ACTIVATIONS[name]() for name in names]
    network = randomized(Network([3, 5, 4, 2], activations, rates))
    X, Y = rng.standard_normal((6, 3)), targets(loss, rng, 6, 2)
    weights = mean_one_weights(rng, 6)
    draws = np.random.default_rng(13)
    uniforms = [draws.random((6, 5)), draws.random((6, 4))] if rates else None
    value, gradient = value_and_gradient(
        network, loss, X, Y, weights, 0.3, 1.7, [np.random.default_rng(13)]
    )
    expected_value, dWs, dbs = reference.loss_and_gradients(
        [layer.W.tolist() for layer in network.dense],
        [layer.b[0].tolist() for layer in network.dense],
        activations,
        loss,
        X.tolist(),
        Y,
        weights,
        l2=0.3,
        mean_weight=1.7,
        uniforms=uniforms,
        rates=rates,
    )
    assert float(value) == pytest.approx(expected_value, rel=1e-12)
    expected = [array for dW, db in zip(dWs, dbs, strict=True) for array in (dW, [db])]
    for view, array in zip(gradient.views, expected, strict=True):
        np.testing.assert_allclose(view, array, rtol=1e-10, atol=1e-14)


@normalizations
def test_gradient_of_the_penalty_leaves_all_but_the_weights_alone(normalization):
    network = randomized(Network([3, 4, 2], [Tanh()], normalization=normalization))
    assert network.parameters.vector.size == 26 + (0 if normalization is None else 8)
    X, Y = np.ones((5, 3)), np.ones((5, 2))
    free = value_and_gradient(network, SquaredError(), X, Y)[1].vector
    penalized = value_and_gradient(network, SquaredError(), X, Y, l2=2.0)[1].vector
    n_weights = 3 * 4 + 4 * 2
    W = network.parameters.vector[:n_weights]
    np.testing.assert_allclose((penalized - free)[:n_weights], 2.0 * W / 5, rtol=1e-12)
    np.testing.assert_array_equal(penalized[n_weights:], free[n_weights:])


@normalizations
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_array_of_a_workspace_has_the_dtype_of_the_network(name, dtype, normalization):
    network = randomized(
        Network([3, 5, 2], [ACTIVATIONS[name]()], [0.5], normalization=normalization, dtype=dtype)
    )
    workspace = Workspace(network, 4, training=True, streams=[np.random.default_rng(0)])
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
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_of_1e4_stay_finite(name, dtype, normalization):
    network = randomized(
        Network([3, 5, 2], [ACTIVATIONS[name]()], normalization=normalization, dtype=dtype)
    )
    X = np.array([[1e4, -1e4, 1e4], [-1e4, -1e4, 0]], dtype)
    for loss in LOSSES.values():
        if loss().out_activation == "exp":  # such logits are beyond its range
            continue
        value, gradient = value_and_gradient(network, loss(), X, np.eye(2, dtype=dtype))
        assert np.isfinite(value)
        assert np.isfinite(gradient.vector).all()


# --- Workspaces -----------------------------------------------------------------------------


def arrays_of(workspace):
    return [array for cache in workspace.caches for array in vars(cache).values()
            if isinstance(array, np.ndarray) and array.ndim > 1]  # fmt: skip


@normalizations
def test_workspace_for_fewer_rows_shares_memory_and_gives_the_same_numbers(normalization):
    rng = np.random.default_rng(14)
    network = randomized(
        Network([3, 5, 4, 2], [GELU(), ReLU()], [0.5, 0], normalization=normalization)
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
    fresh = Workspace(network, 3, training=True, streams=[np.random.default_rng(16)])
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
    workspace = Workspace(Network([3, 2], []), 7, training=True)
    assert workspace.for_rows(7) is workspace
    assert workspace.for_rows(3) is workspace.for_rows(3)
    assert workspace.for_rows(3) is not workspace.for_rows(2)


def test_prediction_workspace_has_no_gradients():
    workspace = Workspace(Network([3, 4, 2], [Tanh()]), 5)
    assert workspace.gradient is workspace.dZ is workspace.scratch is None


# --- Prediction -----------------------------------------------------------------------------


def one_big_forward(network, X):
    return network.forward(X, Workspace(network, len(X))).copy()


def test_prediction_goes_block_by_block_and_joins_them():
    # The widest layer has 1024 units, so that a block has 128 rows, the fewest that it may have.
    network = randomized(Network([3, 1024, 2], [Tanh()]))
    for n_rows in (1, 127, 128, 129, 256, 257, 400):
        X = np.random.default_rng(17).standard_normal((n_rows, 3))
        Z = network.predict(X)
        assert Z.shape == (n_rows, 2)
        np.testing.assert_allclose(Z, one_big_forward(network, X), rtol=1e-11, atol=1e-12)


def test_prediction_of_no_rows():
    network = Network([3, 4, 2], [Tanh()])
    assert network.predict(np.empty((0, 3))).shape == (0, 2)
    labels = network.predict(np.empty((0, 3)), decode=lambda Z: Z[:, :1] > 0)
    assert labels.shape == (0, 1)
    assert labels.dtype == bool


@pytest.mark.parametrize(
    ("hidden", "fewest", "most"), [((30, 15), 1024, 3000), ((256, 256), 512, 512)]
)
def test_blocks_of_narrow_networks_are_neither_few_nor_many_rows(hidden, fewest, most):
    network = Network([20, *hidden, 1], [Tanh(), Tanh()])
    blocks = []

    def count(Z):
        blocks.append(len(Z))
        return Z

    network.predict(np.zeros((20_000, 20)), decode=count)
    assert fewest <= max(blocks) <= most
    assert sum(blocks) == 20_000


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_are_decoded_block_by_block_in_double_precision(dtype):
    network = randomized(Network([3, 1024, 5], [Tanh()], dtype=dtype, stack=(2,)))
    X = np.random.default_rng(27).standard_normal((600, 3))
    Z = network.predict(X)
    blocks = []

    def largest_three(Z):
        blocks.append((Z.shape[-2], Z.dtype))
        return np.argsort(Z, axis=-1)[..., 2:].astype(np.int32)

    classes = network.predict(X, decode=largest_three)
    assert blocks == [(128, np.float64)] * 4 + [(88, np.float64)]
    assert classes.dtype == np.int32
    np.testing.assert_array_equal(classes, np.argsort(Z, axis=-1)[..., 2:])
    taken = network.predict(X, rows=np.arange(599, -1, -1), decode=np.tanh)
    np.testing.assert_allclose(taken, np.tanh(Z[..., ::-1, :]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("decode", [None, np.tanh], ids=["logits", "decoded"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_prediction_needs_memory_for_a_block_only(dtype, decode):
    network = randomized(Network([4, 100, 3], [Tanh()], dtype=dtype))
    X = np.random.default_rng(28).standard_normal((50_000, 4))  # its hidden layer: 20 or 40 MB
    network.predict(X[:5], decode=decode)  # loads what is imported on first use
    tracemalloc.start()
    predictions = network.predict(X, decode=decode)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - predictions.nbytes < 2.5e6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["float32", "int64", "uint8", "bool", "fortran", "strided"])
def test_prediction_of_other_arrays(kind, dtype):
    network = randomized(Network([3, 8, 2], [Mish()], dtype=dtype))
    X = np.random.default_rng(18).integers(0, 5, (50, 3))
    if kind == "fortran":
        given = np.asfortranarray(X.astype(float))
    elif kind == "strided":
        given = np.repeat(np.repeat(X.astype(float), 2, axis=0), 3, axis=1)[::2, ::3]
    else:
        given = X.astype(kind)
    kept = given.copy()
    Z = network.predict(given)
    assert Z.dtype == np.float64
    np.testing.assert_allclose(Z, one_big_forward(network, kept.astype(dtype)), rtol=1e-5)
    np.testing.assert_array_equal(given, kept)


def test_values_beyond_the_dtype_of_the_network_are_refused():
    message = (
        "There are values beyond the range of float32, which ends at 3.4e+38. "
        "Scale the data, or train with dtype='float64'."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        cast(np.array([[1.0, 1e39]]), np.dtype(np.float32))
    X = np.ones((2, 3))
    assert cast(X, X.dtype) is X


def test_prediction_computes_in_the_dtype_of_the_network():
    """Bit for bit: a product of double inputs would differ, and take twice as long."""
    network = randomized(Network([30, 8, 2], [Mish()], dtype=np.float32))
    X = np.random.default_rng(26).standard_normal((50, 30))
    expected = one_big_forward(network, X.astype(np.float32))
    np.testing.assert_array_equal(network.predict(X), expected)


@pytest.mark.parametrize("kind", ["csr_array", "csr_matrix"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_prediction_of_sparse_input(kind, dtype):
    network = randomized(Network([3, 1024, 2], [ReLU()]))
    X = np.random.default_rng(19).integers(0, 3, (270, 3)).astype(dtype)
    Z = network.predict(getattr(scipy.sparse, kind)(X))
    np.testing.assert_allclose(Z, one_big_forward(network, X.astype(float)), rtol=1e-11)


@pytest.mark.parametrize("sparse", [False, True])
def test_prediction_of_some_rows(sparse):
    network = randomized(Network([3, 1024, 2], [ReLU()]))
    X = np.random.default_rng(24).standard_normal((400, 3))
    rows = np.random.default_rng(25).permutation(400)[:270]
    Z = network.predict(scipy.sparse.csr_array(X) if sparse else X, rows=rows)
    np.testing.assert_allclose(Z, one_big_forward(network, X[rows]), rtol=1e-11, atol=1e-12)
    assert network.predict(X, rows=rows[:0]).shape == (0, 2)


def test_prediction_prepares_its_inputs_block_by_block():
    network = randomized(Network([3, 1024, 2], [ReLU()]))
    X = np.random.default_rng(24).standard_normal((400, 3))
    rows = np.random.default_rng(25).permutation(400)[:270]
    sizes = []

    def prepare(block):
        sizes.append(len(block))
        return 2 * block

    expected = one_big_forward(network, 2 * X)
    np.testing.assert_allclose(network.predict(X, prepare=prepare), expected, rtol=1e-11)
    assert sum(sizes) == 400
    assert len(sizes) > 1
    Z = network.predict(X, rows=rows, prepare=prepare)
    np.testing.assert_allclose(Z, expected[rows], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("sizes", [[3, 4, 2], [3, 2]])
@pytest.mark.parametrize("duplicate", [lambda network: network, copy.deepcopy])
def test_only_sparse_inputs_are_shifted_and_only_in_the_first_layer(sizes, duplicate):
    activations = [ReLU()] * (len(sizes) - 2)
    shift = np.array([[1.0, 0.0, -2.0]])
    network = duplicate(randomized(Network(sizes, activations, shift=shift)))
    X = np.random.default_rng(27).standard_normal((5, 3))
    Z = network.predict(scipy.sparse.csr_array(X))
    np.testing.assert_allclose(Z, network.predict(X + shift), rtol=1e-12)
    assert [layer.shift is None for layer in network.dense] == [False, *[True] * len(activations)]
    single = Network(sizes, activations, shift=shift, dtype=np.float32)
    assert single.predict(scipy.sparse.csr_array(X)).dtype == np.float64
    assert single.dense[0].shift.dtype == np.float32


def test_prediction_does_without_dropout():
    rates = Network([3, 8, 2], [ReLU()], [0.5])
    none = randomized(Network([3, 8, 2], [ReLU()]))
    assert any(isinstance(layer, Dropout) for layer in rates.layers)
    X = np.random.default_rng(20).standard_normal((5, 3))
    np.testing.assert_array_equal(randomized(rates).predict(X), none.predict(X))


@normalizations
def test_concurrent_predictions_do_not_disturb_each_other(normalization):
    network = randomized(Network([20, 64, 64, 3], [GELU(), ReLU()], normalization=normalization))
    inputs = [np.random.default_rng(seed).standard_normal((3000, 20)) for seed in range(8)]
    expected = [network.predict(X) for X in inputs]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            for Z, right in zip(pool.map(network.predict, inputs), expected, strict=True):
                np.testing.assert_array_equal(Z, right)


@normalizations
def test_a_stack_predicts_like_its_members(normalization):
    stack = randomized(Network([3, 1024, 2], [Tanh()], normalization=normalization, stack=(2, 2)))
    running = stack.statistics.vector
    running[...] = np.random.default_rng(28).uniform(0.5, 2, running.shape)
    X = np.random.default_rng(21).standard_normal((300, 3))
    Z = stack.predict(X)
    assert Z.shape == (2, 2, 300, 2)
    for index in np.ndindex(2, 2):
        member = Network([3, 1024, 2], [Tanh()], normalization=normalization)
        member.restore((stack.parameters.vector[index], running[index]))
        np.testing.assert_allclose(Z[index], member.predict(X), rtol=1e-11, atol=1e-12)


# --- Construction, initialization, copies ---------------------------------------------------


def test_sizes_must_fit_the_activations():
    with pytest.raises(ValueError, match="zip"):
        Network([3, 4, 2], [])
    with pytest.raises(ValueError, match="zip"):
        Network([3, 4, 2], [Tanh()], [0.1, 0.2])


def test_initialize_draws_layer_after_layer_and_sets_biases_to_0():
    network = randomized(Network([3, 4, 2], [Tanh()]))
    network.initialize([HeNormal(), Normal(0.5)], [np.random.default_rng(22)])
    rng = np.random.default_rng(22)
    np.testing.assert_array_equal(network.dense[0].W, HeNormal().sample(rng, 3, 4))
    np.testing.assert_array_equal(network.dense[1].W, Normal(0.5).sample(rng, 4, 2))
    for layer in network.dense:
        np.testing.assert_array_equal(layer.b, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_initialize_gives_each_member_of_a_stack_its_own_stream(dtype):
    initializers = [GlorotUniform(), HeNormal()]
    stack = Network([3, 4, 2], [Tanh()], stack=(2, 2), dtype=dtype)
    stack.initialize(initializers, [np.random.default_rng(seed) for seed in range(4)])
    for seed, index in enumerate(np.ndindex(2, 2)):
        member = Network([3, 4, 2], [Tanh()], dtype=dtype)
        member.initialize(initializers, [np.random.default_rng(seed)])
        np.testing.assert_array_equal(stack.parameters.vector[index], member.parameters.vector)


def test_initialize_needs_a_stream_for_each_member():
    network = Network([3, 2], [], stack=(2,))
    with pytest.raises(ValueError, match="zip"):
        network.initialize([HeNormal()], [np.random.default_rng(0)])


@pytest.mark.parametrize("stack", [(), (2,)])
def test_weights_without_an_initializer_start_at_0(stack):
    network = randomized(Network([3, 4, 2], [Tanh()], stack=stack, learned_scales=True))
    streams = [np.random.default_rng(seed) for seed in range(math.prod(stack))]
    network.initialize([HeNormal(), None], streams)
    first, last = network.dense
    for seed, index in enumerate(np.ndindex(stack)):
        expected = HeNormal().sample(np.random.default_rng(seed), 3, 4)
        np.testing.assert_array_equal(first.W[index], expected)
    for zeros in (last.W, first.b, last.b):
        np.testing.assert_array_equal(zeros, 0)
    np.testing.assert_array_equal(first.s, 1)
    network.initialize([None, None], streams)
    np.testing.assert_array_equal(network.parameters.vector.sum(axis=-1), 3)  # the scales


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hidden_biases_are_drawn_with_the_standard_deviation_asked_for(dtype):
    network = randomized(Network([3, 4000, 4000, 50], [Tanh(), Tanh()], dtype=dtype))
    network.initialize([None] * 3, [np.random.default_rng(5)], bias_std=0.7)
    for layer in network.dense[:-1]:
        # Five standard errors of 4000 draws.
        assert abs(layer.b.mean()) < 5 * 0.7 / np.sqrt(4000)
        assert layer.b.std() == pytest.approx(0.7, rel=5 / np.sqrt(2 * 4000))
    assert not np.array_equal(network.dense[0].b, network.dense[1].b)
    np.testing.assert_array_equal(network.dense[-1].b, 0)


def test_biases_are_drawn_after_the_weights_of_their_layer_and_alike_from_the_same_stream():
    initializers = [HeNormal(), GlorotUniform(), HeNormal()]
    stack = Network([3, 4, 5, 2], [Tanh(), Tanh()], stack=(3,))
    stack.initialize(initializers, [np.random.default_rng(seed) for seed in (7, 8, 7)], 0.3)
    np.testing.assert_array_equal(stack.parameters.vector[0], stack.parameters.vector[2])
    for member, seed in enumerate((7, 8)):
        rng = np.random.default_rng(seed)
        for layer, initializer in zip(stack.dense, initializers, strict=True):
            W = initializer.sample(rng, layer.n_in, layer.n_out)
            np.testing.assert_array_equal(layer.W[member], W)
            if layer is not stack.dense[-1]:
                b = 0.3 * rng.standard_normal((1, layer.n_out))
                np.testing.assert_array_equal(layer.b[member], b)


@duplicates
@normalizations
@pytest.mark.parametrize("stack", [(), (3,)])
def test_a_duplicate_predicts_alike_and_its_layers_see_its_own_vector(
    duplicate, stack, normalization
):
    network = randomized(
        Network([3, 5, 2], [LeakyReLU(0.3)], [0.25], normalization=normalization, stack=stack)
    )
    network.statistics.vector[...] = 0.7
    X = np.random.default_rng(23).standard_normal((6, 3))
    before = network.predict(X)
    other = duplicate(network)
    np.testing.assert_array_equal(other.predict(X), before)
    assert (other.sizes, other.stack, other.dtype) == (network.sizes, stack, network.dtype)
    assert other.activations == network.activations
    assert other.dropout == network.dropout
    assert other.normalization == normalization
    np.testing.assert_array_equal(other.statistics.vector, network.statistics.vector)
    other.parameters.vector[...] = 0
    np.testing.assert_array_equal(other.predict(X), 0)
    other.dense[-1].b[...] = 1
    np.testing.assert_array_equal(other.predict(X), 1)
    assert other.parameters.vector.sum() == 2 * np.prod(stack)
    np.testing.assert_array_equal(network.predict(X), before)


def test_a_pickle_stores_the_numbers_once():
    network = Network([100, 100, 10], [ReLU()])
    assert len(pickle.dumps(network)) < 1.1 * network.parameters.vector.nbytes


def test_the_first_layer_is_spared_its_input_gradient():
    network = Network([3, 4, 5, 2], [ReLU(), Tanh()])
    assert [layer.input_gradient for layer in network.dense] == [False, True, True]
    workspace = Workspace(network, 6, training=True)
    assert workspace.caches[0].dX is None


# --- Normalization --------------------------------------------------------------------------

of_each_kind = pytest.mark.parametrize("normalization", NORMALIZATIONS)


@of_each_kind
def test_normalization_stands_between_each_hidden_affine_map_and_its_activation(normalization):
    network = Network([3, 4, 5, 2], [ReLU(), Tanh()], [0.5, 0], normalization=normalization)
    hidden = ["Dense", NORMALIZATIONS[normalization].__name__, "Activate"]
    names = [type(layer).__name__ for layer in network.layers]
    assert names == [*hidden, "Dropout", *hidden, "Dense"]
    assert [layer.n_units for layer in network.layers[1::4]] == [4, 5]


@of_each_kind
def test_scale_starts_at_1_shift_and_means_at_0_variances_at_1_and_again_at_initialize(
    normalization,
):
    network = Network([3, 4, 5, 2], [ReLU(), Tanh()], normalization=normalization)
    initializers = [HeNormal()] * 3
    for step in range(3):
        if step == 1:
            network.initialize(initializers, [np.random.default_rng(0)])
        if step == 2:
            randomized(network).statistics.vector[...] = 9
            network.initialize(initializers, [np.random.default_rng(0)])
        layers = [layer for layer in network.layers if hasattr(layer, "gamma")]
        assert len(layers) == 2
        for layer in layers:
            np.testing.assert_array_equal(layer.gamma, 1)
            np.testing.assert_array_equal(layer.beta, 0)
            if normalization == "batch":
                np.testing.assert_array_equal(layer.mean, 0)
                np.testing.assert_array_equal(layer.variance, 1)
        assert network.statistics.vector.size == (18 if normalization == "batch" else 0)


def hidden_in_loops(network, A, normalize):
    """Return the logits in loops, given what to do after the i-th hidden affine map."""
    for i, (layer, activation) in enumerate(zip(network.dense, network.activations, strict=False)):
        f, _ = reference.activation(activation)
        Z = reference.dense(A, layer.W.tolist(), layer.b[0].tolist())
        A = reference.elementwise(f, normalize(i, Z))
    return reference.dense(A, network.dense[-1].W.tolist(), network.dense[-1].b[0].tolist())


@pytest.mark.parametrize("weighted", [False, True])
@of_each_kind
def test_logits_and_running_averages_match_the_loops_over_several_batches(normalization, weighted):
    rng = np.random.default_rng(29)
    network = randomized(
        Network([3, 5, 4, 2], [Tanh(), GELU()], normalization=normalization), scale=1.0
    )
    X, Y = rng.standard_normal((11, 3)), np.zeros((11, 2))
    weights = mean_one_weights(rng, 11) if weighted else None
    training = training_of(network)
    layers = [layer for layer in network.layers if hasattr(layer, "gamma")]
    running = [([0.0] * n, [1.0] * n) for n in (5, 4)]
    workspace = Workspace(network, 4, training=True)

    def in_training(i, Z):
        gamma, beta = layers[i].gamma[0], layers[i].beta[0]
        if normalization == "layer":
            return reference.layer_norm(Z, gamma, beta)
        output, *current = reference.batch_norm(Z, gamma, beta, w)
        running[i] = tuple(map(reference.moved, running[i], current))
        return output

    def in_prediction(i, Z):
        gamma, beta = layers[i].gamma[0], layers[i].beta[0]
        if normalization == "layer":
            return reference.layer_norm(Z, gamma, beta)
        return reference.batch_norm_prediction(Z, gamma, beta, *running[i])

    for x, y, w in Batches(X, Y, weights, batch_size=4):
        expected = hidden_in_loops(network, x.tolist(), in_training)
        value = loss_and_gradient(training, x, y, w, workspace.for_rows(len(x)))
        squares = [sum(z**2 for z in row) / 4 for row in expected]
        shares = [1] * len(x) if w is None else w
        assert float(value) == pytest.approx(np.dot(shares, squares) / len(x), rel=1e-11)
    expected = hidden_in_loops(network, X.tolist(), in_prediction)
    np.testing.assert_allclose(network.predict(X), expected, rtol=1e-10)
    if normalization == "batch":
        for layer, (mean, variance) in zip(layers, running, strict=True):
            np.testing.assert_allclose(layer.mean[0], mean, rtol=1e-11)
            np.testing.assert_allclose(layer.variance[0], variance, rtol=1e-11)


def test_weight_2_equals_a_row_given_twice_in_value_gradient_and_running_averages():
    rng = np.random.default_rng(30)
    X, Y = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    counts = np.array([2, 1, 0, 3, 1, 1])
    results = []
    for rows, weights in (
        (np.arange(6), counts / counts.mean()),
        (np.repeat(np.arange(6), counts), None),
    ):
        network = randomized(Network([3, 5, 2], [Tanh()], normalization="batch"))
        # Without weights the mean weight is 1; the penalty is divided by 8 either way.
        mean_weight = 1.0 if weights is None else counts.mean()
        value, gradient = value_and_gradient(
            network, SquaredError(), X[rows], Y[rows], weights, 0.3, mean_weight
        )
        results.append((float(value), gradient.vector, network.statistics.vector))
    for weighted, repeated in zip(*results, strict=True):
        np.testing.assert_allclose(weighted, repeated, rtol=1e-11, atol=1e-14)


@of_each_kind
def test_prediction_of_a_row_does_not_depend_on_the_other_rows(normalization):
    network = randomized(Network([3, 5, 4, 2], [ReLU(), Tanh()], normalization=normalization))
    X = np.random.default_rng(31).standard_normal((20, 3))
    together, statistics = network.predict(X), network.statistics.vector.copy()
    alone = [network.predict(X[i : i + 1])[0] for i in range(20)]
    np.testing.assert_allclose(alone, together, rtol=1e-11, atol=1e-13)
    np.testing.assert_array_equal(network.statistics.vector, statistics)


@of_each_kind
def test_a_snapshot_is_a_copy_and_restoring_it_brings_everything_back(normalization):
    network = randomized(Network([3, 5, 2], [Tanh()], normalization=normalization))
    X = np.random.default_rng(32).standard_normal((6, 3))
    before, snapshot = network.predict(X), network.snapshot()
    vector, running = network.parameters.vector, network.statistics.vector
    training_of(network).run(Batches(X, X[:, :2]), 3)
    assert not np.allclose(network.predict(X), before)
    network.restore(snapshot)
    np.testing.assert_array_equal(network.predict(X), before)
    # Copied into, never rebound: the layers keep their views.
    assert network.parameters.vector is vector
    assert network.statistics.vector is running
    if normalization == "batch":
        assert np.shares_memory(network.layers[1].variance, running)


@of_each_kind
def test_a_snapshot_of_another_network_is_refused(normalization):
    other = Network([3, 4, 2], [Tanh()], normalization=normalization)
    with pytest.raises(ValueError, match="broadcast"):
        Network([3, 5, 2], [Tanh()], normalization=normalization).restore(other.snapshot())


# --- Learned scales and layer-wise rates ----------------------------------------------------

FLAGS = {"learned_scales": True, "layerwise_rates": True}


@pytest.mark.parametrize("sizes", [[7, 2], [7, 4, 2], [7, 4, 5, 2]])
def test_only_the_first_layer_learns_scales_and_rates_go_by_the_inputs(sizes):
    activations = [Tanh()] * (len(sizes) - 2)
    for scales in (False, True):
        for layerwise in (False, True):
            network = Network(sizes, activations, learned_scales=scales, layerwise_rates=layerwise)
            is_scaled = [isinstance(layer, ScaledDense) for layer in network.dense]
            assert is_scaled == [scales] + [False] * len(activations)
            assert not network.dense[0].input_gradient
            rates = network.parameters.rates()
            if not (scales or layerwise):
                assert rates is None
                continue
            laid_out = network.parameters.like()
            laid_out.vector[...] = rates
            for layer, views in zip(network.layers, network.per_layer(laid_out), strict=True):
                if views:
                    factor = math.sqrt(100 / layer.n_in) if layerwise else 1
                    np.testing.assert_allclose(views[0], factor, rtol=1e-15)
                    np.testing.assert_array_equal(views[1], 1)
                if len(views) == 3:
                    np.testing.assert_array_equal(views[2], 60)
            # Scales are no weights: the penalty spares them.
            n_weights = sum(layer.W.size for layer in network.dense)
            assert network.parameters.penalized.size == n_weights


@normalizations
def test_rates_with_normalization_are_1_but_for_weights_and_scales(normalization):
    network = Network([25, 4, 2], [Tanh()], normalization=normalization, **FLAGS)
    rates, counts = np.unique(network.parameters.rates(), return_counts=True)
    np.testing.assert_allclose(rates, [1, 2, 5, 60])
    assert counts.tolist() == [6 + (0 if normalization is None else 8), 100, 8, 25]


@pytest.mark.parametrize(
    ("stack", "form"), [((), np.asarray), ((2,), np.asarray), ((), scipy.sparse.csr_array)]
)
def test_scaling_the_features_is_scaling_the_rows_of_the_first_weights(stack, form):
    shift = np.array([[1.0, 0.0, -2.0]])
    settings = {"normalization": "layer", "stack": stack, "shift": shift}
    scaled = randomized(Network([3, 5, 2], [GELU()], learned_scales=True, **settings))
    plain = Network([3, 5, 2], [GELU()], **settings)
    first, *rest = scaled.per_layer(scaled.parameters)
    views = [[first[0] * first[2], first[1]], *rest]
    for own, other in zip(plain.per_layer(plain.parameters), views, strict=True):
        for view, values in zip(own, other, strict=True):
            view[...] = values
    np.testing.assert_array_equal(plain.dense[0].coefficients, scaled.dense[0].coefficients)
    X = form(np.random.default_rng(50).standard_normal((6, 3)))
    np.testing.assert_allclose(scaled.predict(X), plain.predict(X), rtol=1e-12)


@normalizations
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("sizes", [[3, 2], [3, 5, 4, 2]])
def test_gradient_of_a_network_with_learned_scales(sizes, loss, normalization):
    activations = [Tanh(), GELU()][: len(sizes) - 2]
    network = randomized(Network(sizes, activations, normalization=normalization, **FLAGS))
    assert max(gradient_errors(network, LOSSES[loss]())) < 1e-6


def test_the_rates_do_not_change_the_gradient():
    X, Y = np.random.default_rng(51).standard_normal((2, 6, 3))
    gradients = [
        value_and_gradient(
            randomized(Network([3, 5, 3], [Tanh()], learned_scales=True, layerwise_rates=on)),
            SquaredError(), X, Y, l2=0.3,
        )[1].vector
        for on in (False, True)
    ]  # fmt: skip
    np.testing.assert_array_equal(*gradients)


def test_workspace_for_fewer_rows_of_a_network_with_learned_scales():
    rng = np.random.default_rng(52)
    network = randomized(Network([3, 5, 2], [Tanh()], **FLAGS))
    X, Y = rng.standard_normal((7, 3)), rng.standard_normal((7, 2))
    training = training_of(network)
    full = Workspace(network, 7, training=True)
    loss_and_gradient(training, X, Y, None, full)  # leaves other numbers behind
    loss_and_gradient(training, X[:3], Y[:3], None, full.for_rows(3))
    fresh = Workspace(network, 3, training=True)
    loss_and_gradient(training, X[:3], Y[:3], None, fresh)
    np.testing.assert_allclose(full.gradient.vector, fresh.gradient.vector, rtol=1e-12)


@duplicates
@pytest.mark.parametrize("stack", [(), (3,)])
@pytest.mark.parametrize("flags", [FLAGS, {"learned_scales": True}, {"layerwise_rates": True}])
def test_a_duplicate_keeps_scales_and_rates(duplicate, stack, flags):
    network = randomized(Network([3, 5, 2], [Tanh()], stack=stack, **flags))
    X = np.random.default_rng(53).standard_normal((6, 3))
    before = network.predict(X)
    other = duplicate(network)
    for name in FLAGS:
        assert getattr(other, name) is getattr(network, name) is flags.get(name, False)
    assert [type(layer) for layer in other.layers] == [type(layer) for layer in network.layers]
    np.testing.assert_array_equal(other.parameters.rates(), network.parameters.rates())
    np.testing.assert_array_equal(other.predict(X), before)
    if "learned_scales" in flags:
        assert np.shares_memory(other.dense[0].s, other.parameters.vector)
        other.dense[0].s[...] = 0  # the features no longer count
        np.testing.assert_array_equal(np.ptp(other.predict(X), axis=-2), 0)
    other.parameters.vector[...] = 0
    np.testing.assert_array_equal(other.predict(X), 0)
    np.testing.assert_array_equal(network.predict(X), before)


def test_concurrent_predictions_with_learned_scales_do_not_disturb_each_other():
    network = randomized(Network([20, 64, 3], [ReLU()], **FLAGS))
    inputs = [np.random.default_rng(seed).standard_normal((3000, 20)) for seed in range(8)]
    expected = [network.predict(X) for X in inputs]
    with ThreadPoolExecutor(8) as pool:
        for Z, right in zip(pool.map(network.predict, inputs), expected, strict=True):
            np.testing.assert_array_equal(Z, right)
