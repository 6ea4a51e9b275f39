"""Levels measured together: least squares by the textbook, honest variances, and smaller errors of large areas."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub.config import Agreement, Register
from hub.estimation.calibrate import calibrate
from hub.estimation.combine import Combined, combine, membership_of
from hub.estimation.table import estimate
from privacy.noise import noise_of, noised, variance
from privacy.sensitivity import Declaration, Mechanism
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS
from privacy.terms import Level
from privacy.units import LARGEST
from quorate.contract.order import keyset_for
from quorate.contract.zoning import ZONE, Zone, Zoning
from tests.support_hub import (
    LONG_DAY,
    calibration,
    exact_vector,
    measured,
    noised_vector,
    question,
    small_agreement,
    small_product,
    small_zoning,
    terms_in,
)

Values = NDArray[np.float64]
#: Zones A1 and A2 are in district A, B1 in B, C1 and C2 in C; A is in province P, C in Q, and B in none.
ZONING = small_zoning()
EXACT = np.array([4000, 2500, 5500, 3000, 700], np.int64)
NOTHING = calibration(0, 0, 0)
MECHANISMS: tuple[Mechanism, ...] = ("discrete-gaussian", "discrete-laplace")
ONE = Declaration(cells_by_period=1, cells_by_day=1)
DRAWS = 2_000


def rows_of(level: str) -> Values:
    """Return which zones are in which area of a level, read from the zones' own parents."""
    area = [zone.code if level == ZONE else zone.parents.get(level) for zone in ZONING.zones]
    codes = sorted({code for code in area if code is not None})
    return np.array([[float(found == code) for found in area] for code in codes])


def textbook(values: Mapping[str, Values], variances: Mapping[str, float]) -> tuple[Values, Values]:
    """Return zones and their covariance by ordinary least squares over rows that are divided by their errors."""
    design = np.vstack([rows_of(level) / math.sqrt(variances[level]) for level in values])
    answers = np.vstack([counts / math.sqrt(variances[level]) for level, counts in values.items()])
    solution, *_rest = np.linalg.lstsq(design, answers, rcond=None)
    inverse = np.linalg.pinv(design)
    return np.asarray(solution, np.float64), np.asarray(inverse @ inverse.T, np.float64)


