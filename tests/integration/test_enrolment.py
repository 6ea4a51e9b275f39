"""Joining with a one-time token over real TLS: the root is known before the token is told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from node.config import Home
from node.enrolment import initialise
from node.joining import join
from privacy.errors import ExitCode, Refused, Unreachable
from quorate.contract.handshake import shake_hands
from quorate.contract.identity import OPERATOR, Identity
from quorate.contract.transport import open_channel
from quorate.v1 import federation_pb2 as fed
from quorate.v1.federation_pb2_grpc import FederationServiceStub
from tests.harness import ROOT
from tests.keys import exchange_pem_for, pem_for
from tests.support_hub import NETWORK, write_hub_home
from tests.support_identities import Hub, outcome, serving

WEST = Identity(NETWORK, OPERATOR, "west")
ENROL, HEARTBEAT = "/quorate.v1.EnrolmentService/Enrol", "/quorate.v1.FederationService/Heartbeat"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with serving(write_hub_home(tmp_path_factory.mktemp("network") / "hub")) as found:
        yield found


def invited(hub: Hub, operator: str = "west") -> tuple[str, str]:
    """Return a token and the root's fingerprint, as the hub operator reads them."""
    found = json.loads(hub.command("invite", operator, "--json"))
    return found["token"], found["fingerprint"]


def new_node(root: Path, operator: str = "west") -> Home:
    home = Home(root)
    initialise(home, NETWORK, operator)
    home.operator_key.write_bytes(pem_for(operator))
    home.exchange_key.write_bytes(exchange_pem_for(operator))
    return home


def test_a_token_becomes_a_certificate_that_is_let_in(hub: Hub, tmp_path: Path) -> None:
    (token, fingerprint), home = invited(hub), new_node(tmp_path / "node")
    join(home, hub.enrolment, token, fingerprint, WEST)
    assert home.hub_root.read_bytes() == hub.home.root_certificate.read_bytes()
    assert home.charter.read_bytes() == hub.home.charter.read_bytes()
    assert home.zoning.read_bytes() == hub.home.zoning.read_bytes()
    with open_channel(hub.address, home.hub_root, home.key, home.certificate) as channel:
        answer = FederationServiceStub(channel).Heartbeat(fed.HeartbeatRequest(), timeout=30)
    assert answer.network == NETWORK
    before = home.certificate.read_bytes()
    join(home, hub.enrolment, token, fingerprint, WEST)
    assert home.certificate.read_bytes() == before
    assert token not in hub.log.read_text(encoding="utf-8")
    assert (WEST.uri, "enrolled") in hub.audited()


def test_a_spent_token_is_a_conflict_that_the_audit_trail_tells(hub: Hub, tmp_path: Path) -> None:
    token, fingerprint = invited(hub)
    join(new_node(tmp_path / "one"), hub.enrolment, token, fingerprint, WEST)
    with pytest.raises(Refused, match=r"ALREADY_EXISTS.*was spent by another request"):
        join(new_node(tmp_path / "two"), hub.enrolment, token, fingerprint, WEST)
    assert "rejected Enrol" in {what for _who, what in hub.audited()}


def test_a_token_of_another_operator_gives_nothing(hub: Hub, tmp_path: Path) -> None:
    token, fingerprint = invited(hub, "east")
    home = new_node(tmp_path / "node")
    with pytest.raises(Refused, match="the request asks for"):
        join(home, hub.enrolment, token, fingerprint, WEST)
    assert not home.certificate.exists()
    assert not home.hub_root.exists()


def test_no_token_is_told_to_a_hub_with_another_root(hub: Hub, tmp_path: Path) -> None:
    token, _fingerprint = invited(hub)
    home = new_node(tmp_path / "node")
    before = len(hub.audited())
    with pytest.raises(Refused, match="not the one that was given") as caught:
        join(home, hub.enrolment, token, "0" * 64, WEST)
    assert "nothing was sent" in caught.value.means
    assert len(hub.audited()) == before
    assert not home.hub_root.exists()


def test_the_shown_chain_ends_with_the_root(hub: Hub) -> None:
    shown = shake_hands(hub.enrolment)
    assert len(shown.chain) == 3
    assert (shown.protocol, shown.version) == ("h2", "TLSv1.3")
    with pytest.raises(Unreachable):
        shake_hands("localhost:1")


def test_each_port_serves_its_own_calls_alone(hub: Hub) -> None:
    credentials = grpc.ssl_channel_credentials(hub.home.root_certificate.read_bytes())
    with grpc.secure_channel(hub.enrolment, credentials) as channel:
        assert outcome(channel, HEARTBEAT, streams=False) is grpc.StatusCode.UNIMPLEMENTED
        assert outcome(channel, ENROL, streams=False) is grpc.StatusCode.PERMISSION_DENIED
    with grpc.secure_channel(hub.address, credentials) as channel:
        assert outcome(channel, ENROL, streams=False) is grpc.StatusCode.UNAVAILABLE


def test_the_command_reads_the_token_from_a_file_and_shows_it_nowhere(hub: Hub, tmp_path: Path) -> None:
    (token, fingerprint), home = invited(hub), new_node(tmp_path / "node")
    policy = 'products = ["residents"]\nday_cap = 1\nmonth_cap = 1\n'
    home.policy.write_text(policy, encoding="utf-8")
    names = [
        "--dir",
        str(home.root),
        "--network",
        NETWORK,
        "--operator",
        "west",
        "--fingerprint",
        fingerprint,
    ]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "node",
            "enrol",
            *names,
            "--hub-enrolment",
            hub.enrolment,
            "--token-file",
            "-",
        ],
        cwd=ROOT,
        input=token + "\n",
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "enrolled west in small" in done.stdout
    assert token not in done.stdout + done.stderr
    assert home.enrolment.exists()


def test_many_wrong_tokens_are_not_heard_any_more(tmp_path: Path) -> None:
    with serving(write_hub_home(tmp_path / "hub")) as hub:
        token, fingerprint = invited(hub)
        credentials = grpc.ssl_channel_credentials(hub.home.root_certificate.read_bytes())
        with grpc.secure_channel(hub.enrolment, credentials) as channel:
            for _ in range(20):
                assert outcome(channel, ENROL, streams=False) is grpc.StatusCode.PERMISSION_DENIED
            assert outcome(channel, ENROL, streams=False) is grpc.StatusCode.RESOURCE_EXHAUSTED
        with pytest.raises(Refused, match="too many wrong tokens"):
            join(new_node(tmp_path / "node"), hub.enrolment, token, fingerprint, WEST)
        assert len([what for _who, what in hub.audited() if what == "rejected Enrol"]) == 20


def test_an_operator_that_the_charter_does_not_name_is_not_invited(hub: Hub) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hub", "invite", "--dir", str(hub.home.root), "nobody"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == ExitCode.CONFIGURATION
    assert "is not in version 1 of the charter" in done.stderr
