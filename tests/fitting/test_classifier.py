import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from scipy.special import expit, logit, softmax
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.metrics import accuracy_score

from skscratch import Focal
from skscratch.nn import Loss, SoftmaxLogLoss

from ..conftest import cancer, classifier, iris, multilabel

NAMES = np.array(["ant", "bee", "cow"])

# From class numbers 0, 1, 2 to labels in the same order.
LABELS = {
    "str": lambda y: NAMES[y],
    "object": lambda y: NAMES[y].astype(object),
    "list of str": lambda y: NAMES[y].tolist(),
    "numbers that are not 0..K-1": lambda y: y * 10 - 7,
    "uint8": lambda y: y.astype(np.uint8),
    "whole floats": lambda y: y.astype(float),
    "bool": lambda y: y > 0,
    "pandas str": lambda y: pd.Series(NAMES[y], dtype="string"),
    "pandas categorical": lambda y: pd.Series(pd.Categorical(NAMES[y])),
    "pandas categorical of numbers": lambda y: pd.Series(pd.Categorical(y + 3)),
    "pandas Int64": lambda y: pd.Series(y * 2, dtype="Int64"),
    "pandas boolean": lambda y: pd.Series(y > 0, dtype="boolean"),
    "pandas with a shuffled index": lambda y: pd.Series(y, index=range(len(y), 0, -1)),
    "polars str": lambda y: pl.Series(NAMES[y].tolist()),
    "polars int": lambda y: pl.Series(y * 2),
    "polars bool": lambda y: pl.Series(y > 0),
}


@pytest.mark.parametrize("relabel", LABELS.values(), ids=LABELS)
def test_labels_of_every_kind_come_back(relabel):
    X, y = iris()
    labels = relabel(y)
    values = np.array(list(labels))
    numbers = np.unique(values, return_inverse=True)[1]
    plain = classifier().fit(X, numbers)
    estimator = classifier().fit(X, labels)
    np.testing.assert_array_equal(estimator.classes_, np.unique(values))
    predicted = estimator.predict(X)
    assert predicted.dtype == estimator.classes_.dtype
    np.testing.assert_array_equal(predicted, np.unique(values)[plain.predict(X)])
    np.testing.assert_array_equal(estimator.predict_proba(X), plain.predict_proba(X))
    assert estimator.score(X, labels) == plain.score(X, numbers) > 0.6


def test_classes_have_the_labels_dtype():
    X, y = iris()
    for labels in (NAMES[y], y > 0, y.astype(np.uint8)):
        assert classifier(max_iter=1).fit(X, labels).classes_.dtype == labels.dtype


@pytest.mark.parametrize("sparse", [False, True])
def test_a_column_vector_warns_and_means_its_column(sparse):
    X, y = cancer()
    column = scipy.sparse.csr_matrix(y[:, np.newaxis]) if sparse else y[:, np.newaxis]
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        estimator = classifier().fit(X, column)
    np.testing.assert_array_equal(estimator.predict(X), classifier().fit(X, y).predict(X))
    assert estimator.predict(X).shape == y.shape


