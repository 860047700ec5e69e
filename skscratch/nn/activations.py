r"""Activations: each function beside its derivative.

A hidden layer computes ``Z = X W + b`` and then ``A = f(Z)``, element by element. Without f,
several layers would collapse into a single affine map. Backward, the chain rule gives::

    dZ = dA * f'(Z)

Memory. All arrays below have the shape ``(..., batch, units)``. If f' is a function of f(z) alone
(ReLU, tanh, the logistic), f overwrites Z, so ``A is Z``. Other activations write to a separate A.
They may ask for `n_saved` further arrays, to keep intermediate results for the backward pass. The
backward pass may overwrite all arrays, since nothing reads them afterwards.

Explained in the course: activations, backpropagation.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from .blocks import ELEMENTS
from .options import NON_NEGATIVE, POSITIVE, Options, real


class Activation(Options):
    """Base of the activations.

    Your own activation is a dataclass whose fields are its parameters. It defines `forward` and
    `backward`; the attributes have defaults. `backward` receives Z and A as `forward` left them.
    Training calls both for every batch, so use ``out=`` and in-place operations where you can.

    Attributes
    ----------
    in_place : bool
        Whether `forward` overwrites Z, and A is Z.
    n_saved : int
        Number of further arrays of Z's shape that both passes receive.
    init : str
        The initializer that keeps the signal's variance steady through layers of this
        activation; the choice of ``init="auto"``.

    Examples
    --------
    Snake (Ziyin et al. 2020, arXiv:2006.08195) is a line with waves, for periodic data:
    f(z) = z + sin(a z)^2 / a,  f'(z) = 1 + sin(2 a z).

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from skscratch.nn import Activation, Architecture, Network
    >>> @dataclass
    ... class Snake(Activation):
    ...     a: float = 1.0
    ...
    ...     def forward(self, Z, A):
    ...         np.sin(self.a * Z, out=A)
    ...         np.square(A, out=A)
    ...         A *= 1 / self.a
    ...         A += Z
    ...
    ...     def backward(self, dA, Z, A):
    ...         dA *= 1 + np.sin(2 * self.a * Z)
    >>> network = Network(Architecture([3, 8, 1], [Snake(a=2.0)]))
    >>> network.predict(np.ones((5, 3))).shape
    (5, 1)
    """

    in_place: ClassVar[bool] = False
    n_saved: ClassVar[int] = 0
    init: ClassVar[str] = "glorot_uniform"

    def forward(self, Z: np.ndarray, A: np.ndarray, *saved: np.ndarray) -> None:
        """Write f(Z) to A."""
        raise NotImplementedError

    def backward(self, dA: np.ndarray, Z: np.ndarray, A: np.ndarray, *saved: np.ndarray) -> None:
        """Turn dA into ``dZ = dA * f'(Z)``, in place."""
        raise NotImplementedError


@dataclass
class Identity(Activation):
    """f(z) = z,  f'(z) = 1."""

    in_place: ClassVar[bool] = True

    def forward(self, Z, A):
        pass

    def backward(self, dA, Z, A):
        pass


@dataclass
class Logistic(Activation):
    """f(z) = 1 / (1 + exp(-z)),  f'(z) = f (1 - f).

    Computed as (1 + tanh(z/2)) / 2, which is equal and never overflows.
    """

    in_place: ClassVar[bool] = True

    def forward(self, Z, A):
        logistic(Z, out=A)

    def backward(self, dA, Z, A):
        dA *= A
        np.subtract(1, A, out=A)
        dA *= A


@dataclass
class Tanh(Activation):
    """f(z) = tanh(z),  f'(z) = 1 - f^2."""

    in_place: ClassVar[bool] = True

    def forward(self, Z, A):
        np.tanh(Z, out=A)

    def backward(self, dA, Z, A):
        np.square(A, out=A)
        np.subtract(1, A, out=A)
        dA *= A


@dataclass
class ReLU(Activation):
    """f(z) = max(0, z),  f'(z) = 1 if z > 0 else 0.

    f'(0) does not exist; scikit-learn, PyTorch and this class use 0.
    """

    in_place: ClassVar[bool] = True
    init: ClassVar[str] = "he_normal"

    def forward(self, Z, A):
        # NumPy vectorizes the maximum with an array of zeros, but not with the number 0.
        np.maximum(Z, _zeros(Z.shape, Z.dtype), out=A)

    def backward(self, dA, Z, A):
        np.greater(A, 0, out=A)
        dA *= A


