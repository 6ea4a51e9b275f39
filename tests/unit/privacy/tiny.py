"""Exact vectors of every statistic in plain Python, for the data of one subscriber over a few tiny days.

A day is a tuple of zones by hour, `None` in an hour without one; hour 0 is the night. A day without any event
is not a tuple but `None`. Nothing here is code of the node: these are the definitions that the bounds of
`privacy.statistics` are about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product

from pydantic import JsonValue

from privacy import statistics as names

Day = tuple[str | None, ...]
Seen = Sequence[Day | None]
Cells = Counter[Hashable]
Answer = Callable[[Seen], Cells]

LIMIT = 2
#: Public positions of the zones, for distances.
PLACE = {"A": 0, "B": 1, "C": 3, "D": 7}
#: Weights of the anchors; the largest is that of C.
WEIGHT = {"A": 2, "B": 1, "C": 3, "D": 1, "unanchored": 1}


def kept(cells: Iterable[Hashable], limit: int = LIMIT) -> Cells:
    """Keep some of the distinct cells, always the first in a fixed order, as a keyed hash would."""
    return Counter(sorted(set(cells), key=str)[:limit])


def daily(count: Callable[[Day], Cells]) -> Answer:
    """Return the answer of a statistic of exactly one day; who has no event is not counted at all."""

    def answer(days: Seen) -> Cells:
        (day,) = days
        return count(day) if day is not None else Counter()

    return answer


def anchor(day: Day) -> str:
    return day[0] or "unanchored"


def zones(day: Day) -> list[str]:
    return [zone for zone in day if zone is not None]


def by_hour(day: Day) -> Cells:
    return Counter((hour, zone or "unobserved") for hour, zone in enumerate(day))


def weighted(day: Day) -> Cells:
    """By hour, with the anchor's weight; who has no zone is unobserved."""
    return Counter({(hour, zone or "unobserved"): WEIGHT[anchor(day)] for hour, zone in enumerate(day)})


def weighted_apart(day: Day) -> Cells:
    """The same, but who is unobserved counts by the anchor's region: A and B are one, C and D have none."""
    region = "AB" if anchor(day) in {"A", "B"} else "other"
    return Counter(
        {(hour, zone or f"unobserved:{region}"): WEIGHT[anchor(day)] for hour, zone in enumerate(day)}
    )


def moves(day: Day) -> list[tuple[str, str]]:
    return [(origin, end) for origin, end in pairwise(zones(day)) if origin != end]


def visitor(day: Day) -> Cells:
    return Counter([("country", day[0])]) if day[0] else Counter()


def longest_stay(day: Day) -> Cells:
    longest = max((zones(day).count(zone) for zone in zones(day)), default=0)
    return Counter([(anchor(day), longest)])


def distance(day: Day) -> Cells:
    return Counter([(anchor(day), sum(abs(PLACE[here] - PLACE[there]) for here, there in moves(day)))])


def spread(day: Day) -> Cells:
    places = [PLACE[zone] for zone in zones(day)] or [0]
    return Counter([(anchor(day), max(places) - min(places))])


def most_often(found: Iterable[Hashable], fewest: int) -> Cells:
    """Return the commonest, the first by name of several, if it is there often enough; else `unanchored`."""
    times = Counter(found)
    best = [item for item in sorted(times, key=str) if times[item] == max(times.values()) >= fewest]
    return Counter([best[0] if best else "unanchored"])


def residents(fewest: int) -> Answer:
    """One home: the night zone of most days."""

    def answer(days: Seen) -> Cells:
        seen = [day for day in days if day is not None]
        return most_often([day[0] for day in seen if day[0]], fewest) if seen else Counter()

    return answer


def commuting(days: Seen) -> Cells:
    """One pair of the night zone and the day zone of most days on which there are both."""
    seen = [day for day in days if day is not None]
    return most_often([day[:2] for day in seen if all(day[:2])], 1) if seen else Counter()


def sketch(days: Seen) -> Cells:
    """One bin for whoever is there on any day; the identity alone decides which."""
    return Counter(["bin 7"] if any(days) else [])


def sketch_by_zone(days: Seen) -> Cells:
    return kept((zone, "bin 7") for day in days if day is not None for zone in zones(day))


def sketch_of_one(days: Seen) -> Cells:
    """Days name the person, and whoever is two persons in the period is in no bin: one day less moves no bin."""
    found = {person for day in days if day is not None for person in day if person}
    return Counter([f"bin of {person}" for person in found] if len(found) == 1 else [])


def indicators(day: Day) -> Cells:
    """Seen; with a rejected row, which is an hour at R; in more zones, and with more moves, than one."""
    seen = [zone for zone in zones(day) if zone != "R"]
    steps = {(origin, end) for origin, end in pairwise(seen) if origin != end}
    found = {
        "subscribers": bool(seen),
        "rejected": "R" in day,
        "many-zones": len({*seen}) > 1,
        "many-flows": len(steps) > 1,
    }
    return Counter([name for name, counts in found.items() if counts])


def all_days(places: str, hours: int) -> tuple[Day, ...]:
    """Return every day over zones named by one letter; `-` is an hour without one."""
    return tuple(product([None if name == "-" else name for name in places], repeat=hours))


@dataclass(frozen=True)
class Tiny:
    """A statistic with everything that its tiny worlds are made of.

    Attributes
    ----------
    answer
        Its exact vector of the days that one release reads.
    days
        What a day can be, besides a day without any event.
    periods
        Days of each release, one release after another: the tiny months, or single days.
    hours, parameters
        That `declare` gets.
    tight
        Whether in every window some world loses what is charged.
    """

    answer: Answer
    days: tuple[Day, ...]
    periods: tuple[int, ...]
    hours: int = 24
    parameters: dict[str, JsonValue] = field(default_factory=dict)
    tight: bool = True


