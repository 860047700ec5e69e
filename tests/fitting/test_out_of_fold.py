"""Out-of-fold predictions: what they tell after each epoch, and what is kept of them."""

import copy

import numpy as np
import pytest
from sklearn import metrics
from sklearn.base import clone, is_classifier
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_iris,
    load_wine,
    make_friedman1,
    make_moons,
)
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    log_loss,
    make_scorer,
    mean_absolute_error,
    r2_score,
)
from sklearn.model_selection import KFold, ShuffleSplit, train_test_split

from skscratch import ScratchMLPClassifier, ScratchMLPRegressor
from skscratch.callbacks import Callback

from ..conftest import BOTH, cancer, classifier, diabetes, iris, multilabel, output, regressor
from .committees import close, folds_of, in_groups, member_outputs
from .test_networks import KINDS

both = pytest.mark.parametrize(("make", "data"), BOTH)
each_kind = pytest.mark.parametrize(("make", "data"), KINDS)
WEIGHTS = [False, True]


class Keep(Callback):
    """Keep the estimator as it is after each epoch."""

    def __init__(self):
        self.kept = []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            self.kept.append(copy.deepcopy(fitted_estimator))


def by_hand(estimator, X, folds):
    """Predict each row by the network that left it out, in the rows' order."""
    found = None
    for k, fold in enumerate(folds):
        alone = copy.copy(estimator)
        alone._trained = estimator._fitted.member(k)
        part = output(alone, X[fold])
        found = np.empty((len(X), *part.shape[1:])) if found is None else found
        found[fold] = part
    return found


def score_by_hand(estimator, outputs, y, weights=None):
    if not is_classifier(estimator):
        return r2_score(y, outputs, sample_weight=weights)
    return accuracy_score(y, labels_of(estimator, outputs), sample_weight=weights)


def labels_of(estimator, Z):
    if estimator._target.multilabel:
        return (Z > 0).astype(int)
    return estimator.classes_[(Z > 0).astype(int) if Z.ndim == 1 else Z.argmax(axis=1)]


def loss_by_hand(estimator, outputs, y, weights=None):
    if not is_classifier(estimator):
        scale = y.std(axis=0) if weights is None else np.sqrt(np.cov(y.T, aweights=weights, ddof=0))
        errors = ((outputs - y) / scale) ** 2 / 2
        return np.average(errors.reshape(len(y), -1).mean(axis=1), weights=weights)
    if estimator._target.multilabel:
        losses = np.logaddexp(0, np.where(y == 1, -outputs, outputs)).sum(axis=1)
        return np.average(losses, weights=weights)
    Z = outputs if outputs.ndim == 2 else np.column_stack([np.zeros(len(y)), outputs])
    P = np.exp(Z - Z.max(axis=1, keepdims=True))
    P /= P.sum(axis=1, keepdims=True)
    return log_loss(y, P, sample_weight=weights)


# After each epoch ------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", WEIGHTS)
@pytest.mark.parametrize("at_most", [1, 8])
@each_kind
def test_history_is_that_of_rows_left_out(make, data, at_most, weighted, monkeypatch):
    in_groups(monkeypatch, at_most)
    X, y = data()
    weights = None
    if weighted:
        weights = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
        if y.ndim > 1 and not is_classifier(make()):
            y = y[:, 0]  # its scale is that of one column
    keep = Keep()
    estimator = make(n_networks=4, max_iter=4, l2=1.0).set_callbacks(keep)
    estimator.fit(X, y, sample_weight=weights)
    folds = folds_of(estimator)
    assert len(keep.kept) == 4
    for epoch, after in enumerate(keep.kept):
        outputs = by_hand(after, X, folds)
        row = {name: column[epoch] for name, column in estimator.history_.items()}
        assert all(isinstance(value, int | float) for value in row.values()), row
        close(row["validation_score"], score_by_hand(after, outputs, y, weights))
        close(row["validation_loss"], loss_by_hand(after, outputs, y, weights))
        close(after.history_["validation_loss"][-1], row["validation_loss"])


