"""Comparing estimators on the same folds, without taking chance for a difference."""

import html
import importlib
import pickle
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import floor, isfinite, log10, nan, sqrt
from numbers import Integral, Real
from statistics import median_high
from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.special import stdtr, stdtrit
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold, check_cv
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.parallel import Parallel, delayed

from ._classifier import ScratchMLPClassifier
from ._regressor import ScratchMLPRegressor

UNDECIDED = "no clear difference"
MOST_CLASSES = 50
"""A numeric target of more distinct values than this is a regression's, unless told otherwise."""


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
        tables = [
            *(f"{heading}\n\n{frame.to_string()}" for heading, frame in self._formatted()),
            *self._notes(),
        ]
        return "\n\n".join([self.title, *tables])

    def _repr_html_(self) -> str:
        """Show the tables in a notebook."""
        parts = [f"<p><strong>{_escape(self.title)}</strong></p>"]
        for heading, frame in self._formatted():
            parts += [f"<p>{_escape(heading)}</p>", frame.to_html(border=0)]
        parts += [f"<p><small>{_escape(note)}</small></p>" for note in self._notes()]
        return f'<style>{_STYLE}</style><div class="skscratch-comparison">{"".join(parts)}</div>'

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
            difference = f"{row.difference:+.{digits}f}" if isfinite(row.difference) else "-"
            interval = f"{row.low:+.{digits}f} to {row.high:+.{digits}f}"
            key = _label(row.metric) if len(rivals) == 1 else (_label(row.metric), row.rival)
            rows[key] = {
                "difference": difference,
                f"{100 * self.confidence:g} % interval": interval if isfinite(row.low) else "-",
                "p": _p(row.p_holm),
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
        notes = ["Differences by the corrected resampled t-test."]
        if len(self.table) > 2:
            notes = [
                "Differences by the corrected resampled t-test, p and intervals corrected for "
                f"{len(self.table) - 1} rivals by Holm's procedure."
            ]
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
            _require("matplotlib", "Comparison.plot")
            import matplotlib.pyplot as plt

            size = (11, len(self.metrics) * (1.3 + 0.45 * len(names)))
            figure = plt.figure(figsize=size, layout="constrained")
        axes = figure.subplots(
            len(self.metrics), 2, squeeze=False, sharey=True, width_ratios=(3, 2)
        )
        colors = dict(zip(names, _colors(len(names)), strict=True))
        for (left, right), metric in zip(axes, self.metrics, strict=True):
            self._draw_scores(left, metric, colors)
            self._draw_differences(right, metric, colors)
        axes[0, 0].set_title(
            "Scores: each line is a fold, a marker the mean,\n"
            "a bar goes from the worst fold to the best",
            fontsize="medium",
        )
        axes[0, 1].set_title(
            f"{_wrapped(f'{self.reference} minus rival')}\n"
            f"{100 * self.confidence:g} % confidence interval",
            fontsize="medium",
        )
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


def compare(
    X: Any,
    y: Any,
    estimators: Mapping[str, Any] | None = None,
    *,
    task: str = "auto",
    cv: Any = 10,
    n_repeats: int = 2,
    scoring: Any = None,
    confidence: float = 0.95,
    error_score: Any = "raise",
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: bool = True,
) -> Comparison:
    """Compare estimators on the same folds, ours with scikit-learn's unless told otherwise.

    Each estimator is fitted and measured on each fold. The first one is the reference: its rivals'
    scores are subtracted from its own, fold by fold, and a test that knows that folds share their
    training rows says which mean differences are more than chance.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The inputs; a data frame reaches the estimators as it is.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The targets.
    estimators : dict of str to estimator, default=None
        At least two classifiers or regressors by name, the reference first; they are cloned, and
        not changed. None compares the estimators of this package with scikit-learn's, all at their
        defaults: `ScratchMLPClassifier` with `MLPClassifier`, or `ScratchMLPRegressor` with
        `MLPRegressor`, once with the target as it is and once with a standardized one. Those of
        scikit-learn get a `StandardScaler` in front; ours scale the features themselves.
    task : {"auto", "classification", "regression"}, default="auto"
        What to do with ``estimators=None``. ``"auto"`` is a regression for numbers that are not
        whole, and for numbers of more than 50 different values.
    cv : int, splitter or iterable, default=10
        The folds: their number (stratified for classifiers, unless there are several outputs), a
        splitter of scikit-learn, or pairs of row numbers to train and to test on, such as
        ``GroupKFold(5).split(X, y, groups)``.
    n_repeats : int, default=2
        How often to repeat the cross-validation with other folds, >= 1; for an int in ``cv``.
    scoring : str, callable, iterable of str, or dict, default=None
        The metrics: names of scikit-learn's scorers, a scorer, or a dict from names to either.
        Names that begin with ``neg_`` are shown without it and with the sign turned, smaller being
        better. None is accuracy and log loss (if all estimators have ``predict_proba``), for
        multilabel targets accuracy and micro-averaged F1, and R2 and RMSE for regression.
    confidence : float, default=0.95
        Level of the intervals and the verdicts, in (0, 1).
    error_score : "raise" or float, default="raise"
        What to do when an estimator fails: raise an error that names it, or take this number, such
        as NaN, for its scores on the fold and go on.
    random_state : int, RandomState instance or None, default=None
        Source of the folds. From it each fold also draws a number for all parameters of the
        estimators that are called ``random_state`` (also in nested objects) and are None, so that
        the spread of the scores covers the one of initial weights. Pass an int for reproducible
        scores.
    n_jobs : int, default=None
        Number of folds to work on at the same time; None means 1, -1 as many as there are
        processors. Times are the longer the more fits compete.
    verbose : bool, default=True
        Whether to show how far it got, in a line that is written over in a terminal, and in a line
        for each fold elsewhere.

    Returns
    -------
    comparison : Comparison
        The scores, their summary and the differences as data frames; ``print(comparison)`` shows
        the tables, ``comparison.plot()`` draws them.

    Raises
    ------
    ValueError, TypeError
        If an argument is not what it may be, or an estimator fails; the message names it.
    ImportError
        If pandas is missing.

    Notes
    -----
    The differences of k folds are not independent, because their training rows overlap, and the
    usual t-test finds too many. Nadeau and Bengio [1]_ make their variance ``s**2`` larger,
    ``t = mean / sqrt((1/k + n_test/n_train) * s**2)``, with k - 1 degrees of freedom, which
    Bouckaert and Frank [2]_ recommend for repeated cross-validation too. Ten folds tell more than
    five repeated twice, since they leave more rows to train on and fewer to test on. Where all
    folds have the same difference other than 0, there is no interval, and p is that of the sign
    test, ``2**(1 - k)``.

    With several rivals, p is corrected by Holm's procedure [3]_, for each metric on its own. An
    interval has the level at which this procedure tests its difference, so that it excludes 0 where
    the verdict names a winner. No clear difference means that none was shown, not that there is
    none: with more folds or more rows a small one may come to light.

    Estimators take turns at being first in a fold. Warnings are collected: for each fit it is
    recorded whether it converged, other warnings are given once at the end.

    References
    ----------
    .. [1] Nadeau and Bengio (2003), "Inference for the generalization error", Machine Learning 52,
       239-281.
    .. [2] Bouckaert and Frank (2004), "Evaluating the replicability of significance tests for
       comparing learning algorithms", PAKDD, LNCS 3056, 3-12.
    .. [3] Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian
       Journal of Statistics 6, 65-70.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.dummy import DummyClassifier
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skscratch import ScratchMLPClassifier, compare
    >>> X, y = load_iris(return_X_y=True)
    >>> estimators = {
    ...     "network": ScratchMLPClassifier((64,)),
    ...     "neighbors": KNeighborsClassifier(),
    ...     "constant": DummyClassifier(),
    ... }
    >>> comparison = compare(X, y, estimators, n_repeats=1, scoring="accuracy", random_state=0,
    ...                      verbose=False)
    >>> comparison.differences[["metric", "rival", "verdict"]]
         metric      rival              verdict
    0  accuracy  neighbors  no clear difference
    1  accuracy   constant       network better
    """
    _require("pandas", "compare")
    X, y = (data if hasattr(data, "shape") else np.asarray(data) for data in (X, y))
    X = X.tocsr() if issparse(X) else X
    check_consistent_length(X, y)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), got {confidence!r}.")
    if error_score != "raise" and not isinstance(error_score, Real):
        raise ValueError(f"error_score must be 'raise' or a number, got {error_score!r}.")
    target = type_of_target(y, input_name="y")
    if estimators is None:
        estimators = _default_estimators(_find_task(task, y, target), X)
    task = _task_of(estimators)
    rng = check_random_state(random_state)
    splits, folds = _make_splits(cv, n_repeats, X, y, task, target, rng)
    scorers = _make_scorers(scoring, estimators, task, target)
    seeds = rng.randint(np.iinfo(np.int32).max, size=len(splits))
    jobs = (
        delayed(_measure_fold)(
            _rotated(estimators, fold), X, y, train, test, scorers, int(seed), error_score, fold
        )
        for fold, ((train, test), seed) in enumerate(zip(splits, seeds, strict=True))
    )
    rows: list[dict[str, Any]] = []
    caught: dict[tuple[str, type[Warning], str], int] = {}
    started = time.perf_counter()
    for done, (measured, warned) in enumerate(
        Parallel(n_jobs=n_jobs, return_as="generator")(jobs), start=1
    ):
        rows += measured
        for key in warned:
            caught[key] = caught.get(key, 0) + 1
        if verbose:
            _show_progress(done, len(splits), time.perf_counter() - started)
    for (name, category, message), count in caught.items():
        text = f"{message} (estimator {name!r}, {count} times)"
        warnings.warn(text, category, stacklevel=2)
    ratio = sum(len(test) for _, test in splits) / sum(len(train) for train, _ in splits)
    title = f"{task.capitalize()}, {_shape(X)}, {folds}"
    return _summarize(task, list(estimators), scorers, rows, ratio, confidence, title)


