"""The chain entry of a forfeit: from which day on there is a budget again, after nobody knows what was released."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from privacy.ledger.entry import Entry
from privacy.terms import Digest


class Forfeit(BaseModel):
    """One line of the ledger: all budgets of the days before one are given up.

    Attributes
    ----------
    kind
        Tells it from a release, which has none.
    sequence, previous
        Position in the chain, and the head before it.
    first_day
        First day that has a budget again.
    recorded_on
        Local day on which it was recorded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["forfeit"] = "forfeit"
    sequence: int = Field(strict=True, ge=1, le=2**53)
    previous: Digest
    first_day: date
    recorded_on: date

    def to_bytes(self) -> bytes:
        """Return it as canonical JSON (RFC 8785); these are the bytes that are hashed."""
        return rfc8785.dumps(self.model_dump(mode="json"))


#: Whatever can be in the chain.
Record = Entry | Forfeit
_RECORD: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(union_mode="left_to_right")])


def record_of(raw: bytes) -> Record:
    """Return what the bytes of a chain entry say (ValueError if they are none)."""
    return _RECORD.validate_json(raw)
