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

from skscratch import Focal, Normal, ScratchMLPClassifier, ScratchMLPRegressor
from skscratch._fitting.calibration import HIGHEST, PRIOR_ROWS, find_temperature
from skscratch._fitting.split import split_rows
from skscratch.callbacks import Callback, Checkpoint, TimeBudget
from skscratch.nn import OneHot, fit
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
    assert clf.fit(X, y).temperature_ > 1.1  # sure of rows that it has learned by heart


# Where there is little or nothing to learn from -------------------------------------------------


@each_target
@pytest.mark.parametrize("weighted", [False, True])
def test_without_rows_held_out_two_halves_judge_each_other(target, weighted, monkeypatch):
    X, y = DATA[target]()
    weights = np.random.default_rng(0).integers(0, 3, len(X)) if weighted else None
    halves = []

    def split(n_samples, n_validation, rng, labels=None):
        halves.append(split_rows(n_samples, n_validation, rng, labels))
        return halves[-1]

    monkeypatch.setattr("skscratch._fitting.run.split_rows", split)
    # A network without hidden layers starts at zero here and sees all rows in each step, so that
    # chance has no part in it.
    settings = {"hidden_layer_sizes": (), "init": Normal(std=0.0), "batch_size": None}
    clf = classifier(calibrate=True, **settings).fit(X, y, weights)
    counted = np.arange(len(X)) if weights is None else np.flatnonzero(weights)
    assert len(halves) == 1
    Z, Y, counts = [], [], []
    for rows, others in (halves[0], halves[0][::-1]):
        rows, others = counted[rows], counted[others]
        half = classifier(**settings).fit(
            X[rows], y[rows], None if weights is None else weights[rows]
        )
        Z.append(half.decision_function(X[others]).reshape(len(others), -1))
        Y.append(
            np.eye(3)[y[others]] if target == "multiclass" else y[others].reshape(len(others), -1)
        )
        counts.append(np.ones(len(others)) if weights is None else weights[others])
    loss = SoftmaxLogLoss() if target == "multiclass" else LogisticLogLoss()
    expected = find_temperature(
        np.vstack(Z), np.vstack(Y).astype(float), np.concatenate(counts)[:, np.newaxis], loss
    )
    assert clf.temperature_ == pytest.approx(expected, rel=1e-6)
    assert clf.temperature_ != 1


def test_cross_fitting_leaves_the_network_as_it_is():
    X, y = iris()
    settings = {"dropout": 0.2, "normalization": "batch", "batch_size": 20}
    plain, clf = classifier(**settings).fit(X, y), classifier(calibrate=True, **settings).fit(X, y)
    assert_array_equal(clf.coefs_[0], plain.coefs_[0])
    assert clf.history_["loss"] == plain.history_["loss"]
    assert clf.temperature_ == clone(clf).fit(X, y).temperature_ != 1
    # What comes after goes on with the same streams.
    plain.set_params(warm_start=True).fit(X, y)
    clf.set_params(warm_start=True).fit(X, y)
    assert_array_equal(clf.coefs_[0], plain.coefs_[0])


def test_cross_fitting_improves_the_log_loss_of_the_defaults_on_few_rows():
    (X, y), (X_test, y_test), _ = digits()
    clf = ScratchMLPClassifier(random_state=0).fit(X, y)
    plain = ScratchMLPClassifier(random_state=0, calibrate=False).fit(X, y)
    assert clf.temperature_ < 0.9
    losses = [log_loss(y_test, c.predict_proba(X_test)) for c in (clf, plain)]
    assert losses[0] < 0.9 * losses[1]


def test_a_class_that_one_half_lacks_judges_nothing():
    X, y = iris()
    y = y.copy()
    y[0] = 7  # the only one of its class
    clf = classifier(calibrate=True, label_smoothing=0.1).fit(X, y)
    assert 0.3 < clf.temperature_ < 1.5


def test_one_warning_is_enough():
    X, y = iris()
    with pytest.warns(ConvergenceWarning) as caught:
        classifier(optimizer="lbfgs", calibrate=True, max_iter=3).fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_auto_cross_fits_few_rows_only():
    X, y = iris()  # 150 rows
    clf = classifier(calibrate="auto", early_stopping="auto")
    assert clf.fit(X, y).temperature_ != 1
    assert clf.fit(X[::2], y[::2]).temperature_ == 1
    assert clf.set_params(early_stopping=False).fit(X, y).temperature_ == 1


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


def test_a_fit_that_ended_before_its_time_is_not_cross_fitted():
    X, y = iris()
    clf = classifier(calibrate=True)
    clf.X_seen = X
    clf.set_callbacks(Interrupt())
    with pytest.warns(UserWarning, match="interrupted after 3 epochs"):
        assert clf.fit(X, y).temperature_ == 1
    for optimizer in ("adam", "lbfgs"):
        clf.set_params(optimizer=optimizer).set_callbacks(TimeBudget(1e-9))
        assert clf.fit(X, y).temperature_ == 1


def test_an_interrupted_cross_fit_leaves_the_probabilities_as_they_are(monkeypatch):
    X, y = iris()
    plain = classifier().fit(X, y)
    begun = []
    epoch = fit.__globals__["epoch"]

    def interrupt(learner, *args):
        begun.append(learner)
        if len(begun) > 5 + 2:
            raise KeyboardInterrupt
        return epoch(learner, *args)

    monkeypatch.setitem(fit.__globals__, "epoch", interrupt)
    with pytest.warns(UserWarning, match="interrupted before the network was cal") as caught:
        clf = classifier(calibrate=True).fit(X, y)
    assert caught[0].filename == __file__
    assert clf.temperature_ == 1
    assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))


def test_a_resumed_fit_that_a_callback_had_ended_is_not_cross_fitted(tmp_path):
    X, y = iris()
    path = tmp_path / "run.ckpt"
    first = classifier(calibrate=True).set_callbacks(Checkpoint(path), TimeBudget(1e-9)).fit(X, y)
    again = classifier(calibrate=True).set_callbacks(Checkpoint(path, resume=True)).fit(X, y)
    assert first.temperature_ == again.temperature_ == 1


@pytest.mark.parametrize("early_stopping", [True, False])
def test_a_resumed_fit_has_the_same_temperature(tmp_path, early_stopping):
    X, y = iris()
    settings = {"calibrate": True, "early_stopping": early_stopping}
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
    grid = {"calibrate": [False, True, "auto"]}
    search = GridSearchCV(clone(clf), grid, scoring="neg_log_loss", cv=2).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] == scores[2] != scores[1]


def test_the_regressor_has_none():
    assert "calibrate" not in ScratchMLPRegressor().get_params()
    X = scale(iris()[0])
    regressor = ScratchMLPRegressor((4,), max_iter=2, random_state=0).fit(X, X[:, 0])
    assert not hasattr(regressor, "temperature_")
