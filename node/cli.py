"""The command line of an operator's node."""

from __future__ import annotations

import json
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
    click.echo(f"wrote {request}; have the hub operator sign it: quorate-hub sign --request {request}")


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
    from node.daemon import ingest as build
    from node.enrolment import load

    home = Home(root)
    days = build(home, load(home), lambda day: click.echo(f"building presence of {day}", err=True))
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

    shell.log_to_stderr()
    Daemon(Home(root), hub, patience).run()


@commands.command()
@_JSON
def algorithms(as_json: bool) -> None:
    """List the statistics that are installed, with the digest of their code."""
    from node.statistics.registry import algorithms as installed

    found = installed()
    _print(found, as_json, "\n".join(f"{name}  {digest}" for name, digest in found.items()))


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
def verify(root: Path) -> None:
    """Recompute every entry, the chain and the totals; name the first that does not hold."""
    from privacy.ledger import verify as recompute

    count, head = recompute(Home(root).ledger)
    click.echo(f"ok: {count} entries, head {head}")


def main() -> None:
    """Entry point of `quorate-node`."""
    shell.run(commands, "quorate-node")
