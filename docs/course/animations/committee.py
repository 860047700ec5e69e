"""Eight networks learn two moons, each without a fold: their boundaries, and that of their mean."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation

from skscratch.nn import (
    Adam,
    Architecture,
    Batches,
    Cosine,
    HeNormal,
    Learner,
    LogisticLogLoss,
    Network,
    ReLU,
    fit,
)

K, n = 8, 160
rng = np.random.default_rng(0)
angle = np.pi * rng.random(n)
X = np.column_stack([np.cos(angle), np.sin(angle)])
X[n // 2 :] = [1.0, 0.5] - X[n // 2 :]
X += 0.35 * rng.standard_normal(X.shape)
Y = np.repeat([[0.0], [1.0]], n // 2, axis=0)

folds = np.array_split(rng.permutation(n), K)
rows = [np.setdiff1d(np.arange(n), fold) for fold in folds]
networks = Network(Architecture([2, 32, 32, 1], [ReLU()] * 2), stack=(K,))
networks.initialize([HeNormal()] * 3, rng.spawn(K))
learner = Learner(networks, LogisticLogLoss(), Adam(), 0.01, Cosine())
batches = Batches(X, Y, batch_size=32, streams=rng.spawn(K), rows=rows)

first, second = np.meshgrid(np.linspace(-2, 3, 120), np.linspace(-1.6, 2.1, 90))
grid = np.column_stack([first.ravel(), second.ravel()])
epochs = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100]
logits = {}


def remember(row=None):
    """Keep what is drawn later."""
    epoch = 0 if row is None else row["epoch"]
    if epoch in epochs:
        logits[epoch] = networks.predict(grid).reshape(K, *first.shape)


remember()
fit(learner, batches, epochs=100, report=remember)

figure, (left, right) = plt.subplots(
    1, 2, figsize=(8, 3.6), layout="constrained", sharex=True, sharey=True
)


def draw(epoch):
    """Draw the networks as they are after an epoch."""
    Z = logits[epoch]
    mean = LogisticLogLoss().inverse_link(Z.mean(axis=0))
    for axes in (left, right):
        axes.clear()
        for label, color, marker in ((0, "#0072B2", "o"), (1, "#D55E00", "^")):
            axes.plot(*X[Y[:, 0] == label].T, marker, color=color, markersize=3.5)
        axes.set(xlabel="$x_1$", xlim=(-2, 3), ylim=(-1.6, 2.1))
    for own in Z:
        left.contour(first, second, own, [0], colors="0.35", linewidths=0.9)
    right.contourf(first, second, mean, np.linspace(0, 1, 11), cmap="RdBu_r", alpha=0.6, zorder=0)
    right.contour(first, second, mean, [0.5], colors="black", linewidths=2)
    left.set(title=f"Eight networks after {epoch} epochs", ylabel="$x_2$")
    right.set_title("Their mean")


animation = FuncAnimation(figure, draw, frames=epochs, init_func=lambda: None)
