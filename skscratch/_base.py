"""What both estimators share: parameters, validation of input, fit and partial_fit."""

import copy
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import inf, nan
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ._callback_support import CallbackSupportMixin, with_callbacks
from ._input import check_sample_weight, is_memory_mapped, validate_numbers
from ._lbfgs import LBFGS
from ._repr_html import NotebookReprMixin
from ._scaling import RobustSmoothClip, find_bins
from ._settings import AUTO_FROM, AUTO_REFIT_TO, OPTION_TABLES, Settings, resolve
from ._split import split_rows
from ._threads import few_threads
from ._validation import Validator
from ._watcher import Watcher
from .nn.batches import Batches
from .nn.losses import Loss
from .nn.network import Network, cast
from .nn.schedules import Adaptive, Constant
from .nn.stopping import Patience
from .nn.training import DivergenceError, Training, Validate

PICKLE_FORMAT = 1
"""Number of what a pickled estimator holds; a change that older versions cannot read raises it."""


def is_stochastic(estimator: "BaseScratchMLP") -> bool:
    """Say whether the estimator's optimizer goes by batches, as `partial_fit` needs."""
    if estimator.optimizer == "lbfgs" or isinstance(estimator.optimizer, LBFGS):
        raise AttributeError("partial_fit needs a stochastic optimizer, and optimizer is 'lbfgs'.")
    return True


