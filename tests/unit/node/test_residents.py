"""Residents against their reference, and how far one subscriber and one day can move them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend
from numpy.typing import NDArray

from node.statistics.anchors import anchored, modal
from node.statistics.counting import counted
from privacy.statistics import RESIDENTS, declare
from tests.reference.days import Dominant, home_counts
from tests.unit.node.worlds import FEW_WORLDS, SUBSCRIBERS, WORLDS, ZONES, dominants, keys, stored


@dataclass(frozen=True)
class Period:
    """What residents are made of: dominant zones and night hours of each date, and the rules."""

    days: tuple[Dominant, ...]
    nights: tuple[tuple[int, ...], ...]
    min_nights: int
    key: int

    def without(self, subscriber: int, date: int | None = None) -> Period:
        """Return the period in which somebody was not seen, on one date or at all."""
        days = (
            day
            if date not in {None, at}
            else {(who, hour): zone for (who, hour), zone in day.items() if who != subscriber}
            for at, day in enumerate(self.days)
        )
        return replace(self, days=tuple(days))


def counts(db: Backend, period: Period) -> NDArray[np.int64]:
    dates = [
        anchored(stored(db, day, f"presence_{date}"), night, period.key, ZONES)
        for date, (day, night) in enumerate(zip(period.days, period.nights, strict=True))
    ]
    return counted(modal(dates, period.min_nights, period.key, ZONES), ["zone"], (ZONES + 1,))


def moved(db: Backend, left: Period, right: Period) -> int:
    return int(((counts(db, left) - counts(db, right)) ** 2).sum())


@st.composite
def periods(draw: st.DrawFn) -> Period:
    lengths = draw(st.lists(st.sampled_from((23, 24, 25)), min_size=1, max_size=3))
    nights = st.lists(st.integers(0, 22), min_size=1, max_size=8, unique=True).map(tuple)
    return Period(
        tuple(draw(dominants(hours)) for hours in lengths),
        tuple(draw(nights) for _ in lengths),
        draw(st.integers(1, 3)),
        draw(keys),
    )


@WORLDS
@given(period=periods())
def test_they_are_the_homes_that_the_reference_finds(db: Backend, period: Period) -> None:
    vector = counts(db, period)
    assert vector.dtype == np.int64
    assert vector.shape == (ZONES + 1,)
    assert vector.tolist() == home_counts(period.days, period.nights, period.min_nights, ZONES, period.key)
    assert vector.sum() == len({subscriber for day in period.days for subscriber, _hour in day})


@FEW_WORLDS
@given(period=periods(), subscriber=st.sampled_from(SUBSCRIBERS))
def test_all_data_of_one_subscriber_move_them_by_what_is_declared(
    db: Backend, period: Period, subscriber: int
) -> None:
    rest = period.without(subscriber)
    assume(rest != period)
    assert moved(db, period, rest) == 1 == declare(RESIDENTS, {}, 1).period_squared


@FEW_WORLDS
@given(period=periods(), subscriber=st.sampled_from(SUBSCRIBERS), date=st.integers(0, 2))
def test_one_day_of_a_subscriber_moves_them_by_at_most_what_is_declared(
    db: Backend, period: Period, subscriber: int, date: int
) -> None:
    changed = period.without(subscriber, date)
    assume(changed != period)
    assert moved(db, period, changed) <= 2 == declare(RESIDENTS, {}, 1).day_squared


def nights_in(*zones: int, min_nights: int) -> Period:
    """Return the period in which subscriber 4 spends the first two hours of each date in a zone."""
    days = tuple({(4, 0): zone, (4, 1): zone} for zone in zones)
    return Period(days, ((0, 1),) * len(zones), min_nights, key=3)


@pytest.mark.parametrize(
    ("zones", "min_nights", "expected"),
    [
        ((0, 0, 1), 1, [1, 0, 0, 0]),
        ((0, 0, 1), 2, [1, 0, 0, 0]),
        ((0, 0, 1), 3, [0, 0, 0, 1]),
        ((2, 1, 1), 2, [0, 1, 0, 0]),
        ((0, 1, 2), 2, [0, 0, 0, 1]),
    ],
)
def test_a_home_needs_enough_nights_or_its_subscriber_is_unanchored(
    db: Backend, zones: tuple[int, ...], min_nights: int, expected: list[int]
) -> None:
    assert counts(db, nights_in(*zones, min_nights=min_nights)).tolist() == expected


def test_one_day_can_indeed_move_a_home_from_one_zone_to_another(db: Backend) -> None:
    period = nights_in(0, 1, 1, 0, 1, min_nights=1)
    without_two_nights = period.without(4, 1).without(4, 2)
    assert moved(db, period, without_two_nights) == 2
    assert counts(db, period).tolist() == [0, 1, 0, 0]


def test_the_night_zone_has_most_night_hours_whatever_the_day_was(db: Backend) -> None:
    day = {(4, hour): 2 for hour in range(24)} | {(4, 0): 1, (4, 1): 1, (4, 2): 0}
    assert counts(db, Period((day,), ((0, 1, 2),), 1, 7)).tolist() == [0, 1, 0, 0]


def test_a_zone_of_many_nights_beats_one_of_many_hours(db: Backend) -> None:
    long_night = {(4, hour): 0 for hour in range(6)}
    days: tuple[Dominant, ...] = (long_night, {(4, 0): 1}, {(4, 5): 1})
    assert counts(db, Period(days, (tuple(range(6)),) * 3, 1, 7)).tolist() == [0, 1, 0, 0]


def test_who_is_never_seen_at_night_is_unanchored(db: Backend) -> None:
    period = Period(({(4, 12): 0}, {(5, 13): 1}), ((0, 1), (0, 1)), 1, 7)
    assert counts(db, period).tolist() == [0, 0, 0, 2]


def test_dates_on_which_somebody_is_seen_by_day_only_do_not_count_against_the_home(db: Backend) -> None:
    days: tuple[Dominant, ...] = ({(4, 0): 0}, {(4, 12): 1}, {(4, 12): 1})
    for key in range(8):
        assert counts(db, Period(days, ((0, 1),) * 3, 1, key)).tolist() == [1, 0, 0, 0]


def test_dates_without_a_night_hour_find_nobody_at_home(db: Backend) -> None:
    period = Period(({(4, 0): 0}, {(4, 1): 1}), ((), ()), 1, 7)
    assert counts(db, period).tolist() == [0, 0, 0, 1]


def test_a_period_without_anybody_is_all_zeros(db: Backend) -> None:
    assert counts(db, Period(({}, {}), ((0,), (0,)), 1, 7)).tolist() == [0] * (ZONES + 1)
