"""The anchor: what takes the place of the entries that were pruned, so that the chain and the budgets go on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

import rfc8785
from pydantic import BaseModel, ConfigDict, Field

from privacy.calculus import LocalDay
from privacy.terms import Digest

#: Number of entries so far, and the head of the chain after the last of them.
Position = tuple[int, str]
#: Nano-ρ by (length of the window in days, its first day).
Totals = dict[tuple[int, date], int]
_Length = Annotated[int, Field(strict=True, ge=1, le=366)]
_Nano = Annotated[int, Field(strict=True, ge=1, le=2**53)]


class Anchor(BaseModel):
    """What a ledger knows of the entries that it has no more.

    Attributes
    ----------
    sequence, head
        Number of entries that were pruned, and the head of the chain after the last of them.
    first_day
        Days before it have no budget any more.
    carried
        (length in days, first day, nano-ρ) of every window that overlaps a day from `first_day` on: what the
        pruned releases have spent in it. In order.
    recorded_on
        Local day of the pruning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: int = Field(strict=True, ge=1, le=2**53)
    head: Digest
    first_day: LocalDay
    carried: tuple[tuple[_Length, LocalDay, _Nano], ...]
    recorded_on: LocalDay

    def to_bytes(self) -> bytes:
        """Return the anchor as canonical JSON (RFC 8785); these are the bytes that are signed."""
        return rfc8785.dumps(self.model_dump(mode="json"))

    @property
    def position(self) -> Position:
        """Where the chain goes on."""
        return self.sequence, self.head

    def totals(self) -> Totals:
        """Return what is carried, by window."""
        return {(length, first): nano for length, first, nano in self.carried}


@dataclass(frozen=True)
class SignedAnchor:
    """An anchor as it is stored in the ledger and as the first line of the witness.

    Attributes
    ----------
    anchor
        Canonical bytes.
    signature
        By the operator's own key; empty without one.
    """

    anchor: bytes
    signature: bytes

    def document(self) -> Anchor:
        """Return what the bytes say (ValueError if they are no anchor in canonical form)."""
        found = Anchor.model_validate_json(self.anchor)
        if found.to_bytes() != self.anchor:
            raise ValueError("the anchor is not in canonical form")
        return found


def carried_beyond(totals: Totals, first_day: date) -> Totals:
    """Return the totals of those windows that overlap a day from `first_day` on, in order."""
    return {
        (length, first): nano
        for (length, first), nano in sorted(totals.items())
        if first + timedelta(days=length - 1) >= first_day
    }
