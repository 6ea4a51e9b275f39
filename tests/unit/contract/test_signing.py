"""Statements are what their parties signed, byte for byte, or nothing."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import SignatureProblem
from quorate.contract.signing import countersigned, from_json, public_key, signed, to_json, verified
from quorate.v1.federation_pb2 import Envelope

ONE, OTHER = Ed25519PrivateKey.from_private_bytes(b"1" * 32), Ed25519PrivateKey.from_private_bytes(b"2" * 32)
TYPE = "application/vnd.quorate.head+json"


@given(payload=st.binary(max_size=200))
def test_what_is_signed_comes_back_and_any_changed_byte_shows(payload: bytes) -> None:
    statement = signed(TYPE, payload, ONE)
    assert verified(statement, TYPE, {"alpha": public_key(ONE)}, "the head") == payload
    changed = Envelope()
    changed.CopyFrom(statement)
    changed.payload = payload + b"\0"
    with pytest.raises(SignatureProblem, match="the head is not signed by alpha"):
        verified(changed, TYPE, {"alpha": public_key(ONE)}, "the head")


def test_what_is_signed_is_what_dsse_says() -> None:
    """The bytes under the signature, written out after the specification and checked by another library."""
    statement = signed("type", b"payload", ONE)
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key(ONE)))
    key.verify(statement.signatures[0].sig, b"DSSEv1 4 type 7 payload")


def test_a_signature_under_another_type_does_not_count() -> None:
    statement = signed(TYPE, b"{}", ONE)
    with pytest.raises(SignatureProblem, match="of another type"):
        verified(statement, "application/other", {"alpha": public_key(ONE)}, "the head")
    statement.payload_type = "application/other"
    with pytest.raises(SignatureProblem, match="not signed by alpha"):
        verified(statement, "application/other", {"alpha": public_key(ONE)}, "the head")


def test_everybody_who_must_sign_has_signed() -> None:
    both = {"alpha": public_key(ONE), "the hub": public_key(OTHER)}
    statement = signed(TYPE, b"{}", ONE)
    with pytest.raises(SignatureProblem, match="not signed by the hub"):
        verified(statement, TYPE, both, "the receipt")
    assert verified(countersigned(statement, OTHER), TYPE, both, "the receipt") == b"{}"
    with pytest.raises(SignatureProblem, match="not signed by the hub"):
        # Twice by one side is not by both.
        verified(countersigned(statement, ONE), TYPE, both, "the receipt")


def test_a_signature_under_somebody_elses_name_does_not_count() -> None:
    statement = signed(TYPE, b"{}", OTHER)
    statement.signatures[0].keyid = public_key(ONE)
    with pytest.raises(SignatureProblem):
        verified(statement, TYPE, {"alpha": public_key(ONE)}, "the head")


@pytest.mark.parametrize("sig", [b"", b"\0", b"x" * 64, b"x" * 100])
def test_a_malformed_signature_is_none(sig: bytes) -> None:
    statement = signed(TYPE, b"{}", ONE)
    statement.signatures[0].sig = sig
    with pytest.raises(SignatureProblem):
        verified(statement, TYPE, {"alpha": public_key(ONE)}, "the head")


def test_a_statement_is_kept_in_the_standard_form() -> None:
    statement = countersigned(signed(TYPE, b"\xff\0", ONE), OTHER)
    kept = to_json(statement)
    assert set(json.loads(kept)) == {"payload", "payloadType", "signatures"}
    assert from_json(kept, "the receipt") == statement


@given(data=st.binary(max_size=60) | st.text(max_size=40).map(lambda text: json.dumps(text).encode()))
def test_what_is_no_statement_is_told(data: bytes) -> None:
    with pytest.raises(SignatureProblem, match="not a signed statement"):
        from_json(data, "the receipt")


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"payload": "", "payloadType": "t", "signatures": [{}]},
        {"payload": 1, "payloadType": "t", "signatures": []},
        {"payload": "", "payloadType": 2, "signatures": []},
        {"payload": "", "payloadType": "t", "signatures": [{"keyid": "a", "sig": "!"}]},
        {"payload": "", "payloadType": "t", "signatures": 3},
        [1],
        None,
    ],
)
def test_json_that_is_no_statement_is_told(value: object) -> None:
    with pytest.raises(SignatureProblem, match="not a signed statement"):
        from_json(json.dumps(value).encode(), "the receipt")
