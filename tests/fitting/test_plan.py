import math
from dataclasses import FrozenInstanceError
from html import escape

import numpy as np
import pytest

from skscratch import Cosine, ScratchMLPClassifier, ScratchMLPRegressor
from skscratch._fitting.plan import (
    AUTO_BATCH_SIZE,
    AUTO_EPOCHS,
    CALIBRATE_FROM,
    EPOCHS_OF_LBFGS,
    FLOAT32_FROM,
    FOLDS_FROM,
    LEAST_STEPS,
    N_NETWORKS,
    make_plan,
    settle_dtype,
)
from skscratch._fitting.settings import resolve
from skscratch.nn import ACTIVATIONS, INITIALIZERS, Constant, GlorotUniform, HeNormal, LecunNormal

from ..conftest import cancer, classifier, diabetes, iris, regressor

EPOCHS, STEPS = AUTO_EPOCHS["classifier"], LEAST_STEPS["classifier"]


def resolved(**params):
    return resolve(classifier(**params).get_params(deep=False))


def plan_of(n_samples, **params):
    return make_plan(resolved(**params), n_samples)


def dtype_of(n_samples, numbers, **params):
    settings = resolved(**{"dtype": "auto", **params})
    return settle_dtype(settings, make_plan(settings, n_samples), numbers).dtype


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_automatic_init_goes_by_the_activation_and_ends_with_zeros(name):
    plan = plan_of(10, hidden_layer_sizes=(3, 3), activation=["tanh", name], init="auto")
    relatives_of_relu = ("relu", "leaky_relu", "elu", "gelu", "silu", "swish", "mish")
    expected = (
        HeNormal()
        if name in relatives_of_relu
        else LecunNormal()
        if name == "selu"
        else GlorotUniform()
    )
    assert plan.init == (GlorotUniform(), expected, None)


@pytest.mark.parametrize(
    ("optimizer", "expected"), [("adam", None), ("nadam", None), ("sgd", GlorotUniform())]
)
def test_automatic_init_of_the_output_layer_goes_by_the_optimizer(optimizer, expected):
    plan = plan_of(10, hidden_layer_sizes=(), init="auto", optimizer=optimizer)
    assert plan.init == (expected,)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_every_initializer_is_used_for_every_layer(name):
    plan = plan_of(10, hidden_layer_sizes=(3, 3), init=name)
    assert plan.init == (INITIALIZERS[name](),) * 3


@pytest.mark.parametrize(
    ("params", "n_samples", "expected"),
    [
        ({"dtype": "auto", "optimizer": "adam"}, FLOAT32_FROM - 1, "float64"),
        ({"dtype": "auto", "optimizer": "adam"}, FLOAT32_FROM, "float32"),
        ({"dtype": "auto", "optimizer": "lbfgs"}, 10 * FLOAT32_FROM, "float64"),
        ({"dtype": "float32", "optimizer": "adam"}, 2, "float32"),
        ({"dtype": "float32", "optimizer": "lbfgs"}, 2, "float32"),
        ({"dtype": "float64", "optimizer": "adam"}, 10**9, "float64"),
    ],
)
def test_dtype_rule(params, n_samples, expected):
    assert dtype_of(n_samples, [np.eye(2)], **params) == expected


def test_dtype_rule_looks_at_the_data_last():
    good, bad = np.eye(2), np.eye(2) + 1e4

    def unseen():
        raise AssertionError("The data were looked at.")
        yield

    assert dtype_of(FLOAT32_FROM, [good, good]) == "float32"
    assert dtype_of(FLOAT32_FROM, [good, bad]) == "float64"
    assert dtype_of(FLOAT32_FROM - 1, unseen()) == "float64"
    assert dtype_of(10**9, unseen(), optimizer="lbfgs") == "float64"
    assert dtype_of(10**9, unseen(), dtype="float32") == "float32"


FEW, ENOUGH = FOLDS_FROM - 1, max(FOLDS_FROM, 2 * N_NETWORKS)


