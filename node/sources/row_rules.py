"""The row rules: one statement of DuckDB that gives every raw row its numbers and the first reason against it."""

# ruff: noqa: S608 - the statement is made of names and numbers of ours

from __future__ import annotations

from enum import Enum

from node.sources.daycells import BORDER, DayCells
from node.sources.events import Day
from node.sources.mapping import Source
from node.sources.raw import Raw
from node.sources.reasons import Reason
from node.sources.times import NO, time_sql
from node.tables import CELL, ORIGIN, REASON, SUBSCRIBER, TIME, ZONE, X, Y

_NONE = -1


class Given(Enum):
    """What the identifiers of raw rows are.

    Each row is judged by as few comparisons as that allows: they are a third of the cost of reading a day.
    """

    #: To be replaced: table door_ids has their pseudonyms.
    IDENTIFIERS = "identifiers"
    #: Pseudonyms, if they are whole numbers from 0 to 2⁶³ − 1.
    PSEUDONYMS = "pseudonyms"
    #: Whole numbers from 0 to 2⁶³ − 1, as was seen before, or missing.
    NUMBERS = "numbers"


def rows_statement(source: Source, day: Day, raw: Raw, cells: DayCells, given: Given) -> str:
    """Return the statement that judges the raw rows of a day, which joins the tables that the door has made.

    Parameters
    ----------
    source
        The mapping.
    day
        The local day.
    raw
        The raw rows.
    cells
        The day's cells, as table door_cells.
    given
        What identifiers are.
    """
    time = time_sql(source.time, raw.holds["time"], day)
    inside = f"raw.{TIME} >= {day.start_us} AND raw.{TIME} < {day.end_us}"
    columns = {
        SUBSCRIBER: f"coalesce({subscriber_sql(raw, given)}, {_NONE})",
        TIME: f"coalesce(raw.{TIME}, {_NONE})",
        CELL: f"coalesce(cells.{CELL}, {_NONE})",
        ZONE: f"coalesce(cells.{ZONE}, {_NONE})",
        X: f"coalesce(cells.{X}, 0)",
        Y: f"coalesce(cells.{Y}, 0)",
        ORIGIN: f"coalesce(homes.{ORIGIN}, {_NONE})" if source.roamers else "0",
        REASON: _reason(source, raw, inside, given, doubtful=time.unclear != NO),
    }
    skipped = f" WHERE raw.{TIME} IS NULL OR ({inside})" if source.events.other_days == "skip" else ""
    return (
        f"SELECT {', '.join(f'CAST({text} AS BIGINT) AS {name}' for name, text in columns.items())} "
        f"FROM (SELECT *, {time.t_us} AS {TIME}, {time.unclear} AS unclear "
        f"FROM (SELECT *, {time.chosen} FROM (SELECT *, {time.parsed} FROM {raw.relation}))) AS raw"
        f"{_joins(source, raw, cells, given)}{skipped}"
    )


def subscriber_sql(raw: Raw, given: Given) -> str:
    """Return the SQL of the pseudonym, null for an identifier that is none.

    Parameters
    ----------
    raw
        The raw rows, called raw in the statement.
    given
        What identifiers are.
    """
    if given is Given.IDENTIFIERS:
        return f"ids.{SUBSCRIBER}"
    if given is Given.NUMBERS:
        return "CAST(raw.q_subscriber AS BIGINT)"
    number = "try_cast(raw.q_subscriber AS BIGINT)"
    if raw.holds["subscriber"] == "text":
        number = f"CASE WHEN regexp_full_match(raw.q_subscriber, '[0-9]{{1,19}}') THEN {number} END"
    return f"CASE WHEN {number} >= 0 THEN {number} END"


