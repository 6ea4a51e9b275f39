"""The commands of the hub that are about certificates: which there are, and who is let in no longer."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click
from cryptography.hazmat.primitives import hashes

from hub.cli_options import DATABASE, DIRECTORY, JSON, emit, open_store
from hub.config import Home
from privacy.errors import UsageProblem
from quorate.contract import shell
from quorate.contract.identity import OPERATOR, Identity, load_certificate

_UNITS = {"m": 60, "h": 3600, "d": 86_400}


class Duration(click.ParamType[timedelta]):
    """A number with m, h or d."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the time (a usage error if it is none)."""
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"([1-9][0-9]{0,3})([mhd])", str(value))
        if match is None:
            self.fail(f"{value!r} is not a duration: give for example 90m, 24h or 7d", param, ctx)
        return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


@click.command()
@DIRECTORY
@click.argument("operator")
@click.option(
    "--node", type=click.IntRange(0, 9999), default=0, show_default=True, help="Number of the node."
)
@click.option("--expires", type=Duration(), default="24h", show_default=True, help="How long it can be used.")
@JSON
@DATABASE
def invite(
    root: Path, operator: str, node: int, expires: timedelta, as_json: bool, database: str | None
) -> None:
    """Make a one-time token with which a node of OPERATOR enrols; it is printed once and kept nowhere.

    Tell the operator the token and the fingerprint over different channels.
    """
    from hub.config import load_agreement
    from hub.store import store_of

    home = Home(root)
    charter = load_agreement(home).charter
    if operator not in charter.operators:
        raise UsageProblem(
            f"operator {operator} is not in version {charter.version} of the charter",
            todo=f"the charter names: {', '.join(charter.operators)}",
        )
    identity = Identity(charter.network, OPERATOR, operator, node)
    with closing(store_of(home, database)) as store:
        token, ends = store.invitations.invite(identity, expires)
        store.audit(
            "the hub operator", f"invited {operator}/{node}", f"until {ends.isoformat(timespec='seconds')}"
        )
    fingerprint = load_certificate(home.root_certificate).fingerprint(hashes.SHA256()).hex()
    value = {
        "identity": identity.uri,
        "token": token,
        "expires": ends.isoformat(timespec="seconds"),
        "fingerprint": fingerprint,
    }
    text = f"token:        {token}\nfor:          {identity.uri}\nuntil:        {value['expires']}"
    emit(value, as_json, f"{text}\nfingerprint:  {fingerprint}")


@click.command()
@DIRECTORY
@JSON
@DATABASE
def certificates(root: Path, as_json: bool, database: str | None) -> None:
    """List certificates: who has which, until when, how it came to be, and whether it was revoked."""
    with closing(open_store(root, database)) as store:
        rows = store.certificates.listed()
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
    with closing(open_store(root, database)) as store:
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

    home = Home(root)
    new_authority(home, root_key or home.root_key)
    until = load_certificate(home.authority).not_valid_after_utc
    click.echo(f"the authority is valid until {until:%Y-%m-%d}; lock the root's key away again")
