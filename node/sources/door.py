"""The door: raw rows become rows of integers with pseudonyms and the first reason that speaks against each.

Nothing behind it sees an identifier of the operator. Identifiers, home networks and devices are looked up once for
each distinct value, in Python, and joined as tables: none of them is ever part of a statement.
"""

# ruff: noqa: S608 - statements are made of names and numbers of ours; values come as tables

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ibis.backends.duckdb import Backend
from ibis.expr.types import Table
from numpy.typing import NDArray

from node.sources.daycells import DayCells
from node.sources.events import Day
from node.sources.files import Connection
from node.sources.mapping import Source
from node.sources.pseudonyms import Mapper
from node.sources.ranges import Ranges
from node.sources.raw import Raw
from node.sources.row_rules import Given, rows_statement
from node.tables import ORIGIN, SUBSCRIBER

ROWS = "rows_of_day"
_CHUNK = 1_000_000
_NONE = -1
Looked = Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Lookups:
    """What values are looked up in.

    Attributes
    ----------
    pseudonyms
        Maps identifiers; None if they are pseudonyms already.
    own
        IMSIs of own subscribers.
    devices, subscriptions
        Numbers of machines.
    """

    pseudonyms: Mapper | None
    own: Ranges
    devices: Ranges
    subscriptions: Ranges


def judged(  # noqa: PLR0917 - what is judged, and by what
    db: Backend,
    source: Source,
    day: Day,
    raw: Raw,
    cells: DayCells,
    lookups: Lookups,
    *,
    whole: bool = False,
    numbered: bool = False,
) -> Table:
    """Return the rows of a day, judged by the row rules.

    Parameters
    ----------
    db
        The embedded database, which has the raw rows.
    source
        The mapping.
    day
        The local day.
    raw
        The raw rows.
    cells
        The day's cells.
    lookups
        Pseudonyms, home networks, machines.
    whole
        Whether identifiers are `are_numbers`, and are not to be replaced.
    numbered
        Whether the raw rows have numbers, which are then kept.

    Returns
    -------
    Table
        subscriber, t_us, cell, zone, x_m, y_m, origin, reason (and q_row), int64 without nulls; what a rejected
        row does not have is -1, or 0 for x_m and y_m.
    """
    connection: Connection = db.con
    _put(connection, "door_cells", cells.table)
    _look_up(connection, source, raw, lookups)
    given = Given.PSEUDONYMS if lookups.pseudonyms is None else Given.IDENTIFIERS
    statement = rows_statement(source, day, raw, cells, Given.NUMBERS if whole else given)
    if numbered:
        statement = statement.replace("SELECT ", "SELECT q_row, ", 1)
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {ROWS} AS {statement}")
    return db.table(ROWS, database=("temp", "main"))


def are_numbers(connection: Connection, raw: Raw) -> bool:
    """Return whether every identifier is a whole number from 0 to 2⁶³ − 1, or missing; reads the column."""
    if raw.holds["subscriber"] != "integer":
        return False
    ((low, high),) = connection.execute(
        f"SELECT coalesce(min(q_subscriber), 0), coalesce(max(q_subscriber), 0) FROM {raw.relation}"
    ).fetchall()
    return bool(low >= 0 and high < 2**63)


def _put(connection: Connection, name: str, table: pa.Table) -> None:
    connection.register("door_arrow", table)
    try:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM door_arrow")
    finally:
        connection.unregister("door_arrow")


def _look_up(connection: Connection, source: Source, raw: Raw, lookups: Lookups) -> None:
    mapper, own = lookups.pseudonyms, lookups.own
    if mapper is not None:
        _each(connection, raw, "q_subscriber", "door_ids", lambda ids: {SUBSCRIBER: mapper(ids.to_pylist())})
    if source.columns.home is not None:
        _each(
            connection, raw, "q_home", "door_homes", lambda homes: _homes(homes, own, lookups.subscriptions)
        )
    if source.columns.device is not None:
        _each(
            connection,
            raw,
            "q_device",
            "door_devices",
            lambda devices: {"machine": lookups.devices.have(devices).astype(np.int64)},
        )
    if source.kinds is not None:
        counts = {code: int(meaning in source.kinds.count) for code, meaning in source.kinds.codes.items()}
        codes, values = pa.array(counts, pa.string()), pa.array(counts.values(), pa.int64())
        _put(connection, "door_kinds", pa.table({"key": codes, "counts": values}))


def _each(
    connection: Connection, raw: Raw, column: str, name: str, look_up: Callable[[pa.Array], Looked]
) -> None:
    """Make a table (key, …) of every distinct value of a column, a million at a time."""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {name}_keys AS "
        f"SELECT DISTINCT {column} AS key FROM {raw.relation} WHERE {column} IS NOT NULL"
    )
    count = connection.execute(f"SELECT count(*) FROM {name}_keys").fetchall()[0][0]
    for start in range(0, max(count, 1), _CHUNK):
        keys: pa.Table = connection.sql(
            f"SELECT key FROM {name}_keys WHERE rowid >= {start} AND rowid < {start + _CHUNK}"
        ).to_arrow_table()
        found = look_up(keys["key"].combine_chunks())
        connection.register("door_arrow", pa.table({"key": keys["key"], **found}))
        verb = f"INSERT INTO {name}" if start else f"CREATE OR REPLACE TEMP TABLE {name} AS"
        connection.execute(f"{verb} SELECT * FROM door_arrow")
        connection.unregister("door_arrow")
    connection.execute(f"DROP TABLE {name}_keys")


def _homes(homes: pa.Array, own: Ranges, machines: Ranges) -> Looked:
    """Return origin (0 own, else the MCC, -1 if there is none) and machine of home networks."""
    beginnings = pc.utf8_slice_codeunits(homes, 0, 3)
    usable = pc.match_substring_regex(beginnings, "^[0-9]{3}$")
    codes = pc.cast(pc.if_else(usable, beginnings, pa.scalar("000", pa.string())), pa.int64())
    codes = codes.to_numpy(zero_copy_only=False)
    origin = np.where(own.have(homes), 0, np.where(codes > 0, codes, _NONE))
    return {ORIGIN: origin.astype(np.int64), "machine": machines.have(homes).astype(np.int64)}
