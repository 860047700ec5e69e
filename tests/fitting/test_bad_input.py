"""Bad input gets an error that names parameter, value and remedy, and changes nothing."""

import re
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from sklearn.base import is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline

import skscratch
from skscratch import (
    ELU,
    LBFGS,
    SGD,
    AdaGrad,
    Adam,
    Adaptive,
    ExponentialDecay,
    Focal,
    Huber,
    InverseScaling,
    LeakyReLU,
    Nadam,
    Normal,
    OneCycle,
    Orthogonal,
    Periodic,
    Pinball,
    RMSprop,
    StepDecay,
    WarmupCosine,
)
from skscratch._settings import NAMES_OF_SKLEARN
from skscratch.callbacks import StopOnPlateau
from skscratch.nn import LogisticLogLoss, SoftmaxLogLoss

from ..conftest import BOTH, cancer, classifier, diabetes, iris, multilabel, regressor, state

NAN, INF = float("nan"), float("inf")

# (parameters, error, what the message has to match, each somewhere)
BAD_PARAMETERS = [
    ({"hidden_layer_sizes": 0}, ValueError, "hidden_layer_sizes", "integer >= 1", "got 0"),
    ({"hidden_layer_sizes": -3}, ValueError, "hidden_layer_sizes", "integer >= 1", "got -3"),
    ({"hidden_layer_sizes": 2.5}, TypeError, "hidden_layer_sizes", "integer", "got 2.5"),
    ({"hidden_layer_sizes": True}, TypeError, "hidden_layer_sizes", "integer", "got True"),
    ({"hidden_layer_sizes": None}, TypeError, "hidden_layer_sizes", "integer", "got None"),
    ({"hidden_layer_sizes": "100"}, TypeError, "hidden_layer_sizes", "integer", "got '100'"),
    ({"hidden_layer_sizes": (10, 0)}, ValueError, "hidden_layer_sizes", "integer >= 1", "got 0"),
    ({"hidden_layer_sizes": (10, -1)}, ValueError, "hidden_layer_sizes", "integer >= 1", "got -1"),
    ({"hidden_layer_sizes": (10, 2.0)}, TypeError, "hidden_layer_sizes", "integer", "got 2.0"),
    ({"hidden_layer_sizes": (True,)}, TypeError, "hidden_layer_sizes", "integer", "got True"),
    ({"hidden_layer_sizes": ("8",)}, TypeError, "hidden_layer_sizes", "integer", "got '8'"),
    ({"hidden_layer_sizes": ((8,),)}, TypeError, "hidden_layer_sizes", "integer", r"got \(8,\)"),
    ({"hidden_layer_sizes": {8, 4}}, TypeError, "hidden_layer_sizes", "sequence", "of type set"),
    ({"hidden_layer_sizes": {8: 1}}, TypeError, "hidden_layer_sizes", "sequence", r"got \{8: 1\}"),
    ({"hidden_layer_sizes": b"ab"}, TypeError, "hidden_layer_sizes", "sequence", "got b'ab'"),
    ({"hidden_layer_sizes": bytearray(b"ab")}, TypeError, "hidden_layer_sizes", "bytearray"),
    (
        {"hidden_layer_sizes": np.array([[8]])},
        TypeError,
        "sequence of integers",
        r"got array\(\[\[",
    ),
    ({"hidden_layer_sizes": np.array(8)}, TypeError, "hidden_layer_sizes", r"got array\(8\)"),
    ({"hidden_layer_sizes": 2**70}, ValueError, "from 1 to 2147483647", f"got {2**70}"),
    ({"hidden_layer_sizes": (8, 10**12)}, ValueError, "from 1 to 2147483647", "got 1000000000000"),
    ({"activation": "rleu"}, ValueError, "activation 'rleu'", "Did you mean 'relu'", "'gelu'"),
    ({"activation": "ReLU"}, ValueError, "activation 'ReLU'", r"Did you mean 'relu'\?"),
    ({"activation": {"relu"}}, TypeError, "activation", "one per hidden layer", "of type set"),
    (
        {"activation": {"relu": 1}},
        TypeError,
        "activation",
        "a list, tuple or array",
        "of type dict",
    ),
    ({"activation": b"relu"}, TypeError, "activation", "one value or a sequence", "got b'relu'"),
    ({"activation": "linear"}, ValueError, "activation 'linear'", "Choose from .*'identity'"),
    ({"activation": ["rleu"]}, ValueError, "activation 'rleu'", "Did you mean 'relu'"),
    ({"activation": ["tanh", "relu"]}, ValueError, "activation", "one per hidden layer", "has 2"),
    ({"activation": []}, ValueError, "activation", "one per hidden layer", "has 0"),
    ({"activation": LeakyReLU}, TypeError, "activation", "class LeakyReLU", "call it"),
    ({"activation": np.tanh}, TypeError, "activation", "'tanh'", "tanh"),
    ({"activation": None}, TypeError, "activation", "'relu'", "got None"),
    ({"activation": LeakyReLU(slope=-1)}, ValueError, r"LeakyReLU\(slope", "got -1"),
    ({"activation": ELU(alpha=0)}, ValueError, r"ELU\(alpha", "got 0"),
    ({"activation": SGD()}, TypeError, "activation", "Activation", "got SGD"),
    ({"init": "he_norml"}, ValueError, "init 'he_norml'", "Did you mean .*'he_normal'"),
    ({"init": "aut"}, ValueError, "init 'aut'", "Did you mean 'auto'"),
    ({"init": "zeros"}, ValueError, "init 'zeros'", "Choose from .*'glorot_uniform'"),
    ({"init": Normal}, TypeError, "init", "class Normal", "call it"),
    ({"init": None}, TypeError, "init", "'orthogonal'", "got None"),
    ({"init": ["he"]}, TypeError, "init must be a name", "object derived", r"got \['he'\]"),
    ({"init": Normal(std=-1.0)}, ValueError, r"Normal\(std", r"\[0, inf\)", "got -1.0"),
    ({"init": Orthogonal(gain=0)}, ValueError, r"Orthogonal\(gain", r"\(0, inf\)", "got 0"),
    ({"optimizer": "auto"}, ValueError, "optimizer 'auto'", "Choose from .*'adam'"),
    ({"optimizer": "adm"}, ValueError, "optimizer 'adm'", "Did you mean .*'adam'"),
    ({"optimizer": "lbgfs"}, ValueError, "optimizer 'lbgfs'", "Did you mean 'lbfgs'"),
    ({"optimizer": "newton"}, ValueError, "optimizer 'newton'", "Choose from .*'sgd'"),
    ({"optimizer": SGD}, TypeError, "optimizer", "class SGD", "call it"),
    ({"optimizer": LBFGS}, TypeError, "optimizer", "class LBFGS", "call it"),
    ({"optimizer": None}, TypeError, "optimizer", "'adam'", "got None"),
    ({"optimizer": SGD(momentum=1.5)}, ValueError, r"SGD\(momentum", r"\[0, 1\)", "got 1.5"),
    ({"optimizer": SGD(momentum=-0.1)}, ValueError, r"SGD\(momentum", r"\[0, 1\)", "got -0.1"),
    ({"optimizer": SGD(momentum="0.9")}, TypeError, r"SGD\(momentum", r"\[0, 1\)", "got '0.9'"),
    ({"optimizer": SGD(nesterov="yes")}, TypeError, r"SGD\(nesterov", "True or False", "got 'yes'"),
    ({"optimizer": Adam(beta1=1)}, ValueError, r"Adam\(beta1", r"\[0, 1\)", "got 1"),
    ({"optimizer": Adam(epsilon=0)}, ValueError, r"Adam\(epsilon", r"\(0, inf\)", "got 0"),
    ({"optimizer": Nadam(beta2=NAN)}, ValueError, r"Nadam\(beta2", r"\[0, 1\)", "got nan"),
    ({"optimizer": RMSprop(rho=2)}, ValueError, r"RMSprop\(rho", r"\[0, 1\)", "got 2"),
    ({"optimizer": AdaGrad(epsilon=-1)}, ValueError, r"AdaGrad\(epsilon", r"\(0, inf\)", "got -1"),
    ({"optimizer": LBFGS(memory=0)}, ValueError, r"LBFGS\(memory", "integer >= 1", "got 0"),
    ({"optimizer": LBFGS(max_fun=1.5)}, TypeError, r"LBFGS\(max_fun", "integer", "got 1.5"),
    ({"l2": -1e-3}, ValueError, "l2", r"\[0, inf\)", "got -0.001"),
    ({"l2": NAN}, ValueError, "l2", r"\[0, inf\)", "got nan"),
    ({"l2": INF}, ValueError, "l2", r"\[0, inf\)", "got inf"),
    ({"l2": "1e-3"}, TypeError, "l2", "number", "got '1e-3'"),
    ({"l2": 10**400}, ValueError, "l2", r"\[0, inf\)", "beyond the range of float64"),
    ({"dropout": 1.0}, ValueError, "dropout", r"\[0, 1\)", "got 1.0"),
    ({"dropout": -0.1}, ValueError, "dropout", r"\[0, 1\)", "got -0.1"),
    ({"dropout": NAN}, ValueError, "dropout", r"\[0, 1\)", "got nan"),
    ({"dropout": "0.5"}, TypeError, "dropout", r"\[0, 1\)", "got '0.5'"),
    ({"dropout": True}, TypeError, "dropout", r"\[0, 1\)", "got True"),
    ({"dropout": None}, TypeError, "dropout", r"\[0, 1\)", "got None"),
    ({"dropout": [0.1, 0.2]}, ValueError, "dropout", "one per hidden layer", "has 2"),
    ({"dropout": {0: 0.5}}, TypeError, "dropout", "one per hidden layer", r"got \{0: 0.5\}"),
    ({"dropout": {0.5}}, TypeError, "dropout", "a list, tuple or array", "of type set"),
    ({"dropout": b"a"}, TypeError, "dropout", "one value or a sequence", "got b'a'"),
    ({"dropout": [1.5]}, ValueError, "dropout", r"\[0, 1\)", "got 1.5"),
    ({"normalization": "bach"}, ValueError, "normalization must be None or 'batch'", "got 'bach'"),
    ({"normalization": "none"}, ValueError, "normalization", "'layer'", "got 'none'"),
    ({"normalization": True}, ValueError, "normalization", "'layer'", "got True"),
    ({"normalization": "batch", "batch_size": 1}, ValueError, "batch_size=1", "'layer'"),
    ({"normalization": ["batch"]}, ValueError, "normalization", "'layer'", r"got \['batch'\]"),
    ({"batch_size": 0}, ValueError, "batch_size", "integer >= 1", "got 0"),
    ({"batch_size": -5}, ValueError, "batch_size", "integer >= 1", "got -5"),
    ({"batch_size": 32.0}, TypeError, "batch_size", "integer >= 1", "got 32.0"),
    ({"batch_size": True}, TypeError, "batch_size", "integer >= 1", "got True"),
    ({"batch_size": "ful"}, ValueError, "batch_size", "'auto', 'full'", "got 'ful'"),
    ({"learning_rate": 0}, ValueError, "learning_rate", r"\(0, inf\)", "got 0"),
    ({"learning_rate": -0.1}, ValueError, "learning_rate", r"\(0, inf\)", "got -0.1"),
    ({"learning_rate": NAN}, ValueError, "learning_rate", r"\(0, inf\)", "got nan"),
    ({"learning_rate": INF}, ValueError, "learning_rate", r"\(0, inf\)", "got inf"),
    ({"learning_rate": "often"}, TypeError, "learning_rate", "number", "got 'often'"),
    *(
        ({"learning_rate": name}, TypeError, f"number.*got '{name}'.*Set lr_schedule='{name}'")
        for name in ("constant", "invscaling", "adaptive", "cosine")
    ),
    ({"learning_rate": 10**400}, ValueError, r"\(0, inf\)", "got one beyond the range of float64"),
    ({"learning_rate": Fraction(1, 10**400)}, ValueError, r"\(0, inf\)", "got Fraction"),
    ({"learning_rate": True}, TypeError, "learning_rate", "number", "got True"),
    ({"lr_schedule": "cosin"}, ValueError, "lr_schedule 'cosin'", "Did you mean 'cosine'"),
    ({"lr_schedule": "automatic"}, ValueError, "lr_schedule 'automatic'", "Did you mean 'auto'"),
    ({"lr_schedule": StepDecay}, TypeError, "lr_schedule", "class StepDecay", "call it"),
    ({"lr_schedule": None}, TypeError, "lr_schedule", "'constant'", "got None"),
    ({"lr_schedule": StepDecay(drop=0)}, ValueError, r"StepDecay\(drop", r"\(0, 1\]", "got 0"),
    ({"lr_schedule": StepDecay(every=0)}, ValueError, r"StepDecay\(every", ">= 1", "got 0"),
    ({"lr_schedule": StepDecay(every=2.5)}, TypeError, r"StepDecay\(every", "integer", "got 2.5"),
    ({"lr_schedule": ExponentialDecay(decay=1.1)}, ValueError, r"\(decay", r"\(0, 1\]", "got 1.1"),
    ({"lr_schedule": InverseScaling(power=0)}, ValueError, r"\(power", r"\(0, inf\)", "got 0"),
    ({"lr_schedule": Adaptive(factor=1)}, ValueError, r"\(factor", r"\(1, inf\)", "got 1"),
    ({"lr_schedule": Adaptive(minimum=0)}, ValueError, r"\(minimum", r"\(0, inf\)", "got 0"),
    ({"lr_schedule": "onecycle"}, ValueError, "lr_schedule 'onecycle'", "Did you mean 'one_cycle'"),
    ({"lr_schedule": OneCycle(warmup=0)}, ValueError, r"OneCycle\(warmup", r"\(0, 1\)", "got 0"),
    ({"lr_schedule": OneCycle(warmup=1.0)}, ValueError, r"\(warmup", r"\(0, 1\)", "got 1.0"),
    ({"lr_schedule": OneCycle(start=0.5)}, ValueError, r"\(start", r"\[1, inf\)", "got 0.5"),
    ({"lr_schedule": OneCycle(end=INF)}, ValueError, r"\(end", r"\[1, inf\)", "got inf"),
    ({"lr_schedule": WarmupCosine(warmup=1)}, ValueError, r"\(warmup", r"\[0, 1\)", "got 1"),
    ({"lr_schedule": WarmupCosine(warmup="0.1")}, TypeError, r"\(warmup", "got '0.1'"),
    ({"clip_norm": 0}, ValueError, "clip_norm", r"\(0, inf\)", "got 0"),
    ({"clip_norm": -1.0}, ValueError, "clip_norm", r"\(0, inf\)", "got -1.0"),
    ({"clip_norm": NAN}, ValueError, "clip_norm", r"\(0, inf\)", "got nan"),
    ({"clip_norm": INF}, ValueError, "clip_norm", r"\(0, inf\)", "got inf"),
    ({"clip_norm": "1"}, TypeError, "clip_norm", r"\(0, inf\)", "got '1'"),
    ({"clip_norm": True}, TypeError, "clip_norm", r"\(0, inf\)", "got True"),
    ({"loss": "hinge"}, ValueError, "loss", "'(log_loss|squared_error)'", "'hinge'"),
    ({"loss": Focal}, TypeError, "loss", "class Focal", "call it"),
    ({"loss": None}, TypeError, "loss", "'(log_loss|squared_error)'", "got None"),
    ({"loss": SGD()}, TypeError, "loss", "Loss", "got SGD"),
    ({"loss": np.abs}, TypeError, "loss", "Loss", "absolute"),
    ({"max_iter": 0}, ValueError, "max_iter", "integer >= 1", "got 0"),
    ({"max_iter": 1e3}, TypeError, "max_iter", "integer >= 1", "got 1000.0"),
    ({"max_iter": "many"}, ValueError, "max_iter must be 'auto' or an integer >= 1", "got 'many'"),
    ({"max_iter": None}, TypeError, "max_iter", "integer >= 1", "got None"),
    ({"shuffle": "no"}, ValueError, "shuffle", "True or False", "got 'no'"),
    ({"shuffle": 1}, ValueError, "shuffle", "True or False", "got 1"),
    ({"random_state": "seed"}, ValueError, "random_state must be None", "RandomState", "'seed'"),
    ({"random_state": -1}, ValueError, "random_state must be None", "got -1"),
    ({"random_state": 2**32}, ValueError, "random_state must be None", "got 4294967296"),
    ({"random_state": np.random.default_rng(0)}, ValueError, "random_state", r"Generator\(PCG64"),
    ({"feature_scaling": "standard"}, ValueError, "feature_scaling", "'robust'", "got 'standard'"),
    ({"feature_scaling": "learn"}, ValueError, "feature_scaling", "or 'learned'", "got 'learn'"),
    ({"feature_scaling": True}, ValueError, "feature_scaling", "'robust'", "got True"),
    ({"numerical_embedding": "ple"}, ValueError, "numerical_embedding 'ple'", "'periodic'"),
    ({"numerical_embedding": Periodic}, TypeError, "numerical_embedding", "call it"),
    ({"numerical_embedding": Periodic(scale=0)}, ValueError, r"Periodic\(scale", "got 0"),
    ({"scoring": "acuracy"}, ValueError, "scoring 'acuracy'", "Did you mean 'accuracy'"),
    ({"scoring": "F1_Macro"}, ValueError, "scoring 'F1_Macro'", "Did you mean 'f1_macro'"),
    ({"scoring": 3}, TypeError, "scoring must be None, 'loss'", "got 3"),
    ({"refit": "yes"}, ValueError, "refit must be True or False or 'auto'", "got 'yes'"),
    ({"refit": True}, ValueError, "refit=True trains again on all rows", "early_stopping=True"),
    ({"refit": True, "warm_start": True}, ValueError, "refit=True", "warm_start=True"),
    ({"tol": -1e-4}, ValueError, "tol", r"\[0, inf\)", "got -0.0001"),
    ({"tol": None}, TypeError, "tol", "number", "got None"),
    ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change", "integer >= 1", "got 0"),
    ({"n_iter_no_change": 2.5}, TypeError, "n_iter_no_change", "integer >= 1", "got 2.5"),
    ({"n_iter_no_change": -INF}, TypeError, "n_iter_no_change", "integer >= 1", "got -inf"),
    ({"early_stopping": "yes"}, ValueError, "early_stopping", "'auto'", "got 'yes'"),
    ({"early_stopping": 1}, ValueError, "early_stopping", "True or False", "got 1"),
    ({"validation_fraction": 0}, ValueError, "validation_fraction", r"\(0, 1\)", "got 0"),
    ({"validation_fraction": 1.0}, ValueError, "validation_fraction", r"\(0, 1\)", "got 1.0"),
    ({"validation_fraction": "half"}, TypeError, "validation_fraction", r"\(0, 1\)", "got 'half'"),
    ({"warm_start": "yes"}, ValueError, "warm_start", "True or False", "got 'yes'"),
    ({"dtype": "float16"}, ValueError, "dtype", "'float32'", "'float64'", "got 'float16'"),
    ({"dtype": np.float32}, ValueError, "dtype", "'float32'", "got <class 'numpy.float32'>"),
    ({"verbose": -1}, ValueError, "verbose", "integer >= 0", "got -1"),
    ({"verbose": "yes"}, TypeError, "verbose", "integer", "got 'yes'"),
    ({"optimizer": "lbfgs", "dropout": 0.1}, ValueError, "dropout", "'lbfgs'"),
    ({"optimizer": LBFGS(), "dropout": [0.1]}, ValueError, "dropout", "'lbfgs'"),
    ({"optimizer": "lbfgs", "lr_schedule": "step"}, ValueError, "lr_schedule", "'lbfgs'"),
    ({"optimizer": "lbfgs", "normalization": "batch"}, ValueError, "normalization", "'lbfgs'"),
    ({"optimizer": "lbfgs", "clip_norm": 1.0}, ValueError, "clip_norm", "'lbfgs'"),
    ({"optimizer": "lbfgs", "lr_schedule": "one_cycle"}, ValueError, "lr_schedule", "'lbfgs'"),
]
CLASSIFIER_ONLY = [
    ({"loss": "logloss"}, ValueError, "loss 'logloss'", "Did you mean 'log_loss'"),
    ({"loss": "squared_error"}, ValueError, "Unknown loss 'squared_error'", "'log_loss'"),
    ({"loss": Focal(gamma=-1)}, ValueError, r"Focal\(gamma", r"\[0, inf\)", "got -1"),
    ({"loss": Huber()}, ValueError, r"Huber\(", "no probabilities", "'log_loss'"),
    ({"loss": LogisticLogLoss()}, ValueError, "no probabilities of more than two classes"),
    ({"label_smoothing": 1}, ValueError, "label_smoothing", r"\[0, 1\)", "got 1"),
    ({"label_smoothing": -0.1}, ValueError, "label_smoothing", r"\[0, 1\)", "got -0.1"),
    ({"label_smoothing": NAN}, ValueError, "label_smoothing", r"\[0, 1\)", "got nan"),
    ({"label_smoothing": None}, TypeError, "label_smoothing", r"\[0, 1\)", "got None"),
    ({"label_smoothing": True}, TypeError, "label_smoothing", r"\[0, 1\)", "got True"),
    ({"calibrate": "yes"}, ValueError, "calibrate", "True or False or 'auto'", "got 'yes'"),
    ({"calibrate": 1}, ValueError, "calibrate", "True or False or 'auto'", "got 1"),
    ({"calibrate": None}, ValueError, "calibrate", "True or False or 'auto'", "got None"),
    ({"class_weight": "balance"}, ValueError, "class_weight", "'balanced'", "got 'balance'"),
    ({"class_weight": 2.0}, ValueError, "class_weight", "'balanced'", "got 2.0"),
    ({"class_weight": [{0: 1, 1: 2}]}, ValueError, "class_weight", "a dict", r"got \[\{0: 1"),
    ({"class_weight": {"a": 1}}, ValueError, r"classes \['a'\], none of .*of y, \[0, 1, 2\]"),
    ({"class_weight": {3: -2, 0: 2}}, ValueError, r"class_weight\[3\]", r"\[0, inf\)", "got -2"),
    ({"class_weight": {1: -2}}, ValueError, r"class_weight\[1\]", r"\[0, inf\)", "got -2"),
    ({"class_weight": {1: INF}}, ValueError, r"class_weight\[1\]", r"\[0, inf\)", "got inf"),
    ({"class_weight": {1: NAN}}, ValueError, r"class_weight\[1\]", r"\[0, inf\)", "got nan"),
    ({"class_weight": {1: "2"}}, TypeError, r"class_weight\[1\]", "number", "got '2'"),
    ({"class_weight": {0: 0, 1: 0, 2: 0}}, ValueError, "class_weight=", "no row with a weight"),
]
REGRESSOR_ONLY = [
    ({"loss": "hubber"}, ValueError, "loss 'hubber'", "Did you mean 'huber'"),
    ({"loss": "log_loss"}, ValueError, "Unknown loss 'log_loss'", "'squared_error'"),
    ({"loss": Huber(delta=0)}, ValueError, r"Huber\(delta", r"\(0, inf\)", "got 0"),
    ({"loss": Pinball(quantile=1)}, ValueError, r"Pinball\(quantile", r"\(0, 1\)", "got 1"),
    ({"loss": Pinball(quantile="0.5")}, TypeError, r"Pinball\(quantile", "got '0.5'"),
    ({"standardize_target": "yes"}, ValueError, "standardize_target", "True or False", "got 'yes'"),
    ({"standardize_target": 1}, ValueError, "standardize_target", "True or False", "got 1"),
    (
        {"early_stopping": True, "validation_fraction": 0.999},
        ValueError,
        "validation_fraction=0.999",
        "leaves 0 rows to train on and 150 to validate on",
    ),
]


