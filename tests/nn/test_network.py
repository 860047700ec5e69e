"""The network: known numbers, gradients of whole networks, copies and members."""

import math
import pickle

import numpy as np
import pytest

from skscratch.nn import (
    ACTIVATIONS,
    ELU,
    GELU,
    LOSSES,
    NORMALIZATIONS,
    Architecture,
    Dropout,
    GlorotUniform,
    HeNormal,
    Identity,
    LeakyReLU,
    Mish,
    Network,
    Normal,
    Parameters,
    Periodic,
    ReLU,
    SoftmaxLogLoss,
    Tanh,
    Workspace,
)

from . import reference
from .checks import (
    column,
    duplicates,
    gradient_errors,
    mean_one_weights,
    network_of,
    numbers,
    randomized,
    streams_of,
    targets,
    value_and_gradient,
)

normalizations = pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])

# --- Numbers that any correct build reproduces ------------------------------------------------


def drawn_with_the_legacy_generator(sizes, activations):
    """Weights 0.10 * randn layer after layer from RandomState(0), biases 0."""
    network, rng = network_of(sizes, activations), np.random.RandomState(0)
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
    network = network_of([3, 2], [])
    network.dense[0].W[...] = np.array([[1, 2, 3], [2, 3, 4]]).T
    X = np.array([[1, 1, 1], [2, 2, 2]])
    np.testing.assert_array_equal(network.predict(X), [[6, 9], [12, 18]])


# --- Forward and backward ---------------------------------------------------------------------


@normalizations
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradient_of_each_activation_and_loss_with_l2_and_weights(name, loss, normalization):
    activations = [ACTIVATIONS[name](), ACTIVATIONS[name]()]
    network = randomized(network_of([3, 5, 4, 2], activations, normalization=normalization))
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
    network = randomized(network_of(sizes, activations, rates, normalization=normalization))
    assert max(gradient_errors(network, LOSSES[loss](), dropout=any(rates))) < 1e-6


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rates", [(), [0.4, 0.0], [0.4, 0.6]])
@pytest.mark.parametrize("names", [("relu", "tanh"), ("gelu", "logistic"), ("selu", "mish")])
def test_value_and_gradients_match_the_loops(names, rates, loss):
    rng = np.random.default_rng(12)
    loss = LOSSES[loss]()
    activations = [ACTIVATIONS[name]() for name in names]
    network = randomized(network_of([3, 5, 4, 2], activations, rates))
    X, Y = rng.standard_normal((6, 3)), targets(loss, rng, 6, 2)
    weights = mean_one_weights(rng, 6)
    draws = np.random.default_rng(13)
    uniforms = [draws.random((6, 5)), draws.random((6, 4))] if rates else None
    value, gradient = value_and_gradient(
        network, X, Y, weights, loss=loss, l2=0.3, mean_weight=1.7, streams=streams_of(13)
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
        rates=rates or None,
    )
    assert float(value) == pytest.approx(expected_value, rel=1e-12)
    expected = [array for dW, db in zip(dWs, dbs, strict=True) for array in (dW, [db])]
    views = Parameters(network.parameters.shapes, gradient).views
    for view, array in zip(views, expected, strict=True):
        np.testing.assert_allclose(view, array, rtol=1e-10, atol=1e-14)


@normalizations
def test_gradient_of_the_penalty_leaves_all_but_the_weights_alone(normalization):
    network = randomized(network_of([3, 4, 2], [Tanh()], normalization=normalization))
    assert network.parameters.vector.size == 26 + (0 if normalization is None else 8)
    X, Y = np.ones((5, 3)), np.ones((5, 2))
    _, free = value_and_gradient(network, X, Y)
    _, penalized = value_and_gradient(network, X, Y, l2=2.0)
    n_weights = 3 * 4 + 4 * 2
    W = network.parameters.vector[:n_weights]
    np.testing.assert_allclose((penalized - free)[:n_weights], 2.0 * W / 5, rtol=1e-12)
    np.testing.assert_array_equal(penalized[n_weights:], free[n_weights:])


@normalizations
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_of_1e4_stay_finite(name, dtype, normalization):
    network = randomized(
        network_of([3, 5, 2], [ACTIVATIONS[name]()], normalization=normalization, dtype=dtype)
    )
    X = np.array([[1e4, -1e4, 1e4], [-1e4, -1e4, 0]], dtype)
    for loss in LOSSES.values():
        if loss().out_activation == "exp":  # such logits are beyond its range
            continue
        # A kernel of OpenBLAS may raise the processor's flag for numbers beyond the arrays' ends.
        with np.errstate(invalid="ignore"):
            value, gradient = value_and_gradient(network, X, np.eye(2, dtype=dtype), loss=loss())
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


