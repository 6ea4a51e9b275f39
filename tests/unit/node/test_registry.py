"""The registry of statistics: hours and nights of each day, parameters, and digests of the code."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pytest
from ibis.backends.duckdb import Backend
from pydantic import ValidationError

from node.presence.hold import Hold
from node.statistics.registry import STATISTICS, Inputs, algorithms, exact_vector
from privacy.errors import UsageProblem
from privacy.terms import Terms
from quorate.contract.columns import LAYOUTS
from tests.reference.days import Seen, home_counts, presence_counts
from tests.support_node import BRUSSELS, LONG_DAY, SHORT_DAY, agreement, instant, order_of, zoning_of
from tests.unit.node.worlds import HOURS, ORDINARY_DAY, ZONES, World, built


def terms(product: str, day: date, **changes: object) -> Terms:
    return order_of(agreement(), product, (day, day)).terms.model_copy(update=changes)


@pytest.mark.parametrize("day", [SHORT_DAY, ORDINARY_DAY, LONG_DAY])
def test_each_statistic_gets_the_elapsed_hours_and_the_nights_of_its_day(db: Backend, day: date) -> None:
    """Twenty subscribers are in zones 0, 1, 1 in elapsed hours 2, 3, 4; night is from 2 to 4."""
    zone = [2, 2, 0, 1, 1, *[2] * 20]
    visits = (
        Seen(subscriber, instant(day, 3600 * hour), zone[hour] + 1, zone[hour])
        for subscriber in range(1, 21)
        for hour in range(HOURS[day])
    )
    world = World(day, frozenset(visits), Hold(60), 17)
    presence_of_day = db.create_table("presence", built(db, world), temp=True, overwrite=True)
    inputs = Inputs([presence_of_day], zoning_of(ZONES), BRUSSELS, 17)
    presence = exact_vector(terms("presence", day), inputs)
    assert presence.tolist() == presence_counts(world.dominant, ZONES, HOURS[day])
    asked = terms("residents", day, parameters={"night_hours": [2, 3], "min_nights": 1})
    # In March two o'clock is skipped, in October it comes twice.
    night = {SHORT_DAY: [2], ORDINARY_DAY: [2, 3], LONG_DAY: [2, 3, 4]}[day]
    assert exact_vector(asked, inputs).tolist() == home_counts([world.dominant], [night], 1, ZONES, 17)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"night_hours": [], "min_nights": 1},
        {"night_hours": [1], "min_nights": 0},
        {"night_hours": [1], "min_nights": 32},
        {"night_hours": [1], "min_nights": "1"},
        {"night_hours": [1], "min_nights": 1, "more": 1},
        {"night_hours": "1", "min_nights": 1},
    ],
)
def test_parameters_of_residents_that_mean_nothing_are_refused(parameters: dict[str, object]) -> None:
    asked = terms("residents", ORDINARY_DAY, parameters=parameters)
    with pytest.raises(UsageProblem, match="the parameters of residents are wrong") as caught:
        exact_vector(asked, Inputs([], zoning_of(ZONES), BRUSSELS, 1))
    assert isinstance(caught.value.__cause__, ValidationError)


def test_each_statistic_has_a_digest_of_its_code_that_stays_the_same() -> None:
    digests = algorithms()
    assert set(digests) == set(STATISTICS) == set(LAYOUTS)
    assert all(len(digest) == 64 for digest in digests.values())
    assert len(set(digests.values())) == len(digests)
    assert digests == algorithms()


@pytest.mark.parametrize(
    "module",
    [
        "node.engine",
        "node.presence.build",
        "node.sources.events",
        "node.statistics.levels",
        "privacy.levels",
        "privacy.noise",
        "quorate.contract.keyset",
        "quorate.contract.zoning",
    ],
)
def test_a_change_of_any_shared_module_changes_every_digest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str
) -> None:
    before = algorithms()
    changed = tmp_path / "changed.py"
    changed.write_bytes(Path(str(sys.modules[module].__file__)).read_bytes() + b"\n")
    monkeypatch.setattr(sys.modules[module], "__file__", str(changed))
    after = algorithms()
    assert all(after[name] != before[name] for name in before)
