"""How training is told of while it goes on: to the user's callbacks, and to the user."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ._progress import Progress


class Watcher:
    """Tells the user's callbacks, and with ``verbose`` the user, how training goes.

    Hooks get the caller's own X and y. What costs anything, as a snapshot of the fitted state does,
    is made when a hook asks for it. Without callbacks there is no context, and nothing is called.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any, verbose: bool):
        self._estimator = estimator
        self._data = {
            "X": X,
            "y": y,
            "metadata": None if sample_weight is None else {"sample_weight": sample_weight},
        }
        self._verbose = verbose
        self._progress: Progress | None = None
        self._fit_context: Any = None
        self._epoch_context: Any = None

    def begin_fit(
        self, X_val: Any, y_val: Any, epochs_before: int, n_epochs: int
    ) -> dict[str, Any] | None:
        """Call the hooks before fit, and return what a `Checkpoint` wants to resume from.

        What decides how the run goes and is no hook's argument, a `Checkpoint` finds in the
        estimator: the validation data, and the epochs of the calls that this one continues.
        """
        estimator = self._estimator
        if getattr(estimator, "_skl_callbacks", None):
            estimator._run_origin = (X_val, y_val, epochs_before)
            self._fit_context = estimator._init_callback_context(max_subtasks=n_epochs)
            self._fit_context.call_on_fit_task_begin(estimator=estimator, **self._data)
            del estimator._run_origin
        return estimator.__dict__.pop("_resume_from", None)

    @contextmanager
    def showing(self, n_epochs: int, title: str = "Epoch") -> Iterator[None]:
        """Show progress, if the user wants to see it, until training ends or fails."""
        if not self._verbose:
            yield
            return
        self._progress = Progress(n_epochs, title)
        try:
            yield
        finally:
            self._progress.close()

    def show(self, row: dict[str, Any]) -> None:
        """Show an epoch, if the user wants to see it, and call no hooks."""
        if self._progress is not None:
            self._progress(row)

    def begin_epoch(self) -> None:
        """Call the hooks before an epoch."""
        if self._fit_context is not None:
            self._epoch_context = self._fit_context.subcontext(task_name="epoch")
            self._epoch_context.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def end_epoch(self, row: dict[str, Any], snapshot: Callable[[], dict[str, Any]]) -> bool:
        """Call the hooks after an epoch, and return whether one of them wants to stop."""
        self.show(row)
        return self._end(self._epoch_context, snapshot)

    def end_fit(self, snapshot: Callable[[], dict[str, Any]]) -> None:
        """Call the hooks after fit."""
        self._end(self._fit_context, snapshot)

    def _end(self, context: Any, snapshot: Callable[[], dict[str, Any]]) -> bool:
        if context is None:
            return False
        return context.call_on_fit_task_end(
            estimator=self._estimator, **self._data, reconstruction_attributes=snapshot
        )
