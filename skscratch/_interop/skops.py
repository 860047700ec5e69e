"""What a file of a fitted estimator may hold of ours, for loaders that want to be told."""

from typing import Any

from .._classifier import ScratchMLPClassifier
from .._fitting.features import Features
from .._fitting.plan import Plan
from .._fitting.running import Running
from .._fitting.scaling import RobustSmoothClip
from .._fitting.settings import OPTION_TABLES
from .._fitting.targets import Labels, Quantities
from .._fitting.trained import OutOfFold, Trained
from .._regressor import ScratchMLPRegressor
from ..nn.fit import Progress
from ..nn.losses import LOSSES
from ..nn.network import Architecture, Network
from ..nn.optimizers import NadamState, State
from ..nn.parameters import Parameters, Shape
from ..nn.schedules import Clock
from ..nn.step import Learner
from ..nn.stopping import Best, Patience


def trusted_types() -> list[str]:
    """List the types of skscratch that a fitted estimator consists of.

    It is what ``skops.io.load`` wants to be told: a file without pickle is loaded only if each of
    its types is trusted, and none of these runs anything but arithmetic when it is loaded.
    Callbacks are not among them, nor are losses and activations of your own: add those that you
    trust.

    Returns
    -------
    types : list of str
        Their full names, sorted.

    Examples
    --------
    >>> from skscratch import trusted_types
    >>> types = trusted_types()
    >>> "skscratch._classifier.ScratchMLPClassifier" in types
    True
    """
    types: set[type] = {
        ScratchMLPClassifier,
        ScratchMLPRegressor,
        Architecture,
        Best,
        Clock,
        Features,
        Labels,
        Learner,
        NadamState,
        Network,
        OutOfFold,
        Parameters,
        Patience,
        Plan,
        Progress,
        Quantities,
        RobustSmoothClip,
        Running,
        Shape,
        State,
        Trained,
    }
    tables: list[dict[str, Any]] = [LOSSES, *(table for table, _ in OPTION_TABLES.values())]
    types |= {type(make()) for table in tables for make in table.values() if make}
    return sorted(f"{item.__module__}.{item.__qualname__}" for item in types)
