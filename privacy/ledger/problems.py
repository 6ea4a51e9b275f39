"""What can be wrong between a ledger and its witness, in the words of the operator who must act."""

from __future__ import annotations

from pathlib import Path

from privacy.errors import LedgerProblem, UsageProblem

_NOT_OPENED = "it cannot be told whether the ledger has every charge, so it is not opened"


def behind(count: int) -> LedgerProblem:
    """Return the error of a ledger that ends before its witness."""
    return LedgerProblem(
        f"the ledger lacks {count} release(s) that its witness has",
        means="it was restored from a backup; budgets that are spent would be spent again, so it is frozen",
        todo="run quorate-node ledger restore, which adds the missing charges",
    )


def not_pruned() -> LedgerProblem:
    """Return the error of a ledger that still has what its witness says was pruned."""
    return LedgerProblem(
        "the ledger has entries that were pruned from it",
        means="it was restored from a backup that was made before it was pruned, so it is frozen",
        todo="run quorate-node ledger restore, which prunes them again",
    )


def forked(sequence: int) -> LedgerProblem:
    """Return the error of a ledger and a witness that go different ways."""
    return LedgerProblem(
        f"the ledger and its witness disagree at entry {sequence}",
        means="one of them was changed, or they have gone on separately; nothing can be released",
        todo="stop the node, keep both files as evidence, and find out which one is true",
    )


def incomparable(sequence: int) -> LedgerProblem:
    """Return the error of a witness that ends among entries that the ledger has pruned."""
    return LedgerProblem(
        f"the ledger's witness ends at entry {sequence}, which the ledger has pruned",
        means="it is an old copy, and it cannot be told whether the ledger has every charge",
        todo="put the newest copy of the witness in its place",
    )


def missing(witness: Path, count: int) -> LedgerProblem:
    """Return the error of a ledger with entries whose witness is not there."""
    return LedgerProblem(
        f"the ledger has {count} entry(s), but its witness {witness} is not there",
        means=_NOT_OPENED,
        todo="put the witness back, or correct `witness` in node.toml; if it is lost, see "
        "`The witness is lost` in docs/operator.md",
    )


def gone(ledger: Path, witness: Path) -> LedgerProblem:
    """Return the error of a witness whose ledger is not there."""
    return LedgerProblem(
        f"there is no ledger at {ledger}, but its witness {witness} has entries",
        means="its charges are known, its results are not; the node does not start without them",
        todo="run quorate-node ledger restore, with --from BACKUP if there is a backup; or correct --dir",
    )


def copy_forked(sequence: int) -> LedgerProblem:
    """Return the error of a copy at the hub that does not go on from where a ledger ends."""
    return LedgerProblem(
        f"the hub's copy goes another way than this ledger at entry {sequence}",
        means="it was restored and used before its charges were back, or another node has a ledger of its own; "
        "nothing was changed",
        todo="keep ledger and witness as evidence; look for a ledger or a backup that the hub's copy continues, and "
        "run this command with that one",
    )


def copy_lacks(sequence: int) -> LedgerProblem:
    """Return the error of a copy at the hub that does not have the entry that comes next."""
    return LedgerProblem(
        f"the hub's copy does not have entry {sequence}, which comes next in this ledger",
        means="an entry was left out, or the ledger was pruned before it was published first; nothing was changed",
        todo="go back to a newer backup or witness, which has this entry",
    )


def copy_broken(what: str) -> LedgerProblem:
    """Return the error of a copy at the hub with an entry that does not hold."""
    return LedgerProblem(
        f"the hub's copy of the ledger does not hold: {what}",
        means="it is not what this operator published; nothing was changed",
        todo="report it to the hub operator",
    )


def no_witness(witness: Path) -> UsageProblem:
    """Return the error of a restore without anything to restore from."""
    return UsageProblem(
        f"there is no witness at {witness}",
        means="it is not known what was released after the backup, so nothing was changed",
        todo="put the witness back, or correct `witness` in node.toml; if it is lost, "
        "run quorate-node ledger restore --without-witness",
    )


def damaged(place: int | str) -> LedgerProblem:
    """Return the error of a line of the witness, given by its number or as `the last line`."""
    where = f"line {place}" if isinstance(place, int) else place
    return LedgerProblem(
        f"{where} of the ledger's witness does not hold",
        means=_NOT_OPENED,
        todo="restore the witness from its own copy",
    )


def unsigned_anchor() -> LedgerProblem:
    """Return the error of an anchor that the operator's key did not sign."""
    return LedgerProblem(
        "the anchor of the ledger was not signed with the operator's key",
        means="somebody else may have put it in the place of charges, so nothing can be released",
        todo="stop the node, keep the file as evidence, and restore the last backup that verifies",
    )


def witness_in_use(witness: Path) -> LedgerProblem:
    """Return the error of a witness that another process has open."""
    return LedgerProblem(
        f"the ledger's witness {witness} is open in another process",
        means="two copies of one ledger could each spend the same budget, so the second is not opened",
        todo="stop the other quorate-node, or give each node its own `witness` in node.toml",
    )


def witness_changed(witness: Path) -> LedgerProblem:
    """Return the error of a witness that is not what was left there."""
    return LedgerProblem(
        f"the ledger's witness {witness} was moved, replaced or changed while the ledger is open",
        means="nothing is sent before the witness has it; what was charged stays charged",
        todo="put the witness back as it was, then ask for the release again",
    )


def ledger_moved(ledger: Path) -> LedgerProblem:
    """Return the error of a ledger whose file, or whose lock, is not the one that was opened."""
    return LedgerProblem(
        f"the privacy ledger {ledger} or its lock was moved, replaced or linked while it is open",
        means="another process could spend the same budget, so nothing was charged",
        todo="stop the node, see to it that there is one ledger with one name, then start it again",
    )


def unreadable(sequence: int) -> LedgerProblem:
    """Return the error of an entry of the ledger that cannot be read."""
    return LedgerProblem(
        f"entry {sequence} of the ledger cannot be read", todo="run quorate-node ledger verify"
    )


def unreadable_anchor() -> LedgerProblem:
    """Return the error of an anchor of the ledger that cannot be read."""
    return LedgerProblem(
        "the anchor of the ledger cannot be read",
        means="it is not known which entries were pruned, so nothing can be released",
        todo="stop the node, keep the file as evidence, and restore the last backup that verifies",
    )
