"""Other tools run with our estimators inside, against what each tool says it does."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from scipy.special import expit
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, StackingRegressor, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import PartialDependenceDisplay, permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    HalvingRandomSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skscratch.callbacks import Callback
from skscratch.inspection import HiddenLayerTransformer

from ..conftest import cancer, classifier, diabetes, iris, regressor


def assert_same_network(estimator, other):
    for w, expected in zip(
        estimator.coefs_ + estimator.intercepts_, other.coefs_ + other.intercepts_, strict=True
    ):
        np.testing.assert_array_equal(w, expected)


@pytest.fixture
def pyplot():
    """Matplotlib's pyplot, without a screen."""
    matplotlib = pytest.importorskip("matplotlib")
    with matplotlib.rc_context({"backend": "Agg"}):
        from matplotlib import pyplot

        yield pyplot
        pyplot.close("all")


# Columns and targets --------------------------------------------------------------------------

FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame}


@pytest.mark.parametrize("library", FRAMES)
def test_column_transformer(library):
    rng = np.random.default_rng(0)
    size = rng.normal(size=120)
    city = np.array(["Lima", "Oslo", "Rome"])[rng.integers(3, size=120)]
    y = (size > 0) ^ (city == "Rome")
    frame = FRAMES[library]({"size": size, "city": city})
    if not hasattr(StandardScaler().fit(frame[["size"]]), "feature_names_in_"):
        pytest.skip("scikit-learn 1.6 does not know the names of recent polars")
    columns = ColumnTransformer(
        [("city", OneHotEncoder(), ["city"]), ("size", StandardScaler(), ["size"])]
    )
    model = make_pipeline(columns, classifier()).fit(frame, y)
    one_hot = city[:, None] == ["Lima", "Oslo", "Rome"]
    X = np.column_stack([one_hot, (size - size.mean()) / size.std()])
    expected = classifier().fit(X, y)
    np.testing.assert_allclose(model.predict_proba(frame), expected.predict_proba(X), rtol=1e-9)


def test_feature_union_of_learned_and_linear_features():
    X, y = iris()
    union = FeatureUnion([("pca", PCA(2)), ("hidden", HiddenLayerTransformer(classifier()))])
    model = make_pipeline(union, classifier(random_state=1)).fit(X, y)
    hidden = HiddenLayerTransformer(classifier()).fit(X, y)
    stacked = np.hstack([PCA(2).fit_transform(X), hidden.transform(X)])
    assert_same_network(model[-1], classifier(random_state=1).fit(stacked, y))


def test_set_output_lends_the_names_of_its_columns():
    X, y = iris()
    model = make_pipeline(StandardScaler(), PCA(2), classifier()).set_output(transform="pandas")
    model.fit(pd.DataFrame(X, columns=list("abcd")), y)
    assert list(model[-1].feature_names_in_) == ["pca0", "pca1"]
    np.testing.assert_array_equal(
        model.predict(pd.DataFrame(X, columns=list("abcd"))),
        make_pipeline(StandardScaler(), PCA(2), classifier()).fit(X, y).predict(X),
    )


def test_transformed_target_regressor():
    X, y = diabetes()
    model = TransformedTargetRegressor(regressor(), func=np.log, inverse_func=np.exp).fit(X, y)
    expected = np.exp(regressor().fit(X, np.log(y)).predict(X))
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-12)


def test_a_search_over_polars_frames_is_that_over_arrays():
    X, y = iris()
    frame = pl.DataFrame(X, schema=list("abcd"))
    model = Pipeline([("scale", StandardScaler()), ("mlp", classifier())])
    search = GridSearchCV(model, {"mlp__l2": [0.0, 1.0]}, cv=3, error_score="raise")
    expected = clone(search).fit(X, y)
    search.fit(frame, pl.Series(y))
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    np.testing.assert_allclose(search.predict_proba(frame), expected.predict_proba(X), rtol=1e-9)


# Ensembles and reductions ---------------------------------------------------------------------


def test_bagging_is_the_mean_of_its_members():
    X, y = iris()
    bagging = BaggingClassifier(classifier(), n_estimators=3, random_state=0).fit(X, y)
    # It draws rows by weighing them: those not drawn have weight 0.
    counts = [np.bincount(rows, minlength=len(y)) for rows in bagging.estimators_samples_]
    members = zip(bagging.estimators_, counts, strict=True)
    again = [clone(member).fit(X, y, count) for member, count in members]
    assert len({member.random_state for member in again}) == 3
    np.testing.assert_allclose(
        bagging.predict_proba(X), np.mean([m.predict_proba(X) for m in again], axis=0), rtol=1e-9
    )


def test_voting_is_the_weighted_mean_of_its_members():
    X, y = iris()
    members = [("mlp", classifier()), ("linear", LogisticRegression())]
    voting = VotingClassifier(members, voting="soft", weights=[3, 1]).fit(X, y)
    first, second = (member.fit(X, y).predict_proba(X) for _, member in members)
    np.testing.assert_allclose(voting.predict_proba(X), (3 * first + second) / 4, rtol=1e-9)


