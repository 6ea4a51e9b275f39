"""One day of a month, or the statistics of all its days, each in a process of its own."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.node_paths import Job, fast
from tests.benchmarks.node_statistics import of_month
from tests.benchmarks.node_world import World, world
from tests.benchmarks.processes import Work, tell, work

EVENTS = 10**7
#: The statistics of a month may take 4 GiB with the libraries.
MONTH_MEMORY = "3GB"


def main() -> None:
    """Run `day NUMBER ROOT` or `statistics DAYS ROOT`."""
    what, number, root = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    if what == "day":
        tell(_day(number, root), {})
        return
    with work() as whole:
        parts = of_month([_job(day, root).presence for day in range(number)], root, MONTH_MEMORY)
    tell(whole, parts)


def _job(number: int, root: Path) -> Job:
    nowhere = World(root, root, EVENTS)
    return Job(f"month-{number:02d}", nowhere, root)


def _day(number: int, root: Path) -> Work:
    """Make the events of a day, build it, and keep presence only; the same subscribers live in all of them."""
    day = world(root, EVENTS, seed=100 + number)
    job = replace(_job(number, root), day=day)
    with work() as found:
        fast(job)
    day.events.unlink()
    job.visits.unlink()
    return found


if __name__ == "__main__":
    main()