@lru_cache(maxsize=256)
def _zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return zeros to compare Z with, a view of the same array at each call.

    They have the shape of Z, which is twice as fast as a row of them, unless there are so many.
    """
    size = math.prod(shape)
    if size > ELEMENTS:
        shape, size = shape[-1:], shape[-1]
    return _many_zeros(max(size, ELEMENTS), dtype)[:size].reshape(shape)


@lru_cache(maxsize=4)
def _many_zeros(size: int, dtype: np.dtype) -> np.ndarray:
    # As nothing is written to it, the system need not find memory for it.
    zeros = np.zeros(size, dtype)
    zeros.flags.writeable = False
    return zeros


@dataclass
class LeakyReLU(Activation):
    """f(z) = z if z > 0 else slope z,  f'(z) = 1 if z > 0 else slope.

    Parameters
    ----------
    slope : float, default=0.01
        Slope for z < 0, >= 0.

    References
    ----------
    Maas, Hannun and Ng (2013), "Rectifier nonlinearities improve neural network acoustic
    models".
    """

    slope: float = real(0.01, NON_NEGATIVE)

    init: ClassVar[str] = "he_normal"

    def forward(self, Z, A):
        np.minimum(Z, 0, out=A)
        A *= self.slope - 1
        A += Z  # z <= 0: z + (slope - 1) z

    def backward(self, dA, Z, A):
        np.greater(Z, 0, out=Z)
        Z *= 1 - self.slope
        Z += self.slope
        dA *= Z


class _ExponentialUnit(Activation):
    """f(z) = scale (z if z > 0 else alpha (exp(z) - 1)), for ELU and SELU.

    With E = exp(min(z, 0)), which is 1 wherever z > 0::

        f  = scale (max(z, 0) + alpha (E - 1))
        f' = scale (alpha E - (alpha - 1) [z > 0])
    """

    n_saved: ClassVar[int] = 1
    alpha: float
    scale: float

    def forward(self, Z, A, E):
        np.minimum(Z, 0, out=E)
        np.exp(E, out=E)
        np.subtract(E, 1, out=A)
        A *= self.alpha
        np.maximum(Z, 0, out=Z)
        A += Z
        A *= self.scale

    def backward(self, dA, Z, A, E):
        E *= self.scale * self.alpha
        np.greater(Z, 0, out=Z)
        Z *= self.scale * (self.alpha - 1)
        E -= Z
        dA *= E


@dataclass
class ELU(_ExponentialUnit):
    """f(z) = z if z > 0 else alpha (exp(z) - 1),  f'(z) = 1 if z > 0 else alpha exp(z).

    Parameters
    ----------
    alpha : float, default=1.0
        f approaches ``-alpha`` for large negative z; > 0.

    References
    ----------
    Clevert, Unterthiner and Hochreiter (2016), "Fast and accurate deep network learning by
    exponential linear units", arXiv:1511.07289.
    """

    alpha: float = real(1.0, POSITIVE)

    scale = 1.0
    init: ClassVar[str] = "he_normal"


@dataclass
class SELU(_ExponentialUnit):
    """f(z) = scale (z if z > 0 else alpha (exp(z) - 1)), the self-normalizing ELU.

    With ``alpha = 1.6733`` and ``scale = 1.0507``, the outputs of layers with LeCun-normal weights
    tend to mean 0 and variance 1.

    References
    ----------
    Klambauer, Unterthiner, Mayr and Hochreiter (2017), "Self-normalizing neural networks",
    arXiv:1706.02515.
    """

    alpha = 1.6732632423543772
    scale = 1.0507009873554805
    init: ClassVar[str] = "lecun_normal"


@dataclass
class GELU(Activation):
    """f(z) = z/2 (1 + t) with t = tanh(u), u = c (z + 0.044715 z^3), c = sqrt(2/pi).

    f'(z) = (1 + t)/2 + z/2 (1 - t^2) u',  u' = c (1 + 3 * 0.044715 z^2).

    This is the tanh form. The exact GELU, z times the normal distribution function, differs by
    less than 5e-4.

    References
    ----------
    Hendrycks and Gimpel (2016), "Gaussian error linear units (GELUs)", arXiv:1606.08415.
    """

    n_saved: ClassVar[int] = 1
    init: ClassVar[str] = "he_normal"

    _c: ClassVar[float] = math.sqrt(2 / math.pi)
    _cubic: ClassVar[float] = 0.044715

    def forward(self, Z, A, T):
        np.square(Z, out=T)
        T *= self._c * self._cubic
        T += self._c
        T *= Z
        np.tanh(T, out=T)
        np.add(T, 1, out=A)
        A *= Z
        A *= 0.5

    def backward(self, dA, Z, A, T):
        # A is free to hold z/2 u', then z/2 u' (1 - t^2); T becomes (1 + t)/2.
        np.square(Z, out=A)
        A *= 1.5 * self._c * self._cubic
        A += 0.5 * self._c
        A *= Z
        np.square(T, out=Z)
        np.subtract(1, Z, out=Z)
        A *= Z
        T *= 0.5
        T += 0.5
        A += T
        dA *= A


@dataclass
class SiLU(Activation):
    """f(z) = z s(z), s the logistic;  f'(z) = s + f (1 - s). Also called swish.

    References
    ----------
    Elfwing, Uchibe and Doya (2018), "Sigmoid-weighted linear units for neural network
    function approximation in reinforcement learning", arXiv:1702.03118.
    """

    n_saved: ClassVar[int] = 1
    init: ClassVar[str] = "he_normal"

    def forward(self, Z, A, S):
        # With t = tanh(z/2), s is (1 + t)/2 and f is z/2 (1 + t). S is 1 + t until `backward`.
        np.multiply(Z, 0.5, out=A)
        np.tanh(A, out=S)
        S += 1
        A *= S

    def backward(self, dA, Z, A, S):
        S *= 0.5
        np.subtract(1, S, out=Z)
        A *= Z
        A += S
        dA *= A


@dataclass
class Mish(Activation):
    """f(z) = z t, t = tanh(softplus(z));  f'(z) = t + z (1 - t^2) s, s the logistic.

    One exponential e = exp(z) serves both passes: with n = e (e + 2), t = n / (n + 2) and
    s = e / (1 + e).

    References
    ----------
    Misra (2019), "Mish: a self regularized non-monotonic activation function",
    arXiv:1908.08681.
    """

    n_saved: ClassVar[int] = 2
    init: ClassVar[str] = "he_normal"

    def forward(self, Z, A, E, T):
        # From z = 20 on, t is 1 to the last bit even in float64. The bound keeps e^2 finite.
        np.minimum(Z, 20, out=E)
        np.exp(E, out=E)
        np.add(E, 2, out=T)
        T *= E
        np.add(T, 2, out=A)
        T /= A
        np.multiply(Z, T, out=A)

    def backward(self, dA, Z, A, E, T):
        np.add(E, 1, out=A)
        E /= A  # s
        Z *= E
        np.square(T, out=A)
        np.subtract(1, A, out=A)
        Z *= A
        Z += T
        dA *= Z


@dataclass
class Softplus(Activation):
    """f(z) = log(1 + exp(z)),  f'(z) = 1 / (1 + exp(-z)).

    References
    ----------
    Dugas et al. (2001), "Incorporating second-order functional knowledge for better option
    pricing".
    """

    def forward(self, Z, A):
        np.logaddexp(Z, 0, out=A)

    def backward(self, dA, Z, A):
        logistic(Z, out=Z)
        dA *= Z


def logistic(Z: np.ndarray, out: np.ndarray) -> None:
    """Write ``1 / (1 + exp(-Z))`` to ``out``, which may be Z."""
    np.multiply(Z, 0.5, out=out)
    np.tanh(out, out=out)
    out *= 0.5
    out += 0.5


ACTIVATIONS: dict[str, Callable[[], Activation]] = {
    "identity": Identity,
    "logistic": Logistic,
    "sigmoid": Logistic,
    "tanh": Tanh,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "selu": SELU,
    "gelu": GELU,
    "silu": SiLU,
    "swish": SiLU,
    "mish": Mish,
    "softplus": Softplus,
}
