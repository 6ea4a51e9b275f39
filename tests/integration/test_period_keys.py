"""Operators get one period key through a real hub over TLS, which has nothing of it: in no database, file or log."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives import hashes

from hub.authority import sign
from hub.config import Home as HubHome
from node.config import Home
from node.enrolment import enrol, initialise, keeper_of, load
from node.period_keys import PeriodKeys
from node.pinned_keys import every_pinned, key_of
from node.uplink import Uplink
from privacy.errors import PeriodKeyProblem, Refused
from privacy.terms import Terms
from quorate.contract.identity import OPERATOR, Identity, load_certificate
from quorate.contract.order import terms_of
from quorate.contract.signing import from_json
from quorate.contract.transport import open_channel
from quorate.v1 import federation_pb2 as fed
from quorate.v1 import statistics_pb2 as stat
from tests.harness import ROOT
from tests.keys import exchange_pem_for, pem_for
from tests.support_hub import DAY, NETWORK, OPERATORS
from tests.support_node import config_text
from tests.support_peers import FEDERATION, STATISTICS, Served, answering, served_hub
from tests.support_sketch import (
    NEXT_WEEK,
    UNION,
    WEEK,
    package_by,
    scope_in,
    statement_of,
    union_agreement,
)

POLICY = f'products = ["{UNION}"]\nday_cap = 30_000_000\nmonth_cap = 600_000_000\n'


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A hub process whose charter has a union sketch."""
    root = tmp_path_factory.mktemp("union") / "hub"
    with served_hub(root, union_agreement(), "tests.sketch_hub") as found:
        yield found
        assert "a defect in" not in found.log.read_text(encoding="utf-8")


def new_node(hub: HubHome, root: Path, operator: str) -> Home:
    """Enrol a node as its operator and the hub operator do together."""
    home = Home(root)
    initialise(home, NETWORK, operator)
    home.operator_key.write_bytes(pem_for(operator))
    home.exchange_key.write_bytes(exchange_pem_for(operator))
    identity = Identity(NETWORK, OPERATOR, operator)
    home.certificate.write_bytes(sign(hub, home.request.read_bytes(), identity))
    for ours, theirs in (
        (home.hub_root, hub.root_certificate),
        (home.charter, hub.charter),
        (home.zoning, hub.zoning),
    ):
        ours.write_bytes(theirs.read_bytes())
    home.policy.write_text(POLICY, encoding="utf-8")
    home.config.write_text(config_text((DAY, DAY)), encoding="utf-8")
    fingerprint = load_certificate(hub.root_certificate).fingerprint(hashes.SHA256()).hex()
    enrol(home, operator, NETWORK, fingerprint)
    return home


def ask_for(hub: Served, days: tuple[object, object]) -> None:
    """Have the office ask for the union of some days."""
    asked = stat.RequestReleaseRequest(product_id=UNION, first_day=str(days[0]), last_day=str(days[1]))
    answer = hub.office().send(STATISTICS + "RequestRelease", asked.SerializeToString())
    assert answer.status is grpc.StatusCode.OK, answer


@contextmanager
def keys_at(home: Home, address: str) -> Iterator[PeriodKeys]:
    """Return what gets period keys for a node, over a connection of its own."""
    own = load(home)
    with open_channel(address, home.hub_root, home.key, home.certificate) as channel:
        uplink = Uplink(channel, address, threading.Event(), lambda _warning: None)
        yield PeriodKeys(home, own, uplink, keeper_of(home, own.config).key)


def terms_at(home: Home, days: tuple[object, object] = WEEK) -> Terms:
    own = load(home)
    return terms_of(own.charter, own.zoning, UNION, days, 0)  # type: ignore[arg-type]


def forms(secret: bytes) -> Iterator[bytes]:
    """Yield parts of a secret as they would look in a file: raw, in hexadecimal, and in base64 at every offset."""
    yield from (secret[start : start + 8] for start in range(0, len(secret), 8))
    yield from (secret[start : start + 8].hex().encode() for start in range(0, len(secret), 8))
    for offset in range(3):
        # What depends on neighbours is cut off at both ends.
        yield base64.b64encode(bytes(offset) + secret)[4:-4]


