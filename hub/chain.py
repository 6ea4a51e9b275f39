"""The hub's copy of an operator's ledger, without I/O: what is published continues what was published before.

The first entries that an operator ever publishes may begin anywhere, because a ledger may have been pruned. From then
on every entry names the head before it. So a ledger that was restored from a backup shows as one that ends before the
hub's copy does, and one that goes another way as another entry at the same place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.errors import Conflict, HubRefusal, Malformed
from privacy.ledger.anchor import Position
from privacy.ledger.entry import Entry, head_after
from privacy.ledger.forfeit import Record, record_of


@dataclass(frozen=True)
class Link:
    """One entry: its place, the heads before and after it, its bytes, and the release that it charges, if any."""

    sequence: int
    head: str
    entry: bytes
    release_id: str | None
    previous: str


def links_of(entries: Sequence[bytes]) -> list[Link]:
    """Return entries as links of one chain, in order.

    Raises
    ------
    Malformed
        If one cannot be read, is not in canonical form, or does not continue the one before it.
    """
    links: list[Link] = []
    for raw in entries:
        record = _record(raw)
        if links and (record.sequence, record.previous) != (links[-1].sequence + 1, links[-1].head):
            raise Malformed("the entries are not one chain", todo="send them in the order of the ledger")
        release_id = record.release_id if isinstance(record, Entry) else None
        links.append(Link(record.sequence, head_after(raw), raw, release_id, record.previous))
    return links


def unknown(links: Sequence[Link], known: Position, heads: Mapping[int, str]) -> list[Link]:
    """Return the links that continue a chain beyond what is known of it.

    Parameters
    ----------
    links
        Of one chain.
    known
        Where the known part ends; sequence 0 if nothing is known.
    heads
        Known heads at the sequences of the links, as far as there are any.

    Raises
    ------
    Conflict
        If an entry is another one than was published at its place.
    HubRefusal
        If there are entries in between that were not published.
    """
    for link in links:
        if heads.get(link.sequence, link.head) != link.head:
            raise forked(link.sequence)
    new = [link for link in links if link.sequence > known[0]]
    if new and known[0]:
        if new[0].sequence != known[0] + 1:
            raise HubRefusal(
                f"the hub knows {known[0]} entries of this ledger",
                todo=f"publish the entries from {known[0] + 1} on",
            )
        if new[0].previous != known[1]:
            raise forked(known[0])
    return new


def forked(sequence: int) -> Conflict:
    """Return what is raised of a ledger that is not the one that was published before."""
    return Conflict(
        f"another entry was published as number {sequence} of this ledger",
        means="the ledger was restored from a backup and used, or two nodes have ledgers of their own",
        todo="stop the node; look for a second ledger, and restore this one from its witness",
    )


def _record(raw: bytes) -> Record:
    try:
        record = record_of(raw)
        canonical = record.to_bytes()
    except ValueError as error:
        raise Malformed("a ledger entry is malformed") from error
    if canonical != raw:
        raise Malformed("a ledger entry is not in canonical form")
    return record
