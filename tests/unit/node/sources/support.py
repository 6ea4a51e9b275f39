"""What the tests of the door share: a mapping, a register, and a day that goes through the door."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.duckdb import Backend

from node.sources import reading
from node.sources.cleaning import Cleaner
from node.sources.daycells import cells_of
from node.sources.door import judged
from node.sources.mapping import Source
from node.sources.reading import Place
from node.sources.reasons import Reason, reason_of
from node.sources.register import Version, read_register
from tests.support_node import BRUSSELS
from tests.unit.node.worlds import ORDINARY_DAY

CODES = ["Z001", "Z002", "Z003"]
SECRET = bytes(range(32))
_numbers = itertools.count()
Judged = list[tuple[dict[str, int], Reason]]


def source_of(**fields: Any) -> Source:
    """Return a mapping; what is not said is as in the smallest one, with pseudonyms that are given."""
    smallest = {
        "events": "{day}.parquet",
        "cells": "cells.parquet",
        "first_day": ORDINARY_DAY,
        "last_day": ORDINARY_DAY,
        "pseudonyms": {"given": True},
    }
    return Source.model_validate(smallest | fields)


def register(rows: Sequence[Mapping[str, Any]], source: Source | None = None) -> list[Version]:
    """Return the versions of a register that has nothing wrong with it."""
    found, flaws = read_register(rows, (source or source_of()).cells, CODES, Path())
    assert not flaws
    return found


#: Cells 1 to 4 in three zones, the last two in one.
CELLS: list[dict[str, Any]] = [
    {"cell.0": n, "zone": zone} for n, zone in ((1, "Z001"), (2, "Z002"), (3, "Z003"), (4, "Z003"))
]


def new_folder(root: Path) -> Path:
    """Return a new directory."""
    folder = root / str(next(_numbers))
    folder.mkdir()
    return folder


def through_the_door(  # noqa: PLR0917 - what goes through, and how
    db: Backend,
    root: Path,
    table: pa.Table,
    source: Source | None = None,
    day: date = ORDINARY_DAY,
    cells: Sequence[Mapping[str, Any]] = tuple(CELLS),
) -> Judged:
    """Return every row of a table of events with the reason against it, in the order of the table."""
    source, folder = source or source_of(), new_folder(root)
    pq.write_table(table, folder / f"{day}.parquet")
    return judge(db, source, folder, day, cells)


def judge(
    db: Backend,
    source: Source,
    folder: Path,
    day: date = ORDINARY_DAY,
    cells: Sequence[Mapping[str, Any]] = tuple(CELLS),
) -> Judged:
    """Return every row of a day's files with the reason against it."""
    cleaner = Cleaner(source, Place(folder, folder), BRUSSELS, SECRET)
    raw = reading.read_events(db.con, source, cleaner.place, day, limit=10**6)
    versions = register(cells, source)
    rows = judged(
        db, source, cleaner.day(day), raw, cells_of(versions, day), cleaner.lookups(day), numbered=True
    )
    found = rows.order_by("q_row").to_pyarrow()
    assert all(field.type == pa.int64() for field in found.schema)
    assert not any(column.null_count for column in found.columns)
    return [(row, reason_of(row["reason"])) for row in found.to_pylist()]


def reasons(found: Judged) -> list[Reason]:
    """Return the reasons alone."""
    return [reason for _row, reason in found]
