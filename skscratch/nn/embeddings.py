r"""Embeddings: several functions of each feature, before the first affine map.

Smooth units are slow to learn a function that bends often along one feature, such as the hour of
the day or a price. An embedding adds the bends: it computes a few functions of each feature alone,
and the first affine map combines them. `Periodic` learns the frequencies of waves;
`PiecewiseLinear` has ramps over bins, each with an equal share of the training rows.

An `Embedding` is an option, like an activation. Its method `Embedding.layer` takes the edges of
each feature's bins and makes the `EmbeddingLayer`, the network's first layer. The layer's first
outputs are X itself; features without edges, such as indicators, get no further outputs.

Explained in the course: defaults.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from .layers import Layer
from .options import POSITIVE, Options, integer, real
from .parameters import Shape


class EmbeddingLayer(Layer):
    r"""``Y = [X, E]``: the features, then linear combinations of functions of each.

    A derived class defines K functions h_jk of feature j. For row i, E holds O combinations of
    them, and dE is its part of dY::

        e_ijo = sum_k h_jk(x_ij) a_jko

        da_jko = sum_i h_jk(x_ij) de_ijo      dh_ijk = sum_o a_jko de_ijo

    The next affine map has a constant, so the combinations have none. As this is the first layer,
    there is no dX.

    Parameters
    ----------
    n_in : int
        Number of features.
    embedded : sequence of int
        Indices of the J features that have functions.
    n_functions, n_outputs : int
        K and O.

    Attributes
    ----------
    a : ndarray of shape (..., J * K, O)
        Weights of the combinations.
    n_out : int
        Number of outputs, ``n_in + J * O``.
    """

    shown = ("n_in", "n_out")

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
        # If all networks of a stack share X, they share its columns too.
        x = cache.x[(0,) * (cache.x.ndim - X.ndim)]
        X.take(self.embedded, axis=-1, out=x, mode="clip")
        np.copyto(cache.columns, x.mT[..., np.newaxis, :])
        self.functions(cache)
        cache.Y[..., : self.n_in] = X
        np.matmul(cache.H.mT, self._by_feature(self.a), out=cache.E)
        return cache.Y

    def functions(self, cache: SimpleNamespace) -> None:
        """Compute the functions, which a derived class defines.

        They take the features from ``cache.columns``, of shape (..., J, 1, batch), and write to
        ``cache.H``, of shape (..., J, K, batch).
        """
        raise NotImplementedError

    def backward(self, dY, cache):
        np.matmul(cache.H, self._combinations(dY), out=cache.da)


def _transposed(array: np.ndarray, *widths: int) -> np.ndarray:
    """Reinterpret an array's memory, of shape (..., batch, width), as (..., *widths, batch)."""
    return array.reshape(*array.shape[:-2], *widths, array.shape[-2])


class Embedding(Options):
    """Base of the embeddings.

    Attributes
    ----------
    n_bins : int
        How many bins `layer` needs for each feature.
    """

    n_bins: int

    def layer(self, edges: Sequence[np.ndarray]) -> EmbeddingLayer:
        """Make the layer.

        Parameters
        ----------
        edges : sequence of ndarray of shape (n_edges_of_the_feature,)
            Each feature's bin edges in ascending order, at most ``n_bins + 1``. An empty array
            leaves the feature without functions.

        Returns
        -------
        layer : EmbeddingLayer
            The layer, not yet bound to parameters.
        """
        raise NotImplementedError


