"""What nodes call: thin methods that check a message, call the store in a thread, and wake who waits."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

from grpc import aio

from hub.access import caller
from hub.bell import LOOK_AGAIN, ORDERS, Bell
from hub.config import Agreement
from hub.errors import Conflict, HubRefusal, Malformed
from hub.releases import judge, largest_contribution
from hub.store import Store
from quorate.contract.order import CHUNK, ENTRY_TYPE, ORDER_TYPE, RECEIPT_TYPE, TaskOrder
from quorate.v1 import federation_pb2 as fed
from quorate.v1.federation_pb2_grpc import FederationServiceServicer

log = logging.getLogger("quorate.hub")
Context = aio.ServicerContext[Any, Any]
LONGEST_POLL = 30


class Federation(FederationServiceServicer):
    """What nodes call."""

    def __init__(self, own: Agreement, store: Store, bell: Bell) -> None:
        self._own, self._store, self._bell = own, store, bell
        self._judging = asyncio.Lock()
        # An order never changes, so what it allows is worked out once and not for every piece.
        self._largest = lru_cache(maxsize=4096)(self._largest_of)

    def _largest_of(self, operator: str, order: str) -> int:
        """Return how many bytes a contribution to an order of this operator can have."""
        payload = self._store.order(operator, order)
        return largest_contribution(self._own, TaskOrder.from_bytes(payload, "the stored order").terms)

    async def Heartbeat(self, request: fed.HeartbeatRequest, context: Context) -> fed.HeartbeatResponse:
        """Answer with the charter that the hub works by."""
        log.info("heartbeat of %s, software %.40r", caller.get().name, request.software_version)
        return fed.HeartbeatResponse(
            network=self._own.charter.network,
            charter_version=self._own.charter.version,
            charter_digest=bytes.fromhex(self._own.charter_digest),
        )

    async def AcquireTask(self, request: fed.AcquireTaskRequest, context: Context) -> fed.AcquireTaskResponse:
        """Hand out the oldest unanswered order, waiting for one if need be."""
        loop = asyncio.get_running_loop()
        until = loop.time() + min(request.wait_seconds, LONGEST_POLL)
        while True:
            payload = await asyncio.to_thread(self._store.next_order, caller.get().name)
            left = until - loop.time()
            if payload is not None:
                envelope = fed.Envelope(payload_type=ORDER_TYPE, payload=payload)
                return fed.AcquireTaskResponse(task_order=envelope)
            if left <= 0:
                return fed.AcquireTaskResponse()
            await self._bell.wait(min(left, LOOK_AGAIN), ORDERS)

    async def RefuseTask(self, request: fed.RefuseTaskRequest, context: Context) -> fed.RefuseTaskResponse:
        """Note a refusal."""
        if request.reason not in fed.RefusalReason.values() or not request.reason:
            raise Malformed("the refusal names no reason")
        reason = fed.RefusalReason.Name(request.reason).removeprefix("REFUSAL_REASON_")
        operator = caller.get().name
        await asyncio.to_thread(self._store.refuse, operator, _hex(request.order_digest), reason)
        await asyncio.to_thread(self._store.audit, caller.get().uri, f"refused an order: {reason}", "")
        self._bell.ring()
        return fed.RefuseTaskResponse()

    async def PutChunk(self, request: fed.PutChunkRequest, context: Context) -> fed.PutChunkResponse:
        """Keep one piece of a contribution."""
        if request.offset % CHUNK:
            raise Malformed(
                f"a piece starts at a multiple of {CHUNK}", todo="send full pieces, only the last is shorter"
            )
        received = await asyncio.to_thread(self._put, caller.get().name, request)
        return fed.PutChunkResponse(received=received)

    def _put(self, operator: str, request: fed.PutChunkRequest) -> int:
        data, order = request.data, _hex(request.order_digest)
        digest = hashlib.sha256(data)
        if not 0 < len(data) <= CHUNK or digest.digest() != request.sha256:
            raise Malformed(f"a piece has 1 to {CHUNK} bytes and their digest", todo="send the piece again")
        if request.offset + len(data) > self._largest(operator, order):
            raise Malformed("the contribution is larger than its cells can be")
        return self._store.put_chunk(operator, order, request.offset, data, digest.hexdigest())

    async def CommitContribution(
        self, request: fed.CommitContributionRequest, context: Context
    ) -> fed.CommitContributionResponse:
        """Accept a contribution once; the same again gets the same receipt."""
        # A large one takes several times its size in memory while it is judged, so they come one after the other.
        async with self._judging if request.length > CHUNK else nullcontext():
            receipt = await asyncio.to_thread(self._accept, caller.get().name, request)
        self._bell.ring()
        envelope = fed.Envelope(payload_type=RECEIPT_TYPE, payload=receipt)
        return fed.CommitContributionResponse(receipt=envelope)

    def _accept(self, operator: str, request: fed.CommitContributionRequest) -> bytes:
        order = _hex(request.order_digest)
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
        contribution = judge(self._own, held.payload, held.data, request.ledger_entry.payload)
        return self._store.accept(operator, contribution)


def _hex(order_digest: bytes) -> str:
    if len(order_digest) != 32:
        raise Malformed("an order is named by 32 bytes of SHA-256")
    return order_digest.hex()
