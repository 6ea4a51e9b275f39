"""What hub and node tell in numbers: these names and labels and no others, and no label from a request."""

from __future__ import annotations

import json
import socket
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from privacy.errors import ExitCode
from quorate.contract.requests import REQUEST_KEY
from quorate.contract.transport import open_channel
from quorate.v1 import federation_pb2 as fed
from quorate.v1 import statistics_pb2 as stat
from quorate.v1.federation_pb2_grpc import FederationServiceStub
from quorate.v1.statistics_pb2_grpc import StatisticsServiceStub
from tests.harness import START, Network, free_port, wait_until

HUB = {
    "quorate_hub_calls": {"method", "code", "role"},
    "quorate_hub_call_seconds": {"method", "le"},
    "quorate_hub_calls_in_progress": {"method"},
    "quorate_hub_received_bytes": {"method"},
    "quorate_hub_audit_lines": {"kind"},
    "quorate_hub_release_end_failures": set(),
    "quorate_hub_info": {"version"},
    "quorate_hub_certificate_not_after_seconds": set(),
    "quorate_hub_database_up": set(),
    "quorate_hub_releases": {"state"},
    "quorate_hub_tasks": {"state"},
}
NODE = {
    "quorate_node_ledger_entries": set(),
    "quorate_node_last_contact_seconds": set(),
    "quorate_node_budget_left_nano_rho": {"days"},
    "quorate_node_refusals": {"reason"},
    "quorate_node_certificate_not_after_seconds": set(),
}
ODD = "odd-word-of-a-request"


class Scrape:
    """One scrape: values by sample and values of its labels (in order of their names), labels of each metric."""

    def __init__(self, port: int) -> None:
        with urllib.request.urlopen(f"http://localhost:{port}/metrics", timeout=10) as answer:
            self.text = answer.read().decode()
        self.labels: dict[str, set[str]] = {}
        self.values: dict[tuple[str, tuple[str, ...]], float] = {}
        for family in text_string_to_metric_families(self.text):
            # Creation times of counters come as families of their own.
            name = family.name.removesuffix("_created")
            for sample in family.samples:
                self.labels.setdefault(name, set()).update(sample.labels)
                self.values[sample.name, tuple(sample.labels[key] for key in sorted(sample.labels))] = (
                    sample.value
                )


def served(net: Network) -> int:
    """Start the hub with metrics; return their port."""
    port = free_port()
    net.parties.hub.config.write_text(f'metrics = "localhost:{port}"\n', encoding="utf-8")
    net.start_hub()
    return port


def test_the_hub_tells_these_metrics_and_no_others(net: Network) -> None:
    port = served(net)
    with net.office() as office:
        office.request("presence", START, START)
    home = net.home("mno1")
    with open_channel(net.address, home.hub_root, home.key, home.certificate) as channel:
        stub = FederationServiceStub(channel)
        stub.Heartbeat(fed.HeartbeatRequest(software_version=ODD), timeout=5, metadata=((REQUEST_KEY, ODD),))
        stub.AcquireTask(fed.AcquireTaskRequest(), timeout=5)
        refused = StatisticsServiceStub(channel).GetEstimates(
            stat.GetEstimatesRequest(release_id=ODD), timeout=5
        )
        with pytest.raises(grpc.RpcError):
            next(refused)
        unknown: Any = channel.unary_unary(f"/quorate.v1.FederationService/{ODD}")
        with pytest.raises(grpc.RpcError):
            unknown(b"", timeout=5)
    found = Scrape(port)
    assert found.labels == HUB
    assert ODD not in found.text
    assert found.values["quorate_hub_calls_total", ("PERMISSION_DENIED", "GetEstimates", "operator")] == 1
    assert found.values["quorate_hub_calls_total", ("OK", "RequestRelease", "office")] == 1
    assert found.values["quorate_hub_call_seconds_count", ("Heartbeat",)] == 1
    assert found.values["quorate_hub_releases", ("collecting",)] == 1
    assert found.values["quorate_hub_tasks", ("offered",)] == 3
    assert found.values["quorate_hub_received_bytes_total", ("Heartbeat",)] == 2 + len(ODD)
    assert found.values["quorate_hub_database_up", ()] == 1


