"""What a node states under its operator's signature, and what it believes the hub."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privacy.errors import LedgerProblem, Refused, SignatureProblem, UsageProblem
from privacy.ledger import Ledger, Recorded
from privacy.ledger.anchor import Position
from privacy.ledger.entry import Entry
from quorate.contract.canonical import digest
from quorate.contract.charter import Charter
from quorate.contract.order import ORDER_TYPE, TaskOrder
from quorate.contract.signing import PublicKey, signed, verified
from quorate.contract.statements import HEAD_TYPE, RECEIPT_TYPE, REFUSAL_TYPE, Head, Refusal, receipt_for
from quorate.v1 import federation_pb2 as pb


@dataclass(frozen=True)
class Evidence:
    """One operator's key, and the charter that says whose signature counts.

    Attributes
    ----------
    operator, charter
        Whose node this is, and the operator's own copy of the charter.
    key
        The operator's signing key.
    """

    operator: str
    charter: Charter
    key: Ed25519PrivateKey

    def order(self, statement: pb.Envelope) -> bytes:
        """Return the bytes of a task order that the hub has signed (SignatureProblem)."""
        return verified(statement, ORDER_TYPE, {"the hub": self.charter.keys.hub}, "the task order")

    def refusal(self, order_digest: str, reason: str) -> pb.Envelope:
        """State a refusal."""
        said = Refusal(
            network=self.charter.network, operator=self.operator, order=order_digest, reason=reason
        )
        return signed(REFUSAL_TYPE, said.to_bytes(), self.key)

    def head(self, position: Position) -> pb.Envelope:
        """State where the ledger's chain is."""
        sequence, head = position
        said = Head(network=self.charter.network, operator=self.operator, sequence=sequence, head=head)
        return signed(HEAD_TYPE, said.to_bytes(), self.key)

    def receipt(self, order_bytes: bytes, recorded: Recorded) -> pb.Envelope:
        """State what was done for an order."""
        entry = Entry.model_validate_json(recorded.entry)
        order = TaskOrder.from_bytes(order_bytes, "the task order")
        said = receipt_for(order, digest(order_bytes), entry, recorded.entry)
        return signed(RECEIPT_TYPE, said.to_bytes(), self.key)

    def own_head(self, statement: pb.Envelope) -> Position:
        """Return what a head says that this operator signed and the hub countersigned (Refused if it is none)."""
        what = "the head of the hub's copy"
        try:
            said = Head.from_wire(verified(statement, HEAD_TYPE, self.both, what), what)
        except (SignatureProblem, UsageProblem) as error:
            raise Refused(error.what, means=error.means, todo="report it to the hub operator") from error
        if (said.network, said.operator) != (self.charter.network, self.operator):
            raise Refused(f"{what} is of another ledger", todo="report it to the hub operator")
        return said.sequence, said.head

    @property
    def both(self) -> dict[str, PublicKey]:
        """Keys of the operator and of the hub, who both sign what counts between them."""
        keys = self.charter.keys
        return {self.operator: keys.operators[self.operator], "the hub": keys.hub}

    def require_countersigned(self, ours: pb.Envelope, theirs: pb.Envelope, what: str) -> None:
        """Refuse an answer that is not our own statement with the hub's signature beside ours (Refused)."""
        try:
            payload = verified(theirs, ours.payload_type, self.both, what)
        except SignatureProblem as error:
            raise Refused(error.what, todo="report it to the hub operator") from error
        if payload != ours.payload:
            raise Refused(f"the hub countersigned another {what}", todo="report it to the hub operator")


def require_continued(ledger: Ledger, known: Position) -> None:
    """Refuse to go on with a ledger that does not continue what the hub was told of it.

    Parameters
    ----------
    ledger
        The node's own.
    known
        Number of entries that the hub has, and the head after the last of them.

    Raises
    ------
    LedgerProblem
        If the ledger ends before that, or goes another way.
    """
    sequence, head = known
    entries = ledger.head[0]
    if sequence > entries:
        raise LedgerProblem(
            f"the hub knows {sequence} entries of this ledger, which has {entries}",
            means="the ledger was restored from a backup: it would spend again what was spent after that",
            todo="stop the node and run quorate-node ledger restore with the newest witness there is, or "
            "quorate-node ledger restore --from-hub if the witness was restored as well",
        )
    own = ledger.head_at(sequence)
    if sequence and own is not None and own != head:
        raise LedgerProblem(
            f"the hub knows another entry {sequence} of this ledger",
            means="the ledger was restored from a backup and used, or another node has one of its own",
            todo="stop the node; find the other ledger, and restore this one from its witness",
        )


def reason_of(reason: pb.RefusalReason.ValueType) -> str:
    """Return a reason's name without its prefix."""
    return pb.RefusalReason.Name(reason).removeprefix("REFUSAL_REASON_")
