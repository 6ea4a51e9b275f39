"""A whole release of several levels, with Gaussian and with Laplace noise: from charter to published estimates."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from hub.config import read_register
from node.enrolment import load
from node.statistics.levels import by_level
from privacy.terms import Level
from quorate.contract.charter import Charter
from quorate.contract.order import keyset_for, terms_of
from quorate.contract.payload import decode
from quorate.contract.zoning import ZONE
from tests.exact import exact_of
from tests.harness import ROOT, START, Network, World, network

DAYS = START, START.replace(day=START.day + 1)
#: Every product with the days that are asked for, and its mechanism.
PRODUCTS = {
    "presence": ((START, START), "discrete-gaussian"),
    "residents": (DAYS, "discrete-laplace"),
}
LEVELS = (Level(name=ZONE, share_permille=600), Level(name="district", share_permille=400))


def two_levels(charter: Charter) -> Charter:
    """Return the charter with both products over zones and districts, and room for both on a day."""
    products = tuple(
        product.model_copy(update={"levels": LEVELS, "mechanism": PRODUCTS[product.product_id][1]})
        for product in charter.products
    )
    # Residents with Laplace noise cost a day four times their ρ, for one day can move a home.
    budgets = charter.budgets.model_copy(update={"day": 40_000_000})
    return charter.model_copy(update={"products": products, "budgets": budgets})


def run(*words: object) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def released(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, dict[str, pa.Table]]:
    """A network that has released both products, and the published tables; its processes have ended."""
    with network(world, tmp_path_factory.mktemp("levels"), two_levels) as net:
        net.start_hub()
        for operator in net.parties.nodes:
            net.start_node(operator)
        with net.office() as office:
            names = {product: office.request(product, *days) for product, (days, _noise) in PRODUCTS.items()}
            for name in names.values():
                office.wait(name, 120, lambda _seen: None)
            tables = {product: office.estimates(name) for product, name in names.items()}
        words = ("--dir", net.parties.office.root, "--hub", net.address)
        (net.root / "products.txt").write_text(run("hub.client.cli", "products", *words))
        (net.root / "products.json").write_text(run("hub.client.cli", "products", "--json", *words))
        net.stop()
        return net, tables


def test_both_products_are_published_at_zones_and_districts(
    released: tuple[Network, dict[str, pa.Table]], world: World
) -> None:
    net, tables = released
    zoned = len(world.country.zone_codes)
    persons = read_register(net.parties.hub.register, list(world.country.zone_codes)).population.sum()
    for product, hours in (("presence", 24), ("residents", 1)):
        table = tables[product]
        assert table.num_rows == (zoned + 3) * hours
        assert set(table["operators"].to_pylist()) == {3}
        districts = table.slice(zoned * hours)
        assert set(districts["ref_area"].to_pylist()) == {"D1", "D2", "D3"}
        # Some 800 persons in each: of 72 hourly cells a few are lost in their noise, and of residents none.
        assert districts["estimate"].null_count <= (24 if product == "presence" else 0)
        values = np.array(districts["estimate"].to_pylist(), np.float64).reshape(3, hours)
        # The three districts are the whole country, and the country is the register.
        whole = values[:, ~np.isnan(values).any(axis=0)].sum(axis=0)
        assert whole.size > 0
        assert whole == pytest.approx(np.full(whole.shape, persons), abs=0.2)
    assert set(tables["presence"]["rho"].to_pylist()) == {20_000_000}
    assert set(tables["residents"]["rho"].to_pylist()) == {4 * 5_000_000}


@pytest.mark.parametrize("product", sorted(PRODUCTS))
def test_what_the_hub_holds_are_the_exact_counts_of_both_levels_with_the_noise_of_each(
    released: tuple[Network, dict[str, pa.Table]], product: str
) -> None:
    net, _tables = released
    days, mechanism = PRODUCTS[product]
    held = {operator: data for (name, operator), data in net.contributions().items() if product in name}
    assert set(held) == set(net.parties.nodes)
    for operator, data in held.items():
        own = load(net.home(operator))
        terms = terms_of(own.charter, own.zoning, product, days, 0)
        assert (terms.mechanism, [level.name for level in terms.levels]) == (mechanism, [ZONE, "district"])
        keyset = keyset_for(own.charter, own.zoning, terms)
        vector, exact = decode(data, keyset.size), exact_of(net.home(operator), terms)
        parts = zip(keyset.parts(), by_level(exact, own.zoning, keyset), terms.levels, strict=True)
        for (_name, place, _shape), counts, level in parts:
            noise = vector[place] - counts
            # Of a Laplace distribution not one cell in 10¹³ is beyond thirty scales.
            assert (
                np.abs(noise).max()
                < (8 if mechanism == "discrete-gaussian" else 30) * level.scale_milli / 1000
            )
        assert (vector != np.concatenate(by_level(exact, own.zoning, keyset))).any()


def test_the_office_is_told_the_noise_of_every_level(released: tuple[Network, dict[str, pa.Table]]) -> None:
    net, _tables = released
    found = {product["product"]: product for product in json.loads((net.root / "products.json").read_text())}
    # √24/(2·.02·.6) = 31.62² and √24/(2·.02·.4) = 38.73²; 1/√(2·.005·.6) = 12.91 and 1/√(2·.005·.4) = 15.81.
    assert found["presence"]["mechanism"] == "discrete-gaussian"
    assert found["presence"]["measured"] == [
        {"level": "zone", "rho": 12_000_000, "scale": 31.63},
        {"level": "district", "rho": 8_000_000, "scale": 38.73},
    ]
    assert found["residents"]["mechanism"] == "discrete-laplace"
    assert found["residents"]["measured"] == [
        {"level": "zone", "rho": 3_000_000, "scale": 12.91},
        {"level": "district", "rho": 2_000_000, "scale": 15.82},
    ]
    assert (found["residents"]["rho_period"], found["residents"]["rho_day"]) == (5_000_000, 20_000_000)
    text = (net.root / "products.txt").read_text()
    assert "discrete-laplace noise of scale 15.82 in each district cell of each operator" in text


def test_every_ledger_holds_and_cards_say_the_noise_of_every_level(
    released: tuple[Network, dict[str, pa.Table]], tmp_path: Path
) -> None:
    net, _tables = released
    for operator in net.parties.nodes:
        home = net.home(operator).root
        assert run("node", "ledger", "verify", "--dir", home).startswith("ok: 2 entries")
    cards = [json.loads(run("node", "ledger", "card", number, "--json", "--dir", home)) for number in (1, 2)]
    found = {card["release"]["product"]: card["noise"] for card in cards}
    for product, (_days, mechanism) in PRODUCTS.items():
        assert found[product]["mechanism"] == mechanism
        assert [level["name"] for level in found[product]["levels"]] == [ZONE, "district"]
        assert {level["sampler"] for level in found[product]["levels"]} == {"opendp"}
