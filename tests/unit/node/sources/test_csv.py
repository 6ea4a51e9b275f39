"""A messy delivery of text files, from the bytes to presence: BOM, quotes, semicolons, bad bytes, a cut last line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from ibis.backends.duckdb import Backend
from pydantic import ValidationError

from node.cli import commands
from node.config import Home
from node.enrolment import load
from node.presence.hold import Hold
from node.sources import reading
from node.sources.reading import Place
from node.sources.reasons import Reason
from privacy.errors import DataProblem, ExitCode
from tests.reference.days import Seen, key_of, masks
from tests.support_node import BRUSSELS, Network, enrolled, instant
from tests.unit.node.sources.support import CELLS, judge, reasons, source_of
from tests.unit.node.sources.test_pseudonyms import by_hand
from tests.unit.node.two_days import ingest
from tests.unit.node.worlds import ORDINARY_DAY, World

NODE_TOML = """\
[source]
first_day = 2026-10-20
last_day = 2026-10-20

[source.events]
kind = "csv"
path = ["cdr/{day:%Y%m%d}_*.csv", "cdr/{day:%Y%m%d}.csv.gz"]
csv = {delimiter = ";"}

[source.columns]
subscriber = "IMSI"
time = '"Start time"'
cell = ["LAC", "CI"]

[source.time]
format = ["iso", "%d/%m/%Y %H:%M:%S", "epoch_ms"]
zone = "Europe/Brussels"

[source.cells]
kind = "csv"
path = "cells.csv"
csv = {delimiter = ";", encoding = "latin-1"}
columns = {cell = ["LAC", "CI"], zone = "Zone"}

[source.gate]
max_rejected_permille = 700

