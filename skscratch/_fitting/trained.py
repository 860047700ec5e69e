"""What a call of fit leaves behind."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from ..nn.divergence import has_finite_numbers
from ..nn.fit import Progress
from ..nn.network import Network
from ..nn.step import Learner
from .features import Features
from .plan import Plan
from .targets import Target


@dataclass
class OutOfFold:
    """Logits of rows by networks that were not trained on them.

    Attributes
    ----------
    rows : ndarray of int of shape (n,)
        The rows of X. A ``cv`` of the user's may leave some out, and have others several times.
    networks : ndarray of int of shape (n,), or None
        The number of the network; None for the mean of all.
    logits : ndarray of shape (n, n_outputs)
        The logits, in the networks' dtype.
    y : ndarray of shape (n,) or (n, n_outputs)
        The targets in the caller's labels and units.
    score : float
        The score of the predictions.
    counts : ndarray of bool of shape (n,), or None
        Whether a row has a weight above 0; None if all have.
    """

    rows: np.ndarray
    networks: np.ndarray | None
    logits: np.ndarray
    y: np.ndarray
    score: float
    counts: np.ndarray | None = None

    def that_count(self) -> Self:
        """Return the rows that have a weight."""
        if self.counts is None or self.counts.all():
            return self
        kept, networks = self.counts, self.networks
        return replace(
            self,
            rows=self.rows[kept],
            networks=None if networks is None else networks[kept],
            logits=self.logits[kept],
            y=self.y[kept],
            counts=None,
        )

    def table(self, values: np.ndarray, n_samples: int) -> np.ndarray:
        """Return values of these rows as those of all rows: their mean, or NaN without any."""
        total = np.zeros((n_samples, values.shape[1]))
        np.add.at(total, self.rows, values)
        counts = np.bincount(self.rows, minlength=n_samples)[:, np.newaxis]
        return np.divide(total, counts, out=np.full_like(total, np.nan), where=counts > 0)


@dataclass
class Trained:
    """What a call leaves: all that prediction needs, and that a further call goes on from.

    Attributes
    ----------
    plan : Plan
        What the call did.
    features, target : Features, Target
        What was learned of X and y.
    network : Network
        The network, or a stack of them.
    learners : list of Learner
        What made the steps: a learner for each group of networks, whose parameters are views.
    progress : Progress
        Where the run stands.
    streams : dict of str to list of Generator
        Random streams by purpose, one for each network.
    temperature : float
        What logits are divided by.
    best : tuple of Features and Target, or None
        What the best call of a series of `partial_fit` had learned of X and y.
    out_of_fold : OutOfFold or None
        What networks predict of rows of X that they were not trained on.
    alive : ndarray of bool of shape (n_begun,), or None
        Which of the networks that were begun with are left; None for all.
    splits : list of tuple of ndarray of int, or None
        What the user's ``cv`` made.
    """

    plan: Plan
    features: Features
    target: Target
    network: Network
    learners: list[Learner]
    progress: Progress
    streams: dict[str, list[np.random.Generator]]
    temperature: float = 1.0
    best: tuple[Features, Target] | None = None
    out_of_fold: OutOfFold | None = None
    alive: np.ndarray | None = None
    splits: list[tuple[np.ndarray, np.ndarray]] | None = None

    @property
    def n_begun(self) -> int:
        """Number of networks that were begun with."""
        return math.prod(self.network.stack) if self.alive is None else len(self.alive)

    @property
    def working(self) -> Network:
        """The network, without those that have diverged: there may be such until a call ends."""
        network = self.network
        if not network.stack or not any(learner.diverged for learner in self.learners):
            return network
        finite = np.flatnonzero(has_finite_numbers(network))
        return network if len(finite) in (0, network.stack[0]) else network.part(finite)

    @property
    def restored_epoch(self) -> int | None:
        """The epoch that the networks have gone back to, if they have."""
        progress = self.progress
        goes_on = progress.endless and progress.ended != "stalled"
        return None if goes_on or not progress.goes_back else progress.best.epoch or None

    def without_training(self) -> Self:
        """Return a copy without moments and without rows of the training data, for a file."""
        return replace(
            self,
            learners=[learner.without_state() for learner in self.learners],
            features=self.features.without_rows(),
            target=self.target.without_rows(),
            splits=None,
        )

    def member(self, number: int) -> Self:
        """Return what one of several networks is alone; its arrays are views."""
        if not self.network.stack:
            return self
        network, first = self.network.member((number,)), 0
        for learner in self.learners:
            n = learner.network.stack[0] if learner.network.stack else 1
            if number < first + n:
                break
            first += n
        alone = learner.member((number - first,) if learner.network.stack else ())
        alone.network = network
        return replace(self, network=network, learners=[alone], out_of_fold=None)

    def __getstate__(self) -> dict[str, Any]:
        # The learners' networks are views, which would come back as copies.
        state = dict(vars(self))
        state["learners"] = [copy.copy(learner) for learner in self.learners]
        for learner in state["learners"]:
            learner.network = learner.network.stack
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        stacks: list[Any] = [learner.network for learner in self.learners]
        groups = parts_of(self.network, stacks)
        for learner, network in zip(self.learners, groups, strict=True):
            learner.network = network


def parts_of(network: Network, stacks: Sequence[tuple[int, ...]]) -> list[Network]:
    """Return groups of networks as views, given the stack of each."""
    if not network.stack:
        return [network]
    groups, first = [], 0
    for stack in stacks:
        n = stack[0] if stack else 1
        groups.append(network.part(slice(first, first + n)) if stack else network.part(first))
        first += n
    return groups