@pytest.mark.parametrize(
    ("params", "n_samples", "expected"),
    [
        ({}, 2, N_NETWORKS),
        ({}, 10**6, N_NETWORKS),
        ({"early_stopping": True}, 100, N_NETWORKS),
        ({"optimizer": "lbfgs"}, 100, N_NETWORKS),
        ({"n_networks": np.int64(3)}, 2, 3),
        ({"n_networks": 3}, 10**6, 3),
    ],
)
def test_number_of_networks(params, n_samples, expected):
    plan = plan_of(n_samples, **{"n_networks": "auto", **params})
    assert (plan.n_networks, type(plan.n_networks)) == (expected, int)


def test_splits_of_the_user_and_networks_of_the_call_before_count_first():
    automatic = resolved(n_networks="auto", cv=5)
    assert make_plan(automatic, 100, n_splits=5).n_networks == 5
    assert make_plan(resolved(n_networks=5, cv=5), 100, n_splits=5).n_networks == 5
    with pytest.raises(ValueError, match=r"cv makes 5 splits, .* and n_networks=4.*'auto'"):
        make_plan(resolved(n_networks=4, cv=5), 100, n_splits=5)
    automatic = resolved(n_networks="auto")
    assert make_plan(automatic, 100, incremental=True).n_networks == 1
    for incremental in (False, True):
        assert make_plan(automatic, 100, incremental=incremental, n_before=3).n_networks == 3
    assert make_plan(resolved(n_networks=2), 100, incremental=True).n_networks == 2


@pytest.mark.parametrize(
    ("params", "n_samples", "expected"),
    [
        ({}, FEW, ""),
        ({}, ENOUGH, "folds"),
        ({"optimizer": "lbfgs"}, ENOUGH, "folds"),
        ({"n_networks": 2}, FEW, ""),
        ({"n_networks": 2}, FOLDS_FROM, "folds"),
        ({"n_networks": 100}, 199, ""),  # each fold has two rows at least
        ({"n_networks": 100}, 200, "folds"),
        ({"early_stopping": True}, 2, "held-out rows"),
        ({"early_stopping": np.True_}, ENOUGH, "held-out rows"),
        ({"early_stopping": True, "optimizer": "lbfgs"}, ENOUGH, "folds"),
        ({"n_networks": 1}, ENOUGH, ""),
        ({"n_networks": 1, "early_stopping": True}, ENOUGH, "held-out rows"),
        ({"n_networks": 1, "early_stopping": True, "optimizer": "lbfgs"}, ENOUGH, ""),
    ],
)
def test_what_judges(params, n_samples, expected):
    plan = plan_of(n_samples, **{"n_networks": "auto", **params})
    assert plan.judge == expected
    assert (plan.n_held_out > 0) is (expected == "held-out rows")
    may_go_back = resolved(**params).optimizer.full_batch is False
    assert plan.goes_back is (bool(expected) and may_go_back)


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize(
    ("params", "goes_back"),
    [
        ({"n_networks": 1}, False),
        ({"n_networks": 3}, True),
        ({"n_networks": 1, "early_stopping": True}, True),
        ({"n_networks": 3, "early_stopping": True}, True),
    ],
)
def test_given_validation_data_judge_before_all_else(params, goes_back, incremental):
    plan = make_plan(resolved(**params), 100, has_validation_data=True, incremental=incremental)
    assert (plan.judge, plan.n_held_out) == ("X_val", 0)
    # partial_fit goes back only if asked to.
    assert plan.goes_back is (goes_back and (not incremental or "early_stopping" in params))


def test_partial_fit_without_validation_data_is_not_judged():
    for n_networks in (1, 3):
        plan = make_plan(resolved(n_networks=n_networks), 100, incremental=True)
        assert (plan.judge, plan.goes_back) == ("", False)
    with pytest.warns(UserWarning, match="early_stopping=True has no effect in partial_fit"):
        make_plan(resolved(early_stopping=True), 100, incremental=True)


