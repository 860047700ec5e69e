import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from skscratch import SGD, ScratchMLPClassifier
from skscratch._fitting.class_weight import weigh_classes, weigh_labels

from ..conftest import cancer, classifier, iris, multilabel

FULL = {"batch_size": "full", "max_iter": 20}
NAMES = np.array(["ant", "bee", "cow"])


def unbalanced(data=iris):
    X, y = data()
    rows = np.flatnonzero((y != 2) | (np.arange(len(y)) % 4 == 0))
    return X[rows], y[rows]


def assert_same_probabilities(one, other, X, rtol=1e-7):
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=rtol)


def test_balanced_weights_are_scikit_learns():
    index = np.array([0, 2, 2, 1, 2, 0])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=index)
    np.testing.assert_allclose(
        weigh_classes("balanced", np.arange(3), index, None), expected[index], rtol=1e-15
    )


def test_balanced_classes_have_the_same_total_and_keep_the_overall_one():
    rng = np.random.default_rng(0)
    index, sample_weight = rng.integers(3, size=50), rng.uniform(0, 3, 50)
    weights = weigh_classes("balanced", NAMES, index, sample_weight)
    np.testing.assert_allclose(np.bincount(index, weights), sample_weight.sum() / 3)


def test_balanced_weights_of_a_class_without_weight():
    weights = weigh_classes("balanced", NAMES, np.array([0, 0, 1, 2]), np.array([1.0, 1, 1, 0]))
    np.testing.assert_allclose(weights, [0.75, 0.75, 1.5, 0])


def test_dict_weights_default_to_1_and_multiply_those_of_rows():
    index = np.array([0, 1, 2])
    weights = weigh_classes({"cow": 3, "ant": 0.5}, NAMES, index, np.array([2.0, 5, 7]))
    np.testing.assert_array_equal(weights, [1, 5, 21])
    np.testing.assert_array_equal(weigh_classes({}, NAMES, index, None), [1, 1, 1])


@pytest.mark.parametrize(
    "classes",
    [NAMES, NAMES.astype(object), np.array([-1, 0, 5]), np.array([0.0, 1, 2])],
    ids=lambda classes: str(classes.dtype),
)
def test_labels_of_every_kind_are_found_in_a_dict(classes):
    weights = {label: k + 1 for k, label in enumerate(classes)}
    np.testing.assert_array_equal(
        weigh_classes(weights, classes, np.array([2, 0, 1]), None), [3, 1, 2]
    )


def test_weights_of_labels_go_label_by_label():
    _, Y = multilabel()
    sample_weight = np.random.default_rng(1).uniform(0, 3, len(Y))
    weights = weigh_labels("balanced", Y, sample_weight)
    assert weights.shape == Y.shape
    for k in range(3):
        expected = weigh_classes("balanced", np.arange(2), Y[:, k], sample_weight)
        np.testing.assert_array_equal(weights[:, k], expected)
    dicts = [{0: 2, 1: 3}, {}, {1: 0.5}]
    rows = weigh_labels(dicts, np.array([[0, 0, 0], [1, 1, 1]]), np.array([1.0, 10]))
    np.testing.assert_array_equal(rows, [[2, 1, 1], [30, 10, 5]])


# --- In training ----------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [lambda y: y, lambda y: NAMES[y], lambda y: y != 1])
def test_a_dict_is_repetition_of_rows(labels):
    X, y = unbalanced()
    labels = labels(y)
    classes = np.unique(labels)
    repeats = dict(zip(classes.tolist(), (3, 1, 2), strict=False))
    weighted = classifier(**FULL, class_weight=repeats).fit(X, labels)
    counts = np.array([repeats[label] for label in labels.tolist()])
    repeated = classifier(**FULL).fit(np.repeat(X, counts, axis=0), np.repeat(labels, counts))
    assert_same_probabilities(weighted, repeated, X)
    assert weighted.loss_ == pytest.approx(repeated.loss_, rel=1e-9)


