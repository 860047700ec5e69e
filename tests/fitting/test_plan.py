import math
from dataclasses import FrozenInstanceError
from html import escape

import numpy as np
import pytest

from skscratch import Adam, Cosine, ScratchMLPClassifier, ScratchMLPRegressor
from skscratch._fitting.plan import (
    AUTO_BATCH_SIZE,
    AUTO_EPOCHS,
    AUTO_VALIDATION_FRACTION,
    EPOCHS_ON_FEW_ROWS,
    EPOCHS_WITHOUT_HORIZON,
    FEW_ROWS,
    FLOAT32_FROM,
    LEAST_STEPS,
    MOST_VALIDATION_ROWS,
    make_plan,
    settle_dtype,
)
from skscratch._fitting.settings import resolve
from skscratch.callbacks import StopOnPlateau
from skscratch.nn import ACTIVATIONS, INITIALIZERS, Constant, GlorotUniform, HeNormal, LecunNormal

from ..conftest import cancer, classifier, diabetes


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


@pytest.mark.parametrize(
    ("params", "n_samples", "expected"),
    [
        ({"early_stopping": False}, 10**9, False),
        ({"early_stopping": np.False_}, 10**9, False),
        ({"early_stopping": True}, 2, True),
        ({"early_stopping": "auto"}, FEW_ROWS[True] - 1, False),
        ({"early_stopping": "auto"}, FEW_ROWS[True], True),
        ({"early_stopping": "auto", "optimizer": "lbfgs"}, 10**9, False),
        ({"early_stopping": True, "optimizer": "lbfgs"}, 10**9, False),
    ],
)
def test_early_stopping_rule(params, n_samples, expected):
    assert plan_of(n_samples, **params).early_stopping is expected


def test_validation_data_switch_automatic_early_stopping_on():
    settings = resolved(early_stopping="auto")
    for incremental in (False, True):
        plan = make_plan(settings, 2, has_validation_data=True, incremental=incremental)
        assert (plan.early_stopping, plan.n_held_out) == (True, 0)
    assert not make_plan(settings, 10**9, incremental=True).early_stopping
    settings = resolved(early_stopping=False)
    assert not make_plan(settings, 10**9, has_validation_data=True).early_stopping


@pytest.mark.parametrize(
    ("params", "n_samples", "expected"),
    [
        ({"batch_size": "auto"}, FEW_ROWS[True] - 1, FEW_ROWS[True] - 1),
        ({"batch_size": "auto"}, FEW_ROWS[True], AUTO_BATCH_SIZE),
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
        ({}, 100, EPOCHS_ON_FEW_ROWS),
        ({"batch_size": 10}, 100, EPOCHS_ON_FEW_ROWS),
        ({}, 10**5, AUTO_EPOCHS),
        ({"batch_size": 512}, 1024, LEAST_STEPS // 2),
        ({"batch_size": 512}, 1025, LEAST_STEPS // 3 + 1),
        ({"batch_size": None}, 10**6, LEAST_STEPS),
        ({"optimizer": "lbfgs"}, 10**6, EPOCHS_WITHOUT_HORIZON),
        ({"lr_schedule": "constant"}, 10**6, EPOCHS_WITHOUT_HORIZON),
        ({"lr_schedule": "constant"}, 10, EPOCHS_WITHOUT_HORIZON),
    ],
)
def test_number_of_epochs(params, n_samples, expected):
    automatic = {"max_iter": "auto", "batch_size": "auto", "lr_schedule": "auto"}
    assert plan_of(n_samples, **{**automatic, **params}).max_iter == expected


def test_the_number_of_epochs_counts_the_rows_that_are_left_to_train_on():
    params = {"max_iter": "auto", "batch_size": 500, "lr_schedule": "auto"}
    assert plan_of(2000, **params).max_iter == LEAST_STEPS / 4
    some = {"early_stopping": "auto", "validation_fraction": 0.25}
    assert plan_of(2000, **params, **some).max_iter == math.ceil(LEAST_STEPS / 3)


@pytest.mark.parametrize(
    ("fraction", "n_samples", "expected"),
    [
        (0.1, 100, 10),
        (0.1, 101, 11),
        (0.25, 10, 3),
        (0.001, 100, 2),
        ("auto", 1000, math.ceil(AUTO_VALIDATION_FRACTION * 1000)),
        ("auto", 10**9, MOST_VALIDATION_ROWS),
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
        ({"optimizer": "lbfgs"}, Constant()),
        ({"early_stopping": "auto"}, Cosine()),
        ({"early_stopping": True, "n_iter_no_change": math.inf}, Cosine()),
        ({"early_stopping": True, "n_iter_no_change": 9}, Constant()),
    ],
)
def test_schedule_rule(params, expected):
    assert plan_of(100, lr_schedule="auto", **params).lr_schedule == expected


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        *dict.fromkeys(("adam", "adamw", "nadam"), "learned").items(),
        (Adam(beta1=0.5), "learned"),
        *dict.fromkeys(("sgd", "rmsprop", "lbfgs"), "robust").items(),
    ],
)
def test_scaling_rule(optimizer, expected):
    assert plan_of(100, feature_scaling="auto", optimizer=optimizer).feature_scaling == expected


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


def test_every_automatic_parameter_is_in_the_plan():
    params = ScratchMLPClassifier().get_params()
    automatic = {
        name for name, value in params.items() if isinstance(value, str) and value == "auto"
    }
    X, y = cancer()
    found = ScratchMLPClassifier((4,), max_iter=1).fit(np.tile(X, (6, 1)), np.tile(y, 6)).plan_.why
    # The share that is held out is told in rows.
    assert automatic - {"validation_fraction"} <= set(found)
    assert "n_held_out" in found


def test_the_plan_says_what_happened_to_it():
    X, y = cancer()
    once = classifier(early_stopping=True, refit=True, max_iter=50)
    once.set_callbacks(StopOnPlateau("loss", n_epochs=1, tol=1e9)).fit(X, y)
    assert not once.plan_.refit
    assert once.plan_.why["refit"] == "training was stopped before"
    more = classifier(warm_start=True, calibrate=True).fit(X, y).fit(X, y)
    assert more.plan_.why["calibrate"] == "the first call has fixed the temperature"
    one = classifier(calibrate="auto", early_stopping=True).fit(X, np.ones(len(X)))
    assert (one.plan_.calibrate, one.plan_.why["calibrate"]) == ("", "there is one class")


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
