"""What the parameters of the statistics are made of; every one is public, in the charter, and has bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from privacy.errors import UsageProblem
from privacy.sensitivity import LARGEST_LIMIT
from quorate.contract.canonical import first_problem


class Parameters(BaseModel):
    """Parameters of a product that the charter fixes; by themselves the parameters of a statistic without any."""

    model_config = ConfigDict(frozen=True, extra="forbid")


#: Hours as the clock shows them; a clock hour that comes twice on the long day counts twice.
ClockHours = Annotated[
    tuple[Annotated[int, Field(strict=True, ge=0, le=23)], ...], Field(min_length=1, max_length=24)
]
#: Days of the week, Monday is 1 (ISO 8601).
Weekdays = Annotated[
    tuple[Annotated[int, Field(strict=True, ge=1, le=7)], ...], Field(min_length=1, max_length=7)
]
#: Fewest dates of a period.
Dates = Annotated[int, Field(strict=True, ge=1, le=31)]
#: Fewest minutes of a stay; 0 takes every visit for one.
StayMinutes = Annotated[int, Field(strict=True, ge=0, le=24 * 60)]
#: Most cells of one subscriber.
Limit = Annotated[int, Field(strict=True, ge=1, le=LARGEST_LIMIT)]

P = TypeVar("P", bound=Parameters)


def validated(model: type[P], product: str, parameters: Mapping[str, JsonValue]) -> P:
    """Return the parameters of a product.

    Raises
    ------
    UsageProblem
        If one is missing, unknown, malformed or out of bounds; names it.
    """
    try:
        return model.model_validate(dict(parameters))
    except ValidationError as error:
        raise UsageProblem(
            f"the parameters of {product} are wrong: {first_problem(error)}",
            means="the charter asks for something that no node can compute",
            todo="correct the product in the charter; docs/statistics.md lists the parameters of every statistic",
        ) from error
