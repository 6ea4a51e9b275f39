"""Which signing requests are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID
from cryptography.x509.verification import VerificationError

from hub.authority import sign
from hub.config import Home
from privacy.errors import UsageProblem
from quorate.contract.identity import (
    HUB,
    OFFICE,
    OPERATOR,
    Identity,
    certificate_identity,
    signing_request,
)
from tests.support_hub import NETWORK, request_of, write_hub_home
from tests.unit.hub.authority.checks import (
    BUREAU,
    WEST,
    Trust,
    key,
    names_of,
    verify_client,
    verify_server,
)

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
