"""What section load is held against: a bare gRPC server, and bytes over bare TLS, both with mutual TLS.

python -m tests.benchmarks.load_peers echo ROOT PORT | sink ROOT PORT | source ROOT PORT BYTES OPERATOR ...
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import ssl
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
from grpc import aio

from quorate.contract.order import CHUNK


async def echo(root: Path, port: int) -> None:
    """Serve two methods: one answers when this process gets a line, the other returns a digest of what came."""
    told = asyncio.Event()

    async def wait(_request: bytes, _context: Any) -> bytes:
        await told.wait()
        return bytes(2000)

    async def take(request: bytes, _context: Any) -> bytes:
        return hashlib.sha256(request).digest()

    methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Wait": grpc.unary_unary_rpc_method_handler(wait),
        "Echo": grpc.unary_unary_rpc_method_handler(take),
    }
    server = aio.server(options=[("grpc.max_receive_message_length", 4 << 20)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench", methods),))
    hub = root / "hub"
    pair = ((hub / "hub.key").read_bytes(), (hub / "hub.pem").read_bytes())
    server.add_secure_port(
        f"localhost:{port}",
        grpc.ssl_server_credentials([pair], (hub / "root.pem").read_bytes(), require_client_auth=True),
    )
    await server.start()
    print(json.dumps("ready"), flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        told.set()
        print(json.dumps(time.monotonic()), flush=True)


def sink(root: Path, port: int) -> None:
    """Take and forget what comes over TLS, a thread for each connection; one byte back at the end of each."""
    hub = root / "hub"
    context = _context(ssl.PROTOCOL_TLS_SERVER, hub / "root.pem", (hub / "hub.pem", hub / "hub.key"))
    with socket.create_server(("127.0.0.1", port)) as server:
        print(json.dumps("ready"), flush=True)
        while True:
            connection, _address = server.accept()
            threading.Thread(target=_drain, args=(context, connection), daemon=True).start()


def _drain(context: ssl.SSLContext, connection: socket.socket) -> None:
    room = bytearray(CHUNK)
    with context.wrap_socket(connection, server_side=True) as secure:
        while size := secure.recv(8):
            left = int.from_bytes(size, "big")
            while left:
                left -= secure.recv_into(room, min(left, CHUNK))
            secure.sendall(b".")


def source(root: Path, port: int, size: int, operators: list[str]) -> None:
    """At each line send so many bytes over each operator's connection, all at once; tell when all were taken."""
    with ExitStack() as stack:
        connections = [stack.enter_context(_connected(root, port, name)) for name in operators]
        piece = memoryview(hashlib.shake_256(b"bytes").digest(CHUNK))
        print(json.dumps("ready"), flush=True)
        while sys.stdin.readline():
            threads = [threading.Thread(target=_send, args=(secure, size, piece)) for secure in connections]
            start = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            print(json.dumps([start, time.monotonic()]), flush=True)


def _connected(root: Path, port: int, operator: str) -> ssl.SSLSocket:
    own = (root / f"{operator}.pem", root / f"{operator}.key")
    context = _context(ssl.PROTOCOL_TLS_CLIENT, root / "hub-root.pem", own)
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")


def _send(secure: ssl.SSLSocket, size: int, piece: memoryview) -> None:
    secure.sendall(size.to_bytes(8, "big"))
    for offset in range(0, size, CHUNK):
        secure.sendall(piece[: min(CHUNK, size - offset)])
    assert secure.recv(1) == b"."


def _context(protocol: int, root: Path, own: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(root)
    context.load_cert_chain(*own)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


if __name__ == "__main__":
    what, where, at, *others = sys.argv[1:]
    if what == "echo":
        asyncio.run(echo(Path(where), int(at)))
    elif what == "sink":
        sink(Path(where), int(at))
    else:
        source(Path(where), int(at), int(others[0]), others[1:])
