"""The step: against loops over single numbers, and what it leaves alone."""

import copy
import math
import pickle
import tracemalloc
from functools import partial

import numpy as np
import pytest

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
    Batch,
    Batches,
    Cosine,
    DivergenceError,
    LeakyReLU,
    Optimizer,
    ReLU,
    Schedule,
    SoftmaxLogLoss,
    StepDecay,
    fit,
    lookup,
    loss_and_gradient,
    train_step,
)
from skscratch.nn.blocks import BLOCK
from skscratch.nn.step import clip

from . import reference
from .checks import (
    Float32Only,
    batch_of,
    column,
    duplicates,
    learner_of,
    mean_one_weights,
    network_of,
    numbers,
    peak_of,
    problem,
    randomized,
    small_network,
    streams_of,
    value_and_gradient,
    with_numpy_scalars,
)

optimizers = pytest.mark.parametrize("optimizer", OPTIMIZERS)
normalizations = pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@optimizers
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("block", [BLOCK, 8])
def test_mini_batch_training_matches_the_loops(optimizer, loss, block, monkeypatch):
    """Every number of it: batches in order, weights, L2 or decay, losses, rates, moments."""
    for module in ("blocks", "optimizers", "workspace"):
        monkeypatch.setattr(f"skscratch.nn.{module}.BLOCK", block)
    loss, optimizer = LOSSES[loss](), OPTIMIZERS[optimizer]()
    X, Y, weights = problem(loss, n_rows=7)
    network = small_network()
    Ws = [layer.W.tolist() for layer in network.dense]
    bs = [layer.b[0].tolist() for layer in network.dense]
    l2, mean_weight, epochs, schedule = 0.2, 1.5, 4, Cosine()
    learner = learner_of(
        network, loss=loss, optimizer=optimizer, schedule=schedule, learning_rate=0.05, l2=l2,
        mean_weight=mean_weight,
    )  # fmt: skip
    progress = fit(learner, Batches(X, Y, weights, batch_size=3), epochs)

    W_moves = [[[reference.optimizer(optimizer) for _ in row] for row in W] for W in Ws]
    b_moves = [[reference.optimizer(optimizer) for _ in b] for b in bs]
    decoupled = optimizer.decoupled_decay
    for epoch, row in enumerate(progress.rows):
        clock = copy.copy(progress.clock)
        clock.epoch = epoch
        lr = reference.rate(schedule, 0.05, clock)
        losses, norms = [], []
        for start in range(0, 7, 3):
            rows = slice(start, start + 3)
            value, dWs, dbs = reference.loss_and_gradients(
                Ws, bs, network.architecture.activations, loss, X[rows].tolist(), Y[rows],
                weights[rows], l2=0.0 if decoupled else l2, mean_weight=mean_weight,
            )  # fmt: skip
            losses.append(value * len(X[rows]))
            squares = [g**2 for dW in dWs for row_of_dW in dW for g in row_of_dW]
            norms.append(math.sqrt(sum(squares) + sum(g**2 for db in dbs for g in db)))
            for W, dW, moves in zip(Ws, dWs, W_moves, strict=True):
                for j in range(len(W)):
                    for k in range(len(W[j])):
                        W[j][k] -= lr * l2 * W[j][k] if decoupled else 0
                        W[j][k] += moves[j][k](dW[j][k], lr)
            for b, db, moves in zip(bs, dbs, b_moves, strict=True):
                for k in range(len(b)):
                    b[k] += moves[k](db[k], lr)
        assert row["loss"] == pytest.approx(sum(losses) / 7, rel=1e-9)
        assert row["gradient_norm"] == pytest.approx(np.mean(norms), rel=1e-8)
        assert row["learning_rate"] == pytest.approx(lr, rel=1e-12)
    for layer, W, b in zip(network.dense, Ws, bs, strict=True):
        np.testing.assert_allclose(layer.W, W, rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(layer.b[0], b, rtol=1e-8, atol=1e-12)


@optimizers
def test_a_step_returns_the_loss_before_the_move_and_goes_downhill(optimizer):
    learner = learner_of(small_network(), optimizer=OPTIMIZERS[optimizer](), l2=0.1)
    batch = batch_of(*problem())
    workspace = learner.workspace(batch.n_rows)
    before = loss_and_gradient(learner, batch, workspace)
    length = math.sqrt(math.fsum(workspace.gradient.vector**2))
    value, norm = train_step(learner, batch, workspace, 1e-3)
    assert value == before
    assert norm == pytest.approx(length, rel=1e-14)
    assert loss_and_gradient(learner, batch, workspace) < before


@optimizers
def test_loss_and_gradient_moves_nothing(optimizer):
    learner = learner_of(small_network(), optimizer=OPTIMIZERS[optimizer](), l2=0.1)
    kept, batch = numbers(learner.network), batch_of(*problem())
    loss_and_gradient(learner, batch, learner.workspace(batch.n_rows))
    np.testing.assert_array_equal(numbers(learner.network), kept)
    assert learner.state.t == 0


@optimizers
def test_a_step_whose_loss_is_not_finite_moves_nothing(optimizer):
    X, Y, _ = problem()
    learner = learner_of(
        small_network(normalization="layer"), optimizer=OPTIMIZERS[optimizer](), l2=0.1
    )
    workspace = learner.workspace(len(X))
    train_step(learner, batch_of(X, Y), workspace, 1e-3)
    kept, state = numbers(learner.network), copy.deepcopy(learner.state)
    Y[3] = np.inf
    with pytest.raises(DivergenceError), np.errstate(invalid="ignore"):
        train_step(learner, batch_of(X, Y), workspace, 1e-3)
    np.testing.assert_array_equal(numbers(learner.network), kept)
    assert learner.state.t == state.t == 1
    for now, before in zip(learner.state.moments, state.moments, strict=True):
        np.testing.assert_array_equal(now, before)


def test_weights_of_outputs_train_like_a_row_for_each_output():
    """With the identity as the only layer, where outputs have nothing in common."""
    X, Y, _ = problem()
    weights = mean_one_weights(np.random.default_rng(5), 11, 2)
    together = randomized(network_of([3, 2]))
    value, gradient = value_and_gradient(together, X, Y, weights)
    total = 0.0
    for k in range(2):
        alone = network_of([3, 1])
        alone.dense[0].W[...] = together.dense[0].W[:, [k]]
        alone.dense[0].b[...] = together.dense[0].b[:, [k]]
        own, own_gradient = value_and_gradient(alone, X, Y[:, [k]], weights[:, [k]])
        total += own / 2
        np.testing.assert_allclose(gradient[[k, 2 + k, 4 + k, 6 + k]], own_gradient / 2, rtol=1e-12)
    assert value == pytest.approx(total, rel=1e-13)


# --- Penalty and decay ------------------------------------------------------------------------


@pytest.mark.parametrize("l2", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("mean_weight", [1.0, 2.5])
@pytest.mark.parametrize("block", [BLOCK, 8])
def test_the_penalty_is_half_the_squared_weights_by_the_rows(l2, mean_weight, block, monkeypatch):
    for module in ("blocks", "workspace"):
        monkeypatch.setattr(f"skscratch.nn.{module}.BLOCK", block)
    X, Y, _ = problem(n_rows=5)
    network = small_network()
    (plain, free), (penalized, gradient) = (
        value_and_gradient(network, X, Y, l2=strength, mean_weight=mean_weight)
        for strength in (0.0, l2)
    )
    squares = sum(np.sum(layer.W**2) for layer in network.dense)
    assert penalized - plain == pytest.approx(l2 / 2 * squares / 5 / mean_weight, rel=1e-12)
    W = network.parameters.penalized
    difference = gradient - free
    np.testing.assert_allclose(difference[: W.size], l2 * W / 5 / mean_weight, rtol=1e-12)
    np.testing.assert_array_equal(difference[W.size :], 0)


def test_networks_side_by_side_have_penalties_of_their_own():
    """By their own strengths, mean weights and numbers of rows that count."""
    X, Y, _ = problem(n_rows=6)
    network = small_network(stack=(3,))
    l2, mean_weight, n_rows = column([0.0, 2.0, 3.0]), column([1.0, 1.0, 2.5]), column([6, 4, 5])
    workspace = learner_of(network).workspace(6)
    batch = Batch(X, Y, counts=n_rows)
    plain = loss_and_gradient(learner_of(network), batch, workspace)
    learner = learner_of(network, l2=l2, mean_weight=mean_weight)
    penalized = loss_and_gradient(learner, batch, workspace)
    squares = np.sum(network.parameters.penalized**2, axis=-1)
    expected = (l2 / 2 / mean_weight / n_rows)[:, 0] * squares
    np.testing.assert_allclose(penalized - plain, expected, rtol=1e-10, atol=1e-14)
    assert not learner_of(network, l2=column([0.0, 0.0, 0.0])).is_penalized
    assert not learner_of(network, l2=l2, optimizer=AdamW()).is_penalized


def test_decoupled_decay_shrinks_weights_only_and_stays_out_of_the_loss():
    """At a point without gradient nothing else moves: W -= lr l2 W, and the loss is 0."""
    X = np.random.default_rng(1).standard_normal((6, 3))
    network = small_network(stack=(2,))
    target, start = network.predict(X), network.parameters.vector.copy()
    l2 = column([0.3, 0.0])
    learner = learner_of(network, optimizer=AdamW(), l2=l2)
    workspace = learner.workspace(6)
    value, norm = train_step(learner, Batch(X, target), workspace, 0.1)
    np.testing.assert_allclose(value, 0, atol=1e-25)
    np.testing.assert_array_less(norm, 1e-14)
    np.testing.assert_array_less(np.abs(workspace.gradient.vector), 1e-14)
    n_weights = 3 * 4 + 4 * 2
    # Adam turns rounding errors of the gradient into at most tiny moves: epsilon bounds them.
    expected = start * np.where(np.arange(start.shape[-1]) < n_weights, 1 - 0.1 * l2, 1)
    np.testing.assert_allclose(network.parameters.vector, expected, rtol=1e-6, atol=1e-7)


@optimizers
def test_without_l2_adamw_is_adam_and_with_it_no_optimizer_ignores_it(optimizer):
    X, Y, weights = problem()
    ends = []
    for l2 in (0.0, 0.5):
        learner = learner_of(small_network(), optimizer=OPTIMIZERS[optimizer](), l2=l2)
        fit(learner, Batches(X, Y, weights, batch_size=4), 3)
        ends.append(numbers(learner.network))
    assert not np.allclose(*ends, rtol=1e-3)
    if optimizer == "adamw":
        adam = learner_of(small_network(), optimizer=Adam())
        fit(adam, Batches(X, Y, weights, batch_size=4), 3)
        np.testing.assert_array_equal(ends[0], numbers(adam.network))


# --- Clipping ---------------------------------------------------------------------------------


@optimizers
@pytest.mark.parametrize("clip_norm", [1e-6, 0.1, 1e6])
def test_the_optimizer_gets_the_gradient_shortened_to_the_bound(optimizer, clip_norm):
    """Penalty included, and with moments: they see the clipped gradient, too."""
    batch = batch_of(*problem())
    optimizer = OPTIMIZERS[optimizer]()
    clipped, by_hand = (
        learner_of(small_network(), optimizer=optimizer, l2=0.5, clip_norm=bound)
        for bound in (clip_norm, None)
    )
    vector = by_hand.network.parameters.vector
    workspaces = [learner.workspace(batch.n_rows) for learner in (clipped, by_hand)]
    for _ in range(3):
        value, norm = train_step(clipped, batch, workspaces[0], 0.1)
        assert value == loss_and_gradient(by_hand, batch, workspaces[1])
        gradient = workspaces[1].gradient.vector
        length = np.linalg.norm(gradient)
        assert norm == pytest.approx(length, rel=1e-13)  # of the whole gradient
        shortened = gradient * min(1, clip_norm / length)
        np.testing.assert_allclose(
            workspaces[0].gradient.vector, shortened, rtol=1e-12, atol=1e-300
        )
        if optimizer.decoupled_decay:
            by_hand.network.parameters.penalized *= 1 - 0.1 * 0.5
        optimizer.step(vector, shortened, 0.1, by_hand.state)
        # Divide by what clipping made tiny, and its rounding shows.
        np.testing.assert_allclose(clipped.network.parameters.vector, vector, rtol=1e-7)
        vector[...] = clipped.network.parameters.vector


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        (5.0, [[3, 4], [0.3, 0.4], [0, 0]]),
        (column([10.0, 0.25, 1.0]), [[6, 8], [0.15, 0.2], [0, 0]]),
        (None, [[30, 40], [0.3, 0.4], [0, 0]]),
    ],
    ids=["shared", "own", "none"],
)
@dtypes
def test_each_network_of_a_stack_is_clipped_by_its_own_norm(bound, expected, dtype):
    gradient = np.zeros((3, 8), dtype)
    gradient[:2, :2] = [[30, 40], [0.3, 0.4]]
    bound = bound.astype(dtype) if isinstance(bound, np.ndarray) else bound
    with np.errstate(over="ignore"):  # as in an epoch
        norm = clip(gradient, bound)
    np.testing.assert_allclose(norm, [50, 0.5, 0], rtol=1e-6)
    np.testing.assert_allclose(gradient[:, :2], expected, rtol=1e-6)
    assert not gradient[:, 2:].any()
    assert norm.dtype == gradient.dtype == dtype


