"""What the hub tells its own people in numbers.

The hub holds no exact data, so nothing here can depend on any. How long a node computes is the node's secret: the
calls that wait for nodes have no durations. Labels have values from closed sets, never from a request.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from hub.database import Database
from hub.duty import counted
from privacy.errors import ResourceProblem
from quorate.contract.identity import load_certificate

#: Not the library's global one, which also tells of the process.
REGISTRY = CollectorRegistry()

CALLS = Counter(
    "quorate_hub_calls",
    "Calls that have ended, by method, status code and role of the caller's certificate.",
    ["method", "code", "role"],
    registry=REGISTRY,
)
CALL_SECONDS = Histogram(
    "quorate_hub_call_seconds",
    "Duration of calls in which the hub works; calls that wait for nodes are left out.",
    ["method"],
    registry=REGISTRY,
)
IN_PROGRESS = Gauge(
    "quorate_hub_calls_in_progress",
    "Calls that have not ended; those of AcquireTask are long polls.",
    ["method"],
    registry=REGISTRY,
)
RECEIVED = Counter(
    "quorate_hub_received_bytes", "Bytes of the requests that came.", ["method"], registry=REGISTRY
)
AUDIT_LINES = Counter(
    "quorate_hub_audit_lines", "Lines written to the audit trail, by kind.", ["kind"], registry=REGISTRY
)
END_FAILURES = Counter(
    "quorate_hub_release_end_failures", "Attempts to end a release that failed.", registry=REGISTRY
)


class State(Collector):
    """What the hub's database and certificate say at the moment of a scrape.

    Parameters
    ----------
    database
        The hub's.
    certificate
        PEM file of the hub's certificate.
    """

    def __init__(self, database: Database, certificate: Path) -> None:
        self._database, self._certificate = database, certificate

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return no names: the registry must not read the database to learn them."""
        return []

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield releases and tasks by state, whether the database answers, and the certificate's end."""
        yield _gauge("quorate_hub_info", "The hub's version.", ("version",), {version("quorate"): 1})
        end = load_certificate(self._certificate).not_valid_after_utc.timestamp()
        yield GaugeMetricFamily(
            "quorate_hub_certificate_not_after_seconds",
            "When the hub's certificate ends, in seconds since the epoch.",
            value=end,
        )
        try:
            releases, tasks = counted(self._database)
        except ResourceProblem:
            yield _database(up=False)
            return
        yield _database(up=True)
        yield _gauge("quorate_hub_releases", "Releases by state.", ("state",), releases)
        yield _gauge("quorate_hub_tasks", "Task orders by state.", ("state",), tasks)


def _gauge(name: str, text: str, labels: tuple[str], values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for label, value in sorted(values.items()):
        family.add_metric([label], value)
    return family


def _database(*, up: bool) -> GaugeMetricFamily:
    return GaugeMetricFamily("quorate_hub_database_up", "1 if the database answers.", value=float(up))
