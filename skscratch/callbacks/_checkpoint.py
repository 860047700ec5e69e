"""Checkpoints: files that a killed run goes on from."""

import os
import pickle
import re
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import joblib  # type: ignore[import-untyped,unused-ignore]
import numpy as np

from ..nn.options import check_integer
from ._base import OfOneNetwork, is_epoch, run_of

CHECKPOINT_FORMAT = 3
"""Number of what a checkpoint holds; a change that older versions cannot go on from raises it."""


class Checkpoint(OfOneNetwork):
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
        super().__init__()
        self.path = Path(path)
        self.every = check_integer("every", every, 1)
        self.resume = resume

    def on_fit_task_begin(
        self, estimator: Any, context: Any, *, X: Any = None, y: Any = None, metadata: Any = None
    ) -> None:
        """Recognize the data, and hand over what is in the file."""
        if is_epoch(context):
            return
        if estimator.optimizer == "lbfgs" or not hasattr(estimator, "partial_fit"):
            raise ValueError("Checkpoint needs a stochastic optimizer; 'lbfgs' is none.")
        params = sorted(estimator.get_params(deep=False).items())
        settings = [(name, _recognize(value)) for name, value in params if name != "verbose"]
        fingerprint = joblib.hash((X, y, metadata, estimator._run_origin, settings))
        self._runs[run_of(context)] = fingerprint
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
        if not is_epoch(context):
            if progress.ended != "stopped":
                return  # otherwise a callback ended this run, and it shall not be resumed
        elif progress.epochs % self.every and not progress.ended:
            return
        state = {
            "format": CHECKPOINT_FORMAT,
            "fingerprint": self._runs[run_of(context)],
            "trained": fitted_estimator._fitted,
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
