"""A loss split over levels: parts that are never more than the whole, and each level's own noise."""

from __future__ import annotations

import math
from datetime import date
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from privacy.errors import PrivacyProblem, UsageProblem
from privacy.levels import PERMILLE, noised_levels, part_of, split
from privacy.noise import TABLE_CELLS, calibrate, mapped_loss, noise_of, variance
from privacy.sensitivity import Declaration, Mechanism
from privacy.statistics import RESIDENTS
from privacy.terms import Level, Terms

GAUSSIAN: Mechanism = "discrete-gaussian"
LAPLACE: Mechanism = "discrete-laplace"
MECHANISMS = (GAUSSIAN, LAPLACE)
HOME = Declaration(cells_by_period=1, cells_by_day=2)
RHO, GRID = 20_000_000, 10
FIRST, LAST = date(2026, 5, 1), date(2026, 5, 31)


def levels_of(*shares: int) -> tuple[Level, ...]:
    names = ("zone", "district", "province", "nation")
    return tuple(Level(name=name, share_permille=share) for name, share in zip(names, shares, strict=False))


def terms_of(mechanism: Mechanism = GAUSSIAN, *shares: int, by_period: int = RHO) -> Terms:
    """Return terms of a month of residents, with the split that a charter would give them."""
    return Terms(
        product="residents",
        statistic=RESIDENTS,
        parameters={},
        zoning="a" * 64,
        keyset="b" * 64,
        levels=split(levels_of(*(shares or (600, 400))), HOME, mechanism, by_period, GRID),
        first_day=FIRST,
        last_day=LAST,
        bounds=HOME,
        mechanism=mechanism,
        by_period=by_period,
        charter_version=1,
    )


# --- the split --------------------------------------------------------------------------------------------


def test_a_level_gets_its_share_of_the_loss_rounded_down() -> None:
    (third, rest) = levels_of(333, 667)
    assert (part_of(third, 1_000), part_of(rest, 1_000)) == (333, 667)
    assert (part_of(third, 10), part_of(rest, 10)) == (3, 6), "3.33 and 6.67: one nano-rho is spent on nobody"
    assert part_of(Level(name="zone", share_permille=1000), 7) == 7


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_level_keeps_its_name_and_share_and_has_the_least_noise_of_its_part(
    mechanism: Mechanism,
) -> None:
    found = split(levels_of(500, 300, 200), HOME, mechanism, RHO, GRID)
    assert [(level.name, level.share_permille) for level in found] == [
        ("zone", 500),
        ("district", 300),
        ("province", 200),
    ]
    assert [level.by_period for level in found] == [10_000_000, 6_000_000, 4_000_000]
    # Δ = 1 in both norms, so both scales are 1/√(2ρ): √50 = 7.0711, √83⅓ = 9.1287, √125 = 11.1803.
    assert [level.scale_milli for level in found] == [7_080, 9_130, 11_190]
    for level in found:
        assert level.scale_milli == calibrate(HOME, mechanism, level.by_period, GRID)


def test_one_level_with_the_whole_share_is_the_whole_loss() -> None:
    (only,) = split(levels_of(1000), HOME, GAUSSIAN, RHO, GRID)
    assert (only.by_period, only.scale_milli) == (RHO, calibrate(HOME, GAUSSIAN, RHO, GRID))


