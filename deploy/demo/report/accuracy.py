"""The charts that hold estimates against the truth: zone by zone, and how often intervals hold it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import altair as alt

from deploy.demo.report.look import BLUE, INK, ORANGE, PAPER, PRODUCTS, Chart, Row, interval, rounded, tips

#: Confidence of the intervals, and the share of published cells below which a class says little.
PROMISED, FEW = 0.95, 0.1


def truth_chart(zones: Sequence[Row]) -> Chart:
    """Return estimates of residents against the truth, by zone, both axes logarithmic; reads zones."""
    shown = [zone for zone in zones if zone["estimate"] is not None and (zone["truth"] or 0) > 0]
    low, high = _decades([value for zone in shown for value in (zone["truth"], zone["estimate"])])
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    axis = alt.Axis(values=_ticks(low, high), format=",~r")
    x = alt.X("truth:Q", title="simulated truth, residents of the zone", scale=scale, axis=axis)
    y = alt.Y("estimate:Q", title="estimate", scale=scale, axis=axis)
    start = alt.Y("start:Q", scale=scale)
    zone = _compared(low)
    tooltip = tips(
        name="Zone", code="Code", simulated="Simulated truth", shown="Estimate", interval="95 % interval"
    )
    ends = alt.Chart(alt.InlineData(values=[{"x": low, "y": low}, {"x": high, "y": high}]))
    diagonal = ends.mark_line(color=INK, strokeWidth=1, strokeDash=[4, 3])
    layers = alt.layer(
        diagonal.encode(x=alt.X("x:Q", scale=scale), y=alt.Y("y:Q", scale=scale)),
        zone.mark_rule(opacity=0.35, clip=True).encode(x=x, y=start, y2="upper:Q"),
        zone.mark_circle(size=16, opacity=0.85, clip=True).encode(x=x, y=y, tooltip=tooltip),
    )
    return Chart.of(
        layers,
        ("zones",),
        f"Scatter plot of estimated against true residents for {len(shown):,} published zones, with 95 % "
        "intervals, on logarithmic axes; on the diagonal both are equal.",
        ratio=0.85,
        instead="" if shown else "No zone is published.",
    )


def _compared(low: float) -> alt.Chart:
    """Return published zones, coloured by status; an interval that reaches zero begins at `low`."""
    kinds = ["estimate (E)", "unreliable (U)"]
    chart = (
        alt.Chart(alt.NamedData(name="zones"))
        .transform_filter("datum.estimate !== null && datum.truth > 0")
        .transform_calculate(
            shown=rounded("estimate"),
            interval=interval("lower", "upper"),
            simulated=rounded("truth"),
            start=f"max(datum.lower, {low})",
            kind=f"datum.status === 'E' ? '{kinds[0]}' : '{kinds[1]}'",
        )
    )
    legend = alt.Legend(orient="top", symbolOpacity=1, symbolStrokeWidth=0)
    scale = alt.Scale(domain=kinds, range=[BLUE, ORANGE])
    coloured: alt.Chart = chart.encode(color=alt.Color("kind:N", title=None, scale=scale, legend=legend))
    return coloured


def _decades(values: Sequence[float]) -> tuple[float, float]:
    """Return round ends of a logarithmic axis around positive values."""
    positive = [value for value in values if value > 0] or [1.0, 10.0]
    ends = [float(f"{digit}e{decade}") for decade in range(-3, 12) for digit in (1, 2, 5)]
    low = max((end for end in ends if end <= min(positive)), default=ends[0])
    return low, min((end for end in ends if end > max(positive) and end > low), default=ends[-1])


def _ticks(low: float, high: float) -> list[float]:
    digits = (1,) if high / low > 1e3 else (1, 2, 5)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [
        float(f"{digit}e{decade}")
        for decade in decades
        for digit in digits
        if low <= digit * 10.0**decade <= high
    ]


def coverage_chart(rows: Sequence[Row]) -> Chart:
    """Return how often intervals hold the truth, by class of size; reads coverage."""
    lowest = min((row["low"] for row in rows), default=PROMISED)
    scale = alt.Scale(domain=[min(0.8, math.floor(10 * lowest) / 10), 1.0])
    share = alt.Y("share:Q", title="truth inside the 95 % interval", scale=scale, axis=alt.Axis(format=".0%"))
    product = alt.Stroke("product:N", scale=PRODUCTS, legend=None)
    legend = alt.Legend(orient="top", symbolStrokeWidth=0)
    filled = alt.Fill("product:N", title=None, scale=PRODUCTS, legend=legend)
    few = alt.condition(f"datum.cells < {FEW} * datum.of", alt.value(PAPER), filled)
    base = _by_size(rows)
    promised = alt.Chart(alt.InlineData(values=[{"y": PROMISED}])).mark_rule(color=INK, strokeDash=[4, 3])
    chance = base.mark_rule(strokeWidth=2, strokeOpacity=0.5)
    points = base.mark_point(size=60, opacity=1, strokeWidth=2)
    tooltip = [
        *tips(product="Product", size="Residents of the zone"),
        alt.Tooltip("share:Q", title="Inside the interval", format=".1%"),
        alt.Tooltip("cells:Q", title="Published cells", format=",d"),
        alt.Tooltip("of:Q", title="All cells", format=",d"),
    ]
    layers = alt.layer(
        promised.encode(y=alt.Y("y:Q", scale=scale)),
        chance.encode(y=alt.Y("low:Q", scale=scale), y2="high:Q", stroke=product),
        points.encode(y=share, tooltip=tooltip, stroke=product, fill=few),
    )
    told = "; ".join(f"{row['product']}, {row['size']}: {row['share']:.0%}" for row in rows)
    return Chart.of(
        layers,
        ("coverage",),
        "Share of published cells whose 95 % interval holds the truth, by size of the zone: "
        f"{told or 'nothing is published'}.",
        ratio=0.85,
        instead="" if rows else "No zone is published.",
    )


def _by_size(rows: Sequence[Row]) -> alt.Chart:
    """Return one place per class, and in it one per product."""
    sizes = json.dumps({row["order"]: row["size"] for row in rows})
    axis = alt.Axis(labelAngle=0, labelExpr=f"{sizes}[datum.value]")
    chart: alt.Chart = alt.Chart(alt.NamedData(name="coverage")).encode(
        x=alt.X("order:O", title="true residents of the zone, fifths of the zones", axis=axis),
        xOffset=alt.XOffset("product:N", scale=alt.Scale(paddingOuter=1)),
    )
    return chart
