"""Six layers from weights that are too small: normalization makes up for them."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skscratch.nn import (
    SGD,
    Architecture,
    Batches,
    HeNormal,
    Learner,
    Network,
    Normal,
    ReLU,
    SoftmaxLogLoss,
    fit,
)

X, y = load_digits(return_X_y=True)
X, Y = X / 16, np.eye(10)[y]
cases = [("He's initialization", HeNormal()), ("standard deviation 0.05", Normal(0.05))]
styles = [
    (None, "no normalization", "#D55E00", "--"),
    ("batch", "batch norm", "#0072B2", "-"),
    ("layer", "layer norm", "#009E73", "-."),
]
figure, axes = plt.subplots(1, 2, figsize=(8, 3.5), sharey=True, layout="constrained")
for axis, (title, initializer) in zip(axes, cases, strict=True):
    for normalization, name, color, style in styles:
        rng = np.random.default_rng(0)
        network = Network(
            Architecture([64] + [32] * 6 + [10], [ReLU()] * 6, normalization=normalization)
        )
        network.initialize([initializer] * 7, [rng])
        learner = Learner(network, SoftmaxLogLoss(), SGD(momentum=0.9), 0.005)
        progress = fit(learner, Batches(X, Y, batch_size=128, streams=[rng]), epochs=30)
        losses = progress.history["loss"]
        axis.plot(range(1, 31), losses, color=color, linestyle=style, linewidth=2, label=name)
    axis.set(title=f"Weights of {title}", xlabel="epoch")
    axis.axhline(np.log(10), color="black", linewidth=1, linestyle=":")
    axis.grid(alpha=0.3)
axes[0].set_ylabel("training log loss")
axes[0].text(30, np.log(10) + 0.03, "guessing: log 10", ha="right")
axes[0].legend(loc="upper right", bbox_to_anchor=(1, 0.92))
