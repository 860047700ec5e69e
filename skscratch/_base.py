"""What both estimators share: parameters, validation of input, fit and partial_fit."""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite, nan
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import validate_data

from ._fitting.inputs import Data, check_data, check_layout, validate_numbers
from ._fitting.plan import Plan, make_plan
from ._fitting.run import Run
from ._fitting.scaling import RobustSmoothClip
from ._fitting.settings import NAMES_OF_SKLEARN, OPTION_TABLES, is_full_batch, resolve
from ._fitting.split import split_by_user
from ._fitting.trained import OutOfFold, Trained
from ._fitting.warn import warn
from ._interop.notebook import NotebookReprMixin
from .callbacks._protocol import CallbackSupportMixin, with_callbacks
from .callbacks._watcher import Watcher
from .nn.network import Network
from .nn.options import Interval, check_real

NO_OUT_OF_FOLD = (
    "There are no out-of-fold predictions, since no rows were left out of training. Set n_networks "
    "to 2 or more with 40 rows or more, or early_stopping=True, and do without X_val and "
    "partial_fit."
)
OPEN_FRACTION = Interval(0, 1, closed="neither")

PICKLE_FORMAT = 4
"""Number of what a pickled estimator holds; a change that older versions cannot read raises it."""


def is_stochastic(estimator: "BaseScratchMLP") -> bool:
    """Say whether the estimator's optimizer goes by batches, as `partial_fit` needs."""
    if is_full_batch(estimator.optimizer):
        raise AttributeError("partial_fit needs a stochastic optimizer, and optimizer is 'lbfgs'.")
    return True


