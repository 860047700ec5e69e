"""The nodes of a network's layers: what each computes in prediction, in ONNX's operators.

Several networks have arrays with one more axis in front, as they have in NumPy; MatMul and the
element-wise operators broadcast over it.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .._fitting.scaling import BOUND, RobustSmoothClip
from ..nn.activations import (
    ELU,
    GELU,
    SELU,
    Activation,
    Identity,
    LeakyReLU,
    Logistic,
    Mish,
    ReLU,
    SiLU,
    Softplus,
    Tanh,
)
from ..nn.embeddings import EmbeddingLayer, PeriodicEmbedding, PiecewiseLinearEmbedding
from ..nn.layers import Activate, Dense, Dropout, Layer
from ..nn.normalization import BatchNorm, LayerNorm

FAR = 1e9
"""From here on the smooth clip rounds to its bound."""


class Graph:
    """The graph under construction: calling it adds a node.

    Parameters
    ----------
    scope, container : object
        skl2onnx's, which invent names and collect nodes.
    dtype : numpy.dtype
        The type of real constants.
    """

    def __init__(self, scope: Any, container: Any, dtype: np.dtype):
        self.scope, self._container, self.dtype = scope, container, dtype

    def __call__(
        self, kind: str, *inputs: Any, output: str | None = None, **attributes: Any
    ) -> str:
        """Add a node and return its output's name; inputs are names, or constants to be added."""
        names = [item if isinstance(item, str) else self._constant(item) for item in inputs]
        if output is None:
            output = self.scope.get_unique_variable_name(kind.lower())
        name = self.scope.get_unique_operator_name(kind)
        self._container.add_node(kind, names, [output], name=name, **attributes)
        return output

    def cast(self, X: str, dtype: np.dtype, output: str | None = None) -> str:
        """Add a node that casts to ``dtype``."""
        from onnx.helper import np_dtype_to_tensor_dtype

        return self("Cast", X, output=output, to=np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def _constant(self, value: Any) -> str:
        from onnx import TensorProto
        from onnx.numpy_helper import from_array

        value = np.asarray(value)
        name = self.scope.get_unique_variable_name("constant")
        if value.dtype.kind == "U":
            encoded = [text.encode() for text in value.tolist()]
            self._container.add_initializer(name, TensorProto.STRING, value.shape, encoded)
            return name
        if value.dtype.kind == "f":
            value = value.astype(self.dtype)
        self._container.add_initializer(name, None, None, from_array(np.ascontiguousarray(value)))
        return name


# From the inputs to the last hidden layer ---------------------------------------------------------


def add_scaling(graph: Graph, scaler: RobustSmoothClip, X: str) -> str:
    """Add the nodes of the features' scaling."""
    # As in RobustSmoothClip, distances are rounded to float32 and not the values themselves.
    dtype, graph.dtype = graph.dtype, np.dtype(np.float64)
    X = graph("Sub", graph.cast(X, graph.dtype), scaler.center_)
    X = graph("Clip", graph("Mul", X, scaler.scale_), -FAR, FAR)
    X, graph.dtype = graph.cast(X, dtype), dtype
    share = graph("Mul", X, 1 / BOUND)
    root = graph("Sqrt", graph("Add", graph("Mul", share, share), 1.0))
    return graph("Div", X, root)


def add_layer(graph: Graph, layer: Layer, X: str) -> str:
    """Add the nodes of a hidden layer or of an embedding."""
    if isinstance(layer, Dense):
        return add_affine(graph, X, layer.coefficients, layer.b)
    if isinstance(layer, BatchNorm):
        scale = layer.gamma / np.sqrt(layer.variance.astype(np.float64) + layer.epsilon)
        return graph("Add", graph("Mul", graph("Sub", X, layer.mean), scale), layer.beta)
    if isinstance(layer, LayerNorm):
        normal = graph("LayerNormalization", X, np.ones(layer.n_units), epsilon=layer.epsilon)
        return graph("Add", graph("Mul", normal, layer.gamma), layer.beta)
    if isinstance(layer, Activate):
        return _activate(graph, layer.activation, X)
    if isinstance(layer, EmbeddingLayer):
        return _embed(graph, layer, X)
    assert isinstance(layer, Dropout)
    return X


def add_affine(graph: Graph, X: str, W: np.ndarray, b: np.ndarray) -> str:
    """Add the nodes of X W + b, of each network."""
    return graph("Add", graph("MatMul", X, W), b)


def _embed(graph: Graph, layer: EmbeddingLayer, X: str) -> str:
    n_features, n_functions, n_outputs = len(layer.embedded), layer.n_functions, layer.n_outputs
    if n_features == 0:
        return X
    x = graph("Gather", X, layer.embedded.astype(np.int64), axis=1)
    # From here on the axes are features, batch, functions, after that of the networks, if any.
    x = graph("Unsqueeze", graph("Transpose", x, perm=[1, 0]), np.array([2]))
    if isinstance(layer, PeriodicEmbedding):
        P = graph("Mul", x, 2 * math.pi * layer.w[..., np.newaxis, :])
        # Not every ONNX Runtime has a cosine in double precision, but all have a sine.
        H = graph("Sin", graph("Add", P, layer.b[..., np.newaxis, :] + math.pi / 2))
    else:
        assert isinstance(layer, PiecewiseLinearEmbedding)
        ramps = graph("Mul", graph("Sub", x, layer.middle.mT), layer.slope.mT)
        H = graph("Clip", ramps, -0.5, 0.5)
    stack = layer.a.shape[:-2]
    E = graph("MatMul", H, layer.a.reshape(*stack, n_features, n_functions, n_outputs))
    E = graph("Transpose", E, perm=[0, 2, 1, 3] if stack else [1, 0, 2])
    # 0 keeps the number of networks, and of rows.
    E = graph("Reshape", E, np.array([0] * len(stack) + [0, n_features * n_outputs]))
    if stack:
        X = graph("Expand", X, np.array([*stack, 1, 1]))
    return graph("Concat", X, E, axis=-1)


# Activations --------------------------------------------------------------------------------------


def _activate(graph: Graph, activation: Activation, Z: str) -> str:
    if type(activation) not in ACTIVATION_NODES:
        known = ", ".join(sorted(item.__name__ for item in ACTIVATION_NODES))
        raise ValueError(
            f"The activation {activation!r} has no ONNX form here. Those that have one are {known}."
        )
    return ACTIVATION_NODES[type(activation)](graph, Z, activation)


# ONNX Runtime has no double-precision kernels of Selu (nor of Elu, which is the same with another
# scale) and Softplus; older ones fuse z s(z) to a node that they have none of either. Mish and Gelu
# came late to ONNX.


def _exponential_unit(graph: Graph, Z: str, activation: Any) -> str:
    alpha, scale = activation.alpha, activation.scale
    if graph.dtype == np.float32:
        return graph("Selu", Z, alpha=alpha, gamma=scale)
    negative = graph("Sub", graph("Exp", graph("Min", Z, 0.0)), 1.0)
    positive = graph("Max", Z, 0.0)
    return graph("Mul", graph("Add", positive, graph("Mul", negative, alpha)), scale)


def _softplus(graph: Graph, Z: str, activation: Any) -> str:
    if graph.dtype == np.float32:
        return graph("Softplus", Z)
    # log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|))
    rest = graph("Log", graph("Add", graph("Exp", graph("Neg", graph("Abs", Z))), 1.0))
    return graph("Add", graph("Max", Z, 0.0), rest)


def _mish(graph: Graph, Z: str, activation: Any) -> str:
    return graph("Mul", Z, graph("Tanh", _softplus(graph, Z, activation)))


def _silu(graph: Graph, Z: str, activation: Any) -> str:
    if graph.dtype == np.float32:
        return graph("Mul", Z, graph("Sigmoid", Z))
    return graph("Div", Z, graph("Add", graph("Exp", graph("Neg", Z)), 1.0))


def _leaky_relu(graph: Graph, Z: str, activation: Any) -> str:
    return graph("Add", Z, graph("Mul", graph("Min", Z, 0.0), activation.slope - 1))


def _gelu(graph: Graph, Z: str, activation: Any) -> str:
    square = graph("Mul", Z, Z)
    factor = graph("Add", graph("Mul", square, activation._c * activation._cubic), activation._c)
    T = graph("Tanh", graph("Mul", factor, Z))
    return graph("Mul", graph("Mul", graph("Add", T, 1.0), Z), 0.5)


ACTIVATION_NODES: dict[type[Activation], Callable[[Graph, str, Any], str]] = {
    Identity: lambda graph, Z, activation: Z,
    Logistic: lambda graph, Z, activation: graph("Sigmoid", Z),
    Tanh: lambda graph, Z, activation: graph("Tanh", Z),
    ReLU: lambda graph, Z, activation: graph("Relu", Z),
    LeakyReLU: _leaky_relu,
    ELU: _exponential_unit,
    SELU: _exponential_unit,
    GELU: _gelu,
    SiLU: _silu,
    Mish: _mish,
    Softplus: _softplus,
}