# What to compare ------------------------------------------------------------------------------


def _find_task(task: str, y: Any, target: str) -> str:
    if task not in ("auto", "classification", "regression"):
        raise ValueError(f"task must be 'auto', 'classification' or 'regression', got {task!r}.")
    if task != "auto":
        return task
    if target.startswith("continuous"):
        return "regression"
    if target == "multilabel-indicator":
        return "classification"
    values = np.asarray(y)
    many = values.dtype.kind in "iuf" and len(np.unique(values)) > MOST_CLASSES
    return "regression" if many else "classification"


def _default_estimators(task: str, X: Any) -> dict[str, Any]:
    # Frames, which the user's set_config may ask for, are nothing that all of them take.
    scaler = StandardScaler(with_mean=not issparse(X)).set_output(transform="default")
    if task == "classification":
        return {
            "ScratchMLPClassifier": ScratchMLPClassifier(),
            "MLPClassifier": make_pipeline(scaler, MLPClassifier()),
        }
    theirs = make_pipeline(scaler, MLPRegressor())
    return {
        "ScratchMLPRegressor": ScratchMLPRegressor(),
        "MLPRegressor": theirs,
        "MLPRegressor, y scaled": TransformedTargetRegressor(
            theirs, transformer=StandardScaler().set_output(transform="default")
        ),
    }


