"""The name of a release, the bytes of an entry and the chain, worked out again by hand."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from privacy.ledger.entry import GENESIS, Entry, head_after
from privacy.sensitivity import Declaration
from privacy.terms import LevelTerms
from tests.unit.privacy.builders import TODAY, presence, residents

DAY = date(2026, 3, 2)


def canonical(value: Any) -> bytes:
    """Return canonical JSON of values without floats and with ASCII text alone."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def entry() -> Entry:
    terms = presence(DAY)
    return Entry(
        sequence=1,
        previous=GENESIS,
        release_id=terms.release_id(),
        terms=terms,
        charge=terms.charge(),
        samplers=("table",),
        result_sha256=hashlib.sha256(b"bytes").hexdigest(),
        result_length=5,
        commitment="c" * 64,
        recorded_on=TODAY,
    )


def test_the_name_of_a_release_is_the_hash_of_its_terms_in_canonical_form() -> None:
    fields = {
        "product": "presence-by-hour",
        "statistic": "presence-by-hour",
        "parameters": {"night_hours": [0, 1, 2], "min_nights": 1},
        "zoning": "a" * 64,
        "keyset": "b" * 64,
        "levels": [{"name": "zone", "share_permille": 1000, "by_period": 10_000_000, "scale_milli": 34_650}],
        "first_day": "2026-03-02",
        "last_day": "2026-03-02",
        "bounds": {"cells_by_period": 24, "cells_by_day": 24, "cell_maximum": 1},
        "mechanism": "discrete-gaussian",
        "by_period": 10_000_000,
        "charter_version": 1,
        "revision": 0,
        "weights": None,
    }
    text = b"quorate.release.v1" + canonical(fields)
    assert presence(DAY).release_id() == hashlib.sha256(text).hexdigest()


LEVEL = LevelTerms(name="zone", share_permille=1000, by_period=10_000_000, scale_milli=34_650)
CHANGES: list[dict[str, Any]] = [
    {"product": "other"},
    {"statistic": "residents"},
    {"parameters": {}},
    {"parameters": {"night_hours": [0, 1, 2], "min_nights": 2}},
    {"zoning": "c" * 64},
    {"keyset": "c" * 64},
    {"levels": (LEVEL.model_copy(update={"name": "district"}),)},
    {"levels": (LEVEL.model_copy(update={"share_permille": 999}),)},
    {"levels": (LEVEL.model_copy(update={"by_period": 9_999_999}),)},
    {"levels": (LEVEL.model_copy(update={"scale_milli": 34_660}),)},
    {"first_day": date(2026, 3, 1)},
    {"last_day": date(2026, 3, 3)},
    {"bounds": Declaration(cells_by_period=23, cells_by_day=24)},
    {"bounds": Declaration(cells_by_period=24, cells_by_day=25)},
    {"bounds": Declaration(cells_by_period=24, cells_by_day=24, cell_maximum=2)},
    {"mechanism": "discrete-laplace"},
    {"by_period": 10_000_001},
    {"charter_version": 2},
    {"revision": 1},
    {"weights": "d" * 64},
]


@pytest.mark.parametrize("change", CHANGES, ids="-".join)
def test_a_release_on_any_other_terms_is_another_release(change: dict[str, Any]) -> None:
    assert presence(DAY, **change).release_id() != presence(DAY).release_id()


def test_every_field_of_the_terms_is_part_of_the_name() -> None:
    assert {name for change in CHANGES for name in change} == set(presence(DAY).model_dump())


def test_equal_terms_are_the_same_release_in_whatever_order_their_parameters_are_written() -> None:
    turned = {"min_nights": 1, "night_hours": [0, 1, 2]}
    assert presence(DAY, parameters=turned).release_id() == presence(DAY).release_id()


def test_an_entry_is_canonical_json_and_reads_back_as_itself() -> None:
    written = entry().to_bytes()
    assert written == canonical(json.loads(written))
    assert Entry.model_validate_json(written) == entry()
    assert Entry.model_validate_json(written).to_bytes() == written


def test_an_entry_tells_nothing_finer_than_the_day_and_nothing_of_the_order() -> None:
    told = json.loads(entry().to_bytes())
    assert told["recorded_on"] == "2026-06-01"
    assert set(told) == {
        "sequence",
        "previous",
        "release_id",
        "terms",
        "charge",
        "samplers",
        "result_sha256",
        "result_length",
        "commitment",
        "recorded_on",
    }


def test_the_chain_starts_at_a_named_hash_and_goes_on_with_the_hash_of_each_entry() -> None:
    assert hashlib.sha256(b"quorate.ledger.genesis.v1").hexdigest() == GENESIS
    assert head_after(b"{}") == hashlib.sha256(b"quorate.ledger.entry.v1{}").hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        {"sigma_milli": 0},
        {"by_period": 0},
        {"by_period": 1.5},
        {"charter_version": 0},
        {"revision": -1},
        {"levels": ()},
        {"product": "Presence"},
        {"product": ""},
        {"product": "a\n"},
        {"zoning": "A" * 64},
        {"keyset": "a" * 63},
        {"weights": "none"},
        {"nonce": "n"},
    ],
    ids=str,
)
def test_terms_that_are_none_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        presence(DAY, **change)


def test_residents_and_presence_of_the_same_day_are_different_releases() -> None:
    assert residents(DAY, DAY).release_id() != presence(DAY).release_id()
