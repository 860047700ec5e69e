"""
==============================================
When 90 % means 90 %: calibrated probabilities
==============================================

A network trained for long is sure of itself, more than it should be. What do several networks,
label smoothing and temperature scaling do about that, all of which are on by default here?
"""

# %%
# Four models
# -----------
#
# Noisy data of which no network can be sure. We start from one network, and add one thing after the
# other: seven more networks beside it, which are averaged; ``label_smoothing``, which forbids them
# to be sure while they learn; and ``calibrate``, which divides the logits by a temperature. It is
# found on the rows that each network has left out, and changes no answer.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import make_classification
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import train_test_split

from skscratch import ScratchMLPClassifier

X, y = make_classification(
    n_samples=21_500, n_features=12, n_informative=6, flip_y=0.1, class_sep=0.7, random_state=1
)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=20_000, random_state=0)

MODELS = {
    "one network": {"n_networks": 1, "label_smoothing": 0.0, "calibrate": False},
    "eight networks": {"n_networks": 8, "label_smoothing": 0.0, "calibrate": False},
    "and label smoothing": {"n_networks": 8, "label_smoothing": 0.1, "calibrate": False},
    "and temperature": {"n_networks": 8, "label_smoothing": 0.1, "calibrate": True},
}
models = {
    name: ScratchMLPClassifier((64, 64), max_iter=40, random_state=0, **params).fit(
        X_train, y_train
    )
    for name, params in MODELS.items()
}

# %%
# Scores of probabilities
# -----------------------
#
# The calibration error is the mean distance between the probability and the share of rows that are
# positive, over ten groups of rows with similar probabilities.


def calibration_error(y, p):
    """Return the mean distance from the diagonal of a calibration plot, in ten equal groups."""
    order = np.argsort(p)
    return np.mean([abs(p[part].mean() - y[part].mean()) for part in np.array_split(order, 10)])


probabilities = {name: model.predict_proba(X_test)[:, 1] for name, model in models.items()}
table = pd.DataFrame(
    {
        name: {
            "accuracy": models[name].score(X_test, y_test),
            "log loss": log_loss(y_test, p),
            "Brier score": brier_score_loss(y_test, p),
            "calibration error": calibration_error(y_test, p),
            "temperature": models[name].temperature_,
        }
        for name, p in probabilities.items()
    }
).T
print(table.round(3).to_string())

p = probabilities["one network"]
sure = np.maximum(p, 1 - p) > 0.98
right = (p > 0.5) == y_test
print(f"of one network, {sure.mean():.0%} of the answers are more than 98 % sure,", end=" ")
print(f"and {right[sure].mean():.0%} of these are right")

# %%
# Calibration curves
# ------------------
#
# The single network is at least 98 % sure of most rows, and wrong about more of those than it
# admits. Its curve runs flat: when it says 80 %, a bit over 60 % are meant. Eight networks mend
# most of that: where they disagree their logits cancel, and they go back to the epoch that
# predicted best what each had left out. Label smoothing forbids them to be sure while they learn,
# now a bit too much. The temperature, here below 1, repairs that, as far as one number can. On the
# right is what all of this means for a user: probabilities close to 1 become rare. Accuracy gains
# from the averaging alone.

figure, (left, right) = plt.subplots(
    1, 2, figsize=(11, 5.2), width_ratios=(5, 4), layout="constrained"
)
LOOKS = [("#D55E00", "o-"), ("#0072B2", "s-"), ("#E69F00", "^--"), ("#009E73", "D--")]
for (name, p), (color, style) in zip(probabilities.items(), LOOKS, strict=True):
    CalibrationDisplay.from_predictions(
        y_test,
        p,
        n_bins=10,
        strategy="quantile",
        name=name,
        ax=left,
        color=color,
        marker=style[0],
        linestyle=style[1:],
    )
    right.hist(
        np.maximum(p, 1 - p),
        np.linspace(0.5, 1, 26),
        histtype="step",
        linewidth=1.8,
        color=color,
        linestyle=style[1:],
        weights=np.full(len(p), 1 / len(p)),
    )
left.set(
    title="Is it right?",
    xlabel="predicted probability of class 1 (mean of a tenth of the rows)",
    ylabel="share of class 1 among them",
)
left.grid(alpha=0.3)
right.set(
    title="How sure is it?",
    xlabel="probability of the predicted class",
    ylabel="share of the test rows",
)
right.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
right.grid(alpha=0.3)

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("calibration.png", dpi=120)
    print(f"Figure saved as {Path('calibration.png').resolve()}")
else:
    plt.show()
