"""Section node: a day from raw events to presence and visits, statistics of it, Spark, and a month."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb

from tests.benchmarks.figures import Figure
from tests.benchmarks.node_paths import FEW, POLARS_GIB
from tests.benchmarks.node_statistics import MONTH_DAYS
from tests.benchmarks.node_world import world
from tests.benchmarks.processes import Cost, Failed, Work, measured

PLACE = Path("build") / "bench"
SMALL, LARGE = 10**7, 10**8
PARTS = ("small", "large", "spark", "month", "peers")
Say = Callable[[str], None]
#: Measured in turn, and the middle one of so many taken: their ratio is a limit, and no machine is steady.
_HELD, _TIMES = ("group", "fast", "plain"), 3
_MODULE, _MONTH = "tests.benchmarks.node_paths", "tests.benchmarks.node_month"


def run(say: Say, parts: Sequence[str] = PARTS) -> list[Figure]:
    """Measure the section, or parts of it; `say` is told what is being done.

    Parameters
    ----------
    say
        Takes a line.
    parts
        Of PARTS: a day of 10⁷ events, one of 10⁸, Spark at 10⁷, a month of 30 × 10⁷, Polars and Spark at 10⁸.
    """
    bench = _Bench(say)
    figures: list[Figure] = []
    for events, part in ((SMALL, "small"), (LARGE, "large")):
        if part in parts:
            figures += bench.day(events)
    if {"small", "large"} <= set(parts):
        figures.append(bench.growth())
    if "spark" in parts:
        figures += bench.spark(SMALL)
    if "peers" in parts:
        figures += [bench.polars(LARGE), *bench.spark(LARGE)]
    if "month" in parts:
        figures += bench.month()
    _clear()
    return figures


class _Bench:
    """Measures each path once, and holds the figures against each other."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._found: dict[tuple[str, int], Cost] = {}

    def _cost(self, path: str, events: int, *, cold: bool = False) -> Cost:
        if (path, events) not in self._found:
            names, times = (_HELD, _TIMES) if path in _HELD and events == LARGE else ((path,), 1)
            rounds = [[self._once(name, events, cold) for name in names] for _ in range(times)]
            for name, costs in zip(names, zip(*rounds, strict=True), strict=True):
                self._found[name, events] = sorted(costs, key=lambda cost: cost.cpu)[times // 2]
        return self._found[path, events]

    def _once(self, path: str, events: int, cold: bool) -> Cost:
        found = measured(_MODULE, *(["cold"] * cold), path, str(events), str(PLACE))
        self._say(f"{path.replace('_', ' ')}, {events:,} events: {found}")
        return found

    def _figure(self, what: str, path: str, against: str, peer: str, events: int) -> Figure:
        ours, theirs = self._cost(path, events), self._cost(peer, events)
        return Figure(f"{what}, {events:.0e} events", against, ours.cpu / theirs.cpu, str(ours), str(theirs))

    def day(self, events: int) -> list[Figure]:
        """One day on this machine."""
        self._say(f"making {events:,} events, unless they are there")
        world(PLACE, events)
        # Machine code is compiled once after an installation, not every day.
        self._once("fast", FEW, cold=True)
        group, by_hand = "bare group-by of the subscriber", "hand-written DuckDB SQL for the same result"
        figures = [
            self._figure("bare scan of the three columns", "scan", group, "group", events),
            self._figure(
                "group-by of subscriber and zone with a mask of hours", "hours", group, "group", events
            ),
            self._figure(
                "raw → presence and visits (at most 3 is asked for at 10⁸)", "plain", group, "group", events
            ),
            self._figure(
                "the same, and a pseudonym for each of 2 M subscribers at the door",
                "fast",
                group,
                "group",
                events,
            ),
            self._figure(
                "raw → presence and visits, with pseudonyms (at most 0.5 is asked for)",
                "fast",
                by_hand,
                "sql",
                events,
            ),
            self._figure(
                "the Ibis reference in 2 GB (at most 1.3 is asked for)", "reference", by_hand, "sql", events
            ),
        ]
        if events == SMALL:
            figures.append(self._figure("Polars", "polars", by_hand, "sql", events))
        self._say("comparing what they built")
        for other in ("sql", "reference", *(["polars"] if events == SMALL else [])):
            _require_same("plain", other, events)
        return [*figures, *self._statistics(events)]

    def _statistics(self, events: int) -> list[Figure]:
        build = self._cost("fast", events)
        found = self._cost("statistics", events).parts
        figures = [
            Figure(
                f"{name} of a day from presence, {events:.0e} events (at most 0.1 is asked for)",
                "building the day by the fast path",
                one.cpu / build.cpu,
                f"{one.cpu:.1f} CPU s, {one.wall:.1f} s wall",
                str(build),
            )
            for name, one in found.items()
        ]
        dearest = max(found, key=lambda name: found[name].cpu)
        alone, start = self._cost(dearest, events), self._cost("fast", FEW, cold=True)
        figures.append(
            Figure(
                f"{dearest} in a process that loads compiled code for it alone, {events:.0e} events",
                f"building the day, with a start of {start}",
                alone.cpu / (build.cpu + start.cpu),
                str(alone),
                str(build),
            )
        )
        return figures

    def growth(self) -> Figure:
        """Ten times the events of as many subscribers."""
        small, large = self._cost("fast", SMALL), self._cost("fast", LARGE)
        return Figure(
            "raw → presence and visits, 10⁸ events (at most 12 is asked for)",
            "10⁷ events of as many subscribers",
            large.cpu / small.cpu,
            str(large),
            str(small),
        )

    def polars(self, events: int) -> Figure:
        """One day with Polars, which may take more memory than there is."""
        world(PLACE, events)
        ours = self._cost("fast", events)
        what, against = f"the fast path, {events:.0e} events", f"Polars in at most {POLARS_GIB} GiB"
        try:
            theirs = self._cost("polars", events)
        except Failed:
            return Figure(what, against, 0.0, str(ours), f"does not end: more than {POLARS_GIB} GiB")
        return Figure(what, against, ours.cpu / theirs.cpu, str(ours), str(theirs))

    def spark(self, events: int) -> list[Figure]:
        """One day on Spark, each path without the start of the session."""
        world(PLACE, events)
        native = self._cost("spark_native", events)
        return [
            Figure(
                f"Spark: {what}, {events:.0e} events",
                "Spark: DataFrame code written by hand",
                found.parts["day"].cpu / native.parts["day"].cpu,
                _of_part(found, "day"),
                _of_part(native, "day"),
            )
            for what, found in (
                ("our expressions (at most 1.2 is asked for)", self._cost("spark_ibis", events)),
                ("the fast path in mapInArrow", self._cost("spark_fast", events)),
            )
        ]

    def month(self) -> list[Figure]:
        """Thirty days, built one after the other, and what is made of their presence."""
        self._say(f"a month of {MONTH_DAYS} × {SMALL:,} events")
        days = [measured(_MONTH, "day", str(number), str(PLACE)) for number in range(MONTH_DAYS)]
        built = Work(sum(day.cpu for day in days), sum(day.wall for day in days))
        peak = max(day.peak for day in days)
        read = measured(_MONTH, "statistics", str(MONTH_DAYS), str(PLACE))
        return [
            Figure(
                f"{name} of {MONTH_DAYS} × {SMALL:.0e} events from presence (under 4 GiB is asked for)",
                "building the days one after the other",
                one.cpu / built.cpu,
                f"{one.cpu:.1f} CPU s, {one.wall:.1f} s wall, {read.peak:.2f} GiB",
                f"{built.cpu:.1f} CPU s, {built.wall:.1f} s wall, {peak:.2f} GiB",
            )
            for name, one in read.parts.items()
        ]


def _clear() -> None:
    """Remove what was built and spilled; the events of a day are kept for the next run."""
    for path in PLACE.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif not path.name.startswith(("events-", "cells-")):
            path.unlink()


def _of_part(cost: Cost, part: str) -> str:
    return f"{cost.parts[part].cpu:.1f} CPU s, {cost.parts[part].wall:.1f} s wall, {cost.peak:.2f} GiB"


def _require_same(one: str, other: str, events: int) -> None:
    """Stop if two paths did not build the same rows."""
    first, second = (PLACE / f"{path}-{events}" for path in (one, other))
    with duckdb.connect() as db:
        for table in ("presence", "visits"):
            digests = [
                db.sql(
                    "SELECT count(*), sum(hash(t)::HUGEINT) FROM "  # noqa: S608 - paths of the benchmark
                    f"read_parquet('{path.with_name(f'{path.name}-{table}.parquet')}') t"
                ).fetchall()
                for path in (first, second)
            ]
            if digests[0] != digests[1]:
                raise RuntimeError(f"{one} and {other} do not build the same {table}")
