"""Cleans one local day of an operator: reads, judges every row, keeps clean events, counts what was rejected."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from ibis.backends.duckdb import Backend
from ibis.expr.types import Table

from node.engine import narrow, wide
from node.sources import reading
from node.sources.daycells import DayCells, cells_of
from node.sources.door import Lookups, are_numbers, judged
from node.sources.events import Day, clean
from node.sources.mapping import Source
from node.sources.persons import write_persons
from node.sources.pseudonyms import Mapper, national_key, period_of, subscriber_key
from node.sources.quality import counted, counts
from node.sources.ranges import Ranges, listed
from node.sources.raw import Raw, before_rows
from node.sources.reading import Place
from node.sources.register import Version, read_register, require_flawless
from node.sources.rules import Machines
from node.sources.sequence import sequenced
from node.tables import CELL, ORIGIN, REASON, SUBSCRIBER, TIME, ZONE
from privacy.errors import DataProblem, ResourceProblem

_JUDGED = "judged_rows"


@dataclass(frozen=True)
class Cleaned:
    """A day after cleaning.

    Attributes
    ----------
    rows
        subscriber, t_us, cell, zone, origin, reason of every row.
    events
        The clean ones.
    found
        Number of rows by reason.
    cells
        The day's cells.
    raw
        The rows as they came.
    """

    rows: Table
    events: Table
    found: dict[str, int]
    cells: DayCells
    raw: Raw

    @staticmethod
    def forget(db: Backend) -> None:
        """Give back what the rows take; they and the events cannot be read any more."""
        db.drop_table(_JUDGED, force=True)


@dataclass(frozen=True)
class Judged:
    """A day that the row rules have judged.

    Attributes
    ----------
    rows
        subscriber, t_us, cell, zone, x_m, y_m, origin, reason of every row; read when they are asked for.
    unreadable
        Lines that were no rows.
    cells
        The day's cells.
    pseudonyms
        Makes pseudonyms of the subscribers, which are numbers as they came; None if they are pseudonyms already.
    looked_up
        Whether subscribers are replaced through a table of all of them.
    raw
        The rows as they came.
    """

    rows: Table
    unreadable: int
    cells: DayCells
    pseudonyms: Mapper | None
    looked_up: bool
    raw: Raw


class Cleaner:
    """Cleans the days of one operator.

    Parameters
    ----------
    source
        The mapping.
    place
        Where is read.
    time_zone
        Of local days.
    secret
        The node's own secret.

    Raises
    ------
    UsageProblem
        If a key or a list cannot be read.
    """

    def __init__(self, source: Source, place: Place, time_zone: str, secret: bytes) -> None:
        self.source, self.place, self._time_zone = source, place, time_zone
        given = source.pseudonyms.given
        self._key = None if given else subscriber_key(source.pseudonyms, place.root, secret)
        self._national = national_key(source.pseudonyms, place.root)
        machines = source.machines or Machines()
        self._own = Ranges.of(source.roamers.own if source.roamers else ())
        self._devices = Ranges.of([*machines.devices, *self._listed(machines.devices_file)])
        self._subscriptions = Ranges.of([*machines.subscriptions, *self._listed(machines.subscriptions_file)])

    def _listed(self, name: str) -> list[str]:
        return listed(self.place.root / name) if name else []

    def day(self, day: date) -> Day:
        """Return a local day."""
        return Day.of(day, self._time_zone)

    def lookups(self, day: date) -> Lookups:
        """Return what values of a day are looked up in."""
        period = period_of(day, self.source.pseudonyms.period)
        mapper = None if self._key is None else Mapper(self._key, "subscriber", period)
        return Lookups(mapper, self._own, self._devices, self._subscriptions)

    def read_cells(self, db: Backend) -> tuple[list[dict[str, Any]], int]:
        """Return the rows of the cell register, and the number of lines that are none (DataProblem)."""
        try:
            return reading.read_cells(db.con, self.source, self.place)
        except duckdb.Error as error:
            raise problem_of(error, "the cell register") from None

    def register(self, db: Backend, codes: list[str]) -> list[Version]:
        """Return the versions of the cell register (DataProblem if anything is wrong with it)."""
        rows, unreadable = self.read_cells(db)
        if unreadable:
            raise DataProblem(
                f"the cell register has {unreadable} line(s) that are no rows", todo="correct the file"
            )
        versions, flaws = read_register(rows, self.source.cells, codes, self.place.root)
        require_flawless(flaws, len(rows), "the cell register")
        return versions

    def require_fit(self, db: Backend, day: date) -> None:
        """Refuse a day whose tables are missing, or do not fit the expressions (DataProblem); reads no row."""
        reading.require_there(self.source, self.place.root, day)
        reading.read_events(db.con, self.source, self.place, day, limit=0)

    def judge(self, db: Backend, versions: list[Version], day: date, *, numbers: bool = False) -> Judged:
        """Read a day, and judge its rows by the row rules.

        Parameters
        ----------
        db
            The embedded database, which has the rows afterwards.
        versions
            The cell register.
        day
            The local day.
        numbers
            Whether identifiers that are whole numbers may stay what they are; the caller makes the pseudonyms then.

        Raises
        ------
        DataUnavailable, DataProblem
            If the day cannot be read.
        ResourceProblem
            If the disk is full.
        """
        cells, lookups = cells_of(versions, day), self.lookups(day)
        with reading_of(day):
            raw = reading.read_events(db.con, self.source, self.place, day)
            whole = numbers and are_numbers(db.con, raw)
            later = lookups.pseudonyms if whole else None
            if whole:
                lookups = replace(lookups, pseudonyms=None)
            rows = judged(db, self.source, self.day(day), raw, cells, lookups, whole=whole)
            return Judged(rows, raw.unreadable, cells, later, lookups.pseudonyms is not None, raw)

    def clean(self, db: Backend, versions: list[Version], day: date) -> Cleaned:
        """Clean a day; errors as of `judge`."""
        found = self.judge(db, versions, day)
        with reading_of(day):
            kept = sequenced(found.rows, self.source.sequence)
            kept = kept.select(SUBSCRIBER, TIME, CELL, ZONE, ORIGIN, REASON)
            rows = stored(db, _JUDGED, kept)
            reasons = counts(counted(rows), found.unreadable)
            return Cleaned(rows, clean(rows), reasons, found.cells, found.raw)

    def persons(self, db: Backend, raw: Raw, day: date, presence: Path, target: Path) -> bool:
        """Write who of a day's presence is which person; return whether the operator wants that."""
        if self._national is None:
            return False
        national = Mapper(self._national, "national", period_of(day, self.source.pseudonyms.period))
        write_persons(db.con, raw, self.lookups(day).pseudonyms, national, presence, target)
        return True

    def origin(self, day: date) -> Mapping[str, str]:
        """Return digests of all that a day's clean events depend on."""
        known = [
            hmac.digest(key, b"quorate.pseudonym.check", hashlib.sha256).hex() if key else ""
            for key in (self._key, self._national)
        ]
        return {
            **reading.origin(self.source, self.place, day),
            "source": self.source.model_dump_json(exclude={"first_day", "last_day"}),
            "pseudonyms": known[0],
            "national": known[1],
            "door": _code(),
        }


