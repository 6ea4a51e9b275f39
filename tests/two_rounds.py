"""Products in two rounds for networks of tests: anchors by day, and weighted presence that is made of them."""

from __future__ import annotations

from node.statistics.registry import algorithms
from privacy.statistics import ANCHORS_BY_DAY, WEIGHTED_PRESENCE
from privacy.terms import Level
from quorate.contract.charter import Charter, Product
from quorate.contract.order import WEIGHT_ONE
from quorate.contract.zoning import ZONE

NIGHT_HOURS = (0, 1, 2, 3, 4, 5)
ANCHORS, WEIGHTED = "anchors", "weighted"


def anchors(rho: int) -> Product:
    """Return the product of the first round, at zones, for a loss in nano-ρ."""
    return _product(ANCHORS, "Anchors by zone and day", ANCHORS_BY_DAY, rho, {})


def weighted(rho: int, largest: int, product_id: str = WEIGHTED) -> Product:
    """Return a product of the second round; no subscriber stands for more than `largest` persons."""
    title = "Persons present by zone and hour, weighted by anchor zone"
    return _product(product_id, title, WEIGHTED_PRESENCE, rho, {"weight_maximum": largest * WEIGHT_ONE})


def _product(product_id: str, title: str, statistic: str, rho: int, parameters: dict[str, int]) -> Product:
    return Product(
        product_id=product_id,
        title=title,
        statistic=statistic,
        parameters={"night_hours": list(NIGHT_HOURS), **parameters},
        levels=(Level(name=ZONE, share_permille=1000),),
        max_days=1,
        rho=rho,
        algorithm=algorithms()[statistic],
    )


def agreed(charter: Charter, products: tuple[Product, ...], day_budget: int, least: int = 2) -> Charter:
    """Return a charter with other products, a budget of the day (and of 31 days) that bears them, and a quorum."""
    budgets = charter.budgets.model_copy(update={"day": day_budget, "month": 31 * day_budget})
    publication = charter.publication.model_copy(update={"min_operators": least})
    return charter.model_copy(update={"products": products, "budgets": budgets, "publication": publication})