def _without_addresses(text):
    """Leave out what differs between the processes of a parallel run."""
    return re.sub(" at 0x[0-9A-Fa-f]+", "", text)


def bad_parameters():
    for make, data in ((classifier, iris), (regressor, diabetes)):
        for case in BAD_PARAMETERS + (REGRESSOR_ONLY if make is regressor else CLASSIFIER_ONLY):
            yield pytest.param(
                make, data, *case[:2], case[2:], id=_without_addresses(f"{make.__name__}-{case[0]}")
            )


def replaced(array, value, dtype=None):
    """Return a copy with one element replaced."""
    array = np.array(array, dtype=dtype)
    array[(3,) + (0,) * (array.ndim - 1)] = value
    return array


# (what becomes of X, y and sample_weight, error, what the message has to match)
BAD_DATA = {
    "X with NaN": (lambda X, y: (replaced(X, NAN), y), "X contains NaN"),
    "X with inf": (lambda X, y: (replaced(X, INF), y), "X contains infinity"),
    "sparse X with NaN": (
        lambda X, y: (scipy.sparse.csr_matrix(replaced(X, NAN)), y),
        "X contains NaN",
    ),
    "frame with NaN": (lambda X, y: (pd.DataFrame(replaced(X, NAN)), y), "X contains NaN"),
    "X of words": (lambda X, y: (np.full(X.shape, "word"), y), "takes numbers only"),
    "frame with words": (
        lambda X, y: (pd.DataFrame(X.astype(str)).replace("[0-9]", "w", regex=True), y),
        "takes numbers only",
    ),
    "X of one axis": (lambda X, y: (X[:, 0], y), "Expected 2D array, got 1D array"),
    "X of three axes": (lambda X, y: (X[:, :, None], y), "array with dim 3"),
    "complex X": (lambda X, y: (X * 1j, y), "Complex data not supported"),
    "X without rows": (lambda X, y: (X[:0], y[:0]), r"0 sample\(s\)"),
    "X without columns": (lambda X, y: (X[:, :0], y), r"0 feature\(s\)"),
    "y too short": (lambda X, y: (X, y[:-1]), r"inconsistent numbers of samples: \[150, 149\]"),
    "y missing": (lambda X, y: (X, None), "requires y to be passed"),
    "y with NaN": (lambda X, y: (X, replaced(y, NAN, float)), "y contains NaN"),
    "y with inf": (lambda X, y: (X, replaced(y, INF, float)), "y contains infinity"),
    "negative weight": (
        lambda X, y: (X, y, replaced(np.ones(len(y)), -2)),
        "sample_weight must not be negative, got a smallest weight of -2",
    ),
    "no weight": (lambda X, y: (X, y, np.zeros(len(y))), "sample_weight must not be zero"),
    "NaN weight": (lambda X, y: (X, y, replaced(np.ones(len(y)), NAN)), "sample_weight contains"),
    "infinite weight": (lambda X, y: (X, y, replaced(np.ones(len(y)), INF)), "sample_weight cont"),
    "weights too short": (
        lambda X, y: (X, y, np.ones(len(y) - 1)),
        r"inconsistent numbers of samples: \[150, 149\]",
    ),
    "weights in two columns": (
        lambda X, y: (X, y, np.ones((len(y), 2))),
        "sample_weight must have one value per row",
    ),
    "weights of words": (lambda X, y: (X, y, ["word"] * len(y)), "could not convert string"),
    "weights too large": (
        lambda X, y: (X, y, np.full(len(y), 1e308)),
        r"sample_weight must have a finite sum, got a largest weight of 1e\+308",
    ),
    "complex weights": (lambda X, y: (X, y, np.full(len(y), 1j)), "Complex data not supported"),
    "dates in X": (
        lambda X, y: (X.astype(int).astype("M8[D]"), y),
        r"takes numbers only.*columns 0 \(such as datetime",
    ),
    "X missing": (lambda X, y: (None, y), "Expected 2D array, got scalar array"),
    "rows of several lengths": (lambda X, y: ([[1.0], *X.tolist()[1:]], y), "inhomogeneous shape"),
    "y without columns": (lambda X, y: (X, np.zeros((len(y), 0))), r"0 feature\(s\)"),
}
BAD_CLASSES = {
    "continuous": (lambda X, y: (X, y + 0.5), "Unknown label type: continuous"),
    "several columns of classes": (
        lambda X, y: (X, np.column_stack([y, 2 - y])),
        "multiclass-multioutput",
    ),
    "labels other than 0 and 1": (
        lambda X, y: (X, np.column_stack([y > 0, y > 1]) * 2),
        r"must hold 0 and 1 only, got the values \[0 2\]",
    ),
}
BAD_NUMBERS = {
    "y with too small a standard deviation": (
        lambda X, y: (X, (y > 100) * 5e-324),
        r"standard deviation of y, whose largest.*4\.9e-324, is beyond.*standardize_target=False",
    ),
    "y too far from its mean": (
        lambda X, y: (X, np.where(y < 300, 1.7e308, -1e308)),
        r"y, whose largest.*1\.7e\+308, is beyond the range of float64 when standardized",
    ),
    "y of words": (lambda X, y: (X, np.full(len(y), "word")), "numbers for y, got 'word'"),
    "y of three axes": (lambda X, y: (X, np.zeros((len(y), 2, 2))), "array with dim 3"),
}


