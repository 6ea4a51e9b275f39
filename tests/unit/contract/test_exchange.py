"""Secrets in boxes: HPKE as RFC 9180 writes it down, and a box that opens for one key and one purpose only."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.errors import PeriodKeyProblem, UsageProblem
from quorate.contract.exchange import (
    OVERHEAD,
    can_seal,
    exchange_public,
    load_exchange_key,
    new_exchange_key,
    opened,
    sealed,
)
from tests.hpke_by_hand import sealed_by_hand
from tests.keys import exchange_for, exchange_pem_for, pem_for

OURS, OTHERS = exchange_for("ours"), exchange_for("others")
HEX = bytes.fromhex
#: Points of small order, RFC 7748 and https://cr.yp.to/ecdh.html: zero, one, and the two of order eight.
SMALL = (
    "00" * 32,
    "01" + "00" * 31,
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
)


def test_the_one_written_by_hand_is_that_of_the_rfc() -> None:
    """RFC 9180, appendix A.2.1: its receiver, its sender's key, and its first message."""
    box = sealed_by_hand(
        b"Beauty is truth, truth beauty",
        HEX("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a"),
        b"Ode on a Grecian Urn",
        X25519PrivateKey.from_private_bytes(
            HEX("f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600")
        ),
        aad=b"Count-0",
    )
    assert box[:32] == HEX("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a")
    assert box[32:] == HEX(
        "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"
    )


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    secret=st.binary(max_size=80), info=st.binary(max_size=200), sender=st.binary(min_size=32, max_size=32)
)
def test_a_box_made_by_hand_opens(secret: bytes, info: bytes, sender: bytes) -> None:
    public = HEX(exchange_public(OURS))
    box = sealed_by_hand(secret, public, info, X25519PrivateKey.from_private_bytes(sender))
    assert opened(box, OURS, info) == secret
    assert len(box) == len(secret) + OVERHEAD


def test_a_box_opens_with_its_key_and_hides_what_is_in_it() -> None:
    secret = bytes(range(32))
    boxes = {sealed(secret, exchange_public(OURS), b"this") for _ in range(3)}
    assert len(boxes) == 3, "the same secret is never sealed to the same bytes"
    for box in boxes:
        assert opened(box, OURS, b"this") == secret
        assert len(box) == 32 + OVERHEAD
        assert secret[:8] not in box


def test_a_box_opens_for_nobody_else_and_for_nothing_else() -> None:
    box = sealed(b"secret", exchange_public(OURS), b"this")
    for key, info in ((OTHERS, b"this"), (OURS, b"that"), (OURS, b""), (OURS, b"this ")):
        with pytest.raises(PeriodKeyProblem, match="does not open"):
            opened(box, key, info)


def test_a_box_that_was_changed_anywhere_or_cut_anywhere_does_not_open() -> None:
    box = sealed(b"secret", exchange_public(OURS), b"this")
    # The highest bit of the sender's key is no part of the point (RFC 7748); it is bound by the context all the same.
    changed = [box[:n] + bytes([box[n] ^ bit]) + box[n + 1 :] for n in range(len(box)) for bit in (1, 128)]
    for other in (*changed, *(box[:n] for n in range(len(box))), box + b"\0", bytes(len(box))):
        with pytest.raises(PeriodKeyProblem, match="does not open"):
            opened(other, OURS, b"this")


def test_nothing_can_be_sealed_to_a_point_of_small_order() -> None:
    assert [can_seal(public) for public in SMALL] == [False] * 4
    assert can_seal(exchange_public(OURS))


def test_a_key_survives_its_file() -> None:
    pem = new_exchange_key()
    assert pem != new_exchange_key()
    box = sealed(b"secret", exchange_public(load_exchange_key(pem)), b"")
    assert opened(box, load_exchange_key(pem), b"") == b"secret"
    assert exchange_public(load_exchange_key(exchange_pem_for("ours"))) == exchange_public(OURS)


@pytest.mark.parametrize("pem", [b"", b"\xff", b"-----BEGIN PRIVATE KEY-----", pem_for("ours")])
def test_what_is_no_exchange_key_is_told(pem: bytes) -> None:
    with pytest.raises(UsageProblem, match="the exchange key is not"):
        load_exchange_key(pem)
