"""Certificates end, are renewed and are revoked while a release is under way; nothing is lost or charged twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from hub.authority import sign
from privacy.errors import ExitCode
from quorate.contract.chain import issued_at
from quorate.contract.identity import OPERATOR, Identity, load_certificate
from tests.harness import ROOT, START, Network, wait_until
from tests.support_identities import let_live

PERIOD = (START, START)


def sign_anew(net: Network, operator: str) -> x509.Certificate:
    """Sign a node's request again, as the hub operator would, and give it to the node."""
    home, identity = net.home(operator), Identity("demo", OPERATOR, operator)
    home.certificate.write_bytes(sign(net.parties.hub, home.request.read_bytes(), identity))
    return load_certificate(home.certificate)


@pytest.mark.full
def test_a_release_outlives_the_certificates_it_began_with(net: Network) -> None:
    let_live(net.parties.hub, 30.0)
    net.start_hub()
    first = {operator: sign_anew(net, operator) for operator in net.parties.nodes}
    for operator in first:
        net.start_node(operator)
    with net.office() as office:
        last = max(certificate.not_valid_after_utc for certificate in first.values())
        wait_until(
            lambda: all(issued_at(load_certificate(net.home(name).certificate)) >= last for name in first),
            "certificates that were issued after the first ones had ended",
            150,
        )
        release = office.request("presence", *PERIOD)
        office.wait(release, 120, lambda _seen: None)
    assert {operator for _release, operator in net.contributions()} == set(first)
    for operator in first:
        assert net.log(operator).count("connected to the hub") == 1, "the daemon was not started again"
        assert len(net.ledger_results(operator)) == 1


@pytest.mark.full
def test_a_node_that_is_revoked_mid_release_delivers_when_it_is_let_in_again(net: Network) -> None:
    net.start_hub()
    for operator in ("mno1", "mno2"):
        net.start_node(operator)
    faulty = net.start_faulty_node("mno3", "kill-before-upload")
    with net.office() as office:
        release = office.request("presence", *PERIOD)
        assert faulty.wait(120) == -9, net.log("mno3")
        (committed,) = net.ledger_results("mno3")
        revoke(net, "mno3")
        assert net.start_node("mno3").wait(120) == ExitCode.REFUSED
        assert "was revoked" in net.log("mno3")
        assert (release, "mno3") not in net.contributions()
        sign_anew(net, "mno3")
        net.start_node("mno3")
        office.wait(release, 120, lambda _seen: None)
    assert net.contributions()[release, "mno3"] == committed
    assert net.ledger_results("mno3") == [committed]


def revoke(net: Network, target: str) -> None:
    directory: Path = net.parties.hub.root
    done = subprocess.run(
        [sys.executable, "-m", "hub", "revoke", "--dir", str(directory), target, "--why", "test"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
