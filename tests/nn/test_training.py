import contextlib
import copy
import math
import pickle
import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skscratch.nn import (
    ACTIVATIONS,
    LOSSES,
    NORMALIZATIONS,
    OPTIMIZERS,
    SCHEDULES,
    SGD,
    Activation,
    Adam,
    AdamW,
    Adaptive,
    Batches,
    Clock,
    Constant,
    Cosine,
    DivergenceError,
    GlorotUniform,
    HeNormal,
    LeakyReLU,
    LogisticLogLoss,
    Network,
    Optimizer,
    Patience,
    Periodic,
    ReLU,
    Schedule,
    SoftmaxLogLoss,
    SquaredError,
    StepDecay,
    Tanh,
    Workspace,
    lookup,
    loss_and_gradient,
    train_step,
)
from skscratch.nn.blocks import BLOCK
from skscratch.nn.training import HISTORY

from . import reference
from .checks import mean_one_weights, randomized, targets, training_of, with_numpy_scalars

optimizers = pytest.mark.parametrize("optimizer", OPTIMIZERS)
normalizations = pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])


def problem(loss=None, n_rows=11, n_in=3, n_outputs=2, seed=0):
    """Draw inputs, targets and weights with mean 1."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, n_in))
    return X, targets(loss or SquaredError(), rng, n_rows, n_outputs), mean_one_weights(rng, n_rows)


def small_network(**settings):
    return randomized(Network([3, 4, 2], [Tanh()], **settings))


# --- The step -------------------------------------------------------------------------------


@optimizers
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("block", [BLOCK, 8])
def test_mini_batch_training_matches_the_loops(optimizer, loss, block, monkeypatch):
    """Every number of it: batches in order, weights, L2 or decay, losses, rates, moments."""
    for module in ("blocks", "optimizers", "network"):
        monkeypatch.setattr(f"skscratch.nn.{module}.BLOCK", block)
    loss, optimizer = LOSSES[loss](), OPTIMIZERS[optimizer]()
    X, Y, weights = problem(loss, n_rows=7)
    network = small_network()
    Ws = [layer.W.tolist() for layer in network.dense]
    bs = [layer.b[0].tolist() for layer in network.dense]
    l2, mean_weight, epochs, schedule = 0.2, 1.5, 4, Cosine()
    training = training_of(
        network, loss=loss, optimizer=optimizer, schedule=schedule, learning_rate=0.05, l2=l2,
        mean_weight=mean_weight, clock=Clock(horizon=epochs),
    )  # fmt: skip
    training.run(Batches(X, Y, weights, batch_size=3), epochs)

    W_moves = [[[reference.optimizer(optimizer) for _ in row] for row in W] for W in Ws]
    b_moves = [[reference.optimizer(optimizer) for _ in b] for b in bs]
    decoupled = optimizer.decoupled_decay
    for epoch in range(epochs):
        lr = reference.rate(schedule, 0.05, Clock(epoch=epoch, horizon=epochs))
        losses, norms = [], []
        for start in range(0, 7, 3):
            rows = slice(start, start + 3)
            value, dWs, dbs = reference.loss_and_gradients(
                Ws, bs, network.activations, loss, X[rows].tolist(), Y[rows], weights[rows],
                l2=0.0 if decoupled else l2, mean_weight=mean_weight,
            )  # fmt: skip
            losses.append(value * len(X[rows]))
            squares = [g**2 for dW in dWs for row in dW for g in row]
            norms.append(math.sqrt(sum(squares) + sum(g**2 for db in dbs for g in db)))
            for W, dW, moves in zip(Ws, dWs, W_moves, strict=True):
                for j in range(len(W)):
                    for k in range(len(W[j])):
                        W[j][k] -= lr * l2 * W[j][k] if decoupled else 0
                        W[j][k] += moves[j][k](dW[j][k], lr)
            for b, db, moves in zip(bs, dbs, b_moves, strict=True):
                for k in range(len(b)):
                    b[k] += moves[k](db[k], lr)
        history = {name: column[epoch] for name, column in training.history.items()}
        assert history["loss"] == pytest.approx(sum(losses) / 7, rel=1e-9)
        assert history["gradient_norm"] == pytest.approx(np.mean(norms), rel=1e-8)
        assert history["learning_rate"] == pytest.approx(lr, rel=1e-12)
    for layer, W, b in zip(network.dense, Ws, bs, strict=True):
        np.testing.assert_allclose(layer.W, W, rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(layer.b[0], b, rtol=1e-8, atol=1e-12)


@optimizers
def test_step_returns_the_loss_before_the_move_and_goes_downhill(optimizer):
    X, Y, weights = problem()
    training = training_of(
        small_network(), optimizer=OPTIMIZERS[optimizer](), learning_rate=1e-3, l2=0.1
    )
    workspace = Workspace(training.network, len(X), training=True)
    before = loss_and_gradient(training, X, Y, weights, workspace)
    length = math.sqrt(math.fsum(workspace.gradient.vector**2))
    value, norm = train_step(training, X, Y, weights, workspace)
    assert value == before
    assert norm == pytest.approx(length, rel=1e-14)
    assert loss_and_gradient(training, X, Y, weights, workspace) < before


def test_loss_and_gradient_moves_nothing():
    X, Y, weights = problem()
    for optimizer in OPTIMIZERS:
        training = training_of(small_network(), optimizer=OPTIMIZERS[optimizer](), l2=0.1)
        kept = training.network.parameters.vector.copy()
        workspace = Workspace(training.network, len(X), training=True)
        loss_and_gradient(training, X, Y, weights, workspace)
        np.testing.assert_array_equal(training.network.parameters.vector, kept)
        assert training.optimizer_state.t == 0


def test_decoupled_decay_shrinks_weights_only_and_stays_out_of_the_loss():
    """At a point without gradient nothing else moves: W -= lr l2 W, and the loss is 0."""
    X = np.random.default_rng(1).standard_normal((6, 3))
    network = small_network()
    Y, start = network.predict(X), network.parameters.vector.copy()
    training = training_of(network, optimizer=AdamW(), learning_rate=0.1, l2=0.3)
    workspace = Workspace(network, 6, training=True)
    value, norm = train_step(training, X, Y, None, workspace)
    assert value == pytest.approx(0, abs=1e-25)
    assert norm < 1e-14
    np.testing.assert_array_less(np.abs(workspace.gradient.vector), 1e-14)
    n_weights = 3 * 4 + 4 * 2
    # Adam turns rounding errors of the gradient into at most tiny moves: epsilon bounds them.
    expected = start * np.where(np.arange(start.size) < n_weights, 1 - 0.1 * 0.3, 1)
    np.testing.assert_allclose(network.parameters.vector, expected, rtol=1e-6, atol=1e-7)


@optimizers
@pytest.mark.parametrize("block", [BLOCK, 8])
@pytest.mark.parametrize("stack", [(), (2,)])
def test_training_with_rates_matches_the_loops(optimizer, block, stack, monkeypatch):
    """Each parameter moves, and with decoupled decay shrinks, by its own rate."""
    for module in ("blocks", "optimizers", "network"):
        monkeypatch.setattr(f"skscratch.nn.{module}.BLOCK", block)
    optimizer, lr, l2 = OPTIMIZERS[optimizer](), 0.003, 0.4
    X, Y, weights = problem()
    network = small_network(stack=stack, learned_scales=True, layerwise_rates=True)
    training = training_of(network, optimizer=optimizer, learning_rate=lr, l2=l2)
    workspace = Workspace(network, len(X), training=True)
    n_parameters = network.parameters.vector.shape[-1]
    # Weights of 3 and of 4 inputs; biases; scales; as they lie in the vector.
    factors = [math.sqrt(100 / 3)] * 12 + [5.0] * 8 + [1.0] * 4 + [60.0] * 3 + [1.0] * 2
    assert len(factors) == n_parameters
    expected = network.parameters.vector.reshape(-1, n_parameters).tolist()
    changes = [[reference.optimizer(optimizer) for _ in factors] for _ in expected]
    for _ in range(5):
        # The gradient is checked by itself; here is what is made of it.
        train_step(training, X, Y, weights, workspace)
        gradient = workspace.gradient.vector.reshape(-1, n_parameters)
        for member, w in enumerate(expected):
            for i, factor in enumerate(factors):
                if optimizer.decoupled_decay and i < 20:
                    w[i] -= lr * factor * l2 * w[i]
                w[i] += changes[member][i](float(gradient[member, i]), lr * factor)
        np.testing.assert_allclose(
            network.parameters.vector.reshape(-1, n_parameters), expected, rtol=1e-9, atol=1e-13
        )


@optimizers
def test_float32_with_rates_stays_float32(optimizer):
    X, Y, weights = (array.astype(np.float32) for array in problem())
    network = small_network(dtype=np.float32, learned_scales=True, layerwise_rates=True)
    training = training_of(network, optimizer=OPTIMIZERS[optimizer](), l2=0.1, learning_rate=1e-3)
    workspace = Workspace(network, len(X), training=True)
    value, norm = train_step(training, X, Y, weights, workspace)
    state = training.optimizer_state
    arrays = [network.parameters.vector, training.rates, *state.scratch, *state.moments]
    arrays += [value, norm, workspace.gradient.vector, network.dense[0].coefficients]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


@optimizers
def test_without_l2_adamw_is_adam_and_with_it_no_optimizer_ignores_it(optimizer):
    X, Y, weights = problem()
    ends = []
    for l2 in (0.0, 0.5):
        network = small_network()
        training = training_of(network, optimizer=OPTIMIZERS[optimizer](), l2=l2)
        training.run(Batches(X, Y, weights, batch_size=4), 3)
        ends.append(network.parameters.vector)
    assert not np.allclose(*ends, rtol=1e-3)
    if optimizer == "adamw":
        adam = small_network()
        training_of(adam, optimizer=Adam()).run(Batches(X, Y, weights, batch_size=4), 3)
        np.testing.assert_array_equal(ends[0], adam.parameters.vector)


@optimizers
@normalizations
def test_float32_stays_float32(optimizer, normalization):
    X, Y, weights = (array.astype(np.float32) for array in problem())
    network = small_network(dropout=[0.5], normalization=normalization, dtype=np.float32)
    training = training_of(
        network,
        optimizer=OPTIMIZERS[optimizer](),
        l2=0.1,
        clip_norm=0.5,
        dropout_streams=(np.random.default_rng(0),),
    )
    workspace = Workspace(network, len(X), training=True, streams=training.dropout_streams)
    value, norm = train_step(training, X, Y, weights, workspace)
    assert norm > 0.5
    state = training.optimizer_state
    arrays = [network.parameters.vector, network.statistics.vector, *state.scratch, *state.moments]
    arrays += [value, norm, workspace.gradient.vector]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    training.run(Batches(X, Y, weights, batch_size=4), 2)
    assert type(training.history["loss"][0]) is float


@pytest.mark.parametrize("name", ACTIVATIONS)
@normalizations
def test_float32_trains_like_float64(name, normalization):
    ends = []
    for dtype in (np.float32, np.float64):
        network = randomized(
            Network([3, 6, 2], [ACTIVATIONS[name]()], normalization=normalization, dtype=dtype)
        )
        data = (array.astype(dtype) for array in problem())
        training_of(network, optimizer=Adam(epsilon=1e-3), learning_rate=0.01).run(
            Batches(*data, batch_size=4), 10
        )
        ends.append(network.parameters.vector)
    np.testing.assert_allclose(*ends, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["activation", "optimizer", "schedule"])
def test_numpy_scalars_as_hyperparameters_train_bit_for_bit_like_python_floats(kind):
    """A search grid made by np.linspace has them; they must not drag float32 through double."""
    X, Y, weights = (array.astype(np.float32) for array in problem(n_rows=40))
    ends = []
    for convert in (lambda option: option, with_numpy_scalars):
        options = {
            "activation": LeakyReLU(0.3),
            "optimizer": SGD(0.7),
            "schedule": StepDecay(0.3, 1),
        }
        options[kind] = convert(options[kind])
        network = randomized(
            Network(
                [3, 30, 2],
                [lookup("activation", options["activation"], ACTIVATIONS, Activation)],
                dtype=np.float32,
            )
        )
        training = training_of(
            network,
            optimizer=lookup("optimizer", options["optimizer"], OPTIMIZERS, Optimizer),
            schedule=lookup("schedule", options["schedule"], SCHEDULES, Schedule),
        )
        training.run(Batches(X, Y, weights, batch_size=4), 4)
        ends.append(network.parameters.vector)
    np.testing.assert_array_equal(*ends)


def test_no_option_is_changed_by_training():
    X, Y, weights = problem(SoftmaxLogLoss())
    for name in OPTIMIZERS:
        for schedule in SCHEDULES:
            options = [
                Tanh(),
                SoftmaxLogLoss(),
                OPTIMIZERS[name](),
                SCHEDULES[schedule](),
                HeNormal(),
            ]
            before = [(option.get_params(), pickle.dumps(option)) for option in options]
            activation, loss, optimizer, rate, initializer = options
            network = Network([3, 4, 2], [activation])
            network.initialize([initializer] * 2, [np.random.default_rng(0)])
            training = training_of(network, loss=loss, optimizer=optimizer, schedule=rate)
            training.run(Batches(X, Y, weights, batch_size=4), 2, patience=Patience(1.0, 0))
            assert [(option.get_params(), pickle.dumps(option)) for option in options] == before


def test_sparse_input_trains_like_dense():
    rng = np.random.default_rng(2)
    X, Y, weights = problem(n_rows=30)
    X *= rng.random(X.shape) < 0.5
    ends = []
    for inputs in (X, scipy.sparse.csr_array(X), scipy.sparse.csr_matrix(X)):
        network = small_network()
        batches = Batches(inputs, Y, weights, batch_size=7, rng=np.random.default_rng(3))
        training_of(network, optimizer=Adam(), learning_rate=0.01, l2=0.1).run(batches, 3)
        ends.append(network.parameters.vector)
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-10)
    np.testing.assert_array_equal(ends[1], ends[2])


# --- Stacks ---------------------------------------------------------------------------------


@optimizers
@normalizations
@pytest.mark.parametrize("stack", [(3,), (2, 2)])
def test_a_stack_trains_like_separate_networks(optimizer, stack, normalization):
    """Same initial weights, batch orders, dropout; with L2, clipping, weights, a short batch."""
    members = list(np.ndindex(stack))
    sizes, rates = [3, 6, 5, 2], [0.3, 0.5]
    X, Y, weights = problem(SoftmaxLogLoss(), n_rows=23)
    initializers = [HeNormal(), GlorotUniform(), GlorotUniform()]

    def trained(stack, seeds):
        network = Network(
            sizes, [ReLU(), ACTIVATIONS["gelu"]()], rates, normalization=normalization, stack=stack
        )
        network.initialize(initializers, [np.random.default_rng(seed) for seed in seeds])
        training = training_of(
            network,
            loss=SoftmaxLogLoss(),
            optimizer=OPTIMIZERS[optimizer](),
            learning_rate=0.02,
            l2=0.3,
            clip_norm=1.5,
            mean_weight=1.4,
            dropout_streams=tuple(np.random.default_rng(100 + seed) for seed in seeds),
        )
        batches = Batches(X, Y, weights, batch_size=5, rng=np.random.default_rng(42))
        assert training.run(batches, 6) == "exhausted"
        return training

    together = trained(stack, range(len(members)))
    norms = np.concatenate([np.ravel(norm) for norm in together.history["gradient_norm"]])
    assert norms.min() < 1.5 < norms.max()  # some are clipped, some are not
    vectors = []
    for seed, index in enumerate(members):
        alone = trained((), [seed])
        vectors.append(alone.network.parameters.vector)
        np.testing.assert_allclose(
            together.network.parameters.vector[index], vectors[-1], rtol=1e-9, atol=1e-13
        )
        np.testing.assert_allclose(
            together.network.statistics.vector[index], alone.network.statistics.vector, rtol=1e-9
        )
        for ours, its in zip(
            together.optimizer_state.moments, alone.optimizer_state.moments, strict=True
        ):
            np.testing.assert_allclose(ours[index], its, rtol=1e-9, atol=1e-16)
        for column in ("loss", "gradient_norm"):
            ours = [value[index] for value in together.history[column]]
            np.testing.assert_allclose(ours, alone.history[column], rtol=1e-10)
        np.testing.assert_allclose(
            together.network.predict(X)[index], alone.network.predict(X), rtol=1e-9, atol=1e-12
        )
    assert not np.allclose(vectors[0], vectors[1])


@optimizers
def test_a_stack_with_learned_scales_trains_like_separate_networks(optimizer):
    X, Y, weights = problem(SoftmaxLogLoss(), n_rows=23)

    def trained(stack, seeds):
        network = Network(
            [3, 6, 5, 2], [ReLU(), Tanh()], stack=stack, learned_scales=True, layerwise_rates=True
        )
        streams = [np.random.default_rng(seed) for seed in seeds]
        network.initialize([HeNormal(), GlorotUniform(), None], streams, bias_std=1.0)
        training = training_of(
            network, loss=SoftmaxLogLoss(), optimizer=OPTIMIZERS[optimizer](), learning_rate=0.002,
            l2=0.3, clip_norm=0.4,
        )  # fmt: skip
        training.run(Batches(X, Y, weights, batch_size=5, rng=np.random.default_rng(42)), 6)
        return network

    together = trained((3,), range(3))
    for seed in range(3):
        alone = trained((), [seed])
        np.testing.assert_allclose(
            together.parameters.vector[seed], alone.parameters.vector, rtol=1e-8, atol=1e-12
        )
        np.testing.assert_allclose(
            together.dense[0].coefficients[seed], alone.dense[0].coefficients, rtol=1e-8, atol=1e-12
        )
        assert np.abs(alone.dense[0].s - 1).max() > 1e-5


def test_a_diverging_member_of_a_stack_is_noticed():
    X, Y, _ = problem()
    network = small_network(stack=(3,))
    network.parameters.vector[1] = np.nan
    with pytest.raises(ValueError, match="epoch 1"):
        training_of(network).run(Batches(X, Y), 3)


# --- Memory ---------------------------------------------------------------------------------

# NumPy buffers its loops for broadcasting and casts, by 8192 elements at most, some 64 KiB; the
# hidden layers' arrays have more, 256 KiB in the small network and 1 MiB in the large one.
ROWS = 256
SIZES = {"small": (128,), "large": (512, 512)}
BUFFERS = 250_000


def assert_flat(peaks):
    """Neither network's peak has room for an array of its size, nor do the two differ by one.

    NumPy 2.0 buffers blocks of a stack, whose rows are apart in memory: 64 KiB for each of up to
    three operands, however large the network is.
    """
    assert peaks["large"] < BUFFERS, peaks
    assert peaks["large"] < peaks["small"] + 150_000, peaks


def peak_of_a_step(
    hidden,
    activation="relu",
    optimizer="adam",
    *,
    rate=0.0,
    stack=(),
    with_rates=False,
    **settings,
):
    """Peak allocation of a training step after two others, in bytes."""
    network = Network(
        [20, *hidden, 3],
        [lookup("activation", activation, ACTIVATIONS, Activation) for _ in hidden],
        [rate] * len(hidden),
        normalization=settings.pop("normalization", None),
        stack=stack,
        learned_scales=with_rates,
        layerwise_rates=with_rates,
    )
    randomized(network, scale=0.05)
    n_members = math.prod(stack)
    training = training_of(
        network,
        loss=SoftmaxLogLoss(),
        optimizer=OPTIMIZERS[optimizer](),
        learning_rate=1e-3,
        l2=0.1,
        dropout_streams=tuple(np.random.default_rng(seed) for seed in range(n_members)),
        **settings,
    )
    X, Y, weights = problem(training.loss, n_rows=ROWS, n_in=20, n_outputs=3)
    workspace = Workspace(network, ROWS, training=True, streams=training.dropout_streams)
    for _ in range(2):
        train_step(training, X, Y, weights, workspace)
    tracemalloc.start()
    try:
        train_step(training, X, Y, weights, workspace)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("rate", [0.0, 0.5])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_allocation_of_a_step_does_not_grow_with_the_network(activation, rate):
    peaks = {name: peak_of_a_step(hidden, activation, rate=rate) for name, hidden in SIZES.items()}
    assert_flat(peaks)


@optimizers
def test_allocation_of_a_step_does_not_grow_for_any_optimizer(optimizer):
    peaks = {name: peak_of_a_step(hidden, optimizer=optimizer) for name, hidden in SIZES.items()}
    assert_flat(peaks)


@optimizers
def test_allocation_of_a_step_does_not_grow_with_rates(optimizer):
    peaks = {
        name: peak_of_a_step(hidden, optimizer=optimizer, with_rates=True)
        for name, hidden in SIZES.items()
    }
    assert_flat(peaks)


@normalizations
@pytest.mark.parametrize("clip_norm", [None, 1e-3])
def test_allocation_of_a_step_does_not_grow_with_normalization_or_clipping(
    normalization, clip_norm
):
    peaks = {
        name: peak_of_a_step(hidden, normalization=normalization, clip_norm=clip_norm)
        for name, hidden in SIZES.items()
    }
    assert_flat(peaks)


def test_allocation_of_a_step_does_not_grow_for_a_stack():
    peaks = {name: peak_of_a_step(hidden, rate=0.5, stack=(2,)) for name, hidden in SIZES.items()}
    assert_flat(peaks)


@pytest.mark.parametrize("shuffle", [False, True])
def test_allocation_of_an_epoch_does_not_grow_with_the_network(shuffle):
    X, Y, weights = problem(n_rows=3 * ROWS - 20, n_in=20)
    network = randomized(Network([20, 512, 512, 2], [ReLU(), ReLU()]), scale=0.02)
    training = training_of(network, optimizer=Adam())
    rng = np.random.default_rng(0) if shuffle else None
    batches = Batches(X, Y, weights, batch_size=ROWS, rng=rng)
    workspace = Workspace(network, ROWS, training=True)
    training._epoch(batches, workspace, None)
    tracemalloc.start()
    try:
        training._epoch(batches, workspace, None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < BUFFERS


# --- Closed forms ---------------------------------------------------------------------------


def trained_linear_model(X, Y, loss, *, l2, weights=None, mean_weight=1.0, rate=0.1, epochs=3000):
    network = Network([X.shape[1], Y.shape[1]], [])
    training = training_of(
        network,
        loss=loss,
        optimizer=SGD(momentum=0.9, nesterov=True),
        learning_rate=rate,
        l2=l2,
        mean_weight=mean_weight,
    )
    training.run(Batches(X, Y, weights), epochs)
    return network


def test_linear_network_finds_the_least_squares_solution():
    X, Y, _ = problem(n_rows=40)
    network = trained_linear_model(X, Y, SquaredError(), l2=0.0)
    expected = LinearRegression().fit(X, Y)
    np.testing.assert_allclose(network.dense[0].W.T, expected.coef_, rtol=1e-9)
    np.testing.assert_allclose(network.dense[0].b[0], expected.intercept_, rtol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_linear_network_with_l2_finds_the_ridge_solution(weighted, n_outputs):
    """Our loss times n * n_outputs is Ridge's halved, if its alpha is l2 * n_outputs."""
    X, Y, weights = problem(n_rows=40, n_outputs=n_outputs)
    sample_weight = 2.5 * weights if weighted else None
    network = trained_linear_model(
        X, Y, SquaredError(), l2=7.0, weights=weights if weighted else None,
        mean_weight=2.5 if weighted else 1.0,
    )  # fmt: skip
    ridge = Ridge(alpha=7.0 * n_outputs, solver="cholesky").fit(X, Y, sample_weight)
    np.testing.assert_allclose(network.dense[0].W.T, np.atleast_2d(ridge.coef_), rtol=1e-8)
    np.testing.assert_allclose(network.dense[0].b[0], ridge.intercept_, rtol=1e-8)
    # And the normal equations themselves, on weighted centered data.
    s = np.ones(40) if sample_weight is None else sample_weight
    X_c, Y_c = X - np.average(X, axis=0, weights=s), Y - np.average(Y, axis=0, weights=s)
    gram = X_c.T @ (s[:, np.newaxis] * X_c) + 7.0 * n_outputs * np.eye(3)
    np.testing.assert_allclose(
        network.dense[0].W, np.linalg.solve(gram, X_c.T @ (s[:, np.newaxis] * Y_c)), rtol=1e-8
    )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_linear_classifier_finds_the_solution_of_logistic_regression(n_classes):
    rng = np.random.default_rng(5)
    X, labels = rng.standard_normal((60, 3)), rng.integers(n_classes, size=60)
    labels[X[:, 0] > 0.5] = 0
    if n_classes == 2:
        loss, Y = LogisticLogLoss(), labels[:, np.newaxis].astype(float)
    else:
        loss, Y = SoftmaxLogLoss(), np.eye(n_classes)[labels]
    network = trained_linear_model(X, Y, loss, l2=2.0, rate=0.3)
    P = loss.inverse_link(network.predict(X))
    expected = LogisticRegression(C=1 / 2.0, solver="newton-cholesky", tol=1e-10).fit(X, labels)
    expected = expected.predict_proba(X)
    np.testing.assert_allclose(P, expected[:, -1:] if n_classes == 2 else expected, atol=1e-6)


