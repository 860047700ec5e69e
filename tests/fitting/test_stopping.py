"""When training ends, and what it warns of then."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from ..conftest import (
    BOTH,
    assert_same_weights,
    cancer,
    classes_for,
    classifier,
    multilabel,
    regressor,
)

both = pytest.mark.parametrize(("make", "data"), BOTH)

with_an_end = pytest.mark.parametrize("name", ["cosine", "one_cycle", "warmup_cosine"])


@pytest.mark.parametrize(
    ("make", "data"), [*BOTH, pytest.param(classifier, multilabel, id="multilabel")]
)
def test_early_stopping_restores_the_best_weights(make, data, splits):
    X, y = data()
    estimator = make(early_stopping=True, learning_rate=0.1, max_iter=40, batch_size=8, l2=0.0).fit(
        X, y
    )
    ((training, held_out),) = splits
    scores = estimator.validation_scores_
    assert scores[-1] < max(scores)  # there is something to restore
    assert estimator.score(X[held_out], y[held_out]) == pytest.approx(max(scores), rel=1e-12)
    assert estimator.t_ == 40 * len(training)
    # The best epoch's weights are those that a run as long as that would end with.
    best = 1 + int(np.argmax(scores))
    shorter = clone(estimator).set_params(max_iter=best).fit(X, y)
    assert_same_weights(shorter, estimator)


@both
def test_early_stopping_ends_when_patience_is_spent(make, data):
    X, y = data()
    estimator = make(early_stopping=True, tol=1e9, n_iter_no_change=3, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.fit(X, y)
    # The first epoch always counts as better than none.
    assert estimator.n_iter_ == 1 + 3 + 1


@both
def test_rows_held_out_are_never_trained_on(make, data, splits):
    X, y = data()
    params = {"early_stopping": True, "max_iter": 6, "dropout": 0.2}
    plain = make(**params).fit(X, y)
    held_out = splits[0][1]
    other = X.copy()
    other[held_out] = 1e6
    estimator = make(**params).fit(other, y)
    np.testing.assert_array_equal(splits[1][1], held_out)
    assert estimator.loss_curve_ == plain.loss_curve_
    assert estimator.history_["gradient_norm"] == plain.history_["gradient_norm"]
    assert estimator.validation_scores_ != plain.validation_scores_
    other = X.copy()
    other[splits[0][0][0]] = 1e6
    assert make(**params).fit(other, y).loss_curve_ != plain.loss_curve_


@both
def test_weights_of_rows_held_out_do_not_matter_in_training(make, data, splits):
    X, y = data()
    target = {"standardize_target": False} if make is regressor else {}
    params = {"early_stopping": True, "max_iter": 6, "l2": 5.0, **target}
    weights = np.random.default_rng(0).uniform(0.1, 3, len(y))
    plain = make(**params).fit(X, y, weights)
    for rows, matters in zip(splits[0], (True, False), strict=True):
        other = weights.copy()
        other[rows] *= np.linspace(1, 10, len(rows))
        estimator = make(**params).fit(X, y, other)
        assert (estimator.loss_curve_ != plain.loss_curve_) is matters


@both
def test_validation_fraction_is_the_share_held_out(make, data, splits):
    X, y = data()
    for fraction, n_rows in ((0.1, 15), (0.5, 75), (0.21, 32)):
        estimator = make(early_stopping=True, validation_fraction=fraction).fit(X, y)
        assert len(splits[-1][1]) == n_rows
        assert estimator.t_ == 5 * (150 - n_rows)


def test_the_validation_part_is_stratified(splits):
    X, y = cancer()
    classifier(early_stopping=True, max_iter=1, validation_fraction=0.25).fit(X, y)
    ((_, held_out),) = splits
    np.testing.assert_allclose(np.bincount(y[held_out]), np.bincount(y) / 4, atol=1)


@both
def test_training_ends_when_the_loss_stalls(make, data):
    X, y = data()
    estimator = make(tol=1e9, n_iter_no_change=4, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.fit(X, y)
    assert estimator.n_iter_ == 1 + 4 + 1


@both
def test_patience_is_renewed_by_warm_start(make, data):
    X, y = data()
    estimator = make(tol=1e9, n_iter_no_change=4, max_iter=100, warm_start=True).fit(X, y)
    assert estimator.fit(X, y).n_iter_ == 6


@both
def test_adaptive_schedule_lowers_the_rate_at_each_plateau(make, data):
    X, y = data()
    estimator = make(
        lr_schedule="adaptive", tol=1e9, n_iter_no_change=1, max_iter=1000, learning_rate=0.01
    )
    estimator.fit(X, y)
    rates = estimator.history_["learning_rate"]
    assert rates[0] == 0.01
    assert all(after <= before for before, after in pairwise(rates))
    assert len(set(rates)) > 3
    assert rates[-1] <= 5e-6
    assert len(rates) < 1000


@both
def test_convergence_warning_at_max_iter(make, data):
    X, y = data()
    with pytest.warns(ConvergenceWarning, match="max_iter=5 before it converged"):
        make(max_iter=5, n_iter_no_change=10).fit(X, y)
    with pytest.warns(ConvergenceWarning):
        make(max_iter=5, n_iter_no_change=10, early_stopping=True).fit(X, y)


@both
def test_no_convergence_warning_where_the_user_fixed_the_epochs(make, data):
    X, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert make(max_iter=5, n_iter_no_change=np.inf).fit(X, y).n_iter_ == 5


@both
@with_an_end
@pytest.mark.parametrize("early_stopping", [False, True])
def test_no_convergence_warning_where_the_schedule_has_an_end(make, data, name, early_stopping):
    X, y = data()
    estimator = make(lr_schedule=name, tol=1e9, n_iter_no_change=1, early_stopping=early_stopping)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.fit(X, y)
    # The stop by tol is switched off on the training loss, not on the validation score.
    assert estimator.n_iter_ == (3 if early_stopping else 5)


@both
def test_partial_fit_warns_of_nothing(make, data):
    X, y = data()
    estimator = make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            estimator.partial_fit(X, y, **classes_for(estimator, y))


@both
def test_verbose_prints_a_line_per_epoch(make, data, capsys):
    X, y = data()
    make(verbose=False).fit(X, y)
    assert capsys.readouterr().out == ""
    estimator = make(verbose=True, max_iter=3).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Epoch 1", "Epoch 2", "Epoch 3"]
    assert f"{estimator.loss_:.6f}" in lines[2]
    assert "validation" not in lines[0]
    estimator.partial_fit(X, y)
    assert capsys.readouterr().out.startswith("Epoch 4: loss ")
    make(verbose=1, max_iter=2, early_stopping=True).fit(X, y)
    assert "validation score" in capsys.readouterr().out.splitlines()[1]
