"""The ledger against a plain model: any sequence of commits, repeats, forgeries, crashes and restarts.

The model is a dictionary of releases and one of nonces. It adds charges up by looking at every window, and
hashes its own copy of the chain; after every step the ledger must say the same and verify.
"""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from privacy.errors import BudgetExhausted, LedgerProblem
from privacy.ledger import Ledger, Recorded, Terms, verify
from privacy.ledger.entry import GENESIS
from tests.unit.privacy.builders import BUDGETS, IDENTITY, TODAY, UNIT, presence, request_for, residents

POINTS = ("charged", "chained", "stored", "before commit", "after commit")
DAYS = [date(2026, 1, 30), date(2026, 2, 1), date(2026, 2, 14), date(2026, 3, 1), date(2026, 3, 4)]
PERIODS = [
    (date(2026, 1, 1), date(2026, 1, 31)),
    (date(2026, 2, 1), date(2026, 2, 28)),
    (date(2026, 3, 1), date(2026, 3, 31)),
    (date(2026, 2, 23), date(2026, 3, 1)),
]
UNKNOWN = presence(date(2025, 12, 31), 1)
#: First days of all windows that anything here can touch.
HORIZON = [date(2025, 12, 1) + timedelta(days=n) for n in range(125)]

ALL_TERMS = st.one_of(
    st.builds(
        lambda day, units, revision: presence(day, units * UNIT, revision=revision),
        st.sampled_from(DAYS),
        st.sampled_from([1, 2]),
        st.sampled_from([0, 1]),
    ),
    st.builds(
        lambda period, revision: residents(period[0], period[1], UNIT, revision=revision),
        st.sampled_from(PERIODS),
        st.sampled_from([0, 1]),
    ),
    st.just(UNKNOWN),
)
NONCES = st.sampled_from([f"nonce-{number}" for number in range(12)])
RESULTS = st.binary(min_size=1, max_size=40)


class CrashError(BaseException):
    """The process ends here."""


def cost(terms: Terms, length: int, first: date) -> int:
    """Return what a release costs a window: the rule of the specification, over sets of days."""
    window = {first + timedelta(days=n) for n in range(length)}
    read = {terms.first_day + timedelta(days=n) for n in range((terms.last_day - terms.first_day).days + 1)}
    if read <= window:
        return terms.by_period
    dearer = 2 if terms.statistic == "residents" else 1
    return dearer * terms.by_period if read & window and len(read) > 1 else 0


#: Cost of every release in every window of the horizon, worked out once.
_COSTS: dict[tuple[str, int], list[int]] = {}


def costs(terms: Terms, length: int) -> list[int]:
    key = (terms.release_id(), length)
    if key not in _COSTS:
        _COSTS[key] = [cost(terms, length, first) for first in HORIZON]
    return _COSTS[key]


