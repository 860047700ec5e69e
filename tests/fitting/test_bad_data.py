"""Bad data get an error that names what is wrong and the remedy, and change nothing."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.exceptions import NotFittedError

from ..conftest import BOTH, cancer, classifier, diabetes, iris, regressor, state
from .checks import BAD_DATA, assert_fails_without_trace, replaced

NAN = float("nan")

BAD_CLASSES = {
    "continuous": (lambda X, y: (X, y + 0.5), "Unknown label type: continuous"),
    "several columns of classes": (
        lambda X, y: (X, np.column_stack([y, 2 - y])),
        "multiclass-multioutput",
    ),
    "labels other than 0 and 1": (
        lambda X, y: (X, np.column_stack([y > 0, y > 1]) * 2),
        r"must hold 0 and 1 only, got the values \[0 2\]",
    ),
}

BAD_NUMBERS = {
    "y with too small a standard deviation": (
        lambda X, y: (X, (y > 100) * 5e-324),
        r"standard deviation of y, whose largest.*4\.9e-324, is beyond.*standardize_target=False",
    ),
    "y too far from its mean": (
        lambda X, y: (X, np.where(y < 300, 1.7e308, -1e308)),
        r"y, whose largest.*1\.7e\+308, is beyond the range of float64 when standardized",
    ),
    "y of words": (lambda X, y: (X, np.full(len(y), "word")), "numbers for y, got 'word'"),
    "y of three axes": (lambda X, y: (X, np.zeros((len(y), 2, 2))), "array with dim 3"),
}


def bad_data():
    for make, data, table in (
        (classifier, iris, BAD_DATA | BAD_CLASSES),
        (regressor, diabetes, BAD_DATA | BAD_NUMBERS),
    ):
        for name, case in table.items():
            yield pytest.param(make, data, *case, id=f"{make.__name__}-{name}")


# (labels of three classes, error, the types that the message has to name)
BAD_LABELS = [
    ([1, "a", "b"], ValueError, "int, str"),
    (["a", 1, "b"], TypeError, "int, str"),
    ([1, 2, 3], ValueError, "int"),
]

if tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 7):  # before, it only warned
    BAD_LABELS.append(([b"a", b"b", b"c"], TypeError, "bytes_"))


@pytest.mark.parametrize(("labels", "error", "types"), BAD_LABELS, ids=repr)
def test_labels_that_are_no_classes(labels, error, types):
    X, y = iris()
    bad = np.array(labels, None if isinstance(labels[0], bytes) else object)[y]
    patterns = [rf"y, of dtype \S+, holds values of the types {types}. Give labels of one type"]
    estimator = classifier(max_iter=1)
    assert_fails_without_trace(estimator, X, lambda est: est.fit(X, bad), error, patterns)


def test_dates_are_no_targets_of_a_regressor():
    X, y = diabetes()
    dates = y.astype(int).astype("M8[D]")
    estimator = regressor(max_iter=1)
    patterns = [r"y must hold numbers, got the dtype datetime64\[D\]"]
    assert_fails_without_trace(estimator, X, lambda est: est.fit(X, dates), TypeError, patterns)


@pytest.mark.parametrize(("make", "data", "change", "pattern"), bad_data())
@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
def test_bad_data(make, data, change, pattern, fitted):
    X, y = data()
    estimator = make(max_iter=1)
    if fitted:
        estimator.fit(X, y)
    bad = change(X, y)
    assert_fails_without_trace(estimator, X, lambda est: est.fit(*bad), ValueError, [pattern])


# A scalar weight counts for every row, as in scikit-learn.
@pytest.mark.parametrize(("weight", "pattern"), [(-1.0, "negative"), (0, "zero everywhere")])
def test_bad_scalar_weight(weight, pattern):
    with pytest.raises(ValueError, match=f"sample_weight must not be {pattern}"):
        regressor().fit(*diabetes(), sample_weight=weight)


def test_weights_that_leave_a_part_without_weight():
    X, y = diabetes()
    estimator = regressor(early_stopping=True)
    for weight in (replaced(np.zeros(len(y)), 1), replaced(np.zeros(len(y)), 3)):
        assert_fails_without_trace(
            estimator,
            X,
            lambda est, weight=weight: est.fit(X, y, weight),
            ValueError,
            ["sample_weight.* is zero in all", "more rows a weight"],
        )


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
def test_too_few_rows_for_a_validation_part(make, fitted):
    X, y = iris()
    few = [0, 60]
    estimator = make(max_iter=1)
    if fitted:
        estimator.fit(X, y)
    estimator.set_params(early_stopping=True, validation_fraction=0.5)
    assert_fails_without_trace(
        estimator,
        X,
        lambda est: est.fit(X[few], y[few]),
        ValueError,
        ["validation_fraction=0.5 of n_samples=2", "leaves", "early_stopping=False"],
    )


@pytest.mark.parametrize(("make", "data"), BOTH)
def test_using_an_unfitted_estimator(make, data):
    X, y = data()
    estimator = make()
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        if hasattr(estimator, name):
            with pytest.raises(NotFittedError):
                getattr(estimator, name)(X)
    with pytest.raises(NotFittedError):
        estimator.score(X, y)
    for name in ("coefs_", "loss_", "history_", "n_layers_", "t_", "best_loss_"):
        assert not hasattr(estimator, name)


PREDICTORS = ["predict", "predict_proba", "predict_log_proba", "decision_function"]


@pytest.mark.parametrize("method", PREDICTORS)
def test_predicting_from_bad_inputs(method):
    X, y = cancer()
    predict = getattr(classifier(max_iter=1).fit(X, y), method)
    for bad, pattern in [
        (X[:, :3], "X has 3 features.*expecting 6"),
        (X[:, 0], "Expected 2D array"),
        (replaced(X, NAN), "X contains NaN"),
    ]:
        with pytest.raises(ValueError, match=pattern):
            predict(bad)


@pytest.mark.parametrize(("make", "data"), BOTH)
def test_names_in_another_order(make, data):
    X, y = data()
    frame = pd.DataFrame(X).rename(columns=str)
    estimator = make(max_iter=1, warm_start=True).fit(frame, y)
    reordered = frame[frame.columns[::-1]]
    calls = [
        lambda est: est.predict(reordered),
        lambda est: est.fit(reordered, y),
        lambda est: est.partial_fit(reordered, y),
    ]
    before = state(estimator)
    for call in calls:
        with pytest.raises(ValueError, match="feature names should match"):
            call(estimator)
        assert state(estimator) == before


@pytest.mark.parametrize(("make", "data"), BOTH)
def test_score_refuses_bad_weights(make, data):
    X, y = data()
    estimator = make(max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        estimator.score(X, y, sample_weight=np.ones(len(y) - 1))
