"""Packages with period keys from a hostile operator at the hub, and from a hostile hub at a node."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError

from hub.config import Agreement
from hub.database import sqlite_at
from hub.objects import Objects
from hub.opening import open_release
from hub.store import Store
from privacy.errors import PeriodKeyProblem
from quorate.contract.period_key import PERIOD_KEY_TYPE, read_package
from quorate.contract.signing import from_json, signed
from quorate.v1 import federation_pb2 as fed
from tests.fuzz.handlers import Handlers
from tests.fuzz.mutation import chance, mutated, mutated_document, nested
from tests.keys import exchange_for, key_for
from tests.support_hub import Kept
from tests.support_peers import FEDERATION, TYPED
from tests.support_sketch import (
    KEY,
    UNION,
    WEEK,
    fixed_package,
    scope_in,
    statement_of,
    union_agreement,
)

PUT, GET = FEDERATION + "PutPeriodKey", FEDERATION + "GetPeriodKey"
ALLOWED = {status.name for status in TYPED} | {"not protobuf"}
ASKED = fed.GetPeriodKeyRequest(product_id=UNION, first_day=str(WEEK[0]), last_day=str(WEEK[1]))


@pytest.fixture
def own() -> Agreement:
    return union_agreement()


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(sqlite_at(tmp_path / "hub.db"), tmp_path / "objects")


@pytest.fixture
def handlers(own: Agreement, kept: Kept) -> Iterator[Handlers]:
    with (
        closing(Store(kept.database, Objects(kept.objects))) as store,
        closing(Handlers(own, store)) as found,
    ):
        open_release(own, store, UNION, WEEK, 0)
        yield found


def changed(data: bytes, rng: random.Random) -> bytes:
    """Return another document: one value other, some bytes other, or nested too deep."""
    kind = rng.random()
    if kind < 0.02:
        return nested(rng)
    return mutated_document(data, rng) if kind < 0.7 else mutated(data, rng)


def hostile(own: Agreement, rng: random.Random) -> fed.PutPeriodKeyRequest:
    """Return a request of west's that is not the one of `fixed_package`, mostly signed by west as it is."""
    package = fixed_package(own.charter, "west")
    payload = changed(package.to_bytes(), rng)
    if rng.random() < 0.7:
        return fed.PutPeriodKeyRequest(package=signed(PERIOD_KEY_TYPE, payload, key_for("west")))
    statement = statement_of(package)
    statement.payload = payload
    return fed.PutPeriodKeyRequest(package=statement)


@pytest.mark.parametrize("count", [400, pytest.param(60_000, marks=pytest.mark.full)])
def test_packages_that_were_changed_get_typed_answers_and_what_is_kept_is_one_that_fits(
    own: Agreement, handlers: Handlers, kept: Kept, count: int
) -> None:
    good = fed.PutPeriodKeyRequest(package=statement_of(fixed_package(own.charter, "west")))
    for number in range(count):
        rng = chance("period keys", number)
        data = hostile(own, rng).SerializeToString()
        if rng.random() < 0.3:
            data = mutated(good.SerializeToString(), rng)
        assert handlers.send(PUT, data) in ALLOWED, data.hex()
        assert handlers.send(GET, mutated(ASKED.SerializeToString(), rng)) in ALLOWED
    refused = handlers.counts["PutPeriodKey", "INVALID_ARGUMENT"]
    assert refused > count * 0.6
    for (statement,) in kept.execute("SELECT statement FROM period_key"):
        found = read_package(from_json(statement, "the stored one"), own.charter, scope_in(own.charter))
        assert found.maker == "west"
    assert handlers.send(PUT, good.SerializeToString()) == "OK"
    assert handlers.send(GET, ASKED.SerializeToString()) == "OK"
    print("\n", 2 * count, dict(sorted(handlers.counts.items())))


@pytest.mark.parametrize("count", [400, pytest.param(60_000, marks=pytest.mark.full)])
@pytest.mark.parametrize("by_maker", [False, True], ids=["by the hub", "by its maker"])
def test_a_package_that_was_changed_on_its_way_opens_to_the_same_key_or_is_refused(
    own: Agreement, count: int, by_maker: bool
) -> None:
    package, scope = fixed_package(own.charter, "west"), scope_in(own.charter)
    taken = 0
    for number in range(count):
        rng = chance(f"relayed {by_maker}", number)
        try:
            if by_maker:
                payload = changed(package.to_bytes(), rng)
                statement = signed(PERIOD_KEY_TYPE, payload, key_for("west"))
            else:
                statement = fed.Envelope.FromString(mutated(statement_of(package).SerializeToString(), rng))
            found = read_package(statement, own.charter, scope)
            key = found.key_for("east", exchange_for("east"))
        except (DecodeError, PeriodKeyProblem):
            continue
        # A maker can spoil the box of another operator; this one's is whole then.
        assert found.scope == scope
        assert key == KEY
        assert by_maker or found == package
        taken += 1
    print(f"\n{count} packages changed, {taken} taken")
    assert taken < count / 2