[engine]
memory_limit = "500MB"
threads = 1
"""
A, B = "206010000000001", "206010000000002"
#: Line → reason; what is not here is accepted. Line 1 is the header.
MESSY = (
    b'\xef\xbb\xbfIMSI;"Start time";LAC;CI;Remark\r\n'  # BOM
    b"206010000000001;2026-10-20T08:00:00+02:00;7;1;plain\r\n"
    b'206010000000001;"20/10/2026 09:30:00";7;"2";"a ""quote""; and a semicolon"\r\n'
    b"206010000000001;1792490400000;07;3;epoch, and another way to write the area\r\n"  # unknown cell: 07 is not 7
    b"206010000000002;2026-10-20 11:00:00;7;2;local clock\r\n"
    b"206010000000002;2026-10-20 11:00:00;7;2;once more\r\n"  # duplicate
    b"206010000000002;2027-01-01T00:00:00Z;7;2;future\r\n"  # outside_day
    b"206010000000002;10/20/2026 11:00;7;2;american\r\n"  # unparsable_time
    b"206010000000002;2026-10-20 12:00:00;7;;no cell\r\n"  # null_cell
    b"206010000000002;2026-10-20 12:00:00;7;99;no such cell\r\n"  # unknown_cell
    b";2026-10-20 12:00:00;7;1;nobody\r\n"  # null_subscriber
    b"206010000000002;2026-10-20 12:00:00;7\xe9;1;a byte of Latin-1\r\n"  # unreadable_line
    b"206010000000002;2026-10-20 12:00:00;7\r\n"  # unreadable_line
    b"206010000000002;2026-10-20 12:00:00;7;1;one;two\r\n"  # unreadable_line
    b" 206010000000002 ;  2026-10-20 13:00:00 ; 7 ; 1 ;blanks\r\n"
    b"206010000000002;2026-10-2"  # unreadable_line: cut short
)
LINES = {
    "unknown_cell": [4, 10],
    "outside_day": [7],
    "unparsable_time": [8],
    "null_cell": [9],
    "null_subscriber": [11],
    "duplicate": [6],
    "unreadable": [12, 13, 14, 16],
}
SECOND = f"IMSI;Start time;LAC;CI;Remark\n{A};2026-10-20T21:00:00Z;7;3;late\n"
REGISTER = "LAC;CI;Zone;Nom\n7;1;Z001;Liège\n7;2;Z002;Namur\n7;3;Z003;Arlon\n".encode("latin-1")
SEEN = [(A, 8 * 3600, 1), (A, 9.5 * 3600, 2), (B, 11 * 3600, 2), (B, 13 * 3600, 1), (A, 23 * 3600, 3)]


@pytest.fixture
def home(network: Network, tmp_path: Path) -> Home:
    home = enrolled(network, tmp_path / "node", config=NODE_TOML)
    (home.root / "cells.csv").write_bytes(REGISTER)
    folder = home.root / "cdr"
    folder.mkdir()
    (folder / "20261020_1.csv").write_bytes(MESSY)
    (folder / "20261020.csv.gz").write_bytes(gzip.compress(SECOND.encode()))
    return home


def test_a_messy_delivery_becomes_presence_of_its_good_rows(home: Home) -> None:
    ingest(home, ORDINARY_DAY)
    key = home.secret.read_bytes()
    seen = frozenset(
        Seen(by_hand(key, who), instant(ORDINARY_DAY, since), cell - 1, cell - 1) for who, since, cell in SEEN
    )
    own, tie = load(home), key_of(key, f"presence|{ORDINARY_DAY}")
    found = pq.ParquetFile(home.presence / f"{ORDINARY_DAY}.parquet").read().to_pylist()
    hold = own.charter.presence.max_hold_minutes
    expected = masks(World(ORDINARY_DAY, seen, Hold(hold), tie).dominant)
    assert {
        (row["subscriber"], row["zone"]): row["hours_mask"] for row in found if row["hours_mask"]
    } == expected
    assert sum(row["n"] for row in found) == len(SEEN)
    assert (home.visits / f"{ORDINARY_DAY}.parquet").exists()
    rows = json.loads((home.quality / f"{ORDINARY_DAY}.json").read_text())["rows"]
    assert (rows["total"], rows["accepted"]) == (16, 5)
    counted = {"unreadable_line": 4} | {
        name: len(lines) for name, lines in LINES.items() if name != "unreadable"
    }
    assert {name: count for name, count in rows.items() if count} == {
        "total": 16,
        "accepted": 5,
        **counted,
    }


def test_a_check_says_which_line_is_wrong_and_why(home: Home) -> None:
    words = ["source", "check", "--dir", str(home.root), "--json"]
    result = CliRunner().invoke(commands, words)
    assert result.exit_code == ExitCode.OK
    found = json.loads(result.stdout)
    messy = str(home.root / "cdr" / "20261020_1.csv")
    by_row = {
        problem["row"]: problem
        for problem in found["problems"]
        if problem["place"] == messy and problem["row"]
    }
    # Three of a reason are shown.
    assert set(by_row) == {*(row for lines in LINES.values() for row in lines)} - {16}
    for name, lines in LINES.items():
        if name != "unreadable":
            assert all(f"({name})" in by_row[line]["what"] for line in lines)
    assert (by_row[8]["column"], by_row[8]["value"]) == ("time", "'10/20/2026 11:00'")
    assert (by_row[10]["column"], by_row[10]["value"]) == ("cell.0, cell.1", "'7', '99'")
    assert "invalid encoding" in by_row[12]["what"]
    assert any("cut short" in problem["what"] for problem in found["problems"])
    assert found["rows"] == {
        "accepted": 5,
        "unreadable_line": 4,
        **{name: len(lines) for name, lines in LINES.items() if name != "unreadable"},
    }
    every = json.loads(CliRunner().invoke(commands, [*words, "--examples", "100"]).stdout)
    assert len(every["problems"]) == len(found["problems"]) + 1
    home.config.write_text(NODE_TOML.replace("700", "600"))
    result = CliRunner().invoke(commands, words)
    assert result.exit_code == ExitCode.DATA_UNUSABLE
    assert json.loads(result.stdout)["problems"][-1]["place"] == "[source.gate]"


def test_a_check_leaves_nothing_behind_and_builds_nothing(home: Home) -> None:
    before = sorted(home.root.rglob("*"))
    CliRunner().invoke(commands, ["source", "check", "--dir", str(home.root)])
    assert sorted(home.root.rglob("*")) == before


def through(db: Backend, root: Path, data: bytes, **csv: object) -> list[Reason]:
    """Return the reasons against the rows of a text file of subscriber, time and cell."""
    (root / f"{ORDINARY_DAY}.csv").write_bytes(data)
    source = source_of(
        events={"kind": "csv", "path": "{day}.csv", "csv": csv},
        columns={"subscriber": "who", "time": "at", "cell": "cell"},
        time={"format": "iso", "zone": BRUSSELS},
    )
    return reasons(judge(db, source, root, cells=CELLS))


ROW = "7,2026-10-20T12:00:00,1"


@pytest.mark.parametrize(
    ("data", "csv"),
    [
        (f"who,at,cell\n{ROW}\n", {}),
        (f"who,at,cell\n{ROW}", {}),
        (f"\ufeffwho,at,cell\r\n{ROW}\r\n", {}),
        (f"{ROW}\n", {"header": False, "names": ["who", "at", "cell"]}),
        ("who|at|cell\n7|2026-10-20T12:00:00|1\n", {"delimiter": "|"}),
        ("who\tat\tcell\n7\t'2026-10-20T12:00:00'\t1\n", {"delimiter": "\t", "quote": "'"}),
        ('who,at,cell,note\n7,2026-10-20T12:00:00,1,"a\nb"\n', {"line_breaks": True}),
        ('who,at,cell,note\n7,2026-10-20T12:00:00,1,a "b\n', {"quote": ""}),
        ("cell,extra,at,who\n1,x,2026-10-20T12:00:00,7\n", {}),
    ],
)
def test_a_text_file_of_any_form_is_read(
    db: Backend, tmp_path: Path, data: str, csv: dict[str, object]
) -> None:
    assert through(db, tmp_path, data.encode(), **csv) == [Reason.ACCEPTED]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "cp037"])
def test_a_text_file_of_another_encoding_is_read(db: Backend, tmp_path: Path, encoding: str) -> None:
    data = f"who,at,cell,café\n{ROW},été\n".encode(encoding)
    assert through(db, tmp_path, data, encoding=encoding) == [Reason.ACCEPTED]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"\n", "does not name every column once"),
        (b"who,at,at\n", "does not name every column once"),
        (b"who,at,AT\n", "does not name every column once"),
        (b"who,at\n7,x\n", "columns.cell.0 does not fit"),
    ],
)
def test_a_text_file_without_its_columns_is_refused(
    db: Backend, tmp_path: Path, data: bytes, says: str
) -> None:
    with pytest.raises(DataProblem, match=says) as caught:
        through(db, tmp_path, data)
    assert caught.value.exit_code == ExitCode.DATA_UNUSABLE


GOOD = f"{ROW}\n"


@pytest.mark.parametrize(
    ("data", "rows", "unreadable"),
    [
        (GOOD * 3 + f'{ROW[:-1]}"1\n' + GOOD * 5, 3, 6),
        (GOOD * 3 + f'{ROW[:-1]}"1\n' + GOOD * 5 + f'{ROW[:-1]}1"\n' + GOOD, 5, 6),
        (GOOD + "\n \n\r\n" + GOOD, 2, 1),
        (GOOD + f"{ROW}\r\n" + GOOD, 3, 0),
        (GOOD + f"7\r,{ROW[2:]}\n" + GOOD, 3, 1),
        (f"{ROW}\r" * 3, 3, 0),
    ],
    ids=["never closed", "closed later", "blank lines", "mixed ends", "a return inside", "returns only"],
)
def test_every_line_is_a_row_or_counted_as_unreadable(
    db: Backend, tmp_path: Path, data: str, rows: int, unreadable: int
) -> None:
    header = "who,at,cell\r" if data.endswith("\r") else "who,at,cell\n"
    (tmp_path / "a.csv").write_bytes((header + data).encode())
    source = source_of(
        events={"kind": "csv", "path": "*.csv", "other_days": "skip"},
        columns={"subscriber": "who", "time": "at", "cell": "cell"},
        time={"format": "iso", "zone": BRUSSELS},
    )
    raw = reading.read_events(db.con, source, Place(tmp_path, tmp_path), ORDINARY_DAY)
    count = db.con.execute(f"SELECT count(*) FROM {raw.relation}").fetchall()[0][0]  # noqa: S608 - ours
    assert (count, raw.unreadable) == (rows, unreadable)


def test_one_open_quote_closes_the_gate(home: Home) -> None:
    """Behind it, everything up to the end of the file is one field."""
    path = home.root / "cdr" / "20261020_1.csv"
    good = b"206010000000001;2026-10-20T08:00:00+02:00;7;1;plain\r\n"
    cut = good.replace(b"plain", b'"oops')
    path.write_bytes(MESSY.splitlines(keepends=True)[0] + good * 50 + cut + good * 950)
    with pytest.raises(DataProblem, match="are rejected"):
        ingest(home, ORDINARY_DAY)
    checked = CliRunner().invoke(commands, ["source", "check", "--dir", str(home.root)])
    assert "950 line(s) are in no row" in checked.output
    assert checked.exit_code == ExitCode.DATA_UNUSABLE


def test_a_sample_is_read_from_a_relative_directory_too(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home.root.parent)
    checked = CliRunner().invoke(commands, ["source", "check", "--dir", home.root.name])
    assert "is not there" not in checked.output
    assert "rows of 2026-10-20 were read" in checked.output


def test_fields_of_a_file_without_its_header_are_shown_by_the_check_alone(home: Home) -> None:
    rows = b"206010000000001;2026-10-20T08:00:00+02:00;7;1;plain\r\n" * 2
    (home.root / "cdr" / "20261020_1.csv").write_bytes(rows)
    (home.root / "cdr" / "20261020.csv.gz").write_bytes(gzip.compress(rows))
    with pytest.raises(DataProblem, match="does not fit") as caught:
        ingest(home, ORDINARY_DAY)
    assert "2060" not in caught.value.explain()
    checked = CliRunner().invoke(commands, ["source", "check", "--dir", str(home.root)])
    assert "the columns are: 206010000000001" in checked.output
    assert "say csv.header = false" in checked.output


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_compressed_file_that_was_cut_short_is_told(db: Backend, tmp_path: Path, encoding: str) -> None:
    whole = gzip.compress(("who,at,cell\n" + GOOD * 10_000).encode(encoding))
    (tmp_path / "a.csv.gz").write_bytes(whole[: len(whole) // 2])
    source = source_of(
        events={"kind": "csv", "path": "*.csv.gz", "other_days": "skip", "csv": {"encoding": encoding}},
        columns={"subscriber": "who", "time": "at", "cell": "cell"},
    )
    with pytest.raises(DataProblem, match="cannot be read to the end"):
        judge(db, source, tmp_path)


@pytest.mark.parametrize("encoding", ["rot13", "zlib", "idna", "hex", "undefined", "no such"])
def test_what_is_no_encoding_of_text_is_refused(encoding: str) -> None:
    with pytest.raises(ValidationError, match="is not known as one of text"):
        source_of(events={"kind": "csv", "path": "{day}.csv", "csv": {"encoding": encoding}})


CHECKED = """\
[source]
first_day = 2026-10-20
last_day = 2026-10-20
columns = {{subscriber = {subscriber}, time = "at", cell = "cell"}}
events = {{kind = "csv", path = "{{day}}.csv", where = {where}}}
cells = "cells.parquet"
time = {{format = "iso", zone = "Europe/Brussels"}}
"""


@pytest.mark.parametrize(
    ("subscriber", "where", "usual", "bad"),
    [
        ("CAST(who AS BIGINT)", "", "7", "x"),
        ("strftime(strptime(who, '%Y'), '%Y')", "", "2001", "x"),
        ("chr(CAST(who AS INTEGER))", "", "65", "-5"),
        ("regexp_extract(cell, who, 1)", "", "(7)", "("),
        ("who", "CAST(who AS BIGINT) > 0", "7", "x"),
    ],
)
def test_a_check_shows_the_line_that_an_expression_fails_on(  # noqa: PLR0917 - columns of a table
    network: Network, tmp_path: Path, subscriber: str, where: str, usual: str, bad: str
) -> None:
    # A text of JSON is one of TOML.
    config = CHECKED.format(subscriber=json.dumps(subscriber), where=json.dumps(where))
    home = enrolled(network, tmp_path / "node", config=config)
    rows = [f"{who},2026-10-20T12:00:00,1" for who in [*[usual] * 30, bad, *[usual] * 5]]
    (home.root / "2026-10-20.csv").write_text(
        "\n".join(["who,at,cell", *rows[:10], "no row", *rows[10:], ""])
    )
    checked = CliRunner().invoke(commands, ["source", "check", "--dir", str(home.root), "--json"])
    problem = next(one for one in json.loads(checked.stdout)["problems"] if one["exit_code"])
    assert (problem["row"], problem["column"]) == (33, "where" if where else "subscriber")
    assert checked.exit_code == ExitCode.DATA_UNUSABLE


def test_files_of_one_day_have_the_same_columns(db: Backend, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("who,at,cell\n")
    (tmp_path / "b.csv").write_text("who,cell,at\n")
    source = source_of(
        events={"kind": "csv", "path": "*.csv", "other_days": "skip"},
        columns={"subscriber": "who", "time": "at", "cell": "cell"},
    )
    with pytest.raises(DataProblem, match=r"b\.csv has other columns than"):
        judge(db, source, tmp_path)
