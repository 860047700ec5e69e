"""Batch and layer normalization: the layers by themselves, and in networks."""

import numpy as np
import pytest

from skscratch.nn import (
    GELU,
    NORMALIZATIONS,
    Adam,
    Batches,
    BatchNorm,
    HeNormal,
    LayerNorm,
    Patience,
    Progress,
    ReLU,
    SoftmaxLogLoss,
    Tanh,
    fit,
    loss_and_gradient,
)

from . import reference
from .checks import (
    Float32Only,
    context_of,
    directional_error,
    learner_of,
    mean_one_weights,
    network_of,
    numbers,
    problem,
    randomized,
    room_for,
    small_network,
    streams_of,
    value_and_gradient,
)

normalizations = pytest.mark.parametrize("name", NORMALIZATIONS)
of_each_kind = pytest.mark.parametrize("normalization", NORMALIZATIONS)
STACKS = pytest.mark.parametrize("stack", [(), (3,)])
N_UNITS = 4

# --- The layers -------------------------------------------------------------------------------


def a_normalization(name, rng, stack=(), dtype=np.float64):
    """Make a layer with random parameters and running averages; return these three."""
    layer = NORMALIZATIONS[name](N_UNITS)
    parameters = [
        rng.standard_normal((*stack, shape.rows, shape.columns)).astype(dtype)
        for shape in layer.shapes()
    ]
    statistics = [
        rng.uniform(0.5, 2, (*stack, shape.rows, shape.columns)).astype(dtype)
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
    "mostly zero": lambda rng: np.array([[0], [3.0], [0], [0], [2.0], [1.0]]),
    "all zero": lambda rng: np.zeros((6, 1)),
    "each output": lambda rng: mean_one_weights(rng, 6) * [0.5, 3.0, 1.0],
}
weightings = pytest.mark.parametrize("weighting", WEIGHTS)


@normalizations
def test_a_normalization_asks_for_free_scale_and_shift_and_resets_to_1_and_0(name):
    layer, (gamma, beta), statistics = a_normalization(name, np.random.default_rng(20))
    assert layer.shapes() == [(1, N_UNITS, False)] * 2
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
    row_weights = None if weights is None else weights.mean(axis=1, keepdims=True)
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


@weightings
def test_batch_norm_of_a_stack_takes_each_networks_own_weights(weighting):
    """Rows of weight 0 are how networks of fewer rows than others fill their last batch."""
    rng = np.random.default_rng(30)
    stacked, parameters, statistics = a_normalization("batch", rng, (3,))
    X, dY = some_rows(rng, (3,)), rng.standard_normal((3, 6, N_UNITS))
    weights = None
    if weighting != "unweighted":
        weights = np.stack([WEIGHTS[weighting](rng) for _ in range(3)])
        weights[1] = weights[1, ::-1]
    starts = [array.copy() for array in statistics]
    gradients = gradients_like(parameters)
    cache = stacked.prepare(room_for((3,), 6), gradients, context_of(weights=weights))
    Y = stacked.forward(X.copy(), cache).copy()
    dX = stacked.backward(dY.copy(), cache)
    for k in range(3):
        alone, own_statistics = BatchNorm(N_UNITS), [array[k] for array in starts]
        alone.bind([array[k] for array in parameters], own_statistics)
        own_gradients = [np.empty((1, N_UNITS)) for _ in range(2)]
        context = context_of(weights=None if weights is None else weights[k])
        cache = alone.prepare(room_for(n_rows=6), own_gradients, context)
        np.testing.assert_allclose(alone.forward(X[k].copy(), cache), Y[k], rtol=1e-9)
        own = alone.backward(dY[k].copy(), cache)
        np.testing.assert_allclose(own, dX[k], rtol=1e-9, atol=1e-12)
        for ours, its in zip((*gradients, *statistics), (*own_gradients, *own_statistics),
                             strict=True):  # fmt: skip
            np.testing.assert_allclose(ours[k], its, rtol=1e-10, atol=1e-12)


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


