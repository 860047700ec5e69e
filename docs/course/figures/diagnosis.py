"""Learning rates too small, right and too large; gradients that vanish and that do not."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skscratch.nn import (
    SGD,
    Architecture,
    Batch,
    Batches,
    GlorotUniform,
    HeNormal,
    Learner,
    Logistic,
    Network,
    ReLU,
    SoftmaxLogLoss,
    Workspace,
    fit,
    loss_and_gradient,
)

X, y = load_digits(return_X_y=True)
X, Y = X / 16, np.eye(10)[y]


def make(activation, initializer, depth, rate):
    """Make a network for the digits and its training."""
    rng = np.random.default_rng(0)
    network = Network(Architecture([64] + [32] * depth + [10], [activation] * depth))
    network.initialize([initializer] * (depth + 1), [rng])
    return Learner(network, SoftmaxLogLoss(), SGD(momentum=0.9), rate), rng


figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.7), layout="constrained")
for rate, name, color, style in (
    (0.0003, "too small", "#E69F00", "-."),
    (0.05, "right", "#0072B2", "-"),
    (0.3, "too large", "#D55E00", "--"),
    (1.0, "far too large", "#CC79A7", (0, (6, 1, 1, 1, 1, 1))),
):
    learner, rng = make(ReLU(), HeNormal(), 2, rate)
    progress = fit(learner, Batches(X, Y, batch_size=64, streams=[rng]), epochs=20)
    left.semilogy(
        range(1, 21),
        progress.history["loss"],
        color=color,
        linestyle=style,
        linewidth=2,
        label=f"rate {rate:g}, {name}",
    )
left.axhline(np.log(10), color="black", linewidth=1, linestyle=":")
left.text(20, 3.1, "dotted: guessing, log 10", ha="right", fontsize=9)
left.set(title="Loss curves", xlabel="epoch", ylabel="training log loss", ylim=(0.0005, 5))
left.set_xticks([1, 5, 10, 15, 20])
left.legend(loc="lower left")

for activation, initializer, name, color, style in (
    (ReLU(), HeNormal(), "ReLU, He", "#0072B2", "o-"),
    (Logistic(), GlorotUniform(), "logistic, Glorot", "#D55E00", "s--"),
):
    learner, _ = make(activation, initializer, 10, 0.05)
    workspace = Workspace(learner.network, len(X), training=True)
    loss_and_gradient(learner, Batch(X, Y), workspace)
    sizes = [
        np.abs(cache.dW).mean()
        for layer, cache in workspace.forward_order
        if layer in learner.network.dense
    ]
    right.semilogy(range(1, 12), sizes, style, color=color, label=name)
right.axhspan(1e-10, 1e-7, color="0.9")
right.text(10.9, 2e-8, "vanishing", ha="right")
right.set(
    title="Gradients before the first step",
    xlabel="layer (1 is next to the input)",
    ylabel=r"mean $|\partial L/\partial W|$",
    ylim=(1e-10, 1),
)
right.legend(loc="center right", bbox_to_anchor=(1, 0.4))
for axis in (left, right):
    axis.grid(alpha=0.3)
