"""The operator's own keys that the charter names: with one it signs, to the other secrets are sealed."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from node.config import Home
from node.private import read_secret
from privacy.errors import UsageProblem
from quorate.contract.canonical import read_bytes
from quorate.contract.charter import Charter
from quorate.contract.exchange import exchange_public, load_exchange_key
from quorate.contract.identity import load_signing_key
from quorate.contract.signing import public_key


def exchange_key_of(home: Home) -> X25519PrivateKey:
    """Return the key to which others seal secrets (UsageProblem: it is missing, open to others, or not X25519)."""
    pem = read_secret(home.exchange_key, "whoever reads it may find out the period keys of union sketches")
    return load_exchange_key(pem)


def require_own_keys(home: Home, charter: Charter, operator: str) -> None:
    """Refuse a charter that names other keys for this operator than those in the node's directory (UsageProblem)."""
    signing = public_key(load_signing_key(read_bytes(home.operator_key)))
    exchange = exchange_public(exchange_key_of(home))
    deaf, keys = "this node could not open what others seal to it", charter.keys
    mute = "the hub would believe nothing that this node states"
    for path, own, name, named, means in (
        (home.operator_key, signing, "operators", keys.operators, mute),
        (home.exchange_key, exchange, "exchange", keys.exchange, deaf),
    ):
        if named[operator] != own:
            raise UsageProblem(
                f"{path} is not the key that the charter names for {operator}",
                means=means,
                todo=f"restore the key, or have a charter agreed on with keys.{name}.{operator} = {own}",
            )
