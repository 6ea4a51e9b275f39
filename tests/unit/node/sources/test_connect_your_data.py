"""docs/connect-your-data.md: its mappings are taken from the page and run to the end, and it lists everything."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from pydantic import BaseModel

from node.cli import commands
from node.config import Home
from node.sources import inputs, mapping, rules
from node.sources.reasons import WORDS
from node.sources.sequence import SequenceRules
from tests.support_node import Network, enrolled, instant
from tests.unit.node.sources.test_pseudonyms import by_hand
from tests.unit.node.two_days import ingest
from tests.unit.node.worlds import ORDINARY_DAY as DAY

PAGE = Path(__file__).parents[4] / "docs" / "connect-your-data.md"
ENGINE = '\n[engine]\nmemory_limit = "500MB"\nthreads = 1\n'
KEY = bytes(range(100, 132))
#: (subscriber, zone, events) of presence, and the rows by reason.
Expected = tuple[set[tuple[str, int, int]], dict[str, int]]


def mapping_of(name: str) -> str:
    """Return a mapping of the page, literally."""
    (found,) = re.findall(rf"<!-- mapping: {name} -->\n```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


def cdr(root: Path) -> Expected:
    header = "IMSI;IMEI;Type;Start time;LAC;CI\n"
    hours = {
        "00": [
            "206011;49;MOC;20/10/2026 00:10:00;7;1",
            "206011;49;SMO;20/10/2026 00:20:00;7;1",
            "206012;3500000112;MOC;20/10/2026 00:30:00;7;1",
            "206012;3600000112;MOC;20/10/2026 00:30:00;7;1",
        ],
        "23": [
            "206013;49;GPRS;2026-10-20T23:00:00;7;2",
            "206013;49;GPRS;2026-10-20T21:30:00Z;7;2",
            "206013;49;FAX;20/10/2026 23:10:00;7;2",
            "206014;49;MTC;20/10/2026 23:10:00;7;3",
            "206014;49;MTC;21/10/2026 00:00:00;7;2",
        ],
    }
    (root / "cdr").mkdir()
    for hour, lines in hours.items():
        data = (header + "\n".join(lines) + "\n").encode("latin-1")
        (root / "cdr" / f"20261020_{hour}.csv.gz").write_bytes(gzip.compress(data))
    (root / "meters.txt").write_text("36000001  # meters\n")
    (root / "register.csv").write_text(
        "LAC;CI;LON;LAT;FROM_DATE;TO_DATE\n"
        "7;1;4.5;50.5;;2026-10-19\n7;1;5.5;50.5;2026-10-20;\n7;2;5.0;50.5;;\n7;3;4.5;50.5;;2026-10-01\n"
    )
    squares = [("Z002", 5.0), ("Z001", 4.0), ("Z003", 6.0)]
    features = [
        {"type": "Feature", "properties": {"code": code}, "geometry": square(west)} for code, west in squares
    ]
    (root / "zones.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    # Cell 2 is on the border of Z001 and Z002.
    return (
        {("206011", 1, 1), ("206013", 0, 2)},
        {
            "total": 9,
            "accepted": 3,
            "out_of_scope": 3,
            "excluded_kind": 1,
            "machine": 2,
            "unknown_kind": 1,
            "expired_cell": 1,
            "outside_day": 1,
        },
    )


def square(west: float) -> dict[str, Any]:
    ring = [[west, 50.0], [west + 1, 50.0], [west + 1, 51.0], [west, 51.0], [west, 50.0]]
    return {"type": "Polygon", "coordinates": [ring]}


def signalling(root: Path) -> Expected:
    """A day that is in two files; one neighbour at the border, one ghost, one flight."""

    def at(seconds: float) -> datetime:
        since = timedelta(microseconds=instant(DAY, seconds))
        return (datetime(1970, 1, 1, tzinfo=UTC) + since).replace(tzinfo=None)

    rows = [
        ("206011", at(-1), 1, 1),
        ("206011", at(0), 1, 1),
        ("206011", at(10), 2, 1),
        ("206011", at(20), 1, 1),
        ("206051", at(3600), 1, 1),
        ("206051", at(3700), 3, 1),
        ("206051", at(3800), 1, 1),
        ("208011", at(7200), 1, 1),
        ("208011", at(7200), 2, 1),
        ("262011", at(86_399), 2, 1),
        ("262011", at(86_400), 2, 1),
        *(("262012", at(3600 * hour), 2, 1) for hour in range(1, 9)),
    ]
    for folder, some in (("2026-10-19", rows[:4]), ("2026-10-20", rows[4:])):
        who, when, enb, sector = zip(*some, strict=True)
        path = root / "signalling" / f"dt={folder}" / "part-0.parquet"
        path.parent.mkdir(parents=True)
        table = {
            "imsi": who,
            "event_time": pa.array(when, pa.timestamp("us")),
            "enb_id": enb,
            "sector": sector,
        }
        pq.write_table(pa.table(table), path)
    cells = {
        "enb": [1, 2, 3],
        "sector": [1, 1, 1],
        "municipality": ["Z001", "Z002", "Z003"],
        "lon": [4.0, 4.01, 6.0],
        "lat": [50.0, 50.0, 50.0],
        "neighbours": ["208", None, None],
    }
    pq.write_table(pa.table(cells), root / "cells.parquet")
    return (
        {("206011", 0, 2), ("206051", 0, 2), ("208011", 1, 1), ("262011", 1, 1), ("262012", 1, 8)},
        {"total": 17, "accepted": 14, "ghost": 1, "impossible_speed": 1, "border_roaming": 1},
    )


WAREHOUSE = """\
CREATE SCHEMA IF NOT EXISTS dwh;
DROP TABLE IF EXISTS dwh.xdr, dwh.cells;
CREATE TABLE dwh.xdr (load_id int, msisdn bigint, started timestamptz, attributes jsonb);
CREATE TABLE dwh.cells (cgi text, lau2 varchar(5), technology text);
INSERT INTO dwh.cells VALUES ('206-A', 'Z001', 'LTE'), ('206-B', 'Z002', 'NR'), ('206-B', 'Z009', 'test');
INSERT INTO dwh.xdr VALUES
 (1, 32470000001, '2026-10-20 08:00+02', '{"cgi": "206-a"}'),
 (1, 32470000001, '2026-10-20 09:00+02', '{"cgi": "206-B"}'),
 (1, 32470000002, '2026-10-20 09:00+02', '{}'),
 (1, 32470000002, '2026-10-21 09:00+02', '{"cgi": "206-B"}'),
 (1, 32470000002, '2026-10-25 09:00+02', '{"cgi": "206-B"}');
