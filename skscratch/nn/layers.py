r"""Layers: forward and backward side by side.

A network is a chain of layers. In the forward pass each layer turns its input X into an output Y.
In the backward pass it receives dY, the gradient of the loss L with respect to Y (short for dL/dY),
writes the gradients of its own parameters, and returns dX.

A layer owns no memory. The network keeps all parameters in one vector, and `Layer.bind` gives the
layer views into it. `Layer.prepare` makes a *cache* with the arrays of one batch: outputs,
gradients, and whatever the backward pass must remember. Several threads can therefore predict with
one network, each with its own caches. Only a cache for training has gradients.

Shapes: the last two axes are (batch, features). Any axes before them are a *stack*, independent
networks side by side; the same code serves one network and many.

Explained in the course: neuron, backpropagation, regularization.
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from .activations import Activation
from .parameters import Shape

Room = Callable[[int], np.ndarray]
"""Makes the arrays of a cache: ``room(width)`` has the shape (..., batch, width)."""


class Layer:
    """Base of the layers.

    Attributes
    ----------
    widest : int
        The most numbers per row that any array of a cache holds.
    shown : tuple of str
        The attributes that the layer shows when it is printed.

    Examples
    --------
    >>> from skscratch.nn import Activate, Dense, ReLU
    >>> Dense(4, 16), Activate(ReLU(), 16)
    (Dense(4, 16), Activate(ReLU(), 16))
    """

    widest: int
    shown: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(repr(getattr(self, k)) for k in self.shown)})"

    def shapes(self) -> list[Shape]:
        """List the parameters that the layer needs."""
        return []

    def statistic_shapes(self) -> list[Shape]:
        """List the running averages, which the layer updates itself, without a gradient."""
        return []

    def bind(self, views: Sequence[np.ndarray], statistics: Sequence[np.ndarray]) -> None:
        """Keep the views of what `shapes` and `statistic_shapes` list, in their order."""

    def reset(self) -> None:
        """Set those arrays that start at a constant other than 0."""

    def draw(self, member: tuple[int, ...], stream: np.random.Generator) -> None:
        """Draw those arrays that start at random, for one network of the stack."""

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
            Makes an array of shape (..., batch, width) for a width.
        gradients : sequence of ndarray or None
            Arrays shaped like the parameters, for their gradients; None in prediction.
        context : Context
            The current batch's weights and the sources of dropout, see `Workspace`.
        """
        raise NotImplementedError

    def forward(self, X: np.ndarray, cache: SimpleNamespace) -> np.ndarray:
        """Return the output Y for X of shape (..., batch, n_in).

        Only a first layer must leave X unchanged.
        """
        raise NotImplementedError

    def backward(self, dY: np.ndarray, cache: SimpleNamespace) -> np.ndarray:
        """Return dX, given dY; dY may be overwritten."""
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
        Whether to compute dX. A first layer need not, and with many features it would be the most
        expensive product of all.

    Attributes
    ----------
    W : ndarray of shape (..., n_in, n_out)
        The weights.
    b : ndarray of shape (..., 1, n_out)
        The biases.
    """

    shown = ("n_in", "n_out")

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
        # The product with a row of ones sums over the batch two to three times as fast as np.sum.
        matmul(cache.ones, dZ, out=cache.db)
        if cache.dX is not None:
            matmul(dZ, cache.W.mT, out=cache.dX)
        return cache.dX

    @property
    def coefficients(self) -> np.ndarray:
        """The matrix that multiplies X, of shape (..., n_in, n_out)."""
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

    shown = ("activation", "n_units")

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
    r"""Switch off each unit with probability ``rate`` during training: ``Y = X * M``.

    Each batch draws a new ``M``, which is 0 with probability ``rate`` and ``1 / (1 - rate)``
    otherwise. The mean of Y is then X, and prediction passes X on without a factor (inverted
    dropout). Backward, ``dX = dY * M``.

    Parameters
    ----------
    rate : float or ndarray of shape (..., 1)
        Probability in [0, 1), one for all networks or one for each.
    n_units : int
        Number of features.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov (2014), "Dropout: a simple way to
    prevent neural networks from overfitting", JMLR 15.
    """

    shown = ("rate", "n_units")

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
        # Y needs its own array, since the activation's backward pass still needs X.
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
    """Write A B to ``out``. A is a `SparseBlock` where a first layer meets sparse data."""
    if not isinstance(A, np.ndarray):
        return A.times(B, out)
    # Stacks need np.matmul, but its call takes twice as long. For products with an inner dimension
    # of 1 (backward from a single output) it also bypasses the BLAS: 38 us, not 11, for 8 stacked
    # of 64 x 64.
    if out.ndim == 2:
        return np.dot(A, B, out)
    return np.multiply(A, B, out) if A.shape[-1] == 1 else np.matmul(A, B, out)


def transposed_matmul(A, B: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Write A^T B to ``out``."""
    if not isinstance(A, np.ndarray):
        return A.transposed_times(B, out)
    return np.dot(A.T, B, out) if out.ndim == 2 else np.matmul(A.mT, B, out)


def ones_row(Z: np.ndarray) -> np.ndarray:
    """Make a row of ones as long as the batch; its product with an array sums over the batch."""
    return np.ones((1, Z.shape[-2]), Z.dtype)
