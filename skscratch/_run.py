"""One call of fit or partial_fit: from the caller's data to a trained network."""

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from ._input import is_memory_mapped
from ._lbfgs import LBFGS
from ._precision import column_range
from ._scaling import RobustSmoothClip, find_bins
from ._settings import resolve
from ._split import split_rows
from ._threads import few_threads
from ._validation import Validator, out_of_range_columns
from ._watcher import Watcher
from .nn.batches import Batches
from .nn.network import Network, cast
from .nn.schedules import Adaptive, Constant
from .nn.stopping import Patience
from .nn.training import DivergenceError, Training

LARGE = 10.0
"""Standardized columns hold hardly any larger numbers."""
_SCALING = ("feature_scaler_", "_target_scaler", "_target_running")


class Data(NamedTuple):
    """What a run has made of its arguments, each with all rows.

    The network's inputs (up to ``prepare``), its targets, those in the caller's units, and weights.
    """

    X: Any
    Y: Any
    y: np.ndarray
    sample_weight: np.ndarray | None
    prepare: Callable[..., Any] | None


class Run:
    """One call of `fit` or `partial_fit`.

    To make one is to check parameters and data, and to decide what the call will do. `begin` then
    makes the network and everything that trains it, `train` trains it, and `finish` gives the
    estimator what came of it. What is learned of targets and features goes to the estimator at
    once, since everything else goes by it.

    Parameters
    ----------
    estimator : BaseScratchMLP
        The estimator.
    X, y, sample_weight, X_val, y_val : array-like
        The arguments of `fit`.
    incremental : bool, default=False
        Whether the call is one of `partial_fit`.
    classes : array-like, default=None
        The argument of the classifier's `partial_fit`.

    Attributes
    ----------
    settings : Settings
        The estimator's parameters, checked.
    continuing : bool
        Whether the call goes on from what the estimator has learned.
    in_series : bool
        Whether it follows another call of `partial_fit`.
    has_stalled : bool
        Whether there is nothing to do, since a series' patience with the score is spent.
    stops_early : bool
        Whether the validation score decides when to stop.
    splits : bool
        Whether rows are held out of X for that.
    refits : bool
        Whether another network is trained in the end, on all rows.
    refitted : bool
        Whether the network has been trained on all rows after some were held out.
    n_epochs : int
        The most epochs to make.
    streams, streams_at_start : dict of str to Generator
        Random streams by purpose, as they are and as they were before any epoch.
    data : Data
        What there is to train on.
    training : Training
        The training, and in it the network; after a refit, those of the refit.
    batches : Batches
        The batches of an epoch.
    validate, score_training : Validator or None
        What measures the network on the validation data, and on the rows it is trained on.
    """

    data: Data
    training: Training
    batches: Batches
    streams: dict[str, np.random.Generator]
    streams_at_start: dict[str, np.random.Generator]
    validate: Validator | None = None
    score_training: Validator | None = None

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        *,
        incremental: bool = False,
        classes: Any = None,
    ):
        self._estimator, self._incremental, self._classes = estimator, incremental, classes
        self.settings = settings = resolve(estimator.__dict__)
        self.continuing = estimator._is_fitted() and (incremental or settings.warm_start)
        if (X_val is None) is not (y_val is None):
            given, missing = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
            raise ValueError(f"{given} was given without {missing}.")
        self._X_val, self._y_val = X_val, y_val
        self._watcher = Watcher(estimator, X, y, sample_weight, settings.verbose)
        self._given = estimator._validate(X, y, sample_weight, reset=not self.continuing)
        self._decide(self._given[0].shape[0])

    def _decide(self, n_samples: int) -> None:
        """Decide what the call will do with so many rows."""
        settings, incremental = self.settings, self._incremental
        before: Any = self._estimator._training if self.continuing else None
        self.stops_early = settings.stops_early(n_samples, self._X_val is not None, incremental)
        self.splits = self.stops_early and self._X_val is None
        self.refitted = self.continuing and self._estimator._refitted
        if self.splits and self.refitted:
            if settings.early_stopping is True:
                raise ValueError(
                    "early_stopping=True has no rows to hold out: the fit that warm_start=True "
                    "would go on from has ended on all of them. Set early_stopping=False, pass "
                    "X_val and y_val, or start anew with refit=False."
                )
            self.splits = self.stops_early = False
        self.refits = settings.refits(n_samples, self.splits, incremental)
        n_training = n_samples - settings.n_validation(n_samples) if self.splits else n_samples
        self.n_epochs = 1 if incremental else settings.n_epochs(n_samples, n_training)
        self._epochs_before = 0 if before is None else len(before.history["epoch"])
        self.in_series = incremental and before is not None and before.series
        self.has_stalled = self.in_series and self.stops_early and before.stalled

    # What trains the network ------------------------------------------------------------------

    def begin(self) -> None:
        """Make the network and everything that trains it, and tell the callbacks of the run."""
        estimator, settings = self._estimator, self.settings
        checkpoint = self._watcher.begin_fit(
            self._X_val, self._y_val, self._epochs_before, self.n_epochs
        )
        X, y, sample_weight = self._given
        del self._given  # where the network's inputs are a copy, training needs it no more
        if self.continuing:
            self._check_fixed()
            self.streams = copy.deepcopy(estimator._streams)
            if estimator.feature_scaler_ is not None:
                estimator.feature_scaler_ = estimator.feature_scaler_.update(X, sample_weight)
            estimator._go_on_learning_target(y, sample_weight)
            network = self._copy_network()
        else:
            self.streams = _spawn_streams(estimator.random_state)
            estimator._learn_target(y, sample_weight, self._classes)
            estimator.feature_scaler_ = None
            if settings.feature_scaling is not None:
                estimator.feature_scaler_ = RobustSmoothClip().fit(X, sample_weight)
            network = self._make_network(X, y, sample_weight)
        if checkpoint is not None:
            self.streams = checkpoint["streams_at_start"]
        self.streams_at_start = copy.deepcopy(self.streams)
        Y = estimator._encode(y, network.dtype)
        rows, held_out = self._split(Y) if self.splits else (None, None)
        sample_weight = estimator._weigh(Y, sample_weight, self._incremental)
        inputs, prepare = self._network_inputs(X, network.dtype)
        self.data = Data(inputs, Y, y, sample_weight, prepare)
        mean_weight, weights = _normalize(sample_weight, rows, held_out, network.dtype)
        self.training = self._make_training(network, mean_weight, self.streams["dropout"])
        if self.continuing:
            self.training.follow(estimator._training, same_run=self.in_series)
        else:
            self._set_output_bias(self.training)
        if checkpoint is not None:
            self.training.resume(checkpoint["training"])
            for name, stream in checkpoint["streams"].items():
                self.streams[name].bit_generator.state = stream.bit_generator.state
        self.batches = self._make_batches(rows, weights, self.streams["shuffle"])
        if self._X_val is not None:
            self.validate = self._make_own_validator(X)
        elif held_out is not None:
            place = "the rows held out of X"
            self.validate = self._make_validator(held_out, settings.scoring, X, place)
        if settings.train_score:
            self.score_training = self._make_validator(
                rows, settings.scoring, X, "the training rows"
            )

    def _make_network(self, X: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> Network:
        estimator, settings = self._estimator, self.settings
        n_samples, n_features = X.shape
        embedding, edges = settings.numerical_embedding, []
        if embedding is not None:
            prepare = estimator._preparation(np.dtype(np.float64))
            edges = find_bins(X, sample_weight, embedding.n_bins, prepare)
            if self._incremental and n_samples <= embedding.n_bins:
                warnings.warn(
                    f"numerical_embedding={estimator.numerical_embedding!r} learns its bins from "
                    f"the first call of partial_fit alone, and {n_samples} rows are few for up to "
                    f"{embedding.n_bins} bins. Let the first call have more rows, several hundred "
                    "if possible.",
                    UserWarning,
                    stacklevel=7,
                )
            if estimator.feature_scaler_ is not None:
                # Their bins are of the features as they are scaled now.
                embedded = [j for j, found in enumerate(edges) if len(found)]
                estimator.feature_scaler_ = estimator.feature_scaler_.settled(embedded)
        network = Network(
            [n_features, *settings.hidden_layer_sizes, estimator._n_logits()],
            settings.activations,
            settings.dropout,
            normalization=settings.normalization,
            dtype=settings.float_type(n_samples, self._numbers(X, y)),
            shift=self._shift(),
            learned_scales=settings.learned_scales,
            layerwise_rates=settings.layerwise_rates,
            embedding=embedding,
            edges=edges,
        )
        # A copy of the stream: a refit starts from the same weights.
        stream = copy.deepcopy(self.streams["init"])
        network.initialize(settings.initializers, [stream], settings.bias_std)
        return network

    def _numbers(self, X: Any, y: np.ndarray) -> Iterator[Any]:
        """Yield what the network computes with, as far as its scale is not known beforehand."""
        if self._estimator.feature_scaler_ is None:
            yield X
        if is_regressor(self._estimator):
            yield self._estimator._encode(y, np.dtype(np.float64))

    def _shift(self) -> np.ndarray | None:
        """Return what scaled rows of sparse X lack, if anything."""
        scaler = self._estimator.feature_scaler_
        return None if scaler is None or not np.any(scaler.shift_) else scaler.shift_

    def _check_fixed(self) -> None:
        """Refuse to go on with what the network was not made for."""
        estimator, settings = self._estimator, self.settings
        old = estimator.network_
        fixed: dict[str, tuple[Any, Any]] = {
            "hidden_layer_sizes": (settings.hidden_layer_sizes, old.sizes[1:-1]),
            "normalization": (settings.normalization, old.normalization),
            "feature_scaling": (
                settings.feature_scaling,
                None if estimator.feature_scaler_ is None else "robust",
            ),
            "numerical_embedding": (settings.numerical_embedding, old.embedding),
        }
        if settings.dtype != "auto":
            fixed["dtype"] = (settings.dtype, str(old.dtype))
        if estimator.learned_scales != "auto":
            fixed["learned_scales"] = (settings.learned_scales, old.learned_scales)
        for name, (value, of_old) in fixed.items():
            if value != of_old:
                raise ValueError(
                    f"{name}={getattr(estimator, name)!r} differs from the {of_old!r} of the "
                    "network that training would continue. Set warm_start=False and call fit to "
                    "start anew."
                )
        link = estimator._make_loss().out_activation
        old_link = estimator._training.loss.out_activation
        if link != old_link:
            raise ValueError(
                f"loss={estimator.loss!r} goes with the output activation {link!r}, which differs "
                f"from the {old_link!r} of the network that training would continue. Set "
                "warm_start=False and call fit to start anew."
            )

    def _copy_network(self) -> Network:
        """Copy the network to go on with; activation and dropout may have been changed."""
        old, settings = self._estimator.network_, self.settings
        network = Network(
            old.sizes,
            settings.activations,
            settings.dropout,
            normalization=old.normalization,
            dtype=old.dtype,
            shift=self._shift(),
            learned_scales=old.learned_scales,
            layerwise_rates=settings.layerwise_rates,
            embedding=old.embedding,
            edges=old.edges,
        )
        network.restore(old.snapshot())
        return network

    def _network_inputs(self, X: Any, dtype: np.dtype) -> tuple[Any, Callable[..., Any] | None]:
        """Turn X into the network's inputs, in the layout that batches are fastest to take from.

        A memory map stays one, and what is yet to be done with the rows taken from it is returned
        beside it.
        """
        prepare = self._estimator._preparation(dtype)
        if is_memory_mapped(X):
            return X, prepare
        if prepare is not None:
            return prepare(X), None
        X = cast(X, dtype)
        return X if issparse(X) else np.ascontiguousarray(X), None

    def _split(self, Y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows to train on, and those to hold out."""
        n_samples, fraction = len(Y), self._estimator.validation_fraction
        # A copy of the stream: a warm start draws the same split again, so that no row is validated
        # on that was trained on before.
        stream = copy.deepcopy(self.streams["split"])
        n_held_out = self.settings.n_validation(n_samples)
        rows, held_out = split_rows(n_samples, n_held_out, stream, self._estimator._strata(Y))
        if len(rows) < 1 or len(held_out) < 2:
            raise ValueError(
                f"validation_fraction={fraction!r} of n_samples={n_samples} leaves {len(rows)} "
                f"rows to train on and {len(held_out)} to validate on; at least 1 and 2 are "
                "needed, and each class keeps a row to train on. Give more data, another "
                "validation_fraction, X_val and y_val, or set early_stopping=False."
            )
        return rows, held_out

    def _make_training(
        self, network: Network, mean_weight: float, dropout_stream: np.random.Generator
    ) -> Training:
        settings = self.settings
        # A schedule that ends with the run has no meaning for single epochs.
        constant = self._incremental and settings.schedule.finite_horizon
        return Training(
            network,
            self._estimator._make_loss(),
            settings.optimizer,
            Constant() if constant else settings.schedule,
            settings.learning_rate,
            l2=settings.l2,
            clip_norm=settings.clip_norm,
            mean_weight=mean_weight,
            dropout_streams=(dropout_stream,),
        )

    def _set_output_bias(self, training: Training) -> None:
        bias = training.loss.initial_bias(self.data.Y, self.data.sample_weight)
        training.network.dense[-1].b[...] = bias

    def _make_batches(
        self, rows: np.ndarray | None, weights: np.ndarray | None, stream: np.random.Generator
    ) -> Batches:
        data, settings = self.data, self.settings
        return Batches(
            data.X,
            self._estimator._soften(data.Y),
            weights,
            batch_size=settings.rows_per_batch(len(data.Y)),
            rng=stream if settings.shuffle else None,
            rows=rows,
            join_single=settings.normalization == "batch",
            prepare=data.prepare,
        )

    def _make_validator(
        self, rows: np.ndarray | None, scoring: Any, raw: Any, place: str
    ) -> Validator:
        """Make what measures a network on some of the rows."""
        X, Y, y, sample_weight, prepare = self.data
        return Validator(
            self._estimator,
            self.training,
            X,
            Y,
            y,
            sample_weight,
            rows,
            scoring,
            raw,
            prepare,
            place,
        )

    def _make_own_validator(self, X_train: Any) -> Validator:
        """Make what measures a network on the caller's validation data."""
        estimator = self._estimator
        try:
            raw, y, _ = estimator._validate(self._X_val, self._y_val, None, reset=False)
            Y = estimator._encode(y, np.dtype(np.float64))
            if len(Y) < 2 and self.settings.scoring is None and is_regressor(estimator):
                raise ValueError(
                    "the score, R2, needs two rows at least. Give more, or set scoring='loss'."
                )
        except (ValueError, TypeError) as error:
            raise ValueError(f"X_val and y_val do not go with X and y: {error}") from error
        if not self._incremental:  # the rows of one call may well differ from those of the others
            self._warn_out_of_range(X_train, raw)
        sample_weight = estimator._weigh(Y, None, incremental=False)
        X, prepare = self._network_inputs(raw, self.training.network.dtype)
        scoring, place = self.settings.scoring, "X_val and y_val"
        return Validator(
            estimator, self.training, X, Y, y, sample_weight, None, scoring, raw, prepare, place
        )

    def _warn_out_of_range(self, X: Any, X_val: Any) -> None:
        columns = out_of_range_columns(X, X_val)
        if not len(columns):
            return
        first = columns[:1]
        names = getattr(self._estimator, "feature_names_in_", range(X.shape[1]))
        (low, high), (val_low, val_high) = (
            (float(end[0]) for end in column_range(rows[:, first])) for rows in (X, X_val)
        )
        warnings.warn(
            f"X_val lies far from X in {len(columns)} of {X.shape[1]} columns: column "
            f"{names[first[0]]!r} goes from {low:.3g} to {high:.3g} in X, and from {val_low:.3g} "
            f"to {val_high:.3g} in X_val. What transforms X has to transform X_val too: in a "
            "pipeline by Pipeline(..., transform_input=['X_val']), with "
            "sklearn.set_config(enable_metadata_routing=True) and the estimator's "
            "set_fit_request(X_val=True, y_val=True), or by hand before fit.",
            UserWarning,
            stacklevel=7,
        )

    # Training ---------------------------------------------------------------------------------

    def train(self) -> None:
        """Train the network; then calibrate, and train once more on all rows, where so decided."""
        estimator, network = self._estimator, self.training.network
        n_held_out = 0 if self.validate is None else self.validate.n_rows
        calibrates = not self.continuing and estimator._calibrates(
            self.settings, len(self.data.Y), n_held_out, self._incremental
        )
        with few_threads(network, self.batches.largest), self._advising():
            with self._watcher.showing(self.n_epochs):
                reason = self._train(self.training, self.batches, self.n_epochs, watched=True)
            outcome = self.training.outcome
            to_the_end = outcome not in ("stopped", "interrupted")
            if calibrates and self.validate is not None:
                estimator._calibrate([(self.validate, network)])
            elif calibrates and to_the_end:
                estimator._calibrate(self._cross_fit())
            if self.refits and to_the_end:
                self._refit()
        if outcome == "exhausted" and not self._incremental:
            self._warn_unless_planned(reason)

    def _train(self, training: Training, batches: Batches, n_epochs: int, watched: bool) -> str:
        """Train a network, one that is watched and validated or one that nobody sees.

        Return why L-BFGS ended before it converged, if it did.
        """
        settings, optimizer = self.settings, self.settings.optimizer
        validate = self.validate if watched else None
        stops_early = watched and self.stops_early
        score_training = self.score_training if watched else None
        if isinstance(optimizer, LBFGS):
            return optimizer.minimize(
                training,
                batches,
                n_epochs,
                settings.tol,
                validate,
                self if watched else None,
                score_training,
            )
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
            if self._incremental
            else not settings.ends_as_planned
        )
        outcome = training.run(
            batches,
            n_epochs,
            patience=patience if stops_early or watches_loss else None,
            validate=validate,
            watch_validation=stops_early,
            series=self._incremental,
            begin=self.begin_epoch if watched else None,
            report=self.end_epoch if watched else None,
            score_training=score_training,
        )
        decided = outcome in ("exhausted", "stalled") and not self._incremental
        watching = training.patience
        if stops_early and decided and watching is not None and watching.best == -inf:
            raise ValueError(
                f"scoring={settings.scoring!r} gave NaN or -inf on the validation rows in every "
                "epoch, so that early stopping had nothing to go by. Give more rows, or another "
                "scoring."
            )
        return ""

    def begin_epoch(self) -> None:
        """Tell the callbacks of an epoch."""
        self._watcher.begin_epoch()

    def end_epoch(self, row: dict[str, Any]) -> bool:
        """Tell of an epoch's end, and return whether a callback wants to stop."""
        return self._watcher.end_epoch(row, self._snapshot)

    def _begin_anew(
        self, rows: np.ndarray | None, streams: dict[str, np.random.Generator]
    ) -> tuple[Training, Batches]:
        """Make what trains another network of the same kind from its start."""
        network, settings = copy.deepcopy(self.training.network), self.settings
        network.initialize(settings.initializers, [streams["init"]], settings.bias_std)
        mean_weight, weights = _normalize(self.data.sample_weight, rows, None, network.dtype)
        training = self._make_training(network, mean_weight, streams["dropout"])
        self._set_output_bias(training)
        return training, self._make_batches(rows, weights, streams["shuffle"])

    def _cross_fit(self) -> list[tuple[Validator, Network]]:
        """Train a network on each half of the rows, and pair it with what judges the other half.

        Rows of weight 0 are in neither half, and where a class is in one half alone, its rows judge
        nothing. An interrupted training leaves no pairs, nor do so few rows that a half has none.
        """
        X, Y, y, sample_weight, prepare = self.data
        stream = self.streams["calibrate"]
        counted = np.arange(len(Y))
        if sample_weight is not None:
            counted = np.flatnonzero(sample_weight.reshape(len(Y), -1).any(axis=1))
        classes = self._estimator._strata(Y)
        labels = None if classes is None else np.unique(classes[counted], return_inverse=True)[1]
        halves = [
            counted[part] for part in split_rows(len(counted), len(counted) // 2, stream, labels)
        ]
        if not all(map(len, halves)):
            return []
        streams = dict.fromkeys(("init", "shuffle", "dropout"), stream)
        judged = []
        for rows, others in (halves, halves[::-1]):
            training, batches = self._begin_anew(rows, streams)
            n_epochs = self.settings.n_epochs(len(Y), len(rows))
            self._train(training, batches, n_epochs, watched=False)
            if training.outcome == "interrupted":
                return []
            if classes is not None:
                others = others[np.isin(classes[others], classes[rows])]
            judge = Validator(
                self._estimator, training, X, Y, y, sample_weight, others, None, None, prepare
            )
            judged.append((judge, training.network))
        return judged

    def _refit(self) -> None:
        """Train another network on all rows, for as many epochs as were best on a part of them.

        The history stays that of the training on a part, since nothing validates this one. An
        interrupt leaves the network of that training, and so does a divergence.
        """
        first = self.training
        assert first.best_epoch is not None  # early stopping raises where there is none
        streams = {**self.streams, "init": copy.deepcopy(self.streams["init"])}
        kept = "the estimator keeps the network that it trained on a part of the rows before"
        try:
            training, batches = self._begin_anew(None, streams)
            with (
                self._watcher.showing(first.best_epoch, "Refit on all rows, epoch"),
                self._advising(),
            ):
                # The schedule ends with them: at a rate that is still high, weights are a matter of
                # luck that nothing is left to judge.
                training.run(batches, first.best_epoch, report=self._watcher.show, kept=kept)
        except DivergenceError as error:
            warnings.warn(f"The refit failed, and {kept}: {error}", UserWarning, stacklevel=6)
            return
        if training.outcome == "interrupted":
            return
        training.clock.samples += first.clock.samples
        for name in ("history", "epochs_made", "patience", "stalled", "outcome", "best_epoch"):
            setattr(training, name, getattr(first, name))
        self.training, self.refitted = training, True

    def _warn_unless_planned(self, reason: str) -> None:
        """Warn of a run that ended before it converged, for L-BFGS's reason or at max_iter."""
        if isinstance(self.settings.optimizer, LBFGS):
            if not reason:
                return
            message = f"L-BFGS stopped before it converged: {reason}. Raise max_iter, "
            message += "LBFGS(max_fun=...) or tol"
        elif self.settings.ends_as_planned:
            return
        else:
            message = f"Training reached max_iter={self.n_epochs} before it converged. Raise "
            message += "max_iter or the learning rate"
        ways = self.ways_to_scale()
        if ways:
            message += f", or set {' and '.join(ways)}"
        warnings.warn(f"{message}.", ConvergenceWarning, stacklevel=6)

    # Advice -----------------------------------------------------------------------------------

    @contextmanager
    def _advising(self) -> Iterator[None]:
        """Let a divergence say what of this estimator's parameters may help."""
        try:
            yield
        except DivergenceError as error:
            error.args = (*error.args[:1], f"Try {_either(self._remedies())}.")
            raise

    def _remedies(self) -> list[str]:
        """List what may help against divergence and is not done yet."""
        settings, remedies = self.settings, self.ways_to_scale()
        if isinstance(settings.optimizer, LBFGS):
            l2 = max(10 * settings.l2, 0.1)
            return [*remedies, f"l2={l2:g} in place of {settings.l2:g}", "another optimizer"]
        rate = settings.learning_rate
        remedies.append(f"learning_rate={rate / 10:.2g} in place of {rate:g}")
        if settings.clip_norm is None:
            remedies.append("clip_norm=1")
        if settings.normalization is None and settings.hidden_layer_sizes:
            kind = "layer" if settings.batch_size == 1 else "batch"
            remedies.append(f"normalization={kind!r}")
        return remedies

    def ways_to_scale(self) -> list[str]:
        """List the parameters that would scale what is large and not scaled yet."""
        estimator, ways = self._estimator, []
        if self.settings.feature_scaling is None:
            largest = _largest(self.data.X)
            if largest > LARGE:
                ways.append(f"feature_scaling='robust' (X has values up to {largest:.2g})")
        if estimator._can_standardize() and not estimator.standardize_target:
            largest = _largest(self.data.Y)
            if largest > LARGE:
                ways.append(f"standardize_target=True (y has values up to {largest:.2g})")
        return ways

    # What comes of it -------------------------------------------------------------------------

    def fitted(self) -> dict[str, Any]:
        """Return the attributes that the estimator gets."""
        training = self.training
        return {
            "network_": training.network,
            "history_": training.history,
            "n_iter_": training.epochs_made,
            "_training": training,
            "_streams": self.streams,
            "_stops_early": self.stops_early,
            "_refitted": self.refitted,
        }

    def finish(self) -> None:
        """Give the estimator what came of it, and tell the callbacks."""
        if self._incremental and self.stops_early:
            self._follow_the_best_epoch()
        for name, value in self.fitted().items():
            setattr(self._estimator, name, value)
        self._watcher.end_fit(self._snapshot)

    def _follow_the_best_epoch(self) -> None:
        """Let the weights of the best call come back with the scaling that they learned with."""
        estimator, training = self._estimator, self.training
        if training.best_epoch == training.history["epoch"][-1]:
            learned = vars(estimator)
            estimator._best_scaling = {name: learned.get(name) for name in _SCALING}
        elif training.stalled:
            for name, value in estimator._best_scaling.items():
                setattr(estimator, name, value)
            estimator.network_ = training.network
            training.network = self._copy_network()

    def _snapshot(self) -> dict[str, Any]:
        history = self.training.history
        # Numbers need no deep copy, and there may be many of them.
        memo = {id(history): {name: list(values) for name, values in history.items()}}
        state = {**self.fitted(), "_streams_at_start": self.streams_at_start}
        return copy.deepcopy(state, memo)


def _largest(A: Any) -> float:
    """Return the largest absolute value of a dense or sparse array, without a copy of it."""
    return max(-float(A.min()), float(A.max()))


def _either(ways: list[str]) -> str:
    return " or ".join([", ".join(ways[:-1]), ways[-1]]) if len(ways) > 1 else ways[0]


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