def bad_data():
    for make, data, table in (
        (classifier, iris, BAD_DATA | BAD_CLASSES),
        (regressor, diabetes, BAD_DATA | BAD_NUMBERS),
    ):
        for name, case in table.items():
            yield pytest.param(make, data, *case, id=f"{make.__name__}-{name}")


def assert_matches(caught, patterns):
    for pattern in patterns:
        assert re.search(pattern, str(caught.value), re.DOTALL), pattern


def assert_fails_without_trace(estimator, X, call, error, patterns):
    """Call and catch the error; the estimator is as it was, fitted or not."""
    was_fitted = hasattr(estimator, "network_")
    before = state(estimator)
    predicted = estimator.predict(X) if was_fitted else None
    with pytest.raises(error) as caught:
        call(estimator)
    assert_matches(caught, patterns)
    assert state(estimator) == before
    if was_fitted:
        np.testing.assert_array_equal(estimator.predict(X), predicted)
    else:
        with pytest.raises(NotFittedError):
            estimator.predict(X)


# (class_weight, what the message has to match) with three labels
BAD_LABEL_WEIGHTS = [
    ({0: 1, 1: 2}, "multilabel.*a list with a dict", r"got \{0: 1, 1: 2\}"),
    ("balance", "multilabel.*'balanced'", "got 'balance'"),
    (["balanced"] * 3, "multilabel.*a list with a dict", r"got \['balanced'"),
    ([{0: 1}] * 2, "a dict for each label", "y has 3, class_weight has 2"),
    ([{0: 1}, {}, {2: 1}], r"of a label has the keys 0 and 1, got \[2\]"),
    ([{0: 1}, {}, {1: -1}], r"class_weight\[1\] must be a number in \[0, inf\), got -1"),
]


