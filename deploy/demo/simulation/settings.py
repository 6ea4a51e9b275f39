"""What a simulation is asked for, with its bounds; what is not asked for is a named constant elsewhere."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deploy.demo.simulation.calendar import LocalDay, local_day
from privacy.errors import UsageProblem


class Settings(BaseModel):
    """Settings of a simulation; `Settings.of(...)` is the same with errors for the person who typed them.

    Attributes
    ----------
    scale
        Simulated share of the country's residents, in (0, 1].
    seed
        Root of all randomness.
    days
        Number of simulated local days, 1 to 31.
    operators
        Number of operators, 1 to 12.
    start
        First simulated local day.
    events_per_day
        Mean number of events of a subscription in a day of 24 hours.
    timezone
        Where the local days are, a key of the IANA database.
    presence_day
        The day whose hourly presence is written; None means the third simulated day, or the last if fewer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.02
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    days: Annotated[int, Field(ge=1, le=31)] = 7
    operators: Annotated[int, Field(ge=1, le=12)] = 3
    start: Annotated[date, Field(ge=date(2000, 1, 1), le=date(2099, 12, 31))] = date(2026, 10, 19)
    events_per_day: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 10.0
    timezone: str = "Europe/Brussels"
    presence_day: date | None = None

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Build settings from what a person typed.

        Raises
        ------
        UsageProblem
            A value is out of bounds; the message names it.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(str(part) for part in first["loc"]) or "settings"
            raise UsageProblem(
                f"setting {name}: {first['msg']}, got {first['input']!r:.80}",
                means="Nothing was simulated.",
                todo="Correct the value; the bounds are listed in docs/country-directory.md.",
            ) from None

    @model_validator(mode="after")
    def _check_days(self) -> Self:
        last = self.local_days[-1].date
        if self.presence_day is not None and not self.start <= self.presence_day <= last:
            raise UsageProblem(
                f"setting presence_day: {self.presence_day} is not between {self.start} and {last}",
                means="The truth of that day would not be simulated.",
                todo="Choose one of the simulated days, or leave it out.",
            )
        return self

    @property
    def local_days(self) -> tuple[LocalDay, ...]:
        """The simulated local days in order; a UsageProblem if one is not made of whole hours."""
        return tuple(local_day(self.start + timedelta(days=n), self.timezone) for n in range(self.days))

    @property
    def presence_date(self) -> date:
        """The day whose hourly presence is written: `presence_day`, or its default worked out."""
        return self.presence_day or self.start + timedelta(days=min(3, self.days) - 1)

    @property
    def operator_ids(self) -> tuple[str, ...]:
        """Operators in order: mno1, mno2, …"""
        return tuple(f"mno{number}" for number in range(1, self.operators + 1))
