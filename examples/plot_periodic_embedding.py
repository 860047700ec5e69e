"""
=================================
A target that wiggles: embeddings
=================================

Networks learn smooth functions first, and functions that go up and down many times late or never.
What does it help to turn a feature into waves or into piecewise linear functions before the first
layer?
"""

# %%
# Data
# ----
#
# One feature, and a target that oscillates faster and faster and has a jump. 600 noisy points.

import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone

from skscratch import Periodic, PiecewiseLinear, ScratchMLPRegressor


def target(x):
    """Return the function to be learned."""
    return np.sin(2 * np.pi * (1 + 2 * x) * x) + np.where(x > 0.45, 0.8, 0.0)


rng = np.random.default_rng(0)
x_train = rng.uniform(0, 2, 600)
y_train = target(x_train) + rng.normal(0, 0.25, 600)
x_test = np.linspace(0, 2, 2000)

# %%
# The same network, three times
# -----------------------------

EMBEDDINGS = {
    "none": None,
    "piecewise linear": PiecewiseLinear(),
    "periodic": Periodic(scale=1.0),
}
models = {}
for name, embedding in EMBEDDINGS.items():
    start = time.perf_counter()
    models[name] = ScratchMLPRegressor(
        (64, 64),
        activation="mish",
        n_networks=1,
        numerical_embedding=embedding,
        optimizer="adam",
        l2=1e-3,
        batch_size=64,
        learning_rate=5e-3,
        lr_schedule="cosine",
        max_iter=100,
        random_state=0,
    ).fit(x_train[:, np.newaxis], y_train)
    seconds = time.perf_counter() - start
    error = np.sqrt(np.mean((models[name].predict(x_test[:, np.newaxis]) - target(x_test)) ** 2))
    print(f"{name:17} distance from the truth (RMSE) {error:.3f}, {seconds:.1f} s")

# %%
# How fast the waves are at first is a parameter, which should be searched.

for scale in (0.1, 0.3, 3.0, 10.0):
    mlp = clone(models["periodic"]).set_params(numerical_embedding__scale=scale)
    mlp.fit(x_train[:, np.newaxis], y_train)
    error = np.sqrt(np.mean((mlp.predict(x_test[:, np.newaxis]) - target(x_test)) ** 2))
    print(f"periodic, scale {scale:4g}: RMSE {error:.3f}")

# %%
# Three fits
# ----------
#
# Without an embedding the network hardly bends, and takes the waves for noise around a mean.
# Piecewise linear functions give it a bend wherever they have an edge, which is enough for the
# slower waves. Periodic ones follow nearly all of it. They can, since the target consists of waves,
# and their ``scale`` fits it: with a much smaller one the waves are too slow, with a much larger
# one they follow the noise. On data without such wiggles expect little of either.

figure, panels = plt.subplots(3, 1, figsize=(11, 8), sharex=True, sharey=True, layout="constrained")
for panel, (name, model) in zip(panels, models.items(), strict=True):
    panel.plot(x_train, y_train, ".", color="0.7", markersize=4, label="training points")
    panel.plot(x_test, target(x_test), color="black", linewidth=1, label="truth")
    predicted = model.predict(x_test[:, np.newaxis])
    panel.plot(x_test, predicted, color="#D55E00", linewidth=2, label="network")
    error = np.sqrt(np.mean((predicted - target(x_test)) ** 2))
    panel.set(title=f"embedding: {name}, RMSE {error:.2f}", ylabel="y")
    panel.grid(alpha=0.3)
panels[-1].set_xlabel("x")
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("periodic_embedding.png", dpi=120)
    print(f"Figure saved as {Path('periodic_embedding.png').resolve()}")
else:
    plt.show()