@pytest.mark.parametrize("case", BAD_LABEL_WEIGHTS, ids=lambda case: repr(case[0]))
def test_bad_class_weight_of_labels(case):
    class_weight, *patterns = case
    X, Y = multilabel()
    estimator = classifier(max_iter=1).fit(X, Y).set_params(class_weight=class_weight)
    assert_fails_without_trace(estimator, X, lambda est: est.fit(X, Y), ValueError, patterns)


@pytest.mark.parametrize("data", [cancer, multilabel])
def test_a_softmax_of_one_logit_or_of_labels_is_refused_unless_it_has_a_form_for_them(data):
    class Mine(SoftmaxLogLoss):
        def for_labels(self):
            return self

    X, y = data()
    assert classifier(max_iter=1, loss=SoftmaxLogLoss()).fit(X, y).out_activation_ == "logistic"
    with pytest.raises(ValueError, match=r"no probabilities of two classes or.*'softmax'"):
        classifier(loss=Mine()).fit(X, y)


@pytest.mark.parametrize(("make", "data", "params", "error", "patterns"), bad_parameters())
@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
def test_bad_parameter(make, data, params, error, patterns, fitted):
    X, y = data()
    estimator = make(max_iter=1)
    if fitted:
        estimator.fit(X, y)
    estimator.set_params(**params)
    assert_fails_without_trace(estimator, X, lambda est: est.fit(X, y), error, patterns)


