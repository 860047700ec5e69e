"""What X may hold, and what the error says where it holds something else."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from .conftest import classifier

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


def test_other_errors_stay_what_they_are():
    with pytest.raises(ValueError, match="contains NaN"):
        classifier().fit(pd.DataFrame({"age": [np.nan, *AGE[1:]]}), y)
    with pytest.raises(TypeError, match="must be a string or a real number, not 'dict'"):
        classifier().fit([[{}], [1], [2], [3]], y)
