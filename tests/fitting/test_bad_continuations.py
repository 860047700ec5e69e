"""Going on with something else gets an error that says what cannot change, and changes nothing."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import is_classifier

from skscratch import LBFGS

from ..conftest import BOTH, classifier, diabetes, iris, multilabel, regressor
from .checks import BAD_DATA, assert_fails_without_trace

NAN = float("nan")


@pytest.mark.parametrize(("make", "data"), BOTH)
@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
@pytest.mark.parametrize("name", BAD_DATA)
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_bad_data_for_a_continued_training(make, data, fitted, name, method):
    X, y = data()
    change, _ = BAD_DATA[name]
    estimator = make(max_iter=1, warm_start=True)
    classes = {}
    if is_classifier(estimator) and method == "partial_fit":
        classes = {"classes": np.unique(y)}
    if fitted:
        getattr(estimator, method)(X, y, **classes)
    bad = dict(zip(("X", "y", "sample_weight"), change(X, y), strict=False))
    # The message may be another one here: what does not fit in may do so in several ways.
    assert_fails_without_trace(
        estimator, X, lambda est: getattr(est, method)(**bad, **classes), ValueError, []
    )


# (what partial_fit gets after a call with iris in three classes, what the message has to match)
BAD_CONTINUATIONS = {
    "other classes": (lambda X, y: (X, y, [0, 1, 3]), "classes=.*not the same"),
    "fewer classes": (lambda X, y: (X, y, [0, 1]), "classes=.*not the same"),
    "unseen class": (lambda X, y: (X, y + 1), r"\[3\].*known classes \[0, 1, 2\]"),
    "other features": (lambda X, y: (X[:, :3], y), "X has 3 features.*expecting 4"),
    "labels instead of classes": (
        lambda X, y: (X, np.eye(3, dtype=int)[y]),
        r"shape \(150, 3\).*learned",
    ),
}


@pytest.mark.parametrize(
    ("name", "method"),
    [
        (name, method)
        for name in BAD_CONTINUATIONS
        for method in ("partial_fit", "fit")
        if method == "partial_fit" or "er classes" not in name  # fit takes no classes
    ],
)
def test_continuing_a_classifier_with_something_else(name, method):
    X, y = iris()
    estimator = classifier(max_iter=1, warm_start=True).fit(X, y)
    change, pattern = BAD_CONTINUATIONS[name]
    bad = change(X, y)
    assert_fails_without_trace(
        estimator, X, lambda est: getattr(est, method)(*bad), ValueError, [pattern]
    )


@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_continuing_with_another_number_of_labels(method):
    X, Y = multilabel()
    estimator = classifier(max_iter=1, warm_start=True).fit(X, Y)
    for bad in (Y[:, :2], Y[:, 0]):
        assert_fails_without_trace(
            estimator,
            X,
            lambda est, bad=bad: getattr(est, method)(X, bad),
            ValueError,
            [rf"y has the shape {re.escape(str(bad.shape))}", "learned"],
        )


@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_continuing_with_another_number_of_outputs(method):
    X, y = diabetes()
    estimator = regressor(max_iter=1, warm_start=True).fit(X, np.column_stack([y, y]))
    assert_fails_without_trace(
        estimator,
        X,
        lambda est: getattr(est, method)(X, y),
        ValueError,
        ["y has 1 output", "learned from 2"],
    )


def test_partial_fit_without_classes_in_the_first_call():
    X, y = iris()
    assert_fails_without_trace(
        classifier(), X, lambda est: est.partial_fit(X, y), ValueError, ["classes must be passed"]
    )


# (classes, what the message has to match)
BAD_CLASS_LISTS = [
    ([0, 1, 2, NAN], r"must not have missing values, got \[0, 1, 2, nan\]"),
    (np.array([0, 1, 2, NAN]), "must not have missing values"),
    ([0, 1, None], r"must not have missing values, got \[0, 1, None\]"),
    (["a", "b", None], "must not have missing values"),
    ([0, 1, 2, pd.NA], "must not have missing values"),
    (pd.Series(["a", "b", pd.NA], dtype="string"), "must not have missing values"),
    ({0, 1, 2}, r"a list or an array of one axis.*got \{0, 1, 2\}"),
    ({0: 1, 1: 2, 2: 3}, "a list or an array of one axis"),
    (3, "a list or an array of one axis.*got 3"),
    ("012", "a list or an array of one axis.*got '012'"),
    ([[0, 1, 2]], r"a list or an array of one axis.*got \[\[0, 1, 2\]\]"),
    ([[0], [1, 2]], "a list or an array of one axis"),
    ([], r"a list or an array of one axis.*got \[\]"),
    ([0, 1, "2"], r"of one type that can be sorted.*types int, str: \[0, 1, '2'\]"),
    (np.ma.masked_array([0, 1, 2, 3], [0, 0, 0, 1]), "a masked array, 1 of whose 4 values"),
]


@pytest.mark.parametrize("case", BAD_CLASS_LISTS, ids=lambda case: repr(case[0]))
@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
def test_bad_classes_of_partial_fit(case, fitted):
    classes, pattern = case
    X, y = iris()
    estimator = classifier(max_iter=1)
    if fitted:
        estimator.fit(X, y)
    assert_fails_without_trace(
        estimator,
        X,
        lambda est: est.partial_fit(X, y, classes=classes),
        ValueError,
        [f"classes .*{pattern}"],
    )


def test_partial_fit_with_a_class_that_is_not_in_classes():
    X, y = iris()
    assert_fails_without_trace(
        classifier(),
        X,
        lambda est: est.partial_fit(X, y, classes=[0, 1]),
        ValueError,
        [r"\[2\].*known classes \[0, 1\]"],
    )


@pytest.mark.parametrize(("make", "data"), BOTH)
@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
def test_partial_fit_with_early_stopping_warns_and_holds_nothing_out(make, data, fitted):
    X, y = data()
    estimator = make(max_iter=1)
    classes = {"classes": np.unique(y)} if is_classifier(estimator) else {}
    if fitted:
        estimator.fit(X, y)
    estimator.set_params(early_stopping=True)
    with pytest.warns(UserWarning, match="early_stopping=True has no effect in partial_fit"):
        estimator.partial_fit(X, y, **classes)
    assert estimator.t_ == len(X) * (1 + fitted)
    assert estimator.validation_scores_ is None


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("optimizer", ["lbfgs", LBFGS(memory=5)], ids=repr)
def test_partial_fit_is_hidden_with_lbfgs(make, optimizer):
    estimator = make(optimizer=optimizer)
    assert not hasattr(estimator, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit"):
        estimator.partial_fit(*diabetes())
    assert hasattr(make(optimizer="sgd"), "partial_fit")


# What cannot change while training continues: parameters, and what the message has to match.
FIXED = {
    "hidden_layer_sizes": ((8, 8), ["hidden_layer_sizes=", r"\(8, 8\)", "warm_start=False"]),
    "dtype": ("float32", ["dtype='float32'", "float64", "warm_start=False"]),
    "normalization": ("batch", ["normalization='batch' differs from the None", "warm_start=False"]),
}


@pytest.mark.parametrize(("make", "data"), BOTH)
@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_continuing_with_another_network(make, data, name, method):
    X, y = data()
    value, patterns = FIXED[name]
    estimator = make(max_iter=1, warm_start=True).fit(X, y).set_params(**{name: value})
    assert_fails_without_trace(
        estimator, X, lambda est: getattr(est, method)(X, y), ValueError, patterns
    )