@dtypes
def test_no_bound_and_one_that_is_never_met_leave_the_run_as_it_is(dtype):
    X, Y, weights = (array.astype(dtype) for array in problem())
    results = []
    for clip_norm in (None, 1e6):
        learner = learner_of(small_network(dtype=dtype), optimizer=Adam(), clip_norm=clip_norm)
        progress = fit(learner, Batches(X, Y, weights, batch_size=4), 3)
        results.append((numbers(learner.network), progress.history["gradient_norm"]))
    for without, with_bound in zip(*results, strict=True):
        np.testing.assert_array_equal(without, with_bound)


@dtypes
def test_clipping_leaves_a_gradient_of_zero_alone(dtype):
    gradient = np.zeros(8, dtype)
    with np.errstate(over="ignore"):  # as in an epoch
        assert clip(gradient, 1e3) == 0
    np.testing.assert_array_equal(gradient, 0)


def test_clipping_tames_a_run_that_explodes_without_it():
    X, Y, _ = problem(n_rows=40)
    losses = []
    for clip_norm in (None, 0.1):
        learner = learner_of(small_network(), learning_rate=10.0, clip_norm=clip_norm)
        losses.append(fit(learner, Batches(X, 10 * Y), 30).history["loss"])
    assert losses[0][-1] > 1e30
    assert losses[1] == sorted(losses[1], reverse=True)


