"""What the forty lines have learned: the probability of the second moon, and the bends it is of."""

import matplotlib.pyplot as plt
import numpy as np

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
fit(learner, Batches(X, Y, batch_size=20, streams=[rng]), epochs=100)

first, second = np.meshgrid(np.linspace(-1.6, 2.6, 160), np.linspace(-1.4, 1.6, 120))
grid = np.column_stack([first.ravel(), second.ravel()])
P = LogisticLogLoss().inverse_link(network.predict(grid)).reshape(first.shape)

figure, (left, right) = plt.subplots(
    1, 2, figsize=(8, 3.5), layout="constrained", sharex=True, sharey=True
)
for axes in (left, right):
    for label, color, marker in ((0, "#0072B2", "o"), (1, "#D55E00", "^")):
        axes.plot(*X[Y[:, 0] == label].T, marker, color=color, markersize=3.5)
    axes.set_xlabel("$x_1$")
shown = left.contourf(first, second, P, np.linspace(0, 1, 11), cmap="RdBu_r", alpha=0.6, zorder=0)
left.contour(first, second, P, [0.5], colors="black")
figure.colorbar(shown, ax=left)
left.set(title="Probability of the second moon", ylabel="$x_2$")
hidden, output = network.dense
for (w1, w2), bias, weight in zip(hidden.W.T, hidden.b[0], output.W[:, 0], strict=True):
    z = (w1 * first + w2 * second + bias) * abs(weight)
    right.contour(first, second, z, [0], colors="0.4", linewidths=min(3, abs(weight)))
right.contour(first, second, P, [0.5], colors="black", linewidths=2.5)
right.set_title("Where the 16 hidden units switch on")
