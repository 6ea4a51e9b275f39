"""A restored ledger gets its charges back from the hub's copy, which the operator itself has signed.

The hub cannot make charges up, change them or leave one out in the middle: the head at the end of its copy is signed
with the operator's own key. What it could do is to withhold the last entries. So the copy has to reach as far as the
hub itself says, and as far as every receipt that the node still has; and it never takes anything away.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from node.config import Home
from node.enrolment import keeper_of, load
from node.evidence import Evidence
from node.ledgers import Slowly
from node.uplink import Uplink
from privacy.errors import Refused, SignatureProblem, UsageProblem
from privacy.ledger import problems, verify
from privacy.ledger.anchor import Position
from privacy.ledger.cut import Progress
from privacy.ledger.raising import Copied, HeadAt, Raised, end_of, raise_charges
from quorate.contract.signing import from_json, verified
from quorate.contract.statements import RECEIPT_TYPE, Receipt
from quorate.contract.transport import open_channel
from quorate.v1 import federation_pb2 as pb

#: Seconds for which an answer of the hub is waited for.
PATIENCE = 30.0


@dataclass(frozen=True)
class HubsCopy:
    """The hub's copy of the operator's ledger.

    Attributes
    ----------
    uplink
        Calls to the hub.
    evidence
        Whose signature counts.
    receipted
        Largest number of an entry that the node has a receipt for.
    progress
        Called with how many entries came, and of how many.
    """

    uplink: Uplink
    evidence: Evidence
    receipted: int
    progress: Progress

    def beyond(self, ours: Position, head_at: HeadAt) -> Copied:
        """Return what the hub has beyond a ledger, after looking whether the operator has signed it.

        Raises
        ------
        LedgerProblem
            If the copy goes another way than the ledger.
        Refused
            If it is not what this operator signed, or ends too early.
        """
        answer = self.uplink.hello(version("quorate"), ours, PATIENCE)
        known = answer.ledger_sequence, answer.ledger_head.hex()
        require_recent(max(known[0], ours[0]), self.receipted)
        if known[0] <= ours[0]:
            if head_at(known[0]) not in {None, known[1]}:
                raise problems.copy_forked(known[0])
            return Copied([], known)
        return Copied(self._fetched(ours, known), known)

    def _fetched(self, ours: Position, known: Position) -> list[bytes]:
        """Fetch page after page; each has to continue the chain, and the last to end in the operator's own head."""
        entries, position, page = list[bytes](), ours, pb.FetchLedgerResponse()
        while position[0] < known[0]:
            page = self.uplink.ledger_after(position[0], PATIENCE)
            if not page.entries:
                raise _withheld(known[0], position[0])
            position = end_of(position, page.entries)
            entries += page.entries
            self.progress("fetching entries from the hub", position[0] - ours[0], known[0] - ours[0])
        if not position == known == self.evidence.own_head(page.head):
            raise Refused(
                "the hub's copy of the ledger does not end where the hub says",
                means="nothing was changed",
                todo="run the command again; if it comes again, report it to the hub operator",
            )
        return entries


def require_recent(entries: int, receipted: int) -> None:
    """Refuse a copy that ends before an entry that the hub has given a receipt for (Refused)."""
    if entries < receipted:
        raise Refused(
            f"the hub's copy ends before entry {receipted} of this ledger, for which there is a receipt",
            means="the hub withholds charges, or was restored from a backup itself; nothing was changed",
            todo="ask the hub operator for a copy up to the receipt; if there is none, see `The witness went back as "
            "well` in docs/operator.md",
        )


def _withheld(said: int, there: int) -> Refused:
    return Refused(
        f"the hub says that it has {said} entries of this ledger, and gives none after {there}",
        means="it withholds charges; nothing was changed",
        todo="report it to the hub operator",
    )


def last_receipted(receipts: Path, evidence: Evidence) -> int:
    """Return the largest number of an entry that has a receipt under both signatures; 0 if there is none."""
    found = (_entry_of(path, evidence) for path in receipts.glob("*.json"))
    return max(found, default=0)


def _entry_of(path: Path, evidence: Evidence) -> int:
    """Return the entry of a receipt; 0 of one that cannot be read, or is of other keys: it is no evidence."""
    try:
        statement = from_json(path.read_bytes(), path.name)
        said = Receipt.from_bytes(verified(statement, RECEIPT_TYPE, evidence.both, path.name), path.name)
    except (SignatureProblem, UsageProblem, OSError):
        return 0
    ours = (said.network, said.operator) == (evidence.charter.network, evidence.operator)
    return said.ledger_sequence if ours else 0


def restored_from_hub(home: Home, hub: str | None, say: Callable[[str], None], *, dry_run: bool) -> Raised:
    """Add to a ledger what its witness and the hub's copy have beyond it, and look whether it holds then.

    Parameters
    ----------
    home
        The node's directory.
    hub
        host:port, or None for the address in node.toml.
    say
        Is told how far it is.
    dry_run
        Only find out what would be added.

    Raises
    ------
    UsageProblem
        If the node is not enrolled.
    LedgerProblem
        If ledger, witness or copy do not hold or go different ways, or the ledger is in use.
    PeerProblem
        If the hub does not answer, or its copy is not what this operator signed.
    """
    own, slowly = load(home), Slowly(say)
    keeper, address = keeper_of(home, own.config), hub or own.config.hub
    evidence = Evidence(own.operator, own.charter, keeper.key)
    with (
        _place_of(home, dry_run) as path,
        open_channel(address, home.hub_root, home.key, home.certificate) as channel,
    ):
        uplink = Uplink(channel, address, threading.Event(), say)
        copy = HubsCopy(uplink, evidence, last_receipted(home.receipts, evidence), slowly)
        raised = raise_charges(
            path, own.ledger_identity, keeper, copy.beyond, dry_run=dry_run, progress=slowly
        )
        verify(path, lambda *far: slowly("checking entries", *far))
    return raised


def restored_as_text(found: Raised, dry_run: bool) -> str:
    """Return what was restored for a person."""
    count = found.from_witness + found.from_copy
    if not count:
        return (
            f"nothing to add: the ledger has {found.entries} entries, the hub's copy {found.copied} of them"
        )
    return (
        f"{'would add' if dry_run else 'added'} {count} charge(s), {found.from_witness} from the witness and "
        f"{found.from_copy} from the hub's copy of {found.copied} entries; their bytes are lost: "
        f"quorate-node ledger show names them"
    )


@contextmanager
def _place_of(home: Home, dry_run: bool) -> Iterator[Path]:
    """Yield the ledger's path; where there is none, a dry run makes none."""
    if home.ledger.exists() or not dry_run:
        yield home.ledger
        return
    with TemporaryDirectory() as scratch:
        yield Path(scratch) / home.ledger.name
