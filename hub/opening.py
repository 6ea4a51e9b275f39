"""Opening releases: what is asked of which operator, at once or after a first round."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import date

from hub.config import Agreement
from hub.errors import HubRefusal
from hub.estimation.presence import FixedPoint
from hub.estimation.question import Answer
from hub.estimation.rounds import fixed_weights
from hub.life import COLLECTING, INQUORATE, PLANNED, next_round
from hub.models import Release
from hub.store import Asked, NewTask, Store
from privacy.terms import Terms
from quorate.contract.canonical import digest
from quorate.contract.order import NO_WEIGHTS, TaskOrder, digest_of_weights, terms_of
from quorate.contract.rounds import first_round_of


def open_release(
    own: Agreement, store: Store, product_id: str, days: tuple[date, date], revision: int
) -> str:
    """Open a release and one task for each operator; return its id. One that is there already is returned.

    A release in two rounds opens that of its first round too, and waits for it. What was published stays as it is: a
    revision is a release of its own, which corrects the revision before it.

    Raises
    ------
    UsageProblem
        If the charter does not allow this product, period or revision.
    HubRefusal
        If there is no revision before this one.
    """
    product = own.charter.product(product_id)
    first = first_round_of(own.charter, product)
    terms = terms_of(
        own.charter, own.zoning, product_id, days, revision, weights=None if first is None else NO_WEIGHTS
    )
    corrected = corrected_by(terms)
    if corrected and not store.knows(corrected):
        raise HubRefusal(
            f"there is no release {corrected}",
            means=f"revision {revision} would correct it; nothing was asked for and nothing was charged",
            todo=f"ask for revision {revision - 1} first",
        )
    if first is not None:
        open_release(own, store, first.product_id, days, revision)
    release = Release(
        release_id=name_of(product_id, days, revision),
        product=product_id,
        first_day=terms.first_day,
        last_day=terms.last_day,
        revision=revision,
        state=COLLECTING if first is None else PLANNED,
        deadline=store.clock() + own.charter.publication.collect_seconds,
    )
    tasks = [] if first is not None else [_task(own, operator, terms) for operator in own.charter.operators]
    store.open_release(release, tasks)
    return release.release_id


def offer_planned(own: Agreement, store: Store, asked: Asked) -> str:
    """Go on with a planned release if its first round has ended; return the state that it has then.

    Raises
    ------
    NotFound
        If the release of its first round is not there.
    """
    product = own.charter.product(asked.product)
    first = first_round_of(own.charter, product)
    if first is None:
        raise HubRefusal(f"release {asked.release_id} is planned, but {asked.product} has no first round")
    days = asked.first_day, asked.last_day
    first_id = name_of(first.product_id, days, asked.revision)
    state = next_round(store.view(first_id).state)
    if state == COLLECTING:
        given = fixed_weights(own, product, answers_of(store.contributions(first_id)))
        if len(given) < own.charter.publication.min_operators:
            store.end(asked.release_id, INQUORATE, None, 0)
            return INQUORATE
        store.offer(asked.release_id, _weighted(own, asked, given), own.charter.publication.collect_seconds)
    elif state != PLANNED:
        store.end(asked.release_id, state, None, 0)
    return state


def answers_of(contributions: Iterable[tuple[bytes, bytes]]) -> list[Answer]:
    """Return stored contributions with their orders read."""
    return [Answer(TaskOrder.from_bytes(order, "the stored order"), data) for order, data in contributions]


def _weighted(own: Agreement, asked: Asked, given: Mapping[str, FixedPoint]) -> list[NewTask]:
    """Return one task for each operator that has weights; nobody sees another's."""
    tasks, days = [], (asked.first_day, asked.last_day)
    for operator, weights in given.items():
        terms = terms_of(
            own.charter,
            own.zoning,
            asked.product,
            days,
            asked.revision,
            weights=digest_of_weights(weights.value),
        )
        tasks.append(_task(own, operator, terms, weights))
    return tasks


def name_of(product: str, days: tuple[date, date], revision: int) -> str:
    """Return the id of a release."""
    return f"{product}-{days[0]}-{days[1]}-r{revision}"


def corrected_by(terms: Terms) -> str:
    """Return the id of the release that a release corrects; nothing if it is the first."""
    if not terms.revision:
        return ""
    return name_of(terms.product, (terms.first_day, terms.last_day), terms.revision - 1)


def _task(own: Agreement, operator: str, terms: Terms, weights: FixedPoint | None = None) -> NewTask:
    order = TaskOrder(
        network=own.charter.network,
        operator=operator,
        nonce=secrets.token_hex(16),
        charter=own.charter_digest,
        algorithm=own.charter.product(terms.product).algorithm,
        terms=terms,
        weights=None if weights is None else weights.value,
        weight_one=None if weights is None else weights.one,
    )
    payload = order.to_bytes()
    return NewTask(digest(payload), operator, payload)