# --- Construction, initialization, copies -----------------------------------------------------


def test_sizes_must_fit_the_activations():
    with pytest.raises(ValueError, match="zip"):
        network_of([3, 4, 2], [])
    with pytest.raises(ValueError, match="zip"):
        network_of([3, 4, 2], [Tanh()], [0.1, 0.2])


def test_initialize_draws_layer_after_layer_and_sets_biases_to_0():
    network = randomized(network_of([3, 4, 2], [Tanh()]))
    network.initialize([HeNormal(), Normal(0.5)], streams_of(22))
    rng = np.random.default_rng(22)
    np.testing.assert_array_equal(network.dense[0].W, HeNormal().sample(rng, 3, 4))
    np.testing.assert_array_equal(network.dense[1].W, Normal(0.5).sample(rng, 4, 2))
    for layer in network.dense:
        np.testing.assert_array_equal(layer.b, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_initialize_gives_each_member_of_a_stack_its_own_stream(dtype):
    initializers = [GlorotUniform(), HeNormal()]
    stack = network_of([3, 4, 2], [Tanh()], stack=(2, 2), dtype=dtype)
    stack.initialize(initializers, streams_of(*range(4)))
    for seed, index in enumerate(np.ndindex(2, 2)):
        member = network_of([3, 4, 2], [Tanh()], dtype=dtype)
        member.initialize(initializers, streams_of(seed))
        np.testing.assert_array_equal(stack.parameters.vector[index], member.parameters.vector)


def test_initialize_needs_a_stream_for_each_member():
    network = network_of([3, 2], [], stack=(2,))
    with pytest.raises(ValueError, match="zip"):
        network.initialize([HeNormal()], streams_of(0))


@pytest.mark.parametrize("stack", [(), (2,)])
def test_weights_without_an_initializer_start_at_0(stack):
    network = randomized(network_of([3, 4, 2], [Tanh()], stack=stack, learned_scales=True))
    streams = streams_of(*range(math.prod(stack)))
    network.initialize([HeNormal(), None], streams)
    first, last = network.dense
    for seed, index in enumerate(np.ndindex(stack)):
        expected = HeNormal().sample(np.random.default_rng(seed), 3, 4)
        np.testing.assert_array_equal(first.W[index], expected)
    for zeros in (last.W, first.b, last.b):
        np.testing.assert_array_equal(zeros, 0)
    np.testing.assert_array_equal(first.s, 1)
    network.initialize([None, None], streams)
    np.testing.assert_array_equal(network.parameters.vector, 0)


@duplicates
@normalizations
@pytest.mark.parametrize("stack", [(), (3,)])
def test_a_duplicate_predicts_alike_and_its_layers_see_its_own_vector(
    duplicate, stack, normalization
):
    network = randomized(
        network_of([3, 5, 2], [LeakyReLU(0.3)], [0.25], normalization=normalization, stack=stack)
    )
    network.statistics.vector[...] = 0.7
    X = np.random.default_rng(23).standard_normal((6, 3))
    before = network.predict(X)
    other = duplicate(network)
    np.testing.assert_array_equal(other.predict(X), before)
    assert (other.sizes, other.stack, other.dtype) == (network.sizes, stack, network.dtype)
    assert other.architecture.activations == network.architecture.activations
    assert other.architecture.dropout == network.architecture.dropout
    assert other.architecture.normalization == normalization
    np.testing.assert_array_equal(other.statistics.vector, network.statistics.vector)
    other.parameters.vector[...] = 0
    np.testing.assert_array_equal(other.predict(X), 0)
    other.dense[-1].b[...] = 1
    np.testing.assert_array_equal(other.predict(X), 1)
    assert other.parameters.vector.sum() == 2 * np.prod(stack)
    np.testing.assert_array_equal(network.predict(X), before)


def test_a_pickle_stores_the_numbers_once():
    network = network_of([100, 100, 10], [ReLU()])
    assert len(pickle.dumps(network)) < 1.1 * network.parameters.vector.nbytes


def test_the_first_layer_is_spared_its_input_gradient():
    network = network_of([3, 4, 5, 2], [ReLU(), Tanh()])
    assert [layer.input_gradient for layer in network.dense] == [False, True, True]
    workspace = Workspace(network, 6, training=True)
    assert workspace.caches[0].dX is None


# --- Members of a stack -----------------------------------------------------------------------


def a_stack(stack=(2, 3), dtype=np.float64):
    """Make networks side by side with everything that an architecture may have."""
    settings = {
        "normalization": "batch",
        "learned_scales": True,
        "embedding": Periodic(4, 2),
        "edges": [np.array([-1.0, 1.0]), np.array([]), np.array([0.0, 1.0])],
    }
    rates = np.linspace(0.1, 0.8, math.prod(stack)).reshape(*stack, 1)
    network = network_of([3, 5, 4, 2], [Tanh(), ReLU()], [rates, 0.5], stack=stack, dtype=dtype,
                         **settings)  # fmt: skip
    network.statistics.vector[...] = np.random.default_rng(1).uniform(
        0.5, 2, network.statistics.vector.shape
    )
    return randomized(network)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_member_is_a_view_that_predicts_alike(dtype):
    stack = a_stack(dtype=dtype)
    X = np.random.default_rng(0).standard_normal((7, 3))
    together = stack.predict(X)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    for index in np.ndindex(2, 3):
        member = stack.member(index)
        assert (member.stack, member.dtype, member.sizes) == ((), dtype, (3, 5, 4, 2))
        np.testing.assert_allclose(
            member.predict(X), together[index], rtol=tolerance, atol=tolerance
        )
        for own, whole in zip(member.vectors, stack.vectors, strict=True):
            assert np.shares_memory(own, whole)
    member.dense[-1].b[...] = 7
    np.testing.assert_array_equal(stack.dense[-1].b[1, 2], 7)
    stack.layers[2].variance[1, 2] = 5
    np.testing.assert_array_equal(member.layers[2].variance, 5)
    assert (stack.dense[-1].b[0] != 7).all()


def test_a_member_has_its_own_dropout_rates():
    member = a_stack().member((1, 0))
    rates = [layer.rate for layer in member.layers if isinstance(layer, Dropout)]
    assert rates == [pytest.approx(np.linspace(0.1, 0.8, 6)[3]), 0.5]
    assert all(type(rate) is float for rate in rates)


def test_a_member_computes_the_gradient_that_the_stack_does():
    stack = a_stack()
    X, Y = np.random.default_rng(2).standard_normal((2, 6, 3))
    weights = mean_one_weights(np.random.default_rng(3), 6)
    running = stack.statistics.vector.copy()
    settings = {"l2": column(np.arange(6)).reshape(2, 3, 1)}
    values, gradients = value_and_gradient(
        stack, X, Y[:, :2], weights, streams=streams_of(*range(6)), **settings
    )
    after = stack.statistics.vector.copy()
    for seed, index in enumerate(np.ndindex(2, 3)):
        stack.statistics.vector[...] = running
        member = stack.member(index)
        value, gradient = value_and_gradient(
            member, X, Y[:, :2], weights, streams=streams_of(seed), l2=float(seed)
        )
        assert value == pytest.approx(values[index], rel=1e-12)
        np.testing.assert_allclose(gradient, gradients[index], rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(member.statistics.vector, after[index], rtol=1e-12)


@duplicates
def test_a_duplicate_of_a_member_lives_apart(duplicate):
    stack = a_stack((2,))
    other = duplicate(stack.member((1,)))
    kept = numbers(stack)
    np.testing.assert_array_equal(numbers(other), kept[1])
    for vector in other.vectors:
        vector[...] = 0
    np.testing.assert_array_equal(numbers(stack), kept)


@duplicates
def test_a_duplicate_of_a_stack_keeps_each_networks_dropout_rate(duplicate):
    other = duplicate(a_stack())
    (rates, last) = (layer.rate for layer in other.layers if isinstance(layer, Dropout))
    np.testing.assert_array_equal(rates, np.linspace(0.1, 0.8, 6).reshape(2, 3, 1))
    assert last == 0.5


@pytest.mark.parametrize("rates", [[0.0], [column([0.0, 0.0])], ()])
def test_no_layer_drops_out_at_a_rate_of_0(rates):
    layers = network_of([3, 4, 2], [Tanh()], rates, stack=(2,)).layers
    assert not any(isinstance(layer, Dropout) for layer in layers)


def test_an_architecture_makes_layers_anew_for_each_network():
    architecture = Architecture([3, 4, 2], [Tanh()], [0.5])
    first, second = Network(architecture), Network(architecture, (3,), np.float32)
    assert not set(map(id, first.layers)) & set(map(id, second.layers))
    assert first.architecture is second.architecture is architecture


def test_a_network_prints_its_layers():
    architecture = Architecture(
        [3, 4, 2], [LeakyReLU()], [0.5], "layer", embedding=Periodic(), edges=[[0, 1], [], [0, 1]]
    )
    assert repr(Network(architecture, (2,), np.float32)).splitlines() == [
        "Network(3 → 4 → 2, 218 parameters, float32, stack=(2,))",
        "  PeriodicEmbedding(3, 9)",
        "  Dense(9, 4)",
        "  LayerNorm(4)",
        "  Activate(LeakyReLU(slope=0.01), 4)",
        "  Dropout(0.5, 4)",
        "  Dense(4, 2)",
    ]