@dataclass
class Periodic(Embedding):
    """Waves of learned frequency and phase, and linear combinations of them for each feature.

    This is RealMLP's embedding ("PBLD": periodic, bias, linear, dense), see `PeriodicEmbedding`.

    Parameters
    ----------
    n_frequencies : int, default=16
        Number of waves for each feature, >= 1.
    n_outputs : int, default=3
        Number of combinations added to each feature, >= 1.
    scale : float, default=0.3
        Standard deviation of the initial frequencies, in cycles per unit of the feature, > 0.
        Higher values find finer structure, in noise too.

    References
    ----------
    Holzmueller, Grinsztajn and Steinwart (2024), "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", NeurIPS, arXiv:2407.04491.

    Examples
    --------
    >>> import numpy as np
    >>> from skscratch.nn import Architecture, Network, Periodic, ReLU
    >>> edges = [np.array([-1.0, 1.0]), np.array([])]  # the second feature is left alone
    >>> architecture = Architecture([2, 8, 1], [ReLU()], embedding=Periodic(), edges=edges)
    >>> Network(architecture).dense[0].n_in  # 2 features, and 3 outputs for the first
    5
    """

    n_frequencies: int = integer(16, 1)
    n_outputs: int = integer(3, 1)
    scale: float = real(0.3, POSITIVE)

    n_bins = 2

    def layer(self, edges):
        return PeriodicEmbedding(
            len(edges), _embedded(edges), self.n_frequencies, self.n_outputs, self.scale
        )


@dataclass
class PiecewiseLinear(Embedding):
    """Piecewise linear functions of each feature, see `PiecewiseLinearEmbedding`.

    Parameters
    ----------
    n_bins : int, default=16
        The most bins of a feature, >= 2. The functions bend at their edges. Each bin holds an equal
        share of the training rows, as far as ties allow.
    n_outputs : int, default=3
        Number of functions added to each feature, >= 1.

    References
    ----------
    Gorishniy, Rubachev and Babenko (2022), "On embeddings for numerical features in tabular deep
    learning", NeurIPS, arXiv:2203.05556.
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

    Feature j has K waves. Their backward pass takes dh from `EmbeddingLayer`::

        p_ijk = 2 pi w_jk x_ij + b_jk      h_ijk = cos(p_ijk)

        dp_ijk = -sin(p_ijk) dh_ijk      db_jk = sum_i dp_ijk      dw_jk = 2 pi sum_i x_ij dp_ijk

    Parameters
    ----------
    n_in, embedded, n_frequencies, n_outputs
        As `EmbeddingLayer`'s; K is the number of frequencies.
    scale : float
        Standard deviation of the initial frequencies.

    Attributes
    ----------
    w, b : ndarray of shape (..., J, K)
        Frequencies, initially normal, and phases, initially uniform in [-pi, pi). The combinations'
        weights are initially uniform in ``[-1, 1) / sqrt(K)``.

    References
    ----------
    Holzmueller, Grinsztajn and Steinwart (2024), arXiv:2407.04491. They add the phase and the
    feature itself to the form of Gorishniy, Rubachev and Babenko (2022), arXiv:2203.05556.
    """

    def __init__(
        self, n_in: int, embedded: Sequence[int], n_frequencies: int, n_outputs: int, scale: float
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

    A ramp rises from -1/2 to 1/2 over a bin from s to t, and is constant outside it::

        h(x) = (x - (s + t) / 2) / (t - s), clipped to [-1/2, 1/2]

    A combination of a feature's ramps is piecewise linear: it bends at the edges and is constant
    beyond the outer ones. The ramps are fixed. Their combinations are learned and start at 0, so
    the untrained network behaves as if there were no embedding.

    Parameters
    ----------
    edges : sequence of ndarray
        Each feature's bin edges in ascending order, or an empty array. Edges closer together than
        a millionth of the feature's range count as one.
    n_outputs : int
        Number of combinations for each feature.

    References
    ----------
    Gorishniy, Rubachev and Babenko (2022), arXiv:2203.05556. Their ramps go from 0 to 1 and
    continue beyond the outer edges.
    """

    def __init__(self, edges: Sequence[np.ndarray], n_outputs: int):
        embedded = _embedded(edges)
        ends = [_apart(edges[j]) for j in embedded]
        n_ramps = max((len(found) - 1 for found in ends), default=1)
        super().__init__(len(edges), embedded, n_ramps, n_outputs)
        # A feature with fewer bins than others gets further ramps that are always 0.
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


def _embedded(edges: Sequence[np.ndarray]) -> list[int]:
    """List the features that have edges."""
    return [j for j, found in enumerate(edges) if len(found)]


def _apart(edges: np.ndarray) -> np.ndarray:
    """Drop edges that are too close to the one before them."""
    shares = (edges - edges[0]) / (edges[-1] - edges[0])
    return edges[np.unique(np.round(shares, 6), return_index=True)[1]]
