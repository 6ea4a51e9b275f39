"""What a hub can put before a node: every document and message is read, agreed to or refused, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import cast

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from node.evidence import Evidence
from node.release.policy import Refusal, require_agreed
from node.restoring import HubsCopy
from node.statistics.registry import algorithms
from node.uplink import Uplink
from privacy.errors import LedgerProblem, Refused, SignatureProblem, UsageProblem
from privacy.ledger.anchor import Position
from privacy.ledger.cut import no_progress
from privacy.ledger.entry import GENESIS, head_after
from privacy.ledger.rows import START
from quorate.contract.order import ORDER_TYPE, TaskOrder
from quorate.contract.signing import countersigned, from_json, to_json, verified
from quorate.contract.statements import Receipt
from quorate.v1 import federation_pb2 as fed
from tests.fuzz.mutation import chance, mutated, mutated_document, nested
from tests.fuzz.strategies import messages
from tests.keys import HUB, key_for
from tests.support_hub import entry_for
from tests.support_node import LAST_DAY, NAME, agreement, order_of
from tests.wire.examples import KEYS, documents, message_class, message_types, parties, statement

OWN, CODE = agreement(), algorithms()
ORDER = order_of(OWN, "presence", (LAST_DAY, LAST_DAY)).to_bytes()
DOCUMENTS = documents()
STATEMENT = statement(DOCUMENTS["order"])
EVIDENCE = Evidence(NAME, OWN.charter, key_for(NAME))


def ledger_of(length: int) -> list[bytes]:
    """Return the entries of a ledger of the operator's, a revision each."""
    found, previous = list[bytes](), GENESIS
    for number in range(length):
        terms = order_of(OWN, "presence", (LAST_DAY, LAST_DAY), number).terms
        found.append(entry_for(terms, b"noised", sequence=number + 1, previous=previous).to_bytes())
        previous = head_after(found[-1])
    return found


LEDGER = ledger_of(3)


def changed(data: bytes, rng: random.Random) -> bytes:
    """Return another document: one value other, some bytes other, or nested too deep."""
    kind = rng.random()
    if kind < 0.02:
        return nested(rng)
    return mutated_document(data, rng) if kind < 0.7 else mutated(data, rng)


def an_order(rng: random.Random) -> bool:
    data = changed(ORDER, rng)
    try:
        order = TaskOrder.from_wire(data, "the task order")
        terms = require_agreed(order, OWN, CODE)
    except (UsageProblem, Refusal):
        return False
    # Agreed to is only what the charter gives for these days: another nonce, or another revision at its full price.
    honest = TaskOrder.from_bytes(ORDER, "the order")
    assert terms.model_copy(update={"revision": 0}) == honest.terms
    assert order.model_copy(update={"nonce": "0" * 32, "terms": honest.terms}).to_bytes() == ORDER
    return True


def an_order_of_another_product(rng: random.Random) -> bool:
    data = changed(DOCUMENTS["order"], rng)
    try:
        require_agreed(TaskOrder.from_wire(data, "the task order"), OWN, CODE)
    except (UsageProblem, Refusal):
        return False
    return True


def a_receipt(rng: random.Random) -> bool:
    data = changed(DOCUMENTS["receipt"], rng)
    try:
        receipt = Receipt.from_wire(data, "the receipt")
    except UsageProblem:
        return False
    assert receipt.to_bytes() == data
    return True


def a_statement(rng: random.Random) -> bool:
    try:
        found = fed.Envelope.FromString(mutated(STATEMENT.SerializeToString(), rng))
        payload = verified(found, ORDER_TYPE, parties(), "the order")
    except (DecodeError, SignatureProblem):
        return False
    assert payload == DOCUMENTS["order"]
    return True


def a_kept_statement(rng: random.Random) -> bool:
    try:
        found = from_json(changed(to_json(STATEMENT), rng), "the order")
        payload = verified(found, ORDER_TYPE, parties(), "the order")
    except SignatureProblem:
        return False
    assert payload == DOCUMENTS["order"]
    return True


