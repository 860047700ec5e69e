r"""Schedules: the learning rate as a function of where the run stands.

The `Clock` says where that is. A schedule object is configuration and has no memory of its
own; the rate is a pure function of the base rate and the clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, inf, log2, pi
from typing import Any, ClassVar

import numpy as np

from .options import FRACTION, POSITIVE, Interval, Options, check_integer, integer, real


@dataclass
class Clock:
    """Where a run stands.

    Attributes
    ----------
    epoch : int
        Passes over the data that are complete.
    step : int
        Steps that are complete, as of this epoch's beginning or within it.
    samples : int
        Rows trained on so far.
    plateaus : int, or ndarray of int of shape (..., 1)
        How often the stopping criterion's patience was spent, of all networks or of each.
    horizon : int
        Number of epochs after which the run ends at the latest.
    last_step : int
        Number of steps after which the run ends at the latest.
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
        Whether the schedule is made for a run of a known length. Such a run is not cut short
        when the training loss stalls, since the schedule's end is where the gain comes from.
    per_step : bool
        Whether the rate changes from step to step, and not from epoch to epoch only.
    """

    finite_horizon: ClassVar[bool] = False
    per_step: ClassVar[bool] = False

    def rate(self, base: Any, clock: Clock) -> Any:
        """Return the learning rate of the epoch, or step, that begins at ``clock``.

        Parameters
        ----------
        base : float, or ndarray of shape (..., 1) with one for each network
            The base rate, the estimator's ``learning_rate``.
        clock : Clock
            Where the run stands.
        """
        raise NotImplementedError

    def simulate(
        self, n_steps: int, base: float = 1.0, steps_per_epoch: int = 1, batch_size: int = 1
    ) -> np.ndarray:
        """Return the rates of a run, for a look at the curve.

        Parameters
        ----------
        n_steps : int
            Number of steps, >= 1.
        base : float, default=1.0
            The estimator's ``learning_rate``.
        steps_per_epoch : int, default=1
            Number of batches of an epoch.
        batch_size : int, default=1
            Rows of a batch.

        Returns
        -------
        rates : ndarray of shape (n_steps,)
            The learning rate of each step. `Adaptive` is shown without a plateau.

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
        rates = np.empty(n_steps)
        for step in range(n_steps):
            if self.per_step or step % steps_per_epoch == 0:
                clock.step, clock.epoch = step, step // steps_per_epoch
                clock.samples = step * batch_size
                rate = self.rate(base, clock)
            rates[step] = rate
        return rates

    def continues_after_plateau(self, base: Any, clock: Clock) -> Any:
        """Say whether to go on, at a lower rate, now that patience is spent."""
        return False


@dataclass
class Constant(Schedule):
    """The same rate throughout."""

    def rate(self, base, clock):
        return base


@dataclass
class StepDecay(Schedule):
    """``base * drop^floor(epoch / every)``.

    Parameters
    ----------
    drop : float, default=0.5
        Factor at each step, in (0, 1].
    every : int, default=100
        Epochs between steps, >= 1.
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
    """``base * (1 + cos(pi epoch / total)) / 2``, total being the run's ``max_iter``.

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
    """``base / (samples + 1)^power``, samples being the rows trained on so far.

    This is what scikit-learn's ``learning_rate="invscaling"`` does, at the end of each epoch.

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
    """``base / factor^plateaus``: a lower rate each time that training stalls.

    Where training would stop (no gain above ``tol`` for ``n_iter_no_change`` epochs) it goes on
    at a lower rate, until the rate is at most ``minimum``.

    Parameters
    ----------
    factor : float, default=5.0
        Divisor at each plateau, > 1.
    minimum : float, default=1e-6
        At or below this rate training stops, > 0.
    """

    factor: float = real(5.0, Interval(1, inf, closed="neither"))
    minimum: float = real(1e-6, POSITIVE)

    def rate(self, base, clock):
        return base / self.factor**clock.plateaus

    def continues_after_plateau(self, base, clock):
        return self.rate(base, clock) > self.minimum


@dataclass
class OneCycle(Schedule):
    """Up to the base rate and down again, far below the start, along half cosine waves.

    With ``rise = warmup * last_step``, the rate goes from ``base / start`` up to ``base`` in the
    first ``rise`` steps, and from there down to ``base / start / end`` in the others; each way as
    ``high + (low - high) (1 + cos(pi t)) / 2``, t being the share of the way. It changes from step
    to step. Best with a base rate near the highest that is stable, see
    `skscratch.learning_rate_range_test`.

    Parameters
    ----------
    warmup : float, default=0.3
        Share of the steps in which the rate rises, in (0, 1).
    start : float, default=25.0
        The base rate divided by the first rate, >= 1.
    end : float, default=1e4
        The first rate divided by the last one, >= 1.

    References
    ----------
    Smith and Topin (2018), "Super-convergence: very fast training of neural networks using large
    learning rates", arXiv:1708.07120. The half cosine waves in place of straight lines are those
    of fastai and PyTorch.
    """

    warmup: float = real(0.3, Interval(0, 1, closed="neither"))
    start: float = real(25.0, Interval(1, inf))
    end: float = real(1e4, Interval(1, inf))

    finite_horizon: ClassVar[bool] = True
    per_step: ClassVar[bool] = True

    def rate(self, base, clock):
        rise = self.warmup * clock.last_step
        first = base / self.start
        if clock.step < rise:
            return _half_wave(first, base, clock.step / rise)
        fall = max(clock.last_step - 1 - rise, 1)
        return _half_wave(base, first / self.end, min((clock.step - rise) / fall, 1.0))


@dataclass
class WarmupCosine(Schedule):
    """A straight line up to the base rate, then half a cosine wave down to 0.

    In the first ``w = warmup * last_step`` steps ``base * (step + 1) / (w + 1)``, then
    ``base * (1 + cos(pi t)) / 2``, t being the share of the remaining steps. It changes from step
    to step.

    Parameters
    ----------
    warmup : float, default=0.1
        Share of the steps in which the rate rises, in [0, 1).

    References
    ----------
    Goyal et al. (2017), "Accurate, large minibatch SGD: training ImageNet in 1 hour",
    arXiv:1706.02677 (the line); Loshchilov and Hutter (2017), arXiv:1608.03983 (the cosine).
    """

    warmup: float = real(0.1, FRACTION)

    finite_horizon: ClassVar[bool] = True
    per_step: ClassVar[bool] = True

    def rate(self, base, clock):
        rise = self.warmup * clock.last_step
        if clock.step < rise:
            return base * (clock.step + 1) / (rise + 1)
        return _half_wave(base, 0.0, (clock.step - rise) / (clock.last_step - rise))


@dataclass
class CosineLog(Schedule):
    """Whole cosine waves that get longer: ``base (1 - cos(2 pi log2(1 + (2^waves - 1) t))) / 2``.

    t is the share of the run that is over, in the middle of the step: ``(step + 1/2) / last_step``.
    Each wave takes twice the steps of the one before, and in each the rate rises from 0 to the base
    and falls to 0 again. So the network is settled now and then, from early on, and the best of
    these epochs can be kept.

    Parameters
    ----------
    waves : int, default=4
        Number of waves, >= 1.

    References
    ----------
    Holzmueller, Grinsztajn and Steinwart (2024), "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", arXiv:2407.04491, where it is coslog4.
    """

    waves: int = integer(4, minimum=1)

    finite_horizon: ClassVar[bool] = True
    per_step: ClassVar[bool] = True

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
