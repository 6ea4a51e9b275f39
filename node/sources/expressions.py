"""SQL expressions of an operator, in the dialect of its engine: refused unless they are one value of one row.

SQLGlot parses an expression only to look at it; what runs is the operator's own text. Everything is refused
that is not on the lists below: statements, subqueries, aggregates, windows, comments, clocks and random
numbers, and functions that could read a file, a setting or another table.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

import sqlglot
from pydantic import StringConstraints
from sqlglot import exp
from sqlglot.errors import SqlglotError

Dialect = Literal["duckdb", "postgres", "spark"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
Expression = Annotated[str, StringConstraints(min_length=1, max_length=2000, strip_whitespace=True)]
#: A bare name, which is the usual case.
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_COMMENT = re.compile(r"--|/\*|\*/|#!")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Parts of an expression that are no functions.
_PARTS: tuple[type[exp.Expression], ...] = (
    exp.Binary,
    exp.Between,
    exp.Boolean,
    exp.Bracket,
    exp.ByteString,
    exp.Column,
    exp.DataType,
    exp.DataTypeParam,
    exp.HexString,
    exp.Identifier,
    exp.In,
    exp.Interval,
    exp.IntervalSpan,
    exp.JSONPath,
    exp.JSONPathPart,
    exp.Literal,
    exp.National,
    exp.Neg,
    exp.Not,
    exp.Null,
    exp.Paren,
    exp.BitwiseNot,
    exp.AtTimeZone,
    exp.RawString,
    exp.Slice,
    exp.Tuple,
    exp.Var,
)
_AGGREGATES = (exp.Count, exp.Sum, exp.Min, exp.Max)
_FUNCTIONS = _words(
    """
    Abs And Array ArraySize Ascii Base64Encode BitwiseCount Case Cast Ceil Chr Coalesce
    CodePointsToString Concat ConcatWs Contains Date DateAdd DateDiff DateFromParts DateSub
    DateTrunc DateStrToDate Datetime Day DayOfMonth DayOfWeek DayOfWeekIso DayOfYear Decode
    DecodeCase Encode EndsWith EqualNull Extract Floor FromBase64 FromISO8601Timestamp GetExtract
    Greatest Hex HexDecodeString HexEncode Hour If Initcap IsNan IsNullValue JSONBExtract
    JSONBExtractScalar JSONExtract JSONExtractScalar JSONFormat Least Left Length Lower LowerHex MD5
    MD5Digest MakeInterval MapContainsKey Minute Month Nullif NumberToStr Nvl2 Or Overlay Pad
    ParseDatetime ParseJSON ParseTime Pow RegexpCount RegexpExtract RegexpFullMatch RegexpILike
    RegexpInstr RegexpLike RegexpReplace RegexpSplit Repeat Replace Reverse Right Round SHA
    SHA1Digest SHA2 SHA2Digest Second Sign Split SplitPart StartsWith StrPosition StrToDate
    StrToTime StrToUnix String StringToArray StructExtract Substring SubstringIndex Time TimeAdd
    TimeDiff TimeFromParts TimeStrToDate TimeStrToTime TimeStrToUnix TimeSub TimeToStr TimeToUnix
    TimeTrunc Timestamp TimestampAdd TimestampDiff TimestampFromParts TimestampSub TimestampTrunc
    ToBase64 ToChar ToNumber Translate Trim Trunc Try TryCast TsOrDsAdd TsOrDsDiff TsOrDsToDate
    TsOrDsToDateStr TsOrDsToTimestamp Unhex Unicode UnixDate UnixMicros UnixMillis UnixSeconds
    UnixToStr UnixToTime UnixToTimeStr Upper Week WeekOfYear WidthBucket Xor Year
    """
)
#: Functions that SQLGlot has no class for.
_NAMED: dict[Dialect, frozenset[str]] = {
    "duckdb": _words(
        """
        bin epoch epoch_ms epoch_us epoch_ns format from_hex isfinite list_extract lpad ltrim
        make_date make_timestamp make_timestamp_ms make_timestamp_ns ord prefix printf rpad rtrim
        sha1 sha256 strftime string_split strip_accents strptime suffix to_hex to_timestamp
        try_strptime
        """
    ),
    "postgres": _words(
        """
        btrim convert_from date_part decode encode get_byte lpad ltrim make_date make_timestamp
        make_timestamptz regexp_match regexp_substr rpad rtrim to_date to_hex to_timestamp
        """
    ),
    "spark": _words(
        """
        bin btrim conv date_part from_unixtime lpad ltrim make_date make_timestamp rpad rtrim
        timestamp_micros timestamp_millis timestamp_seconds to_date to_timestamp_ntz
        to_timestamp_ltz try_to_timestamp
        """
    ),
}


def problem_of(text: str, dialect: Dialect, *, aggregate: bool = False) -> str:
    """Return what speaks against an expression, empty if nothing does.

    Parameters
    ----------
    text
        The expression.
    dialect
        Of the engine that will run it.
    aggregate
        Whether it may look at all rows: count, sum, min and max.
    """
    if _NAME.match(text):
        return ""
    if not text.isprintable():
        return "has a line break or a control character"
    if _COMMENT.search(text):
        return "has a comment, or the signs of one"
    try:
        found = sqlglot.parse(text, dialect=dialect)
    except SqlglotError:
        return f"is no SQL expression of {dialect}"
    if len(found) != 1 or found[0] is None:
        return "is more than one expression"
    nodes = (node for node in found[0].walk() if not (aggregate and isinstance(node, _AGGREGATES)))
    return next(filter(None, (_refused(node, dialect) for node in nodes)), "")


def _refused(node: exp.Expression, dialect: Dialect) -> str:
    if isinstance(node, exp.Anonymous):
        return "" if node.name.lower() in _NAMED[dialect] else f"calls {node.name}, which is not on the list"
    if isinstance(node, exp.AggFunc | exp.Window):
        return "looks at more than one row"
    if isinstance(node, exp.Func) and not isinstance(node, exp.Binary):
        name = type(node).__name__
        return "" if name in _FUNCTIONS else f"calls {name.lower()}, which is not on the list"
    if isinstance(node, exp.Query | exp.Subquery | exp.Table):
        return "has a subquery"
    if isinstance(node, exp.PropertyEQ | exp.Kwarg | exp.Dot) or not isinstance(node, _PARTS):
        return f"is not one plain value (it has a {type(node).__name__})"
    return ""


def runnable(text: str, dialect: Dialect) -> str:
    """Return an expression as it is run: as it is written, but for a bare name, which is always a column.

    So a column may be called `at` or `end`. PostgreSQL folds names without quotes to lower case, the others do not
    tell capitals apart.
    """
    if not _NAME.match(text):
        return text
    return f"`{text}`" if dialect == "spark" else f'"{text.lower() if dialect == "postgres" else text}"'