def _task_of(estimators: Any) -> str:
    if not isinstance(estimators, Mapping):
        raise TypeError(
            "estimators must be a dict of names to estimators, got one of type "
            f"{type(estimators).__name__}."
        )
    if len(estimators) < 2:
        raise ValueError(f"estimators must hold at least two to compare, got {list(estimators)}.")
    for name, estimator in estimators.items():
        if not hasattr(estimator, "fit") or isinstance(estimator, type):
            raise TypeError(
                f"estimators[{name!r}] must be an estimator, that is an object with a method fit, "
                f"got {estimator!r}."
            )
    for task, belongs in (("classification", is_classifier), ("regression", is_regressor)):
        if all(map(belongs, estimators.values())):
            return task
    raise ValueError(
        "estimators must be all classifiers or all regressors, got "
        + ", ".join(f"{name!r}: {type(value).__name__}" for name, value in estimators.items())
        + "."
    )


def _make_splits(
    cv: Any, n_repeats: int, X: Any, y: Any, task: str, target: str, rng: np.random.RandomState
) -> tuple[list[tuple[np.ndarray, np.ndarray]], str]:
    """Return pairs of row numbers, and what to call them."""
    if isinstance(cv, Integral):
        stratified = task == "classification" and target in ("binary", "multiclass")
        splitter = RepeatedStratifiedKFold if stratified else RepeatedKFold
        made = splitter(n_splits=cv, n_repeats=n_repeats, random_state=rng.randint(2**31 - 1))
        repeated = f" in each of {n_repeats} repeats" if n_repeats > 1 else ""
        return list(made.split(np.zeros(X.shape[0]), y)), f"{cv} folds{repeated}"
    splits = list(check_cv(cv, y, classifier=task == "classification").split(X, y))
    return splits, f"{len(splits)} fold{'' if len(splits) == 1 else 's'}"


