"""Wakes calls and tasks of this process that wait for something to change."""

from __future__ import annotations

import asyncio

from hub.errors import ShuttingDown

#: Who waits looks again after this long even if nobody woke it.
LOOK_AGAIN = 5.0
#: What can be waited for: that there are new orders, and that an order was answered or a release has ended.
ORDERS, ANSWERS = "orders", "answers"


class Bell:
    """Wakes everybody who waits for something to change.

    Nodes wait for orders alone: if every answer woke all of them, so many answers would ask so many times so often.
    """

    def __init__(self) -> None:
        self._events = {topic: asyncio.Event() for topic in (ORDERS, ANSWERS)}
        self.closed = False

    def ring(self, topic: str = ANSWERS) -> None:
        """Wake who waits now."""
        self._events[topic].set()
        self._events[topic] = asyncio.Event()

    def close(self) -> None:
        """Let nobody wait any more: the hub is about to end."""
        self.closed = True
        for topic in (ORDERS, ANSWERS):
            self.ring(topic)

    async def wait(self, seconds: float, topic: str = ANSWERS) -> None:
        """Wait for the next ring, at most so long (ShuttingDown if the hub ends before)."""
        if not self.closed:
            try:
                await asyncio.wait_for(self._events[topic].wait(), seconds)
            except TimeoutError:
                return
        if self.closed:
            raise ShuttingDown
