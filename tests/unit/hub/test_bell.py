"""The bell wakes everybody who waits, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import time

from hub.bell import ORDERS, Bell
from hub.errors import ShuttingDown


def test_everybody_who_waits_is_woken_at_once() -> None:
    async def scene() -> float:
        bell = Bell()
        waiting = [asyncio.create_task(bell.wait(60.0)) for _ in range(5)]
        await asyncio.sleep(0.01)
        before = time.monotonic()
        bell.ring()
        await asyncio.wait_for(asyncio.gather(*waiting), 5.0)
        return time.monotonic() - before

    assert asyncio.run(scene()) < 5.0


def test_a_ring_does_not_wake_who_comes_later() -> None:
    async def scene() -> float:
        bell = Bell()
        bell.ring()
        before = time.monotonic()
        await bell.wait(0.05)
        return time.monotonic() - before

    assert 0.04 < asyncio.run(scene()) < 5.0


def test_nobody_waits_longer_than_asked() -> None:
    asyncio.run(Bell().wait(0.0))
    asyncio.run(Bell().wait(0.01))


def test_nobody_waits_for_a_bell_that_is_closed() -> None:
    async def waiting() -> tuple[object, object]:
        bell = Bell()
        before = asyncio.create_task(bell.wait(60))
        await asyncio.sleep(0)
        bell.close()
        return await asyncio.gather(before, bell.wait(60), return_exceptions=True)

    assert [type(found) for found in asyncio.run(waiting())] == [ShuttingDown, ShuttingDown]


def test_who_waits_for_orders_is_not_woken_by_answers() -> None:
    async def scene() -> None:
        bell = Bell()
        waiting = asyncio.create_task(bell.wait(60.0, ORDERS))
        await asyncio.sleep(0.01)
        bell.ring()
        await asyncio.sleep(0.01)
        assert not waiting.done()
        bell.ring(ORDERS)
        await asyncio.wait_for(waiting, 5.0)

    asyncio.run(scene())
