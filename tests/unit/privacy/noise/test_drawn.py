"""How noise falls, in one piece and in several."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from privacy.errors import PrivacyProblem
from privacy.noise import (
    TABLE_CELLS,
    Sampler,
    gaussian,
    noised,
    noised_chunks,
    sampler_for,
)
from privacy.sampler.exact import Distribution
from privacy.sampler.measurement import CHUNK
from tests.unit.privacy.noise.scales import HOURLY, NOISE, RHO, SIGMA, WIDE

# --- how it falls --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "sigma", "sampler"),
    [
        (1, SIGMA, "opendp"),
        (TABLE_CELLS - 1, SIGMA, "opendp"),
        (TABLE_CELLS, SIGMA, "table"),
        (TABLE_CELLS, 299, "opendp"),
        (TABLE_CELLS, 300, "table"),
        (TABLE_CELLS, 2_000_000, "table"),
        (TABLE_CELLS, 2_000_001, "opendp"),
    ],
)
def test_large_vectors_are_noised_from_the_table_where_it_is_made_for_the_scale(
    cells: int, sigma: int, sampler: Sampler
) -> None:
    assert sampler_for(cells, gaussian(sigma)) == sampler


@pytest.mark.parametrize(("piece", "sampler"), [(TABLE_CELLS - 96, "opendp"), (200_000, "table")])
def test_noise_over_200_000_cells_has_mean_zero_the_declared_variance_and_no_memory(
    piece: int, sampler: Sampler
) -> None:
    cells, sigma = 200_000, SIGMA / 1000
    exact = np.resize(np.array([0, 0, 1, 17, -3, 10**6], np.int64), cells)
    parts = [noised(exact[at : at + piece], HOURLY, NOISE, RHO) for at in range(0, cells, piece)]
    assert {part.sampler for part in parts} == {sampler}
    answer = np.concatenate([part.values for part in parts])
    assert answer.dtype == np.int64
    assert answer.shape == (cells,)
    noise = (answer - exact).astype(np.float64)
    # A discrete Gaussian of this width has the variance σ² but for one part in e^(2π²σ²).
    assert abs(noise.mean()) < 6 * sigma / math.sqrt(cells)
    assert abs(noise.var() - sigma**2) < 6 * sigma**2 * math.sqrt(2 / cells)
    assert abs((noise**3).mean()) < 6 * sigma**3 * math.sqrt(15 / cells)
    assert abs((noise**4).mean() - 3 * sigma**4) < 6 * sigma**4 * math.sqrt(96 / cells)
    for lag in (1, 2, piece):
        if lag < cells:
            assert abs((noise[lag:] * noise[:-lag]).mean()) < 6 * sigma**2 / math.sqrt(cells - lag)
    empty = noise[exact == 0]
    assert abs(empty.var() - sigma**2) < 6 * sigma**2 * math.sqrt(2 / empty.size), "zeros are noised alike"
    none = (noise == 0).mean()
    expected = 1 / (sigma * math.sqrt(2 * math.pi))
    assert abs(none - expected) < 6 * math.sqrt(expected / cells), "as many cells unchanged as chance says"


@pytest.mark.parametrize("times", [1, 700], ids=["opendp", "table"])
def test_every_cell_gets_noise_zeros_included(times: int) -> None:
    exact = np.tile(np.array([0, 0, 0, 5, 1000, 0, -2], np.int64), times)
    moved = np.zeros(exact.shape, np.bool_)
    below = np.zeros(exact.shape, np.bool_)
    for _ in range(60):  # a cell stays put, or is never lowered, 60 times with a chance below 10⁻¹³
        answer = noised(exact, HOURLY, NOISE, RHO).values
        moved |= answer != exact
        below |= answer < exact
    assert moved.all()
    assert below.all(), "a count below zero is not clipped"


@pytest.mark.parametrize("cells", [100, TABLE_CELLS])
def test_two_answers_to_the_same_question_differ_and_the_exact_vector_is_left_alone(cells: int) -> None:
    exact = np.arange(cells, dtype=np.int64)
    first, second = (noised(exact, HOURLY, NOISE, RHO).values for _ in range(2))
    assert not np.array_equal(first, second)
    assert np.array_equal(exact, np.arange(cells))


@pytest.mark.parametrize("cells", [300, TABLE_CELLS])
def test_strided_vectors_are_noised_in_their_own_order(cells: int) -> None:
    wide = np.zeros((cells, 2), np.int64)
    wide[:, 1] = 10**9 * np.arange(cells)
    answer = noised(wide[:, 1], HOURLY, NOISE, RHO).values
    assert np.array_equal(np.round(answer / 10**9), np.arange(cells))


# --- in pieces -----------------------------------------------------------------------------------------


def test_a_vector_in_pieces_comes_back_in_order_with_other_noise_in_each_piece() -> None:
    sizes = [5_000, 1, 70_000, 3, 5_000]
    pieces = [np.full(size, 10**6 * place, np.int64) for place, size in enumerate(sizes)]
    answers = list(noised_chunks(iter(pieces), HOURLY, NOISE, RHO))
    assert [answer.shape for answer in answers] == [(size,) for size in sizes]
    noise = [answer - piece for answer, piece in zip(answers, pieces, strict=True)]
    assert all(np.abs(part).max() < 10 * SIGMA / 1000 for part in noise)
    assert not np.array_equal(noise[0], noise[4])
    every = np.concatenate(noise).astype(np.float64)
    assert abs(every.mean()) < 6 * (SIGMA / 1000) / math.sqrt(every.size)
    assert abs(every.var() - 600.25) < 6 * 600.25 * math.sqrt(2 / every.size)


def test_a_vector_in_pieces_is_refused_as_a_whole_one_is() -> None:
    piece = np.zeros(5_000, np.int64)
    with pytest.raises(PrivacyProblem, match="the noise is too small"):
        list(noised_chunks([piece], HOURLY, gaussian(SIGMA - 10), RHO))
    for wrong in (piece[:0], piece.astype(np.float64), np.full(5, 2**60, np.int64)):
        with pytest.raises(PrivacyProblem):
            list(noised_chunks([piece, wrong], HOURLY, NOISE, RHO))  # type: ignore[list-item]


def test_an_iterator_that_fills_one_array_again_and_again_is_noised_as_if_each_chunk_were_its_own() -> None:
    def refilled() -> Iterator[NDArray[np.int64]]:
        buffer = np.zeros(5_000, np.int64)
        for place in range(20):
            buffer[:] = 10**6 * place
            yield buffer

    for noise in (NOISE, WIDE):
        answers = list(noised_chunks(refilled(), HOURLY, noise, RHO))
        assert [int(np.round(answer.mean() / 10**6)) for answer in answers] == list(range(20))


@pytest.mark.parametrize("noise", [NOISE, WIDE], ids=["table", "opendp"])
def test_a_vector_of_no_chunks_is_refused(noise: Distribution) -> None:
    with pytest.raises(PrivacyProblem, match="no chunk at all") as caught:
        list(noised_chunks([], HOURLY, noise, RHO))
    assert "empty keyset" in caught.value.means


def test_the_loss_of_a_vector_in_pieces_is_checked_at_the_call() -> None:
    with pytest.raises(PrivacyProblem, match="the noise is too small"):
        noised_chunks([], HOURLY, gaussian(SIGMA - 10), RHO)


def test_noise_outside_the_table_is_drawn_piece_by_piece_too() -> None:
    cells = CHUNK + 5
    assert sampler_for(cells, WIDE) == "opendp"
    whole = noised(np.full(cells, 17, np.int64), HOURLY, WIDE, RHO)
    assert (whole.values.shape, whole.sampler) == ((cells,), "opendp")
    chunks = list(noised_chunks([np.full(30_000, 17, np.int64)] * 2, HOURLY, WIDE, RHO))
    assert not np.array_equal(chunks[0], chunks[1])
    for values in (whole.values, np.concatenate(chunks)):
        found = (values - 17).astype(np.float64)
        assert abs(found.mean()) < 6 * 3_000 / math.sqrt(found.size)
        assert abs(found.var() - 9e6) < 6 * 9e6 * math.sqrt(2 / found.size)
