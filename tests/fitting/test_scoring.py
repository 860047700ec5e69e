"""The score that is measured on validation data."""

import gc
import math
import warnings
import weakref
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone, is_classifier
from sklearn.metrics import accuracy_score, get_scorer, log_loss, make_scorer, mean_absolute_error

from skscratch._fitting.measure import Validator

from ..conftest import (
    BOTH,
    cancer,
    classifier,
    diabetes,
    iris,
    multilabel,
    regressor,
    state,
    weights_of,
)
from .checks import Recording, after, parts

both = pytest.mark.parametrize(("make", "data"), BOTH)

# Scores ---------------------------------------------------------------------------------------


negative_mae = make_scorer(mean_absolute_error, greater_is_better=False)


def own_scorer(estimator, X, y):
    return -float(np.abs(estimator.predict(X) - y).mean())


def own_probabilities(estimator, X, y):
    return float(estimator.predict_proba(X)[np.arange(len(y)), y].mean())


SCORED = [
    ("neg_log_loss", classifier, iris),
    ("roc_auc_ovr", classifier, iris),
    ("f1_macro", classifier, iris),
    ("balanced_accuracy", classifier, iris),
    (own_probabilities, classifier, iris),
    ("roc_auc", classifier, cancer),
    ("f1", classifier, cancer),
    ("average_precision", classifier, cancer),
    ("neg_brier_score", classifier, cancer),
    ("average_precision", classifier, multilabel),
    ("roc_auc", classifier, multilabel),
    ("r2", regressor, diabetes),
    ("neg_mean_absolute_error", regressor, diabetes),
    ("neg_root_mean_squared_error", regressor, diabetes),
    ("neg_max_error", regressor, diabetes),
    (negative_mae, regressor, diabetes),
    (own_scorer, regressor, diabetes),
]

scored = pytest.mark.parametrize(
    ("scoring", "make", "data"),
    SCORED,
    ids=[f"{getattr(s, '__name__', s)}-{data.__name__}" for s, _, data in SCORED],
)


@scored
def test_the_score_is_the_scorers_of_a_predictor_with_that_epochs_weights(scoring, make, data):
    X, y, X_val, y_val = parts(data)
    params = {"scoring": scoring, "learning_rate": 0.05}
    estimator = make(**params, max_iter=6).fit(X, y, X_val=X_val, y_val=y_val)
    scorer = get_scorer(scoring)
    for epoch in (1, 4, 6):
        expected = scorer(after(make, epoch, X, y, **params), X_val, y_val)
        recorded = estimator.history_["validation_score"][epoch - 1]
        assert recorded == pytest.approx(expected, rel=1e-9)
        assert type(recorded) is float


@scored
def test_the_best_weights_are_those_of_the_best_score(scoring, make, data):
    X, y, X_val, y_val = parts(data)
    params = {"scoring": scoring, "learning_rate": 1.0, "batch_size": 8}
    monitored = make(max_iter=10, **params).fit(X, y, X_val=X_val, y_val=y_val)
    scores = monitored.history_["validation_score"]
    end = int(np.argmax(np.diff(scores) < 0)) + 2  # the first epoch that made it worse
    estimator = make(early_stopping=True, max_iter=end, **params)
    scores = estimator.fit(X, y, X_val=X_val, y_val=y_val).validation_scores_
    assert scores[-1] < max(scores)  # there is something to restore
    best = after(make, 1 + int(np.argmax(scores)), X, y, **params)
    np.testing.assert_array_equal(weights_of(estimator), weights_of(best))
    assert get_scorer(scoring)(estimator, X_val, y_val) == pytest.approx(max(scores), rel=1e-9)


@both
def test_the_loss_as_a_score_is_negative(make, data):
    X, y, X_val, y_val = parts(data)
    params = {"scoring": "loss", "learning_rate": 0.3, "max_iter": 12, "batch_size": 8}
    estimator = make(early_stopping=True, **params).fit(X, y, X_val=X_val, y_val=y_val)
    history = estimator.history_
    assert history["validation_score"] == [-loss for loss in history["validation_loss"]]
    assert estimator.best_validation_score_ == -min(history["validation_loss"])
    best = after(make, 1 + int(np.argmin(history["validation_loss"])), X, y, **params)
    assert best.n_iter_ < 12
    np.testing.assert_array_equal(weights_of(estimator), weights_of(best))


