"""
================================================
Intervals that hold what they promise: quantiles
================================================

A prediction without its uncertainty is half an answer. Networks trained on the pinball loss predict
quantiles, and two quantiles make an interval. Do 90 % of new observations really lie in it, also
where the noise is larger than elsewhere?
"""

# %%
# Data
# ----
#
# A curve with noise that grows from left to right and is skewed: large deviations go upward. Since
# the data are generated, the true quantiles are known.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import gamma

from skscratch import Pinball, ScratchMLPRegressor

LOW, HIGH = 0.05, 0.95


def curve(x):
    """Return where the noise starts."""
    return x * np.sin(x)


def noise_scale(x):
    """Return how large the noise is."""
    return 0.2 + 0.12 * x


def sample(n, rng):
    """Draw n points."""
    x = rng.uniform(0, 10, n)
    return x, curve(x) + noise_scale(x) * rng.gamma(2.0, size=n)


rng = np.random.default_rng(0)
x_train, y_train = sample(2000, rng)
x_test, y_test = sample(20_000, rng)

# %%
# Models
# ------
#
# One network for each quantile, and, for comparison, what is often done instead: a network for the
# mean, with an interval of the same width everywhere. That width comes from the errors on 400 rows
# that the network was not trained on.


def train(loss, x, y):
    """Return a network trained on a loss."""
    return ScratchMLPRegressor(
        (64, 64),
        activation="mish",
        n_networks=1,
        loss=loss,
        optimizer="adam",
        l2=0.01,
        batch_size=64,
        learning_rate=5e-3,
        lr_schedule="cosine",
        max_iter=40,
        random_state=0,
    ).fit(x[:, np.newaxis], y)


quantiles = {q: train(Pinball(quantile=q), x_train, y_train) for q in (LOW, 0.5, HIGH)}
mean = train("squared_error", x_train[:1600], y_train[:1600])
errors = y_train[1600:] - mean.predict(x_train[1600:, np.newaxis])
offsets = np.quantile(errors, [LOW, HIGH])


def quantile_interval(x):
    """Return the interval between two networks' predictions."""
    return [quantiles[q].predict(x[:, np.newaxis]) for q in (LOW, HIGH)]


def constant_interval(x):
    """Return the interval around the mean's predictions."""
    return mean.predict(x[:, np.newaxis]) + offsets[:, np.newaxis]


# %%
# Coverage
# --------
#
# The share of 20,000 new points that lie in the interval, altogether and along x. Over all points
# both intervals are not far from 90 %. But the interval of constant width has that share only on
# average: it is far too wide where there is little noise, and too narrow where there is much.

METHODS = {
    "two quantiles": (quantile_interval, "#0072B2", "o-"),
    "constant width": (constant_interval, "#D55E00", "s--"),
}
edges = np.linspace(0, 10, 11)
coverage = {}
for name, (interval, *_) in METHODS.items():
    low, high = interval(x_test)
    inside = (low <= y_test) & (y_test <= high)
    total, _ = np.histogram(x_test, edges)
    coverage[name] = np.histogram(x_test[inside], edges)[0] / total
    print(
        f"{name:15} covers {inside.mean():.1%}, by x {coverage[name].min():.0%} to "
        f"{coverage[name].max():.0%}, mean width {np.mean(high - low):.2f}"
    )

# %%
# The figure
# ----------

figure, (left, right) = plt.subplots(
    1, 2, figsize=(12, 4.8), width_ratios=(3, 2), layout="constrained"
)
grid = np.linspace(0, 10, 400)
left.plot(x_train, y_train, ".", color="0.6", markersize=3, label="training points")
low, high = quantile_interval(grid)
left.fill_between(grid, low, high, color="#0072B2", alpha=0.25, label="predicted 5 to 95 %")
left.plot(grid, quantiles[0.5].predict(grid[:, np.newaxis]), color="#0072B2", label="median")
for q in (LOW, HIGH):
    true = curve(grid) + noise_scale(grid) * gamma.ppf(q, 2.0)
    left.plot(grid, true, color="black", linestyle="--", linewidth=1, label="true 5 and 95 %")
low, high = constant_interval(grid)
left.plot(grid, low, color="#D55E00", linewidth=1, label="constant width")
left.plot(grid, high, color="#D55E00", linewidth=1)
handles, labels = left.get_legend_handles_labels()
keys = dict(zip(labels, handles, strict=True))
left.legend(keys.values(), keys.keys(), loc="upper left", ncols=2, fontsize="small")
left.set(title="Predicted intervals", xlabel="x", ylabel="y", ylim=(-7, 17))

for name, (_, color, style) in METHODS.items():
    right.plot((edges[:-1] + edges[1:]) / 2, coverage[name], style, color=color, label=name)
right.axhline(HIGH - LOW, color="black", linestyle=":", label="promised: 90 %")
right.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
right.set(title="Share of test points in the interval", xlabel="x", ylabel="coverage")
right.grid(alpha=0.3)
right.legend(loc="lower left")

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("quantile_regression.png", dpi=120)
    print(f"Figure saved as {Path('quantile_regression.png').resolve()}")
else:
    plt.show()
