r"""What features become before the first affine map: scaled, or several numbers in place of one.

`ScaledDense` is a first layer that learns how much each feature counts. The rest are embeddings.

A network of smooth units is slow to learn functions that bend often along a single feature, as
those of a day's hour or a price do. An embedding bends for it: it turns feature j into a few
functions of x_j alone, which the first affine map combines. Either they are waves whose
frequencies are learned, `Periodic`, or ramps over bins that hold equal shares of the training
rows, `PiecewiseLinear`.

An embedding is an option like an activation. Its `Embedding.layer` makes the layer, the first one
of a network, from what is known of the features: the edges of their bins. The layer passes X on as
well, as its first outputs: for features without edges, such as indicators, that is all.

References
----------
Gorishniy, Rubachev and Babenko (2022), "On embeddings for numerical features in tabular deep
learning", NeurIPS, arXiv:2203.05556.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from .layers import Dense, Layer, matmul
from .options import POSITIVE, Options, integer, real
from .parameters import Shape


class ScaledDense(Dense):
    r"""The affine map of scaled features, ``Z = (X * s) W + b``, the scales s being learned.

    A first layer that learns how much each feature counts. The scales stretch the rows of W, which
    are fewer than those of X: with ``W_s = s * W``, where s stands as a column, ``Z = X W_s + b``::

        dW_s = X^T dZ      dW = s * dW_s      ds_j = sum_k w_jk (dW_s)_jk      dX = dZ W_s^T

    What is learned is t, with ``s = 1 + 60 t`` and so ``dt = 60 ds``: the scales learn at 60 times
    the rate of other parameters.

    Attributes
    ----------
    t : ndarray of shape (..., n_in, 1)
        What the scales are made of, 0 at first.

    References
    ----------
    Holzmueller, Grinsztajn and Steinwart (2024), "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", arXiv:2407.04491. Its rate for the scales is 6 times a base rate
    of which weights of n inputs get the share 1 / sqrt(n).
    """

    pace = 60.0

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


class EmbeddingLayer(Layer):
    r"""``Y = [X, E]``: to the features come combinations of functions of each.

    Of feature j there are K functions h_jk, which a derived class defines, and O combinations::

        e_ijo = sum_k h_jk(x_ij) a_jko

    On the way back, with dE the part of dY that belongs to E::

        da_jko = sum_i h_jk(x_ij) de_ijo      dh_ijk = sum_o a_jko de_ijo

    The combinations have no constant, as the affine map that follows has one. There is no dX, since
    the layer is the first one.

    Parameters
    ----------
    n_in : int
        Number of features.
    embedded : sequence of int
        Indices of the features that have functions, J of them.
    n_functions, n_outputs : int
        K and O above.

    Attributes
    ----------
    a : ndarray of shape (..., J K, O)
        The combinations' weights.
    n_out : int
        Number of outputs, ``n_in + J O``.
    """

    def __init__(self, n_in: int, embedded: Sequence[int], n_functions: int, n_outputs: int):
        self.n_in, self.n_functions, self.n_outputs = n_in, n_functions, n_outputs
        self.embedded = np.array(embedded, dtype=np.intp)
        self.n_out = n_in + len(embedded) * n_outputs
        self.widest = max(self.n_out, len(embedded) * n_functions)

    def shapes(self):
        return [Shape(len(self.embedded) * self.n_functions, self.n_outputs, penalized=False)]

    def bind(self, views, statistics):
        self.a = views[0]

    def prepare(self, room, gradients, context):
        n_features, n_functions = len(self.embedded), self.n_functions
        cache = SimpleNamespace(
            x=room(n_features),
            columns=_transposed(room(n_features), n_features, 1),
            H=_transposed(room(n_features * n_functions), n_features, n_functions),
            Y=room(self.n_out),
        )
        cache.E = self._combinations(cache.Y)
        if gradients is not None:
            cache.da = self._by_feature(gradients[0])
        return cache

    def _combinations(self, Y: np.ndarray) -> np.ndarray:
        """Return E's part of Y or dY, as a view of shape (..., J, batch, O)."""
        E = Y[..., self.n_in :]
        return E.reshape(*E.shape[:-1], len(self.embedded), self.n_outputs).swapaxes(-2, -3)

    def _by_feature(self, a: np.ndarray) -> np.ndarray:
        """Return a or da, as a view of shape (..., J, K, O)."""
        return a.reshape(*a.shape[:-2], len(self.embedded), self.n_functions, self.n_outputs)

    def forward(self, X, cache):
        # All networks of a stack may share X: then so they do its columns.
        x = cache.x[(0,) * (cache.x.ndim - X.ndim)]
        X.take(self.embedded, axis=-1, out=x, mode="clip")
        np.copyto(cache.columns, x.mT[..., np.newaxis, :])
        self.functions(cache)
        cache.Y[..., : self.n_in] = X
        np.matmul(cache.H.mT, self._by_feature(self.a), out=cache.E)
        return cache.Y

    def functions(self, cache: SimpleNamespace) -> None:
        """Write the functions' values to ``cache.H``, of shape (..., J, K, batch).

        ``cache.columns``, of shape (..., J, 1, batch), has the features.
        """
        raise NotImplementedError

    def backward(self, dY, cache):
        np.matmul(cache.H, self._combinations(dY), out=cache.da)


