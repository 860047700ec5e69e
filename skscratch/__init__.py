"""A scikit-learn compatible multilayer perceptron, written from scratch in NumPy.

`ScratchMLPClassifier` and `ScratchMLPRegressor` are the estimators; optimizers, schedules,
activations, losses and initializers with parameters of their own come beside them. The network
itself is in `skscratch.nn`, to be read.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ._classifier import ScratchMLPClassifier as ScratchMLPClassifier
    from ._comparison.compare import compare as compare
    from ._fitting.lbfgs import LBFGS as LBFGS
    from ._interop.from_sklearn import from_sklearn as from_sklearn
    from ._interop.onnx import register_onnx as register_onnx
    from ._interop.skops import trusted_types as trusted_types
    from ._range_test import learning_rate_range_test as learning_rate_range_test
    from ._regressor import ScratchMLPRegressor as ScratchMLPRegressor
    from .nn.activations import ELU as ELU
    from .nn.activations import LeakyReLU as LeakyReLU
    from .nn.embeddings import Periodic as Periodic
    from .nn.embeddings import PiecewiseLinear as PiecewiseLinear
    from .nn.initializers import Normal as Normal
    from .nn.initializers import Orthogonal as Orthogonal
    from .nn.losses import Focal as Focal
    from .nn.losses import Huber as Huber
    from .nn.losses import Pinball as Pinball
    from .nn.optimizers import SGD as SGD
    from .nn.optimizers import AdaGrad as AdaGrad
    from .nn.optimizers import Adam as Adam
    from .nn.optimizers import AdamW as AdamW
    from .nn.optimizers import Nadam as Nadam
    from .nn.optimizers import RMSprop as RMSprop
    from .nn.schedules import Adaptive as Adaptive
    from .nn.schedules import Cosine as Cosine
    from .nn.schedules import CosineLog as CosineLog
    from .nn.schedules import ExponentialDecay as ExponentialDecay
    from .nn.schedules import InverseScaling as InverseScaling
    from .nn.schedules import OneCycle as OneCycle
    from .nn.schedules import StepDecay as StepDecay
    from .nn.schedules import WarmupCosine as WarmupCosine

# The public names by the modules where they live, which are imported on first use:
# `import skscratch` loads neither scikit-learn nor SciPy.
_NAMES = {
    "._classifier": "ScratchMLPClassifier",
    "._regressor": "ScratchMLPRegressor",
    "._fitting.lbfgs": "LBFGS",
    "._comparison.compare": "compare",
    "._interop.onnx": "register_onnx",
    "._interop.skops": "trusted_types",
    "._interop.from_sklearn": "from_sklearn",
    "._range_test": "learning_rate_range_test",
    ".nn.activations": "ELU LeakyReLU",
    ".nn.embeddings": "Periodic PiecewiseLinear",
    ".nn.initializers": "Normal Orthogonal",
    ".nn.losses": "Focal Huber Pinball",
    ".nn.optimizers": "SGD AdaGrad Adam AdamW Nadam RMSprop",
    ".nn.schedules": "Adaptive Cosine CosineLog ExponentialDecay InverseScaling OneCycle StepDecay "
    "WarmupCosine",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}
_SUBPACKAGES = ("callbacks", "inspection", "model_selection", "nn")

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBPACKAGES])