def test_how_long_nodes_compute_cannot_be_told_from_durations(net: Network) -> None:
    port = served(net)
    for operator in net.parties.nodes:
        net.start_node(operator)
    with net.office() as office:
        release = office.request("presence", START, START)
        office.wait(release, 120, lambda _seen: None)
        office.estimates(release)
    found = Scrape(port)
    timed = {labels[0] for name, labels in found.values if name == "quorate_hub_call_seconds_count"}
    # Renewals come while a node waits for its tick, so that they tell of the tick and not of the computation.
    assert timed - {"RenewLease"} == {
        "Heartbeat",
        "RequestRelease",
        "PublishHead",
        "PutChunk",
        "CommitContribution",
        "GetEstimates",
    }
    assert found.values["quorate_hub_releases", ("estimated",)] == 1
    waits = wait_until(
        lambda: Scrape(port).values.get(("quorate_hub_calls_in_progress", ("AcquireTask",))) == 3,
        "long polls",
    )
    assert waits


def test_a_node_tells_its_operator_these_metrics_and_no_others(net: Network) -> None:
    net.start_hub()
    port, home = free_port(), net.home("mno1")
    text = home.config.read_text(encoding="utf-8")
    home.config.write_text(f'metrics = "localhost:{port}"\n{text}', encoding="utf-8")
    for operator in net.parties.nodes:
        net.start_node(operator)
    with net.office() as office:
        office.wait(office.request("presence", START, START), 120, lambda _seen: None)
    found = Scrape(port)
    assert found.labels == NODE
    assert found.values["quorate_node_ledger_entries", ()] == 1
    assert found.values["quorate_node_last_contact_seconds", ()] > 0
    assert {labels[0] for name, labels in found.values if name == "quorate_node_budget_left_nano_rho"} == {
        "1",
        "31",
    }
    assert found.values["quorate_node_refusals_total", ("POLICY",)] == 0


def test_who_cannot_tell_metrics_where_they_should_be_told_does_not_start(net: Network) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        setting = f'metrics = "127.0.0.1:{taken.getsockname()[1]}"\n'
        net.parties.hub.config.write_text(setting, encoding="utf-8")
        home = net.home("mno1")
        home.config.write_text(setting + home.config.read_text(encoding="utf-8"), encoding="utf-8")
        hub = net.start(
            "hub", "-m", "hub", "serve", "--dir", str(net.parties.hub.root), "--listen", net.address
        )
        node = net.start_node("mno1")
        assert (hub.wait(60), node.wait(60)) == (ExitCode.RESOURCE, ExitCode.RESOURCE)
    for name in ("hub", "mno1"):
        assert "metrics cannot be told at 127.0.0.1" in net.log(name)
    assert not net.parties.hub.address.exists()


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_with_json_every_line_is_an_object_and_those_of_a_call_have_its_request_id(net: Network) -> None:
    given = "0123456789abcdef" * 2
    hub = net.parties.hub
    process = net.start(
        "hub", "-m", "hub", "serve", "--dir", str(hub.root), "--listen", net.address, "--log-format", "json"
    )
    wait_until(lambda: hub.address.exists() or process.poll() is not None, "the hub")
    home = net.home("mno1")
    with open_channel(net.address, home.hub_root, home.key, home.certificate) as channel:
        stub, office = FederationServiceStub(channel), StatisticsServiceStub(channel)
        request = fed.HeartbeatRequest(software_version="one\ntwo")
        for sent in (given, "no id at all", given.upper(), None):
            stub.Heartbeat(request, timeout=5, metadata=((REQUEST_KEY, sent),) if sent else ())
        with pytest.raises(grpc.RpcError) as caught:
            office.ListProducts(stat.ListProductsRequest(), timeout=5, metadata=((REQUEST_KEY, given),))
        told = {str(item.key): str(item.value) for item in caught.value.trailing_metadata()}
    assert told[REQUEST_KEY] == given
    written = lines(net.root / "hub.log")
    assert all({"at", "level", "logger", "message"} <= set(line) for line in written)
    beats = [line["request_id"] for line in written if line.get("method") == "Heartbeat"]
    assert beats[0] == given
    assert len(set(beats)) == 4
    assert all(len(name) == 32 for name in beats)
    (rejected,) = [line for line in written if line.get("method") == "ListProducts"]
    assert rejected["request_id"] == given
    assert "request_id" not in written[0], "lines of no call have no request id"
