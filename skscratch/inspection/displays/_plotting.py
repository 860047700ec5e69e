"""What the displays share: matplotlib on use, axes for panels, and distributions side by side."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._report import require

# Okabe and Ito's colors, which color-blind people tell apart too.
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
LIGHT_BLUE, LIGHT_ORANGE, BLACK = "#56B4E9", "#E69F00", "#000000"
COLORS = (BLUE, ORANGE, GREEN, PINK, LIGHT_BLUE, LIGHT_ORANGE, BLACK)

# More layers than this get a color bar in place of a legend, and short labels.
MOST_LABELS = 8
FEW_VALUES = 100
"""Fewer than so many values are drawn as points and not as a histogram."""


def make_figure(caller: str, size: tuple[float, float]) -> Any:
    """Make a figure, or say how to get matplotlib."""
    return require("matplotlib.pyplot", caller).figure(figsize=size, layout="constrained")


def make_axes(
    caller: Any, ax: Any, n_rows: int, n_columns: int, size: tuple[float, float]
) -> np.ndarray:
    """Return the axes of a display's panels.

    Parameters
    ----------
    caller : object
        The display.
    ax : matplotlib.axes.Axes, array-like of them, or None
        One Axes, which is divided if there are several panels; one for each panel; or None for a
        figure of its own.
    n_rows, n_columns : int
        The grid of panels.
    size : tuple of float
        Width and height of a figure of its own, in inches.

    Returns
    -------
    axes : ndarray of Axes of shape (n_rows * n_columns,)
        The axes.
    """
    n_panels = n_rows * n_columns
    if ax is None:
        figure = make_figure(type(caller).__name__, size)
        return figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    if np.ndim(ax) > 0:
        axes = np.asarray(ax, dtype=object).ravel()
        if len(axes) != n_panels:
            raise ValueError(
                f"ax has {len(axes)} axes, but there are {n_panels} panels; pass as many, a single "
                "Axes, which is then divided, or None."
            )
        return axes
    if n_panels == 1:
        return np.array([ax], dtype=object)
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(
            f"ax cannot be divided into {n_panels} panels, since it is not part of a grid; make it "
            "with plt.subplots, or pass one Axes for each panel."
        )
    ax.set_axis_off()
    grid = place.subgridspec(n_rows, n_columns)
    return grid.subplots(squeeze=False).ravel()


def layer_colors(n_layers: int) -> list[Any]:
    """Return a color for each layer, from dark at the input to light at the output."""
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0, 0.9, n_layers)))


def add_layer_bar(axes: Any, n_layers: int) -> None:
    """Draw the key of `layer_colors` beside axes."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    colors = ScalarMappable(Normalize(0.5, n_layers + 0.5), ListedColormap(layer_colors(n_layers)))
    ticks = np.unique(np.linspace(1, n_layers, 6).round().astype(int))
    axes[0].figure.colorbar(colors, ax=list(axes), label="layer", ticks=ticks)


def draw_distributions(ax: Any, distributions: Sequence[np.ndarray], color: str) -> None:
    """Draw histograms upright and side by side, at x = 1, 2, ..., with mean and deviation.

    The widths are relative. Bars far longer than the third longest, such as ReLU's at 0, are cut
    to half as much again as that, for the sake of the others. The outermost thousandth on each side
    is left out. Few values are drawn as points.
    """
    for place, values in enumerate(distributions, start=1):
        _draw_distribution(ax, place, np.ravel(values), color)
    ax.errorbar(
        range(1, len(distributions) + 1),
        [np.mean(values) for values in distributions],
        [np.std(values) for values in distributions],
        fmt="o",
        color="black",
        markersize=3,
        linewidth=1,
        capsize=3,
        label="mean ± standard deviation",
    )
    ax.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    ax.set_xlim(0.4, len(distributions) + 0.6)


def _draw_distribution(ax: Any, place: int, values: np.ndarray, color: str) -> None:
    low, high = np.quantile(values, (0.001, 0.999))
    if low == high:  # a line stands for a single value
        ax.plot([place - 0.4, place + 0.4], [low, low], color=color, linewidth=3)
        return
    if len(values) < FEW_VALUES:
        offsets = np.linspace(-0.3, 0.3, len(values))
        ax.plot(place + offsets, values, ".", color=color, alpha=0.75)
        return
    n_bins = min(int(math.sqrt(len(values))), 60)
    counts, edges = np.histogram(values, n_bins, (low, high))
    longest = min(counts.max(), 1.5 * np.sort(counts)[-3] or counts.max())
    widths = 0.42 * np.minimum(counts, longest) / longest
    for side in (place - widths, place + widths):
        ax.stairs(
            side,
            edges,
            baseline=place,
            orientation="horizontal",
            fill=True,
            color=color,
            alpha=0.75,
        )


def add_key(ax: Any) -> None:
    """Draw the legend above axes, where it covers nothing."""
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, borderaxespad=0.1)
