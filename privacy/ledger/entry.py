"""The terms of a release, the ledger entry that records it, and the hash chain over entries."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Annotated

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from privacy.calculus import Charge, LocalDay, charge
from privacy.noise import Sampler
from privacy.sensitivity import Declaration
from privacy.units import NanoRho

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]

#: Head of a ledger without entries.
GENESIS = hashlib.sha256(b"quorate.ledger.genesis.v1").hexdigest()


class Level(BaseModel):
    """One level of the zoning that a release measures, and its share of the loss in thousandths."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    share_permille: int = Field(strict=True, ge=1, le=1000)


class Terms(BaseModel):
    """What is released, completely: two orders with equal terms ask for the same release.

    Attributes
    ----------
    product, statistic, parameters
        The product of the charter, its statistic and the fixed parameters.
    zoning, keyset
        Digests of the zoning and of the public list of cells.
    first_day, last_day
        Local days read, both included.
    bounds
        Declared contribution bounds.
    mechanism, sigma_milli, by_period
        Noise, its standard deviation in thousandths, and the loss of the whole period in nano-ρ.
    charter_version, revision
        Version of the agreement, and 0 for the first measurement; each higher one is charged in full.
    weights
        Digest of the weights, for weighted statistics.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    product: Name
    statistic: Name
    parameters: dict[str, JsonValue]
    zoning: Digest
    keyset: Digest
    levels: tuple[Level, ...] = Field(min_length=1)
    first_day: LocalDay
    last_day: LocalDay
    bounds: Declaration
    mechanism: Name
    sigma_milli: int = Field(strict=True, ge=1)
    by_period: NanoRho
    charter_version: int = Field(strict=True, ge=1, le=2**31)
    revision: int = Field(default=0, strict=True, ge=0, le=2**31)
    weights: Digest | None = None

    def release_id(self) -> str:
        """Return the hash of the terms, each field preceded by its name and length.

        Neither a nonce, nor a validity, nor anything of the data enters it, so that a repeated order is
        recognised whatever the data are by then.
        """
        state = hashlib.sha256(b"quorate.release.v1")
        for name, value in self.model_dump(mode="json").items():
            for part in (name.encode(), rfc8785.dumps(value)):
                state.update(len(part).to_bytes(8, "big"))
                state.update(part)
        return state.hexdigest()


class Entry(BaseModel):
    """One line of the ledger: a release, its charge, and the digest of the bytes that left for it.

    Attributes
    ----------
    sequence, previous
        Position from 1, and the head before this entry.
    release_id, terms, charge
        What was released, and what it cost.
    sampler
        Which exact sampler drew the noise.
    result_sha256, result_length
        Digest and length in bytes of the noised result.
    commitment
        SHA-256(tag ‖ r ‖ snapshot digest) with a fresh 256-bit r that stays in the node: binds the operator
        to its data without telling anything about them.
    recorded_on
        Local day of the commit; nothing finer, so that the time a computation took stays inside.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: int = Field(strict=True, ge=1, le=2**53)
    previous: Digest
    release_id: Digest
    terms: Terms
    charge: Charge
    sampler: Sampler
    result_sha256: Digest
    result_length: int = Field(strict=True, ge=1, le=2**53)
    commitment: Digest
    recorded_on: date

    def problem(self) -> str:
        """Return what contradicts itself in this entry, or nothing."""
        terms = self.terms
        if terms.release_id() != self.release_id:
            return "its terms are not what its id says"
        if self.charge != charge(terms.bounds, terms.first_day, terms.last_day, terms.by_period):
            return "its charge is not what its terms cost"
        return ""

    def to_bytes(self) -> bytes:
        """Return the entry as canonical JSON (RFC 8785); these are the bytes that are hashed."""
        return rfc8785.dumps(self.model_dump(mode="json"))


def head_after(entry: bytes) -> str:
    """Return the head of the chain after an entry, given as canonical bytes."""
    return hashlib.sha256(b"quorate.ledger.entry.v1" + entry).hexdigest()
