"""What an operator does with its ledger beside releasing: look whether it holds, prune it, restore it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from node.config import Home
from node.enrolment import Agreement, keeper_of, load
from privacy.ledger import (
    Forfeit,
    forfeit,
    problems,
    prune,
    restore,
    verify,
    witness,
    would_forfeit,
    would_prune,
)
from privacy.ledger.caps import above_caps
from privacy.ledger.copies import backup, put_back
from privacy.ledger.pruning import Pruned
from privacy.ledger.summary import gaps

#: Who waits longer than this is told what is being done.
PATIENCE_SECONDS = 2.0


class Slowly:
    """Tells, every two seconds, how far something is that takes its time.

    Parameters
    ----------
    say
        Takes a line.
    clock
        Returns seconds.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._next = clock() + PATIENCE_SECONDS

    def __call__(self, what: str, done: int, of: int) -> None:
        """Tell what is being done, and how much of how much is done; 0 of 0 if that is not known."""
        if self._clock() >= self._next:
            self._next = self._clock() + PATIENCE_SECONDS
            self._say(f"{what}: {done:,} of {of:,}" if of else what)


def today(own: Agreement) -> date:
    """Return the current local day of the charter."""
    return datetime.now(ZoneInfo(own.charter.time_zone)).date()


def require_sound(home: Home, own: Agreement) -> int:
    """Check the whole ledger and its witness; return the number of entries so far.

    Raises
    ------
    LedgerProblem
        If one of them does not hold, or the ledger ends before its witness.
    """
    entries = verify(home.ledger)[0] if home.ledger.exists() else 0
    witness.verify(home.ledger, own.ledger_identity, keeper_of(home, own.config))
    return entries


@dataclass(frozen=True)
class Verified:
    """A ledger that holds.

    Attributes
    ----------
    entries, head
        Number of entries, and the head after the last of them.
    witnessed
        How many of the entries its witness has.
    pruned
        How many of the entries are pruned: the anchor stands for them, and they could not be recomputed.
    lost
        Number of releases whose bytes are gone with a restored backup.
    forfeits
        How often budgets were given up.
    above_caps
        What was spent beyond the caps as they are now, in words; empty if nothing was.
    """

    entries: int
    head: str
    witnessed: int
    pruned: int
    lost: int
    forfeits: int
    above_caps: str

    def warnings(self) -> list[str]:
        """Return what is no damage, but should be known."""
        lacks = self.entries - self.witnessed
        found = [f"the witness lacks {lacks} of the entries; the node adds them at its next start"] * (
            lacks > 0
        )
        return [*found, self.above_caps] if self.above_caps else found


def verified(home: Home, say: Callable[[str], None]) -> Verified:
    """Check a whole ledger and its witness; both may be in use.

    Parameters
    ----------
    home
        The node's directory.
    say
        Is told how far it is.

    Raises
    ------
    UsageProblem
        If the node is not enrolled or has no ledger.
    LedgerProblem
        Names the first thing that does not hold.
    """
    own = load(home)
    require_there(home, own)
    slowly = Slowly(say)
    entries, head = verify(home.ledger, lambda done, of: slowly("checking entries", done, of))
    told, _head = witness.verify(home.ledger, own.ledger_identity, keeper_of(home, own.config))
    pruned, lost, forfeits = gaps(home.ledger)
    above = above_caps(home.ledger, own.budgets)
    return Verified(entries, head, told, pruned, lost, forfeits, above)


def require_there(home: Home, own: Agreement) -> None:
    """Refuse a ledger that is gone while its witness has entries (LedgerProblem)."""
    keeper = keeper_of(home, own.config)
    if not home.ledger.exists() and keeper.witness.exists() and keeper.witness.stat().st_size:
        raise problems.gone(home.ledger, keeper.witness)


def doubt(home: Home) -> str:
    """Return why the node would not open its ledger, in words; or nothing. Raises like `require_there`."""
    own = load(home)
    require_there(home, own)
    found = witness.doubt(home.ledger, own.ledger_identity, keeper_of(home, own.config))
    return f"the node would not open this ledger: {found.what}; {found.todo}" if found else ""


