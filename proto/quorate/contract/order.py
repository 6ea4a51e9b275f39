"""Task orders, and the terms that a charter gives to a product and period."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import Annotated

from pydantic import Field, model_validator

from privacy.errors import UsageProblem
from privacy.levels import split
from privacy.sensitivity import LARGEST_WEIGHT
from privacy.statistics import WEIGHTED_PRESENCE, declare
from privacy.terms import Digest, Name, Terms
from quorate.contract.canonical import Document, canonical
from quorate.contract.charter import Charter
from quorate.contract.keyset import Keyset, keyset_of
from quorate.contract.zoning import Zoning

ORDER_TYPE = "application/vnd.quorate.task-order+json"
ENTRY_TYPE = "application/vnd.quorate.ledger-entry+json"
#: Largest chunk of a contribution, in bytes.
CHUNK = 1 << 20

#: The charter's largest weight is in so many parts of a person; an order's weights are in as many or more.
WEIGHT_ONE = 1000
#: Stands for weights that are not known yet, where only costs and cells matter.
NO_WEIGHTS = "0" * 64

Nonce = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class TaskOrder(Document):
    """The hub's request to one node; the node rechecks every field against its own charter.

    `weights` are those of a weighted statistic, in parts of a person, of which `weight_one` make one: one of each
    zone, by which its subscribers count, then that of the unanchored. Their digest is in the terms.
    """

    network: Name
    operator: Name
    nonce: Nonce
    charter: Digest
    algorithm: Digest
    terms: Terms
    weights: tuple[Annotated[int, Field(strict=True, ge=0, le=LARGEST_WEIGHT)], ...] | None = None
    weight_one: Annotated[int, Field(strict=True, ge=1, le=LARGEST_WEIGHT)] | None = None

    @model_validator(mode="after")
    def _weighted(self) -> TaskOrder:
        if (self.weights is None) != (self.weight_one is None):
            raise ValueError("weights and the number of parts of a person go together")
        return self


def digest_of_weights(weights: Sequence[int]) -> Digest:
    """Return the digest of weights, as the terms of a weighted release carry it."""
    return hashlib.sha256(b"quorate.weights.v1" + canonical(list(weights))).hexdigest()


def terms_of(
    charter: Charter,
    zoning: Zoning,
    product_id: str,
    days: tuple[date, date],
    revision: int,
    *,
    weights: Digest | None = None,
) -> Terms:
    """Return the only terms on which the charter lets a product be released for a period.

    Parameters
    ----------
    charter, zoning
        The caller's own copies.
    product_id
        A product of the charter.
    days
        First and last local day, both included.
    revision
        0 for the first measurement.
    weights
        Digest of the weights, for a weighted statistic only.

    Raises
    ------
    UsageProblem
        If there is no such product, or the period is not one that product and charter allow.
    """
    product = charter.product(product_id)
    if (weights is not None) != (product.statistic == WEIGHTED_PRESENCE):
        raise UsageProblem(
            f"{product_id} is {'released with' if weights is None else 'not a statistic of'} weights"
        )
    first_day, last_day = days
    length = (last_day - first_day).days + 1
    if length < 1:
        raise UsageProblem(
            f"the period ends on {last_day}, before it begins on {first_day}", todo="swap the dates"
        )
    if length > product.max_days:
        raise UsageProblem(
            f"{product_id} is released for up to {product.max_days} day(s), not for {first_day} to {last_day}",
            todo="ask for a period of that length",
        )
    budgets = charter.budgets
    if not budgets.first_day <= first_day <= last_day <= budgets.last_day:
        raise UsageProblem(
            f"the charter has no budget outside {budgets.first_day} to {budgets.last_day}",
            means="a day that the charter does not name has budget zero",
            todo="ask for days that it covers",
        )
    names = [level.name for level in product.levels]
    keyset = keyset_of(
        product.statistic,
        product.parameters,
        zoning,
        names,
        first_day=first_day,
        time_zone=charter.time_zone,
    )
    bounds = declare(product.statistic, product.parameters, keyset.hours)
    return Terms(
        product=product_id,
        statistic=product.statistic,
        parameters=product.parameters,
        zoning=charter.zoning,
        keyset=keyset.digest(),
        levels=split(product.levels, bounds, product.mechanism, product.rho, charter.sigma_grid_milli),
        first_day=first_day,
        last_day=last_day,
        bounds=bounds,
        mechanism=product.mechanism,
        by_period=product.rho,
        charter_version=charter.version,
        revision=revision,
        weights=weights,
    )


def keyset_for(charter: Charter, zoning: Zoning, terms: Terms) -> Keyset:
    """Return the cells of a release, in the charter's time zone."""
    names = [level.name for level in terms.levels]
    return keyset_of(
        terms.statistic,
        terms.parameters,
        zoning,
        names,
        first_day=terms.first_day,
        time_zone=charter.time_zone,
    )
