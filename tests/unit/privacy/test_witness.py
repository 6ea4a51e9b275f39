"""A ledger is held against its witness: at the last line when it is opened, at every line when it is verified."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privacy.errors import LedgerProblem, ResourceProblem, UsageProblem
from privacy.ledger import Keeper, Ledger, restore, rows, verify, witness, witness_file
from privacy.ledger.entry import head_after
from privacy.ledger.keeper import statement
from privacy.ledger.witness_file import Line
from tests.unit.privacy.builders import BUDGETS, IDENTITY, TODAY, presence, request_for, run, tamper

DAY = date(2026, 3, 2)
OTHER = IDENTITY.replace("north", "south")


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(Ed25519PrivateKey.generate(), tmp_path / "elsewhere.jsonl")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def commit(
    path: Path, keeper: Keeper | None, *revisions: int, seam: Callable[[str], None] = lambda _point: None
) -> None:
    """Open a ledger, commit a release for each revision, and close it."""
    with closing(Ledger(path, IDENTITY, BUDGETS, keeper=keeper, seam=seam)) as ledger:
        for revision in revisions:
            terms = presence(DAY, 1000, revision=revision)
            ledger.commit(request_for(terms, f"nonce-{revision}", f"bytes {revision}".encode()), TODAY)


def lines(keeper: Keeper) -> list[Line]:
    """Return the entries in a witness."""
    with witness_file.reading(keeper.witness) as items:
        return [item for _number, item in items if isinstance(item, Line)]


def texts(keeper: Keeper) -> list[bytes]:
    return keeper.witness.read_bytes().splitlines(keepends=True)


def checked(path: Path, keeper: Keeper) -> tuple[int, str]:
    return witness.verify(path, IDENTITY, keeper)


# --- what it holds ----------------------------------------------------------------------------------------


def test_every_head_is_in_the_witness_signed_by_the_operator(path: Path, keeper: Keeper) -> None:
    commit(path, keeper, 0, 1, 2)
    held = lines(keeper)
    assert len(held) == 3
    assert verify(path) == (3, held[-1].head) == checked(path, keeper)
    for sequence, line in enumerate(held, start=1):
        keeper.key.public_key().verify(line.signature, statement(IDENTITY, sequence, line.head))
    assert keeper.witness.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.glob("*.new")) == []


def test_a_new_ledger_starts_an_empty_witness(path: Path, keeper: Keeper) -> None:
    commit(path, keeper)
    assert keeper.witness.read_bytes() == b""
    assert checked(path, keeper) == rows.START
    assert keeper.witness.stat().st_mode & 0o777 == 0o600


class Crash(Exception):
    pass


def crash_after_commit(point: str) -> None:
    if point == "after commit":
        raise Crash


def test_a_crash_between_commit_and_witness_is_made_good_at_the_next_start(
    path: Path, keeper: Keeper
) -> None:
    for revision in (0, 1):
        with pytest.raises(Crash):
            commit(path, keeper, revision, seam=crash_after_commit)
        assert len(lines(keeper)) == revision
        commit(path, keeper)
        assert len(lines(keeper)) == revision + 1
    assert checked(path, keeper)[0] == 2


def test_an_unfinished_line_does_not_count_and_is_overwritten(path: Path, keeper: Keeper) -> None:
    commit(path, keeper, 0, 1)
    whole = keeper.witness.read_bytes()
    for cut in (1, 40, len(texts(keeper)[1])):
        keeper.witness.write_bytes(whole[:-cut])
        assert checked(path, keeper)[0] == 1
        commit(path, keeper)
        assert keeper.witness.read_bytes() == whole
    keeper.witness.write_bytes(whole + b"\0" * 100_000)
    commit(path, keeper, 2)
    assert [line.link()[0] for line in lines(keeper)] == [1, 2, 3]


def test_a_link_to_the_witness_stays_a_link(path: Path, keeper: Keeper, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    keeper.witness.symlink_to(tmp_path / "disk" / "witness.jsonl")
    commit(path, keeper, 0)
    assert keeper.witness.is_symlink()
    assert [file.name for file in (tmp_path / "disk").iterdir()] == ["witness.jsonl"]


# --- opening ----------------------------------------------------------------------------------------------


def damage(keeper: Keeper, number: int) -> None:
    """Change one bit in the head of a line."""
    found = texts(keeper)
    place = found[number - 1].index(b'"head": "') + 9
    broken = bytearray(found[number - 1])
    broken[place] = ord("1") if broken[place] == ord("0") else ord("0")
    found[number - 1] = bytes(broken)
    keeper.witness.write_bytes(b"".join(found))


def test_opening_looks_at_the_last_line_and_a_full_check_at_every_one(path: Path, keeper: Keeper) -> None:
    commit(path, keeper, 0, 1, 2, 3)
    damage(keeper, 2)
    commit(path, keeper, 4)
    assert len(lines(keeper)) == 5
    with pytest.raises(LedgerProblem, match=r"^line 2 of the ledger's witness does not hold"):
        checked(path, keeper)
    damage(keeper, 5)
    with pytest.raises(LedgerProblem, match=r"^the last line of the ledger's witness does not hold"):
        commit(path, keeper, 5)


def test_a_line_that_was_taken_out_of_the_middle_is_missed_by_a_full_check(
    path: Path, keeper: Keeper
) -> None:
    commit(path, keeper, 0, 1, 2, 3)
    found = texts(keeper)
    keeper.witness.write_bytes(b"".join([*found[:1], *found[2:]]))
    commit(path, keeper)
    with pytest.raises(LedgerProblem, match="line 2 of the ledger's witness does not hold"):
        checked(path, keeper)


def test_opening_reads_the_ends_of_a_long_witness_alone(
    path: Path, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(path, keeper, 0, 1, 2)
    first, second, third = texts(keeper)
    with keeper.witness.open("wb") as file:
        file.write(first)
        for _ in range(20_000):
            file.write(second)
        file.write(third)
    size = keeper.witness.stat().st_size
    assert size > 20_000_000
    before = _read_so_far()
    with closing(Ledger(path, IDENTITY, BUDGETS, keeper=keeper)) as ledger:
        assert _read_so_far() - before < 2_000_000
        ledger.commit(request_for(presence(DAY, 1000, revision=3), "nonce-3"), TODAY)
    assert _read_so_far() - before < 4_000_000


def _read_so_far() -> int:
    """Return how many bytes this process has read from files."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])


