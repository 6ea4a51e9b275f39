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

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.config import Home
from node.enrolment import Agreement
from node.pinned_keys import fitting, held_for, pin, scope_of
from node.uplink import Uplink
from privacy.errors import PeriodKeyProblem
from privacy.statistics import UNION_SKETCH
from privacy.terms import Terms
from quorate.contract.period_key import PERIOD_KEY_TYPE, KeyScope, new_package
from quorate.contract.signing import signed
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
        held = held_for(self.home, scope)
        counts = self._asked(scope) if held is None else self._confirmed(scope, held)
        package = fitting(self.home, self.own, scope, counts)
        pinned = fitting(self.home, self.own, scope, pin(self.home, scope, counts))
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
        if fitting(self.home, self.own, scope, held).maker == self.own.operator:
            return self.uplink.put_period_key(held)
        found = self.uplink.period_key(scope.product, (scope.first_day, scope.last_day))
        if found is None:
            log.warning("the hub has no period key of %s any more; the pinned one is used", scope.named())
        return held if found is None else found
