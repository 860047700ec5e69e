"""The network itself, in NumPy alone: a textbook to read and the engine of the estimators.

Reading order, from the outside of a training step to its details:

1. `training`: ``train_step`` and ``loss_and_gradient`` are the whole idea in five lines: forward,
   loss, backward, penalty, optimizer. ``Training`` repeats it over batches and epochs.
2. `network`: ``Network`` chains layers; ``Workspace`` is the memory they compute in.
3. `layers`: ``Dense``, ``ScaledDense``, ``BatchNorm``, ``LayerNorm``, ``Activate``, ``Dropout``,
   forward and backward side by side. `embeddings`: what numerical features may pass before them.
4. `activations`: each function beside its derivative.
5. `losses`: link, loss and gradient in one object; why the gradient is p - y.
6. `optimizers` and `schedules`: what is done with the gradient, and how fast.
7. `initializers`: where the weights start, and why there.
8. `parameters`, `blocks`, `batches`, `stopping`, `options`: one flat vector, a piece of it at a
   time, mini-batches, patience, and how a name becomes an object.

Two conventions run through all of it. Rows of a matrix are samples, so that a layer computes
``Z = X W + b``. The last two axes are (batch, features), and any axes before them are independent
networks side by side.

Nothing here imports scikit-learn or SciPy.
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
from .batches import Batches, OneHot
from .embeddings import (
    EMBEDDINGS,
    Embedding,
    EmbeddingLayer,
    Periodic,
    PeriodicEmbedding,
    PiecewiseLinear,
    PiecewiseLinearEmbedding,
)
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
from .layers import (
    NORMALIZATIONS,
    Activate,
    BatchNorm,
    Dense,
    Dropout,
    Layer,
    LayerNorm,
    ScaledDense,
)
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
from .network import Network, Workspace
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
from .stopping import Patience
from .training import DivergenceError, Training, loss_and_gradient, train_step

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
    "BatchNorm",
    "Batches",
    "Clock",
    "Constant",
    "Cosine",
    "CosineLog",
    "Dense",
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
    "RMSprop",
    "ReLU",
    "ScaledDense",
    "Schedule",
    "SiLU",
    "SoftmaxLogLoss",
    "Softplus",
    "SquaredError",
    "StepDecay",
    "Tanh",
    "Training",
    "WarmupCosine",
    "Workspace",
    "lookup",
    "loss_and_gradient",
    "train_step",
]
