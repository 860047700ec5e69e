"""Targets: what is learned of y, and what the network's outputs stand for from then on."""

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from math import nan
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse
from scipy.special import log_expit, log_softmax
from sklearn.preprocessing import StandardScaler
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from ..nn.losses import AbsoluteError, Gamma, Huber, Loss, SoftmaxLogLoss, SquaredError
from ..nn.options import REAL_LINE, lookup
from ..nn.rows import OneHot, cast
from .class_weight import weigh_classes, weigh_labels
from .inputs import check_container, check_objects, is_missing
from .running import Running
from .settings import CLASSIFIER_LOSSES, REGRESSOR_LOSSES, Settings


class Target(ABC):
    """What y is to the network. It never changes: what learns more returns another one.

    Attributes
    ----------
    loss : Loss
        What is trained on.
    n_outputs : int
        Number of the network's outputs.
    """

    loss: Loss
    n_outputs: int

    @abstractmethod
    def go_on(self, y: np.ndarray, sample_weight: np.ndarray | None, settings: Settings) -> Self:
        """Return the target of a further call, whose parameters and rows may be others."""

    @abstractmethod
    def encode(self, y: np.ndarray, dtype: Any) -> np.ndarray | OneHot:
        """Turn y into what the network is trained on, of shape (n_samples, n_outputs)."""

    @abstractmethod
    def score(self, Z: np.ndarray, Y: Any, sample_weight: np.ndarray | None) -> float:
        """Return accuracy or R2 of logits Z for encoded targets Y."""

    def soften(self, Y: Any) -> Any:
        """Return what to train on in place of the encoded targets."""
        return Y

    def weigh(self, Y: Any, sample_weight: np.ndarray | None, incremental: bool = False) -> Any:
        """Return the weights that count, a column for rows or one for each output."""
        return None if sample_weight is None else sample_weight[:, np.newaxis]

    def strata(self, Y: Any) -> np.ndarray | None:
        """Return the class numbers to stratify by, if any."""
        return None

    def without_rows(self) -> Self:
        """Return a copy that holds no rows of the training data, for a file."""
        return self


