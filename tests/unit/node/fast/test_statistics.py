"""The passes of statistics give what expressions and plain Python give, or leave it to the expressions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend

from node.enrolment import load
from node.presence.output import GROUP_ROWS
from node.statistics import registry
from node.statistics.asking import Asked
from node.statistics.compiled import passing, streaming
from node.statistics.registry import STATISTICS, Entry, Files, Inputs, algorithms, exact_vector
from node.worker import release
from privacy.errors import PrivacyProblem, UsageProblem
from privacy.statistics import STATISTICS as DECLARED
from privacy.terms import Terms
from tests.effort import by_turns
from tests.support_engines import Load
from tests.support_node import LONG_DAY, SHORT_DAY, Network, order_of
from tests.unit.node.fast.days import US
from tests.unit.node.statistics.cases import (
    PARAMETERS,
    ZONES,
    World,
    built,
    examples,
    inputs,
    reference,
    terms_for,
    vectors,
    worlds,
    written,
)
from tests.unit.node.statistics.crowds import PARAMETERS as USUAL
from tests.unit.node.statistics.crowds import crowd
from tests.unit.node.two_days import ingest, laid_out, releasing
from tests.unit.node.worlds import ORDINARY_DAY

ROOT = Path(__file__).parents[4]
COMPILED = sorted(name for name, entry in STATISTICS.items() if entry.compiled)
WITH_VISITS = sorted(name for name in COMPILED if STATISTICS[name].visits)
DAYS = (SHORT_DAY, ORDINARY_DAY, LONG_DAY)
#: Each limit and each day once; the other pairs are `make test-full`'s.
CROWDS = [
    pytest.param(
        limit, day, id=f"{limit}-{day}", marks=[] if DAYS.index(day) == 3 - limit else [pytest.mark.full]
    )
    for limit in (1, 2, 3)
    for day in DAYS
]
Tables = tuple[pa.Table, pa.Table]


@pytest.fixture(autouse=True, scope="module")
def _also_of_small_days() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passing, "FEWEST_ROWS", 0)
        yield


Found = dict[str, list[list[int]]]
_NUMBERS = count()


@pytest.fixture
def duckdb(db: Backend) -> Load:
    """The default engine."""

    def load(name: str, table: pa.Table) -> ibis.Table:
        return db.create_table(name, table, temp=True, overwrite=True)

    return load


@contextmanager
def batches_of(rows: int) -> Iterator[None]:
    """Read so few rows at a time that batches cut subscribers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "BATCH_ROWS", rows)
        yield


@contextmanager
def expressions(*, allowed: bool) -> Iterator[list[int]]:
    """Note every time that the expressions count, or do not let them."""
    asked: list[int] = []
    by_expressions = Entry._by_expressions

    def noted(self: Entry, what: Asked[Any], additive: bool) -> Sequence[registry.Vector]:
        assert allowed, "the pass left it to the expressions"
        asked.append(1)
        return by_expressions(self, what, additive)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Entry, "_by_expressions", noted)
        yield asked


def stored(directory: Path, tables: Tables, *, rows: int = GROUP_ROWS, plain: bool = False) -> Files:
    """Write presence and visits as the compiled build does, or as Arrow would."""
    kind: dict[str, Any] = {} if plain else {"use_dictionary": False, "compression": "lz4"}
    paths = []
    for name, table in zip(("presence", "visits"), tables, strict=True):
        paths.append(directory / f"{name} {next(_NUMBERS)} k=2 [a]*%41.parquet")
        encoding = None if plain else dict.fromkeys(table.column_names, "DELTA_BINARY_PACKED")
        pq.write_table(table, paths[-1], row_group_size=rows, column_encoding=encoding, **kind)
    return Files(paths[:1], paths[1:])


def unloaded(_name: str, table: pa.Table) -> Any:
    """Load a table into no engine: only a pass can count it."""
    return table


def of_files(world: World, files: Files, load: Load = unloaded, tables: Tables | None = None) -> Inputs:
    """Return what a statistic of the first day reads from files."""
    return replace(inputs(load, world, None if tables is None else [tables]), files=files)


def listed(found: dict[str, Any]) -> Found:
    return {level: table.tolist() for level, table in found.items()}


def by_pass(world: World, files: Files, statistic: str, parameters: dict[str, Any]) -> Found:
    with expressions(allowed=False):
        terms = terms_for(statistic, parameters, world.dates)
        return listed(vectors(of_files(world, files), terms))


