"""Who may call what: one table, deny by default, identity from the certificate alone."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any, NoReturn

import grpc
from cryptography import x509
from google.protobuf.message import DecodeError
from grpc import aio

from hub.bell import LOOK_AGAIN
from hub.callers import caller, certificate_caller, require_in_time, shown, shown_certificate, stated_names
from hub.errors import HubRefusal, Malformed, NotAllowed
from hub.quota import AT_ONCE, STREAMS_AT_ONCE, Lines, Places
from hub.trail import NOTHING, About, about
from privacy.errors import QuorateError, ResourceProblem, SignatureProblem, UsageProblem
from quorate.contract.charter import Charter
from quorate.contract.identity import OFFICE, OPERATOR, Identity
from quorate.contract.requests import REQUEST_KEY, current_request_id
from quorate.contract.transport import TODO_KEY

log = logging.getLogger("quorate.hub")
_FEDERATION, _STATISTICS = "/quorate.v1.FederationService/", "/quorate.v1.StatisticsService/"
_HEALTH = "/grpc.health.v1.Health/"
#: Every role may call a method that has this in the table.
ANY_ROLE = "any"
#: The role that may call each method; a method that is not here may be called by nobody.
ROLES: Mapping[str, str] = {
    _FEDERATION + "Heartbeat": OPERATOR,
    _FEDERATION + "Renew": OPERATOR,
    _FEDERATION + "ProbeUpload": OPERATOR,
    _FEDERATION + "AcquireTask": OPERATOR,
    _FEDERATION + "RenewLease": OPERATOR,
    _FEDERATION + "RefuseTask": OPERATOR,
    _FEDERATION + "PublishHead": OPERATOR,
    _FEDERATION + "FetchLedger": OPERATOR,
    _FEDERATION + "PutPeriodKey": OPERATOR,
    _FEDERATION + "GetPeriodKey": OPERATOR,
    _FEDERATION + "PutChunk": OPERATOR,
    _FEDERATION + "CommitContribution": OPERATOR,
    _FEDERATION + "FetchFactors": OPERATOR,
    _STATISTICS + "ListProducts": OFFICE,
    _STATISTICS + "RequestRelease": OFFICE,
    _STATISTICS + "WatchRelease": OFFICE,
    _STATISTICS + "GetEstimates": OFFICE,
    _HEALTH + "Check": ANY_ROLE,
    _HEALTH + "List": ANY_ROLE,
    _HEALTH + "Watch": ANY_ROLE,
}

#: Calls that take their time: whether the caller is still let in is looked up again before they answer.
LONG = frozenset({_FEDERATION + "AcquireTask", _FEDERATION + "PutChunk"})

Audit = Callable[[str, str, str, About], Awaitable[None]]
Standing = Callable[[x509.Certificate], Awaitable[None]]
"""Refuses a certificate that was revoked."""


def require_role(method: str, identity: Identity, charter: Charter) -> None:
    """Refuse a caller that the table or the charter does not let in.

    Parameters
    ----------
    method
        Full name, /package.Service/Method.
    identity
        From the caller's certificate.
    charter
        The network's charter.

    Raises
    ------
    NotAllowed
        Says which rule.
    """
    if identity.network != charter.network:
        raise NotAllowed(f"{identity.uri} is not of the network {charter.network}")
    if ROLES.get(method) not in {identity.role, ANY_ROLE}:
        raise NotAllowed(f"{identity.uri} may not call {method}")
    if identity.role == OPERATOR and identity.name not in charter.operators:
        raise NotAllowed(
            f"operator {identity.name} is not in version {charter.version} of the charter",
            todo="ask the hub operator for a charter that names it, or correct the operator's name",
        )


class AccessInterceptor(aio.ServerInterceptor):
    """Checks the caller of every method before it runs, and turns errors into statuses.

    Parameters
    ----------
    charter
        The network's charter.
    audit
        Called with (who, what, detail, which release and order) for calls that are rejected; of many of one kind not
        for every one.
    standing
        Called with the certificate of every call, and again at every step of a stream.
    """

    def __init__(self, charter: Charter, audit: Audit, standing: Standing) -> None:
        self._charter, self._audit, self._standing = charter, audit, standing
        self._places, self._lines = Places(), Lines()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of a method."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method, read = handler_call_details.method, handler.request_deserializer
        # Without a deserializer gRPC hands over bytes: they are read only if their sender may call the method.
        if handler.response_streaming:
            make, wrapped = (
                grpc.unary_stream_rpc_method_handler,
                self._stream(method, handler.unary_stream, read),
            )
        elif handler.request_streaming:
            make = grpc.stream_unary_rpc_method_handler
            wrapped = self._unary(method, handler.stream_unary, partial(_messages, read))
        else:
            make = grpc.unary_unary_rpc_method_handler
            wrapped = self._unary(method, handler.unary_unary, partial(_message, read))
        return make(wrapped, response_serializer=handler.response_serializer)

    def _unary(
        self, method: str, behaviour: Any, opened: Callable[[Any], Awaitable[tuple[Any, About]]]
    ) -> Any:
        async def handle(request: Any, context: aio.ServicerContext[Any, Any]) -> Any:
            on, who = NOTHING, stated_names(context)
            try:
                with self._places.one((await self.admit(method, context), method), AT_ONCE):
                    request, on = await opened(request)
                    answer = await behaviour(request, context)
                    if method in LONG:
                        await self._standing(shown.get())
                    return answer
            except QuorateError as error:
                del request
                await self._refuse(method, context, who, _bare(error), on)
            except NotImplementedError:
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this version of the hub does not do this")
            except Exception:  # noqa: BLE001 - goes to the log, with its traceback
                await _break_off(method, context)

        return handle

    def _stream(self, method: str, behaviour: Any, read: Callable[[bytes], Any]) -> Any:
        async def handle(request: Any, context: aio.ServicerContext[Any, Any]) -> Any:
            on, who = NOTHING, stated_names(context)
            try:
                with self._places.one((await self.admit(method, context), method), STREAMS_AT_ONCE):
                    request, on = await _message(read, request)
                    async for response in self._steps(behaviour(request, context)):
                        yield response
            except QuorateError as error:
                del request
                await self._refuse(method, context, who, _bare(error), on)
            except NotImplementedError:
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this version of the hub does not do this")
            except Exception:  # noqa: BLE001 - goes to the log, with its traceback
                await _break_off(method, context)

        return handle

    async def admit(self, method: str, context: aio.ServicerContext[Any, Any]) -> Identity:
        """Refuse a caller whom the table, the charter or the revocations do not let in; return who it is."""
        identity, certificate = certificate_caller(context), shown_certificate(context)
        require_role(method, identity, self._charter)
        require_in_time(certificate)
        await self._standing(certificate)
        caller.set(identity)
        shown.set(certificate)
        return identity

    async def _steps(self, responses: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Pass a stream on while its caller is let in, which is looked up before each step and while it waits."""
        certificate = shown.get()
        while True:
            step = asyncio.ensure_future(anext(responses))
            try:
                while not step.done():
                    await asyncio.wait({step}, timeout=LOOK_AGAIN)
                    require_in_time(certificate)
                    await self._standing(certificate)
                response = step.result()
            except StopAsyncIteration:
                return
            finally:
                step.cancel()
            yield response

    async def _refuse(
        self, method: str, context: aio.ServicerContext[Any, Any], who: str, error: QuorateError, on: About
    ) -> NoReturn:
        # By the kind of error too, so that a caller cannot hide a conflict behind many malformed messages.
        left_out = self._lines.take((who, method, type(error)), time.monotonic())
        if left_out is not None and (not isinstance(error, HubRefusal) or error.audited):
            more = f"; {left_out} more like it before this were not written" if left_out else ""
            try:
                await self._audit(who, f"rejected {method.rsplit('/', 1)[-1]}", error.what[:400] + more, on)
            except ResourceProblem as failed:
                # What cannot be written down is not answered: the caller is to come again.
                log.error("rejected %s of %s, which the audit trail could not take: %s", method, who, failed)
                error = _bare(failed)
        await context.abort(
            status_of(error), error.what, ((TODO_KEY, error.todo), (REQUEST_KEY, current_request_id()))
        )