# (labels of three classes, error, the types that the message has to name)
BAD_LABELS = [
    ([1, "a", "b"], ValueError, "int, str"),
    (["a", 1, "b"], TypeError, "int, str"),
    ([1, 2, 3], ValueError, "int"),
]
if tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 7):  # before, it only warned
    BAD_LABELS.append(([b"a", b"b", b"c"], TypeError, "bytes_"))


@pytest.mark.parametrize(("labels", "error", "types"), BAD_LABELS, ids=repr)
def test_labels_that_are_no_classes(labels, error, types):
    X, y = iris()
    bad = np.array(labels, None if isinstance(labels[0], bytes) else object)[y]
    patterns = [rf"y, of dtype \S+, holds values of the types {types}. Give labels of one type"]
    estimator = classifier(max_iter=1)
    assert_fails_without_trace(estimator, X, lambda est: est.fit(X, bad), error, patterns)


def test_dates_are_no_targets_of_a_regressor():
    X, y = diabetes()
    dates = y.astype(int).astype("M8[D]")
    estimator = regressor(max_iter=1)
    patterns = [r"y must hold numbers, got the dtype datetime64\[D\]"]
    assert_fails_without_trace(estimator, X, lambda est: est.fit(X, dates), TypeError, patterns)


def test_there_are_many_of_them():
    assert len(list(bad_parameters())) > 300
    assert len(list(bad_data())) > 60


