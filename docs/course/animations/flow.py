"""One row on its way through a small network, and the gradient on its way back."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation

rng = np.random.default_rng(9)
sizes = [2, 4, 4, 1]
W = [rng.standard_normal((m, n)) * np.sqrt(2 / m) for m, n in pairwise(sizes)]
b = [np.zeros(n) for n in sizes[1:]]
x, y, rate = np.array([1.0, -0.5]), 1.0, 0.1


def passes():
    """Return the values and gradients of each layer, those of the weights, and the loss."""
    A, Z = [x], []
    for layer, (w, c) in enumerate(zip(W, b, strict=True)):
        Z.append(A[-1] @ w + c)
        A.append(np.maximum(0, Z[-1]) if layer < len(W) - 1 else Z[-1])
    loss = np.logaddexp(0, Z[-1][0]) - y * Z[-1][0]
    dZ = [1 / (1 + np.exp(-Z[-1])) - y]
    for w, z in zip(W[:0:-1], Z[-2::-1], strict=True):
        dZ.insert(0, (w @ dZ[0]) * (z > 0))
    dX = W[0] @ dZ[0]
    return A, [dX, *dZ], [np.outer(a, d) for a, d in zip(A, dZ, strict=False)], loss


values, gradients, steps, loss = passes()
old = [w.copy() for w in W]
for w, c, step, d in zip(W, b, steps, gradients[1:], strict=True):
    w -= rate * step
    c -= rate * d
after, *_, loss_after = passes()

# What each frame has: the title, and for each layer what its units show.
frames = [("Forward: the inputs", values[:1], {}, old)]
for last in (2, 3):
    title = r"Forward: $a = \max(0,\ x W + b)$, 0 where a unit is silent"
    frames.append((title, values[:last], {}, old))
frames.append(("Forward: the last layer gives the logit", values, {}, old))
frames.append((f"The loss for $y = 1$: {loss:.3f}", values, {}, old))
for first in (3, 2, 1):
    title = (
        "Backward: the gradient with respect to the logit, $p - y$"
        if first == 3
        else r"Backward: $dZ = (dZ_{\rm next}\, W^T) \odot f'(Z)$, 0 where a unit was silent"
    )
    shown = {layer: gradients[layer] for layer in range(first, 4)}
    frames.append((title, values, shown, old))
frames.append((f"The step: $W - {rate}\\, dW$, lines by how far they move", values, shown, None))
frames.append((f"Forward again: the loss is {loss_after:.3f}", after, {}, W))

figure, axes = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
places = [[(layer, (n - 1) / 2 - k) for k in range(n)] for layer, n in enumerate(sizes)]


def draw(frame):
    """Draw the network with what is known in a frame."""
    title, shown, back, weights = frame
    axes.clear()
    axes.set(xlim=(-0.4, 3.4), ylim=(-2.1, 2.1), title=title)
    axes.axis("off")
    moves = [-rate * step for step in steps]
    numbers = moves if weights is None else weights
    largest = max(np.abs(each).max() for each in numbers)
    for layer, each in enumerate(numbers):
        for j, k in np.ndindex(each.shape):
            color = "#D55E00" if each[j, k] < 0 else "#0072B2"
            width = 4 * abs(each[j, k]) / largest
            ends = zip(places[layer][j], places[layer + 1][k], strict=True)
            axes.plot(*ends, color=color, linewidth=width, alpha=0.6, zorder=1)
    for layer, spots in enumerate(places):
        for k, spot in enumerate(spots):
            known = layer < len(shown)
            number = shown[layer][k] if known else 0.0
            face = "white" if not known else "0.9" if number == 0 else "#F0E442"
            axes.scatter(*spot, s=1100, color=face, edgecolor="0.3", zorder=2)
            if known:
                axes.text(*spot, f"{number:.2f}", ha="center", va="center", zorder=3)
            if layer in back:
                x, y = spot
                text = f"d {back[layer][k] + 0.0:+.2f}"
                axes.text(x, y - 0.47, text, ha="center", va="center", color="#A03070", zorder=3)


animation = FuncAnimation(figure, draw, frames=frames, init_func=lambda: None)
