"""Networks side by side over several calls, in copies and files, and before callbacks."""

import copy
import csv
import pickle
import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.model_selection import KFold

from skscratch import SGD
from skscratch.callbacks import Callback, Checkpoint, HistoryCSV, StopOnPlateau, TimeBudget

from ..callbacks.checks import Recorder, events, raising
from ..conftest import (
    BOTH,
    assert_same_weights,
    cancer,
    classes_for,
    classifier,
    iris,
    multilabel,
    output,
    regressor,
    state,
)
from .committees import assert_same_committee, close, folds_of, in_groups, member_outputs
from .test_networks_failures import always

both = pytest.mark.parametrize(("make", "data"), BOTH)
grouped = pytest.mark.parametrize("at_most", [1, 2, 8])
PARAMS = [
    {},
    {"dropout": 0.2, "optimizer": "nadam"},
    {"normalization": "batch", "optimizer": SGD(momentum=0.9)},
    {"feature_scaling": "learned", "dtype": "float32"},
    {"numerical_embedding": "periodic"},
    {"batch_size": 100},  # 112 and 113 rows are left
    {"batch_size": 112},  # one batch for some networks, two for others
]


# Further calls ---------------------------------------------------------------------------------


@pytest.mark.parametrize("params", PARAMS, ids=repr)
@grouped
@both
def test_a_warm_start_is_one_longer_run(make, data, params, at_most, monkeypatch):
    in_groups(monkeypatch, at_most)
    X, y = data()
    params = {"n_networks": 4, "scoring": always, **params}
    whole = make(max_iter=5, **params).fit(X, y)
    warm = make(max_iter=2, warm_start=True, **params).fit(X, y)
    folds = folds_of(warm)
    warm.set_params(max_iter=3).fit(X, y)
    assert_same_committee(warm, whole)
    assert all(map(np.array_equal, folds_of(warm), folds))
    assert warm.t_ == whole.t_
    np.testing.assert_array_equal(output(warm, X), output(whole, X))
    assert warm.oof_score_ == whole.oof_score_


@both
def test_a_warm_start_on_other_rows(make, data):
    X, y = data()
    estimator = make(n_networks=3, warm_start=True).fit(X, y)
    estimator.fit(X[:99], y[:99])
    assert sorted(map(len, folds_of(estimator))) == [33, 33, 33]
    estimator.fit(X[:39], y[:39])  # too few to leave any out
    assert estimator.plan_.judge == ""
    assert not hasattr(estimator, "oof_score_")


@both
def test_partial_fit_trains_all_on_all_rows(make, data):
    X, y = data()
    given = classes_for(make(), y)
    assert make(n_networks="auto").partial_fit(X, y, **given).coefs_[0].ndim == 2
    estimator = make(n_networks=3)
    for _ in range(2):
        estimator.partial_fit(X, y, **given)
    assert estimator.plan_.n_networks == 3
    assert estimator.t_ == 2 * len(y)
    members = member_outputs(estimator, X)
    assert np.ptp(members, axis=0).min() > 0
    close(output(estimator, X), members.mean(axis=0))
    first = make(n_networks=1)  # has the streams of the first of several
    for _ in range(2):
        first.partial_fit(X, y, **given)
    close(members[0], output(first, X))


@both
def test_partial_fit_after_fit_goes_on_with_all(make, data):
    X, y = data()
    for n_networks in (3, "auto"):
        estimator = make(n_networks=n_networks).fit(X, y)
        before = estimator.network_.snapshot()[0]
        estimator.partial_fit(X, y, **classes_for(estimator, y))
        after = estimator.network_.snapshot()[0]
        assert len(before) == len(after) == estimator.plan_.n_networks
        assert (before != after).any(axis=1).all()
        assert not hasattr(estimator, "oof_score_")


def test_partial_fit_with_cv_needs_no_splits():
    X, y = iris()
    estimator = classifier(n_networks="auto", cv=3).fit(X, y)
    assert estimator.partial_fit(X[:10], y[:10]).plan_.n_networks == 3


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@both
def test_another_number_of_networks(make, data, method):
    X, y = data()
    estimator = make(n_networks=3, warm_start=True).fit(X, y).set_params(n_networks=4)
    before = state(estimator)
    with pytest.raises(ValueError, match=r"n_networks=4 differs from the 3 .*warm_start=False"):
        getattr(estimator, method)(X, y)
    assert state(estimator) == before
    assert len(estimator.set_params(warm_start=False).fit(X, y).coefs_[0]) == 4


@both
def test_a_splitter_that_draws_others_each_time(make, data):
    X, y = data()
    cv = KFold(3, shuffle=True)
    estimator = make(n_networks="auto", cv=cv, warm_start=True).fit(X, y)
    folds = folds_of(estimator)
    estimator = pickle.loads(pickle.dumps(estimator)).fit(X, y)
    assert all(map(np.array_equal, folds_of(estimator), folds))
    assert not all(map(np.array_equal, folds_of(clone(estimator).fit(X, y)), folds))
    assert sum(map(len, folds_of(estimator.fit(X[:99], y[:99])))) == 99


