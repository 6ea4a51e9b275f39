"""What holds at every moment, read from databases and files with plain SQL, beside the code under test."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import pyarrow as pa

from hub.config import Agreement
from hub.estimation.question import Answer as Given
from hub.estimation.question import Earlier, Question
from hub.estimation.table import estimate
from hub.life import ANSWERED, COMMITTED, ENDED, ESTIMATED
from privacy.ledger import verify
from quorate.contract.order import TaskOrder
from tests.simulator.hub import Hub
from tests.simulator.network import Sent
from tests.simulator.node import Site

_LEDGER = (
    "SELECT sequence, entry.release_id, head, entry, bytes FROM entry LEFT JOIN result USING (release_id)"
)
_ANSWERED = """SELECT task.operator, task.order_digest, task.release_id, task.state, task.payload, result_sha256,
               contribution.entry, receipt
               FROM contribution JOIN task USING (order_digest) ORDER BY task.operator"""


@dataclass(frozen=True)
class Charged:
    """An entry of an operator's ledger, and the bytes that it charges."""

    sequence: int
    release_id: str
    head: str
    entry: bytes
    result: bytes


@dataclass(frozen=True)
class Answer:
    """A contribution as the hub keeps it."""

    operator: str
    order_digest: str
    release_id: str
    state: str
    order: bytes
    result_sha256: str
    entry: bytes
    receipt: bytes


