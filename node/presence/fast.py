"""The fast path: one pass over the judged rows of a day to presence and visits, equal to the reference byte for byte.

An accelerator of `node.sources.sequence` and `node.presence.build`, never a second definition. Rows are spread over
buckets of subscribers, which are worked on one by one: subscribers are numbered, rows sorted by counting, cleaned and
walked through (`node.presence.kernel`, `node.presence.walk`). Memory is bounded: what does not fit is spilled.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from node.presence import output
from node.presence.buckets import Buckets
from node.presence.hold import Hold
from node.presence.output import PRESENCE_TABLE, VISITS_TABLE, Part
from node.presence.plan import Plan, Pseudonyms, Tally
from node.presence.rejected import Rejected
from node.presence.rows import Places, columns_of
from node.presence.spill import Spill
from node.presence.work import Work
from node.sources.events import Day
from node.sources.reasons import Reason
from node.sources.sequence import SequenceRules
from node.tables import CELL, ORIGIN, REASON, SUBSCRIBER, TIME

_COLUMNS = (SUBSCRIBER, TIME, CELL, ORIGIN, REASON)
_KINDS = (PRESENCE_TABLE, VISITS_TABLE)
#: Of the memory limit: rows, and packed presence and visits, which come when the rows go.
_SHARE_OF_ROWS, _SHARE_OF_OUTPUT = 0.75, 0.4
_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Built:
    """A day.

    Attributes
    ----------
    presence, visits
        int64 columns `node.tables.PRESENCE` and `node.tables.VISITS`, in the order of the reference.
    tally
        What was counted on the way.
    """

    presence: pa.Table
    visits: pa.Table
    tally: Tally

    @property
    def counts(self) -> dict[Reason, int]:
        """Number of rows by reason."""
        return self.tally.counts


@dataclass(frozen=True)
class Build(Plan):
    """Builds a day, by the plan that it is."""

    def tables(self, batches: Iterable[pa.RecordBatch]) -> Built:
        """Build a day in memory; parameters and errors as of `build_day`."""
        with Spill(self.scratch) as spill:
            parts, tally = self._parts(batches, spill)
            order = output.order_of(parts[0])
            presence, visits = (
                output.table(kind, found, order, spill, self.day.start_us)
                for kind, found in zip(_KINDS, parts, strict=True)
            )
        return Built(presence, visits, tally)

    def files(self, batches: Iterable[pa.RecordBatch], presence: Path, visits: Path) -> Tally:
        """Build a day as two Parquet files and return what was counted; else as `build_day`."""
        with Spill(self.scratch) as spill, ThreadPoolExecutor(min(self.threads, 2)) as pool:
            parts, tally = self._parts(batches, spill)
            order = output.order_of(parts[0])
            written = [
                pool.submit(output.write, kind, found, order, spill, self.day.start_us, path)
                for kind, found, path in zip(_KINDS, parts, (presence, visits), strict=True)
            ]
            for one in written:
                one.result()
        return tally

    def _parts(
        self, batches: Iterable[pa.RecordBatch], spill: Spill
    ) -> tuple[tuple[list[Part], list[Part]], Tally]:
        """Return presence and visits of every bucket, and what was counted."""
        self.require_usable()
        places, rejected = Places(self.cells), Rejected()
        # The seed decides about no result. It is secret, so that nobody can choose subscribers of one bucket.
        buckets = Buckets(int(_SHARE_OF_ROWS * self.memory_limit), (self.key + 1) * _GOLDEN % 2**64, spill)
        limits = (self.day.start_us, self.day.end_us)
        for batch in batches:
            places.see(batch)
            columns = columns_of(batch, _COLUMNS)
            buckets.add(columns, limits, places.zone_of)
            rejected.see(batch, columns[-1])
        buckets.close()
        work = Work(self, buckets, places, int(_SHARE_OF_OUTPUT * self.memory_limit), spill)
        with ThreadPoolExecutor(self.threads) as pool:
            found = list(pool.map(work.bucket, buckets.filled()))
        presence, visits = [part for part, _visits in found], [part for _presence, part in found]
        return (presence, visits), work.tally(buckets.reasons, rejected)


def build_day(  # noqa: PLR0917 - the interface that the node's engine agreed on
    batches: Iterable[pa.RecordBatch],
    day: Day,
    rules: SequenceRules,
    hold: Hold,
    key: int,
    scratch: Path,
    memory_limit: int,
    pseudonyms: Pseudonyms | None = None,
) -> Built:
    """Build presence and visits of a day in memory.

    Parameters
    ----------
    batches
        Judged rows in any order, int64 columns subscriber, t_us, cell, zone, x_m, y_m, origin, reason.
    day, rules, hold, key, scratch, memory_limit, pseudonyms
        As of `Build`.

    Returns
    -------
    Built
        The same rows in the same order and of the same types as the reference gives.

    Raises
    ------
    DataProblem
        If a row that no rule rejected has a null, a number out of range or a time outside the day; if a cell has two
        places, or two subscribers one pseudonym.
    UsageProblem
        If the day, the hold or the key is out of range.
    OSError
        If the disk is full.
    """
    return Build(day, rules, hold, key, scratch, memory_limit, pseudonyms).tables(batches)
