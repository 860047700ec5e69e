"""The displays: what matplotlib draws of training and of the network."""

from ._activations import ActivationDisplay
from ._gradient_flow import GradientFlowDisplay
from ._network import NetworkDisplay
from ._training_curve import TrainingCurveDisplay
from ._weights import WeightDisplay

__all__ = [
    "ActivationDisplay",
    "GradientFlowDisplay",
    "NetworkDisplay",
    "TrainingCurveDisplay",
    "WeightDisplay",
]
