"""What the worker does with a node's directory: presence once per day and rules, files that stay private."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from node.config import Home
from node.enrolment import enrol, load
from node.jobs import Answer, BuildJob, ReleaseJob
from node.worker import build, release
from privacy.errors import DataProblem, DataUnavailable, UsageProblem
from privacy.ledger.entry import Terms
from quorate.contract.payload import decode
from tests.support_node import (
    LONG_DAY,
    NAME,
    NETWORK,
    POLICY_TOML,
    Event,
    Network,
    config_text,
    enrolled,
    instant,
    order_of,
    write_cells,
    write_events,
)
from tests.unit.node.reference import Seen, dominant, home_counts, key_of, masks, presence_counts
from tests.unit.node.worlds import HOURS, ZONE_OF

DAYS = (LONG_DAY - timedelta(days=1), LONG_DAY)
LENGTH = {DAYS[0]: 24, DAYS[1]: 25}
HOLD = 120


def visits(day: date) -> list[Event]:
    """Return the events of 40 subscribers who move about every hour or so."""
    rng = np.random.default_rng(day.toordinal())
    length = LENGTH[day] * 3600 * 1000
    return [
        (int(1000 + number % 40), instant(day, 0) + int(rng.integers(length)) * 1000, int(rng.integers(1, 5)))
        for number in range(600)
    ]


def made(home: Home) -> dict[date, int]:
    """Return when the presence of each day was written, in nanoseconds."""
    return {
        date.fromisoformat(path.stem): path.stat().st_mtime_ns for path in home.presence.glob("*.parquet")
    }


def ingest(home: Home, *days: date) -> list[str | None]:
    """Build days in this process and return the progress that was reported."""
    said: list[Answer] = []
    build(BuildJob(home=home.root, charter=load(home).charter_digest, days=days or DAYS), said.append)
    return [answer.progress for answer in said]


def releasing(home: Home, terms: Terms) -> ReleaseJob:
    return ReleaseJob(home=home.root, charter=load(home).charter_digest, terms=terms)


@pytest.fixture
def home(network: Network, tmp_path: Path) -> Home:
    """An enrolled node with two days of events, the second of 25 hours."""
    home = enrolled(network, tmp_path / "node")
    for day in DAYS:
        write_events(home, day, visits(day))
    return home


@pytest.fixture(scope="module")
def built(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The same with presence built; tests only read it."""
    home = enrolled(network, tmp_path_factory.mktemp("built") / "node")
    for day in DAYS:
        write_events(home, day, visits(day))
    ingest(home)
    return home


def expected(home: Home, day: date) -> dict[tuple[int, int], int]:
    """Return dominant zones of a day of `home` by the reference, with the node's own secret."""
    key = key_of(home.secret.read_bytes(), f"presence|{day}")
    seen = {Seen(who, when, cell, ZONE_OF[cell]) for who, when, cell in visits(day) if who and when and cell}
    return dict(dominant(seen, (instant(day, 0), instant(day, LENGTH[day] * 3600)), HOLD, key))


def test_presence_is_the_references_with_ties_by_the_nodes_own_secret(built: Home) -> None:
    for day in DAYS:
        rows = pq.ParquetFile(built.presence / f"{day}.parquet").read().to_pylist()
        assert {(row["subscriber"], row["zone"]): row["hours_mask"] for row in rows} == masks(
            expected(built, day)
        )


def test_presence_is_the_owners_alone_and_nothing_else_is_left_there(built: Home) -> None:
    assert sorted(path.name for path in built.presence.iterdir()) == [f"{day}.parquet" for day in DAYS]
    assert {stat.S_IMODE(path.stat().st_mode) for path in built.presence.iterdir()} == {0o600}
    for directory in (built.presence, built.quality):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_the_quality_file_says_what_the_day_was_made_of(built: Home) -> None:
    quality = json.loads((built.quality / f"{LONG_DAY}.json").read_text())
    events = built.root / "events" / f"{LONG_DAY}.parquet"
    assert quality["rows"]["total"] == 600
    assert quality["rows"]["accepted"] == len(set(visits(LONG_DAY)))
    assert quality["built_from"]["events"] == hashlib.sha256(events.read_bytes()).hexdigest()
    assert quality["built_from"]["charter"] == load(built).charter_digest


def test_every_day_is_announced_before_it_is_built(home: Home) -> None:
    assert ingest(home) == [str(day) for day in DAYS]


def test_a_day_that_has_not_changed_is_not_built_again(home: Home) -> None:
    ingest(home)
    before, quality = made(home), (home.quality / f"{LONG_DAY}.json").stat().st_mtime_ns
    ingest(home)
    assert made(home) == before
    assert (home.quality / f"{LONG_DAY}.json").stat().st_mtime_ns == quality


def test_changed_events_build_their_own_day_again_and_no_other(home: Home) -> None:
    ingest(home)
    before = made(home)
    write_events(home, LONG_DAY, [(5, instant(LONG_DAY, 3600), 2)])
    ingest(home)
    after = made(home)
    assert after[DAYS[0]] == before[DAYS[0]]
    assert after[LONG_DAY] != before[LONG_DAY]
    rows = pq.ParquetFile(home.presence / f"{LONG_DAY}.parquet").read().to_pylist()
    assert rows == [{"subscriber": 5, "zone": 1, "hours_mask": 0b110}]
    assert stat.S_IMODE((home.presence / f"{LONG_DAY}.parquet").stat().st_mode) == 0o600


