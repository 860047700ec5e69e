"""
=========================================
Prediction intervals without extra effort
=========================================

How far may a prediction be off? A fit of several networks knows, since each has left out other
rows. Does the interval hold as many new points as it says, and does it know where there were no
data?
"""

# %%
# Data
# ----
#
# A noisy curve with a gap: between 0.5 and 1.5 there are no points to train on.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from skscratch import ScratchMLPRegressor

LEVEL = 0.9
GAP = (0.5, 1.5)


def sample(n, rng):
    """Draw n points outside the gap."""
    x = rng.uniform(-3, 3, 2 * n)
    x = x[(x < GAP[0]) | (x > GAP[1])][:n]
    return x[:, np.newaxis], np.sin(x) + 0.25 * rng.standard_normal(len(x))


rng = np.random.default_rng(0)
X_train, y_train = sample(300, rng)
X_test, y_test = sample(10_000, rng)

# %%
# One fit, two predictions
# ------------------------

reg = ScratchMLPRegressor(
    (64, 64),
    activation="mish",
    n_networks=8,
    feature_scaling=None,
    batch_size=32,
    learning_rate=0.01,
    lr_schedule="cosine",
    max_iter=60,
    random_state=0,
).fit(X_train, y_train)

low, high = reg.predict_interval(X_test, confidence_level=LEVEL).T
inside = (low <= y_test) & (y_test <= high)
print(f"{inside.mean():.1%} of new points are inside, asked for were {LEVEL:.0%}")

# %%
# Samples differ
# --------------
#
# The promise is about the average over samples to train on. One sample of 300 points gives a little
# more or less: here are ten of them.

shares = []
for seed in range(10):
    other = reg.set_params(random_state=seed).fit(*sample(300, np.random.default_rng(seed + 1)))
    low, high = other.predict_interval(X_test, confidence_level=LEVEL).T
    shares.append(np.mean((low <= y_test) & (y_test <= high)))
print(f"ten samples: {min(shares):.1%} to {max(shares):.1%}, {np.mean(shares):.1%} on average")
reg.set_params(random_state=0).fit(X_train, y_train)

# %%
# The figure
# ----------
#
# The interval does not know of the gap: it becomes wider only as far as the networks disagree. The
# share holds for points like those trained on, and of these there are none in the gap. Nor does it
# follow the noise, where that changes from place to place: see the example on quantiles for that.

grid = np.linspace(-3.2, 3.2, 500)[:, np.newaxis]
width = np.diff(reg.predict_interval(grid, confidence_level=LEVEL))[:, 0]
in_gap = (grid[:, 0] > GAP[0]) & (grid[:, 0] < GAP[1])
print(f"width {width[in_gap].mean():.2f} in the gap, {width[~in_gap].mean():.2f} elsewhere")
figure, (left, right) = plt.subplots(
    1, 2, figsize=(12, 4.6), width_ratios=(3, 2), layout="constrained"
)
left.axvspan(*GAP, color="0.92", label="no data")
left.plot(X_train[:, 0], y_train, ".", color="0.5", markersize=4, label="training points")
for level, alpha in ((0.9, 0.2), (0.5, 0.3)):
    low, high = reg.predict_interval(grid, confidence_level=level).T
    label = f"interval, {level:.0%}"
    left.fill_between(grid[:, 0], low, high, color="#0072B2", alpha=alpha, linewidth=0, label=label)
left.plot(grid[:, 0], reg.predict(grid), color="#0072B2", label="prediction")
left.plot(grid[:, 0], np.sin(grid[:, 0]), "k--", linewidth=1, label="truth")
left.set(title="Intervals of one fit", xlabel="x", ylabel="y", ylim=(-2.2, 2.6))
left.legend(loc="upper left", ncols=3, fontsize="small")

levels = np.linspace(0.1, 0.98, 23)
found = []
for level in levels:
    low, high = reg.predict_interval(X_test, confidence_level=level).T
    found.append(np.mean((low <= y_test) & (y_test <= high)))
right.plot([0, 1], [0, 1], "k:", label="as asked for")
right.plot(levels, np.maximum(0, 2 * levels - 1), color="0.6", label="proven at least (many rows)")
right.plot(levels, found, "o-", color="#0072B2", markersize=4, label="found on 10,000 new points")
right.set(title="Share of points inside", xlabel="confidence_level", ylabel="share", xlim=(0, 1))
right.set_ylim(0, 1)
right.grid(alpha=0.3)
right.legend(loc="upper left")

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("prediction_intervals.png", dpi=120)
    print(f"Figure saved as {Path('prediction_intervals.png').resolve()}")
else:
    plt.show()
