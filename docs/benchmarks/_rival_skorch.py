"""The same training by skorch, PyTorch in scikit-learn's form."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from _rival_torch import make_module


def prepare(X: np.ndarray, y: np.ndarray, shape: Any) -> Callable[[], list[float]]:
    """Return a function that fits, and returns each epoch's mean loss."""
    common = {
        "module": make_module,
        "module__sizes": shape.sizes,
        "optimizer": torch.optim.Adam,
        "optimizer__fused": True,
        "optimizer__weight_decay": shape.l2 / shape.batch_size,
        "optimizer__param_groups": [("*.bias", {"weight_decay": 0.0})],
        "lr": shape.learning_rate,
        "max_epochs": shape.epochs,
        "batch_size": shape.batch_size,
        "iterator_train__shuffle": True,
        "train_split": None,
        "verbose": 0,
    }

    def fit() -> list[float]:
        torch.manual_seed(0)
        if shape.sizes[-1] == 1:
            net = NeuralNetBinaryClassifier(**common).fit(X, y.astype(np.float32))
        else:
            net = NeuralNetClassifier(**common, criterion=nn.CrossEntropyLoss).fit(X, y)
        return net.history[:, "train_loss"]

    return fit
