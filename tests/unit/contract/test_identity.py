"""Identities: SPIFFE URIs there and back, hostile ones, and what a certificate may state."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.errors import UsageProblem
from quorate.contract.identity import (
    HUB,
    OFFICE,
    OPERATOR,
    Identity,
    certificate_identity,
    load_certificate,
    load_signing_key,
    new_key,
    new_signing_key,
    parse_identity,
    signing_request,
    write_private,
)

IDENTITIES = settings(max_examples=200, deadline=None, derandomize=True, database=None)
names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True)
identities = (
    st.builds(Identity, names, st.just(HUB))
    | st.builds(Identity, names, st.just(OPERATOR), names, st.integers(0, 9999))
    | st.builds(Identity, names, st.just(OFFICE), names)
)
GOOD = "spiffe://testnet/operator/alpha/node/0"


@IDENTITIES
@given(identity=identities)
def test_an_identity_is_read_back_from_its_uri(identity: Identity) -> None:
    assert parse_identity(identity.uri) == identity


@pytest.mark.parametrize(
    ("uri", "identity"),
    [
        ("spiffe://testnet/hub", Identity("testnet", HUB)),
        (GOOD, Identity("testnet", OPERATOR, "alpha")),
        ("spiffe://testnet/operator/al.pha_2/node/17", Identity("testnet", OPERATOR, "al.pha_2", 17)),
        ("spiffe://test.net/office/statistics", Identity("test.net", OFFICE, "statistics")),
        ("spiffe://hub/hub", Identity("hub", HUB)),
        ("spiffe://testnet/office/hub", Identity("testnet", OFFICE, "hub")),
    ],
)
def test_each_role_has_its_own_uri(uri: str, identity: Identity) -> None:
    assert identity.uri == uri
    assert parse_identity(uri) == identity


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "testnet/hub",
        "https://testnet/hub",
        "SPIFFE://testnet/hub",
        "spiffe:///hub",
        "spiffe://testnet",
        "spiffe://testnet/",
        "spiffe://testnet/hub/",
        "spiffe://testnet//hub",
        "spiffe://testnet/Hub",
        "spiffe://testnet/hub\n",
        "\nspiffe://testnet/hub",
        "spiffe://testnet/hub\0",
        "spiffe://testnet/hub?role=office",
        "spiffe://testnet/hub#x",
        "spiffe://testnet:443/hub",
        "spiffe://user@testnet/hub",
        "spiffe://test%6eet/hub",
        "spiffe://TESTNET/hub",
        "spiffe://-testnet/hub",
        f"spiffe://{'t' * 65}/hub",
        "spiffe://testnet/hub/node/0",
        "spiffe://testnet/office",
        "spiffe://testnet/office/",
        "spiffe://testnet/office/a/b",
        "spiffe://testnet/office/../hub",
        "spiffe://testnet/operator/alpha",
        "spiffe://testnet/operator/alpha/node/",
        "spiffe://testnet/operator/alpha/node/-1",
        "spiffe://testnet/operator/alpha/node/+1",
        "spiffe://testnet/operator/alpha/node/1.0",
        "spiffe://testnet/operator/alpha/node/10000",
        "spiffe://testnet/operator/alpha/node/٣",
        "spiffe://testnet/operator//node/0",
        "spiffe://testnet/operator/./node/0",
        "spiffe://testnet/operator/alpha /node/0",
        "spiffe://testnet/operator/аlpha/node/0",  # the first letter is Cyrillic
        f"{GOOD}/../../office/x",
        f"{GOOD} {GOOD}",
    ],
)
def test_a_uri_that_is_no_partys_is_refused(uri: str) -> None:
    with pytest.raises(UsageProblem, match="is not the identity of a hub, an operator's node or an office"):
        parse_identity(uri)


def test_a_long_uri_is_cut_in_the_message() -> None:
    with pytest.raises(UsageProblem) as caught:
        parse_identity("spiffe://" + "x" * 100_000)
    assert len(caught.value.what) < 250


@IDENTITIES
@given(
    identity=identities,
    at=st.integers(0, 80),
    cut=st.integers(0, 3),
    put=st.text("/.:-_@%?#aZ0\n\0 é", max_size=3),
)
def test_a_changed_uri_names_somebody_else_or_nobody(identity: Identity, at: int, cut: int, put: str) -> None:
    changed = identity.uri[:at] + put + identity.uri[at + cut :]
    try:
        found = parse_identity(changed)
    except UsageProblem:
        return
    assert parse_identity(found.uri) == found
    assert changed.startswith(f"spiffe://{found.network}/{found.role}")


def certificate(*stated: x509.GeneralName) -> x509.Certificate:
    """Return a self-made certificate that states these names; without any, it has no such extension."""
    key, name, now = ec.generate_private_key(ec.SECP256R1()), x509.Name([]), datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
    if stated:
        builder = builder.add_extension(x509.SubjectAlternativeName(stated), critical=True)
    return builder.sign(key, hashes.SHA256())


def test_a_certificate_states_one_identity_and_may_have_other_names() -> None:
    uri = x509.UniformResourceIdentifier(GOOD)
    assert certificate_identity(certificate(uri)) == Identity("testnet", OPERATOR, "alpha")
    assert certificate_identity(certificate(x509.DNSName("localhost"), uri)).name == "alpha"


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        ([], "states no identity"),
        ([x509.DNSName("testnet")], "does not state exactly one identity"),
        ([x509.DNSName(GOOD)], "does not state exactly one identity"),
        ([x509.UniformResourceIdentifier(GOOD)] * 2, "does not state exactly one identity"),
        (
            [x509.UniformResourceIdentifier(GOOD), x509.UniformResourceIdentifier("spiffe://testnet/hub")],
            "does not state exactly one identity",
        ),
        ([x509.UniformResourceIdentifier("https://testnet/hub")], "is not the identity"),
    ],
)
def test_a_certificate_without_exactly_one_identity_is_refused(
    stated: list[x509.GeneralName], says: str
) -> None:
    with pytest.raises(UsageProblem, match=says):
        certificate_identity(certificate(*stated))


def test_a_certificate_is_read_from_its_file(tmp_path: Path) -> None:
    path, made = tmp_path / "node.pem", certificate(x509.UniformResourceIdentifier(GOOD))
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    assert load_certificate(path) == made


def test_a_certificate_that_is_missing_or_not_pem_is_named(tmp_path: Path) -> None:
    path = tmp_path / "node.pem"
    with pytest.raises(UsageProblem, match=r"node\.pem cannot be read: No such file"):
        load_certificate(path)
    for content in (b"", b"x", certificate().public_bytes(serialization.Encoding.DER)):
        path.write_bytes(content)
        with pytest.raises(UsageProblem, match=r"node\.pem is not a PEM certificate"):
            load_certificate(path)


def test_a_key_is_on_the_agreed_curve_and_its_owners_alone(tmp_path: Path) -> None:
    key = new_key(tmp_path / "node.key")
    assert isinstance(key.curve, ec.SECP256R1)
    assert stat.S_IMODE((tmp_path / "node.key").stat().st_mode) == 0o600
    read = serialization.load_pem_private_key((tmp_path / "node.key").read_bytes(), password=None)
    assert read.public_key() == key.public_key()


def test_a_signing_key_is_read_back_and_any_other_key_is_refused(tmp_path: Path) -> None:
    pem = new_signing_key()
    key = load_signing_key(pem)
    key.public_key().verify(key.sign(b"head"), b"head")
    assert load_signing_key(pem).public_key() == key.public_key()
    assert load_signing_key(new_signing_key()).public_key() != key.public_key()
    new_key(tmp_path / "node.key")
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    )
    for other, says in (
        (b"", "not a PEM private key"),
        (locked, "not a PEM private key"),
        ((tmp_path / "node.key").read_bytes(), "not an Ed25519 key"),
    ):
        with pytest.raises(UsageProblem, match=says):
            load_signing_key(other)


def test_a_private_file_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_private(path, b"first")
    with pytest.raises(UsageProblem, match="exists already"):
        write_private(path, b"second")
    assert path.read_bytes() == b"first"
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageProblem, match="exists already"):
        write_private(tmp_path / "link", b"third")
    assert not (tmp_path / "nowhere").exists()


@IDENTITIES
@given(identity=identities)
def test_a_request_asks_for_one_identity_and_is_signed_by_its_key(identity: Identity) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.load_pem_x509_csr(signing_request(key, identity))
    stated = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert stated.value.get_values_for_type(x509.UniformResourceIdentifier) == [identity.uri]
    assert stated.critical
    assert request.is_signature_valid
    assert request.public_key() == key.public_key()
