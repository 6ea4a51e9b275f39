"""Task orders and receipts, and the terms that a charter gives to a product and period."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from privacy.errors import UsageProblem
from privacy.levels import split
from privacy.statistics import declare
from privacy.terms import Digest, Name, Terms
from quorate.contract.canonical import Document
from quorate.contract.charter import Charter
from quorate.contract.keyset import Keyset, keyset_of
from quorate.contract.zoning import Zoning

ORDER_TYPE = "application/vnd.quorate.task-order+json"
ENTRY_TYPE = "application/vnd.quorate.ledger-entry+json"
RECEIPT_TYPE = "application/vnd.quorate.receipt+json"
#: Largest chunk of a contribution, in bytes.
CHUNK = 1 << 20

Nonce = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class TaskOrder(Document):
    """The hub's request to one node; the node rechecks every field against its own charter."""

    network: Name
    operator: Name
    nonce: Nonce
    charter: Digest
    algorithm: Digest
    terms: Terms


class Receipt(Document):
    """The hub's word that it holds a contribution."""

    network: Name
    operator: Name
    order: Digest
    result_sha256: Digest
    release_id: Digest
    ledger_sequence: int
    ledger_head: Digest


def terms_of(
    charter: Charter, zoning: Zoning, product_id: str, days: tuple[date, date], revision: int
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

    Raises
    ------
    UsageProblem
        If there is no such product, or the period is not one that product and charter allow.
    """
    product = charter.product(product_id)
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
            means="an unknown block has budget zero",
            todo="ask for days that it covers",
        )
    names = [level.name for level in product.levels]
    keyset = keyset_of(product.statistic, zoning, names, first_day, charter.time_zone)
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
    )


def keyset_for(charter: Charter, zoning: Zoning, terms: Terms) -> Keyset:
    """Return the cells of a release, in the charter's time zone."""
    names = [level.name for level in terms.levels]
    return keyset_of(terms.statistic, zoning, names, terms.first_day, charter.time_zone)
