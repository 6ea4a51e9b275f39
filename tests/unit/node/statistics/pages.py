"""How docs/statistics.md writes a golden vector: a line for each row of each level, equal numbers as n×k."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from node.statistics.golden import ZONING, Golden
from quorate.contract.columns import LAYOUTS, is_national, labels_of, sketch_bins, specials_of
from quorate.contract.zoning import NATION


def written_out(statistic: str, golden: Golden) -> str:
    """Return the block of a statistic."""
    return "\n".join(_lines(statistic, golden))


def _lines(statistic: str, golden: Golden) -> Iterator[str]:
    labels = labels_of(statistic, golden.parameters, 24)
    if LAYOUTS[statistic].by == "hour":
        yield "columns: hours 0 to 23"
    elif bins := sketch_bins(statistic, golden.parameters):
        yield f"columns: bins 0 to {bins - 1}"
    elif labels:
        yield f"columns: {', '.join(labels)}"
    else:
        yield "columns: as the rows"
    width = max((10, *map(len, specials_of(statistic, golden.parameters, ZONING))))
    national = is_national(statistic, golden.parameters)
    for level in (NATION,) if national else ZONING.levels:
        areas = ["the country"] if national else ZONING.members(level)
        names = [*areas, *specials_of(statistic, golden.parameters, ZONING)]
        for name, row in zip(names, golden.vector[level], strict=True):
            yield f"{level:8s}  {name:{width}s}  {_row(list(row))}"


def _row(row: list[int]) -> str:
    if len(row) <= 4:
        return "  ".join(f"{count}" for count in row)
    return "  ".join(f"{count}×{len(list(found))}" for count, found in groupby(row))
