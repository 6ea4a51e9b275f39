"""Every call by every role with every kind of certificate; renewal, revocation and expiry while things run."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import grpc
import pytest
from cryptography import x509

from hub.access import ROLES
from hub.authority import renew_own
from hub.config import Home
from node.config import Home as NodeHome
from node.renewal import renewed_channel
from quorate.contract.handshake import shake_hands
from quorate.contract.identity import OFFICE, OPERATOR, Identity, new_key, signing_request
from quorate.v1 import federation_pb2 as fed
from quorate.v1 import statistics_pb2 as stat
from quorate.v1.federation_pb2_grpc import FederationServiceStub
from quorate.v1.statistics_pb2_grpc import StatisticsServiceStub
from tests.harness import wait_until
from tests.support_hub import NETWORK, write_hub_home
from tests.support_identities import Hub, let_live, outcome, party, serving

EAST, WEST = Identity(NETWORK, OPERATOR, "east"), Identity(NETWORK, OPERATOR, "west")
BUREAU = Identity(NETWORK, OFFICE, "bureau")
Code = grpc.StatusCode
STREAMS = {
    f"/{service.full_name}/{method.name}": method.server_streaming
    for file in (fed.DESCRIPTOR, stat.DESCRIPTOR)
    for service in file.services_by_name.values()
    for method in service.methods
}
HEARTBEAT = "/quorate.v1.FederationService/Heartbeat"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with serving(write_hub_home(tmp_path_factory.mktemp("network") / "hub")) as found:
        yield found


# --- every call, role and certificate ---------------------------------------------------------------------

KINDS = ("right", "wrong authority", "expired", "revoked", "none")


@pytest.fixture(scope="module")
def channels(
    hub: Hub, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, str], grpc.Channel]]:
    root = tmp_path_factory.mktemp("parties")
    other = write_hub_home(root / "other-hub")
    found = {}
    for identity in (WEST, BUREAU):
        at = root / identity.role
        expired = party(at / "expired", hub.home, identity, seconds=1.0)
        revoked = party(at / "revoked", hub.home, identity)
        with revoked.channel(hub.address) as channel:
            outcome(channel, *_any_method_of(identity.role))
        hub.command("revoke", f"{revoked.shown.serial_number:x}", "--why", "test")
        parties = {
            "right": party(at / "right", hub.home, identity),
            "wrong authority": party(at / "other", other, identity, hub.home),
            "expired": expired,
            "revoked": revoked,
        }
        for kind, one in parties.items():
            found[identity.role, kind] = one.channel(hub.address)
        nothing = grpc.ssl_channel_credentials(hub.home.root_certificate.read_bytes())
        found[identity.role, "none"] = grpc.secure_channel(hub.address, nothing)
        time.sleep(max(expired.seconds_left, 0) + 0.1)
    yield found
    for channel in found.values():
        channel.close()


def _any_method_of(role: str) -> tuple[str, bool]:
    method = next(method for method, of in ROLES.items() if of == role)
    return method, STREAMS[method]


@pytest.mark.parametrize(
    ("method", "role", "kind"),
    list(product(sorted(STREAMS), (OPERATOR, OFFICE), KINDS)),
    ids=lambda value: value.rsplit("/", 1)[-1].replace(" ", "-"),
)
def test_a_call_is_let_in_by_role_and_certificate(
    hub: Hub, channels: dict[tuple[str, str], grpc.Channel], method: str, role: str, kind: str
) -> None:
    found = outcome(channels[role, kind], method, STREAMS[method])
    if kind in {"wrong authority", "expired", "none"}:
        assert found is Code.UNAVAILABLE, "TLS lets nobody in"
    elif ROLES[method] != role:
        assert found is Code.PERMISSION_DENIED
    elif kind == "revoked":
        assert found is Code.UNAUTHENTICATED
    else:
        assert found not in {Code.UNAVAILABLE, Code.PERMISSION_DENIED, Code.UNAUTHENTICATED}


def test_the_table_has_every_call() -> None:
    assert set(STREAMS) == {method for method in ROLES if "/grpc.health." not in method}


# --- expiry and revocation while something is under way ---------------------------------------------------


def test_an_open_connection_ends_with_its_certificate(hub: Hub, tmp_path: Path) -> None:
    west = party(tmp_path / "west", hub.home, WEST, seconds=5.0)
    with west.channel(hub.address) as channel:
        assert outcome(channel, HEARTBEAT, streams=False) is Code.OK
        time.sleep(max(west.seconds_left, 0) + 0.1)
        assert outcome(channel, HEARTBEAT, streams=False) is Code.UNAUTHENTICATED


@contextmanager
def _second_hub(first: Hub, root: Path) -> Iterator[Hub]:
    """Run another hub of the same network, in its own directory, on the same database."""
    for name in ("address", "enrolment-address", "hub.lock"):
        assert (first.home.root / name).exists()
    shutil.copytree(
        first.home.root, root, ignore=shutil.ignore_patterns("hub.db*", "address", "enrolment-address")
    )
    with serving(Home(root), "--database", f"sqlite:///{first.home.database}") as second:
        yield second


def test_a_revocation_holds_at_every_hub_of_the_database_also_for_calls_that_wait(
    hub: Hub, tmp_path: Path
) -> None:
    west, east = (party(tmp_path / one.name, hub.home, one) for one in (WEST, EAST))
    with (
        _second_hub(hub, tmp_path / "second") as second,
        west.channel(hub.address) as here,
        west.channel(second.address) as there,
        east.channel(second.address) as others,
    ):
        assert outcome(there, HEARTBEAT, streams=False) is Code.OK
        waiting = FederationServiceStub(here).AcquireTask.future(
            fed.AcquireTaskRequest(wait_seconds=6), timeout=60
        )
        hub.command("revoke", "west/0", "--why", "a stolen key")
        assert outcome(there, HEARTBEAT, streams=False) is Code.UNAUTHENTICATED
        assert outcome(here, HEARTBEAT, streams=False) is Code.UNAUTHENTICATED
        assert outcome(others, HEARTBEAT, streams=False) is Code.OK
        assert waiting.code() is Code.UNAUTHENTICATED
    rows = {row["serial"]: row for row in hub.listed()}
    assert rows[f"{west.shown.serial_number:x}"]["revoked"].endswith("a stolen key")
    assert rows[f"{east.shown.serial_number:x}"]["revoked"] == ""
    hub.command("revoke", f"{east.shown.serial_number:x}", "--why", "only this one")
    time.sleep(1.1)
    again = party(tmp_path / "anew", hub.home, WEST)
    with again.channel(hub.address) as channel:
        assert outcome(channel, HEARTBEAT, streams=False) is Code.OK


def test_an_office_that_is_revoked_while_it_watches_sees_nothing_more(hub: Hub, tmp_path: Path) -> None:
    bureau = party(tmp_path / "bureau", hub.home, BUREAU)
    with bureau.channel(hub.address) as channel:
        stub = StatisticsServiceStub(channel)
        asked = stat.RequestReleaseRequest(
            product_id="presence", first_day="2026-05-04", last_day="2026-05-04"
        )
        name = stub.RequestRelease(asked, timeout=30).release_id
        seen = stub.WatchRelease(stat.WatchReleaseRequest(release_id=name), timeout=100)
        assert next(seen).state == stat.RELEASE_STATE_COLLECTING
        hub.command("revoke", "office/bureau", "--why", "test")
        with pytest.raises(grpc.RpcError):
            next(seen)
        assert seen.code() is Code.UNAUTHENTICATED


# --- renewal ----------------------------------------------------------------------------------------------


def test_a_node_renews_its_certificate_and_goes_on_over_a_new_connection(tmp_path: Path) -> None:
    with serving(write_hub_home(tmp_path / "hub")) as hub:
        let_live(hub.home, 8.0)
        home = _node(hub, tmp_path / "node", EAST)
        first = home.certificate.read_bytes()
        with renewed_channel(home, hub.address, logging.getLogger("test")) as channel:
            stub = FederationServiceStub(channel)
            waiting = stub.AcquireTask.future(fed.AcquireTaskRequest(wait_seconds=10), timeout=60)
            wait_until(lambda: home.certificate.read_bytes() != first, "a new certificate", 30)
            assert not waiting.result().HasField("task_order"), "a call that waits is not cut off"
            second = _serial(home)
            # The first certificate is over by now: this call is made over another connection.
            assert stub.Heartbeat.future(fed.HeartbeatRequest(), timeout=30).result().network == NETWORK
            wait_until(lambda: _serial(home) != second, "one more renewal", 60)
        origins = {row["serial"]: row["origin"] for row in hub.listed()}
        assert origins[_serial(home)] == "renewed"


def test_a_renewal_is_for_the_callers_identity_alone(hub: Hub, tmp_path: Path) -> None:
    east = party(tmp_path / "east", hub.home, EAST)
    with east.channel(hub.address) as channel:
        stub = FederationServiceStub(channel)
        for other in (WEST, Identity(NETWORK, OPERATOR, "east", 1), BUREAU):
            request = signing_request(new_key(tmp_path / f"{other.role}-{other.name}-{other.node}"), other)
            with pytest.raises(grpc.RpcError) as caught:
                stub.Renew(fed.RenewRequest(signing_request=request), timeout=30)
            assert caught.value.code() is Code.INVALID_ARGUMENT
            assert "not for" in (caught.value.details() or "")


def _node(hub: Hub, root: Path, identity: Identity) -> NodeHome:
    """Lay out as much of a node's directory as its identity needs."""
    made, home = party(root, hub.home, identity), NodeHome(root)
    made.key.rename(home.key)
    made.certificate.rename(home.certificate)
    shutil.copy(hub.home.root_certificate, home.hub_root)
    return home


def _serial(home: NodeHome) -> str:
    return f"{x509.load_pem_x509_certificate(home.certificate.read_bytes()).serial_number:x}"


def test_the_hub_renews_its_own_certificate_without_a_restart(tmp_path: Path) -> None:
    home = write_hub_home(tmp_path / "hub")
    west = party(tmp_path / "west", home, WEST)
    let_live(home, 12.0)
    first = renew_own(home)
    with serving(home) as hub:

        def shown() -> x509.Certificate:
            return shake_hands(hub.address, (west.certificate, west.key)).chain[0]

        wait_until(lambda: shown().serial_number != first.serial_number, "another certificate", 60)
        wait_until(lambda: datetime.now(UTC) > first.not_valid_after_utc, "the end of the first", 60)
        with west.channel(hub.address) as channel:
            assert outcome(channel, HEARTBEAT, streams=False) is Code.OK
        assert hub.process.poll() is None
        assert len([row for row in hub.listed() if row["origin"] == "own"]) >= 2
