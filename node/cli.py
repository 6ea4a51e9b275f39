"""The command line of an operator's node."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import IO

import click

from node.cli_factors import factors
from node.cli_keys import period_keys
from node.cli_ledger import ledger, warn_of_doubt
from node.cli_options import DAY, DIRECTORY, JSON, emit
from node.config import Home
from node.source_cli import source
from quorate.contract import shell
from quorate.contract.identity import OPERATOR, Identity
from quorate.contract.logs import LogFormat


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="quorate")
def commands() -> None:
    """Run an operator's node: it computes noised statistics from the operator's own events.

    \b
    A new node, in this order:
      quorate-node init       makes the node's key and its request for a certificate
      quorate-node enrol      pins charter, zoning, policy and the hub's root certificate
      quorate-node preflight  tries the way to the hub, the disk, the ledger and the data
      quorate-node check      looks whether everything is ready
      quorate-node run        runs the daemon

    Exit codes are listed in docs/exit-codes.md.
    """


@commands.command()
@DIRECTORY
@click.option("--network", required=True, help="Name of the network, as the hub operator told it.")
@click.option("--operator", required=True, help="Name of this operator in the charter.")
def init(root: Path, network: str, operator: str) -> None:
    """Make the node's keys (they never leave this directory) and its certificate request."""
    from node.enrolment import initialise
    from node.own_keys import exchange_key_of
    from quorate.contract.canonical import read_bytes
    from quorate.contract.exchange import exchange_public
    from quorate.contract.identity import load_signing_key
    from quorate.contract.signing import public_key

    request = initialise(Home(root), network, operator)
    click.echo(f"wrote {request}; have the hub operator sign it:")
    click.echo(f"  quorate-hub sign --request {request} --operator {operator}")
    key = public_key(load_signing_key(read_bytes(Home(root).operator_key)))
    click.echo(
        "and tell the hub operator the keys that this operator signs with, and that secrets are sealed to:"
    )
    click.echo(f"  keys.operators.{operator} = {key}")
    click.echo(f"  keys.exchange.{operator} = {exchange_public(exchange_key_of(Home(root)))}")


@commands.command()
@DIRECTORY
@click.option("--network", required=True, help="Name of the network.")
@click.option("--operator", required=True, help="Name of this operator in the charter.")
@click.option(
    "--fingerprint", required=True, help="SHA-256 of the hub's root certificate, told over the phone."
)
@click.option(
    "--hub-enrolment",
    metavar="ADDRESS",
    help="Where the hub lets nodes enrol, host:port. Without it the files must be in the directory.",
)
@click.option("--token", help="The one-time token; asked for if it is not given. Others may see it here.")
@click.option("--token-file", type=click.File(), help="File with the token; - for standard input.")
def enrol(
    root: Path,
    network: str,
    operator: str,
    fingerprint: str,
    hub_enrolment: str | None,
    token: str | None,
    token_file: IO[str] | None,
) -> None:
    """Get a certificate for a one-time token, if --hub-enrolment is given; pin the rules that this node decides by.

    Without --hub-enrolment put these files into the directory first: node.pem (the signed certificate), hub-root.pem,
    charter.json and zoning.json, which come with the token otherwise. policy.toml and node.toml are yours. Their
    digests are pinned; the node does not start with other files.
    """
    from node.enrolment import enrol as pin
    from node.joining import join

    if hub_enrolment is not None:
        if token and token_file:
            raise click.UsageError("give either --token or --token-file")
        told = token or (token_file.read() if token_file else click.prompt("token", hide_input=True))
        identity = Identity(network, OPERATOR, operator)
        join(Home(root), hub_enrolment, told.strip(), fingerprint, identity)
        click.echo("got a certificate, the charter and the zoning; read the charter before you run the node")
    elif token or token_file:
        raise click.UsageError("a token is for --hub-enrolment ADDRESS")
    pinned = pin(Home(root), operator, network, fingerprint)
    click.echo(f"enrolled {pinned.operator} in {pinned.network}; charter {pinned.charter}")


