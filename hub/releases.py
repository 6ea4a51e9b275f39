"""Opening releases, judging contributions, and ending releases: between store and mathematics."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import date

import pyarrow as pa

from hub.config import Agreement
from hub.errors import HubRefusal, Malformed
from hub.estimation.table import estimate
from hub.failures import Failures
from hub.life import COLLECTING, ESTIMATED, next_state
from hub.models import Contribution, Release
from hub.store import NewTask, Store
from hub.uploads import Given
from privacy.errors import UsageProblem
from privacy.ledger.entry import Entry
from privacy.terms import Terms
from quorate.contract.canonical import digest
from quorate.contract.order import TaskOrder, keyset_for, terms_of
from quorate.contract.payload import decode
from quorate.contract.signing import countersigned, to_json, verified
from quorate.contract.statements import RECEIPT_TYPE, receipt_for
from quorate.v1.federation_pb2 import Envelope


def open_release(
    own: Agreement, store: Store, product_id: str, days: tuple[date, date], revision: int
) -> str:
    """Open a release and one task for each operator; return its id. One that is there already is returned.

    What was published stays as it is: a revision is a release of its own, which corrects the revision before it.

    Raises
    ------
    UsageProblem
        If the charter does not allow this product, period or revision.
    HubRefusal
        If there is no revision before this one.
    """
    terms = terms_of(own.charter, own.zoning, product_id, days, revision)
    release_id, corrected = _names(terms)
    if corrected and not store.knows(corrected):
        raise HubRefusal(
            f"there is no release {corrected}",
            means=f"revision {revision} would correct it; nothing was asked for and nothing was charged",
            todo=f"ask for revision {revision - 1} first",
        )
    release = Release(
        release_id=release_id,
        product=product_id,
        first_day=terms.first_day,
        last_day=terms.last_day,
        revision=revision,
        state=COLLECTING,
        deadline=store.clock() + own.charter.publication.collect_seconds,
    )
    store.open_release(release, [_task(own, operator, terms) for operator in own.charter.operators])
    return release_id


def _names(terms: Terms) -> tuple[str, str]:
    """Return the id of a release and that of the one that it corrects; nothing if it is the first."""
    name = f"{terms.product}-{terms.first_day}-{terms.last_day}-r"
    return f"{name}{terms.revision}", f"{name}{terms.revision - 1}" if terms.revision else ""


def _task(own: Agreement, operator: str, terms: Terms) -> NewTask:
    order = TaskOrder(
        network=own.charter.network,
        operator=operator,
        nonce=secrets.token_hex(16),
        charter=own.charter_digest,
        algorithm=own.charter.product(terms.product).algorithm,
        terms=terms,
    )
    payload = order.to_bytes()
    return NewTask(digest(payload), operator, payload)


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
        states = [state for _operator, state, _refusal in release.tasks]
        rules = own.charter.publication
        state = next_state(states, rules.min_operators, overdue, rules.collect_seconds)
        if state == COLLECTING:
            continue
        try:
            contributions = store.contributions(release.release_id)
            estimates = _estimates(own, contributions) if state == ESTIMATED else None
            if store.end(release.release_id, state, estimates, len(contributions)):
                ended.append(release.release_id)
            failures.over(release.release_id)
        except Exception as error:  # noqa: BLE001 - told by `failures`
            failures.tell(release.release_id, f"release {release.release_id} cannot be ended", error)
    return ended


def _estimates(own: Agreement, contributions: Sequence[tuple[bytes, bytes]]) -> bytes:
    terms = TaskOrder.from_bytes(contributions[0][0], "the stored order").terms
    cells = keyset_for(own.charter, own.zoning, terms).size
    table = estimate(own, terms, [decode(data, cells) for _order, data in contributions])
    release_id, corrected = _names(terms)
    table = table.replace_schema_metadata({"release": release_id, "corrects": corrected})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
