"""Inputs that are legal, but at an end of what there is."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from skscratch import ScratchMLPClassifier, ScratchMLPRegressor

from ..conftest import BOTH, classifier, diabetes, iris, multilabel, regressor

SMALL = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}


def assert_sound(estimator, X, n_outputs=None):
    """The predictions are finite, of the right shape, and probabilities are such."""
    predicted = estimator.predict(X)
    shape = (X.shape[0],) if n_outputs is None else (X.shape[0], n_outputs)
    assert predicted.shape == shape
    if isinstance(estimator, ScratchMLPRegressor):
        assert predicted.dtype == np.float64
        assert np.isfinite(predicted).all()
        return
    P = estimator.predict_proba(X)
    assert P.shape == (X.shape[0], len(estimator.classes_))
    assert np.isfinite(P).all()
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-12)
    assert np.isfinite(estimator.decision_function(X)).all()


# Rows, columns, classes, layers ---------------------------------------------------------------


@pytest.mark.parametrize("y", [[3.0], [[1.0, -2.0]]])
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_one_row_is_learned_by_heart(y, normalization):
    estimator = ScratchMLPRegressor(**SMALL, normalization=normalization).fit([[1.0, 2.0]], y)
    np.testing.assert_allclose(estimator.predict([[1.0, 2.0]]), y, atol=1e-6)


def test_two_rows_are_enough_for_a_classifier():
    X = np.array([[0.0], [1.0]])
    estimator = ScratchMLPClassifier((8,), max_iter=100, learning_rate=0.1, random_state=0)
    assert estimator.fit(X, ["no", "yes"]).predict(X).tolist() == ["no", "yes"]


def test_two_rows_cannot_be_calibrated_but_trained():
    X, y = [[0.0], [1.0]], [0, 1]
    assert ScratchMLPClassifier(**SMALL).fit(X, y).temperature_ == 1
    with pytest.raises(ValueError, match="calibrate=True needs rows that were not trained on"):
        ScratchMLPClassifier(**SMALL, calibrate=True).fit(X, y)


@pytest.mark.parametrize(("make", "data"), BOTH)
def test_one_column(make, data):
    X, y = data()
    assert_sound(make().fit(X[:, :1], y), X[:, :1])


def test_a_label_that_never_occurs():
    X, Y = multilabel()
    Y[:, 1] = 0
    P = classifier(max_iter=200, learning_rate=0.1).fit(X, Y).predict_proba(X)
    assert P[:, 1].max() < 0.01


def test_a_thousand_classes():
    X = np.random.default_rng(0).normal(size=(2000, 5))
    y = np.arange(2000) % 1000
    estimator = ScratchMLPClassifier(**SMALL).fit(X, y)
    assert_sound(estimator, X[:100])
    assert estimator.coefs_[-1].shape[-2:] == (8, 1000)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"early_stopping": True},
        {"early_stopping": True, "scoring": "loss"},
        {"early_stopping": True, "class_weight": "balanced"},
    ],
    ids=repr,
)
def test_many_classes_take_no_table_of_all_rows(params):
    n_samples, n_classes = 6000, 500
    X = np.random.default_rng(0).normal(size=(n_samples, 5)).astype("f4")
    y = np.arange(n_samples) % n_classes
    estimator = ScratchMLPClassifier(
        **SMALL | {"max_iter": 1, "n_networks": 1, "validation_fraction": 0.2}, **params
    )
    tracemalloc.start()
    estimator.fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # In float32 the table has 12 MB. The fifth that validates and calibrates has logits in float64,
    # 4.8 MB, twice.
    held_out = 0 if estimator.validation_scores_ is None else n_samples // 5
    assert peak < 2 * held_out * n_classes * 8 + 6e6


@pytest.mark.parametrize(("make", "data"), BOTH)
@pytest.mark.parametrize(
    "params", [{"activation": "relu", "normalization": "batch"}, {"activation": "selu"}], ids=str
)
def test_fifty_layers(make, data, params):
    X, y = data()
    init = {"init": "auto"}
    estimator = make(hidden_layer_sizes=(8,) * 50, max_iter=10, **init, **params).fit(X, y)
    assert_sound(estimator, X)
    assert estimator.n_layers_ == 52
    assert estimator.best_loss_ < estimator.loss_curve_[0]


def sparse_and_wide(n_rows=50, n_columns=10**6):
    rng = np.random.default_rng(0)
    columns = rng.integers(0, n_columns, (n_rows, 10))
    columns[:, 0] = np.arange(n_rows) % 2  # tells the class
    indices, indptr = np.sort(columns, axis=1).ravel(), np.arange(0, 10 * n_rows + 1, 10)
    X = scipy.sparse.csr_matrix((np.ones(10 * n_rows), indices, indptr), (n_rows, n_columns))
    X.sum_duplicates()
    return X, np.arange(n_rows) % 2


@pytest.mark.parametrize("kind", [ScratchMLPClassifier, ScratchMLPRegressor])
def test_a_million_sparse_columns(kind):
    X, y = sparse_and_wide()
    params = {"learning_rate": 0.05, "dtype": "float32", "random_state": 0}
    estimator = kind((2,), max_iter=10, **params).fit(X, y)
    assert_sound(estimator, X)
    assert estimator.score(X, y) > 0.7


# Values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ScratchMLPClassifier, ScratchMLPRegressor])
@pytest.mark.parametrize("scale", [1e30, 1e-30, 1e300, 1e-300])
def test_with_feature_scaling_the_unit_does_not_matter(kind, scale):
    X, y = iris()
    plain, scaled = (kind(**SMALL).fit(X * unit, y) for unit in (1.0, scale))
    np.testing.assert_allclose(
        scaled.predict(X * scale).astype(float), plain.predict(X).astype(float), rtol=1e-6
    )


@pytest.mark.parametrize(("make", "data"), BOTH)
@pytest.mark.parametrize("scale", [1e30, 1e-30])
@pytest.mark.parametrize("dtype", ["auto", "float64"])
def test_without_feature_scaling_extremes_are_still_numbers(make, data, scale, dtype):
    X, y = data()
    assert_sound(make(dtype=dtype).fit(X * scale, y), X * scale)


@pytest.mark.parametrize("unit", [1e30, 1e-30, 1e100, 1e-100])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_with_a_standardized_target_its_unit_does_not_matter(unit, loss):
    X, y = diabetes()
    plain, scaled = (ScratchMLPRegressor(**SMALL, loss=loss).fit(X, y * u) for u in (1, unit))
    np.testing.assert_allclose(scaled.predict(X) / unit, plain.predict(X), rtol=1e-6)


@pytest.mark.parametrize(("make", "data"), BOTH)
@pytest.mark.parametrize("value", [0.0, 1.0, -1e30, 1e-300])
@pytest.mark.parametrize("feature_scaling", [None, "robust"])
def test_constant_columns(make, data, value, feature_scaling):
    X, y = data()
    X[:, 1] = value
    assert_sound(make(feature_scaling=feature_scaling).fit(X, y), X)
    X[:] = value
    assert_sound(make(feature_scaling=feature_scaling).fit(X, y), X)


@pytest.mark.parametrize("value", [0.0, 5.0, -1e9])
def test_a_constant_target(value):
    X, y = diabetes()
    predicted = regressor(max_iter=30).fit(X, np.full(len(y), value)).predict(X)
    np.testing.assert_allclose(predicted, value, atol=0.5)


DTYPES = [bool, np.int8, np.uint8, np.int64, np.uint64, np.float16, np.float32, object]


@pytest.mark.parametrize(("make", "data"), BOTH)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("feature_scaling", [None, "robust"])
def test_what_a_dtype_holds_is_what_counts(make, data, dtype, feature_scaling):
    X, y = data()
    X = np.abs(np.round(3 * X)).astype(dtype)
    estimator = make(feature_scaling=feature_scaling).fit(X, y)
    expected = make(feature_scaling=feature_scaling).fit(X.astype(np.float64), y)
    np.testing.assert_array_equal(estimator.coefs_[0], expected.coefs_[0])
    np.testing.assert_allclose(estimator.predict(X), expected.predict(X.astype(float)), rtol=1e-12)


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.float32])
@pytest.mark.parametrize("feature_scaling", [None, "robust"])
def test_sparse_matrices_of_any_dtype(make, dtype, feature_scaling):
    X, y = iris()
    X = (X > 0.5).astype(dtype)
    estimator = make(feature_scaling=feature_scaling).fit(scipy.sparse.csr_matrix(X), y)
    expected = make(feature_scaling=feature_scaling).fit(X, y)
    np.testing.assert_allclose(estimator.coefs_[0], expected.coefs_[0], rtol=1e-6, atol=1e-9)


# Memory ---------------------------------------------------------------------------------------


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def strided(X):
    wide = np.full((2 * X.shape[0], 3 * X.shape[1]), np.nan)
    wide[::2, ::3] = X
    return wide[::2, ::3]


def memory_map(X, folder):
    X.tofile(folder / "X")
    return np.memmap(folder / "X", np.float64, "r", shape=X.shape)


LAYOUTS = {
    "read-only": read_only,
    "Fortran order": np.asfortranarray,
    "strided": strided,
    "reversed": lambda X: X[::-1].copy()[::-1],
    "transposed": lambda X: X.T.copy().T,
    "big-endian": lambda X: X.astype(">f8"),
    "misaligned": lambda X: np.frombuffer(b"x" + X.tobytes(), np.float64, offset=1).reshape(
        X.shape
    ),
    "frame": pd.DataFrame,
    "list": np.ndarray.tolist,
}


@pytest.mark.parametrize(("make", "data"), BOTH)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "params",
    [
        {"feature_scaling": "robust"},
        {"early_stopping": True, "shuffle": False},
        {"dtype": "float32"},
        {"optimizer": "lbfgs"},
    ],
    ids=str,
)
def test_the_layout_in_memory_does_not_matter(make, data, layout, params):
    X, y = data()
    other = LAYOUTS[layout](X)
    expected, estimator = make(**params).fit(X, y), make(**params).fit(other, y)
    for vector, wanted in zip(
        estimator.network_.snapshot(), expected.network_.snapshot(), strict=True
    ):
        np.testing.assert_array_equal(vector, wanted)
    np.testing.assert_array_equal(X, data()[0])  # nobody wrote to it
    rtol = 1e-5 if "dtype" in params else 1e-12
    np.testing.assert_allclose(estimator.predict(other), expected.predict(X), rtol=rtol)


@pytest.mark.parametrize(("make", "data"), BOTH)
def test_read_only_memory_all_around(make, data, tmp_path):
    X, y = data()
    given = [memory_map(X, tmp_path), read_only(y), read_only(np.ones(len(y)))]
    estimator = make(feature_scaling="robust").fit(*given)
    expected = make(feature_scaling="robust").fit(X, y, np.ones(len(y)))
    np.testing.assert_array_equal(estimator.predict(given[0]), expected.predict(X))


@pytest.mark.parametrize("make", [classifier, regressor])
def test_a_read_only_sparse_matrix(make):
    X, y = iris()
    S = scipy.sparse.csr_matrix(X * (X > 0))
    expected = make(feature_scaling="robust").fit(S.copy(), y).predict(S)
    for array in (S.data, S.indices, S.indptr):
        array.flags.writeable = False
    estimator = make(feature_scaling="robust").fit(S, y)
    np.testing.assert_array_equal(estimator.predict(S), expected)


@pytest.mark.parametrize(("make", "data"), BOTH)
@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_matrix, pd.DataFrame])
@pytest.mark.parametrize("feature_scaling", [None, "robust"])
def test_predicting_for_no_rows_gives_none(make, data, form, feature_scaling):
    X, y = data()
    estimator = make(max_iter=1, feature_scaling=feature_scaling).fit(form(X), y)
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        if hasattr(estimator, name):
            some, none = (getattr(estimator, name)(form(X)[:n]) for n in (3, 0))
            assert none.shape == (0, *some.shape[1:])
            assert none.dtype == some.dtype
    with pytest.raises(ValueError, match=r"X has 2 features|0 feature"):
        estimator.predict(np.empty((0, 2)))


@pytest.mark.parametrize(("make", "data"), BOTH)
@pytest.mark.parametrize(("dtype", "large"), [("float32", 3e38), ("float64", 1.7e308)])
def test_predictions_that_overflow_are_an_error(make, data, dtype, large):
    X, y = data()
    row = np.full((1, X.shape[1]), large)
    estimator = make(dtype=dtype, activation="relu").fit(X, y)
    before = estimator.predict(X)
    row *= np.sign(estimator.coefs_[0][:, :1].T)
    with pytest.raises(ValueError, match=r"outputs overflow for X with values up to \d[.\d]*e\+3"):
        estimator.predict(np.vstack([X, row]))
    np.testing.assert_array_equal(estimator.predict(X), before)
    robust = make(dtype=dtype, feature_scaling="robust", activation="relu").fit(X, y)
    assert len(robust.predict(row)) == 1


def test_predictions_that_overflow_in_the_unit_of_y_are_an_error():
    X, y = diabetes()
    reg = regressor(activation="relu").fit(X, 1e250 * y)
    with pytest.raises(ValueError, match="outputs overflow for X with values up to"):
        reg.predict(np.vstack([X, 1e60 * X]))
    assert np.isfinite(reg.predict(X)).all()
