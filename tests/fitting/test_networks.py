"""Networks side by side: each learns as it would alone, and their mean is what is predicted."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale

from skscratch.nn import OneHot

from ..conftest import BOTH, cancer, classifier, diabetes, iris, multilabel, output, regressor
from .committees import (
    assert_same_committee,
    close,
    folds_of,
    in_groups,
    member_outputs,
    trained_alone,
)

both = pytest.mark.parametrize(("make", "data"), BOTH)
N = 3


def outputs():
    X, y = load_diabetes(return_X_y=True)
    return scale(X[:150]), np.column_stack([y[:150], 3 - 10 * X[:150, 2]])


KINDS = [
    pytest.param(classifier, iris, id="multiclass"),
    pytest.param(classifier, cancer, id="binary"),
    pytest.param(classifier, multilabel, id="multilabel"),
    pytest.param(regressor, diabetes, id="regressor"),
    pytest.param(regressor, outputs, id="outputs"),
]

PARAMS = [
    {},
    {"dropout": 0.3},
    {"normalization": "batch", "batch_size": 9},
    {"normalization": "layer"},
    {"optimizer": "adamw", "l2": 0.1, "clip_norm": 0.5},
    {"optimizer": "momentum", "shuffle": False},
    {"feature_scaling": "learned"},
    {"numerical_embedding": "periodic"},
    {"numerical_embedding": "piecewise_linear"},
    {"init": "auto"},
]


# Alone and side by side ------------------------------------------------------------------------


def assert_members_as_alone(estimator, X, y, weights=None):
    """Compare each member with what it is alone, as of the epoch that all went back to."""
    fitted = estimator._fitted
    seen = X if fitted.features.scaler is None else fitted.features.scaler.transform(X)
    Y = fitted.target.encode(estimator._clean_target(y), estimator.network_.dtype)
    for k, fold in enumerate(folds_of(estimator)):
        rows = np.delete(np.arange(len(y)), fold)
        alone = trained_alone(estimator, seen, Y, k, rows, estimator.best_epoch_, weights)
        member = estimator.network_.member((k,))
        for array, wanted in zip(member.snapshot(), alone.snapshot(), strict=True):
            close(array, wanted)


@pytest.mark.parametrize("at_most", [1, 2, 8])
@pytest.mark.parametrize("params", PARAMS, ids=repr)
@both
def test_a_member_is_what_it_is_alone(make, data, params, at_most, monkeypatch):
    in_groups(monkeypatch, at_most)
    X, y = data()
    assert_members_as_alone(make(n_networks=N, **params).fit(X, y), X, y)


@pytest.mark.parametrize(("make", "data"), KINDS)
def test_each_kind_of_target(make, data):
    X, y = data()
    estimator = make(n_networks=4).fit(X, y)
    assert_members_as_alone(estimator, X, y)


@pytest.mark.parametrize("shared", [True, False], ids=["one group", "groups"])
@both
def test_weights(make, data, shared, monkeypatch):
    in_groups(monkeypatch, 8 if shared else 1)
    X, y = data()
    weights = np.random.default_rng(0).integers(0, 4, len(y)).astype(float)
    estimator = make(n_networks=N).fit(X, y, sample_weight=weights)
    assert_members_as_alone(estimator, X, y, weights[:, np.newaxis])


def test_class_weights():
    X, y = iris()
    estimator = classifier(n_networks=N, class_weight={0: 5.0, 1: 0.5}).fit(X, y)
    assert_members_as_alone(estimator, X, y, np.array([5.0, 0.5, 1.0])[y][:, np.newaxis])


def test_label_smoothing():
    X, y = iris()
    assert_members_as_alone(classifier(n_networks=N, label_smoothing=0.2).fit(X, y), X, y)


@pytest.mark.parametrize("at_most", [1, 8])
@both
def test_sparse_rows(make, data, at_most, monkeypatch):
    in_groups(monkeypatch, at_most)
    X, y = data()
    X = np.where(X > 0.5, X, 0)
    sparse = make(n_networks=N).fit(csr_matrix(X), y)
    assert_members_as_alone(sparse, X, y)
    close(output(sparse, csr_matrix(X)), output(sparse, X))


@pytest.mark.parametrize("at_most", [1, 8])
@both
def test_memory_mapped_rows(make, data, at_most, monkeypatch, tmp_path):
    in_groups(monkeypatch, at_most)
    X, y = data()
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    params = {"n_networks": N, "feature_scaling": "robust"}
    assert_same_committee(make(**params).fit(mapped, y), make(**params).fit(np.array(mapped), y))


@pytest.mark.parametrize("params", PARAMS, ids=repr)
@both
def test_groups_do_not_matter(make, data, params, monkeypatch):
    X, y = data()
    estimators = []
    for at_most in (8, 3, 2, 1):
        in_groups(monkeypatch, at_most)
        estimators.append(make(n_networks=7, max_iter=3, **params).fit(X, y))
        sizes = [math.prod(each.network.stack) for each in estimators[-1]._fitted.learners]
        assert max(sizes) <= at_most
        assert sum(sizes) == 7
    for other in estimators[1:]:
        assert_same_committee(other, estimators[0], exactly=False)
        close(output(other, X), output(estimators[0], X))
        close(other.oof_score_, estimators[0].oof_score_)


@pytest.mark.parametrize("n_jobs", [2, 3, -1])
@pytest.mark.parametrize("params", [{}, {"dropout": 0.3}, {"normalization": "batch"}], ids=repr)
@pytest.mark.parametrize(("make", "data"), KINDS)
def test_n_jobs_do_not_matter(make, data, params, n_jobs, monkeypatch):
    in_groups(monkeypatch, 1)
    X, y = data()
    alone = make(n_networks=5, max_iter=3, **params).fit(X, y)
    several = make(n_networks=5, max_iter=3, n_jobs=n_jobs, **params).fit(X, y)
    assert_same_committee(several, alone)


def test_with_n_jobs_one_target_is_shared():
    """Threads that make rows of a `OneHot` at once disturb each other in nothing."""
    Y = OneHot(np.zeros(20, int), 3, np.array([0.0, 1.0]))

    class Disturbed(OneHot):
        def __setattr__(self, name, value):
            super().__setattr__(name, value)
            if name == "_starts" and len(value) == 20:  # another thread wants fewer rows
                super().__setattr__(name, value[:5])

    Y.__class__ = Disturbed
    assert Y.take(slice(None), np.empty((20, 3)))[:, 0].all()


# Their mean ------------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, {"feature_scaling": "learned", "normalization": "batch"}])
@pytest.mark.parametrize(("make", "data"), KINDS)
def test_the_mean_of_all_is_predicted(make, data, params):
    X, y = data()
    estimator = make(n_networks=N, **params).fit(X, y)
    members = member_outputs(estimator, X)
    assert len(members) == N
    assert np.ptp(members, axis=0).min() > 0
    close(output(estimator, X), members.mean(axis=0))


def test_with_a_log_link_the_logits_are_averaged():
    X, y = diabetes()
    estimator = regressor(n_networks=N, loss="poisson").fit(X, y)
    close(estimator.predict(X), np.exp(np.log(member_outputs(estimator, X)).mean(axis=0)))


def test_the_temperature_divides_the_mean():
    X, y = iris()
    estimator = classifier(n_networks=N, calibrate=True, max_iter=20).fit(X, y)
    assert estimator.temperature_ != 1
    logits = np.array([estimator._fitted.member(k).network.predict(X) for k in range(N)])
    close(estimator.decision_function(X), logits.mean(axis=0) / estimator.temperature_)


@both
def test_members_differ_and_one_is_the_network_of_old(make, data):
    X, y = data()
    one = make(n_networks=1).fit(X, y)
    assert one.coefs_[0].ndim == 2
    assert make(n_networks=N).fit(X, y).coefs_[0].shape == (N, *one.coefs_[0].shape)


@both
def test_rows_too_few_for_folds(make, data):
    X, y = data()
    rows = np.random.default_rng(0).permutation(len(y))[:39]
    X, y = X[rows], y[rows]
    estimator = make(n_networks=N).fit(X, y)
    assert estimator.plan_.judge == ""
    assert all(np.isnan(estimator.history_["validation_loss"]))
    Y = estimator._fitted.target.encode(estimator._clean_target(y), np.float64)
    for k in range(N):
        alone = trained_alone(estimator, X, Y, k, np.arange(39), 5)
        close(estimator.network_.member((k,)).snapshot()[0], alone.snapshot()[0])
    assert np.ptp(member_outputs(estimator, X), axis=0).min() > 0
    with pytest.raises(AttributeError, match="n_networks to 2 or more with 40 rows or more"):
        _ = estimator.oof_score_


# In scikit-learn's hands -----------------------------------------------------------------------


@both
def test_parameters(make, data):
    estimator = make(n_networks=N, n_jobs=2)
    assert clone(estimator).get_params()["n_networks"] == N
    assert clone(estimator).set_params(n_networks="auto").n_networks == "auto"
    X, y = data()
    search = GridSearchCV(estimator, {"n_networks": [1, 2, 3]}, cv=2).fit(X, y)
    best = search.best_params_["n_networks"]
    assert search.best_estimator_.plan_.n_networks == best
    assert is_classifier(search) is is_classifier(estimator)


@pytest.mark.parametrize("value", [0, -1, 2.5, "many", None, True])
def test_a_number_of_networks_is_an_integer(value):
    with pytest.raises((ValueError, TypeError), match="n_networks must be"):
        classifier(n_networks=value).fit(*iris())


@pytest.mark.parametrize("value", [0, 1.5, "all"])
def test_a_number_of_jobs_is_an_integer(value):
    with pytest.raises((ValueError, TypeError), match="n_jobs must be"):
        classifier(n_networks=2, n_jobs=value).fit(*iris())


def test_many_rows_are_predicted_in_blocks():
    """No array has a row of hidden units for each row of X and each network."""
    X, y = iris()
    estimator = classifier(n_networks=8, hidden_layer_sizes=(64,), max_iter=1).fit(X, y)
    peaks = []
    for n_rows in (20_000, 60_000):
        many = np.resize(X, (n_rows, X.shape[1]))
        tracemalloc.start()
        estimator.predict(many)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # What is allowed to grow: the answer, and a bool for each value of X.
    assert peaks[1] - peaks[0] < 40_000 * 8 * 8
