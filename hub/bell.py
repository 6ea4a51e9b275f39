"""Wakes calls and tasks of this process that wait for something to change."""

from __future__ import annotations

import asyncio

from hub.errors import ShuttingDown

#: Who waits looks again after this long even if nobody woke it.
LOOK_AGAIN = 5.0


class Bell:
    """Wakes everybody who waits for something to change."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.closed = False

    def ring(self) -> None:
        """Wake who waits now."""
        self._event.set()
        self._event = asyncio.Event()

    def close(self) -> None:
        """Let nobody wait any more: the hub is about to end."""
        self.closed = True
        self.ring()

    async def wait(self, seconds: float) -> None:
        """Wait for the next ring, at most so long (ShuttingDown if the hub ends before)."""
        if not self.closed:
            try:
                await asyncio.wait_for(self._event.wait(), seconds)
            except TimeoutError:
                return
        if self.closed:
            raise ShuttingDown
