"""Releases of the worker: the reference's counts, noise of the agreed scale, and nothing left behind."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from node.config import Home
from node.enrolment import load
from node.worker import release
from privacy.errors import DataUnavailable, PrivacyProblem
from quorate.contract.payload import decode
from tests.reference.days import home_counts, key_of, presence_counts
from tests.support_node import LONG_DAY, Network, order_of
from tests.unit.node.two_days import DAYS, expected, ingest, laid_out, releasing


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
        exact = presence_counts(days[0], 3, 25)
    else:
        key = key_of(built.secret.read_bytes(), f"residents|{case.days[0]}|{case.days[-1]}")
        nights = [range(6), range(7)]  # the clock shows hour 2 twice on the long day
        exact = home_counts(days, nights, 2, 3, key)
    noise = decode(data, len(exact)) - np.array(exact)
    # Eight standard deviations: not once in 10¹³ runs by chance.
    assert np.abs(noise).max() < 8 * terms.levels[0].scale_milli / 1000
    digests = [
        hashlib.sha256((built.presence / f"{day}.parquet").read_bytes()).hexdigest() for day in case.days
    ]
    assert told.snapshot == hashlib.sha256("".join(digests).encode()).hexdigest()


def test_every_release_draws_fresh_noise_over_the_same_snapshot(built: Home) -> None:
    terms = order_of(load(built), "presence", (LONG_DAY, LONG_DAY)).terms
    first, second = (release(releasing(built, terms)) for _ in range(2))
    assert first[0].snapshot == second[0].snapshot
    assert first[1] != second[1]


def test_a_day_that_was_never_built_is_named_with_what_to_do(network: Network, tmp_path: Path) -> None:
    home = laid_out(network, tmp_path / "node")
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


def test_a_vector_without_the_cells_of_its_terms_is_not_noised(built: Home) -> None:
    terms = order_of(load(built), "presence", (LONG_DAY, LONG_DAY)).terms
    other = order_of(load(built), "presence", (DAYS[0], DAYS[0])).terms
    with pytest.raises(PrivacyProblem, match="does not have the cells that its bounds are for"):
        release(releasing(built, terms.model_copy(update={"keyset": other.keyset})))
