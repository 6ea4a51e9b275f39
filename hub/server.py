"""The hub's server process: mutual TLS, both services, a clean end."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import grpc
from cryptography import x509
from grpc import aio
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from hub.access import AccessInterceptor, Audit
from hub.bell import Bell
from hub.calls import CallInterceptor
from hub.config import Agreement, Home, load_agreement, load_config
from hub.ending import GRACE, Ending
from hub.enrolment import Enrolment, EnrolmentInterceptor
from hub.errors import NotAllowed
from hub.federation import Federation
from hub.health import Health
from hub.metrics import REGISTRY, State
from hub.place import only_one, require_free
from hub.renewal import Renewals, renew_own_forever, renew_own_if_due, server_credentials
from hub.statistics import Statistics, advance_forever
from hub.store import Store, store_of
from hub.trail import NOTHING, About
from privacy.errors import ResourceProblem, UsageProblem
from quorate.contract.identity import HUB, certificate_identity, load_certificate
from quorate.contract.listener import tell_metrics
from quorate.v1 import federation_pb2, statistics_pb2
from quorate.v1.enrolment_pb2_grpc import add_EnrolmentServiceServicer_to_server
from quorate.v1.federation_pb2_grpc import add_FederationServiceServicer_to_server
from quorate.v1.statistics_pb2_grpc import add_StatisticsServiceServicer_to_server

log = logging.getLogger("quorate.hub")
#: Without so_reuseport a second hub on the same port fails instead of taking half of the calls. Clients ask every
#: minute whether the line still is there (`quorate.contract.transport`), also while nothing else is said on it; gRPC
#: would close the line of who asks more often than every five minutes.
SERVING = (("grpc.so_reuseport", 0), ("grpc.http2.min_ping_interval_without_data_ms", 20_000))
_SERVICES = [
    service.full_name
    for contract in (federation_pb2.DESCRIPTOR, statistics_pb2.DESCRIPTOR)
    for service in contract.services_by_name.values()
]


def serve(
    root: Path, listen: str | None, database: str | None = None, listen_enrolment: str | None = None
) -> None:
    """Serve until SIGTERM (returns, or ends the process with 0) or SIGINT (KeyboardInterrupt).

    Parameters
    ----------
    root
        The hub's directory.
    listen
        host:port, or None for the address in hub.toml.
    database
        Address of the database, or None for that in hub.toml.
    listen_enrolment
        host:port at which nodes enrol, empty for nowhere, or None for the address in hub.toml.

    Raises
    ------
    UsageProblem
        If charter, zoning, register, a certificate or an address is missing or malformed.
    ResourceProblem
        If the port is taken, or the database cannot be reached.
    """
    home = Home(root)
    with only_one(home):
        asyncio.run(_serve(home, listen, database, listen_enrolment))


async def _serve(home: Home, listen: str | None, database: str | None, listen_enrolment: str | None) -> None:
    ending = Ending()
    own = load_agreement(home)
    address = listen or load_config(home).listen
    _require_own_certificate(home, own.charter.network)
    enrolling = load_config(home).listen_enrolment if listen_enrolment is None else listen_enrolment
    for place in filter(None, (address, enrolling)):
        require_free(place)
    store, bell = await asyncio.to_thread(store_of, home, database), Bell()
    await asyncio.to_thread(store.sweep)
    await asyncio.to_thread(renew_own_if_due, home, store.certificates)

    async def audit(who: str, what: str, detail: str, on: About) -> None:
        log.warning("%s: %s: %s", who, what, detail)
        await asyncio.to_thread(store.audit, who, what, detail, on)

    async def standing(certificate: x509.Certificate) -> None:
        if await asyncio.to_thread(store.certificates.require_standing, certificate):
            await audit(certificate_identity(certificate).uri, "a certificate not seen before", "", NOTHING)

    server = aio.server(
        interceptors=[CallInterceptor(), AccessInterceptor(own.charter, audit, standing)],
        options=[*SERVING, ("grpc.max_receive_message_length", 4 << 20)],
    )
    add_FederationServiceServicer_to_server(
        Federation(own, store, bell, Renewals(home, store.certificates), load_config(home).lease_seconds),
        server,
    )
    add_StatisticsServiceServicer_to_server(Statistics(own, store, bell), server)
    add_HealthServicer_to_server(Health(_SERVICES, bell), server)
    port = _bind(server, address, server_credentials(home, clients=True))
    REGISTRY.register(State(store.database, home.certificate))
    if told_at := tell_metrics(load_config(home).metrics, REGISTRY):
        log.info("metrics are told at port %d", told_at)
    await server.start()
    door = await _enrolment_server(home, own, store, audit, enrolling) if enrolling else None
    host = address.rsplit(":", 1)[0]
    home.address.write_text(f"{host}:{port}\n", encoding="utf-8")
    log.info("the hub of %s listens at %s:%d", own.charter.network, host, port)
    work = [
        asyncio.create_task(advance_forever(own, store, bell)),
        asyncio.create_task(renew_own_forever(home, store.certificates)),
    ]
    try:
        await ending.asked.wait()
    finally:
        for task in work:
            task.cancel()
        if door is not None:
            await door.stop(GRACE)
        await ending.end(server, bell)
        home.address.unlink(missing_ok=True)
        home.enrolment_address.unlink(missing_ok=True)
        log.info("stopped")
        await ending.leave()
        store.close()


async def _enrolment_server(
    home: Home, own: Agreement, store: Store, audit: Audit, address: str
) -> aio.Server:
    """Serve enrolment, and nothing else, to who has no certificate yet."""

    async def nobody(_certificate: x509.Certificate) -> None:
        raise NotAllowed("no certificate counts here")

    server = aio.server(
        interceptors=[EnrolmentInterceptor(own.charter, audit, nobody)],
        options=[*SERVING, ("grpc.max_receive_message_length", 1 << 16)],
    )
    add_EnrolmentServiceServicer_to_server(Enrolment(home, own, store.invitations, audit), server)
    port = _bind(server, address, server_credentials(home, clients=False))
    await server.start()
    home.enrolment_address.write_text(f"{address.rsplit(':', 1)[0]}:{port}\n", encoding="utf-8")
    log.info("nodes enrol at %s:%d", address.rsplit(":", 1)[0], port)
    return server


def _require_own_certificate(home: Home, network: str) -> None:
    found = certificate_identity(load_certificate(home.certificate))
    if (found.network, found.role) != (network, HUB):
        raise UsageProblem(
            f"the certificate {home.certificate} belongs to {found.uri}, but the charter is of {network}",
            todo="put the charter of this network into the hub's directory",
        )


def _bind(server: aio.Server, address: str, credentials: grpc.ServerCredentials) -> int:
    try:
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise ResourceProblem(
            f"the hub cannot listen at {address}",
            means="another process has this port, or the address is not one of this machine",
            todo="stop the other process, or choose another port with --listen or in hub.toml",
        ) from error
