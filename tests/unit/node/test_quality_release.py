"""Quality indicators released by the worker: from events of a day to four noised counts."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from node.config import Home
from node.enrolment import load
from node.planning import planned
from node.statistics.registry import algorithms
from node.worker import release
from privacy.errors import DataUnavailable
from privacy.ledger import Ledger
from privacy.statistics import QUALITY_INDICATORS
from privacy.terms import Level, Terms
from quorate.contract.charter import Product
from quorate.contract.payload import decode
from tests.support_node import (
    POLICY_TOML,
    Network,
    charter_of,
    config_text,
    enrolled,
    instant,
    order_of,
    products_of,
    write_events,
)
from tests.unit.node.two_days import DAYS, ingest, releasing

DAY = DAYS[0]
PRODUCT = Product(
    product_id="indicators",
    title="Subscribers by what is wrong with their rows",
    statistic=QUALITY_INDICATORS,
    parameters={"min_hours": 0, "zones_limit": 2, "min_stay_minutes": 0, "flows_limit": 1},
    levels=(Level(name="nation", share_permille=1000),),
    max_days=1,
    # A loss of 100 is for tests alone: the noise has σ = .15, and is not once in 10⁹ cells another number than 0.
    rho=100_000_000_000,
    algorithm=algorithms()[QUALITY_INDICATORS],
)
#: Cells 1, 2 and 3 are in three zones, and there is no cell 99.
SEEN = {
    5: [(1, 1), (2, 2), (3, 3)],  # three zones, two pairs
    6: [(1, 1), (2, 2), (3, 1), (4, 2)],  # two zones, two pairs
    7: [(1, 1), (2, 99)],  # a row at an unknown cell
    8: [(1, 99)],  # nothing else
    9: [(1, 1), (2, 2)],  # two zones, a pair
}


@pytest.fixture(scope="module")
def home(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A node with a day of presence, visits and rejected subscribers."""
    products = (*products_of(algorithms()), PRODUCT)
    measured = replace(network, charter=charter_of(network.zoning, products=products))
    home = enrolled(
        measured,
        tmp_path_factory.mktemp("quality") / "node",
        config=config_text(DAYS, "gate = {max_rejected_permille = 900}"),
        policy=POLICY_TOML.replace("products = [", 'products = ["indicators", '),
    )
    rows = [(who, instant(DAY, 3600 * hour), cell) for who, found in SEEN.items() for hour, cell in found]
    write_events(home, DAY, rows)
    ingest(home, DAY)
    return home


def terms_of_day(home: Home) -> Terms:
    return order_of(load(home), "indicators", (DAY, DAY)).terms


def test_a_release_counts_subscribers_and_its_snapshot_has_every_file_it_read(home: Home) -> None:
    told, data = release(releasing(home, terms_of_day(home)))
    # 5, 6, 7 and 9; 7 and 8; 5; 5 and 6.
    assert decode(data, 4).tolist() == [4, 2, 1, 2]
    files = [directory / f"{DAY}.parquet" for directory in (home.presence, home.visits, home.rejected)]
    digests = "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    assert told.snapshot == hashlib.sha256(digests.encode()).hexdigest()


def test_a_day_built_before_there_was_a_file_of_them_is_not_built_and_not_a_day_without_any(
    home: Home,
) -> None:
    path: Path = home.rejected / f"{DAY}.parquet"
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(DataUnavailable, match=f"presence of {DAY} is not built") as caught:
        release(releasing(home, terms_of_day(home)))
    assert "ingest" in caught.value.todo
    ingest(home, DAY)
    assert path.read_bytes() == kept


def test_the_charge_is_that_of_four_cells(home: Home) -> None:
    bounds = terms_of_day(home).bounds
    assert (bounds.period_squared, bounds.day_squared) == (4, 4)


def test_a_plan_of_it_has_the_noise_of_four_cells_at_the_level_of_the_country(home: Home) -> None:
    own = load(home)
    Ledger(home.ledger, own.ledger_identity, own.budgets).close()
    found = planned(home, "indicators", (DAY, DAY), 0)
    (level,) = found.plan.levels
    assert (level.name, level.period_squared) == ("nation", 4)
    # A loss of 100 is for tests alone.
    assert found.outcome == "refused"
