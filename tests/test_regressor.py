import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import r2_score

from .conftest import diabetes, regressor


def two_outputs():
    X, y = diabetes()
    return X, np.column_stack([y, 1000 * X[:, 2] - 3])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("standardize_target", [True, False])
def test_shapes_and_dtypes(dtype, standardize_target):
    X, Y = two_outputs()
    for y in (Y[:, 0], Y):
        estimator = regressor(dtype=dtype, standardize_target=standardize_target).fit(X, y)
        assert estimator.coefs_[0].dtype == dtype
        assert estimator.predict(X).shape == y.shape
        assert estimator.predict(X).dtype == np.float64
        assert estimator.n_outputs_ == (1 if y.ndim == 1 else 2)
        assert estimator.out_activation_ == "identity"


def test_a_column_vector_warns_and_means_its_column():
    X, y = diabetes()
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        estimator = regressor().fit(X, y[:, np.newaxis])
    np.testing.assert_array_equal(estimator.predict(X), regressor().fit(X, y).predict(X))


TARGET_FORMS = {
    "list": lambda y: y.tolist(),
    "int": lambda y: y.astype(int),
    "pandas": pd.Series,
    "pandas Float64": lambda y: pd.Series(y, dtype="Float64"),
    "pandas Int64": lambda y: pd.Series(y.astype(int), dtype="Int64"),
    "pandas float32": lambda y: pd.Series(y, dtype="float32"),
    "polars": pl.Series,
    "object": lambda y: y.astype(object),
}


@pytest.mark.parametrize("form", TARGET_FORMS.values(), ids=TARGET_FORMS)
def test_targets_of_every_form(form):
    X, y = diabetes()  # whole numbers, so that every form holds them exactly
    plain, estimator = regressor().fit(X, y), regressor().fit(X, form(y))
    np.testing.assert_array_equal(estimator.predict(X), plain.predict(X))


TARGET_TABLE_FORMS = {
    "CSR": scipy.sparse.csr_matrix,
    "sparse array": scipy.sparse.csc_array,
    "pandas": lambda Y: pd.DataFrame(Y, columns=["a", "b"]),
    "pandas Float64": lambda Y: pd.DataFrame(Y, columns=["a", "b"]).astype("Float64"),
    "polars": lambda Y: pl.DataFrame(Y, schema=["a", "b"]),
}


@pytest.mark.parametrize("form", TARGET_TABLE_FORMS.values(), ids=TARGET_TABLE_FORMS)
def test_several_outputs_of_every_form(form):
    X, Y = two_outputs()
    plain, estimator = regressor().fit(X, Y), regressor().fit(X, form(Y))
    # Columns stored one after another are added up in another order.
    np.testing.assert_allclose(estimator.predict(X), plain.predict(X), rtol=1e-9)


@pytest.mark.parametrize("boolean", [np.array([True, False]), pd.array([True, False], "boolean")])
def test_boolean_targets_are_numbers(boolean):
    X, y = diabetes()
    high = y > 150
    target = boolean[(~high).astype(int)]
    expected = regressor().fit(X, high.astype(float)).predict(X)
    np.testing.assert_array_equal(regressor().fit(X, target).predict(X), expected)


@pytest.mark.parametrize("unit", [1e8, 1.0, 1e-8])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_standardized_targets_make_the_unit_irrelevant(unit, dtype):
    X, y = diabetes()
    settings = {"dtype": dtype, "max_iter": 30, "standardize_target": True}
    plain = regressor(**settings).fit(X, y)
    estimator = regressor(**settings).fit(X, 7 * unit + y * unit)
    tolerance = {"float32": 1e-3, "float64": 1e-6}[dtype]
    np.testing.assert_allclose(
        (estimator.predict(X) - 7 * unit) / unit, plain.predict(X), rtol=tolerance
    )
    assert estimator.loss_ == pytest.approx(plain.loss_, rel=tolerance)
    assert estimator.score(X, 7 * unit + y * unit) == pytest.approx(plain.score(X, y), abs=1e-3)
    assert plain.score(X, y) > 0.3


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_each_output_has_a_scale_of_its_own(offset):
    X, y = diabetes()
    Y = np.column_stack([y * 1e6, y * 1e-6 + offset])
    estimator = regressor(max_iter=60, hidden_layer_sizes=(16,)).fit(X, Y)
    scores = r2_score(Y, estimator.predict(X), multioutput="raw_values")
    assert scores.min() > 0.4


