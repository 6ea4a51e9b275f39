"""Options that several commands of the hub have, how they print, and how they open the hub's state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub.config import Home
from privacy.errors import UsageProblem

if TYPE_CHECKING:
    from hub.store import Store

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


def emit(value: Any, as_json: bool, text: str) -> None:
    """Print a value as JSON, or its text."""
    click.echo(json.dumps(value, indent=1) if as_json else text)


def open_store(root: Path, database: str | None) -> Store:
    """Open the state of a hub that has run before; changes no tables (UsageProblem if there is none)."""
    from hub.config import load_config
    from hub.store import store_of

    home = Home(root)
    if not (database or load_config(home).database or home.database.exists()):
        raise UsageProblem(
            f"there is no hub database in {root}", todo="run quorate-hub serve once, or correct --dir"
        )
    return store_of(home, database, migrate=False)