def test_folds_of_the_user_judge_alone():
    settings = {"n_networks": "auto", "cv": 3}
    assert make_plan(resolved(**settings), 6, n_splits=3).judge == "folds"
    assert make_plan(resolved(**settings), 6, incremental=True).judge == ""
    with pytest.raises(ValueError, match=r"cv=3 cuts folds.* early_stopping=True. Set cv=None"):
        make_plan(resolved(**settings, early_stopping=True), 100, n_splits=3)
    with pytest.raises(ValueError, match=r"cv=3 cuts folds.* X_val. Set cv=None"):
        make_plan(resolved(**settings), 100, n_splits=3, has_validation_data=True)


@pytest.mark.parametrize(
    ("params", "n_samples", "expected"),
    [
        ({"batch_size": "auto"}, AUTO_BATCH_SIZE - 1, AUTO_BATCH_SIZE - 1),
        ({"batch_size": "auto"}, AUTO_BATCH_SIZE, AUTO_BATCH_SIZE),
        ({"batch_size": "auto"}, 10**6, AUTO_BATCH_SIZE),
        ({"batch_size": "full"}, 10**6, 10**6),
        ({"batch_size": None}, 10**6, 10**6),
        ({"batch_size": np.int64(3)}, 10**6, 3),
        ({"batch_size": 10**9}, 10, 10**9),
        ({"batch_size": 16, "optimizer": "lbfgs"}, 10**6, 10**6),
    ],
)
def test_rows_of_a_batch(params, n_samples, expected):
    assert plan_of(n_samples, **params).batch_size == expected


@pytest.mark.parametrize(
    ("params", "n_samples", "expected"),
    [
        ({"max_iter": 7}, 10**6, 7),
        ({"max_iter": np.int64(7)}, 10, 7),
        ({"batch_size": 10}, 10 * math.ceil(STEPS / EPOCHS), EPOCHS),
        ({}, 10**6, EPOCHS),
        ({"lr_schedule": "constant"}, 10**6, EPOCHS),
        ({"batch_size": 512}, 1024, math.ceil(STEPS / 2)),
        ({"batch_size": 512}, 1025, math.ceil(STEPS / 3)),
        ({"batch_size": 512, "normalization": "batch"}, 1025, math.ceil(STEPS / 2)),
        ({"batch_size": None}, 10**6, STEPS),
        ({"optimizer": "lbfgs"}, 10**6, EPOCHS_OF_LBFGS),
    ],
)
def test_number_of_epochs(params, n_samples, expected):
    automatic = {"max_iter": "auto", "batch_size": "auto", "lr_schedule": "cosine"}
    assert plan_of(n_samples, **{**automatic, **params}).max_iter == expected


def test_a_regressor_has_more_epochs_and_steps():
    settings = resolve(regressor(max_iter="auto", batch_size=64).get_params(deep=False))
    assert make_plan(settings, 64).max_iter == LEAST_STEPS["regressor"] > STEPS
    assert make_plan(settings, 10**6).max_iter == AUTO_EPOCHS["regressor"] > EPOCHS


def test_the_number_of_epochs_counts_the_rows_that_a_network_is_trained_on():
    params = {"max_iter": "auto", "batch_size": 500}
    assert plan_of(2000, **params).max_iter == math.ceil(STEPS / 4)
    some = {"early_stopping": True, "validation_fraction": 0.25}
    assert plan_of(2000, **params, **some).max_iter == math.ceil(STEPS / 3)
    assert plan_of(2000, **params, n_networks=4).max_iter == math.ceil(STEPS / 3)


@pytest.mark.parametrize(
    ("fraction", "n_samples", "expected"),
    [
        (0.1, 100, 10),
        (0.1, 101, 11),
        (0.25, 10, 3),
        (0.001, 100, 2),
        (0.5, 10**6, 500_000),
    ],
)
def test_rows_to_hold_out(fraction, n_samples, expected):
    assert (
        plan_of(n_samples, early_stopping=True, validation_fraction=fraction).n_held_out == expected
    )


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, Cosine()),
        ({"early_stopping": True}, Cosine()),
        ({"optimizer": "lbfgs"}, Constant()),
        ({"lr_schedule": Constant()}, Constant()),
    ],
)
def test_schedule(params, expected):
    assert plan_of(100, **{"lr_schedule": "cosine", **params}).lr_schedule == expected


