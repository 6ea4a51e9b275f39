"""Weighted releases as tables: silent phones by region, and answers whose first round is gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from hub.config import Agreement, Register
from hub.estimation.anchored import regions_of
from hub.estimation.question import Answer, Question
from hub.estimation.rounds import fixed_weights
from hub.estimation.table import estimate
from privacy.errors import UsageProblem
from quorate.contract.order import digest_of_weights, keyset_for, terms_of
from quorate.contract.payload import encode
from tests.support_hub import DAY, PRODUCTS, nothing_earlier, order_for, small_agreement, terms_in

OWNERS = np.array([800_000.0, 500_000, 1_100_000, 600_000, 100_000])
SHARE = 0.4
NOON = 12


def agreement(**parameters: Any) -> Agreement:
    anchors, weighted = PRODUCTS[2:]
    changed = weighted.model_copy(update={"parameters": {**weighted.parameters, **parameters}})
    own = small_agreement(products=(anchors, changed))
    return replace(own, register=Register(OWNERS / 0.8, OWNERS))


def asked(own: Agreement, silent: np.ndarray[Any, Any]) -> Question:
    """Return a weighted release of one operator whose subscribers stay at home; a part of each zone's are silent at
    noon.
    """
    anchored = np.rint(OWNERS * SHARE).astype(np.int64)
    first = Answer(order_for(own, "east", terms_in(own, "anchors", DAY)), encode(np.append(anchored, 0)))
    weights = fixed_weights(own, own.charter.product("weighted"), [first])["east"]
    terms = terms_of(own.charter, own.zoning, "weighted", (DAY, DAY), 0, weights=digest_of_weights(weights))
    weighed = anchored * np.array(weights[:5])
    present = np.repeat(weighed[:, None], 24, axis=1)
    unheard = np.rint(weighed * silent).astype(np.int64)
    present[:, NOON] -= unheard
    keyset = keyset_for(own.charter, own.zoning, terms)
    specials = np.zeros((len(keyset.specials), 24), np.int64)
    regions = regions_of(
        Question(own, [Answer(order_for(own, "east", terms, weights), b"")], nothing_earlier)
    )
    np.add.at(specials[:, NOON], regions, unheard)
    data = encode(np.concatenate([present.ravel(), specials.ravel()]))

    def earlier(product: str, days: tuple[date, date], revision: int | None) -> list[Answer]:
        assert (product, days, revision) == ("anchors", (DAY, DAY), 0)
        return [first]

    return Question(own, [Answer(order_for(own, "east", terms, weights), data)], earlier)


def at_noon(question: Question) -> list[float]:
    return [row["estimate"] for row in estimate(question).to_pylist() if "T12:" in row["time_period"]][:5]


#: Only subscribers of province P (zones A1 and A2) fall silent.
SILENT = np.array([0.3, 0.3, 0.0, 0.0, 0.0])


def test_silent_phones_are_given_back_to_the_region_they_come_from() -> None:
    found = at_noon(asked(agreement(silent_level="province"), SILENT))
    assert found[:4] == pytest.approx((OWNERS / 0.8)[:4], rel=0.01)


def test_without_regions_they_are_spread_over_the_country() -> None:
    found = at_noon(asked(agreement(), SILENT))
    assert found[0] < 0.88 * OWNERS[0] / 0.8
    assert found[2] > 1.08 * OWNERS[2] / 0.8


def test_a_zone_in_no_area_of_the_level_shares_the_last_row() -> None:
    question = asked(agreement(silent_level="province"), SILENT)
    assert regions_of(question).tolist() == [0, 0, 2, 1, 1]
    assert len(question.keyset.specials) == 3


def test_answers_whose_first_round_is_gone_cannot_be_estimated() -> None:
    question = asked(agreement(), SILENT)
    with pytest.raises(UsageProblem, match="the anchors of east"):
        estimate(Question(question.own, question.answers, nothing_earlier))
