"""Batch and layer normalization in the estimators, and gradient clipping beside them."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import is_classifier
from sklearn.model_selection import GridSearchCV

from ..conftest import BOTH, cancer, classes_for, classifier, diabetes, iris, multilabel, regressor

both = pytest.mark.parametrize(("make", "data"), BOTH)
kinds = pytest.mark.parametrize("kind", ["batch", "layer"])


def output(estimator, X):
    """Return what the estimator predicts, as numbers."""
    return estimator.predict_proba(X) if is_classifier(estimator) else estimator.predict(X)


def numbers(estimator):
    """Return all that the network has learned: parameters, then running averages."""
    return np.concatenate(estimator.network_.snapshot())


@both
@kinds
def test_it_reaches_the_network_and_leaves_the_shapes_of_the_weights_alone(make, data, kind):
    X, y = data()
    estimator = make(hidden_layer_sizes=(8, 4), normalization=kind).fit(X, y)
    plain = make(hidden_layer_sizes=(8, 4)).fit(X, y)
    assert estimator.network_.architecture.normalization == kind
    assert [W.shape for W in estimator.coefs_] == [W.shape for W in plain.coefs_]
    assert [b.shape for b in estimator.intercepts_] == [b.shape for b in plain.intercepts_]
    n_scales_and_shifts = 2 * (8 + 4)
    n_more = estimator.network_.parameters.vector.size - plain.network_.parameters.vector.size
    assert n_more == n_scales_and_shifts
    assert plain.network_.statistics.vector.size == 0
    assert not np.allclose(output(estimator, X), output(plain, X), rtol=1e-3)


@kinds
@pytest.mark.parametrize("batch_size", [16, "full"])
def test_it_learns(kind, batch_size):
    X, y = cancer()
    clf = classifier(normalization=kind, batch_size=batch_size, max_iter=60, dropout=0.1)
    assert clf.fit(X, y).score(X, y) > 0.9
    X, y = diabetes()
    reg = regressor(normalization=kind, batch_size=batch_size, max_iter=60).fit(X, y)
    assert reg.score(X, y) > 0.5


@both
@pytest.mark.parametrize("kind", [None, "batch", "layer"])
def test_a_batch_of_all_rows_but_one_is_all_rows_for_batch_norm_only(make, data, kind):
    """The last row joins the others, where it would be a batch of its own."""
    X, y = data()
    estimators = [make(normalization=kind, batch_size=size).fit(X, y) for size in (149, "full")]
    same = np.allclose(*(output(estimator, X) for estimator in estimators), rtol=1e-9)
    assert same == (kind == "batch")


@both
@kinds
def test_integer_weights_equal_repeated_rows_in_full_batches(make, data, kind):
    X, y = data()
    counts = np.random.default_rng(0).integers(0, 4, len(y))
    settings = {"normalization": kind, "batch_size": "full", "max_iter": 30}
    weighted = make(**settings).fit(X, y, sample_weight=counts)
    rows = np.repeat(np.arange(len(y)), counts)
    repeated = make(**settings).fit(X[rows], y[rows])
    # A bias before batch normalization has no gradient but rounding, which Adam makes steps of.
    np.testing.assert_allclose(numbers(weighted), numbers(repeated), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(output(weighted, X), output(repeated, X), rtol=1e-7)


@both
@pytest.mark.parametrize("batch_size", [16, "full"])
def test_rows_without_weight_leave_no_trace_in_the_running_averages(make, data, batch_size):
    """In order, so that there are batches in which no row has any weight."""
    X, y = data()
    weights = np.ones(len(y))
    weights[64:96] = weights[-3:] = 0
    estimators = []
    for value in (1.0, 1e6):
        X_with = X.copy()
        X_with[weights == 0] *= value
        estimator = make(normalization="batch", batch_size=batch_size, shuffle=False)
        estimators.append(estimator.fit(X_with, y, sample_weight=weights))
    np.testing.assert_array_equal(numbers(estimators[0]), numbers(estimators[1]))


def test_class_weights_of_labels():
    """Weights for each output of each row; that of the row is their mean."""
    X, Y = multilabel()
    settings = {"normalization": "batch", "batch_size": "full", "l2": 0.0}
    equal = classifier(**settings, class_weight=[{0: 2.0, 1: 2.0}] * 3).fit(X, Y)
    np.testing.assert_allclose(
        numbers(equal), numbers(classifier(**settings).fit(X, Y)), rtol=1e-9, atol=1e-12
    )
    balanced = classifier(**settings, class_weight="balanced").fit(X, Y)
    assert np.isfinite(numbers(balanced)).all()
    assert not np.allclose(numbers(balanced), numbers(equal), rtol=1e-3)


# Prediction -----------------------------------------------------------------------------------


@both
@kinds
def test_a_row_alone_is_predicted_as_among_others(make, data, kind):
    X, y = data()
    estimator = make(normalization=kind).fit(X, y)
    before = numbers(estimator)
    together = output(estimator, X)
    alone = np.concatenate([output(estimator, X[i : i + 1]) for i in range(len(X))])
    np.testing.assert_allclose(alone, together, rtol=1e-10)
    np.testing.assert_array_equal(numbers(estimator), before)


@both
@kinds
def test_concurrent_predictions_do_not_disturb_each_other(make, data, kind):
    X, y = data()
    estimator = make(hidden_layer_sizes=(64, 64), normalization=kind).fit(X, y)
    inputs = [np.random.default_rng(seed).standard_normal((2000, X.shape[1])) for seed in range(8)]
    expected = [output(estimator, rows) for rows in inputs]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            results = pool.map(lambda rows: output(estimator, rows), inputs)
            for result, right in zip(results, expected, strict=True):
                np.testing.assert_array_equal(result, right)


@both
@kinds
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_sparse_input_is_dense_input(make, data, kind, format):
    X, y = data()
    X = np.where(np.abs(X) > 0.5, X, 0)
    sparse = scipy.sparse.csr_array(X).asformat(format)
    on_dense, on_sparse = (make(normalization=kind).fit(rows, y) for rows in (X, sparse))
    np.testing.assert_allclose(numbers(on_sparse), numbers(on_dense), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(output(on_sparse, sparse), output(on_dense, X), rtol=1e-7)


@both
@kinds
def test_float32_stays_float32_and_predicts_float64(make, data, kind):
    X, y = data()
    single, double = (make(normalization=kind, dtype=d).fit(X, y) for d in ("float32", "float64"))
    assert numbers(single).dtype == np.float32
    assert output(single, X).dtype == np.float64
    np.testing.assert_allclose(output(single, X), output(double, X), rtol=0.1, atol=0.02)


# Continuing -----------------------------------------------------------------------------------


@both
@kinds
def test_five_epochs_and_five_more_are_ten_running_averages_too(make, data, kind):
    X, y = data()
    continued = make(normalization=kind, warm_start=True).fit(X, y).fit(X, y)
    whole = make(normalization=kind, max_iter=10).fit(X, y)
    np.testing.assert_array_equal(numbers(continued), numbers(whole))


@both
@kinds
def test_partial_fit_is_an_epoch_of_fit_running_averages_too(make, data, kind):
    X, y = data()
    estimator = make(normalization=kind)
    for _ in range(5):
        estimator.partial_fit(X, y, **classes_for(estimator, y))
    np.testing.assert_array_equal(numbers(estimator), numbers(make(normalization=kind).fit(X, y)))


@both
@kinds
def test_partial_fit_of_single_rows_stays_finite(make, data, kind):
    X, y = data()
    estimator = make(normalization=kind).fit(X, y)
    for i in range(30):
        estimator.partial_fit(X[i : i + 1], y[i : i + 1])
    assert np.isfinite(numbers(estimator)).all()
    assert np.isfinite(output(estimator, X)).all()


@both
def test_predicting_does_not_change_what_training_goes_on_from(make, data):
    X, y = data()
    estimator = make(normalization="batch", warm_start=True).fit(X, y)
    other = copy.deepcopy(estimator)
    output(estimator, 100 * X)
    for each in (estimator, other):
        each.fit(X, y)
    np.testing.assert_array_equal(numbers(estimator), numbers(other))


@both
@kinds
@pytest.mark.parametrize("other", [None, "batch", "layer"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_network_cannot_go_on_with_another_normalization(make, data, kind, other, method):
    X, y = data()
    estimator = make(normalization=kind, warm_start=True).fit(X, y)
    before = numbers(estimator)
    estimator.set_params(normalization=other)
    if other == kind:
        getattr(estimator, method)(X, y)
        assert not np.array_equal(numbers(estimator), before)
        return
    with pytest.raises(ValueError, match=f"normalization={other!r} differs from the {kind!r}"):
        getattr(estimator, method)(X, y)
    np.testing.assert_array_equal(numbers(estimator), before)
    estimator.set_params(warm_start=False).fit(X, y)
    assert estimator.network_.architecture.normalization == other


@both
@kinds
@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda est: pickle.loads(pickle.dumps(est))],
    ids=["deepcopy", "pickle"],
)
def test_a_copy_predicts_and_goes_on_alike(make, data, kind, duplicate):
    X, y = data()
    estimator = make(normalization=kind, warm_start=True).fit(X, y)
    other = duplicate(estimator)
    np.testing.assert_array_equal(output(other, X), output(estimator, X))
    before = numbers(estimator)
    other.fit(X, y)
    np.testing.assert_array_equal(numbers(estimator), before)
    np.testing.assert_array_equal(numbers(other), numbers(estimator.fit(X, y)))


# Early stopping, L-BFGS, searches -------------------------------------------------------------


@both
@kinds
def test_early_stopping_returns_to_the_best_epochs_running_averages(make, data, kind):
    X, y = data()
    X_val, y_val = X[::3], y[::3]
    estimator = make(
        normalization=kind, early_stopping=True, max_iter=40, learning_rate=0.1, scoring="loss"
    ).fit(X, y, X_val=X_val, y_val=y_val)
    scores = estimator.validation_scores_
    best = int(np.argmax(scores))
    assert best < len(scores) - 1
    stopped_there = make(normalization=kind, max_iter=best + 1, learning_rate=0.1).fit(X, y)
    np.testing.assert_array_equal(numbers(estimator), numbers(stopped_there))


@both
def test_lbfgs_takes_layer_normalization(make, data):
    X, y = data()
    settings = {"optimizer": "lbfgs", "max_iter": 200, "l2": 1e-3}
    estimator = make(normalization="layer", **settings).fit(X, y)
    assert estimator.score(X, y) > (0.99 if is_classifier(estimator) else 0.8)
    assert estimator.loss_ < 0.1 * estimator.loss_curve_[0] or not is_classifier(estimator)


def test_a_search_finds_it():
    X, y = iris()
    grid = {"normalization": [None, "batch", "layer"], "clip_norm": [None, 1.0]}
    search = GridSearchCV(classifier(), grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 6
    assert len(set(search.cv_results_["mean_test_score"])) > 1


# Gradient clipping ----------------------------------------------------------------------------


@both
def test_no_bound_and_one_that_is_never_met_train_alike(make, data):
    X, y = data()
    without, with_bound = (make(clip_norm=bound).fit(X, y) for bound in (None, 1e9))
    np.testing.assert_array_equal(numbers(without), numbers(with_bound))


@both
def test_a_bound_shortens_the_steps_and_history_shows_the_norm_before(make, data):
    """Plain SGD moves by at most the rate times the bound in each of the 10 steps."""
    X, y = data()
    settings = {"optimizer": "sgd", "learning_rate": 0.1, "max_iter": 1, "warm_start": True}
    estimator = make(clip_norm=1e-3, **settings).fit(X, y)
    before, unbound = numbers(estimator), copy.deepcopy(estimator).set_params(clip_norm=None)
    estimator.fit(X, y)
    moved = np.linalg.norm(numbers(estimator) - before)
    assert 0.3 * 10 * 0.1 * 1e-3 < moved <= 10 * 0.1 * 1e-3
    norms = estimator.history_["gradient_norm"]
    assert min(norms) > 10 * 1e-3
    unbound.fit(X, y)
    assert np.linalg.norm(numbers(unbound) - before) > 10 * moved
