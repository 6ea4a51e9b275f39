"""Answers of operators averaged: small cases by hand, in fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from hub.estimation.presence import Answer, Weights, averaged, national

Values = NDArray[np.float64]
NO_REGION = np.zeros(1, dtype=np.int64)


def weights(value: float, owners: Values, sd: float = 0.0) -> Weights:
    """One operator's weights, the same in every zone; none was cut."""
    return Weights(np.full(owners.size, value), np.full(owners.size, sd), np.zeros(owners.size), owners)


def answer(present: Values, noise: float, value: float, owners: Values, sd: float = 0.0) -> Answer:
    return Answer(present, np.zeros((1, present.shape[1])), noise, weights(value, owners, sd))


def test_two_operators_in_a_country_of_one_zone_are_averaged_by_noise_and_chance() -> None:
    owners = np.array([1000.0])
    one = answer(np.array([[1000.0]]), 100.0, 2.0, owners)
    other = answer(np.array([[1060.0]]), 300.0, 4.0, owners)
    found = averaged([one, other], NO_REGION, owners, 0.02)
    # Of 1,030 persons: 100 + (2 − 1)·1030 = 1130 and 300 + (4 − 1)·1030 = 3390, three times as much.
    shares = Fraction(3, 4), Fraction(1, 4)
    persons = shares[0] * 1000 + shares[1] * 1060
    assert found.estimate == pytest.approx(np.array([[float(persons)]]))
    assert found.noise == pytest.approx(np.array([[float(shares[0] ** 2 * 100 + shares[1] ** 2 * 300)]]))
    by_chance = (shares[0] ** 2 * 1 + shares[1] ** 2 * 3) * persons
    assert found.sampling == pytest.approx(np.array([[float(by_chance)]]))
    # c is what is declared where too few zones tell it, and independent between operators: c²·(9/16 + 1/16).
    assert found.relative == pytest.approx([0.02 * (10 / 16) ** 0.5])
    # (1000 − m)²/(100 + 1015) + (1060 − m)²/(300 + 3·1015), m their mean by these variances: ¾ and ¼ again.
    assert found.variance(0.0) == pytest.approx(
        found.noise + found.sampling + (found.relative * found.estimate) ** 2
    )


def test_weights_that_are_not_quite_known_make_those_at_home_uncertain() -> None:
    owners = np.array([1000.0, 500.0])
    present = np.array([[1200.0], [300.0]])
    found = averaged([answer(present, 100.0, 2.0, owners, sd=0.05)], np.zeros(2, np.int64), owners, 0.0)
    # Of 1,200 in the first zone 1,000 may live there; of 300 in the second all.
    assert found.noise == pytest.approx(np.array([[100 + 50.0**2], [100 + 15.0**2]]))


def test_silent_phones_are_given_back_to_their_region() -> None:
    owners = np.array([800.0, 200.0])
    one = Answer(np.array([[600.0], [200.0]]), np.array([[200.0], [0.0]]), 1e-6, weights(2.0, owners))
    found, assigned = national(one, np.array([0, 1]))
    assert found == pytest.approx(np.array([[800.0], [200.0]]))
    assert assigned == pytest.approx(np.array([[200.0], [0.0]]))


def test_an_hour_that_one_operator_lacks_stands_on_the_other() -> None:
    owners, both = np.array([1000.0, 1000.0]), np.zeros(2, np.int64)
    lacking = answer(np.array([[1000.0, 3.0], [900.0, -2.0]]), 100.0, 2.0, owners)
    other = answer(np.array([[1000.0, 1000.0], [900.0, 800.0]]), 300.0, 4.0, owners)
    found, alone = (averaged(given, both, owners, 0.0) for given in ([lacking, other], [other]))
    assert found.estimate[:, 0] == pytest.approx([1000, 900])
    # Nobody is known to be anywhere by it, 1,000² by zone: it has a part of a sixth of a per cent.
    assert found.estimate[:, 1] == pytest.approx([1000, 800], rel=0.0025)
    assert found.variance(0.0)[:, 1] == pytest.approx(alone.variance(0.0)[:, 1], rel=0.01)
    assert (found.variance(0.0)[:, 0] < 0.5 * alone.variance(0.0)[:, 0]).all()


@pytest.mark.parametrize("hours", [23, 24, 25])
def test_days_have_as_many_hours_as_they_have(hours: int) -> None:
    owners = np.array([1000.0, 500.0])
    present = np.outer([1000.0, 500.0], np.linspace(0.9, 1.1, hours))
    found = averaged([answer(present, 25.0, 2.0, owners)], np.zeros(2, np.int64), owners, 0.0)
    assert found.estimate == pytest.approx(present)
    assert found.relative.shape == found.disagreement.shape == (hours,)


def test_an_operator_that_stands_for_nobody_has_no_part() -> None:
    owners = np.array([1000.0])
    with pytest.raises(ValueError, match="stands for nobody"):
        averaged([answer(np.array([[5.0]]), 1.0, 0.0, owners)], NO_REGION, owners, 0.0)