@pytest.mark.parametrize(("make", "data", "change", "pattern"), bad_data())
@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
def test_bad_data(make, data, change, pattern, fitted):
    X, y = data()
    estimator = make(max_iter=1)
    if fitted:
        estimator.fit(X, y)
    bad = change(X, y)
    assert_fails_without_trace(estimator, X, lambda est: est.fit(*bad), ValueError, [pattern])


@pytest.mark.parametrize(("make", "data"), BOTH)
@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
@pytest.mark.parametrize("name", BAD_DATA)
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_bad_data_for_a_continued_training(make, data, fitted, name, method):
    X, y = data()
    change, _ = BAD_DATA[name]
    estimator = make(max_iter=1, warm_start=True)
    classes = {}
    if is_classifier(estimator) and method == "partial_fit":
        classes = {"classes": np.unique(y)}
    if fitted:
        getattr(estimator, method)(X, y, **classes)
    bad = dict(zip(("X", "y", "sample_weight"), change(X, y), strict=False))
    # The message may be another one here: what does not fit in may do so in several ways.
    assert_fails_without_trace(
        estimator, X, lambda est: getattr(est, method)(**bad, **classes), ValueError, []
    )


# A scalar weight counts for every row, as in scikit-learn.
@pytest.mark.parametrize(("weight", "pattern"), [(-1.0, "negative"), (0, "zero everywhere")])
def test_bad_scalar_weight(weight, pattern):
    with pytest.raises(ValueError, match=f"sample_weight must not be {pattern}"):
        regressor().fit(*diabetes(), sample_weight=weight)


def test_weights_that_leave_a_part_without_weight():
    X, y = diabetes()
    estimator = regressor(early_stopping=True)
    for weight in (replaced(np.zeros(len(y)), 1), replaced(np.zeros(len(y)), 3)):
        assert_fails_without_trace(
            estimator,
            X,
            lambda est, weight=weight: est.fit(X, y, weight),
            ValueError,
            ["sample_weight is zero", "early_stopping=False"],
        )


# (what partial_fit gets after a call with iris in three classes, what the message has to match)
BAD_CONTINUATIONS = {
    "other classes": (lambda X, y: (X, y, [0, 1, 3]), "classes=.*not the same"),
    "fewer classes": (lambda X, y: (X, y, [0, 1]), "classes=.*not the same"),
    "unseen class": (lambda X, y: (X, y + 1), r"\[3\].*known classes \[0, 1, 2\]"),
    "other features": (lambda X, y: (X[:, :3], y), "X has 3 features.*expecting 4"),
    "labels instead of classes": (
        lambda X, y: (X, np.eye(3, dtype=int)[y]),
        r"shape \(150, 3\).*learned",
    ),
}


@pytest.mark.parametrize(
    ("name", "method"),
    [
        (name, method)
        for name in BAD_CONTINUATIONS
        for method in ("partial_fit", "fit")
        if method == "partial_fit" or "er classes" not in name  # fit takes no classes
    ],
)
def test_continuing_a_classifier_with_something_else(name, method):
    X, y = iris()
    estimator = classifier(max_iter=1, warm_start=True).fit(X, y)
    change, pattern = BAD_CONTINUATIONS[name]
    bad = change(X, y)
    assert_fails_without_trace(
        estimator, X, lambda est: getattr(est, method)(*bad), ValueError, [pattern]
    )


