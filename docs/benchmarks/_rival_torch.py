"""The same training in PyTorch, eager, written as its users write it where speed matters."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from _common import blas_threads
from _floor import time_products

torch.set_num_threads(blas_threads())


def make_module(sizes: tuple[int, ...]) -> nn.Sequential:
    """Return the network, from inputs to logits."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def prepare(X: np.ndarray, y: np.ndarray, shape: Any) -> Callable[[], list[float]]:
    """Return a function that fits, and returns each epoch's mean loss."""

    def fit() -> list[float]:
        torch.manual_seed(0)
        inputs, targets = torch.from_numpy(X), torch.from_numpy(y)
        module = make_module(shape.sizes)
        # The penalty's gradient, without the time to add the penalty to the loss.
        decay = shape.l2 / shape.batch_size
        weights = [p for p in module.parameters() if p.ndim == 2]
        biases = [p for p in module.parameters() if p.ndim == 1]
        optimizer = torch.optim.Adam(
            [{"params": weights, "weight_decay": decay}, {"params": biases}],
            lr=shape.learning_rate,
            fused=True,
        )
        criterion: nn.Module = nn.CrossEntropyLoss()
        if shape.sizes[-1] == 1:
            criterion, targets = nn.BCEWithLogitsLoss(), targets.to(torch.float32)[:, None]
        losses = []
        for _ in range(shape.epochs):
            total = 0.0
            for rows in torch.randperm(shape.n_samples).split(shape.batch_size):
                optimizer.zero_grad()
                loss = criterion(
                    module(inputs.index_select(0, rows)), targets.index_select(0, rows)
                )
                loss.backward()
                optimizer.step()
                total += loss.item() * len(rows)
            losses.append(total / shape.n_samples)
        return losses

    return fit


def products_per_step(shape: Any, epochs: int) -> float:
    """Return the time of a step's matrix products in float32 by PyTorch's own BLAS."""
    with torch.inference_mode():
        return time_products(torch.mm, shape, "float32", epochs, torch.from_numpy, transposed=True)
