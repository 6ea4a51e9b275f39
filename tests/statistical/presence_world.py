"""Made-up operators over real commuting between the districts of Belgium, 2011: what presence is held against."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hub.estimation.presence import Answer, Weights, in_fixed_point, weights
from quorate.contract.order import WEIGHT_ONE
from tests.statistical.scenarios import belgium

Values = NDArray[np.float64]
_COMMUTING = Path(__file__).parent.parent.parent / "deploy" / "demo" / "belgium" / "commuting.csv"
HOURS = ("night", "day")


@dataclass(frozen=True)
class Land:
    """Districts: residents, phone owners, and how many of each go to which district by day (commuters)."""

    residents: Values
    owners: Values
    commuters: Values


@cache
def land() -> Land:
    """Return the 43 districts of Belgium; commuters are rows of the home, columns of the workplace."""
    country = belgium()
    districts = int(country.district.max()) + 1
    with _COMMUTING.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return Land(
        residents=np.bincount(country.district, country.then, districts).astype(np.float64),
        owners=np.bincount(country.district, country.then * country.owners, districts).astype(np.float64),
        commuters=np.array([[float(number) for number in row[1:]] for row in rows]),
    )


@dataclass(frozen=True)
class World:
    """How operators see the country.

    Attributes
    ----------
    market
        Share of each operator that answers.
    coverage_sd
        Of the logarithm of an operator's share by anchor district.
    sigma
        Of the noise of a count in which everybody counts one.
    largest
        Largest weight.
    mobile
        How much more likely than others a commuter is to be a subscriber, by operator.
    silent
        Part of the phones at home that are silent by day; half as many of those at work are.
    refused
        An operator that refuses after the weights went out.
    """

    name: str
    market: tuple[float, ...] = (0.40,)
    coverage_sd: float = 0.22
    sigma: float = 100.0
    largest: float = 10.0
    mobile: tuple[float, ...] = (1.0,)
    silent: float = 0.0
    refused: int | None = None


def truth(country: Land) -> Values:
    """Return who is where, night and day, of shape (districts, 2): residents, commuters at work."""
    out, into = country.commuters.sum(axis=1), country.commuters.sum(axis=0)
    return np.stack([country.residents, country.residents - out + into], axis=1)


@dataclass(frozen=True)
class Seen:
    """What one operator answers, and its counts of who is where, for the way of estimating that is to be beaten."""

    answer: Answer
    counted: Values
    weights: Weights


def seen(world: World, operator: int, country: Land, chance: np.random.Generator) -> Seen:
    """Return one operator's answers to both rounds."""
    coverage = world.market[operator] * np.exp(chance.normal(0, world.coverage_sd, country.owners.size))
    probability = np.minimum(coverage * world.mobile[operator % len(world.mobile)], 1.0)[:, None]
    commuters = chance.binomial(country.commuters.astype(np.int64), probability)
    staying = np.maximum(country.owners - country.commuters.sum(axis=1), 0).astype(np.int64)
    others = chance.binomial(staying, np.minimum(coverage, 1.0))
    anchored = commuters.sum(axis=1) + others
    noisy = anchored + np.rint(chance.normal(0, world.sigma, anchored.shape))
    given = weights(country.owners, noisy, np.full(noisy.shape, world.sigma**2), world.largest)
    heard = chance.binomial(commuters, 1 - world.silent / 2), chance.binomial(others, 1 - world.silent)
    return _answered(world, given, (commuters, others), heard, chance)


def _answered(
    world: World,
    given: Weights,
    everybody: tuple[NDArray[np.int64], NDArray[np.int64]],
    heard: tuple[NDArray[np.int64], NDArray[np.int64]],
    chance: np.random.Generator,
) -> Seen:
    (commuters, others), (working, home) = everybody, heard
    largest = round(WEIGHT_ONE * world.largest)
    weight = given.value
    # Noise is made for the largest weight, in the parts of a person that the operator's order has.
    sd = world.sigma * largest / in_fixed_point(weight, largest, WEIGHT_ONE).one
    night = commuters.sum(axis=1) + others
    present = np.stack([weight * night, weight @ working + weight * home], axis=1)
    silent = np.array([0.0, weight @ (night - working.sum(axis=1) - home)])[None, :]
    counted = np.stack([night, working.sum(axis=0) + home], axis=1)
    return Seen(
        Answer(
            present + np.rint(chance.normal(0, sd, present.shape)),
            silent + np.rint(chance.normal(0, sd, silent.shape)),
            sd**2,
            given,
        ),
        counted + np.rint(chance.normal(0, world.sigma, counted.shape)),
        given,
    )


WORLDS = (
    World("one operator", largest=5.0),
    World("three operators", (0.40, 0.35, 0.25)),
    World("three operators, one refuses after the weights", (0.40, 0.35, 0.25), refused=2),
    World("one operator, silent phones at home", largest=5.0, silent=0.10),
    World("three operators, silent phones at home", (0.40, 0.35, 0.25), silent=0.10),
    World("three operators, customers who commute more", (0.40, 0.35, 0.25), mobile=(1.05, 0.97, 1.0)),
    World("three operators, σ = 400", (0.40, 0.35, 0.25), sigma=400.0),
)
