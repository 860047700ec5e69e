"""Properties that hold for any legal input, on cases that hypothesis makes up.

The default run takes the same few cases each time. A longer one draws new ones:
``FUZZ_MINUTES=15 pytest -m fuzz tests/promises/test_properties.py``.
"""

import copy
import os
import pickle
import random
import time
import warnings
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skscratch import LBFGS, SGD, Focal, Huber, Periodic, ScratchMLPClassifier, ScratchMLPRegressor
from skscratch.nn.activations import ACTIVATIONS
from skscratch.nn.initializers import INITIALIZERS
from skscratch.nn.optimizers import OPTIMIZERS
from skscratch.nn.schedules import SCHEDULES

from ..conftest import state

INF, NAN = float("inf"), float("nan")

# Each parameter's values, those that are refused after the bar.
SHARED = {
    "hidden_layer_sizes": [(), 3, (4,), (5, 3), (2, 2, 2, 2), [4, 4], "|", 0, (3, -1), 2.5, "8"],
    "activation": [*ACTIVATIONS, ["tanh"], "|", "rleu", None],
    "init": ["auto", *INITIALIZERS, "|", "zeros"],
    "optimizer": [*OPTIMIZERS, "lbfgs", SGD(momentum=0.5), LBFGS(memory=3), "|", "auto", 3],
    "l2": [0, 1e-4, 10.0, 1e10, "|", -1.0, NAN, "1"],
    "dropout": [0.0, 0.3, 0.9, [0.5], "|", 1.0, -0.1, None],
    "normalization": [None, "batch", "layer", "|", "bach"],
    "batch_size": ["auto", "full", None, 1, 2, 7, 1000, "|", 0, 2.5, "all"],
    "learning_rate": [1e-3, 0.1, 1e-12, 1e3, 1e30, "|", 0, -1, INF],
    "lr_schedule": [*SCHEDULES, "|", "cosin", "auto", None],
    "clip_norm": [None, 1.0, 1e-6, "|", 0, INF],
    "feature_scaling": ["robust", "learned", None, "|", "standard", "auto", True],
    "numerical_embedding": [
        None,
        None,
        "piecewise_linear",
        "periodic",
        Periodic(scale=0.1),
        "|",
        "ple",
    ],
    "max_iter": [1, 2, 5, 20, "|", 0, 2.0],
    "shuffle": [True, False, "|", "yes"],
    "random_state": [0, 7, 2**32 - 1, "|", -1, 2**32, np.random.default_rng(0), 0.5],
    "tol": [0.0, 1e-4, 1e9, "|", -1.0],
    "n_iter_no_change": [1, 10, INF, "|", 0, 1.5],
    "early_stopping": [True, False, "|", "auto"],
    "validation_fraction": [0.1, 0.5, 0.99, "|", 0, 1.0, "auto"],
    "scoring": [None, "loss", "|", "acuracy"],
    "n_networks": ["auto", 1, 2, 5, "|", 0, 2.5, "many"],
    "cv": [None, "|", 1, "five"],
    "warm_start": [False, True, "|", "no"],
    "dtype": ["auto", "float32", "float64", "|", "float16"],
}
OF_CLASSIFIER = {
    "loss": ["log_loss", "focal", Focal(gamma=1.0), "|", "squared_error"],
    "label_smoothing": [0.0, 0.1, 0.9, "|", 1.0],
    "class_weight": [None, "balanced", "|", "balance"],
    "calibrate": ["auto", True, False, "|", "yes"],
}
OF_REGRESSOR = {
    "loss": [
        "squared_error",
        "absolute_error",
        "huber",
        "poisson",
        "gamma",
        "quantile",
        Huber(delta=0.1),
        "|",
        "log_loss",
    ],
    "standardize_target": [True, False, "|", None],
}
TARGETS = ["binary", "classes", "labels", "number", "numbers"]
CONTENTS = ["normal", "integer", "boolean", "huge", "tiny", "mixed scales", "constant", "offset"]
UNITS = [1.0, 1.0, 1.0, 1e30, 1e-30, 1e100]
DTYPES = ["float64", "float32", "float16", "int8", "uint16", "int64", "bool", "object"]


