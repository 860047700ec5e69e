"""What the callbacks share: the four hooks, and where in a fit they are called."""

from typing import Any


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


def is_epoch(context: Any) -> bool:
    return context.task_name == "epoch"


def run_of(context: Any) -> int:
    """Tell the fit that a context belongs to from others that share the callback, as clones do."""
    return id(context.parent if is_epoch(context) else context)


class OfOneNetwork(Callback):
    """Base of callbacks that read a network's state, and so belong on its estimator.

    What they remember of each fit that goes on is in ``_runs``.
    """

    def __init__(self) -> None:
        self._runs: dict[int, Any] = {}

    def setup(self, estimator: Any, context: Any) -> None:
        """Begin a run; refuse a pipeline or a search, whose own tasks are no epochs."""
        if not hasattr(estimator, "hidden_layer_sizes"):
            raise TypeError(
                f"{type(self).__name__} belongs on a ScratchMLPClassifier or ScratchMLPRegressor "
                f"itself, not on the {type(estimator).__name__} around it."
            )
        self._runs[run_of(context)] = self._begin()

    def teardown(self, estimator: Any, context: Any) -> None:
        """Forget the run."""
        self._runs.pop(run_of(context), None)

    def _begin(self) -> Any:
        """Return what to remember of a run."""
