"""Runs a simulation from the country to the files: what is fixed, then day by day, operators in parallel."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deploy.demo.country import Country
from deploy.demo.simulation import files, truth
from deploy.demo.simulation.calendar import range_period
from deploy.demo.simulation.dirt import KINDS, Feed, make_dirty
from deploy.demo.simulation.events import draw_events
from deploy.demo.simulation.movement import Movement, draw_movement
from deploy.demo.simulation.result import Counts, Layout, Simulation
from deploy.demo.simulation.settings import Settings
from deploy.demo.simulation.streams import Purpose, stream
from deploy.demo.simulation.world import Operator, World, draw_world
from privacy.errors import ResourceProblem

Progress = Callable[[str, float], None]
# More threads than this only cost memory: a day of an operator is the unit of work.
MAX_THREADS = 4
DONE_WITH_PERSONS = 0.1


def simulate(country: Country, settings: Settings, out: Path, progress: Progress | None = None) -> Simulation:
    """Simulate a country and write the operators' data and the truth under `out`.

    Parameters
    ----------
    country
        From `deploy.demo.country.load_country`.
    settings
        What to simulate; equal settings give equal bytes.
    out
        New, empty, or made by an earlier simulation, whose files are then replaced.
    progress
        Called from this thread with what is being done and the share that is done, 0 to 1.

    Raises
    ------
    UsageProblem
        `out` holds something else, or the settings leave nobody to simulate.
    ResourceProblem
        A file cannot be written.
    """
    say, layout = progress or _silent, Layout(Path(out))
    with _writable(out):
        files.claim(layout)
        say("drawing persons and their phones", 0.0)
        return _write(draw_world(country, settings), layout, None, say)


def write_world(
    world: World, out: Path, operators: Layout | None = None, progress: Progress | None = None
) -> Simulation:
    """Write the days of a world that was drawn already.

    Parameters
    ----------
    world
        With its settings.
    out
        As of `simulate`; register, truth and settings are written here.
    operators
        An earlier simulation of other days whose operators get these days too: their cells must be those of this
        world, and their subscribers are not written again. None writes the operators under `out`.
    progress
        As of `simulate`.

    Raises
    ------
    UsageProblem, ResourceProblem
        As `simulate`.
    """
    layout = Layout(Path(out))
    with _writable(out):
        files.claim(layout)
        return _write(world, layout, operators, progress or _silent)


def _silent(_label: str, _share: float) -> None:
    pass


@contextmanager
def _writable(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ResourceProblem(
            f"{error.filename or out} cannot be written: {error.strerror or error}",
            means="The simulation is not complete.",
            todo="Make room or choose another directory, then simulate again.",
        ) from error


def _write(world: World, layout: Layout, operators: Layout | None, say: Progress) -> Simulation:
    if operators is None:
        _write_operators(world, layout)
    _write_static(world, layout)
    rows, dirt = _write_days(world, layout, operators or layout, say)
    counts = Counts(
        register=int(world.register.sum()),
        persons=world.persons.size,
        owners=world.phones.owners,
        subscriptions={operator.id: operator.subscriptions.size for operator in world.operators},
        events={operator.id: rows[operator.id] for operator in world.operators},
        dirt={kind: dirt[kind] for kind in KINDS},
    )
    result = Simulation.of(layout, world.settings, counts)
    files.write_settings(result, world.country)
    say("done", 1.0)
    return result


def _write_operators(world: World, layout: Layout) -> None:
    for operator in world.operators:
        files.write_cells(layout.cells(operator.id), operator.cells, world.country)
        files.write_subscribers(layout.subscribers(operator.id), operator.subscriptions, world.phones)


def _write_static(world: World, layout: Layout) -> None:
    country, settings = world.country, world.settings
    expected = truth.phone_owners_expected(world.register)
    files.write_register(layout.register, country, world.register.sum(axis=1), expected)
    residents = np.bincount(world.persons.home, minlength=len(country.zone_codes)).astype(np.int64)
    period = range_period(settings.start, settings.days, settings.timezone)
    _write_areas(world, layout.truth / "residents.csv", [period], residents[:, None])
    overlap = truth.overlap(world.phones, settings.operator_ids)
    files.write_csv(layout.truth / "overlap.csv", ("operators", "persons"), overlap.items())


def _write_areas(world: World, path: Path, periods: list[str], by_zone: NDArray[np.int64]) -> None:
    country = world.country
    values = truth.with_districts(by_zone, country.district_index, len(country.district_codes))
    files.write_areas(path, country.zone_codes + country.district_codes, periods, values)


def _write_days(
    world: World, layout: Layout, operators: Layout, say: Progress
) -> tuple[Counter[str], Counter[str]]:
    """Write the days in order; while the operators of one day are written, the next day is drawn.

    Returns the rows by operator and the dirt by kind.
    """
    tally = _Tally(world.settings.days * world.settings.operators, say)
    flows: list[tuple[str, str, str, int]] = []
    pending: list[Future[_OperatorDay]] = []
    pool = ThreadPoolExecutor(max_workers=min(MAX_THREADS, os.cpu_count() or 1))
    try:
        for day in world.settings.local_days:
            movement = draw_movement(world.persons, world.gravity, day, world.settings)
            started = [
                pool.submit(_write_operator_day, world, operators, who, movement) for who in world.operators
            ]
            flows.extend(_flows(world, movement))
            if day.date == world.settings.presence_date:
                presence = truth.presence(world.persons, movement, len(world.country.zone_codes))
                _write_areas(world, layout.truth / "presence.csv", day.hour_periods(), presence)
            tally.add(pending)
            pending = started
        tally.add(pending)
    finally:
        pool.shutdown(cancel_futures=True)
    files.write_csv(layout.truth / "flows.csv", ("origin", "destination", "date", "value"), flows)
    return tally.rows, tally.dirt


def _flows(world: World, movement: Movement) -> Iterator[tuple[str, str, str, int]]:
    codes = world.country.zone_codes
    pairs, counts = truth.moves(world.persons, movement, len(codes))
    for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
        origin, destination = divmod(pair, len(codes))
        yield codes[origin], codes[destination], movement.day.date.isoformat(), count


@dataclass(frozen=True)
class _OperatorDay:
    label: str
    operator_id: str
    rows: int
    dirt: dict[str, int]


def _write_operator_day(world: World, layout: Layout, operator: Operator, movement: Movement) -> _OperatorDay:
    day = movement.day.date
    rows, dirt = files.write_events(layout.events(operator.id, day), _feeds(world, operator, movement))
    counts = dict(zip(KINDS, dirt.tolist(), strict=True))
    return _OperatorDay(f"events of {operator.id}, {day}", operator.id, rows, counts)


def _feeds(world: World, operator: Operator, movement: Movement) -> Iterator[Feed]:
    """Turn the events of an operator's day into rows of its warehouse."""
    rng = stream(world.settings.seed, Purpose.DIRT, operator.index, movement.day.date.toordinal())
    for events in draw_events(operator, world.persons, movement, world.settings):
        yield make_dirty(
            rng,
            operator.subscriptions.subscriber_id[events.subscription],
            movement.day.start_ms + events.elapsed_ms,
            operator.cells.cell_id[events.cell],
            operator.cells.unknown_id,
        )


class _Tally:
    """Adds up what the threads have written, by day and operator, and tells how far they are."""

    def __init__(self, steps: int, say: Progress) -> None:
        self.rows: Counter[str] = Counter()
        self.dirt: Counter[str] = Counter()
        self._steps, self._done, self._say = steps, 0, say

    def add(self, written: list[Future[_OperatorDay]]) -> None:
        for day in (future.result() for future in written):
            self.rows[day.operator_id] += day.rows
            self.dirt.update(day.dirt)
            self._done += 1
            share = DONE_WITH_PERSONS + (1 - DONE_WITH_PERSONS) * self._done / self._steps
            self._say(day.label, share)
