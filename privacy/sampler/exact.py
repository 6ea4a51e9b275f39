"""Cumulative probabilities of symmetric integer distributions, enclosed between rational bounds.

A distribution on the integers with P(x) ∝ w(|x|) is given by w(0) = 1 and a recurrence with powers of
q = exp(−a), a > 0 rational:

    discrete Gaussian, variance parameter σ²:  w(x) = q^(x²),  a = 1/(2σ²)
    discrete Laplace, scale b:                 w(x) = q^x,     a = 1/b

All numbers are fixed point, a pair of integers (low, high) in units of 2^−bits; every operation rounds low
down and high up, so the true value always lies between them. Nothing here is floating point.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from privacy.errors import UsageProblem

Interval = tuple[int, int]
Kind = Literal["gaussian", "laplace"]
#: Scales beyond these have no finite variance or loss in floating point.
SMALLEST, LARGEST = Fraction(1, 1000), Fraction(2**53, 1000)


@dataclass(frozen=True)
class Distribution:
    """A discrete Gaussian or Laplace distribution around zero.

    Attributes
    ----------
    kind
        Which of the two.
    scale
        σ or b, rational, between `SMALLEST` and `LARGEST`.

    Raises
    ------
    UsageProblem
        If there is no such kind, or the scale is no fraction in this range.
    """

    kind: Kind
    scale: Fraction

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UsageProblem(f"a distribution is one of {', '.join(get_args(Kind))}")
        if not isinstance(self.scale, Fraction):
            raise UsageProblem("a noise scale is not given as a Fraction")
        if self.scale <= 0:
            raise UsageProblem("a noise scale is not positive")
        if not SMALLEST <= self.scale <= LARGEST:
            raise UsageProblem(f"a noise scale is not between {SMALLEST} and {LARGEST}")

    @property
    def exponent(self) -> Fraction:
        """a, with q = exp(−a)."""
        return 1 / (2 * self.scale**2) if self.kind == "gaussian" else 1 / self.scale


def exp_minus(exponent: Fraction, bits: int) -> Interval:
    """Enclose exp(−exponent) for a positive rational.

    The exponent is halved until it is below one; the alternating Taylor series is cut where its terms vanish,
    whose rest is below the first term left out; then the enclosure is squared back.
    """
    halvings = max(0, (exponent.numerator // exponent.denominator).bit_length())
    guard = bits + 2 * halvings + 32
    reduced = exponent / 2**halvings
    low, high = _taylor(reduced, guard)
    for _ in range(halvings):
        low, high = low * low >> guard, -(-high * high >> guard)
    return low >> (guard - bits), -(-high >> (guard - bits))


def _taylor(argument: Fraction, bits: int) -> Interval:
    term, total, order = (1 << bits, 1 << bits), (0, 0), 0
    while term[1] > 1:
        sign = -1 if order % 2 else 1
        total = (
            total[0] + (term[0] if sign > 0 else -term[1]),
            total[1] + (term[1] if sign > 0 else -term[0]),
        )
        order += 1
        divisor = argument.denominator * order
        term = (
            term[0] * argument.numerator // divisor,
            -(-term[1] * argument.numerator // divisor),
        )
    return max(0, total[0] - term[1]), total[1] + term[1]


@dataclass(frozen=True)
class Tails:
    """P(X ≥ x) for x = 1, 2, …, each enclosed in units of 2^−bits; beyond the last it is smaller still.

    Attributes
    ----------
    bits
        Precision.
    at_least
        at_least[x − 1] encloses P(X ≥ x).
    """

    bits: int
    at_least: tuple[Interval, ...]

    def below(self, x: int) -> Interval:
        """Enclose P(X < x) for an integer x."""
        one = 1 << self.bits
        low, high = self._tail(x if x >= 1 else 1 - x)
        return (one - high, one - low) if x >= 1 else (low, high)

    def _tail(self, x: int) -> Interval:
        """Enclose P(X ≥ x) for x ≥ 1, which is also P(X ≤ −x)."""
        return self.at_least[x - 1] if x <= len(self.at_least) else (0, self.at_least[-1][1])


def tails(distribution: Distribution, bits: int) -> Tails:
    """Enclose the tail probabilities until they vanish at this precision.

    Parameters
    ----------
    distribution
        Which distribution.
    bits
        Precision of the result; the work is done with 64 more, which outlasts the rounding of 2³² steps.
    """
    fine = bits + 64
    weights = _weights(distribution, fine)
    low, high = [0], [_rest(distribution, weights[-1], len(weights) - 1, fine)]
    for weight in reversed(weights[1:]):
        low.append(low[-1] + weight[0])
        high.append(high[-1] + weight[1])
    total_low, total_high = (1 << fine) + 2 * low[-1], (1 << fine) + 2 * high[-1]
    enclosed = [
        ((at_least_low << bits) // total_high, -(-(at_least_high << bits) // total_low))
        for at_least_low, at_least_high in zip(reversed(low[1:]), reversed(high[1:]), strict=True)
    ]
    return Tails(bits, tuple(enclosed))


def _weights(distribution: Distribution, bits: int) -> list[Interval]:
    """Enclose w(0), w(1), … until they vanish at this precision."""
    q_low, q_high = exp_minus(distribution.exponent, bits)
    step = (q_low, q_high)
    grow = _times(step, step, bits) if distribution.kind == "gaussian" else (1 << bits, 1 << bits)
    weights = [(1 << bits, 1 << bits)]
    while weights[-1][0] > 0:
        weights.append(_times(weights[-1], step, bits))
        step = _times(step, grow, bits)
    return weights


def _times(one: Interval, other: Interval, bits: int) -> Interval:
    return one[0] * other[0] >> bits, -(-one[1] * other[1] >> bits)


def _rest(distribution: Distribution, last: Interval, x: int, bits: int) -> int:
    """Bound Σ w(y) over y > x from above, in units of 2^−bits.

    Ratios of successive weights do not grow: w(y+1)/w(y) ≤ q^(2x+1) (Gaussian) or q (Laplace), so the rest is
    below w(x)·r/(1 − r) of a geometric series.
    """
    power = 2 * x + 1 if distribution.kind == "gaussian" else 1
    ratio = exp_minus(distribution.exponent * power, bits)[1]
    return -(-last[1] * ratio // ((1 << bits) - ratio)) + 1
