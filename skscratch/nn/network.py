"""The network: a chain of layers over one parameter vector.

Explained in the course: backpropagation, initialization, depth, committee.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from .activations import Activation
from .embeddings import Embedding
from .initializers import Initializer
from .layers import Activate, Dense, Dropout, Layer
from .normalization import NORMALIZATIONS
from .parameters import Parameters
from .prediction import predict
from .scaled_dense import ScaledDense
from .workspace import Workspace


@dataclass(frozen=True, eq=False)
class Architecture:
    """The structure of a network.

    Each hidden layer is an affine map, optional normalization, an activation and optional dropout.
    The last layer is an affine map alone; the function that turns its logits into predictions
    belongs to the loss.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of features, hidden units and outputs, in this order.
    activations : sequence of Activation
        One for each hidden layer.
    dropout : sequence of float, default=()
        A probability in [0, 1) for each hidden layer; no dropout by default. In a stack, a
        probability may be an array of shape (..., 1).
    normalization : {"batch", "layer"}, optional
        Normalization of the hidden layers; none by default.
    learned_scales : bool, default=False
        Whether the first layer learns a scale for each feature, see `ScaledDense`.
    pace : float, default=20.0
        How many times as far as other parameters the scales move in a step of Adam.
    embedding : Embedding, optional
        Embedding of the features before the first affine map; none by default. Inputs must be
        dense.
    edges : sequence of ndarray, default=()
        Each feature's bin edges, for the embedding, see `Embedding.layer`.
    """

    sizes: Sequence[int]
    activations: Sequence[Activation] = ()
    dropout: Sequence[Any] = ()
    normalization: str | None = None
    learned_scales: bool = False
    pace: float = ScaledDense.pace
    embedding: Embedding | None = None
    edges: Sequence[np.ndarray] = ()

    def layers(self) -> list[Layer]:
        """Make the layers, in order."""
        layers: list[Layer] = []
        n_in, *hidden, n_out = self.sizes
        if self.embedding is not None:
            first = self.embedding.layer(self.edges)
            layers, n_in = [first], first.n_out
        affine: Any = partial(ScaledDense, pace=self.pace) if self.learned_scales else Dense
        dropouts = self.dropout or [0.0] * len(hidden)
        for n_units, activation, dropout in zip(hidden, self.activations, dropouts, strict=True):
            layers.append(affine(n_in, n_units, input_gradient=bool(layers)))
            if self.normalization is not None:
                layers.append(NORMALIZATIONS[self.normalization](n_units))
            layers.append(Activate(activation, n_units))
            if np.any(np.greater(dropout, 0)):
                layers.append(Dropout(dropout, n_units))
            affine, n_in = Dense, n_units
        layers.append(affine(n_in, n_out, input_gradient=bool(layers)))
        return layers

    def member(self, index: tuple[int, ...]) -> "Architecture":
        """Return the architecture of one network of a stack."""
        own = [each[index] if np.ndim(each) else each for each in self.dropout]
        own = [float(each[0]) if np.size(each) == 1 and np.ndim(each) else each for each in own]
        return replace(self, dropout=own)


class Network:
    """A multilayer perceptron from inputs to logits, or several of them side by side.

    Parameters
    ----------
    architecture : Architecture
        The structure, the same for all.
    stack : tuple of int, default=()
        Leading axes: ``(K,)`` makes K independent networks that are trained side by side.
    dtype : numpy.dtype, default=float64
        float32 or float64.

    Attributes
    ----------
    layers : list of Layer
        All layers in order.
    dense : list of Dense
        The affine maps among them, with the weights ``W`` and biases ``b``.
    parameters : Parameters
        All parameters, in one flat vector.
    statistics : Parameters
        A second vector, of the running averages in batch normalization.

    Examples
    --------
    >>> import numpy as np
    >>> from skscratch.nn import Architecture, Network, ReLU
    >>> network = Network(Architecture([4, 8, 3], [ReLU()]))
    >>> network.predict(np.ones((5, 4))).shape
    (5, 3)
    >>> network
    Network(4 → 8 → 3, 67 parameters, float64)
      Dense(4, 8)
      Activate(ReLU(), 8)
      Dense(8, 3)
    """

    def __init__(
        self, architecture: Architecture, stack: tuple[int, ...] = (), dtype: Any = np.float64
    ):
        layers = architecture.layers()
        shapes = [shape for layer in layers for shape in layer.shapes()]
        statistics = [shape for layer in layers for shape in layer.statistic_shapes()]
        dtype = np.dtype(dtype)
        self.architecture = architecture
        self.parameters = Parameters.zeros(shapes, stack, dtype)
        self.statistics = Parameters.zeros(statistics, stack, dtype)
        self._bind(layers)
        self._reset()

    def _bind(self, layers: list[Layer]) -> None:
        """Give each layer its views into the two vectors."""
        self.layers = layers
        statistics = iter(self.statistics.views)
        for layer, views in zip(layers, self.per_layer(self.parameters), strict=True):
            layer.bind(views, [next(statistics) for _ in layer.statistic_shapes()])
        self.dense = [layer for layer in layers if isinstance(layer, Dense)]

    def _reset(self) -> None:
        for vector in self.vectors:
            vector[...] = 0
        for layer in self.layers:
            layer.reset()

    def per_layer(self, parameters: Parameters) -> list[list[np.ndarray]]:
        """Group the views of ``parameters`` (or of a gradient like them) by layer."""
        views = iter(parameters.views)
        return [[next(views) for _ in layer.shapes()] for layer in self.layers]

    @property
    def vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """All numbers of the network: parameters and running averages."""
        return self.parameters.vector, self.statistics.vector

    def snapshot(self) -> tuple[np.ndarray, ...]:
        """Copy the parameters and the running averages."""
        return tuple(vector.copy() for vector in self.vectors)

    def restore(self, snapshot: tuple[np.ndarray, ...]) -> None:
        """Copy a snapshot back."""
        for vector, saved in zip(self.vectors, snapshot, strict=True):
            np.copyto(vector, saved)

    def member(self, index: tuple[int, ...]) -> "Network":
        """Return one network of the stack as a view, so changes in either show in the other."""
        member = object.__new__(Network)
        member.__setstate__(
            {
                "architecture": self.architecture.member(index),
                "parameters": self.parameters.member(index),
                "statistics": self.statistics.member(index),
            }
        )
        return member

    def part(self, chosen: Any) -> "Network":
        """Return some networks of a stack with one axis: of a slice as views, of indices copied."""
        return self.member((chosen,))

    def __repr__(self) -> str:
        facts = [" → ".join(map(str, self.sizes))]
        facts += [f"{self.parameters.vector.shape[-1]:,} parameters", str(self.dtype)]
        facts += [f"stack={self.stack}"] if self.stack else []
        return "\n  ".join([f"Network({', '.join(facts)})", *map(repr, self.layers)])

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of features from input to output."""
        return tuple(self.architecture.sizes)

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
    ) -> None:
        """Draw the weights, layer after layer, and reset all other numbers.

        Parameters
        ----------
        initializers : sequence of Initializer or None
            One for each affine map; None sets its weights to 0.
        streams : sequence of numpy.random.Generator
            One for each network of the stack.
        """
        self._reset()
        for index, stream in zip(np.ndindex(self.stack), streams, strict=True):
            for layer in self.layers:
                layer.draw(index, stream)
            for layer, initializer in zip(self.dense, initializers, strict=True):
                if initializer is not None:
                    layer.W[index] = initializer.sample(stream, layer.n_in, layer.n_out)

    def forward(self, X: Any, workspace: Workspace) -> np.ndarray:
        """Return the logits, of shape (..., batch, n_out), for X of shape (..., batch, n_in)."""
        for layer, cache in workspace.forward_order:
            X = layer.forward(X, cache)
        return X

    def backward(self, dZ: np.ndarray, workspace: Workspace) -> None:
        """Write the gradient to ``workspace.gradient``, given dL/dlogits of the last `forward`."""
        for layer, cache in workspace.backward_order:
            dZ = layer.backward(dZ, cache)

    def predict(
        self,
        X: Any,
        rows: np.ndarray | None = None,
        decode: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> np.ndarray:
        """Return the logits or decoded predictions for X, computed in blocks of rows.

        Parameters
        ----------
        X : ndarray, sparse CSR matrix or Rows, of shape (n_samples, n_in)
            The inputs, of any real dtype.
        rows : ndarray of int, optional
            Indices of the rows to predict, by default all. No copy of X is made.
        decode : callable, optional
            Turns float64 logits of shape (..., batch, n_out) into predictions of shape
            (..., batch, n_predicted), without changing the logits. It is called for each block, so
            only the predictions ever exist for all rows.

        Returns
        -------
        predictions : ndarray of shape (..., n_samples, n_predicted)
            The logits in float64, or the decoded predictions in their dtype.

        Raises
        ------
        ValueError
            If a value in X is too large for the network's dtype.
        """
        return predict(self, X, rows, decode)

    def __getstate__(self) -> dict[str, Any]:
        # Pickle would turn the layers' views into copies, so loading makes new layers.
        return {name: self.__dict__[name] for name in ("architecture", "parameters", "statistics")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bind(self.architecture.layers())