def _code() -> str:
    """Return a digest of the code of this package."""
    state = hashlib.sha256(b"quorate.sources.v1")
    for path in sorted(Path(__file__).parent.glob("*.py")):
        state.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return state.hexdigest()


def stored(db: Backend, name: str, rows: Table) -> Table:
    """Return rows that are computed once and kept in the database, all of their columns int64 as before."""
    return wide(db.create_table(name, narrow(rows), temp=True, overwrite=True))


@contextmanager
def reading_of(day: date) -> Iterator[None]:
    """Turn what the engine says while it reads a day into a problem that quotes no data."""
    try:
        yield
    except duckdb.Error as error:
        raise problem_of(error, f"the events of {day}") from None


def problem_of(error: duckdb.Error, what: str) -> Exception:
    """Return the problem that an engine's error is; its text may quote data, and is not part of it.

    Parameters
    ----------
    error
        Of the embedded database.
    what
        What was read.
    """
    if isinstance(error, duckdb.OutOfMemoryException):
        return error
    if isinstance(error, duckdb.IOException) and "write" in str(error).lower():
        return ResourceProblem(
            f"there is no room on the disk for {what}",
            means="nothing was kept",
            todo="make room, then try again",
        )
    if isinstance(
        error, duckdb.ConversionException | duckdb.InvalidInputException | duckdb.OutOfRangeException
    ):
        return DataProblem(
            f"an expression fails on a row of {what}",
            means="an expression must give null for what it cannot read",
            todo="use TRY_CAST or TRY(…) in [source]; quorate-node source check shows the row",
        )
    if isinstance(error, duckdb.Error) and before_rows(error):
        return DataProblem(
            f"an expression does not fit {what}", todo="correct it; quorate-node source check helps"
        )
    return DataProblem(f"{what} cannot be read to the end", todo="deliver them again")
