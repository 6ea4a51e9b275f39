"""Packages with period keys that are pinned at the node, read without the hub (node.period_keys gets them).

The worker reads its period key here. It alone has exact counts, and it knows no way to the hub.
"""

from __future__ import annotations

from pathlib import Path

from node.config import Home
from node.enrolment import Agreement, load
from node.own_keys import exchange_key_of
from node.private import keep_first, own_directory
from privacy.errors import DataUnavailable, PeriodKeyProblem, SignatureProblem, UsageProblem
from privacy.terms import Terms
from quorate.contract.canonical import read_bytes
from quorate.contract.period_key import KeyScope, PeriodKey, read_package
from quorate.contract.signing import from_json, to_json
from quorate.v1 import federation_pb2 as pb


def key_of(home: Home, terms: Terms) -> bytes:
    """Return the period key that is pinned for a release, 32 bytes.

    Raises
    ------
    DataUnavailable
        If there is none: the daemon gets it before the job.
    PeriodKeyProblem
        If what is pinned is not what it must be.
    UsageProblem
        If the node is not enrolled, or its exchange key cannot be read.
    """
    own = load(home)
    scope = scope_of(own, terms)
    held = held_for(home, scope)
    if held is None:
        raise DataUnavailable(
            f"the period key of {scope.named()} is not here",
            todo="have the daemon answer the order; it gets the key from the hub",
        )
    return _opened(home, own, read_package(held, own.charter, scope))


def scope_of(own: Agreement, terms: Terms) -> KeyScope:
    """Return what the period key of a release is for."""
    return KeyScope(
        network=own.charter.network,
        charter=own.charter_digest,
        product=terms.product,
        first_day=terms.first_day,
        last_day=terms.last_day,
    )


def every_pinned(home: Home) -> list[PeriodKey]:
    """Return every package that is pinned, by product, period and charter.

    Raises
    ------
    PeriodKeyProblem
        If a file is none.
    """
    packages = [_parsed(path) for path in home.period_keys.glob("*.json")]
    return sorted(packages, key=lambda one: (one.product, one.first_day, one.last_day, one.charter))


def fitting(home: Home, own: Agreement, scope: KeyScope, statement: pb.Envelope) -> PeriodKey:
    """Return a package if all of it fits, the key that is in it among that (PeriodKeyProblem)."""
    package = read_package(statement, own.charter, scope)
    _opened(home, own, package)
    return package


def _opened(home: Home, own: Agreement, package: PeriodKey) -> bytes:
    return package.key_for(own.operator, exchange_key_of(home))


def _path(home: Home, scope: KeyScope) -> Path:
    return home.period_keys / f"{scope.product}_{scope.first_day}_{scope.last_day}_{scope.charter}.json"


def held_for(home: Home, scope: KeyScope) -> pb.Envelope | None:
    """Return the package that is pinned, as it is on the disk, or None."""
    path = _path(home, scope)
    return _statement(path) if path.exists() else None


def pin(home: Home, scope: KeyScope, statement: pb.Envelope) -> pb.Envelope:
    """Pin a package unless there is one; return the one that is pinned then."""
    own_directory(home.period_keys)
    path = _path(home, scope)
    keep_first(path, to_json(statement))
    return _statement(path)


def _statement(path: Path) -> pb.Envelope:
    try:
        return from_json(read_bytes(path), str(path))
    except SignatureProblem as error:
        raise _damaged(path) from error


def _parsed(path: Path) -> PeriodKey:
    try:
        return PeriodKey.from_wire(_statement(path).payload, str(path))
    except UsageProblem as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> PeriodKeyProblem:
    return PeriodKeyProblem(
        f"{path} is not a package with a period key",
        means="it was changed since it was pinned",
        todo="restore it from its backup; or move it away, and compare the next one with the other operators",
    )
