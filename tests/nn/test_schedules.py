import math
from dataclasses import replace

import numpy as np
import pytest

from skscratch.nn import (
    SCHEDULES,
    Adaptive,
    Clock,
    Cosine,
    CosineLog,
    ExponentialDecay,
    InverseScaling,
    OneCycle,
    StepDecay,
    WarmupCosine,
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
        OneCycle(warmup=0.5, start=2.0, end=10.0),
        OneCycle(warmup=0.123, start=7.0, end=1.0),
        WarmupCosine(warmup=0.0),
        WarmupCosine(warmup=0.3),
        CosineLog(waves=1),
        CosineLog(waves=7),
    )
]


STEPS_PER_EPOCH = 3


def clocks(horizon=250):
    """Every step of a run."""
    for step in range(horizon * STEPS_PER_EPOCH):
        epoch = step // STEPS_PER_EPOCH
        yield Clock(
            epoch=epoch,
            step=step,
            samples=epoch * 37,
            plateaus=epoch // 50,
            horizon=horizon,
            last_step=horizon * STEPS_PER_EPOCH,
        )


def rates_of(schedule, base=0.3, horizon=250):
    return [schedule.rate(base, clock) for clock in clocks(horizon)]


@pytest.mark.parametrize("schedule", EVERY)
def test_rates_match_the_formula_over_a_whole_run(schedule):
    for clock in clocks():
        rate = schedule.rate(0.3, clock)
        assert type(rate) is float
        assert rate == pytest.approx(reference.rate(schedule, 0.3, clock), rel=1e-12)


@pytest.mark.parametrize("schedule", EVERY)
@pytest.mark.parametrize("own_plateaus", [False, True])
def test_networks_side_by_side_may_have_base_rates_and_plateaus_of_their_own(
    schedule, own_plateaus
):
    bases = np.array([[0.3], [0.01]])
    for clock in clocks(10):
        own = [clock.epoch // 2, clock.epoch // 3] if own_plateaus else [clock.plateaus] * 2
        plateaus = np.array(own)[:, np.newaxis] if own_plateaus else clock.plateaus
        together = replace(clock, plateaus=plateaus)
        rates = schedule.rate(bases, together)
        goes_on = np.broadcast_to(schedule.continues_after_plateau(bases, together), (2, 1))
        assert rates.shape == (2, 1)
        for k in range(2):
            alone = replace(clock, plateaus=own[k])
            assert rates[k, 0] == pytest.approx(schedule.rate(bases[k, 0], alone), rel=1e-14)
            assert goes_on[k, 0] == schedule.continues_after_plateau(bases[k, 0], alone)


@pytest.mark.parametrize("schedule", EVERY)
def test_rate_depends_on_the_clock_alone_and_changes_nothing(schedule):
    before = schedule.get_params()
    early = Clock(epoch=1, step=3, samples=10, horizon=100, last_step=300)
    late = Clock(epoch=90, step=270, samples=900, plateaus=2, horizon=100, last_step=300)
    kept = replace(early)
    first = schedule.rate(0.1, early)
    schedule.rate(0.1, late)
    assert schedule.rate(0.1, early) == first
    assert schedule.get_params() == before
    assert early == kept


@pytest.mark.parametrize("schedule", EVERY)
@pytest.mark.parametrize("horizon", [1, 2, 5, 250])
def test_rate_stays_positive_never_exceeds_the_base_and_never_rises_after_the_warmup(
    schedule, horizon
):
    rates = rates_of(schedule, horizon=horizon)
    assert min(rates) > 0
    assert max(rates) <= 0.3 * (1 + 1e-15)
    if isinstance(schedule, CosineLog):
        return  # it has several peaks
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    warmup = getattr(schedule, "warmup", 0.0) * horizon * STEPS_PER_EPOCH
    assert abs(peak - warmup) < 1
    if not warmup:
        assert rates[0] == pytest.approx(0.3, rel=1e-15)


@pytest.mark.parametrize("schedule", EVERY)
def test_rate_is_proportional_to_the_base(schedule):
    for clock in clocks(10):
        assert schedule.rate(0.2, clock) == pytest.approx(2 * schedule.rate(0.1, clock))


@pytest.mark.parametrize("schedule", EVERY)
def test_only_the_adaptive_schedule_goes_on_after_a_plateau(schedule):
    assert schedule.continues_after_plateau(0.1, Clock()) is isinstance(schedule, Adaptive)


@pytest.mark.parametrize("schedule", EVERY)
def test_those_made_for_a_run_of_known_length_have_a_finite_horizon(schedule):
    assert schedule.finite_horizon is isinstance(
        schedule, Cosine | OneCycle | WarmupCosine | CosineLog
    )


@pytest.mark.parametrize("schedule", EVERY)
def test_rate_changes_within_an_epoch_only_where_the_schedule_says_so(schedule):
    rates = np.reshape(rates_of(schedule, horizon=20), (20, STEPS_PER_EPOCH))
    assert schedule.per_step is isinstance(schedule, OneCycle | WarmupCosine | CosineLog)
    assert schedule.per_step == (np.ptp(rates, axis=1).max() > 0)


@pytest.mark.parametrize("schedule", EVERY)
def test_simulation_gives_the_rates_of_the_clocks_of_a_run(schedule):
    rates = schedule.simulate(60, base=0.3, steps_per_epoch=3, batch_size=7)
    assert rates.shape == (60,)
    expected = [
        reference.rate(schedule, 0.3, replace(clock, samples=21 * clock.epoch))
        for clock in clocks(20)
    ]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


def test_simulation_by_default_makes_an_epoch_of_each_step_and_1_of_the_base():
    np.testing.assert_allclose(ExponentialDecay(0.5).simulate(4), [1, 0.5, 0.25, 0.125])
    np.testing.assert_allclose(InverseScaling().simulate(3), [1, 2**-0.5, 3**-0.5])


def test_simulation_may_end_within_an_epoch():
    rates = StepDecay(drop=0.5, every=1).simulate(7, steps_per_epoch=3)
    assert rates.tolist() == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    rates = Cosine().simulate(7, steps_per_epoch=3)  # three epochs, the last one cut short
    np.testing.assert_allclose(rates, [1, 1, 1, 0.75, 0.75, 0.75, 0.25], rtol=1e-12)


def test_one_cycle_stays_at_its_end_in_steps_beyond_it():
    schedule = OneCycle(start=10.0, end=100.0)
    rates = [schedule.rate(1.0, Clock(step=step, last_step=50)) for step in (49, 50, 70)]
    np.testing.assert_allclose(rates, [1e-3] * 3, rtol=1e-12)


def test_one_cycle_of_few_steps_ends_at_its_end():
    # It rises in 1.5 steps, which leaves 2.5 for the way down.
    assert OneCycle(start=10.0, end=100.0).simulate(5)[-1] == pytest.approx(1e-3)
    # In a run of three steps the way down takes one, not the 1.1 that are left.
    assert OneCycle(start=10.0, end=100.0).simulate(3)[-1] == pytest.approx(1e-3)


@pytest.mark.parametrize("name", ["n_steps", "steps_per_epoch", "batch_size"])
@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (-3, ValueError), (2.5, TypeError)])
def test_simulation_refuses_what_is_no_number_of_steps(name, value, error):
    with pytest.raises(error, match=f"{name} must be an integer >= 1, got {value}"):
        WarmupCosine().simulate(**{"n_steps": 10, name: value})


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


