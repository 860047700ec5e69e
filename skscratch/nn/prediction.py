"""Prediction: forward passes, block by block, in constant memory.

Explained in the course: neuron.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .blocks import ELEMENTS, LEAST_ROWS, MANY_ROWS, TOGETHER
from .rows import DenseRows, as_rows
from .workspace import Workspace


def predict(
    network: Any,
    X: Any,
    rows: np.ndarray | None = None,
    decode: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Compute a network's logits or predictions, see `Network.predict`."""
    source = as_rows(X, network.dtype)
    n_samples = source.shape[0] if rows is None else rows.shape[-1]
    own = rows is not None and rows.ndim > 1  # each network has rows of its own
    side_by_side = math.prod(network.stack)
    dense = isinstance(source, DenseRows)
    # Sparse rows are not copied into an array of their own.
    widest = max(*(layer.widest for layer in network.layers), source.shape[1] if dense else 1)
    n_rows = max(LEAST_ROWS, min(MANY_ROWS, ELEMENTS // (side_by_side * widest)))
    # A narrow network takes more rows at once, as far as all its arrays stay small together.
    n_rows = max(n_rows, TOGETHER // (side_by_side * max(widest, sum(network.sizes[1:]))))
    n_rows = max(1, min(n_samples, n_rows))
    workspace = Workspace(network, n_rows)
    room = None
    if source.needs_room(gathered=rows is not None):
        room = np.empty((n_rows * (side_by_side if own else 1), source.shape[1]), network.dtype)
    predictions: Any = None
    for start in range(0, max(1, n_samples), n_rows):
        part = slice(start, min(start + n_rows, n_samples))
        chosen: Any = part if rows is None else rows[..., part]
        block: Any = source.take(chosen.ravel() if own else chosen, room)
        if own:
            block = block.reshape(*chosen.shape, block.shape[-1])
        Z = network.forward(block, workspace.for_rows(block.shape[-2]))
        decoded = Z.astype(np.float64, copy=False)
        if decode is not None:
            decoded = decode(decoded)
        if predictions is None:  # the first block shows their width and dtype
            shape = (*decoded.shape[:-2], n_samples, decoded.shape[-1])
            predictions = np.empty(shape, decoded.dtype)
        predictions[..., part, :] = decoded
    return predictions