def pruned(home: Home, before: date, dry_run: bool, say: Callable[[str], None]) -> Pruned:
    """Delete what is older than a retention date, or return what would be deleted.

    Raises
    ------
    UsageProblem
        If the node is not enrolled or has no ledger, or the date is in the future.
    LedgerProblem
        If the ledger is in use, does not hold, or does not agree with its witness.
    """
    own = load(home)
    if dry_run:
        return would_prune(home.ledger, before, today(own), Slowly(say))
    keeper = keeper_of(home, own.config)
    return prune(home.ledger, own.ledger_identity, keeper, before, today(own), progress=Slowly(say))


def pruned_as_json(found: Pruned, before: date, dry_run: bool) -> dict[str, Any]:
    """Return what was pruned for a program."""
    return {
        "before": before.isoformat(),
        "dry_run": dry_run,
        "entries": found.entries,
        "result_bytes": found.result_bytes,
        "first_kept": found.kept_by,
        "anchor": found.anchor.model_dump(mode="json") if found.anchor else None,
    }


def pruned_as_text(found: Pruned, before: date, dry_run: bool) -> str:
    """Return what was pruned for a person."""
    kept = f"entry {found.kept_by} is kept: it reads {before} or a later day"
    if found.anchor is None:
        return f"nothing to delete: {kept if found.kept_by else 'the ledger has no entries'}"
    done = "would delete" if dry_run else "deleted"
    lines = [
        f"{done} {found.entries} entries with {found.result_bytes:,} bytes of results",
        f"days before {found.anchor.first_day} {'would have' if dry_run else 'have'} no budget any more",
    ]
    return "\n".join([*lines, kept] if found.kept_by else lines)


def restored(home: Home, say: Callable[[str], None], copy: Path | None = None) -> int:
    """Add to a ledger the charges that its witness has, and look whether it holds then; return how many.

    Parameters
    ----------
    home
        The node's directory.
    say
        Is told how far it is.
    copy
        A backup that is put in the place of the ledger before.

    Raises
    ------
    UsageProblem
        If the node is not enrolled, or there is no witness or no such backup.
    LedgerProblem
        If backup, ledger or witness do not hold, or the ledger is in use.
    """
    own, slowly = load(home), Slowly(say)
    keeper = keeper_of(home, own.config)
    if copy:
        if not keeper.witness.exists():
            raise problems.no_witness(keeper.witness)
        put_back(home.ledger, own.ledger_identity, copy, lambda *far: slowly("checking entries", *far))
    count = restore(home.ledger, own.ledger_identity, keeper, progress=slowly)
    verify(home.ledger, lambda *far: slowly("checking entries", *far))
    return count


def backed_up(home: Home, target: Path) -> int:
    """Copy the ledger into a new file, also while the node runs; return the number of its bytes."""
    require_there(home, load(home))
    return backup(home.ledger, target)


def to_forfeit(home: Home) -> Forfeit:
    """Return what `forfeited` would record; changes nothing."""
    own = load(home)
    return would_forfeit(home.ledger, own.ledger_identity, keeper_of(home, own.config), today(own))


def forfeited(home: Home) -> Forfeit:
    """Give up every budget that may have been spent, and start a new witness."""
    own = load(home)
    return forfeit(home.ledger, own.ledger_identity, keeper_of(home, own.config), today(own))


def forfeit_as_text(home: Home, found: Forfeit) -> str:
    """Return what a forfeit gives up."""
    first_day, last_day = found.first_day, load(home).budgets.last_day
    after = (
        f"days from {first_day} to {last_day} keep theirs"
        if first_day <= last_day
        else f"the charter ends on {last_day}: nothing can be released under it any more"
    )
    return (
        f"days before {first_day} lose what is left of their budgets, for good: each of them may have been charged,\n"
        f"or be in 31 days that were charged, after the backup was made; {after}"
    )
