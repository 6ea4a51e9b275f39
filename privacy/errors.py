"""The errors of Quorate: each says what happened, what it means and what to do, and carries an exit code.

QuorateError
├── UsageProblem         a command, a configuration file or a document is wrong
├── DataProblem          the operator's own data cannot be used
│   └── DataUnavailable  data that was asked for is not there
├── PrivacyProblem       a privacy rule forbids what was asked
│   ├── BudgetExhausted  a block or a window has no budget left
│   └── LedgerProblem    the ledger is damaged, behind, or in use by another process
│       ├── BytesLost       a release was charged, and its bytes are gone with a restored backup
│       └── NonceConflict   a nonce comes with other terms than before
├── PeerProblem          the other side cannot be reached, or refuses
│   ├── Unreachable      nobody answers
│   ├── Refused          somebody answers, and says no
│   ├── SignatureProblem a statement is not signed by whom it must be
│   └── PeriodKeyProblem a period key is not from whom it must be, or is another one than before
└── ResourceProblem      this machine lacks something: a port, room on the disk
"""

from __future__ import annotations

import traceback
from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """What a command of Quorate returns to the shell; docs/exit-codes.md is checked against it."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    CONFIGURATION = 3
    DATA_MISSING = 4
    DATA_UNUSABLE = 5
    HUB_UNREACHABLE = 6
    REFUSED = 7
    RESOURCE = 8
    LEDGER = 9
    BUDGET = 10
    NOT_QUORATE = 11
    INTERRUPTED = 130


EXIT_CODE_MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "done",
    ExitCode.INTERNAL: "a defect of Quorate; please report it with the log",
    ExitCode.USAGE: (
        "the command line is wrong (unknown option, missing argument, a number or date that is none)"
    ),
    ExitCode.CONFIGURATION: (
        "a configuration file, charter, zoning or certificate is missing, malformed or not the enrolled one; or an "
        "argument is well written but cannot be used: dates in the wrong order, a product that there is not, a file "
        "that cannot be made"
    ),
    ExitCode.DATA_MISSING: "a data file that was asked for is not there",
    ExitCode.DATA_UNUSABLE: "a data file is empty, lacks a column, or too many of its rows are rejected",
    ExitCode.HUB_UNREACHABLE: "the hub does not answer, or its certificate is not trusted",
    ExitCode.REFUSED: "the other side answered and said no (unknown operator, role, another digest)",
    ExitCode.RESOURCE: "this machine lacks something: the port is taken, the disk is full",
    ExitCode.LEDGER: "the privacy ledger is damaged, of another charter, or in use by another process",
    ExitCode.BUDGET: "a privacy budget does not allow what was asked",
    ExitCode.NOT_QUORATE: "too few operators answered: nothing can be released",
    ExitCode.INTERRUPTED: "stopped by Ctrl-C",
}


class QuorateError(Exception):
    """An error that explains itself to the person who must act.

    Parameters
    ----------
    what
        What happened, in one sentence. Never contains anything that depends on exact data.
    means
        What follows from it.
    todo
        What to do now.
    """

    exit_code = ExitCode.INTERNAL

    def __init__(self, what: str, *, means: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what, self.means, self.todo = what, means, todo

    def explain(self) -> str:
        """Return the lines that a shell user reads."""
        lines = [f"error: {self.what}"]
        if self.means:
            lines.append(f"  this means: {self.means}")
        if self.todo:
            lines.append(f"  what to do: {self.todo}")
        return "\n".join(lines)


def place_of(error: BaseException) -> str:
    """Return the type of an error and the last place in Quorate's own code that it came through; no text of it."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    where = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    return f"{type(error).__name__}{where}"


class UsageProblem(QuorateError):
    """A command, a configuration file or a document is wrong."""

    exit_code = ExitCode.CONFIGURATION


class DataProblem(QuorateError):
    """The operator's own data cannot be used."""

    exit_code = ExitCode.DATA_UNUSABLE


class DataUnavailable(DataProblem):
    """Data that was asked for is not there."""

    exit_code = ExitCode.DATA_MISSING


class PrivacyProblem(QuorateError):
    """A privacy rule forbids what was asked."""

    exit_code = ExitCode.BUDGET


class BudgetExhausted(PrivacyProblem):
    """A block or a window has no budget left for the charge."""


class LedgerProblem(PrivacyProblem):
    """The ledger is damaged, behind its witness, of another charter, or in use by another process."""

    exit_code = ExitCode.LEDGER


class BytesLost(LedgerProblem):
    """A release was charged, and its bytes are gone: they are neither sent again nor noised a second time."""


class NonceConflict(LedgerProblem):
    """A nonce comes with other terms than before: a forgery, or a defect of the hub."""


class PeerProblem(QuorateError):
    """The other side cannot be reached, or refuses."""

    exit_code = ExitCode.REFUSED


class Unreachable(PeerProblem):
    """Nobody answers at the address, or the certificate shown there is not trusted."""

    exit_code = ExitCode.HUB_UNREACHABLE


class Refused(PeerProblem):
    """Somebody answers, and says no."""


class SignatureProblem(PeerProblem):
    """A statement is not signed by whom the charter says."""


class PeriodKeyProblem(PeerProblem):
    """A period key is not from whom it must be or for what it must be, or is another one than before."""


class ResourceProblem(QuorateError):
    """This machine lacks something: a free port, room on the disk."""

    exit_code = ExitCode.RESOURCE
