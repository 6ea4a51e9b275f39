"""Made-up operators over the real register of Belgium, 2011 to 2015: what estimators of residents are held against.

The ownership of phones by age, the spread of market shares and coverage, and their drifts are those of the acceptance
table of the estimation specification; docs/method.md has them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hub.estimation.drift import Drift
from hub.estimation.residents import Assumed, Period, Total

Values = NDArray[np.float64]
_REGISTER = Path(__file__).parent.parent / "reference" / "belgium" / "municipalities.csv"
#: Phone owners of each age band.
OWNERS = {
    "a0_9": 0.10,
    "a10_14": 0.70,
    "a15_24": 0.98,
    "a25_44": 0.98,
    "a45_64": 0.95,
    "a65_79": 0.85,
    "a80p": 0.55,
}
MARKET = np.array([0.40, 0.35, 0.25])
GAINS = np.array([0.97, 1.00, 1.05])
SECOND_SUBSCRIPTIONS = 1.12
#: Spread of the growth of municipalities, from the register's history.
TAU = 0.0185
#: The same where it depends on size, τ² + scatter / persons: maximum likelihood, register of 2011 and 2015.
BY_SIZE = (0.0137, 1.17)
#: The same with Student's t: scale .0120, scatter .996 and 9.7 degrees of freedom, as deviation and variance.
WITH_TAILS = (0.0135, 1.25, 9.7)


@dataclass(frozen=True)
class Country:
    """A register of two dates, arrays of shape (zones,)."""

    then: Values
    now: Values
    owners: Values
    district: NDArray[np.int64]


@cache
def belgium() -> Country:
    """Return the municipalities of Belgium: registers of 2011 and 2015, expected phone owners by person."""
    with _REGISTER.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    ages = np.array([[float(row[age]) for age in OWNERS] for row in rows])
    _codes, district = np.unique([row["CD_DSTR_REFNIS"] for row in rows], return_inverse=True)
    return Country(
        then=np.array([float(row["pop"]) for row in rows]),
        now=np.array([float(row["pop2015"]) for row in rows]),
        owners=ages @ np.array(list(OWNERS.values())) / ages.sum(axis=1),
        district=district.astype(np.int64),
    )


@dataclass(frozen=True)
class Scenario:
    """Who answers, how noisy it is, what is known, and what is declared wrong.

    Attributes
    ----------
    present
        Which operators answer now; all did then. None if one of them, drawn anew each time, does not.
    sigma
        Of the noise in each cell of each operator.
    total_known
        Whether the national population of now is known.
    kappa
        True drift of coverage by zone; `declared` is what the estimator is told.
    by_size
        Whether the estimator is told that small zones' growth varies more, as it does in the register.
    heavy
        Drifts have heavy tails (Student's t with 4 degrees of freedom), half of their variance common to a district.
    share_sd
        Drift of an operator's share in a zone.
    tails
        Whether the estimator is told that growth has heavy tails; `by_size` too.
    tau_known
        Whether the estimator is told how much zones' growth varies, from a register's history.
    sized
        Coverage does not drift by chance but with the size of a zone: up in small ones, down in large ones.
    total_sd
        Standard deviation of the logarithm of the national population that is known: a projection.
    register
        Whether there is one; without it a survey in four of ten zones tells coverage.
    """

    name: str
    present: tuple[bool, bool, bool] | None = (True, True, True)
    sigma: float = 50.0
    total_known: bool = True
    kappa: float = 0.005
    declared: float = 0.005
    heavy: bool = False
    by_size: bool = False
    share_sd: float = field(default=0.05, kw_only=True)
    tails: bool = field(default=False, kw_only=True)
    tau_known: bool = field(default=True, kw_only=True)
    sized: bool = field(default=False, kw_only=True)
    total_sd: float = field(default=0.0, kw_only=True)
    register: bool = field(default=True, kw_only=True)

    def assumed(self) -> Assumed:
        """Return what the estimator is told."""
        tau, scatter = BY_SIZE if self.by_size else (TAU, 0.0)
        tails = np.inf
        if self.tails:
            tau, scatter, tails = WITH_TAILS
        return Assumed(
            kappa_zone=self.declared,
            # A drift that goes with size moves the country, too.
            kappa_nation=self.declared if self.sized else 0.0,
            share_zone=0.05,
            share_nation=Drift(0.03, 4.0),
            tau=tau if self.tau_known else None,
            scatter=scatter if self.tau_known else None,
            tails=tails,
        )

    def total(self, country: Country, chance: np.random.Generator) -> Total | None:
        """Return what is known of the national population now."""
        if not self.total_known:
            return None
        error = chance.normal(0, self.total_sd) if self.total_sd > 0 else 0.0
        return Total(float(country.now.sum() * np.exp(error)), self.total_sd)


_FIRST_TWO, _OUTER, _LAST_TWO = (True, True, False), (True, False, True), (False, True, True)
SCENARIOS = (
    Scenario("three operators"),
    Scenario("two operators", _FIRST_TWO),
    Scenario("two smaller operators", _LAST_TWO),
    Scenario("three operators, spread of growth by size", by_size=True),
    Scenario("two operators, spread of growth by size", _FIRST_TWO, by_size=True),
    Scenario("one operator", (True, False, False)),
    Scenario("three operators, σ = 200", sigma=200.0),
    Scenario("two operators, σ = 200", _FIRST_TWO, sigma=200.0),
    Scenario("three operators, noise alone (σ = 10⁶)", sigma=1e6, by_size=True),
    Scenario("third missing, total unknown", _FIRST_TWO, total_known=False),
    Scenario("second missing, total unknown", _OUTER, total_known=False),
    Scenario("first missing, total unknown", _LAST_TWO, total_known=False),
    Scenario("one missing at random, total unknown", None, total_known=False),
    Scenario("one missing at random, total known within 0.5 %", None, total_sd=0.005),
    Scenario("one missing at random, total unknown, spread by size", None, total_known=False, by_size=True),
    Scenario("three operators, spread by size with heavy tails", by_size=True, tails=True),
    Scenario("three operators, spread of growth estimated", tau_known=False),
    Scenario("two operators, spread of growth estimated", _FIRST_TWO, tau_known=False),
    Scenario("heavy tails within districts, three operators", heavy=True),
    Scenario("heavy tails within districts, two operators", _FIRST_TWO, heavy=True),
    Scenario(
        "heavy tails within districts, one missing at random, total unknown",
        None,
        total_known=False,
        heavy=True,
    ),
    Scenario("coverage drifts with size, three operators", sized=True),
    Scenario(
        "coverage drifts with size, one missing at random, total unknown", None, total_known=False, sized=True
    ),
    Scenario("coverage drifts with size by .01, three operators", kappa=0.01, declared=0.01, sized=True),
    Scenario("no register, survey of coverage, total known", register=False),
    Scenario("no register, survey of coverage, total unknown", register=False, total_known=False),
    Scenario("κ = .02 where .02 is declared", kappa=0.02, declared=0.02),
    Scenario("κ = .02 where .005 is declared", kappa=0.02),
)


def generate(scenario: Scenario, country: Country, chance: np.random.Generator) -> tuple[Period, Period]:
    """Return the operators' noisy counts of both dates."""
    zones, operators = country.then.size, MARKET.size
    of_district = chance.normal(0, 0.20, (operators, country.district.max() + 1))[:, country.district]
    shares = _normalised(MARKET[:, None] * np.exp(of_district + chance.normal(0, 0.15, (operators, zones))))
    drift = np.stack([_drift(scenario, country, chance) for _ in range(operators)])
    later = _normalised(shares * np.exp(scenario.share_sd * drift) * GAINS[:, None])
    coverage = country.owners * np.exp(chance.normal(0, 0.10, zones)) * SECOND_SUBSCRIPTIONS
    covered = coverage * np.exp(scenario.kappa * _coverage_drift(scenario, country, chance))
    there = scenario.present or tuple((np.arange(operators) != chance.integers(operators)).tolist())
    return (
        _counted(scenario, country.then * coverage * shares, (True, True, True), chance),
        _counted(scenario, country.now * covered * later, there, chance),
    )


def _coverage_drift(scenario: Scenario, country: Country, chance: np.random.Generator) -> Values:
    if not scenario.sized:
        return _drift(scenario, country, chance)
    small = -np.log(country.then)
    return np.asarray((small - small.mean()) / small.std())


def _normalised(shares: Values) -> Values:
    return np.asarray(shares / shares.sum(axis=0))


def _drift(scenario: Scenario, country: Country, chance: np.random.Generator) -> Values:
    """Return a drift of variance 1 for every zone."""
    zones, districts = country.then.size, int(country.district.max()) + 1
    if not scenario.heavy:
        return chance.normal(0, 1, zones)
    common, own = chance.standard_t(4, districts)[country.district], chance.standard_t(4, zones)
    # A t distribution with 4 degrees of freedom has the variance 2.
    return np.asarray((common + own) / 2.0)


def _counted(
    scenario: Scenario, expected: Values, present: tuple[bool, ...], chance: np.random.Generator
) -> Period:
    noise = np.rint(chance.normal(0, scenario.sigma, expected.shape))
    variance = np.full(len(present), scenario.sigma**2)
    return Period(chance.poisson(expected).astype(np.float64) + noise, variance, np.array(present))
