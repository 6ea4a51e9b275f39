"""Factors from a survey and from a sketch, by hand; areas that shrink to their region."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.estimation.duplication import (
    BOTH,
    SKETCH,
    SURVEY,
    Factor,
    by_sketch,
    by_survey,
    combined,
    sketched,
)
from hub.estimation.duplication_areas import by_area
from hub.estimation.multiplicity import GoingOn
from hub.estimation.union import UnionEstimate, union

#: 900 persons of 1,200 at two operators; Var(Q) = 44 + 36 and Var(Σn) = 100.
TWO = replace(
    union(np.zeros((2, 8), dtype=np.int64), np.ones(2), GoingOn((0.1,), (0.1,))),
    persons=900.0,
    noise_variance=144.0,
    prior_variance=36.0,
    sizes=np.array([600.0, 600.0]),
    sizes_variance=np.array([50.0, 50.0]),
)


def test_a_survey_s_formula_is_that_of_the_specification_by_hand() -> None:
    # m̄ = 5/4 ± 1/20, Y = 1,000 with variance 100: 800 persons, 100·16/25 + 640²/20² = 64 + 1,024.
    factor = by_survey(1.25, 0.05)
    persons, variance = factor.persons(np.array([1000.0]), np.array([100.0]))
    assert factor.value == pytest.approx(0.8)
    assert factor.source == SURVEY
    assert persons == pytest.approx([800])
    assert variance == pytest.approx([1088])


def test_a_sketch_s_factor_has_the_variance_of_a_quotient_by_hand() -> None:
    # (44 + 36)/1,200² + 300²·100/1,200⁴: what both have in common, the sizes, hardly moves their quotient.
    factor = by_sketch(TWO)
    assert (factor.value, factor.source) == (0.75, SKETCH)
    assert factor.sd**2 == pytest.approx(80 / 1200**2 + 300**2 * 100 / 1200**4)
    assert sketched(TWO)[2] == pytest.approx(36 / 1200**2)


def test_sizes_within_their_noise_measure_no_factor() -> None:
    # 49 is below five standard deviations of 10.
    faint = replace(TWO, sizes=np.array([30.0, 19.0]))
    assert sketched(faint) == (1.0, np.inf, 0.0)
    with pytest.raises(ValueError, match="within their noise"):
        by_sketch(faint)
    assert by_sketch(replace(TWO, sizes=np.array([30.0, 21.0]), persons=51.0)).value == 1.0


def test_a_warning_of_the_union_goes_on_with_its_factor() -> None:
    assert by_sketch(replace(TWO, warnings=["triples"])).warnings == ["triples"]


def test_both_are_weighted_by_the_inverse_of_their_variances() -> None:
    # .8 ± .03 and .9 ± .04: weights 16 and 9 of 25, sd .03·.04/.05.
    both = combined(Factor(0.8, 0.03, SURVEY), Factor(0.9, 0.04, SKETCH, ["so"]))
    assert both.value == pytest.approx(0.836)
    assert both.sd == pytest.approx(0.024)
    assert (both.source, both.warnings) == (BOTH, ["so"])


def test_where_they_contradict_the_sketch_is_taken_and_a_warning_says_so() -> None:
    # .1 apart with a standard deviation of .0224: 4.5 of them.
    both = combined(Factor(0.8, 0.02, SURVEY), Factor(0.9, 0.01, SKETCH))
    assert (both.value, both.sd, both.source) == (0.9, 0.01, SKETCH)
    assert "4.5 standard deviations apart" in both.warnings[0]


@given(st.floats(0.5, 1), st.floats(0.5, 1), st.floats(0.001, 1), st.floats(0.001, 1))
def test_both_together_are_never_less_sure_than_the_sketch_alone(
    one: float, other: float, sd: float, other_sd: float
) -> None:
    sketch = Factor(other, other_sd, SKETCH)
    both = combined(Factor(one, sd, SURVEY), sketch)
    assert both.sd <= sketch.sd
    assert min(one, other) - 1e-12 <= both.value <= max(one, other) + 1e-12


@pytest.mark.parametrize(
    ("per_person", "sd"), [(0.99, 0.1), (np.inf, 0.1), (np.nan, 0.1), (1.2, -0.1), (1.2, np.nan)]
)
def test_surveys_that_cannot_be_are_errors(per_person: float, sd: float) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        by_survey(per_person, sd)


def test_a_factor_without_uncertainty_cannot_be_weighted() -> None:
    with pytest.raises(ValueError, match="positive"):
        combined(by_survey(1.0, 0.0), Factor(0.9, 0.01, SKETCH))


def area(factor: float, variance: float, prior: float = 0.0) -> UnionEstimate:
    """Return a union of 1,000 at operators without noise of sizes, whose factor has these variances."""
    return replace(
        TWO,
        persons=1000.0 * factor,
        noise_variance=variance * 1e6,
        prior_variance=prior * 1e6,
        sizes=np.array([500.0, 500.0]),
        sizes_variance=np.zeros(2),
    )


ONE_REGION: NDArray[np.int64] = np.zeros(4, dtype=np.int64)


def test_areas_shrink_to_their_region_as_the_fractions_say() -> None:
    # τ² = D = .0001: γ = 1/2; the region's mean is .9, its variance .0002/4; MSE = D/2 + ¼·.00005.
    found = by_area([area(f, 1e-4) for f in (0.86, 0.88, 0.92, 0.94)], ONE_REGION, tau=0.01)
    assert found.gamma == pytest.approx(np.full(4, 0.5))
    assert found.value == pytest.approx([0.88, 0.89, 0.91, 0.92])
    assert found.sd**2 == pytest.approx(np.full(4, 0.5e-4 + 0.25 * 0.5e-4))


def test_what_the_model_does_not_know_does_not_average_out_over_areas() -> None:
    unions = [area(f, 1e-4, prior=4e-4) for f in (0.86, 0.88, 0.92, 0.94)]
    alone = by_area([area(f, 1e-4) for f in (0.86, 0.88, 0.92, 0.94)], ONE_REGION, tau=0.01)
    found = by_area(unions, ONE_REGION, tau=0.01)
    assert found.value == pytest.approx(alone.value)
    assert found.sd**2 == pytest.approx(alone.sd**2 + 4e-4)


def test_an_area_shrinks_to_its_own_region_only() -> None:
    unions = [area(f, 1.0) for f in (0.70, 0.72, 0.90, 0.92)]
    found = by_area(unions, np.array([7, 7, 3, 3]), tau=1e-6)
    assert found.value == pytest.approx([0.71, 0.71, 0.91, 0.91])


def test_without_noise_areas_stay_and_with_noise_alone_they_are_their_region() -> None:
    factors = (0.86, 0.88, 0.92, 0.94)
    sure = by_area([area(f, 1e-12) for f in factors], ONE_REGION, tau=0.01)
    assert sure.value == pytest.approx(np.array(factors), abs=1e-6)
    unsure = by_area([area(f, 1e6) for f in factors], ONE_REGION, tau=0.01)
    assert unsure.value == pytest.approx(np.full(4, 0.9), abs=1e-6)


def test_areas_that_differ_by_less_than_their_noise_are_all_their_region() -> None:
    found = by_area([area(f, 1e-2) for f in (0.86, 0.88, 0.92, 0.94)], ONE_REGION)
    assert found.tau == 0
    assert found.value == pytest.approx(np.full(4, 0.9))


def test_an_area_within_its_noise_has_its_region_s_factor() -> None:
    faint = replace(TWO, sizes=np.array([1.0, -3.0]))
    found = by_area([area(0.8, 1e-4), faint, area(0.9, 1e-4)], ONE_REGION[:3], tau=0.01)
    assert found.value[1] == pytest.approx(0.85)
    assert found.gamma[1] == 0
    # The region's mean, .0002/2, and the spread between areas.
    assert found.sd[1] ** 2 == pytest.approx(1e-4 + 1e-4)


def test_a_region_without_a_measured_area_is_an_error() -> None:
    faint = replace(TWO, sizes=np.array([1.0, -3.0]))
    with pytest.raises(ValueError, match="no area that is measured"):
        by_area([area(0.8, 1e-4), area(0.8, 1e-4), faint], np.array([0, 0, 1]))
    with pytest.raises(ValueError, match="one region"):
        by_area([area(0.8, 1e-4)], ONE_REGION)
    with pytest.raises(ValueError, match="more areas"):
        by_area([area(0.8, 1e-4)], ONE_REGION[:1])
