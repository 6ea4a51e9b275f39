"""What an operator does with its ledger beside releasing: look whether it holds, prune it, restore it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from node.config import Home
from node.enrolment import Agreement, keeper_of, load
from privacy.ledger import Forfeit, forfeit, prune, restore, verify, witness, would_forfeit, would_prune
from privacy.ledger.caps import above_caps
from privacy.ledger.pruning import Pruned

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
    above_caps
        What was spent beyond the caps as they are now, in words; empty if nothing was.
    """

    entries: int
    head: str
    witnessed: int
    above_caps: str


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
    slowly = Slowly(say)
    entries, head = verify(home.ledger, lambda done, of: slowly("checking entries", done, of))
    told, _head = witness.verify(home.ledger, own.ledger_identity, keeper_of(home, own.config))
    return Verified(entries, head, told, above_caps(home.ledger, own.budgets))


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


def restored(home: Home, say: Callable[[str], None]) -> int:
    """Add to a ledger the charges that its witness has; return how many."""
    own = load(home)
    keeper = keeper_of(home, own.config)
    return restore(home.ledger, own.ledger_identity, keeper, progress=Slowly(say))


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
