"""A constant rate ends in noise that a falling rate averages away."""

import matplotlib.pyplot as plt
import numpy as np

from skscratch.nn import SGD, Constant, Cosine, StepDecay

n_steps, rate, curvature = 400, 0.5, 1.0
schedules = [
    ("constant", Constant(), "#D55E00", "-"),
    ("step, half every 80", StepDecay(drop=0.5, every=80), "#E69F00", "--"),
    ("cosine", Cosine(), "#0072B2", "-."),
]
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5), layout="constrained")
for name, schedule, color, style in schedules:
    rng = np.random.default_rng(0)
    optimizer, rates = SGD(), schedule.simulate(n_steps, rate)
    w = np.full(2000, 10.0)
    state, errors = optimizer.init(w), []
    for lr in rates:
        optimizer.step(w, curvature * w + rng.standard_normal(w.size), lr, state)
        errors.append(np.mean(w**2) * curvature / 2)
    left.plot(rates, color=color, linestyle=style, linewidth=2, label=name)
    right.semilogy(errors, color=color, linestyle=style, linewidth=2, label=name)
floor = rate / (2 - rate * curvature) / 2
right.axhline(floor, color="black", linewidth=1, linestyle=":")
right.text(395, floor * 1.25, "predicted floor of the constant rate", ha="right", fontsize=9)
left.set(title="Learning rate", xlabel="step", ylabel="rate", ylim=(-0.02, 0.72))
right.set(title="Mean loss of 2,000 noisy descents", xlabel="step", ylabel="$E[L]$")
for axis in (left, right):
    axis.grid(alpha=0.3)
left.legend(loc="upper right")
