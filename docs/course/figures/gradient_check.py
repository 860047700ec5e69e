"""Finite differences: truncation against rounding."""

import matplotlib.pyplot as plt
import numpy as np

from skscratch.nn import (
    SGD,
    Architecture,
    Batch,
    GlorotUniform,
    Learner,
    Network,
    SoftmaxLogLoss,
    Tanh,
    Workspace,
    loss_and_gradient,
)

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((20, 4)), np.eye(3)[rng.integers(3, size=20)]
network = Network(Architecture([4, 5, 3], [Tanh()]))
network.initialize([GlorotUniform(), GlorotUniform()], [rng])
learner = Learner(network, SoftmaxLogLoss(), SGD(), 0.1)
workspace = Workspace(network, len(X), training=True)
w = network.parameters.vector
start = w.copy()
direction = np.random.default_rng(4).standard_normal(w.size)
direction /= np.linalg.norm(direction)


def loss(distance):
    """Compute the loss, and its gradient, at a distance from the start."""
    w[...] = start + distance * direction
    return loss_and_gradient(learner, Batch(X, Y), workspace)


here = loss(0.0)
exact = workspace.gradient.vector @ direction
steps = 10.0 ** np.arange(-13, 0.01, 0.25)
forward = [abs((loss(h) - here) / h - exact) / abs(exact) for h in steps]
central = [abs((loss(h) - loss(-h)) / (2 * h) - exact) / abs(exact) for h in steps]

figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
axis.loglog(steps, forward, "s--", color="#D55E00", markersize=4, label="forward difference")
axis.loglog(steps, central, "o-", color="#0072B2", markersize=4, label="central difference")
best = np.finfo(float).eps ** (1 / 3)
axis.axvline(best, color="black", linewidth=1, linestyle=":")
axis.text(best / 1.4, 2e-4, r"$\varepsilon^{1/3} \approx 6 \cdot 10^{-6}$", ha="right")
axis.text(2e-13, 1e-9, "rounding", fontsize=11)
axis.text(2e-2, 1e-9, "truncation", fontsize=11)
axis.set(
    xlabel="step $h$ (length in parameter space)",
    ylabel="relative error of the slope",
    title="How well finite differences agree with back-propagation",
)
axis.grid(alpha=0.3)
axis.legend(loc="upper center")