@settings(deadline=None)
@given(
    by_period=st.integers(1_000, 10**11),
    cuts=st.lists(st.integers(1, 999), max_size=3, unique=True),
    mechanism=st.sampled_from(MECHANISMS),
    cells=st.integers(1, 25),
)
def test_the_levels_together_never_cost_more_than_the_whole_by_opendps_map_too(
    by_period: int, cuts: list[int], mechanism: Mechanism, cells: int
) -> None:
    bounds = Declaration(cells_by_period=cells, cells_by_day=cells)
    shares = [high - low for low, high in pairwise([0, *sorted(cuts), PERMILLE])]
    found = split(levels_of(*shares), bounds, mechanism, by_period, 1)
    parts = [level.by_period for level in found]
    assert by_period - len(parts) < sum(parts) <= by_period
    assert [Fraction(by_period * share, PERMILLE) // 1 for share in shares] == parts
    mapped = [mapped_loss(bounds, noise_of(mechanism, level.scale_milli)) for level in found]
    assert all(loss <= part for loss, part in zip(mapped, parts, strict=True))
    assert sum(mapped) <= by_period


@pytest.mark.parametrize(
    "shares", [(999,), (1, 998), (500, 501), (1000, 1), (1000, 1000), (333, 333, 333), ()], ids=str
)
def test_shares_that_are_not_the_whole_are_refused(shares: tuple[int, ...]) -> None:
    with pytest.raises(UsageProblem, match=f"add up to {sum(shares)} thousandths of the loss, not to 1000"):
        split(levels_of(*shares), HOME, GAUSSIAN, RHO, GRID)


@pytest.mark.parametrize(("by_period", "share"), [(1, 999), (999, 1), (99, 10), (1, 1)])
def test_a_share_of_less_than_a_nano_rho_is_refused_by_the_name_of_its_level(
    by_period: int, share: int
) -> None:
    with pytest.raises(UsageProblem, match="level district gets less than a nano-rho") as caught:
        part_of(Level(name="district", share_permille=share), by_period)
    assert caught.value.todo == "give it a larger share, or the product a larger rho"
    with pytest.raises(UsageProblem, match="gets less than a nano-rho"):
        split(levels_of(PERMILLE - share, share), HOME, GAUSSIAN, by_period, GRID)


def test_a_share_of_just_a_nano_rho_is_taken() -> None:
    assert [level.by_period for level in split(levels_of(999, 1), HOME, GAUSSIAN, 1_000, GRID)] == [999, 1]


def test_terms_whose_levels_cost_more_than_the_release_or_come_twice_cannot_be_written() -> None:
    sound = terms_of()
    zone, district = sound.levels
    dear = zone.model_copy(update={"by_period": zone.by_period + 1})
    for levels, says in (
        ((dear, district), "the levels cost more than the release"),
        ((zone, zone), "a level is named twice"),
        ((), "at least 1 item"),
    ):
        with pytest.raises(ValidationError, match=says):
            Terms.model_validate(sound.model_dump() | {"levels": levels})


@pytest.mark.parametrize(("mechanism", "by_day"), [(GAUSSIAN, 2 * RHO), (LAPLACE, 4 * RHO)])
def test_several_levels_are_charged_what_one_level_is_charged(mechanism: Mechanism, by_day: int) -> None:
    # One day can move a home, which changes two cells by one: Δ₂² is 2, Δ₁² is 4.
    one, two = terms_of(mechanism, 1000).charge(), terms_of(mechanism, 600, 400).charge()
    assert one == two
    assert (two.by_period, two.by_day) == (RHO, by_day)


# --- the noise --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_the_noise_of_every_level_has_the_scale_of_that_level(mechanism: Mechanism) -> None:
    terms = terms_of(mechanism, 900, 90, 10)
    # 40,000 cells are drawn from the table; of 4,000 each, which OpenDP draws itself, there are ten rounds.
    sizes = (40_000, 4_000, 4_000)
    exact = [np.full(size, 1000 * (place + 1), np.int64) for place, size in enumerate(sizes)]
    rounds = [noised_levels(exact, terms) for _ in range(10)]
    assert {samplers for _values, samplers in rounds} == {("table", "opendp", "opendp")}
    edges = list(pairwise([0, *np.cumsum(sizes).tolist()]))
    for level, counts, (start, end) in zip(terms.levels, exact, edges, strict=True):
        noise = np.concatenate([values[start:end] - counts for values, _samplers in rounds]).astype(
            np.float64
        )
        spread, cells = variance(noise_of(mechanism, level.scale_milli)), noise.size
        # Fourth moments: 3 variances squared for a Gaussian, 6 for a Laplace distribution.
        kurtosis = 3 if mechanism == GAUSSIAN else 6
        assert abs(noise.mean()) < 6 * math.sqrt(spread / cells)
        assert abs(noise.var() - spread) < 6 * spread * math.sqrt((kurtosis - 1) / cells), level.name


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_levels_are_one_vector_in_the_order_of_the_terms(mechanism: Mechanism) -> None:
    sizes = [5, 1, 3]
    exact = [np.full(size, 10**6 * place, np.int64) for place, size in enumerate(sizes)]
    values, samplers = noised_levels(exact, terms_of(mechanism, 500, 300, 200))
    assert values.dtype == np.int64
    assert (values.shape, samplers) == ((9,), ("opendp",) * 3)
    assert np.round(values / 10**6).tolist() == [0] * 5 + [1] + [2] * 3


def test_no_level_has_the_noise_of_another() -> None:
    exact = [np.zeros(200, np.int64)] * 2
    values, _samplers = noised_levels(exact, terms_of(GAUSSIAN, 500, 500))
    assert not np.array_equal(values[:200], values[200:])
    assert not any(counts.any() for counts in exact), "the exact counts are left alone"


@pytest.mark.parametrize(
    ("sizes", "samplers"),
    [
        ((TABLE_CELLS, TABLE_CELLS), ("table", "table")),
        ((TABLE_CELLS, TABLE_CELLS - 1), ("table", "opendp")),
        ((1, TABLE_CELLS), ("opendp", "table")),
    ],
)
def test_every_level_has_the_sampler_of_its_own_size(
    sizes: tuple[int, int], samplers: tuple[str, str]
) -> None:
    exact = [np.zeros(size, np.int64) for size in sizes]
    assert noised_levels(exact, terms_of())[1] == samplers


@pytest.mark.parametrize("number", [0, 1, 3])
def test_vectors_of_other_levels_than_those_of_the_terms_are_not_noised(number: int) -> None:
    with pytest.raises(PrivacyProblem, match=f"there are vectors of {number} levels, not of 2"):
        noised_levels([np.zeros(3, np.int64)] * number, terms_of())


def test_a_level_with_too_little_noise_for_its_part_stops_all_of_them() -> None:
    terms = terms_of()
    zone, district = terms.levels
    less = district.model_copy(update={"scale_milli": district.scale_milli - GRID})
    with pytest.raises(PrivacyProblem, match="the noise is too small for the loss that would be charged"):
        noised_levels([np.zeros(3, np.int64)] * 2, terms.model_copy(update={"levels": (zone, less)}))


def test_a_level_that_is_no_vector_of_counts_stops_all_of_them() -> None:
    for wrong in (np.zeros(0, np.int64), np.full(3, 2**60, np.int64)):
        with pytest.raises(PrivacyProblem):
            noised_levels([np.zeros(3, np.int64), wrong], terms_of())
