"""What is measured on rows held out, after each epoch."""

import copy
import inspect
from collections.abc import Callable
from math import nan
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring

from .nn.network import Network
from .nn.training import Training


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
