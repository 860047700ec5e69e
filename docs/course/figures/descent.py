"""Three optimizers in a narrow valley: where they go, and how fast."""

import matplotlib.pyplot as plt
import numpy as np

from skscratch.nn import SGD, Adam

curvatures = np.array([1.0, 25.0])
best = 2 / curvatures.sum()
roots = np.sqrt(curvatures)
polyak = (4 / roots.sum() ** 2, ((roots[1] - roots[0]) / roots.sum()) ** 2)
runs = [
    ("gradient descent", SGD(), best, "#D55E00", "s--"),
    ("momentum", SGD(momentum=polyak[1]), polyak[0], "#0072B2", "o-"),
    ("Adam", Adam(), 0.3, "#009E73", "^:"),
]

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.7), layout="constrained")
first, second = np.meshgrid(np.linspace(-6, 2.5, 200), np.linspace(-1.4, 1.4, 200))
surface = (curvatures[0] * first**2 + curvatures[1] * second**2) / 2
left.contour(first, second, surface, levels=[0.3, 1, 3, 6, 10, 15, 21], colors="0.75")
for name, optimizer, rate, color, style in runs:
    w = np.array([-5.0, 1.0])
    state, path = optimizer.init(w), [w.copy()]
    for _ in range(60):
        optimizer.step(w, curvatures * w, rate, state)
        path.append(w.copy())
    path = np.array(path)
    losses = path**2 @ curvatures / 2
    left.plot(*path[:25].T, style, color=color, markersize=4, linewidth=1.2, label=name)
    right.semilogy(losses, style, color=color, markersize=3, label=f"{name}, rate {rate:.3g}")
left.plot(0, 0, "k*", markersize=12)
left.set(title="The first 24 steps", xlabel="$w_1$ (curvature 1)", ylabel="$w_2$ (curvature 25)")
right.set(title="The loss", xlabel="step", ylabel="$L$", ylim=(1e-16, 1e8))
right.grid(alpha=0.3)
right.legend(loc="upper right")
