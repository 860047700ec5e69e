"""One call of fit or partial_fit: from checked data to a trained network."""

import copy
import time
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from ..nn.batches import Batches
from ..nn.divergence import DivergenceError
from ..nn.fit import Progress, fit
from ..nn.network import Architecture, Network
from ..nn.rows import DenseRows, OneHot, SparseRows
from ..nn.schedules import Adaptive
from ..nn.step import Learner
from ..nn.stopping import Best, Patience
from .advice import advising, ways_to_scale
from .calibration import find_temperature
from .features import Features
from .inputs import Data
from .measure import Validator
from .plan import Plan, epochs, settle_calibration, settle_dtype
from .ranges import warn_out_of_range
from .settings import Settings
from .split import split_rows
from .targets import Labels, Quantities, Target, join_encoded
from .threads import few_threads
from .warn import warn


@dataclass
class Trained:
    """What a call leaves: all that prediction needs, and that a further call goes on from.

    Attributes
    ----------
    plan : Plan
        What the call did.
    features, target : Features, Target
        What was learned of X and y.
    network : Network
        The network.
    learner : Learner
        What made its steps.
    progress : Progress
        Where the run stands.
    streams : dict of str to Generator
        Random streams by purpose.
    temperature : float
        What logits are divided by.
    refitted : bool
        Whether it was trained on all rows, after some were held out.
    best : tuple of Features and Target, or None
        What the best call of a series of `partial_fit` had learned of X and y.
    """

    plan: Plan
    features: Features
    target: Target
    network: Network
    learner: Learner
    progress: Progress
    streams: dict[str, np.random.Generator]
    temperature: float = 1.0
    refitted: bool = False
    best: tuple[Features, Target] | None = None

    @property
    def restored_epoch(self) -> int | None:
        """The epoch that early stopping went back to, if it did, or that a refit goes by."""
        progress = self.progress
        goes_on = progress.endless and progress.ended != "stalled"
        return None if goes_on or not self.plan.early_stopping else progress.best.epoch or None

    def without_training(self) -> "Trained":
        """Return a copy without moments and without rows of the training data, for a file."""
        return replace(
            self,
            learner=self.learner.without_state(),
            features=self.features.without_rows(),
            target=self.target.without_rows(),
        )


class Encoded(NamedTuple):
    """What a network is trained on, all rows of it: inputs, targets, and weights or None."""

    X: DenseRows | SparseRows
    Y: np.ndarray | OneHot
    sample_weight: np.ndarray | None


