"""Time that passes only when a test says so."""

from __future__ import annotations

from datetime import UTC, date, datetime


class Clock:
    """Seconds since the epoch.

    Parameters
    ----------
    start
        When it begins.
    """

    def __init__(self, start: datetime) -> None:
        self._now = start.timestamp()

    def __call__(self) -> float:
        """Return the time now."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    def today(self) -> date:
        """Return the day now."""
        return datetime.fromtimestamp(self._now, UTC).date()
