"""What is measured on rows held out, after each epoch."""

import copy
import inspect
from collections.abc import Callable
from math import nan
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring

from .nn.blocks import row_blocks
from .nn.network import Network
from .nn.step import Learner

FAR = 0.6
"""Values farther from the training range than this share of it are far outside."""

_MOST_ROWS = 2_000
_LEAST_TRAINING, _LEAST_VALIDATION = 20, 10
_BLOCK_ELEMENTS = 2**17


class Validator:
    """Measures a network: the loss, and a score that is greater for better.

    Parameters
    ----------
    estimator : BaseScratchMLP
        The estimator in training, its target learned already.
    learner : Learner
        What is in training, whose loss is the validation loss.
    X : Rows of shape (n_samples, n_features)
        The network's inputs.
    Y : ndarray or OneHot of shape (n_samples, n_outputs)
        The encoded targets.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The targets in the caller's labels and units, for a scorer.
    sample_weight : ndarray of shape (n_samples, 1) or (n_samples, n_outputs), or None
        Weights of the rows, or of each output in each row; a score then counts a row by their mean.
    rows : ndarray of int or None
        Indices of the rows to measure on; None takes them all.
    scoring : str, callable or None
        ``"loss"``, what scikit-learn takes for a scorer, or None for accuracy or R2.
    raw : {ndarray, sparse matrix} of shape (n_samples, n_features)
        The inputs as `predict` takes them, for a scorer.
    place : str, default="the rows held out"
        What the rows are called in errors.
    """

    def __init__(
        self,
        estimator: Any,
        learner: Learner,
        X: Any,
        Y: Any,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        rows: np.ndarray | None,
        scoring: Any,
        raw: Any,
        place: str = "the rows held out",
    ):
        taken = slice(None) if rows is None else rows
        self._estimator, self._learner, self._X, self._rows = estimator, learner, X, rows
        self._Y, self._y = Y[taken].astype(np.float64), y[taken]
        if self._y.shape[1:] == (1,):
            self._y = self._y[:, 0]  # the form of what predict returns
        self._weights = self._shares = self._counts = None
        if sample_weight is not None:
            self._weights = self._counts = sample_weight[taken].astype(np.float64)
            self._shares = self._weights / self._weights.mean()
            self._weights = self._weights.mean(axis=1)
        self._score = self._choose(scoring, raw, place)

    def __call__(self, network: Network) -> tuple[float, float]:
        """Return the loss and the score of a network; NaN if its logits are not finite."""
        Z = self._predict(network)
        if not np.isfinite(Z).all():
            return nan, nan
        loss = self._loss(Z)
        return loss, float(self._score(network, Z, loss))

    def _loss(self, Z: np.ndarray) -> float:
        # Block by block: the loss overwrites logits and needs room, with many classes a lot of it.
        loss = 0.0
        for rows in row_blocks(*Z.shape):
            logits, Y = Z[rows].copy(), np.asarray(self._Y[rows])
            shares = None if self._shares is None else self._shares[rows]
            value = self._learner.loss.value_and_gradient(logits, Y, shares, np.empty_like(logits))
            loss += float(value) * (len(logits) / len(Z))
        return loss

    @property
    def n_rows(self) -> int:
        """Number of rows that count."""
        if self._weights is None:
            return len(self._Y)
        return int(np.count_nonzero(self._weights))

    def logits(self, network: Network) -> tuple[np.ndarray, Any, np.ndarray | None]:
        """Return a network's logits, the targets, and the weights or None."""
        return self._predict(network), self._Y, self._counts

    def _predict(self, network: Network) -> np.ndarray:
        return network.predict(self._X, self._rows)

    def _choose(
        self, scoring: Any, raw: Any, place: str
    ) -> Callable[[Network, np.ndarray, float], float]:
        # Functions that held on to self would keep all of X in memory until the next collection.
        estimator, Y, y, weights = self._estimator, self._Y, self._y, self._weights
        if isinstance(scoring, str) and scoring == "loss":
            return lambda network, Z, loss: -loss
        scorer = None if scoring is None else check_scoring(estimator, scoring)
        classes: Any = getattr(estimator, "classes_", ())
        # Of a single class there is nothing to tell apart, and many scorers refuse to try.
        if scorer is None or len(classes) == 1:
            return lambda network, Z, loss: estimator._score_logits(Z, Y, weights)
        labels = estimator._strata(Y)
        lacking = [] if labels is None else np.delete(classes, np.unique(labels)).tolist()
        if lacking:
            scorer = _with_labels(scorer, classes)
        kwargs = {}
        if weights is not None and _takes_weights(scorer):
            kwargs["sample_weight"] = weights
        # A scorer sees plain rows, as a predictor without feature names expects them.
        X = raw if self._rows is None else raw[self._rows]
        predictor = copy.copy(estimator)
        predictor.__dict__.pop("feature_names_in_", None)
        predictor._learner = self._learner
        predictor.temperature_ = 1.0  # history_ tells of the network, not of its calibration

        def explain(what: str) -> str:
            lack, remedy = "", _REMEDIES[is_classifier(estimator)]
            if lacking:
                lack = f", which lack the class{'es' * (len(lacking) > 1)} {lacking}"
                remedy = _REMEDY_OF_LACK
            return f"On {place}{lack}, scoring={scoring!r} {what.rstrip('.')}. {remedy}"

        def score(network: Network, Z: np.ndarray, loss: float) -> float:
            predictor.network_ = network
            try:
                found = scorer(predictor, X, y, **kwargs)
            except (ValueError, TypeError, AttributeError) as error:
                if not (lacking or isinstance(scoring, str)):
                    raise  # a function of the user's own, and its error
                raise ValueError(explain(f"failed: {error}")) from error
            if lacking and found != found:
                raise ValueError(explain("is undefined"))
            try:
                if isinstance(found, str | bytes) or np.ndim(found) != 0:
                    raise TypeError("It is none.")
                return float(found)
            except (TypeError, ValueError) as error:
                raise TypeError(
                    f"scoring={scoring!r} has to return a number, got {found!r}."
                ) from error

        return score


