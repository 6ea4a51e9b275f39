"""How a node joins: a service at a port of its own, where who calls shows a token instead of a certificate."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from functools import partial
from typing import Any

import grpc
from grpc import aio

from hub.access import AccessInterceptor, Audit
from hub.authority import certify
from hub.config import Agreement, Home
from hub.errors import Conflict, HubRefusal, NotAllowed
from hub.invitations import Invitations
from hub.trail import NOTHING
from quorate.contract.identity import OPERATOR, Identity
from quorate.v1 import enrolment_pb2 as pb
from quorate.v1.enrolment_pb2_grpc import EnrolmentServiceServicer

log = logging.getLogger("quorate.hub")
Context = aio.ServicerContext[Any, Any]
#: So many wrong tokens in so many seconds; nobody is heard then until some time has passed.
WRONG, SECONDS = 20, 60.0
_LONGEST_TOKEN, _LONGEST_REQUEST = 200, 16_384


class TooMany(HubRefusal):
    """Too many wrong tokens came."""

    status = grpc.StatusCode.RESOURCE_EXHAUSTED
    audited = False


class Limit:
    """Counts wrong tokens of this process, and says when there were too many.

    Parameters
    ----------
    count, seconds
        So many in so long a time are borne.
    """

    def __init__(self, count: int = WRONG, seconds: float = SECONDS) -> None:
        self._count, self._seconds = count, seconds
        self._times: deque[float] = deque(maxlen=count)

    def require_room(self, now: float) -> None:
        """Refuse (TooMany) if the last `count` wrong tokens came within the time."""
        if len(self._times) == self._count and now - self._times[0] < self._seconds:
            raise TooMany("too many wrong tokens came here", todo="wait a minute, and try again")

    def note(self, now: float) -> None:
        """Count a wrong token."""
        self._times.append(now)


class Enrolment(EnrolmentServiceServicer):
    """What somebody without a certificate calls.

    Parameters
    ----------
    home, own
        The hub's directory with the authority's key, and what the hub works by.
    invitations
        Who was invited.
    audit
        Called with (who, what, detail).
    """

    def __init__(self, home: Home, own: Agreement, invitations: Invitations, audit: Audit) -> None:
        self._home, self._own, self._invitations, self._audit = home, own, invitations, audit
        self._limit = Limit()

    async def Enrol(self, request: pb.EnrolRequest, context: Context) -> pb.EnrolResponse:
        """Exchange a token for a certificate, charter and zoning."""
        self._limit.require_room(time.monotonic())
        try:
            _require_short(request)
            chain, identity = await asyncio.to_thread(
                self._invitations.spend, request.token, request.signing_request, partial(certify, self._home)
            )
        except (NotAllowed, Conflict):
            self._limit.note(time.monotonic())
            raise
        await self._audit(identity.uri, "enrolled", context.peer(), NOTHING)
        return pb.EnrolResponse(
            certificate_chain=chain, charter=self._own.charter.to_bytes(), zoning=self._own.zoning.to_bytes()
        )


def _require_short(request: pb.EnrolRequest) -> None:
    if len(request.token) > _LONGEST_TOKEN or len(request.signing_request) > _LONGEST_REQUEST:
        raise NotAllowed("the message is longer than a token and a signing request can be")


#: Who enrols has no identity yet.
_NOBODY = Identity("", OPERATOR)


class EnrolmentInterceptor(AccessInterceptor):
    """Turns errors into statuses and audits them; the token says who is let in."""

    async def admit(self, method: str, context: aio.ServicerContext[Any, Any]) -> Identity:
        """Let everybody try; only the one method is served at this port. Who is nobody counts as one caller."""
        return _NOBODY

    def who(self, context: aio.ServicerContext[Any, Any]) -> str:
        """Return the address that a call comes from."""
        return context.peer()
