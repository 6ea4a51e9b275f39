"""Small worlds made by hypothesis: days of 23, 24 and 25 hours, few subscribers and zones, many ties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import pyarrow as pa
from hypothesis import Phase, settings
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend

from node.presence.build import presence
from node.presence.hold import Hold
from node.sources.events import Day
from tests.reference.days import Dominant, Seen, dominant, masks
from tests.support_node import BRUSSELS, LONG_DAY, SHORT_DAY, instant

#: Every run sees the same worlds, so that a failure is there for everybody.
WORLDS = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    # A world is small enough to be read as it was found; shrinking it would take minutes of queries.
    phases=(Phase.explicit, Phase.generate),
)
FEW_WORLDS = settings(WORLDS, max_examples=10)
ORDINARY_DAY = date(2026, 10, 20)
ZONES = 3
#: Two cells of one zone, so that a change of cell is not always one of zone.
ZONE_OF = {1: 0, 2: 1, 3: 2, 4: 2}
HOURS = {ORDINARY_DAY: 24, SHORT_DAY: 23, LONG_DAY: 25}
SUBSCRIBERS = (1, 2, 2**31 + 1, 2**63 - 1)
keys = st.integers(0, 2**31 - 1)
minutes = st.sampled_from((1, 15, 30, 59, 60, 61, 90, 120, 1440)) | st.integers(1, 1440)
holds = st.builds(Hold, minutes, st.just(0) | minutes)


@dataclass(frozen=True)
class World:
    """Events of one day, how long they hold, and the key of the tie-breaking hash."""

    day: date
    events: frozenset[Seen]
    hold: Hold
    key: int

    @property
    def limits(self) -> tuple[int, int]:
        """First and last instant of the day, worked out without the node."""
        return instant(self.day, 0), instant(self.day + timedelta(days=1), 0)

    @property
    def dominant(self) -> Dominant:
        """Dominant zones by the reference."""
        return dominant(self.events, self.limits, self.hold, self.key)

    def without(self, subscriber: int) -> World:
        """Return the world in which somebody was not seen that day."""
        kept = frozenset(event for event in self.events if event.subscriber != subscriber)
        return World(self.day, kept, self.hold, self.key)


def events_on(day: date, most: int = 14) -> st.SearchStrategy[frozenset[Seen]]:
    """Return events of a day; half of them at full quarters of an hour, so that dwells are often equal."""
    length = HOURS[day] * 3600
    quarters = st.integers(0, length // 900 - 1).map(lambda quarter: quarter * 900 * 10**6)
    anywhen = st.integers(0, length * 10**6 - 1)
    edges = st.sampled_from((0, 1, 3600 * 10**6 - 1, length * 10**6 - 1))
    return st.frozensets(
        st.builds(
            lambda subscriber, since, cell: Seen(subscriber, instant(day, 0) + since, cell, ZONE_OF[cell]),
            st.sampled_from(SUBSCRIBERS),
            quarters | quarters | anywhen | edges,
            st.sampled_from(sorted(ZONE_OF)),
        ),
        min_size=1,
        max_size=most,
    )


def dominants(hours: int) -> st.SearchStrategy[Dominant]:
    """Return what a day of so many hours may have made of four subscribers, nothing included."""
    return st.dictionaries(
        st.tuples(st.sampled_from(SUBSCRIBERS), st.integers(0, hours - 1)), st.integers(0, ZONES - 1)
    )


worlds = st.sampled_from(sorted(HOURS)).flatmap(
    lambda day: st.builds(World, st.just(day), events_on(day), holds, keys)
)


def built(db: Backend, world: World) -> pa.Table:
    """Return the presence that the node builds of a world; the last events come first in the file."""
    rows = sorted(world.events, reverse=True)
    events = loaded(db, "events", {name: [getattr(row, name) for row in rows] for name in Seen._fields})
    return presence(events, Day.of(world.day, BRUSSELS), world.hold, world.key).to_pyarrow()


def stored(db: Backend, found: Dominant, name: str = "presence") -> ibis.Table:
    """Return dominant zones as the engine's table of presence, everybody an own subscriber."""
    rows = sorted(masks(found).items())
    columns = {
        "subscriber": [subscriber for (subscriber, _zone), _mask in rows],
        "origin": [0] * len(rows),
        "zone": [zone for (_subscriber, zone), _mask in rows],
        "hours_mask": [mask for _row, mask in rows],
    }
    return loaded(db, name, columns)


def loaded(db: Backend, name: str, columns: Mapping[str, Sequence[int]]) -> ibis.Table:
    """Return columns of int64 as a table of the engine."""
    arrays = {column: pa.array(values, pa.int64()) for column, values in columns.items()}
    return db.create_table(name, pa.table(arrays), temp=True, overwrite=True)
