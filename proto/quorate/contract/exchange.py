"""Keys to which a secret is sealed, so that whoever relays it cannot read it: HPKE (RFC 9180).

The suite is DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305 in base mode: it hides, and says nothing of
who sealed. What is sealed travels in a statement that its maker has signed. `info` is what a box is for; it opens for
nothing else.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from privacy.errors import PeriodKeyProblem, UsageProblem
from quorate.contract.signing import PublicKey

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
#: Bytes that a box has beside its secret: the sender's fresh public key and the tag.
OVERHEAD = 32 + 16


def new_exchange_key() -> bytes:
    """Return a new X25519 key as unencrypted PEM; what only its party may read is sealed to it."""
    return X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_exchange_key(pem: bytes) -> X25519PrivateKey:
    """Read an X25519 key (UsageProblem if it is not one)."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise UsageProblem("the exchange key is not a PEM private key") from error
    if not isinstance(key, X25519PrivateKey):
        raise UsageProblem("the exchange key is not an X25519 key")
    return key


def exchange_public(key: X25519PrivateKey) -> PublicKey:
    """Return the public key as the charter names it."""
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return raw.hex()


def can_seal(public: PublicKey) -> bool:
    """Return whether a secret can be sealed to a public key.

    A point of small order cannot: everybody would agree on the same secret with it (RFC 7748, section 6.1).
    """
    try:
        X25519PrivateKey.generate().exchange(_point(public))
    except ValueError:
        return False
    return True


def sealed(secret: bytes, public: PublicKey, info: bytes) -> bytes:
    """Return a secret in a box that only the holder of a key can open, and only for what it is for.

    Parameters
    ----------
    secret
        What is hidden; the box is `OVERHEAD` bytes longer.
    public
        A key that `can_seal`.
    info
        What the box is for; it is not in the box.
    """
    return _SUITE.encrypt(secret, _point(public), info)


def opened(box: bytes, key: X25519PrivateKey, info: bytes) -> bytes:
    """Return the secret in a box (PeriodKeyProblem if it is not sealed to this key for exactly this)."""
    try:
        return _SUITE.decrypt(box, key, info)
    except (InvalidTag, ValueError) as error:
        raise PeriodKeyProblem(
            "the box does not open with this operator's exchange key",
            means="it was changed, or sealed to another key or for something else",
        ) from error


def _point(public: PublicKey) -> X25519PublicKey:
    return X25519PublicKey.from_public_bytes(bytes.fromhex(public))
