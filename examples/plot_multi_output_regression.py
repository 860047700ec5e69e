"""
===================================
Three targets, three units, one fit
===================================

How far does a ball fly, how high, and for how long? That makes three targets, in meters and
seconds. Is one network for all of them as good as a network for each, and do the units matter?
"""

# %%
# The ball
# --------
#
# A ball is thrown at some speed and angle into some wind; drag grows with the square of its speed
# relative to the air. The throws are computed in small steps of time. What is measured has 2 % of
# noise.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.multioutput import MultiOutputRegressor

from skscratch import ScratchMLPRegressor

TARGETS = {"distance": "m", "height": "m", "time": "s"}


def fly(speed, degrees, wind, step=0.005, drag=0.02):
    """Return distance (m), greatest height (m) and time (s) of each throw."""
    velocity = speed * np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
    place = np.zeros_like(velocity)
    height, time = np.zeros_like(speed), np.zeros_like(speed)
    flying = np.full(len(speed), True)
    while flying.any():
        relative = velocity - np.array([wind, np.zeros_like(wind)])
        velocity += step * (
            -drag * np.linalg.norm(relative, axis=0) * relative - np.array([[0.0], [9.81]])
        )
        place += step * flying * velocity
        time += step * flying
        height = np.maximum(height, place[1])
        flying &= place[1] > 0
    return np.column_stack([place[0], height, time])


rng = np.random.default_rng(0)
X = np.column_stack(
    [rng.uniform(5, 40, 3000), rng.uniform(10, 80, 3000), rng.uniform(-10, 10, 3000)]
)
Y = fly(*X.T)
X_train, X_test, Y_train, Y_test = train_test_split(X, Y, train_size=600, random_state=0)
Y_train = Y_train + 0.02 * Y_train.std(axis=0) * rng.standard_normal(Y_train.shape)
for name, unit, values in zip(TARGETS, TARGETS.values(), Y.T, strict=True):
    print(f"{name:9} {values.min():6.1f} to {values.max():5.1f} {unit}")

# %%
# Models
# ------
#
# A multi-output network shares its hidden layers between the targets. By default it standardizes
# each target, learns, and predicts in the targets' own units. Without that the squared error of the
# distances, which are large numbers, outweighs that of the times. Five random states each.

one = ScratchMLPRegressor(
    (32, 32),
    activation="mish",
    n_networks=1,
    optimizer="adam",
    l2=1e-3,
    batch_size=50,
    learning_rate=5e-3,
    lr_schedule="cosine",
    max_iter=40,
)
models = {
    "one network": one,
    "one network, targets not standardized": clone(one).set_params(standardize_target=False),
    "a network for each target": MultiOutputRegressor(one),
}
errors = {}
for name, model in models.items():
    found = []
    for seed in range(5):
        prefix = "estimator__" if isinstance(model, MultiOutputRegressor) else ""
        model.set_params(**{f"{prefix}random_state": seed}).fit(X_train, Y_train)
        found.append(1 - r2_score(Y_test, model.predict(X_test), multioutput="raw_values"))
    errors[name] = np.array(found)
    print(name)
    for target, values in zip(TARGETS, errors[name].T, strict=True):
        print(f"    {target:9} 1 - R2 {values.mean():.5f} ± {values.std():.5f}")

# %%
# What it shows
# -------------
#
# Here three networks are better than one, though all of these errors are small: they have three
# times the parameters, no target has to make room for the others, and there are three networks to
# be trained. What matters more are the units: without standardization the error of the time, in
# seconds, is more than ten times as large, since next to that of the distance, in meters, it hardly
# counts in the loss.

figure = plt.figure(figsize=(12, 7.6), layout="constrained")
above, below = figure.subfigures(2, 1, height_ratios=(6, 5))
predicted = models["one network"].predict(X_test)
for panel, (name, unit), true, values in zip(
    above.subplots(1, 3), TARGETS.items(), Y_test.T, predicted.T, strict=True
):
    panel.plot(true, values, ".", color="#0072B2", markersize=3)
    panel.axline((0, 0), slope=1, color="black", linewidth=0.8)
    panel.set(xlabel=f"true {name}, {unit}", ylabel=f"predicted {name}, {unit}")
    panel.set_title(f"{name}: R2 = {r2_score(true, values):.4f}")
above.suptitle("One network, throws that it was not trained on")

panel = below.subplots()
COLORS = ["#0072B2", "#E69F00", "#009E73"]
for i, ((name, values), color) in enumerate(zip(errors.items(), COLORS, strict=True)):
    places = np.arange(3) + (i - 1) * 0.15
    panel.errorbar(
        places,
        values.mean(axis=0),
        values.std(axis=0),
        fmt="os^"[i],
        color=color,
        markersize=8,
        capsize=4,
        label=name,
    )
panel.set_xticks(range(3), TARGETS)
panel.set_xlim(-1.2, 2.3)
panel.set_yscale("log")
panel.set(ylabel="1 - R2 on test throws\n(lower is better)")
panel.legend(title="mean of five runs ± standard deviation", loc="upper left")
panel.grid(axis="y", alpha=0.3)

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("multi_output_regression.png", dpi=120)
    print(f"Figure saved as {Path('multi_output_regression.png').resolve()}")
else:
    plt.show()
