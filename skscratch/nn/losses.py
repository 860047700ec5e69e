r"""Losses: link, loss and its gradient in one object.

The network's last layer is linear; its outputs Z are called logits. A loss owns the inverse
link that turns logits into predictions (softmax, logistic, identity, exp), so that a mismatched
pair of output activation and loss cannot be built, and computes everything from the logits, so
that the log of 0 never occurs.

Shapes: Z and Y are ``(..., batch, n_outputs)``, weights are ``(..., batch, 1)`` with mean 1 over
the training set (or ``(..., batch, n_outputs)``, where each output has its own), the value is
``(...)``. Networks side by side may share Y and weights, which then lack the leading axes. The
value is the weighted sum over the batch's rows divided by their number; the gradient is the
derivative of just that.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from .options import NON_NEGATIVE, POSITIVE, REAL_LINE, Interval, Options, real


class Loss(Options):
    """Base of the losses.

    A loss of your own is a dataclass, whose fields are its parameters, with `row_losses`,
    `inverse_link` and ``out_activation``; the other attributes and methods have defaults. Its
    gradient is worth a comparison with finite differences.

    The regressor takes it as it is. With a link other than ``"identity"`` it trains on targets that
    are not standardized, since predictions are then in the targets' unit. In the classifier Y holds
    a row of 0s and a 1 for each sample, or, for two classes (one logit, that of the second class)
    and for multilabel targets (a logit for each label), 0s and 1s (see `for_labels`); label
    smoothing puts numbers between in their place. The inverse link has to give probabilities that
    grow with the logits, and for two classes ``p(-z) = 1 - p(z)``.

    Attributes
    ----------
    out_activation : str
        Name of the inverse link, as scikit-learn's ``out_activation_`` spells it: ``"identity"``,
        ``"exp"``, ``"softmax"``, ``"logistic"``, or another.
    target_domain : Interval
        What a target may be; any number by default.
    averages_outputs : bool
        Whether a row's loss is the mean over its outputs, as by default, or their sum.

    Examples
    --------
    The logarithm of the hyperbolic cosine is smooth like the squared error near 0, and grows like
    the absolute one:

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from skscratch.nn import Loss
    >>> @dataclass
    ... class LogCosh(Loss):
    ...     out_activation = "identity"
    ...
    ...     def row_losses(self, Z, Y, gradient_out):
    ...         R = Z - Y
    ...         gradient_out[...] = np.tanh(R)
    ...         return np.sum(np.logaddexp(R, -R) - np.log(2), axis=-1)
    ...
    ...     def inverse_link(self, Z):
    ...         return Z
    >>> gradient = np.empty((2, 1))
    >>> LogCosh().value_and_gradient(np.array([[0.0], [3.0]]), np.zeros((2, 1)), None, gradient)
    np.float64(1.15...)
    >>> gradient.ravel()
    array([0.        , 0.4975...])
    """

    out_activation: ClassVar[str]
    target_domain: ClassVar[Interval] = REAL_LINE
    averages_outputs: ClassVar[bool] = True

    def validate(self) -> None:
        super().validate()
        if not hasattr(self, "out_activation"):
            raise TypeError(
                f"{self!r} has no out_activation, the name of its inverse link: 'identity', 'exp', "
                "'softmax', 'logistic', or another."
            )

    def row_losses(self, Z: np.ndarray, Y: np.ndarray, gradient_out: np.ndarray) -> np.ndarray:
        """Compute each row's loss and its derivative with respect to the row's logits.

        What a subclass defines. Rows stand alone here; `value_and_gradient` weighs and averages.

        Parameters
        ----------
        Z : ndarray of shape (..., batch, n_outputs)
            The logits. They may be used as scratch space.
        Y : ndarray of shape (..., batch, n_outputs)
            The targets, to be left alone.
        gradient_out : ndarray of shape (..., batch, n_outputs)
            Takes the derivatives.

        Returns
        -------
        losses : ndarray of shape (..., batch)
            The losses, summed over the outputs, in an array of their own.
        """
        raise NotImplementedError

    def inverse_link(self, Z: np.ndarray) -> np.ndarray:
        """Turn logits of shape (..., batch, n_outputs) into predictions of the same shape.

        Row by row, as prediction goes in blocks of them; Z stays as it is.
        """
        raise NotImplementedError

    def initial_bias(self, Y: Any, weights: np.ndarray | None) -> np.ndarray:
        """Return where the biases of the output layer start in regression: at 0 by default.

        Parameters
        ----------
        Y : ndarray of shape (n_samples, n_outputs)
            The targets.
        weights : ndarray of shape (n_samples, 1) or None
            Row weights; None means 1 everywhere.

        Returns
        -------
        b : ndarray of shape (n_outputs,)
            The biases.
        """
        return np.zeros(Y.shape[-1])

    def for_labels(self) -> "Loss":
        """Return the loss's form for independent yes/no labels, by default the loss itself."""
        return self

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
        Y : ndarray of shape (..., batch, n_outputs)
            The targets.
        weights : ndarray of shape (..., batch, 1) or (..., batch, n_outputs), or None
            Weights of the rows, or of each output in each row; None means 1 everywhere.
        gradient_out : ndarray of shape (..., batch, n_outputs)
            Takes dL/dZ. Its last two axes lie in memory one after another.

        Returns
        -------
        value : ndarray of shape (...)
            The loss.
        """
        n_rows, n_outputs = Z.shape[-2:]
        divisor = n_rows * n_outputs if self.averages_outputs else n_rows
        if weights is not None and weights.shape[-1] > 1:
            # Where outputs are independent, each may as well be a row of its own.
            if self.out_activation == "softmax":
                raise ValueError("The outputs of a softmax share one loss; give weights of rows.")
            Z, gradient_out, Y, weights = (
                array.reshape(*array.shape[:-2], n_rows * n_outputs, 1)
                for array in (Z, gradient_out, Y, weights)
            )
        losses = self.row_losses(Z, Y, gradient_out)
        if np.shape(losses) != Z.shape[:-1]:
            raise ValueError(
                f"{self!r}.row_losses has to return a loss for each row, in the shape "
                f"{Z.shape[:-1]}; got the shape {np.shape(losses)}."
            )
        gradient_out *= 1 / divisor
        if weights is None:
            return np.add.reduce(losses, axis=-1) / divisor
        gradient_out *= weights
        return np.vecdot(losses, weights[..., 0]) / divisor


def _largest(Z: np.ndarray) -> np.ndarray:
    """Return each row's largest value, as a column."""
    # NumPy reduces short rows one number at a time, but compares long ones at once: for ten
    # columns the maximum over the rows of a transposed copy takes a fourth of the time.
    if Z.shape[-1] > 64:
        return Z.max(axis=-1, keepdims=True)
    return np.maximum.reduce(Z.mT.copy(), axis=-2)[..., np.newaxis]


