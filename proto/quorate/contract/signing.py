"""Statements: documents signed by the parties themselves, as DSSE envelopes over Ed25519.

Transport certificates say who is calling. What a party *states* is signed with its own key, which the charter names,
so that nobody who can issue certificates can speak for it. Source: DSSE v1 (secure-systems-lab), RFC 8032 (Ed25519).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field
from securesystemslib.dsse import Envelope as Dsse
from securesystemslib.exceptions import FormatError, VerificationError
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey

from privacy.errors import SignatureProblem
from quorate.v1.federation_pb2 import Envelope
from quorate.v1.federation_pb2 import Signature as WireSignature

#: An Ed25519 public key: 32 bytes in hexadecimal.
PublicKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def public_key(key: Ed25519PrivateKey) -> PublicKey:
    """Return the public key as the charter names it."""
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return raw.hex()


@cache
def key_of(public: PublicKey) -> SSlibKey:
    """Return a public key as the library knows it; its name is the key itself."""
    return SSlibKey(public, "ed25519", "ed25519", {"public": public})


def signed(payload_type: str, payload: bytes, key: Ed25519PrivateKey) -> Envelope:
    """Return a statement with one signature."""
    return countersigned(Envelope(payload_type=payload_type, payload=payload), key)


def countersigned(statement: Envelope, key: Ed25519PrivateKey) -> Envelope:
    """Return a statement with one more signature beside those it has; each is over the same bytes."""
    dsse = _dsse(statement)
    dsse.sign(CryptoSigner(key, key_of(public_key(key))))
    return _wire(dsse)


def verified(statement: Envelope, payload_type: str, parties: Mapping[str, PublicKey], what: str) -> bytes:
    """Return the payload of a statement that every one of some parties has signed.

    Parameters
    ----------
    statement
        As it came.
    payload_type
        What it has to be; it is signed too.
    parties
        Public key of every party that must have signed, by its name for the error.
    what
        What the statement is called in an error.

    Raises
    ------
    SignatureProblem
        Names the first party whose signature is missing or wrong.
    """
    if statement.payload_type != payload_type:
        raise SignatureProblem(
            f"{what} is of another type", todo="have both sides run versions that understand each other"
        )
    dsse = _dsse(statement)
    for name, public in parties.items():
        try:
            dsse.verify([key_of(public)], 1)
        except VerificationError:
            raise SignatureProblem(
                f"{what} is not signed by {name} with the key that the charter names",
                means="somebody else may be speaking in its name, or its key was changed without a new charter",
                todo=f"ask {name} over another channel, and compare the key with the charter's",
            ) from None
    return statement.payload


def to_json(statement: Envelope) -> bytes:
    """Return a statement as DSSE's JSON, as it is kept in files and databases."""
    return json.dumps(_dsse(statement).to_dict(), sort_keys=True).encode()


def from_json(data: bytes, what: str) -> Envelope:
    """Read DSSE's JSON (SignatureProblem if it is malformed)."""
    try:
        value: Any = json.loads(data)
        return _wire(Dsse.from_dict(value))
    except (ValueError, KeyError, TypeError, AttributeError, FormatError, RecursionError) as error:
        raise SignatureProblem(f"{what} is not a signed statement", todo="get it again") from error


def _dsse(statement: Envelope) -> Dsse:
    signatures = {s.keyid: Signature(s.keyid, s.sig.hex()) for s in statement.signatures}
    return Dsse(statement.payload, statement.payload_type, signatures)


def _wire(dsse: Dsse) -> Envelope:
    signatures = [
        WireSignature(keyid=s.keyid, sig=bytes.fromhex(s.signature)) for s in dsse.signatures.values()
    ]
    return Envelope(payload_type=dsse.payload_type, payload=dsse.payload, signatures=signatures)
