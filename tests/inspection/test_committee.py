"""Inspection of several networks: one of them at a time, by its number."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_diabetes, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from skscratch import ScratchMLPClassifier, ScratchMLPRegressor
from skscratch.inspection import (
    ActivationDisplay,
    GradientFlowDisplay,
    HiddenLayerTransformer,
    LayerMonitor,
    NetworkDisplay,
    TrainingCurveDisplay,
    WeightDisplay,
    activations,
    diagnose,
    gradient_check,
    summary,
    trace,
)
from skscratch.inspection._layers import layer_statistics
from skscratch.inspection._passes import one_network

from ..conftest import BOTH, cancer, classifier, iris, multilabel, output, regressor, state

mpl.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


K = 3
both = pytest.mark.parametrize(("make", "data"), BOTH)


def fitted(make, data, **params):
    return make(n_networks=K, **params).fit(*data())


def logits_of(estimator, X):
    """Return the logits of each network, by NumPy alone."""
    scaler = estimator.feature_scaler_
    A = X if scaler is None else scaler.transform(X)
    *hidden, last = zip(estimator.coefs_, estimator.intercepts_, strict=True)
    for W, b in hidden:
        A = np.tanh(A @ W + b[:, np.newaxis])
    return A @ last[0] + last[1][:, np.newaxis]


# One network ----------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("params", [{}, {"feature_scaling": "robust"}], ids=["plain", "scaled"])
def test_a_trace_is_that_of_the_member(make, data, params):
    X, y = data()
    est = fitted(make, data, **params)
    before = state(est)
    for k, Z in enumerate(logits_of(est, X[:4])):
        steps = trace(est, X[:4], y[:4], member=k)
        assert steps.title.endswith(f", member={k} of {K} networks")
        assert_allclose(steps["Z2"], Z, atol=1e-12)
        assert_array_equal(steps["W1"], est.coefs_[0][k])
        if is_classifier(est):
            assert_array_equal(steps["prediction"].ravel(), Z.argmax(axis=1))
        else:
            scaler = est._target.scaler
            assert_allclose(steps["prediction"], Z * scaler.scale_ + scaler.mean_)
    assert state(est) == before


def test_the_mean_of_the_traced_logits_is_the_decision():
    X, y = iris()
    est = fitted(classifier, iris, calibrate=True)
    assert est.temperature_ != 1
    traces = [trace(est, X[:5], y[:5], member=k) for k in range(K)]
    mean = np.mean([steps["Zt"] for steps in traces], axis=0)
    assert_allclose(mean, est.decision_function(X[:5]), rtol=1e-10)


@pytest.mark.parametrize("data", [cancer, multilabel], ids=["binary", "multilabel"])
def test_other_targets_are_traced(data):
    X, y = data()
    est = fitted(classifier, data)
    Z = logits_of(est, X[:4])[1]
    assert_allclose(trace(est, X[:4], y[:4], member=1)["Z2"], Z, atol=1e-12)


@pytest.mark.parametrize("normalization", ["batch", "layer"])
@pytest.mark.parametrize("embedding", [None, "periodic", "piecewise_linear"])
def test_normalization_and_embeddings_of_a_member(normalization, embedding):
    X, y = iris()
    est = fitted(classifier, iris, normalization=normalization, numerical_embedding=embedding)
    Z = est.network_.predict(X)
    for k in range(K):
        outputs = activations(est, X, member=k)
        assert_allclose(outputs["dense 2"], Z[k], atol=1e-12)
        assert_allclose(trace(est, X, member=k)["Z2"], Z[k], atol=1e-12)
    assert gradient_check(est, X, y, member=2).passed


@both
def test_the_first_stands_for_all(make, data):
    X, y = data()
    est = fitted(make, data)
    assert repr(trace(est, X[:2], y[:2])) == repr(trace(est, X[:2], y[:2], member=0))
    assert_array_equal(activations(est, X)["dense 2"], logits_of(est, X)[0])


@both
def test_a_hidden_layer_of_a_member(make, data):
    X, _ = data()
    est = fitted(make, data)
    for k in range(K):
        hidden = HiddenLayerTransformer(FrozenEstimator(est), member=k).fit(X)
        expected = np.tanh(X @ est.coefs_[0][k] + est.intercepts_[0][k])
        assert_allclose(hidden.transform(X), expected, atol=1e-12)
        hidden.set_params(member=(k + 1) % K)  # as with layer, until the next fit
        assert_allclose(hidden.transform(X), expected, atol=1e-12)
        assert len(hidden.get_feature_names_out()) == 8
    assert clone(hidden).member == 0


@both
def test_a_summary_is_that_of_one(make, data):
    X, y = data()
    est = fitted(make, data)
    one, alone = summary(est, member=1), summary(make().fit(X, y))
    assert one.rows == alone.rows
    assert one.memory == alone.memory
    assert one.n_networks == K
    assert one.n_parameters * K == est.network_.parameters.vector.size
    assert f"member=1 of {K} networks" in repr(one)
    assert f"those of one of {K} networks" in repr(one)
    assert "networks" not in repr(alone)


def test_the_gradient_of_each_network_is_checked():
    X, y = iris()
    est = fitted(classifier, iris)
    assert all(gradient_check(est, X, y, member=k).passed for k in range(K))
    losses = {gradient_check(est, X, y, member=k).loss for k in range(K)}
    assert len(losses) == K


@both
def test_members_of_other_groups_are_found(make, data):
    """Half of the networks train on 109 rows, a batch, and the others on one row more."""
    X, y = data()
    est = make(n_networks=4, batch_size=109)
    est.fit(X[:146], y[:146], np.linspace(0.5, 2, 146))
    assert len(est._fitted.learners) == 2
    for k in range(4):
        member = est._fitted.member(k)
        assert_array_equal(member.network.parameters.vector, est.network_.parameters.vector[k])
        (learner,) = member.learners
        assert np.ndim(learner.mean_weight) == 0
        shape = member.network.parameters.vector.shape
        assert [moment.shape for moment in learner.state.moments] == [shape] * 2
        assert gradient_check(est, X, y, member=k).passed


@both
def test_a_member_predicts_what_it_does_alone(make, data):
    X, _ = data()
    est = fitted(make, data)
    Z = logits_of(est, X)
    if not is_classifier(est):
        Z = (Z * est._target.scaler.scale_ + est._target.scaler.mean_)[..., 0]
    for k in range(K):
        assert_allclose(output(one_network(est, k), X), Z[k], rtol=1e-10, atol=1e-12)


# Displays and the monitor ---------------------------------------------------------------------


def test_displays_show_the_member():
    X, _ = iris()
    est = fitted(classifier, iris)
    for k in range(K):
        for display in (NetworkDisplay, WeightDisplay):
            shown = display.from_estimator(est, member=k)
            for W, all_of_them in zip(shown.weights, est.coefs_, strict=True):
                assert_array_equal(W, all_of_them[k])
        assert_array_equal(shown.biases[0], est.intercepts_[0][k])
        shown = ActivationDisplay.from_estimator(est, X, member=k)
        assert_array_equal(shown.activations[0], activations(est, X, member=k)["activation 1"])


def test_the_parameters_drawn_are_those_of_one():
    display = NetworkDisplay.from_estimator(fitted(classifier, iris))
    alone = NetworkDisplay.from_estimator(classifier().fit(*iris()))
    assert display.descriptions == alone.descriptions


@both
def test_a_monitor_records_the_member(make, data):
    X, y = data()
    monitors = [LayerMonitor(n_rows=40, member=k) for k in range(K)]
    est = make(n_networks=K, max_iter=3).set_callbacks(*monitors).fit(X, y)
    plain = fitted(make, data, max_iter=3)
    assert_array_equal(est.coefs_[0], plain.coefs_[0])
    means = [tuple(monitor.record["mean_gradient"]) for monitor in monitors]
    assert len(set(means)) == K
    for monitor in monitors:
        assert monitor.record["layer"] == [1, 2] * 3
        assert np.all(np.array(monitor.record["update_ratio"]) < 0.3)
    GradientFlowDisplay.from_estimator(est)
    TrainingCurveDisplay.from_estimator(est)


def test_updates_are_measured_with_the_moments_of_the_member():
    X, y = iris()
    est = fitted(classifier, iris, max_iter=20)
    moments = est._fitted.learners[0].state.moments
    before = [moment.copy() for moment in moments]
    rates = [layer_statistics(one_network(est, k), X, y)["update_ratio"] for k in range(K)]
    for moment, saved in zip(moments, before, strict=True):
        assert_array_equal(moment, saved)
    moments[0][1] *= 100  # the running mean of the second network's gradient
    changed = [layer_statistics(one_network(est, k), X, y)["update_ratio"] for k in range(K)]
    assert [one == other for one, other in zip(rates, changed, strict=True)] == [True, False, True]
    assert min(changed[1]) > 5 * max(rates[1])


# What is refused ------------------------------------------------------------------------------

LOOKS = {
    "trace": lambda est, X, y, **k: trace(est, X, y, **k),
    "summary": lambda est, X, y, **k: summary(est, **k),
    "activations": lambda est, X, y, **k: activations(est, X, **k),
    "gradient check": lambda est, X, y, **k: gradient_check(est, X, y, **k),
    "diagnose": lambda est, X, y, **k: diagnose(est, X, y, range_test=False, **k),
    "hidden layer": lambda est, X, y, **k: HiddenLayerTransformer(FrozenEstimator(est), **k).fit(X),
    "network": lambda est, X, y, **k: NetworkDisplay.from_estimator(est, **k),
    "weights": lambda est, X, y, **k: WeightDisplay.from_estimator(est, **k),
    "activation display": lambda est, X, y, **k: ActivationDisplay.from_estimator(est, X, **k),
    "monitor": lambda est, X, y, **k: clone(est).set_callbacks(LayerMonitor(**k)).fit(X, y),
}
looks = pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)


@looks
def test_a_member_that_is_not_there(look):
    X, y = iris()
    several, one = fitted(classifier, iris), classifier().fit(X, y)
    with pytest.raises(ValueError, match="member must be from 0 to 2, got 3"):
        look(several, X, y, member=3)
    with pytest.raises(ValueError, match="member must be 0, as there is one network, got 1"):
        look(one, X, y, member=1)
    with pytest.raises(ValueError, match="member must be an integer >= 0, got -1"):
        look(several, X, y, member=-1)
    with pytest.raises(TypeError, match=r"member must be an integer >= 0, got 1\.5"):
        look(several, X, y, member=1.5)
    look(one, X, y, member=0)
    look(several, X, y, member=2)


def test_what_is_not_fitted_has_no_members():
    with pytest.raises(NotFittedError):
        summary(classifier(n_networks=K), member=1)


# Diagnosis ------------------------------------------------------------------------------------

HEALTHY = {
    "moons": lambda: make_moons(300, noise=0.25, random_state=0),
    "cancer": cancer,
    "iris": iris,
}


@pytest.mark.parametrize("data", HEALTHY.values(), ids=HEALTHY)
def test_healthy_committees_are_left_in_peace(data):
    X, y = data()
    est = ScratchMLPClassifier((32, 32), n_networks=4, random_state=0).fit(X, y)
    found = diagnose(est, X, y, member=3)
    assert [finding.name for finding in found.findings] == []
    assert found.notes == []  # each row was left out by some network
    assert found.title.endswith("as fitted, member=3 of 4 networks")


def test_a_healthy_regression_is_left_in_peace():
    X, y = load_diabetes(return_X_y=True)
    est = ScratchMLPRegressor((32, 32), n_networks=4, random_state=0).fit(X, y)
    assert diagnose(est, X, y).findings == []


def test_overfitting_is_judged_by_rows_left_out():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((150, 20)), rng.integers(0, 2, 150)
    est = classifier(n_networks=K, hidden_layer_sizes=(64,), optimizer="lbfgs", max_iter=200)
    found = diagnose(est.fit(X, y), X, y, range_test=False)
    (finding,) = [each for each in found.findings if each.name == "overfitting"]
    assert f"{est.oof_score_:.2f} on 150 held out" in finding.evidence


def test_a_network_with_dead_units_is_told_from_the_others():
    X, y = iris()
    est = fitted(classifier, iris, activation="relu", max_iter=20)
    est.intercepts_[0][1] = -1e3
    names = [
        [finding.name for finding in diagnose(est, X, y, member=k, range_test=False).findings]
        for k in range(K)
    ]
    assert "dead units" in names[1]
    assert "dead units" not in names[0] + names[2]


def test_networks_that_diverged_are_found():
    X, y = iris()
    est = fitted(classifier, iris, warm_start=True)
    est.coefs_[0][1] = np.inf
    with pytest.warns(UserWarning, match="1 of 3 networks diverged and are left out"):
        est.fit(X, y)
    found = diagnose(est, X, y, member=1)
    assert found.findings[0].name == "non-finite loss"
    assert found.findings[0].evidence == "1 of 3 networks diverged"
    assert found.title.endswith("member=1 of 2 networks")


def test_what_is_not_fitted_is_trained_with_all_its_networks():
    X, y = iris()
    found = diagnose(classifier(n_networks=K, max_iter=30), X, y, member=2)
    assert found.title.endswith("trained for this, as it is not fitted, member=2 of 3 networks")
    one = diagnose(regressor(), X, y, range_test=False)
    assert "networks" not in one.title
