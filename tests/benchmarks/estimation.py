"""Section estimation: a month of hours on the tree of Belgium, a day of flows with margins, and large trees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from hub.estimation.nonnegative import floor_tree
from hub.estimation.present import added
from hub.estimation.reconcile import Reconciled, reconcile
from hub.estimation.rounding import round_tree
from hub.estimation.tree import AreaTree, Tree, area_tree
from quorate.contract.zoning import ZONE
from tests.belgium import belgium_zoning
from tests.benchmarks import estimation_flows
from tests.benchmarks.estimation_flows import SIGMA, ZONES
from tests.benchmarks.figures import Figure, timed, told, watch

Values = NDArray[np.float64]
OPERATORS, DAYS, HOURS = 5, 31, 24
#: Cells of the trees whose seconds by cell are compared, children of every node, and columns.
SIZES = (10**4, 10**5, 10**6, 10**7)
BRANCHES, COLUMNS = 12, 24


def run(say: Callable[[str], None]) -> list[Figure]:
    """Measure the section; `say` is told what is being done."""
    say(f"{DAYS} days of {HOURS} hours by {OPERATORS} operators on the tree of Belgium")
    figures = _month()
    say(f"a day of flows between {ZONES} municipalities")
    figures += estimation_flows.measured()
    say(f"trees of {SIZES[0]:,} to {SIZES[-1]:,} cells")
    return figures + _sizes()


# --- a month of hours -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Month:
    """Answers of operators on a tree, of shape (operators, nodes, hours), their variances, and who is there."""

    areas: AreaTree
    answers: Values
    variance: Values
    present: NDArray[np.bool_]


def month() -> Month:
    """Draw counts of operators at every level, each level with noise of its own; one is missing for five days."""
    rng, zoning = np.random.default_rng(1), belgium_zoning()
    areas = area_tree(zoning, zoning.levels)
    columns = DAYS * HOURS
    truth = np.zeros((OPERATORS, areas.tree.size, columns))
    truth[:, areas.rows[ZONE]] = rng.poisson(rng.lognormal(7, 1, (1, ZONES, 1)), (OPERATORS, ZONES, columns))
    truth = np.stack([areas.tree.summed(each) for each in truth])
    variance = np.full((areas.tree.size, 1), SIGMA**2)
    for scale, level in enumerate(zoning.levels, start=1):
        variance[areas.rows[level]] = (SIGMA / scale) ** 2
    answers = truth + np.sqrt(variance) * rng.standard_normal(truth.shape)
    present = np.ones((OPERATORS, columns), np.bool_)
    present[3, 10 * HOURS : 15 * HOURS] = False
    return Month(areas, answers, np.repeat(variance[None], OPERATORS, axis=0), present)


def _month() -> list[Figure]:
    given = month()
    tree, cells = given.areas.tree, given.answers[0].size

    def ours() -> Reconciled:
        return reconcile(tree, *added(given.answers, given.variance, given.present))

    def published() -> NDArray[np.int64]:
        whole = ours()
        floored = floor_tree(tree, whole.value, whole.variance)
        return round_tree(tree, floored.value, np.random.default_rng(2))

    seconds, found = timed(ours)
    assert np.isfinite(found.value).all()
    column = 11 * HOURS
    peer, (value, variance) = timed(lambda: _sparse_column(given, column))
    assert np.allclose(found.value[given.areas.rows[ZONE], column], value, rtol=1e-9)
    assert np.allclose(found.variance[given.areas.rows[ZONE], column], variance, rtol=1e-9)
    memory, _sum = timed(lambda: (given.answers.sum(), found.value.sum(), found.variance.sum()))
    whole, table = timed(published)
    assert (tree.summed(table) == table).all()
    what = f"{cells:,} cells of {OPERATORS} operators added and reconciled with variances (about 5 s are asked for)"
    columns = DAYS * HOURS
    return [
        Figure(
            what,
            f"scipy.sparse, normal equations and variances of one column, times {columns} (times faster)",
            peer.wall * columns / seconds.wall,
            told(seconds),
            f"{peer.wall * columns:.0f} s wall",
        ),
        Figure(
            what,
            "numpy's sum, once over answers, values and variances",
            seconds.wall / memory.wall,
            told(seconds),
            told(memory),
        ),
        Figure(
            "the same, made positive and rounded to whole numbers that add up",
            "adding and reconciling alone",
            whole.wall / seconds.wall,
            told(whole),
            told(seconds),
        ),
    ]


def _sparse_column(given: Month, column: int) -> tuple[Values, Values]:
    """Return zones and their variances in one hour by sparse normal equations, the tree as a matrix."""
    tree, zones = given.areas.tree, given.areas.rows[ZONE]
    above = [zones]
    while (above[-1] >= 0).any():
        above.append(np.where(above[-1] >= 0, tree.parent[above[-1]], -1))
    nodes = np.concatenate(above)
    leaf = np.tile(np.arange(zones.size), len(above))
    kept = nodes >= 0
    design = sparse.csc_array((np.ones(kept.sum()), (nodes[kept], leaf[kept])), shape=(tree.size, zones.size))
    there = given.present[:, column]
    counts = given.answers[there, :, column].sum(axis=0)
    weight = 1.0 / given.variance[there, :, 0].sum(axis=0)
    factor = splu(sparse.csc_array(design.T @ (design * weight[:, None])))
    variance = factor.solve(np.eye(zones.size)).diagonal()
    return factor.solve(design.T @ (weight * counts)), np.asarray(variance)


# --- large trees ----------------------------------------------------------------------------------------


def _sizes() -> list[Figure]:
    by_cell = {cells: _by_cell(cells) for cells in SIZES}
    least, most = SIZES[0], SIZES[-1]
    figures = [
        Figure(
            f"a tree of {cells:,} cells in {COLUMNS} columns, CPU time of a cell",
            f"that of a cell of {least:,} cells",
            by_cell[cells][0] / by_cell[least][0],
            f"{by_cell[cells][0] * 1e9:.0f} ns",
            f"{by_cell[least][0] * 1e9:.0f} ns",
        )
        for cells in SIZES[1:]
    ]
    return [
        *figures,
        Figure(
            f"a tree of {most:,} cells in {COLUMNS} columns, CPU time of a cell",
            "numpy's sum, once over values and variances before and after",
            by_cell[most][0] / by_cell[most][1],
            f"{by_cell[most][0] * 1e9:.0f} ns",
            f"{by_cell[most][1] * 1e9:.2f} ns",
        ),
    ]


def _by_cell(cells: int) -> tuple[float, float]:
    """Return CPU seconds of a cell to reconcile a tree of so many, and to read what goes in and comes out."""
    rng, nodes = np.random.default_rng(6), cells // COLUMNS
    tree = Tree(np.append(-1, np.arange(nodes - 1) // BRANCHES))
    measured, variance = rng.normal(0, 9, (nodes, COLUMNS)), rng.uniform(1, 9, (nodes, COLUMNS))
    # The first run gets its memory from the system, which is the system's matter.
    found = reconcile(tree, measured, variance)
    # Small trees are done often enough to be measured.
    times = max(2, 2_000_000 // cells)
    with watch() as ours:
        for _ in range(times):
            found = reconcile(tree, measured, variance)
    with watch() as memory:
        for _ in range(times):
            for array in (measured, variance, found.value, found.variance):
                array.sum()
    return ours.cpu / (times * nodes * COLUMNS), memory.cpu / (times * nodes * COLUMNS)
