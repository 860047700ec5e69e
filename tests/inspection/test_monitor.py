import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skscratch import SGD
from skscratch.callbacks import Callback, Checkpoint
from skscratch.inspection import LayerMonitor

from ..conftest import BOTH, classifier, diabetes, iris, multilabel, regressor

both = pytest.mark.parametrize(("make", "data"), BOTH)


class Weights(Callback):
    """Keeps a copy of each epoch's weights."""

    def __init__(self):
        self.epochs = []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            self.epochs.append([W.copy() for W in fitted_estimator.coefs_])

    def __getstate__(self):
        return {"epochs": []}


def last_row(monitor, layer):
    frame = pd.DataFrame(monitor.record)
    return frame[frame.layer == layer].iloc[-1]


def assert_describes(row, gradient):
    assert row.mean_gradient == pytest.approx(np.mean(np.abs(gradient)), rel=1e-5)
    assert row.max_gradient == pytest.approx(np.max(np.abs(gradient)), rel=1e-5)
    assert row.std_gradient == pytest.approx(np.std(gradient), rel=1e-5)


def test_gradients_are_finite_differences_of_the_loss():
    X, y = iris()
    monitor = LayerMonitor()
    clf = classifier(hidden_layer_sizes=(4, 3)).set_callbacks(monitor).fit(X, y)
    for layer, W in enumerate(clf.coefs_, start=1):  # views, so that predictions follow
        gradient, h = np.empty_like(W), 1e-5
        for place in np.ndindex(W.shape):
            value, losses = W[place], []
            for W[place] in (value - h, value + h):
                losses.append(log_loss(y, clf.predict_proba(X)))
            W[place] = value
            gradient[place] = (losses[1] - losses[0]) / (2 * h)
        assert_describes(last_row(monitor, layer), gradient)


def test_gradients_of_a_linear_model_are_those_of_the_formula_with_weights():
    X, y = iris()
    weights = np.random.default_rng(0).integers(0, 4, len(y))
    monitor = LayerMonitor()
    clf = classifier(hidden_layer_sizes=()).set_callbacks(monitor)
    clf.fit(X, y, sample_weight=weights)
    error = clf.predict_proba(X) - np.eye(3)[y]
    assert_describes(last_row(monitor, 1), X.T @ (weights[:, np.newaxis] * error) / weights.sum())


@pytest.mark.parametrize("clip_norm", [None, 1e-3])
def test_the_update_ratio_of_plain_descent_is_that_of_the_formula(clip_norm):
    X, y = iris()
    monitor = LayerMonitor()
    settings = {"optimizer": SGD(), "learning_rate": 0.3, "l2": 5.0, "clip_norm": clip_norm}
    clf = classifier(hidden_layer_sizes=(), **settings).set_callbacks(monitor).fit(X, y)
    (W,), error = clf.coefs_, clf.predict_proba(X) - np.eye(3)[y]
    step = X.T @ error / len(y) + 5.0 * W / len(y)
    norm = np.linalg.norm(np.vstack([step, error.mean(axis=0)]))
    if clip_norm is not None:
        step *= clip_norm / norm
    expected = 0.3 * np.linalg.norm(step) / np.linalg.norm(W)
    assert last_row(monitor, 1).update_ratio == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("optimizer", ["momentum", "rmsprop", "adam", "adamw", "nadam"])
@pytest.mark.parametrize("learned_scales", [False, True])
def test_the_update_ratio_is_that_of_the_step_training_makes_next(optimizer, learned_scales):
    X, y = diabetes()
    monitor, weights = LayerMonitor(), Weights()
    scaling = "learned" if learned_scales else "robust"
    reg = regressor(hidden_layer_sizes=(6, 5), optimizer=optimizer, max_iter=4)
    reg.set_params(feature_scaling=scaling, batch_size=None, shuffle=False, l2=0.1)
    reg.set_callbacks(monitor, weights).fit(X, y)
    ratios = np.reshape(monitor.record["update_ratio"], (4, 3))
    layers = (1, 2) if learned_scales else (0, 1, 2)  # coefs_ have the scales multiplied in
    for epoch in range(3):
        before, after = weights.epochs[epoch : epoch + 2]
        for k in layers:
            expected = np.linalg.norm(after[k] - before[k]) / np.linalg.norm(before[k])
            assert ratios[epoch, k] == pytest.approx(expected, rel=1e-7)


