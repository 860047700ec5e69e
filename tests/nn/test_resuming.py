"""Going on: endless runs, runs resumed from a pickle, and interrupts."""

import math
import pickle

import numpy as np
import pytest

from skscratch.nn import (
    OPTIMIZERS,
    SCHEDULES,
    Adam,
    Adaptive,
    Batches,
    Cosine,
    DivergenceError,
    Patience,
    Progress,
    StepDecay,
    fit,
    train_step,
)
from skscratch.nn.fit import HISTORY

from .checks import (
    batch_of,
    column,
    duplicates,
    learner_of,
    numbers,
    problem,
    scripted,
    small_network,
    streams_of,
)


def a_learner(**settings):
    """Make a learner with dropout, running averages and moments."""
    network = small_network([0.5], normalization="batch")
    defaults = {"optimizer": Adam(), "learning_rate": 0.05, "streams": streams_of(1)}
    return learner_of(network, **{**defaults, **settings})


def some_batches(**settings):
    return Batches(*problem(), **{"batch_size": 4, "streams": streams_of(2), **settings})


def assert_same(learner, progress, expected_learner, expected):
    assert (progress.ended, progress.epochs) == (expected.ended, expected.epochs)
    assert (progress.clock.epoch, progress.clock.samples) == (
        expected.clock.epoch,
        expected.clock.samples,
    )
    np.testing.assert_array_equal(progress.clock.plateaus, expected.clock.plateaus)
    np.testing.assert_array_equal(progress.best.epoch, expected.best.epoch)
    np.testing.assert_array_equal(numbers(learner.network), numbers(expected_learner.network))
    for name in set(HISTORY) - {"seconds"}:
        np.testing.assert_array_equal(progress.history[name], expected.history[name])


# --- Resuming ---------------------------------------------------------------------------------


@duplicates
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("watched", ["nothing", "loss", "score"])
def test_a_run_resumed_after_any_epoch_ends_bit_for_bit_like_the_one_that_went_on(
    schedule, watched, duplicate
):
    scores = [0.1, 0.5, 0.4, 0.7, 0.2, 0.3, 0.1, 0.9]
    progress = Progress(watches="validation_score" if watched == "score" else "loss")
    if watched != "nothing":
        progress.patience = Patience(0.0 if watched == "score" else 0.05, 1)
    learner, batches = a_learner(schedule=SCHEDULES[schedule]()), some_batches()
    copies = []

    def keep(row):
        copies.append(duplicate((learner, batches, progress)))

    fit(learner, batches, 8, progress, validate=scripted(scores), report=keep)
    if watched == "score" and schedule != "adaptive":
        assert (progress.ended, progress.best.epoch) == ("stalled", 4)
    for epoch, (other, own_batches, own) in enumerate(copies, start=1):
        assert own.epochs == epoch
        fit(other, own_batches, 8, own, validate=scripted(scores[epoch:]))
        assert_same(other, own, learner, progress)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_networks_side_by_side_are_resumed_bit_for_bit(optimizer):
    X, Y, weights = problem(n_rows=17)
    own = column([0.1, 0.5])
    learner = learner_of(
        small_network([own], stack=(2,)), optimizer=OPTIMIZERS[optimizer](), schedule=Adaptive(),
        learning_rate=own / 10, l2=own, clip_norm=own, streams=streams_of(1, 2),
    )  # fmt: skip
    batches = Batches(
        X,
        Y,
        weights,
        batch_size=6,
        streams=streams_of(3, 4),
        rows=[np.arange(16), np.arange(2, 17)],
    )
    progress = Progress(patience=Patience(0.01, np.array([0, 1])))
    stored = []

    def keep(row):
        stored.append(pickle.dumps((learner, batches, progress)))

    fit(learner, batches, 9, progress, report=keep)
    assert np.any(progress.clock.plateaus)
    for pickled in stored:
        other, own_batches, own_progress = pickle.loads(pickled)
        fit(other, own_batches, 9, own_progress)
        assert_same(other, own_progress, learner, progress)


def test_several_learners_are_resumed_bit_for_bit():
    learners = [a_learner(), a_learner(learning_rate=0.01, streams=streams_of(5))]
    batches, progress = [some_batches() for _ in range(2)], Progress(patience=Patience(0.0, 2))
    stored = []

    def keep(row):
        stored.append(pickle.dumps((learners, batches, progress)))

    fit(learners, batches, 6, progress, report=keep)
    others, own_batches, own_progress = pickle.loads(stored[1])
    fit(others, own_batches, 6, own_progress)
    for other, learner in zip(others, learners, strict=True):
        assert_same(other, own_progress, learner, progress)


@pytest.mark.parametrize("ended", ["exhausted", "stalled", "stopped", "interrupted"])
def test_a_run_that_has_ended_makes_no_more_epochs(ended):
    learner, progress = a_learner(), Progress()
    fit(learner, some_batches(), 3, progress)
    progress.ended = ended
    kept = numbers(learner.network)
    fit(learner, some_batches(), 5, progress)
    assert (progress.ended, progress.epochs) == (ended, 3)
    np.testing.assert_array_equal(numbers(learner.network), kept)


