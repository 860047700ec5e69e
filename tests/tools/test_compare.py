"""The comparison, against scikit-learn's cross-validation, SciPy's test and figures by hand."""

import itertools
import re
import sys
import warnings

import matplotlib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import ttest_rel
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_diabetes, make_classification
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    cross_validate,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skscratch import ScratchMLPClassifier, ScratchMLPRegressor, compare
from skscratch._comparison import compare as module
from skscratch._comparison.judge import corrected_t_test, holm
from skscratch._comparison.show import UNDECIDED

from ..conftest import cancer, classifier, diabetes, iris, multilabel, regressor

matplotlib.use("agg")

TREE = DecisionTreeClassifier(max_depth=3, random_state=0)
STUMP = DecisionTreeClassifier(max_depth=1, random_state=0)
TREES = {"tree": TREE, "stump": STUMP}


def quick(X, y, estimators=None, **params):
    return compare(X, y, estimators, **{"cv": 3, "n_repeats": 1, "verbose": False, **params})


class Constant(ClassifierMixin, BaseEstimator):
    """Predicts one class, or does what a test asks for."""

    def __init__(self, prediction=0, warning=None, error=None, fail_from=np.inf, unpicklable=False):
        self.prediction = prediction
        self.warning = warning
        self.error = error
        self.fail_from = fail_from
        self.unpicklable = unpicklable

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        if self.warning is not None:
            for text in ("first", "second"):
                warnings.warn(text, self.warning, stacklevel=2)
        if self.error is not None and X[0, 0] >= self.fail_from:
            raise self.error
        if self.unpicklable:
            self.function_ = lambda: None
        return self

    def predict(self, X):
        return np.full(X.shape[0], self.prediction)


# The test -------------------------------------------------------------------------------------


def test_without_test_rows_it_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 12))
    p, standard_error = corrected_t_test(a - b, 0.0)
    expected = ttest_rel(a, b)
    assert p == pytest.approx(expected.pvalue, rel=1e-10)
    low, high = expected.confidence_interval(0.95)
    assert standard_error == pytest.approx((high - low) / 2 / 2.200985160082949)  # t(11), 97.5 %


def test_the_correction_by_hand():
    # Mean 2, variance 1, k = 3: t = 2 / sqrt(1/3 + 1/2). With 2 degrees of freedom the
    # distribution function is 1/2 + t / (2 sqrt(2 + t**2)).
    p, standard_error = corrected_t_test(np.array([1.0, 2.0, 3.0]), 0.5)
    assert standard_error == pytest.approx(np.sqrt(5 / 6))
    t = 2 / np.sqrt(5 / 6)
    assert p == pytest.approx(1 - t / np.sqrt(2 + t**2))


def test_ties_and_no_spread():
    assert corrected_t_test(np.zeros(10), 0.1) == pytest.approx((1.0, np.nan), nan_ok=True)
    # The same difference in all of k folds: that of k tosses of a coin.
    assert corrected_t_test(np.full(10, 0.3), 0.1)[0] == 2 / 2**10
    assert corrected_t_test(np.full(10, 0.3 - 0.1) + 1e-17, 0.1)[0] == 2 / 2**10
    assert corrected_t_test(np.full(2, -0.3), 0.1)[0] == 0.5
    for differences in ([0.3], [0.3, np.nan, 0.1], [0.3, np.inf]):
        assert np.isnan(corrected_t_test(np.array(differences), 0.1)).all()


def test_holm_by_hand():
    corrected, levels = holm(np.array([0.01, 0.04, np.nan, 0.03, 0.005]), 0.05)
    np.testing.assert_allclose(corrected, [0.03, 0.06, np.nan, 0.06, 0.02])
    # Two are rejected at a fourth and a third; the next is not, at a half, nor is any after it.
    np.testing.assert_allclose(levels, [0.05 / 3, 0.025, 0.05, 0.025, 0.0125])


@pytest.mark.parametrize("seed", range(20))
def test_levels_and_corrected_values_decide_alike(seed):
    p = np.random.default_rng(seed).uniform(0, 0.08, size=4)
    corrected, levels = holm(p, 0.05)
    np.testing.assert_array_equal(corrected <= 0.05, p <= levels)


