"""The comparison as a whole: what to compare, on which folds, by which metrics."""

import sys
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_classifier, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import get_scorer
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold, check_cv
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.parallel import Parallel, delayed

from .._classifier import ScratchMLPClassifier
from .._interop.notebook import count
from .._regressor import ScratchMLPRegressor
from ..inspection._report import require
from .judge import summarize
from .measure import COLUMNS, Scorers, measure_fold
from .show import Comparison

MOST_CLASSES = 50
"""A numeric target of more distinct values than this is a regression's, unless told otherwise."""
_SHORT_NAMES = {"neg_root_mean_squared_error": "rmse"}


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

    The first one is the reference: its rivals' scores are subtracted from its own, fold by fold,
    and a test that knows that folds share their training rows says which mean differences are more
    than chance.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The inputs; a data frame reaches the estimators as it is.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The targets.
    estimators : dict of str to estimator, default=None
        At least two classifiers or regressors by name, the reference first; they are cloned. None
        takes, all at their defaults, `ScratchMLPClassifier` and `MLPClassifier`, or
        `ScratchMLPRegressor` and `MLPRegressor`, once with the target as it is and once with a
        standardized one. Those of scikit-learn get a `StandardScaler` in front.
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
        Names that begin with ``neg_`` are shown without it and with the sign turned. None is
        accuracy and log loss (if all have ``predict_proba``), for multilabel targets accuracy and
        micro-averaged F1, and R2 and RMSE for regression.
    confidence : float, default=0.95
        Level of the intervals and the verdicts, in (0, 1).
    error_score : "raise" or float, default="raise"
        What to do when an estimator fails: raise an error that names it, or take this number, such
        as NaN, for its scores on the fold and go on.
    random_state : int, RandomState instance or None, default=None
        Source of the folds, and for each fold of a number for all parameters ``random_state`` of
        the estimators, also nested ones, that are None. Pass an int for reproducible scores.
    n_jobs : int, default=None
        Number of folds at the same time, -1 for all processors. Fits that compete take longer.
    verbose : bool, default=True
        Whether to show how far it got.

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
    five repeated twice. Where all folds have the same difference other than 0, there is no
    interval, and p is that of the sign test, ``2**(1 - k)``.

    With several rivals, p is corrected by Holm's procedure [3]_, for each metric on its own. An
    interval has the level at which this procedure tests its difference, so that it excludes 0 where
    the verdict names a winner. No clear difference means that none was shown, not that there is
    none.

    Estimators take turns at being first in a fold. For each fit it is recorded whether it
    converged; other warnings are given once at the end.

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
    require("pandas", "compare")
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
        delayed(measure_fold)(fold, estimators, X, y, *split, scorers, int(seed), error_score)
        for fold, (split, seed) in enumerate(zip(splits, seeds, strict=True))
    )
    rows: list[dict[str, Any]] = []
    caught: Counter[tuple[str, type[Warning], str]] = Counter()
    started = time.perf_counter()
    for done, (measured, warned) in enumerate(
        Parallel(n_jobs=n_jobs, return_as="generator")(jobs), start=1
    ):
        rows += measured
        caught.update(warned)
        if verbose:
            _show_progress(done, len(splits), time.perf_counter() - started)
    for (name, category, message), times in caught.items():
        text = f"{message} (estimator {name!r}, {times} times)"
        warnings.warn(text, category, stacklevel=2)
    ratio = sum(len(test) for _, test in splits) / sum(len(train) for train, _ in splits)
    title = f"{task.capitalize()}, {_shape(X)}, {folds}"
    return summarize(task, list(estimators), scorers, rows, ratio, confidence, title)


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
    got = ", ".join(f"{name!r}: {type(value).__name__}" for name, value in estimators.items())
    raise ValueError(f"estimators must be all classifiers or all regressors, got {got}.")


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
    return splits, count(len(splits), "fold")


def _make_scorers(scoring: Any, estimators: Mapping[str, Any], task: str, target: str) -> Scorers:
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
    scorers = {}
    for name, scorer in scoring.items():
        shown = _SHORT_NAMES.get(name, name.removeprefix("neg_"))
        scorers[shown] = (get_scorer(scorer), not name.startswith("neg_"))
    for name in scorers.keys() & COLUMNS:
        raise ValueError(f"scoring must not be called {name!r}, which names another column.")
    return scorers


def _show_progress(done: int, n_folds: int, seconds: float) -> None:
    rest = seconds / done * (n_folds - done)
    end = "\r" if sys.stdout.isatty() and done < n_folds else "\n"
    text = f"Fold {done} of {n_folds}, {seconds:.0f} s, {rest:.0f} s to go"
    print(f"{text:<60}", end=end, flush=True)


def _shape(X: Any) -> str:
    return f"{X.shape[0]:,} rows, {X.shape[1]:,} features" if len(X.shape) > 1 else f"{len(X)} rows"
