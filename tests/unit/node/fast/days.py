"""Small days of judged rows, made by hypothesis, and what must come out of them, worked out in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from hypothesis import strategies as st

from node.presence.fast import Built, build_day
from node.presence.hold import Hold
from node.sources.events import Day
from node.sources.reasons import Reason
from node.sources.sequence import SequenceRules
from tests.reference.days import Seen, presence, visits
from tests.support_node import BRUSSELS, instant
from tests.unit.node.worlds import HOURS, SUBSCRIBERS, holds, keys

US = 10**6
#: Cell → (zone, x_m, y_m): two at one place, two of one zone, one very far away, numbers with gaps.
PLACES = {0: (0, 0, 0), 1: (0, 3000, 4000), 2: (1, 0, 0), 5: (2, 30_000, -40_000), 9: (2, -20_000_000, 10**7)}
MEMORY = 10**8


class Row(NamedTuple):
    """A judged row without its place."""

    subscriber: int
    t_us: int
    cell: int
    origin: int
    reason: int


@dataclass(frozen=True)
class Scene:
    """Judged rows of a day, and what they are built by."""

    day: date
    rows: tuple[Row, ...]
    rules: SequenceRules
    hold: Hold
    key: int

    @property
    def local(self) -> Day:
        """The local day."""
        return Day.of(self.day, BRUSSELS)

    @property
    def table(self) -> pa.Table:
        """The rows with their places; what a rejected row has in its columns means nothing."""
        return table_of(self.rows)


def table_of(rows: Sequence[Row]) -> pa.Table:
    """Return rows as the door gives them."""
    names = ("subscriber", "t_us", "cell", "zone", "x_m", "y_m", "origin", "reason")
    full = [
        (row.subscriber, row.t_us, row.cell, *PLACES[row.cell], row.origin, row.reason)
        if row.reason == 0
        # A row that was rejected for its cell has a subscriber and an origin.
        else (row.subscriber, row.t_us, -1, -1, 0, 0, row.origin, row.reason)
        if row.reason == Reason.UNKNOWN_CELL
        else (-1, -1, -1, -1, 0, 0, -1, row.reason)
        for row in rows
    ]
    columns = list(zip(*full, strict=True)) if full else [()] * len(names)
    return pa.table([pa.array(column, pa.int64()) for column in columns], names=names)


def clean_by_hand(rows: Sequence[Row], rules: SequenceRules) -> tuple[list[Seen], Counter[Reason]]:
    """Return the clean events, and the number of rows by reason."""
    counts = Counter(Reason(row.reason) for row in rows if row.reason)
    kept: list[Seen] = []
    for who in {row.subscriber for row in rows if row.reason == 0}:
        origins: dict[tuple[int, int], int] = {}
        for row in rows:
            if row.reason == 0 and row.subscriber == who:
                counts[Reason.DUPLICATE] += (row.t_us, row.cell) in origins
                origins[row.t_us, row.cell] = min(row.origin, origins.get((row.t_us, row.cell), 10**9))
        ordered = sorted(origins)
        for place, (time, cell) in enumerate(ordered):
            around = ordered[max(place - 1, 0) : place + 2]
            reason = _judge(around, rules) if len(around) == 3 else Reason.ACCEPTED
            counts[reason] += 1
            if reason is Reason.ACCEPTED:
                kept.append(Seen(who, time, cell, PLACES[cell][0], origins[time, cell]))
    return kept, counts


def rejected_by_hand(rows: Sequence[Row], rules: SequenceRules) -> list[int]:
    """Return the own subscribers with a rejected row: at an unknown cell, or dropped after it was accepted."""
    found = {row.subscriber for row in rows if row.reason == Reason.UNKNOWN_CELL and row.origin == 0}
    for who in {row.subscriber for row in rows}:
        own = [row for row in rows if row.subscriber == who and row.reason == 0]
        if len(clean_by_hand(own, rules)[0]) < len(own) and any(row.origin == 0 for row in own):
            found.add(who)
    return sorted(found)


def _judge(around: Sequence[tuple[int, int]], rules: SequenceRules) -> Reason:
    (t_before, before), (_t, this), (t_after, after) = around
    if (
        before == after != this
        and 0 <= t_after - t_before <= rules.ghost_seconds * US
        and rules.ghost_seconds
    ):
        return Reason.GHOST
    if rules.max_speed and all(_too_fast(one, around[1], rules.max_speed) for one in (around[0], around[2])):
        return Reason.IMPOSSIBLE_SPEED
    return Reason.ACCEPTED


def _too_fast(one: tuple[int, int], other: tuple[int, int], max_speed: int) -> bool:
    seconds = -(-abs(one[0] - other[0]) // US)
    (_a, x, y), (_b, x2, y2) = PLACES[one[1]], PLACES[other[1]]
    return (x - x2) ** 2 + (y - y2) ** 2 > (max_speed * seconds) ** 2


def expected(scene: Scene) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]], Counter[Reason]]:
    """Return presence, visits and counts of a scene."""
    events, counts = clean_by_hand(scene.rows, scene.rules)
    limits = (scene.local.start_us, scene.local.end_us)
    found = presence(events, limits, scene.hold, scene.key)
    return [*map(tuple, found)], [*map(tuple, visits(events, limits, scene.hold))], counts


def rows_of(table: pa.Table) -> list[tuple[int, ...]]:
    """Return the rows of a table."""
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def build(scene: Scene, scratch: Path, batch: int = 5, memory: int = MEMORY) -> Built:
    """Build a scene by the fast path, from small batches."""
    return build_day(
        batches(scene.table, batch), scene.local, scene.rules, scene.hold, scene.key, scratch, memory
    )


def batches(table: pa.Table, size: int) -> Iterator[pa.RecordBatch]:
    """Yield a table in batches; there is an empty one at the end."""
    yield from table.to_batches(max_chunksize=size)
    yield from table.schema.empty_table().to_batches()


def rows_on(day: date, most: int = 25) -> st.SearchStrategy[tuple[Row, ...]]:
    """Return rows of a day in any order: many within a minute of another, many at full quarters, some twice."""
    length = HOURS[day] * 3600 * US
    quarters = st.integers(0, length // (900 * US) - 1).map(lambda quarter: quarter * 900 * US)
    near = st.builds(lambda base, more: base + more, quarters, st.integers(0, 60 * US))
    edges = st.sampled_from((0, 1, 3600 * US - 1, length - 1))
    row = st.builds(
        lambda subscriber, since, cell, origin, reason: Row(
            subscriber, instant(day, 0) + since, cell, origin, reason
        ),
        st.sampled_from((*SUBSCRIBERS, 0)),
        quarters | near | near | st.integers(0, length - 1) | edges,
        st.sampled_from(sorted(PLACES)),
        st.sampled_from((0, 0, 0, 0, 204, 208)),
        st.sampled_from((0,) * 12 + (int(Reason.OUTSIDE_DAY), int(Reason.UNKNOWN_CELL))),
    )
    return st.lists(row, max_size=most).flatmap(
        lambda rows: st.permutations([*rows, *rows[: len(rows) // 5]]).map(tuple)
    )


rules = st.builds(
    SequenceRules,
    ghost_seconds=st.sampled_from((0, 1, 60, 3600, 86_400)),
    max_speed=st.sampled_from((0, 1, 50, 300, 20_000)),
)
scenes = st.sampled_from(sorted(HOURS)).flatmap(
    lambda day: st.builds(Scene, st.just(day), rows_on(day), rules, holds, keys)
)