def test_chance_is_rarely_taken_for_a_difference():
    # Least squares on one of two features that count alike, by repeated cross-validation. On
    # average neither is better, yet in a third of the data sets the usual t-test says that one is.
    rng = np.random.default_rng(0)
    n, n_folds, n_repeats, n_sets = 40, 5, 4, 200
    wrong = np.zeros(2)
    for _ in range(n_sets):
        X = rng.normal(size=(n, 2))
        y, differences = X.sum(axis=1), []
        for _ in range(n_repeats):
            for test in np.split(rng.permutation(n), n_folds):
                train = np.delete(np.arange(n), test)
                slopes = y[train] @ X[train] / np.sum(X[train] ** 2, axis=0)
                losses = np.mean((y[test, None] - slopes * X[test]) ** 2, axis=0)
                differences.append(losses[0] - losses[1])
        for i, test_to_train in enumerate((0.0, 1 / (n_folds - 1))):
            wrong[i] += corrected_t_test(np.array(differences), test_to_train)[0] <= 0.05
    usual, corrected = wrong / n_sets
    assert corrected <= 0.08
    assert usual >= 0.3


# What is measured -----------------------------------------------------------------------------


def test_scores_are_those_of_cross_validation():
    X, y = cancer()
    splitter = RepeatedStratifiedKFold(n_splits=4, n_repeats=2, random_state=7)
    comparison = quick(X, y, TREES, cv=splitter)
    scores = comparison.scores
    assert list(scores["fold"]) == sorted(list(range(8)) * 2)
    assert list(scores["estimator"]) == ["tree", "stump"] * 8
    for name, tree in TREES.items():
        expected = cross_validate(tree, X, y, cv=splitter, scoring=("accuracy", "neg_log_loss"))
        ours = scores[scores["estimator"] == name]
        np.testing.assert_allclose(ours["accuracy"], expected["test_accuracy"], rtol=1e-12)
        np.testing.assert_allclose(ours["log_loss"], -expected["test_neg_log_loss"], rtol=1e-12)
        row = comparison.table.loc[name]
        assert row["accuracy"] == pytest.approx(expected["test_accuracy"].mean())
        assert row["accuracy_std"] == pytest.approx(expected["test_accuracy"].std(ddof=1))
        assert row["fit_time"] == ours["fit_time"].median() > 0
        assert row["predict_time"] == ours["predict_time"].median() > 0
        assert row["size"] == ours["size"].median() > 100


def test_differences_are_the_reference_minus_the_rival():
    X, y = cancer()
    comparison = quick(X, y, TREES, cv=5, n_repeats=3, random_state=0)
    assert comparison.reference == "tree"
    for row in comparison.differences.itertuples():
        wide = comparison.scores.pivot(index="fold", columns="estimator", values=row.metric)
        differences = wide["tree"] - wide["stump"]
        assert row.difference == pytest.approx(differences.mean())
        # 15 folds of 40 test and 160 training rows; t(14) at 97.5 %.
        margin = 2.1447866879169273 * np.sqrt((1 / 15 + 40 / 160) * differences.var(ddof=1))
        assert (row.low, row.high) == pytest.approx(
            (row.difference - margin, row.difference + margin)
        )
        assert row.p == row.p_holm
        assert (row.p < 0.05) == (row.low > 0 or row.high < 0)


def test_a_clear_difference_is_found_in_either_direction():
    X, y = iris()
    dummy, tree = DummyClassifier(strategy="prior"), TREE
    for estimators in ({"dummy": dummy, "tree": tree}, {"tree": tree, "dummy": dummy}):
        comparison = quick(X, y, estimators, cv=10, random_state=0)
        assert list(comparison.metrics.items()) == [("accuracy", True), ("log_loss", False)]
        assert comparison.differences["verdict"][0] == "tree better"
    X, y = load_diabetes(return_X_y=True)
    estimators = {"mean": DummyRegressor(), "linear": LinearRegression()}
    comparison = quick(X, y, estimators, cv=10, random_state=0)
    assert list(comparison.metrics.items()) == [("r2", True), ("rmse", False)]
    assert list(comparison.differences["verdict"]) == ["linear better"] * 2
    np.testing.assert_array_equal(np.sign(comparison.differences["difference"]), [-1, 1])