@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_continuing_with_another_number_of_labels(method):
    X, Y = multilabel()
    estimator = classifier(max_iter=1, warm_start=True).fit(X, Y)
    for bad in (Y[:, :2], Y[:, 0]):
        assert_fails_without_trace(
            estimator,
            X,
            lambda est, bad=bad: getattr(est, method)(X, bad),
            ValueError,
            [rf"y has the shape {re.escape(str(bad.shape))}", "learned"],
        )


@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_continuing_with_another_number_of_outputs(method):
    X, y = diabetes()
    estimator = regressor(max_iter=1, warm_start=True).fit(X, np.column_stack([y, y]))
    assert_fails_without_trace(
        estimator,
        X,
        lambda est: getattr(est, method)(X, y),
        ValueError,
        ["y has 1 output", "learned from 2"],
    )


def test_partial_fit_without_classes_in_the_first_call():
    X, y = iris()
    assert_fails_without_trace(
        classifier(), X, lambda est: est.partial_fit(X, y), ValueError, ["classes must be passed"]
    )


# (classes, what the message has to match)
BAD_CLASS_LISTS = [
    ([0, 1, 2, NAN], r"must not have missing values, got \[0, 1, 2, nan\]"),
    (np.array([0, 1, 2, NAN]), "must not have missing values"),
    ([0, 1, None], r"must not have missing values, got \[0, 1, None\]"),
    (["a", "b", None], "must not have missing values"),
    ([0, 1, 2, pd.NA], "must not have missing values"),
    (pd.Series(["a", "b", pd.NA], dtype="string"), "must not have missing values"),
    ({0, 1, 2}, r"a list or an array of one axis.*got \{0, 1, 2\}"),
    ({0: 1, 1: 2, 2: 3}, "a list or an array of one axis"),
    (3, "a list or an array of one axis.*got 3"),
    ("012", "a list or an array of one axis.*got '012'"),
    ([[0, 1, 2]], r"a list or an array of one axis.*got \[\[0, 1, 2\]\]"),
    ([[0], [1, 2]], "a list or an array of one axis"),
    ([], r"a list or an array of one axis.*got \[\]"),
    ([0, 1, "2"], r"of one type that can be sorted.*types int, str: \[0, 1, '2'\]"),
    (np.ma.masked_array([0, 1, 2, 3], [0, 0, 0, 1]), "a masked array, 1 of whose 4 values"),
]


@pytest.mark.parametrize("case", BAD_CLASS_LISTS, ids=lambda case: repr(case[0]))
@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
def test_bad_classes_of_partial_fit(case, fitted):
    classes, pattern = case
    X, y = iris()
    estimator = classifier(max_iter=1)
    if fitted:
        estimator.fit(X, y)
    assert_fails_without_trace(
        estimator,
        X,
        lambda est: est.partial_fit(X, y, classes=classes),
        ValueError,
        [f"classes .*{pattern}"],
    )


@pytest.mark.parametrize("make", [lambda: iter((0.5,)), lambda: (rate for rate in (0.5,))])
@pytest.mark.parametrize("name", ["hidden_layer_sizes", "dropout", "activation"])
def test_what_can_be_read_only_once_is_no_sequence(make, name):
    X, y = iris()
    estimator = classifier(**{name: make()})
    for _ in range(2):
        with pytest.raises(TypeError, match=f"{name} must be .*sequence.*(iterator|generator)"):
            estimator.fit(X, y)


@pytest.mark.parametrize("value", ["no", 1, 0.0, [True]])
def test_a_direction_that_is_neither_true_nor_false(value):
    with pytest.raises(TypeError, match="greater_is_better must be True, False or None, got"):
        StopOnPlateau(greater_is_better=value)
    for right in (True, np.True_, False, None):
        assert StopOnPlateau(greater_is_better=right).greater_is_better is right


def test_partial_fit_with_a_class_that_is_not_in_classes():
    X, y = iris()
    assert_fails_without_trace(
        classifier(),
        X,
        lambda est: est.partial_fit(X, y, classes=[0, 1]),
        ValueError,
        [r"\[2\].*known classes \[0, 1\]"],
    )


