"""Looking inside: plots, diagnosis, and the passes of a network step by step."""

from ._activations import HiddenLayerTransformer, activations
from ._diagnose import diagnose
from ._diagnosis import Diagnosis, Finding
from ._gradient_check import GradientCheck, gradient_check
from ._monitor import LayerMonitor
from ._summary import Summary, summary
from ._trace import trace
from ._trace_report import Trace, TraceStep
from .displays import (
    ActivationDisplay,
    GradientFlowDisplay,
    NetworkDisplay,
    TrainingCurveDisplay,
    WeightDisplay,
)

__all__ = [
    "ActivationDisplay",
    "Diagnosis",
    "Finding",
    "GradientCheck",
    "GradientFlowDisplay",
    "HiddenLayerTransformer",
    "LayerMonitor",
    "NetworkDisplay",
    "Summary",
    "Trace",
    "TraceStep",
    "TrainingCurveDisplay",
    "WeightDisplay",
    "activations",
    "diagnose",
    "gradient_check",
    "summary",
    "trace",
]
