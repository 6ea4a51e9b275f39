"""The last two steps of a release: no negative numbers of persons, and whole numbers that add up exactly.

Estimates of larger areas are sums of those of zones, so the published levels are a tree (`hub.estimation.tree`).
What is negative is set to zero there with the sums kept (`hub.estimation.nonnegative`), then every number goes to the
whole number below or above it, so that areas are exactly the sums of their parts (`hub.estimation.rounding`). Pairs
of zones have no tree but margins: their table is floored and rounded with its margins, and larger areas are its sums.

Rounding is by chance that follows from the answers: who has the same answers gets the same numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hub.estimation.estimated import Estimated
from hub.estimation.nonnegative import floor_table, floor_tree
from hub.estimation.published import Figures, Interval
from hub.estimation.rounding import round_table, round_tree
from hub.estimation.tree import AreaTree, area_tree
from quorate.contract.zoning import ZONE, Zoning

Values = NDArray[np.float64]
#: No area has as many persons; sums of a column stay below what can be rounded.
_MOST = 1e9


def whole(estimated: Estimated, zoning: Zoning, chance: np.random.Generator) -> list[Figures]:
    """Return figures whose estimates are whole, not negative, and add up over levels if they should.

    Parameters
    ----------
    estimated
        Figures of several levels, with the zones among them if they add up; the same columns at each.
    zoning
        Of the areas.
    chance
        For the rounding.

    Notes
    -----
    Cells that cannot be told (no number) stay so; they count as zero in sums.
    """
    figures = [_possible(found) for found in estimated.figures]
    return [_holding(found) for found in _whole(figures, estimated.additive, zoning, chance)]


def _possible(found: Figures) -> Figures:
    """Return figures in which what cannot be a number of persons is none: an operator may send anything."""
    told = np.isfinite(found.estimate) & (np.abs(found.estimate) < _MOST)
    return replace(
        found,
        estimate=np.where(told, found.estimate, np.nan),
        std_error=np.where(told, found.std_error, np.inf),
    )


def _holding(found: Figures) -> Figures:
    """Return figures whose intervals hold the estimate after it was floored and rounded."""
    ends, value = found.interval, found.estimate
    return replace(
        found,
        interval=Interval(
            np.fmin(ends.lower_80, value),
            np.fmax(ends.upper_80, value),
            np.fmin(ends.lower_95, value),
            np.fmax(ends.upper_95, value),
        ),
    )


def _whole(
    figures: Sequence[Figures], additive: bool, zoning: Zoning, chance: np.random.Generator
) -> list[Figures]:
    by_level = {found.level: found for found in figures}
    if not additive:
        return [
            replace(
                found,
                estimate=np.rint(np.maximum(found.estimate, 0.0)),
                floored=np.asarray(found.estimate < 0),
            )
            for found in figures
        ]
    if any(column.destination for found in figures for column in found.columns):
        return _tables(by_level, zoning, chance)
    return _trees(by_level, zoning, chance)


def _trees(by_level: dict[str, Figures], zoning: Zoning, chance: np.random.Generator) -> list[Figures]:
    """Round every column as a tree of areas."""
    areas, zones = _tree(zoning, by_level), by_level[ZONE]
    size = areas.tree.size, zones.estimate.shape[1]
    value, variance = np.zeros(size), np.zeros(size)
    known = np.isfinite(zones.estimate)
    value[areas.rows[ZONE]] = np.where(known, zones.estimate, 0.0)
    # Where nothing can be said the error is infinite; to share out a lack it counts as the largest there is.
    spread = np.where(np.isfinite(zones.std_error), zones.std_error, 0.0) ** 2
    variance[areas.rows[ZONE]] = np.where(np.isfinite(zones.std_error), spread, spread.max(initial=1.0))
    value, variance = areas.tree.summed(value), areas.tree.summed(variance)
    floored = floor_tree(areas.tree, value, np.maximum(variance, np.finfo(np.float64).tiny))
    rounded = round_tree(areas.tree, areas.tree.summed(floored.value), chance)
    by_zone = rounded[areas.rows[ZONE]]
    return [
        replace(
            found,
            estimate=np.where(np.isfinite(found.estimate), _inside(zoning, level) @ by_zone, np.nan),
            floored=np.asarray(found.estimate < 0),
        )
        for level, found in by_level.items()
    ]


def _tree(zoning: Zoning, levels: Collection[str]) -> AreaTree:
    """Return the tree of the levels; of the zones alone where levels cross, whose areas are sums all the same."""
    try:
        return area_tree(zoning, levels)
    except ValueError:
        return area_tree(zoning, [ZONE])


def _tables(by_level: dict[str, Figures], zoning: Zoning, chance: np.random.Generator) -> list[Figures]:
    """Round the table of zones with its margins; tables of larger areas are its sums."""
    zones = by_level[ZONE]
    known = np.isfinite(zones.estimate)
    spread = np.where(np.isfinite(zones.std_error), zones.std_error, 0.0) ** 2
    variance = np.where(np.isfinite(zones.std_error), spread, spread.max(initial=1.0))
    floored = floor_table(
        np.where(known, zones.estimate, 0.0), np.maximum(variance, np.finfo(np.float64).tiny)
    )
    rounded = round_table(floored.value, chance).astype(np.float64)
    found = []
    for level, figures in by_level.items():
        inside = _inside(zoning, level)
        # Destinations may have a last column for elsewhere, which is the same at every level.
        beyond = rounded.shape[1] - inside.shape[1]
        columns = np.block(
            [
                [inside.T, np.zeros((inside.shape[1], beyond))],
                [np.zeros((beyond, inside.shape[0])), np.eye(beyond)],
            ]
        )
        table = inside @ rounded @ columns
        found.append(
            replace(
                figures,
                estimate=np.where(np.isfinite(figures.estimate), table, np.nan),
                floored=np.asarray(figures.estimate < 0),
            )
        )
    return found


def _inside(zoning: Zoning, level: str) -> Values:
    """Return which zones are in which area, 0 or 1, float64 of shape (areas, zones)."""
    members = zoning.members(level)
    found = np.zeros((len(members), len(zoning.zones)))
    for area, zones in enumerate(members.values()):
        found[area, zones] = 1.0
    return found
