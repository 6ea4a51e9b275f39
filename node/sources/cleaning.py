"""Cleans one local day of an operator: reads, judges every row, keeps clean events, counts what was rejected."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from ibis.backends.duckdb import Backend
from ibis.expr.types import Table

from node.sources import reading
from node.sources.daycells import DayCells, cells_of
from node.sources.door import Lookups, judged
from node.sources.events import Day, clean
from node.sources.mapping import Source
from node.sources.pseudonyms import Mapper, period_of, subscriber_key
from node.sources.quality import counts
from node.sources.ranges import Ranges, listed
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
    """

    rows: Table
    events: Table
    found: dict[str, int]
    cells: DayCells


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

    def clean(self, db: Backend, versions: list[Version], day: date) -> Cleaned:
        """Clean a day.

        Raises
        ------
        DataUnavailable, DataProblem
            If the day cannot be read.
        ResourceProblem
            If the disk is full.
        """
        cells = cells_of(versions, day)
        try:
            raw = reading.read_events(db.con, self.source, self.place, day)
            rows = judged(db, self.source, self.day(day), raw, cells, self.lookups(day))
            kept = sequenced(rows, self.source.sequence).select(SUBSCRIBER, TIME, CELL, ZONE, ORIGIN, REASON)
            found = db.create_table(_JUDGED, kept, temp=True, overwrite=True)
            return Cleaned(found, clean(found), counts(found, raw.unreadable), cells)
        except duckdb.Error as error:
            raise problem_of(error, f"the events of {day}") from None

    def origin(self, day: date) -> Mapping[str, str]:
        """Return digests of all that a day's clean events depend on."""
        known = (
            b"" if self._key is None else hmac.digest(self._key, b"quorate.pseudonym.check", hashlib.sha256)
        )
        return {
            **reading.origin(self.source, self.place, day),
            "source": self.source.model_dump_json(exclude={"first_day", "last_day"}),
            "pseudonyms": known.hex(),
            "door": _code(),
        }


def _code() -> str:
    """Return a digest of the code of this package."""
    state = hashlib.sha256(b"quorate.sources.v1")
    for path in sorted(Path(__file__).parent.glob("*.py")):
        state.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return state.hexdigest()


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
    return DataProblem(f"{what} cannot be read to the end", todo="deliver them again")
