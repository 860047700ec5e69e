"""Squared error stops pulling where the logistic function is flat; cross-entropy does not."""

import matplotlib.pyplot as plt
import numpy as np

from skscratch.nn import LogisticLogLoss

z = np.linspace(-8, 8, 401).reshape(-1, 1)
y = np.ones_like(z)
gradient = np.empty_like(z)
loss = LogisticLogLoss()
cross_entropy = loss.row_losses(z.copy(), y, gradient)
p = loss.inverse_link(z)

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5), layout="constrained")
left.plot(z, cross_entropy, color="#0072B2", linewidth=2, label=r"cross-entropy $-\log p$")
left.plot(
    z, (p - 1) ** 2 / 2, "--", color="#D55E00", linewidth=2, label=r"squared error $(p - 1)^2/2$"
)
left.set(title="Loss of a sample with $y = 1$", xlabel="logit $z$", ylabel="loss")
right.plot(z, gradient, color="#0072B2", linewidth=2, label="cross-entropy: $p - 1$")
right.plot(
    z,
    (p - 1) * p * (1 - p),
    "--",
    color="#D55E00",
    linewidth=2,
    label="squared error: $(p - 1)\\,p\\,(1 - p)$",
)
right.set(title="Its derivative", xlabel="logit $z$", ylabel="$dL/dz$", ylim=(-1.05, 0.4))
right.axvspan(-8, -4, color="0.9")
right.text(-7.8, -0.6, "confident\nand wrong", fontsize=9)
for axis in (left, right):
    axis.grid(alpha=0.3)
left.legend()
right.legend(loc="upper left")
