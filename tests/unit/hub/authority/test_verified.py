"""Who verifies whom, and what is in certificates."""

from __future__ import annotations

import ipaddress
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from hub.authority import AUTHORITY_DAYS, OFFICE_DAYS, ROOT_DAYS, sign
from hub.config import Home
from quorate.contract.identity import (
    OPERATOR,
    Identity,
    certificate_identity,
    load_certificate,
    new_key,
    signing_request,
)
from tests.support_hub import NETWORK, issue, write_hub_home
from tests.unit.hub.authority.checks import (
    BUREAU,
    CLIENT,
    SERVER,
    WEST,
    Trust,
    extension,
    key,
    names_of,
    trust_of,
    verify_client,
    verify_server,
)

# --- who verifies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_hub_is_verified_under_each_of_its_names(trust: Trust, hub: x509.Certificate, host: str) -> None:
    verify_server(trust, hub, host)


@pytest.mark.parametrize("host", ["example.org", "127.0.0.2", "hub"])
def test_the_hub_is_not_verified_under_another_name(trust: Trust, hub: x509.Certificate, host: str) -> None:
    with pytest.raises(VerificationError):
        verify_server(trust, hub, host)


@pytest.mark.parametrize("identity", [WEST, BUREAU, Identity(NETWORK, OPERATOR, "east", 12)], ids=str)
def test_operators_and_offices_are_verified_as_clients_for_their_one_identity(
    home: Home, trust: Trust, identity: Identity
) -> None:
    certificate = issue(home, identity)
    assert verify_client(trust, certificate) == [identity.uri]
    assert certificate_identity(certificate) == identity


def test_the_hub_is_no_client(trust: Trust, hub: x509.Certificate) -> None:
    with pytest.raises(VerificationError):
        verify_client(trust, hub)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_an_operator_cannot_serve(trust: Trust, west: x509.Certificate, host: str) -> None:
    with pytest.raises(VerificationError):
        verify_server(trust, west, host)


def test_certificates_of_another_root_are_not_verified(
    tmp_path: Path, trust: Trust, west: x509.Certificate
) -> None:
    other = write_hub_home(tmp_path / "other")
    with pytest.raises(VerificationError):
        verify_client(trust, issue(other, WEST))
    with pytest.raises(VerificationError):
        verify_server(trust, load_certificate(other.certificate), "localhost")
    with pytest.raises(VerificationError):
        verify_client(trust_of(other), west)


def test_an_operators_key_can_issue_no_certificate(home: Home, root: x509.Certificate) -> None:
    operators_key = key()
    operators = x509.load_pem_x509_certificate(sign(home, signing_request(operators_key, WEST), WEST))
    limits = extension(operators, x509.BasicConstraints)
    assert limits == x509.BasicConstraints(ca=False, path_length=None)
    model = issue(home, BUREAU)
    builder = (
        x509.CertificateBuilder()
        .subject_name(model.subject)
        .issuer_name(operators.subject)
        .public_key(key().public_key())
        .serial_number(1)
        .not_valid_before(model.not_valid_before_utc)
        .not_valid_after(model.not_valid_after_utc)
    )
    for part in model.extensions:
        builder = builder.add_extension(part.value, critical=part.critical)
    forged = builder.sign(operators_key, hashes.SHA256())
    forged.verify_directly_issued_by(operators)
    with pytest.raises(VerificationError):
        PolicyBuilder().store(Store([root])).build_client_verifier().verify(
            forged, [operators, load_certificate(home.authority)]
        )


# --- what is in them -----------------------------------------------------------------------------------


def test_the_root_signs_certificates_and_lists_of_revoked_ones_and_nothing_else(
    root: x509.Certificate,
) -> None:
    usage = root.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    allowed = {
        name
        for name in (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
        )
        if getattr(usage.value, name)
    }
    assert allowed == {"key_cert_sign", "crl_sign"}
    limits = root.extensions.get_extension_for_class(x509.BasicConstraints)
    assert limits.critical
    assert limits.value == x509.BasicConstraints(ca=True, path_length=1)
    (name,) = root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    (network,) = root.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert (name.value, network.value) == ("Quorate root", "small")
    assert len(list(root.subject)) == 2
    root.verify_directly_issued_by(root)


def test_each_certificate_has_one_purpose(home: Home, hub: x509.Certificate, west: x509.Certificate) -> None:
    assert extension(hub, x509.ExtendedKeyUsage) == x509.ExtendedKeyUsage([SERVER])
    assert extension(west, x509.ExtendedKeyUsage) == x509.ExtendedKeyUsage([CLIENT])
    assert extension(issue(home, BUREAU), x509.ExtendedKeyUsage) == x509.ExtendedKeyUsage([CLIENT])


def test_the_hub_has_its_identity_and_its_hosts_and_an_operator_its_identity_alone(
    hub: x509.Certificate, west: x509.Certificate
) -> None:
    assert names_of(hub) == ["spiffe://small/hub", "localhost", ipaddress.ip_address("127.0.0.1")]
    assert names_of(west) == ["spiffe://small/operator/west/node/0"]
    for certificate in (hub, west):
        assert certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical
        assert list(certificate.subject) == [], "identity is in one place"


@pytest.mark.parametrize(
    ("which", "days"),
    [("root", ROOT_DAYS), ("authority", AUTHORITY_DAYS), ("hub", 7), ("west", 7), ("bureau", OFFICE_DAYS)],
)
def test_certificates_are_valid_from_an_hour_ago_for_their_time(
    request: pytest.FixtureRequest, which: str, days: int
) -> None:
    certificate: x509.Certificate = request.getfixturevalue(which)
    now = datetime.now(UTC)
    assert abs(certificate.not_valid_before_utc - (now - timedelta(hours=1))) < timedelta(minutes=5)
    assert abs(certificate.not_valid_after_utc - (now + timedelta(days=days))) < timedelta(minutes=5)
    assert (ROOT_DAYS, AUTHORITY_DAYS, OFFICE_DAYS) == (3650, 1095, 90)


def test_a_certificate_is_not_verified_before_or_after_its_time(trust: Trust, west: x509.Certificate) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    assert verify_client(trust, west, now + timedelta(days=6)) == [WEST.uri]
    for at in (now + timedelta(days=8), now - timedelta(hours=2)):
        with pytest.raises(VerificationError):
            verify_client(trust, west, at)


def test_serial_numbers_are_not_used_twice_and_keys_are_p256(home: Home, hub: x509.Certificate) -> None:
    issued = [hub, *(issue(home, WEST) for _ in range(20))]
    assert len({certificate.serial_number for certificate in issued}) == 21
    for certificate in issued:
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, ec.SECP256R1)


def test_keys_can_be_read_by_their_owner_alone_and_belong_to_their_certificates(home: Home) -> None:
    for key_file, certificate_file in (
        (home.root_key, home.root_certificate),
        (home.authority_key, home.authority),
        (home.key, home.certificate),
    ):
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        assert key.public_key() == load_certificate(certificate_file).public_key()


def test_a_certificate_is_for_the_key_that_asked(home: Home, tmp_path: Path) -> None:
    key = new_key(tmp_path / "node.key")
    certificate = x509.load_pem_x509_certificate(sign(home, signing_request(key, WEST), WEST))
    assert certificate.public_key() == key.public_key()