# --- Reference runs -------------------------------------------------------------------------


def accuracy(network, X, labels):
    return np.mean(network.predict(X).argmax(axis=1) == labels)


def test_iris_run_reaches_the_known_accuracy():
    X, labels = load_iris(return_X_y=True)
    X, X_test, labels, labels_test = train_test_split(X, labels, test_size=0.2, random_state=42)
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    init, shuffle = np.random.default_rng(42).spawn(2)
    network = Network([4, 16, 8, 3], [ReLU(), ReLU()])
    network.initialize([HeNormal(), HeNormal(), GlorotUniform()], [init])
    training = training_of(network, loss=SoftmaxLogLoss(), optimizer=SGD(), learning_rate=0.1)
    training.run(Batches(X, np.eye(3)[labels], batch_size=16, rng=shuffle), 1000)
    assert accuracy(network, X, labels) >= 0.983
    assert accuracy(network, X_test, labels_test) >= 0.966


def test_circle_is_learned_by_hidden_layers_and_not_without():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 2))
    labels = (X[:, 0] ** 2 + X[:, 1] ** 2 < 1).astype(int)
    Y = np.eye(2)[labels]
    accuracies = []
    for sizes in ([2, 16, 8, 2], [2, 2]):
        network = Network(sizes, [ReLU()] * (len(sizes) - 2))
        network.initialize([HeNormal()] * (len(sizes) - 1), [rng])
        training = training_of(network, loss=SoftmaxLogLoss(), optimizer=SGD(), learning_rate=0.1)
        training.run(Batches(X, Y), 1000)
        accuracies.append(accuracy(network, X, labels))
    assert accuracies[0] > 0.95
    assert accuracies[1] < 0.7