@dataclass(frozen=True, eq=False)
class Labels(Target):
    """Classes: two, more, or independent labels.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        The classes in ascending order; for independent labels their numbers.
    multilabel : bool
        Whether a row may have several labels.
    label_smoothing : float
        The share of each target that is spread over all classes.
    class_weight : dict, list of dict, "balanced" or None
        The weights of the classes.
    """

    classes: np.ndarray
    multilabel: bool
    loss: Loss
    label_smoothing: float
    class_weight: Any

    @classmethod
    def learn(cls, y: np.ndarray, settings: Settings, classes: np.ndarray | None = None) -> Self:
        """Learn the classes, of which ``partial_fit`` is told by its caller."""
        multilabel = y.ndim == 2
        if classes is None:
            classes = np.arange(y.shape[1]) if multilabel else np.unique(y)
        loss = cls._loss_of(settings, classes, multilabel)
        return cls(classes, multilabel, loss, settings.label_smoothing, settings.class_weight)

    def go_on(self, y: np.ndarray, sample_weight: np.ndarray | None, settings: Settings) -> Self:
        return replace(
            self,
            loss=self._loss_of(settings, self.classes, self.multilabel),
            label_smoothing=settings.label_smoothing,
            class_weight=settings.class_weight,
        )

    @staticmethod
    def _loss_of(settings: Settings, classes: np.ndarray, multilabel: bool) -> Loss:
        loss: Loss = lookup("loss", settings.loss, CLASSIFIER_LOSSES, Loss)
        if not multilabel and len(classes) == 1:
            return SoftmaxLogLoss()  # that of one logit is 1, whatever there is to be learned
        exclusive = not multilabel and len(classes) > 2
        loss = loss if exclusive else loss.for_labels()
        if loss.out_activation in ("identity", "exp", "logistic" if exclusive else "softmax"):
            target = "more than two classes" if exclusive else "two classes or independent labels"
            raise ValueError(
                f"loss={settings.loss!r} gives no probabilities of {target}: its output activation "
                f"is {loss.out_activation!r}. Take 'log_loss' or a Focal object."
            )
        return loss

    @property
    def is_binary(self) -> bool:
        """Whether there are two classes, which share one logit: that of the second."""
        return not self.multilabel and len(self.classes) == 2

    @property
    def has_one_class(self) -> bool:
        """Whether there is nothing to tell apart."""
        return not self.multilabel and len(self.classes) == 1

    @property
    def n_outputs(self) -> int:  # type: ignore[override]
        return 1 if self.is_binary else len(self.classes)

    def encode(self, y: np.ndarray, dtype: Any) -> np.ndarray | OneHot:
        expected = (len(y), len(self.classes)) if self.multilabel else (len(y),)
        if y.shape != expected:
            raise ValueError(
                f"y has the shape {y.shape}, but must have {expected} for the "
                f"{'labels' if self.multilabel else 'classes'} {self.classes.tolist()} that the "
                "estimator has learned."
            )
        if self.multilabel:
            return y.astype(dtype)
        unseen = np.setdiff1d(y, self.classes)
        if len(unseen):
            raise ValueError(
                f"y has classes {unseen.tolist()} that are not among the known classes "
                f"{self.classes.tolist()}. Name all classes in the first call, or fit a new "
                "estimator."
            )
        index = np.searchsorted(self.classes, y)
        if self.is_binary:
            return index[:, np.newaxis].astype(dtype)
        return OneHot(index, len(self.classes), np.array([0, 1], dtype))

    def soften(self, Y: Any) -> Any:
        share = self.label_smoothing
        if share == 0:
            return Y
        if isinstance(Y, OneHot):
            return OneHot(Y.labels, Y.n_classes, (1 - share) * Y.values + share / Y.n_classes)
        return (1 - share) * Y + share / 2

    def weigh(self, Y: Any, sample_weight: np.ndarray | None, incremental: bool = False) -> Any:
        if self.class_weight is None:
            return super().weigh(Y, sample_weight)
        if incremental and isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} is not supported by partial_fit, which does "
                "not know how frequent the classes are in rows to come. Pass a dict from classes "
                "to weights; sklearn.utils.class_weight.compute_class_weight('balanced', "
                "classes=classes, y=sample) computes such weights from a sample of y."
            )
        index = self.strata(Y)
        if index is None:
            weights = weigh_labels(self.class_weight, Y, sample_weight)
        else:
            weights = weigh_classes(self.class_weight, self.classes, index, sample_weight)
        if not np.any(weights):
            raise ValueError(
                f"class_weight={self.class_weight!r} leaves no row with a weight; give more "
                "classes one."
            )
        return weights.reshape(len(weights), -1)

    def strata(self, Y: Any) -> np.ndarray | None:
        if self.multilabel:
            return None
        return Y.labels if isinstance(Y, OneHot) else Y[:, 0].astype(int)

    def decide(self, Z: np.ndarray) -> np.ndarray:
        """Return the index of each row's class, or for independent labels 0 or 1 for each."""
        if self.multilabel:
            return (Z > 0).astype(int)
        return (Z[:, 0] > 0).astype(int) if self.is_binary else Z.argmax(axis=1)

    def score(self, Z: np.ndarray, Y: Any, sample_weight: np.ndarray | None) -> float:
        decided, labels = self.decide(Z), self.strata(Y)
        correct = (decided == Y).all(axis=1) if labels is None else decided == labels
        # scikit-learn's accuracy_score looks at all labels first, which takes longer than a small
        # epoch; here they are known.
        return float(np.average(correct, weights=sample_weight))

    def labels(self, Z: np.ndarray) -> np.ndarray:
        """Return the predicted classes as a column, or the labels, of logits Z."""
        decided = self.decide(Z)
        return decided if self.multilabel else self.classes[decided, np.newaxis]

    def probabilities(self, Z: np.ndarray) -> np.ndarray:
        """Return the probability of each class."""
        return self.loss.inverse_link(self._logit_per_class(Z))

    def log_probabilities(self, Z: np.ndarray) -> np.ndarray:
        """Return the logarithm of each class's probability, however small that is."""
        if self.loss.out_activation == "logistic":
            return log_expit(self._logit_per_class(Z))
        if self.loss.out_activation == "softmax":
            # Classes that lie in memory one after another are summed over several times faster.
            return log_softmax(np.asfortranarray(Z), axis=1)
        return np.log(self.probabilities(Z))  # a loss of the user's own

    def _logit_per_class(self, Z: np.ndarray) -> np.ndarray:
        # The first class's logit is the negative of the second's.
        return np.hstack([-Z, Z]) if self.is_binary else Z

    def log_loss(self) -> Loss:
        """Return the log loss in the form that goes with the logits."""
        loss: Loss = CLASSIFIER_LOSSES["log_loss"]()
        return loss if self.loss.out_activation == "softmax" else loss.for_labels()


