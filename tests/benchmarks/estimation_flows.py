"""Section estimation, a day of flows between all municipalities: to margins, beside districts, as published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

from hub.estimation.constraints import Adjusted, Spread, adjust, sums_by
from hub.estimation.margins import Margin, with_margins
from hub.estimation.nonnegative import floor_table
from hub.estimation.rounding import round_table
from tests.belgium import belgium_zoning
from tests.benchmarks.figures import Figure, timed, told

Values = NDArray[np.float64]
ZONES = 589
SIGMA = 50.0


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
    variance = rng.uniform(1.0, 3.0, truth.shape) * SIGMA**2
    value = truth + np.sqrt(variance) * rng.standard_normal(truth.shape)
    return Flows(value, variance, truth.sum(axis=1), truth.sum(axis=0))


def measured() -> list[Figure]:
    """Measure the part."""
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
        scales = np.full(ZONES, SIGMA**2), np.ones(ZONES)
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
    measured = np.bincount(pair, given.value.ravel()) + rng.normal(0.0, SIGMA, 43 * 43)
    totals = np.concatenate([given.rows, given.columns, measured])
    noise = np.concatenate([np.zeros(2 * ZONES), np.full(43 * 43, SIGMA**2)])
    spread = Spread.independent(given.variance.ravel())
    return adjust(given.value.ravel(), spread, sums_by([row, column, pair]), totals, noise)
