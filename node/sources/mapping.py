"""The mapping: how an operator's own tables become the rows of Quorate; the [source] part of node.toml."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator, model_validator

from node.sources.expressions import problem_of
from node.sources.inputs import Cells, EventColumns, Events, Strict, expressions
from node.sources.paths import with_day
from node.sources.rules import Gate, Kinds, Machines, Pseudonyms, Roamers, Times
from node.sources.sequence import SequenceRules


def _located(value: Any) -> Any:
    """A bare path stands for a Parquet file."""
    return {"path": value} if isinstance(value, str) else value


class Source(Strict):
    """Where the operator's events are, and what is in them.

    Attributes
    ----------
    first_day, last_day
        Local days that the operator offers.
    quarantine
        Keep the rejected rows of a day in quality/quarantine, pseudonymised.
    """

    events: Annotated[Events, BeforeValidator(_located)]
    cells: Annotated[Cells, BeforeValidator(_located)]
    first_day: date
    last_day: date
    columns: EventColumns = EventColumns()
    time: Times = Times()
    kinds: Kinds | None = None
    roamers: Roamers | None = None
    machines: Machines | None = None
    pseudonyms: Pseudonyms = Pseudonyms()
    sequence: SequenceRules = SequenceRules()
    gate: Gate = Gate()
    quarantine: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Source:
        if self.last_day < self.first_day:
            raise ValueError("last_day is before first_day")
        for key, problem in (*self._expression_problems(), *self._missing()):
            if problem:
                raise ValueError(f"{key}: {problem}")
        return self

    def _expression_problems(self) -> Iterator[tuple[str, str]]:
        for table, place, columns in (
            ("columns", self.events, self.columns),
            ("cells.columns", self.cells, self.cells.columns),
        ):
            texts = [(name, text) for name, text in expressions(columns)]
            for name, text in texts:
                problem = problem_of(text, place.dialect)
                yield f"{table}.{name}", problem and f"{text!r} {problem}"
        for table, place in (("events", self.events), ("cells", self.cells)):
            if place.where:
                yield f"{table}.where", problem_of(with_day(place.where, self.first_day), place.dialect)
        if self.events.version:
            yield "events.version", problem_of(self.events.version, self.events.dialect, aggregate=True)

    def _missing(self) -> Iterator[tuple[str, str]]:
        columns, machines = self.columns, self.machines or Machines()
        yield (
            "cells.columns.cell",
            _unless(
                len(columns.cell) == len(self.cells.columns.cell), "it has not as many parts as columns.cell"
            ),
        )
        yield (
            "columns.kind",
            _unless((columns.kind is None) == (self.kinds is None), "it goes with [source.kinds]"),
        )
        yield "roamers", _unless(self.roamers is None or columns.home is not None, "it needs columns.home")
        devices, subscriptions = (
            bool(machines.devices or machines.devices_file),
            bool(machines.subscriptions or machines.subscriptions_file),
        )
        yield (
            "machines.devices",
            _unless(not devices or columns.device is not None, "it needs columns.device"),
        )
        yield (
            "machines.subscriptions",
            _unless(not subscriptions or columns.home is not None, "it needs columns.home"),
        )
        yield (
            "cells.columns.border",
            _unless(
                self.cells.columns.border is None or self.roamers is not None, "it needs [source.roamers]"
            ),
        )
        yield (
            "sequence.max_speed",
            _unless(
                not self.sequence.max_speed or self.cells.columns.lon is not None,
                "it needs cells.columns.lon and lat",
            ),
        )
        second = self.pseudonyms.national_key_file or self.pseudonyms.national_key_command
        yield (
            "columns.national_id",
            _unless(
                (columns.national_id is not None) == bool(second), "it goes with pseudonyms.national_key_file"
            ),
        )
        same = columns.subscriber in {columns.time, *columns.cell} or columns.time in columns.cell
        yield "columns", _unless(not same, "one column is named for two things")


def _unless(fine: bool, problem: str) -> str:
    return "" if fine else problem
