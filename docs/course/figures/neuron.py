"""One neuron draws one line; a layer of three scores three species."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris

from skscratch.nn import Architecture, Network

X, y = load_iris(return_X_y=True)
petals = X[:, 2:]

neuron = Network(Architecture([2, 1]))
neuron.dense[0].W[...] = [[-1.0], [-1.0]]
neuron.dense[0].b[...] = 3.25

layer = Network(Architecture([2, 3]))
layer.dense[0].W[...] = [[-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]]
layer.dense[0].b[...] = [[3.25, 0.0, -6.5]]

length, width = np.meshgrid(np.linspace(0.5, 7.5, 200), np.linspace(-0.2, 2.8, 200))
grid = np.column_stack([length.ravel(), width.ravel()])
markers = [("o", "#0072B2"), ("s", "#E69F00"), ("^", "#009E73")]
species = ["setosa", "versicolor", "virginica"]

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.7), sharey=True, layout="constrained")
z = neuron.predict(grid).reshape(length.shape)
field = left.contourf(length, width, z, levels=np.arange(-7, 8), cmap="RdBu", extend="both")
left.contour(length, width, z, levels=[0], colors="black", linewidths=2)
left.annotate("$z = 0$", (0.75, 2.5), xytext=(1.3, 2.35), fontsize=12)
left.annotate(
    "",
    (1.65, 0.6),
    xytext=(2.25, 1.0),
    arrowprops={"arrowstyle": "-|>", "color": "black", "linewidth": 2},
)
left.text(1.95, 0.62, r"$\mathbf{w}$", fontsize=13)
figure.colorbar(field, ax=left, label="$z$ (cm)")
left.set_title("One neuron: is it a setosa?")

chosen = layer.predict(grid).argmax(axis=1).reshape(length.shape)
right.contourf(
    length, width, chosen, levels=[-0.5, 0.5, 1.5, 2.5], colors=[c for _, c in markers], alpha=0.25
)
right.set_title("A layer of three: which logit is largest?")
for axis in (left, right):
    for k, (marker, color) in enumerate(markers):
        axis.scatter(
            *petals[y == k].T, marker=marker, color=color, edgecolor="black", s=28, label=species[k]
        )
    axis.set_xlabel("petal length (cm)")
left.set_ylabel("petal width (cm)")
right.legend(loc="lower right")
