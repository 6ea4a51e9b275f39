"""Local days of 23, 24 or 25 elapsed hours, their bounds in epoch milliseconds, and the time_period strings.

An instant inside a day is the number of milliseconds elapsed since its local midnight. Clock times are turned
into elapsed times here and nowhere else. Time zones come from `zoneinfo`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from privacy.errors import UsageProblem

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_LENGTHS = frozenset({23, 24, 25})


@dataclass(frozen=True)
class LocalDay:
    """One local day.

    Attributes
    ----------
    date
        Its date.
    timezone
        Its time zone, a key of the IANA database.
    start_ms
        Its local midnight, epoch milliseconds UTC.
    clock_hours
        The local clock hour of each elapsed hour: 0, 1, 2, 2, 3 … on the long day of Brussels.
    """

    date: date
    timezone: str
    start_ms: int
    clock_hours: tuple[int, ...]

    @property
    def hours(self) -> int:
        """Elapsed hours of the day: 23, 24 or 25."""
        return len(self.clock_hours)

    @property
    def length_ms(self) -> int:
        """Elapsed milliseconds of the day."""
        return self.hours * HOUR_MS

    @property
    def is_weekend(self) -> bool:
        """Whether the day is a Saturday or a Sunday."""
        return self.date.weekday() >= 5

    def elapsed_ms(self, clock_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """Turn local clock times into elapsed times, both int64 milliseconds since midnight.

        A clock time that happens twice is the first of the two; one that is skipped comes as much later as
        the clock was put forward.
        """
        hour, rest = np.divmod(clock_ms, HOUR_MS)
        return np.searchsorted(np.array(self.clock_hours), hour).astype(np.int64) * HOUR_MS + rest

    def hour_periods(self) -> list[str]:
        """Return the time_period of every elapsed hour: its start as ISO 8601 with offset."""
        zone = load_timezone(self.timezone)
        return [_iso(self.start_ms + hour * HOUR_MS, zone) for hour in range(self.hours)]


def load_timezone(name: str) -> ZoneInfo:
    """Return the time zone of an IANA key.

    Raises
    ------
    UsageProblem
        There is no such time zone on this machine.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageProblem(
            f"{name!r} is not a time zone known to this machine",
            means="Local days cannot be told.",
            todo="Give a key of the IANA time zone database, such as Europe/Brussels, or install tzdata.",
        ) from None


def midnight_ms(day: date, timezone: str) -> int:
    """Return the first instant of a local day in epoch milliseconds UTC."""
    local = datetime(day.year, day.month, day.day, tzinfo=load_timezone(timezone))
    return (local - EPOCH) // timedelta(milliseconds=1)


def local_day(day: date, timezone: str) -> LocalDay:
    """Describe one local day.

    Raises
    ------
    UsageProblem
        The day is not made of 23, 24 or 25 whole clock hours.
    """
    zone = load_timezone(timezone)
    start, end = midnight_ms(day, timezone), midnight_ms(day + timedelta(days=1), timezone)
    clock = [_local(instant, zone) for instant in range(start, end, HOUR_MS)]
    whole = all(moment.minute == moment.second == 0 and moment.date() == day for moment in clock)
    hours = tuple(moment.hour for moment in clock)
    if (end - start) % HOUR_MS or len(hours) not in DAY_LENGTHS or not whole or hours != tuple(sorted(hours)):
        raise UsageProblem(
            f"{day} in {timezone} is not made of 23, 24 or 25 whole hours",
            means="Statistics by elapsed hour are not defined for this day.",
            todo="Choose other days or another time zone.",
        )
    return LocalDay(day, timezone, start, hours)


def range_period(start: date, days: int, timezone: str) -> str:
    """Return the time_period of a run of local days, an SDMX range such as 2026-10-19T00:00:00+02:00/P7D."""
    return f"{_iso(midnight_ms(start, timezone), load_timezone(timezone))}/P{days}D"


def _local(instant_ms: int, zone: ZoneInfo) -> datetime:
    return (EPOCH + timedelta(milliseconds=instant_ms)).astimezone(zone)


def _iso(instant_ms: int, zone: ZoneInfo) -> str:
    return _local(instant_ms, zone).isoformat(timespec="seconds")