@contextmanager
def looking(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for reading."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        yield db


def charged_by(site: Site) -> dict[str, Charged]:
    """Return what an operator has charged, by release id."""
    if not site.ledger.exists():
        return {}
    with looking(site.ledger) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'entry'").fetchone():
            return {}
        return {row[1]: Charged(*row) for row in db.execute(_LEDGER)}


def answers_at(hub: Hub) -> list[Answer]:
    """Return every contribution that the hub has accepted, by operator."""
    with looking(hub.database) as db:
        return [Answer(*row) for row in db.execute(_ANSWERED)]


# --- at one operator --------------------------------------------------------------------------------------


def nothing_leaves_before_it_is_committed(site: Site, sent: Sent) -> None:
    """Every byte and entry that a node sends is in its ledger, and its charge in the witness."""
    if sent.name not in {"PutChunk", "CommitContribution", "PublishHead"}:
        return
    charged = charged_by(site)
    witness = (site.root / "witness.jsonl").read_bytes()
    for message in sent.read():
        if sent.name == "PutChunk":
            end = message.offset + len(message.data)
            owed = [one for one in charged.values() if one.result[message.offset : end] == message.data]
        elif sent.name == "CommitContribution":
            owed = [one for one in charged.values() if one.entry == message.ledger_entry.payload]
        else:
            owed = [one for one in charged.values() if one.entry in message.entries]
            assert len(owed) == len(message.entries), "entries left that are not in the ledger"
        assert owed or sent.name == "PublishHead", "bytes left that are not in the ledger"
        assert any(one.head.encode() in witness for one in owed) or not owed, (
            "a charge left without its witness"
        )


def charged_means_stored(site: Site) -> None:
    """Each charge has its bytes, all bytes their charge, and totals and chain follow from the entries."""
    if not charged_by(site):
        return
    verify(site.ledger)
    with looking(site.ledger) as db:
        assert db.execute("SELECT count(*) FROM lost").fetchone() == (0,)
    for one in charged_by(site).values():
        assert one.result, "charged without bytes"
        assert hashlib.sha256(one.result).hexdigest().encode() in one.entry


# --- at both ends -----------------------------------------------------------------------------------------


def the_hub_has_what_nodes_committed(hub: Hub, ledgers: Mapping[str, Mapping[str, Charged]]) -> None:
    """Entries, contributions and their bytes at the hub are those of the ledgers."""
    with looking(hub.database) as db:
        published = db.execute("SELECT operator, sequence, head, entry FROM ledger_entry").fetchall()
    committed = {
        (operator, one.sequence, one.head, one.entry)
        for operator, ledger in ledgers.items()
        for one in ledger.values()
    }
    assert set(published) <= committed, "an entry was published that is in no ledger"
    for answer in answers_at(hub):
        terms = TaskOrder.from_bytes(answer.order, "the order").terms
        one = ledgers[answer.operator][terms.release_id()]
        assert answer.entry == one.entry
        assert answer.state in ANSWERED
        assert _file(hub, answer.result_sha256) == one.result, "the hub has other bytes than the ledger"
        assert (answer.operator, one.sequence, one.head, one.entry) in published, (
            "taken before its charge was told"
        )


def receipts_are_the_hubs(hub: Hub, sites: Mapping[str, Site]) -> None:
    """The receipt that an operator keeps of a contribution is the one that the hub keeps."""
    for answer in answers_at(hub):
        kept = sites[answer.operator].receipts / f"{answer.order_digest}.json"
        assert not kept.exists() or kept.read_bytes() == answer.receipt


def every_answer_has_its_receipt(hub: Hub, sites: Mapping[str, Site]) -> None:
    """No operator lacks the receipt of a contribution that the hub has accepted."""
    for answer in answers_at(hub):
        assert (sites[answer.operator].receipts / f"{answer.order_digest}.json").exists()


def releases_combine_each_operator_once(
    own: Agreement, hub: Hub, ledgers: Mapping[str, Mapping[str, Charged]], seen: set[tuple[str, ...]]
) -> dict[str, tuple[str, str | None]]:
    """Estimates are those of the ledgers' own bytes, each operator's once; return state and digest of what has ended.

    `seen` are the digests of estimates, with those of what was combined in them, that need not be made again.
    """
    with looking(hub.database) as db:
        rows = db.execute("SELECT release_id, state, estimates_sha256 FROM release").fetchall()
    answers = answers_at(hub)
    for release_id, state, estimates in rows:
        assert (estimates is not None) == (state == ESTIMATED)
        if estimates is not None:
            combined = [
                answer for answer in answers if answer.release_id == release_id and answer.state == COMMITTED
            ]
            made = (estimates, *(answer.result_sha256 for answer in combined))
            if made not in seen:
                before = partial(_earlier, answers, ledgers)
                _require_combined(own, _file(hub, estimates), combined, ledgers, before)
            seen.add(made)
    return {release_id: (state, digest) for release_id, state, digest in rows if state in ENDED}


def _given(answers: list[Answer], ledgers: Mapping[str, Mapping[str, Charged]]) -> list[Given]:
    """Return answers with the bytes that their operators' own ledgers have."""
    orders = [TaskOrder.from_bytes(answer.order, "the order") for answer in answers]
    return [Given(order, ledgers[order.operator][order.terms.release_id()].result) for order in orders]


def _earlier(
    answers: list[Answer],
    ledgers: Mapping[str, Mapping[str, Charged]],
    product: str,
    days: tuple[date, date],
    revision: int | None,
) -> list[Given]:
    name = f"{product}-{days[0]}-{days[1]}-r{revision}"
    return _given([one for one in answers if one.release_id == name and one.state == COMMITTED], ledgers)


def _require_combined(
    own: Agreement,
    estimates: bytes,
    combined: list[Answer],
    ledgers: Mapping[str, Mapping[str, Charged]],
    earlier: Earlier,
) -> None:
    operators = [answer.operator for answer in combined]
    assert len(set(operators)) == len(operators) >= own.charter.publication.min_operators
    answers = _given(combined, ledgers)
    with pa.ipc.open_stream(estimates) as stream:
        table = stream.read_all()
    assert table.equals(estimate(Question(own, answers, earlier))), (
        "the estimates are not of what operators committed"
    )
    assert set(table["operators"].to_pylist()) == {len(operators)}


def _file(hub: Hub, digest: str) -> bytes:
    return (hub.root / "objects" / "sha256" / digest[:2] / digest).read_bytes()
