"""Validation data far outside what was trained on give rise to a warning."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.preprocessing import StandardScaler

from skscratch._fitting.ranges import out_of_range_columns

from ..conftest import BOTH, classifier
from .checks import parts

both = pytest.mark.parametrize(("make", "data"), BOTH)


def splits_of(X, n_splits=20):
    """Yield training and validation rows of random splits."""
    for seed in range(n_splits):
        order = np.random.default_rng(seed).permutation(len(X))
        yield X[order[len(X) // 5 :]], X[order[: len(X) // 5]]


@pytest.mark.parametrize(
    ("load", "least"), [(load_breast_cancer, 8), (load_wine, 4), (load_iris, 1), (load_diabetes, 8)]
)
@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
def test_raw_rows_are_out_of_range_of_standardized_ones(load, least, form):
    X = load().data
    for train, val in splits_of(X):
        assert len(out_of_range_columns(form(train), form(val))) == 0
        scaler = StandardScaler().fit(train)
        assert len(out_of_range_columns(form(scaler.transform(train)), form(val))) >= least
        assert len(out_of_range_columns(form(train), form(scaler.transform(val))))


def test_few_rows_are_not_judged():
    X = np.random.default_rng(0).normal(size=(50, 2))
    assert len(out_of_range_columns(X, X[:9] + 100)) == 0
    assert len(out_of_range_columns(X, X[:10] + 100)) == 2
    assert len(out_of_range_columns(X[:19], X + 100)) == 0
    assert len(out_of_range_columns(X[:20], X + 100)) == 2


@pytest.mark.parametrize("factor", [100, -100])
def test_a_column_in_another_unit_is_out_of_range(factor):
    X = np.random.default_rng(0).normal(size=(200, 5))
    for train, val in splits_of(X):
        val[:, 3] *= factor
        assert out_of_range_columns(train, val).tolist() == [3]


HONEST = {
    "normal": lambda rng, n: rng.normal(size=(n, 20)),
    "Cauchy": lambda rng, n: rng.standard_cauchy((n, 20)),
    "Pareto": lambda rng, n: rng.pareto(0.5, (n, 20)),
    "zero-inflated": lambda rng, n: (
        (rng.random((n, 20)) < 0.2) * np.exp(2 * rng.normal(size=(n, 20)))
    ),
    "indicators": lambda rng, n: (rng.random((n, 100)) < 0.05) * 1.0,
    "constant": lambda rng, n: np.full((n, 2), 7.0),
    "in order": lambda rng, n: np.arange(n)[:, np.newaxis] + np.zeros(3),
    "huge": lambda rng, n: rng.choice([-1.7e308, 0.0, 1.7e308], (n, 3)),
}


@pytest.mark.parametrize("n_rows", [1, 12, 30, 300])
@pytest.mark.parametrize("draw", HONEST.values(), ids=HONEST)
@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
def test_honest_splits_are_in_range(draw, n_rows, form):
    for seed in range(20):
        X = draw(np.random.default_rng(seed), n_rows + max(n_rows, 30))
        train, val = form(X[:-n_rows]), form(X[-n_rows:])
        assert len(out_of_range_columns(train, val)) == 0


def test_a_column_that_begins_to_vary_in_validation_is_in_range():
    X = np.zeros((100, 2))
    assert len(out_of_range_columns(X, X + np.array([5, 0]))) == 0


@both
@pytest.mark.parametrize("scaling", [None, "robust"])
def test_a_warning_tells_of_what_is_out_of_range(make, data, scaling):
    X, y, X_val, y_val = parts(data)
    names = [f"feature {i}" for i in range(X.shape[1])]
    raw = X_val.copy()
    raw[:, 1] = 100 * raw[:, 1] + 400
    X, raw, X_val = (pd.DataFrame(part, columns=names) for part in (X, raw, X_val))
    estimator = make(feature_scaling=scaling, max_iter=1)
    with pytest.warns(UserWarning, match=r"in 1 of \d+ columns: column 'feature 1'") as caught:
        estimator.fit(X, y, X_val=raw, y_val=y_val)
    assert [warning.filename for warning in caught] == [__file__]
    estimator.fit(X, y, X_val=X_val, y_val=y_val)
    # A piece of a stream need not be like the others.
    stream = make(feature_scaling=scaling)
    given = {"classes": np.unique(y)} if make is classifier else {}
    stream.partial_fit(X, y, X_val=raw, y_val=y_val, **given)
    assert len(stream.history_["validation_loss"]) == 1
