"""`knowledge.toml`: what the statistical office knows from elsewhere, beside the register; every part may be missing.

Nothing here is assumed: where a part is missing, estimates do without it, and the quality report says so.
"""

from __future__ import annotations

import tomllib
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from privacy.errors import UsageProblem
from privacy.terms import Name
from quorate.contract.canonical import first_problem, read_bytes

Persons = Annotated[float, Field(gt=0, lt=1e10, allow_inf_nan=False)]
Spread = Annotated[float, Field(ge=0, lt=1e10, allow_inf_nan=False)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RegisterDate(_Strict):
    """When the register was drawn up, and what its history says of how zones grow.

    Attributes
    ----------
    first_day, last_day
        Period of the releases that were measured at the date of the register.
    tau, scatter
        Spread of the growth of zones beside the covariates is tau² + scatter / persons (standard deviation of
        logarithms); estimated from the counts where tau is missing.
    """

    first_day: date
    last_day: date
    tau: Annotated[float, Field(gt=0, le=1)] | None = None
    scatter: Annotated[float, Field(ge=0, le=1000)] = 0.0


class Population(_Strict):
    """National population on a day."""

    day: date
    persons: Persons


class Visitors(_Strict):
    """Visitors of a country on an average night of a period, by border or accommodation statistics."""

    country: Country
    first_day: date
    last_day: date
    persons: Persons
    sd: Spread = 0.0


class Subscriptions(_Strict):
    """Subscriptions of a phone owner over all operators, by a survey, with its standard error."""

    per_person: Annotated[float, Field(ge=1, le=10)]
    sd: Annotated[float, Field(ge=0, le=1)]


class Operators(_Strict):
    """Persons in a survey who are at 2, 3, … operators or more, weighted to the size of the sample."""

    at_least: Annotated[tuple[Annotated[float, Field(ge=0, le=1e9)], ...], Field(min_length=2, max_length=11)]
    design_effect: Annotated[float, Field(gt=0, le=100)] = 1.0

    @model_validator(mode="after")
    def _falling(self) -> Operators:
        if any(more > fewer for fewer, more in pairwise(self.at_least)):
            raise ValueError("more persons are at more operators than at fewer")
        return self


class Knowledge(_Strict):
    """All of it.

    Attributes
    ----------
    register_date
        None if the register is as new as the releases: then nothing grows.
    phone_owners
        Where the number of phone owners of the country is from: the register's survey, or the operators' counts and
        the number of subscriptions of a person. How they are spread over zones is the register's.
    market
        National market share of operators, as parts that add up to 1; counted where missing.
    """

    register_date: RegisterDate | None = None
    population: tuple[Population, ...] = ()
    visitors: tuple[Visitors, ...] = ()
    phone_owners: Literal["register", "counted"] = "register"
    subscriptions: Subscriptions | None = None
    operators: Operators | None = None
    market: dict[Name, Annotated[float, Field(gt=0, le=1)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Knowledge:
        if self.market and abs(sum(self.market.values()) - 1) > 0.001:
            raise ValueError("the market shares do not add up to 1")
        if len({known.day for known in self.population}) != len(self.population):
            raise ValueError("the population of a day is given twice")
        periods = [(known.country, known.first_day, known.last_day) for known in self.visitors]
        if len(set(periods)) != len(periods):
            raise ValueError("the visitors of a country and period are given twice")
        return self

    def total(self, days: tuple[date, date]) -> float | None:
        """Return the national population in a period, that of its last known day; None if none is known."""
        known = [(found.day, found.persons) for found in self.population if days[0] <= found.day <= days[1]]
        return max(known)[1] if known else None

    def visiting(self, days: tuple[date, date]) -> dict[str, tuple[float, float]]:
        """Return persons and their standard deviation by country, where a known period holds these days."""
        return {
            found.country: (found.persons, found.sd)
            for found in self.visitors
            if found.first_day <= days[0] and days[1] <= found.last_day
        }


NOTHING_KNOWN = Knowledge()


def read_knowledge(path: Path, operators: tuple[str, ...]) -> Knowledge:
    """Read knowledge.toml, if it is there.

    Raises
    ------
    UsageProblem
        If it is malformed, or names an operator that the charter does not, or not all of them.
    """
    if not path.exists():
        return NOTHING_KNOWN
    try:
        found = Knowledge.model_validate(tomllib.loads(read_bytes(path).decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageProblem(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        raise UsageProblem(
            f"{path}: {first_problem(error)}", todo="correct the file; docs/hub.md lists every part"
        ) from error
    if found.market and set(found.market) != set(operators):
        wrong = sorted(set(found.market) ^ set(operators))
        raise UsageProblem(
            f"{path}: market does not name exactly the operators of the charter: see {wrong[0]}",
            means="the share of an operator that is missing would not be known",
            todo="give every operator its share, or leave market out",
        )
    return found
