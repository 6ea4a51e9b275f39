"""The commands of the hub that are about certificates: which there are, and who is let in no longer."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from hub.cli_options import DATABASE, DIRECTORY, JSON, emit, open_store
from hub.config import Home
from quorate.contract import shell


@click.command()
@DIRECTORY
@JSON
@DATABASE
def certificates(root: Path, as_json: bool, database: str | None) -> None:
    """List certificates: who has which, until when, how it came to be, and whether it was revoked."""
    rows = open_store(root, database).certificates.listed()
    lines = [
        f"{row.serial}  {row.identity}  {row.origin}  {row.issued:%Y-%m-%d %H:%M:%S} to "
        f"{row.not_after:%Y-%m-%d %H:%M:%S}" + (f"  REVOKED {row.revoked}" if row.revoked else "")
        for row in rows
    ]
    value = [
        asdict(row) | {"issued": row.issued.isoformat(), "not_after": row.not_after.isoformat()}
        for row in rows
    ]
    emit(value, as_json, "\n".join(map(shell.printable, lines)) or "no certificates yet")


@click.command()
@DIRECTORY
@click.argument("target", metavar="SERIAL|OPERATOR[/N]|office/NAME")
@click.option("--why", required=True, help="The reason, for the list and the audit trail.")
@DATABASE
def revoke(root: Path, target: str, why: str, database: str | None) -> None:
    """Revoke a certificate, or all of an operator, of one of its nodes or of an office.

    Takes effect at the next call, at every hub of this database. Invitations of an operator or node are cancelled
    too. A new invitation, or a request that is signed again, lets them in again.
    """
    from hub.config import load_agreement

    charter = load_agreement(Home(root)).charter
    store = open_store(root, database)
    serials = store.certificates.revoke(target, charter.network, why, charter.operators)
    store.audit("the hub operator", f"revoked {target}", f"{why} ({len(serials)} certificates)")
    click.echo(f"revoked {target}: {len(serials)} certificate(s) on the list, and any that is not on it yet")


@click.command("renew-authority")
@DIRECTORY
@click.option(
    "--root-key",
    type=click.Path(dir_okay=False, path_type=Path),
    show_default="root.key in the directory",
    help="The root's key, where it is kept.",
)
def renew_authority(root: Path, root_key: Path | None) -> None:
    """Make a new authority under the root, before the old one expires or when its key may be known to others.

    Parties notice nothing: they trust the root. Certificates of the old authority stay valid until they are renewed.
    """
    from hub.authority import new_authority
    from quorate.contract.identity import load_certificate

    home = Home(root)
    new_authority(home, root_key or home.root_key)
    until = load_certificate(home.authority).not_valid_after_utc
    click.echo(f"the authority is valid until {until:%Y-%m-%d}; lock the root's key away again")
