"""Zonings and keysets: codes in order, parents by level, and the public list of cells."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.errors import UsageProblem
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS
from quorate.contract.keyset import Keyset, keyset_of
from quorate.contract.zoning import ZONE, Zoning

BRUSSELS = "Europe/Brussels"
PLAIN, SHORT, LONG = date(2026, 10, 20), date(2026, 3, 29), date(2026, 10, 25)
ZONINGS = settings(max_examples=50, deadline=None, derandomize=True, database=None)


def document(*zones: tuple[str, dict[str, str]], **changes: Any) -> dict[str, Any]:
    return {
        "name": "Small",
        "version": "2026",
        "levels": ["zone", "district", "province"],
        "zones": [{"code": code, "parents": parents} for code, parents in zones],
    } | changes


def read(value: dict[str, Any]) -> Zoning:
    return Zoning.from_bytes(json.dumps(value).encode(), "zoning.json")


SMALL = document(
    ("A", {"district": "D1", "province": "P1"}),
    ("B", {"district": "D2", "province": "P1"}),
    ("C", {"district": "D1", "province": "P1"}),
    ("D", {"district": "D3"}),
)


def test_the_members_of_a_level_are_the_positions_of_its_zones() -> None:
    zoning = read(SMALL)
    assert zoning.codes == ["A", "B", "C", "D"]
    assert zoning.members(ZONE) == {"A": [0], "B": [1], "C": [2], "D": [3]}
    assert zoning.members("district") == {"D1": [0, 2], "D2": [1], "D3": [3]}
    assert zoning.members("province") == {"P1": [0, 1, 2]}
    assert list(zoning.members("district")) == ["D1", "D2", "D3"]
    assert zoning.members("region") == {}


def test_a_zoning_is_the_same_however_its_bytes_are_laid_out() -> None:
    zoning = read(SMALL)
    again = Zoning.from_bytes(json.dumps(dict(reversed(SMALL.items())), indent=3).encode(), "zoning.json")
    assert again == zoning
    # What a document may leave out is in its canonical form.
    whole = SMALL | {"zones": [zone | {"centre_e6": None} for zone in SMALL["zones"]]}
    canonical = json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()
    assert zoning.to_bytes() == again.to_bytes() == canonical
    assert zoning.digest() == hashlib.sha256(canonical).hexdigest()


@ZONINGS
@given(
    codes=st.sets(st.text("ABCxyz019-_ä", min_size=1, max_size=6), min_size=1, max_size=12),
    order=st.randoms(use_true_random=False),
)
def test_zones_are_in_ascending_order_or_refused(codes: set[str], order: Any) -> None:
    ascending = sorted(codes)
    zones: list[tuple[str, dict[str, str]]] = [(code, {}) for code in ascending]
    assert read(document(*zones)).codes == ascending
    order.shuffle(zones)
    if [code for code, _parents in zones] != ascending:
        with pytest.raises(UsageProblem, match="not unique codes in ascending order"):
            read(document(*zones))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (document(("A", {}), ("A", {})), "not unique codes in ascending order"),
        (document(("B", {}), ("A", {})), "not unique codes in ascending order"),
        (document(("A", {}), levels=["municipality"]), "the finest level is not called zone"),
        (document(("A", {"region": "R"})), "zone A names the unknown level region"),
        (document(("A", {"zone": "Z"})), "zone A names the unknown level zone"),
        (document(("A", {"district": "X", "province": "X"})), "code X is used at two levels"),
        (document(("A", {"district": "B"}), ("B", {})), "code B is used at two levels"),
        (document(("A", {"district": "X"}), ("B", {"province": "X"})), "code X is used at two levels"),
        (document(), "zones"),
        (document(("A", {}), levels=[]), "levels"),
        (document(("A", {}), name=""), "name"),
        (document(("A", {}), version="1" * 33), "version"),
        (document(("A", {}), more=1), "more"),
        (document(("", {})), "zones.0.code"),
        (document(("A B", {})), "zones.0.code"),
        (document(("A,B", {})), "zones.0.code"),
        (document(("A\n", {})), "zones.0.code"),
        (document(("A" * 33, {})), "zones.0.code"),
        (document(("A", {"District": "D"})), "zones.0.parents"),
    ],
)
def test_a_zoning_that_is_not_one_is_refused_by_name(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageProblem, match=r"zoning\.json is not a valid zoning") as caught:
        read(wrong)
    assert says in caught.value.what


# --- cells ------------------------------------------------------------------------------------------------


def cells(
    statistic: str = PRESENCE_BY_HOUR,
    *levels: str,
    day: date = PLAIN,
    zoning: Zoning | None = None,
    time_zone: str = BRUSSELS,
) -> Keyset:
    """Return the cells of a statistic over the small zoning, at its zones if no level is named."""
    return keyset_of(
        statistic, {}, zoning or read(SMALL), levels or (ZONE,), first_day=day, time_zone=time_zone
    )


@pytest.mark.parametrize(("day", "hours"), [(PLAIN, 24), (SHORT, 23), (LONG, 25)])
def test_presence_has_a_cell_for_every_hour_of_the_day_in_every_zone_and_nowhere(
    day: date, hours: int
) -> None:
    found = cells(day=day)
    assert (found.shapes, found.size, found.specials) == (((5, hours),), 5 * hours, ("unobserved",))


@pytest.mark.parametrize("day", [PLAIN, SHORT, LONG])
def test_residents_have_a_cell_for_every_zone_and_one_for_the_unanchored(day: date) -> None:
    found = cells(RESIDENTS, day=day)
    assert (found.shapes, found.size, found.specials) == (((5, 1),), 5, ("unanchored",))


@pytest.mark.parametrize(("day", "hours"), [(PLAIN, 24), (SHORT, 23), (LONG, 25)])
def test_levels_follow_each_other_in_the_order_that_is_asked_for_each_with_its_own_special_area(
    day: date, hours: int
) -> None:
    # One province, four zones and three districts; zone D has no province, which is not an area of its own.
    found = cells(PRESENCE_BY_HOUR, "province", ZONE, "district", day=day)
    assert found.size == (2 + 5 + 4) * hours
    assert found.shapes == ((2, hours), (5, hours), (4, hours))
    assert list(found.parts()) == [
        ("province", slice(0, 2 * hours), (2, hours)),
        (ZONE, slice(2 * hours, 7 * hours), (5, hours)),
        ("district", slice(7 * hours, 11 * hours), (4, hours)),
    ]


def test_the_parts_of_one_level_are_the_whole_vector() -> None:
    assert list(cells().parts()) == [(ZONE, slice(0, 120), (5, 24))]


def test_the_cells_of_a_day_depend_on_the_time_zone_and_the_zoning_alone() -> None:
    other = read(SMALL | {"version": "2027"})
    found = cells()
    assert found == cells(day=date(2026, 1, 1))
    assert found.digest() != cells(day=LONG).digest()
    assert found == cells(day=LONG, time_zone="UTC")
    assert found.digest() != cells(zoning=other).digest()
    assert found.digest() != cells(RESIDENTS).digest()
    assert Keyset.from_bytes(found.to_bytes(), "keyset") == found


def test_other_levels_or_another_order_of_them_are_other_cells() -> None:
    asked = [(ZONE,), ("district",), (ZONE, "district"), ("district", ZONE), (ZONE, "district", "province")]
    found = [cells(RESIDENTS, *levels) for levels in asked]
    assert len({keyset.digest() for keyset in found}) == len(asked)
    for keyset in found:
        assert Keyset.from_bytes(keyset.to_bytes(), "keyset") == keyset


def test_a_level_that_the_zoning_does_not_have_is_named() -> None:
    with pytest.raises(UsageProblem, match="the zoning has no areas of the level region") as caught:
        cells(RESIDENTS, ZONE, "region")
    assert caught.value.todo == "measure at one of its levels: zone, district, province"


def test_a_level_that_no_zone_has_a_parent_at_is_no_level_to_measure() -> None:
    with pytest.raises(UsageProblem, match="no areas of the level province"):
        cells(RESIDENTS, "province", zoning=read(document(("A", {"district": "D1"}))))


def test_a_day_that_the_calendar_of_a_country_left_out_has_no_cells() -> None:
    with pytest.raises(UsageProblem, match="2011-12-30 has 0 hours in Pacific/Apia"):
        cells(day=date(2011, 12, 30), time_zone="Pacific/Apia")


def test_a_statistic_without_cells_is_refused() -> None:
    with pytest.raises(UsageProblem, match="no statistic called contribution-bound"):
        cells("contribution-bound")


def test_positions_are_metres_on_a_plane_in_the_middle_of_the_centres() -> None:
    zones = [
        {"code": code, "parents": {}, "centre_e6": centre}
        for code, centre in (
            ("a", [50_000_000, 4_000_000]),
            ("b", [51_000_000, 4_000_000]),
            ("c", [50_500_000, 6_000_000]),
        )
    ]
    found = Zoning.model_validate(
        {"name": "x", "version": "1", "levels": ["zone"], "zones": zones}
    ).positions()
    # Middle 50.5° north: a degree of longitude is 111,320 · cos 50.5° = 70,808 m there.
    assert found == [(-70_808, -55_270), (-70_808, 55_270), (70_808, 0)]


def test_a_zoning_has_all_centres_or_none() -> None:
    assert read(SMALL).positions() is None
    zones = [SMALL["zones"][0] | {"centre_e6": [50_000_000, 4_000_000]}, *SMALL["zones"][1:]]
    with pytest.raises(UsageProblem, match="some zones have a centre and others have none"):
        read(SMALL | {"zones": zones})


def test_a_changed_copy_has_a_digest_of_its_own() -> None:
    zoning = Zoning.model_validate(document(("A", {})))
    before = zoning.digest()
    changed = zoning.model_copy(update={"version": "2027"})
    assert changed.digest() == Zoning.model_validate(document(("A", {}), version="2027")).digest() != before
    assert zoning.digest() == before
    assert "kept_digest" not in zoning.model_dump()
