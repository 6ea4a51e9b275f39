"""Weighted releases as tables: silent phones by region, and answers whose first round is gone."""

from __future__ import annotations

import json
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
from tests.support_hub import (
    DAY,
    PRODUCTS,
    calibration,
    nothing_earlier,
    order_for,
    small_agreement,
    terms_in,
)

OWNERS = np.array([800_000.0, 500_000, 1_100_000, 600_000, 100_000])
SHARE = 0.4
AT_HOME = "delay_minutes", "delay_sd_minutes", "others_moving_permille", "others_moving_sd_permille"
NOON = 12


def agreement(*, others: tuple[int, int] = (0, 0), **parameters: Any) -> Agreement:
    anchors, weighted = PRODUCTS[2:]
    changed = weighted.model_copy(update={"parameters": {**weighted.parameters, **parameters}})
    # Nobody moves here, and nothing is seen late.
    told = dict.fromkeys(AT_HOME[:2], 0) | dict(zip(AT_HOME[2:], others, strict=True))
    at_once = calibration().model_copy(update=told)
    own = small_agreement(products=(anchors, changed), calibration=at_once)
    return replace(own, register=Register(OWNERS / 0.8, OWNERS))


def asked(own: Agreement, silent: np.ndarray[Any, Any], away: float = 0.0) -> Question:
    """Return a weighted release of one operator whose subscribers stay at home; a part of each zone's are silent at
    noon, and a part of the first zone's are in the last one then.
    """
    anchored = np.rint(own.register.phone_owners * SHARE).astype(np.int64)
    first = Answer(order_for(own, "east", terms_in(own, "anchors", DAY)), encode(np.append(anchored, 0)))
    weights = fixed_weights(own, own.charter.product("weighted"), [first])["east"]
    terms = terms_of(
        own.charter, own.zoning, "weighted", (DAY, DAY), 0, weights=digest_of_weights(weights.value)
    )
    weighed = anchored * np.array(weights.value[:5])
    present = np.repeat(weighed[:, None], 24, axis=1)
    unheard = np.rint(weighed * silent).astype(np.int64)
    present[:, NOON] -= unheard
    there = round(away * weighed[0])
    present[[0, -1], NOON] += -there, there
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


def test_an_operator_lost_in_its_noise_is_not_asked_and_has_no_part_in_the_average() -> None:
    own = agreement()
    terms = terms_in(own, "anchors", DAY)
    nobody = Answer(order_for(own, "west", terms), encode(np.array([3, -5, 2, 7, -1, 0], dtype=np.int64)))
    somebody = Answer(
        order_for(own, "east", terms), encode(np.append(np.rint(OWNERS * SHARE), 0).astype(np.int64))
    )
    assert set(fixed_weights(own, own.charter.product("weighted"), [nobody, somebody])) == {"east"}


def test_weights_that_are_cut_leave_the_level_right_and_the_doubt_in_the_variance() -> None:
    from hub.estimation.presence import Answer as Weighted
    from hub.estimation.presence import averaged, weights

    owners = np.array([1000.0, 1000.0])
    cut = weights(owners, np.array([500.0, 100.0]), np.full(2, 1e-6), largest=5.0)
    assert cut.lacking.round().tolist() == [0, 500]
    assert cut.standing == pytest.approx(0.75)
    present = (cut.value * np.array([500.0, 100.0]))[:, None]
    found = averaged(
        [Weighted(present, np.zeros((1, 1)), 1e-6, cut)], np.zeros(2, dtype=np.int64), owners, 0.0
    )
    assert found.estimate.sum() == pytest.approx(2000)
    # The first zone has a third too many and the second a third too few.
    assert found.noise.ravel() == pytest.approx([(1000 / 3) ** 2, (1000 / 3) ** 2], rel=1e-3)


def test_a_register_that_changed_between_the_rounds_is_told() -> None:
    asked_before = asked(agreement(), SILENT)
    register = Register(OWNERS * 1.1 / 0.8, OWNERS * 1.1)
    changed = Question(
        replace(asked_before.own, register=register), asked_before.answers, asked_before.earlier
    )
    report = json.loads(estimate(changed).schema.metadata[b"quality"])
    assert any("register was changed after the weights of east" in text for text in report["warnings"])


def test_a_region_within_its_noise_has_the_part_of_silent_phones_that_the_country_has() -> None:
    from hub.estimation.presence import Answer as Weighted
    from hub.estimation.presence import national, weights

    owners = np.array([100_000.0, 200.0])
    given = weights(owners, np.array([50_000.0, 100.0]), np.full(2, 1.0), largest=5.0)
    answer = Weighted(
        present=np.array([[80_000.0], [160.0]]),
        silent=np.array([[20_000.0], [40.0]]),
        noise=50.0**2,
        weights=given,
    )
    found, _assigned = national(answer, np.array([0, 1]))
    assert found.ravel() == pytest.approx([100_000, 200], rel=0.002)


def test_some_of_those_without_a_phone_move_like_those_with_one() -> None:
    own, nobody = agreement(others=(200, 100)), np.zeros(5)
    persons, owners = own.register.population[0], own.register.phone_owners[0]
    question = asked(own, nobody, away=0.5)
    rows = [row for row in estimate(question).to_pylist() if "T12:" in row["time_period"]][:5]
    gone = persons - rows[0]["estimate"]
    assert gone == pytest.approx(0.5 * (owners + 0.2 * (persons - owners)), rel=0.01)
    assert sum(row["estimate"] for row in rows) == pytest.approx(own.register.population.sum(), rel=0.01)
    # How many move is known to a tenth of those without a phone, which is 25 for each 100 owners.
    certain = estimate(asked(agreement(others=(200, 0)), nobody, away=0.5)).to_pylist()
    (sure,) = [row for row in certain if "T12:" in row["time_period"]][:1]
    more = rows[0]["std_error"] ** 2 - sure["std_error"] ** 2
    assert more**0.5 == pytest.approx(0.1 * 0.5 * (persons - owners), rel=0.15)


def test_a_zone_in_which_nobody_is_registered_is_held_against_who_is_there() -> None:
    owners = OWNERS * [1, 1, 1, 1, 0]
    own = replace(agreement(), register=Register(owners / 0.8, owners))
    rows = estimate(asked(own, np.zeros(5), away=0.5)).to_pylist()
    of_last = {row["time_period"]: row for row in rows if row["ref_area"] == "C2"}
    assert len(of_last) == 24
    noon = [row for when, row in of_last.items() if "T12:" in when]
    assert [row["estimate"] for row in noon] == pytest.approx([0.5 * OWNERS[0]], rel=0.02)
    assert {row["obs_status"] for row in noon} == {"E"}
    night = [row for when, row in of_last.items() if "T12:" not in when]
    assert {(row["estimate"], row["obs_status"]) for row in night} == {(None, "Q")}
