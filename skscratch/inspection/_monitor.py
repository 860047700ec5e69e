"""A callback that writes down how the gradient flows through the layers."""

from dataclasses import dataclass, field
from itertools import compress
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing, indexable, resample

from ..callbacks._base import OfOneNetwork, is_epoch, run_of
from ..nn.options import check_integer
from ._layers import layer_statistics
from ._passes import one_network

COLUMNS = (
    "epoch",
    "layer",
    "mean_gradient",
    "max_gradient",
    "std_gradient",
    "update_ratio",
    "dead_share",
    "saturated_share",
)


class LayerMonitor(OfOneNetwork):
    r"""Record the gradients, the updates and the idle units of each layer after each epoch.

    The rows are drawn from X at the start of fit and stay the same from epoch to epoch. They pass
    through a copy of the network and back, without dropout, and are then the batch of a step that
    nobody keeps. Training goes on as it would without the monitor.

    Parameters
    ----------
    n_rows : int, default=256
        How many rows to look at, at most; >= 1.
    every : int, default=1
        Number of epochs between two records, >= 1: with 10, epochs 1, 11, 21, ... are recorded.
    member : int, default=0
        The number of the network, if there are several. They differ by chance alone, so the first
        is as typical as any.

    Attributes
    ----------
    record : dict of list
        For each recorded epoch a row for each affine map of the network; `pandas.DataFrame` takes
        it as it is. Its columns:

        - ``epoch``: number of the epoch, as in ``history_``.
        - ``layer``: number of the affine map, from 1.
        - ``mean_gradient``, ``max_gradient``: mean and largest absolute value of the loss's
          gradient with respect to the weights W, without L2 penalty and before clipping.
        - ``std_gradient``: its standard deviation.
        - ``update_ratio``: :math:`\lVert \Delta W \rVert / \lVert W \rVert`, what the next step
          would change, penalty, clipping and weight decay included, at the learning rate of the
          epoch's last step. NaN with L-BFGS, and if W is 0.
        - ``dead_share``: share of the layer's units whose activation is flat on all of the rows
          (for ReLU: whose output is 0), so that they learn nothing. NaN in the last layer, which
          has none.
        - ``saturated_share``: share of units of a bounded activation (tanh, logistic) whose slope
          is below 5 % of the steepest on most of the rows; NaN for other activations.

    See Also
    --------
    GradientFlowDisplay : Draws the record.

    Notes
    -----
    A record costs about as much as ten steps of training with as many rows: some 10 ms on one core
    for the default network with 64 features, whatever the number of rows trained on. With ``every``
    above 1 the other epochs cost a copy of network and optimizer state, which takes 2 ms there.

    Clones share the monitor, so that in a search ``record`` is that of the last fit: the refit. A
    search with ``n_jobs`` trains in other processes, whose records are lost. A warm start and
    further calls of `partial_fit` add to the record of the same estimator.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.datasets import load_iris
    >>> from skscratch import ScratchMLPClassifier
    >>> from skscratch.inspection import LayerMonitor
    >>> monitor = LayerMonitor(every=10)
    >>> clf = ScratchMLPClassifier((16,), max_iter=20, random_state=0).set_callbacks(monitor)
    >>> clf = clf.fit(*load_iris(return_X_y=True))
    >>> pd.DataFrame(monitor.record)[["epoch", "layer"]]
       epoch  layer
    0      1      1
    1      1      2
    2     11      1
    3     11      2
    """

    def __init__(self, n_rows: int = 256, every: int = 1, member: int = 0):
        super().__init__()
        self.n_rows = check_integer("n_rows", n_rows, 1)
        self.every = check_integer("every", every, 1)
        self.member = check_integer("member", member, 0)
        self.record: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        # How long each row's epoch took, which is as good as a name: no two take the same time.
        self._seconds: list[float] = []

    def _begin(self) -> "_Run":
        return _Run()

    def on_fit_task_begin(
        self, estimator: Any, context: Any, *, X: Any = None, y: Any = None, metadata: Any = None
    ) -> None:
        """Draw the rows, among those that have a weight."""
        if is_epoch(context):
            return
        data = {"X": X, "y": y}
        weights: Any = (metadata or {}).get("sample_weight")
        if np.ndim(weights) == 1:
            data["sample_weight"] = weights
            rows = np.flatnonzero(weights)
        else:  # None, or one number for all rows
            rows = np.arange(X.shape[0] if hasattr(X, "shape") else len(X))
        n_rows = min(self.n_rows, len(rows))
        rows = np.sort(resample(rows, replace=False, n_samples=n_rows, random_state=0))
        arrays = zip(data, indexable(*data.values()), strict=True)
        drawn = {name: _safe_indexing(array, rows) for name, array in arrays}
        self._runs[run_of(context)].data = drawn

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> None:
        """Add the epoch to the record."""
        if not is_epoch(context):
            return
        history, run = fitted_estimator.history_, self._runs[run_of(context)]
        epoch = len(history["epoch"])
        if (epoch - 1) % self.every:
            return
        if run.record is None:
            run.record, run.seconds = self._so_far(history)
        statistics = layer_statistics(one_network(fitted_estimator, self.member), **run.data)
        n_layers = len(statistics["layer"])
        for name, values in {"epoch": [epoch] * n_layers, **statistics}.items():
            run.record[name] += values
        run.seconds += [history["seconds"][-1]] * n_layers
        self.record, self._seconds = run.record, run.seconds

    def has_watched(self, estimator: Any) -> bool:
        """Say whether the record is that of a fitted estimator, and of no other fit.

        Parameters
        ----------
        estimator : ScratchMLPClassifier or ScratchMLPRegressor
            The estimator.

        Returns
        -------
        answer : bool
            Whether there is a record and all of it is the estimator's.
        """
        return bool(self._seconds) and all(self._rows_of(estimator.history_))

    def _so_far(self, history: dict[str, list]) -> tuple[dict[str, list], list[float]]:
        """Copy what the record has of a training that goes on."""
        rows = self._rows_of(history)
        record = {name: list(compress(values, rows)) for name, values in self.record.items()}
        return record, list(compress(self._seconds, rows))

    def _rows_of(self, history: dict[str, list]) -> list[bool]:
        """Say for each row of the record whether it belongs to the training with this history."""
        epochs = zip(self.record["epoch"], self._seconds, strict=True)
        return [history["seconds"][epoch - 1 : epoch] == [seconds] for epoch, seconds in epochs]


@dataclass
class _Run:
    """One call of fit: the rows to look at, and its record, once there is one."""

    data: dict[str, Any] = field(default_factory=dict)
    record: dict[str, list[Any]] | None = None
    seconds: list[float] = field(default_factory=list)
