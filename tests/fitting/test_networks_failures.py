"""Networks that diverge, runs that are interrupted, and calls that fail."""

import copy
import importlib
import pickle
import signal
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from sklearn.base import is_classifier

from skscratch.callbacks import Checkpoint
from skscratch.nn import DivergenceError, Network

from ..callbacks.checks import Recorder, raising
from ..conftest import BOTH, classes_for, classifier, diabetes, iris, output, regressor, state
from ..promises.test_interrupts import count_lines, interrupt_fit
from .committees import (
    assert_same_committee,
    close,
    folds_of,
    in_groups,
    member_outputs,
    trained_alone,
)
from .test_out_of_fold import Keep, by_hand, loss_by_hand, score_by_hand

both = pytest.mark.parametrize(("make", "data"), BOTH)
grouped = pytest.mark.parametrize("at_most", [1, 2, 8])
FIT = importlib.import_module("skscratch.nn.fit")


@pytest.fixture
def lose(monkeypatch):
    """Return a function that has some networks diverge in an epoch, counted from 1 in each run."""

    def lose(numbers, epoch=1):
        whole = []

        def initialize(network, *args):
            initialize_as_ever(network, *args)
            whole[:] = [network.parameters.vector]

        def spoiled(learner, batches, workspace, progress):
            if progress.epochs + 1 == epoch:
                for number in numbers:
                    for own in learner.network.parameters.vector.reshape(-1, whole[0].shape[-1]):
                        if np.shares_memory(own, whole[0][number]):
                            own[...] = np.nan
            return epoch_as_ever(learner, batches, workspace, progress)

        monkeypatch.setattr(Network, "initialize", initialize)
        monkeypatch.setattr(FIT, "epoch", spoiled)

    initialize_as_ever, epoch_as_ever = Network.initialize, FIT.epoch
    return lose


def fit_with_losses(estimator, *data, match="1 of 4 networks diverged and are left out", **more):
    with pytest.warns(UserWarning, match=match):
        return estimator.fit(*data, **more)


def always(estimator, X, y):
    """Return a score for which the last epoch is as good as any."""
    return 1.0


# One network diverges --------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("epoch", [1, 2])
@grouped
@both
def test_the_others_go_on(make, data, at_most, epoch, weighted, lose, monkeypatch):
    in_groups(monkeypatch, at_most)
    X, y = data()
    weights = np.random.default_rng(0).integers(1, 4, len(y)).astype(float) if weighted else None
    folds = folds_of(make(n_networks=4, max_iter=1).fit(X, y, sample_weight=weights))
    lose([1], epoch)
    estimator = fit_with_losses(make(n_networks=4), X, y, sample_weight=weights)
    assert estimator.best_epoch_ >= epoch
    assert estimator.coefs_[0].shape[0] == estimator.plan_.n_networks == 3
    Y = estimator._fitted.target.encode(estimator._clean_target(y), np.float64)
    by_itself = make(n_networks=4)
    by_itself._trained = copy.copy(estimator._fitted)
    by_itself._trained.plan = estimator.plan_.but("n_networks", 4, "")
    for place, k in enumerate((0, 2, 3)):
        rows = np.delete(np.arange(len(y)), folds[k])
        column = None if weights is None else weights[:, np.newaxis]
        alone = trained_alone(by_itself, X, Y, k, rows, estimator.best_epoch_, column)
        close(estimator.network_.member((place,)).snapshot()[0], alone.snapshot()[0])
    close(output(estimator, X), member_outputs(estimator, X).mean(axis=0))
    name = "oof_decision_function_" if is_classifier(estimator) else "oof_prediction_"
    found = getattr(estimator, name)
    assert np.isnan(found[folds[1]]).all()
    kept = np.delete(np.arange(len(y)), folds[1])
    wanted = by_hand(estimator, X, [folds[k] for k in (0, 2, 3)])
    close(found[kept], wanted[kept])
    counted = None if weights is None else weights[kept]
    close(estimator.oof_score_, score_by_hand(estimator, found[kept], y[kept], counted))
    if is_classifier(estimator):
        loss = estimator.history_["validation_loss"][estimator.best_epoch_ - 1]
        close(loss, loss_by_hand(estimator, found[kept], y[kept], counted))
    for k, learner in enumerate(estimator._fitted.learners):
        shape = learner.network.stack
        assert np.shape(learner.mean_weight) in ((), (*shape, 1)), k
        assert len(learner.streams) == max(1, int(np.prod(shape)))


