"""Keys of made-up parties: the same in every run, so that documents have the same digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from quorate.contract.charter import Keys
from quorate.contract.exchange import exchange_public
from quorate.contract.signing import public_key

HUB = "the hub"


def key_for(name: str) -> Ed25519PrivateKey:
    """Return the signing key of a party."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def exchange_for(name: str) -> X25519PrivateKey:
    """Return the exchange key of a party."""
    return X25519PrivateKey.from_private_bytes(hashlib.sha256(f"exchange {name}".encode()).digest())


def pem_for(name: str) -> bytes:
    """Return the signing key of a party as its file has it."""
    return _pem(key_for(name))


def exchange_pem_for(name: str) -> bytes:
    """Return the exchange key of a party as its file has it."""
    return _pem(exchange_for(name))


def _pem(key: Ed25519PrivateKey | X25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def keys_for(operators: Iterable[str]) -> Keys:
    """Return what a charter says of the keys of a hub and some operators."""
    names = tuple(operators)
    return Keys(
        hub=public_key(key_for(HUB)),
        operators={name: public_key(key_for(name)) for name in names},
        exchange={name: exchange_public(exchange_for(name)) for name in names},
    )