@pytest.mark.parametrize("place", [0.2, 0.7])
def test_a_changed_last_line_is_named(path: Path, keeper: Keeper, place: float) -> None:
    commit(path, keeper, 0, 1)
    found = texts(keeper)
    broken = bytearray(found[1])
    broken[int(len(broken) * place)] ^= 1
    keeper.witness.write_bytes(found[0] + broken)
    with pytest.raises(LedgerProblem, match="the last line of the ledger's witness"):
        commit(path, keeper, 2)
    with pytest.raises(LedgerProblem, match="line 2 of the ledger's witness"):
        checked(path, keeper)


@pytest.mark.parametrize(
    "text",
    [
        b"\n",
        b"[]\n",
        b"{}\n",
        b'"text"\n',
        b"\xff\n",
        b"[" * 100_000 + b"\n",
        json.dumps({"entry": "[" * 100_000, "head": "0" * 64, "signature": ""}).encode() + b"\n",
        json.dumps({"entry": "{}", "head": "0" * 64, "signature": ""}).encode() + b"\n",
        json.dumps({"entry": "\ud800", "head": "0" * 64, "signature": ""}).encode() + b"\n",
        json.dumps({"entry": "{}", "head": "0" * 64, "signature": "no hex"}).encode() + b"\n",
        json.dumps({"anchor": "{}", "signature": ""}).encode() + b"\n",
        json.dumps({"anchor": 1, "signature": ""}).encode() + b"\n",
    ],
)
def test_a_line_that_is_none_is_named(path: Path, keeper: Keeper, text: bytes) -> None:
    commit(path, keeper, 0)
    with keeper.witness.open("ab") as file:
        file.write(text)
    with pytest.raises(LedgerProblem, match="the last line of the ledger's witness does not hold"):
        commit(path, keeper)
    for look in (checked, lambda path, keeper: restore(path, IDENTITY, keeper)):
        with pytest.raises(LedgerProblem, match="line 2 of the ledger's witness does not hold"):
            look(path, keeper)


