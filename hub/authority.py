"""The hub's certificate authority: a root, and certificates for the hub, operators and offices."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hub.config import Home
from privacy.errors import UsageProblem
from quorate.contract.canonical import read_bytes
from quorate.contract.identity import (
    HUB,
    Identity,
    load_certificate,
    new_key,
    new_signing_key,
    parse_identity,
    write_private,
)

ROOT_DAYS, HUB_DAYS, CLIENT_DAYS = 3650, 365, 90
_CURVES = (ec.SECP256R1, ec.SECP384R1)
_CLOCK_SKEW = timedelta(hours=1)


def found(home: Home, network: str, hosts: Sequence[str]) -> str:
    """Make the root and the hub's own certificate; return the root's fingerprint (SHA-256, hexadecimal).

    Parameters
    ----------
    home
        The hub's directory.
    network
        Trust domain.
    hosts
        DNS names and addresses under which nodes reach the hub.
    """
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(Identity(network, HUB).uri)]
    names += [_host(host) for host in hosts]
    root_key = new_key(home.root_key)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, network),
            x509.NameAttribute(NameOID.COMMON_NAME, "Quorate root"),
        ]
    )
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    root = (
        _builder(name, name, root_key.public_key(), ROOT_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    home.root_certificate.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    write_private(home.signing_key, new_signing_key())
    own_key = new_key(home.key)
    own = _issue(home, own_key.public_key(), names, (ExtendedKeyUsageOID.SERVER_AUTH, HUB_DAYS))
    home.certificate.write_bytes(own)
    return root.fingerprint(hashes.SHA256()).hex()


def sign(home: Home, request: bytes, expected: Identity) -> bytes:
    """Return a PEM certificate for a signing request.

    Parameters
    ----------
    home
        The hub's directory with the root key.
    request
        PEM signing request.
    expected
        Who the hub operator knows the request to come from; node numbers may differ.

    Raises
    ------
    UsageProblem
        If the request is malformed, not signed by its key, or asks for another identity.
    """
    try:
        parsed = x509.load_pem_x509_csr(request)
    except ValueError as error:
        raise UsageProblem("the file is not a PEM signing request") from error
    if not parsed.is_signature_valid:
        raise UsageProblem("the signing request is not signed by its own key")
    asked = _requested(parsed)
    if (asked.network, asked.role, asked.name) != (expected.network, expected.role, expected.name):
        raise UsageProblem(
            f"the request asks for {asked.uri}, not for {expected.uri}",
            todo="check who sent it; sign it under the name that it asks for only if that is who it is",
        )
    key = parsed.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, _CURVES):
        raise UsageProblem("the request's key is not an elliptic-curve key on P-256 or P-384")
    names = [x509.UniformResourceIdentifier(asked.uri)]
    return _issue(home, key, names, (ExtendedKeyUsageOID.CLIENT_AUTH, CLIENT_DAYS))


def _requested(request: x509.CertificateSigningRequest) -> Identity:
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise UsageProblem("the signing request asks for no identity") from None
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise UsageProblem("the extensions of the signing request are malformed") from error
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise UsageProblem("the signing request does not ask for exactly one identity")
    return parse_identity(uris[0])


def _issue(
    home: Home,
    key: ec.EllipticCurvePublicKey,
    names: Sequence[x509.GeneralName],
    purpose: tuple[x509.ObjectIdentifier, int],
) -> bytes:
    root = load_certificate(home.root_certificate)
    root_key = serialization.load_pem_private_key(read_bytes(home.root_key), password=None)
    if not isinstance(root_key, ec.EllipticCurvePrivateKey):
        raise UsageProblem(f"{home.root_key} is not the root's key")
    usage, days = purpose
    certificate = (
        _builder(x509.Name([]), root.subject, key, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
        )
        .sign(root_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=days))
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if not host.isascii():
            raise UsageProblem(
                f"{host!r} is not a host name in ASCII", todo="give its Punycode form"
            ) from None
        return x509.DNSName(host)
