"""The picture of error against loss: a Vega-Lite specification that carries its data and fetches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from privacy.accuracy import WANTED, ErrorPoint
from privacy.levels import PERMILLE
from privacy.units import NANO

Spec = dict[str, Any]
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
#: Coefficients of variation that are shown; what is outside is cut.
LOWEST, HIGHEST = 0.001, 1.0
TICKS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 1)
INK, MUTED, FAINT = "#1c2733", "#566270", "#e6eaee"
_TEXT = {"labelColor": MUTED, "titleColor": MUTED, "titleFontWeight": "normal"}
_CONFIG: Spec = {
    "font": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif",
    "view": {"stroke": None},
    "axis": _TEXT | {"gridColor": FAINT},
    "title": {"color": INK, "subtitleColor": MUTED, "fontSize": 14, "fontWeight": 600, "offset": 18},
}
_X: Spec = {"field": "rho", "type": "quantitative", "scale": {"type": "log", "nice": False}}
_Y: Spec = {"field": "cv", "type": "quantitative", "scale": {"type": "log", "domain": [LOWEST, HIGHEST]}}


def panel(points: Sequence[ErrorPoint], planned: int, title: str, subtitle: str = "") -> Spec:
    """Return a line for every size of count, with the planned loss and the limits of quality marked.

    Parameters
    ----------
    points
        As `privacy.accuracy.error_against_rho` returns them.
    planned
        The planned loss in nano-ρ.
    title, subtitle
        Above the panel.
    """
    return {
        "title": {"text": title, "subtitle": subtitle, "anchor": "start"},
        "width": 520,
        "height": 320,
        "layer": [_limits(), _lines(points), _names(points), *_planned(planned)],
    }


def chart(panels: Sequence[Spec]) -> Spec:
    """Return the picture of one or more panels, one below the other."""
    return {"$schema": SCHEMA, "background": "white", "config": _CONFIG, "vconcat": list(panels)}


def _row(point: ErrorPoint) -> Spec:
    # A field called "count" would be overwritten by Vega's own count of a group.
    return {"rho": point.nano / NANO, "cv": point.cv, "size": f"{point.size:,}"}


def _colour(points: Sequence[ErrorPoint]) -> Spec:
    sizes = sorted({point.size for point in points}, reverse=True)
    # The lightest colours of the scheme would vanish on white.
    scale = {"scheme": {"name": "viridis", "extent": [0, 0.85]}}
    names = [f"{size:,}" for size in sizes]
    return {"field": "size", "type": "ordinal", "sort": names, "scale": scale, "legend": None}


def _lines(points: Sequence[ErrorPoint]) -> Spec:
    ordered = sorted(points, key=lambda point: (point.size, point.nano))
    axis_x = {"title": "loss of the release, ρ (zCDP)", "format": "~g", "tickCount": 5}
    axis_y = {"title": "coefficient of variation by noise", "format": "~%", "values": TICKS}
    return {
        "data": {"values": [_row(point) for point in ordered]},
        "mark": {"type": "line", "clip": True, "strokeWidth": 2},
        "encoding": {"x": _X | {"axis": axis_x}, "y": _Y | {"axis": axis_y}, "color": _colour(points)},
    }


def _names(points: Sequence[ErrorPoint]) -> Spec:
    """Return the size of count at the end of every line, where it leaves the picture."""
    inside = sorted(point for point in points if LOWEST <= point.cv <= HIGHEST)
    ends = [_row(point) for point in {point.size: point for point in inside}.values()]
    return {
        "data": {"values": [end | {"name": f"count of {end['size']}"} for end in ends]},
        "mark": {"type": "text", "align": "left", "baseline": "bottom", "dx": 5},
        "encoding": {"x": _X, "y": _Y, "text": {"field": "name"}, "color": _colour(points)},
    }


def _limits() -> Spec:
    return {
        "data": {"values": [{"cv": limit / PERMILLE} for limit in WANTED]},
        "mark": {"type": "rule", "color": MUTED, "strokeDash": [4, 3]},
        "encoding": {"y": _Y},
    }


def _planned(planned: int) -> list[Spec]:
    rho = planned / NANO
    data = {"values": [{"rho": rho, "name": f"planned: ρ = {rho:g}"}]}
    rule = {"type": "rule", "color": INK, "strokeWidth": 1.5}
    name = {"type": "text", "baseline": "bottom", "dy": -4, "color": INK}
    text = {"x": _X, "y": {"value": 0}, "text": {"field": "name"}}
    return [
        {"data": data, "mark": rule, "encoding": {"x": _X}},
        {"data": data, "mark": name, "encoding": text},
    ]
