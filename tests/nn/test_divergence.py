"""Divergence: what is noticed, in which words, and what it leaves alone."""

import numpy as np
import pytest
import scipy.sparse

from skscratch.nn import (
    LOSSES,
    NORMALIZATIONS,
    OPTIMIZERS,
    Adam,
    Batches,
    DivergenceError,
    Patience,
    Periodic,
    Progress,
    ReLU,
    SparseRows,
    Tanh,
    fit,
    train_step,
)
from skscratch.nn.fit import check

from .checks import (
    batch_of,
    column,
    learner_of,
    network_of,
    numbers,
    problem,
    randomized,
    small_network,
    streams_of,
)

REMEDY = "Try a smaller learning_rate, scaled inputs, or another optimizer or initializer."
PLACES = ["the embedding", "hidden layer 1 of 2", "hidden layer 2 of 2", "the output layer"]
normalizations = pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])


# --- What is noticed --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_loss_that_explodes_names_the_epoch_the_rate_and_a_remedy(dtype):
    X, Y, _ = (array.astype(dtype) for array in problem())
    network = randomized(network_of([3, 4, 2], [ReLU()], dtype=dtype))
    progress = Progress()
    with pytest.raises(DivergenceError) as caught:
        fit(learner_of(network, learning_rate=1e8), Batches(X, Y), 100, progress)
    assert 0 < progress.epochs < 100
    message, remedy = caught.value.args
    assert message.startswith(
        "Training diverged: the loss or the parameters became non-finite in epoch "
        f"{progress.epochs + 1}, at learning rate 1e+08, first in the "
    )
    assert remedy == REMEDY
    assert str(caught.value) == f"{message} {remedy}"


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("loss", LOSSES)
def test_inputs_that_are_not_finite_diverge_in_the_first_epoch_that_has_them(value, loss):
    X, Y, _ = problem(LOSSES[loss]())
    learner = learner_of(small_network(), loss=LOSSES[loss](), learning_rate=1e-3)
    batches, progress = Batches(X, Y, batch_size=4), Progress()
    fit(learner, batches, 2, progress)
    X[7, 1] = value
    Y[7] = value if loss == "squared_error" else Y[7]
    progress.ended = ""
    with pytest.raises(DivergenceError, match=r"in epoch 3,.* of hidden layer 1 of 1\."):
        fit(learner, batches, 4, progress)
    assert progress.epochs == 2


def test_an_infinite_loss_diverges_though_all_parameters_are_finite():
    X, Y, _ = problem()
    learner = learner_of(small_network(), learning_rate=1e-300)
    with pytest.raises(DivergenceError, match=r"first in the loss, .* of outputs up to \d"):
        fit(learner, Batches(X, 1e200 * Y), 1)
    assert np.isfinite(numbers(learner.network)).all()


def test_parameters_that_the_last_step_spoiled_diverge():
    """The loss is that before each step, so that it does not show what the last one did."""
    X = Y = np.full((4, 1), 1e3)
    learner = learner_of(network_of([1, 1]), learning_rate=1e308)
    with pytest.raises(DivergenceError, match="first in the parameters of the output layer"):
        fit(learner, Batches(X, Y), 1)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("stack", [(), (1,), (2,)])
def test_finite_parameters_whose_outputs_overflow_diverge(sign, stack):
    X, Y = np.full((3, 1), 1e100), np.full((3, 1), sign * 1e50)
    message = "epoch 1, .* first in the outputs of the network after the last step"
    learner = learner_of(network_of([1, 1], stack=stack), learning_rate=1e60)
    with pytest.raises(DivergenceError, match=message):
        fit(learner, Batches(X[:1], Y[:1]), 1)
    if not stack:
        assert np.isfinite(numbers(learner.network)).all()
        assert (np.sign(learner.network.parameters.vector) == sign).all()
    # The last batch may be smaller than the room for batches.
    X[:2], Y[:2] = 0, 0
    learner = learner_of(network_of([1, 1], stack=stack), learning_rate=1e60)
    with pytest.raises(DivergenceError, match=message):
        fit(learner, Batches(X, Y, batch_size=2), 1)


@pytest.mark.parametrize("stack", [(), (2,)])
def test_losses_whose_sum_overflows_diverge(stack):
    Y = np.full((3, 1), 1.2e154)  # a loss of 0.7e308 each
    learner = learner_of(network_of([1, 1], stack=stack), learning_rate=1e-300)
    with pytest.raises(DivergenceError, match="first in the sum of the losses"):
        fit(learner, Batches(np.zeros((3, 1)), Y, batch_size=1), 1)


