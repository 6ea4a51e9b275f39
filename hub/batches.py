"""What comes one by one, taken together as far as it has come: who works at batches is not slowed by each item."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

_Item = TypeVar("_Item")


async def batches(items: AsyncIterator[_Item], most: int) -> AsyncGenerator[list[_Item], None]:
    """Yield what has come since the last batch, in order: at least one item, at most `most`.

    While a batch is worked at, at most `most` further items are taken. What goes wrong with an item is raised after
    the batch of those before it.
    """
    came, more, room = list[_Item](), asyncio.Event(), asyncio.Semaphore(most)

    async def fill() -> None:
        async for item in items:
            await room.acquire()
            came.append(item)
            more.set()

    filling = asyncio.create_task(fill())
    filling.add_done_callback(lambda _task: more.set())
    try:
        while came or not filling.done():
            await more.wait()
            batch, came[:] = list(came), []
            if not filling.done():
                more.clear()
            for _ in batch:
                room.release()
            if batch:
                yield batch
        await filling
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
