"""Whether terms can be true at all: bounds of their own statistic, and noise that is worth their loss.

The ledger asks this before it charges, and `verify` asks it again of every entry, so that an entry with too little
noise shows even where its hash and its signature hold.
"""

from __future__ import annotations

import json
from functools import lru_cache

from opendp.mod import OpenDPException

from privacy.errors import UsageProblem
from privacy.noise import mapped_loss, noise_of
from privacy.sensitivity import Declaration, Mechanism
from privacy.statistics import STATISTICS, declare
from privacy.terms import Terms

#: Elapsed hours that a local day can have, with a change of the clock or without.
_HOURS = (23, 24, 25)


def terms_problem(terms: Terms) -> str:
    """Return what cannot be true in terms, or nothing."""
    statistic = STATISTICS.get(terms.statistic)
    if statistic is None or statistic.bounds is None:
        return "its statistic is none that can be noised"
    if statistic.reads == "day" and terms.first_day != terms.last_day:
        return "its statistic reads one day, and it reads several"
    bounding = {name: terms.parameters[name] for name in statistic.parameters if name in terms.parameters}
    if terms.bounds not in _declared(terms.statistic, json.dumps(bounding, sort_keys=True)):
        return "its bounds are not those of its statistic"
    for level in terms.levels:
        if not _is_enough(terms.bounds, terms.mechanism, level.scale_milli, level.by_period):
            return f"the noise of level {level.name} is too small for its loss"
    return ""


# A charter has few products, so a million entries ask for few different answers.
@lru_cache(maxsize=1024)
def _declared(statistic: str, bounding: str) -> frozenset[Declaration]:
    try:
        return frozenset(declare(statistic, json.loads(bounding), hours) for hours in _HOURS)
    except UsageProblem:
        return frozenset()


@lru_cache(maxsize=4096)
def _is_enough(bounds: Declaration, mechanism: Mechanism, scale_milli: int, by_period: int) -> bool:
    """Return whether OpenDP's map of this noise is at most a loss; noise that it has no map for is not."""
    try:
        return mapped_loss(bounds, noise_of(mechanism, scale_milli)) <= by_period
    except (UsageProblem, ArithmeticError, OpenDPException):
        return False
