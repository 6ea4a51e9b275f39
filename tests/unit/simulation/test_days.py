"""The simulated country: days of 23 and 25 hours."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from deploy.demo.country import Country
from deploy.demo.simulation import simulate
from deploy.demo.simulation.calendar import local_day, midnight_ms, range_period
from deploy.demo.simulation.movement import draw_movement
from deploy.demo.simulation.world import World
from tests.unit.simulation.files import BRUSSELS, HOUR, MINUTE, WEEK, epoch, events, rows


def test_the_long_day_has_twenty_five_hours(country: Country, world: World, tmp_path: Path) -> None:
    long_day = date(2026, 10, 25)
    settings = WEEK.model_copy(update={"start": long_day, "days": 1})
    result = simulate(country, settings, tmp_path / "long")
    assert result.presence_day == long_day
    labels = [row["time_period"] for row in rows(result.truth / "presence.csv")][:25]
    assert labels[1:5] == [
        "2026-10-25T01:00:00+02:00",
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]
    assert labels[24] == "2026-10-25T23:00:00+01:00"
    assert len(rows(result.truth / "presence.csv")) == 15 * 25
    stamps = np.concatenate(
        [events(result.events(who, long_day))["timestamp_ms"] for who in result.operator_ids]
    )
    hours = Counter(((stamps[stamps > 1e12] - 1_792_879_200_000) // HOUR).astype(int).tolist())
    assert set(range(25)) <= set(hours)
    assert [hour for hour, count in hours.items() if count > 100 and not 0 <= hour < 25] == []
    # Seven night hours of 0.6 and eighteen of 1.2.
    night = sum(hours[hour] for hour in range(7))
    total = sum(hours[hour] for hour in range(25))
    assert night / total == pytest.approx(4.2 / 25.8, abs=5 * (0.16 * 0.84 / total) ** 0.5 * 1.02)
    activity = sum(float(operator.subscriptions.activity.sum()) for operator in world.operators)
    expected = 10 * 25 / 24 * activity
    events_drawn = sum(result.counts.events.values()) - result.counts.dirt["duplicate"]
    assert abs(events_drawn - expected) < 5 * expected**0.5


def test_the_short_day_has_twenty_three_hours(country: Country, tmp_path: Path) -> None:
    settings = WEEK.model_copy(update={"start": date(2026, 3, 28), "days": 2})
    result = simulate(country, settings, tmp_path / "short")
    assert result.presence_day == date(2026, 3, 29)
    found = rows(result.truth / "presence.csv")
    labels = [row["time_period"] for row in found][:23]
    assert labels[1:3] == ["2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"]
    assert labels[22] == "2026-03-29T23:00:00+02:00"
    assert len(found) == 15 * 23
    values = np.array([int(row["value"]) for row in found]).reshape(15, 23)
    assert (values[:12].sum(axis=0) == result.counts.persons).all()
    assert {row["time_period"] for row in rows(result.truth / "residents.csv")} == {
        "2026-03-28T00:00:00+01:00/P2D"
    }
    first, last = epoch("2026-03-29T00:00:00+01:00"), epoch("2026-03-30T00:00:00+02:00")
    assert last - first == 23 * HOUR
    for who in result.operator_ids:
        stamps = events(result.events(who, date(2026, 3, 29)))["timestamp_ms"]
        assert ((stamps >= first) & (stamps < last)).sum() > 0.99 * stamps.size
        assert not ((stamps >= last) | ((stamps < first) & (stamps > first - 24 * HOUR))).any()


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 10, 21), 24), (date(2026, 10, 25), 25), (date(2026, 3, 29), 23)]
)
def test_elapsed_times_show_the_clock_time_they_came_from(day: date, hours: int) -> None:
    described = local_day(day, "Europe/Brussels")
    assert described.hours == hours
    assert described.length_ms == hours * HOUR
    assert described.is_weekend == (day != date(2026, 10, 21))
    clock = np.arange(0, 24 * HOUR, 7 * MINUTE, dtype=np.int64)
    elapsed = described.elapsed_ms(clock)
    assert (np.diff(elapsed[clock >= 3 * HOUR]) > 0).all()
    for shown, instant in zip(clock.tolist(), elapsed.tolist(), strict=True):
        local = datetime.fromtimestamp((described.start_ms + instant) / 1000, UTC).astimezone(BRUSSELS)
        minutes = shown // MINUTE
        if hours == 23 and minutes // 60 == 2:
            minutes += 60  # two o'clock does not exist
        assert (local.date(), local.hour * 60 + local.minute) == (day, minutes)
        assert local.fold == 0, "the first of two"


def test_midnights_and_ranges_follow_the_time_zone() -> None:
    assert midnight_ms(date(2026, 10, 19), "Europe/Brussels") == 1_792_360_800_000
    assert midnight_ms(date(2026, 10, 19), "UTC") == 1_792_368_000_000
    assert range_period(date(2026, 1, 31), 28, "Asia/Kolkata") == "2026-01-31T00:00:00+05:30/P28D"
    kolkata = local_day(date(2026, 1, 31), "Asia/Kolkata")
    assert kolkata.hour_periods()[8] == "2026-01-31T08:00:00+05:30"
    for number in range(1, 366):
        day = date(2025, 12, 31) + timedelta(days=number)
        described = local_day(day, "Europe/Brussels")
        following = midnight_ms(day + timedelta(days=1), "Europe/Brussels")
        assert described.start_ms + described.length_ms == following


def test_an_excursion_ends_after_it_began_though_the_clock_is_changed(world: World) -> None:
    day = local_day(date(2026, 3, 29), "Europe/Brussels")
    movement = draw_movement(world.persons, world.gravity, day, WEEK)
    out = movement.returns > 0
    assert (movement.returns[out] > movement.leaves[out]).all()
    assert movement.leaves[out].min() >= 8 * HOUR, "nine o'clock comes after eight elapsed hours"
    assert movement.returns.max() <= 22 * HOUR


def test_a_return_that_the_clock_puts_before_the_departure_is_a_minute_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.demo.simulation.movement.TRIP_START_HOURS", (2.5, 2.5))
    monkeypatch.setattr("deploy.demo.simulation.movement.TRIP_HOURS", (0.6, 0.7))
    day = local_day(date(2026, 3, 29), "Europe/Brussels")
    movement = draw_movement(world.persons, world.gravity, day, WEEK)
    out = movement.returns > 0
    assert out.any()
    assert set(movement.leaves[out].tolist()) == {150 * MINUTE}, "half past two is shown as half past three"
    assert set(movement.returns[out].tolist()) == {151 * MINUTE}