@grouped
@both
def test_they_go_on_in_further_calls(make, data, at_most, lose, monkeypatch):
    """With folds, moments and streams of their own, as if there had been no interruption."""
    in_groups(monkeypatch, at_most)
    X, y = data()
    lose([2])
    params = {"n_networks": 4, "dropout": 0.2, "warm_start": True, "scoring": always}
    whole = fit_with_losses(make(max_iter=5, **params), X, y)
    lose([2])
    parts = fit_with_losses(make(max_iter=2, **params), X, y)
    lose([], 1)
    for restored in (pickle.loads(pickle.dumps(parts)), copy.deepcopy(parts), parts):
        restored.set_params(max_iter=3).fit(X, y)
        assert_same_committee(restored, whole, exactly=at_most == 1)
        np.testing.assert_array_equal(
            restored._fitted.out_of_fold.rows, whole._fitted.out_of_fold.rows
        )
        partial = copy.deepcopy(restored).set_params(warm_start=False)
        partial.partial_fit(X, y, **classes_for(partial, y))
        assert len(partial.coefs_[0]) == 3
        assert np.isfinite(output(partial, X)).all()


@both
def test_one_that_is_left_is_a_single_network(make, data, lose):
    X, y = data()
    lose([0, 1, 3])
    estimator = make(n_networks=4, warm_start=True, max_iter=2)
    fit_with_losses(estimator, X, y, match="3 of 4 networks diverged")
    assert estimator.coefs_[0].ndim == 2
    rows = estimator._fitted.out_of_fold.rows
    estimator.fit(X, y)
    np.testing.assert_array_equal(estimator._fitted.out_of_fold.rows, rows)
    assert estimator.plan_.judge == "folds"
    assert np.isfinite(output(estimator, X)).all()


@grouped
@both
def test_what_goes_back_to_a_good_epoch_stays(make, data, at_most, lose, monkeypatch):
    in_groups(monkeypatch, at_most)
    X, y = data()
    scores = [0.0, 2.0, 1.0, 1.0]
    params = {"n_networks": 4, "max_iter": 4, "warm_start": True}
    good = make(scoring=scripted(scores), **params).fit(X, y)
    lose([1], epoch=4)
    estimator = make(scoring=scripted(scores), **params)
    fit_with_losses(estimator, X, y, match="1 of 4 networks diverged and have gone back")
    assert estimator.best_epoch_ == 2
    for array, wanted in zip(estimator.network_.snapshot(), good.network_.snapshot(), strict=True):
        np.testing.assert_array_equal(array, wanted)
    lose([], 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.set_params(scoring="loss").fit(X, y)
    assert estimator.plan_.n_networks == 4


def scripted(values):
    """Return a scorer that gives one value after the other, and 0 in the end."""
    rest = iter(values)
    return lambda estimator, X, y: next(rest, 0.0)


@pytest.mark.parametrize("how", ["early_stopping", "X_val", "too few", "scorer"])
@both
def test_however_epochs_are_judged(make, data, how, lose):
    X, y = data()
    rows = np.random.default_rng(0).permutation(len(y))
    X, y, more = X[rows], y[rows], {}
    estimator = make(n_networks=4)
    if how == "early_stopping":
        estimator.set_params(early_stopping=True)
    elif how == "X_val":
        X, y, more = X[:100], y[:100], {"X_val": X[100:], "y_val": y[100:]}
    elif how == "too few":
        X, y = X[:30], y[:30]
    else:
        estimator.set_params(scoring="accuracy" if is_classifier(estimator) else "r2")
    lose([3])
    fit_with_losses(estimator, X, y, **more)
    close(output(estimator, X), member_outputs(estimator, X).mean(axis=0))
    scores = estimator.history_["validation_score"]
    assert np.isnan(scores).all() if how == "too few" else np.isfinite(scores).all()


@grouped
@both
def test_all_networks_diverge(make, data, at_most, lose, monkeypatch):
    in_groups(monkeypatch, at_most)
    X, y = data()
    estimator = make(n_networks=3, warm_start=True).fit(X, y)
    before = state(estimator)
    monkeypatch.setattr(FIT, "train_step", poisoned(FIT.train_step))
    with pytest.raises(DivergenceError, match=r"Try .*learning_rate=0.001 in place of 0.01"):
        estimator.fit(X, y)
    assert state(estimator) == before


def poisoned(step):
    def poisoned_step(learner, *args):
        learner.network.parameters.vector[...] = np.nan
        return step(learner, *args)

    return poisoned_step


@both
def test_lbfgs_leaves_one_out(make, data, monkeypatch):
    X, y = data()
    initialize = Network.initialize

    def spoil(network, *args):
        initialize(network, *args)
        network.parameters.vector[1] = np.nan

    monkeypatch.setattr(Network, "initialize", spoil)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "L-BFGS stopped")
        estimator = make(n_networks=4, optimizer="lbfgs")
        with pytest.warns(UserWarning, match="1 of 4 networks diverged"):
            estimator.fit(X, y)
    assert len(estimator.coefs_[0]) == 3
    assert np.isfinite(output(estimator, X)).all()