@dataclass(frozen=True, eq=False)
class Quantities(Target):
    """Numbers: standardized columns on the way in, and back on the way out.

    Attributes
    ----------
    name : str or Loss
        The loss as the user gave it, for errors.
    scaler : StandardScaler or None
        Mean and scale of each column; None if y is trained on as it is.
    running : Running or None
        What improves them in further calls.
    """

    n_outputs: int
    loss: Loss
    name: Any
    scaler: Any = None
    running: Running | None = None

    @classmethod
    def learn(cls, y: np.ndarray, sample_weight: np.ndarray | None, settings: Settings) -> Self:
        """Learn each column's mean and scale, if that makes sense for the loss."""
        target = cls(y.shape[1], _quantity_loss(settings), settings.loss)
        if not (settings.standardize_target and target.can_standardize):
            return target
        scaler = _fit_scaler(y, sample_weight)
        return replace(target, scaler=scaler, running=Running(y, sample_weight, scaler.mean_))

    def go_on(self, y: np.ndarray, sample_weight: np.ndarray | None, settings: Settings) -> Self:
        target = replace(self, loss=_quantity_loss(settings), name=settings.loss)
        if self.running is None or y.shape[1] != self.n_outputs:
            return target
        running, found = self.running.add(
            y, sample_weight, self.scaler.mean_, self.scaler.scale_ == 1, _mean_and_scale
        )
        scaler = self.scaler
        if found is not None:
            scaler = copy.deepcopy(scaler)
            scaler.mean_[found.columns], scaler.scale_[found.columns] = found.center, found.scale
            scaler.var_[found.columns] = found.scale**2
        return replace(target, scaler=scaler, running=running)

    @property
    def can_standardize(self) -> bool:
        """Whether the loss takes y of any sign, as standardized columns are."""
        return self.loss.out_activation == "identity" and self.loss.target_domain == REAL_LINE

    def encode(self, y: np.ndarray, dtype: Any) -> np.ndarray:
        if y.shape[1] != self.n_outputs:
            raise ValueError(
                f"y has {y.shape[1]} outputs, but the estimator has learned from {self.n_outputs}."
            )
        if self.scaler is not None:
            with np.errstate(over="ignore"):
                # scikit-learn's transform would give a frame if the user's set_config says so.
                standardized = (y - self.scaler.mean_) / self.scaler.scale_
            if not np.isfinite(standardized).all():
                raise ValueError(
                    f"y, whose largest absolute value is {np.abs(y).max():.2g}, is beyond the "
                    "range of float64 when standardized by the mean and the standard deviation "
                    "that were learned. Scale y, or set standardize_target=False."
                )
            y = standardized
        Y = cast(y, np.dtype(dtype))
        domain = self.loss.target_domain
        for end in (Y.min(), Y.max()):
            if end not in domain:
                raise ValueError(
                    f"loss={self.name!r} needs targets in {domain}, got {end:g} (in "
                    f"{np.dtype(dtype)}). "
                    "Shift or transform y, or take another loss."
                )
        return Y

    def score(self, Z: np.ndarray, Y: np.ndarray, sample_weight: np.ndarray | None) -> float:
        # R2 is the same in standardized units as in y's own.
        return r2(Y, self.loss.inverse_link(Z.astype(np.float64, copy=False)), sample_weight)

    def decode(self, Z: np.ndarray) -> np.ndarray:
        """Turn logits into predictions in y's units."""
        y = self.loss.inverse_link(Z)
        if self.scaler is None:
            return y
        # inverse_transform would validate y first, which takes longer than a row in the network.
        return y * self.scaler.scale_ + self.scaler.mean_

    @property
    def has_symmetric_errors(self) -> bool:
        """Whether too much and too little are as bad: errors on both sides then count alike."""
        return isinstance(self.loss, SquaredError | AbsoluteError | Huber)

    def spread(self, y: np.ndarray) -> np.ndarray:
        """Return the unit of errors at predictions y: the standard deviation the loss assumes."""
        if self.loss.out_activation != "exp":
            return np.ones_like(y)
        return y if isinstance(self.loss, Gamma) else np.sqrt(y)

    def clip(self, y: np.ndarray) -> np.ndarray:
        """Return y within what the loss takes for targets."""
        return np.clip(y, self.loss.target_domain.low, self.loss.target_domain.high)

    def without_rows(self) -> Self:
        if self.running is None:
            return self
        return replace(self, running=self.running.without_rows(self.scaler.mean_))


def r2(Y: np.ndarray, predicted: np.ndarray, sample_weight: np.ndarray | None) -> float:
    """Return R2, the mean over the outputs, as scikit-learn's `r2_score` defines it.

    All arrays are in float64. Of a constant output R2 is 1 if all predictions are right, else 0;
    of a single row it is NaN. scikit-learn checks arrays first, which takes longer than a small
    epoch; here they are known.
    """
    if len(Y) < 2:
        return nan
    weights: Any = 1.0 if sample_weight is None else sample_weight[:, np.newaxis]
    errors = np.sum(weights * (Y - predicted) ** 2, axis=0)
    mean = np.average(Y, axis=0, weights=sample_weight)
    spread = np.sum(weights * (Y - mean) ** 2, axis=0)
    constant = spread == 0
    scores = np.where(constant, errors == 0, 1 - errors / np.where(constant, 1, spread))
    return float(scores.mean())


