"""The ledger in SQLite: charge, noised bytes and chain entry are one transaction, or nothing.

Rules
-----
- A release is identified by its terms. The same terms again return the stored bytes, at no charge.
- A nonce belongs to one release; with other terms it is a conflict.
- The budgets of every day and window are checked inside the transaction, before anything is written.
- There is no refund, and nothing is ever changed or deleted.
- One process at a time has the ledger open for writing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from privacy.calculus import Budgets, Charge, charge, require_room
from privacy.errors import LedgerProblem, NonceConflict, PrivacyProblem
from privacy.ledger import witness
from privacy.ledger.entry import GENESIS, Entry, Terms, head_after
from privacy.ledger.files import lock, open_writable, reporting
from privacy.ledger.witness import Keeper, Line
from privacy.noise import Sampler

#: Adds a cost to the running total of a window.
CHARGE = "INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET nano = nano + excluded.nano"
Seam = Callable[[str], None]


def no_seam(_point: str) -> None:
    """Do nothing; tests pass a function that fails at a named point instead."""


@dataclass(frozen=True)
class Request:
    """A release that is ready to be recorded.

    Attributes
    ----------
    terms, charge
        What is released and what it costs.
    nonce
        Of the order that asked; may be used for these terms only.
    result
        Noised bytes exactly as they will leave.
    snapshot
        SHA-256 of the data snapshot; enters the ledger only as a commitment.
    sampler
        Which sampler drew the noise.
    """

    terms: Terms
    charge: Charge
    nonce: str
    result: bytes
    snapshot: bytes
    sampler: Sampler = "opendp"


@dataclass(frozen=True)
class Recorded:
    """A release as the ledger holds it: the entry as it was hashed, the head after it, and the bytes."""

    entry: bytes
    head: str
    result: bytes


class Ledger:
    """The ledger of one operator, open for writing.

    Parameters
    ----------
    path
        The database; made if it is not there.
    identity
        Whose ledger it is; a ledger of somebody else is refused.
    budgets
        Caps by day and month, and the days that have a budget.
    keeper
        The operator's signing key and witness; without one, heads are not signed and a restored ledger is not
        recognised.
    seam
        Called with the name of each point that tests make fail.

    Raises
    ------
    LedgerProblem
        If another process has it open, it is damaged or somebody else's, or it ends before its witness.
    """

    def __init__(
        self,
        path: Path,
        identity: str,
        budgets: Budgets,
        *,
        keeper: Keeper | None = None,
        seam: Seam = no_seam,
    ) -> None:
        self._path, self._identity, self._budgets = path, identity, budgets
        self._keeper, self._seam = keeper, seam
        self._lock = lock(path)
        try:
            self._db = open_writable(path, identity)
            try:
                self._meet_witness()
            except BaseException:
                self._db.close()
                raise
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Close the database and let another process open it."""
        self._db.close()
        os.close(self._lock)

    @property
    def head(self) -> tuple[int, str]:
        """Number of entries, and hash of the last."""
        with reporting(self._path):
            query = "SELECT sequence, head FROM entry ORDER BY sequence DESC LIMIT 1"
            row = self._db.execute(query).fetchone()
        return (int(row[0]), str(row[1])) if row else (0, GENESIS)

    def find(self, terms: Terms, nonce: str) -> Recorded | None:
        """Return what was recorded for these terms, or None.

        Raises
        ------
        NonceConflict
            If the nonce was used for other terms.
        LedgerProblem
            If these terms were charged, but their bytes are lost.
        """
        release_id = terms.release_id()
        with reporting(self._path):
            lost = self._db.execute("SELECT 1 FROM lost WHERE release_id = ?", (release_id,)).fetchone()
            used = self._db.execute("SELECT release_id FROM nonce WHERE nonce = ?", (nonce,)).fetchone()
            row = self._db.execute(
                "SELECT entry, head, bytes FROM entry JOIN result USING (release_id) WHERE release_id = ?",
                (release_id,),
            ).fetchone()
        if used and used[0] != release_id:
            raise NonceConflict(
                "the nonce of this order was used for another release",
                means="the order is a forgery or a defect of the hub; nothing was charged or sent",
                todo="report it to the hub operator",
            )
        if lost:
            raise LedgerProblem(
                "this release was charged, but its bytes were lost with a restored backup",
                means="it cannot be sent again, and drawing new noise for it would cost a new charge",
                todo="the hub may have the bytes; otherwise ask for a revision of the release",
            )
        return Recorded(*row) if row else None

    def remember(self, terms: Terms, nonce: str) -> None:
        """Note that a nonce belongs to a release that was recorded before."""
        with self._transaction():
            self._db.execute("INSERT OR IGNORE INTO nonce VALUES (?, ?)", (nonce, terms.release_id()))

    def require_room(self, charge: Charge) -> None:
        """Refuse a charge that the budgets cannot bear (BudgetExhausted); changes nothing."""
        with reporting(self._path):
            spent = self._spent(charge)
        require_room(charge, self._budgets, spent)

    def commit(self, request: Request, today: date) -> Recorded:
        """Record a release: check, charge, store its bytes and extend the chain, in one transaction.

        Returns
        -------
        Recorded
            The new record; or the old one, if these terms were recorded before.

        Raises
        ------
        BudgetExhausted
            If a day or window cannot bear the charge; nothing is written.
        PrivacyProblem
            If the charge is not what the terms cost, or there are no bytes.
        ResourceProblem
            If the disk is full; nothing is written.
        """
        _require_sound(request)
        with self._transaction():
            known = self.find(request.terms, request.nonce)
            if known is None:
                self.require_room(request.charge)
                known = self._record(request, today)
            self._db.execute(
                "INSERT OR IGNORE INTO nonce VALUES (?, ?)", (request.nonce, request.terms.release_id())
            )
            self._seam("before commit")
        self._seam("after commit")
        self._tell_witness()
        self._seam("witnessed")
        return known

    def totals(self, length: int) -> dict[date, int]:
        """Return nano-ρ spent by first day of each window of `length` days that was charged."""
        query = "SELECT first_day, nano FROM spent WHERE length = ? ORDER BY 1"
        with reporting(self._path):
            rows = self._db.execute(query, (length,)).fetchall()
        return {date.fromisoformat(first): int(nano) for first, nano in rows}

    def entries(self) -> Iterator[Entry]:
        """Yield the entries in order."""
        with reporting(self._path):
            rows = self._db.execute("SELECT entry FROM entry ORDER BY sequence").fetchall()
        for number, (entry,) in enumerate(rows, start=1):
            try:
                yield Entry.model_validate_json(entry)
            except ValueError:
                raise LedgerProblem(
                    f"entry {number} of the ledger cannot be read", todo="run quorate-node ledger verify"
                ) from None

    def _record(self, request: Request, today: date) -> Recorded:
        sequence, previous = self.head
        opening = os.urandom(32)
        entry = Entry(
            sequence=sequence + 1,
            previous=previous,
            release_id=request.terms.release_id(),
            terms=request.terms,
            charge=request.charge,
            sampler=request.sampler,
            result_sha256=hashlib.sha256(request.result).hexdigest(),
            result_length=len(request.result),
            commitment=hashlib.sha256(b"quorate.snapshot.v1" + opening + request.snapshot).hexdigest(),
            recorded_on=today,
        )
        recorded = Recorded(entry.to_bytes(), head_after(entry.to_bytes()), request.result)
        self._charge(request.charge)
        self._seam("charged")
        signature = self._keeper.sign(self._identity, entry.sequence, recorded.head) if self._keeper else b""
        row = (entry.sequence, entry.release_id, recorded.entry, recorded.head, opening, signature)
        self._db.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)", row)
        self._seam("chained")
        self._db.execute("INSERT INTO result VALUES (?, ?)", (entry.release_id, recorded.result))
        self._seam("stored")
        return recorded

    def _lines(self, after: int) -> list[Line]:
        rows = self._db.execute(
            "SELECT entry, head, signature FROM entry WHERE sequence > ? ORDER BY sequence", (after,)
        )
        return [Line(*row) for row in rows]

    def _meet_witness(self) -> None:
        """Compare with the witness; tell it what it lacks, and stop if it knows more."""
        if self._keeper is None:
            return
        witnessed = witness.read(self._keeper.witness)
        witness.require_chain(witnessed, self._identity, self._keeper.key.public_key())
        with reporting(self._path):
            untold, lacking = witness.missing(self._lines(0), witnessed)
        if lacking:
            raise witness.behind(len(lacking))
        self._told = len(witnessed)
        if untold:
            self._tell_witness()

    def _tell_witness(self) -> None:
        """Append what was committed since the last time; durable before anything is sent."""
        if self._keeper is None:
            return
        with reporting(self._path):
            lines = self._lines(self._told)
            witness.append(self._keeper.witness, lines)
        self._told += len(lines)

    def _charge(self, charge: Charge) -> None:
        self._db.executemany(
            CHARGE,
            [
                (length, first.isoformat(), cost)
                for length, _cap in self._budgets.caps()
                for first, cost in charge.windows(length)
            ],
        )

    def _spent(self, charge: Charge) -> dict[tuple[int, date], int]:
        spent: dict[tuple[int, date], int] = {}
        for length, _cap in self._budgets.caps():
            firsts = [first.isoformat() for first, _cost in charge.windows(length)]
            rows = self._db.execute(
                "SELECT first_day, nano FROM spent WHERE length = ? AND first_day BETWEEN ? AND ?",
                (length, firsts[0], firsts[-1]),
            )
            spent |= {(length, date.fromisoformat(first)): int(nano) for first, nano in rows}
        return spent

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with reporting(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _require_sound(request: Request) -> None:
    terms = request.terms
    if request.charge != charge(terms.bounds, terms.first_day, terms.last_day, terms.by_period):
        raise PrivacyProblem("the charge is not what the terms of the release cost")
    if not request.result:
        raise PrivacyProblem("a release without bytes cannot be recorded")