@both
def test_all_networks_go_back_to_one_epoch(make, data):
    X, y = data()
    keep = Keep()
    estimator = make(n_networks=3, max_iter=8, learning_rate=0.3).set_callbacks(keep).fit(X, y)
    losses = estimator.history_["validation_loss"]
    best = int(np.argmin(losses))
    assert best < 7  # otherwise the test shows nothing
    assert estimator.best_epoch_ == best + 1
    np.testing.assert_array_equal(
        estimator.network_.snapshot()[0], keep.kept[best].network_.snapshot()[0]
    )
    assert estimator.best_validation_score_ == estimator.history_["validation_score"][best]


def absolute(y, predicted):
    return mean_absolute_error(y, predicted)


def brier(y, P):
    return brier_score_loss(y, P[:, 1] if P.ndim == 2 else P)


SCORINGS = [
    "loss",
    "accuracy",
    "balanced_accuracy",
    "neg_log_loss",
    "roc_auc",
    make_scorer(brier, response_method="predict_proba", greater_is_better=False),
    make_scorer(accuracy_score),
    lambda estimator, X, y: -absolute(y, estimator.predict(X)),
]


@pytest.mark.parametrize("weighted", WEIGHTS)
@pytest.mark.parametrize("scoring", SCORINGS, ids=range(len(SCORINGS)))
def test_scoring_sees_out_of_fold_predictions(scoring, weighted):
    X, y = cancer()
    weights = np.random.default_rng(0).integers(1, 4, len(y)).astype(float) if weighted else None
    keep = Keep()
    estimator = classifier(n_networks=3, scoring=scoring, max_iter=4, learning_rate=0.1)
    estimator.set_callbacks(keep).fit(X, y, sample_weight=weights)
    folds = folds_of(estimator)
    for after, score in zip(keep.kept, estimator.history_["validation_score"], strict=True):
        Z = by_hand(after, X, folds)
        P, labels = 1 / (1 + np.exp(-Z)), (Z > 0).astype(int)
        if scoring == "loss":
            wanted = -loss_by_hand(after, Z, y, weights)
        elif isinstance(scoring, str):
            functions = {
                "accuracy": (metrics.accuracy_score, labels, 1),
                "balanced_accuracy": (metrics.balanced_accuracy_score, labels, 1),
                "neg_log_loss": (metrics.log_loss, P, -1),
                "roc_auc": (metrics.roc_auc_score, Z, 1),
            }
            function, predicted, sign = functions[scoring]
            wanted = sign * function(y, predicted, sample_weight=weights)
        elif scoring is SCORINGS[5]:
            wanted = -brier(y, P)
        elif scoring is SCORINGS[6]:
            wanted = accuracy_score(y, labels, sample_weight=None)
        else:
            wanted = -absolute(y, labels)
        if not (scoring is SCORINGS[6] and weighted):  # this one takes weights
            close(score, wanted)
    scores = estimator.history_["validation_score"]
    assert scores[estimator.best_epoch_ - 1] == max(scores)
    close(estimator.oof_score_, max(scores))


def test_a_scorer_has_to_ask_for_all_rows():
    def half(estimator, X, y):
        return estimator.score(X[::2], y[::2])

    with pytest.raises(ValueError, match="asked for 75"):
        classifier(n_networks=3, scoring=half).fit(*iris())


# In the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", WEIGHTS)
@pytest.mark.parametrize("calibrate", [False, True])
@each_kind
def test_predictions_are_in_the_order_of_rows(make, data, calibrate, weighted):
    X, y = data()
    params = {"calibrate": calibrate} if make is classifier else {}
    weights = np.random.default_rng(0).integers(0, 3, len(y)).astype(float) if weighted else None
    estimator = make(n_networks=3, max_iter=20, **params).fit(X, y, sample_weight=weights)
    wanted = by_hand(estimator, X, folds_of(estimator))
    if is_classifier(estimator):
        assert (estimator.temperature_ != 1) is calibrate
        found = estimator.oof_decision_function_
    else:
        found = estimator.oof_prediction_
    assert found.shape == wanted.shape == output(estimator, X).shape
    close(found, wanted)
    close(estimator.oof_score_, score_by_hand(estimator, wanted, y, weights))


