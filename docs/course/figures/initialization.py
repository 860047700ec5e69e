"""The signal on its way forward and the gradient on its way back, through 30 ReLU layers."""

import matplotlib.pyplot as plt
import numpy as np

from skscratch.nn import Architecture, HeNormal, LecunNormal, Network, Normal, ReLU, Workspace

n_layers, n_units = 30, 100
rng = np.random.default_rng(0)
X = rng.standard_normal((256, n_units))
dZ = rng.standard_normal((256, n_units))
network = Network(Architecture([n_units] * (n_layers + 1), [ReLU()] * (n_layers - 1)))
workspace = Workspace(network, len(X), training=True)
cases = [
    ("std 0.2", Normal(0.2), "#D55E00", "v-"),
    ("He: $\\sqrt{2/n}$ = 0.14", HeNormal(), "#0072B2", "o-"),
    ("LeCun, Glorot: $\\sqrt{1/n}$ = 0.1", LecunNormal(), "#009E73", "s--"),
    ("std 0.01", Normal(0.01), "black", "^:"),
]

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.7), layout="constrained")
layers = np.arange(1, n_layers + 1)
for name, initializer, color, style in cases:
    network.initialize([initializer] * n_layers, [rng])
    outputs, A = [], X
    for layer, cache in workspace.forward_order:
        A = layer.forward(A, cache)
        if layer in network.dense:
            outputs.append(A.std())
    gradients, G = [], dZ.copy()
    for layer, cache in workspace.backward_order:
        if layer in network.dense:
            gradients.append(G.std())
        G = layer.backward(G, cache)
    left.semilogy(layers, outputs, style, color=color, markersize=4, label=name)
    right.semilogy(layers, gradients[::-1], style, color=color, markersize=4, label=name)
left.set(title="Forward", xlabel="layer", ylabel="standard deviation of $Z$")
right.set(title="Backward", xlabel="layer", ylabel=r"standard deviation of $\partial L/\partial Z$")
for axis in (left, right):
    axis.grid(alpha=0.3)
figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
