"""What nodes call for period keys of union sketches: the hub checks packages from outside, and relays them."""

from __future__ import annotations

import asyncio
import logging
from datetime import date
from typing import Any

from grpc import aio

from hub.callers import caller
from hub.config import Agreement
from hub.errors import Malformed
from hub.store import Store
from privacy.errors import PeriodKeyProblem
from privacy.statistics import UNION_SKETCH
from quorate.contract.identity import Identity
from quorate.contract.order import terms_of
from quorate.contract.period_key import KeyScope, PeriodKey, signed_package
from quorate.contract.signing import from_json, to_json
from quorate.v1 import federation_pb2 as fed
from quorate.v1.federation_pb2_grpc import FederationServiceServicer

log = logging.getLogger("quorate.hub")
Context = aio.ServicerContext[Any, Any]


class PeriodKeyCalls(FederationServiceServicer):
    """The calls of `FederationService` that are about period keys."""

    _own: Agreement
    _store: Store

    async def PutPeriodKey(
        self, request: fed.PutPeriodKeyRequest, context: Context
    ) -> fed.PutPeriodKeyResponse:
        """Keep a package if it is the first one; answer with the one that counts."""
        kept = await asyncio.to_thread(self._keep, caller.get(), request.package)
        return fed.PutPeriodKeyResponse(package=from_json(kept, "the stored period key"))

    def _keep(self, node: Identity, statement: fed.Envelope) -> bytes:
        package = require_package(self._own, node.name, statement)
        kept = self._store.packages.keep(node, package, to_json(statement))
        log.info("a period key of %s, made by %s", package.named(), package.maker)
        return kept

    async def GetPeriodKey(
        self, request: fed.GetPeriodKeyRequest, context: Context
    ) -> fed.GetPeriodKeyResponse:
        """Answer with the package that counts, if there is one."""
        kept = await asyncio.to_thread(self._find, request)
        return fed.GetPeriodKeyResponse(package=from_json(kept, "the stored period key") if kept else None)

    def _find(self, request: fed.GetPeriodKeyRequest) -> bytes | None:
        try:
            days = date.fromisoformat(request.first_day), date.fromisoformat(request.last_day)
        except ValueError:
            raise Malformed("the period is not two ISO dates") from None
        return self._store.packages.find(scope_of(self._own, request.product_id, days))


def scope_of(own: Agreement, product_id: str, days: tuple[date, date]) -> KeyScope:
    """Return what a period key is for.

    Raises
    ------
    UsageProblem
        If the charter has no such product, or does not allow the period.
    Malformed
        If the product is no union sketch.
    """
    if own.charter.product(product_id).statistic != UNION_SKETCH:
        raise Malformed(f"{product_id} is no union sketch, so it needs no period key")
    terms_of(own.charter, own.zoning, product_id, days, 0)
    first_day, last_day = days
    return KeyScope(
        network=own.charter.network,
        charter=own.charter_digest,
        product=product_id,
        first_day=first_day,
        last_day=last_day,
    )


def require_package(own: Agreement, operator: str, statement: fed.Envelope) -> PeriodKey:
    """Return a package that an operator made for a union sketch and a period that the charter allows.

    Whether the key is in it only the operators can tell.

    Raises
    ------
    Malformed, UsageProblem
        Names what does not fit.
    """
    try:
        package = signed_package(statement, own.charter)
        package.require_scope(scope_of(own, package.product, (package.first_day, package.last_day)))
    except PeriodKeyProblem as error:
        raise Malformed(error.what, means=error.means, todo=error.todo) from error
    if package.maker != operator:
        raise Malformed("the period key was made by somebody else than the caller")
    return package
