"""Searches, nested parameters and routed sample weights."""

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skscratch import SGD, Adam, LeakyReLU, Normal, StepDecay

from ..conftest import BOTH, assert_same_weights, classifier, iris, weights_of

both = pytest.mark.parametrize(("make", "data"), BOTH)


def test_grid_search_over_a_pipeline():
    X, y = iris()
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    grid = {
        "mlp__hidden_layer_sizes": [(8,), (4, 4)],
        "mlp__activation": ["tanh", LeakyReLU(slope=0.1)],
        "mlp__init": ["auto"],
        "mlp__optimizer": [SGD(), SGD(nesterov=True)],
        "mlp__optimizer__momentum": [0.1, 0.9],
        "mlp__l2": [1e-4],
        "mlp__dropout": [0.1],
        "mlp__batch_size": [16],
    }
    others = {
        "mlp__init": ["he_normal", Normal(std=0.1)],
        "mlp__l2": [0.0, 1.0],
        "mlp__batch_size": ["full"],
        "mlp__lr_schedule": [StepDecay()],
        "mlp__lr_schedule__every": [1, 100],
    }
    before = joblib.hash((grid, others))
    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", classifier(learning_rate=0.05))])
    search = GridSearchCV(pipeline, [grid, others], n_jobs=2, cv=2, error_score="raise")
    search.fit(frame, y)
    assert len(search.cv_results_["params"]) == 16 + 8
    assert search.best_score_ > 0.8
    assert list(search.best_estimator_[-1].network_.sizes[:1]) == [4]
    assert search.predict(frame).shape == (150,)
    assert joblib.hash((grid, others)) == before
    # The nested parameters made a difference.
    results = pd.DataFrame(search.cv_results_)
    by_momentum = results.groupby("param_mlp__optimizer__momentum")["mean_test_score"].mean()
    assert by_momentum[0.9] > by_momentum[0.1]


@both
def test_nested_parameters_are_listed_and_set(make, data):
    estimator = make(
        optimizer=SGD(), activation=LeakyReLU(), init=Normal(), lr_schedule=StepDecay()
    )
    params = estimator.get_params()
    for name in ("optimizer__momentum", "activation__slope", "init__std", "lr_schedule__every"):
        assert name in params
    estimator.set_params(optimizer__momentum=0.5, lr_schedule__every=3)
    assert estimator.optimizer == SGD(momentum=0.5)
    assert estimator.lr_schedule == StepDecay(every=3)
    estimator.set_params(optimizer=Adam(), optimizer__beta1=0.5)
    assert estimator.optimizer == Adam(beta1=0.5)


def route(estimator):
    return Pipeline(
        [
            ("scale", StandardScaler().set_fit_request(sample_weight=False)),
            (
                "mlp",
                estimator.set_fit_request(sample_weight=True).set_score_request(sample_weight=True),
            ),
        ]
    )


@both
def test_sample_weight_is_routed_through_a_search(make, data):
    X, y = data()
    weights = np.random.default_rng(0).uniform(0, 3, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = route(make(l2=0.5))
        scorer = get_scorer("accuracy" if make is classifier else "r2")
        common = {
            "cv": 2,
            "error_score": "raise",
            "scoring": scorer.set_score_request(sample_weight=True),
        }
        search = GridSearchCV(pipeline, {"mlp__l2": [0.5]}, **common)
        search.fit(X, y, sample_weight=weights)
        scores = cross_validate(pipeline, X, y, params={"sample_weight": weights}, **common)
        score = clone(pipeline).fit(X, y, sample_weight=weights).score(X, y, sample_weight=weights)
    scaled = StandardScaler().fit_transform(X)
    assert_same_weights(search.best_estimator_[-1], make(l2=0.5).fit(scaled, y, weights))
    assert not np.array_equal(
        weights_of(search.best_estimator_[-1]), weights_of(make(l2=0.5).fit(scaled, y))
    )
    assert scores["test_score"].mean() == pytest.approx(search.best_score_)
    assert score == pytest.approx(search.best_estimator_[-1].score(scaled, y, weights))
