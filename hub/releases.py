"""Judging contributions, and ending releases: between store and mathematics."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from datetime import date
from functools import partial

import pyarrow as pa

from hub.config import Agreement
from hub.errors import Malformed
from hub.estimation.question import Answer, Question
from hub.estimation.table import estimate
from hub.failures import Failures
from hub.life import COLLECTING, COMMITTED, ESTIMATED, FAILED, INQUORATE, PLANNED, given_up, next_state
from hub.models import Contribution
from hub.opening import answers_of, corrected_by, name_of, offer_planned
from hub.store import ReleaseView, Store
from hub.uploads import Given
from privacy.errors import UsageProblem
from privacy.ledger.entry import Entry
from privacy.terms import Terms
from quorate.contract.canonical import digest
from quorate.contract.order import TaskOrder, keyset_for
from quorate.contract.payload import decode
from quorate.contract.signing import countersigned, to_json, verified
from quorate.contract.statements import RECEIPT_TYPE, receipt_for
from quorate.v1.federation_pb2 import Envelope

log = logging.getLogger("quorate.hub")


def largest_contribution(own: Agreement, terms: Terms) -> int:
    """Return how many bytes a contribution can have at the most: incompressible cells and Arrow's frame."""
    return keyset_for(own.charter, own.zoning, terms).size * 9 + (1 << 16)


def judge(own: Agreement, order_bytes: bytes, data: bytes, entry_bytes: bytes, stated: Envelope) -> Given:
    """Return a contribution that is what its order asked for, and what its ledger entry and its operator say.

    Parameters
    ----------
    own
        Charter and zoning.
    order_bytes
        The order, as it was hashed.
    data
        The whole contribution.
    entry_bytes
        The operator's ledger entry, as it was hashed.
    stated
        The operator's signed receipt.

    Raises
    ------
    Malformed
        Names what does not fit.
    SignatureProblem
        If the receipt is not signed with the key that the charter names.
    """
    order = TaskOrder.from_bytes(order_bytes, "the stored order")
    terms, result = order.terms, hashlib.sha256(data).hexdigest()
    entry = _entry(entry_bytes)
    # By their canonical form, not by ==, for which true and 1 are the same; the entry's own id is checked next.
    if entry.terms.release_id() != terms.release_id():
        raise Malformed("the ledger entry is for another release than the order")
    if problem := entry.problem():
        raise Malformed(f"the ledger entry does not hold: {problem}")
    if (entry.result_sha256, entry.result_length) != (result, len(data)):
        raise Malformed("the ledger entry was charged for other bytes")
    try:
        decode(data, keyset_for(own.charter, own.zoning, terms).size)
    except UsageProblem as error:
        raise Malformed(error.what) from error
    keys = {order.operator: own.charter.keys.operators[order.operator]}
    expected = receipt_for(order, digest(order_bytes), entry, entry_bytes)
    if verified(stated, RECEIPT_TYPE, keys, "the receipt") != expected.to_bytes():
        raise Malformed("the operator's receipt says something else than its ledger entry")
    row = Contribution(
        order_digest=expected.order,
        result_sha256=result,
        length=len(data),
        entry=entry_bytes,
        receipt=to_json(countersigned(stated, own.key)),
    )
    return Given(row, data)


def _entry(data: bytes) -> Entry:
    try:
        entry = Entry.model_validate_json(data)
        canonical = entry.to_bytes()
    except ValueError as error:
        raise Malformed("the ledger entry is malformed") from error
    if canonical != data:
        raise Malformed("the ledger entry is not in canonical form")
    return entry


def advance(own: Agreement, store: Store, failures: Failures | None = None) -> list[str]:
    """End every release that is due, with estimates where enough operators answered; return their ids.

    Safe to run at any time and again: an ended release stays as it is. One that cannot be ended does not keep the
    others; `failures` tells of it, less and less often.
    """
    ended, failures = [], failures or Failures()
    for release, overdue in store.collecting():
        name = release.release_id
        if failures.due(name):
            with failures.kept(name, f"release {name} cannot be ended"):
                if _end(own, store, release, overdue):
                    ended.append(name)
        if failures.failing(name) and given_up(overdue, own.charter.publication.collect_seconds):
            answered = sum(state == COMMITTED for _operator, state, _refusal in release.tasks)
            if store.end(name, FAILED, None, answered):
                failures.over(name)
                ended.append(name)
    return ended


def go_on(own: Agreement, store: Store, failures: Failures | None = None) -> list[str]:
    """Offer every second round whose first has ended, or end it with it; return the ids of those releases.

    As safe as `advance`.
    """
    changed, failures = [], failures or Failures()
    for asked, overdue in store.planned():
        name = asked.release_id
        if failures.due(name):
            with failures.kept(name, f"release {name} cannot go on"):
                if offer_planned(own, store, asked) != PLANNED:
                    changed.append(name)
        lost = failures.failing(name) and given_up(overdue, own.charter.publication.collect_seconds)
        if lost and store.end(name, FAILED, None, 0):
            failures.over(name)
            changed.append(name)
    return changed


def _end(own: Agreement, store: Store, release: ReleaseView, overdue: float) -> bool:
    """End a release if it is due; return whether this hub has ended it."""
    states = [state for _operator, state, _refusal in release.tasks]
    rules = own.charter.publication
    state = next_state(states, rules.min_operators, overdue, rules.collect_seconds)
    if state == COLLECTING:
        return False
    contributions = store.contributions(release.release_id)
    if state == ESTIMATED and _tells_one_apart(store, release.release_id, answers_of(contributions)):
        state = INQUORATE
    estimates = _estimates(own, store, contributions) if state == ESTIMATED else None
    return store.end(release.release_id, state, estimates, len(contributions))


def _tells_one_apart(store: Store, release_id: str, answers: Sequence[Answer]) -> bool:
    """Return whether a revision would differ from an earlier one by the presence of one operator alone.

    The difference of both would be that operator's own figures.
    """
    terms, operators = answers[0].order.terms, {answer.operator for answer in answers}
    for revision in range(terms.revision):
        earlier = name_of(terms.product, (terms.first_day, terms.last_day), revision)
        if store.view(earlier).state != ESTIMATED:
            continue
        before = {answer.operator for answer in answers_of(store.contributions(earlier))}
        if len(before ^ operators) == 1:
            log.warning("release %s is withheld: it differs from %s by one operator", release_id, earlier)
            return True
    return False


def _earlier(store: Store, product: str, days: tuple[date, date], revision: int | None) -> Sequence[Answer]:
    """Return the answers that are in an estimated release, of a revision or of the last one; none without it."""
    wanted = [store.newest(product, days)] if revision is None else [name_of(product, days, revision)]
    return [
        answer
        for release_id in wanted
        if release_id and store.knows(release_id) and store.view(release_id).state == ESTIMATED
        for answer in answers_of(store.contributions(release_id))
    ]


def read_table(data: bytes) -> pa.Table:
    """Return stored estimates as a table."""
    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()


def _estimates(own: Agreement, store: Store, contributions: Sequence[tuple[bytes, bytes]]) -> bytes:
    question = Question(own, answers_of(contributions), partial(_earlier, store))
    terms, corrected = question.terms, corrected_by(question.terms)
    before = store.estimates(corrected) if corrected else None
    table = estimate(question, None if before is None else read_table(before))
    told = {"release": name_of(terms.product, question.days, terms.revision), "corrects": corrected}
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **told})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
