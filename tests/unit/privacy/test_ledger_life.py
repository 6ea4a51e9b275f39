"""A ledger's whole life against a plain model: deaths at any step, backups, lost witnesses, pruning, wrong clocks.

A step is a statement of SQL, or a write, flush or rename of a file. A process that dies before its n-th step has
died after the one before, so all n together are before and after every statement. The model is a list of what was
recorded, and adds charges up by looking at every window.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from privacy.calculus import MONTH
from privacy.errors import BudgetExhausted, LedgerProblem, NonceConflict, UsageProblem
from privacy.ledger import Forfeit, Keeper, Ledger, Terms, forfeit, restore, verify, witness
from privacy.ledger.entry import GENESIS
from tests.unit.privacy.builders import BUDGETS, IDENTITY, UNIT, presence, request_for, residents
from tests.unit.privacy.crashes import dies_before

#: Days by the charter's calendar on which something is released, and on which the clock may stand.
DAYS = [date(2026, 1, 30), date(2026, 2, 1), date(2026, 2, 28), date(2026, 3, 1), date(2026, 5, 4)]
PERIODS = [(date(2026, 1, 1), date(2026, 1, 31)), (date(2026, 2, 23), date(2026, 3, 1))]
CLOCKS = [date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 2), date(2026, 6, 1), date(2025, 12, 31)]
ALL_TERMS = st.one_of(
    st.builds(
        lambda day, revision: presence(day, UNIT, revision=revision), st.sampled_from(DAYS), st.integers(0, 1)
    ),
    st.builds(
        lambda days, revision: residents(days[0], days[1], UNIT, revision=revision),
        st.sampled_from(PERIODS),
        st.integers(0, 1),
    ),
)
NONCES = st.sampled_from([f"nonce-{number}" for number in range(8)])
KEY = Ed25519PrivateKey.generate()
#: More steps than any one action has.
STEPS = st.integers(1, 40)


def head_of(records: list[bytes]) -> str:
    head = GENESIS
    for raw in records:
        head = hashlib.sha256(b"quorate.ledger.entry.v1" + raw).hexdigest()
    return head


class LedgerLife(RuleBasedStateMachine):
    """Drives a ledger with its witness, and a model."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = TemporaryDirectory()
        self.root = Path(self._directory.name)
        self.path, self.keeper = self.root / "ledger.db", Keeper(KEY, self.root / "witness")
        self.today = CLOCKS[0]
        #: Everything that ever left: terms and bytes by release; never forgotten by the model.
        self.left: dict[str, tuple[Terms, bytes]] = {}
        #: The chain since its beginning, releases and forfeits, as it must be now.
        self.chain: list[bytes] = []
        self.charged: list[Terms] = []
        #: Releases of which the ledger has the charge only, and those that it does not know any more.
        self.lost: set[str] = set()
        self.gone: set[str] = set()
        self.nonces: dict[str, str] = {}
        self.floor = BUDGETS.first_day
        self.backup: tuple[Path, int] | None = None
        with self.open():
            pass

    def open(self) -> closing[Ledger]:
        return closing(Ledger(self.path, IDENTITY, BUDGETS, keeper=self.keeper))

    def teardown(self) -> None:
        self._directory.cleanup()

    # --- the model ----------------------------------------------------------------------------------------

    def spent(self, length: int, first: date) -> int:
        window = {first + timedelta(days=n) for n in range(length)}
        return sum(dict(terms.charge().windows(length)).get(min(window), 0) for terms in self.charged)

    def affordable(self, terms: Terms) -> bool:
        charge = terms.charge()
        return terms.first_day >= self.floor and all(
            self.spent(length, first) + cost <= cap
            for length, cap in BUDGETS.caps()
            for first, cost in charge.windows(length)
        )

    # --- what can happen ----------------------------------------------------------------------------------

    @rule(today=st.sampled_from(CLOCKS))
    def the_clock_moves(self, today: date) -> None:
        self.today = today

    @rule(terms=ALL_TERMS, nonce=NONCES, result=st.binary(min_size=1, max_size=40))
    def commit(self, terms: Terms, nonce: str, result: bytes) -> None:
        release_id = terms.release_id()
        with self.open() as ledger:
            if self.nonces.get(nonce, release_id) != release_id:
                with pytest.raises(NonceConflict):
                    ledger.commit(request_for(terms, nonce, result), self.today)
            elif release_id in self.lost:
                with pytest.raises(LedgerProblem, match="bytes were lost"):
                    ledger.commit(request_for(terms, nonce, result), self.today)
            elif self._held(release_id):
                again = ledger.commit(request_for(terms, nonce, result), self.today)
                assert again.result == self.left[release_id][1], "the same terms return the same bytes"
                self.nonces[nonce] = release_id
            elif self.affordable(terms):
                made = ledger.commit(request_for(terms, nonce, result), self.today)
                assert made.result == result
                self._recorded(terms, nonce, made.entry, result)
            else:
                with pytest.raises(BudgetExhausted):
                    ledger.commit(request_for(terms, nonce, result), self.today)

    @rule(terms=ALL_TERMS, nonce=NONCES, result=st.binary(min_size=1, max_size=40), step=STEPS)
    def commit_and_die(self, terms: Terms, nonce: str, result: bytes, step: int) -> None:
        release_id = terms.release_id()
        conflict = self.nonces.get(nonce, release_id) != release_id
        if conflict or release_id in self.lost or not (self._held(release_id) or self.affordable(terms)):
            return

        def action() -> None:
            with self.open() as ledger:
                ledger.commit(request_for(terms, nonce, result), self.today)

        died = dies_before(step, action)
        with self.open() as ledger:
            found = ledger.find(terms, nonce)
            if self._held(release_id):
                assert found is not None
                assert found.result == self.left[release_id][1]
                self._maybe_noted(ledger, terms, nonce)
            elif found is None:
                assert died, "what was committed is there"
            else:
                assert found.result == result
                self._recorded(terms, nonce, found.entry, result)

    def _maybe_noted(self, ledger: Ledger, terms: Terms, nonce: str) -> None:
        """A nonce of a repeat may have been noted or not, when the process died."""
        others = [other for other, _bytes in self.left.values() if other.release_id() != terms.release_id()]
        for other in others[:1]:
            try:
                ledger.find(other, nonce)
            except NonceConflict:
                self.nonces[nonce] = terms.release_id()
            except LedgerProblem:
                return

    def _held(self, release_id: str) -> bool:
        return release_id in self.left and release_id not in self.lost | self.gone

    def _recorded(self, terms: Terms, nonce: str, entry: bytes, result: bytes) -> None:
        release_id = terms.release_id()
        self.left[release_id] = (terms, result)
        self.nonces[nonce] = release_id
        self.chain.append(entry)
        self.charged.append(terms)

    @rule()
    def a_second_writer_is_refused(self) -> None:
        with self.open(), pytest.raises(LedgerProblem, match="is open in another process"):
            self.open()

    @rule()
    def back_up(self) -> None:
        place = self.root / "backup"
        shutil.copy(self.path, place)
        self.backup = place, len(self.chain)

    @precondition(lambda self: self.backup)
    @rule(step=STEPS)
    def restore_the_backup(self, step: int) -> None:
        assert self.backup is not None
        place, length = self.backup
        self._put_back(place)
        if length < len(self.chain):
            with pytest.raises(LedgerProblem):
                self.open()
        dies_before(step, lambda: restore(self.path, IDENTITY, self.keeper))
        restore(self.path, IDENTITY, self.keeper)
        gone = set(self.gone)
        self._forget_bytes(length)
        assert self.gone == gone, "the witness has every charge"

    @precondition(lambda self: self.backup)
    @rule(step=STEPS)
    def restore_the_backup_without_its_witness(self, step: int) -> None:
        assert self.backup is not None
        place, length = self.backup
        self._put_back(place)
        self.keeper.witness.unlink()
        if length:
            with pytest.raises(LedgerProblem):
                self.open()
        made: list[Forfeit] = []
        dies_before(step, lambda: forfeit(self.path, IDENTITY, self.keeper, self._latest()))
        try:
            made.append(forfeit(self.path, IDENTITY, self.keeper, self._latest()))
        except UsageProblem:
            # The process had ended its work before it died.
            with self.open() as ledger:
                made += list(ledger.forfeits())[-1:]
        self._forget_bytes(length)
        self.backup = None
        gone = [
            terms for terms in self.charged if terms.last_day >= made[0].first_day - timedelta(days=MONTH - 1)
        ]
        assert not gone, "whatever was charged after the backup lies in windows without a budget now"
        # The model keeps what was lost as charged: budgets must hold for people, not for files.
        self.chain = self.chain[:length]
        if self.chain[-1:] != [made[0].to_bytes()]:
            self.chain.append(made[0].to_bytes())
        self.floor = max(self.floor, made[0].first_day)

    def _latest(self) -> date:
        """The real day: people were not observed in the future, whatever a clock says."""
        return max([self.today, *(terms.last_day for terms in self.charged)])

    def _put_back(self, place: Path) -> None:
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        shutil.copy(place, self.path)

    def _forget_bytes(self, length: int) -> None:
        # Nonces are not in the chain: those of after the backup are forgotten with it.
        with closing(sqlite3.connect(self.path)) as db:
            self.nonces = dict(db.execute("SELECT nonce, release_id FROM nonce"))
        kept = {hashlib.sha256(raw).hexdigest() for raw in self.chain[:length]}
        with self.open() as ledger:
            for release_id, (terms, _result) in self.left.items():
                try:
                    found = ledger.find(terms, f"look-{release_id}")
                except LedgerProblem:
                    self.lost.add(release_id)
                else:
                    if found is None:
                        self.gone.add(release_id)
                    else:
                        assert hashlib.sha256(found.entry).hexdigest() in kept

    # --- what always holds --------------------------------------------------------------------------------

    @invariant()
    def the_chain_verifies_and_is_the_models(self) -> None:
        expected = len(self.chain), head_of(self.chain)
        assert verify(self.path) == expected
        assert witness.verify(self.path, IDENTITY, self.keeper) == expected

    @invariant()
    def no_person_has_lost_more_than_the_budgets(self) -> None:
        for length, cap in BUDGETS.caps():
            starts = {first for terms in self.charged for first, _cost in terms.charge().windows(length)}
            assert all(self.spent(length, first) <= cap for first in starts)


#: Without shrinking, which takes minutes here and is done by hand.
_COMMON = settings(
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class LongLedgerLife(LedgerLife):
    """The same, for longer and with new examples in every run."""


TestLedgerLife = LedgerLife.TestCase
TestLedgerLife.settings = settings(_COMMON, max_examples=12, stateful_step_count=20, derandomize=True)
TestLedgerLifeAtLength = pytest.mark.full(LongLedgerLife.TestCase)
TestLedgerLifeAtLength.settings = settings(_COMMON, max_examples=150, stateful_step_count=40)
