"""What fit leaves behind, and what it takes to do so."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from skscratch import SGD, ExponentialDecay, LeakyReLU, Normal, StepDecay
from skscratch._fitting.plan import FLOAT32_FROM

from ..conftest import (
    BOTH,
    cancer,
    classifier,
    diabetes,
    iris,
    multilabel,
    output,
    regressor,
    weights_of,
)

both = pytest.mark.parametrize(("make", "data"), BOTH)


@both
def test_history_is_a_table(make, data):
    X, y = data()
    estimator = make(max_iter=4, warm_start=True, lr_schedule=ExponentialDecay(0.5)).fit(X, y)
    table = pd.DataFrame(estimator.history_)
    assert len(table) == 4
    assert list(table["epoch"]) == [1, 2, 3, 4]
    np.testing.assert_allclose(table["learning_rate"], [0.01, 0.005, 0.0025, 0.00125])
    assert table[["validation_loss", "validation_score"]].isna().all(axis=None)
    assert (table[["loss", "gradient_norm", "seconds"]] > 0).all(axis=None)
    assert all(
        type(value) in (int, float) for column in estimator.history_.values() for value in column
    )
    estimator.set_params(early_stopping=True).fit(X, y)
    table = pd.DataFrame(estimator.history_)
    assert list(table["epoch"]) == list(range(1, 9))
    assert table["validation_score"].notna().tolist() == [False] * 4 + [True] * 4
    estimator.set_params(early_stopping=False).partial_fit(X, y)
    assert len(pd.DataFrame(estimator.history_)) == 9


def test_gradient_norm_is_that_of_the_whole_gradient():
    X, y = diabetes()
    estimator = regressor(
        hidden_layer_sizes=(),
        standardize_target=False,
        batch_size="full",
        max_iter=1,
        learning_rate=1e-12,
        l2=100.0,
    ).fit(X, y)
    residual = (X @ estimator.coefs_[0] + estimator.intercepts_[0])[:, 0] - y
    gradient = np.append(
        (X.T @ residual + 100 * estimator.coefs_[0][:, 0]) / len(y), residual.mean()
    )
    assert estimator.history_["gradient_norm"] == [pytest.approx(np.linalg.norm(gradient))]


def test_validation_loss_is_that_of_the_rows_held_out_without_penalty(splits):
    X, y = iris()
    estimator = classifier(
        early_stopping=True, max_iter=1, l2=5.0, learning_rate=0.05, hidden_layer_sizes=(16,)
    ).fit(X, y)
    ((_, held_out),) = splits
    log_P = estimator.predict_log_proba(X[held_out])
    expected = -log_P[np.arange(len(held_out)), y[held_out]].mean()
    assert estimator.history_["validation_loss"] == [pytest.approx(expected, rel=1e-9)]


COUNTERPARTS = {
    "binary": (classifier, MLPClassifier, cancer),
    "multiclass": (classifier, MLPClassifier, iris),
    "multilabel": (classifier, MLPClassifier, multilabel),
    "regression": (regressor, MLPRegressor, diabetes),
}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("case", COUNTERPARTS.values(), ids=COUNTERPARTS)
def test_fitted_attributes_mean_what_scikit_learn_means(case, early_stopping):
    make, counterpart, data = case
    X, y = data()
    common = {
        "hidden_layer_sizes": (6, 5),
        "activation": "tanh",
        "max_iter": 7,
        "batch_size": 32,
        "tol": 0.0,
        "n_iter_no_change": 100,
        "early_stopping": early_stopping,
        "validation_fraction": 0.2,
        "warm_start": True,
        "random_state": 0,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = counterpart(**common).fit(X, y).fit(X, y)
    ours = make(**common).fit(X, y).fit(X, y)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
        assert type(getattr(ours, name)) is type(getattr(theirs, name)), name
    assert [W.shape for W in ours.coefs_] == [W.shape for W in theirs.coefs_]
    assert [b.shape for b in ours.intercepts_] == [b.shape for b in theirs.intercepts_]
    assert len(ours.loss_curve_) == len(theirs.loss_curve_) == 14
    assert ours.loss_ == ours.loss_curve_[-1]
    assert theirs.loss_ == theirs.loss_curve_[-1]
    if early_stopping:
        assert ours.best_loss_ is theirs.best_loss_ is None
        # Ours has a row for each epoch of the history.
        assert len(ours.validation_scores_) == 14
        assert ours.best_validation_score_ == max(ours.validation_scores_)
        assert theirs.best_validation_score_ == max(theirs.validation_scores_)
    else:
        assert ours.best_loss_ == min(ours.loss_curve_)
        assert theirs.best_loss_ == min(theirs.loss_curve_)
        assert ours.validation_scores_ is theirs.validation_scores_ is None
        assert ours.best_validation_score_ is theirs.best_validation_score_ is None


@both
def test_fit_changes_no_parameter(make, data):
    X, y = data()
    estimator = make(
        optimizer=SGD(momentum=0.9),
        activation=[LeakyReLU()],
        init=Normal(std=0.1),
        lr_schedule=StepDecay(every=2),
        dropout=[0.1],
        hidden_layer_sizes=[4],
        warm_start=True,
    )
    params = estimator.get_params(deep=False)
    before = joblib.hash(params)
    estimator.fit(X, y).fit(X, y).partial_fit(X, y)
    after = estimator.get_params(deep=False)
    assert joblib.hash(after) == before
    assert all(after[name] is value for name, value in params.items())


@both
def test_representations(make, data):
    estimator = make(optimizer=SGD(momentum=0.7))
    assert "SGD(momentum=0.7" in repr(estimator)
    for each in (estimator, estimator.fit(*data())):
        html = estimator_html_repr(Pipeline([("scale", StandardScaler()), ("mlp", each)]))
        assert type(estimator).__name__ in html
        assert "momentum=0.7" in html


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize(
    ("params", "n_samples", "expected"),
    [
        ({"dtype": "auto"}, FLOAT32_FROM - 1, "float64"),
        ({"dtype": "auto"}, FLOAT32_FROM, "float32"),
        ({"dtype": "auto", "optimizer": "lbfgs"}, FLOAT32_FROM, "float64"),
        ({"dtype": "float32"}, 10, "float32"),
        ({"dtype": "float64"}, FLOAT32_FROM, "float64"),
    ],
)
def test_dtype_rule(make, params, n_samples, expected):
    X = np.random.default_rng(0).standard_normal((n_samples, 2)).astype("float32")
    y = np.arange(n_samples) % 2
    estimator = make(max_iter=1, batch_size="full", **params).fit(X, y)
    assert {array.dtype for array in estimator.coefs_ + estimator.intercepts_} == {
        np.dtype(expected)
    }
    assert output(estimator, X).dtype == np.float64


@both
def test_the_first_call_fixes_the_automatic_dtype(make, data):
    X, y = data()
    estimator = make(dtype="auto", warm_start=True, max_iter=1).fit(X, y)
    many = (
        np.tile(X, (FLOAT32_FROM // len(y) + 1, 1)),
        np.resize(y, (FLOAT32_FROM // len(y) + 1) * len(y)),
    )
    estimator.fit(*many).partial_fit(*many)
    assert estimator.coefs_[0].dtype == np.float64


@both
def test_float32_is_close_to_float64(make, data):
    X, y = data()
    single, double = make(dtype="float32").fit(X, y), make(dtype="float64").fit(X, y)
    np.testing.assert_allclose(weights_of(single), weights_of(double), atol=1e-3)
    assert single.loss_ == pytest.approx(double.loss_, rel=1e-4)


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("n_samples", [1, 2, 3])
def test_the_fewest_rows(make, n_samples):
    if make is classifier and n_samples == 1:
        n_samples = 2
    X, y = np.arange(n_samples * 2.0).reshape(n_samples, 2), np.arange(n_samples)
    for batch_size in (1, 2, "full", 1000):
        estimator = make(batch_size=batch_size).fit(X, y)
        assert np.isfinite(estimator.predict(X)).all()
        assert estimator.t_ == 5 * n_samples


@both
@pytest.mark.parametrize("sizes", [(), 3, (3,), [4, 3], np.array([4, 3, 2])], ids=repr)
def test_any_depth(make, data, sizes):
    X, y = data()
    estimator = make(hidden_layer_sizes=sizes, dropout=0.1).fit(X, y)
    hidden = [int(size) for size in np.atleast_1d(sizes)]
    assert [W.shape[0] for W in estimator.coefs_] == [X.shape[1], *hidden]
    assert estimator.n_layers_ == len(hidden) + 2


def test_history_is_not_shared_between_calls():
    X, y = iris()
    estimator = classifier(max_iter=2, warm_start=True).fit(X, y)
    before = estimator.history_
    estimator.fit(X, y)
    assert len(before["loss"]) == 2
    assert len(estimator.history_["loss"]) == 4


@both
def test_numpy_booleans_are_booleans(make, data):
    X, y = data()
    estimator = make(warm_start=np.True_, max_iter=2).fit(X, y).fit(X, y)
    assert len(estimator.loss_curve_) == 4