@both
def test_a_checkpoint_knows_the_splits(make, data, tmp_path):
    X, y = data()
    path, cv = tmp_path / "run.ckpt", KFold(3, shuffle=True)
    params = {"n_networks": "auto", "cv": cv, "max_iter": 6}
    folds = []
    keep = Recorder(raising("end epoch 4", RuntimeError))
    with pytest.raises(RuntimeError, match="in end epoch"):
        make(**params).set_callbacks(Checkpoint(path), keep).fit(X, y)
    for _ in range(2):
        again = tmp_path / "copy.ckpt"
        again.write_bytes(path.read_bytes())
        estimator = make(**params).set_callbacks(Checkpoint(again, resume=True)).fit(X, y)
        folds.append(folds_of(estimator))
    assert all(map(np.array_equal, *folds))


@both
def test_another_number_of_splits(make, data):
    X, y = data()
    estimator = make(n_networks="auto", cv=3, warm_start=True).fit(X, y).set_params(cv=4)
    before = state(estimator)
    with pytest.raises(ValueError, match=r"cv makes 4 splits.* continue with 3 networks"):
        estimator.fit(X, y)
    assert state(estimator) == before


# L-BFGS ----------------------------------------------------------------------------------------


@both
def test_lbfgs_trains_one_after_the_other(make, data):
    X, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = make(n_networks=3, optimizer="lbfgs", max_iter=20).fit(X, y)
        close(output(estimator, X), member_outputs(estimator, X).mean(axis=0))
        for k, fold in enumerate(folds_of(estimator)):
            rows = np.delete(np.arange(len(y)), fold)
            alone = make(n_networks="auto", cv=[(rows, fold)], optimizer="lbfgs", max_iter=20)
            if k == 0:  # the others begin from other weights
                alone.fit(X, y)
                np.testing.assert_allclose(
                    estimator.coefs_[0][0], alone.coefs_[0], rtol=1e-3, atol=1e-3
                )
    assert estimator.n_iter_ == len(estimator.history_["epoch"])
    assert estimator.history_["epoch"] == list(range(1, estimator.n_iter_ + 1))
    name = "oof_decision_function_" if is_classifier(estimator) else "oof_prediction_"
    assert np.isfinite(getattr(estimator, name)).all()
    close(estimator.history_["validation_score"][-1], estimator.oof_score_)


@pytest.mark.parametrize("at", ["end epoch 1", "end epoch 30"])
@both
def test_lbfgs_leaves_out_those_whose_turn_did_not_come(make, data, at):
    X, y = data()
    estimator = make(n_networks=3, optimizer="lbfgs", max_iter=20, warm_start=True)
    estimator.set_callbacks(Recorder(lambda event: event == at))
    n_left = 1 if at == "end epoch 1" else 2
    with pytest.warns(UserWarning, match=f"{3 - n_left} of 3 networks are left out, since"):
        estimator.fit(X, y)
    assert estimator.plan_.n_networks == n_left
    assert estimator.n_iter_ == int(at.split()[-1])
    with warnings.catch_warnings():  # a further call has as many
        warnings.simplefilter("ignore")
        assert estimator.set_callbacks().fit(X, y).plan_.n_networks == n_left


# Copies and files ------------------------------------------------------------------------------


def copies(estimator, path):
    joblib.dump(estimator, path)
    return [
        pickle.loads(pickle.dumps(estimator)),
        joblib.load(path),
        joblib.load(path, mmap_mode="c"),
        copy.deepcopy(estimator),
        copy.copy(estimator),
    ]


@pytest.mark.parametrize("params", PARAMS[:5], ids=repr)
@grouped
@both
def test_copies_predict_the_same_and_go_on(make, data, params, at_most, monkeypatch, tmp_path):
    in_groups(monkeypatch, at_most)
    X, y = data()
    estimator = make(n_networks=4, warm_start=True, max_iter=2, **params).fit(X, y)
    others = copies(estimator, tmp_path / "estimator")
    further = copy.deepcopy(estimator).fit(X, y)
    partial = copy.deepcopy(estimator).partial_fit(X, y)
    for other in others:
        np.testing.assert_array_equal(output(other, X), output(estimator, X))
        assert other.oof_score_ == estimator.oof_score_
        assert_same_weights(copy.deepcopy(other).partial_fit(X, y), partial)
        assert_same_committee(other.fit(X, y), further)
    assert_same_weights(clone(estimator).fit(X, y), estimator)
    for learner in others[0]._fitted.learners:
        assert np.shares_memory(
            learner.network.parameters.vector, others[0].network_.parameters.vector
        )


