"""Stopping: patience with a quantity that no longer improves, and the networks of the best epoch.

A network has one quantity to watch; networks side by side have one each, or one together. All
numbers below may be arrays, so the code is the same.

Explained in the course: regularization, committee.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .network import Network

Numbers = Any
"""A number, or an ndarray with one for each network."""


class Patience:
    """Watches a quantity (greater is better) and tells when it has stalled.

    The rule is scikit-learn's. An epoch is stalled unless it beats the best value so far by at
    least ``tol``. Patience is spent after *more than* ``n_iter_no_change`` stalled epochs in a row;
    from then on, no epoch is the best.

    Parameters
    ----------
    tol : float or ndarray of shape (...)
        The least improvement, >= 0, in the quantity's own unit.
    n_iter_no_change : int, inf or ndarray of shape (...)
        Number of stalled epochs to tolerate.
    last_of_equals : bool, default=False
        Whether the last, not the first, of several epochs with the best value is the best.

    Attributes
    ----------
    best : float or ndarray
        The best value so far.
    stalled : int or ndarray of int
        Stalled epochs in a row.

    Examples
    --------
    >>> patience = Patience(tol=0.1, n_iter_no_change=1)
    >>> [bool(patience.update(value)) for value in (1.0, 2.0, 2.05, 2.04)]
    [True, True, True, False]
    >>> bool(patience.spent)
    True

    Of two networks side by side, the first has stalled:

    >>> import numpy as np
    >>> patience = Patience(tol=0.1, n_iter_no_change=0)
    >>> [patience.update(np.array(values)).tolist() for values in ([1.0, 1.0], [1.0, 2.0])]
    [[True, True], [False, True]]
    >>> patience.spent.tolist()
    [True, False]
    """

    def __init__(self, tol: Numbers, n_iter_no_change: Numbers, last_of_equals: bool = False):
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.last_of_equals = last_of_equals
        self.best: Numbers = -math.inf
        self.stalled: Numbers = 0

    def update(self, value: Numbers) -> Any:
        """Take an epoch's value, and tell whether it is the best so far; NaN never is."""
        watched = np.logical_not(self.spent)
        is_best = watched & (value > self.best)
        if self.last_of_equals:
            is_best |= watched & (value == self.best)
        improved = value >= self.best + self.tol
        stalled: Any = np.where(watched & improved, 0, self.stalled + 1)
        best: Any = np.where(is_best, value, self.best)
        self.best, self.stalled = best[()], stalled[()]
        return is_best

    @property
    def spent(self) -> Any:
        """Whether the quantity has stalled too long."""
        return np.greater(self.stalled, self.n_iter_no_change)

    def renew(self, which: Any = True) -> None:
        """Count stalled epochs from 0 again."""
        self.stalled = np.where(which, 0, self.stalled)[()]


class Best:
    """The networks' numbers after their best epochs.

    Attributes
    ----------
    epoch : int or ndarray of int
        The best epoch, of all networks or of each; 0 while there is none.
    """

    def __init__(self) -> None:
        self.epoch: Numbers = 0
        self._saved: list[tuple[np.ndarray, ...]] = []

    def keep(self, networks: Sequence[Network], epoch: int, which: Any) -> None:
        """Save networks as they are now.

        Parameters
        ----------
        networks : sequence of Network
            The network or stack of each learner.
        epoch : int
            The epoch's number.
        which : bool or ndarray of bool
            Whether to save them. For a single stack it may be an array with one for each network.
        """
        which = np.asarray(which)
        if not which.any():
            return
        saved = [network.snapshot() for network in networks]
        if self._saved and not which.all():
            saved = [
                tuple(
                    np.where(which[..., np.newaxis], now, before)
                    for now, before in zip(new, old, strict=True)
                )
                for new, old in zip(saved, self._saved, strict=True)
            ]
        # One statement, so that an interrupt finds both changed or neither.
        self.epoch, self._saved = np.where(which, epoch, self.epoch)[()], saved

    def restore(self, networks: Sequence[Network]) -> None:
        """Copy the saved numbers back to the networks, and drop them."""
        found = np.asarray(np.greater(self.epoch, 0))[..., np.newaxis]
        for network, saved in zip(networks, self._saved, strict=False):
            for now, before in zip(network.vectors, saved, strict=True):
                np.copyto(now, before, where=found)
        self._saved = []
