r"""Flows of a day: persons with a trip from one zone to another, from noisy counts of subscribers.

A flow has no margin: how many trips begin in a zone on a day nobody knows. But each subscriber who was in the
origin stands for the persons who were there,

    x_od = w_o·û_od / t,        w_o = P_o/ŷ_o,

with P_o the persons with a phone who were in o on the day (an estimate of presence), ŷ_o the subscribers counted
there, and t the part of the pairs of subscribers that was kept when each was cut to the L that the charter allows.
û are the counts, smoothed towards a model (`hub.estimation.od_smooth`) or not. Without presence one weight of the
country stands in for all origins.

    Var(x_od) = (w_o/t)²·Var(û_od) + x_od²·(Var(w_o)/w_o² + Var(t)/t²)

The error of the weight is common to a row, and is its factor in the covariance. That of t is common to the whole
table: it is in each cell's variance, as a part of the row's, and by itself in `common` for sums over origins.

What is assumed: those who travel from o are represented by the operators like those who are in o, and cutting
takes from all pairs alike (it takes more from pairs that those make who travel much).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hub.estimation.flow_weights import Weights
from hub.estimation.od import sampled, smoothed
from hub.estimation.od_model import expected
from hub.estimation.od_prior import flat
from hub.estimation.od_smooth import Rows, predicted
from hub.estimation.od_spread import Spread
from hub.estimation.od_table import Assumed, Counted, Model, Table

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
_SCOPE = (
    "Persons with at least one trip between the two zones on the day, each pair of zones once: not trips.",
    "A trip is two stays one after the other in different zones; what is shorter than a stay is passed through.",
    "Persons are those with a phone: small children and others without one are not in the table.",
    "Who travels from a zone is taken to be represented by the operators like those who are in it.",
)


@dataclass(frozen=True)
class Kept:
    """How much of the pairs was kept when every subscriber was cut to the most that the charter allows.

    Attributes
    ----------
    part, sd
        Part of the pairs that was kept, above 0 and at most 1, and the standard deviation with which it is known.
    measured
        Whether it was counted (at a rehearsal, or by the nodes); otherwise it is an assumption and is named as one.
    """

    part: float = 1.0
    sd: float = 0.0
    measured: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no part.

        Raises
        ------
        ValueError
            If it is not above 0 and at most 1, or its standard deviation is negative.
        """
        if not 0.0 < self.part <= 1.0 or self.sd < 0.0:
            raise ValueError("the part of pairs that was kept is above 0 and at most 1")


@dataclass(frozen=True)
class Flows:
    """Estimated flows: areas by areas, the last of each `elsewhere`.

    Attributes
    ----------
    table
        float64 of shape (zones + 1, zones + 1); the diagonal is empty.
    common
        Variance, as a part of the square, that a sum over the whole table has by the part that was kept.
    """

    table: Table
    common: float


def flows(
    cells: Values,
    noise: float,
    weights: Weights,
    kept: Kept,
    *,
    assumed: Assumed | None = None,
    model: Model | None = None,
    distance: Values | None = None,
    smooth: bool = True,
) -> Flows:
    """Estimate the flows of a day.

    Parameters
    ----------
    cells
        Noisy counts of subscribers, summed over operators, float64 of shape (zones + 1, zones + 1) as a release
        has them: `elsewhere` is the last row and column, the diagonal is noise.
    noise
        Variance of the noise of each.
    weights
        By origin.
    kept
        Of the pairs of subscribers.
    assumed
        What is declared.
    model
        What is expected by row of the zones, of shape (zones, zones + 1); None for one learnt from the counts.
    distance
        Between zones, shape (zones, zones), for that.
    smooth
        Whether small cells lean on the model.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    zones = cells.shape[0] - 1
    if cells.shape != (zones + 1, zones + 1) or weights.value.shape != (zones + 1,):
        raise ValueError("flows are between the same areas, each with a weight")
    sure = assumed or Assumed()
    empty = np.eye(zones, zones + 1, dtype=np.bool_)
    inside = Counted(np.where(empty, 0.0, cells[:-1]), noise, empty=empty)
    if model is None:
        model = expected(inside, weights.present, distance)
    rows, seen = smoothed(inside, weights.present, model, smooth=smooth)
    inner = _weighted(inside, rows, seen, sure, weights=weights, kept=kept)
    outer = _elsewhere(cells[-1], noise, sure, weights, kept)
    return Flows(_joined(inner, outer, _scope(weights, kept)), (kept.sd / kept.part) ** 2)


def _weighted(
    counted: Counted, rows: Rows, seen: Mask, assumed: Assumed, *, weights: Weights, kept: Kept
) -> Table:
    """Return the flows from zones."""
    zones = seen.size
    scale = weights.value[:zones] / kept.part
    lost = np.asarray(np.isinf(rows.own).any(axis=1))
    estimate = np.where(lost[:, None], np.nan, rows.value * scale[:, None])
    error = weights.error[:zones] + (kept.sd / kept.part) ** 2
    spread = sampled(counted, rows, assumed, seen).times(scale).along(estimate, np.where(lost, 0.0, error))
    return Table(
        estimate=estimate,
        spread=spread,
        noise=rows.covariance().times(scale).variance(),
        gamma=rows.gamma,
        imputed=~seen | weights.imputed,
        scope=(),
    )


def _elsewhere(row: Values, noise: float, assumed: Assumed, weights: Weights, kept: Kept) -> Table:
    """Return the flows from outside the areas, which are counts with a weight: no model says anything of them."""
    empty = np.arange(row.size) == row.size - 1
    counted = Counted(np.where(empty, 0.0, row)[None, :], noise, stays=False)
    seen = np.ones(1, dtype=np.bool_)
    rows = predicted(counted, flat(counted.cells.shape), seen)
    rows = replace(rows, own=np.where(empty, 0.0, rows.own))
    last = replace(weights, value=weights.value[-1:], error=weights.error[-1:], imputed=~seen)
    return _weighted(counted, rows, seen, assumed, weights=last, kept=kept)


def _joined(inner: Table, outer: Table, scope: tuple[str, ...]) -> Table:
    def both(one: Values, other: Values) -> Values:
        return np.concatenate([one, other])

    def padded(factors: Values, size: int) -> Values:
        return np.pad(factors, ((0, 0), (0, 0), (0, size - factors.shape[2])))

    def cores(core: Values, size: int) -> Values:
        more = size - core.shape[1]
        return np.pad(core, ((0, 0), (0, more), (0, more)))

    one, other = inner.spread, outer.spread
    size = max(one.core.shape[1], other.core.shape[1])
    return Table(
        estimate=both(inner.estimate, outer.estimate),
        spread=Spread(
            both(one.own, other.own),
            both(padded(one.factors, size), padded(other.factors, size)),
            both(cores(one.core, size), cores(other.core, size)),
            both(one.drawn, other.drawn),
            both(one.share, other.share),
            one.joint,
        ),
        noise=both(inner.noise, outer.noise),
        gamma=both(inner.gamma, outer.gamma),
        imputed=np.concatenate([inner.imputed, outer.imputed]),
        scope=scope,
    )


def _scope(weights: Weights, kept: Kept) -> tuple[str, ...]:
    how = "counted" if kept.measured else "assumed"
    part = f"Of the pairs {kept.part:.1%} were kept when subscribers were cut to the most allowed; this was {how}."
    return (*_SCOPE, *weights.scope, part)
