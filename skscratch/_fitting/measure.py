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

from ..nn.blocks import ELEMENTS, MANY_ROWS, row_blocks
from ..nn.divergence import has_finite_numbers
from ..nn.network import Network
from ..nn.rows import as_rows
from ..nn.workspace import Workspace
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
        self._passes: list[Pass] = []
        self._places: list[Any] = []
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
        loss, all_known = 0.0, known.all()
        for rows in row_blocks(*Z.shape):
            kept = slice(None) if all_known else known[rows]
            logits = Z[rows][kept].astype(np.float64)
            Y = np.asarray(self._Y[rows][kept])
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
        if [each.network for each in self._passes] != list(networks):
            self._passes, self._places = self._prepare(networks)
        finite = [np.atleast_1d(has_finite_numbers(network)) for network in networks]
        if self._own is None:
            return self._mean_logits(finite), np.ones(len(self._Y), bool)
        # They lose nothing in the networks' precision, and take half the room in float32.
        Z = np.full((len(self._Y), networks[0].sizes[-1]), nan, networks[0].dtype)
        known = np.zeros(len(Z), bool)
        for each, (places, counted), left in zip(self._passes, self._places, finite, strict=True):
            logits = each.predict()
            Z[places] = logits.reshape(*counted.shape, -1)[counted]
            known[places] = left.all() or np.repeat(left, counted.sum(axis=1))
        return Z, known

    def _prepare(self, networks: Sequence[Network]) -> tuple[list["Pass"], list[Any]]:
        """Return each stack's pass and, of rows of its own, where its logits belong.

        The places are indices, and tell which of the pass's rows count: networks side by side
        predict as many rows each, so that the shorter folds are filled up.
        """
        if self._own is None:
            return [Pass(network, self._X, self.rows) for network in networks], []
        left = np.delete(np.arange(len(self._own)), self._gone)
        numbers: Any = self.networks
        passes, places = [], []
        for network in networks:
            chosen, left = np.split(left, [math.prod(network.stack)])
            own = [self._own[k] for k in chosen]
            lengths = np.array([len(each) for each in own])
            rows = np.array([np.resize(each, lengths.max()) for each in own])
            passes.append(Pass(network, self._X, rows if network.stack else rows[0]))
            counted = np.arange(lengths.max()) < lengths[:, np.newaxis]
            places.append((np.flatnonzero(np.isin(numbers, chosen)), counted))
        return passes, places

    def _mean_logits(self, finite: Sequence[np.ndarray]) -> np.ndarray:
        """Return the mean over the networks that are not lost, or NaN if all are."""
        n_left = sum(np.count_nonzero(each) for each in finite)
        if not n_left:
            return np.full((len(self._Y), self._passes[0].network.sizes[-1]), nan)

        def add_up(Z: np.ndarray, kept: np.ndarray) -> np.ndarray:
            return Z[kept].sum(axis=0) if Z.ndim > 2 else Z

        total: Any = 0.0
        for each, kept in zip(self._passes, finite, strict=True):
            if kept.any():
                total = total + each.predict(partial(add_up, kept=kept))
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


class Pass:
    """A network's prediction of the same rows after each epoch.

    While the rows are few, they and the memory of the pass are kept: to gather them takes as long
    as a small network's pass.

    Parameters
    ----------
    network : Network
        The network, or a stack of them.
    X : Rows of shape (n_samples, n_features)
        The inputs.
    rows : ndarray of int of shape (n,) or (..., n), or None
        Which rows, by default all; with leading axes each network has its own.
    """

    def __init__(self, network: Network, X: Any, rows: np.ndarray | None):
        self.network, self._X, self._rows = network, X, rows
        self._workspace: Workspace | None = None
        source = as_rows(X, network.dtype)
        n_rows = source.shape[0] if rows is None else rows.shape[-1]
        widest = max(source.shape[1], *(layer.widest for layer in network.layers))
        if n_rows <= MANY_ROWS and n_rows * widest * math.prod(network.stack) <= ELEMENTS:
            chosen = slice(None) if rows is None else rows.ravel()
            room = np.empty((n_rows if rows is None else rows.size, source.shape[1]), source.dtype)
            self._block: Any = source.take(chosen, room)
            if rows is not None and rows.ndim > 1:
                self._block = self._block.reshape(*rows.shape, -1)
            self._workspace = Workspace(network, n_rows)

    def predict(self, decode: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
        """Return the logits or what ``decode`` makes of them, as `Network.predict` does."""
        if self._workspace is None:
            return self.network.predict(self._X, self._rows, decode)
        Z = self.network.forward(self._block, self._workspace).astype(np.float64)
        return Z if decode is None else decode(Z)


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