# --- In a network -----------------------------------------------------------------------------


@of_each_kind
def test_normalization_stands_between_each_hidden_affine_map_and_its_activation(normalization):
    network = network_of([3, 4, 5, 2], [ReLU(), Tanh()], [0.5, 0], normalization=normalization)
    hidden = ["Dense", NORMALIZATIONS[normalization].__name__, "Activate"]
    names = [type(layer).__name__ for layer in network.layers]
    assert names == [*hidden, "Dropout", *hidden, "Dense"]
    assert [layer.n_units for layer in network.layers[1::4]] == [4, 5]


@of_each_kind
def test_scale_starts_at_1_shift_and_means_at_0_variances_at_1_and_again_at_initialize(
    normalization,
):
    network = network_of([3, 4, 5, 2], [ReLU(), Tanh()], normalization=normalization)
    initializers = [HeNormal()] * 3
    for step in range(3):
        if step == 1:
            network.initialize(initializers, streams_of(0))
        if step == 2:
            randomized(network).statistics.vector[...] = 9
            network.initialize(initializers, streams_of(0))
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
    for i, (layer, activation) in enumerate(
        zip(network.dense, network.architecture.activations, strict=False)
    ):
        f, _ = reference.activation(activation)
        Z = reference.dense(A, layer.W.tolist(), layer.b[0].tolist())
        A = reference.elementwise(f, normalize(i, Z))
    return reference.dense(A, network.dense[-1].W.tolist(), network.dense[-1].b[0].tolist())


@pytest.mark.parametrize("weighted", [False, True])
@of_each_kind
def test_logits_and_running_averages_match_the_loops_over_several_batches(normalization, weighted):
    rng = np.random.default_rng(29)
    network = randomized(
        network_of([3, 5, 4, 2], [Tanh(), GELU()], normalization=normalization), scale=1.0
    )
    X, Y = rng.standard_normal((11, 3)), np.zeros((11, 2))
    weights = mean_one_weights(rng, 11) if weighted else None
    learner = learner_of(network)
    layers = [layer for layer in network.layers if hasattr(layer, "gamma")]
    running = [([0.0] * n, [1.0] * n) for n in (5, 4)]
    workspace = learner.workspace(4)

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

    for batch in Batches(X, Y, weights, batch_size=4):
        w, n_rows = batch.weights, batch.n_rows
        expected = hidden_in_loops(network, batch.X.tolist(), in_training)
        value = loss_and_gradient(learner, batch, workspace.for_rows(n_rows))
        squares = [sum(z**2 for z in row) / 4 for row in expected]
        shares = np.ones(n_rows) if w is None else w[:, 0]
        assert float(value) == pytest.approx(np.dot(shares, squares) / n_rows, rel=1e-11)
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
        (np.arange(6), counts[:, np.newaxis] / counts.mean()),
        (np.repeat(np.arange(6), counts), None),
    ):
        network = randomized(network_of([3, 5, 2], [Tanh()], normalization="batch"))
        # Without weights the mean weight is 1; the penalty is divided by 8 either way.
        mean_weight = 1.0 if weights is None else counts.mean()
        value, gradient = value_and_gradient(
            network, X[rows], Y[rows], weights, l2=0.3, mean_weight=mean_weight
        )
        results.append((float(value), gradient, network.statistics.vector))
    for weighted, repeated in zip(*results, strict=True):
        np.testing.assert_allclose(weighted, repeated, rtol=1e-11, atol=1e-14)


@of_each_kind
def test_prediction_of_a_row_does_not_depend_on_the_other_rows(normalization):
    network = randomized(network_of([3, 5, 4, 2], [ReLU(), Tanh()], normalization=normalization))
    X = np.random.default_rng(31).standard_normal((20, 3))
    together, statistics = network.predict(X), network.statistics.vector.copy()
    alone = [network.predict(X[i : i + 1])[0] for i in range(20)]
    np.testing.assert_allclose(alone, together, rtol=1e-11, atol=1e-13)
    np.testing.assert_array_equal(network.statistics.vector, statistics)


