"""Period keys of union sketches at the node: got before the first job that needs one, then held and never replaced.

What is kept is the package as its maker signed it, not the key: it is secret only together with `exchange.key`, and
every time it is read it is held against the charter again, as when it came. The rules:

1. The first package that comes for a product and period under a charter is pinned, if all of it fits: its maker is an
   operator of the charter and has signed it, it is for exactly this, and the key in it is the one that it commits to.
2. Before every later job, and before what is recorded is sent again, the hub is asked again (the maker offers its own
   again, so that a hub that went back to a backup has it back). Another package than the pinned one is refused
   (PeriodKeyProblem) and changes nothing here.
3. Without an answer of the hub the node waits, as with every call.

A hub that gives operators different packages makes the union wrong, as if they had nobody in common, and learns
nothing. It shows when operators compare the digests of `every_pinned` over another channel.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.config import Home
from node.enrolment import Agreement, load
from node.own_keys import exchange_key_of
from node.private import keep_first, own_directory
from node.uplink import Uplink
from privacy.errors import DataUnavailable, PeriodKeyProblem, SignatureProblem, UsageProblem
from privacy.statistics import UNION_SKETCH
from privacy.terms import Terms
from quorate.contract.canonical import read_bytes
from quorate.contract.period_key import PERIOD_KEY_TYPE, KeyScope, PeriodKey, new_package, read_package
from quorate.contract.signing import from_json, signed, to_json
from quorate.v1 import federation_pb2 as pb

log = logging.getLogger("quorate.node")


@dataclass(frozen=True)
class PeriodKeys:
    """Gets the period keys of one node.

    Attributes
    ----------
    home, own
        The node's directory and agreement.
    uplink
        Calls to the hub.
    signing
        The operator's signing key, for packages that this node makes.
    """

    home: Home
    own: Agreement
    uplink: Uplink
    signing: Ed25519PrivateKey

    def ensure(self, terms: Terms) -> None:
        """Have the period key of a release here, if its statistic needs one.

        Raises
        ------
        PeriodKeyProblem
            If the hub gives a package that does not fit, or another one than is pinned here.
        UsageProblem
            If the exchange key cannot be read, or others may look into the directory of the packages.
        ResourceProblem
            If the package cannot be written.
        QuorateError
            What the hub answers otherwise; Stopped if the daemon is to end.
        """
        if terms.statistic != UNION_SKETCH:
            return
        scope = scope_of(self.own, terms)
        held = _held(self.home, scope)
        counts = self._asked(scope) if held is None else self._confirmed(scope, held)
        package = _fitting(self.home, self.own, scope, counts)
        pinned = _fitting(self.home, self.own, scope, _pin(self.home, scope, counts))
        if pinned != package:
            raise PeriodKeyProblem(
                f"the hub gives another period key of {scope.named()}, made by {package.maker}, "
                f"than the one made by {pinned.maker} that is pinned here",
                means="operators would hash with different keys; the one that is pinned here stays",
                todo="compare what quorate-node period-keys says with the other operators over another channel",
            )
        if held is None:
            log.info("period key of %s, made by %s, package %s", scope.named(), pinned.maker, pinned.digest())

    def _asked(self, scope: KeyScope) -> pb.Envelope:
        """Return the package that counts, which is a new one if there was none."""
        found = self.uplink.period_key(scope.product, (scope.first_day, scope.last_day))
        if found is not None:
            return found
        package = new_package(scope, self.own.operator, self.own.charter.keys.exchange)
        return self.uplink.put_period_key(signed(PERIOD_KEY_TYPE, package.to_bytes(), self.signing))

    def _confirmed(self, scope: KeyScope, held: pb.Envelope) -> pb.Envelope:
        """Return the package that counts by the hub; the pinned one if the hub has none any more."""
        if _fitting(self.home, self.own, scope, held).maker == self.own.operator:
            return self.uplink.put_period_key(held)
        found = self.uplink.period_key(scope.product, (scope.first_day, scope.last_day))
        if found is None:
            log.warning("the hub has no period key of %s any more; the pinned one is used", scope.named())
        return held if found is None else found


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
    held = _held(home, scope)
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


def _fitting(home: Home, own: Agreement, scope: KeyScope, statement: pb.Envelope) -> PeriodKey:
    """Return a package if all of it fits, the key that is in it among that (PeriodKeyProblem)."""
    package = read_package(statement, own.charter, scope)
    _opened(home, own, package)
    return package


def _opened(home: Home, own: Agreement, package: PeriodKey) -> bytes:
    return package.key_for(own.operator, exchange_key_of(home))


def _path(home: Home, scope: KeyScope) -> Path:
    return home.period_keys / f"{scope.product}_{scope.first_day}_{scope.last_day}_{scope.charter}.json"


def _held(home: Home, scope: KeyScope) -> pb.Envelope | None:
    """Return the package that is pinned, as it is on the disk, or None."""
    path = _path(home, scope)
    return _statement(path) if path.exists() else None


def _pin(home: Home, scope: KeyScope, statement: pb.Envelope) -> pb.Envelope:
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
