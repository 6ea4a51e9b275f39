"""Weights of the second round of a weighted release, made of the answers to its first.

Each operator's weights are made of its own anchors alone and go to it alone: told to others they would show its share
of the market. An operator that did not answer the first round has no weights, so it is not asked in the second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hub.config import Agreement
from hub.estimation.presence import FixedPoint, Weights, in_fixed_point, weights
from hub.estimation.question import Answer, counted
from quorate.contract.charter import Product
from quorate.contract.order import WEIGHT_ONE

Values = NDArray[np.float64]


def fixed_weights(own: Agreement, product: Product, anchors: Sequence[Answer]) -> Mapping[str, FixedPoint]:
    """Return the weights of every operator of the first round that stands for somebody, as its order carries them.

    One that was lost in its noise has none, and is not asked: it would pay for an answer that says nothing.

    Parameters
    ----------
    own
        Charter, zoning and register.
    product
        The weighted one.
    anchors
        Answers to the first round.
    """
    largest = largest_weight(product)
    given = {
        answer.operator: in_fixed_point(weights_of(own, product, answer).value, largest, WEIGHT_ONE)
        for answer in anchors
    }
    return {operator: found for operator, found in given.items() if any(found.value)}


def weights_of(own: Agreement, product: Product, anchors: Answer) -> Weights:
    """Return one operator's weights by its answer to the first round; the same answer gives the same weights."""
    found, owners = counted(own, anchors), stood_for(own)
    noise = np.broadcast_to(found.zone_variance, owners.shape)
    return weights(owners, found.zones[:, 0], noise, largest_weight(product) / WEIGHT_ONE)


def stood_for(own: Agreement) -> Values:
    """Return persons by zone for whom subscribers stand: phone owners, and who has no phone and moves like them."""
    register, part = own.register, own.charter.calibration.others_moving_permille / 1000
    return np.asarray(register.phone_owners + part * (register.population - register.phone_owners))


def largest_weight(product: Product) -> int:
    """Return the agreed maximum of a weighted product's weights, in thousandths of a person."""
    return int(str(product.parameters["weight_maximum"]))
