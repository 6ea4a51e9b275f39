"""A day through real nodes and a hub: its quality indicators, and the report of presence that has them."""

from __future__ import annotations

from collections import Counter

import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives import hashes

from deploy.demo.agreement import NETWORK
from hub.client.office import quality_of
from node.config import Home
from node.enrolment import enrol
from node.statistics.registry import algorithms
from privacy.statistics import QUALITY_INDICATORS
from privacy.terms import Level
from quorate.contract.charter import Charter, Product
from quorate.contract.identity import load_certificate
from quorate.contract.zoning import NATION
from tests.harness import START, World, network

#: A loss of 100 is for tests alone: the noise has σ = .15, and is next to nothing.
RHO = 100_000_000_000
LIMIT = 1


def with_indicators(charter: Charter) -> Charter:
    """Return the charter with indicators, and budgets that let them through."""
    product = Product(
        product_id="indicators",
        title="Subscribers by what is wrong with their rows",
        statistic=QUALITY_INDICATORS,
        parameters={"min_hours": 1, "zones_limit": LIMIT, "min_stay_minutes": 30, "flows_limit": 2},
        levels=(Level(name=NATION, share_permille=1000),),
        max_days=1,
        rho=RHO,
        algorithm=algorithms()[QUALITY_INDICATORS],
    )
    budgets = charter.budgets.model_copy(update={"day": 10 * RHO, "month": 10 * RHO})
    return charter.model_copy(update={"products": (*charter.products, product), "budgets": budgets})


def take_part(home: Home, operator: str) -> None:
    """Have an operator take part in the indicators."""
    policy = home.policy.read_text(encoding="utf-8").replace('"presence"]', '"presence", "indicators"]')
    home.policy.write_text(policy, encoding="utf-8")
    fingerprint = load_certificate(home.hub_root).fingerprint(hashes.SHA256()).hex()
    enrol(home, operator, NETWORK, fingerprint)


def by_hand(home: Home) -> list[int]:
    """Return subscribers, those with a rejected row and those in too many zones, of a node's own files."""
    rows = pq.ParquetFile(home.presence / f"{START}.parquet").read().to_pylist()
    own = [row for row in rows if row["origin"] == 0]
    zones = Counter(row["subscriber"] for row in own if row["hours_mask"])
    rejected = pq.ParquetFile(home.rejected / f"{START}.parquet").read()["subscriber"].to_pylist()
    return [
        len({row["subscriber"] for row in own}),
        len(rejected),
        sum(count > LIMIT for count in zones.values()),
    ]


@pytest.mark.full
def test_indicators_of_a_day_are_released_and_in_the_report_of_presence(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with network(world, tmp_path_factory.mktemp("indicators"), with_indicators) as net:
        for operator in net.parties.nodes:
            take_part(net.home(operator), operator)
        net.start_hub()
        for operator in net.parties.nodes:
            net.start_node(operator)
        with net.office() as office:
            reports = {}
            for product in ("indicators", "presence"):
                name = office.request(product, START, START)
                office.wait(name, 120, lambda _seen: None)
                reports[product] = office.estimates(name)
        counted = [by_hand(net.home(operator)) for operator in net.parties.nodes]
    subscribers, rejected, busy = (sum(found) for found in zip(*counted, strict=True))
    # The events of the simulated day are dirty, and some of its subscribers move.
    assert 0 < rejected < subscribers
    assert 0 < busy < subscribers
    estimates = dict(
        zip(
            *(reports["indicators"][name].to_pylist() for name in ("counterpart_area", "estimate")),
            strict=True,
        )
    )
    assert (estimates["subscribers"], estimates["rejected"]) == (subscribers, rejected)
    assert estimates["many-zones"] in {busy, None}
    report = quality_of(reports["presence"])
    assert report["not measured"] == []
    assert report["rejected rows"]["part of subscribers"] == round(rejected / subscribers, 4)
    assert report["truncated"][f"more than {LIMIT} zones"]["part of subscribers"] == round(
        busy / subscribers, 4
    )
