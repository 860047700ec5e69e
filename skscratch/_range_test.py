"""The learning rate range test: how the loss goes while the rate rises from step to step."""

from dataclasses import dataclass
from itertools import chain, repeat
from math import exp, inf
from typing import Any

import numpy as np
from sklearn.base import clone

from ._base import BaseScratchMLP
from ._fitting.run import Run
from ._fitting.settings import is_full_batch
from ._fitting.threads import few_threads
from .nn.divergence import UNWARNED, DivergenceError
from .nn.options import POSITIVE, check_integer, check_real
from .nn.step import train_step


@dataclass(frozen=True, repr=False, eq=False)
class RangeTest:
    """What `learning_rate_range_test` found.

    Attributes
    ----------
    learning_rates : ndarray of shape (n_steps_made,)
        The rate of each step.
    losses : ndarray of shape (n_steps_made,)
        The training loss of each step's batch before the step, penalty included.
    smoothed_losses : ndarray of shape (n_steps_made,)
        Weighted means of the losses around each step, with weights that fall by the factor e per
        twentieth of the test on either side.
    suggestion : float or None
        The rate at which the smoothed loss falls most steeply, see `learning_rate_range_test`;
        None if it never falls.
    """

    learning_rates: np.ndarray
    losses: np.ndarray
    smoothed_losses: np.ndarray
    suggestion: float | None

    def __repr__(self) -> str:
        suggestion = self.suggestion if self.suggestion is None else f"{self.suggestion:.2g}"
        first, last = self.learning_rates[[0, -1]]
        return (
            f"RangeTest(suggestion={suggestion}, {len(self.losses)} steps at learning rates from "
            f"{first:.2g} to {last:.2g})"
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw the losses over the learning rate, and mark the suggestion.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        ax : matplotlib.axes.Axes
            The axes drawn on.
        """
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.figure(layout="constrained").add_subplot()
        ax.semilogx(self.learning_rates, self.losses, ".", color="0.6", label="loss of a batch")
        ax.semilogx(self.learning_rates, self.smoothed_losses, color="C0", label="smoothed")
        if self.suggestion is not None:
            label = f"suggestion: {self.suggestion:.2g}"
            ax.axvline(self.suggestion, color="C1", linestyle="--", label=label)
        # The explosion at the end would press all before it flat.
        low, high = self.losses.min(), self.losses[: self.smoothed_losses.argmin() + 1].max()
        margin = 0.1 * (high - low) or 1.0
        ax.set(
            xlabel="learning rate",
            ylabel="training loss",
            ylim=(low - margin, high + 2 * margin),
        )
        ax.legend()
        return ax


def learning_rate_range_test(
    estimator: BaseScratchMLP,
    X: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    low: float = 1e-6,
    high: float = 10.0,
    n_steps: int = 100,
) -> RangeTest:
    """Train with a learning rate that rises from step to step, and watch the loss.

    At low rates hardly anything happens, then the loss falls, and where the rate is too high, it
    rises or explodes. The rate is multiplied by the same factor after each step. The test ends
    early when the loss is no longer finite, or when the running mean of the losses exceeds both
    four times its best value and the first loss.

    A clone of the estimator is trained; the estimator itself is left as it is. The clone's schedule
    is replaced by the rising rate, all rows are trained on, and callbacks are not called.

    Parameters
    ----------
    estimator : ScratchMLPClassifier or ScratchMLPRegressor
        The estimator, with a stochastic optimizer; for one in a pipeline pass what the steps
        before it make of X.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The inputs, scaled as they will be in training.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, >= 0; None means 1 everywhere.
    low, high : float, default=1e-6, 10.0
        First and last learning rate, > 0 and ``low < high``.
    n_steps : int, default=100
        Number of steps, >= 20. The batches are gone through as often as it takes.

    Returns
    -------
    result : RangeTest
        The curve and a suggestion, with a method `RangeTest.plot`.

    Raises
    ------
    ValueError, TypeError
        If an argument is not what it may be, or the loss is not finite from the start.

    Notes
    -----
    Smith reads two rates off the curve: one where the loss begins to fall, and one where it stops
    falling. The suggestion lies between them, where the smoothed loss falls most steeply, up to its
    minimum; fastai's ``steep`` is the same rule on a running mean, which lags behind. It is a
    starting point, a bit low rather than high: the look at the curve counts. It depends on
    everything that training does, batch size and optimizer above all.

    References
    ----------
    Smith (2017), "Cyclical learning rates for training neural networks", arXiv:1506.01186, section
    3.3, with a linear rise. The exponential one, and the end at four times the best loss, are those
    of fastai's ``Learner.lr_find``, https://docs.fast.ai/callback.schedule.html.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skscratch import ScratchMLPClassifier, learning_rate_range_test
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = ScratchMLPClassifier((64,), random_state=0)
    >>> result = learning_rate_range_test(clf, X / 16, y)
    >>> 1e-3 < result.suggestion < 1e-1
    True
    >>> clf = clf.set_params(learning_rate=result.suggestion)
    """
    rates, smoothing = _rates(low, high, n_steps), exp(-20 / n_steps)
    run = _trainable(estimator)._make_run(X, y, sample_weight)
    run.begin()
    with few_threads(run.trained.network, run.batches[0].largest):
        losses = _sweep(run, rates, smoothing)
    smoothed = _smooth(losses, smoothing)
    return RangeTest(np.array(rates[: len(losses)]), losses, smoothed, _suggest(rates, smoothed))


def _rates(low: float, high: float, n_steps: int) -> list[float]:
    low, high = check_real("low", low, POSITIVE), check_real("high", high, POSITIVE)
    if low >= high:
        raise ValueError(f"low must be less than high, got low={low:g} and high={high:g}.")
    return np.geomspace(low, high, check_integer("n_steps", n_steps, 20)).tolist()


def _trainable(estimator: Any) -> Any:
    """Return a clone that trains on all rows, without anybody watching."""
    if not isinstance(estimator, BaseScratchMLP):
        raise TypeError(
            "estimator must be a ScratchMLPClassifier or a ScratchMLPRegressor, got one of type "
            f"{type(estimator).__name__}. For a pipeline pass its last step, and X as the steps "
            "before it transform it."
        )
    if is_full_batch(estimator.optimizer):
        raise ValueError("optimizer='lbfgs' has no learning rate to test.")
    once = {"n_networks": 1, "cv": None, "early_stopping": False, "calibrate": False}
    params = {name: value for name, value in once.items() if hasattr(estimator, name)}
    return (
        clone(estimator).set_callbacks().set_params(lr_schedule="constant", verbose=False, **params)
    )


def _sweep(run: Run, rates: list[float], smoothing: float) -> np.ndarray:
    """Make a step at each rate, until the loss explodes, and return each step's loss."""
    (learner,), (batches,) = run.trained.learners, run.batches
    losses: list[float] = []
    workspace = learner.workspace(batches.largest)
    running, best = 0.0, inf
    endless = chain.from_iterable(repeat(batches))
    with np.errstate(**UNWARNED):
        for rate, batch in zip(rates, endless, strict=False):
            try:
                value, _ = train_step(learner, batch, workspace.for_rows(batch.n_rows), rate)
            except DivergenceError as error:
                if losses:
                    break
                ways = " or ".join([*run.ways_to_scale(), "another init"])
                raise DivergenceError(
                    "The loss is not finite before the first step.", f"Try {ways}."
                ) from error
            losses.append(float(value))
            running = smoothing * running + (1 - smoothing) * losses[-1]
            mean = running / (1 - smoothing ** len(losses))
            best = min(best, mean)
            # Four times the best, for a loss that may be negative.
            if mean > max(best + 3 * abs(best), losses[0]):
                break
    return np.array(losses)


def _smooth(losses: np.ndarray, smoothing: float) -> np.ndarray:
    """Average over the steps around each, without the lag that a running mean has."""
    reach = len(losses) - 1
    nearness = smoothing ** np.abs(np.arange(-reach, reach + 1))
    total, weight = (np.convolve(nearness, a, mode="valid") for a in (losses, losses**0))
    return total / weight


def _suggest(rates: list[float], smoothed: np.ndarray) -> float | None:
    """Return the rate of the steepest descent before the minimum, if there is any descent."""
    lowest = int(smoothed.argmin())
    if lowest == 0:
        return None
    return rates[int(np.gradient(smoothed[: lowest + 1]).argmin())]