class Pages:
    """A hub that has one page of the operator's ledger, and says which head is at its end."""

    def __init__(self, page: bytes, end: Position) -> None:
        self._page, self._end = page, end

    def hello(self, _version: str, _head: Position, _patience: float) -> fed.HeartbeatResponse:
        sequence, head = self._end
        return fed.HeartbeatResponse(ledger_sequence=sequence, ledger_head=bytes.fromhex(head))

    def ledger_after(self, _sequence: int, _patience: float) -> fed.FetchLedgerResponse:
        return fed.FetchLedgerResponse.FromString(self._page)


def a_page_of_its_ledger(rng: random.Random) -> bool:
    entries, end = LEDGER[:], (len(LEDGER), head_after(LEDGER[-1]))
    head = countersigned(EVIDENCE.head(end), key_for(HUB))
    if rng.random() < 0.6:
        place = rng.randrange(len(entries))
        entries[place] = changed(entries[place], rng)
        end = len(entries), head_after(entries[-1])
    page = fed.FetchLedgerResponse(entries=entries, head=head).SerializeToString()
    honest = entries == LEDGER and rng.random() < 0.1
    if entries == LEDGER and not honest:
        page = mutated(page, rng)
    copy = HubsCopy(cast("Uplink", Pages(page, end)), EVIDENCE, 0, no_progress)
    try:
        found = copy.beyond(START, lambda _sequence: None)
    except (DecodeError, LedgerProblem, Refused):
        assert not honest
        return False
    assert list(found.entries) == LEDGER
    return True


@pytest.mark.parametrize("count", [1_500, pytest.param(70_000, marks=pytest.mark.full)])
@pytest.mark.parametrize(
    "target",
    [an_order, an_order_of_another_product, a_receipt, a_statement, a_kept_statement, a_page_of_its_ledger],
    ids=lambda target: target.__name__,
)
def test_changed_documents_are_refused_with_a_typed_error_or_are_the_same(
    target: Callable[[random.Random], bool], count: int
) -> None:
    taken = sum(target(chance(target.__name__, number)) for number in range(count))
    print(f"\n{count} of {target.__name__}, {taken} taken")
    assert taken < count / 2


@pytest.mark.parametrize("message", message_types(), ids=lambda message: message.name)
def test_bytes_that_look_like_a_message_are_one_or_are_told_not_to_be(message: object) -> None:
    descriptor = next(m for m in message_types() if m is message)

    @settings(max_examples=40, deadline=None, database=None, derandomize=True)
    @given(messages(descriptor))
    def read(data: bytes) -> None:
        try:
            found = message_class(descriptor).FromString(data)
        except DecodeError:
            return
        assert message_class(descriptor).FromString(found.SerializeToString()) == found or "nan" in str(found)

    read()


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(messages(fed.Envelope.DESCRIPTOR))
def test_an_envelope_of_any_shape_is_signed_by_nobody(data: bytes) -> None:
    try:
        found = fed.Envelope.FromString(data)
    except DecodeError:
        return
    with pytest.raises(SignatureProblem):
        verified(found, ORDER_TYPE, parties(), "the order")


@settings(max_examples=50, deadline=None, database=None, derandomize=True)
@given(st.lists(st.tuples(st.text(max_size=70), st.binary(max_size=70)), max_size=5))
def test_signatures_of_strangers_beside_those_of_the_parties_change_nothing(
    strangers: list[tuple[str, bytes]],
) -> None:
    found = fed.Envelope()
    found.CopyFrom(STATEMENT)
    for keyid, signature in strangers:
        found.signatures.add(keyid=keyid, sig=signature)
    assert verified(found, ORDER_TYPE, parties(), "the order") == DOCUMENTS["order"]
    assert len(countersigned(found, KEYS[0]).signatures) >= 2
