"""The operator's own key over its ledger: what is signed for a head and for an anchor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True)
class Keeper:
    """What keeps a ledger honest: the operator's signing key, and the file of the witness."""

    key: Ed25519PrivateKey
    witness: Path

    def sign(self, identity: str, sequence: int, head: str) -> bytes:
        """Return the signature (Ed25519) over a head of this operator's ledger."""
        return self.key.sign(statement(identity, sequence, head))

    def sign_anchor(self, identity: str, anchor: bytes) -> bytes:
        """Return the signature over an anchor of this operator's ledger."""
        return self.key.sign(anchor_statement(identity, anchor))

    def signed(self, signature: bytes, what: bytes) -> bool:
        """Return whether a statement was signed with the operator's key."""
        try:
            self.key.public_key().verify(signature, what)
        except InvalidSignature:
            return False
        return True


def statement(identity: str, sequence: int, head: str) -> bytes:
    """Return the bytes that are signed for a head."""
    return b"\0".join([b"quorate.ledger.head.v1", identity.encode(), str(sequence).encode(), head.encode()])


def anchor_statement(identity: str, anchor: bytes) -> bytes:
    """Return the bytes that are signed for an anchor, given in canonical form."""
    return b"\0".join([b"quorate.ledger.anchor.v1", identity.encode(), anchor])