def _transposed(array: np.ndarray, *widths: int) -> np.ndarray:
    """Return the memory of an array of shape (..., batch, width) as (..., *widths, batch)."""
    return array.reshape(*array.shape[:-2], *widths, array.shape[-2])


class Embedding(Options):
    """Base of the embeddings.

    Attributes
    ----------
    n_bins : int
        How many bins `layer` wants each feature's values parted into.
    """

    n_bins: int

    def layer(self, edges: Sequence[np.ndarray]) -> EmbeddingLayer:
        """Make the layer.

        Parameters
        ----------
        edges : sequence of ndarray of shape (n_edges_of_the_feature,)
            For each feature the edges of its bins in ascending order, at most ``n_bins + 1``, and
            none if it is to be passed on as it is.

        Returns
        -------
        layer : EmbeddingLayer
            The layer, not bound yet.
        """
        raise NotImplementedError


@dataclass
class Periodic(Embedding):
    """Waves of learned frequency and phase, a few linear combinations of them for each feature.

    The embedding of RealMLP ("PBLD": periodic, bias, linear, dense), see `PeriodicEmbedding`.

    Parameters
    ----------
    n_frequencies : int, default=16
        Number of waves for each feature, >= 1.
    n_outputs : int, default=3
        Number of their combinations, >= 1, which join the feature itself.
    scale : float, default=0.3
        Standard deviation of the frequencies at first, in cycles per unit of the feature, > 0. The
        higher it is, the finer the structure that is found, in noise too.

    References
    ----------
    Holzmueller, Grinsztajn and Steinwart (2024), "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", NeurIPS, arXiv:2407.04491.

    Examples
    --------
    >>> import numpy as np
    >>> from skscratch.nn import Architecture, Network, Periodic, ReLU
    >>> edges = [np.array([-1.0, 1.0]), np.array([])]  # the second feature is left alone
    >>> waves = Periodic(n_outputs=3)
    >>> architecture = Architecture([2, 8, 1], [ReLU()], embedding=waves, edges=edges)
    >>> network = Network(architecture)
    >>> network.dense[0].n_in
    5
    """

    n_frequencies: int = integer(16, 1)
    n_outputs: int = integer(3, 1)
    scale: float = real(0.3, POSITIVE)

    n_bins = 2

    def layer(self, edges):
        embedded = [j for j, found in enumerate(edges) if len(found)]
        return PeriodicEmbedding(
            len(edges), embedded, self.n_frequencies, self.n_outputs, self.scale
        )


@dataclass
class PiecewiseLinear(Embedding):
    """Piecewise linear functions of each feature, see `PiecewiseLinearEmbedding`.

    Parameters
    ----------
    n_bins : int, default=16
        The most bins of a feature, >= 2, at whose edges the functions bend. Each holds an equal
        share of the training rows, as far as equal values allow.
    n_outputs : int, default=3
        Number of functions of each feature, >= 1, which join the feature itself.

    Examples
    --------
    >>> import numpy as np
    >>> from skscratch.nn import Architecture, Network, PiecewiseLinear, ReLU
    >>> edges = [np.array([-1.0, 0.0, 2.0]), np.array([])]  # the second feature is left alone
    >>> architecture = Architecture([2, 8, 1], [ReLU()], embedding=PiecewiseLinear(), edges=edges)
    >>> network = Network(architecture)
    >>> network.dense[0].n_in
    5
    """

    n_bins: int = integer(16, 2)
    n_outputs: int = integer(3, 1)

    def layer(self, edges):
        return PiecewiseLinearEmbedding(edges, self.n_outputs)


EMBEDDINGS: dict[str, type[Embedding]] = {
    "periodic": Periodic,
    "piecewise_linear": PiecewiseLinear,
}


