"""A name for every call, by which the logs of both sides can be held against each other."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import grpc
from structlog.contextvars import bind_contextvars, get_contextvars

#: Metadata of a call, and of its error, that names the call.
REQUEST_KEY = "quorate-request-id"
_FORM = re.compile(r"[0-9a-f]{32}")


def new_request_id() -> str:
    """Return a name that no other call has: 32 hexadecimal digits, drawn at random."""
    return secrets.token_hex(16)


def current_request_id() -> str:
    """Return the name of the call that is being made or answered; nothing outside of calls."""
    return str(get_contextvars().get("request_id", ""))


def request_id_in(metadata: Iterable[tuple[str, str | bytes]]) -> str | None:
    """Return the request id that a caller sent, or None if there is none of the right form."""
    found = [value for key, value in metadata if key == REQUEST_KEY]
    if len(found) != 1 or not isinstance(found[0], str) or not _FORM.fullmatch(found[0]):
        return None
    return found[0]


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: Any
    compression: Any


class RequestIds(
    grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamUnaryClientInterceptor
):
    """Gives every call of a channel a request id, and the lines that the caller logs about it."""

    def intercept_unary_unary(
        self, continuation: Callable[[Any, Any], Any], client_call_details: Any, request: Any
    ) -> Any:
        """Make a call that has one answer."""
        return continuation(_named(client_call_details), request)

    def intercept_unary_stream(
        self, continuation: Callable[[Any, Any], Any], client_call_details: Any, request: Any
    ) -> Any:
        """Make a call that has a stream of answers."""
        return continuation(_named(client_call_details), request)

    def intercept_stream_unary(
        self, continuation: Callable[[Any, Any], Any], client_call_details: Any, request_iterator: Any
    ) -> Any:
        """Make a call that sends a stream."""
        return continuation(_named(client_call_details), request_iterator)


def _named(details: Any) -> _Details:
    request_id = new_request_id()
    bind_contextvars(request_id=request_id)
    return _Details(
        details.method,
        details.timeout,
        [*(details.metadata or ()), (REQUEST_KEY, request_id)],
        details.credentials,
        getattr(details, "wait_for_ready", None),
        getattr(details, "compression", None),
    )
