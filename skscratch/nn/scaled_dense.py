"""A first layer that learns how much each feature counts.

Explained in the course: backpropagation, defaults.
"""

import numpy as np

from .layers import Dense, matmul
from .parameters import Shape


class ScaledDense(Dense):
    r"""The affine map of scaled features, ``Z = (X * s) W + b``, with learned scales s.

    The code scales the rows of W, since W is smaller than X. With ``W_s = s * W``, where s is a
    column, ``Z = X W_s + b``::

        dW_s = X^T dZ      dW = s * dW_s      ds_j = sum_k w_jk (dW_s)_jk      dX = dZ W_s^T

    The parameter is t, with ``s = 1 + pace t`` and so ``dt = pace ds``. The scales therefore move
    ``pace`` times as far in a step of Adam as other parameters do. Parameters as `Dense`'s.

    Attributes
    ----------
    t : ndarray of shape (..., n_in, 1)
        The parameter behind the scales, 0 at first.

    References
    ----------
    Holzmueller, Grinsztajn and Steinwart (2024), "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", arXiv:2407.04491. Their learning rate is 6 times the base for
    the scales, and 1 / sqrt(n) times the base for the weights of n inputs.
    """

    pace: float = 20.0

    def __init__(self, n_in, n_out, *, input_gradient=True, pace=pace):
        super().__init__(n_in, n_out, input_gradient=input_gradient)
        self.pace = pace

    def shapes(self):
        return [*super().shapes(), Shape(self.n_in, 1, penalized=False)]

    def bind(self, views, statistics):
        super().bind(views[:2], statistics)
        self.t = views[2]

    @property
    def s(self) -> np.ndarray:
        """The scales, of shape (..., n_in, 1), 1 at first."""
        return 1 + self.pace * self.t

    @property
    def coefficients(self):
        return self.W * self.s

    def prepare(self, room, gradients, context):
        cache = super().prepare(room, gradients and gradients[:2], context)
        cache.W, cache.s = np.empty_like(self.W), np.empty_like(self.t)
        if gradients is not None:
            cache.dt = gradients[2]
            cache.sum_row = np.full((self.n_out, 1), self.pace, self.W.dtype)
        return cache

    def forward(self, X, cache):
        s = np.multiply(self.t, self.pace, out=cache.s)
        s += 1
        np.multiply(self.W, s, out=cache.W)
        return super().forward(X, cache)

    def backward(self, dZ, cache):
        dX = super().backward(dZ, cache)
        matmul(np.multiply(self.W, cache.dW, out=cache.W), cache.sum_row, out=cache.dt)
        cache.dW *= cache.s
        return dX