class LedgerMachine(RuleBasedStateMachine):
    """Drives a ledger and its model side by side."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = TemporaryDirectory()
        self.path = Path(self._directory.name) / "ledger.db"
        self.crash_at = ""
        self.released: dict[str, tuple[Terms, Recorded]] = {}
        self.nonces: dict[str, str] = {}
        self.ledger = self._open()

    def _open(self) -> Ledger:
        return Ledger(self.path, IDENTITY, BUDGETS, seam=self._seam)

    def _seam(self, point: str) -> None:
        if point == self.crash_at:
            raise CrashError(point)

    def teardown(self) -> None:
        self.ledger.close()
        self._directory.cleanup()

    # --- the model ----------------------------------------------------------------------------------------

    def total(self, length: int, extra: list[Terms]) -> list[int]:
        made = [terms for terms, _recorded in self.released.values()] + extra
        columns = [costs(terms, length) for terms in made]
        return [sum(column[n] for column in columns) for n in range(len(HORIZON))]

    def affordable(self, terms: Terms) -> bool:
        return (
            terms.first_day >= date(2026, 1, 1)
            and max(self.total(1, [terms])) <= 4 * UNIT
            and max(self.total(31, [terms])) <= 9 * UNIT
        )

    def head(self) -> tuple[int, str]:
        head = GENESIS
        for _terms, recorded in self.released.values():
            head = hashlib.sha256(b"quorate.ledger.entry.v1" + recorded.entry).hexdigest()
        return len(self.released), head

    # --- what can happen ----------------------------------------------------------------------------------

    @rule(terms=ALL_TERMS, nonce=NONCES, result=RESULTS)
    def commit(self, terms: Terms, nonce: str, result: bytes) -> None:
        self._commit(terms, nonce, result, "")

    @rule(terms=ALL_TERMS, nonce=NONCES, result=RESULTS, crash_at=st.sampled_from(POINTS))
    def commit_and_crash(self, terms: Terms, nonce: str, result: bytes, crash_at: str) -> None:
        self._commit(terms, nonce, result, crash_at)

    @precondition(lambda self: self.released)
    @rule(which=st.integers(0), nonce=NONCES, result=RESULTS, crash_at=st.sampled_from(("", *POINTS)))
    def repeat(self, which: int, nonce: str, result: bytes, crash_at: str) -> None:
        terms, _recorded = list(self.released.values())[which % len(self.released)]
        self._commit(terms, nonce, result, crash_at)

    def _commit(self, terms: Terms, nonce: str, result: bytes, crash_at: str) -> None:
        release_id = terms.release_id()
        conflict = self.nonces.get(nonce, release_id) != release_id
        known = self.released.get(release_id)
        refused = not known and not self.affordable(terms)
        reached = crash_at in (("before commit", "after commit") if known else POINTS)
        request = request_for(terms, nonce, result)
        self.crash_at = crash_at
        if conflict:
            with pytest.raises(LedgerProblem, match="was used for another release"):
                self.ledger.commit(request, TODAY)
        elif refused:
            with pytest.raises(BudgetExhausted):
                self.ledger.commit(request, TODAY)
        elif reached:
            with pytest.raises(CrashError):
                self.ledger.commit(request, TODAY)
            self.crash_at = ""
            self.ledger.close()
            self.ledger = self._open()
            found = self.ledger.find(terms, nonce)
            if crash_at == "after commit":
                assert found is not None, "what was committed outlives a crash"
                self._note(terms, nonce, found, result)
            else:
                assert found == (known[1] if known else None), "a crash before the commit leaves nothing"
        else:
            self._note(terms, nonce, self.ledger.commit(request, TODAY), result)
        self.crash_at = ""

    def _note(self, terms: Terms, nonce: str, recorded: Recorded, result: bytes) -> None:
        release_id = terms.release_id()
        if release_id in self.released:
            assert recorded == self.released[release_id][1], "the same terms return the same bytes"
        else:
            assert recorded.result == result
            self.released[release_id] = (terms, recorded)
        self.nonces[nonce] = release_id

    @rule(terms=ALL_TERMS, nonce=NONCES)
    def look(self, terms: Terms, nonce: str) -> None:
        release_id = terms.release_id()
        if self.nonces.get(nonce, release_id) != release_id:
            with pytest.raises(LedgerProblem, match="was used for another release"):
                self.ledger.find(terms, nonce)
        else:
            known = self.released.get(release_id)
            assert self.ledger.find(terms, nonce) == (known[1] if known else None)
        charge = terms.charge()
        if self.affordable(terms):
            self.ledger.require_room(charge)
        else:
            with pytest.raises(BudgetExhausted):
                self.ledger.require_room(charge)

    @rule(who=st.sampled_from((IDENTITY, IDENTITY, IDENTITY.replace("north", "south"))))
    def restart(self, who: str) -> None:
        with pytest.raises(LedgerProblem, match="is open in another process"):
            self._open()
        self.ledger.close()
        if who != IDENTITY:
            with pytest.raises(LedgerProblem, match="expected version 2 of spiffe://small/operator/south"):
                Ledger(self.path, who, BUDGETS)
        self.ledger = self._open()

    # --- what always holds --------------------------------------------------------------------------------

    @invariant()
    def the_chain_verifies_and_is_the_models(self) -> None:
        assert verify(self.path) == self.ledger.head == self.head()

    @invariant()
    def the_totals_are_the_models(self) -> None:
        for length in (1, 31):
            totals = dict(zip(HORIZON, self.total(length, []), strict=True))
            assert self.ledger.totals(length) == {first: nano for first, nano in totals.items() if nano}

    @invariant()
    def the_entries_are_the_models_in_order(self) -> None:
        entries = list(self.ledger.entries())
        assert [entry.to_bytes() for entry in entries] == [r.entry for _t, r in self.released.values()]
        for entry, (terms, recorded) in zip(entries, self.released.values(), strict=True):
            assert entry.terms == terms
            assert entry.result_sha256 == hashlib.sha256(recorded.result).hexdigest()
            assert entry.result_length == len(recorded.result)


_COMMON = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


class LongLedgerMachine(LedgerMachine):
    """The same, for longer and with new examples in every run."""


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(_COMMON, max_examples=40, stateful_step_count=25, derandomize=True)
TestLedgerAtLength = pytest.mark.full(LongLedgerMachine.TestCase)
TestLedgerAtLength.settings = settings(_COMMON, max_examples=400, stateful_step_count=50)