def test_balanced_counts_rows_by_their_weights():
    X, y = unbalanced()
    counts = np.random.default_rng(2).integers(0, 4, len(y))
    weighted = classifier(**FULL, class_weight="balanced").fit(X, y, counts)
    repeated = classifier(**FULL, class_weight="balanced").fit(
        np.repeat(X, counts, axis=0), np.repeat(y, counts)
    )
    assert_same_probabilities(weighted, repeated, X)


def test_balanced_is_the_sample_weight_that_scikit_learn_computes():
    X, y = unbalanced()
    balanced = classifier(class_weight="balanced").fit(X, y)
    weighted = classifier().fit(X, y, compute_sample_weight("balanced", y))
    assert_same_probabilities(balanced, weighted, X, rtol=1e-12)


def test_class_weights_multiply_sample_weights():
    X, y = unbalanced()
    sample_weight = np.random.default_rng(3).uniform(0, 3, len(y))
    both = classifier(class_weight={1: 4}).fit(X, y, sample_weight)
    product = classifier().fit(X, y, sample_weight * np.where(y == 1, 4, 1))
    assert_same_probabilities(both, product, X, rtol=1e-12)


def test_balanced_of_balanced_classes_changes_nothing():
    X, y = iris()
    assert_same_probabilities(
        classifier(class_weight="balanced").fit(X, y), classifier().fit(X, y), X, rtol=1e-12
    )


def test_a_class_of_weight_0_is_not_learned():
    X, y = iris()
    estimator = classifier(max_iter=50, class_weight={2: 0}).fit(X, y)
    assert 2 not in estimator.predict(X[y != 2])


def test_balance_lifts_the_recall_of_a_rare_class():
    rng = np.random.default_rng(4)
    X = np.concatenate([rng.normal(0, 1, (500, 2)), rng.normal(1, 1, (25, 2))])
    y = np.repeat([0, 1], [500, 25])
    recalls = [
        (classifier(max_iter=60, class_weight=weight).fit(X, y).predict(X)[y == 1] == 1).mean()
        for weight in (None, "balanced")
    ]
    assert recalls[0] < 0.2
    assert recalls[1] > 0.6


def test_partial_fit_takes_a_dict():
    X, y = iris()
    weight = {0: 0.5, 2: 3}
    pieces = classifier(class_weight=weight)
    for _ in range(5):
        pieces.partial_fit(X, y, classes=[0, 1, 2])
    assert_same_probabilities(pieces, classifier(class_weight=weight).fit(X, y), X, rtol=1e-12)
    # Classes that a call does not meet need no special care.
    pieces.partial_fit(X[y == 1], y[y == 1])


@pytest.mark.parametrize("data", [iris, multilabel])
def test_partial_fit_refuses_balanced_and_explains(data):
    X, y = data()
    with pytest.raises(ValueError, match=r"not supported by partial_fit.*compute_class_weight"):
        classifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])


@pytest.mark.parametrize("batch_size", [16, "full"])
def test_multilabel_weights_of_all_labels_alike_are_row_weights(batch_size):
    X, Y = multilabel()
    Y = np.repeat(Y[:, :1], 3, axis=1)
    per_label = classifier(batch_size=batch_size, class_weight=[{0: 1, 1: 5}] * 3).fit(X, Y)
    per_row = classifier(batch_size=batch_size).fit(X, Y, np.where(Y[:, 0], 5, 1))
    assert_same_probabilities(per_label, per_row, X, rtol=1e-9)
    assert per_label.loss_ == pytest.approx(per_row.loss_, rel=1e-9)


