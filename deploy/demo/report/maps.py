"""The two maps as Vega-Lite: residents per km² by zone, and presence compared with residents by district."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import altair as alt
import numpy as np

from deploy.demo.report.look import (
    DIVERGING,
    INK,
    LINE,
    PAPER,
    SEQUENTIAL,
    Chart,
    interval,
    rounded,
    status,
    tips,
)

#: Not more classes of density than the eye can tell apart.
MOST_BREAKS = 7
#: Limits of the five or seven classes of change, in steps.
STEPS = (-4, -2, -1, 1, 2, 4)


def density_map(densities: Sequence[float | None], ratio: float) -> Chart:
    """Return the map of residents per km²; reads zones, districts and hatch_zones.

    Parameters
    ----------
    densities
        By zone, None where suppressed.
    ratio
        Height by width of the country.
    """
    known = [density for density in densities if density is not None]
    limits = breaks(known)
    colours = _spread(SEQUENTIAL, len(limits) + 1)
    shapes = _shapes("zones", _classes("density", limits, colours), stroke=PAPER, width=0.3)
    texts = shapes.transform_calculate(
        residents=rounded("estimate"),
        interval=interval("lower", "upper"),
        per="datum.density === null ? 'suppressed' : format(datum.density, ',.3~r')",
        quality=status(),
        simulated=rounded("truth"),
    )
    zones = texts.encode(
        tooltip=tips(
            name="Zone",
            code="Code",
            district="District",
            residents="Residents",
            interval="95 % interval",
            per="Per km²",
            quality="Status",
            simulated="Simulated truth",
        )
    )
    span = f"from {min(known):,.3g} to {max(known):,.3g}" if known else "none published"
    return Chart.of(
        _flat(_hatching("hatch_zones"), zones, _borders()),
        ("zones", "districts", "hatch_zones"),
        f"Map of {len(densities):,} zones, shaded by estimated residents per km², {span}; "
        f"{len(densities) - len(known):,} zones are suppressed and hatched.",
        ratio=ratio,
        key=_key([f"{limit:,g}" for limit in limits], colours),
    )


def change_map(changes: Sequence[float | None], clock: str, ratio: float) -> Chart:
    """Return the map of presence compared with residents; reads districts and hatch_districts.

    Parameters
    ----------
    changes
        By district, as a share, None where either estimate is suppressed.
    clock
        Of the hour that stands for the day.
    ratio
        Height by width of the country.
    """
    known = [change for change in changes if change is not None]
    limits = steps(known) if known else []
    shapes = _shapes("districts", _classes("change", limits, DIVERGING), stroke=INK, width=0.5)
    change = "format(datum.change, '+.1%') + ' ± ' + format(datum.margin, '.1%')"
    texts = shapes.transform_calculate(
        present=rounded("estimate"),
        interval=interval("lower", "upper"),
        quality=status(),
        home=rounded("residents"),
        more=f"datum.change === null ? 'suppressed' : {change}",
        simulated=rounded("truth"),
    )
    districts = texts.encode(
        tooltip=tips(
            name="District of",
            code="Code",
            present=f"Present at {clock}",
            interval="95 % interval",
            quality="Status",
            simulated="Simulated truth",
            home="Residents",
            more="Change",
        )
    )
    span = f"from {min(known):+.0%} to {max(known):+.0%}" if known else "none published"
    return Chart.of(
        _flat(_hatching("hatch_districts"), districts, _label(PAPER, 3.0), _label(INK, 0.0)),
        ("districts", "hatch_districts"),
        f"Map of {len(changes):,} districts, shaded by presence at {clock} compared with residents, {span}; "
        f"{len(changes) - len(known):,} districts are suppressed and hatched.",
        ratio=ratio,
        key=_key([f"{100.0 * limit:+.0f} %".replace("-", "−") for limit in limits], DIVERGING),
    )


def breaks(values: Sequence[float]) -> list[float]:
    """Return round limits of classes, about equally far apart in ratio, for most of the positive values."""
    positive = [value for value in values if value > 0]
    if not positive:
        return []
    low, high = np.quantile(positive, (0.03, 0.97))
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for digits in ((1, 2, 5), (1, 3), (1,)):
        series = [float(f"{digit}e{decade}") for decade in decades for digit in digits]
        found = [limit for limit in series if low <= limit <= high]
        if len(found) <= MOST_BREAKS:
            break
    return found[:: math.ceil(len(found) / MOST_BREAKS) or 1] or [float(f"{low:.1g}")]


def steps(changes: Sequence[float]) -> list[float]:
    """Return round limits of classes on both sides of zero; the outer ones take in the largest changes."""
    size = float(np.quantile(np.abs(changes), 0.9)) if len(changes) else 0.0
    width = next((step for step in (0.01, 0.02, 0.05, 0.1, 0.2) if 4.0 * step >= 0.8 * size), 0.5)
    return [round(width * step, 2) for step in STEPS]


def _classes(field: str, limits: Sequence[float], colours: Sequence[str]) -> Any:
    """Return the fill: a colour by class; `CONFIG` makes what has no value see-through."""
    if not limits:
        return alt.value("transparent")
    scale = alt.Scale(type="threshold", domain=list(limits), range=list(colours))
    return alt.Fill(f"{field}:Q", scale=scale, legend=None)


def _spread(colours: Sequence[str], number: int) -> list[str]:
    """Return so many of the colours, evenly from the first to the last but one or so."""
    at = np.linspace(0, min(len(colours) - 1, number + 1), number) if number > 1 else [len(colours) // 2]
    return [colours[round(float(index))] for index in at]


def _key(limits: Sequence[str], colours: Sequence[str]) -> Iterator[tuple[str, str]]:
    if limits:
        texts = [f"{low} to {high}" for low, high in pairwise(limits)]
        yield from zip(colours, [f"under {limits[0]}", *texts, f"{limits[-1]} and more"], strict=True)


def _flat(*layers: alt.Chart) -> alt.TopLevelMixin:
    """Return layers over each other; coordinates are in the plane already, but count upwards."""
    return alt.layer(*layers).project(type="identity", reflectY=True)


def _shapes(data: str, fill: Any, *, stroke: str, width: float) -> alt.Chart:
    """Return filled shapes; what is suppressed is see-through, and still has a tooltip."""
    mark = alt.Chart(alt.NamedData(name=data)).mark_geoshape(invalid="show", stroke=stroke, strokeWidth=width)
    shapes: alt.Chart = mark.encode(fill=fill)
    return shapes


def _hatching(data: str) -> alt.Chart:
    chart = alt.Chart(alt.NamedData(name=data))
    lines: alt.Chart = chart.mark_geoshape(filled=False, stroke=LINE, strokeWidth=1.0)
    return lines


def _borders() -> alt.Chart:
    chart = alt.Chart(alt.NamedData(name="districts"), name="borders")
    lines: alt.Chart = chart.mark_geoshape(filled=False, stroke=INK, strokeWidth=0.6, strokeOpacity=0.75)
    return lines


def _label(colour: str, halo: float) -> alt.Chart:
    chart = alt.Chart(alt.NamedData(name="districts"), name="halo" if halo else "labels")
    texts = chart.transform_filter("datum.label !== null").mark_text(
        fontSize=10.5, fontWeight=600, fill=colour, stroke=colour, strokeWidth=halo
    )
    placed: alt.Chart = texts.encode(longitude="x:Q", latitude="y:Q", text="label:N")
    return placed
