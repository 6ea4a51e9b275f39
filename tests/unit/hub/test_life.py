"""The life of a release: every combination of answers of up to four operators."""

from __future__ import annotations

from itertools import combinations_with_replacement, permutations

import pytest

from hub.life import COLLECTING, COMMITTED, ENDED, ESTIMATED, INQUORATE, OFFERED, REFUSED, next_state

EVERY = [
    (tasks, least, overdue)
    for operators in range(1, 5)
    for tasks in combinations_with_replacement((OFFERED, COMMITTED, REFUSED), operators)
    for least in range(1, operators + 1)
    for overdue in (False, True)
]


def said_in_words(tasks: tuple[str, ...], least: int, overdue: bool) -> str:
    """The rule as the module's docstring has it, one outcome after the other."""
    contributed, silent = tasks.count(COMMITTED), tasks.count(OFFERED)
    all_answered = silent == 0
    if (all_answered or overdue) and contributed >= least:
        return ESTIMATED
    if all_answered or overdue:
        return INQUORATE
    return COLLECTING if contributed + silent >= least else INQUORATE


@pytest.mark.parametrize(("tasks", "least", "overdue"), EVERY, ids=str)
def test_a_release_ends_as_soon_as_its_outcome_is_certain(
    tasks: tuple[str, ...], least: int, overdue: bool
) -> None:
    expected = said_in_words(tasks, least, overdue)
    assert {next_state(order, least, overdue) for order in set(permutations(tasks))} == {expected}


@pytest.mark.parametrize(
    ("tasks", "least", "overdue", "state"),
    [
        ("ooo", 2, False, COLLECTING),
        ("ccc", 3, False, ESTIMATED),
        ("cco", 2, False, COLLECTING),  # enough, but the third may still come
        ("cco", 2, True, ESTIMATED),
        ("ccr", 2, False, ESTIMATED),
        ("ccr", 3, False, INQUORATE),
        ("cor", 3, False, INQUORATE),  # too few still can
        ("crr", 1, False, ESTIMATED),
        ("coo", 2, True, INQUORATE),
        ("rrr", 1, False, INQUORATE),
        ("ooo", 1, True, INQUORATE),
        ("o", 1, False, COLLECTING),
    ],
)
def test_examples_by_hand(tasks: str, least: int, overdue: bool, state: str) -> None:
    names = {"o": OFFERED, "c": COMMITTED, "r": REFUSED}
    assert next_state([names[letter] for letter in tasks], least, overdue) == state


def test_whoever_the_deadline_passes_nobody_is_waited_for() -> None:
    assert all(next_state(tasks, least, overdue=True) in ENDED for tasks, least, _overdue in EVERY)


def test_a_further_contribution_never_makes_a_release_inquorate() -> None:
    for tasks, least, overdue in EVERY:
        if OFFERED in tasks and next_state(tasks, least, overdue) != INQUORATE:
            more = list(tasks)
            more[more.index(OFFERED)] = COMMITTED
            assert next_state(more, least, overdue) != INQUORATE


def test_ended_is_estimated_or_inquorate() -> None:
    assert {ESTIMATED, INQUORATE} == ENDED
    assert COLLECTING not in ENDED
