"""How good estimates are, scenario by scenario: python -m tests.statistical.evaluate."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tests.benchmarks.figures import machine
from tests.statistical import (
    commuting_world,
    score_commuting,
    score_presence,
    score_residents,
    score_union,
    score_visitors,
    visitors_world,
)
from tests.statistical.charts import Chart, save
from tests.statistical.presence_world import WORLDS
from tests.statistical.scenarios import SCENARIOS

RESULTS = Path(__file__).resolve().parent.parent.parent / "docs" / "results"


@dataclass(frozen=True)
class Subject:
    """What is estimated: its scenarios, how one is scored, and the table and charts of scores.

    Attributes
    ----------
    charts
        From scores to charts by name; None if there are none. A name is part of a file's.
    """

    scenarios: Sequence[Any]
    evaluate: Callable[[Any, int, int], Any]
    markdown: Callable[[Sequence[Any]], str]
    charts: Callable[[Sequence[Any]], dict[str, Chart]] | None = None


SUBJECTS = {
    "residents": Subject(
        SCENARIOS, score_residents.evaluate, score_residents.markdown, score_residents.charts
    ),
    "presence": Subject(WORLDS, score_presence.evaluate, score_presence.markdown, score_presence.charts),
    "union": Subject(score_union.WORLDS, score_union.evaluate, score_union.markdown),
    "commuting": Subject(commuting_world.WORLDS, score_commuting.evaluate, score_commuting.markdown),
    "visitors": Subject(visitors_world.WORLDS, score_visitors.evaluate, score_visitors.markdown),
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--of", "subjects", type=click.Choice(list(SUBJECTS)), multiple=True, help="[default: all]")
@click.option("--replications", type=click.IntRange(1), default=200, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--scenario", "wanted", multiple=True, help="Only scenarios with this in their name.  [default: all]"
)
@click.option("--write", is_flag=True, help="Write a dated table, and its charts, to docs/results/.")
@click.option(
    "--plots", type=click.Path(file_okay=False, path_type=Path), help="Write charts (SVG) to this directory."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(  # noqa: PLR0917 - options arrive as arguments
    subjects: tuple[str, ...],
    replications: int,
    seed: int,
    wanted: tuple[str, ...],
    write: bool,
    plots: Path | None,
    as_json: bool,
) -> None:
    """Estimate over Belgium in every scenario, and print how far off that was."""
    found, tables, charts = {}, [], {}
    for name in subjects or SUBJECTS:
        subject = SUBJECTS[name]
        chosen = [one for one in subject.scenarios if not wanted or any(part in one.name for part in wanted)]
        if not chosen:
            continue
        scores = []
        for scenario in chosen:
            click.echo(f"  {name}: {scenario.name} ...", err=True)
            scores.append(subject.evaluate(scenario, replications, seed))
        found[name] = [asdict(score) for score in scores]
        tables.append(subject.markdown(scores))
        if subject.charts is not None and (write or plots):
            charts.update({f"{name}-{which}": chart for which, chart in subject.charts(scores).items()})
    if not found:
        raise click.UsageError(f"no scenario has {' or '.join(wanted)} in its name")
    table = "\n".join([_head(), *tables])
    click.echo(json.dumps(found, indent=1, ensure_ascii=False) if as_json else table)
    if plots is not None:
        save(charts, plots, "")
    if write:
        stem = f"{datetime.now(UTC).date()}-evaluate"
        files = save(charts, RESULTS, f"{stem}-")
        pictures = [
            f"![{chart.description}]({file})\n" for chart, file in zip(charts.values(), files, strict=True)
        ]
        (RESULTS / f"{stem}.md").write_text("\n".join([table, *pictures]), encoding="utf-8")


def _head() -> str:
    given = " ".join(["python -m tests.statistical.evaluate", *map(shlex.quote, sys.argv[1:])])
    return "\n".join(
        [
            f"# How good estimates are, {datetime.now(UTC).date()}",
            "",
            f"Command: `{given}`.",
            f"Machine: {machine()}.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
