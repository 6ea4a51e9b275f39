"""What every statistic reads and how far one subscriber can move it: the table of the privacy specification.

A statistic that is not here has no sensitivity, so nothing of it can be noised or charged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from privacy.errors import UsageProblem
from privacy.sensitivity import Declaration

PRESENCE_BY_HOUR = "presence-by-hour"
RESIDENTS = "residents"


def _presence_by_hour(hours: int) -> Declaration:
    """One dominant zone, or `unobserved`, in each elapsed hour of one local day."""
    return Declaration(cells_by_period=hours, cells_by_day=hours)


def _residents(_hours: int) -> Declaration:
    """One home zone, or `unanchored`, in the period; one day can move it, which changes two cells by one."""
    return Declaration(cells_by_period=1, cells_by_day=2)


_DECLARATIONS: Mapping[str, Callable[[int], Declaration]] = {
    PRESENCE_BY_HOUR: _presence_by_hour,
    RESIDENTS: _residents,
}


#: Every statistic that can be noised.
STATISTICS = frozenset(_DECLARATIONS)


def declare(statistic: str, hours: int) -> Declaration:
    """Return the declared bounds of a statistic.

    Parameters
    ----------
    statistic
        Its name.
    hours
        Elapsed hours of the local day that is read (23, 24 or 25); statistics of a period ignore it.

    Raises
    ------
    UsageProblem
        If there is no such statistic.
    """
    if statistic not in _DECLARATIONS:
        raise UsageProblem(
            f"there is no statistic called {statistic}",
            means="without declared bounds nothing can be noised or charged",
            todo=f"use one of: {', '.join(sorted(_DECLARATIONS))}",
        )
    return _DECLARATIONS[statistic](hours)
