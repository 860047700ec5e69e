"""Folds: which rows each network leaves out, by default and as ``cv`` says."""

import importlib

import numpy as np
import pytest
import sklearn
from sklearn.base import clone, is_classifier
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    ShuffleSplit,
    StratifiedKFold,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skscratch._fitting.split import cut_folds

from ..conftest import (
    BOTH,
    assert_same_weights,
    classifier,
    diabetes,
    iris,
    multilabel,
    regressor,
    state,
)
from .committees import folds_of, in_groups

both = pytest.mark.parametrize(("make", "data"), BOTH)


@pytest.fixture
def trained_on(monkeypatch):
    """Record the rows that each network's batches draw from, by its number."""
    from skscratch._fitting import groups

    class Recording(groups.Batches):
        def __init__(self, *args, rows=None, **kwargs):
            several = np.ndim(rows[0]) > 0
            recorded.extend(map(np.array, rows if several else [rows]))
            super().__init__(*args, rows=rows, **kwargs)

    recorded = []
    monkeypatch.setattr(groups, "Batches", Recording)
    return recorded


# By default ------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_most", [1, 8])
@pytest.mark.parametrize("n_networks", [2, 3, 7])
@both
def test_each_row_is_left_out_by_one_network(
    make, data, n_networks, at_most, trained_on, monkeypatch
):
    in_groups(monkeypatch, at_most)
    X, y = data()
    folds = folds_of(make(n_networks=n_networks, max_iter=1).fit(X, y))
    everything = np.arange(len(y))
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), everything)
    sizes = [len(fold) for fold in folds]
    assert len(folds) == n_networks == len(trained_on)
    assert max(sizes) - min(sizes) <= 1
    for fold, rows in zip(folds, trained_on, strict=True):
        np.testing.assert_array_equal(np.setdiff1d(everything, fold), np.sort(rows))


def test_batches_have_no_row_of_the_fold():
    """What a step really gets: here each row's only value is its number."""
    X = np.arange(60.0)[:, np.newaxis]
    seen = {}

    def note(learner, batch, *rest):
        for k, rows in enumerate(np.asarray(batch.X)[..., 0]):
            seen.setdefault(k, set()).update(rows.astype(int).tolist())
        return original(learner, batch, *rest)

    fit = importlib.import_module("skscratch.nn.fit")
    original = fit.train_step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "train_step", note)
        estimator = regressor(n_networks=4, max_iter=2, batch_size=7).fit(X, np.cos(X[:, 0]))
    for k, fold in enumerate(folds_of(estimator)):
        assert seen[k] == set(range(60)) - set(fold.tolist())


def test_classes_are_spread_evenly():
    X, y = iris()
    y = np.where(np.arange(150) % 10 == 0, 2, y % 2)
    for fold in folds_of(classifier(n_networks=4, max_iter=1).fit(X, y)):
        wanted = np.bincount(y) / 4
        assert np.abs(np.bincount(y[fold]) - wanted).max() < 2


def test_labels_are_not_spread():
    """Independent labels have no strata: the folds are those of a regressor."""
    X, Y = multilabel()
    labels = folds_of(classifier(n_networks=4, max_iter=1).fit(X, Y))
    numbers = folds_of(regressor(n_networks=4, max_iter=1).fit(X, Y))
    for fold, other in zip(labels, numbers, strict=True):
        np.testing.assert_array_equal(fold, other)


def test_rows_without_a_weight_are_spread_too():
    X, y = iris()
    weights = np.where(np.arange(150) % 5 == 0, 0.0, 1.0)
    estimator = classifier(n_networks=4, max_iter=1).fit(X, y, sample_weight=weights)
    counts = [np.count_nonzero(weights[fold] == 0) for fold in folds_of(estimator)]
    assert sum(counts) == 30
    assert max(counts) - min(counts) <= 1


def test_the_seed_decides():
    X, y = iris()
    first, same, other = (
        folds_of(classifier(n_networks=3, max_iter=1, random_state=seed).fit(X, y))
        for seed in (0, 0, 1)
    )
    assert all(map(np.array_equal, first, same))
    assert not all(map(np.array_equal, first, other))


