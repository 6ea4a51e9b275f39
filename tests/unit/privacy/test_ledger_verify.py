"""Verification finds every kind of tampering, and names the first entry that does not hold."""

from __future__ import annotations

import gc
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from privacy.errors import LedgerProblem
from privacy.ledger import Ledger, verify
from privacy.ledger.entry import GENESIS, head_after
from tests.unit.privacy.builders import (
    BUDGETS,
    IDENTITY,
    TODAY,
    UNIT,
    Tamper,
    presence,
    request_for,
    residents,
    run,
    tamper,
)

FEBRUARY = date(2026, 2, 1), date(2026, 2, 28)
TERMS = (
    presence(date(2026, 2, 3)),
    residents(*FEBRUARY, UNIT // 2),
    presence(date(2026, 2, 4)),
    presence(date(2026, 3, 2), 2 * UNIT),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write a ledger of four entries and close it."""
    with closing(Ledger(tmp_path / "ledger.db", IDENTITY, BUDGETS)) as ledger:
        for number, terms in enumerate(TERMS):
            ledger.commit(request_for(terms, f"n{number}", f"result {number}".encode()), TODAY)
    return tmp_path / "ledger.db"


def rewrite(sequence: int, edit: Callable[[dict[str, Any]], object], head: bool = False) -> Tamper:
    """Change an entry inside its canonical JSON; with `head`, also the head that is stored beside it."""

    def change(db: sqlite3.Connection) -> None:
        (raw,) = db.execute("SELECT entry FROM entry WHERE sequence = ?", (sequence,)).fetchone()
        entry = json.loads(raw)
        edit(entry)
        fresh = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
        assert fresh != raw
        db.execute("UPDATE entry SET entry = ? WHERE sequence = ?", (fresh, sequence))
        if head:
            db.execute("UPDATE entry SET head = ? WHERE sequence = ?", (head_after(fresh), sequence))

    return change


def release_id(number: int) -> str:
    return TERMS[number - 1].release_id()


def problem(path: Path) -> str:
    with pytest.raises(LedgerProblem) as caught:
        verify(path)
    assert caught.value.means == "the record of what was released cannot be trusted from there on"
    assert caught.value.what.startswith("the ledger does not hold: ")
    return caught.value.what.removeprefix("the ledger does not hold: ")


# --- a ledger that holds ----------------------------------------------------------------------------------


def test_a_ledger_that_was_left_alone_verifies_with_its_length_and_head(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        heads = [head for (head,) in db.execute("SELECT head FROM entry ORDER BY sequence")]
    assert verify(path) == (4, heads[-1])


def test_a_new_ledger_verifies(tmp_path: Path) -> None:
    Ledger(tmp_path / "new.db", IDENTITY, BUDGETS).close()
    assert verify(tmp_path / "new.db") == (0, GENESIS)


def test_verification_reads_a_ledger_that_is_in_use_and_changes_nothing(path: Path) -> None:
    with closing(Ledger(path, IDENTITY, BUDGETS)) as ledger:
        assert verify(path) == ledger.head
        ledger.commit(request_for(presence(date(2026, 5, 1)), "n9"), TODAY)
        assert verify(path) == ledger.head
        assert ledger.head[0] == 5
    gc.collect()
    before = path.read_bytes()
    verify(path)
    assert path.read_bytes() == before


# --- entries ----------------------------------------------------------------------------------------------

_CHAIN = "it does not continue the chain"
_TERMS = "its terms are not what its id says"
_CHARGE = "its charge is not what its terms cost"
_HEAD = "its stored head is not its hash"
_BYTES = "its bytes are not the ones that were recorded"
_MISSING = "it was charged, but its bytes are missing"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (rewrite(2, lambda entry: entry.update(recorded_on="2026-06-02")), f"entry 2: {_HEAD}"),
        (rewrite(2, lambda entry: entry.update(commitment="0" * 64)), f"entry 2: {_HEAD}"),
        (rewrite(2, lambda entry: entry.update(result_length=99)), f"entry 2: {_BYTES}"),
        (rewrite(2, lambda entry: entry.update(result_sha256="0" * 64)), f"entry 2: {_BYTES}"),
        (rewrite(2, lambda entry: entry["terms"].update(revision=1)), f"entry 2: {_TERMS}"),
        (rewrite(2, lambda entry: entry["terms"]["levels"][0].update(scale_milli=1)), f"entry 2: {_TERMS}"),
        (rewrite(2, lambda entry: entry["charge"].update(by_day=1)), f"entry 2: {_CHARGE}"),
        (rewrite(2, lambda entry: entry["charge"].update(by_period=1)), f"entry 2: {_CHARGE}"),
        (rewrite(2, lambda entry: entry["charge"].update(last_day="2026-02-27")), f"entry 2: {_CHARGE}"),
        (rewrite(2, lambda entry: entry.update(previous=GENESIS)), f"entry 2: {_CHAIN}"),
        (rewrite(2, lambda entry: entry.update(sequence=3)), f"entry 2: {_CHAIN}"),
        (rewrite(2, lambda entry: entry.update(release_id="0" * 64)), f"entry 2: {_CHAIN}"),
        (rewrite(1, lambda entry: entry.update(previous="0" * 64)), f"entry 1: {_CHAIN}"),
        (rewrite(4, lambda entry: entry.update(recorded_on="2026-06-02")), f"entry 4: {_HEAD}"),
        (
            rewrite(2, lambda entry: entry.update(recorded_on="2026-06-02"), head=True),
            f"entry 3: {_CHAIN}",
        ),
    ],
)
def test_an_entry_whose_bytes_were_changed_is_named(path: Path, change: Tamper, named: str) -> None:
    tamper(path, change)
    assert problem(path) == named


def test_an_entry_that_says_the_same_in_other_bytes_is_named(path: Path) -> None:
    tamper(path, run("UPDATE entry SET entry = CAST(entry || ' ' AS BLOB) WHERE sequence = 3"))
    assert problem(path) == "entry 3: it is not in canonical form"


def put(name: str, value: str) -> Tamper:
    """Put any text in the place of a number of entry 2."""

    def change(db: sqlite3.Connection) -> None:
        (raw,) = db.execute("SELECT entry FROM entry WHERE sequence = 2").fetchone()
        fresh, count = re.subn(rf'"{name}":[0-9]+', f'"{name}":{value}', raw.decode())
        assert count == 1, "the test tampers with nothing"
        db.execute("UPDATE entry SET entry = ? WHERE sequence = 2", (fresh.encode(),))

    return change


@pytest.mark.parametrize(
    "change",
    [
        run("UPDATE entry SET entry = x'' WHERE sequence = 2"),
        run("UPDATE entry SET entry = x'ff' WHERE sequence = 2"),
        run("UPDATE entry SET entry = CAST('{}' AS BLOB) WHERE sequence = 2"),
        run("UPDATE entry SET entry = CAST(substr(entry, 1, 200) AS BLOB) WHERE sequence = 2"),
        rewrite(2, lambda entry: entry.pop("commitment")),
        rewrite(2, lambda entry: entry.update(more=1)),
        rewrite(2, lambda entry: entry["charge"].update(by_day=0)),
        put("min_nights", "NaN"),
        put("min_nights", "-Infinity"),
        put("min_nights", str(2**60)),
        put("min_nights", "[" * 10_000 + "]" * 10_000),
        put("sequence", str(2**60)),
        put("sequence", "NaN"),
    ],
    ids=[
        "empty",
        "no text",
        "no fields",
        "half",
        "a field too few",
        "a field too many",
        "no charge",
        "NaN",
        "infinity",
        "2**60",
        "deep",
        "sequence 2**60",
        "sequence NaN",
    ],
)
def test_an_entry_that_cannot_be_read_is_named(path: Path, change: Tamper) -> None:
    tamper(path, change)
    assert problem(path) == "entry 2: it cannot be read"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (run("UPDATE result SET bytes = x'00' WHERE release_id = ?", release_id(3)), f"entry 3: {_BYTES}"),
        (
            run("UPDATE result SET bytes = CAST(bytes || x'00' AS BLOB) WHERE release_id = ?", release_id(1)),
            f"entry 1: {_BYTES}",
        ),
        (run("UPDATE result SET bytes = x'' WHERE release_id = ?", release_id(4)), f"entry 4: {_BYTES}"),
        (run("DELETE FROM result WHERE release_id = ?", release_id(2)), f"entry 2: {_MISSING}"),
        (run("UPDATE entry SET head = ? WHERE sequence = 2", "0" * 64), f"entry 2: {_HEAD}"),
        (run("UPDATE entry SET head = ? WHERE sequence = 4", GENESIS), f"entry 4: {_HEAD}"),
        (run("UPDATE entry SET release_id = ? WHERE sequence = 2", "0" * 64), f"entry 2: {_CHAIN}"),
    ],
)
def test_bytes_heads_and_names_that_were_changed_beside_an_entry_are_named(
    path: Path, change: Tamper, named: str
) -> None:
    tamper(path, change)
    assert problem(path) == named


@pytest.mark.parametrize("sequence", [1, 2, 3])
def test_a_deleted_entry_is_named_by_its_place(path: Path, sequence: int) -> None:
    tamper(path, run("DELETE FROM entry WHERE sequence = ?", sequence))
    assert problem(path) == f"entry {sequence}: it is missing"


def test_a_deleted_entry_is_found_though_the_others_were_numbered_again(path: Path) -> None:
    tamper(
        path,
        run("DELETE FROM result WHERE release_id = ?", release_id(2)),
        run("DELETE FROM entry WHERE sequence = 2"),
        run("UPDATE entry SET sequence = sequence - 1 WHERE sequence > 2"),
    )
    assert problem(path) == f"entry 2: {_CHAIN}"


def test_a_deleted_last_entry_is_found_by_the_bytes_that_it_leaves_behind(path: Path) -> None:
    tamper(path, run("DELETE FROM entry WHERE sequence = 4"))
    assert problem(path) == "there are bytes without a charge"


def test_a_last_entry_that_was_deleted_with_its_bytes_is_found_by_its_nonce(path: Path) -> None:
    tamper(
        path,
        run("DELETE FROM entry WHERE sequence = 4"),
        run("DELETE FROM result WHERE release_id = ?", release_id(4)),
    )
    assert problem(path) == "there is a nonce without a charge"


def test_a_last_entry_that_was_deleted_with_its_bytes_and_nonce_is_found_by_the_totals(path: Path) -> None:
    tamper(
        path,
        run("DELETE FROM entry WHERE sequence = 4"),
        run("DELETE FROM result WHERE release_id = ?", release_id(4)),
        run("DELETE FROM nonce WHERE release_id = ?", release_id(4)),
    )
    assert problem(path) == "the total of the 1 day(s) from 2026-03-02 is not the sum of the charges"


def test_entries_in_another_order_are_found(path: Path) -> None:
    tamper(
        path,
        run("UPDATE entry SET sequence = 99 WHERE sequence = 2"),
        run("UPDATE entry SET sequence = 2 WHERE sequence = 3"),
        run("UPDATE entry SET sequence = 3 WHERE sequence = 99"),
    )
    assert problem(path) == f"entry 2: {_CHAIN}"


def test_entries_that_were_all_moved_back_are_missed_at_their_place(path: Path) -> None:
    tamper(path, run("UPDATE entry SET sequence = sequence + 10"))
    assert problem(path) == "entry 1: it is missing"


def test_a_first_entry_that_was_moved_to_the_end_is_found(path: Path) -> None:
    tamper(path, run("UPDATE entry SET sequence = 5 WHERE sequence = 1"))
    assert problem(path) == "entry 1: it is missing"


def test_of_two_entries_that_do_not_hold_the_first_is_named(path: Path) -> None:
    tamper(
        path,
        run("UPDATE result SET bytes = x'00' WHERE release_id = ?", release_id(4)),
        run("UPDATE entry SET head = ? WHERE sequence = 2", "0" * 64),
        run("DELETE FROM spent"),
    )
    assert problem(path) == f"entry 2: {_HEAD}"


def test_bytes_that_nobody_was_charged_for_are_found(path: Path) -> None:
    tamper(path, run("INSERT INTO result VALUES (?, x'00')", "f" * 64))
    assert problem(path) == "there are bytes without a charge"


def test_a_nonce_of_nothing_that_was_charged_is_found(path: Path) -> None:
    tamper(path, run("INSERT INTO nonce VALUES ('a nonce', ?)", "f" * 64))
    assert problem(path) == "there is a nonce without a charge"


# --- totals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "total"),
    [
        (
            run("UPDATE spent SET nano = nano - 1 WHERE length = 1 AND first_day = '2026-02-03'"),
            (1, "2026-02-03"),
        ),
        (
            run("UPDATE spent SET nano = nano + 1 WHERE length = 31 AND first_day = '2026-03-02'"),
            (31, "2026-03-02"),
        ),
        (run("UPDATE spent SET nano = 0 WHERE first_day >= '2026-02-10'"), (1, "2026-02-10")),
        (run("DELETE FROM spent WHERE length = 31 AND first_day = '2026-01-30'"), (31, "2026-01-30")),
        (run("DELETE FROM spent"), (1, "2026-02-01")),
        (run("INSERT INTO spent VALUES (1, '2026-12-24', 5)"), (1, "2026-12-24")),
        (run("INSERT INTO spent VALUES (1, '2026-12-24', 0)"), (1, "2026-12-24")),
        (run("INSERT INTO spent VALUES (31, '2025-01-01', 0)"), (31, "2025-01-01")),
        (run("UPDATE spent SET first_day = 'soon' WHERE first_day = '2026-03-02'"), (1, "2026-03-02")),
        (run("INSERT INTO spent VALUES (7, '2026-02-01', 5)"), (7, "2026-02-01")),
        (
            run("UPDATE spent SET first_day = '2027-01-01' WHERE first_day = '2026-03-02' AND length = 1"),
            (1, "2026-03-02"),
        ),
    ],
)
def test_a_total_that_is_not_the_sum_of_its_charges_is_named(
    path: Path, change: Tamper, total: tuple[int, str]
) -> None:
    tamper(path, change)
    length, first = total
    assert problem(path) == f"the total of the {length} day(s) from {first} is not the sum of the charges"
