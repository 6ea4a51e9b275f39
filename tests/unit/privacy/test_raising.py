"""A restored ledger is raised to a copy that is kept elsewhere: it gets every charge, and loses none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import count, product
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privacy.calculus import DAY, MONTH
from privacy.errors import LedgerProblem, Unreachable
from privacy.ledger import Keeper, Ledger, forfeit, prune, verify, witness
from privacy.ledger.anchor import Position
from privacy.ledger.entry import GENESIS, head_after
from privacy.ledger.raising import Copied, Copy, HeadAt, Raised, end_of, raise_charges
from tests.unit.privacy.builders import BUDGETS, IDENTITY, TODAY, presence, request_for
from tests.unit.privacy.crashes import dies_before

FIRST = date(2026, 3, 2)
KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
LENGTH = 5


@dataclass(frozen=True)
class Node:
    """A directory with a ledger and its witness."""

    root: Path

    @property
    def path(self) -> Path:
        return self.root / "ledger.db"

    @property
    def keeper(self) -> Keeper:
        return Keeper(KEY, self.root / "witness.jsonl")

    def commit(self, *days: int, result: bytes = b"noised") -> None:
        with closing(Ledger(self.path, IDENTITY, BUDGETS, keeper=self.keeper)) as ledger:
            for day in days:
                terms = presence(FIRST.replace(day=day), 1000 * day)
                ledger.commit(request_for(terms, f"nonce {day}", result), TODAY)

    def read(self) -> tuple[list[bytes], Position, list[dict[date, int]]]:
        """Return entries, head and totals."""
        with closing(Ledger(self.path, IDENTITY, BUDGETS)) as ledger:
            entries = [line.entry for line in ledger.published_after(0, 100)]
            return entries, ledger.head, [ledger.totals(length) for length in (DAY, MONTH)]

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.root.iterdir() if path.suffix != ".lock"}

    def raised(self, copy: Copy, *, dry_run: bool = False) -> Raised:
        return raise_charges(self.path, IDENTITY, self.keeper, copy, dry_run=dry_run)


@pytest.fixture(scope="module")
def backups(tmp_path_factory: pytest.TempPathFactory) -> list[Node]:
    """A node as it was after each of its releases, from none to all."""
    root = tmp_path_factory.mktemp("backups")
    now, found = Node(root / "now"), list[Node]()
    now.root.mkdir()
    for day in range(LENGTH + 1):
        now.commit(*([day] if day else []))
        found.append(Node(shutil.copytree(now.root, root / str(day))))
    return found


@pytest.fixture
def node(backups: list[Node], tmp_path: Path) -> Node:
    """A node whose ledger and witness were both restored as they were after two of five releases."""
    return restored(backups, tmp_path / "node", 2, 2)


def restored(backups: list[Node], root: Path, ledger: int, witness_: int) -> Node:
    node = Node(root)
    node.root.mkdir()
    shutil.copy(backups[ledger].path, node.path)
    shutil.copy(backups[witness_].keeper.witness, node.keeper.witness)
    return node


def copy_of(entries: Sequence[bytes]) -> Copy:
    """Return a copy that gives what it has beyond a ledger."""
    end = (len(entries), head_after(entries[-1]) if entries else GENESIS)
    return lambda ours, _head_at: Copied(entries[ours[0] :], end)


def given(entries: Sequence[bytes]) -> Copy:
    """Return a copy that gives these entries, whatever they are."""
    return lambda _ours, _head_at: Copied(entries, (LENGTH, GENESIS))


# --- without I/O ------------------------------------------------------------------------------------------


def test_a_chain_ends_after_the_entries_that_continue_it(backups: list[Node]) -> None:
    whole, end, _totals = backups[-1].read()
    heads = [GENESIS, *map(head_after, whole)]
    for first, last in product(range(LENGTH + 1), repeat=2):
        if first <= last:
            assert end_of((first, heads[first]), whole[first:last]) == (last, heads[last])
    assert end == (LENGTH, heads[LENGTH])


def entry_changed(entry: bytes, **changes: object) -> bytes:
    return json.dumps(json.loads(entry) | changes, separators=(",", ":"), sort_keys=True).encode()


Change = Callable[[list[bytes]], list[bytes]]
WRONG: dict[str, tuple[Change, str]] = {
    "the first is left out": (lambda e: e[1:], "does not have entry 3"),
    "one in the middle is left out": (lambda e: [e[0], e[2]], "does not have entry 4"),
    "one comes twice": (lambda e: [e[0], e[0]], "does not have entry 4"),
    "they are in another order": (lambda e: e[::-1], "does not have entry 3"),
    "no entry": (lambda e: [b"", *e], "entry 3: it cannot be read"),
    "no text": (lambda e: [b"\xff", *e], "entry 3: it cannot be read"),
    "another form": (lambda e: [e[0] + b" "], "entry 3: it is not in canonical form"),
    "another head before it": (
        lambda e: [entry_changed(e[0], previous="0" * 64)],
        "another way than this ledger at entry 2",
    ),
    "a changed entry before others": (
        lambda e: [entry_changed(e[0], result_sha256="0" * 64), *e[1:]],
        "another way than this ledger at entry 3",
    ),
}


@pytest.fixture(params=WRONG)
def wrong(request: pytest.FixtureRequest) -> tuple[Change, str]:
    return WRONG[request.param]


def test_what_is_not_one_chain_from_the_end_of_a_ledger_is_refused(
    backups: list[Node], wrong: tuple[Change, str]
) -> None:
    change, match = wrong
    whole, _end, _totals = backups[-1].read()
    with pytest.raises(LedgerProblem, match=match) as caught:
        end_of((2, head_after(whole[1])), change(whole[2:]))
    assert "nothing was changed" in caught.value.means
    assert caught.value.todo


# --- raising ----------------------------------------------------------------------------------------------


def test_a_ledger_whose_witness_was_restored_with_it_gets_its_charges_back(
    backups: list[Node], node: Node
) -> None:
    whole = backups[-1].read()
    assert node.raised(copy_of(whole[0])) == Raised(0, 3, LENGTH, LENGTH, witnessed=True)
    assert verify(node.path) == whole[1] == witness.verify(node.path, IDENTITY, node.keeper)
    assert node.read() == whole
    assert node.raised(copy_of(whole[0])) == Raised(0, 0, LENGTH, LENGTH, witnessed=True)


def test_bytes_that_are_lost_are_not_noised_again_and_the_others_are_sent_as_they_were(
    backups: list[Node], node: Node
) -> None:
    node.raised(copy_of(backups[-1].read()[0]))
    with closing(Ledger(node.path, IDENTITY, BUDGETS, keeper=node.keeper)) as ledger:
        for day in range(1, LENGTH + 1):
            terms = presence(FIRST.replace(day=day), 1000 * day)
            request = request_for(terms, f"nonce {day}", b"other noise")
            if day <= 2:
                assert ledger.commit(request, TODAY).result == b"noised"
            else:
                with pytest.raises(LedgerProblem, match="its bytes were lost"):
                    ledger.commit(request, TODAY)
    assert verify(node.path)[0] == LENGTH


def test_whatever_was_restored_the_ledger_gets_all_that_any_of_them_has(
    backups: list[Node], tmp_path: Path
) -> None:
    read = [backup.read() for backup in backups]
    for ledger, witness_, copied in product((0, 2, 3, LENGTH), repeat=3):
        node = restored(backups, tmp_path / f"{ledger} {witness_} {copied}", ledger, witness_)
        found = node.raised(copy_of(read[copied][0]))
        most = max(ledger, witness_, copied)
        added = max(witness_ - ledger, 0), most - max(ledger, witness_)
        assert (found.from_witness, found.from_copy, found.entries) == (*added, most)
        assert node.read() == read[most], "nothing is charged lower than in any of them"
        assert witness.verify(node.path, IDENTITY, node.keeper) == read[most][1]


def test_a_ledger_that_is_gone_is_made_anew_from_the_copy(backups: list[Node], tmp_path: Path) -> None:
    node, whole = Node(tmp_path), backups[-1].read()
    assert node.raised(copy_of(whole[0])) == Raised(0, LENGTH, LENGTH, LENGTH, witnessed=False)
    assert node.read() == whole


def test_a_forfeit_in_the_copy_is_adopted_as_one(backups: list[Node], node: Node) -> None:
    later = Node(shutil.copytree(backups[3].root, node.root.with_name("later")))
    later.keeper.witness.unlink()
    given_up = forfeit(later.path, IDENTITY, later.keeper, TODAY)
    whole = later.read()
    node.raised(copy_of(whole[0]))
    assert node.read() == whole
    with closing(Ledger(node.path, IDENTITY, BUDGETS, keeper=node.keeper)) as ledger:
        assert ledger.first_day == given_up.first_day


def test_without_a_witness_the_charges_come_back_and_the_budgets_can_be_given_up_after_them(
    backups: list[Node], node: Node
) -> None:
    node.keeper.witness.unlink()
    whole = backups[-1].read()
    assert node.raised(copy_of(whole[0])) == Raised(0, 3, LENGTH, LENGTH, witnessed=False)
    assert not node.keeper.witness.exists()
    with pytest.raises(LedgerProblem, match="is not there"):
        node.commit()
    assert forfeit(node.path, IDENTITY, node.keeper, TODAY).sequence == LENGTH + 1
    node.commit()
    assert node.read()[0][:LENGTH] == whole[0]


def test_what_was_pruned_goes_on_from_its_anchor(backups: list[Node], node: Node) -> None:
    whole = backups[-1].read()
    prune(node.path, IDENTITY, node.keeper, FIRST.replace(day=3), TODAY)
    assert node.raised(copy_of(whole[0])).from_copy == 3
    assert verify(node.path) == whole[1]
    assert witness.verify(node.path, IDENTITY, node.keeper) == whole[1]


# --- all or nothing ---------------------------------------------------------------------------------------


def test_a_copy_that_does_not_hold_changes_nothing(
    backups: list[Node], node: Node, wrong: tuple[Change, str]
) -> None:
    change, match = wrong
    before, entries = node.files(), change(backups[-1].read()[0][2:])
    with pytest.raises(LedgerProblem, match=match):
        node.raised(given(entries))
    assert node.files() == before


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"charge": {"by_day": 1, "by_period": 1}}, "its charge is not what its terms cost"),
        ({"release_id": "0" * 64}, "its terms are not what its id says"),
        ({"samplers": ["opendp", "opendp"]}, "which sampler"),
    ],
)
def test_an_entry_that_contradicts_itself_changes_nothing_even_at_the_end_of_a_chain(
    backups: list[Node], node: Node, changes: dict[str, object], match: str
) -> None:
    before, whole = node.files(), backups[-1].read()[0]
    last = json.loads(whole[4])
    wrong = {
        name: last[name] | value if isinstance(value, dict) else value for name, value in changes.items()
    }
    with pytest.raises(LedgerProblem, match=match):
        node.raised(given([*whole[2:4], entry_changed(whole[4], **wrong)]))
    assert node.files() == before


def test_a_ledger_that_was_used_after_it_was_restored_goes_another_way(
    backups: list[Node], node: Node
) -> None:
    whole = backups[-1].read()[0]
    node.commit(3, result=b"other noise")
    before = node.files()
    with pytest.raises(LedgerProblem, match="another way than this ledger at entry 3") as caught:
        node.raised(copy_of(whole))
    assert "look for a ledger or a backup that the hub's copy continues" in caught.value.todo
    assert node.files() == before


def test_a_copy_that_cannot_be_had_changes_nothing_not_even_from_the_witness(
    backups: list[Node], tmp_path: Path
) -> None:
    node = restored(backups, tmp_path / "node", 2, 4)
    before = node.files()

    def nobody(_ours: Position, _head_at: HeadAt) -> Copied:
        raise Unreachable("the hub does not answer")

    with pytest.raises(Unreachable):
        node.raised(nobody)
    assert node.files() == before


def test_a_dry_run_tells_the_same_and_changes_nothing(backups: list[Node], tmp_path: Path) -> None:
    node = restored(backups, tmp_path / "node", 2, 3)
    before, copy = node.files(), copy_of(backups[-1].read()[0])
    dry = node.raised(copy, dry_run=True)
    assert node.files() == before
    assert dry == node.raised(copy) == Raised(1, 2, LENGTH, LENGTH, witnessed=True)


def test_a_ledger_in_use_is_not_raised_and_nobody_is_asked(node: Node) -> None:
    asked: list[Position] = []

    def ask(ours: Position, _head_at: HeadAt) -> Copied:
        asked.append(ours)
        return Copied([], ours)

    with (
        closing(Ledger(node.path, IDENTITY, BUDGETS, keeper=node.keeper)),
        pytest.raises(LedgerProblem, match="is open in another process"),
    ):
        node.raised(ask)
    assert not asked


def test_killed_before_any_step_the_ledger_is_the_old_one_or_the_new_one(
    backups: list[Node], tmp_path: Path
) -> None:
    """A step is a statement to the database, or a write to a file."""
    old, whole = backups[2].read(), backups[-1].read()
    seen: list[int] = []
    for step in count(1):
        node = restored(backups, tmp_path / str(step), 2, 2)
        died = dies_before(step, partial(node.raised, copy_of(whole[0])))
        assert node.read() in (old, whole), step
        assert verify(node.path) == node.read()[1]
        told = witness.verify(node.path, IDENTITY, node.keeper)[0]
        assert told <= node.read()[1][0]
        seen.append(node.read()[1][0])
        node.raised(copy_of(whole[0]))
        assert node.read() == whole
        assert witness.verify(node.path, IDENTITY, node.keeper) == whole[1]
        if not died:
            break
    assert set(seen) == {2, LENGTH}
    assert seen == sorted(seen)
    print(f"\nkilled before {len(seen)} steps")
