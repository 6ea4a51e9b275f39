"""The life of a release, without I/O.

collecting → estimated    every operator answered, or the deadline passed, and enough contributed
           ↘ inquorate    too few contributed, or too few still can

A missing operator is missing: it neither fails the release nor counts as zero. An ended release stays ended.
"""

from __future__ import annotations

from collections.abc import Collection

OFFERED, COMMITTED, REFUSED, LATE = "offered", "committed", "refused", "late"
#: States of a task whose contribution the hub holds.
ANSWERED = frozenset({COMMITTED, LATE})
COLLECTING, ESTIMATED, INQUORATE = "collecting", "estimated", "inquorate"
ENDED = frozenset({ESTIMATED, INQUORATE})


def next_state(tasks: Collection[str], min_operators: int, overdue: bool) -> str:
    """Return the state that a collecting release is due to have.

    Parameters
    ----------
    tasks
        State of the task of each operator.
    min_operators
        Fewest contributions that may be combined.
    overdue
        Whether the time for answers is over.
    """
    committed = sum(state == COMMITTED for state in tasks)
    waiting = 0 if overdue else sum(state == OFFERED for state in tasks)
    if committed + waiting < min_operators:
        return INQUORATE
    return COLLECTING if waiting else ESTIMATED
