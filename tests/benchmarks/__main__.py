"""Measurements as ratios against a peer or a limit of the same run: python -m tests.benchmarks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from tests.benchmarks import chain, estimation, ledger, load, node, noise
from tests.benchmarks.figures import Figure, machine

SECTIONS: dict[str, Callable[[Callable[[str], None]], list[Figure]]] = {
    "chain": chain.run,
    "estimation": estimation.run,
    "ledger": ledger.run,
    "load": load.run,
    "node": node.run,
    "privacy": noise.run,
}
RESULTS = Path(__file__).resolve().parent.parent.parent / "docs" / "results"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--section", type=click.Choice(sorted(SECTIONS)), multiple=True, help="Only this section.  [default: all]"
)
@click.option(
    "--part",
    type=click.Choice(node.PARTS),
    multiple=True,
    help="Of section node only this: a day of 10⁷ events, one of 10⁸, Spark, a month, peers at 10⁸.  [default: all]",
)
@click.option("--write", is_flag=True, help="Write a dated table of each section to docs/results/.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(section: tuple[str, ...], part: tuple[str, ...], write: bool, as_json: bool) -> None:
    """Measure, and print what was measured beside what it is held against."""
    found: dict[str, list[dict[str, object]]] = {}
    sections = SECTIONS | {"node": partial(node.run, parts=part or node.PARTS)}
    for name in section or sorted(SECTIONS):
        figures = sections[name](lambda what: click.echo(f"  {what} ...", err=True))
        found[name] = [asdict(figure) for figure in figures]
        table = markdown(name, figures)
        if not as_json:
            click.echo(table)
        if write:
            RESULTS.mkdir(parents=True, exist_ok=True)
            (RESULTS / f"{datetime.now(UTC).date()}-bench-{name}.md").write_text(table, encoding="utf-8")
    if as_json:
        click.echo(json.dumps({"machine": machine(), "sections": found}, indent=1))


def markdown(name: str, figures: list[Figure]) -> str:
    """Return the table of a section."""
    lines = [
        f"# Benchmark, section {name}, {datetime.now(UTC).date()}",
        "",
        f'Command: `make bench ARGS="--section {name} --write"`. Machine: {machine()}.',
        "",
        "| what | held against | ratio | ours | theirs |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {f.what} | {f.against} | {f.ratio:.2f} | {f.ours} | {f.theirs} |" for f in figures]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
