"""Read one local day of an operator's events: check the files, judge every row, keep the good ones."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.duckdb import Backend
from ibis.expr.types import Table

from node.config import Source
from node.engine import read_one
from node.tables import CELL, COUNT, REASON, SUBSCRIBER, TIME, ZONE
from privacy.errors import DataProblem, DataUnavailable
from quorate.contract.calendar import midnight_us

#: Columns of the event file, as the configuration calls them, that must be integers.
INTEGERS = frozenset({"subscriber", "time", "cell"})
_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}
#: Reasons in the order in which they are looked for; a row has the first that applies.
REASONS = (
    "null_subscriber",
    "negative_subscriber",
    "null_time",
    "outside_day",
    "null_cell",
    "unknown_cell",
    "duplicate",
)


@dataclass(frozen=True)
class Day:
    """A local day in absolute time: [start_us, end_us) in microseconds since the epoch."""

    local: date
    start_us: int
    end_us: int

    @classmethod
    def of(cls, day: date, time_zone: str) -> Day:
        """Return a local day of a time zone."""
        return cls(day, midnight_us(day, time_zone), midnight_us(day + timedelta(days=1), time_zone))


def events_path(source: Source, root: Path, day: date) -> Path:
    """Return the event file of a day."""
    return root / source.events.replace("{day}", day.isoformat())


def check_parquet(path: Path, columns: dict[str, str], integers: Collection[str]) -> None:
    """Refuse a file that is missing, empty, not Parquet, or lacks a column or has one of another type.

    Parameters
    ----------
    path
        The file.
    columns
        Name in the file by name in the configuration.
    integers
        Configuration names whose column must be an integer.

    Raises
    ------
    DataUnavailable
        If the file is not there.
    DataProblem
        If it cannot be used.
    """
    if not path.is_file():
        raise DataUnavailable(
            f"the data file {path} is not there",
            means="the day cannot be built, so no statistic can be made of it",
            todo="deliver the file, correct [source] in node.toml, or declare the day in unavailable_days "
            "of policy.toml",
        )
    if path.stat().st_size == 0:
        raise DataProblem(f"the data file {path} is empty", todo="deliver it again")
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise DataProblem(f"{path} is not a readable Parquet file", todo="deliver it again") from error
    for name, column in columns.items():
        if column not in schema.names:
            raise DataProblem(
                f"{path} has no column {column!r} (it has: {', '.join(schema.names)})",
                todo=f"correct the name of the {name} column in node.toml",
            )
        if name in integers and not pa.types.is_integer(schema.field(column).type):
            raise DataProblem(
                f"column {column!r} of {path} is {schema.field(column).type}, not an integer",
                todo=f"name the right {name} column in node.toml",
            )


def require_rows(path: Path, day: date) -> None:
    """Refuse an event file without rows (DataProblem); reads its footer only."""
    if pq.read_metadata(path).num_rows == 0:
        raise _no_rows(day)


def _no_rows(day: date) -> DataProblem:
    return DataProblem(
        f"the event file of {day} has no rows",
        todo="deliver it again, or declare the day in unavailable_days",
    )


def read_cells(source: Source, root: Path, codes: list[str]) -> pa.Table:
    """Return the cell table as (cell, zone index), int64.

    Raises
    ------
    DataProblem
        If the table cannot be used, names a zone that the zoning does not have, or a cell twice.
    """
    path, names = root / source.cells, source.cell_columns
    check_parquet(path, {"cell": names.cell, "zone": names.zone}, {"cell"})
    try:
        table = pq.read_table(path, columns=[names.cell, names.zone])
        zones = table.column(names.zone).cast(pa.string()).to_pylist()
        cells = table.column(names.cell).cast(pa.int64())
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataProblem(
            f"the cell table {path} cannot be read as cells and zone codes", todo="correct the cell table"
        ) from error
    index = {code: position for position, code in enumerate(codes)}
    unknown = sorted({str(zone) for zone in zones if zone not in index})
    if unknown:
        raise DataProblem(
            f"{path} names {len(unknown)} zone(s) that the zoning does not have, for example {unknown[0]}",
            todo="assign every cell to a zone of the charter's zoning",
        )
    if not len(cells) or cells.null_count or len(cells.unique()) != len(cells):
        raise DataProblem(
            f"{path} is empty, or names a cell twice or not at all", todo="correct the cell table"
        )
    return pa.table({CELL: cells, ZONE: pa.array([index[zone] for zone in zones], pa.int64())})


def judged(connection: Backend, source: Source, root: Path, day: Day, cells: Table) -> Table:
    """Return the rows of a day's file as (subscriber, t_us, cell, zone, reason), duplicates not yet judged.

    Raises
    ------
    DataUnavailable, DataProblem
        If the file cannot be used.
    """
    path, names = events_path(source, root, day.local), source.columns
    check_parquet(path, names.model_dump(), INTEGERS)
    raw = read_one(connection, path)
    unit = _UNITS[source.time_unit]
    rows = raw.select(
        **{
            # What does not fit into 64 bits becomes null, and is rejected as such.
            SUBSCRIBER: raw[names.subscriber].try_cast("int64"),
            "time": raw[names.time].try_cast("int64"),
            CELL: raw[names.cell].try_cast("int64"),
        }
    )
    rows = rows.left_join(cells.rename(known_cell=CELL), [(CELL, "known_cell")])
    inside = (rows.time >= -(-day.start_us // unit)) & (rows.time < -(-day.end_us // unit))
    reason = ibis.cases(
        (rows[SUBSCRIBER].isnull(), "null_subscriber"),
        (rows[SUBSCRIBER] < 0, "negative_subscriber"),
        (rows.time.isnull(), "null_time"),
        (~inside, "outside_day"),
        (rows[CELL].isnull(), "null_cell"),
        (rows.known_cell.isnull(), "unknown_cell"),
        else_="",
    )
    # Times outside the day may be anything, and would overflow the conversion to microseconds.
    time = ibis.ifelse(inside, rows.time, 0) * unit
    return rows.select(SUBSCRIBER, CELL, ZONE, **{TIME: time, REASON: reason})


def accepted(rows: Table) -> Table:
    """Return the distinct accepted rows of judged ones as (subscriber, t_us, cell, zone)."""
    good = rows.filter(rows[REASON] == "")
    return good.group_by([SUBSCRIBER, TIME, CELL, ZONE]).aggregate(**{COUNT: good.count()}).drop(COUNT)


def counts(rows: Table, kept: int) -> dict[str, int]:
    """Return the number of rows by reason, with `accepted` and `total`; stays inside the operator."""
    by_reason = {
        str(record[REASON]): int(record[COUNT])
        for record in rows.group_by(REASON).aggregate(**{COUNT: rows.count()}).to_pyarrow().to_pylist()
    }
    good = by_reason.pop("", 0)
    total = good + sum(by_reason.values())
    return {
        "total": total,
        "accepted": kept,
        **dict.fromkeys(REASONS, 0),
        **by_reason,
        "duplicate": good - kept,
    }


def gate(found: dict[str, int], source: Source, day: date) -> None:
    """Refuse a day without usable rows or with too many rejected ones, before any order is looked at.

    Raises
    ------
    DataProblem
        Says which rule; the counts themselves are in the operator's quality file only.
    """
    details = f"the counts by reason are in quality/{day}.json of the node's directory"
    if found["total"] == 0:
        raise _no_rows(day)
    if found["accepted"] == 0:
        raise DataProblem(
            f"all rows of {day} are rejected", means=details, todo="correct the mapping or the delivery"
        )
    rejected = found["total"] - found["accepted"]
    if rejected * 1000 > source.max_rejected_permille * found["total"]:
        raise DataProblem(
            f"more than {source.max_rejected_permille / 10:g} % of the rows of {day} are rejected",
            means=details,
            todo="correct the delivery, or raise max_rejected_permille in node.toml if this is normal",
        )
