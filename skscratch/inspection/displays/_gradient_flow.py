"""The display of how the gradient flows through the layers."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from .._layers import EXPLODING, VANISHING
from .._monitor import LayerMonitor
from .._passes import check_estimator_is_ours
from ._plotting import MOST_LABELS, ORANGE, add_layer_bar, layer_colors, make_axes

_LABELS = {
    "mean_gradient": "mean |gradient|",
    "max_gradient": "max |gradient|",
    "std_gradient": "std of gradient",
    "update_ratio": "|update| / |weights|",
    "dead_share": "share of dead units",
    "saturated_share": "share of saturated units",
}
_PANELS = ("mean_gradient", "max_gradient", "update_ratio")
_RULE_OF_THUMB = 1e-3


class GradientFlowDisplay:
    """How strong each layer's gradient is from epoch to epoch, and how far it moves the weights.

    It is advised to use `from_estimator`, for an estimator that was trained with a `LayerMonitor`.

    Parameters
    ----------
    record : dict of list
        The record of a `LayerMonitor`: a row for each epoch and layer. It exists also where fit
        failed.

    Attributes
    ----------
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_panels,)
        The panels.
    ax_ : matplotlib.axes.Axes
        The first one.
    figure_ : matplotlib.figure.Figure
        The figure.

    See Also
    --------
    LayerMonitor : Records what is drawn here.

    Notes
    -----
    A mean below 1e-7 counts as vanishing, a maximum above 1000 as exploding. For the update ratio
    about 1e-3 is a rule of thumb [1]_: far below it the layer hardly learns, far above it the
    learning rate may be too high. Toward the end of a schedule the ratio falls with the rate.

    References
    ----------
    .. [1] CS231n: Deep learning for computer vision, "Neural networks part 3: learning and
       evaluation", https://cs231n.github.io/neural-networks-3/#ratio.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skscratch import ScratchMLPClassifier
    >>> from skscratch.inspection import GradientFlowDisplay, LayerMonitor
    >>> clf = ScratchMLPClassifier((16, 16), activation="tanh", max_iter=30, random_state=0)
    >>> clf = clf.set_callbacks(LayerMonitor()).fit(*load_iris(return_X_y=True))
    >>> display = GradientFlowDisplay.from_estimator(clf)
    """

    def __init__(self, record: Mapping[str, Sequence[Any]]):
        self.record = record

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, panels: Sequence[str] = _PANELS, ax: Any = None
    ) -> Self:
        """Draw what the estimator's `LayerMonitor` recorded.

        Parameters
        ----------
        estimator : ScratchMLPClassifier or ScratchMLPRegressor
            An estimator fitted with a `LayerMonitor` among its callbacks.
        panels : sequence of str, default=("mean_gradient", "max_gradient", "update_ratio")
            What to draw, see `plot`.
        ax : matplotlib.axes.Axes or array-like of them, default=None
            Where to draw, see `plot`.

        Returns
        -------
        display : GradientFlowDisplay
            The display.

        Raises
        ------
        ValueError
            If there is no monitor, or its record is that of another fit: clones share it.
        """
        check_estimator_is_ours(estimator)
        callbacks = getattr(estimator, "_skl_callbacks", [])
        monitors = [callback for callback in callbacks if isinstance(callback, LayerMonitor)]
        if not monitors:
            raise ValueError(
                "The estimator has no LayerMonitor among its callbacks. Gradients are recorded "
                "only if wanted: estimator.set_callbacks(LayerMonitor()).fit(X, y)."
            )
        if not monitors[0].has_watched(estimator):
            raise ValueError(
                "The estimator's LayerMonitor holds the record of another fit, or none. Clones "
                "share their callbacks; give each estimator a monitor of its own, or draw the "
                "other fit with GradientFlowDisplay(monitor.record).plot()."
            )
        return cls(monitors[0].record).plot(panels=panels, ax=ax)

    def plot(self, *, panels: Sequence[str] = _PANELS, ax: Any = None) -> Self:
        """Draw the record.

        Parameters
        ----------
        panels : sequence of str, default=("mean_gradient", "max_gradient", "update_ratio")
            Columns of the record, each of which gets a panel: those three, ``"std_gradient"``,
            ``"dead_share"``, ``"saturated_share"``.
        ax : matplotlib.axes.Axes or array-like of them, default=None
            An Axes, which is divided if there are several panels, or one for each panel. None makes
            a figure.

        Returns
        -------
        self : GradientFlowDisplay
            The display.

        Raises
        ------
        ValueError
            If a panel is unknown, or the record is empty.
        """
        panels = [panels] if isinstance(panels, str) else list(panels)
        if not panels or not set(panels) <= set(_LABELS):
            raise ValueError(f"panels must be some of {', '.join(_LABELS)}, got {panels!r}.")
        if not len(self.record["epoch"]):
            raise ValueError("The record is empty: no epoch was recorded.")
        n_panels = len(panels)
        self.axes_ = make_axes(self, ax, 1, n_panels, (0.6 + 3.8 * n_panels, 3.6))
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        for axes, column in zip(self.axes_, panels, strict=True):
            self._plot_panel(axes, column)
        n_layers = max(self.record["layer"])
        if n_layers > MOST_LABELS:
            add_layer_bar(self.axes_, n_layers)
        else:
            self.ax_.legend()
        return self

    def _plot_panel(self, ax: Any, column: str) -> None:
        epochs, layers, values = (
            np.asarray(self.record[name], dtype=float) for name in ("epoch", "layer", column)
        )
        marker = "o" if len(np.unique(epochs)) == 1 else ""
        for layer, color in enumerate(layer_colors(int(layers.max())), start=1):
            rows = layers == layer
            if not np.all(np.isnan(values[rows])):
                label = f"layer {layer}"
                ax.plot(epochs[rows], values[rows], marker=marker, color=color, label=label)
        ax.set(xlabel="epoch", ylabel=_LABELS[column])
        if column.endswith("share"):
            ax.set_ylim(-0.03, 1.03)
            return
        positive = values[np.isfinite(values) & (values > 0)]
        low, high = (positive.min(), positive.max()) if len(positive) else (1.0, 1.0)
        if column == "mean_gradient":
            low = min(low, VANISHING)
            _draw_band(ax, low / 10, VANISHING, "vanishing", va="top")
        elif column == "max_gradient":
            high = max(high, EXPLODING)
            _draw_band(ax, EXPLODING, 10 * high, "exploding", va="bottom")
        elif column == "update_ratio":
            low, high = min(low, _RULE_OF_THUMB), max(high, _RULE_OF_THUMB)
            ax.axhline(_RULE_OF_THUMB, color="0.5", linestyle="--", linewidth=1, zorder=1)
            _write(ax, _RULE_OF_THUMB, "rule of thumb", va="bottom", x=0.02)
        ax.set_ylim(low / 10, 10 * high)
        ax.set_yscale("log")  # now that the limits are positive, whatever the values


def _draw_band(ax: Any, low: float, high: float, text: str, va: str) -> None:
    ax.axhspan(low, high, color=ORANGE, alpha=0.15, linewidth=0, zorder=0)
    _write(ax, high if va == "top" else low, text, va)


def _write(ax: Any, y: float, text: str, va: str, x: float = 0.98) -> None:
    place = ax.get_yaxis_transform()  # x in shares of the width, y in data
    side = "right" if x > 0.5 else "left"
    box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1}
    ax.text(x, y, text, transform=place, ha=side, va=va, color="0.35", fontsize="small", bbox=box)
