"""What a node agrees to: every field of a task order is held against the node's own copies.

Nothing here does I/O, and nothing depends on exact data. In order:

1. the order is for this operator of this network, under the charter that was pinned,
2. its terms are, to the letter, the ones the charter gives to this product and period,
3. the code that would run is the code that the charter approved,
4. the operator's policy lets it take part,
5. the operator offers these days, in which no subscriber changes the pseudonym.

Budgets are the ledger's to check.
"""

from __future__ import annotations

from collections.abc import Mapping

from node.enrolment import Agreement
from node.sources.persons import require_persons
from node.sources.pseudonyms import one_period
from privacy.errors import DataUnavailable, QuorateError, UsageProblem
from privacy.statistics import UNION_SKETCH
from privacy.terms import Terms
from quorate.contract.calendar import days_between
from quorate.contract.canonical import canonical
from quorate.contract.order import TaskOrder, digest_of_weights, terms_of
from quorate.v1 import federation_pb2 as pb

Reason = pb.RefusalReason


class Refusal(QuorateError):
    """The node says no to an order, for a typed reason that the hub is told."""

    def __init__(self, reason: pb.RefusalReason.ValueType, what: str) -> None:
        super().__init__(what, means="the order is refused; nothing was computed, charged or sent")
        self.reason = reason


def require_agreed(order: TaskOrder, own: Agreement, algorithms: Mapping[str, str]) -> Terms:
    """Refuse an order that this node has not agreed to; return the terms that it has.

    The returned terms are the node's own. The order's are only compared with them, byte for byte in their
    canonical form: to Python `true` equals `1`, to a hash it does not.

    Parameters
    ----------
    order
        The hub's request.
    own
        The node's own charter, policy and configuration.
    algorithms
        Digest of the code of each statistic, as installed here.

    Raises
    ------
    Refusal
        With the first reason that applies.
    """
    _require_own_charter(order, own)
    terms = _own_terms(order, own)
    _require_own_code(order, own, algorithms)
    if terms.product not in own.policy.products:
        raise Refusal(pb.REFUSAL_REASON_POLICY, f"the operator's policy does not list {terms.product}")
    _require_days(order, own)
    return terms


def _require_own_charter(order: TaskOrder, own: Agreement) -> None:
    if (order.network, order.operator) != (own.charter.network, own.operator):
        raise Refusal(pb.REFUSAL_REASON_CHARTER_MISMATCH, "the order is for another network or operator")
    if order.charter != own.charter_digest:
        raise Refusal(
            pb.REFUSAL_REASON_CHARTER_MISMATCH, "the order is under another charter than the pinned one"
        )


def _own_terms(order: TaskOrder, own: Agreement) -> Terms:
    asked = order.terms
    try:
        expected = terms_of(
            own.charter,
            own.zoning,
            asked.product,
            (asked.first_day, asked.last_day),
            asked.revision,
            weights=_weights(order, own),
        )
    except UsageProblem as error:
        raise Refusal(pb.REFUSAL_REASON_CHARTER_MISMATCH, error.what) from error
    theirs, ours = asked.model_dump(mode="json"), expected.model_dump(mode="json")
    for field, value in ours.items():
        if canonical(theirs[field]) != canonical(value):
            raise Refusal(pb.REFUSAL_REASON_CHARTER_MISMATCH, f"the order's {field} is not the charter's")
    return expected


def _weights(order: TaskOrder, own: Agreement) -> str | None:
    """Return the digest of an order's weights, if they are weights of these zones within the charter's maximum."""
    if order.weights is None:
        return None
    largest = own.charter.product(order.terms.product).parameters.get("weight_maximum")
    if len(order.weights) != len(own.zoning.zones) + 1:
        raise UsageProblem("the order's weights are not one of each zone and one of the unanchored")
    if isinstance(largest, int) and max(order.weights) > largest:
        raise UsageProblem("one of the order's weights is above the charter's weight_maximum")
    return digest_of_weights(order.weights)


def _require_own_code(order: TaskOrder, own: Agreement, algorithms: Mapping[str, str]) -> None:
    approved = own.charter.product(order.terms.product).algorithm
    if order.algorithm != approved:
        raise Refusal(pb.REFUSAL_REASON_CHARTER_MISMATCH, "the order's algorithm is not the charter's")
    if algorithms.get(order.terms.statistic) != approved:
        raise Refusal(
            pb.REFUSAL_REASON_ALGORITHM_NOT_APPROVED,
            f"the installed code of {order.terms.statistic} is not the code that the charter approved",
        )


def _require_days(order: TaskOrder, own: Agreement) -> None:
    source = own.config.source
    for day in days_between(order.terms.first_day, order.terms.last_day):
        if not source.first_day <= day <= source.last_day or day in own.policy.unavailable_days:
            raise Refusal(
                pb.REFUSAL_REASON_DATA_UNAVAILABLE, f"the operator declared that it has no data of {day}"
            )
    if order.terms.statistic == UNION_SKETCH:
        _require_persons(order, own)
    if not one_period(source.pseudonyms, order.terms.first_day, order.terms.last_day):
        raise Refusal(
            pb.REFUSAL_REASON_DATA_UNAVAILABLE, "subscribers change their pseudonyms within these days"
        )


def _require_persons(order: TaskOrder, own: Agreement) -> None:
    """Refuse at once what needs persons where none are known: waiting for it would hold up the others."""
    try:
        require_persons(own.config.source, order.terms.first_day, order.terms.last_day)
    except DataUnavailable as error:
        raise Refusal(pb.REFUSAL_REASON_DATA_UNAVAILABLE, error.what) from error
