"""The advice of a diagnosis: what is treated as it says trains, from any first weights."""

from ast import literal_eval

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine, make_moons
from sklearn.preprocessing import scale

from skscratch import Normal, ScratchMLPClassifier
from skscratch.inspection import diagnose

from ..conftest import classifier, iris, regressor

MANY = 10
seeds = pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, MANY))]
)


def finding(name, *args, range_test=False, **kwargs):
    found = diagnose(*args, range_test=range_test, **kwargs).findings
    return next((f for f in found if f.name == name), None)


def params_of(text):
    """Read the parameters in a remedy: "activation='selu' with clip_norm=1" sets two."""
    pairs = [word.rstrip(",;").split("=") for word in text.split() if "=" in word]
    values = {name: literal_eval(value) for name, value in pairs}
    return {k: float(v) if isinstance(v, int) else v for k, v in values.items()}


def test_the_parameters_in_a_remedy():
    text = "take fewer layers, or activation='selu' with init='auto' and clip_norm=1"
    assert params_of(text) == {"activation": "selu", "init": "auto", "clip_norm": 1.0}


@seeds
@pytest.mark.parametrize(("optimizer", "rate"), [("momentum", 0.03), ("sgd", 0.1), ("adam", 0.003)])
def test_vanishing_gradients(optimizer, rate, seed):
    X, y = iris()
    sick = classifier(
        hidden_layer_sizes=(16,) * 12,
        activation="sigmoid",
        init="auto",
        optimizer=optimizer,
        learning_rate=rate,
        l2=1e-4,
        max_iter=60,
        random_state=seed,
    )
    assert sick.fit(X, y).score(X, y) < 0.4
    remedy = finding("vanishing gradients", sick, X, y).remedy
    fewer, others = remedy.split(" say, or ")
    assert params_of(others) == {"activation": "selu", "init": "auto", "clip_norm": 1.0}
    treated = sick.set_params(**params_of(others)).fit(X, y)
    assert treated.score(X, y) > 0.85
    assert np.max(treated.history_["loss"]) < 3 * np.log(3)  # far from divergence
    assert fewer == "take fewer layers, 2"
    sick.set_params(activation="sigmoid", clip_norm=None, hidden_layer_sizes=(16, 16))
    sick.set_params(max_iter=120)  # sigmoid stays slow
    assert sick.fit(X, y).score(X, y) > 0.8


def test_what_lbfgs_does_not_take_is_not_advised():
    X, y = iris()
    sick = classifier(
        hidden_layer_sizes=(16,) * 12, activation="sigmoid", optimizer="lbfgs", max_iter=60
    )
    remedy = finding("vanishing gradients", sick.fit(X, y), X, y).remedy
    assert "clip_norm" not in remedy
    assert sick.set_params(**params_of(remedy)).fit(X, y).score(X, y) > 0.85
    sick.set_params(activation="relu", init=Normal(std=1.0))
    remedy = finding("exploding gradients", sick, scale(X), y).remedy
    assert "clip_norm" not in remedy


@seeds
def test_exploding_gradients(seed):
    X, y = load_wine(return_X_y=True)
    X = scale(X)
    sick = classifier(
        hidden_layer_sizes=(50,) * 6,
        activation="relu",
        init=Normal(std=1.0),
        optimizer="sgd",
        learning_rate=0.1,
        max_iter=40,
        random_state=seed,
    )
    remedy = finding("exploding gradients", sick, X, y).remedy
    for name, value in params_of(remedy).items():
        treated = classifier(**{**sick.get_params(deep=False), name: value})
        assert treated.fit(X, y).score(X, y) > 0.9, name


@seeds
def test_saturated_units(seed):
    X, y = load_wine(return_X_y=True)
    X = scale(X)
    sick = classifier(init=Normal(std=5.0), hidden_layer_sizes=(16, 8), optimizer="sgd")
    sick.set_params(max_iter=60, random_state=seed)
    remedy = finding("saturated units", sick, X, y).remedy
    assert sick.set_params(**params_of(remedy)).fit(X, y).score(X, y) > 0.95


