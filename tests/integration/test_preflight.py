"""The preflight of a node tries what the daemon needs, and names the one thing that is wrong."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub.config import Home as HubHome
from node.config import Home
from node.preflight import Finding, exit_code, preflight
from privacy.errors import ExitCode, UsageProblem
from tests.harness import ROOT, free_port
from tests.keys import HUB, exchange_pem_for, pem_for
from tests.support_hub import write_hub_home
from tests.support_identities import serving
from tests.support_node import FIRST_DAY, config_text, enrolled, instant, network_at, write_events


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """An enrolled node whose hub is not there."""
    root = tmp_path_factory.mktemp("network")
    return enrolled(network_at(root / "hub"), root / "node")


def by_name(found: list[Finding]) -> dict[str, Finding]:
    return {one.name: one for one in found}


def test_a_hub_that_is_not_there_is_named_and_what_needs_it_is_not_tried(node: Home) -> None:
    found = by_name(preflight(node, f"localhost:{free_port()}"))
    assert found["documents"].result == found["name"].result == found["disk"].result == "ok"
    assert found["connection"].result == "failed"
    assert "firewall" in found["connection"].fix
    assert {found[name].result for name in ("HTTP/2", "no interception", "clock", "upload")} == {"skipped"}
    assert found["ledger and witness"].result == "ok"
    assert exit_code(list(found.values())) is ExitCode.HUB_UNREACHABLE


def test_an_exchange_key_that_is_not_the_charters_is_named(tmp_path: Path) -> None:
    home = enrolled(network_at(tmp_path / "hub"), tmp_path / "node")
    home.exchange_key.write_bytes(exchange_pem_for("somebody else"))
    found = by_name(preflight(home, f"localhost:{free_port()}"))
    assert found["documents"].result == "ok"
    assert found["keys"].result == "failed"
    assert "exchange.key is not the key that the charter names" in found["keys"].detail
    assert "restore the key" in found["keys"].fix


def test_a_name_that_is_not_known_is_told(node: Home) -> None:
    found = by_name(preflight(node, "no-such-host.invalid:7443"))
    assert found["name"].result == "failed"
    assert found["connection"].result == "skipped"
    assert found["connection"].detail == "needs name"


def test_somebody_who_opens_tls_on_the_way_is_found_out(node: Home, tmp_path: Path) -> None:
    other = write_hub_home(tmp_path / "proxy")
    with _tls_server(other) as address:
        found = by_name(preflight(node, address))
    assert found["connection"].result == "ok"
    assert found["HTTP/2"].result == "failed"
    assert found["no interception"].result == "failed"
    assert "Quorate root" in found["no interception"].detail
    assert "opens TLS" in found["no interception"].fix
    assert found["identity and charter"].result == "skipped"


@contextmanager
def _tls_server(home: HubHome) -> Iterator[str]:
    """Serve TLS without HTTP/2, with a chain of another authority, as a proxy that looks inside does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home.certificate, home.key)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    plain, _from = listening.accept()
                except OSError:
                    return  # the test is over
                try:
                    context.wrap_socket(plain, server_side=True).close()
                except OSError:
                    plain.close()  # who only looked whether somebody listens

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_a_node_that_is_not_enrolled_is_told_so_and_the_rest_is_tried(tmp_path: Path) -> None:
    found = by_name(preflight(Home(tmp_path), None))
    assert found["documents"].result == "failed"
    assert "quorate-node enrol" in found["documents"].fix
    assert found["disk"].result == "ok"
    assert found["ledger and witness"].result == "skipped"


def test_a_directory_that_is_not_there_is_no_node(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="there is no node in"):
        preflight(Home(tmp_path / "nowhere"), None)


def test_everything_is_tried_against_a_real_hub_and_found_in_order(tmp_path: Path) -> None:
    network = network_at(tmp_path / "hub")
    hub = network.hub
    hub.signing_key.write_bytes(pem_for(HUB))
    hub.charter.write_bytes(network.charter.to_bytes())
    hub.zoning.write_bytes(network.zoning.to_bytes())
    lines = [f"{code},100,80" for code in network.zoning.codes]
    hub.register.write_text("\n".join(["zone,population,phone_owners", *lines]) + "\n", encoding="utf-8")
    home = enrolled(network, tmp_path / "node", config=config_text((FIRST_DAY, FIRST_DAY)))
    write_events(home, FIRST_DAY, [(1, instant(FIRST_DAY, 3600.0), 1)])
    with serving(hub) as served:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "node",
                "preflight",
                "--dir",
                str(home.root),
                "--hub",
                served.address,
                "--json",
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert {name: one["result"] for name, one in found.items()} == dict.fromkeys(found, "ok"), done.stdout
    assert done.returncode == ExitCode.OK
    assert found["upload"]["detail"].startswith("10.5 MB in ")
    assert list(found) == [
        "documents",
        "keys",
        "name",
        "connection",
        "HTTP/2",
        "no interception",
        "certificate",
        "identity and charter",
        "clock",
        "upload",
        "disk",
        "ledger and witness",
        "code and data",
    ]
