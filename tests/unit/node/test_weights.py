"""Weights come with the order of a weighted statistic: one for each zone, and within the bound of the charter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from node.release.policy import Refusal, require_agreed
from node.statistics.registry import algorithms
from privacy.errors import UsageProblem
from privacy.statistics import WEIGHTED_PRESENCE
from quorate.contract.charter import Product
from quorate.contract.order import TaskOrder, digest_of_weights, terms_of
from quorate.v1 import federation_pb2 as pb
from tests.support_node import LAST_DAY, POLICY_TOML, agreement, products_of, zoning_of

LARGEST = 4_000
PRODUCT = Product(
    product_id="weighted",
    title="Present population, weighted",
    statistic=WEIGHTED_PRESENCE,
    parameters={"weight_maximum": LARGEST, "night_hours": [0, 1, 2, 3, 4, 5]},
    levels=products_of(algorithms())[0].levels,
    max_days=1,
    rho=10_000_000,
    algorithm=algorithms()[WEIGHTED_PRESENCE],
)
OWN = agreement(
    POLICY_TOML.replace("products = [", 'products = ["weighted", '),
    products=(*products_of(algorithms()), PRODUCT),
)
GOOD = (LARGEST, *range(1, len(zoning_of().zones) + 1))


def order(weights: tuple[int, ...] | None, told: str | None, product: str = "weighted") -> TaskOrder:
    """Return an order with weights, and with a digest of weights in its terms."""
    terms = terms_of(
        OWN.charter,
        OWN.zoning,
        product,
        (LAST_DAY, LAST_DAY),
        0,
        weights=digest_of_weights(GOOD) if product == "weighted" else None,
    ).model_copy(update={"weights": told})
    return TaskOrder(
        network=OWN.charter.network,
        operator=OWN.operator,
        nonce="0" * 32,
        charter=OWN.charter_digest,
        algorithm=OWN.charter.product(product).algorithm,
        terms=terms,
        weights=weights,
        weight_one=None if weights is None else 1000,
    )


def test_weights_of_every_zone_and_of_the_unanchored_are_agreed_to() -> None:
    asked = order(GOOD, digest_of_weights(GOOD))
    terms = require_agreed(TaskOrder.from_wire(asked.to_bytes(), "the order"), OWN, algorithms())
    assert terms == asked.terms
    assert terms.weights == digest_of_weights(GOOD)
    assert terms.bounds.cell_maximum == LARGEST


@pytest.mark.parametrize(
    ("weights", "told", "product"),
    [
        (GOOD[:-1], digest_of_weights(GOOD[:-1]), "weighted"),
        ((*GOOD, 1), digest_of_weights((*GOOD, 1)), "weighted"),
        ((LARGEST + 1, *GOOD[1:]), digest_of_weights((LARGEST + 1, *GOOD[1:])), "weighted"),
        (GOOD[::-1], digest_of_weights(GOOD), "weighted"),
        (GOOD, None, "weighted"),
        (None, digest_of_weights(GOOD), "weighted"),
        (None, None, "weighted"),
        (GOOD, digest_of_weights(GOOD), "presence"),
        (GOOD, None, "presence"),
        (None, digest_of_weights(GOOD), "presence"),
    ],
    ids=["short", "long", "large", "others", "untold", "not sent", "none", "unwanted", "sent", "told"],
)
def test_other_weights_are_refused(weights: tuple[int, ...] | None, told: str | None, product: str) -> None:
    with pytest.raises(Refusal) as caught:
        require_agreed(order(weights, told, product), OWN, algorithms())
    assert caught.value.reason == pb.REFUSAL_REASON_CHARTER_MISMATCH


@pytest.mark.parametrize("weights", [(-1,), (1.0,), (True,), (2**20 + 1,), ("1",)])
def test_weights_are_whole_numbers(weights: Any) -> None:
    document = order(GOOD, digest_of_weights(GOOD)).model_dump(mode="json") | {"weights": list(weights)}
    with pytest.raises(UsageProblem):
        TaskOrder.from_bytes(json.dumps(document).encode(), "the order")


def test_different_weights_are_different_releases() -> None:
    ids = {
        order(GOOD, digest_of_weights(weights)).terms.release_id()
        for weights in (GOOD, GOOD[::-1], GOOD[:-1], (0, *GOOD[1:]))
    }
    assert len(ids) == 4
