"""A scikit-learn compatible multilayer perceptron, written from scratch in NumPy.

`ScratchMLPClassifier` and `ScratchMLPRegressor` are the estimators; optimizers, schedules,
activations and initializers with parameters of their own come beside them. The network itself is
in `skscratch.nn`, to be read.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ._classifier import ScratchMLPClassifier as ScratchMLPClassifier
    from ._lbfgs import LBFGS as LBFGS
    from ._regressor import ScratchMLPRegressor as ScratchMLPRegressor
    from .nn.activations import ELU as ELU
    from .nn.activations import LeakyReLU as LeakyReLU
    from .nn.initializers import Normal as Normal
    from .nn.initializers import Orthogonal as Orthogonal
    from .nn.optimizers import SGD as SGD
    from .nn.optimizers import AdaGrad as AdaGrad
    from .nn.optimizers import Adam as Adam
    from .nn.optimizers import AdamW as AdamW
    from .nn.optimizers import Nadam as Nadam
    from .nn.optimizers import RMSprop as RMSprop
    from .nn.schedules import Adaptive as Adaptive
    from .nn.schedules import Cosine as Cosine
    from .nn.schedules import ExponentialDecay as ExponentialDecay
    from .nn.schedules import InverseScaling as InverseScaling
    from .nn.schedules import StepDecay as StepDecay

# Where each public name lives. Modules are imported on first use: `import skscratch` loads neither
# scikit-learn nor SciPy.
_HOMES = {
    "ScratchMLPClassifier": "._classifier",
    "ScratchMLPRegressor": "._regressor",
    "LBFGS": "._lbfgs",
    **dict.fromkeys(("ELU", "LeakyReLU"), ".nn.activations"),
    **dict.fromkeys(("Normal", "Orthogonal"), ".nn.initializers"),
    **dict.fromkeys(("SGD", "AdaGrad", "Adam", "AdamW", "Nadam", "RMSprop"), ".nn.optimizers"),
    **dict.fromkeys(
        ("Adaptive", "Cosine", "ExponentialDecay", "InverseScaling", "StepDecay"), ".nn.schedules"
    ),
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
