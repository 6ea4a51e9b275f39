"""The witness: a file of signed heads that the operator keeps apart from the ledger.

Every committed entry is appended, with the head after it signed by the operator's own key, before anything of the
release is sent. So whatever left the node is in the witness, and a ledger that was restored from a backup shows as
one that ends before its witness does. Such a ledger is not opened; `restore` adds the charges that it lacks.
Charges can only be added this way, never removed.

The head of the last line commits to everything before it. So two files that agree there agree everywhere, and a
ledger is opened by comparing that one line; `verify` looks at every line.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from privacy.errors import LedgerProblem
from privacy.ledger import anchoring, problems, rows, witness_file
from privacy.ledger.anchor import Anchor, Position, SignedAnchor
from privacy.ledger.entry import head_after
from privacy.ledger.files import open_readable
from privacy.ledger.keeper import Keeper, anchor_statement, statement
from privacy.ledger.rows import START
from privacy.ledger.witness_file import Item, Numbered
from privacy.ledger.witness_held import Held


def meet(db: sqlite3.Connection, identity: str, keeper: Keeper, kept: Held) -> int:
    """Compare a ledger with its witness, at a cost that does not depend on their length, and tell it what it lacks.

    Only if the ledger was pruned and the witness not yet, all its lines are added up. An empty file is the operator's
    word that there is nothing to compare with; a broken line alone is not.

    Returns
    -------
    int
        Sequence of the last entry that the witness has now.

    Raises
    ------
    LedgerProblem
        If the ledger ends before its witness, goes another way, or cannot be compared with it.
    """
    anchoring.require_own(db, identity, keeper)
    held = rows.head_of(db)
    if not kept.take():
        if held[0]:
            raise problems.missing(keeper.witness, held[0])
        witness_file.start(keeper.witness)
        kept.take()
        return 0
    told, head = _end(identity, keeper)
    if told > held[0]:
        raise problems.behind(told - held[0])
    if told:
        require_same(db, (told, head))
    else:
        _require_not_torn(keeper, held[0])
    if not told or _is_pruned_further(db, identity, keeper):
        rewrite(db, identity, keeper, kept)
        return held[0]
    return tell(db, kept, told)


def _is_pruned_further(db: sqlite3.Connection, identity: str, keeper: Keeper) -> bool:
    """Return whether the ledger was pruned and its witness not yet, after adding up the lines of the witness."""
    ours = rows.anchor_of(db)
    if not is_pruned_further(ours, _anchor_of(keeper)):
        return False
    if ours:
        with witness_file.reading(keeper.witness) as items:
            anchoring.require_carried(chained(items, identity, keeper), ours)
    return True


def _require_not_torn(keeper: Keeper, entries: int) -> None:
    """Refuse a witness that is a broken line alone, unless it may be the first that was ever written."""
    if entries != 1 and witness_file.is_torn(keeper.witness):
        raise problems.damaged(1)


def tell(db: sqlite3.Connection, kept: Held, told: int) -> int:
    """Append what was committed after entry `told`, durably; return the sequence of the last entry."""
    if rows.head_of(db)[0] == told:
        return told
    return told + kept.append(rows.lines_after(db, told))


def rewrite(db: sqlite3.Connection, identity: str, keeper: Keeper, kept: Held) -> None:
    """Replace the witness by one of the ledger's own anchor and entries, and hold the new one."""
    anchoring.require_own(db, identity, keeper)
    anchor = rows.signed_anchor(db)
    after = anchor.document().sequence if anchor else 0
    witness_file.replace(keeper.witness, anchor, rows.lines_after(db, after))
    kept.take()


def require_same(db: sqlite3.Connection, position: Position) -> None:
    """Refuse a ledger that has another head at a position, or none (LedgerProblem)."""
    sequence, head = position
    if rows.head_at(db, sequence) != head:
        pruned = sequence < rows.begin_of(db)[0]
        raise problems.incomparable(sequence) if pruned else problems.forked(sequence)


def _anchor_of(keeper: Keeper) -> Anchor | None:
    try:
        found = witness_file.first_anchor(keeper.witness)
        return found.document() if found else None
    except ValueError:
        raise problems.damaged(1) from None


def is_newer(one: Anchor | None, other: Anchor | None) -> bool:
    """Return whether one anchor cuts more off than another; no anchor cuts nothing off."""
    return (one.sequence if one else 0) > (other.sequence if other else 0)


