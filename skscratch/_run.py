"""One call of fit or partial_fit: from the caller's data to a trained network."""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import inf
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from ._input import is_memory_mapped
from ._precision import column_range
from ._scaling import RobustSmoothClip, find_bins
from ._settings import resolve
from ._split import split_rows
from ._threads import few_threads
from ._validation import Validator, out_of_range_columns
from .callbacks._watcher import Watcher
from .nn.batches import Batches
from .nn.divergence import DivergenceError
from .nn.fit import Progress, fit
from .nn.network import Architecture, Network
from .nn.rows import DenseRows, OneHot, SparseRows, cast
from .nn.schedules import Adaptive, Constant
from .nn.step import Learner
from .nn.stopping import Best, Patience

LARGE = 10.0
"""Standardized columns hold hardly any larger numbers."""
_SCALING = ("feature_scaler_", "_target_scaler", "_target_running")


class Data(NamedTuple):
    """What a run has made of its arguments, each with all rows.

    The network's inputs, its targets, those in the caller's units, and weights.
    """

    X: DenseRows | SparseRows
    Y: np.ndarray | OneHot
    y: np.ndarray
    sample_weight: np.ndarray | None


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
    learner : Learner
        What learns, and in it the network; after a refit, those of the refit.
    progress : Progress
        Where the run stands.
    batches : Batches
        The batches of an epoch.
    validate : Validator or None
        What measures the network on the validation data.
    """

    data: Data
    learner: Learner
    progress: Progress
    batches: Batches
    streams: dict[str, np.random.Generator]
    streams_at_start: dict[str, np.random.Generator]
    validate: Validator | None = None

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
        before: Any = self._estimator._progress if self.continuing else None
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
        self._epochs_before = 0 if before is None else len(before.rows)
        self.in_series = incremental and before is not None and before.endless
        self.has_stalled = self.in_series and self.stops_early and before.ended == "stalled"

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
        self.data = Data(self._rows(X, network.dtype), Y, y, sample_weight)
        mean_weight, weights = _normalize(sample_weight, rows, held_out, network.dtype)
        self.learner = self._make_learner(network, mean_weight, self.streams["dropout"])
        if self.continuing:
            self._go_on(estimator._learner, estimator._progress)
        else:
            self._set_output_bias(self.learner)
            self.progress = Progress()
        if checkpoint is not None:
            self._resume(checkpoint)
        self._watch()
        self.batches = self._make_batches(rows, weights, self.streams["shuffle"])
        if self._X_val is not None:
            self.validate = self._make_own_validator(X)
        elif held_out is not None:
            place = "the rows held out of X"
            self.validate = self._make_validator(held_out, settings.scoring, X, place)

    def _go_on(self, learner: Learner, progress: Progress) -> None:
        """Go on where the estimator's last call ended, in the same run or in a new one.

        Both keep history, clock and, if the optimizer is the same, its moments. In a new run a
        schedule with a finite horizon begins again, and so does one whose rate has run out on
        plateaus.
        """
        if self.learner.optimizer == learner.optimizer and "state" in vars(learner):
            self.learner.state = copy.deepcopy(learner.state)
        self.progress = progress.copy()
        if self.in_series:
            self.progress.epochs_before = len(progress.rows)
        else:
            self.progress.begin_again(self.learner.schedule)

    def _resume(self, checkpoint: dict[str, Any]) -> None:
        """Become an interrupted run, so that its remaining epochs are made."""
        saved: Learner = checkpoint["learner"]
        self.learner.network.restore(saved.network.snapshot())
        self.learner.state, self.progress = saved.state, checkpoint["progress"]
        for name, stream in checkpoint["streams"].items():
            self.streams[name].bit_generator.state = stream.bit_generator.state

    def _watch(self) -> None:
        """Let patience go on if this call has the same to watch, or else begin again."""
        progress, patience = self.progress, self._make_patience()
        same = patience is not None and progress.watches_score == self.stops_early
        # A stream of batches may be validated now and then only.
        waits = patience is None and progress.watches_score and bool(self.settings.early_stopping)
        if progress.patience is None or not (same or (waits and progress.ended != "stalled")):
            progress.patience, progress.best = patience, Best()
            progress.watches_score = self.stops_early

    def _make_patience(self) -> Patience | None:
        """Make what watches the validation score or the training loss, if one of them matters."""
        settings = self.settings
        # In a series of partial_fit calls the caller decides when to stop, and patience with the
        # training loss only lowers the rate of a schedule that waits for plateaus.
        watches_loss = (
            isinstance(settings.schedule, Adaptive) and not settings.early_stopping
            if self._incremental
            else not settings.ends_as_planned
        )
        if not (self.stops_early or watches_loss) or settings.optimizer.full_batch:
            return None
        to_the_end = settings.runs_to_the_end
        n_iter_no_change = inf if to_the_end else settings.n_iter_no_change
        return Patience(settings.tol, n_iter_no_change, last_of_equals=to_the_end)

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
        architecture = Architecture(
            [n_features, *settings.hidden_layer_sizes, estimator._n_logits()],
            settings.activations,
            settings.dropout,
            normalization=settings.normalization,
            learned_scales=settings.learned_scales,
            embedding=embedding,
            edges=edges,
        )
        dtype = settings.float_type(n_samples, self._numbers(X, y))
        network = Network(architecture, dtype=dtype)
        # A copy of the stream: a refit starts from the same weights.
        network.initialize(settings.initializers, [copy.deepcopy(self.streams["init"])])
        return network

    def _numbers(self, X: Any, y: np.ndarray) -> Iterator[Any]:
        """Yield what the network computes with, as far as its scale is not known beforehand."""
        if self._estimator.feature_scaler_ is None:
            yield X
        if is_regressor(self._estimator):
            yield self._estimator._encode(y, np.dtype(np.float64))

    def _check_fixed(self) -> None:
        """Refuse to go on with what the network was not made for."""
        estimator, settings = self._estimator, self.settings
        old = estimator.network_.architecture
        fixed: dict[str, tuple[Any, Any]] = {
            "hidden_layer_sizes": (settings.hidden_layer_sizes, tuple(old.sizes[1:-1])),
            "normalization": (settings.normalization, old.normalization),
            "numerical_embedding": (settings.numerical_embedding, old.embedding),
        }
        if estimator.feature_scaling != "auto":
            scaling = None
            if estimator.feature_scaler_ is not None:
                scaling = "learned" if old.learned_scales else "robust"
            fixed["feature_scaling"] = (settings.feature_scaling, scaling)
        if settings.dtype != "auto":
            fixed["dtype"] = (settings.dtype, str(estimator.network_.dtype))
        for name, (value, of_old) in fixed.items():
            if value != of_old:
                raise ValueError(
                    f"{name}={getattr(estimator, name)!r} differs from the {of_old!r} of the "
                    "network that training would continue. Set warm_start=False and call fit to "
                    "start anew."
                )
        link = estimator._make_loss().out_activation
        old_link = estimator._learner.loss.out_activation
        if link != old_link:
            raise ValueError(
                f"loss={estimator.loss!r} goes with the output activation {link!r}, which differs "
                f"from the {old_link!r} of the network that training would continue. Set "
                "warm_start=False and call fit to start anew."
            )

    def _copy_network(self) -> Network:
        """Copy the network to go on with; activation and dropout may have been changed."""
        old, settings = self._estimator.network_, self.settings
        architecture = replace(
            old.architecture, activations=settings.activations, dropout=settings.dropout
        )
        network = Network(architecture, dtype=old.dtype)
        network.restore(old.snapshot())
        return network

    def _rows(self, X: Any, dtype: np.dtype) -> DenseRows | SparseRows:
        """Turn X into rows of network inputs, in the layout that batches are fastest to take from.

        A memory map stays one, and its rows are converted as they are taken.
        """
        if is_memory_mapped(X):
            return self._estimator._rows(X, dtype)
        # Computed once for all epochs.
        scaler = self._estimator.feature_scaler_
        X = cast(X, dtype) if scaler is None else scaler.transform(X, dtype)
        if issparse(X):
            return SparseRows(X, dtype, None if scaler is None else scaler.shift_)
        return DenseRows(np.ascontiguousarray(X), dtype)

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

    def _make_learner(
        self, network: Network, mean_weight: float, dropout_stream: np.random.Generator
    ) -> Learner:
        settings = self.settings
        # A schedule that ends with the run has no meaning for single epochs.
        constant = self._incremental and settings.schedule.finite_horizon
        return Learner(
            network,
            self._estimator._make_loss(),
            settings.optimizer,
            settings.learning_rate,
            Constant() if constant else settings.schedule,
            l2=settings.l2,
            clip_norm=settings.clip_norm,
            mean_weight=mean_weight,
            tol=settings.tol,
            streams=(dropout_stream,),
        )

    def _set_output_bias(self, learner: Learner) -> None:
        bias = learner.loss.initial_bias(self.data.Y, self.data.sample_weight)
        learner.network.dense[-1].b[...] = bias

    def _make_batches(
        self, rows: np.ndarray | None, weights: np.ndarray | None, stream: np.random.Generator
    ) -> Batches:
        data, settings = self.data, self.settings
        return Batches(
            data.X,
            self._estimator._soften(data.Y),
            weights,
            batch_size=settings.rows_per_batch(len(data.Y)),
            streams=(stream,) if settings.shuffle else (),
            rows=rows,
            join_single=settings.normalization == "batch",
        )

    def _make_validator(
        self, rows: np.ndarray | None, scoring: Any, raw: Any, place: str
    ) -> Validator:
        """Make what measures a network on some of the rows."""
        X, Y, y, sample_weight = self.data
        return Validator(
            self._estimator, self.learner, X, Y, y, sample_weight, rows, scoring, raw, place
        )

    def _make_own_validator(self, X_train: Any) -> Validator:
        """Make what measures a network on the caller's validation data."""
        estimator, scoring = self._estimator, self.settings.scoring
        try:
            raw, y, _ = estimator._validate(self._X_val, self._y_val, None, reset=False)
            Y = estimator._encode(y, np.dtype(np.float64))
            if len(Y) < 2 and scoring is None and is_regressor(estimator):
                raise ValueError(
                    "the score, R2, needs two rows at least. Give more, or set scoring='loss'."
                )
        except (ValueError, TypeError) as error:
            raise ValueError(f"X_val and y_val do not go with X and y: {error}") from error
        if not self._incremental:  # the rows of one call may well differ from those of the others
            self._warn_out_of_range(X_train, raw)
        sample_weight = estimator._weigh(Y, None, incremental=False)
        X, place = self._rows(raw, self.learner.network.dtype), "X_val and y_val"
        return Validator(estimator, self.learner, X, Y, y, sample_weight, None, scoring, raw, place)

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
            f"X_val is on another scale than X in {len(columns)} of {X.shape[1]} columns: column "
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
        estimator, network = self._estimator, self.learner.network
        n_held_out = 0 if self.validate is None else self.validate.n_rows
        calibrates = not self.continuing and estimator._calibrates(
            self.settings, len(self.data.Y), n_held_out, self._incremental
        )
        with few_threads(network, self.batches.largest), self._advising():
            self._fit()
            ended = self.progress.ended
            if ended == "interrupted":
                warnings.warn(
                    f"Training was interrupted after {len(self.progress.rows)} epochs; the "
                    "estimator keeps what it learned so far.",
                    stacklevel=5 + self._incremental,
                )
            to_the_end = ended not in ("stopped", "interrupted")
            if to_the_end and not self._incremental:
                self._check_best()
            if calibrates and self.validate is not None:
                estimator._calibrate([(self.validate, network)])
            elif calibrates and to_the_end:
                estimator._calibrate(self._cross_fit())
            if self.refits and to_the_end:
                self._refit()
        if ended == "exhausted":
            self._warn_unless_planned()

    def _fit(self) -> None:
        """Make the epochs, or those that are left of them."""
        progress = self.progress
        if self._incremental and progress.epochs:  # resumed where its only epoch had ended
            if progress.ended == "stalled":
                progress.best.restore([self.learner.network])
            return
        with self._watcher.showing(self.n_epochs):
            fit(
                self.learner,
                self.batches,
                None if self._incremental else self.n_epochs,
                progress,
                validate=self.validate,
                begin=self._watcher.begin_epoch,
                report=lambda row: self._watcher.end_epoch(row, self._snapshot),
            )

    def _check_best(self) -> None:
        if self.progress.watches_score and not self.progress.best.epoch:
            raise ValueError(
                f"scoring={self.settings.scoring!r} gave NaN or -inf on the validation rows in "
                "every epoch, so that early stopping had nothing to go by. Give more rows, or "
                "another scoring."
            )

    def _begin_anew(
        self, rows: np.ndarray | None, streams: dict[str, np.random.Generator]
    ) -> tuple[Learner, Batches]:
        """Make what trains another network of the same kind from its start."""
        network, settings = copy.deepcopy(self.learner.network), self.settings
        network.initialize(settings.initializers, [streams["init"]])
        mean_weight, weights = _normalize(self.data.sample_weight, rows, None, network.dtype)
        learner = self._make_learner(network, mean_weight, streams["dropout"])
        self._set_output_bias(learner)
        return learner, self._make_batches(rows, weights, streams["shuffle"])

    def _cross_fit(self) -> list[tuple[Validator, Network]]:
        """Train a network on each half of the rows, and pair it with what judges the other half.

        Rows of weight 0 are in neither half, and where a class is in one half alone, its rows judge
        nothing. An interrupted training leaves no pairs, nor do so few rows that a half has none.
        """
        X, Y, y, sample_weight = self.data
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
            learner, batches = self._begin_anew(rows, streams)
            n_epochs = self.settings.n_epochs(len(Y), len(rows))
            if fit(learner, batches, n_epochs).ended == "interrupted":
                warnings.warn(
                    "Training was interrupted before the network was calibrated; the estimator "
                    "keeps what it learned so far.",
                    stacklevel=6,
                )
                return []
            if classes is not None:
                others = others[np.isin(classes[others], classes[rows])]
            judge = Validator(self._estimator, learner, X, Y, y, sample_weight, others, None, None)
            judged.append((judge, learner.network))
        return judged

    def _refit(self) -> None:
        """Train another network on all rows, for as many epochs as were best on a part of them.

        The history stays that of the training on a part, since nothing validates this one. An
        interrupt leaves the network of that training, and so does a divergence.
        """
        n_epochs = self.progress.best.epoch
        streams = {**self.streams, "init": copy.deepcopy(self.streams["init"])}
        kept = "the estimator keeps the network that it trained on a part of the rows before"
        try:
            learner, batches = self._begin_anew(None, streams)
            with (
                self._watcher.showing(n_epochs, "Refit on all rows, epoch"),
                self._advising(),
            ):
                # The schedule ends with them: at a rate that is still high, weights are a matter of
                # luck that nothing is left to judge.
                refit = fit(learner, batches, n_epochs, report=self._watcher.show)
        except DivergenceError as error:
            warnings.warn(f"The refit failed, and {kept}: {error}", UserWarning, stacklevel=6)
            return
        if refit.ended == "interrupted":
            warnings.warn(
                f"The refit was interrupted after {refit.epochs} epochs; {kept}.", stacklevel=6
            )
            return
        self.progress.clock.samples += refit.clock.samples
        self.learner, self.refitted = learner, True

    def _warn_unless_planned(self) -> None:
        """Warn of a run that ended before it converged."""
        if self.settings.optimizer.full_batch:
            reason = self.progress.reason
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
        if settings.optimizer.full_batch:
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
            largest = _largest(self.data.X.source)
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
        return {
            "network_": self.learner.network,
            "_learner": self.learner,
            "_progress": self.progress,
            "_streams": self.streams,
            "_stops_early": self.stops_early,
            "_refitted": self.refitted,
        }

    def finish(self) -> None:
        """Give the estimator what came of it, and tell the callbacks."""
        if self._incremental and self.stops_early:
            self._follow_the_best_epoch()
        elif not self._incremental:  # a run without a best call to come back to
            vars(self._estimator).pop("_best_scaling", None)
        for name, value in self.fitted().items():
            setattr(self._estimator, name, value)
        self._watcher.end_fit(self._snapshot)

    def _follow_the_best_epoch(self) -> None:
        """Let the weights of the best call come back with the scaling that they learned with."""
        estimator, progress = self._estimator, self.progress
        if progress.best.epoch == progress.rows[-1]["epoch"]:
            learned = vars(estimator)
            estimator._best_scaling = {name: learned.get(name) for name in _SCALING}
        elif progress.ended == "stalled":
            for name, value in estimator._best_scaling.items():
                setattr(estimator, name, value)

    def _snapshot(self) -> dict[str, Any]:
        # Rows are never changed, and there may be many of them.
        memo = {id(self.progress.rows): list(self.progress.rows)}
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
    weights = (sample_weight / mean).astype(dtype)
    return mean, weights.reshape(len(weights), -1)  # a column for rows
