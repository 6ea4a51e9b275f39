"""How every command line ends: an explained error and a documented exit code, never a traceback."""

from __future__ import annotations

import logging
import os
import signal
import sys

import click

from privacy.errors import ExitCode, QuorateError, place_of


def run(command: click.Command, name: str) -> None:
    """Run a command line and end the process with its exit code.

    Parameters
    ----------
    command
        The click command or group.
    name
        Program name for help and errors.
    """
    try:
        code = command.main(prog_name=name, standalone_mode=False)
    except QuorateError as error:
        click.echo(error.explain(), err=True)
        code = error.exit_code
    except click.Abort:
        click.echo("stopped", err=True)
        code = ExitCode.INTERRUPTED
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        code = ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE
    except BrokenPipeError:
        code = ExitCode.OK
    except OSError as error:
        click.echo(_file_problem(error).explain(), err=True)
        code = ExitCode.RESOURCE
    except Exception as error:  # noqa: BLE001 - the last line of defence between a defect and a user
        click.echo(_defect(error), err=True)
        code = ExitCode.INTERNAL
    sys.exit(int(code) if isinstance(code, int) else 0)


def _file_problem(error: OSError) -> QuorateError:
    place = f"{error.filename}: " if error.filename else ""
    return QuorateError(
        f"{place}{error.strerror or type(error).__name__}", todo="check the path, permissions and disk"
    )


def _defect(error: Exception) -> str:
    return QuorateError(f"a defect of Quorate: {place_of(error)}", todo="report it, with this line").explain()


class OneLine(logging.Formatter):
    """Formats a message as one line: what the other side sent cannot look like a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, control characters escaped; a traceback stays as it is."""
        record.msg, record.args = printable(record.getMessage()), None
        return super().format(record)


def printable(text: str) -> str:
    """Return a text with its control characters escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def daemon() -> None:
    """Prepare a daemon: messages go to standard error, and files that it makes are its owner's alone.

    Until the daemon has a handler of its own, SIGTERM ends the process with 0.
    """
    os.umask(0o077)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
