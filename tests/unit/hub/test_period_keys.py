"""The hub relays period keys: it looks at a package from outside, keeps the first, and cannot read it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import date
from threading import Barrier
from typing import Any, cast

import pytest

from hub.access import status_of
from hub.bell import Bell
from hub.callers import caller
from hub.config import Agreement
from hub.errors import Malformed, NotFound
from hub.federation import Federation
from hub.opening import open_release
from hub.store import Store
from hub.trail import Wanted, lines
from privacy.errors import QuorateError, UsageProblem
from quorate.contract.identity import OPERATOR, Identity
from quorate.contract.period_key import PeriodKey, largest_package
from quorate.contract.signing import countersigned, from_json
from quorate.v1 import federation_pb2 as fed
from tests.keys import HUB, key_for
from tests.support_hub import DAY, NETWORK, OPERATORS, Kept, node_of, small_charter
from tests.support_sketch import (
    KEY,
    NEXT_WEEK,
    UNION,
    WEEK,
    package_by,
    scope_in,
    statement_of,
    union_agreement,
    union_product,
)

RELEASE = f"{UNION}-{WEEK[0]}-{WEEK[1]}-r0"


@pytest.fixture
def own() -> Agreement:
    return union_agreement()


@pytest.fixture
def asked(own: Agreement, store: Store) -> Store:
    """A hub that was asked for the union of a week."""
    open_release(own, store, UNION, WEEK, 0)
    return store


def call(own: Agreement, store: Store, operator: str, name: str, request: Any) -> Any:
    """Ask the hub as a node of an operator would."""
    federation = Federation(own, store, Bell(), cast("Any", None), lease_seconds=60)

    async def ask() -> Any:
        caller.set(Identity(NETWORK, OPERATOR, operator))
        return await getattr(federation, name)(request, cast("Any", None))

    return asyncio.run(ask())


def put(own: Agreement, store: Store, statement: fed.Envelope, operator: str = "east") -> fed.Envelope:
    request = fed.PutPeriodKeyRequest(package=statement)
    answer = call(own, store, operator, "PutPeriodKey", request)
    return cast("fed.Envelope", answer.package)


def get(
    own: Agreement, store: Store, days: tuple[date, date] = WEEK, product: str = UNION
) -> fed.Envelope | None:
    request = fed.GetPeriodKeyRequest(product_id=product, first_day=str(days[0]), last_day=str(days[1]))
    answer = call(own, store, "north", "GetPeriodKey", request)
    return answer.package if answer.HasField("package") else None


def refused(own: Agreement, store: Store, statement: fed.Envelope, operator: str = "east") -> QuorateError:
    """Return what the hub says to a package; nothing is kept."""
    with pytest.raises((Malformed, NotFound, UsageProblem)) as caught:
        put(own, store, statement, operator)
    assert status_of(caught.value).name in {"INVALID_ARGUMENT", "NOT_FOUND"}
    assert get(own, store) is None
    return caught.value


# --- keeping ----------------------------------------------------------------------------------------------


def test_every_operator_gets_the_package_as_its_maker_signed_it(own: Agreement, asked: Store) -> None:
    assert get(own, asked) is None
    statement = statement_of(package_by(own.charter, "east"))
    assert put(own, asked, statement) == statement == get(own, asked)


def test_the_first_package_counts_whoever_brings_another_one(own: Agreement, asked: Store) -> None:
    first = statement_of(package_by(own.charter, "east"))
    put(own, asked, first)
    for maker in OPERATORS:
        another = statement_of(package_by(own.charter, maker, key=bytes(32)))
        assert put(own, asked, another, maker) == first
    assert put(own, asked, first) == first, "the same again"
    assert get(own, asked) == first
    assert [line["what"] for line in lines(asked.database, Wanted())] == ["accepted a period key"]


def test_periods_products_and_charters_have_keys_of_their_own(own: Agreement, asked: Store) -> None:
    open_release(own, asked, UNION, NEXT_WEEK, 0)
    this = statement_of(package_by(own.charter, "east"))
    put(own, asked, this)
    assert get(own, asked, NEXT_WEEK) is None
    next_ = statement_of(package_by(own.charter, "east", scope_in(own.charter, NEXT_WEEK)))
    assert put(own, asked, next_) == next_ == get(own, asked, NEXT_WEEK)
    later = union_agreement(version=2)
    assert get(later, asked) is None
    again = statement_of(package_by(later.charter, "west"))
    assert put(later, asked, again, "west") == again == get(later, asked)
    assert get(own, asked) == this


def test_a_package_outlives_the_hub(own: Agreement, kept: Kept) -> None:
    statement = statement_of(package_by(own.charter, "east"))
    with closing(kept.store()) as store:
        open_release(own, store, UNION, WEEK, 0)
        put(own, store, statement)
    with closing(kept.store()) as store:
        assert get(own, store) == statement


def test_the_audit_trail_names_the_package_and_its_release(own: Agreement, asked: Store) -> None:
    package = package_by(own.charter, "east")
    put(own, asked, statement_of(package))
    (line,) = lines(asked.database, Wanted(release_id=RELEASE))
    assert line["who"] == node_of("east").uri
    assert line["what"] == "accepted a period key"
    assert line["detail"] == f"package {package.digest()}"


def test_nothing_that_the_hub_keeps_has_the_key(own: Agreement, asked: Store, kept: Kept) -> None:
    put(own, asked, statement_of(package_by(own.charter, "east")))
    (row,) = kept.execute("SELECT * FROM period_key")
    payload = from_json(row[-1], "the stored package").payload
    text = b" ".join((payload, *(str(value).encode() for value in row)))
    assert b"wrapped" in text, "the search looks into the package"
    for part in (KEY, KEY[:8]):
        assert part not in text
        assert part.hex().encode() not in text


HUBS = 4


def test_of_packages_that_come_to_several_hubs_at_once_one_counts_for_all(own: Agreement, kept: Kept) -> None:
    with closing(kept.store()) as store:
        open_release(own, store, UNION, WEEK, 0)
    barrier = Barrier(HUBS * len(OPERATORS))
    packages = {
        (hub, maker): package_by(own.charter, maker, key=bytes([hub]) * 32)
        for hub in range(HUBS)
        for maker in OPERATORS
    }

    def bring(store: Store, maker: str, package: PeriodKey) -> bytes:
        statement = statement_of(package)
        barrier.wait()
        return store.packages.keep(node_of(maker), package, statement.payload)

    with ExitStack() as stack, ThreadPoolExecutor(len(packages)) as pool:
        stores = [stack.enter_context(closing(kept.store())) for _ in range(HUBS)]
        found = list(pool.map(lambda item: bring(stores[item[0][0]], item[0][1], item[1]), packages.items()))
        assert len(set(found)) == 1
        assert found[0] in {package.to_bytes() for package in packages.values()}
        assert {store.packages.find(scope_in(own.charter)) for store in stores} == set(found)
        assert len(lines(stores[0].database, Wanted())) == 1


# --- refusing ---------------------------------------------------------------------------------------------


def test_a_package_that_another_operator_made_is_not_taken_from_the_caller(
    own: Agreement, asked: Store
) -> None:
    statement = statement_of(package_by(own.charter, "east"))
    assert "made by somebody else than the caller" in refused(own, asked, statement, "west").what


def test_a_package_that_its_maker_has_not_signed_is_refused(own: Agreement, asked: Store) -> None:
    package = package_by(own.charter, "east")
    assert "is not signed by east" in refused(own, asked, statement_of(package, "west")).what
    assert "is not signed by east" in refused(own, asked, statement_of(package, HUB)).what
    doubly = countersigned(statement_of(package), key_for("west"))
    assert "other signatures" in refused(own, asked, doubly).what
    many = fed.Envelope()
    many.CopyFrom(statement_of(package))
    many.signatures.extend([fed.Signature(keyid="x", sig=bytes(1000))] * 1000)
    assert "other signatures" in refused(own, asked, many).what


def test_a_package_for_something_else_is_refused(own: Agreement, asked: Store) -> None:
    charter = own.charter
    cases = {
        "has another network": scope_in(charter, network="large"),
        "has another charter": scope_in(charter, charter="0" * 64),
        "no product called nothing": scope_in(charter, product="nothing"),
        "residents is no union sketch": scope_in(charter, product="residents"),
        "up to 31 day": scope_in(charter, (date(2026, 5, 1), date(2026, 6, 1))),
        "before it begins": scope_in(charter, (WEEK[1], WEEK[0])),
        "no budget outside": scope_in(charter, (date(2025, 12, 31), date(2026, 1, 2))),
        "there is no release of union from 2026-05-11": scope_in(charter, NEXT_WEEK),
    }
    for says, scope in cases.items():
        assert says in refused(own, asked, statement_of(package_by(charter, "east", scope))).what


def test_a_package_that_is_not_sealed_to_every_operator_is_refused(own: Agreement, asked: Store) -> None:
    package = package_by(own.charter, "east")
    for wrapped in (
        {name: box for name, box in package.wrapped.items() if name != "west"},
        package.wrapped | {"south": package.wrapped["west"]},
    ):
        other = package.model_copy(update={"wrapped": wrapped})
        assert "exactly the operators" in refused(own, asked, statement_of(other)).what


def test_what_is_no_package_is_refused_before_it_is_read(own: Agreement, asked: Store) -> None:
    assert "not a valid" in refused(own, asked, fed.Envelope()).what
    large = fed.Envelope(payload=b"[" * (largest_package(own.charter) + 1))
    assert "is larger than" in refused(own, asked, large).what


@pytest.mark.parametrize(
    ("asked_for", "says"),
    [
        ((UNION, "", ""), "not two ISO dates"),
        ((UNION, "2026-05-04", "later"), "not two ISO dates"),
        (("", "2026-05-04", "2026-05-10"), "no product called"),
        (("presence", "2026-05-04", "2026-05-04"), "is no union sketch"),
        ((UNION, "2026-05-04", "2027-05-10"), "is released for up to"),
    ],
)
def test_asking_for_the_key_of_something_that_has_none_is_an_error(
    own: Agreement, asked: Store, asked_for: tuple[str, str, str], says: str
) -> None:
    product, first, last = asked_for
    request = fed.GetPeriodKeyRequest(product_id=product, first_day=first, last_day=last)
    with pytest.raises((Malformed, UsageProblem), match=says):
        call(own, asked, "east", "GetPeriodKey", request)


def test_a_charter_without_union_sketches_has_no_keys(own: Agreement, asked: Store) -> None:
    charter = small_charter()
    plain = Agreement(charter, charter.digest(), own.zoning, own.register, own.key)
    with pytest.raises(UsageProblem, match="no product called union"):
        get(plain, asked)
    with pytest.raises(Malformed, match="is no union sketch"):
        get(plain, asked, (DAY, DAY), "presence")
    assert union_product().product_id == UNION
