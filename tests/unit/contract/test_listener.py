"""Where metrics are told."""

from __future__ import annotations

import socket
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, Gauge

from privacy.errors import ResourceProblem, UsageProblem
from quorate.contract.listener import tell_metrics


def test_without_an_address_nothing_is_told() -> None:
    assert tell_metrics("", CollectorRegistry()) is None


def test_what_is_registered_is_told_and_nothing_of_the_process() -> None:
    registry = CollectorRegistry()
    Gauge("things", "Things.", registry=registry).set(3)
    port = tell_metrics("localhost:0", registry)
    with urllib.request.urlopen(f"http://localhost:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["things 3.0"]


def test_a_port_that_is_taken_is_said_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ResourceProblem, match=f"metrics cannot be told at 127.0.0.1:{port}") as caught:
            tell_metrics(f"127.0.0.1:{port}", CollectorRegistry())
    assert "another address" in caught.value.todo


@pytest.mark.parametrize("address", ["localhost", ":9464", "localhost:99999", "local host:1", "localhost:x"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageProblem, match="not an address for metrics"):
        tell_metrics(address, CollectorRegistry())