@both
def test_no_scoring_is_the_score_of_the_estimator(make, data):
    X, y, X_val, y_val = parts(data)
    named = {"scoring": "accuracy" if make is classifier else "r2"}
    estimators = [make(**p).fit(X, y, X_val=X_val, y_val=y_val) for p in ({}, named)]
    plain, other = (estimator.history_["validation_score"] for estimator in estimators)
    np.testing.assert_allclose(plain, other, rtol=1e-9)


@both
def test_other_scores_stop_elsewhere(make, data):
    # What is watched is what scoring says, not the default.
    X, y, X_val, y_val = parts(data)
    names = ("accuracy", "neg_log_loss") if make is classifier else ("r2", "neg_max_error")
    params = {"early_stopping": True, "learning_rate": 0.3, "max_iter": 12, "batch_size": 8}
    bests = [
        make(scoring=name, **params).fit(X, y, X_val=X_val, y_val=y_val).validation_scores_
        for name in names
    ]
    assert np.argmax(bests[0]) != np.argmax(bests[1])


@both
def test_a_scorer_sees_the_rows_held_out(make, data, splits):
    X, y = data()
    seen = []
    make(early_stopping=True, scoring=Recording(seen), max_iter=2).fit(X, y)
    ((_, held_out),) = splits
    assert len(seen) == 2 + 1  # after each epoch, and of the best epoch's network in the end
    for X_seen, y_seen in seen:
        np.testing.assert_array_equal(X_seen, X[held_out])
        np.testing.assert_array_equal(y_seen, y[held_out])


@pytest.mark.parametrize("column", [False, True])
def test_a_scorer_gets_targets_in_the_form_of_predictions(column):
    # Otherwise a difference of the two would be a table of all pairs.
    X, y, X_val, y_val = parts(diabetes)
    seen = []

    def shapes(estimator, X, y):
        seen.append((y.shape, estimator.predict(X).shape))
        return 0.0

    given = y_val[:, np.newaxis] if column else y_val
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sklearn.exceptions.DataConversionWarning)
        regressor(max_iter=1, scoring=shapes).fit(X, y, X_val=X_val, y_val=given)
    assert seen == [((75,), (75,))]


