"""What is measured on rows held out, after each epoch."""

import copy
import inspect
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import nan
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring

from ..nn.blocks import row_blocks
from ..nn.divergence import has_finite_numbers
from ..nn.network import Network
from .inputs import Data
from .targets import Target


class Validator:
    """Measures networks: the loss, and a score that is greater for better.

    Parameters
    ----------
    target : Target
        What y is to the networks. Its loss is the validation loss.
    X : Rows of shape (n_samples, n_features)
        The networks' inputs.
    Y : ndarray or OneHot of shape (n_samples, n_outputs)
        The encoded targets.
    sample_weight : ndarray of shape (n_samples, 1) or (n_samples, n_outputs), or None
        Weights of the rows, or of each output in each row; a score then counts a row by their mean.
    rows : ndarray of int, or list of such, optional
        Indices of the rows to measure on, by default all; or those of each network, which is
        measured on them alone.
    scoring : str or callable, optional
        ``"loss"``, or what scikit-learn takes for a scorer; accuracy or R2 by default.
    data : Data, optional
        Inputs and targets as the caller has them, for a scorer.
    predictor : BaseScratchMLP, optional
        A fitted estimator, for a scorer. It gets the networks to measure.
    place : str, default="the rows held out"
        What the rows are called in errors.

    Attributes
    ----------
    rows : ndarray of int or None
        The rows that are measured on, network by network if each has its own.
    networks : ndarray of int or None
        The number of the network that each of these rows is measured with; None for all of them.
    seconds : float
        Time spent so far.
    """

    def __init__(
        self,
        target: Target,
        X: Any,
        Y: Any,
        sample_weight: np.ndarray | None,
        rows: Any = None,
        scoring: Any = None,
        data: Data | None = None,
        predictor: Any = None,
        place: str = "the rows held out",
    ):
        self.seconds = 0.0
        self._target, self._X = target, X
        self._own = rows if isinstance(rows, list) else None
        self.rows, self.networks, self._gone = rows, None, np.array([], int)
        if self._own is not None:
            self.rows = np.concatenate(self._own)
            self.networks = np.repeat(np.arange(len(rows)), [len(own) for own in rows])
        taken = slice(None) if rows is None else self.rows
        self._Y = Y[taken].astype(np.float64)
        self._weights = self._shares = self._counts = None
        if sample_weight is not None:
            self._weights = self._counts = sample_weight[taken].astype(np.float64)
            if not self._weights.any():
                raise ValueError(
                    f"sample_weight, times class_weight, is zero in all of {place}; give "
                    "more rows a weight, or leave out others."
                )
            self._shares = self._weights / self._weights.mean()
            self._weights = self._weights.mean(axis=1)
        self._score = self._choose(scoring, data, predictor, place)

    def __call__(self, *networks: Network) -> tuple[float, float]:
        """Return the loss and the score of networks; NaN if logits are not finite."""
        started = time.perf_counter()
        measured = self.measure(*self.logits(*networks))
        self.seconds += time.perf_counter() - started
        return measured

    def measure(self, Z: np.ndarray, known: np.ndarray) -> tuple[float, float]:
        """Return the loss and the score of logits, as `logits` gives them."""
        if not (known.any() and np.isfinite(known_rows(Z, known)).all()):
            return nan, nan
        loss = self._loss(Z, known)
        return loss, float(self._score(Z, known, loss))

    def _loss(self, Z: np.ndarray, known: np.ndarray) -> float:
        # Block by block: the loss overwrites logits and needs room, with many classes a lot of it.
        loss = 0.0
        for rows in row_blocks(*Z.shape):
            kept = known[rows]
            logits = Z[rows][kept].astype(np.float64)
            Y = np.asarray(self._Y[rows])[kept]
            if not len(logits):
                continue
            shares = None if self._shares is None else self._shares[rows][kept]
            value = self._target.loss.value_and_gradient(logits, Y, shares, np.empty_like(logits))
            loss += float(value) * len(logits)
        total = np.count_nonzero(known)
        # The mean of all shares is 1; that of those that are left need not be.
        return loss / total if self._shares is None else loss / (total * self._shares[known].mean())

    @property
    def counting(self) -> np.ndarray | None:
        """Whether each row has a weight above 0; None if all have the same."""
        return None if self._weights is None else self._weights > 0

    @property
    def n_rows(self) -> int:
        """Number of rows that count."""
        counting = self.counting
        return len(self._Y) if counting is None else int(np.count_nonzero(counting))

    def forget(self, networks: np.ndarray) -> None:
        """Expect no longer to get some networks, given their numbers: their rows are not known."""
        self._gone = networks

    def targets(self, known: np.ndarray) -> tuple[Any, np.ndarray | None]:
        """Return the targets of rows whose logits are known, and their weights or None."""
        counts = None if self._counts is None else known_rows(self._counts, known)
        return known_rows(self._Y, known), counts

    def logits(self, *networks: Network) -> tuple[np.ndarray, np.ndarray]:
        """Return the logits of each row, and whether they are known: not if a network is lost.

        Rows that all networks share have the mean of the logits of those that are not lost.
        """
        lost = [np.atleast_1d(~has_finite_numbers(network)) for network in networks]
        if self._own is None:
            return self._mean_logits(networks, lost), np.ones(len(self._Y), bool)
        left, first = np.delete(np.arange(len(self._own)), self._gone), 0
        starts = np.cumsum([0, *map(len, self._own)])
        # They lose nothing in the networks' precision, and take half the room in float32.
        Z = np.full((len(self._Y), networks[0].sizes[-1]), nan, networks[0].dtype)
        for network in networks:
            numbers = left[first : first + math.prod(network.stack)]
            first += len(numbers)
            own = [self._own[k] for k in numbers]
            longest = max(map(len, own))
            rows = np.array([np.resize(each, longest) for each in own])
            logits = network.predict(self._X, rows if network.stack else rows[0])
            logits = logits.reshape(len(own), *logits.shape[-2:])
            for k, part, each in zip(numbers, logits, own, strict=True):
                Z[starts[k] : starts[k + 1]] = part[: len(each)]
        numbers_of_rows: Any = self.networks
        return Z, np.isin(numbers_of_rows, left[~np.concatenate(lost)])

    def _mean_logits(self, networks: Sequence[Network], lost: Sequence[np.ndarray]) -> np.ndarray:
        """Return the mean over the networks that are not lost, or NaN if all are."""
        n_left = sum(np.count_nonzero(~each) for each in lost)
        if not n_left:
            return np.full((len(self._Y), networks[0].sizes[-1]), nan)

        def add_up(Z: np.ndarray, kept: np.ndarray) -> np.ndarray:
            return Z[kept].sum(axis=0) if Z.ndim > 2 else Z

        total: Any = 0.0
        for network, each in zip(networks, lost, strict=True):
            if not each.all():
                total = total + network.predict(self._X, self.rows, partial(add_up, kept=~each))
        return total / n_left if n_left > 1 else total

    def _choose(
        self, scoring: Any, data: Any, predictor: Any, place: str
    ) -> Callable[[np.ndarray, np.ndarray, float], float]:
        # Functions that held on to self would keep all of X in memory until the next collection.
        target, Y, weights = self._target, self._Y, self._weights
        if isinstance(scoring, str) and scoring == "loss":
            return lambda Z, known, loss: -loss
        scorer = None if scoring is None else check_scoring(predictor, scoring)
        classes: Any = getattr(target, "classes", ())
        # Of a single class there is nothing to tell apart, and many scorers refuse to try.
        if scorer is None or len(classes) == 1:
            return lambda Z, known, loss: target.score(
                known_rows(Z, known),
                known_rows(Y, known),
                None if weights is None else known_rows(weights, known),
            )
        labels = target.strata(Y)
        lacking = [] if labels is None else np.delete(classes, np.unique(labels)).tolist()
        if lacking:
            scorer = _with_labels(scorer, classes)
        weighted = weights is not None and _takes_weights(scorer)
        # A scorer sees plain rows, as a predictor without feature names expects them.
        taken = slice(None) if self.rows is None else self.rows
        X, y = data.X[taken], data.y[taken]
        y = y[:, 0] if y.shape[1:] == (1,) else y  # the form of what predict returns
        predictor = copy.copy(predictor)
        predictor.__dict__.pop("feature_names_in_", None)
        trained, has_own_rows = predictor._trained, self._own is not None

        def explain(what: str) -> str:
            lack, remedy = "", _REMEDIES[is_classifier(predictor)]
            if lacking:
                lack = f", which lack the class{'es' * (len(lacking) > 1)} {lacking}"
                remedy = _REMEDY_OF_LACK
            return f"On {place}{lack}, scoring={scoring!r} {what.rstrip('.')}. {remedy}"

        def score(Z: np.ndarray, known: np.ndarray, loss: float) -> float:
            kwargs = {"sample_weight": weights[known]} if weighted and weights is not None else {}
            # history_ tells of the network, not of its calibration.
            network: Any = trained.network
            if has_own_rows or not np.all(has_finite_numbers(network)):
                network = Seen(network, known_rows(Z, known))
            predictor._trained = replace(trained, network=network, temperature=1.0)
            try:
                found = scorer(predictor, known_rows(X, known), known_rows(y, known), **kwargs)
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


def known_rows(values: Any, known: np.ndarray) -> Any:
    """Return the rows that are known, without a copy if all are: tables may be large."""
    return values if known.all() else values[known]


class Seen:
    """Stands for a network where its logits are known already, or are those of several.

    Parameters
    ----------
    network : Network
        A network of this kind.
    logits : ndarray of shape (n_samples, n_outputs)
        The logits.
    """

    def __init__(self, network: Network, logits: np.ndarray):
        self.dtype, self.sizes, self.architecture = (
            network.dtype,
            network.sizes,
            network.architecture,
        )
        self.stack, self._logits = (), logits

    def predict(self, X: Any, rows: Any = None, decode: Any = None) -> np.ndarray:
        """Return what the network predicts for the rows that are scored, all of them."""
        if X.shape[0] != len(self._logits):
            raise ValueError(
                f"A scoring has to predict the {len(self._logits)} rows that it is given, all of "
                f"them and in their order, and asked for {X.shape[0]}."
            )
        logits = self._logits.astype(np.float64, copy=False)
        return logits if decode is None else decode(logits)


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
