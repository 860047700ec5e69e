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

import numpy as np

from .activations import Activation
from .parameters import Shape

Room = Callable[[int], np.ndarray]
"""Gives out arrays: ``room(width)`` has the shape (..., batch, width)."""


class Layer:
    """Base of the layers."""

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
        context: SimpleNamespace,
    ) -> SimpleNamespace:
        """Make the cache for batches of one size.

        Parameters
        ----------
        room : callable
            Gives out the batch-sized arrays.
        gradients : sequence of ndarray or None
            Where the gradients of the layer's arrays go; None if the cache is for prediction.
        context : SimpleNamespace
            What all layers of a workspace share: ``streams``, a random stream for each network of
            the stack, and ``weights``, those of the current batch or None, see `train_step`.
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

    Sparse X may stand for ``X + 1 s``, the same shift s being added to each row, as zeros do that
    scaling has moved. X is not filled with it; the bias and the gradient make up for it instead::

        Z = X W + (b + s W)                 dW = X^T dZ + s^T db

    Parameters
    ----------
    n_in, n_out : int
        Numbers of input and output features.
    input_gradient : bool, default=True
        Whether somebody needs dX. Nobody does where nothing before the layer is learned, and there
        it would be the most expensive product of all for data with many features.
    shift : ndarray of shape (1, n_in), optional
        What is missing in each row of a sparse X, nothing by default. Dense X is complete.
    rate : float, default=1.0
        Factor of the learning rate of W.

    Attributes
    ----------
    W : ndarray of shape (..., n_in, n_out)
        The weights.
    b : ndarray of shape (..., 1, n_out)
        The biases.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        input_gradient: bool = True,
        shift: np.ndarray | None = None,
        rate: float = 1.0,
    ):
        self.n_in = n_in
        self.n_out = n_out
        self.input_gradient = input_gradient
        self.shift = shift
        self.rate = rate

    @property
    def coefficients(self) -> np.ndarray:
        """What X is multiplied by, of shape (..., n_in, n_out)."""
        return self.W

    def shapes(self):
        return [
            Shape(self.n_in, self.n_out, penalized=True, rate=self.rate),
            Shape(1, self.n_out, penalized=False),
        ]

    def bind(self, views, statistics):
        self.W, self.b = views

    def prepare(self, room, gradients, context):
        cache = SimpleNamespace(X=None, Z=room(self.n_out))
        if gradients is not None:
            cache.dW, cache.db = gradients
            cache.dX = room(self.n_in) if self.input_gradient else None
            cache.ones = _ones_row(cache.Z)
        return cache

    def forward(self, X, cache):
        cache.X = X
        W = self._weights(cache)
        Z = _matmul(X, W, out=cache.Z)
        Z += self.b
        if self.shift is not None and not isinstance(X, np.ndarray):
            Z += self.shift @ W
        return Z

    def _weights(self, cache: SimpleNamespace) -> np.ndarray:
        return self.W

    def backward(self, dZ, cache):
        _matmul(cache.X.T if cache.X.ndim == 2 else cache.X.mT, dZ, out=cache.dW)
        # A product with a row of ones is the sum over the batch, two to three times faster.
        _matmul(cache.ones, dZ, out=cache.db)
        if self.shift is not None and not isinstance(cache.X, np.ndarray):
            cache.dW += self.shift.T * cache.db
        if cache.dX is not None:
            _matmul(dZ, self._weights(cache).mT, out=cache.dX)
        return cache.dX


class ScaledDense(Dense):
    r"""The affine map of scaled features, ``Z = (X * s) W + b``, the scales s being learned.

    A first layer that learns how much each feature counts. The scales stretch the rows of W, which
    are fewer than those of X: with ``W_s = s * W``, where s stands as a column, ``Z = X W_s + b``::

        dW_s = X^T dZ      dW = s * dW_s      ds_j = sum_k w_jk (dW_s)_jk      dX = dZ W_s^T

    The scales learn at 60 times the rate of other parameters.

    Attributes
    ----------
    s : ndarray of shape (..., n_in, 1)
        The scales, 1 at first.

    References
    ----------
    Holzmueller, Grinsztajn and Steinwart (2024), "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", arXiv:2407.04491. Its rate for the scales is 6 times a base rate
    of which weights of n inputs get the share 1 / sqrt(n).
    """

    scale_rate = 60.0

    @property
    def coefficients(self):
        return self.W * self.s

    def shapes(self):
        return [*super().shapes(), Shape(self.n_in, 1, penalized=False, rate=self.scale_rate)]

    def bind(self, views, statistics):
        super().bind(views[:2], statistics)
        self.s = views[2]

    def reset(self):
        self.s[...] = 1

    def prepare(self, room, gradients, context):
        cache = super().prepare(room, gradients and gradients[:2], context)
        cache.Ws = np.empty_like(self.W)
        if gradients is not None:
            cache.ds = gradients[2]
            cache.sum_row = np.ones((self.n_out, 1), self.W.dtype)
        return cache

    def _weights(self, cache):
        return np.multiply(self.W, self.s, out=cache.Ws)

    def backward(self, dZ, cache):
        dX = super().backward(dZ, cache)
        _matmul(np.multiply(self.W, cache.dW, out=cache.Ws), cache.sum_row, out=cache.ds)
        cache.dW *= self.s
        return dX


def _matmul(A, B: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Write A B to ``out``. A sparse A, which only the first layer can meet, allocates."""
    if not isinstance(A, np.ndarray):
        out[...] = A @ B
        return out
    # np.matmul, which stacks need, takes twice as long to call, and keeps products with an inner
    # dimension of 1 (the way back from a single output) from the BLAS: 21 us in place of 2.5 for
    # 200 x 100.
    return np.dot(A, B, out) if out.ndim == 2 else np.matmul(A, B, out)


