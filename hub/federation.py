"""What nodes call: thin methods that check a message, call the store in a thread, and wake who waits."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import lru_cache
from typing import Any, NamedTuple

from grpc import aio

from hub.batches import batches
from hub.bell import LOOK_AGAIN, ORDERS, Bell
from hub.callers import caller, shown
from hub.chain import links_of
from hub.config import Agreement
from hub.contacts import greeted, seen
from hub.errors import Conflict, HubRefusal, Malformed, require_name
from hub.period_keys import PeriodKeyCalls
from hub.pieces import Put
from hub.releases import judge, largest_contribution
from hub.renewal import Renewals
from hub.store import Store
from privacy.errors import UsageProblem
from quorate.contract.identity import Identity
from quorate.contract.order import CHUNK, ENTRY_TYPE, ORDER_TYPE
from quorate.contract.signing import countersigned, from_json, signed, to_json, verified
from quorate.contract.statements import HEAD_TYPE, MOST_ENTRIES, REFUSAL_TYPE, Head, Refusal
from quorate.v1 import federation_pb2 as fed

log = logging.getLogger("quorate.hub")
Context = aio.ServicerContext[Any, Any]
LONGEST_POLL = 30
#: Pieces that are kept at once.
BATCH = 8
#: Threads that keep pieces: whoever waits for a disk leaves its turn to one more than there are cores.
KEEPERS = (os.cpu_count() or 1) + 1


class Federation(PeriodKeyCalls):
    """What nodes call."""

    def __init__(
        self, own: Agreement, store: Store, bell: Bell, renewals: Renewals, lease_seconds: int
    ) -> None:
        self._own, self._store, self._bell = own, store, bell
        self._renewals, self._seconds = renewals, lease_seconds
        self._judging = asyncio.Lock()
        self._keeping = ThreadPoolExecutor(KEEPERS, "keeps pieces")
        # An order never changes, so what it allows is worked out once and not for every piece.
        self._largest = lru_cache(maxsize=4096)(self._largest_of)

    def _largest_of(self, operator: str, order: str) -> int:
        """Return how many bytes a contribution to an order can have (HubRefusal before its charge is published)."""
        return largest_contribution(self._own, self._store.charged(operator, order).terms)

    async def Heartbeat(self, request: fed.HeartbeatRequest, context: Context) -> fed.HeartbeatResponse:
        """Answer with the charter that the hub works by, and what it knows of the operator's ledger."""
        node, version = caller.get(), request.software_version
        log.info("heartbeat of %s, software %.40r", node.name, version)
        await asyncio.to_thread(greeted, self._store.database, node, version, request.clock_seconds)
        sequence, head = await asyncio.to_thread(self._store.ledger_head, node.name)
        if request.ledger_sequence < sequence:
            behind = f"says {request.ledger_sequence} entries, published {sequence}"
            await asyncio.to_thread(self._store.audit, node.uri, "ledger behind its copy", behind)
        return fed.HeartbeatResponse(
            network=self._own.charter.network,
            charter_version=self._own.charter.version,
            charter_digest=bytes.fromhex(self._own.charter_digest),
            clock_seconds=int(self._store.clock()),
            ledger_sequence=sequence,
            ledger_head=bytes.fromhex(head),
        )

    async def Renew(self, request: fed.RenewRequest, context: Context) -> fed.RenewResponse:
        """Give the caller a new certificate for its identity."""
        chain = await asyncio.to_thread(
            self._renewals.renew, request.signing_request, caller.get(), shown.get()
        )
        log.info("a new certificate for %s", caller.get().uri)
        return fed.RenewResponse(certificate_chain=chain)

    async def ProbeUpload(self, request: fed.ProbeUploadRequest, context: Context) -> fed.ProbeUploadResponse:
        """Say how many bytes came, and forget them."""
        if len(request.data) > CHUNK:
            raise Malformed(f"a piece has at most {CHUNK} bytes")
        return fed.ProbeUploadResponse(received=len(request.data))

    async def AcquireTask(self, request: fed.AcquireTaskRequest, context: Context) -> fed.AcquireTaskResponse:
        """Lease the oldest order that nobody works at, waiting for one if need be."""
        await asyncio.to_thread(seen, self._store.database, caller.get())
        loop = asyncio.get_running_loop()
        until = loop.time() + min(request.wait_seconds, LONGEST_POLL)
        who, holding = caller.get(), frozenset(map(_hex, request.holding))
        while True:
            found = await asyncio.to_thread(self._store.acquire, who.name, who.node, self._seconds, holding)
            left = until - loop.time()
            if found is not None:
                order = signed(ORDER_TYPE, found.payload, self._own.key)
                return fed.AcquireTaskResponse(task_order=order, lease=self._lease(found.token))
            if left <= 0:
                return fed.AcquireTaskResponse()
            await self._bell.wait(min(left, LOOK_AGAIN), ORDERS)

    def _lease(self, token: bytes) -> fed.Lease:
        return fed.Lease(token=token, seconds=self._seconds)

    async def RenewLease(self, request: fed.RenewLeaseRequest, context: Context) -> fed.RenewLeaseResponse:
        """Note that a node still works at an order."""
        if request.phase not in fed.Phase.values() or not request.phase:
            raise Malformed("the renewal names no phase")
        phase = fed.Phase.Name(request.phase).removeprefix("PHASE_").lower()
        order = _hex(request.order_digest)
        operator = caller.get().name
        await asyncio.to_thread(self._store.renew, operator, order, request.token, phase, self._seconds)
        return fed.RenewLeaseResponse(lease=self._lease(request.token))

    async def RefuseTask(self, request: fed.RefuseTaskRequest, context: Context) -> fed.RefuseTaskResponse:
        """Note a refusal that the operator has signed."""
        if request.reason not in fed.RefusalReason.values() or not request.reason:
            raise Malformed("the refusal names no reason")
        reason = fed.RefusalReason.Name(request.reason).removeprefix("REFUSAL_REASON_")
        operator, order = caller.get().name, _hex(request.order_digest)
        await asyncio.to_thread(self._store.order, operator, order)
        expected = Refusal(network=self._own.charter.network, operator=operator, order=order, reason=reason)
        if self._stated(request.refusal, REFUSAL_TYPE, "the refusal") != expected.to_bytes():
            raise Malformed("the signed refusal is not of this order and reason")
        statement = to_json(request.refusal)
        await asyncio.to_thread(self._store.refuse, caller.get(), order, request.token, reason, statement)
        self._bell.ring()
        return fed.RefuseTaskResponse()

    def _stated(self, statement: fed.Envelope, payload_type: str, what: str) -> bytes:
        """Return what the calling operator has signed with the key that the charter names."""
        operator = caller.get().name
        keys = {operator: self._own.charter.keys.operators[operator]}
        return verified(statement, payload_type, keys, what)

    async def PublishHead(self, request: fed.PublishHeadRequest, context: Context) -> fed.PublishHeadResponse:
        """Keep a signed head and the entries before it, and countersign it."""
        if len(request.entries) > MOST_ENTRIES:
            raise Malformed(f"at most {MOST_ENTRIES} entries are published at a time")
        try:
            head = Head.from_wire(self._stated(request.head, HEAD_TYPE, "the head"), "the head")
        except UsageProblem as error:
            raise Malformed(error.what) from error
        if (head.network, head.operator) != (self._own.charter.network, caller.get().name):
            raise Malformed("the head is of somebody else's ledger")
        countersigned_ = countersigned(request.head, self._own.key)
        kept = await asyncio.to_thread(self._publish, head, list(request.entries), to_json(countersigned_))
        return fed.PublishHeadResponse(head=from_json(kept, "the stored head"))

    def _publish(self, head: Head, entries: list[bytes], statement: bytes) -> bytes:
        return self._store.publish(head, links_of(entries), statement)

    async def FetchLedger(self, request: fed.FetchLedgerRequest, context: Context) -> fed.FetchLedgerResponse:
        """Give an operator back what it has published of its own ledger."""
        operator, most = caller.get().name, min(request.most or MOST_ENTRIES, MOST_ENTRIES)
        entries, head = await asyncio.to_thread(self._store.ledger_page, operator, request.after, most)
        return fed.FetchLedgerResponse(
            entries=entries, head=from_json(head, "the stored head") if head else None
        )

    async def FetchFactors(
        self, request: fed.FetchFactorsRequest, context: Context
    ) -> fed.FetchFactorsResponse:
        """Give an operator the weights that a release has of it."""
        require_name(request.release_id)
        payload = await asyncio.to_thread(self._store.weighted_order, caller.get().name, request.release_id)
        return fed.FetchFactorsResponse(task_order=signed(ORDER_TYPE, payload, self._own.key))

    async def PutChunk(
        self, request_iterator: AsyncIterator[fed.PutChunkRequest], context: Context
    ) -> fed.PutChunkResponse:
        """Keep pieces of a contribution, each as soon as it can be."""
        received, operator, loop = 0, caller.get().name, asyncio.get_running_loop()
        async for pieces in batches(_well_formed(request_iterator), BATCH):
            received = await loop.run_in_executor(self._keeping, self._put, operator, pieces)
        return fed.PutChunkResponse(received=received)

    def _put(self, operator: str, pieces: Sequence[_Piece]) -> int:
        order, token = pieces[0].order, pieces[0].token
        if any((piece.order, piece.token) != (order, token) for piece in pieces):
            raise Malformed("the pieces of one call are of one order and lease")
        put = [piece.checked() for piece in pieces]
        if max(piece.offset + len(piece.data) for piece in put) > self._largest(operator, order):
            raise Malformed("the contribution is larger than its cells can be")
        return self._store.put_pieces(operator, order, token, put)

    async def CommitContribution(
        self, request: fed.CommitContributionRequest, context: Context
    ) -> fed.CommitContributionResponse:
        """Accept a contribution once; the same again gets the same receipt."""
        # A large one takes several times its size in memory while it is judged, so they come one after the other.
        async with self._judging if request.length > CHUNK else nullcontext():
            receipt = await asyncio.to_thread(self._accept, caller.get(), request)
        self._bell.ring()
        return fed.CommitContributionResponse(receipt=from_json(receipt, "the stored receipt"))

    def _accept(self, node: Identity, request: fed.CommitContributionRequest) -> bytes:
        operator, order = node.name, _hex(request.order_digest)
        before = self._store.accepted(operator, order)
        if before is not None:
            if before[0] != request.sha256.hex():
                raise Conflict(
                    "another contribution was accepted for this order",
                    todo="look for a second node of this operator, or a restored ledger",
                )
            return before[1]
        held = self._store.held(operator, order)
        if (len(held.data), hashlib.sha256(held.data).digest()) != (request.length, request.sha256):
            raise HubRefusal(
                "the pieces here are not the announced contribution", todo="put the pieces again"
            )
        if request.ledger_entry.payload_type != ENTRY_TYPE:
            raise Malformed("the contribution comes without its ledger entry")
        entry = request.ledger_entry.payload
        if self._store.charged(operator, order).entry != entry:
            raise Malformed("the ledger entry is not the one that was published")
        contribution = judge(self._own, held.payload, held.data, entry, request.receipt)
        return self._store.accept(node, request.token, contribution)


