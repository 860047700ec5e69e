"""
=========================
Callbacks: between epochs
=========================

What if training shall end when a score is good enough, write down something of its own, or survive
a power cut? A callback is called after each epoch, and may do all of that.
"""

# %%
# The run
# -------
#
# Handwritten digits, and four networks that are trained side by side. Each leaves out another
# quarter of the rows. What they predict of these is measured after each epoch: that is the
# validation loss and score of the history.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from skscratch import ScratchMLPClassifier
from skscratch.callbacks import Callback, Checkpoint, HistoryCSV

X, y = load_digits(return_X_y=True)
X /= 16


def make():
    """Return an unfitted classifier, all that the results rest on being set."""
    return ScratchMLPClassifier(
        (64, 32),
        activation="relu",
        n_networks=4,
        init="he_normal",
        optimizer="adam",
        l2=1e-4,
        dropout=0.1,
        batch_size=64,
        learning_rate=5e-3,
        lr_schedule="cosine",
        max_iter=40,
        tol=0.0,
        n_iter_no_change=np.inf,
        random_state=0,
        label_smoothing=0.0,
        feature_scaling=None,
        calibrate=False,
        dtype="float64",
    )


# %%
# Callbacks of your own
# ---------------------
#
# A callback is an object with the four methods of `Callback`. After each epoch
# ``on_fit_task_end`` is called, and if it returns True, training ends. What costs something is made
# only for callbacks that ask for it by naming the argument: ``fitted_estimator`` is a copy that
# predicts as if training had ended now. After the last epoch the method is called once more, for
# the fit as a whole.


class TargetScore(Callback):
    """End training once the validation score is good enough."""

    def __init__(self, target):
        self.target = target

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        return fitted_estimator.history_["validation_score"][-1] >= self.target


class WeightNorms(Callback):
    """Write down how long each layer's weight matrix is."""

    def setup(self, estimator, context):
        self.norms = []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            self.norms.append([np.linalg.norm(W) for W in fitted_estimator.coefs_])


folder = Path(tempfile.mkdtemp())
norms = WeightNorms()
model = make().set_callbacks(norms, HistoryCSV(folder / "history.csv"), TargetScore(0.97))
model.fit(X, y)
print(f"{model.n_iter_} of 40 epochs, out-of-fold score {model.oof_score_:.1%}")

# %%
# `HistoryCSV` has written a line per epoch, which another program can follow while training goes
# on.

history = pd.read_csv(folder / "history.csv")
print(history[["epoch", "loss", "validation_loss", "validation_score"]].tail(3).to_string())

# %%
# A run that survives
# -------------------
#
# `Checkpoint` writes all that a run needs to go on: weights, the optimizer's moments, random
# streams, schedule, and history. Here the power fails in epoch 15. After that the same lines are
# run again: the second fit finds the file and makes the remaining epochs. It ends with the very
# weights of a run that nothing interrupted.


class PowerCut(Callback):
    """Fail in the middle of a run."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if fitted_estimator.n_iter_ == 15:
            raise RuntimeError("the power failed")


checkpoint = Checkpoint(folder / "run.checkpoint", resume=True)
try:
    make().set_callbacks(checkpoint, PowerCut()).fit(X, y)
except RuntimeError as error:
    print(f"In epoch 15 {error}.")
resumed = make().set_callbacks(checkpoint).fit(X, y)
uninterrupted = make().fit(X, y)
same = all(map(np.array_equal, resumed.coefs_, uninterrupted.coefs_))
print(f"{resumed.n_iter_} epochs, the same weights: {same}")

# %%
# What they have seen
# -------------------
#
# On the left, the losses of the resumed run, in which there is no seam at the power cut. The
# crosses are those of the run that ended at its target: up to there it is the same run. The
# training loss is measured with dropout and while the weights move, so that it begins above the
# validation loss. On the right, what the callback of our own has written down until the target: the
# weight matrices start at random and grow.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
epochs = resumed.history_["epoch"]
for column, name, color in [
    ("loss", "training, with dropout", "#0072B2"),
    ("validation_loss", "validation", "#D55E00"),
]:
    left.semilogy(epochs, resumed.history_[column], color=color, label=f"{name}: resumed run")
    left.semilogy(
        history["epoch"], history[column], "x", color=color, label=f"{name}: until the target"
    )
left.axvline(15, color="0.4", linestyle=":", label="power cut")
left.set(title="Loss", xlabel="epoch", ylabel="mean log loss")
left.legend(fontsize="small", loc="upper right")
left.grid(alpha=0.3)
for layer, (norm, color) in enumerate(
    zip(np.transpose(norms.norms), ["#0072B2", "#E69F00", "#009E73"], strict=True), start=1
):
    right.plot(history["epoch"], norm, "o-", color=color, label=f"layer {layer}")
right.set(title="Norm of each layer's weights", xlabel="epoch", ylabel="Frobenius norm", ylim=0)
right.legend()
right.grid(alpha=0.3)

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("callbacks.png", dpi=120)
    print(f"Figure saved as {Path('callbacks.png').resolve()}")
else:
    plt.show()
