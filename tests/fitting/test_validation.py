"""Validation data of the caller's own, and how a pipeline and a search hand them on."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

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
def test_with_early_stopping_they_take_the_place_of_the_split(make, data, splits):
    X, y, X_val, y_val = parts(data)
    params = {"max_iter": 40, "learning_rate": 0.1, "batch_size": 8, "l2": 0.0}
    estimator = make(early_stopping=True, **params).fit(X, y, X_val=X_val, y_val=y_val)
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
    estimator = make(**params, max_iter=8, early_stopping=True)
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
            "skscratch._fitting.measure.row_blocks",
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