def _make_scorers(
    scoring: Any, estimators: Mapping[str, Any], task: str, target: str
) -> dict[str, tuple[Callable, bool]]:
    """Return for each metric its scorer, and whether greater is better as it will be shown."""
    if scoring is None:
        if task == "regression":
            scoring = ("r2", "neg_root_mean_squared_error")
        elif target == "multilabel-indicator":
            scoring = ("accuracy", "f1_micro")
        elif all(hasattr(estimator, "predict_proba") for estimator in estimators.values()):
            scoring = ("accuracy", "neg_log_loss")
        else:
            scoring = ("accuracy",)
    if isinstance(scoring, str):
        scoring = (scoring,)
    elif callable(scoring):
        scoring = {"score": scoring}
    if not isinstance(scoring, Mapping):
        scoring = {name: name for name in scoring}
    if not scoring:
        raise ValueError("scoring must name at least one metric, got none.")
    scorers = {
        _SHORT_NAMES.get(name, name.removeprefix("neg_")): (
            get_scorer(scorer),
            not name.startswith("neg_"),
        )
        for name, scorer in scoring.items()
    }
    for name in _COLUMNS:
        if name in scorers:
            raise ValueError(f"scoring must not be called {name!r}, which names another column.")
    return scorers


_SHORT_NAMES = {"neg_root_mean_squared_error": "rmse"}
_COLUMNS = ("fold", "estimator", "fit_time", "predict_time", "size", "converged", "failure")


# Measuring ------------------------------------------------------------------------------------


def _measure_fold(
    estimators: Mapping[str, Any],
    X: Any,
    y: Any,
    train: np.ndarray,
    test: np.ndarray,
    scorers: dict[str, tuple[Callable, bool]],
    seed: int,
    error_score: Any,
    fold: int,
) -> tuple[list[dict[str, Any]], list[tuple[str, type[Warning], str]]]:
    """Fit and measure each estimator on a fold; return a row for each, and their warnings."""
    rows, warned = [], []
    X_train, y_train, X_test, y_test = (
        _take(data, part) for part in (train, test) for data in (X, y)
    )
    for name, estimator in estimators.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                row = _measure(_seeded(estimator, seed), X_train, y_train, X_test, y_test, scorers)
            except Exception as error:
                message = f"{type(error).__name__}: {error}"
                if error_score == "raise":
                    raise ValueError(
                        f"The estimator {name!r} failed on fold {fold}: {message} Pass "
                        "error_score=np.nan to go on without its scores."
                    ) from error
                row = dict.fromkeys(scorers, float(error_score))
                row |= {"fit_time": nan, "predict_time": nan, "size": nan, "failure": message}
        categories = [warning.category for warning in caught]
        row["converged"] = not any(issubclass(c, ConvergenceWarning) for c in categories)
        rows.append({"fold": fold, "estimator": name} | row)
        warned += [
            (name, warning.category, str(warning.message))
            for warning in caught
            if not issubclass(warning.category, ConvergenceWarning)
        ]
    return rows, warned


