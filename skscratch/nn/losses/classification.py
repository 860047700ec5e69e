"""Losses of classes and labels: cross-entropy and the focal loss.

Explained in the course: loss.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np

from ..options import NON_NEGATIVE, real
from .base import Loss


def _largest(Z: np.ndarray) -> np.ndarray:
    """Return each row's largest value, as a column."""
    # NumPy reduces short rows one number at a time. Over ten columns, the elementwise maximum of a
    # transposed copy's rows takes a quarter of the time.
    if Z.shape[-1] > 64:
        return Z.max(axis=-1, keepdims=True)
    return np.maximum.reduce(Z.mT.copy(), axis=-2)[..., np.newaxis]


def _row_sums(P: np.ndarray) -> np.ndarray:
    """Return each row's sum; a product with ones takes a third of a reduction's time."""
    return P @ _ones(P.shape[-1], P.dtype)


@cache
def _ones(n: int, dtype: np.dtype) -> np.ndarray:
    """Return the same vector of ones at each call."""
    ones = np.ones(n, dtype)
    ones.flags.writeable = False
    return ones


@dataclass
class SoftmaxLogLoss(Loss):
    r"""Softmax and categorical cross-entropy, for one of K classes.

    ``p_k = exp(z_k) / sum_j exp(z_j)`` and, with one-hot y, ``L = -sum_k y_k log p_k``.
    Subtracting the row's maximum from z leaves p unchanged and keeps exp from overflowing. With
    the shifted logits, ``L = log sum_j exp(z_j) - sum_k y_k z_k``.

    The derivative of log-sum-exp is p, hence ``dL/dz = p - y``.
    """

    out_activation: ClassVar[str] = "softmax"
    averages_outputs: ClassVar[bool] = False

    def row_losses(self, Z, Y, gradient_out):
        P = np.subtract(Z, _largest(Z), out=gradient_out)
        chosen = np.vecdot(P, Y)
        np.exp(P, out=P)
        total = _row_sums(P)
        P /= total[..., np.newaxis]
        P -= Y
        losses = np.log(total, out=total)
        losses -= chosen
        return losses

    def inverse_link(self, Z):
        P = np.exp(Z - _largest(Z))
        P /= _row_sums(P)[..., np.newaxis]
        # No class is impossible, so no probability may underflow to 0.
        return np.maximum(P, np.finfo(P.dtype).tiny, out=P)

    def for_labels(self):
        return LogisticLogLoss()


@dataclass
class LogisticLogLoss(Loss):
    r"""The logistic function and binary cross-entropy, for independent yes/no labels.

    ``p = 1 / (1 + exp(-z))`` and ``L = -y log p - (1 - y) log(1 - p)``, summed over the labels
    of a row. In terms of the logit, ``L = log(1 + exp(z)) - y z``. Nothing overflows in
    ``log(1 + exp(z)) = max(z, 0) - log(max(p, 1 - p))``, as max(p, 1 - p) lies between 1/2 and 1.

    As for softmax, ``dL/dz = p - y``.
    """

    out_activation: ClassVar[str] = "logistic"
    averages_outputs: ClassVar[bool] = False

    def row_losses(self, Z, Y, gradient_out):
        P = np.maximum(Z, 0, out=gradient_out)
        losses = P.sum(axis=-1)
        losses -= np.vecdot(Z, Y)
        np.multiply(Z, 0.5, out=P)
        np.tanh(P, out=P)
        P *= 0.5  # p - 1/2, and max(p, 1 - p) = |p - 1/2| + 1/2
        larger = np.abs(P, out=Z)
        larger += 0.5
        losses -= np.log(larger, out=larger).sum(axis=-1)
        P += 0.5
        P -= Y
        return losses

    def inverse_link(self, Z):
        # The logistic function never reaches 0 or 1, so its rounded values must not either.
        limits = np.finfo(Z.dtype)
        P = np.exp(-np.maximum(Z, math.log(limits.tiny)))
        # Unlike (1 + tanh(z/2)) / 2, this form is accurate for tiny p.
        P += 1
        np.reciprocal(P, out=P)
        return np.minimum(P, 1 - limits.epsneg, out=P)


@dataclass
class Focal(SoftmaxLogLoss):
    r"""The focal loss: the log loss, with less weight on rows that are classified well.

    The softmax leaves the probability ``q = sum_k (1 - y_k) p_k`` to the wrong classes. With the
    log loss l, ``L = q^gamma l``. A one-hot y of class t gives the paper's
    ``-(1 - p_t)^gamma log p_t``; gamma = 0 gives the log loss.

    By the product rule, with ``dl/dz = p - y`` and ``dq/dz = -p (y - s)``, where
    ``s = sum_k y_k p_k = 1 - q``::

        dL/dz = q^gamma (p - y  -  gamma l p (y - s) / q)

    For one-hot y, ``|p (y - s)| <= q`` keeps the quotient bounded as q vanishes.

    The classifier uses the logistic form, `LogisticFocal`, for two classes and for multilabel
    targets. The paper's class weight alpha is the classifier's ``class_weight``.

    Parameters
    ----------
    gamma : float, default=2.0
        How strongly well-classified rows lose weight, >= 0.

    References
    ----------
    Lin, Goyal, Girshick, He and Dollar (2017), "Focal loss for dense object detection",
    arXiv:1708.02002.
    """

    gamma: float = real(2.0, NON_NEGATIVE)

    def row_losses(self, Z, Y, gradient_out):
        losses = super().row_losses(Z, Y, gradient_out)
        P = np.add(gradient_out, Y, out=Z)
        q = np.vecdot(P, 1 - Y)[..., np.newaxis]
        np.maximum(q, np.finfo(q.dtype).tiny, out=q)
        factor = q**self.gamma
        P *= Y - (1 - q)
        P /= q
        P *= self.gamma * losses[..., np.newaxis]
        gradient_out -= P
        gradient_out *= factor
        losses *= factor[..., 0]
        return losses

    def for_labels(self):
        return LogisticFocal(self.gamma)


@dataclass
class LogisticFocal(LogisticLogLoss):
    r"""The focal loss of independent yes/no labels, summed over the labels of a row.

    The logistic function p leaves the probability ``q = y (1 - p) + (1 - y) p`` to the wrong
    answer. With the binary cross-entropy l, ``L = q^gamma l``. Since ``dl/dz = p - y`` and
    ``dq/dz = (1 - 2 y) p (1 - p)``::

        dL/dz = q^gamma (p - y  +  gamma l (1 - 2 y) p (1 - p) / q)

    ``p (1 - p) <= q`` keeps the quotient bounded as q vanishes. If y is 0 or 1, this equals `Focal`
    of the logits (0, z).

    Parameters
    ----------
    gamma : float, default=2.0
        How strongly well-predicted labels lose weight, >= 0.

    References
    ----------
    Lin et al. (2017), as for `Focal`.
    """

    gamma: float = real(2.0, NON_NEGATIVE)

    def row_losses(self, Z, Y, gradient_out):
        losses = np.logaddexp(0, Z)
        losses -= Z * Y
        P = np.tanh(0.5 * Z, out=Z)
        P *= 0.5
        P += 0.5
        Q = Y * (1 - P) + (1 - Y) * P
        np.maximum(Q, np.finfo(Q.dtype).tiny, out=Q)
        factor = Q**self.gamma
        np.subtract(1, P, out=gradient_out)
        gradient_out *= P
        gradient_out /= Q
        gradient_out *= self.gamma * losses
        gradient_out *= 1 - 2 * Y
        gradient_out += P
        gradient_out -= Y
        gradient_out *= factor
        return np.vecdot(factor, losses)
