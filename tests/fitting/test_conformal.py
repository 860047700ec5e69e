"""Intervals and sets from rows left out: the definitions, what they cover, and what is refused."""

import pickle

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold, RepeatedKFold

from skscratch import Pinball
from skscratch._fitting.conformal import (
    inclusion_scores,
    intervals,
    rank_of,
    sets,
    smallest,
    sort_scores,
)
from tests.conftest import classifier, iris, multilabel, regressor

# The mathematics --------------------------------------------------------------------------------


def scores_of(rng, n_rows, n_networks, ties=False):
    """Draw scores and the network of each; some networks may have none."""
    scores = rng.normal(size=n_rows)
    return np.round(scores) if ties else scores, rng.integers(n_networks, size=n_rows)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n_networks", [1, 3, 8])
def test_smallest_is_that_of_the_sorted_values(n_networks, ties):
    rng = np.random.default_rng(n_networks)
    for n_rows in (1, 2, 5, 40, 300):
        scores, networks = scores_of(rng, n_rows, n_networks, ties)
        centers = rng.normal(size=(n_networks, 25)) * rng.choice([0, 0.1, 10, 1e6])
        spreads = rng.gamma(1, size=(n_networks, 25))
        if ties:
            centers, spreads = np.round(centers), np.ones((n_networks, 25))
        values = np.sort(centers[networks] + spreads[networks] * scores[:, np.newaxis], axis=0)
        for rank in {1, n_rows, rng.integers(1, n_rows + 1)}:
            found = smallest(centers, spreads, sort_scores(scores, networks), rank)
            np.testing.assert_allclose(found, values[rank - 1], rtol=1e-9, atol=1e-9)


def test_intervals_are_those_of_the_paper():
    # Of the lower ends the floor(alpha (n + 1))-th, of the upper the ceil((1 - alpha) (n + 1))-th.
    rng = np.random.default_rng(0)
    n, alpha = 57, 0.2
    scores, networks = scores_of(rng, n, 4)
    errors, centers = np.abs(scores), rng.normal(size=(4, 30))
    found = sort_scores(errors, networks)
    rank = rank_of(1 - alpha, n)
    ends = intervals(centers, np.ones((4, 30)), found, found, rank)
    low = np.sort(centers[networks] - errors[:, np.newaxis], axis=0)
    high = np.sort(centers[networks] + errors[:, np.newaxis], axis=0)
    np.testing.assert_allclose(ends[:, 0], low[int(alpha * (n + 1)) - 1], rtol=1e-9)
    np.testing.assert_allclose(ends[:, 1], high[int(np.ceil((1 - alpha) * (n + 1))) - 1], rtol=1e-9)


def test_ends_never_cross():
    # Networks at -100 and 100 whose errors are 1 leave nothing at a level of 0.3.
    scores = sort_scores(np.ones(20), np.arange(20) % 2)
    centers = np.array([[-100.0], [100.0]])
    low, high = intervals(centers, np.ones((2, 1)), scores, scores, rank_of(0.3, 20))[0]
    assert low == high


@pytest.mark.parametrize(
    ("level", "n", "n_sides", "rank"),
    [(0.9, 9, 1, 9), (0.9, 10, 1, 10), (0.9, 19, 2, 19), (0.5, 3, 1, 2), (0.95, 19, 1, 19)],
)
def test_rank(level, n, n_sides, rank):
    assert rank_of(level, n, n_sides) == rank


@pytest.mark.parametrize(("n", "n_sides", "enough"), [(8, 1, 9), (18, 2, 19), (0, 1, 9)])
def test_too_few_rows_name_the_number_that_would_do(n, n_sides, enough):
    with pytest.raises(ValueError, match=rf"confidence_level=0.9 needs {enough} rows.*are {n}:"):
        rank_of(0.9, n, n_sides)
    rank_of(0.9, enough, n_sides)


def test_sets_are_those_of_the_paper():
    rng = np.random.default_rng(0)
    n, n_networks, rank = 40, 3, 30
    scores, networks = scores_of(rng, n, n_networks)
    new = rng.normal(size=(n_networks, 12, 5))
    inside = sets(new, sort_scores(scores, networks), rank)
    for row, label in np.ndindex(12, 5):
        smaller = sum(scores[i] < new[networks[i], row, label] for i in range(n))
        assert inside[row, label] == (smaller < rank)


def test_inclusion_score_is_the_least_level_whose_set_has_the_class():
    # S(x, u, tau) of Romano and others: the likeliest classes up to tau, the last one by chance.
    rng = np.random.default_rng(0)
    P, u = rng.dirichlet(np.ones(4), 20), rng.random(20)
    scores = inclusion_scores(P, u)
    for i in range(20):
        order = np.argsort(-P[i])
        sums = np.cumsum(P[i, order])
        for tau in np.linspace(0.01, 0.99, 30):
            last = int(np.argmax(sums >= tau))
            leave = u[i] <= (sums[last] - tau) / P[i, order[last]]
            members = set(order[: last + 1 - leave].tolist())
            assert members == set(np.flatnonzero(scores[i] < tau).tolist())