@pytest.mark.parametrize("sample_weighted", [False, True])
def test_multilabel_weights_are_those_of_binary_problems_side_by_side(sample_weighted):
    """Without hidden layers the labels share nothing."""
    X, Y = multilabel()
    weights = np.random.default_rng(5).uniform(0, 3, len(Y)) if sample_weighted else None
    # Started at zero weights, and without a penalty, whose divisor the labels would share.
    settings = {
        "hidden_layer_sizes": (),
        "init": "normal",
        "l2": 0.0,
        "optimizer": SGD(),
        "max_iter": 400,
        "learning_rate": 1.0,
        "batch_size": "full",
    }
    # The steps differ by the mean weight, the minimum does not.
    class_weight = [{0: 1, 1: 5}, {0: 2, 1: 0.5}, {}]
    together = classifier(**settings, class_weight=class_weight).fit(X, Y, weights)
    for k, weight in enumerate(class_weight):
        alone = classifier(**settings, class_weight=weight).fit(X, Y[:, k], weights)
        expected = alone.predict_proba(X)[:, 1]
        np.testing.assert_allclose(together.predict_proba(X)[:, k], expected, atol=0.02)


def test_multilabel_balanced_is_a_list_of_balanced_dicts():
    X, Y = multilabel()
    dicts = [
        dict(enumerate(compute_class_weight("balanced", classes=np.arange(2), y=Y[:, k])))
        for k in range(3)
    ]
    assert_same_probabilities(
        classifier(class_weight="balanced").fit(X, Y), classifier(class_weight=dicts).fit(X, Y), X
    )


def test_multilabel_weights_with_batch_normalization_and_a_validation_part():
    X, Y = multilabel()
    settings = {"normalization": "batch", "early_stopping": True}
    per_label = classifier(**settings, class_weight=[{1: 5}] * 3).fit(X, Y)
    assert per_label.loss_ != classifier(**settings).fit(X, Y).loss_
    assert np.isfinite(per_label.predict_proba(X)).all()
    # The statistics count a row by its mean weight.
    Y = np.repeat(Y[:, :1], 3, axis=1)
    per_label = classifier(normalization="batch", class_weight=[{1: 5}] * 3).fit(X, Y)
    per_row = classifier(normalization="batch").fit(X, Y, np.where(Y[:, 0], 5, 1))
    assert_same_probabilities(per_label, per_row, X, rtol=1e-7)


@pytest.mark.parametrize("explicit", [False, True])
def test_validation_counts_classes_by_their_weights(explicit):
    X, y = cancer()
    rows = np.arange(len(y)) % 4 > 0
    validation = {"X_val": X[~rows], "y_val": y[~rows]} if explicit else {}
    settings = {"early_stopping": True, "max_iter": 10, "learning_rate": 1e-3}
    if explicit:
        X, y = X[rows], y[rows]
    by_class = classifier(**settings, class_weight={0: 9}).fit(X, y, **validation)
    if explicit:
        weights = np.where(validation["y_val"] == 0, 9, 1)
        expected = by_class.score(validation["X_val"], validation["y_val"], weights)
        assert by_class.best_validation_score_ == pytest.approx(expected, rel=1e-9)
    else:
        by_row = classifier(**settings).fit(X, y, np.where(y == 0, 9, 1))
        for column in ("validation_loss", "validation_score"):
            assert by_class.history_[column] == pytest.approx(by_row.history_[column], rel=1e-9)


def test_validation_of_labels_counts_rows_by_their_mean_weight(splits):
    X, Y = multilabel()
    class_weight = [{1: 5}, {0: 2}, {}]
    estimator = classifier(early_stopping=True, class_weight=class_weight).fit(X, Y)
    held_out = splits[-1][1]
    weights = weigh_labels(class_weight, Y[held_out], None)
    expected = estimator.score(X[held_out], Y[held_out], weights.mean(axis=1))
    assert estimator.best_validation_score_ == pytest.approx(expected, rel=1e-12)
    P, Y = estimator.predict_proba(X[held_out]), Y[held_out]
    terms = -weights / weights.mean() * np.log(np.where(Y == 1, P, 1 - P))
    best = np.argmax(estimator.validation_scores_)
    assert estimator.history_["validation_loss"][best] == pytest.approx(terms.sum(axis=1).mean())


def test_defaults_take_class_weights_in_a_grid():
    X, y = unbalanced()
    estimator = ScratchMLPClassifier(max_iter=2, random_state=0)
    for weight in ("balanced", {0: 2}, None):
        assert estimator.set_params(class_weight=weight).fit(X, y).n_iter_ == 2
