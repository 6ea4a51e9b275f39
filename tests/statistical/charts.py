"""Charts of scores, as Vega-Lite: how often intervals hold, errors beside what is to be beaten; and SVG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from deploy.demo.report.look import BLUE, CONFIG, FAINT, INK, LINE, MUTED, ORANGE

#: Ends of the classes of coverage in percent, and their colours: too rarely in orange, too often in blue.
_ENDS = [85, 90, 93, 97, 99]
_CLASSES = ["#b35806", "#f1a340", "#fee0b6", "#e8efe6", "#c6dbef", "#6baed6"]
_FONT = "DejaVu Sans, Noto Sans, sans-serif"
#: Width of what is drawn, and height of a row of it.
_WIDTH, _ROW = 420, 17


@dataclass(frozen=True)
class Chart:
    """A chart, and what a reader who cannot see it is told."""

    spec: dict[str, Any]
    description: str

    def svg(self) -> str:
        """Return it drawn."""
        return str(vl_convert.vegalite_to_svg(self.spec, vl_version="6.4"))


def save(charts: Mapping[str, Chart], directory: Path, prefix: str) -> list[str]:
    """Write charts as SVG; return the files' names, in order.

    Parameters
    ----------
    charts
        By name.
    directory
        Made if it is not there.
    prefix
        Of the files' names.
    """
    directory.mkdir(parents=True, exist_ok=True)
    names = [f"{prefix}{name}.svg" for name in charts]
    for name, chart in zip(names, charts.values(), strict=True):
        (directory / name).write_text(chart.svg(), encoding="utf-8")
    return names


def by_tenth(found: Mapping[str, Sequence[float]]) -> Chart:
    """Return how often 95 % intervals hold, by scenario and tenth of the areas.

    Parameters
    ----------
    found
        Coverage in percent of each tenth, from the smallest areas to the largest, by scenario.
    """
    rows = [
        {"scenario": name, "tenth": tenth + 1, "coverage": round(value, 1)}
        for name, values in found.items()
        for tenth, value in enumerate(values)
    ]
    x = alt.X(
        "tenth:O", title="tenth of the areas, from the smallest to the largest", axis=alt.Axis(labelAngle=0)
    )
    colour = alt.Color(
        "coverage:Q",
        title="95 % intervals that hold, %",
        scale=alt.Scale(type="threshold", domain=_ENDS, range=_CLASSES),
        legend=alt.Legend(orient="top", gradientLength=_WIDTH, titleLimit=_WIDTH),
    )
    drawn = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_rect(stroke="white")
        .encode(x=x, y=_scenarios(found), color=colour)
    )
    lowest = min(rows, key=lambda row: float(str(row["coverage"])), default=None)
    told = (
        f", lowest {lowest['coverage']} % ({lowest['scenario']}, tenth {lowest['tenth']})" if lowest else ""
    )
    return _chart(
        drawn,
        len(found),
        f"Coverage of 95 % intervals by tenth of the areas in {len(found)} scenarios{told}.",
    )


def errors(
    found: Mapping[str, float],
    title: str,
    rules: Mapping[str, float] | None = None,
    beside: tuple[str, Mapping[str, float]] | None = None,
) -> Chart:
    """Return errors by scenario, on a logarithmic axis, and what is to be beaten.

    Parameters
    ----------
    found
        Error of each scenario, above zero.
    title
        Of the axis, with the unit.
    rules
        What is to be beaten in every scenario: names and errors.
    beside
        What is to be beaten in each scenario: its name, and the errors.

    Raises
    ------
    ValueError
        If an error is not above zero.
    """
    rules, (name, others) = rules or {}, beside or ("", {})
    series = [("Quorate", found), (name, others)]
    rows = [
        {"scenario": scenario, "error": round(value, 3), "of": of}
        for of, values in series
        for scenario, value in values.items()
    ]
    ends = [*found.values(), *others.values(), *rules.values()]
    if min(ends) <= 0:
        raise ValueError("errors on a logarithmic axis must be above zero")
    scale = alt.Scale(type="log", domain=[0.8 * min(ends), 1.25 * max(ends)], nice=False)
    x = alt.X("error:Q", title=title, scale=scale, axis=alt.Axis(format="~g", tickCount=6, grid=True))
    legend = alt.Legend(orient="bottom") if beside else None
    colour = alt.Color(
        "of:N", title=None, scale=alt.Scale(domain=["Quorate", name], range=[BLUE, ORANGE]), legend=legend
    )
    dots = alt.Chart(alt.InlineData(values=rows)).mark_circle(size=55, opacity=1)
    drawn = alt.layer(*_rules(rules), dots.encode(x=x, y=_scenarios(found), color=colour))
    told = [f"{what} {value:.2f}" for what, value in {**rules, **found}.items()]
    told += [f"{name} in {scenario} {value:.2f}" for scenario, value in others.items()]
    return _chart(drawn, len(found), f"Errors by scenario ({title}): {'; '.join(told)}.")


def _rules(rules: Mapping[str, float]) -> list[Any]:
    """Return vertical rules with their names above; that of the first to the left, so that two do not meet."""
    layers: list[Any] = []
    for name, value in sorted(rules.items(), key=lambda rule: rule[1]):
        base = alt.Chart(alt.InlineData(values=[{"error": value, "name": name}]))
        side: dict[str, Any] = {"align": "left", "dx": 3} if layers else {"align": "right", "dx": -3}
        words = base.mark_text(baseline="bottom", dy=-2, fontSize=10, color=MUTED, **side)
        layers.append(base.mark_rule(color=ORANGE, strokeDash=[4, 3]).encode(x="error:Q"))
        layers.append(words.encode(x="error:Q", y=alt.value(0), text="name:N"))
    return layers


def coverage(found: Mapping[str, float]) -> Chart:
    """Return how often 95 % intervals hold by scenario, beside the band from 93 to 97 %.

    Parameters
    ----------
    found
        Coverage in percent.
    """
    rows = [{"scenario": name, "coverage": round(value, 1)} for name, value in found.items()]
    low = min([85.0, *(5 * int(value / 5) for value in found.values())])
    x = alt.X("coverage:Q", title="95 % intervals that hold, %", scale=alt.Scale(domain=[low, 100]))
    band = alt.Chart(alt.InlineData(values=[{"coverage": 93, "end": 97}])).mark_rect(color=FAINT)
    dots = alt.Chart(alt.InlineData(values=rows)).mark_circle(color=BLUE, size=55, opacity=1)
    layers = alt.layer(band.encode(x=x, x2="end:Q"), dots.encode(x=x, y=_scenarios(found)))
    told = "; ".join(f"{name} {value:.1f}" for name, value in found.items())
    return _chart(layers, len(found), f"Coverage of 95 % intervals in percent: {told}.")


def _scenarios(found: Mapping[str, Any]) -> alt.Y:
    axis = alt.Axis(labelLimit=430, labelColor=INK, ticks=False, domain=False, labelPadding=6)
    return alt.Y("scenario:N", title=None, sort=list(found), axis=axis)


def _chart(drawn: Any, rows: int, description: str) -> Chart:
    config = {**CONFIG, "font": _FONT, "background": "white", "aria": False, "view": {"stroke": LINE}}
    spec = drawn.properties(width=_WIDTH, height=max(rows, 1) * _ROW).to_dict()
    return Chart({**spec, "config": config, "description": description}, description)
