"""How good estimates are end to end: python -m tests.statistical.chain."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from tests.benchmarks.figures import machine
from tests.statistical.chain import score_presence, score_residents
from tests.statistical.chain.networks import LARGEST_WEIGHT, PRESENCE_SIGMA, RESIDENTS_SIGMA
from tests.statistical.chain.run import Options, Outcome, run
from tests.statistical.evaluate import RESULTS


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--scale", type=click.FloatRange(0.05, 1), default=0.2, show_default=True, help="Part of the persons."
)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--draws", type=click.IntRange(1), default=20, show_default=True, help="Of idealised counts.")
@click.option("--write", is_flag=True, help="Write a dated table to docs/results/.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(scale: float, seed: int, draws: int, write: bool, as_json: bool) -> None:
    """Send a simulated Belgium of two dates through real nodes and a real hub; hold estimates against the truth."""
    started, options = time.monotonic(), Options(scale, seed, draws)

    def say(what: str) -> None:
        click.echo(f"  {time.monotonic() - started:5.0f} s  {what}", err=True)

    with tempfile.TemporaryDirectory(prefix="quorate-chain-") as root:
        outcome = run(options, Path(root), say)
    table = markdown(options, outcome, time.monotonic() - started)
    found = {
        "residents": [asdict(row) for row in outcome.residents],
        "published residents": asdict(outcome.published),
        "presence": [asdict(score) for score in outcome.presence],
    }
    click.echo(json.dumps(found, indent=1, ensure_ascii=False) if as_json else table)
    if write:
        (RESULTS / f"{datetime.now(UTC).date()}-chain.md").write_text(table, encoding="utf-8")


def markdown(options: Options, outcome: Outcome, seconds: float) -> str:
    """Return the report."""
    scale = options.scale
    return "\n".join(
        [
            f"# How good estimates are end to end, {datetime.now(UTC).date()}",
            "",
            f"Command: `python -m tests.statistical.chain --scale {scale:g} --seed {options.seed} --draws "
            f"{options.draws} --write` ({seconds:.0f} s).",
            f"Machine: {machine()}.",
            "",
            f"A simulated Belgium at scale {scale:g}: {outcome.events:,} events of six days with duplicates, unknown "
            "cells and broken timestamps, three operators,",
            "a real hub and real nodes as processes over TLS, their ledgers, noise and policies. Noise is as large "
            "beside the counts as in",
            f"the acceptance table: σ = {RESIDENTS_SIGMA:g} · scale = {RESIDENTS_SIGMA * scale:g} for residents, "
            f"{PRESENCE_SIGMA:g} · scale = {PRESENCE_SIGMA * scale:g} for presence, anchors and (times the largest",
            f"weight, {LARGEST_WEIGHT}) weighted answers. The hub's register is that of the date of the releases; "
            "for the growth of residents that of the first date.",
            "",
            score_residents.markdown(
                outcome.times, outcome.residents, outcome.measured, outcome.published, options.draws
            ),
            score_presence.markdown(outcome.presence),
        ]
    )


if __name__ == "__main__":
    main()