def test_a_schedule_with_an_end_is_none_for_partial_fit():
    for name, expected in (("cosine", Constant()), ("step", resolved(lr_schedule="step"))):
        plan = make_plan(resolved(lr_schedule=name), 100, incremental=True)
        assert plan.lr_schedule == getattr(expected, "lr_schedule", expected)


@pytest.mark.parametrize(
    ("params", "n_samples", "expected"),
    [
        ({}, 1000, False),
        ({"n_networks": 2}, max(FOLDS_FROM, CALIBRATE_FROM), True),
        ({"n_networks": 2}, FEW, False),
        ({"early_stopping": True, "validation_fraction": 0.5}, 2 * CALIBRATE_FROM, True),
        ({"early_stopping": True, "validation_fraction": 0.5}, 2 * CALIBRATE_FROM - 2, False),
        ({"n_networks": 2, "calibrate": False}, 1000, False),
        ({"n_networks": 2, "calibrate": True, "early_stopping": True}, 10, True),
    ],
)
def test_calibration_needs_rows_that_were_not_trained_on(params, n_samples, expected):
    assert plan_of(n_samples, **{"calibrate": "auto", **params}).calibrate is expected


@pytest.mark.parametrize(("params", "n_samples"), [({}, 1000), ({"n_networks": 2}, FEW)])
def test_calibration_that_is_asked_for_needs_them_too(params, n_samples):
    with pytest.raises(ValueError, match=r"calibrate=True needs rows.*n_networks.*X_val and y_val"):
        plan_of(n_samples, calibrate=True, **params)


@pytest.mark.parametrize(
    ("make", "data"), [(ScratchMLPClassifier, cancer), (ScratchMLPRegressor, diabetes)]
)
def test_the_plan_is_there_once_fitted_and_prints_as_a_table(make, data):
    estimator = make((4,), max_iter=3, random_state=0)
    assert not hasattr(estimator, "plan_")
    plan = estimator.fit(*data()).plan_
    lines = str(plan).splitlines()
    assert lines[0].split() == ["choice", "became", "because"]
    for name, value, why in plan.table():
        assert any(line.startswith(name) and value in line and why in line for line in lines)
        assert escape(why) in plan._repr_html_()
        assert hasattr(plan, name)
    assert {"data", "training"} <= set(plan.seconds)
    assert all(value >= 0 for value in plan.seconds.values())
    assert lines[-1].startswith("time: data ")


@pytest.mark.parametrize("early_stopping", [False, True])
def test_every_automatic_parameter_is_in_the_plan(early_stopping):
    params = ScratchMLPClassifier().get_params()
    automatic = {
        name for name, value in params.items() if isinstance(value, str) and value == "auto"
    }
    assert {"n_networks", "batch_size", "max_iter"} <= automatic
    clf = ScratchMLPClassifier((4,), early_stopping=early_stopping, max_iter=1)
    found = clf.fit(*cancer()).plan_.why
    assert automatic | {"judge", "goes_back"} <= set(found)
    assert ("n_held_out" in found) is early_stopping


def test_the_plan_says_what_happened_to_it():
    X, y = iris()
    more = classifier(warm_start=True, n_networks=2, calibrate=True).fit(X, y).fit(X, y)
    assert more.plan_.why["calibrate"] == "the first call has fixed the temperature"
    one = classifier(calibrate="auto", early_stopping=True).fit(X, np.ones(len(X)))
    assert (one.plan_.calibrate, one.plan_.why["calibrate"]) == (False, "there is one class")


def test_a_plan_never_changes():
    plan = plan_of(100)
    with pytest.raises(FrozenInstanceError):
        plan.max_iter = 3
    other = plan.but("max_iter", 3, "for a test").timed(data=1.0)
    assert (other.max_iter, other.why["max_iter"], other.seconds) == (
        3,
        "for a test",
        {"data": 1.0},
    )
    assert plan.max_iter != 3
    assert not plan.seconds
