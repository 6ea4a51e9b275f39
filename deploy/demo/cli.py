"""The demo's command line."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from deploy.demo import interrupt
from deploy.demo.run import Options, Outcome, run_demo
from deploy.demo.simulation import Settings
from privacy.units import epsilon

DEFAULTS = Settings()
_DELTA = 1e-6


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.option(
    "--country",
    type=click.Path(path_type=Path),
    help="Country directory (docs/country-directory.md).  [default: Belgium]",
)
@click.option(
    "--scale", type=float, default=DEFAULTS.scale, help="Simulated share of the residents, up to 1."
)
@click.option(
    "--seed", type=int, default=DEFAULTS.seed, help="Root of the simulation's randomness (not the noise's)."
)
@click.option("--days", type=int, default=DEFAULTS.days, help="Number of local days, 1 to 31.")
@click.option("--operators", type=int, default=DEFAULTS.operators, help="Number of operators, 1 to 12.")
@click.option("--timezone", default=DEFAULTS.timezone, help="Local time of the country (IANA name).")
@click.option(
    "--start", type=click.DateTime(["%Y-%m-%d"]), default=str(DEFAULTS.start), help="First local day."
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/demo"),
    help="Where everything goes.",
)
@click.option("--listen", default="localhost:0", help="Address of the hub; port 0 takes a free one.")
@click.option(
    "--keep-running", is_flag=True, help="Leave hub and nodes running until Ctrl-C, to try the commands."
)
def main(
    country: Path | None,
    out: Path,
    start: datetime,
    listen: str,
    keep_running: bool,
    timezone: str,
    **numbers: float,
) -> None:
    """Simulate a country with several mobile operators and make official statistics of it.

    A hub and a node daemon at each operator run as separate processes that speak gRPC over mutual TLS. Two
    products are released: residents of the simulated days, and persons present by hour of one day.
    """
    console = Console(stderr=True, highlight=False)
    settings = Settings.of(start=start.date(), timezone=timezone, **numbers)

    def done(outcome: Outcome, address: str) -> None:
        _print(outcome)
        if keep_running:
            console.print(f"The hub listens at {address}. In another terminal:")
            console.print(f"  .venv/bin/quorate products --hub {address} --dir {out}/office", soft_wrap=True)
            console.print("Ctrl-C stops everything.")
            _until_interrupted()

    run_demo(Options(country, settings, out, listen), console, done)


def _until_interrupted() -> None:
    try:
        while True:
            time.sleep(1.0)
    except KeyboardInterrupt:
        interrupt.forget()


def _print(outcome: Outcome) -> None:
    console = Console(highlight=False)
    counts, charter = outcome.simulation.counts, outcome.parties.charter
    console.print(
        f"\n{counts.persons:,} persons, {sum(counts.subscriptions.values()):,} subscriptions at "
        f"{len(charter.operators)} operators, {sum(counts.events.values()):,} events"
    )
    table = Table("product", "level", "cells", "published", "WMAPE", "MAPE", "truth in 95 % interval")
    for d in outcome.distances:
        figures = (f"{value:.1%}" if d.published else "–" for value in (d.wmape, d.mape, d.coverage))
        table.add_row(d.product, d.level, f"{d.cells:,}", f"{d.published / d.cells:.0%}", *figures)
    console.print(table)
    console.print(
        "Published is what has a standard error of up to 25 %, of the estimate and of the registered population; "
        "the rest is suppressed, not guessed."
    )
    day, loss = charter.budgets.day / 1e9, epsilon(charter.budgets.day, _DELTA)
    console.print(
        f"Privacy cost: at most rho {day:g} a day and subscriber (epsilon {loss:.2f} at delta 1e-6); "
        "every charge is in ledger.json"
    )
    for name in ("report.html", "estimates/residents.csv", "estimates/presence.csv", "ledger.json"):
        console.print(f"  {outcome.out / name}")
    console.print(f"Done in {outcome.seconds:.0f} s.")