async def _break_off(method: str, context: aio.ServicerContext[Any, Any]) -> NoReturn:
    """End a call that met a defect, from its except clause; what it was is for the hub's log alone."""
    log.exception("a defect in %s", method)
    await context.abort(
        grpc.StatusCode.INTERNAL,
        "a defect of the hub; its log says more",
        ((REQUEST_KEY, current_request_id()),),
    )


def _bare(error: QuorateError) -> QuorateError:
    """Return an error without its frames: they hold the caller's message until the garbage collector comes by."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


async def _message(read: Callable[[bytes], Any], data: bytes) -> tuple[Any, About]:
    """Return a message, and what it is about."""
    request = _read(read, data)
    return request, about(request)


async def _messages(
    read: Callable[[bytes], Any], stream: AsyncIterable[bytes]
) -> tuple[AsyncIterator[Any], About]:
    """Return a stream of messages that are read as they come, and what the first is about."""
    parts = aiter(stream)
    try:
        first, on = await _message(read, await anext(parts))
    except StopAsyncIteration:
        raise Malformed("no message came") from None

    async def every() -> AsyncIterator[Any]:
        yield first
        async for data in parts:
            yield _read(read, data)

    return every(), on


def _read(read: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return read(data)
    except DecodeError:
        raise Malformed(
            "the bytes are no message of this method",
            todo="have both sides run versions that understand each other",
        ) from None


def status_of(error: QuorateError) -> grpc.StatusCode:
    """Return the gRPC status of an error; only what a later call can cure is UNAVAILABLE."""
    if isinstance(error, HubRefusal):
        return error.status
    if isinstance(error, ResourceProblem):
        return grpc.StatusCode.UNAVAILABLE
    wrong = isinstance(error, UsageProblem | SignatureProblem)
    return grpc.StatusCode.INVALID_ARGUMENT if wrong else grpc.StatusCode.INTERNAL
