"""Nodes and hub are killed without warning; nothing is lost, charged twice or noised twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.enrolment import Enrolment
from privacy.errors import BudgetExhausted
from privacy.ledger import verify
from quorate.contract.canonical import digest
from quorate.contract.charter import Charter
from tests.faults.facts import contributions_of
from tests.harness import START, Network, World, network, wait_until

PERIOD = (START, START)


def entries(net: Network, operator: str) -> int:
    return verify(net.home(operator).ledger)[0]


@pytest.mark.parametrize(
    "point", ["kill-after-commit", pytest.param("kill-before-upload", marks=pytest.mark.full)]
)
def test_a_node_killed_between_commit_and_upload_sends_the_same_bytes_under_one_charge(
    net: Network, point: str
) -> None:
    net.start_hub()
    net.start_node("mno1")
    net.start_node("mno2")
    faulty = net.start_faulty_node("mno3", point)
    with net.office() as office:
        release = office.request("presence", *PERIOD)
        assert faulty.wait(60) == -9, net.log("mno3")
        (committed,) = net.ledger_results("mno3")
        assert (release, "mno3") not in net.contributions()
        net.start_node("mno3")
        office.wait(release, 120, lambda _seen: None)
    assert net.contributions()[release, "mno3"] == committed
    assert net.ledger_results("mno3") == [committed]
    assert entries(net, "mno3") == 1


@pytest.mark.full
def test_a_node_killed_before_its_commit_has_charged_and_sent_nothing(net: Network) -> None:
    net.start_hub()
    net.start_node("mno1")
    net.start_node("mno2")
    faulty = net.start_faulty_node("mno3", "kill-before-commit")
    with net.office() as office:
        release = office.request("presence", *PERIOD)
        assert faulty.wait(60) == -9, net.log("mno3")
        assert entries(net, "mno3") == 0
        assert (release, "mno3") not in net.contributions()
        net.start_node("mno3")
        office.wait(release, 120, lambda _seen: None)
    assert entries(net, "mno3") == 1
    assert net.ledger_results("mno3") == [net.contributions()[release, "mno3"]]


@pytest.mark.full
def test_a_node_killed_before_it_kept_its_receipt_gets_the_same_one_at_its_next_start(net: Network) -> None:
    net.start_hub()
    net.start_node("mno1")
    net.start_node("mno2")
    faulty = net.start_faulty_node("mno3", "kill-before-receipt")
    with net.office() as office:
        office.wait(office.request("presence", *PERIOD), 120, lambda _seen: None)
    assert faulty.wait(60) == -9, net.log("mno3")
    (theirs,) = (kept for kept in contributions_of(net) if kept.operator == "mno3")
    own = net.home("mno3").receipts / f"{theirs.order}.json"
    assert not own.exists(), "the hub has accepted, and the node does not know it"
    net.start_node("mno3")
    wait_until(own.exists, "the receipt")
    assert own.read_bytes() == theirs.receipt
    wait_until(lambda: not list(own.parent.glob("*.order")), "nothing to be open")
    assert entries(net, "mno3") == 1


def test_a_hub_killed_in_the_middle_and_restarted_completes_the_release(net: Network) -> None:
    net.start_hub()
    net.start_node("mno1")
    net.start_node("mno2")
    with net.office() as office:
        release = office.request("presence", *PERIOD)
        wait_until(lambda: len(net.contributions()) == 2, "two contributions")
    before = net.contributions()
    net.kill("hub")
    net.start_node("mno3")
    net.start_hub()
    with net.office() as office:
        office.wait(release, 120, lambda _seen: None)
        table = office.estimates(release)
    assert set(table.column("operators").to_pylist()) == {3}
    after = net.contributions()
    assert {key: after[key] for key in before} == before
    assert [entries(net, operator) for operator in net.parties.nodes] == [1, 1, 1]


@pytest.mark.full
def test_asking_again_returns_the_same_release_and_charges_nothing(net: Network) -> None:
    net.start_hub()
    for operator in net.parties.nodes:
        net.start_node(operator)
    with net.office() as office:
        first = office.request("presence", *PERIOD)
        office.wait(first, 120, lambda _seen: None)
        bytes_before = net.contributions()
        assert office.request("presence", *PERIOD) == first
        office.wait(first, 120, lambda _seen: None)
        revised = office.request("presence", *PERIOD, revision=1)
        with pytest.raises(BudgetExhausted, match="cannot bear release presence"):
            office.wait(revised, 120, lambda _seen: None)
    assert net.contributions() == bytes_before
    assert [entries(net, operator) for operator in net.parties.nodes] == [1, 1, 1]


@pytest.mark.full
def test_one_refusal_does_not_fail_a_release_that_stays_quorate(world: World, tmp_path: Path) -> None:
    def two_suffice(charter: Charter) -> Charter:
        return charter.model_copy(
            update={"publication": charter.publication.model_copy(update={"min_operators": 2})}
        )

    with network(world, tmp_path, two_suffice) as net:
        home = net.home("mno3")
        home.policy.write_text(home.policy.read_text().replace(', "presence"]', "]"))
        pinned = Enrolment.read(home.enrolment)
        home.enrolment.write_bytes(
            pinned.model_copy(update={"policy": digest(home.policy.read_bytes())}).to_bytes()
        )
        net.start_hub()
        for operator in net.parties.nodes:
            net.start_node(operator)
        with net.office() as office:
            release = office.request("presence", START, START)
            states = list(office.watch(release, 60))
            table = office.estimates(release)
        assert {op.operator_id: op.refusal for op in states[-1].operators}["mno3"] == "POLICY"
        assert set(table.column("operators").to_pylist()) == {2}
        assert [entries(net, operator) for operator in net.parties.nodes] == [1, 1, 0]
