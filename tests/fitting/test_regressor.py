import tracemalloc
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.metrics import d2_absolute_error_score, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from skscratch import LBFGS, Huber, Pinball
from skscratch._fitting.settings import REGRESSOR_LOSSES
from skscratch.nn import Gamma, Loss, Poisson

from ..conftest import diabetes, regressor


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


EXTREME_UNITS = [1e-310, 1e-300, 1e-165, 1e-160, 1e100, 1e154, 1e160, 1e200, 1e305]


@pytest.mark.parametrize("unit", EXTREME_UNITS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("weighted", [False, True])
def test_units_whose_squares_are_beyond_float64(unit, method, weighted):
    X, y = diabetes()
    weights = np.linspace(1, 2, len(y)) if weighted else None
    plain = getattr(regressor(), method)(X, y, sample_weight=weights)
    estimator = getattr(regressor(), method)(X, y * unit, sample_weight=weights)
    np.testing.assert_allclose(estimator.predict(X) / unit, plain.predict(X), rtol=1e-9)
    assert estimator.loss_ == pytest.approx(plain.loss_, rel=1e-9)


@pytest.mark.parametrize("unit", [2.0**-1060, 2.0**-100, 2.0**60, 2.0**1000])
def test_the_unit_of_the_weights_is_irrelevant(unit):
    X, y = diabetes()
    weights = np.linspace(1, 2, len(y)).astype(np.float16).astype(float)  # exact in every unit
    plain = regressor(l2=0.0).fit(X, y, weights)
    estimator = regressor(l2=0.0).fit(X, y, weights * unit)
    np.testing.assert_allclose(estimator.predict(X), plain.predict(X), rtol=1e-9)


def test_units_of_several_outputs_and_of_held_out_rows():
    X, y = diabetes()
    units = np.array([1e-200, 1.0, 1e200])
    settings = {"early_stopping": True, "max_iter": 8}
    plain = regressor(**settings).fit(X, np.column_stack([y] * 3))
    estimator = regressor(**settings).fit(X, y[:, np.newaxis] * units)
    np.testing.assert_allclose(estimator.predict(X) / units, plain.predict(X), rtol=1e-9)
    np.testing.assert_allclose(
        estimator.validation_scores_, plain.validation_scores_, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
@pytest.mark.parametrize("weighted", [False, True])
def test_mean_and_scale_are_those_of_scikit_learn_to_the_last_digit(layout, weighted):
    rng = np.random.default_rng(0)
    for _ in range(20):
        y = (rng.standard_normal((50, 3)) + rng.normal(size=3)) * 10.0 ** rng.integers(-60, 60, 3)
        y[:, 2] = np.rint(rng.uniform(0, 5, 50))
        weights = rng.uniform(0, 3, 50) if weighted else None
        y = layout(y)
        scaler = regressor(max_iter=1).fit(np.ones((50, 1)), y, weights)._fitted.target.scaler
        expected = StandardScaler().fit(y, sample_weight=weights)
        for name in ("mean_", "scale_", "var_"):
            np.testing.assert_array_equal(getattr(scaler, name), getattr(expected, name))
        np.testing.assert_array_equal(scaler.transform(y), expected.transform(y))


def test_later_targets_beyond_what_was_learned():
    X, y = diabetes()
    estimator = regressor(warm_start=True).fit(X, y * 1e-300)
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=r"y, whose largest.*3\.4e\+302.*when standardized"):
            getattr(estimator, method)(X, y * 1e300)


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


@pytest.mark.parametrize(
    "value", [0.0, 5.0, 0.1, 1e8, 5e-324, 1e-200, 1e200, -np.finfo(np.float64).max]
)
def test_a_constant_target_is_learned(value):
    X, _ = diabetes()
    y = np.full(len(X), value)
    estimator = regressor(standardize_target=True, max_iter=200, learning_rate=0.05).fit(X, y)
    assert estimator._fitted.target.scaler.scale_ == 1
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


def test_predicting_before_fit():
    X, _ = diabetes()
    with pytest.raises(NotFittedError, match="This ScratchMLPRegressor instance is not fitted"):
        regressor().predict(X)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_many_rows_are_predicted_like_few_in_little_memory(loss):
    X, Y = two_outputs()
    estimator = regressor(loss=loss, dtype="float32").fit(X, Y - Y.min(axis=0))
    many = np.resize(X, (60_000, X.shape[1]))
    tracemalloc.start()
    predicted = estimator.predict(many)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A product's last digits depend on the number of its rows.
    expected = np.resize(estimator.predict(X), predicted.shape)
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-2)
    assert peak - predicted.nbytes < 6e6


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


