"""Tokens are spent once, by one request, whoever asks first; revoked is revoked on every database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from hub.authority import certify
from hub.certificates import RENEWED, SIGNED
from hub.config import Home
from hub.enrolment import Limit, TooMany
from hub.errors import Conflict, NotAllowed, NotValid
from hub.requests import Request
from hub.store import Store
from privacy.errors import UsageProblem
from quorate.contract.identity import OFFICE, OPERATOR, Identity, signing_request
from tests.support_hub import NETWORK, Kept, issue, write_hub_home

EAST, WEST = Identity(NETWORK, OPERATOR, "east"), Identity(NETWORK, OPERATOR, "west")
DAY = timedelta(days=1)
HUBS = 4


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return write_hub_home(tmp_path_factory.mktemp("hub"))


def request_for(identity: Identity = WEST) -> bytes:
    return signing_request(ec.generate_private_key(ec.SECP256R1()), identity)


def spend(store: Store, home: Home, token: str, request: bytes) -> bytes:
    def make(asked: Request) -> bytes:
        return certify(home, asked)

    return store.invitations.spend(token, request, make)[0]


# --- tokens -----------------------------------------------------------------------------------------------


def test_a_token_is_kept_as_a_hash_alone(kept: Kept, store: Store) -> None:
    token, _ends = store.invitations.invite(WEST, DAY)
    assert len(token) >= 43, "256 bits"
    assert token not in str(kept.execute("SELECT * FROM invitation"))


def test_the_same_request_again_gets_the_same_certificate_and_another_is_a_conflict(
    store: Store, home: Home
) -> None:
    token, _ends = store.invitations.invite(WEST, DAY)
    request = request_for()
    chain = spend(store, home, token, request)
    assert spend(store, home, token, request) == chain
    with pytest.raises(Conflict, match="was spent by another request"):
        spend(store, home, token, request_for())
    (row,) = store.certificates.listed()
    assert (row.identity, row.origin, row.revoked) == (WEST.uri, "enrolled", "")


@pytest.mark.parametrize(
    "asked", [EAST, Identity(NETWORK, OPERATOR, "west", 1), Identity(NETWORK, OFFICE, "west")], ids=str
)
def test_a_token_is_for_one_identity_and_is_not_spent_by_another(
    store: Store, home: Home, asked: Identity
) -> None:
    token, _ends = store.invitations.invite(WEST, DAY)
    with pytest.raises(UsageProblem, match="the request asks for"):
        spend(store, home, token, request_for(asked))
    assert spend(store, home, token, request_for())


def test_wrong_late_and_cancelled_tokens_give_nothing(store: Store, home: Home) -> None:
    with pytest.raises(NotAllowed, match="no such token"):
        spend(store, home, "wrong", request_for())
    late, _ends = store.invitations.invite(WEST, timedelta(seconds=-1))
    cancelled, _ends = store.invitations.invite(WEST, DAY)
    store.certificates.revoke("west", NETWORK, "gone", ["west"])
    for token in (late, cancelled):
        with pytest.raises(NotAllowed, match="the time of this token is over"):
            spend(store, home, token, request_for())
    assert store.certificates.listed() == []


def test_a_certificate_that_was_revoked_is_not_given_again(store: Store, home: Home) -> None:
    token, _ends = store.invitations.invite(WEST, DAY)
    request = request_for()
    spend(store, home, token, request)
    store.certificates.revoke("west/0", NETWORK, "stolen")
    with pytest.raises(NotValid):
        spend(store, home, token, request)


def test_of_requests_at_several_hubs_at_once_one_spends_the_token(
    kept: Kept, store: Store, home: Home
) -> None:
    token, _ends = store.invitations.invite(WEST, DAY)
    barrier = Barrier(HUBS)

    def one(hub: Store) -> bytes | None:
        request = request_for()
        barrier.wait()
        try:
            return spend(hub, home, token, request)
        except Conflict:
            return None

    with ExitStack() as stack, ThreadPoolExecutor(HUBS) as pool:
        hubs = [stack.enter_context(closing(kept.store())) for _ in range(HUBS)]
        found = list(pool.map(one, hubs))
    assert sum(chain is not None for chain in found) == 1
    assert kept.execute("SELECT count(*) FROM certificate") == [(1,)]


def test_wrong_tokens_are_borne_so_often_in_so_long_a_time() -> None:
    limit = Limit(count=3, seconds=10.0)
    for now in (0.0, 1.0, 2.0):
        limit.require_room(now)
        limit.note(now)
    with pytest.raises(TooMany):
        limit.require_room(9.9)
    limit.require_room(10.0)


# --- revocation -------------------------------------------------------------------------------------------


def test_only_who_is_meant_is_revoked(store: Store, home: Home) -> None:
    given = [WEST, Identity(NETWORK, OPERATOR, "west", 1), Identity(NETWORK, OPERATOR, "west-2"), EAST]
    office = Identity(NETWORK, OFFICE, "west")
    made = {identity.uri: issue(home, identity) for identity in (*given, office)}
    for certificate in made.values():
        store.certificates.record(certificate, SIGNED)
    assert len(store.certificates.revoke("west/1", NETWORK, "one node")) == 1
    assert revoked(store) == {given[1].uri}
    assert len(store.certificates.revoke("west", NETWORK, "the operator")) == 2
    assert revoked(store) == {given[0].uri, given[1].uri}
    assert len(store.certificates.revoke("office/west", NETWORK, "the office")) == 1
    serial = f"{made[EAST.uri].serial_number:x}"
    assert store.certificates.revoke(serial.upper(), NETWORK, "by number") == [serial]
    assert revoked(store) == {given[0].uri, given[1].uri, office.uri, EAST.uri}
    for uri, certificate in made.items():
        if uri == given[2].uri:
            assert not store.certificates.require_standing(certificate)
        else:
            with pytest.raises(NotValid, match="was revoked"):
                store.certificates.require_standing(certificate)


def revoked(store: Store) -> set[str]:
    return {row.identity for row in store.certificates.listed() if row.revoked}


def test_a_certificate_that_is_not_on_the_list_is_revoked_with_its_identity(store: Store, home: Home) -> None:
    seen, unseen = issue(home, WEST), issue(home, WEST)
    assert store.certificates.require_standing(seen)
    assert not store.certificates.require_standing(seen), "it is on the list now"
    store.certificates.revoke("west", NETWORK, "why")
    for certificate in (seen, unseen):
        with pytest.raises(NotValid):
            store.certificates.require_standing(certificate)


def test_what_is_issued_after_a_revocation_holds(store: Store, home: Home) -> None:
    store.certificates.revoke("west", NETWORK, "why", ["west"])
    new = issue(home, WEST)
    store.certificates.record(new, SIGNED)
    assert not store.certificates.require_standing(new)


def test_nothing_is_renewed_on_the_strength_of_a_revoked_certificate(store: Store, home: Home) -> None:
    old, new = issue(home, WEST), issue(home, WEST)
    store.certificates.record(old, SIGNED)
    store.certificates.revoke(f"{old.serial_number:x}", NETWORK, "why")
    with pytest.raises(NotValid):
        store.certificates.record(new, RENEWED, after=old)
    assert [row.serial for row in store.certificates.listed()] == [serial_of(old)]


def serial_of(certificate: x509.Certificate) -> str:
    return f"{certificate.serial_number:x}"


@pytest.mark.parametrize("target", ["nobody", "0123456789abcdef0123", "office/none", "west/x", "West", ""])
def test_who_is_on_no_list_is_not_revoked(store: Store, target: str) -> None:
    with pytest.raises(UsageProblem):
        store.certificates.revoke(target, NETWORK, "why", ["west"])


def test_every_hub_of_a_database_knows_at_once(kept: Kept, store: Store, home: Home, tmp_path: Path) -> None:
    certificate = issue(home, WEST)
    with closing(kept.store()) as other:
        assert other.certificates.require_standing(certificate)
        store.certificates.revoke("west", NETWORK, "why")
        with pytest.raises(NotValid):
            other.certificates.require_standing(certificate)
