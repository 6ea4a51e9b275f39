"""Two rounds under faults: whatever goes wrong in between, everybody is asked once, and with the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from hub.life import COMMITTED, ESTIMATED, PLANNED
from quorate.contract.order import TaskOrder
from tests.simulator import holds
from tests.simulator.network import Fault
from tests.simulator.node import IDLE
from tests.simulator.world import World
from tests.support_hub import OPERATORS

DAY = date(2026, 5, 4)


@pytest.fixture
def world() -> Iterator[World]:
    with World() as found:
        yield found


def opened(world: World) -> str:
    return world.open("weighted", DAY, DAY)


def first_round(world: World) -> None:
    for operator in OPERATORS:
        world.reach(operator, IDLE)


def everything_is_whole(world: World) -> None:
    world.settle()
    world.claim()
    ledgers = {name: holds.charged_by(site) for name, site in world.sites.items()}
    holds.the_hub_has_what_nodes_committed(world.hub, ledgers)
    holds.every_answer_has_its_receipt(world.hub, world.sites)
    ended = holds.releases_combine_each_operator_once(world.own, world.hub, ledgers, set())
    assert [state for state, _digest in ended.values()] == [ESTIMATED] * 2
    assert [len(ledger) for ledger in ledgers.values()] == [2, 2, 2], "one charge for each round"
    assert {answer.state for answer in holds.answers_at(world.hub)} == {COMMITTED}


def weights_at(world: World, release: str) -> dict[str, tuple[int, ...] | None]:
    return {
        name: TaskOrder.from_bytes(world.hub.store.weighted_order(name, release), "the order").weights
        for name in OPERATORS
    }


def test_both_rounds_end_with_one_charge_each(world: World) -> None:
    opened(world)
    everything_is_whole(world)


def test_a_hub_killed_between_the_rounds_goes_on_where_it_was(world: World) -> None:
    release = opened(world)
    world.hub.restart()
    first_round(world)
    world.hub.restart()
    assert world.hub.store.view(release).state == PLANNED
    everything_is_whole(world)


@pytest.mark.parametrize("fault", [Fault.DIED, Fault.REPLY_LOST, Fault.FILE_KEPT])
def test_a_call_lost_in_the_second_round_is_made_again(world: World, fault: Fault) -> None:
    opened(world)
    first_round(world)
    world.hub.advance()
    assert world.reach("east", "CommitContribution") == "CommitContribution"
    world.step("east", fault)
    everything_is_whole(world)


def test_a_hub_restored_from_before_the_second_round_gives_the_same_weights_and_charges_nothing_more(
    world: World,
) -> None:
    release = opened(world)
    first_round(world)
    world.back_up()
    world.hub.advance()
    before = weights_at(world, release)
    first_round(world)
    world.restore()
    world.hub.advance()
    assert weights_at(world, release) == before
    everything_is_whole(world)