@dataclass
class Case:
    """An estimator, data for it, and what is asked of the parameters."""

    estimator: Any
    X: np.ndarray
    y: Any
    sample_weight: np.ndarray | None
    changed: dict[str, Any]

    def __repr__(self) -> str:
        # What hypothesis prints has to be enough to look into a failure.
        return (
            f"Case({type(self.estimator).__name__}, {self.changed}, X={self.X.dtype}"
            f"{self.X.tolist()}, y={np.asarray(self.y).tolist()}, weights={self.sample_weight})"
        )


@st.composite
def cases(draw, legal=False, targets=TARGETS, fixed=None, contents=CONTENTS, may_be_long=True):
    target = draw(st.sampled_from(targets))
    is_classifier = target in ("binary", "classes", "labels")
    table = SHARED | (OF_CLASSIFIER if is_classifier else OF_REGRESSOR)
    for name in fixed or {}:
        table.pop(name, None)
    # Few things at a time are out of the ordinary, or nearly every case would be refused.
    names = draw(st.lists(st.sampled_from(sorted(table)), max_size=6, unique=True))
    has_bad = not legal and draw(st.integers(0, 3)) == 0
    changed = dict(fixed or {})
    for name in names:
        bar = table[name].index("|")
        choices = table[name][:bar] + (table[name][bar + 1 :] if has_bad else [])
        changed[name] = copy.deepcopy(draw(st.sampled_from(choices)))
    small = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
    make = ScratchMLPClassifier if is_classifier else ScratchMLPRegressor
    n_rows = draw(st.integers(2 if is_classifier else 1, 40))
    if may_be_long and draw(st.integers(0, 11)) == 0:
        n_rows = draw(st.sampled_from([299, 300, 301, 999, 1000, 1001]))  # where automatics change
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    X = _inputs(
        rng,
        n_rows,
        draw(st.integers(1, 5)),
        draw(st.sampled_from(contents)),
        draw(st.sampled_from(DTYPES)),
    )
    y = _targets(rng, n_rows, target, draw(st.integers(0, 2)))
    if not is_classifier and contents is CONTENTS:
        y = y * draw(st.sampled_from(UNITS))
    weights = draw(st.sampled_from([None, None, "integers", "reals"]))
    if weights == "integers":
        weights = 1.0 + rng.integers(0, 3, n_rows)
    elif weights == "reals":
        weights = rng.uniform(0.01, 3, n_rows)
    return Case(make(**{**small, **changed}), X, y, weights, changed)


def _inputs(rng, n_rows, n_features, content, dtype):
    X = rng.normal(size=(n_rows, n_features))
    if content == "integer":
        X = np.round(2 * X)
    elif content == "boolean":
        X = (X > 0).astype(float)
    elif content == "huge":
        X *= 1e30
    elif content == "tiny":
        X *= 1e-30
    elif content == "mixed scales":
        X *= 10.0 ** rng.integers(-30, 31, n_features)
    elif content == "constant":
        X[:, 0] = X[0, 0]
    elif content == "offset":
        X += 1e6
    kind = np.dtype(dtype).kind
    if kind == "b":
        return np.median(X) < X
    if kind in "iu":  # what an integer cannot hold becomes its largest
        info = np.iinfo(dtype)
        return np.clip(np.round(X), max(info.min, -(2**40)), min(info.max, 2**40)).astype(dtype)
    if dtype == "float16":
        return np.clip(X, -6e4, 6e4).astype(dtype)
    return X.astype(dtype)


def _targets(rng, n_rows, target, form):
    if target == "number":
        # Where a loss needs them positive, a third of the targets are.
        y = rng.normal(size=n_rows)
        return [y, np.exp(y), np.round(3 * y).astype(int)][form]
    if target == "numbers":
        return rng.normal(size=(n_rows, 1 + form)) + (form == 2)
    if target == "labels":
        Y = rng.integers(0, 2, (n_rows, 2 + form))
        return scipy.sparse.csr_matrix(Y) if form == 2 else Y
    n_classes = 2 if target == "binary" else min(n_rows, 3 + form)
    y = np.arange(n_rows) % n_classes
    rng.shuffle(y)
    if form == 1:
        return np.array([f"class {k}" for k in range(n_classes)])[y]
    return y > 0 if form == 2 and target == "binary" else 3 * y - 2


