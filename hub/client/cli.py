"""The command line of a statistical office."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.contract import shell
from quorate.contract.identity import OFFICE, Identity, new_key, signing_request

if TYPE_CHECKING:
    from quorate.v1 import statistics_pb2 as pb

_DIRECTORY = click.option(
    "--dir",
    "root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default="the current directory",
    help="The office's directory with office.key, office.pem and hub-root.pem.",
)
_HUB = click.option(
    "--hub", default="localhost:7443", show_default=True, help="Address of the hub, host:port."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program instead of text.")
_DAY = click.DateTime(["%Y-%m-%d"])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="quorate")
def commands() -> None:
    """Ask a Quorate hub for official statistics.

    \b
      quorate init        makes the office's key and its request for a certificate
      quorate products    lists what can be asked for, and what it costs
      quorate request     asks for a release, waits for it and writes its estimates
      quorate quality     says how a release was made, and how good it is

    Exit codes are listed in docs/exit-codes.md.
    """


@commands.command()
@_DIRECTORY
@click.option("--network", required=True, help="Name of the network.")
@click.option(
    "--office", required=True, help="Name of this office: lower-case letters, digits, '.', '_', '-'."
)
def init(root: Path, network: str, office: str) -> None:
    """Make the office's key and its certificate request."""
    from hub.client.office import Home
    from quorate.contract.identity import parse_identity

    home, identity = Home(root), Identity(network, OFFICE, office)
    parse_identity(identity.uri)
    root.mkdir(parents=True, exist_ok=True)
    home.request.write_bytes(signing_request(new_key(home.key), identity))
    click.echo(f"wrote {home.request}; have the hub operator sign it:")
    click.echo(f"  quorate-hub sign --request {home.request} --office {office}")


@commands.command()
@_DIRECTORY
@_HUB
@_JSON
def products(root: Path, hub: str, as_json: bool) -> None:
    """List products with their privacy cost and noise."""
    from hub.client.office import Home, connect

    with connect(Home(root), hub) as office:
        listed = office.products()
    if as_json:
        click.echo(json.dumps([_product(found) for found in listed], indent=1))
    for found in [] if as_json else listed:
        click.echo("\n".join(_product_lines(found)))


def _product(found: pb.Product) -> dict[str, object]:
    from privacy.units import epsilon

    return {
        "product": found.product_id,
        "title": found.title,
        "rho_period": found.rho_period,
        "rho_day": found.rho_day,
        "epsilon_at_1e-6": round(epsilon(max(found.rho_period, found.rho_day), 1e-6), 3),
        "mechanism": found.mechanism,
        "measured": [
            {"level": level.name, "rho": level.rho, "scale": level.scale_milli / 1000}
            for level in found.measured
        ],
        "levels": list(found.levels),
        "max_days": found.max_days,
        "requires": list(found.requires),
    }


def _product_lines(found: pb.Product) -> Iterator[str]:
    yield f"{found.product_id}: {found.title}"
    cost = _product(found)["epsilon_at_1e-6"]
    yield f"  rho {found.rho_period} nano ({found.rho_day} a day), epsilon {cost} at delta 1e-6"
    for level in found.measured:
        scale = level.scale_milli / 1000
        yield f"  {found.mechanism} noise of scale {scale} in each {level.name} cell of each operator"
    yield f"  periods of up to {found.max_days} day(s)"
    if found.requires:
        first = ", ".join(found.requires)
        yield f"  made of {first} of the same period: asked for first, and charged beside it"


@commands.command()
@_DIRECTORY
@_HUB
@click.argument("product")
@click.option("--from", "first", type=_DAY, required=True, help="First local day.")
@click.option("--to", "last", type=_DAY, show_default="the first day", help="Last local day.")
@click.option(
    "--revision",
    type=click.IntRange(0, 2**31),
    default=0,
    help="A higher number is measured and charged again.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="CSV file for the estimates.",
)
@click.option("--timeout", type=float, default=3600.0, show_default=True, help="Seconds to wait.")
def request(
    root: Path,
    hub: str,
    product: str,
    first: datetime,
    last: datetime | None,
    revision: int,
    out: Path,
    timeout: float,
) -> None:
    """Ask for a release, wait until the operators have answered, and write the estimates.

    Asking again for the same product, period and revision returns the same estimates and costs nothing.
    """
    from hub.client.office import Home, connect, require_writable, write_csv

    require_writable(out)
    days: tuple[date, date] = first.date(), (last or first).date()
    with connect(Home(root), hub) as office:
        release = office.request(product, *days, revision)
        click.echo(f"release {release}", err=True)
        office.wait(release, timeout, _report)
        table = office.estimates(release)
    write_csv(table, out)
    click.echo(f"wrote {table.num_rows} estimates to {out}")


@commands.command()
@_DIRECTORY
@_HUB
@_JSON
@click.argument("release")
def quality(root: Path, hub: str, release: str, as_json: bool) -> None:
    """Say who took part in RELEASE, what was assumed, how noisy it is, and what contradicts the assumptions."""
    from hub.client.office import Home, connect
    from hub.client.quality import as_text

    with connect(Home(root), hub) as office:
        found = office.quality(release)
    click.echo(json.dumps(found, indent=1, ensure_ascii=False) if as_json else as_text(found))


def _report(progress: pb.WatchReleaseResponse) -> None:
    answers = " ".join(f"{op.operator_id}:{op.refusal or op.state}" for op in progress.operators)
    click.echo(f"  {answers}", err=True)


def main() -> None:
    """Entry point of `quorate`."""
    shell.run(commands, "quorate")


if __name__ == "__main__":
    main()