"""


@pytest.fixture
def data(server: str) -> dict[str, Callable[[Path], Expected]]:
    def warehouse(root: Path) -> Expected:
        with psycopg.connect(server) as session:
            session.execute(WAREHOUSE)
        (root / "warehouse.dsn").write_text(server)
        (root / "warehouse.dsn").chmod(0o600)
        return (
            {("32470000001", 0, 1), ("32470000001", 1, 1)},
            {"total": 3, "accepted": 2, "null_cell": 1},
        )

    return {"cdr": cdr, "signalling": signalling, "warehouse": warehouse}


@pytest.fixture
def home(network: Network, tmp_path: Path) -> Home:
    return enrolled(network, tmp_path / "node")


def keys(home: Home, name: str) -> bytes:
    """Put the key where the mapping says it is, and return it."""
    if name != "cdr":
        return home.secret.read_bytes()
    path = home.root / "pseudonyms.key"
    path.write_text(KEY.hex())
    path.chmod(0o600)
    return KEY


@pytest.mark.parametrize("name", ["cdr", "signalling", "warehouse"])
def test_a_mapping_of_the_page_runs_as_it_stands(
    home: Home, data: dict[str, Callable[[Path], Expected]], name: str
) -> None:
    # So few rows are wrong often; the mapping itself stays as it is.
    gate = "" if "[source.gate]" in mapping_of(name) else "[source.gate]\nmax_rejected_permille = 700\n"
    home.config.write_text(mapping_of(name) + gate + ENGINE)
    people, reasons = data[name](home.root)
    key = keys(home, name)
    checked = CliRunner().invoke(commands, ["source", "check", "--dir", str(home.root), "--json"])
    assert checked.exit_code == 0, checked.output
    found = json.loads(checked.stdout)["rows"]
    assert {label: count for label, count in found.items() if label in reasons} == {
        label: count for label, count in reasons.items() if label in found
    }
    ingest(home, DAY)
    rows = json.loads((home.quality / f"{DAY}.json").read_text())["rows"]
    assert {label: count for label, count in rows.items() if count} == reasons
    presence = pq.ParquetFile(home.presence / f"{DAY}.parquet").read().to_pylist()
    assert {(row["subscriber"], row["zone"], row["n"]) for row in presence} == {
        (by_hand(key, who), zone, count) for who, zone, count in people
    }
    assert (home.quality / "quarantine" / f"{DAY}.parquet").exists() == (name == "signalling")


def test_a_problem_of_a_mapping_on_the_page_names_the_setting(
    home: Home, data: dict[str, Callable[[Path], Expected]]
) -> None:
    data["cdr"](home.root)
    keys(home, "cdr")
    home.config.write_text(mapping_of("cdr").replace('subscriber = "IMSI"', 'subscriber = "MSISDN"') + ENGINE)
    checked = CliRunner().invoke(commands, ["source", "check", "--dir", str(home.root)])
    assert checked.exit_code == 5
    assert "columns.subscriber does not fit" in checked.output
    assert "the columns are: IMSI, IMEI, Type, Start time, LAC, CI" in checked.output


def test_the_page_lists_every_reason() -> None:
    listed = dict(re.findall(r"^\| `([a-z_]+)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE))
    assert {reason.label: words for reason, words in WORDS.items()} == {
        label: words for label, words in listed.items() if label in {reason.label for reason in WORDS}
    }


@pytest.mark.parametrize(
    "model",
    [
        mapping.Source,
        inputs.Events,
        inputs.Cells,
        inputs.EventColumns,
        inputs.CellColumns,
        inputs.Csv,
        rules.Times,
        rules.Kinds,
        rules.Roamers,
        rules.Machines,
        rules.Pseudonyms,
        rules.Gate,
        SequenceRules,
    ],
)
def test_the_page_lists_every_setting(model: type[BaseModel]) -> None:
    tables = PAGE.read_text().partition("## Every setting")[2]
    assert [name for name in model.model_fields if f"`{name}`" not in tables and name != "columns"] == []
