"""From recorded bytes to a countersigned receipt: first the charge is published, then the bytes go."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from node.evidence import Evidence, reason_of, require_continued
from node.lease import KeptLease
from node.uplink import Uplink
from privacy.errors import QuorateError
from privacy.ledger import Ledger, Recorded
from privacy.ledger.anchor import Position
from privacy.ledger.entry import Entry
from privacy.ledger.request import Seam, no_seam
from privacy.ledger.witness_file import Line
from quorate.contract.identity import write_private
from quorate.contract.order import TaskOrder
from quorate.contract.signing import to_json
from quorate.contract.statements import MOST_ENTRIES, fitting
from quorate.v1 import federation_pb2 as pb


@dataclass(frozen=True)
class Delivery:
    """What a node needs to deliver.

    Attributes
    ----------
    uplink
        Calls to the hub.
    evidence
        What is signed, and whose signature counts.
    ledger
        Open for writing.
    receipts
        Directory of the countersigned receipts.
    version
        Of this software.
    seam
        Called with the name of each point that tests make fail.
    """

    uplink: Uplink
    evidence: Evidence
    ledger: Ledger
    receipts: Path
    version: str
    seam: Seam = no_seam

    def hello(self, patience: float | None = None) -> pb.HeartbeatResponse:
        """Say that the node is there; return what the hub works by and knows of the ledger."""
        return self.uplink.hello(self.version, self.ledger.head, patience)

    def keeping(self, task: pb.AcquireTaskResponse, lost: Callable[[], None]) -> KeptLease:
        """Return the lease of a task, to be kept while it is worked at; `lost` is called if it is lost."""
        renew = partial(self.uplink.renew, name_of(task))
        return KeptLease(task.lease, renew, self.uplink.warn, lost)

    def refuse(self, order: bytes, token: bytes, reason: pb.RefusalReason.ValueType) -> None:
        """State a refusal of an order."""
        digest = hashlib.sha256(order)
        statement = self.evidence.refusal(digest.hexdigest(), reason_of(reason))
        self.uplink.refuse(
            pb.RefuseTaskRequest(order_digest=digest.digest(), reason=reason, token=token, refusal=statement)
        )

    def publish(self) -> None:
        """Publish what the hub does not know of the ledger yet.

        Raises
        ------
        LedgerProblem
            If the hub knows more entries than there are, or others.
        Refused
            If the hub says no, or countersigns something else.
        """
        answer = self.hello()
        known = answer.ledger_sequence, answer.ledger_head.hex()
        require_continued(self.ledger, known)
        while lines := _fitting(self.ledger.published_after(known[0], MOST_ENTRIES)):
            known = self._publish(lines)

    def _publish(self, lines: list[Line]) -> Position:
        position = lines[-1].link()[0], lines[-1].head
        statement = self.evidence.head(position)
        answer = self.uplink.publish(statement, [line.entry for line in lines])
        self.evidence.require_countersigned(statement, answer, "the head")
        return position

    def deliver(self, order: bytes, token: bytes, recorded: Recorded) -> int:
        """Publish the charge, send the bytes, keep the receipt; return the place of the charge in the ledger."""
        self.publish()
        digest = hashlib.sha256(order)
        statement = self.evidence.receipt(order, recorded)
        self._keep(order, f"{digest.hexdigest()}.order")
        receipt = self.uplink.upload(digest.digest(), token, recorded, statement)
        self.seam("before receipt")
        self._keep_receipt(digest.hexdigest(), statement, receipt)
        return Entry.model_validate_json(recorded.entry).sequence

    def claim(self) -> None:
        """Get the receipts of orders that were being delivered when the node stopped.

        The hub does not hand out an order again that it holds the contribution of.
        """
        for path in sorted(self.receipts.glob("*.order")):
            try:
                self._claim(path.read_bytes(), path.stem)
            except QuorateError as error:
                # Its pieces are not all at the hub, most likely; then the order comes again.
                self.uplink.warn(f"{path.stem} is not delivered yet: {error}")

    def _claim(self, order: bytes, name: str) -> None:
        found = TaskOrder.from_wire(order, name)
        recorded = self.ledger.find(found.terms, found.nonce)
        if recorded is not None:
            statement = self.evidence.receipt(order, recorded)
            receipt = self.uplink.commit(bytes.fromhex(name), b"", recorded, statement)
            self._keep_receipt(name, statement, receipt)

    def _keep_receipt(self, name: str, ours: pb.Envelope, theirs: pb.Envelope) -> None:
        """Keep a receipt that both sides signed; after that nothing of its order is open."""
        self.evidence.require_countersigned(ours, theirs, "the receipt")
        self._keep(to_json(theirs), f"{name}.json")
        (self.receipts / f"{name}.order").unlink(missing_ok=True)

    def _keep(self, document: bytes, name: str) -> None:
        self.receipts.mkdir(mode=0o700, exist_ok=True)
        path = self.receipts / name
        if not path.exists():
            fresh = path.with_name(f".{name}")
            fresh.unlink(missing_ok=True)
            write_private(fresh, document)
            fresh.replace(path)


def name_of(task: pb.AcquireTaskResponse) -> bytes:
    """Return the SHA-256 by which an order is named."""
    return hashlib.sha256(task.task_order.payload).digest()


def _fitting(lines: list[Line]) -> list[Line]:
    """Return as many of the first entries as fit into a message, but at least one."""
    return lines[: fitting(len(line.entry) for line in lines)]
