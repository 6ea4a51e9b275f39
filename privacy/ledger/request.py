"""What a release is to the ledger: the request before it is recorded, and the record afterwards."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import get_args

from privacy.errors import PrivacyProblem
from privacy.ledger.anchor import Position
from privacy.ledger.entry import Entry
from privacy.ledger.soundness import terms_problem
from privacy.noise import Sampler
from privacy.terms import Terms

#: Called with the name of each point that tests make fail.
Seam = Callable[[str], None]


def no_seam(_point: str) -> None:
    """Do nothing; tests pass a function that fails at a named point instead."""


def require_nonce(nonce: str) -> None:
    """Refuse a nonce that cannot be stored as text (PrivacyProblem)."""
    try:
        stored = isinstance(nonce, str) and bool(nonce.encode())
    except UnicodeEncodeError:
        stored = False
    if not stored:
        raise PrivacyProblem("the nonce of an order is not a text that can be stored")


@dataclass(frozen=True)
class Request:
    """A release that is ready to be recorded.

    Attributes
    ----------
    terms
        What is released; what it costs follows from them.
    nonce
        Of the order that asked; may be used for these terms only.
    result
        Noised bytes exactly as they will leave.
    snapshot
        SHA-256 of the data snapshot; enters the ledger only as a commitment.
    samplers
        Which sampler drew the noise of each level.
    """

    terms: Terms
    nonce: str
    result: bytes
    snapshot: bytes
    samplers: tuple[Sampler, ...] = ("opendp",)

    def require_sound(self) -> None:
        """Refuse a request that cannot be recorded (PrivacyProblem)."""
        if not isinstance(self.terms, Terms):
            raise PrivacyProblem("a release without terms cannot be recorded")
        if type(self.result) is not bytes or type(self.snapshot) is not bytes:
            raise PrivacyProblem("the result and the digest of the snapshot of a release are bytes")
        require_nonce(self.nonce)
        if not self.result:
            raise PrivacyProblem("a release without bytes cannot be recorded")
        if len(self.samplers) != len(self.terms.levels):
            raise PrivacyProblem("it is not said which sampler drew the noise of each level")
        if not all(sampler in get_args(Sampler) for sampler in self.samplers):
            raise PrivacyProblem("the noise was drawn by a sampler that is not known")
        if problem := terms_problem(self.terms):
            raise PrivacyProblem(
                f"the release cannot be recorded: {problem}",
                means="what it would cost is not what it would reveal; nothing was charged or sent",
                todo="report it as a defect, with the product of the charter",
            )

    def entry(self, position: Position, today: date) -> tuple[Entry, bytes]:
        """Return the next entry of a chain, and the opening of its commitment to the data."""
        if not isinstance(today, date) or isinstance(today, datetime):
            raise PrivacyProblem("the day on which a release is recorded is not a day")
        opening = os.urandom(32)
        entry = Entry(
            sequence=position[0] + 1,
            previous=position[1],
            release_id=self.terms.release_id(),
            terms=self.terms,
            charge=self.terms.charge(),
            samplers=self.samplers,
            result_sha256=hashlib.sha256(self.result).hexdigest(),
            result_length=len(self.result),
            commitment=hashlib.sha256(b"quorate.snapshot.v1" + opening + self.snapshot).hexdigest(),
            recorded_on=today,
        )
        return entry, opening


@dataclass(frozen=True)
class Recorded:
    """A release as the ledger holds it: the entry as it was hashed, the head after it, and the bytes."""

    entry: bytes
    head: str
    result: bytes
