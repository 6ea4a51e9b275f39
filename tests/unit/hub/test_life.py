"""The life of a release: every combination of answers of up to four operators, before and after its time."""

from __future__ import annotations

from itertools import combinations_with_replacement, permutations

import pytest

from hub.life import (
    COLLECTING,
    COMMITTED,
    ENDED,
    ESTIMATED,
    FAILED,
    INQUORATE,
    LEASED,
    MOST_TIMES,
    OFFERED,
    REFUSED,
    next_state,
)

ALLOWED = 600.0
#: Seconds by which the time is over: long before, just before, just over, and when nobody is waited for any more.
IN_TIME, OVER, LONG_OVER = -ALLOWED, 0.0, (MOST_TIMES - 1) * ALLOWED
EVERY = [
    (tasks, least, overdue)
    for operators in range(1, 5)
    for tasks in combinations_with_replacement((OFFERED, LEASED, COMMITTED, REFUSED), operators)
    for least in range(1, operators + 1)
    for overdue in (IN_TIME, -0.001, OVER, LONG_OVER - 1, LONG_OVER, 10 * LONG_OVER)
]


def said_in_words(tasks: tuple[str, ...], least: int, overdue: float) -> str:
    """The rule as the module's docstring has it, one outcome after the other."""
    contributed, silent, working = (tasks.count(state) for state in (COMMITTED, OFFERED, LEASED))
    waiting = silent + working if overdue < 0 else working if overdue < LONG_OVER else 0
    if contributed + waiting < least:
        return INQUORATE
    return COLLECTING if waiting else ESTIMATED


@pytest.mark.parametrize(("tasks", "least", "overdue"), EVERY, ids=str)
def test_a_release_ends_as_soon_as_its_outcome_is_certain(
    tasks: tuple[str, ...], least: int, overdue: float
) -> None:
    expected = said_in_words(tasks, least, overdue)
    assert {next_state(order, least, overdue, ALLOWED) for order in set(permutations(tasks))} == {expected}


@pytest.mark.parametrize(
    ("tasks", "least", "overdue", "state"),
    [
        ("ooo", 2, IN_TIME, COLLECTING),
        ("ccc", 3, IN_TIME, ESTIMATED),
        ("cco", 2, IN_TIME, COLLECTING),  # enough, but the third may still come
        ("cco", 2, OVER, ESTIMATED),
        ("ccl", 2, OVER, COLLECTING),  # the third is slow, but not silent
        ("ccl", 2, LONG_OVER, ESTIMATED),
        ("cll", 3, OVER, COLLECTING),
        ("col", 3, OVER, INQUORATE),  # one is silent, so that too few still can
        ("ccr", 2, IN_TIME, ESTIMATED),
        ("ccr", 3, IN_TIME, INQUORATE),
        ("cor", 3, IN_TIME, INQUORATE),
        ("crr", 1, IN_TIME, ESTIMATED),
        ("coo", 2, OVER, INQUORATE),
        ("rrr", 1, IN_TIME, INQUORATE),
        ("ooo", 1, OVER, INQUORATE),
        ("lll", 1, LONG_OVER, INQUORATE),
        ("o", 1, IN_TIME, COLLECTING),
    ],
)
def test_examples_by_hand(tasks: str, least: int, overdue: float, state: str) -> None:
    names = {"o": OFFERED, "l": LEASED, "c": COMMITTED, "r": REFUSED}
    assert next_state([names[letter] for letter in tasks], least, overdue, ALLOWED) == state


def test_nobody_is_waited_for_without_an_end() -> None:
    assert all(next_state(tasks, least, LONG_OVER, ALLOWED) in ENDED for tasks, least, _overdue in EVERY)


def test_a_further_contribution_never_makes_a_release_inquorate() -> None:
    for tasks, least, overdue in EVERY:
        if OFFERED in tasks and next_state(tasks, least, overdue, ALLOWED) != INQUORATE:
            more = list(tasks)
            more[more.index(OFFERED)] = COMMITTED
            assert next_state(more, least, overdue, ALLOWED) != INQUORATE


def test_ended_is_estimated_or_inquorate() -> None:
    assert {ESTIMATED, INQUORATE, FAILED} == ENDED
    assert COLLECTING not in ENDED
