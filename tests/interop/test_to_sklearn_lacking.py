"""To scikit-learn: what it lacks stands in the way."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import clone

from skscratch import (
    LBFGS,
    Adaptive,
    LeakyReLU,
)
from skscratch.nn import SquaredError

from ..conftest import classifier, diabetes, iris, regressor
from .checks import DATA, assert_same_predictions, ours

# scikit-learn 1.6 with a recent SciPy.
pytestmark = pytest.mark.filterwarnings("ignore:.*iprint.*:DeprecationWarning")

TRAINING_ONLY = [
    ({"dropout": 0.2}, "dropout=0.2"),
    ({"dropout": [0.2]}, "dropout=[0.2]"),
    ({"optimizer": "nadam"}, "optimizer='nadam'"),
    ({"optimizer": "adamw"}, "optimizer='adamw'"),
    ({"optimizer": LBFGS(memory=5)}, "optimizer=LBFGS(memory=5"),
    ({"lr_schedule": "cosine"}, "lr_schedule='cosine'"),
    ({"lr_schedule": "invscaling"}, "lr_schedule='invscaling'"),
    ({"optimizer": "sgd", "lr_schedule": Adaptive(factor=2.0)}, "lr_schedule=Adaptive(factor=2"),
    ({"batch_size": "full"}, "batch_size='full'"),
    ({"batch_size": "auto"}, "batch_size='auto'"),
    ({"max_iter": "auto"}, "max_iter='auto'"),
    ({"clip_norm": 1.0}, "clip_norm=1.0"),
    ({"n_networks": 2}, "n_networks=2"),
    ({"n_networks": "auto"}, "n_networks='auto'"),
    ({"cv": 3, "n_networks": 3}, "cv=3"),
    ({"scoring": "loss"}, "scoring='loss'"),
]

CLASSIFIER_ONLY = [
    ({"label_smoothing": 0.1}, "label_smoothing=0.1"),
    ({"class_weight": "balanced"}, "class_weight='balanced'"),
]

REGRESSOR_ONLY = [
    ({"standardize_target": True}, "standardize_target=True"),
    ({"loss": "huber"}, "loss='huber'"),
]

LACKING = [
    pytest.param(target, params, words, id=f"{target}-{words}")
    for target, cases in {
        "multiclass": TRAINING_ONLY + CLASSIFIER_ONLY,
        "regression": TRAINING_ONLY + REGRESSOR_ONLY,
    }.items()
    for params, words in cases
]


@pytest.mark.parametrize(("target", "params", "words"), LACKING)
def test_what_only_training_needs_stands_in_the_way_of_an_unfitted_one(target, params, words):
    X, y = DATA[target]()
    plain = {"standardize_target": False} if target == "regression" else {}
    ours(target, **plain).to_sklearn()
    estimator = ours(target, **{**plain, **params})
    with pytest.raises(ValueError, match="has nothing like") as caught:
        estimator.to_sklearn()
    assert words in str(caught.value)
    assert "Once fitted" in str(caught.value)
    mlp = estimator.fit(X, y).to_sklearn()
    assert_same_predictions(mlp, estimator, X)
    clone(mlp).fit(X, y)
    if mlp.solver != "lbfgs":
        mlp.partial_fit(X, y)


@pytest.mark.parametrize("calibrate", [True, "auto"])
def test_calibration_stands_in_the_way_of_an_unfitted_one(calibrate):
    estimator = classifier(calibrate=calibrate, early_stopping=True)
    with pytest.raises(ValueError, match=f"has nothing like calibrate={calibrate!r}"):
        estimator.to_sklearn()


PREDICTION = [
    ({"activation": "gelu"}, "activation='gelu'"),
    ({"activation": ("relu", "tanh")}, "activation=('relu', 'tanh')"),
    ({"activation": LeakyReLU(slope=0.0)}, "activation=LeakyReLU(slope=0.0)"),
    ({"normalization": "batch"}, "normalization='batch'"),
    ({"normalization": "layer"}, "normalization='layer'"),
    ({"feature_scaling": "robust"}, "feature_scaling='robust'"),
    ({"feature_scaling": "learned"}, "feature_scaling='learned'"),
    ({"numerical_embedding": "periodic"}, "numerical_embedding="),
]


@pytest.mark.parametrize(("params", "words"), PREDICTION, ids=[words for _, words in PREDICTION])
@pytest.mark.parametrize("target", ["multiclass", "regression"])
def test_what_predictions_need_stands_in_the_way_of_any(target, params, words):
    X, y = DATA[target]()
    estimator = ours(target, hidden_layer_sizes=(4, 4), dropout=0.1, **params)
    with pytest.raises(ValueError, match="has nothing like") as caught:
        estimator.to_sklearn()
    assert words in str(caught.value)
    assert "dropout=0.1" in str(caught.value)
    with pytest.raises(ValueError, match="has nothing like") as caught:
        estimator.fit(X, y).to_sklearn()
    assert words in str(caught.value)
    assert "dropout" not in str(caught.value)


@dataclass
class Softplus(SquaredError):
    """A loss with a link that scikit-learn does not know."""

    out_activation: ClassVar[str] = "softplus"

    def inverse_link(self, Z):
        return np.logaddexp(Z, 0)


@pytest.mark.parametrize("fitted", [False, True])
def test_another_link_stands_in_the_way(fitted):
    X, y = diabetes()
    estimator = regressor(loss=Softplus(), standardize_target=False)
    if fitted:
        estimator.fit(X, y)
    with pytest.raises(ValueError, match=r"has nothing like loss=Softplus\(\)"):
        estimator.to_sklearn()


def test_the_network_counts_and_not_parameters_changed_since():
    X, y = iris()
    estimator = classifier(activation="tanh").fit(X, y)
    estimator.set_params(activation="gelu", hidden_layer_sizes=(3, 3))
    mlp = estimator.to_sklearn()
    assert (mlp.activation, mlp.hidden_layer_sizes) == ("tanh", (8,))
    assert_same_predictions(mlp, estimator, X)
    estimator = classifier(activation="gelu").fit(X, y).set_params(activation="tanh")
    with pytest.raises(ValueError, match=r"activation=\[GELU\(\)\]"):
        estimator.to_sklearn()


def test_bad_parameters_are_named():
    with pytest.raises(ValueError, match="l2 must be"):
        classifier(l2=-1.0).to_sklearn()
