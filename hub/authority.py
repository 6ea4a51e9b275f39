"""The hub's certificate authority: a root that can be locked away, and an authority under it for daily work.

Nodes pin the root. The root signs the authority and nothing else, so its key is needed again only for a new
authority. The authority signs the certificates of the hub, of nodes and of offices, which live for days.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hub.config import Home, load_config
from hub.requests import Request, read_request, require_asks_for
from privacy.errors import UsageProblem
from quorate.contract.canonical import read_bytes
from quorate.contract.chain import CLOCK_SKEW, pem_of, read_chain, replace_file
from quorate.contract.identity import (
    HUB,
    OFFICE,
    Identity,
    load_certificate,
    new_key,
    new_signing_key,
    write_private,
)

ROOT_DAYS, AUTHORITY_DAYS, OFFICE_DAYS = 3650, 1095, 90
_AUTHORITY_USAGE = x509.KeyUsage(
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


@dataclass(frozen=True)
class Issuer:
    """Who signs certificates: a certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def found(home: Home, network: str, hosts: Sequence[str]) -> str:
    """Make root, authority and the hub's own certificate; return the root's fingerprint (SHA-256, hexadecimal).

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
    for path in (home.root_key, home.root_certificate):
        if path.exists():
            raise UsageProblem(
                f"{path} exists already", todo="use a new directory, or keep the root there is"
            )
    key, name = new_key(home.root_key), _name(network, "root")
    builder = _builder(name, name, key.public_key(), timedelta(days=ROOT_DAYS))
    root = _as_authority(builder, key.public_key(), path_length=1).sign(key, hashes.SHA256())
    home.root_certificate.write_bytes(pem_of(root))
    new_authority(home, home.root_key)
    write_private(home.signing_key, new_signing_key())
    own = new_key(home.key).public_key()
    home.certificate.write_bytes(_issue(home, own, names, ExtendedKeyUsageOID.SERVER_AUTH, _days(home)))
    return root.fingerprint(hashes.SHA256()).hex()


def new_authority(home: Home, root_key: Path) -> None:
    """Make an authority under the root, in the place of the one there is; certificates of that stay valid.

    Parameters
    ----------
    home
        The hub's directory with the root certificate.
    root_key
        The root's key, wherever it is kept.

    Raises
    ------
    UsageProblem
        If the key is not the root's.
    """
    root = _issuer(home.root_certificate, root_key)
    fresh = home.authority_key.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    key = new_key(fresh).public_key()
    (network,) = root.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    name, days = _name(str(network.value), "authority"), timedelta(days=AUTHORITY_DAYS)
    builder = _as_authority(_builder(name, root.certificate.subject, key, days), key, path_length=0)
    builder = builder.add_extension(_issuer_key(root), critical=False)
    replace_file(home.authority, pem_of(builder.sign(root.key, hashes.SHA256())))
    fresh.replace(home.authority_key)


def sign(home: Home, request: bytes, expected: Identity) -> bytes:
    """Return a PEM certificate for a signing request, followed by the authority's.

    Parameters
    ----------
    home
        The hub's directory with the authority's key.
    request
        PEM signing request.
    expected
        Who the hub operator knows the request to come from; node numbers may differ.

    Raises
    ------
    UsageProblem
        If the request is malformed, not signed by its key, or asks for another identity.
    """
    parsed = read_request(request)
    require_asks_for(parsed, expected, any_node=True)
    return certify(home, parsed)


def certify(home: Home, request: Request, lifetime: timedelta | None = None) -> bytes:
    """Return a PEM certificate for a request that was found to be in order, followed by the authority's.

    Parameters
    ----------
    home, request
        The hub's directory with the authority's key, and the request.
    lifetime
        Of the certificate; None for what its role has.
    """
    if lifetime is None:
        lifetime = timedelta(days=OFFICE_DAYS) if request.identity.role == OFFICE else _days(home)
    names = [x509.UniformResourceIdentifier(request.identity.uri)]
    return _issue(home, request.key, names, ExtendedKeyUsageOID.CLIENT_AUTH, lifetime)


def renew_own(home: Home) -> x509.Certificate:
    """Give the hub a new certificate for its key and names, and return it."""
    old = load_certificate(home.certificate)
    names = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    key = old.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise UsageProblem(f"{home.certificate} is not the hub's certificate")
    replace_file(
        home.certificate, _issue(home, key, list(names), ExtendedKeyUsageOID.SERVER_AUTH, _days(home))
    )
    return load_certificate(home.certificate)


def shown_chain(home: Home) -> bytes:
    """Return what the hub shows to who connects: its certificate, the authority's, and the root."""
    return pem_of(*read_chain(home.certificate), load_certificate(home.root_certificate))


def _days(home: Home) -> timedelta:
    return timedelta(days=load_config(home).certificate_days)


def _issuer(certificate: Path, key: Path) -> Issuer:
    found_certificate = load_certificate(certificate)
    try:
        found_key = serialization.load_pem_private_key(read_bytes(key), password=None)
    except (ValueError, TypeError) as error:
        raise UsageProblem(f"{key} is not a PEM private key without a password") from error
    if (
        not isinstance(found_key, ec.EllipticCurvePrivateKey)
        or found_key.public_key() != found_certificate.public_key()
    ):
        raise UsageProblem(
            f"the key {key} does not belong to {certificate}", todo="restore both from a backup"
        )
    return Issuer(found_certificate, found_key)


def _issue(
    home: Home,
    key: ec.EllipticCurvePublicKey,
    names: Sequence[x509.GeneralName],
    usage: x509.ObjectIdentifier,
    lifetime: timedelta,
) -> bytes:
    authority = _issuer(home.authority, home.authority_key)
    left = authority.certificate.not_valid_after_utc - datetime.now(UTC)
    if left <= timedelta(0):
        raise UsageProblem(
            "the hub's authority has expired",
            means="no certificate can be issued or renewed",
            todo="bring the root's key and run quorate-hub renew-authority",
        )
    certificate = (
        _builder(x509.Name([]), authority.certificate.subject, key, min(lifetime, left))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .add_extension(_issuer_key(authority), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return pem_of(certificate, authority.certificate)


def _issuer_key(issuer: Issuer) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())


def _name(network: str, what: str) -> x509.Name:
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, network)
    return x509.Name([organisation, x509.NameAttribute(NameOID.COMMON_NAME, f"Quorate {what}")])


def _as_authority(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePublicKey, path_length: int
) -> x509.CertificateBuilder:
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_AUTHORITY_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
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
