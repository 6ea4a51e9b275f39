"""Draws the report of a demo: one HTML file with maps, charts and tables, which also works offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deploy.demo.compare import Distance
from deploy.demo.country import BELGIUM, Country
from deploy.demo.report.attribution import read_attribution
from deploy.demo.report.geometry import draw
from deploy.demo.report.outputs import read_outputs
from deploy.demo.report.page import render
from deploy.demo.report.rows import Findings
from privacy.errors import ResourceProblem
from quorate.contract.charter import Charter


def write_report(
    out: Path,
    country: Country,
    charter: Charter,
    distances: Sequence[Distance],
    directory: Path | None = None,
) -> Path:
    """Write report.html, complete or not at all, and return where it is.

    Parameters
    ----------
    out
        Directory of the demo, with estimates, truth, settings.json and ledger.json.
    country
        That was simulated.
    charter
        What the parties agreed on.
    distances
        Of the estimates from the truth, by product and level.
    directory
        The country's, for its ATTRIBUTION.md; None means the built-in Belgium.

    Raises
    ------
    UsageProblem
        If `out` lacks a file of the demo.
    ResourceProblem
        If the file cannot be written.
    """
    drawing = draw(country.polygons, country.district_index)
    found = Findings(country, drawing, read_outputs(out))
    page = render(found, charter, distances, read_attribution(directory or BELGIUM))
    path = out / "report.html"
    fresh = path.with_name(path.name + ".part")
    try:
        # A name may have half a surrogate pair in it, which UTF-8 cannot say.
        fresh.write_text(page, encoding="utf-8", errors="replace")
        fresh.replace(path)
    except OSError as error:
        raise ResourceProblem(
            f"{path} cannot be written: {error.strerror}",
            means="Estimates and ledgers are there, the report is not.",
            todo="Make room on the disk or choose another directory, and run the demo again.",
        ) from error
    return path
