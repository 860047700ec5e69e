"""Training once more on all rows, for as many epochs as were best on a part of them."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits

from skscratch import Normal, ScratchMLPClassifier, ScratchMLPRegressor
from skscratch.callbacks import Callback, Checkpoint, TimeBudget
from skscratch.nn import DivergenceError, fit

from ..conftest import classifier, diabetes, iris, regressor, state

HELD_OUT = {"early_stopping": True, "refit": True, "validation_fraction": 0.3}


def digits(n_rows=1_000):
    X, y = load_digits(return_X_y=True)
    return X[:n_rows], y[:n_rows]


@pytest.mark.parametrize(
    ("make", "data", "rate"), [(classifier, iris, 0.5), (regressor, diabetes, 0.05)]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_network_is_that_of_all_rows_after_as_many_epochs(make, data, rate, weighted):
    X, y = data()
    weights = np.random.default_rng(0).random(len(X)) + 0.1 if weighted else None
    # Without hidden layers it starts at zero, and with full batches chance has no part in it.
    settings = {"hidden_layer_sizes": (), "init": Normal(std=0.0), "batch_size": None}
    settings |= {"max_iter": 12, "lr_schedule": "cosine", "learning_rate": rate, "optimizer": "sgd"}
    refitted = make(**settings, **HELD_OUT).fit(X, y, weights)
    epoch = refitted.best_epoch_
    assert 1 < epoch <= 12
    whole = make(**(settings | {"max_iter": epoch})).fit(X, y, weights)
    assert_array_equal(refitted.coefs_[0], whole.coefs_[0])
    assert_array_equal(refitted.intercepts_[0], whole.intercepts_[0])


class EndAfter(Callback):
    """Ends training after an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        return context.task_name == "epoch" and fitted_estimator.n_iter_ >= self.epoch


@pytest.mark.parametrize(("make", "data"), [(classifier, iris), (regressor, diabetes)])
def test_what_was_measured_stays(make, data):
    X, y = data()
    settings = HELD_OUT | {"max_iter": 8, "hidden_layer_sizes": (6,)}
    if make is classifier:
        settings |= {"calibrate": True}
    once = make(**(settings | {"refit": False})).fit(X, y)
    again = make(**settings).fit(X, y)
    assert np.abs(again.coefs_[0] - once.coefs_[0]).max() > 0.01
    for name in ("loss", "validation_loss", "validation_score", "learning_rate"):
        assert again.history_[name] == once.history_[name]
    for name in ("n_iter_", "loss_", "best_epoch_", "best_validation_score_"):
        assert getattr(again, name) == getattr(once, name)
    scores = np.array(again.validation_scores_)
    assert scores[again.best_epoch_ - 1] == scores.max() == again.best_validation_score_
    assert again.t_ == once.t_ + again.best_epoch_ * len(X)
    if make is classifier:
        assert again.temperature_ == once.temperature_


def test_it_starts_from_the_same_weights():
    X, y = iris()
    settings = HELD_OUT | {"learning_rate": 1e-9, "max_iter": 2, "random_state": 3}
    starts = []
    for refit in (False, True):
        clf = classifier(**settings).set_params(refit=refit).fit(X, y)
        starts.append(clf.coefs_[0])
    np.testing.assert_allclose(*starts, rtol=0, atol=1e-6)


def test_best_epoch_is_that_of_early_stopping():
    X, y = iris()
    assert classifier().fit(X, y).best_epoch_ is None
    clf = classifier(early_stopping=True, learning_rate=0.001, max_iter=4).fit(X, y)
    assert clf.best_epoch_ == 1 + np.argmax(clf.validation_scores_)


@pytest.mark.parametrize("make", [ScratchMLPClassifier, ScratchMLPRegressor])
def test_automatic_choice(make, monkeypatch):
    X, y = digits()
    settings = {"max_iter": 2, "random_state": 0, "hidden_layer_sizes": (16,)}

    def refits(n_rows=1_000, X_val=None, y_val=None, **params):
        estimator = make(**settings, **params).fit(X[:n_rows], y[:n_rows], None, X_val, y_val)
        return estimator.t_ > estimator.n_iter_ * n_rows

    assert refits()
    assert not refits(n_rows=999)
    assert not refits(X_val=X[:50], y_val=y[:50])
    assert not refits(refit=False)
    assert not refits(early_stopping=True)
    assert not refits(warm_start=True)
    assert not refits(optimizer="sgd", lr_schedule="adaptive", early_stopping="auto")
    monkeypatch.setattr("skscratch._fitting.plan.REFIT_TO", 999)
    assert not refits()


def test_improves_the_scores_on_new_rows():
    X, y = load_digits(return_X_y=True)
    params = {"max_iter": 30, "validation_fraction": 0.5}  # so many rows that they tell
    for seed in range(3):
        score, without = (
            ScratchMLPClassifier((64,), refit=refit, random_state=seed, **params)
            .fit(X[:1000], y[:1000])
            .score(X[1000:], y[1000:])
            for refit in (True, False)
        )
        assert score > without + 0.005


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"early_stopping": False}, "refit=True trains again on all rows, and none are held out"),
        ({"warm_start": True}, "refit=True starts anew on all rows, and warm_start=True goes on"),
        ({"lr_schedule": "adaptive"}, "refit=True does not go with lr_schedule='adaptive'"),
        ({"optimizer": "lbfgs", "early_stopping": "auto"}, "refit does not go with optimizer='lbf"),
        ({"refit": 1}, "refit must be True or False or 'auto', got 1"),
    ],
)
def test_what_does_not_go_together(settings, message):
    X, y = iris()
    clf = classifier(**HELD_OUT).fit(X, y).set_params(**settings)
    before = state(clf)
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y)
    assert state(clf) == before


