"""Around every call: its request id for every line that is logged about it, and its place in the metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from grpc import aio
from structlog.contextvars import bind_contextvars

from hub.callers import certificate_caller
from hub.errors import NotAllowed
from hub.metrics import CALL_SECONDS, CALLS, IN_PROGRESS, RECEIVED
from quorate.contract.requests import new_request_id, request_id_in

Context = aio.ServicerContext[Any, Any]
#: Calls that wait for somebody else: their durations would tell how long others take.
WAITING = frozenset({"AcquireTask", "WatchRelease", "Watch"})
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


class CallInterceptor(aio.ServerInterceptor):
    """Names every call and counts it; must be the outermost, to see how every call ends."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of a method."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        # Methods without a handler do not come this far, so that this is one of the contract's.
        method = handler_call_details.method.rsplit("/", 1)[-1]
        if handler.response_streaming:
            make, wrapped = grpc.unary_stream_rpc_method_handler, _answers(method, handler.unary_stream)
        elif handler.request_streaming:
            make, wrapped = grpc.stream_unary_rpc_method_handler, _requests(method, handler.stream_unary)
        else:
            make, wrapped = grpc.unary_unary_rpc_method_handler, _unary(method, handler.unary_unary)
        return make(wrapped, response_serializer=handler.response_serializer)


def _unary(method: str, behaviour: Any) -> Any:
    async def handle(request: bytes, context: Context) -> Any:
        with _observed(method, context):
            return await behaviour(_counted(method, request), context)

    return handle


def _answers(method: str, behaviour: Any) -> Any:
    async def handle(request: bytes, context: Context) -> Any:
        with _observed(method, context):
            async for response in behaviour(_counted(method, request), context):
                yield response

    return handle


def _requests(method: str, behaviour: Any) -> Any:
    async def handle(requests: AsyncIterable[bytes], context: Context) -> Any:
        with _observed(method, context):
            return await behaviour((_counted(method, request) async for request in requests), context)

    return handle


def _counted(method: str, request: bytes) -> bytes:
    # As bytes: they are read only for callers who may send them.
    RECEIVED.labels(method).inc(len(request))
    return request


@contextmanager
def _observed(method: str, context: Context) -> Iterator[None]:
    _name(method, context)
    # Now, never at the end: an abandoned stream may be closed after its call, and gRPC would read freed memory.
    role = _role(context)
    began, code = time.perf_counter(), grpc.StatusCode.OK.name
    try:
        with IN_PROGRESS.labels(method).track_inprogress():
            yield
    except (asyncio.CancelledError, GeneratorExit):
        code = grpc.StatusCode.CANCELLED.name
        raise
    except BaseException:
        code = _code(context)
        raise
    finally:
        CALLS.labels(method, code, role).inc()
        if method not in WAITING:
            CALL_SECONDS.labels(method).observe(time.perf_counter() - began)


def _name(method: str, context: Context) -> None:
    """Bind the request id to this call, which has a context of its own."""
    given = request_id_in((str(key), value) for key, value in context.invocation_metadata() or ())
    bind_contextvars(request_id=given or new_request_id(), method=method)


def _code(context: Context) -> str:
    found: Any = context.code()
    return found.name if isinstance(found, grpc.StatusCode) else _CODES.get(found, "UNKNOWN")


def _role(context: Context) -> str:
    try:
        return certificate_caller(context).role
    except NotAllowed:
        return "none"
