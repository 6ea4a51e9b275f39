"""Tables of an operator: where events and cell register are, and which expressions make their columns."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from node.sources.expressions import Dialect, Expression
from node.sources.paths import DAY, unknown_form

Kind = Literal["parquet", "csv", "postgres", "spark"]
_TABLE = re.compile(r"^[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*){0,2}$")
_NO_TEXT = frozenset(
    ("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "unicode-escape")
)
_DIALECTS: dict[str, Dialect] = {"postgres": "postgres", "spark": "spark"}


def several(value: Any) -> Any:
    """One text where a list is meant."""
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(several)]
Expressions = Annotated[tuple[Expression, ...], BeforeValidator(several), Field(min_length=1, max_length=8)]


class Strict(BaseModel):
    """A part of a configuration: unknown settings are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _is_text_encoding(name: str) -> bool:
    """Whether every text of an encoding can be read; Python also calls other things codecs."""
    try:
        # What zip or hex gives is no text, and those of domain names refuse most texts.
        return b"a\n".decode(name, errors="replace") != "" and codecs.lookup(name).name not in _NO_TEXT
    except (LookupError, UnicodeError, ValueError):
        return False


class Csv(Strict):
    """How text files are written.

    Attributes
    ----------
    delimiter, quote
        One character each; an empty quote means that fields are never quoted.
    encoding
        A name that Python knows; bytes that it cannot have are marked, and in UTF-8 reject their line.
    header
        Whether the first line has the names of the columns.
    names
        The names, where no header has them.
    line_breaks
        Whether quoted fields may have line breaks. If not, every line must be a row: those that are not, as behind a
        quote that is never closed, are counted as unreadable.
    """

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', max_length=1)
    encoding: str = "utf-8"
    header: bool = True
    names: tuple[str, ...] = ()
    line_breaks: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Csv:
        if not _is_text_encoding(self.encoding):
            raise ValueError(f"encoding {self.encoding!r} is not known as one of text")
        if self.header == bool(self.names):
            raise ValueError("give names if there is no header, and none if there is one")
        if self.delimiter == self.quote or self.delimiter in "\r\n":
            raise ValueError("the delimiter cannot be the quote or a line break")
        return self


