"""The commands `quorate-node source`: check a mapping on a sample, and print a day's quality indicators."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.cli_options import DAY, DIRECTORY, JSON, emit

if TYPE_CHECKING:
    from node.sources.check import Problem, Report


@click.group()
def source() -> None:
    """Connect your data: check the mapping on a sample, look at the quality of a day."""


@source.command()
@DIRECTORY
@click.option("--day", type=DAY, show_default="first_day in node.toml", help="Local day to take a sample of.")
@click.option(
    "--rows", type=click.IntRange(1, 1_000_000), default=10_000, show_default=True, help="Rows to read."
)
@click.option(
    "--examples",
    type=click.IntRange(1, 1_000_000),
    default=3,
    show_default=True,
    help="Rows to show for each reason in each file.",
)
@JSON
@click.pass_context
def check(
    context: click.Context, root: Path, day: datetime | None, rows: int, examples: int, as_json: bool
) -> None:
    """Read a sample and explain every problem, with its row and column.

    Needs node.toml, charter.json, zoning.json and the node's keys; the node need not be enrolled. Prints values
    of your data, to this terminal only. Ends with the exit code of the first problem that keeps a day from being
    used.
    """
    found, checked = _checked(root, day.date() if day else None, rows, examples)
    value = {
        "day": checked.isoformat(),
        "rows": dict(found.rows),
        "problems": [asdict(problem) for problem in found.problems],
        "exit_code": found.exit_code,
    }
    emit(value, as_json, _as_text(found, checked))
    context.exit(found.exit_code)


def _checked(root: Path, day: date | None, rows: int, examples: int) -> tuple[Report, date]:
    from node.config import Engine, Home, NodeConfig, read_toml
    from node.engine import connect
    from node.enrolment import secret_of
    from node.scratch import scratch_in
    from node.sources.check import check as look
    from node.sources.cleaning import Cleaner
    from node.sources.reading import Place
    from quorate.contract.charter import Charter
    from quorate.contract.zoning import Zoning

    home = Home(root)
    config, charter, zoning = (
        read_toml(home.config, NodeConfig),
        Charter.read(home.charter),
        Zoning.read(home.zoning),
    )
    engine: Engine = config.engine
    asked = day or config.source.first_day
    with scratch_in(home.root) as scratch, connect(engine, scratch) as db:
        place = Place(home.root, scratch, engine.threads, engine.memory_limit)
        cleaner = Cleaner(config.source, place, charter.time_zone, secret_of(home))
        return look(db, cleaner, zoning.codes, asked, rows, examples), asked


def _as_text(found: Report, day: date) -> str:
    lines = [_line(problem) for problem in found.problems]
    total = sum(found.rows.values())
    if found.files > 1:
        lines.append(
            f"note: each of {found.files} files was judged by itself; duplicates, ghosts and speeds between rows of "
            "different files show when the day is built"
        )
    lines += [f"{count:>10}  {label}" for label, count in found.rows.most_common() if count]
    good = "a day like this sample would be used" if found.exit_code == 0 else "see the problems above"
    return "\n".join([*lines, f"{total:>10}  rows of {day} were read; {good}"])


def _line(problem: Problem) -> str:
    kind = "error" if problem.exit_code else "note"
    where = ", ".join(
        part
        for part in (
            problem.place,
            f"row {problem.row}" if problem.row is not None else "",
            problem.column,
        )
        if part
    )
    value = f": {problem.value}" if problem.value else ""
    todo = f"\n  what to do: {problem.todo}" if problem.todo else ""
    return f"{kind}: {where}{value}\n  {problem.what}{todo}"


@source.command()
@DIRECTORY
@click.option("--day", type=DAY, required=True, help="Local day.")
@JSON
def profile(root: Path, day: datetime, as_json: bool) -> None:
    """Print the quality indicators of a day; they are exact and for you alone.

    A day that is built already has them; another one is read and cleaned, and nothing of it is kept.
    """
    found = _profiled(root, day.date())
    emit(found, as_json, _profile_text(found))


def _profile_text(found: dict[str, Any]) -> str:
    rows, indicators = found["rows"], found["indicators"]
    cells, events = indicators["cells"], indicators["events_per_subscriber"]
    lines = [f"{count:>12}  {reason}" for reason, count in rows.items() if count]
    lines += [
        f"{indicators['subscribers']:>12}  subscribers, {indicators['inbound_subscribers']} of them roam in",
        f"{events['mean']:>12.1f}  events of a subscriber (median {events['median']:g}, 90 % {events['p90']:g}, "
        f"most {events['max']:g})",
        f"{cells['active']:>12}  of {cells['registered']} cells have events",
        f"{indicators['longest_gap_minutes']:>12}  minutes without any event, at most",
        f"{indicators['rejected_permille'] / 10:>12.2f}  % rejected",
        "hour   events  active cells",
    ]
    hours = zip(indicators["events_by_hour"], cells["active_by_hour"], strict=True)
    lines += [f"{hour:>4} {count:>8} {active:>13}" for hour, (count, active) in enumerate(hours)]
    for name, chart in found["drift"].items():
        state = "OUTSIDE" if chart["outside"] else "inside"
        lines.append(f"{name} is {state} {chart['low']:.1f} … {chart['high']:.1f} of {chart['days']} days")
    blocked = f"the gate is closed: {found['blocked'][0]}" if found["blocked"] else "the gate is open"
    return "\n".join([*lines, *found["warnings"], blocked])


def _profiled(root: Path, day: date) -> dict[str, Any]:
    from node.building import builder_of
    from node.config import Home
    from node.enrolment import load
    from node.scratch import scratch_in

    home = Home(root)
    own = load(home)
    with scratch_in(home.root) as scratch:
        known = builder_of(home, own, scratch).profile(day)
    hidden = ("built_from", "built")
    return {"day": day.isoformat(), **{key: value for key, value in known.items() if key not in hidden}}
