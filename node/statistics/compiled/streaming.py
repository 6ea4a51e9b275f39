"""Read presence and visits of a day in step, in pieces that have all rows of each of their subscribers.

What a kernel gets was looked at here: subscribers ascend, visits are in their order and do not end before they begin,
there are no nulls, and every own row is in a zone of the zoning. Memory is bounded by a batch of each file and the
rows of one subscriber.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from node.presence.compiled import compiled
from node.statistics.asking import Asked
from node.statistics.compiled.passing import Unfit
from node.statistics.counting import unknown_zone

Integers = NDArray[np.int64]

#: Rows that are read at a time, and the most rows of one subscriber; who has more is left to the expressions.
BATCH_ROWS, MOST_ROWS = 2**15, 2**20
#: Beyond every subscriber.
_END = 2**63
_GOOD, _DISORDER, _OUTSIDE = range(3)
_FAR = 2**61


class Presence(NamedTuple):
    """Columns of presence, each int64 of shape (rows,); their names are those of the file."""

    subscriber: Integers
    origin: Integers
    zone: Integers
    hours_mask: Integers


class Visits(NamedTuple):
    """Columns of visits, each int64 of shape (rows,); their names are those of the file."""

    subscriber: Integers
    origin: Integers
    seq: Integers
    zone: Integers
    t_in: Integers
    t_out: Integers


#: `Presence`, `Visits`, or another named tuple of columns; compiled code takes any of them.
Rows: TypeAlias = Any


@compiled
def look(subscribers: Integers, places: Integers, origins: Integers, zones: Integers, most: int) -> int:
    """Return whether rows are in order of subscriber and place, and own ones in zones below `most`.

    Parameters
    ----------
    subscribers, origins, zones
        Columns.
    places
        Place of each row, which ascends within a subscriber: the zone in presence, the number in visits.
    most
        Number of zones.
    """
    for row in range(subscribers.size):
        if origins[row] == 0 and not 0 <= zones[row] < most:
            return _OUTSIDE
        if row > 0 and (
            subscribers[row] < subscribers[row - 1]
            or (subscribers[row] == subscribers[row - 1] and places[row] <= places[row - 1])
        ):
            return _DISORDER
    return _GOOD


@compiled
def lasts(begun: Integers, ended: Integers) -> bool:
    """Whether every visit ends when it begins or later, at times whose difference fits into 64 bits."""
    for row in range(begun.size):  # noqa: SIM110 - a generator is not compiled
        if not -_FAR <= begun[row] <= ended[row] <= _FAR:
            return False
    return True


class _Reader:
    """One file.

    Attributes
    ----------
    bound
        All rows of subscribers below this one are in `waiting`, or were handed out.
    waiting
        Rows that are read and may be handed out.
    later
        Rows of the last batch after those; kept apart, so that of a batch only what was cut is copied.
    """

    def __init__(self, path: Path, kind: type[Rows], zones: int) -> None:
        # Opened by its name as it is: neither an address nor a pattern.
        file = pq.ParquetFile(pa.OSFile(str(path)))
        types = dict(zip(file.schema_arrow.names, file.schema_arrow.types, strict=True))
        if any(types.get(name) != pa.int64() for name in kind._fields):
            raise Unfit
        self.kind, self.zones = kind, zones
        self.batches = file.iter_batches(BATCH_ROWS, columns=list(kind._fields), use_threads=False)
        self.waiting = self.later = self.last = kind(
            *[_read_only(np.empty(0, np.int64)) for _ in kind._fields]
        )
        self.bound = -1
        self.read()

    def read(self) -> None:
        """Raise `bound`, after everything below it was handed out: what waits is of this one subscriber then."""
        if self.later.subscriber.size:
            self.waiting, self.later = self.later, _some(self.later, 0, 0)
            self.bound = int(self.waiting.subscriber[-1])
            return
        parts = [self.waiting]
        while (batch := self._batch()) is not None:
            size, place = batch.subscriber.size, int(np.searchsorted(batch.subscriber, self.bound, "right"))
            parts.append(_some(batch, 0, place))
            if sum(part.subscriber.size for part in parts) > MOST_ROWS:
                raise Unfit
            if place < size:
                self.later = _some(batch, place, size)
                break
        self.bound = int(self.later.subscriber[0]) if self.later.subscriber.size else _END
        self.waiting = _joined(parts)

    def before(self, cut: int) -> Rows:
        """Hand out the rows of subscribers below `cut`, which is not above `bound`."""
        rows = self.waiting
        place = rows.subscriber.size if cut == _END else int(np.searchsorted(rows.subscriber, cut))
        self.waiting = _some(rows, place, rows.subscriber.size)
        return _some(rows, 0, place)

    def _batch(self) -> Rows | None:
        """Return the next rows after a look at them, None at the end of the file."""
        batch = next((batch for batch in self.batches if batch.num_rows), None)
        if batch is None:
            return None
        if any(column.null_count for column in batch.columns):
            raise Unfit
        named = dict(zip(batch.schema.names, batch.columns, strict=True))
        rows = self.kind(*(_read_only(named[name].to_numpy()) for name in self.kind._fields))
        self._look(_joined([self.last, _some(rows, 0, 1)]))
        self._look(rows)
        self.last = _some(rows, rows.subscriber.size - 1, rows.subscriber.size)
        return rows

    def _look(self, rows: Rows) -> None:
        """Raise if rows are not what a kernel may see."""
        places = rows.seq if "seq" in self.kind._fields else rows.zone
        found = look(rows.subscriber, places, rows.origin, rows.zone, self.zones)
        if found == _DISORDER or rows.subscriber[0] < 0:
            raise Unfit
        if "t_in" in self.kind._fields and not lasts(rows.t_in, rows.t_out):
            raise Unfit
        if found == _OUTSIDE:
            raise unknown_zone()


def in_step(asked: Asked[Any], kinds: Sequence[type[Any]]) -> Iterator[list[Any]]:
    """Yield rows of presence, and of visits if asked for, of the same subscribers, ascending.

    Parameters
    ----------
    asked
        With the files of its first day.
    kinds
        Named tuples of the wanted columns of presence and, maybe, of visits: `Presence`, `Visits` and their like.

    Raises
    ------
    Unfit
        If the files are not in order, have nulls, or too many rows of one subscriber.
    PrivacyProblem
        If an own row is in a zone that the zoning does not have.
    """
    files = asked.inputs.files
    if files is None:
        raise Unfit
    paths = {"hours_mask": files.presence, "seq": files.visits}
    found = [next(paths[name][0] for name in paths if name in kind._fields) for kind in kinds]
    readers = [_Reader(path, kind, asked.zones) for path, kind in zip(found, kinds, strict=True)]
    while True:
        behind = min(readers, key=lambda reader: reader.bound)
        cut = behind.bound
        yield [reader.before(cut) for reader in readers]
        if cut == _END:
            return
        behind.read()


def _some(rows: Rows, first: int, last: int) -> Rows:
    return type(rows)(*(column[first:last] for column in rows))


def _joined(parts: Sequence[Rows]) -> Rows:
    return type(parts[0])(*(_read_only(np.concatenate(columns)) for columns in zip(*parts, strict=True)))


def _read_only(column: Integers) -> Integers:
    """Make an array read-only, as those of Arrow are: compiled code is made anew for every kind of argument."""
    column.flags.writeable = False
    return column
