"""Section privacy: exact noise at scale, and the ledger."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from privacy.sampler.exact import Distribution
from privacy.sampler.measurement import CHUNK, Drawing, opendp_measurement
from privacy.sampler.table import table_of
from tests.benchmarks.figures import Figure, watch

CELLS = 10_000_000
PEER_CELLS = 200_000
SIGMAS = (1, 10, 1000)
# The high-water mark of this program alone: getrusage would begin with the size of the process that forked.
_PEAK = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
_IDLE = f"import privacy.noise\n{_PEAK}"
_THRESHOLDED = f"""
import numpy as np
from privacy.noise import gaussian, noised_chunks
from privacy.sensitivity import Declaration
one = Declaration(cells_by_period=1, cells_by_day=1)
chunks = (np.zeros(1 << 20, dtype=np.int64) for _ in range(96))
found = [np.flatnonzero(chunk > 60) for chunk in noised_chunks(chunks, one, gaussian(10_000), 5_000_001)]
assert sum(map(len, found)) < 100
{_PEAK}
"""


def run(say: Callable[[str], None]) -> list[Figure]:
    """Measure the section; `say` is told what is being done."""
    figures = []
    for sigma in SIGMAS:
        say(f"drawing {CELLS:,} cells at sigma {sigma}")
        figures += _samplers(Distribution("gaussian", Fraction(sigma)))
    say("thresholding 10^8 cells in a process of its own")
    return [*figures, _memory()]


def _samplers(distribution: Distribution) -> list[Figure]:
    table_of(distribution)
    exact, drawing = np.zeros(CELLS, dtype=np.int64), Drawing(distribution)
    # Both are measured with memory that the process has had before: what fresh memory costs is the system's matter.
    Drawing(distribution).add_all(exact)
    with watch() as ours:
        drawing.add_all(exact)
    measurement = opendp_measurement(distribution)
    zeros = [0] * PEER_CELLS
    with watch() as peer:
        measurement(zeros)
    random = np.random.default_rng(1)
    with watch() as unsafe:
        for start in range(0, CELLS, CHUNK):
            part = exact[start : start + CHUNK]
            part + np.rint(random.normal(0.0, float(distribution.scale), part.size)).astype(np.int64)
    per_cell = [ours.cpu / CELLS, peer.cpu / PEER_CELLS, unsafe.cpu / CELLS]
    told = [f"{seconds * 1e9:,.1f} CPU ns a cell" for seconds in per_cell]
    what = f"table sampler, {CELLS:,} cells, sigma {distribution.scale}"
    return [
        Figure(
            what,
            f"OpenDP's sampler, {PEER_CELLS:,} cells (times faster)",
            per_cell[1] / per_cell[0],
            told[0],
            told[1],
        ),
        Figure(
            what,
            "numpy's normals, rounded: fast and not private (cost)",
            per_cell[0] / per_cell[2],
            told[0],
            told[2],
        ),
    ]


def _memory() -> Figure:
    """Against a process that only imports what is needed."""
    ours, theirs = (
        int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        // 1024
        for code in (_THRESHOLDED, _IDLE)
    )
    return Figure(
        "peak memory of noising and thresholding 100,663,296 cells, in chunks",
        "a process that only imports privacy.noise",
        ours / theirs,
        f"{ours} MB",
        f"{theirs} MB",
    )
