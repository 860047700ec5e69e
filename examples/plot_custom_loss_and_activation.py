"""
===============================================
A loss and an activation that are not in a list
===============================================

Some errors cost more than others. A clinic that plans care for diabetes patients may rather expect
too much progress of the disease than too little. How does one train a network on a loss that says
so, and with an activation that is not in the list either?
"""

# %%
# The loss
# --------
#
# A loss is a dataclass whose fields are its parameters. ``row_losses`` computes each row's loss and
# writes its derivative with respect to the network's outputs Z to ``gradient_out``; weights,
# averages and back-propagation are the network's business. Expectiles (Newey and Powell 1987) are
# to the mean what quantiles are to the median: with a share of 0.9, a prediction that is too low
# costs nine times as much as one that is as far too high.

from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skscratch import ScratchMLPRegressor
from skscratch.nn import Activation, Loss


@dataclass
class Expectile(Loss):
    """w (z - y)^2 / 2, where w is the share if z < y and 1 - share otherwise."""

    share: float = 0.5

    out_activation = "identity"

    def row_losses(self, Z, Y, gradient_out):
        R = Z - Y
        gradient_out[...] = np.where(R < 0, self.share, 1 - self.share) * R
        return 0.5 * np.vecdot(R, gradient_out)

    def inverse_link(self, Z):
        return Z


# %%
# The activation
# --------------
#
# Squareplus (Barron 2021, arXiv:2112.11687) looks like softplus and gets by without exponentials:
# ``f(z) = (z + sqrt(z^2 + b)) / 2``. Its derivative is ``(1 + z / sqrt(z^2 + b)) / 2``. ``forward``
# writes f(Z) to A, and ``backward`` multiplies the gradient by f'(Z), in place.


@dataclass
class Squareplus(Activation):
    """f(z) = (z + sqrt(z^2 + b)) / 2."""

    b: float = 4.0

    init = "he_normal"

    def forward(self, Z, A):
        A[...] = (Z + np.sqrt(Z**2 + self.b)) / 2

    def backward(self, dA, Z, A):
        dA *= (1 + Z / np.sqrt(Z**2 + self.b)) / 2


# %%
# Are the derivatives right?
# --------------------------
#
# Finite differences tell.

rng = np.random.default_rng(0)
Z, Y, step = rng.standard_normal((5, 1)), rng.standard_normal((5, 1)), 1e-6


def losses(Z):
    """Return the loss of each row and its derivative."""
    gradient = np.empty_like(Z)
    return Expectile(0.9).row_losses(Z.copy(), Y, gradient), gradient[:, 0]


def activated(Z):
    """Return f(Z)."""
    A = np.empty_like(Z)
    Squareplus().forward(Z, A)
    return A


slope = np.ones_like(Z)
Squareplus().backward(slope, Z, activated(Z))
for name, f, derivative in [
    ("loss", lambda Z: losses(Z)[0], losses(Z)[1]),
    ("activation", lambda Z: activated(Z)[:, 0], slope[:, 0]),
]:
    error = np.abs((f(Z + step) - f(Z - step)) / (2 * step) - derivative).max()
    print(f"{name:12}largest error of a derivative: {error:.0e}")

# %%
# Training
# --------
#
# Objects of both kinds go where names go. How far a patient's disease progresses within a year is
# predicted from the body mass index alone, so that it fits in a picture.

diabetes = load_diabetes(scaled=False)
X, y = diabetes.data[:, [2]], diabetes.target


def fit(share):
    """Return the network trained for a share."""
    mlp = ScratchMLPRegressor(
        (16,),
        activation=Squareplus(),
        n_networks=1,
        loss=Expectile(share),
        optimizer="adam",
        l2=0.1,
        learning_rate=0.01,
        lr_schedule="cosine",
        batch_size=64,
        max_iter=200,
        random_state=0,
        dtype="float64",
    )
    return make_pipeline(StandardScaler(), mlp).fit(X, y)


models = {share: fit(share) for share in (0.1, 0.5, 0.9)}
print("\nshare  predictions that are too low   mean prediction")
for share, model in models.items():
    predicted = model.predict(X)
    print(f"{share:5}{np.mean(predicted < y):20.0%}{predicted.mean():25.0f}")

# %%
# The higher the share, the more careful the prediction. A share of one half makes it the mean, as
# the squared error would.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
z = np.linspace(-6, 6, 200)[:, np.newaxis]
slope = np.ones_like(z)
Squareplus().backward(slope, z, activated(z))
left.plot(z, activated(z), color="#0072B2", label="f(z)")
left.plot(z, slope, "--", color="#D55E00", label="f'(z)")
left.plot(z, np.maximum(z, 0), color="gray", linestyle=":", label="ReLU")
left.set(title="Squareplus", xlabel="z", ylabel="value")
left.legend()

axis = np.linspace(X.min(), X.max(), 200)[:, np.newaxis]
right.scatter(X[:, 0], y, s=8, color="gray", alpha=0.5, label="patients")
LOOKS = [("#0072B2", "--"), ("#009E73", "-"), ("#D55E00", "-.")]
for (share, model), (color, style) in zip(models.items(), LOOKS, strict=True):
    right.plot(axis, model.predict(axis), style, color=color, label=f"share {share}")
right.set(
    title="Expectiles of the disease's progress",
    xlabel="body mass index, kg/m²",
    ylabel="progress within a year (the data's measure)",
)
right.legend()

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("custom_loss_and_activation.png", dpi=120)
    print(f"Figure saved as {Path('custom_loss_and_activation.png').resolve()}")
else:
    plt.show()
