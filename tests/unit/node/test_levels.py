"""Several levels in one release: sums of zones by hand, and real releases whose noise is that of each level."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from node.config import Home
from node.enrolment import enrol, load
from node.release.releasing import Releasing
from node.statistics.levels import by_level
from node.statistics.registry import algorithms
from privacy.ledger import Entry, Ledger
from privacy.sensitivity import Mechanism
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS
from privacy.terms import Level, Terms
from quorate.contract.charter import Product
from quorate.contract.keyset import Keyset, keyset_of
from quorate.contract.order import keyset_for
from quorate.contract.payload import decode
from quorate.contract.zoning import ZONE, Zone, Zoning
from tests.exact import exact_of
from tests.support_node import (
    BRUSSELS,
    LONG_DAY,
    POLICY_TOML,
    Network,
    network_at,
    nothing_else,
    order_of,
    prepare,
    problem,
    products_of,
)
from tests.unit.node.two_days import DAYS, ingest, laid_out

MECHANISMS: tuple[Mechanism, ...] = ("discrete-gaussian", "discrete-laplace")
#: Zone D has no province, as Brussels has none; districts and provinces are not in the order of the zones.
ZONING = Zoning(
    name="Small",
    version="1",
    levels=(ZONE, "district", "province"),
    zones=(
        Zone(code="A", parents={"district": "D2", "province": "P1"}),
        Zone(code="B", parents={"district": "D1", "province": "P1"}),
        Zone(code="C", parents={"district": "D2", "province": "P1"}),
        Zone(code="D", parents={"district": "D3"}),
    ),
)


# --- sums of zones ----------------------------------------------------------------------------------------


def cells(statistic: str, day: date, *names: str) -> Keyset:
    return keyset_of(statistic, {}, ZONING, names, first_day=day, time_zone=BRUSSELS)


def levels_of(exact: NDArray[np.int64], statistic: str, day: date, *names: str) -> list[NDArray[np.int64]]:
    return by_level(exact, ZONING, cells(statistic, day, *names))


def test_areas_are_the_sums_of_their_zones_and_the_special_area_comes_last() -> None:
    exact = np.array([1, 20, 300, 4000, 50_000], np.int64)
    zones, districts, provinces = levels_of(exact, RESIDENTS, LONG_DAY, ZONE, "district", "province")
    assert zones.tolist() == [1, 20, 300, 4000, 50_000]
    assert districts.tolist() == [20, 301, 4000, 50_000], "D1 is B, D2 is A and C, D3 is D"
    assert provinces.tolist() == [321, 50_000], (
        "a zone without a province is in none, and not in the special area"
    )
    assert all(counts.dtype == np.int64 for counts in (zones, districts, provinces))


def test_hours_are_added_up_each_for_itself() -> None:
    exact = np.arange(5 * 25, dtype=np.int64) ** 2
    table = exact.reshape(5, 25)
    districts, zones = levels_of(exact, PRESENCE_BY_HOUR, LONG_DAY, "district", ZONE)
    expected = [table[1], table[0] + table[2], table[3], table[4]]
    assert districts.reshape(4, 25).tolist() == [row.tolist() for row in expected]
    assert zones.tolist() == exact.tolist(), "the order is that of the keyset"


def test_the_vectors_have_the_cells_of_the_keyset() -> None:
    names = ("province", ZONE, "district")
    keyset = cells(PRESENCE_BY_HOUR, LONG_DAY, *names)
    vectors = by_level(np.zeros(5 * 25, np.int64), ZONING, keyset)
    assert [vector.size for vector in vectors] == [areas * hours for areas, hours in keyset.shapes]
    assert sum(vector.size for vector in vectors) == keyset.size


def test_a_subscriber_moves_every_level_by_no_more_than_the_zones() -> None:
    """One in, one out and one moved: the bounds of a statistic hold at every level."""
    before = np.array([5, 5, 5, 5, 5], np.int64)
    for gone in range(5):
        for back in (None, *range(5)):
            after = before.copy()
            after[gone] -= 1
            if back is not None:
                after[back] += 1
            moved = [
                int(np.abs(one - other).sum())
                for one, other in zip(
                    levels_of(before, RESIDENTS, LONG_DAY, ZONE, "district", "province"),
                    levels_of(after, RESIDENTS, LONG_DAY, ZONE, "district", "province"),
                    strict=True,
                )
            ]
            assert max(moved[1:]) <= moved[0] <= (1 if back is None else 2)


# --- releases through the real worker ---------------------------------------------------------------------


def two_levels(mechanism: Mechanism) -> tuple[Product, ...]:
    """Return both products, with three fifths of the loss for zones and the rest for districts."""
    levels = (Level(name="district", share_permille=400), Level(name=ZONE, share_permille=600))
    return tuple(
        product.model_copy(update={"levels": levels, "mechanism": mechanism})
        for product in products_of(algorithms())
    )


@pytest.fixture(scope="module", params=MECHANISMS)
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Mechanism]:
    """A node with two days of presence, under a charter that measures districts and zones."""
    root = tmp_path_factory.mktemp(request.param)
    home = laid_out(network_at(root / "hub", products=two_levels(request.param)), root / "node")
    ingest(home)
    return home, request.param


def released(home: Home, ledger: Path, product: str, days: Sequence[date]) -> tuple[Terms, bytes, Entry]:
    """Answer an order as the daemon does: a worker process, and a charge in a ledger."""
    own = load(home)
    order = order_of(own, product, (days[0], days[-1]))
    with closing(Ledger(ledger, own.ledger_identity, own.budgets)) as opened:
        found = Releasing(
            home.root, own, algorithms(), opened, lambda: LONG_DAY + timedelta(days=1), nothing_else
        ).answer(order, lambda _phase: None)
    return order.terms, found.result, Entry.model_validate_json(found.entry)


@pytest.mark.parametrize(("product", "days"), [("presence", (LONG_DAY,)), ("residents", DAYS)])
def test_a_release_of_two_levels_is_the_exact_counts_of_both_with_the_noise_of_each(
    node: tuple[Home, Mechanism], tmp_path: Path, product: str, days: Sequence[date]
) -> None:
    home, mechanism = node
    terms, result, entry = released(home, tmp_path / "ledger.db", product, days)
    own = load(home)
    keyset = keyset_for(own.charter, own.zoning, terms)
    exact = exact_of(home, terms).reshape(4, keyset.hours)
    # Z001 and Z002 are district D1, Z003 is D2; last comes what has no zone.
    expected = {"district": np.stack([exact[0] + exact[1], exact[2], exact[3]]), ZONE: exact}
    vector, noises = decode(result, keyset.size), []
    assert [name for name, _place, _shape in keyset.parts()] == ["district", ZONE]
    for (name, place, shape), level in zip(keyset.parts(), terms.levels, strict=True):
        noise = vector[place].reshape(shape) - expected[name]
        # Beyond eight scales is one cell in 10¹³ of a Gaussian, but one in 3,000 of a Laplace distribution,
        # of which one in 10¹³ is beyond thirty.
        limit = 8 if mechanism == "discrete-gaussian" else 30
        assert np.abs(noise).max() < limit * level.scale_milli / 1000
        noises.append(noise)
    assert any(noise.any() for noise in noises), "so many cells are not without noise by chance"
    assert entry.terms == terms
    assert entry.samplers == ("opendp", "opendp")
    assert (entry.charge, entry.problem()) == (terms.charge(), "")
    assert terms.by_period == own.charter.product(product).rho
    assert [level.by_period for level in terms.levels] == [
        terms.by_period * 4 // 10,
        terms.by_period * 6 // 10,
    ]


def test_a_charter_whose_levels_the_zoning_lacks_is_not_pinned(tmp_path: Path) -> None:
    levels = (Level(name=ZONE, share_permille=500), Level(name="province", share_permille=500))
    products = tuple(product.model_copy(update={"levels": levels}) for product in products_of(algorithms()))
    network: Network = network_at(tmp_path / "hub", products=products)
    home = prepare(network, tmp_path / "node", policy=POLICY_TOML)
    found = problem(lambda: enrol(home, "alpha", "testnet", network.fingerprint))
    assert found.what == "the charter names the level province, which the zoning does not have"
    assert not home.enrolment.exists()
