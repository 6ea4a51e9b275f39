"""Numbers and dates as the report writes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date

from privacy.units import NANO, epsilon

DELTA = 1e-6
ABSENT = "–"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WORDS = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)


def count(value: float | None) -> str:
    """Return a number as whole with thousands separators."""
    return ABSENT if value is None else f"{value:,.0f}"


def percent(share: float, digits: int = 1) -> str:
    """Return a share in per cent; a dash where there is none."""
    return f"{100.0 * share:,.{digits}f}\u00a0%" if math.isfinite(share) else ABSENT


def several(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: 1 operator, 1,200 zones."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def in_words(number: int) -> str:
    """Return a small number as a word."""
    return _WORDS[number] if 0 <= number < len(_WORDS) else f"{number:,}"


def rho(nano: int) -> str:
    """Return a loss in ρ, exactly."""
    return f"{nano / NANO:,.9f}".rstrip("0").rstrip(".")


def epsilon_text(nano: int) -> str:
    """Return the ε of a loss at δ = 10⁻⁶, with two decimals."""
    return f"{epsilon(nano, DELTA):.2f}"


def noise(scales: Mapping[str, float], mechanism: str) -> str:
    """Return the scale of a release's noise, σ or b, by level where there are several."""
    symbol = "σ" if mechanism == "discrete-gaussian" else "b"
    return ", ".join(
        f"{'' if len(scales) == 1 else level + ' '}{symbol} = {scale:,.2f}" for level, scale in scales.items()
    )


def short_day(day: date) -> str:
    """Return a day for an axis: 19 Oct."""
    return f"{day.day} {_MONTHS[day.month - 1]}"


def long_day(day: date) -> str:
    """Return a day with its year: 19 Oct 2026."""
    return f"{short_day(day)} {day.year}"


def days(first: date, last: date) -> str:
    """Return a run of days: 19–25 Oct 2026, 28 Sep – 4 Oct 2026, 21 Oct 2026."""
    if first == last:
        return long_day(first)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{long_day(last)}"
    return f"{short_day(first) if first.year == last.year else long_day(first)} – {long_day(last)}"


def clock(periods: Sequence[str]) -> list[str]:
    """Return what the clock shows at the start of each hour, with its offset where it shows that twice."""
    shown = [period[11:16] for period in periods]
    if len(set(shown)) == len(shown):
        return shown
    return [
        f"{hour} ({period[19:]})" if shown.count(hour) > 1 else hour
        for hour, period in zip(shown, periods, strict=True)
    ]
