"""Options that several commands of the node's command line have, and how they print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

DIRECTORY = click.option(
    "--dir",
    "root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default="the current directory",
    help="The node's directory.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program instead of text.")
DAY = click.DateTime(["%Y-%m-%d"])


def emit(value: Any, as_json: bool, text: str) -> None:
    """Print a value as JSON, or its text."""
    click.echo(json.dumps(value, indent=1, default=str) if as_json else text)


def to_stderr(line: str) -> None:
    """Print a line on standard error."""
    click.echo(line, err=True)
