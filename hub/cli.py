"""The command line of the hub."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import click

from hub import duty_cli
from hub.cli_identities import certificates, invite, renew_authority, revoke
from hub.cli_options import DATABASE, DIRECTORY, JSON, emit
from hub.config import Home
from privacy.errors import UsageProblem
from quorate.contract import shell
from quorate.contract.identity import OFFICE, OPERATOR, Identity
from quorate.contract.logs import LogFormat


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="quorate")
def commands() -> None:
    """Run the hub: it offers task orders, takes noised contributions, and estimates.

    \b
    A new hub, in this order:
      quorate-hub init        makes the certificate authority and the hub's certificate
      quorate-hub check       looks whether charter.json, zoning.json and register.csv fit together
      quorate-hub invite      makes a one-time token with which an operator's node enrols
      quorate-hub sign        signs the requests of operators and offices
      quorate-hub serve       runs the service

    Exit codes are listed in docs/exit-codes.md.
    """


@commands.command()
@DIRECTORY
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
    """Make the root, the authority under it, and the hub's certificate; root.key is not needed afterwards."""
    from hub.authority import found
    from quorate.contract.canonical import read_bytes
    from quorate.contract.identity import load_signing_key
    from quorate.contract.signing import public_key

    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", network):
        raise UsageProblem(f"{network!r} cannot be the name of a network")
    root.mkdir(parents=True, exist_ok=True)
    fingerprint = found(Home(root), network, hosts)
    key = public_key(load_signing_key(read_bytes(Home(root).signing_key)))
    click.echo(
        f"root certificate: {Home(root).root_certificate}\nfingerprint:      {fingerprint}\n"
        f"keys.hub:         {key}   (for the charter)"
    )
    click.echo(f"move {Home(root).root_key} to a place that is not connected, and keep a copy", err=True)


@commands.command()
@DIRECTORY
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
@DATABASE
def sign(
    root: Path,
    request: Path,
    operator: str | None,
    office: str | None,
    out: Path | None,
    database: str | None,
) -> None:
    """Sign the request of an operator's node or of an office, and put the certificate on the list."""
    from hub.authority import sign as issue
    from hub.certificates import SIGNED
    from hub.config import load_agreement
    from hub.store import store_of
    from quorate.contract.canonical import read_bytes
    from quorate.contract.chain import parse_chain

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
    with closing(store_of(Home(root), database)) as store:
        store.certificates.record(parse_chain(certificate, "the new certificate")[0], SIGNED)
    if out is None:
        click.echo(certificate.decode(), nl=False)
    else:
        out.write_bytes(certificate)
        click.echo(f"wrote {out}")


@commands.command()
@DIRECTORY
@JSON
def check(root: Path, as_json: bool) -> None:
    """Look whether charter, zoning and register fit together, and print the digests that parties compare."""
    from hub.config import load_agreement
    from quorate.contract.zoning import Zoning

    home = Home(root)
    # The zoning comes first, and alone: who writes a charter needs its digest.
    zoning = Zoning.read(home.zoning).digest()
    click.echo(f"zoning   {zoning}", err=True)
    charter = load_agreement(home).charter_digest
    emit({"zoning": zoning, "charter": charter}, as_json, f"charter  {charter}")


@commands.command()
@DIRECTORY
@click.option(
    "--listen", help="Address to listen at, host:port; port 0 takes a free one.  [default: hub.toml]"
)
@click.option(
    "--listen-enrolment", help="Address at which nodes enrol with a token, host:port.  [default: hub.toml]"
)
@DATABASE
@shell.LOG_FORMAT
def serve(
    root: Path,
    listen: str | None,
    listen_enrolment: str | None,
    database: str | None,
    log_format: LogFormat,
) -> None:
    """Run the service until it is stopped. Its address is in the file `address` of the directory.

    The tables of the database are made, or brought to this version, when the service starts.
    """
    from hub.server import serve as run

    shell.daemon(log_format)
    run(root, listen, database, listen_enrolment)


for command in (invite, certificates, revoke, renew_authority):
    commands.add_command(command)
for command in (duty_cli.status, duty_cli.operators, duty_cli.tasks, duty_cli.releases, duty_cli.audit):
    commands.add_command(command)


def main() -> None:
    """Entry point of `quorate-hub`."""
    shell.run(commands, "quorate-hub")
