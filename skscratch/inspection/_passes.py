"""One forward and backward pass of a fitted estimator, with everything in between kept."""

import copy
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone, is_classifier
from sklearn.utils.validation import check_is_fitted

from .._base import BaseScratchMLP
from .._fitting.inputs import check_data
from ..nn.embeddings import EmbeddingLayer
from ..nn.layers import Activate, Dense, Dropout, Layer
from ..nn.network import Network
from ..nn.normalization import BatchNorm, LayerNorm
from ..nn.options import check_integer
from ..nn.parameters import Parameters
from ..nn.rows import SparseBlock
from ..nn.workspace import Workspace


@dataclass
class Passes:
    """What the layers made of some rows, and for known targets the gradients on the way back.

    Attributes
    ----------
    network : Network
        A copy of the estimator's network without dropout, in float64. Its layers and all lists
        below are in the same order.
    names : list of str
        Names of the layers, such as ``"dense 1"``, ``"activation 1"``, ``"dense 2"``. The number
        is that of the affine map that a layer belongs to, from 1.
    inputs : ndarray or SparseBlock of shape (n_samples, n_features)
        The network's inputs: X after feature scaling.
    outputs : list of ndarray of shape (n_samples, n_units)
        Each layer's output; the last one is the logits.
    targets : ndarray of shape (n_samples, n_outputs) or None
        The encoded targets, smoothed as in training.
    weights : ndarray of shape (n_samples, 1) or (n_samples, n_outputs), or None
        Weights of the rows, or of each output in each row, with mean 1; None means 1 everywhere.
    loss : float or None
        The mean loss of the rows, without penalty.
    output_gradients : list of ndarray of shape (n_samples, n_units) or None
        dL/d(output) of each layer.
    gradient : Parameters or None
        dL/d(parameters), like ``network.parameters``; `Network.per_layer` splits it.
    """

    network: Network
    names: list[str]
    inputs: Any
    outputs: list[np.ndarray]
    # Any, since whoever passes targets may rely on them.
    targets: Any = None
    weights: np.ndarray | None = None
    loss: Any = None
    output_gradients: Any = None
    gradient: Any = None


def check_estimator_is_ours(estimator: Any) -> BaseScratchMLP:
    """Return the estimator, if it is a fitted one of ours.

    Raises
    ------
    TypeError
        If it is no ScratchMLPClassifier or ScratchMLPRegressor.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    if not isinstance(estimator, BaseScratchMLP):
        raise TypeError(
            "estimator must be a ScratchMLPClassifier or a ScratchMLPRegressor, got one of type "
            f"{type(estimator).__name__}. Of a pipeline pass the last step, pipeline[-1], and X as "
            "the steps before it make it: pipeline[:-1].transform(X)."
        )
    check_is_fitted(estimator, "network_")
    return estimator


def one_network(estimator: Any, member: Any) -> Any:
    """Return a copy of a fitted estimator that has one of its networks alone, as views.

    It predicts what this network does, at the temperature of all.

    Raises
    ------
    ValueError, TypeError
        If there is no such network, or if the estimator is none of ours.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    estimator = check_estimator_is_ours(estimator)
    alone = copy.copy(estimator)
    alone._trained = estimator._fitted.member(check_member(estimator.network_, member))
    return alone


def check_member(network: Network, member: Any) -> int:
    """Return the number of a network of a stack, or raise if there is none of that number."""
    number, n_networks = check_integer("member", member, 0), prod(network.stack)
    if number >= n_networks:
        numbers = "0, as there is one network" if n_networks == 1 else f"from 0 to {n_networks - 1}"
        raise ValueError(f"member must be {numbers}, got {number}.")
    return number


def name_member(network: Network, member: int) -> str:
    """Say in a title which network it is about, if there are several."""
    return f", member={member} of {prod(network.stack)} networks" if network.stack else ""


def clone_for_all_rows(estimator: BaseScratchMLP) -> Any:
    """Clone an estimator so that it trains on all rows it gets, once, and tells nobody of it."""
    cloned = clone(estimator).set_callbacks()
    cloned.set_params(n_networks=1, cv=None, early_stopping=False, verbose=False)
    return cloned.set_params(calibrate=False) if is_classifier(cloned) else cloned


