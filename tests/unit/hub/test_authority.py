"""Certificates of the hub, of operators and of offices, checked by another implementation's verifier."""

from __future__ import annotations

import hashlib
import ipaddress
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from hub.authority import AUTHORITY_DAYS, OFFICE_DAYS, ROOT_DAYS, found, new_authority, renew_own, sign
from hub.config import Home
from privacy.errors import UsageProblem
from quorate.contract.chain import half_life, issued_at
from quorate.contract.identity import (
    HUB,
    OFFICE,
    OPERATOR,
    Identity,
    certificate_identity,
    load_certificate,
    new_key,
    signing_request,
)
from tests.support_hub import NETWORK, issue, request_of, write_hub_home

WEST, BUREAU = Identity(NETWORK, OPERATOR, "west"), Identity(NETWORK, OFFICE, "bureau")
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return write_hub_home(tmp_path_factory.mktemp("hub"))


@pytest.fixture(scope="module")
def root(home: Home) -> x509.Certificate:
    return load_certificate(home.root_certificate)


@pytest.fixture(scope="module")
def hub(home: Home) -> x509.Certificate:
    return load_certificate(home.certificate)


@pytest.fixture(scope="module")
def authority(home: Home) -> x509.Certificate:
    return load_certificate(home.authority)


@pytest.fixture(scope="module")
def bureau(home: Home) -> x509.Certificate:
    return issue(home, BUREAU)


@pytest.fixture(scope="module")
def west(home: Home) -> x509.Certificate:
    return issue(home, WEST)


class Trust(NamedTuple):
    """What a party trusts, and what comes with the certificate of the other."""

    root: x509.Certificate
    authority: x509.Certificate


def trust_of(home: Home) -> Trust:
    return Trust(load_certificate(home.root_certificate), load_certificate(home.authority))


@pytest.fixture(scope="module")
def trust(home: Home) -> Trust:
    return trust_of(home)


def verify_server(trust: Trust, certificate: x509.Certificate, host: str) -> None:
    """Verify the hub's certificate as a browser would, by the unchanged rules of the web."""
    try:
        subject: x509.DNSName | x509.IPAddress = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        subject = x509.DNSName(host)
    verifier = PolicyBuilder().store(Store([trust.root])).build_server_verifier(subject)
    verifier.verify(certificate, [trust.authority])


def verify_client(trust: Trust, certificate: x509.Certificate, at: datetime | None = None) -> list[str]:
    """Verify a client's certificate by the same rules and return the URIs that it was verified for."""
    builder = PolicyBuilder().store(Store([trust.root]))
    if at is not None:
        builder = builder.time(at)
    names = builder.build_client_verifier().verify(certificate, [trust.authority]).subjects or []
    return [name.value for name in names if isinstance(name, x509.UniformResourceIdentifier)]