@seeds
@pytest.mark.parametrize("rate", [30.0, 1e-6])
def test_learning_rates(rate, seed):
    X, y = load_wine(return_X_y=True)
    X = scale(X)
    sick = classifier(optimizer="momentum", learning_rate=rate, max_iter=60, random_state=seed)
    sick.set_params(activation="relu", init="auto", hidden_layer_sizes=(16, 8))
    name = "learning rate too large" if rate > 1 else "learning rate too small"
    remedy = finding(name, sick, X, y, range_test=True).remedy.split(" in place")[0]
    assert sick.set_params(**params_of(remedy)).fit(X, y).score(X, y) > 0.9


@seeds
def test_too_few_steps(seed):
    X, y = make_moons(400, noise=0.1, random_state=seed)
    params = {"activation": "selu", "learning_rate": 4e-3, "n_networks": 1}
    sick = ScratchMLPClassifier((64, 64), **params, batch_size="full", max_iter=50)
    sick.set_params(random_state=seed)
    score = sick.fit(X, y).score(X, y)
    assert score < 0.93
    few = finding("too few steps", sick, X, y)
    assert "after 50 steps" in few.evidence
    assert "after 200" in few.evidence
    assert few.remedy == "set max_iter=200, or batch_size=100"
    for name, value in params_of(few.remedy).items():
        settings = {**sick.get_params(deep=False), name: int(value)}
        treated = ScratchMLPClassifier(**settings).fit(X, y)
        assert treated.score(X, y) > score + 0.03
        assert finding("too few steps", treated, X, y) is None


@seeds
def test_squeezed_columns(seed):
    # Scaled by its quartiles, which are about 0, two of three values would be at the clip.
    rng = np.random.default_rng(seed)
    x = np.where(rng.random(800) < 0.7, 0, rng.lognormal(3, 1.0, 800))
    X = np.c_[x, rng.standard_normal((800, 2))]
    y = np.log1p(x) + X[:, 1]
    sick = regressor(
        feature_scaling="robust", hidden_layer_sizes=(32,), max_iter=30, random_state=seed
    )
    sick.fit(X, y)
    sick.feature_scaler_.scale_[0] = 2.0
    remedy = finding("columns squeezed", sick, X, y).remedy
    assert "StandardScaler" in remedy
    assert sick.set_params(**params_of(remedy)).fit(scale(X), y).score(scale(X), y) > 0.95


@seeds
def test_one_hot_targets(seed):
    X, y = load_iris(return_X_y=True)
    Y = np.eye(3)[y]
    remedy = finding("one-hot targets", classifier(), X, Y).remedy
    assert "numpy.asarray(y).argmax(axis=1)" in remedy
    clf = classifier(feature_scaling="robust", max_iter=40, random_state=seed)
    assert clf.fit(X, np.asarray(Y).argmax(axis=1)).score(X, y) > 0.95


@seeds
def test_a_validation_loss_that_rose(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((400, 20))
    y = (X[:, 0] + 1.5 * rng.standard_normal(400) > 0).astype(int)
    sick = classifier(
        hidden_layer_sizes=(64,),
        max_iter=60,
        learning_rate=0.02,
        random_state=seed,
    )
    fit = {"X_val": X[250:], "y_val": y[250:]}
    sick.fit(X[:250], y[:250], **fit)
    rose = finding("overfitting", sick, X[:250], y[:250])
    assert "the validation loss was lowest in epoch " in rose.evidence
    epochs = int(rose.remedy.split("max_iter=")[1].split(",")[0])
    assert sick.history_["validation_loss"][epochs - 1] == min(sick.history_["validation_loss"])
    # With early stopping it is the score that chose the epoch, and the loss that should have.
    sick.set_params(early_stopping=True, scoring="accuracy").fit(X[:250], y[:250], **fit)
    sick._fitted.progress.best.epoch = 60
    rose = finding("overfitting", sick, X[:250], y[:250])
    assert "scoring='loss'" in rose.remedy
    treated = sick.set_params(scoring="loss").fit(X[:250], y[:250], **fit)
    assert finding("overfitting", treated, X[:250], y[:250]) is None
    assert treated.best_epoch_ < 30
