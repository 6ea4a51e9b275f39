"""A measured figure, and the machine it was measured on."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One ratio of two times or rates of the same run.

    Attributes
    ----------
    what, against
        What was measured, and the peer or physical limit that it is held against.
    ratio
        Ours in units of theirs.
    ours, theirs
        Both as measured, with their unit.
    """

    what: str
    against: str
    ratio: float
    ours: str
    theirs: str


@dataclass
class Watch:
    """CPU and wall seconds of a piece of work in this process and its ended children."""

    cpu: float = field(default=0.0)
    wall: float = field(default=0.0)


@contextmanager
def watch() -> Iterator[Watch]:
    """Measure what happens inside the block."""
    found, wall, before = Watch(), time.perf_counter(), _cpu()
    yield found
    found.wall, found.cpu = time.perf_counter() - wall, _cpu() - before


def timed(work: Callable[[], Any], times: int = 3) -> tuple[Watch, Any]:
    """Return the middle one of some runs by wall time, and what the last one gave."""
    runs, found = [], None
    for _ in range(times):
        with watch() as one:
            found = work()
        runs.append(one)
    return sorted(runs, key=lambda one: one.wall)[times // 2], found


def told(seconds: Watch) -> str:
    """Return CPU and wall time as text."""
    return f"{seconds.cpu * 1e3:,.1f} CPU ms, {seconds.wall * 1e3:,.1f} ms wall"


def _cpu() -> float:
    """Return CPU seconds so far of this process and its ended children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def machine() -> str:
    """Describe the machine in one line."""
    info = Path("/proc/cpuinfo")
    model = platform.processor() or platform.machine()
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    software = f"Python {platform.python_version()}, {platform.system()}"
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, {software}"
