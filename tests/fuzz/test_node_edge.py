"""What a hub can put before a node: every document and message is read, agreed to or refused, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from node.release.policy import Refusal, require_agreed
from node.statistics.registry import algorithms
from privacy.errors import SignatureProblem, UsageProblem
from quorate.contract.order import ORDER_TYPE, TaskOrder
from quorate.contract.signing import countersigned, from_json, to_json, verified
from quorate.contract.statements import Receipt
from quorate.v1 import federation_pb2 as fed
from tests.fuzz.mutation import chance, mutated, mutated_document, nested
from tests.fuzz.strategies import messages
from tests.support_node import LAST_DAY, agreement, order_of
from tests.wire.examples import KEYS, documents, message_class, message_types, parties, statement

OWN, CODE = agreement(), algorithms()
ORDER = order_of(OWN, "presence", (LAST_DAY, LAST_DAY)).to_bytes()
DOCUMENTS = documents()
STATEMENT = statement(DOCUMENTS["order"])


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


@pytest.mark.parametrize("count", [1_500, pytest.param(70_000, marks=pytest.mark.full)])
@pytest.mark.parametrize(
    "target",
    [an_order, an_order_of_another_product, a_receipt, a_statement, a_kept_statement],
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
