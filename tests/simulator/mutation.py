"""Retries that are not what was sent before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from quorate.v1 import federation_pb2 as pb
from tests.simulator.network import Sent


def mutated(sent: Sent, how: int) -> Sent | None:
    """Return a call with other content under the same name, in one of several ways; None if it has no content."""
    ways = _WAYS.get(sent.name)
    if ways is None:
        return None
    messages = sent.read()
    ways[how % len(ways)](messages[-1])
    return replace(sent, messages=tuple(message.SerializeToString() for message in messages))


def _other_bytes(request: Any) -> None:
    request.data = bytes([request.data[0] ^ 1]) + request.data[1:]
    request.sha256 = hashlib.sha256(request.data).digest()


def _more_bytes(request: Any) -> None:
    request.data += b"\0"
    request.sha256 = hashlib.sha256(request.data).digest()


def _wrong_digest(request: Any) -> None:
    request.sha256 = bytes([request.sha256[0] ^ 1]) + request.sha256[1:]


def _other_entry(request: Any) -> None:
    request.sha256 = hashlib.sha256(request.ledger_entry.payload).digest()


def _other_reason(request: Any) -> None:
    other = pb.REFUSAL_REASON_DECLINED
    request.reason = other if request.reason != other else pb.REFUSAL_REASON_POLICY


def _other_head(request: Any) -> None:
    request.head.payload = request.head.payload.replace(b'"sequence":', b'"sequence":1')


def _other_chain(request: Any) -> None:
    """Say of the last entry that it was recorded on another day: a chain that could be, but is not the first one."""
    request.entries[-1] = request.entries[-1].replace(b'"recorded_on":"2', b'"recorded_on":"3')


def _no_token(request: Any) -> None:
    request.token = bytes(16)


_WAYS: dict[str, tuple[Callable[[Any], None], ...]] = {
    "PutChunk": (_other_bytes, _more_bytes, _wrong_digest),
    "CommitContribution": (_wrong_digest, _other_entry),
    "RefuseTask": (_other_reason,),
    "PublishHead": (_other_head, _other_chain),
    "RenewLease": (_no_token,),
}
