"""Groups of networks that train side by side, each with its learner and its batches.

A stack saves calls, not arithmetic, so that networks share one only while their arrays are small.
"""

import copy
import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from ..nn.batches import Batches, batch_starts
from ..nn.blocks import networks_per_stack
from ..nn.network import Network
from ..nn.rows import DenseRows, OneHot, SparseRows
from ..nn.step import Learner
from .plan import Plan
from .settings import Settings
from .targets import Target
from .trained import parts_of


class Encoded(NamedTuple):
    """What networks are trained on, all rows of it: inputs, targets, and weights or None."""

    X: DenseRows | SparseRows
    Y: np.ndarray | OneHot
    sample_weight: np.ndarray | None


Rows = list[np.ndarray] | np.ndarray | None
"""Rows of all networks, or of each; None for all rows."""


def make_groups(
    settings: Settings,
    plan: Plan,
    network: Network,
    target: Target,
    encoded: Encoded,
    rows: Rows,
    streams: dict[str, list[np.random.Generator]],
) -> tuple[list[Learner], list[Batches]]:
    """Make a learner and its batches for each group of networks.

    Parameters
    ----------
    settings, plan : Settings, Plan
        The parameters, and what was decided.
    network : Network
        All networks. Learners get views of it.
    target : Target
        What y is to the networks.
    encoded : Encoded
        What to train on.
    rows : list of ndarray of int, ndarray of int, or None
        The rows to train on.
    streams : dict of str to list of Generator
        Random streams.
    """
    join_single = settings.normalization == "batch"
    own = rows if isinstance(rows, list) else [rows] * plan.n_networks
    counts = [plan.n_samples if each is None else len(each) for each in own]
    n_steps = [len(batch_starts(count, plan.batch_size, join_single)) for count in counts]
    at_once = networks_per_stack(min(plan.batch_size, max(counts)), max(network.sizes))
    if settings.optimizer.full_batch:
        at_once = 1
    Y = target.soften(encoded.Y)
    learners, batches, first = [], [], 0
    for part in parts_of(network, stacks_of(n_steps, at_once)):
        last = first + math.prod(part.stack)
        chosen = own[first:last]
        mean_weight, weights = _normalize(encoded.sample_weight, chosen, part)
        learners.append(
            Learner(
                part,
                target.loss,
                settings.optimizer,
                settings.learning_rate,
                plan.lr_schedule,
                l2=settings.l2,
                clip_norm=settings.clip_norm,
                mean_weight=mean_weight,
                tol=settings.tol,
                streams=streams["dropout"][first:last],
            )
        )
        batches.append(
            Batches(
                encoded.X,
                Y,
                weights,
                batch_size=plan.batch_size,
                streams=streams["shuffle"][first:last] if settings.shuffle else (),
                rows=chosen if part.stack and rows is not None else chosen[0],
                join_single=join_single,
            )
        )
        first = last
    return learners, batches


def stacks_of(n_steps: Sequence[int], at_once: int) -> list[tuple[int, ...]]:
    """Group networks that follow one another and make as many steps an epoch."""
    stacks: list[tuple[int, ...]] = []
    for _, alike in groupby(n_steps):
        n = len(list(alike))
        sizes = [at_once] * (n // at_once) + [n % at_once] * bool(n % at_once)
        stacks += [(size,) if size > 1 else () for size in sizes]
    return stacks


def hand_over_moments(
    old: Sequence[Learner], new: Sequence[Learner], kept: np.ndarray | None = None
) -> None:
    """Let learners go on with the moments of others, of the same networks in other groups.

    ``kept`` has the numbers of the networks that are still there, by default all.
    """
    owners = _owners(old) if kept is None else [_owners(old)[k] for k in kept]
    if new[0].optimizer != old[0].optimizer or any("state" not in vars(each) for each, _ in owners):
        return
    first = 0
    for learner in new:
        vector = learner.network.parameters.vector
        last = first + math.prod(learner.network.stack)
        own, first = owners[first:last], last
        state = copy.copy(own[0][0].state)  # with the number of steps, the same in a group
        state.scratch = learner.state.scratch
        state.moments = tuple(
            np.array([each.state.moments[i][index] for each, index in own]).reshape(vector.shape)
            for i in range(len(state.moments))
        )
        learner.state = state


def regroup(
    old: Sequence[Learner],
    network: Network,
    kept: np.ndarray,
    streams: Sequence[np.random.Generator],
) -> list[Learner]:
    """Make learners of those networks that are kept, given their numbers.

    Parameters
    ----------
    old : sequence of Learner
        The learners of all networks.
    network : Network
        The networks that are kept.
    kept : ndarray of int
        Their numbers.
    streams : sequence of Generator
        Their sources of dropout.
    """
    owners = [_owners(old)[k] for k in kept]
    at_once = max(math.prod(learner.network.stack) for learner in old)
    new, first = [], 0
    for part in parts_of(network, stacks_of([0] * len(kept), at_once)):
        last = first + math.prod(part.stack)
        own = owners[first:last]
        learner = copy.copy(own[0][0].without_state())
        means = [
            float(np.broadcast_to(each.mean_weight, (*each.network.stack, 1))[index][0])
            for each, index in own
        ]
        learner.mean_weight = means[0]
        if len(set(means)) > 1:
            learner.mean_weight = np.array(means, network.dtype)[:, np.newaxis]
        learner.network, learner.diverged, learner.streams = part, {}, streams[first:last]
        new.append(learner)
        first = last
    hand_over_moments(old, new, kept)
    return new


def _owners(learners: Sequence[Learner]) -> list[tuple[Learner, tuple[int, ...]]]:
    """Return each network's learner, and its place in that one's stack."""
    return [(each, index) for each in learners for index in np.ndindex(each.network.stack)]


def _normalize(
    sample_weight: np.ndarray | None, rows: Sequence[np.ndarray | None], network: Network
) -> tuple[Any, np.ndarray | None]:
    """Return each network's mean training weight, and the weights divided by it."""
    if sample_weight is None:
        return 1.0, None
    means = [float(np.mean(sample_weight if own is None else sample_weight[own])) for own in rows]
    if min(means) == 0:
        raise ValueError(
            "sample_weight is zero in all rows of the training part; give more rows a weight, or "
            "hold out fewer."
        )
    weights = sample_weight.reshape(len(sample_weight), -1)  # a column for rows
    if not network.stack or rows[0] is None:
        return means[0], (weights / means[0]).astype(network.dtype)
    mean = np.array(means)[:, np.newaxis]
    return mean, (weights / mean[..., np.newaxis]).astype(network.dtype)
