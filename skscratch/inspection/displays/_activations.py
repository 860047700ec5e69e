"""The display of what the hidden layers do with given inputs."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from ...nn.layers import Activate
from .._layers import idle_shares
from .._passes import one_network, run_passes
from ._plotting import BLUE, MOST_LABELS, ORANGE, add_key, draw_distributions, make_axes


class ActivationDisplay:
    """Distributions of what goes into the hidden layers' activations, and of what comes out.

    It is advised to use `from_estimator`.

    Parameters
    ----------
    pre_activations : list of ndarray of shape (n_samples, n_units)
        What goes into each hidden layer's activation: the affine map, normalized if the network
        does that.
    activations : list of ndarray of shape (n_samples, n_units)
        What comes out.
    names : list of str
        The activations' names.
    dead_shares : list of float
        Share of each layer's units that are dead: whose activation is flat on all rows (for ReLU:
        whose output is 0), so that they learn nothing.
    saturated_shares : list of float
        Share of units of a bounded activation (tanh, logistic) whose slope is below 5 % of the
        steepest on most rows; NaN for other activations.

    Attributes
    ----------
    axes_ : ndarray of matplotlib.axes.Axes of shape (2,)
        The panels, the pre-activations' first.
    ax_ : matplotlib.axes.Axes
        The first one.
    figure_ : matplotlib.figure.Figure
        The figure.

    Notes
    -----
    A layer's values are drawn as a histogram on its side, between the 0.1 and the 99.9 % quantile.
    The widths are relative, and bars far longer than the others, such as ReLU's at 0, are cut.
    Fewer than 100 values are drawn as points.

    References
    ----------
    Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS, look at activations in this way.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skscratch import ScratchMLPClassifier
    >>> from skscratch.inspection import ActivationDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ScratchMLPClassifier((32, 16), activation="relu", max_iter=10, random_state=0)
    >>> display = ActivationDisplay.from_estimator(clf.fit(X, y), X)
    """

    def __init__(
        self,
        pre_activations: Sequence[np.ndarray],
        activations: Sequence[np.ndarray],
        *,
        names: Sequence[str],
        dead_shares: Sequence[float],
        saturated_shares: Sequence[float],
    ):
        self.pre_activations = pre_activations
        self.activations = activations
        self.names = names
        self.dead_shares = dead_shares
        self.saturated_shares = saturated_shares

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        most_rows: int | None = 1000,
        member: int = 0,
        ax: Any = None,
    ) -> Self:
        """Pass X through a fitted network and draw what its hidden layers make of it.

        Parameters
        ----------
        estimator : ScratchMLPClassifier or ScratchMLPRegressor
            A fitted estimator with at least one hidden layer.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs, as `predict` takes them.
        most_rows : int, default=1000
            Take so many rows at most, evenly spaced; None for all.
        member : int, default=0
            The number of the network, if there are several. They differ by chance alone, so the
            first is as typical as any.
        ax : matplotlib.axes.Axes or array-like of them, default=None
            Where to draw, see `plot`.

        Returns
        -------
        display : ActivationDisplay
            The display.

        Raises
        ------
        ValueError
            If there is no hidden layer, or no such network.
        """
        passes = run_passes(one_network(estimator, member), X, most_rows=most_rows)
        layers = passes.network.layers
        places = [i for i, layer in enumerate(layers) if isinstance(layer, Activate)]
        if not places:
            raise ValueError("The network has no hidden layers, so that there are no activations.")
        dead, saturated = idle_shares(passes)
        display = cls(
            [passes.outputs[i - 1] for i in places],
            [passes.outputs[i] for i in places],
            names=[type(f).__name__ for f in passes.network.architecture.activations],
            dead_shares=dead,
            saturated_shares=saturated,
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the distributions, the layers side by side.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or array-like of them, default=None
            An Axes, which is divided in two, or two of them. None makes a figure.

        Returns
        -------
        self : ActivationDisplay
            The display.
        """
        n_layers = len(self.names)
        self.axes_ = make_axes(self, ax, 2, 1, (max(5.0, 2.0 + 1.3 * min(n_layers, 8)), 6.0))
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        above, below = self.axes_
        draw_distributions(above, self.pre_activations, BLUE)
        draw_distributions(below, self.activations, ORANGE)
        above.set(ylabel="pre-activation", xticks=range(1, n_layers + 1), xticklabels=[])
        add_key(above)
        explanation = ", and its share of dead or saturated units" if n_layers > MOST_LABELS else ""
        below.set(ylabel="activation", xlabel=f"hidden layer{explanation}")
        below.set_xticks(range(1, n_layers + 1), self._labels())
        return self

    def _labels(self) -> list[str]:
        labels = []
        shares = zip(self.names, self.dead_shares, self.saturated_shares, strict=True)
        for number, (name, dead, saturated) in enumerate(shares, start=1):
            kind, share = ("dead", dead) if np.isnan(saturated) else ("saturated", saturated)
            percent = f"{100 * share:.3g} %"
            if len(self.names) > MOST_LABELS:
                labels.append(f"{number}\n{percent}")
            else:
                n_units = self.activations[number - 1].shape[1]
                labels.append(f"{number}\n{n_units} {name}\n{percent} {kind}")
        return labels
