"""Measures a piece of work in a process of its own: CPU seconds and peak memory of it and all that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

_PAGE, _TICK = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
_EVERY_S = 0.1


class Failed(RuntimeError):
    """The piece of work did not end well; the text is the end of what it said."""


@dataclass(frozen=True)
class Cost:
    """What a process took.

    Attributes
    ----------
    cpu, wall
        Seconds.
    peak
        Largest resident memory of the process and its descendants together, in GiB.
    said
        Its standard output.
    """

    cpu: float
    wall: float
    peak: float
    said: str

    def __str__(self) -> str:
        return f"{self.cpu:.1f} CPU s, {self.wall:.1f} s wall, {self.peak:.2f} GiB"


def measured(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Cost:
    """Run `python -m module arguments` and return what it took.

    Raises
    ------
    Failed
        If it does not end with code 0.
    """
    command = [sys.executable, "-m", module, *arguments]
    started = time.perf_counter()
    with TemporaryFile("w+") as output:
        with subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
        ) as process:
            peak, ticks, ended = 0, dict[int, int](), 0
            while not ended:
                peak = max(peak, _look(process.pid, ticks))
                time.sleep(_EVERY_S)
                ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - started
        output.seek(0)
        said = output.read()
    if process.returncode:
        raise Failed(f"{' '.join(command)} ended with {process.returncode}: {said[-2000:]}")
    own = usage.ru_utime + usage.ru_stime
    return Cost(
        # What a Java machine leaves behind is not waited for, and only seen while it runs.
        max(own, sum(ticks.values()) / _TICK),
        wall,
        max(usage.ru_maxrss * 1024, peak) / 2**30,
        said,
    )


def _look(root: int, ticks: dict[int, int]) -> int:
    """Note the CPU ticks of a process and its descendants; return their resident bytes."""
    resident, children, found = 0, dict[int, list[int]](), dict[int, tuple[int, int]]()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(path.parent.name)
        children.setdefault(int(fields[1]), []).append(pid)
        found[pid] = (int(fields[11]) + int(fields[12]), int(fields[21]) * _PAGE)
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        if pid in found:
            ticks[pid] = max(ticks.get(pid, 0), found[pid][0])
            resident += found[pid][1]
    return resident