@dataclass(eq=False)
class Run:
    """One call of `fit` or `partial_fit`.

    `begin` learns from the data and makes the network and everything that trains it, and `train`
    trains it.

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
    batches : Batches
        The batches of an epoch.
    validate : Validator or None
        Measures a network on the validation data.
    """

    settings: Settings
    plan: Plan
    given: Data
    before: Trained | None
    watcher: Any
    estimator: Any
    validation: Data | None = None
    random_state: Any = None
    incremental: bool = False
    classes: np.ndarray | None = None

    trained: Trained = field(init=False)
    encoded: Encoded = field(init=False)
    batches: Batches = field(init=False)
    validate: Validator | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        before = self.before
        self.started = time.perf_counter()
        # A call of partial_fit after another one is an epoch of the same run.
        self.in_series = before is not None and self.incremental and before.progress.endless

    @property
    def has_stalled(self) -> bool:
        """Whether there is nothing to do, since a series' patience with the score is spent."""
        before = self.before
        if before is None or not (self.in_series and self.plan.early_stopping):
            return False
        return before.progress.ended == "stalled"

    @property
    def n_epochs_before(self) -> int:
        """Number of epochs of the calls that this one goes on from."""
        return 0 if self.before is None else len(self.before.progress.rows)

    # What trains the network ------------------------------------------------------------------

    def begin(self, checkpoint: dict[str, Any] | None = None) -> None:
        """Learn from the data, and make the network and everything that trains it."""
        settings, before = self.settings, self.before
        X, y, sample_weight = self.given
        if before is None:
            streams = _spawn_streams(self.random_state)
            target = self._learn_target(y, sample_weight)
            features = Features.learn(X, sample_weight, self.plan.feature_scaling)
            network, features = self._make_network(X, y, sample_weight, target, features, streams)
        else:
            streams = copy.deepcopy(before.streams)
            target = before.target.go_on(y, sample_weight, settings)
            _check_fixed(settings, before, target)
            features = before.features.go_on(X, sample_weight)
            network = _copy_network(settings, before.network)
            why = "that of the network before"
            self.plan = self.plan.but("dtype", str(network.dtype), why)
            self.plan = self.plan.but("feature_scaling", _scaling(before), why)
        if checkpoint is not None:
            streams = checkpoint["streams_at_start"]
        self.streams_at_start = copy.deepcopy(streams)
        dtype = network.dtype
        Y = target.encode(y, dtype)
        rows = held_out = None
        if self.plan.n_held_out:
            rows, held_out = self._split(target.strata(Y), streams["split"])
        weights = target.weigh(Y, sample_weight, self.incremental)
        self.encoded = Encoded(features.rows(X, dtype, at_once=True), Y, weights)
        self.learned = time.perf_counter()
        mean_weight, weights = _normalize(weights, rows, held_out, dtype)
        learner = self._make_learner(network, target, mean_weight, streams["dropout"])
        self.trained = Trained(self.plan, features, target, network, learner, Progress(), streams)
        if before is None:
            self._set_output_bias(learner, target)
        else:
            self._go_on(before)
        if checkpoint is not None:
            self._resume(checkpoint)
        self._watch()
        self.batches = self._make_batches(rows, weights, streams["shuffle"])
        if self.validation is not None:
            self.validate = self._make_own_validator(self.validation)
        elif held_out is not None:
            place = "the rows held out of X"
            self.validate = self._make_validator(self.encoded, self.given, held_out, place)
        if isinstance(target, Labels):
            n_judging = 0 if self.validate is None else self.validate.n_rows
            self.plan = settle_calibration(settings, self.plan, target, n_judging)
        # Training needs no more than what became of it; a copy of X may take much room.
        del self.given, self.validation

    def _learn_target(self, y: np.ndarray, sample_weight: np.ndarray | None) -> Target:
        if self.settings.is_classifier:
            return Labels.learn(y, self.settings, self.classes)
        return Quantities.learn(y, sample_weight, self.settings)

    def _make_network(
        self,
        X: Any,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        target: Target,
        features: Features,
        streams: dict[str, np.random.Generator],
    ) -> tuple[Network, Features]:
        settings, n_samples = self.settings, X.shape[0]
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
            [X.shape[1], *settings.hidden_layer_sizes, target.n_outputs],
            settings.activations,
            settings.dropout,
            normalization=settings.normalization,
            learned_scales=self.plan.feature_scaling == "learned",
            embedding=embedding,
            edges=edges,
        )
        network = Network(architecture, dtype=np.dtype(self.plan.dtype))
        # A copy of the stream: a refit starts from the same weights.
        network.initialize(self.plan.init, [copy.deepcopy(streams["init"])])
        return network, features

    def _split(
        self, strata: np.ndarray | None, stream: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows to train on, and those to hold out."""
        n_samples = self.plan.n_samples
        # A copy of the stream: a warm start draws the same split again, so that no row is validated
        # on that was trained on before.
        rows, held_out = split_rows(n_samples, self.plan.n_held_out, copy.deepcopy(stream), strata)
        if len(rows) < 1 or len(held_out) < 2:
            raise ValueError(
                f"validation_fraction={self.estimator.validation_fraction!r} of "
                f"n_samples={n_samples} leaves {len(rows)} rows to train on and {len(held_out)} to "
                "validate on; at least 1 and 2 are needed, and each class keeps a row to train on. "
                "Give more data, another validation_fraction, X_val and y_val, or set "
                "early_stopping=False."
            )
        return rows, held_out

    def _make_learner(
        self,
        network: Network,
        target: Target,
        mean_weight: float,
        dropout_stream: np.random.Generator,
    ) -> Learner:
        settings = self.settings
        return Learner(
            network,
            target.loss,
            settings.optimizer,
            settings.learning_rate,
            self.plan.lr_schedule,
            l2=settings.l2,
            clip_norm=settings.clip_norm,
            mean_weight=mean_weight,
            tol=settings.tol,
            streams=(dropout_stream,),
        )

    def _set_output_bias(self, learner: Learner, target: Target) -> None:
        bias = target.loss.initial_bias(self.encoded.Y, self.encoded.sample_weight)
        learner.network.dense[-1].b[...] = bias

    def _make_batches(
        self, rows: np.ndarray | None, weights: np.ndarray | None, stream: np.random.Generator
    ) -> Batches:
        return Batches(
            self.encoded.X,
            self.trained.target.soften(self.encoded.Y),
            weights,
            batch_size=self.plan.batch_size,
            streams=(stream,) if self.settings.shuffle else (),
            rows=rows,
            join_single=self.settings.normalization == "batch",
        )

    # Going on ---------------------------------------------------------------------------------

    def _go_on(self, before: Trained) -> None:
        """Go on where the last call ended, in the same run or in a new one.

        Both keep temperature, history, clock and, if the optimizer is the same, its moments. In a
        new run a schedule with a finite horizon begins again, and so does one whose rate has run
        out on plateaus.
        """
        trained = self.trained
        trained.temperature, trained.best = before.temperature, before.best
        trained.refitted = before.refitted
        if trained.learner.optimizer == before.learner.optimizer and "state" in vars(
            before.learner
        ):
            trained.learner.state = copy.deepcopy(before.learner.state)
        trained.progress = before.progress.copy()
        if self.in_series:
            trained.progress.epochs_before = len(trained.progress.rows)
        else:
            trained.progress.begin_again(trained.learner.schedule)

    def _resume(self, checkpoint: dict[str, Any]) -> None:
        """Become an interrupted run, so that its remaining epochs are made."""
        trained, saved = self.trained, checkpoint["learner"]
        trained.network.restore(saved.network.snapshot())
        trained.learner.state, trained.progress = saved.state, checkpoint["progress"]
        for name, stream in checkpoint["streams"].items():
            trained.streams[name].bit_generator.state = stream.bit_generator.state

    def _watch(self) -> None:
        """Let patience go on if this call has the same to watch, or else begin again."""
        progress, patience = self.trained.progress, self._make_patience()
        watches = "validation_score" if self.plan.early_stopping else "loss"
        same = patience is not None and progress.watches == watches
        # A stream of batches may be validated now and then only.
        waits = patience is None and progress.goes_back and bool(self.settings.early_stopping)
        if progress.patience is None or not (same or (waits and progress.ended != "stalled")):
            progress.patience, progress.best = patience, Best()
            progress.watches = watches

    def _make_patience(self) -> Patience | None:
        """Make what watches the validation score or the training loss, if one of them matters."""
        settings, schedule = self.settings, self.plan.lr_schedule
        # In a series of partial_fit calls the caller decides when to stop, and patience with the
        # training loss only lowers the rate of a schedule that waits for plateaus.
        watches_loss = (
            isinstance(schedule, Adaptive) and not settings.early_stopping
            if self.incremental
            else not self._ends_as_planned
        )
        if not (self.plan.early_stopping or watches_loss) or settings.optimizer.full_batch:
            return None
        to_the_end = self.plan.to_the_end
        n_iter_no_change = inf if to_the_end else settings.n_iter_no_change
        return Patience(settings.tol, n_iter_no_change, last_of_equals=to_the_end)

    @property
    def _ends_as_planned(self) -> bool:
        """Whether a run ends when the user said, and not when the training loss stalls."""
        return self.plan.lr_schedule.finite_horizon or self.settings.n_iter_no_change == inf

    # Validation -------------------------------------------------------------------------------

    def _make_validator(
        self, encoded: Encoded, data: Data, rows: np.ndarray | None, place: str
    ) -> Validator:
        self.estimator._trained = self.trained
        return Validator(
            self.trained.target,
            *encoded,
            rows,
            self.settings.scoring,
            data,
            self.estimator,
            place,
        )

    def _make_own_validator(self, data: Data) -> Validator:
        """Make what measures a network on the caller's validation data."""
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
        """Train the network; then calibrate, and train once more on all rows, if so planned."""
        trained, plan = self.trained, self.plan
        begun = time.perf_counter()
        after: dict[str, float] = {}
        with (
            few_threads(trained.network, self.batches.largest),
            advising(self.settings, self.ways_to_scale),
        ):
            self._fit()
            ended, progress = trained.progress.ended, trained.progress
            fitted_at = time.perf_counter()
            if ended == "interrupted":
                warn(
                    f"Training was interrupted after {len(progress.rows)} epochs; the "
                    "estimator keeps what it learned so far."
                )
            to_the_end = ended not in ("stopped", "interrupted")
            if to_the_end and not self.incremental:
                self._check_best()
            if plan.calibrate and (to_the_end or self.validate is not None):
                self._calibrate()
                after["calibration"] = time.perf_counter() - fitted_at
            if plan.refit:
                if to_the_end:
                    refitting_at = time.perf_counter()
                    self._refit()
                    after["refit"] = time.perf_counter() - refitting_at
                else:
                    self.plan = self.plan.but("refit", False, f"training was {ended} before")
        if ended == "exhausted":
            self._warn_unless_planned()
        if self.incremental and plan.early_stopping:
            self._follow_the_best_epoch()
        elif not self.incremental:  # a run without a best call to come back to
            trained.best = None
        if self.validate is not None:
            after["validation"] = self.validate.seconds
        training = fitted_at - begun - after.get("validation", 0.0)
        trained.plan = self.plan.timed(data=self.learned - self.started, training=training, **after)
        return trained

    def _fit(self) -> None:
        """Make the epochs, or those that are left of them."""
        trained, progress, n_epochs = self.trained, self.trained.progress, self.plan.max_iter
        if self.incremental and progress.epochs:  # resumed where its only epoch had ended
            if progress.ended == "stalled":
                progress.best.restore([trained.network])
            return
        with self.watcher.showing(n_epochs):
            fit(
                trained.learner,
                self.batches,
                None if self.incremental else n_epochs,
                progress,
                validate=self.validate,
                begin=self.watcher.begin_epoch,
                report=lambda row: self.watcher.end_epoch(row, self.snapshot),
            )

    def _check_best(self) -> None:
        progress = self.trained.progress
        if progress.goes_back and not progress.best.epoch:
            raise ValueError(
                f"scoring={self.settings.scoring!r} gave NaN or -inf on the validation rows in "
                "every epoch, so that early stopping had nothing to go by. Give more rows, or "
                "another scoring."
            )

    def _begin_anew(
        self, rows: np.ndarray | None, streams: dict[str, np.random.Generator]
    ) -> tuple[Learner, Batches]:
        """Make what trains another network of the same kind from its start."""
        network, target = copy.deepcopy(self.trained.network), self.trained.target
        network.initialize(self.plan.init, [streams["init"]])
        mean_weight, weights = _normalize(self.encoded.sample_weight, rows, None, network.dtype)
        learner = self._make_learner(network, target, mean_weight, streams["dropout"])
        self._set_output_bias(learner, target)
        return learner, self._make_batches(rows, weights, streams["shuffle"])

    def _calibrate(self) -> None:
        """Learn how sure to be from rows that a network was not trained on."""
        target: Any = self.trained.target
        if self.validate is not None:
            judged = [(self.validate, self.trained.network)]
        else:
            judged = self._cross_fit()
        parts = [validate.logits(network) for validate, network in judged]
        if parts:
            Z, Y, weights = zip(*parts, strict=True)
            counts = None if weights[0] is None else np.concatenate(weights)
            self.trained.temperature = find_temperature(
                np.vstack(Z), join_encoded(Y), counts, target.log_loss()
            )

    def _cross_fit(self) -> list[tuple[Validator, Network]]:
        """Train a network on each half of the rows, and pair it with what judges the other half.

        Rows of weight 0 are in neither half, and where a class is in one half alone, its rows judge
        nothing. An interrupted training leaves no pairs, nor do so few rows that a half has none.
        """
        target, (X, Y, sample_weight) = self.trained.target, self.encoded
        stream = self.trained.streams["calibrate"]
        counted = np.arange(len(Y))
        if sample_weight is not None:
            counted = np.flatnonzero(sample_weight.reshape(len(Y), -1).any(axis=1))
        classes = target.strata(Y)
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
            n_epochs, _ = epochs(self.settings, len(Y), len(rows))
            if fit(learner, batches, n_epochs).ended == "interrupted":
                warn(
                    "Training was interrupted before the network was calibrated; the estimator "
                    "keeps what it learned so far."
                )
                return []
            if classes is not None:
                others = others[np.isin(classes[others], classes[rows])]
            judge = Validator(target, X, Y, sample_weight, others)
            judged.append((judge, learner.network))
        return judged

    def _refit(self) -> None:
        """Train another network on all rows, for as many epochs as were best on a part of them.

        The history stays that of the training on a part, since nothing validates this one. An
        interrupt leaves the network of that training, and so does a divergence.
        """
        trained = self.trained
        n_epochs = trained.progress.best.epoch
        streams = {**trained.streams, "init": copy.deepcopy(trained.streams["init"])}
        kept = "the estimator keeps the network that it trained on a part of the rows before"
        try:
            learner, batches = self._begin_anew(None, streams)
            with (
                self.watcher.showing(n_epochs, "Refit on all rows, epoch"),
                advising(self.settings, self.ways_to_scale),
            ):
                # The schedule ends with them: at a rate that is still high, weights are a matter of
                # luck that nothing is left to judge.
                refit = fit(learner, batches, n_epochs, report=self.watcher.show)
        except DivergenceError as error:
            self.plan = self.plan.but("refit", False, "it diverged")
            warn(f"The refit failed, and {kept}: {error}")
            return
        if refit.ended == "interrupted":
            self.plan = self.plan.but("refit", False, "it was interrupted")
            warn(f"The refit was interrupted after {refit.epochs} epochs; {kept}.")
            return
        trained.progress.clock.samples += refit.clock.samples
        trained.learner, trained.network, trained.refitted = learner, learner.network, True

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


def _check_fixed(settings: Settings, before: Trained, target: Target) -> None:
    """Refuse to go on with what the network was not made for."""
    old = before.network.architecture
    fixed: dict[str, tuple[Any, Any]] = {
        "hidden_layer_sizes": (settings.hidden_layer_sizes, tuple(old.sizes[1:-1])),
        "normalization": (settings.normalization, old.normalization),
        "numerical_embedding": (settings.numerical_embedding, old.embedding),
    }
    if settings.feature_scaling != "auto":
        fixed["feature_scaling"] = (settings.feature_scaling, _scaling(before))
    if settings.dtype != "auto":
        fixed["dtype"] = (settings.dtype, str(before.network.dtype))
    for name, (value, of_old) in fixed.items():
        if value != of_old:
            raise ValueError(
                f"{name}={value!r} differs from the {of_old!r} of the network that training would "
                "continue. Set warm_start=False and call fit to start anew."
            )
    link, old_link = target.loss.out_activation, before.learner.loss.out_activation
    if link != old_link:
        raise ValueError(
            f"loss={settings.loss!r} goes with the output activation {link!r}, which differs from "
            f"the {old_link!r} of the network that training would continue. Set warm_start=False "
            "and call fit to start anew."
        )


def _scaling(before: Trained) -> str | None:
    if before.features.scaler is None:
        return None
    return "learned" if before.network.architecture.learned_scales else "robust"


def _copy_network(settings: Settings, old: Network) -> Network:
    """Copy the network to go on with; activation and dropout may have been changed."""
    architecture = replace(
        old.architecture, activations=settings.activations, dropout=settings.dropout
    )
    network = Network(architecture, dtype=old.dtype)
    network.restore(old.snapshot())
    return network


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
