r"""Layers: forward and backward side by side.

A network is a chain of layers. On the way forward each turns its input X into its output. On the
way back it gets the gradient of the loss with respect to that output and returns the one with
respect to X; on the way it writes the gradients of its own parameters.

A layer holds views into the network's parameter vector, and nothing that belongs to one batch.
What a batch needs (outputs, gradients, what the backward pass must remember) lies in a *cache*
that `prepare` makes, so that several threads can predict with one network at once. A cache made
for training has gradients; one made for prediction has none.

Shapes: the last two axes are (batch, features). Any axes before them are independent networks
trained side by side; the code is the same for one and for many.
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from .activations import Activation
from .parameters import Shape

Room = Callable[[int], np.ndarray]
"""Gives out arrays: ``room(width)`` has the shape (..., batch, width)."""


class Layer:
    """Base of the layers.

    Attributes
    ----------
    widest : int
        Numbers for each row in the largest array of a cache.
    """

    widest: int

    def shapes(self) -> list[Shape]:
        """List the trainable arrays that the layer needs."""
        return []

    def statistic_shapes(self) -> list[Shape]:
        """List the arrays that the layer keeps up to date itself, without a gradient."""
        return []

    def bind(self, views: Sequence[np.ndarray], statistics: Sequence[np.ndarray]) -> None:
        """Take the views of the arrays listed by `shapes` and `statistic_shapes`."""

    def reset(self) -> None:
        """Set the arrays that do not start at 0."""

    def draw(self, member: tuple[int, ...], stream: np.random.Generator) -> None:
        """Draw the arrays that start at random, for one network of the stack."""

    def prepare(
        self,
        room: Room,
        gradients: Sequence[np.ndarray] | None,
        context: Any,
    ) -> SimpleNamespace:
        """Make the cache for batches of one size.

        Parameters
        ----------
        room : callable
            Gives out the batch-sized arrays.
        gradients : sequence of ndarray or None
            Where the gradients of the layer's arrays go; None if the cache is for prediction.
        context : Context
            What all layers of a workspace know of the current batch.
        """
        raise NotImplementedError

    def forward(self, X: np.ndarray, cache: SimpleNamespace) -> np.ndarray:
        """Return the layer's output for X of shape (..., batch, n_in)."""
        raise NotImplementedError

    def backward(self, dY: np.ndarray, cache: SimpleNamespace) -> np.ndarray:
        """Return dL/dX, given dL/dY for the output Y; dY may be overwritten."""
        raise NotImplementedError


class Dense(Layer):
    r"""The affine map ``Z = X W + b``.

    Element by element ``z_ik = sum_j x_ij w_jk + b_k``, so that by the chain rule::

        dL/dw_jk = sum_i x_ij dL/dz_ik      dW = X^T dZ
        dL/db_k  = sum_i dL/dz_ik           db = 1^T dZ
        dL/dx_ij = sum_k dL/dz_ik w_jk      dX = dZ W^T

    Parameters
    ----------
    n_in, n_out : int
        Numbers of input and output features.
    input_gradient : bool, default=True
        Whether somebody needs dX. Nobody does where nothing before the layer is learned, and there
        it would be the most expensive product of all for data with many features.

    Attributes
    ----------
    W : ndarray of shape (..., n_in, n_out)
        The weights.
    b : ndarray of shape (..., 1, n_out)
        The biases.
    """

    def __init__(self, n_in: int, n_out: int, input_gradient: bool = True):
        self.n_in = n_in
        self.n_out = self.widest = n_out
        self.input_gradient = input_gradient

    def shapes(self):
        return [
            Shape(self.n_in, self.n_out, penalized=True),
            Shape(1, self.n_out, penalized=False),
        ]

    def bind(self, views, statistics):
        self.W, self.b = views

    def prepare(self, room, gradients, context):
        cache = SimpleNamespace(X=None, W=self.W, Z=room(self.n_out))
        if gradients is not None:
            cache.dW, cache.db = gradients
            cache.dX = room(self.n_in) if self.input_gradient else None
            cache.ones = ones_row(cache.Z)
        return cache

    def forward(self, X, cache):
        cache.X = X
        Z = matmul(X, cache.W, out=cache.Z)
        Z += self.b
        return Z

    def backward(self, dZ, cache):
        transposed_matmul(cache.X, dZ, out=cache.dW)
        # A product with a row of ones is the sum over the batch, two to three times faster.
        matmul(cache.ones, dZ, out=cache.db)
        if cache.dX is not None:
            matmul(dZ, cache.W.mT, out=cache.dX)
        return cache.dX

    @property
    def coefficients(self) -> np.ndarray:
        """What X is multiplied by, of shape (..., n_in, n_out)."""
        return self.W