def _measure(
    estimator: Any,
    X_train: Any,
    y_train: Any,
    X_test: Any,
    y_test: Any,
    scorers: dict[str, tuple[Callable, bool]],
) -> dict[str, Any]:
    started = time.perf_counter()
    estimator.fit(X_train, y_train)
    fitted = time.perf_counter()
    estimator.predict(X_test)
    predicted = time.perf_counter()
    row: dict[str, Any] = {}
    for metric, (scorer, upwards) in scorers.items():
        value = scorer(estimator, X_test, y_test)
        row[metric] = float(value if upwards else -value)
    return row | {
        "fit_time": fitted - started,
        "predict_time": predicted - fitted,
        "size": _pickled_size(estimator),
        "failure": "",
    }


def _seeded(estimator: Any, seed: int) -> Any:
    """Return a clone in which what has no random state yet has this one."""
    estimator = clone(estimator)
    return estimator.set_params(
        **{
            name: seed
            for name, value in estimator.get_params().items()
            if value is None and name.rpartition("__")[2] == "random_state"
        }
    )


def _pickled_size(estimator: Any) -> float:
    try:
        return len(pickle.dumps(estimator))
    except (pickle.PicklingError, AttributeError, TypeError):  # a lambda, an open file, ...
        return nan


def _rotated(estimators: Mapping[str, Any], fold: int) -> dict[str, Any]:
    names = list(estimators)
    first = fold % len(names)
    return {name: estimators[name] for name in names[first:] + names[:first]}


def _take(data: Any, rows: np.ndarray) -> Any:
    return data.iloc[rows] if hasattr(data, "iloc") else data[rows]


def _show_progress(done: int, n_folds: int, seconds: float) -> None:
    rest = seconds / done * (n_folds - done)
    end = "\r" if sys.stdout.isatty() and done < n_folds else "\n"
    text = f"Fold {done} of {n_folds}, {seconds:.0f} s, {rest:.0f} s to go"
    print(f"{text:<60}", end=end, flush=True)


# Judging --------------------------------------------------------------------------------------


def corrected_t_test(differences: np.ndarray, test_to_train: float) -> tuple[float, float]:
    """Test whether the mean of differences from overlapping training rows is 0.

    Parameters
    ----------
    differences : ndarray of shape (n_folds,)
        The difference of the scores in each fold.
    test_to_train : float
        Number of test rows divided by that of training rows.

    Returns
    -------
    p : float
        The two-sided p-value of the corrected resampled t-test; NaN for one fold or NaN scores.
    standard_error : float
        The corrected one, of the mean; NaN where p is, or without any spread.
    """
    k, mean = len(differences), differences.mean()
    if k < 2 or not np.isfinite(differences).all():
        return nan, nan
    if np.ptp(differences) <= 1e-12 * abs(mean):
        return (1.0 if mean == 0 else 2.0 ** (1 - k)), nan
    standard_error = sqrt(1 / k + test_to_train) * differences.std(ddof=1)
    return 2 * float(stdtr(k - 1, -abs(mean) / standard_error)), standard_error