def _row_sums(P: np.ndarray) -> np.ndarray:
    """Return each row's sum: a product with ones, a third of the time of a reduction."""
    return P @ _ones(P.shape[-1], P.dtype)


@cache
def _ones(n: int, dtype: np.dtype) -> np.ndarray:
    ones = np.ones(n, dtype)
    ones.flags.writeable = False
    return ones


@dataclass
class SoftmaxLogLoss(Loss):
    r"""Softmax and categorical cross-entropy, for one of K classes.

    ``p_k = exp(z_k) / sum_j exp(z_j)`` and, with one-hot y, ``L = -sum_k y_k log p_k``.
    Subtracting the row's maximum from z changes nothing in p and keeps exp from overflowing;
    in terms of the shifted logits ``L = log sum_j exp(z_j) - sum_k y_k z_k``.

    The derivative of the log-sum-exp is p, so that ``dL/dz = p - y``.
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
        # No class is impossible: a probability too small for a float becomes the smallest one.
        return np.maximum(P, np.finfo(P.dtype).tiny, out=P)

    def for_labels(self):
        return LogisticLogLoss()


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
        # The logistic function never reaches 0 or 1; neither overflow nor rounding shall.
        limits = np.finfo(Z.dtype)
        P = np.exp(-np.maximum(Z, math.log(limits.tiny)))
        # The formula itself is accurate where p is tiny, unlike (1 + tanh(z/2)) / 2.
        P += 1
        np.reciprocal(P, out=P)
        return np.minimum(P, 1 - limits.epsneg, out=P)


@dataclass
class Focal(SoftmaxLogLoss):
    r"""The focal loss: the log loss, but of less weight the better a row is classified.

    With q the probability that the softmax leaves to the wrong classes,
    ``q = sum_k (1 - y_k) p_k``, and l the log loss, ``L = q^gamma l``. A one-hot y of class t makes
    it the paper's ``-(1 - p_t)^gamma log p_t``; gamma = 0 makes it the log loss.

    By the product rule, with ``dl/dz = p - y`` and ``dq/dz = -p (y - s)``, where
    ``s = sum_k y_k p_k = 1 - q``::

        dL/dz = q^gamma (p - y  -  gamma l p (y - s) / q)

    ``|p (y - s)| <= q`` for one-hot y, so that the quotient is harmless where q vanishes.

    The classifier takes the logistic form, `LogisticFocal`, for two classes and for multilabel
    targets. The paper's class weight alpha is the classifier's ``class_weight``.

    Parameters
    ----------
    gamma : float, default=2.0
        How much rows that are classified well lose in weight, >= 0.

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

    With p the logistic function of the logit, ``q = y (1 - p) + (1 - y) p`` the probability of the
    wrong answer and l the binary cross-entropy, ``L = q^gamma l``. As ``dl/dz = p - y`` and
    ``dq/dz = (1 - 2 y) p (1 - p)``::

        dL/dz = q^gamma (p - y  +  gamma l (1 - 2 y) p (1 - p) / q)

    ``p (1 - p) <= q``, so that the quotient is harmless where q vanishes. For y of 0 or 1 it is the
    softmax form of the logits (0, z).

    Parameters
    ----------
    gamma : float, default=2.0
        How much labels that are predicted well lose in weight, >= 0.

    References
    ----------
    Lin, Goyal, Girshick, He and Dollar (2017), "Focal loss for dense object detection",
    arXiv:1708.02002.
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


