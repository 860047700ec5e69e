"""Callbacks: what happens between the epochs of a fit.

They are set with ``estimator.set_callbacks(...)`` and follow scikit-learn's callback protocol
(`sklearn.callback`, from 1.9 on, experimental there), so that they stand beside its `ProgressBar`
and `ScoringMonitor`; on a bare estimator they work with older versions of scikit-learn too. As in
scikit-learn, clones share the callback objects.

`skscratch.inspection.LayerMonitor`, which records the gradients of each layer, is one more.

A callback of your own is an object with the four methods of `Callback`; if its ``on_fit_task_end``
returns True after an epoch, training ends there.
"""

import csv
import os
import pickle
import re
import time
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import joblib  # type: ignore[import-untyped,unused-ignore]
import numpy as np

from .nn.options import NON_NEGATIVE, POSITIVE, check_integer, check_real
from .nn.stopping import Patience

CHECKPOINT_FORMAT = 2
"""Number of what a checkpoint holds; a change that older versions cannot go on from raises it."""


class Callback:
    """Base of the callbacks, in which nothing happens.

    Keyword-only arguments of the two task hooks are made only for callbacks that name them:
    ``X``, ``y`` and ``metadata`` (None, or a dict that holds ``sample_weight``), as the caller gave
    them to fit, and ``fitted_estimator``, a copy that predicts with the weights of now. After an
    epoch these are that epoch's, also where early stopping will return to better ones; before the
    first epoch there is none. What is measured on validation data is in its ``history_``.
    """

    def setup(self, estimator: Any, context: Any) -> None:
        """Prepare for a fit of ``estimator``."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Clean up after a fit, also one that failed."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do something before a task; ``context.task_name`` is ``"fit"`` or ``"epoch"``."""

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool | None:
        """Do something after a task. True after an epoch ends training."""


def _is_epoch(context: Any) -> bool:
    return context.task_name == "epoch"


def _run_of(context: Any) -> int:
    """Tell the fit that a context belongs to from others that share the callback, as clones do."""
    return id(context.parent if _is_epoch(context) else context)


class _OfOneNetwork(Callback):
    """Base of callbacks that read a network's state, and so belong on its estimator."""

    def setup(self, estimator: Any, context: Any) -> None:
        """Refuse a pipeline or a search, whose own tasks are no epochs."""
        if not hasattr(estimator, "hidden_layer_sizes"):
            raise TypeError(
                f"{type(self).__name__} belongs on a ScratchMLPClassifier or ScratchMLPRegressor "
                f"itself, not on the {type(estimator).__name__} around it."
            )


class TimeBudget(_OfOneNetwork):
    """End training after the epoch in which a time budget is spent.

    Parameters
    ----------
    seconds : float
        The budget, > 0, counted from the start of fit; a resumed fit has all of it again. Where it
        is not spent by the last epoch, ``refit`` and the cross-fitting of ``calibrate`` come on
        top.

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
        self.seconds = check_real("seconds", seconds, POSITIVE)
        self._started: dict[int, float] = {}

    def setup(self, estimator: Any, context: Any) -> None:
        """Start the clock."""
        super().setup(estimator, context)
        self._started[_run_of(context)] = time.monotonic()

    def teardown(self, estimator: Any, context: Any) -> None:
        """Forget the clock."""
        self._started.pop(_run_of(context), None)

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool:
        """Say whether the budget is spent."""
        if not _is_epoch(context):
            return False
        return time.monotonic() - self._started[_run_of(context)] >= self.seconds


class StopOnPlateau(_OfOneNetwork):
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
        if not _is_epoch(context):
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


class HistoryCSV(_OfOneNetwork):
    """Write the history to a CSV file, a line after each epoch.

    Parameters
    ----------
    path : str or path-like
        The file. A fit overwrites it.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self._written: dict[int, int] = {}

    def setup(self, estimator: Any, context: Any) -> None:
        """Empty the file."""
        super().setup(estimator, context)
        self.path.write_text("")
        self._written[_run_of(context)] = 0

    def teardown(self, estimator: Any, context: Any) -> None:
        """Forget how much was written."""
        self._written.pop(_run_of(context), None)

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> None:
        """Append what is new; after fit that is all, if a resumed run had nothing left to do."""
        history, run = fitted_estimator.history_, _run_of(context)
        written = self._written[run]
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file)
            if written == 0:
                writer.writerow(history)
            new = (values[written:] for values in history.values())
            writer.writerows(zip(*new, strict=True))
        self._written[run] = len(history["epoch"])