def fit(case, estimator=None, X=None):
    """Fit, any warning being an error that is not about convergence."""
    estimator = case.estimator if estimator is None else estimator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # y may come as (n, 1), which is taken with scikit-learn's warning.
        warnings.filterwarnings("ignore", "A column-vector y was passed")
        warnings.filterwarnings("ignore", "R.2 score is not well-defined")
        return estimator.fit(case.X if X is None else X, case.y, case.sample_weight)


def fitted(case):
    """Return the fitted estimator, or None where training has come to no end."""
    try:
        return fit(case)
    except (ValueError, TypeError) as error:
        assert_explained(error, case)
        return None


def assert_explained(error, case):
    """The message names a parameter that was set, or what is wrong with the data."""
    message = str(error)
    words = [*case.changed, "Training diverged", "loss"]
    if "random_state" in case.changed:
        words.append("seed")
    assert any(word in message for word in words), message
    assert len(message) > 20


def outputs(estimator, X):
    names = ("predict", "predict_proba", "predict_log_proba", "decision_function")
    return {name: getattr(estimator, name)(X) for name in names if hasattr(estimator, name)}


def numbers(estimator, X):
    """Return a continuous prediction."""
    return (
        estimator.decision_function(X) if hasattr(estimator, "classes_") else estimator.predict(X)
    )


def tolerance(estimator):
    """Rounding of sums in another order, relative to the largest number."""
    return 1e-3 if estimator.network_.dtype == np.float32 else 1e-9


def assert_close(actual, expected, estimator):
    expected = np.asarray(expected)
    # A sum's rounding is that of its terms, which may be larger than the sum.
    terms = max(np.abs(layer.b).max() for layer in estimator.network_.dense)
    scale = max(np.abs(expected).max(), terms)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance(estimator) * scale)


# The properties -------------------------------------------------------------------------------


def trains_or_explains(case):
    before = state(case.estimator)
    estimator = fitted(case)
    if estimator is None:
        assert state(case.estimator) == before
        return
    n_rows = len(case.X)
    for name, output in outputs(estimator, case.X).items():
        assert len(output) == n_rows
        if name == "predict_log_proba":
            assert not np.isnan(output).any()
            assert (output <= 0).all()
        elif output.dtype.kind == "f":
            assert np.isfinite(output).all(), name
            assert output.dtype == np.float64
    if not hasattr(estimator, "classes_"):
        y = np.asarray(case.y)
        assert estimator.predict(case.X).shape == (y if y.shape[1:] != (1,) else y[:, 0]).shape
    else:
        P = estimator.predict_proba(case.X)
        assert P.shape == (n_rows, len(estimator.classes_))
        assert (P >= 0).all()
        assert (P <= 1).all()
        if not scipy.sparse.issparse(case.y) and case.y.ndim == 1:
            np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-12)
            assert set(estimator.predict(case.X)) <= set(case.y)
            assert estimator.predict(case.X).dtype == case.y.dtype
    history = estimator.history_
    assert {len(column) for column in history.values()} == {len(history["epoch"])}
    assert np.isfinite(history["loss"]).all()
    most = estimator.get_params()["max_iter"]
    if not hasattr(estimator, "partial_fit"):  # L-BFGS trains one network after the other
        most *= estimator.plan_.n_networks
    assert 1 <= estimator.n_iter_ <= most
    assert all(np.isfinite(vector).all() for vector in estimator.network_.snapshot())