@pytest.mark.parametrize("loss", [np.inf, np.nan, np.array([np.nan, np.inf])])
def test_a_validation_loss_that_is_not_finite_diverges(loss):
    X, Y, _ = problem()
    learner = learner_of(small_network(stack=np.shape(loss)))
    with pytest.raises(DivergenceError, match="first in the validation loss"):
        fit(learner, Batches(X, Y), 1, validate=lambda network: (loss, 0.5))


@pytest.mark.parametrize("loss", [0.5, np.array([np.nan, 0.5])])
def test_a_validation_loss_that_is_finite_for_some_network_does_not(loss):
    X, Y, _ = problem()
    learner = learner_of(small_network(stack=np.shape(loss)))
    assert fit(learner, Batches(X, Y), 2, validate=lambda network: (loss, 0.5)).epochs == 2


# --- In which words ---------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("embedding", [None, Periodic(n_frequencies=2)])
def test_a_divergence_is_said_to_have_begun_in_a_layer(place, embedding):
    if place == 0 and embedding is None:
        return
    edges = [] if embedding is None else [np.linspace(-1, 1, 5)] * 3
    network = network_of([3, 4, 5, 2], [Tanh(), Tanh()], embedding=embedding, edges=edges)
    learner = learner_of(randomized(network), learning_rate=0.25)
    arrays = [views for views in network.per_layer(network.parameters) if views]
    arrays[place - (embedding is None)][0].flat[-1] = np.nan
    where = f"the parameters of {PLACES[place]}"
    with pytest.raises(DivergenceError) as caught:
        check(learner)
    assert str(caught.value) == where
    learner.diverged.clear()
    with pytest.raises(DivergenceError) as caught:
        fit(learner, Batches(np.ones((2, 3)), np.ones((2, 2))), 1)
    assert str(caught.value) == (
        "Training diverged: the loss or the parameters became non-finite in epoch 1, at learning "
        f"rate 0.25, first in {where}. {REMEDY}"
    )


@normalizations
@pytest.mark.parametrize("place", [1, 2, 3])
def test_outputs_that_overflow_are_said_to_be_those_of_a_layer(place, normalization):
    network = network_of([3, 4, 5, 2], [ReLU(), ReLU()], normalization=normalization)
    network.parameters.vector[...] = 1
    network.dense[place - 1].W[...] = 1e308
    X, Y, _ = problem()
    with pytest.raises(DivergenceError, match=f"first in the outputs of {PLACES[place]}"):
        fit(learner_of(network), Batches(np.abs(X) + 1, Y), 1)


def test_running_averages_may_be_what_is_not_finite():
    learner = learner_of(small_network(normalization="batch"))
    learner.network.statistics.vector[0] = np.inf
    with pytest.raises(DivergenceError, match=r"^the running averages$"):
        check(learner)


def test_sparse_inputs_are_followed_through_the_layers():
    X, Y, _ = problem()
    rows = SparseRows(scipy.sparse.csr_array(X), np.float64, np.array([[1e200, 0, 0]]))
    learner = learner_of(randomized(network_of([3, 4, 2], [ReLU()])))
    learner.network.dense[0].W[0] = 1e200
    with pytest.raises(DivergenceError, match="the outputs of hidden layer 1 of 1"):
        fit(learner, Batches(rows, Y), 1)


# --- What it leaves alone ---------------------------------------------------------------------


@normalizations
def test_a_step_that_diverges_moves_nothing(normalization):
    X, Y, _ = problem()
    network = small_network([0.5], normalization=normalization)
    learner = learner_of(network, optimizer=Adam(), streams=streams_of(0))
    workspace = learner.workspace(11)
    train_step(learner, batch_of(X, Y), workspace, 0.1)
    kept = network.parameters.vector.copy()
    moments = [moment.copy() for moment in learner.state.moments]
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(DivergenceError):
        train_step(learner, batch_of(X, 1e200 * Y), workspace, 0.1)
    np.testing.assert_array_equal(network.parameters.vector, kept)
    for now, before in zip(learner.state.moments, moments, strict=True):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@normalizations
