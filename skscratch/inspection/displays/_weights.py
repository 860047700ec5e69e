"""The display of the weights: their distributions, or those of the first layer as images."""

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from ...nn.options import check_integer
from .._passes import one_network
from ._plotting import BLUE, MOST_LABELS, ORANGE, add_key, draw_distributions, make_axes


class WeightDisplay:
    """The weights of a network: distributions layer by layer, or the first layer's as images.

    It is advised to use `from_estimator`.

    Parameters
    ----------
    weights : list of ndarray of shape (n_in, n_out)
        The weights of each affine map.
    biases : list of ndarray of shape (n_out,)
        Its biases.

    Attributes
    ----------
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_panels,)
        The panels: weights and biases, or an image each.
    ax_ : matplotlib.axes.Axes
        The first one.
    figure_ : matplotlib.figure.Figure
        The figure.

    Notes
    -----
    The first layer's weights are what the scaled features are multiplied by, see
    ``feature_scaling``, with learned scales multiplied in.

    Distributions are drawn as in `ActivationDisplay`; the biases of a layer are mostly so few that
    they are points, in the order of the units.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skscratch import ScratchMLPClassifier
    >>> from skscratch.inspection import WeightDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ScratchMLPClassifier((32, 16), max_iter=10, random_state=0).fit(X, y)
    >>> display = WeightDisplay.from_estimator(clf)
    >>> display = WeightDisplay.from_estimator(clf, kind="images", image_shape=(8, 8))
    """

    def __init__(self, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]):
        self.weights = weights
        self.biases = biases

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        kind: str = "distribution",
        image_shape: tuple[int, int] | None = None,
        n_units: int = 16,
        member: int = 0,
        ax: Any = None,
    ) -> Self:
        """Draw a fitted estimator's weights.

        Parameters
        ----------
        estimator : ScratchMLPClassifier or ScratchMLPRegressor
            A fitted estimator.
        kind : {"distribution", "images"}, default="distribution"
            What to draw, see `plot`.
        image_shape : tuple of int, default=None
            Height and width of the inputs, see `plot`.
        n_units : int, default=16
            The most images to draw.
        member : int, default=0
            The number of the network, if there are several. They differ by chance alone, so the
            first is as typical as any.
        ax : matplotlib.axes.Axes or array-like of them, default=None
            Where to draw, see `plot`.

        Returns
        -------
        display : WeightDisplay
            The display.
        """
        estimator = one_network(estimator, member)
        display = cls(
            [W.astype(float) for W in estimator.coefs_],
            [b.astype(float) for b in estimator.intercepts_],
        )
        return display.plot(kind=kind, image_shape=image_shape, n_units=n_units, ax=ax)

    def plot(
        self,
        *,
        kind: str = "distribution",
        image_shape: tuple[int, int] | None = None,
        n_units: int = 16,
        ax: Any = None,
    ) -> Self:
        """Draw the weights.

        Parameters
        ----------
        kind : {"distribution", "images"}, default="distribution"
            Weights and biases as histograms, the layers side by side; or for units of the first
            layer the weights as an image of what they look for. The units with the longest weight
            vectors come first, in descending order.
        image_shape : tuple of int, default=None
            Height and width of the images that the features are the pixels of, row by row. None
            takes a square.
        n_units : int, default=16
            The most images to draw, >= 1.
        ax : matplotlib.axes.Axes or array-like of them, default=None
            An Axes, which is divided if there are several panels, or one for each panel. None makes
            a figure.

        Returns
        -------
        self : WeightDisplay
            The display.

        Raises
        ------
        ValueError
            If ``kind`` is unknown, or the features make no image of that shape, or a shape is given
            for distributions.
        """
        if kind == "distribution":
            if image_shape is not None:
                raise ValueError(f"image_shape={image_shape} goes with kind='images' only.")
            self._plot_distributions(ax)
        elif kind == "images":
            self._plot_images(image_shape, check_integer("n_units", n_units, 1), ax)
        else:
            raise ValueError(f"kind must be 'distribution' or 'images', got {kind!r}.")
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        return self

    def _plot_distributions(self, ax: Any) -> None:
        n_layers = len(self.weights)
        size = (max(5.0, 2.0 + 1.2 * min(n_layers, MOST_LABELS)), 6.0)
        self.axes_ = above, below = make_axes(self, ax, 2, 1, size)
        draw_distributions(above, self.weights, BLUE)
        draw_distributions(below, self.biases, ORANGE)
        places = range(1, n_layers + 1)
        labels = [str(number) for number in places]
        if n_layers <= MOST_LABELS:
            shapes = (f"{W.shape[0]} x {W.shape[1]}" for W in self.weights)
            labels = [f"{label}\n{shape}" for label, shape in zip(labels, shapes, strict=True)]
        above.set(ylabel="weight", xticks=places, xticklabels=[])
        add_key(above)
        below.set(ylabel="bias", xlabel="layer")
        below.set_xticks(places, labels)

    def _plot_images(self, image_shape: tuple[int, int] | None, n_units: int, ax: Any) -> None:
        W = self.weights[0]
        shape = _image_shape(image_shape, len(W))
        units = np.argsort(-np.linalg.norm(W, axis=0), kind="stable")[:n_units]
        n_columns = math.ceil(math.sqrt(len(units)))
        n_rows = math.ceil(len(units) / n_columns)
        ratio = math.sqrt(shape[0] / shape[1])
        size = (1.3 * n_columns / ratio + 1.2, (1.3 * ratio + 0.25) * n_rows + 0.3)
        grid = make_axes(self, ax, n_rows, n_columns, size)
        self.axes_ = grid[: len(units)]
        for empty in grid[len(units) :]:
            empty.set_axis_off()
        limit = np.max(np.abs(W[:, units])) or 1.0
        for panel, unit in zip(self.axes_, units, strict=True):
            image = panel.imshow(W[:, unit].reshape(shape), cmap="RdBu_r", vmin=-limit, vmax=limit)
            panel.set(xticks=[], yticks=[])
            panel.set_title(f"unit {unit + 1}", fontsize="small")
        self.axes_[0].figure.colorbar(image, ax=list(grid), label="weight", shrink=0.8)


def _image_shape(image_shape: tuple[int, int] | None, n_inputs: int) -> tuple[int, int]:
    """Return height and width of images with so many pixels."""
    if image_shape is None:
        side = math.isqrt(n_inputs)
        if side**2 != n_inputs:
            raise ValueError(
                f"The first layer's {n_inputs} inputs make no square; pass the images' height and "
                "width as image_shape."
            )
        return side, side
    if np.shape(image_shape) != (2,):
        raise ValueError(f"image_shape must be (height, width), got {image_shape!r}.")
    height, width = image_shape
    if height * width != n_inputs:
        raise ValueError(
            f"image_shape={image_shape} has {height * width} pixels, but the first layer has "
            f"{n_inputs} inputs."
        )
    return height, width
