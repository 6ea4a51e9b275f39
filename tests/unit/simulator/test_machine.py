"""Whatever happens to a hub and three operators, nothing is lost, doubled or told before it is charged."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulator.machine import FederationMachine

_COMMON = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False)
#: Steps of `make test-full`.
LONG = 20_000


def steps_of(examples: int, steps: int, *, derandomize: bool) -> int:
    """Run a machine so often for so many steps; return how many it made in all, and print what happened."""
    FederationMachine.happened.clear()
    how = settings(_COMMON, max_examples=examples, stateful_step_count=steps, derandomize=derandomize)
    run_state_machine_as_test(FederationMachine, settings=how)
    print("\n", dict(sorted(FederationMachine.happened.items())))
    return FederationMachine.happened["step"]


def test_whatever_happens_nothing_is_lost_doubled_or_stuck() -> None:
    assert steps_of(8, 50, derandomize=True) >= 300


@pytest.mark.full
def test_whatever_happens_for_long_nothing_is_lost_doubled_or_stuck() -> None:
    assert steps_of(250, 100, derandomize=False) >= LONG
