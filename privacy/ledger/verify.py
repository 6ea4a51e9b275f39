"""Recompute a whole ledger offline and name the first thing that is wrong in it.

The chain begins at the anchor, if the ledger was pruned, and what the anchor carries counts as charged. After a
forfeit nothing may be charged to a day before its first.

A long ledger is checked in spans, by as many processes as there are processors. Each span starts from the head that
the one before it must end with, so that all of them together are one chain.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from privacy.errors import LedgerProblem
from privacy.ledger import rows
from privacy.ledger.anchor import Anchor, Position, Totals
from privacy.ledger.entry import Entry, head_after
from privacy.ledger.files import open_readable
from privacy.ledger.forfeit import Record, record_of
from privacy.ledger.running import Running

#: Entries of a span; a ledger of more is checked by several processes.
SPAN = 10_000
_ROWS = """SELECT sequence, release_id, entry, head, bytes, lost.release_id IS NOT NULL
           FROM entry LEFT JOIN result USING (release_id) LEFT JOIN lost USING (release_id)
           WHERE sequence BETWEEN ? AND ? ORDER BY sequence"""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Span:
    """Entries `first` to `last`, the head before them, and the first day that may be charged, if there is one."""

    first: int
    last: int
    head: str
    floor: date | None


@dataclass(frozen=True)
class Found:
    """What a span holds: the first thing that is wrong, or its head and the steps of its charges."""

    problem: str
    head: str
    steps: dict[int, Counter[int]]


def no_progress(_done: int, _all: int) -> None:
    """Do nothing."""


def verify(path: Path, progress: Progress = no_progress) -> tuple[int, str]:
    """Check every entry, the chain, the stored bytes and the running totals.

    Parameters
    ----------
    path
        The ledger's database; it is opened read-only and may be in use.
    progress
        Called with the number of entries checked so far, and of all.

    Returns
    -------
    tuple of int and str
        Number of entries, and the head of the chain.

    Raises
    ------
    LedgerProblem
        Names the first entry, or the first total, that does not hold.
    UsageProblem
        If there is no ledger.
    """
    with open_readable(path) as db:
        anchor = rows.anchor_of(db)
        begin, head = anchor.position if anchor else rows.START
        count = _last(db, begin)
        running = Running()
        for span, found in _checked(path, db, _spans(db, (begin, head), count)):
            if found.problem:
                raise _broken(found.problem)
            head = found.head
            running.include(found.steps)
            progress(span.last, count)
        _require_no_orphans(db)
        _require_totals(db, running.totals(), anchor)
    return count, head


def _last(db: sqlite3.Connection, begin: int) -> int:
    """Return the last sequence, or that of the first entry that is missing: from there on nothing can be checked.

    So a sequence that is out of all bounds does not make as many spans.
    """
    count, first, last = db.execute("SELECT count(*), min(sequence), max(sequence) FROM entry").fetchone()
    if not count:
        return begin
    if first <= begin:
        raise _broken(f"entry {first}: it was pruned, and is there")
    if count == last - begin:
        return int(last)
    expected = begin + 1
    for (sequence,) in db.execute("SELECT sequence FROM entry ORDER BY sequence"):
        if sequence != expected:
            break
        expected += 1
    return expected


def _spans(db: sqlite3.Connection, begin: Position, last: int) -> list[Span]:
    starts = range(begin[0] + 1, last + 1, SPAN)
    # A head that is missing shows as the missing entry of the span before.
    heads = {
        int(n): str(head) for n, head in db.execute("SELECT sequence, head FROM entry") if n + 1 in starts
    }
    heads[begin[0]] = begin[1]
    return [
        Span(start, min(start + SPAN - 1, last), heads.get(start - 1, ""), rows.floor_at(db, start))
        for start in starts
    ]


def _checked(path: Path, db: sqlite3.Connection, spans: Sequence[Span]) -> Iterator[tuple[Span, Found]]:
    """Yield the spans in order, each with what it holds."""
    if len(spans) < 2:
        yield from ((span, check(db, span)) for span in spans)
        return
    workers = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            yield from zip(spans, pool.map(partial(_check_file, path), spans), strict=True)
        finally:
            pool.shutdown(cancel_futures=True)


def _check_file(path: Path, span: Span) -> Found:
    with open_readable(path) as db:
        return check(db, span)


def check(db: sqlite3.Connection, span: Span) -> Found:
    """Check the entries of a span and add up what they charge."""
    head, floor, running, expected = span.head, span.floor, Running(), span.first
    for sequence, release_id, raw, stored_head, result, lost in db.execute(_ROWS, (span.first, span.last)):
        if sequence != expected:
            break
        record, problem = _record(raw, (sequence, head))
        if isinstance(record, Entry):
            problem = problem or _entry_problem(record, release_id, floor)
            problem = problem or _bytes_problem(record, result, lost)
            running.add(record.charge)
        elif record:
            problem = problem or ("" if release_id is None else "it is stored as a release and is a forfeit")
            floor = max(floor or record.first_day, record.first_day)
        if problem:
            return Found(f"entry {sequence}: {problem}", head, {})
        head, expected = head_after(raw), expected + 1
        if stored_head != head:
            return Found(f"entry {sequence}: its stored head is not its hash", head, {})
    if expected <= span.last:
        return Found(f"entry {expected}: it is missing", head, {})
    return Found("", head, running.steps)


def _record(raw: bytes, place: Position) -> tuple[Record | None, str]:
    """Return a record and what is wrong in its form, if anything; None if it cannot be read at all."""
    try:
        record = record_of(raw)
        canonical = record.to_bytes()
    except ValueError:
        return None, "it cannot be read"
    if canonical != raw:
        return record, "it is not in canonical form"
    if (record.sequence, record.previous) != place:
        return record, "it does not continue the chain"
    return record, ""


def _entry_problem(entry: Entry, release_id: str | None, floor: date | None) -> str:
    if entry.release_id != release_id:
        return "it does not continue the chain"
    if floor and entry.charge.first_day < floor:
        return f"it charges days before {floor}, whose budgets were forfeited"
    return entry.problem()


def _bytes_problem(entry: Entry, result: bytes | None, lost: int) -> str:
    if result is None:
        return "" if lost else "it was charged, but its bytes are missing"
    if (hashlib.sha256(result).hexdigest(), len(result)) != (entry.result_sha256, entry.result_length):
        return "its bytes are not the ones that were recorded"
    return ""


def _require_no_orphans(db: sqlite3.Connection) -> None:
    for table, what in (("result", "are bytes"), ("nonce", "is a nonce")):
        # Not NOT IN, which is never true where one of the ids is NULL, as that of a forfeit is.
        orphans = (
            f"SELECT count(*) FROM {table} WHERE NOT EXISTS "  # noqa: S608
            f"(SELECT 1 FROM entry WHERE entry.release_id = {table}.release_id)"
        )
        if db.execute(orphans).fetchone()[0]:
            raise _broken(f"there {what} without a charge")


def _require_totals(db: sqlite3.Connection, charged: Totals, anchor: Anchor | None) -> None:
    expected = Counter(charged)
    expected.update(anchor.totals() if anchor else {})
    totals = {(length, first.isoformat()): nano for (length, first), nano in expected.items()}
    stored = {(int(n), str(first)): int(nano) for n, first, nano in db.execute("SELECT * FROM spent")}
    for key in sorted(stored.keys() | totals.keys()):
        if stored.get(key) != totals.get(key):
            raise _broken(f"the total of the {key[0]} day(s) from {key[1]} is not the sum of the charges")


def _broken(what: str) -> LedgerProblem:
    return LedgerProblem(
        f"the ledger does not hold: {what}",
        means="the record of what was released cannot be trusted from there on",
        todo="stop the node, keep the file as evidence, and restore the last backup that verifies",
    )