class BaseScratchMLP(NotebookReprMixin, CallbackSupportMixin, BaseEstimator, ABC):
    """Base of the classifier and the regressor: validate, train, decode.

    What a fit leaves is one record, `Trained`, and the fitted attributes are read from it.
    """

    numerical_embedding: Any
    optimizer: Any
    random_state: Any
    warm_start: Any

    @staticmethod
    @abstractmethod
    def _clean_target(y: Any) -> np.ndarray:
        """Check y and bring it into its plain form, without learning from it."""

    # Public methods ---------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        groups: Any = None,
    ) -> Self:
        """Train the networks.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs, finite numbers. A sparse matrix is never densified, a memory map never
            read into memory as a whole (unless a batch is everything, and of another dtype).
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0; None means 1 everywhere.
        X_val, y_val : array-like, default=None
            Validation data, in place of a part of X. Loss and score on it are in ``history_``;
            with ``early_stopping`` the score decides when to stop and which weights to keep. With
            metadata routing a `Pipeline` transforms ``X_val`` only if it has
            ``transform_input=["X_val"]``. A search passes both on whole, unless they have as many
            rows as X: then it takes them for values per row, and slices them.
        groups : array-like of shape (n_samples,), default=None
            What belongs together, for a ``cv`` that keeps groups in one fold.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data are not what they may be, or if the loss becomes
            non-finite. The estimator then stays as it was before the call.
        """
        with self._unchanged_on_error():
            self._fit(X, y, sample_weight, X_val, y_val, groups=groups)
        return self

    def set_params(self, **params: Any) -> Self:
        """Set parameters, and those of the objects among them, as in ``optimizer__momentum``.

        Parameters
        ----------
        **params : dict
            Parameters by name.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If a name is unknown, or if ``x__y`` is given where x is no object but a name such
            as ``"sgd"``. For a name that scikit-learn's MLP has, the message gives ours.
        """
        known = self._get_param_names()
        for key in params:
            if key in NAMES_OF_SKLEARN and key not in known:
                raise ValueError(
                    f"Invalid parameter {key!r} for {type(self).__name__}: what scikit-learn's MLP "
                    f"calls {key} is {NAMES_OF_SKLEARN[key]} here."
                )
            name, _, nested = key.partition("__")
            value = params.get(name, getattr(self, name, None))
            if nested and name in OPTION_TABLES and not hasattr(value, "set_params"):
                raise ValueError(
                    f"{key} cannot be set: {name}={value!r} is no object with parameters of its "
                    f"own. Pass one that has {nested!r}, such as {_example(name, value, nested)}."
                )
        return super().set_params(**params)

    def to_sklearn(self) -> Any:
        """Turn the estimator into scikit-learn's, fitted or not.

        A fitted one predicts the same with nothing but scikit-learn installed, and its
        `partial_fit` goes on with the optimizer's moments where it has that optimizer. What matters
        for training only and is unknown to scikit-learn (dropout, another schedule, ...) is left
        out: the result would train without it. A standardized target's mean and scale become part
        of the last layer, and so does the temperature of calibrated probabilities. Several networks
        become one, which is as wide as all of them together: their weights are blocks of its own,
        with zeros between them, and its last layer takes the mean. It has no moments to go on with.
        An unfitted estimator is nothing but its parameters, and has to be free of what is unknown
        there, ``n_networks`` other than 1 included. Initial weights are drawn in scikit-learn's
        way, and the precision is that of X.

        Returns
        -------
        mlp : MLPClassifier or MLPRegressor
            scikit-learn's estimator, which shares nothing with this one.

        Raises
        ------
        ValueError
            If scikit-learn has no counterpart of what the predictions (if not fitted: the training)
            depend on; the message names each such parameter.

        See Also
        --------
        skscratch.from_sklearn : The way back.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_diabetes
        >>> from skscratch import ScratchMLPRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> reg = ScratchMLPRegressor((8,), activation="tanh", dropout=0.1, dtype="float64",
        ...                           lr_schedule="cosine", max_iter=5, random_state=0,
        ...                           feature_scaling=None).fit(X, y)
        >>> mlp = reg.to_sklearn()
        >>> bool(np.allclose(mlp.predict(X), reg.predict(X), rtol=1e-12))
        True
        """
        from ._interop.to_sklearn import to_sklearn

        return to_sklearn(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.numerical_embedding is None
        return tags

    # Fitted attributes ------------------------------------------------------------------------

    @property
    def _fitted(self) -> Trained:
        """What the last fit left."""
        try:
            return self.__dict__["_trained"]
        except KeyError:
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with "
                "appropriate arguments before using this estimator."
            ) from None

    def __sklearn_is_fitted__(self) -> bool:
        return "_trained" in self.__dict__

    @property
    def network_(self) -> Network:
        """The network."""
        return self._fitted.network

    @property
    def plan_(self) -> Plan:
        """What each automatic choice became and why, and where the time went."""
        return self._fitted.plan

    @property
    def feature_scaler_(self) -> RobustSmoothClip | None:
        """Center and scale of the features; None without ``feature_scaling``."""
        return self._fitted.features.scaler

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Weight matrices of shape (n_in, n_out), views into the network's parameters.

        The first one is a copy where a scale for each feature was learned, with that multiplied in.
        With a numerical embedding its rows are those of the features, then of what is made of them.
        """
        return [layer.coefficients for layer in self.network_.dense]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Bias vectors of shape (n_out,), views into the network's parameters."""
        return [layer.b[..., 0, :] for layer in self.network_.dense]

    @property
    def n_layers_(self) -> int:
        """Number of layers, input and output included."""
        return len(self.network_.sizes)

    @property
    def n_outputs_(self) -> int:
        """Number of the network's outputs."""
        return self.network_.sizes[-1]

    @property
    def out_activation_(self) -> str:
        """Name of the function that turns logits into predictions."""
        return self._fitted.target.loss.out_activation

    @property
    def history_(self) -> dict[str, list]:
        """A value for each epoch, over all calls, of what `skscratch.nn.fit.HISTORY` lists."""
        return self._fitted.progress.history

    @property
    def n_iter_(self) -> int:
        """Number of epochs of the last run."""
        return self._fitted.progress.epochs

    @property
    def t_(self) -> int:
        """Number of rows trained on, over all epochs."""
        return self._fitted.progress.clock.samples

    @property
    def loss_curve_(self) -> list[float]:
        """Mean training loss of each epoch, penalty included."""
        return self.history_["loss"]

    @property
    def loss_(self) -> float:
        """Training loss of the last epoch; NaN if the first one was interrupted."""
        return self.loss_curve_[-1] if self.loss_curve_ else nan

    @property
    def best_loss_(self) -> float | None:
        """Smallest training loss; None with early stopping, as in scikit-learn."""
        return None if self._fitted.progress.goes_back else min(self.loss_curve_, default=nan)

    @property
    def validation_scores_(self) -> list[float] | None:
        """Score on the validation part after each epoch; None without early stopping."""
        return self.history_["validation_score"] if self._fitted.progress.goes_back else None

    @property
    def best_epoch_(self) -> int | None:
        """Number of the epoch that validated best; None if none was chosen by that."""
        progress = self._fitted.progress
        return (int(progress.best.epoch) or None) if progress.goes_back else None

    @property
    def best_validation_score_(self) -> float | None:
        """Validation score of the best epoch of the last run; None if none was chosen by that."""
        if not self._fitted.progress.goes_back:
            return None
        scores, best = self.history_["validation_score"], self.best_epoch_
        return scores[best - 1] if best else max(scores, default=nan)  # from scikit-learn

    @property
    def oof_score_(self) -> float:
        """Score of the out-of-fold predictions: accuracy or R2, or that of ``scoring``."""
        return self._out_of_fold.score

    @property
    def _out_of_fold(self) -> OutOfFold:
        found = self._fitted.out_of_fold
        if found is None:
            raise AttributeError(NO_OUT_OF_FOLD)
        return found

    def _left_out(self, confidence_level: Any) -> tuple[OutOfFold, float]:
        """Return the left-out rows that have a weight, and the level as a checked number."""
        level = check_real("confidence_level", confidence_level, OPEN_FRACTION)
        found = self._fitted.out_of_fold
        if found is None:
            raise ValueError(NO_OUT_OF_FOLD)
        return found.that_count(), level

    # Training ---------------------------------------------------------------------------------

    @contextmanager
    def _unchanged_on_error(self) -> Iterator[None]:
        """Leave the estimator as it was if anything goes wrong.

        Training works on copies, so that it is enough to remember which objects there were. They
        come back in one step, which an interrupt finds done or not.
        """
        before = self.__dict__.copy()
        try:
            yield
        except BaseException:
            self.__dict__ = before
            raise

    def _partial_fit(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, classes: Any = None
    ) -> Self:
        with self._unchanged_on_error():
            self._fit(X, y, sample_weight, X_val, y_val, incremental=True, classes=classes)
        return self

    @with_callbacks
    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        X_val: Any,
        y_val: Any,
        *,
        groups: Any = None,
        incremental: bool = False,
        classes: Any = None,
    ) -> None:
        run = self._make_run(X, y, sample_weight, X_val, y_val, groups, incremental, classes)
        if run.has_stalled:
            warn(
                "partial_fit made no update: the validation score has not improved for more than "
                f"n_iter_no_change={self.n_iter_no_change} calls. Call fit to start anew."
            )
            return
        n_epochs = run.n_epochs_before, run.most_epochs
        run.begin(run.watcher.begin_fit(X_val, y_val, *n_epochs))
        self._trained = run.train()
        run.watcher.end_fit(run.snapshot)

    def _make_run(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        X_val: Any = None,
        y_val: Any = None,
        groups: Any = None,
        incremental: bool = False,
        classes: Any = None,
    ) -> Run:
        """Check parameters and data, and decide what a call does with them."""
        settings = resolve(self.__dict__)
        goes_on = self.__sklearn_is_fitted__() and (incremental or settings.warm_start)
        if (X_val is None) is not (y_val is None):
            given, missing = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
            raise ValueError(f"{given} was given without {missing}. Pass both.")
        data = check_data(self, X, y, sample_weight, self._clean_target, reset=not goes_on)
        validation = self._check_validation_data(X_val, y_val)
        before = self._fitted if goes_on else None
        splits = None
        if settings.cv is not None and settings.n_networks != 1 and not incremental:
            splits = split_by_user(settings.cv, data, groups, settings.is_classifier)
        elif groups is not None:
            warn(
                "groups have no effect with cv=None, which shuffles all rows. To keep groups "
                "together, set cv=GroupKFold(5), or another splitter that looks at groups."
            )
        plan = make_plan(
            settings,
            data.X.shape[0],
            n_splits=None if splits is None else len(splits),
            has_validation_data=validation is not None,
            incremental=incremental,
            n_before=None if before is None else math.prod(before.network.stack),
            n_begun=None if before is None else before.n_begun,
            n_training=None if splits is None else max(len(rows) for rows, _ in splits),
        )
        return Run(
            settings,
            plan,
            data,
            before,
            Watcher(self, X, y, sample_weight, settings.verbose),
            copy.copy(self),
            validation,
            splits,
            self.random_state,
            incremental,
            classes,
        )

    def _check_validation_data(self, X_val: Any, y_val: Any) -> Data | None:
        if X_val is None:
            return None
        try:
            return check_data(self, X_val, y_val, None, self._clean_target, reset=False)
        except (ValueError, TypeError) as error:
            raise ValueError(f"X_val and y_val do not go with X and y: {error}") from error

    # Persistence ------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = {**super().__getstate__(), "_format": PICKLE_FORMAT}
        # Most files are for prediction. What only further training needs would make them larger,
        # and rows of the training data are nobody's business there.
        if "_trained" in state and not (self.warm_start or self._fitted.progress.endless):
            state["_trained"] = self._fitted.without_training()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        found = state.pop("_format", 0)  # before 0.1.0 there was none
        if found != PICKLE_FORMAT:
            age = "another"
            if isinstance(found, int):
                age = "a later" if found > PICKLE_FORMAT else "an earlier"
            raise ValueError(
                f"This {type(self).__name__} was saved by {age} version of skscratch, in format "
                f"{found!r}, and this version reads format {PICKLE_FORMAT}. Load it with the "
                "version that saved it, or train it again."
            )
        super().__setstate__(state)

    # Copies, unlike pickles, keep everything.

    def __copy__(self) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        other = memo[id(self)] = object.__new__(type(self))
        other.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return other

    # Prediction -------------------------------------------------------------------------------

    def _predict(
        self,
        X: Any,
        decode: Callable[[np.ndarray], np.ndarray] | None = None,
        may_overflow: bool = False,
        average: bool = True,
    ) -> np.ndarray:
        """Return the logits for X, or what ``decode`` makes of each block of them.

        Where decoding too may overflow, its result is looked at in place of the logits. Without
        ``average`` it gets those of each of several networks, along a leading axis.
        """
        network, features = self._fitted.working, self._fitted.features
        X = self._validate_input(X)

        def decode_finite(Z: np.ndarray) -> np.ndarray:
            Z = Z.mean(axis=0) if average and Z.ndim > 2 else Z
            decoded = Z if decode is None else decode(Z)
            outputs = decoded if may_overflow else Z
            # A sum is quick, and finite unless there is something to look for.
            if not (isfinite(outputs.sum()) or np.isfinite(outputs).all()):
                raise ValueError(
                    f"The network's outputs overflow for X with values up to {abs(X).max():.2g}. "
                    "Train with feature_scaling='robust', which bounds them, or with "
                    "dtype='float64', or leave such rows out."
                )
            return decoded

        with np.errstate(over="ignore", invalid="ignore"):
            return network.predict(features.rows(X, network.dtype), decode=decode_finite)

    def _validate_input(self, X: Any) -> Any:
        if type(X) is np.ndarray and X.ndim == 2 and X.dtype in ("f4", "f8"):
            # All that check_array would find wrong with such an array. It looks for everything
            # else too, for longer than it takes to predict one row.
            validate_data(self, X, reset=False, skip_check_array=True)
            assert_all_finite(X, estimator_name=type(self).__name__, input_name="X")
            return X
        check_layout(X, self.network_.architecture.embedding)
        return validate_numbers(self, X, reset=False, ensure_min_samples=0)


def _example(name: str, value: Any, parameter: str) -> str:
    """Show how to pass what is named, or else the objects that have a parameter."""
    table, base = OPTION_TABLES[name]
    options = {key: type(make()) for key, make in table.items() if make}
    having = sorted({o.__name__ for o in options.values() if parameter in o._names()})
    named = options.get(value) if isinstance(value, str) else None
    if named is not None and named.__name__ in having:
        having = [named.__name__]
    return " or ".join(f"{o}({parameter}=...)" for o in having) or f"a {base.__name__}"
