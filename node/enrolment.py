"""Joining a network: the node's own key, and the documents that it will hold the hub to, pinned by digest."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization

from node.config import Home, NodeConfig, Policy, parse_toml, read_toml
from node.own_keys import require_own_keys
from node.private import read_secret
from privacy.calculus import Budgets
from privacy.errors import UsageProblem
from privacy.ledger import Keeper
from privacy.terms import Digest, Name
from quorate.contract.canonical import Document, digest, read_bytes
from quorate.contract.chain import read_chain, require_issued
from quorate.contract.charter import Charter
from quorate.contract.exchange import new_exchange_key
from quorate.contract.identity import (
    OPERATOR,
    Identity,
    certificate_identity,
    load_certificate,
    load_signing_key,
    new_key,
    new_signing_key,
    signing_request,
    write_private,
)
from quorate.contract.zoning import Zoning

_SECRET_BYTES = 32


class Enrolment(Document):
    """What was pinned at enrolment: whose node this is, and digests of what it decides by."""

    operator: Name
    network: Name
    charter: Digest
    zoning: Digest
    policy: Digest
    hub_root: Digest


@dataclass(frozen=True)
class Agreement:
    """What an enrolled node decides by: its own, verified copies.

    Attributes
    ----------
    operator
        Whose node this is.
    charter_digest
        Digest of the charter's bytes.
    budgets
        The lower of charter and policy.
    """

    operator: str
    charter: Charter
    charter_digest: str
    zoning: Zoning
    policy: Policy
    config: NodeConfig
    budgets: Budgets

    @property
    def ledger_identity(self) -> str:
        """Whose ledger belongs to this node."""
        return f"{self.charter.network}/{self.operator}"


def initialise(home: Home, network: str, operator: str) -> Path:
    """Make the node's keys, its signing request and its secret; return the path of the request.

    Raises
    ------
    UsageProblem
        If a name is not allowed, or the directory holds a key already.
    """
    for what, name in (("network", network), ("operator", operator)):
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
            raise UsageProblem(
                f"{name!r} cannot be the name of a {what}",
                todo="use lower-case letters, digits, '.', '_' and '-'",
            )
    home.root.mkdir(parents=True, exist_ok=True)
    key = new_key(home.key)
    write_private(home.secret, os.urandom(_SECRET_BYTES))
    write_private(home.operator_key, new_signing_key())
    write_private(home.exchange_key, new_exchange_key())
    home.request.write_bytes(signing_request(key, Identity(network, OPERATOR, operator)))
    return home.request


def secret_of(home: Home) -> bytes:
    """Return the node's secret for keyed hashes (UsageProblem: it is missing, open to others, or not 32 bytes)."""
    secret = read_secret(home.secret, "whoever reads it may find out the subscriber behind a pseudonym")
    if len(secret) != _SECRET_BYTES:
        raise UsageProblem(
            f"{home.secret} does not have {_SECRET_BYTES} bytes",
            means="ties would be decided by a key that can be guessed",
            todo="restore it from its backup",
        )
    return secret


def keeper_of(home: Home, config: NodeConfig) -> Keeper:
    """Return the operator's signing key and witness (UsageProblem if the key cannot be read)."""
    return Keeper(load_signing_key(read_bytes(home.operator_key)), home.root / config.witness)


