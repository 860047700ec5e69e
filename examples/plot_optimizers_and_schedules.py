"""
===========================================
Which optimizer, and which schedule for it?
===========================================

Every optimizer promises to be faster than the one before, and every schedule to end better. How do
they differ in practice, each given a learning rate that suits it?
"""

# %%
# A fair comparison
# -----------------
#
# One learning rate for all would decide the race before it has begun. Each optimizer gets the best
# of five rates, from a range in which the best is none of the outermost. The best is the one with
# the lowest log loss on the images held out; the network is the same for all.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skscratch import ScratchMLPClassifier
from skscratch.inspection import TrainingCurveDisplay

X, y = load_digits(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X / 16, y, random_state=0, stratify=y)
base = ScratchMLPClassifier(
    (64,),
    activation="relu",
    n_networks=1,
    l2=1e-4,
    batch_size=64,
    lr_schedule="constant",
    max_iter=20,
    tol=0.0,
    n_iter_no_change=np.inf,
    label_smoothing=0.0,
    feature_scaling=None,
    calibrate=False,
    random_state=0,
)


def validation_loss(mlp):
    """Return the log loss on the images held out."""
    return log_loss(y_val, mlp.predict_proba(X_val))


def best_rate(rates, **params):
    """Return the network trained at the best of some learning rates."""
    trained = [
        clone(base).set_params(learning_rate=rate, **params).fit(X_train, y_train) for rate in rates
    ]
    return min(trained, key=validation_loss)


def report(models):
    """Print how the networks ended."""
    for name, mlp in models.items():
        print(
            f"{name:12} learning rate {mlp.learning_rate:5g}, validation loss "
            f"{validation_loss(mlp):.3f}, accuracy {mlp.score(X_val, y_val):.1%}"
        )


LARGE = [0.03, 0.1, 0.3, 1.0, 3.0]
MIDDLE = [0.01, 0.03, 0.1, 0.3, 1.0]
SMALL = [0.001, 0.003, 0.01, 0.03, 0.1]
by_optimizer = {
    "sgd": best_rate(LARGE, optimizer="sgd"),
    "nesterov": best_rate(MIDDLE, optimizer="nesterov"),
    "adagrad": best_rate(MIDDLE, optimizer="adagrad"),
    "rmsprop": best_rate(SMALL, optimizer="rmsprop"),
    "adam": best_rate(SMALL, optimizer="adam"),
}
report(by_optimizer)

# %%
# Schedules
# ---------
#
# The same for schedules, with Adam.

by_schedule = {
    schedule: best_rate(SMALL, optimizer="adam", lr_schedule=schedule)
    for schedule in ("constant", "exponential", "cosine", "one_cycle", "coslog")
}
report(by_schedule)

# %%
# The races
# ---------
#
# Training loss is what the optimizers are after. Nesterov's momentum and the two that adapt the
# rate to each weight, Adam and RMSprop, get down faster than plain gradient descent, each at a rate
# of its own: those of SGD and Adam differ by a factor of thirty. On images held out the difference
# is smaller. The schedules gain nearly as much again: they start with a rate that is too large to
# end with, and all but the constant one choose three to ten times the rate. Among them there is
# little to choose, on one small data set and with one random state.

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4.8), layout="constrained")
named = {
    f"{name}, {mlp.learning_rate:g} ({validation_loss(mlp):.3f})": mlp
    for name, mlp in by_optimizer.items()
}
TrainingCurveDisplay.from_estimator(named, panels="loss", log_scale=True, ax=left)
left.set_title("Optimizers, at a constant learning rate")
named = {f"{name} ({validation_loss(mlp):.3f})": mlp for name, mlp in by_schedule.items()}
TrainingCurveDisplay.from_estimator(
    named, panels=["loss", "learning_rate"], log_scale=True, ax=[middle, right]
)
middle.set_title("Schedules, with Adam")
right.set_title("Schedules, with Adam")
left.get_legend().set_title("optimizer, rate (validation loss)")
middle.get_legend().set_title("schedule (validation loss)")
for panel in (left, middle, right):
    panel.grid(alpha=0.3)

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("optimizers_and_schedules.png", dpi=120)
    print(f"Figure saved as {Path('optimizers_and_schedules.png').resolve()}")
else:
    plt.show()
