"""What somebody who can write to the files, or a wrong caller, tries: budgets stay spent, errors are typed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privacy.calculus import Budgets
from privacy.errors import (
    LedgerProblem,
    NonceConflict,
    PrivacyProblem,
    QuorateError,
    ResourceProblem,
    UsageProblem,
)
from privacy.ledger import Keeper, Ledger, Request, Terms, forfeit, prune, restore, verify, witness
from privacy.ledger.anchor import Anchor
from privacy.ledger.caps import above_caps
from privacy.ledger.entry import GENESIS
from privacy.ledger.summary import summary
from privacy.sensitivity import Declaration
from privacy.statistics import PRESENCE_BY_HOUR, declare
from privacy.terms import LevelTerms
from tests.unit.privacy.builders import (
    BUDGETS,
    IDENTITY,
    TODAY,
    UNIT,
    presence,
    request_for,
    residents,
    run,
    tamper,
)

DAY = date(2026, 3, 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    (tmp_path / "elsewhere").mkdir()
    return Keeper(Ed25519PrivateKey.generate(), tmp_path / "elsewhere" / "witness.jsonl")


def opened(path: Path, keeper: Keeper | None) -> Ledger:
    return Ledger(path, IDENTITY, BUDGETS, keeper=keeper)


def asked(revision: int) -> Request:
    return request_for(presence(DAY, 1000, revision=revision), f"nonce-{revision}")


def commit(path: Path, keeper: Keeper | None, *revisions: int) -> None:
    with closing(opened(path, keeper)) as ledger:
        for revision in revisions:
            ledger.commit(asked(revision), TODAY)


# --- a forged anchor --------------------------------------------------------------------------------------


def forge(path: Path, signature: bytes) -> None:
    """Put an anchor that carries nothing in the place of all entries."""
    count, head = verify(path)
    anchor = Anchor(sequence=count, head=head, first_day=date(2026, 1, 1), carried=(), recorded_on=TODAY)
    tables = ("nonce", "result", "lost", "spent", "entry")
    tamper(
        path,
        *(lambda db, table=table: db.execute(f"DELETE FROM {table}") for table in tables),  # noqa: S608
        run("INSERT INTO anchor VALUES (1, ?, ?)", anchor.to_bytes(), signature),
    )


ENTRANCES: dict[str, Callable[[Path, Keeper], object]] = {
    "open": opened,
    "verify": lambda path, keeper: witness.verify(path, IDENTITY, keeper),
    "restore": lambda path, keeper: restore(path, IDENTITY, keeper),
    "prune": lambda path, keeper: prune(path, IDENTITY, keeper, date(2026, 2, 1), TODAY),
}


@pytest.mark.parametrize("signature", [b"", b"\x01" * 64], ids=["unsigned", "wrongly signed"])
@pytest.mark.parametrize("entrance", ENTRANCES)
def test_a_forged_anchor_gives_no_budget_back(
    path: Path, keeper: Keeper, entrance: str, signature: bytes
) -> None:
    commit(path, keeper, 0, 1, 2, 3)
    before = keeper.witness.read_bytes()
    forge(path, signature)
    with pytest.raises(LedgerProblem, match="anchor of the ledger was not signed with the operator's key"):
        ENTRANCES[entrance](path, keeper)
    assert keeper.witness.read_bytes() == before, "the good witness stays"


def test_a_forged_anchor_is_not_taken_over_where_the_witness_is_lost(path: Path, keeper: Keeper) -> None:
    commit(path, keeper, 0, 1)
    forge(path, b"")
    keeper.witness.unlink()
    with pytest.raises(LedgerProblem, match="was not signed"):
        forfeit(path, IDENTITY, keeper, TODAY)
    assert not keeper.witness.exists()


def test_a_signed_anchor_that_carries_too_little_does_not_replace_the_witness(
    path: Path, keeper: Keeper
) -> None:
    commit(path, keeper, 0, 1)
    before = keeper.witness.read_bytes()
    count, head = verify(path)
    raw = Anchor(
        sequence=count, head=head, first_day=date(2026, 1, 1), carried=(), recorded_on=TODAY
    ).to_bytes()
    forge(path, keeper.sign_anchor(IDENTITY, raw))
    with pytest.raises(LedgerProblem, match="disagree at entry 2"):
        opened(path, keeper)
    assert keeper.witness.read_bytes() == before


# --- one writer -------------------------------------------------------------------------------------------


def test_a_hard_link_to_a_ledger_is_refused(path: Path, keeper: Keeper, tmp_path: Path) -> None:
    commit(path, None, 0)
    other = tmp_path / "other.db"
    os.link(path, other)
    for name in (path, other):
        with pytest.raises(LedgerProblem, match="one file with 2 names"):
            opened(name, None)
    other.unlink()
    commit(path, None, 1)


def linked(path: Path) -> None:
    os.link(path, path.with_name("other.db"))


def replaced(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


@pytest.mark.parametrize(
    "change",
    [lambda path: path.with_name("ledger.db.lock").unlink(), linked, replaced, Path.unlink],
    ids=["no lock", "linked", "replaced", "removed"],
)
def test_a_ledger_that_another_process_could_open_is_not_charged_further(
    path: Path, change: Callable[[Path], object]
) -> None:
    with closing(opened(path, None)) as ledger:
        ledger.commit(asked(0), TODAY)
        change(path)
        for _attempt in range(2):
            with pytest.raises(LedgerProblem, match=r"was moved, replaced or linked|one file with 2 names"):
                ledger.commit(asked(1), TODAY)
        assert ledger.head[0] == 1


# --- the witness of an open ledger ------------------------------------------------------------------------


def test_two_copies_of_a_ledger_cannot_share_a_witness(path: Path, keeper: Keeper, tmp_path: Path) -> None:
    commit(path, keeper, 0)
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    with closing(opened(path, keeper)) as ledger:
        with pytest.raises(LedgerProblem, match=r"witness .* is open in another process"):
            opened(copy, keeper)
        for entrance in ("restore", "prune"):
            with pytest.raises(LedgerProblem, match=r"witness .* is open in another process"):
                ENTRANCES[entrance](copy, keeper)
        ledger.commit(asked(1), TODAY)
    opened(path, keeper).close()
    with pytest.raises(LedgerProblem, match="lacks 1 release"):
        opened(copy, keeper)


def test_a_witness_that_is_deleted_under_a_ledger_is_not_started_anew(path: Path, keeper: Keeper) -> None:
    with closing(opened(path, keeper)) as ledger:
        ledger.commit(asked(0), TODAY)
        aside = keeper.witness.rename(keeper.witness.with_name("aside"))
        with pytest.raises(LedgerProblem, match="moved, replaced or changed"):
            ledger.commit(asked(1), TODAY)
        with pytest.raises(LedgerProblem, match="is not there"):
            ledger.commit(asked(1), TODAY)
        assert not keeper.witness.exists()
        aside.rename(keeper.witness)
        ledger.commit(asked(1), TODAY)
    assert witness.verify(path, IDENTITY, keeper) == verify(path)


@pytest.mark.parametrize("way", ["in place", "another file"])
def test_a_witness_that_is_rolled_back_under_a_ledger_shows(path: Path, keeper: Keeper, way: str) -> None:
    with closing(opened(path, keeper)) as ledger:
        ledger.commit(asked(0), TODAY)
        old = keeper.witness.read_bytes()
        ledger.commit(asked(1), TODAY)
        if way == "another file":
            keeper.witness.unlink()
        keeper.witness.write_bytes(old)
        with pytest.raises(LedgerProblem, match="moved, replaced or changed"):
            ledger.commit(asked(2), TODAY)
        assert keeper.witness.read_bytes() == old
        ledger.commit(asked(2), TODAY)
    assert witness.verify(path, IDENTITY, keeper) == verify(path)


def test_a_witness_that_is_a_broken_line_alone_is_not_an_empty_one(path: Path, keeper: Keeper) -> None:
    commit(path, keeper, 0)
    whole = keeper.witness.read_bytes()
    keeper.witness.write_bytes(whole[:50])
    commit(path, keeper, 1)
    assert keeper.witness.read_bytes().startswith(whole), "the very first line may have been torn by a crash"
    keeper.witness.write_bytes(whole[:50])
    for entrance in ("open", "verify", "restore"):
        with pytest.raises(LedgerProblem, match="line 1 of the ledger's witness does not hold"):
            ENTRANCES[entrance](path, keeper)
    keeper.witness.write_bytes(b"")
    opened(path, keeper).close()
    assert witness.verify(path, IDENTITY, keeper) == verify(path)


# --- terms that cannot be true ----------------------------------------------------------------------------


def level(by_period: int, scale_milli: int) -> tuple[LevelTerms, ...]:
    return (LevelTerms(name="zone", share_permille=1000, by_period=by_period, scale_milli=scale_milli),)


UNTRUE: dict[str, tuple[Terms, str]] = {
    "noise": (presence(DAY, UNIT, levels=level(UNIT, 34_600)), "the noise of level zone is too small"),
    "tiny noise": (presence(DAY, UNIT, levels=level(UNIT, 1)), "the noise of level zone is too small"),
    "bounds": (
        presence(DAY, UNIT, bounds=Declaration(cells_by_period=1, cells_by_day=1)),
        "its bounds are not those of its statistic",
    ),
    "statistic": (presence(DAY, statistic="census"), "its statistic is none that can be noised"),
    "choice": (presence(DAY, statistic="contribution-bound"), "its statistic is none that can be noised"),
    "days": (presence(DAY, last_day=date(2026, 3, 3)), "its statistic reads one day, and it reads several"),
}


@pytest.mark.parametrize("case", UNTRUE)
def test_terms_that_cannot_be_true_are_neither_charged_nor_verified(
    path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms, problem = UNTRUE[case]
    with closing(opened(path, None)) as ledger:
        with pytest.raises(PrivacyProblem, match=problem):
            ledger.commit(request_for(terms), TODAY)
        assert ledger.head == (0, GENESIS)
        with monkeypatch.context() as patched:
            patched.setattr("privacy.ledger.request.terms_problem", lambda _terms: "")
            ledger.commit(request_for(terms), TODAY)
    with pytest.raises(LedgerProblem, match=f"entry 1: {problem}"):
        verify(path)


@pytest.mark.parametrize("hours", [23, 24, 25])
def test_days_of_23_to_25_hours_are_true(path: Path, hours: int) -> None:
    with closing(opened(path, None)) as ledger:
        terms = presence(DAY, bounds=declare(PRESENCE_BY_HOUR, {}, hours))
        ledger.commit(request_for(terms), TODAY)
    assert verify(path)[0] == 1


def test_totals_above_the_caps_are_told(path: Path) -> None:
    with closing(opened(path, None)) as ledger:
        ledger.commit(request_for(presence(DAY)), TODAY)
    assert above_caps(path, BUDGETS) == ""
    lower = Budgets(day=UNIT // 2, month=9 * UNIT, first_day=BUDGETS.first_day, last_day=BUDGETS.last_day)
    assert f"the 1 day(s) from {DAY}" in above_caps(path, lower)


# --- typed errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sequence", ["1e999", str(-(2**70)), str(2**70), "true", "1.0", '"1"', "0", "NaN"])
def test_a_line_with_an_impossible_sequence_is_damaged(path: Path, keeper: Keeper, sequence: str) -> None:
    commit(path, keeper, 0)
    text = keeper.witness.read_text()
    keeper.witness.write_text(
        text.replace('\\"sequence\\":1', f'\\"sequence\\":{sequence}'.replace('"1"', '\\"1\\"'))
    )
    for entrance in ENTRANCES.values():
        with pytest.raises(LedgerProblem, match="of the ledger's witness does not hold"):
            entrance(path, keeper)


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "\ud800"},
        {"nonce": ""},
        {"nonce": 7},
        {"nonce": None},
        {"samplers": ("dice",)},
        {"samplers": (["opendp"],)},
        {"result": "text"},
        {"result": None},
        {"snapshot": "text"},
        {"terms": None},
    ],
    ids=str,
)
def test_a_request_of_wrong_types_is_refused(path: Path, changes: dict[str, Any]) -> None:
    fields: dict[str, Any] = {
        "terms": presence(DAY),
        "nonce": "n",
        "result": b"bytes",
        "snapshot": b"\x01" * 32,
    }
    with closing(opened(path, None)) as ledger:
        with pytest.raises(PrivacyProblem):
            ledger.commit(Request(**(fields | changes)), TODAY)
        for today in (None, datetime(2026, 6, 1, 12, tzinfo=UTC)):
            with pytest.raises(PrivacyProblem, match="is not a day"):
                ledger.commit(Request(**fields), today)  # type: ignore[arg-type]
        assert ledger.head == (0, GENESIS)


def test_a_nonce_that_is_no_text_is_refused_by_every_use(path: Path) -> None:
    with closing(opened(path, None)) as ledger:
        ledger.commit(asked(0), TODAY)
        for use in (ledger.find, ledger.remember):
            with pytest.raises(PrivacyProblem, match="not a text that can be stored"):
                use(asked(0).terms, "\ud800")


def test_a_forfeit_at_the_end_of_time_is_a_wrong_day(path: Path, keeper: Keeper) -> None:
    with pytest.raises(UsageProblem, match="later than any day"):
        forfeit(path, IDENTITY, keeper, date.max)


@pytest.mark.parametrize(
    "use",
    [
        lambda path, keeper: opened(path, None),
        lambda path, keeper: verify(path),
        lambda path, keeper: summary(path, BUDGETS),
        lambda path, keeper: opened(path.with_name("ledger.db"), Keeper(keeper.key, path)),
    ],
    ids=["open", "verify", "summary", "witness"],
)
def test_a_null_character_in_a_path_is_a_wrong_path(
    tmp_path: Path, keeper: Keeper, use: Callable[[Path, Keeper], object]
) -> None:
    with pytest.raises(QuorateError) as caught:
        use(tmp_path / "a\0b", keeper)
    assert "null character" in caught.value.what


# --- fitting words ----------------------------------------------------------------------------------------


def test_a_closed_ledger_is_not_called_damaged(path: Path) -> None:
    ledger = opened(path, None)
    ledger.close()
    with pytest.raises(LedgerProblem, match="is closed") as caught:
        ledger.commit(asked(0), TODAY)
    assert "backup" not in caught.value.explain()


def test_threads_take_turns(path: Path) -> None:
    """Every release is charged once and has the bytes of one of those that asked for it; the chain holds."""
    threads, releases = 4, 6

    def use(thread: int) -> list[bytes]:
        together.wait()
        found = []
        for number in range(releases):
            request = request_for(
                presence(DAY, 1, revision=number), f"nonce-{number}", b"of thread %d" % thread
            )
            found.append(ledger.commit(request, TODAY).result)
            ledger.totals(1)
        return found

    together = threading.Barrier(threads)
    with closing(opened(path, None)) as ledger, ThreadPoolExecutor(threads) as pool:
        first, *others = pool.map(use, range(threads))
        assert ledger.head[0] == releases
    assert others == [first] * (threads - 1)
    assert verify(path)[0] == releases


def test_a_release_that_is_too_long_is_not_called_damage(path: Path) -> None:
    with closing(opened(path, None)) as ledger:
        ledger._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 5_000)
        with pytest.raises(ResourceProblem, match="too long to be stored") as caught:
            ledger.commit(request_for(presence(DAY), "n", b"x" * 6_000), TODAY)
        assert "backup" not in caught.value.explain()
        assert ledger.head == (0, GENESIS)


def test_only_what_was_recorded_is_remembered_and_only_under_its_own_nonce(path: Path) -> None:
    with closing(opened(path, None)) as ledger:
        ledger.commit(asked(0), TODAY)
        ledger.commit(asked(1), TODAY)
        with pytest.raises(LedgerProblem, match="never recorded cannot be sent again"):
            ledger.remember(asked(2).terms, "nonce-2")
        with pytest.raises(NonceConflict):
            ledger.remember(asked(0).terms, "nonce-1")
        ledger.remember(asked(0).terms, "another")
        assert ledger.find(asked(0).terms, "another")


def test_a_sequence_out_of_all_bounds_is_found_at_once(path: Path) -> None:
    commit(path, None, 0, 1, 2)
    tamper(path, run("UPDATE entry SET sequence = 4000000000000 WHERE sequence = 3"))
    with pytest.raises(LedgerProblem, match="entry 3: it is missing"):
        verify(path)
    tamper(path, run("UPDATE entry SET sequence = -5 WHERE sequence = 4000000000000"))
    with pytest.raises(LedgerProblem, match="entry -5: it was pruned, and is there"):
        verify(path)


def test_a_summary_keeps_no_entries(path: Path) -> None:
    with closing(opened(path, None)) as ledger:
        ledger.commit(request_for(residents(DAY, date(2026, 3, 5)), "n1"), TODAY)
        ledger.commit(asked(0), TODAY)
    found = summary(path, BUDGETS)
    assert [line["sequence"] for line in found["charges"]] == [1, 2]
    assert found["forfeits"] == []
