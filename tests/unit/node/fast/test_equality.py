"""The fast path gives what the definitions give, row by row and type by type."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from ibis.backends.duckdb import Backend

from node.presence import build as reference
from node.presence.hold import Hold
from node.sources.events import clean
from node.sources.reasons import Reason
from node.sources.rejected import rejected_subscribers
from node.sources.sequence import SequenceRules, sequenced
from node.tables import PRESENCE, VISITS
from tests.effort import tried
from tests.unit.node.fast.days import (
    US,
    Scene,
    build,
    clean_by_hand,
    expected,
    rejected_by_hand,
    rows_of,
    scenes,
)
from tests.unit.node.worlds import WORLDS


@given(scene=scenes)
@settings(WORLDS, max_examples=tried(200))
def test_equals_the_definitions_in_plain_python(
    scene: Scene, tmp_path_factory: pytest.TempPathFactory
) -> None:
    built = build(scene, scratch_of(tmp_path_factory))
    presence, visits, counts = expected(scene)
    assert rows_of(built.presence) == presence
    assert rows_of(built.visits) == visits
    assert {reason: n for reason, n in built.counts.items() if n} == {r: n for r, n in counts.items() if n}
    assert built.counts.keys() == set(Reason)
    assert built.tally.rejected.tolist() == rejected_by_hand(scene.rows, scene.rules)
    events, _counts = clean_by_hand(scene.rows, scene.rules)
    minutes = Counter((event.t_us - scene.local.start_us) // (60 * US) for event in events)
    assert {minute: n for minute, n in enumerate(built.tally.minutes.tolist()) if n} == minutes
    hours = {(event.cell, (event.t_us - scene.local.start_us) // (3600 * US)) for event in events}
    masks = built.tally.cell_hours.tolist()
    assert {
        (cell, hour) for cell, mask in enumerate(masks) for hour in range(25) if mask >> hour & 1
    } == hours


@given(scene=scenes)
@settings(WORLDS, max_examples=tried(15))
def test_equals_the_reference_on_duckdb(
    scene: Scene, db: Backend, tmp_path_factory: pytest.TempPathFactory
) -> None:
    built = build(scene, scratch_of(tmp_path_factory))
    rows = db.create_table("judged", scene.table, temp=True, overwrite=True)
    judged = sequenced(rows, scene.rules)
    assert built.tally.rejected.tolist() == rejected_subscribers(judged).tolist()
    events = clean(judged)
    presence = reference.presence(events, scene.local, scene.hold, scene.key).to_pyarrow()
    visits = reference.visits(events, scene.local, scene.hold).to_pyarrow()
    assert same(built.presence, presence)
    assert same(built.visits, visits)


def same(ours: pa.Table, theirs: pa.Table) -> bool:
    """Whether names, types, rows and order are the same."""
    return bool(ours.schema.equals(theirs.schema) and ours.equals(theirs.combine_chunks()))


def test_a_day_without_rows_is_two_empty_tables(tmp_path: Path) -> None:
    built = build(Scene(date(2026, 10, 20), (), SequenceRules(), Hold(60), 1), tmp_path)
    assert built.presence.column_names == list(PRESENCE)
    assert built.visits.column_names == list(VISITS)
    assert built.presence.num_rows == built.visits.num_rows == 0
    assert set(built.counts.values()) == {0}


def scratch_of(factory: pytest.TempPathFactory) -> Path:
    """Return a directory that stays for the whole session."""
    return factory.getbasetemp()
