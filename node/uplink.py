"""The node's calls to the hub: it dials out, retries what is safe to retry, and nothing else."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
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

from privacy.errors import PeerProblem, Refused, UsageProblem
from privacy.ledger import Recorded
from quorate.contract.canonical import digest
from quorate.contract.order import CHUNK, ENTRY_TYPE, Receipt
from quorate.contract.transport import explained
from quorate.v1 import federation_pb2 as pb
from quorate.v1.federation_pb2_grpc import FederationServiceStub

_Answer = TypeVar("_Answer")
CALL_SECONDS = 20.0


class Stopped(Exception):
    """The daemon was asked to stop."""


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
        self._stub = FederationServiceStub(channel)
        self._address, self._stop, self._warn = address, stop, warn
        self._pending: Any = None

    def cancel(self) -> None:
        """End the call that is waiting, if there is one (from a signal handler)."""
        self._stop.set()
        if self._pending is not None:
            self._pending.cancel()

    def hello(self, version: str, head: tuple[int, str], patience: float) -> pb.HeartbeatResponse:
        """Say that the node is there; give up after `patience` seconds without an answer."""
        sequence, hash_ = head
        request = pb.HeartbeatRequest(
            software_version=version, ledger_sequence=sequence, ledger_head=bytes.fromhex(hash_)
        )
        return self._call(lambda: self._stub.Heartbeat.future(request, timeout=CALL_SECONDS), patience)

    def next_order(self, wait_seconds: int) -> bytes | None:
        """Wait for an order; return its bytes as they were hashed, or None if there is nothing to do."""
        request = pb.AcquireTaskRequest(wait_seconds=wait_seconds)
        timeout = wait_seconds + CALL_SECONDS
        response = self._call(lambda: self._stub.AcquireTask.future(request, timeout=timeout))
        return response.task_order.payload if response.HasField("task_order") else None

    def refuse(self, order_digest: bytes, reason: pb.RefusalReason.ValueType) -> None:
        """Tell the hub that this node says no."""
        request = pb.RefuseTaskRequest(order_digest=order_digest, reason=reason)
        self._call(lambda: self._stub.RefuseTask.future(request, timeout=CALL_SECONDS))

    def upload(self, order_digest: bytes, recorded: Recorded) -> Receipt:
        """Send a recorded release and return the hub's receipt; what the hub has already is not sent again.

        Raises
        ------
        Refused
            If the hub refuses, or its receipt is for something else.
        """
        data, offset = recorded.result, 0
        while offset < len(data):
            held = self._put(order_digest, offset, data[offset : offset + CHUNK])
            if not offset < held <= len(data):
                raise Refused(
                    "the hub counts more or fewer bytes than were sent", todo="report it to the hub operator"
                )
            offset = held
        return self.commit(order_digest, recorded)

    def commit(self, order_digest: bytes, recorded: Recorded) -> Receipt:
        """Complete a contribution whose pieces the hub has; return its receipt, the same one every time (Refused)."""
        data = recorded.result
        envelope = pb.Envelope(payload_type=ENTRY_TYPE, payload=recorded.entry)
        request = pb.CommitContributionRequest(
            order_digest=order_digest,
            sha256=hashlib.sha256(data).digest(),
            length=len(data),
            ledger_entry=envelope,
        )
        response = self._call(lambda: self._stub.CommitContribution.future(request, timeout=CALL_SECONDS))
        try:
            receipt = Receipt.from_wire(response.receipt.payload, "the receipt")
        except UsageProblem as error:
            raise Refused(error.what, todo="report it to the hub operator") from error
        if (receipt.order, receipt.result_sha256, receipt.ledger_head) != (
            order_digest.hex(),
            digest(data),
            recorded.head,
        ):
            raise Refused("the hub's receipt is not for what was sent", todo="report it to the hub operator")
        return receipt

    def _put(self, order_digest: bytes, offset: int, data: bytes) -> int:
        request = pb.PutChunkRequest(
            order_digest=order_digest, offset=offset, data=data, sha256=hashlib.sha256(data).digest()
        )
        return self._call(lambda: self._stub.PutChunk.future(request, timeout=CALL_SECONDS)).received

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
        call = self._pending = start()
        try:
            return call.result()
        finally:
            self._pending = None

    def _wait(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def _before_sleep(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, grpc.RpcError):
            problem: PeerProblem | Exception = explained(error, self._address)
            self._warn(f"{problem}; trying again")


def _unavailable(error: BaseException) -> bool:
    """Return whether a call may be made again: nobody answered, or not in time; every call is idempotent."""
    passing = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    return isinstance(error, grpc.RpcError) and error.code() in passing
