"""A process that writes a ledger is killed −9 at random moments; the ledger holds every time."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from privacy.calculus import DAY, MONTH
from privacy.ledger import verify, witness
from quorate.contract.identity import new_signing_key
from tests.faults.ledger_child import WHOSE, keeper_of, ledger_of, request
from tests.harness import ROOT

KILLS = 220


def check(root: Path) -> int:
    """Check everything that must hold after a crash; return the number of releases."""
    count, head = verify(root / "ledger.db")
    ledger = ledger_of(root)
    try:
        totals: Counter[tuple[int, object]] = Counter()
        entries = list(ledger.entries())
        for entry in entries:
            for length in (DAY, MONTH):
                totals.update({(length, first): cost for first, cost in entry.charge.windows(length)})
        assert len({entry.release_id for entry in entries}) == count, "a release was charged twice"
        for length in (DAY, MONTH):
            assert ledger.totals(length) == {
                first: nano for (n, first), nano in totals.items() if n == length
            }
        if count:
            last = request(2 * (count - 1))
            known = ledger.find(last.terms, last.nonce)
            assert known is not None
            assert known.result in {last.result, request(2 * count - 1).result}
    finally:
        ledger.close()
    assert witness.verify(root / "ledger.db", WHOSE, keeper_of(root)) == (count, head), (
        "the witness caught up"
    )
    return count


@pytest.mark.full
def test_killed_at_random_moments_nothing_is_charged_twice_lost_or_without_bytes(tmp_path: Path) -> None:
    (tmp_path / "operator.key").write_bytes(new_signing_key())
    chance, counts = random.Random(3), [0]
    for _kill in range(KILLS):
        command = [sys.executable, "-m", "tests.faults.ledger_child", str(tmp_path)]
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(chance.uniform(0, 0.06))
        child.kill()
        child.wait()
        child.stdout.close()
        counts.append(check(tmp_path))
    assert counts == sorted(counts), "a committed release is never gone"
    assert len(set(counts)) > KILLS // 2, "the kills came while the ledger was written"
    print(f"\n{KILLS} kills, {counts[-1]} releases of {WHOSE}, verified each time")
