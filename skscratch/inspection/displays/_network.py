"""The display of the architecture: layers as columns of units."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import is_classifier

from ..._interop.notebook import count
from ...nn.layers import Dense
from ...nn.network import Network
from ...nn.options import check_integer
from .._subject import look_at
from ._plotting import BLUE, MOST_LABELS, ORANGE, make_axes


class NetworkDisplay:
    """The network drawn: its layers, their units, shapes and parameters, and the weights.

    It is advised to use `from_estimator`.

    Parameters
    ----------
    weights : list of ndarray of shape (n_in, n_out)
        The weights of each affine map.
    descriptions : list of str
        What to write below each column of units, the inputs' first: one more than weights.
    input_names, output_names : list of str, default=None
        What to write beside the inputs and the outputs, nothing by default.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes.
    figure_ : matplotlib.figure.Figure
        The figure.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skscratch import ScratchMLPClassifier
    >>> from skscratch.inspection import NetworkDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> clf = ScratchMLPClassifier((6, 4), max_iter=10, random_state=0).fit(X, y)
    >>> display = NetworkDisplay.from_estimator(clf)
    """

    def __init__(
        self,
        weights: Sequence[np.ndarray],
        *,
        descriptions: Sequence[str],
        input_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
    ):
        self.weights = weights
        self.descriptions = descriptions
        self.input_names = input_names
        self.output_names = output_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        most_units: int = 12,
        show_weights: bool | None = None,
        member: int = 0,
        ax: Any = None,
    ) -> Self:
        """Draw the network of a fitted estimator, or one of ``skscratch.nn``.

        Parameters
        ----------
        estimator : ScratchMLPClassifier, ScratchMLPRegressor, Pipeline, nn.Network or nn.Learner
            A fitted estimator, a fitted pipeline that ends in one, or a network.
        most_units : int, default=12
            Of larger layers only so many units are drawn, see `plot`.
        show_weights : bool, default=None
            Whether lines tell the weights, see `plot`.
        member : int, default=0
            The number of the network, if there are several. They differ by chance alone, so the
            first is as typical as any.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : NetworkDisplay
            The display.
        """
        subject = look_at(estimator, member=member)
        display = cls(
            [layer.coefficients.astype(float) for layer in subject.network.dense],
            descriptions=_descriptions(subject.network, subject.link),
            input_names=subject.feature_names,
            output_names=_output_names(subject.estimator),
        )
        return display.plot(most_units=most_units, show_weights=show_weights, ax=ax)

    def plot(
        self, *, most_units: int = 12, show_weights: bool | None = None, ax: Any = None
    ) -> Self:
        """Draw the network.

        Parameters
        ----------
        most_units : int, default=12
            Of layers with more units, only the first and the last ones are drawn, so many in all;
            >= 2.
        show_weights : bool, default=None
            Whether the lines between the units tell the weights: the width the size, relative to
            the layer's largest, and the color the sign. None does so if all units are drawn.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        self : NetworkDisplay
            The display.
        """
        most_units = check_integer("most_units", most_units, 2)
        sizes = [len(W) for W in self.weights] + [self.weights[-1].shape[1]]
        if show_weights is None:
            show_weights = max(sizes) <= most_units
        tallest = min(max(sizes), most_units + 1)
        many = len(sizes) > MOST_LABELS
        n_lines = 15 if many else 1 + max(text.count("\n") for text in self.descriptions)
        width = 2.0 + (0.8 if many else 1.5) * len(sizes)
        size = (width, 0.7 + 0.36 * tallest + 0.14 * n_lines)
        (self.ax_,) = make_axes(self, ax, 1, 1, size)
        self.figure_ = self.ax_.figure
        columns = [_drawn_units(n_units, most_units) for n_units in sizes]
        heights = [_heights(units) for units in columns]
        for k, W in enumerate(self.weights):
            shown = W[np.ix_(columns[k], columns[k + 1])] if show_weights else None
            self._draw_lines(k, heights[k], heights[k + 1], shown)
        for k, units in enumerate(columns):
            self._draw_units(k, heights[k])
            if len(units) < sizes[k]:
                gap = np.mean(heights[k][[len(units) - most_units // 2 - 1, -(most_units // 2)]])
                dots = gap + np.array([-0.25, 0, 0.25])
                self.ax_.scatter([k] * 3, dots, s=4, color="black", zorder=2)
        bottom = min(h[-1] for h in heights) - 0.8
        for k, description in enumerate(self.descriptions):
            text, rotation = (description.replace("\n", ", "), 90) if many else (description, 0)
            self.ax_.text(
                k, bottom, text, ha="center", va="top", fontsize="small", rotation=rotation
            )
        self._write_names(0, columns[0], heights[0], self.input_names, "right")
        self._write_names(len(sizes) - 1, columns[-1], heights[-1], self.output_names, "left")
        # In a figure of its own a unit takes as much room as two and a half lines of text.
        self.ax_.set(xlim=(-0.5, len(sizes) - 0.5), ylim=(bottom - 0.4 * n_lines, -bottom))
        self.ax_.set_axis_off()
        if show_weights:
            self._add_key()
        return self

    def _draw_units(self, k: int, heights: np.ndarray) -> None:
        self.ax_.scatter(
            [k] * len(heights), heights, s=90, color="white", edgecolors="black", zorder=2
        )

    def _draw_lines(
        self, k: int, heights: np.ndarray, next_heights: np.ndarray, W: np.ndarray | None
    ) -> None:
        """Connect the units of two columns; the weights are of shape (n_drawn, n_next_drawn)."""
        from matplotlib.collections import LineCollection

        segments = [[(k, start), (k + 1, end)] for start in heights for end in next_heights]
        if W is None:
            lines = LineCollection(segments, colors="0.8", linewidths=0.4, zorder=0)
        else:
            largest = np.max(np.abs(W)) or 1.0
            colors = np.where(W.ravel() < 0, ORANGE, BLUE)
            widths = 3.5 * np.abs(W.ravel()) / largest
            lines = LineCollection(segments, colors=colors, linewidths=widths, zorder=0)
        self.ax_.add_collection(lines, autolim=False)

    def _write_names(
        self, k: int, units: np.ndarray, heights: np.ndarray, names: Any, side: str
    ) -> None:
        """Write names beside the units of a column, on the side where the text ends or begins."""
        if names is None:
            return
        x = k - 0.12 if side == "right" else k + 0.12
        for unit, height in zip(units, heights, strict=True):
            if unit < len(names):  # what an embedding makes of the features has no names
                self.ax_.text(x, height, str(names[unit]), ha=side, va="center", fontsize="small")

    def _add_key(self) -> None:
        from matplotlib.lines import Line2D

        keys = {
            "positive weight": Line2D([], [], color=BLUE, linewidth=2.5),
            "negative weight": Line2D([], [], color=ORANGE, linewidth=2.5),
        }
        self.ax_.legend(
            keys.values(),
            keys.keys(),
            title="line width: |weight|, relative to the layer's largest",
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=2,
            frameon=False,
        )


def _drawn_units(n_units: int, most_units: int) -> np.ndarray:
    """Return which units to draw: all, or the first and the last ones."""
    if n_units <= most_units:
        return np.arange(n_units)
    n_last = most_units // 2
    return np.r_[: most_units - n_last, n_units - n_last : n_units]


def _heights(units: np.ndarray) -> np.ndarray:
    """Return where to draw units, one below the other around 0, with a place left for a gap."""
    places = np.arange(len(units)) + np.cumsum(np.r_[0, np.diff(units) > 1])
    return places[-1] / 2 - places


def _descriptions(network: Network, link: str | None) -> list[str]:
    """Say what each column of units is."""
    counts = [0]  # of what comes before the first affine map, then of each map and what follows
    for layer, views in zip(network.layers, network.per_layer(network.parameters), strict=True):
        if isinstance(layer, Dense):
            counts.append(0)
        counts[-1] += sum(view.size for view in views)
    dropout = network.architecture.dropout or [0.0] * len(network.sizes)
    inputs = ["inputs", count(network.sizes[0], "feature")]
    if network.architecture.embedding is not None:
        kind, n_embedded = type(network.architecture.embedding).__name__, network.dense[0].n_in
        inputs.append(f"{kind} embedding\n{count(n_embedded, 'number')}")
    descriptions = ["\n".join(inputs)]
    for number, activation in enumerate(network.architecture.activations, start=1):
        lines = [f"hidden layer {number}", count(network.sizes[number], "unit")]
        if network.architecture.normalization is not None:
            lines.append(f"{network.architecture.normalization} norm")
        lines.append(type(activation).__name__)
        if dropout[number - 1] > 0:
            lines.append(f"dropout {dropout[number - 1]:g}")
        descriptions.append("\n".join(lines))
    outputs = count(network.sizes[-1], "unit")
    descriptions.append(f"outputs\n{outputs}\n{link or 'logits'}")
    for number, n_parameters in enumerate(counts):
        if n_parameters:
            descriptions[number] += "\n" + count(n_parameters, "parameter")
    return descriptions


def _output_names(estimator: Any) -> list[str] | None:
    """Name an estimator's outputs: by classes, or by number if there are several."""
    if estimator is None:
        return None
    n_outputs = estimator.n_outputs_
    if is_classifier(estimator):
        classes = estimator.classes_
        # A single logit is that of the second class.
        return [str(label) for label in classes[-n_outputs:]]
    return [f"output {k}" for k in range(1, n_outputs + 1)] if n_outputs > 1 else None
