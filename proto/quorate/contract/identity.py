"""Who somebody is: the SPIFFE URI in a certificate, and the key that a party makes for itself."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privacy.errors import UsageProblem

HUB, OPERATOR, OFFICE = "hub", "operator", "office"
_NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
_URI = re.compile(
    rf"^spiffe://({_NAME})/(?:(hub)|operator/({_NAME})/node/(0|[1-9][0-9]{{0,3}})|office/({_NAME}))$"
)


@dataclass(frozen=True)
class Identity:
    """A party of a network.

    Attributes
    ----------
    network
        Trust domain.
    role
        `hub`, `operator` or `office`.
    name
        Of the operator or office; empty for the hub.
    node
        Number of the operator's node, from 0.
    """

    network: str
    role: str
    name: str = ""
    node: int = 0

    @property
    def uri(self) -> str:
        """The SPIFFE URI."""
        path = {HUB: "hub", OPERATOR: f"operator/{self.name}/node/{self.node}", OFFICE: f"office/{self.name}"}
        return f"spiffe://{self.network}/{path[self.role]}"


def parse_identity(uri: str) -> Identity:
    """Read a SPIFFE URI.

    Raises
    ------
    UsageProblem
        If it is not one of a Quorate party.
    """
    match = _URI.fullmatch(uri)
    if not match:
        raise UsageProblem(f"{uri[:100]!r} is not the identity of a hub, an operator's node or an office")
    network, hub, operator, node, office = match.groups()
    if hub:
        return Identity(network, HUB)
    return Identity(network, OPERATOR, operator, int(node)) if operator else Identity(network, OFFICE, office)


def certificate_identity(certificate: x509.Certificate) -> Identity:
    """Return the identity that a certificate states (UsageProblem if it is not exactly one)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise UsageProblem("the certificate states no identity") from None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise UsageProblem("the certificate does not state exactly one identity")
    return parse_identity(uris[0])


def load_certificate(path: Path) -> x509.Certificate:
    """Read a PEM certificate (UsageProblem if it is missing or malformed)."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise UsageProblem(f"the certificate {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageProblem(f"{path} is not a PEM certificate") from error


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read; refuses to overwrite one."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise UsageProblem(
            f"{path} exists already", todo="use a new directory, or keep the key there is"
        ) from error
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def new_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Make an ECDSA P-256 key and write it, unencrypted and mode 0600, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(path, pem)
    return key


def new_signing_key() -> bytes:
    """Return a new Ed25519 key as unencrypted PEM; what a party states is signed with it."""
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_signing_key(pem: bytes) -> Ed25519PrivateKey:
    """Read an Ed25519 key (UsageProblem if it is not one)."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise UsageProblem("the signing key is not a PEM private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageProblem("the signing key is not an Ed25519 key")
    return key


def signing_request(key: ec.EllipticCurvePrivateKey, identity: Identity) -> bytes:
    """Return a PEM certificate signing request that asks for an identity."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity.uri)])
    request = builder.add_extension(names, critical=True).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)