class Checkpoint(_OfOneNetwork):
    """Write everything that a run needs to go on, so that it survives a killed process.

    The file holds weights, optimizer state, random streams, schedule position, patience, history
    and a fingerprint of data and parameters. It is written to a file beside it first,
    ``.NAME.part``, and then put in place in one step, so that there is a whole checkpoint at any
    time. A fit that resumes ends with bitwise the same weights as one that was never interrupted.

    Parameters
    ----------
    path : str or path-like
        The file, one for each fit: in a search over several candidates they would overwrite each
        other's, or fail when two write at once, and several calls of a warm start or of
        `partial_fit` would overwrite each other's too.
    every : int, default=1
        Number of epochs between two writes, >= 1.
    resume : bool, default=False
        Whether fit goes on from the file if there is one.

    Raises
    ------
    ValueError
        By fit, if the file to resume from was written with other data (validation data included)
        or parameters, by an earlier call of a warm start or of `partial_fit`, or by a version of
        skscratch whose checkpoints this one cannot go on from.

    Notes
    -----
    The file is a pickle: load only what you trust. ``optimizer="lbfgs"`` has no checkpoints.

    Parameters are compared by their values, a ``RandomState`` by its state, a function by its code,
    and any other object by its ``repr``.

    Examples
    --------
    >>> from skscratch import ScratchMLPClassifier
    >>> from skscratch.callbacks import Checkpoint
    >>> clf = ScratchMLPClassifier(random_state=0)
    >>> clf.set_callbacks(Checkpoint("run.ckpt", resume=True))
    ScratchMLPClassifier(random_state=0)
    """

    def __init__(self, path: str | os.PathLike, every: int = 1, resume: bool = False):
        self.path = Path(path)
        self.every = check_integer("every", every, 1)
        self.resume = resume
        self._fingerprints: dict[int, str] = {}

    def teardown(self, estimator: Any, context: Any) -> None:
        """Forget the data."""
        self._fingerprints.pop(_run_of(context), None)

    def on_fit_task_begin(
        self, estimator: Any, context: Any, *, X: Any = None, y: Any = None, metadata: Any = None
    ) -> None:
        """Recognize the data, and hand over what is in the file."""
        if _is_epoch(context):
            return
        if estimator.optimizer == "lbfgs" or not hasattr(estimator, "partial_fit"):
            raise ValueError("Checkpoint needs a stochastic optimizer; 'lbfgs' is none.")
        params = sorted(estimator.get_params(deep=False).items())
        settings = [(name, _recognize(value)) for name, value in params if name != "verbose"]
        fingerprint = joblib.hash((X, y, metadata, estimator._run_origin, settings))
        self._fingerprints[_run_of(context)] = fingerprint
        if not (self.resume and self.path.exists()):
            return
        try:
            saved = pickle.loads(self.path.read_bytes())
            written_in, known = saved["format"], saved["fingerprint"]
        except Exception as error:
            raise ValueError(
                f"{self.path} is no checkpoint, a damaged one, or one of another version of "
                "skscratch. Remove it, or give this fit a file of its own."
            ) from error
        if written_in != CHECKPOINT_FORMAT:
            raise ValueError(
                f"{self.path} is a checkpoint of another version of skscratch: its format is "
                f"{written_in!r}, and this version reads {CHECKPOINT_FORMAT}. End that fit with "
                "the version that it began with, or remove the file."
            )
        if known != fingerprint:
            raise ValueError(
                f"{self.path} was written by a fit with other data or parameters, or by an earlier "
                "call of the same run (warm_start, partial_fit). Remove it, or give this fit a "
                "file of its own."
            )
        estimator._resume_from = saved

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> None:
        """Write the file."""
        progress = fitted_estimator._fitted.progress
        if not _is_epoch(context):
            if progress.ended != "stopped":
                return  # otherwise a callback ended this run, and it shall not be resumed
        elif progress.epochs % self.every and not progress.ended:
            return
        state = {
            "format": CHECKPOINT_FORMAT,
            "fingerprint": self._fingerprints[_run_of(context)],
            "learner": fitted_estimator._fitted.learner,
            "progress": progress,
            "streams": fitted_estimator._fitted.streams,
            "streams_at_start": fitted_estimator._streams_at_start,
        }
        write_atomically(self.path, pickle.dumps(state))


def _recognize(value: Any) -> Any:
    """Return what tells a parameter's value from others, in another process too."""
    if isinstance(value, np.random.RandomState):
        return value.get_state()
    if isinstance(value, CodeType):
        return value.co_code, value.co_names, [_recognize(constant) for constant in value.co_consts]
    if isinstance(value, frozenset):
        return sorted(map(_plain_repr, value))  # its order is another one in the next process
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        enclosed = (value.__defaults__, value.__kwdefaults__, cells)
        return _plain_repr(value), _recognize(value.__code__), _plain_repr(enclosed)
    return _plain_repr(value)


def _plain_repr(value: Any) -> str:
    # Some objects' repr has an address, which is another one in the next process.
    return re.sub(" at 0x[0-9a-fA-F]+", "", repr(value))


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it is there as a whole or, if anything fails, as it was before.

    What a killed process leaves half written is a file beside it, with a dot before its name and
    ``.part`` behind, which the next write overwrites.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
