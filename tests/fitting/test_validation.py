"""Validation data of the caller's own, and the score that is measured on them."""

import gc
import math
import warnings
import weakref
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.metrics import (
    accuracy_score,
    get_scorer,
    log_loss,
    make_scorer,
    mean_absolute_error,
    mean_squared_error,
)
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skscratch._validation import Validator, out_of_range_columns

from ..conftest import BOTH, cancer, classifier, diabetes, iris, multilabel, regressor, state

both = pytest.mark.parametrize(("make", "data"), BOTH)


def weights_of(estimator):
    return np.concatenate([w.ravel() for w in estimator.coefs_ + estimator.intercepts_])


def parts(data):
    """Return X and y to train on, and X and y to validate on."""
    X, y = data()
    return X[::2], y[::2], X[1::2], y[1::2]


def after(make, epoch, *data, **params):
    """Fit for so many epochs, and keep the last weights whatever the validation data say."""
    return make(**{**params, "max_iter": epoch, "early_stopping": False}).fit(*data)


# The caller's own validation data -------------------------------------------------------------


@both
@pytest.mark.parametrize("params", [{}, {"dropout": 0.2}, {"normalization": "batch"}], ids=repr)
def test_without_early_stopping_validation_data_are_only_monitored(make, data, params):
    X, y, X_val, y_val = parts(data)
    plain = make(**params).fit(X, y)
    estimator = make(**params).fit(X, y, X_val=X_val, y_val=y_val)
    np.testing.assert_array_equal(weights_of(estimator), weights_of(plain))
    table = pd.DataFrame(estimator.history_)
    assert table[["validation_loss", "validation_score"]].notna().all(axis=None)
    assert table["validation_loss"].nunique() == 5
    assert estimator.validation_scores_ is None
    assert estimator.best_validation_score_ is None
    assert estimator.best_loss_ == min(estimator.loss_curve_)
    assert estimator.history_["validation_score"][-1] == pytest.approx(
        estimator.score(X_val, y_val), rel=1e-12
    )


@both
@pytest.mark.parametrize("early_stopping", [True, "auto"])
def test_with_early_stopping_they_take_the_place_of_the_split(make, data, early_stopping, splits):
    X, y, X_val, y_val = parts(data)
    params = {"max_iter": 40, "learning_rate": 0.1, "batch_size": 8, "l2": 0.0}
    estimator = make(early_stopping=early_stopping, **params).fit(X, y, X_val=X_val, y_val=y_val)
    assert splits == []
    assert estimator.t_ == 40 * len(X)
    scores = estimator.validation_scores_
    assert estimator.best_validation_score_ == max(scores) > scores[-1]
    assert estimator.best_loss_ is None
    best = after(make, 1 + int(np.argmax(scores)), X, y, **params)
    np.testing.assert_array_equal(weights_of(estimator), weights_of(best))
    assert estimator.score(X_val, y_val) == pytest.approx(max(scores), rel=1e-12)