# --- The run: history, clock, rates ---------------------------------------------------------


def test_history_has_columns_of_equal_length_over_several_runs():
    X, Y, _ = problem()
    training = training_of(small_network())
    assert set(training.history) == set(HISTORY)
    rows = []
    assert training.run(Batches(X, Y, batch_size=4), 3, report=rows.append) == "exhausted"
    assert training.run(Batches(X, Y, batch_size=4), 2, report=rows.append) == "exhausted"
    assert {len(column) for column in training.history.values()} == {5}
    assert training.history["epoch"] == [1, 2, 3, 4, 5]
    for name, column in training.history.items():
        np.testing.assert_array_equal(column, [row[name] for row in rows])
    assert (training.clock.epoch, training.clock.samples) == (5, 55)
    for column in ("loss", "learning_rate", "gradient_norm", "seconds"):
        assert all(type(value) is float for value in training.history[column])
    assert all(seconds > 0 for seconds in training.history["seconds"])
    assert all(map(math.isnan, training.history["validation_score"]))


def test_loss_of_an_epoch_is_the_mean_over_rows_not_over_batches():
    """With a rate of nearly 0 it is the loss of the data, though the last batch has one row."""
    X, Y, weights = problem(n_rows=9)
    network = small_network()
    start = network.predict(X)
    training = training_of(network, learning_rate=1e-300)
    training.run(Batches(X, Y, weights, batch_size=4), 1)
    expected = np.mean(weights[:, np.newaxis] * (start - Y) ** 2) / 2
    assert training.history["loss"] == [pytest.approx(expected, rel=1e-12)]


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_of_the_history_follow_the_schedule(name):
    X, Y, _ = problem()
    schedule = SCHEDULES[name]()
    training = training_of(
        small_network(), schedule=schedule, learning_rate=0.01, clock=Clock(horizon=8)
    )
    training.run(Batches(X, Y, batch_size=4), 8)
    expected = []
    for epoch in range(8):
        clock = Clock(epoch=epoch, samples=11 * epoch, horizon=8, last_step=24)
        rates = []
        for clock.step in range(3 * epoch, 3 * epoch + 3):
            rates.append(reference.rate(schedule, 0.01, clock))
        expected.append(np.mean(rates))
    np.testing.assert_allclose(training.history["learning_rate"], expected, rtol=1e-12)


