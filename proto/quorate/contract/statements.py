"""What an operator states under its own signature: heads of its ledger, receipts and refusals."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from pydantic import Field

from privacy.ledger.entry import Entry, head_after
from privacy.terms import Digest, Name
from quorate.contract.canonical import Document
from quorate.contract.order import TaskOrder

HEAD_TYPE = "application/vnd.quorate.ledger-head+json"
RECEIPT_TYPE = "application/vnd.quorate.receipt+json"
REFUSAL_TYPE = "application/vnd.quorate.refusal+json"
#: Most entries of a ledger in a message, and their bytes, so that it stays below 4 MiB.
MOST_ENTRIES, MOST_BYTES = 500, 3 << 20
#: Largest number of an entry.
LAST_ENTRY = 2**53


def fitting(lengths: Iterable[int]) -> int:
    """Return how many of the first entries fit into a message, by their lengths; at least one, so that it goes on."""
    return max(sum(size <= MOST_BYTES for size in accumulate(lengths)), 1)


class Head(Document):
    """Where the chain of an operator's ledger ends: number of entries, and the head after the last of them."""

    network: Name
    operator: Name
    sequence: int = Field(strict=True, ge=0, le=2**53)
    head: Digest


class Refusal(Document):
    """An operator's no to one order; `reason` is the name of a RefusalReason without its prefix."""

    network: Name
    operator: Name
    order: Digest
    reason: str = Field(pattern=r"^[A-Z_]{1,40}$")


class Receipt(Document):
    """What an operator states about a contribution: asked by whom, of which data, by which code, at what cost.

    Attributes
    ----------
    order
        Digest of the task order.
    algorithm
        Digest of the code that ran.
    commitment
        Keyed commitment to the snapshot of the data, as in the ledger entry.
    by_period, by_day
        Loss that was charged, in nano-ρ.
    ledger_sequence, ledger_head
        Where the charge is in the operator's ledger.
    """

    network: Name
    operator: Name
    order: Digest
    release_id: Digest
    algorithm: Digest
    commitment: Digest
    result_sha256: Digest
    result_length: int = Field(strict=True, ge=1, le=2**53)
    by_period: int = Field(strict=True, ge=0)
    by_day: int = Field(strict=True, ge=0)
    ledger_sequence: int = Field(strict=True, ge=1, le=2**53)
    ledger_head: Digest


def receipt_for(order: TaskOrder, order_digest: Digest, entry: Entry, entry_bytes: bytes) -> Receipt:
    """Return the only receipt that fits an order and the ledger entry of its release.

    Parameters
    ----------
    order, order_digest
        The order, and SHA-256 of its bytes.
    entry, entry_bytes
        The entry, and the bytes that were hashed.
    """
    return Receipt(
        network=order.network,
        operator=order.operator,
        order=order_digest,
        release_id=entry.release_id,
        algorithm=order.algorithm,
        commitment=entry.commitment,
        result_sha256=entry.result_sha256,
        result_length=entry.result_length,
        by_period=entry.charge.by_period,
        by_day=entry.charge.by_day,
        ledger_sequence=entry.sequence,
        ledger_head=head_after(entry_bytes),
    )
