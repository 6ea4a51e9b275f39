"""What comes one by one is taken together as far as it has come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.batches import batches


async def some(
    count: int, *, pauses: frozenset[int] = frozenset(), fails: bool = False
) -> AsyncIterator[int]:
    for number in range(count):
        if number in pauses:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        yield number
    if fails:
        raise ValueError("the stream broke off")


async def taken(items: AsyncIterator[int], most: int, *, slow: bool) -> list[list[int]]:
    found = []
    async for batch in batches(items, most):
        found.append(batch)
        if slow:
            await asyncio.sleep(0.001)
    return found


@given(
    st.integers(0, 20),
    st.integers(1, 5),
    st.frozensets(st.integers(0, 20)),
    st.booleans(),
)
def test_everything_comes_once_in_order_and_never_more_than_was_asked_for(
    count: int, most: int, pauses: frozenset[int], slow: bool
) -> None:
    found = asyncio.run(taken(some(count, pauses=pauses), most, slow=slow))
    assert [number for batch in found for number in batch] == list(range(count))
    assert all(1 <= len(batch) <= most for batch in found)


def test_who_is_slow_gets_full_batches() -> None:
    sizes = [len(batch) for batch in asyncio.run(taken(some(13), 4, slow=True))]
    assert sum(sizes) == 13
    assert sizes.count(4) >= 2


def test_what_came_before_a_stream_broke_off_is_yielded_before_the_error() -> None:
    found: list[int] = []

    async def take() -> None:
        async for batch in batches(some(5, fails=True), 2):
            found.extend(batch)

    with pytest.raises(ValueError, match="broke off"):
        asyncio.run(take())
    assert found == list(range(5))


def test_a_stream_is_left_when_nobody_wants_more() -> None:
    async def take() -> bool:
        reading = batches(some(100), 2)
        await anext(reading)
        await reading.aclose()
        return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    assert asyncio.run(take())
