"""Chains of certificates: from a party's own, over the hub's authority, to the root that everybody has pinned."""

from __future__ import annotations

import os
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from privacy.errors import UsageProblem
from quorate.contract.canonical import read_bytes

#: How far back a certificate is valid before it was issued, for clocks that are late.
CLOCK_SKEW = timedelta(hours=1)


def read_chain(path: Path) -> tuple[x509.Certificate, ...]:
    """Read a PEM file of certificates, the party's own first (UsageProblem if it is missing or malformed)."""
    return parse_chain(read_bytes(path), str(path))


def parse_chain(pem: bytes, what: str) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a PEM text, the party's own first; `what` names it in an error."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise UsageProblem(f"{what} is not a PEM certificate") from error


def pem_of(*chain: x509.Certificate) -> bytes:
    """Return certificates as PEM, in order."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)


def issued_at(certificate: x509.Certificate) -> datetime:
    """Return when the hub's authority issued a certificate, to the second."""
    return certificate.not_valid_before_utc + CLOCK_SKEW


def half_life(certificate: x509.Certificate) -> datetime:
    """Return when a certificate is to be renewed: half-way from its issue to its end."""
    issued = issued_at(certificate)
    return issued + (certificate.not_valid_after_utc - issued) / 2


def require_issued(chain: tuple[x509.Certificate, ...], root: x509.Certificate, what: str) -> None:
    """Refuse a client's chain that does not lead to a root, or has expired.

    Parameters
    ----------
    chain
        The client's own certificate, then those between it and the root.
    root
        The root that was pinned.
    what
        Names the chain in an error.

    Raises
    ------
    UsageProblem
        With what the verifier of `cryptography` found.
    """
    try:
        PolicyBuilder().store(Store([root])).build_client_verifier().verify(chain[0], list(chain[1:]))
    except VerificationError as error:
        raise UsageProblem(
            f"the certificate {what} was not issued under the root that is pinned, or is not valid now",
            means=f"it would not be accepted: {error}",
            todo="get certificate and root from the same hub operator, and look at this machine's clock",
        ) from error


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in the place of another at once: who reads sees the old one or the new one, never a part."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
