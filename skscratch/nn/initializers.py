r"""Initializers: where the weights start.

Each output of a layer is a sum of ``n_in`` products. With inputs of variance v and weights of
variance s^2, the sum has variance ``n_in s^2 v``. Unless that is v, the signal grows or shrinks
from layer to layer, and so does the gradient on its way back:

- ``s^2 = 1/n_in`` keeps the variance (LeCun);
- ``s^2 = 2/n_in`` makes up for ReLU, which discards half of the signal (He);
- ``s^2 = 2/(n_in + n_out)`` compromises between forward (n_in) and backward (n_out) (Glorot).

A uniform distribution on [-a, a] has the variance a^2/3, so each uniform variant has
``a = std sqrt(3)``. Biases start at 0.

Explained in the course: initialization.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .options import NON_NEGATIVE, POSITIVE, Options, real


class Initializer(Options):
    """Base of the initializers."""

    def sample(self, rng: np.random.Generator, n_in: int, n_out: int) -> np.ndarray:
        """Draw a weight matrix.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of random numbers.
        n_in, n_out : int
            Numbers of inputs and outputs of the layer.

        Returns
        -------
        W : ndarray of shape (n_in, n_out)
            The weights, in float64.
        """
        raise NotImplementedError


def _normal(rng: np.random.Generator, n_in: int, n_out: int, std: float) -> np.ndarray:
    return rng.standard_normal((n_in, n_out)) * std


def _uniform(rng: np.random.Generator, n_in: int, n_out: int, std: float) -> np.ndarray:
    limit = std * math.sqrt(3)
    return rng.uniform(-limit, limit, (n_in, n_out))


@dataclass
class HeNormal(Initializer):
    """Normal, std = sqrt(2 / n_in), for ReLU and its relatives.

    References
    ----------
    He, Zhang, Ren and Sun (2015), "Delving deep into rectifiers", arXiv:1502.01852.
    """

    def sample(self, rng, n_in, n_out):
        return _normal(rng, n_in, n_out, math.sqrt(2 / n_in))


@dataclass
class HeUniform(Initializer):
    """Uniform, std = sqrt(2 / n_in), for ReLU and its relatives (He et al. 2015)."""

    def sample(self, rng, n_in, n_out):
        return _uniform(rng, n_in, n_out, math.sqrt(2 / n_in))


@dataclass
class GlorotNormal(Initializer):
    """Normal, std = sqrt(2 / (n_in + n_out)), for tanh, the logistic and linear layers.

    References
    ----------
    Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward
    neural networks", AISTATS.
    """

    def sample(self, rng, n_in, n_out):
        return _normal(rng, n_in, n_out, math.sqrt(2 / (n_in + n_out)))


@dataclass
class GlorotUniform(Initializer):
    """Uniform, std = sqrt(2 / (n_in + n_out)) (Glorot and Bengio 2010)."""

    def sample(self, rng, n_in, n_out):
        return _uniform(rng, n_in, n_out, math.sqrt(2 / (n_in + n_out)))


@dataclass
class LecunNormal(Initializer):
    """Normal, std = sqrt(1 / n_in), for SELU.

    References
    ----------
    LeCun, Bottou, Orr and Müller (1998), "Efficient BackProp".
    """

    def sample(self, rng, n_in, n_out):
        return _normal(rng, n_in, n_out, math.sqrt(1 / n_in))


@dataclass
class Normal(Initializer):
    """Normal with the same standard deviation for layers of any size.

    Parameters
    ----------
    std : float, default=0.01
        Standard deviation, >= 0.
    """

    std: float = real(0.01, NON_NEGATIVE)

    def sample(self, rng, n_in, n_out):
        return _normal(rng, n_in, n_out, self.std)


@dataclass
class Orthogonal(Initializer):
    """A random matrix with orthonormal rows or columns, whichever are fewer, times a gain.

    Parameters
    ----------
    gain : float, default=1.0
        Factor, > 0; sqrt(2) suits ReLU.

    References
    ----------
    Saxe, McClelland and Ganguli (2014), "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks", arXiv:1312.6120.
    """

    gain: float = real(1.0, POSITIVE)

    def sample(self, rng, n_in, n_out):
        tall = rng.standard_normal((max(n_in, n_out), min(n_in, n_out)))
        Q, R = np.linalg.qr(tall)
        # QR is unique up to signs. A positive diagonal of R makes Q uniformly distributed.
        Q *= np.sign(np.diag(R))
        return self.gain * (Q if n_in >= n_out else Q.T)


INITIALIZERS: dict[str, Callable[[], Initializer]] = {
    "he": HeNormal,
    "he_normal": HeNormal,
    "he_uniform": HeUniform,
    "xavier": GlorotNormal,
    "glorot_normal": GlorotNormal,
    "glorot_uniform": GlorotUniform,
    "lecun_normal": LecunNormal,
    "normal": Normal,
    "orthogonal": Orthogonal,
}