async def _well_formed(requests: AsyncIterator[fed.PutChunkRequest]) -> AsyncIterator[_Piece]:
    """Let pieces through that have a size and a place that pieces have, before more of them are waited for."""
    async for request in requests:
        if request.offset % CHUNK:
            raise Malformed(
                f"a piece starts at a multiple of {CHUNK}", todo="send full pieces, only the last is shorter"
            )
        data = request.data
        if not 0 < len(data) <= CHUNK:
            raise _no_piece()
        yield _Piece(_hex(request.order_digest), request.token, request.offset, data, request.sha256)


class _Piece(NamedTuple):
    """A piece as it came; a message gives another copy of its bytes each time it is asked for them."""

    order: str
    token: bytes
    offset: int
    data: bytes
    sha256: bytes

    def checked(self) -> Put:
        """Return the piece if it is what its digest says (Malformed)."""
        digest = hashlib.sha256(self.data)
        if digest.digest() != self.sha256:
            raise _no_piece()
        return Put(self.offset, self.data, digest.hexdigest())


def _no_piece() -> Malformed:
    return Malformed(f"a piece has 1 to {CHUNK} bytes and their digest", todo="send the piece again")


def _hex(order_digest: bytes) -> str:
    if len(order_digest) != 32:
        raise Malformed("an order is named by 32 bytes of SHA-256")
    return order_digest.hex()