@both
def test_rows_left_out_twice_or_never(make, data):
    X, y = data()
    cv = ShuffleSplit(4, test_size=0.3, random_state=0)
    estimator = make(n_networks="auto", cv=cv).fit(X, y)
    splits = [left_out for _, left_out in cv.split(X)]
    counts = np.bincount(np.concatenate(splits), minlength=len(y))
    assert {0, 1, 2} <= set(counts)
    parts = []
    for k, rows in enumerate(splits):
        alone = copy.copy(estimator)
        alone._trained = estimator._fitted.member(k)
        parts.append(output(alone, X[rows]))
    name = "oof_decision_function_" if is_classifier(estimator) else "oof_prediction_"
    found = getattr(estimator, name)
    assert np.array_equal(np.isnan(found.reshape(len(y), -1)).any(axis=1), counts == 0)
    total = np.zeros(found.shape)
    for rows, part in zip(splits, parts, strict=True):
        total[rows] += part
    close(found[counts > 0], (total.T / np.maximum(counts, 1)).T[counts > 0])
    outputs, rows = np.concatenate(parts), np.concatenate(splits)
    close(estimator.oof_score_, score_by_hand(estimator, outputs, y[rows]))


@pytest.mark.parametrize("n_networks", [1, 3])
@both
def test_one_part_for_all_networks(make, data, n_networks, splits):
    X, y = data()
    keep = Keep()
    estimator = make(n_networks=n_networks, early_stopping=True, n_iter_no_change=2, max_iter=100)
    estimator.set_params(learning_rate=0.3, tol=1e-3).set_callbacks(keep).fit(X, y)
    ((_, left_out),) = splits
    scores = estimator.history_["validation_score"]
    assert 3 < estimator.n_iter_ < 100
    assert scores.index(max(scores)) < len(scores) - 2
    for after, score in zip(keep.kept, scores, strict=True):
        close(score, score_by_hand(after, output(after, X[left_out]), y[left_out]))
    name = "oof_decision_function_" if is_classifier(estimator) else "oof_prediction_"
    found = getattr(estimator, name)
    close(found[left_out], output(estimator, X[left_out]))
    assert np.isnan(np.delete(found, left_out, axis=0)).all()
    close(estimator.oof_score_, max(scores))


@pytest.mark.parametrize("n_networks", [1, 3])
@both
def test_validation_data_of_the_caller(make, data, n_networks):
    X, y = data()
    rows = np.random.default_rng(0).permutation(len(y))
    # Its targets are those of other rows, so that training does not help.
    X, y, X_val, y_val = X[rows[:100]], y[rows[:100]], X[rows[100:]], y[rows[:50]]
    keep = Keep()
    estimator = make(n_networks=n_networks, learning_rate=0.3, max_iter=8).set_callbacks(keep)
    estimator.fit(X, y, X_val=X_val, y_val=y_val)
    losses = estimator.history_["validation_loss"]
    for after, score in zip(keep.kept, estimator.history_["validation_score"], strict=True):
        close(score, score_by_hand(after, output(after, X_val), y_val))
    back = int(np.argmin(losses)) if n_networks > 1 else 7
    assert np.argmin(losses) < 7
    np.testing.assert_array_equal(
        estimator.network_.snapshot()[0], keep.kept[back].network_.snapshot()[0]
    )
    assert estimator.t_ == 8 * 100  # no rows are left out
    with pytest.raises(AttributeError, match="do without X_val"):
        _ = estimator.oof_score_


def test_without_there_is_a_helpful_error():
    X, y = iris()
    estimator = classifier(n_networks=1)
    with pytest.raises(AttributeError, match="not fitted"):
        _ = estimator.oof_score_
    estimator.fit(X, y)
    for name in ("oof_score_", "oof_decision_function_"):
        assert not hasattr(estimator, name)
        with pytest.raises(AttributeError, match=r"n_networks to 2 or more.*early_stopping=True"):
            getattr(estimator, name)
    assert not hasattr(regressor(n_networks=1).fit(*diabetes()), "oof_prediction_")


