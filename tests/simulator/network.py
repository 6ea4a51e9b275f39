"""The network between nodes and hub, in memory: each call may be lost at a named point, or come again later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, NoReturn

import grpc
from google.protobuf.message import Message

from hub.access import status_of
from privacy.errors import QuorateError
from quorate.contract.identity import Identity
from quorate.contract.transport import TODO_KEY
from tests.simulator.hub import Hub, HubDied
from tests.simulator.process import Pause
from tests.wire.examples import message_class, methods

REQUESTS = {name: message_class(request) for name, request, _response, _streamed in methods()}


class Fault(StrEnum):
    """Where a call goes wrong."""

    NONE = "none"
    DROPPED = "before handling"
    FILE_KEPT = "file kept"
    PIECES_LEFT = "pieces left"
    DIED = "after handling"
    REPLY_LOST = "reply lost"


#: Faults with which the hub's process ends.
DEADLY = frozenset({Fault.FILE_KEPT, Fault.PIECES_LEFT, Fault.DIED})


@dataclass(frozen=True)
class Sent:
    """A call as a node made it: by whom, of which method, with which messages."""

    who: Identity
    method: str
    messages: tuple[bytes, ...]
    streamed: bool = False

    @property
    def name(self) -> str:
        """The method without its service."""
        return self.method.rsplit("/", 1)[1]

    def read(self) -> list[Any]:
        """Return fresh messages, as the other side would read them."""
        return [REQUESTS[self.method].FromString(data) for data in self.messages]


class _Item(NamedTuple):
    key: str
    value: str


class CallFailed(grpc.RpcError):
    """A call that ended with a status."""

    def __init__(self, code: grpc.StatusCode, details: str, todo: str = "") -> None:
        super().__init__(f"{code.name}: {details}")
        self._code, self._details, self._todo = code, details, todo

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> Any:
        return (_Item(TODO_KEY, self._todo),)

    def result(self, timeout: float | None = None) -> NoReturn:
        raise self


class Network:
    """Everything between the nodes and one hub.

    Parameters
    ----------
    hub
        Answers.
    watch
        Sees every call when it leaves its node.

    Attributes
    ----------
    fault
        Of the next call.
    down
        Whether the hub cannot be reached at all.
    sent
        Every call that was ever made, oldest first.
    handled
        Those that the hub has answered well since it was restored last, oldest first.
    """

    def __init__(self, hub: Hub, watch: Callable[[Sent], None]) -> None:
        self.hub, self._watch = hub, watch
        self.fault, self.down = Fault.NONE, False
        self.sent: list[Sent] = []
        self.handled: list[Sent] = []
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        """End the threads that calls were handled in."""
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def call(self, sent: Sent) -> bytes:
        """Make a call of a node; return the answer's bytes (CallFailed)."""
        self._watch(sent)
        self.sent.append(sent)
        fault, self.fault = self.fault, Fault.NONE
        if fault is Fault.DROPPED:
            raise _unavailable("the request was dropped")
        try:
            self.hub.dies_at = fault
            answer = self.deliver(sent)
        except HubDied:
            self.hub.restart()
            raise _unavailable("the hub died within the call") from None
        finally:
            self.hub.dies_at = ""
        if fault in DEADLY:
            self.hub.restart()
        if fault is not Fault.NONE:
            raise _unavailable("the reply was lost")
        return answer

    def deliver(self, sent: Sent) -> bytes:
        """Have the hub handle a call, which may be an old one (CallFailed)."""
        return self.together([sent])[0]

    def again(self, sent: Sent) -> grpc.StatusCode:
        """Have the hub handle a call that nobody waits for any more; return its status."""
        try:
            self.deliver(sent)
        except CallFailed as error:
            return error.code()
        return grpc.StatusCode.OK

    def together(self, calls: Sequence[Sent]) -> list[bytes]:
        """Have the hub handle calls at the same time; return the answers' bytes (CallFailed of the first)."""
        if self.down:
            raise _unavailable("the hub does not answer")
        return self._loop.run_until_complete(self._all(calls))

    async def _all(self, calls: Sequence[Sent]) -> list[bytes]:
        return await asyncio.gather(*map(self._handle, calls))

    async def _handle(self, sent: Sent) -> bytes:
        read = sent.read()
        try:
            answer: Message = await self.hub.handle(
                sent.who, sent.method, _stream(read) if sent.streamed else read[0]
            )
        except QuorateError as error:
            raise CallFailed(status_of(error), error.what, error.todo) from error
        self.handled.append(sent)
        return answer.SerializeToString()

    def channel(self, who: Identity, pause: Pause) -> grpc.Channel:
        """Return a channel of a node, which comes to a point with the name of the method before each call."""
        return _Channel(self, who, pause)


def _unavailable(details: str) -> CallFailed:
    return CallFailed(grpc.StatusCode.UNAVAILABLE, details)


async def _stream(messages: Iterable[Any]) -> AsyncIterator[Any]:
    for message in messages:
        yield message


class _Answered:
    """A call that has ended, as gRPC shows it."""

    def __init__(self, outcome: Any) -> None:
        self._outcome = outcome

    def result(self, timeout: float | None = None) -> Any:
        if isinstance(self._outcome, CallFailed):
            raise self._outcome
        return self._outcome

    def cancel(self) -> bool:
        return False

    def add_done_callback(self, called: Callable[[Any], object]) -> None:
        called(self)


@dataclass(frozen=True)
class _Method:
    """Makes calls of one method."""

    network: Network
    who: Identity
    pause: Pause
    method: str
    streamed: bool
    read: Callable[[bytes], Any]

    def future(self, request: Any, **how: Any) -> _Answered:
        requests = list(request) if self.streamed else [request]
        messages = tuple(message.SerializeToString() for message in requests)
        sent = Sent(self.who, self.method, messages, self.streamed)
        self.pause(sent.name)
        try:
            return _Answered(self.read(self.network.call(sent)))
        except CallFailed as error:
            return _Answered(error)


class _Channel(grpc.Channel):
    """A channel for calls with one answer."""

    def __init__(self, network: Network, who: Identity, pause: Pause) -> None:
        self._parts = network, who, pause

    def unary_unary(self, method: str, _write: Any = None, read: Any = None, *more: Any) -> Any:
        return _Method(*self._parts, method, streamed=False, read=read)

    def stream_unary(self, method: str, _write: Any = None, read: Any = None, *more: Any) -> Any:
        return _Method(*self._parts, method, streamed=True, read=read)

    def subscribe(self, *arguments: Any, **more: Any) -> NoReturn:
        raise NotImplementedError

    unsubscribe = unary_stream = stream_stream = subscribe

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> _Channel:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing is held."""