class NotesRates(SGD):
    """SGD that writes down the rate of each step."""

    def __init__(self):
        super().__init__()
        self.rates = []

    def step(self, w, g, learning_rate, state, rates=None):
        self.rates.append(learning_rate)
        super().step(w, g, learning_rate, state)


@pytest.mark.parametrize("name", SCHEDULES)
def test_simulation_gives_the_rates_that_a_run_uses_step_by_step(name):
    X, Y, _ = problem(n_rows=12)
    schedule, optimizer = SCHEDULES[name](), NotesRates()
    training = training_of(
        small_network(), schedule=schedule, optimizer=optimizer, learning_rate=0.01
    )
    training.run(Batches(X, Y, batch_size=4), 10)
    simulated = schedule.simulate(30, base=0.01, steps_per_epoch=3, batch_size=4)
    np.testing.assert_array_equal(optimizer.rates, simulated)
    assert all(type(rate) is float for rate in optimizer.rates)
    assert training.clock.step == 30
    per_epoch = np.reshape(optimizer.rates, (10, 3)).mean(axis=1)
    np.testing.assert_allclose(training.history["learning_rate"], per_epoch, rtol=1e-14)


@pytest.mark.parametrize("name", ["one_cycle", "warmup_cosine"])
def test_a_run_with_joined_rows_ends_where_its_schedule_does(name):
    """The horizon counts the batches that there are, not those that the sizes suggest."""
    X, Y, _ = problem(n_rows=9)
    schedule, optimizer = SCHEDULES[name](), NotesRates()
    training = training_of(
        small_network(normalization="batch"), schedule=schedule, optimizer=optimizer
    )
    training.run(Batches(X, Y, batch_size=4, join_single=True), 5)
    np.testing.assert_array_equal(optimizer.rates, schedule.simulate(10, base=0.1))


def test_a_run_goes_on_where_the_last_one_ended():
    """Moments, averages, clock and dropout stream are the training's: 3 + 4 epochs are 7."""
    X, Y, weights = problem()
    ends = []
    for parts in ((7,), (3, 4)):
        network = small_network(dropout=[0.5], normalization="batch")
        training = training_of(
            network,
            optimizer=Adam(),
            schedule=SCHEDULES["exponential"](),
            dropout_streams=(np.random.default_rng(1),),
        )
        batches = Batches(X, Y, weights, batch_size=4, rng=np.random.default_rng(2))
        for epochs in parts:
            training.run(batches, epochs)
        ends.append(np.concatenate(network.snapshot()))
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copied_training_goes_on_alike_and_apart(duplicate):
    X, Y, weights = problem()
    training = training_of(
        small_network(dropout=[0.5], normalization="batch"),
        optimizer=OPTIMIZERS["nadam"](),
        dropout_streams=(np.random.default_rng(1),),
    )
    training.run(Batches(X, Y, weights, batch_size=4), 2)
    other = duplicate(training)
    kept = training.network.snapshot()
    other.run(Batches(X, Y, weights, batch_size=4), 2)
    for now, before in zip(training.network.snapshot(), kept, strict=True):
        np.testing.assert_array_equal(now, before)
    training.run(Batches(X, Y, weights, batch_size=4), 2)
    for ours, its in zip(training.network.snapshot(), other.network.snapshot(), strict=True):
        np.testing.assert_array_equal(ours, its)


