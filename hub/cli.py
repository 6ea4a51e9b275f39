"""The command line of the hub."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click

from hub import duty_cli
from hub.cli_options import DATABASE as _DATABASE
from hub.cli_options import DIRECTORY as _DIRECTORY
from hub.cli_options import JSON as _JSON
from hub.config import Home
from privacy.errors import UsageProblem
from quorate.contract import shell
from quorate.contract.identity import OFFICE, OPERATOR, Identity
from quorate.contract.logs import LogFormat


def _print(value: Any, as_json: bool, text: str) -> None:
    click.echo(json.dumps(value, indent=1) if as_json else text)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="quorate")
def commands() -> None:
    """Run the hub: it offers task orders, takes noised contributions, and estimates.

    \b
    A new hub, in this order:
      quorate-hub init        makes the certificate authority and the hub's certificate
      quorate-hub check       looks whether charter.json, zoning.json and register.csv fit together
      quorate-hub sign        signs the requests of operators and offices
      quorate-hub serve       runs the service

    Exit codes are listed in docs/exit-codes.md.
    """


@commands.command()
@_DIRECTORY
@click.option(
    "--network", required=True, help="Name of the network: lower-case letters, digits, '.', '_', '-'."
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    default=("localhost", "127.0.0.1"),
    show_default=True,
    help="Name or address under which nodes reach the hub; can be given again.",
)
def init(root: Path, network: str, hosts: tuple[str, ...]) -> None:
    """Make the root key, the root certificate and the hub's certificate."""
    from hub.authority import found

    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", network):
        raise UsageProblem(f"{network!r} cannot be the name of a network")
    root.mkdir(parents=True, exist_ok=True)
    fingerprint = found(Home(root), network, hosts)
    click.echo(f"root certificate: {Home(root).root_certificate}\nfingerprint:      {fingerprint}")


@commands.command()
@_DIRECTORY
@click.option(
    "--request",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The signing request (PEM).",
)
@click.option("--operator", help="The operator that sent the request.")
@click.option("--office", help="The statistical office that sent the request.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    show_default="standard output",
    help="Where to write the certificate.",
)
def sign(root: Path, request: Path, operator: str | None, office: str | None, out: Path | None) -> None:
    """Sign the request of an operator's node or of an office."""
    from hub.authority import sign as issue
    from hub.config import load_agreement
    from quorate.contract.canonical import read_bytes

    if (operator is None) == (office is None):
        raise click.UsageError("give either --operator or --office")
    charter = load_agreement(Home(root)).charter
    if operator is not None and operator not in charter.operators:
        raise UsageProblem(
            f"operator {operator} is not in version {charter.version} of the charter",
            todo=f"the charter names: {', '.join(charter.operators)}",
        )
    role = OPERATOR if operator is not None else OFFICE
    certificate = issue(
        Home(root), read_bytes(request), Identity(charter.network, role, operator or office or "")
    )
    if out is None:
        click.echo(certificate.decode(), nl=False)
    else:
        out.write_bytes(certificate)
        click.echo(f"wrote {out}")


@commands.command()
@_DIRECTORY
@_JSON
def check(root: Path, as_json: bool) -> None:
    """Look whether charter, zoning and register fit together, and print the digests that parties compare."""
    from hub.config import load_agreement
    from quorate.contract.zoning import Zoning

    home = Home(root)
    # The zoning comes first, and alone: who writes a charter needs its digest.
    zoning = Zoning.read(home.zoning).digest()
    click.echo(f"zoning   {zoning}", err=True)
    charter = load_agreement(home).charter_digest
    _print({"zoning": zoning, "charter": charter}, as_json, f"charter  {charter}")


@commands.command()
@_DIRECTORY
@click.option(
    "--listen", help="Address to listen at, host:port; port 0 takes a free one.  [default: hub.toml]"
)
@_DATABASE
@shell.LOG_FORMAT
def serve(root: Path, listen: str | None, database: str | None, log_format: LogFormat) -> None:
    """Run the service until it is stopped. Its address is in the file `address` of the directory.

    The tables of the database are made, or brought to this version, when the service starts.
    """
    from hub.server import serve as run

    shell.daemon(log_format)
    run(root, listen, database)


for _command in (duty_cli.status, duty_cli.operators, duty_cli.tasks, duty_cli.releases, duty_cli.audit):
    commands.add_command(_command)


def main() -> None:
    """Entry point of `quorate-hub`."""
    shell.run(commands, "quorate-hub")
