"""Zones that change between two dates: who is added, who is split, who is new."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.estimation.drift import Drift
from hub.estimation.linked import Brought, Went, brought, brought_period, correspondence
from hub.estimation.residents import Assumed, Period, Residents, residents
from privacy.errors import UsageProblem
from tests.statistical.scenarios import MARKET, SCENARIOS, belgium, generate

#: A and B merge into M; C is split, a quarter to D and the rest to E; F stays; G is on new ground.
LINK = correspondence(
    ("A", "B", "C", "F"),
    ("M", "D", "E", "F", "G"),
    [Went("A", "M"), Went("B", "M"), Went("C", "D", 0.25, 0.05), Went("C", "E", 0.75, 0.05)],
)
REGISTER = np.array([100.0, 200.0, 400.0, 50.0])


def link_of(register: NDArray[np.float64], coverage: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)) -> Brought:
    counts = (register * np.array(coverage))[None, :]
    before = Period(counts, np.array([1.0]), np.array([True]))
    return brought(register, before, Period(np.zeros((1, 5)), np.array([1.0]), np.array([True])), LINK)


def test_zones_that_merge_are_added_and_a_zone_that_is_split_is_shared_out() -> None:
    found = link_of(REGISTER)
    assert found.register.tolist() == [300.0, 100.0, 300.0, 50.0, 0.0]
    # Of D: (400·1/20)²/100² = 1/25; of E: (400·1/20)²/300² = 1/225.
    expected = [Fraction(0), Fraction(1, 25), Fraction(1, 225), Fraction(0), Fraction(0)]
    assert found.register_variance == pytest.approx([float(part) for part in expected])
    assert LINK.founded.tolist() == [False, False, False, False, True]


def test_noise_adds_where_zones_merge_and_is_shared_as_squares_where_they_split() -> None:
    before = Period(np.array([REGISTER, REGISTER]), np.array([16.0, 32.0]), np.array([True, True]))
    found = brought_period(before, LINK)
    assert found.counts[0].tolist() == [300.0, 100.0, 300.0, 50.0, 0.0]
    assert found.variance[0] == pytest.approx([32, 1, 9, 16, 0])
    assert found.of(found.present)[1] == pytest.approx([96, 3, 27, 48, 0])


def test_where_coverage_differs_between_zones_it_may_differ_between_the_parts_of_one() -> None:
    register = np.array([1e8, 2e8, 4e8, 5e7])
    found = link_of(register, (1.0, 1.2, 1.2, 1.0))
    # Logarithms 0, l, l, 0 with nothing of an error: their sample variance is l²/3, a quarter of it that of the mean.
    spread = np.log(1.2) ** 2 / 3 * (1 + 1 / 4)
    # Of parts it is that over (1/4)² + (3/4)² = 5/8. D: (3/4)² + (3/4)² = 9/8; E: (1/4)² + (1/4)² = 1/8.
    assert found.growth_variance == pytest.approx([0, spread * 9 / 5, spread / 5, 0, 0], rel=1e-3, abs=1e-12)


def test_counts_of_a_missing_operator_do_not_spoil_the_new_zones() -> None:
    counts = np.array([REGISTER, np.full(4, np.nan)])
    found = brought_period(Period(counts, np.array([1.0, 1.0]), np.array([True, False])), LINK)
    assert np.all(np.isfinite(found.of(found.present)[0]))


@given(st.lists(st.integers(0, 10_000), min_size=4, max_size=4))
def test_nobody_is_lost(persons: list[int]) -> None:
    assert (np.array(persons) @ LINK.part).sum() == pytest.approx(sum(persons))


@pytest.mark.parametrize(
    ("went", "told"),
    [
        ([Went("A", "X")], "A is said to be in X"),
        ([Went("X", "M")], "X is said to be in M"),
        ([Went("A", "M", 0.5), Went("A", "M", 0.5)], "twice"),
        ([Went("A", "M", 0.5)], "parts of zone A sum to 0.5"),
        ([Went("A", "M", 1.5)], "1.5 ± 0 is no part"),
        ([Went("A", "M", 0.5, -0.1), Went("A", "N", 0.5)], "is no part"),
        ([], "A is said to be in A"),
    ],
)
def test_a_correspondence_that_loses_or_doubles_people_is_refused(went: list[Went], told: str) -> None:
    with pytest.raises(UsageProblem, match=told):
        correspondence(("A",), ("M", "N"), went)


def split_country(part: float, sd: float) -> tuple[Brought, Period]:
    """Return 40 zones of 10,000 that stay, and one of 20,000 of which truly a quarter went to P and the rest to Q."""
    old = [*(f"z{i}" for i in range(40)), "S"]
    new = [*old[:-1], "P", "Q"]
    link = correspondence(old, new, [Went("S", "P", part, sd), Went("S", "Q", 1 - part, sd)])
    register = np.array([*np.full(40, 10_000.0), 20_000.0])
    one, noise = np.array([True]), np.array([2500.0])
    now = Period(1.02 * np.array([*np.full(40, 10_000.0), 5000.0, 15_000.0])[None, :], noise, one)
    return brought(register, Period(register[None, :], noise, one), now, link), now


def estimated(given: Brought, now: Period, assumed: Assumed, total: float | None = None) -> Residents:
    market = np.array([1.0]) if now.present.size == 1 else MARKET
    return residents(
        given.register,
        given.before,
        now,
        np.ones((given.register.size, 1)),
        assumed,
        market=market,
        total=total,
        register_variance=given.register_variance,
        growth_variance=given.growth_variance,
    )


ASSUMED = Assumed(0.005, 0.0, 0.0, Drift(0.0, np.inf), tau=0.02)


def test_a_part_that_was_declared_wrong_is_put_right_by_the_counts_as_far_as_it_was_said_to_be_uncertain() -> (
    None
):
    estimates = {}
    for sd in (0.0, 0.10):
        found = estimated(*split_country(0.30, sd), ASSUMED)
        estimates[sd] = found.estimate[-2]
        if sd:
            assert found.interval(0.95)[0][-2] < 5100 < found.interval(0.95)[1][-2]
    # 5100 live there; 30 % of the old zone, grown as others, would be 6120.
    assert abs(estimates[0.10] - 5100) < 100
    assert estimates[0.0] > 5500


def test_intervals_of_zones_that_were_split_hold_with_uncertain_parts() -> None:
    country, chance, error = belgium(), np.random.default_rng(7), 0.03
    zones = np.argsort(-country.then)[100:300]
    names = [f"z{zone}" for zone in zones]
    # Neighbours in size were one zone then, so that 100 old zones are 200 new ones.
    pairs = list(zip(names[::2], names[1::2], strict=True))
    one, other = country.then[zones[::2]], country.then[zones[1::2]]
    inside, apart = [], []
    for _ in range(15):
        before, now = generate(SCENARIOS[0], country, chance)
        parts = one / (one + other) + chance.normal(0, error, one.size)
        went = [
            Went("+".join(pair), name, float(share), error)
            for pair, part in zip(pairs, parts, strict=True)
            for name, share in zip(pair, (part, 1 - part), strict=True)
        ]
        counts = before.counts[:, zones[::2]] + before.counts[:, zones[1::2]]
        then = Period(counts, 2 * before.variance, before.present)
        later = Period(now.counts[:, zones], now.variance, now.present)
        given = brought(
            one + other, then, later, correspondence(["+".join(pair) for pair in pairs], names, went)
        )
        truth = country.now[zones]
        found = estimated(given, later, SCENARIOS[0].assumed(), float(truth.sum()))
        low, high = found.interval(0.95)
        inside.append((low <= truth) & (truth <= high))
        apart.append(np.abs(found.estimate / truth - 1).mean() / np.abs(given.register / truth - 1).mean())
    assert 0.92 <= np.mean(inside) <= 0.98
    # Coverage differs by zone more than the parts are uncertain: counts mend the parts a little only.
    assert np.mean(apart) < 1
