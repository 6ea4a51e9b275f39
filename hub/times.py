"""Times that come from the database."""

from __future__ import annotations

from datetime import UTC, datetime


def in_utc(at: datetime) -> datetime:
    """Return a time as UTC: SQLite forgets the zone, which is UTC; PostgreSQL tells it in that of the session."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
