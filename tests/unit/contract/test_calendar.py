"""Local days by hand: short and long ones, half hours, zones far away, and what an hour is called."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.contract.calendar import (
    HOUR_US,
    clock_hours,
    days_between,
    hour_label,
    hours_of,
    midnight_us,
    period_label,
)

BRUSSELS = "Europe/Brussels"
SHORT, LONG, PLAIN = date(2026, 3, 29), date(2026, 10, 25), date(2026, 10, 20)
CALENDARS = settings(max_examples=200, deadline=None, derandomize=True, database=None)
zones = st.sampled_from(
    (
        BRUSSELS,
        "UTC",
        "America/New_York",
        "America/Havana",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "Africa/Casablanca",
    )
)
days = st.dates(date(2015, 1, 1), date(2035, 12, 31))


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (PLAIN, BRUSSELS, 24),
        (SHORT, BRUSSELS, 23),
        (LONG, BRUSSELS, 25),
        (date(2026, 3, 8), "America/New_York", 23),
        (date(2026, 11, 1), "America/New_York", 25),
        (date(2026, 11, 1), "America/Havana", 25),  # midnight comes twice
        (date(2018, 11, 4), "America/Sao_Paulo", 23),  # there is no midnight
        (date(2026, 4, 5), "Australia/Lord_Howe", 25),  # 24 hours and a half
        (date(2026, 10, 4), "Australia/Lord_Howe", 24),  # 23 hours and a half
        (SHORT, "UTC", 24),
    ],
)
def test_a_day_has_the_hours_that_pass_in_it_a_broken_one_as_whole(day: date, zone: str, hours: int) -> None:
    assert hours_of(day, zone) == hours
    assert len(clock_hours(day, zone)) == hours


def test_a_day_begins_at_its_first_instant() -> None:
    assert midnight_us(PLAIN, BRUSSELS) == int(datetime(2026, 10, 19, 22, tzinfo=UTC).timestamp()) * 10**6
    assert midnight_us(date(1970, 1, 1), "UTC") == 0
    assert midnight_us(date(1970, 1, 1), BRUSSELS) == -HOUR_US
    # Where the clock jumps from midnight to one, the day begins at one.
    assert midnight_us(date(2018, 11, 4), "America/Sao_Paulo") == 1541300400 * 10**6


@CALENDARS
@given(day=days, zone=zones)
def test_an_instant_belongs_to_the_day_between_its_midnights(day: date, zone: str) -> None:
    start, end = midnight_us(day, zone), midnight_us(day + timedelta(days=1), zone)
    for instant_us, local in ((start, day), (end - 10**6, day), (end, day + timedelta(days=1))):
        moment = datetime.fromtimestamp(instant_us // 10**6, UTC).astimezone(ZoneInfo(zone))
        assert moment.date() == local
    assert hours_of(day, zone) * HOUR_US >= end - start > (hours_of(day, zone) - 1) * HOUR_US


def test_the_clock_skips_an_hour_in_march_and_shows_one_twice_in_october() -> None:
    assert clock_hours(PLAIN, BRUSSELS) == list(range(24))
    assert clock_hours(SHORT, BRUSSELS) == [0, 1, *range(3, 24)]
    assert clock_hours(LONG, BRUSSELS) == [0, 1, 2, 2, *range(3, 24)]


@pytest.mark.parametrize(
    ("day", "hour", "label"),
    [
        (PLAIN, 0, "2026-10-20T00:00:00+02:00"),
        (PLAIN, 23, "2026-10-20T23:00:00+02:00"),
        (SHORT, 1, "2026-03-29T01:00:00+01:00"),
        (SHORT, 2, "2026-03-29T03:00:00+02:00"),
        (SHORT, 22, "2026-03-29T23:00:00+02:00"),
        (LONG, 2, "2026-10-25T02:00:00+02:00"),
        (LONG, 3, "2026-10-25T02:00:00+01:00"),
        (LONG, 24, "2026-10-25T23:00:00+01:00"),
    ],
)
def test_an_hour_is_called_by_its_start_with_the_offset(day: date, hour: int, label: str) -> None:
    assert hour_label(day, hour, BRUSSELS) == label


@CALENDARS
@given(day=days, zone=zones)
def test_the_labels_of_a_day_differ_and_are_an_hour_apart(day: date, zone: str) -> None:
    labels = [hour_label(day, hour, zone) for hour in range(hours_of(day, zone))]
    assert len(set(labels)) == len(labels)
    moments = [datetime.fromisoformat(label) for label in labels]
    assert moments[0].timestamp() * 10**6 == midnight_us(day, zone)
    assert {later - earlier for earlier, later in pairwise(moments)} == {timedelta(hours=1)}
    assert [moment.hour for moment in moments] == clock_hours(day, zone)


def test_a_period_is_called_by_its_start_and_its_days() -> None:
    assert period_label(date(2026, 10, 19), LONG, BRUSSELS) == "2026-10-19T00:00:00+02:00/P7D"
    assert period_label(LONG, LONG, BRUSSELS) == "2026-10-25T00:00:00+02:00/P1D"


def test_days_between_are_both_ends_and_all_in_between() -> None:
    assert days_between(date(2024, 2, 28), date(2024, 3, 1)) == [
        date(2024, 2, 28),
        date(2024, 2, 29),
        date(2024, 3, 1),
    ]
    assert days_between(PLAIN, PLAIN) == [PLAIN]
    assert days_between(PLAIN, PLAIN - timedelta(days=1)) == []
