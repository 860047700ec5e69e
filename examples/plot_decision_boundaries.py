"""
==========================================
What width and activation do to boundaries
==========================================

Two classes wind around each other as the arms of a spiral. How many units does a network need to
follow them, and does the activation show in the shape of the boundaries?
"""

# %%
# Spirals
# -------

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.inspection import DecisionBoundaryDisplay

from skscratch import ScratchMLPClassifier


def sample(n, rng):
    """Draw n points of two arms."""
    y = rng.integers(0, 2, n)
    radius = rng.uniform(0.1, 1, n)
    angle = np.pi * y + 7 * radius + rng.normal(0, 0.35, n)
    return radius[:, np.newaxis] * np.column_stack([np.cos(angle), np.sin(angle)]), y


rng = np.random.default_rng(0)
X_train, y_train = sample(300, rng)
X_test, y_test = sample(10_000, rng)

# %%
# Networks of two hidden layers
# -----------------------------
#
# All are trained in the same way for 2000 steps on all points at once, so that they differ in width
# and activation alone.

WIDTHS = [3, 8, 32]
ACTIVATIONS = ["identity", "relu", "tanh", "mish"]
models = {}
for activation in ACTIVATIONS:
    for width in WIDTHS:
        models[activation, width] = ScratchMLPClassifier(
            (width, width),
            activation=activation,
            n_networks=1,
            optimizer="adam",
            l2=0.0,
            batch_size="full",
            learning_rate=0.01,
            lr_schedule="cosine",
            max_iter=2000,
            label_smoothing=0.0,
            calibrate=False,
            random_state=0,
        ).fit(X_train, y_train)
    scores = [models[activation, width].score(X_test, y_test) for width in WIDTHS]
    print(f"{activation:9}" + "".join(f"{score:7.1%}" for score in scores))

# %%
# The boundaries
# --------------
#
# scikit-learn's `DecisionBoundaryDisplay` draws them. With ``identity`` layers there is no curve,
# whatever the width: a product of matrices is a matrix, and the network a linear model. Three units
# a layer are too few, however they are put to use; eight follow the arms with detours, and with 32
# the boundaries run in the middle between them. ReLU's consist of straight pieces, whose corners
# show where there are few units; those of the smooth activations are curved. On test points it
# makes no difference with enough units. In the corners the networks are as sure as anywhere,
# although no point has ever told them what is there.

figure, panels = plt.subplots(4, 3, figsize=(9, 10.6), layout="constrained")
for panel, model in zip(panels.flat, models.values(), strict=True):
    boundary = DecisionBoundaryDisplay.from_estimator(
        model,
        X_train,
        eps=0.15,
        grid_resolution=200,
        response_method="predict_proba",
        plot_method="pcolormesh",
        cmap="PuOr",
        vmin=0,
        vmax=1,
        alpha=0.6,
        ax=panel,
    )
    for label, (color, marker) in enumerate([("#7f3b08", "o"), ("#2d004b", "^")]):
        points = X_train[y_train == label].T
        panel.scatter(
            *points,
            s=12,
            color=color,
            marker=marker,
            edgecolors="white",
            linewidths=0.3,
            label=f"class {label}",
        )
    panel.set(xticks=[], yticks=[], aspect="equal")
    panel.set_title(f"{model.score(X_test, y_test):.1%} of test points right", fontsize="medium")
for panel, width in zip(panels[-1], WIDTHS, strict=True):
    panel.set_xlabel(f"two layers of {width} units")
for panel, activation in zip(panels[:, 0], ACTIVATIONS, strict=True):
    panel.set_ylabel(activation)
figure.colorbar(boundary.surface_, ax=panels, label="predicted probability of class 1", shrink=0.4)
figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("decision_boundaries.png", dpi=120)
    print(f"Figure saved as {Path('decision_boundaries.png').resolve()}")
else:
    plt.show()
