r"""Schedules: the learning rate of each epoch or step.

A schedule has no memory. It computes the learning rate from the base, which is the estimator's
``learning_rate``, and from the `Clock`, which counts the run's epochs, steps, rows and plateaus.

Explained in the course: optimization.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, inf, log2, pi
from typing import Any, ClassVar

import numpy as np

from .options import FRACTION, POSITIVE, Interval, Options, check_integer, integer, real


@dataclass
class Clock:
    """The progress of a run, as far as the learning rate may depend on it.

    Attributes
    ----------
    epoch : int
        Complete passes over the data.
    step : int
        Complete steps.
    samples : int
        Rows trained on so far.
    plateaus : int, or ndarray of int of shape (..., 1)
        How often patience ran out (see `Patience`), for all networks or for each.
    horizon : int
        The most epochs of the run.
    last_step : int
        The most steps of the run.
    """

    epoch: int = 0
    step: int = 0
    samples: int = 0
    plateaus: Any = 0
    horizon: int = 1
    last_step: int = 1


class Schedule(Options):
    """Base of the schedules.

    Attributes
    ----------
    finite_horizon : bool
        Whether the schedule needs the length of the run. Such a run does not stop early when the
        training loss stalls, since the low learning rates at its end bring the gain.
    per_step : bool
        Whether the learning rate changes with every step, not only with every epoch.
    """

    finite_horizon: ClassVar[bool] = False
    per_step: ClassVar[bool] = False

    def rate(self, base: Any, clock: Clock) -> Any:
        """Return the learning rate of the epoch, or step, that begins at ``clock``.

        Parameters
        ----------
        base : float, or ndarray of shape (..., 1) with one for each network
            The estimator's ``learning_rate``.
        clock : Clock
            Where the run stands.

        Returns
        -------
        learning_rate : float or ndarray of shape (..., 1)
            The learning rate.
        """
        raise NotImplementedError

    def simulate(
        self, n_steps: int, base: float = 1.0, steps_per_epoch: int = 1, batch_size: int = 1
    ) -> np.ndarray:
        """Return the learning rates of a run, to plot them.

        Parameters
        ----------
        n_steps : int
            Number of steps, >= 1.
        base : float, default=1.0
            The estimator's ``learning_rate``.
        steps_per_epoch : int, default=1
            Batches in an epoch.
        batch_size : int, default=1
            Rows in a batch.

        Returns
        -------
        learning_rates : ndarray of shape (n_steps,)
            The learning rate of each step, without plateaus.

        Examples
        --------
        >>> from skscratch.nn import StepDecay
        >>> StepDecay(drop=0.5, every=2).simulate(6).tolist()
        [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
        """
        check_integer("n_steps", n_steps, 1)
        check_integer("steps_per_epoch", steps_per_epoch, 1)
        check_integer("batch_size", batch_size, 1)
        clock = Clock(horizon=-(-n_steps // steps_per_epoch), last_step=n_steps)
        learning_rates = np.empty(n_steps)
        for step in range(n_steps):
            if self.per_step or step % steps_per_epoch == 0:
                clock.step, clock.epoch = step, step // steps_per_epoch
                clock.samples = step * batch_size
                learning_rate = self.rate(base, clock)
            learning_rates[step] = learning_rate
        return learning_rates

    def continues_after_plateau(self, base: Any, clock: Clock) -> Any:
        """Tell whether to go on, at a lower learning rate, now that patience has run out.

        Parameters as `rate`'s. Returns a bool, or an ndarray of shape (..., 1).
        """
        return False


@dataclass
class Constant(Schedule):
    """The base, throughout."""

    def rate(self, base, clock):
        return base


@dataclass
class StepDecay(Schedule):
    """``base * drop^floor(epoch / every)``.

    Parameters
    ----------
    drop : float, default=0.5
        Factor every so many epochs, in (0, 1].
    every : int, default=100
        Epochs from one drop to the next, >= 1.
    """

    drop: float = real(0.5, Interval(0, 1, closed="right"))
    every: int = integer(100, minimum=1)

    def rate(self, base, clock):
        return base * self.drop ** (clock.epoch // self.every)


@dataclass
class ExponentialDecay(Schedule):
    """``base * decay^epoch``.

    Parameters
    ----------
    decay : float, default=0.96
        Factor per epoch, in (0, 1].
    """

    decay: float = real(0.96, Interval(0, 1, closed="right"))

    def rate(self, base, clock):
        return base * self.decay**clock.epoch


@dataclass
class Cosine(Schedule):
    """``base * (1 + cos(pi epoch / horizon)) / 2``, where horizon is the run's ``max_iter``.

    References
    ----------
    Loshchilov and Hutter (2017), "SGDR: stochastic gradient descent with warm restarts",
    arXiv:1608.03983 (without restarts).
    """

    finite_horizon: ClassVar[bool] = True

    def rate(self, base, clock):
        return base * (1 + cos(pi * clock.epoch / clock.horizon)) / 2


@dataclass
class InverseScaling(Schedule):
    """``base / (samples + 1)^power``, after training on ``samples`` rows.

    scikit-learn's ``learning_rate="invscaling"`` does the same, at the end of each epoch.

    Parameters
    ----------
    power : float, default=0.5
        Exponent, > 0.
    """

    power: float = real(0.5, POSITIVE)

    def rate(self, base, clock):
        return base / (clock.samples + 1) ** self.power


@dataclass
class Adaptive(Schedule):
    """``base / factor^plateaus``: a lower learning rate each time that training stalls.

    When training would stop (no gain above ``tol`` for ``n_iter_no_change`` epochs), it goes on at
    a lower learning rate, unless that is ``minimum`` or less.

    Parameters
    ----------
    factor : float, default=5.0
        Divisor at each plateau, > 1.
    minimum : float, default=1e-6
        Training that stalls at or below this learning rate stops, > 0.
    """

    factor: float = real(5.0, Interval(1, inf, closed="neither"))
    minimum: float = real(1e-6, POSITIVE)

    def rate(self, base, clock):
        return base / self.factor**clock.plateaus

    def continues_after_plateau(self, base, clock):
        return self.rate(base, clock) > self.minimum


class _PerStep(Schedule):
    """The schedules over the steps of the whole run."""

    finite_horizon: ClassVar[bool] = True
    per_step: ClassVar[bool] = True


@dataclass
class OneCycle(_PerStep):
    """Up to the base and down again, far below the start, along half cosine waves.

    In its first ``rise = warmup * last_step`` steps, the run goes from ``base / start`` up to
    ``base``; in the others, down to ``base / start / end``. After a share t of either way, the
    learning rate is ``end + (begin - end) (1 + cos(pi t)) / 2``. OneCycle works best with a base
    near the highest stable learning rate, see `skscratch.learning_rate_range_test`.

    Parameters
    ----------
    warmup : float, default=0.3
        Share of the steps in which the learning rate rises, in (0, 1).
    start : float, default=25.0
        The base divided by the first learning rate, >= 1.
    end : float, default=1e4
        The first learning rate divided by the last, >= 1.

    References
    ----------
    Smith and Topin (2018), "Super-convergence: very fast training of neural networks using large
    learning rates", arXiv:1708.07120. They have straight lines; the half cosine waves come from
    fastai and PyTorch.
    """

    warmup: float = real(0.3, Interval(0, 1, closed="neither"))
    start: float = real(25.0, Interval(1, inf))
    end: float = real(1e4, Interval(1, inf))

    def rate(self, base, clock):
        rise = self.warmup * clock.last_step
        first = base / self.start
        if clock.step < rise:
            return _half_wave(first, base, clock.step / rise)
        fall = max(clock.last_step - 1 - rise, 1)
        return _half_wave(base, first / self.end, min((clock.step - rise) / fall, 1.0))


@dataclass
class WarmupCosine(_PerStep):
    """A straight line up to the base, then half a cosine wave down to 0.

    ``base * (step + 1) / (rise + 1)`` in the first ``rise = warmup * last_step`` steps, and
    ``base * (1 + cos(pi t)) / 2`` after a share t of the others.

    Parameters
    ----------
    warmup : float, default=0.1
        Share of the steps in which the learning rate rises, in [0, 1).

    References
    ----------
    Goyal et al. (2017), "Accurate, large minibatch SGD: training ImageNet in 1 hour",
    arXiv:1706.02677 (the line); Loshchilov and Hutter (2017), arXiv:1608.03983 (the cosine).
    """

    warmup: float = real(0.1, FRACTION)

    def rate(self, base, clock):
        rise = self.warmup * clock.last_step
        if clock.step < rise:
            return base * (clock.step + 1) / (rise + 1)
        return _half_wave(base, 0.0, (clock.step - rise) / (clock.last_step - rise))


@dataclass
class CosineLog(_PerStep):
    """Ever longer cosine waves: ``base (1 - cos(2 pi log2(1 + (2^waves - 1) t))) / 2``.

    ``t = (step + 1/2) / last_step`` is the share of the run at the middle of the step. Each wave
    rises from 0 to the base and falls to 0 again, and lasts twice as long as the one before. The
    network settles at the end of each wave, and early stopping can keep the best of these epochs.

    Parameters
    ----------
    waves : int, default=4
        Number of waves, >= 1.

    References
    ----------
    Holzmueller, Grinsztajn and Steinwart (2024), "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", arXiv:2407.04491, who call it coslog4.
    """

    waves: int = integer(4, minimum=1)

    def rate(self, base, clock):
        share = (clock.step + 0.5) / clock.last_step
        return base * (1 - cos(2 * pi * log2(1 + (2**self.waves - 1) * share))) / 2


def _half_wave(begin: float, end: float, share: float) -> float:
    """Go from ``begin`` to ``end`` along half a cosine wave."""
    return end + (begin - end) * (1 + cos(pi * share)) / 2


SCHEDULES: dict[str, Callable[[], Schedule]] = {
    "constant": Constant,
    "step": StepDecay,
    "exponential": ExponentialDecay,
    "cosine": Cosine,
    "invscaling": InverseScaling,
    "adaptive": Adaptive,
    "one_cycle": OneCycle,
    "warmup_cosine": WarmupCosine,
    "coslog": CosineLog,
}