@pytest.mark.parametrize("how", ["inputs", "loss", "rate", "outputs"])
def test_the_others_of_a_stack_are_bit_for_bit_what_they_are_without_the_one_that_diverges(
    optimizer, normalization, how
):
    """With dropout and running averages, which the search for its beginning must not move."""
    X, Y, weights = problem(n_rows=30)
    rows = [np.arange(12), np.arange(9, 20), np.arange(20, 29)]

    def trained(spoiled):
        x, y = X.copy(), Y.copy()
        network = small_network([0.4], normalization=normalization, stack=(3,))
        learner = learner_of(
            network, optimizer=OPTIMIZERS[optimizer](), l2=0.1, learning_rate=column([0.01] * 3),
            streams=streams_of(1, 2, 3), clip_norm=None if how == "rate" else 5.0,
        )  # fmt: skip
        batches = Batches(x, y, weights, batch_size=6, streams=streams_of(4, 5, 6), rows=rows)
        progress = fit(learner, batches, 2)
        if spoiled and how == "inputs":
            x[15] = np.nan
        elif spoiled and how == "loss":  # its gradient is finite
            y[15] = 1e200
        elif spoiled and how == "rate":
            learner.learning_rate[1] = 1e308
        elif spoiled:
            network.dense[-1].b[1] = 1.2e308
            network.dense[-1].W[1] = 1e308
        progress.ended = ""
        fit(learner, batches, 5, progress)
        return learner, progress

    (healthy, expected), (learner, progress) = trained(False), trained(True)
    assert healthy.diverged == {}
    assert list(learner.diverged) == [(1,)]
    for k in (0, 2):
        np.testing.assert_array_equal(numbers(learner.network)[k], numbers(healthy.network)[k])
        for name in ("loss", "gradient_norm", "learning_rate"):
            ours, its = ([row[name][k] for row in p.rows] for p in (progress, expected))
            assert ours == its
        for ours, its in zip(learner.state.moments, healthy.state.moments, strict=True):
            np.testing.assert_array_equal(ours[k], its[k])
    for ours, its in zip(learner.streams, healthy.streams, strict=True):
        assert ours.bit_generator.state == its.bit_generator.state
    assert np.isnan(learner.network.member((1,)).predict(X)).all()  # and nobody takes it for one
    assert np.isnan(progress.rows[-1]["loss"][1])


def test_what_diverged_is_told_for_each_network():
    X, Y, _ = problem()
    network = small_network(stack=(4,))
    network.dense[0].b[1] = np.nan
    network.dense[0].b[2], network.dense[1].W[2] = 10, 1e308
    learner = learner_of(network, learning_rate=column([0.1, 0.1, 0.1, 1e200]))
    progress = fit(learner, Batches(X, Y), 2)
    *first, last = learner.diverged.items()
    assert first == [
        ((1,), "the parameters of hidden layer 1 of 1"),
        ((2,), "the outputs of the output layer"),
    ]
    assert last[0] == (3,)  # in the second epoch
    assert last[1].startswith("the loss, penalty included, of outputs up to ")
    assert np.isfinite(progress.rows[-1]["loss"]).tolist() == [True, False, False, False]


def test_of_a_network_that_diverges_the_best_epoch_before_comes_back():
    X, Y, _ = problem()
    learner = learner_of(small_network(stack=(2,)), learning_rate=column([0.1, 1e60]))

    def validate(network):
        predictions = [network.member((k,)).predict(X) for k in range(2)]
        return np.array([0.5, 0.5]), -np.array([np.mean((Z - Y) ** 2) for Z in predictions])

    progress = Progress(patience=Patience(0.0, np.array([9, 2])), watches="validation_score")
    fit(learner, Batches(X, Y), 12, progress, validate=validate)
    assert list(learner.diverged) == [(1,)]
    assert progress.best.epoch[1] < 8
    assert progress.patience.spent.tolist() == [False, True]
    assert np.isfinite(numbers(learner.network)).all()


def test_a_stack_of_which_none_is_left_diverges():
    X, Y, _ = problem()
    network = small_network(stack=(3,))
    learner = learner_of(network, learning_rate=column([0.1, 0.2, 0.3]))
    network.dense[0].b[...] = np.nan
    with pytest.raises(DivergenceError) as caught:
        fit(learner, Batches(X, Y), 3)
    assert str(caught.value) == (
        "Training diverged: the loss or the parameters became non-finite in epoch 1, at learning "
        f"rate 0.1 0.2 0.3, first in the parameters of hidden layer 1 of 1. {REMEDY}"
    )


def test_a_stack_diverges_with_the_last_of_its_networks():
    X, Y, _ = problem()
    network = small_network(stack=(2,))
    learner, progress = learner_of(network), Progress()

    def spoil(row):
        network.parameters.vector[row["epoch"] - 1] = np.nan

    with pytest.raises(DivergenceError, match=r"in epoch 3,"):
        fit(learner, Batches(X, Y), 9, progress, report=spoil)
    assert set(learner.diverged) == {(0,), (1,)}
