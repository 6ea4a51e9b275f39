"""The life of a release, without I/O.

planned → collecting      the first round is estimated, and the operators that answered it are asked for the second
        ↘ inquorate       the first round is; only releases in two rounds are planned (`hub.estimation.rounds`)

collecting → estimated    every operator answered, or the time is over and nobody works any more; enough contributed
           ↘ inquorate    too few contributed, or too few still can
           ↘ failed       no estimate could be made of the contributions until nobody would be waited for any more

Of one operator:

offered → leased → committed   the contribution is in the estimates
   ↖ lease lost ↙ ↘ late       it came after the release had ended: kept and receipted, but in no estimate
                  ↘ refused

A missing operator is missing: it neither fails the release nor counts as zero. After the time for answers an
operator is missing if no node of it holds a lease: slow work is waited for, silence is not. Nobody is waited for
longer than `MOST_TIMES` that time. An ended release stays ended.
"""

from __future__ import annotations

from collections.abc import Collection

OFFERED, LEASED, COMMITTED, REFUSED, LATE = "offered", "leased", "committed", "refused", "late"
#: States of a task whose contribution the hub holds.
ANSWERED = frozenset({COMMITTED, LATE})
PLANNED, COLLECTING, ESTIMATED, INQUORATE = "planned", "collecting", "estimated", "inquorate"
FAILED = "failed"
ENDED = frozenset({ESTIMATED, INQUORATE, FAILED})
#: A node that works is waited for up to so many times the time for answers.
MOST_TIMES = 10


def next_state(tasks: Collection[str], min_operators: int, overdue: float, allowed: float) -> str:
    """Return the state that a collecting release is due to have.

    Parameters
    ----------
    tasks
        State of the task of each operator.
    min_operators
        Fewest contributions that may be combined.
    overdue
        Seconds by which the time for answers is over; negative before.
    allowed
        The time for answers, in seconds.
    """
    committed = sum(state == COMMITTED for state in tasks)
    waited_for = {OFFERED, LEASED} if overdue < 0 else {LEASED}
    if given_up(overdue, allowed):
        waited_for = set()
    waiting = sum(state in waited_for for state in tasks)
    if committed + waiting < min_operators:
        return INQUORATE
    return COLLECTING if waiting else ESTIMATED


def next_round(first: str) -> str:
    """Return the state that a planned release is due to have, by that of the release of its first round."""
    return {ESTIMATED: COLLECTING, INQUORATE: INQUORATE, FAILED: FAILED}.get(first, PLANNED)


def given_up(overdue: float, allowed: float) -> bool:
    """Return whether what cannot be ended is not tried any more: after `MOST_TIMES` the time for answers."""
    return overdue >= (MOST_TIMES - 1) * allowed