def test_no_epochs_change_nothing():
    training = training_of(small_network())
    kept = training.network.parameters.vector.copy()
    X, Y, _ = problem()
    assert training.run(Batches(X, Y), 0) == "exhausted"
    np.testing.assert_array_equal(training.network.parameters.vector, kept)


# --- Gradient clipping ----------------------------------------------------------------------


@optimizers
@pytest.mark.parametrize("clip_norm", [1e-6, 0.1, 1e6])
def test_the_optimizer_gets_the_gradient_shortened_to_the_bound(optimizer, clip_norm):
    """Penalty included, and with moments: they see the clipped gradient, too."""
    X, Y, weights = problem()
    optimizer = OPTIMIZERS[optimizer]()
    clipped, by_hand = (
        training_of(small_network(), optimizer=optimizer, l2=0.5, clip_norm=bound)
        for bound in (clip_norm, None)
    )
    vector, state = by_hand.network.parameters.vector, by_hand.optimizer_state
    workspaces = [
        Workspace(training.network, len(X), training=True) for training in (clipped, by_hand)
    ]
    for _ in range(3):
        value, norm = train_step(clipped, X, Y, weights, workspaces[0])
        assert value == loss_and_gradient(by_hand, X, Y, weights, workspaces[1])
        gradient = workspaces[1].gradient.vector
        length = np.linalg.norm(gradient)
        assert norm == pytest.approx(length, rel=1e-13)  # of the whole gradient
        shortened = gradient * min(1, clip_norm / length)
        np.testing.assert_allclose(
            workspaces[0].gradient.vector, shortened, rtol=1e-12, atol=1e-300
        )
        if optimizer.decoupled_decay:
            by_hand.network.parameters.penalized *= 1 - 0.1 * 0.5
        optimizer.step(vector, shortened, 0.1, state)
        # Divide by what clipping made tiny, and its rounding shows.
        np.testing.assert_allclose(clipped.network.parameters.vector, vector, rtol=1e-7)
        vector[...] = clipped.network.parameters.vector


