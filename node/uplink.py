"""The node's calls to the hub: it dials out, retries what is safe to retry, and nothing else."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date
from typing import Any, TypeVar

import grpc
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    stop_any,
    wait_random_exponential,
)

from node.lease import LeaseLost
from node.pace import Pace
from node.stopping import Stopped
from privacy.errors import PeerProblem, Refused
from privacy.ledger import Recorded
from privacy.ledger.anchor import Position
from quorate.contract.order import CHUNK, ENTRY_TYPE
from quorate.contract.requests import RequestIds
from quorate.contract.transport import explained
from quorate.v1 import federation_pb2 as pb
from quorate.v1.federation_pb2_grpc import FederationServiceStub

_Answer = TypeVar("_Answer")
CALL_SECONDS = 20.0
#: What the hub answers to the renewal of a lease that is not this node's any more.
_LOST = {grpc.StatusCode.ABORTED, grpc.StatusCode.ALREADY_EXISTS}


class Uplink:
    """Calls to the hub over one channel.

    Parameters
    ----------
    channel
        Open channel.
    address
        For messages.
    stop
        Set when the daemon must stop; waiting ends then.
    warn
        Called with an explanation before each wait for a retry.
    """

    def __init__(
        self, channel: grpc.Channel, address: str, stop: threading.Event, warn: Callable[[str], None]
    ) -> None:
        self._stub = FederationServiceStub(grpc.intercept_channel(channel, RequestIds()))
        self._address, self._stop, self.warn = address, stop, warn
        self._pending: set[grpc.Future[Any]] = set()

    def cancel(self) -> None:
        """End the calls that wait (from another thread)."""
        self._stop.set()
        for call in tuple(self._pending):
            call.cancel()

    def hello(self, version: str, head: Position, patience: float | None = None) -> pb.HeartbeatResponse:
        """Say that the node is there; give up after `patience` seconds without an answer, if that is given."""
        sequence, hash_ = head
        request = pb.HeartbeatRequest(
            software_version=version,
            ledger_sequence=sequence,
            ledger_head=bytes.fromhex(hash_),
            clock_seconds=int(time.time()),
        )
        return self._call(lambda: self._stub.Heartbeat.future(request, timeout=CALL_SECONDS), patience)

    def next_order(self, wait_seconds: int, holding: Collection[bytes] = ()) -> pb.AcquireTaskResponse | None:
        """Wait for an order that is not held; return it with its lease, or None if there is nothing to do."""
        request = pb.AcquireTaskRequest(wait_seconds=wait_seconds, holding=holding)
        timeout = wait_seconds + CALL_SECONDS
        response = self._call(lambda: self._stub.AcquireTask.future(request, timeout=timeout))
        return response if response.HasField("task_order") else None

    def renew(self, order_digest: bytes, token: bytes, phase: pb.Phase.ValueType) -> None:
        """Say once that this node still works at an order; may be called from another thread.

        Raises
        ------
        LeaseLost
            If another node has the order, or it was answered.
        QuorateError
            If the hub says no otherwise, or does not answer.
        """
        request = pb.RenewLeaseRequest(order_digest=order_digest, token=token, phase=phase)
        try:
            self._stub.RenewLease(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            told = explained(error, self._address)
            raise LeaseLost(told.what) if error.code() in _LOST else told from error

    def refuse(self, request: pb.RefuseTaskRequest) -> None:
        """Tell the hub that this node says no."""
        self._call(lambda: self._stub.RefuseTask.future(request, timeout=CALL_SECONDS))

    def publish(self, head: pb.Envelope, entries: Sequence[bytes]) -> pb.Envelope:
        """Publish a signed head and the entries before it; return what the hub says to it."""
        request = pb.PublishHeadRequest(head=head, entries=entries)
        return self._call(lambda: self._stub.PublishHead.future(request, timeout=CALL_SECONDS)).head

    def ledger_after(self, sequence: int, patience: float | None = None) -> pb.FetchLedgerResponse:
        """Return a page of what the hub holds of this operator's ledger after an entry; patience as of `hello`."""
        request = pb.FetchLedgerRequest(after=sequence)
        return self._call(lambda: self._stub.FetchLedger.future(request, timeout=CALL_SECONDS), patience)

    def factors(self, release_id: str, patience: float | None = None) -> pb.Envelope:
        """Return the order that has this operator's weights in a release; patience as of `hello`."""
        request = pb.FetchFactorsRequest(release_id=release_id)
        return self._call(
            lambda: self._stub.FetchFactors.future(request, timeout=CALL_SECONDS), patience
        ).task_order

    def period_key(self, product: str, days: tuple[date, date]) -> pb.Envelope | None:
        """Return the package with the period key that counts, as the hub has it, or None if it has none yet."""
        request = pb.GetPeriodKeyRequest(
            product_id=product, first_day=days[0].isoformat(), last_day=days[1].isoformat()
        )
        answer = self._call(lambda: self._stub.GetPeriodKey.future(request, timeout=CALL_SECONDS))
        return answer.package if answer.HasField("package") else None

    def put_period_key(self, package: pb.Envelope) -> pb.Envelope:
        """Give the hub a package with a period key; return the one that counts, which may be another's."""
        request = pb.PutPeriodKeyRequest(package=package)
        return self._call(lambda: self._stub.PutPeriodKey.future(request, timeout=CALL_SECONDS)).package

    def upload(
        self, order_digest: bytes, token: bytes, recorded: Recorded, receipt: pb.Envelope
    ) -> pb.Envelope:
        """Send a recorded release and return the hub's receipt; what the hub has already is not sent again.

        Raises
        ------
        Refused
            If the hub refuses, or counts other bytes.
        """
        data, offset, pace = recorded.result, 0, Pace()
        while offset < len(data):
            held = self._put(order_digest, token, data, offset, pace)
            if not offset < held <= len(data):
                raise Refused(
                    "the hub counts more or fewer bytes than were sent", todo="report it to the hub operator"
                )
            offset = held
        return self.commit(order_digest, token, recorded, receipt)

    def commit(
        self, order_digest: bytes, token: bytes, recorded: Recorded, receipt: pb.Envelope
    ) -> pb.Envelope:
        """Complete a contribution whose pieces the hub has; return its receipt, the same one every time (Refused)."""
        data = recorded.result
        envelope = pb.Envelope(payload_type=ENTRY_TYPE, payload=recorded.entry)
        request = pb.CommitContributionRequest(
            order_digest=order_digest,
            sha256=hashlib.sha256(data).digest(),
            length=len(data),
            ledger_entry=envelope,
            token=token,
            receipt=receipt,
        )
        return self._call(lambda: self._stub.CommitContribution.future(request, timeout=CALL_SECONDS)).receipt

    def _put(self, order_digest: bytes, token: bytes, data: bytes, offset: int, pace: Pace) -> int:
        """Send some pieces from a place on, fewer at every attempt; return how many bytes the hub holds then."""

        def start() -> grpc.Future[pb.PutChunkResponse]:
            pieces = pieces_of(order_digest, token, data, offset, pace.next())
            return self._stub.PutChunk.future(pieces, timeout=CALL_SECONDS)

        held = self._call(start).received
        pace.done()
        return held

    def _call(self, start: Callable[[], grpc.Future[_Answer]], patience: float | None = None) -> _Answer:
        """Make a call; on UNAVAILABLE again after 0.5–10 s with jitter, until it works or is stopped."""
        stops: list[Any] = [lambda _state: self._stop.is_set()]
        if patience is not None:
            stops.append(stop_after_delay(patience))
        retrying = Retrying(
            retry=retry_if_exception(_unavailable),
            wait=wait_random_exponential(multiplier=0.5, min=0.5, max=10),
            stop=stop_any(*stops),
            before_sleep=self._before_sleep,
            sleep=self._wait,
            reraise=True,
        )
        try:
            answer: _Answer = retrying(self._once, start)
        except grpc.RpcError as error:
            if self._stop.is_set():
                raise Stopped from error
            raise explained(error, self._address) from error
        except grpc.FutureCancelledError as error:
            raise Stopped from error
        return answer

    def _once(self, start: Callable[[], grpc.Future[_Answer]]) -> _Answer:
        if self._stop.is_set():
            raise Stopped
        call = start()
        self._pending.add(call)
        if self._stop.is_set():  # since it was looked at
            call.cancel()
        try:
            return call.result()
        finally:
            self._pending.discard(call)

    def _wait(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def _before_sleep(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, grpc.RpcError):
            problem: PeerProblem | Exception = explained(error, self._address)
            self.warn(f"{problem}; trying again")


def _unavailable(error: BaseException) -> bool:
    """Return whether a call may be made again: nobody answered, or not in time; every call is idempotent."""
    passing = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    return isinstance(error, grpc.RpcError) and error.code() in passing


def pieces_of(
    order_digest: bytes, token: bytes, data: bytes, offset: int, most: int
) -> Iterator[pb.PutChunkRequest]:
    """Yield at most so many pieces of a contribution, from a place on."""
    for place in range(offset, min(offset + most * CHUNK, len(data)), CHUNK):
        piece = data[place : place + CHUNK]
        yield pb.PutChunkRequest(
            order_digest=order_digest,
            offset=place,
            data=piece,
            sha256=hashlib.sha256(piece).digest(),
            token=token,
        )
