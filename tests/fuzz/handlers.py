"""The hub's handlers without the network: bytes in, status out, as `hub.access` would answer them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError, Message

from hub.access import status_of
from hub.bell import Bell
from hub.callers import caller, shown
from hub.config import Agreement
from hub.federation import Federation
from hub.renewal import Renewals
from hub.statistics import Statistics
from hub.store import Store
from privacy.errors import QuorateError
from quorate.contract.identity import OFFICE, OPERATOR, Identity
from quorate.v1 import federation_pb2 as fed
from tests.support_hub import NETWORK, issue, write_hub_home
from tests.support_peers import FEDERATION, SENT, STREAMED
from tests.wire.examples import message_class, methods

TYPES = {name: request for name, request, _response, _streamed in methods()}
REQUESTS = {name: message_class(request) for name, request in TYPES.items()}


@dataclass
class Handlers:
    """A hub's handlers over a real store, called by one operator and one office."""

    own: Agreement
    store: Store
    operator: str = "west"
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        bell, self._loop = Bell(), asyncio.new_event_loop()
        self._home = TemporaryDirectory()
        home = write_hub_home(Path(self._home.name), self.own)
        renewals = Renewals(home, self.store.certificates)
        self._shown = issue(home, Identity(NETWORK, OPERATOR, self.operator))
        self._federation = Federation(self.own, self.store, bell, renewals, lease_seconds=60)
        self._statistics = Statistics(self.own, self.store, bell)

    def close(self) -> None:
        """End the threads that the handlers used."""
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self._home.cleanup()

    def send(self, method: str, data: bytes) -> str:
        """Return the name of the status that some bytes get; any other error than a typed one is raised.

        A call that would wait is asked not to, and of a stream the first answer is enough.
        """
        try:
            request = REQUESTS[method].FromString(data)
        except DecodeError:
            status = "not protobuf"
        else:
            if isinstance(request, fed.AcquireTaskRequest):
                request.wait_seconds = 0
            status = self._loop.run_until_complete(self._handle(method, request)).name
        self.counts[method.rsplit("/", 1)[1], status] += 1
        return status

    async def _handle(self, method: str, request: Message) -> grpc.StatusCode:
        node = method.startswith(FEDERATION)
        caller.set(
            Identity(NETWORK, OPERATOR, self.operator) if node else Identity(NETWORK, OFFICE, "bureau")
        )
        shown.set(self._shown)
        behaviour: Any = getattr(self._federation if node else self._statistics, method.rsplit("/", 1)[1])
        try:
            found = behaviour(_alone(request) if method in SENT else request, cast("Any", None))
            if method in STREAMED:
                await anext(found)
                await found.aclose()
            else:
                await cast("Awaitable[object]", found)
        except QuorateError as error:
            return status_of(error)
        return grpc.StatusCode.OK


async def _alone(request: Message) -> AsyncIterator[Message]:
    yield request