def holm(p: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Correct p-values for their number by Holm's step-down procedure.

    Parameters
    ----------
    p : ndarray of shape (n_tests,)
        The p-values; NaN where there was nothing to test.
    alpha : float
        The chance allowed of one wrong rejection or more.

    Returns
    -------
    corrected : ndarray of shape (n_tests,)
        p-values to compare with alpha.
    levels : ndarray of shape (n_tests,)
        What the procedure compares the uncorrected ones with: alpha divided by the number of tests
        that are left, which no longer falls once a test is not rejected.
    """
    corrected, levels = np.full(len(p), nan), np.full(len(p), alpha)
    order = [i for i in np.argsort(p) if np.isfinite(p[i])]
    left, largest = len(order), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p[i]))
        corrected[i], levels[i] = largest, alpha / left
        if largest <= alpha:
            left -= 1
    return corrected, levels


def _summarize(
    task: str,
    names: list[str],
    scorers: dict[str, tuple[Callable, bool]],
    rows: list[dict[str, Any]],
    test_to_train: float,
    confidence: float,
    title: str,
) -> Comparison:
    import pandas as pd

    metrics = {metric: upwards for metric, (_, upwards) in scorers.items()}
    rows.sort(key=lambda row: (row["fold"], names.index(row["estimator"])))
    scores = pd.DataFrame(rows)[["fold", "estimator", *metrics, *_COLUMNS[2:]]]
    groups = scores.groupby("estimator", sort=False)
    fit_times = scores.pivot(index="fold", columns="estimator", values="fit_time")
    columns: dict[str, Any] = {}
    for metric in metrics:
        columns |= {metric: groups[metric].mean(), f"{metric}_std": groups[metric].std()}
    columns["fit_time"] = groups["fit_time"].median()
    columns["relative_fit_time"] = fit_times.div(fit_times[names[0]], axis="index").median()
    columns |= {column: groups[column].median() for column in ("predict_time", "size")}
    columns["not_converged"] = groups["converged"].agg(lambda fits: int((~fits).sum()))
    differences = [
        difference
        for metric in metrics
        for difference in _judge(
            metric,
            metrics[metric],
            scores.pivot(index="fold", columns="estimator", values=metric)[names].to_numpy(),
            names,
            test_to_train,
            confidence,
        )
    ]
    return Comparison(
        task=task,
        metrics=metrics,
        reference=names[0],
        scores=scores,
        table=pd.DataFrame(columns).loc[names],
        differences=pd.DataFrame(differences),
        title=title,
        confidence=confidence,
    )


def _judge(
    metric: str,
    upwards: bool,
    values: np.ndarray,
    names: list[str],
    test_to_train: float,
    confidence: float,
) -> list[dict[str, Any]]:
    """Compare the first column of values, of shape (n_folds, n_estimators), with the others."""
    reference, rivals = names[0], names[1:]
    differences = values[:, :1] - values[:, 1:]
    tested = [corrected_t_test(column, test_to_train) for column in differences.T]
    p = np.array([p for p, _ in tested])
    corrected, levels = holm(p, 1 - confidence)
    rows = []
    for j, rival in enumerate(rivals):
        mean = float(differences[:, j].mean())
        margin = float(stdtrit(len(values) - 1, 1 - levels[j] / 2)) * tested[j][1]
        verdict = UNDECIDED
        if corrected[j] <= 1 - confidence:
            verdict = f"{reference if (mean > 0) is upwards else rival} better"
        rows.append(
            {
                "metric": metric,
                "rival": rival,
                "difference": mean,
                "low": mean - margin,
                "high": mean + margin,
                "p": p[j],
                "p_holm": corrected[j],
                "verdict": verdict,
            }
        )
    return rows


# Showing --------------------------------------------------------------------------------------

_STYLE = """
.skscratch-comparison { overflow-x: auto; }
.skscratch-comparison table { border-collapse: collapse; }
.skscratch-comparison th, .skscratch-comparison td {
  padding: 0.25em 0.75em; text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums;
}
.skscratch-comparison tbody th { text-align: left; vertical-align: top; }
.skscratch-comparison thead tr { border-bottom: 1px solid; }
"""
_LABELS = {"r2": "R2", "rmse": "RMSE"}
_MARKERS = "osD^vP"
_OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def _wrapped(text: str, width: int = 44) -> str:
    return "\n".join(textwrap.wrap(text, width))


def _label(metric: str) -> str:
    return _LABELS.get(metric, metric.replace("_", " "))


def _colors(n: int) -> list[str]:
    return [_OKABE_ITO[i % len(_OKABE_ITO)] for i in range(n)]


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


def _p(value: float) -> str:
    if not isfinite(value):
        return "-"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _shape(X: Any) -> str:
    return f"{X.shape[0]:,} rows, {X.shape[1]:,} features" if len(X.shape) > 1 else f"{len(X)} rows"


def _escape(text: str) -> str:
    return html.escape(text, quote=False)


def _require(package: str, what: str) -> None:
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f'{what} needs {package}, which is missing: pip install "skscratch[plots]".'
        ) from error
