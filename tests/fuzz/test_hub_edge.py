"""A hub process over TLS lives through whatever its callers send, answers good calls, and grows by little."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import grpc
import numpy as np
import pyarrow as pa
import pytest

from hub.quota import LINES
from privacy.ledger.entry import Entry
from quorate.contract.order import ENTRY_TYPE, TaskOrder
from quorate.contract.payload import encode
from quorate.contract.signing import signed
from quorate.contract.statements import RECEIPT_TYPE, REFUSAL_TYPE, Refusal, receipt_for
from quorate.v1 import federation_pb2 as fed
from quorate.v1 import statistics_pb2 as stat
from tests.fuzz.mutation import chance, mutated, nested
from tests.keys import key_for
from tests.support_hub import NETWORK, Kept, charged, noised_vector, small_agreement, token_for
from tests.support_peers import FEDERATION, STATISTICS, TYPED, Caller, Served, served, served_hub
from tests.wire.examples import filled, methods

S = grpc.StatusCode
OWN = small_agreement()
#: How much a hub may grow by, in bytes, while one caller at a time sends messages of up to 4 MiB.
GROWTH = 96 << 20
PUT, COMMIT, ACQUIRE = FEDERATION + "PutChunk", FEDERATION + "CommitContribution", FEDERATION + "AcquireTask"
MIB = 1 << 20


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_hub(tmp_path_factory.mktemp("fuzz") / "hub", OWN) as found:
        yield found
        assert found.process.is_running()
        assert "a defect in" not in found.log.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def released(hub: Served) -> stat.RequestReleaseResponse:
    asked = stat.RequestReleaseRequest(product_id="presence", first_day="2026-05-04", last_day="2026-05-04")
    (data,) = hub.office().send(STATISTICS + "RequestRelease", asked.SerializeToString()).answers
    return stat.RequestReleaseResponse.FromString(data)


def order_of(caller: Caller) -> bytes:
    (data,) = caller.send(ACQUIRE, b"").answers
    return fed.AcquireTaskResponse.FromString(data).task_order.payload


def _chunk(order: bytes, data: bytes, **changes: object) -> bytes:
    fields = {
        "order_digest": hashlib.sha256(order).digest(),
        "data": data,
        "sha256": hashlib.sha256(data).digest(),
    }
    return fed.PutChunkRequest(**(fields | changes)).SerializeToString()  # type: ignore[arg-type]


def receipt(order: bytes, entry: bytes) -> fed.Envelope:
    found = TaskOrder.from_wire(order, "the order")
    name = hashlib.sha256(order).hexdigest()
    said = receipt_for(found, name, Entry.model_validate_json(entry), entry)
    return signed(RECEIPT_TYPE, said.to_bytes(), key_for(found.operator))


def _commit(order: bytes, data: bytes, entry: bytes = b"{}", **changes: object) -> bytes:
    fields = {
        "order_digest": hashlib.sha256(order).digest(),
        "sha256": hashlib.sha256(data).digest(),
        "length": len(data),
        "ledger_entry": fed.Envelope(payload_type=ENTRY_TYPE, payload=entry),
    }
    return fed.CommitContributionRequest(**(fields | changes)).SerializeToString()  # type: ignore[arg-type]


def states(kept: Kept) -> dict[str, list[object]]:
    """Return everything in the database that is not the audit trail."""
    tables = ("release", "task", "piece", "contribution")
    return {name: kept.execute(f"SELECT * FROM {name} ORDER BY 1, 2") for name in tables}  # noqa: S608


# --- bytes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [600, pytest.param(40_000, marks=pytest.mark.full)])
def test_bytes_of_any_kind_get_typed_answers_and_leave_only_audit_lines(
    hub: Served, released: stat.RequestReleaseResponse, count: int
) -> None:
    callers = {FEDERATION: hub.operator("west"), STATISTICS: hub.office()}
    corpus = {
        method: filled(request).SerializeToString()
        for method, request, _, _ in methods()
        if method in served()
    }
    names = sorted(set(corpus) - {ACQUIRE})
    before, audit, found = states(hub.kept), hub.rows()["audit"], Counter[str]()
    resident = 0
    for number in range(count):
        rng = chance("edge", number)
        method = rng.choice(names)
        data = (
            mutated(corpus[method], rng)
            if rng.random() < 0.9
            else rng.randbytes(rng.choice((1, 900, 60_000)))
        )
        answer = callers[method.rsplit("/", 1)[0] + "/"].send(method, data)
        assert answer.status in TYPED, (method, number, answer)
        found[answer.status.name] += 1
        if number == count // 10:
            resident = hub.resident()
    assert hub.resident() - resident < GROWTH
    assert states(hub.kept) == before
    kinds = len(names) * len(TYPED)
    assert hub.rows()["audit"] - audit <= kinds * LINES
    assert callers[FEDERATION].send(ACQUIRE, b"").status is S.OK
    print("\n", count, dict(found), f"grew by {(hub.resident() - resident) / MIB:.1f} MiB")


def test_what_is_no_protobuf_is_told_so_if_its_sender_may_call_at_all(hub: Served) -> None:
    caller = hub.operator("west")
    for data in (b"\xff", b"\x0a\xff", b"\x0b" * 5000, b"\x08" + b"\xff" * 11, b"\x07"):
        answer = caller.send(FEDERATION + "RefuseTask", data)
        assert (answer.status, answer.details) == (
            S.INVALID_ARGUMENT,
            "the bytes are no message of this method",
        )
        assert hub.office().send(FEDERATION + "RefuseTask", data).status is S.PERMISSION_DENIED, (
            "read by nobody"
        )
    assert caller.send(FEDERATION + "Heartbeat", b"").status is S.OK


def test_messages_that_are_too_large_are_refused_before_they_are_read_and_the_hub_does_not_grow(
    hub: Served,
) -> None:
    caller = hub.operator("west")
    for size in (4 * MIB + 1, 16 * MIB):
        answer = caller.send(PUT, fed.PutChunkRequest(data=bytes(size)).SerializeToString())
        assert answer.status is S.RESOURCE_EXHAUSTED, answer
    resident = hub.resident()
    for _ in range(12):
        request = fed.PutChunkRequest(data=bytes(4 * MIB - 100)).SerializeToString()
        assert caller.send(PUT, request).status is S.INVALID_ARGUMENT
        many = fed.CommitContributionRequest(
            ledger_entry=fed.Envelope(signatures=[fed.Signature()] * 500_000)
        )
        assert caller.send(COMMIT, many.SerializeToString()).status in TYPED
    assert hub.resident() - resident < GROWTH
    assert caller.send(FEDERATION + "Heartbeat", b"").status is S.OK


# --- sequences --------------------------------------------------------------------------------------------


def test_pieces_and_digests_in_a_hostile_order_are_refused_and_the_honest_contribution_is_taken(
    hub: Served, released: stat.RequestReleaseResponse
) -> None:
    west, east = hub.operator("west"), hub.operator("east")
    order, other = order_of(west), order_of(east)
    terms = TaskOrder.from_wire(order, "the order").terms
    data = encode(noised_vector(OWN, terms))
    with closing(hub.kept.store()) as store:
        token = token_for(store, "west", hashlib.sha256(order).hexdigest())
        entry = charged(store, order, data)
    chunk, commit = partial(_chunk, token=token), partial(_commit, token=token)
    before = states(hub.kept)
    refused = [
        (S.FAILED_PRECONDITION, COMMIT, commit(order, data, entry)),
        (S.INVALID_ARGUMENT, PUT, chunk(order, data, offset=MIB)),
        (S.INVALID_ARGUMENT, PUT, chunk(order, data, offset=1)),
        (S.INVALID_ARGUMENT, PUT, chunk(order, data, offset=2**64 - MIB)),
        (S.INVALID_ARGUMENT, PUT, chunk(order, data, sha256=bytes(32))),
        (S.INVALID_ARGUMENT, PUT, chunk(order, data, sha256=b"")),
        (S.INVALID_ARGUMENT, PUT, chunk(order, b"")),
        (S.INVALID_ARGUMENT, PUT, chunk(order, bytes(MIB + 1))),
        (S.INVALID_ARGUMENT, PUT, chunk(order, bytes(MIB))),
        (S.NOT_FOUND, PUT, chunk(other, data)),
        (S.NOT_FOUND, PUT, chunk(b"an order that there is not", data)),
        (S.NOT_FOUND, COMMIT, commit(other, data, entry)),
        (S.INVALID_ARGUMENT, COMMIT, commit(order, data, entry, order_digest=b"short")),
    ]
    for status, method, request in refused:
        answer = west.send(method, request)
        assert answer.status is status, answer
        assert answer.details
    assert states(hub.kept) == before
    assert west.send(PUT, chunk(order, data)).status is S.OK
    assert west.send(PUT, chunk(order, data)).status is S.OK
    assert west.send(PUT, chunk(order, data[:-1])).status is S.ALREADY_EXISTS
    assert west.send(COMMIT, commit(order, data[:-1], entry)).status is S.FAILED_PRECONDITION
    for wrong in (b"", b"{}", b"\xff", entry[:-1], entry + b" ", nested(chance("entry", 1))):
        assert west.send(COMMIT, commit(order, data, wrong)).status is S.INVALID_ARGUMENT
    assert east.send(COMMIT, commit(order, data, entry)).status is S.NOT_FOUND
    assert hub.rows()["contribution"] == 0
    assert west.send(COMMIT, commit(order, data, entry)).status is S.INVALID_ARGUMENT, "nobody signed for it"
    signed_for = commit(order, data, entry, receipt=receipt(order, entry))
    assert west.send(COMMIT, signed_for).status is S.OK
    assert west.send(COMMIT, commit(order, data, b"whatever")).status is S.OK, (
        "the same digest, the same receipt"
    )
    assert west.send(COMMIT, commit(order, data[:-1])).status is S.ALREADY_EXISTS
    said = Refusal(network=NETWORK, operator="west", order=hashlib.sha256(order).hexdigest(), reason="POLICY")
    refusal = fed.RefuseTaskRequest(
        order_digest=hashlib.sha256(order).digest(),
        reason=fed.REFUSAL_REASON_POLICY,
        refusal=signed(REFUSAL_TYPE, said.to_bytes(), key_for("west")),
    )
    assert west.send(FEDERATION + "RefuseTask", refusal.SerializeToString()).status is S.ALREADY_EXISTS


def _streams(cells: int) -> dict[str, bytes]:
    """Return contributions that are something else than noised counts."""
    codec, good = pa.Codec("zstd"), encode(np.zeros(cells, np.int64))

    def arrow(table: pa.Table) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return bytes(codec.compress(sink.getvalue(), asbytes=True))

    return {
        "random": b"\x17" * 100,
        "not numbers": arrow(pa.table({"value": pa.array([float("nan")] * cells)})),
        "infinite": arrow(pa.table({"value": pa.array([float("inf")] * cells)})),
        "without values": arrow(pa.table({"value": pa.array([None] * cells, pa.int64())})),
        "words": arrow(pa.table({"value": pa.array(["a"] * cells)})),
        "two columns": arrow(pa.table({"value": [0] * cells, "more": [0] * cells})),
        "one cell too many": encode(np.zeros(cells + 1, np.int64)),
        "one cell too few": encode(np.zeros(cells - 1, np.int64)),
        "the largest number": encode(np.full(cells, 2**63 - 1)),
        "a bomb": bytes(codec.compress(bytes(1 << 28), asbytes=True)),
        "a bomb behind": good + bytes(codec.compress(bytes(1 << 26), asbytes=True)),
        "something skipped": b"\x50\x2a\x4d\x18\x04\0\0\0data" + good,
        "a frame that says it is 2^63 bytes": b"\x28\xb5\x2f\xfd\xe0" + b"\xff" * 7 + b"\x7f" + good[6:],
    }


def test_garbage_and_bombs_are_refused_without_room_for_them(
    hub: Served, released: stat.RequestReleaseResponse
) -> None:
    north, office, resident = hub.operator("north"), hub.office(), hub.resident()
    before = hub.rows()["contribution"]
    terms = TaskOrder.from_wire(order_of(north), "the order").terms
    found = _streams(len(noised_vector(OWN, terms)))
    for revision, (name, data) in enumerate(found.items(), 1):
        asked = stat.RequestReleaseRequest(
            product_id="presence", first_day="2026-05-04", last_day="2026-05-04", revision=revision
        )
        assert office.send(STATISTICS + "RequestRelease", asked.SerializeToString()).status is S.OK
        order = next(
            row[0] for row in hub.kept.execute(
                "SELECT payload FROM task WHERE operator = 'north' AND release_id LIKE :end", end=f"%-r{revision}"
            )
        )  # fmt: skip
        with closing(hub.kept.store()) as store:
            token = token_for(store, "north", hashlib.sha256(order).hexdigest())
            entry = charged(store, order, data)
        given = north.send(PUT, _chunk(order, data, token=token))
        assert given.status is S.OK or "larger than its cells" in given.details, name
        signed_for = _commit(order, data, entry, token=token, receipt=receipt(order, entry))
        answer = north.send(COMMIT, signed_for)
        assert answer.status in {S.INVALID_ARGUMENT, S.FAILED_PRECONDITION}, (name, answer)
    assert hub.rows()["contribution"] == before
    assert hub.resident() - resident < GROWTH
    assert order_of(north), "an honest call is answered"
