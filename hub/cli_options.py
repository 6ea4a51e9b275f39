"""Options that several commands of the hub's command line have."""

from __future__ import annotations

from pathlib import Path

import click

DIRECTORY = click.option(
    "--dir",
    "root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default="the current directory",
    help="The hub's directory.",
)
DATABASE = click.option(
    "--database",
    metavar="ADDRESS",
    help="sqlite:///path or postgresql+psycopg://user@host/name.  [default: hub.toml, or hub.db in the directory]",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program instead of text.")
