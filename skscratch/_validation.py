"""What is measured on rows held out, after each epoch."""

import copy
import inspect
from collections.abc import Callable
from math import nan
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.metrics import check_scoring

from .nn.network import Network
from .nn.training import Training

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
    training : Training
        The training, whose loss is the validation loss.
    X : {ndarray, sparse matrix} of shape (n_samples, n_features)
        The network's inputs, or what ``prepare`` turns into them.
    Y : ndarray of shape (n_samples, n_outputs)
        The encoded targets.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The targets in the caller's labels and units, for a scorer.
    sample_weight : ndarray of shape (n_samples,) or (n_samples, n_outputs), or None
        Weights of the rows, or of each output in each row; a score then counts a row by their mean.
    rows : ndarray of int or None
        Indices of the rows to measure on; None takes them all.
    scoring : str, callable or None
        ``"loss"``, what scikit-learn takes for a scorer, or None for accuracy or R2.
    raw : {ndarray, sparse matrix} of shape (n_samples, n_features)
        The inputs as `predict` takes them, for a scorer.
    prepare : callable or None
        Turns rows of X into the network's inputs, if they are not that yet.
    """

    def __init__(
        self,
        estimator: Any,
        training: Training,
        X: Any,
        Y: np.ndarray,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        rows: np.ndarray | None,
        scoring: Any,
        raw: Any,
        prepare: Callable[..., Any] | None = None,
    ):
        taken = slice(None) if rows is None else rows
        self._estimator, self._training, self._X, self._rows = estimator, training, X, rows
        self._prepare = prepare
        self._Y, self._y = Y[taken].astype(np.float64), y[taken]
        if self._y.shape[1:] == (1,):
            self._y = self._y[:, 0]  # the form of what predict returns
        self._weights = self._shares = self._counts = None
        if sample_weight is not None:
            self._weights = self._counts = sample_weight[taken].astype(np.float64)
            self._shares = self._weights / self._weights.mean()
            if self._weights.ndim == 2:
                self._weights = self._weights.mean(axis=1)
        self._score = self._choose(scoring, raw)

    def __call__(self, network: Network) -> tuple[float, float]:
        """Return the loss and the score of a network; NaN if its logits are not finite."""
        Z = self._predict(network)
        if not np.isfinite(Z).all():
            return nan, nan
        logits = Z.copy()  # the loss overwrites them
        loss = self._training.loss.value_and_gradient(
            logits, self._Y, self._shares, np.empty_like(Z)
        )
        score = float(self._score(network, Z, float(loss)))
        return float(loss), score

    @property
    def n_rows(self) -> int:
        """Number of rows that count."""
        if self._weights is None:
            return len(self._Y)
        return int(np.count_nonzero(self._weights))

    def logits(self, network: Network) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return a network's logits, the targets, and the weights or None."""
        return self._predict(network), self._Y, self._counts

    def _predict(self, network: Network) -> np.ndarray:
        return network.predict(self._X, self._rows, prepare=self._prepare)

    def _choose(self, scoring: Any, raw: Any) -> Callable[[Network, np.ndarray, float], float]:
        # Functions that held on to self would keep all of X in memory until the next collection.
        estimator, Y, y, weights = self._estimator, self._Y, self._y, self._weights
        if scoring is None:
            return lambda network, Z, loss: estimator._score_logits(Z, Y, weights)
        if isinstance(scoring, str) and scoring == "loss":
            return lambda network, Z, loss: -loss
        scorer = check_scoring(estimator, scoring)
        kwargs = {}
        if weights is not None and _takes_weights(scorer):
            kwargs["sample_weight"] = weights
        # A scorer sees plain rows, as a predictor without feature names expects them.
        X = raw if self._rows is None else raw[self._rows]
        predictor = copy.copy(estimator)
        predictor.__dict__.pop("feature_names_in_", None)
        predictor._training = self._training
        predictor.temperature_ = 1.0  # history_ tells of the network, not of its calibration

        def score(network: Network, Z: np.ndarray, loss: float) -> float:
            predictor.network_ = network
            found = scorer(predictor, X, y, **kwargs)
            try:
                if isinstance(found, str | bytes) or np.ndim(found) != 0:
                    raise TypeError("It is none.")
                return float(found)
            except (TypeError, ValueError) as error:
                raise TypeError(
                    f"scoring={scoring!r} has to return a number, got {found!r}."
                ) from error

        return score


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

    In a thousand honest splits each of six data sets that scikit-learn ships, and of heavy-tailed
    (Cauchy, log-normal, Pareto), zero-inflated and rare columns, it finds nothing, and nothing
    where validation rows follow training rows in time, as long as they are no longer than these. Of
    random walks it finds 2 to 7 % where there are 20.

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
