"""A classifier with nothing set: its losses over the epochs, and its loss over the temperature."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss

from skscratch import ScratchMLPClassifier

X, y = load_digits(return_X_y=True)
mlp = ScratchMLPClassifier(random_state=0).fit(X, y)
history = mlp.history_

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5), layout="constrained")
left.plot(history["epoch"], history["loss"], color="#0072B2", label="training loss, smoothed")
left.plot(
    history["epoch"], history["validation_loss"], "--", color="#D55E00", label="validation loss"
)
right_share, other_share = 0.91, 0.01
floor = -right_share * np.log(right_share) - 9 * other_share * np.log(other_share)
left.axhline(floor, color="0.4", linestyle=":", label="the least with smoothed labels")
left.set(title="The two losses", xlabel="epoch", ylim=(0, 1.6))
left.legend(fontsize="small")

logits = mlp.oof_decision_function_ * mlp.temperature_
temperatures = np.geomspace(0.15, 2, 60)


def probabilities(temperature):
    """Return the softmax of the logits over the temperature."""
    Z = logits / temperature
    P = np.exp(Z - Z.max(axis=1, keepdims=True))
    return P / P.sum(axis=1, keepdims=True)


losses = [log_loss(y, probabilities(T)) for T in temperatures]
right.semilogx(temperatures, losses, color="#009E73")
right.axvline(mlp.temperature_, color="0.4", linestyle=":", label=f"$T$ = {mlp.temperature_:.2f}")
right.plot(1, log_loss(y, probabilities(1)), "o", color="#D55E00", label="without a temperature")
right.set(title="Log loss out of fold", xlabel="temperature $T$", ylim=(0, None))
right.set_xticks([0.2, 0.5, 1, 2], ["0.2", "0.5", "1", "2"])
right.minorticks_off()
right.legend(fontsize="small")
for axes in (left, right):
    axes.grid(alpha=0.3)
