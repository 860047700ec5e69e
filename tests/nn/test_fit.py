"""Fitting: epochs, the history, schedules' clocks, patience, and the best epoch."""

import copy
import math
import pickle
import time

import numpy as np
import pytest

from skscratch.nn import (
    OPTIMIZERS,
    SCHEDULES,
    SGD,
    Adam,
    Adaptive,
    Batches,
    Clock,
    Constant,
    Cosine,
    HeNormal,
    Optimizer,
    Patience,
    Progress,
    SoftmaxLogLoss,
    StepDecay,
    Tanh,
    fit,
    train_step,
)
from skscratch.nn.fit import HISTORY

from . import reference
from .checks import (
    batch_of,
    column,
    learner_of,
    network_of,
    numbers,
    problem,
    scripted,
    small_network,
    streams_of,
)

optimizers = pytest.mark.parametrize("optimizer", OPTIMIZERS)


def a_learner(**settings):
    return learner_of(small_network(), **settings)


def watching(tol=0.0, n_iter_no_change=10, *, score=False):
    return Progress(
        patience=Patience(tol, n_iter_no_change), watches="validation_score" if score else "loss"
    )


# --- Epochs and the history -------------------------------------------------------------------


def test_an_epoch_is_a_step_on_each_batch():
    X, Y, weights = problem()
    learner, by_hand = (a_learner(optimizer=Adam(), l2=0.1) for _ in range(2))
    progress = fit(learner, Batches(X, Y, weights, batch_size=4), 3)
    assert (progress.ended, progress.epochs) == ("exhausted", 3)
    workspace = by_hand.workspace(4)
    for _ in range(3):
        for start in (0, 4, 8):
            rows = slice(start, start + 4)
            batch = batch_of(X[rows], Y[rows], weights[rows])
            train_step(by_hand, batch, workspace.for_rows(batch.n_rows), 0.1)
    np.testing.assert_array_equal(numbers(learner.network), numbers(by_hand.network))


def test_the_history_has_a_row_for_each_epoch():
    X, Y, _ = problem()
    reported = []
    progress = fit(a_learner(), Batches(X, Y, batch_size=4), 5, report=reported.append)
    assert progress.rows == reported
    assert all(tuple(row) == HISTORY for row in progress.rows)
    assert set(progress.history) == set(HISTORY)
    assert progress.history["epoch"] == [1, 2, 3, 4, 5]
    assert (progress.clock.epoch, progress.clock.samples) == (5, 55)
    for name in ("loss", "learning_rate", "gradient_norm", "seconds"):
        assert all(type(value) is float for value in progress.history[name])
    assert all(0 < seconds < 60 for seconds in progress.history["seconds"])
    for name in ("validation_loss", "validation_score"):
        assert all(map(math.isnan, progress.history[name]))


def test_the_history_of_networks_side_by_side_has_arrays():
    X, Y, _ = problem()
    learner = learner_of(small_network(stack=(3,)), learning_rate=column([0.1, 0.2, 0.3]))
    progress = fit(learner, Batches(X, Y), 2, validate=lambda network: (np.ones(3), np.zeros(3)))
    for row in progress.rows:
        np.testing.assert_allclose(row["learning_rate"], [0.1, 0.2, 0.3])
        for name in set(HISTORY) - {"epoch", "seconds"}:
            assert np.shape(row[name]) == (3,)
        assert type(row["epoch"]) is int
        assert type(row["seconds"]) is float


def test_the_loss_of_an_epoch_is_the_mean_over_rows_not_over_batches():
    """With a rate of nearly 0 it is the loss of the data, though the last batch has one row."""
    X, Y, weights = problem(n_rows=9)
    learner = a_learner(learning_rate=1e-300)
    start = learner.network.predict(X)
    progress = fit(learner, Batches(X, Y, weights, batch_size=4), 1)
    expected = np.mean(weights * (start - Y) ** 2) / 2
    assert progress.history["loss"] == [pytest.approx(expected, rel=1e-12)]


def test_the_history_has_the_norm_before_clipping():
    X, Y, _ = problem()
    learner = a_learner(clip_norm=1e-12, learning_rate=1e-6)
    workspace = learner.workspace(len(X))
    _, length = train_step(a_learner(), batch_of(X, Y), workspace, 0.0)
    progress = fit(learner, Batches(X, Y), 2)  # which hardly moves
    assert progress.history["gradient_norm"] == [pytest.approx(length, rel=1e-9)] * 2