def test_targets_of_the_callers_units():
    X, y = diabetes()
    small = regressor(n_networks=3).fit(X, y)
    large = regressor(n_networks=3).fit(X, 1000 * y + 5)
    close(large.oof_prediction_, 1000 * small.oof_prediction_ + 5)
    close(large.oof_score_, small.oof_score_)
    counts = np.round(y).astype(int)
    poisson = regressor(n_networks=3, loss="poisson").fit(X, counts)
    assert poisson.oof_prediction_.min() > 0
    close(poisson.oof_score_, r2_score(counts, poisson.oof_prediction_))


def test_labels_of_text():
    X, y = iris()
    names = np.array(["virginica", "setosa", "versicolor"])[y]
    estimator = classifier(n_networks=3, scoring="f1_macro").fit(X, names)
    assert 0 < estimator.oof_score_ <= 1
    assert estimator.oof_decision_function_.shape == (150, 3)


def test_a_class_of_one_row():
    """Network k has never seen it, and predicts it all the same."""
    X, y = iris()
    y = np.where(np.arange(150) == 7, 3, y)
    estimator = classifier(n_networks=3, calibrate="auto").fit(X, y)
    assert estimator.oof_decision_function_.shape == (150, 4)
    assert np.isfinite(estimator.oof_score_)


def test_labels_in_the_scores_of_multilabel_targets():
    X, Y = multilabel()
    estimator = classifier(n_networks=3, scoring="roc_auc").fit(X, Y)
    close(estimator.oof_score_, metrics.roc_auc_score(Y, estimator.oof_decision_function_))


def last_epoch(estimator, X, y):
    """Return a score for which the last epoch is as good as any."""
    return 1.0


def moons():
    return make_moons(400, noise=0.3, random_state=0)


def friedman():
    return make_friedman1(400, noise=1, random_state=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "load"),
    [
        (ScratchMLPClassifier, load_iris),
        (ScratchMLPClassifier, load_wine),
        (ScratchMLPClassifier, load_breast_cancer),
        (ScratchMLPClassifier, moons),
        (ScratchMLPRegressor, load_diabetes),
        (ScratchMLPRegressor, friedman),
    ],
)
def test_it_is_an_honest_estimate(make, load):
    """Over 20 random splits, against the test scores of the single networks and of their mean.

    Each row is predicted by one network, so that the mean of all may be better, and is not worse.
    Of a single network it is the score exactly, as long as it has not chosen the epoch, too.
    """
    X, y = load() if load in (moons, friedman) else load(return_X_y=True)
    model = make((32,), n_networks=8, max_iter=40, learning_rate=0.01)
    of_one, of_all = [], []
    for seed in range(20):
        parts = train_test_split(X, y, test_size=0.5, random_state=seed)
        X_train, X_test, y_train, y_test = parts
        estimator = clone(model).set_params(random_state=seed).fit(X_train, y_train)
        of_all.append(estimator.oof_score_ - estimator.score(X_test, y_test))
        estimator.set_params(scoring=last_epoch).fit(X_train, y_train)
        found = by_hand(estimator, X_train, folds_of(estimator))
        members = member_outputs(estimator, X_test)
        single = np.mean([score_by_hand(estimator, each, y_test) for each in members])
        of_one.append(score_by_hand(estimator, found, y_train) - single)
    errors = np.std([of_one, of_all], axis=1, ddof=1) / np.sqrt(20)
    assert abs(np.mean(of_one)) < 2 * errors[0]
    assert -0.05 < np.mean(of_all) < 2 * errors[1]
    assert errors.max() < 0.02  # or this would say nothing


def test_cross_validation_tells_the_same():
    """The members' scores, fold by fold, are those of networks that saw the other folds alone."""
    X, y = iris()
    cv = KFold(3, shuffle=True, random_state=0)
    estimator = classifier(n_networks="auto", cv=cv, max_iter=3).fit(X, y)
    scores = [
        accuracy_score(y[rows], labels_of(estimator, estimator.oof_decision_function_[rows]))
        for _, rows in cv.split(X)
    ]
    close(estimator.oof_score_, np.mean(scores))
