"""Draws the persons of the country: the register, the population a little apart from it, homes and work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deploy.demo.country import AGE_BANDS, Country
from deploy.demo.simulation.settings import Settings
from deploy.demo.simulation.streams import Purpose, Rows, round_randomly, stream
from privacy.errors import UsageProblem

# Standard deviation of the log growth of a zone between the register and the simulated week.
GROWTH_SD = 0.0185
WORKING_AGES = slice(2, 5)  # 15 to 64
MAX_WORKER_SHARE = 0.9
# Somebody who works in the district of residence works in the zone of residence with this probability,
# otherwise wherever people of working age live in the district.
WORK_IN_HOME_ZONE = 0.4
NO_WORK = -1


@dataclass(frozen=True, eq=False)
class Persons:
    """All persons of the simulated week, by home zone ascending, then age band.

    Attributes
    ----------
    home
        Home zone, int32[person].
    age
        Age band, int8[person].
    work
        Zone of the workplace, `NO_WORK` for who has none, int32[person].
    """

    home: NDArray[np.int32]
    age: NDArray[np.int8]
    work: NDArray[np.int32]

    @property
    def size(self) -> int:
        """Number of persons."""
        return int(self.home.size)


@dataclass(frozen=True, eq=False)
class Gravity:
    """Where persons of a district go: a district by the commuting table, a zone in it by population."""

    districts: Rows
    zones_by_population: Rows
    zones_by_working_age: Rows
    zones_by_district: NDArray[np.int64]
    district: NDArray[np.int64]

    @classmethod
    def of(cls, country: Country) -> Gravity:
        """Prepare the tables; a district without commuters sends its trips to itself."""
        district = country.district_index
        number = len(country.district_codes)
        order = np.argsort(district, kind="stable").astype(np.int64)
        lengths = np.bincount(district, minlength=number).astype(np.int64)
        commuting = country.commuting.astype(np.float64)
        silent = commuting.sum(axis=1) == 0
        commuting[silent, silent] = 1.0
        population = country.population[order].astype(np.float64)
        return cls(
            districts=Rows(commuting.ravel(), np.full(number, number, dtype=np.int64)),
            zones_by_population=Rows(population.sum(axis=1), lengths),
            zones_by_working_age=Rows(population[:, WORKING_AGES].sum(axis=1), lengths),
            zones_by_district=order,
            district=district,
        )

    def draw_districts(self, rng: np.random.Generator, home: NDArray[np.int32]) -> NDArray[np.int64]:
        """Draw a district from the commuting row of each home zone's district, int64[person]."""
        origin = self.district[home]
        return self.districts.draw(rng, origin) - self.districts.starts[origin]

    def draw_trip_zones(self, rng: np.random.Generator, home: NDArray[np.int32]) -> NDArray[np.int32]:
        """Draw where a trip goes from each home zone, by population of all ages, int32[person]."""
        goal = self.draw_districts(rng, home)
        return self.zones_by_district[self.zones_by_population.draw(rng, goal)].astype(np.int32)

    def draw_work_zones(self, rng: np.random.Generator, home: NDArray[np.int32]) -> NDArray[np.int32]:
        """Draw the zone of the workplace of a worker of each home zone, int32[person]."""
        goal = self.draw_districts(rng, home)
        zones = self.zones_by_district[self.zones_by_working_age.draw(rng, goal)].astype(np.int32)
        near = (goal == self.district[home]) & (rng.random(home.size) < WORK_IN_HOME_ZONE)
        return np.where(near, home, zones)


def draw_register(country: Country, settings: Settings) -> NDArray[np.int64]:
    """Draw the register of the simulated country: residents at t₀, int64[zone, age band]."""
    return round_randomly(
        stream(settings.seed, Purpose.REGISTER), (country.population * settings.scale).astype(np.float64)
    )


def draw_population(register: NDArray[np.int64], settings: Settings) -> NDArray[np.int64]:
    """Let each zone of the register grow or shrink until the simulated week, int64[zone, age band].

    Raises
    ------
    UsageProblem
        Nobody is left.
    """
    rng = stream(settings.seed, Purpose.POPULATION)
    growth = np.exp(rng.normal(0.0, GROWTH_SD, register.shape[0]))
    population = round_randomly(rng, register * growth[:, None])
    if population.sum() == 0:
        raise UsageProblem(
            f"at scale {settings.scale} the country has no inhabitant",
            means="There is nothing to simulate.",
            todo="Choose a larger scale.",
        )
    return population


def draw_persons(
    country: Country, gravity: Gravity, population: NDArray[np.int64], settings: Settings
) -> Persons:
    """Make one person of each unit of `population`, int64[zone, age band], and give some a workplace."""
    zones = len(country.zone_codes)
    counts = population.ravel()
    home = np.repeat(np.repeat(np.arange(zones, dtype=np.int32), len(AGE_BANDS)), counts)
    age = np.repeat(np.tile(np.arange(len(AGE_BANDS), dtype=np.int8), zones), counts)
    rng = stream(settings.seed, Purpose.WORK)
    share = worker_shares(country)[country.district_index]
    in_age = (age >= WORKING_AGES.start) & (age < WORKING_AGES.stop)
    works = in_age & (rng.random(home.size) < share[home])
    work = np.full(home.size, NO_WORK, dtype=np.int32)
    work[works] = gravity.draw_work_zones(rng, home[works])
    return Persons(home, age, work)


def worker_shares(country: Country) -> NDArray[np.float64]:
    """Share of residents aged 15 to 64 who work, float64[district]: commuters over residents, at most 0.9."""
    of_age = np.zeros(len(country.district_codes), dtype=np.int64)
    np.add.at(of_age, country.district_index, country.population[:, WORKING_AGES].sum(axis=1))
    shares: NDArray[np.float64] = country.commuting.sum(axis=1) / np.maximum(of_age, 1)
    return np.minimum(shares, MAX_WORKER_SHARE)
