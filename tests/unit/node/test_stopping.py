"""What ends when a daemon is asked to stop."""

from __future__ import annotations

import pytest

from node.stopping import Stopped, Stopping


def test_what_can_be_ended_is_ended_when_asked_and_not_after_it_is_over() -> None:
    stopping, ended = Stopping(), list[str]()
    with stopping.ending(lambda: ended.append("over")):
        pass
    with stopping.ending(lambda: ended.append("outer")), stopping.ending(lambda: ended.append("inner")):
        stopping.require_going()
        stopping.ask()
    assert ended == ["outer", "inner"]
    stopping.ask()
    assert ended == ["outer", "inner"]
    with pytest.raises(Stopped):
        stopping.require_going()


def test_what_begins_after_it_was_asked_is_ended_at_once() -> None:
    stopping, ended = Stopping(), list[str]()
    stopping.ask()
    with stopping.ending(lambda: ended.append("late")):
        assert ended == ["late"]
