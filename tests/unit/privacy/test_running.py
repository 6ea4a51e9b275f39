"""Totals by steps are the sums of the windows of every charge."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from privacy.calculus import DAY, MONTH, Charge
from privacy.ledger.running import Running

CHARGES = st.builds(
    lambda start, days, period, day: Charge(
        first_day=date(2026, 1, 1) + timedelta(days=start),
        last_day=date(2026, 1, 1) + timedelta(days=start + days),
        by_period=period,
        by_day=day,
    ),
    st.integers(0, 60),
    st.sampled_from([0, 1, 5, 27, 29, 30, 31, 40]),
    st.integers(1, 50),
    st.integers(1, 50),
)


def by_hand(charges: list[Charge]) -> dict[tuple[int, date], int]:
    totals: Counter[tuple[int, date]] = Counter()
    for charge in charges:
        for length in (DAY, MONTH):
            totals.update({(length, first): cost for first, cost in charge.windows(length)})
    return dict(totals)


@given(st.lists(CHARGES, max_size=8))
def test_steps_add_up_to_the_windows_of_all_charges(charges: list[Charge]) -> None:
    running = Running()
    for charge in charges:
        running.add(charge)
    assert running.totals() == by_hand(charges)


@given(st.lists(CHARGES, max_size=6), st.lists(CHARGES, max_size=6))
def test_two_parts_of_a_ledger_add_up(one: list[Charge], other: list[Charge]) -> None:
    parts = [Running(), Running()]
    for running, charges in zip(parts, (one, other), strict=True):
        for charge in charges:
            running.add(charge)
    parts[0].include(parts[1].steps)
    assert parts[0].totals() == by_hand(one + other)
