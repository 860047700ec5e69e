import math
import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skscratch import LBFGS, ScratchMLPClassifier, from_sklearn

from ..conftest import BOTH, classifier, diabetes, iris, multilabel, regressor

# A linear model has one minimum, so that the optimum is known from elsewhere.
LINEAR = {"hidden_layer_sizes": (), "optimizer": "lbfgs", "max_iter": 2000, "tol": 1e-9}

# SciPy may end a little short of the optimum, when the loss hardly changes any more.
NEAR = {"rtol": 0, "atol": 3e-4}


def overlapping(n_classes):
    """Make classes that no hyperplane separates: without a penalty the optimum is finite."""
    X, y = make_classification(
        300, 6, n_informative=4, n_classes=n_classes, flip_y=0.3, random_state=0
    )
    return scale(X), y


def logistic_regression(**params):
    # Newton's method: another way to the same place.
    return LogisticRegression(solver="newton-cg", tol=1e-10, max_iter=10_000, **params)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("l2", [0.1, 1.0, 100.0])
def test_reaches_logistic_regression(n_classes, l2):
    # scikit-learn minimizes C sum(loss) + |W|^2 / 2, we that by l2 / n = 1 / (C n).
    X, y = overlapping(n_classes)
    reference = logistic_regression(C=1 / l2).fit(X, y)
    estimator = classifier(l2=l2, **LINEAR).fit(X, y)
    np.testing.assert_allclose(estimator.predict_proba(X), reference.predict_proba(X), **NEAR)
    np.testing.assert_allclose(estimator.coefs_[0].T, reference.coef_, atol=3e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_reaches_logistic_regression_without_penalty(n_classes):
    X, y = overlapping(n_classes)
    reference = logistic_regression(C=1e12).fit(X, y)
    estimator = classifier(l2=0.0, **LINEAR).fit(X, y)
    np.testing.assert_allclose(estimator.predict_proba(X), reference.predict_proba(X), **NEAR)


def test_reaches_weighted_logistic_regression():
    X, y = overlapping(3)
    weights = np.random.default_rng(0).integers(0, 4, len(y)).astype(float)
    reference = logistic_regression(C=0.5).fit(X, y, weights)
    estimator = classifier(l2=2.0, **LINEAR).fit(X, y, weights)
    np.testing.assert_allclose(estimator.predict_proba(X), reference.predict_proba(X), **NEAR)


def test_multilabel_is_a_logistic_regression_per_label():
    X, Y = multilabel()
    estimator = classifier(l2=0.7, **LINEAR).fit(X, Y)
    for label in range(3):
        reference = logistic_regression(C=1 / 0.7).fit(X, Y[:, label])
        np.testing.assert_allclose(
            estimator.predict_proba(X)[:, label], reference.predict_proba(X)[:, 1], **NEAR
        )


@pytest.mark.parametrize("standardize_target", [True, False])
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("l2", [0.0, 1.0, 50.0])
def test_reaches_ridge(standardize_target, n_outputs, l2):
    # Half the mean over n rows and K outputs, plus l2 / 2n |W|^2: alpha = l2 K, in any unit of y.
    X, y = diabetes()
    y = np.column_stack([y, y**2 / 100])[:, :n_outputs].squeeze()
    reference = Ridge(alpha=l2 * n_outputs).fit(X, y) if l2 else LinearRegression().fit(X, y)
    estimator = regressor(l2=l2, standardize_target=standardize_target, **LINEAR).fit(X, y)
    np.testing.assert_allclose(estimator.predict(X), reference.predict(X), rtol=1e-3, atol=0.1)


def test_reaches_weighted_ridge():
    X, y = diabetes()
    weights = np.random.default_rng(0).uniform(0, 3, len(y))
    reference = Ridge(alpha=5.0).fit(X, y, weights)
    estimator = regressor(l2=5.0, **LINEAR).fit(X, y, weights)
    np.testing.assert_allclose(estimator.predict(X), reference.predict(X), rtol=1e-3)


def test_the_gradient_vanishes_where_it_ends():
    X, y = iris()
    estimator = classifier(l2=1.0, **LINEAR).fit(X, y)
    P = estimator.predict_proba(X)
    gradient = (X.T @ (P - np.eye(3)[y]) + estimator.coefs_[0]) / len(X)
    assert np.abs(gradient).max() < 1e-4
    assert estimator.history_["gradient_norm"][-1] < 2e-4


def test_hidden_layers_are_trained_far():
    X, y = iris()
    estimator = classifier(optimizer="lbfgs", max_iter=500, tol=1e-6, l2=1e-3).fit(X, y)
    assert estimator.score(X, y) > 0.99
    assert estimator.loss_ < 0.01


def test_sparse_input():
    X, y = iris()
    estimator = classifier(l2=1.0, **LINEAR).fit(scipy.sparse.csr_matrix(X), y)
    dense = classifier(l2=1.0, **LINEAR).fit(X, y)
    np.testing.assert_allclose(estimator.predict_proba(X), dense.predict_proba(X), **NEAR)


def test_history_has_a_row_per_iteration():
    X, y = iris()
    estimator = classifier(optimizer="lbfgs", max_iter=12, tol=1e-12).fit(X, y)
    history = estimator.history_
    assert history["epoch"] == list(range(1, 13))
    assert {len(values) for values in history.values()} == {12}
    assert np.all(np.diff(history["loss"]) <= 0)
    assert np.all(np.isfinite(history["gradient_norm"]))
    assert min(history["seconds"]) >= 0
    assert all(math.isnan(value) for value in history["validation_score"])
    assert estimator.n_iter_ == 12
    assert estimator.t_ == 12 * 150
    assert estimator.loss_ == estimator.best_loss_ == history["loss"][-1]
    assert estimator.validation_scores_ is None


def test_loss_is_that_of_the_weights_it_returns():
    X, y = iris()
    estimator = classifier(optimizer="lbfgs", max_iter=12, tol=1e-12, l2=0.5).fit(X, y)
    penalty = 0.5 * sum(np.vdot(W, W) for W in estimator.coefs_) / 2 / len(X)
    log_likelihood = estimator.predict_log_proba(X)[np.arange(150), y].mean()
    assert estimator.loss_ == pytest.approx(penalty - log_likelihood, rel=1e-9)


def test_warns_at_max_iter_and_only_then():
    X, y = iris()
    with pytest.warns(ConvergenceWarning, match="NO. OF ITERATIONS REACHED"):
        classifier(**{**LINEAR, "max_iter": 3}).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator = classifier(l2=1.0, **LINEAR).fit(X, y)
    assert estimator.n_iter_ < 2000


def test_warns_when_evaluations_run_out():
    X, y = iris()
    with pytest.warns(ConvergenceWarning) as caught:
        estimator = classifier(**{**LINEAR, "optimizer": LBFGS(max_fun=5)}).fit(X, y)
    assert estimator.n_iter_ < 10
    assert "EVALUATIONS" in str(caught[0].message)


def test_tol_ends_it_earlier():
    X, y = iris()
    n_iter = [
        classifier(**{**LINEAR, "tol": tol, "l2": 1.0}).fit(X, y).n_iter_ for tol in (1e-1, 1e-8)
    ]
    assert n_iter[0] < n_iter[1]


def test_verbose_prints_a_line_per_iteration(capsys):
    classifier(optimizer="lbfgs", max_iter=4, tol=1e-12, verbose=True).fit(*iris())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[3].startswith("Epoch 4: loss ")


def test_warm_start_goes_on_from_the_weights():
    X, y = iris()
    estimator = classifier(optimizer="lbfgs", max_iter=10, tol=1e-12, warm_start=True, l2=1e-3).fit(
        X, y
    )
    before = estimator.loss_
    estimator.fit(X, y)
    assert estimator.loss_ < before
    assert len(estimator.loss_curve_) == 20
    assert estimator.n_iter_ == 10


def test_the_curvature_is_lost_between_calls():
    X, y = iris()
    params = {"optimizer": "lbfgs", "tol": 1e-12, "l2": 1e-3}
    at_once = classifier(**params, max_iter=30).fit(X, y)
    steps = classifier(**params, max_iter=1, warm_start=True)
    for _ in range(30):
        steps.fit(X, y)
    assert len(steps.loss_curve_) == 30
    assert steps.loss_ > 1.5 * at_once.loss_  # as the docstring of LBFGS says


def test_a_start_at_the_minimum_stays_there():
    X, y = iris()
    estimator = classifier(**{**LINEAR, "l2": 1.0, "tol": 1e-4, "warm_start": True}).fit(X, y)
    weights, n_rows = estimator.coefs_[0].copy(), len(estimator.loss_curve_)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.fit(X, y)
    np.testing.assert_array_equal(estimator.coefs_[0], weights)
    assert estimator.n_iter_ == 1
    assert len(estimator.loss_curve_) == n_rows + 1
    assert estimator.loss_ == pytest.approx(estimator.loss_curve_[-2], rel=1e-6)


def test_float32():
    X, y = overlapping(3)
    estimator = classifier(**{**LINEAR, "tol": 1e-4, "dtype": "float32", "l2": 1.0}).fit(X, y)
    reference = logistic_regression(C=1.0).fit(X, y)
    assert estimator.coefs_[0].dtype == np.float32
    np.testing.assert_allclose(estimator.predict_proba(X), reference.predict_proba(X), atol=1e-2)


def test_what_it_makes_no_use_of_changes_nothing():
    X, y = iris()
    plain = classifier(**LINEAR, l2=1.0).fit(X, y)
    other = classifier(
        **LINEAR, l2=1.0, batch_size=7, learning_rate=5.0, shuffle=False, n_iter_no_change=1
    ).fit(X, y)
    np.testing.assert_array_equal(other.coefs_[0], plain.coefs_[0])


@pytest.mark.parametrize(("make", "data"), BOTH)
def test_early_stopping_makes_no_difference(make, data, splits):
    X, y = data()
    params = {"optimizer": "lbfgs", "max_iter": 20, "validation_fraction": 0.5}
    plain = make(**params).fit(X, y)
    other = make(**params, early_stopping=True).fit(X, y)
    monitored = make(**params, early_stopping=True).fit(X, y, X_val=X[::2], y_val=y[::2])
    assert splits == []
    for estimator in (other, monitored):
        np.testing.assert_array_equal(estimator.coefs_[0], plain.coefs_[0])
        assert estimator.validation_scores_ is None
        assert estimator.best_epoch_ is None
    assert np.isfinite(monitored.history_["validation_score"]).all()


def test_a_grid_over_optimizers_and_early_stopping():
    X, y = iris()
    grid = {"optimizer": ["adam", "lbfgs"], "early_stopping": [True, False]}
    search = GridSearchCV(classifier(), grid, cv=2, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_the_settings_of_scikit_learns_example_of_alpha():
    # examples/neural_networks/plot_mlp_alpha.py has MLPClassifier with the like.
    X, y = make_classification(
        100, 2, n_redundant=0, n_clusters_per_class=1, random_state=0, class_sep=2.0
    )
    clf = ScratchMLPClassifier(
        [10, 10], optimizer="lbfgs", l2=0.1, max_iter=2000, early_stopping=True, random_state=1
    )
    assert make_pipeline(StandardScaler(), clf).fit(X, y).score(X, y) > 0.9
    mlp = MLPClassifier([10, 10], solver="lbfgs", early_stopping=True, random_state=1)
    ours = from_sklearn(mlp)
    assert ours.fit(X, y).score(X, y) > 0.9
    assert ours.to_sklearn().early_stopping is True
    mlp.validation_fraction = 0.0  # which scikit-learn takes where it makes no use of it
    from_sklearn(mlp.fit(X, y))


def test_the_object_is_configuration_only():
    X, y = iris()
    few = LBFGS(memory=1)
    slow = classifier(**{**LINEAR, "optimizer": few, "l2": 0.01}).fit(X, y)
    fast = classifier(**{**LINEAR, "optimizer": LBFGS(memory=20), "l2": 0.01}).fit(X, y)
    assert few == LBFGS(memory=1)
    assert slow.n_iter_ > fast.n_iter_
    assert slow.set_params(optimizer__memory=3).optimizer == LBFGS(memory=3)


def test_a_loss_that_is_not_finite_raises():
    X, y = diabetes()
    estimator = regressor(optimizer="lbfgs", standardize_target=False)
    with pytest.raises(ValueError, match=r"non-finite in epoch 1, first in .*standardize_target"):
        estimator.fit(X, y * 1e200)
    assert not hasattr(estimator, "network_")


def test_changing_from_another_optimizer():
    X, y = iris()
    estimator = classifier(optimizer="adam", max_iter=5, warm_start=True).fit(X, y)
    loss = estimator.loss_
    estimator.set_params(optimizer="lbfgs", max_iter=50, tol=1e-8).fit(X, y)
    assert estimator.loss_ < loss
    assert len(estimator.loss_curve_) == 5 + estimator.n_iter_
    estimator.set_params(optimizer="adam", max_iter=2).fit(X, y)
    assert estimator.n_iter_ == 2
    assert estimator.loss_ < loss