def test_right_probabilities_have_uniform_scores():
    rng = np.random.default_rng(0)
    P = rng.dirichlet(np.ones(3), 20_000)
    y = (rng.random((20_000, 1)) > np.cumsum(P, axis=1)).sum(axis=1).clip(max=2)
    scores = inclusion_scores(P, rng.random(20_000))[np.arange(20_000), y]
    assert np.abs(np.quantile(scores, [0.1, 0.5, 0.9]) - [0.1, 0.5, 0.9]).max() < 0.015


# Intervals --------------------------------------------------------------------------------------


def curve(rng, n, noise=None):
    """Draw a noisy sine, with as much noise to the right as to the left by default."""
    x = rng.uniform(-2, 2, n)
    noise = rng.normal(size=n) if noise is None else noise
    return x[:, np.newaxis], np.sin(2 * x) + 0.3 * noise


def several(**params):
    return regressor(**{"n_networks": 4, "max_iter": 30, "batch_size": 32, **params})


def coverage(intervals, y):
    return np.mean((intervals[..., 0] <= y) & (y <= intervals[..., 1]))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"loss": "absolute_error"},
        {"loss": Pinball(quantile=0.8)},
        {"n_networks": 1, "early_stopping": True, "validation_fraction": 0.3},
        {"early_stopping": True, "validation_fraction": 0.3},
        {"n_networks": "auto", "cv": KFold(3)},
    ],
    ids=["squared", "absolute", "quantile", "one network", "held out", "cv"],
)
def test_coverage_of_intervals(params):
    # Over repeated samples: the mean of 12 shares with a standard deviation of about 0.035 each.
    rng, covered = np.random.default_rng(0), []
    for _ in range(12):
        X, y = curve(rng, 120)
        X_test, y_test = curve(rng, 500)
        reg = several(**params, random_state=int(rng.integers(1000))).fit(X, y)
        covered.append(coverage(reg.predict_interval(X_test, confidence_level=0.8), y_test))
    assert 0.77 < np.mean(covered) < 0.88


def test_misses_are_shared_out_between_the_sides_if_the_loss_is_not_symmetric():
    rng, below, above = np.random.default_rng(0), [], []
    for _ in range(8):
        X, y = curve(rng, 200, rng.exponential(size=200))
        X_test, y_test = curve(rng, 500, rng.exponential(size=500))
        low, high = several(loss="quantile").fit(X, y).predict_interval(X_test, 0.8).T
        below.append(np.mean(y_test < low))
        above.append(np.mean(y_test > high))
    assert 0.05 < np.mean(below) < 0.13
    assert 0.05 < np.mean(above) < 0.13


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_intervals_of_counts_and_amounts_grow_with_the_prediction(loss):
    rng = np.random.default_rng(0)

    def sample(n):
        x = rng.uniform(-1, 1, n)
        mean = np.exp(1.5 + 1.5 * x)
        return x[:, np.newaxis], rng.poisson(mean) if loss == "poisson" else mean * rng.gamma(
            2, 0.5, n
        )

    X, y = sample(600)
    X_test, y_test = sample(4000)
    ends = several(loss=loss).fit(X, y).predict_interval(X_test)
    assert ends.min() >= 0
    assert 0.87 < coverage(ends, y_test) < 0.94
    for part in (X_test[:, 0] < -0.3, X_test[:, 0] > 0.3):
        assert 0.84 < coverage(ends[part], y_test[part]) < 0.97
    width = np.diff(ends)[:, 0]
    assert width[X_test[:, 0] > 0.8].mean() > 2 * width[X_test[:, 0] < -0.8].mean()


def test_each_output_has_its_own_interval():
    rng = np.random.default_rng(0)
    X, y = curve(rng, 200)
    Y = np.column_stack([y, 100 * rng.normal(size=200)])
    reg = several(max_iter=3).fit(X, Y)
    ends = reg.predict_interval(X[:7])
    assert ends.shape == (7, 2, 2)
    assert (ends[:, 0, 1] - ends[:, 0, 0]).max() < 10 < 100 < np.diff(ends[:, 1]).min()
    np.testing.assert_array_equal(ends[..., 0] <= reg.predict(X[:7]), True)
    assert reg.predict_interval(X[:0]).shape == (0, 2, 2)


@pytest.mark.parametrize(
    "params", [{}, {"early_stopping": True}, {"cv": RepeatedKFold(n_splits=3, n_repeats=2)}]
)
def test_interval_against_its_definition(params):
    X, y = curve(np.random.default_rng(0), 60)
    if "cv" in params:
        params = {**params, "n_networks": "auto"}
    reg = several(max_iter=3, **params).fit(X, y)
    found = reg._out_of_fold
    errors = np.abs(y[found.rows] - reg._target.decode(found.logits)[:, 0])
    logits = reg.network_.predict(reg._fitted.features.rows(X, reg.network_.dtype))
    own = (
        logits.mean(axis=0)[np.newaxis].repeat(len(errors), 0)
        if found.networks is None
        else logits[found.networks]
    )
    predicted = reg._target.decode(own)[..., 0]
    n = len(errors)
    low = np.sort(predicted - errors[:, np.newaxis], axis=0)[int(0.3 * (n + 1)) - 1]
    high = np.sort(predicted + errors[:, np.newaxis], axis=0)[int(np.ceil(0.7 * (n + 1))) - 1]
    np.testing.assert_allclose(reg.predict_interval(X, 0.7), np.stack([low, high], 1), rtol=1e-9)


