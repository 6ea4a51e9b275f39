"""Products in two rounds: a weighted one is made of the anchors of the same day."""

from __future__ import annotations

from privacy.errors import UsageProblem
from privacy.statistics import ANCHORS_BY_DAY, WEIGHTED_PRESENCE
from quorate.contract.charter import Charter, Product


def first_round_of(charter: Charter, product: Product) -> Product | None:
    """Return the product that must be released before one, None if there is no such.

    Raises
    ------
    UsageProblem
        If the product is weighted, and the charter does not have exactly one product of anchors with the same hours
        of the night.
    """
    if product.statistic != WEIGHTED_PRESENCE:
        return None
    hours = product.parameters.get("night_hours")
    found = [
        other
        for other in charter.products
        if other.statistic == ANCHORS_BY_DAY and other.parameters.get("night_hours") == hours
    ]
    if len(found) != 1:
        raise UsageProblem(
            f"product {product.product_id} is weighted, and the charter has {len(found)} products of "
            f"{ANCHORS_BY_DAY} with its night_hours, not one",
            means="no weights could be made, and its releases would never begin",
            todo=f"add one product of {ANCHORS_BY_DAY} with the same night_hours to the charter",
        )
    return found[0]
