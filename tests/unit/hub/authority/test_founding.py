"""Founding a network, and a root that is locked away."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import VerificationError

from hub.authority import found, new_authority, renew_own
from hub.config import Home
from privacy.errors import UsageProblem
from quorate.contract.chain import half_life, issued_at
from quorate.contract.identity import OPERATOR, Identity, load_certificate
from tests.support_hub import NETWORK, issue, write_hub_home
from tests.unit.hub.authority.checks import (
    WEST,
    extension,
    names_of,
    trust_of,
    verify_client,
    verify_server,
)

# --- founding ------------------------------------------------------------------------------------------


def test_founding_returns_the_fingerprint_of_the_root(tmp_path: Path) -> None:
    home = Home(tmp_path)
    fingerprint = found(home, "net-1.test", ("hub.example.org",))
    der = load_certificate(home.root_certificate).public_bytes(serialization.Encoding.DER)
    assert fingerprint == hashlib.sha256(der).hexdigest()
    verify_server(trust_of(home), load_certificate(home.certificate), "hub.example.org")


def test_founding_twice_is_refused_and_keeps_the_root(home: Home) -> None:
    before = home.root_key.read_bytes(), home.root_certificate.read_bytes()
    with pytest.raises(UsageProblem, match=r"root\.key exists already"):
        found(home, NETWORK, ("localhost",))
    assert (home.root_key.read_bytes(), home.root_certificate.read_bytes()) == before


def test_a_network_with_the_longest_name_is_founded_and_verified(tmp_path: Path) -> None:
    home, network = Home(tmp_path), "n" * 64
    found(home, network, ("localhost",))
    trust = trust_of(home)
    verify_server(trust, load_certificate(home.certificate), "localhost")
    operator = Identity(network, OPERATOR, "o" * 64, 9999)
    assert verify_client(trust, issue(home, operator)) == [operator.uri]
    (name,) = trust.root.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert name.value == network


@pytest.mark.parametrize("hosts", [("hüb.example.org",), ("localhost", "hub.örg"), ("ｈｕｂ",)], ids=str)
def test_a_host_that_is_not_ascii_is_refused_and_nothing_is_left_behind(
    tmp_path: Path, hosts: tuple[str, ...]
) -> None:
    with pytest.raises(UsageProblem) as caught:
        found(Home(tmp_path), NETWORK, hosts)
    assert caught.value.what == f"{hosts[-1]!r} is not a host name in ASCII"
    assert caught.value.todo == "give its Punycode form"
    assert list(tmp_path.iterdir()) == [], "a second attempt finds no key in its way"
    found(Home(tmp_path), NETWORK, ("xn--hb-xka.example.org",))


# --- the root is locked away ---------------------------------------------------------------------------


@pytest.fixture
def locked(tmp_path: Path) -> tuple[Home, Path]:
    """A hub whose root key is in another place."""
    home, safe = write_hub_home(tmp_path / "hub"), tmp_path / "safe.key"
    home.root_key.rename(safe)
    return home, safe


def test_what_is_done_every_day_needs_no_root_key(locked: tuple[Home, Path]) -> None:
    home, _safe = locked
    assert verify_client(trust_of(home), issue(home, WEST)) == [WEST.uri]
    old = load_certificate(home.certificate)
    new = renew_own(home)
    verify_server(trust_of(home), new, "localhost")
    assert names_of(new) == names_of(old)
    assert new.public_key() == old.public_key()
    assert new.serial_number != old.serial_number
    assert load_certificate(home.certificate) == new


def test_a_root_that_is_locked_away_is_not_replaced(locked: tuple[Home, Path]) -> None:
    home, _safe = locked
    before = home.root_certificate.read_bytes()
    with pytest.raises(UsageProblem, match=r"root\.pem exists already"):
        found(home, NETWORK, ("localhost",))
    assert home.root_certificate.read_bytes() == before


def test_a_new_authority_is_under_the_same_root_and_the_old_certificates_stay_valid(
    locked: tuple[Home, Path],
) -> None:
    home, safe = locked
    before, old = trust_of(home), issue(home, WEST)
    new_authority(home, safe)
    after = trust_of(home)
    assert after.authority.public_key() != before.authority.public_key()
    assert verify_client(before, old) == verify_client(after, issue(home, WEST)) == [WEST.uri]
    with pytest.raises(VerificationError):
        verify_client(before, issue(home, WEST))
    assert {path.name for path in home.root.glob("authority*")} == {"authority.key", "authority.pem"}


def test_only_the_roots_key_makes_an_authority(locked: tuple[Home, Path]) -> None:
    home, _safe = locked
    before = home.authority.read_bytes(), home.authority_key.read_bytes()
    with pytest.raises(UsageProblem, match="does not belong to"):
        new_authority(home, home.key)
    assert (home.authority.read_bytes(), home.authority_key.read_bytes()) == before


def test_an_authority_makes_no_authority(home: Home, authority: x509.Certificate) -> None:
    limits = extension(authority, x509.BasicConstraints)
    assert limits == x509.BasicConstraints(ca=True, path_length=0)


@pytest.mark.parametrize(("days", "seconds"), [("0.5", 43_200), ("0.0001", 8.64)])
def test_how_long_a_node_is_let_in_is_a_setting(tmp_path: Path, days: str, seconds: float) -> None:
    home = write_hub_home(tmp_path)
    home.config.write_text(f"certificate_days = {days}\n", encoding="utf-8")
    certificate = issue(home, WEST)
    life = certificate.not_valid_after_utc - issued_at(certificate)
    assert abs(life.total_seconds() - seconds) <= 1
    assert half_life(certificate) - issued_at(certificate) == life / 2
