"""Small worlds for the statistics, made by hypothesis, and the way from their events to vectors on any engine."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import Phase, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from node.presence.build import presence, visits
from node.presence.hold import Hold
from node.sources.events import Day
from node.statistics.registry import Inputs, exact_vector
from node.tables import PRESENCE, VISITS
from privacy.statistics import STATISTICS, declare
from privacy.terms import LevelTerms, Terms
from quorate.contract.columns import is_national
from quorate.contract.keyset import keyset_of
from quorate.contract.zoning import NATION, Zone, Zoning
from tests.effort import tried
from tests.reference import days as by_hand
from tests.reference.days import Seen
from tests.reference.statistics import STATISTICS as DEFINITIONS
from tests.reference.statistics import Case
from tests.support_engines import Load
from tests.support_node import BRUSSELS, instant

#: Districts and provinces are not in the order of the zones; D has no parents, and nobody is ever seen in E.
ZONING = Zoning(
    name="Small",
    version="1",
    levels=("zone", "district", "province"),
    zones=(
        Zone(code="A", parents={"district": "D2", "province": "P1"}),
        Zone(code="B", parents={"district": "D1", "province": "P1"}),
        Zone(code="C", parents={"district": "D2"}),
        Zone(code="D", parents={}),
        Zone(code="E", parents={"district": "D3", "province": "P2"}),
    ),
)
LEVELS = ZONING.levels
ZONES = len(ZONING.zones)
#: Zone of each cell; two cells of zone C, so that a change of cell is not always one of zone.
ZONE_OF = {1: 0, 2: 1, 3: 2, 4: 2, 5: 3}
#: Origins of each subscriber; identifiers use all 63 bits, and the last one contradicts itself.
ORIGINS_OF = {
    1: (0,),
    2: (0,),
    3: (0,),
    2**31 + 1: (0,),
    2**63 - 1: (0,),
    50: (262,),
    51: (208,),
    2**40: (0, 208, 299),
}
#: First days of periods with a day of 23 hours, one of 25, a leap day, and nothing of the sort.
STARTS = (date(2026, 3, 28), date(2026, 3, 29), date(2026, 10, 25), date(2028, 2, 28), date(2026, 10, 20))
PERIOD = frozenset(name for name, found in STATISTICS.items() if found.reads == "period")


def examples(most: int) -> settings:
    """Return settings under which every run sees the same worlds, so that a failure is there for everybody."""
    return settings(
        max_examples=tried(most),
        deadline=None,
        derandomize=True,
        database=None,
        # A world is small enough to be read as it was found; shrinking it would take minutes of queries.
        phases=(Phase.explicit, Phase.generate),
    )


@dataclass(frozen=True)
class World:
    """Events of consecutive days, and everything else that vectors are made of."""

    dates: tuple[date, ...]
    events: tuple[frozenset[Seen], ...]
    hold: Hold
    key: int
    sampling_key: int
    positions: tuple[tuple[int, int], ...]
    weights: tuple[int, ...]
    #: Person by subscriber on each day, also of some who are not seen that day.
    persons: tuple[Mapping[int, int], ...] = ()
    #: Who had a row rejected on each day, also of some who are not seen that day.
    rejected: tuple[frozenset[int], ...] = ()

    def limits(self, day: date) -> tuple[int, int]:
        """Return first and last instant of a day, worked out without the node."""
        return instant(day, 0), instant(day + timedelta(days=1), 0)

    def first(self, days: int) -> World:
        """Return the first days of the world."""
        return replace(
            self,
            dates=self.dates[:days],
            events=self.events[:days],
            persons=self.persons[:days],
            rejected=self.rejected[:days],
        )

    def without(self, subscriber: int, number: int | None = None) -> World:
        """Return the world in which somebody was not seen, on one of the days or at all."""
        kept = (
            frozenset(event for event in found if event.subscriber != subscriber)
            if number in {None, place}
            else found
            for place, found in enumerate(self.events)
        )
        return replace(self, events=tuple(kept))


# --- made by hypothesis -----------------------------------------------------------------------------------


def events_on(day: date, most: int = 16) -> st.SearchStrategy[frozenset[Seen]]:
    """Return events of a day, none included; many at full half hours, so that dwells are often equal."""
    length = (instant(day + timedelta(days=1), 0) - instant(day, 0)) // 10**6
    halves = st.integers(0, length // 1800 - 1).map(lambda half: half * 1800 * 10**6)
    nights = st.integers(0, 7).map(lambda hour: hour * 3600 * 10**6)
    anywhen = st.integers(0, length * 10**6 - 1)
    edges = st.sampled_from((0, 1, 3600 * 10**6 - 1, length * 10**6 - 1))
    subscribers = st.sampled_from(sorted(ORIGINS_OF)).flatmap(
        lambda who: st.tuples(st.just(who), st.sampled_from(ORIGINS_OF[who]))
    )
    return st.lists(
        st.builds(
            lambda who, since, cell: Seen(who[0], instant(day, 0) + since, cell, ZONE_OF[cell], who[1]),
            subscribers,
            halves | nights | nights | anywhen | edges,
            st.sampled_from(sorted(ZONE_OF)),
        ),
        max_size=most,
        unique_by=lambda event: event[:3],
    ).map(frozenset)


#: Two subscribers may be one person, and a subscriber another one on another day.
_persons = st.dictionaries(st.sampled_from(sorted(ORIGINS_OF)), st.sampled_from((0, 7, 2**40, 2**63 - 1)))

_minutes = st.sampled_from((1, 30, 60, 61, 120, 300, 1440))
_rejected = st.frozensets(st.sampled_from((*sorted(ORIGINS_OF), 0, 77)))


@st.composite
def worlds(draw: st.DrawFn, most: int = 16) -> World:
    first = draw(st.sampled_from(STARTS))
    dates = tuple(first + timedelta(days=number) for number in range(draw(st.integers(1, 3))))
    coordinate = st.integers(-(10**7), 10**7) | st.integers(-3, 3).map(lambda step: step * 1000)
    return World(
        dates,
        tuple(draw(events_on(day, most)) for day in dates),
        Hold(draw(_minutes), draw(st.just(0) | _minutes)),
        draw(st.integers(0, 2**31 - 1)),
        draw(st.integers(0, 2**31 - 1)),
        tuple((draw(coordinate), draw(coordinate)) for _ in range(ZONES)),
        tuple(draw(st.integers(0, 2**20)) for _ in range(ZONES + 1)),
        tuple(draw(_persons) for _ in dates),
        tuple(draw(_rejected) for _ in dates),
    )


_clock = st.lists(st.integers(0, 23), min_size=1, max_size=8, unique=True)
_nights = st.just([0, 1, 2, 3, 4, 5]) | _clock
_few = st.integers(1, 3)
_stay = st.sampled_from((0, 0, 1, 30, 60, 90, 120))
_limit = st.integers(1, 4)


def _edges(largest: int) -> st.SearchStrategy[list[int]]:
    inner = st.lists(st.integers(1, largest), max_size=5, unique=True)
    return inner.map(lambda found: [0, *sorted(found)])


#: Parameters of every statistic.
PARAMETERS: Mapping[str, st.SearchStrategy[dict[str, Any]]] = {
    "presence-by-hour": st.just({}),
    "presence-by-day": st.fixed_dictionaries({"min_hours": st.integers(0, 3), "limit": _limit}),
    "anchors-by-day": st.fixed_dictionaries({"night_hours": _nights}),
    "weighted-presence": st.fixed_dictionaries(
        {"night_hours": _nights, "weight_maximum": st.just(2**20)},
        optional={"silent_level": st.sampled_from((None, "province", "district", "zone"))},
    ),
    "residents": st.fixed_dictionaries({"night_hours": _nights, "min_nights": _few}),
    "commuting": st.fixed_dictionaries(
        {
            "night_hours": _nights,
            "min_nights": _few,
            "day_hours": _clock,
            "weekdays": st.lists(st.integers(1, 7), min_size=1, max_size=7, unique=True),
            "min_days": _few,
        }
    ),
    "flows": st.fixed_dictionaries({"min_stay_minutes": _stay, "limit": _limit}),
    "visitors": st.fixed_dictionaries(
        {
            "night_hours": _nights,
            "countries": st.sampled_from(
                ({"DE": [262], "FR": [208]}, {"US": [310, 311]}, {"FR": [208, 299]})
            ),
        }
    ),
    "stay-durations": st.fixed_dictionaries({"night_hours": _nights, "edges": _edges(300)}),
    "travelled-distances": st.fixed_dictionaries(
        {"night_hours": _nights, "min_stay_minutes": _stay, "edges": _edges(10**7) | _edges(5000)}
    ),
    "gyration": st.fixed_dictionaries({"night_hours": _nights, "edges": _edges(10**7) | _edges(2000)}),
    "activity": st.fixed_dictionaries({"night_hours": _nights, "edges": _edges(6)}),
    "union-sketch": st.fixed_dictionaries({"bins": st.integers(2, 5), "by_zone": st.just(False)})
    | st.fixed_dictionaries({"bins": st.integers(2, 5), "by_zone": st.just(True), "limit": _limit}),
    "quality-indicators": st.fixed_dictionaries(
        {
            "min_hours": st.integers(0, 3),
            "zones_limit": _limit,
            "min_stay_minutes": _stay,
            "flows_limit": _limit,
        }
    ),
}


#: Of the bins of a sketch.
PERIOD_KEY = bytes(range(100, 132))


# --- vectors ----------------------------------------------------------------------------------------------


def reference(world: World, statistic: str, parameters: Mapping[str, Any]) -> dict[str, list[list[int]]]:
    """Return the table of every level by the plain-Python definitions; of the first day unless it is of a period."""
    dates = world.dates if statistic in PERIOD else world.dates[:1]
    found = list(zip(dates, world.events, strict=False))
    case = Case(
        zones=tuple({"zone": zone.code, **zone.parents} for zone in ZONING.zones),
        dates=dates,
        time_zone=BRUSSELS,
        presence=tuple(
            tuple(by_hand.presence(events, world.limits(day), world.hold, world.key)) for day, events in found
        ),
        visits=tuple(tuple(by_hand.visits(events, world.limits(day), world.hold)) for day, events in found),
        parameters=parameters,
        key=world.key,
        sampling_key=world.sampling_key,
        positions=world.positions,
        weights=world.weights,
        persons=world.persons,
        rejected=world.rejected,
        period_key=PERIOD_KEY,
    )
    return {level: DEFINITIONS[statistic](case, level) for level in levels_of(statistic, parameters, ZONING)}


def levels_of(statistic: str, parameters: Mapping[str, Any], zoning: Zoning) -> tuple[str, ...]:
    """Return every level of a zoning, or the only one of what is counted for the whole country."""
    return (NATION,) if is_national(statistic, parameters) else zoning.levels


def columns_of(rows: Sequence[Any], names: Sequence[str]) -> pa.Table:
    """Return named tuples as int64 columns."""
    return pa.table({name: pa.array([getattr(row, name) for row in rows], pa.int64()) for name in names})


def built(load: Load, world: World, number: int = 0) -> tuple[pa.Table, pa.Table]:
    """Return presence and visits of one of the days as an engine builds them; the last events come first."""
    day = Day.of(world.dates[number], BRUSSELS)
    events = load("events", columns_of(sorted(world.events[number], reverse=True), Seen._fields))
    return (
        presence(events, day, world.hold, world.key).to_pyarrow(),
        visits(events, day, world.hold).to_pyarrow(),
    )


def written(world: World, number: int = 0) -> tuple[pa.Table, pa.Table]:
    """Return presence and visits of one of the days by the plain-Python definitions."""
    events, limits = world.events[number], world.limits(world.dates[number])
    return (
        columns_of(by_hand.presence(events, limits, world.hold, world.key), PRESENCE),
        columns_of(by_hand.visits(events, limits, world.hold), VISITS),
    )


def inputs(load: Load, world: World, tables: Sequence[tuple[pa.Table, pa.Table]] | None = None) -> Inputs:
    """Return what statistics read: presence and visits of every day, of plain Python unless others are given."""
    tables = tables or [written(world, number) for number in range(len(world.dates))]
    east, north = zip(*world.positions, strict=True)
    return Inputs(
        presence=[load(f"presence_{number}", found) for number, (found, _) in enumerate(tables)],
        visits=[load(f"visits_{number}", found) for number, (_, found) in enumerate(tables)],
        zoning=ZONING,
        time_zone=BRUSSELS,
        key=world.key,
        sampling_key=world.sampling_key,
        positions=pa.table(
            {
                "zone": pa.array(range(ZONES), pa.int64()),
                "x_m": pa.array(east, pa.int64()),
                "y_m": pa.array(north, pa.int64()),
            }
        ),
        weights=np.array(world.weights, dtype=np.int64),
        persons=[load(f"persons_{number}", of_persons(found)) for number, found in enumerate(world.persons)],
        rejected=[
            load(f"rejected_{number}", of_rejected(found)) for number, found in enumerate(world.rejected)
        ],
        period_key=PERIOD_KEY,
    )


def of_persons(found: Mapping[int, int]) -> pa.Table:
    """Return subscribers and their persons as int64 columns."""
    return pa.table(
        {"subscriber": pa.array(found.keys(), pa.int64()), "person": pa.array(found.values(), pa.int64())}
    )


def of_rejected(found: Collection[int]) -> pa.Table:
    """Return subscribers with a rejected row as an int64 column."""
    return pa.table({"subscriber": pa.array(sorted(found), pa.int64())})


def terms_for(
    statistic: str, parameters: Mapping[str, Any], dates: Sequence[date], zoning: Zoning = ZONING
) -> Terms:
    """Return terms at every level, for the days that the statistic reads."""
    last = dates[-1] if statistic in PERIOD else dates[0]
    levels = levels_of(statistic, parameters, zoning)
    keyset = keyset_of(statistic, parameters, zoning, levels, first_day=dates[0], time_zone=BRUSSELS)
    return Terms(
        product="product",
        statistic=statistic,
        parameters=dict(parameters),
        zoning=zoning.digest(),
        keyset=keyset.digest(),
        levels=tuple(LevelTerms(name=name, share_permille=1, by_period=1, scale_milli=1) for name in levels),
        first_day=dates[0],
        last_day=last,
        bounds=declare(statistic, parameters, keyset.hours),
        mechanism="discrete-gaussian",
        by_period=len(levels),
        charter_version=1,
    )


def vectors(given: Inputs, terms: Terms) -> dict[str, NDArray[np.int64]]:
    """Return the exact table of every level as the worker gets it."""
    days = (terms.last_day - terms.first_day).days + 1
    read = replace(
        given,
        presence=given.presence[:days],
        visits=given.visits[:days],
        persons=given.persons[:days],
        rejected=given.rejected[:days],
    )
    exact = exact_vector(terms, read)
    keyset = keyset_of(
        terms.statistic,
        terms.parameters,
        given.zoning,
        [level.name for level in terms.levels],
        first_day=terms.first_day,
        time_zone=BRUSSELS,
    )
    assert exact.dtype == np.int64
    assert exact.shape == (keyset.size,)
    return {name: exact[place].reshape(shape) for name, place, shape in keyset.parts()}
