"""`ledger restore --from-hub`: an honest hub gives the charges back, a lying one is refused with nothing changed."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import pytest
from click import UsageError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.config import Home
from node.daemon import open_ledger
from node.enrolment import keeper_of, load
from node.evidence import Evidence
from node.release.policy import Refusal
from node.release.releasing import Releasing
from node.restoring import last_receipted
from node.statistics.registry import algorithms
from privacy.errors import LedgerProblem, QuorateError, Refused, Unreachable
from privacy.ledger import Request, verify
from privacy.ledger.entry import GENESIS, head_after
from quorate.contract.signing import countersigned, signed, to_json
from quorate.contract.statements import HEAD_TYPE, RECEIPT_TYPE, Head, Receipt
from quorate.v1 import federation_pb2 as fed
from tests.keys import HUB, key_for
from tests.support_node import FIRST_DAY, NAME, NETWORK, OTHER, Network, nothing_else, order_of
from tests.support_peers import FEDERATION, answering
from tests.unit.node.test_ledger_commands import quorate_node, state, terms_for, witness_of

DAYS = [FIRST_DAY + timedelta(days=number) for number in (0, 1, 3, 4, 5)]
OWN_KEY, HUB_KEY = key_for(NAME), key_for(HUB)
WORDS = ("ledger", "restore", "--from-hub")


def release(home: Home, *days: date, result: bytes = b"noised bytes") -> None:
    with closing(open_ledger(home, load(home))) as ledger:
        for day in days:
            ledger.commit(Request(terms_for(home, day), f"nonce {day}", result, b"snapshot"), DAYS[-1])


def lose(home: Home) -> None:
    """Delete a ledger with its log."""
    for beside in ("", "-wal", "-shm"):
        home.ledger.with_name(home.ledger.name + beside).unlink(missing_ok=True)


def entries_of(home: Home) -> list[bytes]:
    with closing(open_ledger(home, load(home))) as ledger:
        return [line.entry for line in ledger.published_after(0, 100)]


def left_of(home: Home) -> dict[str, object]:
    """Return what is left of the budgets, as the operator is told."""
    found: dict[str, object] = json.loads(quorate_node(home, "status", "--json").stdout)["budget_left"]
    return found


def head_of(
    entries: Sequence[bytes],
    *keys: Ed25519PrivateKey,
    operator: str = NAME,
    network: str = NETWORK,
) -> fed.Envelope:
    """State the head after the last of some entries under some signatures."""
    said = Head(
        network=network, operator=operator, sequence=len(entries), head=head_after(entries[-1])
    ).to_bytes()
    statement = fed.Envelope(payload_type=HEAD_TYPE, payload=said)
    for key in keys:
        statement = countersigned(statement, key)
    return statement


def honest(entries: Sequence[bytes]) -> fed.Envelope:
    return head_of(entries, OWN_KEY, HUB_KEY)


@dataclass
class Hub:
    """What a hub has, says that it has, and signs."""

    entries: list[bytes]
    says: list[bytes] | None = None
    """What the answer to a heartbeat is about, if it is something else."""
    head: Callable[[Sequence[bytes]], fed.Envelope] = honest
    page: int = 2
    asked: list[int] = field(default_factory=list)

    def heartbeat(self, _request: bytes) -> bytes:
        said = self.entries if self.says is None else self.says
        head = head_after(said[-1]) if said else GENESIS
        answer = fed.HeartbeatResponse(ledger_sequence=len(said), ledger_head=bytes.fromhex(head))
        return answer.SerializeToString()

    def ledger(self, request: bytes) -> bytes:
        after = fed.FetchLedgerRequest.FromString(request).after
        self.asked.append(after)
        sent = self.entries[after : after + self.page]
        head = self.head(self.entries[: after + len(sent)]) if sent else None
        return fed.FetchLedgerResponse(entries=sent, head=head).SerializeToString()

    @contextmanager
    def served(self, network: Network) -> Iterator[str]:
        answers = {"Heartbeat": self.heartbeat, "FetchLedger": self.ledger}
        with answering(network.hub, {FEDERATION + name: said for name, said in answers.items()}) as address:
            yield address


@dataclass(frozen=True)
class Restored:
    """A node that went back to a backup of ledger and witness, and what it had before."""

    home: Home
    network: Network
    whole: list[bytes]
    left: dict[str, object]

    def from_hub(self, hub: Hub, *words: str) -> str:
        with hub.served(self.network) as address:
            return quorate_node(self.home, *WORDS, "--hub", address, *words).stdout

    def refused(self, hub: Hub, kind: type[QuorateError]) -> QuorateError:
        """Return the error that a restoration ends with, which has changed nothing."""
        before = state(self.home)
        with pytest.raises(kind) as caught:
            self.from_hub(hub)
        assert state(self.home) == before
        assert caught.value.todo, "it says what to do"
        return caught.value


@pytest.fixture
def node(home: Home, network: Network, tmp_path: Path) -> Restored:
    """A node with five releases, whose ledger and witness were restored as they were after the second."""
    release(home, *DAYS[:2])
    kept = home.ledger, witness_of(home)
    for path in kept:
        shutil.copy(path, tmp_path / path.name)
    release(home, *DAYS[2:])
    whole, left = entries_of(home), left_of(home)
    lose(home)
    for path in kept:
        shutil.copy(tmp_path / path.name, path)
    return Restored(home, network, whole, left)


# --- an honest hub ----------------------------------------------------------------------------------------


def test_the_charges_come_back_from_the_hub_page_by_page(node: Restored) -> None:
    hub = Hub(node.whole)
    assert left_of(node.home) != node.left
    said = node.from_hub(hub)
    assert said == (
        "added 3 charge(s), 0 from the witness and 3 from the hub's copy of 5 entries; their bytes are lost: "
        "quorate-node ledger show names them\n"
    )
    assert hub.asked == [2, 4]
    assert entries_of(node.home) == node.whole
    assert left_of(node.home) == node.left
    assert quorate_node(node.home, "ledger", "verify").stdout.startswith(
        f"ok: 5 entries, head {verify(node.home.ledger)[1]}\nok: the witness has 5 of them"
    )
    with pytest.raises(LedgerProblem, match="its bytes were lost"):
        release(node.home, DAYS[2], result=b"other noise")
    release(node.home, DAYS[0])


def test_a_program_is_told_the_numbers_and_a_dry_run_changes_nothing(node: Restored) -> None:
    before = state(node.home)
    dry = json.loads(node.from_hub(Hub(node.whole), "--json", "--dry-run"))
    numbers = {"from_witness": 0, "from_copy": 3, "entries": 5, "copied": 5, "witnessed": True}
    assert dry == numbers | {"dry_run": True}
    assert state(node.home) == before
    assert node.from_hub(Hub(node.whole), "--dry-run").startswith("would add 3 charge(s)")
    assert json.loads(node.from_hub(Hub(node.whole), "--json")) == numbers | {"dry_run": False}


def test_a_dry_run_without_a_ledger_makes_none(node: Restored) -> None:
    node.home.ledger.unlink()
    assert node.from_hub(Hub(node.whole), "--dry-run").startswith(
        "would add 5 charge(s), 2 from the witness and 3 from the hub's copy"
    )
    assert not node.home.ledger.exists()


@pytest.mark.parametrize("there", [0, 1, 2])
def test_where_the_hub_has_no_more_there_is_nothing_to_do(node: Restored, there: int) -> None:
    before, hub = state(node.home), Hub(node.whole[:there])
    said = node.from_hub(hub)
    assert said == f"nothing to add: the ledger has 2 entries, the hub's copy {there} of them\n"
    assert not hub.asked
    assert state(node.home) == before


def test_a_witness_that_is_newer_comes_first(node: Restored) -> None:
    node.from_hub(Hub(node.whole[:4]))
    lose(node.home)
    assert node.from_hub(Hub(node.whole)).startswith(
        "added 5 charge(s), 4 from the witness and 1 from the hub"
    )
    assert left_of(node.home) == node.left


def test_without_a_witness_the_charges_come_back_and_the_node_is_told_that_it_does_not_start(
    node: Restored,
) -> None:
    witness_of(node.home).unlink()
    with Hub(node.whole).served(node.network) as address:
        result = quorate_node(node.home, *WORDS, "--hub", address)
    assert result.stdout.startswith("added 3 charge(s)")
    assert "the witness is not there, so the node does not start" in result.stderr
    quorate_node(node.home, "ledger", "restore", "--without-witness", "--yes")
    assert entries_of(node.home)[:5] == node.whole


def test_an_order_for_a_release_whose_bytes_are_lost_is_refused_and_computes_nothing(
    node: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.from_hub(Hub(node.whole))
    own = load(node.home)
    monkeypatch.setattr(sys, "executable", "/nowhere")
    with closing(open_ledger(node.home, own)) as ledger:
        releasing = Releasing(
            node.home.root, own, algorithms(), ledger, lambda: DAYS[-1] + timedelta(days=9), nothing_else
        )
        phases: list[str] = []
        with pytest.raises(Refusal, match="its bytes were lost") as caught:
            releasing.answer(order_of(own, "presence", (DAYS[2], DAYS[2])), phases.append)
        assert caught.value.reason == fed.REFUSAL_REASON_DATA_UNAVAILABLE
        assert not phases
        assert ledger.head[0] == 5
        kept = releasing.answer(
            order_of(own, "presence", (DAYS[0], DAYS[0])).model_copy(update={"nonce": "1" * 32}),
            phases.append,
        )
        assert (kept.result, phases) == (b"noised bytes", ["known"])


# --- a lying hub ------------------------------------------------------------------------------------------


def swapped(entries: list[bytes], place: int) -> list[bytes]:
    """Return entries of which one says that other bytes have left."""
    changed = json.loads(entries[place]) | {"result_sha256": "0" * 64}
    raw = json.dumps(changed, separators=(",", ":"), sort_keys=True).encode()
    return [*entries[:place], raw, *entries[place + 1 :]]


def test_a_hub_that_drops_the_last_entries_is_refused(node: Restored) -> None:
    said = node.refused(Hub(node.whole[:4], says=node.whole), Refused)
    assert said.what == "the hub says that it has 5 entries of this ledger, and gives none after 4"
    with pytest.raises(Refused, match="gives none after 2"):
        node.from_hub(Hub([], says=node.whole))


@pytest.mark.parametrize("place", [2, 3])
def test_a_hub_that_changes_an_entry_is_refused(node: Restored, place: int) -> None:
    said = node.refused(Hub(swapped(node.whole, place)), LedgerProblem)
    assert "the hub's copy goes another way than this ledger" in said.what


@pytest.mark.parametrize(
    "honestly", [True, False], ids=["under the head of before", "under a head of its own"]
)
def test_a_hub_that_changes_the_last_entry_is_refused(node: Restored, honestly: bool) -> None:
    true, hub = honest(node.whole), Hub(swapped(node.whole, 4))
    hub.head = (lambda _entries: true) if honestly else (lambda entries: head_of(entries, HUB_KEY))
    said = node.refused(hub, Refused)
    assert ("does not end where the hub says" if honestly else f"not signed by {NAME}") in said.what


def test_a_hub_that_adds_entries_is_refused(node: Restored) -> None:
    """It can make entries that are sound in themselves, and cannot sign the head after them."""
    longer = [*node.whole, _next(node.whole)]
    true = honest(node.whole)
    for head, match in (
        (lambda _entries: true, "does not end where the hub says"),
        (lambda entries: head_of(entries, HUB_KEY), f"not signed by {NAME}"),
    ):
        assert match in node.refused(Hub(longer, head=head), Refused).what
    assert "does not end" in node.refused(Hub(longer, says=node.whole, page=100), Refused).what


def _next(entries: list[bytes]) -> bytes:
    last = json.loads(entries[-1])
    changed = last | {"sequence": len(entries) + 1, "previous": head_after(entries[-1])}
    return json.dumps(changed, separators=(",", ":"), sort_keys=True).encode()


HEADS: dict[str, tuple[Callable[[Sequence[bytes]], fed.Envelope], str]] = {
    "no head": (lambda _entries: fed.Envelope(), "of another type"),
    "the hub alone": (lambda entries: head_of(entries, HUB_KEY), f"not signed by {NAME}"),
    "the operator alone": (lambda entries: head_of(entries, OWN_KEY), "not signed by the hub"),
    "another operator": (
        lambda entries: head_of(entries, key_for(OTHER), HUB_KEY, operator=OTHER),
        f"not signed by {NAME}",
    ),
    "another operator's ledger": (
        lambda entries: head_of(entries, OWN_KEY, HUB_KEY, operator=OTHER),
        "of another ledger",
    ),
    "another network": (
        lambda entries: head_of(entries, OWN_KEY, HUB_KEY, network="elsewhere"),
        "of another ledger",
    ),
    "an older one": (lambda entries: honest(entries[:-1]), "does not end where the hub says"),
    "no document": (
        lambda _entries: countersigned(signed(HEAD_TYPE, b"{}", OWN_KEY), HUB_KEY),
        "not a valid head",
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_counts_under_both_signatures_and_for_this_ledger_alone(node: Restored, name: str) -> None:
    head, match = HEADS[name]
    assert match in node.refused(Hub(node.whole, head=head), Refused).what


def test_a_ledger_that_was_used_meanwhile_is_told_what_to_do(node: Restored) -> None:
    release(node.home, DAYS[2], result=b"other noise")
    said = node.refused(Hub(node.whole), LedgerProblem)
    assert "goes another way than this ledger at entry 3" in said.what
    assert "look for a ledger or a backup that the hub's copy continues" in said.todo
    node.refused(Hub(node.whole[:3]), LedgerProblem)


def test_a_copy_that_ends_before_a_receipt_is_refused(node: Restored) -> None:
    """A hub that withholds the end of its copy everywhere has given receipts for it all the same."""
    _receipt(node.home, 4)
    for shorter in (0, 2, 3):
        said = node.refused(Hub(node.whole[:shorter]), Refused)
        assert "ends before entry 4 of this ledger, for which there is a receipt" in said.what
        assert "`The witness went back as well`" in said.todo
    assert node.from_hub(Hub(node.whole[:4])).startswith("added 2 charge(s)")


def test_where_the_hub_has_lost_charges_itself_the_budgets_are_given_up_after_what_it_has(
    node: Restored,
) -> None:
    """As docs/operator.md says it; the ledger then goes on from the hub's copy, and not another way."""
    _receipt(node.home, 4)
    node.refused(Hub(node.whole[:3]), Refused)
    witness_of(node.home).unlink()
    shutil.rmtree(node.home.receipts)
    node.from_hub(Hub(node.whole[:3]))
    quorate_node(node.home, "ledger", "restore", "--without-witness", "--yes")
    assert entries_of(node.home)[:3] == node.whole[:3]
    assert json.loads(entries_of(node.home)[3])["kind"] == "forfeit"
    assert node.from_hub(Hub(node.whole[:3])).startswith("nothing to add")


