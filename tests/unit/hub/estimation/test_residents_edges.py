"""Residents where the usual is missing: no signal, one zone, a total that is uncertain, zones without a register."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from hub.estimation.drift import Drift
from hub.estimation.residents import Assumed, Period, Residents, Total, residents
from privacy.errors import UsageProblem
from tests.statistical.scenarios import MARKET, SCENARIOS, belgium, generate

# No drift of anything: what remains is noise, chance and the spread of growth.
BARE = Assumed(
    kappa_zone=0.0, kappa_nation=0.0, share_zone=0.0, share_nation=Drift(0.0, np.inf), tau=0.02, scatter=1.0
)


def period(counts: object, variance: float = 100.0, operators: int = 1) -> Period:
    """Return a date on which every operator counted the same."""
    values = np.tile(np.asarray(counts, dtype=np.float64), (operators, 1))
    return Period(values, np.full(operators, variance), np.full(operators, True))


def run(
    register: object,
    before: Period,
    now: Period,
    total: float | Total | None = None,
    assumed: Assumed = BARE,
) -> Residents:
    persons = np.asarray(register, dtype=np.float64)
    market = np.full(before.variance.size, 1 / before.variance.size)
    return residents(persons, before, now, np.ones((persons.size, 1)), assumed, market=market, total=total)


NOISE = ([3.0, -20.0, 11.0, 0.0], [-7.0, 5.0, 30.0, 1.0])
REGISTER = [1000.0, 2000.0, 3000.0, 4000.0]


def test_all_noise_and_a_known_total_give_the_register_scaled_with_the_spread_of_growth() -> None:
    found = run(REGISTER, period(NOISE[0]), period(NOISE[1]), total=11_000.0)
    assert found.estimate == pytest.approx([1100, 2200, 3300, 4400])
    assert found.imputed.all()
    # m_z = τ² + 1/N₀; of shares w, what remains in a fixed total is m_z·(1 − 2w_z) + Σ w²m.
    own = [Fraction(4, 10_000) + Fraction(1, n) for n in (1000, 2000, 3000, 4000)]
    share = [Fraction(n, 10) for n in (1, 2, 3, 4)]
    rest = sum(w**2 * m for w, m in zip(share, own, strict=True))
    expected = [float(m * (1 - 2 * w) + rest) for w, m in zip(share, own, strict=True)]
    assert found.sd**2 == pytest.approx(expected)
    assert found.total_interval(0.95) == pytest.approx((11_000, 11_000))
    assert found.notes == [
        "only 0 of 4 zones stand out from their noise at both dates: zones grow as the known national total does"
    ]


def test_all_noise_and_a_declared_growth_have_the_uncertainty_of_that_too() -> None:
    declared = Total(10_000 * np.exp(0.05), 0.01)
    found = run(REGISTER, period(NOISE[0]), period(NOISE[1]), total=declared)
    assert found.estimate == pytest.approx(np.array(REGISTER) * np.exp(0.05))
    # Nothing was counted, so that no drift of shares or coverage matters: τ² + 1/N₀ + s².
    assert found.sd**2 == pytest.approx(0.0004 + 1 / np.array(REGISTER) + 0.0001)
    own = [Fraction(4, 10_000) + Fraction(1, n) for n in (1000, 2000, 3000, 4000)]
    summed = sum(Fraction(n, 10) ** 2 * m for n, m in zip((1, 2, 3, 4), own, strict=True)) + Fraction(
        1, 10_000
    )
    assert found.total_sd**2 == pytest.approx(float(summed))


def test_all_noise_and_nothing_known_is_told_with_what_to_do() -> None:
    with pytest.raises(UsageProblem, match=r"0 of 4 zones stand out .* neither does the sum") as told:
        run(REGISTER, period(NOISE[0]), period(NOISE[1]))
    assert "give the national population" in told.value.todo
    unknown = dataclasses.replace(BARE, tau=None)
    with pytest.raises(UsageProblem) as told:
        run(REGISTER, period(NOISE[0]), period(NOISE[1]), total=11_000.0, assumed=unknown)
    assert "declare tau" in told.value.todo


def test_zones_within_their_noise_grow_as_their_sum_if_that_stands_out() -> None:
    # 16 zones of 40 persons: five standard deviations are 50; of the sum they are 200.
    found = run(np.full(16, 40.0), period(np.full(16, 40.0)), period(np.full(16, 44.0)))
    assert found.estimate == pytest.approx(np.full(16, 44.0))
    assert found.imputed.all()
    between = Fraction(4, 10_000) + Fraction(1, 40)
    # Noise and chance of the sums 640 and 704, then the zones' own growth in the mean of 16, then the zone's own.
    nation = Fraction(1600, 640**2) + Fraction(1600, 704**2) + Fraction(1, 640) + Fraction(1, 704)
    assert found.sd**2 == pytest.approx(float(between + nation + between / 16))


def test_a_country_of_one_zone_has_the_growth_of_its_counts_and_their_variance() -> None:
    found = run([1000.0], period([2000.0]), period([2200.0]))
    assert found.estimate == pytest.approx([1100.0])
    assert found.imputed.tolist() == [False]
    noise = Fraction(100, 2000**2) + Fraction(100, 2200**2) + Fraction(1, 2000) + Fraction(1, 2200)
    assert found.sd**2 == pytest.approx([float(noise)])
    assert found.total_sd == pytest.approx(found.sd[0])


def test_a_country_of_one_zone_and_a_known_total_is_that_total() -> None:
    found = run([1000.0], period([2000.0]), period([2200.0]), total=1050.0)
    assert found.estimate == pytest.approx([1050.0])
    assert found.sd == pytest.approx([0.0], abs=1e-12)


def test_a_total_that_is_uncertain_draws_as_its_variance_says() -> None:
    before, now = period(np.full(50, 1e6), 1.0), period(np.full(50, 1.1e6), 1.0)
    drift = dataclasses.replace(BARE, kappa_nation=0.01)
    alone = run(np.full(50, 1e6), before, now, assumed=drift)
    total = 50e6 * 1.1 * np.exp(0.02)
    drawn = run(np.full(50, 1e6), before, now, total=Total(total, alone.total_sd), assumed=drift)
    # Both know as much: half of the way, and half of the variance.
    assert np.log(drawn.adjustment) == pytest.approx(0.01)
    assert drawn.total_sd**2 == pytest.approx(alone.total_sd**2 / 2)
    exact = run(np.full(50, 1e6), before, now, total=Total(total, 0.0), assumed=drift)
    assert exact.estimate.sum() == pytest.approx(total)


def counted_with(zone: tuple[float, float]) -> tuple[list[float], Period, Period]:
    """Return 30 zones of 1000 persons, each with two phones, and one without a register."""
    then, now = [*np.full(30, 2000.0), zone[0]], [*np.full(30, 2200.0), zone[1]]
    return [*np.full(30, 1000.0), 0.0], period(then), period(now)


def test_people_who_are_new_where_nobody_was_registered_are_seen_with_the_coverage_of_others() -> None:
    found = run(*counted_with((0.0, 900.0)))
    # Two phones by person then. If all grew because coverage did, a known total would say so.
    assert found.estimate[-1] == pytest.approx(450 * np.exp(-(found.sd[-1] ** 2) / 2))
    assert found.experimental.tolist() == [False] * 30 + [True]
    assert not found.imputed.any()
    # Coverage does not differ between the others, and its mean has the variance of 30 counts of 2000 with noise 100.
    mean = (Fraction(100, 2000**2) + Fraction(1, 2000)) / 30
    assert found.sd[-1] ** 2 == pytest.approx(float(Fraction(200 + 900, 900**2) + mean))


def test_phones_that_were_there_without_residents_are_no_residents() -> None:
    found = run(*counted_with((900.0, 910.0)))
    assert found.estimate[-1] == 0.0
    assert found.imputed.tolist() == [False] * 30 + [True]
    assert not found.experimental.any()


def test_where_nobody_was_registered_and_nobody_stands_out_noise_alone_makes_the_interval() -> None:
    found = run(*counted_with((-12.0, 5.0)))
    assert found.estimate[-1] == 0.0
    # √(100 + 100 + 5) phones are half as many persons.
    assert found.interval(0.95)[0][-1] == 0.0
    assert found.interval(0.95)[1][-1] == pytest.approx(1.959964 * 205**0.5 / 2)


def test_a_known_total_counts_those_of_new_zones_too() -> None:
    found = run(*counted_with((0.0, 900.0)), total=35_000.0)
    assert found.estimate.sum() == pytest.approx(35_000.0)
    assert found.estimate[-1] / found.estimate[0] == pytest.approx(450 / 1100, rel=0.002)


def test_a_register_of_nobody_is_told() -> None:
    with pytest.raises(UsageProblem, match="nobody is registered"):
        run([0.0, 0.0], period([100.0, 200.0]), period([100.0, 200.0]))


def test_heavy_tails_make_long_intervals_longer_and_short_ones_shorter() -> None:
    args = (np.full(40, 500.0), period(np.full(40, 1000.0)), period(np.full(40, 1000.0)))
    normal = run(*args)
    heavy = run(*args, assumed=dataclasses.replace(BARE, tails=5.0))
    assert np.array_equal(normal.sd, heavy.sd)
    assert np.all(heavy.interval(0.99)[1] > normal.interval(0.99)[1])
    assert np.all(heavy.interval(0.80)[1] < normal.interval(0.80)[1])


def test_tails_without_a_kurtosis_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 4"):
        dataclasses.replace(BARE, tails=4.0)


def test_where_zones_do_not_differ_and_tau_is_estimated_the_bootstrap_gives_the_errors() -> None:
    unknown = dataclasses.replace(BARE, tau=None, scatter=0.0)
    # All zones grow alike: τ̂ = 0, and each is known as well as the mean of all, 1/12 of its own variance.
    args = (
        np.full(12, 1000.0),
        period(np.full(12, 2000.0)),
        period(np.full(12, 2200.0)),
        np.ones((12, 1)),
        unknown,
    )
    formula = residents(*args, market=np.array([1.0]))
    drawn = residents(*args, market=np.array([1.0]), chance=np.random.default_rng(1))
    own = 100 / 2000**2 + 1 / 2000 + 100 / 2200**2 + 1 / 2200
    assert formula.tau == drawn.tau == 0.0
    assert np.array_equal(formula.estimate, drawn.estimate)
    assert np.all(drawn.sd**2 > own / 12)
    # In the worlds τ² is zero, and its estimate as often above as not; the formula takes twice its variance in both.
    assert np.all(drawn.sd < formula.sd)


def test_where_tau_is_told_from_zero_the_formula_gives_the_errors() -> None:
    unknown = dataclasses.replace(BARE, tau=None, scatter=0.0)
    now = period(2200.0 * np.exp(np.linspace(-0.3, 0.3, 12)))
    args = (np.full(12, 1000.0), period(np.full(12, 2000.0)), now, np.ones((12, 1)), unknown)
    formula = residents(*args, market=np.array([1.0]))
    asked = residents(*args, market=np.array([1.0]), chance=np.random.default_rng(1))
    assert np.array_equal(formula.sd, asked.sd)


def test_intervals_of_new_zones_hold() -> None:
    country, chance = belgium(), np.random.default_rng(8)
    assumed = SCENARIOS[0].assumed()
    inside = []
    for _ in range(15):
        before, now = generate(SCENARIOS[0], country, chance)
        new = chance.random(589) < 0.05
        then = Period(np.where(new, 0.0, before.counts), np.where(new, 0.0, before.noise), before.present)
        register = np.where(new, 0.0, country.then)
        total = float(country.now.sum())
        found = residents(register, then, now, np.ones((589, 1)), assumed, market=MARKET, total=total)
        low, high = found.interval(0.95)
        inside.append(((low <= country.now) & (country.now <= high))[new])
        assert (found.experimental | found.imputed)[new].all()
    # Some 440 zones: a standard error of one per cent.
    assert 0.91 <= np.concatenate(inside).mean() <= 0.99