def test_the_same_twice_is_no_difference():
    X, y = cancer()
    comparison = quick(X, y, {"a": TREE, "b": TREE})
    assert (comparison.differences["difference"] == 0).all()
    assert (comparison.differences["p"] == 1).all()
    assert (comparison.differences["verdict"] == UNDECIDED).all()
    assert "nan" not in str(comparison)


def test_several_rivals_are_corrected_for():
    X, y = iris()
    estimators = {
        "tree": TREE,
        "neighbors": KNeighborsClassifier(),
        "linear": LogisticRegression(max_iter=1000),
        "constant": DummyClassifier(),
    }
    differences = quick(
        X, y, estimators, cv=10, scoring="accuracy", random_state=0
    ).differences.set_index("rival")
    assert list(differences.index) == ["neighbors", "linear", "constant"]
    assert differences["p_holm"]["constant"] == pytest.approx(3 * differences["p"]["constant"])
    corrected, _ = holm(differences["p"].to_numpy(), 0.05)
    np.testing.assert_array_equal(differences["p_holm"], corrected)
    excluded = (differences["low"] > 0) | (differences["high"] < 0)
    np.testing.assert_array_equal(excluded, differences["verdict"] != UNDECIDED)


def test_confidence_sets_the_level():
    X, y = cancer()
    wide, narrow = (
        quick(X, y, TREES, random_state=0, confidence=level).differences for level in (0.99, 0.5)
    )
    assert (wide["high"] - wide["low"] > narrow["high"] - narrow["low"]).all()
    assert "50 % interval" in str(quick(X, y, TREES, confidence=0.5))


def test_one_fold_decides_nothing():
    X, y = iris()
    comparison = quick(
        X, y, {"tree": TREE, "constant": DummyClassifier()}, cv=ShuffleSplit(1, random_state=0)
    )
    assert (comparison.differences["difference"].abs() > 0.3).all()
    assert (comparison.differences["verdict"] == UNDECIDED).all()
    assert comparison.differences[["low", "high", "p", "p_holm"]].isna().all(axis=None)
    assert "1 fold\n" in str(comparison)
    assert "nan" not in str(comparison)
    comparison.plot()


# What to compare ------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch):
    """Make the default estimators small."""
    original = module._default_estimators

    def shrunk(task, X):
        estimators = original(task, X)
        for estimator in estimators.values():
            names = [n for n in estimator.get_params() if n.endswith("hidden_layer_sizes")]
            estimator.set_params(**dict.fromkeys(names, (4,)))
            names = [n for n in estimator.get_params() if n.endswith("max_iter")]
            estimator.set_params(**dict.fromkeys(names, 5))
        return estimators

    monkeypatch.setattr(module, "_default_estimators", shrunk)


@pytest.mark.parametrize("form", [np.asarray, csr_matrix])
def test_classifiers_by_default(form, small):
    X, y = iris()
    comparison = quick(form(X), y, random_state=0)
    assert comparison.task == "classification"
    assert list(comparison.table.index) == ["ScratchMLPClassifier", "MLPClassifier"]
    assert list(comparison.metrics) == ["accuracy", "log_loss"]
    assert comparison.scores.notna().all(axis=None)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_regressors_by_default(n_outputs, small):
    X, y = diabetes()  # whole numbers, of many values
    y = y if n_outputs == 1 else np.column_stack([y, y + 0.5])
    comparison = quick(X, y, random_state=0)
    assert comparison.task == "regression"
    assert list(comparison.table.index) == [
        "ScratchMLPRegressor",
        "MLPRegressor",
        "MLPRegressor, y scaled",
    ]
    assert list(comparison.metrics) == ["r2", "rmse"]


def test_scikit_learns_own_get_scaled_features(small):
    X, _ = iris()
    for estimators in map(module._default_estimators, ("classification", "regression"), (X, X)):
        ours, *theirs = estimators.values()
        assert isinstance(ours, ScratchMLPClassifier | ScratchMLPRegressor)
        for estimator in theirs:
            inner = getattr(estimator, "regressor", estimator)
            assert isinstance(inner.steps[0][1], StandardScaler)


