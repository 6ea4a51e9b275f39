"""The table sampler as an OpenDP measurement: OpenDP's privacy map, our draws.

The map is that of OpenDP's own mechanism with the same scale. It holds because the sampler draws from
exactly that distribution (privacy.sampler.table); this is what `honest-but-curious` asks a caller to vouch
for, and the feature is on only while the measurement is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from threading import Lock
from typing import Any

# Module by module: OpenDP's prelude also loads what is made for data frames and model fitting.
import numpy as np
from numpy.typing import NDArray
from opendp.domains import atom_domain, user_domain, vector_domain
from opendp.measurements import make_gaussian, make_laplace, make_user_measurement
from opendp.measures import max_divergence, zero_concentrated_divergence
from opendp.metrics import l1_distance, l2_distance, user_distance
from opendp.mod import GLOBAL_FEATURES, disable_features, enable_features

from privacy.errors import PrivacyProblem, UsageProblem
from privacy.sampler.exact import Distribution
from privacy.sampler.stream import WordStream, fresh_key
from privacy.sampler.table import Table, table_of

#: Cells that are drawn at once; small enough to stay in the processor's cache.
CHUNK = 1 << 16
THREADS = 2
#: Chunks of one release: their streams stay inside the counter of the cipher.
MOST_CHUNKS = 1 << 64
enable_features("contrib")
_VOUCHED = "honest-but-curious"
#: OpenDP's features are those of the whole process, so that only one thread at a time may switch them.
_SWITCHING = Lock()


class Drawing:
    """Noise for one release, under one fresh key.

    Parameters
    ----------
    distribution
        Of every cell.
    """

    def __init__(self, distribution: Distribution) -> None:
        self._table: Table = table_of(distribution)
        self._key = fresh_key()
        self._drawn: set[int] = set()
        self._noting = Lock()

    def add(self, exact: NDArray[np.int64], number: int) -> NDArray[np.int64]:
        """Return a chunk with noise in every cell.

        Parameters
        ----------
        exact
            int64 of shape (cells,).
        number
            Of the chunk in the release; each has random words of its own, so that chunks may be drawn in any
            order and by any thread.

        Raises
        ------
        PrivacyProblem
            If the number is none, or was given before: the same noise twice would tell differences exactly.
        """
        noised = np.empty_like(exact)
        self._add(exact, number, noised)
        return noised

    def _add(self, exact: NDArray[np.int64], number: int, noised: NDArray[np.int64]) -> None:
        self._note(number)
        words, more = WordStream(self._key, 2 * number), WordStream(self._key, 2 * number + 1)
        for start in range(0, exact.size, CHUNK):
            part = slice(start, start + CHUNK)
            np.add(exact[part], self._table.draw(words(exact[part].size), more), out=noised[part])

    def _note(self, number: int) -> None:
        if type(number) is not int or not 0 <= number < MOST_CHUNKS:
            raise PrivacyProblem("the number of a chunk is not a whole number from zero on")
        with self._noting:
            if number in self._drawn:
                raise PrivacyProblem(
                    f"the noise of chunk {number} was drawn before",
                    means="two vectors with the same noise would tell their difference exactly",
                    todo="number the chunks, and take a drawing for one release only",
                )
            self._drawn.add(number)

    def add_all(self, exact: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return a whole vector with noise in every cell, drawn on all threads; once (PrivacyProblem)."""
        if exact.size <= CHUNK:
            return self.add(exact, 0)
        # Each thread writes into its part: fresh memory costs about as much as the noise in it.
        noised, bounds = np.empty_like(exact), np.linspace(0, exact.size, THREADS + 1, dtype=np.int64)
        parts = [slice(low, high) for low, high in pairwise(bounds.tolist())]
        with ThreadPoolExecutor(THREADS) as pool:
            for done in [
                pool.submit(self._add, exact[part], number, noised[part]) for number, part in enumerate(parts)
            ]:
                done.result()
        return noised


@lru_cache(maxsize=16)
def table_measurement(distribution: Distribution) -> Any:
    """Return an OpenDP measurement over int64 arrays that draws from the table.

    Parameters
    ----------
    distribution
        Gaussian: distances are L2 and the loss is in ρ. Laplace: distances are L1 and the loss is ε.
    """
    gaussian = distribution.kind == "gaussian"
    with _vouching():
        return make_user_measurement(
            user_domain("Int64Vector", _is_vector),
            user_distance("L2Distance" if gaussian else "L1Distance"),
            zero_concentrated_divergence() if gaussian else max_divergence(),
            lambda exact: Drawing(distribution).add_all(_required(exact)),
            opendp_measurement(distribution).map,
            TO="ExtrinsicObject",
        )


@lru_cache(maxsize=16)
def opendp_measurement(distribution: Distribution) -> Any:
    """Return OpenDP's own measurement of the same distribution, over vectors of i64."""
    domain, scale = vector_domain(atom_domain(T="i64")), float(distribution.scale)
    if Fraction(scale) > distribution.scale:
        # The map must be that of at most the noise that is drawn.
        scale = float(np.nextafter(scale, 0.0))
    if distribution.kind == "gaussian":
        return make_gaussian(domain, l2_distance(T=float), scale=scale)
    return make_laplace(domain, l1_distance(T="i64"), scale=scale)


def _is_vector(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.int64 and value.ndim == 1


def _required(value: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a member of the domain; OpenDP does not look at it before it calls."""
    if not _is_vector(value):
        raise UsageProblem("what is to be noised is not an int64 vector")
    return value


@contextmanager
def _vouching() -> Iterator[None]:
    with _SWITCHING:
        before = _VOUCHED in GLOBAL_FEATURES
        enable_features(_VOUCHED)
        try:
            yield
        finally:
            # What the application had switched on stays on.
            if not before:
                disable_features(_VOUCHED)
