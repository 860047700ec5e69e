"""Validation of input: X and y as numbers, and sample weights."""

import sys
from collections.abc import Callable
from datetime import date, timedelta
from numbers import Integral, Number
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_regressor
from sklearn.utils import assert_all_finite, check_array, check_consistent_length
from sklearn.utils.validation import validate_data

_NAMED_AT_MOST = 5


class Data(NamedTuple):
    """The rows of a call: inputs, targets and weights as numbers."""

    X: Any
    y: np.ndarray
    sample_weight: np.ndarray | None


def check_data(
    estimator: Any, X: Any, y: Any, sample_weight: Any, clean: Callable[[Any], Any], reset: bool
) -> Data:
    """Check the arguments of a call, and bring them into their plain form.

    Parameters
    ----------
    estimator : BaseScratchMLP
        The estimator, whose feature names and number are set, or compared with.
    X, y, sample_weight : array-like
        The arguments.
    clean : callable
        Brings a y without gaps into the estimator's plain form, or raises.
    reset : bool
        Whether the features are set.

    Returns
    -------
    data : Data
        The rows, X an array or a CSR matrix.
    """
    check_layout(X, estimator.numerical_embedding)
    given, numeric = y, is_regressor(estimator)
    if isinstance(y, list | tuple) and any(isinstance(label, str) for label in y):
        check_target(y, numeric)  # in an array of text, NaN would be a word
    try:
        X, y = validate_numbers(estimator, X, y, reset=reset, multi_output=True, y_numeric=numeric)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X)
        y = clean(y)
    except (ValueError, TypeError):
        check_target(given, numeric)  # where, and what to do
        raise
    return Data(X.tocsr() if issparse(X) else X, y, sample_weight)


def check_layout(X: Any, embedding: Any) -> None:
    """Refuse sparse X with an embedding."""
    if embedding is not None and issparse(X):
        raise TypeError(
            f"numerical_embedding={embedding!r} does not go with sparse X, which would become "
            "dense and several times as wide. Pass X.toarray(), or set numerical_embedding=None."
        )