# --- Precision --------------------------------------------------------------------------------


@optimizers
@normalizations
@pytest.mark.parametrize("learned_scales", [False, True])
def test_float32_stays_float32(optimizer, normalization, learned_scales):
    batch = batch_of(*(array.astype(np.float32) for array in problem()))
    network = small_network(
        [0.5], normalization=normalization, learned_scales=learned_scales, dtype=np.float32
    )
    learner = learner_of(
        network, optimizer=OPTIMIZERS[optimizer](), l2=0.1, clip_norm=0.5, streams=streams_of(0)
    )
    workspace = learner.workspace(batch.n_rows)
    value, norm = train_step(learner, batch, workspace, 0.1)
    assert norm > 0.5
    arrays = [*network.vectors, *learner.state.scratch, *learner.state.moments]
    arrays += [value, norm, workspace.gradient.vector, network.dense[0].coefficients]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


def test_float32_is_never_computed_in_double_side_by_side():
    """Whatever is each network's own is of the network's dtype, also where rows are missing."""
    X, Y, weights = (array.astype(np.float32) for array in problem(n_rows=6))
    network = small_network(stack=(3,), dtype=np.float32)
    own = column([0.1, 0.2, 0.3])
    learner = learner_of(
        network, optimizer=AdamW(), learning_rate=own, l2=own, clip_norm=own, mean_weight=1 + own
    )
    for name in ("learning_rate", "l2", "clip_norm", "mean_weight"):
        assert getattr(learner, name).dtype == np.float32
    learner.optimizer = Adam()  # with which the penalty is part of the loss
    workspace = learner.workspace(6)
    workspace.gradient.vector = workspace.gradient.vector.view(Float32Only)
    workspace.gradient.penalized = workspace.gradient.penalized.view(Float32Only)
    network.parameters.penalized = network.parameters.penalized.view(Float32Only)
    batch = Batch(X, Y, weights, column([6, 4, 5]))
    value, norm = train_step(learner, batch, workspace, learner.learning_rate)
    assert {np.asarray(array).dtype for array in (value, norm)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", ACTIVATIONS)
@normalizations
def test_float32_trains_like_float64(name, normalization):
    ends = []
    for dtype in (np.float32, np.float64):
        network = randomized(
            network_of([3, 6, 2], [ACTIVATIONS[name]()], normalization=normalization, dtype=dtype)
        )
        data = (array.astype(dtype) for array in problem())
        learner = learner_of(network, optimizer=Adam(epsilon=1e-3), learning_rate=0.01)
        fit(learner, Batches(*data, batch_size=4), 10)
        ends.append(network.parameters.vector)
    np.testing.assert_allclose(*ends, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["activation", "optimizer", "schedule"])
def test_numpy_scalars_as_hyperparameters_train_bit_for_bit_like_python_floats(kind):
    """A search grid made by np.linspace has them; they must not drag float32 through double."""
    data = [array.astype(np.float32) for array in problem(n_rows=40)]
    ends = []
    for convert in (lambda option: option, with_numpy_scalars):
        options = {
            "activation": LeakyReLU(0.3),
            "optimizer": SGD(0.7),
            "schedule": StepDecay(0.3, 1),
        }
        options[kind] = convert(options[kind])
        activation = lookup("activation", options["activation"], ACTIVATIONS, Activation)
        optimizer = lookup("optimizer", options["optimizer"], OPTIMIZERS, Optimizer)
        schedule = lookup("schedule", options["schedule"], SCHEDULES, Schedule)
        network = randomized(network_of([3, 30, 2], [activation], dtype=np.float32))
        learner = learner_of(network, optimizer=optimizer, schedule=schedule)
        fit(learner, Batches(*data, batch_size=4), 4)
        ends.append(network.parameters.vector)
    np.testing.assert_array_equal(*ends)


# --- Copies -----------------------------------------------------------------------------------


@optimizers
@duplicates
@pytest.mark.parametrize("stack", [(), (2,)])
def test_a_copied_learner_goes_on_alike_and_apart(optimizer, duplicate, stack):
    batch = batch_of(*problem())
    learner = learner_of(
        small_network([0.5], normalization="batch", stack=stack),
        optimizer=OPTIMIZERS[optimizer](),
        streams=streams_of(1, 2)[: len(stack) + 1],
        l2=0.1,
    )
    train_step(learner, batch, learner.workspace(11), 0.1)
    other, kept = duplicate(learner), numbers(learner.network)
    train_step(other, batch, other.workspace(11), 0.1)
    np.testing.assert_array_equal(numbers(learner.network), kept)
    train_step(learner, batch, learner.workspace(11), 0.1)
    np.testing.assert_array_equal(numbers(learner.network), numbers(other.network))
    assert not np.array_equal(numbers(learner.network), kept)


@optimizers
def test_a_member_of_a_learner_makes_the_step_that_the_stack_does(optimizer):
    numbers_of_each = {"learning_rate": 0.05, "l2": 0.3, "clip_norm": 0.5, "mean_weight": 1.5}
    stack = learner_of(
        network_of([3, 4, 2], [LeakyReLU()], [0.4], stack=(2, 3)),
        optimizer=OPTIMIZERS[optimizer](),
        streams=streams_of(*range(6)),
        **{k: v * np.linspace(1, 2, 6).reshape(2, 3, 1) for k, v in numbers_of_each.items()},
    )
    randomized(stack.network)
    batch = Batch(*np.random.default_rng(2).standard_normal((2, 6, 3)))
    batch = batch._replace(Y=batch.Y[:, :2])
    train_step(stack, batch, stack.workspace(6), stack.learning_rate)
    members = [copy.deepcopy(stack.member(index)) for index in np.ndindex(2, 3)]
    train_step(stack, batch, stack.workspace(6), stack.learning_rate)
    for index, member in zip(np.ndindex(2, 3), members, strict=True):
        assert type(member.learning_rate) is float
        train_step(member, batch, member.workspace(6), member.learning_rate)
        expected = stack.network.parameters.vector[index]
        np.testing.assert_allclose(
            member.network.parameters.vector, expected, rtol=1e-9, atol=1e-12
        )


def test_a_file_for_prediction_has_no_moments_and_they_start_anew():
    batch = batch_of(*problem())
    learner = learner_of(small_network(), optimizer=Adam(beta1=0.7))
    train_step(learner, batch, learner.workspace(11), 0.1)
    stored = pickle.dumps(learner.without_state())
    size = learner.network.parameters.vector.nbytes
    assert len(stored) < len(pickle.dumps(learner)) - 2 * size
    other = pickle.loads(stored)
    np.testing.assert_array_equal(numbers(other.network), numbers(learner.network))
    assert other.optimizer == learner.optimizer
    assert (other.state.t, learner.state.t) == (0, 1)
    train_step(other, batch, other.workspace(11), 0.1)


# --- Memory -----------------------------------------------------------------------------------

# NumPy buffers its loops for broadcasting and casts, by 8192 elements at most, some 64 KiB; the
# hidden layers' arrays have more, 256 KiB in the small network and 1 MiB in the large one.
ROWS = 256
SIZES = {"small": (128,), "large": (512, 512)}
BUFFERS = 250_000


def assert_flat(**settings):
    """Neither network's peak has room for an array of its size, nor do the two differ by one.

    NumPy 2.0 buffers blocks of a stack, whose rows are apart in memory: 64 KiB for each of up to
    three operands, however large the network is.
    """
    peaks = {name: peak_of_a_step(hidden, **settings) for name, hidden in SIZES.items()}
    assert peaks["large"] < BUFFERS, peaks
    assert peaks["large"] < peaks["small"] + 150_000, peaks


def peak_of_a_step(
    hidden, activation="relu", optimizer="adam", *, dropout=0.0, stack=(), learner=(), **settings
):
    """Peak allocation of a training step after two others, in bytes."""
    network = network_of(
        [20, *hidden, 3], [ACTIVATIONS[activation]() for _ in hidden], [dropout] * len(hidden),
        stack=stack, **settings,
    )  # fmt: skip
    randomized(network, scale=0.05)
    if settings.get("learned_scales"):
        network.dense[0].t[...] /= 60
    learner = learner_of(
        network,
        loss=SoftmaxLogLoss(),
        optimizer=OPTIMIZERS[optimizer](),
        **{"l2": 0.1, **dict(learner)},
        streams=streams_of(*range(math.prod(stack))),
    )
    batch = batch_of(*problem(learner.loss, n_rows=ROWS, n_in=20, n_outputs=3))
    step = partial(train_step, learner, batch, learner.workspace(ROWS), 1e-3)
    step()
    step()
    return peak_of(step)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_step_allocates_no_more_for_a_larger_network(activation, dropout):
    assert_flat(activation=activation, dropout=dropout)


@optimizers
@pytest.mark.parametrize("learned_scales", [False, True])
def test_a_step_of_no_optimizer_allocates_more_for_a_larger_network(optimizer, learned_scales):
    assert_flat(optimizer=optimizer, learned_scales=learned_scales)


@normalizations
@pytest.mark.parametrize("clip_norm", [None, 1e-3])
def test_a_step_with_normalization_or_clipping_allocates_no_more_for_a_larger_network(
    normalization, clip_norm
):
    assert_flat(normalization=normalization, learner={"clip_norm": clip_norm})


@optimizers
def test_a_step_of_a_stack_allocates_no_more_for_larger_networks(optimizer):
    own = column([0.1, 0.2])
    settings = {"learning_rate": own, "l2": own, "clip_norm": own}
    assert_flat(optimizer=optimizer, dropout=own, stack=(2,), learner=settings)


@pytest.mark.parametrize("shuffle", [False, True])
def test_an_epoch_allocates_no_more_for_a_larger_network(shuffle):
    data = problem(n_rows=3 * ROWS - 20, n_in=20)
    network = randomized(network_of([20, 512, 512, 2], [ReLU(), ReLU()]), scale=0.02)
    learner = learner_of(network, optimizer=Adam())
    batches = Batches(*data, batch_size=ROWS, streams=streams_of(0) if shuffle else ())
    peaks = []

    def begin():
        tracemalloc.start()

    def report(row):
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    fit(learner, batches, 3, begin=begin, report=report)
    assert max(peaks[1:]) < BUFFERS
