"""One address before several hubs: every new connection goes to any of them that answers, as it is."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Self


class Balancer:
    """Passes connections on, in a thread of its own; TLS is between the ends.

    Parameters
    ----------
    targets
        Ports of loopback.
    port
        Where to listen.
    seed
        Of the choice of the target.
    rate
        Most bytes a second towards a target; as many as come if it is not given.

    Attributes
    ----------
    passed
        Bytes that were passed on to targets.
    """

    def __init__(self, targets: Sequence[int], port: int, seed: int, rate: int | None = None) -> None:
        self._targets, self._chance, self._rate = list(targets), random.Random(seed), rate
        self.passed = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(port), self._loop).result(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._join, "127.0.0.1", port)

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _join(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        for target in self._chance.sample(self._targets, len(self._targets)):
            try:
                far, out = await asyncio.open_connection("127.0.0.1", target)
            except OSError:
                continue  # this one is down; another may answer
            with suppress(
                asyncio.CancelledError
            ):  # at the end of the block; asyncio would log it as an error
                await self._pass(near, back, far, out)
            return
        back.transport.abort()

    async def _pass(
        self,
        near: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        far: asyncio.StreamReader,
        out: asyncio.StreamWriter,
    ) -> None:
        try:
            await asyncio.gather(_pump(near, out, self._count), _pump(far, back, _nothing))
        finally:
            for writer in (out, back):
                writer.transport.abort()

    async def _count(self, size: int) -> None:
        self.passed += size
        if self._rate:
            await asyncio.sleep(size / self._rate)


async def _nothing(_size: int) -> None:
    """Wait for nothing."""


async def _pump(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, told: Callable[[int], Awaitable[None]]
) -> None:
    """Pass bytes on until either side is gone; what is told of each part may take its time."""
    try:
        while data := await source.read(1 << 16):
            await told(len(data))
            sink.write(data)
            await sink.drain()
    except OSError:
        return  # one side is gone
    finally:
        sink.close()
