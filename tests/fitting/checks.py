"""What several test modules share: data split in two, a scorer, bad data and how they fail."""

import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError

from ..conftest import state


def parts(data):
    """Return X and y to train on, and X and y to validate on."""
    X, y = data()
    return X[::2], y[::2], X[1::2], y[1::2]


def after(make, epoch, *data, **params):
    """Fit for so many epochs, and keep the last weights whatever the validation data say."""
    return make(**{**params, "max_iter": epoch, "early_stopping": False}).fit(*data)


class Recording:
    """A scorer that writes down what it was called with, in a list of the test's."""

    def __init__(self, seen):
        self.seen = seen

    def __call__(self, estimator, X, y):
        self.seen.append((X.copy(), y.copy()))
        return 0.0

    def __deepcopy__(self, memo):
        return self  # cross-validation clones the estimator


def assert_same_scaler(one, other):
    assert_array_equal(one.center_, other.center_)
    assert_array_equal(one.scale_, other.scale_)
    assert_array_equal(one.shift_, other.shift_)


NAN, INF = float("nan"), float("inf")


def replaced(array, value, dtype=None):
    """Return a copy with one element replaced."""
    array = np.array(array, dtype=dtype)
    array[(3,) + (0,) * (array.ndim - 1)] = value
    return array


# (what becomes of X, y and sample_weight, error, what the message has to match)
BAD_DATA = {
    "X with NaN": (lambda X, y: (replaced(X, NAN), y), "X contains NaN"),
    "X with inf": (lambda X, y: (replaced(X, INF), y), "X contains infinity"),
    "sparse X with NaN": (
        lambda X, y: (scipy.sparse.csr_matrix(replaced(X, NAN)), y),
        "X contains NaN",
    ),
    "frame with NaN": (lambda X, y: (pd.DataFrame(replaced(X, NAN)), y), "X contains NaN"),
    "X of words": (lambda X, y: (np.full(X.shape, "word"), y), "takes numbers only"),
    "frame with words": (
        lambda X, y: (pd.DataFrame(X.astype(str)).replace("[0-9]", "w", regex=True), y),
        "takes numbers only",
    ),
    "X of one axis": (lambda X, y: (X[:, 0], y), "Expected 2D array, got 1D array"),
    "X of three axes": (lambda X, y: (X[:, :, None], y), "array with dim 3"),
    "complex X": (lambda X, y: (X * 1j, y), "Complex data not supported"),
    "X without rows": (lambda X, y: (X[:0], y[:0]), r"0 sample\(s\)"),
    "X without columns": (lambda X, y: (X[:, :0], y), r"0 feature\(s\)"),
    "y too short": (lambda X, y: (X, y[:-1]), r"inconsistent numbers of samples: \[150, 149\]"),
    "y missing": (lambda X, y: (X, None), "requires y to be passed"),
    "y with NaN": (lambda X, y: (X, replaced(y, NAN, float)), "y contains NaN"),
    "y with inf": (lambda X, y: (X, replaced(y, INF, float)), "y contains infinity"),
    "negative weight": (
        lambda X, y: (X, y, replaced(np.ones(len(y)), -2)),
        "sample_weight must not be negative, got a smallest weight of -2",
    ),
    "no weight": (lambda X, y: (X, y, np.zeros(len(y))), "sample_weight must not be zero"),
    "NaN weight": (lambda X, y: (X, y, replaced(np.ones(len(y)), NAN)), "sample_weight contains"),
    "infinite weight": (lambda X, y: (X, y, replaced(np.ones(len(y)), INF)), "sample_weight cont"),
    "weights too short": (
        lambda X, y: (X, y, np.ones(len(y) - 1)),
        r"inconsistent numbers of samples: \[150, 149\]",
    ),
    "weights in two columns": (
        lambda X, y: (X, y, np.ones((len(y), 2))),
        "sample_weight must have one value per row",
    ),
    "weights of words": (lambda X, y: (X, y, ["word"] * len(y)), "could not convert string"),
    "weights too large": (
        lambda X, y: (X, y, np.full(len(y), 1e308)),
        r"sample_weight must have a finite sum, got a largest weight of 1e\+308",
    ),
    "complex weights": (lambda X, y: (X, y, np.full(len(y), 1j)), "Complex data not supported"),
    "dates in X": (
        lambda X, y: (X.astype(int).astype("M8[D]"), y),
        r"takes numbers only.*columns 0 \(such as datetime",
    ),
    "X missing": (lambda X, y: (None, y), "Expected 2D array, got scalar array"),
    "rows of several lengths": (lambda X, y: ([[1.0], *X.tolist()[1:]], y), "inhomogeneous shape"),
    "y without columns": (lambda X, y: (X, np.zeros((len(y), 0))), r"0 feature\(s\)"),
}


def assert_matches(caught, patterns):
    for pattern in patterns:
        assert re.search(pattern, str(caught.value), re.DOTALL), pattern


def assert_fails_without_trace(estimator, X, call, error, patterns):
    """Call and catch the error; the estimator is as it was, fitted or not."""
    was_fitted = hasattr(estimator, "network_")
    before = state(estimator)
    predicted = estimator.predict(X) if was_fitted else None
    with pytest.raises(error) as caught:
        call(estimator)
    assert_matches(caught, patterns)
    assert state(estimator) == before
    if was_fitted:
        np.testing.assert_array_equal(estimator.predict(X), predicted)
    else:
        with pytest.raises(NotFittedError):
            estimator.predict(X)