@of_each_kind
def test_a_snapshot_is_a_copy_and_restoring_it_brings_everything_back(normalization):
    network = randomized(network_of([3, 5, 2], [Tanh()], normalization=normalization))
    X = np.random.default_rng(32).standard_normal((6, 3))
    before, snapshot = network.predict(X), network.snapshot()
    vector, running = network.parameters.vector, network.statistics.vector
    fit(learner_of(network), Batches(X, X[:, :2]), 3)
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
    other = network_of([3, 4, 2], [Tanh()], normalization=normalization)
    with pytest.raises(ValueError, match="broadcast"):
        network_of([3, 5, 2], [Tanh()], normalization=normalization).restore(other.snapshot())


@of_each_kind
@pytest.mark.parametrize("n_rows", [1, 2])
def test_training_on_a_row_or_two_stays_finite(normalization, n_rows):
    X, Y = np.array([[1.0, 2, 3], [4, -1, 0]])[:n_rows], np.ones((n_rows, 2))
    network = small_network(normalization=normalization)
    learner = learner_of(network, optimizer=Adam(), l2=0.1)
    progress = fit(learner, Batches(X, Y, batch_size=1, join_single=True), 30)
    assert np.isfinite(numbers(network)).all()
    assert np.isfinite(network.predict(X)).all()
    assert np.isfinite(progress.history["gradient_norm"]).all()


def test_the_best_epochs_running_averages_are_restored_with_its_parameters():
    X, Y, _ = problem()
    network, snapshots = small_network(normalization="batch"), []

    def validate(network):
        snapshots.append(network.snapshot())
        return 0.5, [0.1, 0.9, 0.3, 0.2][len(snapshots) - 1]

    progress = Progress(patience=Patience(0.0, 10), watches="validation_score")
    fit(learner_of(network), Batches(X, Y, batch_size=4), 4, progress, validate=validate)
    for restored, best, last in zip(network.snapshot(), snapshots[1], snapshots[3], strict=True):
        np.testing.assert_array_equal(restored, best)
        assert not np.array_equal(best, last)


def test_batch_norm_trains_on_repeated_rows_as_on_weighted_ones():
    X, Y, _ = problem(n_rows=9)
    counts = np.array([1, 2, 0, 3, 1, 1, 2, 1, 1])
    ends = []
    for rows, weights in (
        (np.arange(9), counts[:, np.newaxis] / counts.mean()),
        (np.repeat(np.arange(9), counts), None),
    ):
        network = small_network(normalization="batch")
        mean_weight = 1.0 if weights is None else counts.mean()
        learner = learner_of(network, l2=0.3, mean_weight=mean_weight)
        fit(learner, Batches(X[rows], Y[rows], weights), 20)
        ends.append(numbers(network))
    np.testing.assert_allclose(*ends, rtol=1e-9, atol=1e-12)


@of_each_kind
def test_normalized_network_learns_where_features_differ_in_scale(normalization):
    """What it is for: a rate that plain networks cannot bear, on inputs nobody scaled."""
    rng = np.random.default_rng(33)
    X = rng.standard_normal((200, 3)) * 50 + 200
    Y = np.eye(2)[(X[:, 0] > X[:, 1]).astype(int)]
    accuracies = {}
    for kind in (None, normalization):
        network = network_of([3, 16, 2], [ReLU()], normalization=kind)
        network.initialize([HeNormal()] * 2, streams_of(0))
        learner = learner_of(network, loss=SoftmaxLogLoss())
        fit(learner, Batches(X, Y, batch_size=20, streams=streams_of(1)), 30)
        right = network.predict(X).argmax(axis=1) == Y.argmax(axis=1)
        accuracies[kind] = np.mean(right)
    assert accuracies[normalization] > 0.9
    assert accuracies[None] < accuracies[normalization] - 0.1