def layout_does_not_matter(case):
    estimator = fitted(case)
    if estimator is None:
        return
    X, expected = case.X, outputs(estimator, case.X)
    strided = np.zeros((2 * len(X), 3 * X.shape[1]), X.dtype)
    strided[::2, ::3] = X
    read_only = X.copy()
    read_only.flags.writeable = False
    others = [np.asfortranarray(X), strided[::2, ::3], X[::-1].copy()[::-1], read_only]
    others.append(pickle.loads(pickle.dumps(X)))
    if X.dtype.kind in "fiub" and X.dtype != np.float16:
        others += [pl.DataFrame(X, schema=[f"c{k}" for k in range(X.shape[1])]), X.tolist()]
    for other in others:
        again = clone(case.estimator)
        if not isinstance(other, np.ndarray) and X.dtype == np.float32:
            continue  # lists are of float64
        fit(case, again, other)
        for vector, wanted in zip(
            again.network_.snapshot(), estimator.network_.snapshot(), strict=True
        ):
            np.testing.assert_array_equal(vector, wanted)
        if again.get_params()["feature_scaling"] is not None:
            for name, output in outputs(again, other).items():
                np.testing.assert_array_equal(output, expected[name])
        assert_close(numbers(again, other), numbers(estimator, X), estimator)


def sparse_equals_dense(case):
    if case.X.dtype.kind not in "fiu" or case.X.dtype == np.float16:
        return
    estimator = fitted(case)
    if estimator is None or estimator.numerical_embedding is not None:
        return
    make = random.Random(len(case.X)).choice(
        [scipy.sparse.csr_matrix, scipy.sparse.csc_matrix, scipy.sparse.csr_array]
    )
    S = make(case.X)
    again = fit(case, clone(case.estimator), S)
    if estimator.network_.dtype == np.float64:
        # Training makes more of rounding than prediction does.
        np.testing.assert_allclose(
            numbers(again, S),
            numbers(estimator, case.X),
            rtol=1e-4,
            atol=1e-6 * np.abs(numbers(estimator, case.X)).max(),
        )
    assert_close(numbers(estimator, S), numbers(estimator, case.X), estimator)


def rows_are_predicted_one_by_one(case):
    estimator = fitted(case)
    if estimator is None:
        return
    expected = numbers(estimator, case.X)
    cuts = sorted({0, len(case.X), *np.random.default_rng(0).integers(0, len(case.X), 3).tolist()})
    parts = [numbers(estimator, case.X[start:stop]) for start, stop in pairwise(cuts)]
    assert_close(np.concatenate(parts), expected, estimator)
    many = np.vstack([case.X] * (1 + 300 // len(case.X)))
    assert_close(numbers(estimator, many)[: len(case.X)], expected, estimator)


def storage_does_not_matter(case):
    estimator = fitted(case)
    if estimator is None:
        return
    others = [pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator)]
    for name, output in outputs(estimator, case.X).items():
        for other in others:
            np.testing.assert_array_equal(getattr(other, name)(case.X), output)
    if not hasattr(estimator, "partial_fit"):
        return
    # A pickle has the optimizer's moments where training is likely to go on.
    others = others if estimator.warm_start else others[1:]
    first = trained_on(estimator, case)
    for other in others:
        np.testing.assert_array_equal(trained_on(other, case), first)
    others = [pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator)]
    second = trained_on(estimator, case)
    if not isinstance(first, str):
        for other in others:
            np.testing.assert_array_equal(trained_on(other, case), second)


