"""A country without a register: a survey of persons in some municipalities, and one of how much phones are used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.estimation.coverage import Survey
from hub.estimation.residents import Period
from tests.statistical.scenarios import Country

Values = NDArray[np.float64]
#: Part of the municipalities that were surveyed, and the standard deviation of the logarithm of what it found.
_SURVEYED, _ERROR = 0.4, 0.05
#: How much coverage differs with the use of phones (a standard normal index), and the error of the index.
_USE, _USE_ERROR = 0.15, 0.7


@dataclass(frozen=True)
class Told:
    """What is known of the country: counts now, the survey, and covariates of coverage with their errors."""

    now: Period
    survey: Survey
    covariates: Values
    errors: Values


def surveyed(country: Country, now: Period, chance: np.random.Generator) -> Told:
    """Return what is known, with counts that depend on the use of phones, too.

    Parameters
    ----------
    country, now
        Truth, and counts of today where phones are used alike everywhere; their noise is scaled with them, by 15 %.
    """
    zones = country.now.size
    use = chance.normal(0, 1, zones)
    there = chance.random(zones) < _SURVEYED
    persons = np.where(there, country.now * np.exp(chance.normal(0, _ERROR, zones)), np.nan)
    errors = np.zeros((zones, 2, 2))
    errors[:, 1, 1] = _USE_ERROR**2
    factor = np.exp(_USE * use)
    return Told(
        now=Period(now.counts * factor, now.noise * factor**2, now.present),
        survey=Survey(persons, np.full(zones, _ERROR**2)),
        covariates=np.stack([np.ones(zones), use + chance.normal(0, _USE_ERROR, zones)], axis=1),
        errors=errors,
    )
