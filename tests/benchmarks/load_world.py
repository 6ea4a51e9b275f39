"""A hub of any number of operators and cells for section load, and what its process takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from hub.authority import sign
from hub.client.office import Home as OfficeHome
from hub.config import Agreement, Home, Register
from quorate.contract.identity import OFFICE, OPERATOR, Identity, new_key, signing_request
from quorate.contract.zoning import ZONE, Zone, Zoning
from tests.harness import ROOT, free_port
from tests.keys import HUB, key_for
from tests.support_hub import DAY, NETWORK, publication, small_charter, write_hub_home

_TICK = os.sysconf("SC_CLK_TCK")
HOURS = 24


@dataclass(frozen=True)
class Place:
    """A hub's directory with the certificates of everybody who calls it, and where it listens."""

    home: Home
    office: OfficeHome
    operators: tuple[str, ...]
    port: int
    cells: int

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"


def place_of(root: Path, operators: int, cells: int) -> Place:
    """Set up a hub whose product `presence` has about so many cells."""
    names = tuple(f"mno{number:03d}" for number in range(1, operators + 1))
    zones = cells // HOURS - 1
    zoning = Zoning(
        name="Load",
        version="1",
        levels=(ZONE,),
        zones=tuple(Zone(code=f"Z{number:06d}", parents={}) for number in range(zones)),
    )
    charter = small_charter(
        zoning=zoning.digest(), operators=names, publication=publication(levels=(ZONE,), min_operators=2)
    )
    register = Register(np.full(zones, 1000.0), np.full(zones, 800.0))
    home = write_hub_home(root / "hub", Agreement(charter, charter.digest(), zoning, register, key_for(HUB)))
    for name in names:
        _certify(home, root, name, OPERATOR)
    _certify(home, root, "office", OFFICE)
    office = OfficeHome(root)
    office.hub_root.write_bytes(home.root_certificate.read_bytes())
    return Place(home, office, names, free_port(), (zones + 1) * HOURS)


def _certify(home: Home, root: Path, name: str, role: str) -> None:
    identity = Identity(NETWORK, role, name)
    request = signing_request(new_key(root / f"{name}.key"), identity)
    (root / f"{name}.pem").write_bytes(sign(home, request, identity))


class Process:
    """A process that obeys lines and answers in JSON lines; killed with the block."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def tell(self, command: str) -> None:
        """Send a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        self._process.stdin.flush()

    def answer(self) -> Any:
        """Wait for the answer to the oldest command that has none."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"a process of the benchmark ended with {self._process.wait()}"
        return json.loads(line)


@contextmanager
def hub(place: Place) -> Iterator[int]:
    """Run a hub; yields its process id."""
    log = (place.home.root / "log").open("ab")
    listen = ["--listen", place.address]
    command = [sys.executable, "-m", "hub", "serve", "--dir", str(place.home.root), *listen]
    with log, subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log) as process:
        try:
            while not place.home.address.exists():
                assert process.poll() is None, (place.home.root / "log").read_text("utf-8")[-2000:]
                time.sleep(0.05)
            yield process.pid
        finally:
            process.kill()


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:13]) / _TICK


def peak_of(pid: int) -> float:
    """Return the largest resident memory of a process so far, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def sigma() -> float:
    """Return the standard deviation of the noise that product `presence` has in these charters."""
    from quorate.contract.order import terms_of
    from tests.support_hub import small_agreement

    own = small_agreement()
    return terms_of(own.charter, own.zoning, "presence", (DAY, DAY), 0).levels[0].scale_milli / 1000
