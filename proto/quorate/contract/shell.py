"""How every command line ends: an explained error and a documented exit code, never a traceback."""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path

import click

from privacy.errors import ExitCode, QuorateError


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
    except Exception as error:  # noqa: BLE001 - the last line of defence between a defect and a user
        click.echo(_defect(error), err=True)
        code = ExitCode.INTERNAL
    sys.exit(int(code) if isinstance(code, int) else 0)


def _defect(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
    return QuorateError(f"a defect of Quorate: {place}", todo="report it, with this line").explain()


def log_to_stderr() -> None:
    """Let a daemon's messages go to standard error, one line each."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