def validate_numbers(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:
    """Check X, and y if given, as `sklearn.utils.validation.validate_data` does.

    Where X has text or dates in it, the error says in which columns, and what to do about it. What
    holds no values yet, or has a mask over some, is refused.

    Parameters
    ----------
    estimator : BaseScratchMLP
        The estimator, whose feature names and number are set, or compared with.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The inputs.
    *y : array-like
        The targets, or nothing.
    **options
        Further arguments of ``validate_data``.

    Returns
    -------
    X : {ndarray, sparse CSR or CSC matrix} of shape (n_samples, n_features)
        The inputs in a numeric dtype.
    y : ndarray
        The targets, if given.

    Raises
    ------
    ValueError, TypeError
        If X or y is not what the estimator takes.
    """
    given = dict(zip(("X", "y"), (X, *y), strict=False))
    for name, values in given.items():
        check_container(name, values)
    try:
        if _has_temporal_columns(X):
            raise TypeError("X has columns of dates or times.")
        checked = validate_data(
            estimator, X, *y, accept_sparse=["csr", "csc"], dtype="numeric", **options
        )
        numbers = checked[0] if y else checked
        if numbers.dtype.kind in "mM":
            raise TypeError(f"X has the dtype {numbers.dtype}.")
        if numbers.dtype.kind == "O":  # that of lists and polars' frames is still there
            numbers = numbers.astype(np.float64)
            assert_all_finite(numbers, estimator_name=type(estimator).__name__, input_name="X")
        _check_range(numbers)
        return (numbers, *checked[1:]) if y else numbers
    except (ValueError, TypeError, OverflowError) as error:
        others = _columns_of_others(X)
        if not others:
            for name, values in given.items():
                check_objects(name, values)
            raise
        shown = others[:_NAMED_AT_MOST]
        named = ", ".join(f"{name!r} (such as {value!r})" for name, value in shown)
        more = f" and {len(others) - len(shown)} more" if len(others) > len(shown) else ""
        raise ValueError(
            f"{type(estimator).__name__} takes numbers only, and X has other values in "
            f"column{'s' * (len(others) > 1)} {named}{more}. Turn them into numbers before; for "
            "categories, for example, in a pipeline with sklearn.compose.make_column_transformer("
            f"(OneHotEncoder(handle_unknown='ignore'), {[name for name, _ in shown]}), "
            "remainder='passthrough')."
        ) from error


def check_container(name: str, values: Any) -> None:
    """Refuse what would become other values than the caller means."""
    if hasattr(values, "collect") and not hasattr(values, "__array__"):
        raise TypeError(
            f"{name} is a {type(values).__name__}, which holds no values yet. Pass "
            f"{name}.collect()."
        )
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(
            f"{name} is a masked array, {np.ma.count_masked(values)} of whose {values.size} values "
            f"are masked. Fill them by {name}.filled, impute them, or leave them out."
        )


def _has_temporal_columns(X: Any) -> bool:
    # polars turns dates beside numbers into numbers, which no error tells of.
    schema: Any = getattr(X, "schema", None)
    return hasattr(schema, "dtypes") and any(dtype.is_temporal() for dtype in schema.dtypes())


def _is_frame(X: Any) -> bool:
    return hasattr(X, "columns") and hasattr(X, "dtypes")


def _check_range(X: Any) -> None:
    """Refuse numbers that are finite, and infinite in float64."""
    if X.dtype.itemsize <= np.dtype(np.float64).itemsize:
        return
    values = X.data if issparse(X) else X
    if max(-values.min(initial=0), values.max(initial=0)) > np.finfo(np.float64).max:
        raise ValueError(
            f"X contains values too large for float64, in the dtype {X.dtype}. Scale them down."
        )


def check_objects(name: str, values: Any) -> None:
    """Raise if there are objects among the values that stand for no number of float64."""
    array = _as_array(values)
    if array.dtype.kind != "O" or array.ndim == 0:
        return
    for value in array.ravel():
        if is_missing(value):
            by = ", for example by sklearn.impute.SimpleImputer," if name == "X" else ""
            raise ValueError(
                f"{name} contains NaN or missing values, such as {value!r}. Fill them{by} or leave "
                "their rows out."
            )
        if isinstance(value, Integral) and abs(int(value)) > sys.float_info.max:
            raise ValueError(
                f"{name} contains integers too large for float64, which ends at 1.8e+308."
            )


def check_target(y: Any, numeric: bool) -> None:
    """Raise if y has gaps, or text where it has to be numbers; the error says where.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The targets as the caller gave them.
    numeric : bool
        Whether they have to be numbers.
    """
    columns = _columns_of_target(y)
    counts = [(name, sum(map(is_missing, values))) for name, values in columns]
    n_rows = len(columns[0][1]) if columns else 0
    gaps = [f"{name!r} ({count} of {n_rows} rows)" for name, count in counts if count]
    if gaps and len(columns) == 1:
        raise ValueError(
            f"y contains NaN or missing values in {counts[0][1]} of {n_rows} rows. Leave these "
            "rows out."
        )
    if gaps:
        more = f" and {len(gaps) - _NAMED_AT_MOST} more" if len(gaps) > _NAMED_AT_MOST else ""
        raise ValueError(
            f"y contains NaN or missing values in column{'s' * (len(gaps) > 1)} "
            f"{', '.join(gaps[:_NAMED_AT_MOST])}{more}. Leave these rows out, or fit an estimator "
            "for each column, on the rows where it has a value."
        )
    for name, values in columns if numeric else ():
        text = next((v for v in values if isinstance(v, str | bytes) and _is_no_number(v)), None)
        if text is not None:
            place = f" in column {name!r}" if len(columns) > 1 else ""
            raise ValueError(
                f"ScratchMLPRegressor takes numbers for y, got {text!r}{place}. If these are "
                "classes, take ScratchMLPClassifier."
            )


def _columns_of_target(y: Any) -> list[tuple[Any, np.ndarray]]:
    """List the names of y's columns and their values as objects; none if y is no table."""
    if hasattr(y, "__array__") and _is_frame(y):
        return [(name, np.asarray(y[name], object).ravel()) for name in y.columns]
    array = _as_array(y.toarray() if issparse(y) else y)
    if array.ndim not in (1, 2) or not array.size:
        return []
    # In a list beside text, NaN is still NaN.
    array = np.asarray(y, object) if isinstance(y, list | tuple) else array.astype(object)
    return list(enumerate(array.reshape(len(array), -1).T))


def is_missing(value: Any) -> bool:
    """Say whether a value is None, NaN, or pandas' NA or NaT."""
    if isinstance(value, Number):
        return bool(value != value)
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _as_array(values: Any) -> np.ndarray:
    try:
        return np.asarray(values)
    except (ValueError, TypeError):  # rows of several lengths, columns of dates beside numbers
        return np.empty(0)


def _columns_of_others(X: Any) -> list[tuple[Any, Any]]:
    """List the columns that hold something else than numbers, each with the first such value."""
    if _is_frame(X):
        columns = [(name, np.asarray(X[name], object).ravel()) for name in X.columns]
    else:
        array = _as_array(X)
        if array.ndim != 2 or array.dtype.kind not in "OUSmM":
            return []
        columns = list(enumerate(array.astype(object).T))
    found = []
    for name, values in columns:
        value = next((value for value in values if _is_no_number(value)), None)
        if value is not None:
            found.append((name, value))
    return found


def _is_no_number(value: Any) -> bool:
    if isinstance(value, date | timedelta | np.datetime64 | np.timedelta64 | np.ndarray):
        return True
    # Of a dict scikit-learn's checks of estimators expect the TypeError that float raises.
    if isinstance(value, Number | dict) or is_missing(value):
        return False
    try:
        float(value)
    except (ValueError, TypeError):
        return True
    return False


def check_sample_weight(sample_weight: Any, X: Any) -> np.ndarray:
    """Return sample weights as an array of shape (n_samples,), or raise if they are none."""
    if isinstance(sample_weight, Number):
        sample_weight = np.full(X.shape[0], sample_weight)
    check_container("sample_weight", sample_weight)
    try:
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            sample_weight = check_array(
                sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
            )
    except (TypeError, OverflowError):
        check_objects("sample_weight", sample_weight)
        raise
    if sample_weight.ndim != 1:
        raise ValueError(
            f"sample_weight must have one value per row, got an array of {sample_weight.ndim} axes."
        )
    check_consistent_length(X, sample_weight)
    if np.any(sample_weight < 0):
        raise ValueError(
            f"sample_weight must not be negative, got a smallest weight of {sample_weight.min():g}"
            ". Give rows that should not count a weight of 0."
        )
    with np.errstate(over="ignore"):
        if not np.isfinite(sample_weight.sum()):
            raise ValueError(
                "sample_weight must have a finite sum, got a largest weight of "
                f"{sample_weight.max():.2g}. Divide the weights by it."
            )
    if not np.any(sample_weight):
        raise ValueError("sample_weight must not be zero everywhere.")
    return sample_weight


def is_memory_mapped(X: Any) -> bool:
    """Say whether X is a memory map, or a view of one."""
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap):
            return True
        X = X.base
    return False