def _reason(source: Source, raw: Raw, inside: str, given: Given, *, doubtful: bool) -> str:
    parts = [f"raw.q_cell_{part} IS NULL" for part in range(len(source.columns.cell))]
    cases = [
        ("raw.q_subscriber IS NULL", Reason.NULL_SUBSCRIBER),
        *(
            [(f"({subscriber_sql(raw, given)}) IS NULL", Reason.BAD_SUBSCRIBER)]
            * (given is not Given.NUMBERS)
        ),
        ("raw.q_time IS NULL", Reason.NULL_TIME),
        *([("raw.unclear", Reason.AMBIGUOUS_TIME)] * doubtful),
        (f"raw.{TIME} IS NULL", Reason.UNPARSABLE_TIME),
        (f"NOT ({inside})", Reason.OUTSIDE_DAY),
        *_kind_cases(source),
        *_person_cases(source),
        (" OR ".join(parts), Reason.NULL_CELL),
        (f"cells.{CELL} IS NULL", Reason.UNKNOWN_CELL),
        (f"cells.{CELL} < 0", Reason.EXPIRED_CELL),
        (f"cells.{ZONE} < 0", Reason.CELL_WITHOUT_ZONE),
        *_border_case(source),
    ]
    return f"CASE {' '.join(f'WHEN {case} THEN {int(reason)}' for case, reason in cases)} ELSE 0 END"


def _kind_cases(source: Source) -> list[tuple[str, Reason]]:
    if source.kinds is None:
        return []
    return [("kinds.key IS NULL", Reason.UNKNOWN_KIND), ("kinds.counts = 0", Reason.EXCLUDED_KIND)]


def _person_cases(source: Source) -> list[tuple[str, Reason]]:
    cases = []
    if source.roamers is not None:
        cases.append((f"coalesce(homes.{ORIGIN}, {_NONE}) < 0", Reason.UNKNOWN_ORIGIN))
        if source.roamers.inbound == "exclude":
            cases.append((f"homes.{ORIGIN} > 0", Reason.EXCLUDED_ORIGIN))
    tables = ["homes.machine"] * (source.columns.home is not None)
    tables += ["devices.machine"] * (source.columns.device is not None)
    if source.machines is not None and tables:
        machine = " OR ".join(f"coalesce({table}, 0) = 1" for table in tables)
        cases.append((machine, Reason.MACHINE))
    return cases


def _border_case(source: Source) -> list[tuple[str, Reason]]:
    if source.cells.columns.border is None:
        return []
    code = f"' ' || lpad(CAST(homes.{ORIGIN} AS VARCHAR), 3, '0') || ' '"
    reaches = f"homes.{ORIGIN} > 0 AND contains(cells.{BORDER}, {code})"
    return [(reaches, Reason.BORDER_ROAMING)]


def _joins(source: Source, raw: Raw, cells: DayCells, given: Given) -> str:
    joins = [
        ("door_cells AS cells", " AND ".join(_same_part(raw, cells, n) for n in range(len(cells.numeric)))),
    ]
    if given is Given.IDENTIFIERS:
        joins.append(("door_ids AS ids", "raw.q_subscriber = ids.key"))
    if source.columns.home is not None:
        joins.append(("door_homes AS homes", "raw.q_home = homes.key"))
    if source.columns.device is not None:
        joins.append(("door_devices AS devices", "raw.q_device = devices.key"))
    if source.kinds is not None:
        joins.append(("door_kinds AS kinds", "raw.q_kind = kinds.key"))
    return "".join(f" LEFT JOIN {table} ON {condition}" for table, condition in joins)


def _same_part(raw: Raw, cells: DayCells, part: int) -> str:
    """A part of a cell, compared as numbers where both are numbers, and as text otherwise."""
    theirs, ours = f"raw.q_cell_{part}", f"cells.key_{part}"
    if raw.holds[f"cell.{part}"] == "integer":
        return f"{theirs} = {ours}" if cells.numeric[part] else f"CAST({theirs} AS VARCHAR) = {ours}"
    return f"{theirs} = CAST({ours} AS VARCHAR)" if cells.numeric[part] else f"{theirs} = {ours}"