# --- Losses ---------------------------------------------------------------------------------

LOG_LINK = ["poisson", "gamma"]


@pytest.mark.parametrize("name", REGRESSOR_LOSSES)
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_every_loss_learns(name, optimizer, n_outputs):
    X, y = diabetes()
    y = y if n_outputs == 1 else np.column_stack([y, 1000 + 7 * y])
    weights = np.random.default_rng(0).integers(0, 3, len(y))
    estimator = regressor(
        loss=name, optimizer=optimizer, max_iter=100, hidden_layer_sizes=(), l2=0.1
    ).fit(X, y, weights)
    assert estimator.score(X, y) > 0.3
    assert estimator.predict(X).shape == y.shape
    assert estimator.out_activation_ == ("exp" if name in LOG_LINK else "identity")
    assert (estimator._fitted.target.scaler is None) == (name in LOG_LINK)


@pytest.mark.parametrize("name", REGRESSOR_LOSSES)
def test_names_and_objects_mean_the_same(name):
    X, y = diabetes()
    expected = regressor(loss=name).fit(X, y).predict(X)
    estimator = regressor(loss=REGRESSOR_LOSSES[name]()).fit(X, y)
    np.testing.assert_array_equal(estimator.predict(X), expected)


@pytest.mark.parametrize("name", REGRESSOR_LOSSES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_validation_score_is_r2_in_the_units_of_y_for_every_loss(name, dtype, splits):
    X, y = diabetes()
    weights = np.random.default_rng(0).uniform(0.1, 3, len(y))
    estimator = regressor(loss=name, early_stopping=True, dtype=dtype).fit(X, y, weights)
    held_out = splits[-1][1]
    expected = estimator.score(X[held_out], y[held_out], weights[held_out])
    tolerance = {"float32": 1e-4, "float64": 1e-9}[dtype]
    assert estimator.best_validation_score_ == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("quantile", [0.1, 0.8])
def test_a_quantile_has_its_share_below(quantile):
    X, y = diabetes()
    estimator = regressor(
        loss=Pinball(quantile), hidden_layer_sizes=(), max_iter=300, lr_schedule="cosine"
    ).fit(X, y)
    assert np.mean(y < estimator.predict(X)) == pytest.approx(quantile, abs=0.05)


def test_parameters_of_losses_can_be_searched():
    X, y = diabetes()
    search = GridSearchCV(
        regressor(loss=Pinball(), hidden_layer_sizes=(), max_iter=30),
        {"loss__quantile": [0.05, 0.5]},
        scoring="neg_mean_absolute_error",
        cv=3,
    ).fit(X, y)
    assert search.best_params_ == {"loss__quantile": 0.5}


def test_huber_delta_is_in_standard_deviations():
    X, y = diabetes()
    plain = regressor(loss=Huber(0.5)).fit(X, y)
    for unit in (1e-3, 1e3):
        np.testing.assert_allclose(
            regressor(loss=Huber(0.5)).fit(X, y * unit).predict(X) / unit,
            plain.predict(X),
            rtol=1e-9,
        )
    # No error is larger: half the squared error.
    np.testing.assert_allclose(
        regressor(loss=Huber(1e6)).fit(X, y).predict(X), regressor().fit(X, y).predict(X)
    )


def test_robust_losses_heed_outliers_less():
    X, y = diabetes()
    spoiled = y.copy()
    spoiled[::10] += 5000
    settings = {"hidden_layer_sizes": (), "max_iter": 300, "lr_schedule": "cosine"}
    scores = {
        loss: d2_absolute_error_score(
            y, regressor(loss=loss, **settings).fit(X, spoiled).predict(X)
        )
        for loss in ("squared_error", "absolute_error")
    }
    assert scores["absolute_error"] > 0.2 > 0 > scores["squared_error"]


@pytest.mark.parametrize("name", LOG_LINK)
@pytest.mark.parametrize("standardize_target", [False, True])
def test_log_link_starts_at_the_weighted_mean_and_ignores_standardization(name, standardize_target):
    X, Y = diabetes()[0], np.column_stack([diabetes()[1], 1000 * diabetes()[1]])
    weights = np.random.default_rng(1).uniform(0, 3, len(Y))
    estimator = regressor(
        loss=name,
        standardize_target=standardize_target,
        hidden_layer_sizes=(),
        max_iter=1,
        learning_rate=1e-12,
    ).fit(X, Y, weights)
    expected = np.log(np.average(Y, axis=0, weights=weights))
    np.testing.assert_allclose(estimator.intercepts_[0], expected, rtol=1e-9)
    Z = X @ estimator.coefs_[0] + estimator.intercepts_[0]
    np.testing.assert_allclose(estimator.predict(X), np.exp(Z), rtol=1e-12)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_continuing_does_not_start_at_the_mean_again(method):
    X, y = diabetes()
    estimator = regressor(
        loss="gamma", warm_start=True, max_iter=1, learning_rate=1e-12, hidden_layer_sizes=()
    ).fit(X, y)
    getattr(estimator, method)(X, 1000 * y)
    np.testing.assert_allclose(estimator.intercepts_[0], np.log(y.mean()), rtol=1e-9)


def test_counts_that_are_all_zero_are_learned():
    X, y = diabetes()
    Y = np.column_stack([np.zeros(len(y)), y])
    estimator = regressor(loss="poisson", max_iter=50, hidden_layer_sizes=()).fit(X, Y)
    assert estimator.predict(X)[:, 0].max() < 0.1
    assert r2_score(Y[:, 1], estimator.predict(X)[:, 1]) > 0.3


@pytest.mark.parametrize("name", LOG_LINK)
def test_unit_of_an_amount_is_irrelevant(name):
    X, y = diabetes()
    settings = {"optimizer": LBFGS(), "max_iter": 1000, "tol": 1e-9, "hidden_layer_sizes": ()}
    plain = regressor(loss=name, l2=0.0, **settings).fit(X, y)
    estimator = regressor(loss=name, l2=0.0, **settings).fit(X, 1e4 * y)
    np.testing.assert_allclose(estimator.predict(X), 1e4 * plain.predict(X), rtol=1e-4)


@pytest.mark.parametrize("name", REGRESSOR_LOSSES)
def test_positive_targets_are_declared(name):
    assert get_tags(regressor(loss=name)).target_tags.positive_only == (name in LOG_LINK)
    assert not get_tags(regressor(loss="nonsense")).target_tags.positive_only


@dataclass
class LogCosh(Loss):
    """Near 0 like half the squared error, far from it like the absolute one."""

    out_activation = "identity"
    scale: float = 1.0

    def row_losses(self, Z, Y, gradient_out):
        R = (Z - Y) / self.scale
        gradient_out[...] = np.tanh(R) * self.scale
        return (np.logaddexp(R, -R) - np.log(2)).sum(axis=-1) * self.scale**2

    def inverse_link(self, Z):
        return Z


def test_custom_loss():
    X, Y = two_outputs()
    estimator = regressor(loss=LogCosh(scale=1e6), early_stopping=True).fit(X, Y)
    expected = regressor(early_stopping=True).fit(X, Y)  # far below its scale they are the same
    np.testing.assert_allclose(estimator.predict(X), expected.predict(X), rtol=1e-4)
    assert estimator.set_params(loss__scale=0.1, max_iter=50).fit(X, Y).score(X, Y) > 0.3


@dataclass
class SquareLink(Loss):
    """The squared error of predictions z^2, which never are negative."""

    out_activation = "square"

    def row_losses(self, Z, Y, gradient_out):
        R = Z**2 - Y
        gradient_out[...] = 2 * Z * R
        return 0.5 * np.vecdot(R, R)

    def inverse_link(self, Z):
        return Z**2

    def initial_bias(self, Y, weights):
        return np.sqrt(np.average(Y, axis=0, weights=weights))


def test_custom_loss_with_a_link_of_its_own_starts_where_it_says():
    X, y = diabetes()
    y = y / 100
    estimator = regressor(
        loss=SquareLink(), init="normal", max_iter=100, hidden_layer_sizes=()
    ).fit(X, y)
    assert estimator._fitted.target.scaler is None
    assert estimator.score(X, y) > 0.4
    assert estimator.predict(X).min() >= 0
    estimator = regressor(loss=SquareLink(), max_iter=1, learning_rate=1e-12).fit(X, y)
    np.testing.assert_allclose(estimator.intercepts_[-1], np.sqrt(y.mean()), rtol=1e-9)


@pytest.mark.parametrize(
    ("loss", "bad", "needs"),
    [
        ("poisson", -1.0, r"\[0, inf\), got -1"),
        (Poisson(), -1e-9, r"\[0, inf\), got -1e-09"),
        ("gamma", 0.0, r"\(0, inf\), got 0"),
        (Gamma(), -2.0, r"\(0, inf\), got -2"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_targets_outside_the_domain(loss, bad, needs, method):
    X, y = diabetes()
    y[3] = bad
    with pytest.raises(ValueError, match=rf"loss=.* needs targets in {needs}"):
        getattr(regressor(loss=loss), method)(X, y)
    with pytest.raises(ValueError, match=rf"loss=.* needs targets in {needs}"):
        regressor(loss=loss).fit(X, abs(y) + 1, X_val=X, y_val=y)


def test_targets_that_float32_takes_for_zero():
    X, y = diabetes()
    regressor(loss="gamma", dtype="float64").fit(X, y * 1e-60)
    with pytest.raises(ValueError, match=r"targets in \(0, inf\), got 0 \(in float32\)"):
        regressor(loss="gamma", dtype="float32").fit(X, y * 1e-60)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_continuing_with_another_loss(method):
    X, y = diabetes()
    estimator = regressor(max_iter=1, warm_start=True).fit(X, y)
    getattr(estimator.set_params(loss="huber"), method)(X, y)
    predicted = estimator.predict(X)
    estimator.set_params(loss="poisson")
    with pytest.raises(ValueError, match=r"loss='poisson'.*'exp'.*'identity'.*warm_start=False"):
        getattr(estimator, method)(X, y)
    np.testing.assert_array_equal(estimator.predict(X), predicted)


def test_a_mean_beyond_the_range_of_exp_is_divergence():
    X, y = diabetes()
    estimator = regressor(loss="poisson", optimizer="sgd", learning_rate=1e3, max_iter=50)
    with pytest.raises(ValueError, match="Training diverged"):
        estimator.fit(X, y)


@pytest.mark.parametrize("unit", [1e-90, 1e-3, 1.0])
def test_rows_of_weight_zero_have_no_part_in_the_unit(unit):
    X, y = diabetes()
    weights = np.ones(len(y))
    weights[3] = 0
    plain = regressor().fit(X, unit * y, weights)
    y[3] = 1e3 * y.max()
    same = regressor().fit(X, unit * y, weights)
    np.testing.assert_allclose(same.predict(X), plain.predict(X), rtol=1e-9)
    y[3] = 1e250
    with pytest.raises(ValueError, match="beyond the range"):
        regressor(dtype="float32").fit(X, unit * y, weights)
