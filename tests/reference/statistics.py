"""Every statistic in plain Python: loops over subscribers, written from the definitions in docs/statistics.md.

A statistic is a function of a case and a level that returns the table of the level: rows are the areas of the level
by code and, last, the special one; columns are what the statistic says.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from tests.reference.days import Present, Visit, largest, tie

Table = list[list[int]]


@dataclass(frozen=True)
class Case:
    """What a statistic is made of.

    `zones` are the parents of each zone by level, its own code under `zone`; everything else as in the node.
    """

    zones: tuple[Mapping[str, str], ...]
    dates: tuple[date, ...]
    time_zone: str
    presence: tuple[tuple[Present, ...], ...]
    visits: tuple[tuple[Visit, ...], ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    key: int = 0
    sampling_key: int = 0
    positions: tuple[tuple[int, int], ...] = ()
    weights: tuple[int, ...] = ()
    persons: tuple[Mapping[int, int], ...] = ()
    rejected: tuple[Collection[int], ...] = ()
    period_key: bytes = b""

    def clock(self, number: int) -> list[int]:
        """Return what the clock shows as each hour of a date begins, walking from midnight to midnight in UTC."""
        zone, day = ZoneInfo(self.time_zone), self.dates[number]
        instant = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        shown = []
        while (local := instant.astimezone(zone)).date() == day:
            shown.append(local.hour)
            instant += timedelta(hours=1)
        return shown

    def areas(self, level: str) -> list[str]:
        """Return the codes of a level's areas."""
        return sorted({parents[level] for parents in self.zones if level in parents})

    def area(self, zone: int, level: str) -> int | None:
        """Return the index of a zone's area, or None if it has none at the level."""
        parents = self.zones[zone]
        return self.areas(level).index(parents[level]) if level in parents else None

    def own(self, number: int = 0) -> dict[int, list[Present]]:
        """Return presence of own subscribers on a date, by subscriber."""
        return _by_subscriber(row for row in self.presence[number] if row.origin == 0)

    def own_visits(self) -> dict[int, list[Visit]]:
        """Return visits of own subscribers, in their order."""
        rows = _by_subscriber(row for row in self.visits[0] if row.origin == 0)
        return {who: sorted(own, key=lambda visit: visit.seq) for who, own in rows.items()}

    def hours_at(self, rows: Iterable[Present], number: int, clock: Collection[int]) -> Counter[int]:
        """Return how many hours of a date, shown on the clock as one of some, were in which zone."""
        spent: Counter[int] = Counter()
        for row in rows:
            for hour, shown in enumerate(self.clock(number)):
                if shown in clock and row.hours_mask & 2**hour:
                    spent[row.zone] += 1
        return spent

    def anchor(self, who: int, rows: Iterable[Present], number: int, clock: Collection[int]) -> int | None:
        """Return the zone of most such hours of a date, or None."""
        spent = self.hours_at(rows, number, clock)
        return largest(spent, who, self.key) if spent else None

    def tonight(self, who: int) -> int | None:
        """Return an own subscriber's anchor of the first date."""
        return self.anchor(who, self.own()[who], 0, self.parameters["night_hours"])


