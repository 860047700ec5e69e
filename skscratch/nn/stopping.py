"""Stopping: patience with a quantity that no longer improves."""

import math


class Patience:
    """Watches a quantity, greater being better, and says when it has stalled.

    The rule is scikit-learn's: an epoch counts as stalled unless it beats the best value so far
    by at least ``tol``; patience is spent after *more than* ``n_iter_no_change`` such epochs in a
    row.

    Parameters
    ----------
    tol : float
        What counts as an improvement, >= 0, in the quantity's own unit.
    n_iter_no_change : int or inf
        Number of stalled epochs that are tolerated.
    last_of_equals : bool, default=False
        Whether the last of several epochs with the best value is the best, and not the first.

    Attributes
    ----------
    best : float
        The best value so far.
    stalled : int
        Stalled epochs in a row.

    Examples
    --------
    >>> patience = Patience(tol=0.1, n_iter_no_change=1)
    >>> [patience.update(value) for value in (1.0, 2.0, 2.05, 2.04)]
    [True, True, True, False]
    >>> patience.spent
    True
    """

    def __init__(self, tol: float, n_iter_no_change: float, last_of_equals: bool = False):
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.last_of_equals = last_of_equals
        self.best = -math.inf
        self.stalled = 0

    def update(self, value: float) -> bool:
        """Take an epoch's value and return whether it is the best so far. NaN never is."""
        improved = value >= self.best + self.tol
        self.stalled = 0 if improved else self.stalled + 1
        is_best = value > self.best or (self.last_of_equals and value == self.best)
        if is_best:
            self.best = value
        return is_best

    @property
    def spent(self) -> bool:
        """Whether the quantity has stalled for too long."""
        return self.stalled > self.n_iter_no_change

    def renew(self) -> None:
        """Count stalled epochs from 0 again."""
        self.stalled = 0
