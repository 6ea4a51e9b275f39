"""What the hub takes as a contribution: exactly what was ordered, and exactly what was charged for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hub.errors import Malformed
from hub.models import Contribution
from hub.releases import largest_contribution
from privacy.terms import Terms
from quorate.contract.canonical import digest
from quorate.contract.order import TaskOrder, terms_of
from quorate.contract.payload import encode
from tests.support_hub import (
    ALGORITHM,
    DAY,
    LONG_DAY,
    MAY,
    PRESENCE_RHO,
    RESIDENTS_RHO,
    SHORT_DAY,
    entry_for,
    judged,
    noised_vector,
    receipt_in,
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
        judged(OWN, ORDER, data, entry)
    return caught.value.what


# --- what is taken ----------------------------------------------------------------------------------------


def test_a_contribution_gets_a_receipt_for_its_order_its_bytes_and_the_head_of_its_ledger() -> None:
    given = judged(OWN, ORDER, DATA, ENTRY)
    taken, data = given.row, given.data
    receipt = receipt_in(taken.receipt)
    assert (receipt.network, receipt.operator) == ("small", "west")
    assert receipt.order == taken.order_digest == hashlib.sha256(ORDER).hexdigest()
    assert receipt.result_sha256 == taken.result_sha256 == hashlib.sha256(DATA).hexdigest()
    assert receipt.release_id == TERMS.release_id()
    assert receipt.ledger_sequence == 1
    assert receipt.ledger_head == hashlib.sha256(b"quorate.ledger.entry.v1" + ENTRY).hexdigest()
    assert (data, taken.length, taken.entry) == (DATA, len(DATA), ENTRY)


def test_a_contribution_judged_twice_gets_the_same_receipt() -> None:
    first, second = judged(OWN, ORDER, DATA, ENTRY), judged(OWN, ORDER, DATA, ENTRY)
    assert first.row.receipt == second.row.receipt


def test_the_place_in_the_operators_ledger_is_what_its_entry_says() -> None:
    entry = entry_for(TERMS, DATA, sequence=17, previous="9" * 64).to_bytes()
    assert receipt_in(judged(OWN, ORDER, DATA, entry).row.receipt).ledger_sequence == 17


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
    taken: Contribution = judged(OWN, order_for(terms), data, entry_for(terms, data).to_bytes()).row
    assert taken.result_sha256 == digest(data)
    for wrong in (cells - 1, cells + 1):
        data = encode(np.zeros(wrong, np.int64))
        with pytest.raises(Malformed, match=f"not an Arrow stream of {cells} values, compressed"):
            judged(OWN, order_for(terms), data, entry_for(terms, data).to_bytes())


# --- the entry --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"revision": 1},
        {"first_day": date(2026, 5, 3)},
        {"by_period": 20_000_001},
        {"levels": (TERMS.levels[0].model_copy(update={"scale_milli": 24_490}),)},
        {"levels": (TERMS.levels[0].model_copy(update={"by_period": PRESENCE_RHO - 1}),)},
        {"levels": (TERMS.levels[0].model_copy(update={"name": "district"}),)},
        {"mechanism": "discrete-laplace"},
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


@pytest.mark.parametrize(("ordered", "charged"), [(1, True), (True, 1), (0, False), ([1], [True])], ids=str)
def test_terms_that_are_equal_only_to_python_are_those_of_another_release(ordered: Any, charged: Any) -> None:
    first, other = (
        Terms.model_validate(TERMS.model_dump() | {"parameters": {"more": value}})
        for value in (ordered, charged)
    )
    assert first == other
    entry = entry_for(other, DATA).to_bytes()
    with pytest.raises(Malformed, match="the ledger entry is for another release than the order"):
        judged(OWN, order_for(first), DATA, entry)
    judged(OWN, order_for(first), DATA, entry_for(first, DATA).to_bytes())


def test_an_entry_under_the_name_of_another_release_is_refused() -> None:
    entry = entry_for(TERMS, DATA, release_id="0" * 64).to_bytes()
    assert refused(entry=entry) == "the ledger entry does not hold: its terms are not what its id says"


def test_an_entry_on_other_terms_under_the_name_of_the_ordered_release_is_refused() -> None:
    levels = (TERMS.levels[0].model_copy(update={"by_period": 1}),)
    terms = TERMS.model_copy(update={"by_period": 1, "levels": levels})
    entry = entry_for(terms, DATA, release_id=TERMS.release_id()).to_bytes()
    assert refused(entry=entry) == "the ledger entry is for another release than the order"


@pytest.mark.parametrize(
    "change",
    [
        {"by_period": 1, "by_day": 1},
        {"by_period": PRESENCE_RHO - 1},
        {"by_day": PRESENCE_RHO - 1},
        {"by_period": PRESENCE_RHO + 1, "by_day": PRESENCE_RHO + 1},
        {"first_day": DAY + timedelta(days=1), "last_day": DAY + timedelta(days=1)},
        {"last_day": DAY + timedelta(days=1)},
    ],
    ids=str,
)
def test_an_entry_that_is_not_charged_what_its_terms_cost_is_refused(change: dict[str, Any]) -> None:
    sound = entry_for(TERMS, DATA)
    entry = sound.model_copy(update={"charge": sound.charge.model_copy(update=change)})
    assert refused(entry=entry.to_bytes()) == (
        "the ledger entry does not hold: its charge is not what its terms cost"
    )


def test_a_period_that_is_charged_by_the_day_as_by_the_period_is_refused() -> None:
    terms = terms_in(OWN, "residents", *MAY)
    data = encode(noised_vector(OWN, terms))
    sound = entry_for(terms, data)
    assert (sound.charge.by_period, sound.charge.by_day) == (RESIDENTS_RHO, 2 * RESIDENTS_RHO)
    wrong = sound.model_copy(update={"charge": sound.charge.model_copy(update={"by_day": RESIDENTS_RHO})})
    with pytest.raises(Malformed, match="does not hold: its charge is not what its terms cost"):
        judged(OWN, order_for(terms), data, wrong.to_bytes())
    judged(OWN, order_for(terms), data, sound.to_bytes())


def test_an_entry_that_does_not_say_how_each_level_was_noised_is_refused() -> None:
    entry = entry_for(TERMS, DATA, samplers=("opendp", "opendp"))
    assert refused(entry=entry.to_bytes()) == (
        "the ledger entry does not hold: it does not say which sampler drew the noise of each level"
    )


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
        rewritten(lambda entry: entry["terms"]["levels"][0].update(scale_milli=0)),
        rewritten(lambda entry: entry["terms"]["levels"][0].update(by_period=PRESENCE_RHO + 1)),
        rewritten(lambda entry: entry["terms"].update(levels=entry["terms"]["levels"] * 2)),
        rewritten(lambda entry: entry["terms"].update(mechanism="gaussian")),
        rewritten(lambda entry: entry.update(samplers=[])),
        rewritten(lambda entry: entry.update(samplers=["numpy"])),
        rewritten(lambda entry: entry["terms"].update(parameters=None)),
        *(
            ENTRY.replace(old, old.replace(number, new))
            for old, number in (
                (b'"parameters":{}', b"{}"),
                (b'"sequence":1', b"1"),
                (b'"revision":0', b"0"),
                (b'"by_day":20000000', b"20000000"),
            )
            for new in (b"NaN", b"-Infinity", str(2**60).encode(), b"1e400", b"9" * 400)
        ),
        *(
            ENTRY.replace(b'"parameters":{}', b'"parameters":{"hostile":%b}' % value)
            for value in (
                b"NaN",
                b"Infinity",
                b"[-Infinity]",
                str(2**60).encode(),
                b'{"deeper":[%d]}' % -(2**60),
                b"1e400",
                b"9" * 400,
                b"[" * 10_000 + b"]" * 10_000,
                b'"\\ud800"',
            )
        ),
    ],
    ids=lambda entry: entry[-24:].decode(errors="replace") or "empty",
)
def test_an_entry_that_is_none_is_refused(entry: bytes) -> None:
    assert entry != ENTRY
    assert refused(entry=entry) == "the ledger entry is malformed"


# --- the numbers ------------------------------------------------------------------------------------------


def stream(*columns: tuple[str, Any, pa.DataType, bool], batches: int = 1) -> bytes:
    """Return an uncompressed Arrow stream of any columns: name, values, type, whether null is allowed."""
    schema = pa.schema([pa.field(name, kind, nullable=free) for name, _values, kind, free in columns])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for _ in range(batches):
            arrays = [pa.array(values, kind) for _name, values, kind, _free in columns]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    return bytes(sink.getvalue())


def compressed(data: bytes) -> bytes:
    """Return the bytes as a contribution carries its stream."""
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


def sound() -> bytes:
    """Return the uncompressed stream that a contribution is, made without the code under test."""
    return stream(("value", COUNTS, pa.int64(), False))


def file_format() -> bytes:
    batch = pa.record_batch([pa.array(range(CELLS), pa.int64())], names=["value"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


COUNTS = list(range(CELLS))
_NO_STREAM = f"the contribution is not an Arrow stream of {CELLS} values, compressed"
_OTHER_COLUMN = f"the contribution is not one column of exactly {CELLS} 64-bit integers"
_NO_COUNT = "the contribution has a value that no count with noise can have"

OTHER_STREAMS = {
    "float": stream(("value", [float(n) for n in COUNTS], pa.float64(), False)),
    "nan": stream(("value", [float("nan")] * CELLS, pa.float64(), False)),
    "int32": stream(("value", COUNTS, pa.int32(), False)),
    "int32 of twice the length": stream(("value", COUNTS * 2, pa.int32(), False)),
    "uint64": stream(("value", COUNTS, pa.uint64(), False)),
    "timestamp": stream(("value", COUNTS, pa.timestamp("us"), False)),
    "text": stream(("value", [str(n) for n in COUNTS], pa.string(), False)),
    "nullable": stream(("value", COUNTS, pa.int64(), True)),
    "null": stream(("value", [None, *COUNTS[1:]], pa.int64(), True)),
    "hidden null": stream(("value", [None, *COUNTS[1:]], pa.int64(), False)),
    "another name": stream(("count", COUNTS, pa.int64(), False)),
    "another name as long": stream(("Value", COUNTS, pa.int64(), False)),
    "two columns": stream(("value", COUNTS, pa.int64(), False), ("zone", COUNTS, pa.int64(), False)),
    "no column": stream(),
    "one too few": stream(("value", COUNTS[1:], pa.int64(), False)),
    "one too many": stream(("value", [*COUNTS, 0], pa.int64(), False)),
    "empty": stream(("value", [], pa.int64(), False)),
    "twice": stream(("value", COUNTS, pa.int64(), False), batches=2),
    "in two halves": stream(("value", COUNTS[: CELLS // 2], pa.int64(), False), batches=2),
    "arrow file": file_format(),
    "csv": b"value\n1\n2\n",
    "nothing": b"",
}


def test_a_stream_that_anybody_wrote_is_taken_once_it_is_compressed() -> None:
    data = compressed(sound())
    assert judged(OWN, ORDER, data, entry_for(TERMS, data).to_bytes()).data == data
    assert refused(sound(), entry_for(TERMS, sound()).to_bytes()) == _NO_STREAM


@pytest.mark.parametrize("kind", OTHER_STREAMS)
def test_a_stream_that_is_not_the_ordered_column_is_refused_though_it_was_charged_for(kind: str) -> None:
    other = OTHER_STREAMS[kind]
    expected = _OTHER_COLUMN if len(other) == len(sound()) else _NO_STREAM
    data = compressed(other)
    assert refused(data, entry_for(TERMS, data).to_bytes()) == expected
    if other:
        assert refused(other, entry_for(TERMS, other).to_bytes()) == _NO_STREAM


@pytest.mark.parametrize(
    "data",
    [
        DATA + b"\x00",
        DATA + b"more",
        DATA + DATA,
        DATA + sound(),
        DATA + compressed(b"more"),
        compressed(sound() + b"\x00"),
        compressed(sound() + sound()),
        compressed(sound() + sound()[-8:]),
    ],
    ids=["zero", "text", "twice", "a stream", "a frame", "inside", "twice inside", "ended twice"],
)
def test_a_contribution_that_goes_on_after_its_end_is_refused(data: bytes) -> None:
    assert refused(data, entry_for(TERMS, data).to_bytes()) == _NO_STREAM


@pytest.mark.parametrize(
    "data",
    [DATA[1:], b"\x00", bytes(100), compressed(bytes(1 << 26)), DATA[:4] + bytes(len(DATA) - 4)],
    ids=["without its first byte", "one byte", "zeros", "a bomb", "only the mark of the format"],
)
def test_bytes_that_are_no_compressed_stream_are_refused(data: bytes) -> None:
    assert refused(data, entry_for(TERMS, data).to_bytes()) == _NO_STREAM


def test_a_contribution_cut_anywhere_is_refused() -> None:
    for length in range(1, len(DATA)):
        data = DATA[:length]
        assert refused(data, entry_for(TERMS, data).to_bytes()) == _NO_STREAM


@pytest.mark.parametrize("at", ["start", "middle", "end"])
def test_a_stream_with_another_frame_of_the_same_length_is_refused(at: str) -> None:
    other = bytearray(sound())
    other[{"start": 0, "middle": 100, "end": -1}[at]] ^= 1
    data = compressed(bytes(other))
    assert refused(data, entry_for(TERMS, data).to_bytes()) == _OTHER_COLUMN


@pytest.mark.parametrize("value", [2**55 + 1, -(2**55) - 1, 2**63 - 1, -(2**63)])
def test_a_value_that_could_overflow_the_sum_of_operators_is_refused(value: int) -> None:
    data = compressed(stream(("value", [*COUNTS[1:], value], pa.int64(), False)))
    assert refused(data, entry_for(TERMS, data).to_bytes()) == _NO_COUNT


@pytest.mark.parametrize("value", [2**55, -(2**55)])
def test_values_up_to_the_largest_of_either_sign_are_taken(value: int) -> None:
    data = compressed(stream(("value", [value] * CELLS, pa.int64(), False)))
    assert judged(OWN, ORDER, data, entry_for(TERMS, data).to_bytes()).data == data


def test_a_contribution_of_incompressible_numbers_is_within_the_largest() -> None:
    rng = np.random.default_rng(1)
    numbers = rng.integers(-(2**63), 2**63, CELLS, dtype=np.int64)
    assert len(encode(numbers)) <= largest_contribution(OWN, TERMS) == CELLS * 9 + 65536
