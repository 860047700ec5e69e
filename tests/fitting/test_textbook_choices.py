"""From the defaults, one textbook choice at a time: each of them trains.

Slow sweeps; each fit takes half a second.
"""

import functools
import warnings

import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skscratch import ScratchMLPClassifier
from skscratch.nn import ACTIVATIONS, INITIALIZERS, OPTIMIZERS, SCHEDULES

pytestmark = pytest.mark.slow

LEAST = 0.93
"""What each reaches at least, on any processor."""
RATES = {
    "sgd": 0.1,
    "momentum": 0.1,
    "nesterov": 0.1,
    "adagrad": 1e-2,
    "rmsprop": 1e-3,
    "adam": 1e-3,
    "adamw": 1e-3,
    "nadam": 1e-3,
}
MOMENTUM = {"optimizer": "momentum", "learning_rate": 0.1}
CHOICES = (
    *({"optimizer": name, "learning_rate": rate} for name, rate in RATES.items()),
    {"optimizer": "lbfgs", "n_networks": 1},
    *({**MOMENTUM, "lr_schedule": name} for name in SCHEDULES),
    *({"activation": name} for name in ACTIVATIONS),
    *({"init": name} for name in INITIALIZERS),
    *({"normalization": name} for name in ("batch", "layer")),
)


@functools.cache
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, random_state=0, stratify=y)


def test_each_optimizer_has_a_rate():
    assert RATES.keys() == OPTIMIZERS.keys()


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: "-".join(map(str, choice.values())))
def test_a_textbook_choice_trains(choice):
    X_train, X_test, y_train, y_test = digits()
    clf = ScratchMLPClassifier(random_state=0, **choice)
    with warnings.catch_warnings():
        # A schedule without an end says that 32 epochs were not all that it could use. That a
        # network was lost would still be an error.
        warnings.simplefilter("ignore", ConvergenceWarning)
        clf.fit(X_train, y_train)
    assert clf.score(X_test, y_test) >= LEAST