# --- Another run ------------------------------------------------------------------------------


@pytest.mark.parametrize(("schedule", "epoch"), [(Cosine(), 0), (StepDecay(every=2), 3)])
def test_another_run_goes_on_with_history_moments_and_clock(schedule, epoch):
    learner, batches = a_learner(schedule=schedule), some_batches()
    progress = Progress(patience=Patience(0.0, 9), watches="validation_score")
    progress = fit(learner, batches, 3, progress,
                   validate=scripted([0.5, 0.9, 0.1]))  # fmt: skip
    assert progress.best.epoch == 2
    progress.begin_again(schedule)
    assert (progress.clock.epoch, progress.clock.samples) == (epoch, 33)
    assert (progress.ended, progress.epochs, progress.patience) == ("", 0, None)
    assert progress.best.epoch == 0
    fit(learner, batches, 2, progress)
    assert (progress.ended, progress.epochs) == ("exhausted", 2)
    assert progress.history["epoch"] == [1, 2, 3, 4, 5]
    assert learner.state.t == 15


@pytest.mark.parametrize("ended", ["stalled", "exhausted"])
def test_a_rate_that_has_run_out_on_plateaus_begins_again(ended):
    progress = Progress(ended=ended)
    progress.clock.plateaus = 4
    progress.begin_again(Adaptive())
    assert progress.clock.plateaus == (0 if ended == "stalled" else 4)


@pytest.mark.parametrize("watches", ["loss", "validation_score"])
def test_a_copy_of_a_progress_goes_on_and_leaves_the_first_as_it_is(watches):
    scores = [0.5, 0.9, 0.1, 0.95, 0.2]
    progress = Progress(patience=Patience(0.0, 9), watches=watches)
    learner, batches = a_learner(schedule=Adaptive()), some_batches()
    kept = []

    def keep(row):
        if row["epoch"] == 2:
            kept.extend(pickle.loads(pickle.dumps([(learner, batches, progress)])))
            kept.append(progress.copy())

    fit(learner, batches, 5, progress, validate=scripted(scores), report=keep)
    (other, own_batches, expected), copied = kept
    assert copied.rows == expected.rows
    for own in (copied, expected):  # in both the fit went on elsewhere
        assert (own.epochs, own.clock.epoch, own.patience.best) == (
            2, 2, expected.patience.best,
        )  # fmt: skip
    fit(other, own_batches, 5, copied, validate=scripted(scores[2:]))
    assert_same(other, copied, learner, progress)
    assert expected.epochs == 2


# --- Runs without an end ----------------------------------------------------------------------


def test_one_epoch_a_call_is_the_run_itself():
    whole, piecewise = a_learner(), a_learner()
    expected = fit(whole, some_batches(), 5, Progress(patience=Patience(1e9, 1)))
    assert expected.epochs == 3
    batches, progress = some_batches(), Progress(patience=Patience(1e9, 1))
    for calls in range(1, 4):
        assert fit(piecewise, batches, None, progress) is progress
        assert progress.epochs == calls
        assert progress.ended == ("stalled" if calls == 3 else "")
    assert_same(piecewise, progress, whole, expected)


def test_who_makes_the_calls_decides_when_to_stop():
    learner, batches, progress = a_learner(), some_batches(), Progress(patience=Patience(1e9, 1))
    for calls in range(1, 7):
        before = numbers(learner.network)
        fit(learner, batches, None, progress, report=lambda row: row["epoch"] == 2)
        assert progress.epochs == calls
        assert progress.ended == ("stopped" if calls == 2 else "stalled" if calls > 2 else "")
        assert not np.array_equal(numbers(learner.network), before)


def test_a_score_ends_a_run_without_an_end_and_brings_the_best_epoch_back():
    learner, batches, seen = a_learner(), some_batches(), []
    progress = Progress(patience=Patience(0.0, 1), watches="validation_score")
    for calls in range(1, 7):
        fit(
            learner,
            batches,
            None,
            progress,
            validate=scripted([[0.5, 0.9, 0.1, 0.2][min(calls, 4) - 1]], seen),
        )
        assert progress.epochs == min(calls, 4)
        assert progress.ended == ("stalled" if calls >= 4 else "")
        np.testing.assert_array_equal(numbers(learner.network), seen[1 if calls >= 4 else -1][0])
    assert progress.best.epoch == 2


@pytest.mark.parametrize("name", ["constant", "exponential", "invscaling", "step"])
def test_schedules_without_a_horizon_know_nothing_of_calls(name):
    whole, piecewise = (a_learner(schedule=SCHEDULES[name]()) for _ in range(2))
    expected = fit(whole, some_batches(), 4)
    batches, progress = some_batches(), Progress()
    for _ in range(4):
        fit(piecewise, batches, None, progress)
    np.testing.assert_array_equal(numbers(piecewise.network), numbers(whole.network))
    assert progress.history["learning_rate"] == expected.history["learning_rate"]


