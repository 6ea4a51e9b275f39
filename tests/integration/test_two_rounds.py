"""Weighted presence over a real network: anchors first, then orders that carry each operator's own weights."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass

import click
import grpc
import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from hub.client.cli import commands as office_commands
from hub.config import read_register
from node.cli import commands as node_commands
from node.enrolment import load
from node.factors import read
from privacy.errors import UsageProblem
from quorate.contract.charter import Charter
from quorate.contract.order import TaskOrder, terms_of
from quorate.contract.transport import open_channel
from quorate.v1 import federation_pb2 as fed
from quorate.v1.federation_pb2_grpc import FederationServiceStub
from tests.exact import exact_of
from tests.harness import START, Network, World, network
from tests.two_rounds import ANCHORS, WEIGHTED, agreed, anchors, weighted

#: σ of 1 in the anchors, of √24·8/(2·6)^½ persons in the weighted answers: little beside 200 persons in a zone.
RHO_ANCHORS, RHO_WEIGHTED, LARGEST = 500_000_000, 6_000_000_000, 8
FIRST, SECOND = (f"{product}-{START}-{START}-r0" for product in (ANCHORS, WEIGHTED))
#: Their policies list both products; that of the third lists the anchors alone.
WILLING, UNWILLING = ("mno1", "mno2"), "mno3"


def two_rounds(charter: Charter) -> Charter:
    products = anchors(RHO_ANCHORS), weighted(RHO_WEIGHTED, LARGEST)
    return agreed(charter, products, day_budget=RHO_ANCHORS + RHO_WEIGHTED)


def run(command: click.Command, *words: object) -> str:
    """Run a command and return what it prints."""
    found = CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


@dataclass(frozen=True)
class Done:
    """What is left of the releases: the published table, and what commands printed while the hub ran."""

    net: Network
    kept: dict[str, str]
    table: pa.Table
    states: dict[str, dict[str, str]]
    products: str
    products_json: str
    from_hub: dict[str, str]
    denied: grpc.StatusCode


@pytest.fixture(scope="module")
def done(world: World, tmp_path_factory: pytest.TempPathFactory) -> Done:
    with network(world, tmp_path_factory.mktemp("rounds"), two_rounds, {UNWILLING: [WEIGHTED]}) as net:
        net.start_hub()
        for operator in net.parties.nodes:
            net.start_node(operator)
        with net.office() as office:
            # Only the second product is asked for.
            assert office.request(WEIGHTED, START, START) == SECOND
            office.wait(SECOND, 120, lambda _seen: None)
            table = office.estimates(SECOND)
            states = {
                release: {
                    one.operator_id: one.refusal or one.state
                    for one in list(office.watch(release, 10))[-1].operators
                }
                for release in (FIRST, SECOND)
            }
        words = ("--dir", net.parties.office.root, "--hub", net.address)
        kept = {operator: _factors(net, operator) for operator in WILLING}
        found = Done(
            net,
            kept,
            table,
            states,
            run(office_commands, "products", *words),
            run(office_commands, "products", "--json", *words),
            {
                operator: _factors(net, operator, "--from-hub", "--hub", net.address)
                for operator in net.parties.nodes
            },
            _refused_to_the_office(net),
        )
        net.stop()
        return found


def _factors(net: Network, operator: str, *words: object) -> str:
    return run(node_commands, "factors", SECOND, *words, "--dir", net.home(operator).root)


def _refused_to_the_office(net: Network) -> grpc.StatusCode:
    home = net.parties.office
    with (
        open_channel(net.address, home.hub_root, home.key, home.certificate) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        FederationServiceStub(channel).FetchFactors(fed.FetchFactorsRequest(release_id=SECOND), timeout=10)
    return caught.value.code()


def weights_at_the_hub(net: Network) -> dict[str, list[float]]:
    """Return the weights in persons that the hub put into the orders, by operator."""
    rows = net.hub_rows("SELECT release_id, operator, payload FROM task")
    orders = {
        operator: TaskOrder.from_bytes(payload, "the stored order")
        for release, operator, payload in rows
        if release == SECOND
    }
    return {
        operator: [weight / (order.weight_one or 0) for weight in order.weights or ()]
        for operator, order in orders.items()
    }


def persons(net: Network, world: World) -> NDArray[np.float64]:
    return read_register(net.parties.hub.register, list(world.country.zone_codes)).population


def test_the_anchors_are_released_before_the_weights_are_made(done: Done) -> None:
    assert done.states[FIRST] == dict.fromkeys((*WILLING, UNWILLING), "committed")
    assert done.states[SECOND] == {**dict.fromkeys(WILLING, "committed"), UNWILLING: "POLICY"}
    charged = {operator: len(done.net.ledger_results(operator)) for operator in done.net.parties.nodes}
    assert charged == {**dict.fromkeys(WILLING, 2), UNWILLING: 1}, "the refusal cost nothing"


def test_two_operators_stand_for_all_persons_although_the_third_refused(done: Done, world: World) -> None:
    zones, register = len(world.country.zone_codes), persons(done.net, world)
    assert done.table.num_rows == (zones + 3) * 24
    assert set(done.table["operators"].to_pylist()) == {2}
    districts = np.array(done.table["estimate"].to_pylist()[zones * 24 :], np.float64).reshape(3, 24)
    # At four in the morning everybody is at home; σ of a district's sum over its four zones is about 25 persons.
    assert districts[:, 4].sum() == pytest.approx(register.sum(), rel=0.06)
    report = json.loads(done.table.schema.metadata[b"quality"])
    assert report["operators"] == {"answered": list(WILLING), "missing": [UNWILLING]}
    assert report["method"].startswith("anchored weighting")
    # Of the demo's charter: no delay, known to ten minutes, and .15 ± .05.
    assert report["assumptions"]["delay in hours"] == 0.0
    assert report["assumptions"]["delay_sd in hours"] == pytest.approx(1 / 6, abs=0.001)
    assert report["assumptions"]["persons without a phone who move"] == 0.15
    assert report["assumptions"]["persons without a phone who move, sd"] == 0.05


def test_an_operator_reads_its_own_factors_from_its_disk_and_from_the_hub(done: Done, world: World) -> None:
    for operator, weights in weights_at_the_hub(done.net).items():
        # That of the operator that refused is on its disk because it has fetched it.
        assert _factors(done.net, operator) == done.kept.get(operator, done.from_hub[operator])
        assert done.kept.get(operator, done.from_hub[operator]) == done.from_hub[operator]
        header, *rows = csv.reader(done.from_hub[operator].splitlines())
        assert header == ["zone", "factor"]
        assert [zone for zone, _factor in rows] == list(world.country.zone_codes)
        # The last weight is that of subscribers without an anchor, who stand for no zone.
        assert [float(factor) for _zone, factor in rows] == pytest.approx(weights[:-1], abs=5.1e-5)
        listed = run(node_commands, "factors", "--dir", done.net.home(operator).root)
        assert listed.split() == [SECOND]
        as_json = json.loads(_factors(done.net, operator, "--json"))
        assert as_json == {zone: float(factor) for zone, factor in rows}


def test_the_trail_tells_who_asked_for_the_first_round(done: Done) -> None:
    lines = done.net.hub_rows("SELECT release_id, who, detail FROM audit WHERE what = 'requested a release'")
    asked = {release: (who, detail) for release, who, detail in lines}
    assert asked.keys() == {FIRST, SECOND}
    assert asked[FIRST] == (asked[SECOND][0], f"{FIRST}, the first round of {SECOND}")


def test_factors_are_told_to_their_operator_alone(done: Done) -> None:
    assert len(set(done.from_hub.values())) == 3, (
        "who asks gets those of its certificate, and can name nobody else"
    )
    assert done.denied is grpc.StatusCode.PERMISSION_DENIED


def test_factors_are_phone_owners_for_each_anchored_subscriber(done: Done, world: World) -> None:
    owners = read_register(done.net.parties.hub.register, list(world.country.zone_codes)).phone_owners
    for operator, weights in weights_at_the_hub(done.net).items():
        own = load(done.net.home(operator))
        anchored = exact_of(
            done.net.home(operator), terms_of(own.charter, own.zoning, ANCHORS, (START, START), 0)
        )
        # σ is 1 beside 20 to 60 subscribers.
        assert weights[:-1] == pytest.approx(np.minimum(owners / anchored[:-1], LARGEST), rel=0.15)
        assert weights[-1] == 0, "who has no anchor stands for no zone"


def test_a_release_without_factors_has_none_to_show(done: Done) -> None:
    with pytest.raises(UsageProblem, match=f"no factors of {FIRST} are kept here"):
        read(done.net.home("mno1"), FIRST)


def test_the_office_is_told_which_product_another_one_is_made_of(done: Done) -> None:
    found = {product["product"]: product["requires"] for product in json.loads(done.products_json)}
    assert found == {ANCHORS: [], WEIGHTED: [ANCHORS]}
    assert (
        done.products.count("made of anchors of the same period: asked for first, and charged beside it") == 1
    )