def trained_on(estimator, case):
    """Return the parameters after one more epoch, or the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return estimator.partial_fit(case.X, case.y).network_.snapshot()[0]
        except ValueError as error:  # class_weight, divergence, ...
            return str(error)


def column_order_matters(case):
    names = [f"x{k}" for k in range(case.X.shape[1])]
    frame = pd.DataFrame(case.X, columns=names)
    try:
        fit(case, X=frame)
    except (ValueError, TypeError) as error:
        assert_explained(error, case)
        return
    assert case.estimator.feature_names_in_.tolist() == names
    assert len(case.estimator.predict(frame)) == len(frame)
    if len(names) > 1:
        with pytest.raises(ValueError, match="feature names should match"):
            case.estimator.predict(frame[names[::-1]])


def weights_count_rows(case):
    rng = np.random.default_rng(len(case.X))
    counts = rng.integers(0, 3, len(case.X))
    rows = np.repeat(np.arange(len(case.X)), counts)
    y = case.y.toarray() if scipy.sparse.issparse(case.y) else case.y
    if len(rows) == 0 or (y.ndim == 1 and len(set(y[rows])) < len(set(y))):
        return
    weighted = Case(case.estimator, case.X, y, counts.astype(float), case.changed)
    repeated = Case(clone(case.estimator), case.X[rows], y[rows], None, case.changed)
    first = fitted(weighted)
    if first is None:
        return
    second = fitted(repeated)
    assert second is not None
    expected = numbers(second, case.X)
    atol = 1e-6 * max(1e-3, np.abs(expected).max())
    np.testing.assert_allclose(numbers(first, case.X), expected, rtol=1e-6, atol=atol)


# Mini-batches, dropout and rows held out depend on which rows there are, and 10 steps make little
# of a rounding error where the rate is moderate.
FULL_BATCH = {
    "batch_size": "full",
    "dropout": 0.0,
    "early_stopping": False,
    "n_networks": 2,
    "calibrate": False,
    "dtype": "float64",
    "feature_scaling": "robust",
    "learning_rate": 0.01,
    "lr_schedule": "constant",
    "optimizer": "momentum",
    "init": "glorot_uniform",
    "normalization": None,
    "numerical_embedding": None,
    "l2": 1e-3,
    "clip_norm": None,
}


@st.composite
def full_batch_cases(draw):
    target = draw(st.sampled_from(TARGETS))
    fixed = dict(FULL_BATCH)
    if target in ("number", "numbers"):
        del fixed["calibrate"]
    contents = ["normal", "integer"]
    case = draw(cases(True, [target], fixed, contents, may_be_long=False))
    case.X = case.X.astype(float)
    return case


SHAPES = {
    "layout": (layout_does_not_matter, cases(legal=True), 25),
    "sparse": (
        sparse_equals_dense,
        cases(
            legal=True,
            contents=["normal", "integer"],
            # A row of medians is 0 to the first layer, from sparse X up to rounding, which would
            # decide on which side of a jump in the activation's derivative it lies.
            fixed={
                "activation": "tanh",
                "learning_rate": 0.01,
                "l2": 1e-4,
                "optimizer": "sgd",
                "dropout": 0.0,
            },
        ),
        25,
    ),
    "one by one": (rows_are_predicted_one_by_one, cases(legal=True), 40),
    "storage": (storage_does_not_matter, cases(legal=True), 40),
    "column order": (column_order_matters, cases(legal=True), 25),
    "weights": (weights_count_rows, full_batch_cases(), 40),
    "fit": (trains_or_explains, cases(), 250),
}
SLACK = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def check(name, n_cases, seed_of_run=None):
    """Try a property on cases, and return how many there were."""
    prop, strategy, _ = SHAPES[name]
    n_tried = 0

    @settings(
        max_examples=n_cases,
        deadline=None,
        database=None,
        derandomize=seed_of_run is None,
        suppress_health_check=SLACK,
        print_blob=False,
    )
    @given(strategy)
    def run(case):
        nonlocal n_tried
        n_tried += 1
        prop(case)

    if seed_of_run is not None:
        run = seed(seed_of_run)(run)
    run()
    return n_tried


@pytest.mark.parametrize("name", SHAPES)
def test_property(name):
    assert check(name, SHAPES[name][2]) > 10


@pytest.mark.fuzz
def test_fuzz(capsys):
    minutes, started = float(os.environ.get("FUZZ_MINUTES", 15)), time.monotonic()
    tried = dict.fromkeys(SHAPES, 0)
    start = seed_of_run = time.time_ns() % 10**9
    while time.monotonic() - started < 60 * minutes:
        for name in SHAPES:
            seed_of_run += 1
            try:
                tried[name] += check(name, 100, seed_of_run)
            except BaseException:
                with capsys.disabled():
                    print(f"\n{name} failed with seed {seed_of_run} after {tried}")
                raise
    with capsys.disabled():
        total = sum(tried.values())
        print(f"\n{total} cases tried in {minutes:g} minutes, seeds from {start}: {tried}")
