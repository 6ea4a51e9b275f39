"""What may never change once it was seen, at both ends of a network; and what must hold when all is over."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

from privacy.calculus import DAY, MONTH
from privacy.ledger.entry import Entry
from tests.harness import ROOT, Network

Fact = tuple[str, ...]
_LEDGER = "SELECT release_id, entry, bytes FROM entry JOIN result USING (release_id)"
_HUB = (
    "SELECT release_id, operator, order_digest, result_sha256, length, entry, receipt, state "
    "FROM contribution JOIN task USING (order_digest)"
)


@dataclass(frozen=True)
class Kept:
    """What the hub keeps of one contribution."""

    release: str
    operator: str
    order: str
    result_sha256: str
    length: int
    entry: bytes
    receipt: bytes
    state: str


@dataclass
class Seen:
    """Everything that was ever committed anywhere, as it was when it was first seen."""

    facts: dict[Fact, Fact] = field(default_factory=dict)
    looks: int = 0

    def add(self, what: str, found: Mapping[Fact, Fact]) -> None:
        """Hold what a ledger or the hub has now against what it had before: nothing is gone, nothing is changed."""
        before = {key: fact for key, fact in self.facts.items() if key[0] == what}
        for key, fact in before.items():
            assert key in found, f"{key} is gone"
            assert found[key] == fact, f"{key} has changed"
        assert all(key[0] == what for key in found)
        self.facts.update(found)
        self.looks += 1


def of_ledger(net: Network, operator: str) -> dict[Fact, Fact]:
    """Return the releases of an operator's ledger: entry and bytes of each."""
    return {
        (operator, release): (_sha(entry), _sha(result))
        for release, (entry, result) in ledger(net, operator).items()
    }


def of_hub(net: Network) -> dict[Fact, Fact]:
    """Return contributions and estimates of the hub."""
    contributions: dict[Fact, Fact] = {
        ("hub", kept.release, kept.operator): (
            kept.order,
            kept.result_sha256,
            _sha(kept.entry + kept.receipt),
        )
        for kept in contributions_of(net)
    }
    ended = net.hub_rows(
        "SELECT release_id, state, estimates_sha256 FROM release WHERE state <> 'collecting'"
    )
    return contributions | {("hub", release): (state, digest or "") for release, state, digest in ended}


def ledger(net: Network, operator: str) -> dict[str, tuple[bytes, bytes]]:
    """Return (entry, bytes) of an operator's releases by their id."""
    path = net.home(operator).ledger
    if not path.exists():
        return {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        # A daemon that was killed before it made the tables has released nothing.
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'result'").fetchone():
            return {}
        return {release: (entry, result) for release, entry, result in db.execute(_LEDGER)}


def contributions_of(net: Network) -> list[Kept]:
    """Return what the hub keeps of every contribution."""
    return [
        Kept(release, operator, order, sha, length, bytes(entry), bytes(receipt), state)
        for release, operator, order, sha, length, entry, receipt, state in net.hub_rows(_HUB)
    ]


def file_of(net: Network, digest: str) -> bytes:
    """Return a file of the hub, read past the hub's own code, as it was hashed."""
    data = (net.parties.hub.objects / "sha256" / digest[:2] / digest).read_bytes()
    assert _sha(data) == digest
    return data


def require_whole(net: Network, releases: int) -> None:
    """Check that every release is there once, with the same bytes at both ends, under one charge."""
    states = net.hub_rows("SELECT state, count(*) FROM release GROUP BY state")
    assert [tuple(row) for row in states] == [("estimated", releases)]
    kept = contributions_of(net)
    assert Counter(k.state for k in kept) == {"committed": releases * len(net.parties.nodes)}
    assert len({(k.release, k.operator) for k in kept}) == len(kept), "an operator is in a release twice"
    for operator in net.parties.nodes:
        _require_same(ledger(net, operator), [k for k in kept if k.operator == operator], net, releases)
        _require_verified(net, operator, releases)
        _require_charges(net, operator)


def _require_same(
    own: Mapping[str, tuple[bytes, bytes]], theirs: list[Kept], net: Network, releases: int
) -> None:
    assert len(own) == len(theirs) == releases
    assert {entry for entry, _result in own.values()} == {kept.entry for kept in theirs}
    for kept in theirs:
        entry, result = own[Entry.model_validate_json(kept.entry).release_id]
        assert entry == kept.entry
        assert result == file_of(net, kept.result_sha256), (
            f"other bytes of {kept.release} left than are recorded"
        )


def _require_verified(net: Network, operator: str, releases: int) -> None:
    command = [
        sys.executable,
        "-m",
        "node",
        "ledger",
        "verify",
        "--json",
        "--dir",
        str(net.home(operator).root),
    ]
    told = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60).stdout)
    assert (told["entries"], told["witnessed"]) == (releases, releases)


def _require_charges(net: Network, operator: str) -> None:
    """Check that what is spent is the sum of exactly one charge for each release."""
    totals: Counter[tuple[int, str]] = Counter()
    for raw, _result in ledger(net, operator).values():
        charge = Entry.model_validate_json(raw).charge
        for length in (DAY, MONTH):
            totals.update({(length, first.isoformat()): cost for first, cost in charge.windows(length)})
    with closing(sqlite3.connect(f"file:{net.home(operator).ledger}?mode=ro", uri=True)) as db:
        spent = {
            (length, day): nano
            for length, day, nano in db.execute("SELECT length, first_day, nano FROM spent")
        }
    assert spent == dict(totals)


def missing_receipts(net: Network) -> list[str]:
    """Return the contributions whose receipt the node does not have; one that it has is the hub's, byte by byte."""
    missing = []
    for kept in contributions_of(net):
        path = net.home(kept.operator).receipts / f"{kept.order}.json"
        if not path.exists():
            missing.append(f"{kept.release} of {kept.operator}")
            continue
        assert path.read_bytes() == kept.receipt
    return missing


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