@both
def test_training_ends_when_the_score_on_them_stalls(make, data):
    X, y, X_val, y_val = parts(data)
    estimator = make(early_stopping=True, tol=1e9, n_iter_no_change=3, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.fit(X, y, X_val=X_val, y_val=y_val)
    assert estimator.n_iter_ == 1 + 3 + 1
    monitored = make(tol=1e9, n_iter_no_change=np.inf, max_iter=100)
    assert monitored.fit(X, y, X_val=X_val, y_val=y_val).n_iter_ == 100


def test_validation_loss_of_a_classifier_is_the_log_loss():
    X, y, X_val, y_val = parts(iris)
    estimator = classifier(l2=5.0, label_smoothing=0.2)
    estimator.fit(X, y, X_val=X_val, y_val=y_val)
    expected = log_loss(y_val, estimator.predict_proba(X_val))
    assert estimator.history_["validation_loss"][-1] == pytest.approx(expected, rel=1e-9)
    X, y, X_val, y_val = parts(cancer)
    estimator = classifier().fit(X, y, X_val=X_val, y_val=y_val)
    expected = log_loss(y_val, estimator.predict_proba(X_val))
    assert estimator.history_["validation_loss"][-1] == pytest.approx(expected, rel=1e-9)


def test_validation_loss_of_labels_is_summed_over_them():
    X, Y, X_val, Y_val = parts(multilabel)
    estimator = classifier().fit(X, Y, X_val=X_val, y_val=Y_val)
    P = estimator.predict_proba(X_val)
    expected = sum(log_loss(Y_val[:, k], P[:, k]) for k in range(3))
    assert estimator.history_["validation_loss"][-1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("standardize_target", [True, False])
def test_validation_loss_of_a_regressor_is_in_the_units_of_training(standardize_target):
    X, y, X_val, y_val = parts(diabetes)
    estimator = regressor(standardize_target=standardize_target, learning_rate=0.001)
    estimator.fit(X, y, X_val=X_val, y_val=y_val)
    scale = y.std() if standardize_target else 1.0
    expected = mean_squared_error(y_val, estimator.predict(X_val)) / 2 / scale**2
    assert estimator.history_["validation_loss"][-1] == pytest.approx(expected, rel=1e-9)


def test_dropout_and_batch_statistics_are_those_of_prediction():
    X, y, X_val, y_val = parts(iris)
    estimator = classifier(dropout=0.5, normalization="batch")
    estimator.fit(X, y, X_val=X_val, y_val=y_val)
    expected = log_loss(y_val, estimator.predict_proba(X_val))
    assert estimator.history_["validation_loss"][-1] == pytest.approx(expected, rel=1e-9)


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_with_lbfgs_they_are_recorded_at_each_iteration(make, data, dtype):
    X, y, X_val, y_val = parts(data)
    params = {"optimizer": "lbfgs", "tol": 1e-9, "dtype": dtype}
    plain = make(**params, max_iter=8).fit(X, y)
    estimator = make(**params, max_iter=8, early_stopping="auto")
    estimator.fit(X, y, X_val=X_val, y_val=y_val)
    np.testing.assert_array_equal(weights_of(estimator), weights_of(plain))
    assert estimator.validation_scores_ is None
    recorded = estimator.history_["validation_score"]
    assert len(recorded) == 8
    for epoch in (1, 3, 8):
        ended = make(**params, max_iter=epoch).fit(X, y)
        assert recorded[epoch - 1] == pytest.approx(ended.score(X_val, y_val), rel=1e-6)


@both
def test_the_training_data_may_be_the_validation_data(make, data):
    X, y = data()
    estimator = make().fit(X, y, X_val=X, y_val=y)
    score = estimator.history_["validation_score"][-1]
    assert score == pytest.approx(estimator.score(X, y), rel=1e-12)


def mapped(path, X):
    on_disk = np.memmap(path, dtype=X.dtype, mode="w+", shape=X.shape)
    on_disk[...] = X
    on_disk.flush()
    return np.memmap(path, dtype=X.dtype, mode="r", shape=X.shape)


FORMS = {
    "CSR": lambda X, path: scipy.sparse.csr_matrix(X),
    "CSC": lambda X, path: scipy.sparse.csc_matrix(X),
    "memory map": lambda X, path: mapped(path / "X", X),
    "list": lambda X, path: X.tolist(),
    "Fortran order": lambda X, path: np.asfortranarray(X),
    "float32": lambda X, path: X.astype(np.float32),
}


@both
@pytest.mark.parametrize("scoring", [None, "loss", "own"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_their_form_makes_no_difference(make, data, form, early_stopping, scoring, tmp_path):
    X, y, X_val, y_val = parts(data)
    X, X_val = np.round(X * 4), np.round(X_val * 4)
    if scoring == "own":
        scoring = "neg_log_loss" if make is classifier else "neg_mean_absolute_error"
    params = {"early_stopping": early_stopping, "scoring": scoring}
    plain = make(**params).fit(X, y, X_val=X_val, y_val=y_val)
    estimator = make(**params).fit(X, y, X_val=form(X_val, tmp_path), y_val=list(y_val))
    np.testing.assert_array_equal(weights_of(estimator), weights_of(plain))
    for name in ("validation_loss", "validation_score"):
        np.testing.assert_allclose(estimator.history_[name], plain.history_[name], rtol=1e-9)


@both
def test_frames_with_names(make, data):
    X, y, X_val, y_val = parts(data)
    names = [f"feature {i}" for i in range(X.shape[1])]
    frame, frame_val = (pd.DataFrame(part, columns=names) for part in (X, X_val))
    plain = make(early_stopping=True).fit(X, y, X_val=X_val, y_val=y_val)
    estimator = make(early_stopping=True)
    estimator.fit(frame, pd.Series(y), X_val=frame_val, y_val=pd.Series(y_val))
    np.testing.assert_array_equal(weights_of(estimator), weights_of(plain))
    assert list(estimator.feature_names_in_) == names
    with pytest.raises(ValueError, match=r"X_val and y_val do not go with.*feature names should"):
        make().fit(frame, y, X_val=frame_val[names[::-1]], y_val=y_val)


@pytest.mark.parametrize("make", [classifier, regressor])
def test_sparse_training_and_dense_validation_data_go_together(make):
    X, y, X_val, y_val = parts(cancer)
    X, X_val = np.round(X), np.round(X_val)
    plain = make().fit(X, y, X_val=X_val, y_val=y_val)
    estimator = make().fit(scipy.sparse.csr_matrix(X), y, X_val=X_val, y_val=y_val)
    np.testing.assert_allclose(
        estimator.history_["validation_loss"], plain.history_["validation_loss"], rtol=1e-7
    )


def replaced(array, value):
    array = np.array(array, dtype=float)
    array[(3,) + (0,) * (array.ndim - 1)] = value
    return array


BAD = {
    "X_val alone": (lambda X, y: {"X_val": X}, "X_val was given without y_val"),
    "y_val alone": (lambda X, y: {"y_val": y}, "y_val was given without X_val"),
    "feature missing": (lambda X, y: {"X_val": X[:, 1:], "y_val": y}, r"X has \d+ features"),
    "NaN in X_val": (lambda X, y: {"X_val": replaced(X, np.nan), "y_val": y}, "contains NaN"),
    "infinity": (lambda X, y: {"X_val": replaced(X, np.inf), "y_val": y}, "contains infinity"),
    "NaN in y_val": (lambda X, y: {"X_val": X, "y_val": replaced(y, np.nan)}, "contains NaN"),
    "y_val too short": (lambda X, y: {"X_val": X, "y_val": y[1:]}, "inconsistent numbers"),
    "no rows": (lambda X, y: {"X_val": X[:0], "y_val": y[:0]}, r"0 sample\(s\)"),
    "one axis": (lambda X, y: {"X_val": X[:, 0], "y_val": y}, "Expected 2D array"),
    "two outputs": (lambda X, y: {"X_val": X, "y_val": np.c_[y % 2, y % 2]}, "2 outputs|the shape"),
    "words": (lambda X, y: {"X_val": np.full(X.shape, "a"), "y_val": y}, "takes numbers only"),
}


@both
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD)
def test_bad_validation_data_are_explained_and_change_nothing(
    make, data, early_stopping, spoil, message
):
    X, y, X_val, y_val = parts(data)
    bad = spoil(X_val, y_val)
    unfitted = make(early_stopping=early_stopping)
    fitted = make(early_stopping=early_stopping, warm_start=True).fit(X, y)
    for estimator in (unfitted, fitted):
        before = state(estimator)
        with pytest.raises(ValueError, match=message) as caught:
            estimator.fit(X, y, **bad)
        assert "X_val" in str(caught.value)  # it is told which of the data are meant
        assert state(estimator) == before
    before = state(fitted)
    with pytest.raises(ValueError, match=message):
        fitted.partial_fit(X, y, **bad)
    assert state(fitted) == before


def test_classes_that_were_not_trained_on():
    X, y, X_val, y_val = parts(iris)
    some = y < 2
    estimator = classifier()
    before = state(estimator)
    with pytest.raises(ValueError, match=r"X_val.*classes \[2\].*known classes \[0, 1\]"):
        estimator.fit(X[some], y[some], X_val=X_val, y_val=y_val)
    assert state(estimator) == before
    # The other way round there is nothing wrong.
    some = y_val < 2
    estimator.fit(X, y, X_val=X_val[some], y_val=y_val[some])
    assert len(estimator.classes_) == 3
    assert estimator.history_["validation_loss"][-1] == pytest.approx(
        log_loss(y_val[some], estimator.predict_proba(X_val[some]), labels=[0, 1, 2]), rel=1e-9
    )


def test_target_outside_the_domain_of_the_loss():
    X, y, X_val, y_val = parts(diabetes)
    with pytest.raises(ValueError, match=r"X_val.*'poisson' needs targets in"):
        regressor(loss="poisson").fit(X, y, X_val=X_val, y_val=replaced(y_val, -1))


def test_the_loss_of_many_rows_is_measured_block_by_block(monkeypatch):
    X, y, X_val, y_val = parts(iris)
    losses = []
    for n in (100, 10):
        monkeypatch.setattr(
            "skscratch._validation.row_blocks",
            lambda n_rows, n_columns, n=n: [slice(i, i + n) for i in range(0, n_rows, n)],
        )
        estimator = classifier(class_weight={0: 3.0}).fit(X, y, X_val=X_val, y_val=y_val)
        losses.append(estimator.history_["validation_loss"])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-10)
    expected = log_loss(y_val, estimator.predict_proba(X_val), sample_weight=1 + 2 * (y_val == 0))
    assert losses[1][-1] == pytest.approx(expected, rel=1e-9)


# Routing --------------------------------------------------------------------------------------


def scaled_pipeline():
    mlp = classifier()
    if sklearn.get_config()["enable_metadata_routing"]:
        mlp.set_fit_request(X_val=True, y_val=True)
    return [("scale", StandardScaler()), ("mlp", mlp)]


def shifted():
    """Return data whose features are far from standardized."""
    X, y, X_val, y_val = parts(iris)
    return 10 * X + 50, y, 10 * X_val + 50, y_val


def test_a_pipeline_transforms_validation_data_through_transform_input():
    X, y, X_val, y_val = shifted()
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = Pipeline(scaled_pipeline(), transform_input=["X_val"])
        pipeline.fit(X, y, X_val=X_val, y_val=y_val)
    scaler = StandardScaler().fit(X)
    alone = classifier().fit(scaler.transform(X), y, X_val=scaler.transform(X_val), y_val=y_val)
    assert pipeline[-1].history_["validation_loss"] == alone.history_["validation_loss"]
    expected = log_loss(y_val, pipeline.predict_proba(X_val))
    assert alone.history_["validation_loss"][-1] == pytest.approx(expected, rel=1e-9)


def test_a_pipeline_leaves_validation_data_as_they_are_otherwise():
    X, y, X_val, y_val = shifted()
    scaler = StandardScaler().fit(X)
    with pytest.warns(UserWarning, match="in 4 of 4 columns: column 0 goes from.*transform_input"):
        alone = classifier().fit(scaler.transform(X), y, X_val=X_val, y_val=y_val)
    with (
        sklearn.config_context(enable_metadata_routing=True),
        pytest.warns(UserWarning, match="X_val is on another scale than X"),
    ):
        pipeline = Pipeline(scaled_pipeline()).fit(X, y, X_val=X_val, y_val=y_val)
    assert pipeline[-1].history_["validation_loss"] == alone.history_["validation_loss"]
    with pytest.warns(UserWarning, match="X_val is on another scale than X"):
        plain = Pipeline(scaled_pipeline()).fit(X, y, mlp__X_val=X_val, mlp__y_val=y_val)
    assert plain[-1].history_["validation_loss"] == alone.history_["validation_loss"]
    assert alone.history_["validation_loss"][-1] != pytest.approx(
        log_loss(y_val, plain.predict_proba(X_val)), rel=0.1
    )


class Recording:
    """A scorer that writes down what it was called with, in a list of the test's."""

    def __init__(self, seen):
        self.seen = seen

    def __call__(self, estimator, X, y):
        self.seen.append((X.copy(), y.copy()))
        return 0.0

    def __deepcopy__(self, memo):
        return self  # cross-validation clones the estimator


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("n_rows", [40, 150])
def test_a_search_slices_validation_data_of_as_many_rows_as_x(routing, n_rows):
    # scikit-learn takes whatever has as many rows as X for a value per row of X.
    X, y = iris()
    rng = np.random.default_rng(0)
    rows = rng.permutation(150)[:n_rows]
    X_val, y_val = X[rows] + 0.5, y[rows]
    seen = []
    estimator = classifier(scoring=Recording(seen), max_iter=1)
    cv = KFold(3, shuffle=True, random_state=0)
    with sklearn.config_context(enable_metadata_routing=routing):
        if routing:
            estimator.set_fit_request(X_val=True, y_val=True)
        search = GridSearchCV(estimator, {"l2": [0.1]}, cv=cv, refit=True, error_score="raise")
        search.fit(X, y, X_val=X_val, y_val=y_val)
    assert len(seen) == 4
    for (X_seen, y_seen), (train, _) in zip(seen, cv.split(X, y), strict=False):
        taken = train if n_rows == 150 else slice(None)
        np.testing.assert_array_equal(X_seen, X_val[taken])
        np.testing.assert_array_equal(y_seen, y_val[taken])
    np.testing.assert_array_equal(seen[3][0], X_val)  # the refit gets them whole


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
    assert len(seen) == 2
    np.testing.assert_array_equal(seen[1][0], X[held_out])
    np.testing.assert_array_equal(seen[1][1], y[held_out])


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

    def score(scoring, sample_weight):
        estimator = make(scoring=scoring, early_stopping=True, max_iter=1)
        with sklearn.config_context(enable_metadata_routing=routing):
            estimator.fit(X, y, sample_weight)
        return estimator.validation_scores_[0]

    for scoring in (make_scorer(weighted_score), score_with_weights):
        assert score(scoring, None) == -1.0
        total = score(scoring, weights)
        assert total == pytest.approx(weights[splits[-1][1]].sum(), rel=1e-12)
    for scoring in (make_scorer(plain_score), "neg_max_error" if make is regressor else own_scorer):
        assert score(scoring, weights) is not None
    assert score(make_scorer(plain_score), weights) == 7.0


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
    assert not estimator._is_fitted()


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

    monkeypatch.setattr("skscratch._run.Validator", Seen)
    gc.collect()
    gc.disable()
    try:
        clf = classifier(early_stopping=True, scoring=scoring).fit(*iris())
        assert made
        assert [reference() for reference in made] == [None]
    finally:
        gc.enable()
    assert clf.best_epoch_


# Out of range ---------------------------------------------------------------------------------


def splits_of(X, n_splits=20):
    """Yield training and validation rows of random splits."""
    for seed in range(n_splits):
        order = np.random.default_rng(seed).permutation(len(X))
        yield X[order[len(X) // 5 :]], X[order[: len(X) // 5]]


@pytest.mark.parametrize(
    ("load", "least"), [(load_breast_cancer, 8), (load_wine, 4), (load_iris, 1), (load_diabetes, 8)]
)
@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
def test_raw_rows_are_out_of_range_of_standardized_ones(load, least, form):
    X = load().data
    for train, val in splits_of(X):
        assert len(out_of_range_columns(form(train), form(val))) == 0
        scaler = StandardScaler().fit(train)
        assert len(out_of_range_columns(form(scaler.transform(train)), form(val))) >= least
        assert len(out_of_range_columns(form(train), form(scaler.transform(val))))


def test_few_rows_are_not_judged():
    X = np.random.default_rng(0).normal(size=(50, 2))
    assert len(out_of_range_columns(X, X[:9] + 100)) == 0
    assert len(out_of_range_columns(X, X[:10] + 100)) == 2
    assert len(out_of_range_columns(X[:19], X + 100)) == 0
    assert len(out_of_range_columns(X[:20], X + 100)) == 2


@pytest.mark.parametrize("factor", [100, -100])
def test_a_column_in_another_unit_is_out_of_range(factor):
    X = np.random.default_rng(0).normal(size=(200, 5))
    for train, val in splits_of(X):
        val[:, 3] *= factor
        assert out_of_range_columns(train, val).tolist() == [3]


HONEST = {
    "normal": lambda rng, n: rng.normal(size=(n, 20)),
    "Cauchy": lambda rng, n: rng.standard_cauchy((n, 20)),
    "Pareto": lambda rng, n: rng.pareto(0.5, (n, 20)),
    "zero-inflated": lambda rng, n: (
        (rng.random((n, 20)) < 0.2) * np.exp(2 * rng.normal(size=(n, 20)))
    ),
    "indicators": lambda rng, n: (rng.random((n, 100)) < 0.05) * 1.0,
    "constant": lambda rng, n: np.full((n, 2), 7.0),
    "in order": lambda rng, n: np.arange(n)[:, np.newaxis] + np.zeros(3),
    "huge": lambda rng, n: rng.choice([-1.7e308, 0.0, 1.7e308], (n, 3)),
}


@pytest.mark.parametrize("n_rows", [1, 12, 30, 300])
@pytest.mark.parametrize("draw", HONEST.values(), ids=HONEST)
@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
def test_honest_splits_are_in_range(draw, n_rows, form):
    for seed in range(20):
        X = draw(np.random.default_rng(seed), n_rows + max(n_rows, 30))
        train, val = form(X[:-n_rows]), form(X[-n_rows:])
        assert len(out_of_range_columns(train, val)) == 0


def test_a_column_that_begins_to_vary_in_validation_is_in_range():
    X = np.zeros((100, 2))
    assert len(out_of_range_columns(X, X + np.array([5, 0]))) == 0


@both
@pytest.mark.parametrize("scaling", [None, "robust"])
def test_a_warning_tells_of_what_is_out_of_range(make, data, scaling):
    X, y, X_val, y_val = parts(data)
    names = [f"feature {i}" for i in range(X.shape[1])]
    raw = X_val.copy()
    raw[:, 1] = 100 * raw[:, 1] + 400
    X, raw, X_val = (pd.DataFrame(part, columns=names) for part in (X, raw, X_val))
    estimator = make(feature_scaling=scaling, max_iter=1)
    with pytest.warns(UserWarning, match=r"in 1 of \d+ columns: column 'feature 1'") as caught:
        estimator.fit(X, y, X_val=raw, y_val=y_val)
    assert [warning.filename for warning in caught] == [__file__]
    estimator.fit(X, y, X_val=X_val, y_val=y_val)
    # A piece of a stream need not be like the others.
    stream = make(feature_scaling=scaling)
    given = {"classes": np.unique(y)} if make is classifier else {}
    stream.partial_fit(X, y, X_val=raw, y_val=y_val, **given)
    assert len(stream.history_["validation_loss"]) == 1
