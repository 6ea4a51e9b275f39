"""The secret key of a union sketch for a period: made by one operator's node, sealed to all, relayed by the hub.

It can be estimated how many persons operators have in common only if all of them hash identities with the same key K,
which the hub must not know. The first node that needs it draws K, seals it (`quorate.contract.exchange`) to the
exchange key of every operator of the charter, and signs the package with its operator's key. Every box is bound to
what K is for, who made it and who may open it: `info` is the canonical JSON of all that. The package commits to K
(SHA-256 of a name and K, which is 256 random bits), so whoever holds the same package holds the same key.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Annotated, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import Field, model_validator

from privacy.calculus import LocalDay
from privacy.errors import PeriodKeyProblem, SignatureProblem, UsageProblem
from privacy.terms import Digest, Name
from quorate.contract.canonical import Document, canonical
from quorate.contract.charter import Charter
from quorate.contract.exchange import OVERHEAD, opened, sealed
from quorate.contract.signing import PublicKey, verified
from quorate.v1.federation_pb2 import Envelope

PERIOD_KEY_TYPE = "application/vnd.quorate.period-key+json"
#: Bytes of a period key.
KEY_BYTES = 32
_PURPOSE = "quorate.period-key.v1"
_BOX_DIGITS = 2 * (KEY_BYTES + OVERHEAD)
#: Most bytes of a package for each operator, and of all the rest.
_PER_OPERATOR, _REST = 256, 1024

Box = Annotated[str, Field(pattern=rf"^[0-9a-f]{{{_BOX_DIGITS}}}$")]


class KeyScope(Document):
    """What a period key is for: one product and period under one charter. Revisions share it."""

    network: Name
    charter: Digest
    product: Name
    first_day: LocalDay
    last_day: LocalDay

    def named(self) -> str:
        """Return product and period for a message to a person."""
        return f"{self.product} from {self.first_day} to {self.last_day}"


class PeriodKey(KeyScope):
    """A package, as its maker signs it.

    Attributes
    ----------
    maker
        The operator whose node made the key.
    commitment
        Names the key without telling it: two packages with the same one have the same key.
    wrapped
        The key, sealed to each operator of the charter, its maker among them.
    """

    maker: Name
    commitment: Digest
    wrapped: dict[Name, Box] = Field(min_length=1)

    @model_validator(mode="after")
    def _own(self) -> Self:
        if self.maker not in self.wrapped:
            raise ValueError("the key is not sealed to its maker")
        return self

    @property
    def scope(self) -> KeyScope:
        """What the key is for."""
        return KeyScope(**self.model_dump(include=set(KeyScope.model_fields)))

    def require_scope(self, scope: KeyScope) -> None:
        """Refuse a package that was made for something else (PeriodKeyProblem)."""
        for field in KeyScope.model_fields:
            if getattr(self, field) != getattr(scope, field):
                raise PeriodKeyProblem(
                    f"the period key of {scope.named()} has another {field}",
                    means="it was made for something else; operators who hash with it would have nobody in common",
                )

    def key_for(self, operator: str, exchange: X25519PrivateKey) -> bytes:
        """Return the key, with an operator's exchange key.

        Raises
        ------
        PeriodKeyProblem
            If it was not sealed to this operator for this, or is not the one that the package commits to.
        """
        box = self.wrapped.get(operator)
        if box is None:
            raise PeriodKeyProblem(f"the period key of {self.named()} is not sealed to {operator}")
        key = opened(bytes.fromhex(box), exchange, _info(self.scope, self.maker, operator))
        if commitment_to(key) != self.commitment:
            raise PeriodKeyProblem(
                f"{self.maker} sealed another period key to {operator} than it commits to",
                means="operators would hash with different keys, and find nobody in common",
            )
        return key


def commitment_to(key: bytes) -> Digest:
    """Return what names a key without telling it."""
    return hashlib.sha256(_PURPOSE.encode() + key).hexdigest()


def new_package(scope: KeyScope, maker: str, exchange: Mapping[Name, PublicKey]) -> PeriodKey:
    """Draw a key at random and return its package; the key itself is in it alone.

    Parameters
    ----------
    scope, maker
        What the key is for, and the operator that makes it.
    exchange
        Exchange key of every operator of the charter.
    """
    return package_of(os.urandom(KEY_BYTES), scope, maker, exchange)


def package_of(key: bytes, scope: KeyScope, maker: str, exchange: Mapping[Name, PublicKey]) -> PeriodKey:
    """Return the package of a key; see `new_package`."""
    return PeriodKey(
        **scope.model_dump(),
        maker=maker,
        commitment=commitment_to(key),
        wrapped={
            operator: sealed(key, public, _info(scope, maker, operator)).hex()
            for operator, public in exchange.items()
        },
    )


def read_package(statement: Envelope, charter: Charter, scope: KeyScope) -> PeriodKey:
    """Return a package that an operator of the charter has signed, for exactly what it is needed for.

    Parameters
    ----------
    statement
        As it came.
    charter, scope
        The caller's own copy, and what it needs a key for under it.

    Raises
    ------
    PeriodKeyProblem
        Names what does not fit. Whether the key is in it shows when it is opened (`PeriodKey.key_for`).
    """
    package = signed_package(statement, charter)
    package.require_scope(scope)
    return package


def signed_package(statement: Envelope, charter: Charter) -> PeriodKey:
    """Return a package that its maker, an operator of the charter, has signed alone (PeriodKeyProblem).

    What it is for is not looked at.
    """
    what = "the period key"
    if len(statement.payload) > largest_package(charter):
        raise PeriodKeyProblem(f"{what} is larger than a package for these operators can be")
    try:
        package = PeriodKey.from_wire(statement.payload, what)
        if package.maker not in charter.operators:
            raise PeriodKeyProblem(f"{what} was made by {package.maker}, who is no operator of the charter")
        maker = {package.maker: charter.keys.operators[package.maker]}
        verified(statement, PERIOD_KEY_TYPE, maker, what)
    except (SignatureProblem, UsageProblem) as error:
        raise PeriodKeyProblem(error.what, means=error.means, todo=error.todo) from error
    if len(statement.signatures) != 1:
        raise PeriodKeyProblem(f"{what} has other signatures than its maker's")
    if set(package.wrapped) != set(charter.operators):
        raise PeriodKeyProblem(f"{what} is not sealed to exactly the operators of the charter")
    return package


def largest_package(charter: Charter) -> int:
    """Return how many bytes a package can have at the most."""
    return _REST + _PER_OPERATOR * len(charter.operators)


def _info(scope: KeyScope, maker: str, operator: str) -> bytes:
    """Return what a box is for, to the byte."""
    return canonical(
        scope.model_dump(mode="json") | {"purpose": _PURPOSE, "maker": maker, "operator": operator}
    )
