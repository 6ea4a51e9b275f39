"""A warehouse of PostgreSQL, a real server, from its table to presence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from ibis.backends.duckdb import Backend

from node.cli import commands
from node.config import Home
from node.enrolment import load
from node.presence.hold import Hold
from node.sources.reasons import Reason
from privacy.errors import DataProblem, DataUnavailable, ExitCode, QuorateError, UsageProblem
from tests.reference.days import Seen, key_of, masks
from tests.support_node import BRUSSELS, Network, enrolled, instant, write_cells
from tests.unit.node.sources.support import judge, reasons, source_of
from tests.unit.node.sources.test_pseudonyms import by_hand
from tests.unit.node.two_days import ingest
from tests.unit.node.worlds import ORDINARY_DAY, World

TABLE = """\
CREATE SCHEMA IF NOT EXISTS dwh;
DROP TABLE IF EXISTS dwh.xdr;
CREATE TABLE dwh.xdr (load_id int, imsi varchar(20), started timestamptz, ended timestamp, attributes jsonb, lac int);
INSERT INTO dwh.xdr VALUES
 (1, '206010000000001', '2026-10-20 08:00:00+02', '2026-10-20 08:00:00', '{"ci": "1"}', 7),
 (1, '206010000000001', '2026-10-20 09:30:00.5+02', '2026-10-20 09:30:00.5', '{"ci": "2"}', 7),
 (1, ' 206010000000002', '2026-10-20 09:00:00+00', '2026-10-20 11:00:00', '{"ci": "2"}', 7),
 (1, '206010000000002', '2026-10-20 11:00:00+02', '2026-10-20 11:00:00', '{"ci": "2"}', 7),
 (1, 'x,"y"', '2026-10-20 12:00:00+02', '2026-10-20 12:00:00', '{"ci": "3"}', 7),
 (1, '', '2026-10-20 12:00:00+02', '2026-10-20 12:00:00', '{"ci": "3"}', 7),
 (1, NULL, '2026-10-20 12:00:00+02', '2026-10-20 12:00:00', '{"ci": "3"}', 7),
 (1, '206010000000003', NULL, NULL, '{"ci": "3"}', 7),
 (1, '206010000000003', 'infinity', 'infinity', '{"ci": "3"}', 7),
 (1, '206010000000003', '2026-10-20 12:00:00+02', '2026-10-20 12:00:00', '{}', 7),
 (1, '206010000000003', '2026-10-20 12:00:00+02', '2026-10-20 12:00:00', '{"ci": "4"}', 8),
 (1, '206010000000004', '2026-10-21 00:00:00+02', '2026-10-21 00:00:00', '{"ci": "1"}', 7);
"""
#: Reasons against these rows, in their order.
EXPECTED = [0, 0, 0, 0, 0, 2, 2, 4, 7, 13, 14, 7]
SEEN = [
    ("206010000000001", 8 * 3600, 1),
    ("206010000000001", 9.5 * 3600 + 0.5, 2),
    ("206010000000002", 11 * 3600, 2),
]
SEEN += [('x,"y"', 12 * 3600, 3)]
NODE_TOML = """\
[source]
first_day = 2026-10-20
last_day = 2026-10-20
cells = "cells.parquet"

[source.events]
kind = "postgres"
table = "dwh.xdr"
connection_file = "warehouse.dsn"
where = "started >= '{day-1}'::timestamptz AND started < '{day+2}'::timestamptz OR started IS NULL"
version = "max(load_id)"
other_days = "skip"

[source.columns]
subscriber = "imsi"
time = "started"
cell = "CASE WHEN lac = 7 THEN (attributes->>'ci')::int ELSE 99 END"

[source.time]
format = "timestamp"

[source.gate]
max_rejected_permille = 900