@dataclass
class SquaredError(Loss):
    r"""Half the squared error, averaged over the outputs: ``L = 1/2 mean_k (z_k - y_k)^2``.

    ``dL/dz = (z - y) / n_outputs``. The link is the identity.
    """

    out_activation: ClassVar[str] = "identity"

    def row_losses(self, Z, Y, gradient_out):
        R = np.subtract(Z, Y, out=gradient_out)
        losses = np.vecdot(R, R)
        losses *= 0.5
        return losses

    def inverse_link(self, Z):
        return Z


@dataclass
class AbsoluteError(Loss):
    r"""The absolute error, averaged over the outputs: ``L = mean_k |z_k - y_k|``.

    ``dL/dz = sign(z - y) / n_outputs``: every error pulls equally hard, so that the median is
    learned and outliers weigh no more than others. The link is the identity.
    """

    out_activation: ClassVar[str] = "identity"

    def row_losses(self, Z, Y, gradient_out):
        R = np.subtract(Z, Y, out=Z)
        return np.vecdot(R, np.sign(R, out=gradient_out))

    def inverse_link(self, Z):
        return Z


@dataclass
class Huber(Loss):
    r"""Squared for small errors, absolute for large ones, averaged over the outputs.

    With ``r = z - y`` and ``c = min(max(r, -delta), delta)``::

        L = mean_k c_k (r_k - c_k / 2)      r^2 / 2 inside, delta (|r| - delta / 2) outside
        dL/dz = c / n_outputs

    The link is the identity.

    Parameters
    ----------
    delta : float, default=1.0
        Where the loss turns from squared to absolute, > 0, in the unit of the targets trained on
        (with ``standardize_target``, in standard deviations).

    References
    ----------
    Huber (1964), "Robust estimation of a location parameter", Annals of Mathematical Statistics 35.
    """

    delta: float = real(1.0, POSITIVE)

    out_activation: ClassVar[str] = "identity"

    def row_losses(self, Z, Y, gradient_out):
        R = np.subtract(Z, Y, out=Z)
        C = np.clip(R, -self.delta, self.delta, out=gradient_out)
        losses = np.vecdot(C, R)
        losses -= 0.5 * np.vecdot(C, C)
        return losses

    def inverse_link(self, Z):
        return Z


