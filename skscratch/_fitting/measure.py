"""What is measured on rows held out, after each epoch."""

import copy
import inspect
import time
from collections.abc import Callable
from dataclasses import replace
from math import nan
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring

from ..nn.blocks import row_blocks
from ..nn.network import Network
from .inputs import Data
from .targets import Target


class Validator:
    """Measures a network: the loss, and a score that is greater for better.

    Parameters
    ----------
    target : Target
        What y is to the network. Its loss is the validation loss.
    X : Rows of shape (n_samples, n_features)
        The network's inputs.
    Y : ndarray or OneHot of shape (n_samples, n_outputs)
        The encoded targets.
    sample_weight : ndarray of shape (n_samples, 1) or (n_samples, n_outputs), or None
        Weights of the rows, or of each output in each row; a score then counts a row by their mean.
    rows : ndarray of int, optional
        Indices of the rows to measure on; all by default.
    scoring : str or callable, optional
        ``"loss"``, or what scikit-learn takes for a scorer; accuracy or R2 by default.
    data : Data, optional
        Inputs and targets as the caller has them, for a scorer.
    predictor : BaseScratchMLP, optional
        A fitted estimator, for a scorer. It gets the networks to measure.
    place : str, default="the rows held out"
        What the rows are called in errors.
    """

    def __init__(
        self,
        target: Target,
        X: Any,
        Y: Any,
        sample_weight: np.ndarray | None,
        rows: np.ndarray | None = None,
        scoring: Any = None,
        data: Data | None = None,
        predictor: Any = None,
        place: str = "the rows held out",
    ):
        self.seconds = 0.0  # spent so far
        taken = slice(None) if rows is None else rows
        self._target, self._X, self._rows = target, X, rows
        self._Y = Y[taken].astype(np.float64)
        self._weights = self._shares = self._counts = None
        if sample_weight is not None:
            self._weights = self._counts = sample_weight[taken].astype(np.float64)
            self._shares = self._weights / self._weights.mean()
            self._weights = self._weights.mean(axis=1)
        self._score = self._choose(scoring, data, predictor, place)

    def __call__(self, network: Network) -> tuple[float, float]:
        """Return the loss and the score of a network; NaN if its logits are not finite."""
        started, loss, score = time.perf_counter(), nan, nan
        Z = self._predict(network)
        if np.isfinite(Z).all():
            loss = self._loss(Z)
            score = float(self._score(network, Z, loss))
        self.seconds += time.perf_counter() - started
        return loss, score

    def _loss(self, Z: np.ndarray) -> float:
        # Block by block: the loss overwrites logits and needs room, with many classes a lot of it.
        loss = 0.0
        for rows in row_blocks(*Z.shape):
            logits, Y = Z[rows].copy(), np.asarray(self._Y[rows])
            shares = None if self._shares is None else self._shares[rows]
            value = self._target.loss.value_and_gradient(logits, Y, shares, np.empty_like(logits))
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
        self, scoring: Any, data: Any, predictor: Any, place: str
    ) -> Callable[[Network, np.ndarray, float], float]:
        # Functions that held on to self would keep all of X in memory until the next collection.
        target, Y, weights = self._target, self._Y, self._weights
        if isinstance(scoring, str) and scoring == "loss":
            return lambda network, Z, loss: -loss
        scorer = None if scoring is None else check_scoring(predictor, scoring)
        classes: Any = getattr(target, "classes", ())
        # Of a single class there is nothing to tell apart, and many scorers refuse to try.
        if scorer is None or len(classes) == 1:
            return lambda network, Z, loss: target.score(Z, Y, weights)
        labels = target.strata(Y)
        lacking = [] if labels is None else np.delete(classes, np.unique(labels)).tolist()
        if lacking:
            scorer = _with_labels(scorer, classes)
        kwargs = {}
        if weights is not None and _takes_weights(scorer):
            kwargs["sample_weight"] = weights
        # A scorer sees plain rows, as a predictor without feature names expects them.
        taken = slice(None) if self._rows is None else self._rows
        X, y = data.X[taken], data.y[taken]
        y = y[:, 0] if y.shape[1:] == (1,) else y  # the form of what predict returns
        predictor = copy.copy(predictor)
        predictor.__dict__.pop("feature_names_in_", None)
        trained = predictor._trained

        def explain(what: str) -> str:
            lack, remedy = "", _REMEDIES[is_classifier(predictor)]
            if lacking:
                lack = f", which lack the class{'es' * (len(lacking) > 1)} {lacking}"
                remedy = _REMEDY_OF_LACK
            return f"On {place}{lack}, scoring={scoring!r} {what.rstrip('.')}. {remedy}"

        def score(network: Network, Z: np.ndarray, loss: float) -> float:
            # history_ tells of the network, not of its calibration.
            predictor._trained = replace(trained, network=network, temperature=1.0)
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