# By whether the estimator is a classifier.
_REMEDIES = {
    True: "For a classifier take 'accuracy', 'balanced_accuracy', 'f1_macro', 'neg_log_loss', "
    "'roc_auc_ovr' or another scorer of classes; others, such as 'r2', go with "
    "ScratchMLPRegressor.",
    False: "For a regressor take 'r2', 'neg_root_mean_squared_error', 'neg_mean_absolute_error' or "
    "another scorer of numbers; others, such as 'accuracy', go with ScratchMLPClassifier.",
}
_REMEDY_OF_LACK = (
    "Have rows of each class there, by a larger validation_fraction or other X_val and y_val, or "
    "take a scoring of classes that is defined without, such as 'accuracy' or 'neg_log_loss'."
)


def _with_labels(scorer: Any, classes: np.ndarray) -> Any:
    """Tell a scorer of probabilities which class each column is of, if its metric can be told.

    From the true labels, as which it takes them else, a class is missing.
    """
    kwargs, methods = getattr(scorer, "_kwargs", None), getattr(scorer, "_response_method", ())
    by_column = "predict" not in ((methods,) if isinstance(methods, str) else methods)
    if kwargs is None or "labels" in kwargs or not by_column:
        return scorer
    if "labels" not in inspect.signature(scorer._score_func).parameters:
        return scorer
    scorer = copy.copy(scorer)
    scorer._kwargs = {**kwargs, "labels": classes}
    return scorer


def _takes_weights(scorer: Any) -> bool:
    # scikit-learn's scorers take any keyword and pass it to the metric that they hold.
    function = getattr(scorer, "_score_func", scorer)
    return "sample_weight" in inspect.signature(function).parameters


def out_of_range_columns(X_train: Any, X_val: Any) -> np.ndarray:
    """Find the columns in which validation inputs are far from what training inputs are.

    That is where more than half of the validation values lie outside the training range by more
    than `FAR` times that range, as raw values do where the training inputs are standardized. Raw
    values of a small unit lie in a narrow heap within it instead: all columns whose training
    quartiles differ are found, too, if in each the validation values are within half the quartiles'
    distance, their median between the quartiles.

    Zeros do not count, since sparse and zero-inflated columns are mostly that. Nothing is said of
    columns with fewer than 20 training or 10 validation values, nor of those that are constant in
    training. Up to some 2,000 rows of each are looked at, evenly spaced.

    It finds nothing in 600 random splits of six data sets that scikit-learn ships, in one of some
    thousand of heavy-tailed (Cauchy, log-normal, Pareto), zero-inflated and rare columns, and
    nothing where validation rows follow training rows in time, as long as they are no longer than
    these. Of random walks it finds 2 to 7 % where there are 20.

    Parameters
    ----------
    X_train, X_val : {ndarray, sparse matrix} of shape (n_samples, n_features)
        Finite inputs of any real dtype.

    Returns
    -------
    columns : ndarray of int
        Their indices in ascending order, none if all is well.
    """
    train, val = (X[:: -(-X.shape[0] // _MOST_ROWS)] for X in (X_train, X_val))
    enough = (_count_values(train) >= _LEAST_TRAINING) & (_count_values(val) >= _LEAST_VALIDATION)
    chosen = np.flatnonzero(enough)
    step = max(1, _BLOCK_ELEMENTS // max(train.shape[0], val.shape[0]))
    is_far, is_heap, has_quartiles = (np.zeros(len(chosen), bool) for _ in range(3))
    for start in range(0, len(chosen), step):
        part = slice(start, start + step)
        T, V = (_dense(X[:, chosen[part]]) for X in (train, val))
        with np.errstate(over="ignore", invalid="ignore"):
            low, high = T.min(axis=0), T.max(axis=0)
            margin = FAR * (high - low)
            outside = ((low - margin > V) | (high + margin < V)) & (V != 0)
            is_far[part] = (margin > 0) & (
                2 * np.count_nonzero(outside, axis=0) > np.count_nonzero(V, axis=0)
            )
            q25, q75 = np.quantile(T, (0.25, 0.75), axis=0)
            spread, median = np.ptp(V, axis=0), np.median(V, axis=0)
            has_quartiles[part] = q75 > q25
            is_heap[part] = (2 * spread < q75 - q25) & (q25 <= median) & (median <= q75)
    if has_quartiles.any() and np.array_equal(is_heap, has_quartiles):
        is_far |= is_heap
    return chosen[is_far]


def _count_values(X: Any) -> np.ndarray:
    """Count the values of each column that are not 0."""
    if issparse(X):
        return np.bincount(X.tocsr().indices[X.data != 0], minlength=X.shape[1])
    return np.count_nonzero(X, axis=0)


def _dense(X: Any) -> np.ndarray:
    return np.asarray(X.toarray() if issparse(X) else X, np.float64)