def test_loss_is_in_training_units():
    X, y = diabetes()
    settings = {"learning_rate": 1e-12, "batch_size": "full", "l2": 0.0, "max_iter": 1}
    estimator = regressor(standardize_target=True, **settings).fit(X, y)
    expected = 0.5 * np.mean((y - estimator.predict(X)) ** 2)
    assert estimator.loss_ == pytest.approx(expected / np.var(y), rel=1e-9)
    estimator = regressor(standardize_target=False, **settings).fit(X, y)
    expected = 0.5 * np.mean((y - estimator.predict(X)) ** 2)
    assert estimator.loss_ == pytest.approx(expected, rel=1e-9)


def test_loss_averages_over_the_outputs():
    X, Y = two_outputs()
    estimator = regressor(
        standardize_target=False, learning_rate=1e-12, batch_size="full", l2=0.0, max_iter=1
    ).fit(X, Y)
    expected = 0.5 * np.mean((Y - estimator.predict(X)) ** 2)
    assert estimator.loss_ == pytest.approx(expected, rel=1e-9)


def test_without_standardization_the_network_predicts_y_itself():
    X, y = diabetes()
    estimator = regressor(hidden_layer_sizes=(), standardize_target=False).fit(X, y)
    Z = X @ estimator.coefs_[0] + estimator.intercepts_[0]
    np.testing.assert_allclose(estimator.predict(X), Z[:, 0], rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 5.0, 1e8])
def test_a_constant_target_is_learned(value):
    X, _ = diabetes()
    y = np.full(len(X), value)
    estimator = regressor(standardize_target=True, max_iter=200, learning_rate=0.05).fit(X, y)
    np.testing.assert_allclose(estimator.predict(X), y, atol=0.3)


def test_mean_and_scale_are_weighted():
    X, y = diabetes()
    weights = np.random.default_rng(0).uniform(0, 3, len(y))
    estimator = regressor(hidden_layer_sizes=(), max_iter=1).fit(X, y, weights)
    estimator.coefs_[0][...] = 0
    mean = np.average(y, weights=weights)
    for logit, expected in [
        (0, mean),
        (1, mean + np.sqrt(np.average((y - mean) ** 2, weights=weights))),
    ]:
        estimator.intercepts_[0][...] = logit
        np.testing.assert_allclose(estimator.predict(X), expected, rtol=1e-12)


def test_mean_and_scale_stay_those_of_the_first_call():
    X, y = diabetes()
    for method in ("fit", "partial_fit"):
        estimator = regressor(hidden_layer_sizes=(), max_iter=1, warm_start=True).fit(X, y)
        getattr(estimator, method)(X, y * 50 + 1000)
        estimator.coefs_[0][...] = 0
        estimator.intercepts_[0][...] = 0
        np.testing.assert_allclose(estimator.predict(X), y.mean(), rtol=1e-12)


def test_predictions_are_in_the_units_of_y():
    X, Y = two_outputs()
    predicted = regressor(max_iter=40).fit(X, Y).predict(X)
    np.testing.assert_allclose(predicted.mean(axis=0), Y.mean(axis=0), rtol=0.1, atol=60)
    np.testing.assert_allclose(predicted.std(axis=0), Y.std(axis=0), rtol=0.5)


@pytest.mark.parametrize("standardize_target", [True, False])
def test_validation_score_is_r2_in_the_units_of_y(standardize_target, splits):
    X, Y = two_outputs()
    weights = np.random.default_rng(0).uniform(0.1, 3, len(Y))
    for y in (Y[:, 0], Y):
        estimator = regressor(
            standardize_target=standardize_target, early_stopping=True, max_iter=20
        ).fit(X, y, weights)
        held_out = splits[-1][1]
        predicted = estimator.predict(X[held_out])
        expected = r2_score(y[held_out], predicted, sample_weight=weights[held_out])
        assert estimator.best_validation_score_ == pytest.approx(expected, rel=1e-9)
        assert estimator.best_validation_score_ == max(estimator.validation_scores_)


def test_score_is_r2_with_weights():
    X, y = diabetes()
    weights = np.random.default_rng(0).uniform(size=len(y))
    estimator = regressor().fit(X, y)
    expected = r2_score(y, estimator.predict(X), sample_weight=weights)
    assert estimator.score(X, y, weights) == pytest.approx(expected)
    assert estimator.score(X, y, weights) != estimator.score(X, y)


def test_weights_choose_what_is_learned():
    X, y = diabetes()
    twice = np.concatenate([X, X]), np.concatenate([y, -y])
    weights = np.repeat([1.0, 0.0], len(y))
    estimator = regressor(max_iter=40, batch_size=32).fit(*twice, weights)
    assert estimator.score(X, y) > 0.3
    assert estimator.score(X, -y) < 0
