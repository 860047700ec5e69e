import math

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skscratch import (
    ELU,
    LBFGS,
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    Cosine,
    CosineLog,
    LeakyReLU,
    Nadam,
    Normal,
    Orthogonal,
    RMSprop,
    StepDecay,
)
from skscratch._settings import (
    AUTO_BATCH_SIZE,
    AUTO_EPOCHS,
    AUTO_EPOCHS_ON_FEW_ROWS,
    AUTO_EPOCHS_WITHOUT_HORIZON,
    AUTO_FROM,
    AUTO_STEPS,
    AUTO_VALIDATION_FRACTION,
    AUTO_VALIDATION_ROWS,
    resolve,
)
from skscratch.nn import (
    ACTIVATIONS,
    GELU,
    INITIALIZERS,
    SCHEDULES,
    Adaptive,
    Constant,
    ExponentialDecay,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    InverseScaling,
    LecunNormal,
    Logistic,
    Periodic,
    PiecewiseLinear,
    ReLU,
    SiLU,
    Tanh,
)

from ..conftest import classifier


def resolved(**params):
    return resolve(classifier(**params).get_params(deep=False))


TWO = {"hidden_layer_sizes": (5, 4)}

# (parameters, attribute of the settings, its value)
GOOD = [
    ({"hidden_layer_sizes": 7}, "hidden_layer_sizes", (7,)),
    ({"hidden_layer_sizes": np.int32(7)}, "hidden_layer_sizes", (7,)),
    ({"hidden_layer_sizes": [7, 3]}, "hidden_layer_sizes", (7, 3)),
    ({"hidden_layer_sizes": np.array([7, 3])}, "hidden_layer_sizes", (7, 3)),
    ({"hidden_layer_sizes": range(2, 5)}, "hidden_layer_sizes", (2, 3, 4)),
    ({"hidden_layer_sizes": pd.Series([7, 3])}, "hidden_layer_sizes", (7, 3)),
    ({"hidden_layer_sizes": pl.Series([7, 3])}, "hidden_layer_sizes", (7, 3)),
    ({"hidden_layer_sizes": 2**31 - 1}, "hidden_layer_sizes", (2**31 - 1,)),
    ({"hidden_layer_sizes": ()}, "hidden_layer_sizes", ()),
    ({"hidden_layer_sizes": ()}, "activations", []),
    ({"hidden_layer_sizes": (), "activation": []}, "activations", []),
    ({"activation": "sigmoid"}, "activations", [Logistic()]),
    ({"activation": "swish"}, "activations", [SiLU()]),
    ({**TWO, "activation": "gelu"}, "activations", [GELU(), GELU()]),
    ({**TWO, "activation": ["tanh", "relu"]}, "activations", [Tanh(), ReLU()]),
    ({**TWO, "activation": ("tanh", ELU(alpha=2))}, "activations", [Tanh(), ELU(alpha=2)]),
    ({**TWO, "activation": np.array(["tanh", "relu"])}, "activations", [Tanh(), ReLU()]),
    ({"activation": LeakyReLU(slope=0)}, "activations", [LeakyReLU(slope=0)]),
    ({"init": "he"}, "initializers", [HeNormal(), HeNormal()]),
    ({"init": "he_uniform"}, "initializers", [HeUniform(), HeUniform()]),
    ({"init": "xavier"}, "initializers", [GlorotNormal(), GlorotNormal()]),
    ({"init": Normal(std=0)}, "initializers", [Normal(std=0), Normal(std=0)]),
    ({"init": Orthogonal(gain=2)}, "initializers", [Orthogonal(gain=2)] * 2),
    ({"optimizer": "sgd"}, "optimizer", SGD()),
    ({"optimizer": "momentum"}, "optimizer", SGD(momentum=0.9)),
    ({"optimizer": "nesterov"}, "optimizer", SGD(momentum=0.9, nesterov=True)),
    ({"optimizer": "adagrad"}, "optimizer", AdaGrad()),
    ({"optimizer": "rmsprop"}, "optimizer", RMSprop()),
    ({"optimizer": "adam"}, "optimizer", Adam()),
    ({"optimizer": "adamw"}, "optimizer", AdamW()),
    ({"optimizer": "nadam"}, "optimizer", Nadam()),
    ({"optimizer": "lbfgs"}, "optimizer", LBFGS()),
    *(
        ({"feature_scaling": value, "optimizer": optimizer}, "feature_scaling", resolved)
        for value, optimizer, resolved in (
            ("learned", "sgd", "learned"),
            ("robust", "adam", "robust"),
            (None, "adam", None),
            ("auto", "adam", "learned"),
            ("auto", "adamw", "learned"),
            ("auto", "nadam", "learned"),
            ("auto", Adam(beta1=0.5), "learned"),
            ("auto", "sgd", "robust"),
            ("auto", "rmsprop", "robust"),
            ("auto", "lbfgs", "robust"),
        )
    ),
    ({"feature_scaling": "learned"}, "learned_scales", True),
    ({"feature_scaling": "robust"}, "learned_scales", False),
    ({"feature_scaling": None}, "learned_scales", False),
    ({"optimizer": SGD(momentum=0)}, "optimizer", SGD(momentum=0)),
    ({"optimizer": SGD(momentum=np.float32(0.5))}, "optimizer", SGD(momentum=np.float32(0.5))),
    ({"optimizer": "lbfgs", "dropout": [0.0]}, "optimizer", LBFGS()),
    ({"optimizer": "lbfgs", "early_stopping": "auto"}, "optimizer", LBFGS()),
    ({"l2": 0}, "l2", 0.0),
    ({"l2": np.float32(0.5)}, "l2", 0.5),
    ({"dropout": 0}, "dropout", [0.0]),
    ({**TWO, "dropout": pd.Series([0.25, 0])}, "dropout", [0.25, 0.0]),
    ({**TWO, "dropout": 0.25}, "dropout", [0.25, 0.25]),
    ({**TWO, "dropout": (0.25, 0)}, "dropout", [0.25, 0.0]),
    ({**TWO, "dropout": np.array([0.25, 0])}, "dropout", [0.25, 0.0]),
    ({"learning_rate": 1}, "learning_rate", 1.0),
    ({"learning_rate": np.float64(0.1)}, "learning_rate", 0.1),
    ({"lr_schedule": "constant"}, "schedule", Constant()),
    ({"lr_schedule": "step"}, "schedule", StepDecay(drop=0.5, every=100)),
    ({"lr_schedule": "exponential"}, "schedule", ExponentialDecay(decay=0.96)),
    ({"lr_schedule": "cosine"}, "schedule", Cosine()),
    ({"lr_schedule": "coslog"}, "schedule", CosineLog()),
    ({"lr_schedule": "invscaling"}, "schedule", InverseScaling()),
    ({"lr_schedule": "adaptive"}, "schedule", Adaptive()),
    ({"lr_schedule": "auto"}, "schedule", Cosine()),
    ({"lr_schedule": "auto", "optimizer": "lbfgs"}, "schedule", Constant()),
    ({"lr_schedule": "auto", "early_stopping": "auto"}, "schedule", Cosine()),
    (
        {"lr_schedule": "auto", "early_stopping": True, "n_iter_no_change": math.inf},
        "schedule",
        Cosine(),
    ),
    (
        {"lr_schedule": "auto", "early_stopping": True, "n_iter_no_change": 9},
        "schedule",
        Constant(),
    ),
    ({"numerical_embedding": None}, "numerical_embedding", None),
    ({"numerical_embedding": "periodic"}, "numerical_embedding", Periodic()),
    ({"numerical_embedding": "piecewise_linear"}, "numerical_embedding", PiecewiseLinear()),
    ({"numerical_embedding": Periodic(scale=1)}, "numerical_embedding", Periodic(scale=1)),
    ({"lr_schedule": StepDecay(drop=1, every=7)}, "schedule", StepDecay(drop=1, every=7)),
    ({"max_iter": np.int16(3)}, "max_iter", 3),
    ({"shuffle": np.False_}, "shuffle", False),
    ({"tol": 0}, "tol", 0.0),
    ({"n_iter_no_change": np.int64(3)}, "n_iter_no_change", 3),
    ({"n_iter_no_change": math.inf}, "n_iter_no_change", math.inf),
    ({"n_iter_no_change": np.inf}, "n_iter_no_change", math.inf),
    ({"validation_fraction": 0.5}, "validation_fraction", 0.5),
    ({"validation_fraction": "auto"}, "validation_fraction", None),
    ({"warm_start": np.True_}, "warm_start", True),
    ({"verbose": True}, "verbose", True),
    ({"verbose": 2}, "verbose", True),
    ({"verbose": 0}, "verbose", False),
]


