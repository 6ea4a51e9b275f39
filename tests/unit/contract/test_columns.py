"""Cells of every statistic: rows and columns of each level, and the parameters that decide them."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from privacy.errors import UsageProblem
from privacy.statistics import COMMUTING, FLOWS, STATISTICS, VISITORS
from quorate.contract.charter import Charter
from quorate.contract.columns import LAYOUTS
from quorate.contract.keyset import Keyset, keyset_of
from quorate.contract.order import keyset_for, terms_of
from quorate.contract.zoning import Zone, Zoning
from tests.support_node import BRUSSELS, charter_of, zoning_of

PLAIN, LONG = date(2026, 10, 20), date(2026, 10, 25)
#: Two districts; zone C has none.
ZONING = Zoning(
    name="Small",
    version="1",
    levels=("zone", "district"),
    zones=(
        Zone(code="A", parents={"district": "D1"}),
        Zone(code="B", parents={"district": "D2"}),
        Zone(code="C", parents={}),
    ),
)
EDGES = {"edges": [0, 15, 60]}
COUNTRIES = {"countries": {"NL": [204], "DE": [262], "US": [310, 311]}}
PARAMETERS: dict[str, dict[str, Any]] = {
    "weighted-presence": {"weight_maximum": 9},
    "presence-by-day": {"limit": 3},
    "flows": {"limit": 3},
    "visitors": COUNTRIES,
    "stay-durations": EDGES,
    "travelled-distances": EDGES,
    "gyration": EDGES,
    "activity": EDGES,
}
HOURS = tuple(str(hour) for hour in range(25))
BINS = ("0-14", "15-59", "60+")
EXPECTED = {
    "presence-by-hour": ("unobserved", "hour", HOURS),
    "weighted-presence": ("unobserved", "hour", HOURS),
    "presence-by-day": ("elsewhere", "total", ("total",)),
    "anchors-by-day": ("unanchored", "total", ("total",)),
    "residents": ("unanchored", "total", ("total",)),
    "commuting": ("unanchored", "area", ()),
    "flows": ("elsewhere", "area", ()),
    "visitors": ("unanchored", "country", ("DE", "NL", "US", "other")),
    "stay-durations": ("unanchored", "bin", BINS),
    "travelled-distances": ("unanchored", "bin", BINS),
    "gyration": ("unanchored", "bin", BINS),
    "activity": ("unanchored", "bin", BINS),
}


def cells(statistic: str, parameters: dict[str, Any] | None = None, zoning: Zoning = ZONING) -> Keyset:
    asked = PARAMETERS.get(statistic, {}) if parameters is None else parameters
    return keyset_of(statistic, asked, zoning, ["district", "zone"], first_day=LONG, time_zone=BRUSSELS)


@pytest.mark.parametrize("statistic", sorted(EXPECTED))
def test_the_cells_of_a_statistic_are_rows_by_columns_at_every_level(statistic: str) -> None:
    special, by, labels = EXPECTED[statistic]
    found = cells(statistic)
    assert (found.special, found.by, found.labels) == (special, by, labels)
    columns = (len(labels), len(labels)) if labels else (3, 4)
    assert found.shapes == ((3, columns[0]), (4, columns[1]))
    assert found.size == 3 * columns[0] + 4 * columns[1]
    assert [place for _name, place, _shape in found.parts()] == [
        slice(0, 3 * columns[0]),
        slice(3 * columns[0], found.size),
    ]
    assert found.hours == (25 if by == "hour" else 1)
    assert Keyset.from_bytes(found.to_bytes(), "keyset") == found


def test_every_statistic_of_counts_but_the_sketch_has_cells() -> None:
    assert set(EXPECTED) == set(LAYOUTS)
    counted = {name for name, found in STATISTICS.items() if found.bounds is not None}
    assert counted - set(LAYOUTS) == {"union-sketch"}


def test_other_bins_and_other_countries_are_other_cells_and_their_order_in_the_charter_is_not() -> None:
    assert cells("activity").digest() != cells("activity", {"edges": [0, 15, 61]}).digest()
    assert cells("activity").digest() != cells("gyration", {"edges": [0, 15]}).digest()
    swapped = {"countries": dict(reversed(list(COUNTRIES["countries"].items())))}
    assert cells(VISITORS).digest() == cells(VISITORS, swapped).digest()
    fewer = {"countries": {"DE": [262]}}
    assert cells(VISITORS).digest() != cells(VISITORS, fewer).digest()


def test_a_single_bin_holds_everything() -> None:
    assert cells("activity", {"edges": [0]}).labels == ("0+",)


@pytest.mark.parametrize(
    ("statistic", "parameters", "says"),
    [
        ("activity", {}, "'edges': Field required"),
        ("activity", {"edges": []}, "'edges'"),
        ("activity", {"edges": [1, 2]}, "edges begin with 0 and ascend"),
        ("activity", {"edges": [0, 2, 2]}, "edges begin with 0 and ascend"),
        ("activity", {"edges": [0, 3, 2]}, "edges begin with 0 and ascend"),
        ("activity", {"edges": [0, 2.5]}, "'edges.1'"),
        ("activity", {"edges": [0, 10**8 + 1]}, "'edges.1'"),
        ("activity", {"edges": list(range(65))}, "'edges'"),
        ("visitors", {}, "'countries': Field required"),
        ("visitors", {"countries": {}}, "'countries'"),
        ("visitors", {"countries": {"DE": []}}, "'countries.DE'"),
        ("visitors", {"countries": {"DE": [262], "XX": [262]}}, "a mobile country code is named twice"),
        ("visitors", {"countries": {"de": [262]}}, "'countries.de"),
        ("visitors", {"countries": {"DE": [26]}}, "'countries.DE.0'"),
        ("visitors", {"countries": {"DE": ["262"]}}, "'countries.DE.0'"),
    ],
)
def test_parameters_without_which_no_cells_are_known_are_refused_by_keyset_and_charter(
    statistic: str, parameters: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageProblem) as caught:
        cells(statistic, parameters)
    assert says in caught.value.what
    document = json.loads(charter_of(zoning_of()).to_bytes())
    document["products"][1].update(statistic=statistic, parameters=parameters)
    with pytest.raises(UsageProblem) as caught:
        Charter.from_bytes(json.dumps(document).encode(), "charter.json")
    assert says.rsplit("'", 1)[-1] in caught.value.what


def test_pairs_of_so_many_zones_that_no_vector_holds_them_are_refused() -> None:
    zones = tuple(Zone(code=f"{number:05d}", parents={}) for number in range(8192))
    zoning = Zoning(name="Large", version="1", levels=("zone",), zones=zones)
    with pytest.raises(UsageProblem, match="flows has 67125249 cells over these levels") as caught:
        keyset_of(FLOWS, {}, zoning, ["zone"], first_day=PLAIN, time_zone=BRUSSELS)
    assert caught.value.todo == "measure it over a coarser zoning"
    assert keyset_of("residents", {}, zoning, ["zone"], first_day=PLAIN, time_zone=BRUSSELS).size == 8193


@pytest.mark.parametrize("statistic", [FLOWS, COMMUTING, VISITORS, "presence-by-day"])
def test_a_charter_gives_terms_with_the_cells_of_its_product_at_several_levels(statistic: str) -> None:
    zoning = zoning_of()
    document = json.loads(charter_of(zoning).to_bytes())
    levels = [{"name": "zone", "share_permille": 500}, {"name": "district", "share_permille": 500}]
    parameters = PARAMETERS.get(statistic, {})
    document["products"][1].update(statistic=statistic, parameters=parameters, levels=levels)
    charter = Charter.from_bytes(json.dumps(document).encode(), "charter.json")
    terms = terms_of(charter, zoning, "presence", (PLAIN, PLAIN), 0)
    keyset = keyset_of(
        statistic, parameters, zoning, ["zone", "district"], first_day=PLAIN, time_zone=BRUSSELS
    )
    assert terms.keyset == keyset.digest()
    assert keyset_for(charter, zoning, terms) == keyset


@pytest.mark.parametrize(
    "changes",
    [
        {"by": "area"},
        {"labels": []},
        {"by": "hour"},
        {"labels": [""]},
        {"by": "minute"},
        {"levels": []},
    ],
)
def test_a_list_of_cells_that_contradicts_itself_is_none(changes: dict[str, Any]) -> None:
    document = json.loads(cells("residents").to_bytes()) | changes
    with pytest.raises(UsageProblem, match="is not a valid keyset"):
        Keyset.from_bytes(json.dumps(document).encode(), "keyset.json")
