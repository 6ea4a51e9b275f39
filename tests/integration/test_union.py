"""Three daemons answer an order for a union: their sketches agree on whom they share, so their period key is one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import sqrt
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives import hashes
from numpy.typing import NDArray

from deploy.demo.agreement import NETWORK
from node.enrolment import enrol, load
from node.pinned_keys import every_pinned, key_of
from node.statistics.registry import algorithms
from privacy.statistics import UNION_SKETCH
from privacy.terms import Level
from quorate.contract.charter import Charter, Product
from quorate.contract.identity import load_certificate
from quorate.contract.order import terms_of
from quorate.contract.payload import decode
from quorate.contract.zoning import NATION
from tests.harness import START, Network, World, network, wait_until

BINS = 2**16
DAYS = START, START.replace(day=START.day + 1)
#: A loss of 100 is for tests alone: the noise has a standard deviation of .07 and is next to nothing.
RHO = 100_000_000_000


def with_union(charter: Charter) -> Charter:
    """Return the charter with a union of the whole country, and budgets that let it through."""
    union = Product(
        product_id="union",
        title="Persons by bin",
        statistic=UNION_SKETCH,
        parameters={"bins": BINS, "by_zone": False},
        levels=(Level(name=NATION, share_permille=1000),),
        max_days=31,
        rho=RHO,
        algorithm=algorithms()[UNION_SKETCH],
    )
    budgets = charter.budgets.model_copy(update={"day": 10 * RHO, "month": 10 * RHO})
    return charter.model_copy(update={"products": (*charter.products, union), "budgets": budgets})


def give_persons(net: Network, world: World, operator: str) -> set[int]:
    """Have an operator deliver national identifiers with its events; return those that are in them."""
    home, simulation, found = net.home(operator), world.simulation, set[int]()
    events = home.root / "events"
    events.mkdir()
    subscribers = pq.read_table(simulation.subscribers(operator))
    known = dict(zip(*(column.to_pylist() for column in subscribers.columns), strict=True))
    for day in DAYS:
        table = pq.read_table(simulation.events(operator, day))
        who = [known.get(subscriber) for subscriber in table["subscriber_id"].to_pylist()]
        found |= {person for person in who if person is not None}
        pq.write_table(
            table.append_column("national_id", [[None if one is None else str(one) for one in who]]),
            events / f"{day}.parquet",
        )
    (home.root / "national.key").write_bytes(bytes(32))
    (home.root / "national.key").chmod(0o600)
    config = home.config.read_text(encoding="utf-8").replace(
        f"{simulation.operator(operator).resolve().as_posix()}/events/", f"{events.resolve().as_posix()}/"
    )
    more = (
        'pseudonyms = {given = true, national_key_file = "national.key"}\n'
        'columns = {national_id = "national_id"}\n\n[engine]'
    )
    home.config.write_text(config.replace("[engine]", more), encoding="utf-8")
    policy = home.policy.read_text(encoding="utf-8").replace('"presence"]', '"presence", "union"]')
    home.policy.write_text(policy, encoding="utf-8")
    fingerprint = load_certificate(home.hub_root).fingerprint(hashes.SHA256()).hex()
    enrol(home, operator, NETWORK, fingerprint)
    return found


@pytest.fixture(scope="module")
def answered(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Network, dict[str, set[int]]]]:
    """A network whose operators have all answered an order for the union, and the persons in their events."""
    with network(world, tmp_path_factory.mktemp("union"), with_union) as net:
        persons = {operator: give_persons(net, world, operator) for operator in net.parties.nodes}
        home = net.parties.hub
        words = ("serve", "--dir", str(home.root), "--listen", net.address)
        hub = net.start("hub", "-m", "tests.sketch_hub", *words)
        wait_until(lambda: home.address.exists() or hub.poll() is not None, "the hub")
        assert hub.poll() is None, net.log("hub")
        for operator in persons:
            net.start_node(operator)
        with net.office() as office:
            office.request("union", *DAYS)
            wait_until(lambda: len(net.contributions()) == len(persons), "every operator to answer", 240)
        yield net, persons


def sketches_of(net: Network) -> dict[str, NDArray[np.int64]]:
    return {operator: decode(data, BINS) for (_release, operator), data in net.contributions().items()}


@pytest.mark.full
def test_what_two_sketches_have_in_common_are_the_persons_of_both(
    answered: tuple[Network, dict[str, set[int]]],
) -> None:
    """T = Σ dₐ·d_b estimates them; Var ≈ m·(sₐ·s_b + (n/m)²) + n with s = n/m. Under two keys T would be about 0."""
    net, persons = answered
    counts = sketches_of(net)
    for one, other in combinations(counts, 2):
        first, second = (counts[name] - counts[name].mean() for name in (one, other))
        shared = len(persons[one] & persons[other])
        loads = counts[one].mean() * counts[other].mean()
        spread = sqrt(BINS * (loads + (shared / BINS) ** 2) + shared)
        estimate = float(first @ second)
        print(f"\n{one} and {other}: {estimate:.0f} of {shared} persons, ± {spread:.0f}")
        assert shared > 6 * spread, "nobody in common would be told apart"
        assert abs(estimate - shared) < 5 * spread


@pytest.mark.full
def test_all_daemons_hold_one_package_and_the_hub_has_not_its_key(
    answered: tuple[Network, dict[str, set[int]]],
) -> None:
    net, _persons = answered
    homes = list(net.parties.nodes.values())
    own = load(homes[0])
    terms = terms_of(own.charter, own.zoning, "union", DAYS, 0)
    assert len({package.digest() for home in homes for package in every_pinned(home)}) == 1
    (key,) = {key_of(home, terms) for home in homes}
    files = [path for path in Path(net.parties.hub.root).rglob("*") if path.is_file()]
    written = [net.log("hub").encode(), *(path.read_bytes() for path in files)]
    assert not any(form in data for data in written for form in (key[:8], key[-8:], key.hex().encode()))
    logs = [net.log(operator).encode() for operator in net.parties.nodes]
    assert not any(form in data for data in logs for form in (key[:8], key.hex().encode()))
    assert all(b"period key of union" in data for data in logs)
