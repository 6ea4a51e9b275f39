"""The quick encoder writes what the canonical one does, for every document it is chosen for."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from privacy.canonical import encoder_for

WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
SCALARS = st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False, allow_infinity=False) | st.text()
DOCUMENTS = st.dictionaries(
    st.text(),
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_size=5,
)


@given(DOCUMENTS)
def test_any_document_is_written_in_its_canonical_form(document: dict[str, Any]) -> None:
    try:
        expected = rfc8785.dumps(document)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        with pytest.raises((rfc8785.CanonicalizationError, UnicodeEncodeError)):
            encoder_for(document)(document)
    else:
        assert encoder_for(document)(document) == expected


@pytest.mark.parametrize(
    "document",
    [
        {"x": 1.0},
        {"x": 1e21},
        {"x": -0.0},
        {"x": 1e-7},
        {"x": 2**53 - 1},
        {"\U0001f600": 1, "\ue000": 2},
        {"é": '\x7f\x00\u2028"\\/'},
        {"text": "1.5, not a number"},
    ],
)
def test_where_the_encoders_differ_the_canonical_one_is_chosen(document: dict[str, Any]) -> None:
    assert encoder_for(document)(document) == rfc8785.dumps(document)


def test_the_quick_encoder_is_chosen_for_what_charters_say() -> None:
    usual = {"night_hours": [0, 1, 2, 23], "min_nights": 3, "limit": 12, "name": "residents"}
    assert encoder_for(usual) is not rfc8785.dumps
    assert encoder_for({"share": 0.5}) is rfc8785.dumps


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53])
def test_a_number_without_a_canonical_form_has_none(value: float) -> None:
    with pytest.raises(rfc8785.CanonicalizationError):
        encoder_for({"x": value})({"x": value})


def test_text_that_is_no_unicode_has_no_form() -> None:
    document = json.loads('{"x": "\\ud800"}')
    with pytest.raises((rfc8785.CanonicalizationError, UnicodeEncodeError)):
        encoder_for(document)(document)