@pytest.mark.parametrize(("params", "name", "expected"), GOOD, ids=lambda value: repr(value))
def test_good_values(params, name, expected):
    value = getattr(resolved(**params), name)
    assert value == expected
    assert type(value) is type(expected) or isinstance(value, np.bool_)


def test_numpy_scalars_become_python_numbers():
    # A NumPy float64 scalar would pull a float32 loop through double precision.
    settings = resolved(
        learning_rate=np.float64(0.1),
        l2=np.float64(0.1),
        dropout=np.float64(0.1),
        max_iter=np.int64(3),
    )
    assert type(settings.learning_rate) is type(settings.l2) is type(settings.dropout[0]) is float
    assert type(settings.max_iter) is int


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_automatic_init_goes_by_the_activation_and_ends_with_zeros(name):
    settings = resolved(hidden_layer_sizes=(3, 3), activation=["tanh", name], init="auto")
    relatives_of_relu = ("relu", "leaky_relu", "elu", "gelu", "silu", "swish", "mish")
    expected = (
        HeNormal()
        if name in relatives_of_relu
        else LecunNormal()
        if name == "selu"
        else GlorotUniform()
    )
    assert settings.initializers == [GlorotUniform(), expected, None]


@pytest.mark.parametrize(
    ("optimizer", "expected"), [("adam", None), ("nadam", None), ("sgd", GlorotUniform())]
)
def test_automatic_init_of_the_output_layer_goes_by_the_optimizer(optimizer, expected):
    settings = resolved(hidden_layer_sizes=(), init="auto", optimizer=optimizer)
    assert settings.initializers == [expected]


