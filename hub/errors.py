"""What the hub says no to, each with the gRPC status that the caller sees."""

from __future__ import annotations

import re

import grpc

from privacy.errors import QuorateError


class HubRefusal(QuorateError):
    """The hub does not do what a caller asked."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    #: Whether the audit trail tells it.
    audited = True


class NotAllowed(HubRefusal):
    """The caller's certificate does not allow this."""

    status = grpc.StatusCode.PERMISSION_DENIED


class NotValid(HubRefusal):
    """The caller's certificate has expired or was revoked."""

    status = grpc.StatusCode.UNAUTHENTICATED


class NotFound(HubRefusal):
    """There is no such release or order."""

    status = grpc.StatusCode.NOT_FOUND


class Malformed(HubRefusal):
    """The message is not what the contract says."""

    status = grpc.StatusCode.INVALID_ARGUMENT


class Conflict(HubRefusal):
    """Something else was accepted under this name before: a security event."""

    status = grpc.StatusCode.ALREADY_EXISTS


class LeaseLost(HubRefusal):
    """The caller does not hold the order that it speaks of."""

    status = grpc.StatusCode.ABORTED


class ShuttingDown(HubRefusal):
    """The hub ends; the call can be repeated at the next one."""

    status = grpc.StatusCode.UNAVAILABLE
    audited = False

    def __init__(self) -> None:
        super().__init__(
            "the hub is shutting down",
            means="what was asked for was not done",
            todo="make the call again; the hub answers when it has been started again",
        )


class Busy(HubRefusal):
    """The caller has more going on at once than one caller may have."""

    status = grpc.StatusCode.RESOURCE_EXHAUSTED


def require_name(name: str) -> None:
    """Refuse what cannot be the name of a product or release (Malformed)."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", name):
        raise Malformed(
            "a product or release has a name of up to 100 lower-case letters, digits, '.', '_' and '-'"
        )