def test_with_validation_data_of_ones_own_nothing_is_held_out():
    X, y = iris()
    with pytest.raises(ValueError, match="none are held out"):
        classifier(**HELD_OUT).fit(X, y, X_val=X[::3], y_val=y[::3])


def test_going_on_from_all_rows_holds_none_out():
    X, y = iris()
    clf = classifier(**HELD_OUT).fit(X, y)
    clf.set_params(warm_start=True, refit=False)
    with pytest.raises(ValueError, match="early_stopping=True has no rows to hold out"):
        clf.fit(X, y)
    clf.fit(X, y, X_val=X[::2], y_val=y[::2])
    clf.set_params(early_stopping="auto").fit(X, y)
    X, y = digits()
    clf = ScratchMLPClassifier((8,), max_iter=2, random_state=0).fit(X, y)
    clf.set_params(warm_start=True).fit(X, y)
    assert np.isnan(clf.history_["validation_loss"]).tolist() == [False, False, True, True]


def test_partial_fit_goes_on_from_the_refitted_network():
    X, y = iris()
    clf = classifier(**HELD_OUT).fit(X, y)
    W = clf.coefs_[0].copy()
    clf.partial_fit(X, y, X_val=X, y_val=y)
    assert 0 < np.abs(clf.coefs_[0] - W).max() < 0.2
    assert len(clf.history_["loss"]) == clf.n_iter_ + 5


class FailRefit(Callback):
    """Ends the second training, which calls no hooks, by an error."""

    error: BaseException = DivergenceError("on purpose")

    def __init__(self, monkeypatch):
        self.patch = monkeypatch

    def on_fit_task_end(self, estimator, context):
        def fail(*args):
            raise self.error

        if context.task_name == "epoch" and context.task_id == 4:
            self.patch.setitem(fit.__globals__, "epoch", fail)


class InterruptRefit(FailRefit):
    """Interrupts it."""

    error = KeyboardInterrupt()


def test_an_interrupted_one_leaves_the_first_network(monkeypatch):
    X, y = iris()
    once = classifier(**(HELD_OUT | {"refit": False})).fit(X, y)
    clf = classifier(**HELD_OUT).set_callbacks(InterruptRefit(monkeypatch))
    with pytest.warns(
        UserWarning, match="interrupted .* keeps the network that it trained on a part"
    ) as caught:
        clf.fit(X, y)
    assert caught[0].filename == __file__
    assert_array_equal(clf.coefs_[0], once.coefs_[0])


def test_one_that_diverges_leaves_the_first_network(monkeypatch):
    X, y = iris()
    once = classifier(**(HELD_OUT | {"refit": False})).fit(X, y)
    clf = classifier(**HELD_OUT).set_callbacks(FailRefit(monkeypatch))
    with pytest.warns(
        UserWarning, match="The refit failed, and the estimator keeps .*: on purpose"
    ) as caught:
        clf.fit(X, y)
    assert caught[0].filename == __file__
    assert_array_equal(clf.coefs_[0], once.coefs_[0])


def test_nothing_follows_a_training_that_a_callback_ended():
    X, y = iris()
    clf = classifier(**HELD_OUT).set_callbacks(TimeBudget(1e-9)).fit(X, y)
    assert clf.t_ == clf.n_iter_ * 105


def test_a_resumed_fit_ends_with_the_same_weights(tmp_path):
    X, y = iris()
    settings = HELD_OUT | {"dropout": 0.2, "calibrate": True}
    whole = classifier(**settings).fit(X, y)
    path = tmp_path / "run.ckpt"
    stopped = classifier(**settings).set_callbacks(Checkpoint(path), EndAfter(3)).fit(X, y)
    resumed = classifier(**settings).set_callbacks(Checkpoint(path, resume=True)).fit(X, y)
    assert resumed.n_iter_ == 3  # a callback ended that run, and nothing follows
    assert_array_equal(resumed.coefs_[0], stopped.coefs_[0])
    killed = tmp_path / "killed.ckpt"
    with pytest.raises(RuntimeError):
        classifier(**settings).set_callbacks(Checkpoint(killed), Kill(5)).fit(X, y)
    resumed = classifier(**settings).set_callbacks(Checkpoint(killed, resume=True)).fit(X, y)
    assert_array_equal(resumed.coefs_[0], whole.coefs_[0])
    assert resumed.temperature_ == whole.temperature_


class Kill(EndAfter):
    """Ends the fit with an error."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if super().on_fit_task_end(estimator, context, fitted_estimator=fitted_estimator):
            raise RuntimeError


def test_progress_says_that_it_is_the_refit(capsys):
    X, y = iris()
    clf = classifier(**HELD_OUT, max_iter=3, verbose=True).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        *(f"Epoch {i}" for i in (1, 2, 3)),
        *(f"Refit on all rows, epoch {i + 1}" for i in range(clf.best_epoch_)),
    ]
