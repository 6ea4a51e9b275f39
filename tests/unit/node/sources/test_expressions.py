"""Expressions: values of one row pass, everything else is refused before any engine sees it."""

from __future__ import annotations

import duckdb
import pytest

from node.sources.expressions import Dialect, problem_of, runnable

GOOD: list[tuple[Dialect, str]] = [
    ("duckdb", "subscriber_id"),
    ("duckdb", '"weird name"'),
    ("duckdb", "lac * 65536 + ci"),
    ("duckdb", "mcc || '-' || mnc"),
    ("duckdb", "try_cast(trim(imsi) AS BIGINT)"),
    ("duckdb", "CASE WHEN kind = 'S' THEN NULL ELSE cell END"),
    ("duckdb", "split_part(line, ';', 3)"),
    ("duckdb", "try_strptime(at, '%d/%m/%Y')"),
    ("duckdb", "imei[1:8]"),
    ("duckdb", "s.imsi"),
    ("duckdb", "ts + INTERVAL 1 HOUR"),
    ("duckdb", "regexp_extract(cell, '([0-9]+)$', 1)"),
    ("duckdb", "TRY(imsi::BIGINT)"),
    ("postgres", "extract(epoch FROM ts)"),
    ("postgres", "data->>'imsi'"),
    ("postgres", "ts AT TIME ZONE 'UTC'"),
    ("postgres", "lpad(mnc::text, 2, '0')"),
    ("spark", "substring(imei, 1, 8)"),
    ("spark", "`a b`"),
    ("spark", "unix_micros(ts)"),
]
BAD: list[tuple[Dialect, str, str]] = [
    ("duckdb", "(SELECT 1)", "subquery"),
    ("duckdb", "a IN (SELECT b FROM c)", "subquery"),
    ("duckdb", "FROM x", "subquery"),
    ("duckdb", "a; DROP TABLE b", "more than one"),
    ("duckdb", "a, b", "no SQL expression"),
    ("duckdb", "a) FROM b; --", "comment"),
    ("duckdb", "a /* b */", "comment"),
    ("duckdb", "a\nb", "line break"),
    ("duckdb", "a AS b", "Alias"),
    ("duckdb", "*", "Star"),
    ("duckdb", "COLUMNS('a')", "columns"),
    ("duckdb", "sum(a)", "more than one row"),
    ("duckdb", "lag(a) OVER ()", "more than one row"),
    ("duckdb", "unnest(a)", "explode"),
    ("duckdb", "read_text('/etc/passwd')", "read_text"),
    ("duckdb", "getenv('HOME')", "getenv"),
    ("duckdb", "current_setting('x')", "current_setting"),
    ("duckdb", "now()", "now"),
    ("duckdb", "random()", "rand"),
    ("duckdb", "current_date || ''", "not on the list"),
    ("duckdb", "?", "Placeholder"),
    ("duckdb", "$1", "Placeholder"),
    ("duckdb", "COPY a TO 'b'", "Copy"),
    ("duckdb", "", "more than one"),
    ("postgres", "pg_read_file('/etc/passwd')", "pg_read_file"),
    ("postgres", "pg_sleep(9)", "pg_sleep"),
    ("postgres", "query_to_xml('SELECT 1', true, true, '')", "query_to_xml"),
    ("postgres", "pg_catalog.pg_read_file('x')", "Dot"),
    ("postgres", "row_number() OVER ()", "more than one row"),
    ("spark", "java_method('java.lang.System', 'exit')", "java_method"),
    ("spark", "reflect('java.lang.System', 'exit')", "reflect"),
    ("spark", "input_file_name()", "input_file_name"),
]


@pytest.mark.parametrize(("dialect", "text"), GOOD)
def test_a_value_of_a_row_passes(dialect: Dialect, text: str) -> None:
    assert problem_of(text, dialect) == ""


@pytest.mark.parametrize(("dialect", "text", "says"), BAD)
def test_everything_else_is_refused_with_what_is_wrong(dialect: Dialect, text: str, says: str) -> None:
    assert says in problem_of(text, dialect)


def test_an_aggregate_passes_only_where_one_is_asked_for() -> None:
    assert problem_of("max(load_id)", "postgres", aggregate=True) == ""
    assert problem_of("max(pg_sleep(1))", "postgres", aggregate=True)


def test_a_bare_name_is_always_a_column() -> None:
    for word in ("end", "at", "current_date"):
        assert problem_of(word, "duckdb") == ""
        text = f'SELECT {runnable(word.upper(), "duckdb")} FROM (SELECT 7 AS "{word}")'  # noqa: S608
        assert duckdb.execute(text).fetchall() == [(7,)]
    assert runnable("Start", "postgres") == '"start"'
    assert runnable("Start", "spark") == "`Start`"
    assert runnable("a || b", "postgres") == "a || b"
