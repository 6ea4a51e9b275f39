"""Totals of all windows, added up from many charges at a fixed cost for each.

A charge adds a constant to a run of windows, so it is kept as the steps at the ends of the run; the totals are the
running sums of the steps. `privacy.calculus.Charge.windows` says the same window by window.
"""

from __future__ import annotations

from collections import Counter
from datetime import date
from itertools import accumulate, pairwise

from privacy.calculus import DAY, MONTH, Charge

LENGTHS = (DAY, MONTH)


class Running:
    """Charges that are added up."""

    def __init__(self) -> None:
        self.steps: dict[int, Counter[int]] = {length: Counter() for length in LENGTHS}

    def add(self, charge: Charge) -> None:
        """Add a charge."""
        first, last = charge.first_day.toordinal(), charge.last_day.toordinal()
        for length, steps in self.steps.items():
            steps[first - length + 1] += charge.by_day
            steps[last + 1] -= charge.by_day
            if last - first < length:
                # Windows that hold the whole period cost its by-period loss instead.
                steps[last - length + 1] += charge.by_period - charge.by_day
                steps[first + 1] -= charge.by_period - charge.by_day

    def include(self, steps: dict[int, Counter[int]]) -> None:
        """Add the steps of another one."""
        for length, more in steps.items():
            for place, step in more.items():
                self.steps[length][place] += step

    def totals(self) -> dict[tuple[int, date], int]:
        """Return nano-ρ by (length in days, first day) of every window that was charged."""
        found: dict[tuple[int, date], int] = {}
        for length, steps in self.steps.items():
            places = sorted(steps)
            sums = accumulate(steps[place] for place in places)
            # The last step ends the last run: its sum is nothing, and it may be that there is none.
            for (place, end), total in zip(pairwise(places), sums, strict=False):
                if total:
                    found |= {(length, date.fromordinal(day)): total for day in range(place, end)}
        return found
