"""The command that shows an operator its calibration factors."""

from __future__ import annotations

from pathlib import Path

import click

from node.cli_options import DIRECTORY, JSON, emit
from node.config import Home


@click.command()
@DIRECTORY
@click.argument("release", required=False)
@click.option(
    "--from-hub", is_flag=True, help="Fetch the factors of RELEASE from the hub instead of the disk."
)
@click.option("--hub", metavar="ADDRESS", help="host:port of the hub.  [default: that in node.toml]")
@JSON
def factors(root: Path, release: str | None, from_hub: bool, hub: str | None, as_json: bool) -> None:
    """Show for how many persons each of this operator's subscribers stands, by anchor zone.

    Without RELEASE it lists the weighted releases whose factors are kept; with it, it prints their table (CSV: zone,
    factor). The factors show this operator's share of the market: nobody else can fetch them from the hub.
    """
    from node.factors import fetched, keep, kept, read

    home = Home(root)
    if release is None:
        if from_hub:
            raise click.UsageError("--from-hub needs the name of a release")
        found = kept(home)
        emit(found, as_json, "\n".join(found) or "no factors yet: they come with orders of weighted releases")
        return
    if from_hub:
        told = fetched(home, hub, release)
        keep(home.factors, told)
        table = told.as_csv()
    else:
        table = read(home, release)
    rows = [line.split(",") for line in table.splitlines()[1:]]
    emit({code: float(value) for code, value in rows}, as_json, table.rstrip("\n"))
