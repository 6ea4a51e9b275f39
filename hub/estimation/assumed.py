"""What mobile data cannot tell of growth and is declared, and the test that may contradict it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from hub.estimation.blup import Areas, Fit, excess
from hub.estimation.drift import Drift

#: Chance of a warning although everything was declared right.
_FALSE_ALARM = 0.001


@dataclass(frozen=True)
class Assumed:
    """What mobile data cannot tell and is declared; every value is printed with the estimates.

    Attributes
    ----------
    kappa_zone, kappa_nation
        Standard deviation of the drift of coverage (logarithm) of a zone, and of the country.
    share_zone
        δ of zones, where it cannot be estimated because fewer than two operators take part.
    share_nation
        δ of the country, and how many operators' disagreement it is worth.
    tau
        Standard deviation of zones' growth beside the covariates, from the register's history; None if it is to be
        estimated from the counts, which cannot be told from a drift of coverage then.
    scatter
        What is added to τ² in a zone, times its registered persons: births, deaths and moves are counts, so that
        the growth of a small zone varies more. From the register's history too; zero if all zones vary alike.
    tails
        Degrees of freedom of the t distribution that growth has beside the covariates, more than 4; τ and the
        scatter are still standard deviation and variance. Infinite if growth is normal.
    """

    kappa_zone: float
    kappa_nation: float
    share_zone: float
    share_nation: Drift
    tau: float | None = None
    scatter: float | None = 0.0
    tails: float = np.inf

    def __post_init__(self) -> None:
        """Refuse what is no declaration."""
        if not self.tails > 4:
            raise ValueError(
                f"tails of {self.tails:g} degrees of freedom have no kurtosis; more than 4 are needed"
            )


def contradicted(fitted: Fit, areas: Areas, assumed: Assumed) -> list[str]:
    """Return a warning if zones differ more than was declared: a chi-square test of the residuals.

    Parameters
    ----------
    fitted
        The model.
    areas
        Zones that were measured.
    assumed
        What was declared; nothing can be contradicted if τ was estimated.
    """
    if assumed.tau is None or areas.measured.size <= areas.covariates.shape[1]:
        return []
    squares, free = excess(fitted, areas)
    if chi2.sf(squares, free) >= _FALSE_ALARM:
        return []
    return [
        f"zones grow apart {np.sqrt(squares / free):.2f} times as much as declared: the drift of coverage "
        f"(kappa_zone = {assumed.kappa_zone:g}) or the spread of growth (tau = {assumed.tau:g}) is too small, "
        "and so are the intervals"
    ]
