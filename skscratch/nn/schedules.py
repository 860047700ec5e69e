r"""Schedules: the learning rate as a function of where the run stands.

The `Clock` says where that is. A schedule object is configuration and has no memory of its
own; the rate is a pure function of the base rate and the clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi
from typing import ClassVar

from .options import POSITIVE, Interval, Options, integer, real


@dataclass
class Clock:
    """Where a run stands.

    Attributes
    ----------
    epoch : int
        Passes over the data that are complete.
    samples : int
        Rows trained on so far.
    plateaus : int
        How often the stopping criterion's patience was spent.
    horizon : int
        Number of epochs after which the run ends at the latest.
    """

    epoch: int = 0
    samples: int = 0
    plateaus: int = 0
    horizon: int = 1


class Schedule(Options):
    """Base of the schedules.

    Attributes
    ----------
    finite_horizon : bool
        Whether the schedule is made for a run of a known length. Such a run is not cut short
        when the training loss stalls, since the schedule's end is where the gain comes from.
    """

    finite_horizon: ClassVar[bool] = False

    def rate(self, base: float, clock: Clock) -> float:
        """Return the learning rate of the epoch that begins at ``clock``.

        Parameters
        ----------
        base : float
            The estimator's ``learning_rate``.
        clock : Clock
            Where the run stands.
        """
        raise NotImplementedError

    def continues_after_plateau(self, base: float, clock: Clock) -> bool:
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

    factor: float = real(5.0, Interval(1, float("inf"), closed="neither"))
    minimum: float = real(1e-6, POSITIVE)

    def rate(self, base, clock):
        return base / self.factor**clock.plateaus

    def continues_after_plateau(self, base, clock):
        return self.rate(base, clock) > self.minimum


SCHEDULES: dict[str, Callable[[], Schedule]] = {
    "constant": Constant,
    "step": StepDecay,
    "exponential": ExponentialDecay,
    "cosine": Cosine,
    "invscaling": InverseScaling,
    "adaptive": Adaptive,
}
