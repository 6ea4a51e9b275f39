"""What the charts have in common: colours, type, and texts of tooltips; and a chart as the page takes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import altair as alt

INK, MUTED, LINE, FAINT, PAPER = "#1c2733", "#566270", "#9aa5b1", "#e6eaee", "#ffffff"
# Blue and orange are told apart with every common kind of colour vision; Okabe and Ito 2008, darkened.
BLUE, ORANGE, BAND = "#1f6aa5", "#c8690b", "#bcd6ec"
# ColorBrewer's YlGnBu without its palest, and PuOr turned round; both are safe for the colour-blind.
SEQUENTIAL = ("#edf8b1", "#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8", "#253494", "#081d58")
DIVERGING = ("#b35806", "#f1a340", "#fee0b6", "#f5f3f1", "#d8daeb", "#998ec3", "#542788")
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
PRODUCTS = alt.Scale(range=[BLUE, ORANGE, "#3b8f6b", "#8d5a97"])

CONFIG: dict[str, Any] = {
    "font": FONT,
    "background": None,
    "view": {"stroke": None},
    # What is suppressed lies over its hatching; only maps show rows without a value at all.
    "scale": {"invalid": {"fill": {"value": "transparent"}}},
    "axis": {
        "labelColor": MUTED,
        "titleColor": MUTED,
        "labelFontSize": 11,
        "titleFontSize": 11.5,
        "titleFontWeight": "normal",
        "gridColor": FAINT,
        "domainColor": LINE,
        "tickColor": LINE,
        "titlePadding": 8,
    },
    "legend": {
        "labelColor": MUTED,
        "titleColor": MUTED,
        "labelFontSize": 11,
        "titleFontSize": 11.5,
        "titleFontWeight": "normal",
        "titleLimit": 360,
    },
}


Row = dict[str, Any]
"""A row of a set that charts read, ready for JSON."""


@dataclass(frozen=True)
class Chart:
    """A chart of the page.

    Attributes
    ----------
    spec
        Vega-Lite, without its data and its size.
    datasets
        Names of the sets of rows that it reads.
    description
        What a reader who cannot see it is told.
    ratio
        Height by width.
    key
        Colours and what they stand for, where the chart itself does not say.
    instead
        What to say instead of drawing, where there is nothing to draw.
    """

    spec: dict[str, Any]
    datasets: tuple[str, ...]
    description: str
    ratio: float
    key: tuple[tuple[str, str], ...] = ()
    instead: str = ""

    @classmethod
    def of(
        cls,
        chart: alt.TopLevelMixin,
        datasets: Sequence[str],
        description: str,
        *,
        ratio: float,
        key: Iterable[tuple[str, str]] = (),
        instead: str = "",
    ) -> Self:
        """Take what Altair made; the chart fills whatever room the page gives it."""
        fit = alt.AutoSizeParams(type="fit", contains="padding")
        spec = chart.properties(autosize=fit, description=description, padding=2).to_dict()
        return cls(spec, tuple(datasets), description, min(max(ratio, 0.2), 1.6), tuple(key), instead)


def rounded(field: str) -> str:
    """Return an expression: the field as a whole number, or that it is suppressed."""
    return f"datum.{field} === null ? 'suppressed' : format(datum.{field}, ',.0f')"


def interval(lower: str, upper: str) -> str:
    """Return an expression: two fields as an interval."""
    both = f"format(datum.{lower}, ',.0f') + ' to ' + format(datum.{upper}, ',.0f')"
    return f"datum.{lower} === null ? '–' : {both}"


def status() -> str:
    """Return an expression: the status in words."""
    return "{E: 'E, estimate', U: 'U, unreliable', Q: 'Q, suppressed'}[datum.status] || datum.status"


def tips(**titles: str) -> list[alt.Tooltip]:
    """Return a tooltip: texts of these fields under these titles."""
    return [alt.Tooltip(f"{field}:N", title=title) for field, title in titles.items()]