@grouped
def test_callbacks_see_those_that_are_left(at_most, lose, monkeypatch):
    in_groups(monkeypatch, at_most)
    X, y = iris()
    lose([1], epoch=2)
    keep = Keep()
    fit_with_losses(classifier(n_networks=4).set_callbacks(keep), X, y)
    for after in keep.kept:
        assert np.isfinite(after.predict_proba(X)).all()


@grouped
def test_a_checkpoint_knows_what_is_lost(at_most, lose, monkeypatch, tmp_path):
    in_groups(monkeypatch, at_most)
    X, y = iris()
    lose([1], epoch=2)
    whole = fit_with_losses(classifier(n_networks=4, max_iter=6), X, y)
    path = tmp_path / "run.ckpt"
    failing = Recorder(raising("end epoch 4", RuntimeError))
    with pytest.raises(RuntimeError, match="end epoch 4"):
        classifier(n_networks=4, max_iter=6).set_callbacks(Checkpoint(path), failing).fit(X, y)
    lose([], 1)
    resumed = classifier(n_networks=4, max_iter=6).set_callbacks(Checkpoint(path, resume=True))
    fit_with_losses(resumed, X, y)
    assert_same_committee(resumed, whole)
    assert resumed.oof_score_ == whole.oof_score_


# Interrupts ------------------------------------------------------------------------------------


def interrupted(estimator, *data):
    with pytest.warns(UserWarning, match="interrupted after|left out, since") as caught:
        estimator.fit(*data)
    assert "Training was interrupted after" in str(caught[0].message)
    return estimator


@grouped
@pytest.mark.parametrize("n_jobs", [1, 2])
@both
def test_an_interrupt_within_an_epoch(make, data, n_jobs, at_most, monkeypatch):
    in_groups(monkeypatch, at_most)
    X, y = data()
    keep, steps = Keep(), []

    def step(learner, *args):
        steps.append(learner)
        if len(keep.kept) == 3 and len(steps) % 5 == 4:
            raise KeyboardInterrupt
        return step_as_ever(learner, *args)

    step_as_ever = FIT.train_step
    monkeypatch.setattr(FIT, "train_step", step)
    estimator = make(n_networks=4, n_jobs=n_jobs, max_iter=9).set_callbacks(keep)
    interrupted(estimator, X, y)
    assert estimator.n_iter_ == 3
    best = keep.kept[estimator.best_epoch_ - 1]
    np.testing.assert_array_equal(output(estimator, X), output(best, X))
    assert np.isfinite(estimator.oof_score_)
    monkeypatch.undo()
    np.testing.assert_array_equal(
        output(pickle.loads(pickle.dumps(estimator)), X), output(estimator, X)
    )
    estimator.set_callbacks().set_params(warm_start=True).fit(X, y)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to a thread")
