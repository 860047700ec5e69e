"""Temperature scaling: the number itself, and what the classifier makes of it."""

import copy
import math
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale

from skscratch import Focal, ScratchMLPClassifier, ScratchMLPRegressor
from skscratch._fitting.calibration import HIGHEST, PRIOR_ROWS, find_temperature
from skscratch._fitting.plan import FOLDS_FROM
from skscratch.callbacks import Callback, Checkpoint
from skscratch.nn import OneHot
from skscratch.nn.losses import LogisticLogLoss, SoftmaxLogLoss

from ..conftest import Cauchit, cancer, classifier, iris, multilabel

DATA = {"binary": cancer, "multiclass": iris, "multilabel": multilabel}
each_target = pytest.mark.parametrize("target", DATA)


def digits(n_train=400, n_val=400):
    X, y = load_digits(return_X_y=True)
    X = X / 16
    parts = np.split(np.random.default_rng(0).permutation(len(y)), [n_train, n_train + n_val])
    return [(X[rows], y[rows]) for rows in parts]


def noisy_logits(n_rows=60, n_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    Z = 3 * rng.standard_normal((n_rows, n_classes))
    y = (Z + 4 * rng.gumbel(size=Z.shape)).argmax(axis=1)
    return Z, np.eye(n_classes)[y]


def objective(T, Z, Y, weights, loss):
    """Return what is minimized, term by term."""
    total = 0.0
    for i, (z, y) in enumerate(zip(Z / T, Y, strict=True)):
        w = np.ones(1) if weights is None else weights[i]
        if isinstance(loss, SoftmaxLogLoss):
            total -= w.item() * math.log(softmax(z) @ y)
        else:
            total -= np.sum(w * np.log(np.where(y == 1, expit(z), expit(-z))))
    return total + PRIOR_ROWS * (1 / T - 1 + math.log(T))


# The number ------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_many_rows_are_looked_at_block_by_block(weighted, monkeypatch):
    Z, Y = noisy_logits()
    weights = np.random.default_rng(1).random((len(Z), 1)) if weighted else None
    whole = find_temperature(Z, Y, weights, SoftmaxLogLoss())
    labels = OneHot(Y.argmax(axis=1), Y.shape[1], np.array([0.0, 1.0]))
    assert find_temperature(Z, labels, weights, SoftmaxLogLoss()) == whole
    monkeypatch.setattr("skscratch.nn.blocks.BLOCK", 7 * Y.shape[1])
    for targets in (Y, labels):
        in_blocks = find_temperature(Z, targets, weights, SoftmaxLogLoss())
        assert in_blocks == pytest.approx(whole, rel=1e-8)


@pytest.mark.parametrize(
    ("loss", "weighted"),
    [
        (SoftmaxLogLoss(), ""),
        (SoftmaxLogLoss(), "rows"),
        (LogisticLogLoss(), ""),
        (LogisticLogLoss(), "rows"),
        (LogisticLogLoss(), "labels"),
    ],
)
def test_against_a_grid(loss, weighted):
    Z, Y = noisy_logits()
    rng = np.random.default_rng(1)
    weights = {"": None, "rows": rng.random((len(Z), 1)), "labels": rng.random(Y.shape)}[weighted]
    before = Z.copy()
    T = find_temperature(Z, Y, weights, loss)
    assert_array_equal(Z, before)
    at = [objective(t, Z, Y, weights, loss) for t in (T, T * (1 + 1e-4), T * (1 - 1e-4))]
    assert at[0] < at[1]
    assert at[0] < at[2]
    grid = np.geomspace(1 / HIGHEST, HIGHEST, 201)
    nearest = grid[np.argmin([objective(t, Z, Y, weights, loss) for t in grid])]
    assert pytest.approx(nearest, rel=0.02) == T


def test_in_closed_form():
    # Of many rows with the logits z and 0, as many are right as the tempered logit says.
    z, share = 3.0, 0.7
    Y = np.zeros((1_000_000, 1))
    Y[: int(share * len(Y))] = 1
    T = find_temperature(np.full_like(Y, z), Y, None, LogisticLogLoss())
    assert pytest.approx(z / math.log(share / (1 - share)), rel=1e-4) == T


def test_finds_by_how_much_logits_were_multiplied():
    rng = np.random.default_rng(0)
    Z = 2 * rng.standard_normal((50_000, 3))
    Y = np.eye(3)[(Z + rng.gumbel(size=Z.shape)).argmax(axis=1)]
    for factor in (0.2, 1.0, 5.0):
        T = find_temperature(factor * Z, Y, None, SoftmaxLogLoss())
        assert pytest.approx(factor, rel=0.02) == T


@pytest.mark.parametrize("loss", [SoftmaxLogLoss(), LogisticLogLoss()])
def test_a_row_of_weight_two_counts_as_two_rows(loss):
    Z, Y = noisy_logits()
    weights = np.random.default_rng(2).integers(0, 4, len(Z))
    T = find_temperature(Z, Y, weights[:, np.newaxis].astype(float), loss)
    again = find_temperature(Z.repeat(weights, 0), Y.repeat(weights, 0), None, loss)
    assert pytest.approx(again, rel=1e-8) == T


def test_rows_that_are_all_right_do_not_make_certain():
    rng = np.random.default_rng(0)
    Y = np.eye(3)[rng.integers(0, 3, 30)]
    T = find_temperature(2 * Y, Y, None, SoftmaxLogLoss())
    assert 0.2 < T < 1
    wrong = 30 * (1 - softmax(2 * Y / T, axis=1).max(axis=1)[0])
    assert 0.02 < wrong < 2  # about one error in as many rows is not ruled out
    assert find_temperature(1e9 * Y, Y, None, SoftmaxLogLoss()) == pytest.approx(1)


def test_logits_without_evidence_stay_as_they_are():
    Y = np.eye(3)
    assert find_temperature(np.zeros((3, 3)), Y, None, SoftmaxLogLoss()) == pytest.approx(1)
    assert find_temperature(np.full((3, 3), np.nan), Y, None, SoftmaxLogLoss()) == 1


def test_bounds():
    Y = np.eye(2)[np.zeros(10_000, int)]
    right = np.tile([1e-2, 0.0], (len(Y), 1))
    assert find_temperature(right, Y, None, SoftmaxLogLoss()) == 1 / HIGHEST
    assert find_temperature(-1e6 * right, Y, None, SoftmaxLogLoss()) == HIGHEST


# The classifier --------------------------------------------------------------------------------


@each_target
@pytest.mark.parametrize("given", [False, True])
def test_everything_but_the_labels_is_divided_by_the_temperature(target, given):
    X, y = DATA[target]()
    held_out = {"X_val": X[::2], "y_val": y[::2]} if given else {}
    settings = {"early_stopping": not given}
    plain = classifier(**settings).fit(X, y, **held_out)
    clf = classifier(calibrate=True, **settings).fit(X, y, **held_out)
    assert plain.temperature_ == 1
    assert type(clf.temperature_) is float
    assert clf.temperature_ not in (1, HIGHEST, 1 / HIGHEST)
    Z = plain.decision_function(X) / clf.temperature_
    assert_allclose(clf.decision_function(X), Z, rtol=1e-14)
    P = clf.predict_proba(X)
    assert_allclose(np.exp(clf.predict_log_proba(X)), P, rtol=1e-12)
    if target == "multiclass":
        assert_allclose(P, softmax(Z, axis=1), rtol=1e-12)
    else:
        assert_allclose(P if target == "multilabel" else P[:, 1], expit(Z), rtol=1e-12)
    assert_array_equal(clf.predict(X), plain.predict(X))
    assert_array_equal(clf.coefs_[0], plain.coefs_[0])
    for name in ("loss", "validation_loss", "validation_score"):
        assert clf.history_[name] == plain.history_[name]


@each_target
def test_learned_on_the_rows_held_out(target, splits):
    X, y = DATA[target]()
    weights = np.random.default_rng(0).random(len(X))
    balanced = {"class_weight": "balanced"} if target != "multilabel" else {}
    clf = classifier(calibrate=True, early_stopping=True, label_smoothing=0.1, **balanced)
    clf.fit(X, y, weights)
    _, rows = splits[-1]
    Z = (clf.decision_function(X[rows]) * clf.temperature_).reshape(len(rows), -1)
    Y = np.eye(3)[y[rows]] if target == "multiclass" else y[rows].reshape(len(rows), -1)
    if balanced:
        by_class = weights.sum() / (len(clf.classes_) * np.bincount(y, weights))
        weights = weights * by_class[y]
    loss = SoftmaxLogLoss() if target == "multiclass" else LogisticLogLoss()
    expected = find_temperature(Z, Y.astype(float), weights[rows, np.newaxis], loss)
    assert clf.temperature_ == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("settings", [{"label_smoothing": 0.3}, {"label_smoothing": 0.0}])
def test_improves_the_log_loss(settings):
    (X, y), (X_val, y_val), (X_test, y_test) = digits()
    clf = classifier(hidden_layer_sizes=(32,), l2=0, max_iter=60, calibrate=True, **settings)
    clf.fit(X, y, X_val=X_val, y_val=y_val)
    T = clf.temperature_
    assert T < 0.8 if settings["label_smoothing"] else T > 1.1
    before = softmax(clf.decision_function(X_test) * T, axis=1)
    assert log_loss(y_test, clf.predict_proba(X_test)) < 0.97 * log_loss(y_test, before)


def test_any_loss_with_their_link_is_calibrated_by_the_log_loss():
    (X, y), (X_val, y_val), _ = digits()
    clf = classifier(loss=Focal(gamma=2.0), calibrate=True, max_iter=20)
    clf.fit(X, y, X_val=X_val, y_val=y_val)
    Z = clf.decision_function(X_val) * clf.temperature_
    expected = find_temperature(Z, np.eye(10)[y_val], None, SoftmaxLogLoss())
    assert clf.temperature_ == pytest.approx(expected, rel=1e-8)


def test_another_link():
    X, y = cancer()
    settings = {"loss": Cauchit(), "early_stopping": True}
    with pytest.raises(ValueError, match=r"calibrate=True .* loss=Cauchit\(\): .* 'cauchit'"):
        classifier(calibrate=True, **settings).fit(X, y)
    clf = classifier(calibrate="auto", **settings).fit(X, y)
    assert clf.temperature_ == 1
    assert_allclose(np.exp(clf.predict_log_proba(X)), clf.predict_proba(X))


def test_a_scorer_sees_the_network_as_it_is():
    (X, y), (X_val, y_val), _ = digits()
    clf = classifier(calibrate=True, scoring="neg_log_loss", warm_start=True)
    for _ in range(2):
        clf.fit(X, y, X_val=X_val, y_val=y_val)
        assert clf.temperature_ != 1
        expected = -np.array(clf.history_["validation_loss"])
        assert_allclose(clf.history_["validation_score"], expected, rtol=1e-9)


def test_lbfgs():
    (X, y), (X_val, y_val), _ = digits()
    clf = classifier(optimizer="lbfgs", calibrate=True, max_iter=50)
    assert clf.fit(X, y, X_val=X_val, y_val=y_val).temperature_ != 1
    clf.set_params(n_networks=2)
    assert clf.fit(X, y).temperature_ > 1.1  # sure of rows that the networks learned by heart


# Where there is little or nothing to learn from -------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"n_networks": 3}])
def test_rows_that_were_all_trained_on_are_no_ground_for_it(settings):
    X, y = (array[: FOLDS_FROM - 1] for array in cancer())
    clf = classifier(calibrate=True, **settings)
    with pytest.raises(ValueError, match=r"calibrate=True needs rows that were not trained on.*"):
        clf.fit(X, y)
    assert not hasattr(clf, "network_")
    assert clf.set_params(calibrate="auto").fit(X, y).temperature_ == 1
    assert clf.set_params(calibrate=True).fit(X, y, X_val=X, y_val=y).temperature_ != 1


@each_target
@pytest.mark.parametrize("weighted", [False, True])
def test_each_fold_is_judged_by_the_network_that_left_it_out(target, weighted):
    X, y = DATA[target]()
    weights = np.random.default_rng(0).integers(0, 3, len(X)) if weighted else None
    settings = {"n_networks": 3, "label_smoothing": 0.3}
    plain = classifier(**settings).fit(X, y, weights)
    clf = classifier(calibrate=True, **settings).fit(X, y, weights)
    assert_array_equal(clf.coefs_[0], plain.coefs_[0])
    assert clf.history_["validation_loss"] == plain.history_["validation_loss"]
    found = plain._fitted.out_of_fold
    assert sorted(found.rows) == list(range(len(X)))
    Z = np.empty_like(found.logits)
    for k in range(3):
        alone = copy.copy(plain)
        alone._trained = plain._fitted.member(k)
        own = found.networks == k
        Z[own] = alone.decision_function(X[found.rows[own]]).reshape(own.sum(), -1)
    y = y[found.rows]
    Y = np.eye(3)[y] if target == "multiclass" else y.reshape(len(y), -1)
    counts = None if weights is None else weights[found.rows, np.newaxis].astype(float)
    loss = SoftmaxLogLoss() if target == "multiclass" else LogisticLogLoss()
    expected = find_temperature(Z, Y.astype(float), counts, loss)
    assert clf.temperature_ == pytest.approx(expected, rel=1e-6)
    assert_allclose(clf.decision_function(X), plain.decision_function(X) / expected, rtol=1e-6)


def test_the_folds_improve_the_log_loss_of_the_defaults_on_few_rows():
    (X, y), (X_test, y_test), _ = digits()
    settings = {"hidden_layer_sizes": (32,), "label_smoothing": 0.3, "random_state": 0}
    clf = ScratchMLPClassifier(**settings).fit(X, y)
    assert clf.temperature_ < 0.9
    before = softmax(clf.decision_function(X_test) * clf.temperature_, axis=1)
    assert log_loss(y_test, clf.predict_proba(X_test)) < 0.9 * log_loss(y_test, before)


def test_one_warning_is_enough():
    X, y = iris()
    with pytest.warns(ConvergenceWarning) as caught:
        classifier(optimizer="lbfgs", calibrate=True, max_iter=3, n_networks=3).fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_auto_needs_enough_of_them(monkeypatch):
    X, y = iris()
    clf = classifier(calibrate="auto", early_stopping=True)
    monkeypatch.setattr("skscratch._fitting.plan.CALIBRATE_FROM", 31)
    assert clf.fit(X, y).temperature_ == 1  # it holds 30 out
    monkeypatch.setattr("skscratch._fitting.plan.CALIBRATE_FROM", 30)
    assert clf.fit(X, y).temperature_ != 1
    assert clf.set_params(early_stopping=False).fit(X, y).temperature_ == 1
    assert clf.fit(X, y, X_val=X[:30], y_val=y[:30]).temperature_ != 1
    # Rows of weight 0 are none.
    assert clf.set_params(class_weight={0: 0}).fit(X, y, X_val=X, y_val=y).temperature_ != 1
    assert clf.fit(X, y, X_val=X[:70], y_val=y[:70]).temperature_ == 1


# Further calls ---------------------------------------------------------------------------------


def test_the_first_call_decides():
    (X, y), (X_val, y_val), _ = digits()
    clf = classifier(calibrate=True, early_stopping=True, warm_start=True).fit(X, y)
    T = clf.temperature_
    clf.set_params(calibrate=False).fit(X, y)
    assert clf.temperature_ == T
    clf.partial_fit(X, y, X_val=X_val, y_val=y_val)
    assert clf.temperature_ == T
    assert clf.set_params(warm_start=False).fit(X, y).temperature_ == 1
    clf.set_params(calibrate=True, warm_start=True).fit(X, y)
    assert clf.temperature_ == 1


def test_partial_fit_does_not_calibrate():
    (X, y), (X_val, y_val), _ = digits()
    held_out = {"X_val": X_val, "y_val": y_val}
    clf = classifier(calibrate="auto").partial_fit(X, y, np.unique(y), **held_out)
    assert clf.temperature_ == 1
    clf = classifier(calibrate=True)
    with pytest.warns(UserWarning, match="calibrate=True has no effect in partial_fit") as caught:
        clf.partial_fit(X, y, np.unique(y), **held_out)
    assert caught[0].filename == __file__
    clf.partial_fit(X, y, **held_out)
    assert clf.temperature_ == 1


class Interrupt(Callback):
    """Interrupts the training in its third epoch."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        # A snapshot is a whole estimator too.
        fitted_estimator.predict_proba(estimator.X_seen)
        if fitted_estimator.n_iter_ == 3 and context.task_name == "epoch":
            raise KeyboardInterrupt


def test_an_interrupted_fit_is_calibrated():
    (X, y), (X_val, y_val), _ = digits()
    clf = classifier(calibrate=True)
    clf.X_seen = X
    clf.set_callbacks(Interrupt())
    with pytest.warns(UserWarning, match="interrupted after 3 epochs"):
        clf.fit(X, y, X_val=X_val, y_val=y_val)
    Z = clf.decision_function(X_val) * clf.temperature_
    expected = find_temperature(Z, np.eye(10)[y_val], None, SoftmaxLogLoss())
    assert clf.temperature_ == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("params", [{"early_stopping": True}, {"n_networks": 3}], ids=repr)
def test_a_resumed_fit_has_the_same_temperature(tmp_path, params):
    X, y = iris()
    settings = {"calibrate": True, **params}
    whole = classifier(**settings).fit(X, y)
    path = tmp_path / "run.ckpt"
    first = classifier(**settings)
    first.set_callbacks(Checkpoint(path), Interrupt())
    first.X_seen = X
    with pytest.warns(UserWarning, match="interrupted"):
        first.fit(X, y)
    assert first.temperature_ != whole.temperature_
    resumed = classifier(**settings)
    resumed.set_callbacks(Checkpoint(path, resume=True))
    assert resumed.fit(X, y).temperature_ == whole.temperature_


def test_copies_and_searches():
    X, y = iris()
    clf = classifier(calibrate=True, early_stopping=True).fit(X, y)
    for same in (pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf)):
        assert_array_equal(same.predict_proba(X), clf.predict_proba(X))
    assert clone(clf).calibrate is True
    assert not hasattr(clone(clf), "temperature_")
    assert clf.fit(X, y).temperature_ == clone(clf).fit(X, y).temperature_
    grid = {"calibrate": [False, True, "auto"]}  # each of two folds holds 15 rows out
    search = GridSearchCV(clone(clf), grid, scoring="neg_log_loss", cv=2).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] == scores[2] != scores[1]


def test_the_regressor_has_none():
    assert "calibrate" not in ScratchMLPRegressor().get_params()
    X = scale(iris()[0])
    regressor = ScratchMLPRegressor((4,), max_iter=2, random_state=0).fit(X, X[:, 0])
    assert not hasattr(regressor, "temperature_")
