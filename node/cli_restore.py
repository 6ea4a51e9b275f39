"""The command that gives a restored ledger its charges back: from its witness, from the hub, or by giving them up."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from node.cli_options import DIRECTORY, JSON, emit, to_stderr
from node.config import Home
from privacy.errors import UsageProblem


@click.command()
@DIRECTORY
@click.option(
    "--without-witness",
    is_flag=True,
    help="The witness is lost as well: give up every budget that may have been spent.",
)
@click.option(
    "--from",
    "copy",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Put this backup in the place of the ledger first.",
)
@click.option(
    "--from-hub",
    is_flag=True,
    help="Then add what the hub's copy has beyond the witness: for a witness that was restored as well, or is lost.",
)
@click.option("--hub", help="Address of the hub, host:port; with --from-hub.  [default: hub in node.toml]")
@click.option("--yes", is_flag=True, help="Do not ask; with --without-witness.")
@click.option(
    "--dry-run", is_flag=True, help="Only say what would be done; with --from-hub or --without-witness."
)
@JSON
def restore(
    root: Path,
    without_witness: bool,
    copy: Path | None,
    from_hub: bool,
    hub: str | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Add to a ledger that was restored from a backup the charges that its witness has.

    Charges can only be added. The bytes of these releases are gone: they cannot be sent again by this node.

    With --from-hub the charges come from what this operator has published as well. They count only under this
    operator's own signature, so the hub can invent none, and leave out none but the last; the copy is refused if it
    ends before an entry that there is a receipt for. If anything does not hold, the ledger stays as it is.

    The daemon must not be running.
    """
    from node.ledgers import restored

    home = Home(root)
    if from_hub:
        if copy or without_witness or yes:
            raise click.UsageError(
                "--from, --without-witness and --yes are steps of their own beside --from-hub"
            )
        _restore_from_hub(home, hub, dry_run, as_json)
        return
    if hub:
        raise click.UsageError("--hub goes with --from-hub")
    if without_witness:
        if copy or as_json:
            raise click.UsageError("--from and --json do not go with --without-witness")
        _restore_without_witness(home, yes, dry_run)
        return
    if yes or dry_run:
        raise click.UsageError("--yes and --dry-run go with --without-witness, and --dry-run with --from-hub")
    count = restored(home, to_stderr, copy)
    text = (
        f"added {count} charge(s) from the witness; their bytes are lost: quorate-node ledger show names them"
        if count
        else "the ledger has every charge already"
    )
    emit({"added": count}, as_json, text)


def _restore_from_hub(home: Home, hub: str | None, dry_run: bool, as_json: bool) -> None:
    from node.restoring import restored_as_text, restored_from_hub

    found = restored_from_hub(home, hub, to_stderr, dry_run=dry_run)
    emit(asdict(found) | {"dry_run": dry_run}, as_json, restored_as_text(found, dry_run))
    if not found.witnessed:
        to_stderr(
            "warning: the witness is not there, so the node does not start; docs/operator.md says under `The witness "
            "is lost` what to do now"
        )


def _restore_without_witness(home: Home, yes: bool, dry_run: bool) -> None:
    from node.ledgers import forfeit_as_text, forfeited, to_forfeit

    click.echo(forfeit_as_text(home, to_forfeit(home)))
    if dry_run:
        return
    if not (yes or _confirmed("Give these budgets up?")):
        click.echo("nothing was changed")
        return
    found = forfeited(home)
    click.echo(f"recorded as entry {found.sequence}; a new witness was started")


def at_a_terminal() -> bool:
    """Return whether a person can be asked."""
    return sys.stdin.isatty()


def _confirmed(question: str) -> bool:
    """Ask a person; where nobody can be asked, --yes is needed."""
    if not at_a_terminal():
        raise UsageProblem(
            "this needs a yes, and there is no terminal to ask at",
            means="nothing was changed",
            todo="add --yes if it is meant",
        )
    return click.confirm(question)
