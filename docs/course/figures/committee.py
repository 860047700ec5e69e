"""Networks that learned a noisy sine, each without a part of the points, and their mean."""

import matplotlib.pyplot as plt
import numpy as np

from skscratch.nn import (
    Adam,
    Architecture,
    Batches,
    Cosine,
    HeNormal,
    Learner,
    Network,
    ReLU,
    SquaredError,
    fit,
)

n, n_networks = 80, 24
rng = np.random.default_rng(0)
X = rng.uniform(0, 1, (n, 1))
y = np.sin(2 * np.pi * X) + 0.3 * rng.standard_normal((n, 1))
rows = []
for _ in range(n_networks // 8):  # three times eight folds
    rows += [np.setdiff1d(np.arange(n), fold) for fold in np.array_split(rng.permutation(n), 8)]
networks = Network(Architecture([1, 32, 32, 1], [ReLU()] * 2), stack=(n_networks,))
networks.initialize([HeNormal()] * 3, rng.spawn(n_networks))
learner = Learner(networks, SquaredError(), Adam(), 0.01, Cosine())
fit(learner, Batches(X, y, rows=rows), epochs=500)

grid = np.linspace(0, 1, 401).reshape(-1, 1)
truth = np.sin(2 * np.pi * grid)[:, 0]
F = networks.predict(grid)[..., 0]

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5), layout="constrained")
left.plot(X, y, ".", color="0.6", label="points")
left.plot(grid, F[:8].T, color="#56B4E9", linewidth=0.8)
left.plot([], [], color="#56B4E9", linewidth=0.8, label="networks")
left.plot(grid, truth, "--", color="black", label="sine")
left.plot(grid, F[:8].mean(axis=0), color="#D55E00", linewidth=2, label="their mean")
left.set(title="Eight networks", xlabel="$x$", ylabel="$y$")
left.legend(fontsize="small")

counts = range(1, n_networks + 1)
errors = [
    np.mean(
        [
            np.mean((F[rng.choice(n_networks, k, replace=False)].mean(axis=0) - truth) ** 2)
            for _ in range(200)
        ]
    )
    for k in counts
]
right.plot(counts, errors, "o-", color="#D55E00", markersize=4, label="mean of $K$ networks")
right.axhline(
    np.mean((F - truth) ** 2), color="#56B4E9", linestyle="--", label="a network, on average"
)
right.set(title="Squared distance from the sine", xlabel="networks $K$", ylim=0)
right.set_xticks([1, 4, 8, 16, 24])
for axis in (left, right):
    axis.grid(alpha=0.3)
right.legend()