def extension(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> x509.ExtensionType:
    return certificate.extensions.get_extension_for_class(kind).value


def names_of(certificate: x509.Certificate) -> list[object]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [name.value for name in names]


# --- who verifies -----------------------------------------------------------------------------------------


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


# --- what is in them --------------------------------------------------------------------------------------


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


# --- founding ---------------------------------------------------------------------------------------------


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


# --- requests ---------------------------------------------------------------------------------------------


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


_OTHER_KEY = "the request's key is not an elliptic-curve key on P-256 or P-384"


def uri(text: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(text)


def refusal(home: Home, request: bytes, expected: Identity = WEST) -> str:
    with pytest.raises(UsageProblem) as caught:
        sign(home, request, expected)
    return caught.value.what


def test_another_node_of_the_expected_operator_may_ask(home: Home) -> None:
    asked = Identity(NETWORK, OPERATOR, "west", 7)
    certificate = x509.load_pem_x509_certificate(sign(home, signing_request(key(), asked), WEST))
    assert certificate_identity(certificate) == asked


@pytest.mark.parametrize(
    "asked",
    [
        Identity(NETWORK, OPERATOR, "east"),
        Identity("other", OPERATOR, "west"),
        Identity(NETWORK, OFFICE, "west"),
        Identity(NETWORK, HUB),
    ],
    ids=str,
)
def test_a_request_for_somebody_else_is_refused(home: Home, asked: Identity) -> None:
    said = refusal(home, signing_request(key(), asked))
    assert said == f"the request asks for {asked.uri}, not for {WEST.uri}"


@pytest.mark.parametrize(
    "text",
    [
        "spiffe://small/operator/west/node/",
        "spiffe://small/operator/west",
        "spiffe://small/operator/West/node/0",
        "spiffe://small/operator/west/node/0/",
        "spiffe://small/operator/west/node/12345",
        "spiffe://small/operator/west/node/0?x=1",
        "spiffe://small/somebody/west",
        "https://small/operator/west/node/0",
        "spiffe://small/operator/west/node/0\n",
        "",
    ],
)
def test_a_request_for_no_identity_of_the_network_is_refused(home: Home, text: str) -> None:
    said = refusal(home, request_of(key(), uri(text)))
    assert said.endswith("is not the identity of a hub, an operator's node or an office")


def test_a_request_without_names_is_refused(home: Home) -> None:
    assert refusal(home, request_of(key())) == "the signing request asks for no identity"


@pytest.mark.parametrize(
    "names",
    [
        [x509.DNSName("localhost")],
        [uri(WEST.uri), uri(WEST.uri)],
        [uri(WEST.uri), uri("spiffe://small/operator/east/node/0")],
        [uri(WEST.uri), uri(BUREAU.uri), x509.DNSName("localhost")],
    ],
    ids=["none", "twice", "two operators", "three names"],
)
def test_a_request_for_none_or_several_identities_is_refused(
    home: Home, names: list[x509.GeneralName]
) -> None:
    assert refusal(home, request_of(key(), *names)) == (
        "the signing request does not ask for exactly one identity"
    )


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x00",
        b"\x04\x00",
        b"\x30\x05\x86",
        b"\x30\x03\x86\x01\xff",
        b"\x30\x03\x87\x01\x01",
        b"\x30\x02\x8f\x00",
        b"spiffe://small/operator/west/node/0",
    ],
    ids=["empty", "zero", "no sequence", "cut", "not ASCII", "half an address", "of no kind", "text"],
)
def test_a_request_whose_names_are_malformed_is_refused(home: Home, value: bytes) -> None:
    names = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, value)
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, True)
    pem = request.sign(key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    assert refusal(home, pem) == "the extensions of the signing request are malformed"


def test_a_host_name_in_a_request_is_not_certified(home: Home, trust: Trust) -> None:
    request = request_of(key(), uri(WEST.uri), x509.DNSName("localhost"))
    certificate = x509.load_pem_x509_certificate(sign(home, request, WEST))
    assert names_of(certificate) == [WEST.uri]
    with pytest.raises(VerificationError):
        verify_server(trust, certificate, "localhost")


def test_a_request_of_an_rsa_key_is_refused(home: Home) -> None:
    request = request_of(rsa.generate_private_key(public_exponent=65537, key_size=2048), uri(WEST.uri))
    assert refusal(home, request) == _OTHER_KEY


@pytest.mark.parametrize("size", [192, 224])
def test_a_request_of_a_key_on_a_weaker_curve_is_refused(home: Home, size: int) -> None:
    curve = {192: ec.SECP192R1, 224: ec.SECP224R1}[size]()
    request = request_of(ec.generate_private_key(curve), uri(WEST.uri))
    assert refusal(home, request) == _OTHER_KEY


@pytest.mark.parametrize(
    "curve", [ec.SECP256K1(), ec.SECP521R1(), ec.BrainpoolP256R1()], ids=lambda c: c.name
)
def test_a_request_of_a_key_on_a_curve_that_was_not_agreed_is_refused(
    home: Home, curve: ec.EllipticCurve
) -> None:
    request = request_of(ec.generate_private_key(curve), uri(WEST.uri))
    assert refusal(home, request) == _OTHER_KEY


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()], ids=lambda c: c.name)
def test_a_key_on_an_agreed_curve_is_certified_and_verified(
    home: Home, trust: Trust, curve: ec.EllipticCurve
) -> None:
    certificate = x509.load_pem_x509_certificate(
        sign(home, request_of(ec.generate_private_key(curve), uri(WEST.uri)), WEST)
    )
    assert verify_client(trust, certificate) == [WEST.uri]


def test_a_request_that_is_not_signed_by_its_own_key_is_refused(home: Home) -> None:
    parsed = x509.load_pem_x509_csr(signing_request(key(), WEST))
    der = bytearray(parsed.public_bytes(serialization.Encoding.DER))
    at = bytes(der).index(b"operator/west")
    der[at : at + 13] = b"operator/east"
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    assert refusal(home, forged, Identity(NETWORK, OPERATOR, "east")) == (
        "the signing request is not signed by its own key"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a request, please",
        b"\x00\xff",
        b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
    ],
    ids=["empty", "text", "bytes", "empty PEM"],
)
def test_a_file_that_is_no_request_is_refused(home: Home, data: bytes) -> None:
    assert refusal(home, data) == "the file is not a PEM signing request"


def test_a_certificate_is_no_request(home: Home) -> None:
    assert refusal(home, home.certificate.read_bytes()) == "the file is not a PEM signing request"


def test_a_hub_without_its_authoritys_key_cannot_sign(tmp_path: Path) -> None:
    home = write_hub_home(tmp_path)
    home.authority_key.unlink()
    assert refusal(home, signing_request(key(), WEST)).startswith(f"{home.authority_key} cannot be read")


# --- the root is locked away ------------------------------------------------------------------------------


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