def test_one_cycle_starts_at_a_25th_peaks_after_three_tenths_and_ends_far_below():
    rates = OneCycle().simulate(1001, base=0.5)
    assert rates[0] == pytest.approx(0.5 / 25)
    assert abs(rates.argmax() - 0.3 * 1001) < 1
    assert rates.max() == pytest.approx(0.5, rel=1e-5)
    assert rates[-1] == pytest.approx(0.5 / 25 / 1e4)
    # Half way up and half way down, it is half way between the ends.
    assert rates[150] == pytest.approx((0.5 / 25 + 0.5) / 2, rel=1e-2)
    assert rates[650] == pytest.approx(0.5 / 2, rel=1e-2)


def test_one_cycle_reaches_the_base_where_the_rise_ends_at_a_step():
    rates = OneCycle(warmup=0.25, start=10.0, end=100.0).simulate(100, base=2.0)
    np.testing.assert_allclose(rates[[0, 25, 99]], [0.2, 2.0, 0.002], rtol=1e-12)


def test_warmup_cosine_rises_on_a_line_and_ends_near_0():
    rates = WarmupCosine().simulate(1000, base=0.5)
    np.testing.assert_allclose(rates[:100], 0.5 * np.arange(1, 101) / 101)
    assert rates[100] == rates.max() == 0.5
    assert rates[550] == pytest.approx(0.25)
    assert 0 < rates[-1] < 0.5 * 4e-6  # (pi / 2 / 900)^2 of the base


def test_warmup_cosine_without_warmup_is_the_cosine_step_by_step():
    ours = WarmupCosine(warmup=0.0).simulate(50, base=0.3)
    np.testing.assert_allclose(ours, Cosine().simulate(50, base=0.3), rtol=1e-12)


def test_cosine_log_has_waves_that_double_in_length():
    rates = CosineLog().simulate(15_000, base=0.5)
    ends = [1000, 3000, 7000]
    assert rates[0] < 1e-5
    assert rates[-1] < 1e-5
    assert (rates[ends] < 1e-5).all()
    for begin, end in zip([0, *ends], [*ends, 15_000], strict=True):
        wave = rates[begin:end]
        assert wave.max() == pytest.approx(0.5)
        # The peak is where log2 is half way: at sqrt(2) - 1 of the wave.
        assert wave.argmax() / len(wave) == pytest.approx(2**0.5 - 1, abs=2e-3)