def _receipt(home: Home, entry: int, *keys: Ed25519PrivateKey, **changes: str) -> None:
    names = {"network": NETWORK, "operator": NAME} | changes
    digests = ("order", "release_id", "algorithm", "commitment", "result_sha256", "ledger_head")
    said = Receipt(
        **names,
        **dict.fromkeys(digests, "a" * 64),
        result_length=1,
        by_period=1,
        by_day=1,
        ledger_sequence=entry,
    )
    statement = fed.Envelope(payload_type=RECEIPT_TYPE, payload=said.to_bytes())
    for key in keys or (OWN_KEY, HUB_KEY):
        statement = countersigned(statement, key)
    home.receipts.mkdir(exist_ok=True)
    (home.receipts / f"{len(list(home.receipts.iterdir()))}.json").write_bytes(to_json(statement))


def test_receipts_count_if_both_signed_them_for_this_ledger(home: Home) -> None:
    own = load(home)
    evidence = Evidence(own.operator, own.charter, keeper_of(home, own.config).key)
    assert last_receipted(home.receipts, evidence) == 0
    _receipt(home, 9, OWN_KEY)
    _receipt(home, 9, HUB_KEY)
    _receipt(home, 9, operator=OTHER)
    _receipt(home, 9, network="elsewhere")
    (home.receipts / "none.json").write_bytes(b"{")
    assert last_receipted(home.receipts, evidence) == 0
    for entry in (3, 7, 5):
        _receipt(home, entry)
    assert last_receipted(home.receipts, evidence) == 7


# --- the command ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("--yes",), ("--without-witness",), ("--from", "backup.db")])
def test_it_is_a_step_of_its_own(node: Restored, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="steps of their own"):
        quorate_node(node.home, *WORDS, *words)


def test_an_address_needs_a_hub_to_be_asked(node: Restored) -> None:
    with pytest.raises(UsageError, match="goes with --from-hub"):
        quorate_node(node.home, "ledger", "restore", "--hub", "localhost:1")


def test_a_ledger_in_use_is_not_restored_and_the_hub_is_not_asked(node: Restored) -> None:
    hub = Hub(node.whole)
    with (
        closing(open_ledger(node.home, load(node.home))),
        pytest.raises(LedgerProblem, match="is open in another process"),
    ):
        node.from_hub(hub)
    assert not hub.asked


def test_a_hub_that_does_not_answer_changes_nothing(node: Restored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.restoring.PATIENCE", 0.1)
    before = state(node.home)
    with pytest.raises(Unreachable):
        quorate_node(node.home, *WORDS, "--hub", "localhost:1")
    assert state(node.home) == before