def enrol(home: Home, operator: str, network: str, root_fingerprint: str) -> Enrolment:
    """Pin charter, zoning, policy and the hub's root certificate, which lie in the node's directory.

    Parameters
    ----------
    home
        The node's directory.
    operator, network
        Who the certificate must belong to.
    root_fingerprint
        SHA-256 of the hub's root certificate, hexadecimal, told by the hub operator over another channel.

    Raises
    ------
    UsageProblem
        If a document is malformed, or does not belong to this operator and network.
    """
    expected = Identity(network, OPERATOR, operator)
    _require_certificate(home, expected)
    root = load_certificate(home.hub_root)
    fingerprint = root.fingerprint(hashes.SHA256()).hex()
    if fingerprint != root_fingerprint.lower().replace(":", ""):
        raise UsageProblem(
            f"the fingerprint of {home.hub_root} is {fingerprint}, not the one that was given",
            means="somebody may be standing between this node and the hub",
            todo="get the root certificate and its fingerprint again over different channels",
        )
    require_issued(read_chain(home.certificate), root, str(home.certificate))
    charter, zoning = Charter.read(home.charter), Zoning.read(home.zoning)
    if charter.network != network or operator not in charter.operators or charter.zoning != zoning.digest():
        raise UsageProblem(
            f"the charter is not one of {network} with {operator} over this zoning",
            todo="get charter and zoning from the hub operator",
        )
    charter.require_levels(zoning)
    _require_products(read_toml(home.policy, Policy), charter, home.policy)
    require_own_keys(home, charter, operator)
    pinned = Enrolment(
        operator=operator,
        network=network,
        charter=charter.digest(),
        zoning=zoning.digest(),
        policy=digest(read_bytes(home.policy)),
        hub_root=digest(read_bytes(home.hub_root)),
    )
    home.enrolment.write_bytes(pinned.to_bytes())
    return pinned


def load(home: Home) -> Agreement:
    """Return what this node decides by, after checking every pinned digest.

    Raises
    ------
    UsageProblem
        If the node is not enrolled, or a document is not the pinned one.
    """
    if not home.enrolment.exists():
        raise UsageProblem(
            f"{home.root} is not an enrolled node", todo="run quorate-node init, then quorate-node enrol"
        )
    pinned = Enrolment.read(home.enrolment)
    charter, policy_bytes = Charter.read(home.charter), read_bytes(home.policy)
    _require_pinned(home.charter, charter.digest(), pinned.charter)
    _require_pinned(home.policy, digest(policy_bytes), pinned.policy)
    _require_pinned(home.hub_root, digest(read_bytes(home.hub_root)), pinned.hub_root)
    zoning = Zoning.read(home.zoning)
    _require_pinned(home.zoning, zoning.digest(), pinned.zoning)
    _require_certificate(home, Identity(pinned.network, OPERATOR, pinned.operator))
    policy = parse_toml(policy_bytes, Policy, home.policy)
    _require_products(policy, charter, home.policy)
    return Agreement(
        operator=pinned.operator,
        charter=charter,
        charter_digest=pinned.charter,
        zoning=zoning,
        policy=policy,
        config=read_toml(home.config, NodeConfig),
        budgets=lower_budgets(charter.budgets, policy),
    )


def lower_budgets(budgets: Budgets, policy: Policy) -> Budgets:
    """Return the charter's budgets, capped by the operator's policy."""
    return budgets.model_copy(
        update={"day": min(budgets.day, policy.day_cap), "month": min(budgets.month, policy.month_cap)}
    )


def _require_products(policy: Policy, charter: Charter, path: Path) -> None:
    unknown = sorted(set(policy.products) - {product.product_id for product in charter.products})
    if unknown:
        raise UsageProblem(
            f"{path} lists {unknown[0]}, which is no product of the charter", todo="correct the policy"
        )


def _require_pinned(path: Path, found: str, pinned: str) -> None:
    if found != pinned:
        raise UsageProblem(
            f"{path} is not the one that was pinned at enrolment",
            means="the node would decide by rules that its operator has not agreed to, so it does not start",
            todo="restore the file, or run quorate-node enrol again if the change is meant",
        )


def _require_certificate(home: Home, expected: Identity) -> None:
    """Refuse a certificate of somebody else, or one that does not belong to the node's key."""
    certificate = load_certificate(home.certificate)
    found = certificate_identity(certificate)
    if (found.network, found.role, found.name) != (expected.network, expected.role, expected.name):
        raise UsageProblem(
            f"the certificate {home.certificate} belongs to {found.uri}, not to {expected.uri}",
            todo="install the certificate that was issued for this node",
        )
    try:
        key = serialization.load_pem_private_key(read_bytes(home.key), password=None)
    except (ValueError, TypeError) as error:
        raise UsageProblem(f"{home.key} is not a PEM private key without a password") from error
    if key.public_key() != certificate.public_key():
        raise UsageProblem(
            f"the certificate {home.certificate} does not belong to the key {home.key}",
            todo="have the hub sign the request of this key",
        )