def other_cells(home: Home, _network: Network) -> None:
    write_cells(home, [(1, "Z003"), (2, "Z002"), (3, "Z001"), (4, "Z001")])


def other_limit(home: Home, _network: Network) -> None:
    home.config.write_text(config_text(source="max_rejected_permille = 201"))


def other_charter(home: Home, network: Network) -> None:
    rules = network.charter.presence.model_copy(update={"max_hold_minutes": 60})
    charter = network.charter.model_copy(update={"presence": rules})
    home.charter.write_bytes(charter.to_bytes())
    enrol(home, NAME, NETWORK, network.fingerprint)


def lost_presence(home: Home, _network: Network) -> None:
    for path in home.presence.iterdir():
        path.unlink()


def lost_quality(home: Home, _network: Network) -> None:
    for path in home.quality.iterdir():
        path.unlink()


@pytest.mark.parametrize("change", [other_cells, other_limit, other_charter, lost_presence, lost_quality])
def test_other_rules_or_a_lost_file_build_every_day_again(
    network: Network, home: Home, change: Callable[[Home, Network], None]
) -> None:
    ingest(home)
    before = made(home)
    change(home, network)
    ingest(home)
    after = made(home)
    assert sorted(after) == sorted(before)
    assert all(after[day] != before[day] for day in DAYS)


def test_another_address_of_the_hub_builds_nothing_again(home: Home) -> None:
    ingest(home)
    before = made(home)
    home.config.write_text(home.config.read_text().replace("7443", "7444"))
    ingest(home)
    assert made(home) == before


def test_a_day_that_the_gate_refuses_has_counts_but_no_presence(home: Home) -> None:
    ingest(home)
    write_events(home, LONG_DAY, [(5, instant(LONG_DAY, 3600), 2), (6, instant(LONG_DAY, 60), 99)])
    with pytest.raises(DataProblem, match="more than 20 % of the rows of 2026-10-25 are rejected"):
        ingest(home)
    assert list(made(home)) == [DAYS[0]]
    rows = json.loads((home.quality / f"{LONG_DAY}.json").read_text())["rows"]
    assert (rows["total"], rows["accepted"], rows["unknown_cell"]) == (2, 1, 1)


def test_a_missing_day_stops_the_building_after_the_days_before_it(home: Home) -> None:
    (home.root / "events" / f"{LONG_DAY}.parquet").unlink()
    with pytest.raises(DataUnavailable):
        ingest(home)
    assert list(made(home)) == [DAYS[0]]
    assert sorted(path.suffix for path in home.presence.iterdir()) == [".parquet"]


@dataclass(frozen=True)
class Case:
    product: str
    days: tuple[date, ...]


@pytest.mark.parametrize(
    "case", [Case("presence", (LONG_DAY,)), Case("residents", DAYS)], ids=lambda case: case.product
)
def test_a_release_is_the_references_counts_and_noise_of_the_agreed_scale(built: Home, case: Case) -> None:
    own = load(built)
    terms = order_of(own, case.product, (case.days[0], case.days[-1])).terms
    told, data = release(releasing(built, terms))
    days = [expected(built, day) for day in case.days]
    if case.product == "presence":
        exact = presence_counts(days[0], 3, HOURS[LONG_DAY])
    else:
        key = key_of(built.secret.read_bytes(), f"residents|{case.days[0]}|{case.days[-1]}")
        nights = [range(6), range(7)]  # the clock shows hour 2 twice on the long day
        exact = home_counts(days, nights, 2, 3, key)
    noise = decode(data, len(exact)) - np.array(exact)
    # Eight standard deviations: not once in 10¹³ runs by chance.
    assert np.abs(noise).max() < 8 * terms.sigma_milli / 1000
    digests = [
        hashlib.sha256((built.presence / f"{day}.parquet").read_bytes()).hexdigest() for day in case.days
    ]
    assert told.snapshot == hashlib.sha256("".join(digests).encode()).hexdigest()


def test_every_release_draws_fresh_noise_over_the_same_snapshot(built: Home) -> None:
    terms = order_of(load(built), "presence", (LONG_DAY, LONG_DAY)).terms
    first, second = (release(releasing(built, terms)) for _ in range(2))
    assert first[0].snapshot == second[0].snapshot
    assert first[1] != second[1]


def test_a_day_that_was_never_built_is_named_with_what_to_do(home: Home) -> None:
    ingest(home, DAYS[0])
    terms = order_of(load(home), "residents", DAYS).terms
    with pytest.raises(DataUnavailable) as caught:
        release(releasing(home, terms))
    assert caught.value.what == "presence of 2026-10-25 is not built"
    assert caught.value.todo == "run quorate-node ingest"


def test_a_release_leaves_nothing_behind_in_the_directory(built: Home) -> None:
    before = sorted(built.root.rglob("*"))
    terms = order_of(load(built), "residents", DAYS).terms
    release(releasing(built, terms))
    assert sorted(built.root.rglob("*")) == before


def test_the_policy_is_pinned_for_the_worker_too(home: Home) -> None:
    home.policy.write_text(POLICY_TOML + "\n")
    with pytest.raises(UsageProblem, match="not the one that was pinned"):
        ingest(home)
