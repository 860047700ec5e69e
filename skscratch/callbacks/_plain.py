"""Callbacks that end training or write it down."""

import csv
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..nn.options import NON_NEGATIVE, POSITIVE, check_integer, check_real
from ..nn.stopping import Patience
from ._base import OfOneNetwork, is_epoch, run_of


class TimeBudget(OfOneNetwork):
    """End training after the epoch in which a time budget is spent.

    Parameters
    ----------
    seconds : float
        The budget, > 0, counted from the start of fit; a resumed fit has all of it again.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skscratch import ScratchMLPClassifier
    >>> from skscratch.callbacks import TimeBudget
    >>> clf = ScratchMLPClassifier(max_iter=10**9, tol=0, n_iter_no_change=10**9)
    >>> clf.set_callbacks(TimeBudget(seconds=0.1)).fit(*load_iris(return_X_y=True)).n_iter_ > 0
    True
    """

    def __init__(self, seconds: float):
        super().__init__()
        self.seconds = check_real("seconds", seconds, POSITIVE)

    def _begin(self) -> float:
        return time.monotonic()

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool:
        """Say whether the budget is spent."""
        return is_epoch(context) and (
            time.monotonic() - self._runs[run_of(context)] >= self.seconds
        )


class StopOnPlateau(OfOneNetwork):
    """End training when a column of the history no longer improves.

    Unlike ``early_stopping`` it keeps the last weights, if that is False, and it can watch any
    column.

    Parameters
    ----------
    column : str, default="validation_loss"
        The column of ``history_`` to watch.
    n_epochs : int, default=10
        Training ends after more than this many epochs in a row without improvement, >= 1.
    tol : float, default=1e-4
        Least change that counts as an improvement, >= 0.
    greater_is_better : bool, default=None
        The direction; None takes True for a column whose name ends in "score".
    """

    def __init__(
        self,
        column: str = "validation_loss",
        n_epochs: int = 10,
        tol: float = 1e-4,
        greater_is_better: bool | None = None,
    ):
        super().__init__()
        self.column = column
        self.n_epochs = check_integer("n_epochs", n_epochs, 1)
        self.tol = check_real("tol", tol, NON_NEGATIVE)
        if not (greater_is_better is None or isinstance(greater_is_better, bool | np.bool_)):
            raise TypeError(
                f"greater_is_better must be True, False or None, got {greater_is_better!r}."
            )
        self.greater_is_better = greater_is_better

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> bool:
        """Say whether the column has stalled."""
        if not is_epoch(context):
            return False
        history = fitted_estimator.history_
        if self.column not in history:
            raise ValueError(
                f"history_ has no column {self.column!r}; it has {', '.join(history)}."
            )
        # All of the run is judged anew, so that a resumed one ends where the other would have.
        values = history[self.column][-fitted_estimator.n_iter_ :]
        if values[-1] != values[-1]:
            raise ValueError(
                f"Column {self.column!r} of history_ is NaN; a validation column needs X_val and "
                "y_val in fit, or early_stopping=True."
            )
        greater = self.greater_is_better
        if greater is None:
            greater = self.column.endswith("score")
        patience = Patience(self.tol, self.n_epochs)
        for value in values:
            patience.update(value if greater else -value)
        return patience.spent


class HistoryCSV(OfOneNetwork):
    """Write the history to a CSV file, a line after each epoch.

    Parameters
    ----------
    path : str or path-like
        The file. A fit overwrites it.
    """

    def __init__(self, path: str | os.PathLike):
        super().__init__()
        self.path = Path(path)

    def _begin(self) -> int:
        self.path.write_text("")
        return 0  # the number of epochs written

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> None:
        """Append what is new; after fit that is all, if a resumed run had nothing left to do."""
        history, run = fitted_estimator.history_, run_of(context)
        written = self._runs[run]
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file)
            if written == 0:
                writer.writerow(history)
            new = (values[written:] for values in history.values())
            writer.writerows(zip(*new, strict=True))
        self._runs[run] = len(history["epoch"])
