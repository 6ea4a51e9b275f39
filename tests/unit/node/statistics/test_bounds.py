"""Adversaries: whatever one subscriber does, no vector moves by more than `privacy.statistics` declares.

An adversary may be in 500 zones, send thousands of events in every hour, roam and not roam at once. The vectors of
days with and without it are made from events by the node, and their difference is held against the declaration at
every level: for all its data, and for those of any part of the days.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from node.presence.build import presence, visits
from node.presence.hold import Hold
from node.sources.events import Day
from node.statistics.registry import STATISTICS, Inputs
from privacy.sensitivity import Declaration
from privacy.terms import Terms
from quorate.contract.zoning import Zone, Zoning
from tests.support_engines import Load
from tests.support_node import BRUSSELS, instant
from tests.unit.node.statistics.cases import (
    PARAMETERS,
    PERIOD,
    PERIOD_KEY,
    examples,
    of_persons,
    of_rejected,
    terms_for,
    vectors,
)

ZONES = 500
#: Ten zones to a district, districts in provinces; every seventh zone has no district, every fifth no province.
ZONING = Zoning(
    name="Wide",
    version="1",
    levels=("zone", "district", "province"),
    zones=tuple(
        Zone(
            code=f"Z{zone:03d}",
            parents=({"district": f"D{zone // 10:02d}"} if zone % 7 else {})
            | ({"province": f"P{zone // 100}"} if zone % 5 else {}),
        )
        for zone in range(ZONES)
    ),
)
ADVERSARY = 2**62 + 5
STARTS = (date(2026, 3, 28), date(2026, 10, 24), date(2028, 2, 28), date(2026, 10, 20))
COLUMNS = ("subscriber", "t_us", "cell", "zone", "origin")
Events = dict[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Adversary:
    """How somebody behaves: where, how often, in which hours, and as whose subscriber."""

    style: str
    per_hour: int
    hours: tuple[int, ...]
    origins: tuple[int, ...]
    seed: int

    def events(self, day: date) -> Events:
        """Return distinct events of a day."""
        rng = np.random.default_rng([self.seed, day.toordinal()])
        since = np.concatenate(
            [rng.integers(0, 3600 * 10**6, self.per_hour) + hour * 3600 * 10**6 for hour in self.hours]
        )
        times = np.sort(since) + instant(day, 0)
        times = times[times < instant(day + timedelta(days=1), 0)]
        step = np.arange(times.size)
        zone = {
            "anywhere": rng.integers(0, ZONES, times.size),
            "to and fro": 71 * (step % 2),
            "through all": step % ZONES,
            "one place": np.full(times.size, 13),
            "slowly": step * ZONES // max(times.size, 1),
        }[self.style]
        origin = np.array(self.origins)[rng.integers(0, len(self.origins), times.size)]
        return _distinct(np.full(times.size, ADVERSARY), times, zone, origin)


def _distinct(*columns: NDArray[np.int64]) -> Events:
    subscriber, times, zone, origin = (column.astype(np.int64) for column in columns)
    _, first = np.unique(np.stack([subscriber, times, zone]), axis=1, return_index=True)
    rows = (subscriber[first], times[first], zone[first] + 1, zone[first], origin[first])
    return dict(zip(COLUMNS, rows, strict=True))


def others(day: date, seed: int) -> Events:
    """Return events of sixty ordinary subscribers, a sixth of them roamers."""
    rng = np.random.default_rng([seed, 1, day.toordinal()])
    who = rng.integers(1, 61, 600)
    times = instant(day, 0) + rng.integers(0, 23 * 3600 * 10**6, 600)
    return _distinct(who, times, (who * 37 + rng.integers(0, 4, 600)) % ZONES, np.where(who % 6, 0, 262))


def persons(day: date, seed: int) -> dict[int, int]:
    """Return who is which person on a day: two subscribers are one, and the adversary the same person as another.

    By the seed the adversary is always that person, another one on some days, or nobody on some days.
    """
    found = {who: 1000 + who // 2 for who in range(1, 61) if (who + seed) % 7}
    changed, odd = seed % 3, day.toordinal() % 2
    if changed < 2 or odd:
        found[ADVERSARY] = 1003 + (10 * odd if changed == 1 else 0)
    return found


adversaries = st.builds(
    Adversary,
    st.sampled_from(("anywhere", "to and fro", "through all", "one place", "slowly")),
    st.sampled_from((1, 2, 60, 4000)),
    st.just(tuple(range(25))) | st.lists(st.integers(0, 24), min_size=1, unique=True).map(tuple),
    st.sampled_from(((0,), (0,), (0,), (262,), (0, 262), (208, 262))),
    st.integers(0, 2**32 - 1),
)


@dataclass(frozen=True)
class Days:
    """Tables of some days, each with the adversary and without."""

    given: Inputs
    presence: Sequence[tuple[Any, Any]]
    visits: Sequence[tuple[Any, Any]]
    persons: Sequence[tuple[Any, Any]]
    rejected: Sequence[tuple[Any, Any]]

    def inputs(self, absent: Iterable[int] = ()) -> Inputs:
        """Return what statistics read when the adversary is not seen on some of the days."""
        gone = set(absent)
        return replace(
            self.given,
            presence=[pair[number in gone] for number, pair in enumerate(self.presence)],
            visits=[pair[number in gone] for number, pair in enumerate(self.visits)],
            persons=[pair[number in gone] for number, pair in enumerate(self.persons)],
            rejected=[pair[number in gone] for number, pair in enumerate(self.rejected)],
        )


def days_of(
    load: Load, dates: Sequence[date], adversary: Adversary, *, hold: Hold, seed: int, weight: int
) -> Days:
    tables: list[list[tuple[Any, Any]]] = [[], [], [], []]
    for number, local in enumerate(dates):
        rest, own, day = others(local, seed), adversary.events(local), Day.of(local, BRUSSELS)
        both = {name: np.concatenate([rest[name], own[name]]) for name in COLUMNS}
        made = []
        for name, columns in (("with", both), ("without", rest)):
            events = load("events", pa.table(columns))
            rows = (presence(events, day, hold, seed), visits(events, day, hold))
            made.append(
                [
                    load(f"{kind}_{name}_{number}", found.to_pyarrow())
                    for kind, found in zip("pv", rows, strict=True)
                ]
            )
        for kind in (0, 1):
            tables[kind].append((made[0][kind], made[1][kind]))
        known = persons(local, seed)
        gone = {who: person for who, person in known.items() if who != ADVERSARY}
        tables[2].append(
            (load(f"n_with_{number}", of_persons(known)), load(f"n_without_{number}", of_persons(gone)))
        )
        few = [who for who in range(1, 61) if (who + seed) % 11 == 0]
        tables[3].append(
            (
                load(f"r_with_{number}", of_rejected([*few, ADVERSARY])),
                load(f"r_without_{number}", of_rejected(few)),
            )
        )
    rng = np.random.default_rng(seed)
    positions = {"zone": np.arange(ZONES), "x_m": rng.integers(-(10**7), 10**7, ZONES)}
    positions["y_m"] = rng.integers(-(10**7), 10**7, ZONES)
    given = Inputs(
        presence=(),
        zoning=ZONING,
        time_zone=BRUSSELS,
        key=seed,
        sampling_key=seed // 2,
        positions=pa.table(positions),
        weights=np.full(ZONES + 1, weight, np.int64),
        period_key=PERIOD_KEY,
    )
    return Days(given, *tables)


def moved(whole: dict[str, NDArray[np.int64]], less: Inputs, terms: Terms) -> list[NDArray[np.int64]]:
    """Return what differs at each level."""
    rest = vectors(less, terms)
    return [np.abs(whole[level] - rest[level]) for level in whole]


def within(changes: NDArray[np.int64], cells: int, bounds: Declaration) -> bool:
    return bool(
        np.count_nonzero(changes) <= cells
        and changes.max() <= bounds.cell_maximum
        and (changes**2).sum() <= cells * bounds.cell_maximum**2
    )


def held(days: Days, dates: Sequence[date], statistic: str, parameters: dict[str, Any]) -> None:
    terms = terms_for(statistic, parameters, dates, ZONING)
    whole, bounds = vectors(days.inputs(), terms), terms.bounds
    for change in moved(whole, days.inputs(range(len(dates))), terms):
        assert within(change, bounds.cells_by_period, bounds), (statistic, parameters)
    # Of a statistic of one day the day is everything; of a period any part of its days may go.
    for size in range(1, len(dates)) if statistic in PERIOD else ():
        for absent in combinations(range(len(dates)), size):
            for change in moved(whole, days.inputs(absent), terms):
                assert within(change, bounds.cells_by_day, bounds), (statistic, parameters, absent)


@examples(6)
@given(adversary=adversaries, seed=st.integers(0, 2**31 - 1), data=st.data())
def test_no_subscriber_moves_any_vector_by_more_than_is_declared(
    duckdb: Load, adversary: Adversary, seed: int, data: st.DataObject
) -> None:
    first = data.draw(st.sampled_from(STARTS))
    dates = [first + timedelta(days=number) for number in range(data.draw(st.integers(1, 3)))]
    hold = Hold(data.draw(st.sampled_from((1, 60, 120, 1440))), data.draw(st.sampled_from((0, 60, 1440))))
    days = days_of(duckdb, dates, adversary, hold=hold, seed=seed, weight=2**20)
    for statistic in sorted(STATISTICS):
        held(days, dates, statistic, data.draw(PARAMETERS[statistic]))


@pytest.mark.full
@examples(60)
@given(adversary=adversaries, seed=st.integers(0, 2**31 - 1), data=st.data())
def test_no_subscriber_of_many_moves_any_vector_by_more_than_is_declared(
    duckdb: Load, adversary: Adversary, seed: int, data: st.DataObject
) -> None:
    first = data.draw(st.sampled_from(STARTS))
    dates = [first + timedelta(days=number) for number in range(data.draw(st.integers(1, 4)))]
    hold = Hold(data.draw(st.sampled_from((1, 60, 120, 1440))), data.draw(st.sampled_from((0, 60, 1440))))
    days = days_of(duckdb, dates, adversary, hold=hold, seed=seed, weight=data.draw(st.integers(0, 2**20)))
    for statistic in sorted(STATISTICS):
        held(days, dates, statistic, data.draw(PARAMETERS[statistic]))


@pytest.mark.parametrize(
    ("statistic", "parameters", "cells"),
    [
        ("presence-by-hour", {}, 25),
        ("presence-by-day", {"min_hours": 0, "limit": 7}, 7),
        ("flows", {"min_stay_minutes": 0, "limit": 9}, 9),
        ("weighted-presence", {"night_hours": [0, 1], "weight_maximum": 2**20}, 25),
        ("activity", {"night_hours": [0, 1], "edges": [0, 99_999]}, 1),
        ("weighted-presence", {"night_hours": [0, 1], "weight_maximum": 2**20, "silent_level": "zone"}, 25),
        ("union-sketch", {"bins": 64, "by_zone": True, "limit": 11}, 11),
        (
            "quality-indicators",
            {"min_hours": 0, "zones_limit": 9, "min_stay_minutes": 0, "flows_limit": 9},
            4,
        ),
    ],
)
def test_a_busy_adversary_reaches_the_bound(
    duckdb: Load, statistic: str, parameters: dict[str, Any], cells: int
) -> None:
    """The bounds are no larger than they must be, and the test above is no test of nothing."""
    busy = Adversary("anywhere", 4000, tuple(range(25)), (0,), seed=3)
    dates = [date(2026, 10, 25)]
    terms = terms_for(statistic, parameters, dates, ZONING)
    days = days_of(duckdb, dates, busy, hold=Hold(60), seed=3, weight=2**20)
    zones = moved(vectors(days.inputs(), terms), days.inputs([0]), terms)[0]
    assert np.count_nonzero(zones) == cells == terms.bounds.cells_by_period
    assert zones.max() == terms.bounds.cell_maximum
