r"""Commuting: persons by home zone and day zone, from noisy counts of subscribers and known persons by home.

1. The counts of each origin are smoothed (`hub.estimation.od_smooth`), or taken as they are.
2. Every subscriber of home zone h stands for R_h/û_h persons, R_h phone owners who live there and û_h = Σ_d û_hd, as
   weights by anchor do for presence (Deville and Särndal 1992, JASA 87, 376-382):

       x_hd = R_h·p_hd,   p_hd = û_hd/û_h,     Cov(x_h) = R_h²·J Cov(û_h) J' + Var(R_h)·pp',   J = (I − p1')/û_h.

   The weight is shared by the row, and so is its error; a row's sum is R_h, exactly if R_h is.
3. Known persons by day zone, if there are any, are met by least squares (`hub.estimation.od_margins`).

Cov(û_h) has the noise that smoothing left, the sampling of subscribers (dispersion·û_hd), and customers who go to
other zones more or less often than others of their zone do (lean², in common to all of a row's other zones). Cells
of different origins have in common what the model does not know of a destination, and step 3.

What the numbers mean is carried along in `scope`. A census asks for the usual place of work of those in
employment; here everybody has a day zone, schoolchildren and those who stay at home among them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hub.estimation.od_margins import met
from hub.estimation.od_model import expected
from hub.estimation.od_prior import Prior, flat, learnt, told
from hub.estimation.od_smooth import Rows, predicted
from hub.estimation.od_spread import Spread, block
from hub.estimation.od_table import APART, Assumed, Counted, Known, Model, Table

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
COMMUTING_SCOPE = (
    "The day zone is where somebody was in most day hours of most days: not the usual place of work, which a census "
    "asks for. Who works at night, from home or in changing places is where the phone was by day.",
    "Everybody with a phone has a day zone, not only those in employment; the diagonal has those who stay.",
    "Persons are those with a phone: small children and others without one are not in the table.",
    "Subscribers without a home zone are stood for by those who have one.",
)


def commuting(
    counted: Counted,
    homes: Known,
    days: Known | None = None,
    *,
    assumed: Assumed | None = None,
    model: Model | None = None,
    distance: Values | None = None,
    smooth: bool = True,
) -> Table:
    """Estimate persons by home zone and day zone.

    Parameters
    ----------
    counted
        Of the period; subscribers without a home zone are left out of it.
    homes
        Phone owners by home zone.
    days
        Phone owners by day zone, on the concept of the table (as presence by day estimates them, not jobs), shape
        (zones,).
    assumed
        What is declared.
    model
        What is expected by row (of a census, or an earlier period); None for one learnt from the counts.
    distance
        Between zones, for the model that is learnt; shape (zones, zones).
    smooth
        Whether small cells lean on the model. Otherwise only origins without a signal do.

    Raises
    ------
    ValueError
        If shapes do not fit, or exact sums by home and by day have different totals.
    """
    zones = counted.cells.shape[0]
    _fits(zones, homes, days, model, distance)
    if days is not None:
        empty = np.zeros(counted.cells.shape, dtype=np.bool_) if counted.empty is None else counted.empty
        counted = replace(counted, empty=empty | np.append(days.nobody(), np.False_))
    sure = assumed or Assumed()
    plain = expected(counted, homes.persons, distance) if model is None else model
    table = _table(counted, homes, sure, plain, smooth)
    if days is None:
        return table
    if model is None:
        # Who is known to be there by day and does not stay there has come from another zone.
        arriving = _level(counted, homes.persons) * (days.persons - np.diagonal(table.estimate))
        table = _table(counted, homes, sure, expected(counted, homes.persons, distance, arriving), smooth)
    sums = Known(np.append(days.persons, 0.0), np.append(days.variance, 0.0))
    return met(table, sums, np.append(np.ones(zones, dtype=np.bool_), np.False_))


def _fits(zones: int, homes: Known, days: Known | None, model: Model | None, distance: Values | None) -> None:
    if homes.persons.shape != (zones,) or (days is not None and days.persons.shape != (zones,)):
        raise ValueError("there is one number of persons for each zone")
    if model is not None and (model.mean.shape != (zones, zones + 1) or np.any(model.mean < 0)):
        raise ValueError("a model has the shape of the counts and is not negative")
    if distance is not None and distance.shape != (zones, zones):
        raise ValueError("distances are between zones")


def _table(counted: Counted, homes: Known, assumed: Assumed, model: Model, smooth: bool) -> Table:
    rows, seen = smoothed(counted, homes.persons, model, smooth=smooth)
    return _scaled(counted, rows, homes, assumed, seen)


def smoothed(counted: Counted, persons: Values, model: Model, *, smooth: bool) -> tuple[Rows, Mask]:
    """Return counts by origin as they are best known, and which origins have a signal.

    Parameters
    ----------
    counted
        The table.
    persons
        To which the counts of an origin are about proportional, shape (origins,).
    model
        Of the table's shape; its rows are scaled to the persons.
    smooth
        Whether small cells lean on it.
    """
    if counted.empty is not None:
        counted = replace(counted, cells=np.where(counted.empty, 0.0, counted.cells))
    seen = told(counted, by_cells=smooth) & (persons > 0)
    prior = flat(counted.cells.shape)
    # Where nothing was counted at all, there is nothing that a model could be scaled to.
    if seen.any():
        prior = learnt(counted, _to_level(counted, persons, model), seen)
    prior = _possible(prior if smooth else _only(prior, ~seen), counted.empty)
    rows = predicted(counted, prior, seen)
    lost = seen & (rows.value.sum(axis=1) <= 0)
    if lost.any():
        seen = seen & ~lost
        rows = predicted(counted, prior, seen)
    return rows, seen


def _to_level(counted: Counted, persons: Values, model: Model) -> Model:
    """Return the model with as many subscribers for each person as were counted in all."""
    whole = model.mean.sum(axis=1)
    scale = _level(counted, persons) * persons / np.where(whole > 0, whole, 1.0)
    return replace(model, mean=model.mean * scale[:, None])


def _level(counted: Counted, persons: Values) -> float:
    return max(float(counted.cells.sum()) / max(float(persons.sum()), 1.0), 0.0)


def _only(prior: Prior, origins: Mask) -> Prior:
    """Return a prior that says something of some origins only."""
    here = origins[:, None]
    return replace(prior, spread=np.where(here, prior.spread, np.inf), doubt=np.where(here, prior.doubt, 0.0))


def _possible(prior: Prior, empty: Mask | None) -> Prior:
    """Return a prior that is sure of the cells in which nobody can be."""
    if empty is None:
        return prior
    mean, spread, doubt = (np.where(empty, 0.0, part) for part in (prior.mean, prior.spread, prior.doubt))
    return replace(prior, mean=mean, spread=spread, doubt=doubt)


def _scaled(counted: Counted, rows: Rows, homes: Known, assumed: Assumed, seen: Mask) -> Table:
    """Return persons: each row times its weight."""
    whole = rows.value.sum(axis=1)
    known = (whole > 0) & ~np.isinf(rows.own).any(axis=1)
    share = rows.value / np.where(known, whole, np.nan)[:, None]
    weight = np.where(known, homes.persons / np.where(known, whole, 1.0), np.nan)
    noise = rows.covariance().shared(share).times(weight)
    spread = sampled(counted, rows, assumed, seen).shared(share).times(weight).along(share, homes.variance)
    nobody = homes.persons == 0
    return Table(
        estimate=np.where(nobody[:, None], 0.0, homes.persons[:, None] * share),
        # Where nobody is known to live, whoever does after all can be in any cell.
        spread=spread.instead(nobody, homes.variance),
        noise=np.where(nobody[:, None], 0.0, noise.variance()),
        gamma=rows.gamma,
        imputed=~seen & ~nobody,
        scope=COMMUTING_SCOPE,
    )


def sampled(counted: Counted, rows: Rows, assumed: Assumed, seen: Mask) -> Spread:
    """Return the covariance of counts with that of who is a subscriber, and of customers who travel more.

    Parameters
    ----------
    counted, rows, seen
        The table and what `smoothed` made of it.
    assumed
        What is declared.
    """
    people = np.where(seen[:, None], np.maximum(rows.value, 0.0), 0.0)
    apart = np.where(counted.kinds() == APART, rows.value, 0.0)
    return Spread.of(
        rows.own + assumed.dispersion * people,
        np.concatenate([rows.factors, apart[:, :, None]], axis=2),
        block(rows.core, assumed.lean**2),
        rows.drawn,
        rows.destinations,
    )
