"""The hub's handlers answer whatever a caller sends with a typed status, and keep nothing of what they refuse."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings

from hub.database import sqlite_at
from hub.objects import Objects
from hub.store import Store
from privacy.errors import QuorateError
from quorate.contract.canonical import digest
from quorate.contract.order import ENTRY_TYPE, TaskOrder
from quorate.contract.payload import encode
from quorate.v1 import federation_pb2 as fed
from quorate.v1 import statistics_pb2 as stat
from tests.fuzz.handlers import TYPES, Handlers
from tests.fuzz.mutation import NUMBERS, chance, mutated, mutated_document, nested
from tests.fuzz.strategies import messages
from tests.support_hub import (
    DAY,
    OPERATORS,
    Kept,
    charged,
    entry_for,
    judged,
    newest_token,
    next_order,
    noised_vector,
    small_agreement,
)
from tests.support_peers import FEDERATION, STATISTICS, TYPED, served
from tests.wire.examples import filled

OWN = small_agreement()
ALLOWED = {status.name for status in TYPED} | {"not protobuf"}
#: What may be new in the database, by the method that may make it.
MAKES = {"release": "RequestRelease", "piece": "PutChunk", "contribution": "CommitContribution"}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(sqlite_at(tmp_path / "hub.db"), tmp_path / "objects")


@pytest.fixture
def handlers(kept: Kept) -> Iterator[Handlers]:
    with (
        closing(Store(kept.database, Objects(kept.objects))) as store,
        closing(Handlers(OWN, store)) as found,
    ):
        asked = stat.RequestReleaseRequest(product_id="presence", first_day=str(DAY), last_day=str(DAY))
        assert found.send(STATISTICS + "RequestRelease", asked.SerializeToString()) == "OK"
        yield found


def rows(kept: Kept) -> dict[str, int]:
    tables = ("release", "task", "piece", "contribution")
    return {name: kept.execute(f"SELECT count(*) FROM {name}")[0][0] for name in tables}  # noqa: S608


def valid(store: Store) -> Mapping[str, list[bytes]]:
    """Return requests that go far into the handlers: of an order that there is, with digests that fit."""
    order = next_order(store, "west")
    assert order is not None
    name, terms = bytes.fromhex(digest(order)), TaskOrder.from_bytes(order, "the order").terms
    data = encode(noised_vector(OWN, terms))
    sha256 = bytes.fromhex(digest(data))
    token = newest_token(digest(order))
    entry = fed.Envelope(payload_type=ENTRY_TYPE, payload=charged(store, order, data))
    found = {
        FEDERATION + "PutChunk": fed.PutChunkRequest(
            order_digest=name, data=data, sha256=sha256, token=token
        ),
        FEDERATION + "CommitContribution": fed.CommitContributionRequest(
            order_digest=name, sha256=sha256, length=len(data), ledger_entry=entry, token=token
        ),
        FEDERATION + "RefuseTask": fed.RefuseTaskRequest(
            order_digest=bytes(32), reason=fed.REFUSAL_REASON_POLICY
        ),
        STATISTICS + "RequestRelease": stat.RequestReleaseRequest(
            product_id="presence", first_day="2026-05-04", last_day="2026-05-04"
        ),
        STATISTICS + "WatchRelease": stat.WatchReleaseRequest(release_id="presence-2026-05-04-2026-05-04-r0"),
    }
    corpus = {method: [filled(TYPES[method]).SerializeToString()] for method in served()}
    for method, message in found.items():
        corpus[method] += [message.SerializeToString()] * 3
    return corpus


def hostile(corpus: list[bytes], rng: random.Random) -> bytes:
    """Return random bytes, a mutation of a request, or two requests in one."""
    kind = rng.random()
    if kind < 0.1:
        return rng.randbytes(rng.choice((0, 1, 7, 100, 5000)))
    if kind < 0.2:
        return rng.choice(corpus) + mutated(rng.choice(corpus), rng)
    return mutated(rng.choice(corpus), rng)


@pytest.mark.parametrize("count", [1_500, pytest.param(220_000, marks=pytest.mark.full)])
def test_mutated_requests_get_typed_answers(handlers: Handlers, kept: Kept, count: int) -> None:
    corpus, before = valid(handlers.store), rows(kept)
    names = sorted(corpus)
    for number in range(count):
        rng = chance("handlers", number)
        method = rng.choice(names)
        data = hostile(corpus[method], rng)
        assert handlers.send(method, data) in ALLOWED, (method, data.hex())
    after = rows(kept)
    for table, maker in MAKES.items():
        assert after[table] - before[table] <= handlers.counts[maker, "OK"], table
    assert after["task"] == len(OPERATORS) * after["release"]
    print("\n", count, dict(sorted(handlers.counts.items())))


@pytest.mark.parametrize("count", [300, pytest.param(30_000, marks=pytest.mark.full)])
def test_uploads_whose_digests_fit_their_hostile_bytes_get_typed_answers(
    handlers: Handlers, kept: Kept, count: int
) -> None:
    order = next_order(handlers.store, "west")
    assert order is not None
    charged(handlers.store, order, b"what was charged for")
    held = b""
    for number in range(count):
        rng = chance("uploads", number)
        data = rng.randbytes(rng.choice((1, 40, 3000)))
        chunk = fed.PutChunkRequest(
            order_digest=bytes.fromhex(digest(order)),
            offset=rng.choice((0, 0, 1 << 20, *NUMBERS)),
            data=data,
            sha256=bytes.fromhex(digest(data)),
            token=newest_token(digest(order)),
        )
        status = handlers.send(FEDERATION + "PutChunk", chunk.SerializeToString())
        assert status in ALLOWED
        held = data if status == "OK" and not held else held
        whole = rng.choice((data, held, held, held))
        commit = fed.CommitContributionRequest(
            order_digest=chunk.order_digest,
            sha256=bytes.fromhex(digest(whole)),
            length=rng.choice((len(whole), len(whole), *NUMBERS[:3])),
            token=newest_token(digest(order)),
        )
        commit.ledger_entry.payload_type = ENTRY_TYPE
        commit.ledger_entry.payload = nested(rng) if rng.random() < 0.2 else rng.randbytes(50)
        assert handlers.send(FEDERATION + "CommitContribution", commit.SerializeToString()) in ALLOWED
    assert handlers.counts["CommitContribution", "INVALID_ARGUMENT"] > count / 10, (
        "entries were held against the published one"
    )
    assert rows(kept)["piece"] <= 1
    assert rows(kept)["contribution"] == 0
    print("\n", 2 * count, dict(sorted(handlers.counts.items())))


@pytest.mark.parametrize("method", served())
def test_requests_with_every_kind_of_field_gone_wrong_get_typed_answers(
    handlers: Handlers, method: str
) -> None:
    @settings(max_examples=60, deadline=None, database=None, derandomize=True)
    @given(messages(TYPES[method]))
    def answered(data: bytes) -> None:
        assert handlers.send(method, data) in ALLOWED

    answered()


# --- judging a contribution -------------------------------------------------------------------------------


def is_taken(order: bytes, data: bytes, entry: bytes) -> bool:
    """Return whether a contribution is taken; any error but a typed one is raised."""
    try:
        judged(OWN, order, data, entry)
    except QuorateError:
        return False
    return True


def _entry(entry: bytes, rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.05:
        return nested(rng)
    return mutated_document(entry, rng) if kind < 0.7 else mutated(entry, rng)


@pytest.mark.parametrize("count", [2_000, pytest.param(200_000, marks=pytest.mark.full)])
@pytest.mark.parametrize("change", [_entry, mutated], ids=["its entry", "its bytes"])
def test_a_contribution_that_was_changed_is_judged_without_a_defect_and_taken_only_if_it_is_the_same(
    handlers: Handlers, count: int, change: Callable[[bytes, random.Random], bytes]
) -> None:
    order = next_order(handlers.store, "west")
    assert order is not None
    terms = TaskOrder.from_bytes(order, "the order").terms
    data = encode(noised_vector(OWN, terms))
    entry = entry_for(terms, data).to_bytes()
    assert is_taken(order, data, entry)
    taken = 0
    for number in range(count):
        rng = chance(f"judge {change.__name__}", number)
        if change is mutated:
            # The entry fits the changed bytes, so that only the bytes themselves can be wrong.
            other = mutated(data, rng)
            taken += is_taken(order, other, entry_for(terms, other).to_bytes()) if other else 0
        else:
            taken += is_taken(order, data, change(entry, rng))
    print(f"\n{count} changed contributions, {taken} taken")
    assert taken < count / 2
