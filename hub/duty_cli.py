"""The commands that people on duty look at the hub with; they work while it runs and while it does not."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from hub.cli_options import DATABASE, DIRECTORY, JSON, open_store
from hub.config import Home
from quorate.contract import shell

WATCH = click.option("--watch", is_flag=True, help="Look again every two seconds, until Ctrl-C.")
_EVERY = 2.0


def _show(look: Callable[[], tuple[Any, list[str]]], as_json: bool, watch: bool, empty: str = "") -> None:
    """Print what `look` returns (for programs, for people); with `watch` again and again."""
    while True:
        value, lines = look()
        if as_json:
            # Watched, a program gets one object a line.
            click.echo(json.dumps(value, indent=None if watch else 1))
        else:
            if watch:
                click.clear()
            click.echo("\n".join(map(shell.printable, lines)) or empty)
        if not watch:
            return
        time.sleep(_EVERY)


@click.command()
@DIRECTORY
@JSON
@WATCH
@DATABASE
def status(root: Path, as_json: bool, watch: bool, database: str | None) -> None:
    """Say whether the hub runs, under which charter, and how many releases and orders are in which state."""
    from hub.duty import counted

    home, store = Home(root), open_store(root, database)

    def look() -> tuple[Any, list[str]]:
        releases, orders = counted(store.database)
        value = {**_about(home), "releases": releases, "tasks": orders}
        return value, [f"{name + ':':18} {_text(found)}" for name, found in value.items()]

    _show(look, as_json, watch)


def _about(home: Home) -> dict[str, Any]:
    from importlib.metadata import version

    from quorate.contract.charter import Charter
    from quorate.contract.identity import load_certificate

    charter = Charter.read(home.charter)
    return {
        "hub version": version("quorate"),
        "network": charter.network,
        "charter version": charter.version,
        "charter": charter.digest(),
        "listens at": _answering(home),
        "certificate until": load_certificate(home.certificate).not_valid_after_utc.isoformat(),
    }


def _answering(home: Home) -> str | None:
    """Return where the hub answers, None if nobody does; a hub that was killed leaves its address behind."""
    if not home.address.exists():
        return None
    address = home.address.read_text(encoding="utf-8").strip()
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
    except (OSError, ValueError):
        return None
    return address


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} {state}" for state, count in value.items())
    return "nowhere: the hub does not run" if value is None else str(value)


@click.command()
@DIRECTORY
@JSON
@WATCH
@DATABASE
def operators(root: Path, as_json: bool, watch: bool, database: str | None) -> None:
    """List the operators of the charter: when their nodes called last, their software and clocks."""
    from hub.duty import nodes_of
    from quorate.contract.charter import Charter

    names, store = Charter.read(Home(root).charter).operators, open_store(root, database)

    def look() -> tuple[Any, list[str]]:
        found = nodes_of(store.database)
        value = [{"operator": name, "nodes": found.get(name, [])} for name in names]
        return value, [line for name in names for line in _nodes(name, found.get(name, []))]

    _show(look, as_json, watch)


def _nodes(operator: str, nodes: list[dict[str, Any]]) -> list[str]:
    if not nodes:
        return [f"{operator}  was never seen"]
    return [
        f"{operator}/{node['node']}  seen {node['seen']}  version {node['software_version']}"
        + ("" if node["clock_offset_seconds"] is None else f"  clock {node['clock_offset_seconds']:+d} s")
        for node in nodes
    ]


@click.command()
@DIRECTORY
@JSON
@WATCH
@DATABASE
def tasks(root: Path, as_json: bool, watch: bool, database: str | None) -> None:
    """List the task orders of each operator, with state and refusal."""
    from hub import duty

    store = open_store(root, database)

    def look() -> tuple[Any, list[str]]:
        found = duty.tasks(store.database)
        return found, [
            f"{task['operator']}  {task['release']}  {task['state']}  {task['refusal']}".rstrip()
            for task in found
        ]

    _show(look, as_json, watch, "no orders yet")


@click.command()
@DIRECTORY
@JSON
@WATCH
@DATABASE
def releases(root: Path, as_json: bool, watch: bool, database: str | None) -> None:
    """List releases and what each operator answered."""
    store = open_store(root, database)

    def look() -> tuple[Any, list[str]]:
        views = store.releases()
        value = [
            {
                "release": v.release_id,
                "state": v.state,
                "operators": {o: refusal or s for o, s, refusal in v.tasks},
            }
            for v in views
        ]
        return value, [
            f"{v.release_id}  {v.state}  {' '.join(f'{o}:{r or s}' for o, s, r in v.tasks)}" for v in views
        ]

    _show(look, as_json, watch, "no releases yet")


@click.command()
@DIRECTORY
@JSON
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="Only lines since this day, or time, in UTC.",
)
@click.option("--who", default="", help="Only lines of whom this is part of the name.")
@click.option("--release", default="", help="Only lines about this release.")
@DATABASE
def audit(
    root: Path, as_json: bool, since: datetime | None, who: str, release: str, database: str | None
) -> None:
    """Print the audit trail: requests, contributions, refusals and rejected calls."""
    from hub.trail import Wanted, lines

    wanted = Wanted(since.replace(tzinfo=UTC) if since else None, who, release)
    found = lines(open_store(root, database).database, wanted)
    shown = [
        "  ".join(filter(None, (line["at"], line["who"], line["what"], line["detail"], line["release"])))
        for line in found
    ]
    _show(lambda: (found, shown), as_json, watch=False, empty="nothing yet")
