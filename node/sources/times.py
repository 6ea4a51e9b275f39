"""Times as microseconds since the epoch: forms of text, and the local clock by integer arithmetic alone.

An engine's own time-zone functions are not used (ENGINE.md): offsets come from the time-zone database of
Python, as pieces of constant offset around the day, and an instant is the clock minus the offset of the piece
that it falls into. A time that the clock showed twice has two such pieces, and one that it never showed has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from node.sources.csvfiles import literal
from node.sources.events import Day
from node.sources.raw import FAR, Holds
from node.sources.rules import EPOCHS, Times

_US = 1_000_000
#: SQL of a form that never gives such a time, and of what no row is.
_NEVER, NO = "NULL::BIGINT", "false"
_ISO = r"^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?) ?([Zz]|[+-]\d{2}(?::?\d{2})?)?$"
_NUMBER = r"^-?\d{1,18}(\.\d*)?$"


@dataclass(frozen=True)
class Piece:
    """A stretch of time with one offset from UTC: [start_us, end_us), None without an end."""

    start_us: int | None
    end_us: int | None
    offset_us: int


def pieces_around(day: Day, zone: str) -> list[Piece]:
    """Return the pieces of constant offset of a zone, from three days before a local day to three after.

    The first and the last have no outer end, because what falls there is in another day anyway.
    """
    first, last = day.start_us // _US - 3 * 86_400, day.end_us // _US + 3 * 86_400
    clock, changes = ZoneInfo(zone), []
    for start in range(first, last, 900):
        if _offset(start, clock) != _offset(start + 900, clock):
            changes.append(_change(start, start + 900, clock))
    edges = [None, *(change * _US for change in changes), None]
    inside = [first, *changes]
    return [
        Piece(start, end, _offset(moment, clock) * _US)
        for start, end, moment in zip(edges[:-1], edges[1:], inside, strict=True)
    ]


def _offset(second: int, clock: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(second, UTC).astimezone(clock).utcoffset() or timedelta()
    return offset // timedelta(seconds=1)


def _change(before: int, after: int, clock: ZoneInfo) -> int:
    """Return the first second with the later offset."""
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(middle, clock) == _offset(before, clock):
            before = middle
        else:
            after = middle
    return after


@dataclass(frozen=True)
class TimeSql:
    """SQL of DuckDB for the times of raw rows, in three steps of nested selects.

    Attributes
    ----------
    parsed
        Columns of the first step, from `q_time`: `instant_us` and `wall_us` by form.
    chosen
        Columns of the second step: `instant_us` and `wall_us`, of the first form that fits.
    t_us
        Instant in microseconds; null if no form fits or the clock's time is not one instant.
    unclear
        Whether the clock showed the time twice or never; `NO` if no row's can.
    """

    parsed: str
    chosen: str
    t_us: str
    unclear: str


def time_sql(times: Times, holds: Holds, day: Day) -> TimeSql:
    """Return how times become instants.

    Parameters
    ----------
    times
        The forms.
    holds
        What the column of times holds.
    day
        The local day, around which offsets are looked up.
    """
    forms = [_form(form, holds, times.zone is not None) for form in times.format]
    parsed = ", ".join(
        f"{instant} AS instant_{n}, {wall} AS wall_{n}" for n, (instant, wall) in enumerate(forms)
    )
    chosen = _first(len(forms))
    if all(wall == _NEVER for _instant, wall in forms):
        return TimeSql(parsed, chosen, "instant_us", NO)
    local, unclear = _from_clock(times, day)
    if unclear != NO:
        unclear = f"(instant_us IS NULL AND {unclear})"
    return TimeSql(parsed, chosen, f"coalesce(instant_us, {local})", unclear)


def _first(forms: int) -> str:
    """Return the SQL that chooses the first form that fits."""
    if forms == 1:
        return "instant_0 AS instant_us, wall_0 AS wall_us"
    fits = [f"instant_{n} IS NOT NULL OR wall_{n} IS NOT NULL" for n in range(forms)]
    return ", ".join(
        "CASE " + " ".join(f"WHEN {fit} THEN {what}_{n}" for n, fit in enumerate(fits)) + f" END AS {what}_us"
        for what in ("instant", "wall")
    )


def _form(form: str, holds: Holds, zoned: bool) -> tuple[str, str]:
    """Return the SQL of the instant and of the clock's time; one of the two is null for every row."""
    if form == "timestamp":
        near = f"CASE WHEN q_time BETWEEN {FAR} AND {-FAR} THEN q_time WHEN q_time IS NOT NULL THEN {FAR} END"
        return ("q_time", _NEVER) if holds == "instant" else (_NEVER, near if zoned else _NEVER)
    if form in EPOCHS:
        return _epoch(EPOCHS[form], holds), _NEVER
    text = "q_time" if holds == "text" else "CAST(q_time AS VARCHAR)"
    if form == "iso":
        return _iso(text, zoned)
    parsed = f"epoch_us(try_strptime({text}, {literal(form)}))"
    return (parsed, _NEVER) if "%z" in form else (_NEVER, parsed)


