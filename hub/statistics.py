"""What statistical offices call, and the task that ends releases."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from datetime import date
from typing import Any

from grpc import aio

from hub.bell import LOOK_AGAIN, ORDERS, Bell
from hub.callers import caller
from hub.config import Agreement
from hub.errors import Malformed, NotFound, require_name
from hub.failures import Failures
from hub.life import COLLECTING, ENDED, ESTIMATED, FAILED, INQUORATE, PLANNED
from hub.opening import name_of, open_release
from hub.quota import Lines
from hub.releases import advance, go_on
from hub.store import ReleaseView, Store
from hub.trail import About
from quorate.contract.order import CHUNK, NO_WEIGHTS, terms_of
from quorate.contract.rounds import first_round_of
from quorate.v1 import statistics_pb2 as stat
from quorate.v1.statistics_pb2_grpc import StatisticsServiceServicer

log = logging.getLogger("quorate.hub")
Context = aio.ServicerContext[Any, Any]
_STATES = {
    PLANNED: stat.RELEASE_STATE_PLANNED,
    FAILED: stat.RELEASE_STATE_FAILED,
    COLLECTING: stat.RELEASE_STATE_COLLECTING,
    ESTIMATED: stat.RELEASE_STATE_ESTIMATED,
    INQUORATE: stat.RELEASE_STATE_INQUORATE,
}


class Statistics(StatisticsServiceServicer):
    """What statistical offices call."""

    def __init__(self, own: Agreement, store: Store, bell: Bell) -> None:
        self._own, self._store, self._bell = own, store, bell
        self._lines = Lines()

    async def ListProducts(
        self, request: stat.ListProductsRequest, context: Context
    ) -> stat.ListProductsResponse:
        """List what the charter lets an office ask for, and what it costs."""
        return stat.ListProductsResponse(
            products=[self._product(product.product_id) for product in self._own.charter.products]
        )

    def _product(self, product_id: str) -> stat.Product:
        charter = self._own.charter
        product, first = charter.product(product_id), charter.budgets.first_day
        last = min(date.fromordinal(first.toordinal() + product.max_days - 1), charter.budgets.last_day)
        before = first_round_of(charter, product)
        weights = None if before is None else NO_WEIGHTS
        terms = terms_of(charter, self._own.zoning, product_id, (first, last), 0, weights=weights)
        cost = terms.charge()
        return stat.Product(
            product_id=product_id,
            title=product.title,
            statistic=product.statistic,
            rho_period=cost.by_period,
            rho_day=cost.by_day,
            mechanism=terms.mechanism,
            measured=[
                stat.MeasuredLevel(name=level.name, rho=level.by_period, scale_milli=level.scale_milli)
                for level in terms.levels
            ],
            levels=charter.publication.levels,
            max_days=product.max_days,
            requires=[] if before is None else [before.product_id],
        )

    async def RequestRelease(
        self, request: stat.RequestReleaseRequest, context: Context
    ) -> stat.RequestReleaseResponse:
        """Open a release, or return the one there is."""
        require_name(request.product_id)
        if request.revision >= 2**31:
            raise Malformed("a revision is a number below 2147483648", todo="ask for the next revision")
        try:
            days = date.fromisoformat(request.first_day), date.fromisoformat(request.last_day)
        except ValueError:
            raise Malformed("the period is not two ISO dates") from None
        release_id = await asyncio.to_thread(
            open_release, self._own, self._store, request.product_id, days, request.revision
        )
        who = caller.get().uri
        if self._lines.take((who, release_id), time.monotonic()) is not None:
            for name, detail in self._opened(request, days, release_id):
                on = About(release_id=name)
                await asyncio.to_thread(self._store.audit, who, "requested a release", detail, on)
        self._bell.ring()
        self._bell.ring(ORDERS)
        return stat.RequestReleaseResponse(release_id=release_id)

    def _opened(
        self, request: stat.RequestReleaseRequest, days: tuple[date, date], release_id: str
    ) -> Iterator[tuple[str, str]]:
        """Yield every release that a request opens, with what the audit trail says of it."""
        charter = self._own.charter
        before = first_round_of(charter, charter.product(request.product_id))
        if before is not None:
            first_round = name_of(before.product_id, days, request.revision)
            yield first_round, f"{first_round}, the first round of {release_id}"
        yield release_id, release_id

    async def WatchRelease(
        self, request: stat.WatchReleaseRequest, context: Context
    ) -> AsyncIterator[stat.WatchReleaseResponse]:
        """Stream the state of a release until it has ended."""
        require_name(request.release_id)
        shown: ReleaseView | None = None
        while shown is None or shown.state not in ENDED:
            view = await asyncio.to_thread(self._store.view, request.release_id)
            if view != shown:
                yield _shown(view)
                shown = view
            else:
                await self._bell.wait(LOOK_AGAIN)

    async def GetEstimates(
        self, request: stat.GetEstimatesRequest, context: Context
    ) -> AsyncIterator[stat.GetEstimatesResponse]:
        """Stream the estimates of a release."""
        require_name(request.release_id)
        data = await asyncio.to_thread(self._store.estimates, request.release_id)
        if data is None:
            raise NotFound(
                f"release {request.release_id} has no estimates", todo="watch it until it is estimated"
            )
        for start in range(0, len(data), CHUNK):
            yield stat.GetEstimatesResponse(data=data[start : start + CHUNK])


async def advance_forever(own: Agreement, store: Store, bell: Bell) -> None:
    """End releases that are due: at every ring, and every second for deadlines."""
    failures = Failures()
    while True:
        try:
            for release_id in await asyncio.to_thread(advance, own, store, failures):
                log.info("release %s has ended", release_id)
                bell.ring()
            for release_id in await asyncio.to_thread(go_on, own, store, failures):
                log.info("the first round of release %s has ended", release_id)
                bell.ring()
                bell.ring(ORDERS)
            failures.over("")
        except Exception as error:  # noqa: BLE001 - told by `failures`
            failures.tell("", "ending releases failed; trying again", error)
        await bell.wait(1.0)


def _shown(view: ReleaseView) -> stat.WatchReleaseResponse:
    operators = [
        stat.OperatorProgress(operator_id=operator, state=state, refusal=refusal)
        for operator, state, refusal in view.tasks
    ]
    return stat.WatchReleaseResponse(state=_STATES[view.state], operators=operators)
