"""The ledger entry that records a release, and the hash chain over entries."""

from __future__ import annotations

import hashlib
from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from privacy.calculus import Charge
from privacy.ledger.soundness import terms_problem
from privacy.noise import Sampler
from privacy.terms import Digest, Terms

#: Head of a ledger without entries.
GENESIS = hashlib.sha256(b"quorate.ledger.genesis.v1").hexdigest()


class Entry(BaseModel):
    """One line of the ledger: a release, its charge, and the digest of the bytes that left for it.

    Attributes
    ----------
    sequence, previous
        Position from 1, and the head before this entry.
    release_id, terms, charge
        What was released, and what it cost.
    samplers
        Which exact sampler drew the noise of each level.
    result_sha256, result_length
        Digest and length in bytes of the noised result.
    commitment
        SHA-256(tag ‖ r ‖ snapshot digest) with a fresh 256-bit r that stays in the node: binds the operator
        to its data without telling anything about them.
    recorded_on
        Local day of the commit; nothing finer, so that the time a computation took stays inside.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: int = Field(strict=True, ge=1, le=2**53 - 1)
    previous: Digest
    release_id: Digest
    terms: Terms
    charge: Charge
    samplers: tuple[Sampler, ...] = Field(min_length=1)
    result_sha256: Digest
    result_length: int = Field(strict=True, ge=1, le=2**53 - 1)
    commitment: Digest
    recorded_on: date

    def problem(self) -> str:
        """Return what contradicts itself in this entry, or nothing."""
        if self.terms.release_id() != self.release_id:
            return "its terms are not what its id says"
        if self.charge != self.terms.charge():
            return "its charge is not what its terms cost"
        if len(self.samplers) != len(self.terms.levels):
            return "it does not say which sampler drew the noise of each level"
        return terms_problem(self.terms)

    def to_bytes(self) -> bytes:
        """Return the entry as canonical JSON (RFC 8785); these are the bytes that are hashed."""
        return self.terms.encoder()(self.model_dump(mode="json"))


def head_after(entry: bytes) -> str:
    """Return the head of the chain after an entry, given as canonical bytes."""
    return hashlib.sha256(b"quorate.ledger.entry.v1" + entry).hexdigest()
