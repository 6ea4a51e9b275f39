"""Cells of every statistic: rows and columns of each level, and the parameters that decide them."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from privacy.errors import UsageProblem
from privacy.statistics import COMMUTING, FLOWS, STATISTICS, VISITORS
from quorate.contract.charter import Charter
from quorate.contract.columns import LAYOUTS, MOST_CELLS
from quorate.contract.keyset import Keyset, keyset_of
from quorate.contract.order import keyset_for, terms_of
from quorate.contract.zoning import NATION, Zone, Zoning
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
    "union-sketch": {"bins": 9, "by_zone": True, "limit": 3},
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
    "union-sketch": ("", "sketch", ()),
    "quality-indicators": ("", "indicator", ("subscribers", "rejected", "many-zones", "many-flows")),
}


def cells(statistic: str, parameters: dict[str, Any] | None = None, zoning: Zoning = ZONING) -> Keyset:
    asked = PARAMETERS.get(statistic, {}) if parameters is None else parameters
    return keyset_of(statistic, asked, zoning, ["district", "zone"], first_day=LONG, time_zone=BRUSSELS)


@pytest.mark.parametrize("statistic", sorted(EXPECTED))
def test_the_cells_of_a_statistic_are_rows_by_columns_at_every_level(statistic: str) -> None:
    special, by, labels = EXPECTED[statistic]
    found = cells(statistic)
    assert (found.specials, found.by, found.labels) == ((special,) if special else (), by, labels)
    # Two districts and three zones, and a special row unless it is a sketch; or the country alone.
    rows = (1, 1) if by == "indicator" else (3, 4) if special else (2, 3)
    columns = {"area": rows, "sketch": (9, 9)}.get(by, (len(labels), len(labels)))
    assert found.shapes == ((rows[0], columns[0]), (rows[1], columns[1]))
    assert found.size == rows[0] * columns[0] + rows[1] * columns[1]
    assert [place for _name, place, _shape in found.parts()] == [
        slice(0, rows[0] * columns[0]),
        slice(rows[0] * columns[0], found.size),
    ]
    assert found.hours == (25 if by == "hour" else 1)
    assert Keyset.from_bytes(found.to_bytes(), "keyset") == found


def test_every_statistic_of_counts_has_cells() -> None:
    assert set(EXPECTED) == set(LAYOUTS)
    assert set(LAYOUTS) == {name for name, found in STATISTICS.items() if found.bounds is not None}


@pytest.mark.parametrize(
    ("level", "specials"),
    [
        (None, ("unobserved",)),
        ("district", ("unobserved:D1", "unobserved:D2", "unobserved")),
        ("zone", ("unobserved:A", "unobserved:B", "unobserved:C", "unobserved")),
    ],
)
def test_the_silent_have_a_row_for_each_area_of_their_level_at_every_level(
    level: str | None, specials: tuple[str, ...]
) -> None:
    found = cells("weighted-presence", {"weight_maximum": 9, "silent_level": level})
    assert found.specials == specials
    assert found.shapes == ((2 + len(specials), 25), (3 + len(specials), 25))
    assert Keyset.from_bytes(found.to_bytes(), "keyset") == found


def test_a_silent_level_that_the_zoning_lacks_is_named() -> None:
    with pytest.raises(UsageProblem, match="the zoning has no areas of the level region"):
        cells("weighted-presence", {"weight_maximum": 9, "silent_level": "region"})


def test_only_weighted_presence_tells_the_silent_apart() -> None:
    assert cells("presence-by-hour", {"silent_level": "district"}).specials == ("unobserved",)


def test_a_national_sketch_is_one_row_of_bins_whatever_the_zoning() -> None:
    asked = {"bins": 10_000_000, "by_zone": False}
    found = keyset_of("union-sketch", asked, ZONING, [NATION], first_day=LONG, time_zone=BRUSSELS)
    assert (found.specials, found.labels, found.columns) == ((), (), 10_000_000)
    assert (found.shapes, found.size, found.hours) == (((1, 10_000_000),), 10_000_000, 1)
    assert len(found.to_bytes()) < 300
    other = keyset_of(
        "union-sketch", asked | {"bins": 9}, ZONING, [NATION], first_day=LONG, time_zone=BRUSSELS
    )
    assert other.digest() != found.digest()


def test_sketches_of_more_cells_than_a_release_has_are_refused() -> None:
    most = {"bins": MOST_CELLS // 3, "by_zone": True, "limit": 1}
    one = keyset_of("union-sketch", most, ZONING, ["zone"], first_day=LONG, time_zone=BRUSSELS)
    assert one.size <= MOST_CELLS
    with pytest.raises(UsageProblem, match="more than 67108864") as caught:
        cells("union-sketch", most)
    assert caught.value.todo == "agree on fewer bins"


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
        ("union-sketch", {"by_zone": False}, "'bins': Field required"),
        ("union-sketch", {"bins": 1, "by_zone": False}, "'bins'"),
        ("union-sketch", {"bins": 2**26 + 1, "by_zone": False}, "'bins'"),
        ("union-sketch", {"bins": 3.0, "by_zone": False}, "'bins'"),
        ("weighted-presence", {"weight_maximum": 9, "silent_level": "No Level"}, "'silent_level'"),
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
        {"by": "sketch"},
        {"by": "sketch", "labels": []},
        {"by": "sketch", "columns": 3},
        {"columns": 1},
        {"specials": ["unanchored", "unanchored"]},
        {"specials": None},
        {"levels": []},
    ],
)
def test_a_list_of_cells_that_contradicts_itself_is_none(changes: dict[str, Any]) -> None:
    document = json.loads(cells("residents").to_bytes()) | changes
    with pytest.raises(UsageProblem, match="is not a valid keyset"):
        Keyset.from_bytes(json.dumps(document).encode(), "keyset.json")