# Kind of target: (data, shapes of predict, of probabilities, and of logits, link)
SHAPES = {
    "binary": (cancer, (200,), (200, 2), (200,), "logistic"),
    "multiclass": (iris, (150,), (150, 3), (150, 3), "softmax"),
    "multilabel": (multilabel, (120, 3), (120, 3), (120, 3), "logistic"),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", SHAPES.values(), ids=SHAPES)
def test_shapes_and_dtypes(case, dtype):
    data, labels, probabilities, logits, link = case
    X, y = data()
    estimator = classifier(dtype=dtype).fit(X, y)
    assert estimator.coefs_[0].dtype == dtype
    assert estimator.out_activation_ == link
    assert estimator.predict(X).shape == labels
    assert estimator.predict(X).dtype == y.dtype
    for method, shape in [
        ("predict_proba", probabilities),
        ("predict_log_proba", probabilities),
        ("decision_function", logits),
    ]:
        output = getattr(estimator, method)(X)
        assert output.shape == shape
        assert output.dtype == np.float64


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("data", [cancer, iris], ids=["binary", "multiclass"])
def test_probabilities_sum_to_one_in_double_precision(data, dtype):
    X, y = data()
    P = classifier(dtype=dtype, max_iter=20).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-14)
    assert P.min() >= 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_decision_function_is_the_logit_of_predict_proba(dtype):
    X, y = cancer()
    estimator = classifier(dtype=dtype).fit(X, y)
    Z, P = estimator.decision_function(X), estimator.predict_proba(X)
    np.testing.assert_allclose(Z, logit(P[:, 1]), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(-Z, logit(P[:, 0]), rtol=1e-9, atol=1e-12)
    X, y = iris()
    estimator = classifier(dtype=dtype).fit(X, y)
    Z, P = estimator.decision_function(X), estimator.predict_proba(X)
    np.testing.assert_allclose(softmax(Z, axis=1), P, rtol=1e-12)
    X, Y = multilabel()
    estimator = classifier(dtype=dtype).fit(X, Y)
    Z, P = estimator.decision_function(X), estimator.predict_proba(X)
    np.testing.assert_allclose(expit(Z), P, rtol=1e-12)


@pytest.mark.parametrize("case", SHAPES.values(), ids=SHAPES)
def test_predict_is_the_most_probable_class(case):
    X, y = case[0]()
    estimator = classifier(max_iter=20).fit(X, y)
    P, predicted = estimator.predict_proba(X), estimator.predict(X)
    if y.ndim == 2:
        np.testing.assert_array_equal(predicted, P > 0.5)
    else:
        np.testing.assert_array_equal(predicted, estimator.classes_[P.argmax(axis=1)])
    assert len(np.unique(predicted)) > 1


@pytest.mark.parametrize("case", SHAPES.values(), ids=SHAPES)
def test_log_probabilities_are_accurate_where_probabilities_underflow(case):
    X, y = case[0]()
    estimator = classifier(max_iter=1).fit(X, y)
    moderate = np.log(estimator.predict_proba(X))
    np.testing.assert_allclose(estimator.predict_log_proba(X), moderate, rtol=1e-9, atol=1e-14)
    estimator.intercepts_[-1][...] *= 0
    estimator.coefs_[-1][...] *= 1e4
    Z, log_P = estimator.decision_function(X), estimator.predict_log_proba(X)
    assert np.abs(Z).max() > 1000
    if Z.ndim == 1:
        expected = -np.logaddexp(0, np.column_stack([Z, -Z]))
    elif y.ndim == 2:
        expected = -np.logaddexp(0, -Z)
    else:
        expected = Z - np.logaddexp.reduce(Z, axis=1, keepdims=True)
    np.testing.assert_allclose(log_P, expected, rtol=1e-10, atol=1e-290)
    assert log_P.min() < -1000
    P = estimator.predict_proba(X)
    assert np.isfinite(P).all()
    assert 0 <= P.min() <= P.max() <= 1


METHODS = ["predict", "predict_proba", "predict_log_proba", "decision_function"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", SHAPES.values(), ids=SHAPES)
def test_many_rows_are_predicted_like_few_in_little_memory(case, method):
    X, y = case[0]()
    predict = getattr(classifier(dtype="float32").fit(X, y), method)
    few = predict(X)
    many = np.resize(X, (60_000, X.shape[1]))
    tracemalloc.start()
    predictions = predict(many)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    expected = np.resize(few, predictions.shape)
    if method == "predict":
        np.testing.assert_array_equal(predictions, expected)
    else:
        # A product's last digits depend on the number of its rows.
        np.testing.assert_allclose(predictions, expected, rtol=1e-4, atol=1e-5)
    assert peak - predictions.nbytes < 6e6


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", SHAPES.values(), ids=SHAPES)
def test_threads_may_use_every_method_at_once(case, method):
    X, y = case[0]()
    predict = getattr(classifier(dropout=0.2).fit(X, y), method)
    parts = [np.resize(X * factor, (20_000, X.shape[1])) for factor in np.linspace(0.5, 2, 8)]
    expected = [predict(part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        for result, wanted in zip(pool.map(predict, parts), expected, strict=True):
            np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("method", METHODS)
def test_predicting_before_fit(method):
    X, _ = iris()
    with pytest.raises(NotFittedError, match="This ScratchMLPClassifier instance is not fitted"):
        getattr(classifier(), method)(X)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda X: np.where(X > 2, np.nan, X), "X contains NaN.\nScratchMLPClassifier does not"),
        (lambda X: np.where(X > 2, np.inf, X), "Input X contains infinity"),
        (lambda X: X[:, :3], "X has 3 features, but ScratchMLPClassifier is expecting 4 features"),
        (lambda X: X[0], "Expected 2D array, got 1D array instead"),
        (lambda X: X * 1j, "Complex data not supported"),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predict_refuses_what_fit_does(spoil, error, dtype):
    """An array of floats takes a shorter way through validation than other input."""
    X, y = iris()
    estimator = classifier().fit(X, y)
    spoiled = spoil(X.astype(dtype))
    for given in (spoiled, spoiled.tolist()):
        with pytest.raises((ValueError, TypeError), match=error):
            estimator.predict(given)


def test_predict_heeds_feature_names():
    X, y = iris()
    frame = pd.DataFrame(X, columns=list("abcd"))
    estimator = classifier().fit(frame, y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        estimator.predict(X)


MULTILABEL_FORMS = {
    "list": lambda Y: Y.tolist(),
    "bool": lambda Y: Y.astype(bool),
    "float": lambda Y: Y.astype(float),
    "CSR": scipy.sparse.csr_matrix,
    "CSC": scipy.sparse.csc_matrix,
    "sparse array": scipy.sparse.csr_array,
    "pandas": lambda Y: pd.DataFrame(Y, columns=list("abc")),
    "pandas boolean": lambda Y: pd.DataFrame(Y, columns=list("abc")).astype("boolean"),
    "pandas Int64": lambda Y: pd.DataFrame(Y, columns=list("abc")).astype("Int64"),
    "polars": lambda Y: pl.DataFrame(Y, schema=list("abc")),
}


@pytest.mark.parametrize("form", MULTILABEL_FORMS.values(), ids=MULTILABEL_FORMS)
def test_multilabel_targets_of_every_form(form):
    X, Y = multilabel()
    plain, estimator = classifier().fit(X, Y), classifier().fit(X, form(Y))
    np.testing.assert_array_equal(estimator.predict_proba(X), plain.predict_proba(X))
    predicted = estimator.predict(X)
    assert isinstance(predicted, np.ndarray)
    assert set(np.unique(predicted)) == {0, 1}
    np.testing.assert_array_equal(estimator.classes_, [0, 1, 2])
    assert estimator.n_outputs_ == 3


def test_multilabel_learns_each_label():
    X, Y = multilabel()
    estimator = classifier(max_iter=100, learning_rate=0.03).fit(X, Y)
    assert np.all(np.mean(estimator.predict(X) == Y, axis=0) > 0.9)
    # The score is that of whole rows, as in scikit-learn.
    assert estimator.score(X, Y) == np.mean((estimator.predict(X) == Y).all(axis=1))


def test_multilabel_loss_sums_over_the_labels():
    X, Y = multilabel()
    estimator = classifier(l2=0.0, batch_size="full", max_iter=1, learning_rate=1e-12).fit(X, Y)
    log_P, log_Q = estimator.predict_log_proba(X), np.log1p(-estimator.predict_proba(X))
    expected = -np.mean((Y * log_P + (1 - Y) * log_Q).sum(axis=1))
    assert estimator.loss_ == pytest.approx(expected, rel=1e-9)


def test_a_label_that_never_varies():
    X, Y = multilabel()
    Y = np.column_stack([Y, np.zeros(len(Y), int), np.ones(len(Y), int)])
    estimator = classifier(max_iter=60).fit(X, Y)
    np.testing.assert_array_equal(estimator.predict(X)[:, 3:], Y[:, 3:])


def test_multilabel_partial_fit_names_the_labels_by_number():
    X, Y = multilabel()
    estimator = classifier()
    for _ in range(5):
        estimator.partial_fit(X, Y, classes=np.arange(3))
    np.testing.assert_array_equal(estimator.predict(X), classifier().fit(X, Y).predict(X))


def test_a_class_first_seen_in_a_later_call():
    X, y = iris()
    early, names = y < 2, NAMES[y]
    estimator = classifier(learning_rate=0.05)
    estimator.partial_fit(X[early], names[early], classes=NAMES[::-1])
    np.testing.assert_array_equal(estimator.classes_, NAMES)
    assert estimator.predict_proba(X).shape == (150, 3)
    for _ in range(40):
        estimator.partial_fit(X, names)
    assert estimator.score(X[~early], names[~early]) > 0.9


@pytest.mark.parametrize(
    "form",
    [tuple, np.array, pd.Series, pd.Index, pd.Categorical, pl.Series, np.ma.masked_array],
    ids=lambda form: form.__name__,
)
def test_classes_of_every_form(form):
    X, y = iris()
    classes = [2, 0, 1, 1]
    plain = classifier().partial_fit(X, y, classes=range(3))
    estimator = classifier().partial_fit(X, y, classes=form(classes))
    estimator.partial_fit(X, y, classes=form(classes))
    np.testing.assert_array_equal(estimator.classes_, plain.classes_)
    np.testing.assert_array_equal(
        estimator.predict_proba(X), plain.partial_fit(X, y).predict_proba(X)
    )


def test_partial_fit_may_get_one_class_at_a_time():
    X, y = iris()
    estimator = classifier(learning_rate=0.05, optimizer="sgd")
    estimator.partial_fit(X[y == 1], y[y == 1], classes=[0, 1, 2])
    assert (estimator.predict(X) == 1).mean() > 0.5


def test_partial_fit_needs_no_classes_after_fit():
    X, y = iris()
    estimator = classifier(max_iter=3).fit(X, y)
    estimator.partial_fit(X, y).partial_fit(X, y, classes=[2, 1, 0])
    assert len(estimator.loss_curve_) == 5


def test_a_class_with_one_member_stays_in_training(splits):
    X, y = iris()
    rows = [*range(100), 149]
    X, y = X[rows], y[rows]
    estimator = classifier(
        early_stopping=True, validation_fraction=0.3, max_iter=200, learning_rate=0.05, l2=0.0
    ).fit(X, y)
    ((training, held_out),) = splits
    assert 100 in training
    assert sorted(np.bincount(y[held_out])) == [15, 16]
    np.testing.assert_array_equal(estimator.classes_, [0, 1, 2])
    assert estimator.predict_proba(X).shape == (101, 3)
    # With more patience and no early stopping the only member is learned, too.
    assert classifier(max_iter=200, learning_rate=0.05).fit(X, y).predict(X[-1:]) == 2


@pytest.mark.parametrize("case", SHAPES.values(), ids=SHAPES)
def test_validation_score_is_accuracy(case, splits):
    X, y = case[0]()
    weights = np.random.default_rng(0).uniform(0.1, 3, len(y))
    estimator = classifier(early_stopping=True).fit(X, y, weights)
    ((_, held_out),) = splits
    expected = estimator.score(X[held_out], y[held_out], weights[held_out])
    assert estimator.best_validation_score_ == pytest.approx(expected, rel=1e-12)


def test_score_is_accuracy_with_weights():
    X, y = iris()
    weights = np.random.default_rng(0).uniform(size=len(y))
    estimator = classifier(max_iter=2).fit(X, y)
    expected = accuracy_score(y, estimator.predict(X), sample_weight=weights)
    assert estimator.score(X, y, weights) == pytest.approx(expected)
    assert estimator.score(X, y, weights) != estimator.score(X, y)


def test_rows_of_weight_zero_may_bring_a_class_of_their_own():
    X, y = iris()
    weights = (y != 2).astype(float)
    estimator = classifier(max_iter=50).fit(X, y, weights)
    np.testing.assert_array_equal(estimator.classes_, [0, 1, 2])
    assert 2 not in estimator.predict(X[y != 2])


def test_probabilities_of_two_classes_are_complements_to_the_last_digit():
    X, y = cancer()
    estimator = classifier().fit(X, y)
    estimator.coefs_[-1][...] *= 5
    P, Z = estimator.predict_proba(X), estimator.decision_function(X)
    # Not 1 - P, which would lose all digits of a small probability.
    np.testing.assert_allclose(P[:, 0], expit(-Z), rtol=1e-12)
    assert P[:, 0].min() < 1e-3


# --- Losses and label smoothing -------------------------------------------------------------


@pytest.mark.parametrize("case", SHAPES.values(), ids=SHAPES)
def test_focal_loss_of_every_kind_of_target(case):
    data, *_, link = case
    X, y = data()
    estimator = classifier(loss=Focal(gamma=1.0), max_iter=60).fit(X, y)
    assert estimator.out_activation_ == link
    assert estimator.score(X, y) > {"multilabel": 0.5}.get(data.__name__, 0.8)
    np.testing.assert_allclose(
        np.exp(estimator.predict_log_proba(X)), estimator.predict_proba(X), rtol=1e-9
    )


@pytest.mark.parametrize("case", SHAPES.values(), ids=SHAPES)
def test_focal_loss_with_gamma_0_is_the_log_loss(case):
    X, y = case[0]()
    settings = {"label_smoothing": 0.1, "early_stopping": True}
    focal = classifier(**settings, loss=Focal(gamma=0)).fit(X, y)
    plain = classifier(**settings).fit(X, y)
    np.testing.assert_allclose(focal.predict_proba(X), plain.predict_proba(X), rtol=1e-9)
    np.testing.assert_allclose(focal.loss_curve_, plain.loss_curve_, rtol=1e-9)
    for column in ("validation_loss", "validation_score"):
        np.testing.assert_allclose(focal.history_[column], plain.history_[column], rtol=1e-9)


def test_names_and_objects_mean_the_same():
    X, y = iris()
    for name, option in (("log_loss", SoftmaxLogLoss()), ("focal", Focal(gamma=2.0))):
        expected = classifier(loss=name).fit(X, y).predict_proba(X)
        np.testing.assert_array_equal(classifier(loss=option).fit(X, y).predict_proba(X), expected)


def test_gamma_can_be_searched_and_fit_leaves_the_object_alone():
    X, y = iris()
    option = Focal(gamma=2.0)
    estimator = classifier(loss=option).set_params(loss__gamma=0.5).fit(X, y)
    assert option == Focal(gamma=0.5)
    assert estimator.get_params()["loss__gamma"] == 0.5
    expected = classifier(loss=Focal(gamma=0.5)).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(estimator.predict_proba(X), expected)


@pytest.mark.parametrize("case", SHAPES.values(), ids=SHAPES)
def test_smoothed_labels_are_what_probabilities_tend_to(case):
    """Where nothing but the label is told, the optimum is the mean of the smoothed labels."""
    y = case[0]()[1]
    X = np.zeros((len(y), 1))
    share = 0.2
    estimator = classifier(
        hidden_layer_sizes=(), optimizer="lbfgs", tol=1e-9, max_iter=1000, label_smoothing=share
    ).fit(X, y)
    Y = y if y.ndim == 2 else (y[:, np.newaxis] == estimator.classes_)
    n_classes = 2 if y.ndim == 2 else Y.shape[1]
    expected = (1 - share) * Y.mean(axis=0) + share / n_classes
    np.testing.assert_allclose(estimator.predict_proba(X)[0], expected, atol=1e-6)


def test_smoothing_bounds_the_logits_of_separable_classes():
    X, y = np.array([[-1.0], [1.0]]), np.array([0, 1])
    estimator = classifier(
        hidden_layer_sizes=(),
        optimizer="lbfgs",
        max_iter=100,
        tol=1e-9,
        l2=0.0,
        label_smoothing=0.1,
    ).fit(X, y)
    np.testing.assert_allclose(estimator.predict_proba(X), [[0.95, 0.05], [0.05, 0.95]], atol=1e-6)


@pytest.mark.parametrize("case", SHAPES.values(), ids=SHAPES)
def test_validation_knows_the_labels_as_they_are(case):
    X, y = case[0]()
    settings = {"early_stopping": True, "max_iter": 1, "learning_rate": 1e-12}
    smoothed = classifier(**settings, label_smoothing=0.3).fit(X, y)
    plain = classifier(**settings).fit(X, y)
    for column in ("validation_loss", "validation_score"):
        assert smoothed.history_[column] == pytest.approx(plain.history_[column], rel=1e-6)
    assert smoothed.loss_ != pytest.approx(plain.loss_, rel=1e-3)


@dataclass
class Brier(Loss):
    """Half the squared distance of probabilities from the truth, with a link of its own name."""

    out_activation = "softmax with a temperature"
    averages_outputs = False
    temperature: float = 1.0

    def row_losses(self, Z, Y, gradient_out):
        R = self.inverse_link(Z)
        P = R.copy()
        R -= Y
        gradient_out[...] = P * (R - np.vecdot(P, R)[..., np.newaxis]) / self.temperature
        return 0.5 * np.vecdot(R, R)

    def inverse_link(self, Z):
        return softmax(Z / self.temperature, axis=-1)


def test_custom_loss():
    X, y = iris()
    estimator = classifier(loss=Brier(temperature=0.5), max_iter=100, early_stopping=True)
    estimator.fit(X, y)
    assert estimator.score(X, y) > 0.9
    assert estimator.out_activation_ == Brier.out_activation
    P = estimator.predict_proba(X)
    np.testing.assert_allclose(P, softmax(2 * estimator.decision_function(X), axis=1), rtol=1e-12)
    np.testing.assert_allclose(estimator.predict_log_proba(X), np.log(P), rtol=1e-12)
    assert estimator.set_params(loss__temperature=1.0).fit(X, y).score(X, y) > 0.9