def test_no_epochs_change_nothing():
    X, Y, _ = problem()
    learner = a_learner()
    kept = numbers(learner.network)
    progress = fit(learner, Batches(X, Y), 0)
    assert (progress.ended, progress.rows) == ("exhausted", [])
    np.testing.assert_array_equal(numbers(learner.network), kept)


def test_each_epoch_begins_trains_validates_and_reports_in_this_order():
    X, Y, _ = problem()
    learners = [a_learner(), learner_of(small_network(stack=(2,)))]
    told, vectors = [], [learner.network.parameters.vector for learner in learners]

    def tell(name, result=None):
        def told_of(*args):
            told.append((name, *args, copy.deepcopy(vectors)))
            return result

        return told_of

    progress = fit(
        learners, [Batches(X, Y)] * 2, 2, validate=tell("validate", (0.5, 0.25)),
        begin=tell("begin"), report=tell("report"),
    )  # fmt: skip
    assert [event[0] for event in told] == ["begin", "validate", "report"] * 2
    for first in (0, 3):
        begin, validate, report = told[first : first + 3]
        assert validate[1:-1] == tuple(learner.network for learner in learners)
        assert report[1] is progress.rows[first // 3]
        for before, after, last in zip(begin[-1], validate[-1], report[-1], strict=True):
            assert not np.array_equal(before, after)
            np.testing.assert_array_equal(after, last)
    assert progress.history["validation_loss"] == [0.5, 0.5]
    assert progress.history["validation_score"] == [0.25, 0.25]
    alone = [fit(learner_of(small_network(stack=stack)), Batches(X, Y), 2) for stack in ((), (2,))]
    for epoch, row in enumerate(progress.rows):
        losses = [np.ravel(each.rows[epoch]["loss"]) for each in alone]
        assert row["loss"] == pytest.approx(np.concatenate(losses).mean())


def test_a_report_that_is_true_ends_the_run():
    X, Y, _ = problem()
    learner, expected = a_learner(), a_learner()
    progress = fit(learner, Batches(X, Y), 8, report=lambda row: row["epoch"] == 3)
    assert (progress.ended, progress.epochs) == ("stopped", 3)
    fit(expected, Batches(X, Y), 3)
    np.testing.assert_array_equal(numbers(learner.network), numbers(expected.network))
    fit(learner, Batches(X, Y), 8, progress)  # it has ended
    assert (progress.ended, progress.epochs) == ("stopped", 3)


def test_a_report_in_the_epoch_in_which_patience_is_spent_leaves_the_run_stalled():
    X, Y, _ = problem()
    progress = watching(1e9, 0)
    fit(a_learner(), Batches(X, Y), 8, progress, report=lambda row: row["epoch"] == 2)
    assert (progress.ended, progress.epochs) == ("stalled", 2)


def test_other_exceptions_pass_through():
    def fail(row):
        raise RuntimeError("from a callback")

    X, Y, _ = problem()
    with pytest.raises(RuntimeError, match="from a callback"):
        fit(a_learner(), Batches(X, Y), 10, report=fail)


@pytest.mark.parametrize("schedule", [Constant(), Cosine()])
def test_the_error_state_of_numpy_is_left_as_it_was(schedule):
    X, Y, _ = problem()
    with np.errstate(all="raise", under="ignore"):
        before = np.geterr()
        fit(a_learner(schedule=schedule), Batches(X, Y), 2)
        assert np.geterr() == before


@optimizers
def test_underflow_is_none_of_the_callers_business(optimizer):
    X, Y, _ = problem()
    learner = a_learner(optimizer=OPTIMIZERS[optimizer](), learning_rate=1e-3)
    learner.network.parameters.vector[...] *= 1e-200
    with np.errstate(all="raise"):
        fit(learner, Batches(X, 1e-200 * Y), 2)


@optimizers
def test_no_option_is_changed_by_training(optimizer):
    X, Y, _ = problem(SoftmaxLogLoss())
    for name in SCHEDULES:
        activation, loss, initializer = Tanh(), SoftmaxLogLoss(), HeNormal()
        options = [activation, loss, OPTIMIZERS[optimizer](), SCHEDULES[name](), initializer]
        before = [(option.get_params(), pickle.dumps(option)) for option in options]
        network = network_of([3, 4, 2], [activation])
        network.initialize([initializer] * 2, streams_of(0))
        learner = learner_of(network, loss=loss, optimizer=options[2], schedule=options[3])
        fit(learner, Batches(X, Y, batch_size=4), 2, watching(1.0, 0))
        assert [(option.get_params(), pickle.dumps(option)) for option in options] == before


# --- Schedules --------------------------------------------------------------------------------


class NotesRates(SGD):
    """SGD that writes down the rate of each step."""

    def __init__(self):
        super().__init__()
        self.rates = []

    def step(self, w, g, learning_rate, state):
        self.rates.append(learning_rate)
        super().step(w, g, learning_rate, state)


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_follow_the_schedule_step_by_step(name):
    X, Y, _ = problem(n_rows=12)
    schedule, optimizer = SCHEDULES[name](), NotesRates()
    learner = a_learner(schedule=schedule, optimizer=optimizer, learning_rate=0.01)
    progress = fit(learner, Batches(X, Y, batch_size=4), 10)
    simulated = schedule.simulate(30, base=0.01, steps_per_epoch=3, batch_size=4)
    np.testing.assert_array_equal(optimizer.rates, simulated)
    assert all(type(rate) is float for rate in optimizer.rates)
    expected = []
    for epoch in range(10):
        clock = Clock(epoch=epoch, samples=12 * epoch, horizon=10, last_step=30)
        rates = []
        for clock.step in range(3 * epoch, 3 * epoch + 3):
            rates.append(reference.rate(schedule, 0.01, clock))
        expected.append(np.mean(rates))
    np.testing.assert_allclose(progress.history["learning_rate"], expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["one_cycle", "warmup_cosine", "coslog"])
def test_a_run_with_joined_rows_ends_where_its_schedule_does(name):
    """The horizon counts the batches that there are, not those that the sizes suggest."""
    X, Y, _ = problem(n_rows=9)
    schedule, optimizer = SCHEDULES[name](), NotesRates()
    network = small_network(normalization="batch")
    learner = learner_of(network, schedule=schedule, optimizer=optimizer)
    fit(learner, Batches(X, Y, batch_size=4, join_single=True), 5)
    np.testing.assert_array_equal(optimizer.rates, schedule.simulate(10, base=0.1))


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_networks_side_by_side_follow_the_schedule_from_rates_of_their_own(name, dtype):
    X, Y, _ = (array.astype(dtype) for array in problem(n_rows=12))
    schedule, optimizer = SCHEDULES[name](), NotesRates()
    network = small_network(stack=(2,), dtype=dtype)
    bases = column([0.01, 0.003])
    learner = learner_of(network, schedule=schedule, optimizer=optimizer, learning_rate=bases)
    progress = watching(1e9, 2)  # with the adaptive schedule, plateaus
    fit(learner, Batches(X, Y, batch_size=4), 3, progress)
    assert all(rate.dtype == dtype for rate in optimizer.rates)
    for k in range(2):
        simulated = schedule.simulate(9, base=bases[k, 0], steps_per_epoch=3, batch_size=4)
        np.testing.assert_allclose([rate[k, 0] for rate in optimizer.rates], simulated, rtol=1e-6)


@pytest.mark.parametrize("own", [False, True])
def test_plateaus_of_float32_networks_keep_the_rate_float32(own):
    X, Y, _ = (array.astype(np.float32) for array in problem())
    optimizer = NotesRates()
    learner = learner_of(
        small_network(stack=(2,), dtype=np.float32), optimizer=optimizer, schedule=Adaptive(),
        learning_rate=column([1e-3, 1e-4]) if own else 1e-3,
    )  # fmt: skip
    progress = Progress(patience=Patience(np.array([1e9, 0.0]), np.array([0, 99])))
    fit(learner, Batches(X, Y), 4, progress)
    np.testing.assert_array_equal(progress.clock.plateaus, [[3], [0]])
    assert optimizer.rates[-1].dtype == np.float32
    second = 1e-4 if own else 1e-3
    np.testing.assert_allclose(optimizer.rates[-1], column([1e-3 / 25, second]), rtol=1e-6)


# --- Patience ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n_iter_no_change", [0, 2, 5])
def test_stops_when_the_training_loss_stalls_for_too_long(n_iter_no_change):
    X, Y, _ = problem()
    learner = a_learner(learning_rate=1e-300)  # nothing ever improves
    progress = fit(learner, Batches(X, Y), 50, watching(1e-4, n_iter_no_change))
    assert (progress.ended, progress.epochs) == ("stalled", n_iter_no_change + 2)


def test_goes_on_while_the_loss_improves():
    X, Y, _ = problem(n_rows=40)
    learner = learner_of(network_of([3, 2]), learning_rate=0.05)
    progress = fit(learner, Batches(X, Y), 30, watching(0.0, 0))
    assert progress.ended == "exhausted"
    assert progress.history["loss"] == sorted(progress.history["loss"], reverse=True)


def test_an_adaptive_schedule_divides_the_rate_at_each_plateau_and_finally_stops():
    X, Y, _ = problem()
    learner = a_learner(schedule=Adaptive(factor=10.0, minimum=1e-9), learning_rate=1e-6)
    progress = watching(1e3, 1)  # every epoch but the first stalls
    fit(learner, Batches(X, Y), 100, progress)
    assert progress.ended == "stalled"
    # The first epoch beats minus infinity; from then on patience lasts for two epochs.
    expected = [1e-6] * 3 + [1e-7] * 2 + [1e-8] * 2 + [1e-9] * 2
    np.testing.assert_allclose(progress.history["learning_rate"], expected, rtol=1e-12)
    assert progress.clock.plateaus == 3
    assert type(progress.clock.plateaus) is int


@pytest.mark.parametrize("stack", [(), (2,)])
def test_a_run_that_went_on_from_a_plateau_keeps_its_last_epoch(stack):
    X, Y, _ = problem()
    patient, plain = (
        learner_of(small_network(stack=stack), schedule=Adaptive(), learning_rate=1e-3)
        for _ in range(2)
    )
    progress = fit(patient, Batches(X, Y), 5, watching(1e3, 2))  # it stalls in the fourth
    assert progress.ended == "exhausted"
    assert np.all(progress.clock.plateaus == 1)
    assert not np.any(progress.best.epoch)
    rates = iter(progress.history["learning_rate"])
    workspace = plain.workspace(len(X))
    for rate in rates:
        train_step(plain, batch_of(X, Y), workspace, np.reshape(rate, (*np.shape(rate), 1))
                   if stack else rate)  # fmt: skip
    np.testing.assert_array_equal(numbers(patient.network), numbers(plain.network))


def test_patience_with_the_training_loss_keeps_the_last_epoch():
    X, Y, _ = problem()
    patient, plain = (a_learner(learning_rate=2.0) for _ in range(2))  # it goes up and down
    progress = fit(patient, Batches(X, Y), 30, watching(0.0, 3))
    assert progress.ended == "stalled"
    losses = progress.history["loss"]
    assert losses.index(min(losses)) < progress.epochs - 1
    fit(plain, Batches(X, Y), progress.epochs)
    np.testing.assert_array_equal(numbers(patient.network), numbers(plain.network))


def test_several_learners_have_the_mean_of_their_losses_to_watch():
    X, Y, _ = problem()
    learners = [a_learner(), learner_of(small_network(stack=(2,)), learning_rate=0.01)]
    progress = watching(0.0, 1)
    fit(learners, [Batches(X, Y)] * 2, 20, progress)
    means = [np.mean(row["loss"]) for row in progress.rows]
    assert progress.patience.best == -min(means)


# --- The best epoch ---------------------------------------------------------------------------


@pytest.mark.parametrize("stacks", [[()], [(2,)], [(), (2,)]])
def test_the_networks_of_the_best_score_come_back(stacks):
    """One score for all: of a network, of networks side by side, of several groups."""
    X, Y, _ = problem()
    scores, seen, progress = [0.1, 0.5, 0.9, 0.8, 0.9, 0.7], [], watching(score=True)
    learners = [learner_of(small_network(normalization="batch", stack=s)) for s in stacks]
    fit(learners, [Batches(X, Y)] * len(stacks), 6, progress, validate=scripted(scores, seen))
    assert progress.ended == "exhausted"
    assert progress.history["validation_score"] == scores
    assert progress.history["validation_loss"] == [0.5] * 6
    assert (progress.best.epoch, progress.patience.best) == (3, 0.9)
    for learner, best, last in zip(learners, seen[2], seen[5], strict=True):
        np.testing.assert_array_equal(numbers(learner.network), best)
        assert not np.array_equal(best, last)


def test_the_score_decides_when_to_stop_not_the_training_loss():
    X, Y, _ = problem()
    scores, seen = [0.5, 0.6, 0.6, 0.55, 0.5, 0.4, 0.3], []
    learner, progress = a_learner(learning_rate=0.01), watching(0.05, 2, score=True)
    fit(learner, Batches(X, Y), 50, progress, validate=scripted(scores, seen))
    assert progress.ended == "stalled"
    assert len(seen) == 5  # three stalled epochs after the second
    np.testing.assert_array_equal(numbers(learner.network), seen[1][0])


@pytest.mark.parametrize("patient", [False, True])
def test_a_score_that_nobody_watches_is_only_recorded(patient):
    X, Y, _ = problem()
    seen, learner = [], a_learner()
    progress = watching() if patient else Progress()
    fit(learner, Batches(X, Y), 3, progress, validate=scripted([0.9, 0.1, 0.1], seen))
    assert progress.history["validation_score"] == [0.9, 0.1, 0.1]
    assert progress.best.epoch == 0
    np.testing.assert_array_equal(numbers(learner.network), seen[2][0])


def test_scores_that_are_all_nan_keep_the_last_networks():
    X, Y, _ = problem()
    seen, learner, progress = [], a_learner(), watching(score=True)
    fit(learner, Batches(X, Y), 3, progress, validate=scripted([math.nan] * 3, seen))
    np.testing.assert_array_equal(numbers(learner.network), seen[2][0])


def test_a_stopped_run_brings_the_best_networks_back():
    X, Y, _ = problem()
    seen, learner, progress = [], a_learner(), watching(score=True)
    fit(
        learner, Batches(X, Y), 9, progress, validate=scripted([0.1, 0.9, 0.3, 0.2], seen),
        report=lambda row: row["epoch"] == 4,
    )  # fmt: skip
    assert progress.ended == "stopped"
    np.testing.assert_array_equal(numbers(learner.network), seen[1][0])


def test_each_network_of_a_stack_has_its_own_score_patience_and_best_epoch():
    X, Y, _ = problem()
    scores = [[0.1, 0.5, 0.1], [0.9, 0.4, 0.2], [0.3, 0.4, 0.3], [0.2, 0.9, 0.4], [0.1, 0.1, 0.5]]
    seen, learner = [], learner_of(small_network(stack=(3,)))
    progress = Progress(patience=Patience(0.0, np.array([1, 1, 9])), watches="validation_score")
    fit(
        learner, Batches(X, Y), 5, progress,
        validate=scripted([np.array(row) for row in scores], seen),
    )  # fmt: skip
    # The second had stalled before it was best: it would have stopped, had it been alone.
    assert progress.best.epoch.tolist() == [2, 1, 5]
    for k, epoch in enumerate(progress.best.epoch):
        np.testing.assert_array_equal(numbers(learner.network)[k], seen[epoch - 1][0][k])
    assert progress.ended == "exhausted"
    assert progress.patience.spent.tolist() == [True, True, False]


def test_a_stack_ends_once_the_last_of_its_networks_has_stalled():
    X, Y, _ = problem()
    learner = learner_of(small_network(stack=(3,)), learning_rate=1e-300)
    progress = Progress(patience=Patience(1e-4, np.array([1, 6, 3])))
    fit(learner, Batches(X, Y), 50, progress)
    assert (progress.ended, progress.epochs) == ("stalled", 8)
    assert progress.best.epoch.tolist() == [3, 8, 5]


# --- Full batches -----------------------------------------------------------------------------


class Halving(Optimizer):
    """Halves all parameters in each iteration, up to the most it has been told or asked for."""

    full_batch = True

    def __init__(self, n_iterations, reason=""):
        self.n_iterations, self.reason, self.asked = n_iterations, reason, []

    def minimize(self, learner, batches, max_iter, begin, end_epoch):
        self.asked.append(max_iter)
        for _ in range(min(max_iter, self.n_iterations)):
            begin()
            started = time.perf_counter()
            learner.network.parameters.vector[...] *= 0.5
            value = float(np.abs(learner.network.parameters.vector).sum())
            row = {"loss": value, "learning_rate": 1.0, "gradient_norm": 0.0}
            if end_epoch(row, started):
                return ""
        return self.reason


@pytest.mark.parametrize(
    ("n_iterations", "reason", "ended", "epochs"),
    [
        (3, "", "stalled", 3),
        (3, "the line search failed", "exhausted", 3),
        (9, "end", "exhausted", 5),
    ],
)
def test_iterations_of_a_full_batch_optimizer_end_as_epochs_do(n_iterations, reason, ended, epochs):
    X, Y, _ = problem()
    optimizer, told = Halving(n_iterations, reason), []
    progress = fit(
        a_learner(optimizer=optimizer), Batches(X, Y), 5, validate=lambda network: (0.5, 0.25),
        begin=lambda: told.append("begin"), report=lambda row: told.append(row["epoch"]),
    )  # fmt: skip
    assert (progress.ended, progress.epochs, progress.reason) == (ended, epochs, reason)
    assert told == [event for epoch in range(1, epochs + 1) for event in ("begin", epoch)]
    assert progress.history["validation_score"] == [0.25] * epochs
    assert optimizer.asked == [5]


def test_a_full_batch_optimizer_stops_for_a_report_a_score_and_an_interrupt():
    X, Y, _ = problem()
    learner, progress = a_learner(optimizer=Halving(9, "end")), watching(0.0, 1, score=True)
    start = numbers(learner.network)
    fit(learner, Batches(X, Y), 9, progress, validate=scripted([0.1, 0.5, 0.2, 0.3, 0.4], []))
    assert (progress.ended, progress.epochs, progress.best.epoch) == ("stalled", 4, 2)
    np.testing.assert_array_equal(numbers(learner.network), start / 4)
    progress = fit(learner, Batches(X, Y), 9, report=lambda row: row["epoch"] == 2)
    assert (progress.ended, progress.epochs) == ("stopped", 2)
    np.testing.assert_array_equal(numbers(learner.network), start / 16)

    def interrupt(row):
        raise KeyboardInterrupt

    progress = fit(learner, Batches(X, Y), 9, report=interrupt)
    assert (progress.ended, progress.epochs) == ("interrupted", 1)
    np.testing.assert_array_equal(numbers(learner.network), start / 32)


def test_a_full_batch_optimizer_makes_the_iterations_that_are_left():
    X, Y, _ = problem()
    optimizer, copies = Halving(9, "end"), []
    learner, progress = a_learner(optimizer=optimizer), Progress()
    fit(
        learner, Batches(X, Y), 4, progress,
        report=lambda row: copies.append(pickle.dumps((learner, progress))),
    )  # fmt: skip
    other, own = pickle.loads(copies[0])
    fit(other, Batches(X, Y), 4, own)
    assert other.optimizer.asked == [4, 3]
    assert (own.ended, own.epochs) == (progress.ended, progress.epochs) == ("exhausted", 4)
    np.testing.assert_array_equal(numbers(other.network), numbers(learner.network))


# --- Several runs -----------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [SCHEDULES["exponential"](), StepDecay(every=2)])
def test_another_run_goes_on_where_the_last_one_ended(schedule):
    """Moments, averages, clock and streams are the learner's and the progress': 3 + 4 are 7."""
    X, Y, weights = problem()
    ends = []
    for parts in ((7,), (3, 4)):
        learner = learner_of(
            small_network([0.5], normalization="batch"), optimizer=Adam(), schedule=schedule,
            streams=streams_of(1),
        )  # fmt: skip
        batches = Batches(X, Y, weights, batch_size=4, streams=streams_of(2))
        progress = Progress()
        for epochs in parts:
            progress = Progress(progress.clock, progress.rows, len(progress.rows))
            fit(learner, batches, epochs, progress)
            assert (progress.ended, progress.epochs) == ("exhausted", epochs)
        assert progress.history["epoch"] == list(range(1, 8))
        ends.append(numbers(learner.network))
    np.testing.assert_array_equal(*ends)