[engine]
memory_limit = "500MB"
threads = 1
"""


@pytest.fixture
def warehouse(server: str) -> str:
    with psycopg.connect(server) as session:
        session.execute(TABLE)
    return server


@pytest.fixture
def home(network: Network, tmp_path: Path, warehouse: str) -> Home:
    home = enrolled(network, tmp_path / "node", config=NODE_TOML)
    (home.root / "warehouse.dsn").write_text(warehouse + "\n")
    (home.root / "warehouse.dsn").chmod(0o600)
    return home


def change(server: str, statement: str) -> None:
    with psycopg.connect(server) as session:
        session.execute(statement.encode())


def test_a_table_becomes_presence(home: Home) -> None:
    ingest(home, ORDINARY_DAY)
    key, hold = home.secret.read_bytes(), load(home).charter.presence.max_hold_minutes
    tie = key_of(key, f"presence|{ORDINARY_DAY}")
    zone_of = {1: 0, 2: 1, 3: 2}
    seen = frozenset(
        Seen(by_hand(key, who), instant(ORDINARY_DAY, since), cell - 1, zone_of[cell])
        for who, since, cell in SEEN
    )
    found = pq.ParquetFile(home.presence / f"{ORDINARY_DAY}.parquet").read().to_pylist()
    expected = masks(World(ORDINARY_DAY, seen, Hold(hold), tie).dominant)
    assert {
        (row["subscriber"], row["zone"]): row["hours_mask"] for row in found if row["hours_mask"]
    } == expected
    rows = json.loads((home.quality / f"{ORDINARY_DAY}.json").read_text())["rows"]
    assert {name: count for name, count in rows.items() if count} == {
        "total": 10,
        "accepted": 4,
        "duplicate": 1,
        "null_subscriber": 2,
        "null_time": 1,
        "null_cell": 1,
        "unknown_cell": 1,
    }


def test_a_day_is_built_again_when_its_rows_have_changed_and_only_then(home: Home, warehouse: str) -> None:
    path = home.presence / f"{ORDINARY_DAY}.parquet"

    def built() -> int:
        ingest(home, ORDINARY_DAY)
        return path.stat().st_mtime_ns

    first = built()
    assert built() == first
    change(warehouse, "INSERT INTO dwh.xdr (load_id, imsi, started) VALUES (1, '1', '2025-01-01')")
    assert built() == first
    change(warehouse, "INSERT INTO dwh.xdr (load_id, imsi, started) VALUES (1, '1', '2026-10-20 12:00+02')")
    second = built()
    assert second != first
    change(warehouse, "UPDATE dwh.xdr SET load_id = 2 WHERE lac = 7")
    assert built() != second


def mapping(**events: Any) -> Any:
    columns = {"subscriber": "imsi", "time": "started", "cell": "attributes->>'ci'"}
    return source_of(
        events={"kind": "postgres", "table": "dwh.xdr", "connection_env": "WAREHOUSE"} | events,
        columns=columns,
        time={"format": "timestamp"},
        pseudonyms={},
    )


@pytest.fixture
def known(warehouse: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("WAREHOUSE", warehouse)
    return warehouse


@pytest.mark.usefixtures("known")
def test_every_row_is_judged_as_if_it_came_from_a_file(db: Backend, tmp_path: Path) -> None:
    source = mapping()
    columns = source.columns.model_copy(
        update={"cell": ("CASE WHEN lac = 7 THEN (attributes->>'ci')::int ELSE 99 END",)}
    )
    found = judge(db, source.model_copy(update={"columns": columns}), tmp_path)
    assert reasons(found) == EXPECTED
    assert [row["t_us"] for row, _ in found[:2]] == [
        instant(ORDINARY_DAY, since) for _who, since, _cell in SEEN[:2]
    ]


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("time", "form"),
    [
        ("ended", {"format": "timestamp", "zone": BRUSSELS}),
        ("started::text", {"format": "iso"}),
        ("extract(epoch FROM started)", {"format": "epoch_s"}),
        ("(extract(epoch FROM started) * 1000)::float8", {"format": "epoch_ms"}),
        ("to_char(ended, 'DD/MM/YYYY HH24:MI:SS')", {"format": "%d/%m/%Y %H:%M:%S", "zone": BRUSSELS}),
    ],
)
def test_times_of_every_type_are_the_same_instants(
    db: Backend, tmp_path: Path, time: str, form: dict[str, str]
) -> None:
    source = mapping(
        where="isfinite(started)".replace("isfinite(started)", "started < '2100-01-01'::timestamptz")
    )
    columns = source.columns.model_copy(update={"time": time})
    rules = source.time.model_validate(form)
    found = judge(db, source.model_copy(update={"columns": columns, "time": rules}), tmp_path)
    assert [row["t_us"] // 10**6 for row, _ in found[:3]] == [
        instant(ORDINARY_DAY, since) // 10**6 for _who, since, _cell in SEEN[:3]
    ]


@pytest.mark.usefixtures("known")
def test_an_empty_answer_is_a_day_without_rows(db: Backend, tmp_path: Path) -> None:
    assert judge(db, mapping(where="lac = 12345"), tmp_path) == []


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("column", "expression", "says"),
    [
        (
            "subscriber",
            "msisdn",
            r'columns\.subscriber does not fit dwh\.xdr: column "msisdn" does not exist',
        ),
        ("cell", "attributes", r"columns\.cell\.0 is jsonb, not a whole number or text"),
        ("time", "lac", r"columns\.time is int4, not a time"),
    ],
)
def test_an_expression_that_does_not_fit_is_named(
    db: Backend, tmp_path: Path, column: str, expression: str, says: str
) -> None:
    source = mapping()
    value = (expression,) if column == "cell" else expression
    columns = source.columns.model_copy(update={column: value})
    with pytest.raises(DataProblem, match=says):
        judge(db, source.model_copy(update={"columns": columns}), tmp_path)


@pytest.mark.usefixtures("known")
def test_what_the_server_says_about_a_row_is_kept_back(db: Backend, tmp_path: Path) -> None:
    source = mapping()
    columns = source.columns.model_copy(update={"cell": ("imsi::bigint",)})
    with pytest.raises(DataProblem, match="PostgreSQL failed while") as caught:
        judge(db, source.model_copy(update={"columns": columns}), tmp_path)
    assert "x," not in caught.value.explain()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_the_connection_string_is_in_no_message(
    db: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for dsn in ("postgresql://node:geheim@localhost:1/x", "geheim", "host=localhost password=geheim prt=1"):
        monkeypatch.setenv("WAREHOUSE", dsn)
        with pytest.raises(DataUnavailable) as caught:
            judge(db, mapping(), tmp_path)
        assert caught.value.exit_code == ExitCode.DATA_MISSING
        assert "geheim" not in caught.value.explain()
    monkeypatch.delenv("WAREHOUSE")
    with pytest.raises(UsageProblem, match="WAREHOUSE is not set"):
        judge(db, mapping(), tmp_path)


@pytest.mark.usefixtures("known")
def test_the_session_cannot_write(db: Backend, tmp_path: Path, known: str) -> None:
    change(
        known,
        "CREATE OR REPLACE FUNCTION lower(int) RETURNS int LANGUAGE sql AS 'DELETE FROM dwh.xdr RETURNING 1'",
    )
    source = mapping()
    columns = source.columns.model_copy(update={"cell": ("lower(lac)",)})
    with pytest.raises(QuorateError):
        judge(db, source.model_copy(update={"columns": columns}), tmp_path)
    with psycopg.connect(known) as session:
        assert session.execute("SELECT count(*) FROM dwh.xdr").fetchone() == (12,)


def test_a_check_reads_the_first_rows_of_the_table(home: Home) -> None:
    write_cells(home, [(1, "Z001"), (2, "Z002"), (3, "Z003")])
    words = ["source", "check", "--dir", str(home.root), "--json", "--rows", "7"]
    found = json.loads(CliRunner().invoke(commands, words).stdout)
    assert sum(found["rows"].values()) == 7
    assert {problem["what"] for problem in found["problems"]} >= {"no subscriber (null_subscriber)"}
    assert Reason.NULL_SUBSCRIBER.label in found["rows"]
