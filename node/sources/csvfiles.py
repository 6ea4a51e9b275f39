"""Text files of an operator: their columns, their encoding, and the call of DuckDB that reads them."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np

from node.sources.inputs import Csv
from privacy.errors import DataProblem

#: Rejected lines, as DuckDB notes them: one row for every error of a line.
REJECTS = "csv_rejects"
_BLOCK, _CR, _LF = 1 << 20, 13, 10


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


@dataclass(frozen=True)
class Lines:
    """The lines of a text file.

    Attributes
    ----------
    filled
        Number of lines that are not empty.
    mixed
        Whether they end in different ways: with carriage returns here and without them there.
    """

    filled: int
    mixed: bool


def lines_of(path: Path) -> Lines:
    """Count the lines of a file (DataProblem if it cannot be read to its end)."""
    filled, last, ends = 0, _LF, np.zeros(3, np.int64)
    with _reading(path), _opened(path) as file:
        while block := file.read(_BLOCK):
            now = np.frombuffer(bytes([last]) + block, np.uint8)
            feed, back = now == _LF, now == _CR
            ended = feed | back
            filled += int(np.count_nonzero(ended[1:] & ~ended[:-1]))
            both = int(np.count_nonzero(feed[1:] & back[:-1]))
            # A carriage return at the end of a block is one alone until the next block begins with a line feed.
            ends += (both, int(np.count_nonzero(feed[1:])) - both, int(np.count_nonzero(back[1:])) - both)
            last = int(now[-1])
    return Lines(filled + (last not in {_CR, _LF}), int(np.count_nonzero(ends)) > 1)


def readable(path: Path, form: Csv, scratch: Path) -> tuple[Path, int]:
    """Return a file in UTF-8 whose lines all end alike, and how many it has that are not empty.

    It is the file itself, or a copy in the scratch directory.

    Raises
    ------
    DataProblem
        If it cannot be read to its end.
    """
    if not _is_utf8(form.encoding):
        copy = _new(path, scratch)
        with (
            _reading(path),
            io.TextIOWrapper(_opened(path), form.encoding, errors="replace", newline="") as text,
            copy.open("w", encoding="utf-8", newline="") as out,
        ):
            shutil.copyfileobj(text, out, _BLOCK)
        path = copy
    lines = lines_of(path)
    if lines.mixed:
        copy = _new(path, scratch)
        with (
            _reading(path),
            io.TextIOWrapper(_opened(path), "latin-1", newline=None) as text,
            copy.open("w", encoding="latin-1", newline="\n") as out,
        ):
            # Byte by byte the same but for the ends of lines.
            shutil.copyfileobj(text, out, _BLOCK)
        return copy, lines.filled
    return path, lines.filled


def _new(path: Path, scratch: Path) -> Path:
    return scratch / f"utf8-{path.name.removesuffix('.gz')}-{len(list(scratch.glob('utf8-*')))}"


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what a broken file says into a problem; a full disk stays what it is."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeError):
        raise DataProblem(f"{path} cannot be read to the end", todo="deliver it again") from None


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


def ends_with_newline(path: Path, encoding: str) -> bool:
    """Whether the last line is complete; a delivery that was cut short often is not."""
    last = b""
    with _reading(path), _opened(path) as file:
        while block := file.read(_BLOCK):
            last = (last + block)[-4:]
    return last.decode(encoding, errors="replace").endswith(("\n", "\r"))
