"""Reads the tables that a mapping names, whatever kind they are, and tells whether they have changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from node.sources import files, postgres
from node.sources.expressions import runnable
from node.sources.files import Connection, Wanted
from node.sources.inputs import Cells, Events, expressions
from node.sources.mapping import Source
from node.sources.paths import files_of, with_day
from node.sources.raw import Raw, alias
from privacy.errors import DataProblem

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

RAW_EVENTS, RAW_CELLS = "raw_events", "raw_cells"


@dataclass(frozen=True)
class Place:
    """Where a node reads: its directory, a scratch directory, and the limits of an engine.

    Attributes
    ----------
    root
        What relative paths start at.
    scratch
        For copies and for spilling.
    threads, memory
        Of an engine that is started in this process, memory as `2GB`.
    """

    root: Path
    scratch: Path
    threads: int = 2
    memory: str = "2GB"


def read_events(
    connection: Connection, source: Source, place: Place, day: date, limit: int | None = None
) -> Raw:
    """Make the relation of a day's raw rows.

    Raises
    ------
    DataUnavailable, DataProblem
        If they cannot be read, or an expression does not fit them.
    """
    wanted = Wanted(
        RAW_EVENTS,
        "columns",
        {name: runnable(text, source.events.dialect) for name, text in expressions(source.columns)},
        with_day(source.events.where, day),
        source.time.format == ("timestamp",),
        limit,
    )
    return _read(connection, wanted, source.events, place, day)


def read_cells(connection: Connection, source: Source, place: Place) -> tuple[list[dict[str, Any]], int]:
    """Return the rows of the cell register by the names of their expressions, and the number of unreadable lines."""
    cells = source.cells
    texts = dict(expressions(cells.columns))
    if not cells.polygons:
        texts.setdefault("zone", "zone")
    columns = {name: runnable(text, cells.dialect) for name, text in texts.items()}
    raw = _read(connection, Wanted(RAW_CELLS, "cells.columns", columns, cells.where), cells, place, None)
    names = {alias(name): name for name in columns}
    table: pa.Table = connection.sql(f"SELECT * FROM {raw.relation}").to_arrow_table()  # noqa: S608 - ours
    return [{names[key]: value for key, value in row.items()} for row in table.to_pylist()], raw.unreadable


def _read(
    connection: Connection, wanted: Wanted, what: Events | Cells, place: Place, day: date | None
) -> Raw:
    if what.kind == "postgres":
        return postgres.read(connection, wanted, what, place.root)
    if what.kind == "spark":
        from node.sources import spark

        with _frame(what, wanted.where, place, day) as found:
            return spark.read(connection, replace(wanted, where=""), found)
    return files.read(connection, wanted, what, files_of(what.path, place.root, day), place.scratch)


@contextmanager
def _frame(what: Events | Cells, where: str, place: Place, day: date | None) -> Iterator[DataFrame]:
    from node.sources import spark

    memory = place.memory.removesuffix("B").lower()
    with spark.opened(what, place.threads, memory, place.scratch) as session:
        yield spark.frame(session, what, where, place.root, day)


def require_there(source: Source, root: Path, day: date) -> None:
    """Refuse a day whose files are missing, no such files, or without rows; a database is not asked.

    Raises
    ------
    DataUnavailable, DataProblem
        Names the file or the day.
    """
    events = source.events
    if events.path and events.kind != "spark":
        found = files_of(events.path, root, day)
        files.require_files(events, found)
        if not files.has_rows(events, found):
            raise no_rows(day)


def no_rows(day: date) -> DataProblem:
    """Return the problem of a day without rows."""
    return DataProblem(
        f"{day} has no rows", todo="deliver them again, or declare the day in unavailable_days"
    )


def origin(source: Source, place: Place, day: date) -> Mapping[str, str]:
    """Return digests of what a day is built of: its events, the cell register, polygons and lists."""
    machines = source.machines
    lists = [machines.devices_file, machines.subscriptions_file] if machines else []
    others = [source.cells.polygons, *lists]
    return {
        "events": _digest(
            source.events, with_day(source.events.where, day), source.events.version, place, day
        ),
        "cells": _digest(source.cells, source.cells.where, "", place, None),
        "lists": _joined([_file_digest(place.root / name) for name in others if name]),
    }


def _digest(what: Events | Cells, where: str, version: str, place: Place, day: date | None) -> str:
    if what.kind == "postgres":
        return _joined([postgres.fingerprint(what, where, version, place.root)])
    if what.kind == "spark":
        from node.sources import spark

        with _frame(what, where, place, day) as found:
            return _joined([spark.fingerprint(found, version)])
    digests = [_file_digest(path) for path in files_of(what.path, place.root, day)]
    return digests[0] if len(digests) == 1 else _joined(digests)


def _joined(texts: list[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
