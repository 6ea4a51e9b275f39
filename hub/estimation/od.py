r"""Commuting: persons by home zone and day zone, from noisy counts of subscribers and known persons by home.

1. The counts of each origin are smoothed (`hub.estimation.od_smooth`), or taken as they are.
2. Every subscriber of home zone h stands for R_h/û_h persons, R_h phone owners who live there and û_h = Σ_d û_hd, as
   weights by anchor do for presence (Deville and Särndal 1992, JASA 87, 376-382):

       x_hd = R_h·p_hd,   p_hd = û_hd/û_h,     Cov(x_h) = R_h²·J Cov(û_h) J' + Var(R_h)·pp',   J = (I − p1')/û_h.

   The weight is shared by the row, and so is its error; a row's sum is R_h, exactly if R_h is.
3. Known persons by day zone, if there are any, are met by least squares (`hub.estimation.od_margins`).

Cov(û_h) has the noise that smoothing left, the sampling of subscribers (dispersion·û_hd), and customers who go to other
zones more or less often than others of their zone do (lean², in common to all of a row's other zones). Cells of an
origin are correlated, those of different origins are not, until step 3.

What the numbers mean is carried along in `scope`. A census asks for the usual place of work of those in employment; here
everybody has a day zone, schoolchildren and those who stay at home among them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.estimation.od_model import Counted, expected
from hub.estimation.od_smooth import Prior, Rows, flat, learnt, predicted, told
from hub.estimation.od_spread import Spread, block

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
COMMUTING_SCOPE = (
    "The day zone is where somebody was in most day hours of most days: not the usual place of work, which a census asks "
    "for. Who works at night, from home or in changing places is where the phone was by day.",
    "Everybody with a phone has a day zone, not only those in employment; the diagonal has those who stay.",
    "Persons are those with a phone: small children and others without one are not in the table.",
    "Subscribers without a home zone are stood for by those who have one.",
)


@dataclass(frozen=True)
class Known:
    """Persons by zone that are known or estimated.

    Attributes
    ----------
    persons
        Not negative, float64 of shape (zones,).
    variance
        Of each, independent of each other; zero where it is known exactly.
    """

    persons: Values
    variance: Values

    def __post_init__(self) -> None:
        """Refuse what cannot be persons.

        Raises
        ------
        ValueError
            If a number is negative or not finite, or shapes differ.
        """
        both = (self.persons, self.variance)
        if self.persons.shape != self.variance.shape or any(np.any(~np.isfinite(a) | (a < 0)) for a in both):
            raise ValueError("persons and their variances are finite numbers, not negative, one of each by zone")


@dataclass(frozen=True)
class Assumed:
    """What the table itself cannot tell and is declared.

    Attributes
    ----------
    dispersion
        Variance of subscribers around what the operators' share of the persons leads to expect, as a part of their number;
        1 if persons choose their operator by chance and few of them are subscribers.
    lean
        Standard deviation of how much more or less than others customers go to other zones, as a part.
    """

    dispersion: float = 1.0
    lean: float = 0.0


@dataclass(frozen=True)
class Table:
    """Estimated persons by origin and destination, arrays of shape (zones, zones + 1); not cut at zero.

    Attributes
    ----------
    estimate
        Persons; not a number where nothing is known of an origin.
    spread
        Covariance of the cells.
    noise
        Part of each cell's variance that is noise of differential privacy.
    gamma
        Weight of the cell's own count against the model.
    imputed
        Origins without a signal: their cells are those of the model (status I), bool of shape (zones,).
    scope
        How the concept differs from that of other statistics.
    """

    estimate: Values
    spread: Spread
    noise: Values
    gamma: Values
    imputed: Mask
    scope: tuple[str, ...]

    @property
    def sd(self) -> Values:
        """Return the standard deviation of each cell."""
        return np.sqrt(self.spread.variance())


def commuting(
    counted: Counted,
    homes: Known,
    *,
    assumed: Assumed | None = None,
    model: Values | None = None,
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
    assumed
        What is declared.
    model
        A table that is proportional to what is expected by row (a census, an earlier period), not negative, of the counts'
        shape; None for one learnt from the counts.
    distance
        Between zones, for the model that is learnt; shape (zones, zones).
    smooth
        Whether small cells lean on the model. Otherwise only origins without a signal do.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    _fits(counted, homes, model, distance)
    assumed = assumed or Assumed()
    rows, seen = smoothed(counted, homes.persons, model, distance, smooth=smooth)
    return _scaled(rows, homes, assumed, seen)


def _fits(counted: Counted, homes: Known, model: Values | None, distance: Values | None) -> None:
    zones = counted.zones
    if counted.cells.shape != (zones, zones + 1) or zones == 0 or homes.persons.shape != (zones,):
        raise ValueError("counts have a row for each zone, and a column for each and for those without a destination")
    if model is not None and (model.shape != counted.cells.shape or np.any(model < 0)):
        raise ValueError("a model has the shape of the counts and is not negative")
    if distance is not None and distance.shape != (zones, zones):
        raise ValueError("distances are between zones")


def smoothed(
    counted: Counted, persons: Values, model: Values | None, distance: Values | None, *, smooth: bool
) -> tuple[Rows, Mask]:
    """Return counts by origin as they are best known, and which origins have a signal.

    Parameters
    ----------
    counted
        The table.
    persons
        To which the counts of an origin are about proportional, shape (zones,).
    model, distance, smooth
        As of `commuting`.
    """
    seen = told(counted, by_cells=smooth) & (persons > 0)
    prior = flat((counted.zones, counted.zones + 1))
    # Whether there are any counts at all: without, there is nothing that a model could be scaled to.
    if seen.any():
        prior = learnt(counted, _model(counted, persons, model, distance), seen)
    if not smooth:
        prior = _only(prior, ~seen)
    rows = predicted(counted, prior, seen)
    lost = seen & (rows.value.sum(axis=1) <= 0)
    if lost.any():
        seen = seen & ~lost
        rows = predicted(counted, prior, seen)
    return rows, seen


def _model(counted: Counted, persons: Values, model: Values | None, distance: Values | None) -> Values:
    if model is None:
        return expected(counted, persons, distance)
    whole, size = model.sum(axis=1), float(counted.cells.sum() / persons.sum())
    share = model / np.where(whole > 0, whole, 1.0)[:, None]
    return np.asarray(max(size, 0.0) * persons[:, None] * share)


def _only(prior: Prior, origins: Mask) -> Prior:
    """Return a prior that says something of some origins only."""
    here = origins[:, None]
    return Prior(prior.mean, np.where(here, prior.spread, np.inf), np.where(here, prior.doubt, 0.0), prior.common)


def _scaled(rows: Rows, homes: Known, assumed: Assumed, seen: Mask) -> Table:
    """Return persons: each row times its weight."""
    whole = rows.value.sum(axis=1)
    known = (whole > 0) & ~np.isinf(rows.own).any(axis=1)
    share = rows.value / np.where(known, whole, np.nan)[:, None]
    weight = np.where(known, homes.persons / np.where(known, whole, 1.0), np.nan)
    people = np.where(seen[:, None], np.maximum(rows.value, 0.0), 0.0)
    noise = Spread(rows.own, rows.factors, rows.core).shared(share).times(weight)
    spread = (
        Spread(rows.own + assumed.dispersion * people, *_leaning(rows, assumed.lean))
        .shared(share)
        .times(weight)
        .along(share, homes.variance)
    )
    nobody = homes.persons == 0
    estimate = np.where(nobody[:, None], 0.0, homes.persons[:, None] * share)
    return Table(
        estimate=estimate,
        # Where nobody is known to live, whoever does after all can be in any cell.
        spread=spread.instead(nobody, homes.variance),
        noise=np.where(nobody[:, None], 0.0, noise.variance()),
        gamma=rows.gamma,
        imputed=~seen & ~nobody,
        scope=COMMUTING_SCOPE,
    )


def _leaning(rows: Rows, lean: float) -> tuple[Values, Values]:
    """Return the factors and the core of the rows, with that of customers who go to other zones more often."""
    apart = rows.value.copy()
    apart[:, -1] = 0.0
    np.fill_diagonal(apart[:, :-1], 0.0)
    return np.concatenate([rows.factors, apart[:, :, None]], axis=2), block(rows.core, lean**2)
