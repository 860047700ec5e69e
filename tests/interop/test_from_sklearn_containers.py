"""From scikit-learn: what contains an MLP, and searches."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform, uniform
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skscratch import (
    LBFGS,
    SGD,
    Adam,
    Adaptive,
    ScratchMLPClassifier,
    from_sklearn,
)
from skscratch._interop.containers import contained
from skscratch.nn import Constant

from ..conftest import diabetes, iris, multilabel
from .checks import assert_same_predictions, named_classes

# scikit-learn 1.6 with a recent SciPy.
pytestmark = pytest.mark.filterwarnings("ignore:.*iprint.*:DeprecationWarning")

# From scikit-learn: what contains an MLP ------------------------------------------------------


def small(kind=MLPClassifier, **params):
    return kind(**{"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0, **params})


def scaled(**params):
    return make_pipeline(StandardScaler(), small(**params))


CONTAINERS = {
    "pipeline": (scaled(), named_classes),
    "bagging": (BaggingClassifier(small(), 2, max_features=0.5, random_state=0), named_classes),
    "voting": (VotingClassifier([("a", small()), ("b", scaled())], voting="soft"), iris),
    "stacking": (StackingClassifier([("a", small())], small(), cv=2), iris),
    "one-vs-rest": (OneVsRestClassifier(small()), iris),
    "calibrated stack": (
        CalibratedClassifierCV(
            StackingClassifier([("a", small())], LogisticRegression(), cv=2), cv=2
        ),
        iris,
    ),
    "several targets": (MultiOutputClassifier(small()), multilabel),
    "with a lambda": (make_pipeline(FunctionTransformer(lambda X: 2 * X), small()), iris),
    "transformed target": (
        TransformedTargetRegressor(small(MLPRegressor), transformer=StandardScaler()),
        diabetes,
    ),
    "bagging of searches": (
        BaggingClassifier(GridSearchCV(small(), {"alpha": [0.1, 1.0]}, cv=2), 2, random_state=0),
        iris,
    ),
}


def mlps_in(model):
    return [part for part in contained(model) if isinstance(part, MLPClassifier | MLPRegressor)]


@pytest.mark.parametrize(("model", "data"), CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_contains_an_mlp(model, data):
    X, y = data()
    model = clone(model)
    unfitted = from_sklearn(model)
    assert type(unfitted) is type(model)
    assert mlps_in(model)
    assert not mlps_in(unfitted)
    unfitted.fit(X, y).predict(X)
    number = len(mlps_in(model.fit(X, y)))
    converted = from_sklearn(model)
    assert not mlps_in(converted)
    assert len(mlps_in(model)) == number
    if hasattr(model, "predict_proba"):
        assert_array_equal(converted.predict(X), model.predict(X))
        assert_allclose(converted.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-12)
    else:
        assert_allclose(converted.predict(X), model.predict(X))


def test_one_that_is_referred_to_twice_stays_one():
    X, y = iris()
    model = VotingClassifier([("a", small(tol=1.0, n_iter_no_change=1))]).fit(X, y)
    converted = from_sklearn(model)
    assert converted.named_estimators_["a"] is converted.estimators_[0]


@pytest.mark.parametrize(
    "outer",
    [CalibratedClassifierCV(cv=2), OneVsOneClassifier(small()), OutputCodeClassifier(small())],
    ids=lambda outer: type(outer).__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_was_fitted_to_probabilities_does_not_get_logits(outer):
    X, y = iris()
    model = clone(outer).set_params(estimator=scaled()).fit(X, y)
    with pytest.raises(ValueError, match=r"fitted \w+ has learned from probabilities.*clone"):
        from_sklearn(model)
    assert from_sklearn(clone(model)).fit(X, y).score(X, y) > 0.3


def test_requests_of_metadata_carry_over():
    with config_context(enable_metadata_routing=True):
        mlp = small()
        if not hasattr(mlp, "set_fit_request"):
            pytest.skip("scikit-learn 1.6's MLP takes no weights")
        mlp.set_fit_request(sample_weight=True)
        requests = from_sklearn(make_pipeline(mlp))[-1].get_metadata_routing().fit.requests
    assert requests["sample_weight"] is True


# From scikit-learn: searches ------------------------------------------------------------------


ADAM = Adam(correct_epsilon=False)

NESTEROV = SGD(momentum=0.9, nesterov=True)

GRIDS = {
    "names and values": (
        {"mlp__alpha": [0.1, 1.0], "mlp__batch_size": ["auto", 16], "scale__with_mean": [True]},
        {"mlp__l2": [0.1, 1.0], "mlp__batch_size": [200, 16], "scale__with_mean": [True]},
    ),
    "rates": (
        {"mlp__learning_rate_init": np.array([0.1, 1.0])},
        {"mlp__learning_rate": [0.1, 1.0]},
    ),
    "an optimizer": (
        {"mlp__momentum": [0.0, 0.9]},
        {"mlp__optimizer": [SGD(), NESTEROV]},
    ),
    "a schedule": (
        {"mlp__learning_rate": ["constant", "adaptive"]},
        {"mlp__lr_schedule": [Constant(), Adaptive(factor=5.0, minimum=1e-6)]},
    ),
    "both, any with any": (
        {"mlp__momentum": [0.0, 0.9], "mlp__learning_rate": ["constant", "adaptive"]},
        {
            "mlp__optimizer": [SGD(), NESTEROV],
            "mlp__lr_schedule": [Constant(), Adaptive(factor=5.0, minimum=1e-6)],
        },
    ),
    "a solver that has no schedule": (
        {"mlp__solver": ["adam", "sgd"], "mlp__learning_rate": ["constant", "adaptive"]},
        [
            {"mlp__optimizer": [optimizer], "mlp__lr_schedule": [schedule]}
            for optimizer, schedule in (
                (ADAM, Constant()),
                (NESTEROV, Constant()),
                (NESTEROV, Adaptive(factor=5.0, minimum=1e-6)),
            )
        ],
    ),
    "early stopping, which no solver changes": (
        {"mlp__solver": ["lbfgs", "adam"], "mlp__early_stopping": [True, False]},
        {
            "mlp__optimizer": [LBFGS(), ADAM],
            "mlp__lr_schedule": [Constant()],
            "mlp__early_stopping": [True, False],
        },
    ),
    "several": (
        [{"mlp__alpha": [1.0]}, {"scale": ["passthrough"]}],
        [{"mlp__l2": [1.0]}, {"scale": ["passthrough"]}],
    ),
    "in place of the MLP": (
        [{"mlp": [LogisticRegression()], "mlp__C": [1.0]}],
        [{"mlp": [LogisticRegression()], "mlp__C": [1.0]}],
    ),
}


def steps(**params):
    return Pipeline([("scale", StandardScaler()), ("mlp", small(**params))])


@pytest.mark.parametrize(("given", "expected"), GRIDS.values(), ids=GRIDS)
def test_grids(given, expected):
    search = GridSearchCV(steps(solver="sgd"), given, cv=2)
    before = repr(search.param_grid)
    converted = from_sklearn(search).param_grid
    assert repr(search.param_grid) == before
    assert repr(converted) == repr(expected) or converted == expected


def test_a_grid_may_hold_mlps():
    X, y = iris()
    grid = {"mlp": [small(alpha=1.0), small(alpha=2.0)], "mlp__tol": [1.0]}
    search = GridSearchCV(Pipeline([("mlp", LogisticRegression())]), grid, cv=2)
    converted = from_sklearn(search)
    assert [mlp.l2 for mlp in converted.param_grid["mlp"]] == [1.0, 2.0]
    converted.fit(X, y)


def test_distributions():
    alpha, beta = loguniform(1e-4, 1), uniform(0.5, 0.4)
    search = RandomizedSearchCV(
        steps(), {"mlp__alpha": alpha, "mlp__beta_1": beta}, n_iter=2, cv=2, random_state=0
    )
    converted = from_sklearn(search)
    assert list(converted.param_distributions) == ["mlp__l2", "mlp__optimizer__beta1"]
    converted.fit(*iris())
    assert 1e-4 <= converted.best_estimator_[-1].l2 <= 1
    assert 0.5 <= converted.best_estimator_[-1].optimizer.beta1 <= 0.9


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"mlp__momentum": uniform()}, "'mlp__momentum' .* no use of it with solver='adam'"),
        (
            {"mlp__beta_1": uniform(), "mlp__solver": ["adam"]},
            "'mlp__beta_1' .* of mlp__beta_1, mlp__solver only lists",
        ),
        ({"mlp__alpha": 0.1}, "'mlp__alpha' .* 0.1 is neither a list nor a distribution"),
        (
            {"mlp": [small(), LogisticRegression()], "mlp__tol": [0.1]},
            "'mlp__tol' .* to MLPs and to other estimators",
        ),
        (
            {"mlp": [small(), small(solver="sgd")], "mlp__learning_rate": ["constant"]},
            "'mlp__learning_rate' .* to several MLPs",
        ),
        (
            [
                {"mlp__solver": ["sgd", "adam"], "mlp__learning_rate": ["constant", "adaptive"]},
                {"mlp__alpha": [1.0]},
            ],
            "one of its dicts becomes several",
        ),
    ],
)
def test_grids_that_cannot_be_translated(grid, message):
    with pytest.raises(ValueError, match=message):
        from_sklearn(RandomizedSearchCV(steps(), grid))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fitted_search():
    X, y = iris()
    grid = [
        {"mlp__alpha": [0.1, 1.0], "mlp__solver": ["sgd", "adam"]},
        {"scale": ["passthrough"]},
    ]
    search = GridSearchCV(steps(), grid, cv=2).fit(X, y)
    converted = from_sklearn(search)
    assert_same_predictions(converted, search, X)
    assert isinstance(converted.best_estimator_[-1], ScratchMLPClassifier)
    results, its = converted.cv_results_, search.cv_results_
    assert_array_equal(results["mean_test_score"], its["mean_test_score"])
    assert [params.get("mlp__l2") for params in results["params"]] == [0.1, 0.1, 1.0, 1.0, None]
    assert results["param_mlp__l2"].tolist() == [0.1, 0.1, 1.0, 1.0, None]
    assert results["param_mlp__optimizer"][:2].tolist() == [NESTEROV, ADAM]
    assert not any("alpha" in key or "solver" in key for key in results)
    assert converted.best_params_ == results["params"][converted.best_index_]
    assert "mlp__alpha" in its["params"][0]
    steps_now = converted.best_estimator_.get_params()
    assert all(steps_now[name] == value for name, value in converted.best_params_.items())
    clone(converted).fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_halving():
    X, y = iris()
    search = HalvingGridSearchCV(
        small(), {"alpha": [0.1, 1.0]}, cv=2, resource="max_iter", min_resources=2, max_resources=4
    )
    converted = from_sklearn(search)
    assert converted.param_grid == {"l2": [0.1, 1.0]}
    converted.fit(X, y)
    search.fit(X, y)
    assert_same_predictions(from_sklearn(search), search, X)