def test_any_numbers_of_rows_classes_and_folds():
    rng = np.random.default_rng(0)
    for _ in range(200):
        n_samples, n_folds = rng.integers(40, 90), rng.integers(2, 20)
        labels = rng.integers(0, rng.integers(1, 9), n_samples)
        weights = rng.integers(0, 2, n_samples) if rng.random() < 0.5 else None
        folds = cut_folds(n_samples, n_folds, rng, labels, weights)
        sizes = [len(fold) for fold in folds]
        assert max(sizes) - min(sizes) <= 1
        np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(n_samples))
        by_class = np.array([np.bincount(labels[fold], minlength=9) for fold in folds])
        assert np.ptp(by_class, axis=0).max() <= (1 if weights is None else 2)


# As cv says ------------------------------------------------------------------------------------


@both
def test_an_integer_is_scikit_learns(make, data):
    X, y = data()
    splitter = StratifiedKFold(3) if is_classifier(make()) else KFold(3)
    wanted = [left_out for _, left_out in splitter.split(X, y)]
    for fold, rows in zip(folds_of(make(n_networks="auto", cv=3).fit(X, y)), wanted, strict=True):
        np.testing.assert_array_equal(fold, rows)


@pytest.mark.parametrize("n_networks", ["auto", 4])
@both
def test_a_splitter(make, data, n_networks, trained_on):
    X, y = data()
    cv = KFold(4, shuffle=True, random_state=7)
    estimator = make(n_networks=n_networks, cv=cv).fit(X, y)
    assert estimator.plan_.n_networks == 4
    found = zip(folds_of(estimator), trained_on, cv.split(X), strict=True)
    for fold, rows, (training, left_out) in found:
        np.testing.assert_array_equal(fold, left_out)
        np.testing.assert_array_equal(rows, training)


def test_splits_by_masks_and_lists():
    X, y = iris()
    fold = np.arange(150) % 3
    masks = [(fold != k, fold == k) for k in range(3)]
    lists = [tuple(np.flatnonzero(part).tolist() for part in split) for split in masks]
    predefined = PredefinedSplit(fold)
    first, *others = (
        classifier(n_networks="auto", cv=cv).fit(X, y) for cv in (masks, lists, predefined)
    )
    for other in others:
        assert_same_weights(first, other)


def test_few_rows_are_cut_if_cv_says_so():
    X, y = iris()
    assert len(folds_of(classifier(n_networks="auto", cv=3).fit(X[::5], y[::5]))) == 3


def test_folds_of_several_sizes_are_trained_side_by_side(monkeypatch):
    X, y = iris()
    groups = np.repeat(np.arange(4), [10, 30, 50, 60])
    estimator = classifier(n_networks="auto", cv=LeaveOneGroupOut()).fit(X, y, groups=groups)
    assert [len(fold) for fold in folds_of(estimator)] == [10, 30, 50, 60]
    in_groups(monkeypatch, 1)
    alone = classifier(n_networks="auto", cv=LeaveOneGroupOut()).fit(X, y, groups=groups)
    np.testing.assert_allclose(estimator.decision_function(X), alone.decision_function(X))


@both
def test_one_split_is_one_network(make, data):
    X, y = data()
    ((training, left_out),) = ShuffleSplit(1, test_size=0.3, random_state=0).split(X)
    estimator = make(n_networks="auto", cv=[(training, left_out)]).fit(X, y)
    assert estimator.coefs_[0].ndim == 2
    assert estimator.plan_.n_networks == 1
    np.testing.assert_array_equal(estimator._fitted.out_of_fold.rows, left_out)


# Groups ----------------------------------------------------------------------------------------

GROUPS = np.arange(150) // 5


