"""The ledger commands of an operator: verify, prune, restore, and what planning and cards say afterwards."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest
from click import UsageError
from click.testing import CliRunner, Result

from node import ledgers
from node.cli import commands
from node.config import Home
from node.daemon import check, open_ledger
from node.enrolment import enrol, keeper_of, load
from node.ledgers import Slowly, require_sound
from privacy.errors import LedgerProblem, UsageProblem
from privacy.ledger import Ledger, Request, Terms, verify
from quorate.contract.order import terms_of
from tests.support_node import FIRST_DAY, NAME, NETWORK, Network, config_text, write_events

TODAY = FIRST_DAY + timedelta(days=60)
DAYS = [FIRST_DAY + timedelta(days=n) for n in (0, 1, 40)]


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "today", lambda _own: TODAY)


def quorate_node(home: Home, *words: str, answer: str = "") -> Result:
    result = CliRunner().invoke(
        commands, [*words, "--dir", str(home.root)], input=answer, standalone_mode=False
    )
    if result.exception is not None:
        raise result.exception
    return result


def terms_for(home: Home, day: date) -> Terms:
    own = load(home)
    return terms_of(own.charter, own.zoning, "presence", (day, day), 0)


def release(home: Home, *days: date) -> None:
    with closing(open_ledger(home, load(home))) as ledger:
        for day in days:
            terms = terms_for(home, day)
            ledger.commit(Request(terms, f"nonce {day}", b"noised bytes", b"snapshot"), day)


@pytest.fixture
def used(home: Home) -> Home:
    """A node that has released three days, and a backup of its ledger after the second."""
    release(home, *DAYS[:2])
    shutil.copy(home.ledger, home.root / "backup")
    release(home, DAYS[2])
    return home


def put_back(home: Home) -> None:
    for left in home.root.glob("ledger.db*"):
        left.unlink()
    shutil.copy(home.root / "backup", home.ledger)


def witness_of(home: Home) -> Path:
    return keeper_of(home, load(home).config).witness


def state(home: Home) -> dict[str, bytes]:
    """Return all files of a node but the log of the database."""
    return {
        file.name: file.read_bytes()
        for file in home.root.iterdir()
        if file.is_file() and not file.name.endswith(("-wal", "-shm"))
    }


# --- verify -----------------------------------------------------------------------------------------------


def test_verifying_holds_the_witness_against_the_ledger(used: Home) -> None:
    said = quorate_node(used, "ledger", "verify").output
    assert (
        said == f"ok: 3 entries, head {verify(used.ledger)[1]}\nok: the witness has 3 of them, and agrees\n"
    )
    put_back(used)
    with pytest.raises(LedgerProblem, match="lacks 1 release"):
        quorate_node(used, "ledger", "verify")


def test_verifying_for_a_program_and_with_caps_that_were_lowered(used: Home, network: Network) -> None:
    found = json.loads(quorate_node(used, "ledger", "verify", "--json").stdout)
    nothing = {"pruned": 0, "lost": 0, "forfeits": 0, "above_caps": ""}
    assert found == {"entries": 3, "head": verify(used.ledger)[1], "witnessed": 3, **nothing}
    lower = re.sub("day_cap = .*", "day_cap = 1", used.policy.read_text())
    used.policy.write_text(lower)
    enrol(used, NAME, NETWORK, network.fingerprint)
    said = quorate_node(used, "ledger", "verify")
    assert said.stdout.startswith("ok: 3 entries")
    assert "warning: more was spent than the caps allow now" in said.stderr


def test_a_damaged_line_in_the_middle_of_the_witness_is_found_by_verifying_and_at_the_start(
    used: Home,
) -> None:
    lines = witness_of(used).read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"head": "', b'"head": "0', 1)
    witness_of(used).write_bytes(b"".join(lines))
    with pytest.raises(LedgerProblem, match="line 2 of the ledger's witness does not hold"):
        quorate_node(used, "ledger", "verify")
    with pytest.raises(LedgerProblem, match="line 2 of the ledger's witness does not hold"):
        require_sound(used, load(used))


def test_a_node_whose_witness_is_gone_does_not_start(used: Home) -> None:
    witness_of(used).unlink()
    with pytest.raises(LedgerProblem, match="is not there"):
        require_sound(used, load(used))
    with pytest.raises(LedgerProblem, match="is not there"):
        release(used)


# --- prune ------------------------------------------------------------------------------------------------


def test_pruning_says_what_it_deleted(used: Home) -> None:
    before = state(used)
    dry = quorate_node(used, "ledger", "prune", "--before", str(DAYS[2]), "--dry-run").output
    assert dry == (
        "would delete 2 entries with 24 bytes of results\n"
        f"days before {DAYS[2]} would have no budget any more\n"
        f"entry 3 is kept: it reads {DAYS[2]} or a later day\n"
    )
    assert state(used) == before
    done = quorate_node(used, "ledger", "prune", "--before", str(DAYS[2])).output
    assert done == dry.replace("would delete", "deleted").replace("would have", "have")
    again = quorate_node(used, "ledger", "prune", "--before", str(DAYS[2])).output
    assert again == f"nothing to delete: entry 3 is kept: it reads {DAYS[2]} or a later day\n"
    assert quorate_node(used, "ledger", "verify").output.startswith("ok: 3 entries")


def test_pruning_says_the_same_to_a_program(used: Home) -> None:
    words = ("ledger", "prune", "--before", str(DAYS[2]), "--json")
    dry = json.loads(quorate_node(used, *words, "--dry-run").output)
    assert (dry["dry_run"], dry["entries"], dry["result_bytes"], dry["first_kept"]) == (True, 2, 24, 3)
    assert (dry["anchor"]["sequence"], dry["anchor"]["first_day"]) == (2, str(DAYS[2]))
    assert json.loads(quorate_node(used, *words).output) == dry | {"dry_run": False}
    again = json.loads(quorate_node(used, *words).output)
    assert (again["entries"], again["anchor"]) == (0, None)


def test_a_pruned_ledger_shows_it_in_every_command(used: Home) -> None:
    quorate_node(used, "ledger", "prune", "--before", str(DAYS[2]))
    shown = quorate_node(used, "ledger", "show").output.splitlines()
    assert shown[0].startswith("1 release(s), head ")
    assert shown[1:3] == [
        "  2 earlier entries were pruned",
        f"  days before {DAYS[2]} have no budget any more",
    ]
    with pytest.raises(UsageProblem, match="the ledger has pruned entry 2"):
        quorate_node(used, "ledger", "card", "2")
    assert quorate_node(used, "ledger", "card", "3").output
    refused = json.loads(quorate_node(used, "plan", "presence", "--from", str(DAYS[0]), "--json").output)
    assert (refused["outcome"], "no privacy budget" in refused["refused"]) == ("refused", True)


def test_a_date_in_the_future_is_refused(used: Home) -> None:
    with pytest.raises(UsageProblem, match="is in the future"):
        quorate_node(used, "ledger", "prune", "--before", str(TODAY + timedelta(days=1)))


def test_a_ledger_in_use_is_not_pruned(used: Home) -> None:
    with (
        closing(open_ledger(used, load(used))),
        pytest.raises(LedgerProblem, match="is open in another process"),
    ):
        quorate_node(used, "ledger", "prune", "--before", str(DAYS[2]))


def test_what_takes_longer_than_two_seconds_says_how_far_it_is() -> None:
    now, said = [0.0], list[str]()
    progress = Slowly(said.append, clock=lambda: now[0])
    for second in range(8):
        now[0] = second * 0.75
        progress("deleting entries", second * 1_000, 7_000)
    progress("writing the file anew", 0, 0)
    now[0] += 2
    progress("writing the file anew", 0, 0)
    assert said == [
        "deleting entries: 3,000 of 7,000",
        "deleting entries: 6,000 of 7,000",
        "writing the file anew",
    ]


# --- restore ----------------------------------------------------------------------------------------------


def test_a_restored_ledger_gets_its_charges_back(used: Home) -> None:
    put_back(used)
    said = quorate_node(used, "ledger", "restore").output
    assert said.startswith("added 1 charge(s) from the witness; their bytes are lost")
    assert quorate_node(used, "ledger", "restore").output == "the ledger has every charge already\n"
    assert json.loads(quorate_node(used, "ledger", "restore", "--json").output) == {"added": 0}


def test_a_release_whose_bytes_are_lost_is_told_by_every_command(used: Home) -> None:
    put_back(used)
    quorate_node(used, "ledger", "restore")
    shown = quorate_node(used, "ledger", "show").output
    assert (
        next(line for line in shown.splitlines() if "bytes are lost" in line)
        .strip()
        .startswith("3: presence")
    )
    charges = json.loads(quorate_node(used, "ledger", "show", "--json").output)["charges"]
    assert [charge["lost"] for charge in charges] == [False, False, True]
    assert "1 release(s) are charged without bytes" in quorate_node(used, "ledger", "verify").output
    planned = quorate_node(used, "plan", "presence", "--from", str(DAYS[2]))
    assert "its bytes were lost with a restored backup: it would be refused" in planned.output
    asked = quorate_node(used, "plan", "presence", "--from", str(DAYS[2]), "--json").stdout
    assert json.loads(asked)["outcome"] == "lost"


READING = (
    ("ledger", "show"),
    ("ledger", "card", "1"),
    ("ledger", "prune", "--dry-run", "--before", str(DAYS[1])),
    ("plan", "presence", "--from", str(DAYS[2])),
)


@pytest.mark.parametrize("words", READING, ids=lambda words: words[-1])
def test_what_only_reads_warns_of_a_ledger_that_the_node_would_not_open(
    used: Home, words: tuple[str, ...]
) -> None:
    assert quorate_node(used, *words).stderr == ""
    put_back(used)
    assert "would not open this ledger: the ledger lacks 1 release(s)" in quorate_node(used, *words).stderr
    witness_of(used).unlink()
    assert "is not there" in quorate_node(used, *words).stderr


@pytest.mark.parametrize("words", [*READING, ("ledger", "verify")], ids=lambda words: words[-1])
def test_a_ledger_that_is_gone_while_its_witness_has_entries_is_no_new_node(
    used: Home, words: tuple[str, ...]
) -> None:
    for left in used.root.glob("ledger.db*"):
        left.unlink()
    with pytest.raises(LedgerProblem, match=r"but its witness .* has entries") as caught:
        quorate_node(used, *words)
    assert "ledger restore" in caught.value.todo
    said = quorate_node(used, "ledger", "restore").output
    assert said.startswith("added 3 charge(s)")


def test_verifying_tells_that_the_witness_lacks_entries(used: Home) -> None:
    lines = witness_of(used).read_bytes().splitlines(keepends=True)
    witness_of(used).write_bytes(b"".join(lines[:1]))
    found = quorate_node(used, "ledger", "verify")
    assert "the witness has 1 of them" in found.stdout
    assert (
        found.stderr == "warning: the witness lacks 2 of the entries; the node adds them at its next start\n"
    )


# --- backup -----------------------------------------------------------------------------------------------


def test_a_backup_of_a_ledger_in_use_has_everything_that_was_committed(home: Home, tmp_path: Path) -> None:
    with closing(open_ledger(home, load(home))) as ledger:
        for day in DAYS[:2]:
            ledger.commit(Request(terms_for(home, day), f"nonce {day}", b"noised bytes", b"snapshot"), day)
        said = json.loads(
            quorate_node(home, "ledger", "backup", "--to", str(tmp_path / "copy.db"), "--json").output
        )
        head = ledger.head
    assert verify(tmp_path / "copy.db") == head
    assert said == {"file": str(tmp_path / "copy.db"), "bytes": (tmp_path / "copy.db").stat().st_size}
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == ["copy.db"]
    with pytest.raises(UsageProblem, match="is there already"):
        quorate_node(home, "ledger", "backup", "--to", str(tmp_path / "copy.db"))
    with pytest.raises(UsageProblem, match="cannot be written"):
        quorate_node(home, "ledger", "backup", "--to", str(tmp_path / "nowhere" / "copy.db"))


def test_a_backup_takes_the_ledgers_place_whatever_is_left_beside_it(used: Home, tmp_path: Path) -> None:
    copy, whole = tmp_path / "copy.db", verify(used.ledger)
    shutil.copy(used.root / "backup", copy)
    # As after a kill: the log of the newer ledger lies beside a file that is another one.
    for beside in ("-wal", "-shm"):
        used.ledger.with_name(f"ledger.db{beside}").write_bytes(b"left over" * 1000)
    used.ledger.write_bytes(b"damaged")
    with pytest.raises(LedgerProblem, match="cannot be read") as caught:
        quorate_node(used, "ledger", "verify")
    assert "restore --from BACKUP" in caught.value.todo
    said = quorate_node(used, "ledger", "restore", "--from", str(copy)).output
    assert said.startswith("added 1 charge(s)")
    assert verify(used.ledger) == whole
    release(used, *DAYS[:2])
    aside = used.root / "ledger.db.replaced"
    assert aside.read_bytes() == b"damaged"
    assert aside.with_name(f"{aside.name}-wal").read_bytes() == b"left over" * 1000
    with pytest.raises(UsageProblem, match="was replaced before"):
        quorate_node(used, "ledger", "restore", "--from", str(copy))


def test_a_backup_that_does_not_hold_or_is_in_use_changes_nothing(used: Home, tmp_path: Path) -> None:
    before, wrong = state(used), tmp_path / "wrong.db"
    wrong.write_bytes(b"no ledger")
    with pytest.raises(LedgerProblem, match="cannot be read"):
        quorate_node(used, "ledger", "restore", "--from", str(wrong))
    with pytest.raises(UsageProblem, match="there is no ledger at"):
        quorate_node(used, "ledger", "restore", "--from", str(tmp_path / "nowhere.db"))
    Ledger(tmp_path / "theirs.db", "testnet/beta", load(used).budgets).close()
    with pytest.raises(LedgerProblem, match="of testnet/beta"):
        quorate_node(used, "ledger", "restore", "--from", str(tmp_path / "theirs.db"))
    with (
        closing(open_ledger(used, load(used))),
        pytest.raises(LedgerProblem, match="is open in another process"),
    ):
        quorate_node(used, "ledger", "restore", "--from", str(used.root / "backup"))
    after = state(used)
    assert {name: after[name] for name in before} == before


# --- without a witness ------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["--yes", "--dry-run"])
def test_an_ordinary_restoration_asks_nothing_and_is_never_dry(used: Home, word: str) -> None:
    with pytest.raises(UsageError, match="with --without-witness"):
        quorate_node(used, "ledger", "restore", word)


@pytest.fixture
def bereft(used: Home) -> Home:
    """A node whose ledger was restored, and whose witness is gone."""
    put_back(used)
    witness_of(used).unlink()
    return used


AGAIN = TODAY + timedelta(days=31)


def test_without_a_witness_an_ordinary_restoration_says_what_can_be_done(bereft: Home) -> None:
    before = state(bereft)
    with pytest.raises(UsageProblem, match="there is no witness at") as caught:
        quorate_node(bereft, "ledger", "restore")
    assert "restore --without-witness" in caught.value.todo
    assert state(bereft) == before


def test_a_dry_run_shows_what_would_be_given_up(bereft: Home) -> None:
    before = state(bereft)
    said = quorate_node(bereft, "ledger", "restore", "--without-witness", "--dry-run").output
    assert said.startswith(f"days before {AGAIN} lose what is left of their budgets, for good")
    assert f"the charter ends on {load(bereft).budgets.last_day}" in said
    assert state(bereft) == before


def test_where_nobody_can_be_asked_a_yes_is_needed(bereft: Home) -> None:
    before = state(bereft)
    with pytest.raises(UsageProblem, match="there is no terminal to ask at") as caught:
        quorate_node(bereft, "ledger", "restore", "--without-witness", answer="y\n")
    assert caught.value.todo == "add --yes if it is meant"
    assert state(bereft) == before


@pytest.mark.parametrize("answer", ["n\n", "\n", "y\n"])
def test_a_person_at_a_terminal_is_asked(bereft: Home, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    before = state(bereft)
    monkeypatch.setattr("node.cli_restore.at_a_terminal", lambda: True)
    words = ("ledger", "restore", "--without-witness")
    result = CliRunner().invoke(commands, [*words, "--dir", str(bereft.root)], input=answer)
    assert "Give these budgets up? [y/N]" in result.output
    assert result.exit_code == 0
    assert ("nothing was changed" in result.output) == (answer != "y\n")
    assert (state(bereft) == before) == (answer != "y\n")


def test_with_a_yes_the_budgets_are_given_up_and_the_node_is_ready_again(bereft: Home) -> None:
    said = quorate_node(bereft, "ledger", "restore", "--without-witness", "--yes").output
    assert said.endswith("recorded as entry 3; a new witness was started\n")
    assert quorate_node(bereft, "ledger", "verify").output.startswith("ok: 3 entries")
    shown = quorate_node(bereft, "ledger", "show").output
    assert shown.startswith("2 release(s)")
    assert f"days before {AGAIN} have no budget any more" in shown
    with pytest.raises(UsageProblem, match="entry 3 of the ledger is no release"):
        quorate_node(bereft, "ledger", "card", "3")
    with pytest.raises(UsageProblem, match="is there and holds"):
        quorate_node(bereft, "ledger", "restore", "--without-witness", "--yes")
    refused = json.loads(quorate_node(bereft, "plan", "presence", "--from", str(TODAY), "--json").stdout)
    assert refused["outcome"] == "refused"
    assert refused["refused"].startswith("no day up to")


def test_a_check_counts_what_the_ledger_has_recorded(bereft: Home) -> None:
    write_events(bereft, FIRST_DAY, [(7, 0, 1)])
    bereft.config.write_text(config_text((FIRST_DAY, FIRST_DAY)))
    with pytest.raises(LedgerProblem, match="is not there"):
        check(bereft, load(bereft))
    quorate_node(bereft, "ledger", "restore", "--without-witness", "--yes")
    assert check(bereft, load(bereft))[-1] == "the ledger and its witness hold, with 3 entries"
