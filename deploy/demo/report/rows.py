"""Turns estimates, truth and ledgers into the sets of rows that the charts of the report show."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np

from deploy.demo.country import Country
from deploy.demo.report.geometry import Drawing, Shapes, feature
from deploy.demo.report.look import Row
from deploy.demo.report.outputs import NOTHING, Cell, Outputs
from deploy.demo.report.words import clock, short_day
from hub.estimation.calibrate import Z_95
from privacy.units import NANO
from quorate.contract.calendar import days_between

#: Clock hour that stands for the day, zones that can be chosen by name, classes of size.
DAYTIME, CHOSEN_ZONES, CLASSES = 14, 12, 5


@dataclass(frozen=True, eq=False)
class Findings:
    """A country, its drawing, and what a demo has found out about it."""

    country: Country
    drawing: Drawing
    outputs: Outputs

    @cached_property
    def names(self) -> dict[str, str]:
        """Name of each zone, and of each district: a country directory has none, so its largest zone's."""
        names = dict(zip(self.country.zone_codes, self.country.names, strict=True))
        size = self.country.population.sum(axis=1)
        for code, index in zip(
            self.country.district_codes, range(len(self.country.district_codes)), strict=True
        ):
            zones = np.flatnonzero(self.country.district_index == index)
            names[code] = self.country.names[zones[size[zones].argmax()]]
        return names

    @cached_property
    def daytime(self) -> str | None:
        """The time_period that stands for the day: the hour from 14:00, or the one closest to it."""
        hours = self.outputs.hours
        return min(hours, key=lambda hour: abs(int(hour[11:13]) - DAYTIME), default=None)

    def present(self, area: str) -> Cell:
        """Return the presence of an area in the hour that stands for the day."""
        return self.outputs.presence.get(area, {}).get(self.daytime or "", NOTHING)


def zones(found: Findings) -> list[Row]:
    """Return a feature per zone with its residents."""
    country = found.country
    return [
        feature(
            found.drawing.geometry(shape),
            code=code,
            name=name,
            district=found.names[district],
            **_values(found.outputs.resident(code)),
            density=_density(found.outputs.resident(code), area),
        )
        for code, name, district, shape, area in zip(
            country.zone_codes,
            country.names,
            country.district,
            found.drawing.zones,
            found.drawing.area,
            strict=True,
        )
    ]


def _values(cell: Cell) -> Row:
    return {
        "estimate": cell.estimate,
        "lower": cell.lower,
        "upper": cell.upper,
        "status": cell.status,
        "truth": cell.truth,
    }


def _density(cell: Cell, area: float) -> float | None:
    return None if cell.estimate is None else float(f"{cell.estimate / area:.4g}")


def districts(found: Findings) -> list[Row]:
    """Return a feature per district: residents, presence in the day, and how much that is more or less."""
    rows = []
    for code, shape in zip(found.country.district_codes, found.drawing.districts, strict=True):
        home, day = found.outputs.resident(code), found.present(code)
        x, y = found.drawing.inside(shape)
        row = feature(
            found.drawing.geometry(shape),
            code=code,
            name=found.names[code],
            x=x,
            y=y,
            **_values(day),
            residents=home.estimate,
            **_change(home, day),
        )
        rows.append(row)
    return rows


def _change(home: Cell, day: Cell) -> Row:
    """Return the relative change from residents to presence, and its 95 % margin.

    The margin is that of a ratio of two independent estimates, by linearisation; noise of the two releases is
    independent, and errors of the model that they share would make it smaller.
    """
    if not home.estimate or not day.estimate or home.std_error is None or day.std_error is None:
        return {"change": None, "margin": None, "label": None}
    ratio = day.estimate / home.estimate
    margin = Z_95 * ratio * math.hypot(day.std_error / day.estimate, home.std_error / home.estimate)
    change = ratio - 1.0
    label = f"{100.0 * change:+.0f}".replace("-", "−") if abs(change) > margin else None
    return {"change": round(change, 4), "margin": round(margin, 4), "label": label}


def hatched(found: Findings, shapes: Shapes, rows: Sequence[Row], field: str) -> list[Row]:
    """Return hatching, as one feature or none, over the shapes whose row has no value in `field`."""
    empty = [shape for shape, row in zip(shapes, rows, strict=True) if row[field] is None]
    lines = found.drawing.hatching(empty)
    return [] if lines is None else [feature(lines)]


