"""What the hub takes as a contribution: exactly what was ordered, and exactly what was charged for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hub.errors import Malformed
from hub.models import Contribution
from hub.releases import judge, largest_contribution
from privacy.ledger.entry import Terms
from quorate.contract.canonical import digest
from quorate.contract.order import Receipt, TaskOrder, terms_of
from quorate.contract.payload import encode
from tests.support_hub import (
    ALGORITHM,
    DAY,
    LONG_DAY,
    MAY,
    SHORT_DAY,
    entry_for,
    noised_vector,
    small_agreement,
    terms_in,
)

OWN = small_agreement()
TERMS = terms_in(OWN, "presence", DAY)
CELLS = 6 * 24


def order_for(terms: Terms) -> bytes:
    return TaskOrder(
        network="small",
        operator="west",
        nonce="e" * 32,
        charter=OWN.charter_digest,
        algorithm=ALGORITHM,
        terms=terms,
    ).to_bytes()


ORDER = order_for(TERMS)
DATA = encode(np.arange(CELLS, dtype=np.int64))
ENTRY = entry_for(TERMS, DATA).to_bytes()


def refused(data: bytes = DATA, entry: bytes = ENTRY) -> str:
    with pytest.raises(Malformed) as caught:
        judge(OWN, ORDER, data, entry)
    return caught.value.what


# --- what is taken ----------------------------------------------------------------------------------------


def test_a_contribution_gets_a_receipt_for_its_order_its_bytes_and_the_head_of_its_ledger() -> None:
    taken = judge(OWN, ORDER, DATA, ENTRY)
    receipt = Receipt.from_bytes(taken.receipt, "the receipt")
    assert (receipt.network, receipt.operator) == ("small", "west")
    assert receipt.order == taken.order_digest == hashlib.sha256(ORDER).hexdigest()
    assert receipt.result_sha256 == taken.result_sha256 == hashlib.sha256(DATA).hexdigest()
    assert receipt.release_id == TERMS.release_id()
    assert receipt.ledger_sequence == 1
    assert receipt.ledger_head == hashlib.sha256(b"quorate.ledger.entry.v1" + ENTRY).hexdigest()
    assert (taken.data, taken.entry) == (DATA, ENTRY)


def test_a_contribution_judged_twice_gets_the_same_receipt() -> None:
    first, second = judge(OWN, ORDER, DATA, ENTRY), judge(OWN, ORDER, DATA, ENTRY)
    assert first.receipt == second.receipt


def test_the_place_in_the_operators_ledger_is_what_its_entry_says() -> None:
    entry = entry_for(TERMS, DATA, sequence=17, previous="9" * 64).to_bytes()
    assert Receipt.from_bytes(judge(OWN, ORDER, DATA, entry).receipt, "it").ledger_sequence == 17


@pytest.mark.parametrize(
    ("product", "days", "cells"),
    [
        ("presence", (SHORT_DAY, SHORT_DAY), 6 * 23),
        ("presence", (LONG_DAY, LONG_DAY), 6 * 25),
        ("residents", MAY, 6),
    ],
)
def test_a_contribution_has_one_number_for_each_area_and_elapsed_hour(
    product: str, days: tuple[date, date], cells: int
) -> None:
    terms = terms_of(OWN.charter, OWN.zoning, product, days, 0)
    data = encode(noised_vector(OWN, terms))
    taken: Contribution = judge(OWN, order_for(terms), data, entry_for(terms, data).to_bytes())
    assert taken.result_sha256 == digest(data)
    for wrong in (cells - 1, cells + 1):
        data = encode(np.zeros(wrong, np.int64))
        with pytest.raises(Malformed, match=f"does not have exactly {cells} values"):
            judge(OWN, order_for(terms), data, entry_for(terms, data).to_bytes())


# --- the entry --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"revision": 1},
        {"first_day": date(2026, 5, 3)},
        {"by_period": 20_000_001},
        {"sigma_milli": 24_490},
        {"charter_version": 2},
        {"parameters": {"more": 1}},
        {"zoning": "0" * 64},
        {"keyset": "0" * 64},
        {"product": "residents"},
        {"weights": "0" * 64},
    ],
    ids=str,
)
def test_an_entry_on_other_terms_is_refused(change: dict[str, Any]) -> None:
    terms = Terms.model_validate(TERMS.model_dump() | change)
    assert refused(entry=entry_for(terms, DATA).to_bytes()) == (
        "the ledger entry is for another release than the order"
    )


def test_an_entry_under_the_name_of_another_release_is_refused() -> None:
    entry = entry_for(TERMS, DATA, release_id="0" * 64).to_bytes()
    assert refused(entry=entry) == "the ledger entry is for another release than the order"


def test_an_entry_on_other_terms_under_the_name_of_the_ordered_release_is_refused() -> None:
    terms = TERMS.model_copy(update={"by_period": 1})
    entry = entry_for(terms, DATA, release_id=TERMS.release_id()).to_bytes()
    assert refused(entry=entry) == "the ledger entry is for another release than the order"


@pytest.mark.parametrize("change", [{"result_sha256": "0" * 64}, {"result_length": len(DATA) + 1}], ids=str)
def test_an_entry_that_was_charged_for_other_bytes_is_refused(change: dict[str, Any]) -> None:
    entry = entry_for(TERMS, DATA, **change).to_bytes()
    assert refused(entry=entry) == "the ledger entry was charged for other bytes"


def test_bytes_that_the_entry_was_not_charged_for_are_refused() -> None:
    other = encode(np.arange(CELLS, dtype=np.int64) + 1)
    assert refused(data=other) == "the ledger entry was charged for other bytes"
    assert refused(data=DATA + b"\x00") == "the ledger entry was charged for other bytes"


def rewritten(edit: Callable[[dict[str, Any]], object]) -> bytes:
    entry = json.loads(ENTRY)
    edit(entry)
    return json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY + b" ",
        b"\n" + ENTRY,
        json.dumps(json.loads(ENTRY), sort_keys=True).encode(),
        json.dumps(dict(reversed(json.loads(ENTRY).items())), separators=(",", ":")).encode(),
        ENTRY.replace(b'"sequence":1', b'"sequence":1,"sequence":1'),
        ENTRY.replace(b'"product":"presence"', b'"product":"\\u0070resence"'),
        ENTRY.replace(b'"revision":0,', b""),
    ],
    ids=["space", "newline", "spaces", "order", "twice", "escape", "default"],
)
def test_an_entry_in_other_than_canonical_form_is_refused(entry: bytes) -> None:
    assert entry != ENTRY
    assert refused(entry=entry) == "the ledger entry is not in canonical form"


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b"not json",
        b"\xff\xfe",
        ENTRY[:-1],
        ENTRY[:100],
        ENTRY + ENTRY,
        rewritten(lambda entry: entry.pop("commitment")),
        rewritten(lambda entry: entry.update(more=1)),
        rewritten(lambda entry: entry.update(sequence=0)),
        rewritten(lambda entry: entry.update(sequence="1")),
        rewritten(lambda entry: entry.update(sequence=1.5)),
        rewritten(lambda entry: entry.update(result_sha256="A" * 64)),
        rewritten(lambda entry: entry.update(result_length=0)),
        rewritten(lambda entry: entry.update(recorded_on="yesterday")),
        rewritten(lambda entry: entry["charge"].update(by_day=0)),
        rewritten(lambda entry: entry["charge"].update(by_day=float("nan"))),
        rewritten(lambda entry: entry["terms"].update(sigma_milli=0)),
        rewritten(lambda entry: entry["terms"].update(parameters=None)),
    ],
    ids=lambda entry: entry[-24:].decode(errors="replace") or "empty",
)
def test_an_entry_that_is_none_is_refused(entry: bytes) -> None:
    assert refused(entry=entry) == "the ledger entry is malformed"


# --- the numbers ------------------------------------------------------------------------------------------


def stream(*columns: tuple[str, Any, pa.DataType, bool], batches: int = 1) -> bytes:
    """Return an Arrow stream of any columns: name, values, type, whether null is allowed."""
    schema = pa.schema([pa.field(name, kind, nullable=free) for name, _values, kind, free in columns])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for _ in range(batches):
            arrays = [pa.array(values, kind) for _name, values, kind, _free in columns]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    return bytes(sink.getvalue())


def file_format() -> bytes:
    batch = pa.record_batch([pa.array(range(CELLS), pa.int64())], names=["value"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


COUNTS = list(range(CELLS))
_OTHER_COLUMN = "the contribution is not one int64 column called value"
_NO_STREAM = "the contribution is not an Arrow stream"
_LENGTH = f"the contribution does not have exactly {CELLS} values"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (stream(("value", [float(n) for n in COUNTS], pa.float64(), False)), _OTHER_COLUMN),
        (stream(("value", [float("nan")] * CELLS, pa.float64(), False)), _OTHER_COLUMN),
        (stream(("value", COUNTS, pa.int32(), False)), _OTHER_COLUMN),
        (stream(("value", COUNTS, pa.uint64(), False)), _OTHER_COLUMN),
        (stream(("value", [str(n) for n in COUNTS], pa.string(), False)), _OTHER_COLUMN),
        (stream(("value", COUNTS, pa.int64(), True)), _OTHER_COLUMN),
        (stream(("value", [None, *COUNTS[1:]], pa.int64(), True)), _OTHER_COLUMN),
        (stream(("count", COUNTS, pa.int64(), False)), _OTHER_COLUMN),
        (
            stream(("value", COUNTS, pa.int64(), False), ("zone", COUNTS, pa.int64(), False)),
            _OTHER_COLUMN,
        ),
        (stream(), _OTHER_COLUMN),
        (encode(np.arange(CELLS - 1, dtype=np.int64)), _LENGTH),
        (encode(np.arange(CELLS + 1, dtype=np.int64)), _LENGTH),
        (encode(np.zeros(0, np.int64)), _LENGTH),
        (stream(("value", COUNTS, pa.int64(), False), batches=2), _LENGTH),
        (DATA[: len(DATA) // 2], _NO_STREAM),
        (DATA[:-20], _NO_STREAM),
        (DATA[:10], _NO_STREAM),
        (DATA[1:], _NO_STREAM),
        (b"\x00", _NO_STREAM),
        (b"value\n1\n2\n", _NO_STREAM),
        (file_format(), _NO_STREAM),
    ],
    ids=[
        "float",
        "nan",
        "int32",
        "uint64",
        "text",
        "nullable",
        "null",
        "another name",
        "two columns",
        "no column",
        "one too few",
        "one too many",
        "empty",
        "twice",
        "half",
        "cut at the end",
        "cut at the start",
        "without its first byte",
        "one byte",
        "csv",
        "arrow file",
    ],
)
def test_bytes_that_are_not_the_ordered_column_are_refused_though_they_were_charged_for(
    data: bytes, what: str
) -> None:
    assert refused(data, entry_for(TERMS, data).to_bytes()) == what


def test_a_contribution_cut_anywhere_is_refused_or_has_all_its_numbers() -> None:
    for length in range(1, len(DATA)):
        data = DATA[:length]
        try:
            judge(OWN, ORDER, data, entry_for(TERMS, data).to_bytes())
        except Malformed:
            continue
        assert length >= len(DATA) - 8, "only the mark of the end may be missing"


def test_a_contribution_of_incompressible_numbers_is_within_the_largest() -> None:
    rng = np.random.default_rng(1)
    numbers = rng.integers(-(2**63), 2**63, CELLS, dtype=np.int64)
    assert len(encode(numbers)) <= largest_contribution(OWN, TERMS) == CELLS * 9 + 65536