def test_a_witness_of_another_key_or_operator_is_refused(path: Path, keeper: Keeper) -> None:
    commit(path, keeper, 0)
    stranger = Keeper(Ed25519PrivateKey.generate(), keeper.witness)
    with pytest.raises(LedgerProblem, match="the last line"):
        commit(path, stranger, 1)
    with pytest.raises(LedgerProblem, match="line 1 "):
        checked(path, stranger)
    for who, whose in ((stranger, IDENTITY), (keeper, OTHER)):
        new = path.parent / f"new-{whose[-12:-7]}.db"
        with pytest.raises(LedgerProblem, match="line 1 "):
            restore(new, whose, who)
        assert verify(new)[0] == 0, "nothing was adopted"


def test_a_witness_that_goes_another_way_is_a_fork(path: Path, keeper: Keeper, tmp_path: Path) -> None:
    commit(path, keeper, 0, 1, 2)
    other = tmp_path / "other.db"
    twin = Keeper(keeper.key, tmp_path / "twin.jsonl")
    commit(other, twin, 0, 7, 8)
    # The openings of the commitments are drawn anew, so even equal terms make another chain.
    for look in (
        lambda: commit(path, twin, 3),
        lambda: restore(path, IDENTITY, twin),
        lambda: checked(path, twin),
    ):
        with pytest.raises(LedgerProblem, match="the ledger and its witness disagree at entry") as caught:
            look()
        assert "keep both files as evidence" in caught.value.todo
    with pytest.raises(LedgerProblem, match="disagree at entry 1"):
        restore(path, IDENTITY, twin)


def test_a_ledger_that_misses_an_entry_of_its_witness_is_no_ledger_to_go_on_with(
    path: Path, keeper: Keeper
) -> None:
    commit(path, keeper, 0, 1, 2)
    tamper(path, run("DELETE FROM entry WHERE sequence = 2"))
    with pytest.raises(LedgerProblem, match="disagree at entry 2"):
        checked(path, keeper)


def test_a_ledger_with_entries_does_not_start_a_new_witness(path: Path, keeper: Keeper) -> None:
    commit(path, keeper, 0, 1)
    whole = keeper.witness.read_bytes()
    keeper.witness.unlink()
    for look in (commit, checked):
        with pytest.raises(LedgerProblem) as caught:
            look(path, keeper)
        assert (
            caught.value.what == f"the ledger has 2 entry(s), but its witness {keeper.witness} is not there"
        )
        assert "The witness is lost" in caught.value.todo
        assert not keeper.witness.exists()
    keeper.witness.write_bytes(b"")
    commit(path, keeper)
    assert keeper.witness.read_bytes() == whole, (
        "an empty file is the operator's word that the ledger is the newest"
    )


# --- a disk that is full ----------------------------------------------------------------------------------