def both_ways(load: Load, world: World, tables: Tables, files: Files, statistic: str) -> tuple[Found, int]:
    """Return what comes of files, and how often the expressions counted; it is what they count of the tables."""
    given_, terms = of_files(world, files, load, tables), terms_for(statistic, USUAL[statistic], world.dates)
    expected = listed(vectors(replace(given_, files=None), terms))
    with expressions(allowed=True) as asked:
        found = listed(vectors(given_, terms))
    assert found == expected
    return found, len(asked)


# --- the same counts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("statistic", COMPILED)
@examples(60)
@given(
    world=worlds(most=24).map(lambda world: world.first(1)),
    rows=st.sampled_from((1, 2, 3, 7, 1000)),
    data=st.data(),
)
def test_a_pass_gives_what_plain_python_gives_at_every_level(
    tmp_path_factory: pytest.TempPathFactory, statistic: str, world: World, rows: int, data: st.DataObject
) -> None:
    parameters = data.draw(PARAMETERS[statistic])
    groups = data.draw(st.sampled_from((1, 4, 1000)))
    files = stored(tmp_path_factory.getbasetemp(), written(world), rows=groups)
    with batches_of(rows):
        assert by_pass(world, files, statistic, parameters) == reference(world, statistic, parameters)


@pytest.mark.parametrize(("limit", "day"), CROWDS)
def test_a_crowd_is_counted_as_by_the_expressions_and_by_plain_python(
    duckdb: Load, tmp_path: Path, day: date, limit: int
) -> None:
    world = crowd(day, 1, 60, seed=day.toordinal() + limit)
    tables = written(world)
    files = stored(tmp_path, tables, rows=100, plain=limit == 2)
    for statistic in COMPILED:
        parameters = USUAL[statistic] | ({"limit": limit} if "limit" in USUAL[statistic] else {})
        terms = terms_for(statistic, parameters, world.dates)
        with batches_of(17):
            found = by_pass(world, files, statistic, parameters)
        assert found == listed(vectors(inputs(duckdb, world, [tables]), terms)), statistic
        assert found == reference(world, statistic, parameters), statistic
        assert sum(map(any, found["zone"])) > 1, statistic


@pytest.mark.parametrize(
    "day", [DAYS[2], *(pytest.param(day, marks=pytest.mark.full) for day in DAYS[:2])], ids=str
)
def test_a_large_crowd_is_counted_as_by_the_expressions(duckdb: Load, tmp_path: Path, day: date) -> None:
    world = crowd(day, 1, 20_000, seed=9)
    tables = built(duckdb, world)
    files = stored(tmp_path, tables, rows=5000)
    for statistic in COMPILED:
        with batches_of(4096):
            assert both_ways(duckdb, world, tables, files, statistic)[1] == 0


@pytest.mark.parametrize("statistic", COMPILED)
def test_what_the_engine_writes_is_read_too(duckdb: Load, tmp_path: Path, statistic: str) -> None:
    world = crowd(LONG_DAY, 1, 60, seed=3)
    files = Files([tmp_path / "presence.parquet"], [tmp_path / "visits.parquet"])
    loaded = inputs(duckdb, world)
    loaded.presence[0].to_parquet(files.presence[0])
    loaded.visits[0].to_parquet(files.visits[0])
    parameters = USUAL[statistic]
    assert by_pass(world, files, statistic, parameters) == reference(world, statistic, parameters)


@pytest.mark.parametrize("statistic", COMPILED)
@pytest.mark.parametrize("rows", [1, 2, 1000])
def test_nobody_and_a_single_subscriber_are_counted(tmp_path: Path, statistic: str, rows: int) -> None:
    whole = crowd(SHORT_DAY, 1, 3, seed=8)
    subscribers = sorted({event.subscriber for event in whole.events[0]})
    for gone in (subscribers, subscribers[1:], subscribers[:1]):
        world = whole
        for subscriber in gone:
            world = world.without(subscriber)
        files, parameters = stored(tmp_path, written(world)), USUAL[statistic]
        with batches_of(rows):
            assert by_pass(world, files, statistic, parameters) == reference(world, statistic, parameters)


