"""What people on duty ask, of a hub and a node that run, that are stopped, and that were killed."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.harness import ROOT, START, Network, wait_until


def asked(module: str, *arguments: str) -> str:
    """Return what a command prints; it must end with 0."""
    found = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def hub(net: Network, *arguments: str) -> Any:
    return json.loads(asked("hub", *arguments, "--dir", str(net.parties.hub.root), "--json"))


def node(net: Network, operator: str) -> Any:
    return json.loads(asked("node", "status", "--dir", str(net.home(operator).root), "--json"))


def contents(root: Path) -> dict[str, str]:
    """Return the digest of every file that a stopped party keeps, but for SQLite's shared memory."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def test_a_release_is_followed_at_hub_and_node(net: Network) -> None:
    net.start_hub()
    for operator in ("mno1", "mno2"):
        net.start_node(operator)
    with net.office() as office:
        release = office.request("presence", START, START)
        wait_until(lambda: len(net.contributions()) == 2, "two contributions")
    wait_until(lambda: "delivered" in net.log("mno1"), "the receipt")

    told = hub(net, "status")
    assert (told["network"], told["charter version"]) == ("demo", net.parties.charter.version)
    assert told["listens at"] == net.address
    assert told["releases"] == {
        "planned": 0,
        "collecting": 1,
        "estimated": 0,
        "inquorate": 0,
        "failed": 0,
    }
    assert (told["tasks"]["committed"], told["tasks"]["offered"]) == (2, 1)
    seen = {line["operator"]: line["nodes"] for line in hub(net, "operators")}
    assert seen["mno3"] == []
    assert [node["software_version"] for node in seen["mno1"]] == [told["hub version"]]
    states = {(task["operator"], task["release"]): task["state"] for task in hub(net, "tasks")}
    assert states == {
        ("mno1", release): "committed",
        ("mno2", release): "committed",
        ("mno3", release): "offered",
    }
    lines = hub(net, "audit", "--release", release, "--who", "operator/mno1")
    (accepted,) = [line for line in lines if line["what"] == "accepted a contribution"]
    assert len(accepted["order"]) == 64
    assert len(accepted["request_id"]) == 32
    assert hub(net, "audit", "--since", "2999-01-01") == []

    status = node(net, "mno1")
    assert status["days"] == {"offered": 2, "built": 2}
    assert status["ledger"]["entries"] == 1
    day = status["budget_left"]["day"]
    assert day["from"] == START.isoformat()
    assert 0 <= day["left_nano_rho"] < day["of_nano_rho"]
    assert status["daemon"]["runs"] is True
    assert status["daemon"]["last_contact"] >= status["daemon"]["since"][:10]
    assert "mno3  was never seen" in asked("hub", "operators", "--dir", str(net.parties.hub.root))
    text = asked("node", "status", "--dir", str(net.home("mno1").root))
    assert "2 of 2 are built" in text
    assert "ledger       1 entries" in text


def test_a_stopped_hub_and_node_answer_and_nothing_is_changed(net: Network) -> None:
    net.start_hub()
    process = net.start_node("mno1")
    wait_until(lambda: "connected to the hub" in net.log("mno1"), "the node to work")
    net.stop()
    assert process.returncode == 0
    before = contents(net.parties.hub.root), contents(net.home("mno1").root)
    assert hub(net, "status")["listens at"] is None
    assert [line["operator"] for line in hub(net, "operators")] == list(net.parties.nodes)
    assert hub(net, "tasks") == hub(net, "releases") == []
    assert {line["what"] for line in hub(net, "audit")} <= {"a certificate not seen before"}
    status = node(net, "mno1")
    assert (status["daemon"]["runs"], status["daemon"]["doing"]) == (False, "stopped")
    assert status["ledger"] == {"entries": 0, "head": status["ledger"]["head"]}
    assert node(net, "mno2")["daemon"]["doing"] == "never started"
    assert (contents(net.parties.hub.root), contents(net.home("mno1").root)) == before


@pytest.mark.full
def test_a_killed_hub_and_node_are_not_said_to_run(net: Network) -> None:
    net.start_hub()
    net.start_node("mno1")
    wait_until(lambda: "connected to the hub" in net.log("mno1"), "the node to work")
    net.kill("mno1")
    net.kill("hub")
    assert net.parties.hub.address.exists()
    assert hub(net, "status")["listens at"] is None
    assert node(net, "mno1")["daemon"]["doing"] == "ended without being asked"


@pytest.mark.full
@pytest.mark.parametrize("what", ["status", "operators", "tasks", "releases"])
def test_watching_prints_one_object_a_line_until_it_is_stopped(net: Network, what: str) -> None:
    net.start_hub()
    command = [sys.executable, "-m", "hub", what, "--dir", str(net.parties.hub.root), "--json", "--watch"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = [json.loads(process.stdout.readline()) for _look in range(2)]
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert seen[0] == seen[1]
