"""The whole run: simulate both dates, measure residents in municipalities and presence in districts, score both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from deploy.demo.agreement import zoning_of
from deploy.demo.country import Country, load_country
from deploy.demo.simulation import Settings, Simulation, write_world
from tests.statistical.chain import networks, places, score_presence, score_residents
from tests.statistical.chain.networks import PRESENCE, RESIDENTS, RESIDENTS_SIGMA, without
from tests.statistical.chain.people import Times, draw_times
from tests.two_rounds import ANCHORS, WEIGHTED

#: A Saturday to Monday, and the Tuesday to Thursday after it: nights alone tell homes. The Thursday is that of
#: presence by hour.
START, NIGHTS = date(2026, 10, 10), 3
Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What was asked for: part of the country's persons, root of all randomness, draws of idealised counts."""

    scale: float
    seed: int
    draws: int


@dataclass(frozen=True, eq=False)
class Simulated:
    """Both dates, written."""

    country: Country
    times: Times
    settings: Settings
    then: Simulation
    later: Simulation


@dataclass(frozen=True, eq=False)
class Outcome:
    """Scores of both parts."""

    times: Times
    measured: score_residents.Counts
    published: score_residents.Published
    residents: list[score_residents.Row]
    presence: list[score_presence.Score]
    events: int


def run(options: Options, root: Path, say: Say) -> Outcome:
    """Simulate, measure and score, in a directory."""
    say("simulating both dates")
    simulated = simulate(options, root)
    say("residents of municipalities: nodes build presence of both dates")
    measured, published = _residents(options, simulated, root)
    say("presence by hour in districts")
    presence = _presence(options, simulated, root)
    say("estimates from idealised counts")
    rows = score_residents.evaluate(
        simulated.times, measured, RESIDENTS_SIGMA * options.scale, options.draws, options.seed
    )
    events = sum(sum(one.counts.events.values()) for one in (simulated.then, simulated.later))
    return Outcome(simulated.times, measured, published, rows, presence, events)


def simulate(options: Options, root: Path) -> Simulated:
    """Write the operators' days of both dates into one directory each, and the truth of each date beside it."""
    country = load_country()
    settings = Settings(scale=options.scale, seed=options.seed, days=2 * NIGHTS, start=START)
    first = networks.settings_of(settings, START, NIGHTS)
    second = networks.settings_of(settings, START + timedelta(days=NIGHTS), NIGHTS)
    times = draw_times(country, first, second)
    then = write_world(times.worlds[0], root / "then")
    later = write_world(times.worlds[1], root / "later", operators=then)
    return Simulated(country, times, settings, then, later)


def _residents(
    options: Options, simulated: Simulated, root: Path
) -> tuple[score_residents.Counts, score_residents.Published]:
    then, later = simulated.then, simulated.later
    whole = Simulation.of(then, simulated.settings, then.counts)
    amend = partial(networks.residents_charter, options.scale)
    dates = [(one.days[0], one.days[-1]) for one in (then, later)]
    truth = score_residents.country_of(simulated.times).now
    known = networks.knowledge(dates[0], dates[1][1], float(truth.sum()))
    zoning = zoning_of(simulated.country)
    with networks.running(whole, zoning, amend, root / "residents", known=known) as net:
        tables = [networks.release(net, RESIDENTS, days) for days in dates]
        before, after = (networks.held(net, RESIDENTS, days) for days in dates)
        counts = score_residents.of_hub(networks.agreement(net), before, after)
    return counts, score_residents.of_table(tables[1].slice(0, len(zoning.zones)), truth)


def _presence(options: Options, simulated: Simulated, root: Path) -> list[score_presence.Score]:
    later, zoning = simulated.later, places.districts_of(simulated.country)
    day = later.presence_day
    data = places.in_districts(
        simulated.country,
        simulated.then,
        later,
        networks.settings_of(later.settings, day, 1),
        root / "districts",
    )
    operators = data.operator_ids
    weighted = {WEIGHTED: operators} | {
        without(missing): tuple(name for name in operators if name != missing) for missing in operators
    }
    withheld = {operator: [without(operator)] for operator in operators}
    amend = partial(networks.presence_charter, options.scale)
    with networks.running(data, zoning, amend, root / "presence", withheld=withheld) as net:
        tables = {name: networks.release(net, name, (day, day)) for name in (PRESENCE, *weighted)}
        known = score_presence.Day(
            truth=score_presence.truth_of(later.truth / "presence.csv", zoning.codes),
            own=networks.agreement(net),
            presence=networks.held(net, PRESENCE, (day, day)),
            anchors=networks.held(net, ANCHORS, (day, day)),
            weighted={name: networks.held(net, name, (day, day)) for name in weighted},
            tables=tables,
        )
    return [
        *(
            score
            for product, answered in weighted.items()
            for score in score_presence.score_release(known, answered, product)
        ),
        *(score for operator in operators for score in score_presence.score_alone(known, operator)),
        score_presence.score_register(known),
    ]