@pytest.mark.parametrize("rows", [1, 5, 1000])
@pytest.mark.parametrize("statistic", WITH_VISITS)
def test_presence_without_visits_and_visits_without_presence_are_joined_as_by_the_expressions(
    duckdb: Load, tmp_path: Path, statistic: str, rows: int
) -> None:
    """No day has that; but what the expressions make of it is what is meant."""
    world = crowd(ORDINARY_DAY, 1, 40, seed=5)
    presence, visits = written(world)
    subscribers = pc.unique(presence["subscriber"])
    odd = pa.array([2 * n % 3 > 0 for n in range(len(subscribers))])
    some, others = subscribers.filter(odd), subscribers.filter(pc.invert(odd))
    half = presence.filter(pc.is_in(presence["subscriber"], some))
    for tables in (
        (half, visits),
        (half, visits.filter(pc.is_in(visits["subscriber"], others))),
        (presence, visits.filter(pc.is_in(visits["subscriber"], others))),
        (presence, visits.slice(0, 0)),
        (presence.slice(0, 0), visits),
    ):
        with batches_of(rows):
            assert both_ways(duckdb, world, tables, stored(tmp_path, tables), statistic)[1] == 0


def test_a_subscriber_may_have_more_rows_than_a_batch_and_everybody_else_few(tmp_path: Path) -> None:
    """Visits to and fro, with the rows of one subscriber in many batches."""
    visits = 5000
    who = np.sort(np.concatenate([np.full(visits, 2**62), np.arange(50) * 3 + 1, [2**63 - 1]]))
    number = np.where(who == 2**62, np.arange(who.size) - 50, 0)
    start, step = 1_792_447_200 * US, 86_400 * US // visits
    table = pa.table(
        {
            "subscriber": who,
            "origin": np.zeros(who.size, np.int64),
            "seq": number,
            "zone": number % 2,
            "t_in": start + number * step,
            "t_out": start + number * step + step,
            "n": np.ones(who.size, np.int64),
        }
    )
    world = crowd(ORDINARY_DAY, 1, 3, seed=2)
    files = stored(tmp_path, (written(world)[0], table), rows=1000)
    with batches_of(64):
        found = by_pass(world, files, "flows", {"min_stay_minutes": 0, "limit": 1})
    assert sum(map(sum, found["zone"])) == 1
    with batches_of(64):
        found = by_pass(world, files, "flows", {"min_stay_minutes": 0, "limit": 2})
    assert found["zone"][0][1] == found["zone"][1][0] == 1


# --- what is left to the expressions, and what is refused -------------------------------------------------


def _swapped(table: pa.Table, one: int, other: int) -> pa.Table:
    places = np.arange(table.num_rows)
    places[[one, other]] = places[[other, one]]
    return table.take(places)


def _with(table: pa.Table, column: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(column), column, values)


def _cut_twice(table: pa.Table) -> int:
    """Return a row that is followed by one of the same subscriber."""
    subscribers = table["subscriber"].to_numpy()
    return int(np.flatnonzero(subscribers[1:] == subscribers[:-1])[3])


@pytest.mark.parametrize(
    ("statistic", "order", "rows"),
    by_turns(3, COMPILED, ["ends swapped", "shuffled", "within a subscriber"], [2, 1000]),
)
def test_files_in_another_order_are_left_to_the_expressions(
    duckdb: Load, tmp_path: Path, statistic: str, order: str, rows: int
) -> None:
    world = crowd(ORDINARY_DAY, 1, 60, seed=6)

    def disordered(table: pa.Table) -> pa.Table:
        if order == "ends swapped":
            return _swapped(table, 0, table.num_rows - 1)
        if order == "shuffled":
            return table.take(np.random.default_rng(3).permutation(table.num_rows))
        return _swapped(table, _cut_twice(table), _cut_twice(table) + 1)

    presence, visits = written(world)
    for tables in ((disordered(presence), visits), (presence, disordered(visits))):
        read = statistic != "flows" if tables[1] is visits else statistic in WITH_VISITS
        with batches_of(rows):
            assert both_ways(duckdb, world, tables, stored(tmp_path, tables), statistic)[1] == read


@pytest.mark.parametrize("statistic", COMPILED)
def test_rows_that_are_there_twice_are_left_to_the_expressions(
    duckdb: Load, tmp_path: Path, statistic: str
) -> None:
    world = crowd(ORDINARY_DAY, 1, 60, seed=7)
    presence, visits = (
        table.take(np.sort([*range(table.num_rows), 0, 7, table.num_rows - 1])) for table in written(world)
    )
    tables = (presence, visits)
    assert both_ways(duckdb, world, tables, stored(tmp_path, tables), statistic)[1] == 1


@pytest.mark.parametrize("statistic", sorted(WITH_VISITS))
@pytest.mark.parametrize("ended", [-1, -(2**40)])
def test_visits_that_end_before_they_begin_are_left_to_the_expressions(
    duckdb: Load, tmp_path: Path, statistic: str, ended: int
) -> None:
    world = crowd(ORDINARY_DAY, 1, 60, seed=7)
    presence, visits = written(world)
    begun = visits["t_in"].to_numpy()
    tables = (presence, _with(visits, "t_out", pa.array(begun + ended)))
    assert both_ways(duckdb, world, tables, stored(tmp_path, tables), statistic)[1] == 1


