"""Local days and their elapsed hours: 23, 24 or 25 of them, from the time-zone database alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

HOUR_US = 3_600_000_000


def midnight_us(day: date, zone: str) -> int:
    """Return the first instant of a local day in microseconds since the epoch, UTC."""
    start = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return int(start.timestamp()) * 1_000_000


def hours_of(day: date, zone: str) -> int:
    """Return the number of elapsed hours of a local day, a broken one counted as whole."""
    length = midnight_us(day + timedelta(days=1), zone) - midnight_us(day, zone)
    return -(-length // HOUR_US)


def days_between(first: date, last: date) -> list[date]:
    """Return the days from `first` to `last`, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def hour_label(day: date, hour: int, zone: str) -> str:
    """Return the start of an elapsed hour as ISO 8601 with offset, for example 2026-10-25T02:00:00+01:00."""
    instant = datetime.fromtimestamp((midnight_us(day, zone) + hour * HOUR_US) // 1_000_000, UTC)
    return instant.astimezone(ZoneInfo(zone)).isoformat()


def clock_hours(day: date, zone: str) -> list[int]:
    """Return what the clock shows at the start of each elapsed hour of a local day."""
    return [datetime.fromisoformat(hour_label(day, hour, zone)).hour for hour in range(hours_of(day, zone))]


def period_label(first: date, last: date, zone: str) -> str:
    """Return a period of local days as start and duration, for example 2026-10-19T00:00:00+02:00/P7D."""
    return f"{hour_label(first, 0, zone)}/P{(last - first).days + 1}D"