def _by_subscriber(rows: Iterable[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row.subscriber, []).append(row)
    return found


def _empty(case: Case, level: str, columns: int) -> Table:
    return [[0] * columns for _ in range(len(case.areas(level)) + 1)]


def _add(table: Table, case: Case, level: str, zone: int | None, column: int, *, amount: int = 1) -> None:
    """Add to the area of a zone, to the special area if there is no zone, to nothing if the zone has no area."""
    row = len(table) - 1 if zone is None else case.area(zone, level)
    if row is not None:
        table[row][column] += amount


def presence_by_hour(case: Case, level: str) -> Table:
    rows = len(case.areas(level)) + 1
    return _hourly(case, level, lambda _who: 1, lambda _who: rows - 1, rows)


def weighted_presence(case: Case, level: str) -> Table:
    """After the areas, a row of the silent for each area of the silent level, then one for all others."""

    def weight(who: int) -> int:
        anchor = case.tonight(who)
        return case.weights[-1 if anchor is None else anchor]

    silent_level = case.parameters.get("silent_level")
    apart = case.areas(silent_level) if silent_level else []
    first = len(case.areas(level))

    def silent_row(who: int) -> int:
        anchor = case.tonight(who)
        area = None if anchor is None or not silent_level else case.area(anchor, silent_level)
        return first + (len(apart) if area is None else area)

    return _hourly(case, level, weight, silent_row, first + len(apart) + 1)


def _hourly(
    case: Case, level: str, weight: Callable[[int], int], silent_row: Callable[[int], int], rows: int
) -> Table:
    hours = len(case.clock(0))
    table = [[0] * hours for _ in range(rows)]
    for who, own in case.own().items():
        for hour in range(hours):
            there = [row.zone for row in own if row.hours_mask & 2**hour]
            row = case.area(there[0], level) if there else silent_row(who)
            if row is not None:
                table[row][hour] += weight(who)
    return table


def presence_by_day(case: Case, level: str) -> Table:
    table = _empty(case, level, 1)
    for who, rows in case.own().items():
        spent: Counter[int] = Counter()
        for row in rows:
            spent[_area_or_elsewhere(case, row.zone, level)] += row.hours_mask.bit_count()
        visited = [area for area, hours in spent.items() if hours >= case.parameters["min_hours"]]
        for area in _sampled(case, who, visited):
            table[area][0] += 1
    return table


def _area_or_elsewhere(case: Case, zone: int, level: str) -> int:
    area = case.area(zone, level)
    return len(case.areas(level)) if area is None else area


def _sampled(case: Case, who: int, cells: Collection[int]) -> list[int]:
    drawn = sorted(cells, key=lambda cell: (tie(who, cell, case.sampling_key), cell))
    return drawn[: case.parameters["limit"]]


def anchors_by_day(case: Case, level: str) -> Table:
    table = _empty(case, level, 1)
    for who in case.own():
        _add(table, case, level, case.tonight(who), 0)
    return table


def _most_often(case: Case, who: int, dates: Sequence[int], clock: str, least: str) -> int | None:
    """Return the zone that was anchor on most of some dates, if on enough of them."""
    times: Counter[int] = Counter()
    for number in dates:
        anchor = case.anchor(who, case.own(number).get(who, ()), number, case.parameters[clock])
        if anchor is not None:
            times[anchor] += 1
    enough = {zone: count for zone, count in times.items() if count >= case.parameters[least]}
    return largest(enough, who, case.key) if enough else None


def _everybody(case: Case) -> set[int]:
    return {who for number in range(len(case.dates)) for who in case.own(number)}


def residents(case: Case, level: str) -> Table:
    table = _empty(case, level, 1)
    for who in _everybody(case):
        home = _most_often(case, who, range(len(case.dates)), "night_hours", "min_nights")
        _add(table, case, level, home, 0)
    return table


def commuting(case: Case, level: str) -> Table:
    rows = len(case.areas(level)) + 1
    table = _empty(case, level, rows)
    weekdays = case.parameters["weekdays"]
    working = [number for number, day in enumerate(case.dates) if day.isoweekday() in weekdays]
    for who in _everybody(case):
        home = _most_often(case, who, range(len(case.dates)), "night_hours", "min_nights")
        by_day = _most_often(case, who, working, "day_hours", "min_days")
        column = rows - 1 if by_day is None else case.area(by_day, level)
        if column is not None:
            _add(table, case, level, home, column)
    return table


def _stays(case: Case, own: Sequence[Visit]) -> list[Visit]:
    shortest = case.parameters["min_stay_minutes"] * 60 * 10**6
    return [visit for visit in own if visit.t_out - visit.t_in >= shortest]


def flows(case: Case, level: str) -> Table:
    rows = len(case.areas(level)) + 1
    table = _empty(case, level, rows)
    for who, own in case.own_visits().items():
        places = [_area_or_elsewhere(case, visit.zone, level) for visit in _stays(case, own)]
        pairs = {(one, other) for one, other in pairwise(places) if one != other}
        for cell in _sampled(case, who, [one * rows + other for one, other in pairs]):
            table[cell // rows][cell % rows] += 1
    return table


def visitors(case: Case, level: str) -> Table:
    countries = sorted(case.parameters["countries"].items())
    table = _empty(case, level, len(countries) + 1)
    for who, rows in _by_subscriber(row for row in case.presence[0] if row.origin != 0).items():
        origin = min(row.origin for row in rows)
        column = len(countries)
        for place, (_code, networks) in enumerate(countries):
            if origin in networks:
                column = place
        _add(table, case, level, case.anchor(who, rows, 0, case.parameters["night_hours"]), column)
    return table


def _histogram(case: Case, level: str, values: Mapping[int, Fraction | int]) -> Table:
    edges = case.parameters["edges"]
    table = _empty(case, level, len(edges))
    for who, value in values.items():
        column = max(place for place, edge in enumerate(edges) if edge <= value)
        _add(table, case, level, case.tonight(who), column)
    return table


def stay_durations(case: Case, level: str) -> Table:
    longest: dict[int, Fraction | int] = {}
    for who, own in case.own_visits().items():
        home = case.tonight(who)
        away = [Fraction(visit.t_out - visit.t_in, 60 * 10**6) for visit in own if visit.zone != home]
        longest[who] = max(away, default=Fraction(0))
    return _histogram(case, level, longest)


def travelled_distances(case: Case, level: str) -> Table:
    went: dict[int, Fraction | int] = dict.fromkeys(case.own(), 0)
    for who, own in case.own_visits().items():
        places = [case.positions[visit.zone] for visit in _stays(case, own)]
        legs = pairwise(places)
        went[who] = sum(math.isqrt((x - u) ** 2 + (y - v) ** 2) for (x, y), (u, v) in legs)
    return _histogram(case, level, went)


def gyration(case: Case, level: str) -> Table:
    """Held against squares: a radius reaches an edge when its square reaches the square of the edge."""
    squares: dict[int, Fraction | int] = {}
    for who, rows in case.own().items():
        hourly = [case.positions[row.zone] for row in rows for _ in range(row.hours_mask.bit_count())]
        if not hourly:
            squares[who] = 0
            continue
        east = Fraction(sum(x for x, _y in hourly), len(hourly))
        north = Fraction(sum(y for _x, y in hourly), len(hourly))
        spread = sum(((x - east) ** 2 + (y - north) ** 2 for x, y in hourly), Fraction(0))
        squares[who] = spread / len(hourly)
    edges = case.parameters["edges"]
    table = _empty(case, level, len(edges))
    for who, square in squares.items():
        column = max(place for place, edge in enumerate(edges) if edge**2 <= square)
        _add(table, case, level, case.tonight(who), column)
    return table


def activity(case: Case, level: str) -> Table:
    return _histogram(case, level, {who: sum(row.n for row in rows) for who, rows in case.own().items()})


def bin_of(person: int, key: bytes, bins: int) -> int:
    """Return the bin of a person: all bits of the HMAC, as one large number, modulo the bins."""
    return int(hmac.new(key, person.to_bytes(8, "big"), hashlib.sha256).hexdigest(), 16) % bins


def one_person(case: Case, who: int) -> int | None:
    """Return the person of an own subscriber, if it is the same on all days on which there is one."""
    found = {
        case.persons[number][who]
        for number in range(len(case.dates))
        if who in case.own(number) and who in case.persons[number]
    }
    return found.pop() if len(found) == 1 else None


def union_sketch(case: Case, level: str) -> Table:
    """Rows are the areas, or the country alone; there is no special row."""
    bins, by_zone = case.parameters["bins"], case.parameters["by_zone"]
    rows: list[set[int]] = [set() for _ in (case.areas(level) if by_zone else [level])]
    for who in _everybody(case):
        person = one_person(case, who)
        if person is None:
            continue
        if not by_zone:
            rows[0].add(person)
            continue
        seen = {
            area
            for number in range(len(case.dates))
            for present in case.own(number).get(who, ())
            if (area := case.area(present.zone, level)) is not None
        }
        for area in _sampled(case, who, seen):
            rows[area].add(person)
    table = [[0] * bins for _ in rows]
    for row, persons in zip(table, rows, strict=True):
        for person in persons:
            row[bin_of(person, case.period_key, bins)] += 1
    return table


def quality_indicators(case: Case, _level: str) -> Table:
    """One row: everybody seen, everybody with a rejected row, and those with more zones or pairs than a limit."""
    asked, busy, restless = case.parameters, 0, 0
    for rows in case.own().values():
        spent: Counter[int] = Counter()
        for row in rows:
            spent[row.zone] += row.hours_mask.bit_count()
        busy += sum(hours >= asked["min_hours"] for hours in spent.values()) > asked["zones_limit"]
    for own in case.own_visits().values():
        steps = pairwise(visit.zone for visit in _stays(case, own))
        restless += len({step for step in steps if step[0] != step[1]}) > asked["flows_limit"]
    return [[len(case.own()), len({*case.rejected[0]}), busy, restless]]


STATISTICS: Mapping[str, Callable[[Case, str], Table]] = {
    "presence-by-hour": presence_by_hour,
    "presence-by-day": presence_by_day,
    "anchors-by-day": anchors_by_day,
    "weighted-presence": weighted_presence,
    "residents": residents,
    "commuting": commuting,
    "flows": flows,
    "visitors": visitors,
    "stay-durations": stay_durations,
    "travelled-distances": travelled_distances,
    "gyration": gyration,
    "activity": activity,
    "union-sketch": union_sketch,
    "quality-indicators": quality_indicators,
}