@both
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_training_goes_on_as_without_it(make, data, normalization):
    X, y = data()
    settings = {"dropout": 0.3, "normalization": normalization, "early_stopping": True}
    alone = make(**settings).fit(X, y)
    watched = make(**settings).set_callbacks(LayerMonitor(n_rows=20)).fit(X, y)
    for expected, found in zip(alone.coefs_, watched.coefs_, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert watched.history_["loss"] == alone.history_["loss"]


def test_epochs_and_layers():
    X, y = iris()
    monitor = LayerMonitor(every=3)
    classifier(hidden_layer_sizes=(4, 3), max_iter=8).set_callbacks(monitor).fit(X, y)
    assert monitor.record["epoch"] == [1, 1, 1, 4, 4, 4, 7, 7, 7]
    assert monitor.record["layer"] == [1, 2, 3] * 3
    assert np.isnan(last_row(monitor, 3).dead_share)


def test_idle_units():
    X, y = iris()
    monitor = LayerMonitor()
    settings = {"activation": ["relu", "tanh"], "init": "normal", "learning_rate": 1e-9}
    clf = classifier(hidden_layer_sizes=(8, 8), optimizer="sgd", warm_start=True, **settings)
    clf.fit(X, y)
    # Weights are tiny, so that the biases decide.
    clf.intercepts_[0][...] = [-1, 1, 1, -1, 1, -1, 1, 1]
    clf.intercepts_[1][...] = [0, 0, 3, 0, 0, 0, 0, -1]
    clf.set_callbacks(monitor).fit(X, y)
    assert last_row(monitor, 1).dead_share == 3 / 8
    assert np.isnan(last_row(monitor, 1).saturated_share)
    assert last_row(monitor, 2).saturated_share == 1 / 8
    assert last_row(monitor, 2).dead_share == 0


def test_a_fit_replaces_the_record_and_a_warm_start_adds_to_it():
    X, y = iris()
    monitor = LayerMonitor()
    clf = classifier(max_iter=3).set_callbacks(monitor).fit(X, y).fit(X, y)
    assert monitor.record["epoch"] == [1, 1, 2, 2, 3, 3]
    clf.set_params(warm_start=True).fit(X, y)
    assert monitor.record["epoch"] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    assert len(clf.history_["epoch"]) == 6


def test_calls_of_partial_fit_add_to_the_record_of_one_estimator():
    X, y = iris()
    monitor = LayerMonitor()
    first = classifier().set_callbacks(monitor)
    second = clone(first)
    for _ in range(2):
        first.partial_fit(X, y, classes=[0, 1, 2])
    assert monitor.record["epoch"] == [1, 1, 2, 2]
    first.partial_fit(X[:60], y[:60])  # lacks a class
    assert monitor.record["epoch"] == [1, 1, 2, 2, 3, 3]
    assert monitor.has_watched(first)
    second.partial_fit(X, y, classes=[0, 1, 2])
    assert monitor.record["epoch"] == [1, 1]
    assert monitor.has_watched(second)
    assert not monitor.has_watched(first)
    pickle.loads(pickle.dumps(second)).partial_fit(X, y)
    assert monitor.record["epoch"] == [1, 1]


def test_a_resumed_run_goes_on_with_the_record(tmp_path):
    X, y = iris()

    class Stop(Callback):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            if context.task_name == "epoch" and fitted_estimator.n_iter_ == 4:
                raise RuntimeError("killed")

    monitor, path = LayerMonitor(), tmp_path / "run.ckpt"
    with pytest.raises(RuntimeError, match="killed"):
        classifier().set_callbacks(monitor, Checkpoint(path, every=2), Stop()).fit(X, y)
    assert monitor.record["epoch"] == [1, 1, 2, 2, 3, 3, 4, 4]
    resumed = classifier().set_callbacks(monitor, Checkpoint(path, resume=True)).fit(X, y)
    assert monitor.record["epoch"] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert monitor.has_watched(resumed)


def test_in_a_search_the_record_is_that_of_the_refit():
    X, y = iris()
    monitor = LayerMonitor()
    model = make_pipeline(StandardScaler(), classifier().set_callbacks(monitor))
    search = GridSearchCV(model, {"scratchmlpclassifier__max_iter": [2, 3]}, cv=2).fit(X, y)
    refitted = search.best_estimator_[-1]
    assert monitor.has_watched(refitted)
    assert max(monitor.record["epoch"]) == refitted.n_iter_


def test_the_record_of_a_fit_that_failed_is_kept():
    X, y = iris()
    monitor = LayerMonitor()
    reg = regressor(
        activation="identity", optimizer="sgd", learning_rate=3.0, max_iter=1000, batch_size=None
    )
    with pytest.raises(ValueError, match="diverged"):
        reg.set_callbacks(monitor).fit(X, y)
    assert max(monitor.record["max_gradient"]) > 1e3


def test_lbfgs_has_no_update_ratio():
    X, y = iris()
    monitor = LayerMonitor()
    classifier(optimizer="lbfgs").set_callbacks(monitor).fit(X, y)
    assert np.all(np.isnan(monitor.record["update_ratio"]))
    assert np.all(np.greater(monitor.record["mean_gradient"], 0))


def frame(X, y):
    return pd.DataFrame(X).add_prefix("x"), pd.Series(y, index=range(1000, 1000 + len(y)))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda X, y: (X.tolist(), y.tolist()), id="lists"),
        pytest.param(frame, id="pandas"),
        pytest.param(lambda X, y: (pl.DataFrame(X), pl.Series(y)), id="polars"),
        pytest.param(lambda X, y: (sparse.csc_matrix(X), y), id="csc"),
        pytest.param(lambda X, y: (X, np.array(["a", "b", "c"])[y]), id="strings"),
        pytest.param(lambda X, y: (X, y[:, np.newaxis] == [0, 1]), id="multilabel"),
        pytest.param(lambda X, y: (X, sparse.csr_matrix(y[:, np.newaxis] == [0, 1])), id="sparse"),
    ],
)
def test_kinds_of_data(change):
    X, y = change(*iris())
    monitor = LayerMonitor(n_rows=50)
    clf = classifier(max_iter=1, feature_scaling="robust").set_callbacks(monitor).fit(X, y)
    assert monitor.has_watched(clf)
    assert np.all(np.isfinite(monitor.record["mean_gradient"]))