def full(*_arguments: Any) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_what_the_witness_was_not_told_is_not_sent_and_is_told_before_the_next_thing_is(
    path: Path, keeper: Keeper, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    first, second = (request_for(presence(DAY, 1000, revision=n), f"nonce-{n}") for n in (0, 1))
    with closing(Ledger(path, IDENTITY, BUDGETS, keeper=keeper)) as ledger:
        ledger.commit(first, TODAY)
        whole = keeper.witness.read_bytes()
        for _attempt in range(2):
            with monkeypatch.context() as patched:
                patched.setattr(os, call, full)
                with pytest.raises(ResourceProblem, match="cannot be used now: No space left") as caught:
                    ledger.commit(second, TODAY)
                assert "nothing is sent before the witness has it" in caught.value.means
            assert keeper.witness.read_bytes() == whole
        assert ledger.find(second.terms, second.nonce), "it is charged"
        ledger.remember(second.terms, second.nonce)
        assert len(lines(keeper)) == 2, "it may be sent again only when the witness has it"
        ledger.remember(second.terms, second.nonce)
    assert checked(path, keeper) == verify(path)
    assert len(lines(keeper)) == 2


def test_a_line_that_was_written_though_it_seemed_to_fail_is_not_written_twice(
    path: Path, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = witness_file.append

    def appended_and_failed(*arguments: Any) -> int:
        append(*arguments)
        raise Crash

    with closing(Ledger(path, IDENTITY, BUDGETS, keeper=keeper)) as ledger:
        asked = request_for(presence(DAY, 1000), "nonce")
        monkeypatch.setattr(witness_file, "append", appended_and_failed)
        with pytest.raises(Crash):
            ledger.commit(asked, TODAY)
        monkeypatch.undo()
        ledger.commit(asked, TODAY)
        ledger.commit(request_for(presence(DAY, 1000, revision=1), "nonce-1"), TODAY)
    assert checked(path, keeper) == verify(path)
    assert len(lines(keeper)) == 2


def test_a_witness_where_none_can_be_is_a_clear_error(path: Path, keeper: Keeper, tmp_path: Path) -> None:
    nowhere = Keeper(keeper.key, tmp_path / "unmounted" / "witness.jsonl")
    with pytest.raises(ResourceProblem, match=r"unmounted/witness\.jsonl cannot be used now"):
        commit(path, nowhere, 0)


# --- going back to a backup -------------------------------------------------------------------------------


@pytest.fixture
def restored(path: Path, keeper: Keeper, tmp_path: Path) -> tuple[int, str]:
    """Go back to a ledger of two entries, of four; return the true head."""
    commit(path, keeper, 0, 1)
    backup = tmp_path / "backup.db"
    shutil.copy(path, backup)
    commit(path, keeper, 2, 3)
    true_head = verify(path)
    remove(path)
    shutil.copy(backup, path)
    return true_head


def remove(path: Path) -> None:
    for left in path.parent.glob(f"{path.name}*"):
        left.unlink()


def test_a_restored_ledger_is_frozen_until_its_charges_are_back(
    path: Path, keeper: Keeper, restored: tuple[int, str]
) -> None:
    for look in (lambda: commit(path, keeper, 4), lambda: checked(path, keeper)):
        with pytest.raises(LedgerProblem, match="lacks 2 release"):
            look()
    assert restore(path, IDENTITY, keeper) == 2
    assert verify(path) == checked(path, keeper) == restored
    with closing(Ledger(path, IDENTITY, BUDGETS, keeper=keeper)) as ledger:
        assert ledger.totals(1) == {DAY: 4000}
        found = ledger.find(presence(DAY, 1000, revision=1), "nonce-1")
        assert found is not None
        assert found.result == b"bytes 1"
        with pytest.raises(LedgerProblem, match="bytes were lost"):
            ledger.find(presence(DAY, 1000, revision=2), "nonce-2")
    assert restore(path, IDENTITY, keeper) == 0


def test_a_restored_ledger_adopts_only_lines_that_were_signed(
    path: Path, keeper: Keeper, restored: tuple[int, str]
) -> None:
    before = verify(path)
    found = [json.loads(text) for text in texts(keeper)]
    found[2]["signature"] = found[3]["signature"]
    keeper.witness.write_text("".join(json.dumps(line) + "\n" for line in found))
    with pytest.raises(LedgerProblem, match="line 3 of the ledger's witness"):
        restore(path, IDENTITY, keeper)
    assert verify(path) == before, "nothing was adopted"


def test_a_release_whose_bytes_were_lost_is_neither_sent_nor_noised_again(path: Path, keeper: Keeper) -> None:
    commit(path, keeper, 0)
    remove(path)
    assert restore(path, IDENTITY, keeper) == 1
    with pytest.raises(LedgerProblem, match="bytes were lost"):
        commit(path, keeper, 0)


def test_a_deleted_ledger_does_not_start_afresh(path: Path, keeper: Keeper) -> None:
    commit(path, keeper, 0)
    remove(path)
    with pytest.raises(LedgerProblem, match="lacks 1 release"):
        checked(path, keeper)
    with pytest.raises(LedgerProblem, match="lacks 1 release"):
        commit(path, keeper, 1)


def test_without_a_witness_nothing_is_restored(path: Path, keeper: Keeper) -> None:
    with pytest.raises(UsageProblem, match="there is no witness at") as caught:
        restore(path, IDENTITY, keeper)
    assert "--without-witness" in caught.value.todo
    assert not path.exists()


def test_a_full_check_needs_little_memory(path: Path, keeper: Keeper) -> None:
    """A chain of 20,000 lines that no ledger has: it is walked through to its end, and counted."""
    import tracemalloc

    commit(path, keeper, 0)
    (line,) = lines(keeper)
    head, made = line.head, []
    for sequence in range(2, 20_002):
        entry = json.dumps({"sequence": sequence, "previous": head, "more": "x" * 500}).encode()
        head = head_after(entry)
        made.append(Line(entry, head, keeper.sign(IDENTITY, sequence, head) if sequence == 20_001 else b""))
    witness_file.append(keeper.witness, made)
    del made
    tracemalloc.start()
    with pytest.raises(LedgerProblem, match="lacks 20000 release"):
        checked(path, keeper)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000 < keeper.witness.stat().st_size
