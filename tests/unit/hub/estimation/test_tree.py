"""Trees of areas in flat arrays."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.estimation import tree as module
from hub.estimation.tree import NONE, Tree, area_tree, arranged
from quorate.contract.zoning import ZONE, Zone, Zoning
from tests.belgium import belgium_zoning
from tests.support_hub import small_zoning
from tests.unit.hub.estimation.trees import design, trees

LEVELS = (ZONE, "district", "province")


def parents(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64)


def test_a_zone_whose_district_has_no_province_hangs_through_its_district_on_the_nation() -> None:
    areas = area_tree(small_zoning(), LEVELS)
    above = {
        code: areas.codes[parent] if parent != NONE else None
        for code, parent in zip(areas.codes, areas.tree.parent, strict=True)
    }
    assert above == {
        "": None,
        "P": "",
        "Q": "",
        "B": "",
        "A": "P",
        "C": "Q",
        "B1": "B",
        "A1": "A",
        "A2": "A",
        "C1": "C",
        "C2": "C",
    }


def test_rows_of_a_level_are_in_the_order_of_the_zoning() -> None:
    zoning = belgium_zoning()
    areas = area_tree(zoning, zoning.levels)
    assert areas.tree.size == 1 + 3 + 10 + 43 + 589
    for level in zoning.levels:
        assert [areas.codes[node] for node in areas.rows[level]] == list(zoning.members(level))
    counts = np.zeros((areas.tree.size, 1))
    counts[areas.rows[ZONE], 0] = np.arange(589)
    summed = areas.tree.summed(counts)
    for level in zoning.levels:
        sums = [float(sum(zones)) for zones in zoning.members(level).values()]
        assert summed[areas.rows[level], 0].tolist() == sums


def test_levels_may_be_left_out_and_their_order_does_not_matter() -> None:
    whole = area_tree(small_zoning(), ("province", ZONE))
    assert whole.codes == ("", "P", "Q", "B1", "A1", "A2", "C1", "C2")
    assert whole.tree.parent.tolist() == [-1, 0, 0, 0, 1, 1, 2, 2]
    assert set(whole.rows) == {ZONE, "province"}


def test_a_country_of_one_zone_is_a_nation_with_one_child() -> None:
    zoning = Zoning(name="One", version="1", levels=(ZONE,), zones=(Zone(code="A", parents={}),))
    assert area_tree(zoning, (ZONE,)).tree.parent.tolist() == [-1, 0]


@pytest.mark.parametrize("levels", [("district",), (ZONE, "canton"), ()])
def test_a_tree_without_zones_or_of_unknown_levels_is_refused(levels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="levels of a tree"):
        area_tree(small_zoning(), levels)


def test_areas_that_cross_are_no_tree() -> None:
    zones = tuple(
        Zone(code=code, parents={"district": "D", "province": province})
        for code, province in (("A", "P"), ("B", "Q"))
    )
    crossed = Zoning(name="Crossed", version="1", levels=LEVELS, zones=zones)
    with pytest.raises(ValueError, match="area D lies in more than one"):
        area_tree(crossed, LEVELS)


@pytest.mark.parametrize("parent", [(), (0,), (-1, -1), (-1, 0, 2), (-1, 0, 0, 2, 1), (-1, 1)])
def test_an_array_that_is_not_in_order_is_no_tree(parent: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"root|ordered"):
        Tree(parents(*parent))


@pytest.mark.parametrize("parent", [(), (-1, -1), (0,), (-1, 2, 1), (-1, 5), (-2, 0)])
def test_what_has_no_single_root_or_goes_round_is_not_arranged(parent: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"no node|hang on the root|one root"):
        arranged(parents(*parent))


@given(tree=trees(), data=st.data())
def test_a_tree_shuffled_is_arranged_to_the_same_families(tree: Tree, data: st.DataObject) -> None:
    shuffle = np.array(data.draw(st.permutations(range(tree.size))), dtype=np.int64)
    place = np.argsort(shuffle)
    given_parent = np.array(
        [place[tree.parent[node]] if tree.parent[node] != NONE else NONE for node in shuffle]
    )
    found, order = arranged(given_parent.astype(np.int64))
    for node in range(tree.size):
        original = shuffle[order[node]]
        above = tree.parent[original]
        assert (
            (found.parent[node] == NONE) if above == NONE else (shuffle[order[found.parent[node]]] == above)
        )


@given(tree=trees(30))
def test_sums_from_the_leaves_are_those_of_the_membership(tree: Tree) -> None:
    values = np.arange(tree.size, dtype=np.int64)[:, None] ** 2
    assert tree.leaves.sum() == design(tree).shape[1]
    assert tree.summed(values).tolist() == (design(tree) @ values[tree.leaves]).tolist()


@given(tree=trees(30), piece=st.integers(1, 4))
def test_families_are_never_cut_however_small_the_pieces(tree: Tree, piece: int) -> None:
    values = np.arange(tree.size, dtype=np.int64)[:, None] ** 2
    with patch.object(module, "PIECE", piece):
        cut = Tree(tree.parent)
        seen = np.concatenate([[0], *(np.arange(tree.size)[families.nodes] for families in cut.families)])
        parents = np.concatenate([np.empty(0, np.int64), *(families.parents for families in cut.families)])
        above = [families.parents[families.group] for families in cut.families]
    assert seen.tolist() == list(range(tree.size))
    assert len(set(parents.tolist())) == parents.size
    assert np.concatenate([[NONE], *above]).tolist() == tree.parent.tolist()
    assert cut.summed(values).tolist() == tree.summed(values).tolist()
    assert len(cut.families) >= len(tree.families)
