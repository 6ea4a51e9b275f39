"""The address at which a daemon tells its metrics."""

from __future__ import annotations

import re

from prometheus_client import CollectorRegistry, start_http_server

from privacy.errors import ResourceProblem, UsageProblem
from quorate.contract.place import PLACE


def tell_metrics(address: str, registry: CollectorRegistry) -> int | None:
    """Answer scrapes over HTTP, in a thread that ends with the process; return the port, None for no address.

    Parameters
    ----------
    address
        host:port; port 0 takes a free one. Nobody is asked who they are there.
    registry
        What is told.

    Raises
    ------
    UsageProblem
        If it is not an address.
    ResourceProblem
        If the port is taken, or the host is not this machine.
    """
    if not address:
        return None
    host, _, port = address.rpartition(":")
    if not re.match(PLACE, address) or int(port) > 65535:
        raise UsageProblem(
            f"{address!r} is not an address for metrics", todo="give host:port, for example localhost:9464"
        )
    try:
        server, _thread = start_http_server(int(port), host, registry)
    except OSError as error:
        raise ResourceProblem(
            f"metrics cannot be told at {address}: {error.strerror}",
            means="another process has this port, or the address is not one of this machine",
            todo="stop the other process, or choose another address for metrics",
        ) from error
    return int(server.server_port)
