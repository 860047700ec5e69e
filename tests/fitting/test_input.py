"""What X may hold, and what the error says where it holds something else."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from numpy.testing import assert_array_equal

from ..conftest import BOTH, classifier, diabetes, iris, regressor

AGE = [31.0, 52.0, 44.0, 28.0]
WORK = ["private", "self", "state", "private"]
y = [0, 1, 0, 1]


# scikit-learn 1.6 takes no feature names from polars.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.parametrize(
    ("X", "columns"),
    [
        (pd.DataFrame({"age": AGE, "work": WORK}), ["'work' (such as 'private')"]),
        (pd.DataFrame({"age": AGE, "work": pd.Categorical(WORK)}), ["'work' (such as 'private')"]),
        (pd.DataFrame({"age": [None, *AGE[1:]], "work": WORK}), ["'work' (such as 'private')"]),
        (pd.DataFrame({"age": AGE, 3: WORK}).rename(columns=str), ["'3' (such as 'private')"]),
        (pl.DataFrame({"age": AGE, "work": WORK}), ["'work' (such as 'private')"]),
        (pd.DataFrame({"day": pd.date_range("2020", periods=4)}), ["'day' (such as Timestamp"]),
        (
            pd.DataFrame({"age": AGE, "took": pd.to_timedelta([1, 2, 3, 4], unit="D")}),
            ["'took' (such as Timedelta"],
        ),
        *(
            (pl.DataFrame({"age": [31, 52, 44, 28], "when": [when] * 4}), ["'when' (such as date"])
            for when in (date(2020, 1, 1), datetime(2020, 1, 1), timedelta(1), time(12))
        ),
        (
            pd.DataFrame({"age": AGE, "month": pd.period_range("2020", periods=4, freq="M")}),
            ["'month' (such as Period('2020-01'"],
        ),
        (
            pd.DataFrame({"age": AGE, "bin": pd.IntervalIndex.from_breaks([0, 1, 2, 3, 4])}),
            ["'bin' (such as Interval(0, 1"],
        ),
        (pd.DataFrame({"at": [time(12)] * 4}), ["'at' (such as datetime.time(12"]),
        (pd.DataFrame({"age": AGE, "list": [[1.0, 2.0]] * 4}), ["'list' (such as [1.0, 2.0])"]),
        (np.array([AGE, WORK], object).T, ["column 1 (such as 'private')"]),
        ([list(row) for row in zip(AGE, WORK, strict=True)], ["column 1 (such as 'private')"]),
        (np.array([WORK, WORK]).T, ["columns 0 (such as", "1 (such as"]),
        (pd.DataFrame({f"c{i}": WORK for i in range(8)}), ["'c0'", "'c4'", "and 3 more"]),
    ],
)
def test_columns_that_hold_no_numbers_are_named(X, columns):
    numbers = np.random.default_rng(0).standard_normal(np.shape(X))
    names = getattr(X, "columns", None)
    fitted = classifier().fit(numbers if names is None else pd.DataFrame(numbers, columns=names), y)
    for call in (lambda: classifier().fit(X, y), lambda: fitted.predict(X)):
        with pytest.raises(ValueError, match="takes numbers only") as caught:
            call()
        for column in columns:
            assert column in str(caught.value)
        assert "OneHotEncoder" in str(caught.value)


def test_text_that_reads_as_numbers_is_numbers():
    X = np.transpose([AGE, AGE])
    plain = classifier().fit(X, y)
    for same in (X.astype(object), X.astype(str).astype(object), pd.DataFrame(X, dtype=object)):
        assert_array_equal(classifier().fit(same, y).coefs_[0], plain.coefs_[0])


def test_polars_columns_of_dates_that_are_all_missing():
    X = pl.DataFrame({"age": [31, 52, 44, 28], "day": pl.Series([None] * 4, dtype=pl.Date)})
    with pytest.raises(TypeError, match="X has columns of dates or times"):
        classifier().fit(X, y)


@pytest.mark.parametrize("name", ["X", "y"])
def test_lazy_frames_are_to_be_collected(name):
    X, labels = iris()
    lazy = pl.LazyFrame({"a": labels})
    fitted = classifier().fit(X, labels)
    given = {"X": X, "y": labels, name: lazy}
    calls = [lambda: classifier().fit(**given), lambda: fitted.partial_fit(**given)]
    if name == "X":
        calls.append(lambda: fitted.predict(lazy))
    for call in calls:
        with pytest.raises(TypeError, match=rf"{name} is a LazyFrame.*Pass {name}\.collect\(\)"):
            call()


HUGE = 10**400
LONG = pytest.mark.skipif(
    np.finfo(np.longdouble).max == np.finfo(np.float64).max, reason="long double is double here"
)
MISSING = "X contains NaN or missing values, such as .*SimpleImputer"
# (a column with a value that is no number of float64, what the message has to match)
NO_FLOAT64 = [
    ([[HUGE], [1], [2], [3]], "X contains integers too large for float64"),
    (np.array([[HUGE], [1], [2], [3]]), "X contains integers too large for float64"),
    (
        pd.DataFrame({"a": pd.Series([HUGE, 1, 2, 3], dtype=object)}),
        "X contains integers too large for float64",
    ),
    ([[Decimal("1e400")], [1], [2], [3]], "X contains infinity or a value too large"),
    ([[Decimal("NaN")], [1], [2], [3]], MISSING),
    ([[None], [1], [2], [3]], MISSING),
    (pd.DataFrame({"a": [pd.NA, 1, 2, 3]}), MISSING),
    (pd.DataFrame({"a": [None, 1, 2, 3]}, dtype=object), MISSING),
    (pl.DataFrame({"a": [None, 1, 2, 3], "b": ["1", "2", "3", "4"]}), MISSING),
    pytest.param(
        np.full((4, 1), "1e400", np.longdouble), "X contains values too large", marks=LONG
    ),
    pytest.param(
        scipy.sparse.csr_matrix(np.full((4, 1), "-1e400", np.longdouble)),
        "X contains values too large",
        marks=LONG,
    ),
]


@pytest.mark.filterwarnings("ignore:X (does not have|has feature):UserWarning")
@pytest.mark.parametrize(("X", "pattern"), NO_FLOAT64)
@pytest.mark.parametrize("feature_scaling", [None, "robust"])
def test_inputs_that_are_no_numbers_of_float64(X, pattern, feature_scaling):
    fitted = classifier().fit(np.ones(X.shape if hasattr(X, "shape") else np.shape(X)), y)
    for call in (
        lambda: classifier(feature_scaling=feature_scaling).fit(X, y),
        lambda: fitted.predict(X),
    ):
        with pytest.raises(ValueError, match=pattern):
            call()


def test_long_doubles_within_float64_are_numbers():
    X, labels = iris()
    same = classifier().fit(X.astype(np.longdouble), labels)
    assert_array_equal(same.coefs_[0], classifier().fit(X, labels).coefs_[0])


def masked(array, n):
    """Return a copy of which the first n values are masked."""
    array = np.ma.masked_array(array, np.zeros(np.shape(array), bool))
    array.mask.ravel()[:n] = True
    return array


@pytest.mark.parametrize(("make", "data"), BOTH)
@pytest.mark.parametrize("name", ["X", "y", "sample_weight"])
def test_masked_values_are_refused_and_counted(make, data, name):
    X, target = data()
    given = {"X": X, "y": target, "sample_weight": np.ones(len(target))}
    fitted = make(max_iter=1, warm_start=True).fit(**given)
    bad = {**given, name: masked(given[name], 3)}
    pattern = rf"{name} is a masked array, 3 of whose {given[name].size} values are masked"
    calls = [
        lambda: make().fit(**bad),
        lambda: fitted.fit(**bad),
        lambda: fitted.partial_fit(**bad),
    ]
    if name == "X":
        calls.append(lambda: fitted.predict(bad["X"]))
    if name != "sample_weight":
        calls.append(lambda: make().fit(X, target, X_val=bad["X"], y_val=bad["y"]))
    for call in calls:
        with pytest.raises(ValueError, match=pattern):
            call()


@pytest.mark.parametrize(("make", "data"), BOTH)
def test_masked_arrays_without_masked_values_are_arrays(make, data):
    given = (*data(), np.linspace(1, 2, len(data()[1])))
    plain = make().fit(*given)
    for form in (np.ma.masked_array, lambda array: masked(array, 0)):
        same = make().fit(*map(form, given))
        assert_array_equal(same.coefs_[0], plain.coefs_[0])
        assert_array_equal(same.predict(form(given[0])), plain.predict(given[0]))


def _with_gap(target, gap, dtype):
    target = target.astype(object)
    target[3] = gap
    return target if dtype is None else pd.Series(target, dtype=dtype)


@pytest.mark.parametrize(
    ("gap", "dtype"),
    [
        (None, None),
        (np.nan, None),
        (pd.NA, None),
        (pd.NaT, None),
        (pd.NA, object),
        (pd.NA, "Float64"),
        (pd.NA, "Int64"),
        (pd.NA, "string"),
        (np.nan, "category"),
    ],
    ids=str,
)
@pytest.mark.parametrize(("make", "data"), [(classifier, iris), (regressor, diabetes)])
def test_targets_with_gaps(make, data, gap, dtype):
    X, target = data()
    whole = target.astype(int)
    bad = _with_gap(whole.astype(str) if dtype in ("string", "category") else whole, gap, dtype)
    for call in (
        lambda: make().fit(X, bad),
        lambda: make().fit(X, whole).partial_fit(X, bad),
        lambda: make().fit(X, whole, X_val=X, y_val=bad),
    ):
        with pytest.raises(ValueError, match=r"y contains (NaN|missing)"):
            call()


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA])
def test_labels_of_text_with_gaps(gap):
    X, labels = iris()
    bad = _with_gap(np.array(["a", "b", "c"])[labels], gap, None)
    with pytest.raises(ValueError, match=r"y contains NaN .*in 1 of 150 rows\. Leave these"):
        classifier().fit(X, bad)


GAPS = {
    "u": [1.0, np.nan, 0.0, 1.0],
    "v": [1.0, 0.0, 0.0, 1.0],
    "w": [np.nan, np.nan, 0.0, 1.0],
}
IN_COLUMNS = r"y contains NaN .*columns {} \(1 of 4 rows\), {} \(2 of 4 rows\).*estimator for each"


@pytest.mark.parametrize("make", [classifier, regressor])
def test_gaps_in_several_columns_are_counted_by_name(make):
    table = pd.DataFrame(GAPS)
    X_of_4 = np.arange(8.0).reshape(4, 2)
    for bad, named in (
        (table, ("'u'", "'w'")),
        (table.convert_dtypes(), ("'u'", "'w'")),
        (pl.DataFrame(table, nan_to_null=True), ("'u'", "'w'")),
        (table.to_numpy(), (0, 2)),
        (table.to_numpy().tolist(), (0, 2)),
        (scipy.sparse.csr_matrix(table), (0, 2)),
    ):
        with pytest.raises(ValueError, match=IN_COLUMNS.format(*named)):
            make().fit(X_of_4, bad)


@pytest.mark.parametrize(
    "bad",
    [
        ["a", float("nan"), "b", "a"],
        ["a", None, "b", "a"],
        np.array(["2020-01-01", "NaT", "2020-01-02", "2020-01-01"], "M8[D]"),
        pd.Series(["a", pd.NaT, "b", "a"]),
        pl.Series(["a", None, "b", "a"]),
    ],
    ids=repr,
)
def test_a_gap_is_no_class(bad):
    with pytest.raises(ValueError, match=r"y contains NaN or missing values in 1 of 4 rows"):
        classifier().fit(np.arange(8.0).reshape(4, 2), bad)


def test_classes_are_no_target_of_a_regressor():
    X_of_4, words = np.arange(8.0).reshape(4, 2), ["1", "b", "1", "b"]
    for bad in (words, np.array(words), pd.Series(words), pd.Series(words, dtype="category")):
        with pytest.raises(ValueError, match=r"for y, got 'b'\. .*ScratchMLPClassifier"):
            regressor().fit(X_of_4, bad)
    with pytest.raises(ValueError, match="got 'b' in column 'q'"):
        regressor().fit(X_of_4, pd.DataFrame({"p": [1, 2, 3, 4], "q": words}))
    regressor().fit(X_of_4, ["1", "2", "3.5", "4"])


@LONG
def test_targets_and_weights_beyond_float64():
    X, target = diabetes()
    for large in (np.longdouble("1e400"), HUGE):
        with pytest.raises(ValueError, match=r"y contains (infinity|integers too large)"):
            regressor().fit(X, np.array([large] * len(target)))
        with pytest.raises(ValueError, match=r"sample_weight contains (infinity|integers too)"):
            regressor().fit(X, target, [large] * len(target))


def test_weights_with_gaps():
    X, target = diabetes()
    for gap in (None, pd.NA, np.nan):
        with pytest.raises(ValueError, match="sample_weight contains NaN"):
            regressor().fit(X, target, [gap] * len(target))


def test_other_errors_stay_what_they_are():
    with pytest.raises(ValueError, match="contains NaN"):
        classifier().fit(pd.DataFrame({"age": [np.nan, *AGE[1:]]}), y)
    with pytest.raises(TypeError, match="must be a string or a real number, not 'dict'"):
        classifier().fit([[{}], [1], [2], [3]], y)
