"""Hub and nodes as separate operating-system processes: started, watched, stopped, and never left behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from deploy.demo import interrupt
from privacy.errors import ExitCode, QuorateError, ResourceProblem

_STOP_SECONDS = 10.0


class ProcessEnded(QuorateError):
    """A process of the demo ended on its own; its own last words follow."""


class Processes:
    """The processes of one demo directory.

    Parameters
    ----------
    out
        Directory of the demo; logs go to `logs` in it, and `processes.json` says what runs.
    """

    def __init__(self, out: Path) -> None:
        self._record = out / "processes.json"
        self._logs = out / "logs"
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self._logs.mkdir(exist_ok=True)
        self._write()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str, *arguments: str) -> None:
        """Start `python -m …` under a name; a Ctrl-C in this terminal does not reach it, `stop` does."""
        with self.log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._write()

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self._logs / f"{name}.log"

    def require_alive(self) -> None:
        """Raise ProcessEnded if a process has ended, with what it said last; and KeyboardInterrupt after Ctrl-C."""
        interrupt.require_none()
        for name, process in self._running.items():
            if process.poll() is not None:
                raise self._ended(name, process.returncode)

    def stop(self) -> None:
        """Ask every process to stop, and kill what has not stopped after ten seconds."""
        for process in self._running.values():
            if process.poll() is None:
                process.terminate()
        until = time.monotonic() + _STOP_SECONDS
        for process in self._running.values():
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
        self._record.unlink(missing_ok=True)

    def _ended(self, name: str, code: int) -> ProcessEnded:
        lines = self.log(name).read_text(encoding="utf-8", errors="replace").splitlines()
        problem = ProcessEnded(
            f"{name} ended with exit code {code}; its log ends with:\n    " + "\n    ".join(lines[-6:]),
            todo=f"read {self.log(name)}; exit codes are explained in docs/exit-codes.md",
        )
        problem.exit_code = ExitCode(code) if code in set(ExitCode) else ExitCode.INTERNAL
        return problem

    def _write(self) -> None:
        pids = {"demo": psutil.Process().pid, **{name: p.pid for name, p in self._running.items()}}
        record = {name: [pid, psutil.Process(pid).create_time()] for name, pid in pids.items()}
        # Complete or not at all: the next demo must be able to read it even if this one is killed here.
        fresh = self._record.with_suffix(".part")
        fresh.write_text(json.dumps(record), encoding="utf-8")
        fresh.replace(self._record)


def clear_leftovers(out: Path) -> None:
    """Kill what a demo that was itself killed left running in this directory.

    Raises
    ------
    ResourceProblem
        If a demo is at work there now.
    """
    record = out / "processes.json"
    if not record.exists():
        return
    alive = {
        name: process for name, entry in json.loads(record.read_text()).items() if (process := _alive(*entry))
    }
    if "demo" in alive:
        raise ResourceProblem(
            f"another demo (process {alive['demo'].pid}) is using {out}",
            todo="wait until it is done, stop it with Ctrl-C, or choose another directory with --out",
        )
    for process in alive.values():
        process.kill()
    psutil.wait_procs(list(alive.values()), timeout=_STOP_SECONDS)


def _alive(pid: int, created: float) -> psutil.Process | None:
    """Return the process if it is still the one that was recorded (numbers are used again)."""
    try:
        process = psutil.Process(pid)
        return process if abs(process.create_time() - created) < 1.0 else None
    except psutil.NoSuchProcess:
        return None
