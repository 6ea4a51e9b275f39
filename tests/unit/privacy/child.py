"""A second process for tests of the ledger: `python -m tests.unit.privacy.child COMMAND LEDGER [POINT]`.

crash POINT   commits one release and dies at that point, as if the power went
hold          opens the ledger, commits one release, says so, and keeps it open until standard input ends
commit        opens the ledger and commits another release of the same day
full          commits a release that does not fit on the disk, then one that does once there is room again
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

from privacy.errors import QuorateError
from privacy.ledger import Ledger
from tests.unit.privacy.builders import BUDGETS, IDENTITY, TODAY, UNIT, presence, request_for

DAY = date(2026, 3, 2)
DIED = 77


def crash(path: Path, point: str) -> None:
    def seam(reached: str) -> None:
        if reached == point:
            os._exit(DIED)

    Ledger(path, IDENTITY, BUDGETS, seam=seam).commit(request_for(presence(DAY)), TODAY)


def hold(path: Path) -> None:
    ledger = Ledger(path, IDENTITY, BUDGETS)
    ledger.commit(request_for(presence(DAY, 3 * UNIT), "held"), TODAY)
    print("holding", flush=True)
    sys.stdin.read()
    ledger.close()


def commit(path: Path) -> None:
    ledger = Ledger(path, IDENTITY, BUDGETS)
    ledger.commit(request_for(presence(DAY, 2 * UNIT, revision=1), "other"), TODAY)
    print("committed")
    ledger.close()


def full(path: Path) -> None:
    ledger = Ledger(path, IDENTITY, BUDGETS)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        ledger.commit(request_for(presence(DAY), "large", b"x" * 1_000_000), TODAY)
    except QuorateError as error:
        print(type(error).__name__, error.what)
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    print(ledger.head[0], ledger.totals(1))
    ledger.commit(request_for(presence(DAY), "again", b"y" * 1_000_000), TODAY)
    ledger.close()


COMMANDS: dict[str, Callable[..., None]] = {"crash": crash, "hold": hold, "commit": commit, "full": full}


def main() -> None:
    command, path, *rest = sys.argv[1:]
    try:
        COMMANDS[command](Path(path), *rest)
    except QuorateError as error:
        print(type(error).__name__, error.what)


if __name__ == "__main__":
    main()
