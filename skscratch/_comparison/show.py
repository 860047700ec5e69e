"""Showing: the result of a comparison as tables and as a figure."""

import textwrap
from dataclasses import dataclass
from html import escape
from itertools import cycle
from math import floor, isfinite, log10
from statistics import median_high
from typing import Any

from ..inspection._report import page
from ..inspection.displays._plotting import COLORS, make_figure

UNDECIDED = "no clear difference"
_LABELS = {"r2": "R2", "rmse": "RMSE"}
_MARKERS = "osD^vP"
_WIDTH = 80


@dataclass(frozen=True, repr=False, eq=False)
class Comparison:
    """What `compare` found. It prints as a table, and shows as one in notebooks.

    Attributes
    ----------
    task : {"classification", "regression"}
        What was compared.
    metrics : dict of str to bool
        The metrics by their names in the frames, and whether greater values are better.
    reference : str
        Name of the estimator that the others are compared with.
    scores : pandas.DataFrame
        A row for each fit: ``fold`` (from 0), ``estimator``, a column for each metric,
        ``fit_time`` and ``predict_time`` (seconds, of one call of ``fit`` and of ``predict`` on
        the test rows), ``size`` (bytes of the pickled fitted estimator; NaN if it cannot be
        pickled), ``converged`` (whether fit gave no ``ConvergenceWarning``) and ``failure`` (the
        message, where ``error_score`` stands in for the scores, and an empty text elsewhere).
    table : pandas.DataFrame
        A row for each estimator: mean and standard deviation over the folds of each metric
        (``accuracy``, ``accuracy_std``, ...), medians of ``fit_time``, ``relative_fit_time``
        (divided by the reference's in the same fold), ``predict_time`` and ``size``, and the number
        of fits that were ``not_converged``.
    differences : pandas.DataFrame
        A row for each metric and rival: the mean ``difference`` reference - rival over the folds in
        the metric's units, its confidence interval from ``low`` to ``high``, ``p``, ``p_holm``
        (corrected for the number of rivals) and the ``verdict``: who is better, or that there is no
        clear difference.
    title : str
        The data and the folds in words.
    confidence : float
        Level of the intervals and verdicts.
    """

    task: str
    metrics: dict[str, bool]
    reference: str
    scores: Any
    table: Any
    differences: Any
    title: str
    confidence: float

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        tables = (f"{heading}\n\n{frame.to_string()}" for heading, frame in self._formatted())
        notes = (textwrap.fill(note, _WIDTH) for note in self._notes())
        return "\n\n".join([self.title, *tables, *notes])

    def _repr_html_(self) -> str:
        """Show the tables in a notebook."""
        tables = [
            f"<p>{escape(heading)}</p>{frame.to_html(border=0)}"
            for heading, frame in self._formatted()
        ]
        notes = (f'<p class="faint">{escape(note)}</p>' for note in self._notes())
        return page(self.title, *tables, *notes)

    def _formatted(self) -> list[tuple[str, Any]]:
        """Return both tables as text, each below its heading."""
        import pandas as pd

        table = self.table
        columns = {
            _label(metric): _spreads(table[metric], table[f"{metric}_std"])
            for metric in self.metrics
        }
        columns |= {
            "fit time, s": [_short(value) for value in table["fit_time"]],
            "relative": [_short(value) for value in table["relative_fit_time"]],
            "predict, ms": [_short(1000 * value) for value in table["predict_time"]],
            "size, kB": [_short(value / 1000) for value in table["size"]],
        }
        if table["not_converged"].any():
            columns["not converged"] = table["not_converged"].tolist()
        scores = pd.DataFrame(columns, index=table.index.rename(None))
        rivals = [name for name in table.index if name != self.reference]
        rows = {}
        for row in self.differences.itertuples():
            digits = _digits((row.high - row.low) / 2)
            interval = f"{row.low:+.{digits}f} to {row.high:+.{digits}f}"
            key = _label(row.metric) if len(rivals) == 1 else (_label(row.metric), row.rival)
            rows[key] = {
                "difference": _or_dash(row.difference, f"{row.difference:+.{digits}f}"),
                f"{100 * self.confidence:g} % interval": _or_dash(row.low, interval),
                "p": _or_dash(row.p_holm, "<0.001" if row.p_holm < 0.001 else f"{row.p_holm:.3f}"),
                "verdict": row.verdict,
            }
        return [
            ("Mean ± standard deviation over the folds, and medians", scores),
            (
                f"{self.reference} minus {rivals[0] if len(rivals) == 1 else 'its rivals'}",
                pd.DataFrame.from_dict(rows, orient="index"),
            ),
        ]

    def _notes(self) -> list[str]:
        """Return what one has to know to read the tables."""
        down = [_label(metric) for metric, upwards in self.metrics.items() if not upwards]
        test, n_rivals = "Differences by the corrected resampled t-test", len(self.table) - 1
        if n_rivals > 1:
            test += f", p and intervals corrected for {n_rivals} rivals by Holm's procedure"
        notes = [f"{test}."]
        if down:
            notes.append(f"Smaller is better: {', '.join(down)}.")
        n_failed = int((self.scores["failure"] != "").sum())
        if n_failed:
            notes.append(f"{n_failed} of {len(self.scores)} fits failed, see scores['failure'].")
        return notes

    def plot(self, figure: Any = None) -> Any:
        """Draw the scores of each fold, and the differences with their intervals.

        Parameters
        ----------
        figure : matplotlib.figure.Figure or SubFigure, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        axes : ndarray of Axes of shape (n_metrics, 2)
            The axes drawn on: a row for each metric, scores on the left and differences on the
            right.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        names = list(self.table.index)
        if figure is None:
            size = (11, len(self.metrics) * (1.3 + 0.45 * len(names)))
            figure = make_figure("Comparison.plot", size)
        axes = figure.subplots(
            len(self.metrics), 2, squeeze=False, sharey=True, width_ratios=(3, 2)
        )
        colors = dict(zip(names, cycle(COLORS), strict=False))
        for (left, right), metric in zip(axes, self.metrics, strict=True):
            self._draw_scores(left, metric, colors)
            self._draw_differences(right, metric, colors)
        titles = (
            "Scores: each line is a fold, a marker the mean,\n"
            "a bar goes from the worst fold to the best",
            f"{_wrapped(f'{self.reference} minus rival')}\n"
            f"{100 * self.confidence:g} % confidence interval",
        )
        for ax, title in zip(axes[0], titles, strict=True):
            ax.set_title(title, fontsize="medium")
        return axes

    def _draw_scores(self, ax: Any, metric: str, colors: dict[str, str]) -> None:
        wide = self.scores.pivot(index="fold", columns="estimator", values=metric)[list(colors)]
        ax.plot(wide.to_numpy().T, range(len(colors)), color="0.8", linewidth=0.8, zorder=1)
        for y, (name, color) in enumerate(colors.items()):
            # Unlike a standard deviation, the extremes are scores that there can be.
            ax.plot([wide[name].min(), wide[name].max()], [y, y], "|-", color=color, markersize=9)
            ax.plot(self.table.loc[name, metric], y, _MARKERS[y % len(_MARKERS)], color=color)
        ax.set_yticks(range(len(colors)), list(colors))
        ax.set_ylim(len(colors) - 0.5, -0.5)
        ax.locator_params(axis="x", nbins=6)
        better = "greater" if self.metrics[metric] else "smaller"
        ax.set_xlabel(f"{_label(metric)} ({better} is better)")
        ax.grid(axis="x", alpha=0.3)

    def _draw_differences(self, ax: Any, metric: str, colors: dict[str, str]) -> None:
        rows = self.differences[self.differences["metric"] == metric]
        ax.axvline(0, color="0.4", linewidth=1)
        for row in rows.itertuples():
            y = list(colors).index(row.rival)
            marker, color = _MARKERS[y % len(_MARKERS)], colors[row.rival]
            ax.plot([row.low, row.high], [y, y], color=color, linewidth=2)
            # A hollow marker for what may be chance.
            face = "white" if row.verdict == UNDECIDED else color
            ax.plot(row.difference, y, marker, color=color, markerfacecolor=face)
            # Beside the panel, where the layout makes room for it.
            beside = {"xytext": (6, 0), "textcoords": "offset points", "va": "center"}
            verdict, place = _wrapped(row.verdict, 24), ("axes fraction", "data")
            ax.annotate(verdict, (1, y), xycoords=place, fontsize="small", **beside)
        ax.margins(x=0.15)
        ax.locator_params(axis="x", nbins=4)
        side = "above" if self.metrics[metric] else "below"
        better = _wrapped(f"({side} 0: {self.reference} is better)")
        ax.set_xlabel(f"difference in {_label(metric)}\n{better}")
        ax.grid(axis="x", alpha=0.3)


def _wrapped(text: str, width: int = 44) -> str:
    return "\n".join(textwrap.wrap(text, width))


def _label(metric: str) -> str:
    return _LABELS.get(metric, metric.replace("_", " "))


def _digits(spread: float) -> int:
    """Return how many decimals show a spread to two digits."""
    return max(0, 1 - floor(log10(spread))) if isfinite(spread) and spread > 0 else 3


def _spreads(means: Any, deviations: Any) -> list[str]:
    """Show means and standard deviations, with the same number of decimals throughout."""
    digits = median_high(map(_digits, deviations))
    return [
        f"{mean:.{digits}f}" + (f" ± {deviation:.{digits}f}" if isfinite(deviation) else "")
        for mean, deviation in zip(means, deviations, strict=True)
    ]


def _short(value: float) -> str:
    """Show a number to three digits; nothing for NaN."""
    if not isfinite(value):
        return "-"
    return f"{value:,.{max(0, 2 - floor(log10(value)))}f}" if value > 0 else "0"


def _or_dash(value: float, text: str) -> str:
    return text if isfinite(value) else "-"