def test_the_task_can_be_chosen(small):
    X, _ = diabetes()
    y = np.arange(len(X)) % 5
    assert quick(X, y).task == "classification"
    assert quick(X, y, task="regression").task == "regression"
    assert quick(X, y + 0.5).task == "regression"
    assert quick(X, y.astype(str)).task == "classification"
    with pytest.raises(ValueError, match=r"task must be .* got 'ranking'"):
        quick(X, y, task="ranking")


def test_multilabel(small):
    X, Y = multilabel()
    comparison = quick(X, Y)
    assert list(comparison.metrics) == ["accuracy", "f1_micro"]
    assert list(quick(X, csr_matrix(Y)).metrics) == ["accuracy", "f1_micro"]


def test_no_log_loss_without_probabilities():
    X, y = cancer()
    assert list(quick(X, y, {"tree": TREE, "ridge": RidgeClassifier()}).metrics) == ["accuracy"]


def test_groups_and_other_splits():
    X, y = cancer()
    groups = np.arange(len(X)) % 4
    comparison = quick(X, y, TREES, cv=GroupKFold(4).split(X, y, groups))
    assert comparison.title.endswith("4 folds")
    assert comparison.scores["fold"].nunique() == 4
    assert "3 folds in each of 2 repeats" in quick(X, y, TREES, n_repeats=2).title


def test_scoring_in_all_its_forms():
    X, y = cancer()
    error = make_scorer(mean_absolute_error, greater_is_better=False)
    for scoring, expected in {
        "roc_auc": {"roc_auc": True},
        ("balanced_accuracy", "neg_brier_score"): {"balanced_accuracy": True, "brier_score": False},
        error: {"score": True},
    }.items():
        assert quick(X, y, TREES, scoring=scoring).metrics == expected
    named = quick(X, y, TREES, scoring={"f": "f1", "neg_error": error})
    assert named.metrics == {"f": True, "error": False}
    with pytest.raises(ValueError, match="must not be called 'size'"):
        quick(X, y, TREES, scoring={"size": "f1"})
    with pytest.raises(ValueError, match="at least one metric"):
        quick(X, y, TREES, scoring=())
    with pytest.raises(ValueError, match="'acuracy'"):
        quick(X, y, TREES, scoring="acuracy")


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_data_frames_reach_the_estimators_as_they_are(frame):
    rng = np.random.default_rng(0)
    kinds = rng.choice(["a", "b", "c"], size=60)
    X, y = frame({"kind": kinds}), kinds == "a"
    tree = make_pipeline(OneHotEncoder(sparse_output=False), TREE)
    comparison = quick(X, y, {"tree": tree, "constant": DummyClassifier()})
    assert (comparison.scores.query("estimator == 'tree'")["accuracy"] == 1).all()


def test_lists():
    comparison = quick([[0.0], [1.0]] * 9, ["no", "yes"] * 9, TREES)
    assert (comparison.scores["accuracy"] == 1).all()


# Random numbers -------------------------------------------------------------------------------


