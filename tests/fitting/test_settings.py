import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.model_selection import KFold

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
from skscratch._fitting.settings import resolve
from skscratch.nn import (
    GELU,
    SCHEDULES,
    Adaptive,
    Constant,
    ExponentialDecay,
    GlorotNormal,
    HeNormal,
    HeUniform,
    InverseScaling,
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
SPLITTER = KFold(3)

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
    ({"init": "he"}, "init", HeNormal()),
    ({"init": "he_uniform"}, "init", HeUniform()),
    ({"init": "xavier"}, "init", GlorotNormal()),
    ({"init": Normal(std=0)}, "init", Normal(std=0)),
    ({"init": Orthogonal(gain=2)}, "init", Orthogonal(gain=2)),
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
        )
    ),
    ({"optimizer": SGD(momentum=0)}, "optimizer", SGD(momentum=0)),
    ({"optimizer": SGD(momentum=np.float32(0.5))}, "optimizer", SGD(momentum=np.float32(0.5))),
    ({"optimizer": "lbfgs", "dropout": [0.0]}, "optimizer", LBFGS()),
    ({"optimizer": "lbfgs", "early_stopping": True}, "optimizer", LBFGS()),
    ({"l2": 0}, "l2", 0.0),
    ({"l2": np.float32(0.5)}, "l2", 0.5),
    ({"dropout": 0}, "dropout", [0.0]),
    ({**TWO, "dropout": pd.Series([0.25, 0])}, "dropout", [0.25, 0.0]),
    ({**TWO, "dropout": 0.25}, "dropout", [0.25, 0.25]),
    ({**TWO, "dropout": (0.25, 0)}, "dropout", [0.25, 0.0]),
    ({**TWO, "dropout": np.array([0.25, 0])}, "dropout", [0.25, 0.0]),
    ({"learning_rate": 1}, "learning_rate", 1.0),
    ({"learning_rate": np.float64(0.1)}, "learning_rate", 0.1),
    ({"lr_schedule": "constant"}, "lr_schedule", Constant()),
    ({"lr_schedule": "step"}, "lr_schedule", StepDecay(drop=0.5, every=100)),
    ({"lr_schedule": "exponential"}, "lr_schedule", ExponentialDecay(decay=0.96)),
    ({"lr_schedule": "cosine"}, "lr_schedule", Cosine()),
    ({"lr_schedule": "coslog"}, "lr_schedule", CosineLog()),
    ({"lr_schedule": "invscaling"}, "lr_schedule", InverseScaling()),
    ({"lr_schedule": "adaptive"}, "lr_schedule", Adaptive()),
    ({"numerical_embedding": None}, "numerical_embedding", None),
    ({"numerical_embedding": "periodic"}, "numerical_embedding", Periodic()),
    ({"numerical_embedding": "piecewise_linear"}, "numerical_embedding", PiecewiseLinear()),
    ({"numerical_embedding": Periodic(scale=1)}, "numerical_embedding", Periodic(scale=1)),
    ({"lr_schedule": StepDecay(drop=1, every=7)}, "lr_schedule", StepDecay(drop=1, every=7)),
    ({"max_iter": np.int16(3)}, "max_iter", 3),
    ({"shuffle": np.False_}, "shuffle", False),
    ({"tol": 0}, "tol", 0.0),
    ({"n_iter_no_change": np.int64(3)}, "n_iter_no_change", 3),
    ({"n_iter_no_change": math.inf}, "n_iter_no_change", math.inf),
    ({"n_iter_no_change": np.inf}, "n_iter_no_change", math.inf),
    ({"validation_fraction": 0.5}, "validation_fraction", 0.5),
    ({"n_networks": "auto"}, "n_networks", "auto"),
    ({"n_networks": np.int64(3)}, "n_networks", 3),
    ({"cv": None}, "cv", None),
    ({"n_networks": "auto", "cv": 3}, "cv", 3),
    ({"n_networks": 3, "cv": SPLITTER}, "cv", SPLITTER),
    ({"n_jobs": None}, "n_jobs", None),
    ({"n_jobs": np.int64(-1)}, "n_jobs", -1),
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


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_resolves(name):
    assert resolved(lr_schedule=name).lr_schedule == SCHEDULES[name]()
