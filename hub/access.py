"""Who may call what: one table, deny by default, identity from the certificate alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from hub.errors import HubRefusal, Malformed, NotAllowed
from hub.quota import AT_ONCE, STREAMS_AT_ONCE, Lines, Places
from privacy.errors import QuorateError, ResourceProblem, SignatureProblem, UsageProblem
from quorate.contract.charter import Charter
from quorate.contract.identity import OFFICE, OPERATOR, Identity, parse_identity
from quorate.contract.transport import TODO_KEY

log = logging.getLogger("quorate.hub")
_FEDERATION, _STATISTICS = "/quorate.v1.FederationService/", "/quorate.v1.StatisticsService/"
#: The role that may call each method; a method that is not here may be called by nobody.
ROLES: Mapping[str, str] = {
    _FEDERATION + "Heartbeat": OPERATOR,
    _FEDERATION + "Renew": OPERATOR,
    _FEDERATION + "AcquireTask": OPERATOR,
    _FEDERATION + "RenewLease": OPERATOR,
    _FEDERATION + "RefuseTask": OPERATOR,
    _FEDERATION + "PublishHead": OPERATOR,
    _FEDERATION + "PutChunk": OPERATOR,
    _FEDERATION + "CommitContribution": OPERATOR,
    _STATISTICS + "ListProducts": OFFICE,
    _STATISTICS + "RequestRelease": OFFICE,
    _STATISTICS + "WatchRelease": OFFICE,
    _STATISTICS + "GetEstimates": OFFICE,
}

caller: ContextVar[Identity] = ContextVar("caller")
"""Who makes the call that is being handled."""

Audit = Callable[[str, str, str], Awaitable[None]]


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
    if ROLES.get(method) != identity.role:
        raise NotAllowed(f"{identity.uri} may not call {method}")
    if identity.role == OPERATOR and identity.name not in charter.operators:
        raise NotAllowed(
            f"operator {identity.name} is not in version {charter.version} of the charter",
            todo="ask the hub operator for a charter that names it, or correct the operator's name",
        )


def certificate_caller(context: aio.ServicerContext[Any, Any]) -> Identity:
    """Return the identity in the client certificate of a call (NotAllowed if there is none)."""
    found = [value.decode() for value in context.auth_context().get("x509_subject_alternative_name", [])]
    if len(found) != 1:
        raise NotAllowed("the client certificate does not state exactly one identity")
    try:
        return parse_identity(found[0])
    except UsageProblem as error:
        raise NotAllowed(error.what) from error


class AccessInterceptor(aio.ServerInterceptor):
    """Checks the caller of every method before it runs, and turns errors into statuses.

    Parameters
    ----------
    charter
        The network's charter.
    audit
        Called with (who, what, detail) for calls that are rejected; of many of one kind not for every one.
    """

    def __init__(self, charter: Charter, audit: Audit) -> None:
        self._charter, self._audit = charter, audit
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
        wrap = self._stream if handler.response_streaming else self._unary
        make = (
            grpc.unary_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        behaviour = handler.unary_stream if handler.response_streaming else handler.unary_unary
        # Without a deserializer gRPC hands over bytes: they are read only if their sender may call the method.
        return make(
            wrap(handler_call_details.method, behaviour, handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )

    def _unary(self, method: str, behaviour: Any, read: Callable[[bytes], Any]) -> Any:
        async def handle(request: bytes, context: aio.ServicerContext[Any, Any]) -> Any:
            try:
                with self._places.one((self._admit(method, context), method), AT_ONCE):
                    return await behaviour(_message(read, request), context)
            except QuorateError as error:
                del request
                await self._refuse(method, context, _bare(error))
            except NotImplementedError:
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this version of the hub does not do this")
            except Exception:
                log.exception("a defect in %s", method)
                await context.abort(grpc.StatusCode.INTERNAL, "a defect of the hub; its log says more")

        return handle

    def _stream(self, method: str, behaviour: Any, read: Callable[[bytes], Any]) -> Any:
        async def handle(request: bytes, context: aio.ServicerContext[Any, Any]) -> Any:
            try:
                with self._places.one((self._admit(method, context), method), STREAMS_AT_ONCE):
                    async for response in behaviour(_message(read, request), context):
                        yield response
            except QuorateError as error:
                del request
                await self._refuse(method, context, _bare(error))
            except NotImplementedError:
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this version of the hub does not do this")
            except Exception:
                log.exception("a defect in %s", method)
                await context.abort(grpc.StatusCode.INTERNAL, "a defect of the hub; its log says more")

        return handle

    def _admit(self, method: str, context: aio.ServicerContext[Any, Any]) -> Identity:
        identity = certificate_caller(context)
        require_role(method, identity, self._charter)
        caller.set(identity)
        return identity

    async def _refuse(
        self, method: str, context: aio.ServicerContext[Any, Any], error: QuorateError
    ) -> NoReturn:
        who = b",".join(context.auth_context().get("x509_subject_alternative_name", [])).decode(
            errors="replace"
        )
        # By the kind of error too, so that a caller cannot hide a conflict behind many malformed messages.
        left_out = self._lines.take((who, method, type(error)), time.monotonic())
        if left_out is not None:
            more = f"; {left_out} more like it before this were not written" if left_out else ""
            await self._audit(who, f"rejected {method.rsplit('/', 1)[-1]}", error.what[:400] + more)
        await context.abort(status_of(error), error.what, ((TODO_KEY, error.todo),))


def _bare(error: QuorateError) -> QuorateError:
    """Return an error without its frames: they hold the caller's message until the garbage collector comes by."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _message(read: Callable[[bytes], Any], data: bytes) -> Any:
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
    if isinstance(error, SignatureProblem):
        return grpc.StatusCode.PERMISSION_DENIED
    return grpc.StatusCode.INVALID_ARGUMENT if isinstance(error, UsageProblem) else grpc.StatusCode.INTERNAL
