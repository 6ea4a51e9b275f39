"""How every command line ends: an explained error and a documented exit code, never a traceback."""

from __future__ import annotations

import os
import signal
import sys

import click

from privacy.errors import ExitCode, QuorateError, place_of
from quorate.contract.logs import LOG_FORMATS, LogFormat, OneLine, configure, printable


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


__all__ = ["LOG_FORMAT", "OneLine", "daemon", "printable", "run"]

LOG_FORMAT = click.option(
    "--log-format",
    type=click.Choice(LOG_FORMATS),
    default="text",
    show_default=True,
    help="Log lines for people, or one JSON object a line.",
)


def daemon(log_format: LogFormat = "text") -> None:
    """Prepare a daemon: messages go to standard error, and files that it makes are its owner's alone.

    Until the daemon has a handler of its own, SIGTERM ends the process with 0.
    """
    os.umask(0o077)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    configure(log_format)