@dataclass
class Pinball(Loss):
    r"""The pinball loss of a quantile q, averaged over the outputs.

    With ``r = z - y``, ``L = mean_k max((1 - q) r_k, -q r_k)`` is smallest on average where a share
    q of the targets lies below the prediction. ``dL/dz = (1[r > 0] - q) / n_outputs``; q = 1/2
    gives half the absolute error. The link is the identity.

    Parameters
    ----------
    quantile : float, default=0.5
        The quantile q to predict, in (0, 1).

    References
    ----------
    Koenker and Bassett (1978), "Regression quantiles", Econometrica 46.
    """

    quantile: float = real(0.5, Interval(0, 1, closed="neither"))

    out_activation: ClassVar[str] = "identity"

    def row_losses(self, Z, Y, gradient_out):
        R = np.subtract(Z, Y, out=Z)
        np.greater(R, 0, out=gradient_out)
        gradient_out -= self.quantile
        return np.vecdot(R, gradient_out)

    def inverse_link(self, Z):
        return Z


class _LogLink(Loss):
    """What the losses of positive means have in common: predictions are ``mu = exp(z)``."""

    out_activation: ClassVar[str] = "exp"

    def inverse_link(self, Z):
        # The exponential function never reaches 0 or infinity; rounding shall not either.
        limits = np.finfo(Z.dtype)
        largest = math.log(limits.max) * (1 - float(limits.eps))
        return np.exp(np.clip(Z, math.log(limits.tiny), largest))

    def initial_bias(self, Y, weights):
        """Return the logarithm of each output's mean; half a count stands for a mean of 0."""
        total = len(Y) if weights is None else weights.sum()
        mean = Y.mean(axis=0) if weights is None else (Y * weights).sum(axis=0) / total
        return np.log(np.where(mean > 0, mean, 0.5 / total))


@dataclass
class Poisson(_LogLink):
    r"""Half the Poisson deviance, for counts, averaged over the outputs; the link is the logarithm.

    With ``mu = exp(z)``, ``L = mean_k y_k log(y_k / mu_k) - y_k + mu_k``, which is 0 at mu = y, and
    ``dL/dz = (mu - y) / n_outputs``. Targets must be >= 0.

    The loss is infinite where exp(z) is not a float any more (z > 88 in float32, z > 709 in
    float64), and training then ends with the error that it diverged: so large a mean is no start
    to go on from, and a finite stand-in for it would have a wrong gradient.
    """

    target_domain: ClassVar[Interval] = NON_NEGATIVE

    def row_losses(self, Z, Y, gradient_out):
        # y log y is 0 at 0.
        losses = np.vecdot(Y, np.log(np.maximum(Y, np.finfo(Y.dtype).tiny)) - 1) - np.vecdot(Z, Y)
        mu = np.exp(Z, out=gradient_out)
        losses += mu.sum(axis=-1)
        mu -= Y
        return losses


@dataclass
class Gamma(_LogLink):
    r"""Half the gamma deviance, for positive amounts whose spread grows with their mean.

    Averaged over the outputs; the link is the logarithm. With ``mu = exp(z)``,
    ``L = mean_k log(mu_k / y_k) + y_k / mu_k - 1``, which is 0 at mu = y, and
    ``dL/dz = (1 - y / mu) / n_outputs``. Targets must be > 0. Where exp(-z) is not a float any more
    the loss is infinite, see `Poisson`.
    """

    target_domain: ClassVar[Interval] = POSITIVE

    def row_losses(self, Z, Y, gradient_out):
        losses = Z.sum(axis=-1) - (np.log(Y) + 1).sum(axis=-1)
        ratio = np.exp(np.negative(Z, out=Z), out=gradient_out)
        ratio *= Y
        losses += ratio.sum(axis=-1)
        np.subtract(1, ratio, out=ratio)
        return losses


# A classifier's "log_loss" is the softmax one for more than two exclusive classes, and the
# logistic one for two classes (one logit) and for multilabel targets (a logit per label). So is
# its "focal".
LOSSES: dict[str, Callable[[], Loss]] = {
    "log_loss": SoftmaxLogLoss,
    "binary_log_loss": LogisticLogLoss,
    "focal": Focal,
    "binary_focal": LogisticFocal,
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "quantile": Pinball,
    "poisson": Poisson,
    "gamma": Gamma,
}
