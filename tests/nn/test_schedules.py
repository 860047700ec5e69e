import math

import pytest

from skscratch.nn import (
    SCHEDULES,
    Adaptive,
    Clock,
    Cosine,
    ExponentialDecay,
    InverseScaling,
    StepDecay,
)

from . import reference

EVERY = [pytest.param(make(), id=name) for name, make in SCHEDULES.items()]
EVERY += [
    pytest.param(option, id=repr(option))
    for option in (
        StepDecay(drop=0.1, every=3),
        ExponentialDecay(decay=0.5),
        InverseScaling(power=0.25),
        Adaptive(factor=2.0, minimum=1e-3),
    )
]


def clocks(horizon=250):
    for epoch in range(horizon):
        yield Clock(epoch=epoch, samples=epoch * 37, plateaus=epoch // 50, horizon=horizon)


@pytest.mark.parametrize("schedule", EVERY)
def test_rates_match_the_formula_over_a_whole_run(schedule):
    for clock in clocks():
        rate = schedule.rate(0.3, clock)
        assert type(rate) is float
        assert rate == pytest.approx(reference.rate(schedule, 0.3, clock), rel=1e-12)


@pytest.mark.parametrize("schedule", EVERY)
def test_rate_depends_on_the_clock_alone_and_changes_nothing(schedule):
    before, late, early = schedule.get_params(), Clock(90, 900, 2, 100), Clock(1, 10, 0, 100)
    first = schedule.rate(0.1, early)
    schedule.rate(0.1, late)
    assert schedule.rate(0.1, early) == first
    assert schedule.get_params() == before
    assert early == Clock(1, 10, 0, 100)


@pytest.mark.parametrize("schedule", EVERY)
def test_rate_starts_at_the_base_stays_positive_and_never_rises(schedule):
    rates = [schedule.rate(0.3, clock) for clock in clocks()]
    assert rates[0] == pytest.approx(0.3, rel=1e-15)
    assert min(rates) > 0
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("schedule", EVERY)
def test_rate_is_proportional_to_the_base(schedule):
    for clock in (Clock(0, 0, 0, 10), Clock(7, 70, 1, 10)):
        assert schedule.rate(0.2, clock) == pytest.approx(2 * schedule.rate(0.1, clock))


@pytest.mark.parametrize("schedule", EVERY)
def test_only_the_adaptive_schedule_goes_on_after_a_plateau(schedule):
    assert schedule.continues_after_plateau(0.1, Clock()) is isinstance(schedule, Adaptive)


@pytest.mark.parametrize("schedule", EVERY)
def test_only_the_cosine_has_a_finite_horizon(schedule):
    assert schedule.finite_horizon is isinstance(schedule, Cosine)


def test_step_halves_every_hundred_epochs_by_default():
    rates = [SCHEDULES["step"]().rate(0.8, Clock(epoch=epoch)) for epoch in (0, 99, 100, 199, 200)]
    assert rates == [0.8, 0.8, 0.4, 0.4, 0.2]


def test_exponential_takes_4_percent_off_per_epoch_by_default():
    assert SCHEDULES["exponential"]().rate(1.0, Clock(epoch=2)) == pytest.approx(0.96 * 0.96)


def test_cosine_is_half_at_half_time_and_zero_at_the_end():
    assert Cosine().rate(0.2, Clock(epoch=50, horizon=100)) == pytest.approx(0.1)
    assert Cosine().rate(0.2, Clock(epoch=100, horizon=100)) == pytest.approx(0, abs=1e-17)


def test_inverse_scaling_counts_samples():
    assert InverseScaling(power=0.5).rate(1.0, Clock(samples=99)) == pytest.approx(0.1)


def test_adaptive_stops_at_a_rate_that_equals_the_minimum():
    schedule = Adaptive(factor=2.0, minimum=0.25)
    continues = [schedule.continues_after_plateau(1.0, Clock(plateaus=n)) for n in range(4)]
    assert continues == [True, True, False, False]


def test_adaptive_goes_on_until_the_rate_is_at_most_the_minimum():
    """As scikit-learn: divide by 5 while the rate is above 1e-6."""
    schedule, plateaus, rate = Adaptive(), 0, 0.01
    while schedule.continues_after_plateau(0.01, Clock(plateaus=plateaus)):
        plateaus += 1
        rate /= 5
        assert schedule.rate(0.01, Clock(plateaus=plateaus)) == pytest.approx(rate)
    assert plateaus == math.ceil(math.log(0.01 / 1e-6, 5))
    assert rate <= 1e-6 < rate * 5