def test_a_random_state_makes_it_reproducible():
    X, y = iris()
    estimators = {
        "network": make_pipeline(StandardScaler(), classifier(random_state=None)),
        "tree": DecisionTreeClassifier(max_features=1),
    }
    one, same, other = (
        quick(X, y, estimators, random_state=seed).scores[["accuracy", "log_loss"]]
        for seed in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(one, same)
    assert not one.equals(other)
    assert estimators["tree"].random_state is None
    assert not hasattr(estimators["tree"], "tree_")


def test_each_fold_has_a_seed_of_its_own_where_none_was_given():
    X, y = cancer()
    one_split = [(np.arange(150), np.arange(150, 200))] * 4
    estimators = {
        "fixed": DecisionTreeClassifier(max_features=1, max_depth=1, random_state=0),
        "free": DecisionTreeClassifier(max_features=1, max_depth=1),
    }
    scores = quick(X, y, estimators, cv=one_split, random_state=0).scores
    values = scores.groupby("estimator")["log_loss"].nunique()
    assert values["fixed"] == 1
    assert values["free"] > 1


def test_jobs_change_nothing_but_times():
    X, y = iris()
    one, two = (
        quick(X, y, {"a": TREE, "b": STUMP}, random_state=0, n_jobs=n).scores for n in (None, 2)
    )
    columns = ["fold", "estimator", "accuracy", "log_loss"]
    pd.testing.assert_frame_equal(one[columns], two[columns])


# Failures and warnings ------------------------------------------------------------------------


def test_an_error_names_estimator_and_fold():
    X, y = cancer()
    estimators = {"fine": TREE, "bad one": Constant(error=RuntimeError("no way"), fail_from=-99)}
    with pytest.raises(ValueError, match=r"'bad one' failed on fold 0: RuntimeError: no way"):
        quick(X, y, estimators)


def test_or_a_number_takes_the_place_of_its_scores():
    X, y = np.repeat([[0.0], [1.0], [2.0]], 20, axis=0), np.tile([0, 1], 30)
    bad = Constant(error=RuntimeError("no way"), fail_from=1)
    estimators = {"fine": TREE, "bad": bad}
    comparison = quick(X, y, estimators, cv=KFold(3), error_score=np.nan)
    # Only without the first fold's rows does X begin with a 1.
    failed = comparison.scores.query("estimator == 'bad'")
    assert list(failed["accuracy"].isna()) == [True, False, False]
    assert list(failed["failure"]) == ["RuntimeError: no way", "", ""]
    assert comparison.differences["verdict"][0] == UNDECIDED
    assert "1 of 6 fits failed" in str(comparison)
    assert "nan" not in str(comparison)
    comparison.plot()
    zero = quick(X, y, estimators, cv=KFold(3), error_score=0)
    assert list(zero.scores.query("estimator == 'bad'")["accuracy"]) == [0, 0.5, 0.5]


def test_fits_that_did_not_converge_are_counted():
    X, y = cancer()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # none gets through
        comparison = quick(X, y, {"tree": TREE, "slow": Constant(warning=ConvergenceWarning)})
    assert list(comparison.table["not_converged"]) == [0, 3]
    assert "not converged" in str(comparison)
    assert "not converged" not in str(quick(X, y, TREES))


def test_other_warnings_are_given_once():
    X, y = cancer()
    with pytest.warns(FutureWarning) as caught:
        quick(X, y, {"tree": TREE, "old": Constant(warning=FutureWarning)})
    assert [str(warning.message) for warning in caught] == [
        "first (estimator 'old', 3 times)",
        "second (estimator 'old', 3 times)",
    ]


def test_what_cannot_be_pickled_has_no_size():
    X, y = cancer()
    comparison = quick(X, y, {"tree": TREE, "odd": Constant(unpicklable=True)})
    assert np.isnan(comparison.table["size"]["odd"])
    assert re.search(r"^odd .* - *$", str(comparison), re.MULTILINE)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"estimators": [TREE, STUMP]}, TypeError, "dict of names to estimators.*list"),
        ({"estimators": {"tree": TREE}}, ValueError, r"at least two.*\['tree'\]"),
        ({"estimators": {"a": TREE, "b": "tree"}}, TypeError, r"estimators\['b'\].*'tree'"),
        ({"estimators": {"a": TREE, "b": DecisionTreeClassifier}}, TypeError, r"\['b'\]"),
        (
            {"estimators": {"a": TREE, "b": DecisionTreeRegressor()}},
            ValueError,
            "all classifiers or all regressors.*'b': DecisionTreeRegressor",
        ),
        ({"estimators": TREES, "confidence": 95}, ValueError, r"in \(0, 1\), got 95"),
        ({"estimators": TREES, "error_score": "ignore"}, ValueError, "'raise' or a number"),
        ({"estimators": TREES, "cv": 1}, ValueError, "n_splits"),
    ],
)
def test_bad_arguments(params, error, message):
    with pytest.raises(error, match=message):
        quick(*cancer(), **params)


def test_rows_must_match():
    X, y = cancer()
    with pytest.raises(ValueError, match="inconsistent"):
        quick(X, y[1:], TREES)


@pytest.mark.parametrize("package", ["pandas", "matplotlib.pyplot"])
def test_missing_packages_are_named(package, monkeypatch):
    X, y = cancer()  # scikit-learn 1.6 looks for pandas itself
    comparison = quick(X, y, TREES)
    monkeypatch.setitem(sys.modules, package, None)
    call = comparison.plot if "." in package else lambda: quick(X, y, TREES)
    with pytest.raises(ImportError, match=rf'needs {package.split(".")[0]}.*"skscratch\[plots\]"'):
        call()


