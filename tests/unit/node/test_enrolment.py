"""Joining a network: the node's own key, what is pinned at enrolment, and the lower of two budgets."""

from __future__ import annotations

import hashlib
import json
import stat
from datetime import date
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from hypothesis import given
from hypothesis import strategies as st

from node.config import Home
from node.enrolment import enrol, initialise, keeper_of, load, lower_budgets
from privacy.calculus import Budgets
from privacy.errors import UsageProblem
from privacy.units import LARGEST
from quorate.contract.exchange import exchange_public
from quorate.contract.signing import public_key
from tests.keys import exchange_for, exchange_pem_for, key_for, keys_for, pem_for
from tests.support_node import (
    NAME,
    NETWORK,
    OTHER,
    Network,
    agreement,
    network_at,
    problem,
)
from tests.unit.node.worlds import WORLDS


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_node_has_a_key_a_secret_and_a_request_that_names_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "not" / "there")
    assert initialise(home, NETWORK, NAME) == home.request
    keys = (home.key, home.secret, home.operator_key, home.exchange_key)
    assert {mode(path) for path in keys} == {0o600}
    assert len(home.secret.read_bytes()) == 32
    request = x509.load_pem_x509_csr(home.request.read_bytes())
    assert request.is_signature_valid
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
        f"spiffe://{NETWORK}/operator/{NAME}/node/0"
    ]
    key = serialization.load_pem_private_key(home.key.read_bytes(), password=None)
    assert key.public_key() == request.public_key()


def test_the_ledger_is_kept_with_the_operators_own_key_and_a_witness_beside_it(home: Home) -> None:
    keeper = keeper_of(home, load(home).config)
    assert keeper.witness == home.root / "witness.jsonl"
    home.operator_key.write_bytes(home.key.read_bytes())
    with pytest.raises(UsageProblem, match="is not an Ed25519 key"):
        keeper_of(home, load(home).config)


def test_two_nodes_have_different_keys_and_secrets(tmp_path: Path) -> None:
    homes = [Home(tmp_path / name) for name in ("one", "two")]
    for home in homes:
        initialise(home, NETWORK, NAME)
    assert len({home.key.read_bytes() for home in homes}) == len({h.secret.read_bytes() for h in homes}) == 2


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    home = Home(tmp_path)
    initialise(home, NETWORK, NAME)
    before = home.key.read_bytes(), home.secret.read_bytes(), home.request.read_bytes()
    found = problem(lambda: initialise(home, NETWORK, NAME))
    assert "exists already" in found.what
    assert "new directory" in found.todo
    assert (home.key.read_bytes(), home.secret.read_bytes(), home.request.read_bytes()) == before


@pytest.mark.parametrize("name", ["", "Alpha", "al pha", "alpha\n", "-alpha", "al/pha", "ä", "a" * 65])
def test_a_name_that_no_identity_can_carry_is_refused_before_anything_is_written(
    tmp_path: Path, name: str
) -> None:
    root = tmp_path / "node"
    assert "name of a operator" in problem(lambda: initialise(Home(root), NETWORK, name)).what
    assert "name of a network" in problem(lambda: initialise(Home(root), name, NAME)).what
    assert not root.exists()


def test_an_enrolled_node_decides_by_the_documents_in_its_directory(network: Network, home: Home) -> None:
    own = load(home)
    assert (own.operator, own.charter, own.zoning) == (NAME, network.charter, network.zoning)
    assert own.charter_digest == network.charter.digest()
    assert own.policy.unavailable_days == (date(2026, 10, 14),)
    assert own.config.source.cells.path == ("cells.parquet",)
    assert own.ledger_identity == "testnet/alpha"
    assert (own.budgets.day, own.budgets.month) == (20_000_000, 600_000_000)


def test_the_pins_are_plain_digests_of_the_files(network: Network, home: Home) -> None:
    pinned = json.loads(home.enrolment.read_bytes())
    files = {
        "charter": home.charter,
        "zoning": home.zoning,
        "policy": home.policy,
        "hub_root": network.hub.root_certificate,
    }
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    assert pinned == {"operator": NAME, "network": NETWORK, **digests}


def test_the_fingerprint_may_be_written_as_people_write_it(network: Network, fresh: Home) -> None:
    plain = network.fingerprint.upper()
    spelled = ":".join(plain[at : at + 2] for at in range(0, len(plain), 2))
    assert enrol(fresh, NAME, NETWORK, spelled).operator == NAME
    assert load(fresh).operator == NAME