def vector_of(values: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return areas of levels as one vector, each level with a special area of nobody."""
    return np.concatenate(
        [np.vstack([counts, np.zeros((1, counts.shape[1]), np.int64)]).ravel() for counts in values.values()]
    )


def covariance_of(combined: Combined) -> Values:
    assert isinstance(combined.covariance, np.ndarray)
    return combined.covariance


# --- least squares ----------------------------------------------------------------------------------------


def test_a_district_of_two_zones_worked_out_by_hand() -> None:
    zoning = Zoning(
        name="Two",
        version="1",
        levels=(ZONE, "district"),
        zones=tuple(Zone(code=code, parents={"district": "D"}) for code in ("A", "B")),
    )
    # Zones of σ² = 4 say 10 + 20, their district of σ² = 16 says 36. What is missing is shared out with the
    # weight 4/(2·4 + 16) to each zone. Of variance 4 in each zone 4²/24 is known away.
    vector = np.array([10, 20, 100, 36, 110], np.int64)
    found = combine([vector], *measured(zoning, 1, {ZONE: 2_000, "district": 4_000}))
    assert found.zones[:, 0] == pytest.approx([11, 21], rel=1e-12)
    assert covariance_of(found) == pytest.approx(np.array([[10, -2], [-2, 10]]) / 3, rel=1e-12)
    assert found.special == pytest.approx([(100 / 4 + 110 / 16) / (1 / 4 + 1 / 16)], rel=1e-12)
    assert found.specials.shape == (1, 1)
    variances, with_all, of_all = found.noise_of(np.array([[1.0, 0.0], [1.0, 1.0]]))
    # The district: two measurements of it, 8 and 16, together 1/(1/8 + 1/16).
    assert variances == pytest.approx([10 / 3, 16 / 3], rel=1e-12)
    assert with_all == pytest.approx([8 / 3, 16 / 3], rel=1e-12)
    assert of_all == pytest.approx(16 / 3, rel=1e-12)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    scales=st.permutations([ZONE, "district", "province"]).flatmap(
        lambda names: st.tuples(*[st.integers(300, 200_000)] * 3).map(
            lambda chosen: dict(zip(names, chosen, strict=True))
        )
    ),
    levels=st.integers(2, 3),
    mechanism=st.sampled_from(MECHANISMS),
    operators=st.integers(1, 3),
)
def test_zones_are_the_textbooks_least_squares_of_all_levels(
    seed: int, scales: dict[str, int], levels: int, mechanism: Mechanism, operators: int
) -> None:
    names = [name for place, name in enumerate(scales) if place < levels or name == ZONE]
    chosen = {name: scales[name] for name in names}
    rng = np.random.default_rng(seed)
    answers = [
        {name: rng.integers(-500, 9_000, (len(rows_of(name)), 4)) for name in names} for _ in range(operators)
    ]
    found = combine([vector_of(values) for values in answers], *measured(ZONING, 4, chosen, mechanism))
    sums = {name: np.sum([values[name] for values in answers], axis=0).astype(np.float64) for name in names}
    spread = {name: operators * variance(noise_of(mechanism, scale)) for name, scale in chosen.items()}
    zones, covariance = textbook(sums, spread)
    assert found.zones == pytest.approx(zones, rel=1e-7, abs=1e-6)
    if len(names) > 1:
        assert covariance_of(found) == pytest.approx(covariance, rel=1e-7, abs=1e-9 * spread[ZONE])
    assert found.operators == operators


@pytest.mark.parametrize(
    "names", [(ZONE, "district"), ("province", ZONE), ("province", "district", ZONE)], ids=str
)
def test_without_noise_the_counts_come_back_and_agree_at_every_level(names: tuple[str, ...]) -> None:
    exact = np.stack([EXACT, EXACT[::-1], 0 * EXACT], axis=1)
    vector = vector_of({name: (rows_of(name) @ exact).astype(np.int64) for name in names})
    scales = dict(zip(names, (24_500, 31_620, 7_080), strict=False))
    found = combine([vector, vector], *measured(ZONING, 3, scales))
    assert found.zones == pytest.approx(2 * exact, abs=1e-8)


def test_what_has_no_zone_is_the_mean_of_the_levels_by_their_precision_and_touches_no_zone() -> None:
    asked = measured(ZONING, 1, {ZONE: 10_000, "district": 20_000})
    plain = vector_of(
        {ZONE: EXACT[:, None], "district": rows_of("district").astype(np.int64) @ EXACT[:, None]}
    )
    moved = plain.copy()
    moved[5], moved[9] = 700, 800
    before, after = combine([plain], *asked), combine([moved], *asked)
    assert after.zones.tolist() == before.zones.tolist()
    assert after.special == pytest.approx([(700 * 4 + 800) / 5], rel=1e-12)


def test_the_order_of_the_levels_changes_nothing_but_the_vector() -> None:
    rng = np.random.default_rng(7)
    values = {
        name: rng.integers(0, 9_000, (len(rows_of(name)), 3)) for name in (ZONE, "district", "province")
    }
    scales = {ZONE: 24_500, "district": 31_620, "province": 44_730}
    found = [
        combine(
            [vector_of({name: values[name] for name in names})],
            *measured(ZONING, 3, {name: scales[name] for name in names}),
        )
        for names in ((ZONE, "district", "province"), ("province", ZONE, "district"))
    ]
    assert found[0].zones == pytest.approx(found[1].zones, rel=1e-12)
    assert covariance_of(found[0]) == pytest.approx(covariance_of(found[1]), rel=1e-12)


# --- variances, simulated ---------------------------------------------------------------------------------


def simulated(mechanism: Mechanism, scales: Mapping[str, int], operators: int = 2) -> Combined:
    """Return the combination of real noise over exact counts; every column is one draw."""

    def drawn(level: str) -> NDArray[np.int64]:
        counts = np.repeat(rows_of(level).astype(np.int64) @ EXACT[:, None], DRAWS, axis=1)
        return noised(counts.ravel(), ONE, noise_of(mechanism, scales[level]), LARGEST).values.reshape(
            counts.shape
        )

    vectors = [vector_of({level: drawn(level) for level in scales}) for _ in range(operators)]
    return combine(vectors, *measured(ZONING, DRAWS, scales, mechanism))


#: Zones, districts A, B and C, province P, and the country.
AREAS = [[0], [1], [2], [3], [4], [0, 1], [2], [3, 4], [0, 1], [0, 1, 2, 3, 4]]
DISTRICTS = slice(5, 8)
SCALES = {ZONE: 40_000, "district": 25_000, "province": 30_000}
# The relative standard error of a standard deviation from n draws is √((κ − 1)/4n): 1.6 % where the noise is
# Gaussian, κ = 3, and at most 2.1 % for the sum of two Laplace variables, κ = 4.5. Six of them are allowed.
TOLERANCE: dict[Mechanism, float] = {
    "discrete-gaussian": 6 * math.sqrt(2 / (4 * DRAWS)),
    "discrete-laplace": 6 * math.sqrt(3.5 / (4 * DRAWS)),
}


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_the_variance_of_every_sum_of_zones_is_the_one_that_is_simulated(mechanism: Mechanism) -> None:
    combined, membership = simulated(mechanism, SCALES), membership_of(AREAS, 5)
    said, with_all, of_all = combined.noise_of(membership)
    drawn = membership @ combined.zones
    truth = 2 * membership @ EXACT
    assert np.abs(drawn.mean(axis=1) - truth).max() < 6 * math.sqrt(said.max() / DRAWS)
    assert drawn.std(axis=1) == pytest.approx(np.sqrt(said), rel=TOLERANCE[mechanism])
    assert of_all == pytest.approx(said[-1], rel=1e-12)
    country = drawn[-1] - truth[-1]
    errors = drawn - truth[:, None]
    # A covariance from n draws has a standard error of at most √(2·V_a·V_Y/n), three of them for Laplace tails.
    assert np.abs((errors * country).mean(axis=1) - with_all).max() < 6 * math.sqrt(
        4 * said.max() * of_all / DRAWS
    )
    independent = simulated(mechanism, {ZONE: SCALES[ZONE]}).noise_of(membership)[0]
    assert (said[DISTRICTS] < 0.6 * independent[DISTRICTS]).all(), "sums of zones alone are far worse"


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_standard_errors_of_estimates_are_those_of_simulated_noise_and_intervals_cover(
    mechanism: Mechanism,
) -> None:
    population = np.array([10_000.0, 6_000.0, 14_000.0, 8_000.0, 1_500.0])
    register = Register(population, 0.8 * population)
    combined = simulated(mechanism, SCALES)
    found = calibrate(combined, register, AREAS, NOTHING, 2)
    plain = Combined((2 * EXACT[:, None]).astype(np.float64), np.zeros((1, 1)), 1e-12, 2)
    truth = calibrate(plain, register, AREAS, NOTHING, 2).estimate
    spread = found.estimate.std(axis=1)
    assert found.std_error[:-1].mean(axis=1) == pytest.approx(spread[:-1], rel=TOLERANCE[mechanism])
    assert np.abs(found.estimate.mean(axis=1) - truth[:, 0]).max() < 6 * spread.max() / math.sqrt(DRAWS) + 0.5
    inside = (found.lower_95 <= truth) & (truth <= found.upper_95)
    # A share of 95 % in 2000 draws has a standard deviation of 0.49 %; Laplace tails hold up to 1 % more or less.
    assert inside[:-1].mean(axis=1) == pytest.approx(np.full(len(AREAS) - 1, 0.95), abs=6 * 0.0049 + 0.01)
    assert found.estimate[-1] == pytest.approx(np.full(DRAWS, population.sum()), rel=1e-12)
    assert found.std_error[-1] == pytest.approx(np.zeros(DRAWS), abs=1e-3), "the country is the register"


def test_the_variance_is_that_of_one_level_where_only_zones_are_measured() -> None:
    one = simulated("discrete-gaussian", {ZONE: SCALES[ZONE]})
    assert one.covariance == 2 * 40.0**2
    membership = membership_of(AREAS, 5)
    as_matrix = Combined(one.zones, one.specials, np.full(5, 3200.0) * np.eye(5), one.operators)
    for scalar, matrix in zip(one.noise_of(membership), as_matrix.noise_of(membership), strict=True):
        assert scalar == pytest.approx(matrix, rel=1e-12)


# --- what it is good for ----------------------------------------------------------------------------------


def with_levels(mechanism: Mechanism, *levels: tuple[str, int]) -> Agreement:
    """Return an agreement whose products measure these levels, without any error but that of the noise."""
    changes = {
        "levels": tuple(Level(name=name, share_permille=share) for name, share in levels),
        "mechanism": mechanism,
    }
    products = (
        small_product("presence", PRESENCE_BY_HOUR, 20_000_000, 1, **changes),
        small_product("residents", RESIDENTS, 5_000_000, 31, **changes),
    )
    return small_agreement(products=products, calibration=NOTHING)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("product", ["presence", "residents"])
def test_the_same_loss_over_two_levels_makes_districts_more_accurate(
    mechanism: Mechanism, product: str
) -> None:
    one = with_levels(mechanism, (ZONE, 1000))
    two = with_levels(mechanism, (ZONE, 600), ("district", 400))
    members = list(ZONING.members("district").values())
    noise, zones = {}, {}
    for own in (one, two):
        terms = terms_in(own, product, LONG_DAY)
        assert terms.by_period == own.charter.product(product).rho
        combined = combine(
            [exact_vector(own, terms)], keyset_for(own.charter, own.zoning, terms), own.zoning, terms
        )
        noise[own is two] = combined.noise_of(membership_of(members, 5))[0]
        zones[own is two] = combined.noise_of(np.eye(5))[0]
    # σ² is that of the whole loss. Zones of a part .6 of it and districts of .4 say together of m zones
    # m·σ²/(.6 + .4m) instead of m·σ²; the district of one zone gets what it had. The grid rounds .2 %.
    sizes = np.array([len(zones) for zones in members])
    assert noise[True] == pytest.approx(noise[False] / (0.6 + 0.4 * sizes), rel=0.005)
    assert (noise[True] < 0.75 * noise[False])[sizes > 1].all()
    # A zone has σ²/.6·(1 − .4/(.6 + .4m)) instead of σ²: somewhat more, but for the one zone of district B.
    of = np.array([2, 2, 1, 2, 2])
    assert zones[True] == pytest.approx(zones[False] / 0.6 * (1 - 0.4 / (0.6 + 0.4 * of)), rel=0.005)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_the_published_errors_of_districts_are_smaller_and_so_are_the_errors_that_happen(
    mechanism: Mechanism,
) -> None:
    said, happened = {}, {}
    for levels in (((ZONE, 1000),), ((ZONE, 600), ("district", 400))):
        own = with_levels(mechanism, *levels)
        terms = terms_in(own, "presence", LONG_DAY)
        truth = estimate(question(own, terms, [exact_vector(own, terms, 2)] * 3)).to_pylist()
        tables = [
            estimate(question(own, terms, [noised_vector(own, terms, 2) for _ in range(3)])).to_pylist()
            for _ in range(20)
        ]
        pairs = [
            (row, exact)
            for table in tables
            for row, exact in zip(table, truth, strict=True)
            if row["ref_area"] in "AC"
        ]
        said[len(levels)] = np.mean([row["std_error"] for row, _exact in pairs])
        happened[len(levels)] = np.sqrt(
            np.mean([(row["estimate"] - exact["estimate"]) ** 2 for row, exact in pairs])
        )
    assert said[2] < 0.9 * said[1]
    # 2 districts in 25 hours and 20 releases are a thousand errors, whose size is known to some 3 %.
    assert happened[2] < 0.95 * happened[1]
    assert happened[2] == pytest.approx(said[2], rel=0.2)


def test_the_table_of_a_release_of_three_levels_is_additive_and_has_the_rows_of_one_level() -> None:
    own = with_levels("discrete-gaussian", ("province", 100), ("district", 300), (ZONE, 600))
    terms = terms_in(own, "presence", LONG_DAY)
    exact = estimate(question(own, terms, [exact_vector(own, terms)] * 3))
    assert exact["ref_area"].to_pylist()[::25] == ["A1", "A2", "B1", "C1", "C2", "A", "B", "C"]
    assert np.array(exact["estimate"]).reshape(8, 25)[:, 0].tolist() == [
        1000,
        600,
        1400,
        800,
        200,
        1600,
        1400,
        1000,
    ]
    found = np.array(estimate(question(own, terms, [noised_vector(own, terms)] * 3))["estimate"]).reshape(
        8, 25
    )
    for district, zones in ((5, [0, 1]), (6, [2]), (7, [3, 4])):
        assert np.abs(found[zones].sum(axis=0) - found[district]).max() <= 0.05 * (len(zones) + 1) + 1e-9
    assert set(exact["rho"].to_pylist()) == {20_000_000}
