"""Raw rows in the embedded database: what a reader delivers, before anything is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import duckdb

from privacy.errors import DataProblem

#: What a column holds: whole numbers, other numbers, text, or microseconds of an instant or of a wall clock.
Holds = Literal["integer", "number", "text", "instant", "wall"]
_INTEGERS = frozenset(
    ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
)
#: An instant that is in no day: for times that do not fit into 64 bits.
FAR = -(2**62)
_TEXTS = frozenset(("VARCHAR", "UUID"))
_NUMBERS = frozenset(("FLOAT", "DOUBLE"))
_TIMES: Mapping[str, Holds] = {
    "TIMESTAMP WITH TIME ZONE": "instant",
    "TIMESTAMP_NS WITH TIME ZONE": "instant",
}


@dataclass(frozen=True)
class Raw:
    """A relation with one column for every expression, called `q_` and its name.

    Attributes
    ----------
    relation
        Name of a table or view.
    holds
        What each column holds, by the name of its expression.
    unreadable
        Lines of text files that were no rows.
    """

    relation: str
    holds: Mapping[str, Holds]
    unreadable: int = 0


def alias(name: str) -> str:
    """Return the column of an expression."""
    return "q_" + name.replace(".", "_")


def holds_of(type_: str) -> Holds | None:
    """Return what a column of a DuckDB type holds, None if nothing that is used here."""
    if type_ in _INTEGERS:
        return "integer"
    if type_ in _TEXTS or type_.startswith("ENUM"):
        return "text"
    if type_ in _NUMBERS or type_.startswith("DECIMAL"):
        return "number"
    if "TIME ZONE" in type_ or type_.startswith("TIMESTAMPTZ"):
        return "instant" if type_.startswith("TIMESTAMP") else None
    return "wall" if type_.startswith("TIMESTAMP") or type_ == "DATE" else None


def value_of(expression: str, name: str, holds: Holds) -> str:
    """Return the SQL of DuckDB that brings a value into its form: text without blanks around it, times as numbers.

    Numbers stay numbers where the door reads numbers, and become text elsewhere.
    """
    if name == "time":
        if holds in {"instant", "wall"}:
            type_ = "TIMESTAMPTZ" if holds == "instant" else "TIMESTAMP"
            # What has no place among microseconds of 64 bits is in no day, but is a time.
            found = f"epoch_us(TRY_CAST(({expression}\n) AS {type_}))"
            return f"coalesce({found}, CASE WHEN ({expression}\n) IS NOT NULL THEN {FAR} END)"
        if holds in {"integer", "number"}:
            return f"({expression}\n)"
    elif holds == "integer" and (name == "subscriber" or name.startswith("cell.")):
        return f"({expression}\n)"
    return f"nullif(trim(CAST(({expression}\n) AS VARCHAR)), '')"


def kept(name: str, holds: Holds) -> Holds:
    """Return what a column holds after `value_of`."""
    number = name == "subscriber" or name.startswith("cell.")
    return holds if name == "time" or (number and holds == "integer") else "text"


def require_usable(setting: str, name: str, type_: str, holds: Holds | None, time_typed: bool) -> None:
    """Refuse a column of a type that the door cannot read.

    Parameters
    ----------
    setting, name
        Where the expression is from, and its name.
    type_, holds
        The type in the engine's words, and what it holds.
    time_typed
        Whether times are declared to be of a database's time type.

    Raises
    ------
    DataProblem
        Names the setting.
    """
    if name == "time":
        timely = holds in {"instant", "wall"}
        fine, needed = (
            holds is not None and timely == time_typed,
            "a time" if time_typed else "a number or text",
        )
        todo = f"correct it, or say [source.time] format = {'epoch_ms or a pattern' if time_typed else 'timestamp'}"
    else:
        number = name == "subscriber" or name.startswith("cell.")
        fine = holds in {"integer", "text"} or (holds is not None and not number)
        needed, todo = "a whole number or text", f"correct {setting} in [source], for example with a CAST"
    if not fine:
        raise DataProblem(f"{setting} is {type_}, not {needed}", todo=todo)


def engine_words(error: duckdb.Error) -> str:
    """Return the first line of an engine's message; only for errors that were found before any row was read."""
    return str(error).splitlines()[0].partition(": ")[2] or type(error).__name__


def before_rows(error: duckdb.Error) -> bool:
    """Whether an error was found in the statement, so that its text quotes no data."""
    return isinstance(
        error,
        duckdb.BinderException | duckdb.CatalogException | duckdb.ParserException | duckdb.SyntaxException,
    )
