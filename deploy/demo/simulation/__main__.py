"""Simulates a country from the shell: python -m deploy.demo.simulation --out DIRECTORY."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from deploy.demo.country import load_country
from deploy.demo.simulation.result import Simulation
from deploy.demo.simulation.run import simulate
from deploy.demo.simulation.settings import Settings
from privacy.errors import ExitCode, QuorateError

DEFAULTS = Settings()


@click.command(context_settings={"show_default": True})
@click.option(
    "--country", type=click.Path(path_type=Path), help="Country directory; Belgium if left out.", default=None
)
@click.option(
    "--scale", type=float, default=DEFAULTS.scale, help="Simulated share of the residents, up to 1."
)
@click.option("--seed", type=int, default=DEFAULTS.seed, help="Root of all randomness.")
@click.option("--days", type=int, default=DEFAULTS.days, help="Number of local days, 1 to 31.")
@click.option("--operators", type=int, default=DEFAULTS.operators, help="Number of operators, 1 to 12.")
@click.option(
    "--start", type=click.DateTime(["%Y-%m-%d"]), default=str(DEFAULTS.start), help="First local day."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New or empty directory.")
def main(country: Path | None, out: Path, start: datetime, **numbers: float) -> None:
    """Simulate a country with several mobile operators, and write the truth beside their data."""
    try:
        settings = Settings.of(start=start.date(), **numbers)
        result = _run(country, settings, out)
    except QuorateError as error:
        click.echo(error.explain(), err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        click.echo("stopped; the simulation is not complete", err=True)
        sys.exit(ExitCode.INTERRUPTED)
    click.echo(_sentence(result))


def _run(country: Path | None, settings: Settings, out: Path) -> Simulation:
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading the country", total=1.0)
        return simulate(
            load_country(country),
            settings,
            out,
            lambda label, share: bar.update(task, description=label, completed=share),
        )


def _sentence(result: Simulation) -> str:
    counts = result.counts
    subscriptions, events = sum(counts.subscriptions.values()), sum(counts.events.values())
    return (
        f"{counts.persons:,} persons, {counts.owners:,} with a phone, {subscriptions:,} subscriptions at "
        f"{len(result.operator_ids)} operators, {events:,} events: {result.out}"
    )


if __name__ == "__main__":
    main()