def _quantity_loss(settings: Settings) -> Loss:
    return lookup("loss", settings.loss, REGRESSOR_LOSSES, Loss)


def _mean_and_scale(
    y: np.ndarray, sample_weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return each column's mean and standard deviation, 0 for a constant."""
    scaler = _fit_scaler(y, sample_weight)
    return scaler.mean_, np.where(y.min(axis=0) == y.max(axis=0), 0.0, scaler.scale_)


def _fit_scaler(y: np.ndarray, sample_weight: np.ndarray | None) -> StandardScaler:
    """Learn each column's mean and standard deviation, whatever the units of y and weights.

    Squares of large or small numbers are beyond float64, and scikit-learn takes the weights' sum
    for the number of rows. In units of a power of 2 all digits stay as they are.
    """
    if sample_weight is not None:
        if not sample_weight.all():
            y, sample_weight = y[sample_weight > 0], sample_weight[sample_weight > 0]
        sample_weight = np.ldexp(sample_weight, -np.frexp(sample_weight.max())[1])
    exponent = np.frexp(np.abs(y).max(axis=0))[1] + 1
    with np.errstate(invalid="ignore"):  # rounding may put a constant's variance below 0
        scaler = StandardScaler().fit(np.ldexp(y, -exponent), sample_weight=sample_weight)
    is_constant = y.min(axis=0) == y.max(axis=0)
    # Of numbers below 1/2, only what is constant up to rounding has a scale of 1.
    varies = ~is_constant & (scaler.scale_ != 1)
    with np.errstate(over="ignore", under="ignore"):
        scaler.mean_ = np.where(is_constant, y[0], np.ldexp(scaler.mean_, exponent))
        scaler.var_ = np.ldexp(scaler.var_, 2 * exponent)
        scaler.scale_ = np.where(varies, np.ldexp(scaler.scale_, exponent), 1.0)
    if not (np.isfinite(scaler.mean_).all() and scaler.scale_.all()):
        raise ValueError(
            "The mean or the standard deviation of y, whose largest absolute value is "
            f"{np.abs(y).max():.2g}, is beyond the range of float64. Scale y, or set "
            "standardize_target=False."
        )
    return scaler


def clean_labels(y: Any) -> np.ndarray:
    """Check a classifier's y and bring it into its plain form, without learning from it."""
    y = y.toarray() if issparse(y) else y
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    if y.dtype.kind in "mM" and np.isnat(y).any():
        raise ValueError("y contains NaT.")
    try:
        check_classification_targets(y)
    except (TypeError, ValueError) as error:
        if y.dtype.kind not in "OS":
            raise
        check_objects("y", y)
        kinds = sorted({type(label).__name__ for label in y.ravel()})
        raise type(error)(
            f"y, of dtype {y.dtype}, holds values of the types {', '.join(kinds)}. Give labels "
            f"of one type that can be sorted, such as y.astype(str): {error}"
        ) from error
    if type_of_target(y) == "multiclass-multioutput":
        raise ValueError(
            "y has several columns of several classes (multiclass-multioutput), which is not "
            "supported. Fit a classifier per column (sklearn.multioutput."
            "MultiOutputClassifier), or give independent labels as columns of 0 and 1."
        )
    if y.ndim == 2 and not np.isin(y, (0, 1)).all():
        raise ValueError(f"A multilabel y must hold 0 and 1 only, got the values {np.unique(y)}.")
    return y


def clean_quantities(y: Any) -> np.ndarray:
    """Check a regressor's y and return it in float64, a column for each output."""
    y = np.asarray(y.toarray() if issparse(y) else y)
    if y.dtype.kind in "mM":
        raise TypeError(f"y must hold numbers, got the dtype {y.dtype}.")
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        y = y.astype(np.float64, copy=False)
    assert_all_finite(y, input_name="y")  # None has become NaN
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    return y.reshape(len(y), -1)


def sort_classes(classes: Any) -> np.ndarray:
    """Return the distinct labels among the classes that were passed, in ascending order."""
    is_plain = type(classes) is np.ndarray and classes.dtype.kind in "biuUS"
    if is_plain and classes.ndim == 1 and len(classes):
        return np.unique(classes)  # without a look at each label, which takes as long as a step
    check_container("classes", classes)
    labels = np.asarray(classes, object)
    if labels.ndim != 1 or not len(labels) or any(map(np.ndim, labels)):
        raise ValueError(
            "classes must be a list or an array of one axis with all class labels, got "
            f"{classes!r}."
        )
    if any(map(is_missing, labels)):
        raise ValueError(f"classes must not have missing values, got {classes!r}.")
    try:
        sorted(labels)
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in labels})
        raise ValueError(
            "classes must be of one type that can be sorted, got values of the types "
            f"{', '.join(kinds)}: {classes!r}."
        ) from error
    return np.unique(classes)