def run_passes(
    estimator: Any, X: Any, y: Any = None, sample_weight: Any = None, most_rows: int | None = None
) -> Passes:
    """Pass rows through a single fitted network, and back again if their targets are known.

    The estimator stays as it is, dropout is off, and all is computed in float64. Without targets
    batch normalization goes by its running averages, as in prediction; with them, by the averages
    of these rows, as in training.

    Parameters
    ----------
    estimator : ScratchMLPClassifier or ScratchMLPRegressor
        A fitted estimator, of several networks what `one_network` returns.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The inputs, as `predict` takes them.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
        The targets. Without them there is no way back.
    sample_weight : array-like of shape (n_samples,), optional
        Weights of the rows.
    most_rows : int, optional
        Take so many rows at most, evenly spaced; all by default.

    Returns
    -------
    passes : Passes
        What was computed on the way.
    """
    estimator = check_estimator_is_ours(estimator)
    Y = weights = None
    if y is None:
        X = estimator._validate_input(X)
        X = X.tocsr() if issparse(X) else X
    else:
        X, y, sample_weight = check_data(
            estimator, X, y, sample_weight, estimator._clean_target, reset=False
        )
    X, y, sample_weight = some_rows(most_rows, X, y, sample_weight)
    double = np.dtype(np.float64)
    if y is not None:
        encoded = estimator._target.encode(y, np.float64)
        Y = np.asarray(estimator._target.soften(encoded))
        weights = estimator._target.weigh(encoded, sample_weight)
        weights = None if weights is None else weights / weights.mean()
    scaler = estimator.feature_scaler_
    inputs = X if scaler is None else scaler.transform(X)
    if issparse(X):
        inputs = SparseBlock(inputs, None if scaler is None else scaler.shift_)
    else:
        inputs = np.asarray(inputs, double)
    network = copy_without_dropout(estimator.network_)
    return pass_through(network, estimator._fitted.learners[0].loss, inputs, Y, weights)


def some_rows(most_rows: int | None, *arrays: Any) -> tuple[Any, ...]:
    """Return so many rows of each array at most, evenly spaced; an array may be None."""
    n_rows = arrays[0].shape[0]
    if most_rows is None or n_rows <= most_rows:
        return arrays
    rows = np.linspace(0, n_rows - 1, most_rows).astype(int)
    return tuple(None if array is None else array[rows] for array in arrays)


def copy_without_dropout(network: Network, dtype: Any = np.float64) -> Network:
    """Copy a network, in a precision of choice, without its dropout layers."""
    copied = Network(replace(network.architecture, dropout=()), dtype=dtype)
    copied.restore(network.snapshot())
    return copied


def pass_through(
    network: Network, loss: Any, inputs: Any, Y: np.ndarray | None, weights: np.ndarray | None
) -> Passes:
    """Pass inputs through a network, and back if there are targets, as `run_passes` does.

    Without targets there may be no loss, None.

    Layers write to buffers that others overwrite, so that each result is copied at once.
    """
    running = network.snapshot()
    workspace = Workspace(network, inputs.shape[0], training=Y is not None)
    workspace.context.weights = weights  # batch normalization averages by them
    outputs, A = [], inputs
    for layer, cache in workspace.forward_order:
        A = layer.forward(A, cache)
        outputs.append(np.array(A))
    passes = Passes(network, layer_names(network), inputs, outputs)
    if Y is not None:
        passes.targets, passes.weights = Y, weights
        passes.loss = float(loss.value_and_gradient(A, Y, weights, workspace.dZ))
        dA, gradients = workspace.dZ, []
        for layer, cache in workspace.backward_order:
            gradients.append(np.array(dA))
            dA = layer.backward(dA, cache)
        passes.output_gradients, passes.gradient = gradients[::-1], workspace.gradient
        network.restore(running)  # batch normalization has moved its running averages
    return passes


def layer_names(network: Network) -> list[str]:
    """Name each layer by its kind and the number of the affine map that it belongs to, if any."""
    names, number = [], 0
    for layer in network.layers:
        number += isinstance(layer, Dense)
        kind = next(kind for cls, kind in _KINDS.items() if isinstance(layer, cls))
        names.append(f"{kind} {number}" if number else kind)
    return names


def number_in(name: str) -> str:
    """Return what a layer's symbols end in: the number in its name, or E for an embedding."""
    return "".join(filter(str.isdigit, name)) or "E"


def named_parameters(network: Network, parameters: Parameters) -> list[dict[str, np.ndarray]]:
    """Group a network's parameters, or a gradient like them, by layer and by name.

    The names are those of the layers' attributes, such as ``"W"`` and ``"b"``.
    """
    grouped = []
    for layer, own, views in zip(
        network.layers,
        network.per_layer(network.parameters),
        network.per_layer(parameters),
        strict=True,
    ):
        names = [next(k for k, v in vars(layer).items() if v is array) for array in own]
        grouped.append(dict(zip(names, views, strict=True)))
    return grouped


_KINDS: dict[type[Layer], str] = {
    EmbeddingLayer: "embedding",
    Dense: "dense",
    BatchNorm: "batch norm",
    LayerNorm: "layer norm",
    Activate: "activation",
    Dropout: "dropout",
}