@pytest.mark.parametrize(
    ("statistic", "defect"),
    by_turns(3, COMPILED, ["null", "narrow", "missing", "negative", "no file", "broken"]),
)
def test_files_that_do_not_fit_are_left_to_the_expressions(
    duckdb: Load, tmp_path: Path, statistic: str, defect: str
) -> None:
    world = crowd(ORDINARY_DAY, 1, 60, seed=7)
    tables = written(world)

    def spoilt(table: pa.Table) -> pa.Table:
        origin = table["origin"].to_numpy()
        if defect == "null":
            return _with(table, "origin", pa.array(origin, mask=np.arange(origin.size) == 40))
        if defect == "narrow":
            return _with(table, "origin", pa.array(origin.astype(np.int32)))
        if defect == "negative":
            first = table["subscriber"].to_numpy().copy()
            first[0] = -1
            return _with(table, "subscriber", pa.array(first))
        return table.drop_columns(["zone"]) if defect == "missing" else table

    files = stored(tmp_path, (spoilt(tables[0]), spoilt(tables[1])), plain=True)
    for path in (*files.presence, *files.visits):
        if defect == "no file":
            path.unlink()
        if defect == "broken":
            path.write_bytes(path.read_bytes()[:-20])
    assert both_ways(duckdb, world, tables, files, statistic)[1] == 1


