"""What a node tells its own operator in numbers, at an address that the operator chose; nobody else is told.

Values change when the node starts and when an answer has left, which is at a tick of the policy: they do not tell how
long a computation took. Nothing is measured of computations, and nothing of the process, whose memory and time
depend on the events.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from privacy.calculus import Budgets
from privacy.ledger import Ledger
from quorate.contract.identity import load_certificate
from quorate.v1 import federation_pb2 as pb

_PREFIX = "REFUSAL_REASON_"
REASONS = tuple(
    value.name.removeprefix(_PREFIX) for value in pb.RefusalReason.DESCRIPTOR.values if value.number
)


class NodeMetrics:
    """The numbers of one node.

    Parameters
    ----------
    certificate
        PEM file of the node's certificate.
    """

    def __init__(self, certificate: Path) -> None:
        self.registry = CollectorRegistry()
        self._entries = self._gauge("ledger_entries", "Entries of the privacy ledger.")
        self._contact = self._gauge(
            "last_contact_seconds", "When the hub answered last, in seconds since the epoch."
        )
        self._left = Gauge(
            "quorate_node_budget_left_nano_rho",
            "What the fullest window of so many days has left.",
            ["days"],
            registry=self.registry,
        )
        self._refusals = Counter(
            "quorate_node_refusals", "Orders refused since the start.", ["reason"], registry=self.registry
        )
        for reason in REASONS:
            self._refusals.labels(reason)
        self.registry.register(_Certificate(certificate))

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"quorate_node_{name}", text, registry=self.registry)

    def ledger(self, ledger: Ledger, budgets: Budgets) -> None:
        """Note what the ledger says now."""
        self._entries.set(ledger.head[0])
        for length, cap in budgets.caps():
            spent = ledger.totals(length).values()
            self._left.labels(str(length)).set(cap - max(spent, default=0))

    def contact(self) -> None:
        """Note that the hub answered."""
        self._contact.set(time.time())

    def refused(self, reason: pb.RefusalReason.ValueType) -> None:
        """Count a refusal."""
        self._refusals.labels(pb.RefusalReason.Name(reason).removeprefix(_PREFIX)).inc()


class _Certificate(Collector):
    def __init__(self, path: Path) -> None:
        self._path = path

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the end of the certificate that is there now."""
        yield GaugeMetricFamily(
            "quorate_node_certificate_not_after_seconds",
            "When the node's certificate ends, in seconds since the epoch.",
            value=load_certificate(self._path).not_valid_after_utc.timestamp(),
        )
