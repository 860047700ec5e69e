import math

import numpy as np
import pytest

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
from skscratch.nn import ACTIVATIONS, INITIALIZERS, GlorotUniform, HeNormal, LecunNormal

from ..conftest import classifier


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