def _epoch(unit: int, holds: Holds) -> str:
    """What is too large for 64 bits is no time of any day, and must not overflow."""
    if holds == "integer":
        most = 2**62 // unit
        return (
            f"CASE WHEN q_time BETWEEN {-most} AND {most} THEN CAST(q_time AS BIGINT) * {unit} "
            f"WHEN q_time IS NOT NULL THEN {FAR} END"
        )
    exact = f"coalesce(try_cast(floor(CAST(q_time AS DECIMAL(38, 9)) * {unit}) AS BIGINT), {FAR})"
    if holds == "text":
        return f"CASE WHEN regexp_full_match(q_time, {literal(_NUMBER[1:-1])}) THEN {exact} END"
    # A product of decimals keeps their digits, of which there may be too few, or too many before the point; a binary
    # fraction is not what it was after a cast to a decimal.
    binary = f"CAST(floor(CAST(q_time AS DOUBLE) * {unit}) AS BIGINT)"
    size = "abs(CAST(q_time AS DOUBLE))"
    return (
        f"CASE WHEN {size} < {2**62 // unit} "
        f"THEN CASE WHEN typeof(q_time) LIKE 'DECIMAL%' THEN {exact} ELSE {binary} END "
        f"WHEN isfinite({size}) THEN {FAR} END"
    )


def _iso(text: str, zoned: bool) -> tuple[str, str]:
    day, clock, offset = (f"regexp_extract({text}, {literal(_ISO)}, {part})" for part in (1, 2, 3))
    wall = f"epoch_us(try_cast(nullif({day} || ' ' || {clock}, ' ') AS TIMESTAMP))"
    digits = f"replace({offset}, ':', '')"
    minutes = (
        f"(CASE WHEN {offset} IN ('Z', 'z') THEN 0 ELSE (CASE WHEN {offset}[1] = '-' THEN -1 ELSE 1 END) * "
        f"(try_cast({digits}[2:3] AS BIGINT) * 60 + coalesce(try_cast({digits}[4:5] AS BIGINT), 0)) END)"
    )
    instant = f"CASE WHEN {offset} <> '' THEN {wall} - {minutes} * 60000000 END"
    return instant, f"CASE WHEN {offset} = '' THEN {wall} END" if zoned else _NEVER


def _from_clock(times: Times, day: Day) -> tuple[str, str]:
    """Return the SQL of the instant of `wall_us`, and of whether it is none or two."""
    if times.zone is None:
        return _NEVER, NO
    pieces = pieces_around(day, times.zone)
    if len(pieces) == 1:
        return f"wall_us - {pieces[0].offset_us}", NO
    inside = [_inside(piece) for piece in pieces]
    count = " + ".join(f"CAST({condition} AS INTEGER)" for condition in inside)
    ordered = list(zip(inside, pieces, strict=True))
    if times.ambiguous == "second":
        ordered.reverse()
    instant = "CASE " + " ".join(f"WHEN {c} THEN wall_us - {p.offset_us}" for c, p in ordered) + " END"
    unclear = f"({count}) <> 1" if times.ambiguous == "reject" else f"({count}) = 0"
    return f"CASE WHEN NOT ({unclear}) THEN {instant} END", f"(wall_us IS NOT NULL AND {unclear})"


def _inside(piece: Piece) -> str:
    instant = f"wall_us - {piece.offset_us}"
    ends: Sequence[str] = [
        *([f"{instant} >= {piece.start_us}"] if piece.start_us is not None else []),
        *([f"{instant} < {piece.end_us}"] if piece.end_us is not None else []),
    ]
    return "(" + " AND ".join(ends) + ")"
