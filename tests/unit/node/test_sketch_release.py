"""A sketch released by the worker: from events with national identifiers to bins, and what it refuses without."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from node.config import Home
from node.enrolment import load
from node.pinned_keys import scope_of
from node.sources.persons import require_persons
from node.statistics.registry import algorithms
from node.worker import release
from privacy.errors import DataUnavailable, PeriodKeyProblem
from privacy.statistics import UNION_SKETCH
from privacy.terms import Level, Terms
from quorate.contract.charter import Product
from quorate.contract.payload import decode
from quorate.contract.period_key import PERIOD_KEY_TYPE, package_of
from quorate.contract.signing import signed, to_json
from tests.keys import key_for
from tests.reference.statistics import bin_of
from tests.support_node import (
    GIVEN,
    NATIONAL,
    POLICY_TOML,
    Network,
    charter_of,
    config_text,
    enrolled,
    instant,
    order_of,
    products_of,
    write_events,
)
from tests.unit.node.two_days import DAYS, ingest, releasing

KEY, BINS = bytes(range(7, 39)), 1009
#: Identifier of each subscriber on both days: 5 and 6 are one person, 7 has none, 8 is another.
WHO = {5: "A", 6: "A", 7: None, 8: "B"}
PRODUCT = Product(
    product_id="overlap",
    title="Persons by bin",
    statistic=UNION_SKETCH,
    parameters={"bins": BINS, "by_zone": False},
    levels=(Level(name="nation", share_permille=1000),),
    max_days=31,
    # A loss of 100 is for tests alone: the noise has σ = .08, and is not once in 10³⁰ cells another number than 0.
    rho=100_000_000_000,
    algorithm=algorithms()[UNION_SKETCH],
)


@pytest.fixture(scope="module")
def overlapping(network: Network) -> Network:
    products = (*products_of(algorithms()), PRODUCT)
    return replace(network, charter=charter_of(network.zoning, products=products))


@pytest.fixture(scope="module")
def home(overlapping: Network, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A node with two days of presence and persons."""
    home = node_of(
        overlapping, tmp_path_factory.mktemp("sketch") / "node", config_text().replace(GIVEN, NATIONAL)
    )
    (home.root / "national.key").write_bytes(bytes(32))
    (home.root / "national.key").chmod(0o600)
    for day in DAYS:
        path = write_events(home, day, [(who, instant(day, 3600 * who), 2) for who in WHO])
        pq.write_table(pq.read_table(path).append_column("nin", pa.array(WHO.values(), pa.string())), path)
    ingest(home)
    return home


def node_of(network: Network, root: Path, config: str) -> Home:
    policy = POLICY_TOML.replace("products = [", 'products = ["overlap", ')
    return enrolled(network, root, config=config, policy=policy)


def terms_of_overlap(home: Home) -> Terms:
    return order_of(load(home), "overlap", (DAYS[0], DAYS[-1])).terms


def put_key(home: Home, key: bytes = KEY) -> Path:
    """Pin a package with a key, as the daemon does with one from the hub; return its file."""
    own = load(home)
    scope = scope_of(own, terms_of_overlap(home))
    package = package_of(key, scope, own.operator, own.charter.keys.exchange)
    home.period_keys.mkdir(mode=0o700, exist_ok=True)
    name = f"{scope.product}_{scope.first_day}_{scope.last_day}_{scope.charter}.json"
    path = home.period_keys / name
    path.write_bytes(to_json(signed(PERIOD_KEY_TYPE, package.to_bytes(), key_for(own.operator))))
    return path


def persons_of(home: Home, day: date) -> dict[int, int]:
    rows = pq.ParquetFile(home.persons / f"{day}.parquet").read().to_pylist()
    return {row["subscriber"]: row["person"] for row in rows}


def test_a_release_has_each_person_once_in_the_bin_of_the_key(home: Home) -> None:
    put_key(home)
    told, data = release(releasing(home, terms_of_overlap(home)))
    found, expected = decode(data, BINS), np.zeros(BINS, np.int64)
    persons = persons_of(home, DAYS[0])
    assert persons == persons_of(home, DAYS[1])
    assert (set(persons), persons[5]) == ({5, 6, 8}, persons[6])
    for person in {*persons.values()}:
        expected[bin_of(person, KEY, BINS)] += 1
    assert expected.sum() == 2
    assert (found == expected).all()
    files = [directory / f"{day}.parquet" for directory in (home.presence, home.persons) for day in DAYS]
    digests = "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    assert told.snapshot == hashlib.sha256(digests.encode()).hexdigest()
    assert KEY.hex() not in told.model_dump_json()


def test_another_key_puts_the_same_snapshot_into_other_bins(home: Home) -> None:
    put_key(home)
    first, bins = release(releasing(home, terms_of_overlap(home)))
    put_key(home, bytes(32))
    again, others = release(releasing(home, terms_of_overlap(home)))
    assert first.snapshot == again.snapshot
    assert (decode(bins, BINS) != decode(others, BINS)).any()


def test_a_key_that_has_not_come_is_refused_and_so_is_what_is_no_package(home: Home) -> None:
    path = put_key(home)
    path.unlink()
    with pytest.raises(DataUnavailable, match=r"the period key of overlap .* is not here"):
        release(releasing(home, terms_of_overlap(home)))
    path.write_bytes(KEY)
    with pytest.raises(PeriodKeyProblem, match="is not a package with a period key") as caught:
        release(releasing(home, terms_of_overlap(home)))
    assert KEY.hex() not in caught.value.explain()


def test_days_of_which_the_persons_are_not_built_are_refused(home: Home) -> None:
    put_key(home)
    path = home.persons / f"{DAYS[1]}.parquet"
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(DataUnavailable, match=f"presence of {DAYS[1]} is not built"):
        release(releasing(home, terms_of_overlap(home)))
    path.write_bytes(kept)


def test_a_node_without_national_identifiers_refuses_and_says_what_to_do(
    overlapping: Network, tmp_path: Path
) -> None:
    plain = node_of(overlapping, tmp_path / "node", config_text())
    put_key(plain)
    with pytest.raises(DataUnavailable, match="the operator names no national identifier") as caught:
        release(releasing(plain, terms_of_overlap(plain)))
    assert "national_key_file" in caught.value.todo


def test_persons_whose_pseudonyms_change_within_the_days_are_refused(home: Home) -> None:
    """Subscribers that are given as pseudonyms keep them; persons have one of each month."""
    source = load(home).config.source
    require_persons(source, date(2026, 10, 1), date(2026, 10, 31))
    with pytest.raises(DataUnavailable, match="persons change their pseudonyms") as caught:
        require_persons(source, date(2026, 10, 31), date(2026, 11, 1))
    assert caught.value.todo.startswith("ask for days of one month")
