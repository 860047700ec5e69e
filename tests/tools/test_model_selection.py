"""Searches by the score of rows left out: which candidate wins, and what cannot be trusted."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.impute import IterativeImputer
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    check_cv,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler, TargetEncoder

from skscratch.model_selection import AllRows, out_of_fold_score
from tests.conftest import classifier, diabetes, iris, regressor

GRID = {"learning_rate": [1e-7, 0.02]}
BY_LEFT_OUT = {"cv": AllRows(), "scoring": out_of_fold_score}


def several(**params):
    return classifier(**{"n_networks": 3, **params})


def test_the_splitter_trains_on_all_rows_once():
    splitter = check_cv(AllRows())
    assert splitter.get_n_splits() == 1
    ((train, test),) = splitter.split(np.zeros((5, 2)))
    np.testing.assert_array_equal(train, range(5))
    np.testing.assert_array_equal(test, range(5))
    assert train is not test
    assert repr(AllRows()) == "AllRows()"


@pytest.mark.parametrize("search", [GridSearchCV, RandomizedSearchCV])
def test_a_search_goes_by_the_out_of_fold_score(search):
    X, y = iris()
    options = {"n_iter": 2, "random_state": 0} if search is RandomizedSearchCV else {}
    found = search(several(), GRID, **BY_LEFT_OUT, **options).fit(X, y)
    scores = {rate: several(learning_rate=rate).fit(X, y).oof_score_ for rate in (1e-7, 0.02)}
    assert scores[0.02] > scores[1e-7]
    assert found.best_params_ == {"learning_rate": 0.02}
    assert found.best_score_ == scores[0.02] == found.best_estimator_.oof_score_
    assert sorted(found.cv_results_["mean_test_score"]) == sorted(scores.values())


def test_a_search_trains_once_for_each_candidate_and_once_more_for_the_winner(monkeypatch):
    X, y = iris()
    fits = []
    fit = type(several()).fit
    monkeypatch.setattr(type(several()), "fit", lambda *args: fits.append(1) or fit(*args))
    GridSearchCV(several(), GRID, **BY_LEFT_OUT).fit(X, y)
    assert len(fits) == 3


@pytest.mark.parametrize(("resource", "least", "most"), [("max_iter", 2, 8), ("n_networks", 2, 4)])
def test_halving_by_epochs_or_networks(resource, least, most):
    X, y = iris()
    grid = {"learning_rate": [1e-7, 1e-6, 0.02]}
    model = classifier(n_networks=2, max_iter=5)
    search = HalvingGridSearchCV(
        model,
        grid,
        resource=resource,
        min_resources=least,
        max_resources=most,
        factor=2,
        random_state=0,
        **BY_LEFT_OUT,
    ).fit(X, y)
    assert search.best_params_["learning_rate"] == 0.02
    assert search.n_resources_[0] == least
    assert search.n_resources_[-1] > least


def test_regressors_and_pipelines():
    X, y = diabetes()
    pipeline = make_pipeline(StandardScaler(), regressor(n_networks=3))
    grid = {f"scratchmlpregressor__{name}": values for name, values in GRID.items()}
    search = GridSearchCV(pipeline, grid, **BY_LEFT_OUT).fit(X, y)
    assert search.best_params_ == {"scratchmlpregressor__learning_rate": 0.02}
    assert search.best_score_ == search.best_estimator_[-1].oof_score_


def test_a_pipeline_whose_transformer_looks_at_y_is_warned_of():
    # Noise, of which the best columns by y seem to tell something.
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 500)), np.arange(60) % 2
    honest = make_pipeline(StandardScaler(), several()).fit(X, y)
    fooled = make_pipeline(SelectKBest(k=8), several()).fit(X, y)
    assert out_of_fold_score(honest, X, y) < 0.65
    with pytest.warns(UserWarning, match="too good with the step 'selectkbest', which saw the y"):
        assert out_of_fold_score(fooled, X, y) > 0.75


def test_so_is_one_with_such_a_transformer_inside_another():
    X, y = iris()
    inside = make_column_transformer((TargetEncoder(), [0]))
    pipeline = make_pipeline(StandardScaler(), inside, several()).fit(np.round(X), y)
    with pytest.warns(UserWarning, match="step 'columntransformer'"):
        out_of_fold_score(pipeline, X, y)


@pytest.mark.parametrize(
    "step",
    [VarianceThreshold(), IterativeImputer(BayesianRidge()), KMeans(3), FunctionTransformer()],
)
def test_others_are_not(step):
    # Warnings are errors.
    X, y = iris()
    assert out_of_fold_score(make_pipeline(step, several()).fit(X, y), X, y) > 0.4


def test_so_is_one_that_predicts_besides():
    X, y = iris()
    pipeline = make_pipeline(LinearDiscriminantAnalysis(), several()).fit(X, y)
    with pytest.warns(UserWarning, match="step 'lineardiscriminantanalysis'"):
        out_of_fold_score(pipeline, X, y)


class Repeating:
    """Resamples, as imbalanced-learn's samplers do."""

    def fit_resample(self, X, y):
        return np.repeat(X, 2, axis=0), np.repeat(y, 2)


def test_so_is_one_that_resamples():
    X, y = iris()
    pipeline = make_pipeline(StandardScaler(), several()).fit(X, y)
    pipeline.steps.insert(0, ("repeating", Repeating()))
    with pytest.warns(UserWarning, match="step 'repeating'"):
        out_of_fold_score(pipeline, X, y)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (classifier(), "ScratchMLPClassifier has no out-of-fold score: .* Set n_networks to 2"),
        (LogisticRegression(), "LogisticRegression has no out-of-fold score"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "LogisticRegression has no"),
    ],
)
def test_a_candidate_without_such_a_score_is_an_error(model, reason):
    X, y = iris()
    with pytest.raises(ValueError, match=reason):
        cross_validate(model, X, y, **BY_LEFT_OUT, error_score="raise")
    with pytest.warns(UserWarning, match="has no out-of-fold score"):
        scores = cross_validate(model, X, y, **BY_LEFT_OUT)
    assert np.isnan(scores["test_score"]).all()
