"""Estimates end to end at a small scale: events, nodes, hub, two rounds; nothing is held back."""

from __future__ import annotations

import numpy as np
import pytest

from tests.statistical.chain.run import Options, Outcome, run
from tests.statistical.chain.score_presence import baseline_of
from tests.statistical.chain.score_residents import country_of

pytestmark = pytest.mark.full
TWO = ("mno1, mno2", "mno1, mno3", "mno2, mno3")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(Options(scale=0.05, seed=2, draws=5), tmp_path_factory.mktemp("chain"), lambda _what: None)


def test_residents_are_better_than_the_register_and_hardly_worse_than_of_perfect_counts(
    outcome: Outcome,
) -> None:
    country = country_of(outcome.times)
    scaled = country.then * country.now.sum() / country.then.sum()
    carried = 100 * float(np.abs(scaled / country.now - 1).mean())
    rows = {row.end_to_end.scenario: row for row in outcome.residents}
    for name in ("three operators", "two operators", "two smaller operators"):
        found = rows[name]
        assert found.end_to_end.mape < carried, name
        assert found.end_to_end.mape < 1.1 * found.counted.mape, name
        assert found.end_to_end.coverage_95 > 91, name


def test_what_the_hub_publishes_is_what_its_estimator_says_of_its_contributions(outcome: Outcome) -> None:
    (found,) = (row.end_to_end for row in outcome.residents if row.end_to_end.scenario == "three operators")
    assert outcome.published.published > 95
    assert outcome.published.mape == pytest.approx(found.mape, rel=0.15)
    assert outcome.published.coverage_95 > 91


def test_a_missing_operator_does_not_take_its_part_of_the_national_sum_along(outcome: Outcome) -> None:
    unknown = [row.end_to_end for row in outcome.residents if "total unknown" in row.end_to_end.scenario]
    assert len(unknown) == 3
    for found in unknown:
        assert found.total_error < 2.5, found.scenario
        assert found.total_inside == 100, found.scenario


def test_presence_is_nearer_to_the_truth_than_by_zone_of_presence_and_its_intervals_hold(
    outcome: Outcome,
) -> None:
    published = [score for score in outcome.presence if score.way == "anchored" and "," in score.operators]
    assert [score.operators for score in published if score.operators in TWO] == list(TWO[::-1])
    assert len(published) == 4
    for score in published:
        assert score.published == 100
        assert min(score.coverage[1], score.coverage[3]) > 93, score.operators
        assert score.wmape_day < 1.2, score.operators
        # At this scale half of the error is the chance of who is a subscriber; docs/results has a larger one.
        beside = baseline_of(score, outcome.presence)
        assert beside is not None
        assert score.wmape_day < beside.wmape_day / 1.5, score.operators