class PeriodicEmbedding(EmbeddingLayer):
    r"""Waves of learned frequency w and phase b, and their combinations.

    Of feature j there are K waves, at first of random frequency and phase::

        p_ijk = 2 pi w_jk x_ij + b_jk      h_ijk = cos(p_ijk)

    and on the way back, with dh from the combinations::

        dp_ijk = -sin(p_ijk) dh_ijk      db_jk = sum_i dp_ijk      dw_jk = 2 pi sum_i x_ij dp_ijk

    Parameters
    ----------
    n_in : int
        Number of features.
    embedded : sequence of int
        Indices of the features that get waves, J of them.
    n_frequencies : int
        K above.
    n_outputs : int
        Number of combinations for each feature.
    scale : float
        Standard deviation of the frequencies at first.

    Attributes
    ----------
    w, b : ndarray of shape (..., J, K)
        Frequencies and phases: normal and uniform in [-pi, pi) at first. The combinations' weights
        are uniform in ``[-1, 1) / sqrt(K)`` at first.

    References
    ----------
    Holzmueller, Grinsztajn and Steinwart (2024), arXiv:2407.04491, which add the phase and the
    feature itself to the form of Gorishniy, Rubachev and Babenko (2022), arXiv:2203.05556.
    """

    def __init__(
        self,
        n_in: int,
        embedded: Sequence[int],
        n_frequencies: int,
        n_outputs: int,
        scale: float,
    ):
        super().__init__(n_in, embedded, n_frequencies, n_outputs)
        self.scale = scale

    def shapes(self):
        waves = Shape(len(self.embedded), self.n_functions, penalized=False)
        return [*super().shapes(), waves, waves]

    def bind(self, views, statistics):
        self.a, self.w, self.b = views

    def draw(self, member, stream):
        self.w[member] = self.scale * stream.standard_normal(self.w[member].shape)
        self.b[member] = stream.uniform(-math.pi, math.pi, self.b[member].shape)
        self.a[member] = stream.uniform(-1, 1, self.a[member].shape) / math.sqrt(self.n_functions)

    def prepare(self, room, gradients, context):
        cache = super().prepare(room, gradients, context)
        n_features, n_waves = len(self.embedded), self.n_functions
        cache.P = _transposed(room(n_features * n_waves), n_features, n_waves)
        cache.omega = np.empty_like(self.w)
        if gradients is not None:
            cache.dw, cache.db = (gradient[..., np.newaxis] for gradient in gradients[1:])
            cache.ones = np.ones((cache.Y.shape[-2], 1), cache.Y.dtype)
        return cache

    def functions(self, cache):
        omega = np.multiply(self.w, 2 * math.pi, out=cache.omega)
        P = np.multiply(omega[..., np.newaxis], cache.columns, out=cache.P)
        P += self.b[..., np.newaxis]
        np.cos(P, out=cache.H)

    def backward(self, dY, cache):
        super().backward(dY, cache)
        dH = np.matmul(self._by_feature(self.a), self._combinations(dY).mT, out=cache.H)
        minus_dP = np.sin(cache.P, out=cache.P)
        minus_dP *= dH
        np.matmul(minus_dP, cache.ones, out=cache.db)
        np.matmul(minus_dP, cache.columns.mT, out=cache.dw)
        cache.db *= -1
        cache.dw *= -2 * math.pi


class PiecewiseLinearEmbedding(EmbeddingLayer):
    r"""Ramps over the bins of each feature, and their combinations.

    Over a bin from s to t a ramp rises from -1/2 to 1/2, before and after it is constant::

        h(x) = (x - (s + t) / 2) / (t - s), held to [-1/2, 1/2]

    A combination of a feature's ramps is a piecewise linear function of it, that bends at the edges
    and is constant beyond the outer ones, where the feature itself goes on. The ramps stay as they
    are; their combinations are learned, from 0: the network starts as the one without.

    Parameters
    ----------
    edges : sequence of ndarray
        For each feature the edges of its bins in ascending order, or none. Edges that are closer
        to each other than a millionth of the feature's range count as one.
    n_outputs : int
        Number of combinations for each feature.

    References
    ----------
    Gorishniy, Rubachev and Babenko (2022), arXiv:2203.05556, whose ramps go from 0 to 1 and on
    beyond the outer edges.
    """

    def __init__(self, edges: Sequence[np.ndarray], n_outputs: int):
        embedded = [j for j, found in enumerate(edges) if len(found)]
        ends = [_apart(edges[j]) for j in embedded]
        n_ramps = max((len(found) - 1 for found in ends), default=1)
        super().__init__(len(edges), embedded, n_ramps, n_outputs)
        # A feature of fewer bins than others has ramps that stay at 0.
        self.middle, self.slope = np.zeros((2, len(ends), n_ramps, 1))
        for j, found in enumerate(ends):
            self.middle[j, : len(found) - 1, 0] = (found[:-1] + found[1:]) / 2
            self.slope[j, : len(found) - 1, 0] = 1 / np.diff(found)

    def prepare(self, room, gradients, context):
        cache = super().prepare(room, gradients, context)
        cache.middle = self.middle.astype(cache.Y.dtype)
        cache.slope = self.slope.astype(cache.Y.dtype)
        return cache

    def functions(self, cache):
        H = np.subtract(cache.columns, cache.middle, out=cache.H)
        H *= cache.slope
        np.clip(H, -0.5, 0.5, out=H)


def _apart(edges: np.ndarray) -> np.ndarray:
    """Return the edges without those that are too close to the one before them."""
    shares = (edges - edges[0]) / (edges[-1] - edges[0])
    return edges[np.unique(np.round(shares, 6), return_index=True)[1]]