class Input(Strict):
    """A table: files, or a table of a database.

    Attributes
    ----------
    kind
        What reads it: `parquet` and `csv` are files read by the embedded DuckDB.
    path
        Files, or patterns of files; relative to the node's directory. `{day}` is the ISO date, `{day:%Y%m%d}` another
        form of it, `{day-1}` and `{day+1}` the days beside it.
    table
        Of `postgres`, or of `spark` (which has a path otherwise).
    where
        SQL condition that selects rows, in the dialect of the kind; it may have `{day}` too.
    csv
        How text files are written.
    connection_file, connection_env
        File, or environment variable, with the connection string of PostgreSQL. It is never in a log.
    remote
        Address of a Spark Connect server; without it Spark runs in this process.
    """

    kind: Kind = "parquet"
    path: Texts = ()
    table: str = ""
    where: str = ""
    csv: Csv = Csv()
    connection_file: str = ""
    connection_env: str = Field(default="", pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$")
    remote: str = Field(default="", pattern=r"^(sc://\S+)?$")

    @property
    def dialect(self) -> Dialect:
        """In which dialect its expressions are written."""
        return _DIALECTS.get(self.kind, "duckdb")

    @model_validator(mode="after")
    def _placed(self) -> Input:
        files = self.kind in {"parquet", "csv"}
        if files and (not self.path or self.table):
            raise ValueError(f"path: {self.kind} needs path, and no table")
        if self.kind == "postgres" and (not self.table or self.path):
            raise ValueError("table: postgres needs table, and no path")
        if self.kind == "spark" and bool(self.table) == (len(self.path) == 1):
            raise ValueError("table: spark needs either table or one path")
        if self.table and not _TABLE.match(self.table):
            raise ValueError("table: it is not a name, or schema.name")
        if (self.kind == "postgres") != bool(self.connection_file or self.connection_env):
            raise ValueError("connection_file: postgres needs it or connection_env, and nothing else does")
        for text in (*self.path, self.where):
            if form := unknown_form(text):
                raise ValueError(f"path: {{day:{form}}} is no form of a date")
        if self.csv != Csv() and self.kind != "csv":
            raise ValueError(f"csv: the kind is {self.kind}")
        return self


class Events(Input):
    """Where the events are.

    Attributes
    ----------
    other_days
        What rows of other local days are: `reject` counts them as rejected, `skip` leaves them out, for
        deliveries that are cut in another way than by local day.
    version
        Aggregate that changes when a day of the table changes, for example `max(load_id)`; databases only. Without it
        the number of rows tells.
    """

    other_days: Literal["reject", "skip"] = "reject"
    version: str = ""

    @model_validator(mode="after")
    def _of_days(self) -> Events:
        files = self.kind in {"parquet", "csv"}
        if files and self.other_days == "reject" and not all(DAY.search(path) for path in self.path):
            raise ValueError('path: it has no {day}; for files of several days say other_days = "skip"')
        if files and self.version:
            raise ValueError("version: files are told apart by their digests")
        return self


class EventColumns(Strict):
    """SQL expressions over a row of the events, in the dialect of the kind.

    Attributes
    ----------
    subscriber
        The operator's identifier of a subscription.
    time, cell
        When and where; a cell may have several parts.
    kind
        Code of what happened, see `Kinds`.
    home
        IMSI, PLMN or country code (MCC) of the home network.
    device
        IMEI or TAC of the device.
    national_id
        National identifier of the person, for counting persons with several subscriptions once.
    """

    subscriber: Expression = "subscriber_id"
    time: Expression = "timestamp_ms"
    cell: Expressions = ("cell_id",)
    kind: Expression | None = None
    home: Expression | None = None
    device: Expression | None = None
    national_id: Expression | None = None


class CellColumns(Strict):
    """SQL expressions over a row of the cell register.

    Attributes
    ----------
    cell
        As many parts as in the events.
    zone
        Code of the zone; `zone` if nothing is said and there are no polygons.
    lon, lat
        Degrees, WGS 84.
    azimuth, range
        Direction of the sector in degrees from north, and its reach in metres.
    valid_from, valid_to
        First and last local day of this version of the cell; nothing means open.
    border
        Country codes (MCC) that the cell reaches into, separated by anything but digits.
    """

    cell: Expressions = ("cell_id",)
    zone: Expression | None = None
    lon: Expression | None = None
    lat: Expression | None = None
    azimuth: Expression | None = None
    range: Expression | None = None
    valid_from: Expression | None = None
    valid_to: Expression | None = None
    border: Expression | None = None


class Cells(Input):
    """The cell register.

    Attributes
    ----------
    columns
        What its columns are.
    polygons
        GeoJSON file with the zones, if the register does not name them.
    zone_property
        Property of a feature with the code of the zone.
    point
        Where a cell is: at its antenna, or half its range in the direction of its sector.
    outside
        What a cell outside every polygon is: `refuse` stops, `reject` rejects its events.
    """

    columns: CellColumns = CellColumns()
    polygons: str = ""
    zone_property: str = "code"
    point: Literal["antenna", "sector"] = "antenna"
    outside: Literal["refuse", "reject"] = "refuse"

    @model_validator(mode="after")
    def _assigned(self) -> Cells:
        columns = self.columns
        if (columns.lon is None) != (columns.lat is None):
            raise ValueError("columns.lon: lon and lat go together")
        if self.polygons and (columns.lon is None or columns.zone is not None):
            raise ValueError("polygons: they need columns.lon and columns.lat, and no columns.zone")
        if self.point == "sector" and None in {columns.lon, columns.azimuth, columns.range}:
            raise ValueError("point: a sector needs columns.lon, lat, azimuth and range")
        if any(DAY.search(path) for path in self.path) or DAY.search(self.where):
            raise ValueError("path: the register has no {day}; its versions have valid_from and valid_to")
        return self


def expressions(columns: EventColumns | CellColumns) -> Iterator[tuple[str, str]]:
    """Return name and text of every expression that is there; parts of a cell are cell.0, cell.1 …"""
    for name, value in columns:
        if isinstance(value, tuple):
            yield from ((f"{name}.{part}", text) for part, text in enumerate(value))
        elif value is not None:
            yield name, value
