"""An enrolled node holds to what was pinned: a changed file, certificate or key keeps it from starting."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from hub.authority import sign
from hub.config import Home as HubHome
from node.config import Home
from node.enrolment import Enrolment, enrol, load
from quorate.contract.identity import OFFICE, OPERATOR, Identity, new_key, signing_request
from tests.support_node import (
    NAME,
    NETWORK,
    OTHER,
    POLICY_TOML,
    Network,
    charter_of,
    enrolled,
    network_at,
    problem,
    zoning_of,
)


@dataclass(frozen=True)
class Swap:
    """A file of an enrolled node, and valid bytes that were not pinned."""

    file: str
    bytes_: Callable[[Network, Path], bytes]


SWAPS = [
    Swap("charter", lambda network, _: charter_of(network.zoning, version=4).to_bytes()),
    Swap("zoning", lambda _network, _: zoning_of(4).to_bytes()),
    Swap("policy", lambda _network, _: POLICY_TOML.replace("20_000_000", "20_000_001").encode()),
    Swap("policy", lambda _network, _: (POLICY_TOML + "\n").encode()),
    Swap("hub_root", lambda _, path: network_at(path / "new-hub").hub.root_certificate.read_bytes()),
]


def test_a_charter_that_was_only_laid_out_anew_is_the_pinned_one(network: Network, tmp_path: Path) -> None:
    home = enrolled(network, tmp_path / "node")
    laid_out = json.dumps(json.loads(home.charter.read_bytes()), indent=2).encode()
    home.charter.write_bytes(laid_out)
    assert load(home).charter_digest == network.charter.digest()


@pytest.mark.parametrize("swap", SWAPS, ids=lambda swap: swap.file)
def test_a_changed_file_keeps_the_node_from_starting(
    network: Network, home: Home, tmp_path: Path, swap: Swap
) -> None:
    path: Path = getattr(home, swap.file)
    path.write_bytes(swap.bytes_(network, tmp_path))
    found = problem(lambda: load(home))
    assert found.what == f"{path} is not the one that was pinned at enrolment"
    assert "does not start" in found.means
    assert found.todo.startswith("restore the file")


@pytest.mark.parametrize("file", ["charter", "zoning", "policy", "hub_root", "certificate", "key", "config"])
def test_a_file_that_is_gone_keeps_the_node_from_starting(home: Home, file: str) -> None:
    path: Path = getattr(home, file)
    path.unlink()
    found = problem(lambda: load(home))
    assert str(path) in found.what
    assert "No such file" in found.what


def test_the_configuration_is_the_operators_to_change_at_any_time(home: Home) -> None:
    home.config.write_text(home.config.read_text().replace("7443", "7444"))
    assert load(home).config.hub == "localhost:7444"


def test_a_zoning_written_with_other_spaces_is_still_the_same_zoning(home: Home) -> None:
    home.zoning.write_text(json.dumps(json.loads(home.zoning.read_bytes()), indent=4))
    assert load(home).zoning == zoning_of()


def test_a_changed_policy_is_accepted_after_enrolling_again(network: Network, home: Home) -> None:
    home.policy.write_text(POLICY_TOML.replace("20_000_000", "1_000_000"))
    problem(lambda: load(home))
    enrol(home, NAME, NETWORK, network.fingerprint)
    assert load(home).budgets.day == 1_000_000


def test_a_directory_that_was_never_enrolled_says_how_to(fresh: Home) -> None:
    found = problem(lambda: load(fresh))
    assert found.what == f"{fresh.root} is not an enrolled node"
    assert "quorate-node enrol" in found.todo


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"operator": "alpha"}', b"\xff"])
def test_a_damaged_enrolment_is_refused(home: Home, content: bytes) -> None:
    home.enrolment.write_bytes(content)
    assert f"{home.enrolment} is not a valid enrolment" in problem(lambda: load(home)).what


def test_an_enrolment_survives_its_own_bytes(home: Home) -> None:
    pinned = Enrolment.read(home.enrolment)
    assert Enrolment.from_bytes(pinned.to_bytes(), "the enrolment") == pinned


def issued(hub: HubHome, home: Home, identity: Identity) -> bytes:
    """Return a certificate of the hub that gives another identity to the node's own key."""
    key = serialization.load_pem_private_key(home.key.read_bytes(), password=None)
    return sign(hub, signing_request(key, identity), identity)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "identity",
    [
        Identity(NETWORK, OPERATOR, OTHER),
        Identity("elsewhere", OPERATOR, NAME),
        Identity(NETWORK, OFFICE, NAME),
    ],
    ids=lambda identity: identity.uri,
)
def test_a_certificate_of_somebody_else_is_refused_at_enrolment_and_at_start(
    network: Network, fresh: Home, identity: Identity
) -> None:
    good = fresh.certificate.read_bytes()
    fresh.certificate.write_bytes(issued(network.hub, fresh, identity))
    found = problem(lambda: enrol(fresh, NAME, NETWORK, network.fingerprint))
    assert f"belongs to {identity.uri}, not to spiffe://testnet/operator/alpha" in found.what
    fresh.certificate.write_bytes(good)
    enrol(fresh, NAME, NETWORK, network.fingerprint)
    fresh.certificate.write_bytes(issued(network.hub, fresh, identity))
    assert identity.uri in problem(lambda: load(fresh)).what


def test_the_hubs_own_certificate_is_refused(network: Network, fresh: Home) -> None:
    fresh.certificate.write_bytes(network.hub.certificate.read_bytes())
    found = problem(lambda: enrol(fresh, NAME, NETWORK, network.fingerprint))
    assert f"belongs to spiffe://{NETWORK}/hub" in found.what


def test_a_certificate_without_an_identity_is_refused(network: Network, fresh: Home) -> None:
    fresh.certificate.write_bytes(network.hub.root_certificate.read_bytes())
    found = problem(lambda: enrol(fresh, NAME, NETWORK, network.fingerprint))
    assert found.what == "the certificate states no identity"


def test_another_node_of_the_same_operator_is_welcome(network: Network, fresh: Home) -> None:
    fresh.certificate.write_bytes(issued(network.hub, fresh, Identity(NETWORK, OPERATOR, NAME, 3)))
    enrol(fresh, NAME, NETWORK, network.fingerprint)
    assert load(fresh).operator == NAME


def test_a_certificate_that_does_not_belong_to_the_key_is_refused(home: Home) -> None:
    home.key.unlink()
    new_key(home.key)
    found = problem(lambda: load(home))
    assert "does not belong to the key" in found.what
    assert "sign the request of this key" in found.todo
