"""Targets of a single class, and classes that are missing where others meet them."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier
from sklearn.metrics import log_loss, make_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, learning_curve
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.utils.estimator_checks import check_classifiers_one_label_sample_weights

from skscratch import (
    ScratchMLPClassifier,
    ScratchMLPRegressor,
    learning_rate_range_test,
    register_onnx,
)
from skscratch.inspection import diagnose, gradient_check, summary, trace
from skscratch.nn import LogisticLogLoss

from ..conftest import Cauchit, classifier, iris, regressor, state

X = np.random.default_rng(0).normal(size=(60, 3))
ONE = np.full(60, "a")
TWO = (X[:, 0] > 0).astype(int)


def assert_certain(estimator, label="a"):
    """The one class is predicted, with probability 1 exactly."""
    assert estimator.classes_.tolist() == [label]
    np.testing.assert_array_equal(estimator.predict(X), np.full(60, label))
    np.testing.assert_array_equal(estimator.predict_proba(X), np.ones((60, 1)))
    np.testing.assert_array_equal(estimator.predict_log_proba(X), np.zeros((60, 1)))
    assert estimator.decision_function(X).shape == (60,)
    assert estimator.score(X, np.full(60, label)) == 1
    assert np.isfinite(estimator.loss_curve_).all()
    assert estimator.temperature_ == 1


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"early_stopping": True},
        {"early_stopping": True, "scoring": "loss"},
        {"early_stopping": True, "scoring": "roc_auc"},
        {"early_stopping": True, "scoring": "neg_log_loss"},
        {"optimizer": "lbfgs"},
        {"optimizer": "rmsprop", "clip_norm": 1.0},
        {"class_weight": "balanced"},
        {"class_weight": {"a": 2, "b": 3}},
        {"calibrate": True, "early_stopping": True},
        {"calibrate": True, "n_networks": 2},
        {"label_smoothing": 0.1, "normalization": "batch"},
        {"loss": "focal"},
        {"loss": LogisticLogLoss()},
        {"loss": Cauchit()},
    ],
    ids=repr,
)
def test_a_single_class_is_certain(params):
    estimator = classifier(**params)
    assert_certain(estimator.fit(X, ONE))
    assert_certain(pickle.loads(pickle.dumps(estimator)))
    assert_certain(clone(estimator).fit(X, ONE, X_val=X, y_val=ONE))


def test_a_single_class_with_the_defaults():
    X_many = np.random.default_rng(1).normal(size=(1000, 3))
    estimator = ScratchMLPClassifier((8,), max_iter=3, random_state=0).fit(X_many, [7] * 1000)
    assert estimator.best_validation_score_ == 1
    assert_certain(estimator, 7)


def test_a_single_class_in_pieces():
    estimator = classifier(warm_start=True).partial_fit(X, ONE, classes=["a"]).partial_fit(X, ONE)
    assert_certain(estimator)
    before = state(estimator)
    for call in (estimator.fit, estimator.partial_fit):
        with pytest.raises(ValueError, match=r"classes \['b'\] that are not among"):
            call(X, np.where(TWO, "a", "b"))
        assert state(estimator) == before


def test_a_single_class_is_looked_into():
    estimator = classifier().fit(X, ONE)
    assert gradient_check(estimator, X, ONE)
    assert "3" in str(summary(estimator))
    assert "softmax" in str(trace(estimator, X[:2], ONE[:2]))
    assert diagnose(estimator, X, ONE) is not None
    assert len(learning_rate_range_test(classifier(), X, ONE).losses)


def test_a_single_class_in_onnx():
    skl2onnx = pytest.importorskip("skl2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    register_onnx()
    estimator = classifier().fit(X, ONE)
    graph = skl2onnx.to_onnx(estimator, X[:1].astype("f4"), options={"zipmap": False})
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    labels, probabilities = session.run(None, {"X": X.astype("f4")})
    np.testing.assert_array_equal(labels, ONE)
    np.testing.assert_array_equal(probabilities, np.ones((60, 1)))


def test_folds_and_columns_of_a_single_class():
    in_order = np.sort(TWO)
    assert np.isfinite(cross_val_score(classifier(), X, ONE, cv=KFold(3))).all()
    assert np.isfinite(learning_curve(classifier(), X, in_order, cv=3)[1]).all()
    search = GridSearchCV(classifier(), {"l2": [1e-4, 1.0]}, cv=KFold(2), error_score="raise")
    assert search.fit(X, in_order).best_score_ >= 0
    columns = np.c_[np.zeros(60, int), TWO]
    for many in (MultiOutputClassifier(classifier()), ClassifierChain(classifier())):
        predicted = many.fit(X, columns).predict(X)
        assert predicted.shape == (60, 2)
        assert not predicted[:, 0].any()


# Classes without weight, and weights without a class ------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
def test_bagging_goes_on_where_a_bootstrap_lacks_a_class(n_classes):
    y = TWO * (n_classes - 2)
    y[0] = n_classes - 1
    bag = BaggingClassifier(classifier(), n_estimators=10, random_state=0).fit(X, y)
    assert not all(0 in rows for rows in bag.estimators_samples_)
    P = bag.predict_proba(X)
    assert P.shape == (60, n_classes)
    np.testing.assert_allclose(P.sum(axis=1), 1)


def test_only_the_class_with_weight_is_predicted():
    check_classifiers_one_label_sample_weights("ours", ScratchMLPClassifier(random_state=0))
    estimator = ScratchMLPClassifier((8,), max_iter=300, random_state=0)
    P = estimator.fit(X, TWO, sample_weight=TWO).predict_proba(X)
    assert P.shape == (60, 2)
    assert (P[:, 1] > 0.5).all()


def test_class_weights_of_classes_that_a_fold_lacks_have_no_effect():
    y = np.digitize(X[:, 0], [-0.5, 0.5])
    some = y < 2
    weights = {0: 1.0, 1: 2.0, 2: 5.0, 7: 3.0}
    for data in ((X, y), (X[some], y[some]), (X[y == 1], y[y == 1])):
        plain = {label: weights[label] for label in np.unique(data[1])}
        one, other = (classifier(class_weight=w).fit(*data) for w in (weights, plain))
        np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    pieces = classifier(class_weight=weights).partial_fit(X[some], y[some], classes=[0, 1, 2, 3])
    assert pieces.predict_proba(X).shape == (60, 4)


def test_a_warm_start_knows_classes_that_are_not_there_now():
    iris_X, y = iris()
    estimator = classifier(warm_start=True, max_iter=20).fit(iris_X, y)
    before = estimator.predict(iris_X[y == 2])
    estimator.set_params(max_iter=1).fit(iris_X[y < 2], y[y < 2])
    assert estimator.classes_.tolist() == [0, 1, 2]
    assert (estimator.predict(iris_X[y == 2]) == before).mean() > 0.5


# Scores where a class is missing --------------------------------------------------------------


def validated(scoring, y, rows, **params):
    estimator = classifier(scoring=scoring, early_stopping=True, max_iter=2, **params)
    return estimator.fit(X, y, X_val=X[rows], y_val=y[rows])


THREE = np.digitize(X[:, 0], [-0.5, 0.5])
NAMES = np.array(["ant", "bee", "cow"])[THREE]


@pytest.mark.parametrize(("y", "rows"), [(THREE, THREE < 2), (NAMES, THREE != 1), (TWO, TWO == 0)])
def test_a_score_of_probabilities_that_is_defined_without_a_class(y, rows):
    estimator = validated("neg_log_loss", y, rows)
    P = estimator.predict_proba(X[rows])
    expected = -log_loss(y[rows], P, labels=estimator.classes_)
    assert estimator.best_validation_score_ == pytest.approx(expected, rel=1e-9)
    own = make_scorer(log_loss, greater_is_better=False, response_method="predict_proba")
    assert validated(own, y, rows).best_validation_score_ == pytest.approx(expected, rel=1e-9)
    if len(estimator.classes_) > 2:
        assert 0 < validated("top_k_accuracy", y, rows).best_validation_score_ <= 1


def test_labels_of_the_scorers_own_stay():
    own = make_scorer(
        log_loss, greater_is_better=False, response_method="predict_proba", labels=[0, 1, 2]
    )
    assert np.isfinite(validated(own, THREE, THREE < 2).best_validation_score_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize(
    ("y", "rows", "scoring", "lacking"),
    [
        (NAMES, THREE < 2, "roc_auc_ovr", r"class \['cow'\]"),
        (THREE, THREE == 1, "roc_auc_ovr", r"classes \[0, 2\]"),
        (TWO, TWO == 0, "roc_auc", r"class \[1\]"),
        (THREE, THREE < 2, lambda e, X, y: roc_auc_score(y, e.predict_proba(X)), r"class \[2\]"),
    ],
)
def test_a_score_that_needs_the_missing_class_says_so(y, rows, scoring, lacking):
    match = rf"On X_val and y_val, which lack the {lacking}, scoring=.*larger validation_fraction"
    with pytest.raises(ValueError, match=match):
        validated(scoring, y, rows)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_a_class_that_never_leaves_training():
    y = THREE.copy()
    y[0] = 3
    estimator = classifier(early_stopping=True, scoring="roc_auc_ovr")
    with pytest.raises(ValueError, match=r"On the rows held out of X, which lack the class \[3\]"):
        estimator.fit(X, y)
    assert np.isfinite(estimator.set_params(scoring="neg_log_loss").fit(X, y).best_epoch_)


@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss"])
def test_a_score_of_classes_is_none_of_numbers(scoring):
    with pytest.raises(ValueError, match=rf"scoring='{scoring}' failed: .*For a regressor .*'r2'"):
        regressor(early_stopping=True, scoring=scoring).fit(X, X[:, 0])


def test_a_score_of_numbers_is_none_of_words():
    with pytest.raises(
        ValueError, match=r"scoring='r2' failed: .*\. For a classifier .*'f1_macro'"
    ):
        classifier(early_stopping=True, scoring="r2").fit(X, NAMES)


def test_an_error_in_a_scorer_of_the_users_own_stays_as_it_is():
    def broken(estimator, X, y):
        raise ValueError("mine")

    for make, y in ((ScratchMLPClassifier, THREE), (ScratchMLPRegressor, X[:, 0])):
        with pytest.raises(ValueError, match=r"^mine$"):
            make((4,), max_iter=2, early_stopping=True, scoring=broken).fit(X, y)
