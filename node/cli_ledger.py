"""The commands of the node's command line that keep the privacy ledger."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from node.cli_options import DAY, DIRECTORY, JSON, emit, to_stderr
from node.cli_restore import restore
from node.config import Home


@click.group()
def ledger() -> None:
    """Look at the privacy ledger, prune it, restore it."""


@ledger.command()
@DIRECTORY
@JSON
def show(root: Path, as_json: bool) -> None:
    """Print what was released, what it cost, and the totals by day and by 31 days."""
    from node.enrolment import load
    from node.ledgers import require_there
    from privacy.ledger.summary import summary

    home = Home(root)
    own = load(home)
    require_there(home, own)
    warn_of_doubt(root)
    found = summary(home.ledger, own.budgets)
    emit(found, as_json, "\n".join(_shown(found)))


def _shown(found: dict[str, Any]) -> list[str]:
    """Return what the ledger says for a person; of the windows only the fullest."""
    lines, first_day, caps = [], found["first_day"], found["caps"]
    lines.append(f"{len(found['charges'])} release(s), head {found['chain_head']}")
    if found["anchor"]:
        lines.append(f"  {found['anchor']['sequence']} earlier entries were pruned")
    if found["anchor"] or found["forfeits"]:
        lines.append(f"  days before {first_day} have no budget any more")
    lines += [
        f"  {c['sequence']}: {c['product']} {c['first_day']} … {c['last_day']}: {c['by_period']} nano-rho, "
        f"{c['by_day']} a day{'; charged, but its bytes are lost' if c['lost'] else ''}"
        for c in found["charges"]
    ]
    lines += [
        f"  day {day}: {nano} of {caps['day']} nano-rho{'' if day >= first_day else ', no budget any more'}"
        for day, nano in found["days"].items()
    ]
    if found["windows"]:
        day, nano = max(found["windows"].items(), key=lambda window: window[1])
        lines.append(
            f"  fullest {caps['window_days']} days, from {day}: {nano} of {caps['window']} nano-rho (--json has all)"
        )
    return lines


@ledger.command()
@DIRECTORY
@click.argument("sequence", type=click.IntRange(1, 2**62))
@JSON
def card(root: Path, sequence: int, as_json: bool) -> None:
    """Print the release card of ledger entry SEQUENCE: what it protects, how strongly, by what means."""
    from rich.console import Console

    from node.cards import card_of, print_card

    warn_of_doubt(root)
    found = card_of(Home(root), sequence)
    if as_json:
        click.echo(found.model_dump_json(indent=1))
    else:
        print_card(found, Console(markup=False, emoji=False, highlight=False))


@ledger.command()
@DIRECTORY
@JSON
def verify(root: Path, as_json: bool) -> None:
    """Recompute every entry, the chain and the totals, and hold the witness against them.

    Names the first thing that does not hold. Warns if more was spent than the caps allow now, which is no damage:
    caps may be lowered after a charge.
    """
    from node.ledgers import verified

    found = verified(Home(root), to_stderr)
    lines = [
        f"ok: {found.entries} entries, head {found.head}",
        f"ok: the witness has {found.witnessed} of them, and agrees",
    ]
    if found.pruned:
        lines.append(
            f"{found.pruned} of the entries are pruned: their anchor holds, they were not recomputed"
        )
    if found.lost:
        lines.append(
            f"{found.lost} release(s) are charged without bytes, which were lost with a restored backup"
        )
    if found.forfeits:
        lines.append(f"budgets were given up {found.forfeits} time(s), because a witness was lost")
    emit(asdict(found), as_json, "\n".join(lines))
    for warning in found.warnings():
        to_stderr(f"warning: {warning}")


@ledger.command()
@DIRECTORY
@click.option(
    "--to",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="A new file; nothing is overwritten.",
)
@JSON
def backup(root: Path, target: Path, as_json: bool) -> None:
    """Copy the ledger as it is at this moment into one file; the node may be running.

    Do not copy ledger.db by itself: what was committed last is in another file beside it.
    """
    from node.ledgers import backed_up

    size = backed_up(Home(root), target)
    emit({"file": str(target), "bytes": size}, as_json, f"wrote {target}, {size:,} bytes")


def warn_of_doubt(root: Path) -> None:
    """Warn on standard error if the node would not open its ledger, so that what it says is out of date."""
    from node.ledgers import doubt

    if found := doubt(Home(root)):
        to_stderr(f"warning: {found}")


@ledger.command()
@DIRECTORY
@click.option(
    "--before",
    type=DAY,
    required=True,
    help="Delete releases that read only days before this one.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@JSON
def prune(root: Path, before: datetime, dry_run: bool, as_json: bool) -> None:
    """Delete releases that are older than a retention date: entries, results, nonces.

    The oldest entries go, up to the first that reads the date or a later day. Days before the date have no budget any
    more. The daemon must not be running.
    """
    from node.ledgers import pruned, pruned_as_json, pruned_as_text

    day = before.date()
    if dry_run:
        warn_of_doubt(root)
    found = pruned(Home(root), day, dry_run, to_stderr)
    emit(pruned_as_json(found, day, dry_run), as_json, pruned_as_text(found, day, dry_run))


ledger.add_command(restore)
