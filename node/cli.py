"""The command line of an operator's node."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from node.config import Home
from quorate.contract import shell

_DIRECTORY = click.option(
    "--dir",
    "root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default="the current directory",
    help="The node's directory.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program instead of text.")
_DAY = click.DateTime(["%Y-%m-%d"])


def _print(value: Any, as_json: bool, text: str) -> None:
    click.echo(json.dumps(value, indent=1, default=str) if as_json else text)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="quorate")
def commands() -> None:
    """Run an operator's node: it computes noised statistics from the operator's own events.

    \b
    A new node, in this order:
      quorate-node init       makes the node's key and its request for a certificate
      quorate-node enrol      pins charter, zoning, policy and the hub's root certificate
      quorate-node check      looks whether everything is ready
      quorate-node run        runs the daemon

    Exit codes are listed in docs/exit-codes.md.
    """


@commands.command()
@_DIRECTORY
@click.option("--network", required=True, help="Name of the network, as the hub operator told it.")
@click.option("--operator", required=True, help="Name of this operator in the charter.")
def init(root: Path, network: str, operator: str) -> None:
    """Make the node's key (it never leaves this directory) and its certificate request."""
    from node.enrolment import initialise

    request = initialise(Home(root), network, operator)
    click.echo(f"wrote {request}; have the hub operator sign it:")
    click.echo(f"  quorate-hub sign --request {request} --operator {operator}")


@commands.command()
@_DIRECTORY
@click.option("--network", required=True, help="Name of the network.")
@click.option("--operator", required=True, help="Name of this operator in the charter.")
@click.option(
    "--fingerprint", required=True, help="SHA-256 of the hub's root certificate, told over the phone."
)
def enrol(root: Path, network: str, operator: str, fingerprint: str) -> None:
    """Pin the rules that this node decides by.

    Put these files into the directory first: node.pem (the signed certificate), hub-root.pem, charter.json,
    zoning.json, policy.toml and node.toml. Their digests are pinned; the node does not start with others.
    """
    from node.enrolment import enrol as pin

    pinned = pin(Home(root), operator, network, fingerprint)
    click.echo(f"enrolled {pinned.operator} in {pinned.network}; charter {pinned.charter}")


@commands.command()
@_DIRECTORY
@_JSON
def check(root: Path, as_json: bool) -> None:
    """Look whether the daemon could start: documents, data files, code, ledger. Changes nothing."""
    from node.daemon import check as look
    from node.enrolment import load

    home = Home(root)
    found = look(home, load(home))
    _print({"ready": found}, as_json, "\n".join(f"ok: {line}" for line in found))


@commands.command()
@_DIRECTORY
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
@_DIRECTORY
@click.option("--hub", help="Address of the hub, host:port.  [default: hub in node.toml]")
@click.option(
    "--patience",
    type=float,
    default=30.0,
    show_default=True,
    help="Seconds to wait for the hub's first answer.",
)
def run(root: Path, hub: str | None, patience: float) -> None:
    """Run the daemon: build presence, wait for orders, answer those that were agreed to."""
    from node.daemon import Daemon

    shell.daemon()
    Daemon(Home(root), hub, patience).run()


@commands.command()
@_JSON
def algorithms(as_json: bool) -> None:
    """List the statistics that are installed, with the digest of their code."""
    from node.statistics.registry import algorithms as installed

    found = installed()
    _print(found, as_json, "\n".join(f"{name}  {digest}" for name, digest in found.items()))


@commands.command()
@_DIRECTORY
@click.argument("product")
@click.option("--from", "first", type=_DAY, required=True, help="First local day.")
@click.option("--to", "last", type=_DAY, show_default="the first day", help="Last local day.")
@click.option(
    "--revision", type=click.IntRange(0), default=0, help="A higher number is measured and charged again."
)
@_JSON
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

    found = planned(Home(root), product, (first.date(), (last or first).date()), revision)
    if image:
        write_picture(picture(found), image)
    if as_json:
        click.echo(found.as_json())
    else:
        print_plan(found, Console(markup=False, emoji=False, highlight=False))


@commands.group()
def ledger() -> None:
    """Look at the privacy ledger; it may be in use."""


@ledger.command()
@_DIRECTORY
@_JSON
def show(root: Path, as_json: bool) -> None:
    """Print what was released, what it cost, and the totals by day and by 31 days."""
    from node.enrolment import load
    from privacy.ledger.summary import summary

    home = Home(root)
    found = summary(home.ledger, load(home).budgets)
    lines = [f"{len(found['charges'])} release(s), head {found['chain_head']}"]
    lines += [
        f"  {c['product']} {c['first_day']} … {c['last_day']}: {c['by_period']} nano-rho, {c['by_day']} a day"
        for c in found["charges"]
    ]
    lines += [f"  day {day}: {nano} of {found['caps']['day']}" for day, nano in found["days"].items()]
    _print(found, as_json, "\n".join(lines))


@ledger.command()
@_DIRECTORY
@click.argument("sequence", type=click.IntRange(1))
@_JSON
def card(root: Path, sequence: int, as_json: bool) -> None:
    """Print the release card of ledger entry SEQUENCE: what it protects, how strongly, by what means."""
    from rich.console import Console

    from node.cards import card_of, print_card

    found = card_of(Home(root), sequence)
    if as_json:
        click.echo(found.model_dump_json(indent=1))
    else:
        print_card(found, Console(markup=False, emoji=False, highlight=False))


@ledger.command()
@_DIRECTORY
def verify(root: Path) -> None:
    """Recompute every entry, the chain and the totals; name the first that does not hold."""
    from privacy.ledger import verify as recompute

    count, head = recompute(Home(root).ledger)
    click.echo(f"ok: {count} entries, head {head}")


@ledger.command()
@_DIRECTORY
def restore(root: Path) -> None:
    """Add to a ledger that was restored from a backup the charges that its witness has.

    Charges can only be added. The bytes of these releases are gone: they cannot be sent again by this node.
    """
    from node.enrolment import keeper_of, load
    from privacy.ledger import restore as add

    home = Home(root)
    own = load(home)
    count = add(home.ledger, own.ledger_identity, keeper_of(home, own.config))
    click.echo(
        f"added {count} charge(s) from the witness" if count else "the ledger has every charge already"
    )


def main() -> None:
    """Entry point of `quorate-node`."""
    shell.run(commands, "quorate-node")