def is_pruned_further(ours: Anchor | None, theirs: Anchor | None) -> bool:
    """Return whether a ledger was pruned, and its witness not yet.

    Raises
    ------
    LedgerProblem
        If it is the other way round, or the two differ on what was pruned.
    """
    if is_newer(theirs, ours):
        raise problems.not_pruned()
    if is_newer(ours, theirs):
        return True
    if ours and ours != theirs:
        raise problems.forked(ours.sequence)
    return False


def _end(identity: str, keeper: Keeper) -> Position:
    """Return where the witness ends, after checking that this was signed."""
    item = witness_file.last(keeper.witness)
    if item is None:
        return START
    position, _previous = _place(item, "the last line")
    require_signed(item, position, identity, keeper, "the last line")
    return position


def doubt(ledger: Path, identity: str, keeper: Keeper) -> LedgerProblem | None:
    """Return why a ledger would not be opened, as far as its end and that of its witness tell; None if they agree.

    For commands that only read: what they say of a ledger that was restored from a backup is out of date.
    """
    try:
        # First the end of the witness, then the ledger: what is in the witness by then is in the ledger.
        there = keeper.witness.exists()
        told, head = _end(identity, keeper) if there else START
        with open_readable(ledger) as db:
            entries = rows.head_of(db)[0]
            if entries and not there:
                return problems.missing(keeper.witness, entries)
            if told > entries:
                return problems.behind(told - entries)
            if told:
                require_same(db, (told, head))
    except LedgerProblem as error:
        return error
    return None


def verify(ledger: Path, identity: str, keeper: Keeper) -> Position:
    """Check every line of a witness: one chain, signed at its end, and the same as the ledger's.

    A witness that ends before the ledger is told the rest when the ledger is opened next.

    Parameters
    ----------
    ledger
        The database; it is opened read-only and may be in use. None at all counts as an empty one.
    identity
        Whose ledger it is.
    keeper
        The operator's key and witness.

    Returns
    -------
    tuple of int and str
        Number of entries that the witness knows, and the head after the last of them.

    Raises
    ------
    LedgerProblem
        Names the first line that does not hold, or says how the two differ.
    """
    # First the end of the witness, then the ledger: what is in the witness by then is in the ledger.
    with (
        witness_file.reading(keeper.witness) as items,
        open_readable(ledger) if ledger.exists() else nullcontext() as db,
    ):
        if db:
            anchoring.require_own(db, identity, keeper)
        begin, held = (rows.begin_of(db), rows.head_of(db)) if db else (START, START)
        if held[0] and not keeper.witness.exists():
            raise problems.missing(keeper.witness, held[0])
        position, theirs = START, None
        for _number, position, item in chained(items, identity, keeper):
            if isinstance(item, SignedAnchor):
                theirs = item.document()
            if db and begin[0] <= position[0] <= held[0]:
                require_same(db, position)
        if position[0] > held[0]:
            raise problems.behind(position[0] - held[0])
        if not position[0] and keeper.witness.exists():
            _require_not_torn(keeper, held[0])
        if position[0]:
            is_pruned_further(rows.anchor_of(db) if db else None, theirs)
    return position


def chained(items: Numbered, identity: str, keeper: Keeper) -> Iterator[tuple[int, Position, Item]]:
    """Yield (number, position, line) of a witness whose lines are one chain that was signed at its end.

    Raises
    ------
    LedgerProblem
        At the first line that does not continue the chain, or after the last one if it was not signed.
    """
    before, number, item = START, 0, None
    for number, item in items:
        position, previous = _place(item, number)
        if previous not in (before, None) or (previous is None and number > 1):
            raise problems.damaged(number)
        yield number, position, item
        before = position
    if item is not None:
        require_signed(item, before, identity, keeper, number)


def require_signed(item: Item, position: Position, identity: str, keeper: Keeper, place: int | str) -> None:
    """Refuse a line that was not signed with the operator's key (LedgerProblem)."""
    if isinstance(item, SignedAnchor):
        what = anchor_statement(identity, item.anchor)
    else:
        what = statement(identity, *position)
    if not keeper.signed(item.signature, what):
        raise problems.damaged(place)


def _place(item: Item, number: int | str) -> tuple[Position, Position | None]:
    """Return the position after a line and the one before it; None before an anchor, which begins a chain."""
    try:
        if isinstance(item, SignedAnchor):
            return item.document().position, None
        sequence, previous = item.link()
    except ValueError:
        raise problems.damaged(number) from None
    if head_after(item.entry) != item.head:
        raise problems.damaged(number)
    return (sequence, item.head), (sequence - 1, previous)
