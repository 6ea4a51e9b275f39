"""A tap between node and hub: ends TLS on both sides with the real keys, passes all on, and keeps it.

What is encrypted on the wire is plain here, so that a test can search it for what must never leave.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, PADDED = 0, 0x8


class Wiretap:
    """Listens on a free port of loopback as the hub, and calls the real hub as the node.

    Parameters
    ----------
    root
        PEM root certificate.
    hub, node
        (certificate, key) of each, PEM files.
    target
        Port of the real hub.
    """

    def __init__(self, root: Path, hub: tuple[Path, Path], node: tuple[Path, Path], target: int) -> None:
        self._serving = self._context(ssl.PROTOCOL_TLS_SERVER, root, hub)
        self._calling = self._context(ssl.PROTOCOL_TLS_CLIENT, root, node)
        self._target = target
        self.captured: list[bytearray] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.port = int(self._server.sockets[0].getsockname()[1])

    @staticmethod
    def _context(protocol: int, root: Path, identity: tuple[Path, Path]) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(root)
        context.load_cert_chain(*identity)
        context.verify_mode = ssl.CERT_REQUIRED
        context.set_alpn_protocols(["h2"])
        return context

    def close(self) -> None:
        """Cut every connection and end."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._join, "127.0.0.1", 0, ssl=self._serving)

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _join(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        far, out = await asyncio.open_connection(
            "127.0.0.1", self._target, ssl=self._calling, server_hostname="localhost"
        )
        up, down = bytearray(), bytearray()
        self.captured += [up, down]
        try:
            await asyncio.gather(_pump(near, out, up), _pump(far, back, down))
        finally:
            for writer in (out, back):
                writer.transport.abort()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, kept: bytearray) -> None:
    """Pass bytes on until either side is gone."""
    try:
        while data := await source.read(1 << 16):
            kept += data
            sink.write(data)
            await sink.drain()
    except OSError:
        return  # one side is gone
    finally:
        sink.close()


def messages(captured: bytes) -> list[bytes]:
    """Return the gRPC messages in one direction of a connection, put together from HTTP/2 DATA frames."""
    streams: dict[int, bytearray] = defaultdict(bytearray)
    for kind, flags, stream, payload in _frames(captured.removeprefix(PREFACE)):
        if kind == DATA:
            streams[stream] += payload[1 : len(payload) - payload[0]] if flags & PADDED else payload
    return [message for body in streams.values() for message in _messages(bytes(body))]


def _frames(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    position = 0
    while position + 9 <= len(data):
        length = int.from_bytes(data[position : position + 3], "big")
        kind, flags, stream = struct.unpack(">BBI", data[position + 3 : position + 9])
        yield kind, flags, stream & 0x7FFFFFFF, data[position + 9 : position + 9 + length]
        position += 9 + length


def _messages(body: bytes) -> Iterator[bytes]:
    position = 0
    while position + 5 <= len(body):
        compressed, length = struct.unpack(">BI", body[position : position + 5])
        assert compressed == 0, "a compressed message could hide something from the search"
        yield body[position + 5 : position + 5 + length]
        position += 5 + length
