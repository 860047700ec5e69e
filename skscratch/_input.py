"""Validation of input: X and y as numbers, and sample weights."""

from datetime import date, timedelta
from numbers import Number
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import validate_data

_NAMED_AT_MOST = 5


def validate_numbers(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:
    """Check X, and y if given, as `sklearn.utils.validation.validate_data` does.

    Where X has text or dates in it, the error says in which columns, and what to do about it.

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
    try:
        checked = validate_data(
            estimator, X, *y, accept_sparse=["csr", "csc"], dtype="numeric", **options
        )
        numbers = checked[0] if y else checked
        if numbers.dtype.kind in "mM":
            raise TypeError(f"X has the dtype {numbers.dtype}.")
        if numbers.dtype.kind == "O":  # that of lists and polars' frames is still there
            numbers = numbers.astype(np.float64)
        return (numbers, *checked[1:]) if y else numbers
    except (ValueError, TypeError) as error:
        others = _columns_of_others(X)
        if not others:
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


def _columns_of_others(X: Any) -> list[tuple[Any, Any]]:
    """List the columns that hold something else than numbers, each with the first such value."""
    if hasattr(X, "columns"):
        columns = [(name, np.asarray(X[name], object)) for name in X.columns]
    else:
        try:
            array = np.asarray(X)
        except ValueError:  # rows of several lengths
            return []
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
    if isinstance(value, date | timedelta | np.datetime64 | np.timedelta64):
        return True
    if not isinstance(value, str | bytes):
        return False
    try:
        float(value)
    except ValueError:
        return True
    return False


def check_sample_weight(sample_weight: Any, X: Any) -> np.ndarray:
    """Return sample weights as an array of shape (n_samples,), or raise if they are none."""
    if isinstance(sample_weight, Number):
        sample_weight = np.full(X.shape[0], sample_weight)
    sample_weight = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if sample_weight.ndim != 1:
        raise ValueError(
            f"sample_weight must have one value per row, got an array of {sample_weight.ndim} axes."
        )
    check_consistent_length(X, sample_weight)
    if np.any(sample_weight < 0):
        raise ValueError(
            f"sample_weight must not be negative, got a smallest weight of {sample_weight.min():g}."
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
