"""Where a hub runs: an address that is free, and a directory that no other hub works in."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from hub.config import Home
from privacy.errors import ResourceProblem, UsageProblem


@contextmanager
def only_one(home: Home) -> Iterator[None]:
    """Keep other hubs out of a directory.

    Raises
    ------
    ResourceProblem
        If one is at work there.
    """
    handle = os.open(home.root / "hub.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise ResourceProblem(
            f"another hub is at work in {home.root}", todo="stop it, or start this one in its own directory"
        ) from error
    try:
        yield
    finally:
        os.close(handle)


def require_free(address: str) -> None:
    """Refuse an address that is malformed or taken, on any of the addresses that its host stands for.

    Raises
    ------
    UsageProblem
        If it is not host:port.
    ResourceProblem
        If the port is taken, or the host is not this machine.
    """
    match = re.fullmatch(r"\[?([^\s\[\]]+?)\]?:([0-9]{1,5})", address)
    if match is None or int(match[2]) > 65535:
        raise UsageProblem(
            f"{address!r} is not an address",
            todo="give host:port, for example localhost:7443; port 0 takes a free one",
        )
    try:
        found = socket.getaddrinfo(match[1], int(match[2]), type=socket.SOCK_STREAM)
    except OSError as error:
        raise UsageProblem(
            f"the host {match[1]} is not known: {error.strerror}", todo="correct the address"
        ) from error
    for family, kind, protocol, _name, place in found:
        _require_bindable(address, (family, kind, protocol), place)


def _require_bindable(address: str, how: tuple[int, int, int], place: object) -> None:
    try:
        with socket.socket(*how) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)  # type: ignore[arg-type]
    except OSError as error:
        if error.errno in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL} and how[0] == socket.AF_INET6:
            return  # a machine without IPv6 listens on the other address
        raise ResourceProblem(
            f"the hub cannot listen at {address}: {error.strerror}",
            means="another process has this port, or the address is not one of this machine",
            todo="stop the other process, or choose another port with --listen or in hub.toml",
        ) from error
