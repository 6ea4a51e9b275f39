"""The kernels never leave their arrays, are kept between processes, and sort whatever comes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.presence.ordering import put_in_order
from node.statistics.compiled.cells import count_some, keyed_hash
from tests.unit.node.worlds import WORLDS

ROOT = Path(__file__).parents[4]
SMALL = (
    "tests/unit/node/fast/test_equality.py::test_equals_the_definitions_in_plain_python",
    "tests/unit/node/fast/test_equality.py::test_a_day_without_rows_is_two_empty_tables",
)


@pytest.mark.full
@pytest.mark.parametrize("switch", ["NUMBA_BOUNDSCHECK", "NUMBA_DISABLE_JIT"])
def test_no_kernel_reads_or_writes_outside_its_arrays(switch: str, tmp_path: Path) -> None:
    # Kept machine code is not compiled again with checks, so that this one has a cache of its own.
    environment = {**os.environ, switch: "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    # Hashes of 64 bits wrap around on purpose; only the interpreter warns of it.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore::RuntimeWarning"]
    done = subprocess.run([*command, *SMALL], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "2 passed" in done.stdout


def test_bounds_are_really_checked_there(tmp_path: Path) -> None:
    text = (
        "import numpy as np; from node.presence.ordering import put_in_order; "
        "put_in_order(np.arange(100)[::-1].copy(), np.empty(3, np.int64))"
    )
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert "Error" in done.stderr


def test_machine_code_is_kept_for_the_next_process(tmp_path: Path) -> None:
    text = (
        "import numpy as np; from node.presence.ordering import put_in_order; "
        "run = np.arange(100)[::-1].copy(); put_in_order(run, run.copy()); "
        "print(sum(put_in_order.stats.cache_hits.values()), run[0])"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    said = [
        subprocess.run(
            [sys.executable, "-c", text],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert said == ["0 0\n", "1 0\n"]


def test_an_installation_that_cannot_be_written_compiles_for_itself(tmp_path: Path) -> None:
    text = (
        "import numba.core.caching as caching; caching.CacheImpl._locator_classes = []; "
        "import numpy as np; from node.presence.ordering import put_in_order; "
        "run = np.arange(100)[::-1].copy(); put_in_order(run, run.copy()); print(run[0])"
    )
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


@given(values=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 5), max_size=200))
@WORLDS
def test_any_run_is_put_in_order(values: list[int]) -> None:
    run = np.array(values, dtype=np.int64)
    put_in_order(run, np.empty_like(run))
    assert run.tolist() == sorted(values)


@given(
    places=st.lists(st.integers(0, 12) | st.integers(0, 2**31 - 1), max_size=60),
    limit=st.integers(1, 20),
    subscriber=st.integers(0, 2**63 - 1),
    key=st.integers(0, 2**31 - 1),
)
@WORLDS
def test_the_cells_with_the_smallest_hashes_are_counted_once(
    places: list[int], limit: int, subscriber: int, key: int
) -> None:
    """Both ways of choosing, of a few and by sorting, are what Python's sorting says."""
    spare = np.empty(len(places), np.int64)
    names = {place: number for number, place in enumerate(sorted(set(places)))}
    counts = np.zeros(max(len(names), 1), np.int64)
    run = np.array([names[place] for place in places], np.int64)
    count_some(run, subscriber, limit, key, spare, counts)
    order = sorted(names.values(), key=lambda place: (keyed_hash(subscriber, place, key), place))
    assert np.flatnonzero(counts).tolist() == sorted(order[:limit])
    assert counts.max() <= 1


@pytest.mark.parametrize("shape", ["descending", "organ pipe", "saw", "equal"])
def test_no_order_is_slow(shape: str) -> None:
    count = 2_000_000
    up = np.arange(count)
    run = {
        "descending": up[::-1].copy(),
        "organ pipe": np.minimum(up, count - up),
        "saw": up % 1000,
        "equal": np.zeros(count, np.int64),
    }[shape]
    wanted = np.sort(run)
    put_in_order(run, np.empty_like(run))
    assert (run == wanted).all()