def test_rows_without_weight_do_not_count():
    X, y = curve(np.random.default_rng(0), 80)
    weights = np.tile([1.0, 1.0, 1.0, 0.0], 20)
    wild = np.where(weights == 0, 1e3, y)
    ends = [several(max_iter=3).fit(X, each, weights).predict_interval(X) for each in (y, wild)]
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-6)


def test_a_file_keeps_what_intervals_need():
    X, y = curve(np.random.default_rng(0), 60)
    reg = several(max_iter=3).fit(X, y)
    other = pickle.loads(pickle.dumps(reg))
    np.testing.assert_array_equal(other.predict_interval(X), reg.predict_interval(X))


# Sets -------------------------------------------------------------------------------------------


def blobs(rng, n, n_classes):
    y = rng.integers(n_classes, size=n)
    angle = 2 * np.pi * y / n_classes
    return np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(size=(n, 2)) * 0.8, y


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("params", [{}, {"early_stopping": True, "validation_fraction": 0.3}])
def test_coverage_of_sets(params, n_classes):
    rng, covered, sizes = np.random.default_rng(0), [], []
    for _ in range(12):
        X, y = blobs(rng, 120, n_classes)
        X_test, y_test = blobs(rng, 500, n_classes)
        clf = classifier(n_networks=4, max_iter=30, calibrate=True, **params).fit(X, y)
        inside = clf.predict_set(X_test, confidence_level=0.8)
        assert inside.shape == (500, n_classes)
        assert inside.dtype == bool
        covered.append(inside[np.arange(500), y_test].mean())
        sizes.append(inside.sum(axis=1).mean())
    assert 0.76 < np.mean(covered) < 0.88
    assert np.mean(sizes) < 0.75 * n_classes


def test_sets_are_the_same_in_each_call_and_grow_with_the_level():
    X, y = iris()
    clf = classifier(n_networks=3).fit(X, np.array(["a", "b", "c"])[y])
    before = pickle.dumps(clf)
    first = clf.predict_set(X)
    np.testing.assert_array_equal(first, clf.predict_set(X))
    np.testing.assert_array_equal(first, pickle.loads(before).predict_set(X))
    assert np.all(first <= clf.predict_set(X, confidence_level=0.95))
    assert clf.predict_set(X[:0]).shape == (0, 3)


def test_rows_that_come_one_by_one_do_not_share_their_luck():
    # With the same random number for each, coverage would be far from what was asked for.
    rng = np.random.default_rng(0)
    X, y = blobs(rng, 400, 2)
    X_test, y_test = blobs(rng, 600, 2)
    clf = classifier(n_networks=4, max_iter=30).fit(X, y)
    inside = np.vstack([clf.predict_set(row[np.newaxis], 0.8) for row in X_test])
    assert 0.75 < inside[np.arange(600), y_test].mean() < 0.87


# What is refused --------------------------------------------------------------------------------

CASES = [
    pytest.param(
        several, "predict_interval", lambda: curve(np.random.default_rng(0), 60), id="interval"
    ),
    pytest.param(lambda **p: classifier(**{"n_networks": 3, **p}), "predict_set", iris, id="set"),
]


@pytest.mark.parametrize(("make", "method", "data"), CASES)
def test_what_is_refused(make, method, data):
    X, y = data()
    with pytest.raises(NotFittedError):
        getattr(make(), method)(X)
    with pytest.raises(ValueError, match=r"no out-of-fold predictions.*Set n_networks to 2"):
        getattr(make(n_networks=1).fit(X, y), method)(X)
    model = make().fit(X, y)
    for level in (0, 1, -0.5, 90, float("nan")):
        with pytest.raises(ValueError, match="confidence_level must be a number in"):
            getattr(model, method)(X, confidence_level=level)
    with pytest.raises(TypeError, match="confidence_level must be a number in"):
        getattr(model, method)(X, confidence_level="0.9")
    with pytest.raises(ValueError, match=r"confidence_level=0.999 needs 999 rows"):
        getattr(model, method)(X, confidence_level=0.999)
    with pytest.raises(ValueError, match="features"):
        getattr(model, method)(X[:, :0])


def test_sets_of_independent_labels_are_refused():
    X, Y = multilabel()
    clf = classifier(n_networks=2).fit(X, Y)
    with pytest.raises(ValueError, match=r"multilabel.*predict_proba"):
        clf.predict_set(X)