@pytest.mark.parametrize(("make", "data"), BOTH)
@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
def test_partial_fit_with_early_stopping_warns_and_holds_nothing_out(make, data, fitted):
    X, y = data()
    estimator = make(max_iter=1)
    classes = {"classes": np.unique(y)} if is_classifier(estimator) else {}
    if fitted:
        estimator.fit(X, y)
    estimator.set_params(early_stopping=True)
    with pytest.warns(UserWarning, match="early_stopping=True has no effect in partial_fit"):
        estimator.partial_fit(X, y, **classes)
    assert estimator.t_ == len(X) * (1 + fitted)
    assert estimator.validation_scores_ is None


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
def test_too_few_rows_for_a_validation_part(make, fitted):
    X, y = iris()
    few = [0, 60]
    estimator = make(max_iter=1)
    if fitted:
        estimator.fit(X, y)
    estimator.set_params(early_stopping=True, validation_fraction=0.5)
    assert_fails_without_trace(
        estimator,
        X,
        lambda est: est.fit(X[few], y[few]),
        ValueError,
        ["validation_fraction=0.5 of n_samples=2", "leaves", "early_stopping=False"],
    )


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("optimizer", ["lbfgs", LBFGS(memory=5)], ids=repr)
def test_partial_fit_is_hidden_with_lbfgs(make, optimizer):
    estimator = make(optimizer=optimizer)
    assert not hasattr(estimator, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit"):
        estimator.partial_fit(*diabetes())
    assert hasattr(make(optimizer="sgd"), "partial_fit")


# What cannot change while training continues: parameters, and what the message has to match.
FIXED = {
    "hidden_layer_sizes": ((8, 8), ["hidden_layer_sizes=", r"\(8, 8\)", "warm_start=False"]),
    "dtype": ("float32", ["dtype='float32'", "float64", "warm_start=False"]),
    "normalization": ("batch", ["normalization='batch' differs from the None", "warm_start=False"]),
}


@pytest.mark.parametrize(("make", "data"), BOTH)
@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_continuing_with_another_network(make, data, name, method):
    X, y = data()
    value, patterns = FIXED[name]
    estimator = make(max_iter=1, warm_start=True).fit(X, y).set_params(**{name: value})
    assert_fails_without_trace(
        estimator, X, lambda est: getattr(est, method)(X, y), ValueError, patterns
    )


# (estimator's parameters, what is set, what the message has to match)
BAD_NESTED = [
    ({"optimizer": "sgd"}, {"optimizer__momentum": 0.5}, "optimizer='sgd'", r"such as \w*=?SGD\("),
    (
        {"optimizer": "adamw"},
        {"optimizer__beta1": 0.5},
        "optimizer='adamw'",
        r"such as \w*=?AdamW\(",
    ),
    (
        {"optimizer": "lbfgs"},
        {"optimizer__memory": 5},
        "optimizer='lbfgs'",
        r"such as \w*=?LBFGS\(",
    ),
    ({"optimizer": "adm"}, {"optimizer__beta1": 0.5}, "optimizer='adm'", "Pass one"),
    ({"optimizer": SGD()}, {"optimizer": "adam", "optimizer__beta1": 0.5}, r"such as \w*=?Adam\("),
    ({"lr_schedule": "step"}, {"lr_schedule__drop": 0.5}, r"such as \w*=?StepDecay\("),
    ({"init": "normal"}, {"init__std": 0.5}, "init='normal'", r"such as \w*=?Normal\("),
    ({"loss": "focal"}, {"loss__gamma": 1.0}, "loss='focal'", r"such as \w*=?Focal\("),
    ({"loss": "huber"}, {"loss__delta": 0.5}, "loss='huber'", r"such as \w*=?Huber\("),
    ({"loss": Huber()}, {"loss__quantile": 0.5}, "Huber has no parameter 'quantile'", "delta"),
    ({"init": "auto"}, {"init__std": 0.5}, "init='auto'", "Pass one"),
    ({"activation": "elu"}, {"activation__alpha": 0.5}, "activation='elu'", r"such as \w*=?ELU\("),
    ({"activation": ["elu"]}, {"activation__alpha": 0.5}, r"activation=\['elu'\]"),
    ({"optimizer": SGD()}, {"optimizer__beta1": 0.5}, "SGD has no parameter 'beta1'", "momentum"),
    ({}, {"beta": 0.5}, "Invalid parameter 'beta'"),
]


@pytest.mark.parametrize("case", BAD_NESTED, ids=lambda case: f"{case[0]}-{case[1]}")
@pytest.mark.parametrize("make", [classifier, regressor])
def test_bad_nested_parameter(make, case):
    params, changes, *patterns = case
    estimator = make(**params)
    before = state(estimator)
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # assert_matches looks at it
        estimator.set_params(**changes)
    assert_matches(caught, patterns)
    if "optimizer" not in changes:
        assert state(estimator) == before


@pytest.mark.parametrize("make", [classifier, regressor])
def test_parameters_of_scikit_learns_mlp_are_told_their_names_here(make):
    estimator, theirs = make(), MLPClassifier() if make is classifier else MLPRegressor()
    named_otherwise = set(theirs.get_params()) - set(estimator.get_params())
    assert named_otherwise == set(NAMES_OF_SKLEARN)
    for name, ours in NAMES_OF_SKLEARN.items():
        with pytest.raises(ValueError, match=f"'{name}'.* is {re.escape(ours)} here"):
            estimator.set_params(**{name: 0.5})
        parameter, _, value = ours.partition("=")
        assert parameter in estimator.get_params()
        if value:  # such an object can be made, and holds what the name says
            given = re.findall(r"(\w+)=", value)
            value = getattr(skscratch, value.partition("(")[0])
            assert set(given) <= set(value().get_params())
    grid = GridSearchCV(make_pipeline(make()), {f"{type(estimator).__name__.lower()}__alpha": [1]})
    with pytest.raises(ValueError, match="is l2 here"):
        grid.fit(*(iris() if make is classifier else diabetes()))


def test_failed_set_params_leaves_the_others_unset():
    estimator = classifier(optimizer="sgd", l2=0.5)
    with pytest.raises(ValueError, match="optimizer__momentum"):
        estimator.set_params(l2=0.1, optimizer__momentum=0.5)
    assert estimator.l2 == 0.5


@pytest.mark.parametrize(("make", "data"), BOTH)
def test_using_an_unfitted_estimator(make, data):
    X, y = data()
    estimator = make()
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        if hasattr(estimator, name):
            with pytest.raises(NotFittedError):
                getattr(estimator, name)(X)
    with pytest.raises(NotFittedError):
        estimator.score(X, y)
    for name in ("coefs_", "loss_", "history_", "n_layers_", "t_", "best_loss_"):
        assert not hasattr(estimator, name)


PREDICTORS = ["predict", "predict_proba", "predict_log_proba", "decision_function"]


@pytest.mark.parametrize("method", PREDICTORS)
def test_predicting_from_bad_inputs(method):
    X, y = cancer()
    predict = getattr(classifier(max_iter=1).fit(X, y), method)
    for bad, pattern in [
        (X[:, :3], "X has 3 features.*expecting 6"),
        (X[:, 0], "Expected 2D array"),
        (replaced(X, NAN), "X contains NaN"),
    ]:
        with pytest.raises(ValueError, match=pattern):
            predict(bad)


@pytest.mark.parametrize(("make", "data"), BOTH)
def test_names_in_another_order(make, data):
    X, y = data()
    frame = pd.DataFrame(X).rename(columns=str)
    estimator = make(max_iter=1, warm_start=True).fit(frame, y)
    reordered = frame[frame.columns[::-1]]
    calls = [
        lambda est: est.predict(reordered),
        lambda est: est.fit(reordered, y),
        lambda est: est.partial_fit(reordered, y),
    ]
    before = state(estimator)
    for call in calls:
        with pytest.raises(ValueError, match="feature names should match"):
            call(estimator)
        assert state(estimator) == before


@pytest.mark.parametrize(("make", "data"), BOTH)
def test_score_refuses_bad_weights(make, data):
    X, y = data()
    estimator = make(max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        estimator.score(X, y, sample_weight=np.ones(len(y) - 1))
