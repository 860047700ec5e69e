"""Activations and their derivatives."""

import matplotlib.pyplot as plt
import numpy as np

from skscratch.nn import ACTIVATIONS, ReLU

z = np.linspace(-5, 5, 401).reshape(-1, 1)
styles = [
    ("logistic", "#0072B2", "-"),
    ("tanh", "#E69F00", "--"),
    ("relu", "black", "-."),
    ("selu", "#009E73", ":"),
    ("mish", "#CC79A7", (0, (6, 1, 1, 1, 1, 1))),
]

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5), layout="constrained")
for name, color, style in styles:
    f = ACTIVATIONS[name]()
    Z, A, dA = z.copy(), np.empty_like(z), np.ones_like(z)
    saved = [np.empty_like(z) for _ in range(f.n_saved)]
    f.forward(Z, A, *saved)
    left.plot(z, A.copy(), color=color, linestyle=style, linewidth=2, label=name)
    f.backward(dA, Z, A, *saved)
    if isinstance(f, ReLU):
        dA[z == 0] = np.nan
    right.plot(z, dA, color=color, linestyle=style, linewidth=2, label=name)
left.set(title="$f(z)$", xlabel="$z$", ylabel="activation", ylim=(-2.2, 5))
right.set(title="$f'(z)$", xlabel="$z$", ylabel="derivative", ylim=(-0.3, 2))
right.axhline(0.25, color="#0072B2", linewidth=0.8)
right.text(1.7, 0.31, "1/4: steepest slope\nof the logistic", fontsize=8)
for axis in (left, right):
    axis.grid(alpha=0.3)
left.legend(loc="upper left")
