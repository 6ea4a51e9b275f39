"""Measures a piece of work in a process of its own: CPU seconds and peak memory of it and all that it starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryFile

_TICK = os.sysconf("SC_CLK_TCK")
_EVERY_S = 0.2


class Failed(RuntimeError):
    """The piece of work did not end well; the text is the end of what it said."""


@dataclass
class Work:
    """CPU and wall seconds of a piece of work in this process and all that it started."""

    cpu: float = 0.0
    wall: float = 0.0


@contextmanager
def work() -> Iterator[Work]:
    """Measure what happens inside the block."""
    found, wall, before = Work(), time.perf_counter(), _cpu_of_tree()
    yield found
    found.wall, found.cpu = time.perf_counter() - wall, _cpu_of_tree() - before


@dataclass(frozen=True)
class Cost:
    """What a process took.

    Attributes
    ----------
    cpu, wall
        Seconds of its work, without the start of Python and its libraries.
    peak
        Largest resident memory of the process and its descendants together, in GiB; seen five times a second, and
        exactly for the process alone.
    parts
        What pieces of the work took, if it says so.
    """

    cpu: float
    wall: float
    peak: float
    parts: Mapping[str, Work]

    def __str__(self) -> str:
        return f"{self.cpu:.1f} CPU s, {self.wall:.1f} s wall, {self.peak:.2f} GiB"


def measured(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Cost:
    """Run `python -m module arguments`, which calls `tell` in the end, and return what it took.

    Raises
    ------
    Failed
        If it does not end with code 0.
    """
    command = [sys.executable, "-m", module, *arguments]
    with TemporaryFile("w+") as output:
        with subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
        ) as process:
            peak, ended = 0, 0
            while not ended:
                peak = max(peak, sum(_own_bytes(pid) for pid in _tree(process.pid)))
                time.sleep(_EVERY_S)
                ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read()
    if process.returncode:
        raise Failed(f"{' '.join(command)} ended with {process.returncode}: {said[-2000:]}")
    told = json.loads(said.splitlines()[-1])
    parts = {name: Work(**part) for name, part in told.pop("parts").items()}
    return Cost(**told, peak=max(usage.ru_maxrss * 1024, peak) / 2**30, parts=parts)


def tell(whole: Work, parts: Mapping[str, Work]) -> None:
    """Print what `measured` reads."""
    print(json.dumps({**asdict(whole), "parts": {name: asdict(part) for name, part in parts.items()}}))


def _cpu_of_tree() -> float:
    """Return CPU seconds of this process, its descendants, and those that have ended."""
    return sum(_tree(os.getpid()).values())


def _tree(root: int) -> dict[int, float]:
    """Return CPU seconds, those of ended children included, of a process and its descendants."""
    children, found = dict[int, list[int]](), dict[int, float]()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(path.parent.name)
        children.setdefault(int(fields[1]), []).append(pid)
        found[pid] = sum(int(ticks) for ticks in fields[11:15]) / _TICK
    waiting, tree = [root], dict[int, float]()
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        tree[pid] = found.get(pid, 0.0)
    return tree


def _own_bytes(pid: int) -> int:
    """Return the resident bytes of a process, what it shares with others counted in parts (a fork shares all)."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))
