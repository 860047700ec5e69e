"""Advice: what of an estimator's parameters may help where training goes wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..nn.divergence import DivergenceError
from .settings import Settings
from .targets import Target

LARGE = 10.0
"""Standardized columns hold hardly any larger numbers."""


@contextmanager
def advising(settings: Settings, ways: Callable[[], list[str]]) -> Iterator[None]:
    """Let a divergence say what may help against it and is not done yet."""
    try:
        yield
    except DivergenceError as error:
        *others, last = [*ways(), *_remedies(settings)]
        error.args = (*error.args[:1], f"Try {', '.join(others)}{' or ' if others else ''}{last}.")
        raise


def _remedies(settings: Settings) -> list[str]:
    if settings.optimizer.full_batch:
        l2 = max(10 * settings.l2, 0.1)
        return [f"l2={l2:g} in place of {settings.l2:g}", "another optimizer"]
    rate = settings.learning_rate
    remedies = [f"learning_rate={rate / 10:.2g} in place of {rate:g}"]
    if settings.clip_norm is None:
        remedies.append("clip_norm=1")
    if settings.normalization is None and settings.hidden_layer_sizes:
        kind = "layer" if settings.batch_size == 1 else "batch"
        remedies.append(f"normalization={kind!r}")
    return remedies


def ways_to_scale(settings: Settings, target: Target, X: Any, Y: Any) -> list[str]:
    """List the parameters that would scale what is large and not scaled yet.

    Parameters
    ----------
    settings : Settings
        The parameters.
    target : Target
        What y is to the network.
    X : DenseRows or SparseRows
        The network's inputs.
    Y : ndarray or OneHot
        The encoded targets.
    """
    ways = []
    if settings.feature_scaling is None:
        largest = _largest(X.source)
        if largest > LARGE:
            ways.append(f"feature_scaling='robust' (X has values up to {largest:.2g})")
    if getattr(target, "can_standardize", False) and not settings.standardize_target:
        largest = _largest(Y)
        if largest > LARGE:
            ways.append(f"standardize_target=True (y has values up to {largest:.2g})")
    return ways


def _largest(A: Any) -> float:
    """Return the largest absolute value of a dense or sparse array, without a copy of it."""
    return max(-float(A.min()), float(A.max()))
