"""A local day in plain Python, with nothing shared with the node: hashes, presence and visits of single events.

Presence is worked out second by second, where the node works with intervals.
"""

from __future__ import annotations

import hashlib
import hmac
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

HOUR_S = 3600
#: Subscriber and elapsed hour → dominant zone.
Dominant = Mapping[tuple[int, int], int]


class Seen(NamedTuple):
    """An accepted event."""

    subscriber: int
    t_us: int
    cell: int
    zone: int
    origin: int = 0


class Hold(Protocol):
    """Most minutes of which an event says something, after it and before it."""

    @property
    def after(self) -> int: ...

    @property
    def before(self) -> int: ...


class Present(NamedTuple):
    """A row of presence."""

    subscriber: int
    origin: int
    zone: int
    hours_mask: int
    n: int
    t_first: int
    t_last: int


class Visit(NamedTuple):
    """A row of visits."""

    subscriber: int
    origin: int
    seq: int
    zone: int
    t_in: int
    t_out: int
    n: int


def key_of(secret: bytes, purpose: str) -> int:
    """Return the key for a purpose: the first 32 bits of HMAC-SHA-256 without the highest."""
    first = hmac.new(secret, purpose.encode(), hashlib.sha256).hexdigest()[:8]
    return int(first, 16) % 2**31


def tie(subscriber: int, item: int, key: int) -> int:
    """Return the keyed hash, as ENGINE.md writes it: h = a2(a2(a1, C1), C2)."""
    word = (subscriber % 2**31 + item * (0x9E3779B1 % 2**31) + key) % 2**31
    for factor in (0x7FEB352D, 0x846CA68B):
        word = ((word ^ (word // 2**15)) * factor) % 2**31
    return word


def largest(amounts: Mapping[int, int], subscriber: int, key: int) -> int:
    """Return the zone with the largest amount; ties by the upper 29 bits of the hash, then by zone."""
    return max(amounts, key=lambda zone: (amounts[zone], tie(subscriber, zone, key) // 4, zone))


def said(own: Sequence[Seen], day: tuple[int, int], hold: Hold) -> list[tuple[int, int]]:
    """Return the first and the last instant of which each event of a subscriber, in order, says something.

    Between two events the nearer one says it, the later one at the same distance; but not beyond its own hold.
    """
    after, before = hold.after * 60 * 10**6, hold.before * 60 * 10**6
    begins, ends = [max(own[0].t_us - before, day[0])], []
    for earlier, later in pairwise(event.t_us for event in own):

        def of_earlier(instant: int, earlier: int = earlier, later: int = later) -> bool:
            reached = later - instant <= before
            nearer = 2 * (instant + 1 - earlier) <= later - earlier
            return instant - earlier < after and (nearer or not reached)

        def of_nobody(instant: int, earlier: int = earlier, later: int = later) -> bool:
            return instant - earlier >= after and later - instant > before

        span = range(earlier, later)
        ends.append(earlier + bisect_left(span, True, key=lambda instant: not of_earlier(instant)))
        begins.append(
            ends[-1] + bisect_left(span[ends[-1] - earlier :], True, key=lambda one: not of_nobody(one))
        )
    return list(zip(begins, [*ends, min(own[-1].t_us + after, day[1])], strict=True))


def dominant(events: Iterable[Seen], day: tuple[int, int], hold: Hold, key: int) -> Dominant:
    """Return the dominant zones of a day, given as its first and last instant in microseconds.

    Every event paints the seconds of which it says something.
    """
    start_us, end_us = day
    length = (end_us - start_us) // 10**6
    painted: dict[int, list[int | None]] = {}
    for subscriber, own in by_subscriber(events).items():
        seconds = painted.setdefault(subscriber, [None] * length)
        for event, (begin, end) in zip(own, said(own, day, hold), strict=True):
            first, last = (begin - start_us) // 10**6, (end - start_us) // 10**6
            seconds[first:last] = [event.zone] * (last - first)
    found = {}
    for subscriber, seconds in painted.items():
        for hour in range(-(-length // HOUR_S)):
            there = Counter(zone for zone in seconds[hour * HOUR_S : (hour + 1) * HOUR_S] if zone is not None)
            if there:
                found[subscriber, hour] = largest(there, subscriber, key)
    return found


def masks(found: Dominant) -> dict[tuple[int, int], int]:
    """Return the hours of every subscriber and zone as a bit mask."""
    rows: Counter[tuple[int, int]] = Counter()
    for (subscriber, hour), zone in found.items():
        rows[subscriber, zone] += 2**hour
    return dict(rows)


def presence(events: Iterable[Seen], day: tuple[int, int], hold: Hold, key: int) -> list[Present]:
    """Return the rows of presence, by subscriber and zone."""
    events = list(events)
    hours = masks(dominant(events, day, hold, key))
    rows = []
    for subscriber, zone in sorted({(event.subscriber, event.zone) for event in events} | set(hours)):
        there = [event for event in events if (event.subscriber, event.zone) == (subscriber, zone)]
        times = [event.t_us for event in there]
        origin = min(event.origin for event in there)
        mask = hours.get((subscriber, zone), 0)
        rows.append(Present(subscriber, origin, zone, mask, len(there), min(times), max(times)))
    return rows


def visits(events: Iterable[Seen], day: tuple[int, int], hold: Hold) -> list[Visit]:
    """Return the rows of visits, by subscriber and time."""
    rows = []
    for subscriber, own in sorted(by_subscriber(events).items()):
        runs: list[list[tuple[Seen, tuple[int, int]]]] = []
        for event, limits in zip(own, said(own, day, hold), strict=True):
            if runs and runs[-1][0][0].zone == event.zone:
                runs[-1].append((event, limits))
            else:
                runs.append([(event, limits)])
        for seq, run in enumerate(runs):
            begin, end = run[0][1][0], run[-1][1][1]
            origin = min(event.origin for event, _limits in run)
            rows.append(Visit(subscriber, origin, seq, run[0][0].zone, begin, end, len(run)))
    return rows


def by_subscriber(events: Iterable[Seen]) -> dict[int, list[Seen]]:
    """Return the events of every subscriber, by time and cell."""
    found: dict[int, list[Seen]] = {}
    for event in sorted(events, key=lambda one: (one.t_us, one.cell)):
        found.setdefault(event.subscriber, []).append(event)
    return found


def presence_counts(found: Dominant, zones: int, hours: int) -> list[int]:
    """Return counts by zone and hour, then of those seen that day without a zone in the hour."""
    everybody = {subscriber for subscriber, _hour in found}
    cells = [[0] * hours for _ in range(zones + 1)]
    for hour in range(hours):
        for subscriber in everybody:
            cells[found.get((subscriber, hour), zones)][hour] += 1
    return [count for area in cells for count in area]


def home_counts(
    days: Sequence[Dominant], nights: Sequence[Collection[int]], min_nights: int, zones: int, key: int
) -> list[int]:
    """Return residents by zone, then those seen without a home."""
    everybody = {subscriber for day in days for subscriber, _hour in day}
    counts = [0] * (zones + 1)
    for subscriber in everybody:
        spent: Counter[int] = Counter()
        for day, night in zip(days, nights, strict=True):
            hours = Counter(day[subscriber, hour] for hour in night if (subscriber, hour) in day)
            if hours:
                spent[largest(hours, subscriber, key)] += 1
        often = {zone: count for zone, count in spent.items() if count >= min_nights}
        counts[largest(often, subscriber, key) if often else zones] += 1
    return counts