def _ones_row(Z: np.ndarray) -> np.ndarray:
    """Make a row of ones as long as the batch: its product with an array sums over the batch."""
    return np.ones((1, Z.shape[-2]), Z.dtype)


class _Normalization(Layer):
    r"""What batch and layer normalization share: ``Y = gamma * Xhat + beta``.

    ``Xhat`` is X with mean 0 and variance 1, over the batch or over the features; epsilon keeps
    the division defined. The gradients of gamma and beta are sums over the batch::

        dgamma = 1^T (dY * Xhat)      dbeta = 1^T dY

    Parameters
    ----------
    n_units : int
        Number of features.

    Attributes
    ----------
    gamma, beta : ndarray of shape (..., 1, n_units)
        Learned scale and shift, 1 and 0 at first.
    """

    epsilon = 1e-5

    def __init__(self, n_units: int):
        self.n_units = n_units

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
            cache.ones = _ones_row(cache.Y)
        return cache

    def _scale_and_shift(self, cache):
        Y = np.multiply(cache.Xhat, self.gamma, out=cache.Y)
        Y += self.beta
        return Y

    def _parameter_gradients(self, dY, cache):
        np.matmul(cache.ones, dY, out=cache.dbeta)
        product = np.multiply(dY, cache.Xhat, out=cache.Y)  # nobody needs the output any more
        np.matmul(cache.ones, product, out=cache.dgamma)


class BatchNorm(_Normalization):
    r"""Normalize each feature over the batch: ``Y = gamma (X - mu) / sigma + beta``.

    ``mu = p^T X`` and ``sigma^2 = p^T (X - mu)^2 + epsilon``, where p holds each row's share of the
    batch's weight (1/n without sample weights); the variance is the biased one. As mu and sigma
    depend on all rows, so does the derivative::

        dX = gamma / sigma * (dY - p (dbeta + Xhat * dgamma))

    where p stands as a column. In prediction, running averages take the place of mu and sigma^2;
    each training batch moves them by a tenth of the way to its own values.

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
            cache.own_shares = np.empty_like(cache.equal_shares)
            cache.mean = np.empty_like(self.mean)
            cache.variance = np.empty_like(self.mean)
        return cache

    def forward(self, X, cache):
        mean, variance = self.mean, self.variance
        if cache.training:
            cache.shares, counts = self._shares(cache)
            mean = np.matmul(cache.shares, X, out=cache.mean)
        cache.Xhat = np.subtract(X, mean, out=X)
        if cache.training:
            square = np.square(cache.Xhat, out=cache.Y)
            variance = np.matmul(cache.shares, square, out=cache.variance)
            averages = ((self.mean, mean), (self.variance, variance)) if counts else ()
            for running, current in averages:
                running *= self.momentum
                running += np.multiply(current, 1 - self.momentum, out=cache.inverse)
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
        through_statistics *= cache.shares.T
        dY -= through_statistics
        dY *= np.multiply(self.gamma, cache.inverse, out=cache.inverse)
        return dY

    def _shares(self, cache):
        """Return each row's share of the batch's weight, and whether there is any weight."""
        weights = cache.context.weights
        if weights is None:
            return cache.equal_shares, True
        if weights.ndim == 2:  # a weight for each output
            weights = weights.mean(axis=-1)
        total = float(weights.sum())
        if total == 0:
            return cache.equal_shares, False
        return np.divide(weights, total, out=cache.own_shares), True


class LayerNorm(_Normalization):
    r"""Normalize each row over its features: ``Y = gamma (X - mu) / sigma + beta``.

    mu and sigma^2 are the row's mean and biased variance (plus epsilon), the same in training and
    in prediction. With ``dXhat = dY * gamma`` and mean_k the mean over features::

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
        # A product with this column is the mean over the features.
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
        self.n_units = n_units

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
    rate : float
        Share of units that is switched off, in [0, 1).
    n_units : int
        Number of features.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov (2014), "Dropout: a simple way to
    prevent neural networks from overfitting", JMLR 15.
    """

    def __init__(self, rate: float, n_units: int):
        self.rate = rate
        self.n_units = n_units

    def prepare(self, room, gradients, context):
        if gradients is None:
            return SimpleNamespace(M=None)
        M = room(self.n_units)
        members = [M[index] for index in np.ndindex(M.shape[:-2])]
        draws = list(zip(context.streams, members, strict=True))
        # Y has an array of its own: the activation's backward pass still needs X.
        return SimpleNamespace(Y=room(self.n_units), M=M, draws=draws)

    def forward(self, X, cache):
        if cache.M is None:
            return X
        for stream, member in cache.draws:
            stream.random(out=member, dtype=member.dtype)
        M = np.greater_equal(cache.M, self.rate, out=cache.M)
        M *= 1 / (1 - self.rate)
        return np.multiply(X, M, out=cache.Y)

    def backward(self, dY, cache):
        dY *= cache.M
        return dY
