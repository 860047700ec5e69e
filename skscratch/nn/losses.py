r"""Losses: link, loss and its gradient in one object.

The network's last layer is linear; its outputs Z are called logits. A loss owns the inverse
link that turns logits into predictions (softmax, logistic, identity), so that a mismatched pair
of output activation and loss cannot be built, and computes everything from the logits, so that
the log of 0 never occurs.

Shapes: Z and Y are ``(..., batch, n_outputs)``, weights are ``(batch,)`` with mean 1 over the
training set, the value is ``(...)``. The value is the weighted sum over the batch's rows divided
by their number; the gradient is the derivative of just that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .options import Options


class Loss(Options):
    """Base of the losses.

    Attributes
    ----------
    out_activation : str
        Name of the inverse link, as scikit-learn's ``out_activation_`` spells it.
    """

    out_activation: ClassVar[str]

    def value_and_gradient(
        self,
        Z: np.ndarray,
        Y: np.ndarray,
        weights: np.ndarray | None,
        gradient_out: np.ndarray,
    ) -> np.ndarray:
        """Compute the mean loss of a batch and its derivative with respect to the logits.

        Parameters
        ----------
        Z : ndarray of shape (..., batch, n_outputs)
            The logits. They are used as scratch space and come back overwritten.
        Y : ndarray of shape (batch, n_outputs)
            The targets.
        weights : ndarray of shape (batch,) or None
            Row weights; None means 1 everywhere.
        gradient_out : ndarray of shape (..., batch, n_outputs)
            Takes dL/dZ.

        Returns
        -------
        value : ndarray of shape (...)
            The loss.
        """
        raise NotImplementedError

    def inverse_link(self, Z: np.ndarray) -> np.ndarray:
        """Turn logits of shape (..., batch, n_outputs) into predictions of the same shape."""
        raise NotImplementedError


def _weigh(G: np.ndarray, weights: np.ndarray | None, divisor: int) -> None:
    """``G = weights G / divisor``, in place, row by row."""
    G *= 1 / divisor
    if weights is not None:
        G *= weights[:, np.newaxis]


def _mean(row_losses: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Weighted sum over the last axis, divided by its length."""
    total = row_losses.sum(axis=-1) if weights is None else row_losses @ weights
    return total / row_losses.shape[-1]


@dataclass
class SoftmaxLogLoss(Loss):
    r"""Softmax and categorical cross-entropy, for one of K classes.

    ``p_k = exp(z_k) / sum_j exp(z_j)`` and, with one-hot y, ``L = -sum_k y_k log p_k``.
    Subtracting the row's maximum from z changes nothing in p and keeps exp from overflowing;
    in terms of the shifted logits ``L = log sum_j exp(z_j) - sum_k y_k z_k``.

    The derivative of the log-sum-exp is p, so that ``dL/dz = p - y``.
    """

    out_activation: ClassVar[str] = "softmax"

    def value_and_gradient(self, Z, Y, weights, gradient_out):
        P = np.subtract(Z, Z.max(axis=-1, keepdims=True), out=gradient_out)
        row_losses = -np.vecdot(P, Y)
        np.exp(P, out=P)
        total = P.sum(axis=-1, keepdims=True)
        row_losses += np.log(total)[..., 0]
        P /= total
        P -= Y
        _weigh(P, weights, P.shape[-2])
        return _mean(row_losses, weights)

    def inverse_link(self, Z):
        P = np.exp(Z - Z.max(axis=-1, keepdims=True))
        P /= P.sum(axis=-1, keepdims=True)
        # No class is impossible: a probability too small for a float becomes the smallest one.
        return np.maximum(P, np.finfo(P.dtype).tiny, out=P)


@dataclass
class LogisticLogLoss(Loss):
    r"""The logistic function and binary cross-entropy, for independent yes/no labels.

    ``p = 1 / (1 + exp(-z))`` and ``L = -y log p - (1 - y) log(1 - p)``, summed over the labels
    of a row. In terms of the logit, ``L = log(1 + exp(z)) - y z``. Because
    ``log(1 + exp(z)) = max(z, 0) - log(max(p, 1 - p))``, whose last logarithm is that of a
    number between 1/2 and 1, nothing overflows.

    As for softmax, ``dL/dz = p - y``.
    """

    out_activation: ClassVar[str] = "logistic"

    def value_and_gradient(self, Z, Y, weights, gradient_out):
        P = np.maximum(Z, 0, out=gradient_out)
        row_losses = P.sum(axis=-1)
        row_losses -= np.vecdot(Z, Y)
        np.multiply(Z, 0.5, out=P)
        np.tanh(P, out=P)
        P *= 0.5  # p - 1/2, and max(p, 1 - p) = |p - 1/2| + 1/2
        larger = np.abs(P, out=Z)
        larger += 0.5
        row_losses -= np.log(larger, out=larger).sum(axis=-1)
        P += 0.5
        P -= Y
        _weigh(P, weights, P.shape[-2])
        return _mean(row_losses, weights)

    def inverse_link(self, Z):
        # exp(-log(1 + exp(-z))) stays accurate where p is tiny, unlike (1 + tanh(z/2)) / 2.
        P = np.exp(-np.logaddexp(0, -Z))
        # The logistic function never reaches 0 or 1; rounding shall not either.
        limits = np.finfo(P.dtype)
        return np.clip(P, limits.tiny, 1 - limits.epsneg, out=P)


@dataclass
class SquaredError(Loss):
    r"""Half the squared error, averaged over the outputs: ``L = 1/2 mean_k (z_k - y_k)^2``.

    ``dL/dz = (z - y) / n_outputs``. The link is the identity.
    """

    out_activation: ClassVar[str] = "identity"

    def value_and_gradient(self, Z, Y, weights, gradient_out):
        R = np.subtract(Z, Y, out=gradient_out)
        n_rows, n_outputs = R.shape[-2:]
        row_losses = np.vecdot(R, R)
        row_losses *= 0.5 / n_outputs
        _weigh(R, weights, n_rows * n_outputs)
        return _mean(row_losses, weights)

    def inverse_link(self, Z):
        return Z


# A classifier's "log_loss" is the softmax one for more than two exclusive classes, and the
# logistic one for two classes (one logit) and for multilabel targets (a logit per label).
LOSSES: dict[str, Callable[[], Loss]] = {
    "log_loss": SoftmaxLogLoss,
    "binary_log_loss": LogisticLogLoss,
    "squared_error": SquaredError,
}
