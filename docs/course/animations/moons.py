"""The network of forty lines learns two moons: its boundary and its loss, epoch by epoch."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation

from skscratch.nn import (
    SGD,
    Architecture,
    Batches,
    HeNormal,
    Learner,
    LogisticLogLoss,
    Network,
    ReLU,
    fit,
)

rng = np.random.default_rng(0)
angle = np.pi * rng.random(200)
X = np.column_stack([np.cos(angle), np.sin(angle)])
X[100:] = [1.0, 0.5] - X[100:]
X += 0.2 * rng.standard_normal(X.shape)
Y = np.repeat([[0.0], [1.0]], 100, axis=0)

network = Network(Architecture([2, 16, 1], [ReLU()]))
network.initialize([HeNormal()] * 2, [rng])
learner = Learner(network, LogisticLogLoss(), SGD(momentum=0.9), 0.05)
batches = Batches(X, Y, batch_size=20, streams=[rng])

first, second = np.meshgrid(np.linspace(-1.6, 2.6, 120), np.linspace(-1.4, 1.6, 90))
grid = np.column_stack([first.ravel(), second.ravel()])
epochs = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100]
shares, losses = {}, {}


def remember(row=None):
    """Keep what is drawn later."""
    epoch = 0 if row is None else row["epoch"]
    if row is not None:
        losses[epoch] = row["loss"]
    if epoch in epochs:
        Z = network.predict(grid).reshape(first.shape)
        shares[epoch] = LogisticLogLoss().inverse_link(Z)


remember()
fit(learner, batches, epochs=100, report=remember)

figure, (left, right) = plt.subplots(
    1, 2, figsize=(8, 3.6), layout="constrained", width_ratios=[3, 2]
)


def draw(epoch):
    """Draw the network as it is after an epoch."""
    left.clear()
    left.contourf(first, second, shares[epoch], np.linspace(0, 1, 11), cmap="RdBu_r", alpha=0.6)
    left.contour(first, second, shares[epoch], [0.5], colors="black")
    for label, color, marker in ((0, "#0072B2", "o"), (1, "#D55E00", "^")):
        rows = Y[:, 0] == label
        left.plot(*X[rows].T, marker, color=color, markersize=3.5)
    left.set(title=f"After {epoch} epochs", xlabel="$x_1$", ylabel="$x_2$", ylim=(-1.4, 1.6))
    right.clear()
    right.plot(list(losses), list(losses.values()), color="0.8")
    known = [e for e in losses if e <= epoch]
    right.plot(known, [losses[e] for e in known], color="#009E73", linewidth=2)
    right.set(title="Loss", xlabel="epoch", ylim=(0, None))
    right.grid(alpha=0.3)


animation = FuncAnimation(figure, draw, frames=epochs, init_func=lambda: None)
