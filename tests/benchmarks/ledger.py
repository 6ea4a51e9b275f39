"""Section ledger: committed releases a second, and a million entries opened and verified."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privacy.calculus import Budgets
from privacy.ledger import Keeper, Ledger, verify, witness_file
from privacy.ledger.entry import GENESIS, Entry, head_after
from privacy.ledger.running import Running
from privacy.ledger.witness_file import Line
from tests.benchmarks.figures import Figure, watch
from tests.faults.ledger_child import WHOSE, request

COMMITS = 2_000
ENTRIES = 1_000_000
BATCH = 20_000
FIRST = date(2021, 1, 1)
BUDGETS = Budgets(day=10**12, month=10**12, first_day=date(2020, 1, 1), last_day=date(2030, 12, 31))
#: Size of a noised result; those of real releases are larger, and are only hashed.
RESULT = bytes(200)


def run(say: Callable[[str], None]) -> list[Figure]:
    """Measure the section; `say` is told what is being done."""
    # Beside the project and not in /tmp, which may be memory.
    place = Path("build")
    place.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=place) as root:
        say(f"committing {COMMITS:,} releases")
        figures = [_throughput(Path(root))]
    with TemporaryDirectory(dir=place) as root:
        say(f"writing a ledger of {ENTRIES:,} entries")
        return [*figures, *_million(Path(root), say)]


def _throughput(root: Path) -> Figure:
    keeper = Keeper(Ed25519PrivateKey.generate(), root / "witness.jsonl")
    with closing(Ledger(root / "ledger.db", WHOSE, BUDGETS, keeper=keeper)) as ledger, watch() as ours:
        for number in range(COMMITS):
            ledger.commit(request(2 * number), FIRST)
    with (root / "raw").open("wb", buffering=0) as file, watch() as theirs:
        for _ in range(COMMITS):
            file.write(bytes(8192))
            os.fsync(file.fileno())
    per_second = [COMMITS / ours.wall, COMMITS / theirs.wall]
    return Figure(
        "releases committed and witnessed, synchronous=FULL, two fsyncs each (at least 300 are asked for)",
        "fsyncs of 8 KiB appended to a file on the same disk",
        per_second[0] / per_second[1],
        f"{per_second[0]:,.0f} a second",
        f"{per_second[1]:,.0f} a second",
    )


def _million(root: Path, say: Callable[[str], None]) -> list[Figure]:
    keeper = Keeper(Ed25519PrivateKey.generate(), root / "witness.jsonl")
    path = root / "ledger.db"
    write(path, keeper, ENTRIES)
    say("opening it")
    start = time.perf_counter()
    Ledger(path, WHOSE, BUDGETS, keeper=keeper).close()
    opened = time.perf_counter() - start
    say("verifying it")
    start = time.perf_counter()
    count, _head = verify(path)
    verified = time.perf_counter() - start
    assert count == ENTRIES
    start = time.perf_counter()
    with closing(sqlite3.connect(path)) as db:
        for (raw,) in db.execute("SELECT entry FROM entry ORDER BY sequence"):
            hashlib.sha256(json.dumps(json.loads(raw)).encode())
    peer = time.perf_counter() - start
    told = f"{opened + verified:.1f} s wall, of it {opened:.2f} s to open (under 60 are asked for)"
    return [
        Figure(
            f"a ledger of {ENTRIES:,} entries ({path.stat().st_size / 2**30:.1f} GiB) opened and verified",
            "its entries read, parsed as JSON, written again and hashed by one process",
            (opened + verified) / peer,
            told,
            f"{peer:.1f} s wall",
        )
    ]


def write(path: Path, keeper: Keeper, entries: int) -> None:
    """Write a ledger with its witness as the same number of commits would leave it, all at once."""
    Ledger(path, WHOSE, BUDGETS, keeper=keeper).close()
    running, lines = Running(), list[Line]()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA synchronous = OFF")
        for entry, raw in _entries(entries):
            line = Line(raw, head_after(raw), b"")
            if entry.sequence % BATCH == 0 or entry.sequence == entries:
                # The last signature vouches for all heads before it; a million of them would only take time.
                line = Line(raw, line.head, keeper.sign(WHOSE, entry.sequence, line.head))
            row = (entry.sequence, entry.release_id, raw, line.head, bytes(32), line.signature)
            db.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)", row)
            db.execute("INSERT INTO result VALUES (?, ?)", (entry.release_id, RESULT))
            db.execute("INSERT INTO nonce VALUES (?, ?)", (f"{entry.sequence:032x}", entry.release_id))
            running.add(entry.charge)
            lines.append(line)
            if line.signature:
                witness_file.append(keeper.witness, lines)
                lines.clear()
        totals = [(length, first.isoformat(), nano) for (length, first), nano in running.totals().items()]
        db.executemany("INSERT INTO spent VALUES (?, ?, ?)", totals)
        db.commit()


def _entries(count: int) -> Iterator[tuple[Entry, bytes]]:
    """Yield releases of single days and of periods, over years."""
    head, template = GENESIS, request(0).terms
    for sequence in range(1, count + 1):
        first = FIRST + timedelta(days=sequence % 2_000)
        last = first + timedelta(days=0 if sequence % 3 else 27)
        terms = template.model_copy(update={"first_day": first, "last_day": last, "revision": sequence})
        entry = Entry(
            sequence=sequence,
            previous=head,
            release_id=terms.release_id(),
            terms=terms,
            charge=terms.charge(),
            samplers=("table",),
            result_sha256=hashlib.sha256(RESULT).hexdigest(),
            result_length=len(RESULT),
            commitment="c" * 64,
            recorded_on=last,
        )
        raw = entry.to_bytes()
        head = head_after(raw)
        yield entry, raw