def hours(found: Findings) -> list[Row]:
    """Return a row per area that can be chosen, its hours in lists: all districts, then the largest zones."""
    largest = sorted(
        found.country.zone_codes, key=lambda code: -(found.outputs.resident(code).estimate or 0.0)
    )
    areas = [
        *sorted((found.names[code], code, "district") for code in found.country.district_codes),
        *sorted((found.names[code], code, "zone") for code in largest[:CHOSEN_ZONES]),
    ]
    return [
        _day_of(
            code, f"{name} ({level} {code})", list(found.outputs.presence[code].values()), found.outputs.hours
        )
        for name, code, level in areas
        if code in found.outputs.presence
    ]


def _day_of(code: str, name: str, cells: Sequence[Cell], periods: Sequence[str]) -> Row:
    return {
        "area": code,
        "name": name,
        "published": sum(cell.estimate is not None for cell in cells),
        "hour": list(range(len(cells))),
        "clock": clock(periods),
        "estimate": [cell.estimate for cell in cells],
        "lower": [cell.lower for cell in cells],
        "upper": [cell.upper for cell in cells],
        "truth": [cell.truth for cell in cells],
    }


def coverage(found: Findings) -> list[Row]:
    """Return a row per product and class of zones: how often the intervals of published cells hold the truth.

    Classes are fifths of the zones by their true residents, as far as zones go round.
    """
    sizes = {code: found.outputs.resident(code).truth for code in found.country.zone_codes}
    known = sorted((size, code) for code, size in sizes.items() if size is not None)
    classes = [part for part in np.array_split(np.arange(len(known)), CLASSES) if len(part)]
    return [
        row
        for number, part in enumerate(classes)
        for row in _class_rows(found, [known[index] for index in part], number)
    ]


def _class_rows(found: Findings, members: Sequence[tuple[float, str]], number: int) -> Iterator[Row]:
    label = "–".join(dict.fromkeys(f"{members[at][0]:,.0f}" for at in (0, -1)))
    for product, table in (("residents", found.outputs.residents), ("presence", found.outputs.presence)):
        cells = [(code, cell) for _, code in members for cell in table.get(code, {}).values()]
        shown = [(code, cell) for code, cell in cells if cell.estimate is not None and cell.truth is not None]
        if not shown:
            continue
        share = sum(cell.covered for _, cell in shown) / len(shown)
        low, high = wilson(share, len({code for code, _ in shown}))
        yield {
            "size": label,
            "order": number,
            "product": product,
            "share": round(share, 4),
            "low": round(low, 4),
            "high": round(high, 4),
            "cells": len(shown),
            "of": len(cells),
        }


def wilson(share: float, number: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share of `number` independent draws (Wilson 1927)."""
    z = Z_95**2 / number
    middle, half = share + z / 2.0, Z_95 * math.sqrt(share * (1.0 - share) / number + z / (4.0 * number))
    return max(0.0, (middle - half) / (1.0 + z)), min(1.0, (middle + half) / (1.0 + z))


def budget(found: Findings) -> list[Row]:
    """Return a row per day and product: ρ charged by the operator that was charged most on that day."""
    spent: dict[str, tuple[int, str]] = {}
    for operator, ledger in found.outputs.ledgers.items():
        for day, nano in ledger["days"].items():
            spent[day] = max(spent.get(day, (0, "")), (nano, operator), key=lambda most: most[0])
    rows = []
    for day, (_, operator) in sorted(spent.items()):
        for product, nano in _products(
            found.outputs.ledgers[operator]["charges"], date.fromisoformat(day)
        ).items():
            rows.append(
                {
                    "day": day,
                    "label": short_day(date.fromisoformat(day)),
                    "product": product,
                    "rho": nano / NANO,
                }
            )
    return rows


def _products(charges: Sequence[Row], day: date) -> Counter[str]:
    """Return nano-ρ by product that the charges put on a day."""
    products: Counter[str] = Counter()
    for charge in charges:
        if day in days_between(
            date.fromisoformat(charge["first_day"]), date.fromisoformat(charge["last_day"])
        ):
            products[charge["product"]] += charge["by_day"]
    return products
