"""A node with two days of 40 subscribers who move about, the second day of 25 hours."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np

from node.config import Home
from node.enrolment import load
from node.jobs import Answer, BuildJob, ReleaseJob
from node.presence.hold import Hold
from node.worker import build
from privacy.terms import Terms
from tests.reference.days import Dominant, Seen, dominant, key_of
from tests.support_node import LONG_DAY, Event, Network, enrolled, instant, write_events
from tests.unit.node.worlds import ZONE_OF

DAYS = (LONG_DAY - timedelta(days=1), LONG_DAY)
LENGTH = {DAYS[0]: 24, DAYS[1]: 25}
#: What the charter says.
HOLD = Hold(120)


def visits(day: date) -> list[Event]:
    """Return 600 events of a day, 15 of each subscriber."""
    rng = np.random.default_rng(day.toordinal())
    length = LENGTH[day] * 3600 * 1000
    return [
        (int(1000 + number % 40), instant(day, 0) + int(rng.integers(length)) * 1000, int(rng.integers(1, 5)))
        for number in range(600)
    ]


def laid_out(network: Network, root: Path) -> Home:
    """Return an enrolled node with these days of events."""
    home = enrolled(network, root)
    for day in DAYS:
        write_events(home, day, visits(day))
    return home


def ingest(home: Home, *days: date) -> list[str | None]:
    """Build days in this process and return the progress that was reported."""
    said: list[Answer] = []
    build(BuildJob(home=home.root, charter=load(home).charter_digest, days=days or DAYS), said.append)
    return [answer.progress for answer in said]


def releasing(home: Home, terms: Terms) -> ReleaseJob:
    """Return the job that releases on these terms."""
    return ReleaseJob(home=home.root, charter=load(home).charter_digest, terms=terms)


def expected(home: Home, day: date) -> Dominant:
    """Return dominant zones of a day by the reference, with the node's own secret."""
    key = key_of(home.secret.read_bytes(), f"presence|{day}")
    seen = {Seen(who, when, cell, ZONE_OF[cell]) for who, when, cell in visits(day) if who and when and cell}
    return dominant(seen, (instant(day, 0), instant(day, LENGTH[day] * 3600)), HOLD, key)
