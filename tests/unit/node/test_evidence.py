"""What a node believes: orders that the hub signed, its own statements countersigned, a ledger that goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest

from node.evidence import Evidence, reason_of, require_continued
from privacy.errors import LedgerProblem, Refused, SignatureProblem
from privacy.ledger import Entry, Ledger, Recorded, Request
from privacy.ledger.entry import GENESIS, head_after
from quorate.contract.canonical import digest
from quorate.contract.order import ORDER_TYPE
from quorate.contract.signing import countersigned, signed, verified
from quorate.contract.statements import HEAD_TYPE, RECEIPT_TYPE, REFUSAL_TYPE, Head, Receipt, Refusal
from quorate.v1 import federation_pb2 as pb
from tests.keys import HUB, key_for
from tests.support_node import NAME, NETWORK, OTHER, agreement, order_of

OWN, DAY = agreement(), date(2026, 10, 12)
EVIDENCE = Evidence(NAME, OWN.charter, key_for(NAME))
ORDER = order_of(OWN, "presence", (DAY, DAY))
OURS = {NAME: OWN.charter.keys.operators[NAME]}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.db", OWN.ledger_identity, OWN.budgets)) as opened:
        yield opened


def record(ledger: Ledger, days: int, result: bytes = b"noised") -> list[Recorded]:
    """Record a release of each of some days."""
    found = []
    for number in range(days):
        day = DAY + timedelta(days=number)
        terms = order_of(OWN, "presence", (day, day)).terms
        found.append(ledger.commit(Request(terms, f"{number:032x}", result, bytes(32)), date(2026, 12, 1)))
    return found


def test_an_order_counts_if_the_hub_signed_it() -> None:
    payload = ORDER.to_bytes()
    assert EVIDENCE.order(signed(ORDER_TYPE, payload, key_for(HUB))) == payload
    for forged in (
        signed(ORDER_TYPE, payload, key_for(OTHER)),
        signed(ORDER_TYPE, payload, key_for(NAME)),
        pb.Envelope(payload_type=ORDER_TYPE, payload=payload),
        signed("application/json", payload, key_for(HUB)),
    ):
        with pytest.raises(SignatureProblem, match="the task order is"):
            EVIDENCE.order(forged)


def test_a_refusal_names_order_and_reason() -> None:
    said = Refusal.from_bytes(
        verified(EVIDENCE.refusal("a" * 64, "POLICY"), REFUSAL_TYPE, OURS, "the refusal"), "it"
    )
    assert said == Refusal(network=NETWORK, operator=NAME, order="a" * 64, reason="POLICY")


def test_every_reason_of_the_contract_can_be_stated() -> None:
    for reason in pb.RefusalReason.values():
        assert EVIDENCE.refusal("a" * 64, reason_of(reason))


def test_a_receipt_says_what_the_ledger_says(ledger: Ledger) -> None:
    (recorded,) = record(ledger, 1)
    statement = EVIDENCE.receipt(ORDER.to_bytes(), recorded)
    said = Receipt.from_bytes(verified(statement, RECEIPT_TYPE, OURS, "the receipt"), "it")
    entry = Entry.model_validate_json(recorded.entry)
    assert (said.order, said.result_sha256) == (digest(ORDER.to_bytes()), digest(b"noised"))
    assert (said.by_period, said.by_day) == (entry.charge.by_period, entry.charge.by_day)
    assert (said.ledger_sequence, said.ledger_head) == ledger.head
    assert said.commitment == entry.commitment


def test_an_answer_is_our_statement_under_both_signatures() -> None:
    ours = EVIDENCE.head((3, "b" * 64))
    EVIDENCE.require_countersigned(ours, countersigned(ours, key_for(HUB)), "the head")
    other = EVIDENCE.head((4, "b" * 64))
    for answer in (
        ours,
        countersigned(ours, key_for(OTHER)),
        signed(HEAD_TYPE, ours.payload, key_for(HUB)),
        countersigned(other, key_for(HUB)),
        pb.Envelope(),
    ):
        with pytest.raises(Refused, match="the head"):
            EVIDENCE.require_countersigned(ours, answer, "the head")


def test_a_head_names_its_ledger() -> None:
    said = Head.from_bytes(verified(EVIDENCE.head((0, GENESIS)), HEAD_TYPE, OURS, "the head"), "it")
    assert said == Head(network=NETWORK, operator=NAME, sequence=0, head=GENESIS)


def test_a_ledger_goes_on_from_what_the_hub_knows(ledger: Ledger) -> None:
    require_continued(ledger, (0, GENESIS))
    heads = [head_after(recorded.entry) for recorded in record(ledger, 3)]
    for sequence, head in enumerate(heads, 1):
        require_continued(ledger, (sequence, head))
    with pytest.raises(LedgerProblem, match="the hub knows 4 entries of this ledger, which has 3") as behind:
        require_continued(ledger, (4, "c" * 64))
    assert "ledger restore" in behind.value.todo
    with pytest.raises(LedgerProblem, match="the hub knows another entry 2"):
        require_continued(ledger, (2, "c" * 64))


def test_what_is_published_is_the_chain_as_it_was_hashed(ledger: Ledger) -> None:
    recorded = record(ledger, 3)
    assert [line.entry for line in ledger.published_after(0, 10)] == [one.entry for one in recorded]
    assert [line.entry for line in ledger.published_after(1, 1)] == [recorded[1].entry]
    assert ledger.published_after(3, 10) == []
    assert [ledger.head_at(n) for n in (0, 1, 3, 4)] == [
        GENESIS, recorded[0].head, recorded[2].head, None,
    ]  # fmt: skip
