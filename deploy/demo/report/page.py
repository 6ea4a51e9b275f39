"""Puts the page together: what the template needs, and its filling; the page asks no host for anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from deploy.demo.compare import Distance
from deploy.demo.report import rows, words
from deploy.demo.report.accuracy import FEW, coverage_chart, truth_chart
from deploy.demo.report.attribution import Block
from deploy.demo.report.look import CONFIG, Chart, Row
from deploy.demo.report.maps import change_map, density_map
from deploy.demo.report.plots import budget_chart, hours_chart
from deploy.demo.report.rows import Findings
from hub.estimation.status import CV_NORMAL, CV_UNRELIABLE
from privacy.units import NANO
from quorate.contract.charter import Charter

TEMPLATES = Path(__file__).parent.parent / "templates"
#: More zones than this are drawn on a canvas: a browser handles so many shapes as nodes badly.
MOST_SHAPES = 3000


def render(
    found: Findings, charter: Charter, distances: Sequence[Distance], attribution: Sequence[Block]
) -> str:
    """Return the page.

    Parameters
    ----------
    found
        Country, drawing, and what the demo has left.
    charter
        What the parties agreed on.
    distances
        Of the estimates from the truth.
    attribution
        Whose data the country is made of.
    """
    sets = datasets(found)
    template = _environment().get_template("report.html.j2")
    return template.render(
        country=found.country.name,
        run=_run(found),
        counts=found.outputs.settings["counts"],
        charter=charter,
        distances=distances,
        first={f"{one.product} {one.level}": one for one in distances},
        zones=_published(sets["zones"], "estimate"),
        districts=_published(sets["districts"], "change"),
        few=any(row["cells"] < FEW * row["of"] for row in sets["coverage"]),
        privacy=_privacy(found.outputs.ledgers),
        ledgers=found.outputs.ledgers,
        status={"normal": CV_NORMAL, "unreliable": CV_UNRELIABLE},
        attribution=attribution,
        charts=charts(found, charter, sets),
        datasets=sets,
        config=CONFIG,
        renderer="svg" if len(found.country.zone_codes) <= MOST_SHAPES else "canvas",
        library=_library(),
    )


def datasets(found: Findings) -> dict[str, list[Row]]:
    """Return every set of rows that the charts read, by name; shapes are there once."""
    zones, districts = rows.zones(found), rows.districts(found)
    return {
        "zones": zones,
        "districts": districts,
        "hatch_zones": rows.hatched(found, found.drawing.zones, zones, "density"),
        "hatch_districts": rows.hatched(found, found.drawing.districts, districts, "change"),
        "hours": rows.hours(found),
        "coverage": rows.coverage(found),
        "budget": rows.budget(found),
    }


def charts(found: Findings, charter: Charter, sets: Mapping[str, list[Row]]) -> dict[str, Chart]:
    """Return the charts of the page by name."""
    clock, ratio = words.clock(found.outputs.hours), found.drawing.ratio
    return {
        "density": density_map([zone["density"] for zone in sets["zones"]], ratio),
        "change": change_map([row["change"] for row in sets["districts"]], _daytime(found), ratio),
        "hours": hours_chart(sets["hours"], clock),
        "truth": truth_chart(sets["zones"]),
        "coverage": coverage_chart(sets["coverage"]),
        "budget": budget_chart(sets["budget"], charter.budgets.day / NANO),
    }


def _daytime(found: Findings) -> str:
    return (found.daytime or "")[11:16] or words.ABSENT


def _run(found: Findings) -> dict[str, Any]:
    """Return what was simulated, in words."""
    settings = found.outputs.settings["settings"]
    first, number = date.fromisoformat(settings["start"]), int(settings["days"])
    last = date.fromordinal(first.toordinal() + number - 1)
    return {
        "days": words.days(first, last),
        "number": number,
        "presence": words.long_day(date.fromisoformat(settings["presence_day"])),
        "hours": len(found.outputs.hours),
        "scale": settings["scale"],
        "seed": settings["seed"],
        "timezone": settings["timezone"],
        "operators": found.outputs.settings["operators"],
        "daytime": _daytime(found),
    }


def _published(sets: Sequence[Row], field: str) -> dict[str, int]:
    return {"all": len(sets), "shown": sum(row[field] is not None for row in sets)}


def _privacy(ledgers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the largest day of any operator in nano-ρ, and the total of each day by operator."""
    days = sorted({day for ledger in ledgers.values() for day in ledger["days"]})
    totals = {day: [ledger["days"].get(day, 0) for ledger in ledgers.values()] for day in days}
    return {
        "day": max((nano for row in totals.values() for nano in row), default=0),
        "days": [(words.long_day(date.fromisoformat(day)), row) for day, row in totals.items()],
        "same": all(len(set(row)) == 1 for row in totals.values()),
    }


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": words.count,
        "percent": words.percent,
        "rho": words.rho,
        "epsilon": words.epsilon_text,
        "noise": words.noise,
        "several": words.several,
        "in_words": words.in_words,
        "json": embedded,
        "days": lambda first, last: words.days(date.fromisoformat(first), date.fromisoformat(last)),
    }
    return environment


def embedded(value: object) -> Markup:
    """Return JSON that can stand inside a script element: nothing in it ends the element or opens a comment.

    Raises
    ------
    ValueError
        If a number is NaN or infinite, which JSON cannot say.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 -- escaped just above


@cache
def _library() -> Markup:
    """Return Vega, Vega-Lite and Vega-Embed as one script, of the version that Altair writes for."""
    version = ".".join(alt.SCHEMA_VERSION.split(".")[:2])
    script = vl_convert.javascript_bundle("window.drawChart = vegaEmbed;", vl_version=version)
    # In a script these can only be inside text, where the backslash changes nothing.
    safe = script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    return Markup(safe)  # noqa: S704 -- a library, not data
