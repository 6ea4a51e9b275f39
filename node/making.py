"""Two ways to a day that make the same rows: the reference's expressions, and one compiled pass over the rows.

What is made lies in scratch, without a name of its own; `node.building` looks at its quality and gives it one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from ibis.backends.duckdb import Backend
from ibis.expr.types import Table
from numpy.typing import NDArray

from node.config import Engine
from node.engine import connect, hash_key
from node.presence.build import held, presence_of, visits_of
from node.presence.hold import Hold
from node.sources.cleaning import Cleaner, reading_of, stored
from node.sources.daycells import DayCells
from node.sources.quality import Noted, counts, noted
from node.sources.raw import Raw
from node.sources.reasons import Reason
from node.sources.register import Version
from node.sources.rejected import rejected_subscribers, write_rejected
from node.tables import CELL, ORIGIN, REASON, SUBSCRIBER, TIME, ZONE, X, Y

if TYPE_CHECKING:
    from node.presence.plan import Tally

#: Of the memory limit, what the embedded database may take beside the pass: it only reads, or holds a table of all
#: identifiers as well.
_READING, _WITH_IDENTIFIERS = 0.2, 0.4
#: A row group has to fit into it, whatever the limit.
_LEAST_READING = 256 << 20


@dataclass(frozen=True)
class Made:
    """A day in scratch.

    Attributes
    ----------
    found
        Number of rows by reason.
    when
        When its clean events were, and at how many cells.
    cells
        Number of cells that are valid on this day.
    presence, visits
        Parquet files.
    persons
        Parquet file of subscribers and persons, None if the operator does not want it.
    rejected
        Parquet file of the rejected rows, None if they were not asked for.
    rejecting
        Parquet file of the subscribers with a rejected row.
    """

    found: dict[str, int]
    when: Noted
    cells: int
    presence: Path
    visits: Path
    rejecting: Path
    persons: Path | None = None
    rejected: Path | None = None


@dataclass(frozen=True)
class Maker:
    """Makes days.

    Attributes
    ----------
    cleaner
        Reads and cleans.
    versions
        The cell register.
    engine
        Limits of the engine.
    hold
        How long an event says where its subscriber is.
    secret
        The node's own secret, for the keys of ties.
    scratch
        Directory for spilling, and for what is made.
    """

    cleaner: Cleaner
    versions: list[Version]
    engine: Engine
    hold: Hold
    secret: bytes
    scratch: Path

    @contextmanager
    def made(self, day: date, *, rejected: bool) -> Iterator[tuple[Backend, Made]]:
        """Make a day, and keep its engine while it is looked at; its memory and its tables end with it.

        Parameters
        ----------
        day
            The local day.
        rejected
            Whether the rejected rows are kept too; only the expressions can do that.

        Raises
        ------
        DataUnavailable, DataProblem
            If the day cannot be read.
        ResourceProblem
            If the disk is full.
        """
        by_expressions = rejected or self.engine.build == "expressions"
        with connect(self.engine, self.scratch) as db:
            with reading_of(day):
                made = self._by_expressions(db, day, rejected) if by_expressions else self._by_pass(db, day)
            yield db, made

    def _by_expressions(self, db: Backend, day: date, rejected: bool) -> Made:
        local, hold = self.cleaner.day(day), self.hold
        cleaned = self.cleaner.clean(db, self.versions, day)
        when, aside = noted(cleaned.events, local), None
        if rejected:
            aside = self._kept("rejected", cleaned.rows.filter(cleaned.rows[REASON] != int(Reason.ACCEPTED)))
        rejecting = self._rejecting(rejected_subscribers(cleaned.rows))
        kept = stored(db, "held_events", held(cleaned.events, local, hold))
        cleaned.forget(db)
        paths = (
            self._kept("presence", presence_of(kept, local, hold, self._key(day))),
            self._kept("visits", visits_of(kept)),
        )
        persons = self._persons(db, cleaned.raw, day, paths[0])
        return Made(cleaned.found, when, cleaned.cells.valid, *paths, rejecting, persons, aside)

    def _by_pass(self, db: Backend, day: date) -> Made:
        # Compiled code takes a second to load; only who builds a day this way needs it.
        from node.presence.fast import Build
        from node.presence.rows import batches_of

        judged = self.cleaner.judge(db, self.versions, day, numbers=True)
        share = _WITH_IDENTIFIERS if judged.looked_up else _READING
        whole = self.engine.memory_bytes
        reading = max(int(share * whole), min(_LEAST_READING, whole // 2))
        db.raw_sql(f"SET memory_limit = '{reading}B'")
        build = Build(
            day=self.cleaner.day(day),
            rules=self.cleaner.source.sequence,
            hold=self.hold,
            key=self._key(day),
            scratch=self.scratch,
            memory_limit=whole - reading,
            pseudonyms=judged.pseudonyms,
            cells=_register(judged.cells),
            threads=self.engine.threads,
        )
        # Without roamers every origin is 0, which a column that is not there means as well.
        origin = [ORIGIN] if self.cleaner.source.roamers else []
        found = judged.rows
        rows = found.select(
            SUBSCRIBER,
            TIME,
            *origin,
            **{CELL: found[CELL].cast("int32"), REASON: found[REASON].cast("uint8")},
        )
        paths = self._path("presence"), self._path("visits")
        tally = build.files(batches_of(db, rows), *paths)
        for path in paths:
            path.chmod(0o600)
        persons = self._persons(db, judged.raw, day, paths[0])
        reasons = counts(tally.counts, judged.unreadable)
        rejecting = self._rejecting(tally.rejected)
        return Made(reasons, _when(tally), judged.cells.valid, *paths, rejecting, persons)

    def _rejecting(self, subscribers: NDArray[np.int64]) -> Path:
        path = self._path("rejecting")
        write_rejected(subscribers, path)
        return path

    def _persons(self, db: Backend, raw: Raw, day: date, presence: Path) -> Path | None:
        path = self._path("persons")
        return path if self.cleaner.persons(db, raw, day, presence, path) else None

    def _key(self, day: date) -> int:
        return hash_key(self.secret, f"presence|{day}")

    def _path(self, kind: str) -> Path:
        return self.scratch / f"{kind}.parquet"

    def _kept(self, kind: str, table: Table) -> Path:
        path = self._path(kind)
        table.to_parquet(str(path), compression="zstd")
        path.chmod(0o600)
        return path


def _when(tally: Tally) -> Noted:
    hours = np.arange(-(-tally.minutes.size // 60))
    active = (tally.cell_hours[:, np.newaxis] >> hours) & 1
    return Noted(tally.minutes, int(np.count_nonzero(tally.cell_hours)), active.sum(axis=0, dtype=np.int64))


def _register(cells: DayCells) -> pa.Table:
    """Return cell, zone, x_m and y_m of the cells that an accepted row can have."""
    usable = (cells.table[CELL].to_numpy() >= 0) & (cells.table[ZONE].to_numpy() >= 0)
    return cells.table.select([CELL, ZONE, X, Y]).filter(pa.array(usable))
