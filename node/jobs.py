"""Work for the worker process, and the side of the daemon that starts it and reads its answer.

The worker is a process of its own for every job: exact counts exist in it alone, its memory goes with it,
and it dies with the daemon (node.worker). It answers in JSON lines, the last of which announces
the bytes that follow.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from node.stopping import Stopping
from privacy import errors
from privacy.errors import QuorateError
from privacy.noise import Sampler
from privacy.terms import Digest, Terms

Progress = Callable[[str], None]


class _Job(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path


class BuildJob(_Job):
    """Build presence of local days from the operator's events, where it is not built yet."""

    kind: Literal["build"] = "build"
    charter: Digest
    days: tuple[date, ...]


class ReleaseJob(_Job):
    """Compute a statistic and return its noised bytes."""

    kind: Literal["release"] = "release"
    charter: Digest
    terms: Terms
    weights: tuple[int, ...] | None = None


Job = Annotated[BuildJob | ReleaseJob, Field(discriminator="kind")]
JOB: TypeAdapter[BuildJob | ReleaseJob] = TypeAdapter(Job)


class Answer(BaseModel):
    """One line of the worker.

    Attributes
    ----------
    progress
        A phase to report; more lines follow.
    error
        Class, what, means and todo of a QuorateError.
    snapshot
        SHA-256 of the data that were read, in hexadecimal.
    samplers
        Which sampler drew the noise of each level.
    length
        Number of bytes that follow.
    """

    progress: str | None = None
    error: tuple[str, str, str, str] | None = None
    snapshot: str = ""
    samplers: tuple[Sampler, ...] = ()
    length: int = 0


class WorkerFailed(QuorateError):
    """The worker process ended without an answer."""


def run(
    job: BuildJob | ReleaseJob, progress: Progress, stopping: Stopping | None = None
) -> tuple[Answer, bytes]:
    """Run a job in a new worker process and return its last line and the bytes after it.

    Raises
    ------
    Stopped
        If the daemon was asked to stop; the worker process is gone then, and so is what it computed.
    QuorateError
        What the worker raised, or WorkerFailed if it died.
    """
    command, stopping = [sys.executable, "-m", "node.worker"], stopping or Stopping()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            with stopping.ending(process.kill):
                answer, data = _converse(process, job, progress)
        except BaseException:
            process.kill()
            raise
    stopping.require_going()
    if answer is None or process.returncode != 0 or len(data) != answer.length:
        raise WorkerFailed(
            f"the worker process ended with code {process.returncode} and no complete answer",
            means="nothing was charged or sent",
            todo="give the node more memory, or a lower memory_limit in node.toml",
        )
    if answer.error:
        raise _rebuilt(*answer.error)
    return answer, data


def _converse(
    process: subprocess.Popen[bytes], job: BuildJob | ReleaseJob, progress: Progress
) -> tuple[Answer | None, bytes]:
    if process.stdin is None or process.stdout is None:
        raise WorkerFailed("the worker process has no pipes")
    try:
        process.stdin.write(job.model_dump_json().encode())
        process.stdin.close()
    except BrokenPipeError:
        return None, b""
    for line in process.stdout:
        try:
            answer = Answer.model_validate_json(line)
        except ValueError:
            return None, b""
        if answer.progress is None:
            return answer, process.stdout.read()
        progress(answer.progress)
    return None, b""


def _rebuilt(name: str, what: str, means: str, todo: str) -> QuorateError:
    kind = getattr(errors, name, QuorateError)
    known = isinstance(kind, type) and issubclass(kind, QuorateError)
    return kind(what, means=means, todo=todo) if known else QuorateError(what)
