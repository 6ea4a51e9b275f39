"""Three operators get one period key through a hub that loses calls, dies, or goes back to a backup."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.life import COMMITTED, REFUSED
from node.config import Home
from node.pinned_keys import every_pinned
from quorate.contract.period_key import PeriodKey
from tests.keys import exchange_for
from tests.simulator import holds
from tests.simulator.hub import LEASE_SECONDS
from tests.simulator.network import Fault
from tests.simulator.node import IDLE, TROUBLE
from tests.simulator.world import World
from tests.support_hub import OPERATORS
from tests.support_sketch import UNION, WEEK, scope_in, union_agreement

GET, PUT = "GetPeriodKey", "PutPeriodKey"


@pytest.fixture
def world() -> Iterator[World]:
    with World(union_agreement()) as found:
        yield found


def everybody_works(world: World) -> None:
    """Let every node go on until it has nothing to do; those that died start again."""
    for _ in range(3):
        for operator, node in world.nodes.items():
            if not node.process.running:
                world.start(operator, node.number)
            world.reach(operator, IDLE, TROUBLE)
        world.clock.advance(LEASE_SECONDS + 1)


def pinned_at(world: World) -> dict[str, PeriodKey]:
    """Return the package that each operator has pinned; at most one."""
    found = {name: every_pinned(Home(site.root)) for name, site in world.sites.items()}
    assert all(len(packages) <= 1 for packages in found.values())
    return {name: packages[0] for name, packages in found.items() if packages}


def states(world: World) -> dict[str, str]:
    (release,) = world.hub.store.releases()
    return {operator: state for operator, state, _refusal in release.tasks}


def one_key_for_all(world: World) -> None:
    """All three answered, each at one charge, under one key that the hub keeps and that each of them can open."""
    assert states(world) == dict.fromkeys(OPERATORS, COMMITTED)
    assert [len(holds.charged_by(site)) for site in world.sites.values()] == [1, 1, 1]
    pinned = pinned_at(world)
    assert set(pinned) == set(OPERATORS)
    keys = {package.key_for(name, exchange_for(name)) for name, package in pinned.items()}
    assert len({package.digest() for package in pinned.values()}) == len(keys) == 1
    assert world.hub.store.packages.find(scope_in(world.own.charter)) is not None


def test_three_operators_answer_under_the_key_of_whoever_came_first(world: World) -> None:
    world.open(UNION, *WEEK)
    everybody_works(world)
    one_key_for_all(world)
    assert pinned_at(world)["west"].maker == OPERATORS[0]
    assert [sent.name for sent in world.network.sent].count(PUT) == 1


@pytest.mark.parametrize("fault", [Fault.DROPPED, Fault.DIED, Fault.REPLY_LOST], ids=str)
@pytest.mark.parametrize("call", [GET, PUT])
def test_a_call_about_the_key_that_is_lost_is_made_again_and_the_key_is_one(
    world: World, call: str, fault: Fault
) -> None:
    world.open(UNION, *WEEK)
    assert world.reach("east", call) == call
    world.step("east", fault)
    everybody_works(world)
    one_key_for_all(world)


@pytest.mark.parametrize("call", [GET, PUT])
def test_two_who_make_a_key_at_the_same_time_hold_the_one_that_came_first(world: World, call: str) -> None:
    world.open(UNION, *WEEK)
    assert world.reach("east", PUT) == PUT
    assert world.reach("west", call) == call
    world.reach("west", IDLE, TROUBLE)
    everybody_works(world)
    one_key_for_all(world)
    assert pinned_at(world)["east"].maker == "west"


def test_a_node_killed_after_its_key_arrived_and_before_it_was_pinned_gets_it_back(world: World) -> None:
    world.open(UNION, *WEEK)
    assert world.reach("east", PUT) == PUT
    world.step("east", Fault.REPLY_LOST)
    world.start("east")
    assert pinned_at(world) == {}
    everybody_works(world)
    one_key_for_all(world)
    assert pinned_at(world)["east"].maker == "east"


def test_a_node_killed_before_its_key_was_sent_leaves_nothing(world: World) -> None:
    world.open(UNION, *WEEK)
    assert world.reach("east", PUT) == PUT
    world.start("east")
    assert world.hub.store.packages.find(scope_in(world.own.charter)) is None
    everybody_works(world)
    one_key_for_all(world)


def test_a_hub_that_cannot_be_reached_is_waited_for_and_nothing_is_charged(world: World) -> None:
    world.open(UNION, *WEEK)
    assert world.reach("east", GET) == GET
    world.network.down = True
    for _ in range(5):
        world.step("east")
    assert world.nodes["east"].process.running
    assert holds.charged_by(world.sites["east"]) == {}
    world.network.down = False
    everybody_works(world)
    one_key_for_all(world)


def test_a_hub_that_lost_the_key_gets_it_again_from_its_maker(world: World) -> None:
    world.open(UNION, *WEEK)
    world.back_up()
    world.reach("east", IDLE)
    made = pinned_at(world)["east"]
    world.restore()
    assert world.hub.store.packages.find(scope_in(world.own.charter)) is None
    world.reach("east", IDLE)
    everybody_works(world)
    one_key_for_all(world)
    assert pinned_at(world) == dict.fromkeys(OPERATORS, made)


def test_who_holds_the_key_from_before_the_backup_refuses_another_and_never_mixes_them(world: World) -> None:
    """East answered under its key; the hub forgot both, and west makes another one before east comes back."""
    world.open(UNION, *WEEK)
    world.back_up()
    world.reach("east", IDLE)
    made = pinned_at(world)["east"]
    world.restore()
    world.reach("west", IDLE)
    everybody_works(world)
    assert states(world) == {"east": REFUSED, "north": COMMITTED, "west": COMMITTED}
    (release,) = world.hub.store.releases()
    assert [refusal for operator, _state, refusal in release.tasks if operator == "east"] == ["CONFLICT"]
    pinned = pinned_at(world)
    assert pinned["east"] == made
    assert pinned["west"] == pinned["north"] != made