def holds_any(secret: bytes, pieces: list[bytes]) -> bool:
    return any(form in piece or form.upper() in piece for piece in pieces for form in forms(secret))


def all_of(hub: Served) -> list[bytes]:
    """Return everything that the hub wrote anywhere, and what is in the packages that it keeps."""
    files = [path.read_bytes() for path in hub.home.root.rglob("*") if path.is_file()]
    rows = hub.kept.execute("SELECT statement FROM period_key")
    payloads = [from_json(statement, "the stored package").payload for (statement,) in rows]
    assert payloads
    return [*files, hub.log.read_bytes(), *payloads]


def test_three_node_processes_get_one_key_through_a_hub_that_has_nothing_of_it(
    hub: Served, tmp_path: Path
) -> None:
    ask_for(hub, WEEK)
    homes = {name: new_node(hub.home, tmp_path / name, name) for name in OPERATORS}
    command = [sys.executable, "-m", "tests.sketch_node"]
    nodes = [
        subprocess.Popen([*command, home.root, hub.address], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for home in homes.values()
    ]
    told = [node.communicate(timeout=100)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0, 0]
    keys = {key_of(home, terms_at(home)) for home in homes.values()}
    assert len(keys) == 1
    (key,) = keys
    assert told == [hashlib.sha256(key).hexdigest()] * 3
    digests = {one.digest() for home in homes.values() for one in every_pinned(home)}
    assert len(digests) == 1
    written = all_of(hub)
    assert not holds_any(key, written)
    (package,) = every_pinned(homes["east"])
    assert holds_any(bytes.fromhex(package.commitment), written), "the search finds what is there"
    assert holds_any(bytes.fromhex(package.wrapped["west"]), written)
    what = [what for (what,) in hub.kept.execute("SELECT what FROM audit")]
    assert what.count("accepted a period key") == 1


def test_a_node_gets_no_key_for_what_nobody_asked(hub: Served, tmp_path: Path) -> None:
    home = new_node(hub.home, tmp_path / "node", "east")
    with (
        keys_at(home, hub.address) as keys,
        pytest.raises(Refused, match=r"NOT_FOUND\): there is no release of union from 2026-05-11"),
    ):
        keys.ensure(terms_at(home, NEXT_WEEK))
    assert not home.period_keys.exists()


def test_an_operator_cannot_put_a_package_in_the_name_of_another(hub: Served) -> None:
    charter = union_agreement().charter
    days = WEEK[0], WEEK[0]
    ask_for(hub, days)
    package = package_by(charter, "east", scope_in(charter, days))
    request = fed.PutPeriodKeyRequest(package=statement_of(package)).SerializeToString()
    answer = hub.operator("west").send(FEDERATION + "PutPeriodKey", request)
    assert answer.status is grpc.StatusCode.INVALID_ARGUMENT
    assert "made by somebody else than the caller" in answer.details
    assert hub.office().send(FEDERATION + "PutPeriodKey", request).status is grpc.StatusCode.PERMISSION_DENIED
    assert hub.office().send(FEDERATION + "GetPeriodKey", b"").status is grpc.StatusCode.PERMISSION_DENIED
    assert hub.operator("east").send(FEDERATION + "PutPeriodKey", request).status is grpc.StatusCode.OK


def test_a_hub_that_relays_what_it_made_itself_is_not_believed(hub: Served, tmp_path: Path) -> None:
    """Whoever holds the hub's key and certificate can answer; it cannot sign for an operator."""
    home, own = new_node(hub.home, tmp_path / "node", "east"), union_agreement()
    forged = statement_of(package_by(own.charter, "west"), signer="the hub")

    def answer(_request: bytes) -> bytes:
        return fed.GetPeriodKeyResponse(package=forged).SerializeToString()

    with (
        answering(hub.home, {FEDERATION + "GetPeriodKey": answer}) as address,
        keys_at(home, address) as keys,
        pytest.raises(PeriodKeyProblem, match="is not signed by west with the key that the charter names"),
    ):
        keys.ensure(terms_at(home))
    assert not home.period_keys.exists()