def test_somebody_with_too_many_rows_is_left_to_the_expressions(
    duckdb: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = crowd(ORDINARY_DAY, 1, 60, seed=7)
    tables = written(world)
    monkeypatch.setattr(streaming, "MOST_ROWS", 1)
    with batches_of(1):
        assert both_ways(duckdb, world, tables, stored(tmp_path, tables), "flows")[1] == 1


def test_presence_of_more_hours_than_a_day_is_left_to_the_expressions(duckdb: Load, tmp_path: Path) -> None:
    world = crowd(ORDINARY_DAY, 1, 60, seed=7)
    presence, visits = written(world)
    tables = (_with(presence, "hours_mask", pa.array(np.full(presence.num_rows, 2**25 - 1))), visits)
    assert both_ways(duckdb, world, tables, stored(tmp_path, tables), "gyration")[1] == 1
    for statistic in ("presence-by-hour", "weighted-presence"):
        with pytest.raises(PrivacyProblem, match="two zones at one hour"):
            by_pass(world, stored(tmp_path, tables), statistic, USUAL[statistic])


@pytest.mark.parametrize("events", [-1, 2**41])
def test_impossible_numbers_of_events_are_left_to_the_expressions(
    duckdb: Load, tmp_path: Path, events: int
) -> None:
    world = crowd(ORDINARY_DAY, 1, 60, seed=7)
    presence, visits = written(world)
    odd = np.where(presence["origin"].to_numpy() == 0, presence["n"].to_numpy(), -5).copy()
    files = stored(tmp_path, (_with(presence, "n", pa.array(odd)), visits))
    assert by_pass(world, files, "activity", USUAL["activity"])
    odd[np.flatnonzero(odd > 0)[-1]] = events
    tables = (_with(presence, "n", pa.array(odd)), visits)
    assert both_ways(duckdb, world, tables, stored(tmp_path, tables), "activity")[1] == 1


@pytest.mark.parametrize(
    ("statistic", "zone", "rows"), by_turns(2, COMPILED, [-1, ZONES, -(2**63)], [1, 1000])
)
def test_an_own_row_in_a_zone_that_the_zoning_does_not_have_ends_the_statistic(
    tmp_path: Path, statistic: str, zone: int, rows: int
) -> None:
    """Of somebody before all others, so that every file stays in order."""
    world = crowd(ORDINARY_DAY, 1, 30, seed=4)
    tables = []
    for table in written(world):
        stranger = {name: [0] for name in table.column_names} | {"zone": [zone]}
        tables.append(pa.concat_tables([pa.table(stranger, schema=table.schema), table]))
    with batches_of(rows), pytest.raises(PrivacyProblem, match="the data are in a zone"):
        by_pass(world, stored(tmp_path, (tables[0], tables[1])), statistic, USUAL[statistic])


@pytest.mark.parametrize("statistic", COMPILED)
def test_a_roamer_in_a_zone_that_the_zoning_does_not_have_is_not_looked_at(
    tmp_path: Path, statistic: str
) -> None:
    world = crowd(ORDINARY_DAY, 1, 30, seed=4)
    tables = []
    for table in written(world):
        stranger = {name: [0] for name in table.column_names} | {"zone": [2**40], "origin": [262]}
        tables.append(pa.concat_tables([pa.table(stranger, schema=table.schema), table]))
    files = stored(tmp_path, (tables[0], tables[1]))
    assert by_pass(world, files, statistic, USUAL[statistic]) == reference(world, statistic, USUAL[statistic])


def test_what_the_order_lacks_is_told_as_by_the_expressions(tmp_path: Path) -> None:
    world = crowd(ORDINARY_DAY, 1, 10, seed=4)
    files = stored(tmp_path, written(world))
    for statistic, lack in (
        ("weighted-presence", {"weights": None}),
        ("travelled-distances", {"positions": None}),
        ("gyration", {"positions": None}),
    ):
        given_ = replace(of_files(world, files), **lack)  # type: ignore[arg-type]
        with expressions(allowed=False), pytest.raises(UsageProblem):
            vectors(given_, terms_for(statistic, USUAL[statistic], world.dates))


def test_the_files_of_other_days_are_refused(tmp_path: Path) -> None:
    world = crowd(ORDINARY_DAY, 1, 10, seed=4)
    files = stored(tmp_path, written(world))
    terms = terms_for("flows", USUAL["flows"], world.dates)
    for wrong in (
        Files([], files.visits),
        Files(files.presence, []),
        Files([*files.presence] * 2, files.visits),
        Files(files.presence, [*files.visits] * 2),
    ):
        with pytest.raises(PrivacyProblem, match="did not get the files"):
            vectors(of_files(world, wrong), terms)


def test_the_worker_names_the_files_unless_its_configuration_says_otherwise(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = laid_out(network, tmp_path / "node")
    ingest(home, LONG_DAY)
    job = releasing(home, order_of(load(home), "presence", (LONG_DAY, LONG_DAY)).terms)
    named: list[Files | None] = []

    def noted(terms: Terms, given_: Inputs) -> registry.Vector:
        named.append(given_.files)
        return exact_vector(terms, given_)

    monkeypatch.setattr("node.worker.exact_vector", noted)
    release(job)
    # The section of the engine is the last one.
    home.config.write_text(home.config.read_text() + 'build = "expressions"\n')
    release(job)
    assert named == [Files([home.presence / f"{LONG_DAY}.parquet"], []), None]


# --- the code ---------------------------------------------------------------------------------------------


def test_compiled_code_is_loaded_only_by_who_counts_with_it() -> None:
    text = "import sys, node.statistics.registry as r; r.algorithms(); print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", ["streaming.py", "cells.py", "flows.py"])
def test_a_change_of_a_pass_changes_the_digests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    before = algorithms()
    for path in registry._COMPILED.glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(registry, "_COMPILED", tmp_path)
    assert algorithms() == before
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"\n")
    after = algorithms()
    assert all(after[statistic] != before[statistic] for statistic in before)


@pytest.mark.full
@pytest.mark.parametrize("switch", ["NUMBA_BOUNDSCHECK", "NUMBA_DISABLE_JIT"])
def test_no_pass_reads_or_writes_outside_its_arrays(switch: str, tmp_path: Path) -> None:
    # Kept machine code is not compiled again with checks, so that this one has a cache of its own.
    environment = {**os.environ, switch: "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    test = "test_a_crowd_is_counted_as_by_the_expressions_and_by_plain_python"
    small = f"tests/unit/node/fast/test_statistics.py::{test}[1-{LONG_DAY}]"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", small]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "1 passed" in done.stdout


def test_every_pass_is_there() -> None:
    modules = {path.stem for path in registry._COMPILED.glob("*.py")}
    assert {STATISTICS[name].compiled for name in COMPILED} <= modules
    daily = {name for name in STATISTICS if DECLARED[name].reads == "day"}
    assert set(COMPILED) == daily - {"visitors", "quality-indicators"}


def test_of_a_small_day_the_expressions_count(
    duckdb: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = crowd(ORDINARY_DAY, 1, 10, seed=4)
    given_ = of_files(world, stored(tmp_path, written(world)), duckdb)
    monkeypatch.setattr(passing, "FEWEST_ROWS", 10**6)
    monkeypatch.setattr(passing, "import_module", None)
    assert vectors(given_, terms_for("flows", USUAL["flows"], world.dates))
