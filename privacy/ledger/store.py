"""The ledger in SQLite: charge, noised bytes and chain entry are one transaction, or nothing.

Rules
-----
- A release is identified by its terms. The same terms again return the stored bytes, at no charge.
- A nonce belongs to one release; with other terms it is a conflict.
- The budgets of every day and window are checked inside the transaction, before anything is written.
- There is no refund. Nothing is changed; only `prune` deletes, and the days that it deletes have no budget any more.
- One process at a time has the ledger open for writing; its threads take turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import date
from itertools import islice
from pathlib import Path
from threading import RLock

from privacy.calculus import Budgets, Charge, require_room
from privacy.errors import BudgetExhausted, BytesLost, LedgerProblem, NonceConflict
from privacy.ledger import rows, witness
from privacy.ledger.anchor import Anchor, Position
from privacy.ledger.entry import Entry, head_after
from privacy.ledger.files import opened, reporting
from privacy.ledger.forfeit import Forfeit, Record
from privacy.ledger.keeper import Keeper
from privacy.ledger.request import Recorded, Request, Seam, no_seam, require_nonce
from privacy.ledger.witness_file import Line
from privacy.ledger.witness_held import Held
from privacy.terms import Terms


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
        #: Sequence of the last entry that the witness has; None if that is not known.
        self._told: int | None = None
        # Threads of one process take turns; a commit with its witness is one turn.
        self._turn = RLock()
        with ExitStack() as stack:
            self._db, self._lock = stack.enter_context(opened(path, identity))
            self._held = stack.enter_context(closing(Held(keeper.witness))) if keeper else None
            with reporting(path):
                self._floor = rows.floor(self._db)
            self._tell_witness()
            self._opened = stack.pop_all()

    def close(self) -> None:
        """Close the database and let another process open it."""
        self._opened.close()

    @property
    def head(self) -> Position:
        """Number of entries so far, and the head after the last of them."""
        with self._reading():
            return rows.head_of(self._db)

    def head_at(self, sequence: int) -> str | None:
        """Return the head after an entry; None if the ledger does not have it, or has it no more."""
        with self._reading():
            return rows.head_at(self._db, sequence)

    def published_after(self, sequence: int, most: int) -> list[Line]:
        """Return at most so many entries after one, as they were hashed, with the heads after them."""
        with self._reading():
            return list(islice(rows.lines_after(self._db, sequence), most))

    @property
    def anchor(self) -> Anchor | None:
        """What stands for the entries that were pruned, if there are any."""
        with self._reading():
            return rows.anchor_of(self._db)

    @property
    def first_day(self) -> date:
        """First day that has a budget, after what was pruned or forfeited."""
        return max(self._budgets.first_day, self._floor or self._budgets.first_day)

    def find(self, terms: Terms, nonce: str) -> Recorded | None:
        """Return what was recorded for these terms, or None.

        Raises
        ------
        NonceConflict
            If the nonce was used for other terms.
        BytesLost
            If these terms were charged, but their bytes are lost.
        """
        release_id = terms.release_id()
        self._require_own_nonce(release_id, nonce)
        with self._reading():
            lost = self._db.execute("SELECT 1 FROM lost WHERE release_id = ?", (release_id,)).fetchone()
            row = self._db.execute(
                "SELECT entry, head, bytes FROM entry JOIN result USING (release_id) WHERE release_id = ?",
                (release_id,),
            ).fetchone()
        if lost:
            raise BytesLost(
                "this release was charged, but its bytes were lost with a restored backup",
                means="it cannot be sent again, and drawing new noise for it would cost a new charge",
                todo="the hub may have the bytes; otherwise ask for a revision of the release",
            )
        return Recorded(*row) if row else None

    def remember(self, terms: Terms, nonce: str) -> None:
        """Note that a nonce belongs to a release that was recorded before, and that may now be sent again.

        Raises
        ------
        NonceConflict
            If the nonce was used for other terms.
        LedgerProblem
            If these terms were never recorded.
        """
        release_id = terms.release_id()
        with self._turn:
            with self._transaction():
                self._require_own_nonce(release_id, nonce)
                query = "SELECT 1 FROM entry WHERE release_id = ?"
                if not self._db.execute(query, (release_id,)).fetchone():
                    raise LedgerProblem(
                        "a release that was never recorded cannot be sent again",
                        means="nothing was charged and nothing was sent",
                        todo="ask for the release itself",
                    )
                self._note(terms, nonce)
            self._tell_witness()

    def require_room(self, charge: Charge) -> None:
        """Refuse a charge that the budgets cannot bear (BudgetExhausted); changes nothing."""
        if self._floor and charge.first_day < self._floor:
            raise BudgetExhausted(
                f"days before {self._floor} have no privacy budget any more",
                means="they were pruned from the ledger, or given up when its witness was lost; "
                "the release is refused",
                todo="ask for later days",
            )
        with self._reading():
            spent: dict[tuple[int, date], int] = {}
            for length, _cap in self._budgets.caps():
                firsts = [first for first, _cost in charge.windows(length)]
                spent |= rows.spent(self._db, length, firsts[0], firsts[-1])
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
            If there are no bytes, it is not said which sampler drew each level, or the bounds or the noise of the
            terms are not what their statistic and their loss ask for.
        LedgerProblem
            If the ledger was moved meanwhile (nothing is written), or its witness was (it is charged, and is to be
            asked for again).
        ResourceProblem
            If the disk is full; nothing is written. If it is the disk of the witness, the release is charged and
            is to be asked for again.
        """
        request.require_sound()
        with self._turn:
            with self._transaction():
                known = self.find(request.terms, request.nonce)
                if known is None:
                    self.require_room(request.terms.charge())
                    known = self._record(request, today)
                self._note(request.terms, request.nonce)
                self._seam("before commit")
            self._seam("after commit")
            self._tell_witness()
            self._seam("witnessed")
        return known

    def totals(self, length: int) -> dict[date, int]:
        """Return nano-ρ spent by first day of each window of `length` days that was charged."""
        with self._reading():
            found = rows.spent(self._db, length, date.min, date.max)
        return {first: nano for (_length, first), nano in found.items()}

    def entries(self) -> Iterator[Entry]:
        """Yield the releases in order, without those that were pruned."""
        return (record for record in self._records() if isinstance(record, Entry))

    def forfeits(self) -> Iterator[Forfeit]:
        """Yield the forfeits in order, without those that were pruned."""
        return (record for record in self._records() if isinstance(record, Forfeit))

    def _records(self) -> Iterator[Record]:
        with self._reading():
            yield from (record for record, _head in rows.records(self._db))

    def _record(self, request: Request, today: date) -> Recorded:
        entry, opening = request.entry(self.head, today)
        raw = entry.to_bytes()
        recorded = Recorded(raw, head_after(raw), request.result)
        rows.add_charge(self._db, entry.charge)
        self._seam("charged")
        signature = self._keeper.sign(self._identity, entry.sequence, recorded.head) if self._keeper else b""
        rows.put(self._db, entry, Line(raw, recorded.head, signature), opening)
        self._seam("chained")
        self._db.execute("INSERT INTO result VALUES (?, ?)", (entry.release_id, recorded.result))
        self._seam("stored")
        return recorded

    def _require_own_nonce(self, release_id: str, nonce: str) -> None:
        require_nonce(nonce)
        with self._reading():
            used = self._db.execute("SELECT release_id FROM nonce WHERE nonce = ?", (nonce,)).fetchone()
        if used and used[0] != release_id:
            raise NonceConflict(
                "the nonce of this order was used for another release",
                means="the order is a forgery or a defect of the hub; nothing was charged or sent",
                todo="report it to the hub operator",
            )

    def _note(self, terms: Terms, nonce: str) -> None:
        self._db.execute("INSERT OR IGNORE INTO nonce VALUES (?, ?)", (nonce, terms.release_id()))

    def _tell_witness(self) -> None:
        """Append what was committed since the last time; durable before anything is sent."""
        if self._keeper is None or self._held is None:
            return
        # While it is told, and if that fails, it is not known what the witness has.
        told, self._told = self._told, None
        with self._reading():
            self._told = (
                witness.meet(self._db, self._identity, self._keeper, self._held)
                if told is None
                else witness.tell(self._db, self._held, told)
            )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._turn, reporting(self._path):
            yield

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._reading(), rows.transaction(self._db):
            self._lock.require_kept()
            yield
