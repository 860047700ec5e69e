"""The network: a chain of layers over one parameter vector, and the workspace it computes in."""

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from .activations import Activation
from .blocks import BLOCK
from .embeddings import Embedding, EmbeddingLayer
from .initializers import Initializer
from .layers import NORMALIZATIONS, Activate, Dense, Dropout, Layer, ScaledDense
from .parameters import Parameters

_REFERENCE_INPUTS = 100

# Prediction goes block by block. A block's widest array should stay in the processor's cache. Yet
# the products of wide layers read all their weights anew for each block: with half as many rows
# they were measured to take 5 to 14 % longer. Narrow layers have few weights: beyond the many rows,
# all of a block's arrays should stay in the cache, or (30, 15) units take 10 to 30 % longer.
_BLOCK_ELEMENTS = 2**17
_NARROW_BLOCK_ELEMENTS = 3 * 2**15
_LEAST_ROWS = 128
_MANY_ROWS = 1024


class Network:
    """A multilayer perceptron from inputs to logits.

    Each hidden layer is an affine map, normalization if wanted, an activation and, if its rate is
    above 0, dropout. The last layer is an affine map alone; the loss owns what comes after it.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of features from input to output, at least two.
    activations : sequence of Activation
        One for each hidden layer.
    dropout : sequence of float, optional
        One rate in [0, 1) for each hidden layer; none by default.
    normalization : {"batch", "layer"}, optional
        What normalizes the hidden layers' affine maps; nothing by default.
    stack : tuple of int, default=()
        Leading axes: ``(K,)`` makes K independent networks that are trained side by side.
    dtype : numpy.dtype, default=float64
        float32 or float64.
    shift : ndarray of shape (1, n_in), optional
        What is missing in each row of sparse inputs, see `Dense`; nothing by default.
    learned_scales : bool, default=False
        Whether the first layer learns a scale for each feature, see `ScaledDense`.
    layerwise_rates : bool, default=False
        Whether weights of n inputs learn at ``sqrt(100 / n)`` times the learning rate.
    embedding : Embedding, optional
        What turns the features into more of them before the first affine map; nothing by default.
        Inputs have to be dense then.
    edges : sequence of ndarray, optional
        With an embedding: for each feature the edges of its bins, or none, see `Embedding.layer`.

    Attributes
    ----------
    layers : list of Layer
        All layers in order.
    dense : list of Dense
        The affine maps among them, whose ``W`` and ``b`` are views into the parameters.
    parameters : Parameters
        The flat vector and its views.
    statistics : Parameters
        A second, smaller vector: running averages, which training moves without a gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from skscratch.nn import Network, ReLU
    >>> network = Network([4, 8, 3], [ReLU()])
    >>> network.predict(np.ones((5, 4))).shape
    (5, 3)
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activations: Sequence[Activation],
        dropout: Sequence[float] | None = None,
        *,
        normalization: str | None = None,
        stack: tuple[int, ...] = (),
        dtype: Any = np.float64,
        shift: np.ndarray | None = None,
        learned_scales: bool = False,
        layerwise_rates: bool = False,
        embedding: Embedding | None = None,
        edges: Sequence[np.ndarray] = (),
    ):
        self.sizes = tuple(sizes)
        self.activations = list(activations)
        self.dropout = [0.0] * len(self.activations) if dropout is None else list(dropout)
        self.normalization = normalization
        self.shift = None if shift is None else shift.astype(dtype)
        self.learned_scales, self.layerwise_rates = learned_scales, layerwise_rates
        self.embedding, self.edges = embedding, edges
        self.layers = self._make_layers()
        shapes = [shape for layer in self.layers for shape in layer.shapes()]
        statistic_shapes = [shape for layer in self.layers for shape in layer.statistic_shapes()]
        self.parameters = Parameters(shapes, stack, np.dtype(dtype))
        self.statistics = Parameters(statistic_shapes, stack, np.dtype(dtype))
        self._bind()
        self._reset()

    def _make_layers(self) -> list[Layer]:
        layers: list[Layer] = []
        n_in, *hidden, n_out = self.sizes
        if self.embedding is not None:
            first = self.embedding.layer(self.edges)
            layers, n_in = [first], first.n_out
        for n_units, activation, rate in zip(hidden, self.activations, self.dropout, strict=True):
            layers += [self._make_dense(n_in, n_units, layers)]
            if self.normalization is not None:
                layers += [NORMALIZATIONS[self.normalization](n_units)]
            layers += [Activate(activation, n_units)]
            if rate > 0:
                layers += [Dropout(rate, n_units)]
            n_in = n_units
        layers += [self._make_dense(n_in, n_out, layers)]
        return layers

    def _make_dense(self, n_in: int, n_out: int, before: list[Layer]) -> Dense:
        # A unit's input moves by the sum of what its weights move by, and these should not be the
        # larger the more there are.
        rate = math.sqrt(_REFERENCE_INPUTS / n_in) if self.layerwise_rates else 1.0
        if any(isinstance(layer, Dense) for layer in before):
            return Dense(n_in, n_out, rate=rate)
        first = ScaledDense if self.learned_scales else Dense
        return first(n_in, n_out, input_gradient=bool(before), shift=self.shift, rate=rate)

    def _bind(self) -> None:
        statistics = iter(self.statistics.views)
        for layer, views in zip(self.layers, self.per_layer(self.parameters), strict=True):
            layer.bind(views, [next(statistics) for _ in layer.statistic_shapes()])
        self.dense = [layer for layer in self.layers if isinstance(layer, Dense)]

    def _reset(self) -> None:
        for vector in (self.parameters.vector, self.statistics.vector):
            vector[...] = 0
        for layer in self.layers:
            layer.reset()

    def per_layer(self, parameters: Parameters) -> list[list[np.ndarray]]:
        """Group the views of ``parameters`` (or of a gradient like them) by layer."""
        views = iter(parameters.views)
        return [[next(views) for _ in layer.shapes()] for layer in self.layers]

    def snapshot(self) -> tuple[np.ndarray, np.ndarray]:
        """Copy the parameters and the running averages."""
        return self.parameters.vector.copy(), self.statistics.vector.copy()

    def restore(self, snapshot: tuple[np.ndarray, np.ndarray]) -> None:
        """Go back to what `snapshot` copied."""
        for vector, saved in zip(
            (self.parameters.vector, self.statistics.vector), snapshot, strict=True
        ):
            np.copyto(vector, saved)

    @property
    def stack(self) -> tuple[int, ...]:
        """The leading axes, ``()`` for a single network."""
        return self.parameters.vector.shape[:-1]

    @property
    def dtype(self) -> np.dtype:
        """The floating-point type of the parameters and of all computation."""
        return self.parameters.vector.dtype

    def initialize(
        self,
        initializers: Sequence[Initializer | None],
        streams: Sequence[np.random.Generator],
        bias_std: float = 0.0,
    ) -> None:
        """Draw the weights, and biases if wanted, layer after layer; all else starts where it does.

        Parameters
        ----------
        initializers : sequence of Initializer or None
            One for each affine map; None lets its weights start at 0.
        streams : sequence of numpy.random.Generator
            One for each network of the stack.
        bias_std : float, default=0.0
            Standard deviation of the hidden layers' biases, normal with mean 0. Those of the last
            layer start at 0.
        """
        self._reset()
        for index, stream in zip(np.ndindex(self.stack), streams, strict=True):
            for layer in self.layers:
                layer.draw(index, stream)
            for layer, initializer in zip(self.dense, initializers, strict=True):
                if initializer is not None:
                    layer.W[index] = initializer.sample(stream, layer.n_in, layer.n_out)
                if bias_std and layer is not self.dense[-1]:
                    layer.b[index] = bias_std * stream.standard_normal((1, layer.n_out))

    def forward(self, X: np.ndarray, workspace: "Workspace") -> np.ndarray:
        """Return the logits, of shape (..., batch, n_out), for X of shape (batch, n_in)."""
        for layer, cache in workspace.forward_order:
            X = layer.forward(X, cache)
        return X

    def backward(self, dZ: np.ndarray, workspace: "Workspace") -> None:
        """Write dL/dparameters to ``workspace.gradient``, given dL/dlogits of the last forward."""
        for layer, cache in workspace.backward_order:
            dZ = layer.backward(dZ, cache)

    def predict(
        self,
        X: Any,
        rows: np.ndarray | None = None,
        decode: Callable[[np.ndarray], np.ndarray] | None = None,
        prepare: Callable[[Any], Any] | None = None,
    ) -> np.ndarray:
        """Return the logits for X, or what they stand for, computed block by block.

        Parameters
        ----------
        X : ndarray or sparse CSR matrix of shape (n_samples, n_in)
            The inputs, of any real dtype.
        rows : ndarray of int, optional
            Indices of the rows to take, all by default. It spares a copy of a validation part.
        decode : callable, optional
            Turns logits of shape (..., batch, n_out), in float64, into predictions of shape
            (..., batch, n_predicted) and leaves the logits alone. It is called for each block, so
            that no more than the predictions exist for all rows.
        prepare : callable, optional
            Turns rows of X into the network's inputs, of its dtype, block by block; by default they
            are its inputs already, up to the dtype.

        Returns
        -------
        predictions : ndarray of shape (..., n_samples, n_predicted)
            The logits in float64, or what ``decode`` made of them, in its dtype.

        Raises
        ------
        ValueError
            If X has values that are too large for the network's dtype.
        """
        n_samples = X.shape[0] if rows is None else len(rows)
        # Sparse rows take no room of their own.
        widest = max(self.sizes if isinstance(X, np.ndarray) else self.sizes[1:])
        if isinstance(self.layers[0], EmbeddingLayer):
            widest = max(widest, self.layers[0].widest)
        n_rows = max(_LEAST_ROWS, min(_MANY_ROWS, _BLOCK_ELEMENTS // widest))
        together = max(widest, sum(self.sizes[1:]))
        n_rows = max(1, min(n_samples, max(n_rows, _NARROW_BLOCK_ELEMENTS // together)))
        workspace = Workspace(self, n_rows)
        predictions: Any = None
        for start in range(0, max(1, n_samples), n_rows):
            part = slice(start, start + n_rows)
            block = X[part if rows is None else rows[part]]
            block = cast(block, self.dtype) if prepare is None else prepare(block)
            Z = self.forward(block, workspace.for_rows(block.shape[0]))
            decoded = Z.astype(np.float64, copy=False)
            if decode is not None:
                decoded = decode(decoded)
            if predictions is None:  # the first block tells their number and dtype
                shape = (*self.stack, n_samples, decoded.shape[-1])
                predictions = np.empty(shape, decoded.dtype)
            predictions[..., part, :] = decoded
        return predictions

    def __getstate__(self) -> dict[str, Any]:
        # The layers hold views, which would come back as copies: they are made anew instead.
        kept = (
            "sizes",
            "activations",
            "dropout",
            "normalization",
            "shift",
            "learned_scales",
            "layerwise_rates",
            "embedding",
            "edges",
            "parameters",
            "statistics",
        )
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.layers = self._make_layers()
        self._bind()


def cast(X: Any, dtype: np.dtype) -> Any:
    """Return X in another dtype, or X itself if it has it.

    Raises
    ------
    ValueError
        If a value is too large for the dtype.
    """
    try:
        with np.errstate(over="raise"):
            return X.astype(dtype, copy=False)
    except FloatingPointError as error:
        raise ValueError(
            f"There are values beyond the range of {dtype}, which ends at "
            f"{np.finfo(dtype).max:.2g}. Scale the data, or train with dtype='float64'."
        ) from error


class Workspace:
    """Everything that forward and backward passes of one batch size write to.

    Parameters
    ----------
    network : Network
        The network to compute.
    n_rows : int
        Rows of a batch.
    training : bool, default=False
        Whether there will be backward passes.
    streams : sequence of numpy.random.Generator, default=()
        The dropout streams, one for each network of the stack.

    Attributes
    ----------
    context : SimpleNamespace
        What the layers share: ``streams``, and ``weights``, the current batch's row weights or
        None, which the training step sets.
    gradient : Parameters or None
        dL/dparameters, shaped like the network's.
    dZ : ndarray of shape (..., n_rows, n_out) or None
        Room for dL/dlogits.
    scratch : ndarray of shape (..., n) or None
        Room for one result for a block of the weights.
    """

    def __init__(
        self,
        network: Network,
        n_rows: int,
        *,
        training: bool = False,
        streams: Sequence[np.random.Generator] = (),
    ):
        self._network, self._n_rows = network, n_rows
        self.context = SimpleNamespace(streams=streams, weights=None)
        self._smaller: dict[int, Workspace] = {}
        self._arrays: list[np.ndarray] = []
        # Any, since whoever trains may rely on them.
        self.gradient: Any = network.parameters.like() if training else None
        weights = network.parameters.penalized
        self.scratch: Any = np.empty_like(weights[..., :BLOCK]) if training else None
        self._prepare(self._allocate)

    def _allocate(self, width: int) -> np.ndarray:
        shape = (*self._network.stack, self._n_rows, width)
        self._arrays.append(np.empty(shape, self._network.dtype))
        return self._arrays[-1]

    def _prepare(self, room) -> None:
        network, layers = self._network, self._network.layers
        gradients: Sequence[Sequence[np.ndarray] | None] = [None] * len(layers)
        if self.gradient is not None:
            gradients = network.per_layer(self.gradient)
        self.caches: list[SimpleNamespace] = [
            layer.prepare(room, views, self.context)
            for layer, views in zip(layers, gradients, strict=True)
        ]
        self.forward_order = list(zip(layers, self.caches, strict=True))
        self.backward_order = self.forward_order[::-1]
        self.dZ: Any = room(network.sizes[-1]) if self.gradient is not None else None

    def for_rows(self, n_rows: int) -> "Workspace":
        """Return this workspace, or one for fewer rows that shares its memory.

        The layers ask for the same arrays in the same order, so that each gets the first rows
        of the one it got here. A run meets two sizes, full batches and the last one; both are
        made once.
        """
        if n_rows == self._n_rows:
            return self
        if n_rows not in self._smaller:
            smaller = object.__new__(Workspace)
            smaller.__dict__.update(self.__dict__)
            smaller._n_rows = n_rows
            arrays = iter(self._arrays)
            smaller._prepare(lambda width: next(arrays)[..., :n_rows, :])
            self._smaller[n_rows] = smaller
        return self._smaller[n_rows]
