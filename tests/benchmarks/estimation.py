"""Section estimation: a month of hours on the tree of Belgium, a day of flows with margins, and large trees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu, spsolve

from hub.estimation.constraints import Adjusted, Spread, adjust, sums_by
from hub.estimation.margins import Margin, with_margins
from hub.estimation.nonnegative import floor_table, floor_tree
from hub.estimation.present import added
from hub.estimation.reconcile import Reconciled, reconcile
from hub.estimation.rounding import round_table, round_tree
from hub.estimation.tree import AreaTree, Tree, area_tree
from quorate.contract.zoning import ZONE
from tests.belgium import belgium_zoning
from tests.benchmarks.figures import Figure, Watch, watch

Values = NDArray[np.float64]
OPERATORS, DAYS, HOURS = 5, 31, 24
ZONES = 589
#: Cells of the trees whose seconds by cell are compared, children of every node, and columns.
SIZES = (10**4, 10**5, 10**6, 10**7)
BRANCHES, COLUMNS = 12, 24
_SIGMA = 50.0


def run(say: Callable[[str], None]) -> list[Figure]:
    """Measure the section; `say` is told what is being done."""
    say(f"{DAYS} days of {HOURS} hours by {OPERATORS} operators on the tree of Belgium")
    figures = _month()
    say(f"a day of flows between {ZONES} municipalities")
    figures += _flows()
    say(f"trees of {SIZES[0]:,} to {SIZES[-1]:,} cells")
    return figures + _sizes()


def timed(work: Callable[[], Any], times: int = 3) -> tuple[Watch, Any]:
    """Return the middle one of some runs by wall time, and what the last one gave."""
    runs, found = [], None
    for _ in range(times):
        with watch() as one:
            found = work()
        runs.append(one)
    return sorted(runs, key=lambda one: one.wall)[times // 2], found


def told(seconds: Watch) -> str:
    """Return CPU and wall time as text."""
    return f"{seconds.cpu * 1e3:,.1f} CPU ms, {seconds.wall * 1e3:,.1f} ms wall"


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
    variance = np.full((areas.tree.size, 1), _SIGMA**2)
    for scale, level in enumerate(zoning.levels, start=1):
        variance[areas.rows[level]] = (_SIGMA / scale) ** 2
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


# --- a day of flows -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Flows:
    """Flows between all zones with the variance of each, and the margins that are known of them."""

    value: Values
    variance: Values
    rows: Values
    columns: Values


def flows() -> Flows:
    """Draw a day of gravity-like flows under noise, of which origins and destinations are known exactly."""
    rng = np.random.default_rng(3)
    size = rng.lognormal(0, 1.5, ZONES)
    truth = np.outer(size, size) * (11e6 / size.sum() ** 2)
    variance = rng.uniform(1.0, 3.0, truth.shape) * _SIGMA**2
    value = truth + np.sqrt(variance) * rng.standard_normal(truth.shape)
    return Flows(value, variance, truth.sum(axis=1), truth.sum(axis=0))


def _flows() -> list[Figure]:
    given = flows()
    row, column = np.divmod(np.arange(given.value.size), ZONES)
    totals = np.concatenate([given.rows, given.columns])
    value, spread = given.value.ravel(), Spread.independent(given.variance.ravel())

    def ours() -> Adjusted:
        return adjust(value, spread, sums_by([row, column]), totals)

    def published() -> NDArray[np.int64]:
        table = ours()
        cells = floor_table(table.value.reshape(given.value.shape), table.variance.reshape(given.value.shape))
        return round_table(cells.value, np.random.default_rng(4))

    def closed() -> Any:
        scales = np.full(ZONES, _SIGMA**2), np.ones(ZONES)
        return with_margins(given.value, scales, Margin(given.rows, 0.0), Margin(given.columns, 0.0))

    seconds, found = timed(ours)
    peer, other = timed(lambda: _sparse_margins(given))
    assert np.allclose(found.value, other.ravel(), rtol=1e-6, atol=1e-4)
    memory, _sum = timed(
        lambda: (given.value.sum(), given.variance.sum(), found.value.sum(), found.variance.sum())
    )
    districts, _crossed = timed(lambda: _with_districts(given), 1)
    form, _table = timed(closed)
    whole, table = timed(published, 1)
    assert np.abs(table.sum(axis=1) - given.rows).max() < 1
    assert table.min() >= 0
    what = f"flows {ZONES} × {ZONES} to both margins, with variances (about 5 s are asked for)"
    return [
        Figure(
            what,
            "scipy.sparse's spsolve of the same multipliers, values alone",
            seconds.wall / peer.wall,
            told(seconds),
            told(peer),
        ),
        Figure(
            what,
            "numpy's sum, once over values and variances before and after",
            seconds.wall / memory.wall,
            told(seconds),
            told(memory),
        ),
        Figure(
            "the same in closed form, where all cells have one variance",
            "any variances (times faster)",
            seconds.wall / form.wall,
            told(form),
            told(seconds),
        ),
        Figure(
            "the same with flows between 43 × 43 districts as a third, noisy margin",
            "two margins",
            districts.wall / seconds.wall,
            told(districts),
            told(seconds),
        ),
        Figure(
            "two margins, made positive and rounded to whole numbers that add up",
            "reconciling alone",
            whole.wall / seconds.wall,
            told(whole),
            told(seconds),
        ),
    ]


def _sparse_margins(given: Flows) -> Values:
    """Return the flows by the multipliers of all margins but one, which follows from the others."""
    variance = sparse.csr_array(given.variance[:, :-1])
    system = sparse.block_array(
        [
            [sparse.diags_array(given.variance.sum(axis=1)), variance],
            [variance.T, sparse.diags_array(given.variance.sum(axis=0)[:-1])],
        ],
        format="csc",
    )
    lacks = given.rows - given.value.sum(axis=1), given.columns - given.value.sum(axis=0)
    force = spsolve(system, np.concatenate([lacks[0], lacks[1][:-1]]))
    by_row, by_column = force[:ZONES], np.append(force[ZONES:], 0.0)
    return np.asarray(given.value + given.variance * (by_row[:, None] + by_column))


def _with_districts(given: Flows) -> Adjusted:
    """Reconcile with measured flows between districts beside exact margins of zones."""
    rng, zoning = np.random.default_rng(5), belgium_zoning()
    district = np.empty(ZONES, np.int64)
    for number, zones in enumerate(zoning.members("district").values()):
        district[zones] = number
    row, column = np.divmod(np.arange(given.value.size), ZONES)
    pair = district[row] * 43 + district[column]
    measured = np.bincount(pair, given.value.ravel()) + rng.normal(0.0, _SIGMA, 43 * 43)
    totals = np.concatenate([given.rows, given.columns, measured])
    noise = np.concatenate([np.zeros(2 * ZONES), np.full(43 * 43, _SIGMA**2)])
    spread = Spread.independent(given.variance.ravel())
    return adjust(given.value.ravel(), spread, sums_by([row, column, pair]), totals, noise)


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