@both
def test_groups_stay_together(make, data):
    X, y = data()
    estimator = make(n_networks="auto", cv=GroupKFold(3)).fit(X, y, groups=GROUPS)
    of_group = np.empty(150, int)
    for k, fold in enumerate(folds_of(estimator)):
        of_group[fold] = k
    assert all(len(set(of_group[group == GROUPS])) == 1 for group in range(30))
    with pytest.raises(ValueError, match="'groups' parameter should not be None"):
        clone(estimator).fit(X, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clone(estimator).fit(X, y, groups=GROUPS[:-1])


@both
def test_groups_that_nothing_looks_at(make, data):
    X, y = data()
    with pytest.warns(UserWarning, match="groups.*cv=None.*GroupKFold"):
        make(n_networks=2).fit(X, y, groups=GROUPS)


@pytest.mark.parametrize("outer", ["pipeline", "search"])
def test_groups_through_metadata_routing(outer):
    X, y = iris()
    with sklearn.config_context(enable_metadata_routing=True):
        inner = classifier(n_networks="auto", cv=GroupKFold(3)).set_fit_request(groups=True)
        if outer == "pipeline":
            whole = make_pipeline(StandardScaler(), inner).fit(X, y, groups=GROUPS)
            fitted, groups = whole[-1], GROUPS
        else:
            grid = {"l2": [0.01, 0.1]}
            whole = GridSearchCV(inner, grid, cv=GroupKFold(2)).fit(X, y, groups=GROUPS)
            fitted, groups = whole.best_estimator_, GROUPS
    for fold in folds_of(fitted):
        others = np.setdiff1d(np.arange(150), fold)
        assert not set(groups[fold]) & set(groups[others])


# What contradicts ------------------------------------------------------------------------------

EVERYTHING = np.arange(150)


@pytest.mark.parametrize(
    ("cv", "match"),
    [
        ([(EVERYTHING[:100], EVERYTHING[90:])], "Split 1 .* 100 rows .* 60 left out, 10 of them"),
        ([(EVERYTHING[:100], EVERYTHING[100:]), (EVERYTHING, [])], "Split 2 .* 0 left out"),
        ([([], EVERYTHING)], "0 rows to train on"),
        ([], "makes no splits"),
        ([(EVERYTHING[:100], [150])], "Split 1 .* a pair: numbers of rows .* from 0 to 149"),
        ([(EVERYTHING[:100], [0.5, 0.7])], "Split 1 .* a pair: numbers of rows .* from 0 to 149"),
        ([EVERYTHING[:100], EVERYTHING[100:]], "Split 1 .* a pair"),
        ([1, 2], "Split 1 .* a pair"),
        (1, "n_splits=1|at least"),
    ],
    ids=range(9),
)
def test_splits_that_are_none(cv, match):
    X, y = iris()
    estimator = classifier(n_networks="auto", cv=cv)
    before = state(estimator)
    with pytest.raises(ValueError, match=match):
        estimator.fit(X, y)
    assert state(estimator) == before


@pytest.mark.parametrize("cv", ["five", 2.5, True, 1j, b"3"], ids=repr)
def test_other_types(cv):
    with pytest.raises(TypeError, match="cv must be None, an integer, a splitter"):
        classifier(n_networks="auto", cv=cv).fit(*iris())


def test_numbers_that_contradict():
    X, y = iris()
    with pytest.raises(ValueError, match=r"cv makes 3 splits.* n_networks=4"):
        classifier(n_networks=4, cv=3).fit(X, y)
    assert classifier(n_networks=1, cv=3).fit(X, y).plan_.judge == ""  # it has no folds


def test_other_rows_that_judge():
    X, y = iris()
    with pytest.raises(ValueError, match=r"early_stopping=True.*Set cv=None"):
        classifier(n_networks=3, cv=3, early_stopping=True).fit(X, y)
    with pytest.raises(ValueError, match=r"X_val.*Set cv=None"):
        classifier(n_networks=3, cv=3).fit(X, y, X_val=X, y_val=y)


@both
def test_weights_that_leave_a_part_without(make, data):
    X, y = data()
    weights = np.repeat([0.0, 1.0], [75, 75])
    training, left_out = np.arange(75, 150), np.arange(75)
    estimator = make(n_networks="auto", cv=[(training, left_out)])
    with pytest.raises(ValueError, match=r"sample_weight.* is zero in all of the rows held out"):
        estimator.fit(X, y, sample_weight=weights)
    with pytest.raises(ValueError, match="sample_weight is zero in all rows of the training part"):
        estimator.set_params(cv=[(left_out, training)]).fit(X, y, sample_weight=weights)


def test_one_of_several_folds_may_be_without_weights():
    X, y = diabetes()
    weights = np.repeat([0.0, 1.0], [50, 100])
    estimator = regressor(n_networks="auto", cv=3).fit(X, y, sample_weight=weights)
    assert np.isfinite(estimator.oof_score_)
    assert np.isfinite(estimator.oof_prediction_).all()
