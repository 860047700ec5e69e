"""
==================================
A circle that no line can separate
==================================

Points in the plane are labeled by whether they lie in the unit circle. Gradient descent on all
points at once trains two models on them: one with hidden layers, and one without. What can each of
them learn?
"""

# %%
# Data and models
# ---------------
#
# The features are standard normal, so that they need no scaling. Without hidden layers the network
# is logistic regression, whose decision boundary is a straight line. All that the result rests on
# is set, and nothing but ``max_iter`` ends the training.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from skscratch import ScratchMLPClassifier


def sample(n, rng):
    """Draw n points, and label them 1 in the unit circle and 0 outside."""
    X = rng.standard_normal((n, 2))
    return X, (X[:, 0] ** 2 + X[:, 1] ** 2 < 1).astype(int)


rng = np.random.default_rng(0)
X_train, y_train = sample(1000, rng)
X_test, y_test = sample(10_000, rng)

models = {}
for name, sizes in {"two hidden layers (16, 8)": (16, 8), "no hidden layer": ()}.items():
    models[name] = ScratchMLPClassifier(
        sizes,
        activation="relu",
        n_networks=1,
        init="he_normal",
        optimizer="sgd",
        l2=0.0,
        dropout=0.0,
        batch_size="full",
        learning_rate=0.1,
        lr_schedule="constant",
        max_iter=1000,
        random_state=0,
        tol=0.0,
        n_iter_no_change=np.inf,
        label_smoothing=0.0,
        feature_scaling=None,
        calibrate=False,
        dtype="float64",
    ).fit(X_train, y_train)

# %%
# Accuracy
# --------
#
# Always answering "outside" is the mark to beat.

print(f"{'':28}train    test")
outside = [(y == 0).mean() for y in (y_train, y_test)]
print(f"{'always outside':26}{outside[0]:7.1%} {outside[1]:7.1%}")
for name, model in models.items():
    scores = model.score(X_train, y_train), model.score(X_test, y_test)
    print(f"{name:26}{scores[0]:7.1%} {scores[1]:7.1%}")

# %%
# Probability over the plane
# --------------------------
#
# Where the probability of lying in the circle crosses one half, a model's answer changes: the black
# line. It should follow the red circle. The model without hidden layers could only draw a straight
# line, which does not help: it gives nearly the same probability to every point, below one half.

LIMIT = 2.6
axis = np.linspace(-LIMIT, LIMIT, 300)
u, v = np.meshgrid(axis, axis)
grid = np.column_stack([u.ravel(), v.ravel()])

figure, panels = plt.subplots(1, 2, figsize=(11, 6), sharey=True, layout="constrained")
for panel, (name, model) in zip(panels, models.items(), strict=True):
    probability = model.predict_proba(grid)[:, 1].reshape(u.shape)
    areas = panel.pcolormesh(u, v, probability, cmap="PuOr_r", vmin=0, vmax=1, alpha=0.6)
    if np.any(probability > 0.5):
        panel.contour(u, v, probability, [0.5], colors="black")
    for label, color, place in [(1, "#7f3b08", "inside"), (0, "#2d004b", "outside")]:
        points = X_train[y_train == label]
        panel.scatter(*points.T, s=6, color=color, label=f"training points {place}")
    angle = np.linspace(0, 2 * np.pi, 200)
    panel.plot(np.cos(angle), np.sin(angle), color="red", label="unit circle")
    panel.plot([], [], color="black", label="where the answer changes")
    panel.set(
        title=f"{name}: {model.score(X_test, y_test):.1%} of test points right",
        xlabel="x1",
        xlim=(-LIMIT, LIMIT),
        ylim=(-LIMIT, LIMIT),
        aspect="equal",
    )
panels[0].set_ylabel("x2")
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
figure.colorbar(areas, ax=panels, label="predicted probability of lying in the circle")

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("circle.png", dpi=120)
    print(f"Figure saved as {Path('circle.png').resolve()}")
else:
    plt.show()