# What is shown --------------------------------------------------------------------------------


def test_the_tables_as_text_and_html():
    X, y = cancer()
    comparison = quick(X, y, {"a <b>": TREE, "stump": STUMP}, random_state=0)
    text, html = str(comparison), comparison._repr_html_()
    assert text.startswith("Classification, 200 rows, 6 features, 3 folds\n")
    assert repr(comparison) == text
    for shown in ("accuracy", "log loss", "fit time, s", "verdict", "Smaller is better: log loss."):
        assert shown in text
        assert shown in html
    row = comparison.table.loc["stump"]
    (line,) = re.findall(r"^stump +(\S+) ± (\S+) ", text, re.MULTILINE)
    assert [float(number) for number in line] == pytest.approx(
        [row["accuracy"], row["accuracy_std"]], abs=1e-3
    )
    assert "<b>" not in html


def test_progress_in_files_and_terminals(capsys, monkeypatch):
    X, y = cancer()
    quick(X, y, TREES, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"Fold {k} of 3" for k in (1, 2, 3)]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    quick(X, y, TREES, verbose=True)
    out = capsys.readouterr().out
    assert out.count("\r") == 2
    assert out.count("\n") == 1
    quick(X, y, TREES)
    assert capsys.readouterr().out == ""


def test_plot():
    import matplotlib.pyplot as plt

    X, y = cancer()
    estimators = {**TREES, "constant": DummyClassifier()}
    comparison = quick(X, y, estimators, cv=5, random_state=0)
    axes = comparison.plot()
    assert axes.shape == (2, 2)
    left, right = axes[0]
    assert [label.get_text() for label in left.get_yticklabels()] == list(estimators)
    assert not any(label.get_visible() for label in right.get_yticklabels())  # beside the left ones
    assert left.get_xlabel() == "accuracy (greater is better)"
    assert axes[1, 0].get_xlabel() == "log loss (smaller is better)"
    assert "below 0: tree is better" in axes[1, 1].get_xlabel()
    assert [text.get_text() for text in right.texts] == list(
        comparison.differences.query("metric == 'accuracy'")["verdict"]
    )
    # A line for each fold, through the estimators' scores.
    (first, *_), n_folds = left.lines, 5
    np.testing.assert_array_equal(
        first.get_xdata(), comparison.scores.query("fold == 0")["accuracy"]
    )
    assert sum(len(line.get_xdata()) == 3 for line in left.lines) >= n_folds
    assert all(0 <= x <= 1 for line in left.lines for x in line.get_xdata())
    figure = plt.figure(layout="constrained")
    assert comparison.plot(figure.subfigures(1, 2)[0])[0, 0].figure.figure is figure
    plt.close("all")


@pytest.mark.parametrize("reference", ["a tree", "a tree of which there is much more to be said"])
def test_no_text_of_the_plot_is_cut_off_or_touches_another(reference):
    import matplotlib.pyplot as plt

    X, y = cancer()
    estimators = {reference: TREES["tree"], "constant": DummyClassifier()}
    axes = quick(X, y, estimators, cv=3, random_state=0).plot()
    figure = axes[0, 0].figure
    figure.draw_without_rendering()
    page = figure.bbox
    for ax in axes.flat:
        texts = [ax.title, ax.xaxis.label, *ax.texts]
        for box in (text.get_window_extent() for text in texts):
            assert box.x0 >= page.x0
            assert box.x1 <= page.x1
        ticks = [label.get_window_extent() for label in ax.get_xticklabels()]
        assert all(a.x1 < b.x0 for a, b in itertools.pairwise(ticks))
    plt.close("all")


def test_regressors_of_ours():
    X, y = diabetes()
    comparison = quick(X, y, {"ours": regressor(), "mean": DummyRegressor()})
    assert comparison.task == "regression"
    assert (comparison.scores["converged"]).all()


def test_unequal_folds():
    X, y = make_classification(31, random_state=0)
    comparison = quick(X, y, TREES, cv=2)
    assert comparison.scores["fold"].nunique() == 2
