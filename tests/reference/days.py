"""A local day in plain Python, with nothing shared with the node: hashes, presence and visits of single events.

Presence is worked out second by second, where the node works with intervals.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

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


def dominant(events: Iterable[Seen], day: tuple[int, int], hold_minutes: int, key: int) -> Dominant:
    """Return the dominant zones of a day, given as its first and last instant in microseconds.

    Every event paints the seconds that it holds, in order of time and cell, over what was painted before.
    """
    start_us, end_us = day
    length = (end_us - start_us) // 10**6
    painted: dict[int, list[int | None]] = {}
    for event in sorted(events, key=lambda one: (one.t_us, one.cell)):
        seconds = painted.setdefault(event.subscriber, [None] * length)
        first = (event.t_us - start_us) // 10**6
        last = min(first + hold_minutes * 60, length)
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


def presence(events: Iterable[Seen], day: tuple[int, int], hold_minutes: int, key: int) -> list[Present]:
    """Return the rows of presence, by subscriber and zone."""
    events = list(events)
    hours = masks(dominant(events, day, hold_minutes, key))
    rows = []
    for subscriber, zone in sorted({(event.subscriber, event.zone) for event in events} | set(hours)):
        there = [event for event in events if (event.subscriber, event.zone) == (subscriber, zone)]
        times = [event.t_us for event in there]
        origin = min(event.origin for event in there)
        mask = hours.get((subscriber, zone), 0)
        rows.append(Present(subscriber, origin, zone, mask, len(there), min(times), max(times)))
    return rows


def visits(events: Iterable[Seen], day: tuple[int, int], hold_minutes: int) -> list[Visit]:
    """Return the rows of visits, by subscriber and time."""
    hold_us, end_of_day = hold_minutes * 60 * 10**6, day[1]
    by_subscriber: dict[int, list[Seen]] = {}
    for event in sorted(events, key=lambda one: (one.t_us, one.cell)):
        by_subscriber.setdefault(event.subscriber, []).append(event)
    rows = []
    for subscriber, own in sorted(by_subscriber.items()):
        runs: list[list[Seen]] = []
        for event in own:
            if runs and runs[-1][0].zone == event.zone:
                runs[-1].append(event)
            else:
                runs.append([event])
        for seq, run in enumerate(runs):
            after = runs[seq + 1][0].t_us if seq + 1 < len(runs) else end_of_day
            end = min(after, run[-1].t_us + hold_us, end_of_day)
            origin = min(event.origin for event in run)
            rows.append(Visit(subscriber, origin, seq, run[0].zone, run[0].t_us, end, len(run)))
    return rows


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
