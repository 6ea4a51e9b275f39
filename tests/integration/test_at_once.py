"""A node that works at several orders at the same time, and one whose order another node gets while it computes."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import timedelta

import psutil
import pytest
from sqlalchemy import create_engine, text

from hub.database import sqlite_at
from tests.harness import START, Network, wait_until

NEXT_DAY = START + timedelta(days=1)


def put_first(net: Network, setting: str) -> None:
    """Put a setting before the tables of a node's configuration."""
    path = net.home("mno1").config
    path.write_text(f"{setting}\n{path.read_text('utf-8')}", encoding="utf-8")


def working(process: psutil.Process) -> Callable[[], list[psutil.Process]]:
    """Return what finds the worker processes of a node, as long as they live."""

    def find() -> list[psutil.Process]:
        return [child for child in process.children() if child.status() != psutil.STATUS_ZOMBIE]

    return find


def take_away(net: Network, until: float) -> None:
    """Give the orders of the operator to another node of it, whose lease ends then."""
    engine = create_engine(sqlite_at(net.parties.hub.database))
    with engine.begin() as connection:
        query = text("UPDATE task SET lease_token = 'another', lease_node = 2, lease_until = :until")
        connection.execute(query, {"until": until})
    engine.dispose()


def test_two_orders_are_worked_at_at_once_with_one_charge_and_one_receipt_each(net: Network) -> None:
    put_first(net, "tasks_at_once = 2")
    net.start_hub()
    for operator in net.parties.nodes:
        net.start_node(operator)
    with net.office() as office:
        releases = [office.request("presence", day, day) for day in (START, NEXT_DAY)]
        for release in releases:
            office.wait(release, 120, lambda _seen: None)
    said = net.log("mno1")
    first_delivered = said.index("delivered presence")
    assert said[:first_delivered].count("order for presence") == 2, (
        "the second is begun before the first ends"
    )
    ours = {data for (_release, operator), data in net.contributions().items() if operator == "mno1"}
    assert sorted(ours) == sorted(net.ledger_results("mno1"))
    assert len(ours) == 2
    wait_until(lambda: len(list(net.home("mno1").receipts.glob("*.json"))) == 2, "both receipts")
    assert "Traceback" not in said


@pytest.mark.full
def test_a_computation_whose_lease_is_lost_is_given_up_and_charges_nothing(net: Network) -> None:
    config = net.parties.hub.config
    config.write_text("lease_seconds = 1\n", encoding="utf-8")
    net.start_hub()
    node = psutil.Process(net.start_node("mno1").pid)
    wait_until(lambda: "connected to the hub" in net.log("mno1"), "the node to work")
    with net.office() as office:
        office.request("presence", START, START)
        (worker,) = wait_until(working(node), "the worker")
        worker.send_signal(signal.SIGSTOP)
        take_away(net, until=2**40)
        wait_until(lambda: "gave the order up" in net.log("mno1"), "the node to give up")
        assert not worker.is_running()
        assert net.ledger_results("mno1") == []
        take_away(net, until=0)
        wait_until(net.contributions, "the contribution")
    assert list(net.contributions().values()) == net.ledger_results("mno1")
