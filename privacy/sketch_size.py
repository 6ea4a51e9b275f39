r"""How many cells a union sketch has: chosen from public counts and ρ alone, never from the data that it will hold.

An operator bins its locally distinct persons into m cells by a keyed hash and adds noise of variance v = 1/(2ρ) to
each. With n persons at each of two operators, their intersection is estimated with a variance of nearly

    m·(n/m + v)² = n²/m + 2·n·v + m·v²,

few cells being crowded and many being noisy. It is least, 4·n·v, at m = n/v = 2ρ·n. A power of two lets a hash be cut
to a cell without bias; the nearest one costs at most 3 % of variance: (2 + √2 + 1/√2)/4 = 1.03.
"""

from __future__ import annotations

import math

from privacy.errors import UsageProblem

#: Below it an average over cells is not yet nearly normal; the noise of so few cells is small anyhow.
FEWEST_BINS = 2**6
#: 128 MiB of 64-bit counts. With more persons the cells are more crowded than would be best.
MOST_BINS = 2**24


def bins_for(persons: int, rho: float) -> int:
    """Return the number of cells of a sketch: the power of two nearest to 2ρ·persons, by ratio.

    Parameters
    ----------
    persons
        Expected at an operator, from public counts; where operators differ in size, the root of the mean of the
        products n_a·n_b over pairs (n²/m above is n_a·n_b/m then).
    rho
        ρ of the release by period, to which one cell answers (Δ² = 1).

    Raises
    ------
    UsageProblem
        If either is not positive, or ρ is not finite.
    """
    if persons <= 0 or not 0 < rho < math.inf:
        raise UsageProblem(
            f"a sketch for {persons} persons at ρ = {rho:g} has no size",
            means="The number of cells follows from a positive number of persons and a positive loss.",
            todo="Give the public count of persons at one operator, and the ρ of the release.",
        )
    best = 2.0 * rho * persons
    return min(max(1 << max(round(math.log2(best)), 0), FEWEST_BINS), MOST_BINS)
