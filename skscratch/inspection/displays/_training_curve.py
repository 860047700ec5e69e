"""The display of how training went: losses, scores and learning rate over the epochs."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, Self

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.validation import check_is_fitted

from .._passes import check_estimator_is_ours
from ._plotting import COLORS, make_axes

History = Mapping[str, Sequence[float]]

# For each panel: its label, and the columns drawn as training's and as validation's.
_PANELS: dict[str, tuple[str, str | None, str | None]] = {
    "loss": ("loss", "loss", "validation_loss"),
    "score": ("score", None, "validation_score"),
    "learning_rate": ("learning rate", "learning_rate", None),
    "gradient_norm": ("norm of the gradient", "gradient_norm", None),
    "seconds": ("seconds per epoch", "seconds", None),
}
_DEFAULT = ("loss", "score", "learning_rate")


class TrainingCurveDisplay:
    """How training went: loss, score and learning rate over the epochs, each in its own panel.

    A circle marks the best epoch, where its weights came back in the end. Of several networks the
    curves are the mean. It is advised to use `from_estimator`.

    Parameters
    ----------
    histories : dict from str to dict of list
        For each name a history as in an estimator's ``history_``: columns with a value per epoch,
        ``epoch`` among them. What is missing or NaN is not drawn. The name of a single one is
        not shown.
    restored_epochs : dict from str to int or None, default=None
        For each name the best epoch, whose weights were kept; None if there was none, and the
        weights are those of the last one.

    Attributes
    ----------
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_panels,)
        The panels.
    ax_ : matplotlib.axes.Axes
        The first one.
    figure_ : matplotlib.figure.Figure
        The figure.

    Notes
    -----
    Training and validation loss differ in more than the rows: the training loss is a mean over the
    epoch, while the weights moved, with penalty, dropout and smoothed labels; the validation loss
    is measured at the epoch's end without them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skscratch import ScratchMLPClassifier
    >>> from skscratch.inspection import TrainingCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = ScratchMLPClassifier((16,), early_stopping=True, random_state=0).fit(X, y)
    >>> display = TrainingCurveDisplay.from_estimator(clf)

    Several in one figure:

    >>> other = ScratchMLPClassifier((16,), learning_rate=0.001, random_state=0).fit(X, y)
    >>> estimators = {"early stopping": clf, "slow": other}
    >>> display = TrainingCurveDisplay.from_estimator(estimators, log_scale=True)
    """

    def __init__(
        self,
        histories: Mapping[str, History],
        restored_epochs: Mapping[str, int | None] | None = None,
    ):
        self.histories = histories
        self.restored_epochs = restored_epochs

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        panels: Sequence[str] | None = None,
        log_scale: bool = False,
        ax: Any = None,
    ) -> Self:
        """Draw the history of a fitted estimator, or of several.

        Parameters
        ----------
        estimator : estimator or dict from str to estimator
            A fitted ScratchMLPClassifier, ScratchMLPRegressor, MLPClassifier or MLPRegressor, or
            several by name.
        panels : sequence of str, default=None
            What to draw, see `plot`.
        log_scale : bool, default=False
            Whether the y axes are logarithmic, see `plot`.
        ax : matplotlib.axes.Axes or array-like of them, default=None
            Where to draw, see `plot`.

        Returns
        -------
        display : TrainingCurveDisplay
            The display.

        Raises
        ------
        ValueError
            If there is nothing to draw, as with scikit-learn's ``solver="lbfgs"``.
        TypeError
            If an estimator is none of these.
        """
        estimators = estimator if isinstance(estimator, Mapping) else {"": estimator}
        histories = {name: _history(each) for name, each in estimators.items()}
        restored = {name: _restored_epoch(each) for name, each in estimators.items()}
        return cls(histories, restored).plot(panels=panels, log_scale=log_scale, ax=ax)

    def plot(
        self, *, panels: Sequence[str] | None = None, log_scale: bool = False, ax: Any = None
    ) -> Self:
        """Draw the histories.

        Parameters
        ----------
        panels : sequence of str, default=None
            Some of ``"loss"``, ``"score"``, ``"learning_rate"``, ``"gradient_norm"`` and
            ``"seconds"``. None draws the first three, as far as there are data.
        log_scale : bool, default=False
            Whether the y axes are logarithmic. That of scores stays linear, and so does that of a
            panel whose values are not all positive.
        ax : matplotlib.axes.Axes or array-like of them, default=None
            An Axes, which is divided if there are several panels, or one for each panel. None makes
            a figure.

        Returns
        -------
        self : TrainingCurveDisplay
            The display.

        Raises
        ------
        ValueError
            If a panel is unknown, or there is nothing to draw in it.
        """
        panels = self._panels(panels)
        n_panels = len(panels)
        self.axes_ = make_axes(self, ax, 1, n_panels, (0.6 + 4 * n_panels, 3.6))
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        for axes, panel in zip(self.axes_, panels, strict=True):
            self._plot_panel(axes, panel, log_scale)
        return self

    def _panels(self, panels: Sequence[str] | None) -> list[str]:
        """Return the names of the panels to draw, checked."""
        drawable = [panel for panel in _PANELS if self._curves(panel)]
        if panels is None:
            return [panel for panel in _DEFAULT if panel in drawable] or ["loss"]
        panels = [panels] if isinstance(panels, str) else list(panels)
        if not panels or not set(panels) <= set(_PANELS):
            raise ValueError(f"panels must be some of {', '.join(_PANELS)}, got {panels!r}.")
        empty = [panel for panel in panels if panel not in drawable]
        if empty:
            raise ValueError(
                f"There is nothing to draw for {', '.join(empty)}; there is something for "
                f"{', '.join(drawable)}. Scores need rows that were not trained on (n_networks, "
                "early_stopping, X_val)."
            )
        return panels

    def _curves(self, panel: str) -> dict[str, dict[str, np.ndarray]]:
        """Return what there is to draw in a panel: by name and role, a value per epoch."""
        columns = _PANELS[panel][1:]
        curves: dict[str, dict[str, np.ndarray]] = {}
        for name, history in self.histories.items():
            for role, column in zip(("training", "validation"), columns, strict=True):
                values = np.asarray(history.get(column or "", []), dtype=float)
                if not np.all(np.isnan(values)):
                    curves.setdefault(name, {})[role] = values
        return curves

    def _plot_panel(self, ax: Any, panel: str, log_scale: bool) -> None:
        from matplotlib.lines import Line2D
        from matplotlib.ticker import MaxNLocator

        curves, alone = self._curves(panel), len(self.histories) == 1
        label, _, validation = _PANELS[panel]
        colors = dict(zip(self.histories, cycle(COLORS), strict=False))
        names, roles = {}, {}
        best = None
        for name, by_role in curves.items():
            epochs = np.asarray(self.histories[name]["epoch"])
            for role, values in by_role.items():
                color = COLORS[role == "validation"] if alone else colors[name]
                dash: Any = "--" if role == "validation" else "-"
                marker = "." if len(epochs) == 1 else ""
                ax.plot(epochs, values, color=color, linestyle=dash, marker=marker)
                names[name] = Line2D([], [], color=color)
                roles[role] = Line2D([], [], color=color if alone else "black", linestyle=dash)
            epoch = (self.restored_epochs or {}).get(name)
            if epoch is not None and validation:
                at = epochs == epoch
                best = Line2D([], [], color="black", marker="o", fillstyle="none", linestyle="")
                ax.plot(epochs[at], values[at], color="black", marker="o", fillstyle="none")
        if validation and len(roles) == 1:
            label = f"{next(iter(roles))} {label}"
        ax.set(xlabel="epoch", ylabel=label)
        ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
        positive = all(np.all(v > 0) for by_role in curves.values() for v in by_role.values())
        if log_scale and panel != "score" and positive:
            ax.set_yscale("log")
        elif panel in ("learning_rate", "seconds"):
            ax.set_ylim(bottom=0)  # or a constant rate would fill the panel with its rounding
        keys = {} if alone else names
        if len(roles) > 1:
            keys |= roles
        if best is not None:
            keys["best epoch"] = best
        if keys and (ax is self.ax_ or alone):
            ax.legend(keys.values(), keys.keys())


def _history(estimator: Any) -> History:
    """Return an estimator's history, also scikit-learn's, as far as it has one."""
    if not isinstance(estimator, MLPClassifier | MLPRegressor):
        return check_estimator_is_ours(estimator).history_
    check_is_fitted(estimator)
    losses = getattr(estimator, "loss_curve_", None)
    if losses is None:
        raise ValueError("scikit-learn's MLP records nothing to draw with solver='lbfgs'.")
    history = {"epoch": np.arange(1, len(losses) + 1), "loss": losses}
    scores = getattr(estimator, "validation_scores_", None)
    return history if scores is None else {**history, "validation_score": scores}


def _restored_epoch(estimator: Any) -> int | None:
    """Return the epoch that the networks went back to, if they did."""
    if isinstance(estimator, MLPClassifier | MLPRegressor):
        scores = getattr(estimator, "validation_scores_", None)
        return None if scores is None else int(np.argmax(scores)) + 1
    return estimator._fitted.restored_epoch