SOME_DAYS: tuple[Day, ...] = (("A", "B"), ("B", None), (None, None), ("C", "C"))
FOUR_DAYS, THREE_MONTHS, TWO_MONTHS = (1, 1, 1, 1), (2, 2, 2), (3, 3)
NIGHTS = all_days("AB-", 1)
_APART: dict[str, JsonValue] = {"weight_maximum": 3, "silent_level": "region"}

#: The worlds of each statistic: few kinds of days over several days or months, or every day twice.
TINY: dict[str, tuple[Tiny, ...]] = {
    names.PRESENCE_BY_HOUR: (
        Tiny(daily(by_hour), SOME_DAYS, FOUR_DAYS, hours=2),
        Tiny(daily(by_hour), all_days("AB-", 3), (1, 1), hours=3),
    ),
    names.PRESENCE_BY_DAY: (
        Tiny(daily(lambda day: kept(zones(day))), SOME_DAYS, FOUR_DAYS, parameters={"limit": LIMIT}),
        Tiny(daily(lambda day: kept(zones(day))), all_days("ABC-", 3), (1, 1), parameters={"limit": LIMIT}),
    ),
    names.ANCHORS_BY_DAY: (
        Tiny(daily(lambda day: Counter([anchor(day)])), SOME_DAYS, FOUR_DAYS),
        Tiny(daily(lambda day: Counter([anchor(day)])), all_days("ABC-", 1), (1, 1, 1, 1)),
    ),
    names.WEIGHTED_PRESENCE: (
        Tiny(daily(weighted), SOME_DAYS, FOUR_DAYS, 2, {"weight_maximum": 3}),
        Tiny(daily(weighted), all_days("ABC-", 2), (1, 1, 1), 2, {"weight_maximum": 3}),
        Tiny(daily(weighted), all_days("ABC-", 2), (1, 1), 2, {"weight_maximum": 4}, tight=False),
        Tiny(daily(weighted_apart), all_days("ABC-", 2), (1, 1, 1), 2, _APART),
        Tiny(daily(weighted_apart), all_days("ABCD-", 3), (1, 1), 3, _APART),
    ),
    names.RESIDENTS: (
        Tiny(residents(1), NIGHTS, THREE_MONTHS),
        Tiny(residents(1), NIGHTS, TWO_MONTHS),
        Tiny(residents(1), all_days("ABC-", 1), (1, 1, 1)),
        Tiny(residents(2), NIGHTS, TWO_MONTHS, tight=False),
    ),
    names.COMMUTING: (
        Tiny(commuting, (("A", "B"), ("B", "A"), ("A", None)), THREE_MONTHS),
        Tiny(commuting, (("A", "A"), ("A", "B"), (None, "B")), TWO_MONTHS),
    ),
    names.FLOWS: (
        Tiny(
            daily(lambda day: kept(moves(day))),
            (("A", "B", "C"), ("A", "A", "B"), ("B", None, "B"), ("C", "B", "C")),
            FOUR_DAYS,
            parameters={"limit": LIMIT},
        ),
        Tiny(daily(lambda day: kept(moves(day))), all_days("ABC", 4), (1, 1), parameters={"limit": LIMIT}),
    ),
    names.VISITORS: (
        Tiny(daily(visitor), SOME_DAYS, FOUR_DAYS),
        Tiny(daily(visitor), all_days("ABC-", 2), (1, 1)),
    ),
    names.STAY_DURATIONS: (
        Tiny(daily(longest_stay), SOME_DAYS, FOUR_DAYS),
        Tiny(daily(longest_stay), all_days("AB-", 3), (1, 1)),
    ),
    names.TRAVELLED_DISTANCES: (
        Tiny(daily(distance), SOME_DAYS, FOUR_DAYS),
        Tiny(daily(distance), all_days("ABC-", 2), (1, 1, 1)),
    ),
    names.GYRATION: (
        Tiny(daily(spread), SOME_DAYS, FOUR_DAYS),
        Tiny(daily(spread), all_days("ABC-", 2), (1, 1, 1)),
    ),
    names.ACTIVITY: (
        Tiny(daily(lambda day: Counter([len(zones(day))])), SOME_DAYS, FOUR_DAYS),
        Tiny(daily(lambda day: Counter([len(zones(day))])), all_days("AB-", 3), (1, 1)),
    ),
    names.QUALITY_INDICATORS: (
        Tiny(daily(indicators), (("A", "B", "A", "R"), ("R", None), ("A", None), (None,)), FOUR_DAYS),
        Tiny(daily(indicators), all_days("ABR-", 4), (1, 1)),
    ),
    names.UNION_SKETCH: (
        Tiny(sketch, NIGHTS, THREE_MONTHS, parameters={"by_zone": False}),
        Tiny(sketch, NIGHTS, TWO_MONTHS, parameters={"by_zone": False}),
        Tiny(sketch_of_one, all_days("PQ-", 1), THREE_MONTHS, parameters={"by_zone": False}),
        Tiny(sketch_of_one, all_days("PQ-", 1), TWO_MONTHS, parameters={"by_zone": False}),
        Tiny(
            sketch_by_zone,
            (("A", "B"), ("C", "D"), ("B", None)),
            THREE_MONTHS,
            parameters={"by_zone": True, "limit": LIMIT},
        ),
        Tiny(
            sketch_by_zone,
            (("A", "B"), ("C", "D"), ("A", "C")),
            TWO_MONTHS,
            parameters={"by_zone": True, "limit": LIMIT},
        ),
        Tiny(sketch_by_zone, all_days("ABCD-", 2), (1, 1), parameters={"by_zone": True, "limit": LIMIT}),
    ),
}
