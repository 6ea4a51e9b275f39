"""What the hub says no to, each with the gRPC status that the caller sees."""

from __future__ import annotations

import grpc

from privacy.errors import QuorateError


class HubRefusal(QuorateError):
    """The hub does not do what a caller asked."""

    status = grpc.StatusCode.FAILED_PRECONDITION


class NotAllowed(HubRefusal):
    """The caller's certificate does not allow this."""

    status = grpc.StatusCode.PERMISSION_DENIED


class NotFound(HubRefusal):
    """There is no such release or order."""

    status = grpc.StatusCode.NOT_FOUND


class Malformed(HubRefusal):
    """The message is not what the contract says."""

    status = grpc.StatusCode.INVALID_ARGUMENT


class Conflict(HubRefusal):
    """Something else was accepted under this name before: a security event."""

    status = grpc.StatusCode.ALREADY_EXISTS


class Busy(HubRefusal):
    """The caller has more going on at once than one caller may have."""

    status = grpc.StatusCode.RESOURCE_EXHAUSTED
