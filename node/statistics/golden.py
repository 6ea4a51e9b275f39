"""A day that can be counted by hand; every statistic has its vector of it, and the method pages describe it.

Three zones: A and B are district D, C is in no district. A is at (0, 0), B at (3000, 4000), C at (3000, 10000)
metres. Tuesday 20 October 2026 of five subscribers, by elapsed hours:

1. sleeps in A (hours 0 to 7), is in B (8 to 17) and again in A (18 to 23); 20 events in A, 10 in B;
2. is in B all day but for hour 12 in C; 7 events in B, 1 in C;
3. is seen once, at noon in C, and so in C in hours 12 and 13;
4. a German visitor, in B all day; 5 events;
5. a French visitor, seen once at 15 o'clock in A, and so in A in hours 15 and 16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from pydantic import JsonValue

from quorate.contract.zoning import Zone, Zoning

DAY = date(2026, 10, 20)
ZONING = Zoning(
    name="Golden",
    version="1",
    levels=("zone", "district"),
    zones=(
        Zone(code="A", parents={"district": "D"}),
        Zone(code="B", parents={"district": "D"}),
        Zone(code="C", parents={}),
    ),
)
#: Key of the sketch of the day: the bytes 0 to 31.
PERIOD_KEY = bytes(range(32))
POSITIONS = ((0, 0), (3000, 4000), (3000, 10_000))
_A, _B, _C = 0, 1, 2


class Here(NamedTuple):
    """A subscriber in a zone: the elapsed hours in which it was dominant, and the number of events."""

    subscriber: int
    origin: int
    zone: int
    hours: tuple[int, ...]
    events: int


class Stay(NamedTuple):
    """A visit, in minutes from midnight."""

    subscriber: int
    origin: int
    zone: int
    begin: int
    end: int


PRESENCE = (
    Here(1, 0, _A, (*range(8), *range(18, 24)), 20),
    Here(1, 0, _B, (*range(8, 18),), 10),
    Here(2, 0, _B, (*range(12), *range(13, 24)), 7),
    Here(2, 0, _C, (12,), 1),
    Here(3, 0, _C, (12, 13), 1),
    Here(4, 262, _B, (*range(24),), 5),
    Here(5, 208, _A, (15, 16), 1),
)
VISITS = (
    Stay(1, 0, _A, 0, 480),
    Stay(1, 0, _B, 480, 1080),
    Stay(1, 0, _A, 1080, 1440),
    Stay(2, 0, _B, 0, 720),
    Stay(2, 0, _C, 720, 780),
    Stay(2, 0, _B, 780, 1440),
    Stay(3, 0, _C, 720, 840),
    Stay(4, 262, _B, 0, 1440),
    Stay(5, 208, _A, 900, 1020),
)


@dataclass(frozen=True)
class Golden:
    """What a statistic makes of the day.

    Attributes
    ----------
    vector
        Rows of each level: areas, then the special one.
    parameters
        Of the product.
    words
        Why, in one or two sentences.
    weights
        By anchor zone, then of the unanchored, for statistics that ask for them.
    persons
        Pseudonym of the person by subscriber, for statistics that ask for it.
    rejected
        Subscribers with a rejected row, for statistics that ask for them.
    """

    vector: Mapping[str, Sequence[Sequence[int]]]
    words: str
    parameters: Mapping[str, JsonValue] = field(default_factory=dict)
    weights: tuple[int, ...] | None = None
    persons: Mapping[int, int] = field(default_factory=dict)
    rejected: tuple[int, ...] = ()
