"""Callbacks: what happens between the epochs of a fit.

They are set with ``estimator.set_callbacks(...)`` and follow scikit-learn's callback protocol
(`sklearn.callback`, from 1.9 on, experimental there), so that they stand beside its `ProgressBar`
and `ScoringMonitor`; on a bare estimator they work with older versions of scikit-learn too. As in
scikit-learn, clones share the callback objects.

`skscratch.inspection.LayerMonitor`, which records the gradients of each layer, is one more.

A callback of your own is an object with the four methods of `Callback`; if its ``on_fit_task_end``
returns True after an epoch, training ends there.
"""

from ._base import Callback
from ._checkpoint import Checkpoint
from ._plain import HistoryCSV, StopOnPlateau, TimeBudget

__all__ = ["Callback", "Checkpoint", "HistoryCSV", "StopOnPlateau", "TimeBudget"]
