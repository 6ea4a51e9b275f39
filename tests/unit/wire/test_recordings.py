"""What a version said on the wire is read by this one to the same values, and is never recorded otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from google.protobuf import descriptor_pb2, json_format
from google.protobuf.message import DecodeError, Message

from privacy.errors import SignatureProblem
from privacy.ledger.entry import Entry
from quorate.contract.canonical import Document
from quorate.contract.charter import Charter
from quorate.contract.order import ORDER_TYPE, TaskOrder
from quorate.contract.payload import decode
from quorate.contract.period_key import PeriodKey
from quorate.contract.signing import verified
from quorate.contract.statements import Head, Receipt, Refusal
from quorate.contract.zoning import Zoning
from quorate.v1.federation_pb2 import Envelope
from tests.keys import exchange_for
from tests.support_hub import OPERATORS
from tests.support_sketch import KEY
from tests.wire.examples import VECTOR, digests, message_class, message_types, parties
from tests.wire.record import HERE, current, directory, recording, released, write

VERSIONS = sorted(HERE.glob("v*"))
RECORDED = [
    pytest.param(path, id=f"{path.parts[-3]} {path.stem}")
    for path in sorted(HERE.glob("v*/messages/*.binpb"))
]
DOCUMENTS: dict[str, type[Document]] = {
    "order": TaskOrder,
    "receipt": Receipt,
    "ledger-head": Head,
    "refusal": Refusal,
    "period-key": PeriodKey,
    "charter": Charter,
    "zoning": Zoning,
}
#: A varint, eight bytes, a length-delimited and a four-byte field of a number that no message uses.
NEWER = bytes.fromhex("80fa01ff0189fa01010203040506070892fa01036162639dfa0101020304")
CLASSES = {str(message.full_name): message_class(message) for message in message_types()}


def values(message: Message) -> object:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def class_of(path: Path) -> type[Message]:
    assert path.stem in CLASSES, f"{path.stem} was on the wire in {path.parts[-3]} and is gone"
    return CLASSES[path.stem]


@pytest.mark.parametrize("path", RECORDED)
def test_a_recorded_message_is_read_to_the_same_values_and_written_to_the_same_bytes(path: Path) -> None:
    message = class_of(path).FromString(path.read_bytes())
    assert values(message) == json.loads(path.with_suffix(".json").read_bytes())
    assert message.SerializeToString(deterministic=True) == path.read_bytes()


@pytest.mark.parametrize("path", RECORDED)
def test_fields_of_a_newer_version_change_nothing_and_are_not_lost(path: Path) -> None:
    message = class_of(path).FromString(path.read_bytes() + NEWER)
    assert values(message) == json.loads(path.with_suffix(".json").read_bytes())
    assert message.SerializeToString(deterministic=True).endswith(NEWER)


@pytest.mark.parametrize("path", [p for p in RECORDED if Path(p.values[0]).stat().st_size])  # type: ignore[arg-type]
def test_a_recorded_message_that_was_cut_is_not_taken_for_the_whole(path: Path) -> None:
    data = path.read_bytes()
    try:
        message = class_of(path).FromString(data[:-1])
    except DecodeError:
        return
    assert values(message) != json.loads(path.with_suffix(".json").read_bytes())


@pytest.mark.parametrize("place", VERSIONS, ids=lambda place: place.name)
def test_every_message_of_a_version_is_recorded_with_every_field_set(place: Path) -> None:
    found = descriptor_pb2.FileDescriptorSet.FromString((place / "descriptors.binpb").read_bytes())
    fields = {
        f"{file.package}.{message.name}": {field.name for field in message.field}
        for file in found.file
        for message in file.message_type
    }
    recorded = {p.stem: set(json.loads(p.read_bytes())) for p in (place / "messages").glob("*.json")}
    assert recorded == fields


@pytest.mark.parametrize("place", VERSIONS, ids=lambda place: place.name)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_recorded_document_is_read_to_the_same_values_and_written_to_the_same_bytes(
    place: Path, name: str
) -> None:
    data = (place / "documents" / f"{name}.json").read_bytes()
    document = DOCUMENTS[name].from_wire(data, name)
    assert document.to_bytes() == data
    given, read = json.loads(data), document.model_dump(mode="json")
    assert {field: read[field] for field in given} == given


@pytest.mark.parametrize("place", VERSIONS, ids=lambda place: place.name)
def test_a_recorded_ledger_entry_holds_and_is_written_to_the_same_bytes(place: Path) -> None:
    data = (place / "documents" / "ledger-entry.json").read_bytes()
    entry = Entry.model_validate_json(data)
    assert entry.problem() == ""
    assert entry.to_bytes() == data
    assert entry.model_dump(mode="json") == json.loads(data)


@pytest.mark.parametrize("place", VERSIONS, ids=lambda place: place.name)
def test_digests_that_parties_compare_come_out_as_they_were(place: Path) -> None:
    names = (*DOCUMENTS, "ledger-entry")
    found = {name: (place / "documents" / f"{name}.json").read_bytes() for name in names}
    lines = (place / "documents" / "digests.txt").read_text(encoding="utf-8").splitlines()
    assert digests(found) == {name: digest for digest, name in (line.split("  ") for line in lines)}


@pytest.mark.parametrize("place", VERSIONS, ids=lambda place: place.name)
def test_every_operator_still_finds_the_key_in_a_recorded_package(place: Path) -> None:
    package = PeriodKey.from_wire((place / "documents" / "period-key.json").read_bytes(), "it")
    assert set(package.wrapped) == set(OPERATORS)
    for operator in OPERATORS:
        assert package.key_for(operator, exchange_for(operator)) == KEY


@pytest.mark.parametrize("place", VERSIONS, ids=lambda place: place.name)
def test_a_recorded_statement_is_still_signed_by_both_parties(place: Path) -> None:
    statement = Envelope.FromString((place / "documents" / "statement.binpb").read_bytes())
    order = (place / "documents" / "order.json").read_bytes()
    assert verified(statement, ORDER_TYPE, parties(), "the order") == order
    statement.payload = order.replace(b'"west"', b'"east"')
    assert statement.payload != order
    with pytest.raises(SignatureProblem, match="not signed by party 1"):
        verified(statement, ORDER_TYPE, parties(), "the order")


@pytest.mark.parametrize("place", VERSIONS, ids=lambda place: place.name)
def test_a_recorded_contribution_is_read_to_the_same_values(place: Path) -> None:
    stream = (place / "documents" / "contribution.arrow").read_bytes()
    assert (
        decode(bytes(pa.Codec("zstd").compress(stream, asbytes=True)), len(VECTOR)).tolist()
        == VECTOR.tolist()
    )


# --- recording --------------------------------------------------------------------------------------------


def test_what_this_version_says_is_what_is_recorded_of_it() -> None:
    place = directory(current())
    kept = {str(p.relative_to(place)): p.read_bytes() for p in place.rglob("*") if p.is_file()}
    fresh = recording()
    wrong = sorted(name for name in kept.keys() | fresh.keys() if kept.get(name) != fresh.get(name))
    assert not wrong, (
        f"the wire has changed: {wrong}; if it should have, run make wire and commit (docs/wire.md)"
    )


def test_a_version_with_a_date_is_released() -> None:
    text = "# Changelog\n\n## 0.3.0 – unreleased\n\n## 0.2.1 – 2027-02-01\n\n## 0.2.0 – 2027-01-01\n"
    assert released(text) == {"0.2"}
    with pytest.raises(SystemExit, match="no heading"):
        released("# Changelog\n")


def test_a_released_version_is_not_recorded_again_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"as it was")
    with pytest.raises(SystemExit, match=r"0\.1 is released.*\n.*raise the version"):
        write("0.1", frozenset({"0.1"}), tmp_path)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"as it was"]


def test_a_version_that_is_not_released_is_recorded_anew(tmp_path: Path) -> None:
    place = tmp_path / "v0.2"
    place.mkdir()
    (place / "of an older message").write_bytes(b"")
    count = write("0.2", frozenset({"0.1"}), place)
    assert {str(p.relative_to(place)) for p in place.rglob("*") if p.is_file()} == set(recording())
    assert count == len(recording())