def test_weights_of_rows():
    X, y = iris()
    rare = np.zeros(len(y))
    rare[[3, 77, 140]] = 1
    for weights in (rare, pd.Series(rare), rare.tolist(), 2.0):
        monitor = LayerMonitor(n_rows=2)
        classifier(max_iter=1).set_callbacks(monitor).fit(X, y, sample_weight=weights)
        assert np.all(np.greater(monitor.record["max_gradient"], 0))


def test_class_weights_and_rows_that_lack_a_class():
    X, y = iris()
    for class_weight in ("balanced", {0: 3.0}):
        monitor = LayerMonitor(n_rows=1)
        classifier(max_iter=1, class_weight=class_weight).set_callbacks(monitor).fit(X, y)
        assert np.all(np.isfinite(monitor.record["max_gradient"]))
    X, Y = multilabel()
    clf = classifier(max_iter=1, class_weight="balanced", label_smoothing=0.1)
    clf.set_callbacks(LayerMonitor(n_rows=1)).fit(X, Y)


@both
def test_it_survives_copies_and_pickle(make, data):
    X, y = data()
    est = make().set_callbacks(LayerMonitor()).fit(X, y)
    for other in (pickle.loads(pickle.dumps(est)), copy.deepcopy(est)):
        (monitor,) = other._skl_callbacks
        assert monitor is not est._skl_callbacks[0]
        assert monitor.has_watched(other)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_rows": 0}, ValueError, "n_rows .* got 0"),
        ({"every": 1.5}, TypeError, "every .* got 1.5"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        LayerMonitor(**arguments)


def test_a_pipeline_or_a_search_is_refused():
    pytest.importorskip("sklearn.callback")
    X, y = iris()
    search = GridSearchCV(classifier(), {"l2": [0, 1]}).set_callbacks(LayerMonitor())
    with pytest.raises(TypeError, match="LayerMonitor belongs on"):
        search.fit(X, y)