def test_each_member_of_a_stack_is_clipped_by_its_own_norm():
    network = Network([3, 2], [], stack=(3,))
    training = training_of(network, clip_norm=5.0)
    gradient = network.parameters.like()
    gradient.vector[0, :2] = 30, 40  # too long
    gradient.vector[1, :2] = 0.3, 0.4  # short enough
    with np.errstate(over="ignore"):  # as in an epoch
        norm = training.clip(gradient)
    np.testing.assert_allclose(norm, [50, 0.5, 0], rtol=1e-14)
    expected = np.zeros((3, 8))
    expected[:2, :2] = [[3, 4], [0.3, 0.4]]
    np.testing.assert_allclose(gradient.vector, expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_bound_and_one_that_is_never_met_leave_the_run_as_it_is(dtype):
    X, Y, weights = (array.astype(dtype) for array in problem())
    results = []
    for clip_norm in (None, 1e6):
        training = training_of(small_network(dtype=dtype), optimizer=Adam(), clip_norm=clip_norm)
        training.run(Batches(X, Y, weights, batch_size=4), 3)
        results.append((training.network.parameters.vector, training.history["gradient_norm"]))
    for without, with_bound in zip(*results, strict=True):
        np.testing.assert_array_equal(without, with_bound)


def test_history_records_the_norm_before_clipping():
    X, Y, _ = problem()
    network = small_network()
    training = training_of(network, clip_norm=1e-12, learning_rate=1e-6)
    workspace = Workspace(network, len(X), training=True)
    loss_and_gradient(training, X, Y, None, workspace)
    length = np.linalg.norm(workspace.gradient.vector)
    training.run(Batches(X, Y), 2)  # which hardly moves
    assert training.history["gradient_norm"] == [pytest.approx(length, rel=1e-9)] * 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clipping_leaves_a_gradient_of_zero_alone(dtype):
    network = Network([3, 2], [], dtype=dtype)
    gradient = network.parameters.like()
    with np.errstate(over="ignore"):  # as in an epoch
        assert training_of(network, clip_norm=1e3).clip(gradient) == 0
    np.testing.assert_array_equal(gradient.vector, 0)


def test_clipping_tames_a_run_that_explodes_without_it():
    X, Y, _ = problem(n_rows=40)
    losses = []
    for clip_norm in (None, 0.1):
        training = training_of(small_network(), learning_rate=10.0, clip_norm=clip_norm)
        training.run(Batches(X, 10 * Y), 30)
        losses.append(training.history["loss"])
    assert losses[0][-1] > 1e30
    assert losses[1] == sorted(losses[1], reverse=True)


# --- Normalization --------------------------------------------------------------------------


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("n_rows", [1, 2])
def test_training_on_a_row_or_two_stays_finite(normalization, n_rows):
    X, Y = np.array([[1.0, 2, 3], [4, -1, 0]])[:n_rows], np.ones((n_rows, 2))
    network = small_network(normalization=normalization)
    training = training_of(network, optimizer=Adam(), l2=0.1)
    training.run(Batches(X, Y, batch_size=1, join_single=True), 30)
    assert np.isfinite(np.concatenate(network.snapshot())).all()
    assert np.isfinite(network.predict(X)).all()
    assert np.isfinite(training.history["gradient_norm"]).all()


def test_the_best_epochs_running_averages_are_restored_with_its_parameters():
    X, Y, _ = problem()
    network, snapshots = small_network(normalization="batch"), []

    def validate(network):
        snapshots.append(network.snapshot())
        return 0.5, [0.1, 0.9, 0.3, 0.2][len(snapshots) - 1]

    training_of(network).run(
        Batches(X, Y, batch_size=4), 4, patience=Patience(0.0, 10), validate=validate
    )
    for restored, best, last in zip(network.snapshot(), snapshots[1], snapshots[3], strict=True):
        np.testing.assert_array_equal(restored, best)
        assert not np.array_equal(best, last)


def test_batch_norm_trains_on_repeated_rows_as_on_weighted_ones():
    X, Y, _ = problem(n_rows=9)
    counts = np.array([1, 2, 0, 3, 1, 1, 2, 1, 1])
    ends = []
    for rows, weights in (
        (np.arange(9), counts / counts.mean()),
        (np.repeat(np.arange(9), counts), None),
    ):
        network = small_network(normalization="batch")
        training = training_of(
            network, l2=0.3, mean_weight=1.0 if weights is None else counts.mean()
        )
        training.run(Batches(X[rows], Y[rows], weights), 20)
        ends.append(np.concatenate(network.snapshot()))
    np.testing.assert_allclose(*ends, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_normalized_network_learns_where_features_differ_in_scale(normalization):
    """What it is for: a rate that plain networks cannot bear, on inputs nobody scaled."""
    rng = np.random.default_rng(33)
    X = rng.standard_normal((200, 3)) * 50 + 200
    Y = np.eye(2)[(X[:, 0] > X[:, 1]).astype(int)]
    accuracies = {}
    for kind in (None, normalization):
        network = Network([3, 16, 2], [ReLU()], normalization=kind)
        network.initialize([HeNormal()] * 2, [np.random.default_rng(0)])
        training = training_of(network, loss=SoftmaxLogLoss(), learning_rate=0.1)
        batches = Batches(X, Y, batch_size=20, rng=np.random.default_rng(1))
        training.run(batches, 30)
        right = network.predict(X).argmax(axis=1) == Y.argmax(axis=1)
        accuracies[kind] = np.mean(right)
    assert accuracies[normalization] > 0.9
    assert accuracies[None] < accuracies[normalization] - 0.1


# --- Stopping -------------------------------------------------------------------------------


@pytest.mark.parametrize("n_iter_no_change", [0, 2, 5])
def test_stops_when_the_training_loss_stalls_for_too_long(n_iter_no_change):
    X, Y, _ = problem()
    training = training_of(small_network(), learning_rate=1e-300)  # nothing ever improves
    patience = Patience(1e-4, n_iter_no_change)
    assert training.run(Batches(X, Y), 50, patience=patience) == "stalled"
    assert len(training.history["loss"]) == n_iter_no_change + 2


def test_goes_on_while_the_loss_improves():
    X, Y, _ = problem(n_rows=40)
    training = training_of(Network([3, 2], []), learning_rate=0.05)
    assert training.run(Batches(X, Y), 30, patience=Patience(0.0, 0)) == "exhausted"
    assert training.history["loss"] == sorted(training.history["loss"], reverse=True)


def test_adaptive_schedule_divides_the_rate_at_each_plateau_and_finally_stops():
    X, Y, _ = problem()
    training = training_of(
        small_network(), schedule=Adaptive(factor=10.0, minimum=1e-9), learning_rate=1e-6
    )
    patience = Patience(tol=1e3, n_iter_no_change=1)  # every epoch but the first stalls
    assert training.run(Batches(X, Y), 100, patience=patience) == "stalled"
    # The first epoch beats minus infinity; from then on patience lasts for two epochs.
    expected = [1e-6] * 3 + [1e-7] * 2 + [1e-8] * 2 + [1e-9] * 2
    np.testing.assert_allclose(training.history["learning_rate"], expected, rtol=1e-12)
    assert training.clock.plateaus == 3


def scripted(scores, seen):
    """Validate with given scores, noting the parameters that each belongs to."""
    remaining = iter(scores)

    def validate(network):
        seen.append(network.parameters.vector.copy())
        return 0.5, next(remaining)

    return validate


def test_validation_restores_the_parameters_of_the_best_score():
    X, Y, _ = problem()
    scores, seen = [0.1, 0.5, 0.9, 0.8, 0.9, 0.7], []
    training = training_of(small_network())
    patience = Patience(0.0, 10)
    outcome = training.run(Batches(X, Y), 6, patience=patience, validate=scripted(scores, seen))
    assert outcome == "exhausted"
    assert training.history["validation_score"] == scores
    assert training.history["validation_loss"] == [0.5] * 6
    np.testing.assert_array_equal(training.network.parameters.vector, seen[2])
    assert not np.array_equal(seen[2], seen[5])
    assert patience.best == 0.9


def test_validation_decides_when_to_stop_not_the_training_loss():
    X, Y, _ = problem()
    scores, seen = [0.5, 0.6, 0.6, 0.55, 0.5, 0.4, 0.3], []
    training = training_of(small_network(), learning_rate=0.01)
    outcome = training.run(
        Batches(X, Y), 50, patience=Patience(0.05, 2), validate=scripted(scores, seen)
    )
    assert outcome == "stalled"
    assert len(seen) == 5  # three stalled epochs after the second
    np.testing.assert_array_equal(training.network.parameters.vector, seen[1])


def test_the_best_of_an_earlier_run_is_not_forgotten_by_the_next():
    """A score below the best so far must not be kept only because the call is new."""
    X, Y, _ = problem()
    training, patience, seen = training_of(small_network()), Patience(0.0, 10), []
    training.run(Batches(X, Y), 2, patience=patience, validate=scripted([0.5, 0.9], seen))
    training.run(Batches(X, Y), 2, patience=patience, validate=scripted([0.3, 0.2], seen))
    np.testing.assert_array_equal(training.network.parameters.vector, seen[1])


def test_validation_without_patience_is_only_monitored():
    X, Y, _ = problem()
    seen = []
    training = training_of(small_network())
    training.run(Batches(X, Y), 3, validate=scripted([0.9, 0.1, 0.1], seen))
    assert training.history["validation_score"] == [0.9, 0.1, 0.1]
    np.testing.assert_array_equal(training.network.parameters.vector, seen[2])


def test_scores_that_are_all_nan_keep_the_last_parameters():
    X, Y, _ = problem()
    seen = []
    training = training_of(small_network())
    training.run(
        Batches(X, Y), 3, patience=Patience(0.0, 10), validate=scripted([math.nan] * 3, seen)
    )
    np.testing.assert_array_equal(training.network.parameters.vector, seen[2])


# --- Divergence -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_loss_that_explodes_raises_and_names_the_epoch_the_rate_and_a_remedy(dtype):
    X, Y, _ = (array.astype(dtype) for array in problem())
    network = Network([3, 4, 2], [ReLU()], dtype=dtype)
    training = training_of(randomized(network), learning_rate=1e8)
    with pytest.raises(ValueError, match="non-finite") as caught:
        training.run(Batches(X, Y), 100)
    epoch = len(training.history["epoch"]) + 1
    assert 1 < epoch < 100
    message = str(caught.value)
    assert f"in epoch {epoch}," in message
    assert "learning rate 1e+08" in message
    assert "smaller learning_rate" in message


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("loss", LOSSES)
def test_non_finite_inputs_raise_in_the_first_epoch_and_in_later_calls(value, loss):
    X, Y, _ = problem(LOSSES[loss]())
    training = training_of(small_network(), loss=LOSSES[loss](), learning_rate=1e-3)
    training.run(Batches(X, Y, batch_size=4), 2)
    X[7, 1] = value
    Y[7] = value if loss == "squared_error" else Y[7]
    with pytest.raises(ValueError, match="epoch 3,"):
        training.run(Batches(X, Y, batch_size=4), 2)
    assert {len(column) for column in training.history.values()} == {2}


def test_an_infinite_loss_raises_though_all_parameters_are_finite():
    X, Y, _ = problem()
    training = training_of(small_network(), learning_rate=1e-300)
    with pytest.raises(ValueError, match="epoch 1,"):
        training.run(Batches(X, 1e200 * Y), 1)
    assert np.isfinite(training.network.parameters.vector).all()


def test_parameters_that_the_last_step_made_non_finite_raise_too():
    """The loss is that before each step, so that it does not show what the last one did."""
    X = Y = np.full((4, 1), 1e3)
    training = training_of(Network([1, 1], []), learning_rate=1e308)
    with pytest.raises(ValueError, match="non-finite"):
        training.run(Batches(X, Y), 1)


@pytest.mark.parametrize("sign", [-1, 1])
def test_finite_parameters_whose_outputs_overflow_raise_too(sign):
    X, Y = np.full((3, 1), 1e100), np.full((3, 1), sign * 1e50)
    training = training_of(Network([1, 1], []), learning_rate=1e60)
    with pytest.raises(DivergenceError, match=r"epoch 1, .* first in the outputs of the network"):
        training.run(Batches(X[:1], Y[:1]), 1)
    assert np.isfinite(training.network.parameters.vector).all()
    assert np.sign(training.network.parameters.vector).tolist() == [sign, sign]
    # The last batch may be smaller than the room for batches.
    training = training_of(Network([1, 1], []), learning_rate=1e60)
    X[:2], Y[:2] = 0, 0
    with pytest.raises(
        DivergenceError, match="first in the outputs of the network after the last step"
    ):
        training.run(Batches(X, Y, batch_size=2), 1)


def test_losses_whose_sum_overflows_raise_too():
    Y = np.full((3, 1), 1.2e154)  # a loss of 0.7e308 each
    training = training_of(Network([1, 1], []), learning_rate=1e-300)
    with pytest.raises(DivergenceError, match="first in the sum of the losses"):
        training.run(Batches(np.zeros((3, 1)), Y, batch_size=1), 1)


# --- Interruption ---------------------------------------------------------------------------


@contextlib.contextmanager
def interrupted_after(epochs):
    kept = "the estimator keeps what it learned so far"
    with pytest.warns(UserWarning, match=rf"interrupted after {epochs} epochs; {kept}\.$"):
        yield


class InterruptedBatches(Batches):
    """Batches of which the n-th of all raises KeyboardInterrupt in place of coming."""

    def __init__(self, *data, at, **settings):
        super().__init__(*data, **settings)
        self.remaining = at

    def __iter__(self):
        for batch in super().__iter__():
            self.remaining -= 1
            if self.remaining == 0:
                raise KeyboardInterrupt
            yield batch


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("at", [1, 2, 4, 5])
def test_interrupted_between_batches_keeps_the_steps_made(at):
    X, Y, _ = problem(n_rows=12)
    training, expected = training_of(small_network()), training_of(small_network())
    batches = InterruptedBatches(X, Y, batch_size=4, at=at)
    with interrupted_after((at - 1) // 3):
        assert training.run(batches, 10) == "interrupted"
    workspace = Workspace(expected.network, 4, training=True)
    for step in range(at - 1):
        rows = slice(step % 3 * 4, step % 3 * 4 + 4)
        train_step(expected, X[rows], Y[rows], None, workspace)
    np.testing.assert_allclose(
        training.network.parameters.vector, expected.network.parameters.vector, rtol=1e-13
    )
    assert {len(column) for column in training.history.values()} == {(at - 1) // 3}
    assert np.isfinite(training.network.predict(X)).all()


def test_interrupted_in_a_report_keeps_the_epoch():
    X, Y, _ = problem()
    training, expected = training_of(small_network()), training_of(small_network())
    with interrupted_after(1):
        assert training.run(Batches(X, Y), 10, report=interrupt) == "interrupted"
    expected.run(Batches(X, Y), 1)
    np.testing.assert_array_equal(
        training.network.parameters.vector, expected.network.parameters.vector
    )


@pytest.mark.parametrize("where", ["validate", "report", "batches"])
def test_interrupted_while_validating_restores_the_best_parameters(where):
    X, Y, _ = problem(n_rows=12)
    seen = []
    validate = scripted([0.1, 0.9, 0.3, 0.2], seen)

    def interrupted_validate(network):
        return interrupt() if len(seen) == 4 else validate(network)

    def report(row):
        if where == "report" and row["epoch"] == 4:
            interrupt()

    training = training_of(small_network())
    batches = InterruptedBatches(X, Y, batch_size=4, at=14 if where == "batches" else 0)
    with interrupted_after(4):
        outcome = training.run(
            batches, 10, patience=Patience(0.0, 10), validate=interrupted_validate, report=report
        )
    assert outcome == "interrupted"
    np.testing.assert_array_equal(training.network.parameters.vector, seen[1])
    assert {len(column) for column in training.history.values()} == {4}


def test_interrupted_before_the_first_validation_keeps_what_was_trained():
    X, Y, _ = problem()
    training, expected = training_of(small_network()), training_of(small_network())
    with interrupted_after(0):
        training.run(Batches(X, Y), 10, patience=Patience(0.0, 10), validate=interrupt)
    expected.run(Batches(X, Y), 1)
    np.testing.assert_array_equal(
        training.network.parameters.vector, expected.network.parameters.vector
    )


def test_interrupted_with_overflown_parameters_and_no_best_ones_has_diverged():
    def spoil(row):
        training.network.parameters.vector[...] = np.inf
        interrupt()

    X, Y, _ = problem()
    training = training_of(small_network())
    with interrupted_after(1), pytest.raises(DivergenceError, match="the parameters of"):
        training.run(Batches(X, Y), 10, report=spoil)


def test_interrupted_with_overflown_parameters_restores_the_best_all_the_same():
    X, Y, _ = problem()
    seen = []

    def validate(network):
        seen.append(network.parameters.vector.copy())
        if len(seen) == 2:
            network.parameters.vector[...] = np.inf
            interrupt()
        return 0.5, 0.5

    training = training_of(small_network())
    with interrupted_after(1):
        training.run(Batches(X, Y), 10, patience=Patience(0.0, 10), validate=validate)
    np.testing.assert_array_equal(training.network.parameters.vector, seen[0])


def test_other_exceptions_pass_through():
    def fail(row):
        raise RuntimeError("from a callback")

    X, Y, _ = problem()
    with pytest.raises(RuntimeError, match="from a callback"):
        training_of(small_network()).run(Batches(X, Y), 10, report=fail)


@pytest.mark.parametrize("schedule", [Constant(), Cosine()])
def test_error_state_of_numpy_is_left_as_it_was(schedule):
    X, Y, _ = problem()
    with np.errstate(all="raise", under="ignore"):
        before = np.geterr()
        training_of(small_network(), schedule=schedule).run(Batches(X, Y), 2)
        assert np.geterr() == before


@optimizers
def test_underflow_is_none_of_the_callers_business(optimizer):
    X, Y, _ = problem()
    training = training_of(small_network(), optimizer=OPTIMIZERS[optimizer](), learning_rate=1e-3)
    training.network.parameters.vector[...] *= 1e-200
    with np.errstate(all="raise"):
        training.run(Batches(X, 1e-200 * Y), 2)


# --- Going on -------------------------------------------------------------------------------


def fast_training(**settings):
    """A training that the second half of a run depends on all of."""
    settings = {"optimizer": Adam(), "schedule": Cosine(), "learning_rate": 0.05, **settings}
    return training_of(small_network(), **settings)


def assert_same(training, expected):
    assert training.outcome == expected.outcome
    assert training.epochs_made == expected.epochs_made
    assert training.best_epoch == expected.best_epoch
    np.testing.assert_array_equal(*(t.network.parameters.vector for t in (training, expected)))
    for name in set(HISTORY) - {"seconds"}:
        np.testing.assert_array_equal(training.history[name], expected.history[name])


@pytest.mark.parametrize("scores", [None, [0.1, 0.5, 0.4, 0.7, 0.2, 0.3, 0.1, 0.9]])
@pytest.mark.parametrize("at", [1, 3, 6])
def test_a_training_resumed_from_a_copy_ends_like_the_one_that_went_on(scores, at):
    X, Y, _ = problem()
    copies = []

    def run(training, scores, report=None):
        validate = scores and scripted(scores, [])
        patience = scores and Patience(0.0, 2)
        return training.run(
            Batches(X, Y, batch_size=4), 8, patience=patience, validate=validate, report=report
        )

    def keep(row):
        copies.append(copy.deepcopy(whole))

    whole = fast_training()
    assert run(whole, scores, keep) == ("stalled" if scores else "exhausted")
    assert whole.epochs_made == (7 if scores else 8)
    resumed = fast_training()
    resumed.resume(copies[at - 1])
    run(resumed, scores and scores[at:])
    assert_same(resumed, whole)
    assert not resumed.resumed


def test_a_resumed_training_that_a_report_had_ended_makes_no_more_epochs():
    X, Y, _ = problem()
    ended = fast_training()
    assert ended.run(Batches(X, Y), 8, report=lambda row: row["epoch"] == 3) == "stopped"
    ended.stalled = True
    resumed = fast_training()
    resumed.resume(ended)
    assert resumed.run(Batches(X, Y), 8) == "stopped"
    assert_same(resumed, ended)


@pytest.mark.parametrize(("schedule", "epoch"), [(Cosine(), 0), (StepDecay(every=2), 3)])
def test_a_new_run_follows_with_moments_clock_and_history(schedule, epoch):
    X, Y, _ = problem()
    first = fast_training(schedule=schedule)
    first.run(Batches(X, Y, batch_size=4), 3)
    kept = copy.deepcopy(first)
    second = fast_training(schedule=schedule)
    second.follow(first, same_run=False)
    assert (second.clock.epoch, second.clock.step) == (epoch, epoch * 3)
    assert second.clock.samples == 3 * len(X)
    assert second.optimizer_state.t == 9
    second.run(Batches(X, Y), 1)
    assert second.history["epoch"] == [1, 2, 3, 4]
    assert_same(first, kept)
    assert first.optimizer_state.t == 9
    for mine, its in zip(first.optimizer_state.moments, kept.optimizer_state.moments, strict=True):
        np.testing.assert_array_equal(mine, its)


def test_another_optimizer_begins_with_its_own_moments():
    X, Y, _ = problem()
    first, second = fast_training(), fast_training(optimizer=Adam(beta1=0.8))
    first.run(Batches(X, Y), 3)
    second.follow(first, same_run=False)
    assert second.optimizer_state.t == 0
    assert not any(moment.any() for moment in second.optimizer_state.moments)


@pytest.mark.parametrize("stalled", [False, True])
def test_a_rate_that_has_run_out_on_plateaus_begins_again(stalled):
    first, second = (fast_training(schedule=Adaptive()) for _ in range(2))
    first.clock.plateaus, first.stalled = 4, stalled
    second.follow(first, same_run=False)
    assert second.clock.plateaus == (0 if stalled else 4)
    assert not second.stalled
    second.follow(first, same_run=True)
    assert (second.clock.plateaus, second.stalled) == (4, stalled)


def test_within_a_run_patience_and_the_best_epoch_follow():
    first, second = fast_training(), fast_training()
    first.patience, first.best, first.best_epoch = Patience(0.1, 3), (np.ones(3),), 5
    first.patience.update(0.5)
    second.follow(first, same_run=True)
    assert (second.patience.best, second.best, second.best_epoch) == (0.5, first.best, 5)
    second.patience.update(0.9)
    assert first.patience.best == 0.5
    third = fast_training()
    third.follow(first, same_run=False)
    assert third.patience is third.best is third.best_epoch is None


def test_in_a_series_the_caller_decides_when_to_stop_unless_a_score_does():
    X, Y, _ = problem()

    def call(previous, patience, **settings):
        training = fast_training(schedule=Constant())
        training.network.restore(previous.network.snapshot())
        training.follow(previous, same_run=True)
        return training, training.run(Batches(X, Y), 1, patience=patience, series=True, **settings)

    training = fast_training()
    for calls in range(1, 6):
        training, outcome = call(training, Patience(1e9, 1), watch_validation=False)
        assert outcome == ("exhausted" if calls < 3 else "stalled")
        assert len(training.history["epoch"]) == calls
    training, seen = fast_training(), []
    for calls in range(1, 6):
        validate = scripted([1 / calls], seen)
        training, outcome = call(training, Patience(0.0, 1), validate=validate)
        assert outcome == ("exhausted" if calls < 3 else "stalled")
        assert len(training.history["epoch"]) == min(calls, 3)
        assert training.series
    np.testing.assert_array_equal(training.network.parameters.vector, seen[0])  # the best


def test_an_interrupt_counts_the_epochs_of_its_run_alone():
    X, Y, _ = problem()
    training = fast_training()
    training.run(Batches(X, Y), 4)
    batches = InterruptedBatches(X, Y, batch_size=6, at=6)
    with pytest.warns(UserWarning, match="after 6 epochs; what is left"):
        training.run(batches, 9, kept="what is left")
    assert training.epochs_made == 2


def test_an_interrupt_of_a_resumed_run_counts_the_epochs_before_it():
    X, Y, _ = problem()
    copies = []
    first = fast_training()
    first.run(Batches(X, Y), 2)
    second = fast_training()
    second.follow(first, same_run=False)
    second.run(Batches(X, Y), 4, report=lambda row: copies.append(copy.deepcopy(second)))
    resumed = fast_training()
    resumed.resume(copies[2])  # after three of the four
    with interrupted_after(6):
        resumed.run(Batches(X, Y), 9, report=lambda row: row["epoch"] == 6 and interrupt())
    assert resumed.epochs_made == 4


def test_patience_with_the_training_loss_restores_nothing():
    X, Y, _ = problem()
    patient, plain = fast_training(), fast_training()
    patient.run(Batches(X, Y), 6, patience=Patience(0.0, 9), watch_validation=False)
    plain.run(Batches(X, Y), 6)
    assert patient.best is patient.best_epoch is None
    assert_same(patient, plain)


def test_the_best_parameters_are_kept_in_a_series_and_given_up_after_a_run():
    X, Y, _ = problem()
    for series in (False, True):
        training = fast_training()
        validate = scripted([0.5, 0.3], [])
        patience = Patience(0.0, 9)
        training.run(Batches(X, Y), 2, patience=patience, validate=validate, series=series)
        assert (training.best is not None) is series
        assert training.best_epoch == 1


def test_without_moments_a_training_is_small_and_starts_them_anew():
    X, Y, _ = problem()
    training = fast_training(optimizer=Adam(beta1=0.7))
    training.run(Batches(X, Y), 3)
    stored = pickle.dumps(training.without_moments())
    assert len(stored) < len(pickle.dumps(training)) - 2 * training.network.parameters.vector.nbytes
    restored = pickle.loads(stored)
    assert_same(restored, training)
    assert restored.optimizer == training.optimizer
    assert restored.optimizer_state.t == 0
    restored.run(Batches(X, Y), 1)
    assert training.optimizer_state.t == 3


def test_a_pickle_does_not_hold_the_rates_that_follow_from_the_network():
    network = small_network(learned_scales=True, layerwise_rates=True)
    training = training_of(network)
    before = len(pickle.dumps(training))
    assert training.rates is not None
    assert len(pickle.dumps(training)) == before
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(training)).rates, training.rates)


# --- What is told ---------------------------------------------------------------------------


def test_the_score_of_the_training_rows_is_recorded_if_it_is_measured():
    X, Y, _ = problem()
    training = training_of(small_network())
    networks = []

    def score_training(network):
        networks.append(network)
        return 7.0, 0.25 * len(networks)

    training.run(Batches(X, Y), 2, score_training=score_training)
    assert training.history["train_score"] == [0.25, 0.5]
    assert all(network is training.network for network in networks)
    training.run(Batches(X, Y), 1)
    assert math.isnan(training.history["train_score"][2])
    assert 0 <= min(training.history["seconds"]) < max(training.history["seconds"]) < 60


PLACES = ["the embedding", "hidden layer 1 of 2", "hidden layer 2 of 2", "the output layer"]


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("embedding", [None, Periodic(n_frequencies=2)])
def test_a_divergence_is_said_to_have_begun_in_a_layer(place, embedding):
    if place == 0 and embedding is None:
        return
    edges = [] if embedding is None else [np.linspace(-1, 1, 5)] * 3
    network = Network([3, 4, 5, 2], [Tanh(), Tanh()], embedding=embedding, edges=edges)
    training = training_of(randomized(network), learning_rate=0.25)
    arrays = [views for views in network.per_layer(network.parameters) if views]
    arrays[place - (embedding is None)][0].flat[-1] = np.nan
    message = (
        "Training diverged: the loss or the parameters became non-finite in epoch 1, at learning "
        f"rate 0.25, first in the parameters of {PLACES[place]}. Try a smaller learning_rate, "
        "scaled inputs, or another optimizer or initializer."
    )
    with pytest.raises(DivergenceError) as caught:
        training._check_finite()
    assert str(caught.value) == message
    with pytest.raises(DivergenceError) as caught:
        training.run(Batches(np.ones((2, 3)), np.ones((2, 2))), 1)
    assert str(caught.value) == message


def test_a_divergence_may_have_begun_elsewhere():
    X, Y, _ = problem()
    training = training_of(small_network(normalization="batch"))
    training.network.statistics.vector[0] = np.inf
    with pytest.raises(DivergenceError, match="first in the running averages"):
        training._check_finite()
    training = training_of(small_network())
    with pytest.raises(DivergenceError, match="first in the validation loss"):
        training.run(Batches(X, Y), 1, validate=lambda network: (np.inf, 0.5))
    with pytest.raises(DivergenceError, match="first in the sum of the losses"):
        training._check_finite(np.inf, "the sum of the losses")
    with pytest.raises(DivergenceError, match=r"first in the loss, .* of outputs up to \d"):
        training.run(Batches(X, 1e200 * Y), 1)


@pytest.mark.parametrize("l2", [0.5, 1.0, 2.0])
def test_the_penalty_is_half_the_squared_weights_by_the_rows(l2):
    X, Y, _ = problem(n_rows=5)
    network = small_network()
    workspace = Workspace(network, 5, training=True)
    values = [
        loss_and_gradient(training_of(network, l2=strength), X, Y, None, workspace)
        for strength in (0.0, l2)
    ]
    squares = sum(np.sum(layer.W**2) for layer in network.dense)
    assert values[1] - values[0] == pytest.approx(l2 / 2 * squares / 5, rel=1e-12)
