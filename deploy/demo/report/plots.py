"""The charts of presence by hour and of the privacy budget by day, as Vega-Lite."""

from __future__ import annotations

import json
from collections.abc import Sequence

import altair as alt

from deploy.demo.report.look import BAND, BLUE, INK, MUTED, PRODUCTS, Chart, Row, interval, rounded, tips


def hours_chart(rows: Sequence[Row], clock: Sequence[str]) -> Chart:
    """Return presence by hour of an area that is chosen; reads hours.

    Parameters
    ----------
    rows
        Areas, of which the one that changes most is shown first.
    clock
        What the clock shows at the start of each elapsed hour.
    """
    area = alt.Chart(alt.NamedData(name="hours")).transform_filter("datum.area === area")
    cells = area.transform_flatten(["hour", "clock", "estimate", "lower", "upper", "truth"])
    texts = cells.transform_calculate(
        shown=rounded("estimate"), interval=interval("lower", "upper"), simulated=rounded("truth")
    )
    tooltip = tips(clock="Hour from", shown="Estimate", interval="95 % interval", simulated="Simulated truth")
    whole = alt.Scale(domain=[0, max(len(clock) - 1, 1)], nice=False)
    x = alt.X("hour:Q", title="hour of the day, local time", axis=_clock_axis(clock), scale=whole)
    axis = alt.Axis(format=",.0f", tickMinStep=1, tickCount=6)
    y = alt.Y("estimate:Q", title="persons present", axis=axis, scale=alt.Scale(zero=False))
    dots = cells.transform_filter("datum.estimate !== null").mark_circle(color=BLUE, size=26, opacity=1)
    layers = alt.layer(
        cells.mark_area(color=BAND, opacity=0.75).encode(x=x, y=alt.Y("lower:Q"), y2="upper:Q"),
        cells.mark_line(color=INK, strokeWidth=1.1, strokeDash=[4, 3]).encode(x=x, y="truth:Q"),
        cells.mark_line(color=BLUE, strokeWidth=2.2).encode(x=x, y=y),
        dots.encode(x=x, y=y),
        # Nobody sees these; they are there for the pointer.
        texts.mark_rule(opacity=0, strokeWidth=24).encode(x=x, tooltip=tooltip),
        _when_empty(area),
    )
    return Chart.of(
        layers.add_params(_choice(rows)),
        ("hours",),
        f"Line chart of persons present by hour in one of {len(rows):,} areas, with 95 % intervals and the "
        "simulated truth; the area is chosen from a list.",
        ratio=0.36,
        instead="" if rows else "There are no estimates of presence.",
    )


def _choice(rows: Sequence[Row]) -> alt.Parameter:
    """Return the list of areas to choose from, in the place that the page keeps for it."""
    listed = alt.binding_select(
        options=[row["area"] for row in rows],
        labels=[row["name"] for row in rows],
        name="Area",
        element="#choice",
    )
    return alt.param(name="area", value=_first(rows), bind=listed)


def _first(rows: Sequence[Row]) -> str:
    def swing(row: Row) -> float:
        known = [value for value in row["estimate"] if value]
        return max(known) - min(known) if known else 0.0

    return str(max(rows, key=swing)["area"]) if rows else ""


def _clock_axis(clock: Sequence[str]) -> alt.Axis:
    shown = f"{json.dumps(list(clock))}[datum.value]"
    return alt.Axis(values=list(range(0, len(clock), 3)), labelExpr=shown, grid=False, labelFlush=False)


def _when_empty(area: alt.Chart) -> alt.Chart:
    chart = area.transform_filter("datum.published === 0")
    text = chart.mark_text(text="every hour is suppressed here", color=MUTED, fontSize=13, align="left")
    placed: alt.Chart = text.encode(x=alt.value(14), y=alt.value(14))
    return placed


def budget_chart(rows: Sequence[Row], cap: float) -> Chart:
    """Return ρ by day beside the cap; reads budget.

    Parameters
    ----------
    rows
        By day and product.
    cap
        Largest ρ of a day.
    """
    days = list(dict.fromkeys(row["label"] for row in rows))
    ticks = alt.Axis(format="~g", tickCount=4)
    bars = alt.Chart(alt.NamedData(name="budget")).mark_bar(size=max(5, min(34, 240 // max(len(days), 1))))
    used = bars.encode(
        x=alt.X("label:O", title=None, sort=days, axis=alt.Axis(labelAngle=0, labelOverlap="greedy")),
        y=alt.Y("rho:Q", title="ρ charged to the day", stack="zero", axis=ticks),
        color=alt.Color("product:N", title=None, scale=PRODUCTS, legend=alt.Legend(orient="top")),
        tooltip=[*tips(label="Day", product="Product"), alt.Tooltip("rho:Q", title="ρ", format=".9~f")],
    )
    limit = alt.Chart(alt.InlineData(values=[{"y": cap, "text": f"cap ρ {cap:g}"}]))
    word = limit.mark_text(align="right", baseline="bottom", dy=-4, color=MUTED)
    layers = alt.layer(
        used,
        limit.mark_rule(color=INK, strokeDash=[4, 3]).encode(y="y:Q"),
        word.encode(x=alt.value("width"), y="y:Q", text="text:N"),
    )
    total = {day: sum(row["rho"] for row in rows if row["label"] == day) for day in days}
    told = "; ".join(f"{day} {rho:g}" for day, rho in total.items()) or "nothing"
    return Chart.of(
        layers,
        ("budget",),
        f"Bars of ρ charged by day, cap {cap:g}: {told}.",
        ratio=0.5,
        instead="" if rows else "Nothing was charged.",
    )
