"""Commits releases to a ledger without end, until it is killed: python -m tests.faults.ledger_child DIRECTORY."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from privacy.calculus import Budgets
from privacy.ledger import Keeper, Ledger, Request, Terms
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS, declare
from privacy.terms import LevelTerms
from quorate.contract.identity import load_signing_key

WHOSE = "demo/mno1"
FIRST = date(2026, 1, 1)
BUDGETS = Budgets(day=10**11, month=10**12, first_day=FIRST, last_day=date(2026, 12, 31))


def keeper_of(root: Path) -> Keeper:
    """Return the key and the witness of a directory."""
    return Keeper(load_signing_key((root / "operator.key").read_bytes()), root / "witness.jsonl")


def ledger_of(root: Path) -> Ledger:
    """Open the ledger of a directory with its key and witness."""
    return Ledger(root / "ledger.db", WHOSE, BUDGETS, keeper=keeper_of(root))


def request(number: int) -> Request:
    """Return a request; every third one is of a period across windows, and each release is asked for twice."""
    revision = number // 2
    residents = revision % 3 == 0
    first = FIRST + timedelta(days=revision % 200)
    last = first + timedelta(days=20 if residents else 0)
    statistic = RESIDENTS if residents else PRESENCE_BY_HOUR
    terms = Terms(
        product=statistic,
        statistic=statistic,
        parameters={},
        zoning="0" * 64,
        keyset="1" * 64,
        levels=(LevelTerms(name="zone", share_permille=1000, by_period=1_000, scale_milli=3_500_000),),
        first_day=first,
        last_day=last,
        bounds=declare(statistic, {}, 24),
        mechanism="discrete-gaussian",
        by_period=1_000,
        charter_version=1,
        revision=revision,
    )
    # Other bytes at every request: a release that is asked for again must keep its first ones.
    return Request(terms, f"{number:032x}", f"bytes of request {number}".encode() * 50, b"snapshot")


def requests(start: int) -> Iterator[Request]:
    """Yield requests for ever."""
    number = start
    while True:
        yield request(number)
        number += 1


if __name__ == "__main__":
    home = Path(sys.argv[1])
    ledger = ledger_of(home)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for wanted in requests(2 * ledger.head[0]):
        ledger.commit(wanted, FIRST)
