"""No global setting of scikit-learn changes what happens inside."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from skscratch import (
    ScratchMLPClassifier,
    ScratchMLPRegressor,
    compare,
    from_sklearn,
    learning_rate_range_test,
)
from skscratch._comparison.compare import _default_estimators
from skscratch.inspection import (
    HiddenLayerTransformer,
    LayerMonitor,
    activations,
    diagnose,
    gradient_check,
    trace,
)
from skscratch.nn import DivergenceError

from ..conftest import cancer, classifier, diabetes, iris, multilabel, regressor

SETTINGS = {
    "pandas": {"transform_output": "pandas"},
    "polars": {"transform_output": "polars"},
    "routing": {"enable_metadata_routing": True},
    "assume_finite": {"assume_finite": True},
    "working_memory": {"working_memory": 1},
    "no validation": {"skip_parameter_validation": True},
}

ROBUST = {"feature_scaling": "robust", "max_iter": 3}
EARLY = {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 6}
TASKS = {
    "classifier": (classifier, iris),
    "two classes": (classifier, cancer),
    "multilabel": (classifier, multilabel),
    "regressor": (regressor, diabetes),
    "two outputs": (regressor, lambda: (diabetes()[0], diabetes()[0][:, :2] + 9)),
}
WAYS = {
    "robust": ROBUST,
    "early stopping": {**ROBUST, **EARLY},
    "scorer": {**EARLY, "scoring": lambda estimator, X, y: float(estimator.predict(X).mean())},
    "periodic": {"numerical_embedding": "periodic", "max_iter": 2},
    "bins": {"numerical_embedding": "piecewise_linear", **ROBUST},
    "batch": {"normalization": "batch", "dtype": "float32", "max_iter": 2},
    "lbfgs": {"optimizer": "lbfgs", "max_iter": 5},
    "networks": {**ROBUST, "n_networks": 3},
}


def outputs(estimator, X, y):
    """List all numbers that a fitted estimator gives."""
    found = [estimator.predict(X), estimator.score(X, y), *estimator.coefs_]
    names = ("predict_proba", "predict_log_proba", "decision_function")
    found += [getattr(estimator, name)(X) for name in names if hasattr(estimator, name)]
    columns = ("loss", "validation_loss", "validation_score", "gradient_norm")
    return [*found, *(estimator.history_[name] for name in columns)]


def assert_same_under_each_setting(compute):
    expected = compute()
    for name, settings in SETTINGS.items():
        with sklearn.config_context(**settings):
            found = compute()
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert not hasattr(a, "columns"), name
            np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("task", TASKS)
def test_fit_and_predict(task, way):
    make, data = TASKS[task]
    X, y = data()
    weights = np.linspace(0.5, 2, len(X))
    assert_same_under_each_setting(lambda: outputs(make(**WAYS[way]).fit(X, y, weights), X, y))


@pytest.mark.parametrize("task", TASKS)
def test_frames_sparse_rows_series_and_warm_starts(task):
    make, data = TASKS[task]
    X, y = data()
    frame = pd.DataFrame(X).rename(columns="x{}".format)
    labels = pd.DataFrame(y) if y.ndim == 2 else pd.Series(y)

    def compute():
        of_frames = make(**ROBUST, warm_start=True).fit(frame, labels).fit(frame, labels)
        rows = scipy.sparse.csr_matrix(np.where(X > 0, X, 0))
        sparse = make(**ROBUST).fit(rows, y, X_val=rows[::2], y_val=y[::2])
        series, classes = make(**ROBUST), {}
        if make is classifier:
            classes["classes"] = np.arange(y.max() + 1 if y.ndim == 1 else y.shape[1])
        for part in (slice(0, 70), slice(50, 120)):
            series.partial_fit(X[part], y[part], X_val=X[::3], y_val=y[::3], **classes)
        return outputs(of_frames, frame, y) + outputs(sparse, rows, y) + outputs(series, X, y)

    assert_same_under_each_setting(compute)


def test_calibration_and_class_weights():
    X, y = iris()
    params = {**ROBUST, "calibrate": True, "class_weight": "balanced", "label_smoothing": 0.1}

    def compute():
        found = []
        for judge in ({"n_networks": 2}, {"early_stopping": True}):
            clf = classifier(**params, **judge).fit(X, y)
            found += [clf.temperature_, *outputs(clf, X, y)]
        return found

    assert_same_under_each_setting(compute)


@pytest.mark.parametrize("task", ["classifier", "regressor"])
def test_with_the_defaults(task):
    _, data = TASKS[task]
    X, y = data()
    cls = ScratchMLPClassifier if task == "classifier" else ScratchMLPRegressor
    assert_same_under_each_setting(lambda: outputs(cls(max_iter=2, random_state=0).fit(X, y), X, y))


@pytest.mark.parametrize("task", ["classifier", "regressor"])
def test_inspection(task):
    make, data = TASKS[task]
    X, y = data()

    def compute():
        monitor = LayerMonitor()
        estimator = make(**ROBUST).set_callbacks(monitor).fit(X, y)
        traced, checked = trace(estimator, X[:3], y[:3]), gradient_check(estimator, X, y)
        columns = list(monitor.record.values())
        found = [*columns, *activations(estimator, X).values(), traced["dW1"], repr(checked)]
        found += [np.asarray(HiddenLayerTransformer(make(**ROBUST)).fit_transform(X, y))]
        found += [[str(finding) for finding in diagnose(make(max_iter=2), 1e3 * X, y).findings]]
        return [*found, learning_rate_range_test(make(), X, y, n_steps=20).losses]

    assert_same_under_each_setting(compute)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_the_transformer_gives_the_frames_that_are_asked_for(kind):
    X, y = cancer()
    frame = pd.DataFrame(X, columns=list("abcdef"), index=np.arange(100, 300))
    clf = classifier(max_iter=5)
    with sklearn.config_context(transform_output=kind):
        hidden = HiddenLayerTransformer(clf).fit_transform(frame, y)
        union = make_union(StandardScaler(), HiddenLayerTransformer(clf))
        model = make_pipeline(union, clone(clf)).fit(frame, y)
    assert type(hidden).__module__.startswith(kind)
    names = [f"hiddenlayertransformer{i}" for i in range(8)]
    assert list(hidden.columns) == names
    if kind == "pandas":
        assert (hidden.index == frame.index).all()
    assert [name.split("__")[-1] for name in model[-1].feature_names_in_] == [*"abcdef", *names]


@pytest.mark.parametrize("task", ["classifier", "regressor"])
def test_to_scikit_learn_and_back(task):
    make, data = TASKS[task]
    X, y = data()

    def compute():
        estimator = make(max_iter=3).fit(X, y)
        mlp = estimator.to_sklearn()
        return [*mlp.coefs_, mlp.predict(X), *outputs(from_sklearn(mlp), X, y)]

    assert_same_under_each_setting(compute)


@pytest.mark.parametrize("task", ["classifier", "regressor"])
def test_pipelines_searches_and_comparisons(task):
    make, data = TASKS[task]
    X, y = data()

    def compute():
        model = make_pipeline(StandardScaler(), make(**ROBUST))
        search = GridSearchCV(model, {f"{model.steps[1][0]}__l2": [0.1, 1.0]}, cv=2).fit(X, y)
        found = [search.cv_results_["mean_test_score"], search.predict(X)]
        # With routing, scikit-learn 1.6 takes no params=None.
        found += [cross_validate(make(**ROBUST), X, y, cv=2, params={})["test_score"]]
        several = {"a": make(**ROBUST), "b": model}
        compared = compare(X, y, several, cv=2, n_repeats=1, random_state=0, verbose=False)
        return [*found, *(compared.scores[metric] for metric in compared.metrics)]

    assert_same_under_each_setting(compute)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_rivals_that_are_compared_by_default(task):
    X, y = iris() if task == "classification" else diabetes()

    def compute():
        predictions = []
        for inputs in (X, scipy.sparse.csr_matrix(X)):
            for rival in list(_default_estimators(task, inputs).values())[1:]:
                name = next(name for name in rival.get_params() if name.endswith("max_iter"))
                rival.set_params(**{name: 2, name.replace("max_iter", "random_state"): 0})
                predictions.append(rival.fit(inputs, y).predict(inputs))
        return predictions

    assert_same_under_each_setting(compute)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # scikit-learn's type_of_target
@pytest.mark.parametrize("feature_scaling", [None, "robust"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("task", TASKS)
def test_without_the_check_for_finite_numbers_there_is_an_error_all_the_same(
    task, value, feature_scaling
):
    make, data = TASKS[task]
    X, y = data()
    bad = X.copy()
    bad[3, 1] = value
    estimator = make(feature_scaling=feature_scaling, max_iter=2)
    with sklearn.config_context(assume_finite=True):
        if not (np.isinf(value) and feature_scaling):  # which squeezes values of any size
            with pytest.raises(DivergenceError, match="non-finite"):
                estimator.fit(bad, y)
            assert not estimator.__sklearn_is_fitted__()
            if np.isnan(value):  # tanh bounds what is infinite
                with pytest.raises(ValueError, match="overflow"):
                    estimator.fit(X, y).predict(bad)
        weights = np.ones(len(X))
        weights[3] = value
        with pytest.raises(ValueError, match="sample_weight must"):
            estimator.fit(X, y, weights)
        y = y.astype(float)
        y[3] = value
        with pytest.raises(ValueError, match=r"y|non-finite"):
            estimator.fit(X, y)
