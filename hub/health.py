"""The standard health service (grpc.health.v1): whether the hub, or one of its services, takes calls now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Any

from grpc import aio
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1.health_pb2_grpc import HealthServicer

from hub.bell import LOOK_AGAIN, Bell
from hub.errors import NotFound, ShuttingDown

Context = aio.ServicerContext[Any, Any]
Status = pb.HealthCheckResponse.ServingStatus
#: The service without a name stands for the whole hub.
OVERALL = ""


class Health(HealthServicer):  # type: ignore[misc] # the library has no types
    """Answers as long as the hub runs; the library's own servicer has watches that never end.

    Parameters
    ----------
    services
        Full names of the services that this hub has.
    bell
        Closed when the hub is about to end.
    """

    def __init__(self, services: Collection[str], bell: Bell) -> None:
        self._services, self._bell = frozenset(services) | {OVERALL}, bell

    def _status(self, service: str) -> int:
        if service not in self._services:
            return int(Status.SERVICE_UNKNOWN)
        return int(Status.NOT_SERVING if self._bell.closed else Status.SERVING)

    async def Check(self, request: pb.HealthCheckRequest, context: Context) -> pb.HealthCheckResponse:
        """Say whether a service is there (NotFound if this hub has none of this name)."""
        if request.service not in self._services:
            raise NotFound(
                "this hub has no such service",
                todo="ask for a full name like quorate.v1.FederationService, or for none",
            )
        return pb.HealthCheckResponse(status=self._status(request.service))

    async def List(self, request: pb.HealthListRequest, context: Context) -> pb.HealthListResponse:
        """Say it of the hub and of each of its services."""
        statuses = {
            name: pb.HealthCheckResponse(status=self._status(name)) for name in sorted(self._services)
        }
        return pb.HealthListResponse(statuses=statuses)

    async def Watch(
        self, request: pb.HealthCheckRequest, context: Context
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        """Stream the status of a service; NOT_SERVING is the last, before the hub ends."""
        yield pb.HealthCheckResponse(status=self._status(request.service))
        try:
            while True:
                await self._bell.wait(LOOK_AGAIN)
        except ShuttingDown:
            yield pb.HealthCheckResponse(status=self._status(request.service))
            raise
