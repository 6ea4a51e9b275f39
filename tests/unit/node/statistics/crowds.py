"""Days of many subscribers, each with a small world of its own, for engines on which every query is slow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from node.presence.hold import Hold
from tests.reference.days import Seen
from tests.support_node import instant
from tests.unit.node.statistics.cases import ZONE_OF, ZONES, World

#: Parameters of every statistic that make use of everything: limits that bind, several bins, hours by the clock.
PARAMETERS: dict[str, dict[str, object]] = {
    "presence-by-hour": {},
    "presence-by-day": {"min_hours": 1, "limit": 2},
    "anchors-by-day": {"night_hours": [0, 1, 2, 3]},
    "weighted-presence": {"night_hours": [0, 1, 2, 3], "weight_maximum": 2**20, "silent_level": "district"},
    "residents": {"night_hours": [0, 1, 2, 3, 4, 5], "min_nights": 1},
    "commuting": {
        "night_hours": [0, 1, 2, 3],
        "min_nights": 1,
        "day_hours": [9, 10, 11, 12],
        "weekdays": [1, 2, 3, 4, 5, 6],
        "min_days": 1,
    },
    "flows": {"min_stay_minutes": 30, "limit": 2},
    "visitors": {"night_hours": [0, 1, 2, 3], "countries": {"DE": [262], "US": [310, 311]}},
    "stay-durations": {"night_hours": [0, 1, 2, 3], "edges": [0, 30, 60, 61, 300]},
    "travelled-distances": {
        "night_hours": [0, 1, 2, 3],
        "min_stay_minutes": 1,
        "edges": [0, 1, 5000, 10**6, 10**7, 3 * 10**7],
    },
    "gyration": {"night_hours": [0, 1, 2, 3], "edges": [0, 1, 1000, 10**6, 5 * 10**6, 10**7]},
    "activity": {"night_hours": [0, 1, 2, 3], "edges": [0, 2, 4, 8]},
    "union-sketch": {"bins": 5, "by_zone": True, "limit": 2},
    "quality-indicators": {"min_hours": 1, "zones_limit": 2, "min_stay_minutes": 30, "flows_limit": 2},
}
_HOLDS = (60, 90, 120, 1440)
_ORIGINS = ((0,), (262,), (208,), (0,), (0,))


def crowd(first: date, days: int, subscribers: int, seed: int) -> World:
    """Return consecutive days of so many subscribers.

    Half of all events are at full half hours, so that dwells tie; every fifth subscriber roams, every fiftieth has
    origins that contradict each other; identifiers use all 63 bits.
    """
    rng = np.random.default_rng(seed)
    who = rng.integers(0, 2**63, subscribers, dtype=np.int64)
    dates = tuple(first + timedelta(days=number) for number in range(days))
    keys, hold = rng.integers(0, 2**31, 2).tolist(), Hold(*rng.choice(_HOLDS, 2).tolist())
    return World(
        dates=dates,
        events=tuple(frozenset(_events(day, who.tolist(), rng)) for day in dates),
        hold=hold,
        key=keys[0],
        sampling_key=keys[1],
        positions=tuple((int(x), int(y)) for x, y in rng.integers(-(10**7), 10**7, (ZONES, 2))),
        weights=tuple(rng.integers(0, 2**20 + 1, ZONES + 1).tolist()),
        persons=tuple(_persons(who.tolist(), rng) for _ in dates),
        rejected=tuple(frozenset(who[rng.random(subscribers) < 0.2].tolist()) for _ in dates),
    )


def _persons(who: Sequence[int], rng: np.random.Generator) -> dict[int, int]:
    """Two subscribers are a person; a tenth have none on the day, and a few are another one than before."""
    return {
        subscriber: number // 2 + int(rng.random() < 0.05)
        for number, subscriber in enumerate(who)
        if rng.random() < 0.9
    }


def _events(day: date, who: Sequence[int], rng: np.random.Generator) -> list[Seen]:
    start, end = instant(day, 0), instant(day + timedelta(days=1), 0)
    found: dict[tuple[int, int, int], Seen] = {}
    for number, subscriber in enumerate(who):
        origins = (0, 262, 310) if number % 50 == 0 else _ORIGINS[number % 5]
        for _ in range(rng.integers(0, 9)):
            half, anywhen = int(rng.integers(0, 46)) * 1800 * 10**6, int(rng.integers(0, end - start))
            t_us = start + (half if rng.random() < 0.5 else anywhen)
            cell, origin = int(rng.choice(sorted(ZONE_OF))), int(rng.choice(origins))
            found.setdefault((subscriber, t_us, cell), Seen(subscriber, t_us, cell, ZONE_OF[cell], origin))
    return list(found.values())
