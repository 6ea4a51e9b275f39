"""Says where the files of a simulation are, and how much was simulated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

from deploy.demo.simulation.settings import Settings


@dataclass(frozen=True)
class Layout:
    """Where the files of a simulation are under `out`."""

    out: Path

    @property
    def settings_file(self) -> Path:
        """What was asked for and how much came of it."""
        return self.out / "settings.json"

    @property
    def register(self) -> Path:
        """zone,population,phone_owners at t₀."""
        return self.out / "register.csv"

    @property
    def truth(self) -> Path:
        """Directory of residents.csv, presence.csv, flows.csv and overlap.csv."""
        return self.out / "truth"

    def operator(self, operator_id: str) -> Path:
        """Directory of one operator's data."""
        return self.out / "operators" / operator_id

    def cells(self, operator_id: str) -> Path:
        """Cell register of one operator."""
        return self.operator(operator_id) / "cells.parquet"

    def subscribers(self, operator_id: str) -> Path:
        """Subscribers of one operator with their national identifiers."""
        return self.operator(operator_id) / "subscribers.parquet"

    def events(self, operator_id: str, day: date) -> Path:
        """One operator's events of one local day."""
        return self.operator(operator_id) / "events" / f"{day.isoformat()}.parquet"


@dataclass(frozen=True)
class Counts:
    """What was simulated, in numbers.

    Attributes
    ----------
    register, persons, owners
        Persons in the register, in the simulated week, and of these with a phone.
    subscriptions
        By operator.
    events
        Rows written, by operator.
    dirt
        Rows of each kind of dirt, over all operators.
    """

    register: int
    persons: int
    owners: int
    subscriptions: dict[str, int]
    events: dict[str, int]
    dirt: dict[str, int]

    @property
    def dirt_share(self) -> dict[str, float]:
        """Rows of each kind of dirt as a share of the events before duplicates were put in."""
        events = max(sum(self.events.values()) - self.dirt["duplicate"], 1)
        return {kind: round(rows / events, 6) for kind, rows in self.dirt.items()}


@dataclass(frozen=True)
class Simulation(Layout):
    """A simulation that was written: where everything is, and how much of it there is."""

    settings: Settings
    operator_ids: tuple[str, ...]
    timezone: str
    start: date
    days: tuple[date, ...]
    presence_day: date
    counts: Counts

    @classmethod
    def of(cls, layout: Layout, settings: Settings, counts: Counts) -> Self:
        """Put together what the settings already say."""
        return cls(
            layout.out,
            settings=settings,
            operator_ids=settings.operator_ids,
            timezone=settings.timezone,
            start=settings.start,
            days=tuple(day.date for day in settings.local_days),
            presence_day=settings.presence_date,
            counts=counts,
        )
