"""The network itself, in NumPy alone: a textbook to read and the engine of the estimators.

Ten lines learn XOR, whose classes no straight line separates:

>>> import numpy as np
>>> from skscratch.nn import (
...     Adam, Architecture, Batches, HeNormal, Learner, LogisticLogLoss, Network, ReLU, fit
... )
>>> X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
>>> Y = np.array([[0.0], [1.0], [1.0], [0.0]])
>>> network = Network(Architecture([2, 16, 1], [ReLU()]))
>>> network.initialize([HeNormal(), HeNormal()], [np.random.default_rng(0)])
>>> learner = Learner(network, LogisticLogLoss(), Adam(), learning_rate=0.05)
>>> progress = fit(learner, Batches(X, Y), epochs=200)
>>> network.predict(X).ravel() > 0
array([False,  True,  True, False])

Two conventions hold everywhere. Rows of a matrix are samples, so a layer computes ``Z = X W + b``.
The last two axes are (batch, features), and any axes before them are independent networks side by
side, a *stack*. To read about one network, skip these axes, written ``...`` in shapes.

Reading order, from one batch to a whole run:

1. `layers`: affine map, activation and dropout, forward and backward side by side.
2. `activations`: each function beside its derivative.
3. `losses`: link, loss and gradient in one object; why the gradient is p - y.
4. `network`: a chain of layers. Its numbers lie in one vector, see `parameters`, and its passes
   compute in preallocated memory, see `workspace`.
5. `step`: ``train_step`` is the whole idea in a few lines: forward, loss, backward, penalty,
   optimizer.
6. `optimizers` and `schedules`: how far the gradient moves the parameters.
7. `initializers`: where the weights start, and why there.
8. `batches` and `rows`: mini-batches, and the source of their rows.
9. `fit`: epochs and runs, the only loop. `stopping`: patience, and the best epoch.
10. `normalization`, `scaled_dense` and `embeddings`: optional layers.
11. `prediction`, `divergence`, `stacks`, `blocks` and `options`: prediction in blocks, errors of
    diverging runs, hyperparameters of stacks, block sizes, and objects from names.

Nothing here imports scikit-learn or SciPy. Each module names the chapters of the course, in
``docs/course/``, that explain it.
"""

from .activations import (
    ACTIVATIONS,
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
from .batches import Batch, Batches
from .divergence import DivergenceError
from .embeddings import (
    EMBEDDINGS,
    Embedding,
    EmbeddingLayer,
    Periodic,
    PeriodicEmbedding,
    PiecewiseLinear,
    PiecewiseLinearEmbedding,
)
from .fit import Progress, fit
from .initializers import (
    INITIALIZERS,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Initializer,
    LecunNormal,
    Normal,
    Orthogonal,
)
from .layers import Activate, Dense, Dropout, Layer
from .losses import (
    LOSSES,
    AbsoluteError,
    Focal,
    Gamma,
    Huber,
    LogisticFocal,
    LogisticLogLoss,
    Loss,
    Pinball,
    Poisson,
    SoftmaxLogLoss,
    SquaredError,
)
from .network import Architecture, Network
from .normalization import NORMALIZATIONS, BatchNorm, LayerNorm
from .optimizers import (
    OPTIMIZERS,
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    Nadam,
    Optimizer,
    RMSprop,
)
from .options import lookup
from .parameters import Parameters
from .rows import DenseRows, OneHot, SparseBlock, SparseRows
from .scaled_dense import ScaledDense
from .schedules import (
    SCHEDULES,
    Adaptive,
    Clock,
    Constant,
    Cosine,
    CosineLog,
    ExponentialDecay,
    InverseScaling,
    OneCycle,
    Schedule,
    StepDecay,
    WarmupCosine,
)
from .step import Learner, loss_and_gradient, train_step
from .stopping import Best, Patience
from .workspace import Workspace

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "EMBEDDINGS",
    "GELU",
    "INITIALIZERS",
    "LOSSES",
    "NORMALIZATIONS",
    "OPTIMIZERS",
    "SCHEDULES",
    "SELU",
    "SGD",
    "AbsoluteError",
    "Activate",
    "Activation",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Adaptive",
    "Architecture",
    "Batch",
    "BatchNorm",
    "Batches",
    "Best",
    "Clock",
    "Constant",
    "Cosine",
    "CosineLog",
    "Dense",
    "DenseRows",
    "DivergenceError",
    "Dropout",
    "Embedding",
    "EmbeddingLayer",
    "ExponentialDecay",
    "Focal",
    "Gamma",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Huber",
    "Identity",
    "Initializer",
    "InverseScaling",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Learner",
    "LecunNormal",
    "Logistic",
    "LogisticFocal",
    "LogisticLogLoss",
    "Loss",
    "Mish",
    "Nadam",
    "Network",
    "Normal",
    "OneCycle",
    "OneHot",
    "Optimizer",
    "Orthogonal",
    "Parameters",
    "Patience",
    "Periodic",
    "PeriodicEmbedding",
    "PiecewiseLinear",
    "PiecewiseLinearEmbedding",
    "Pinball",
    "Poisson",
    "Progress",
    "RMSprop",
    "ReLU",
    "ScaledDense",
    "Schedule",
    "SiLU",
    "SoftmaxLogLoss",
    "Softplus",
    "SparseBlock",
    "SparseRows",
    "SquaredError",
    "StepDecay",
    "Tanh",
    "WarmupCosine",
    "Workspace",
    "fit",
    "lookup",
    "loss_and_gradient",
    "train_step",
]