def test_networks_in_other_threads_come_to_their_end(monkeypatch):
    """What an interrupt does in the main thread waits for what others still write."""
    in_groups(monkeypatch, 1)
    X, y = iris()
    keep = Keep()

    def slow(learner, batches, workspace, progress):
        if progress.epochs == 2 and not slept:
            slept.append(True)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.3)
        return epoch_as_ever(learner, batches, workspace, progress)

    slept, epoch_as_ever = [], FIT.epoch
    monkeypatch.setattr(FIT, "epoch", slow)
    # A shell starts background jobs with interrupts ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    estimator = classifier(n_networks=4, n_jobs=2).set_callbacks(keep)
    try:
        interrupted(estimator, X, y)
    finally:
        signal.signal(signal.SIGINT, before)
    assert estimator.n_iter_ == 2
    best = keep.kept[estimator.best_epoch_ - 1]
    np.testing.assert_array_equal(output(estimator, X), output(best, X))


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("at", ["begin epoch 1", "end epoch 1", "end epoch 3"])
@both
def test_an_interrupt_in_a_callback(make, data, at, optimizer):
    X, y = data()
    recorder = Recorder(raising(at, KeyboardInterrupt))
    estimator = make(n_networks=4, optimizer=optimizer).set_callbacks(recorder)
    interrupted(estimator, X, y)
    assert estimator.n_iter_ == (0 if at.startswith("begin") else int(at[-1]))
    assert np.isfinite(output(estimator, X)).all()
    assert np.isfinite(estimator.oof_score_)


@pytest.mark.parametrize(
    "params",
    [{}, {"early_stopping": True}, {"optimizer": "lbfgs"}, {"n_jobs": 2, "calibrate": True}],
    ids=str,
)
@pytest.mark.parametrize("at_most", [1, 8])
def test_an_interrupt_at_any_line(params, at_most, monkeypatch):
    in_groups(monkeypatch, at_most)
    X, y = iris()
    X, y = X[::2], y[::2]
    estimator = classifier(n_networks=3, max_iter=2, batch_size=20, **params)
    n_lines, rng = count_lines(estimator, X, y), np.random.default_rng(at_most)
    for at in rng.integers(1, n_lines + 1, 6):
        interrupt_fit(copy.deepcopy(estimator), X, y, at)


def test_an_interrupt_after_one_was_lost(lose, monkeypatch):
    in_groups(monkeypatch, 1)
    X, y = iris()
    lose([0])
    estimator = classifier(n_networks=4)
    estimator.set_callbacks(Recorder(raising("end epoch 3", KeyboardInterrupt)))
    with pytest.warns(UserWarning, match="interrupted|1 of 4") as caught:
        estimator.fit(X, y)
    assert any("1 of 4 networks diverged" in str(each.message) for each in caught)
    assert len(estimator.coefs_[0]) == 3
    assert np.isfinite(estimator.decision_function(X)).all()


def fail(*args):
    raise RuntimeError("in fail")


# Failures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("where", ["callback", "scorer", "step"])
@both
def test_failures_leave_the_estimator_as_it_was(make, data, where, n_jobs, monkeypatch):
    in_groups(monkeypatch, 1)
    X, y = data()
    estimator = make(n_networks=3, warm_start=True, max_iter=2, n_jobs=n_jobs).fit(X, y)
    recorder = Recorder(raising("end epoch 1", RuntimeError) if where == "callback" else None)
    estimator.set_callbacks(recorder)

    if where == "scorer":
        estimator.set_params(scoring=fail)
    if where == "step":
        monkeypatch.setattr(FIT, "train_step", fail)
    before, predicted = state(estimator), output(estimator, X)
    with pytest.raises(RuntimeError, match=r"in (end|fail)"):
        estimator.fit(X, y)
    recorder.epoch, recorder.events = 0, []
    if where != "callback":  # which has counted
        assert state(estimator) == before
    np.testing.assert_array_equal(output(estimator, X), predicted)


def test_a_value_that_all_but_one_train_on():
    """One row makes all diverge but the network that leaves it out, which says how far it is."""
    X, y = diabetes()
    X[7] = 1e30
    estimator = regressor(n_networks=4, dtype="float32", activation="relu", optimizer="sgd")
    fit_with_losses(estimator, X, y, match="3 of 4 networks diverged")
    assert estimator.oof_score_ < -1e6
    assert 7 in estimator._fitted.out_of_fold.rows