@pytest.mark.parametrize("name", INITIALIZERS)
def test_every_initializer_is_used_for_every_layer(name):
    settings = resolved(hidden_layer_sizes=(3, 3), init=name)
    assert settings.initializers == [INITIALIZERS[name]()] * 3


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_resolves(name):
    assert resolved(lr_schedule=name).schedule == SCHEDULES[name]()


@pytest.mark.parametrize(
    ("params", "n_samples", "expected"),
    [
        ({"dtype": "auto", "optimizer": "adam"}, AUTO_FROM - 1, "float64"),
        ({"dtype": "auto", "optimizer": "adam"}, AUTO_FROM, "float32"),
        ({"dtype": "auto", "optimizer": "lbfgs"}, 10 * AUTO_FROM, "float64"),
        ({"dtype": "float32", "optimizer": "adam"}, 2, "float32"),
        ({"dtype": "float32", "optimizer": "lbfgs"}, 2, "float32"),
        ({"dtype": "float64", "optimizer": "adam"}, 10**9, "float64"),
    ],
)
def test_dtype_rule(params, n_samples, expected):
    assert resolved(**params).float_type(n_samples, [np.eye(2)]) == expected


def test_dtype_rule_looks_at_the_data_last():
    good, bad = np.eye(2), np.eye(2) + 1e4

    def unseen():
        raise AssertionError("The data were looked at.")
        yield

    settings = resolved(dtype="auto", optimizer="adam")
    assert settings.float_type(AUTO_FROM, [good, good]) == "float32"
    assert settings.float_type(AUTO_FROM, [good, bad]) == "float64"
    assert settings.float_type(AUTO_FROM - 1, unseen()) == "float64"
    assert resolved(dtype="auto", optimizer="lbfgs").float_type(10**9, unseen()) == "float64"
    assert resolved(dtype="float32").float_type(10**9, unseen()) == "float32"


