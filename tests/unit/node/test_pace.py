"""How many pieces are sent in one call."""

from __future__ import annotations

from node.pace import FIRST, MOST, QUICK_SECONDS, Pace


def test_quick_calls_grow_slow_ones_shrink_and_a_failed_one_begins_again() -> None:
    now = 0.0
    pace = Pace(lambda: now)

    def call(seconds: float) -> int:
        nonlocal now
        pieces = pace.next()
        now += seconds
        pace.done()
        return pieces

    assert [call(0.125) for _ in range(3)] == [FIRST, MOST, MOST]
    assert [call(QUICK_SECONDS) for _ in range(3)] == [MOST, MOST // 2, MOST // 4]
    assert pace.next() == MOST // 8
    assert pace.next() == 1, "the call before did not end well"
    pace.done()
    assert pace.next() == 2
