"""The table sampler draws from exactly the distribution it says, also where 64 bits do not decide."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import opendp.prelude as dp
import pytest
from numpy.typing import NDArray
from opendp.mod import GLOBAL_FEATURES

from privacy.errors import PrivacyProblem, UsageProblem
from privacy.sampler import measurement
from privacy.sampler.exact import Distribution, exp_minus, tails
from privacy.sampler.measurement import CHUNK, Drawing, opendp_measurement, table_measurement
from privacy.sampler.stream import STREAM_WORDS, WordStream, fresh_key
from privacy.sampler.table import Table, decide, table_of
from tests.pmf import below

DISTRIBUTIONS = [
    Distribution("gaussian", Fraction(3, 10)),
    Distribution("gaussian", Fraction(1)),
    Distribution("gaussian", Fraction(10_010, 1000)),
    Distribution("gaussian", Fraction(150)),
    Distribution("laplace", Fraction(1, 2)),
    Distribution("laplace", Fraction(20)),
]
NAMES = [f"{d.kind} {float(d.scale):g}" for d in DISTRIBUTIONS]
LAST = 2**64 - 1


class Script:
    """Gives the words that a test wrote down."""

    def __init__(self, *words: int) -> None:
        self.words = list(words)

    def __call__(self, count: int) -> NDArray[np.uint64]:
        given, self.words = self.words[:count], self.words[count:]
        assert len(given) == count, "the sampler asked for more words than the test expected"
        return np.array(given, dtype=np.uint64)


def draw(table: Table, word: int, *more: int) -> int:
    return int(table.draw(np.array([word], dtype=np.uint64), Script(*more))[0])


def value_of(distribution: Distribution, words: list[int]) -> int:
    """Return the value of U = 0.words… by decimal arithmetic."""
    with localcontext() as context:
        context.prec = 80
        uniform = sum(
            (Decimal(word) / Decimal(2) ** (64 * (place + 1)) for place, word in enumerate(words)), Decimal(0)
        )
        x = 0
        while below(distribution, x) > uniform:
            x -= 1
        while below(distribution, x + 1) <= uniform:
            x += 1
        return x


@pytest.mark.parametrize(
    "exponent", [Fraction(1, 10**7), Fraction(1, 3), Fraction(1), Fraction(50, 9), Fraction(700)]
)
def test_exponentials_are_enclosed_tightly(exponent: Fraction) -> None:
    low, high = exp_minus(exponent, 300)
    with localcontext() as context:
        context.prec = 120
        exact = (-Decimal(exponent.numerator) / Decimal(exponent.denominator)).exp() * Decimal(2) ** 300
        assert Decimal(low) <= exact <= Decimal(high)
    assert high - low <= 2


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=NAMES)
def test_tail_probabilities_are_enclosed_tightly(distribution: Distribution) -> None:
    found = tails(distribution, 128)
    for x in range(-len(found.at_least), len(found.at_least) + 1, max(1, len(found.at_least) // 50)):
        low, high = found.below(x)
        with localcontext() as context:
            context.prec = 80
            exact = below(distribution, x) * Decimal(2) ** 128
            assert Decimal(low) - 1 <= exact <= Decimal(high) + 1
        assert high - low <= 2


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=NAMES)
def test_every_bound_divides_the_words_where_the_exact_probability_does(distribution: Distribution) -> None:
    table = table_of(distribution)
    # Words of the far tails are shared by several bounds; those have a test of their own.
    words = [word for word in table._bounds.tolist() if 10**6 < word < LAST - 10**6]
    for word in words[:: max(1, len(words) // 60)]:
        assert draw(table, word - 1, 0, 0) in {
            value_of(distribution, [word - 1]),
            value_of(distribution, [word - 1, LAST]),
        }
        assert draw(table, word + 1, 0, 0) == value_of(distribution, [word + 1])
        for more in (0, LAST):
            assert draw(table, word, more, more, more) == value_of(distribution, [word, more, more])


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=NAMES)
def test_the_far_tails_are_not_cut(distribution: Distribution) -> None:
    table = table_of(distribution)
    assert draw(table, 0, 1, 0, 0) == value_of(distribution, [0, 1])
    assert draw(table, LAST, LAST - 1, 0, 0) == value_of(distribution, [LAST, LAST - 1])
    assert draw(table, 0, 0, 5, 0, 0) < draw(table, 0, 5, 0, 0)
    assert draw(table, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0) < draw(table, 0, 0, 5, 0, 0)


def test_a_draw_that_is_not_decided_stays_undecided() -> None:
    found = tails(Distribution("gaussian", Fraction(1)), 400)
    low, high = found.below(0)
    word = low >> (400 - 64)
    assert high >> (400 - 64) == word
    assert decide(found, word, 64) is None
    assert decide(found, word + 1, 64) == 0
    assert decide(found, word - 1, 64) == -1


@pytest.mark.parametrize("scale", [Fraction(29, 100), Fraction(2001)])
def test_a_scale_outside_the_table_is_refused(scale: Fraction) -> None:
    with pytest.raises(UsageProblem, match="outside the table sampler's range"):
        Table(Distribution("gaussian", scale))


def test_a_scale_that_is_not_positive_is_refused() -> None:
    with pytest.raises(UsageProblem, match="not positive"):
        Distribution("laplace", Fraction(0))


def test_streams_of_one_key_are_reproducible_and_differ() -> None:
    key = fresh_key()
    first, again, other = WordStream(key, 0), WordStream(key, 0), WordStream(key, 1)
    words = first(1000)
    np.testing.assert_array_equal(words, np.concatenate([again(400), again(600)]))
    assert not np.isin(words, other(1000)).any()


def test_a_stream_cannot_run_into_the_next() -> None:
    with pytest.raises(OverflowError):
        WordStream(fresh_key(), 0)(STREAM_WORDS + 1)


def test_noise_depends_only_on_the_key_and_on_the_number_of_the_chunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    distribution = Distribution("gaussian", Fraction(5))
    exact = np.arange(10_000, dtype=np.int64)
    first, other = Drawing(distribution), Drawing(distribution)
    monkeypatch.setattr(measurement, "fresh_key", lambda: first._key)
    again = Drawing(distribution)
    third = first.add(exact, 3)
    np.testing.assert_array_equal(third, again.add(exact, 3))
    assert (third != first.add(exact, 4)).mean() > 0.8
    assert (third != other.add(exact, 3)).mean() > 0.8


@pytest.mark.parametrize("cells", [10, CHUNK + 1])
def test_noise_is_not_drawn_twice(cells: int) -> None:
    exact, drawing = np.zeros(cells, np.int64), Drawing(Distribution("gaussian", Fraction(5)))
    drawing.add_all(exact)
    with pytest.raises(PrivacyProblem, match="the noise of chunk 0 was drawn before"):
        drawing.add_all(exact)
    drawing.add(exact, 7)
    with pytest.raises(PrivacyProblem, match="the noise of chunk 7 was drawn before"):
        drawing.add(exact, 7)


@pytest.mark.parametrize("number", [-1, 2**64, 0.5, True, np.int64(1)])
def test_the_number_of_a_chunk_is_a_whole_number(number: Any) -> None:
    with pytest.raises(PrivacyProblem, match="the number of a chunk"):
        Drawing(Distribution("gaussian", Fraction(5))).add(np.zeros(3, np.int64), number)


@pytest.mark.parametrize("end", [0, LAST])
def test_a_draw_beyond_16_bits_is_drawn_like_every_other(end: int) -> None:
    table = table_of(Distribution("laplace", Fraction(500)))
    words = np.array([1 << 63, end, 1 << 62], dtype=np.uint64)
    drawn = table.draw(words, Script(end, 1 << 63))
    assert drawn.dtype == np.int64
    # U is 2^-129 away from the end, and P(X >= x) is about e^(-x/b)/2: x is about b · 128 · ln 2, some 44,361.
    assert abs(int(drawn[1])) == pytest.approx(500 * 128 * math.log(2), abs=2)
    assert (drawn[1] < 0) == (end == 0)
    assert [int(drawn[0]), int(drawn[2])] == [draw(table, 1 << 63), draw(table, 1 << 62)]


def test_a_feature_that_the_application_switched_on_stays_on() -> None:
    assert "honest-but-curious" not in GLOBAL_FEATURES
    with measurement._vouching():
        assert "honest-but-curious" in GLOBAL_FEATURES
    assert "honest-but-curious" not in GLOBAL_FEATURES
    dp.enable_features("honest-but-curious")
    try:
        with measurement._vouching():
            pass
        assert "honest-but-curious" in GLOBAL_FEATURES
    finally:
        dp.disable_features("honest-but-curious")


def test_many_threads_make_measurements_at_once() -> None:
    wanted = [Distribution("gaussian", Fraction(1000 + place, 1000)) for place in range(200)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(table_measurement.__wrapped__, wanted))
    assert len(made) == len(wanted)
    assert "honest-but-curious" not in GLOBAL_FEATURES


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=NAMES)
def test_the_measurement_has_the_map_of_opendps_own(distribution: Distribution) -> None:
    distance: float | int = 2.0 if distribution.kind == "gaussian" else 2
    assert table_measurement(distribution).map(distance) == opendp_measurement(distribution).map(distance)


def test_the_measurement_refuses_what_is_not_an_int64_vector() -> None:
    made = table_measurement(Distribution("gaussian", Fraction(1)))
    with pytest.raises(Exception, match="not an int64 vector"):
        made(np.zeros(3))
