"""Scales that are learned from several calls: streams of single rows, columns that come late."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer

from skscratch import ScratchMLPClassifier, ScratchMLPRegressor
from skscratch._fitting.running import ENOUGH_ROWS
from skscratch._fitting.scaling import RobustSmoothClip
from skscratch.callbacks import Checkpoint

from ..conftest import BOTH, classifier, regressor, state

both = pytest.mark.parametrize(("make", "data"), BOTH)
forms = pytest.mark.parametrize("form", [np.asarray, sp.csr_array, sp.csr_matrix])


def feed(estimator, X, y, step=1, first=None):
    """Let the estimator see each row once, in pieces."""
    given = {"classes": np.unique(y)} if hasattr(estimator, "predict_proba") else {}
    start = 0
    while start < X.shape[0]:
        stop = start + (step if start or first is None else first)
        estimator.partial_fit(X[start:stop], y[start:stop], **given)
        start = stop
    return estimator


def assert_same_scaler(scaler, other):
    for name in ("center_", "scale_", "shift_"):
        assert_array_equal(getattr(scaler, name), getattr(other, name))


def output(estimator, X):
    return getattr(estimator, "decision_function", estimator.predict)(X)


# The scaler -----------------------------------------------------------------------------------


@forms
@pytest.mark.parametrize("step", [1, 7, 64])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_stream_is_scaled_as_its_first_rows_at_once(form, step, weighted):
    rng = np.random.default_rng(0)
    X = form(np.round(rng.normal(size=(300, 4)) * [1, 10, 100, 1e6] + 3))
    weights = rng.integers(0, 3, 300) + (np.arange(300) % step == 0) if weighted else None
    scaler, used = None, []
    for start in range(0, 300, step):
        part = slice(start, start + step)
        w = None if weights is None else weights[part].astype(float)
        used.append(part.stop)
        known = scaler and copy.deepcopy(scaler)
        new = RobustSmoothClip().fit(X[part], w) if scaler is None else scaler.update(X[part], w)
        if scaler is not None:
            assert_same_scaler(scaler, known)  # the old one stays as it was
        scaler = new
    counts = np.cumsum(np.ones(300) if weights is None else weights > 0)
    rows = next(stop for stop in used if counts[min(stop, 300) - 1] >= ENOUGH_ROWS)
    whole = RobustSmoothClip().fit(X[:rows], None if weights is None else weights[:rows] * 1.0)
    assert_same_scaler(scaler, whole)
    assert scaler.update(1000 * X) is scaler


@forms
@pytest.mark.parametrize("before", [3, 250])
@pytest.mark.parametrize("step", [1, 30])
def test_a_column_is_scaled_from_when_it_first_varies(form, before, step):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(before + 400, 3))
    X[:before, 1] = 0
    X[:before, 2] = 7
    X[before:, 1:] = X[before:, 1:] * 3 + 50
    X = form(X)
    scaler = RobustSmoothClip().fit(X[:before])
    assert_array_equal(scaler.scale_ > 0, [True, False, False])
    for start in range(before, before + 400, step):
        scaler = scaler.update(X[start : start + step])
        assert (scaler.scale_ > 0).all()
    assert_allclose(scaler.center_[1:], 50, atol=2)
    quartiles = 3 * 1.35
    if before == 3:  # three outliers of a hundred rows may move the spread, but fourfold at most
        assert np.all(1 / scaler.scale_[1:] > 0.65 * quartiles)
        assert np.all(1 / scaler.scale_[1:] < 5 * quartiles)
    else:
        assert_allclose(1 / scaler.scale_[1:], quartiles, rtol=0.35)


@forms
def test_rare_indicators_keep_center_and_scale(form):
    rng = np.random.default_rng(0)
    X = form((rng.random((3_000, 5)) < [0, 0.003, 0.02, 0.1, 0.2]) * 1.0)
    scaler = RobustSmoothClip().fit(X[:1])
    for start in range(1, 3_000):
        scaler = scaler.update(X[start : start + 1])
    assert_array_equal(scaler.center_, 0)
    assert_array_equal(scaler.scale_, [0, 1, 1, 1, 1])


def test_a_large_call_after_a_small_one_counts_alone(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5_000, 3)) * [1, 10, 100]
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    scaler = RobustSmoothClip().fit(1000 * X[:1]).update(mapped)
    assert_same_scaler(scaler, RobustSmoothClip().fit(X))


def test_forms_may_change_within_a_stream():
    X = np.random.default_rng(0).normal(size=(150, 3)) * (np.arange(450).reshape(150, 3) % 2)
    plain = mixed = RobustSmoothClip().fit(X[:1])
    for i in range(1, 150):
        plain = plain.update(X[i : i + 1])
        mixed = mixed.update((sp.csr_array if i % 3 else np.asarray)(X[i : i + 1]))
    assert_same_scaler(mixed, plain)


def test_the_callers_rows_may_change_afterwards():
    X = np.random.default_rng(0).normal(size=(40, 3))
    buffer, plain = X[:20].copy(), RobustSmoothClip().fit(X[:20].copy())
    scaler = RobustSmoothClip().fit(buffer)
    buffer[...] = 1e9
    assert_same_scaler(scaler.update(X[20:]), plain.update(X[20:].copy()))


# Estimators -----------------------------------------------------------------------------------


def test_single_rows_teach_what_pieces_teach():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3)) * [1, 10, 100] + 5
    for make, y in ((ScratchMLPClassifier, X[:, 0] > 5), (ScratchMLPRegressor, 2 * X[:, 0])):
        for first in (1, 50):
            estimator = feed(make((16,), random_state=0), X, y, first=first)
            assert estimator.score(X, y) > 0.85


def test_single_rows_of_many_columns():
    X, y = load_breast_cancer(return_X_y=True)
    X, y = X[:400], y[:400]
    assert feed(ScratchMLPClassifier((16,), random_state=0), X, y).score(X, y) > 0.92


def late_categories():
    rng = np.random.default_rng(0)
    category = rng.integers(0, np.minimum(2 + np.arange(900) // 20, 20))
    return np.eye(20)[category], 10 * rng.normal(size=20)[category] + 100


def late_sensors():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 3)) * 2 + 20
    X[:150, 0] = X[:300, 1] = 0
    return X, (X[:, 0] - 20) * (X[:, 0] != 0) - (X[:, 1] - 20) * (X[:, 1] != 0)


def words():
    rng = np.random.default_rng(0)
    counts = np.zeros((900, 300))
    np.add.at(counts, (np.repeat(np.arange(900), 8), rng.zipf(1.3, 7200) % 300), 1)
    return counts, counts @ rng.normal(size=300)


@pytest.mark.parametrize(
    ("data", "form", "rate"),
    [
        (late_categories, np.asarray, 7e-3),
        (late_sensors, np.asarray, 7e-3),
        (words, sp.csr_array, 2e-3),  # a wide input moves further by the same rate
    ],
)
def test_what_appears_later_is_learned(data, form, rate):
    X, y = data()
    n_training = len(y) * 2 // 3
    rows, rest = slice(n_training), slice(n_training, None)
    reg = ScratchMLPRegressor((16,), learning_rate=rate, random_state=0)
    reg = feed(reg, form(X[rows]), y[rows])
    assert reg.score(form(X[rest]), y[rest]) > 0.5
    y = y > np.median(y)
    clf = feed(ScratchMLPClassifier((16,), random_state=0), form(X[rows]), y[rows])
    assert clf.score(form(X[rest]), y[rest]) > 0.75


@both
@forms
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_storage_makes_no_difference(make, data, form, method):
    X, y = data()
    X = form(X * (np.arange(len(X)) > 30)[:, np.newaxis])
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order], y[order]
    make_one = lambda: make(feature_scaling="robust", warm_start=True, max_iter=2)  # noqa: E731
    pieces = [slice(0, 50), *(slice(i, i + 1) for i in range(50, 55)), slice(55, None)]
    if method == "fit":
        pieces = [slice(0, 50), slice(0, 90), slice(20, None)]
    estimator, stored = make_one(), make_one()
    for number, part in enumerate(pieces):
        for each in (estimator, stored):
            if number and method == "partial_fit":
                each.partial_fit(X[part], y[part])
            else:
                each.fit(X[part], y[part])
        stored = pickle.loads(pickle.dumps(stored))
        assert_array_equal(output(stored, X), output(estimator, X))
        assert_same_scaler(stored.feature_scaler_, estimator.feature_scaler_)


@both
def test_a_failed_call_leaves_the_scale_as_it_was(make, data):
    X, y = data()
    estimator = make(feature_scaling="robust", optimizer="sgd", learning_rate=1e-3)
    feed(estimator, X[::5], y[::5])
    before, predicted = state(estimator), output(estimator, X)
    estimator.set_params(learning_rate=1e300, batch_size=4)
    with pytest.raises(ValueError, match="diverged"):
        estimator.partial_fit(50 * X, y)
    assert state(estimator.set_params(learning_rate=1e-3, batch_size=16)) == before
    assert_array_equal(output(estimator, X), predicted)


@both
def test_files_for_prediction_hold_no_rows(make, data):
    X, y = data()
    X, y = X[::3], y[::3]
    estimator = make(feature_scaling="robust").fit(X, y)
    stored = pickle.loads(pickle.dumps(estimator))
    assert_array_equal(output(stored, X), output(estimator, X))
    for name in ("feature_scaler_", "_target_running"):
        held = getattr(stored, name, None)
        if held is not None:
            assert getattr(held, "_running", held)._chunks == ()
    stored.partial_fit(10 * X[:20], y[:20])  # fewer than it was learned from
    assert_same_scaler(stored.feature_scaler_, estimator.feature_scaler_)


@both
def test_files_for_prediction_hold_no_rows_of_calls_before(make, data):
    X, y = data()
    secret = X[::3].copy()
    secret[0, 0] = 0.1234567891011
    estimator = make(feature_scaling="robust", early_stopping=True)
    given = {"classes": np.unique(y)} if make is classifier else {}
    estimator.partial_fit(secret, y[::3], X_val=X, y_val=y, **given)
    assert secret[0, 0].tobytes() in pickle.dumps(estimator)  # it may go on
    estimator.set_params(early_stopping=False).fit(X, y)
    assert secret[0, 0].tobytes() not in pickle.dumps(estimator)


@both
def test_the_best_call_comes_back_with_its_scale(make, data):
    X, y = data()
    X = X + 1
    scores = iter([0.1, 0.9, 0.2, 0.2, 0.2, 0.2])
    estimator = make(
        feature_scaling="robust", early_stopping=True, tol=0.0, n_iter_no_change=2,
        scoring=lambda *given: next(scores),
    )  # fmt: skip
    seen = []
    for k in range(5):
        part = slice(k * 10, None, 15)
        given = {"classes": np.unique(y)} if make is classifier else {}
        estimator.partial_fit(sp.csr_array(X[part]), y[part], X_val=X, y_val=y, **given)
        seen.append(output(estimator, sp.csr_array(X)))
    assert estimator._fitted.progress.ended == "stalled"
    assert not np.array_equal(seen[3], seen[2])
    assert_array_equal(seen[4], seen[1])
    assert_allclose(output(estimator, X), seen[1], rtol=1e-12)


@both
def test_a_checkpoint_of_a_later_call(make, data, tmp_path):
    X, y = data()
    X = 30 * X + 1

    class Killed(Checkpoint):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            super().on_fit_task_end(estimator, context, fitted_estimator=fitted_estimator)
            if context.task_name == "epoch" and fitted_estimator.n_iter_ == 2:
                raise RuntimeError("killed")

    first = make(feature_scaling="robust", warm_start=True).fit(X[::3], y[::3])
    whole = copy.deepcopy(first).fit(5 * X, y)
    killed, resumed = copy.deepcopy(first), copy.deepcopy(first)
    with pytest.raises(RuntimeError, match="killed"):
        killed.set_callbacks(Killed(tmp_path / "run")).fit(5 * X, y)
    assert_same_scaler(killed.feature_scaler_, first.feature_scaler_)
    resumed.set_callbacks(Checkpoint(tmp_path / "run", resume=True)).fit(5 * X, y)
    assert_array_equal(output(resumed, X), output(whole, X))
    assert_same_scaler(resumed.feature_scaler_, whole.feature_scaler_)


def test_a_target_that_was_constant_is_standardized_when_it_varies():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    y = np.column_stack([1e4 + 1e3 * X[:, 0], np.where(np.arange(300) < 120, 5.0, X[:, 1])])
    reg = feed(regressor(), X, y)
    assert_allclose(reg._fitted.target.scaler.mean_, [1e4, 0], rtol=0.1, atol=0.3)
    assert_allclose(reg._fitted.target.scaler.scale_, [1e3, 1], rtol=0.3)
    assert_array_equal(reg._fitted.target.scaler.var_, reg._fitted.target.scaler.scale_**2)


def test_bins_are_of_the_first_call_and_few_rows_are_told_of():
    X = np.random.default_rng(0).normal(size=(200, 2))
    X[:150, 1] = 0
    reg = regressor(feature_scaling="robust", numerical_embedding="piecewise_linear")
    with pytest.warns(UserWarning, match="learns its bins from the first call") as caught:
        copy.deepcopy(reg).partial_fit(X[:1], X[:1, 0])
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reg.partial_fit(X[:80], X[:80, 0])
        scaler = reg.feature_scaler_
        reg.partial_fit(3 * X[80:], X[80:, 0])
    # A feature with bins stays where these are; one without is scaled when it varies.
    assert reg.feature_scaler_.scale_[0] == scaler.scale_[0]
    assert scaler.scale_[1] == 0 < reg.feature_scaler_.scale_[1]
