"""
==============================
Finding a learning rate to try
==============================

No hyperparameter matters more than the learning rate. The range test trains for a hundred steps
while the rate rises, and shows in a moment which rates are worth trying. Does what it suggests hold
in training?
"""

# %%
# The test
# --------
#
# Images of handwritten digits, 8 by 8 pixels, a third of them held out. Two optimizers need
# different rates; the test tells how different.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skscratch import ScratchMLPClassifier, learning_rate_range_test

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, test_size=1 / 3, stratify=y, random_state=0
)

models, tests = {}, {}
for name in ("sgd", "adam"):
    models[name] = ScratchMLPClassifier(
        (64,),
        activation="relu",
        n_networks=1,
        init="he_normal",
        optimizer=name,
        l2=1e-4,
        dropout=0.0,
        batch_size=100,
        lr_schedule="constant",
        max_iter=20,
        random_state=0,
        tol=0.0,
        n_iter_no_change=np.inf,
        label_smoothing=0.0,
        feature_scaling=None,
        calibrate=False,
        dtype="float32",
    )
    tests[name] = learning_rate_range_test(models[name], X_train, y_train)
    print(f"{name:5} {tests[name]}")

# %%
# Training at the suggestion, and far from it
# -------------------------------------------
#
# A rate of a hundredth learns too slowly. One that is a hundred times higher lies where the curve
# has left its valley: what has been learned is shaken off again, or never gets hold.

runs = {}
for name, model in models.items():
    for factor, label in [(0.01, "a hundredth"), (1, "suggestion"), (100, "a hundredfold")]:
        rate = factor * tests[name].suggestion
        runs[name, label] = clone(model).set_params(learning_rate=rate).fit(X_train, y_train)
        accuracy = runs[name, label].score(X_test, y_test)
        print(f"{name:5} at {rate:7.2g} ({label:13}): {accuracy:5.1%} of test images right")

# %%
# What happened
# -------------
#
# Above are the range tests: a dot for each step, smoothed into a line, which the explosion at the
# end pulls up a little too early. Below is the loss of the training runs, epoch by epoch. The
# suggestion is a careful one: here three times that rate trains even better, but thirty times it
# hardly at all.

COLORS = {"a hundredth": "#0072B2", "suggestion": "#E69F00", "a hundredfold": "#CC79A7"}
figure, panels = plt.subplots(2, 2, figsize=(11, 8), sharey="row", layout="constrained")
for (above, below), name in zip(panels.T, models, strict=True):
    tests[name].plot(above)
    above.set_title(f"{name}: range test")
    above.grid(alpha=0.3)
    for label, color in COLORS.items():
        run = runs[name, label]
        below.semilogy(
            run.history_["epoch"],
            run.history_["loss"],
            color=color,
            label=f"{label}: {run.learning_rate:.2g}",
        )
    below.set(title=f"{name}: training", xlabel="epoch", xticks=range(0, 21, 5), xlim=(1, 20))
    below.grid(alpha=0.3)
    below.legend(title="learning rate")
panels[0, 1].set_ylabel("")
panels[1, 0].set_ylabel("training loss")

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("learning_rate_range_test.png", dpi=120)
    print(f"Figure saved as {Path('learning_rate_range_test.png').resolve()}")
else:
    plt.show()
