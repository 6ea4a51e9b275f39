"""What fails again and again is told less and less often, and counted every time."""

from __future__ import annotations

import pytest

from hub.failures import Failures
from hub.metrics import REGISTRY


def counted() -> float:
    return REGISTRY.get_sample_value("quorate_hub_release_end_failures_total") or 0.0


def test_of_a_hundred_failures_in_a_row_seven_are_logged_and_all_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures, before = Failures(), counted()
    for _attempt in range(100):
        failures.tell("r", "release r cannot be ended", ValueError("no"))
    told = ["", *(f" (failure {2**n} in a row)" for n in range(1, 7))]
    assert [line.getMessage() for line in caplog.records] == [f"release r cannot be ended{t}" for t in told]
    assert all(line.exc_info and isinstance(line.exc_info[1], ValueError) for line in caplog.records)
    assert counted() - before == 100


def test_what_worked_in_between_is_told_again_and_others_have_their_own_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures = Failures()
    for _attempt in range(3):
        failures.tell("r", "r fails", ValueError())
    failures.tell("s", "s fails", ValueError())
    failures.over("r")
    failures.tell("r", "r fails", ValueError())
    assert [line.getMessage() for line in caplog.records] == [
        "r fails",
        "r fails (failure 2 in a row)",
        "s fails",
        "r fails",
    ]


def test_of_the_looks_at_what_fails_the_first_second_and_fourth_try_it_again() -> None:
    failures = Failures()
    assert all(failures.due("r") for _look in range(5)), "what works is always tried"
    failures.tell("r", "r fails", ValueError())
    assert [look for look in range(1, 17) if failures.due("r")] == [1, 2, 4, 8, 16]
    assert sum(failures.due("r") for _look in range(17, 1201)) == 4 + 6, "never longer than 300 looks apart"
    failures.over("r")
    assert failures.due("r")
    assert not failures.failing("r")
