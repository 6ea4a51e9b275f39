"""Text files of an operator: their columns, their encoding, and the call of DuckDB that reads them."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Literal, cast

from node.sources.inputs import Csv
from privacy.errors import DataProblem

#: Rejected lines, as DuckDB notes them: one row for every error of a line.
REJECTS = "csv_rejects"


def _opened(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def column_names(path: Path, form: Csv) -> tuple[str, ...]:
    """Return the names of a file's columns, from its header or the mapping.

    Raises
    ------
    DataProblem
        If there is no header, or it names a column twice (capitals do not count) or not at all.
    """
    names = form.names
    if form.header:
        encoding = "utf-8-sig" if _is_utf8(form.encoding) else form.encoding
        quoting: Literal[0, 3] = 0 if form.quote else 3  # csv.QUOTE_MINIMAL, csv.QUOTE_NONE
        try:
            with io.TextIOWrapper(_opened(path), encoding, errors="replace", newline="") as text:
                reader = csv.reader(
                    text, delimiter=form.delimiter, quotechar=form.quote or None, quoting=quoting
                )
                line = next(reader, [])
        except (OSError, EOFError, csv.Error, ValueError) as error:
            raise DataProblem(
                f"the first line of {path} cannot be read ({type(error).__name__})", todo="deliver it again"
            ) from None
        names = tuple(name.strip() for name in line)
    if not names or "" in names or len({name.lower() for name in names}) != len(names):
        raise DataProblem(
            f"the header of {path} does not name every column once",
            todo="correct the file, or say [source.events.csv] header = false and names",
        )
    return names


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in {"utf-8", "ascii", "utf-8-sig"}


def readable(path: Path, form: Csv, scratch: Path) -> Path:
    """Return a file in UTF-8: itself, or a copy in the scratch directory."""
    if _is_utf8(form.encoding):
        return path
    copy = scratch / f"utf8-{path.name.removesuffix('.gz')}-{len(list(scratch.glob('utf8-*')))}"
    with (
        io.TextIOWrapper(_opened(path), form.encoding, errors="replace", newline="") as text,
        copy.open("w", encoding="utf-8", newline="") as out,
    ):
        shutil.copyfileobj(text, out, 1 << 20)
    return copy


def scan(paths: str, names: Sequence[str], form: Csv) -> str:
    """Return the call of DuckDB that reads files of equal columns, every field as text; bad lines are set aside.

    Parameters
    ----------
    paths
        A list in SQL.
    names
        Of the columns.
    form
        How the files are written.
    """
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    options = {
        "columns": f"{{{columns}}}",
        "delim": literal(form.delimiter),
        "quote": literal(form.quote),
        "escape": literal(form.quote),
        "header": str(form.header).lower(),
        "auto_detect": "false",
        "all_varchar": "true",
        "nullstr": "''",
        "store_rejects": "true",
        "rejects_table": literal(REJECTS),
        "rejects_scan": literal(f"{REJECTS}_scans"),
    }
    return f"read_csv({paths}, {', '.join(f'{key}={value}' for key, value in options.items())})"


def literal(text: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def ends_with_newline(path: Path) -> bool:
    """Whether the last line is complete; a delivery that was cut short often is not."""
    with _opened(path) as file:
        last = b""
        while block := file.read(1 << 20):
            last = block[-1:]
    return last in {b"\n", b"\r"}