class Activate(Layer):
    """``A = f(Z)``, element by element; ``dZ = dA * f'(Z)``.

    Parameters
    ----------
    activation : Activation
        The function f.
    n_units : int
        Number of features.
    """

    def __init__(self, activation: Activation, n_units: int):
        self.activation = activation
        self.n_units = self.widest = n_units

    def prepare(self, room, gradients, context):
        return SimpleNamespace(
            Z=None,
            A=None if self.activation.in_place else room(self.n_units),
            saved=tuple(room(self.n_units) for _ in range(self.activation.n_saved)),
        )

    def forward(self, Z, cache):
        cache.Z = Z
        A = Z if self.activation.in_place else cache.A
        self.activation.forward(Z, A, *cache.saved)
        return A

    def backward(self, dA, cache):
        A = cache.Z if self.activation.in_place else cache.A
        self.activation.backward(dA, cache.Z, A, *cache.saved)
        return dA


class Dropout(Layer):
    r"""Switch off each unit with probability ``rate`` while training: ``Y = X * M``.

    ``M`` is 0 with probability ``rate`` and ``1 / (1 - rate)`` otherwise, drawn anew for each
    batch, so that the mean of Y is X and prediction needs no factor (inverted dropout). On the
    way back ``dX = dY * M``. In prediction the layer passes X on.

    Parameters
    ----------
    rate : float or ndarray of shape (..., 1)
        Share of units that is switched off, in [0, 1): of all networks, or of each.
    n_units : int
        Number of features.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov (2014), "Dropout: a simple way to
    prevent neural networks from overfitting", JMLR 15.
    """

    def __init__(self, rate: Any, n_units: int):
        self.rate = rate
        self.n_units = self.widest = n_units

    def prepare(self, room, gradients, context):
        if gradients is None:
            return SimpleNamespace(M=None)
        M = room(self.n_units)
        rate = self.rate
        if isinstance(rate, np.ndarray):
            rate = rate[..., np.newaxis].astype(M.dtype)
        # Y has an array of its own: the activation's backward pass still needs X.
        return SimpleNamespace(Y=room(self.n_units), M=M, rate=rate, context=context)

    def forward(self, X, cache):
        if cache.M is None:
            return X
        cache.context.draw(cache.M)
        M = np.greater_equal(cache.M, cache.rate, out=cache.M)
        M *= 1 / (1 - cache.rate)
        return np.multiply(X, M, out=cache.Y)

    def backward(self, dY, cache):
        dY *= cache.M
        return dY


def matmul(A, B: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Write A B to ``out``. Sparse A, which only the first layer can meet, multiplies itself."""
    if not isinstance(A, np.ndarray):
        return A.times(B, out)
    # np.matmul, which stacks need, takes twice as long to call, and keeps products with an inner
    # dimension of 1 (the way back from a single output) from the BLAS: 21 us in place of 2.5 for
    # 200 x 100.
    return np.dot(A, B, out) if out.ndim == 2 else np.matmul(A, B, out)


def transposed_matmul(A, B: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Write A^T B to ``out``."""
    if not isinstance(A, np.ndarray):
        return A.transposed_times(B, out)
    return np.dot(A.T, B, out) if out.ndim == 2 else np.matmul(A.mT, B, out)


def ones_row(Z: np.ndarray) -> np.ndarray:
    """Make a row of ones as long as the batch: its product with an array sums over the batch."""
    return np.ones((1, Z.shape[-2]), Z.dtype)