# --- Interrupts -------------------------------------------------------------------------------


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
@pytest.mark.parametrize("epochs", [10, None])
def test_interrupted_between_batches_keeps_the_steps_made(at, epochs):
    X, Y, _ = problem(n_rows=12)
    learner, by_hand = learner_of(small_network()), learner_of(small_network())
    batches, progress = InterruptedBatches(X, Y, batch_size=4, at=at), Progress()
    while progress.ended != "interrupted":
        fit(learner, batches, epochs, progress)
    assert progress.epochs == (at - 1) // 3
    workspace = by_hand.workspace(4)
    for step in range(at - 1):
        rows = slice(step % 3 * 4, step % 3 * 4 + 4)
        train_step(by_hand, batch_of(X[rows], Y[rows]), workspace, 0.1)
    np.testing.assert_array_equal(numbers(learner.network), numbers(by_hand.network))


@pytest.mark.parametrize("where", ["begin", "report"])
def test_interrupted_between_epochs_keeps_the_epochs_made(where):
    learner, expected = a_learner(), a_learner()
    progress = Progress()

    def interrupt_second(*_):
        if progress.epochs == 2:
            interrupt()

    fit(learner, some_batches(), 10, progress, **{where: interrupt_second})
    assert (progress.ended, progress.epochs) == ("interrupted", 2)
    fit(expected, some_batches(), 2)
    np.testing.assert_array_equal(numbers(learner.network), numbers(expected.network))


@pytest.mark.parametrize("where", ["validate", "report", "batches"])
def test_interrupted_brings_the_best_epoch_back(where):
    X, Y, _ = problem(n_rows=12)
    seen, learner = [], learner_of(small_network())
    script = scripted([0.1, 0.9, 0.3, 0.2], seen)
    batches = InterruptedBatches(X, Y, batch_size=4, at=14 if where == "batches" else 0)
    progress = Progress(patience=Patience(0.0, 10), watches="validation_score")
    fit(
        learner, batches, 10, progress,
        validate=lambda network: interrupt() if len(seen) == 4 else script(network),
        report=lambda row: where == "report" and row["epoch"] == 4 and interrupt(),
    )  # fmt: skip
    assert (progress.ended, progress.epochs) == ("interrupted", 4)
    np.testing.assert_array_equal(numbers(learner.network), seen[1][0])


def test_interrupted_before_the_first_validation_keeps_what_was_trained():
    learner, expected = a_learner(), a_learner()
    progress = Progress(patience=Patience(0.0, 10), watches="validation_score")
    fit(learner, some_batches(), 10, progress, validate=interrupt)
    assert (progress.ended, progress.rows) == ("interrupted", [])
    fit(expected, some_batches(), 1)
    np.testing.assert_array_equal(numbers(learner.network), numbers(expected.network))


@pytest.mark.parametrize("epochs", [10, None])
def test_interrupted_with_overflown_parameters_and_no_best_ones_has_diverged(epochs):
    learner = learner_of(small_network(), learning_rate=0.25)

    def spoil(row):
        learner.network.parameters.vector[...] = np.inf
        interrupt()

    message = (
        r"^Training diverged: .* in epoch 2, at learning rate 0\.25, first in the parameters of "
        r"hidden layer 1 of 1\. Try"
    )
    with pytest.raises(DivergenceError, match=message):
        fit(learner, some_batches(), epochs, report=spoil)


def test_interrupted_with_overflown_parameters_brings_the_best_back_all_the_same():
    seen, learner = [], learner_of(small_network())

    def validate(network):
        seen.append(numbers(network))
        if len(seen) == 2:
            network.parameters.vector[...] = math.inf
            interrupt()
        return 0.5, 0.5

    progress = Progress(patience=Patience(0.0, 10), watches="validation_score")
    fit(learner, some_batches(), 10, progress, validate=validate)
    assert progress.ended == "interrupted"
    np.testing.assert_array_equal(numbers(learner.network), seen[0])


def test_an_interrupted_run_can_be_taken_up_again():
    """From where it is: the epoch that was cut short begins anew."""
    learner, expected = learner_of(small_network()), learner_of(small_network())
    X, Y, _ = problem(n_rows=12)
    progress = fit(learner, InterruptedBatches(X, Y, batch_size=12, at=3), 5)
    assert (progress.ended, progress.epochs) == ("interrupted", 2)
    progress.ended = ""
    fit(learner, Batches(X, Y), 5, progress)
    assert (progress.ended, progress.epochs) == ("exhausted", 5)
    fit(expected, Batches(X, Y), 5)
    np.testing.assert_array_equal(numbers(learner.network), numbers(expected.network))
