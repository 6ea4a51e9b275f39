"""Probabilities of discrete distributions by decimal arithmetic, worked out without the sampler's code."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate

from privacy.sampler.exact import Distribution


@lru_cache(maxsize=64)
def weights(distribution: Distribution, digits: int = 60) -> tuple[tuple[Decimal, ...], Decimal]:
    """Return w(0), w(1), … until they vanish at so many digits, and the sum over all integers."""
    with localcontext() as context:
        context.prec = digits + 20
        found: list[Decimal] = []
        while not found or found[-1] > Decimal(10) ** -(digits + 10):
            found.append(_weight(distribution, len(found)))
        return tuple(found), 2 * sum(found[1:], Decimal(0)) + found[0]


def _weight(distribution: Distribution, x: int) -> Decimal:
    scale = distribution.scale
    power = Fraction(x * x, 1) / (2 * scale**2) if distribution.kind == "gaussian" else Fraction(x) / scale
    return (-Decimal(power.numerator) / Decimal(power.denominator)).exp()


def probability(distribution: Distribution, x: int) -> Decimal:
    """Return P(X = x)."""
    found, total = weights(distribution)
    return found[abs(x)] / total if abs(x) < len(found) else Decimal(0)


@lru_cache(maxsize=64)
def at_least(distribution: Distribution) -> tuple[Decimal, ...]:
    """Return P(X ≥ 1), P(X ≥ 2), …"""
    found, total = weights(distribution)
    with localcontext() as context:
        context.prec = 80
        sums = list(accumulate(reversed(found[1:])))
        return tuple(value / total for value in reversed(sums))


def below(distribution: Distribution, x: int) -> Decimal:
    """Return P(X < x)."""
    tails, place = at_least(distribution), (x if x >= 1 else 1 - x) - 1
    tail = tails[place] if place < len(tails) else Decimal(0)
    with localcontext() as context:
        context.prec = 80
        return 1 - tail if x >= 1 else tail
