"""A loss that is not finite ends training, rolls it back and advises what to do."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning

from skscratch import learning_rate_range_test
from skscratch.nn import (
    SGD,
    Architecture,
    Batches,
    DivergenceError,
    Learner,
    Network,
    Normal,
    ReLU,
    SquaredError,
    fit,
)

from ..conftest import BOTH, classifier, diabetes, iris, regressor, state

both = pytest.mark.parametrize(("make", "data"), BOTH)

HUGE = {"feature_scaling": None, "dtype": "float64"}


def steps_of(monkeypatch):
    """Count the steps that are begun."""
    steps = []

    def counted(*args):
        steps.append(1)
        return original(*args)

    original = fit.__globals__["train_step"]
    monkeypatch.setitem(fit.__globals__, "train_step", counted)
    return steps


def test_divergence_ends_training_at_once_and_says_where(monkeypatch):
    X, y = diabetes()
    steps = steps_of(monkeypatch)
    estimator = regressor(**HUGE, optimizer="sgd", activation="relu", batch_size=10)
    with pytest.raises(DivergenceError) as caught:
        estimator.fit(X * 1e200, y)
    message = str(caught.value)
    assert "in epoch 1, at learning rate 0.01, first in the loss" in message
    assert message.endswith(
        " Try feature_scaling='robust' (X has values up to 4.5e+200), learning_rate=0.001 in place "
        "of 0.01, clip_norm=1 or normalization='batch'."
    )
    assert len(steps) == 1  # of 15 in the epoch
    assert not hasattr(estimator, "network_")


def spoiled(place, what, dropout=0.0):
    """Train a network in which a layer has a parameter, or an output, that is not finite."""
    network = Network(Architecture([2, 3, 3, 1], [ReLU(), ReLU()], [dropout] * 2))
    network.parameters.vector[...] = 1.0
    with np.errstate(over="ignore"):
        network.dense[place].W[0, 0] = np.nan if what == "parameters" else 1e308
    streams = (np.random.default_rng(0),)
    learner = Learner(network, SquaredError(), SGD(), 0.1, streams=streams)
    with pytest.raises(DivergenceError) as caught:
        fit(learner, Batches(np.full((4, 2), 9.0), np.zeros((4, 1))), epochs=3)
    return str(caught.value)


@pytest.mark.parametrize(
    ("place", "name"), [(0, "hidden layer 1 of 2"), (1, "hidden layer 2 of 2"), (2, "the output")]
)
@pytest.mark.parametrize("what", ["parameters", "outputs"])
def test_divergence_names_the_layer(place, name, what):
    assert f"in epoch 1, at learning rate 0.1, first in the {what} of {name}" in spoiled(
        place, what
    )


def test_divergence_names_the_layer_with_dropout_too():
    assert "the parameters of hidden layer 2 of 2" in spoiled(1, "parameters", dropout=0.5)


def test_the_last_step_of_an_epoch_may_spoil_the_parameters():
    X = np.array([[1e150, 0.0]])
    network = Network(Architecture([2, 1], []))
    learner = Learner(network, SquaredError(), SGD(), 1e200)
    with pytest.raises(DivergenceError, match="first in the parameters of the output layer"):
        fit(learner, Batches(X, np.array([[1e30]])), epochs=3)


def test_the_last_step_of_a_fit_may_make_the_outputs_overflow():
    settings = HUGE | {"hidden_layer_sizes": (4,), "activation": "identity", "optimizer": "sgd"}
    settings |= {"max_iter": 2, "l2": 0, "init": "auto", "standardize_target": False}
    reg = regressor(**settings)
    with pytest.raises(
        DivergenceError, match="first in the outputs of the network after the last step"
    ):
        reg.fit([[1.25730221e29]], [-0.13210486])
    assert not reg.__sklearn_is_fitted__()


def test_large_parameters_alone_are_no_divergence():
    network = Network(Architecture([1, 1], []))
    network.dense[0].W[...] = 1e100
    learner = Learner(network, SquaredError(), SGD(), 0.1)
    X = np.array([[1e-100], [-2e-100], [3e-100]])
    assert fit(learner, Batches(X, 2e100 * X), epochs=5).ended == "exhausted"
    assert network.dense[0].W.item() == pytest.approx(1e100)


def test_the_validation_loss_may_be_the_first_to_diverge():
    X, y = diabetes()
    with (
        pytest.raises(DivergenceError, match="first in the validation loss"),
        pytest.warns(UserWarning, match="X_val is on another scale than X"),
    ):
        regressor(**HUGE, activation="relu").fit(X, y, X_val=X * 1e200, y_val=y)


def test_lbfgs_diverges_with_the_same_error():
    X, y = diabetes()
    with pytest.raises(DivergenceError, match="in epoch 1, first in the loss"):
        regressor(**HUGE, optimizer="lbfgs", activation="relu").fit(X * 1e200, y)


def test_a_range_test_without_a_first_step_has_the_same_error():
    X, y = diabetes()
    with pytest.raises(DivergenceError, match="not finite before the first step"):
        learning_rate_range_test(regressor(**HUGE, activation="relu"), X * 1e200, y)


# Settings that diverge on standardized data, and what the error then advises.
EXPLOSIVE = {"activation": "relu", "optimizer": "sgd", "learning_rate": 1e100}

ADVICE = {
    "nothing is done yet": (
        {"standardize_target": False},
        ["learning_rate=1e+99 in place of 1e+100", "standardize_target=True (y has values up to "],
        ["scal"],
    ),
    "scaled outside": ({}, ["learning_rate=", "clip_norm=1", "normalization='batch'"], ["scal"]),
    "scaled here": ({"feature_scaling": "robust"}, ["learning_rate="], ["scal"]),
    "single rows": ({"batch_size": 1}, ["normalization='layer'"], ["batch"]),
    "no hidden layer": ({"hidden_layer_sizes": ()}, ["clip_norm=1"], ["normalization"]),
    "normalized": (
        {"normalization": "layer", "clip_norm": 1e300},
        ["Try learning_rate=1e+99 in place of 1e+100."],
        ["normalization", "clip_norm"],
    ),
    "another link": (
        {"loss": "poisson", "standardize_target": False},
        ["learning_rate="],
        ["standardize_target"],
    ),
    "lbfgs": (
        {"optimizer": "lbfgs", "init": Normal(std=1e200)},
        ["in epoch 1, first in the ", ". Try l2=0.1 in place of 0.01 or another optimizer."],
        ["scal", "learning_rate"],
    ),
}


@pytest.mark.parametrize(("params", "advised", "silent"), ADVICE.values(), ids=ADVICE)
def test_divergence_advises_what_is_not_done_yet(params, advised, silent):
    X, y = diabetes()
    with pytest.raises(DivergenceError) as caught:
        regressor(**{**EXPLOSIVE, "dtype": "float64", **params}).fit(X, y)
    happened, advice = caught.value.args
    assert all(text in str(caught.value) for text in advised), str(caught.value)
    assert not any(text in advice for text in silent), advice
    assert str(caught.value) == f"{happened} {advice}"


@pytest.mark.parametrize("sparse", [False, True])
def test_a_run_that_has_not_converged_advises_scaling_only_where_it_is_not_done(sparse):
    X, y = iris()
    for optimizer in ("adam", "lbfgs"):
        params = {"optimizer": optimizer, "max_iter": 2, "n_iter_no_change": 10}
        for factor, feature_scaling, advised in (
            (1, None, False),
            (1e3, None, True),
            (1e3, "robust", False),
        ):
            inputs = scipy.sparse.csr_matrix(factor * X) if sparse else factor * X
            with pytest.warns(ConvergenceWarning, match="converged. ?.*Raise max_iter") as caught:
                classifier(**params, feature_scaling=feature_scaling).fit(inputs, y)
            message = str(caught[0].message)
            assert (
                "set feature_scaling='robust' (X has values up to 3.1e+03)" in message
            ) is advised
            assert ("scal" in message) is advised


def test_divergence_crosses_processes():
    for args in (["Training diverged: ..."], ["Training diverged: ...", "Try another."]):
        error = pickle.loads(pickle.dumps(DivergenceError(*args)))
        assert isinstance(error, ValueError)
        assert str(error) == " ".join(args)


@both
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_divergence_in_a_continued_training_rolls_back(make, data, method):
    X, y = data()
    params = {"optimizer": "sgd", "activation": "relu", "warm_start": True, "loss": "log_loss"}
    if make is regressor:
        params["loss"] = "squared_error"
    estimator = make(**params).fit(X, y)
    before, predicted = state(estimator), estimator.predict(X)
    with pytest.raises(DivergenceError):
        getattr(estimator, method)(X * 1e200, y)
    assert state(estimator) == before
    np.testing.assert_array_equal(estimator.predict(X), predicted)
    getattr(estimator, method)(X, y)