def test_voting_hands_weights_of_rows_on():
    X, y = iris()
    weights = np.random.default_rng(0).uniform(0.5, 2, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        member = classifier().set_fit_request(sample_weight=True)
        voting = VotingClassifier([("mlp", member)]).fit(X, y, sample_weight=weights)
    assert_same_network(voting.estimators_[0], classifier().fit(X, y, weights))


def test_stacking_learns_from_predictions_on_rows_held_out():
    X, y = diabetes()
    members = [("mlp", regressor()), ("ridge", Ridge())]
    stacking = StackingRegressor(members, LinearRegression(), cv=3).fit(X, y)
    columns = [cross_val_predict(member, X, y, cv=3) for _, member in members]
    expected = LinearRegression().fit(np.column_stack(columns), y)
    np.testing.assert_allclose(stacking.final_estimator_.coef_, expected.coef_, rtol=1e-9)
    assert_same_network(stacking.estimators_[0], regressor().fit(X, y))


def test_calibration_is_platts_curve_of_our_decision_function():
    X, y = cancer()
    fitted = classifier().fit(X[:100], y[:100])
    model = CalibratedClassifierCV(FrozenEstimator(fitted)).fit(X[100:], y[100:])
    (member,) = model.calibrated_classifiers_
    (curve,) = member.calibrators
    expected = expit(-(curve.a_ * fitted.decision_function(X) + curve.b_))
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], expected, rtol=1e-9)


@pytest.mark.parametrize("method", ["isotonic", "sigmoid"])
def test_cross_fitted_calibration_trains_on_each_fold(method):
    X, y = iris()
    folds = StratifiedKFold(3)
    model = CalibratedClassifierCV(classifier(), method=method, cv=folds).fit(X, y)
    for member, (train, _) in zip(model.calibrated_classifiers_, folds.split(X, y), strict=True):
        assert_same_network(member.estimator, classifier().fit(X[train], y[train]))
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)


def test_multi_output_classifier_has_a_network_for_each_column():
    X, y = iris()
    Y = np.column_stack([y, X[:, 0] > 0])
    model = MultiOutputClassifier(classifier()).fit(X, Y)
    singles = [classifier().fit(X, column) for column in Y.T]
    for probabilities, single in zip(model.predict_proba(X), singles, strict=True):
        np.testing.assert_array_equal(probabilities, single.predict_proba(X))
    np.testing.assert_array_equal(
        model.predict(X), np.column_stack([single.predict(X) for single in singles])
    )


def test_multi_output_classifier_learns_incrementally():
    X, y = iris()
    Y = np.column_stack([y, y > 0])
    model, single = MultiOutputClassifier(classifier()), classifier()
    for _ in range(2):
        model.partial_fit(X, Y, classes=[np.arange(3), np.arange(2)])
        single.partial_fit(X, y, classes=np.arange(3))
    assert_same_network(model.estimators_[0], single)


def test_one_versus_rest_has_a_network_for_each_class():
    X, y = iris()
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = OneVsRestClassifier(classifier()).fit(X, names)
    logits = [classifier().fit(X, y == label).decision_function(X) for label in range(3)]
    np.testing.assert_allclose(model.decision_function(X), np.column_stack(logits), rtol=1e-9)
    np.testing.assert_array_equal(model.predict(X), model.classes_[np.argmax(logits, axis=0)])


# Model selection and inspection ---------------------------------------------------------------


def test_halving_search_gives_its_best_candidates_more_epochs():
    X, y = iris()
    search = HalvingRandomSearchCV(
        classifier(),
        {"l2": [0.0, 1.0, 100.0], "learning_rate": [1e-3, 1e-2, 1e-1]},
        n_candidates=4,
        factor=2,
        resource="max_iter",
        min_resources=2,
        max_resources=8,
        cv=3,
        random_state=0,
        error_score="raise",
    ).fit(X, y)
    assert search.n_resources_ == [2, 4, 8]
    assert search.best_params_["max_iter"] == 8
    folds = StratifiedKFold(3)
    expected = cross_val_score(classifier(**search.best_params_), X, y, cv=folds).mean()
    assert search.best_score_ == pytest.approx(expected)


def test_cross_validate_is_a_loop_over_folds():
    X, y = iris()
    folds, metrics = StratifiedKFold(3), ("accuracy", "neg_log_loss")
    results = cross_validate(classifier(), X, y, cv=folds, scoring=metrics, return_estimator=True)
    for k, (train, test) in enumerate(folds.split(X, y)):
        expected = classifier().fit(X[train], y[train])
        assert_same_network(results["estimator"][k], expected)
        for metric in metrics:
            score = get_scorer(metric)(expected, X[test], y[test])
            assert results[f"test_{metric}"][k] == pytest.approx(score)


def test_permutation_importance_finds_the_only_feature_that_counts():
    X = np.random.default_rng(0).normal(size=(200, 3))
    X[:, 2] = 1.0
    model = regressor(max_iter=30).fit(X, 2 * X[:, 0])
    importance = permutation_importance(model, X, 2 * X[:, 0], n_repeats=3, random_state=0)
    signal, noise, constant = importance.importances_mean
    assert signal > 1 > 0.1 > abs(noise)
    assert constant == 0