def test_the_fingerprint_is_that_of_the_root_certificate(network: Network) -> None:
    root = x509.load_pem_x509_certificate(network.hub.root_certificate.read_bytes())
    assert network.fingerprint == root.fingerprint(hashes.SHA256()).hex()


def test_a_root_certificate_with_another_fingerprint_is_not_pinned(network: Network, fresh: Home) -> None:
    found = problem(lambda: enrol(fresh, NAME, NETWORK, "0" * 64))
    assert network.fingerprint in found.what
    assert "between this node and the hub" in found.means
    assert not fresh.enrolment.exists()


def test_somebody_elses_root_certificate_is_not_pinned(network: Network, fresh: Home, tmp_path: Path) -> None:
    other = network_at(tmp_path / "other-hub")
    fresh.hub_root.write_bytes(other.hub.root_certificate.read_bytes())
    problem(lambda: enrol(fresh, NAME, NETWORK, network.fingerprint))
    assert not fresh.enrolment.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"network": "elsewhere"},
        {"operators": (OTHER, "gamma"), "keys": keys_for((OTHER, "gamma"))},
        {"zoning": "0" * 64},
    ],
)
def test_a_charter_of_others_is_not_pinned(network: Network, fresh: Home, changes: dict[str, object]) -> None:
    fresh.charter.write_bytes(network.charter.model_copy(update=changes).to_bytes())
    found = problem(lambda: enrol(fresh, NAME, NETWORK, network.fingerprint))
    assert f"not one of {NETWORK} with {NAME}" in found.what
    assert not fresh.enrolment.exists()


def test_a_charter_with_another_key_of_this_operator_is_not_pinned(network: Network, fresh: Home) -> None:
    """The hub would take what somebody else signs for this operator's word."""
    fresh.operator_key.write_bytes(pem_for("somebody else"))
    found = problem(lambda: enrol(fresh, NAME, NETWORK, network.fingerprint))
    assert f"operator.key is not the key that the charter names for {NAME}" in found.what
    assert public_key(key_for("somebody else")) in found.todo
    assert not fresh.enrolment.exists()


def test_a_charter_with_another_exchange_key_of_this_operator_is_not_pinned(
    network: Network, fresh: Home
) -> None:
    """Others would seal secrets to somebody else: to the hub, if it drew the charter up that way."""
    fresh.exchange_key.write_bytes(exchange_pem_for("somebody else"))
    found = problem(lambda: enrol(fresh, NAME, NETWORK, network.fingerprint))
    assert f"exchange.key is not the key that the charter names for {NAME}" in found.what
    assert f"keys.exchange.{NAME} = {exchange_public(exchange_for('somebody else'))}" in found.todo
    assert not fresh.enrolment.exists()


def test_an_exchange_key_that_others_may_read_is_refused(network: Network, fresh: Home) -> None:
    fresh.exchange_key.chmod(0o640)
    assert "others may read" in problem(lambda: enrol(fresh, NAME, NETWORK, network.fingerprint)).what
    fresh.exchange_key.chmod(0o600)
    enrol(fresh, NAME, NETWORK, network.fingerprint)


@pytest.mark.parametrize(
    "file", ["certificate", "hub_root", "charter", "zoning", "policy", "key", "exchange_key"]
)
@pytest.mark.parametrize("content", [None, b"", b"\xff\x00 not what it should be"])
def test_a_missing_or_malformed_file_is_named_and_nothing_is_pinned(
    network: Network, fresh: Home, file: str, content: bytes | None
) -> None:
    path: Path = getattr(fresh, file)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    found = problem(lambda: enrol(fresh, NAME, NETWORK, network.fingerprint))
    assert str(path) in found.what
    assert not fresh.enrolment.exists()


nano = st.integers(1, LARGEST)


@given(charter=st.tuples(nano, nano), policy=st.tuples(nano, nano))
@WORLDS
def test_the_lower_budget_holds_and_the_days_are_the_charters(
    charter: tuple[int, int], policy: tuple[int, int]
) -> None:
    first, last = date(2026, 1, 1), date(2026, 12, 31)
    budgets = Budgets(day=charter[0], month=charter[1], first_day=first, last_day=last)
    own = agreement(f"products = []\nday_cap = {policy[0]}\nmonth_cap = {policy[1]}\n").policy
    assert lower_budgets(budgets, own) == Budgets(
        day=min(charter[0], policy[0]), month=min(charter[1], policy[1]), first_day=first, last_day=last
    )
