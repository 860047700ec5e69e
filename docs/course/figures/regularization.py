"""Little data, many weights: what L2 and dropout do to the loss on data not trained on."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skscratch.nn import (
    Adam,
    Architecture,
    Batches,
    GlorotUniform,
    HeNormal,
    Learner,
    Network,
    ReLU,
    SoftmaxLogLoss,
    fit,
)

X, y = load_digits(return_X_y=True)
X = X / 16
rng = np.random.default_rng(0)
order = rng.permutation(len(X))
train, test = order[:300], order[300:]
labels = y.copy()
labels[train[:60]] = rng.integers(10, size=60)  # a fifth of the labels is drawn at random
Y = np.eye(10)[labels]

epochs = 100


def error_curves(l2, dropout):
    """Train a network, and return the share of errors on both parts after each epoch."""
    rng = np.random.default_rng(1)
    network = Network(Architecture([64, 100, 10], [ReLU()], [dropout]))
    network.initialize([HeNormal(), GlorotUniform()], [rng])
    streams = tuple(rng.spawn(1))
    learner = Learner(network, SoftmaxLogLoss(), Adam(), 0.003, l2=l2, streams=streams)
    errors = ([], [])

    def record(row):
        for part, values in zip((train, test), errors, strict=True):
            wrong = network.predict(X[part]).argmax(axis=1) != labels[part]
            values.append(100 * wrong.mean())

    fit(
        learner,
        Batches(X, Y, batch_size=50, streams=[rng], rows=train),
        epochs=epochs,
        report=record,
    )
    return errors


figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5), layout="constrained")
for name, l2, dropout, color, style in (
    ("neither", 0.0, 0.0, "#D55E00", "--"),
    ("L2, strength 0.5", 0.5, 0.0, "#0072B2", "-"),
    ("dropout, rate 0.5", 0.0, 0.5, "#009E73", "-."),
):
    for axis, values in zip((left, right), error_curves(l2, dropout), strict=True):
        axis.plot(
            range(1, epochs + 1), values, color=color, linestyle=style, linewidth=2, label=name
        )
left.set(title="300 training images, 60 relabeled", ylabel="share wrong (%)")
left.set_ylim(0, 60)
right.set(title="1,497 images held out", ylim=(0, 30))
for axis in (left, right):
    axis.set_xlabel("epoch")
    axis.grid(alpha=0.3)
left.legend()