@commands.command()
@DIRECTORY
@JSON
def check(root: Path, as_json: bool) -> None:
    """Look whether the daemon could start: documents, data files, code, ledger. Changes nothing."""
    from node.daemon import check as look
    from node.enrolment import load

    home = Home(root)
    found = look(home, load(home))
    emit({"ready": found}, as_json, "\n".join(f"ok: {line}" for line in found))


@commands.command()
@DIRECTORY
@click.option("--hub", help="Address of the hub, host:port.  [default: hub in node.toml]")
@JSON
def preflight(root: Path, hub: str | None, as_json: bool) -> int:
    """Try everything that the daemon will need, from the name of the hub to the data; say how to mend what fails.

    Sends ten pieces of zeros to the hub, which throws them away. Charges nothing, and changes nothing here. Ends with
    the exit code of the first thing that fails.
    """
    from dataclasses import asdict

    from rich.console import Console

    from node.preflight import exit_code, table
    from node.preflight import preflight as look

    found = look(Home(root), hub)
    if as_json:
        emit([asdict(one) for one in found], as_json, "")
    else:
        Console(markup=False, emoji=False, highlight=False).print(table(found))
    return int(exit_code(found))


@commands.command()
@DIRECTORY
@JSON
def status(root: Path, as_json: bool) -> None:
    """Say how the node is: certificate, days, ledger, budgets, and what its daemon does. Changes nothing."""
    from node.status import lines_of, status_of

    found = status_of(Home(root))
    emit(found, as_json, "\n".join(map(shell.printable, lines_of(found))))


@commands.command()
@DIRECTORY
def ingest(root: Path) -> None:
    """Build presence of every offered day, and stop at the first day that cannot be used."""
    from contextlib import closing

    from node.daemon import ingest as build
    from node.daemon import open_ledger
    from node.enrolment import load

    home = Home(root)
    own = load(home)
    # The ledger's lock keeps a daemon from building at the same time.
    with closing(open_ledger(home, own)):
        days = build(home, own, lambda day: click.echo(f"building presence of {day}", err=True))
    click.echo(f"presence of {len(days)} day(s) is ready; quality counts are in {home.quality}")


@commands.command()
@DIRECTORY
@click.option("--hub", help="Address of the hub, host:port.  [default: hub in node.toml]")
@click.option(
    "--patience",
    type=float,
    default=30.0,
    show_default=True,
    help="Seconds to wait for the hub's first answer.",
)
@shell.LOG_FORMAT
def run(root: Path, hub: str | None, patience: float, log_format: LogFormat) -> None:
    """Run the daemon: build presence, wait for orders, answer those that were agreed to."""
    from node.daemon import Daemon

    shell.daemon(log_format)
    Daemon(Home(root), hub, patience).run()


@commands.command()
@JSON
def algorithms(as_json: bool) -> None:
    """List the statistics that are installed, with the digest of their code."""
    from node.statistics.registry import algorithms as installed

    found = installed()
    emit(found, as_json, "\n".join(f"{name}  {digest}" for name, digest in found.items()))


@commands.command()
@DIRECTORY
@click.argument("product")
@click.option("--from", "first", type=DAY, required=True, help="First local day.")
@click.option("--to", "last", type=DAY, show_default="the first day", help="Last local day.")
@click.option(
    "--revision",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    help="A higher number is measured and charged again.",
)
@JSON
@click.option(
    "--picture",
    "image",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw error against privacy loss into this .svg, .png or .html file.",
)
def plan(
    root: Path,
    product: str,
    first: datetime,
    last: datetime | None,
    revision: int,
    as_json: bool,
    image: Path | None,
) -> None:
    """Say what a release of PRODUCT would cost, how accurate it would be, and what would remain.

    Reads charter and ledger only: no data are touched, nothing is computed or charged.
    """
    from rich.console import Console

    from node.planning import picture, planned, print_plan, write_picture

    warn_of_doubt(root)
    found = planned(Home(root), product, (first.date(), (last or first).date()), revision)
    if image:
        write_picture(picture(found), image)
    if as_json:
        click.echo(found.as_json())
    else:
        print_plan(found, Console(markup=False, emoji=False, highlight=False))


commands.add_command(factors)
commands.add_command(ledger)
commands.add_command(period_keys)
commands.add_command(source)


def main() -> None:
    """Entry point of `quorate-node`."""
    shell.run(commands, "quorate-node")