@pytest.mark.parametrize(
    ("params", "n_samples", "expected"),
    [
        ({"early_stopping": False}, 10**9, False),
        ({"early_stopping": np.False_}, 10**9, False),
        ({"early_stopping": True}, 2, True),
        ({"early_stopping": "auto"}, AUTO_FROM - 1, False),
        ({"early_stopping": "auto"}, AUTO_FROM, True),
        ({"early_stopping": "auto", "optimizer": "lbfgs"}, 10**9, False),
        ({"early_stopping": True, "optimizer": "lbfgs"}, 10**9, False),
    ],
)
def test_early_stopping_rule(params, n_samples, expected):
    stops = resolved(**params).stops_early(n_samples, has_validation_data=False, incremental=False)
    assert stops is expected


def test_validation_data_switch_automatic_early_stopping_on():
    settings = resolved(early_stopping="auto")
    assert settings.stops_early(2, has_validation_data=True, incremental=True)
    assert not settings.stops_early(10**9, has_validation_data=False, incremental=True)
    assert not resolved(early_stopping=False).stops_early(10**9, True, False)


@pytest.mark.parametrize(
    ("params", "n_samples", "expected"),
    [
        ({"batch_size": "auto"}, AUTO_FROM - 1, AUTO_FROM - 1),
        ({"batch_size": "auto"}, AUTO_FROM, AUTO_BATCH_SIZE),
        ({"batch_size": "full"}, 10**6, 10**6),
        ({"batch_size": None}, 10**6, 10**6),
        ({"batch_size": np.int64(3)}, 10**6, 3),
        ({"batch_size": 10**9}, 10, 10**9),
        ({"batch_size": 16, "optimizer": "lbfgs"}, 10**6, 10**6),
    ],
)
def test_rows_of_a_batch(params, n_samples, expected):
    assert resolved(**params).rows_per_batch(n_samples) == expected


@pytest.mark.parametrize(
    ("params", "n_samples", "expected"),
    [
        ({"max_iter": 7}, 10**6, 7),
        ({}, 100, AUTO_EPOCHS_ON_FEW_ROWS),
        ({"batch_size": 10}, 100, AUTO_EPOCHS_ON_FEW_ROWS),
        ({}, 10**5, AUTO_EPOCHS),
        ({"batch_size": 512}, 1024, AUTO_STEPS // 2),
        ({"batch_size": 512}, 1025, AUTO_STEPS // 3 + 1),
        ({"batch_size": None}, 10**6, AUTO_STEPS),
        ({"optimizer": "lbfgs"}, 10**6, AUTO_EPOCHS_WITHOUT_HORIZON),
        ({"lr_schedule": "constant"}, 10**6, AUTO_EPOCHS_WITHOUT_HORIZON),
        ({"lr_schedule": "constant"}, 10, AUTO_EPOCHS_WITHOUT_HORIZON),
    ],
)
def test_number_of_epochs(params, n_samples, expected):
    settings = resolved(
        **{"max_iter": "auto", "batch_size": "auto", "lr_schedule": "auto", **params}
    )
    assert settings.n_epochs(n_samples, n_samples) == expected


def test_the_number_of_epochs_counts_the_rows_that_are_left_to_train_on():
    settings = resolved(max_iter="auto", batch_size=500, lr_schedule="auto")
    assert settings.n_epochs(2000, 2000) == AUTO_STEPS / 4
    assert settings.n_epochs(2000, 1500) == math.ceil(AUTO_STEPS / 3)


@pytest.mark.parametrize(
    ("fraction", "n_samples", "expected"),
    [
        (0.1, 100, 10),
        (0.1, 101, 11),
        (0.25, 10, 3),
        (0.001, 100, 2),
        ("auto", 1000, math.ceil(AUTO_VALIDATION_FRACTION * 1000)),
        ("auto", 10**9, AUTO_VALIDATION_ROWS),
        (0.5, 10**6, 500_000),
    ],
)
def test_rows_to_hold_out(fraction, n_samples, expected):
    assert resolved(validation_fraction=fraction).n_validation(n_samples) == expected