@both
def test_training_a_copy_leaves_the_original(make, data):
    X, y = data()
    estimator = make(n_networks=3, warm_start=True).fit(X, y)
    before, predicted = state(estimator), output(estimator, X)
    copy.copy(estimator).fit(X, y)
    copy.deepcopy(estimator).partial_fit(X, y)
    assert state(estimator) == before
    np.testing.assert_array_equal(output(estimator, X), predicted)


@grouped
def test_a_file_for_prediction_holds_the_parameters_once(at_most, monkeypatch):
    in_groups(monkeypatch, at_most)
    X, y = iris()
    estimator = classifier(n_networks=6, hidden_layer_sizes=(64, 64), max_iter=2).fit(X, y)
    n_bytes = estimator.network_.parameters.vector.nbytes
    assert n_bytes < len(pickle.dumps(estimator)) < 1.2 * n_bytes


# Callbacks -------------------------------------------------------------------------------------


class Predicting(Callback):
    """Predict in each hook that has something to predict with."""

    def __init__(self, X):
        self.X, self.seen = X, []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.seen.append((context.task_name, fitted_estimator.predict_proba(self.X)))


@grouped
@pytest.mark.parametrize("data", [iris, cancer, multilabel])
def test_one_event_an_epoch_and_a_snapshot_that_predicts(data, at_most, monkeypatch):
    in_groups(monkeypatch, at_most)
    X, y = data()
    recorder, predicting = Recorder(), Predicting(X)
    estimator = classifier(n_networks=4, scoring=always).set_callbacks(recorder, predicting)
    estimator.fit(X, y)
    assert recorder.events == events(5)
    names, seen = zip(*predicting.seen, strict=True)
    assert names == (*["epoch"] * 5, "fit")
    for epochs, P in enumerate(seen[:5], start=1):
        shorter = classifier(n_networks=4, scoring=always, max_iter=epochs).fit(X, y)
        np.testing.assert_array_equal(P, shorter.predict_proba(X))
    np.testing.assert_array_equal(seen[5], estimator.predict_proba(X))


@pytest.mark.parametrize("params", PARAMS, ids=repr)
@grouped
@both
def test_a_killed_run_ends_bitwise_the_same(make, data, params, at_most, monkeypatch, tmp_path):
    in_groups(monkeypatch, at_most)
    X, y = data()
    path = tmp_path / "run.ckpt"
    params = {"n_networks": 4, "max_iter": 6, **params}
    if make is classifier:
        params["calibrate"] = True
    whole = make(**params).fit(X, y)
    failing = Recorder(raising("end epoch 4", RuntimeError))
    with pytest.raises(RuntimeError, match="in end epoch"):
        make(**params).set_callbacks(Checkpoint(path, every=2), failing).fit(X, y)
    recorder = Recorder()
    resumed = make(**params).set_callbacks(Checkpoint(path, resume=True), recorder).fit(X, y)
    assert recorder.epoch == 2
    assert_same_committee(resumed, whole)
    np.testing.assert_array_equal(output(resumed, X), output(whole, X))
    streams = [
        [stream.bit_generator.state for each in one._fitted.streams.values() for stream in each]
        for one in (resumed, whole)
    ]
    assert streams[0] == streams[1]
    moments = [
        [joblib.hash(learner.state) for learner in one._fitted.learners] for one in (resumed, whole)
    ]
    assert moments[0] == moments[1]


def test_plateaus_budgets_and_tables(tmp_path):
    X, y = iris()
    path = tmp_path / "history.csv"
    estimator = classifier(n_networks=3, max_iter=200, learning_rate=0.05)
    estimator.set_callbacks(StopOnPlateau(n_epochs=3), HistoryCSV(path)).fit(X, y)
    assert 3 < estimator.n_iter_ < 200
    losses = estimator.history_["validation_loss"]
    assert min(losses[-4:]) > min(losses) - 1e-4
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["validation_loss"]) for row in rows] == losses
    estimator = classifier(n_networks=3, max_iter=10**6).set_callbacks(TimeBudget(0.2))
    assert 1 <= estimator.fit(X, y).n_iter_ < 10**6


def test_progress_is_shown(capsys):
    X, y = iris()
    estimator = classifier(n_networks=3, max_iter=2, verbose=True).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    loss, score = (estimator.history_[name][0] for name in ("loss", "validation_score"))
    assert lines[0] == f"Epoch 1: loss {loss:.6f}, validation score {score:.4f}"


def test_a_regressors_snapshot_predicts():
    X, y = BOTH[1].values[1]()
    found = []

    class Predict(Callback):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            found.append(fitted_estimator.predict(X))

    estimator = regressor(n_networks=3, scoring=always).set_callbacks(Predict()).fit(X, y)
    np.testing.assert_array_equal(found[-1], estimator.predict(X))
    np.testing.assert_array_equal(found[-2], estimator.predict(X))