class BaseScratchMLP(NotebookReprMixin, CallbackSupportMixin, BaseEstimator, ABC):
    """Base of the classifier and the regressor: validate, encode, train, decode.

    A subclass says how targets become the network's outputs, which loss goes with them, and what
    the logits mean.
    """

    feature_scaler_: RobustSmoothClip | None
    hidden_layer_sizes: Any
    learned_scales: Any
    loss: Any
    numerical_embedding: Any
    optimizer: Any
    random_state: Any
    validation_fraction: Any
    warm_start: Any

    _refitted: bool
    _streams: dict[str, np.random.Generator]
    _training: Training

    # What a subclass defines ------------------------------------------------------------------

    @abstractmethod
    def _clean_target(self, y: Any) -> np.ndarray:
        """Check y and bring it into its plain form, without learning from it."""

    @abstractmethod
    def _learn_target(self, y: np.ndarray, sample_weight: np.ndarray | None, classes: Any) -> None:
        """Learn from the first call's y what encodes and decodes: classes, or mean and scale."""

    @abstractmethod
    def _encode(self, y: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Turn y into the network's targets, of shape (n_samples, n_outputs)."""

    @abstractmethod
    def _n_logits(self) -> int:
        """Return the number of the network's outputs."""

    @abstractmethod
    def _make_loss(self) -> Loss:
        """Return the loss to train with."""

    @abstractmethod
    def _score_logits(self, Z: np.ndarray, Y: np.ndarray, sample_weight: Any) -> float:
        """Return the score, greater being better, of logits Z for encoded targets Y."""

    def _soften(self, Y: np.ndarray) -> np.ndarray:
        """Return what to train on in place of the encoded targets."""
        return Y

    def _weigh(
        self, Y: np.ndarray, sample_weight: np.ndarray | None, incremental: bool
    ) -> np.ndarray | None:
        """Return the weights that count: of rows, or of each output in each row."""
        return sample_weight

    def _strata(self, Y: np.ndarray) -> np.ndarray | None:
        """Return the class numbers to stratify the validation split by, if any."""
        return None

    def _calibrates(
        self, settings: Settings, n_samples: int, n_held_out: int, incremental: bool
    ) -> bool:
        """Say whether a first call ends with `_calibrate`."""
        return False

    def _calibrate(self, judged: list[tuple[Validator, Network]]) -> None:
        """Learn how sure to be from networks and rows that they were not trained on."""

    # Public methods ---------------------------------------------------------------------------

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Train the network.

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
            self._fit(X, y, sample_weight, X_val, y_val)
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
            as ``"sgd"``.
        """
        for key in params:
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
        of the last layer, and so does the temperature of calibrated probabilities. An unfitted
        estimator is nothing but its parameters, and has to be free of such. Initial weights are
        drawn in scikit-learn's way, and the precision is that of X.

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
        from ._interchange import to_sklearn

        return to_sklearn(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.numerical_embedding is None
        return tags

    # Fitted attributes ------------------------------------------------------------------------

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
        return [layer.b[0] for layer in self.network_.dense]

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
        return self._training.loss.out_activation

    @property
    def t_(self) -> int:
        """Number of rows trained on, over all epochs."""
        return self._training.clock.samples

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
        return None if self._stops_early else min(self.loss_curve_, default=nan)

    @property
    def validation_scores_(self) -> list[float] | None:
        """Score on the validation part after each epoch; None without early stopping."""
        return self.history_["validation_score"] if self._stops_early else None

    @property
    def best_epoch_(self) -> int | None:
        """Number of the epoch with the best validation score; None without early stopping."""
        return self._training.best_epoch if self._stops_early else None

    @property
    def best_validation_score_(self) -> float | None:
        """Best validation score of the last run; None without early stopping."""
        if not self._stops_early:
            return None
        patience = self._training.patience
        if patience is None:  # carried over from scikit-learn
            return max(self.history_["validation_score"], default=nan)
        return patience.best if patience.best > -inf else nan

    # Training ---------------------------------------------------------------------------------

    def _is_fitted(self) -> bool:
        return hasattr(self, "network_")

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
        incremental: bool = False,
        classes: Any = None,
    ) -> None:
        settings = resolve(self.__dict__)
        continuing = self._is_fitted() and bool(incremental or settings.warm_start)
        if (X_val is None) is not (y_val is None):
            given, missing = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
            raise ValueError(f"{given} was given without {missing}.")
        watcher = Watcher(self, X, y, sample_weight, settings.verbose)
        X, y, sample_weight = self._validate(X, y, sample_weight, reset=not continuing)
        n_samples = X.shape[0]
        stops_early = settings.stops_early(n_samples, X_val is not None, incremental)
        splits = stops_early and X_val is None
        if splits and continuing and self._refitted:
            if settings.early_stopping is True:
                raise ValueError(
                    "early_stopping=True has no rows to hold out: the fit that warm_start=True "
                    "would go on from has ended on all of them. Set early_stopping=False, pass "
                    "X_val and y_val, or start anew with refit=False."
                )
            splits = stops_early = False
        refits = self._refits(settings, n_samples, splits, incremental)
        n_training = n_samples - settings.n_validation(n_samples) if splits else n_samples
        n_epochs = 1
        if not incremental:
            n_epochs = settings.n_epochs(n_samples, n_training)
        in_series = continuing and incremental and self._training.series
        if in_series and stops_early and self._training.stalled:
            warnings.warn(
                "partial_fit made no update: the validation score has not improved for more than "
                f"n_iter_no_change={self.n_iter_no_change} calls. Call fit to start anew.",
                UserWarning,
                stacklevel=5,
            )
            return
        epochs_before = len(self._training.history["epoch"]) if continuing else 0
        checkpoint = watcher.begin_fit(X_val, y_val, epochs_before, n_epochs)
        if continuing:
            streams = copy.deepcopy(self._streams)
            network = self._copy_network(settings)
        else:
            streams = _spawn_streams(self.random_state)
            self._learn_target(y, sample_weight, classes)
            self.feature_scaler_ = None
            if settings.feature_scaling is not None:
                self.feature_scaler_ = RobustSmoothClip().fit(X, sample_weight)
            # A copy of the stream: a refit starts from the same weights.
            stream = copy.deepcopy(streams["init"])
            network = self._make_network(X, y, sample_weight, settings, stream)
        if checkpoint is not None:
            streams = checkpoint["streams_at_start"]
        watcher.streams_at_start, watcher.streams = copy.deepcopy(streams), streams
        watcher.stops_early = stops_early
        watcher.refitted = continuing and self._refitted
        raw, Y = X, self._encode(y, network.dtype)
        X, prepare = self._network_inputs(X, network.dtype)
        rows = held_out = None
        if splits:
            # A copy of the stream: a warm start draws the same split again, so that no row is
            # validated on that was trained on before.
            rows, held_out = self._split(Y, settings, copy.deepcopy(streams["split"]))
        sample_weight = self._weigh(Y, sample_weight, incremental)
        data = _Data(X, Y, y, sample_weight, prepare)
        mean_weight, weights = _normalize(sample_weight, rows, held_out, network.dtype)
        training = self._make_training(network, settings, incremental)
        training.mean_weight, training.dropout_streams = mean_weight, (streams["dropout"],)
        watcher.training = training
        if continuing:
            training.follow(self._training, same_run=in_series)
        else:
            network.dense[-1].b[...] = training.loss.initial_bias(Y, sample_weight)
        if checkpoint is not None:
            training.resume(checkpoint["training"])
            for name, stream in checkpoint["streams"].items():
                streams[name].bit_generator.state = stream.bit_generator.state
        batches = self._make_batches(data, settings, rows, weights, streams["shuffle"])
        validate: Validator | None = None
        if X_val is not None:
            validate = self._validator(X_val, y_val, training, settings)
        elif held_out is not None:
            validate = Validator(
                self, training, X, Y, y, sample_weight, held_out, settings.scoring, raw, prepare
            )
        if settings.train_score:
            watcher.score_training = Validator(
                self, training, X, Y, y, sample_weight, rows, settings.scoring, raw, prepare
            )
        del raw  # where validation made a copy of the caller's X, training needs it no more
        n_held_out = 0 if validate is None else validate.n_rows
        calibrates = not continuing and self._calibrates(
            settings, n_samples, n_held_out, incremental
        )
        with few_threads(network, batches.largest):
            with watcher.showing(n_epochs):
                self._run(training, batches, settings, incremental, validate, stops_early, watcher)
            to_the_end = training.outcome not in ("stopped", "interrupted")
            if calibrates and validate is not None:
                self._calibrate([(validate, network)])
            elif calibrates and to_the_end:
                self._calibrate(self._cross_fit(data, network, settings, streams["calibrate"]))
            if refits and to_the_end:
                self._refit(data, settings, watcher)
        if training.outcome == "exhausted" and not incremental:
            self._warn_unless_planned(settings, n_epochs)
        for name, value in watcher.fitted().items():
            setattr(self, name, value)
        watcher.end_fit()

    def _validate(
        self, X: Any, y: Any, sample_weight: Any, reset: bool
    ) -> tuple[Any, np.ndarray, np.ndarray | None]:
        _check_layout(X, self.numerical_embedding)
        X, y = validate_numbers(
            self, X, y, reset=reset, multi_output=True, y_numeric=is_regressor(self)
        )
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X)
        return X.tocsr() if issparse(X) else X, self._clean_target(y), sample_weight

    def _preparation(self, dtype: np.dtype) -> Callable[..., Any] | None:
        """Return what turns rows of X into the network's inputs, if they are not that already."""
        scaler = self.feature_scaler_
        return None if scaler is None else partial(scaler.transform, dtype=dtype)

    def _network_inputs(self, X: Any, dtype: np.dtype) -> tuple[Any, Callable[..., Any] | None]:
        """Turn X into the network's inputs, in the layout that batches are fastest to take from.

        A memory map stays one, and what is yet to be done with the rows taken from it is returned
        beside it.
        """
        prepare = self._preparation(dtype)
        if is_memory_mapped(X):
            return X, prepare
        if prepare is not None:
            return prepare(X), None
        X = cast(X, dtype)
        return X if issparse(X) else np.ascontiguousarray(X), None

    def _make_network(
        self,
        X: Any,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        settings: Settings,
        stream: np.random.Generator,
    ) -> Network:
        n_samples, n_features = X.shape
        shift = None
        if self.feature_scaler_ is not None and np.any(self.feature_scaler_.shift_):
            shift = self.feature_scaler_.shift_
        embedding, edges = settings.numerical_embedding, []
        if embedding is not None:
            prepare = self._preparation(np.dtype(np.float64))
            edges = find_bins(X, sample_weight, embedding.n_bins, prepare)
        network = Network(
            [n_features, *settings.hidden_layer_sizes, self._n_logits()],
            settings.activations,
            settings.dropout,
            normalization=settings.normalization,
            dtype=settings.float_type(n_samples, self._numbers(X, y)),
            shift=shift,
            learned_scales=settings.learned_scales,
            layerwise_rates=settings.layerwise_rates,
            embedding=embedding,
            edges=edges,
        )
        network.initialize(settings.initializers, [stream], settings.bias_std)
        return network

    def _numbers(self, X: Any, y: np.ndarray) -> Iterator[Any]:
        """Yield what the network computes with, as far as its scale is not known beforehand."""
        if self.feature_scaler_ is None:
            yield X
        if is_regressor(self):
            yield self._encode(y, np.dtype(np.float64))

    def _make_training(self, network: Network, settings: Settings, incremental: bool) -> Training:
        # A schedule that ends with the run has no meaning for single epochs.
        constant = incremental and settings.schedule.finite_horizon
        return Training(
            network,
            self._make_loss(),
            settings.optimizer,
            Constant() if constant else settings.schedule,
            settings.learning_rate,
            l2=settings.l2,
            clip_norm=settings.clip_norm,
        )

    def _copy_network(self, settings: Settings) -> Network:
        """Copy the network to go on with; activation and dropout may have been changed."""
        old = self.network_
        if settings.hidden_layer_sizes != old.sizes[1:-1]:
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} differs from the "
                f"{old.sizes[1:-1]} of the network that training would continue. Set "
                "warm_start=False and call fit to start anew."
            )
        if settings.dtype not in ("auto", old.dtype):
            raise ValueError(
                f"dtype={settings.dtype!r} differs from the {old.dtype} of the network that "
                "training would continue. Set warm_start=False and call fit to start anew."
            )
        if settings.normalization != old.normalization:
            raise ValueError(
                f"normalization={settings.normalization!r} differs from the {old.normalization!r} "
                "of the network that training would continue. Set warm_start=False and call fit to "
                "start anew."
            )
        learned = None if self.feature_scaler_ is None else "robust"
        if settings.feature_scaling != learned:
            raise ValueError(
                f"feature_scaling={settings.feature_scaling!r} differs from the {learned!r} of the "
                "network that training would continue. Set warm_start=False and call fit to start "
                "anew."
            )
        if settings.numerical_embedding != old.embedding:
            raise ValueError(
                f"numerical_embedding={settings.numerical_embedding!r} differs from the "
                f"{old.embedding!r} of the network that training would continue. Set "
                "warm_start=False and call fit to start anew."
            )
        if self.learned_scales not in ("auto", old.learned_scales):
            raise ValueError(
                f"learned_scales={self.learned_scales!r} differs from the {old.learned_scales} of "
                "the network that training would continue. Set warm_start=False and call fit to "
                "start anew."
            )
        link, old_link = self._make_loss().out_activation, self._training.loss.out_activation
        if link != old_link:
            raise ValueError(
                f"loss={self.loss!r} goes with the output activation {link!r}, which differs from "
                f"the {old_link!r} of the network that training would continue. Set "
                "warm_start=False and call fit to start anew."
            )
        network = Network(
            old.sizes,
            settings.activations,
            settings.dropout,
            normalization=old.normalization,
            dtype=old.dtype,
            shift=old.shift,
            learned_scales=old.learned_scales,
            layerwise_rates=settings.layerwise_rates,
            embedding=old.embedding,
            edges=old.edges,
        )
        network.restore(old.snapshot())
        return network

    def _run(
        self,
        training: Training,
        batches: Batches,
        settings: Settings,
        incremental: bool,
        validate: Validate | None,
        stops_early: bool,
        watcher: Watcher,
    ) -> None:
        if isinstance(settings.optimizer, LBFGS):
            settings.optimizer.minimize(
                training,
                batches,
                watcher.n_epochs,
                settings.tol,
                validate,
                watcher,
                watcher.score_training,
            )
            return
        to_the_end = settings.runs_to_the_end
        patience = Patience(
            settings.tol,
            inf if to_the_end else settings.n_iter_no_change,
            last_of_equals=to_the_end,
        )
        # In a series of partial_fit calls the caller decides when to stop, and patience with the
        # training loss only lowers the rate of a schedule that waits for plateaus.
        watches_loss = not stops_early and (
            isinstance(settings.schedule, Adaptive) and not settings.early_stopping
            if incremental
            else not settings.ends_as_planned
        )
        outcome = training.run(
            batches,
            watcher.n_epochs,
            patience=patience if stops_early or watches_loss else None,
            validate=validate,
            watch_validation=stops_early,
            series=incremental,
            begin=watcher.begin_epoch,
            report=watcher.end_epoch,
            score_training=watcher.score_training,
        )
        decided = outcome in ("exhausted", "stalled") and not incremental
        watching = training.patience
        if stops_early and decided and watching is not None and watching.best == -inf:
            raise ValueError(
                f"scoring={settings.scoring!r} gave NaN or -inf on the validation rows in every "
                "epoch, so that early stopping had nothing to go by. Give more rows, or another "
                "scoring."
            )

    def _warn_unless_planned(self, settings: Settings, n_epochs: int) -> None:
        if isinstance(settings.optimizer, LBFGS) or settings.ends_as_planned:
            return
        warnings.warn(
            f"Training reached max_iter={n_epochs} before it converged. Raise max_iter or the "
            "learning rate, or scale the features.",
            ConvergenceWarning,
            stacklevel=5,
        )

    def _make_batches(
        self,
        data: "_Data",
        settings: Settings,
        rows: np.ndarray | None,
        weights: np.ndarray | None,
        stream: np.random.Generator,
    ) -> Batches:
        return Batches(
            data.X,
            self._soften(data.Y),
            weights,
            batch_size=settings.rows_per_batch(len(data.Y)),
            rng=stream if settings.shuffle else None,
            rows=rows,
            join_single=settings.normalization == "batch",
            prepare=data.prepare,
        )

    def _begin_anew(
        self,
        data: "_Data",
        network: Network,
        settings: Settings,
        rows: np.ndarray | None,
        streams: dict[str, np.random.Generator],
    ) -> tuple[Training, Batches]:
        """Make what trains another network of the same kind from its start."""
        network = copy.deepcopy(network)
        network.initialize(settings.initializers, [streams["init"]], settings.bias_std)
        training = self._make_training(network, settings, incremental=False)
        mean_weight, weights = _normalize(data.sample_weight, rows, None, network.dtype)
        training.mean_weight, training.dropout_streams = mean_weight, (streams["dropout"],)
        network.dense[-1].b[...] = training.loss.initial_bias(data.Y, data.sample_weight)
        return training, self._make_batches(data, settings, rows, weights, streams["shuffle"])

    def _cross_fit(
        self, data: "_Data", network: Network, settings: Settings, stream: np.random.Generator
    ) -> list[tuple[Validator, Network]]:
        """Train a network on each half of the rows, and pair it with what judges the other half.

        Rows of weight 0 are in neither half, and where a class is in one half alone, its rows judge
        nothing. An interrupted training leaves no pairs, nor do so few rows that a half has none.
        """
        X, Y, y, sample_weight, prepare = data
        counted = np.arange(len(Y))
        if sample_weight is not None:
            counted = np.flatnonzero(sample_weight.reshape(len(Y), -1).any(axis=1))
        classes = self._strata(Y)
        labels = None if classes is None else np.unique(classes[counted], return_inverse=True)[1]
        halves = [
            counted[part] for part in split_rows(len(counted), len(counted) // 2, stream, labels)
        ]
        if not all(map(len, halves)):
            return []
        streams = dict.fromkeys(("init", "shuffle", "dropout"), stream)
        judged = []
        for rows, others in (halves, halves[::-1]):
            training, batches = self._begin_anew(data, network, settings, rows, streams)
            watcher = Watcher(self, None, None, None, verbose=False)
            watcher.n_epochs = settings.n_epochs(len(Y), len(rows))
            self._run(training, batches, settings, False, None, False, watcher)
            if training.outcome == "interrupted":
                return []
            if classes is not None:
                others = others[np.isin(classes[others], classes[rows])]
            judge = Validator(self, training, X, Y, y, sample_weight, others, None, None, prepare)
            judged.append((judge, training.network))
        return judged

    def _refits(self, settings: Settings, n_samples: int, splits: bool, incremental: bool) -> bool:
        """Say whether fit ends with `_refit`."""
        if settings.refit == "auto":
            few = AUTO_FROM <= n_samples <= AUTO_REFIT_TO
            waits = settings.warm_start or isinstance(settings.schedule, Adaptive)
            return few and splits and settings.early_stopping == "auto" and not waits
        if not settings.refit or incremental:
            return False
        if not splits:
            raise ValueError(
                "refit=True trains again on all rows, and none are held out. Set "
                "early_stopping=True without X_val and y_val, or set refit=False."
            )
        return True

    def _refit(self, data: "_Data", settings: Settings, watcher: Watcher) -> None:
        """Train another network on all rows, for as many epochs as were best on a part of them.

        The history stays that of the training on a part, since nothing validates this one. An
        interrupt leaves the network of that training, and so does a divergence.
        """
        first = watcher.training
        assert first.best_epoch is not None  # early stopping raises where there is none
        streams = {**watcher.streams, "init": copy.deepcopy(watcher.streams["init"])}
        kept = "the estimator keeps the network that it trained on a part of the rows before"
        try:
            training, batches = self._begin_anew(data, first.network, settings, None, streams)
            with watcher.showing(first.best_epoch):
                # The schedule ends with them: at a rate that is still high, weights are a matter of
                # luck that nothing is left to judge.
                training.run(batches, first.best_epoch, report=watcher.show, kept=kept)
        except DivergenceError as error:
            warnings.warn(f"The refit failed, and {kept}: {error}", UserWarning, stacklevel=5)
            return
        if training.outcome == "interrupted":
            return
        training.clock.samples += first.clock.samples
        for name in ("history", "epochs_made", "patience", "stalled", "outcome", "best_epoch"):
            setattr(training, name, getattr(first, name))
        watcher.training, watcher.refitted = training, True

    def _split(
        self, Y: np.ndarray, settings: Settings, stream: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        n_samples = len(Y)
        rows, held_out = split_rows(
            n_samples, settings.n_validation(n_samples), stream, self._strata(Y)
        )
        if len(rows) < 1 or len(held_out) < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction!r} of n_samples={n_samples} "
                f"leaves {len(rows)} rows to train on and {len(held_out)} to validate on; at "
                "least 1 and 2 are needed, and each class keeps a row to train on. Give more "
                "data, another validation_fraction, X_val and y_val, or set early_stopping=False."
            )
        return rows, held_out

    def _validator(
        self, X_val: Any, y_val: Any, training: Training, settings: Settings
    ) -> Validator:
        """Make what measures a network on the caller's validation data."""
        try:
            X, y, _ = self._validate(X_val, y_val, None, reset=False)
            Y = self._encode(y, np.dtype(np.float64))
        except (ValueError, TypeError) as error:
            raise ValueError(f"X_val and y_val do not go with X and y: {error}") from error
        sample_weight = self._weigh(Y, None, incremental=False)
        raw = X
        X, prepare = self._network_inputs(X, training.network.dtype)
        return Validator(
            self, training, X, Y, y, sample_weight, None, settings.scoring, raw, prepare
        )

    # Persistence ------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = {**super().__getstate__(), "_format": PICKLE_FORMAT}
        if self._is_fitted() and not (self.warm_start or self._training.series):
            # Most files are for prediction, and the moments take twice as much as the parameters.
            state["_training"] = self._training.without_moments()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        found = state.pop("_format", 0)  # before 0.1.0 there was none
        if found != PICKLE_FORMAT:
            age = "a later" if found > PICKLE_FORMAT else "an earlier"
            raise ValueError(
                f"This {type(self).__name__} was saved by {age} version of skscratch, in format "
                f"{found}, and this version reads format {PICKLE_FORMAT}. Load it with the version "
                "that saved it, or train it again."
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
        self, X: Any, decode: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> np.ndarray:
        """Return the logits for X, or what ``decode`` makes of each block of them."""
        if not self._is_fitted():
            check_is_fitted(self, "network_")  # raises; it takes as long as a row in the network
        X, network = self._validate_input(X), self.network_
        return network.predict(
            X.tocsr() if issparse(X) else X,
            decode=decode,
            prepare=self._preparation(network.dtype),
        )

    def _validate_input(self, X: Any) -> Any:
        if type(X) is np.ndarray and X.ndim == 2 and len(X) and X.dtype in ("f4", "f8"):
            # All that check_array would find wrong with such an array. It looks for everything
            # else too, for longer than it takes to predict one row.
            validate_data(self, X, reset=False, skip_check_array=True)
            assert_all_finite(X, estimator_name=type(self).__name__, input_name="X")
            return X
        _check_layout(X, self.network_.embedding)
        return validate_numbers(self, X, reset=False)


class _Data(NamedTuple):
    """What fit has made of its arguments, each with all rows.

    The network's inputs (up to ``prepare``), its targets, those in the caller's units, and weights.
    """

    X: Any
    Y: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray | None
    prepare: Callable[..., Any] | None


def _example(name: str, value: Any, parameter: str) -> str:
    """Show how to pass what is named, or else the objects that have a parameter."""
    table, base = OPTION_TABLES[name]
    options = {key: type(make()) for key, make in table.items() if make}
    having = sorted({o.__name__ for o in options.values() if parameter in o._names()})
    named = options.get(value) if isinstance(value, str) else None
    if named is not None and named.__name__ in having:
        having = [named.__name__]
    return " or ".join(f"{o}({parameter}=...)" for o in having) or f"a {base.__name__}"


def _check_layout(X: Any, embedding: Any) -> None:
    if embedding is not None and issparse(X):
        raise TypeError(
            f"numerical_embedding={embedding!r} does not go with sparse X, which would become "
            "dense and several times as wide. Pass X.toarray(), or set numerical_embedding=None."
        )


def _spawn_streams(random_state: Any) -> dict[str, np.random.Generator]:
    """Make independent random streams, one for each purpose."""
    try:
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "random_state must be None, an integer from 0 to 2**32 - 1 or a "
            f"numpy.random.RandomState, got {random_state!r}: {error}."
        ) from error
    names = ("init", "shuffle", "dropout", "split", "calibrate")
    children = np.random.SeedSequence(seed).spawn(len(names))
    return {name: np.random.default_rng(child) for name, child in zip(names, children, strict=True)}


def _normalize(
    sample_weight: np.ndarray | None,
    rows: np.ndarray | None,
    held_out: np.ndarray | None,
    dtype: np.dtype,
) -> tuple[float, np.ndarray | None]:
    """Return the mean training weight, and the weights divided by it."""
    if sample_weight is None:
        return 1.0, None
    mean = float(np.mean(sample_weight if rows is None else sample_weight[rows]))
    if mean == 0 or (held_out is not None and not np.any(sample_weight[held_out])):
        raise ValueError(
            "sample_weight is zero in all rows of the training or the validation part; give more "
            "rows a weight, or set early_stopping=False."
        )
    return mean, (sample_weight / mean).astype(dtype)
