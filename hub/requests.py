"""Signing requests: who asks for a certificate, and for which key."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from privacy.errors import UsageProblem
from quorate.contract.identity import Identity, parse_identity

_CURVES = (ec.SECP256R1, ec.SECP384R1)


@dataclass(frozen=True)
class Request:
    """What a signing request asks for: a certificate of an identity, for a key."""

    identity: Identity
    key: ec.EllipticCurvePublicKey


def read_request(pem: bytes) -> Request:
    """Read a signing request.

    Raises
    ------
    UsageProblem
        If it is malformed, not signed by its own key, or does not ask for exactly one identity.
    """
    try:
        parsed = x509.load_pem_x509_csr(pem)
    except ValueError as error:
        raise UsageProblem("the file is not a PEM signing request") from error
    if not parsed.is_signature_valid:
        raise UsageProblem("the signing request is not signed by its own key")
    identity, key = _identity(parsed), parsed.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, _CURVES):
        raise UsageProblem("the request's key is not an elliptic-curve key on P-256 or P-384")
    return Request(identity, key)


def require_asks_for(request: Request, expected: Identity, *, any_node: bool = False) -> None:
    """Refuse a request for another identity; the number of the node is looked at unless `any_node`."""
    asked = request.identity
    same = (asked.network, asked.role, asked.name) == (expected.network, expected.role, expected.name)
    if not same or not (any_node or asked.node == expected.node):
        raise UsageProblem(
            f"the request asks for {asked.uri}, not for {expected.uri}",
            todo="check who sent it; sign it under the name that it asks for only if that is who it is",
        )


def _identity(request: x509.CertificateSigningRequest) -> Identity:
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
