"""A hub is restored from a backup; nodes publish and send again what it lacks, and charge nothing for it."""

from __future__ import annotations

import shutil

import pytest

from privacy.ledger import verify
from tests.faults.facts import contributions_of
from tests.harness import START, Network, wait_until

PERIOD = (START, START)
OPERATORS = ("mno1", "mno2", "mno3")


@pytest.mark.full
@pytest.mark.parametrize("killed", [False, True], ids=["nodes stay", "nodes killed"])
def test_a_hub_restored_from_before_the_contributions_gets_the_same_bytes_again(
    net: Network, killed: bool
) -> None:
    home, backup = net.parties.hub, net.root / "backup"
    net.start_hub()
    with net.office() as office:
        release = office.request("presence", *PERIOD)
    net.stop()
    shutil.copytree(home.root, backup)
    net.start_hub()
    for operator in OPERATORS:
        net.start_node(operator)
    with net.office() as office:
        office.wait(release, 120, lambda _seen: None)
    before = {kept.operator: (kept.result_sha256, kept.receipt) for kept in contributions_of(net)}
    assert set(before) == set(OPERATORS)
    for name in ["hub", *(OPERATORS if killed else ())]:
        net.kill(name)
    shutil.rmtree(home.root)
    shutil.copytree(backup, home.root)
    net.start_hub()
    assert net.contributions() == {}
    for operator in OPERATORS if killed else ():
        net.start_node(operator)
    with net.office() as office:
        office.wait(release, 90, lambda _seen: None)
    assert {kept.operator: (kept.result_sha256, kept.receipt) for kept in contributions_of(net)} == before
    wait_until(
        lambda: net.hub_rows("SELECT count(*) FROM ledger_entry") == [(len(OPERATORS),)], "the charges"
    )
    assert [verify(net.home(operator).ledger)[0] for operator in OPERATORS] == [1, 1, 1]
