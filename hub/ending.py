"""How a hub ends: asked once it lets running calls finish, asked twice it does not wait for them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

from grpc import aio

from hub.bell import Bell

log = logging.getLogger("quorate.hub")
#: Seconds that running calls have to finish, and then the threads that work for nobody any more.
GRACE = 5.0


class Ending:
    """Notes that the hub was asked to end, and whether it was asked again.

    SIGTERM asks as long as the loop runs. Threads of the loop are this object's, so that it can tell whether one is
    still at work.
    """

    def __init__(self) -> None:
        self.asked, self.asked_again = asyncio.Event(), asyncio.Event()
        self._threads = ThreadPoolExecutor(thread_name_prefix="hub")
        loop = asyncio.get_running_loop()
        loop.set_default_executor(self._threads)
        loop.add_signal_handler(signal.SIGTERM, self.ask)

    def ask(self) -> None:
        """Ask, or ask again."""
        (self.asked_again if self.asked.is_set() else self.asked).set()

    async def end(self, server: aio.Server, bell: Bell) -> None:
        """Stop accepting calls, end those that only wait, and let the others finish.

        Parameters
        ----------
        server
            Has been started.
        bell
            Every call that waits waits for it.
        """
        log.info("asked to stop")
        bell.close()
        stopping = asyncio.create_task(server.stop(GRACE))
        hurry = asyncio.create_task(self.asked_again.wait())
        await asyncio.wait({stopping, hurry}, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not stopping.done():
            log.warning("asked again: calls that have not finished are ended")
            await server.stop(None)
        await stopping
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def leave(self) -> None:
        """Let threads finish; end the process with 0 if one is still at work when there is no time left.

        Python would wait for it as long as it takes. What it has not committed is as if it had not begun.
        """
        until = asyncio.get_running_loop().time() + GRACE
        while busy := [thread for thread in threading.enumerate() if thread.name.startswith("hub_")]:
            if self.asked_again.is_set() or asyncio.get_running_loop().time() > until:
                log.warning("work of %d thread(s) is given up; the next start does it again", len(busy))
                logging.shutdown()
                os._exit(0)
            await asyncio.sleep(0.02)
