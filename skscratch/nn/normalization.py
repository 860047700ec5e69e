"""Normalization: a mean of 0 and a variance of 1, over the batch or over the features.

Explained in the course: normalization.
"""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

from .layers import Layer, ones_row
from .parameters import Shape


class _Normalization(Layer):
    r"""The learned part of both normalizations: ``Y = gamma * Xhat + beta``.

    ``Xhat`` is the normalized X; epsilon keeps the division defined. The gradients of gamma and
    beta are sums over the batch::

        dgamma = 1^T (dY * Xhat)      dbeta = 1^T dY

    Attributes
    ----------
    gamma, beta : ndarray of shape (..., 1, n_units)
        Learned scale and shift, 1 and 0 at first.
    """

    epsilon = 1e-5
    shown = ("n_units",)

    def __init__(self, n_units: int):
        self.n_units = self.widest = n_units

    def shapes(self):
        return [Shape(1, self.n_units, penalized=False)] * 2

    def bind(self, views, statistics):
        self.gamma, self.beta = views

    def reset(self):
        self.gamma[...] = 1

    def prepare(self, room, gradients, context):
        cache = SimpleNamespace(Y=room(self.n_units), training=gradients is not None)
        if cache.training:
            cache.dgamma, cache.dbeta = gradients
            cache.ones = ones_row(cache.Y)
        return cache

    def _scale_and_shift(self, cache):
        Y = np.multiply(cache.Xhat, self.gamma, out=cache.Y)
        Y += self.beta
        return Y

    def _parameter_gradients(self, dY, cache):
        np.matmul(cache.ones, dY, out=cache.dbeta)
        product = np.multiply(dY, cache.Xhat, out=cache.Y)  # nothing reads Y any more
        np.matmul(cache.ones, product, out=cache.dgamma)


class BatchNorm(_Normalization):
    r"""Normalize each feature over the batch: ``Y = gamma (X - mu) / sigma + beta``.

    ``mu = p^T X`` and ``sigma^2 = p^T (X - mu)^2 + epsilon``, where the column p holds each row's
    share of the batch's weight (1/n without sample weights). The variance is the biased one. Since
    mu and sigma depend on all rows, so does the derivative::

        dX = gamma / sigma * (dY - p (dbeta + Xhat * dgamma))

    Prediction uses running averages as mu and sigma^2. Each training batch moves these a tenth of
    the way to its own values.

    Parameters
    ----------
    n_units : int
        Number of features.

    Attributes
    ----------
    mean, variance : ndarray of shape (..., 1, n_units)
        The running averages, 0 and 1 at first.

    References
    ----------
    Ioffe and Szegedy (2015), "Batch normalization: accelerating deep network training by reducing
    internal covariate shift", arXiv:1502.03167.
    """

    momentum = 0.9

    def statistic_shapes(self):
        return [Shape(1, self.n_units, penalized=False)] * 2

    def bind(self, views, statistics):
        super().bind(views, statistics)
        self.mean, self.variance = statistics

    def reset(self):
        super().reset()
        self.variance[...] = 1

    def prepare(self, room, gradients, context):
        cache = super().prepare(room, gradients, context)
        cache.context = context
        cache.inverse = np.empty_like(self.mean)
        if cache.training:
            n_rows = cache.Y.shape[-2]
            cache.equal_shares = np.full((1, n_rows), 1 / n_rows, cache.Y.dtype)
            cache.own_shares = np.empty((*cache.Y.shape[:-2], 1, n_rows), cache.Y.dtype)
            cache.mean = np.empty_like(self.mean)
            cache.variance = np.empty_like(self.mean)
        return cache

    def forward(self, X, cache):
        mean, variance = self.mean, self.variance
        if cache.training:
            cache.shares, has_weight = self._shares(cache)
            mean = np.matmul(cache.shares, X, out=cache.mean)
        cache.Xhat = np.subtract(X, mean, out=X)
        if cache.training:
            square = np.square(cache.Xhat, out=cache.Y)
            variance = np.matmul(cache.shares, square, out=cache.variance)
            for running, current in ((self.mean, mean), (self.variance, variance)):
                np.multiply(running, self.momentum, out=running, where=has_weight)
                step = np.multiply(current, 1 - self.momentum, out=cache.inverse)
                np.add(running, step, out=running, where=has_weight)
        np.add(variance, self.epsilon, out=cache.inverse)
        np.sqrt(cache.inverse, out=cache.inverse)
        np.reciprocal(cache.inverse, out=cache.inverse)
        cache.Xhat *= cache.inverse
        return self._scale_and_shift(cache)

    def backward(self, dY, cache):
        self._parameter_gradients(dY, cache)
        through_statistics = cache.Xhat
        through_statistics *= cache.dgamma
        through_statistics += cache.dbeta
        through_statistics *= cache.shares.mT
        dY -= through_statistics
        dY *= np.multiply(self.gamma, cache.inverse, out=cache.inverse)
        return dY

    def _shares(self, cache):
        """Return each row's share of the batch's weight, and whether a network has any at all."""
        weights = cache.context.weights
        if weights is None:
            return cache.equal_shares, True
        weights = weights.mean(axis=-1, keepdims=True).mT  # a row counts as its mean output
        total = weights.sum(axis=-1, keepdims=True)
        has_weight = total > 0
        cache.own_shares[...] = cache.equal_shares
        return np.divide(weights, total, out=cache.own_shares, where=has_weight), has_weight


class LayerNorm(_Normalization):
    r"""Normalize each row over its features: ``Y = gamma (X - mu) / sigma + beta``.

    mu and sigma^2 are the row's mean and biased variance (plus epsilon), in training as in
    prediction. With ``dXhat = dY * gamma`` and mean_k the mean over features::

        dX = 1 / sigma * (dXhat - mean_k(dXhat) - Xhat * mean_k(dXhat * Xhat))

    Parameters
    ----------
    n_units : int
        Number of features.

    References
    ----------
    Ba, Kiros and Hinton (2016), "Layer normalization", arXiv:1607.06450.
    """

    def prepare(self, room, gradients, context):
        cache = super().prepare(room, gradients, context)
        # The product with this column is the mean over the features.
        cache.average = np.full((self.n_units, 1), 1 / self.n_units, cache.Y.dtype)
        cache.mean, cache.inverse = room(1), room(1)
        return cache

    def forward(self, X, cache):
        X -= np.matmul(X, cache.average, out=cache.mean)
        square = np.square(X, out=cache.Y)
        np.matmul(square, cache.average, out=cache.inverse)
        cache.inverse += self.epsilon
        np.sqrt(cache.inverse, out=cache.inverse)
        np.reciprocal(cache.inverse, out=cache.inverse)
        X *= cache.inverse
        cache.Xhat = X
        return self._scale_and_shift(cache)

    def backward(self, dY, cache):
        self._parameter_gradients(dY, cache)
        dXhat = np.multiply(dY, self.gamma, out=dY)
        product = np.multiply(dXhat, cache.Xhat, out=cache.Y)
        cache.Xhat *= np.matmul(product, cache.average, out=cache.mean)
        dXhat -= np.matmul(dXhat, cache.average, out=cache.mean)
        dXhat -= cache.Xhat
        dXhat *= cache.inverse
        return dXhat


NORMALIZATIONS: dict[str, Callable[[int], Layer]] = {"batch": BatchNorm, "layer": LayerNorm}
