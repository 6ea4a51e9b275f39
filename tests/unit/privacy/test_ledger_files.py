"""Files and places that are no ledger, or a damaged one: a clear error for writer and readers, nothing changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from privacy.errors import LedgerProblem, ResourceProblem, UsageProblem
from privacy.ledger import Ledger, verify
from privacy.ledger.entry import GENESIS
from privacy.ledger.summary import summary
from tests.unit.privacy.builders import (
    BUDGETS,
    IDENTITY,
    TODAY,
    Tamper,
    presence,
    request_for,
    residents,
    run,
    tamper,
)

DAY = date(2026, 3, 2)
MARCH = date(2026, 3, 1), date(2026, 3, 31)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with closing(Ledger(path, IDENTITY, BUDGETS)) as opened:
        yield opened


# --- open for writing -------------------------------------------------------------------------------------


def test_the_ledger_of_another_operator_is_refused(path: Path) -> None:
    Ledger(path, IDENTITY, BUDGETS).close()
    with pytest.raises(LedgerProblem) as caught:
        Ledger(path, "spiffe://small/operator/south/node/0", BUDGETS)
    assert caught.value.what == (
        f"{path} is version 2 of {IDENTITY}; expected version 2 of spiffe://small/operator/south/node/0"
    )
    assert caught.value.todo == "point the node at its own ledger"


@pytest.mark.parametrize(
    ("version", "todo"),
    [(1, "before the first release of Quorate"), (3, "install the software that wrote it")],
)
def test_a_ledger_of_another_version_is_refused_by_writer_and_readers(
    path: Path, version: int, todo: str
) -> None:
    Ledger(path, IDENTITY, BUDGETS).close()
    tamper(path, run("UPDATE ledger SET version = ?", version))
    before = path.read_bytes()
    for look in (lambda path: Ledger(path, IDENTITY, BUDGETS), *READERS):
        with pytest.raises(LedgerProblem) as caught:
            look(path)
        assert caught.value.what == f"{path} is a ledger of version {version}; this software reads version 2"
        assert todo in caught.value.todo
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: Path) -> None:
    text = b"These are the notes of last Tuesday's meeting.\n" * 100
    path.write_bytes(text)
    with pytest.raises(
        LedgerProblem, match=r"cannot be read as a privacy ledger \(SQLITE_NOTADB\)"
    ) as caught:
        Ledger(path, IDENTITY, BUDGETS)
    assert caught.value.means == "without a ledger nothing can be released"
    assert "ledger restore" in caught.value.todo
    assert path.read_bytes() == text
    path.unlink()
    Ledger(path, IDENTITY, BUDGETS).close()


@pytest.mark.parametrize(
    "statements",
    [
        ("CREATE TABLE something (else_ TEXT)", "INSERT INTO something VALUES ('precious')"),
        ("CREATE TABLE ledger (version, identity)", "INSERT INTO ledger VALUES (1, 'somebody')"),
        ("PRAGMA application_id = 7",),
        ("PRAGMA application_id = 7", "CREATE TABLE something (else_ TEXT)"),
    ],
    ids=["tables", "tables that look alike", "its mark", "both"],
)
def test_the_database_of_another_application_is_refused_and_left_as_it_is(
    path: Path, statements: tuple[str, ...]
) -> None:
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()
    before = path.read_bytes()
    assert before
    with pytest.raises(LedgerProblem) as caught:
        Ledger(path, IDENTITY, BUDGETS)
    assert caught.value.what == f"{path} is a database of something else, not a privacy ledger"
    assert caught.value.todo == "point the node at its own ledger"
    assert path.read_bytes() == before
    assert {file.name for file in path.parent.iterdir()} == {"ledger.db", "ledger.db.lock"}


def test_the_ledger_of_another_operator_is_left_as_it_is(path: Path) -> None:
    Ledger(path, IDENTITY, BUDGETS).close()
    before = path.read_bytes()
    with pytest.raises(LedgerProblem):
        Ledger(path, "spiffe://small/operator/south/node/0", BUDGETS)
    assert path.read_bytes() == before


def test_a_ledger_without_an_owner_is_refused(path: Path) -> None:
    Ledger(path, IDENTITY, BUDGETS).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM ledger")
        db.commit()
    with pytest.raises(LedgerProblem, match="is version none of nobody; expected version 2 of"):
        Ledger(path, IDENTITY, BUDGETS)


@pytest.mark.parametrize(
    "where", ["nowhere/ledger.db", "file/ledger.db", "directory", "x" * 300, "loop", "directory/../file/x"]
)
def test_a_place_where_no_ledger_can_be_is_a_wrong_path(tmp_path: Path, where: str) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").write_bytes(b"precious")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UsageProblem) as caught:
        Ledger(tmp_path / where, IDENTITY, BUDGETS)
    assert caught.value.what.startswith(f"there can be no ledger at {tmp_path / where}: ")
    assert caught.value.todo == "correct the path or its permissions"
    assert list((tmp_path / "directory").iterdir()) == []
    assert (tmp_path / "file").read_bytes() == b"precious"
    assert not (tmp_path / "nowhere").exists()


USES: dict[str, Callable[[Ledger], object]] = {
    "head": lambda ledger: ledger.head,
    "find": lambda ledger: ledger.find(presence(DAY), "n"),
    "totals": lambda ledger: ledger.totals(1),
    "entries": lambda ledger: list(ledger.entries()),
    "require_room": lambda ledger: ledger.require_room(presence(DAY).charge()),
    "commit": lambda ledger: ledger.commit(request_for(presence(DAY, revision=1), "other"), TODAY),
}


@pytest.mark.parametrize("use", USES)
def test_a_ledger_that_is_damaged_while_it_is_open_is_a_clear_error(path: Path, use: str) -> None:
    with closing(Ledger(path, IDENTITY, BUDGETS)) as ledger:
        ledger.commit(request_for(presence(DAY), "n", b"x" * 100_000), TODAY)
    with closing(Ledger(path, IDENTITY, BUDGETS)) as ledger:
        with path.open("r+b") as file:
            file.seek(8192)
            file.write(b"\xff" * (path.stat().st_size - 8192))
        with pytest.raises(LedgerProblem) as caught:
            USES[use](ledger)
    assert caught.value.what == f"{path} cannot be read as a privacy ledger (SQLITE_CORRUPT)"
    assert "ledger restore" in caught.value.todo


@pytest.mark.parametrize("use", ["totals", "require_room", "commit"])
@pytest.mark.parametrize(
    "damage",
    ["DROP TABLE spent", "UPDATE spent SET first_day = first_day || CAST(x'ff' AS TEXT)"],
    ids=["no table", "no text"],
)
def test_totals_that_are_damaged_while_the_ledger_is_open_are_a_clear_error(
    ledger: Ledger, path: Path, damage: str, use: str
) -> None:
    ledger.commit(request_for(residents(*MARCH), "n"), TODAY)
    head = ledger.head
    with closing(sqlite3.connect(path)) as db:
        db.execute(damage)
        db.commit()
    with pytest.raises(LedgerProblem, match="cannot be read as a privacy ledger"):
        USES[use](ledger)
    assert ledger.head == head, "nothing was charged"


def test_a_ledger_that_somebody_else_writes_to_is_a_lack_that_passes(ledger: Ledger, path: Path) -> None:
    ledger._db.execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(ResourceProblem) as caught:
            ledger.commit(request_for(presence(DAY)), TODAY)
        assert caught.value.what == f"the privacy ledger {path} cannot be used now (SQLITE_BUSY)"
        assert caught.value.means == "nothing was charged and nothing was sent"
    assert ledger.head == (0, GENESIS)
    ledger.commit(request_for(presence(DAY)), TODAY)


def test_a_ledger_that_was_cut_short_is_refused(path: Path) -> None:
    with closing(Ledger(path, IDENTITY, BUDGETS)) as ledger:
        ledger.commit(request_for(presence(DAY), "n", b"x" * 100_000), TODAY)
    whole = path.read_bytes()
    path.write_bytes(whole[:512] + bytes(len(whole) - 512))
    with pytest.raises(LedgerProblem, match="cannot be read as a privacy ledger"):
        Ledger(path, IDENTITY, BUDGETS)


# --- open for reading -------------------------------------------------------------------------------------


@pytest.fixture
def written(path: Path) -> Path:
    """Write a ledger of two entries and close it."""
    with closing(Ledger(path, IDENTITY, BUDGETS)) as ledger:
        ledger.commit(request_for(residents(*MARCH), "n1"), TODAY)
        ledger.commit(request_for(presence(DAY), "n2"), TODAY)
    return path


READERS: list[Callable[[Path], object]] = [verify, lambda path: summary(path, BUDGETS)]
both = pytest.mark.parametrize("read", READERS, ids=["verify", "summary"])


def other_application(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE something (else_ TEXT)")
        db.execute("INSERT INTO something VALUES ('precious')")
        db.commit()


@both
@pytest.mark.parametrize(
    ("write", "what"),
    [
        (lambda path: path.write_bytes(b""), "is a database of something else, not a privacy ledger"),
        (other_application, "is a database of something else, not a privacy ledger"),
        (
            lambda path: path.write_bytes(b"some notes\n" * 1000),
            "cannot be read as a privacy ledger (SQLITE_NOTADB)",
        ),
        (lambda path: path.write_bytes(b"ab"), "cannot be read as a privacy ledger (SQLITE_NOTADB)"),
    ],
    ids=["empty", "another application's", "text", "two bytes"],
)
def test_a_file_that_is_no_ledger_is_named_and_left_as_it_is(
    tmp_path: Path, read: Callable[[Path], object], write: Callable[[Path], object], what: str
) -> None:
    path = tmp_path / "other.db"
    write(path)
    before = path.read_bytes()
    with pytest.raises(LedgerProblem) as caught:
        read(path)
    assert caught.value.what == f"{path} {what}"
    assert caught.value.todo
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["other.db"]


@both
@pytest.mark.parametrize(
    "change",
    [
        run("UPDATE spent SET first_day = CAST(x'ff' AS TEXT) WHERE first_day = '2026-03-02'"),
        run("UPDATE entry SET head = CAST(x'ff' AS TEXT) WHERE sequence = 2"),
        lambda db: db.execute("DROP TABLE spent"),
        lambda db: db.execute("DROP TABLE entry"),
    ],
    ids=["a day that is no text", "a head that is no text", "no totals", "no entries"],
)
def test_a_ledger_whose_tables_are_damaged_is_an_error_about_the_ledger(
    written: Path, read: Callable[[Path], object], change: Tamper
) -> None:
    tamper(written, change)
    with pytest.raises(LedgerProblem, match="cannot be read as a privacy ledger") as caught:
        read(written)
    assert "ledger restore" in caught.value.todo


@both
@pytest.mark.parametrize("kept", [100, 512, 4096, 8192])
def test_a_ledger_that_lost_its_pages_is_an_error_about_the_ledger(
    written: Path, read: Callable[[Path], object], kept: int
) -> None:
    whole = written.read_bytes()
    written.write_bytes(whole[:kept] + b"\xff" * (len(whole) - kept))
    with pytest.raises(LedgerProblem, match=r"cannot be read as a privacy ledger \(SQLITE_(CORRUPT|NOTADB)"):
        read(written)


@both
def test_a_ledger_that_was_cut_short_is_an_error_about_the_ledger(
    written: Path, read: Callable[[Path], object]
) -> None:
    written.write_bytes(written.read_bytes()[:4096])
    with pytest.raises(LedgerProblem, match="cannot be read as a privacy ledger"):
        read(written)


@both
@pytest.mark.parametrize(
    "where", ["nowhere.db", "nowhere/ledger.db", "ledger.db/ledger.db", ".", "x" * 300, "loop"]
)
def test_a_ledger_that_is_not_there_is_a_wrong_path_and_is_not_made(
    written: Path, read: Callable[[Path], object], where: str
) -> None:
    (written.parent / "loop").symlink_to(written.parent / "loop")
    before = sorted(written.parent.iterdir())
    with pytest.raises(UsageProblem, match=r"there (is|can be) no ledger at") as caught:
        read(written.parent / where)
    assert caught.value.todo
    assert sorted(written.parent.iterdir()) == before


@both
@pytest.mark.parametrize("name", ["a#b.db", "a?b.db", "a%41b.db", "a b c.db", "a&mode=rw;x.db", "file:é.db"])
def test_a_ledger_is_found_under_any_name_and_no_file_beside_it_is_made(
    tmp_path: Path, read: Callable[[Path], object], name: str
) -> None:
    path = tmp_path / "a #?%41 directory" / name
    path.parent.mkdir()
    with closing(Ledger(path, IDENTITY, BUDGETS)) as ledger:
        ledger.commit(request_for(presence(DAY), "n"), TODAY)
        head = ledger.head
    assert verify(path) == head
    assert summary(path, BUDGETS)["chain_head"] == head[1]
    read(path)
    assert [file.name for file in tmp_path.iterdir()] == ["a #?%41 directory"]
    own = {name, f"{name}.lock", f"{name}-wal", f"{name}-shm"}
    assert {file.name for file in path.parent.iterdir()} <= own


@both
def test_a_reader_closes_the_database_whether_the_ledger_holds_or_not(
    written: Path, read: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def noting(*arguments: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*arguments, **options))
        return opened[-1]

    with closing(Ledger(written, IDENTITY, BUDGETS)):
        monkeypatch.setattr(sqlite3, "connect", noting)
        read(written)
        monkeypatch.undo()
        tamper(written, run("UPDATE entry SET entry = x'00' WHERE sequence = 2"))
        monkeypatch.setattr(sqlite3, "connect", noting)
        with pytest.raises(LedgerProblem, match="entry 2"):
            read(written)
        monkeypatch.undo()
    assert len(opened) == 2
    for db in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
            db.execute("SELECT 1")
    left = {file.name for file in written.parent.iterdir()}
    assert left == {"ledger.db", "ledger.db.lock"}, "the last one to close takes the log away"
