"""Hub and node are asked to stop, at any moment: they end with 0, and nothing is left half done."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

import grpc
import psutil
import pytest

from privacy.ledger import verify
from quorate.contract.transport import open_channel
from quorate.v1 import federation_pb2 as fed
from quorate.v1 import statistics_pb2 as stat
from quorate.v1.federation_pb2_grpc import FederationServiceStub
from quorate.v1.statistics_pb2_grpc import StatisticsServiceStub
from tests.harness import START, Network, wait_until

REQUEST = stat.RequestReleaseRequest(
    product_id="presence", first_day=START.isoformat(), last_day=START.isoformat()
)


@pytest.fixture
def node(net: Network) -> Iterator[FederationServiceStub]:
    home = net.home("mno1")
    with open_channel(net.address, home.hub_root, home.key, home.certificate) as channel:
        yield FederationServiceStub(channel)


@pytest.fixture
def office(net: Network) -> Iterator[StatisticsServiceStub]:
    home = net.parties.office
    with open_channel(net.address, home.hub_root, home.key, home.certificate) as channel:
        yield StatisticsServiceStub(channel)


def ended(net: Network, name: str) -> int:
    """Ask a process to stop and return its exit code; it must not need to be killed."""
    net.running[name].terminate()
    return net.running.pop(name).wait(30)


# --- the hub ----------------------------------------------------------------------------------------------


def test_a_hub_that_stops_ends_a_long_poll_with_unavailable(
    net: Network, node: FederationServiceStub
) -> None:
    net.start_hub()
    node.Heartbeat(fed.HeartbeatRequest(), timeout=10)
    poll = node.AcquireTask.future(fed.AcquireTaskRequest(wait_seconds=30), timeout=60)
    time.sleep(0.3)
    assert not poll.done()
    assert ended(net, "hub") == 0
    assert poll.code() is grpc.StatusCode.UNAVAILABLE
    assert not net.parties.hub.address.exists()
    assert "Traceback" not in net.log("hub")


def test_a_hub_that_stops_ends_a_stream_with_unavailable(net: Network, office: StatisticsServiceStub) -> None:
    net.start_hub()
    release = office.RequestRelease(REQUEST, timeout=10).release_id
    watch = office.WatchRelease(stat.WatchReleaseRequest(release_id=release), timeout=60)
    assert next(watch).state == stat.RELEASE_STATE_COLLECTING
    assert ended(net, "hub") == 0
    with pytest.raises(grpc.RpcError) as caught:
        next(watch)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert caught.value.details() == "the hub is shutting down"
    assert "Traceback" not in net.log("hub")


@contextmanager
def nobody_can_write(net: Network) -> Iterator[None]:
    """Hold the write lock of the hub's database, so that a call that writes takes its time."""
    with closing(sqlite3.connect(net.parties.hub.database, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield


def test_a_call_that_runs_when_the_hub_is_asked_to_stop_is_finished(
    net: Network, office: StatisticsServiceStub
) -> None:
    net.start_hub()
    office.ListProducts(stat.ListProductsRequest(), timeout=10)
    with nobody_can_write(net):
        running = office.RequestRelease.future(REQUEST, timeout=60)
        time.sleep(0.5)
        net.running["hub"].terminate()
        wait_until(lambda: "asked to stop" in net.log("hub"), "the hub to take notice")
        assert not running.done()
    assert running.result().release_id.startswith("presence-")
    assert net.running.pop("hub").wait(30) == 0


def told(net: Network, word: str, times: int) -> bool:
    return net.log("hub").count(word) >= times


@pytest.mark.parametrize("times", [1, 2])
def test_a_call_that_does_not_finish_does_not_keep_the_hub(
    net: Network, office: StatisticsServiceStub, times: int
) -> None:
    net.start_hub()
    office.ListProducts(stat.ListProductsRequest(), timeout=10)
    with nobody_can_write(net):
        running = office.RequestRelease.future(REQUEST, timeout=60)
        time.sleep(0.5)
        for asked in range(times):
            net.running["hub"].terminate()
            wait_until(partial(told, net, "asked", asked + 1), "the hub to take notice")
        assert net.running.pop("hub").wait(20) == 0, "the lock is held for as long as the hub ran"
        assert running.exception() is not None
    assert ("asked again" in net.log("hub")) == (times == 2)
    net.start_hub()
    assert office.RequestRelease(REQUEST, timeout=10, wait_for_ready=True).release_id


MOMENTS = [0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.2, 1.6]


def require_clean(code: int, log: str) -> None:
    """Refuse an end that is not clean; who was asked before its first line of code ends by the signal."""
    assert code == 0 or (code == -signal.SIGTERM and not log), (code, log)
    assert "Traceback" not in log
    assert "Exception" not in log


@pytest.mark.full
def test_a_hub_asked_to_stop_while_it_starts_ends_cleanly(net: Network) -> None:
    arguments = ("-m", "hub", "serve", "--dir", str(net.parties.hub.root), "--listen", net.address)
    for moment in MOMENTS:
        (net.root / "hub.log").unlink(missing_ok=True)
        process = net.start("hub", *arguments)
        time.sleep(moment)
        process.terminate()
        require_clean(process.wait(30), net.log("hub"))
        assert not net.parties.hub.address.exists()
    net.start_hub()


# --- the node ---------------------------------------------------------------------------------------------


def workers_of(net: Network, operator: str) -> list[psutil.Process]:
    process = psutil.Process(net.running[operator].pid)
    return [child for child in process.children() if "node.worker" in " ".join(child.cmdline())]


@pytest.mark.full
def test_a_node_asked_to_stop_while_it_starts_ends_cleanly_and_starts_again(net: Network) -> None:
    for moment in MOMENTS:
        (net.root / "mno1.log").unlink(missing_ok=True)
        process = net.start_node("mno1")
        time.sleep(moment)
        process.terminate()
        require_clean(process.wait(30), net.log("mno1"))
    net.start_hub()
    net.start_node("mno1")
    wait_until(lambda: "connected to the hub" in net.log("mno1"), "the node to work")
    assert ended(net, "mno1") == 0
    assert "quorate.node: stopped" in net.log("mno1").splitlines()[-1]


@pytest.mark.full
def test_a_node_that_stops_gives_up_what_it_builds_and_its_worker_ends_with_it(net: Network) -> None:
    net.start_node("mno1")
    (worker,) = wait_until(lambda: workers_of(net, "mno1"), "a worker")
    assert ended(net, "mno1") == 0
    assert not worker.is_running()
    assert "building failed" not in net.log("mno1")
    net.start_hub()
    net.start_node("mno1")
    wait_until(lambda: "connected to the hub" in net.log("mno1"), "the node to work")


def test_a_node_that_stops_while_it_computes_charges_nothing_and_answers_after_the_next_start(
    net: Network,
) -> None:
    net.start_hub()
    for operator in net.parties.nodes:
        net.start_node(operator)
    wait_until(lambda: "connected to the hub" in net.log("mno1"), "the node to work")
    with net.office() as asking:
        release = asking.request("presence", START, START)
        (worker,) = wait_until(lambda: workers_of(net, "mno1"), "a worker")
        assert ended(net, "mno1") == 0
        assert not worker.is_running()
        assert verify(net.home("mno1").ledger)[0] == 0
        assert (release, "mno1") not in net.contributions()
        net.start_node("mno1")
        asking.wait(release, 120, lambda _seen: None)
    assert verify(net.home("mno1").ledger)[0] == 1


def test_a_node_that_waits_for_a_hub_that_is_not_there_stops_at_once(net: Network) -> None:
    net.start_node("mno1")
    wait_until(lambda: "trying again" in net.log("mno1"), "the node to wait")
    assert ended(net, "mno1") == 0
