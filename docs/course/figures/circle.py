"""A linear model and hidden layers whose weights are set by hand, on the circle."""

import matplotlib.pyplot as plt
import numpy as np

from skscratch.nn import Architecture, Network, ReLU

X = np.random.default_rng(0).standard_normal((1000, 2))
shown = slice(250)
inside = (X**2).sum(axis=1) < 1


def by_hand(n_units):
    """Make the network whose hidden units look evenly in all directions."""
    angles = 2 * np.pi * np.arange(n_units) / n_units
    network = Network(Architecture([2, n_units, 1], [ReLU()]))
    hidden, out = network.dense
    hidden.W[...] = [np.cos(angles), np.sin(angles)]
    out.W[...] = -1.0
    out.b[...] = n_units / np.pi
    return network


linear = Network(Architecture([2, 1]))
with_ones = np.column_stack([X, np.ones(len(X))])
linear.dense[0].W[:, 0], linear.dense[0].b[...] = np.split(
    np.linalg.lstsq(with_ones, np.where(inside, 1.0, -1.0), rcond=None)[0], [2]
)

side = np.linspace(-3.2, 3.2, 300)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
models = [
    ("no hidden layer", linear),
    ("3 hidden ReLU units", by_hand(3)),
    ("16 hidden ReLU units", by_hand(16)),
]
figure, axes = plt.subplots(1, 3, figsize=(8, 3.6), sharey=True, layout="constrained")
for axis, (name, network) in zip(axes, models, strict=True):
    z = network.predict(grid).reshape(len(side), len(side))
    axis.contourf(side, side, z > 0, levels=[-0.5, 0.5, 1.5], colors=["#FBE3D6", "#CFE3F5"])
    for value, color, marker, label in (
        (True, "#0072B2", "o", "inside"),
        (False, "#D55E00", "x", "outside"),
    ):
        axis.scatter(
            *X[shown][inside[shown] == value].T, s=12, color=color, marker=marker, label=label
        )
    if z.max() > 0:
        axis.contour(side, side, z, levels=[0], colors="black", linewidths=1.5)
    accuracy = ((network.predict(X)[:, 0] > 0) == inside).mean()
    axis.set_title(f"{name}\naccuracy {accuracy:.3f}", fontsize=11)
    axis.set(xlabel="$x_1$", aspect="equal", xlim=(-3.2, 3.2), ylim=(-3.2, 3.2))
axes[0].set_ylabel("$x_2$")
axes[0].legend(loc="upper left", markerscale=2, framealpha=1)
