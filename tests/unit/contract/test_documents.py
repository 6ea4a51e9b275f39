"""Documents: canonical bytes, strict reading, and errors that name the field and not the value."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, JsonValue, ValidationError

from privacy.errors import ExitCode, UsageProblem
from quorate.contract.canonical import Document, canonical, digest, first_problem, read_bytes

DOCUMENTS = settings(max_examples=100, deadline=None, derandomize=True, database=None)


class Inner(Document):
    number: int = Field(strict=True, ge=0)


class Paper(Document):
    """A document as node and hub exchange them."""

    name: str = Field(max_length=5)
    day: date
    inner: tuple[Inner, ...] = ()
    more: dict[str, JsonValue] = Field(default_factory=dict)


GOOD = {"name": "a", "day": "2026-10-25", "inner": [{"number": 1}], "more": {"z": [True, None], "a": 1}}
integers = st.integers(-(2**53) + 1, 2**53 - 1)
plain = st.recursive(
    st.none() | st.booleans() | integers | st.text('aé€z"\\/\n', max_size=5),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text("abAé", max_size=3), below, max_size=3)
    ),
)


@DOCUMENTS
@given(more=st.dictionaries(st.text("abcXYZ", max_size=4), plain, max_size=4))
def test_the_bytes_are_sorted_json_without_spaces(more: dict[str, JsonValue]) -> None:
    paper = Paper(name="a", day=date(2026, 10, 25), more=more)
    document = {"name": "a", "day": "2026-10-25", "inner": [], "more": more}
    expected = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert paper.to_bytes() == canonical(document) == expected
    assert paper.digest() == digest(expected) == hashlib.sha256(expected).hexdigest()
    assert Paper.from_bytes(expected, "it") == paper


def test_the_digest_does_not_depend_on_how_a_document_was_written(tmp_path: Path) -> None:
    path = tmp_path / "paper.json"
    digests = set()
    for indent in (None, 1, 4):
        for document in (GOOD, dict(reversed(GOOD.items()))):
            path.write_text(json.dumps(document, indent=indent))
            digests.add(Paper.read(path).digest())
    assert len(digests) == 1


def test_a_document_cannot_be_changed() -> None:
    paper = Paper.from_bytes(json.dumps(GOOD).encode(), "it")
    with pytest.raises(ValidationError, match="frozen"):
        paper.name = "b"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "Invalid JSON"),
        (b"{", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"null", "'document'"),
        (b"[]", "'document'"),
        (b'"text"', "'document'"),
        (b"{}", "'name': Field required (and 1 more)"),
        (b'{"name": "a", "day": "2026-10-25"} trailing', "Invalid JSON"),
        (b"[" * 100_000, "Invalid JSON"),
        (json.dumps(GOOD | {"extra": 1}).encode(), "'extra': Extra inputs are not permitted"),
        (json.dumps(GOOD | {"day": "2026-02-30"}).encode(), "'day': "),
        (json.dumps(GOOD | {"name": 1}).encode(), "'name': "),
        (json.dumps(GOOD | {"name": None}).encode(), "'name': "),
        (json.dumps(GOOD | {"inner": [{"number": 1}, {"number": "2"}]}).encode(), "'inner.1.number': "),
        (json.dumps(GOOD | {"inner": [{"number": -1}]}).encode(), "'inner.0.number': "),
        (json.dumps(GOOD | {"inner": [{"number": 1.0}]}).encode(), "'inner.0.number': "),
        (json.dumps(GOOD | {"inner": [{"number": True}]}).encode(), "'inner.0.number': "),
        (json.dumps(GOOD | {"inner": {"number": 1}}).encode(), "'inner': "),
    ],
)
def test_a_malformed_document_is_refused_at_its_field(data: bytes, says: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        Paper.from_bytes(data, "the order")
    assert caught.value.what.startswith("the order is not a valid paper: ")
    assert says in caught.value.what
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    assert "from the party that issued it" in caught.value.todo


@DOCUMENTS
@given(data=st.binary(max_size=200) | plain.map(lambda value: json.dumps(value).encode()))
def test_bytes_of_any_kind_are_a_document_or_a_problem(data: bytes) -> None:
    try:
        paper = Paper.from_bytes(data, "it")
    except UsageProblem:
        return
    assert Paper.from_bytes(paper.to_bytes(), "it") == paper


def test_the_wire_carries_a_document_in_its_canonical_form_and_no_other() -> None:
    paper = Paper.from_bytes(json.dumps(GOOD).encode(), "it")
    one = paper.to_bytes()
    assert Paper.from_wire(one, "the order") == paper
    others = [
        json.dumps(GOOD).encode(),
        json.dumps(dict(reversed(GOOD.items())), separators=(",", ":")).encode(),
        one + b"\n",
        one.replace(b'"number":1', b'"number":1,"number":1'),
        one.replace(b'"name":"a"', b'"name":"\\u0061"'),
        one.replace(b'"a":1', b'"a":1.0'),
        one.replace(b',"inner":[{"number":1}]', b""),
    ]
    for other in others:
        assert other != one
        with pytest.raises(UsageProblem, match="the order is not in canonical form"):
            Paper.from_wire(other, "the order")


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e400", str(2**53), str(-(2**53)), str(10**30)]
)
def test_a_number_that_has_no_canonical_form_is_refused_on_the_wire(number: str) -> None:
    data = (
        Paper.from_bytes(json.dumps(GOOD).encode(), "it")
        .to_bytes()
        .replace(b'"a":1', f'"a":{number}'.encode())
    )
    with pytest.raises(UsageProblem, match=r"canonical form|not a valid paper"):
        Paper.from_wire(data, "the order")
    with pytest.raises(UsageProblem, match="a number has no canonical form"):
        canonical(json.loads(data))


def test_a_problem_tells_the_field_and_not_the_value() -> None:
    with pytest.raises(UsageProblem) as caught:
        Paper.from_bytes(json.dumps(GOOD | {"name": "geheim-4711", "day": "geheim-4712"}).encode(), "it")
    assert "geheim" not in caught.value.explain()
    assert (
        caught.value.what
        == "it is not a valid paper: 'name': String should have at most 5 characters (and 1 more)"
    )


def test_the_first_problem_is_told_with_the_number_of_others() -> None:
    with pytest.raises(ValidationError) as caught:
        Paper.model_validate({"inner": [{"number": "x"}], "name": "abcdef"})
    assert first_problem(caught.value) == "'name': String should have at most 5 characters (and 2 more)"


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.json", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(UsageProblem) as caught:
            Paper.read(path)
        assert caught.value.what == f"{path} cannot be read: {reason}"
        assert caught.value.todo == "check the path and the permissions"


def test_a_malformed_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "paper.json"
    path.write_bytes(b"{}")
    with pytest.raises(UsageProblem, match=r"paper\.json is not a valid paper"):
        Paper.read(path)
    assert read_bytes(path) == b"{}"
