"""How certificates are verified and read."""

from __future__ import annotations

import ipaddress
from datetime import datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from hub.config import Home
from quorate.contract.identity import (
    OFFICE,
    OPERATOR,
    Identity,
    load_certificate,
)
from tests.support_hub import NETWORK

WEST, BUREAU = Identity(NETWORK, OPERATOR, "west"), Identity(NETWORK, OFFICE, "bureau")
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


class Trust(NamedTuple):
    """What a party trusts, and what comes with the certificate of the other."""

    root: x509.Certificate
    authority: x509.Certificate


def trust_of(home: Home) -> Trust:
    return Trust(load_certificate(home.root_certificate), load_certificate(home.authority))


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


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())
