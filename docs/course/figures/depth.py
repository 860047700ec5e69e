"""Teeth from folding, and the square function from teeth: depth against width."""

import matplotlib.pyplot as plt
import numpy as np

from skscratch.nn import Architecture, Network, ReLU

x = np.linspace(0, 1, 4097).reshape(-1, 1)


def fold(times):
    """Apply the tent function again and again, by a network with two units a layer."""
    network = Network(Architecture([1] + [2] * times + [1], [ReLU()] * times))
    for layer in network.dense[:-1]:
        layer.W[...] = [[1.0, 1.0]] if layer.n_in == 1 else [[2.0, 2.0], [-4.0, -4.0]]
        layer.b[...] = [[0.0, -0.5]]
    network.dense[-1].W[...] = [[2.0], [-4.0]]
    return network.predict(x)


def square(depth):
    """Approximate x^2: a third unit in each layer subtracts the teeth one after the other."""
    network = Network(Architecture([1] + [3] * depth + [1], [ReLU()] * depth))
    first, *middle, last = network.dense
    first.W[...], first.b[...] = 1.0, [[0.0, -0.5, 0.0]]
    for s, layer in enumerate(middle, start=1):
        layer.W[...] = [[2, 2, -2 / 4**s], [-4, -4, 4 / 4**s], [0, 0, 1]]
        layer.b[...] = [[0.0, -0.5, 0.0]]
    last.W[...] = [[-2 / 4**depth], [4 / 4**depth], [1]]
    return network.predict(x)


figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
for times, color, style in ((1, "#D55E00", "--"), (2, "#E69F00", "-."), (4, "#0072B2", "-")):
    name = f"{times} layer{'s' if times > 1 else ''} of 2 units: {2**times} pieces"
    left.plot(x, fold(times), color=color, linestyle=style, label=name)
left.set(title="A tent, folded", xlabel="$x$", ylabel="output", ylim=(-0.02, 1.45))
left.legend(loc="upper center")

depths = np.arange(1, 9)
deep = [np.abs(square(depth) - x**2).max() for depth in depths]
units = np.arange(2, 41)
shallow = []
for n_units in units:
    knots = np.linspace(0, 1, n_units + 1)
    shallow.append(np.abs(np.interp(x, knots, knots**2) - x**2).max())
right.semilogy(3 * depths, deep, "o-", color="#0072B2", label="layers of 3 units")
right.semilogy(units, shallow, "--", color="#D55E00", label="one layer, equally spaced kinks")
right.set(
    title="Approximating $x^2$ on [0, 1]", xlabel="hidden units in all", ylabel="largest error"
)
right.legend(loc="upper right")
for axis in (left, right):
    axis.grid(alpha=0.3)
