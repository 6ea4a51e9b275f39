"""A loss split over the levels of a zoning: each level's part of it, its noise, and the vector of all levels.

Measuring totals as well as zones makes large areas far more accurate than sums of noisy zones (Hay et al. 2010,
"Boosting the accuracy of differentially private histograms through consistency"). The bounds of a statistic hold
at every level: a subscriber who is in one zone at a time is in the one area that holds it, and whatever can have
several cells is counted anew at every level under the same bounds (docs/calculus.md). Each level is a release of
its own for a declared share of the loss, and the shares add up (composition).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from privacy.documents import built
from privacy.errors import PrivacyProblem, UsageProblem
from privacy.noise import Sampler, Vector, calibrate, noise_of, noised
from privacy.sensitivity import Declaration, Mechanism
from privacy.terms import Level, LevelTerms, Terms
from privacy.units import require_nano

PERMILLE = 1000


def part_of(level: Level, by_period: int) -> int:
    """Return a level's part of a loss in nano-ρ, rounded down so that the parts are never more than the whole.

    Raises
    ------
    UsageProblem
        If it is less than a nano-ρ, or the loss is out of range.
    """
    require_nano(by_period)
    part = by_period * level.share_permille // PERMILLE
    if part < 1:
        raise UsageProblem(
            f"level {level.name} gets less than a nano-rho",
            todo="give it a larger share, or the product a larger rho",
        )
    return part


def split(
    levels: Sequence[Level], bounds: Declaration, mechanism: Mechanism, by_period: int, grid_milli: int
) -> tuple[LevelTerms, ...]:
    """Return the levels of a release, each with its part of the loss and the smallest noise that it allows.

    Parameters
    ----------
    levels
        With shares that add up to 1000.
    bounds
        Declared bounds of the statistic.
    mechanism
        Of the noise.
    by_period
        Loss of the whole period over all levels, in nano-ρ.
    grid_milli
        Grid of the noise's scale, in thousandths.

    Raises
    ------
    UsageProblem
        If the shares do not add up, or a part is less than a nano-ρ.
    """
    shares = sum(level.share_permille for level in levels)
    if shares != PERMILLE:
        raise UsageProblem(
            f"the shares of the levels add up to {shares} thousandths of the loss, not to 1000",
            means="the levels together would cost another loss than the agreed one",
            todo="correct the levels of the product in the charter",
        )
    parts = [(level, part_of(level, by_period)) for level in levels]
    return tuple(
        built(
            LevelTerms,
            name=level.name,
            share_permille=level.share_permille,
            by_period=part,
            scale_milli=calibrate(bounds, mechanism, part, grid_milli),
        )
        for level, part in parts
    )


def noised_levels(exact: Sequence[Vector], terms: Terms) -> tuple[Vector, tuple[Sampler, ...]]:
    """Return the noised vectors of all levels as one, and which sampler drew the noise of each.

    Parameters
    ----------
    exact
        One int64 vector of exact counts per level of the terms, in their order.
    terms
        What is released; their bounds are the only source of the sensitivity.

    Raises
    ------
    PrivacyProblem
        If the vectors are not those of the levels, or cannot be noised.
    """
    if len(exact) != len(terms.levels):
        raise PrivacyProblem(f"there are vectors of {len(exact)} levels, not of {len(terms.levels)}")
    parts = [
        noised(counts, terms.bounds, noise_of(terms.mechanism, level.scale_milli), level.by_period)
        for counts, level in zip(exact, terms.levels, strict=True)
    ]
    return np.concatenate([part.values for part in parts]), tuple(part.sampler for part in parts)
