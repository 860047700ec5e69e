"""Going on from an earlier call, or from a checkpoint."""

from dataclasses import replace
from math import prod
from typing import Any

from ..nn.network import Network
from .settings import Settings
from .targets import Target
from .trained import Trained


def check_fixed(settings: Settings, before: Trained, target: Target) -> None:
    """Refuse to go on with what the network was not made for."""
    old = before.network.architecture
    fixed: dict[str, tuple[Any, Any]] = {
        "hidden_layer_sizes": (settings.hidden_layer_sizes, tuple(old.sizes[1:-1])),
        "normalization": (settings.normalization, old.normalization),
        "numerical_embedding": (settings.numerical_embedding, old.embedding),
        "feature_scaling": (settings.feature_scaling, scaling_of(before)),
    }
    if settings.n_networks not in ("auto", before.n_begun):
        fixed["n_networks"] = (settings.n_networks, prod(before.network.stack))
    if settings.dtype != "auto":
        fixed["dtype"] = (settings.dtype, str(before.network.dtype))
    for name, (value, of_old) in fixed.items():
        if value != of_old:
            raise ValueError(
                f"{name}={value!r} differs from the {of_old!r} of the network that training would "
                "continue. Set warm_start=False and call fit to start anew."
            )
    link, old_link = target.loss.out_activation, before.target.loss.out_activation
    if link != old_link:
        raise ValueError(
            f"loss={settings.loss!r} goes with the output activation {link!r}, which differs from "
            f"the {old_link!r} of the network that training would continue. Set warm_start=False "
            "and call fit to start anew."
        )


def scaling_of(before: Trained) -> str | None:
    """Return how the features of an earlier call were scaled."""
    if before.features.scaler is None:
        return None
    return "learned" if before.network.architecture.learned_scales else "robust"


def copy_network(settings: Settings, old: Network) -> Network:
    """Copy the network to go on with; activation and dropout may have been changed."""
    architecture = replace(
        old.architecture, activations=settings.activations, dropout=settings.dropout
    )
    network = Network(architecture, old.stack, old.dtype)
    network.restore(old.snapshot())
    return network


def resume(trained: Trained, saved: Trained) -> None:
    """Let a run become an interrupted one, so that its remaining epochs are made."""
    trained.network.restore(saved.network.snapshot())
    for learner, other in zip(trained.learners, saved.learners, strict=True):
        learner.state, learner.diverged = other.state, other.diverged
    trained.progress = saved.progress
    for name, streams in saved.streams.items():
        for stream, reached in zip(trained.streams[name], streams, strict=True):
            stream.bit_generator.state = reached.bit_generator.state
