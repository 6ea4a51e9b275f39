"""What is recorded of the wire: every message with every field set, and every kind of document, always the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from privacy.ledger.entry import head_after
from privacy.statistics import WEIGHTED_PRESENCE
from quorate.contract import payload
from quorate.contract.canonical import digest
from quorate.contract.order import ORDER_TYPE, TaskOrder, digest_of_weights, terms_of
from quorate.contract.signing import countersigned, public_key, signed
from quorate.contract.statements import Head, Refusal, receipt_for
from quorate.v1 import enrolment_pb2, federation_pb2, statistics_pb2
from tests.support_hub import DAY, entry_for, small_agreement, small_charter, small_product
from tests.support_sketch import fixed_package

FILES: tuple[ModuleType, ...] = (enrolment_pb2, federation_pb2, statistics_pb2)
#: Cells of a contribution, with the largest and the smallest that there can be.
VECTOR = np.array([-payload.LARGEST, -1, 0, 1, payload.LARGEST], np.int64)
#: Keys of nobody, from bytes that everybody can see.
KEYS = tuple(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))
_BITS = {
    FieldDescriptor.CPPTYPE_INT32: 31,
    FieldDescriptor.CPPTYPE_UINT32: 32,
    FieldDescriptor.CPPTYPE_INT64: 63,
    FieldDescriptor.CPPTYPE_UINT64: 64,
}


def message_types() -> list[Descriptor]:
    """Return every message of the protocol, by name."""
    found = [message for file in FILES for message in file.DESCRIPTOR.message_types_by_name.values()]
    return sorted(found, key=lambda message: str(message.full_name))


def message_class(message: Descriptor) -> type[Message]:
    """Return the class of a message."""
    return message_factory.GetMessageClass(message)


def filled(message: Descriptor) -> Message:
    """Return a message with every field set; what a field has depends on its own name only."""
    found = message_class(message)()
    for field in message.fields:
        _fill(found, field)
    return found


def _fill(message: Message, field: FieldDescriptor) -> None:
    count = 2 if field.is_repeated else 1
    if field.message_type is not None:
        for _ in range(count):
            target = getattr(message, field.name)
            (target.add() if field.is_repeated else target).CopyFrom(filled(field.message_type))
        return
    values = [_value(field, f"{field.full_name}.{number}") for number in range(count)]
    if field.is_repeated:
        getattr(message, field.name).extend(values)
    else:
        setattr(message, field.name, values[0])


def _value(field: FieldDescriptor, seed: str) -> Any:
    random = hashlib.sha256(seed.encode()).digest()
    if field.enum_type is not None:
        numbers = [value.number for value in field.enum_type.values if value.number]
        return numbers[random[0] % len(numbers)]
    if field.cpp_type in _BITS:
        # The highest bit is set, so that a narrower type would not hold it.
        bits = _BITS[field.cpp_type]
        return int.from_bytes(random[:8], "big") % (1 << bits - 1) + (1 << bits - 1)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return (
            random
            if field.type == FieldDescriptor.TYPE_BYTES
            else f"{field.name} é\U0001f4f1 {random[:2].hex()}"
        )
    raise TypeError(f"say here what to record for {field.full_name}, whose type is new")


def documents() -> dict[str, bytes]:
    """Return one document of every kind, in canonical form."""
    weighted = small_product(
        "weighted", WEIGHTED_PRESENCE, 5_000_000, 1, parameters={"weight_maximum": 9, "night_hours": [0, 1]}
    )
    own = small_agreement(products=(*small_charter().products, weighted))
    weights = (0, 9, 1, 2, 3, 4)
    terms = terms_of(own.charter, own.zoning, "weighted", (DAY, DAY), 3, weights=digest_of_weights(weights))
    order = TaskOrder(
        network=own.charter.network,
        operator="west",
        nonce="0123456789abcdef" * 2,
        charter=own.charter_digest,
        algorithm=own.charter.product("weighted").algorithm,
        terms=terms,
        weights=weights,
        weight_one=3,
    )
    entry = entry_for(terms, b"noised", sequence=2**53 - 1, previous="ab" * 32)
    raw, network = entry.to_bytes(), own.charter.network
    receipt = receipt_for(order, order.digest(), entry, raw)
    head = Head(network=network, operator="west", sequence=entry.sequence, head=head_after(raw))
    refusal = Refusal(network=network, operator="west", order=order.digest(), reason="POLICY")
    return {
        "order": order.to_bytes(),
        "ledger-entry": raw,
        "receipt": receipt.to_bytes(),
        "ledger-head": head.to_bytes(),
        "refusal": refusal.to_bytes(),
        "period-key": fixed_package(own.charter, "east").to_bytes(),
        "charter": own.charter.to_bytes(),
        "zoning": own.zoning.to_bytes(),
    }


def contribution() -> bytes:
    """Return a contribution before it is compressed; what compresses it may write the same in other bytes."""
    return payload._stream(VECTOR)


def digests(found: dict[str, bytes]) -> dict[str, str]:
    """Return what is computed from the documents and compared between parties: it must never come out otherwise."""
    order = TaskOrder.from_wire(found["order"], "the order")
    assert order.weights is not None
    return {name: digest(data) for name, data in sorted(found.items())} | {
        "head after ledger-entry": head_after(found["ledger-entry"]),
        "release id of order": order.terms.release_id(),
        "weights of order": digest_of_weights(order.weights),
    }


def statement(order: bytes) -> federation_pb2.Envelope:
    """Return the order as a statement of two parties."""
    return countersigned(signed(ORDER_TYPE, order, KEYS[0]), KEYS[1])


def parties() -> dict[str, str]:
    """Return the public keys of those who signed the statement."""
    return {f"party {number}": public_key(key) for number, key in enumerate(KEYS, 1)}


def methods() -> Iterator[tuple[str, Descriptor, Descriptor, bool]]:
    """Yield (/service/method, request, response, whether answers are streamed) of every method."""
    for file in FILES:
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                name = f"/{service.full_name}/{method.name}"
                yield name, method.input_type, method.output_type, method.server_streaming
