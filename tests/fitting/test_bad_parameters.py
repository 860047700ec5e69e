"""Bad parameters get an error that names parameter, value and remedy, and change nothing."""

import re
from fractions import Fraction

import numpy as np
import pytest
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
from skscratch._fitting.settings import NAMES_OF_SKLEARN
from skscratch.callbacks import StopOnPlateau
from skscratch.nn import LogisticLogLoss, SoftmaxLogLoss

from ..conftest import cancer, classifier, diabetes, iris, multilabel, regressor, state
from .checks import assert_fails_without_trace, assert_matches

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
    ({"lr_schedule": "auto"}, ValueError, "lr_schedule 'auto'", "Choose from .*'cosine'"),
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
    ({"feature_scaling": "auto"}, ValueError, "feature_scaling", "or 'learned'", "got 'auto'"),
    ({"feature_scaling": True}, ValueError, "feature_scaling", "'robust'", "got True"),
    ({"numerical_embedding": "ple"}, ValueError, "numerical_embedding 'ple'", "'periodic'"),
    ({"numerical_embedding": Periodic}, TypeError, "numerical_embedding", "call it"),
    ({"numerical_embedding": Periodic(scale=0)}, ValueError, r"Periodic\(scale", "got 0"),
    ({"scoring": "acuracy"}, ValueError, "scoring 'acuracy'", "Did you mean 'accuracy'"),
    ({"scoring": "F1_Macro"}, ValueError, "scoring 'F1_Macro'", "Did you mean 'f1_macro'"),
    ({"scoring": 3}, TypeError, "scoring must be None, 'loss'", "got 3"),
    ({"n_networks": 0}, ValueError, "n_networks", "integer >= 1", "got 0"),
    ({"n_networks": 8.0}, TypeError, "n_networks", "integer >= 1", "got 8.0"),
    ({"n_networks": True}, TypeError, "n_networks", "integer >= 1", "got True"),
    ({"n_networks": None}, TypeError, "n_networks", "integer >= 1", "got None"),
    ({"n_networks": "many"}, ValueError, "n_networks must be 'auto' or an integer", "got 'many'"),
    ({"cv": "kfold"}, TypeError, "cv must be None, an integer, a splitter", "got 'kfold'"),
    ({"cv": 2.5}, TypeError, "cv must be None, an integer, a splitter", "got 2.5"),
    ({"cv": 5, "n_networks": 4}, ValueError, "cv makes 5 splits", "n_networks=4", "'auto'"),
    ({"cv": 5, "n_networks": 5, "early_stopping": True}, ValueError, "cv=5", "early_stopping=True"),
    ({"n_jobs": 0}, ValueError, "n_jobs must be None or an integer other than 0", "got 0"),
    ({"n_jobs": 1.5}, TypeError, "n_jobs", "integer", "got 1.5"),
    ({"tol": -1e-4}, ValueError, "tol", r"\[0, inf\)", "got -0.0001"),
    ({"tol": None}, TypeError, "tol", "number", "got None"),
    ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change", "integer >= 1", "got 0"),
    ({"n_iter_no_change": 2.5}, TypeError, "n_iter_no_change", "integer >= 1", "got 2.5"),
    ({"n_iter_no_change": -INF}, TypeError, "n_iter_no_change", "integer >= 1", "got -inf"),
    ({"early_stopping": "auto"}, ValueError, "early_stopping", "True or False", "got 'auto'"),
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


@pytest.mark.parametrize("make", [classifier, regressor])
def test_each_parameter_has_a_bad_value_here(make):
    own = REGRESSOR_ONLY if make is regressor else CLASSIFIER_ONLY
    tried = {name for params, *_ in BAD_PARAMETERS + own for name in params}
    assert set(make().get_params(deep=False)) - tried == set()


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
