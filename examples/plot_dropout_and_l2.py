"""
=============================================
Few noisy rows: dropout, L2 penalty, or both?
=============================================

A large network learns a few hundred rows by heart, wrong labels included. Two remedies are old and
cheap: dropout, which switches off a share of the units in each step, and the L2 penalty, which
pulls the weights to zero. Which one helps more, and how strong should it be?
"""

# %%
# Data and networks
# -----------------
#
# 250 training rows with twenty features, eight of which tell something, and a label of every five
# rows drawn anew at random. Nothing but the strength of the two remedies differs between the
# networks. Each is trained on four draws of the rows. Holding rows out and smoothing labels are
# off, since they would help against the same illness.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss

from skscratch import ScratchMLPClassifier

X, y = make_classification(
    n_samples=6000,
    n_features=20,
    n_informative=8,
    n_redundant=0,
    n_clusters_per_class=3,
    flip_y=0.2,
    random_state=3,
)
X_test, y_test = X[1000:], y[1000:]
DRAWS = [np.arange(1000)[part::4] for part in range(4)]


def losses(**params):
    """Return log loss and error rate on training and test rows: (n_draws, 2, 2)."""
    results = []
    for number, rows in enumerate(DRAWS):
        mlp = ScratchMLPClassifier(
            (64, 64),
            activation="relu",
            n_networks=1,
            optimizer="adam",
            batch_size=32,
            learning_rate=3e-3,
            lr_schedule="cosine",
            max_iter=40,
            label_smoothing=0.0,
            calibrate=False,
            random_state=number,
            **params,
        ).fit(X[rows], y[rows])
        results.append(
            [
                (log_loss(labels, mlp.predict_proba(data)), 1 - mlp.score(data, labels))
                for data, labels in ((X[rows], y[rows]), (X_test, y_test))
            ]
        )
    return np.array(results)


# %%
# Turning one up, then the other
# ------------------------------

RATES = [0.0, 0.2, 0.4, 0.6, 0.8]
PENALTIES = [0.01, 0.1, 1.0, 3.0, 10.0]
by_rate = np.array([losses(dropout=rate, l2=0.0) for rate in RATES])
by_penalty = np.array([losses(dropout=0.0, l2=l2) for l2 in PENALTIES])
best_rate = RATES[by_rate[:, :, 1, 0].mean(axis=1).argmin()]
best_penalty = PENALTIES[by_penalty[:, :, 1, 0].mean(axis=1).argmin()]
both = losses(dropout=best_rate, l2=best_penalty)

print(f"{'':28}  log loss: train, test   errors: train, test")
for name, found in [
    ("neither", by_rate[0]),
    (f"dropout={best_rate:g}", by_rate[RATES.index(best_rate)]),
    (f"l2={best_penalty:g}", by_penalty[PENALTIES.index(best_penalty)]),
    (f"dropout={best_rate:g}, l2={best_penalty:g}", both),
]:
    (train_loss, train_error), (test_loss, test_error) = found.mean(axis=0)
    print(f"{name:28} {train_loss:14.3f} {test_loss:7.3f} {train_error:14.1%} {test_error:7.1%}")

# %%
# What helps
# ----------
#
# Without either the training rows are known by heart, and the network is sure of itself on test
# rows where it is wrong: their log loss is far above that of guessing, although it classifies two
# thirds of them correctly. Either remedy makes it honest, and a bit better at classifying. None is
# better than the other, within what four draws can tell. Each has a best strength, beyond which the
# network does not learn what there is to learn. To apply both at these strengths is too much of a
# good thing. The best strengths were chosen by the very test rows they are shown on, which is good
# enough for a picture; for a result of your own, choose them by cross-validation.

BLUE, ORANGE = "#0072B2", "#D55E00"
figure, panels = plt.subplots(
    2, 2, figsize=(11, 7.5), sharex="col", sharey="row", layout="constrained"
)
sweeps = [
    ("dropout rate (l2=0)", RATES, by_rate),
    ("L2 penalty (dropout=0)", PENALTIES, by_penalty),
]
for column, (title, strengths, found) in zip(panels.T, sweeps, strict=True):
    for metric, panel in enumerate(column):
        for part, (name, color, style) in enumerate(
            [("training rows", ORANGE, "s--"), ("test rows", BLUE, "o-")]
        ):
            values = found[:, :, part, metric]
            panel.errorbar(
                strengths,
                values.mean(axis=1),
                values.std(axis=1),
                fmt=style,
                color=color,
                capsize=3,
                label=name,
            )
        joint = both[:, 1, metric].mean()
        panel.axhline(
            joint, color="black", linestyle=":", label="test rows, best strengths of both"
        )
        panel.grid(alpha=0.3)
        panel.set_ylim(bottom=0)
    column[1].set_xlabel(title)
panels[0, 0].axhline(np.log(2), color="0.5", linewidth=0.8)
panels[0, 1].axhline(np.log(2), color="0.5", linewidth=0.8, label="guessing")
panels[0, 1].set_xscale("log")
panels[0, 1].legend()
panels[0, 0].set_ylabel("log loss")
panels[1, 0].set_ylabel("share of errors")
figure.suptitle("Mean of four draws of 250 training rows, with the standard deviation")

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("dropout_and_l2.png", dpi=120)
    print(f"Figure saved as {Path('dropout_and_l2.png').resolve()}")
else:
    plt.show()
