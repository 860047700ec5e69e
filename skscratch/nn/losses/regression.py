"""Losses of numbers: distances, and the deviances of counts and amounts.

Explained in the course: loss.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..options import NON_NEGATIVE, POSITIVE, Interval, real
from .base import Loss


class _IdentityLink(Loss):
    """The losses of any number: the logit is the prediction."""

    out_activation: ClassVar[str] = "identity"

    def inverse_link(self, Z):
        return Z


@dataclass
class SquaredError(_IdentityLink):
    r"""Half the squared error, averaged over the outputs: ``L = 1/2 mean_k (z_k - y_k)^2``.

    ``dL/dz = (z - y) / n_outputs``.
    """

    def row_losses(self, Z, Y, gradient_out):
        R = np.subtract(Z, Y, out=gradient_out)
        losses = np.vecdot(R, R)
        losses *= 0.5
        return losses


@dataclass
class AbsoluteError(_IdentityLink):
    r"""The absolute error, averaged over the outputs: ``L = mean_k |z_k - y_k|``.

    ``dL/dz = sign(z - y) / n_outputs``: every error pulls equally hard. The network learns the
    median, and outliers weigh no more than other rows.
    """

    def row_losses(self, Z, Y, gradient_out):
        R = np.subtract(Z, Y, out=Z)
        return np.vecdot(R, np.sign(R, out=gradient_out))


@dataclass
class Huber(_IdentityLink):
    r"""Squared for small errors, absolute for large ones, averaged over the outputs.

    With ``r = z - y`` and ``c = min(max(r, -delta), delta)``::

        L = mean_k c_k (r_k - c_k / 2)      r^2 / 2 inside, delta (|r| - delta / 2) outside
        dL/dz = c / n_outputs

    Parameters
    ----------
    delta : float, default=1.0
        The error at which the loss turns from squared to absolute, > 0, in the unit of the training
        targets (standard deviations, with ``standardize_target``).

    References
    ----------
    Huber (1964), "Robust estimation of a location parameter", Annals of Mathematical Statistics 35.
    """

    delta: float = real(1.0, POSITIVE)

    def row_losses(self, Z, Y, gradient_out):
        R = np.subtract(Z, Y, out=Z)
        C = np.clip(R, -self.delta, self.delta, out=gradient_out)
        losses = np.vecdot(C, R)
        losses -= 0.5 * np.vecdot(C, C)
        return losses


@dataclass
class Pinball(_IdentityLink):
    r"""The pinball loss of a quantile q, averaged over the outputs.

    With ``r = z - y``, ``L = mean_k max((1 - q) r_k, -q r_k)`` is smallest on average when a share
    q of the targets lies below the prediction. ``dL/dz = (1[r > 0] - q) / n_outputs``; q = 1/2
    gives half the absolute error.

    Parameters
    ----------
    quantile : float, default=0.5
        The quantile q to predict, in (0, 1).

    References
    ----------
    Koenker and Bassett (1978), "Regression quantiles", Econometrica 46.
    """

    quantile: float = real(0.5, Interval(0, 1, closed="neither"))

    def row_losses(self, Z, Y, gradient_out):
        R = np.subtract(Z, Y, out=Z)
        np.greater(R, 0, out=gradient_out)
        gradient_out -= self.quantile
        return np.vecdot(R, gradient_out)


class _LogLink(Loss):
    """The losses of a positive mean ``mu = exp(z)``, which is the prediction."""

    out_activation: ClassVar[str] = "exp"

    def inverse_link(self, Z):
        # The exponential never reaches 0 or infinity, so its rounded values must not either.
        limits = np.finfo(Z.dtype)
        largest = math.log(limits.max) * (1 - float(limits.eps))
        return np.exp(np.clip(Z, math.log(limits.tiny), largest))

    def initial_bias(self, Y, weights):
        """Return the logarithm of each output's mean; half a count replaces a mean of 0."""
        total = len(Y) if weights is None else weights.sum()
        mean = Y.mean(axis=0) if weights is None else (Y * weights).sum(axis=0) / total
        return np.log(np.where(mean > 0, mean, 0.5 / total))


@dataclass
class Poisson(_LogLink):
    r"""Half the Poisson deviance, for counts >= 0, averaged over the outputs.

    With ``mu = exp(z)``, ``L = mean_k y_k log(y_k / mu_k) - y_k + mu_k``, which is 0 at mu = y, and
    ``dL/dz = (mu - y) / n_outputs``.

    When exp(z) overflows (z > 88 in float32, z > 709 in float64), the loss is infinite and training
    ends with a `DivergenceError`. A clipped exponential would have the wrong gradient.
    """

    target_domain: ClassVar[Interval] = NON_NEGATIVE

    def row_losses(self, Z, Y, gradient_out):
        # y log y tends to 0 as y does.
        losses = np.vecdot(Y, np.log(np.maximum(Y, np.finfo(Y.dtype).tiny)) - 1) - np.vecdot(Z, Y)
        mu = np.exp(Z, out=gradient_out)
        losses += mu.sum(axis=-1)
        mu -= Y
        return losses


@dataclass
class Gamma(_LogLink):
    r"""Half the gamma deviance, for amounts > 0 whose spread grows with their mean.

    With ``mu = exp(z)``, ``L = mean_k log(mu_k / y_k) + y_k / mu_k - 1``, which is 0 at mu = y, and
    ``dL/dz = (1 - y / mu) / n_outputs``. When exp(-z) overflows, the loss is infinite, see
    `Poisson`.
    """

    target_domain: ClassVar[Interval] = POSITIVE

    def row_losses(self, Z, Y, gradient_out):
        losses = Z.sum(axis=-1) - (np.log(Y) + 1).sum(axis=-1)
        ratio = np.exp(np.negative(Z, out=Z), out=gradient_out)
        ratio *= Y
        losses += ratio.sum(axis=-1)
        np.subtract(1, ratio, out=ratio)
        return losses