def test_scores_of_several_outputs():
    X, y, X_val, y_val = parts(diabetes)
    Y, Y_val = np.column_stack([y, y**2]), np.column_stack([y_val, y_val**2])
    seen = []
    regressor(max_iter=1, scoring=Recording(seen)).fit(X, Y, X_val=X_val, y_val=Y_val)
    np.testing.assert_array_equal(seen[0][1], Y_val)
    for scoring in ("r2", "neg_mean_absolute_error", own_scorer):
        estimator = regressor(scoring=scoring).fit(X, Y, X_val=X_val, y_val=Y_val)
        expected = get_scorer(scoring)(estimator, X_val, Y_val)
        assert estimator.history_["validation_score"][-1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("held_out", [False, True])
def test_a_scorer_sees_the_labels_as_they_are(held_out):
    X, y, X_val, y_val = parts(cancer)
    names = np.array(["benign", "malign"], dtype=object)
    seen = []

    def positives(estimator, X, y):
        seen.append(set(y) | set(estimator.predict(X)))
        return accuracy_score(y, estimator.predict(X))

    given = {} if held_out else {"X_val": X_val, "y_val": names[y_val]}
    params = {"early_stopping": held_out, "learning_rate": 0.05}
    estimator = classifier(scoring=positives, **params).fit(X, names[y], **given)
    assert set().union(*seen) == {"benign", "malign"}
    assert estimator.history_["validation_score"][-1] > 0.8
    f1 = make_scorer(sklearn.metrics.f1_score, pos_label="malign")
    estimator = classifier(scoring=f1, **params).fit(X, names[y], **given)
    if not held_out:
        expected = f1(estimator, X_val, names[y_val])
        assert estimator.history_["validation_score"][-1] == pytest.approx(expected, rel=1e-9)


@both
@pytest.mark.parametrize("held_out", [False, True])
def test_scorers_give_rise_to_no_warning_about_names(make, data, held_out):
    X, y, X_val, y_val = parts(data)
    names = [f"feature {i}" for i in range(X.shape[1])]
    frame, frame_val = (pd.DataFrame(part, columns=names) for part in (X, X_val))
    given = {} if held_out else {"X_val": frame_val, "y_val": y_val}
    scoring = "neg_log_loss" if make is classifier else own_scorer
    estimator = make(scoring=scoring, early_stopping=held_out)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.fit(frame, y, **given)
    assert list(estimator.feature_names_in_) == names
    assert not any(math.isnan(score) for score in estimator.history_["validation_score"])


def weighted_score(truth, predicted, sample_weight=None):
    return -1.0 if sample_weight is None else float(np.sum(sample_weight))


def plain_score(truth, predicted):
    return 7.0


def score_with_weights(estimator, X, y, sample_weight=None):
    return -1.0 if sample_weight is None else float(np.sum(sample_weight))


@both
@pytest.mark.parametrize("routing", [False, True])
def test_weights_go_to_scorers_that_take_them_and_only_there(make, data, routing, splits):
    X, y = data()
    weights = np.random.default_rng(0).uniform(0.5, 2, len(y))

    def fitted(scoring, sample_weight):
        estimator = make(scoring=scoring, early_stopping=True, max_iter=1)
        with sklearn.config_context(enable_metadata_routing=routing):
            return estimator.fit(X, y, sample_weight)

    for scoring in (make_scorer(weighted_score), score_with_weights):
        assert fitted(scoring, None).validation_scores_ == [-1.0]
        (total,) = fitted(scoring, weights).validation_scores_
        assert total == pytest.approx(weights[splits[-1][1]].sum(), rel=1e-12)
    assert fitted(make_scorer(plain_score), weights).validation_scores_ == [7.0]
    # Those that take none get none, and score the rows held out as if these had no weights.
    for scoring in (own_scorer, *(["neg_max_error"] if make is regressor else [])):
        estimator = fitted(scoring, weights)
        held_out = splits[-1][1]
        scorer = get_scorer(scoring) if isinstance(scoring, str) else scoring
        expected = scorer(estimator, X[held_out], y[held_out])
        assert estimator.validation_scores_ == [pytest.approx(expected, rel=1e-9)]


@both
def test_the_default_score_and_the_loss_are_weighted(make, data, splits):
    X, y = data()
    weights = np.random.default_rng(0).uniform(0, 3, len(y))
    named = "accuracy" if make is classifier else "r2"
    for scoring in (None, named):
        estimator = make(scoring=scoring, early_stopping=True, max_iter=1, learning_rate=0.05)
        estimator.fit(X, y, weights)
        held_out = splits[-1][1]
        expected = estimator.score(X[held_out], y[held_out], weights[held_out])
        assert estimator.validation_scores_ == [pytest.approx(expected, rel=1e-9)]
        assert expected != pytest.approx(estimator.score(X[held_out], y[held_out]), rel=1e-3)
    if make is classifier:
        P = estimator.predict_proba(X[held_out])
        expected = log_loss(y[held_out], P, sample_weight=weights[held_out])
        assert estimator.history_["validation_loss"] == [pytest.approx(expected, rel=1e-9)]


class Raising:
    def __init__(self, at_call):
        self.at_call, self.calls = at_call, 0

    def __call__(self, estimator, X, y):
        self.calls += 1
        if self.calls == self.at_call:
            raise RuntimeError("no score")
        return 0.5

    def __reduce__(self):
        return Raising, (self.at_call,)  # its state is no part of the estimator's


@both
@pytest.mark.parametrize("at_call", [1, 3])
def test_a_scorer_that_raises_leaves_no_trace(make, data, at_call):
    X, y, X_val, y_val = parts(data)
    fitted = make(warm_start=True, dropout=0.2).fit(X, y)
    for estimator in (make(), fitted, clone(fitted).set_params(early_stopping=True)):
        estimator.set_params(scoring=Raising(at_call))
        before = state(estimator)
        with pytest.raises(RuntimeError, match="no score"):
            estimator.fit(X, y, X_val=X_val, y_val=y_val)
        assert state(estimator) == before
    fitted.set_params(scoring=Raising(1))
    before = state(fitted)
    with pytest.raises(RuntimeError, match="no score"):
        fitted.partial_fit(X, y, X_val=X_val, y_val=y_val)
    assert state(fitted) == before


@both
def test_a_score_that_is_nan_never_is_the_best(make, data):
    X, y, X_val, y_val = parts(data)
    scores = iter([math.nan, 0.1, math.nan, 0.05])

    def scripted(estimator, X, y):
        return next(scores)

    params = {"early_stopping": True, "max_iter": 4}
    estimator = make(scoring=scripted, **params).fit(X, y, X_val=X_val, y_val=y_val)
    best = after(make, 2, X, y, **params)
    np.testing.assert_array_equal(weights_of(estimator), weights_of(best))


@both
@pytest.mark.parametrize(
    ("scoring", "error", "message"),
    [
        ("neg_mean_absolut_error", ValueError, "Did you mean .*'neg_mean_absolute_error'"),
        ("los", ValueError, "Did you mean 'loss'"),
        ("nonsense!", ValueError, "get_scorer_names"),
        (5, TypeError, "scoring must be None, 'loss', a scorer's name or a callable, got 5"),
        (["r2", "loss"], TypeError, "scoring must be"),
    ],
    ids=repr,
)
def test_unknown_scores_are_explained(make, data, scoring, error, message):
    estimator = make(scoring=scoring)
    before = state(estimator)
    with pytest.raises(error, match=message):
        estimator.fit(*data())
    assert state(estimator) == before


@both
def test_a_metric_in_place_of_a_scorer_is_explained(make, data):
    X, y, X_val, y_val = parts(data)
    estimator = make(scoring=accuracy_score)
    with pytest.raises(ValueError, match="make_scorer"):
        estimator.fit(X, y, X_val=X_val, y_val=y_val)
    assert not hasattr(estimator, "network_")


@both
def test_a_scorer_may_predict_in_every_way(make, data):
    X, y, X_val, y_val = parts(data)
    seen = []

    def thorough(estimator, X, y):
        seen.append(estimator.predict(X))
        assert estimator.n_features_in_ == X.shape[1]
        if is_classifier(estimator):
            assert estimator.predict_proba(X).shape == (len(X), 3)
            assert estimator.decision_function(X).shape == (len(X), 3)
            assert set(estimator.classes_) == {0, 1, 2}
        return estimator.score(X, y)

    estimator = make(scoring=thorough).fit(X, y, X_val=X_val, y_val=y_val)
    assert len(seen) == 5
    assert estimator.history_["validation_score"][-1] == estimator.score(X_val, y_val)
    np.testing.assert_array_equal(seen[-1], estimator.predict(X_val))


# A score that is none -------------------------------------------------------------------------


def nan_score(estimator, X, y):
    return math.nan


@pytest.mark.parametrize("returned", [None, "high", [0.5, 0.5], {"r2": 0.5}, 1j])
def test_a_scorer_that_returns_no_number_is_named(returned):
    def my_scorer(estimator, X, y):
        return returned

    X, y = iris()
    estimator = classifier(early_stopping=True, scoring=my_scorer)
    with pytest.raises(TypeError, match=r"scoring=.*my_scorer.* has to return a number, got"):
        estimator.fit(X, y)
    assert not estimator.__sklearn_is_fitted__()


@pytest.mark.parametrize("returned", [True, np.float32(0.5), np.array(0.5), Fraction(1, 2)])
def test_whatever_is_a_number_is_a_score(returned):
    X, y = iris()
    estimator = classifier(early_stopping=True, scoring=lambda *args: returned).fit(X, y)
    assert set(estimator.history_["validation_score"]) == {float(returned)}


def test_a_nan_score_is_an_error_where_it_decides():
    X, y = iris()
    estimator = classifier(early_stopping=True, scoring=nan_score)
    before = state(estimator)
    with pytest.raises(ValueError, match=r"scoring=.*nan_score.* gave NaN or -inf"):
        estimator.fit(X, y)
    assert state(estimator) == before
    monitored = classifier(scoring=nan_score).fit(X, y, X_val=X, y_val=y)
    assert np.isnan(monitored.history_["validation_score"]).all()


@pytest.mark.parametrize("scoring", [None, "loss", "f1_macro"])
def test_validation_holds_on_to_nothing_after_fit(scoring, monkeypatch):
    made = []

    class Seen(Validator):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(weakref.ref(self))

    monkeypatch.setattr("skscratch._fitting.run.Validator", Seen)
    gc.collect()
    gc.disable()
    try:
        clf = classifier(early_stopping=True, scoring=scoring).fit(*iris())
        assert made
        assert [reference() for reference in made] == [None]
    finally:
        gc.enable()
    assert clf.best_epoch_
