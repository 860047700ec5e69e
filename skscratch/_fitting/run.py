"""One call of fit or partial_fit: from checked data to trained networks."""

import copy
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import compress
from math import inf
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.exceptions import ConvergenceWarning

from ..nn.batches import Batches
from ..nn.fit import Progress, fit
from ..nn.network import Architecture, Network
from ..nn.schedules import Adaptive
from ..nn.stopping import Best, Patience
from .advice import advising, ways_to_scale
from .calibration import find_temperature
from .features import Features
from .going_on import check_fixed, copy_network, resume, scaling_of
from .groups import Encoded, Rows, hand_over_moments, make_groups
from .inputs import Data
from .lost import leave_out_the_lost
from .measure import Validator, known_rows
from .plan import Plan, pace_of, settle_calibration, settle_dtype
from .ranges import warn_out_of_range
from .settings import Settings
from .split import cut_folds, split_rows
from .streams import Streams, copy_stream, copy_streams, spawn_streams
from .targets import Labels, Quantities, Target
from .threads import few_threads
from .trained import OutOfFold, Trained
from .warn import warn


@dataclass(eq=False)
class Run:
    """One call of `fit` or `partial_fit`.

    `begin` learns from the data and makes the networks and everything that trains them, and `train`
    trains them.

    Parameters
    ----------
    settings : Settings
        The parameters.
    plan : Plan
        What the call does.
    given : Data
        X, y and their weights.
    before : Trained or None
        What the call goes on from.
    watcher : Watcher
        Tells the user and the callbacks.
    estimator : BaseScratchMLP
        A copy of the estimator, for scorers to predict with.
    validation : Data or None
        Validation data of the caller.
    splits : list of tuple, or None
        What the user's ``cv`` makes: rows to train on, and rows to leave out, of each network.
    random_state : int, RandomState or None
        The seed of all random numbers.
    incremental : bool
        Whether the call is one of `partial_fit`.
    classes : ndarray or None
        All classes, where the caller tells them.

    Attributes
    ----------
    trained : Trained
        What comes of it.
    encoded : Encoded
        What the networks are trained on.
    batches : list of Batches
        The batches of an epoch, for each group of networks.
    validate : Validator or None
        Measures the networks on rows that they are not trained on.
    """

    settings: Settings
    plan: Plan
    given: Data
    before: Trained | None
    watcher: Any
    estimator: Any
    validation: Data | None = None
    splits: list[tuple[np.ndarray, np.ndarray]] | None = None
    random_state: Any = None
    incremental: bool = False
    classes: np.ndarray | None = None

    trained: Trained = field(init=False)
    encoded: Encoded = field(init=False)
    batches: list[Batches] = field(init=False)
    validate: Validator | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        before = self.before
        self.started = time.perf_counter()
        # A call of partial_fit after another one is an epoch of the same run.
        self.in_series = before is not None and self.incremental and before.progress.endless
        # A splitter may draw others each time, with rows that a network was trained on before.
        if self.splits and before is not None and before.plan.n_samples == self.plan.n_samples:
            self.splits = before.splits or self.splits

    @property
    def has_stalled(self) -> bool:
        """Whether there is nothing to do, since a series' patience with the score is spent."""
        before = self.before
        if before is None or not (self.in_series and self.plan.goes_back):
            return False
        return before.progress.ended == "stalled"

    @property
    def n_epochs_before(self) -> int:
        """Number of epochs of the calls that this one goes on from."""
        return 0 if self.before is None else len(self.before.progress.rows)

    @property
    def most_epochs(self) -> int:
        """The most epochs that are told of: L-BFGS makes its own for each network."""
        one_by_one = self.settings.optimizer.full_batch
        return self.plan.max_iter * (self.plan.n_networks if one_by_one else 1)

    # What trains the networks -----------------------------------------------------------------

    def begin(self, checkpoint: dict[str, Any] | None = None) -> None:
        """Learn from the data, and make the networks and everything that trains them."""
        settings, before = self.settings, self.before
        X, y, sample_weight = self.given
        if before is None:
            streams = spawn_streams(self.random_state, self.plan.n_networks)
            target = self._learn_target(y, sample_weight)
            features = Features.learn(X, sample_weight, self.plan.feature_scaling)
            network, features = self._make_network(target, features, streams)
        else:
            streams = copy_streams(before.streams)
            target = before.target.go_on(y, sample_weight, settings)
            check_fixed(settings, before, target)
            features = before.features.go_on(X, sample_weight)
            network = copy_network(settings, before.network)
            why = "that of the call before"
            self.plan = self.plan.but("dtype", str(network.dtype), why)
            self.plan = self.plan.but("feature_scaling", scaling_of(before), why)
        if checkpoint is not None:
            streams, self.splits = checkpoint["streams_at_start"], checkpoint["trained"].splits
        self.streams_at_start = copy_streams(streams)
        Y = target.encode(y, network.dtype)
        rows, left_out = self._part(target.strata(Y), sample_weight, streams["split"][0])
        weights = target.weigh(Y, sample_weight, self.incremental)
        self.encoded = Encoded(features.rows(X, network.dtype, at_once=True), Y, weights)
        self.learned = time.perf_counter()
        learners, self.batches = make_groups(
            settings, self.plan, network, target, self.encoded, rows, streams
        )
        self.trained = Trained(
            self.plan, features, target, network, learners, Progress(), streams, splits=self.splits
        )
        if before is None:
            network.dense[-1].b[...] = target.loss.initial_bias(Y, weights)
        else:
            self._go_on(before)
        if checkpoint is not None:
            resume(self.trained, checkpoint["trained"])
        self._watch()
        if self.validation is not None:
            self.validate = self._make_own_validator(self.validation)
        elif left_out is not None:
            self.validate = self._make_validator(
                self.encoded, self.given, left_out, "the rows held out of X"
            )
        if isinstance(target, Labels):
            n_judging = 0 if self.validate is None else self.validate.n_rows
            self.plan = settle_calibration(settings, self.plan, target, n_judging)
        self.y = y
        # Training needs no more than what became of it; a copy of X may take much room.
        del self.given, self.validation

    def _learn_target(self, y: np.ndarray, sample_weight: np.ndarray | None) -> Target:
        if self.settings.is_classifier:
            return Labels.learn(y, self.settings, self.classes)
        return Quantities.learn(y, sample_weight, self.settings)

    def _make_network(
        self, target: Target, features: Features, streams: Streams
    ) -> tuple[Network, Features]:
        settings, (X, y, sample_weight) = self.settings, self.given
        n_samples, n_features = X.shape
        embedding = settings.numerical_embedding
        edges: list[np.ndarray] = []
        if embedding is not None:
            features, edges = features.with_bins(X, sample_weight, embedding)
            if self.incremental and n_samples <= embedding.n_bins:
                warn(
                    f"numerical_embedding={self.estimator.numerical_embedding!r} learns its bins "
                    f"from the first call of partial_fit alone, and {n_samples} rows are few for "
                    f"up to {embedding.n_bins} bins. Let the first call have more rows, several "
                    "hundred if possible."
                )
        # What the network computes with, as far as its scale is not known beforehand.
        numbers = [] if features.scaler is not None else [X]
        if isinstance(target, Quantities):
            numbers.append(target.encode(y, np.float64))
        self.plan = settle_dtype(settings, self.plan, numbers)
        architecture = Architecture(
            [n_features, *settings.hidden_layer_sizes, target.n_outputs],
            settings.activations,
            settings.dropout,
            normalization=settings.normalization,
            learned_scales=self.plan.feature_scaling == "learned",
            pace=pace_of(settings),
            embedding=embedding,
            edges=edges,
        )
        stack = (self.plan.n_networks,) if self.plan.n_networks > 1 else ()
        network = Network(architecture, stack, np.dtype(self.plan.dtype))
        network.initialize(self.plan.init, streams["init"])
        return network, features

    def _part(
        self,
        strata: np.ndarray | None,
        sample_weight: np.ndarray | None,
        stream: np.random.Generator,
    ) -> tuple[Rows, Rows]:
        """Return the rows to train on, and those left out: of each network, or of all.

        A copy of the stream draws the same rows again in a warm start, so that no network is
        validated on rows that it was trained on before.
        """
        plan, stream, before = self.plan, copy_stream(stream), self.before
        if plan.judge == "folds":
            splits = self.splits
            if splits is None:
                n_folds = plan.n_networks if before is None else before.n_begun
                folds = cut_folds(plan.n_samples, n_folds, stream, strata, sample_weight)
                splits = [(np.delete(np.arange(plan.n_samples), fold), fold) for fold in folds]
            if before is not None and before.alive is not None:
                splits = list(compress(splits, before.alive))
            return [rows for rows, _ in splits], [left_out for _, left_out in splits]
        if not plan.n_held_out:
            return None, None
        rows, held_out = split_rows(plan.n_samples, plan.n_held_out, stream, strata)
        if len(rows) < 1 or len(held_out) < 2:
            raise ValueError(
                f"validation_fraction={self.estimator.validation_fraction!r} of "
                f"n_samples={plan.n_samples} leaves {len(rows)} rows to train on and "
                f"{len(held_out)} to validate on; at least 1 and 2 are needed, and each class "
                "keeps a row to train on. Give more data, another validation_fraction, X_val and "
                "y_val, or set early_stopping=False."
            )
        return rows, held_out

    # Going on ---------------------------------------------------------------------------------

    def _go_on(self, before: Trained) -> None:
        """Go on where the last call ended, in the same run or in a new one.

        Both keep temperature, history, clock and, if the optimizer is the same, its moments. In a
        new run a schedule with a finite horizon begins again, and so does one whose rate has run
        out on plateaus.
        """
        trained = self.trained
        trained.temperature, trained.best = before.temperature, before.best
        trained.alive = before.alive
        hand_over_moments(before.learners, trained.learners)
        trained.progress = before.progress.copy()
        if self.in_series:
            trained.progress.epochs_before = len(trained.progress.rows)
        else:
            trained.progress.begin_again(self.plan.lr_schedule)

    def _watch(self) -> None:
        """Let patience go on if this call has the same to watch, or else begin again."""
        progress, patience = self.trained.progress, self._make_patience()
        watches = "loss"
        if self.plan.goes_back:
            by_score = self.settings.early_stopping or self.settings.scoring is not None
            watches = "validation_score" if by_score else "validation_loss"
        same = patience is not None and progress.watches == watches
        # A stream of batches may be validated now and then only.
        waits = patience is None and progress.goes_back and self.settings.early_stopping
        if progress.patience is None or not (same or (waits and progress.ended != "stalled")):
            progress.patience, progress.best = patience, Best()
            progress.watches = watches

    def _make_patience(self) -> Patience | None:
        """Make what watches held-out data or the training loss, if one of them matters."""
        settings = self.settings
        # In a series of partial_fit calls the caller decides when to stop, and patience with the
        # training loss only lowers the rate of a schedule that waits for plateaus.
        watches_loss = (
            isinstance(self.plan.lr_schedule, Adaptive) and not settings.early_stopping
            if self.incremental
            else not self._ends_as_planned
        )
        if not (self.plan.goes_back or watches_loss) or settings.optimizer.full_batch:
            return None
        # Without early stopping all epochs are made, and the best one is chosen then.
        to_the_end = self.plan.goes_back and not settings.early_stopping
        n_iter_no_change = inf if to_the_end else settings.n_iter_no_change
        return Patience(settings.tol, n_iter_no_change, last_of_equals=to_the_end)

    @property
    def _ends_as_planned(self) -> bool:
        """Whether a run ends when the user said, and not when the training loss stalls."""
        return self.plan.lr_schedule.finite_horizon or self.settings.n_iter_no_change == inf

    # Validation -------------------------------------------------------------------------------

    def _make_validator(self, encoded: Encoded, data: Data, rows: Any, place: str) -> Validator:
        self.estimator._trained = self.trained
        scoring = self.settings.scoring
        return Validator(self.trained.target, *encoded, rows, scoring, data, self.estimator, place)

    def _make_own_validator(self, data: Data) -> Validator:
        """Make what measures networks on the caller's validation data."""
        target, place = self.trained.target, "X_val and y_val"
        try:
            Y = target.encode(data.y, np.float64)
            is_r2 = isinstance(target, Quantities) and self.settings.scoring is None
            if len(Y) < 2 and is_r2:
                raise ValueError(
                    "the score, R2, needs two rows at least. Give more, or set scoring='loss'."
                )
        except (ValueError, TypeError) as error:
            raise ValueError(f"X_val and y_val do not go with X and y: {error}") from error
        if not self.incremental:  # the rows of one call may well differ from those of the others
            names = getattr(self.estimator, "feature_names_in_", range(data.X.shape[1]))
            warn_out_of_range(self.given.X, data.X, names)
        X = self.trained.features.rows(data.X, self.trained.network.dtype, at_once=True)
        return self._make_validator(Encoded(X, Y, target.weigh(Y, None)), data, None, place)

    # Training ---------------------------------------------------------------------------------

    def train(self) -> Trained:
        """Train the networks, and find what their predictions of rows left out tell."""
        trained, progress = self.trained, self.trained.progress
        begun, times = time.perf_counter(), {}
        largest = max(batches.largest for batches in self.batches)
        with few_threads(trained.network, largest), advising(self.settings, self.ways_to_scale):
            self._fit()
            fitted_at = time.perf_counter()
            ended = progress.ended
            if ended == "interrupted":
                warn(
                    f"Training was interrupted after {len(progress.rows)} epochs; the "
                    "estimator keeps what it learned so far."
                )
            if ended not in ("stopped", "interrupted") and not self.incremental:
                self._check_best()
            self.plan = leave_out_the_lost(trained, self.validate, self.plan)
            if self.validate is not None:
                times["validation"] = self.validate.seconds
                if not self.incremental:
                    self._look_back(self.validate)
                    times["calibration"] = time.perf_counter() - fitted_at
        if ended == "exhausted":
            self._warn_unless_planned()
        if self.incremental and self.plan.goes_back:
            self._follow_the_best_epoch()
        elif not self.incremental:  # a run without a best call to come back to
            trained.best = None
        training = fitted_at - begun - times.get("validation", 0.0)
        trained.plan = self.plan.timed(data=self.learned - self.started, training=training, **times)
        return trained

    def _fit(self) -> None:
        """Make the epochs, or those that are left of them."""
        trained, progress, n_epochs = self.trained, self.trained.progress, self.plan.max_iter
        if self.incremental and progress.epochs:  # resumed where its only epoch had ended
            if progress.ended == "stalled":
                progress.best.restore([learner.network for learner in trained.learners])
            return
        with self.watcher.showing(self.most_epochs), self._pool() as run_all:
            fit(
                trained.learners,
                self.batches,
                None if self.incremental else n_epochs,
                progress,
                validate=self.validate,
                begin=self.watcher.begin_epoch,
                report=lambda row: self.watcher.end_epoch(row, self.snapshot),
                run_all=run_all,
            )

    @contextmanager
    def _pool(self) -> Iterator[Callable[..., Iterable[Any]]]:
        """Give what lets groups of networks make their epochs, several at a time if wanted.

        Threads do, since NumPy lets others go on while it computes.
        """
        n_jobs = min(effective_n_jobs(self.settings.n_jobs), len(self.batches))
        if n_jobs == 1:
            yield map
            return
        with ThreadPoolExecutor(n_jobs) as pool:

            def run_all(turn: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
                turns = [pool.submit(turn, *each) for each in zip(*arguments, strict=True)]
                try:
                    return [each.result() for each in turns]
                finally:  # an interrupt reaches this thread alone, and the others train on
                    wait(turns)

            yield run_all

    def _check_best(self) -> None:
        progress = self.trained.progress
        if progress.goes_back and not progress.best.epoch:
            raise ValueError(
                f"scoring={self.settings.scoring!r} gave NaN or -inf on the validation rows in "
                "every epoch, so that early stopping had nothing to go by. Give more rows, or "
                "another scoring."
            )

    def _look_back(self, validate: Validator) -> None:
        """Let what networks predict of rows left out tell how good and how sure they are."""
        trained = self.trained
        networks = [learner.network for learner in trained.learners]
        Z, known = validate.logits(*networks)
        if self.plan.calibrate:
            target: Any = trained.target
            Y, counts = validate.targets(known)
            logits = known_rows(Z, known)
            trained.temperature = find_temperature(logits, Y, counts, target.log_loss())
        if self.plan.judge != "X_val" and validate.rows is not None:
            _, score = validate.measure(Z, known)
            rows, numbers = validate.rows[known], None
            if validate.networks is not None:  # among those that are left
                _, numbers = np.unique(validate.networks[known], return_inverse=True)
            counting = validate.counting
            trained.out_of_fold = OutOfFold(
                rows,
                numbers,
                known_rows(Z, known),
                self.y[rows],
                score,
                None if counting is None else counting[known],
            )

    def _warn_unless_planned(self) -> None:
        """Warn of a run that ended before it converged."""
        if self.settings.optimizer.full_batch:
            reason = self.trained.progress.reason
            message = f"L-BFGS stopped before it converged: {reason}. Raise max_iter, "
            message += "LBFGS(max_fun=...) or tol"
        elif self._ends_as_planned:
            return
        else:
            message = f"Training reached max_iter={self.plan.max_iter} before it converged. Raise "
            message += "max_iter or the learning rate"
        ways = self.ways_to_scale()
        if ways:
            message += f", or set {' and '.join(ways)}"
        warn(f"{message}.", ConvergenceWarning)

    def ways_to_scale(self) -> list[str]:
        """List the parameters that would scale what is large and not scaled yet."""
        return ways_to_scale(self.settings, self.trained.target, self.encoded.X, self.encoded.Y)

    # What comes of it -------------------------------------------------------------------------

    def _follow_the_best_epoch(self) -> None:
        """Let the weights of the best call come back with the scaling that they learned with."""
        trained, progress = self.trained, self.trained.progress
        if progress.best.epoch == progress.rows[-1]["epoch"]:
            trained.best = trained.features, trained.target
        elif progress.ended == "stalled" and trained.best is not None:
            trained.features, trained.target = trained.best

    def snapshot(self) -> dict[str, Any]:
        """Copy what the estimator would be if the call ended now, for a callback."""
        # Rows are never changed, and there may be many of them.
        memo = {id(self.trained.progress.rows): list(self.trained.progress.rows)}
        state = {"_trained": self.trained, "_streams_at_start": self.streams_at_start}
        return copy.deepcopy(state, memo)
