"""What several test modules share: callbacks that record, and runs that are interrupted."""

import joblib
import numpy as np
import pytest

from skscratch.callbacks import Callback, Checkpoint, StopOnPlateau


def state_without_callbacks(estimator):
    """Return a hash of everything that the estimator holds but its callbacks, which change."""
    return joblib.hash({k: v for k, v in vars(estimator).items() if k != "_skl_callbacks"})


class Recorder(Callback):
    """Writes down what happens, and does something in it if asked to.

    ``react`` is called with the name of each event, such as "end epoch 3"; its answer is returned.
    """

    def __init__(self, react=None):
        self.events, self.react, self.epoch = [], react, 0

    def _happens(self, event, context=None):
        if context is not None:
            event = f"{event} {context.task_name}"
            if context.task_name == "epoch":
                self.epoch += event.startswith("begin")
                event = f"{event} {self.epoch}"
        self.events.append(event)
        return self.react(event) if self.react else None

    def setup(self, estimator, context):
        self._happens("setup")

    def teardown(self, estimator, context):
        self._happens("teardown")

    def on_fit_task_begin(self, estimator, context):
        self._happens("begin", context)

    def on_fit_task_end(self, estimator, context):
        return self._happens("end", context)

    def __getstate__(self):
        return {}  # what it has seen is no part of an estimator's state


def events(n_epochs):
    within = [f"{what} epoch {k}" for k in range(1, n_epochs + 1) for what in ("begin", "end")]
    return ["setup", "begin fit", *within, "end fit", "teardown"]


def raising(at, error):
    """Return a reaction that raises an error in one event."""

    def react(event):
        if event == at:
            raise error(f"in {event}")

    return react


def assert_same_run(estimator, other):
    """Compare everything that a run leaves behind, but how long it took."""
    for array, wanted in zip(estimator.network_.snapshot(), other.network_.snapshot(), strict=True):
        np.testing.assert_array_equal(array, wanted)
    for name, column in other.history_.items():
        if name != "seconds":
            np.testing.assert_array_equal(estimator.history_[name], column, err_msg=name)
    for name in ("n_iter_", "t_", "loss_", "best_loss_", "best_validation_score_"):
        assert getattr(estimator, name) == getattr(other, name), name
    assert estimator._fitted.progress.clock == other._fitted.progress.clock
    # Moments and random streams, too.
    one, another = estimator._fitted, other._fitted
    assert states_of(one.streams) == states_of(another.streams)
    for learner, wanted in zip(one.learners, another.learners, strict=True):
        assert joblib.hash(learner.state) == joblib.hash(wanted.state)


def states_of(streams):
    """Return the states of random streams, one for each purpose and network."""
    return {name: [each.bit_generator.state for each in own] for name, own in streams.items()}


def interrupted(estimator, path, epoch, *data, every=1, **more):
    """Let a fit with a checkpoint fail in an epoch."""
    failing = Recorder(raising(f"end epoch {epoch}", RuntimeError))
    estimator.set_callbacks(Checkpoint(path, every=every), failing)
    before = state_without_callbacks(estimator)
    with pytest.raises(RuntimeError, match="in end epoch"):
        estimator.fit(*data, **more)
    assert state_without_callbacks(estimator) == before


def resume(estimator, path, *data, **more):
    """Resume from a checkpoint, and say how many epochs were made."""
    recorder = Recorder()
    estimator.set_callbacks(Checkpoint(path, resume=True), recorder).fit(*data, **more)
    return recorder.epoch


PLATEAU = {"max_iter": 60, "learning_rate": 0.02, "tol": 0.0, "n_iter_no_change": float("inf")}


def plateau():
    return StopOnPlateau("loss", n_epochs=2, tol=0.02)