@pytest.mark.usefixtures("pyplot")
def test_partial_dependence_is_the_mean_prediction():
    X, y = diabetes()
    model = regressor().fit(X, y)
    display = PartialDependenceDisplay.from_estimator(model, X, [2], grid_resolution=5)
    (result,) = display.pd_results
    (grid,) = result["grid_values"]
    for value, average in zip(grid, result["average"][0], strict=True):
        changed = X.copy()
        changed[:, 2] = value
        assert average == pytest.approx(model.predict(changed).mean())


@pytest.mark.usefixtures("pyplot")
def test_partial_dependence_takes_a_classifier():
    X, y = cancer()
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = classifier().fit(frame, y)
    display = PartialDependenceDisplay.from_estimator(
        model, frame, ["a", ("b", "c")], grid_resolution=4
    )
    one, two = (result["average"] for result in display.pd_results)
    assert one.shape == (1, 4)
    assert two.shape == (1, 4, 4)
    assert 0 <= two.min() < two.max() <= 1


# Other packages: scikit-learn is theirs to warn about -----------------------------------------

theirs = pytest.mark.filterwarnings("default")


@theirs
def test_optuna_study_prunes_through_a_callback():
    optuna = pytest.importorskip("optuna")
    X, y = iris()
    X, X_val, y, y_val = X[::2], X[1::2], y[::2], y[1::2]

    class Pruning(Callback):
        def __init__(self, trial):
            self.trial = trial

        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            if context.task_name == "epoch":
                score = fitted_estimator.history_["validation_score"][-1]
                self.trial.report(score, context.task_id)
                if self.trial.should_prune():
                    raise optuna.TrialPruned

    def objective(trial):
        clf = classifier(
            learning_rate=trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True), max_iter=10
        )
        trained = clone(clf).set_callbacks(Pruning(trial)).fit(X, y, X_val=X_val, y_val=y_val)
        score = trained.score(X_val, y_val)
        assert score == clf.fit(X, y).score(X_val, y_val)
        return score

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=2)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0), pruner=pruner
    )
    study.optimize(objective, n_trials=10)
    states = [trial.state for trial in study.trials]
    assert len(states) == 10
    assert {optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED} == set(states)
    best = classifier(**study.best_params, max_iter=10).fit(X, y)
    assert study.best_value == best.score(X_val, y_val)


@theirs
def test_optuna_search():
    integration = pytest.importorskip("optuna_integration")
    import optuna

    X, y = iris()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = integration.OptunaSearchCV(
        classifier(),
        {"l2": optuna.distributions.FloatDistribution(1e-4, 10, log=True)},
        cv=StratifiedKFold(3),
        n_trials=3,
        random_state=0,
        error_score="raise",
    ).fit(X, y)
    expected = cross_val_score(classifier(**search.best_params_), X, y, cv=StratifiedKFold(3))
    assert search.best_score_ == pytest.approx(expected.mean())


@theirs
def test_shap_values_of_a_linear_network_are_its_weights_times_the_distance():
    shap = pytest.importorskip("shap")
    X, y = diabetes()
    X = X[:, :4]
    model = regressor(hidden_layer_sizes=()).fit(X, y)
    explainer = shap.Explainer(model.predict, shap.maskers.Independent(X[:50]))
    values = explainer(X[:3]).values
    slopes = [model.predict(row)[0] - model.predict(0 * row)[0] for row in np.eye(4)[:, None]]
    np.testing.assert_allclose(values, slopes * (X[:3] - X[:50].mean(axis=0)), rtol=1e-6)


@theirs
def test_shap_values_add_up_to_the_probability():
    shap = pytest.importorskip("shap")
    X, y = iris()
    model = classifier().fit(X, y)
    explanation = shap.Explainer(model.predict_proba, shap.maskers.Independent(X[:20]))(X[:3])
    total = explanation.base_values + explanation.values.sum(axis=1)
    np.testing.assert_allclose(total, model.predict_proba(X[:3]), rtol=1e-6)


@theirs
def test_imbalanced_learn_resamples_in_training_alone():
    over_sampling = pytest.importorskip("imblearn.over_sampling")
    from imblearn.pipeline import make_pipeline

    X, y = cancer()
    rare = np.flatnonzero(y == 1)[:10]
    rows = np.concatenate([np.flatnonzero(y == 0), rare])
    X, y = X[rows], y[rows]
    sampler = over_sampling.RandomOverSampler(random_state=0)
    model = make_pipeline(sampler, StandardScaler(), classifier()).fit(X, y)
    resampled, labels = sampler.fit_resample(X, y)
    assert len(set(np.bincount(labels))) == 1
    expected = Pipeline([("scale", StandardScaler()), ("mlp", classifier())]).fit(resampled, labels)
    assert_same_network(model[-1], expected[-1])
    assert model.predict_proba(X).shape == (len(rows), 2)
